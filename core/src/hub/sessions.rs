//! The sessions of a hub, and everything that its connections share.

use alloc::{
    boxed::Box,
    collections::{BTreeSet, VecDeque},
    sync::Arc,
    vec::Vec,
};

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use slab::Slab;

use super::{ConnectionId, Output, ServerHubConfig, SessionId, nodes::Links};
use crate::{
    carrier::{Compressors, Entry, FromWaker, Layer, LayerContext, Settled},
    deadlines::Deadlines,
    encoded::Encoded,
    entropy::Entropy,
    node::NodeName,
    router::Router,
    session::{Event, SendError, ServerSession, TrySendError},
    sid::Sid,
    time::Time,
    wire::http::{self, RequestHead},
};

/// Everything of a hub but its connections.
pub(super) struct Sessions {
    pub(super) router: Router,
    pub(super) http: Arc<http::Config>,
    pub(super) entropy: Box<dyn Entropy + Send>,
    pub(super) compressors: Compressors,
    pub(super) asks: bool,
    pub(super) forwards: bool,
    /// Names of other nodes.
    pub(super) nodes: BTreeSet<NodeName>,
    /// Requests that were handed over to other nodes.
    pub(super) links: Links,
    max_sessions: usize,
    /// The hub is closing.
    pub(super) closing: bool,
    slots: Slab<Slot>,
    /// Slots of sessions that are closed and have no events.
    over: usize,
    /// Keyed by ids that this server made, so a hasher that an attacker could predict is fine: a
    /// peer can look ids up, never put one in. Never iterated.
    directory: HashMap<Sid, usize, FixedState>,
    pub(super) deadlines: Deadlines<Due>,
    /// The last number given to a connection, session, exchange or WebSocket.
    last_id: u64,
    pub(super) outputs: VecDeque<Output>,
    /// Sessions with events for the application, in the order in which they began to have some.
    eventful: VecDeque<SessionId>,
    /// Connections that a session has woken. Some may stand here twice.
    pub(super) woken: VecDeque<ConnectionId>,
    /// Sessions that connections have changed and that have not been settled since.
    touched: Vec<SessionId>,
    /// A closed session with a layer, whose last [`Output::Layer`] the application is looking at.
    retired: Option<SessionId>,
    /// The hub is closing, and the last session has closed since the connections were driven.
    pub(super) deserted: bool,
}

/// The owner of a deadline.
pub(super) enum Due {
    Session(SessionId),
    Connection(ConnectionId),
}

/// One session and what its application has not been told.
struct Slot {
    serial: u64,
    entry: Entry<ConnectionId>,
    /// The session opened.
    opened: Option<(ConnectionId, Arc<RequestHead>)>,
    /// The layer has something.
    notified: bool,
    /// In `eventful`.
    eventful: bool,
    /// The application takes no events now.
    paused: bool,
    /// A message was refused for want of room, and [`Event::Writable`] was not told since.
    full: bool,
    /// The session is closed, and all its events were taken. It is kept for connections that have not
    /// noticed: one with a POST whose body is still to come, for example.
    over: bool,
}

/// A hub has no locks, so a layer's waker is called at once.
impl FromWaker for ConnectionId {
    fn from_waker(waker: core::task::Waker) -> Option<Self> {
        waker.wake();
        None
    }
}

impl Sessions {
    pub(super) fn new(config: ServerHubConfig, entropy: Box<dyn Entropy + Send>) -> Self {
        Self {
            http: Arc::new(config.http()),
            asks: config.ask,
            forwards: config.forward,
            nodes: config.nodes,
            links: Links::default(),
            max_sessions: config.max_sessions,
            router: Router::new(config.protocol),
            entropy,
            compressors: Compressors::new(),
            closing: false,
            slots: Slab::new(),
            over: 0,
            directory: HashMap::default(),
            deadlines: Deadlines::new(),
            last_id: 0,
            outputs: VecDeque::new(),
            eventful: VecDeque::new(),
            woken: VecDeque::new(),
            touched: Vec::new(),
            retired: None,
            deserted: false,
        }
    }

