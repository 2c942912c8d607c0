//! Recovery of a socket that was lost.

use super::*;

/// A client whose socket of `/` can be recovered, and has had an event with an offset.
fn recoverable() -> (World, Slot) {
    let mut world = World::new();
    let slot = world.socket("/");
    world.open();
    world.server_sends(r#"0{"sid":"id","pid":"secret"}"#);
    world.server_sends(r#"2["a","PXp1Zx0"]"#);
    world.updates(slot);
    world.lose(&lost(), 0);
    world.pass(SECOND);
    world.updates(slot);
    world.open();
    (world, slot)
}

#[test]
fn lost_socket_asks_for_what_it_has_missed() {
    let (mut world, slot) = recoverable();
    assert_eq!(world.sent(), [r#"0{"pid":"secret","offset":"PXp1Zx0"}"#]);
    // What was missed comes first.
    world.server_sends(r#"2["b","PXp1Zx1"]"#);
    world.server_sends(r#"0{"sid":"id","pid":"secret"}"#);
    assert_eq!(world.updates(slot), [r#"2:["b","PXp1Zx1"]"#, "recovered id"]);
    world.lose(&lost(), 0);
    world.pass(SECOND);
    world.open();
    assert_eq!(world.sent(), [r#"0{"pid":"secret","offset":"PXp1Zx1"}"#]);
}

#[test]
fn socket_that_could_not_be_recovered_begins_anew() {
    let (mut world, slot) = recoverable();
    world.server_sends(r#"0{"sid":"other","pid":"another"}"#);
    assert_eq!(world.updates(slot), ["connected other"]);
    world.lose(&lost(), 0);
    world.pass(SECOND);
    world.sent();
    world.open();
    assert_eq!(world.sent(), [r#"0{"pid":"another"}"#]);
}

#[test]
fn socket_that_has_left_is_not_recovered() {
    for by_server in [false, true] {
        let (mut world, slot) = recoverable();
        world.server_sends(r#"0{"sid":"id","pid":"secret"}"#);
        if by_server {
            world.server_sends("1");
        } else {
            world.disconnect(slot);
        }
        world.lose(&CloseReason::ForcedClose, 0);
        world.connect(slot);
        world.open();
        assert_eq!(world.sent(), ["0"]);
    }
}

#[test]
fn socket_that_was_given_up_and_connects_again_gets_what_it_has_missed() {
    let mut world = World::with(|config| config.reconnect = None);
    let slot = world.socket("/");
    world.open();
    world.server_sends(r#"0{"sid":"id","pid":"secret"}"#);
    world.server_sends(r#"2["a","PXp1Zx0"]"#);
    world.lose(&lost(), 0);
    assert!(matches!(world.manager.end_reason(slot), Some(EndReason::Failed(_))));
    world.updates(slot);
    world.connect(slot);
    world.open();
    world.server_sends(r#"2["b","PXp1Zx1"]"#);
    world.server_sends(r#"0{"sid":"id","pid":"secret"}"#);
    assert_eq!(world.updates(slot), [r#"2:["b","PXp1Zx1"]"#, "recovered id"]);
}

#[test]
fn request_to_recover_is_not_used_for_a_socket_that_has_left() {
    for releases in [false, true] {
        let (mut world, mut slot) = recoverable();
        // It needs the session.
        world.connected_to("/other");
        world.disconnect(slot);
        if releases {
            world.manager.release(world.now, slot, &mut world.session);
            slot = world.manager.open("/", Auth::None).unwrap();
        }
        world.connect(slot);
        world.sent();
        // What the socket has missed that was left is for nobody.
        world.server_sends(r#"2["b","PXp1Zx1"]"#);
        world.server_sends(r#"0{"sid":"id","pid":"secret"}"#);
        assert_eq!(world.sent(), ["1", "0"], "released: {releases}");
        world.server_sends(r#"0{"sid":"new","pid":"another"}"#);
        let updates = world.updates(slot);
        assert_eq!(updates.last().map(|last| &**last), Some("connected new"));
        assert!(!updates.iter().any(|update| update.contains("PXp1Zx1")), "{updates:?}");
    }
}
