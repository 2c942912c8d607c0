//! A whole client of Socket.IO, whose server says anything. Up to the first `:` stand the options, see `options`; then
//! four bytes, how what the server sends is cut into reads; then operations, each a letter and what it needs:
//!
//! | letter | operation |
//! |---|---|
//! | `c`n, `r`n | connection n is there, or not to be had |
//! | `x`n, `e`n | it fails, or the server closes its side |
//! | `u`n, `U`n | the opening handshake of a WebSocket is answered, or answered wrongly |
//! | `o`n, `O`n | the server opens the session there; `O` if it offers an upgrade |
//! | `t`n text, `b`n text | up to the newline: a WebSocket message, a text or binary |
//! | `a`n text, `h`n k | up to the newline: the body of an answer; another answer |
//! | `k`n | its WebSocket is closed by the server |
//! | `d`n k bytes | k bytes as they are |
//! | `w`n k, `W`n | it takes k more bytes, or all from now on |
//! | `N`m a | a socket of namespace m is made, with payload a, and connected |
//! | `C`s, `D`s, `L`s | socket s is connected, disconnected, released |
//! | `s`s, `v`s | an event; a volatile one |
//! | `q`s k, `g`s | one to be acknowledged in k times 10 ms; the last of it is forgotten |
//! | `R`s k | one that is sent up to k times again |
//! | `A`s | the oldest event of the server that socket s is to acknowledge is |
//! | `p`s, `P`s | its updates are left where they are; are taken again |
//! | `+`k, `*`k, `T` | k milliseconds, or seconds, pass; the deadline is waited for |
//! | `X`, `Z` | the client is closed, or its session is aborted |
//! | `q` behind the last | the script is over |
//!
//! Each of them is one byte, counted from `0`, modulo how many there are. Other letters stand for one of these. In the
//! end the client is closed, and the server falls silent.
//!
//! At any split the outputs are the same. Nothing asks for more without end, memory follows what has come, each
//! connection that is opened is closed or lost, and each acknowledgement comes to one end.

use std::{collections::BTreeSet, time::Duration};

use enginewire::{Reconnect, Time, Url};
use enginewire_socketio::{
    AckId, Attachment, Auth, EmitError, Offline, Slot, Update,
    client_hub::{ClientAskId, ClientHub, ClientHubConfig, ClientOutput, ConnectionId},
    parser::NamedEvent,
};

use crate::{
    Reached, client_session,
    memory::Watch,
    script::{Reads, Script},
    server_end::{ANSWERS, Link, answer, frame},
};

/// Runs the script, cut in two ways.
pub fn run(data: &[u8]) -> Reached {
    let mut script = Script::new(data);
    let config = options(script.until(b':'));
    let reads = Reads::read(&mut script);
    let (whole, reached) = Driver::new(&config, Reads::WHOLE, true).run(script);
    assert_eq!(Driver::new(&config, reads, true).run(script).0, whole);
    let watch = Watch::start();
    Driver { watch: Some(watch), ..Driver::new(&config, reads, false) }.run(script);
    reached
}

/// Those of [`client_session`](crate::client_session), and:
///
/// | option | |
/// |---|---|
/// | `G`, `D` | events without a connection are refused, or dropped |
/// | `Y` | two acknowledgements may be waited for, and 1000 bytes of events |
/// | `i`, `I` | a lost connection is not tried again; it is twice |
fn options(letters: &[u8]) -> ClientHubConfig {
    let has = |letter| letters.contains(&letter);
    let mut config = ClientHubConfig::new(&url());
    config.engine = client_session::options(letters);
    config.engine.limits.max_payload = MAX_PAYLOAD;
    let manager = &mut config.manager;
    if has(b'G') {
        manager.offline = Offline::Refuse;
    } else if has(b'D') {
        manager.offline = Offline::Drop;
    }
    manager.max_offline = MAX_OFFLINE;
    if has(b'Y') {
        (manager.max_pending_acks, manager.max_offline) = (2, 1000);
    }
    manager.limits.max_size = MAX_PAYLOAD;
    manager.reconnect = match (has(b'i'), has(b'I')) {
        (true, _) => None,
        (false, true) => Some(Reconnect::default().with_attempts(2)),
        _ => Some(Reconnect::default()),
    };
    config
}

/// An event loop with its application, and the server's end of its connections.
struct Driver {
    hub: ClientHub,
    now: Time,
    reads: Reads,
    links: Vec<Link<ConnectionId>>,
    /// Connections that there have been.
    opened: BTreeSet<ConnectionId>,
    sockets: Vec<Slot>,
    asks: Vec<ClientAskId>,
    /// Events that are to be acknowledged.
    owed: Vec<(Slot, u32, AckId)>,
    /// Updates were left where they are.
    has_paused: bool,
    is_closed: bool,
    told_closed: bool,
    /// All that was seen, unless that would be in the way of `watch`.
    log: Option<Vec<String>>,
    watch: Option<Watch>,
    /// Bytes that have come, and the most at a time.
    come: usize,
    largest_read: usize,
    /// Operations so far, each of which may cost a little.
    steps: usize,
    reached: Reached,
}

