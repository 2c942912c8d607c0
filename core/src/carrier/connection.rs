//! One TCP connection of a server, whoever reads and writes its socket.

use alloc::{boxed::Box, sync::Arc, vec::Vec};
use core::fmt;

use super::{
    Exchanges, GracePeriod, Guard, Host, Next, Outbox, Stream, Transit, Upgrade, Upgraded,
    WRITE_CHUNK, WebSocketCarrier, relay::Relay,
};
use crate::{
    deadlines::Alarm,
    limits::Limits,
    session::WebSocketEnd,
    time::Time,
    wire::{Arena, Output, http},
};

/// One TCP connection of a server: HTTP exchanges, then perhaps a WebSocket, then its end.
///
/// An event loop or a task is a loop around it. It reads while [`is_reading`](Self::is_reading), hands bytes to
/// [`receive`](Self::receive), calls [`transmit`](Self::transmit), and obeys [`conclude`](Self::conclude). It
/// calls [`handle_timeout`](Self::handle_timeout) at the [`deadline`](Self::deadline), and `transmit` when it is
/// woken.
pub struct Connection<S, Q, F> {
    role: Role<S, Q, F>,
    outbox: Outbox,
    /// The deadline that the owner has armed.
    pub alarm: Alarm,
    grace: GracePeriod,
    /// The session knows that the socket takes no bytes.
    told_blocked: bool,
}

/// The use of a connection.
enum Role<S, Q, F> {
    /// HTTP. Boxed, because most connections that stay are WebSockets.
    Exchanges(Box<Exchanges<S, Q, F>>),
    WebSocket(WebSocketCarrier, S),
    /// See [`Next::Linger`].
    Lingering {
        until: Time,
        /// The peer has closed its side.
        ended: bool,
    },
}

/// Buffers that all connections of a thread share while they are driven. An idle connection has none.
pub struct Scratch {
    /// Bytes to be written. Goes with the connection if its socket does not take them.
    output: Box<Output>,
    /// Messages of one read, on the way to the session, and frames on the way from it.
    transit: Transit,
    /// Storage of small messages, and compressors.
    arena: Arena,
    /// Empty outputs.
    #[expect(clippy::vec_box, reason = "they change hands as they are, without an allocation")]
    spare: Vec<Box<Output>>,
}

/// Task of the owner of a connection after a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Follow {
    /// Wait for bytes, a wake-up or a deadline.
    Nothing,
    /// Call [`Connection::transmit`].
    Write,
    /// Shut down the sending side, and go on reading.
    Shutdown,
    /// Close the connection.
    End,
}

/// Network inputs.
impl<S, Q, F> Connection<S, Q, F> {
    /// Makes the state of a connection that was accepted at `now`.
    pub fn new(now: Time, config: Arc<http::Config>) -> Self {
        Self::with_role(Role::Exchanges(Box::new(Exchanges::new(now, config))))
    }

    /// Makes a connection that is a WebSocket already, because another server has switched protocols.
    ///
    /// Bytes that came behind the handshake are the first to [`receive`](Self::receive).
    pub fn websocket(upgrade: Upgrade<S>, limits: &Limits) -> Self {
        let Upgrade { session, on, switch } = upgrade;
        let socket = WebSocketCarrier::new(on, limits, switch.compression);
        Self::with_role(Role::WebSocket(socket, session))
    }

    /// Makes a connection that is another node's, because that has switched protocols.
    ///
    /// `came` is for the client.
    pub(super) fn relayed(
        now: Time,
        config: Arc<http::Config>,
        relay: Relay<F>,
        came: Output,
    ) -> Self {
        let exchanges = Exchanges::relayed(now, config, relay);
        let mut connection = Self::with_role(Role::Exchanges(Box::new(exchanges)));
        if !came.is_empty() {
            connection.outbox.keep(Box::new(came));
        }
        connection
    }

    /// Makes a connection that has ended already, to take the place of another.
    pub const fn ended(now: Time) -> Self {
        Self::with_role(Role::Lingering { until: now, ended: true })
    }

