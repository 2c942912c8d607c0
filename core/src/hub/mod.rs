//! A whole Engine.IO server as one value, for event loops of any kind, simulations, other
//! languages and wasm.
//!
//! A [`Hub`] is made of the same [`wire`](crate::wire), [`Router`](crate::Router), [`Session`] and
//! [`carrier`](crate::carrier) that the drivers use. It has no sockets: an event loop tells it what
//! happened to its connections, and does what it is asked to.
//!
//! # The loop
//!
//! ```
//! use std::time::Duration;
//!
//! use enginewire::{Event, Hub, Time, hub::{ConnectionId, HubConfig, Output}};
//!
//! // In earnest the operating system's: session ids are secrets.
//! let entropy = |buffer: &mut [u8]| buffer.fill(7);
//! let mut hub = Hub::new(HubConfig::default(), entropy);
//!
//! // A connection was accepted, and bytes came on it. The loop has a clock; here it stands still.
//! let now = Time::ZERO;
//! let on = hub.handle_accepted(now);
//! let mut bytes = *b"GET /engine.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: a\r\n\r\n";
//! hub.handle_bytes(now, on, &mut bytes);
//!
//! // After any input or command, until there is nothing more.
//! let mut written = Vec::new();
//! while let Some(output) = hub.poll() {
//!     match output {
//!         // The application: it echoes. What has no room waits for `Event::Writable`.
//!         Output::Event(session, Event::Message(message)) => {
//!             let _ = hub.send(session, message);
//!         }
//!         Output::Event(..) | Output::Opened(..) | Output::Ask(..) => {}
//!         // The sockets.
//!         Output::Write(on) => hub.transmit(now, on, |bytes| {
//!             written.extend_from_slice(bytes);
//!             bytes.len() // As many as the socket has taken.
//!         }),
//!         Output::Read(_on) => {}     // Read from it again.
//!         Output::Shutdown(_on) => {} // Shut down its sending side.
//!         Output::Close(_on) => {}    // Drop it.
//!     }
//! }
//! assert!(written.starts_with(b"HTTP/1.1 200 OK\r\n"));
//!
//! // When to call `handle_timeout`, whatever happens until then.
//! assert_eq!(hub.poll_timeout(), Some(Time::ZERO + Duration::from_secs(25)));
//! ```
//!
//! Inputs are methods and not one enum: accepting gives a name, and bytes are borrowed for a moment.
//!
//! # What the loop sees to
//!
//! - It does not read a connection while [`Hub::is_reading`] says no, and asks that again when
//!   [`Output::Read`] comes. Nothing breaks if it reads nevertheless; then a peer that does not read
//!   its answers, or an application that is slow, makes the hub hold more than [`Limits`] say.
//! - After a [`transmit`](Hub::transmit) that could not write everything it calls
//!   [`Hub::handle_writable`] once it can go on.
//! - It calls [`Hub::handle_timeout`] when [`Hub::poll_timeout`] says, but first hands over what can be
//!   read: after a pause of the whole process the answers of peers that only seem silent wait there.
//!
//! What has not been written is still in the session's queue, up to what one `write` takes and the
//! answers to requests: it is counted there, and moves along when the session upgrades.
//!
//! [`Limits`]: crate::Limits

mod config;
mod connection;
mod desk;
mod output;

#[cfg(test)]
mod tests;

use alloc::{boxed::Box, collections::VecDeque, string::String, sync::Arc, vec::Vec};
use core::fmt;

use slab::Slab;

pub use self::{
    config::HubConfig,
    output::{AskId, ConnectionId, Output, SessionId},
};
use self::{
    connection::{Connection, Follow, Patience, Scratch},
    desk::{Desk, Due, View, rearm},
};
use crate::{
    encoded::Encoded,
    entropy::Entropy,
    session::{Session, SocketEnd, TrySendError},
    time::Time,
    wire::http,
};

/// A whole Engine.IO server.
///
/// Its methods come in the four families of [`Session`]: *network inputs*, `handle_*`, and all of them
/// infallible; *application commands*; *outputs*, [`poll`](Self::poll), [`transmit`](Self::transmit) and
/// [`poll_timeout`](Self::poll_timeout); and *getters*. `now` must never go backwards. The same inputs
/// give the same outputs, byte for byte.
///
/// **Cost.** Nothing is stored for an idle connection but its state, see the benchmark `peers`, and
/// small messages on WebSockets cost no allocation. All methods but [`close`](Self::close) and
/// [`abort`](Self::abort) take time for what they are asked, not for what else there is.
///
/// **Panics.** None, but those of the functions that it is given.
pub struct Hub {
    desk: Desk,
    connections: Slab<Connection>,
    /// Connections that the loop is to look after. Some may be gone.
    due: VecDeque<ConnectionId>,
    scratch: Scratch,
    http: Arc<http::Config>,
    patience: Patience,
}

