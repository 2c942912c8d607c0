//! Buffers that a thread lends to the connection that it serves.

use std::cell::Cell;

use enginewire::{carrier, wire::Output};

use crate::runtime::fill_random;

/// Buffers for the one connection that the thread is working on. An idle connection has none.
pub(crate) struct Scratch {
    /// The bytes of a read. The buffer is free after each poll, because pending reads have taken
    /// nothing.
    pub(crate) input: Box<[u8]>,
    /// Buffers of the connection.
    pub(crate) connection: carrier::Scratch,
    /// Bytes to be written by a client.
    pub(crate) output: Output,
    /// Supplies of the server.
    pub(crate) supplies: Supplies,
}

/// Random bytes and compressors for the connections of a thread.
pub(crate) struct Supplies {
    /// Random bytes that have not been used.
    pub(crate) entropy: EntropyPool,
    /// Compressors of responses.
    pub(crate) compressors: carrier::Compressors,
}

impl Scratch {
    /// Size of a read in bytes. A socket's default receive buffer holds 64 KiB when a peer streams. Files are sent in
    /// pieces of as many, so a message of that size is to come in one read with the heads around it.
    const INPUT: usize = 65 * 1024;

    /// Storage of the output that a thread keeps between polls.
    const KEPT_OUTPUT: usize = 256 * 1024;

    /// Runs `work` with this thread's buffers. Buffers are taken out while they are in use, so a
    /// nested call (an executor that polls a task while another polls) has its own.
    pub(crate) fn with<T>(work: impl FnOnce(&mut Self) -> T) -> T {
        thread_local! {
            static SCRATCH: Cell<Option<Box<Scratch>>> = const { Cell::new(None) };
        }
        // While a thread ends its buffers may be gone already.
        let mut scratch =
            SCRATCH.try_with(Cell::take).ok().flatten().unwrap_or_else(|| Box::new(Self::new()));
        let result = work(&mut scratch);
        debug_assert!(scratch.output.is_empty(), "the next connection would write it");
        scratch.output.shrink(Self::KEPT_OUTPUT);
        let _ = SCRATCH.try_with(|slot| slot.set(Some(scratch)));
        result
    }

    fn new() -> Self {
        Self {
            input: vec![0; Self::INPUT].into_boxed_slice(),
            connection: carrier::Scratch::new(),
            output: Output::new(),
            supplies: Supplies {
                entropy: EntropyPool::new(),
                compressors: carrier::Compressors::new(),
            },
        }
    }
}

/// Random bytes fetched in bulk: asking the operating system for the fifteen of one session id costs
/// nearly as much as asking for hundreds.
pub(crate) struct EntropyPool {
    bytes: [u8; Self::SIZE],
    /// Number of bytes given out. They are zeroed, so that a session id is not left lying around.
    used: usize,
}

impl EntropyPool {
    const SIZE: usize = 510;

    pub(crate) const fn new() -> Self {
        Self { bytes: [0; Self::SIZE], used: Self::SIZE }
    }

    /// Fills `buffer` from the pool, and the pool from the operating system when it runs dry.
    pub(crate) fn fill(&mut self, buffer: &mut [u8]) {
        self.fill_from(buffer, fill_random);
    }

    fn fill_from(&mut self, buffer: &mut [u8], source: impl Fn(&mut [u8])) {
        if buffer.len() > Self::SIZE - self.used {
            if buffer.len() > Self::SIZE {
                return source(buffer);
            }
            source(&mut self.bytes);
            self.used = 0;
        }
        let given = &mut self.bytes[self.used..self.used + buffer.len()];
        buffer.copy_from_slice(given);
        given.fill(0);
        self.used += buffer.len();
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn entropy_is_never_given_out_twice() {
        let calls = Cell::new(0u8);
        let source = |buffer: &mut [u8]| {
            calls.set(calls.get() + 1);
            for (i, byte) in buffer.iter_mut().enumerate() {
                *byte = u8::try_from(i / 15 + 1).unwrap_or(0) + calls.get() * 40;
            }
        };
        let mut pool = EntropyPool::new();
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..68 {
            let mut id = [0; 15];
            pool.fill_from(&mut id, source);
            assert!(seen.insert(id), "{id:?} came twice");
        }
        assert_eq!(calls.get(), 2);
        assert!(pool.bytes.iter().all(|&byte| byte == 0), "what was given out is still there");
        let mut large = [0; 1000];
        pool.fill_from(&mut large, source);
        assert_eq!(calls.get(), 3);
    }

    #[test]
    fn nested_use_has_buffers_of_its_own() {
        Scratch::with(|outer| {
            outer.input[0] = 1;
            Scratch::with(|inner| assert_eq!(inner.input[0], 0));
            assert_eq!(outer.input[0], 1);
        });
    }
}
