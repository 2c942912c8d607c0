//! Cases after what users of other clients reported. `tests/README.md` says which.

use super::*;

/// A world whose client has WebSockets only, in which each write arrives as a whole.
fn websocket() -> (World, Slot) {
    let mut world = World::with(|config| config.engine.transports = vec![TransportKind::WebSocket]);
    let socket = world.socket("/");
    world.told();
    world.seen();
    (world, socket)
}

/// The events among what was seen or told, which are JSON.
fn events(shown: &[String]) -> Vec<&str> {
    shown.iter().map(String::as_str).filter(|shown| shown.starts_with('[')).collect()
}

fn count(shown: &[String], start: &str) -> usize {
    shown.iter().filter(|shown| shown.starts_with(start)).count()
}

#[test]
fn event_is_told_once_however_often_its_socket_has_come_back() {
    let (mut world, socket) = World::connected();
    for round in 0..5 {
        // By itself, and as the application wants it.
        if round % 2 == 0 {
            world.cut();
        } else {
            world.client.disconnect(world.now, socket);
            world.settle();
            world.client.connect(world.now, socket);
        }
        world.pass(2 * SECOND);
        world.told();
        world.server_emits("once");
        assert_eq!(world.told(), [r#"["once"]"#], "{round}");
        world.seen();
        world.emit(socket, "once").unwrap();
        assert_eq!(world.seen(), [r#"["once"]"#], "{round}");
    }
}

#[test]
fn one_connection_is_left_whenever_an_attempt_was_lost() {
    for moves in 0..60 {
        let (mut world, socket) = World::connected();
        world.cut_after = Some(moves);
        world.cut();
        world.pass(60 * SECOND);
        assert!(world.client.is_connected(socket), "{moves}");
        // By now a server has noticed the end of any that it did not see.
        assert_eq!(world.server.engine().sessions(), 1, "{moves}");
        assert_eq!(world.links.len(), 1, "{moves}");
        assert!(world.client.ending.is_empty(), "{moves}");
    }
}

#[test]
fn hundred_losses_leave_nothing() {
    let (mut world, socket) = World::connected();
    for round in 0..100 {
        world.cut_after = Some(round % 40);
        world.cut();
        world.client.emit_with_ack(world.now, socket, "a", &round, SECOND).unwrap();
        world.pass(10 * SECOND);
    }
    world.cut_after = None;
    world.pass(10 * SECOND);
    assert!(world.client.is_connected(socket));
    assert!(world.client.ending.is_empty());
    assert_eq!((world.links.len(), world.client.queued(socket)), (1, 0));
    let told = world.told();
    assert_eq!(count(&told, "ack ") + count(&told, "no ack: "), 100, "each once");
}

#[test]
fn connecting_a_connected_socket_asks_for_nothing() {
    let (mut world, socket) = World::connected();
    for _ in 0..3 {
        world.client.connect(world.now, socket);
        world.pass(SECOND);
    }
    assert!(world.seen().is_empty() && world.told().is_empty());
    assert_eq!(world.server.engine().sessions(), 1);
}

#[test]
fn connecting_while_an_attempt_waits_makes_one_attempt() {
    let (mut world, socket) = World::connected();
    world.cut();
    world.attempts = 0;
    for _ in 0..5 {
        world.client.connect(world.now, socket);
        world.settle();
    }
    world.pass(20 * SECOND);
    assert_eq!(count(&world.seen(), "/ "), 1);
    assert_eq!(world.links.len(), 1);
}

#[test]
fn bytes_of_a_connection_that_was_lost_are_not_told() {
    let (mut world, _socket) = websocket();
    let (&old, _) = world.links.iter().next().unwrap();
    world.cut();
    world.pass(2 * SECOND);
    world.told();
    let mut frame = *b"\x81\x0942[\"old\"]";
    world.client.handle_bytes(world.now, old, &mut frame);
    world.settle();
    assert!(world.told().is_empty());
}

#[test]
fn client_that_wakes_after_hours_notices_it_and_comes_back_by_one_attempt() {
    let (mut world, socket) = World::connected();
    // The server has given it up meanwhile, and no end came through.
    world.links.clear();
    world.now = world.now + 8 * 3600 * SECOND;
    world.client.handle_timeout(world.now);
    world.settle();
    // What lies unread in its sockets may be read first.
    world.pass(60 * SECOND);
    assert_eq!(world.told(), ["disconnected: ping timeout, 0", "1 in 1s", "connected, false"]);
    assert!(world.client.is_connected(socket));
    assert_eq!(count(&world.seen(), "/ "), 1, "one session");
}

#[test]
fn server_that_is_away_for_an_hour_is_found_again() {
    let (mut world, socket) = World::connected();
    world.kill_server();
    world.pass(3600 * SECOND);
    let told = world.told();
    // Each five seconds, and never sooner.
    let failed = count(&told, "failed: ");
    assert!((700..=725).contains(&failed), "{failed}");
    world.is_down = false;
    world.pass(6 * SECOND);
    assert!(world.client.is_connected(socket));
}

#[test]
fn socket_that_left_while_it_waited_connects_when_it_is_told_to() {
    let (mut world, socket) = World::connected();
    world.kill_server();
    world.client.disconnect(world.now, socket);
    world.pass(60 * SECOND);
    world.attempts = 0;
    world.is_down = false;
    world.pass(60 * SECOND);
    assert_eq!(world.attempts, 0, "it has left");
    world.client.connect(world.now, socket);
    world.settle();
    assert!(world.client.is_connected(socket));
}

#[test]
fn socket_that_the_server_disconnected_connects_when_it_is_told_to() {
    let (mut world, socket) = World::connected();
    for _ in 0..3 {
        let key = world.sockets["/"];
        world.server.disconnect(key);
        world.pass(60 * SECOND);
        assert!(!world.client.is_connected(socket), "it does not do so by itself");
        world.client.connect(world.now, socket);
        world.settle();
        assert!(world.client.is_connected(socket));
    }
}

#[test]
fn client_that_is_disconnected_while_it_connects_tries_no_other_transport() {
    let mut world = World::with(|config| config.engine.try_all_transports = true);
    let socket = world.client.open("/", Auth::None).unwrap();
    world.client.connect(world.now, socket);
    let Some(ClientOutput::Connect(on)) = world.client.poll() else { panic!("no attempt") };
    world.client.disconnect(world.now, socket);
    world.client.handle_refused(world.now, on);
    world.pass(60 * SECOND);
    assert_eq!(world.attempts, 0);
    assert!(world.told().is_empty() && world.links.is_empty());
}

#[test]
fn payload_precedes_the_events_that_waited() {
    let mut world = World::new();
    let socket = world.client.open("/", Auth::Ask).unwrap();
    world.client.connect(world.now, socket);
    world.pass(SECOND);
    world.kill_server();
    for name in ["a", "b"] {
        world.emit(socket, name).unwrap();
    }
    world.seen();
    world.is_down = false;
    world.pass(10 * SECOND);
    assert_eq!(world.seen(), [r#"/ {"token":2}"#, r#"["a"]"#, r#"["b"]"#]);
}

#[test]
fn event_arrives_at_most_once_and_in_order_whenever_the_connection_is_lost() {
    for moves in 0..40 {
        let (mut world, socket) = websocket();
        let mut seen = Vec::new();
        for n in 0..60 {
            if n % 7 == 0 {
                world.cut_after = Some(moves);
            }
            world.client.emit(socket, "n", &n).unwrap();
            // Some leave at once, some together with others, some wait for a connection.
            if n % 3 == 0 {
                world.pass(SECOND / 2);
            }
            seen.append(&mut world.seen());
        }
        world.cut_after = None;
        world.pass(60 * SECOND);
        seen.append(&mut world.seen());
        let arrived = events(&seen);
        let number = |event: &&str| event[5..event.len() - 1].parse::<u32>().unwrap();
        let numbers: Vec<_> = arrived.iter().map(number).collect();
        assert!(numbers.is_sorted_by(|a, b| a < b), "{moves}: {numbers:?}");
        assert_eq!(numbers.last(), Some(&59), "{moves}");
        // None is lost without a word.
        let told = world.told();
        let unsent = told.iter().filter(|told| told.starts_with("disconnected: "));
        let unsent: usize =
            unsent.map(|told| told.rsplit(' ').next().unwrap().parse::<usize>().unwrap()).sum();
        assert_eq!(numbers.len() + unsent, 60, "{moves}: {numbers:?} {told:?}");
    }
}

#[test]
fn question_while_there_is_no_connection_is_acknowledged_after_it() {
    let (mut world, socket) = World::connected();
    world.kill_server();
    world.told();
    world.client.emit_with_ack(world.now, socket, "late", &(), 60 * SECOND).unwrap();
    world.pass(2 * SECOND);
    world.is_down = false;
    world.pass(10 * SECOND);
    assert_eq!(world.told().last().map(String::as_str), Some(r#"ack ["late"]"#));
}

#[test]
fn question_of_the_moment_of_connecting_is_acknowledged() {
    let (mut world, _socket) = World::connected();
    world.asks_when_connected = true;
    for round in 0..3 {
        world.cut();
        world.pass(2 * SECOND);
        assert_eq!(events(&world.seen()), [r#"["hello"]"#], "{round}");
        assert_eq!(world.told().last().map(String::as_str), Some(r#"ack ["hello"]"#), "{round}");
    }
}

#[test]
fn event_that_comes_with_the_connection_is_answered_at_once() {
    let mut world = World::new();
    world.greets = true;
    for namespace in ["/", "/a"] {
        world.socket(namespace);
    }
    for round in 0..3 {
        // Each is asked by the event, and emits another.
        assert_eq!(events(&world.seen()), [r#"["state"]"#; 2], "{round}");
        world.cut();
        world.pass(2 * SECOND);
    }
}

#[test]
fn namespace_that_is_opened_again_shares_the_connection() {
    let (mut world, root) = World::connected();
    world.attempts = 0;
    for round in 0..3 {
        let socket = world.socket("/a");
        assert!(world.client.is_connected(socket) && world.client.is_connected(root));
        if round == 1 {
            // The server does it.
            let key = world.sockets["/a"];
            world.server.disconnect(key);
            world.pass(SECOND);
        }
        world.client.disconnect(world.now, socket);
        world.client.release(world.now, socket);
        world.settle();
    }
    assert_eq!((world.attempts, world.links.len()), (0, 1));
}

#[test]
fn socket_connects_while_another_leaves() {
    let (mut world, root) = World::connected();
    world.client.disconnect(world.now, root);
    let other = world.client.open("/a", Auth::None).unwrap();
    world.client.connect(world.now, other);
    world.pass(10 * SECOND);
    assert!(world.client.is_connected(other) && !world.client.is_active(root));
    assert_eq!(world.links.len(), 1);
    assert_eq!(world.seen(), ["left: client namespace disconnect", "/a -"]);
}

#[test]
fn retries_do_not_pile_up_while_there_is_no_connection() {
    let (mut world, socket) = World::connected();
    world.kill_server();
    let event = crate::parser::NamedEvent::new("a", &());
    world.client.send_with_retries(world.now, socket, &event, 3, SECOND).unwrap();
    world.pass(60 * SECOND);
    world.told();
    world.is_down = false;
    world.pass(20 * SECOND);
    assert_eq!(events(&world.seen()), [r#"["a"]"#]);
    assert_eq!(count(&world.told(), "ack "), 1);
}
