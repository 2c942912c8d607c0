//! One session of a client, driven by a script. Up to the first `:` stand the options, see
//! `options`; then operations, each a letter and what it needs:
//!
//! | letter | operation |
//! |---|---|
//! | `o`, `O` | the server opens the session on whatever is under way; `O` if it offers an upgrade |
//! | `g`text, `G`text | up to the newline: the GET is answered; `G` with a binary body |
//! | `k`text | up to the newline: the GET is answered with this cookie and nothing else |
//! | `p` | the POST is answered |
//! | `r`n, `R`n | the GET, or the POST, is answered with another status |
//! | `x`, `X` | the GET, or the POST, is lost |
//! | `u`n, `U`n | exchange n, whatever has become of it, is answered or lost |
//! | `s`n, `f`n | WebSocket n is open, or refused |
//! | `t`n text, `b`n text | up to the newline: a text or binary message on WebSocket n |
//! | `l`n, `F`n, `v`n | WebSocket n is closed, fails, breaks a rule |
//! | `w`n, `W`n | one frame, or all, is pulled for WebSocket n |
//! | `m`text, `M`text | up to the newline: the application sends a text, or a binary message |
//! | `N`text | the same for a group of texts, cut at each comma; without any text for an empty one |
//! | `e`, `E` | the application takes one event, or all |
//! | `a`, `A` | the driver takes one action, or all |
//! | `+`n, `*`n | n milliseconds, or seconds, pass |
//! | `!` | the driver looks at the deadline |
//! | `T` | time passes up to the deadline, and the driver looks at it |
//! | `y`n | the driver was away, and excuses the server for n milliseconds |
//! | `c`, `C` | the application closes, or aborts |
//! | `q` | the script is over |
//!
//! n is one byte, `0` for the first, modulo how many there are. Other letters stand for one of these.
//! In the end the session is closed beside a server that takes everything, or left alone until it
//! closes itself.

mod model;

use core::time::Duration;
use std::sync::Arc;

use bytes::Bytes;
use enginewire::{
    ClientConfig, Encoded, Message, Revision, Text, Time, TransportFault, TransportKind, Url,
    WebSocketEnd, wire::ws::Violation,
};

use self::model::Model;
use crate::{
    Reached,
    script::Script,
    sent::{group, text},
};

/// Runs the script beside the model.
pub fn run(data: &[u8]) -> Reached {
    let mut script = Script::new(data);
    let letters = script.until(b':');
    let has = |letter: u8| letters.contains(&letter);
    let mut now = Time::from_millis(1);
    let mut model = Model::new(Arc::new(options(letters)), has(b'r'), now);
    model.check();
    while !script.is_empty() && step(&mut model, &mut now, &mut script) {
        model.check();
    }
    if has(b'l') { model.leave_alone(now) } else { model.part(now) }
}

/// One letter each, in any order: `3` for revision 3, `w` for WebSockets only, `p` for polling only,
/// `B` for a WebSocket first, `a` if all transports are tried, `r` if a WebSocket has worked before,
/// `b` for base64, `n` for no cookies, `t` for requests that may take 50 ms, `z` for other deadlines of
/// milliseconds, `l` if it is left alone in the end. Small limits: `Q` on what is queued, `R` on what is
/// unread, `K` on packets, `F` on fragments.
pub(crate) fn options(letters: &[u8]) -> ClientConfig {
    let has = |letter: u8| letters.contains(&letter);
    let mut config = ClientConfig::new(&Url::parse("http://a").expect("a URL"));
    if has(b'3') {
        config.revision = Revision::V3;
    }
    if has(b'w') {
        config.transports = vec![TransportKind::WebSocket];
    } else if has(b'p') {
        config.transports = vec![TransportKind::Polling];
    } else if has(b'B') {
        config.transports.reverse();
    }
    config.try_all_transports = has(b'a');
    config.remember_upgrade = has(b'r');
    config.force_base64 = has(b'b');
    config.cookies = !has(b'n');
    config.request_timeout = has(b't').then_some(Duration::from_millis(50));
    if has(b'z') {
        config.open_timeout = Duration::from_millis(20);
        config.upgrade_timeout = Duration::from_millis(10);
        config.close_timeout = Duration::from_millis(15);
    }
    if has(b'Q') {
        config.limits.max_queued = 200;
    }
    if has(b'R') {
        config.limits.max_unread = 200;
    }
    if has(b'K') {
        config.limits.max_packets = 3;
    }
    if has(b'F') {
        config.limits.max_fragments = 3;
    }
    config
}

