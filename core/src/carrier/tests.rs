//! Carriers between bytes and sessions, without sockets.

use alloc::{boxed::Box, format, string::String, sync::Arc, vec, vec::Vec};
use core::{task::Waker, time::Duration};

use bytes::Buf;

use super::*;
use crate::{
    config::ServerConfig,
    session::{CloseReason, Event, WebSocketEnd},
    wire::{Arena, Output},
};

/// A server with at most one session.
struct Server {
    router: Router,
    http: Arc<http::Config>,
    entry: Option<Entry<Nobody>>,
    last_id: u64,
    compressors: Compressors,
}

/// Connections are driven by hand, so none is woken.
#[derive(Clone, Copy, Debug)]
struct Nobody;

impl FromWaker for Nobody {
    fn from_waker(_: Waker) -> Option<Self> {
        None
    }
}

struct Locked<'a> {
    entry: &'a mut Entry<Nobody>,
    wakes: Vec<Nobody>,
    id: u64,
}

impl Server {
    fn new(config: ServerConfig) -> Self {
        let http = Arc::new(http::Config::default());
        let compressors = Compressors::new();
        Self { router: Router::new(config), http, entry: None, last_id: 0, compressors }
    }

    fn session(&mut self) -> &mut ServerSession {
        self.entry.as_mut().unwrap().session_mut()
    }

    fn is_carried(&self) -> bool {
        self.entry.as_ref().unwrap().is_carried()
    }
}

impl Host for Server {
    type Session = ();
    type Handshake = ();
    type Request = ();
    type Guard<'a> = Locked<'a>;

    fn router(&self) -> &Router {
        &self.router
    }

    fn http(&self) -> &Arc<http::Config> {
        &self.http
    }

    fn fresh_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    fn has_room(&self) -> bool {
        self.entry.is_none()
    }

    fn find(&mut self, sid: &Sid) -> Option<()> {
        self.entry.as_ref().filter(|entry| entry.session().sid() == *sid).map(|_| ())
    }

    fn ask(&mut self, _: http::RequestHead) {}

    fn verdict(&mut self, (): &mut ()) -> Option<Result<(), Refusal>> {
        Some(Ok(()))
    }

    fn open(
        &mut self,
        now: Time,
        opening: Opening,
        first: CarrierId,
        (): (),
    ) -> Result<(), Reject> {
        let mut entropy = |buffer: &mut [u8]| buffer.fill(1);
        let session = self.router.open(now, &mut entropy, opening, first)?;
        self.entry.insert(Entry::new(now, session)).attach(self.last_id, Nobody);
        Ok(())
    }

    fn lock<'a>(&'a mut self, _now: Time, (): &'a (), id: u64) -> Locked<'a> {
        Locked { entry: self.entry.as_mut().unwrap(), wakes: Vec::new(), id }
    }

    fn forward(&mut self, _: http::RequestHead, _: Bytes) {}

    fn response(&mut self, (): &mut ()) -> Option<Response> {
        None
    }

    fn compressors(&mut self) -> &mut Compressors {
        &mut self.compressors
    }
}

impl Guard for Locked<'_> {
    type Waker = Nobody;
    type Wakes = Vec<Nobody>;

    fn held(&mut self) -> Held<'_, Nobody, Vec<Nobody>> {
        Held { entry: self.entry, id: self.id, waker: &Nobody, wakes: &mut self.wakes }
    }
}

type Http = Exchanges<(), (), ()>;

fn exchanges(now: Time) -> Http {
    Http::new(now, Arc::new(http::Config::default()))
}

fn feed(http: &mut Http, now: Time, server: &mut Server, bytes: &str, output: &mut Output) {
    let mut bytes = bytes.as_bytes().to_vec();
    assert!(http.handle_bytes(now, server, &mut bytes, output).is_none());
}

fn request(server: &mut Server, method: &str, length: usize) -> String {
    let sid = server.session().sid();
    format!(
        "{method} /engine.io/?EIO=4&transport=polling&sid={} HTTP/1.1\r\nHost: a\r\n\
         Content-Length: {length}\r\n\r\n",
        sid.as_str()
    )
}

/// A session on polling, its handshake answered.
fn polling(config: ServerConfig) -> Server {
    let mut server = Server::new(config);
    let mut output = Output::new();
    let open = "GET /engine.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: a\r\n\r\n";
    feed(&mut exchanges(Time::ZERO), Time::ZERO, &mut server, open, &mut output);
    assert!(output.chunk().starts_with(b"HTTP/1.1 200 OK"));
    server
}