impl Hub {
    /// A server without connections.
    ///
    /// Session ids are drawn from `entropy`, which is not passed to single calls because nearly each of
    /// them may open a session: behind a poll, which anything can answer, may wait the request of
    /// another.
    pub fn new(config: HubConfig, entropy: impl Entropy + Send + 'static) -> Self {
        Self {
            http: Arc::new(config.http()),
            patience: Patience { linger: config.linger, write: config.write_timeout },
            desk: Desk::new(config, Box::new(entropy)),
            connections: Slab::new(),
            due: VecDeque::new(),
            scratch: Scratch::new(),
        }
    }
}

/// Network inputs.
impl Hub {
    /// A connection was accepted.
    pub fn handle_accepted(&mut self, now: Time) -> ConnectionId {
        let serial = self.desk.fresh_id();
        let connection = Connection::new(now, serial, Arc::clone(&self.http));
        let on = ConnectionId { index: self.connections.insert(connection), serial };
        self.conclude(now, on);
        on
    }

    /// Bytes came. They are changed: payloads are unmasked where they lie.
    #[inline]
    pub fn handle_bytes(&mut self, now: Time, on: ConnectionId, bytes: &mut [u8]) {
        let Self { desk, connections, scratch, patience, .. } = self;
        if let Some(connection) = find(connections, on) {
            let mut view = View { desk, on };
            connection.handle_bytes(now, bytes, &mut view, scratch, *patience);
            self.conclude(now, on);
        }
    }

    /// The peer has closed its side: there is nothing more to read.
    pub fn handle_eof(&mut self, now: Time, on: ConnectionId) {
        let Self { desk, connections, scratch, patience, .. } = self;
        if let Some(connection) = find(connections, on) {
            connection.handle_eof(now, &mut View { desk, on }, scratch, *patience);
            self.conclude(now, on);
        }
    }

    /// The connection has failed, or the event loop has closed it. The name is of no more use, and no
    /// [`Output::Close`] follows, unless it has been on its way.
    pub fn handle_lost(&mut self, now: Time, on: ConnectionId) {
        if find(&mut self.connections, on).is_some() {
            let connection = self.connections.remove(on.index);
            self.lose(now, on, connection, SocketEnd::Failed);
        }
    }

    /// The connection can be written to again. Also makes up for a [`transmit`](Self::transmit) that
    /// was asked for and did not come.
    pub fn handle_writable(&mut self, _now: Time, on: ConnectionId) {
        if let Some(connection) = find(&mut self.connections, on)
            && connection.handle_writable()
        {
            self.wake(on);
        }
    }

    /// The clock has moved. Calling it before the deadline of [`poll_timeout`](Self::poll_timeout)
    /// does nothing.
    pub fn handle_timeout(&mut self, now: Time) {
        while let Some(due) = self.desk.deadlines.pop(now) {
            match due {
                Due::Session(id) => self.desk.handle_timeout(now, id),
                Due::Connection(on) => {
                    let Some(connection) = find(&mut self.connections, on) else { continue };
                    connection.armed = None;
                    let deadline = connection.deadline(self.patience);
                    if deadline.is_some_and(|deadline| deadline <= now) {
                        self.wake(on);
                    } else {
                        self.rearm(on);
                    }
                }
            }
        }
    }
}

/// Application commands.
impl Hub {
    /// Queues a message for a session. For many sessions pass clones of one [`Encoded::shared`].
    ///
    /// # Errors
    ///
    /// Those of [`Session::send`]; a session that is no more is closed. With either the message.
    #[inline]
    pub fn send(&mut self, to: SessionId, message: impl Into<Encoded>) -> Result<(), TrySendError> {
        self.desk.send(to, message.into())
    }

    /// Closes a session once everything queued has been let out, see [`Session::close`].
    pub fn close_session(&mut self, now: Time, session: SessionId) {
        self.desk.change(session, |session| session.close(now));
    }

