//! A hub of Socket.IO with several clients, driven by a script beside a model. Up to the first `:` stand the
//! options, see `options`; then operations, each a letter and what it needs:
//!
//! | letter | operation |
//! |---|---|
//! | `o`, `O` | a client opens a session of revision 4, or 3 |
//! | `c`n m, `L`n m | client n connects to, or leaves, namespace m |
//! | `i`n m, `I`n m | it sends an event; one that is to be acknowledged |
//! | `A`n | it acknowledges the oldest event that it is to acknowledge |
//! | `m`n text, `b`n text | up to the newline: it sends a text, or a binary message, of any kind |
//! | `e`n, `l`n | its connection is closed on its side; is lost |
//! | `w`n k, `W`n | it takes k bytes more, or all from now on |
//! | `k`s | the client of socket s comes back for it on a new connection |
//! | `y`n, `x`n | request n is accepted, or refused |
//! | `j`s r, `J`s r | socket s joins, or leaves, room r |
//! | `s`s, `v`s | an event to socket s; a volatile one |
//! | `q`s k, `g`s | one to be acknowledged in k milliseconds, for ever with k of 255; the last of it is forgotten |
//! | `a`s | the oldest event of socket s that is to be acknowledged is |
//! | `f`s m | the last event of socket s is sent on to namespace m |
//! | `B`m r x, `V`m r x | an event to all in room r of namespace m but those in room x; a volatile one |
//! | `Q`m r x k | one that each is to acknowledge in k milliseconds |
//! | `d`s, `D`s | socket s is disconnected; its client is |
//! | `p`s, `P`s | its events are left where they are; are taken again |
//! | `+`k, `*`k | k milliseconds, or seconds, pass |
//! | `1`, `E` | the loop takes one output, or all |
//! | `C`, `X` | the hub is closed, or aborted |
//!
//! Each of them is one byte, counted from `0`, modulo how many there have been. A room beyond the last is none. Other
//! letters stand for one of these. In the end all connections are lost, and nothing must be left.
//!
//! Each event has a number. A client that has said nothing of its own kind gets and sends each number once, in order,
//! in the right namespace, and nothing that its rooms exclude, across connections if it comes back in time.

mod wire;
mod world;

use std::time::Duration;

use enginewire_socketio::{
    adapter::RecoveryConfig,
    hub::{HubConfig, Overflow},
};

use self::world::{Ask, World};
use crate::{Reached, script::Script};

/// Runs the script twice.
pub fn run(data: &[u8]) -> Reached {
    let (digest, reached) = serve(data);
    assert_eq!(digest, serve(data).0, "the same inputs, but other outputs");
    reached
}

fn serve(data: &[u8]) -> (u64, Reached) {
    let mut script = Script::new(data);
    let letters = script.until(b':');
    let mut world = World::new(options(letters), letters);
    while !script.is_empty() {
        step(&mut world, &mut script);
    }
    world.finish()
}

/// | option | |
/// |---|---|
/// | `r` | clients may come back for two minutes; with `z` for a second |
/// | `t` | whoever comes back is asked for, too |
/// | `M`, `N` | of them at most two are waited for; at most three events are logged |
/// | `3` | clients may speak revision 3 |
/// | `S` | sockets without room are passed by |
/// | `Q`, `R` | 300 bytes may be queued for a client; 100 of it may be unread |
/// | `K` | a socket may owe two acknowledgements |
/// | `A` | clients are accepted as soon as they ask |
/// | `u` | network inputs come without the outputs being taken |
fn options(letters: &[u8]) -> HubConfig {
    let has = |letter| letters.contains(&letter);
    let mut config = HubConfig::default();
    config.engine.protocol.allow_eio3 = has(b'3');
    let limits = &mut config.engine.protocol.limits;
    limits.max_queued = if has(b'Q') { 300 } else { 50_000 };
    limits.max_unread = if has(b'R') { 100 } else { 50_000 };
    if has(b'K') {
        config.connection.max_pending_acks = 2;
    }
    if has(b'S') {
        config.overflow = Overflow::Skip;
    }
    if has(b'r') {
        let mut recovery = RecoveryConfig::default();
        recovery.skip_authorize = !has(b't');
        if has(b'z') {
            recovery.window = Duration::from_secs(1);
        }
        if has(b'M') {
            recovery.max_sessions = 2;
        }
        if has(b'N') {
            recovery.max_events = 3;
        }
        config.recovery = Some(recovery);
    }
    config
}

