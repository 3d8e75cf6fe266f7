//! The engine `onnxruntime`: Microsoft's ONNX Runtime, on the processor or a GPU of NVIDIA.
//!
//! Its library is loaded at run time, once for the whole process, from where [`find_library`] finds
//! it. Sums are split over threads in ways that the library decides: outputs may differ in their
//! last bits from one number of threads, or one machine, to the next. With one thread on the
//! processor, runs of one session go side by side where several threads ask for them; else they
//! wait for each other, as each has all threads that there are.

mod at_once;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use ort::environment::Environment;
use ort::ep::CUDA;
use ort::logging::LogLevel;
use ort::session::SessionInputValue;
use ort::session::builder::SessionBuilder;
use ort::value::{DynValue, Tensor, TensorElementType, TensorRef, ValueType};
use ort::{ErrorCode, LoadDynamicError};

use self::at_once::SharedSession;
use crate::array::{with_array, with_kind};
use crate::error::guard;
use crate::port::{Port, assign};
use crate::{Array, Device, Engine, Error, Kind, Options, Session};

use crate::library::is_cut_short;
pub use crate::library::{find_library, found_package};

pub(crate) const NAME: &str = "onnxruntime";

/// The engine itself: the loaded library.
#[derive(Clone, Copy)]
pub(crate) struct OnnxRuntime {
    library: &'static Library,
    threads: usize,
    device: Device,
}

struct Library {
    path: PathBuf,
    environment: Environment,
}

/// The library of this process: the environment it makes can be made only once.
static LOADED: Mutex<Option<&'static Library>> = Mutex::new(None);

impl OnnxRuntime {
    pub(crate) fn new(options: &Options) -> Result<Self, Error> {
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        let library = match (*loaded, &options.library) {
            (Some(library), None) => library,
            (loaded_before, _) => {
                let path = find_library(options)?;
                let path = path.canonicalize().unwrap_or(path);
                match loaded_before {
                    Some(library) if library.path == path => library,
                    Some(library) => return Err(second(&library.path, &path)),
                    None => *loaded.insert(Box::leak(Box::new(load(path)?))),
                }
            }
        };
        let engine = Self { library, threads: options.threads, device: options.device };
        // Whether the device is there is asked before a model is read.
        guard(NAME, || engine.builder().map(drop))?;
        Ok(engine)
    }

    /// A session with this entry set to 1.
    fn load(&self, model: &[u8], entry: &str) -> Result<ort::session::Session, Error> {
        let mut builder = self.builder()?.with_config_entry(entry, "1").map_err(|e| refused(&e.into()))?;
        builder.commit_from_memory(model).map_err(|e| refused(&e))
    }

    /// What sessions are made with.
    fn builder(&self) -> Result<SessionBuilder, Error> {
        let builder = ort::session::Session::builder(&self.library.environment)
            .and_then(|builder| Ok(builder.with_intra_threads(self.threads)?))
            .and_then(|builder| Ok(builder.with_deterministic_compute(true)?))
            // Threads that wait for work by spinning take the processor from everyone else.
            .and_then(|builder| Ok(builder.with_intra_op_spinning(false)?))
            // What it would log comes back as an error.
            .and_then(|builder| Ok(builder.with_log_level(LogLevel::Fatal)?))
            .map_err(|e| refused(&e))?;
        match self.device {
            Device::Cpu => Ok(builder),
            Device::Cuda(number) => {
                // Products in TF32 have ten bits: too few for a map to add up to the score.
                let provider = CUDA::default().with_device_id(number.into()).with_tf32(false).build();
                let registered = builder.with_execution_providers([provider.error_on_failure()]);
                registered.map_err(|error| no_cuda(self.device, &self.library.path, &error.to_string()))
            }
        }
    }
}

fn no_cuda(device: Device, library: &Path, error: &str) -> Error {
    Error::NotFound(format!(
        "{} cannot compute on {device}: {}. It takes a GPU of NVIDIA, CUDA and cuDNN, and ONNX Runtime's build for them: \
         `pip install onnxruntime-gpu`, which must not lie in one environment with the package onnxruntime",
        library.display(),
        error.trim_end_matches('.')
    ))
}

fn second(loaded: &Path, asked: &Path) -> Error {
    Error::NotFound(format!(
        "this process runs ONNX Runtime from {} already and cannot load {} beside it",
        loaded.display(),
        asked.display()
    ))
}

fn load(path: PathBuf) -> Result<Library, Error> {
    let unusable = |reason: &dyn std::fmt::Display| {
        let file = path.display();
        Error::NotFound(format!("{file} cannot be loaded as ONNX Runtime: {reason}"))
    };
    if is_cut_short(&path) {
        return Err(unusable(&"the file is cut short"));
    }
    let environment = guard(NAME, || {
        let builder = ort::init_from(&path).map_err(|e| unusable(&cause(&e)))?;
        builder.with_name("hirescam").with_telemetry(false).build().map_err(|e| unusable(&e))
    })?;
    Ok(Library { path, environment })
}

