//! Queue of frames to be sent, in order, by whichever transport.

use alloc::collections::VecDeque;

use crate::{
    codec::{Frame, PacketRef, PayloadEncoder, base64, encode_frame, message_frame, open_frame},
    encoded::Encoded,
    limits::Limits,
    packet::{Message, Revision},
    text::Text,
};

/// The data of a probe and of its answer.
pub(crate) const PROBE: &str = "probe";

/// Why a message was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The queue is at its limit. [`Event::Writable`](crate::Event::Writable) will tell when to try again.
    #[error("{queued} bytes wait for the peer, the limit is {max}")]
    Full {
        /// Bytes queued, as [`Limits::max_queued`] counts.
        queued: usize,
        /// [`Limits::max_queued`].
        max: usize,
    },
    /// The session is closing or closed.
    #[error("the session is closed")]
    Closed,
}

/// A message that was not taken: nothing is lost, and it may be sent again.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{reason}")]
pub struct TrySendError {
    /// The message.
    pub message: Encoded,
    /// Why.
    pub reason: SendError,
}

impl From<TrySendError> for SendError {
    fn from(error: TrySendError) -> Self {
        error.reason
    }
}

/// A packet that waits.
#[derive(Clone, Debug, Hash)]
pub(crate) enum Queued {
    Open(Text),
    Ping,
    Pong,
    /// What is left of a probe once its upgrade is complete.
    ProbePong,
    Message(Encoded),
}

/// The packets that wait, and how much of the limit they take.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct Queue {
    packets: VecDeque<Queued>,
    /// Parts of the first packet that are already out.
    parts_out: usize,
    /// What the messages count for, as [`Limits::max_queued`] counts.
    bytes: usize,
    /// Pongs that wait.
    pongs: u8,
    /// A ping waits.
    ping: bool,
    /// A message was refused, and nobody was told since that there is room again.
    full: bool,
    /// Something was taken since [`Queue::note_deadline`].
    moved: bool,
}

impl Queue {
    pub(crate) fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn push_control(&mut self, packet: Queued) {
        self.packets.push_back(packet);
    }

    /// Puts a packet before the others, but not into an event of which some parts are already out.
    pub(crate) fn push_first(&mut self, packet: Queued) {
        self.packets.insert(usize::from(self.parts_out > 0), packet);
    }

    /// Asks whether the peer is there, unless that waits to be asked already: a peer that reads nothing
    /// may still send pongs, each of which makes the next ping due.
    pub(crate) fn push_ping(&mut self) {
        if !core::mem::replace(&mut self.ping, true) {
            self.packets.push_back(Queued::Ping);
        }
    }

    /// Answers a ping, unless so many answers wait already that the peer, which does
    /// not read them, will not miss one.
    ///
    /// It goes before the messages that wait, as on a slow line it would come too late behind them, but
    /// not before the handshake or the rest of an event.
    pub(crate) fn push_pong(&mut self) {
        if self.pongs < MAX_PONGS {
            self.pongs += 1;
            let begun = usize::from(self.parts_out > 0);
            let is_control = |packet: &&Queued| !matches!(packet, Queued::Message(_));
            let control = self.packets.iter().skip(begun).take_while(is_control).count();
            self.packets.insert(begun + control, Queued::Pong);
        }
    }

    /// Takes a message, unless the limit has been reached. The last one may go beyond it: whoever
    /// was told that there is room must not find that his message is too large for it.
    #[inline]
    pub(crate) fn push_message(
        &mut self,
        message: Encoded,
        limits: &Limits,
    ) -> Result<(), Encoded> {
        if self.bytes >= limits.max_queued {
            self.full = true;
            return Err(message);
        }
        self.bytes += cost(&message);
        self.packets.push_back(Queued::Message(message));
        Ok(())
    }

    /// Whether writers that wait for room should be told of it: not before half of it is there, so
    /// that they are not woken for one message each.
    pub(crate) const fn is_writable(&self, limits: &Limits) -> bool {
        self.bytes <= limits.max_queued / 2
    }

    /// Whether a message was refused and writers have not been told since that there is room again.
    pub(crate) const fn take_writable(&mut self, limits: &Limits) -> bool {
        let writable = self.full && self.is_writable(limits);
        if writable {
            self.full = false;
        }
        writable
    }

    /// A deadline for the peer's silence has been set.
    pub(crate) const fn note_deadline(&mut self) {
        self.moved = false;
    }

