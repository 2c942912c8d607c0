//! The sockets of a client, on one connection to a server, over all its sessions.
//!
//! A [`Manager`] is fed by the messages of one Engine.IO session at a time, and outlives it: it asks for the next one,
//! connects its sockets again, and sends what was emitted meanwhile. What it has no use for are bytes of a socket, a
//! clock, or a runtime.

mod commands;
mod config;
mod connecting;
mod entry;
mod event;
mod fork;
mod inputs;
mod left;
mod recovery;
mod sending;

#[cfg(test)]
mod tests;

use alloc::{collections::VecDeque, sync::Arc, vec::Vec};
use core::fmt;

use enginewire::{CloseReason, Encoded, Reconnect, Reconnector, Sid, Time, carrier::GracePeriod};

pub use self::{
    config::{Auth, ManagerConfig, Offline},
    event::{EndReason, ManagerEvent, Update},
};
use self::{
    entry::{Entry, State},
    left::Left,
    recovery::Place,
};
use crate::{
    connection::{AckError, Fault, Session, Slot},
    id::SocketId,
    parser::Decoder,
    reason::DisconnectReason,
};

/// The sockets of a client, on one connection to a server, over all its sessions.
///
/// Methods come in the four families of [`Connection`](crate::Connection), its counterpart on a server: `handle_*` take
/// what came, commands of the application fail only for its own mistakes and limits, `poll_*` and
/// [`take_update`](Self::take_update) give outputs, getters look. Most take the session; without one that is `None`.
///
/// `T` says who waits for an acknowledgement. It comes back with the result.
///
/// # Loop
///
/// ```
/// use std::sync::Arc;
///
/// use enginewire::{ClientConfig, ClientSession, Event, Time, Url};
/// use enginewire_socketio::{Auth, Manager, ManagerConfig};
///
/// let url = Url::parse("http://localhost:3000")?;
/// let engine = Arc::new(ClientConfig::new(&url));
/// let mut entropy = |buffer: &mut [u8]| buffer.fill(7);
/// let mut manager = Manager::<()>::new(Arc::new(ManagerConfig::default()));
/// let mut session: Option<ClientSession> = None;
/// let now = Time::ZERO;
///
/// let chat = manager.open("/chat", Auth::None).expect("it is the first of this namespace");
/// manager.connect(now, chat, &mut session);
/// if manager.poll_open() {
///     session = Some(ClientSession::new(now, Arc::clone(&engine), false, &mut entropy));
/// }
/// // For the application: updates, room, an acknowledgement.
/// while let Some(_event) = manager.poll_event() {}
/// // The events of the session go to the manager, the last one with what has not left.
/// if let Some(open) = &mut session {
///     while let Some(event) = open.take_event() {
///         match event {
///             Event::Opened => {
///                 open.hold(manager.unread());
///                 manager.handle_opened(now, None, open);
///             }
///             Event::Message(message) => manager.handle_message(now, message, open),
///             Event::Writable => manager.handle_writable(now, open),
///             Event::Closed(reason) => {
///                 manager.handle_closed(now, &reason, open.undelivered(), &mut entropy);
///             }
///             _ => {}
///         }
///     }
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Order
///
/// Events of a socket leave in the order of the calls, also those that wait for a connection. Events with retries have
/// an order of their own. What comes is told in the order in which it came, with the changes of the connection between.
///
/// # Loss
///
/// Without retries an event is sent at most once. One that was taken by a session which is lost may be lost as well:
/// [`Update::Disconnected`] tells how many have not left. With retries it is sent at least once, as often as it takes
/// to be acknowledged, and no more often than allowed.
///
/// # Bounds
///
/// Events that wait for a connection are bounded by [`ManagerConfig::max_offline`] for each socket, those that wait on
/// one by the queue of the session. Events that were not taken count as unread for the session, those of earlier
/// sessions too.
pub struct Manager<T> {
    config: Arc<ManagerConfig>,
    decoder: Decoder,
    link: Link,
    /// `None` if a lost connection is not tried again.
    reconnector: Option<Reconnector>,
    entries: Vec<Entry<T>>,
    /// Names given to slots so far.
    serial: u32,
    /// Packets that found no room in the session. Nothing overtakes them.
    waiting: VecDeque<Control>,
    /// Bytes that the parts of an incomplete packet count for.
    partial: usize,
    /// Bytes that events which were not taken count for.
    unread: usize,
    /// When the session is closed that no socket needs, whatever waits.
    close_by: Option<Time>,
    grace: GracePeriod,
    readable: VecDeque<Slot>,
    outputs: VecDeque<ManagerEvent<T>>,
    fault: Option<Fault>,
    /// The end of the last session, if no socket was connected since.
    failure: Option<CloseReason>,
    /// Sessions that have ended or could not be opened so far, but for those that were not needed.
    failures: u64,
    /// The id of the session, towards a server of Socket.IO 2.
    sid: Option<Sid>,
    /// The namespace `/` of a server of Socket.IO 2.
    root: Root,
    left: Left,
    /// The next number of an acknowledgement, for sockets that are made on this session: none is used twice on it.
    next_ack: u128,
    is_closed: bool,
    /// Events that were not sent, of sockets that were disconnected.
    unsent: usize,
}

