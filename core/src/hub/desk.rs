//! The sessions of a hub, and everything that its connections share.

use alloc::{boxed::Box, collections::VecDeque, string::String, sync::Arc, vec, vec::Vec};

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use slab::Slab;

use super::{AskId, ConnectionId, HubConfig, Output, SessionId};
use crate::{
    carrier::{self, Host, Order},
    deadlines::{DeadlineKey, Deadlines},
    encoded::Encoded,
    entropy::Entropy,
    router::{Opening, Reject, Router},
    session::{Carrier, Event, ExchangeId, SendError, Session, SocketId, TrySendError},
    sid::Sid,
    time::Time,
    wire::http::RequestHead,
};

/// Everything of a hub but its connections.
pub(super) struct Desk {
    pub(super) router: Router,
    entropy: Box<dyn Entropy + Send>,
    ask: bool,
    max_sessions: usize,
    /// The hub is ending.
    pub(super) closing: bool,
    entries: Slab<Entry>,
    /// Entries of sessions that are over.
    over: usize,
    /// Keyed by ids that this server made, so a hasher that an attacker could predict is fine: a
    /// peer can look ids up, never put one in. Never iterated.
    directory: HashMap<Sid, usize, FixedState>,
    pub(super) deadlines: Deadlines<Due>,
    /// The last name given to a connection, session, exchange or WebSocket.
    last_id: u64,
    pub(super) outputs: VecDeque<Output>,
    /// Sessions that have something to tell, in the order in which they began to.
    eventful: VecDeque<SessionId>,
    /// Connections that a session wants something of. Some may stand here twice.
    pub(super) woken: VecDeque<ConnectionId>,
    /// Sessions that something was done to and that have not been settled since.
    touched: Vec<SessionId>,
    /// The hub is ending, and the last session has gone since the connections were looked after.
    pub(super) deserted: bool,
}

/// What a deadline is for.
pub(super) enum Due {
    Session(SessionId),
    Connection(ConnectionId),
}

/// One session and who waits for it.
struct Entry {
    serial: u64,
    session: Session,
    /// Exchanges and WebSockets that carry the session now.
    carriers: Vec<Carried>,
    /// What the application has not been told yet: that there is a session.
    opened: Option<(ConnectionId, Arc<RequestHead>)>,
    armed: Option<Armed>,
    /// In `eventful`.
    eventful: bool,
    /// The application wants no messages now.
    paused: bool,
    /// It was told that there is no room, and not since that there is again.
    full: bool,
    /// The session is over, and all that it had to tell has been taken. It is kept for connections
    /// that do not know yet: one with a POST whose body is still to come, say.
    over: bool,
}

/// An exchange or WebSocket of a session, and the connection that it is on.
struct Carried {
    id: u64,
    on: ConnectionId,
    /// What the session wants of it.
    order: Option<Order>,
    /// The connection has been woken, and not looked at since.
    woken: bool,
    /// The connection is not read until the application catches up.
    held: bool,
    /// The connection takes no bytes now.
    blocked: bool,
}

/// A deadline that has been armed.
pub(super) struct Armed {
    pub(super) deadline: Time,
    key: DeadlineKey,
}

impl Desk {
    pub(super) fn new(config: HubConfig, entropy: Box<dyn Entropy + Send>) -> Self {
        Self {
            ask: config.ask,
            max_sessions: config.max_sessions,
            router: Router::new(config.protocol),
            entropy,
            closing: false,
            entries: Slab::new(),
            over: 0,
            directory: HashMap::default(),
            deadlines: Deadlines::new(),
            last_id: 0,
            outputs: VecDeque::new(),
            eventful: VecDeque::new(),
            woken: VecDeque::new(),
            touched: Vec::new(),
            deserted: false,
        }
    }

    pub(super) const fn fresh_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    pub(super) fn sessions(&self) -> usize {
        self.entries.len() - self.over
    }

    pub(super) fn session(&self, id: SessionId) -> Option<&Session> {
        let shows = |entry: &&Entry| entry.serial == id.serial && !entry.over;
        Some(&self.entries.get(id.index).filter(shows)?.session)
    }

    fn entry(&mut self, id: SessionId) -> Option<&mut Entry> {
        self.entries.get_mut(id.index).filter(|entry| entry.serial == id.serial)
    }

    pub(super) fn send(&mut self, to: SessionId, message: Encoded) -> Result<(), TrySendError> {
        let Some(entry) = self.entry(to) else {
            return Err(TrySendError { message, reason: SendError::Closed });
        };
        if let Err(error) = entry.session.send(message) {
            entry.full = matches!(error.reason, SendError::Full { .. });
            return Err(error);
        }
        self.settle(to);
        Ok(())
    }

    /// Does something to a session, if there is one of that name.
    pub(super) fn change(&mut self, id: SessionId, change: impl FnOnce(&mut Session)) {
        if let Some(entry) = self.entry(id) {
            change(&mut entry.session);
            self.settle(id);
        }
    }

