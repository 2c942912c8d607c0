//! What a client's session must do, kept beside one that does it.

mod checks;
mod deadlines;
mod messages;
mod polling;
mod websocket;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use enginewire::{
    ClientAction, ClientConfig, ClientSession, ClientTimerKind, CloseReason, Event, ExchangeId,
    Time, TransportFault, TransportKind, WebSocketId,
};

use self::{
    deadlines::Deadlines,
    websocket::{Probe, Way},
};
use crate::{Reached, sent::Sent};

pub(super) struct Model {
    pub(super) session: ClientSession,
    reached: Reached,
    config: Arc<ClientConfig>,
    /// The transport that carries the session, or on which it is being opened.
    transport: TransportKind,
    /// What is tried if the session does not open.
    others: VecDeque<TransportKind>,
    /// What was asked for and has not been answered, lost or given up.
    get: Option<ExchangeId>,
    post: Option<ExchangeId>,
    /// Bytes of its body.
    posted: usize,
    /// When a session that closes is over, whatever is queued.
    close_by: Time,
    exchanges: u64,
    /// So many answers in a row had nothing in them.
    empty_answers: u32,
    /// In the order in which they were asked for: the last one is, or may become, the transport.
    sockets: Vec<WebSocketId>,
    ways: BTreeMap<WebSocketId, Way>,
    probe: Option<Probe>,
    /// The packet that moves the session to a WebSocket has not come out yet.
    upgrade_due: bool,
    deadlines: Deadlines,
    /// Until when the server was excused, if ever.
    excused: Time,
    /// Not all that the server says has been read since it was to be heard from.
    unheard: bool,
    /// The server was given longer because the driver was late.
    late: bool,
    /// The server has taken something since.
    took: bool,
    /// The handshake has come.
    opened: bool,
    closing: bool,
    /// The POST that says that the session is over has come out.
    parted: bool,
    /// Why the session is over.
    over: Option<CloseReason>,
    /// What was sent and has not come out yet.
    queue: VecDeque<Sent>,
    /// Pongs that have not come out yet, and whether a ping has not.
    pongs: usize,
    ping: bool,
    /// Messages that were refused, less the times that the application heard of room.
    refused: usize,
    /// The events that the application must be given next, but for `Writable`.
    inbox: VecDeque<Event>,
    unread: usize,
    held: bool,
    /// The last event was taken.
    ended: bool,
}

impl Model {
    pub(super) fn new(config: Arc<ClientConfig>, websocket_worked: bool, now: Time) -> Self {
        let mut entropy = |buffer: &mut [u8]| buffer.fill(7);
        let session = ClientSession::new(now, Arc::clone(&config), websocket_worked, &mut entropy);
        let mut others: VecDeque<_> = config.transports.iter().copied().collect();
        if websocket_worked && others.contains(&TransportKind::WebSocket) {
            others.retain(|kind| *kind != TransportKind::WebSocket);
            others.push_front(TransportKind::WebSocket);
        }
        let transport = others.pop_front().expect("the options leave one");
        let mut deadlines = Deadlines::default();
        deadlines.set(ClientTimerKind::Open, now + config.open_timeout);
        Self {
            session,
            reached: Reached::default(),
            config,
            transport,
            others,
            get: None,
            post: None,
            exchanges: 0,
            empty_answers: 0,
            sockets: Vec::new(),
            ways: BTreeMap::new(),
            probe: None,
            upgrade_due: false,
            deadlines,
            excused: Time::ZERO,
            unheard: false,
            late: false,
            took: false,
            opened: false,
            closing: false,
            posted: 0,
            close_by: Time::MAX,
            parted: false,
            over: None,
            queue: VecDeque::new(),
            pongs: 0,
            ping: false,
            refused: 0,
            inbox: VecDeque::new(),
            unread: 0,
            held: false,
            ended: false,
        }
    }

    pub(super) fn close(&mut self, now: Time) {
        self.session.close(now);
        if self.is_open() {
            self.closing = true;
            self.close_by = now + self.config.close_timeout;
            self.limit_close(now);
            self.held = false;
            self.end_probe();
        }
        let ends = self.drained();
        self.settle(ends);
    }

