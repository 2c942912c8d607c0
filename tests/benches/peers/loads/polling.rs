//! Round trips over polling: while a GET waits on one connection, a POST on the other brings the
//! message whose echo answers it. This is what a browser does, with the two connections that it has.

use std::io::{self, Read, Write};

use base64::{Engine, engine::general_purpose::STANDARD};
use mio::net::TcpStream;

use super::client::{self, Client, Response};
use super::{Drive, Figure, cost_of, events};
use crate::Result;
use crate::args::Scale;
use crate::patience::SILENCE;
use crate::process::Server;
use crate::servers::Speaks;

/// What [`Speaks::FixedPolling`] answers to each GET: as long as any echo.
pub(crate) const FIXED_ECHO: &str =
    "4this is no echo, but it is as long as one: ---------------------";

const _: () = assert!(FIXED_ECHO.len() == 1 + MESSAGE, "not as long as an echo");

/// Bytes of a message.
const MESSAGE: usize = 64;

/// Between the packets of a payload.
const SEPARATOR: &str = "\x1e";

const SESSIONS: usize = 32;
const ROUND_TRIPS: usize = 10_000;

/// A text of 64 bytes each way.
pub(super) fn texts(server: &mut Server, scale: Scale) -> Result<Figure> {
    run(server, scale.of(ROUND_TRIPS), |name, turn| vec![format!("4{}", text(name, turn))])
}

/// An event with a text of 64 bytes each way.
pub(super) fn events(server: &mut Server, scale: Scale) -> Result<Figure> {
    run(server, scale.of(ROUND_TRIPS), |name, turn| vec![events::event("echo", &text(name, turn))])
}

fn text(name: usize, turn: usize) -> String {
    format!("{:-<MESSAGE$}", format!("session {name} message {turn} "))
}

/// 16 binary packets of 1 KiB each way. Their echoes may come with several GETs.
pub(super) fn binaries(server: &mut Server, scale: Scale) -> Result<Figure> {
    run(server, scale.of(ROUND_TRIPS / 2), |name, turn| {
        let packet =
            |nth| format!("{:-<1024}", format!("session {name} turn {turn} packet {nth} "));
        (0..16).map(|nth| format!("b{}", STANDARD.encode(packet(nth)))).collect()
    })
}

/// Measures `round_trips` of what `packets` makes of a session's and a turn's number.
fn run(
    server: &mut Server,
    round_trips: usize,
    packets: impl Fn(usize, usize) -> Vec<String>,
) -> Result<Figure> {
    let mut drive = Drive::new(SILENCE)?;
    let mut sessions = Vec::new();
    for name in 0..SESSIONS {
        let mut session = ServerSession::open(server, |turn| packets(name, turn))?;
        drive.add(&mut session.get.stream, 2 * name)?;
        drive.add(&mut session.post.stream, 2 * name + 1)?;
        sessions.push(session);
    }
    cost_of(server, round_trips, |round_trips| {
        let each = round_trips.div_ceil(SESSIONS);
        for session in &mut sessions {
            session.left = each;
            session.start()?;
        }
        drive.until(each * SESSIONS, |name| {
            sessions[name / 2].ready(if name % 2 == 0 { Half::Get } else { Half::Post })
        })
    })
}

struct ServerSession {
    get: Connection,
    post: Connection,
    sid: String,
    poll: String,
    /// Different messages, and the POSTs that send them in turn.
    messages: Vec<Vec<String>>,
    posts: Vec<String>,
    /// Whether a GET has only to bring what has the length of an echo.
    fixed: bool,
    /// A ping has come, whose pong goes along with the next message.
    pinged: bool,
    turn: usize,
    /// Packets of this turn that have come back.
    echoed: usize,
    /// Round trips of this run that are not complete.
    left: usize,
}

#[derive(Clone, Copy)]
enum Half {
    Get,
    Post,
}

struct Connection {
    stream: TcpStream,
    unread: Vec<u8>,
    waits: bool,
}

