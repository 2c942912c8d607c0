//! A connection that has become a WebSocket of a session.

use std::{
    sync::Arc,
    task::{Context, Poll, Waker},
};

use enginewire::{
    SocketEnd, Time,
    carrier::{self, Next, Upgrade},
};

use super::{Link, Progress, exchange::Held};
use crate::{cell::SessionCell, runtime::Runtime, scratch::Scratch, shared::Shared};

/// A WebSocket and the session that it carries, or wants to.
pub(super) struct Socket<R: Runtime> {
    socket: carrier::Socket,
    cell: Arc<SessionCell<R>>,
    /// What came behind the handshake, in the same segment.
    early: Vec<u8>,
}

impl<R: Runtime> Socket<R> {
    pub(super) fn new(shared: &Shared<R>, upgrade: Upgrade<Arc<SessionCell<R>>>) -> Self {
        let Upgrade { session, on, early } = upgrade;
        let socket = carrier::Socket::new(on, &shared.router.config().limits);
        Self { socket, cell: session, early }
    }

    pub(super) const fn deadline(&self) -> Option<Time> {
        self.socket.deadline()
    }

    pub(super) fn excuse(&mut self, until: Time) {
        self.socket.excuse(until);
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
        if self.deadline().is_some_and(|deadline| deadline <= now) {
            return Progress::Ended;
        }
        let mut more = false;
        let Scratch { input, output, came, arena, .. } = scratch;
        if !self.early.is_empty() {
            let mut early = std::mem::take(&mut self.early);
            self.socket.handle_bytes(&mut early, arena, came, link.writer.output(output));
            more = true;
        } else if self.socket.wants_input() {
            match link.poll_read(cx, input) {
                Poll::Ready(Ok(0)) => self.socket.handle_eof(came),
                Poll::Ready(Ok(n)) => {
                    let output = link.writer.output(output);
                    self.socket.handle_bytes(&mut input[..n], arena, came, output);
                    more = true;
                }
                Poll::Ready(Err(_)) => {
                    self.lose(now, SocketEnd::Failed);
                    return Progress::Ended;
                }
                Poll::Pending => {}
            }
        }
        if woken || more || scratch.came.has_ended() || self.socket.is_unfinished() {
            more |= self.exchange(link, now, cx.waker(), scratch);
        }
        let flushed = link.writer.poll_flush(&mut link.stream, &mut scratch.output, cx, now);
        let flushed = match flushed {
            Poll::Ready(Ok(())) => {
                more |= self.socket.is_unfinished() || self.socket.is_flooded();
                true
            }
            Poll::Ready(Err(_)) => {
                self.lose(now, SocketEnd::Failed);
                return Progress::Ended;
            }
            Poll::Pending => false,
        };
        match self.socket.next(now, flushed, link.shared.options.linger) {
            Next::End => Progress::Ended,
            Next::Linger => Progress::Become(link.lingering(now)),
            Next::Stay if more => Progress::More,
            Next::Stay => Progress::Idle,
        }
    }

    /// Gives the session what came, and takes what it has. Says whether the peer is to be read
    /// again, after it was not.
    fn exchange(
        &mut self,
        link: &mut Link<R>,
        now: Time,
        waker: &Waker,
        scratch: &mut Scratch,
    ) -> bool {
        let Scratch { output, came, .. } = scratch;
        if self.socket.is_detached() {
            came.clear();
            return false;
        }
        let pull = !link.writer.is_blocked();
        let output = link.writer.output(output);
        let linger = link.shared.options.linger;
        let mut held = Held { guard: self.cell.lock_as(self.socket.id().0), waker };
        self.socket.exchange(now, &mut held, came, output, pull, linger)
    }

    /// The connection is gone.
    pub(super) fn lose(&mut self, now: Time, end: SocketEnd) {
        if !self.socket.is_detached() {
            let mut held = Held { guard: self.cell.lock(), waker: Waker::noop() };
            self.socket.lose(now, &mut held, end);
        }
    }
}