    /// With nothing queued only the response to the last POST is due, for as long as its bytes may take.
    pub(super) fn limit_close(&mut self, now: Time) {
        let (posts, queued) = (self.post.is_some(), !self.queue.is_empty());
        let bytes = Duration::from_millis(self.posted as u64 * 1000 / 1024);
        let response = now + self.config.linger + bytes;
        let due = if posts && !queued { response.min(self.close_by) } else { self.close_by };
        self.deadlines.set(ClientTimerKind::Close, due);
    }

    pub(super) fn abort(&mut self) {
        self.session.abort();
        self.settle(Some(CloseReason::ForcedClose));
    }

    /// Takes one action; whether there was one.
    pub(super) fn take_action(&mut self, now: Time) -> bool {
        let has_actions = self.session.has_actions();
        let action = self.session.poll_action(now);
        assert_eq!(action.is_some(), has_actions);
        let Some(action) = action else { return false };
        match action {
            ClientAction::Request(on, request) => self.requested(now, on, &request),
            ClientAction::Abandon(on) => {
                assert!((1..=self.exchanges).contains(&on.0), "{on:?} was never asked for");
                assert!(!self.polls(), "{on:?} is still waited for");
                self.get.take_if(|get| *get == on);
                self.post.take_if(|post| *post == on);
            }
            ClientAction::OpenWebSocket(on, request) => {
                assert!(request.target.contains("transport=websocket"));
                assert!(self.ways.insert(on, Way::Opening).is_none(), "{on:?} twice");
                self.exchanges = on.0;
                self.sockets.push(on);
                if let Some(probe) = &mut self.probe {
                    assert_eq!(probe.on.replace(on), None);
                }
            }
            ClientAction::CloseWebSocket(on) => {
                assert!(!self.is_transport(on) && !self.is_probe(on), "{on:?} is in use");
                let way = self.ways.get_mut(&on).expect("a WebSocket that was asked for");
                if *way != Way::Lost {
                    *way = Way::Closed;
                }
            }
        }
        self.settle(None);
        true
    }

    /// Behind every operation: whether the session is over, and as it should be. Nothing else than
    /// what `ends` names may have ended it, and that must.
    fn settle(&mut self, ends: Option<CloseReason>) {
        if let (None, Some(reason)) = (&self.over, ends) {
            self.over = Some(reason.clone());
            self.inbox.push_back(Event::Closed(reason));
            self.queue.clear();
            (self.pongs, self.ping, self.upgrade_due) = (0, false, false);
            self.probe = None;
            self.deadlines = Deadlines::default();
        }
        self.upgrade_perhaps();
        self.check();
    }

    /// The transport has failed: another one is tried if there is one, and if it is not too late.
    fn fail(&mut self, now: Time, fault: TransportFault) -> Option<CloseReason> {
        let opens = self.is_open() && !self.opened && self.config.try_all_transports;
        let next = if opens { self.others.pop_front() } else { None };
        let Some(next) = next else { return Some(CloseReason::TransportError(fault)) };
        self.transport = next;
        self.empty_answers = 0;
        self.deadlines.stop(ClientTimerKind::Get);
        self.deadlines.set(ClientTimerKind::Open, now + self.config.open_timeout);
        None
    }

    /// A session that closes is over once all is out, but by polling the server is told first.
    fn drained(&self) -> Option<CloseReason> {
        let out = self.queue.is_empty() && self.pongs == 0 && !self.ping && !self.upgrade_due;
        let tells = self.transport == TransportKind::Polling && self.opened;
        (self.closing && out && !tells).then_some(CloseReason::ForcedClose)
    }

    const fn is_open(&self) -> bool {
        !self.closing && self.over.is_none()
    }

    /// Whether answers to requests are of any interest.
    fn polls(&self) -> bool {
        self.transport == TransportKind::Polling && self.over.is_none()
    }
}
