//! Figures of all rounds, their medians, and ratios.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use crate::{nodes::Kind, redis::Traffic, spent::Spent};

/// Cost of one broadcast, in microseconds of CPU.
pub(crate) struct Sample {
    /// The node that sends it, with one member and with the event of the client that asks for it.
    pub(crate) sender: Spent,
    /// Each other node, with one member.
    pub(crate) other: Spent,
    /// Each node without a member, if there are more nodes than two.
    pub(crate) apart: Option<Spent>,
    /// Each further member.
    pub(crate) recipient: Spent,
    pub(crate) redis: Spent,
    pub(crate) traffic: Traffic,
}

/// Bytes of resident memory.
pub(crate) struct Memory {
    /// A node with one client.
    pub(crate) node: f64,
    /// Each further client.
    pub(crate) member: f64,
}

#[derive(Default)]
pub(crate) struct Table {
    /// By number of nodes, and of broadcasts in flight.
    samples: BTreeMap<(usize, usize), BTreeMap<Kind, Vec<Sample>>>,
    memory: BTreeMap<(usize, Kind), Vec<Memory>>,
}

/// Part of a sample.
type Part = fn(&Sample) -> Option<f64>;

impl Table {
    pub(crate) fn add(&mut self, kind: Kind, nodes: usize, in_flight: usize, sample: Sample) {
        let kinds = self.samples.entry((nodes, in_flight)).or_default();
        kinds.entry(kind).or_default().push(sample);
    }

    pub(crate) fn remember(&mut self, kind: Kind, nodes: usize, memory: Memory) {
        self.memory.entry((nodes, kind)).or_default().push(memory);
    }

    /// Returns the costs, the ratios and the memory.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for (&(nodes, in_flight), kinds) in &self.samples {
            let _ = writeln!(
                text,
                "\n{nodes} nodes, {in_flight} in flight: us of CPU of a broadcast; bytes to and from Redis"
            );
            write_costs(&mut text, kinds);
            text.push_str("  ratios of enginewire, with messages on the same way\n");
            write_ratios(&mut text, kinds);
        }
        text.push_str("\nresident memory: MiB of a node with a client, KiB of each further one\n");
        let kinds: BTreeSet<_> = self.memory.keys().map(|(_, kind)| kind).collect();
        for kind in kinds {
            let of_kind = self.memory.iter().filter(|((_, of), _)| of == kind);
            let all: Vec<_> = of_kind.flat_map(|(_, memory)| memory).collect();
            let node = median(all.iter().map(|memory| memory.node / f64::from(1 << 20)));
            let member = median(all.iter().map(|memory| memory.member / 1024.0));
            let _ = writeln!(text, "  {kind:<20}{node:>11.1}{member:>11.1}");
        }
        text
    }
}

fn write_costs(text: &mut String, kinds: &BTreeMap<Kind, Vec<Sample>>) {
    let heads = COLUMNS.map(|(head, _)| format!("{head:>11}")).concat();
    let _ = writeln!(text, "  {:<20}{heads}{:>9}{:>9}", "", "to", "from");
    for (kind, samples) in kinds {
        let all = |part: Part| median(samples.iter().filter_map(part));
        let costs = COLUMNS.map(|(_, part)| format!("{:>11}", show(all(part)))).concat();
        let to = all(|sample| Some(sample.traffic.input));
        let from = all(|sample| Some(sample.traffic.output));
        let _ = writeln!(text, "  {kind:<20}{costs}{to:>9.0}{from:>9.0}");
    }
}

/// Writes the medians of the ratios of each round by itself.
fn write_ratios(text: &mut String, kinds: &BTreeMap<Kind, Vec<Sample>>) {
    for (kind, samples) in kinds.iter().filter(|(kind, _)| kind.ours() != **kind) {
        let Some(ours) = kinds.get(&kind.ours()) else { continue };
        let ratio = |part: Part| {
            let rounds = ours.iter().zip(samples);
            median(rounds.filter_map(|(ours, it)| Some(part(ours)? / part(it)?)))
        };
        let ratios = COLUMNS.map(|(_, part)| format!("{:>11}", show(ratio(part)))).concat();
        let _ = writeln!(text, "  {:<20}{ratios}", format!("to {kind}"));
    }
}

fn show(figure: f64) -> String {
    if figure.is_nan() { "-".to_owned() } else { format!("{figure:.2}") }
}

/// Returns the median, not a number if there is none.
fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<_> = figures.collect();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => f64::NAN,
        length if length % 2 == 1 => sorted[middle],
        _ => (sorted[middle - 1] + sorted[middle]) / 2.0,
    }
}

/// Heads of the columns, and what is in them.
const COLUMNS: [(&str, Part); 6] = [
    ("sender", |sample| Some(sample.sender.whole)),
    ("other", |sample| Some(sample.other.whole)),
    ("no member", |sample| sample.apart.map(|spent| spent.whole)),
    ("recipient", |sample| Some(sample.recipient.whole)),
    ("its user", |sample| Some(sample.recipient.user)),
    ("Redis", |sample| Some(sample.redis.whole)),
];
