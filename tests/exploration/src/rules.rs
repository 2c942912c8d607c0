//! What holds in every state, and what holds once there is nothing more to come.
//!
//! What a single move can break is looked at where the move is made: a message that is not the next
//! one, a second GET, a second answer, an event after the last.

use enginewire::{CloseReason, TransportFault};

use crate::{scenario::Side, world::World};

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
        for side in SIDES {
            if world.app(side).received != world.app(side.other()).sent {
                return Some(format!("both sides live, and {side} has not got all messages"));
            }
        }
        return None;
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

/// Whether a side may say so after the other, `closer`, has closed. A request of the client that is under
/// way meanwhile may find no session any more, and be told before the close is.
fn is_peer_s_close(reason: &CloseReason, closer: Side) -> bool {
    match reason {
        CloseReason::TransportClose => true,
        CloseReason::TransportError(TransportFault::Status(400)) => closer == Side::Server,
        _ => false,
    }
}
