//! One connection of a hub.

use alloc::{boxed::Box, string::String, sync::Arc, vec::Vec};
use core::{convert::Infallible, time::Duration};

use bytes::Buf;

use super::{
    AskId, SessionId,
    desk::{Armed, Asked, View},
};
use crate::{
    carrier::{Came, Exchanges, Host, Next, Outbox, Socket, Upgrade, WRITE_CHUNK, Written},
    limits::Limits,
    session::SocketEnd,
    time::Time,
    wire::{Arena, Output, http},
};

/// One connection.
pub(super) struct Connection {
    pub(super) serial: u64,
    role: Role,
    outbox: Outbox,
    pub(super) armed: Option<Armed>,
    /// It was not to be read when it was last looked at.
    pub(super) stopped: bool,
    /// It stands in the queue of those that the loop is to look after.
    pub(super) due: bool,
    /// The loop was told to look after it, and has not done so since.
    pub(super) owed: bool,
}

/// What the connection is used for.
enum Role {
    /// HTTP. Boxed: most connections that stay are WebSockets.
    Exchanges(Box<Exchanges<SessionId, Asked>>),
    Socket(Socket, SessionId),
    /// Everything has been said and written, see [`Next::Linger`].
    Lingering {
        until: Time,
        /// The peer has closed its side.
        ended: bool,
    },
}

/// Storage that all connections share while they are looked at. An idle one has none.
pub(super) struct Scratch {
    /// What is to be written. Goes with the connection if it is not written at once.
    pub(super) output: Box<Output>,
    /// What one read brought, on its way to the session.
    came: Came,
    /// Where small messages live.
    arena: Arena,
    /// Outputs without a connection.
    #[expect(clippy::vec_box, reason = "they change hands as they are, without an allocation")]
    spare: Vec<Box<Output>>,
}

/// How long things may take.
#[derive(Clone, Copy)]
pub(super) struct Patience {
    pub(super) linger: Duration,
    pub(super) write: Duration,
}

/// What follows from looking at a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Follow {
    Nothing,
    /// There are bytes to be written.
    Write,
    Shutdown,
    End,
}

impl Connection {
    pub(super) fn new(now: Time, serial: u64, config: Arc<http::Config>) -> Self {
        Self {
            serial,
            role: Role::Exchanges(Box::new(Exchanges::new(now, config))),
            outbox: Outbox::default(),
            armed: None,
            stopped: false,
            due: false,
            owed: false,
        }
    }

    /// What is left of a connection that the loop is to close. No name leads to it.
    pub(super) fn gone(now: Time) -> Self {
        Self {
            serial: GONE,
            role: Role::Lingering { until: now, ended: true },
            outbox: Outbox::default(),
            armed: None,
            stopped: true,
            due: false,
            owed: false,
        }
    }

    pub(super) const fn is_gone(&self) -> bool {
        self.serial == GONE
    }

    pub(super) fn handle_bytes(
        &mut self,
        now: Time,
        bytes: &mut [u8],
        view: &mut View<'_>,
        scratch: &mut Scratch,
        patience: Patience,
    ) {
        let output = self.outbox.output(&mut scratch.output);
        match &mut self.role {
            Role::Exchanges(exchanges) => {
                if let Some(upgrade) = exchanges.handle_bytes(now, view, bytes, output) {
                    self.become_socket(now, upgrade, view, scratch, patience);
                }
            }
            Role::Socket(socket, _) => {
                socket.handle_bytes(bytes, &mut scratch.arena, &mut scratch.came, output);
                self.exchange(now, view, scratch, false, patience);
            }
            Role::Lingering { .. } => {}
        }
    }

    pub(super) fn handle_eof(
        &mut self,
        now: Time,
        view: &mut View<'_>,
        scratch: &mut Scratch,
        patience: Patience,
    ) {
        match &mut self.role {
            Role::Exchanges(exchanges) => exchanges.handle_eof(now, view),
            Role::Socket(socket, _) => {
                socket.handle_eof(&mut scratch.came);
                self.exchange(now, view, scratch, false, patience);
            }
            Role::Lingering { ended, .. } => *ended = true,
        }
    }

