//! What holds in every state, and what holds once there is nothing more to come.
//!
//! What a single move can break is looked at where the move is made: a message that is not the next
//! one, a second GET, a second answer, an event after the last.

use enginewire::{CloseReason, TransportFault};

use crate::{network::Kind, scenario::Side, search::System, world::World};

/// What holds in every state of an exploration that finds no counter-example.
pub const RULES: &[&str] = &[
    "an open session takes messages",
    "each side gets what the other has sent, in order, and nothing twice",
    "the client has at most one GET, one POST and one WebSocket under way, and opens one session",
    "an exchange is answered once, and a WebSocket closed once",
    "a session opens once, says once that it is over, and nothing behind that",
    "a session ends only if a side has closed, a connection of its transport broke, or a side has waited \
     for as long as it may",
    "an upgrade that nothing hinders is not given up",
    "in the end, if both sides live, each has got all messages, every POST is answered, and nothing but \
     one GET waits, or nothing but one WebSocket is open",
    "in the end, if one side is over, so is the other, nothing is due, and no connection is left",
    "in the end, if one side has closed and nothing else was in the way, the other has got all that it sent \
     before, and both give that as the reason",
];

const SIDES: [Side; 2] = [Side::Client, Side::Server];

/// The rule that the state breaks, if it breaks one.
pub(crate) fn broken(world: &World) -> Option<String> {
    if let Some(broken) = &world.broken {
        return Some(broken.clone());
    }
    let closes = SIDES.iter().any(|&side| world.app(side).has_closed);
    for side in SIDES {
        let exists = side == Side::Client || world.server.is_some();
        if exists && world.is_closed(side) != world.app(side).told {
            return Some(format!("{side} is over and does not say so, or the other way round"));
        }
        if exists && world.is_closed(side) && !closes && !world.excused {
            return Some(format!(
                "{side} is over, and nothing has happened that could be the reason"
            ));
        }
    }
    if world.is_final() { left_over(world) } else { None }
}

fn left_over(world: &World) -> Option<String> {
    let closed = SIDES.map(|side| world.is_closed(side));
    if closed == [false, false] {
        return left_waiting(world);
    }
    if closed != [true, true] {
        return Some(String::from("one side is over, and the other never learns of it"));
    }
    let closer = world.scenario.closer.filter(|&side| world.app(side).has_closed);
    if let (Some(closer), false) = (closer, world.excused) {
        let other = closer.other();
        if world.app(other).received != world.app(closer).sent {
            return Some(format!("{other} has not got all that {closer} sent before it closed"));
        }
        let reason = world.close_reason(other);
        if !reason.is_none_or(|reason| is_peer_s_close(reason, closer)) {
            return Some(format!("{closer} closed, and {other} says {reason:?}"));
        }
        if world.close_reason(closer) != Some(&CloseReason::ForcedClose) {
            return Some(format!("{closer} closed, and says {:?}", world.close_reason(closer)));
        }
    }
    if SIDES.into_iter().any(|side| world.has_deadline(side)) {
        return Some(String::from("both sides are over, and something is still due"));
    }
    if !world.connections.is_empty() {
        return Some(String::from("both sides are over, and a connection is left"));
    }
    None
}

/// What waits although it should not, with both sides alive.
fn left_waiting(world: &World) -> Option<String> {
    let left = |kind| world.connections.iter().filter(|it| it.kind == kind).count();
    if left(Kind::Post) > 0 {
        return Some(String::from("both sides live, and a POST has no answer"));
    }
    for side in SIDES {
        if world.app(side).received != world.app(side.other()).sent {
            return Some(format!("both sides live, and {side} has not got all messages"));
        }
    }
    let (gets, sockets) = (left(Kind::Get), left(Kind::Socket));
    let expected = if world.is_upgraded() { (0, 1) } else { (1, 0) };
    if (gets, sockets) != expected {
        return Some(format!(
            "both sides live, {gets} GETs wait, and {sockets} WebSockets are there"
        ));
    }
    None
}

/// Whether a side may say so after the other, `closer`, has closed. A request of the client that is under
/// way meanwhile may find no session any more, and be told before the close is.
fn is_peer_s_close(reason: &CloseReason, closer: Side) -> bool {
    match reason {
        CloseReason::TransportClose => true,
        CloseReason::TransportError(TransportFault::Status(400)) => closer == Side::Server,
        _ => false,
    }
}