    /// Does something to every session, in the order of their places.
    pub(super) fn change_all(&mut self, mut change: impl FnMut(&mut Session)) {
        let ids = |(index, entry): (usize, &Entry)| SessionId { index, serial: entry.serial };
        for id in self.entries.iter().map(ids).collect::<Vec<_>>() {
            self.change(id, &mut change);
        }
    }

    pub(super) fn set_paused(&mut self, id: SessionId, paused: bool) {
        if let Some(entry) = self.entry(id) {
            entry.paused = paused;
            self.settle(id);
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Time, id: SessionId) {
        if let Some(entry) = self.entry(id) {
            entry.armed = None;
            entry.session.handle_timeout(now);
            self.settle(id);
        }
    }

    /// Until the connection can be written to, messages for this WebSocket are nothing to it.
    pub(super) fn block(&mut self, session: SessionId, on: SocketId) {
        let Some(entry) = self.entry(session) else { return };
        for carried in entry.carriers.iter_mut().filter(|carried| carried.id == on.0) {
            carried.blocked = true;
        }
    }

    /// The next thing that a session tells.
    #[inline]
    pub(super) fn next_event(&mut self) -> Option<Output> {
        while let Some(&id) = self.eventful.front() {
            if let Some(output) = self.next_event_of(id) {
                return Some(output);
            }
            self.eventful.pop_front();
        }
        None
    }

    fn next_event_of(&mut self, id: SessionId) -> Option<Output> {
        let entry = self.entry(id)?;
        if entry.is_silent() {
            entry.eventful = false;
            return None;
        }
        if let Some((on, head)) = entry.opened.take() {
            return Some(Output::Opened(id, on, head));
        }
        let was_receiving = entry.session.is_receiving();
        let event = loop {
            match entry.session.poll_event() {
                // That was told past the messages that wait.
                Some(Event::Writable) => {}
                Some(event) => break event,
                None => {
                    entry.eventful = false;
                    return None;
                }
            }
        };
        // Nothing else follows from taking what has come, while the session goes on.
        if !was_receiving || entry.session.is_closed() {
            self.settle(id);
        }
        Some(Output::Event(id, event))
    }

    /// Sees to what follows from what connections did.
    pub(super) fn settle_touched(&mut self) {
        while let Some(id) = self.touched.pop() {
            self.settle(id);
        }
    }

    /// Number of sessions that are open or closing: those that requests can still find.
    pub(super) fn living(&self) -> usize {
        self.directory.len()
    }

    /// Hands out what a session wants of others, and lets it go when it is over.
    fn settle(&mut self, id: SessionId) {
        let Self { entries, woken, deadlines, eventful, directory, outputs, .. } = self;
        let Self { closing, deserted, over, .. } = self;
        let entry = entries.get_mut(id.index).filter(|entry| entry.serial == id.serial);
        let Some(entry) = entry else { return };
        if entry.session.has_actions() {
            entry.hand_out_actions(None, woken);
        }
        entry.wake_carriers(woken);
        if entry.full && entry.session.is_open() && entry.session.is_writable() {
            entry.full = false;
            outputs.push_back(Output::Event(id, Event::Writable));
        }
        if entry.has_events() && !entry.eventful && !entry.is_silent() {
            entry.eventful = true;
            eventful.push_back(id);
        }
        let next = entry.session.poll_timeout().map(|(deadline, _)| deadline);
        rearm(deadlines, &mut entry.armed, next, || Due::Session(id));
        if entry.session.is_closed() {
            let died = directory.remove(&entry.session.sid()).is_some();
            *deserted |= died && *closing && directory.is_empty();
            if !entry.has_events() {
                *over += usize::from(!core::mem::replace(&mut entry.over, true));
                if entry.carriers.is_empty() {
                    entries.remove(id.index);
                    *over -= 1;
                }
            }
        }
    }
}

/// Sees to it that something is looked at no later than at its next deadline.
pub(super) fn rearm(
    deadlines: &mut Deadlines<Due>,
    armed: &mut Option<Armed>,
    next: Option<Time>,
    due: impl FnOnce() -> Due,
) {
    if carrier::must_rearm(armed.as_ref().map(|armed| armed.deadline), next) {
        if let Some(old) = armed.take() {
            deadlines.disarm(old.key);
        }
        *armed = next.map(|deadline| Armed { deadline, key: deadlines.arm(deadline, due()) });
    }
}

impl Entry {
    fn has_events(&self) -> bool {
        self.opened.is_some() || self.session.has_events()
    }

    /// A session that is over has its last words out, whoever wanted to hear no more.
    fn is_silent(&self) -> bool {
        self.paused && !self.session.is_closed()
    }

    /// Leaves orders where their connections find them, and wakes those, except for the one that the
    /// carrier `me` is on.
    fn hand_out_actions(&mut self, me: Option<u64>, woken: &mut VecDeque<ConnectionId>) {
        while let Some(action) = self.session.poll_action() {
            let (id, order) = Order::of(action);
            // A connection that is gone wants no answer.
            if let Some(carried) = self.carriers.iter_mut().find(|carried| carried.id == id) {
                carried.order = Some(order);
                if me != Some(id) && !core::mem::replace(&mut carried.woken, true) {
                    woken.push_back(carried.on);
                }
            }
        }
    }

