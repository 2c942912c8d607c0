//! Requests for sessions of another node, without sockets.

use alloc::{
    format,
    string::{String, ToString as _},
    sync::Arc,
    vec,
    vec::Vec,
};
use core::convert::Infallible;

use bytes::Bytes;

use super::*;
use crate::{
    carrier::{
        Compressors, Connection, Follow, FromWaker, Guard, HandOver, Held, Scratch, Stream, Written,
    },
    config::ServerConfig,
    exchange::{HttpRequest, Response},
    router::{Opening, Refusal, Reject, Router},
    session::CarrierId,
    sid::Sid,
    wire::http::RequestHead,
};

/// A node without sessions, which has one neighbour.
pub(super) struct Server {
    router: Router,
    http: Arc<Config>,
    compressors: Compressors,
    pub(super) neighbour: Neighbour,
    /// Whether it is found when the request is to be handed over.
    is_known: bool,
    /// Whether requests for other paths go to an application, and its response once it has one.
    forwards: bool,
    response: Option<Response>,
    refused: Vec<Reject>,
}

/// The other node, as far as it is seen on the connection to it.
#[derive(Default)]
pub(super) struct Neighbour {
    /// The connection is there.
    connected: bool,
    fault: Option<HandOverFault>,
    /// Bytes that its socket takes yet.
    pub(super) room: usize,
    pub(super) took: Vec<u8>,
    /// It has been told that no more comes.
    is_last: bool,
    /// Bytes that it has sent, and whether more will come.
    pub(super) sent: Vec<u8>,
    pub(super) ended: bool,
    /// The most that was to be read at a time.
    pub(super) most: usize,
}

/// A session that there is none of.
pub(super) enum Nobody {}

#[derive(Clone, Copy)]
pub(super) struct NoWaker;

impl FromWaker for NoWaker {
    fn from_waker(_: core::task::Waker) -> Option<Self> {
        None
    }
}

impl Guard for Nobody {
    type Waker = NoWaker;
    type Wakes = Vec<NoWaker>;

    fn held(&mut self) -> Held<'_, NoWaker, Vec<NoWaker>> {
        match *self {}
    }
}

impl Host for Server {
    type Session = Infallible;
    type Handshake = ();
    type Request = ();
    type Guard<'a> = Nobody;

    fn router(&self) -> &Router {
        &self.router
    }

    fn http(&self) -> &Arc<Config> {
        &self.http
    }

    fn fresh_id(&mut self) -> u64 {
        0
    }

    fn has_room(&self) -> bool {
        false
    }

    fn find(&mut self, _: &Sid) -> Option<Infallible> {
        None
    }

    fn ask(&mut self, _: RequestHead) {}

    fn verdict(&mut self, (): &mut ()) -> Option<Result<(), Refusal>> {
        None
    }

    fn open(&mut self, _: Time, _: Opening, _: CarrierId, (): ()) -> Result<Infallible, Reject> {
        Err(Reject::Unavailable)
    }

    fn lock<'a>(&'a mut self, _: Time, session: &'a Infallible, _: u64) -> Nobody {
        match *session {}
    }

    fn forwards(&self) -> bool {
        self.forwards
    }

    fn forward(&mut self, _: RequestHead, _: Bytes) {}

    fn response(&mut self, (): &mut ()) -> Option<Response> {
        self.response.take()
    }

    fn compressors(&mut self) -> &mut Compressors {
        &mut self.compressors
    }

    fn hands_over(&mut self, sid: &Sid, head: &dyn HttpRequest) -> bool {
        sid.node().is_some_and(|node| node.as_str() == "b") && !is_handed_over(head)
    }

    fn hand_over(&mut self, request: HandOver, output: &mut Output) -> Option<()> {
        write_head(&request, None, output);
        self.is_known.then_some(())
    }

    fn relay(&mut self, (): &mut (), passage: Passage<'_>) -> Result<NodeState, HandOverFault> {
        let node = &mut self.neighbour;
        if let Some(fault) = node.fault {
            return Err(fault);
        }
        if !node.connected {
            return Ok(NodeState::Open);
        }
        while node.room > 0 && passage.to_node.has_remaining() {
            let n = node.room.min(passage.to_node.chunk().len());
            node.took.extend_from_slice(&passage.to_node.chunk()[..n]);
            passage.to_node.advance(n);
            node.room -= n;
        }
        node.is_last = passage.is_last && !passage.to_node.has_remaining();
        node.most = node.most.max(passage.room);
        let n = passage.room.min(node.sent.len());
        (passage.from_node)(&node.sent[..n]);
        node.sent.drain(..n);
        let is_over = node.sent.is_empty() && node.ended;
        Ok(if is_over { NodeState::Ended } else { NodeState::Open })
    }

    fn refused(&mut self, reject: &Reject) {
        self.refused.push(reject.clone());
    }
}