    /// Closes a session now. What is queued is lost.
    pub fn abort_session(&mut self, session: SessionId) {
        self.desk.change(session, Session::abort);
    }

    /// Takes no messages of this session for now, because there is no room to answer them, say:
    /// [`poll`](Self::poll) passes it by. Once [`Limits::max_unread`](crate::Limits::max_unread) bytes
    /// have come its peer is slowed down. [`Event::Writable`](crate::Event::Writable) is still told,
    /// and when the session is over all that it has to tell.
    ///
    /// A peer that is not read is excused for being silent, so a session that is never resumed may outlive
    /// its peer.
    pub fn pause(&mut self, session: SessionId) {
        self.desk.set_paused(session, true);
    }

    /// Takes messages of this session again.
    pub fn resume(&mut self, session: SessionId) {
        self.desk.set_paused(session, false);
    }

    /// Lets the session be opened that [`Output::Ask`] was about. The first answer counts: false if
    /// there was one, or nobody waits for one, because the connection is gone, say.
    pub fn allow(&mut self, ask: AskId) -> bool {
        self.answer(ask, Ok(()))
    }

    /// Refuses, with status 403 and this message, to open the session that [`Output::Ask`] was
    /// about. False as from [`allow`](Self::allow).
    pub fn refuse(&mut self, ask: AskId, message: impl Into<String>) -> bool {
        self.answer(ask, Err(message.into()))
    }

    /// Ends the server: no new sessions; every session is closed as by
    /// [`close_session`](Self::close_session), and every connection once it has nothing more to do
    /// and all sessions have gone, as clients that poll come for what is queued with requests of their
    /// own, until [`is_finished`](Self::is_finished). The event loop goes on accepting connections if
    /// those clients may use new ones, and calls [`abort`](Self::abort) when it has waited for long
    /// enough.
    pub fn close(&mut self, now: Time) {
        self.desk.closing = true;
        // Once the last session has gone, connections are looked after; that may be now.
        self.desk.deserted = self.desk.living() == 0;
        self.desk.change_all(|session| session.close(now));
    }

    /// Ends the server now: what is queued is lost, and every connection closed.
    pub fn abort(&mut self, now: Time) {
        self.desk.closing = true;
        self.desk.change_all(Session::abort);
        for on in self.all_connections() {
            self.end(now, on);
        }
    }
}

/// Outputs.
impl Hub {
    /// What the event loop has to do, or the application should know.
    #[inline]
    pub fn poll(&mut self) -> Option<Output> {
        if let Some(output) = self.desk.outputs.pop_front() {
            if let Output::Close(on) = output {
                self.connections.try_remove(on.index);
            }
            return Some(output);
        }
        // What messages are answered with, all of those that have come, is written together.
        if let Some(event) = self.desk.next_event() {
            return Some(event);
        }
        self.gather_woken();
        loop {
            let on = self.due.pop_front()?;
            if let Some(connection) = find(&mut self.connections, on) {
                connection.due = false;
                connection.owed = true;
                return Some(Output::Write(on));
            }
        }
    }

    /// Looks after a connection: does what is due, and hands what there is to be written to `write`,
    /// piece by piece, until all is out or `write` takes fewer bytes than it was given. Then the
    /// connection counts as blocked, and nothing is written before
    /// [`handle_writable`](Self::handle_writable).
    ///
    /// `write` gives back how many bytes it has taken; 0 if it failed, in which case call
    /// [`handle_lost`](Self::handle_lost) next.
    pub fn transmit(&mut self, now: Time, on: ConnectionId, write: impl FnMut(&[u8]) -> usize) {
        let Self { desk, connections, scratch, patience, .. } = self;
        if let Some(connection) = find(connections, on) {
            connection.owed = false;
            connection.transmit(now, &mut View { desk, on }, scratch, *patience, write);
            self.conclude(now, on);
        }
    }

    /// When to call [`handle_timeout`](Self::handle_timeout). Changes with any other call. May be too
    /// early, never too late: deadlines move away with nearly every packet, which is noticed when
    /// they come up.
    pub fn poll_timeout(&mut self) -> Option<Time> {
        self.desk.deadlines.first()
    }
}

/// Getters.
impl Hub {
    /// Whether to read from this connection.
    #[inline]
    pub fn is_reading(&self, on: ConnectionId) -> bool {
        self.connections
            .get(on.index)
            .is_some_and(|connection| connection.serial == on.serial && connection.is_reading())
    }

