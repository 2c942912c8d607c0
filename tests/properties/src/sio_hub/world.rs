//! The loop around the hub, its application, its clients, and what must have come of what each of them says.

mod application;
mod clients;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use enginewire::{Time, hub::ConnectionId};
use enginewire_socketio::{
    AckId, Event, Room,
    adapter::Target,
    hub::{AskId, GroupId, Hub, HubConfig, Output, Overflow, SocketKey},
};

use super::wire::Client;
use crate::Reached;

pub(super) struct World {
    hub: Hub,
    now: Time,
    /// Also links whose connection is gone.
    links: Vec<Link>,
    /// In the order in which they asked, or came back.
    sockets: Vec<Socket>,
    asks: BTreeMap<AskId, Asked>,
    groups: BTreeMap<GroupId, Group>,
    /// The last number of an event.
    serial: u64,
    reached: Reached,
    digest: DefaultHasher,
    /// Time that a client has to come back.
    window: Option<Duration>,
    /// Whether a client that comes back in time is connected without being asked for.
    recovers: bool,
    overflow: Overflow,
    /// The application accepts all.
    accepts: bool,
    /// Outputs are taken late.
    is_late: bool,
}

/// A connection, and the client behind it.
struct Link {
    on: ConnectionId,
    client: Client,
    /// Bytes that were sent and not read, and the event in them.
    unread: VecDeque<(Vec<u8>, Option<Said>)>,
    /// Bytes that the client takes, if there is a limit.
    room: Option<usize>,
    has_ended: bool,
    is_gone: bool,
    /// The client has opened another, and reads nothing more from this one.
    is_deserted: bool,
    /// It has said what the script wanted, which may have been anything.
    is_wild: bool,
    revision: u8,
    /// The socket for which it has come back.
    claim: Option<usize>,
}

/// An event of a client.
#[derive(Clone, Copy)]
struct Said {
    socket: usize,
    serial: u64,
}

/// One client in one namespace.
struct Socket {
    key: SocketKey,
    link: usize,
    namespace: String,
    state: State,
    id: Option<String>,
    rooms: BTreeSet<Room>,
    /// The client knows that it is connected.
    is_told: bool,
    /// Packets that the client is to get.
    out: VecDeque<Entry>,
    /// Events that the application is to get, and whether it must.
    incoming: VecDeque<(u64, bool)>,
    /// Events that the application is to acknowledge.
    unanswered: VecDeque<(AckId, u64)>,
    last: Option<(Event, u64)>,
    last_ask: Option<AskId>,
    /// Secret to come back with, and the last offset, as the client knows them.
    pid: Option<String>,
    offset: Option<String>,
    return_of: Option<usize>,
    /// The socket that has its place.
    successor: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Asking,
    Connected,
    /// Its client may come back since then.
    Kept(Time),
    Ended,
}

/// A packet that a client is to get.
#[derive(Clone, Copy, Debug)]
struct Entry {
    what: Out,
    /// It is in the log of the namespace.
    is_logged: bool,
    /// It must come as long as the socket lives.
    is_sure: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Out {
    Event(u64),
    Ask(u64),
    Ack(u64, u64),
}

struct Asked {
    socket: usize,
    serial: u64,
    deadline: Time,
}

struct Group {
    serial: u64,
    pending: BTreeSet<String>,
    deadline: Time,
}

/// Response that an event asks for.
#[derive(Clone, Copy)]
pub(super) enum Ask {
    Nothing,
    Volatile,
    Within(Duration),
}

impl Ask {
    pub(super) const fn within(millis: u8) -> Self {
        Self::Within(if millis == 255 {
            Duration::MAX
        } else {
            Duration::from_millis(millis as u64)
        })
    }
}

impl World {
    pub(super) fn new(config: HubConfig, letters: &[u8]) -> Self {
        let counting = |first: u8| {
            let mut drawn = 0u32;
            move |buffer: &mut [u8]| {
                drawn += 1;
                buffer.fill(first);
                buffer[..4].copy_from_slice(&drawn.to_be_bytes());
            }
        };
        let (has, recovery) = (|letter| letters.contains(&letter), config.recovery.as_ref());
        Self {
            window: recovery.map(|recovery| recovery.window),
            recovers: recovery.is_some_and(|recovery| recovery.skip_authorize)
                && !has(b'M')
                && !has(b'N')
                && !has(b'u'),
            overflow: config.overflow,
            hub: Hub::new(config, counting(1), counting(2)),
            now: Time::from_millis(1),
            links: Vec::new(),
            sockets: Vec::new(),
            asks: BTreeMap::new(),
            groups: BTreeMap::new(),
            serial: 0,
            reached: Reached::default(),
            digest: DefaultHasher::new(),
            accepts: has(b'A'),
            is_late: has(b'u'),
        }
    }

    fn next_serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    fn link(&self, n: usize) -> Option<usize> {
        n.checked_rem(self.links.len())
    }

    fn socket(&self, n: usize) -> Option<usize> {
        n.checked_rem(self.sockets.len())
    }
}

/// Moves of the event loop.
impl World {
    fn settle(&mut self) {
        if !self.is_late {
            self.drain();
        }
    }

