//! Ends of sockets and of the manager, in every state.

use super::*;

#[test]
fn disconnecting_is_final_in_every_state() {
    // Before it is connected, with a session on its way, open, asked for, connected, lost.
    for state in 0..6 {
        let mut world = World::new();
        let slot = world.manager.open("/", Auth::None).unwrap();
        if state > 0 {
            world.connect(slot);
        }
        if state > 1 {
            assert_eq!(world.events(), ["open"]);
            world.session = Some(Wire::default());
        }
        if state > 2 {
            world.manager.handle_opened(world.now, None, &mut world.session);
        }
        if state > 3 {
            world.server_connects("/");
        }
        if state > 4 {
            world.lose(&lost(), 0);
        }
        world.updates(slot);
        world.disconnect(slot);
        assert_eq!(world.disconnect(slot), 0, "once is enough");
        assert_eq!(world.manager.end_reason(slot), Some(&EndReason::Left), "{state}");
        assert!(!world.manager.is_active(slot));
        let told =
            if state == 4 { vec!["disconnected: client namespace disconnect"] } else { vec![] };
        assert_eq!(world.updates(slot), told, "{state}");
        if world.session.is_some() {
            assert!(world.is_closing(), "{state}");
            world.lose(&CloseReason::ForcedClose, 0);
        }
        world.pass(1000 * SECOND);
        assert!(world.events().is_empty(), "{state}");
        assert_eq!(world.emit(slot, "a"), Err(EmitError::Disconnected));
        // Until the application wants otherwise.
        world.connect(slot);
        assert_eq!(world.events(), ["open"], "{state}");
        assert_eq!(world.manager.end_reason(slot), None);
    }
}