    /// Says whether anything waits for that.
    pub(super) const fn handle_writable(&mut self) -> bool {
        self.outbox.unblock() || self.owed
    }

    /// Does what is due, and writes until all is out or `write` takes less than it was given.
    pub(super) fn transmit(
        &mut self,
        now: Time,
        view: &mut View<'_>,
        scratch: &mut Scratch,
        patience: Patience,
        mut write: impl FnMut(&[u8]) -> usize,
    ) {
        loop {
            if let Role::Exchanges(exchanges) = &mut self.role {
                let output = self.outbox.output(&mut scratch.output);
                if let Some(upgrade) = exchanges.look(now, view, output) {
                    self.become_socket(now, upgrade, view, scratch, patience);
                }
            }
            let pull = !self.outbox.is_blocked();
            self.exchange(now, view, scratch, pull, patience);
            if !pull || !self.flush(now, scratch, &mut write) {
                break;
            }
            let again = match &self.role {
                Role::Exchanges(exchanges) => exchanges.is_postponed(),
                Role::Socket(socket, _) => !socket.is_detached() && socket.is_unfinished(),
                Role::Lingering { .. } => false,
            };
            if !again {
                return;
            }
        }
        if let Role::Socket(socket, session) = &self.role {
            view.desk.block(*session, socket.id());
        }
    }

    /// Says whether that was all.
    fn flush(
        &mut self,
        now: Time,
        scratch: &mut Scratch,
        write: &mut impl FnMut(&[u8]) -> usize,
    ) -> bool {
        let mut full = false;
        let flushed = self.outbox.flush::<Infallible>(&mut scratch.output, now, |output| {
            let chunk = output.chunk();
            let written = if full { 0 } else { write(chunk).min(chunk.len()) };
            full |= written < chunk.len();
            Ok(if written == 0 { Written::Blocked } else { Written::Some(written) })
        });
        match flushed {
            Ok(flushed) => flushed,
            Err(never) => match never {},
        }
    }

    /// Says what follows: called after each of the above.
    pub(super) fn conclude(
        &mut self,
        now: Time,
        running: bool,
        scratch: &mut Scratch,
        patience: Patience,
    ) -> Follow {
        scratch.part_with(&mut self.outbox);
        let flushed = self.outbox.is_empty();
        if !flushed && !self.outbox.is_blocked() {
            return Follow::Write;
        }
        let next = match &mut self.role {
            Role::Exchanges(exchanges) if flushed => exchanges.next(running),
            Role::Exchanges(_) => Next::Stay,
            Role::Socket(socket, _) => socket.next(now, flushed, patience.linger),
            Role::Lingering { ended: true, .. } => Next::End,
            Role::Lingering { .. } => Next::Stay,
        };
        match next {
            Next::Stay if self.given_up_at(patience).is_some_and(|deadline| deadline <= now) => {
                Follow::End
            }
            Next::Stay => Follow::Nothing,
            Next::End => Follow::End,
            Next::Linger => {
                let until = now + patience.linger;
                self.role = Role::Lingering { until, ended: false };
                Follow::Shutdown
            }
        }
    }

    /// The connection is gone, and `end` is how. Gives back its storage.
    pub(super) fn lose(
        mut self,
        now: Time,
        end: SocketEnd,
        view: &mut View<'_>,
        scratch: &mut Scratch,
    ) {
        match &mut self.role {
            Role::Exchanges(exchanges) => exchanges.lose(now, view),
            Role::Socket(socket, session) if !socket.is_detached() => {
                let id = socket.id().0;
                socket.lose(now, &mut view.lock(session, id), end);
            }
            Role::Socket(..) | Role::Lingering { .. } => {}
        }
        self.outbox.discard();
        scratch.part_with(&mut self.outbox);
    }