    const fn with_role(role: Role<S, Q, F>) -> Self {
        Self {
            role,
            outbox: Outbox::new(),
            alarm: Alarm::new(),
            grace: GracePeriod::new(),
            told_blocked: false,
        }
    }

    /// Handles bytes that came. Messages of a WebSocket go to the session in the next
    /// [`exchange`](Self::exchange) or [`transmit`](Self::transmit), before other connections use `scratch`.
    #[inline]
    pub fn receive<H: Host<Session = S, Handshake = Q, Request = F>>(
        &mut self,
        now: Time,
        host: &mut H,
        scratch: &mut Scratch,
        bytes: &mut [u8],
    ) {
        let output = self.outbox.output(&mut scratch.output);
        match &mut self.role {
            Role::Exchanges(exchanges) => {
                if let Some(upgraded) = exchanges.handle_bytes(now, host, bytes, output) {
                    self.become_socket(host, upgraded, scratch);
                }
            }
            Role::WebSocket(socket, _) => {
                socket.handle_bytes(bytes, &mut scratch.arena, &mut scratch.transit, output);
            }
            Role::Lingering { .. } => {}
        }
    }

    /// Handles the end of what the peer sends.
    pub fn receive_eof<H: Host<Session = S, Handshake = Q, Request = F>>(
        &mut self,
        now: Time,
        host: &mut H,
        scratch: &mut Scratch,
    ) {
        match &mut self.role {
            Role::Exchanges(exchanges) => exchanges.handle_eof(now, host),
            Role::WebSocket(socket, _) => socket.handle_eof(&mut scratch.transit),
            Role::Lingering { ended, .. } => *ended = true,
        }
    }

    /// Notes that the socket takes bytes again. Returns whether anything waits for that.
    pub const fn handle_writable(&mut self) -> bool {
        self.outbox.unblock()
    }

    /// Handles an [`alarm`](Self::alarm) that has expired. Extends the deadlines of the peer if the process
    /// was late. Returns whether any has passed: [`transmit`](Self::transmit) follows.
    pub fn handle_timeout(&mut self, now: Time, config: &http::Config) -> bool {
        self.alarm.expire(now);
        self.give_grace(now, config);
        self.deadline(config).is_some_and(|due| due <= now)
    }

    /// Ends the connection: tells the session, and gives the storage back.
    pub fn lose<H: Host<Session = S, Handshake = Q, Request = F>>(
        &mut self,
        now: Time,
        end: WebSocketEnd,
        host: &mut H,
        scratch: &mut Scratch,
    ) {
        match &mut self.role {
            Role::Exchanges(exchanges) => exchanges.lose(now, host),
            Role::WebSocket(socket, session) if !socket.is_detached() => {
                let id = socket.id().0;
                socket.lose(now, &mut host.lock(now, session, id), end);
            }
            Role::WebSocket(..) | Role::Lingering { .. } => {}
        }
        self.role = Role::Lingering { until: now, ended: true };
        self.outbox.discard();
        scratch.output.clear();
        scratch.transit.clear();
        scratch.part_with(&mut self.outbox);
    }
}

/// Deadlines.
impl<S, Q, F> Connection<S, Q, F> {
    /// Extends the deadlines of the peer if the process was late for the first of them.
    #[inline]
    fn give_grace(&mut self, now: Time, config: &http::Config) {
        let Some(due) = self.deadline(config).filter(|&due| due <= now) else { return };
        let Some(until) = self.grace.extend(due, now) else { return };
        match &mut self.role {
            Role::Exchanges(exchanges) => exchanges.extend_deadlines(until),
            Role::WebSocket(socket, _) => socket.extend_deadlines(until),
            // Nothing that the peer sends matters any more.
            Role::Lingering { .. } => {}
        }
    }
}

