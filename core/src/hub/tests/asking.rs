//! An application that is asked whether a session may open.

use super::*;

fn asking() -> World {
    World::with(|config| config.ask = true)
}

#[test]
fn a_handshake_waits_for_the_answer() {
    let mut world = asking();
    let on = world.accept();
    assert_eq!(world.get(on, "transport=polling&token=a"), "");
    let (ask, asked, head) = world.asked.pop().unwrap();
    assert_eq!((asked, head.query()), (on, "EIO=4&transport=polling&token=a"));
    assert_eq!((world.hub.sessions(), world.opened.len()), (0, 0));
    world.pass(seconds(100));
    assert!(world.hub.allow(ask));
    world.drain();
    assert!(world.take(on).contains("0{\"sid\":"));
    assert_eq!(world.opened.len(), 1);
    assert!(!world.hub.allow(ask), "it has been answered");
}

#[test]
fn a_handshake_on_a_websocket_waits_with_what_comes_behind_it() {
    let mut world = asking();
    world.echoes = true;
    let on = world.accept();
    let mut bytes = upgrade("transport=websocket").into_bytes();
    bytes.extend(text("4early"));
    world.bytes(on, bytes);
    world.bytes(on, text("4later"));
    assert_eq!(world.take(on), "");
    let ask = world.question();
    assert!(world.hub.allow(ask));
    world.drain();
    let written = world.take(on);
    assert!(written.starts_with("HTTP/1.1 101 "), "{written:?}");
    assert!(written.contains("4early") && written.ends_with("4later"), "{written:?}");
}

#[test]
fn a_refusal_says_why() {
    let mut world = asking();
    let on = world.accept();
    world.get(on, "transport=polling");
    let ask = world.question();
    assert!(world.hub.refuse(ask, "not you"));
    world.drain();
    let answer = world.take(on);
    assert!(answer.starts_with("HTTP/1.1 403 Forbidden\r\n"), "{answer}");
    assert!(answer.ends_with(r#"{"code":4,"message":"not you"}"#), "{answer}");
    // The connection is as good as before.
    world.get(on, "transport=polling");
    assert_eq!(world.asked.len(), 1);
}

#[test]
fn an_answer_for_a_connection_that_is_gone_does_nothing() {
    let mut world = asking();
    let on = world.accept();
    world.get(on, "transport=polling");
    let ask = world.question();
    world.hub.handle_lost(world.now, on);
    let next = world.accept();
    assert_eq!(on.index(), next.index(), "the place is used again");
    world.get(next, "transport=polling");
    assert!(!world.hub.allow(ask));
    world.drain();
    assert_eq!((world.take(next), world.hub.sessions()), (String::new(), 0));
}

#[test]
fn an_answer_to_a_question_decides_no_later_one_on_the_same_connection() {
    let mut world = asking();
    let on = world.accept();
    world.get(on, "transport=polling");
    let first = world.question();
    assert!(world.hub.refuse(first, "not you"));
    world.drain();
    assert!(world.take(on).starts_with("HTTP/1.1 403 "));
    world.get(on, "transport=polling");
    let second = world.question();
    assert!(!world.hub.allow(first) && !world.hub.refuse(first, ""), "it is about the first");
    world.drain();
    assert_eq!((world.take(on), world.hub.sessions()), (String::new(), 0));
    assert!(world.hub.allow(second));
    world.drain();
    assert!(world.take(on).starts_with("HTTP/1.1 200 "));
}

#[test]
fn the_first_answer_counts() {
    let mut world = asking();
    let on = world.accept();
    world.get(on, "transport=polling");
    let ask = world.question();
    assert!(world.hub.refuse(ask, "not you"));
    assert!(!world.hub.allow(ask));
    world.drain();
    assert!(world.take(on).starts_with("HTTP/1.1 403 "));
    assert_eq!(world.hub.sessions(), 0);
}

#[test]
fn nobody_is_asked_about_what_is_refused_anyway() {
    let mut world = asking();
    let on = world.accept();
    for query in ["transport=nothing", "transport=websocket", "transport=polling&sid=x"] {
        assert!(world.get(on, query).starts_with("HTTP/1.1 400 "));
    }
    assert!(world.asked.is_empty());
}

#[test]
fn an_answer_that_comes_when_there_is_no_room_any_more_opens_nothing() {
    let mut world = World::with(|config| {
        config.ask = true;
        config.max_sessions = 1;
    });
    let (first, second) = (world.accept(), world.accept());
    for on in [first, second] {
        world.get(on, "transport=polling");
        let ask = world.question();
        assert!(world.hub.allow(ask));
    }
    world.drain();
    assert!(world.take(first).starts_with("HTTP/1.1 200 "));
    assert!(world.take(second).starts_with("HTTP/1.1 503 "));
}
