//! How connections, sessions and the hub end.

use super::*;

/// We close a WebSocket while a message waits for its peer, which reads nothing.
fn closing_with_a_message() -> (World, ConnectionId) {
    let mut world = World::new();
    let (session, on) = world.open_websocket();
    world.let_out(on, 0);
    world.hub.send(session, "a").unwrap();
    world.hub.close_session(world.now, session);
    world.drain();
    (world, on)
}

/// The peer, which has sent its Close, reads the rest.
fn assert_message_and_close_come(world: &mut World, on: ConnectionId) {
    world.let_out(on, usize::MAX);
    assert_eq!(world.take(on), "\u{1}\u{2}4a\u{8}\0");
    assert!(!world.is_open(on), "both Close frames have passed");
    world.assert_empty();
}

#[test]
fn closing_a_session_lets_out_what_was_queued() {
    let mut world = World::new();
    let (session, on) = world.open_websocket();
    world.let_out(on, 0);
    for message in ["a", "b"] {
        world.hub.send(session, message).unwrap();
    }
    world.hub.close_session(world.now, session);
    world.drain();
    assert!(matches!(world.hub.send(session, "c").unwrap_err().reason, SendError::Closed));
    world.let_out(on, usize::MAX);
    assert_eq!(world.take(on), "\u{1}\u{2}4a\u{1}\u{2}4b\u{8}\0");
    assert_eq!(world.events(), [Event::Closed(CloseReason::ForcedClose)]);
    assert!(world.is_open(on));
    world.bytes(on, frame(8, []));
    assert!(!world.is_open(on), "both Close frames have passed");
    world.assert_empty();
}

#[test]
fn a_peer_that_takes_its_time_gets_all_that_was_queued_before_a_close() {
    let mut world = World::new();
    let (session, on) = world.open_websocket();
    world.let_out(on, 0);
    let messages = ["a", "b", "c", "d"].map(|message| message.repeat(100));
    for message in &messages[..2] {
        world.hub.send(session, &**message).unwrap();
        // What is queued from here on stays in the session until that is out.
        world.drain();
    }
    for message in &messages[2..] {
        world.hub.send(session, &**message).unwrap();
    }
    world.hub.close_session(world.now, session);
    world.drain();
    let mut expected = Vec::new();
    for message in &messages {
        expected.extend([0x81, 101, b'4']);
        expected.extend(message.bytes());
    }
    expected.extend([0x88, 0]);
    for _ in 0..expected.len() / 20 {
        world.pass(seconds(1));
        world.let_out(on, 20);
        assert!(world.is_open(on), "{} bytes are out", world.socket(on).written.len());
    }
    world.let_out(on, usize::MAX);
    assert_eq!(world.socket(on).written, expected);
    assert_eq!(world.events(), [Event::Closed(CloseReason::ForcedClose)]);
    world.assert_lingers(on);
}

#[test]
fn a_peer_that_takes_nothing_of_what_was_queued_is_given_up_when_the_close_is() {
    for taken_from_the_session in [true, false] {
        let mut world = World::new();
        let (session, on) = world.open_websocket();
        world.let_out(on, 0);
        world.hub.send(session, "a").unwrap();
        world.drain();
        if !taken_from_the_session {
            world.hub.send(session, "b").unwrap();
        }
        world.hub.close_session(world.now, session);
        world.drain();
        assert_eq!(world.events().is_empty(), !taken_from_the_session);
        world.pass(seconds(29));
        assert!(world.is_open(on));
        world.pass(seconds(1));
        assert!(!world.is_open(on));
        world.drain();
        world.assert_empty();
    }
}

#[test]
fn a_session_that_is_aborted_while_it_closes_lingers_and_no_more() {
    let mut world = World::new();
    let (session, on) = world.open_websocket();
    world.let_out(on, 0);
    for message in ["a", "b"] {
        world.hub.send(session, message).unwrap();
        world.drain();
    }
    world.hub.close_session(world.now, session);
    world.hub.abort_session(session);
    world.drain();
    world.assert_lingers(on);
}

