//! A hub with several connections, driven by a script. Up to the first `:` stand the options, see
//! `options`; then operations, each a letter and what it needs:
//!
//! | letter | operation |
//! |---|---|
//! | `a` | a connection is accepted |
//! | `o`n, `O`n | connection n asks for a session, on polling or on itself as a WebSocket |
//! | `v`n, `V`n | the same, for one of revision 3 |
//! | `g`n s | it polls session s |
//! | `p`n s text | up to the newline: it posts a payload to session s |
//! | `h`n s text | the same, but the last byte does not come |
//! | `u`n s | it asks to become a WebSocket of session s |
//! | `t`n text | up to the newline: it sends a text frame |
//! | `f`n k text | up to the newline: it sends a frame whose first byte is k |
//! | `b`n text | up to the newline: it sends these bytes; `\|` stands for the end of a line in HTTP |
//! | `e`n, `l`n | its peer closes its side; it is lost |
//! | `w`n k, `W`n | its peer takes k bytes more, or all from now on |
//! | `m`s text, `B`s text | up to the newline: the application sends a text, or a binary message |
//! | `M`s k | it sends k times 100 bytes |
//! | `c`s, `A`s | the application closes, or aborts, session s |
//! | `P`s, `R`s | it pauses, or resumes, session s |
//! | `y`n, `r`n | it answers the last question about connection n with yes, or no |
//! | `+`k, `*`k | k milliseconds, or seconds, pass |
//! | `d`, `1` | the loop takes all outputs, or one |
//! | `C`, `X` | the hub is closed, or aborted |
//! | `q` | the script is over |
//!
//! n, s and k are one byte each, n and s counted from `0`, modulo how many there have been. Other
//! letters stand for one of these. The loop reads no connection that is not to be read: bytes wait. In
//! the end the hub is closed, or all connections are lost, and nothing must be left.
//!
//! Peers speak the revision of the session. What either side of a session says is what the other side
//! hears, see `talk`: each message in order, once, and nowhere else. Bytes that are not one of the requests
//! or frames above may say anything, so the sessions that they may be for are not looked at any more.

mod peer;
mod talk;
mod world;

use enginewire::{Message, Revision, hub::ServerHubConfig};

use self::{
    peer::Sent,
    world::{Target, World},
};
use crate::{Reached, script::Script, sent::text};

/// Runs the script twice.
pub fn run(data: &[u8]) -> Reached {
    let (first, reached, _) = serve(data);
    assert_eq!(first, serve(data).0, "the same inputs, but other outputs");
    reached
}

/// How many messages are heard that were known to have been said: of the others a script shows nothing.
pub fn heard(data: &[u8]) -> usize {
    serve(data).2
}

/// Runs the script. A digest of everything that the hub said, how far it got, and what was `heard`.
fn serve(data: &[u8]) -> (u64, Reached, usize) {
    let mut script = Script::new(data);
    let letters = script.until(b':');
    let mut world = World::new(options(letters));
    while !script.is_empty() && step(&mut world, &mut script) {
        world.check();
    }
    world.finish(letters.contains(&b'l'))
}

/// One letter each, in any order; others mean nothing. `?`: the application is asked. `3`: revision 3
/// is allowed. `z`: deadlines of milliseconds. Small limits: `Q` on what is queued, `R` on what is
/// unread, `P` on payloads, `F` on fragments, `H` on heads, `S` on sessions. `l`: in the end
/// connections are lost.
fn options(letters: &[u8]) -> ServerHubConfig {
    use std::time::Duration;

    let has = |letter: u8| letters.contains(&letter);
    let mut config = ServerHubConfig::default();
    config.ask = has(b'?');
    config.protocol.allow_eio3 = has(b'3');
    if has(b'z') {
        config.protocol.ping_interval = Duration::from_millis(7);
        config.protocol.ping_timeout = Duration::from_millis(5);
        config.protocol.upgrade_timeout = Duration::from_millis(3);
        config.protocol.close_timeout = Duration::from_millis(4);
        config.linger = Duration::from_millis(2);
        config.write_timeout = Duration::from_millis(6);
        config.head_timeout = Duration::from_millis(3);
        config.body_timeout = Duration::from_millis(4);
    }
    let limits = &mut config.protocol.limits;
    // So that what may be held is far from what the fuzzer can send.
    limits.max_queued = if has(b'Q') { 200 } else { 20_000 };
    limits.max_unread = if has(b'R') { 200 } else { 20_000 };
    limits.max_payload = if has(b'P') { 20 } else { 10_000 };
    limits.max_head = if has(b'H') { 200 } else { 2_000 };
    if has(b'F') {
        limits.max_fragments = 3;
    }
    config.max_sessions = if has(b'S') { 2 } else { 100 };
    config
}

