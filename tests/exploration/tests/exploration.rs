//! To the end with one fault, with one move of a clock, and with both; and that a rule that is broken
//! on purpose is found.

use std::collections::BTreeSet;

use enginewire::Revision;
use enginewire_exploration::{Change, Report, Sabotage, Scenario, Side, World, explore};

/// Explores all that there is, with both revisions and either side closing, or none.
fn explore_all(change: impl Fn(&mut Scenario)) -> BTreeSet<Change> {
    explore_with(&[Revision::V4, Revision::V3], change)
}

/// Gives the changes of state that were found, all of which are documented.
fn explore_with(revisions: &[Revision], change: impl Fn(&mut Scenario)) -> BTreeSet<Change> {
    let mut changes = BTreeSet::new();
    for &revision in revisions {
        for closer in [None, Some(Side::Client), Some(Side::Server)] {
            let mut scenario = Scenario::new(revision, closer);
            change(&mut scenario);
            let report = explore(&World::new(scenario), None);
            assert!(report.counter_example.is_none(), "{scenario:?}\n{report}");
            assert!(report.complete && report.finals > 0, "{scenario:?}\n{report}");
            assert!(report.marked > 0, "{scenario:?}\n{report}");
            println!("{scenario:?}: {report}");
            changes.extend(report.changes);
        }
    }
    let strange: Vec<_> = changes.difference(&documented()).copied().collect();
    assert!(strange.is_empty(), "not in the tables of states: {strange:?}");
    changes
}

/// The tables of states in the docs of the sessions.
fn documented() -> BTreeSet<Change> {
    let mut changes = BTreeSet::from([(Side::Server, None, "polling")]);
    for (side, source) in [
        (Side::Client, include_str!("../../../core/src/client/mod.rs")),
        (Side::Server, include_str!("../../../core/src/session/mod.rs")),
    ] {
        let table =
            source.lines().skip_while(|line| *line != "/// | state | next states |").skip(2);
        for row in table.map_while(|line| line.strip_prefix("/// | ")?.strip_suffix('|')) {
            let (state, next) = row.split_once(" |").unwrap_or_else(|| panic!("not a row: {row}"));
            let next = next.split(',').map(str::trim).filter(|next| !next.is_empty());
            changes.extend(next.map(|next| (side, Some(state), next)));
        }
    }
    changes
}

#[test]
fn nothing_is_lost_while_nothing_goes_wrong() {
    explore_all(|_| {});
    explore_all(|scenario| scenario.fine = true);
    explore_all(|scenario| (scenario.fine, scenario.calm) = (true, true));
}

#[test]
fn a_network_may_break_a_connection_at_any_moment() {
    let mut changes = explore_all(|scenario| scenario.faults = 1);
    changes.extend(explore_all(|scenario| (scenario.faults, scenario.fine) = (1, true)));
    let missed: Vec<_> = documented().difference(&changes).copied().collect();
    assert!(missed.is_empty(), "in the tables of states, and never seen: {missed:?}");
}

#[test]
fn a_timer_may_fire_at_any_moment() {
    explore_all(|scenario| scenario.ticks = 1);
    explore_all(|scenario| (scenario.ticks, scenario.fine) = (1, true));
}

#[test]
fn a_timer_may_fire_at_any_moment_around_a_fault() {
    // The other one as well would take as long as all the rest.
    explore_with(&[Revision::V4], |scenario| (scenario.faults, scenario.ticks) = (1, 1));
}

fn sabotaged(sabotage: Sabotage, closer: Option<Side>) -> Report {
    let mut scenario = Scenario::new(Revision::V4, closer);
    scenario.sabotage = Some(sabotage);
    explore(&World::new(scenario), None)
}

#[track_caller]
fn assert_found(report: &Report, rule: &str, after: usize) -> Vec<String> {
    let Some((broken, moves)) = report.counter_example.clone() else {
        panic!("nothing was found: {report}");
    };
    assert_eq!(broken, rule, "{report}");
    assert_eq!((moves.len(), report.depth), (after, after), "{report}");
    moves
}

#[test]
fn a_message_that_comes_twice_is_found_and_the_shortest_way_to_it_is_told() {
    let report = sabotaged(Sabotage::Cache, Some(Side::Client));
    let rule = r#"the client gets Text("server 0") instead of Binary(b"server 1")"#;
    let moves = assert_found(&report, rule, 8);
    assert_eq!(
        moves[3..],
        [
            r#"at the server arrives on Get 3: GET """#,
            r#"the server sends Binary(b"server 1")"#,
            r#"at the client arrives on Get 3: 200 "4server 0""#,
            r#"at the server arrives on Get 4: GET """#,
            r#"at the client arrives on Get 4: 200 "bc2VydmVyIDE=""#,
        ]
    );
    assert!(report.to_string().contains("\n   5. the server sends Binary"), "{report}");
}

#[test]
fn a_message_that_is_lost_is_found() {
    let report = sabotaged(Sabotage::Forgetful, Some(Side::Client));
    let rule = "the server has not got all that the client sent before it closed";
    assert_found(&report, rule, 9);
}

#[test]
fn a_message_that_is_lost_is_found_while_both_sides_live() {
    let report = sabotaged(Sabotage::Forgetful, None);
    assert_found(&report, "both sides live, and the server has not got all messages", 15);
}

#[test]
fn a_message_that_overtakes_another_is_found() {
    let report = sabotaged(Sabotage::Overtaking, Some(Side::Client));
    let rule = r#"the server gets Binary(b"client 1") instead of Text("client 0")"#;
    assert_found(&report, rule, 12);
}

#[test]
fn an_exchange_that_is_answered_twice_is_found() {
    let report = sabotaged(Sabotage::Twice, Some(Side::Client));
    assert_found(&report, "an exchange is answered twice", 4);
}

#[test]
fn a_post_that_is_not_answered_is_found() {
    let report = sabotaged(Sabotage::Mute, None);
    assert_found(&report, "both sides live, and a POST has no answer", 16);
}

#[test]
fn a_side_that_never_learns_of_the_end_is_found() {
    let report = sabotaged(Sabotage::Stopped, Some(Side::Client));
    assert_found(&report, "one side is over, and the other never learns of it", 4);
}
