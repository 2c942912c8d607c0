//! Explores what the tests explore, with as many faults and moves of the clocks as wanted, and prints
//! figures and rules: `enginewire-exploration [FAULTS] [TICKS] [coarse|fine] [calm]`.

use std::{process::ExitCode, time::Instant};

use enginewire::Revision;
use enginewire_exploration::{RULES, Scenario, Side, explore};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let mut number = || arguments.next().and_then(|argument| argument.parse().ok());
    let (faults, ticks) = (number().unwrap_or(1), number().unwrap_or(2));
    let fine = arguments.next().is_some_and(|grain| grain == "fine");
    let calm = arguments.next().is_some_and(|heartbeat| heartbeat == "calm");
    for revision in [Revision::V4, Revision::V3] {
        for closer in [None, Some(Side::Client), Some(Side::Server)] {
            let start = Instant::now();
            let scenario =
                Scenario { faults, ticks, fine, calm, ..Scenario::new(revision, closer) };
            let report = explore(scenario, None);
            let seconds = start.elapsed().as_secs_f32();
            let closer = closer.map_or_else(|| String::from("nobody"), |side| side.to_string());
            println!("{revision:?}, {closer} closes: {report} ({seconds:.1} s)");
            if report.counter_example.is_some() {
                return ExitCode::FAILURE;
            }
        }
    }
    println!("What holds in each of these states:");
    for rule in RULES {
        println!("- {rule}");
    }
    ExitCode::SUCCESS
}
