//! A connection that has become a WebSocket of a session.

use alloc::vec::Vec;
use core::time::Duration;

use bytes::Buf;

use super::{Guard, Next};
use crate::{
    codec::Frame,
    deflate::DeflateParameters,
    limits::Limits,
    packet::Message,
    progress::Progress,
    session::{ServerAction, WebSocketEnd, WebSocketId},
    time::Time,
    wire::{
        Arena, Input, Output,
        ws::{Closed, Received, Role, WebSocket},
    },
};

/// Messages on the way between a WebSocket and its session. One serves all connections of a thread.
#[derive(Debug, Default)]
pub struct Transit {
    messages: Vec<Message>,
    end: Option<WebSocketEnd>,
    /// Frames of the session that are to be compressed once it has been unlocked, and those behind them.
    frames: Vec<Frame>,
    /// Our Close comes behind them.
    closes: bool,
}

impl Transit {
    /// Makes an empty one.
    pub const fn new() -> Self {
        Self { messages: Vec::new(), end: None, frames: Vec::new(), closes: false }
    }

    /// Drops messages of the peer, as there is no session for them.
    pub fn clear(&mut self) {
        self.messages.clear();
        self.end = None;
    }
}

/// A WebSocket that carries a session, or wants to.
///
/// One pass: [`handle_bytes`](Self::handle_bytes), then [`exchange`](Self::exchange) with the session, which is unlocked
/// then, then [`compress`](Self::compress), then write, then [`next`](Self::next).
#[derive(Debug)]
pub struct WebSocketCarrier {
    on: WebSocketId,
    ws: WebSocket,
    /// The session takes messages.
    reading: bool,
    /// Bytes that the WebSocket itself has put out (pongs) since the peer last took everything.
    replies: u32,
    /// Bytes that have been read since the session was last told.
    received: u32,
    /// This side of the closing handshake.
    closing: Closing,
    /// That of the peer.
    peer: Peer,
    /// The session may have more than was taken the last time.
    unfinished: bool,
    /// The session is being moved to it.
    probing: bool,
}

/// This side of the closing handshake (RFC 6455 section 7.1.2).
///
/// ```text
/// Open ── exchange ──> Draining ── next, flushed ──> Sent
///  └─────── lose ────────> Lost
/// ```
#[derive(Debug)]
enum Closing {
    /// It has not begun: the WebSocket is the session's. In all other states the session has let go of it.
    Open,
    /// Our Close waits to be written, behind what was queued.
    Draining {
        /// When the peer must have taken it.
        deadline: Time,
        /// Counts towards the next extension of that, if what was queued is to arrive.
        progress: Option<Progress>,
    },
    /// Everything has been written, our Close included. The peer has until then for its own.
    Sent { deadline: Time },
    /// The connection is gone.
    Lost,
}

/// The peer's side of the closing handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Peer {
    Open,
    /// It has sent its Close, and nothing will come behind it.
    Closed,
    /// It has closed its side of the connection, without a Close.
    Lost,
}

impl WebSocketCarrier {
    /// A WebSocket directly after its handshake, which has agreed on `compression`.
    ///
    /// `on` is the name under which its session knows it.
    pub(crate) fn new(
        on: WebSocketId,
        limits: &Limits,
        compression: Option<DeflateParameters>,
    ) -> Self {
        let ws = WebSocket::new(Role::Server, limits.max_payload, limits.max_fragments);
        Self {
            on,
            ws: ws.with_compression(compression),
            reading: true,
            replies: 0,
            received: 0,
            closing: Closing::Open,
            peer: Peer::Open,
            unfinished: true,
            probing: false,
        }
    }

    /// The name under which the session knows it.
    pub const fn id(&self) -> WebSocketId {
        self.on
    }

    /// When the end of the closing handshake is no longer waited for.
    pub const fn deadline(&self) -> Option<Time> {
        match self.closing {
            Closing::Draining { deadline, .. } | Closing::Sent { deadline } => Some(deadline),
            Closing::Open | Closing::Lost => None,
        }
    }

