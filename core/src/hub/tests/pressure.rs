//! Peers and applications that are slow, and limits.

use super::*;

#[test]
#[cfg_attr(miri, ignore = "takes minutes there")]
fn a_slow_reader_fills_its_queue_and_nothing_else() {
    let mut world = World::new();
    let (session, on) = world.open_websocket();
    world.let_out(on, 0);
    let message = "x".repeat(10_000);
    let mut taken = 0;
    let error = loop {
        match world.hub.send(session, message.as_str()) {
            Ok(()) => taken += 1,
            Err(error) => break error,
        }
        world.drain();
    };
    assert!(matches!(error.reason, SendError::Full { .. }));
    assert_eq!(error.message.len(), 10_000, "it comes back");
    let limit = world.hub.session(session).unwrap().queued();
    assert!(limit >= 1 << 20);
    // What has left the queue is what one write would have taken.
    let left = taken * (10_000 + 64) - limit;
    assert!(left <= 8 * 10_064, "{left} bytes are out of the queue");
    world.let_out(on, usize::MAX);
    assert_eq!(world.events(), [Event::Writable]);
    let frames = world.socket(on).written.len();
    assert_eq!(frames, taken * (10_000 + 4 + 1), "all of it came, once");
    assert_eq!(world.hub.session(session).unwrap().queued(), 0);
}

#[test]
fn a_message_comes_whole_however_little_is_taken_at_a_time() {
    let mut world = World::new();
    let (session, on) = world.open_websocket();
    world.let_out(on, 0);
    for message in ["one", "two", "three"] {
        world.hub.send(session, message).unwrap();
        world.drain();
    }
    for _ in 0..20 {
        world.let_out(on, 1);
    }
    assert_eq!(world.texts(on), ["4one", "4two", "4three"]);
    assert!(world.hub.poll_timeout().is_some());
}

#[test]
fn a_blocked_connection_is_not_looked_after_for_each_message() {
    let mut world = World::new();
    let (session, on) = world.open_websocket();
    world.let_out(on, 0);
    world.hub.send(session, "first").unwrap();
    world.drain();
    let before = world.log.len();
    for _ in 0..10 {
        world.hub.send(session, "more").unwrap();
        world.drain();
    }
    assert_eq!(world.log.len(), before);
}

#[test]
fn a_write_that_the_loop_leaves_out_is_asked_for_again_once_the_connection_is_writable() {
    let mut world = World::new();
    let (session, on) = world.open_websocket();
    world.hub.send(session, "kept").unwrap();
    for _ in 0..2 {
        assert!(matches!(world.hub.poll(), Some(Output::Write(asked)) if asked == on));
        assert!(world.hub.poll().is_none(), "once is enough");
        world.hub.handle_writable(world.now, on);
    }
    world.drain();
    assert_eq!(world.texts(on), ["4kept"]);
    world.hub.handle_writable(world.now, on);
    assert!(world.hub.poll().is_none(), "there is nothing to write");
}

#[test]
fn a_write_that_the_loop_leaves_out_does_not_keep_what_comes_from_being_answered() {
    let mut world = World::echoing();
    let (session, on) = world.open_websocket();
    world.hub.send(session, "kept").unwrap();
    assert!(matches!(world.hub.poll(), Some(Output::Write(_))));
    world.bytes(on, text("4came"));
    assert_eq!(world.texts(on), ["4kept", "4came"]);
}

#[test]
fn a_loop_that_takes_a_part_is_given_nothing_more_before_it_is_writable() {
    let mut world = World::new();
    let (session, on) = world.open_websocket();
    world.hub.send(session, "message").unwrap();
    assert!(matches!(world.hub.poll(), Some(Output::Write(_))));
    for _ in 0..3 {
        let mut calls = 0;
        for _ in 0..2 {
            world.hub.transmit(world.now, on, |_| {
                calls += 1;
                1
            });
        }
        assert_eq!(calls, 1);
        world.hub.handle_writable(world.now, on);
    }
}