#[test]
fn a_close_that_crosses_ours_stops_nothing_that_was_queued_before() {
    let (mut world, on) = closing_with_a_message();
    world.bytes(on, frame(8, []));
    world.pass(seconds(10));
    assert!(world.is_open(on));
    assert_message_and_close_come(&mut world, on);
}

#[test]
fn the_end_of_the_stream_behind_a_close_stops_nothing_that_was_queued_before_ours() {
    let (mut world, on) = closing_with_a_message();
    world.bytes(on, frame(8, []));
    assert!(!world.hub.is_reading(on), "nothing comes behind a Close");
    world.hub.handle_eof(world.now, on);
    world.drain();
    assert!(world.is_open(on));
    assert_message_and_close_come(&mut world, on);
}

#[test]
fn the_end_of_a_stream_without_a_close_ends_a_connection_that_has_something_to_write() {
    let (mut world, on) = closing_with_a_message();
    assert!(world.hub.is_reading(on));
    world.hub.handle_eof(world.now, on);
    world.drain();
    assert!(!world.is_open(on), "its peer will not answer our Close");
    world.assert_empty();
}

#[test]
fn a_close_of_the_peer_is_answered_and_ends_both() {
    let mut world = World::new();
    let (_, on) = world.open_websocket();
    world.bytes(on, frame(8, [3, 232]));
    assert_eq!(world.take(on).len(), 4);
    assert_eq!(world.events(), [Event::Closed(CloseReason::TransportClose)]);
    assert!(!world.is_open(on) && !world.sockets[&on].shut_down);
    world.assert_empty();
}

#[test]
fn a_violation_is_answered_and_lingers_until_the_peer_closes_too() {
    let mut world = World::new();
    let (_, on) = world.open_websocket();
    world.bytes(on, [0xff, 0xff]);
    assert_eq!(world.take(on).chars().next(), Some('\u{8}'));
    assert!(matches!(world.events()[..], [Event::Closed(CloseReason::TransportError(_))]));
    assert!(world.socket(on).shut_down && world.is_open(on));
    world.bytes(on, [0; 1000]);
    world.hub.handle_eof(world.now, on);
    world.drain();
    assert!(!world.is_open(on));
    world.assert_empty();
}

#[test]
fn what_comes_behind_the_last_request_is_not_read_before_its_answer_is_out() {
    let mut world = World::new();
    let on = world.accept();
    world.hub.handle_bytes(world.now, on, &mut Vec::from("no request\r\n\r\n"));
    assert!(!world.hub.is_reading(on));
    world.drain();
    assert!(world.take(on).starts_with("HTTP/1.1 400 "));
    assert!(world.socket(on).shut_down && world.hub.is_reading(on));
    assert_eq!(world.socket(on).resumed, 1);
}

#[test]
fn a_lost_connection_ends_what_it_carried_in_silence() {
    let mut world = World::new();
    let (_, on) = world.open_websocket();
    let polls = world.accept();
    let (_, query) = world.open_polling(polls);
    world.get(polls, &query);
    for lost in [on, polls] {
        world.hub.handle_lost(world.now, lost);
    }
    world.drain();
    let events = world.events();
    assert!(
        events.iter().all(|e| matches!(e, Event::Closed(CloseReason::TransportError(_)))),
        "{events:?}"
    );
    assert_eq!(events.len(), 2);
    assert!(world.is_open(on) && world.is_open(polls), "the loop knows already");
    world.assert_empty();
}

#[test]
fn the_end_of_a_stream_ends_the_session_on_it() {
    let mut world = World::new();
    let (_, on) = world.open_websocket();
    world.hub.handle_eof(world.now, on);
    world.drain();
    assert_eq!(world.events(), [Event::Closed(CloseReason::TransportClose)]);
    assert!(!world.is_open(on));
    let idle = world.accept();
    world.hub.handle_eof(world.now, idle);
    world.drain();
    assert!(!world.is_open(idle));
    world.assert_empty();
}

