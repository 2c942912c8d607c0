//! Socket.IO, to the end of what each scenario allows; and that a rule that is broken on purpose is found.

use enginewire_exploration::{
    Report, explore,
    socketio::{Sabotage, Scenario, World, gate},
};

#[test]
fn all_rules_hold_in_all_states() {
    for (name, scenario) in gate() {
        let report = explore(&World::new(scenario), None);
        println!("{name}: {report}");
        assert!(report.counter_example.is_none(), "{name}: {report}");
        assert!(report.complete && report.finals > 0, "{name}: {report}");
        let comes_back = scenario.recovery.is_some();
        assert_eq!(report.marked > 0, comes_back, "{name}: {report}");
    }
}

fn sabotaged(sabotage: Sabotage, mut scenario: Scenario) -> Report {
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

fn one_socket() -> Scenario {
    Scenario { connects: 1, ..Scenario::default() }
}

#[test]
fn event_that_comes_twice_is_found_and_the_shortest_way_to_it_is_told() {
    let report = sabotaged(Sabotage::Twice, Scenario { broadcasts: 1, ..one_socket() });
    let rule = "socket BQUFBQUFBQUFBQUFBQUF gets event 0 a second time, or out of order";
    let moves = assert_found(&report, rule, 7);
    assert_eq!(
        moves,
        [
            "Open",
            "Connect(0)",
            r#"at the server arrives on link 1: Some(Message(Text("0/a,")))"#,
            "Accept(1, Slot { index: 0, serial: 1 })",
            "Broadcast(0)",
            r#"at the client arrives on link 1: Some(Message(Text("0/a,{\"sid\":\"BQUFBQUFBQUFBQUFBQUF\"}")))"#,
            r#"at the client arrives on link 1: Some(Message(Text("2/a,[\"e\",0]")))"#,
        ]
    );
}

#[test]
fn event_that_overtakes_connect_is_found() {
    let report = sabotaged(Sabotage::Overtaking, Scenario { broadcasts: 1, ..one_socket() });
    assert_found(&report, "event 0 comes for no socket of /a", 6);
}

#[test]
fn event_that_a_client_misses_that_comes_back_is_found() {
    let scenario = Scenario {
        connects: 2,
        broadcasts: 1,
        cuts: 1,
        recovery: Some(true),
        ..Scenario::default()
    };
    let report = sabotaged(Sabotage::Unlogged, scenario);
    assert_found(&report, "in the end socket BwcHBwcHBwcHBwcHBwcH has not got event 0", 12);
}

#[test]
fn socket_that_stays_in_its_namespace_is_found() {
    let report = sabotaged(Sabotage::Leak, Scenario { leaves: 1, ..one_socket() });
    assert_found(&report, "/a has 1 members", 6);
}

#[test]
fn acknowledgement_that_the_server_is_not_told_of_is_found() {
    let report = sabotaged(Sabotage::Deaf, Scenario { questions: 1, ..one_socket() });
    assert_found(&report, "question 0 waits beyond its deadline", 9);
}

#[test]
fn acknowledgement_that_is_not_sent_is_found() {
    let report = sabotaged(Sabotage::Mute, Scenario { requests: 1, ..one_socket() });
    assert_found(&report, "in the end request 0 to /a has no answer", 8);
}
