//! All ways of so many moves, for worlds that have neither a copy nor a fingerprint.

use std::fmt;

/// A world that moves, and rules that must hold in it.
pub trait Walking {
    /// Something that can happen.
    type Move: Copy + fmt::Debug;

    /// All that can happen next.
    fn moves(&self) -> Vec<Self::Move>;

    /// Makes a move, one of [`moves`](Self::moves).
    fn make(&mut self, step: Self::Move);

    /// Returns the rule that is broken, if one is.
    fn broken(&self) -> Option<String>;

    /// Ends all that goes on, and returns the rule that is broken in the end.
    fn end(self) -> Option<String>;
}

/// Outcome of a walk.
#[derive(Debug)]
pub struct Walked<M> {
    /// Ways that came to their end: as long as allowed, or without another move.
    pub ways: usize,
    /// Moves that were made, on all of them together.
    pub moves: usize,
    /// The rule that is broken, and the moves that lead there.
    pub counter_example: Option<(String, Vec<M>)>,
}

impl<M> Default for Walked<M> {
    fn default() -> Self {
        Self { ways: 0, moves: 0, counter_example: None }
    }
}

/// Walks all ways of at most `length` moves from `first`, up to the first one that breaks a rule.
///
/// Each is walked from the beginning.
pub fn walk<W: Walking>(first: impl Fn() -> W, length: usize) -> Walked<W::Move> {
    let mut walked = Walked::default();
    walk_on(&first, first(), length, &mut Vec::new(), &mut walked);
    walked
}

/// Walks one way of at most `length` moves, on which `choose` takes one of so many.
pub fn wander<W: Walking>(
    mut world: W,
    length: usize,
    walked: &mut Walked<W::Move>,
    mut choose: impl FnMut(usize) -> usize,
) {
    let mut way = Vec::new();
    while way.len() < length
        && let moves = world.moves()
        && !moves.is_empty()
    {
        let step = moves[choose(moves.len())];
        world.make(step);
        way.push(step);
        walked.moves += 1;
        if let Some(broken) = world.broken() {
            walked.counter_example = Some((broken, way));
            return;
        }
    }
    walked.ways += 1;
    walked.counter_example = world.end().map(|broken| (broken, way));
}

fn walk_on<W: Walking>(
    first: &impl Fn() -> W,
    world: W,
    length: usize,
    way: &mut Vec<W::Move>,
    walked: &mut Walked<W::Move>,
) {
    if let Some(broken) = world.broken() {
        walked.counter_example = Some((broken, way.clone()));
        return;
    }
    let moves = if way.len() < length { world.moves() } else { Vec::new() };
    if moves.is_empty() {
        walked.ways += 1;
        walked.counter_example = world.end().map(|broken| (broken, way.clone()));
        return;
    }
    let mut world = Some(world);
    for step in moves {
        // The first goes on from here, the others come here once more.
        let mut next = world.take().unwrap_or_else(|| {
            let mut again = first();
            for &step in &*way {
                again.make(step);
            }
            again
        });
        next.make(step);
        walked.moves += 1;
        way.push(step);
        walk_on(first, next, length, way, walked);
        if walked.counter_example.is_some() {
            return;
        }
        way.pop();
    }
}
