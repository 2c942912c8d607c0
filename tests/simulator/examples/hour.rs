//! A thousand clients and an hour of faults, and some minutes in which all comes to rest, twice:
//!
//! ```sh
//! cargo run -p enginewire-simulator --example hour
//! ```
//!
//! `SEED`, `CLIENTS` and `MINUTES` in the environment change that.
#![expect(clippy::disallowed_methods, reason = "it says how long it took in the world outside")]

use std::time::{Duration, Instant};

use enginewire::{Revision, TransportKind, hub::ServerHubConfig};
use enginewire_progress::Progress;
use enginewire_simulator::{Log, Manner, Numbered, Random, World, any_path, client_config, replay};

fn main() {
    let variable = |name, otherwise| {
        let value = std::env::var(name).ok().and_then(|value| value.parse().ok());
        value.unwrap_or(otherwise)
    };
    let (clients, minutes) = (variable("CLIENTS", 1000), variable("MINUTES", 60));
    let begun = Instant::now();
    replay(variable("SEED", 1), |seed| live(seed, clients, minutes));
    println!("both runs, which are equal: {:.1?}", begun.elapsed());
}

/// Clients come back whenever they are through.
fn live(seed: u64, clients: u64, minutes: u64) -> Log {
    let begun = Instant::now();
    let mut random = Random::new(seed);
    let mut server = ServerHubConfig::default();
    server.protocol.allow_eio3 = true;
    let manner = Manner { pause: Duration::from_secs(60), burst: 4, size: 400, slow: 5, close: 20 };
    let mut world = World::new(random.next(), server, Numbered::new(manner));
    (0..clients).for_each(|_| begin(&mut world, &mut random));
    let (mut messages, mut upgrades) = (0, 0);
    let mut progress = Progress::stderr();
    for second in 0..minutes * 60 {
        progress.report(|elapsed| {
            format!(
                "{:.1} of {minutes} minutes simulated, {} lives, {messages} messages, {:.0} s",
                second as f64 / 60.0,
                world.lives(),
                elapsed.as_secs_f64()
            )
        });
        world.run_for(Duration::from_secs(1));
        for _ in world.take_finished() {
            begin(&mut world, &mut random);
        }
        let closed = world.application.talks().filter(|(_, talk)| talk.closed.is_some());
        closed.for_each(|(_, talk)| {
            messages += talk.received;
            upgrades += talk.upgraded;
        });
        world.application.forget_closed();
    }
    drop(progress);
    let complete = world.rest();
    assert!(complete > 0 || clients == 0, "nobody is left of whom all messages could come");
    let (lives, steps, now) = (world.lives(), world.steps(), world.now());
    let (log, application) = world.finish();
    application.talks().for_each(|(_, talk)| {
        messages += talk.received;
        upgrades += talk.upgraded;
    });
    println!(
        "{:.0} minutes with {clients} clients: {lives} lives, {messages} messages, {upgrades} sides \
         upgraded, {steps} events; of {complete} lives that are open all came; {log:?}; took {:.1?}",
        now.as_nanos() as f64 / 60e9,
        begun.elapsed()
    );
    log
}

fn begin(world: &mut World<Numbered>, random: &mut Random) {
    use TransportKind::{Polling, WebSocket};
    let kinds: [&[TransportKind]; 4] =
        [&[Polling, WebSocket], &[Polling, WebSocket], &[WebSocket], &[Polling]];
    let mut config = client_config(kinds[random.size(kinds.len()) - 1]);
    config.revision = if random.chance(200) { Revision::V3 } else { Revision::V4 };
    world.connect(config, |random| any_path(random, 200));
}