#[test]
fn the_place_of_a_connection_is_not_used_again_before_the_loop_has_closed_it() {
    let mut world = World::new();
    let now = world.now;
    let old = world.accept();
    world.hub.handle_eof(now, old);
    let new = world.hub.handle_accepted(now);
    assert_ne!(old.index(), new.index());
    world.hub.handle_lost(now, old);
    world.drain();
    assert!(!world.is_open(old));
    let next = world.hub.handle_accepted(now);
    assert_eq!(old.index(), next.index());
    world.hub.handle_lost(now, next);
    world.hub.handle_lost(now, new);
    world.assert_empty();
}

#[test]
fn stale_names_do_nothing() {
    let mut world = World::new();
    let (session, on) = world.open_websocket();
    world.hub.handle_lost(world.now, on);
    world.drain();
    let (next_session, next) = world.open_websocket();
    assert_eq!((on.index(), session.index()), (next.index(), next_session.index()));
    let before = world.log.len();
    let now = world.now;
    let hub = &mut world.hub;
    hub.handle_bytes(now, on, &mut text("4x"));
    hub.handle_eof(now, on);
    hub.handle_writable(now, on);
    hub.transmit(now, on, |_| panic!("there is no such connection"));
    hub.handle_lost(now, on);
    hub.pause(session);
    hub.close_session(now, session);
    hub.abort_session(session);
    assert!(!hub.is_reading(on) && hub.session(session).is_none());
    assert!(matches!(hub.send(session, "x").unwrap_err().reason, SendError::Closed));
    world.drain();
    assert_eq!(world.log.len(), before);
    assert!(world.hub.is_reading(next));
    assert!(world.hub.session(next_session).unwrap().is_open());
}

#[test]
fn closing_the_hub_lets_everything_out_and_ends_everything() {
    let mut world = World::new();
    let (session, on) = world.open_websocket();
    let polls = world.accept();
    let (_, query) = world.open_polling(polls);
    let idle = world.accept();
    world.let_out(on, 0);
    for message in ["first", "last"] {
        world.hub.send(session, message).unwrap();
        world.drain();
    }
    assert_eq!(world.get(polls, &query), "");
    world.hub.close(world.now);
    world.drain();
    assert!(world.take(polls).ends_with("\r\n\r\n1"));
    let early = world.accept();
    let waiting = [idle, polls, early];
    assert!(waiting.iter().all(|on| !world.sockets[on].shut_down), "a session lives");
    assert!(!world.hub.is_finished());
    world.let_out(on, usize::MAX);
    assert!(waiting.iter().all(|on| world.sockets[on].shut_down), "the last one has gone");
    assert!(world.take(on).starts_with("\u{1}\u{6}4first\u{1}\u{5}4last\u{8}"));
    assert_eq!(world.events().len(), 2);
    let late = world.accept();
    assert!(world.socket(late).shut_down);
    world.pass(seconds(2));
    assert!(world.hub.is_finished());
    assert!(world.sockets.values().all(|socket| socket.closed));
    world.assert_empty();
}

#[test]
fn the_end_of_a_session_drives_other_connections_only_if_it_is_the_last_of_a_closing_hub() {
    let mut world = World::new();
    let idle = world.accept();
    let drives = format!("Write({idle:?})");
    let times = |world: &World| world.log.iter().filter(|line| line.ends_with(&drives)).count();
    let (_, on) = world.open_websocket();
    world.hub.handle_lost(world.now, on);
    world.drain();
    assert_eq!((world.hub.sessions(), times(&world)), (0, 0), "the hub goes on");
    let sessions = [(); 2].map(|()| {
        let (session, on) = world.open_websocket();
        world.let_out(on, 0);
        for message in ["written", "queued"] {
            world.hub.send(session, message).unwrap();
            world.drain();
        }
        session
    });
    world.hub.close(world.now);
    for (session, expected) in sessions.into_iter().zip([0, 1]) {
        world.drain();
        assert_eq!(times(&world), 0, "a session lives");
        world.hub.abort_session(session);
        world.drain();
        assert_eq!(times(&world), expected);
    }
    assert!(world.socket(idle).shut_down);
}

