//! One client's connection to a server of Socket.IO, driven by a script beside a model. Up to the first `:` stand the
//! options, see `options`; then operations, each a letter and what it needs:
//!
//! | letter | operation |
//! |---|---|
//! | `m`text, `b`text | up to the newline: a text, or a binary message of the client |
//! | `e`, `E` | the server takes one thing that happened, or all |
//! | `y`n, `Y`n, `x`n | request n is accepted, with two events that were missed, or is refused |
//! | `s`n, `v`n | an event to socket n; a volatile one |
//! | `q`n k | an event that is to be acknowledged in k milliseconds, for ever with k of 255 |
//! | `g`n k | the k-th number before the last is forgotten |
//! | `r`n, `R`n | one event of socket n is taken, or all |
//! | `d`n, `l`n | socket n is disconnected, or released |
//! | `f`n, `w`, `i` | the session has room for n messages; for all, and says so; is idle or not |
//! | `+`n, `*`n, `!`, `T` | n milliseconds, or seconds, pass; the deadline is looked at; it is waited for |
//! | `c`, `C`, `A`, `z` | the client is disconnected; the session is closed, aborted, lost |
//!
//! n is one byte, `0` for the first, modulo how many there are. Other letters stand for one of these. In the end the
//! session is lost, and all that is left is taken.

mod model;

use core::time::Duration;

use bytes::Bytes;
use enginewire::{CloseReason, Message, Revision};
use enginewire_socketio::ConnectionConfig;

use self::model::Model;
use crate::{Reached, script::Script};

/// Runs the script beside the model.
pub fn run(data: &[u8]) -> Reached {
    let mut script = Script::new(data);
    let (config, revision) = options(script.until(b':'));
    let mut model = Model::new(config, revision);
    model.check();
    while !script.is_empty() {
        step(&mut model, &mut script);
        model.check();
    }
    model.finish()
}

/// | option | |
/// |---|---|
/// | `3` | the client speaks revision 3 |
/// | `n`, `k` | at most two namespaces, or acknowledgements that a socket owes |
/// | `a`, `s` | at most one attachment, or 40 bytes in a packet |
fn options(letters: &[u8]) -> (ConnectionConfig, Revision) {
    let has = |letter| letters.contains(&letter);
    let mut config = ConnectionConfig::default();
    config.connect_timeout = Duration::from_secs(1);
    if has(b'n') {
        config.max_namespaces = 2;
    }
    if has(b'k') {
        config.max_pending_acks = 2;
    }
    if has(b'a') {
        config.limits.max_attachments = 1;
    }
    if has(b's') {
        config.limits.max_size = 40;
    }
    (config, if has(b'3') { Revision::V3 } else { Revision::V4 })
}

fn step(model: &mut Model, script: &mut Script<'_>) {
    const LETTERS: &[u8] = b"mbeEyYxsvqgrRdlfwi+*!TcCAz";
    let letter = match script.byte() {
        letter if LETTERS.contains(&letter) => letter,
        other => LETTERS[usize::from(other) % LETTERS.len()],
    };
    let mut number = || script.byte().wrapping_sub(b'0');
    match letter {
        b'm' => {
            let text = String::from_utf8_lossy(script.until(b'\n'));
            model.client_sends(Message::from(&*text));
        }
        b'b' => {
            let bytes = Bytes::copy_from_slice(script.until(b'\n'));
            model.client_sends(Message::Binary(bytes));
        }
        b'e' => drop(model.take_output()),
        b'E' => while model.take_output() {},
        b'y' | b'Y' => model.accept(number(), letter == b'Y'),
        b'x' => model.refuse(number()),
        b's' => model.emit(number()),
        b'v' => model.emit_volatile(number()),
        b'q' => {
            let on = number();
            model.ask(on, script.byte());
        }
        b'g' => {
            let on = number();
            model.forget(on, script.byte().wrapping_sub(b'0'));
        }
        b'r' => drop(model.take_event(number())),
        b'R' => {
            let on = number();
            while model.take_event(on) {}
        }
        b'd' => model.disconnect(number()),
        b'l' => model.release(number()),
        b'f' => model.set_room(Some(usize::from(number() % 8))),
        b'w' => model.writable(),
        b'i' => model.toggle_idle(),
        b'+' => model.pass(Duration::from_millis(script.byte().into())),
        b'*' => model.pass(Duration::from_secs(script.byte().into())),
        b'!' => model.timeout(),
        b'T' => model.wait(),
        b'c' => model.disconnect_client(),
        b'C' => model.close(),
        b'A' => model.abort(),
        _ => model.lost(&CloseReason::TransportClose),
    }
}