    /// Whether all room is taken, and the peer has taken nothing since
    /// [`note_deadline`](Self::note_deadline).
    pub(crate) const fn is_stuck(&self, limits: &Limits) -> bool {
        self.bytes >= limits.max_queued && !self.moved
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Returns the messages that wait. One of which some parts are already out counts.
    pub(crate) fn messages(&self) -> usize {
        self.packets.iter().filter(|packet| matches!(packet, Queued::Message(_))).count()
    }

    /// Whether a binary message waits.
    pub(crate) fn has_binary(&self) -> bool {
        self.packets.iter().any(|packet| match packet {
            Queued::Message(message) => (0..message.parts())
                .filter_map(|index| message.part(index))
                .any(|part| part.message().is_binary()),
            _ => false,
        })
    }

    /// Takes the next packet as a WebSocket frame.
    #[inline]
    pub(crate) fn pop_frame(&mut self, revision: Revision, base64: bool) -> Option<Frame> {
        if let Some((message, compress)) = self.pop_single(base64) {
            return Some(message_frame(revision, message).with_compression(compress, None));
        }
        if let Some(Queued::Open(_)) = self.packets.front()
            && let Some(Queued::Open(handshake)) = self.packets.pop_front()
        {
            self.moved = true;
            return Some(open_frame(handshake));
        }
        let (packet, last) = self.front()?;
        let mut frame = encode_frame(revision, packet, base64);
        if let PacketRef::Message(part) = packet {
            frame = frame.with_compression(self.is_compressible(), part.compressed());
        }
        self.advance(last);
        Some(frame)
    }

    /// Takes the next packet if it is one message that goes into a frame as it is: nearly always.
    #[inline]
    fn pop_single(&mut self, base64: bool) -> Option<(Message, bool)> {
        let Some(Queued::Message(message)) = self.packets.front() else { return None };
        let message = message.as_single().filter(|message| !(base64 && message.is_binary()))?;
        self.bytes -= message.len() + Limits::MESSAGE_OVERHEAD;
        self.moved = true;
        match self.packets.pop_front() {
            Some(Queued::Message(message)) => {
                let compress = message.is_compressible();
                Some((message.into_single()?, compress))
            }
            _ => None,
        }
    }

    /// Whether the first packet may be compressed.
    fn is_compressible(&self) -> bool {
        !matches!(self.packets.front(), Some(Queued::Message(it)) if !it.is_compressible())
    }

    /// Takes as many packets as the payload has room for. Returns whether any of them may be compressed.
    pub(crate) fn fill(&mut self, payload: &mut PayloadEncoder) -> bool {
        let mut compressible = false;
        if self.packets.len() > 1 {
            // A single one has an allocation of exactly its size.
            payload.reserve(self.packets.iter().map(encoded_len).sum());
        }
        while let Some((packet, last)) = self.front() {
            if !payload.push(packet) {
                break;
            }
            // Packets of the protocol are short, and must not have others compressed.
            let front = self.packets.front();
            compressible |= matches!(front, Some(Queued::Message(it)) if it.is_compressible());
            self.advance(last);
        }
        compressible
    }

    /// The next packet, and whether it is the last of its kind's one or several parts.
    fn front(&self) -> Option<(PacketRef<'_>, bool)> {
        Some(match self.packets.front()? {
            Queued::Open(handshake) => (PacketRef::Open(handshake), true),
            Queued::Ping => (PacketRef::Ping(""), true),
            Queued::Pong => (PacketRef::Pong(""), true),
            Queued::ProbePong => (PacketRef::Pong(PROBE), true),
            Queued::Message(message) => {
                let part = message.part(self.parts_out)?;
                (PacketRef::Message(part), self.parts_out + 1 == message.parts())
            }
        })
    }

    fn advance(&mut self, last: bool) {
        self.moved = true;
        if !last {
            self.parts_out += 1;
            return;
        }
        self.parts_out = 0;
        match self.packets.pop_front() {
            Some(Queued::Message(message)) => self.bytes -= cost(&message),
            Some(Queued::Pong) => self.pongs -= 1,
            Some(Queued::Ping) => self.ping = false,
            _ => {}
        }
    }

    /// Places for packets that there are.
    #[cfg(test)]
    pub(crate) fn capacity(&self) -> usize {
        self.packets.capacity()
    }

    /// Gives back the storage of a burst that is over.
    pub(crate) fn shrink(&mut self) {
        if self.packets.is_empty() && self.packets.capacity() > KEPT {
            self.packets = VecDeque::new();
        }
    }
}

/// Length of a packet in a payload, or a little more.
fn encoded_len(packet: &Queued) -> usize {
    let Queued::Message(message) = packet else { return 0 };
    let parts = (0..message.parts()).filter_map(|index| message.part(index));
    let len = |message: &Message| match message {
        Message::Text(text) => text.len(),
        Message::Binary(bytes) => base64::encoded_len(bytes.len()),
    };
    parts.map(|part| len(part.message()) + AROUND).sum()
}

/// Bytes around a packet of a payload: its type and the separator, or its length.
const AROUND: usize = 2;

/// What a message counts for.
fn cost(message: &Encoded) -> usize {
    message.len() + message.parts() * Limits::MESSAGE_OVERHEAD
}

/// Places for packets that an idle session keeps, which is what it has had in a burst of as many.
pub(crate) const KEPT: usize = 16;

/// Pongs that may wait at a time.
const MAX_PONGS: u8 = 16;