fn second(n: u64) -> Time {
    Time::from_millis(1000 * n)
}

/// What a full socket takes in a second.
struct Room(usize);

impl Stream for Room {
    type Error = ();

    fn write(&mut self, output: &Output) -> Result<Written, ()> {
        let n = self.0.min(output.chunk().len());
        self.0 -= n;
        Ok(if n == 0 { Written::Blocked } else { Written::Some(n) })
    }
}

fn take(outbox: &mut Outbox, output: &mut Output, now: Time, bytes: usize) {
    outbox.unblock();
    assert!(outbox.flush(output, now, &mut Room(bytes)).is_ok());
}

#[test]
fn post_that_comes_steadily_keeps_its_session_and_one_that_stops_does_not() {
    let mut server = polling(ServerConfig::default());
    let (mut http, mut output) = (exchanges(Time::ZERO), Output::new());
    let head = request(&mut server, "POST", 1_000_000);
    feed(&mut http, Time::ZERO, &mut server, &head, &mut output);
    // 5 kB a second: 200 s.
    for n in 1..=150 {
        feed(&mut http, second(n), &mut server, &"4".repeat(5000), &mut output);
        server.session().handle_timeout(second(n));
        assert!(server.session().is_open(), "after {n} s");
    }
    server.session().handle_timeout(second(191));
    assert_eq!(server.session().close_reason(), Some(&CloseReason::PingTimeout));
    assert!(http.drive(second(191), &mut server, &mut output).is_none());
    assert!(output.chunk().starts_with(b"HTTP/1.1 400 "));
    assert_eq!(http.next(true), Next::Linger);
    assert!(!server.is_carried());
}

#[test]
fn post_that_trickles_does_not_keep_its_session() {
    let mut server = polling(ServerConfig::default());
    let (mut http, mut output) = (exchanges(Time::ZERO), Output::new());
    let head = request(&mut server, "POST", 1000);
    feed(&mut http, Time::ZERO, &mut server, &head, &mut output);
    for n in 1..=45 {
        feed(&mut http, second(n), &mut server, "4", &mut output);
        server.session().handle_timeout(second(n));
        assert_eq!(server.session().is_open(), n < 45, "after {n} s");
    }
}

#[test]
fn large_response_that_is_read_steadily_keeps_its_session() {
    for (rate, lives) in [(10_000, true), (0, false)] {
        let mut server = polling(ServerConfig::default());
        let (mut http, mut outbox) = (exchanges(Time::ZERO), Outbox::default());
        let mut output = Box::new(Output::new());
        server.session().send("x".repeat(900_000)).unwrap();
        let get = request(&mut server, "GET", 0);
        feed(&mut http, Time::ZERO, &mut server, &get, &mut output);
        take(&mut outbox, &mut output, Time::ZERO, 100_000);
        for n in 1..=70 {
            take(&mut outbox, &mut output, second(n), rate);
            http.note_written(second(n), &mut server, outbox.take_progress());
            server.session().handle_timeout(second(n));
        }
        assert_eq!(server.session().is_open(), lives, "{rate} bytes a second");
        assert!(http.is_postponed() && server.is_carried());
        // Once all is written, nothing leads from the connection to the session any more.
        take(&mut outbox, &mut output, second(71), usize::MAX);
        assert!(http.drive(second(71), &mut server, outbox.output(&mut output)).is_none());
        assert!(!http.is_postponed() && !server.is_carried());
    }
}

/// A session on a WebSocket, its open packet taken.
fn websocket(config: ServerConfig) -> (Server, WebSocketCarrier, Output) {
    websocket_of(config, OPEN_WEBSOCKET.to_vec())
}

/// The same of another handshake.
fn websocket_of(config: ServerConfig, mut open: Vec<u8>) -> (Server, WebSocketCarrier, Output) {
    let mut server = Server::new(config);
    let (mut http, mut output) = (exchanges(Time::ZERO), Output::new());
    let upgrade = http.handle_bytes(Time::ZERO, &mut server, &mut open, &mut output).unwrap();
    let limits = &server.router.config().limits;
    let mut socket = WebSocketCarrier::new(upgrade.on, limits, upgrade.compression);
    pass(&mut server, &mut socket, Time::ZERO, &mut [], true, &mut output);
    output.advance(output.remaining());
    (server, socket, output)
}