    /// A session, to look at. `None` once it is over and [`Event::Closed`](crate::Event::Closed) has
    /// been taken.
    pub fn session(&self, session: SessionId) -> Option<&Session> {
        self.desk.session(session)
    }

    /// Number of sessions that are open, closing, or have events that were not taken.
    pub fn sessions(&self) -> usize {
        self.desk.sessions()
    }

    /// Number of connections that are open, as far as the event loop knows.
    pub fn connections(&self) -> usize {
        self.connections.len()
    }

    /// Whether the hub was closed, and everything has come to its end.
    pub fn is_finished(&self) -> bool {
        self.desk.closing && self.sessions() == 0 && self.connections.is_empty()
    }
}

impl Hub {
    fn answer(&mut self, ask: AskId, verdict: Result<(), String>) -> bool {
        let connection = find(&mut self.connections, ask.on);
        let waited = connection.is_some_and(|connection| connection.answer(ask, verdict));
        if waited {
            self.wake(ask.on);
        }
        waited
    }

    fn wake(&mut self, on: ConnectionId) {
        if let Some(connection) = find(&mut self.connections, on) {
            wake(connection, &mut self.due, on);
        }
    }

    /// Has those looked after that sessions want something of.
    #[inline]
    fn gather_woken(&mut self) {
        while let Some(on) = self.desk.woken.pop_front() {
            self.wake(on);
        }
        if core::mem::take(&mut self.desk.deserted) {
            for on in self.all_connections() {
                self.wake(on);
            }
        }
    }

    /// Does what follows from looking at a connection.
    fn conclude(&mut self, now: Time, on: ConnectionId) {
        self.desk.settle_touched();
        self.gather_woken();
        let Self { desk, connections, scratch, patience, .. } = self;
        let Some(connection) = find(connections, on) else { return };
        // A client that polls comes for what is queued with a request that is still to be sent.
        let running = !desk.closing || desk.living() > 0;
        match connection.conclude(now, running, scratch, *patience) {
            Follow::Nothing => {}
            Follow::Write => wake(connection, &mut self.due, on),
            Follow::Shutdown => desk.outputs.push_back(Output::Shutdown(on)),
            Follow::End => return self.end(now, on),
        }
        let stopped = !connection.is_reading();
        if core::mem::replace(&mut connection.stopped, stopped) && !stopped {
            desk.outputs.push_back(Output::Read(on));
        }
        self.rearm(on);
    }

    fn rearm(&mut self, on: ConnectionId) {
        let Some(connection) = find(&mut self.connections, on) else { return };
        let next = connection.deadline(self.patience);
        if next.is_some() || !connection.keeps_deadline() {
            let due = || Due::Connection(on);
            rearm(&mut self.desk.deadlines, &mut connection.armed, next, due);
        }
    }

    /// Asks the loop to close a connection. Its place is kept until the loop knows.
    fn end(&mut self, now: Time, on: ConnectionId) {
        let Some(connection) = find(&mut self.connections, on) else { return };
        let connection = core::mem::replace(connection, Connection::gone(now));
        self.lose(now, on, connection, SocketEnd::Closed);
        self.desk.outputs.push_back(Output::Close(on));
    }

    fn lose(&mut self, now: Time, on: ConnectionId, mut connection: Connection, end: SocketEnd) {
        let Self { desk, scratch, .. } = self;
        rearm(&mut desk.deadlines, &mut connection.armed, None, || Due::Connection(on));
        connection.lose(now, end, &mut View { desk, on }, scratch);
        desk.settle_touched();
    }

    fn all_connections(&self) -> Vec<ConnectionId> {
        let id = |(index, connection): (usize, &Connection)| ConnectionId {
            index,
            serial: connection.serial,
        };
        let open = self.connections.iter().filter(|(_, connection)| !connection.is_gone());
        open.map(id).collect()
    }
}

fn wake(connection: &mut Connection, due: &mut VecDeque<ConnectionId>, on: ConnectionId) {
    if !core::mem::replace(&mut connection.due, true) {
        due.push_back(on);
    }
}

#[inline]
fn find(connections: &mut Slab<Connection>, on: ConnectionId) -> Option<&mut Connection> {
    connections.get_mut(on.index).filter(|connection| connection.serial == on.serial)
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub")
            .field("sessions", &self.sessions())
            .field("connections", &self.connections())
            .finish_non_exhaustive()
    }
}
