//! The sockets of a client over several sessions, driven by a script beside a model. Up to the first `:` stand the
//! options, see `options`; then operations, each a letter and what it needs:
//!
//! | letter | operation |
//! |---|---|
//! | `o`m a | a socket of namespace m is opened, with payload a |
//! | `c`n, `d`n, `l`n | socket n is connected, disconnected, released |
//! | `u`n, `f`n | it is given its payload; what waits is forgotten |
//! | `s`n, `v`n | an event of socket n; a volatile one |
//! | `q`n k, `g`n | one to be acknowledged in k milliseconds, for ever with k of 255; the last of it is forgotten |
//! | `r`n k | one that is sent up to k times again |
//! | `a`n | the oldest event of the server that socket n is to acknowledge is |
//! | `t`n, `R`n | one update of socket n is taken, or all |
//! | `O`, `X`k | the session opens; it ends, or could not be opened, and k messages have not left |
//! | `y`m, `Y`m, `x`m | the server responds to a request for namespace m: connected, recoverable, refused |
//! | `e`m, `E`m | the server sends an event; one to be acknowledged |
//! | `k`m n | it acknowledges the n-th event before the last |
//! | `z`m | it disconnects the socket |
//! | `m`text, `b`text | up to the newline: it sends a text, or a binary message, of any kind |
//! | `w`n, `W`, `i`, `p` | the session has room for n messages; for all; is idle or not; is read or not |
//! | `+`k, `*`k, `!`, `T` | k milliseconds, or seconds, pass; the deadline is looked at; it is waited for |
//! | `P`, `A`, `C` | the manager is asked for a session; it is aborted, closed |
//!
//! Each of them is one byte, counted from `0`, modulo how many there are. Other letters stand for one of these. In the
//! end a server does all that is asked of it, and the manager is closed.
//!
//! Each event has a number. What the server gets is compared with what was sent, and so is what sockets are told.

mod ends;
mod events;
mod model;
mod server;
mod wire;

use std::time::Duration;

use bytes::Bytes;
use enginewire::{Message, Reconnect, Revision};
use enginewire_socketio::{ManagerConfig, Offline};

use self::model::Model;
use crate::{Reached, script::Script};

/// Runs the script beside the model.
pub fn run(data: &[u8]) -> Reached {
    let mut script = Script::new(data);
    let letters = script.until(b':');
    let mut model = Model::new(options(letters), letters.contains(&b'u'));
    while !script.is_empty() {
        step(&mut model, &mut script);
        model.check();
    }
    model.finish()
}

/// | option | |
/// |---|---|
/// | `3` | the server speaks revision 3 |
/// | `F`, `D` | events without a connection are refused, or dropped |
/// | `Q`, `K` | 150 bytes of events may wait; two acknowledgements may |
/// | `n`, `N` | a lost connection is not tried again; it is three times |
/// | `j` | a refused socket asks twice again |
/// | `u` | sessions are opened when the script says so |
fn options(letters: &[u8]) -> ManagerConfig {
    let has = |letter| letters.contains(&letter);
    let mut config = ManagerConfig::default();
    if has(b'3') {
        config.revision = Revision::V3;
    }
    if has(b'F') {
        config.offline = Offline::Refuse;
    } else if has(b'D') {
        config.offline = Offline::Drop;
    }
    if has(b'Q') {
        config.max_offline = 150;
    }
    if has(b'K') {
        config.max_pending_acks = 2;
    }
    config.reconnect = match (has(b'n'), has(b'N')) {
        (true, _) => None,
        (false, true) => Some(Reconnect::default().with_attempts(3)),
        _ => Some(Reconnect::default()),
    };
    config.refused_attempts = if has(b'j') { 2 } else { 0 };
    config
}

fn step(model: &mut Model, script: &mut Script<'_>) {
    const LETTERS: &[u8] = b"ocdlufsvqgratROXyYxeEkzmbwWip+*!TPAC";
    let letter = match script.byte() {
        letter if LETTERS.contains(&letter) => letter,
        other => LETTERS[usize::from(other) % LETTERS.len()],
    };
    let mut number = || usize::from(script.byte().wrapping_sub(b'0'));
    match letter {
        b'o' => {
            let namespace = number();
            model.open(namespace, number());
        }
        b'c' => model.connect(number()),
        b'd' => model.disconnect(number()),
        b'l' => model.release(number()),
        b'u' => model.authorize(number()),
        b'f' => model.forget_offline(number()),
        b's' => model.emit(number()),
        b'v' => model.emit_volatile(number()),
        b'q' => {
            let on = number();
            model.ask(on, script.byte());
        }
        b'g' => model.forget_ack(number()),
        b'r' => {
            let on = number();
            model.retry(on, number() % 4);
        }
        b'a' => model.acknowledge(number()),
        b't' => drop(model.take_update(number())),
        b'R' => {
            let on = number();
            while model.take_update(on) {}
        }
        b'O' => model.opened(),
        b'X' => model.ended(number()),
        b'y' | b'Y' => model.server_connects(number(), letter == b'Y'),
        b'x' => model.server_refuses(number()),
        b'e' | b'E' => model.server_emits(number(), letter == b'E'),
        b'k' => {
            let namespace = number();
            model.server_acknowledges(namespace, number());
        }
        b'z' => model.server_disconnects(number()),
        b'm' => {
            let text = String::from_utf8_lossy(script.until(b'\n'));
            model.server_says(Message::from(&*text));
        }
        b'b' => {
            let bytes = Bytes::copy_from_slice(script.until(b'\n'));
            model.server_says(Message::Binary(bytes));
        }
        b'w' => model.set_room(Some(number() % 8)),
        b'W' => model.set_room(None),
        b'i' => model.toggle_idle(),
        b'p' => model.toggle_receiving(),
        b'+' => model.pass(Duration::from_millis(script.byte().into())),
        b'*' => model.pass(Duration::from_secs(script.byte().into())),
        b'!' => model.timeout(),
        b'T' => model.wait(),
        b'P' => model.poll_open(),
        b'A' => model.abort(),
        _ => model.close(),
    }
}
