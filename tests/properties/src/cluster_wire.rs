//! A node of a cluster on a broker: the first letter is its format, then what comes, by letters. Bytes that are no letter
//! are passed over.
//!
//! | format | |
//! |---|---|
//! | `c` `C` | classic; with channels for responses |
//! | `0` `1` `2` | sharded: static, dynamic, dynamic-private |
//! | `s` `S` `t` | streams: one, four and SPUBLISH, text only |
//! | `h` | heartbeats |
//!
//! | letter | then | |
//! |---|---|---|
//! | `m` | channel, length of two bytes, bytes | a message: `/` of all, `o` for this node, `q` of requests, `r` of responses, `R` of a room, `a` of the namespace `/a`, and `f` one that was stored apart |
//! | `e` | type, length, bytes | an entry of the stream: its type is a digit, or `:` to `=` for 10 to 13 |
//! | `t` | length, bytes | the state of a socket, which this node takes |
//! | `r` | type, length, bytes | an entry that this node reads of the log |
//! | `s` | kind | an operation of this node, of the list in `operation` |
//! | `f` | | the last event that came is sent on |
//! | `a` | | the oldest request of others is answered |
//! | `n` `x` | | the namespace `/a` exists, or does no longer |
//! | `i` `o` | | a room has a member, or has none |
//! | `k` | number | a count of the nodes |
//! | `u` `d` | | the broker is connected, or is not |
//! | `+` | seconds | time passes |
//! | `z` | | the node closes |

mod samples;

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use enginewire::Time;
use enginewire_socketio::{
    Args, PrivateId, Room,
    adapter::{EntryId, Target},
    cluster::{
        Broadcast, LogRequest, Message, Operation, ReadLimits, RequestId, Response, SocketInfo,
        wire::{Command, Format, Subscription, Wire, WireConfig, WireEvent},
    },
};

use self::samples::{config, operation, responses};
use crate::{memory::Watch, script::Script};

/// Runs a script twice, which gives the same. Returns how many operations of others came.
pub fn run(data: &[u8]) -> usize {
    let first = Node::run(data);
    let second = Node::run(data);
    assert_eq!(first.told, second.told, "the same inputs give the same outputs");
    first.operations
}

struct Node {
    config: WireConfig,
    wire: Wire,
    /// Another node, which reads all that this one sends.
    peer: Wire,
    now: Time,
    is_connected: bool,
    is_closed: bool,
    subscriptions: BTreeSet<Subscription>,
    /// Requests of others that are not answered.
    asked: VecDeque<(Arc<str>, RequestId, Operation)>,
    /// The last event that came.
    last: Option<Args>,
    requests: u64,
    operations: usize,
    /// Everything that came out, as it is shown.
    told: Vec<String>,
}

impl Node {
    fn run(data: &[u8]) -> Self {
        let mut script = Script::new(data);
        let config = config(script.byte());
        let start = |seed| {
            let mut wire = Wire::new(config.clone(), seed);
            wire.handle_namespace(Time::ZERO, &"/".into(), true);
            wire.handle_namespace(Time::ZERO, &"/a".into(), seed == PEER);
            wire
        };
        let mut node = Self {
            wire: start(OWN),
            peer: start(PEER),
            config,
            now: Time::ZERO,
            is_connected: false,
            is_closed: false,
            subscriptions: BTreeSet::new(),
            asked: VecDeque::new(),
            last: None,
            requests: 0,
            operations: 0,
            told: Vec::new(),
        };
        node.connect(true);
        while !script.is_empty() {
            node.step(&mut script);
        }
        node.end();
        node
    }

