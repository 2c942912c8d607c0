//! One TCP connection, one task.
//!
//! A connection serves HTTP exchanges until it becomes a WebSocket or ends. Written as a state
//! machine and not as an `async fn`, because its size is what an idle connection costs, and because
//! reading, sessions and writing have to be looked at together each time the task is woken.

mod exchange;
mod websocket;

#[cfg(test)]
mod tests;

use std::{
    future::Future,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use enginewire::{SocketEnd, Time, carrier::must_rearm};
use futures_io::AsyncWrite;

use self::{exchange::Exchanges, websocket::Socket};
use crate::{
    last_look::LastLook,
    reader::Reader,
    runtime::Runtime,
    scratch::Scratch,
    shared::{Armed, Phase, Registered, Shared},
    trace::Span,
    writer::Writer,
};

/// The task of one TCP connection.
pub(crate) struct Connection<R: Runtime> {
    link: Link<R>,
    role: Role<R>,
    registered: Option<Registered>,
    /// The deadline that wakes this task. May come up early: then it is armed anew.
    armed: Option<Armed>,
    last_look: LastLook,
    span: Span,
}

/// The connection itself, without what is done with it.
struct Link<R: Runtime> {
    id: u64,
    shared: Arc<Shared<R>>,
    stream: R::Stream,
    peer_addr: SocketAddr,
    reader: Reader,
    writer: Writer,
    /// Until when a peer that takes nothing is excused.
    excused: Time,
}

/// What the connection is used for.
enum Role<R: Runtime> {
    /// HTTP. Boxed: most connections that stay are WebSockets.
    Exchanges(Box<Exchanges<R>>),
    Socket(Socket<R>),
    /// Everything has been said and written. The sending side is shut down, and what the peer still
    /// sends is thrown away until it closes too: closing first could reset the connection and with
    /// that destroy our last words on their way.
    Lingering {
        until: Time,
        shut_down: bool,
    },
}

/// What came out of one look at a connection.
enum Progress<R: Runtime> {
    /// Nothing more to do until the task is woken.
    Idle,
    /// Look again.
    More,
    /// Use the connection for something else from now on.
    Become(Role<R>),
    /// It is over.
    Ended,
}

impl<R: Runtime> Connection<R> {
    pub(crate) fn new(shared: Arc<Shared<R>>, stream: R::Stream, peer_addr: SocketAddr) -> Self {
        shared.enter();
        let exchanges = Exchanges::new(shared.runtime.now(), &shared);
        let id = shared.fresh_id();
        Self {
            link: Link {
                id,
                shared,
                stream,
                peer_addr,
                reader: Reader::default(),
                writer: Writer::default(),
                excused: Time::ZERO,
            },
            role: Role::Exchanges(Box::new(exchanges)),
            registered: None,
            armed: None,
            last_look: LastLook::default(),
            span: Span::connection(id, peer_addr),
        }
    }

    /// Goes on until nothing more can be done now, or long enough.
    fn drive(&mut self, cx: &mut Context<'_>, scratch: &mut Scratch) -> Poll<()> {
        let now = self.link.shared.runtime.now();
        if self.link.shared.phase() == Phase::Aborting {
            return Poll::Ready(());
        }
        if self.armed.is_some_and(|armed| armed.deadline <= now) {
            self.armed = None;
            self.look_again(now);
        }
        for round in 0..ROUNDS {
            let progress = match &mut self.role {
                Role::Exchanges(exchanges) => exchanges.drive(&mut self.link, now, cx, scratch),
                Role::Socket(socket) => socket.drive(&mut self.link, now, cx, scratch, round == 0),
                Role::Lingering { until, shut_down } => {
                    self.link.linger(*until, shut_down, now, cx, scratch)
                }
            };
            match progress {
                Progress::More => {}
                Progress::Become(role) => self.role = role,
                Progress::Ended => return Poll::Ready(()),
                Progress::Idle => {
                    self.arm(cx);
                    return Poll::Pending;
                }
            }
        }
        // The others on this thread want their turn.
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// What the peer has to do is not given up without a last look at what it has done.
    fn look_again(&mut self, now: Time) {
        if let Some(due) = self.deadline().filter(|&due| due <= now)
            && let Some(until) = self.last_look.before(due, now)
        {
            self.link.excused = until;
            match &mut self.role {
                Role::Exchanges(exchanges) => exchanges.excuse(until),
                Role::Socket(socket) => socket.excuse(until),
                // Nothing of what it says matters any more.
                Role::Lingering { .. } => {}
            }
        }
    }

    fn deadline(&self) -> Option<Time> {
        match &self.role {
            Role::Exchanges(exchanges) => {
                exchanges.deadline().into_iter().chain(self.link.write_deadline()).min()
            }
            Role::Socket(socket) => socket.deadline(),
            Role::Lingering { until, .. } => Some(*until),
        }
    }

    /// Sees to it that the task is woken at the next deadline. One that has moved away is left where
    /// it was, and looked at again when it comes up.
    fn arm(&mut self, cx: &Context<'_>) {
        let deadline = self.deadline();
        // An exchange that is answered soon would only have to arm it again.
        let keeps = deadline.is_none() && matches!(self.role, Role::Exchanges(_));
        if keeps || !must_rearm(self.armed.map(|armed| armed.deadline), deadline) {
            return;
        }
        let shared = &self.link.shared;
        if let Some(old) = self.armed.take() {
            shared.disarm(old);
        }
        self.armed = deadline.map(|deadline| shared.wake_at(deadline, self.link.id, cx.waker()));
    }
}

impl<R: Runtime> Future for Connection<R> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        if this.registered.is_none() {
            let link = &this.link;
            this.registered = Some(link.shared.register_connection(link.id, cx.waker()));
        }
        let span = std::mem::take(&mut this.span);
        let result = span.in_scope(|| {
            Scratch::with(|scratch| {
                let result = this.drive(cx, scratch);
                this.link.writer.part_with(&mut scratch.output, result.is_ready());
                result
            })
        });
        this.span = span;
        result
    }
}