impl ServerSession {
    fn open(server: &Server, packets: impl Fn(usize) -> Vec<String>) -> Result<Self> {
        let (mut get, mut post) =
            (Client::connect(server.address)?, Client::connect(server.address)?);
        get.send(client::get(None).as_bytes())?;
        let sid = client::sid(&get.body()?)?;
        let poll = client::get(Some(&sid));
        let mut pinged = false;
        if server.peer.speaks == Speaks::SocketIo {
            post.send(client::post(&sid, events::CONNECT).as_bytes())?;
            if post.body()? != b"ok" {
                return Err("POST: not taken".into());
            }
            get.send(poll.as_bytes())?;
            let mut payload = get.body()?;
            // engineioxide sends a ping right after its open packet.
            if payload.starts_with(b"2") {
                pinged = true;
                payload.drain(..payload.len().min("2\x1e".len()));
            }
            if payload.is_empty() {
                get.send(poll.as_bytes())?;
                payload = get.body()?;
            }
            events::connected(&payload)?;
        }
        let messages: Vec<_> = (0..8).map(packets).collect();
        let request = |packets: &Vec<String>| client::post(&sid, &packets.join(SEPARATOR));
        Ok(Self {
            get: Connection::new(get)?,
            post: Connection::new(post)?,
            poll,
            posts: messages.iter().map(request).collect(),
            messages,
            sid,
            fixed: server.peer.speaks == Speaks::FixedPolling,
            pinged,
            turn: 0,
            echoed: 0,
            left: 0,
        })
    }

    fn start(&mut self) -> Result<()> {
        self.get.send(self.poll.as_bytes())?;
        if std::mem::take(&mut self.pinged) {
            let payload = format!("3{SEPARATOR}{}", self.messages[self.turn].join(SEPARATOR));
            return self.post.send(client::post(&self.sid, &payload).as_bytes());
        }
        self.post.send(self.posts[self.turn].as_bytes())
    }

    /// Returns 1 if an answer was the last of a round trip, which starts the next.
    fn ready(&mut self, half: Half) -> Result<usize> {
        match half {
            Half::Get => self.polled()?,
            Half::Post => match self.post.receive()?.as_deref() {
                None | Some(b"ok") => {}
                Some(body) => return Err(format!("POST: {}", body.escape_ascii()).into()),
            },
        }
        if self.get.waits || self.post.waits || self.left == 0 {
            return Ok(0);
        }
        self.echoed = 0;
        self.turn = (self.turn + 1) % self.posts.len();
        self.left -= 1;
        if self.left > 0 {
            self.start()?;
        }
        Ok(1)
    }

    /// Takes what the GET has brought; if echoes are missing, polls again.
    fn polled(&mut self) -> Result<()> {
        let Some(payload) = self.get.receive()? else { return Ok(()) };
        let packets = &self.messages[self.turn];
        for packet in payload.split(|&byte| byte == 0x1e) {
            let expected = packets.get(self.echoed).map_or("", |packet| packet);
            if packet == b"2" {
                self.pinged = true;
            } else if !expected.is_empty()
                && (packet == expected.as_bytes() || self.fixed && packet.len() == expected.len())
            {
                self.echoed += 1;
            } else {
                let got = packet.escape_ascii();
                return Err(format!("GET: {got} for {expected}").into());
            }
        }
        if self.echoed == packets.len() { Ok(()) } else { self.get.send(self.poll.as_bytes()) }
    }
}

impl Connection {
    fn new(client: Client) -> Result<Self> {
        let (stream, unread) = client.into_parts()?;
        Ok(Self { stream, unread, waits: false })
    }

    fn send(&mut self, request: &[u8]) -> Result<()> {
        self.waits = true;
        // One request at a time, and it is small: the socket always has room.
        match self.stream.write(request)? {
            written if written == request.len() => Ok(()),
            written => Err(format!("only {written} of {} bytes sent", request.len()).into()),
        }
    }

    /// The body of the answer, once it is there.
    fn receive(&mut self) -> Result<Option<Vec<u8>>> {
        let mut buffer = [0; 4096];
        loop {
            let read = match self.stream.read(&mut buffer) {
                Ok(0) => return Err("closed by the server".into()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                read => read?,
            };
            self.unread.extend_from_slice(&buffer[..read]);
            if read < buffer.len() {
                break;
            }
        }
        if self.unread.is_empty() {
            return Ok(None);
        }
        let Some(response) = Response::parse(&self.unread)? else { return Ok(None) };
        if !self.waits || response.length != self.unread.len() {
            return Err(format!("unasked for: {}", self.unread.escape_ascii()).into());
        }
        let body = response.body.to_vec();
        self.unread.clear();
        self.waits = false;
        Ok(Some(body))
    }
}