/// Outputs.
impl<S, Q, F> Connection<S, Q, F> {
    /// Completes the exchange in progress, or gives the session the messages that came.
    ///
    /// Does so as far as it can be done now. With `pull`, takes the session's frames too.
    #[inline]
    pub fn exchange<H: Host<Session = S, Handshake = Q, Request = F>>(
        &mut self,
        now: Time,
        host: &mut H,
        scratch: &mut Scratch,
        pull: bool,
    ) {
        // What came may have been handed over before the owner has looked at the clock.
        self.give_grace(now, host.http());
        if let Role::Exchanges(exchanges) = &mut self.role {
            let output = self.outbox.output(&mut scratch.output);
            match exchanges.drive(now, host, output) {
                Some(upgraded) => self.become_socket(host, upgraded, scratch),
                None => return,
            }
        }
        let Role::WebSocket(socket, session) = &mut self.role else { return };
        if socket.is_detached() {
            return scratch.transit.clear();
        }
        let output = self.outbox.output(&mut scratch.output);
        let linger = host.http().linger;
        let mut guard = host.lock(now, session, socket.id().0);
        if pull && core::mem::take(&mut self.told_blocked) {
            guard.set_blocked(false);
        }
        let Scratch { transit, arena, .. } = scratch;
        socket.exchange(now, &mut guard, transit, output, pull, linger);
        drop(guard);
        socket.compress(transit, arena, output);
    }

    /// Does what is due, and writes to `stream` as much as it takes.
    ///
    /// # Errors
    ///
    /// That of `stream`. What was to be written is dropped; [`lose`](Self::lose) follows.
    #[inline]
    pub fn transmit<H: Host<Session = S, Handshake = Q, Request = F>, W: Stream>(
        &mut self,
        now: Time,
        host: &mut H,
        scratch: &mut Scratch,
        stream: &mut W,
    ) -> Result<(), W::Error> {
        if self.outbox.is_stalled() && !self.outbox.is_blocked() {
            self.outbox.flush(&mut scratch.output, now, stream)?;
        }
        loop {
            let pull = !self.outbox.is_blocked();
            self.exchange(now, host, scratch, pull);
            if !pull || !self.outbox.flush(&mut scratch.output, now, stream)? {
                break;
            }
            let again = match &self.role {
                Role::Exchanges(exchanges) => exchanges.is_postponed(),
                Role::WebSocket(socket, _) => !socket.is_detached() && socket.is_unfinished(),
                Role::Lingering { .. } => false,
            };
            if !again {
                break;
            }
        }
        let written = self.outbox.take_progress();
        if written > 0 {
            self.note_written(now, host, written);
        }
        if let Role::WebSocket(socket, session) = &self.role
            && self.outbox.is_blocked()
            && !self.told_blocked
            && !socket.is_detached()
        {
            self.told_blocked = true;
            host.lock(now, session, socket.id().0).set_blocked(true);
        }
        Ok(())
    }

    /// Counts bytes that the socket has taken after it was full, which tell that the peer reads.
    #[cold]
    fn note_written<H: Host<Session = S, Handshake = Q, Request = F>>(
        &mut self,
        now: Time,
        host: &mut H,
        bytes: usize,
    ) {
        match &mut self.role {
            Role::Exchanges(exchanges) => exchanges.note_written(now, host, bytes),
            Role::WebSocket(socket, session) => {
                let id = socket.id().0;
                socket.note_written(now, bytes, || host.lock(now, session, id));
            }
            Role::Lingering { .. } => {}
        }
    }

    /// Decides how the connection goes on. Called after each of the above, and the last with this `scratch`.
    ///
    /// `running` tells that a further request may be of use: the server is not closing, or sessions have
    /// something queued for clients that poll.
    pub fn conclude(
        &mut self,
        now: Time,
        running: bool,
        config: &http::Config,
        scratch: &mut Scratch,
    ) -> Follow {
        scratch.part_with(&mut self.outbox);
        let flushed = self.outbox.is_flushed();
        if !flushed && !self.outbox.is_blocked() {
            return Follow::Write;
        }
        let next = match &mut self.role {
            Role::Exchanges(exchanges) if flushed => exchanges.next(running),
            Role::Exchanges(_) => Next::Stay,
            Role::WebSocket(socket, _) => socket.next(now, flushed, config.linger),
            Role::Lingering { ended: true, .. } => Next::End,
            Role::Lingering { .. } => Next::Stay,
        };
        match next {
            Next::Stay if self.is_at_end(now, config) => Follow::End,
            Next::Stay => Follow::Nothing,
            Next::End => Follow::End,
            Next::Linger => {
                self.role = Role::Lingering { until: now + config.linger, ended: false };
                Follow::Shutdown
            }
        }
    }

