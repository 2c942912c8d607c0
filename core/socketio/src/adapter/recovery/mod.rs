//! Recovery of connections: sockets that come back, and the events that they missed.

mod claim;
mod entry;
mod fingerprint;
mod history;
mod log;
mod offset;
mod shared;

use alloc::{
    collections::BTreeMap,
    string::{String, ToString},
    vec::Vec,
};
use core::{fmt, time::Duration};

use enginewire::{Entropy, Time};
use foldhash::fast::FixedState;
use hashbrown::HashMap;

pub(crate) use self::history::MAX_STAYS;
pub use self::{
    claim::Claim,
    entry::{EntryId, InvalidEntryId},
    offset::Offset,
    shared::{SocketState, Stay},
};
use self::{history::History, log::Log};
use super::{Target, storage::Churn};
use crate::id::{PrivateId, Room, SocketId};

/// Configuration of [`Recovery`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecoveryConfig {
    /// Time that a socket can be recovered after its connection broke. Default: 2 minutes.
    pub window: Duration,
    /// Whether a recovered socket is connected without the application's authorization. Default: true.
    pub skip_authorize: bool,
    /// Limit on logged events. The oldest are cut off. Default: 10 000.
    pub max_events: usize,
    /// Limit on the bytes of logged events. The oldest are cut off. Default: 16 MiB.
    pub max_bytes: usize,
    /// Limit on sockets that wait for their client. The oldest are dropped. Default: 10 000.
    pub max_sessions: usize,
    /// Longest time for an event to reach a client whose connection lives. Default: 2 minutes.
    ///
    /// A broken connection is noticed when a heartbeat fails, 45 seconds later with the usual settings. Events that
    /// were logged longer than this before that have reached the client, unless it reads very slowly. They are kept
    /// in the log for this time and the window.
    ///
    /// The hub and the drivers raise it to [twice the heartbeat](Self::expect_heartbeat).
    pub max_delay: Duration,
}

impl RecoveryConfig {
    /// Raises [`max_delay`](Self::max_delay) to twice the time after which a heartbeat fails.
    ///
    /// That is `ping_interval` and `ping_timeout` together. With less a client that comes back could miss events without
    /// notice: those that were sent while its loss was not noticed would be taken for received.
    pub fn expect_heartbeat(&mut self, heartbeat: Duration) {
        self.max_delay = self.max_delay.max(heartbeat.saturating_mul(2));
    }
}

impl Default for RecoveryConfig {
    fn default() -> Self {
        Self {
            window: Duration::from_secs(120),
            skip_authorize: true,
            max_events: 10_000,
            max_bytes: 16 << 20,
            max_sessions: 10_000,
            max_delay: Duration::from_secs(120),
        }
    }
}

/// Recovery of sockets whose connections broke, and a log of the events they missed.
///
/// `D` is the application's data of a socket. `E` is an event, of which each recovered client gets a clone.
///
/// # Use
///
/// The owner calls it under the lock of the [`Adapter`](super::Adapter), and from the turn of the
/// [`Sequencer`](super::Sequencer).
///
/// 1. Each event that is neither volatile nor to be acknowledged is logged with [`stamp`](Self::stamp), in the order
///    of delivery. Its offset is appended to the arguments. An event to one socket has that socket's own room as its
///    target.
/// 2. A socket that connects is made known with [`connected`](Self::connected), and its rooms with
///    [`joined`](Self::joined) and [`left`](Self::left).
/// 3. One that disconnects is kept with [`keep`](Self::keep), or forgotten with [`ended`](Self::ended).
/// 4. A client that sends a private id is looked for with [`living`](Self::living). Its predecessor may be connected
///    still, because nobody has noticed that the connection broke. End it and keep it.
/// 5. Then [`restore`](Self::restore) gives the socket back. The client gets the missed events, then its CONNECT
///    packet, and then the socket becomes a member again.
/// 6. After any of these, [`poll_dropped`](Self::poll_dropped) gives back the data of sockets that were dropped.
///
/// # What goes wrong elsewhere
///
/// - *Two sockets with one id* (socket.io #4880): restoring takes a socket out, so a private id restores it once.
/// - *A client without events cannot recover* (#4888, #5538): it sends no offset. Here the number at which it
///   connected takes its place.
/// - *A wrong offset* (#5539): clients take the last argument of any event for an offset, if it is a string. Append
///   [`latest`](Self::latest) to volatile events, so that theirs is none. An event to be acknowledged has no place for
///   it. If its last argument is a string, the client is not recovered, but it never gets wrong events.
/// - *An idle client cannot recover* (#5282): its last event has long been cut off. Here the events behind it may be
///   cut off too, as long as they are older than [`max_delay`](RecoveryConfig::max_delay).
/// - *Events of rooms that the client was not in*: the rooms are those at the time of the event, not those at the end.
///   Of the rooms that a socket has left, the last 64 are known.
#[derive(Clone)]
pub struct Recovery<D, E> {
    config: RecoveryConfig,
    /// The log is a copy of one that a cluster shares, and offsets are its ids.
    is_shared: bool,
    epoch: u64,
    log: Log<E>,
    /// Sockets that are connected. Ids are ours, so the hasher may be known. Never iterated, as the next one.
    living: HashMap<PrivateId, Living, FixedState>,
    /// Serial numbers of the sockets that wait.
    serials: HashMap<PrivateId, u64, FixedState>,
    /// Sockets that wait for their client, the oldest first.
    waiting: BTreeMap<u64, Waiting<D>>,
    last_serial: u64,
    dropped: Vec<D>,
    /// Events whose appends have ended without an entry, by the numbers of those.
    unplaced: BTreeMap<u64, u64>,
    living_churn: Churn,
    waiting_churn: Churn,
}