/// The connection of a client to the node, and what it has been sent.
pub(super) struct Client {
    server: Server,
    connection: Connection<Infallible, (), ()>,
    scratch: Scratch,
    now: Time,
    running: bool,
    /// Bytes that the client reads yet.
    room: usize,
    came: Vec<u8>,
}

/// The socket of the client.
struct Socket<'a>(&'a mut usize, &'a mut Vec<u8>);

impl Stream for Socket<'_> {
    type Error = ();

    fn write(&mut self, output: &Output) -> Result<Written, ()> {
        let n = output.chunk().len().min(*self.0);
        *self.0 -= n;
        self.1.extend_from_slice(&output.chunk()[..n]);
        Ok(if n == 0 { Written::Blocked } else { Written::Some(n) })
    }
}

impl Server {
    pub(super) fn new() -> Self {
        Self {
            router: Router::new(ServerConfig::default()),
            http: Arc::new(Config::default()),
            compressors: Compressors::new(),
            neighbour: Neighbour { connected: true, room: usize::MAX, ..Neighbour::default() },
            is_known: true,
            forwards: false,
            response: None,
            refused: Vec::new(),
        }
    }
}

impl Client {
    fn new() -> Self {
        Self::going_on(Server::new(), |http| Connection::new(Time::ZERO, http))
    }

    pub(super) fn going_on(
        server: Server,
        connection: impl FnOnce(Arc<Config>) -> Connection<Infallible, (), ()>,
    ) -> Self {
        Self {
            connection: connection(Arc::clone(&server.http)),
            server,
            scratch: Scratch::new(),
            now: Time::ZERO,
            running: true,
            room: usize::MAX,
            came: Vec::new(),
        }
    }

    /// One pass of the loop around a connection.
    pub(super) fn pass(&mut self) -> Follow {
        let Self { server, connection, scratch, now, .. } = self;
        connection.handle_timeout(*now, &server.http);
        connection.handle_writable();
        let socket = &mut Socket(&mut self.room, &mut self.came);
        connection.transmit(*now, server, scratch, socket).unwrap();
        let http = Arc::clone(&server.http);
        connection.conclude(*now, self.running, &http, scratch)
    }

    pub(super) fn send(&mut self, bytes: &[u8]) -> Follow {
        let mut bytes = bytes.to_vec();
        let Self { server, connection, scratch, now, .. } = self;
        connection.receive(*now, server, scratch, &mut bytes);
        self.pass()
    }

    fn eof(&mut self) -> Follow {
        let Self { server, connection, scratch, now, .. } = self;
        connection.receive_eof(*now, server, scratch);
        self.pass()
    }

    pub(super) fn came(&self) -> String {
        String::from_utf8_lossy(&self.came).into_owned()
    }

    pub(super) fn node(&mut self) -> &mut Neighbour {
        &mut self.server.neighbour
    }

    fn at(&mut self, seconds: u64) -> Follow {
        self.now = Time::from_millis(1000 * seconds);
        self.pass()
    }
}

pub(super) const TARGET: &str = "/engine.io/?EIO=4&transport=polling&sid=b--aaaaaaaaaaaaaaaaa";
pub(super) const UPGRADE: &str = "GET /engine.io/?EIO=4&transport=websocket&sid=b--aaaaaaaaaaaaaaaaa HTTP/1.1\r\n\
    Host: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
const SWITCH: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\n\r\n";