/// One pass: what was read, and with `pull` what the session has.
fn pass(
    server: &mut Server,
    socket: &mut WebSocketCarrier,
    now: Time,
    bytes: &mut [u8],
    pull: bool,
    output: &mut Output,
) {
    let (mut transit, mut arena) = (Transit::new(), Arena::new());
    socket.handle_bytes(bytes, &mut arena, &mut transit, output);
    if !socket.is_detached() {
        let mut guard = server.lock(now, &(), socket.id().0);
        socket.exchange(now, &mut guard, &mut transit, output, pull, LINGER);
        drop(guard);
        socket.compress(&mut transit, &mut arena, output);
    }
}

#[test]
fn frame_that_comes_steadily_keeps_its_session() {
    for (rate, lives) in [(5000, true), (100, false)] {
        let (mut server, mut socket, mut output) = websocket(ServerConfig::default());
        // A text of 900 kB with a mask of zeros.
        let mut head = *b"\x81\xff\0\0\0\0\0\x0d\xbb\xa0\0\0\0\0";
        pass(&mut server, &mut socket, Time::ZERO, &mut head, true, &mut output);
        for n in 1..=100 {
            pass(&mut server, &mut socket, second(n), &mut vec![b'4'; rate], true, &mut output);
            server.session().handle_timeout(second(n));
        }
        assert_eq!(server.session().is_open(), lives, "{rate} bytes a second");
    }
}

#[test]
fn messages_that_are_read_steadily_keep_their_session_until_the_ping_has_its_turn() {
    let mut config = ServerConfig::default();
    config.limits.max_queued = 20_000_000;
    let (mut server, mut socket, output) = websocket(config);
    let (mut outbox, mut output) = (Outbox::default(), Box::new(output));
    for _ in 0..14 {
        server.session().send("x".repeat(900_000)).unwrap();
    }
    let mut written = 0;
    // 100 kB a second: 126 s.
    for n in 0..=140_u32 {
        let now = second(n.into());
        loop {
            let pull = !outbox.is_blocked();
            pass(&mut server, &mut socket, now, &mut [], pull, outbox.output(&mut output));
            let before = outbox.len() + output.remaining();
            let room = 100_000 * (usize::try_from(n).unwrap() + 1) - written;
            take(&mut outbox, &mut output, now, room);
            written += before - outbox.len() - output.remaining();
            let progress = outbox.take_progress();
            socket.note_written(now, progress, || server.lock(now, &(), 1));
            if outbox.is_blocked() || !socket.is_unfinished() {
                break;
            }
        }
        server.session().handle_timeout(now);
        assert!(server.session().is_open(), "after {n} s");
    }
    assert_eq!(server.session().queued(), 0);
    assert!(written > 14 * 900_000);
}

#[test]
fn what_was_queued_before_a_close_is_not_thrown_away_while_the_peer_reads() {
    for (rate, arrives) in [(20_000, true), (500, false)] {
        let (mut server, mut socket, output) = websocket(ServerConfig::default());
        let (mut outbox, mut output) = (Outbox::default(), Box::new(output));
        server.session().send("x".repeat(900_000)).unwrap();
        server.session().send("x".repeat(900_000)).unwrap();
        server.session().close(Time::ZERO);
        let mut ended = None;
        for n in 0..=100 {
            let now = second(n);
            server.session().handle_timeout(now);
            let pull = !outbox.is_blocked();
            pass(&mut server, &mut socket, now, &mut [], pull, outbox.output(&mut output));
            take(&mut outbox, &mut output, now, rate);
            socket.note_written(now, outbox.take_progress(), || server.lock(now, &(), 1));
            let flushed = outbox.is_empty() && output.is_empty();
            assert_eq!(socket.next(now, flushed, LINGER), Next::Stay);
            if socket.deadline().is_some_and(|deadline| deadline <= now) {
                ended = Some(n);
                break;
            }
        }
        // 92 passes, as each message is pulled in one of its own, and the time for the peer's Close; or
        // as long as a close may take.
        let left = outbox.len() + output.remaining();
        assert_eq!((ended, left > 0), (if arrives { Some(94) } else { Some(30) }, !arrives));
    }
}

