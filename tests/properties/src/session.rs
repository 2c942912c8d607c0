//! One session, driven by a script. Up to the first `:` stand the options, see `Options`; then
//! operations, each a letter and what it needs:
//!
//! | letter | operation |
//! |---|---|
//! | `g` | a GET comes |
//! | `h`, `H` | the head of a POST comes; `H` with a binary body |
//! | `d`text | up to the newline: the body of the last POST comes |
//! | `p`text | `h`, then `d` |
//! | `D`n | the body of POST n, too large |
//! | `x`n | the connection of exchange n is lost |
//! | `s`, `S` | a WebSocket opens; `S` for a client that takes no binary frames |
//! | `t`n text | up to the newline: a text message on WebSocket n |
//! | `b`n text | a binary one |
//! | `l`n, `f`n, `v`n | WebSocket n is closed, fails, breaks a rule |
//! | `w`n, `W`n | one frame, or all, is pulled for WebSocket n |
//! | `m`text, `M`text | up to the newline: the application sends a text, or a binary message |
//! | `G`text | the same for a group of texts, cut at each comma; without any text for an empty one |
//! | `e`, `E` | the application takes one event, or all |
//! | `a` | the driver takes all actions |
//! | `+`n, `*`n | n milliseconds, or seconds, pass |
//! | `!` | the driver looks at the deadline |
//! | `T` | time passes up to the deadline, and the driver looks at it |
//! | `y`n | the driver was away, and excuses the peer for n milliseconds |
//! | `c`, `A`, `B` | the application closes, aborts, or lets go |
//! | `q` | the script is over |
//!
//! n is one byte, `0` for the first, modulo how many there are. Other letters stand for one of these.
//! In the end the session is closed, or left alone by its peer until it closes itself, which it must.

mod model;
mod options;

use bytes::Bytes;
use enginewire::{
    Body, CarrierId, Encoded, ExchangeId, Message, Text, Time, WebSocketEnd, WebSocketId,
    wire::ws::Violation,
};

use self::{model::Model, options::Options};
use crate::{
    Reached,
    script::Script,
    sent::{group, text},
};

/// Runs the script beside the model.
pub fn run(data: &[u8]) -> Reached {
    let mut script = Script::new(data);
    let options = Options::read(script.until(b':'));
    let mut driver = Driver::open(&options);
    while !script.is_empty() && driver.step(&mut script) {
        driver.model.check();
    }
    driver.finish()
}

/// A driver that takes outputs when it is told to.
struct Driver {
    model: Model,
    now: Time,
    patience: core::time::Duration,
    /// Until when nobody is given up.
    excused: Time,
    leaves_alone: bool,
    exchanges: u64,
    posts: Vec<ExchangeId>,
    sockets: u64,
}

impl Driver {
    fn open(options: &Options) -> Self {
        let now = Time::from_millis(1);
        let (exchanges, sockets) = match options.first() {
            CarrierId::Exchange(_) => (1, 0),
            CarrierId::WebSocket(_) => (0, 1),
        };
        let mut driver = Self {
            model: Model::open(options, now),
            now,
            patience: options.patience(),
            excused: now,
            leaves_alone: options.leaves_alone,
            exchanges,
            posts: Vec::new(),
            sockets,
        };
        driver.model.take_actions();
        driver.model.check();
        driver
    }

