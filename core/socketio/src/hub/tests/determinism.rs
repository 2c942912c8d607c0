//! The same inputs give the same outputs, byte for byte.

use super::*;
use crate::adapter::RecoveryConfig;

/// A life with something of everything.
fn run(is_late: bool) -> (Vec<String>, Vec<Vec<String>>) {
    let mut world = World::with(|config| config.recovery = Some(RecoveryConfig::default()));
    let mut log = Vec::new();
    let mut peers = Vec::new();
    for n in 0..20 {
        let peer = world.connect(["/", "/a", "/b"][n % 3]);
        for room in ["x", "y", "z"].iter().take(n % 4) {
            world.hub.join(peer.key, room);
        }
        peers.push(peer);
    }
    world.is_stuck = is_late;
    for (n, peer) in peers.clone().into_iter().enumerate() {
        let namespace = world.hub.namespace(peer.key).unwrap().to_string();
        world.says(peer.on, &packet("2", &namespace, &format!(r#"["event",{n}]"#)));
        let rooms = Target::all().to("x").to("z").except("y");
        world.hub.broadcast(&namespace, &rooms, "some", &n).unwrap();
        world.hub.broadcast_with_ack(world.now, &namespace, &rooms, "q", &n, SECOND).unwrap();
        if n % 5 == 0 {
            world.hub.disconnect(peer.key);
        }
    }
    world.is_stuck = false;
    world.drain();
    let mut seen = world.seen();
    seen.sort();
    log.append(&mut seen);
    let written = peers.iter().map(|peer| world.messages(peer.on)).collect();
    world.pass(2 * SECOND);
    log.extend(world.seen());
    world.end();
    (log, written)
}

#[test]
fn same_inputs_give_the_same_outputs() {
    assert_eq!(run(false), run(false));
}

#[test]
fn outputs_that_are_polled_late_are_the_same() {
    assert_eq!(run(false), run(true));
}
