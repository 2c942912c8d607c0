//! Random operations, weighted so that most scripts get somewhere, and random bytes, each through the
//! target that knows what must come of them. What fails is shrunk to a short script, which is shown as
//! it would stand in `fuzz/seeds`, and should be put there. `PROPTEST_CASES` says how many scripts there
//! are, in 256ths of what there are without it, and `PROPTEST_RNG_SEED` has others made: without it they are
//! always the same.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bytes;
mod client_hub;
mod client_session;
mod hub;
mod letters;
mod limits;
mod session;
mod sio;
mod sio_client;
mod websocket;

use proptest::{
    prelude::*,
    strategy::ValueTree as _,
    test_runner::{Config, RngSeed, TestRunner},
};

use self::letters::Script;
use enginewire_properties::Reached;

/// `cases` scripts, more or fewer if the environment says so.
fn config(cases: u32) -> Config {
    let default = Config::default();
    let cases = (u64::from(cases) * u64::from(default.cases) / 256).max(1);
    Config {
        cases: cases.try_into().unwrap_or(u32::MAX),
        max_shrink_iters: 20_000,
        // What was found becomes a seed, with a name that says what it is.
        failure_persistence: None,
        rng_seed: match default.rng_seed {
            RngSeed::Random => RngSeed::Fixed(1),
            given => given,
        },
        ..default
    }
}

/// Of a hundred scripts, in so many the session opens, messages go in, go out, and it is upgraded.
fn assert_worth(
    scripts: impl Strategy<Value = Script>,
    run: fn(&[u8]) -> Reached,
    least: [usize; 4],
) {
    let reached: Vec<_> = samples(&scripts).map(|script| run(&script.0)).collect();
    let share = |which: fn(&Reached) -> bool| {
        reached.iter().filter(|one| which(one)).count() * 100 / SAMPLES
    };
    let found = [
        share(|reached| reached.opened),
        share(|reached| reached.received > 0),
        share(|reached| reached.sent > 0),
        share(|reached| reached.upgraded),
    ];
    assert!(found.iter().zip(least).all(|(&found, least)| found >= least), "{found:?}");
}

/// How many of a hundred scripts are worth something.
fn share(scripts: impl Strategy<Value = Script>, is_worth: impl Fn(&[u8]) -> bool) -> usize {
    samples(&scripts).filter(|script| is_worth(&script.0)).count() * 100 / SAMPLES
}

/// The same scripts every time.
fn samples(scripts: &impl Strategy<Value = Script>) -> impl Iterator<Item = Script> {
    let mut runner = TestRunner::deterministic();
    (0..SAMPLES).map(move |_| scripts.new_tree(&mut runner).unwrap().current())
}

const SAMPLES: usize = 500;