    /// Extends the closing handshake to `until`: the peer's Close may wait to be read.
    pub fn extend_deadlines(&mut self, until: Time) {
        if let Closing::Draining { deadline, .. } | Closing::Sent { deadline } = &mut self.closing {
            *deadline = (*deadline).max(until);
        }
    }

    /// Returns whether to read.
    ///
    /// Not while the application has too much to catch up with. Not while the peer does not read the replies that
    /// it causes. Not once its Close has come.
    pub const fn wants_input(&self) -> bool {
        self.reading && !matches!(self.peer, Peer::Closed) && !self.is_flooded()
    }

    /// Returns whether too many replies wait for the peer to be read.
    pub const fn is_flooded(&self) -> bool {
        self.replies as usize >= MAX_REPLIES
    }

    /// Returns the limit on the bytes of one read, before the session has their messages.
    pub const fn max_read(&self) -> usize {
        self.ws.max_read()
    }

    /// Whether the session is being moved to it.
    pub const fn is_probing(&self) -> bool {
        self.probing
    }

    /// Whether the session may have more than was taken the last time.
    pub const fn is_unfinished(&self) -> bool {
        self.unfinished
    }

    /// Whether the session has been let go of. Then there is nothing to exchange with it.
    pub const fn is_detached(&self) -> bool {
        !matches!(self.closing, Closing::Open)
    }

    /// Adds to `transit` what came, and to `output` what the WebSocket itself answers.
    pub fn handle_bytes(
        &mut self,
        bytes: &mut [u8],
        arena: &mut Arena,
        transit: &mut Transit,
        output: &mut Output,
    ) {
        let before = output.remaining();
        self.received = self.received.saturating_add(count(bytes.len()));
        let mut input = Input::new(bytes);
        while let Some(received) = self.ws.handle_bytes(&mut input, arena, output) {
            match received {
                Received::Message(message) => transit.messages.push(message),
                Received::Closed(closed) => {
                    if matches!(closed, Closed::Peer { .. }) {
                        self.peer = Peer::Closed;
                    }
                    transit.end = Some(match closed {
                        Closed::Violation(violation) => WebSocketEnd::Violation(violation),
                        _ => WebSocketEnd::Closed,
                    });
                }
            }
        }
        self.replies = self.replies.saturating_add(count(output.remaining() - before));
    }

    /// The peer has closed its side of the connection. Behind its Close that tells nothing: it may
    /// still read what was queued before ours.
    pub fn handle_eof(&mut self, transit: &mut Transit) {
        if self.peer == Peer::Open {
            self.peer = Peer::Lost;
            transit.end = Some(WebSocketEnd::Closed);
        }
    }

    /// Gives the session what came and does as it says.
    ///
    /// With `pull`, takes frames from it as well. They can no longer move to another transport, nor be
    /// counted as queued: take no more than the connection is likely to, and nothing while it is
    /// blocked.
    ///
    /// Once the closing handshake has begun, the peer has the session's
    /// [`close_deadline`](crate::ServerSession::close_deadline) to take what was queued before. It has `linger` if
    /// the session came to another end, as its messages are lost then.
    pub fn exchange<G: Guard>(
        &mut self,
        now: Time,
        guard: &mut G,
        transit: &mut Transit,
        output: &mut Output,
        pull: bool,
        linger: Duration,
    ) {
        let session = guard.session();
        session.handle_progress(now, core::mem::take(&mut self.received) as usize);
        for message in transit.messages.drain(..) {
            session.handle_websocket_message(now, self.on, message);
        }
        if let Some(end) = transit.end.take() {
            session.handle_websocket_lost(now, self.on, end);
        }
        if session.close_deadline().is_some_and(|deadline| deadline <= now) {
            // The session may be over with what is pulled, and hands its deadline on to the connection.
            guard.expire(now);
        }
        let session = guard.session();
        self.unfinished = !pull;
        let mut waiting = 0;
        while !self.unfinished
            && let Some(frame) = session.poll_write(self.on)
        {
            if !transit.frames.is_empty() || self.ws.compresses(&frame) {
                waiting += frame.len();
                transit.frames.push(frame);
            } else {
                self.ws.write(frame.binary, frame.prefix, &frame.payload, output);
            }
            self.unfinished = output.remaining() + waiting >= WRITE_CHUNK;
        }
        let action = guard.take_action();
        let session = guard.session();
        self.reading = session.is_receiving();
        self.probing = session.is_upgrading();
        let closes = matches!(action, Some(ServerAction::CloseWebSocket(_)));
        let waits = !transit.frames.is_empty();
        if closes && !waits {
            self.ws.close(None, "", output);
        }
        transit.closes = closes && waits;
        if closes || self.ws.is_closing() {
            // From here on the peer's answer is all that matters.
            self.unfinished = false;
            self.reading = true;
            let session = guard.session();
            let drains = session.close_deadline();
            let progress = drains.map(|_| {
                let mut progress = Progress::default();
                progress.restart(session.close_timeout());
                progress
            });
            self.closing = Closing::Draining { deadline: drains.unwrap_or(now + linger), progress };
            guard.detach();
        }
    }