#[derive(Clone, Debug)]
struct Living {
    id: SocketId,
    history: History,
}

#[derive(Clone)]
struct Waiting<D> {
    at: Time,
    socket: Living,
    kept: Kept<D>,
    /// The state that other nodes can restore.
    mark: Option<u64>,
}

/// Socket that waits for its client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept<D> {
    /// The secret id under which it is restored.
    pub pid: PrivateId,
    /// Its rooms, without its own.
    pub rooms: Vec<Room>,
    /// The application's data.
    pub data: D,
}

/// Socket whose client has come back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored<D, E> {
    /// Its id, the same as before.
    pub id: SocketId,
    /// Its rooms, without its own, sorted by name.
    pub rooms: Vec<Room>,
    /// The application's data.
    pub data: D,
    /// The events that the client has not received, in order.
    pub missed: Vec<Missed<E>>,
}

/// Event that a client has not received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missed<E> {
    /// The offset to append. It is of no use if a cluster shares the log: see [`Recovery::shared`].
    pub offset: Offset,
    /// The event.
    pub event: E,
}

/// Reason why a client gets a new socket instead of its old one.
///
/// None of them is a fault. The old socket, if there was one, is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Unrecoverable {
    /// No socket waits under this private id. It was restored before, or there are too many.
    #[error("no socket waits under this private id")]
    UnknownSession,
    /// The client has come too late.
    #[error("the time to recover the socket is over")]
    Expired,
    /// The offset is not of this log. It is another server's, or an argument of an event.
    #[error("the offset is unknown")]
    UnknownOffset,
    /// Events that the client may have missed were cut off.
    #[error("events that the client may have missed are not logged any more")]
    LogCutOff,
}

impl<D, E: Clone> Recovery<D, E> {
    /// Creates an empty log, with an epoch that is drawn from `entropy`.
    pub fn new(config: RecoveryConfig, entropy: &mut dyn Entropy) -> Self {
        Self {
            config,
            is_shared: false,
            epoch: Offset::draw_epoch(entropy),
            log: Log::new(),
            living: HashMap::default(),
            serials: HashMap::default(),
            waiting: BTreeMap::new(),
            last_serial: 0,
            dropped: Vec::new(),
            unplaced: BTreeMap::new(),
            living_churn: Churn::default(),
            waiting_churn: Churn::default(),
        }
    }

    /// Creates a copy of the log that a cluster shares, without entries.
    ///
    /// The offsets are the [ids of entries](EntryId). [`log`](Self::log) takes the place of [`stamp`](Self::stamp), and the
    /// events are logged with their offsets.
    pub fn shared(config: RecoveryConfig, entropy: &mut dyn Entropy) -> Self {
        let mut this = Self { is_shared: true, ..Self::new(config, entropy) };
        this.log.leave_room();
        this
    }

    /// Tells how soon a broken connection is noticed, see [`RecoveryConfig::expect_heartbeat`].
    pub fn expect_heartbeat(&mut self, heartbeat: Duration) {
        self.config.expect_heartbeat(heartbeat);
    }

    /// Returns the configuration.
    pub const fn config(&self) -> &RecoveryConfig {
        &self.config
    }

    /// Logs an event and returns its offset. `cost` is its size in bytes.
    ///
    /// For events that are neither volatile nor to be acknowledged.
    pub fn stamp(&mut self, now: Time, target: Target, event: E, cost: usize) -> Offset {
        self.log(now, None, target, event, cost);
        self.latest()
    }

    /// Returns the offset of the last event, to be appended to volatile events.
    pub const fn latest(&self) -> Offset {
        self.offset(self.log.last())
    }

