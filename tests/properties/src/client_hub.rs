//! A whole client, driven by a script. Up to the first `:` stand the options, those of
//! [`client_session`](crate::client_session); then four bytes, how what the server sends is cut into
//! reads; then operations, each a letter and what it needs:
//!
//! | letter | operation |
//! |---|---|
//! | `c`n, `r`n | connection n is there, or not to be had |
//! | `x`n, `e`n | it fails, or the server closes its side |
//! | `o`n, `O`n | the server opens the session there; `O` if it offers an upgrade |
//! | `a`n text, `A`n text | up to the newline: the body of an answer; `A` if it is the connection's last |
//! | `h`n k | another answer |
//! | `u`n, `U`n | the opening handshake is answered, or answered wrongly |
//! | `t`n text, `b`n text | up to the newline: a WebSocket message, a text or binary |
//! | `p`n, `k`n | a ping on a WebSocket, or its Close frame |
//! | `z`n k | 64 times k messages |
//! | `d`n k bytes | k bytes as they are |
//! | `&` | what the next operation sends comes in one read with what the one after it does |
//! | `w`n k | the connection takes k more bytes |
//! | `W`n | it takes whatever it is given |
//! | `m`text, `M`text | up to the newline: the application sends a text, or a binary message |
//! | `E` | the application takes all events |
//! | `+`n, `*`n | n milliseconds, or seconds, pass |
//! | `T` | time passes up to the deadline, and the driver looks at it |
//! | `y`k | the driver was away, and excuses the server for k seconds |
//! | `C`, `K` | the application closes, or aborts |
//! | `q` | the script is over |
//!
//! n is one byte, `0` for the oldest connection, modulo how many there are; k is one byte. Other
//! letters stand for one of these. In the end the session is closed, and the server falls silent.

use core::time::Duration;
use std::sync::Arc;

use enginewire::{
    ClientConfig, ClientConnectionId, ClientHub, ClientHubAction, Encoded, Event, Revision, Time,
    Url,
};

use crate::{
    Reached,
    client_session::options,
    late::longest,
    memory::Watch,
    script::{Reads, Script},
    server_end::{ANSWERS, Link, answer, frame},
};

/// Runs the script, cut in two ways.
pub fn run(data: &[u8]) -> Reached {
    let mut script = Script::new(data);
    let mut config = options(script.until(b':'));
    config.limits.max_payload = MAX_PAYLOAD;
    let config = Arc::new(config);
    let reads = Reads::read(&mut script);

    let whole = Driver::new(&config, Reads::WHOLE, true).run(script);
    assert_eq!(Driver::new(&config, reads, true).run(script), whole);
    let watch = Watch::start();
    Driver { watch: Some(watch), ..Driver::new(&config, reads, false) }.run(script);
    whole.reached()
}

/// All that was seen of a client.
#[derive(Debug, Default, PartialEq)]
struct Log {
    actions: Vec<ClientHubAction>,
    events: Vec<Event>,
    written: Vec<(ClientConnectionId, Vec<u8>)>,
    /// Messages that were taken.
    sent: usize,
}

impl Log {
    fn reached(&self) -> Reached {
        let count = |which: fn(&Event) -> bool| self.events.iter().filter(|one| which(one)).count();
        Reached {
            opened: count(|event| *event == Event::Opened) > 0,
            received: count(|event| matches!(event, Event::Message(_))),
            sent: self.sent,
            upgraded: count(|event| *event == Event::Upgraded) > 0,
        }
    }
}

/// An event loop, and the server's end of its connections.
struct Driver {
    hub: ClientHub,
    config: Arc<ClientConfig>,
    now: Time,
    /// Until when the server is given.
    excused: Time,
    entropy: u8,
    reads: Reads,
    links: Vec<Link<ClientConnectionId>>,
    /// What the next operation sends waits for the one after it.
    holds: bool,
    /// Whether anything is kept for the log, which would be in the way of `watch`.
    keeps: bool,
    log: Log,
    watch: Option<Watch>,
    /// Bytes that have come or are about to, and bytes that the application has sent.
    come: usize,
    sent: usize,
    largest_read: usize,
}