/// What the system's loader said, where it was the loader that refused.
fn cause(error: &LoadDynamicError) -> String {
    let LoadDynamicError::Dlopen { error, .. } = error else {
        return error.to_string();
    };
    let source = std::error::Error::source(error);
    source.map_or_else(|| error.to_string(), ToString::to_string)
}

impl Engine for OnnxRuntime {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> String {
        let version = version(&self.library.path, ort::info());
        match self.device {
            Device::Cpu => version,
            device => format!("{version} on {device}"),
        }
    }

    fn prepare(&self, model: &[u8]) -> Result<Box<dyn Session>, Error> {
        guard(NAME, || {
            // Where a processor has no instructions for it, sums of products of 8 bits would be cut off at 16. The library
            // breaks on some networks when it is asked for exact ones; these are then computed in float32.
            let session = (self.load(model, "session.x64quantprecision"))
                .or_else(|error| self.load(model, "session.disable_quant_qdq").map_err(|_| error))?;
            give_back();
            let optional = session.overridable_initializers();
            let ports = (session.inputs().iter())
                .map(|input| port(input.name(), input.dtype(), false))
                .chain(optional.iter().map(|input| port(input.name(), input.dtype(), true)))
                .collect::<Result<_, _>>()?;
            let outputs = session.outputs().iter().map(|output| output.name().to_owned()).collect();
            let runs = match (self.threads, self.device) {
                (1, Device::Cpu) => Runs::AtOnce(SharedSession::new(session).map_err(|e| refused(&e))?),
                _ => Runs::InTurn(Mutex::new(session)),
            };
            Ok(Box::new(OnnxRuntimeSession { ports, outputs, runs }) as Box<dyn Session>)
        })
    }
}

/// Gives the system what the library freed: of reading a model there is more than its weights take, in holes that the C library would keep.
fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[allow(unsafe_code)]
    // SAFETY: it takes a number and no pointer, locks what it looks at, and touches no memory that is in use.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// The version that stands in the library's file name, and the build that the library names.
fn version(path: &Path, build: &str) -> String {
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    let number: String =
        file.chars().skip_while(|c| !c.is_ascii_digit()).take_while(|c| c.is_ascii_digit() || *c == '.').collect();
    let commit = build.split(", ").find_map(|item| item.strip_prefix("git-commit-id="));
    let parts = [Some(number.trim_end_matches('.')), commit];
    parts.into_iter().flatten().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

struct OnnxRuntimeSession {
    ports: Vec<Port>,
    outputs: Vec<String>,
    runs: Runs,
}

/// The library's session, by how its runs go.
enum Runs {
    /// Each on the thread that asks for it.
    AtOnce(SharedSession),
    /// Each with all threads, or on a GPU.
    InTurn(Mutex<ort::session::Session>),
}

impl Session for OnnxRuntimeSession {
    fn run(&self, inputs: &[(&str, &Array)]) -> Result<Vec<(String, Array)>, Error> {
        let given = assign(&self.ports, inputs)?;
        guard(NAME, || {
            let given = self.ports.iter().zip(given).filter_map(|(port, a)| Some((port, a?)));
            let values = given
                .map(|(port, array)| Ok((port.name.as_str(), value(array)?)))
                .collect::<Result<Vec<_>, Error>>()?;
            match &self.runs {
                Runs::AtOnce(session) => {
                    let results = session.run(&values).map_err(|e| failed(&e))?;
                    let named = self.outputs.iter().zip(&results);
                    named.map(|(name, result)| Ok((name.clone(), array(name, result)?))).collect()
                }
                Runs::InTurn(session) => {
                    let mut session = session.lock().unwrap_or_else(PoisonError::into_inner);
                    let results = session.run(values).map_err(|e| failed(&e))?;
                    let result = |name| results.get(name).ok_or_else(|| lost(name));
                    self.outputs.iter().map(|name| Ok((name.clone(), array(name, result(name)?)?))).collect()
                }
            }
        })
    }
}

fn port(name: &str, declared: &ValueType, optional: bool) -> Result<Port, Error> {
    let name = name.to_owned();
    let ValueType::Tensor { ty, shape, .. } = declared else {
        return Err(unsupported(format!("input `{name}`, which is no tensor")));
    };
    let Some(kind) = kind(*ty) else {
        return Err(unsupported(format!("{ty} as the element kind of input `{name}`")));
    };
    // An input of undeclared rank looks like a scalar here; the library checks what comes in.
    let sizes: Vec<_> = shape.iter().map(|size| usize::try_from(*size).ok()).collect();
    Ok(Port { name, kind, shape: (!sizes.is_empty()).then_some(sizes), optional })
}

fn kind(element: TensorElementType) -> Option<Kind> {
    Some(match element {
        TensorElementType::Float16 => Kind::F16,
        TensorElementType::Float32 => Kind::F32,
        TensorElementType::Float64 => Kind::F64,
        TensorElementType::Int8 => Kind::I8,
        TensorElementType::Int16 => Kind::I16,
        TensorElementType::Int32 => Kind::I32,
        TensorElementType::Int64 => Kind::I64,
        TensorElementType::Uint8 => Kind::U8,
        TensorElementType::Uint16 => Kind::U16,
        TensorElementType::Uint32 => Kind::U32,
        TensorElementType::Uint64 => Kind::U64,
        TensorElementType::Bool => Kind::Bool,
        _ => return None,
    })
}

/// A value that borrows the elements of `array` where they lie in order, else a copy of them.
fn value(array: &Array) -> Result<SessionInputValue<'_>, Error> {
    with_array!(array, a => if a.is_standard_layout() {
        TensorRef::from_array_view(a.view()).map(Into::into)
    } else {
        Tensor::from_array(a.as_standard_layout().into_owned()).map(Into::into)
    })
    .map_err(|e| failed(&e))
}