#[test]
fn what_is_queued_moves_with_the_session_when_it_upgrades() {
    let mut world = World::new();
    let (polls, socket) = (world.accept(), world.accept());
    let (session, query) = world.open_polling(polls);
    world.hub.send(session, "queued").unwrap();
    world.bytes(socket, upgrade(&query.replace("polling", "websocket")));
    world.take(socket);
    world.bytes(socket, [text("2probe"), text("5")].concat());
    assert_eq!(world.texts(socket), ["3probe", "4queued"]);
}

#[test]
fn a_peer_that_does_not_read_its_answers_is_not_read() {
    let mut world = World::new();
    let on = world.accept();
    world.let_out(on, 10);
    world.get(on, "transport=nothing");
    assert!(!world.hub.is_reading(on));
    world.let_out(on, usize::MAX);
    assert!(world.hub.is_reading(on));
    assert_eq!(world.socket(on).resumed, 1);
}

#[test]
#[cfg_attr(miri, ignore = "takes minutes there")]
fn a_peer_that_pings_without_reading_is_not_read() {
    let mut world = World::new();
    let (_, on) = world.open_websocket();
    world.let_out(on, 0);
    let mut pings = 0;
    while world.hub.is_reading(on) {
        world.bytes(on, frame(9, [0; 125]));
        pings += 1;
    }
    assert!(pings <= 16 * 1024 / 127 + 1, "{pings}");
    world.let_out(on, usize::MAX);
    assert!(world.hub.is_reading(on));
    assert_eq!(world.socket(on).written.len(), pings * 127);
}

#[test]
#[cfg_attr(miri, ignore = "takes minutes there")]
fn a_peer_is_read_until_16_kib_of_pongs_wait_for_it() {
    for (pings, reads) in [(8 * 1024 - 1, true), (8 * 1024, false)] {
        let mut world = World::new();
        let (_, on) = world.open_websocket();
        world.let_out(on, 0);
        // Each pong has two bytes.
        world.bytes(on, frame(9, "").repeat(pings));
        assert_eq!(world.hub.is_reading(on), reads, "{pings} pings");
    }
}

#[test]
fn an_application_that_pauses_a_session_slows_its_peer_down() {
    let mut world = World::with(|config| config.protocol.limits.max_unread = 1000);
    let (session, on) = world.open_websocket();
    world.hub.pause(session);
    let mut sent = 0;
    while world.hub.is_reading(on) {
        world.bytes(on, text(format!("4{:099}", sent)));
        sent += 1;
    }
    assert_eq!((sent, world.events().len()), (1000_usize.div_ceil(163), 0));
    world.hub.resume(session);
    world.drain();
    assert_eq!(world.events().len(), sent);
    assert!(world.hub.is_reading(on));
    assert_eq!(world.socket(on).resumed, 1, "the loop is told");
}

#[test]
fn a_paused_session_still_tells_that_there_is_room_and_that_it_is_over() {
    let mut world = World::with(|config| config.protocol.limits.max_queued = 100);
    let (session, on) = world.open_websocket();
    world.let_out(on, 0);
    // The connection takes the first message, the queue the second.
    for message in ["a", "b", "c"] {
        world.hub.send(session, message.repeat(100)).unwrap();
        world.drain();
        if world.hub.session(session).unwrap().queued() >= 100 {
            break;
        }
    }
    assert!(world.hub.send(session, "full").is_err());
    world.hub.pause(session);
    world.bytes(on, text("4message"));
    assert!(world.events().is_empty());
    world.let_out(on, usize::MAX);
    assert_eq!(world.events(), [Event::Writable]);
    world.hub.handle_lost(world.now, on);
    world.drain();
    let events = world.events();
    assert!(
        matches!(&events[..], [Event::Message(m), Event::Closed(_)] if *m == "message".into()),
        "{events:?}"
    );
    world.assert_empty();
}

