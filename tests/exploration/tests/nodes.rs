//! Requests of a session at another node than its own, on all ways that are short enough and on some that are long.

use std::num::Wrapping;

use enginewire_exploration::{
    nodes::{Sabotage, Scenario, World},
    walk::{Walked, walk, wander},
};

#[test]
fn all_rules_hold_on_all_short_ways() {
    let polling = Scenario { polling: true, ..Scenario::default() };
    let upgrade = Scenario::default();
    let scenarios = [
        ("polling", 7, Scenario { says: 2, tells: 2, ..polling }),
        ("polling in pieces", 7, Scenario { says: 1, tells: 1, pieces: 2, ..polling }),
        ("polling that is cut", 6, Scenario { says: 1, tells: 1, cuts: 2, ..polling }),
        (
            "polling of an owner that is gone",
            8,
            Scenario { says: 1, tells: 1, refusals: 2, ..polling },
        ),
        ("polling for long", 6, Scenario { says: 1, tells: 1, ticks: 3, ..polling }),
        ("an upgrade", 7, Scenario { says: 1, tells: 1, ..upgrade }),
        ("an upgrade that is cut", 7, Scenario { tells: 1, cuts: 1, ..upgrade }),
        ("an upgrade that is refused", 6, Scenario { says: 1, refusals: 2, ..upgrade }),
    ];
    for (name, length, scenario) in scenarios {
        let walked = walk(|| World::new(scenario), length);
        println!("{name}: {} ways, {} moves", walked.ways, walked.moves);
        assert_eq!(walked.counter_example, None, "{name}");
        assert!(walked.ways > 50, "{name}: {} ways", walked.ways);
    }
}

#[test]
fn all_rules_hold_on_long_ways_by_chance() {
    let mut random = Random(Wrapping(1));
    let mut walked = Walked::default();
    for nth in 0..LONG_WAYS {
        let scenario = Scenario {
            says: 6,
            tells: 6,
            cuts: random.below(3),
            refusals: random.below(2),
            pieces: 6,
            ticks: random.below(8),
            polling: nth % 3 == 0,
            sabotage: None,
        };
        wander(World::new(scenario), 60, &mut walked, |moves| random.below(moves));
        assert_eq!(walked.counter_example, None, "{scenario:?}");
    }
    println!("{} ways, {} moves", walked.ways, walked.moves);
}

#[test]
fn rules_that_are_broken_on_purpose_are_found() {
    let polling = Scenario { says: 1, tells: 1, polling: true, ..Scenario::default() };
    for (sabotage, length, rule) in [
        (Sabotage::Twice, 3, "the owner gets what connection 0 has not sent"),
        (Sabotage::Lost, 3, "the session ends though nothing has happened"),
        (Sabotage::Kept, 2, "bytes are on their way for ever"),
    ] {
        let walked = walk(|| World::new(Scenario { sabotage: Some(sabotage), ..polling }), length);
        let (broken, way) = walked.counter_example.expect("the rule is broken");
        assert_eq!(broken, rule, "{way:?}");
    }
}

const LONG_WAYS: usize = 300;

/// The same numbers in each run.
struct Random(Wrapping<u64>);

impl Random {
    fn below<T: TryFrom<u64> + TryInto<u64>>(&mut self, limit: T) -> T {
        // Knuth's constants for MMIX, and the upper bits.
        self.0 = self.0 * Wrapping(6_364_136_223_846_793_005) + Wrapping(1_442_695_040_888_963_407);
        let limit = limit.try_into().unwrap_or(1).max(1);
        T::try_from((self.0.0 >> 33) % limit).unwrap_or_else(|_| unreachable!("below a limit of T"))
    }
}