    fn step(&mut self, script: &mut Script<'_>) {
        match script.byte() {
            b'm' => {
                let channel = script.byte();
                let length = script.number();
                let message = Bytes::copy_from_slice(script.take(length));
                let name = self.channel(channel);
                self.within_memory(message.len(), |wire, now| match channel {
                    b'f' => wire.handle_fetched(now, &name, message),
                    _ => wire.handle_published(now, &name, message),
                });
            }
            b'e' => {
                let kind = u32::from(script.byte().wrapping_sub(b'0')).to_string();
                let length = script.number();
                let data = script.take(length);
                let fields: [(&str, &[u8]); 4] = [
                    ("uid", b"f00dfeed00000000"),
                    ("nsp", b"/"),
                    ("type", kind.as_bytes()),
                    ("data", data),
                ];
                self.within_memory(data.len(), |wire, now| {
                    wire.handle_entry(now, "socket.io", "1-0", &fields);
                });
            }
            b't' => {
                let length = script.number();
                let (value, pid) = (script.take(length), pid());
                let request = self.ask_log(|request| LogRequest::Take { pid, request });
                self.within_memory(value.len(), |wire, _| wire.handle_taken(request, Some(value)));
            }
            b'r' => {
                let kind = u32::from(script.byte().wrapping_sub(b'0')).to_string();
                let length = script.number();
                let data = script.take(length);
                let fields: [(&str, &[u8]); 4] =
                    [("uid", b"x"), ("nsp", b"/"), ("type", kind.as_bytes()), ("data", data)];
                let from = EntryId { time: 1, sequence: 0 };
                let limits = ReadLimits { max_events: 2, max_bytes: 1 << 16 };
                let request =
                    self.ask_log(|request| LogRequest::Read { from, until: None, limits, request });
                self.wire.handle_position("socket.io", from);
                self.within_memory(data.len(), |wire, _| {
                    wire.handle_read(request, &[("1-0", &fields)], true);
                });
            }
            b's' => {
                self.requests += 1;
                let operation = operation(script.byte(), RequestId(self.requests));
                self.send("/", operation);
            }
            b'f' => {
                if let Some(event) = self.last.clone() {
                    let target = Target::all().to("room");
                    self.send("/", Operation::Broadcast(Broadcast::new(target, event)));
                }
            }
            b'a' => {
                if let Some((namespace, request, operation)) = self.asked.pop_front() {
                    for response in responses(&operation) {
                        self.send(&namespace, Operation::Respond { request, response });
                    }
                }
            }
            letter @ (b'n' | b'x') => {
                self.wire.handle_namespace(self.now, &"/a".into(), letter == b'n');
            }
            letter @ (b'i' | b'o') => {
                self.wire.handle_room(self.now, "/", &"room".into(), letter == b'i');
            }
            b'k' => {
                let (channel, nodes) = (self.channel(b'q'), script.byte());
                let request = Some(RequestId(self.requests));
                self.wire.handle_count(self.now, &channel, request, nodes.into());
            }
            letter @ (b'u' | b'd') => self.connect(letter == b'u'),
            b'+' => {
                self.now = self.now + Duration::from_secs(script.byte().into());
                self.wire.handle_timeout(self.now);
                let next = self.wire.poll_timeout();
                assert!(next.is_none_or(|next| next > self.now), "a deadline that has passed");
            }
            b'z' => {
                self.wire.close(self.now);
                self.is_closed = true;
            }
            _ => {}
        }
        self.drain();
    }

    fn connect(&mut self, is_connected: bool) {
        self.is_connected = is_connected;
        // The broker has forgotten them.
        self.subscriptions.clear();
        self.wire.handle_connected(self.now, is_connected);
        self.drain();
    }

    fn send(&mut self, namespace: &str, operation: Operation) {
        let message = Message { to: None, namespace: namespace.into(), operation };
        self.wire.send(self.now, message);
    }

    fn ask_log(&mut self, request: impl FnOnce(RequestId) -> LogRequest) -> RequestId {
        self.requests += 1;
        let id = RequestId(self.requests);
        self.send("/", Operation::Log(request(id)));
        // Outputs of the request itself.
        self.drain();
        id
    }

    /// Whatever a message says, it takes a multiple of its bytes, and makes few events.
    fn within_memory(&mut self, size: usize, input: impl FnOnce(&mut Wire, Time)) {
        let watch = Watch::start();
        input(&mut self.wire, self.now);
        let most = 64 * size + 4096;
        assert!(watch.peak() <= most, "{} bytes of {size}", watch.peak());
    }

    fn drain(&mut self) {
        let mut events = 0;
        while let Some(event) = self.wire.poll_event() {
            events += 1;
            self.told.push(format!("{event:?}"));
            self.told.extend(redacted(&event));
            match event {
                WireEvent::Message { namespace, operation, .. } => {
                    self.arrived(namespace, operation)
                }
                WireEvent::Faulty(error) => assert!(error.to_string().len() < 400, "{error}"),
                _ => {}
            }
        }
        // Three nodes that are lost at once, and each request that waits for them.
        let most = 8 + 4 * usize::try_from(self.requests).unwrap();
        assert!(events <= most, "{events} events of one input");
        while let Some(command) = self.wire.poll_command() {
            self.told.push(format!("{command:?}"));
            self.carry(command);
        }
    }

