//! Where ONNX Runtime's library is on this machine.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::{Error, Options};

/// Names the library file for every program on this machine.
const VARIABLE: &str = "ORT_DYLIB_PATH";

/// Prints the folder of the installed wheel. The working directory is left out: what lies there is
/// no installed package, and must not be able to pass for one.
const ASK_PYTHON: &str = "\
import sys
sys.path = [p for p in sys.path if p]
from importlib.util import find_spec
spec = find_spec('onnxruntime')
print((spec and spec.submodule_search_locations or [''])[0])";

/// Where a program that knows its own interpreter has found the package `onnxruntime`.
static HOME: OnceLock<Option<PathBuf>> = OnceLock::new();

/// Says where the folder of the installed package `onnxruntime` is, or that there is none. Interpreters are not asked then. What
/// is said first holds; what was looked for before stays as it was found.
pub fn found_package(folder: Option<PathBuf>) {
    HOME.get_or_init(|| folder);
}

/// The library file of ONNX Runtime: the one in `options`, else the one that the environment
/// variable `ORT_DYLIB_PATH` names, else the one in the `onnxruntime` package: that of [`found_package`], where it was called, else
/// that of the active virtual environment or of the `python3` on the path.
///
/// # Errors
/// [`Error::NotFound`] where there is none, or the one that was named is no file.
pub fn find_library(options: &Options) -> Result<PathBuf, Error> {
    if let Some(path) = &options.library {
        return named(path, "the given library");
    }
    if let Some(path) = in_environment() {
        return named(Path::new(&path), VARIABLE);
    }
    in_wheels().ok_or_else(|| {
        Error::NotFound(format!(
            "ONNX Runtime's library was not found: `pip install onnxruntime`, or give the path of \
             the library file, as an option or in the environment variable {VARIABLE}"
        ))
    })
}

/// Whether nothing says that there is a library on this machine.
pub(crate) fn is_nowhere() -> bool {
    in_environment().is_none() && in_wheels().is_none()
}

fn in_environment() -> Option<OsString> {
    std::env::var_os(VARIABLE).filter(|path| !path.is_empty())
}

/// The library of an installed package. Interpreters take long to ask: it is looked for once.
fn in_wheels() -> Option<PathBuf> {
    static FOUND: OnceLock<Option<PathBuf>> = OnceLock::new();
    let find = || match HOME.get() {
        Some(folder) => in_package(folder.as_deref()?),
        None => pythons().iter().find_map(in_wheel),
    };
    FOUND.get_or_init(find).clone()
}

fn named(path: &Path, by: &str) -> Result<PathBuf, Error> {
    if path.is_file() {
        return Ok(path.to_owned());
    }
    let path = path.display();
    Err(Error::NotFound(format!("{by}, {path}, is no file; ONNX Runtime's library is wanted")))
}

/// The interpreters to ask, the one of the active virtual environment first.
fn pythons() -> Vec<OsString> {
    let inside = if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" };
    let active = std::env::var_os("VIRTUAL_ENV").filter(|path| !path.is_empty());
    active
        .map(|path| Path::new(&path).join(inside).into_os_string())
        .into_iter()
        .chain(["python3".into(), "python".into()])
        .collect()
}

fn in_wheel(python: &OsString) -> Option<PathBuf> {
    let answer = Command::new(python).args(["-c", ASK_PYTHON]).output().ok()?;
    let folder = String::from_utf8(answer.stdout).ok()?;
    let folder = folder.trim_end_matches(['\r', '\n']);
    if folder.is_empty() { None } else { in_package(Path::new(folder)) }
}

fn in_package(folder: &Path) -> Option<PathBuf> {
    in_folder(&folder.join("capi"))
}

/// The library in `folder`, the last by name where there are several.
fn in_folder(folder: &Path) -> Option<PathBuf> {
    let entries = std::fs::read_dir(folder).ok()?;
    entries.flatten().map(|entry| entry.path()).filter(|path| is_library(path)).max()
}

fn is_library(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    // `libonnxruntime_providers_….so` is another thing.
    match name.strip_prefix("libonnxruntime.") {
        Some(rest) => rest == "so" || rest.starts_with("so.") || rest.ends_with("dylib"),
        None => name == "onnxruntime.dll",
    }
}

/// Whether `path` is an ELF file that ends before its table of sections does: the system's loader
/// does not refuse such a file, it kills the process.
pub(crate) fn is_cut_short(path: &Path) -> bool {
    let mut header = [0; 64];
    let Ok(mut file) = File::open(path) else {
        return false;
    };
    let (Ok(()), Ok(metadata)) = (file.read_exact(&mut header), file.metadata()) else {
        return false;
    };
    // 64 bits, least byte first: every Linux that ONNX Runtime is built for.
    let [0x7f, b'E', b'L', b'F', 2, 1, ..] = header else {
        return false;
    };
    let number = |at: usize, bytes: usize| {
        let digits = header.iter().skip(at).take(bytes).rev();
        digits.fold(0u64, |sum, digit| sum << 8 | u64::from(*digit))
    };
    // e_shoff + e_shentsize * e_shnum
    number(40, 8).saturating_add(number(58, 2) * number(60, 2)) > metadata.len()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn tells_the_library_from_its_neighbours() {
        for (name, is) in [
            ("libonnxruntime.so", true),
            ("libonnxruntime.so.1.32.0", true),
            ("libonnxruntime.1.32.0.dylib", true),
            ("libonnxruntime.dylib", true),
            ("onnxruntime.dll", true),
            ("libonnxruntime_providers_shared.so", false),
            ("onnxruntime_pybind11_state.cpython-311-x86_64-linux-gnu.so", false),
            ("onnxruntime_providers_shared.dll", false),
        ] {
            assert_eq!(is_library(Path::new("capi").join(name).as_path()), is, "{name}");
        }
    }

    #[test]
    fn a_named_library_must_be_there() {
        let options = Options { library: Some("no/such/libonnxruntime.so".into()), ..Options::default() };
        let message = find_library(&options).unwrap_err().to_string();
        assert!(message.contains("no/such/libonnxruntime.so"), "{message}");
    }

    #[test]
    #[cfg(all(target_os = "linux", target_pointer_width = "64"))]
    fn tells_a_file_that_is_cut_short() {
        let whole = std::env::current_exe().unwrap();
        assert!(!is_cut_short(&whole));
        let bytes = std::fs::read(&whole).unwrap();
        let part = std::env::temp_dir().join(format!("cut-short-{}", std::process::id()));
        std::fs::write(&part, &bytes[..bytes.len() / 2]).unwrap();
        let is = is_cut_short(&part);
        std::fs::remove_file(&part).unwrap();
        assert!(is);
    }
}
