//! The figures of a run and how they are printed.

use std::fmt::Write;

use crate::loads::{Figure, Load};
use crate::servers::Peer;

/// One figure for each load, server and round, in the order in which they were run.
#[derive(Default)]
pub(crate) struct Figures {
    pub(crate) columns: Vec<Column>,
    /// Instructions were counted instead of CPU time.
    pub(crate) counted: bool,
}

pub(crate) struct Column {
    pub(crate) load: &'static Load,
    pub(crate) cells: Vec<Cell>,
}

/// The rounds of one server under one load.
pub(crate) struct Cell {
    pub(crate) peer: &'static Peer,
    rounds: Vec<Figure>,
    failure: Option<String>,
}

/// The median of the rounds, and of their ratios to those of the load's [`peer`](Load::peer) if that one ran.
pub(crate) struct Summary {
    pub(crate) figure: f64,
    pub(crate) ratio: Option<f64>,
}

/// Which part of a figure is meant.
type Part = fn(&Figure) -> Option<f64>;

pub(crate) const USER: Part = |figure| figure.user;
pub(crate) const WHOLE: Part = |figure| Some(figure.whole);

impl Figures {
    pub(crate) fn add(&mut self, load: &'static Load, server: &'static Peer, figure: Figure) {
        self.cell(load, server).rounds.push(figure);
    }

    /// Leaves `server` out of this load from now on.
    pub(crate) fn fail(&mut self, load: &'static Load, server: &'static Peer, reason: String) {
        self.cell(load, server).failure = Some(reason);
    }

    pub(crate) fn has_failed(&mut self, load: &'static Load, server: &'static Peer) -> bool {
        self.cell(load, server).failure.is_some()
    }

    fn cell(&mut self, load: &'static Load, server: &'static Peer) -> &mut Cell {
        let known = self.columns.iter().position(|column| column.load.name == load.name);
        let known = known.unwrap_or_else(|| {
            self.columns.push(Column { load, cells: Vec::new() });
            self.columns.len() - 1
        });
        let cells = &mut self.columns[known].cells;
        let known = cells.iter().position(|cell| cell.peer.name == server.name);
        let known = known.unwrap_or_else(|| {
            cells.push(Cell { peer: server, rounds: Vec::new(), failure: None });
            cells.len() - 1
        });
        &mut cells[known]
    }

    /// Ratios, servers by loads; then each load with its figures; then what could not run.
    pub(crate) fn table(&self, servers: &[&Peer]) -> String {
        let parts = match self.counted {
            true => "of instructions in user space",
            false => "of user CPU, and of the whole",
        };
        let mut text = String::new();
        for columns in self.columns.chunk_by(|one, next| one.load.peer == next.load.peer) {
            let peer = columns[0].load.peer;
            let _ = write!(text, "\nratio to {peer}: {parts}\n\n{:<20}", "");
            for column in columns {
                let _ = write!(text, "{:>14}", column.load.name);
            }
            let has = |server: &Peer| columns.iter().any(|column| column.load.suits(server));
            for server in servers.iter().filter(|server| has(server)) {
                let _ = write!(text, "\n{:<20}", server.name);
                for column in columns {
                    let _ = write!(text, "{:>14}", column.ratios(server));
                }
            }
            text.push('\n');
        }
        for column in &self.columns {
            let load = column.load;
            let _ = writeln!(text, "\n{}: {}; {}", load.name, load.what, self.unit(load));
            let beside = load.beside.map(|name| (name, self.column(name)));
            let _ = write!(text, "  {:<20}{:>10}{:>10}   spread of the whole", "", "user", "whole");
            if let Some((name, _)) = beside {
                let _ = write!(text, "   ratio to {name}, user and whole");
            }
            text.push('\n');
            for cell in column.cells.iter().filter(|cell| cell.ran()) {
                let show = |part| match column.summary(cell.peer.name, part) {
                    Some(summary) => format!("{:.3}", summary.figure),
                    None => "-".to_owned(),
                };
                let (least, most) = cell.spread();
                let name = cell.peer.name;
                let (user, whole) = (show(USER), show(WHOLE));
                let spread = format!("{least:.3} to {most:.3}");
                let _ = write!(text, "  {name:<20}{user:>10}{whole:>10}   {spread}");
                if let Some((_, other)) = beside {
                    let show = |part| {
                        show_ratio(other.and_then(|other| column.ratio_to(other, name, part)))
                    };
                    let _ = write!(
                        text,
                        "{:width$}{} {}",
                        "",
                        show(USER),
                        show(WHOLE),
                        width = 22 - spread.len()
                    );
                }
                text.push('\n');
            }
        }
        if self.is_coarse() {
            text.push_str(COARSE);
        }
        for (load, peer, early) in self.early() {
            let percent = 100.0 * early;
            let _ = writeln!(
                text,
                "\n{load} of {peer}: {percent:.0} % of the answers came before one to an earlier message"
            );
        }
        for (load, peer, reason) in self.failures() {
            let _ = writeln!(text, "\n{load} of {peer} could not run: {reason}");
        }
        text
    }

