//! Randomness, as an argument.

/// A source of unpredictable bytes. It is lent to the few calls that need one: session ids on the
/// server, masking keys on the client.
///
/// In production it must be cryptographically secure, because whoever guesses a session id owns the
/// session. A test or a simulation passes a seeded generator and gets the same run every time. Any
/// `FnMut(&mut [u8])` is one.
pub trait Entropy {
    /// Fills `buffer` with fresh random bytes.
    fn fill(&mut self, buffer: &mut [u8]);
}

impl<F: FnMut(&mut [u8])> Entropy for F {
    fn fill(&mut self, buffer: &mut [u8]) {
        self(buffer);
    }
}