    /// When the connection is to be looked after, whatever happens until then.
    pub(super) fn deadline(&self, patience: Patience) -> Option<Time> {
        let exchanges = match &self.role {
            Role::Exchanges(exchanges) => exchanges.deadline(),
            Role::Socket(..) | Role::Lingering { .. } => None,
        };
        self.given_up_at(patience).into_iter().chain(exchanges).min()
    }

    /// When the connection is over, whatever the peer does then.
    fn given_up_at(&self, patience: Patience) -> Option<Time> {
        match &self.role {
            Role::Exchanges(_) => self.outbox.deadline(patience.write),
            Role::Socket(socket, _) => socket.deadline(),
            Role::Lingering { until, .. } => Some(*until),
        }
    }

    /// Whether an answer to an exchange under way would only have to arm its deadline again.
    pub(super) const fn keeps_deadline(&self) -> bool {
        matches!(self.role, Role::Exchanges(_))
    }

    pub(super) fn is_reading(&self) -> bool {
        match &self.role {
            // A peer that does not read its answers is not read either.
            Role::Exchanges(exchanges) => {
                !self.outbox.is_blocked()
                    && self.outbox.len() < WRITE_CHUNK
                    && exchanges.wants_input()
            }
            Role::Socket(socket, _) => socket.wants_input(),
            Role::Lingering { ended, .. } => !ended,
        }
    }

    /// The application's answer to a question. False if it is not the first, or nobody waits for it.
    pub(super) fn answer(&mut self, ask: AskId, verdict: Result<(), String>) -> bool {
        let Role::Exchanges(exchanges) = &mut self.role else { return false };
        let waits = |asked: &&mut Asked| asked.ask == Some(ask) && asked.verdict.is_none();
        let Some(asked) = exchanges.asked().filter(waits) else { return false };
        asked.verdict = Some(verdict);
        true
    }

    fn become_socket(
        &mut self,
        now: Time,
        upgrade: Upgrade<SessionId>,
        view: &mut View<'_>,
        scratch: &mut Scratch,
        patience: Patience,
    ) {
        let Upgrade { session, on, mut early } = upgrade;
        let limits: &Limits = &view.desk.router.config().limits;
        let mut socket = Socket::new(on, limits);
        let output = self.outbox.output(&mut scratch.output);
        socket.handle_bytes(&mut early, &mut scratch.arena, &mut scratch.came, output);
        self.role = Role::Socket(socket, session);
        self.exchange(now, view, scratch, false, patience);
    }

    /// Gives the session what came on a WebSocket, and with `pull` takes what it has.
    fn exchange(
        &mut self,
        now: Time,
        view: &mut View<'_>,
        scratch: &mut Scratch,
        pull: bool,
        patience: Patience,
    ) {
        let Role::Socket(socket, session) = &mut self.role else { return };
        if socket.is_detached() {
            return scratch.came.clear();
        }
        let output = self.outbox.output(&mut scratch.output);
        let came = &mut scratch.came;
        let mut guard = view.lock(session, socket.id().0);
        socket.exchange(now, &mut guard, came, output, pull, patience.linger);
    }
}

impl Scratch {
    pub(super) fn new() -> Self {
        Self { output: Box::default(), came: Came::new(), arena: Arena::new(), spare: Vec::new() }
    }

    /// Leaves to the connection what it has to write, and takes back what it has written.
    fn part_with(&mut self, outbox: &mut Outbox) {
        if !self.output.is_empty() {
            let fresh = self.spare.pop().unwrap_or_default();
            outbox.keep(core::mem::replace(&mut self.output, fresh));
        } else if let Some(mut empty) = outbox.take_empty() {
            empty.shrink(KEPT_OUTPUT);
            if self.spare.len() < MAX_SPARE {
                self.spare.push(empty);
            }
        }
        self.output.shrink(KEPT_OUTPUT);
    }
}

/// Names begin with 1.
const GONE: u64 = 0;

/// Storage of an output that is kept for the next connection.
const KEPT_OUTPUT: usize = 4 * WRITE_CHUNK;

/// Outputs that are kept: as many connections as a loop may let wait between two looks at what is to
/// be written without asking for storage again.
const MAX_SPARE: usize = 16;
