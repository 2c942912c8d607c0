//! Results of functions, and the text of the last error.

use std::{
    any::Any,
    cell::RefCell,
    ffi::{CStr, CString, c_char},
    fmt,
    panic::{self, AssertUnwindSafe},
};

use enginewire::SendError;
use enginewire_socketio::{EmitError, EncodeError};

/// Result of a function. Errors are negative, and `ew_last_error` has their text.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ew_code {
    /// The command was carried out; or, from a function `.._is_..`, no.
    EW_OK = 0,
    /// Yes, from a function `.._is_..`.
    EW_YES = 1,
    /// The hub is zero, was freed, or never existed.
    EW_ERROR_HUB = -1,
    /// The hub is of a kind that does not have this function.
    EW_ERROR_KIND = -2,
    /// The hub is in use, by another thread or by the caller of a callback.
    EW_ERROR_BUSY = -3,
    /// The hub is broken: only `ew_hub_free` takes it.
    ///
    /// Its entropy source has failed, or it has panicked, which is a bug.
    EW_ERROR_BROKEN = -4,
    /// An argument is invalid. The text says which, and why.
    EW_ERROR_ARGUMENT = -5,
    /// The connection, session, socket or request no longer exists, or is closed.
    EW_ERROR_CLOSED = -6,
    /// There is no room. An output says when there is some again.
    EW_ERROR_FULL = -7,
    /// The client owes as many acknowledgements as it may.
    EW_ERROR_TOO_MANY_ACKS = -8,
    /// The event is volatile, and could not have been sent at once.
    EW_ERROR_NOT_IDLE = -9,
}

/// An error before it crosses the ABI.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: ew_code,
    text: String,
}

impl Failure {
    pub(crate) fn new(code: ew_code, text: impl fmt::Display) -> Self {
        Self { code, text: text.to_string() }
    }

    pub(crate) fn argument(text: impl fmt::Display) -> Self {
        Self::new(ew_code::EW_ERROR_ARGUMENT, text)
    }

    pub(crate) fn closed(what: &str) -> Self {
        Self::new(ew_code::EW_ERROR_CLOSED, format_args!("the {what} no longer exists"))
    }

    pub(crate) fn kind() -> Self {
        Self::new(ew_code::EW_ERROR_KIND, "a hub of this kind does not have this function")
    }
}

impl From<EmitError> for Failure {
    fn from(error: EmitError) -> Self {
        let code = match &error {
            EmitError::Encode(_) => ew_code::EW_ERROR_ARGUMENT,
            EmitError::Full { .. } => ew_code::EW_ERROR_FULL,
            EmitError::TooManyAcks { .. } => ew_code::EW_ERROR_TOO_MANY_ACKS,
            EmitError::NotIdle => ew_code::EW_ERROR_NOT_IDLE,
            _ => ew_code::EW_ERROR_CLOSED,
        };
        Self::new(code, error)
    }
}

impl From<EncodeError> for Failure {
    fn from(error: EncodeError) -> Self {
        EmitError::from(error).into()
    }
}

impl From<SendError> for Failure {
    fn from(error: SendError) -> Self {
        let code = match error {
            SendError::Full { .. } => ew_code::EW_ERROR_FULL,
            _ => ew_code::EW_ERROR_CLOSED,
        };
        Self::new(code, error)
    }
}

/// Result of a command, or answer of a question.
pub(crate) trait IntoCode {
    fn into_code(self) -> ew_code;
}

impl IntoCode for () {
    fn into_code(self) -> ew_code {
        ew_code::EW_OK
    }
}

impl IntoCode for bool {
    fn into_code(self) -> ew_code {
        if self { ew_code::EW_YES } else { ew_code::EW_OK }
    }
}

/// Runs the body of a function of the ABI. Errors and panics become codes.
pub(crate) fn enter<T: IntoCode>(body: impl FnOnce() -> Result<T, Failure>) -> ew_code {
    // A hub that has panicked is poisoned, and nothing else is kept between two calls.
    let result = panic::catch_unwind(AssertUnwindSafe(body));
    let failure = match result {
        Ok(Ok(value)) => return value.into_code(),
        Ok(Err(failure)) => failure,
        Err(payload) => Failure::new(ew_code::EW_ERROR_BROKEN, message(&*payload)),
    };
    let text: Vec<u8> = failure.text.bytes().filter(|&byte| byte != 0).collect();
    let text = CString::new(text).unwrap_or_default();
    // Fails in a thread that is ending.
    let _ = LAST_ERROR.try_with(|last| last.replace(Some(text)));
    failure.code
}

fn message(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("panicked")
}

thread_local! {
    static LAST_ERROR: RefCell<Option<CString>> = const { RefCell::new(None) };
}

/// Returns the text of the last error of this thread.
///
/// It ends with a NUL. Empty if there was none. Valid until the next error of this thread.
#[unsafe(no_mangle)]
pub extern "C" fn ew_last_error() -> *const c_char {
    let last = LAST_ERROR.try_with(|last| last.borrow().as_ref().map(|text| text.as_ptr()));
    last.ok().flatten().unwrap_or(c"".as_ptr())
}

/// Returns the version of the library, such as `0.1.0`, with a NUL at its end.
#[unsafe(no_mangle)]
pub extern "C" fn ew_version() -> *const c_char {
    VERSION.as_ptr()
}

const VERSION: &CStr = {
    let bytes = concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes();
    match CStr::from_bytes_with_nul(bytes) {
        Ok(version) => version,
        Err(_) => c"",
    }
};
