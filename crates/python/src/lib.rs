//! The native half of the Python package `hirescam`.
//!
//! It turns what Python has into what the library takes, and the other way round: options into a [`Spec`](hirescam::Spec), images into samples,
//! errors into exceptions. It knows nothing itself of networks, targets or maps. What Python users meet is in `python/hirescam`.

mod array;
mod batch;
mod data;
mod error;
mod explainer;
mod explanation;
mod image;
mod methods;
mod metrics;
mod network;
mod scored;
mod session;
mod spec;
mod work;

use pyo3::prelude::*;

#[pymodule]
mod _hirescam {
    use super::*;

    #[pymodule_export]
    use super::batch::{
        Publisher, Worker, batch_files, batch_merge, batch_missing, batch_named, batch_plan, batch_retry, batch_run,
        batch_status, batch_verify, parts_commit, parts_done,
    };
    #[pymodule_export]
    use super::explainer::{Explainer, Inputs};
    #[pymodule_export]
    use super::explanation::{Certificate, Explanation};
    #[pymodule_export]
    use super::image::Image;
    #[pymodule_export]
    use super::methods::{on_arrays, one_run};
    #[pymodule_export]
    use super::metrics::{Metrics, PointingGame};
    #[pymodule_export]
    use super::network::Network;
    #[pymodule_export]
    use super::scored::{imputed, metric_defaults, scored};
    #[pymodule_export]
    use super::session::{Parts, Session, renamed, values, with_outputs};
    #[pymodule_export]
    use super::spec::Spec;

    #[pymodule_export]
    #[allow(non_upper_case_globals)]
    const __version__: &str = env!("CARGO_PKG_VERSION");

    /// Runs the command line, the program's name first, and gives the exit code.
    #[pyfunction]
    fn main(py: Python, args: Vec<std::ffi::OsString>) -> u8 {
        py.detach(|| hirescam_cli::run(args))
    }

    /// Says where the installed package onnxruntime is, or that there is none.
    #[pyfunction]
    fn found_onnxruntime(folder: Option<std::path::PathBuf>) {
        hirescam::engine::onnxruntime::found_package(folder);
    }
}
