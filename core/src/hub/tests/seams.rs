//! Layers on top of sessions, refusals with a status, broadcasts, and the limit of connections.

use core::sync::atomic::{AtomicUsize, Ordering};
use std::task::Wake;

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
    let deadline = world.hub.poll_timeout();
    assert!(world.hub.set_layer(world.now, session, Box::new(Other)));
    assert_eq!(world.hub.poll_timeout(), deadline, "a layer has no deadline by default");
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

/// Counts how often it is woken.
#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Wakes a task and tells the application whenever it is called.
struct Caller {
    task: Arc<Count>,
    deadline: Option<Time>,
}

impl Caller {
    fn call(&self, cx: &mut LayerContext<'_>) {
        cx.wake(Arc::clone(&self.task).into());
        cx.notify();
    }
}

impl Layer for Caller {
    fn handle_event(&mut self, cx: &mut LayerContext<'_>, _: Event) {
        self.call(cx);
    }

    fn handle_timeout(&mut self, cx: &mut LayerContext<'_>) {
        self.deadline = None;
        self.call(cx);
    }

    fn poll_timeout(&self) -> Option<Time> {
        self.deadline
    }
}

#[test]
fn a_layer_wakes_tasks_and_tells_the_application_wherever_it_is_called_from() {
    let mut world = World::new();
    let (session, on) = world.open_websocket();
    let task = Arc::new(Count::default());
    let layer = Caller { task: Arc::clone(&task), deadline: Some(world.now + seconds(3)) };
    assert!(world.hub.set_layer(world.now, session, Box::new(layer)));
    let assert_called = |world: &mut World, times| {
        world.drain();
        assert_eq!(task.0.load(Ordering::Relaxed), times);
        assert_eq!(core::mem::take(&mut world.notified).len(), usize::from(times > 0));
    };
    assert_called(&mut world, 0);
    world.bytes(on, text("4a"));
    assert_called(&mut world, 1);
    world.pass(seconds(5));
    assert_called(&mut world, 2);
    let called = world.hub.with_layer(world.now, session, |layer: &mut Caller, cx| layer.call(cx));
    assert_eq!(called, Some(()));
    assert_called(&mut world, 3);
    world.hub.abort_session(session);
    assert_called(&mut world, 4);
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
fn a_broadcast_counts_sessions_by_what_became_of_the_message() {
    let mut world = World::with(|config| config.protocol.limits.max_queued = 1);
    let sessions: Vec<_> = (0..7).map(|_| world.open_websocket()).collect();
    let [first, second, full, fuller, gone, lost, ended] = *sessions else { unreachable!() };
    for (session, _) in [gone, lost, ended] {
        world.hub.abort_session(session);
    }
    world.drain();
    for (session, _) in [full, fuller] {
        world.hub.send(session, "b").unwrap();
    }
    let count = world.hub.broadcast(sessions.iter().map(|(session, _)| *session), "a");
    assert_eq!(count, Broadcast { sent: 2, full: 2, closed: 3 });
    world.drain();
    for ((_, on), texts) in [(first, ["4a"]), (second, ["4a"]), (full, ["4b"]), (fuller, ["4b"])] {
        assert_eq!(world.texts(on), texts);
    }
    let writable = [full, fuller].map(|(session, _)| (session, Event::Writable));
    assert_eq!(world.events[world.events.len() - 2..], writable, "they can be sent to again");
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

/// Keeps messages, and their credit until it is told to release it.
#[derive(Default)]
struct Hoarder {
    kept: Vec<Message>,
    closed: Option<CloseReason>,
}

impl Hoarder {
    fn release(&mut self, cx: &mut LayerContext<'_>) -> usize {
        let kept = core::mem::take(&mut self.kept);
        kept.iter().for_each(|message| cx.session.release(message.cost()));
        kept.len()
    }
}

impl Layer for Hoarder {
    fn handle_event(&mut self, cx: &mut LayerContext<'_>, event: Event) {
        match event {
            Event::Message(message) => self.kept.push(message),
            Event::Closed(reason) => {
                self.closed = Some(reason);
                cx.notify();
            }
            _ => {}
        }
    }
}

fn with_max_unread(bytes: usize) -> World {
    World::with(|config| config.protocol.limits.max_unread = bytes)
}

#[test]
fn a_layer_that_releases_nothing_throttles_a_websocket_until_it_does() {
    let mut world = with_max_unread(300);
    let (session, on) = world.open_websocket();
    assert!(world.hub.set_layer(world.now, session, Box::new(Hoarder::default())));
    let mut sent = 0;
    while world.hub.is_reading(on) {
        world.bytes(on, text("4".to_string() + &"x".repeat(50)));
        sent += 1;
        assert!(sent < 10, "the layer has them all, and none were released");
    }
    assert!(sent > 1);
    world.pass(seconds(5));
    assert!(!world.hub.is_reading(on));
    assert_eq!(world.socket(on).resumed, 0);
    let released = world.hub.with_layer(world.now, session, Hoarder::release);
    world.drain();
    assert_eq!(released, Some(sent));
    assert_eq!((world.hub.is_reading(on), world.socket(on).resumed), (true, 1));
}

#[test]
fn a_layer_that_releases_nothing_withholds_the_response_to_a_post_until_it_does() {
    let mut world = with_max_unread(10);
    let on = world.accept();
    let (session, query) = world.open_polling(on);
    assert!(world.hub.set_layer(world.now, session, Box::new(Hoarder::default())));
    assert_eq!(world.post(on, &query, "4more than ten bytes"), "");
    world.pass(seconds(5));
    assert_eq!(world.take(on), "");
    assert_eq!(world.hub.with_layer(world.now, session, Hoarder::release), Some(1));
    world.drain();
    assert!(world.take(on).ends_with("\r\n\r\nok"));
}

#[test]
fn a_closed_session_keeps_its_layer_until_the_next_poll() {
    let mut world = World::new();
    let (session, on) = world.open_websocket();
    assert!(world.hub.set_layer(world.now, session, Box::new(Hoarder::default())));
    world.hub.handle_lost(world.now, on);
    let closed = |world: &mut World| {
        world.hub.with_layer(world.now, session, |layer: &mut Hoarder, _| layer.closed.clone())
    };
    assert!(matches!(world.hub.poll(), Some(Output::Layer(of)) if of == session));
    let lost = CloseReason::TransportError(crate::TransportFault::ConnectionLost);
    assert_eq!(closed(&mut world), Some(Some(lost)));
    assert!(world.hub.poll().is_none());
    assert_eq!(closed(&mut world), None);
    world.assert_empty();
}

#[test]
fn a_layer_has_no_deadline_behind_the_end_of_its_session() {
    let mut world = World::new();
    let on = world.accept();
    let (session, query) = world.open_polling(on);
    let layer = Recorder { deadline: Some(world.now + seconds(3)), ..Recorder::default() };
    assert!(world.hub.set_layer(world.now, session, Box::new(layer)));
    // A POST whose body is still to come carries the session on.
    let post = request("POST", &query, "4hello");
    world.bytes(on, &post[..post.len() - 1]);
    world.hub.abort_session(session);
    assert!(matches!(world.hub.poll(), Some(Output::Layer(_))));
    world.now = world.now + seconds(3);
    world.hub.handle_timeout(world.now);
    let seen = world.hub.with_layer(world.now, session, |layer: &mut Recorder, _| {
        (layer.seen.clone(), layer.expired.clone())
    });
    let closed = Event::Closed(CloseReason::ForcedClose);
    assert_eq!(seen, Some((Vec::from([closed]), Vec::new())));
}

#[test]
fn a_polling_session_is_idle_while_a_get_waits() {
    let mut world = World::new();
    let on = world.accept();
    let (session, query) = world.open_polling(on);
    let is_idle = |world: &World| world.hub.session(session).unwrap().is_idle();
    assert!(!is_idle(&world));
    world.request(on, "GET", &query, "");
    assert!(is_idle(&world));
    world.hub.send(session, "a").unwrap();
    assert!(!is_idle(&world));
    world.drain();
    assert!(world.take(on).ends_with("4a"));
    assert!(!is_idle(&world));
}

#[test]
fn a_websocket_session_is_idle_unless_its_socket_is_blocked() {
    let mut world = World::new();
    let (session, on) = world.open_websocket();
    let is_idle = |world: &World| world.hub.session(session).unwrap().is_idle();
    assert!(is_idle(&world));
    world.let_out(on, 2);
    world.hub.send(session, "a").unwrap();
    assert!(!is_idle(&world), "it is queued");
    world.drain();
    assert_eq!(world.hub.session(session).unwrap().queued(), 0);
    assert!(!is_idle(&world), "it is not written");
    world.let_out(on, usize::MAX);
    assert!(is_idle(&world));
    assert_eq!(world.texts(on), ["4a"]);
}

#[test]
fn a_websocket_that_is_blocked_when_its_upgrade_is_complete_is_not_idle() {
    let mut world = World::new();
    let (polls, on) = (world.accept(), world.accept());
    let (session, query) = world.open_polling(polls);
    world.bytes(on, upgrade(&query.replace("polling", "websocket")));
    world.take(on);
    // One that is blocked and then fails is of no consequence.
    world.let_out(on, 2);
    world.bytes(on, text("2probe"));
    world.hub.handle_lost(world.now, on);
    world.drain();
    let on = world.accept();
    world.bytes(on, upgrade(&query.replace("polling", "websocket")));
    world.take(on);
    world.let_out(on, 2);
    world.bytes(on, text("2probe"));
    world.bytes(on, text("5"));
    let is_idle = |world: &World| world.hub.session(session).unwrap().is_idle();
    assert_eq!(world.hub.session(session).unwrap().transport(), crate::TransportKind::WebSocket);
    assert!(!is_idle(&world), "the response to the probe is not written");
    world.let_out(on, usize::MAX);
    assert!(is_idle(&world));
    assert_eq!(world.texts(on), ["3probe"]);
}

#[test]
fn a_connection_that_drains_gets_every_message_that_was_sent_while_it_was_blocked() {
    let mut world = World::new();
    let (session, on) = world.open_websocket();
    world.let_out(on, 0);
    let mut sent = Vec::new();
    for i in 0..100 {
        world.hub.send(session, format!("{i}")).unwrap();
        world.drain();
        sent.push(format!("4{i}"));
    }
    let asked = |world: &World| world.log.iter().filter(|line| line.contains("Write(")).count();
    let before = asked(&world);
    world.hub.send(session, "last").unwrap();
    world.drain();
    assert_eq!(asked(&world), before, "a blocked connection is not woken");
    sent.push("4last".to_string());
    for bytes in [1, 2, 3, 100, usize::MAX] {
        world.let_out(on, bytes);
    }
    assert_eq!(world.texts(on), sent);
    // From now on it is woken again.
    world.hub.send(session, "next").unwrap();
    world.drain();
    assert_eq!(world.texts(on), ["4next"]);
}

#[test]
fn a_session_closed_by_the_application_shows_its_reason() {
    let mut world = World::new();
    let (session, on) = world.open_websocket();
    world.hub.send(session, "last").unwrap();
    world.hub.close_session_with(world.now, session, "banned");
    world.drain();
    assert_eq!(world.events(), [Event::Closed(CloseReason::Application("banned"))]);
    assert_eq!(world.take(on), "\u{1}\u{5}4last\u{8}\0");
}
