//! A request for a session of another node, and its response.

mod exchange;
mod head;
#[cfg(test)]
mod tests;

use alloc::vec::Vec;
use core::{mem, time::Duration};

use bytes::Buf;

pub use self::{
    exchange::{RelayedExchange, RelayedResponse},
    head::{is_handed_over, write_head},
};
use super::{HandOver, Host, Next, WRITE_CHUNK};
use crate::{
    router::HandOverFault,
    time::Time,
    wire::{
        Output,
        http::{Config, ResponseHead},
    },
};

/// Bytes on the way between a client and the node that has its session.
///
/// A request is handed over with its connection, which ends with the response: the body, the response and the
/// messages of a WebSocket pass as they come, so that the owner's rules hold as if the client were connected to it. Each
/// direction holds as much as a socket takes at once, and a side that is not read throttles the other.
///
/// ```text
/// Connecting ── first bytes written ──> Waiting ── head of the response ──> Passing ──> Ended
///      └──────────── deadline ─────────────┴──> HandOverFault, for the client
/// ```
pub(super) struct Relay<F> {
    node: F,
    /// Bytes of the client that wait for the owner.
    to_node: Output,
    /// The head of the response, until it is whole.
    head: Option<Gathering>,
    heads: Heads,
    is_upgrade: bool,
    /// The response is the last of the connection: what the client sends behind it is nothing for the owner.
    is_final: bool,
    /// The client has closed its side.
    client_ended: bool,
    /// The owner has, or its connection is lost.
    node_ended: bool,
    /// The owner has not: nothing has moved for too long.
    is_late: bool,
    /// There was no room for what the owner may have sent.
    is_throttled: bool,
    deadline: Time,
    /// Time in which at least one byte is to move.
    patience: Duration,
}

/// One pass of bytes between a connection to another node and a [`Host`].
pub struct Passage<'a> {
    /// Bytes for the node. As many are taken from the front as its socket takes.
    pub to_node: &'a mut Output,
    /// The client sends nothing behind these.
    pub is_last: bool,
    /// Limit on the bytes to read.
    pub room: usize,
    /// Takes what was read.
    pub from_node: &'a mut dyn FnMut(&[u8]),
}

/// State of the connection to another node after a [`Passage`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeState {
    /// More may come. The host wakes the connection then.
    Open,
    /// The node sends nothing more, or the connection is lost.
    Ended,
}

/// The bytes of a head, and how many of them have been searched for its end.
#[derive(Default)]
struct Gathering {
    bytes: Vec<u8>,
    searched: usize,
}

/// Form in which heads of responses reach the client.
enum Heads {
    /// Bytes, as they came.
    Passed,
    /// The last one, parsed.
    Kept(Option<ResponseHead>),
}

impl<F> Relay<F> {
    /// Begins to hand a request over. Returns `None` if its session is unknown after all.
    pub(super) fn begin<H: Host<Request = F>>(
        now: Time,
        host: &mut H,
        request: HandOver,
    ) -> Option<Self> {
        let is_upgrade = request.is_upgrade;
        let mut first = Output::new();
        let node = host.hand_over(request, &mut first)?;
        let config = host.router().config();
        // By then the heartbeat has moved a byte in one direction or ended the session. Twice that leaves it to the owner.
        let patience = (config.ping_interval + config.ping_timeout) * 2;
        Some(Self {
            node,
            to_node: first,
            head: Some(Gathering::default()),
            heads: Heads::Passed,
            is_upgrade,
            is_final: false,
            client_ended: false,
            node_ended: false,
            is_late: false,
            is_throttled: false,
            deadline: now + host.http().head_timeout,
            patience,
        })
    }

    /// Takes bytes of the client.
    ///
    /// Once there is a response that switches no protocols, they are no part of the request, and dropped. They could be
    /// further requests otherwise, which the owner would take for this node's.
    pub(super) fn handle_bytes(&mut self, bytes: &[u8]) {
        if let Some(to_node) = self.request() {
            to_node.put_slice(bytes);
        }
    }

    /// Returns the place of bytes of the client, if the owner is to have any.
    const fn request(&mut self) -> Option<&mut Output> {
        match self.node_ended || self.is_final {
            true => None,
            false => Some(&mut self.to_node),
        }
    }

    /// Notes that the client has closed its side.
    pub(super) const fn handle_eof(&mut self) {
        self.client_ended = true;
    }

    /// Passes on what it can, and gives `output` what is for the client.
    ///
    /// # Errors
    ///
    /// There is no response to pass on: the client is to get one that says so.
    pub(super) fn drive<H: Host<Request = F>>(
        &mut self,
        now: Time,
        host: &mut H,
        output: &mut Output,
    ) -> Result<(), HandOverFault> {
        let passed = self.pass(now, host, output);
        passed.inspect_err(|&fault| host.hand_over_failed(&self.node, fault))
    }