    /// One operation; `false` at the end.
    fn step(&mut self, script: &mut Script<'_>) -> bool {
        const LETTERS: &[u8] = b"ghHdpDxsStblfvwWmMGeEa+*!TcA";
        let letter = match script.byte() {
            b'q' => return false,
            letter @ (b'y' | b'B') => letter,
            letter if LETTERS.contains(&letter) => letter,
            other => LETTERS[usize::from(other) % LETTERS.len()],
        };
        let (now, model) = (self.now, &mut self.model);
        let mut index = |count: u64| -> u64 {
            u64::from(script.byte().wrapping_sub(b'0')).checked_rem(count).unwrap_or(0)
        };
        match letter {
            b'g' => {
                let on = ExchangeId(self.exchanges);
                self.exchanges += 1;
                model.get(now, on);
            }
            b'h' | b'H' => self.post(letter == b'H'),
            b'd' => self.body(Bytes::copy_from_slice(script.until(b'\n'))),
            b'p' => {
                self.post(false);
                self.body(Bytes::copy_from_slice(script.until(b'\n')));
            }
            b'D' | b'I' => {
                let body = if letter == b'D' { Body::TooLarge } else { Body::Invalid };
                let at = index(self.posts.len() as u64);
                if let Some(&on) = usize::try_from(at).ok().and_then(|at| self.posts.get(at)) {
                    model.body(now, on, body);
                }
            }
            b'x' => model.exchange_lost(now, ExchangeId(index(self.exchanges))),
            b's' | b'S' => {
                let on = WebSocketId(self.sockets);
                self.sockets += 1;
                model.socket_open(now, on, letter == b'S');
            }
            b't' => {
                let on = WebSocketId(index(self.sockets));
                let text = Text::from(&*String::from_utf8_lossy(script.until(b'\n')));
                model.socket_message(now, on, Message::Text(text));
            }
            b'b' => {
                let on = WebSocketId(index(self.sockets));
                model.socket_message(now, on, script.until(b'\n').into());
            }
            b'l' => model.socket_lost(now, WebSocketId(index(self.sockets)), WebSocketEnd::Closed),
            b'f' => model.socket_lost(now, WebSocketId(index(self.sockets)), WebSocketEnd::Failed),
            b'v' => {
                let end = WebSocketEnd::Violation(Violation::Unmasked);
                model.socket_lost(now, WebSocketId(index(self.sockets)), end);
            }
            b'w' => {
                model.write(WebSocketId(index(self.sockets)));
            }
            b'W' => {
                let on = WebSocketId(index(self.sockets));
                while model.write(on) {}
            }
            b'm' => model.send(&Encoded::new(text(script.until(b'\n')))),
            b'M' => model.send(&Encoded::shared(script.until(b'\n'))),
            b'G' => model.send(&group(script.until(b'\n'))),
            b'e' => {
                model.take_event();
            }
            b'E' => while model.take_event() {},
            b'a' => model.take_actions(),
            b'+' => self.now = now + core::time::Duration::from_millis(script.byte().into()),
            b'*' => self.now = now + core::time::Duration::from_secs(script.byte().into()),
            b'!' => model.timeout(now),
            b'T' => {
                if let Some((deadline, _)) = model.session.poll_timeout() {
                    self.now = now.max(deadline);
                    model.timeout(self.now);
                }
            }
            b'y' => {
                let until = now + core::time::Duration::from_millis(script.byte().into());
                self.excused = self.excused.max(until);
                model.extend_deadlines(until);
            }
            b'c' => model.close(now),
            b'B' => model.abandon(now),
            _ => model.abort(),
        }
        true
    }

    fn post(&mut self, binary: bool) {
        let on = ExchangeId(self.exchanges);
        self.exchanges += 1;
        self.posts.push(on);
        self.model.post(self.now, on, binary);
    }

    fn body(&mut self, bytes: Bytes) {
        if let Some(&on) = self.posts.last() {
            self.model.body(self.now, on, Body::Complete(bytes));
        }
    }

    /// The peer falls silent, and the application may close: it comes to an end either way.
    fn finish(mut self) -> Reached {
        self.model.take_actions();
        while self.model.take_event() {}
        if !self.leaves_alone {
            self.model.close(self.now);
        }
        let started = self.now;
        for _ in 0..20 {
            let Some((deadline, _)) = self.model.session.poll_timeout() else { break };
            self.now = self.now.max(deadline);
            self.model.timeout(self.now);
            while self.model.take_event() {}
        }
        assert!(self.model.session.is_closed(), "{:?}", self.model.session);
        let silence = self.now.since(started);
        assert!(
            silence <= self.patience + self.excused.since(started),
            "it took {silence:?} to notice"
        );
        // The bodies that were still on their way.
        for on in std::mem::take(&mut self.posts) {
            self.model.body(self.now, on, Body::Complete(Bytes::from_static(b"4late")));
        }
        self.model.get(self.now, ExchangeId(self.exchanges));
        self.model.take_actions();
        while self.model.take_event() {}
        self.model.check();
        self.model.check_end();
        self.model.reached
    }
}