impl Driver {
    fn new(config: &ClientHubConfig, reads: Reads, keeps: bool) -> Self {
        let mut count = 0_u8;
        let entropy = move |buffer: &mut [u8]| {
            count = count.wrapping_add(1);
            buffer.fill(count);
        };
        Self {
            hub: ClientHub::new(config.clone(), entropy),
            now: Time::from_millis(1),
            reads,
            links: Vec::new(),
            opened: BTreeSet::new(),
            sockets: Vec::new(),
            asks: Vec::new(),
            owed: Vec::new(),
            has_paused: false,
            is_closed: false,
            told_closed: false,
            log: keeps.then(Vec::new),
            watch: None,
            come: 0,
            largest_read: 0,
            steps: 0,
            reached: Reached::default(),
        }
    }

    fn run(mut self, mut script: Script<'_>) -> (Option<Vec<String>>, Reached) {
        while !script.is_empty() {
            self.steps += 1;
            self.step(&mut script);
            self.drain();
            self.holds_little();
        }
        self.finish()
    }

    fn step(&mut self, script: &mut Script<'_>) {
        const LETTERS: &[u8] = b"crxeuUoOtbahkdwWNCDLsvqgRApP+*TXZ";
        let letter = match script.byte() {
            letter if LETTERS.contains(&letter) => letter,
            other => LETTERS[usize::from(other) % LETTERS.len()],
        };
        match letter {
            b'+' => self.now = self.now + Duration::from_millis(script.byte().into()),
            b'*' => self.now = self.now + Duration::from_secs(script.byte().into()),
            b'T' => drop(self.wait()),
            b'X' => {
                self.is_closed = true;
                self.hub.close(self.now);
            }
            b'Z' => self.hub.abort(),
            b'N' => {
                let namespace = script.byte().wrapping_sub(b'0');
                self.opens(namespace, script.byte());
            }
            b'C' | b'D' | b'L' | b's' | b'v' | b'q' | b'g' | b'R' | b'A' | b'p' | b'P' => {
                self.application(letter, script);
            }
            _ => self.network(letter, script),
        }
    }

    // -------------------------------------------------------------- the application

    fn opens(&mut self, namespace: u8, auth: u8) {
        let auth = match auth % 3 {
            0 => Auth::None,
            1 => Auth::Payload(enginewire_socketio::Payload::empty_object().clone()),
            _ => Auth::Ask,
        };
        let name = ["/", "/a", "/b?c=d"][usize::from(namespace % 3)];
        if self.sockets.len() < MAX_SOCKETS
            && let Some(socket) = self.hub.open(name, auth)
        {
            assert!(!self.is_closed);
            self.sockets.push(socket);
            self.hub.connect(self.now, socket);
        }
    }

    fn application(&mut self, letter: u8, script: &mut Script<'_>) {
        let number = usize::from(script.byte().wrapping_sub(b'0'));
        let at = number.checked_rem(self.sockets.len());
        let k = if matches!(letter, b'q' | b'R') { script.byte() } else { 0 };
        let Some(at) = at else { return };
        let (now, socket) = (self.now, self.sockets[at]);
        match letter {
            b'C' => self.hub.connect(now, socket),
            b'D' => drop(self.hub.disconnect(now, socket)),
            b'L' => drop(self.hub.release(now, socket)),
            b's' => {
                let sent = self.hub.emit(socket, "e", "text");
                self.emitted(sent);
            }
            b'v' => {
                let attachment = Attachment::new(0);
                let event = NamedEvent::new("v", &attachment).attach(&b"binary"[..]);
                let sent = self.hub.send_volatile(socket, &event);
                self.emitted(sent);
            }
            b'q' => {
                let timeout = Duration::from_millis(10) * u32::from(k);
                let ask = self.hub.emit_with_ack(now, socket, "q", "text", timeout);
                self.asks.extend(ask.as_ref().ok());
                self.emitted(ask.map(drop));
            }
            b'R' => {
                let (event, timeout) = (NamedEvent::new("r", "text"), Duration::from_secs(1));
                let ask =
                    self.hub.send_with_retries(now, socket, &event, u32::from(k % 4), timeout);
                self.asks.extend(ask.as_ref().ok());
                self.emitted(ask.map(drop));
            }
            b'g' => {
                if let Some(&ask) = self.asks.last()
                    && self.hub.forget(ask)
                {
                    self.asks.pop();
                }
            }
            b'A' => {
                let Some((socket, connection, ack)) = self.owed.pop() else { return };
                let sent = self.hub.acknowledge(socket, connection, ack, "text", Vec::new());
                self.emitted(sent);
            }
            b'p' => {
                self.has_paused = true;
                self.hub.pause(socket);
            }
            _ => self.hub.resume(socket),
        }
    }

