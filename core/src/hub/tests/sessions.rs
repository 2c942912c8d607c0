//! Sessions and what carries them.

use super::*;

#[test]
fn a_session_opens_on_either_transport() {
    let mut world = World::new();
    let polling = world.accept();
    let (first, _) = world.open_polling(polling);
    let (second, _) = world.open_websocket();
    assert_ne!(first, second);
    assert_eq!((world.hub.sessions(), world.hub.connections()), (2, 2));
    assert_eq!(world.hub.session(second).unwrap().transport().name(), "websocket");
}

#[test]
fn a_message_is_echoed_over_polling_whichever_connection_brings_it() {
    let mut world = World::echoing();
    let (polls, posts) = (world.accept(), world.accept());
    let (_, query) = world.open_polling(polls);
    assert_eq!(world.get(polls, &query), "", "there is nothing yet");
    assert!(world.post(posts, &query, "4hello").ends_with("\r\n\r\nok"));
    assert!(world.take(polls).ends_with("\r\n\r\n4hello"));
    assert!(world.post(posts, &query, "4a\u{1e}4b").ends_with("\r\n\r\nok"));
    assert!(world.get(polls, &query).ends_with("\r\n\r\n4a\u{1e}4b"));
}

#[test]
fn all_messages_of_one_read_are_answered_in_one_write() {
    let mut world = World::echoing();
    let (_, on) = world.open_websocket();
    let before = world.log.len();
    world.bytes(on, [text("4a"), text("4b"), text("4c")].concat());
    assert_eq!(world.texts(on), ["4a", "4b", "4c"]);
    let writes = world.log[before..].iter().filter(|line| line.contains("Write(")).count();
    assert_eq!(writes, 1, "{:?}", &world.log[before..]);
}

#[test]
fn an_upgrade_moves_the_session_and_loses_nothing() {
    let mut world = World::new();
    let (polls, socket) = (world.accept(), world.accept());
    let (session, query) = world.open_polling(polls);
    assert_eq!(world.get(polls, &query), "");
    world.bytes(socket, upgrade(&query.replace("polling", "websocket")));
    assert!(world.take(socket).ends_with("\r\n\r\n"));
    world.bytes(socket, text("2probe"));
    assert_eq!(world.texts(socket), ["3probe"]);
    assert!(world.take(polls).ends_with("\r\n\r\n6"), "the poll must end");
    world.hub.send(session, "between").unwrap();
    world.drain();
    assert!(world.socket(socket).written.is_empty(), "polling is the transport still");
    world.bytes(socket, text("5"));
    assert_eq!(world.texts(socket), ["4between"]);
    assert_eq!(world.events(), [Event::Upgraded]);
    assert!(world.get(polls, &query).starts_with("HTTP/1.1 400 "));
}

#[test]
fn a_frame_in_the_segment_of_the_handshake_is_not_lost() {
    let mut world = World::echoing();
    let on = world.accept();
    let mut bytes = upgrade("transport=websocket").into_bytes();
    bytes.extend(text("4early"));
    world.bytes(on, &bytes);
    let written = world.take(on);
    let (_, frames) = written.split_once("\r\n\r\n").unwrap();
    assert!(frames.starts_with("\u{1}") && frames.ends_with("4early"), "{written:?}");
    assert_eq!(world.events(), [Event::Message("early".into())]);
}

#[test]
fn a_frame_is_not_lost_behind_an_upgrade_that_came_behind_a_poll() {
    let mut world = World::new();
    let on = world.accept();
    let (_, query) = world.open_polling(on);
    let mut bytes = request("GET", &query, "").into_bytes();
    bytes.extend(upgrade(&query.replace("polling", "websocket")).into_bytes());
    bytes.extend(text("2probe"));
    world.bytes(on, bytes);
    let written = world.take(on);
    assert!(written.contains("\r\n\r\n6HTTP/1.1 101 "), "{written:?}");
    assert!(written.ends_with("3probe"), "{written:?}");
}