    pub(super) const fn fresh_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    pub(super) fn has_room(&self) -> bool {
        !self.closing && self.len() < self.max_sessions
    }

    /// Returns the number of sessions that are open, closing, or have events.
    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.over
    }

    /// Returns the number of sessions that are open or closing, which requests can find.
    pub(super) fn living(&self) -> usize {
        self.directory.len()
    }

    pub(super) fn find(&self, sid: &Sid) -> Option<SessionId> {
        let &index = self.directory.get(sid)?;
        Some(SessionId { index, serial: self.slots.get(index)?.serial })
    }

    pub(super) fn session(&self, id: SessionId) -> Option<&ServerSession> {
        let shows = |slot: &&Slot| slot.serial == id.serial && !slot.over;
        Some(self.slots.get(id.index).filter(shows)?.entry.session())
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = SessionId> {
        let id = |(index, slot): (usize, &Slot)| SessionId { index, serial: slot.serial };
        self.slots.iter().filter(|(_, slot)| !slot.over).map(id)
    }

    fn slot(&mut self, id: SessionId) -> Option<&mut Slot> {
        self.slots.get_mut(id.index).filter(|slot| slot.serial == id.serial)
    }

    /// Inserts a session that `head` has opened on the connection `on`.
    pub(super) fn insert(
        &mut self,
        now: Time,
        session: ServerSession,
        on: ConnectionId,
        head: Arc<RequestHead>,
    ) -> SessionId {
        let (sid, serial) = (session.sid(), self.fresh_id());
        let index = self.slots.insert(Slot {
            serial,
            entry: Entry::new(now, session),
            opened: Some((on, head)),
            notified: false,
            eventful: false,
            paused: false,
            full: false,
            over: false,
        });
        self.directory.insert(sid, index);
        let id = SessionId { index, serial };
        self.touched.push(id);
        id
    }

    /// Returns the entry of a session that a connection carries, to be settled with
    /// [`settle_touched`](Self::settle_touched), and the connections that are woken.
    pub(super) fn touch(
        &mut self,
        now: Time,
        id: SessionId,
    ) -> (&mut Entry<ConnectionId>, &mut VecDeque<ConnectionId>) {
        if self.touched.last() != Some(&id) {
            self.touched.push(id);
        }
        // A slot is kept while anything carries its session, and found by a request only while it is there.
        let entry = &mut self.slots[id.index].entry;
        entry.set_now(now);
        (entry, &mut self.woken)
    }
}

/// Commands of the application.
impl Sessions {
    pub(super) fn send(&mut self, to: SessionId, message: Encoded) -> Result<(), TrySendError> {
        let Some(slot) = self.slot(to) else {
            return Err(TrySendError { message, reason: SendError::Closed });
        };
        if let Err(error) = slot.entry.session_mut().send(message) {
            slot.full = matches!(error.reason, SendError::Full { .. });
            return Err(error);
        }
        self.settle(to);
        Ok(())
    }

    /// Changes a session, if there is one of that name.
    pub(super) fn change(&mut self, id: SessionId, change: impl FnOnce(&mut ServerSession)) {
        if let Some(slot) = self.slot(id) {
            change(slot.entry.session_mut());
            self.settle(id);
        }
    }

    /// Changes every session, in the order of their indices.
    pub(super) fn change_all(&mut self, mut change: impl FnMut(&mut ServerSession)) {
        for id in self.ids().collect::<Vec<_>>() {
            self.change(id, &mut change);
        }
    }

    pub(super) fn set_paused(&mut self, id: SessionId, paused: bool) {
        if let Some(slot) = self.slot(id) {
            slot.paused = paused;
            self.settle(id);
        }
    }

    pub(super) fn set_layer(&mut self, now: Time, id: SessionId, layer: Box<dyn Layer>) -> bool {
        let Some(slot) = self.slot(id) else { return false };
        slot.entry.set_now(now);
        slot.entry.set_layer(layer);
        self.settle(id);
        true
    }