    fn emitted(&mut self, result: Result<(), EmitError>) {
        self.reached.sent += usize::from(result.is_ok());
        self.note(|| format!("{result:?}"));
    }

    // ------------------------------------------------------------------ the network

    fn network(&mut self, letter: u8, script: &mut Script<'_>) {
        let index = usize::from(script.byte().wrapping_sub(b'0'));
        let at = index.checked_rem(self.links.len());
        let bytes = match letter {
            b'o' | b'O' => at.map_or_else(Vec::new, |at| self.opening(at, letter == b'O')),
            b'a' => answer(script.until(b'\n'), ""),
            b'h' => ANSWERS[usize::from(script.byte()) % ANSWERS.len()].as_bytes().to_vec(),
            b'u' | b'U' => at.map_or(vec![], |at| self.links[at].accept(letter == b'u')),
            b't' => frame(0x81, String::from_utf8_lossy(script.until(b'\n')).as_bytes()),
            b'b' => frame(0x82, script.until(b'\n')),
            b'k' => frame(0x88, b"\x03\xe8"),
            b'd' => {
                let k = script.byte().into();
                script.take(k).to_vec()
            }
            b'w' | b'W' => {
                let room = if letter == b'w' { script.byte().into() } else { usize::MAX };
                if let Some(link) = at.map(|at| &mut self.links[at]) {
                    link.room = room;
                    self.hub.handle_writable(self.now, link.id);
                }
                return;
            }
            _ => return at.map_or((), |at| self.happens(letter, at)),
        };
        if let Some(at) = at {
            self.comes(at, &bytes);
        }
    }

