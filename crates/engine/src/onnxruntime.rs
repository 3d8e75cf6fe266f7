//! The engine `onnxruntime`: Microsoft's ONNX Runtime, on the processor or a GPU of NVIDIA.
//!
//! Its library is loaded at run time, once for the whole process, from where [`find_library`] finds
//! it. Sums are split over threads in ways that the library decides: outputs may differ in their
//! last bits from one number of threads, or one machine, to the next. With one thread on the
//! processor, runs of one session go side by side where several threads ask for them, each on a
//! copy of the model that the library then makes; else they wait for each other, as each has all
//! threads that there are.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::available_parallelism;

use ort::environment::Environment;
use ort::ep::CUDA;
use ort::logging::LogLevel;
use ort::session::SessionInputValue;
use ort::session::builder::SessionBuilder;
use ort::value::{DynValue, Tensor, TensorElementType, TensorRef, ValueType};
use ort::{ErrorCode, LoadDynamicError};

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

    /// How many runs of a session may go side by side.
    fn side_by_side(&self) -> usize {
        match (self.threads, self.device) {
            (1, Device::Cpu) => available_parallelism().map_or(1, usize::from),
            _ => 1,
        }
    }

    fn session(&self, model: &[u8]) -> Result<ort::session::Session, Error> {
        self.builder()?.commit_from_memory(model).map_err(|e| refused(&e))
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
            let session = self.session(model)?;
            let optional = session.overridable_initializers();
            let ports = (session.inputs().iter())
                .map(|input| port(input.name(), input.dtype(), false))
                .chain(optional.iter().map(|input| port(input.name(), input.dtype(), true)))
                .collect::<Result<_, _>>()?;
            let outputs = session.outputs().iter().map(|output| output.name().to_owned()).collect();
            let sessions = Sessions::new(*self, model, session);
            Ok(Box::new(OnnxRuntimeSession { ports, outputs, sessions }) as Box<dyn Session>)
        })
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
    sessions: Sessions,
}

/// The library's sessions of one model. Each takes one run at a time: the library's own `Run` is not
/// safe to call from several threads at a time with every kind of device.
struct Sessions {
    engine: OnnxRuntime,
    /// How many there may be.
    most: usize,
    idle: Mutex<Idle>,
    returned: Condvar,
}

struct Idle {
    sessions: Vec<ort::session::Session>,
    /// How many there are, those that run too.
    all: usize,
    /// What more of them are made of; none once there are as many as there may be.
    model: Option<Arc<[u8]>>,
}

impl Sessions {
    fn new(engine: OnnxRuntime, model: &[u8], first: ort::session::Session) -> Self {
        let most = engine.side_by_side();
        let model = (most > 1).then(|| model.into());
        let idle = Mutex::new(Idle { sessions: vec![first], all: 1, model });
        Self { engine, most, idle, returned: Condvar::new() }
    }

    /// What `work` does with a session that no other run has.
    fn with<T>(&self, work: impl FnOnce(&mut ort::session::Session) -> Result<T, Error>) -> Result<T, Error> {
        let mut session = self.take()?;
        let made = guard(NAME, || work(&mut session));
        self.idle().sessions.push(session);
        self.returned.notify_one();
        made
    }

    /// A session that is idle: one is made where all run and there may be more, else it is waited for.
    fn take(&self) -> Result<ort::session::Session, Error> {
        let mut idle = self.idle();
        loop {
            match (idle.sessions.pop(), idle.model.clone()) {
                (Some(session), _) => return Ok(session),
                (None, Some(model)) => {
                    idle.all += 1;
                    if idle.all == self.most {
                        idle.model = None;
                    }
                    drop(idle);
                    return guard(NAME, || self.engine.session(&model)).inspect_err(|_| {
                        let mut idle = self.idle();
                        idle.all -= 1;
                        idle.model = Some(model.clone());
                        self.returned.notify_one();
                    });
                }
                (None, None) => idle = self.returned.wait(idle).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    fn idle(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session for OnnxRuntimeSession {
    fn run(&self, inputs: &[(&str, &Array)]) -> Result<Vec<(String, Array)>, Error> {
        let given = assign(&self.ports, inputs)?;
        guard(NAME, || {
            let given = self.ports.iter().zip(given).filter_map(|(port, a)| Some((port, a?)));
            let values = given
                .map(|(port, array)| Ok((port.name.as_str(), value(array)?)))
                .collect::<Result<Vec<_>, Error>>()?;
            self.sessions.with(|session| {
                let results = session.run(values).map_err(|e| failed(&e))?;
                self.outputs
                    .iter()
                    .map(|name| {
                        let result = results.get(name).ok_or_else(|| lost(name))?;
                        Ok((name.clone(), array(name, result)?))
                    })
                    .collect()
            })
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

    /// How many sessions there are, and how many are idle.
    fn counts(sessions: &Sessions) -> (usize, usize) {
        let idle = sessions.idle();
        (idle.all, idle.sessions.len())
    }

    #[test]
    fn runs_on_one_thread_go_side_by_side() {
        for threads in [1, 2] {
            let Ok(engine) = OnnxRuntime::new(&Options { threads, ..Options::default() }) else { return };
            let model = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/digits-cnn.onnx")).unwrap();
            let sessions = Sessions::new(engine, &model, engine.session(&model).unwrap());
            let most = engine.side_by_side();
            assert_eq!(most, if threads == 1 { available_parallelism().unwrap().get() } else { 1 });
            // Each run starts while those before it go on.
            fn nested(sessions: &Sessions, depth: usize) {
                sessions
                    .with(|_| {
                        (depth > 1).then(|| nested(sessions, depth - 1));
                        Ok(())
                    })
                    .unwrap();
            }
            nested(&sessions, most);
            assert_eq!(counts(&sessions), (most, most));
            // A run that breaks off leaves its session to the next, and no more are made than may run.
            let broken: Result<(), Error> = sessions.with(|_| panic!("broken"));
            assert!(matches!(broken, Err(Error::Panicked { .. })));
            std::thread::scope(|scope| {
                for _ in 0..4 * most {
                    scope.spawn(|| sessions.with(|_| Ok(())).unwrap());
                }
            });
            assert_eq!(counts(&sessions), (most, most));
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
