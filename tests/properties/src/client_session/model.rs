//! What a client's session must do, kept beside one that does it.

mod checks;
mod messages;
mod polling;
mod websocket;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use enginewire::{
    ClientAction, ClientConfig, ClientSession, ClientTimerKind, ExchangeId, Message, Packet,
    SocketId, Time, TransportKind,
};

use self::{
    messages::cost,
    websocket::{Probe, Way},
};
use crate::{Reached, sent::Sent};

pub(super) struct Model {
    pub(super) session: ClientSession,
    reached: Reached,
    config: Arc<ClientConfig>,
    /// What was asked for and has not been answered, lost or given up.
    get: Option<ExchangeId>,
    post: Option<ExchangeId>,
    exchanges: u64,
    /// In the order in which they were asked for: the last one is, or may become, the transport.
    sockets: Vec<SocketId>,
    ways: BTreeMap<SocketId, Way>,
    probe: Option<Probe>,
    /// When the handshake came.
    opened: Option<Time>,
    /// Until when an upgrade must be through.
    upgrades_until: Option<Time>,
    /// Until when nothing is given up, if nothing else happens before.
    excused: Time,
    closing: bool,
    /// The packet that moves the session to a WebSocket has come out.
    upgrade_out: bool,
    /// The POST that says that the session is over has come out.
    parted: bool,
    /// What was sent and has not come out yet.
    queue: VecDeque<Sent>,
    /// Messages that were refused, less the times that the application heard of room.
    refused: usize,
    /// The messages that the application must be given next.
    inbox: VecDeque<Message>,
    unread: usize,
    held: bool,
    told: Told,
}

/// Events that come once.
#[derive(Default)]
struct Told {
    opened: bool,
    upgraded: bool,
    closed: bool,
}
/// Constructors.
impl Model {
    pub(super) fn new(config: Arc<ClientConfig>, websocket_worked: bool, now: Time) -> Self {
        let mut entropy = |buffer: &mut [u8]| buffer.fill(7);
        let session = ClientSession::new(now, Arc::clone(&config), websocket_worked, &mut entropy);
        Self {
            session,
            reached: Reached::default(),
            config,
            get: None,
            post: None,
            exchanges: 0,
            sockets: Vec::new(),
            ways: BTreeMap::new(),
            probe: None,
            opened: None,
            upgrades_until: None,
            excused: Time::ZERO,
            closing: false,
            upgrade_out: false,
            parted: false,
            queue: VecDeque::new(),
            refused: 0,
            inbox: VecDeque::new(),
            unread: 0,
            held: false,
            told: Told::default(),
        }
    }
}

/// What the network does.
impl Model {
    pub(super) fn timeout(&mut self, now: Time) {
        let due = self.session.poll_timeout().is_some_and(|(deadline, _)| deadline <= now);
        let before = self.outputs();
        let polls = self.session.transport() == TransportKind::Polling;
        if polls && self.upgrades_until.is_some_and(|until| until <= now) {
            self.probe = None;
        }
        let (excused, was_closed) = (self.excused, self.session.is_closed());
        self.input(now, vec![], |session| session.handle_timeout(now));
        if now < excused {
            assert_eq!(self.session.is_closed(), was_closed, "it was to wait until {excused:?}");
            self.excused = excused;
        }
        assert!(due || self.outputs() == before, "nothing was due");
        let next = self.session.poll_timeout();
        assert!(next.is_none_or(|(deadline, _)| deadline > now), "{next:?} is in the past");
    }

    /// The server is given until then for whatever it has to do.
    pub(super) fn excuse(&mut self, now: Time, until: Time) {
        let awaited = self.session.awaited();
        self.upgrades_until = self.upgrades_until.map(|due| due.max(until));
        self.input(now, vec![], |session| session.excuse(until));
        assert_eq!(self.session.awaited(), awaited.map(|due| due.max(until)));
        self.excused = until;
    }

    fn outputs(&self) -> (bool, bool, usize, Option<(Time, ClientTimerKind)>) {
        let session = &self.session;
        let (actions, events) = (session.has_actions(), session.has_events());
        (actions, events, session.queued(), session.poll_timeout())
    }

    /// Something came, and in it these packets for the session.
    fn input(&mut self, now: Time, packets: Vec<Packet>, handle: impl FnOnce(&mut ClientSession)) {
        let was_open = self.session.is_open();
        let was_shaken = self.opened.is_some();
        handle(&mut self.session);
        self.excused = Time::ZERO;
        let mut packets = packets.into_iter();
        if !was_shaken && self.session.handshake().is_some() {
            self.opened = Some(now);
            self.upgrades_until = Some(now + self.config.upgrade_timeout);
            assert!(matches!(packets.next(), Some(Packet::Open(_))), "opened without a handshake");
        }
        if self.opened.is_some() && was_open {
            let counts = packets.take_while(|packet| *packet != Packet::Close);
            for packet in counts {
                if let Packet::Message(message) = packet {
                    self.unread += cost(&message);
                    self.held |= self.unread >= self.config.limits.max_unread;
                    self.inbox.push_back(message);
                }
            }
        }
        self.after();
    }
}

/// What the application does.
impl Model {
    pub(super) fn close(&mut self, now: Time) {
        let nothing_waits = self.queue.is_empty();
        let was_open = self.session.is_open();
        self.session.close(now);
        self.excused = Time::ZERO;
        assert!(!self.session.is_open());
        if was_open {
            assert!(nothing_waits || !self.session.is_closed(), "messages were thrown away");
            (self.closing, self.held, self.probe) = (true, false, None);
        }
        self.after();
    }

    pub(super) fn abort(&mut self) {
        self.session.abort();
        assert!(self.session.is_closed());
        self.after();
    }
}

/// What the driver does.
impl Model {
    /// Takes one action; whether there was one.
    pub(super) fn take_action(&mut self, now: Time) -> bool {
        let has_actions = self.session.has_actions();
        let action = self.session.poll_action(now);
        self.excused = Time::ZERO;
        assert_eq!(action.is_some(), has_actions);
        let Some(action) = action else { return false };
        match action {
            ClientAction::Request(on, request) => self.requested(on, &request),
            ClientAction::Abandon(on) => {
                assert!((1..=self.exchanges).contains(&on.0), "{on:?} was never asked for");
                self.get.take_if(|get| *get == on);
                self.post.take_if(|post| *post == on);
            }
            ClientAction::OpenSocket(on, request) => {
                assert!(request.target.contains("transport=websocket"));
                assert!(self.ways.insert(on, Way::Opening).is_none(), "{on:?} twice");
                self.exchanges = on.0;
                self.sockets.push(on);
                // It may have been given up by now, and will be closed then.
                if self.opened.is_some() && self.session.is_open() {
                    self.probe = Some(Probe { on, asked: false, answered: false });
                }
            }
            ClientAction::CloseSocket(on) => {
                let way = self.ways.get_mut(&on).expect("a WebSocket that was asked for");
                if *way != Way::Lost {
                    *way = Way::Closed;
                }
                self.forget_probe(on);
            }
        }
        self.after();
        true
    }
}
