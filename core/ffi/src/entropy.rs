//! The entropy source of a hub.

use std::ffi::c_void;

use crate::code::Failure;

/// Source of bytes that nobody can guess: ids of sessions are made of them.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ew_entropy {
    /// Fills `length` bytes and returns 0. Anything else breaks the hub.
    ///
    /// It is called by whatever thread uses the hub, and must not use the hub itself.
    pub fill:
        Option<unsafe extern "C" fn(context: *mut c_void, bytes: *mut u8, length: usize) -> i32>,
    /// First argument of `fill`. It must be valid for as long as the hub.
    pub context: *mut c_void,
}

/// An entropy source that is there.
#[derive(Clone, Copy)]
pub(crate) struct Source {
    fill: unsafe extern "C" fn(*mut c_void, *mut u8, usize) -> i32,
    context: *mut c_void,
}

// SAFETY: the creator of a hub promises that the function may be called by whatever thread uses it.
unsafe impl Send for Source {}

impl ew_entropy {
    pub(crate) fn source(self) -> Result<Source, Failure> {
        let fill = self.fill.ok_or_else(|| Failure::argument("entropy.fill is null"))?;
        Ok(Source { fill, context: self.context })
    }
}

impl enginewire::Entropy for Source {
    fn fill(&mut self, buffer: &mut [u8]) {
        // SAFETY: the creator of the hub promises that it fills so many bytes there.
        let result = unsafe { (self.fill)(self.context, buffer.as_mut_ptr(), buffer.len()) };
        assert!(result == 0, "the entropy source has failed with {result}");
    }
}