fn step(world: &mut World, script: &mut Script<'_>) {
    const LETTERS: &[u8] = b"oOcLiIAmbelwWkyxjJsvqgafBVQdDpP+*1ECX";
    let letter = match script.byte() {
        letter if LETTERS.contains(&letter) => letter,
        other => LETTERS[usize::from(other) % LETTERS.len()],
    };
    let mut n = || usize::from(script.byte().wrapping_sub(b'0'));
    match letter {
        b'o' => world.open(4),
        b'O' => world.open(3),
        b'c' => world.connect(n(), n()),
        b'L' => world.leave_namespace(n(), n()),
        b'i' => world.say(n(), n(), false),
        b'I' => world.say(n(), n(), true),
        b'A' => world.answer(n()),
        b'm' => {
            let on = n();
            world.raw(on, false, script.until(b'\n'));
        }
        b'b' => {
            let on = n();
            world.raw(on, true, script.until(b'\n'));
        }
        b'e' => world.eof(n()),
        b'l' => world.lose(n()),
        b'w' => {
            let on = n();
            world.let_out(on, Some(usize::from(script.byte())));
        }
        b'W' => world.let_out(n(), None),
        b'k' => world.come_back(n()),
        b'y' => world.decide(n(), true),
        b'x' => world.decide(n(), false),
        b'j' => world.change_room(n(), n(), true),
        b'J' => world.change_room(n(), n(), false),
        b's' => world.emit(n(), Ask::Nothing),
        b'v' => world.emit(n(), Ask::Volatile),
        b'q' => {
            let on = n();
            world.emit(on, Ask::within(script.byte()));
        }
        b'g' => world.forget(n()),
        b'a' => world.acknowledge(n()),
        b'f' => world.forward(n(), n()),
        b'B' => world.broadcast(n(), n(), n(), Ask::Nothing),
        b'V' => world.broadcast(n(), n(), n(), Ask::Volatile),
        b'Q' => {
            let (namespace, room, except) = (n(), n(), n());
            world.broadcast(namespace, room, except, Ask::within(script.byte()));
        }
        b'd' => world.disconnect(n(), false),
        b'D' => world.disconnect(n(), true),
        b'p' => world.pause(n(), true),
        b'P' => world.pause(n(), false),
        b'+' => world.pass(Duration::from_millis(script.byte().into())),
        b'*' => world.pass(Duration::from_secs(script.byte().into())),
        b'1' => drop(world.take_output()),
        b'E' => world.drain(),
        b'C' => world.close(),
        _ => world.abort(),
    }
    world.check();
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers of events in and out of a script.
    fn exchanged(script: &str) -> (usize, usize) {
        let Reached { received, sent, .. } = run(script.as_bytes());
        (received, sent)
    }

    #[test]
    fn events_acknowledgements_and_broadcasts_are_exchanged() {
        assert_eq!(exchanged("A:oc00i00I00a0s0q0\u{64}A0"), (2, 3));
        assert_eq!(exchanged("A:oc00oc10c01B099B199j00B009B090"), (0, 5));
        assert_eq!(exchanged("A3:OI00a0s0"), (1, 2));
        assert_eq!(exchanged("A:oc00oc10Q099\u{ff}A0A1"), (0, 2));
    }

    #[test]
    fn missed_events_are_received_behind_the_cut() {
        assert_eq!(exchanged("Ar:oc00s0l0B099B099k0s1"), (0, 4));
        assert_eq!(exchanged("Ar:oc00s0w0\u{0}s0s0k0"), (0, 3));
        assert_eq!(exchanged("rt:oc00y0s0l0B099k0y1s1"), (0, 3));
    }

    #[test]
    fn events_wait_for_a_late_response() {
        assert_eq!(exchanged(":oc00oc10y1s1x0"), (0, 1));
    }
}
