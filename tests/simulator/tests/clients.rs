//! Clients of Socket.IO in any weather, with a server that restarts.

use std::{cell::Cell, time::Duration};

use enginewire_simulator::{
    Log, Random, replay_many,
    socketio::{ClientManner, ClientSabotage, ClientTotals, ClientWorld},
};

/// Six clients for ten minutes.
fn run(seed: u64, came: &Cell<ClientTotals>) -> Log {
    let mut random = Random::new(seed);
    let manner = ClientManner {
        talks: random.size(2),
        acts: random.size(2),
        restarts: random.below(100),
        leaves: random.below(300),
        badness: [0, 200, 600][random.size(3) - 1],
    };
    let mut world = ClientWorld::new(random.next(), manner);
    for _ in 0..6 {
        world.connect();
        world.run_for(random.shorter(Duration::from_millis(100)));
    }
    world.run_for(Duration::from_secs(600));
    world.rest();
    let (log, totals) = world.finish();
    came.set(came.get() + totals);
    log
}

#[test]
fn any_clients_in_any_weather() {
    let came = Cell::default();
    replay_many(6, |seed| run(seed, &came));
    let totals = came.get();
    println!("{totals:?}");
    if std::env::var_os("SEED").is_some() {
        // One world need not have all that many have.
        return;
    }
    let ClientTotals { connected, disconnected, arrived, again, lost, received, .. } = totals;
    let ClientTotals { acknowledged, failed, restarts, .. } = totals;
    for (what, came) in [
        ("connected", connected),
        ("disconnected", disconnected),
        ("events of clients", arrived),
        ("events that came again", again),
        ("events that were lost", lost),
        ("events for clients", received),
        ("acknowledged", acknowledged),
        ("not acknowledged in time", failed[0]),
        ("not acknowledged at the end", failed[1]),
        ("restarts", restarts),
    ] {
        assert!(came > 0, "nothing: {what}");
    }
}

/// A world without faults but the one that is planted.
fn sabotaged(sabotage: ClientSabotage) {
    let manner = ClientManner { talks: 2, acts: 2, ..ClientManner::default() };
    let mut world = ClientWorld::new(1, manner);
    world.sabotage(sabotage);
    (0..5).for_each(|_| world.connect());
    world.run_for(Duration::from_secs(20));
    world.rest();
    world.finish();
}

#[test]
#[should_panic = "arrives twice"]
fn event_that_arrives_twice_is_found() {
    sabotaged(ClientSabotage::Twice);
}

#[test]
#[should_panic = "and has not come"]
fn event_that_is_acknowledged_and_lost_is_found() {
    sabotaged(ClientSabotage::Lost);
}

#[test]
#[should_panic = "is waited for beyond its deadline"]
fn acknowledgement_that_the_application_is_not_told_of_is_found() {
    sabotaged(ClientSabotage::Deaf);
}

#[test]
#[should_panic = "twice or out of order"]
fn event_of_the_server_that_comes_twice_is_found() {
    sabotaged(ClientSabotage::Again);
}