fn get() -> String {
    format!("GET {TARGET} HTTP/1.1\r\nHost: a\r\n\r\n")
}

fn post(body: &str) -> String {
    format!("POST {TARGET} HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

#[test]
fn request_and_response_pass_however_they_are_cut() {
    let expected = format!(
        "POST {TARGET} HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\nVia: 1.1 enginewire\r\n\
         Connection: close\r\n\r\n4hello"
    );
    let request = post("4hello").into_bytes();
    for pieces in [1, 2, 7, request.len()] {
        for answers in [1, 3, RESPONSE.len()] {
            let mut client = Client::new();
            for piece in request.chunks(request.len().div_ceil(pieces)) {
                assert_eq!(client.send(piece), Follow::Nothing);
            }
            assert_eq!(String::from_utf8_lossy(&client.node().took), expected);
            for piece in RESPONSE.chunks(RESPONSE.len().div_ceil(answers)) {
                client.node().sent.extend_from_slice(piece);
                assert_eq!(client.pass(), Follow::Nothing);
            }
            assert_eq!(client.came.as_slice(), RESPONSE);
            client.node().ended = true;
            assert_eq!(client.pass(), Follow::Shutdown);
            assert_eq!(client.eof(), Follow::End);
            assert_eq!(client.server.refused, []);
        }
    }
}

#[test]
fn bytes_behind_the_request_go_with_it() {
    let mut client = Client::new();
    let further = [get(), post("3")].concat();
    let _ = client.send(further.as_bytes());
    assert!(client.node().took.ends_with(format!("\r\n\r\n{}", post("3")).as_bytes()));
    let _ = client.send(b"more");
    assert!(client.node().took.ends_with(b"3more"));
}

#[test]
fn bytes_behind_the_response_are_not_passed_on() {
    // A node that does not close would take them for another request of this one.
    let upgrades =
        post("3").replace("Host: a", "Host: a\r\nConnection: Upgrade\r\nUpgrade: websocket");
    for request in [post("3"), get(), upgrades, UPGRADE.into()] {
        let mut client = Client::new();
        let _ = client.send(request.as_bytes());
        let took = String::from_utf8_lossy(&client.node().took).into_owned();
        let closes = !took.contains("Upgrade") && took.contains("\r\nConnection: close\r\n\r\n");
        assert_eq!(closes, request != UPGRADE, "{took}");
        client.node().took.clear();
        client.node().sent = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec();
        let _ = client.pass();
        assert_eq!(client.send(get().as_bytes()), Follow::Nothing);
        assert_eq!(client.node().took, b"");
        assert_eq!(client.eof(), Follow::Nothing);
        assert!(client.node().is_last);
    }
}

#[test]
fn interim_responses_pass_and_the_body_goes_on_behind_them() {
    let interim = b"HTTP/1.1 100 Continue\r\n\r\n";
    for cut in [1, interim.len(), interim.len() + 9] {
        let mut client = Client::new();
        let _ = client.send(post("4hello").split("4hello").next().unwrap().as_bytes());
        let sent = [&interim[..], b"HTTP/1.1 103 Early Hints\r\n\r\n"].concat();
        client.node().sent = sent[..cut].to_vec();
        let _ = client.pass();
        client.node().sent = sent[cut..].to_vec();
        let _ = client.pass();
        assert_eq!(client.came, sent);
        let _ = client.send(b"4hello");
        assert!(client.node().took.ends_with(b"\r\n\r\n4hello"));
        client.node().sent = RESPONSE.to_vec();
        let _ = client.pass();
        assert_eq!(client.came, [&sent, RESPONSE].concat());
        let _ = client.send(b"more");
        assert!(client.node().took.ends_with(b"4hello"));
    }
}

#[test]
fn bytes_pass_in_both_directions_behind_a_switch_of_protocols() {
    let mut client = Client::new();
    let _ = client.send(UPGRADE.as_bytes());
    let took = String::from_utf8_lossy(&client.node().took).into_owned();
    assert!(took.ends_with("\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"), "{took}");
    client.node().took.clear();
    client.node().sent = [SWITCH, b"first"].concat();
    let _ = client.pass();
    assert_eq!(client.came, [SWITCH, b"first"].concat());
    let _ = client.send(b"to the owner");
    assert_eq!(client.node().took, b"to the owner");
    // One side is closed before the other.
    assert_eq!(client.eof(), Follow::Nothing);
    assert!(client.node().is_last && !client.connection.is_reading());
    client.node().sent = b"last".to_vec();
    assert_eq!(client.pass(), Follow::Nothing);
    assert!(client.came.ends_with(b"firstlast"));
    client.node().ended = true;
    assert_eq!(client.pass(), Follow::End);
}

#[test]
fn request_whose_owner_is_unknown_after_all_is_refused() {
    let mut client = Client::new();
    client.server.is_known = false;
    assert_eq!(client.send(get().as_bytes()), Follow::Shutdown);
    assert!(
        client.came().starts_with("HTTP/1.1 400 ") && client.came().contains("Session ID unknown")
    );
    assert_eq!(client.server.refused, [Reject::UnknownSession]);
}

#[test]
fn only_requests_of_sessions_are_handed_over() {
    let put = get().replace("GET", "PUT");
    let handed_over = get().replace("Host: a", "Host: a\r\nVIA: 1.1 a ,1.1 enginewire");
    let other = get().replace("sid=b--", "sid=c--");
    for request in [put, handed_over, other] {
        let mut client = Client::new();
        let _ = client.send(request.as_bytes());
        assert_eq!(client.server.refused, [Reject::UnknownSession], "{request}");
        assert!(client.node().took.is_empty());
    }
}

#[test]
fn fault_of_the_owner_before_its_response_is_told_to_the_client() {
    let long = [b"HTTP/1.1 200 OK\r\nA: ".to_vec(), vec![b'a'; 16_384]].concat();
    let cases: [(&[u8], Option<HandOverFault>, HandOverFault, u16); 7] = [
        (b"", Some(HandOverFault::Unreachable), HandOverFault::Unreachable, 503),
        (b"", None, HandOverFault::NoResponse, 502),
        (b"HTTP/1.1 200 OK\r\n\r", None, HandOverFault::NoResponse, 502),
        (b"nonsense\r\n\r\n", None, HandOverFault::InvalidResponse, 502),
        (SWITCH, None, HandOverFault::InvalidResponse, 502),
        (&long, None, HandOverFault::InvalidResponse, 502),
        (b"HTTP/1.1 200 OK\nA: b\n\r\n\r\n", None, HandOverFault::InvalidResponse, 502),
    ];
    for (sent, fails, fault, status) in cases {
        let mut client = Client::new();
        let _ = client.send(post("4hello").as_bytes());
        client.node().sent = sent.to_vec();
        (client.node().fault, client.node().ended) = (fails, true);
        assert_eq!(client.pass(), Follow::Shutdown, "{fault}");
        let came = client.came();
        assert!(came.starts_with(&format!("HTTP/1.1 {status} ")), "{came}");
        assert!(
            came.contains("Connection: close") && came.ends_with(&Reject::from(fault).to_string())
        );
        assert_eq!(client.server.refused, [Reject::HandOver(fault)]);
        // What the client still sends is no request.
        assert_eq!(client.send(get().as_bytes()), Follow::Nothing);
        assert_eq!(client.server.refused.len(), 1);
    }
}

#[test]
fn client_that_leaves_before_its_response_is_no_fault_of_the_owner() {
    let mut client = Client::new();
    let _ = client.send(get().as_bytes());
    assert_eq!(client.eof(), Follow::Nothing);
    assert!(client.node().is_last);
    client.node().ended = true;
    assert_eq!(client.pass(), Follow::End);
    assert!(client.server.refused.is_empty() && client.came.is_empty());
}

#[test]
fn head_of_the_longest_size_passes_and_one_byte_more_does_not() {
    for (extra, passes) in [(0, true), (1, false)] {
        let begin = "HTTP/1.1 200 OK\r\nA: ";
        let value = "a".repeat(16_384 - begin.len() - 4 + extra);
        let mut client = Client::new();
        let _ = client.send(get().as_bytes());
        client.node().sent = format!("{begin}{value}\r\n\r\n").into_bytes();
        let _ = client.pass();
        assert_eq!(client.came().starts_with("HTTP/1.1 200 "), passes);
    }
}

#[test]
fn owner_has_the_time_of_a_head_to_be_reached_and_twice_a_heartbeat_to_respond() {
    let mut client = Client::new();
    client.node().connected = false;
    let _ = client.send(get().as_bytes());
    let _ = client.at(9);
    assert!(client.came.is_empty());
    assert_eq!(client.connection.deadline(&client.server.http), Some(Time::from_millis(10_000)));
    let _ = client.at(10);
    assert!(client.came().starts_with("HTTP/1.1 504 "));

    let mut client = Client::new();
    client.node().connected = false;
    let _ = client.send(get().as_bytes());
    client.node().connected = true;
    let _ = client.at(9);
    let _ = client.at(98);
    assert!(client.came.is_empty());
    let _ = client.at(99);
    assert!(client.came().starts_with("HTTP/1.1 504 "));
    assert_eq!(client.server.refused, [Reject::HandOver(HandOverFault::Timeout)]);
}

#[test]
fn bytes_in_either_direction_extend_the_time_and_silence_ends_both() {
    let mut client = Client::new();
    let _ = client.send(UPGRADE.as_bytes());
    client.node().sent = SWITCH.to_vec();
    for n in 1..=5 {
        assert_eq!(client.at(160 * n - 80), Follow::Nothing);
        assert_eq!(client.send(b"a"), Follow::Nothing);
        client.node().sent = b"b".to_vec();
        assert_eq!(client.at(160 * n), Follow::Nothing);
    }
    assert_eq!(client.at(889), Follow::Nothing);
    assert_eq!(client.at(890), Follow::Shutdown);
    assert!(client.server.refused.is_empty() && client.came.ends_with(b"bbbbb"));
}

#[test]
fn owner_that_does_not_read_throttles_the_client() {
    let mut client = Client::new();
    client.node().room = 0;
    let _ = client.send(post("").as_bytes());
    while client.connection.is_reading() {
        let _ = client.send(&[b'x'; 1000]);
    }
    client.node().room = usize::MAX;
    let _ = client.pass();
    assert!(client.connection.is_reading());
    let took = client.node().took.len();
    assert!((WRITE_CHUNK..WRITE_CHUNK + 1000).contains(&took), "{took}");
}

#[test]
fn client_that_does_not_read_throttles_the_owner_and_is_read_all_the_same() {
    let mut client = Client::new();
    let _ = client.send(UPGRADE.as_bytes());
    client.node().sent = [SWITCH, &vec![b'x'; 1_000_000]].concat();
    client.room = 100_000;
    for _ in 0..100 {
        assert_eq!(client.pass(), Follow::Nothing);
    }
    assert_eq!(client.came.len(), 100_000);
    let held = SWITCH.len() + 1_000_000 - 100_000 - client.node().sent.len();
    assert!(held <= WRITE_CHUNK, "{held} bytes are held");
    assert!(client.connection.is_reading());
    let _ = client.send(b"pong");
    assert!(client.node().took.ends_with(b"pong"));
    client.room = usize::MAX;
    for _ in 0..20 {
        assert_eq!(client.pass(), Follow::Nothing);
    }
    assert_eq!(client.came.len(), SWITCH.len() + 1_000_000);
    assert!(client.node().most <= WRITE_CHUNK);
}

#[test]
fn client_that_does_not_read_is_left_to_the_owner_for_longer_than_a_response_may_take() {
    let mut client = Client::new();
    let _ = client.send(UPGRADE.as_bytes());
    client.node().sent = [SWITCH, b"unread"].concat();
    client.room = 0;
    assert_eq!(client.pass(), Follow::Nothing);
    assert_eq!(client.at(89), Follow::Nothing);
    assert_eq!(client.at(90), Follow::End);
}

#[test]
fn owner_that_ends_without_room_for_its_response_ends_the_connection_once_all_is_written() {
    let mut client = Client::new();
    client.node().connected = false;
    client.room = 0;
    let mut bytes = "GET /elsewhere HTTP/1.1\r\nHost: a\r\n\r\n".repeat(1000);
    bytes.push_str(&get());
    assert_eq!(client.send(bytes.as_bytes()), Follow::Nothing);
    assert_eq!(client.eof(), Follow::Nothing);
    // Late for the owner, and the client does not wait for a response.
    assert_eq!(client.at(10), Follow::Nothing);
    client.room = usize::MAX;
    assert_eq!(client.pass(), Follow::End);
    assert!(client.came.len() > WRITE_CHUNK && client.server.refused.len() == 1000);
}

#[test]
fn request_behind_one_that_waited_is_handed_over_with_its_response() {
    let mut client = Client::new();
    client.server.forwards = true;
    let bytes = ["GET /page HTTP/1.1\r\nHost: a\r\n\r\n", &get()].concat();
    assert_eq!(client.send(bytes.as_bytes()), Follow::Nothing);
    assert!(client.came.is_empty() && client.node().took.is_empty());
    client.server.response = Some(Response::empty(204));
    // Nothing wakes the connection again before the owner has its request.
    assert_eq!(client.pass(), Follow::Nothing);
    assert!(client.came().starts_with("HTTP/1.1 204 "));
    assert!(client.node().took.starts_with(format!("GET {TARGET} ").as_bytes()));
    client.node().sent = RESPONSE.to_vec();
    let _ = client.pass();
    assert!(client.came.ends_with(RESPONSE));
}

#[test]
fn request_behind_much_that_waits_goes_on_once_that_is_written() {
    let mut client = Client::new();
    let mut bytes = "GET /elsewhere HTTP/1.1\r\nHost: a\r\n\r\n".repeat(1000);
    bytes.push_str(&get());
    client.node().sent = RESPONSE.to_vec();
    let _ = client.send(bytes.as_bytes());
    assert!(client.came.len() > WRITE_CHUNK && client.came.ends_with(RESPONSE));
}

#[test]
fn closing_server_finishes_a_response_that_has_begun_and_nothing_else() {
    for (request, sent, follows) in [
        (get(), &b""[..], Follow::Shutdown),
        (get(), &RESPONSE[..RESPONSE.len() - 1], Follow::Nothing),
        (UPGRADE.into(), SWITCH, Follow::Shutdown),
    ] {
        let mut client = Client::new();
        let _ = client.send(request.as_bytes());
        client.node().sent = sent.to_vec();
        assert_eq!(client.pass(), Follow::Nothing);
        client.running = false;
        assert_eq!(client.pass(), follows, "{request}");
    }
}

#[test]
fn fields_about_the_connection_of_the_client_are_left_out_and_no_others() {
    let head = "GET / HTTP/1.0\r\nCookie: a=b\r\nConnection: keep-alive, cookie, x-forwarded-for\r\n\
        KEEP-ALIVE: 5\r\nX-Forwarded-For: 1.2.3.4\r\nProxy-Connection: a\r\nTE: trailers\r\n\
        Upgrade: h2c\r\nHTTP2-Settings: a\r\nVia: 1.1 a\r\nBinary: \u{e4}\r\n\r\n";
    let head = RequestHead::parse(head.as_bytes(), 100).unwrap();
    let mut output = Output::new();
    let sid = Sid::parse("b--aaaaaaaaaaaaaaaaa").unwrap();
    let request = HandOver::new(sid, head.clone()).unwrap();
    write_head(&request, Some(("X-Forwarded-For", "5.6.7.8")), &mut output);
    let written = output.copy_to_bytes(output.remaining());
    assert_eq!(
        core::str::from_utf8(&written).unwrap(),
        "GET / HTTP/1.0\r\nCookie: a=b\r\nX-Forwarded-For: 1.2.3.4\r\nVia: 1.1 a\r\nBinary: \u{e4}\r\n\
         X-Forwarded-For: 5.6.7.8\r\nVia: 1.1 enginewire\r\nConnection: close\r\n\r\n"
    );
    // It is a request that is not handed over again.
    let again = RequestHead::parse(&written, 100).unwrap();
    assert!(is_handed_over(&again) && !is_handed_over(&head));
}
