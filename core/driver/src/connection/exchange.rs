//! A connection that serves HTTP exchanges, one after the other.

use std::{
    sync::Arc,
    task::{Context, Poll, Waker},
};

use enginewire::{
    Carrier, ExchangeId, Opening, Reject, Router, Session, Sid, SocketId, Time,
    carrier::{self, Host, Next, Order, Upgrade},
    wire::http,
};

use super::{Link, Progress, Role, websocket::Socket};
use crate::{
    cell::{Guard, SessionCell},
    runtime::Runtime,
    scratch::{EntropyPool, Scratch},
    shared::Shared,
    socket::{self, Handshake},
    trace::trace,
    waiters::Shareable,
};

/// The HTTP side of a connection, read and written.
pub(super) struct Exchanges<R: Runtime>(carrier::Exchanges<Arc<SessionCell<R>>, Asked>);

/// A handshake, and the application's answer to it on its way.
pub(super) struct Asked {
    handshake: Arc<Handshake>,
    verdict: Option<crate::server::Verdict>,
}

impl<R: Runtime> Exchanges<R> {
    pub(super) fn new(now: Time, shared: &Shared<R>) -> Self {
        Self(carrier::Exchanges::new(now, Arc::clone(&shared.http)))
    }

    pub(super) fn deadline(&self) -> Option<Time> {
        self.0.deadline()
    }

    pub(super) fn excuse(&mut self, until: Time) {
        self.0.excuse(until);
    }

    /// One look: answer what can be answered, read, and handle what came.
    pub(super) fn drive(
        &mut self,
        link: &mut Link<R>,
        now: Time,
        cx: &mut Context<'_>,
        scratch: &mut Scratch,
    ) -> Progress<R> {
        let Scratch { output, entropy, input, .. } = scratch;
        let Link { shared, writer, peer_addr, .. } = link;
        let mut host = Server { shared, peer_addr: *peer_addr, cx, entropy };
        if let Some(upgrade) = self.0.look(now, &mut host, writer.output(output)) {
            return become_socket(shared, upgrade);
        }
        // A peer that does not read its answers is not read either.
        let blocked = link.writer.is_blocked();
        let read = if blocked || !self.0.wants_input() {
            Poll::Pending
        } else {
            link.poll_read(cx, input)
        };
        let Link { shared, writer, peer_addr, .. } = link;
        let mut host = Server { shared, peer_addr: *peer_addr, cx, entropy };
        let progress = match read {
            Poll::Ready(Ok(0)) => {
                self.0.handle_eof(now, &mut host);
                None
            }
            Poll::Ready(Ok(n)) => {
                let output = writer.output(output);
                if let Some(upgrade) = self.0.handle_bytes(now, &mut host, &mut input[..n], output)
                {
                    // The first frame goes out in one write with the answer to the handshake.
                    return become_socket(shared, upgrade);
                }
                Some(Progress::More)
            }
            Poll::Ready(Err(_)) => Some(Progress::Ended),
            Poll::Pending => None,
        };
        let flushed = link.writer.poll_flush(&mut link.stream, output, cx, now);
        match (progress, flushed) {
            (_, Poll::Ready(Err(_))) => Progress::Ended,
            (Some(progress), _) => progress,
            (None, Poll::Pending) if link.is_stalled(now) => Progress::Ended,
            (None, Poll::Pending) => Progress::Idle,
            (None, Poll::Ready(Ok(()))) if blocked || self.0.is_postponed() => Progress::More,
            (None, Poll::Ready(Ok(()))) => match self.0.next(link.shared.is_serving()) {
                Next::Stay => Progress::Idle,
                Next::Linger => Progress::Become(link.lingering(now)),
                Next::End => Progress::Ended,
            },
        }
    }

    /// The connection is gone.
    pub(super) fn lose(&mut self, link: &Link<R>, now: Time) {
        let mut host = Server {
            shared: &link.shared,
            peer_addr: link.peer_addr,
            cx: &mut Context::from_waker(Waker::noop()),
            entropy: &mut EntropyPool::new(),
        };
        self.0.lose(now, &mut host);
    }
}

