//! Lives that chance makes, in worlds where anything may go wrong.

use std::{cell::RefCell, collections::BTreeMap, time::Duration};

use enginewire::{Revision, TransportKind, hub::ServerHubConfig};
use enginewire_simulator::{
    Log, Manner, Numbered, Random, World, any_path, client_config, replay_many,
};

/// What has come of the worlds whose connections have as many faults.
#[derive(Debug, Default)]
struct Came {
    worlds: u64,
    lives: u64,
    messages: u64,
    /// Lives that were open in the end and of which all had come.
    complete: u64,
}

/// Out of a thousand connections, how many have a fault.
const BADNESS: [u64; 3] = [0, 100, 500];

/// Thirty clients for five minutes, each of another kind.
fn run(seed: u64, came: &RefCell<BTreeMap<u64, Came>>) -> Log {
    let mut random = Random::new(seed);
    let mut server = ServerHubConfig::default();
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
    let badness = BADNESS[random.size(3) - 1];
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
    let complete = world.rest();
    assert!(complete > 0 || badness > 0, "nobody was left undisturbed");
    let mut came = came.borrow_mut();
    let came = came.entry(badness).or_default();
    came.worlds += 1;
    came.lives += world.lives();
    came.messages += world.application.talks().map(|(_, talk)| talk.received).sum::<u64>();
    came.complete += complete;
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
    let came = RefCell::default();
    replay_many(6, |seed| run(seed, &came));
    if std::env::var_os("SEED").is_some() {
        // One world need not have all that many have.
        return;
    }
    for (badness, came) in came.into_inner() {
        // A life that is cut off early says little, and not many live on to the end: but some do.
        let Came { worlds, lives, messages, complete } = came;
        println!("{badness}: {came:?}");
        assert!(messages >= lives, "{badness}: {came:?}");
        assert!(complete >= worlds, "{badness}: {came:?}");
    }
}