#[test]
fn pipelined_requests_are_answered_one_after_the_other() {
    let mut world = World::with(|config| config.ask = true);
    let on = world.accept();
    world.request(on, "GET", "transport=polling", "");
    let ask = world.question();
    let requests =
        [request("GET", "transport=nothing", ""), request("GET", "transport=polling", "")];
    world.bytes(on, requests.concat());
    assert_eq!(world.take(on), "", "the application is asked, and the others wait");
    assert!(world.hub.allow(ask));
    world.drain();
    let answers = world.take(on);
    let bodies: Vec<_> = answers.split("HTTP/1.1 ").skip(1).collect();
    assert_eq!(bodies.len(), 2, "{answers}");
    assert!(bodies[0].contains("0{\"sid\":") && bodies[1].starts_with("400 "), "{answers}");
    let ask = world.question();
    assert!(world.hub.refuse(ask, "no".to_string()));
    world.drain();
    assert!(world.take(on).starts_with("HTTP/1.1 403 "));
}

#[test]
fn request_behind_a_waiting_poll_releases_it() {
    let mut world = World::new();
    let on = world.accept();
    let (_, query) = world.open_polling(on);
    let (get, post) = (request("GET", &query, ""), request("POST", &query, "4posted"));
    // In one read, in two, and byte by byte.
    for size in [usize::MAX, get.len(), 1] {
        let bytes = [get.as_str(), &post, &get].concat();
        for part in bytes.as_bytes().chunks(size.min(bytes.len())) {
            world.bytes(on, part);
        }
        let answers = world.take(on);
        let bodies: Vec<_> = answers.split("HTTP/1.1 ").skip(1).collect();
        assert_eq!(bodies.len(), 2, "{answers}");
        assert!(bodies[0].ends_with("\r\n\r\n6") && bodies[1].ends_with("ok"), "{answers}");
        assert_eq!(world.events(), [Event::Message("posted".into())]);
        // The poll at the end waits, and ends when the next one comes.
        world.bytes(on, &post);
        let answers = world.take(on);
        assert!(answers.contains("\r\n\r\n6HTTP/1.1 200 OK") && answers.ends_with("ok"));
        assert_eq!(world.events(), [Event::Message("posted".into())]);
    }
}

#[test]
fn request_behind_a_poll_during_an_upgrade_releases_it_before_its_delay() {
    let mut world = World::new();
    let (on, socket) = (world.accept(), world.accept());
    let (_, query) = world.open_polling(on);
    world.bytes(socket, upgrade(&query.replace("polling", "websocket")));
    world.bytes(socket, text("2probe"));
    world.bytes(on, [request("GET", &query, ""), request("POST", &query, "4x")].concat());
    assert!(world.take(on).ends_with("ok"));
    world.bytes(socket, text("5"));
    assert_eq!(world.events(), [Event::Message("x".into()), Event::Upgraded]);
}

#[test]
fn how_the_bytes_are_cut_makes_no_difference() {
    let mut results = BTreeSet::new();
    for size in [1, 2, 7, usize::MAX] {
        let mut world = World::echoing();
        let on = world.accept();
        let mut bytes = request("GET", "transport=polling", "").into_bytes();
        bytes.extend(request("GET", "transport=none", "").into_bytes());
        bytes.extend(upgrade("transport=websocket").into_bytes());
        bytes.extend([text("4a"), frame(9, "ping"), frame(2, "b")].concat());
        for part in bytes.chunks(size.min(bytes.len())) {
            world.bytes(on, part);
        }
        let events = world.events();
        results.insert((world.take(on), format!("{events:?}")));
    }
    // When frames are answered one by one, a pong goes between the echoes.
    assert!(results.len() <= 2, "{results:?}");
    let events: BTreeSet<_> = results.iter().map(|(_, events)| events).collect();
    assert_eq!(events.len(), 1);
}

#[test]
fn a_broadcast_reaches_every_session() {
    let mut world = World::new();
    let (first, on) = world.open_websocket();
    let polls = world.accept();
    let (second, query) = world.open_polling(polls);
    let message = crate::Encoded::shared("all");
    for session in [first, second] {
        world.hub.send(session, message.clone()).unwrap();
    }
    world.drain();
    assert_eq!(world.texts(on), ["4all"]);
    assert!(world.get(polls, &query).ends_with("\r\n\r\n4all"));
}

