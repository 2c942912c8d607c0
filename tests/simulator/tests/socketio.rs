//! Worlds of Socket.IO, in which anything may go wrong.

use std::{cell::Cell, time::Duration};

use enginewire_simulator::{
    Log, Random, replay, replay_many,
    socketio::{Manner, Sabotage, SocketWorld, Totals},
};
use enginewire_socketio::{adapter::RecoveryConfig, hub::HubConfig};

fn config(window: Option<Duration>) -> HubConfig {
    let mut config = HubConfig::default();
    config.engine.protocol.limits.max_queued = 20_000;
    config.engine.protocol.limits.max_unread = 20_000;
    config.recovery = window.map(|window| {
        let mut recovery = RecoveryConfig::default();
        recovery.window = window;
        recovery.max_events = 1_000_000;
        recovery.max_bytes = 1 << 30;
        recovery
    });
    config
}

/// Forty clients for a minute, each of another kind.
fn run(seed: u64, came: &Cell<(Totals, u64)>) -> Log {
    let mut random = Random::new(seed);
    let window = random.chance(700).then(|| Duration::from_secs(1 + random.below(120)));
    let mut config = config(window);
    if let Some(recovery) = &mut config.recovery {
        recovery.skip_authorize = random.chance(500);
    }
    let manner = Manner {
        acts: 1 + random.size(8),
        talks: 1 + random.size(8),
        kicks: random.below(20),
        refusals: random.below(100),
        badness: [0, 200, 600][random.size(3) - 1],
        thin: random.below(200),
    };
    let mut world = SocketWorld::new(random.next(), config, manner);
    for _ in 0..40 {
        world.connect(random.size(3));
        world.run_for(random.shorter(Duration::from_millis(100)));
    }
    world.run_for(Duration::from_secs(60));
    let complete = world.rest();
    assert!(complete > 0, "nobody was left undisturbed");
    let (log, totals) = world.finish();
    let (sum, before) = came.get();
    came.set((sum + totals, before + complete));
    log
}

#[test]
fn any_sockets_in_any_weather() {
    let came = Cell::default();
    replay_many(10, |seed| run(seed, &came));
    let (totals, complete) = came.get();
    println!("{complete} clients complete: {totals:?}");
    if std::env::var_os("SEED").is_some() {
        // One world need not have all that many have.
        return;
    }
    let Totals { sockets, most, received, taken, recovered, overflows, acknowledged, dropped } =
        totals;
    for (what, came) in [
        ("sockets", sockets),
        ("sockets at the same time", most),
        ("events for clients", received),
        ("events of clients", taken),
        ("recovered", recovered),
        ("overflows", overflows),
        ("acknowledged", acknowledged[0]),
        ("not acknowledged in time", acknowledged[1]),
        ("not acknowledged at the end", acknowledged[2]),
        ("dropped", dropped),
        ("complete", complete),
    ] {
        assert!(came > 0, "nothing: {what}");
    }
}

#[test]
fn more_than_a_thousand_sockets_at_the_same_time() {
    let came = Cell::default();
    replay(1, |seed| {
        let manner = Manner { acts: 3, talks: 20, kicks: 5, refusals: 10, badness: 50, thin: 20 };
        let mut world = SocketWorld::new(seed, config(Some(Duration::from_secs(60))), manner);
        (0..480).for_each(|_| world.connect(3));
        world.run_for(Duration::from_secs(20));
        world.rest();
        let (log, totals) = world.finish();
        came.set(totals);
        log
    });
    let totals = came.get();
    println!("{totals:?}");
    assert!(totals.most > 1000, "{totals:?}");
    assert!(totals.recovered > 0 && totals.overflows > 0, "{totals:?}");
}

/// A world without faults but the one that is planted.
fn sabotaged(sabotage: Sabotage) {
    let manner = Manner { acts: 4, talks: 4, ..Manner::default() };
    let mut world = SocketWorld::new(1, config(None), manner);
    world.sabotage(sabotage);
    (0..10).for_each(|_| world.connect(2));
    world.run_for(Duration::from_secs(20));
    world.rest();
    world.finish();
}

#[test]
#[should_panic = "twice or out of order"]
fn event_that_comes_twice_is_found() {
    sabotaged(Sabotage::Twice);
}

#[test]
#[should_panic = ", and has not got "]
fn event_that_is_lost_is_found() {
    sabotaged(Sabotage::Lost);
}

#[test]
#[should_panic = "which is not for it"]
fn event_of_a_room_that_a_socket_is_not_in_is_found() {
    sabotaged(Sabotage::Stray);
}

#[test]
#[should_panic = "is over and owes an acknowledgement"]
fn acknowledgement_that_never_ends_is_found() {
    sabotaged(Sabotage::Unheard);
}

#[test]
#[should_panic = "have no answer"]
fn request_that_is_never_acknowledged_is_found() {
    sabotaged(Sabotage::Mute);
}