#[test]
fn what_was_queued_leaves_before_the_server_is_told() {
    let (mut world, slot) = World::connected();
    world.lose(&lost(), 0);
    world.emit(slot, "a").unwrap();
    world.pass(SECOND);
    world.open();
    world.wire().room = Some(0);
    world.server_connects("/");
    assert_eq!(world.sent(), ["0"]);
    assert_eq!(world.disconnect(slot), 0, "it is on its way");
    assert!(!world.is_closing());
    world.set_room(None);
    assert_eq!(world.sent(), [r#"2["a"]"#, "1"]);
    assert!(world.is_closing());
}

#[test]
fn session_that_takes_nothing_is_closed_in_the_end() {
    let (mut world, slot) = World::connected();
    world.wire().room = Some(0);
    world.disconnect(slot);
    assert!(!world.is_closing());
    assert_eq!(world.manager.poll_timeout(), Some(world.now + 10 * SECOND));
    world.pass(10 * SECOND);
    assert!(world.is_closing());
    assert_eq!(world.manager.poll_timeout(), None);
}

#[test]
fn session_has_a_grace_period_for_what_is_queued_if_the_process_did_not_run() {
    for takes_it in [true, false] {
        let (mut world, slot) = World::connected();
        world.wire().room = Some(0);
        world.disconnect(slot);
        world.pause(50 * SECOND);
        assert!(!world.is_closing());
        assert_eq!(world.manager.poll_timeout(), Some(world.now + 20 * SECOND));
        if takes_it {
            world.set_room(None);
            assert_eq!(world.sent(), ["1"]);
        } else {
            world.pass(20 * SECOND);
        }
        assert!(world.is_closing());
    }
    // What it takes comes ahead of the timer.
    let (mut world, root) = World::connected();
    let slot = world.connected_to("/a");
    world.wire().room = Some(0);
    world.disconnect(root);
    world.disconnect(slot);
    world.now = world.now + 50 * SECOND;
    world.set_room(Some(1));
    assert!(!world.is_closing());
    world.set_room(None);
    assert_eq!(world.sent(), ["1", "1/a,"]);
    assert!(world.is_closing());
}

#[test]
fn socket_that_leaves_before_the_response_tells_the_server_afterwards() {
    let (mut world, _root) = World::connected();
    let slot = world.socket("/a");
    world.sent();
    world.disconnect(slot);
    assert!(world.sent().is_empty(), "some servers close the connection for it");
    world.server_sends("2/a,[\"early\"]");
    world.server_connects("/a");
    assert_eq!(world.sent(), ["1/a,"]);
    assert!(world.updates(slot).is_empty());
}

#[test]
fn socket_that_leaves_and_comes_back_before_the_response_takes_that() {
    for releases in [false, true] {
        let (mut world, _root) = World::connected();
        let mut slot = world.socket("/a");
        world.sent();
        if releases {
            world.manager.release(world.now, slot, &mut world.session);
            assert_eq!(world.manager.namespace(slot), None);
            slot = world.manager.open("/a", Auth::None).unwrap();
        } else {
            world.disconnect(slot);
        }
        world.connect(slot);
        assert!(world.sent().is_empty());
        world.server_connects("/a");
        assert_eq!(world.updates(slot), ["connected id"]);
    }
}

#[test]
fn server_may_disconnect_a_socket_which_then_stays_so() {
    let (mut world, root) = World::connected();
    let slot = world.connected_to("/a");
    world.ask(slot, "a", SECOND).unwrap();
    world.server_sends("1/a,");
    assert_eq!(world.updates(slot), ["disconnected: server namespace disconnect"]);
    let failed = "no ack 0: the socket was disconnected: server namespace disconnect";
    assert_eq!(world.events(), [failed]);
    assert_eq!(world.manager.end_reason(slot), Some(&EndReason::ServerLeft));
    assert!(world.manager.is_connected(root) && !world.is_closing());
    // Late packets of the socket that was.
    world.server_sends("2/a,[\"late\"]");
    world.server_sends("1/a,");
    assert!(world.updates(slot).is_empty());
    world.lose(&lost(), 0);
    world.pass(SECOND);
    world.open();
    assert_eq!(world.sent(), ["0"], "only the other comes back");
}

#[test]
fn socket_that_was_disconnected_and_connects_again_gets_nothing_of_the_one_before() {
    for by_server in [false, true] {
        let (mut world, _root) = World::connected();
        let slot = world.connected_to("/a");
        if by_server {
            world.server_sends("1/a,");
        } else {
            world.disconnect(slot);
            assert_eq!(world.sent(), ["1/a,"]);
        }
        world.connect(slot);
        assert_eq!(world.sent(), ["0/a,"]);
        world.server_sends("2/a,[\"late\"]");
        world.server_connects("/a");
        world.server_sends("2/a,[\"new\"]");
        assert_eq!(world.updates(slot)[1..], ["connected id", r#"2:["new"]"#], "{by_server}");
        assert_eq!(world.released(), world.cost);
    }
}

#[test]
fn place_of_a_released_socket_is_that_of_the_next() {
    let mut world = World::new();
    let first = world.manager.open("/a", Auth::None).unwrap();
    world.manager.release(world.now, first, &mut world.session);
    let next = world.manager.open("/b", Auth::None).unwrap();
    assert_eq!(next.index, first.index);
    assert_eq!((world.manager.namespace(first), world.manager.namespace(next)), (None, Some("/b")));
}

#[test]
fn manager_closes_all_and_tells_what_has_not_left() {
    let (mut world, root) = World::connected();
    let slot = world.socket("/a");
    for name in ["a", "b"] {
        world.emit(slot, name).unwrap();
    }
    world.retry(slot, "c").unwrap();
    world.sent();
    world.close();
    assert_eq!(world.sent(), ["1"]);
    assert!(world.is_closing());
    world.lose(&CloseReason::ForcedClose, 4);
    let failed = "no ack 0: the event was not sent";
    assert_eq!(world.events(), [failed, "closed, 7 unsent"]);
    for slot in [root, slot] {
        world.connect(slot);
        assert_eq!(world.emit(slot, "d"), Err(EmitError::Disconnected));
    }
    assert!(world.manager.open("/b", Auth::None).is_none());
    world.close();
    world.pass(100 * SECOND);
    assert!(world.events().is_empty());
}

#[test]
fn manager_without_a_session_is_closed_at_once() {
    let mut world = World::new();
    let slot = world.socket("/");
    world.emit(slot, "a").unwrap();
    // The session was asked for, and nobody has looked.
    world.close();
    assert_eq!(world.events(), ["closed, 1 unsent"]);
}

#[test]
fn socket_that_was_released_leaves_its_place_and_its_name() {
    let (mut world, slot) = World::connected();
    world.server_sends("2[\"unread\"]");
    world.manager.release(world.now, slot, &mut world.session);
    assert_eq!(world.released(), world.cost);
    assert!(world.updates(slot).is_empty());
    assert_eq!(world.emit(slot, "a"), Err(EmitError::Disconnected));
    let next = world.manager.open("/", Auth::None).unwrap();
    assert_ne!(next, slot);
    assert!(world.manager.id(slot).is_none());
}

#[test]
fn request_of_another_payload_is_not_taken() {
    for refused in [false, true] {
        let (mut world, _root) = World::connected();
        let auth = |user: &str| Auth::Payload(Payload::new(user).unwrap());
        let first = world.manager.open("/a", auth("ann")).unwrap();
        world.connect(first);
        assert_eq!(world.sent(), ["0/a,\"ann\""]);
        world.manager.release(world.now, first, &mut world.session);
        let second = world.manager.open("/a", auth("bob")).unwrap();
        world.connect(second);
        assert!(world.sent().is_empty() && world.manager.is_active(second));
        if refused {
            world.server_sends("4/a,{\"message\":\"ann may not\"}");
            assert_eq!(world.sent(), ["0/a,\"bob\""]);
        } else {
            world.server_connects("/a");
            assert_eq!(world.sent(), ["1/a,", "0/a,\"bob\""]);
        }
        assert!(world.updates(second).is_empty());
        world.server_connects("/a");
        assert_eq!(world.updates(second), ["connected id"]);
    }
}

#[test]
fn place_that_is_free_does_not_hide_a_request_that_is_under_way() {
    let (mut world, _root) = World::connected();
    let freed = world.socket("/x");
    let leaving = world.socket("/a");
    world.sent();
    for slot in [leaving, freed] {
        world.manager.release(world.now, slot, &mut world.session);
    }
    world.server_connects("/x");
    world.sent();
    let slot = world.manager.open("/a", Auth::None).unwrap();
    world.connect(slot);
    assert!(world.sent().is_empty(), "the server has not responded to the last");
    world.server_connects("/a");
    assert_eq!(world.updates(slot), ["connected id"]);
}

#[test]
fn socket_that_comes_back_stops_the_close_of_its_session() {
    let (mut world, root) = World::connected();
    world.wire().room = Some(0);
    let slot = world.socket("/a");
    world.disconnect(slot);
    world.disconnect(root);
    assert_eq!(world.manager.poll_timeout(), Some(world.now + 10 * SECOND));
    world.connect(slot);
    world.pass(10 * SECOND);
    assert!(!world.is_closing());
    assert_eq!(world.manager.poll_timeout(), Some(world.now + 50 * SECOND), "the response is due");
}

#[test]
fn disconnection_of_the_connection_before_does_not_end_the_request() {
    let (mut world, _root) = World::connected();
    let slot = world.connected_to("/a");
    world.disconnect(slot);
    world.connect(slot);
    world.server_sends("1/a,");
    world.server_connects("/a");
    assert!(world.manager.is_connected(slot));
}

#[test]
fn session_that_is_lost_when_no_socket_needs_it_is_no_failure() {
    let (mut world, slot) = World::connected();
    world.wire().room = Some(0);
    world.disconnect(slot);
    assert!(!world.is_closing(), "what waits has not left");
    world.lose(&lost(), 0);
    assert_eq!((world.manager.failures(), world.manager.last_failure()), (0, None));
    assert_eq!(world.manager.poll_timeout(), None);
    world.connect(slot);
    assert_eq!(world.events(), ["open"]);
}

#[test]
fn socket_that_follows_one_that_was_released_gets_nothing_of_it() {
    let (mut world, _root) = World::connected();
    let slot = world.connected_to("/a");
    world.manager.release(world.now, slot, &mut world.session);
    let slot = world.socket("/a");
    assert_eq!(world.sent(), ["1/a,", "0/a,"]);
    world.server_sends("2/a,[\"late\"]");
    world.server_sends("1/a,");
    assert!(world.manager.is_active(slot));
    world.server_connects("/a");
    world.server_sends("2/a,[\"new\"]");
    assert_eq!(world.updates(slot), ["connected id", r#"1:["new"]"#]);
    assert_eq!(world.released(), world.cost);
}

#[test]
fn socket_that_follows_another_payload_gets_nothing_of_its_connection() {
    let (mut world, _root) = World::connected();
    let first = world.socket("/a");
    world.manager.release(world.now, first, &mut world.session);
    let auth = Auth::Payload(Payload::new("bob").unwrap());
    let second = world.manager.open("/a", auth).unwrap();
    world.connect(second);
    world.server_connects("/a");
    world.server_sends("2/a,[\"late\"]");
    world.server_sends("1/a,");
    world.server_connects("/a");
    assert_eq!(world.updates(second), ["connected id"]);
}

#[test]
fn response_to_a_request_of_another_payload_is_not_waited_for_beyond_the_deadline() {
    let (mut world, _root) = World::connected();
    let first = world.socket("/a");
    world.manager.release(world.now, first, &mut world.session);
    let auth = Auth::Payload(Payload::new("bob").unwrap());
    let second = world.manager.open("/a", auth).unwrap();
    world.connect(second);
    assert_eq!(world.manager.poll_timeout(), Some(world.now + 60 * SECOND));
    world.wire().is_unread = true;
    world.pass(60 * SECOND);
    assert_eq!(world.manager.poll_timeout(), Some(world.now + 60 * SECOND));
    world.wire().is_unread = false;
    world.pass(60 * SECOND);
    assert_eq!(world.manager.fault(), Some(&Fault::NoResponse));
}

#[test]
fn socket_that_is_not_connected_when_the_response_comes_gets_nothing_of_that_connection() {
    let (mut world, _root) = World::connected();
    let first = world.socket("/a");
    world.manager.release(world.now, first, &mut world.session);
    let second = world.manager.open("/a", Auth::None).unwrap();
    world.server_connects("/a");
    world.connect(second);
    assert_eq!(world.sent(), ["0/a,", "1/a,", "0/a,"]);
    world.server_sends("2/a,[\"late\"]");
    world.server_sends("1/a,");
    world.server_connects("/a");
    assert_eq!(world.updates(second), ["connected id"]);
}