#[test]
fn refused_upgrade_closes_the_connection() {
    let mut world = World::with(|config| config.protocol.allow_upgrades = false);
    let polls = world.accept();
    let (_, query) = world.open_polling(polls);
    let of_session = query.replace("polling", "websocket");
    let of_none = "transport=websocket&sid=AAAAAAAAAAAAAAAAAAAA".to_string();
    for query in [of_session, query, of_none, "transport=nothing".to_string()] {
        let on = world.accept();
        world.bytes(on, upgrade(&query));
        let answer = world.take(on);
        assert!(answer.starts_with("HTTP/1.1 400 "), "{query}: {answer}");
        assert!(answer.contains("\r\nConnection: close\r\n"), "{query}: {answer}");
        assert!(world.socket(on).shut_down);
        // What may have been sent behind the handshake is no request.
        world.bytes(on, text("2probe"));
        assert_eq!(world.take(on), "");
        world.hub.handle_eof(world.now, on);
        world.drain();
        assert!(!world.is_open(on));
    }
}

#[test]
fn upgrade_that_the_application_refuses_closes_the_connection() {
    let mut world = World::with(|config| config.ask = true);
    let on = world.accept();
    world.bytes(on, upgrade("transport=websocket"));
    let ask = world.question();
    assert!(world.hub.refuse(ask, "no".to_string()));
    world.drain();
    let answer = world.take(on);
    assert!(answer.starts_with("HTTP/1.1 403 ") && answer.contains("\r\nConnection: close\r\n"));
    assert!(world.socket(on).shut_down);
}

#[test]
fn first_offered_subprotocol_comes_back_from_both_kinds_of_handshake() {
    let mut world = World::new();
    let polls = world.accept();
    let (_, query) = world.open_polling(polls);
    for query in ["transport=websocket".to_string(), query.replace("polling", "websocket")] {
        let offering = |value: &str| {
            let field = format!("Sec-WebSocket-Protocol: {value}\r\nUpgrade:");
            upgrade(&query).replace("Upgrade:", &field)
        };
        let bad = world.accept();
        world.bytes(bad, offering("chat,"));
        assert!(world.take(bad).starts_with("HTTP/1.1 400 "));
        let on = world.accept();
        world.bytes(on, offering("v2.chat, chat"));
        let answer = world.take(on);
        assert!(answer.starts_with("HTTP/1.1 101 "));
        assert!(answer.contains("\r\nSec-WebSocket-Protocol: v2.chat\r\n"), "{answer}");
    }
}

#[test]
fn sessions_are_listed_by_index_until_their_end_was_taken() {
    let mut world = World::new();
    let ids: Vec<_> = (0..3).map(|_| world.open_websocket().0).collect();
    let listed = |world: &World| world.hub.session_ids().collect::<Vec<_>>();
    assert_eq!(listed(&world), ids);
    assert_eq!(ids.iter().map(|id| id.index()).collect::<Vec<_>>(), [0, 1, 2]);
    world.hub.abort_session(ids[1]);
    assert_eq!(listed(&world), ids, "its end was not taken");
    world.drain();
    assert_eq!(listed(&world), [ids[0], ids[2]]);
    assert_eq!(world.hub.sessions(), 2);
    // Its number is free again.
    let (next, _) = world.open_websocket();
    assert_eq!(next.index(), 1);
    assert_eq!(listed(&world), [ids[0], next, ids[2]]);
}

#[test]
fn responses_have_a_date_once_the_wall_clock_is_set() {
    let mut world = World::new();
    let on = world.accept();
    assert!(!world.get(on, "transport=polling").contains("\r\nDate: "));
    // Dates count whole seconds of the hub's clock.
    world.now = Time::from_millis(1000);
    world.hub.set_wall_clock(world.now, seconds(784_111_775));
    world.now = world.now + seconds(2);
    let answer = world.get(on, "transport=polling");
    // The example of RFC 9110 section 5.6.7.
    assert!(answer.contains("\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"), "{answer}");
}
