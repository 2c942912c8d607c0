//! The hub of Socket.IO, on all ways that are short enough.

use enginewire_exploration::hub::{Move, Sabotage, Scenario, walk};

#[test]
fn all_rules_hold_on_all_ways() {
    let none = Scenario { clients: 1, connects: 1, ..Scenario::default() };
    let two = Scenario { clients: 2, connects: 2, ..none };
    let back = Scenario { connects: 2, cuts: 1, recovery: true, ..none };
    let scenarios = [
        (
            "connecting",
            9,
            Scenario { connects: 3, refusals: 1, leaves: 1, kicks: 1, cuts: 1, ..none },
        ),
        ("events", 8, Scenario { broadcasts: 2, questions: 1, requests: 1, ..two }),
        ("leaving", 8, Scenario { broadcasts: 1, questions: 1, leaves: 1, kicks: 1, ..two }),
        (
            "slow",
            8,
            Scenario { broadcasts: 2, questions: 1, stalls: 1, kicks: 1, ticks: 2, ..none },
        ),
        ("losing", 7, Scenario { broadcasts: 1, questions: 1, cuts: 1, ticks: 1, ..two }),
        ("coming back", 8, Scenario { broadcasts: 3, stalls: 1, ticks: 1, ..back }),
        (
            "coming back beside another",
            8,
            Scenario { clients: 2, connects: 3, broadcasts: 2, ..back },
        ),
    ];
    for (name, length, scenario) in scenarios {
        let walked = walk(scenario, length);
        println!("{name}: {} ways, {} moves", walked.ways, walked.moves);
        assert_eq!(walked.counter_example, None, "{name}");
        assert!(walked.ways > 50, "{name}: {} ways", walked.ways);
    }
}

#[test]
fn rules_that_are_broken_on_purpose_are_found() {
    use Move::{Accept, Broadcast, Connect, Request};

    let all =
        Scenario { clients: 1, connects: 1, broadcasts: 1, requests: 1, ..Scenario::default() };
    for (sabotage, rule, moves) in [
        (
            Sabotage::Twice,
            "430[0] acknowledges, and None waited longest",
            vec![Connect(0), Accept(0), Request(0)],
        ),
        (
            Sabotage::Lost,
            "client 0 was sent [0], and got []",
            vec![Connect(0), Accept(0), Request(0), Broadcast],
        ),
        (
            Sabotage::Mute,
            "client 0 waits for its request 0",
            vec![Connect(0), Accept(0), Request(0), Broadcast],
        ),
    ] {
        let walked = walk(Scenario { sabotage: Some(sabotage), ..all }, 4);
        assert_eq!(walked.counter_example, Some((rule.to_owned(), moves)));
    }
}