#[test]
fn end_of_a_session_is_told_before_the_closing_handshake_ends() {
    // A ping timeout, and a violation.
    for violation in [false, true] {
        let (mut server, mut socket, mut output) = websocket(ServerConfig::default());
        if violation {
            // A frame without a mask.
            let mut bytes = *b"\x81\x02hi";
            pass(&mut server, &mut socket, Time::ZERO, &mut bytes, true, &mut output);
        } else {
            for n in [25, 45] {
                server.session().handle_timeout(second(n));
            }
            let now = second(45);
            pass(&mut server, &mut socket, now, &mut [], true, &mut output);
        }
        let event = server.session().poll_event();
        assert!(matches!(event, Some(Event::Closed(_))), "{event:?}");
        assert!(!output.is_empty() && socket.is_detached());
        assert_eq!(socket.next(second(45), false, LINGER), Next::Stay);
        let mut guard = server.lock(second(45), &(), 1);
        socket.lose(second(45), &mut guard, WebSocketEnd::Failed);
        assert!(server.session().poll_event().is_none());
    }
}

/// Has a task woken for each event.
struct Waking(Waker);

impl Layer for Waking {
    fn handle_event(&mut self, cx: &mut LayerContext<'_>, _: Event) {
        assert!(format!("{cx:?}").starts_with("LayerContext { now: "));
        cx.wake(self.0.clone());
    }
}

#[test]
fn tasks_that_a_layer_wakes_are_left_to_whoever_has_the_lock() {
    let session = polling(ServerConfig::default()).session().clone();
    let mut entry = Entry::<Waker>::new(Time::ZERO, session);
    entry.set_layer(Box::new(Waking(Waker::noop().clone())));
    assert!(format!("{entry:?}").contains("layer: Some(Layer)"), "{entry:?}");
    let mut wakes: Vec<Waker> = Vec::new();
    assert_eq!(entry.settle(None, &mut wakes), Settled::default());
    assert!(wakes.is_empty());
    entry.session_mut().abort();
    assert_eq!(entry.settle(None, &mut wakes), Settled::default());
    assert_eq!(wakes.len(), 1);
}

#[test]
fn entry_expects_its_only_connection_from_when_it_was_woken_until_it_comes() {
    let (mut server, mut socket, mut output) = websocket(ServerConfig::default());
    let mut wakes = Vec::new();
    let entry = server.entry.as_mut().unwrap();
    assert!(!entry.is_expected());
    entry.session_mut().send("a").unwrap();
    assert!(!entry.is_expected(), "the connection does not know of it");
    let _ = entry.settle(None, &mut wakes);
    assert!(entry.is_expected() && wakes.len() == 1);
    entry.session_mut().send("b").unwrap();
    let _ = entry.settle(None, &mut wakes);
    assert!(entry.is_expected() && wakes.len() == 1);
    // A second connection, as in an upgrade, is not looked at.
    entry.attach(99, Nobody);
    assert!(!entry.is_expected());
    entry.detach(99);
    assert!(entry.is_expected());
    // An action is for a connection that may not know of it.
    let mut closing = server.entry.take().unwrap();
    closing.session_mut().abort();
    assert!(!closing.is_expected());
    server.entry = Some(closing);
    pass(&mut server, &mut socket, second(1), &mut [], true, &mut output);
    assert!(!server.entry.as_ref().unwrap().is_expected());
}

#[test]
fn transmit_goes_on_while_the_session_has_more_and_the_socket_takes_it() {
    let mut config = ServerConfig::default();
    config.limits.max_queued = 100 * WRITE_CHUNK;
    let (mut server, mut scratch) = (Server::new(config), Scratch::new());
    let mut connection = Connection::new(Time::ZERO, Arc::clone(&server.http));
    connection.receive(Time::ZERO, &mut server, &mut scratch, &mut OPEN_WEBSOCKET.to_vec());
    let mut transmit = |server: &mut Server, room: &mut Room| {
        assert_eq!(connection.transmit(Time::ZERO, server, &mut scratch, room), Ok(()));
        connection.is_blocked()
    };
    assert!(!transmit(&mut server, &mut Room(usize::MAX)));
    for (room, left) in [(usize::MAX, 0), (3 * WRITE_CHUNK, 7)] {
        for _ in 0..10 {
            server.session().send("x".repeat(WRITE_CHUNK)).unwrap();
        }
        assert_eq!(transmit(&mut server, &mut Room(room)), left > 0);
        let queued = server.session().queued() / WRITE_CHUNK;
        assert_eq!(queued, left, "messages left of 10, with room for {room} bytes");
    }
}