    /// Compresses the frames of the last [`exchange`](Self::exchange), and writes them to `output`.
    ///
    /// The session need not be locked.
    #[inline]
    pub fn compress(&mut self, transit: &mut Transit, arena: &mut Arena, output: &mut Output) {
        for frame in transit.frames.drain(..) {
            self.ws.write_frame(&frame, arena, output);
        }
        if core::mem::take(&mut transit.closes) {
            self.ws.close(None, "", output);
        }
    }

    /// Counts bytes that the socket has taken after it was full.
    ///
    /// They say that the peer reads, however slowly; see
    /// [`Outbox::take_progress`](super::Outbox::take_progress). `lock` takes the session; it is called
    /// only if the session is to know.
    ///
    /// Once the closing handshake has begun, the peer of a session that was closed in order has longer to
    /// take what was queued before. Call it before [`next`](Self::next).
    pub fn note_written<G: Guard>(&mut self, now: Time, bytes: usize, lock: impl FnOnce() -> G) {
        if bytes == 0 {
            return;
        }
        match &mut self.closing {
            Closing::Open => lock().session().handle_written(now, bytes),
            Closing::Draining { deadline, progress: Some(progress) } => {
                if let Some(patience) = progress.add(bytes) {
                    *deadline = (*deadline).max(now + patience);
                }
            }
            Closing::Draining { .. } | Closing::Sent { .. } | Closing::Lost => {}
        }
    }

    /// The connection is gone: tells the session, unless it knows.
    pub fn lose<G: Guard>(&mut self, now: Time, guard: &mut G, end: WebSocketEnd) {
        if let Closing::Open = core::mem::replace(&mut self.closing, Closing::Lost) {
            guard.session().handle_websocket_lost(now, self.on, end);
            guard.detach();
        }
    }

    /// How the connection goes on after a write, which has `flushed` everything or not. Once our
    /// Close is among that, the peer has `linger` for its own.
    pub fn next(&mut self, now: Time, flushed: bool, linger: Duration) -> Next {
        if flushed {
            self.replies = 0;
            if let Closing::Draining { .. } = self.closing {
                self.closing = Closing::Sent { deadline: now + linger };
            }
        }
        // Once both Close frames have passed a peer sends nothing behind its own: nothing can reset
        // the connection, so it need not linger. The server closes first (RFC 6455 section 7.1.1).
        if self.peer == Peer::Lost || (flushed && self.peer == Peer::Closed) {
            return Next::End;
        }
        if flushed && self.ws.is_closed() { Next::Linger } else { Next::Stay }
    }
}

/// Bytes that wait to be written when no more frames are taken.
///
/// As much as a socket takes at once, and enough to make the system call's own cost small.
pub const WRITE_CHUNK: usize = 64 * 1024;

/// Bytes of pongs that may wait for a peer before it is not read any more.
pub(crate) const MAX_REPLIES: usize = 16 * 1024;

/// The number of bytes, or as many as are ever asked for.
fn count(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}