#[test]
fn a_client_that_polls_gets_what_was_queued_when_the_hub_closed() {
    let mut world = World::new();
    let on = world.accept();
    let (session, query) = world.open_polling(on);
    assert_eq!(world.get(on, &query), "");
    world.hub.send(session, "one").unwrap();
    world.drain();
    assert!(world.take(on).ends_with("\r\n\r\n4one"));
    world.hub.send(session, "two").unwrap();
    world.hub.close(world.now);
    world.drain();
    let refused = world.accept();
    assert!(world.get(refused, "transport=polling").starts_with("HTTP/1.1 503 "));
    assert!(world.get(on, &query).ends_with("\r\n\r\n4two"));
    assert!(!world.socket(on).shut_down, "it has not been told of the end");
    assert!(world.get(on, &query).ends_with("\r\n\r\n6\u{1e}1"));
    assert!(world.socket(on).shut_down && world.socket(refused).shut_down);
    world.pass(seconds(2));
    assert!(world.hub.is_finished());
    world.assert_empty();
}

#[test]
fn a_client_that_never_polls_again_holds_a_closing_hub_for_as_long_as_a_close_may_take() {
    let mut world = World::new();
    let on = world.accept();
    let (session, _) = world.open_polling(on);
    world.hub.send(session, "lost").unwrap();
    world.hub.close(world.now);
    world.drain();
    world.pass(seconds(29));
    assert!(!world.socket(on).shut_down);
    world.pass(seconds(3));
    assert!(world.hub.is_finished());
    world.assert_empty();
}

#[test]
fn no_session_opens_while_the_hub_closes() {
    let mut world = World::new();
    let on = world.accept();
    let (session, query) = world.open_polling(on);
    world.hub.send(session, "x").unwrap();
    world.hub.close(world.now);
    // A poll takes what waits, and a handshake is behind it.
    let handshake = request("GET", "transport=polling", "");
    world.bytes(on, [request("GET", &query, ""), handshake].concat());
    let answers = world.take(on);
    assert!(answers.contains("\r\n\r\n4xHTTP/1.1 503 "), "{answers}");
}

#[test]
fn aborting_the_hub_waits_for_nobody() {
    let mut world = World::new();
    let (_, on) = world.open_websocket();
    let polls = world.accept();
    world.open_polling(polls);
    world.hub.abort(world.now);
    assert!(!world.hub.is_finished(), "there are events");
    world.drain();
    assert!(world.hub.is_finished() && !world.is_open(on) && !world.is_open(polls));
    assert_eq!(world.events().len(), 2);
    world.assert_empty();
}

#[test]
fn a_post_whose_session_ended_meanwhile_is_still_answered() {
    let mut world = World::new();
    let on = world.accept();
    let (session, query) = world.open_polling(on);
    let post = request("POST", &query, "4hello");
    world.bytes(on, &post[..post.len() - 1]);
    world.hub.abort_session(session);
    world.drain();
    assert_eq!(world.events(), [Event::Closed(CloseReason::ForcedClose)]);
    assert!(world.hub.session(session).is_none() && world.hub.sessions() == 0, "it is over");
    world.bytes(on, &post[post.len() - 1..]);
    assert!(world.take(on).starts_with("HTTP/1.1 400 "));
    assert_eq!(world.hub.sessions(), 0);
}

#[test]
fn debug_tells_no_session_id() {
    let mut world = World::new();
    let on = world.accept();
    let (session, query) = world.open_polling(on);
    let sid = query.split('=').next_back().unwrap().to_string();
    let shown = format!("{:?} {:?}", world.hub, world.hub.session(session));
    assert!(shown.starts_with("ServerHub { sessions: 1, connections: 1"), "{shown}");
    assert!(!shown.contains(&sid) && !world.log.join("\n").contains(&sid[..8]), "{shown}");
}