#[test]
#[cfg(feature = "deflate")]
fn responses_share_one_compressor() {
    let mut config = ServerConfig::default();
    config.http_compression = Some(crate::HttpCompression::default());
    let mut server = polling(config);
    let mut http = exchanges(Time::ZERO);
    for _ in 0..3 {
        server.session().send("x".repeat(4096)).unwrap();
        let request =
            request(&mut server, "GET", 0).replace("Host", "Accept-Encoding: gzip\r\nHost");
        let mut output = Output::new();
        feed(&mut http, Time::ZERO, &mut server, &request, &mut output);
        let response = String::from_utf8_lossy(output.chunk()).into_owned();
        assert!(response.contains("Content-Encoding: gzip\r\n"), "{response}");
    }
    assert_eq!(server.compressors.0.made(), [1, 0]);
}

#[test]
#[cfg(feature = "deflate")]
fn reads_are_short_where_a_websocket_has_agreed_on_compression() {
    let plain = String::from_utf8_lossy(OPEN_WEBSOCKET);
    let offers = plain.replace("Host", "Sec-WebSocket-Extensions: permessage-deflate\r\nHost");
    for (handshake, most) in [(&*plain, usize::MAX), (&offers, 4096)] {
        let mut config = ServerConfig::default();
        config.per_message_deflate = Some(crate::PerMessageDeflate::default());
        let (mut server, mut scratch) = (Server::new(config), Scratch::new());
        let mut connection = Connection::new(Time::ZERO, Arc::clone(&server.http));
        assert_eq!(connection.max_read(), usize::MAX);
        let mut bytes = handshake.as_bytes().to_vec();
        connection.receive(Time::ZERO, &mut server, &mut scratch, &mut bytes);
        assert_eq!(connection.max_read(), most);
        connection.lose(Time::ZERO, WebSocketEnd::Closed, &mut server, &mut scratch);
        assert_eq!(connection.max_read(), usize::MAX);
    }
}

#[test]
#[cfg(feature = "deflate")]
fn empty_message_that_may_be_compressed_is_not_overtaken_by_one_that_may_not() {
    let mut deflate = crate::PerMessageDeflate::default();
    deflate.threshold = 0;
    let mut config = ServerConfig::default();
    config.per_message_deflate = Some(deflate);
    let offer = "Sec-WebSocket-Extensions: permessage-deflate\r\nHost";
    let open = String::from_utf8_lossy(OPEN_WEBSOCKET).replace("Host", offer);
    let (mut server, mut socket, mut output) = websocket_of(config, open.into_bytes());
    server.session().send(Vec::new()).unwrap();
    server.session().send(crate::Encoded::new("a").without_compression()).unwrap();
    pass(&mut server, &mut socket, Time::ZERO, &mut [], true, &mut output);
    assert!(output.copy_to_bytes(output.remaining()).ends_with(b"\x81\x024a"));
}

#[test]
#[cfg(feature = "deflate")]
fn compression_is_declined_if_more_than_a_short_read_came_before_it_was_agreed_on() {
    let offer = "Sec-WebSocket-Extensions: permessage-deflate\r\nHost";
    for (behind, agreed) in [(4096, true), (4097, false)] {
        let mut config = ServerConfig::default();
        config.per_message_deflate = Some(crate::PerMessageDeflate::default());
        let (mut server, mut output) = (Server::new(config), Output::new());
        let mut bytes = String::from_utf8_lossy(OPEN_WEBSOCKET).replace("Host", offer).into_bytes();
        bytes.resize(bytes.len() + behind, 0);
        let mut http = exchanges(Time::ZERO);
        let upgraded = http.handle_bytes(Time::ZERO, &mut server, &mut bytes, &mut output).unwrap();
        let response = String::from_utf8_lossy(output.chunk()).into_owned();
        assert!(response.starts_with("HTTP/1.1 101 "), "{response}");
        assert_eq!(response.contains("\r\nSec-WebSocket-Extensions: permessage-deflate"), agreed);
        assert_eq!((upgraded.compression.is_some(), upgraded.early.len()), (agreed, behind));
    }
}

#[test]
fn a_request_for_another_path_is_refused_unless_the_host_forwards_it() {
    let mut server = Server::new(ServerConfig::default());
    let (mut http, mut output) = (exchanges(Time::ZERO), Output::new());
    let other = "GET /other HTTP/1.1\r\nHost: a\r\n\r\n";
    feed(&mut http, Time::ZERO, &mut server, other, &mut output);
    assert!(output.chunk().starts_with(b"HTTP/1.1 404 "));
}