/// The session of Engine.IO.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Link {
    /// There is none.
    Down,
    /// It is to be opened.
    Wanted,
    /// It is being opened.
    Opening,
    Open,
    /// It is being closed, for want of sockets.
    Closing,
}

/// Namespace `/` of a session with a server of Socket.IO 2, which connects everybody to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Root {
    /// The server has not said so yet.
    Expected,
    Connected,
    /// One side has left it, or the server has refused it: it must be asked for.
    Left,
}

/// Packet that found no room.
#[derive(Clone, Debug, Hash)]
struct Control {
    message: Encoded,
    /// It is an event of the application.
    is_event: bool,
}

impl<T> Manager<T> {
    /// Creates a manager without sockets. It asks for a session once a socket needs one.
    pub fn new(config: Arc<ManagerConfig>) -> Self {
        Self {
            decoder: Decoder::new(&config.parser, config.limits),
            link: Link::Down,
            reconnector: config.reconnect.clone().map(Reconnector::new),
            entries: Vec::new(),
            serial: 0,
            waiting: VecDeque::new(),
            partial: 0,
            unread: 0,
            close_by: None,
            grace: GracePeriod::new(),
            readable: VecDeque::new(),
            outputs: VecDeque::new(),
            fault: None,
            failure: None,
            failures: 0,
            sid: None,
            root: Root::Expected,
            left: Left::default(),
            next_ack: 0,
            is_closed: false,
            unsent: 0,
            config,
        }
    }
}

/// Outputs.
impl<T> Manager<T> {
    /// Returns true, once, if a session of Engine.IO is to be opened.
    ///
    /// [`handle_opened`](Self::handle_opened) or [`handle_closed`](Self::handle_closed) tells the outcome.
    pub fn poll_open(&mut self) -> bool {
        let is_wanted = self.wants_open();
        if is_wanted {
            self.link = Link::Opening;
        }
        is_wanted
    }

    /// Returns the next thing that happened. Updates come before everything else.
    pub fn poll_event(&mut self) -> Option<ManagerEvent<T>> {
        if let Some(slot) = self.readable.pop_front() {
            return Some(ManagerEvent::Readable(slot));
        }
        self.outputs.pop_front()
    }

    /// Takes the next update of a socket, and gives back what an event counts for.
    pub fn take_update(&mut self, slot: Slot, session: &mut impl Session) -> Option<Update> {
        let entry = self.entry(slot)?;
        let (update, cost) = entry.updates.pop_front()?;
        if entry.updates.is_empty() && entry.updates.capacity() > KEPT {
            entry.updates = VecDeque::new();
        }
        self.give_back(cost, session);
        Some(update)
    }

