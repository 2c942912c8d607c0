//! The figures of a run and how they are shown.

use std::fmt::Write;

use crate::loads::Load;
use crate::servers::Peer;

/// Every other server's ratio is to this one.
const MEASURE: &str = "engineioxide";

/// One figure for each load, server and round, in the order in which they were run.
#[derive(Default)]
pub(crate) struct Figures {
    columns: Vec<Column>,
}

struct Column {
    load: &'static Load,
    cells: Vec<(&'static Peer, Vec<f64>)>,
}

impl Figures {
    pub(crate) fn add(&mut self, load: &'static Load, server: &'static Peer, figure: f64) {
        let known = self.columns.iter().position(|column| column.load.name == load.name);
        let known = known.unwrap_or_else(|| {
            self.columns.push(Column { load, cells: Vec::new() });
            self.columns.len() - 1
        });
        let cells = &mut self.columns[known].cells;
        match cells.iter_mut().find(|(peer, _)| peer.name == server.name) {
            Some((_, rounds)) => rounds.push(figure),
            None => cells.push((server, vec![figure])),
        }
    }

    /// Servers by loads: medians and ratios; then each load with the spread of its rounds.
    pub(crate) fn table(&self, servers: &[&Peer]) -> String {
        let mut text = format!("\nmedian of the rounds, and its ratio to {MEASURE}\n\n{:<20}", "");
        for column in &self.columns {
            text += &format!("{:>19}", column.load.name);
        }
        for server in servers {
            text += &format!("\n{:<20}", server.name);
            for column in &self.columns {
                text += &format!("{:>19}", column.short(server));
            }
        }
        text.push('\n');
        for Column { load, cells } in &self.columns {
            text += &format!("\n{}: {}; {}\n", load.name, load.what, load.unit);
            for (server, rounds) in cells {
                let (least, most) = spread(rounds);
                let _ = writeln!(
                    text,
                    "  {:<20}{:>10.1}   {least:.1} to {most:.1}",
                    server.name,
                    median(rounds)
                );
            }
        }
        text
    }
}

impl Column {
    fn rounds(&self, name: &str) -> Option<&[f64]> {
        self.cells.iter().find(|(peer, _)| peer.name == name).map(|(_, rounds)| &rounds[..])
    }

    fn short(&self, server: &Peer) -> String {
        let Some(rounds) = self.rounds(server.name) else { return "-".to_owned() };
        let median_here = median(rounds);
        let Some(measure) = self.rounds(MEASURE) else { return format!("{median_here:.1}") };
        // Of each round by itself: what slows a round down slows both of its servers.
        let ratios: Vec<_> = rounds.iter().zip(measure).map(|(here, there)| here / there).collect();
        format!("{median_here:.1} ({:.2}x)", median(&ratios))
    }
}

fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[middle] } else { (sorted[middle - 1] + sorted[middle]) / 2.0 }
}

fn spread(figures: &[f64]) -> (f64, f64) {
    figures.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), &figure| {
        (least.min(figure), most.max(figure))
    })
}