    /// Returns when [`handle_timeout`](Self::handle_timeout) is due.
    pub fn deadline(&self, config: &http::Config) -> Option<Time> {
        let exchanges = match &self.role {
            Role::Exchanges(exchanges) => exchanges.deadline(),
            Role::WebSocket(..) | Role::Lingering { .. } => None,
        };
        self.ends_at(config).into_iter().chain(exchanges).min()
    }

    /// Returns the deadline to arm, or `None` to leave the alarm as it is.
    ///
    /// It is left when an exchange in progress would only have to arm it again.
    pub fn next_alarm(&self, config: &http::Config) -> Option<Option<Time>> {
        let next = self.deadline(config);
        (next.is_some() || !matches!(self.role, Role::Exchanges(_))).then_some(next)
    }

    /// Returns whether the connection ends, whatever the peer does.
    fn is_at_end(&mut self, now: Time, config: &http::Config) -> bool {
        self.give_grace(now, config);
        self.ends_at(config).is_some_and(|due| due <= now)
    }

    /// When the connection ends, whatever the peer does then.
    fn ends_at(&self, config: &http::Config) -> Option<Time> {
        match &self.role {
            Role::Exchanges(exchanges) => {
                let timeout = exchanges.write_timeout(config.write_timeout);
                let deadline = self.outbox.deadline(timeout);
                deadline.map(|deadline| deadline.max(self.grace.until()))
            }
            Role::WebSocket(socket, _) => socket.deadline(),
            Role::Lingering { until, .. } => Some(*until),
        }
    }
}

/// Getters.
impl<S, Q, F> Connection<S, Q, F> {
    /// Returns whether to read. A peer that does not read its responses is not read either.
    pub fn is_reading(&self) -> bool {
        match &self.role {
            Role::Exchanges(exchanges) if exchanges.is_relayed() => exchanges.wants_input(),
            Role::Exchanges(exchanges) => {
                !self.outbox.is_blocked()
                    && self.outbox.len() < WRITE_CHUNK
                    && exchanges.wants_input()
            }
            Role::WebSocket(socket, _) => socket.wants_input(),
            Role::Lingering { ended, .. } => !ended,
        }
    }

    /// Returns how many bytes to read at most at a time, for [`receive`](Self::receive).
    pub const fn max_read(&self) -> usize {
        match &self.role {
            Role::WebSocket(socket, _) => socket.max_read(),
            Role::Exchanges(_) | Role::Lingering { .. } => usize::MAX,
        }
    }

    /// Returns whether a connection that is woken has most likely something to read.
    ///
    /// It waits for a request, or for the upgrade of the session that probes its WebSocket. What comes then is to be
    /// seen in the order in which it came on several connections.
    pub const fn expects_input(&self) -> bool {
        match &self.role {
            Role::Exchanges(exchanges) => exchanges.is_listening(),
            Role::WebSocket(socket, _) => socket.is_probing(),
            Role::Lingering { .. } => false,
        }
    }

    /// Returns whether the connection is another node's.
    pub fn is_relayed(&self) -> bool {
        matches!(&self.role, Role::Exchanges(exchanges) if exchanges.is_relayed())
    }

    /// Returns whether the socket did not take everything.
    pub const fn is_blocked(&self) -> bool {
        self.outbox.is_blocked()
    }