    /// Returns when to call [`handle_timeout`](Self::handle_timeout). It may be too early, never too late.
    pub fn poll_timeout(&self) -> Option<Time> {
        let reconnect = self.reconnector.as_ref().and_then(Reconnector::poll_timeout);
        let entries = self.entries.iter().filter_map(Entry::deadline);
        entries.chain(reconnect).chain(self.close_by).min()
    }
}

/// Getters.
impl<T> Manager<T> {
    /// Returns whether [`poll_open`](Self::poll_open) would return true.
    pub fn wants_open(&self) -> bool {
        self.link == Link::Wanted
    }

    /// Returns whether the manager was closed.
    pub const fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Returns why the last session has ended or could not be opened.
    ///
    /// `None` if a socket was connected since.
    pub const fn last_failure(&self) -> Option<&CloseReason> {
        self.failure.as_ref()
    }

    /// Returns how many sessions have ended or could not be opened.
    ///
    /// Sessions that were not needed do not count.
    pub const fn failures(&self) -> u64 {
        self.failures
    }

    /// Returns whether the application is asked for the payload of a socket.
    pub fn is_asking(&self, slot: Slot) -> bool {
        self.find_entry(slot).is_some_and(|entry| entry.state == State::Asking)
    }

    /// Returns whether updates of a socket wait to be taken.
    pub fn is_readable(&self, slot: Slot) -> bool {
        self.find_entry(slot).is_some_and(|entry| !entry.updates.is_empty())
    }

    /// Returns whether the server has connected a socket.
    pub fn is_connected(&self, slot: Slot) -> bool {
        self.find_entry(slot).is_some_and(Entry::is_connected)
    }

    /// Returns whether a socket is connected, or tries to be.
    pub fn is_active(&self, slot: Slot) -> bool {
        self.find_entry(slot).is_some_and(|entry| entry.state.is_active())
    }

    /// Returns why a socket is not [active](Self::is_active). `None` before it is connected the first time.
    pub fn end_reason(&self, slot: Slot) -> Option<&EndReason> {
        self.find_entry(slot)?.end.as_ref()
    }

    /// Returns the id that a socket has on the server, while it is connected.
    pub fn id(&self, slot: Slot) -> Option<&SocketId> {
        self.find_entry(slot)?.id.as_ref()
    }

    /// Returns the namespace of a socket.
    pub fn namespace(&self, slot: Slot) -> Option<&str> {
        self.find_entry(slot).map(|entry| &*entry.namespace)
    }

    /// Returns the bytes of a socket that wait.
    ///
    /// They wait for a connection, or to be acknowledged with retries.
    pub fn queued(&self, slot: Slot) -> usize {
        self.find_entry(slot).map_or(0, Entry::queued)
    }

    /// Returns the bytes that events which were not taken count for.
    ///
    /// The next session is to [hold](enginewire::ClientSession::hold) them.
    pub const fn unread(&self) -> usize {
        self.unread
    }

    /// Returns the fault of the server for which the last session was closed.
    pub const fn fault(&self) -> Option<&Fault> {
        self.fault.as_ref()
    }

    /// Returns the configuration.
    pub fn config(&self) -> &ManagerConfig {
        &self.config
    }
}

impl<T> Manager<T> {
    fn find(&self, namespace: &str) -> Option<usize> {
        let is_it = |entry: &Entry<T>| entry.state != State::Free && entry.namespace == *namespace;
        self.entries.iter().position(is_it)
    }

    fn find_entry(&self, slot: Slot) -> Option<&Entry<T>> {
        let entry = self.entries.get(slot.index)?;
        (entry.serial == slot.serial && !entry.is_released).then_some(entry)
    }

    fn entry(&mut self, slot: Slot) -> Option<&mut Entry<T>> {
        let entry = self.entries.get_mut(slot.index)?;
        (entry.serial == slot.serial && !entry.is_released).then_some(entry)
    }