#[test]
fn a_connection_is_read_while_less_waits_to_be_written_than_goes_out_at_once() {
    // Returns the bytes of the response, and whether the connection is read once it takes bytes again.
    let respond = |room: usize| {
        let (mut server, mut scratch) = (polling(ServerConfig::default()), Scratch::new());
        server.session().send("x".repeat(3 * WRITE_CHUNK)).unwrap();
        let mut connection = Connection::new(Time::ZERO, Arc::clone(&server.http));
        let mut get = request(&mut server, "GET", 0).into_bytes();
        connection.receive(Time::ZERO, &mut server, &mut scratch, &mut get);
        let mut room = Room(room);
        let before = room.0;
        let written = connection.transmit(Time::ZERO, &mut server, &mut scratch, &mut room);
        assert_eq!(written, Ok(()));
        assert_eq!(connection.is_reading(), !connection.is_blocked());
        connection.handle_writable();
        (before - room.0, connection.is_reading())
    };
    let (length, reads) = respond(usize::MAX);
    assert!(reads && length > 3 * WRITE_CHUNK);
    for (waiting, reads) in [(length, false), (WRITE_CHUNK, false), (WRITE_CHUNK - 1, true)] {
        let room = length - waiting;
        assert_eq!(respond(room), (room, reads), "{waiting} bytes wait");
    }
}

#[test]
fn a_connection_expects_input_while_it_waits_for_a_request_or_an_upgrade() {
    let (mut server, mut scratch) = (polling(ServerConfig::default()), Scratch::new());
    let mut get = request(&mut server, "GET", 0).into_bytes();
    let mut upgrade = OPEN_WEBSOCKET.to_vec();
    let with_sid = format!("&sid={} HTTP", server.session().sid().as_str());
    upgrade.splice(41..46, with_sid.into_bytes());
    let mut poll = Connection::new(Time::ZERO, Arc::clone(&server.http));
    assert!(poll.expects_input());
    poll.receive(Time::ZERO, &mut server, &mut scratch, &mut get);
    assert!(!poll.expects_input(), "it waits for the session");

    let mut socket = Connection::new(Time::ZERO, Arc::clone(&server.http));
    socket.receive(Time::ZERO, &mut server, &mut scratch, &mut upgrade);
    let transmit =
        |socket: &mut Connection<_, _, _>, server: &mut Server, scratch: &mut Scratch| {
            let written = socket.transmit(Time::ZERO, server, scratch, &mut Room(usize::MAX));
            assert_eq!(written, Ok(()));
        };
    transmit(&mut socket, &mut server, &mut scratch);
    assert!(socket.expects_input(), "it probes");
    for message in [&b"\x81\x862probe"[..], b"\x81\x815"] {
        let mut bytes = message[..2].to_vec();
        bytes.extend([0; 4]);
        bytes.extend(&message[2..]);
        socket.receive(Time::ZERO, &mut server, &mut scratch, &mut bytes);
        transmit(&mut socket, &mut server, &mut scratch);
    }
    assert!(!socket.expects_input(), "it carries the session");
    transmit(&mut poll, &mut server, &mut scratch);
    assert!(poll.expects_input(), "its response was written");
    socket.lose(Time::ZERO, WebSocketEnd::Failed, &mut server, &mut scratch);
    assert!(!socket.expects_input(), "it is over");
}

#[test]
fn debug_shows_the_role_of_a_connection_and_no_data() {
    let (mut server, mut scratch) = (Server::new(ServerConfig::default()), Scratch::new());
    let mut connection = Connection::new(Time::ZERO, Arc::clone(&server.http));
    assert_eq!(format!("{connection:?}"), r#"Connection { role: "exchanges", .. }"#);
    connection.receive(Time::ZERO, &mut server, &mut scratch, &mut OPEN_WEBSOCKET.to_vec());
    assert_eq!(format!("{connection:?}"), r#"Connection { role: "websocket", .. }"#);
    connection.lose(Time::ZERO, WebSocketEnd::Failed, &mut server, &mut scratch);
    assert_eq!(format!("{connection:?}"), r#"Connection { role: "lingering", .. }"#);
    assert_eq!(format!("{scratch:?}"), "Scratch { .. }");
}

/// Opens a session on a WebSocket.
const OPEN_WEBSOCKET: &[u8] = b"GET /engine.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: a\r\n\
    Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

const LINGER: Duration = Duration::from_secs(2);
