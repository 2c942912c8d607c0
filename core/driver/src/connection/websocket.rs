//! A connection that has become a WebSocket of a session.

use std::{
    sync::Arc,
    task::{Context, Poll, Waker},
};

use bytes::Buf;
use enginewire::{
    SocketEnd, SocketId, Time,
    wire::{
        Input,
        ws::{Closed, Received, Role as WsRole, WebSocket},
    },
};

use super::{Link, Progress};
use crate::{
    cell::{Order, SessionCell},
    runtime::Runtime,
    scratch::Scratch,
};

/// A WebSocket and the session that it carries, or wants to.
pub(super) struct Socket<R: Runtime> {
    on: SocketId,
    cell: Arc<SessionCell<R>>,
    ws: WebSocket,
    /// The session takes messages.
    reading: bool,
    /// Bytes that the WebSocket itself has put out (pongs) since the socket last took everything.
    replies: usize,
    /// When the end of the closing handshake is no longer waited for.
    close_deadline: Option<Time>,
    /// The session knows that this WebSocket is no more, or has said so itself.
    detached: bool,
    /// What came behind the handshake, in the same segment.
    early: Vec<u8>,
    /// The session may have more than was taken the last time.
    unfinished: bool,
}

impl<R: Runtime> Socket<R> {
    /// `on` is the name under which the session knows this connection as one of its carriers.
    pub(super) fn new(on: SocketId, cell: Arc<SessionCell<R>>, early: Vec<u8>) -> Self {
        let limits = &cell.shared.router.config().limits;
        let ws = WebSocket::new(WsRole::Server, limits.max_payload, limits.max_fragments);
        Self {
            on,
            cell,
            ws,
            reading: true,
            replies: 0,
            close_deadline: None,
            detached: false,
            early,
            unfinished: true,
        }
    }

    pub(super) const fn deadline(&self) -> Option<Time> {
        self.close_deadline
    }

    /// One look: read, hand the messages over and take the frames under one lock, write. `woken`
    /// says that it is the first since the task was woken, which may have been by the session.
    pub(super) fn drive(
        &mut self,
        link: &mut Link<R>,
        now: Time,
        cx: &mut Context<'_>,
        scratch: &mut Scratch,
        woken: bool,
    ) -> Progress<R> {
        if self.close_deadline.is_some_and(|deadline| deadline <= now) {
            return Progress::Ended;
        }
        let mut more = false;
        let mut end = None;
        // A peer that makes us answer but does not read the answers is not read either.
        if !self.early.is_empty() {
            let mut early = std::mem::take(&mut self.early);
            end = self.decode(&mut early, link, scratch);
            more = true;
        } else if self.reading && self.replies < MAX_REPLIES {
            let mut input = std::mem::take(&mut scratch.input);
            match link.poll_read(cx, &mut input) {
                Poll::Ready(Ok(0)) => end = Some(Closed::Lost),
                Poll::Ready(Ok(n)) => {
                    end = self.decode(&mut input[..n], link, scratch);
                    more = true;
                }
                Poll::Ready(Err(_)) => {
                    scratch.input = input;
                    self.detach(now, SocketEnd::Failed);
                    return Progress::Ended;
                }
                Poll::Pending => {}
            }
            scratch.input = input;
        }
        let lost = matches!(end, Some(Closed::Lost));
        let shaken = matches!(end, Some(Closed::Peer { .. }));
        if woken || more || end.is_some() || self.unfinished {
            more |= self.exchange(link, now, cx.waker(), scratch, end);
        }
        match link.writer.poll_flush(&mut link.stream, &mut scratch.output, cx, now) {
            Poll::Ready(Ok(())) => {
                if shaken {
                    // Both Close frames have passed, and a peer sends nothing behind its own: nothing
                    // can reset the connection, so it need not linger. The server closes first (RFC
                    // 6455 section 7.1.1).
                    return Progress::Ended;
                }
                more |= self.unfinished || self.replies >= MAX_REPLIES;
                self.replies = 0;
            }
            Poll::Ready(Err(_)) => {
                self.detach(now, SocketEnd::Failed);
                return Progress::Ended;
            }
            Poll::Pending => {}
        }
        if lost {
            return Progress::Ended;
        }
        if self.ws.is_closed() {
            return Progress::Become(link.lingering(now));
        }
        if more { Progress::More } else { Progress::Idle }
    }

    /// Turns bytes into messages, which wait in the thread's buffer.
    fn decode(
        &mut self,
        bytes: &mut [u8],
        link: &mut Link<R>,
        scratch: &mut Scratch,
    ) -> Option<Closed> {
        let output = link.writer.output(&mut scratch.output);
        let before = output.remaining();
        let mut input = Input::new(bytes);
        let mut end = None;
        while let Some(received) = self.ws.handle_bytes(&mut input, &mut scratch.arena, output) {
            match received {
                Received::Message(message) => scratch.messages.push(message),
                Received::Closed(closed) => end = Some(closed),
            }
        }
        self.replies += output.remaining() - before;
        end
    }

    /// Gives the session what came, and takes what it has. Says whether the peer is to be read
    /// again, after it was not.
    fn exchange(
        &mut self,
        link: &mut Link<R>,
        now: Time,
        waker: &Waker,
        scratch: &mut Scratch,
        end: Option<Closed>,
    ) -> bool {
        if self.detached {
            scratch.messages.clear();
            return false;
        }
        let mut guard = self.cell.lock_as(self.on.0);
        for message in scratch.messages.drain(..) {
            guard.session().handle_socket_message(now, self.on, message);
        }
        if let Some(closed) = end {
            guard.session().handle_socket_lost(now, self.on, closed.into_end());
        }
        // What has been taken can no longer move to another transport, nor be counted as queued:
        // take no more than the socket is likely to.
        self.unfinished = link.writer.is_blocked();
        while !self.unfinished
            && let Some(frame) = guard.session().poll_write(self.on)
        {
            self.ws.write(frame.binary, frame.prefix, &frame.payload, &mut scratch.output);
            self.unfinished = scratch.output.remaining() >= WRITE_CHUNK;
        }
        let (order, reading) = guard.take_order(waker);
        let resumed = reading && !self.reading;
        self.reading = reading;
        if let Some(Order::CloseSocket) = order {
            self.ws.close(None, "", link.writer.output(&mut scratch.output));
        }
        if self.ws.is_closing() {
            // From here on the peer's answer is all that matters.
            self.detached = true;
            self.reading = true;
            guard.detach(self.on.0);
            self.close_deadline = Some(now + link.shared.options.linger);
        }
        resumed
    }

    /// The connection is gone.
    pub(super) fn lose(&mut self, now: Time) {
        self.detach(now, SocketEnd::Closed);
    }

    fn detach(&mut self, now: Time, end: SocketEnd) {
        if !std::mem::replace(&mut self.detached, true) {
            let mut guard = self.cell.lock();
            guard.session().handle_socket_lost(now, self.on, end);
            guard.detach(self.on.0);
        }
    }
}

trait IntoEnd {
    fn into_end(self) -> SocketEnd;
}

impl IntoEnd for Closed {
    fn into_end(self) -> SocketEnd {
        match self {
            Self::Violation(violation) => SocketEnd::Violation(violation),
            _ => SocketEnd::Closed,
        }
    }
}

/// Frames are taken from the session until this much waits to be written: what a socket takes at
/// once, and enough to make the system call's own cost small.
const WRITE_CHUNK: usize = 64 * 1024;

/// Bytes of pongs that may wait for a peer before it is not read any more.
const MAX_REPLIES: usize = 16 * 1024;
