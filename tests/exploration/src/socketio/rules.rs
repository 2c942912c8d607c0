//! Rules of every state, and of those after which nothing more comes.
//!
//! Rules that a single move can break are looked at where the move is made.

use super::{
    books::Life,
    client::State,
    server::Space,
    world::{NAMES, World},
};
use crate::search::System;

/// Rules that hold in every state of an exploration without a counter-example.
pub const RULES: &[&str] = &[
    "a socket gets the events that were sent to it, in order, and none of them twice",
    "it gets no event that was sent before it was connected, or is not for it, and none before CONNECT unless it \
     comes back",
    "it is disconnected behind all that was sent to it before, and gets nothing afterwards",
    "one that comes back gets all that it missed, but for events that it was to acknowledge, and is the same",
    "no socket comes back that a side has left",
    "the server gets the events of a socket in order and nothing twice, and none of a socket that is not connected",
    "an event that is to be acknowledged is acknowledged at most once, by the socket that it was sent to, or fails at \
     its deadline or with the end of the socket",
    "no acknowledgement is waited for of a socket that is not connected, or beyond its deadline",
    "each connected socket is in its namespace, and can be found there by its id; nobody else is",
    "as many sockets can come back as have lost their connection, and not yet been dropped",
    "what was received counts as unread until it is taken, and not longer",
    "in the end each socket is connected on both sides, and has got all events and acknowledgements, or on neither",
    "in the end, if there are no sockets, nothing is left in the namespaces, in the log, or to be waited for",
];

/// The rule that the state breaks, if it breaks one.
pub(super) fn broken(world: &World) -> Option<String> {
    if let Some(broken) = &world.broken {
        return Some(broken.clone());
    }
    let broken = membership(world).or_else(|| questions(world)).or_else(|| unread(world));
    broken.or_else(|| if world.is_final() { left_over(world) } else { None })
}

fn membership(world: &World) -> Option<String> {
    for (index, Space { adapter, recovery, .. }) in world.spaces.iter().enumerate() {
        let name = NAMES[index];
        let seats = || world.seats.iter().filter(|seat| seat.space == index);
        if adapter.len() != seats().count() {
            return Some(format!("{name} has {} members", adapter.len()));
        }
        for seat in seats() {
            let id = &*world.books.sockets[seat.socket].id;
            let connection = world.connection(seat.link);
            if !connection.is_some_and(|connection| connection.is_connected(seat.slot)) {
                return Some(format!("socket {id} is in {name} and not connected"));
            }
            if adapter.find(id) != Some(seat.member)
                || adapter.member(seat.member) != Some(&(seat.link, seat.slot))
            {
                return Some(format!("socket {id} cannot be found in {name}"));
            }
        }
        let of_here = world.books.sockets.iter().filter(|socket| socket.space == index);
        let waiting = of_here.filter(|socket| socket.life == Life::Waiting).count();
        if waiting != recovery.as_ref().map_or(0, |recovery| recovery.waiting()) {
            return Some(format!("{waiting} sockets of {name} should be able to come back"));
        }
    }
    for link in &world.links {
        let Some(connection) = &link.connection else { continue };
        let seats = world.seats.iter().filter(|seat| seat.link == link.number).count();
        if connection.connected().count() != seats {
            return Some(String::from("a socket is connected, and in no namespace"));
        }
    }
    let waits = |pending: &super::server::Pending| {
        let connection = world.connection(pending.link);
        connection.is_some_and(|connection| connection.is_connecting(pending.slot))
    };
    if !world.pending.iter().all(waits) {
        return Some(String::from("nobody waits for the response to a request"));
    }
    None
}

fn questions(world: &World) -> Option<String> {
    for question in &world.books.questions {
        let number = question.number;
        let mut seats = world.seats.iter();
        if !seats.any(|seat| (seat.link, seat.slot) == (question.link, question.slot)) {
            return Some(format!("question {number} waits for a socket that is over"));
        }
        if question.deadline <= world.now || world.deadline().is_none() {
            return Some(format!("question {number} waits beyond its deadline"));
        }
    }
    None
}

/// The application takes events at once, so that nothing is left of them after a move.
fn unread(world: &World) -> Option<String> {
    let strange = |link: &&super::link::Link| link.carrier.unread > 0 || link.carrier.is_overdrawn;
    let link = world.links.iter().find(strange)?;
    Some(format!("{} bytes of link {} count as unread", link.carrier.unread, link.number))
}

fn left_over(world: &World) -> Option<String> {
    if let Some(broken) = world.client_waits_for() {
        return Some(broken);
    }
    let connected = |part: &&super::client::Part| matches!(part.state, State::Connected(_));
    if world.seats.len() != world.parts.iter().filter(connected).count() {
        return Some(String::from("in the end the server has a socket that no client knows"));
    }
    if !world.pending.is_empty() || !world.books.questions.is_empty() {
        return Some(String::from("in the end something is waited for"));
    }
    for (index, space) in world.spaces.iter().enumerate() {
        let Some(recovery) = &space.recovery else { continue };
        if recovery.waiting() > 0 || recovery.logged() != (0, 0) {
            return Some(format!("in the end something of {} can be recovered", NAMES[index]));
        }
    }
    None
}
