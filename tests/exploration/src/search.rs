//! Breadth first through all states.

use std::{
    collections::{BTreeSet, HashSet},
    fmt,
    hash::{BuildHasherDefault, DefaultHasher, Hasher},
};

use enginewire::Fingerprint;
use enginewire_progress::Progress;

use crate::scenario::Side;

/// State of everything that is explored, and what leads from one to the next.
pub trait System: Clone {
    /// Something that can happen.
    type Move: Copy;

    /// Property of the states that [`is_marked`](Self::is_marked) tells of.
    const MARK: &'static str;

    /// All that can happen next.
    fn moves(&self) -> Vec<Self::Move>;

    /// Makes a move, one of [`moves`](Self::moves).
    fn make(&mut self, step: Self::Move);

    /// The move in words.
    fn describe(&self, step: Self::Move) -> String;

    /// Hash of all that the future depends on.
    fn fingerprint<H: Hasher>(&self, into: &mut Fingerprint<H>);

    /// The rule that the state breaks, if it breaks one.
    fn broken(&self) -> Option<String>;

    /// Whether there is nothing more to come.
    fn is_final(&self) -> bool;

    /// Whether the state is one of those that are counted apart, to see that there are some.
    fn is_marked(&self) -> bool;

    /// Notes what a move has changed that is documented in a table.
    fn note_changes(&self, _after: &Self, _changes: &mut BTreeSet<Change>) {}
}

/// What came of an exploration.
#[derive(Debug, Default)]
pub struct Report {
    /// States that differ.
    pub states: usize,
    /// Moves made, of which many lead to a state that is known.
    pub transitions: usize,
    /// Moves to the state that is farthest away.
    pub depth: usize,
    /// States that are counted apart, and what they have in common.
    pub marked: usize,
    /// See `marked`.
    pub mark: &'static str,
    /// States with nothing more to come.
    pub finals: usize,
    /// Changes of a session's state.
    pub changes: BTreeSet<Change>,
    /// Whether there are no states beyond: the exploration was not stopped at its depth.
    pub complete: bool,
    /// The rule that is broken, and the fewest moves that lead there, in words.
    pub counter_example: Option<(String, Vec<String>)>,
}

/// Change of a session's state: whose, from which if there was one, to which. By their names in the session's docs.
pub type Change = (Side, Option<&'static str>, &'static str);

/// Visits all states that `first` can lead to, or those that are at most `max_depth` moves away, up to the
/// first one that breaks a rule.
///
/// The memory it takes is that of the states of one depth and some twenty bytes for each state. Two
/// states that differ are taken for one if the 64 bits of their fingerprints are equal: among ten
/// million, with a probability of one to a few hundred thousand.
pub fn explore<S: System>(first: &S, max_depth: Option<usize>) -> Report {
    let mut search = Search::default();
    search.report.mark = S::MARK;
    let mut level = Vec::new();
    let mut progress = Progress::stderr();
    search.visit(first.clone(), (0, 0), &mut level);
    while !level.is_empty() && search.report.counter_example.is_none() {
        if max_depth == Some(search.report.depth) {
            return search.report;
        }
        let mut next = Vec::new();
        let frontier = level.len();
        for (nth, (world, place)) in level.into_iter().enumerate() {
            progress.report(|elapsed| {
                let (states, depth) = (search.report.states, search.report.depth);
                let rate = states as f64 / elapsed.as_secs_f64().max(0.001);
                let left = frontier - nth + next.len();
                format!("depth {depth}: {states} states, frontier {left}, {rate:.0} states/s")
            });
            for (nth, step) in (0u8..).zip(world.moves()) {
                search.report.transitions += 1;
                let mut after = world.clone();
                after.make(step);
                world.note_changes(&after, &mut search.report.changes);
                if let Some(broken) = search.visit(after, (place, nth), &mut next) {
                    search.report.depth += 1;
                    let moves = search.moves_to(first);
                    search.report.counter_example = Some((broken, moves));
                    return search.report;
                }
            }
        }
        search.report.depth += usize::from(!next.is_empty());
        level = next;
    }
    search.report.complete = true;
    search.report
}

#[derive(Default)]
struct Search {
    report: Report,
    known: HashSet<u64, BuildHasherDefault<Known>>,
    /// Of each state, the one it was first reached from, and by which of its moves.
    origins: Vec<(u32, u8)>,
}

impl Search {
    /// Looks at a state, if it is a new one. Gives the rule that it breaks.
    fn visit<S: System>(
        &mut self,
        world: S,
        origin: (u32, u8),
        level: &mut Vec<(S, u32)>,
    ) -> Option<String> {
        let mut fingerprint = Fingerprint::new(DefaultHasher::new());
        world.fingerprint(&mut fingerprint);
        let broken = world.broken();
        if !self.known.insert(fingerprint.finish()) && broken.is_none() {
            return None;
        }
        #[expect(clippy::expect_used, reason = "memory ends before")]
        let place = u32::try_from(self.origins.len()).expect("fewer than 2^32 states");
        self.origins.push(origin);
        self.report.states += 1;
        self.report.marked += usize::from(world.is_marked());
        self.report.finals += usize::from(world.is_final());
        level.push((world, place));
        broken
    }

    /// The moves to the state that was found last.
    fn moves_to<S: System>(&self, first: &S) -> Vec<String> {
        let mut place = self.origins.len() - 1;
        let mut choices = Vec::new();
        while place > 0 {
            let (origin, nth) = self.origins[place];
            choices.push(usize::from(nth));
            place = origin as usize;
        }
        let mut world = first.clone();
        let mut words = Vec::new();
        for nth in choices.into_iter().rev() {
            let step = world.moves()[nth];
            words.push(world.describe(step));
            world.make(step);
        }
        words
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { states, transitions, depth, marked, mark, finals, .. } = self;
        let Self { complete, counter_example, .. } = self;
        let all = if *complete { "all" } else { "stopped" };
        write!(f, "{states} states ({all}), {marked} of them {mark}, {finals} ends; ")?;
        write!(f, "{transitions} moves, depth {depth}")?;
        if let Some((broken, moves)) = counter_example {
            write!(f, "\n{broken}, after {} moves:", moves.len())?;
            for (i, step) in (1..).zip(moves) {
                write!(f, "\n{i:4}. {step}")?;
            }
        }
        Ok(())
    }
}

/// Fingerprints are hashes already.
#[derive(Default)]
struct Known(u64);

impl Hasher for Known {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0 << 8 | u64::from(byte);
        }
    }

    fn write_u64(&mut self, fingerprint: u64) {
        self.0 = fingerprint;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
