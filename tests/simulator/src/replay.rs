//! A run that can be had again.

use std::time::Duration;

use enginewire::{ClientConfig, TransportKind};

use crate::{
    log::Log,
    path::{Fault, Path, Side, When},
    random::Random,
};

/// Runs a scenario twice and checks that both runs did the same, byte for byte. A failure prints its
/// seed and how to have it again: with that seed in the environment variable `SEED`, for which others
/// are passed over.
pub fn replay(seed: u64, scenario: impl Fn(u64) -> Log) -> Log {
    if variable("SEED").is_some_and(|wanted| wanted != seed) {
        return Log::new();
    }
    let _hint = Hint { seed };
    let (first, second) = (scenario(seed), scenario(seed));
    assert_eq!(first, second, "two runs of the same seed differ");
    first
}

/// Does that for the seed in the environment variable `SEED`, or else for `SEEDS` many, or else
/// for `otherwise` many.
pub fn replay_many(otherwise: u64, scenario: impl Fn(u64) -> Log) {
    if let Some(seed) = variable("SEED") {
        replay(seed, scenario);
        return;
    }
    for seed in 1..=variable("SEEDS").unwrap_or(otherwise) {
        replay(seed, &scenario);
    }
}

/// A client's configuration for the server of every world.
pub fn client_config(transports: &[TransportKind]) -> ClientConfig {
    let mut config = ClientConfig::new(&crate::world::url());
    config.transports = transports.to_vec();
    config
}

/// A path that `badness` times out of a thousand has a fault, of any kind and at any time up to a
/// few minutes.
pub fn any_path(random: &mut Random, badness: u64) -> Path {
    let mut path = Path {
        connect: random.shorter(Duration::from_millis(200)),
        latency: random.shorter(Duration::from_millis(150)),
        jitter: random.shorter(Duration::from_millis(40)),
        segment: [60, 536, 1460, 9000][random.size(4) - 1],
        buffer: [2000, 16_384, 65_536, 1 << 20][random.size(4) - 1],
        ..Path::default()
    };
    if !random.chance(badness) {
        return path;
    }
    if random.chance(100) {
        path.refused = true;
    } else if random.chance(50) {
        path.connect = Duration::from_secs(30);
    } else if random.chance(50) {
        path.bandwidth = 3000;
    }
    let side = if random.chance(500) { Side::Client } else { Side::Server };
    let when = match random.below(5) {
        0 => When::After(random.shorter(Duration::from_secs(5))),
        1 => When::After(random.shorter(Duration::from_secs(300))),
        2 => When::Bytes(side, random.below(3000)),
        3 => When::Upgraded(side, random.below(40)),
        _ => When::Upgraded(side, random.below(4000)),
    };
    let fault = match random.below(10) {
        0 | 1 => Fault::Reset,
        2 => Fault::Vanish,
        3 => Fault::Stall(random.shorter(Duration::from_secs(60))),
        4 => Fault::Swallow(side),
        5 => Fault::Collect(side, random.shorter(Duration::from_secs(10))),
        6 | 7 => Fault::End(side),
        8 => Fault::Repeat(random.shorter(Duration::from_secs(2))),
        _ => Fault::Slow(random.shorter(Duration::from_secs(20))),
    };
    path.with(when, fault)
}

/// Says how to have a failure again.
struct Hint {
    seed: u64,
}

impl Drop for Hint {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let seed = self.seed;
            // Each test has a thread with its name.
            match std::thread::current().name() {
                None | Some("main") => eprintln!("again: the same command with SEED={seed}"),
                Some(test) => eprintln!(
                    "again: LOG=1 SEED={seed} cargo test -p enginewire-simulator -- --exact {test}"
                ),
            }
        }
    }
}

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| match value.parse() {
        Ok(number) => number,
        Err(error) => panic!("{name} is not a number: {error}"),
    })
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    #[should_panic = "two runs of the same seed differ"]
    fn a_run_that_cannot_be_had_again_is_a_failure() {
        let runs = Cell::new(0);
        replay(1, |seed| {
            runs.set(runs.get() + 1);
            let mut log = Log::new();
            log.say(enginewire::Time::ZERO, format!("{seed} {}", runs.get()));
            log
        });
    }
}