impl<R: Runtime> Drop for Connection<R> {
    fn drop(&mut self) {
        let shared = &self.link.shared;
        match &mut self.role {
            Role::Exchanges(exchanges) => exchanges.lose(&self.link, shared.runtime.now()),
            Role::Socket(socket) => socket.lose(shared.runtime.now(), SocketEnd::Closed),
            Role::Lingering { .. } => {}
        }
        if let Some(armed) = self.armed.take() {
            shared.disarm(armed);
        }
        if let Some(registered) = &self.registered {
            shared.unregister_connection(registered);
        }
        shared.leave();
    }
}

impl<R: Runtime> Link<R> {
    fn poll_read(&mut self, cx: &mut Context<'_>, input: &mut [u8]) -> Poll<io::Result<usize>> {
        self.reader.poll_read(&self.shared.runtime, &mut self.stream, cx, input)
    }

    /// When a peer that goes on taking nothing is given up, if something waits for it.
    fn write_deadline(&self) -> Option<Time> {
        let deadline = self.writer.deadline(self.shared.options.write_timeout);
        deadline.map(|deadline| deadline.max(self.excused))
    }

    fn is_stalled(&self, now: Time) -> bool {
        self.write_deadline().is_some_and(|deadline| deadline <= now)
    }

    /// The role that every connection ends in.
    fn lingering(&self, now: Time) -> Role<R> {
        Role::Lingering { until: now + self.shared.options.linger, shut_down: false }
    }

    fn linger(
        &mut self,
        until: Time,
        shut_down: &mut bool,
        now: Time,
        cx: &mut Context<'_>,
        scratch: &mut Scratch,
    ) -> Progress<R> {
        if until <= now {
            return Progress::Ended;
        }
        if !*shut_down {
            match Pin::new(&mut self.stream).poll_close(cx) {
                Poll::Ready(Ok(())) => *shut_down = true,
                Poll::Ready(Err(_)) => return Progress::Ended,
                Poll::Pending => return Progress::Idle,
            }
        }
        match self.poll_read(cx, &mut scratch.input) {
            Poll::Ready(Ok(0) | Err(_)) => Progress::Ended,
            Poll::Ready(Ok(_)) => Progress::More,
            Poll::Pending => Progress::Idle,
        }
    }
}

/// How often a task looks at its connection before it lets others have their turn.
const ROUNDS: usize = 32;