    /// The server's handshake, as polling or a WebSocket has it.
    fn opening(&self, at: usize, offers: bool) -> Vec<u8> {
        let upgrades = if offers { r#""websocket""# } else { "" };
        let open = format!(
            r#"0{{"sid":"a","upgrades":[{upgrades}],"pingInterval":300,"pingTimeout":200}}"#
        );
        match self.links[at].is_websocket() {
            true => frame(0x81, open.as_bytes()),
            false => answer(open.as_bytes(), ""),
        }
    }

    fn happens(&mut self, letter: u8, at: usize) {
        let (now, id) = (self.now, self.links[at].id);
        match (letter, self.links[at].connected) {
            (b'c', false) => {
                self.links[at].connected = true;
                assert!(self.hub.handle_connected(now, id), "it was not closed");
            }
            (b'r', false) => {
                self.links.remove(at);
                self.hub.handle_refused(now, id);
            }
            (b'x', true) => {
                self.links.remove(at);
                self.hub.handle_lost(now, id);
            }
            (b'e', true) => self.hub.handle_eof(now, id),
            _ => {}
        }
    }

    fn comes(&mut self, at: usize, bytes: &[u8]) {
        let link = &mut self.links[at];
        link.held.extend(bytes);
        self.come += bytes.len();
        self.largest_read = self.largest_read.max(link.held.len());
        if !link.connected || !self.hub.is_reading(link.id) {
            return;
        }
        let (id, bytes) = (link.id, std::mem::take(&mut link.held));
        for read in self.reads.cut(&bytes) {
            self.hub.handle_bytes(self.now, id, &mut read.to_vec());
        }
    }

    // ------------------------------------------------------------------- the loop

    /// Does all that the hub asks for.
    fn drain(&mut self) {
        // Each byte that has come is at most one message, and each step a few connections and changes.
        let most = 64 * (64 + self.steps) + 8 * self.come;
        for _ in 0..most {
            let has_actions = self.hub.has_actions();
            let Some(output) = self.hub.poll() else {
                assert!(!self.hub.has_actions(), "actions that poll does not give");
                return;
            };
            let is_action = matches!(
                output,
                ClientOutput::Connect(_) | ClientOutput::Write(_) | ClientOutput::Close(_)
            );
            assert!(has_actions || !is_action, "{output:?} would be missed");
            let is_late = self.has_paused && matches!(output, ClientOutput::Update(..));
            assert!(is_action || is_late || !self.told_closed, "{output:?} behind the end");
            self.handle(output);
        }
        panic!("it asks for more without end");
    }

    fn handle(&mut self, output: ClientOutput) {
        self.note(|| format!("{output:?}"));
        match output {
            ClientOutput::Connect(id) => {
                assert!(self.opened.insert(id), "{id:?} twice");
                assert!(self.hub.address(id).is_some());
                self.links.push(Link::new(id));
                assert!(self.links.len() <= MAX_LINKS, "{} connections", self.links.len());
            }
            ClientOutput::Close(id) => {
                let at = self.index(id);
                self.links.remove(at);
            }
            ClientOutput::Write(id) => self.write(id),
            ClientOutput::Auth(socket) => {
                let sent = self.hub.authorize(self.now, socket, Some(&[("a", 1)][..0]));
                assert!(sent.is_ok());
            }
            ClientOutput::Update(socket, update) => match update {
                Update::Event { event, connection } => {
                    self.reached.received += 1;
                    if self.owed.len() < MAX_OWED {
                        self.owed.extend(event.ack().map(|ack| (socket, connection, ack)));
                    }
                }
                Update::Connected { .. } => self.reached.opened = true,
                _ => {}
            },
            ClientOutput::Acknowledged(ask, _) => {
                let at = self.asks.iter().position(|it| *it == ask);
                self.asks.remove(at.expect("an acknowledgement that is waited for"));
            }
            ClientOutput::Writable(_) => {}
            ClientOutput::Closed { .. } => {
                assert!(self.is_closed, "it was not closed");
                self.told_closed = true;
            }
            other => panic!("the application is told {other:?}"),
        }
    }

    fn write(&mut self, id: ConnectionId) {
        let at = self.index(id);
        let Self { hub, links, log, now, .. } = self;
        let link = &mut links[at];
        assert!(link.connected, "{id:?} is not there yet");
        hub.transmit(*now, id, |bytes| {
            let taken = link.take(bytes);
            if let Some(log) = log {
                log.push(format!("{id:?} {}", taken.escape_ascii()));
            }
            taken.len()
        });
    }

    fn index(&self, id: ConnectionId) -> usize {
        let at = self.links.iter().position(|link| link.id == id);
        at.expect("a connection that was asked for and is not gone")
    }

    /// Time passes up to the deadline. Returns whether there is one.
    fn wait(&mut self) -> bool {
        let Some(deadline) = self.hub.poll_timeout() else { return false };
        self.now = self.now.max(deadline);
        self.hub.handle_timeout(self.now);
        self.drain();
        let next = self.hub.poll_timeout();
        assert!(next.is_none_or(|next| next > self.now), "{next:?} is in the past");
        true
    }

    fn note(&mut self, line: impl FnOnce() -> String) {
        if let Some(log) = &mut self.log {
            log.push(line());
        }
    }

    /// What is held follows what has come and what the application does, and stays within the limits.
    fn holds_little(&self) {
        let Some(watch) = &self.watch else { return };
        let per_link = 2 * MAX_PAYLOAD + 64 * 1024;
        let most = MAX_LINKS * per_link + 2 * (1 << 20);
        let come = (COST * self.come).min(COST * self.largest_read + 3 * most);
        let bound = come + COST_OF_STEP * self.steps + IDLE;
        assert!(watch.peak() <= bound, "{} held, {bound} allowed", watch.peak());
    }

    /// The application closes, and the server falls silent.
    fn finish(mut self) -> (Option<Vec<String>>, Reached) {
        self.is_closed = true;
        self.sockets.iter().for_each(|&socket| self.hub.resume(socket));
        self.hub.close(self.now);
        self.drain();
        let started = self.now;
        while !self.hub.is_finished() {
            assert!(self.wait(), "it would wait for ever: {:?}", self.hub);
        }
        let closing = self.now.since(started);
        assert!(closing <= LONGEST, "{closing:?} to close");
        assert!(self.told_closed, "it is not told that it has closed");
        assert!(self.links.is_empty(), "{} connections stay", self.links.len());
        assert!(self.asks.is_empty(), "{} acknowledgements are waited for", self.asks.len());
        assert_eq!(self.hub.poll_timeout(), None);
        self.holds_little();
        (self.log, self.reached)
    }
}

fn url() -> Url {
    Url::parse("http://a").expect("a URL")
}

/// At once: what carries the session, and what is left of a few before it.
const MAX_LINKS: usize = 32;

/// Sockets that a script opens, and acknowledgements that its application remembers.
const MAX_SOCKETS: usize = 64;
const MAX_OWED: usize = 64;

/// The largest response and message.
const MAX_PAYLOAD: usize = 100_000;

/// What may wait for a connection, of each socket.
const MAX_OFFLINE: usize = 10_000;

/// Bytes that a byte of what has come may cost, as for the client hub of Engine.IO, and as many of its event.
const COST: usize = 256;

/// What an operation may cost: an event that waits, a session with its connections.
const COST_OF_STEP: usize = 16 * 1024;

/// What a client holds that has nothing to do, and what the driver keeps.
const IDLE: usize = 128 * 1024;

/// Time in which a client whose server is silent has closed: that of what is queued, of the session, and of what is
/// left of its connections.
const LONGEST: Duration = Duration::from_secs(60);