    pub(super) fn with_layer<L: Layer, T>(
        &mut self,
        now: Time,
        id: SessionId,
        f: impl FnOnce(&mut L, &mut LayerContext<'_>) -> T,
    ) -> Option<T> {
        let Self { slots, woken, .. } = self;
        let slot = slots.get_mut(id.index).filter(|slot| slot.serial == id.serial)?;
        slot.entry.set_now(now);
        let (result, Settled { notified }) = slot.entry.with_layer(woken, f);
        slot.notified |= notified;
        self.settle(id);
        result
    }

    pub(super) fn handle_timeout(&mut self, now: Time, id: SessionId) {
        let Self { slots, woken, .. } = self;
        let slot = slots.get_mut(id.index).filter(|slot| slot.serial == id.serial);
        if let Some(slot) = slot {
            slot.notified |= slot.entry.handle_timeout(now, woken).notified;
            self.settle(id);
        }
    }
}

/// Events for the application.
impl Sessions {
    #[inline]
    pub(super) fn next_event(&mut self) -> Option<Output> {
        if let Some(id) = self.retired.take() {
            self.settle(id);
        }
        while let Some(&id) = self.eventful.front() {
            if let Some(output) = self.next_event_of(id) {
                return Some(output);
            }
            self.eventful.pop_front();
        }
        None
    }

    fn next_event_of(&mut self, id: SessionId) -> Option<Output> {
        let slot = self.slot(id)?;
        if slot.is_silent() {
            slot.eventful = false;
            return None;
        }
        if let Some((on, head)) = slot.opened.take() {
            return Some(Output::Opened(id, on, head));
        }
        if core::mem::take(&mut slot.notified) {
            if slot.entry.session().is_closed() {
                self.retired = Some(id);
            }
            return Some(Output::Layer(id));
        }
        let session = slot.entry.session_mut();
        let was_receiving = session.is_receiving();
        let event = loop {
            match session.poll_event() {
                // That was told past the messages that wait.
                Some(Event::Writable) => {}
                Some(event) => break event,
                None => {
                    slot.eventful = false;
                    return None;
                }
            }
        };
        // Nothing else follows from taking an event while the session goes on.
        if !was_receiving || session.is_closed() {
            self.settle(id);
        }
        Some(Output::Event(id, event))
    }

    /// Settles the sessions that connections have changed.
    pub(super) fn settle_touched(&mut self) {
        while let Some(id) = self.touched.pop() {
            self.settle(id);
        }
    }

    /// Does what follows from a change of a session, and removes it once nothing is left of it.
    fn settle(&mut self, id: SessionId) {
        let Self { slots, woken, deadlines, eventful, directory, outputs, .. } = self;
        let Self { closing, deserted, over, retired, .. } = self;
        let slot = slots.get_mut(id.index).filter(|slot| slot.serial == id.serial);
        let Some(slot) = slot else { return };
        slot.notified |= slot.entry.settle(None, woken).notified;
        let session = slot.entry.session();
        if slot.full && session.is_open() && session.is_writable() {
            slot.full = false;
            outputs.push_back(Output::Event(id, Event::Writable));
        }
        if slot.has_events() && !slot.eventful && !slot.is_silent() {
            slot.eventful = true;
            eventful.push_back(id);
        }
        let next = slot.entry.poll_timeout();
        deadlines.rearm(&mut slot.entry.alarm, next, || Due::Session(id));
        let session = slot.entry.session();
        if session.is_closed() {
            let died = directory.remove(&session.sid()).is_some();
            *deserted |= died && *closing && directory.is_empty();
            if !slot.has_events() && *retired != Some(id) {
                *over += usize::from(!core::mem::replace(&mut slot.over, true));
                if !slot.entry.is_carried() {
                    deadlines.rearm(&mut slot.entry.alarm, None, || Due::Session(id));
                    slots.remove(id.index);
                    *over -= 1;
                }
            }
        }
    }
}

impl Slot {
    fn has_events(&self) -> bool {
        self.opened.is_some() || self.notified || self.entry.session().has_events()
    }

    /// A closed session tells its events even to an application that has paused it.
    fn is_silent(&self) -> bool {
        self.paused && !self.entry.session().is_closed()
    }
}