/// One operation; `false` at the end.
fn step(model: &mut Model, now: &mut Time, script: &mut Script<'_>) -> bool {
    const LETTERS: &[u8] = b"oOgGkprRxXuUsftblFvwWmMNeEaA+*!TcC";
    const STATUS: [u16; 6] = [201, 204, 302, 400, 413, 503];
    let letter = match script.byte() {
        b'q' => return false,
        letter @ b'y' => letter,
        letter if LETTERS.contains(&letter) => letter,
        other => LETTERS[usize::from(other) % LETTERS.len()],
    };
    let mut number = || usize::from(script.byte().wrapping_sub(b'0'));
    match letter {
        b'o' | b'O' => model.open(*now, letter == b'O'),
        b'g' | b'G' => {
            let body = Bytes::copy_from_slice(script.until(b'\n'));
            model.answer_get(*now, 200, letter == b'G', None, body);
        }
        b'k' => model.answer_get(*now, 200, false, Some(script.until(b'\n')), Bytes::new()),
        b'p' => model.answer_post(*now, 200),
        b'r' => {
            let status = STATUS[number() % STATUS.len()];
            model.answer_get(*now, status, false, None, Bytes::from_static(b"4late"));
        }
        b'R' => model.answer_post(*now, STATUS[number() % STATUS.len()]),
        b'x' => model.lose_get(*now, TransportFault::Unreachable),
        b'X' => model.lose_post(*now, TransportFault::ConnectionLost),
        b'u' => model.answer_any(*now, number() as u64),
        b'U' => model.lose_any(*now, number() as u64),
        b's' => model.socket_open(*now, number()),
        b'f' => model.socket_refused(*now, number()),
        b't' => {
            let on = number();
            let text = Text::from(&*String::from_utf8_lossy(script.until(b'\n')));
            model.socket_message(*now, on, Message::Text(text));
        }
        b'b' => {
            let on = number();
            model.socket_message(*now, on, script.until(b'\n').into());
        }
        b'l' => model.socket_lost(*now, number(), WebSocketEnd::Closed),
        b'F' => model.socket_lost(*now, number(), WebSocketEnd::Failed),
        b'v' => model.socket_lost(*now, number(), WebSocketEnd::Violation(Violation::Masked)),
        b'w' => {
            model.write(number());
        }
        b'W' => {
            let on = number();
            while model.write(on) {}
        }
        b'm' => model.send(&Encoded::new(text(script.until(b'\n')))),
        b'M' => model.send(&Encoded::shared(script.until(b'\n'))),
        b'N' => model.send(&group(script.until(b'\n'))),
        b'e' => {
            model.take_event();
        }
        b'E' => while model.take_event() {},
        b'a' => {
            model.take_action(*now);
        }
        b'A' => while model.take_action(*now) {},
        b'+' => *now = *now + Duration::from_millis(script.byte().into()),
        b'*' => *now = *now + Duration::from_secs(script.byte().into()),
        b'!' => model.timeout(*now),
        b'T' => {
            if let Some((deadline, _)) = model.session.poll_timeout() {
                *now = (*now).max(deadline);
                model.timeout(*now);
            }
        }
        b'y' => {
            let until = *now + Duration::from_millis(script.byte().into());
            model.extend_deadlines(until);
        }
        b'c' => model.close(*now),
        _ => model.abort(),
    }
    true
}
