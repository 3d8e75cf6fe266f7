//! Runs of one session, as many at a time as there are threads that ask for one.
//!
//! On the processor a run changes nothing of its session: the library's authors say that `Run` may be called by several
//! threads at a time there (microsoft/onnxruntime, issues 114 and 22967). On other devices it is known to crash. The crate
//! `ort` lets a session have one run at a time whatever its device is, so the library's function is called here without it.

use std::ffi::{CString, c_char};
use std::ptr::{self, NonNull};

use ort::session::{Session, SessionInputValue};
use ort::value::DynValue;
use ort::{AsPointer, Error, sys};

/// A session on the processor.
pub(super) struct SharedSession {
    session: Session,
    /// The names of all of its outputs.
    outputs: Vec<CString>,
}

impl SharedSession {
    /// Shares a session, which must be one on the processor.
    ///
    /// # Errors
    /// Where the name of an output has a zero byte.
    pub(super) fn new(session: Session) -> Result<Self, Error> {
        let outputs = (session.outputs().iter()).map(|output| terminated(output.name())).collect::<Result<_, _>>()?;
        Ok(Self { session, outputs })
    }

    /// All outputs, in the session's order, for inputs by their names.
    ///
    /// # Errors
    /// Those of the library. Also where a name has a zero byte.
    #[allow(unsafe_code)]
    pub(super) fn run(&self, inputs: &[(&str, SessionInputValue<'_>)]) -> Result<Vec<DynValue>, Error> {
        let names = inputs.iter().map(|(name, _)| terminated(name)).collect::<Result<Vec<_>, _>>()?;
        let names: Vec<*const c_char> = names.iter().map(|name| name.as_ptr()).collect();
        let values: Vec<*const sys::OrtValue> = inputs.iter().map(|(_, value)| value.ptr()).collect();
        let outputs: Vec<*const c_char> = self.outputs.iter().map(|name| name.as_ptr()).collect();
        let mut made: Vec<*mut sys::OrtValue> = vec![ptr::null_mut(); outputs.len()];
        // SAFETY: the names end with a zero byte and live, as the values do, until the call returns; each array has as many
        // elements as is said. The session is one on the processor, so runs of other threads may go on. A value that comes
        // back is this function's to release, which `DynValue` does; the status is released with what is made of it.
        let values = unsafe {
            let status = (ort::api().Run)(
                self.session.ptr().cast_mut(),
                ptr::null(),
                names.as_ptr(),
                values.as_ptr(),
                values.len(),
                outputs.as_ptr(),
                outputs.len(),
                made.as_mut_ptr(),
            );
            Error::result_from_status(status)?;
            let value = |value| Some(DynValue::from_ptr(NonNull::new(value)?, Some(self.session.allocator())));
            made.into_iter().map(value).collect::<Option<Vec<_>>>()
        };
        values.ok_or_else(|| Error::new("it left out an output"))
    }
}

fn terminated(name: &str) -> Result<CString, Error> {
    CString::new(name).map_err(|_| Error::new(format!("there is a zero byte in the name {name:?}")))
}