    /// Returns the unit of the figures of `load`.
    pub(crate) fn unit(&self, load: &Load) -> String {
        match self.counted {
            true => load.unit.replace("us of CPU", "instructions in user space"),
            false => load.unit.to_owned(),
        }
    }

    fn column(&self, load: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.load.name == load)
    }

    /// Whether the user part of a figure is missing because of the kernel's ticks.
    fn is_coarse(&self) -> bool {
        self.columns.iter().any(|column| {
            column.cells.iter().any(|cell| {
                column.rounds(cell.peer.name, USER).is_some_and(|rounds| median(&rounds) == 0.0)
            })
        })
    }

    /// Load and server of answers without order, and the median of their share.
    fn early(&self) -> impl Iterator<Item = (&str, &str, f64)> {
        self.columns.iter().flat_map(|column| {
            column.cells.iter().filter(|cell| cell.ran()).filter_map(|cell| {
                let early: Vec<_> = cell.rounds.iter().map(|figure| figure.early).collect();
                Some((column.load.name, cell.peer.name, median(&early))).filter(|of| of.2 > 0.0)
            })
        })
    }

    /// Load, server and reason of each that could not run.
    pub(crate) fn failures(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        self.columns.iter().flat_map(|column| {
            column.cells.iter().filter_map(|cell| {
                Some((column.load.name, cell.peer.name, cell.failure.as_deref()?))
            })
        })
    }
}

impl Cell {
    /// Whether all rounds have a figure.
    pub(crate) fn ran(&self) -> bool {
        self.failure.is_none() && !self.rounds.is_empty()
    }

    /// Whether user is told from kernel.
    fn has_parts(&self) -> bool {
        self.rounds.iter().any(|figure| figure.user.is_some())
    }

    fn spread(&self) -> (f64, f64) {
        self.rounds.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), figure| {
            (least.min(figure.whole), most.max(figure.whole))
        })
    }
}

impl Column {
    /// Returns what `name` has come to, if all its rounds ran and this part was measured.
    ///
    /// A figure of zero was not: no tick of the kernel fell into most rounds.
    pub(crate) fn summary(&self, name: &str, part: Part) -> Option<Summary> {
        let rounds = self.rounds(name, part)?;
        let ratio =
            self.rounds(self.load.peer, part).and_then(|measure| median_ratio(&rounds, &measure));
        let figure = median(&rounds);
        (figure != 0.0).then_some(Summary { figure, ratio })
    }

    /// Returns the ratio of this load to another one, on the same server.
    fn ratio_to(&self, other: &Self, name: &str, part: Part) -> Option<f64> {
        median_ratio(&self.rounds(name, part)?, &other.rounds(name, part)?)
    }

    fn rounds(&self, name: &str, part: Part) -> Option<Vec<f64>> {
        let cell = self.cells.iter().find(|cell| cell.peer.name == name && cell.ran())?;
        cell.rounds.iter().map(part).collect()
    }

    fn ratios(&self, server: &Peer) -> String {
        let show =
            |part| show_ratio(self.summary(server.name, part).and_then(|summary| summary.ratio));
        match self.cells.iter().any(Cell::has_parts) {
            true => format!("{} {}", show(USER), show(WHOLE)),
            false => show(WHOLE),
        }
    }
}

fn show_ratio(ratio: Option<f64>) -> String {
    ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}"))
}

/// Returns the median of the ratios of each round by itself: what slows a round down slows both of its servers.
///
/// A round of which either figure is zero tells nothing.
fn median_ratio(here: &[f64], there: &[f64]) -> Option<f64> {
    let ratios = here.iter().zip(there).filter(|&(&here, &there)| here != 0.0 && there != 0.0);
    let ratios: Vec<_> = ratios.map(|(here, there)| here / there).collect();
    (!ratios.is_empty()).then(|| median(&ratios))
}

fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[middle] } else { (sorted[middle - 1] + sorted[middle]) / 2.0 }
}

/// Why the table has no figure where there should be one.
pub(crate) const COARSE: &str = "\n`-` for a user figure: the load ended between two ticks of the kernel, by which it tells user \
     from kernel. Without --quick there are more.\n";