    fn slot(&self, index: usize) -> Slot {
        Slot { index, serial: self.entries[index].serial }
    }

    fn policy(&self) -> Reconnect {
        self.config.reconnect.clone().unwrap_or_default()
    }

    fn new_reconnector(&self) -> Option<Reconnector> {
        self.config.reconnect.clone().map(Reconnector::new)
    }

    fn push_change(&mut self, index: usize, update: Update) {
        self.note_readable(index);
        self.entries[index].push_change(update, 0);
    }

    fn note_readable(&mut self, index: usize) {
        if self.entries[index].updates.is_empty() {
            let slot = self.slot(index);
            self.readable.push_back(slot);
        }
    }

    fn give_back(&mut self, cost: usize, session: &mut impl Session) {
        if cost > 0 {
            self.unread = self.unread.saturating_sub(cost);
            session.release(cost);
        }
    }

    fn fail_all(&mut self, slot: Slot, tokens: impl IntoIterator<Item = T>, error: AckError) {
        let failed = tokens
            .into_iter()
            .map(|token| ManagerEvent::Acknowledged(slot, token, Err(error.clone())));
        self.outputs.extend(failed);
    }

    fn fail_retries(&mut self, index: usize, error: &AckError) {
        let slot = self.slot(index);
        while let Some(retry) = self.entries[index].retries.pop() {
            self.fail_all(slot, [retry.token], error.clone());
        }
    }

    /// The connection of a socket is gone. Acknowledgements of what has left will not come.
    fn drop_connection(&mut self, index: usize, reason: DisconnectReason, unsent: usize) {
        let (slot, error) = (self.slot(index), AckError::Disconnected(reason));
        let entry = &mut self.entries[index];
        entry.id = None;
        let waiting = entry.offline.acks();
        let lost = entry.acks.drain_but(&waiting);
        let given_up = entry.retries.fail();
        let tokens = lost.into_iter().map(|(_, token)| token).chain(given_up);
        let failed =
            tokens.map(|token| ManagerEvent::Acknowledged(slot, token, Err(error.clone())));
        self.outputs.extend(failed);
        self.push_change(index, Update::Disconnected { reason, unsent });
    }

    /// A socket is not to be connected any more.
    fn end(&mut self, now: Time, index: usize, reason: EndReason, session: &mut impl Session) {
        let entry = &mut self.entries[index];
        entry.state = match entry.state {
            // Some servers close the connection if a socket leaves that is not connected yet.
            State::Connecting(_) | State::Leaving | State::Rejoining(_)
                if reason == EndReason::Left =>
            {
                State::Leaving
            }
            _ => State::Idle,
        };
        if matches!(reason, EndReason::Left | EndReason::ServerLeft) {
            entry.is_stale |= self.link == Link::Open;
            // Nothing is missed by one that is not there.
            entry.place = Place::default();
        }
        // No further attempt is made. What the application has left itself it is told by the command.
        let retries = match reason {
            EndReason::Left => None,
            EndReason::Failed(_) => Some(DisconnectReason::TransportError),
            _ => Some(DisconnectReason::ServerLeft),
        };
        entry.end.get_or_insert(reason);
        if let Some(reason) = retries {
            self.fail_retries(index, &AckError::Disconnected(reason));
        }
        self.tell_room(index);
        self.close_unneeded(now, session);
    }

    fn tell_closed(&mut self) {
        let unsent = core::mem::take(&mut self.unsent);
        self.outputs.push_back(ManagerEvent::Closed { unsent });
    }
}

impl<T> fmt::Debug for Manager<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let connected = self.entries.iter().filter(|entry| entry.is_connected()).count();
        f.debug_struct("Manager")
            .field("link", &self.link)
            .field("sockets", &self.entries.len())
            .field("connected", &connected)
            .field("fault", &self.fault)
            .finish_non_exhaustive()
    }
}

/// Places of queues that are kept when they are empty.
const KEPT: usize = 16;