    /// Returns the offset that [`stamp`](Self::stamp) gives next, for those who log events with their offset.
    pub const fn upcoming(&self) -> Offset {
        self.offset(self.log.last() + 1)
    }

    /// Returns the offset of the last event as text, for volatile events.
    ///
    /// That is [`latest`](Self::latest), or the id of an entry if the last event is one.
    pub fn latest_offset(&self) -> String {
        match self.log.last_entry() {
            Some(entry) => entry.to_string(),
            None => self.latest().to_string(),
        }
    }

    const fn offset(&self, number: u64) -> Offset {
        Offset { epoch: self.epoch, number }
    }

    /// Makes a new socket known. It misses no event that was logged before.
    pub fn connected(&mut self, pid: PrivateId, id: SocketId) {
        let history = History::new(self.log.last());
        self.living.insert(pid, Living { id, history });
    }

    /// Returns the socket with this private id that is connected. End it and keep it before restoring.
    pub fn living(&self, pid: &PrivateId) -> Option<&SocketId> {
        self.living.get(pid).map(|socket| &socket.id)
    }

    /// Records that a client has received all of its events up to now.
    ///
    /// Optional: for owners that ask their clients.
    pub fn received(&mut self, pid: &PrivateId) {
        if let Some(socket) = self.living.get_mut(pid) {
            socket.history.received = self.log.last();
        }
    }

    /// Records that a connected socket has joined a room. It gets no event of that room that was logged before.
    ///
    /// Not for the rooms that it gets back when it is restored.
    pub fn joined(&mut self, pid: &PrivateId, room: &Room) {
        if let Some(socket) = self.living.get_mut(pid) {
            socket.history.join(room, self.log.moment());
        }
    }

    /// Records that a connected socket has left a room. It may still miss events of that room.
    pub fn left(&mut self, pid: &PrivateId, room: &Room) {
        if let Some(socket) = self.living.get_mut(pid) {
            socket.history.leave(room, self.log.moment(), self.log.cut_number());
        }
    }

    /// Forgets a socket that has disconnected and is not to be recovered.
    pub fn ended(&mut self, pid: &PrivateId) {
        self.take_living(pid);
    }

    /// Keeps a socket whose connection broke. Returns false if it was not connected, and drops it.
    pub fn keep(&mut self, now: Time, mut kept: Kept<D>) -> bool {
        let Some(socket) = self.take_living(&kept.pid) else {
            self.dropped.push(kept.data);
            return false;
        };
        kept.rooms.sort_unstable();
        self.insert_waiting(Waiting { at: now, socket, kept, mark: None });
        true
    }

    fn insert_waiting(&mut self, waiting: Waiting<D>) {
        self.last_serial += 1;
        // Private ids are drawn anew, so there is none before.
        if let Some(before) = self.serials.insert(waiting.kept.pid, self.last_serial) {
            let before = self.waiting.remove(&before);
            self.dropped.extend(before.map(|waiting| waiting.kept.data));
        }
        self.waiting.insert(self.last_serial, waiting);
        while self.waiting.len() > self.config.max_sessions && self.drop_oldest() {}
    }

    /// Restores the socket of a client that has come back.
    ///
    /// `offset` is that of the last event that the client received, if any. The socket is taken out: it is known as
    /// connected again, or dropped.
    ///
    /// # Errors
    ///
    /// [`Unrecoverable`] says why the client needs a new socket.
    pub fn restore(
        &mut self,
        now: Time,
        pid: &PrivateId,
        offset: Option<&str>,
    ) -> Result<Restored<D, E>, Unrecoverable> {
        // Another node may restore one whose state was given away.
        if self.is_given(pid) {
            return Err(Unrecoverable::UnknownSession);
        }
        let waiting = self.take_waiting(pid).ok_or(Unrecoverable::UnknownSession)?;
        let received = match self.received_by(now, &waiting, offset) {
            Ok(received) => received,
            Err(error) => {
                self.dropped.push(waiting.kept.data);
                return Err(error);
            }
        };
        let Waiting { mut socket, kept: Kept { pid, rooms, data }, .. } = waiting;
        let missed = self.log.since(received).filter(|(number, event)| {
            let was_in = |room: &str| socket.history.was_in(room, *number, &rooms);
            // It has got, or gets, the same event without an entry.
            if let Some(own) = event.again
                && (received < own || socket.history.arrived < *number)
            {
                return false;
            }
            event.target.matches(|room| socket.id == *room || was_in(room))
        });
        let missed = missed.map(|(number, event)| Missed {
            offset: self.offset(number),
            event: event.payload.clone(),
        });
        let missed: Vec<_> = missed.collect();
        // It has not received what it missed: this connection may break as well.
        let first = missed.first().map(|missed| missed.offset.number - 1);
        socket.history.received = first.unwrap_or(self.log.last());
        socket.history.resent = missed.last().map(|missed| (missed.offset.number, now));
        let id = socket.id.clone();
        self.living.insert(pid, socket);
        Ok(Restored { id, rooms, data, missed })
    }

