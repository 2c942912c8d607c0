//! A whole hub of Socket.IO with its clients, on every way of so many moves.
//!
//! [`Hub`](enginewire_socketio::hub::Hub) reads and writes bytes of HTTP and WebSocket, and has neither a copy nor a
//! fingerprint of its own. So each way is walked from the beginning: all sequences of moves up to a length, without
//! leaving out those that lead to the same state. What [`socketio`](crate::socketio) finds by its states about
//! connections and adapters is looked at here through the hub around them, on its real outputs.
//!
//! Clients are models that speak over WebSockets. What is written to a client arrives at once, or once the client reads
//! again.

mod client;
mod world;

pub use self::world::{Move, Sabotage, Scenario, World};

/// What came of walking all ways.
#[derive(Debug, Default)]
pub struct Walked {
    /// Ways that came to their end: as long as allowed, or without another move.
    pub ways: usize,
    /// Moves that were made, on all of them together.
    pub moves: usize,
    /// The rule that is broken, and the moves that lead there.
    pub counter_example: Option<(String, Vec<Move>)>,
}

/// Walks all ways of at most `length` moves, up to the first one that breaks a rule.
pub fn walk(scenario: Scenario, length: usize) -> Walked {
    let mut walked = Walked::default();
    let mut way = Vec::new();
    walk_on(scenario, World::new(scenario), length, &mut way, &mut walked);
    walked
}

fn walk_on(
    scenario: Scenario,
    world: World,
    length: usize,
    way: &mut Vec<Move>,
    walked: &mut Walked,
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
            let mut again = World::new(scenario);
            for &step in &*way {
                again.make(step);
            }
            again
        });
        next.make(step);
        walked.moves += 1;
        way.push(step);
        walk_on(scenario, next, length, way, walked);
        if walked.counter_example.is_some() {
            return;
        }
        way.pop();
    }
}