    pub(super) fn drain(&mut self) {
        while self.take_output() {}
    }

    pub(super) fn take_output(&mut self) -> bool {
        let Some(output) = self.hub.poll() else { return false };
        format!("{output:?}").hash(&mut self.digest);
        match output {
            Output::Write(on) => self.write(on),
            Output::Read(on) => {
                if let Some(link) = self.link_on(on) {
                    self.read(link);
                }
            }
            Output::Shutdown(_) => {}
            Output::Close(on) => {
                if let Some(link) = self.link_on(on) {
                    let Link { is_gone, unread, .. } = &mut self.links[link];
                    *is_gone = true;
                    unread.clear();
                }
            }
            output => self.hear(output),
        }
        true
    }

    fn link_on(&self, on: ConnectionId) -> Option<usize> {
        self.links.iter().position(|link| link.on == on && !link.is_gone)
    }

    fn write(&mut self, on: ConnectionId) {
        let Some(link) = self.link_on(on) else { return };
        let Self { hub, now, links, digest, .. } = self;
        let Link { client, room, .. } = &mut links[link];
        hub.transmit(*now, on, |bytes| {
            let n = bytes.len().min(room.unwrap_or(usize::MAX));
            *room = room.map(|room| room - n);
            bytes[..n].hash(digest);
            client.reader.read(&bytes[..n]);
            n
        });
        while let Some(packet) = self.links[link].client.reader.packets.pop_front() {
            self.receive(link, packet);
        }
    }

    pub(super) fn pass(&mut self, duration: Duration) {
        self.drain();
        let end = self.now + duration;
        for kept in 0.. {
            let Some(next) = self.hub.poll_timeout().filter(|&next| next <= end) else { break };
            assert!(kept < MAX_DEADLINES, "a deadline that is never over");
            self.now = self.now.max(next);
            self.hub.handle_timeout(self.now);
            self.drain();
        }
        self.now = end;
        assert!(self.asks.values().all(|asked| asked.deadline > self.now), "no timeout");
        assert!(self.groups.values().all(|group| group.deadline > self.now), "no timeout");
    }

    /// Holds what must hold whenever nothing is left to be done.
    pub(super) fn check(&mut self) {
        if self.is_late {
            return;
        }
        for socket in &self.sockets {
            let is_connected = socket.state == State::Connected;
            assert_eq!(self.hub.is_connected(socket.key), is_connected);
            if is_connected {
                let rooms: BTreeSet<_> = self.hub.rooms(socket.key).cloned().collect();
                assert_eq!(rooms, socket.rooms);
                self.check_delivered(socket);
            }
        }
    }

    /// Checks that a link which takes everything has everything.
    fn check_delivered(&self, socket: &Socket) {
        let Link { room, has_ended, is_gone, is_deserted, is_wild, .. } = &self.links[socket.link];
        let has_left = self.links[socket.link].client.left.contains(&socket.namespace);
        if room.is_some() || *has_ended || *is_gone || *is_deserted || *is_wild || has_left {
            return;
        }
        assert!(socket.is_told, "the client waits for a response that was given");
        let missing = socket.out.iter().find(|entry| entry.is_sure);
        assert!(missing.is_none(), "{missing:?} has not come");
    }

    /// A digest of all that was said, and how far it got.
    pub(super) fn finish(mut self) -> (u64, Reached) {
        self.drain();
        for n in 0..self.sockets.len() {
            self.pause(n, false);
        }
        for n in 0..self.links.len() {
            self.let_out(n, None);
        }
        self.drain();
        self.is_late = false;
        self.check();
        for link in 0..self.links.len() {
            self.lose_link(link);
        }
        self.drain();
        // Those who could come back do not.
        self.pass(Duration::from_secs(600));
        let Self { hub, sockets, asks, groups, .. } = &mut self;
        assert!(sockets.iter().all(|socket| socket.state == State::Ended), "a socket is left");
        assert!(asks.is_empty() && groups.is_empty(), "an acknowledgement is open");
        assert_eq!((hub.len(), hub.namespaces().count()), (0, 0));
        assert_eq!((hub.engine().sessions(), hub.engine().connections()), (0, 0));
        assert_eq!(hub.poll_timeout(), None);
        (self.digest.finish(), self.reached)
    }
}

impl Socket {
    fn is_in(&self, namespace: &str, target: &Target) -> bool {
        let is_in = |room: &str| {
            self.id.as_deref() == Some(room) || self.rooms.iter().any(|one| one.as_str() == room)
        };
        self.namespace == namespace && target.matches(is_in)
    }
}

const NAMESPACES: [&str; 3] = ["/", "/a", "/b"];

const ROOMS: [&str; 3] = ["x", "y", "z"];

/// Clients mask what they send, here with nothing.
const MASK: Option<[u8; 4]> = Some([0; 4]);

/// Connections at a time.
const MAX_LINKS: usize = 6;

/// Deadlines that are kept while time passes.
const MAX_DEADLINES: usize = 1000;