    /// Returns the number of the last event that a client has received, if it can have all that came behind it.
    fn received_by(
        &self,
        now: Time,
        waiting: &Waiting<D>,
        offset: Option<&str>,
    ) -> Result<u64, Unrecoverable> {
        let Waiting { at, socket: Living { history, .. }, .. } = waiting;
        if *at + self.config.window <= now {
            return Err(Unrecoverable::Expired);
        }
        let mut received = history.received;
        if let Some(offset) = offset {
            let number = self.number_of(offset).ok_or(Unrecoverable::UnknownOffset)?;
            received = received.max(number);
        }
        // The socket of another node, whose client does not say what it has.
        if self.is_shared && received == 0 {
            return Err(Unrecoverable::UnknownOffset);
        }
        if received < self.log.cut_number() && self.may_miss(history, received, *at) {
            return Err(Unrecoverable::LogCutOff);
        }
        Ok(received)
    }

    /// Returns the number of the event with this offset.
    fn number_of(&self, offset: &str) -> Option<u64> {
        if let Some(id) = offset.parse().ok().filter(|_| self.is_shared) {
            return self.log.number_of(id);
        }
        let offset = Offset::parse(offset).filter(|offset| offset.epoch == self.epoch)?;
        Some(offset.number).filter(|number| *number <= self.log.last())
    }

    /// Returns the data of a socket that was dropped.
    ///
    /// To be called until there is none. The socket can no longer be recovered. The order is not specified.
    pub fn poll_dropped(&mut self) -> Option<D> {
        let data = self.dropped.pop();
        if self.dropped.is_empty() {
            self.dropped = Vec::new();
        }
        data
    }

    /// Drops events and sockets whose time is over.
    pub fn handle_timeout(&mut self, now: Time) {
        self.log.expire(now, self.log_age());
        let window = self.config.window;
        while self.oldest_waiting().is_some_and(|at| at + window <= now) && self.drop_oldest() {}
    }

    /// Returns when to call [`handle_timeout`](Self::handle_timeout).
    pub fn poll_timeout(&self) -> Option<Time> {
        let event = self.log.oldest().map(|at| at + self.log_age());
        let socket = self.oldest_waiting().map(|at| at + self.config.window);
        event.into_iter().chain(socket).min()
    }

    /// Returns the number of sockets that wait for their client.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Returns the number of logged events, and their bytes.
    pub fn logged(&self) -> (usize, usize) {
        (self.log.len(), self.log.bytes())
    }

    /// How long an event is needed. A socket may break as late as possible, and wait as long.
    const fn log_age(&self) -> Duration {
        self.config.window.saturating_add(self.config.max_delay)
    }

    /// Returns whether a client may miss an event that was cut off. Its connection broke at `broke`.
    fn may_miss(&self, history: &History, received: u64, broke: Time) -> bool {
        let is_late = |sent: Time| sent + self.config.max_delay > broke;
        // Events that it missed before were sent again when it was restored. Which of them were cut off is not known.
        let resent = history.resent.filter(|(until, _)| received < *until);
        self.log.cut_at().is_some_and(is_late) || resent.is_some_and(|(_, sent)| is_late(sent))
    }

    fn oldest_waiting(&self) -> Option<Time> {
        self.waiting.first_key_value().map(|(_, waiting)| waiting.at)
    }

    fn drop_oldest(&mut self) -> bool {
        let oldest = self.waiting.first_key_value().map(|(_, waiting)| waiting.kept.pid);
        let waiting = oldest.and_then(|pid| self.take_waiting(&pid));
        let is_dropped = waiting.is_some();
        self.dropped.extend(waiting.map(|waiting| waiting.kept.data));
        is_dropped
    }

    fn take_waiting(&mut self, pid: &PrivateId) -> Option<Waiting<D>> {
        let serial = self.serials.remove(pid)?;
        if self.waiting_churn.remove(self.serials.len()) {
            self.serials.shrink_to_fit();
        }
        self.waiting.remove(&serial)
    }

    fn take_living(&mut self, pid: &PrivateId) -> Option<Living> {
        let socket = self.living.remove(pid)?;
        if self.living_churn.remove(self.living.len()) {
            self.living.shrink_to_fit();
        }
        Some(socket)
    }
}

impl<D, E> fmt::Debug for Recovery<D, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recovery")
            .field("config", &self.config)
            .field("living", &self.living.len())
            .field("waiting", &self.waiting.len())
            .finish_non_exhaustive()
    }
}