    fn pass<H: Host<Request = F>>(
        &mut self,
        now: Time,
        host: &mut H,
        output: &mut Output,
    ) -> Result<(), HandOverFault> {
        if self.node_ended {
            return Ok(());
        }
        let room = WRITE_CHUNK.saturating_sub(output.remaining());
        self.is_throttled = room == 0;
        let (waiting, held) = (self.to_node.remaining(), output.remaining());
        let mut gathered = 0;
        let state = host.relay(
            &mut self.node,
            Passage {
                to_node: &mut self.to_node,
                is_last: self.client_ended,
                room,
                from_node: &mut |bytes| match &mut self.head {
                    Some(head) => {
                        gathered += bytes.len();
                        head.bytes.extend_from_slice(bytes);
                    }
                    None => output.put_slice(bytes),
                },
            },
        )?;
        if gathered > 0 {
            self.check_head(host.http(), output)?;
        }
        let moved = gathered > 0 || output.remaining() > held || self.to_node.remaining() < waiting;
        if moved {
            self.deadline = now + self.patience;
        }
        let is_late = now >= self.deadline;
        if state == NodeState::Ended || is_late {
            self.node_ended = true;
            self.is_late = state == NodeState::Open;
            // A client that does not wait for a response is gone, and the owner has been told.
            if self.head.is_some() && !self.client_ended {
                return Err(match state {
                    NodeState::Ended => HandOverFault::NoResponse,
                    NodeState::Open => HandOverFault::Timeout,
                });
            }
        }
        Ok(())
    }

    /// Gives the client the head of the response once it is whole, interim ones before it, and what has come behind it.
    fn check_head(&mut self, config: &Config, output: &mut Output) -> Result<(), HandOverFault> {
        let max = config.max_head.min(ResponseHead::MAX_LEN);
        while let Some(head) = &mut self.head {
            // The end may have been cut before.
            let from = head.searched.saturating_sub(END.len() - 1);
            head.searched = head.bytes.len();
            let found = memchr::memmem::find(&head.bytes[from..], END);
            let end = match found.map(|at| from + at + END.len()) {
                Some(end) if end <= max => end,
                None if head.bytes.len() < max => return Ok(()),
                _ => return Err(HandOverFault::InvalidResponse),
            };
            let parsed = ResponseHead::parse(&head.bytes[..end], config.max_headers)
                .map_err(|_| HandOverFault::InvalidResponse)?;
            let is_interim = matches!(parsed.status(), 100 | 102..200);
            match parsed.status() {
                101 if !self.is_upgrade => return Err(HandOverFault::InvalidResponse),
                101 => {}
                _ => self.is_final = !is_interim,
            }
            let mut bytes = mem::take(&mut head.bytes);
            let rest = bytes.split_off(end);
            match &mut self.heads {
                Heads::Passed => output.put_slice(&bytes),
                Heads::Kept(kept) => *kept = (!is_interim).then_some(parsed),
            }
            if is_interim {
                *head = Gathering { bytes: rest, searched: 0 };
            } else {
                output.put_slice(&rest);
                self.head = None;
            }
        }
        Ok(())
    }

    /// Extends the deadline to `until`: bytes may wait to be read.
    pub(super) fn extend_deadline(&mut self, until: Time) {
        self.deadline = self.deadline.max(until);
    }

    /// Returns when nothing has moved for too long. [`drive`](Self::drive) follows.
    pub(super) fn deadline(&self) -> Option<Time> {
        (!self.node_ended).then_some(self.deadline)
    }

    /// Returns how long the client may take no byte.
    ///
    /// A client that does not read is for the owner to end, which is not read either then.
    pub(super) const fn patience(&self) -> Duration {
        self.patience
    }

    /// Returns whether to read from the client.
    pub(super) fn wants_input(&self) -> bool {
        !self.client_ended && !self.node_ended && self.to_node.remaining() < WRITE_CHUNK
    }

    /// Returns whether to [`drive`](Self::drive) again once everything has been written.
    pub(super) const fn is_throttled(&self) -> bool {
        self.is_throttled && !self.node_ended
    }

    /// Decides how the connection of the client goes on, once everything has been written to it.
    ///
    /// A server that is not `running` waits for the rest of a response alone: what has not begun may take as long as a
    /// session lives.
    pub(super) const fn next(&self, running: bool) -> Next {
        match (self.node_ended, self.client_ended) {
            (true, true) => Next::End,
            (true, false) => Next::Linger,
            (false, _) if !running && (self.is_upgrade || self.head.is_some()) => Next::Linger,
            (false, _) => Next::Stay,
        }
    }
}

/// The end of a head.
const END: &[u8] = b"\r\n\r\n";
