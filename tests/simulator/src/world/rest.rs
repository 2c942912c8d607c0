//! A world of numbered messages that comes to rest.

use std::{collections::BTreeSet, time::Duration};

use super::World;
use crate::{
    application::EndId,
    numbered::{Manner, Numbered},
};

impl World<Numbered> {
    /// Has nobody begin anything any more, waits until what can get through has, and checks two things:
    /// that no session is open on one side only for longer than it takes to notice, and that of those
    /// that are open on both sides all messages have come. Gives back of how many lives.
    pub fn rest(&mut self) -> u64 {
        self.application.manner = Manner { size: 100, ..Manner::default() };
        self.run_for(SETTLED);
        // Nothing opens any more: whatever is here twice has not been noticed in between.
        let before = self.one_sided();
        self.run_for(NOTICED);
        let still: Vec<_> = self.one_sided().intersection(&before).copied().collect();
        assert!(still.is_empty(), "lives that are open on one side only: {still:?}");
        let mut complete = 0;
        for life in 1..=self.lives() {
            // A small buffer on a slow path may take longer.
            if self.is_open_on_both_sides(life) && self.in_flight(life) == 0 {
                if self.repeats(life).gets == 0 {
                    self.application.assert_all_came(life);
                } else {
                    self.application.assert_server_got_all(life);
                }
                complete += 1;
            }
        }
        complete
    }

    fn is_open_on_both_sides(&self, life: u64) -> bool {
        self.is_open(EndId::Client(life)) && self.open_at_server().any(|open| open == life)
    }

    /// Lives of which one side has an open session and the other has none.
    fn one_sided(&self) -> BTreeSet<u64> {
        let servers: BTreeSet<_> = self.open_at_server().collect();
        let clients: BTreeSet<_> = self
            .clients
            .keys()
            .copied()
            .filter(|&life| self.is_open(EndId::Client(life)))
            .collect();
        servers.symmetric_difference(&clients).copied().collect()
    }
}

/// Longer than what was begun takes to come through: opening, the heartbeat, and the worst of paths.
const SETTLED: Duration = Duration::from_secs(240);

/// Longer than it takes one side to notice that the other is gone, behind a path that has been stalled
/// for a minute.
const NOTICED: Duration = Duration::from_secs(200);