impl Driver {
    fn new(config: &Arc<ClientConfig>, reads: Reads, keeps: bool) -> Self {
        let (url, now) = (Url::parse("http://a").expect("a URL"), Time::from_millis(1));
        let mut entropy = |buffer: &mut [u8]| buffer.fill(7);
        Self {
            hub: ClientHub::new(now, &url, Arc::clone(config), false, &mut entropy),
            config: Arc::clone(config),
            now,
            excused: now,
            entropy: 0,
            reads,
            links: Vec::new(),
            holds: false,
            keeps,
            log: Log::default(),
            watch: None,
            come: 0,
            sent: 0,
            largest_read: 0,
        }
    }

    fn run(mut self, mut script: Script<'_>) -> Log {
        self.drain();
        while !script.is_empty() {
            let (now, awaited) = (self.now, self.hub.peer_deadline());
            if !self.step(&mut script) {
                break;
            }
            self.drain();
            self.is_given_time(now, awaited);
            self.holds_little();
        }
        self.finish()
    }

    /// The server has not been given a deadline that had passed.
    fn is_given_time(&self, now: Time, awaited: Option<Time>) {
        let earliest = awaited.map_or(now, |due| due.min(now));
        let due = self.hub.peer_deadline();
        assert!(due.is_none_or(|due| due >= earliest), "{due:?} had passed at {now:?}");
    }

    /// One operation; `false` at the end.
    fn step(&mut self, script: &mut Script<'_>) -> bool {
        const LETTERS: &[u8] = b"crxeoOaAhuUtbpkzd&wWmME+*TCK";
        let letter = match script.byte() {
            b'q' => return false,
            letter @ b'y' => letter,
            letter if LETTERS.contains(&letter) => letter,
            other => LETTERS[usize::from(other) % LETTERS.len()],
        };
        match letter {
            b'&' => self.holds = true,
            b'm' => self.send(String::from_utf8_lossy(script.until(b'\n')).replace('\x1e', "")),
            b'M' => self.send(script.until(b'\n').to_vec()),
            b'E' => while self.take_event() {},
            b'+' => self.now = self.now + Duration::from_millis(script.byte().into()),
            b'*' => self.now = self.now + Duration::from_secs(script.byte().into()),
            b'T' => {
                self.wait();
            }
            b'y' => self.extend_deadlines(Duration::from_secs(script.byte().into())),
            b'C' => self.close(),
            b'K' => self.hub.abort(),
            _ => self.network(letter, script),
        }
        true
    }

