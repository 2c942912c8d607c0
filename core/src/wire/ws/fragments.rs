//! A message on its way: what fragmentation and reads have cut.

use alloc::vec::Vec;

use bytes::Bytes;

use super::{Received, Violation};
use crate::{packet::Message, text::Text, wire::Arena};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Binary,
}

/// The received part of a message that is not complete.
pub(super) struct Fragments {
    /// Which message is under way, from the head of its first frame to the end of its last.
    pub(super) kind: Option<Kind>,
    /// Frames so far, in 32 bits so that a socket stays small.
    pub(super) count: u32,
    /// The message is compressed.
    pub(super) compressed: bool,
    bytes: Vec<u8>,
    /// How many of `bytes` are known to be whole, valid characters, if the message is text. After
    /// them comes at most the beginning of one character.
    validated: usize,
}

impl Fragments {
    pub(super) const NONE: Self =
        Self { kind: None, count: 0, compressed: false, bytes: Vec::new(), validated: 0 };

    pub(super) const fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    #[cfg(test)]
    pub(super) const fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Forgets what has come, but not that a message is under way.
    pub(super) fn discard(&mut self) {
        *self = Self { kind: self.kind, ..Self::NONE };
    }

    /// The last frame of the message is complete: the next one starts another.
    pub(super) fn end(&mut self) -> Option<Kind> {
        self.count = 0;
        self.compressed = false;
        self.kind.take()
    }

    /// Appends `payload`; `rest` says how many bytes are known to follow it.
    pub(super) fn append(
        &mut self,
        kind: Kind,
        payload: &[u8],
        ascii: bool,
        rest: Option<usize>,
    ) -> Result<(), Violation> {
        self.reserve(payload.len(), rest);
        let aligned = self.validated == self.bytes.len();
        self.bytes.extend_from_slice(payload);
        if kind == Kind::Text {
            self.validated = if ascii && aligned {
                self.bytes.len()
            } else {
                // Invalid bytes are refused as soon as they come, so that a peer learns of its
                // fault early and no more of the message is kept.
                match simdutf8::compat::from_utf8(&self.bytes[self.validated..]) {
                    Ok(_) => self.bytes.len(),
                    Err(error) if error.error_len().is_none() => {
                        self.validated + error.valid_up_to()
                    }
                    Err(error) => {
                        return Err(Violation::InvalidUtf8 {
                            at: self.validated + error.valid_up_to(),
                        });
                    }
                }
            };
        }
        Ok(())
    }

    /// Makes room for `n` bytes: for twice of what will have come then, so that appending stays
    /// linear, but for no more than is known to come. Never for what was only announced: a head of
    /// 14 bytes must not cost us a megabyte.
    fn reserve(&mut self, n: usize, rest: Option<usize>) {
        if self.bytes.capacity() - self.bytes.len() < n {
            let come = self.bytes.len() + n;
            let ahead = rest.map_or(come, |rest| rest.min(come));
            self.bytes.reserve_exact(n + ahead);
        }
    }

    /// The message that is now complete.
    pub(super) fn finish(&mut self, kind: Kind, arena: &mut Arena) -> Result<Received, Violation> {
        let bytes = core::mem::take(&mut self.bytes);
        let validated = core::mem::take(&mut self.validated);
        if kind == Kind::Text && validated != bytes.len() {
            return Err(Violation::InvalidUtf8 { at: validated });
        }
        let bytes = if bytes.len() <= Arena::MAX_SHARED {
            arena.copy(&bytes)
        } else {
            // Without the room that was ahead.
            Bytes::from(bytes.into_boxed_slice())
        };
        Ok(Received::Message(match kind {
            Kind::Text => Message::Text(Text::from_validated(bytes)),
            Kind::Binary => Message::Binary(bytes),
        }))
    }
}
