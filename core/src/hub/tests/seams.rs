//! A layer on top of a session, refusals with a status, broadcasts, and the limit of connections.

use super::*;
use crate::{carrier::LayerContext, packet::Message};

/// Keeps what it sees, and has one deadline.
#[derive(Default)]
struct Recorder {
    seen: Vec<Event>,
    deadline: Option<Time>,
    expired: Vec<Time>,
}

impl Layer for Recorder {
    fn handle_event(&mut self, cx: &mut LayerContext<'_>, event: Event) {
        self.seen.push(event);
        cx.notify();
    }

    fn handle_timeout(&mut self, cx: &mut LayerContext<'_>) {
        self.deadline = None;
        self.expired.push(cx.now);
    }

    fn poll_timeout(&self) -> Option<Time> {
        self.deadline
    }
}

/// Another layer than the one that is set.
struct Other;

impl Layer for Other {
    fn handle_event(&mut self, _cx: &mut LayerContext<'_>, _event: Event) {}
}

#[test]
fn a_layer_takes_messages_in_place_of_the_application() {
    let mut world = World::new();
    let (session, on) = world.open_websocket();
    assert!(world.hub.set_layer(world.now, session, Box::new(Recorder::default())));
    world.bytes(on, text("4a"));
    assert!(world.events().is_empty());
    assert_eq!(world.notified, [session]);
    let seen =
        world.hub.with_layer(world.now, session, |layer: &mut Recorder, _| layer.seen.clone());
    assert_eq!(seen, Some(Vec::from([Event::Message(Message::from("a"))])));
}

#[test]
fn with_layer_of_another_type_is_none() {
    let mut world = World::new();
    let (session, _) = world.open_websocket();
    assert_eq!(world.hub.with_layer(world.now, session, |_: &mut Recorder, _| ()), None);
    assert!(world.hub.set_layer(world.now, session, Box::new(Recorder::default())));
    assert_eq!(world.hub.with_layer(world.now, session, |_: &mut Other, _| ()), None);
    assert_eq!(world.hub.with_layer(world.now, session, |_: &mut Recorder, _| ()), Some(()));
}

#[test]
fn the_deadline_of_a_layer_expires_at_its_time() {
    let mut world = World::new();
    let (session, _) = world.open_websocket();
    let deadline = world.now + seconds(3);
    let layer = Recorder { deadline: Some(deadline), ..Recorder::default() };
    assert!(world.hub.set_layer(world.now, session, Box::new(layer)));
    world.pass(seconds(5));
    let expired =
        world.hub.with_layer(world.now, session, |layer: &mut Recorder, _| layer.expired.clone());
    assert_eq!(expired, Some(Vec::from([deadline])));
}

#[test]
fn a_refusal_has_its_own_status_and_body() {
    let mut world = World::with(|config| config.ask = true);
    let on = world.accept();
    for (status, body) in [(401, "token?"), (429, "later")] {
        world.get(on, "transport=polling");
        let ask = world.question();
        let refusal = Refusal::new("").with_status(status).with_body("text/plain", body);
        assert!(world.hub.refuse(ask, refusal));
        world.drain();
        let response = world.take(on);
        assert!(response.starts_with(&format!("HTTP/1.1 {status} ")), "{response}");
        assert!(response.ends_with(&format!("\r\n\r\n{body}")), "{response}");
    }
    assert_eq!(world.hub.sessions(), 0);
}

#[test]
fn a_broadcast_counts_sessions_that_took_the_message_and_closed_ones() {
    let mut world = World::new();
    let (first, on) = world.open_websocket();
    let (second, _) = world.open_websocket();
    let (gone, lost) = world.open_websocket();
    world.hub.abort_session(gone);
    world.drain();
    world.take(lost);
    let count = world.hub.broadcast([first, second, gone], "a");
    assert_eq!((count.sent, count.full, count.closed), (2, 0, 1));
    world.drain();
    assert_eq!(world.texts(on), ["4a"]);
}

#[test]
fn no_connection_is_to_be_accepted_at_the_limit_until_one_is_lost() {
    let mut world = World::with(|config| config.max_connections = 2);
    let first = world.accept();
    assert!(world.hub.is_accepting());
    world.accept();
    assert!(!world.hub.is_accepting());
    world.hub.handle_lost(world.now, first);
    assert!(world.hub.is_accepting());
}