    /// Something happens to a connection.
    fn network(&mut self, letter: u8, script: &mut Script<'_>) {
        let index = usize::from(script.byte().wrapping_sub(b'0'));
        let at = index.checked_rem(self.links.len());
        let open = |upgrades| {
            format!(
                r#"0{{"sid":"a","upgrades":[{upgrades}],"pingInterval":300,"pingTimeout":200}}"#
            )
        };
        let bytes = match letter {
            b'o' | b'O' => {
                let open = open(if letter == b'O' { r#""websocket""# } else { "" });
                match at {
                    Some(at) if self.links[at].is_websocket() => frame(0x81, open.as_bytes()),
                    _ if self.config.revision == Revision::V3 => {
                        answer(format!("{}:{open}", open.len()).as_bytes(), "")
                    }
                    _ => answer(open.as_bytes(), ""),
                }
            }
            b'a' => answer(script.until(b'\n'), ""),
            b'A' => answer(script.until(b'\n'), "Connection: close\r\n"),
            b'h' => ANSWERS[usize::from(script.byte()) % ANSWERS.len()].as_bytes().to_vec(),
            b'u' | b'U' => at.map_or(vec![], |at| self.links[at].accept(letter == b'u')),
            b't' => frame(0x81, String::from_utf8_lossy(script.until(b'\n')).as_bytes()),
            b'b' => frame(0x82, script.until(b'\n')),
            b'p' => frame(0x89, b"ping"),
            b'k' => frame(0x88, b"\x03\xe8"),
            b'z' => {
                let k = 64 * usize::from(script.byte());
                frame(0x81, b"4message").repeat(at.map_or(0, |_| k))
            }
            b'd' => {
                let k = script.byte().into();
                script.take(k).to_vec()
            }
            b'w' => {
                let k = script.byte().into();
                return if let Some(at) = at {
                    self.has_room(at, k)
                };
            }
            b'W' => {
                return if let Some(at) = at {
                    self.has_room(at, usize::MAX)
                };
            }
            _ => {
                let Some(at) = at else { return };
                return self.happens(letter, at);
            }
        };
        if let Some(at) = at {
            self.comes(at, bytes);
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
            (b'e', true) => {
                self.hub.handle_eof(now, id);
                let at_once = self.hub.has_actions();
                assert!(at_once, "the connection can be closed");
            }
            _ => {}
        }
    }

    /// Bytes come on a connection, cut into reads.
    fn comes(&mut self, at: usize, bytes: Vec<u8>) {
        let holds = std::mem::take(&mut self.holds);
        let link = &mut self.links[at];
        link.held.extend(&bytes);
        self.come += bytes.len();
        self.largest_read = self.largest_read.max(link.held.len());
        if holds || !link.connected || !self.hub.is_reading(link.id) {
            return;
        }
        let (id, bytes) = (link.id, std::mem::take(&mut link.held));
        for read in self.reads.cut(&bytes) {
            self.hub.handle_bytes(self.now, id, &mut read.to_vec());
        }
    }

    fn has_room(&mut self, at: usize, room: usize) {
        let link = &mut self.links[at];
        link.room = room;
        self.hub.handle_writable(self.now, link.id);
    }

    fn send(&mut self, message: impl Into<enginewire::Message>) {
        let message = message.into();
        let (length, has_room) = (message.len(), self.hub.session().has_room());
        let sent = self.hub.send(Encoded::new(message));
        assert_eq!(sent.is_ok(), has_room && self.hub.session().is_open());
        if sent.is_ok() {
            self.sent += length;
            self.log.sent += 1;
        }
    }

    /// Time passes up to the deadline; whether there is one.
    fn wait(&mut self) -> bool {
        let Some(deadline) = self.hub.poll_timeout() else { return false };
        self.now = self.now.max(deadline);
        self.note_grace();
        self.hub.handle_timeout(self.now);
        let next = self.hub.poll_timeout();
        assert!(next.is_none_or(|next| next > self.now), "{next:?} is in the past");
        true
    }

    fn extend_deadlines(&mut self, time: Duration) {
        let (awaited, until) = (self.hub.peer_deadline(), self.now + time);
        self.hub.extend_deadlines(until);
        assert_eq!(self.hub.peer_deadline(), awaited.map(|due| due.max(until)));
        self.excused = self.excused.max(until);
    }

    fn close(&mut self) {
        self.note_grace();
        self.hub.close(self.now);
    }

    /// A server whose deadline is looked at late may have as long again.
    fn note_grace(&mut self) {
        let until = self.hub.peer_deadline().and_then(|due| longest(due, self.now));
        self.excused = self.excused.max(until.unwrap_or(self.excused));
    }

    fn take_event(&mut self) -> bool {
        let Some(event) = self.hub.poll_event() else { return false };
        if self.keeps {
            self.log.events.push(event);
        }
        true
    }

    fn drain(&mut self) {
        // Actions and writes may come ahead of the timeout, too.
        self.note_grace();
        loop {
            let has_actions = self.hub.has_actions();
            let entropy = &mut self.entropy;
            let mut fill = |buffer: &mut [u8]| {
                *entropy = entropy.wrapping_add(1);
                buffer.fill(*entropy);
            };
            let Some(action) = self.hub.poll_action(self.now, &mut fill) else { break };
            assert!(has_actions, "{action:?} would be missed");
            if self.keeps {
                self.log.actions.push(action);
            }
            match action {
                ClientHubAction::Connect(id) => {
                    assert!(self.links.iter().all(|link| link.id < id), "{id:?} twice");
                    self.links.push(Link::new(id));
                    assert!(self.links.len() <= MAX_LINKS, "{} connections", self.links.len());
                }
                ClientHubAction::Encrypt(id) => panic!("{id:?} is no tunnel"),
                ClientHubAction::Close(id) => {
                    let at = self.index(id);
                    self.links.remove(at);
                }
                ClientHubAction::Write(id) => self.write(id),
            }
        }
    }

    fn write(&mut self, id: ClientConnectionId) {
        let at = self.index(id);
        let link = &mut self.links[at];
        assert!(link.connected, "{id:?} is not there yet");
        let (log, keeps) = (&mut self.log.written, self.keeps);
        if keeps {
            log.push((id, Vec::new()));
        }
        self.hub.transmit(self.now, id, |bytes| {
            let taken = link.take(bytes);
            if let Some((_, written)) = log.last_mut().filter(|_| keeps) {
                written.extend_from_slice(taken);
            }
            taken.len()
        });
    }

    fn index(&self, id: ClientConnectionId) -> usize {
        let at = self.links.iter().position(|link| link.id == id);
        at.expect("a connection that was asked for and is not gone")
    }

    /// What is held follows what has come and was sent, and stays within the limits.
    fn holds_little(&self) {
        let Some(watch) = &self.watch else { return };
        let limits = &self.config.limits;
        let per_link = limits.max_head + limits.max_payload;
        let most = limits.max_unread + limits.max_queued + MAX_LINKS * per_link;
        let come = (COST * (self.come + self.sent)).min(COST * self.largest_read + 3 * most);
        let bound = come + IDLE;
        assert!(watch.peak() <= bound, "{} held, {bound} allowed", watch.peak());
    }

    /// The application closes, and the server falls silent.
    fn finish(mut self) -> Log {
        self.close();
        self.drain();
        let started = self.now;
        let mut closed = None;
        while !self.hub.is_finished() {
            if self.hub.session().is_closed() {
                closed.get_or_insert(self.now);
            }
            assert!(self.wait(), "it would wait for ever: {:?}", self.hub);
            self.drain();
        }
        let (timeout, closed) = (self.config.close_timeout, closed.unwrap_or(self.now));
        let lingered = self.now.since(closed);
        let longest = timeout + self.excused.since(closed) + LINGER;
        assert!(lingered <= longest, "{lingered:?} after the session was over");
        let closing = self.now.since(started);
        let longest = 2 * timeout + self.excused.since(started) + LINGER;
        assert!(closing <= longest, "{closing:?} to close");
        assert!(self.links.is_empty(), "{} connections stay", self.links.len());
        assert_eq!(self.hub.poll_timeout(), None);
        while self.take_event() {}
        if self.keeps {
            let ends = self.log.events.iter().filter(|event| matches!(event, Event::Closed(_)));
            assert_eq!(ends.count(), 1);
            assert!(matches!(self.log.events.last(), Some(Event::Closed(_))));
        }
        self.holds_little();
        self.log
    }
}

/// At once: what carries the session, what is kept for requests, what has its closing handshake.
const MAX_LINKS: usize = 8;

/// The largest answer and message.
const MAX_PAYLOAD: usize = 100_000;

/// Each side's part of a closing handshake, once everything has been written.
const LINGER: Duration = Duration::from_secs(4);

/// Bytes that a byte of what has come may cost: an empty message has two, and costs a place in a
/// queue, whose storage doubles.
const COST: usize = 128;

/// What a client holds that has nothing to do, and what the driver keeps.
const IDLE: usize = 64 * 1024;