/// The array with the elements of `value`, copied once.
fn array(name: &str, value: &DynValue) -> Result<Array, Error> {
    let ValueType::Tensor { ty, .. } = value.dtype() else {
        return Err(unsupported(format!("output `{name}`, which is no tensor")));
    };
    let Some(kind) = kind(*ty) else {
        return Err(unsupported(format!("{ty} as the element kind of output `{name}`")));
    };
    with_kind!(kind, T => value.try_extract_array::<T>().map(|view| view.to_owned().into())).map_err(|e| failed(&e))
}

/// What the library said to a model, sorted by what its words and its code tell.
fn refused(error: &ort::Error) -> Error {
    let reason = error.message().trim().to_owned();
    let lacks = ["No Op registered", "is not a registered function/op", "NOT_IMPLEMENTED"];
    if error.code() == ErrorCode::NotImplemented || lacks.iter().any(|words| reason.contains(words)) {
        return unsupported(reason);
    }
    Error::Invalid { engine: NAME, reason }
}

fn failed(error: &ort::Error) -> Error {
    Error::Run { engine: NAME, reason: error.message().trim().to_owned() }
}

fn lost(output: &str) -> Error {
    Error::Run { engine: NAME, reason: format!("it gave no output `{output}`") }
}

fn unsupported(what: String) -> Error {
    Error::Unsupported { engine: NAME, what }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn session(threads: usize) -> Option<Box<dyn Session>> {
        let engine = OnnxRuntime::new(&Options { threads, ..Options::default() }).ok()?;
        let model = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/digits-cnn.onnx")).unwrap();
        Some(engine.prepare(&model).unwrap())
    }

    #[test]
    fn runs_of_several_threads_give_what_each_gives_alone() {
        for threads in [1, 2] {
            let Some(session) = session(threads) else { return };
            let image = |n: usize| {
                let pixel = |at: ndarray::IxDyn| (at[2] * n % 11 + at[3] % (n + 1)) as f32 / 11.0;
                Array::from(ndarray::ArrayD::from_shape_fn(vec![1, 1, 28, 28], pixel))
            };
            let scores = |n: usize| match session.run(&[("input", &image(n))]).unwrap().remove(0).1 {
                Array::F32(scores) => scores,
                other => panic!("{}", other.kind()),
            };
            let alone: Vec<_> = (0..8).map(scores).collect();
            assert_ne!(alone[0], alone[3]);
            std::thread::scope(|scope| {
                for n in 0..8 {
                    let (alone, scores) = (&alone, &scores);
                    scope.spawn(move || {
                        (0..20).for_each(|more| assert_eq!(scores((n + more) % 8), alone[(n + more) % 8]))
                    });
                }
            });
        }
    }

    #[test]
    fn a_run_that_fails_says_why_and_leaves_the_session_to_the_next() {
        for threads in [1, 2] {
            let Some(session) = session(threads) else { return };
            let run =
                |width| session.run(&[("input", &Array::from(ndarray::ArrayD::<f32>::zeros(vec![1, 1, 28, width])))]);
            for _ in 0..3 {
                assert!(run(28).is_ok());
                let failed = run(5);
                assert!(matches!(&failed, Err(Error::Input(_) | Error::Run { .. })), "{failed:?}");
            }
        }
    }

    #[test]
    fn version_comes_from_the_file_name_and_the_build() {
        let build = "ORT Build Info: git-branch=HEAD, git-commit-id=fab30a4, build type=Release";
        for (file, expected) in [
            ("capi/libonnxruntime.so.1.32.0", "1.32.0 fab30a4"),
            ("capi/libonnxruntime.1.32.0.dylib", "1.32.0 fab30a4"),
            ("capi/onnxruntime.dll", "fab30a4"),
        ] {
            assert_eq!(version(Path::new(file), build), expected);
        }
        assert_eq!(version(Path::new("libonnxruntime.so"), ""), "");
    }
}