    /// Returns the handshake that the application is deciding about.
    pub fn asked(&mut self) -> Option<&mut Q> {
        match &mut self.role {
            Role::Exchanges(exchanges) => exchanges.asked(),
            _ => None,
        }
    }

    /// Returns the request for another path that the application is responding to.
    pub fn forwarded(&mut self) -> Option<&mut F> {
        match &mut self.role {
            Role::Exchanges(exchanges) => exchanges.forwarded(),
            _ => None,
        }
    }

    fn become_socket<H: Host<Session = S, Handshake = Q, Request = F>>(
        &mut self,
        host: &H,
        upgraded: Upgraded<S>,
        scratch: &mut Scratch,
    ) {
        let Upgraded { session, on, mut early, compression } = upgraded;
        let limits = &host.router().config().limits;
        let mut socket = WebSocketCarrier::new(on, limits, compression);
        let output = self.outbox.output(&mut scratch.output);
        socket.handle_bytes(&mut early, &mut scratch.arena, &mut scratch.transit, output);
        self.role = Role::WebSocket(socket, session);
    }
}

impl Scratch {
    /// Makes buffers without storage.
    pub fn new() -> Self {
        Self {
            output: Box::default(),
            transit: Transit::new(),
            arena: Arena::new(),
            spare: Vec::new(),
        }
    }

    /// Leaves to the connection the bytes that it has to write, and takes back empty storage.
    #[inline]
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

impl Default for Scratch {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Scratch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scratch").finish_non_exhaustive()
    }
}

impl<S, Q, F> fmt::Debug for Connection<S, Q, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let role = match &self.role {
            Role::Exchanges(_) => "exchanges",
            Role::WebSocket(..) => "websocket",
            Role::Lingering { .. } => "lingering",
        };
        f.debug_struct("Connection").field("role", &role).finish_non_exhaustive()
    }
}

/// Storage of an output that is kept for the next connection.
const KEPT_OUTPUT: usize = 4 * WRITE_CHUNK;

/// Outputs that are kept: as many connections as a loop may leave waiting between two writes without asking
/// for storage again.
const MAX_SPARE: usize = 16;

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    #[test]
    fn empty_outputs_are_kept_for_the_next_connections_up_to_a_limit() {
        let mut scratch = Scratch::new();
        for n in 1..=MAX_SPARE + 2 {
            let mut outbox = Outbox::new();
            outbox.keep(Box::default());
            scratch.part_with(&mut outbox);
            assert!(outbox.take_empty().is_none());
            assert_eq!(scratch.spare.len(), n.min(MAX_SPARE));
        }
        // A connection with something to write leaves with it, and one of the others takes its place.
        scratch.output.put_slice(b"a");
        let mut outbox = Outbox::new();
        scratch.part_with(&mut outbox);
        assert_eq!((outbox.len(), scratch.spare.len()), (1, MAX_SPARE - 1));
        assert!(scratch.output.is_empty());
        // Until it has written that, it has nothing to give back.
        scratch.part_with(&mut outbox);
        assert_eq!((outbox.len(), scratch.spare.len()), (1, MAX_SPARE - 1));
    }

    #[test]
    fn storage_of_256_kib_is_kept_and_more_is_given_back() {
        for (bytes, kept) in [(256 * 1024, true), (256 * 1024 + 1, false)] {
            let mut output = Output::new();
            output.put_slice(&vec![0; bytes]);
            output.clear();
            assert_eq!(output.capacity(), bytes);
            let mut scratch = Scratch::new();
            let mut outbox = Outbox::new();
            outbox.keep(Box::new(output));
            scratch.part_with(&mut outbox);
            assert_eq!(scratch.spare[0].capacity() > 0, kept, "{bytes} bytes");
            // The same of what all connections share.
            scratch.output = scratch.spare.pop().unwrap();
            scratch.output.put_slice(&vec![0; bytes]);
            scratch.output.clear();
            scratch.part_with(&mut outbox);
            assert_eq!(scratch.output.capacity() > 0, kept, "{bytes} bytes");
        }
    }
}
