//! Lanes between the ends of a bus: what goes along them is late, lost, doubled or overtaken.

use std::{collections::BTreeMap, time::Duration};

use enginewire::Time;

use super::world::BusManner;
use crate::random::Random;

/// Things on their way between any two of some ends, each known by a number.
pub(super) struct Lanes<T> {
    on_the_way: BTreeMap<(Time, u64), (u64, T)>,
    lanes: BTreeMap<(u64, u64), Lane>,
    /// Messages so far, so that those of the same moment keep their order.
    count: u64,
    random: Random,
    pub(super) manner: BusManner,
}

/// The way from one end to another.
struct Lane {
    latency: Duration,
    jitter: Duration,
    /// When the last message arrives, which none overtakes.
    last: Time,
}

impl<T: Clone> Lanes<T> {
    pub(super) const fn new(random: Random, manner: BusManner) -> Self {
        Self { on_the_way: BTreeMap::new(), lanes: BTreeMap::new(), count: 0, random, manner }
    }

    /// Sends a message, which may be lost, doubled or overtaken. Returns how often it arrives.
    pub(super) fn send(&mut self, now: Time, from: u64, to: u64, item: T) -> u32 {
        if self.random.chance(self.manner.losses) {
            return 0;
        }
        let is_doubled = self.random.chance(self.manner.doubles);
        let second = is_doubled.then(|| item.clone());
        match self.manner.reorders {
            true => {
                let late = self.random.shorter(LATE);
                self.push(now + late, to, item);
            }
            false => self.send_surely(now, from, to, item),
        }
        let Some(second) = second else { return 1 };
        // It comes at once, or when others have overtaken it.
        if self.random.chance(500) {
            self.send_surely(now, from, to, second);
        } else {
            let first = self.lanes.get(&(from, to)).map_or(now, |lane| lane.last);
            let at = first + self.random.shorter(LATE);
            self.push(at, to, second);
        }
        2
    }

    /// Sends a message that arrives once, and in order.
    pub(super) fn send_surely(&mut self, now: Time, from: u64, to: u64, item: T) {
        let Self { random, lanes, .. } = self;
        let lane = lanes.entry((from, to)).or_insert_with(|| Lane::new(random));
        lane.last = lane.last.max(now + lane.latency + random.shorter(lane.jitter));
        let at = lane.last;
        self.push(at, to, item);
    }

    /// Has something arrive within a time, behind what `from` has told `to` in this way before.
    pub(super) fn tell_within(&mut self, now: Time, from: u64, to: u64, time: Duration, item: T) {
        let Self { random, lanes, .. } = self;
        // Beside the messages, which it may overtake.
        let lane = lanes.entry((from | BESIDE, to)).or_insert_with(|| Lane::new(random));
        lane.last = lane.last.max(now + random.shorter(time));
        let at = lane.last;
        self.push(at, to, item);
    }

    /// When the next message arrives.
    pub(super) fn next(&self) -> Option<Time> {
        self.on_the_way.first_key_value().map(|(&(at, _), _)| at)
    }

    /// The message that arrives next, with its time and the end that it arrives at.
    pub(super) fn pop(&mut self) -> Option<(Time, u64, T)> {
        self.on_the_way.pop_first().map(|((at, _), (to, item))| (at, to, item))
    }

    fn push(&mut self, at: Time, to: u64, item: T) {
        self.count += 1;
        self.on_the_way.insert((at, self.count), (to, item));
    }
}

impl Lane {
    fn new(random: &mut Random) -> Self {
        let latency = if random.chance(50) { SLOW } else { FAST };
        Self { latency: random.shorter(latency), jitter: random.shorter(latency), last: Time::ZERO }
    }
}

/// Longest latency of most lanes, and of some.
const FAST: Duration = Duration::from_millis(30);
const SLOW: Duration = Duration::from_secs(2);

/// Time within which a message arrives that others overtake.
const LATE: Duration = Duration::from_secs(3);

/// Tells lanes of news about nodes from those of messages. No number of an end is as large.
const BESIDE: u64 = 1 << 63;

#[cfg(test)]
mod tests {
    use super::*;

    fn lanes(manner: BusManner) -> Lanes<u64> {
        Lanes::new(Random::new(1), manner)
    }

    fn arrivals(lanes: &mut Lanes<u64>) -> Vec<u64> {
        std::iter::from_fn(|| lanes.pop()).map(|(_, _, item)| item).collect()
    }

    #[test]
    fn messages_of_one_end_arrive_in_order_unless_they_overtake_each_other() {
        let send = |manner| {
            let mut lanes = lanes(manner);
            (0..100).for_each(|number| {
                lanes.send(Time::from_millis(number), 1, 2, number);
            });
            arrivals(&mut lanes)
        };
        let sent: Vec<_> = (0..100).collect();
        assert_eq!(send(BusManner::default()), sent);
        let mut reordered = send(BusManner { reorders: true, ..BusManner::default() });
        assert_ne!(reordered, sent);
        reordered.sort_unstable();
        assert_eq!(reordered, sent);
    }

    #[test]
    fn messages_are_lost_and_doubled_as_often_as_they_are_said_to_be() {
        let mut lanes = lanes(BusManner { losses: 500, doubles: 500, reorders: false });
        let times = (0..1000).map(|number| lanes.send(Time::ZERO, 1, 2, number));
        let times: Vec<_> = times.collect();
        for expected in 0..3 {
            assert!(times.iter().filter(|times| **times == expected).count() > 200);
        }
        assert_eq!(times.iter().sum::<u32>() as usize, arrivals(&mut lanes).len());
    }
}