#[test]
fn an_application_that_pauses_a_session_withholds_the_answer_to_a_post() {
    let mut world = World::with(|config| config.protocol.limits.max_unread = 100);
    let on = world.accept();
    let (session, query) = world.open_polling(on);
    world.hub.pause(session);
    assert_eq!(world.post(on, &query, &format!("4{:099}", 0)), "");
    world.hub.resume(session);
    world.drain();
    assert!(world.take(on).ends_with("ok"));
}

#[test]
fn what_is_too_large_is_refused_alike_on_every_transport() {
    let mut world = World::with(|config| {
        config.protocol.limits.max_payload = 100;
        config.protocol.limits.max_head = 400;
    });
    let (_, on) = world.open_websocket();
    world.bytes(on, text([b'4'; 101]));
    assert_eq!(&world.take(on)[..4], "\u{8}\u{2}\u{3}q", "1009, its high bit cut off");
    let polls = world.accept();
    let (_, query) = world.open_polling(polls);
    assert!(world.post(polls, &query, &"4".repeat(101)).starts_with("HTTP/1.1 413 "));
    let long = world.accept();
    let answer = world.get(long, &"x".repeat(400));
    assert!(answer.starts_with("HTTP/1.1 414 "), "{answer}");
    assert!(world.socket(long).shut_down);
}

#[test]
fn a_session_that_is_over_takes_no_place() {
    let mut world = World::with(|config| config.max_sessions = 1);
    let (posts, other) = (world.accept(), world.accept());
    let (session, query) = world.open_polling(posts);
    let post = request("POST", &query, "4hello");
    world.bytes(posts, &post[..post.len() - 1]);
    world.hub.abort_session(session);
    world.drain();
    let (next, _) = world.open_polling(other);
    world.hub.handle_lost(world.now, posts);
    world.hub.abort_session(next);
    world.drain();
    assert_eq!(world.hub.sessions(), 0);
    world.open_polling(other);
}

#[test]
fn post_with_an_unfinished_body_is_refused_when_its_session_ends() {
    let mut world = World::new();
    let posts = world.accept();
    let (session, query) = world.open_polling(posts);
    let post = request("POST", &query, "4hello");
    world.bytes(posts, &post[..post.len() - 1]);
    world.hub.abort_session(session);
    world.drain();
    let answer = world.take(posts);
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("\r\nConnection: close\r\n"));
    assert!(world.socket(posts).shut_down);
    // What comes of the body still is no request.
    world.bytes(posts, "oGET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(world.take(posts), "");
    world.assert_lingers(posts);
}

#[test]
fn there_are_no_more_sessions_than_allowed() {
    let mut world = World::with(|config| config.max_sessions = 1);
    let (session, _) = world.open_websocket();
    let on = world.accept();
    assert!(world.get(on, "transport=polling").starts_with("HTTP/1.1 503 "));
    world.hub.abort_session(session);
    world.drain();
    world.open_polling(on);
}

#[test]
fn requests_in_a_row_do_not_empty_a_queue_into_a_connection_that_takes_nothing() {
    let mut world = World::new();
    let on = world.accept();
    let (session, query) = world.open_polling(on);
    world.let_out(on, 0);
    let message = "x".repeat(500_000);
    world.hub.send(session, message.as_str()).unwrap();
    world.hub.send(session, message.as_str()).unwrap();
    world.bytes(on, request("GET", &query, "").repeat(100));
    let mut taken = 2;
    while world.hub.send(session, message.as_str()).is_ok() {
        taken += 1;
        assert!(taken <= 10, "what waits is not counted as queued");
        world.drain();
    }
    // Once the peer reads, all that was taken comes, one answer after the other.
    world.let_out(on, usize::MAX);
    assert_eq!(world.events(), [Event::Writable]);
    world.hub.send(session, "last").unwrap();
    world.drain();
    let written = world.take(on);
    assert!(written.ends_with("4last"));
    assert_eq!(written.matches(&message).count(), taken);
    assert_eq!(world.hub.session(session).unwrap().queued(), 0);
}
