//! The client of Socket.IO, to the end of what each scenario allows; and that a rule that is broken on purpose is found.

use enginewire_exploration::{
    Report, explore,
    socketio::managed::{Sabotage, Scenario, World, gate},
};

#[test]
fn all_rules_hold_in_all_states() {
    for (name, scenario) in gate() {
        let report = explore(&World::new(scenario), None);
        println!("{name}: {report}");
        assert!(report.counter_example.is_none(), "{name}: {report}");
        assert!(report.complete && report.finals > 0, "{name}: {report}");
        let comes_back = scenario.cuts + scenario.failures > 0;
        assert!(report.marked > 0 || !comes_back, "{name}: {report}");
    }
}

fn sabotaged(sabotage: Sabotage, mut scenario: Scenario) -> Report {
    scenario.connects = 1;
    scenario.sabotage = Some(sabotage);
    explore(&World::new(scenario), None)
}

#[track_caller]
fn assert_found(report: &Report, rule: &str) {
    let Some((broken, _)) = report.counter_example.clone() else {
        panic!("nothing was found: {report}");
    };
    assert_eq!(broken, rule, "{report}");
}

#[test]
fn event_that_arrives_twice_is_found() {
    let scenario = Scenario { events: 1, ..Scenario::default() };
    let report = sabotaged(Sabotage::Twice, scenario);
    assert_found(&report, "event 0 arrives twice, or behind a later one");
}

#[test]
fn event_of_the_server_that_overtakes_another_is_found() {
    let scenario = Scenario { broadcasts: 2, ..Scenario::default() };
    let report = sabotaged(Sabotage::Overtaking, scenario);
    assert_found(&report, "event 0 comes for no socket of /a");
}

#[test]
fn acknowledgement_that_the_application_is_not_told_of_is_found() {
    let scenario = Scenario { asks: 1, ..Scenario::default() };
    let report = sabotaged(Sabotage::Deaf, scenario);
    assert_found(&report, "in the end event 0 is waited for");
}

#[test]
fn event_that_is_lost_and_of_which_nobody_is_told_is_found() {
    let scenario = Scenario { events: 1, ..Scenario::default() };
    let report = sabotaged(Sabotage::Lossy, scenario);
    assert_found(&report, "in the end event 0 has not arrived, and nobody knows");
}