/// One operation; `false` at the end.
fn step(world: &mut World, script: &mut Script<'_>) -> bool {
    const LETTERS: &[u8] = b"aoOgphutfbelwWmMcAPRyr+*d1CX";
    let letter = match script.byte() {
        b'q' => return false,
        letter @ (b'v' | b'V' | b'B') => letter,
        letter if LETTERS.contains(&letter) => letter,
        other => LETTERS[usize::from(other) % LETTERS.len()],
    };
    let mut index = || usize::from(script.byte().wrapping_sub(b'0'));
    match letter {
        b'a' => world.accept(),
        b'o' => world.request(index(), Sent::Open, &Target::New(Revision::V4), b""),
        b'O' => world.request(index(), Sent::Upgrade, &Target::New(Revision::V4), b""),
        b'v' => world.request(index(), Sent::Open, &Target::New(Revision::V3), b""),
        b'V' => world.request(index(), Sent::Upgrade, &Target::New(Revision::V3), b""),
        b'g' => {
            let (on, session) = (index(), Target::Session(index()));
            world.request(on, Sent::Poll, &session, b"");
        }
        b'p' => {
            let (on, session) = (index(), Target::Session(index()));
            world.request(on, Sent::Post, &session, script.until(b'\n'));
        }
        b'h' => {
            let (on, session) = (index(), index());
            world.half_post(on, session, script.until(b'\n'));
        }
        b'u' => {
            let (on, session) = (index(), Target::Session(index()));
            world.request(on, Sent::Upgrade, &session, b"");
        }
        b't' => {
            let on = index();
            world.frame(on, 0x81, script.until(b'\n'));
        }
        b'f' => {
            let on = index();
            let first = script.byte();
            world.frame(on, first, script.until(b'\n'));
        }
        b'b' => {
            let on = index();
            let raw = script.until(b'\n');
            let lines: Vec<_> = raw.split(|&byte| byte == b'|').collect();
            world.bytes(on, &lines.join(&b"\r\n"[..]));
        }
        b'e' => world.eof(index()),
        b'l' => world.lose(index()),
        b'w' => {
            let on = index();
            let more = usize::from(script.byte());
            world.let_out(on, Some(more));
        }
        b'W' => world.let_out(index(), None),
        b'm' => {
            let session = index();
            world.send(session, text(script.until(b'\n')));
        }
        b'B' => {
            let session = index();
            world.send(session, script.until(b'\n').into());
        }
        b'M' => {
            let session = index();
            let length = usize::from(script.byte()) * 100;
            world.send(session, Message::from("x".repeat(length)));
        }
        b'c' => world.command(index(), |hub, now, session| hub.close_session(now, session)),
        b'A' => world.command(index(), |hub, _, session| hub.abort_session(session)),
        b'P' => world.pause(index(), true),
        b'R' => world.pause(index(), false),
        b'y' => world.answer(index(), true),
        b'r' => world.answer(index(), false),
        b'+' => world.pass(u64::from(script.byte())),
        b'*' => world.pass(u64::from(script.byte()) * 1000),
        b'd' => world.drain(),
        b'1' => {
            world.take_one();
        }
        b'C' => world.close(),
        _ => world.abort(),
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_of_both_revisions_are_heard() {
        for (open, text, binary) in [("o0", "4hello", "bAAEC"), ("v0", "6:4hello", "6:b4AAEC")] {
            let said = format!("p10{text}\ndp10{binary}\nd");
            let script = format!("3:a{open}dag00d{said}m0world\ndB0\u{1}\ng00d");
            assert_eq!(heard(script.as_bytes()), 4, "{script:?}");
        }
        for open in ["O0", "V0"] {
            let script = format!("3:a{open}dt04hello\ndm0world\nB0\u{1}\nd");
            assert_eq!(heard(script.as_bytes()), 3, "{script:?}");
        }
        for (open, first) in [("O0", "\u{0}"), ("V0", "\u{4}")] {
            let script =
                [format!("3:a{open}df0").as_bytes(), &[0x82], first.as_bytes(), b"\nd"].concat();
            assert_eq!(heard(&script), 1, "{}", script.escape_ascii());
        }
    }

    #[test]
    fn what_is_said_before_an_upgrade_and_behind_it_is_heard() {
        let upgrade = "ag00dau20dt22probe\ndt25\nd";
        for (open, post) in [("o0", "4x"), ("v0", "2:4x")] {
            let script = format!("3:a{open}dm0a\n{upgrade}m0b\ndt24y\nd");
            assert_eq!(heard(script.as_bytes()), 3, "{script:?}");
            let script = format!("3:a{open}dap10{post}\ndau20dt22probe\ndt25\ndt24y\nd");
            assert_eq!(heard(script.as_bytes()), 2, "{script:?}");
        }
    }

    #[test]
    fn nothing_is_held_of_sessions_that_come_and_go() {
        let mut script = b":".to_vec();
        for round in 0..200u8 {
            let n = b'0'.wrapping_add(round);
            script.extend([b'a', if round % 2 == 0 { b'o' } else { b'O' }, n, b'd']);
            script.extend([b'A', n, b'd', b'l', n, b'd']);
        }
        assert!(run(&script).opened);
    }
}
