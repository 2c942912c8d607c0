//! The bytes of one read, consumed from the front.

use core::fmt;

/// A driver's read buffer, from which a machine takes bytes at the front. The machine may change
/// the bytes that it takes: WebSocket payloads are unmasked in place.
pub struct Input<'a> {
    rest: &'a mut [u8],
}

impl<'a> Input<'a> {
    /// All of `bytes` still to be taken.
    pub fn new(bytes: &'a mut [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Returns the bytes that have not been taken yet.
    pub fn rest(&self) -> &[u8] {
        self.rest
    }

    /// Number of bytes that have not been taken yet.
    pub fn len(&self) -> usize {
        self.rest.len()
    }

    /// Whether everything has been taken.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Takes the first `n` bytes, or all if there are fewer.
    pub fn take(&mut self, n: usize) -> &'a mut [u8] {
        let rest = core::mem::take(&mut self.rest);
        let (taken, rest) = rest.split_at_mut(n.min(rest.len()));
        self.rest = rest;
        taken
    }
}

/// Without the bytes, which may be those of a request and hold a session id.
impl fmt::Debug for Input<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Input").field("len", &self.len()).finish()
    }
}