fn become_socket<R: Runtime>(
    shared: &Shared<R>,
    upgrade: Upgrade<Arc<SessionCell<R>>>,
) -> Progress<R> {
    Progress::Become(Role::Socket(Socket::new(shared, upgrade)))
}

/// The server, as the connection sees it that a task looks at.
struct Server<'a, 'cx, R: Runtime> {
    shared: &'a Arc<Shared<R>>,
    peer_addr: std::net::SocketAddr,
    cx: &'a mut Context<'cx>,
    entropy: &'a mut EntropyPool,
}

impl<R: Runtime> Host for Server<'_, '_, R> {
    type Session = Arc<SessionCell<R>>;
    type Handshake = Asked;
    type Guard<'a>
        = Held<'a, R>
    where
        Self: 'a;

    fn router(&self) -> &Router {
        &self.shared.router
    }

    fn fresh_id(&mut self) -> u64 {
        self.shared.fresh_id()
    }

    fn has_room(&self) -> bool {
        self.shared.has_room()
    }

    fn find(&mut self, sid: &Sid) -> Option<Arc<SessionCell<R>>> {
        self.shared.find(sid)
    }

    fn ask(&mut self, head: http::RequestHead) -> Asked {
        let handshake = Arc::new(Handshake::new(head, self.peer_addr));
        let verdict = self.shared.allow.as_ref().map(|allow| allow(Arc::clone(&handshake)));
        Asked { handshake, verdict }
    }

    fn verdict(&mut self, asked: &mut Asked) -> Option<Result<(), String>> {
        match &mut asked.verdict {
            None => Some(Ok(())),
            Some(verdict) => match verdict.as_mut().poll(self.cx) {
                Poll::Ready(verdict) => Some(verdict),
                Poll::Pending => None,
            },
        }
    }

    fn open(
        &mut self,
        now: Time,
        opening: Opening,
        first: Carrier,
        asked: Asked,
    ) -> Result<Self::Session, Reject> {
        let shared = self.shared;
        let mut entropy = |buffer: &mut [u8]| {
            self.entropy.fill(buffer, |buffer| shared.runtime.fill_random(buffer));
        };
        let session = shared.router.open(now, &mut entropy, opening, first)?;
        let sid = session.sid();
        let cell = SessionCell::new(shared, session);
        let (Carrier::Exchange(ExchangeId(id)) | Carrier::Socket(SocketId(id))) = first;
        cell.lock().attach(id, self.cx.waker());
        let socket = socket::Cell::Server(Arc::clone(&cell));
        let socket = socket::Socket::new(socket, asked.handshake);
        if let Err(_socket) = shared.open(sid, &cell, socket) {
            cell.with(|session, _, _| session.abort());
            return Err(Reject::Unavailable);
        }
        trace!(DEBUG, session = cell.id, peer = %self.peer_addr, "session opened");
        Ok(cell)
    }

    fn lock<'a>(&'a mut self, session: &'a Self::Session, id: u64) -> Held<'a, R> {
        Held { guard: session.lock_as(id), waker: self.cx.waker() }
    }

    fn refused(&mut self, reject: &Reject) {
        trace!(DEBUG, peer = %self.peer_addr, reason = %reject, "request refused");
    }

    fn failed(&mut self, event: &http::Event) {
        trace!(DEBUG, event = ?event, "exchange failed");
    }
}

/// A session that a connection has to itself, and the task of that connection.
pub(super) struct Held<'a, R: Runtime> {
    pub(super) guard: Guard<'a, R>,
    pub(super) waker: &'a Waker,
}

impl<R: Runtime> carrier::Guard for Held<'_, R> {
    fn session(&mut self) -> &mut Session {
        self.guard.session()
    }

    fn attach(&mut self, id: u64) {
        self.guard.attach(id, self.waker);
    }

    fn detach(&mut self, id: u64) {
        self.guard.detach(id);
    }

    fn take_order(&mut self) -> Option<Order> {
        self.guard.take_order(self.waker)
    }
}
