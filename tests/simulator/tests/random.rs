//! Lives that chance makes, in worlds where anything may go wrong.

use std::time::Duration;

use enginewire::{Revision, TransportKind, hub::HubConfig};
use enginewire_simulator::{
    EndId, Log, Manner, Numbered, Random, World, any_path, client_config, replay_many,
};

/// Thirty clients for five minutes, each of another kind, half of whose connections have a fault.
fn run(seed: u64) -> Log {
    let mut random = Random::new(seed);
    let mut server = HubConfig::default();
    server.protocol.allow_eio3 = true;
    server.protocol.limits.max_queued = 20_000;
    server.protocol.limits.max_unread = 20_000;
    server.protocol.limits.max_payload = 10_000;
    let manner = Manner {
        pause: Duration::from_secs(1 + random.below(40)),
        burst: random.size(20),
        size: [20, 300, 3000][random.size(3) - 1],
        slow: random.below(60),
        close: random.below(40),
    };
    let badness = [0, 100, 500][random.size(3) - 1];
    let timers_first = random.chance(500);
    let mut world = World::new(random.next(), server, Numbered::new(manner));
    world.set_timers_first(timers_first);
    for _ in 0..30 {
        begin(&mut world, &mut random, badness);
    }
    for _ in 0..300 {
        world.run_for(Duration::from_secs(1));
        for _ in world.take_finished() {
            begin(&mut world, &mut random, badness);
        }
    }
    // Nobody begins anything any more, and what can get through does.
    world.application.manner = Manner { size: 100, ..Manner::default() };
    world.run_for(Duration::from_secs(240));
    let mut complete = 0;
    for life in 1..=world.lives() {
        // A small buffer on a slow path may take longer.
        let both = world.in_flight(life) == 0
            && world.is_open(EndId::Client(life))
            && world.application.server(life).closed.is_none();
        if both {
            world.application.assert_all_came(life);
            complete += 1;
        }
    }
    assert!(complete > 0 || badness > 0, "nobody was left undisturbed");
    if random.chance(300) {
        world.close_server();
    }
    world.finish().0
}

fn begin(world: &mut World<Numbered>, random: &mut Random, badness: u64) {
    use TransportKind::{Polling, WebSocket};
    let kinds: [&[TransportKind]; 4] =
        [&[Polling], &[WebSocket], &[Polling, WebSocket], &[WebSocket, Polling]];
    let mut config = client_config(kinds[random.size(4) - 1]);
    config.revision = if random.chance(300) { Revision::V3 } else { Revision::V4 };
    config.force_base64 = random.chance(200);
    config.try_all_transports = random.chance(300);
    config.limits.max_queued = 20_000;
    config.limits.max_unread = 20_000;
    world.connect(config, move |random| any_path(random, badness));
}

#[test]
fn any_life_in_any_weather() {
    replay_many(6, run);
}