    /// Wakes the connections that have something to write or are to be read again.
    fn wake_carriers(&mut self, woken: &mut VecDeque<ConnectionId>) {
        let session = &self.session;
        for carried in self.carriers.iter_mut().filter(|carried| !carried.woken) {
            let resumes = carried.held && session.is_receiving();
            let writable = !carried.blocked && session.wants_write(SocketId(carried.id));
            if resumes || writable {
                carried.woken = true;
                woken.push_back(carried.on);
            }
        }
    }
}

/// The hub, as the connection sees it that is being looked at.
pub(super) struct View<'a> {
    pub(super) desk: &'a mut Desk,
    pub(super) on: ConnectionId,
}

/// A handshake, and what the application says to it, once it does.
pub(super) struct Asked {
    head: Arc<RequestHead>,
    /// The question, if there is one.
    pub(super) ask: Option<AskId>,
    pub(super) verdict: Option<Result<(), String>>,
}

impl Host for View<'_> {
    type Session = SessionId;
    type Handshake = Asked;
    type Guard<'a>
        = Guard<'a>
    where
        Self: 'a;

    fn router(&self) -> &Router {
        &self.desk.router
    }

    fn fresh_id(&mut self) -> u64 {
        self.desk.fresh_id()
    }

    fn has_room(&self) -> bool {
        !self.desk.closing && self.desk.sessions() < self.desk.max_sessions
    }

    fn find(&mut self, sid: &Sid) -> Option<SessionId> {
        let &index = self.desk.directory.get(sid)?;
        Some(SessionId { index, serial: self.desk.entries.get(index)?.serial })
    }

    fn ask(&mut self, head: RequestHead) -> Asked {
        let head = Arc::new(head);
        if !self.desk.ask {
            return Asked { head, ask: None, verdict: Some(Ok(())) };
        }
        let ask = AskId { on: self.on, serial: self.desk.fresh_id() };
        self.desk.outputs.push_back(Output::Ask(ask, self.on, Arc::clone(&head)));
        Asked { head, ask: Some(ask), verdict: None }
    }

    fn verdict(&mut self, asked: &mut Asked) -> Option<Result<(), String>> {
        asked.verdict.take()
    }

    fn open(
        &mut self,
        now: Time,
        opening: Opening,
        first: Carrier,
        asked: Asked,
    ) -> Result<SessionId, Reject> {
        // There was when the request came, but the application may have taken its time.
        if !self.has_room() {
            return Err(Reject::Unavailable);
        }
        let desk = &mut *self.desk;
        let session = desk.router.open(now, &mut *desk.entropy, opening, first)?;
        let (Carrier::Exchange(ExchangeId(id)) | Carrier::Socket(SocketId(id))) = first;
        let (sid, serial) = (session.sid(), desk.fresh_id());
        let index = desk.entries.insert(Entry {
            serial,
            session,
            carriers: vec![Carried::new(id, self.on)],
            opened: Some((self.on, asked.head)),
            armed: None,
            eventful: false,
            paused: false,
            full: false,
            over: false,
        });
        desk.directory.insert(sid, index);
        let id = SessionId { index, serial };
        desk.touched.push(id);
        Ok(id)
    }

    fn lock<'a>(&'a mut self, session: &'a SessionId, id: u64) -> Guard<'a> {
        let Desk { entries, touched, woken, .. } = &mut *self.desk;
        if touched.last() != Some(session) {
            touched.push(*session);
        }
        // A session is kept while anything carries it, and found by its id only while it is there:
        // there is none without an entry.
        Guard { entry: &mut entries[session.index], woken, on: self.on, id }
    }
}

/// A session that the connection being looked at has to itself.
pub(super) struct Guard<'a> {
    entry: &'a mut Entry,
    woken: &'a mut VecDeque<ConnectionId>,
    on: ConnectionId,
    /// The carrier.
    id: u64,
}

impl carrier::Guard for Guard<'_> {
    fn session(&mut self) -> &mut Session {
        &mut self.entry.session
    }

    fn attach(&mut self, id: u64) {
        self.entry.carriers.push(Carried::new(id, self.on));
    }

    fn detach(&mut self, id: u64) {
        self.entry.carriers.retain(|carried| carried.id != id);
    }

    fn take_order(&mut self) -> Option<Order> {
        self.entry.hand_out_actions(Some(self.id), self.woken);
        let carried = self.entry.carriers.iter_mut().find(|carried| carried.id == self.id)?;
        carried.woken = false;
        carried.blocked = false;
        carried.held = !self.entry.session.is_receiving();
        carried.order.take()
    }
}

impl Carried {
    const fn new(id: u64, on: ConnectionId) -> Self {
        Self { id, on, order: None, woken: false, held: false, blocked: false }
    }
}
