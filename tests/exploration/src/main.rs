//! Explores what the tests explore, to the full depth, and prints figures and rules.
//!
//! `enginewire-exploration [FAULTS] [TICKS] [coarse|fine] [calm]` is about sessions of Engine.IO, with as many faults and
//! moves of the clocks as wanted; `enginewire-exploration socketio [NAME]` about Socket.IO on top of them, and
//! `enginewire-exploration manager [NAME]` about its client: in all scenarios, or in those whose name has this in it.

use std::{process::ExitCode, time::Instant};

use enginewire::Revision;
use enginewire_exploration::{
    RULES, Scenario, Side, System, World, explore,
    socketio::{self, managed},
};

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let (holds, rules) = match arguments.first().map(String::as_str) {
        Some("socketio") => (explore_socketio(arguments.get(1)), socketio::RULES),
        Some("manager") => (explore_manager(arguments.get(1)), managed::RULES),
        _ => (explore_sessions(&arguments), RULES),
    };
    if !holds {
        return ExitCode::FAILURE;
    }
    println!("What holds in each of these states:");
    for rule in rules {
        println!("- {rule}");
    }
    ExitCode::SUCCESS
}

fn explore_sessions(arguments: &[String]) -> bool {
    let number = |nth: usize| arguments.get(nth).and_then(|argument| argument.parse().ok());
    let is = |nth: usize, word| arguments.get(nth).is_some_and(|argument| argument == word);
    let (faults, ticks) = (number(0).unwrap_or(1), number(1).unwrap_or(2));
    let (fine, calm) = (is(2, "fine"), is(3, "calm"));
    [Revision::V4, Revision::V3].into_iter().all(|revision| {
        [None, Some(Side::Client), Some(Side::Server)].into_iter().all(|closer| {
            let scenario =
                Scenario { faults, ticks, fine, calm, ..Scenario::new(revision, closer) };
            let closer = closer.map_or_else(|| String::from("nobody"), |side| side.to_string());
            holds(&format!("{revision:?}, {closer} closes"), &World::new(scenario))
        })
    })
}

fn explore_socketio(name: Option<&String>) -> bool {
    let mut scenarios =
        socketio::full().into_iter().filter(|(scenario, _)| is_wanted(scenario, name));
    scenarios.all(|(name, scenario)| holds(name, &socketio::World::new(scenario)))
}

fn explore_manager(name: Option<&String>) -> bool {
    let mut scenarios =
        managed::full().into_iter().filter(|(scenario, _)| is_wanted(scenario, name));
    scenarios.all(|(name, scenario)| holds(name, &managed::World::new(scenario)))
}

fn is_wanted(scenario: &str, name: Option<&String>) -> bool {
    name.is_none_or(|name| scenario.contains(&**name))
}

/// Explores all states behind this one. Returns whether all rules hold in each of them.
fn holds<S: System>(name: &str, first: &S) -> bool {
    let start = Instant::now();
    let report = explore(first, None);
    println!("{name}: {report} ({:.1} s)", start.elapsed().as_secs_f32());
    report.counter_example.is_none()
}
