//! Answers of a server that keeps no order among the messages of a connection.

use std::collections::VecDeque;

use crate::{Result, frame};

/// The messages of a connection that have no answer yet.
#[derive(Default)]
pub(super) struct Disorder {
    unread: Vec<u8>,
    /// By their numbers, in the order of sending.
    missing: VecDeque<usize>,
    answers: usize,
    /// Answers that came before one to an earlier message.
    early: usize,
}

/// Findings in received bytes.
#[derive(Default)]
pub(super) struct Found {
    pub(super) answers: usize,
    pub(super) pinged: bool,
}

impl Disorder {
    pub(super) fn sent(&mut self, message: usize) {
        self.missing.push_back(message);
    }

    /// Takes whole frames out of the bytes that came. Each is a ping, or `answer` of one of the missing.
    pub(super) fn take<'a>(
        &mut self,
        bytes: &[u8],
        answer: impl Fn(usize) -> &'a [u8],
    ) -> Result<Found> {
        self.unread.extend_from_slice(bytes);
        let (mut at, mut found) = (0, Found::default());
        while let Some(frame) = frame::parse(&self.unread[at..]) {
            let bytes = &self.unread[at..at + frame.payload.end];
            at += bytes.len();
            if bytes == PING {
                found.pinged = true;
                continue;
            }
            let place = self.missing.iter().position(|&message| answer(message) == bytes);
            let Some(place) = place else {
                let bytes = bytes.escape_ascii();
                return Err(format!("no answer to a message that waits for one: {bytes}").into());
            };
            self.missing.remove(place);
            self.answers += 1;
            self.early += usize::from(place > 0);
            found.answers += 1;
        }
        self.unread.drain(..at);
        Ok(found)
    }

    /// Returns how many answers came before one to an earlier message, and how many came.
    pub(super) fn early(&self) -> (usize, usize) {
        (self.early, self.answers)
    }
}

/// A ping of Engine.IO as a frame.
const PING: &[u8] = &[0x80 | frame::TEXT, 1, b'2'];
