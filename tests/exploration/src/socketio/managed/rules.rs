//! Rules of every state, and of those after which nothing more comes.
//!
//! Rules that a single move can break are looked at where the move is made.

use enginewire_socketio::Fault;

use super::{
    client::Kind,
    world::{NAMES, World},
};
use crate::search::System;

/// Rules that hold in every state of an exploration without a counter-example.
pub const RULES: &[&str] = &[
    "an event without retries arrives at most once, one with retries no more often than it may be sent",
    "the events of a socket leave and arrive in order, and so do those with retries among themselves",
    "an event that has not arrived was lost with a session or a socket, or was told to be unsent",
    "each event that is to be acknowledged ends once: by its own acknowledgement, its deadline, or a disconnection",
    "no event is told to be unsent that has left, and none leaves that was",
    "what is told to be unsent of a socket, and of the client at its end, is as much as has not left",
    "a socket gets the events that were sent to it, in order, and none of them twice, nor one of the socket before",
    "one that is recovered gets all that it missed",
    "an acknowledgement goes to the connection that its event came on",
    "a socket that was disconnected is not connected again by itself, and is told nothing but that",
    "one that the server disconnects has got all that was sent to it before",
    "what was received counts as unread until it is taken, and not longer",
    "in the end each socket is connected on both sides, with all events and acknowledgements, or on neither",
    "a client that was closed is told so once, behind everything else",
];

/// The rule that the state breaks, if it breaks one.
pub(super) fn broken(world: &World) -> Option<String> {
    if let Some(broken) = &world.broken {
        return Some(broken.clone());
    }
    let unread = world.session.as_ref().map_or(0, |carrier| carrier.unread);
    let is_overdrawn = world.session.as_ref().is_some_and(|carrier| carrier.is_overdrawn);
    if unread > 0 || is_overdrawn {
        return Some(format!("{unread} bytes of the client count as unread"));
    }
    // It may be too slow.
    if let Some(fault) = world.manager.0.fault().filter(|fault| **fault != Fault::NoResponse) {
        return Some(format!("the server is told to break the protocol: {fault}"));
    }
    if world.is_final() { left_over(world) } else { None }
}

fn left_over(world: &World) -> Option<String> {
    for (space, part) in world.parts.iter().enumerate() {
        let Some(slot) = part.slot else { continue };
        let name = NAMES[space];
        let manager = &world.manager.0;
        if manager.is_active(slot) != manager.is_connected(slot) {
            return Some(format!("in the end {name} still tries to connect"));
        }
        let seats = world.seats.iter().filter(|seat| seat.space == space);
        let accounts: Vec<_> = seats.map(|seat| seat.account).collect();
        if accounts != Vec::from_iter(part.account) {
            return Some(format!("in the end {name} is connected on one side only"));
        }
        let Some(account) = part.account else { continue };
        if let Some(number) = world.books.sockets[account].missing() {
            return Some(format!("in the end {name} has not got event {number}"));
        }
        if manager.queued(slot) > 0 {
            return Some(format!("in the end events of {name} wait"));
        }
    }
    if world.is_closed != world.told_closed {
        return Some(String::from("in the end the application is not told that it has closed"));
    }
    for (number, event) in world.events.iter().enumerate() {
        if event.waits() {
            return Some(format!("in the end event {number} is waited for"));
        }
        let is_active = world.manager.0.is_active(event.slot);
        let is_excused = event.may_be_lost || event.is_dropped || (!event.has_left && !is_active);
        let is_retried = event.kind == Kind::Retries && !event.has_left;
        if event.arrivals == 0 && !is_excused && !is_retried {
            return Some(format!("in the end event {number} has not arrived, and nobody knows"));
        }
    }
    if !world.pending.is_empty() || !world.books.questions.is_empty() {
        return Some(String::from("in the end the server waits for something"));
    }
    None
}