    fn arrived(&mut self, namespace: Arc<str>, operation: Operation) {
        self.operations += 1;
        assert!(!self.is_closed, "a node that is closed hears nothing");
        let request = match &operation {
            Operation::Broadcast(broadcast) => {
                self.last = Some(broadcast.event.clone());
                broadcast.request
            }
            Operation::FetchSockets { request, .. } => Some(*request),
            Operation::ServerSideEmit { event, request } => {
                self.last = Some(event.clone());
                *request
            }
            Operation::Respond { request, .. } => {
                assert!(
                    (1..=self.requests).contains(&request.0),
                    "a response to what was not asked"
                );
                None
            }
            _ => None,
        };
        if let Some(request) = request {
            self.asked.push_back((namespace, request, operation));
        }
    }

    /// Subscriptions are as the broker has them, and another node reads all that is sent.
    fn carry(&mut self, command: Command) {
        match command {
            Command::Subscribe(subscription) => {
                assert!(self.is_connected && self.subscriptions.insert(subscription));
            }
            Command::Unsubscribe(subscription) => {
                assert!(self.is_connected && self.subscriptions.remove(&subscription));
            }
            Command::Publish { channel, message, attachment, .. } => match attachment {
                Some(head) => {
                    self.peer.handle_published(self.now, &channel, head.message(1).into());
                    self.peer.handle_fetched(self.now, &channel, message);
                }
                None => self.peer.handle_published(self.now, &channel, message),
            },
            Command::Append { stream, fields, .. } => {
                let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, &**value)).collect();
                self.peer.handle_entry(self.now, &stream, "1-0", &fields);
            }
            _ => {}
        }
        while self.peer.poll_command().is_some() {}
        while let Some(event) = self.peer.poll_event() {
            if let WireEvent::Faulty(error) = event {
                panic!("{error} of a node of {:?}", self.config.format);
            }
        }
    }

    /// Nothing is left when a node has closed, and it does nothing any more.
    fn end(&mut self) {
        self.wire.close(self.now);
        self.is_closed = true;
        self.drain();
        assert!(self.subscriptions.is_empty(), "{:?}", self.subscriptions);
        self.send("/", operation(b'0', RequestId(1)));
        self.wire.handle_namespace(self.now, &"/".into(), true);
        assert!(self.wire.poll_command().is_none());
        self.now = self.now + Duration::from_secs(3600);
        self.wire.handle_timeout(self.now);
        // What it waits for has had a grace period.
        if let Some(until) = self.wire.poll_timeout() {
            self.now = until;
            self.wire.handle_timeout(self.now);
        }
        assert_eq!(self.wire.poll_timeout(), None);
        assert!(self.wire.poll_command().is_none());
    }

    fn channel(&self, letter: u8) -> String {
        match (letter, &self.config.format) {
            (b'q', Format::Classic(_)) => "socket.io-request#/#".into(),
            (b'r', Format::Classic(_)) => "socket.io-response#/#".into(),
            (b'o', Format::Classic(_)) => format!("socket.io-response#/#{UID}#"),
            (_, Format::Heartbeats(_)) => "socket.io#/".into(),
            (b'o', _) => format!("socket.io#/#{UID}#"),
            (b'R', _) => "socket.io#/#room#".into(),
            (b'a', _) => "socket.io#/a#".into(),
            _ => "socket.io#/#".into(),
        }
    }
}

/// Names and contents of a message that `Debug` redacts.
fn redacted(event: &WireEvent) -> Vec<String> {
    let WireEvent::Message { operation, .. } = event else { return Vec::new() };
    let names = |rooms: &[Room]| rooms.iter().map(Room::to_string).collect::<Vec<_>>();
    match operation {
        Operation::Broadcast(Broadcast { target, .. })
        | Operation::Disconnect { target, .. }
        | Operation::FetchSockets { target, .. } => {
            [names(&target.rooms), names(&target.except)].concat()
        }
        Operation::Join { target, rooms } | Operation::Leave { target, rooms } => {
            [names(&target.rooms), names(&target.except), names(rooms)].concat()
        }
        Operation::Respond { response: Response::Sockets(sockets), .. } => {
            let of = |SocketInfo { id, rooms, handshake, data }: &SocketInfo| {
                format!("{id} {:?} {handshake:?} {data:?}", names(rooms))
            };
            sockets.iter().map(of).collect()
        }
        _ => Vec::new(),
    }
}

/// Seeds of the vectors: a node of one reads what the reference has responded to it.
const OWN: u64 = 2;
const PEER: u64 = 1;
const UID: &str = "e8df9c78b44d8c04";

/// The private id in the seeds.
fn pid() -> PrivateId {
    PrivateId::parse("jNTzLoaAnU-HOiG7AAAD").expect("20 characters")
}
