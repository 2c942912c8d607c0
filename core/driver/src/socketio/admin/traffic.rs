//! Numbers of sessions, packets and bytes.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use serde::Serialize;

use super::view::since_1970;
use crate::{stats::Counter, sync::lock};

/// Counts of all sessions, from the beginning.
pub(crate) struct Traffic {
    lanes: Box<[Lane]>,
    clients: AtomicUsize,
    polling: AtomicUsize,
    opened: Counter,
    /// Sessions that have ended, by the reference's names of the reasons.
    closed: Mutex<BTreeMap<&'static str, u64>>,
}

/// Counts of some of the sessions, so that threads seldom meet at one. It has its cache line to itself.
#[derive(Default)]
#[repr(align(128))]
pub(crate) struct Lane {
    packets_in: AtomicU64,
    bytes_in: AtomicU64,
    packets_out: AtomicU64,
    bytes_out: AtomicU64,
}

/// Sums at some moment.
#[derive(Clone, Debug, Default)]
pub(super) struct Totals {
    opened: u64,
    packets_in: u64,
    packets_out: u64,
    bytes_in: u64,
    bytes_out: u64,
    closed: BTreeMap<&'static str, u64>,
}

/// Number of events of one kind in the time since the last report.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Aggregated {
    /// The full second, in milliseconds since 1970.
    timestamp: u64,
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sub_type: Option<&'static str>,
    count: u64,
}

impl Traffic {
    pub(super) fn new() -> Self {
        let lanes = std::thread::available_parallelism().map_or(1, |n| n.get().min(64));
        let lanes = (0..lanes.next_power_of_two()).map(|_| Lane::default()).collect();
        Self {
            lanes,
            clients: AtomicUsize::new(0),
            polling: AtomicUsize::new(0),
            opened: Counter::default(),
            closed: Mutex::default(),
        }
    }

    /// Returns the counts of the session with this key.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "its low bits choose")]
    pub(crate) fn lane(&self, session: u64) -> &Lane {
        // Lanes are a power of two.
        &self.lanes[session as usize & (self.lanes.len() - 1)]
    }

    pub(crate) fn opened(&self, is_polling: bool) {
        self.opened.add(1);
        self.clients.fetch_add(1, Ordering::Relaxed);
        self.polling.fetch_add(usize::from(is_polling), Ordering::Relaxed);
    }

    /// Notes that a session has moved from polling to a WebSocket.
    pub(crate) fn left_polling(&self) {
        self.polling.fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn closed(&self, is_polling: bool, reason: &'static str) {
        self.clients.fetch_sub(1, Ordering::Relaxed);
        self.polling.fetch_sub(usize::from(is_polling), Ordering::Relaxed);
        *lock(&self.closed).entry(reason).or_default() += 1;
    }

    /// Returns the sessions of this moment, and those of them that are polling.
    pub(super) fn clients(&self) -> (usize, usize) {
        (self.clients.load(Ordering::Relaxed), self.polling.load(Ordering::Relaxed))
    }

    pub(super) fn totals(&self) -> Totals {
        let mut totals = Totals {
            opened: self.opened.count(),
            closed: lock(&self.closed).clone(),
            ..Totals::default()
        };
        for lane in &self.lanes {
            totals.packets_in += lane.packets_in.load(Ordering::Relaxed);
            totals.bytes_in += lane.bytes_in.load(Ordering::Relaxed);
            totals.packets_out += lane.packets_out.load(Ordering::Relaxed);
            totals.bytes_out += lane.bytes_out.load(Ordering::Relaxed);
        }
        totals
    }
}

impl Lane {
    #[inline]
    pub(crate) fn received(&self, packets: usize, bytes: usize) {
        self.packets_in.fetch_add(packets as u64, Ordering::Relaxed);
        self.bytes_in.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn sent(&self, packets: usize, bytes: usize) {
        self.packets_out.fetch_add(packets as u64, Ordering::Relaxed);
        self.bytes_out.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

impl Totals {
    /// Returns the events since `before`. Kinds that had none are left out.
    pub(super) fn since(&self, before: &Self, now: SystemTime) -> Vec<Aggregated> {
        let second = Duration::from_millis(since_1970(now)).as_secs();
        let numbers = [
            ("rawConnection", self.opened - before.opened),
            ("packetsIn", self.packets_in - before.packets_in),
            ("bytesIn", self.bytes_in - before.bytes_in),
            ("packetsOut", self.packets_out - before.packets_out),
            ("bytesOut", self.bytes_out - before.bytes_out),
        ];
        let numbers = numbers.into_iter().map(|(kind, count)| (kind, None, count));
        let closed = self.closed.iter().map(|(&reason, count)| {
            let before = before.closed.get(reason).copied().unwrap_or_default();
            ("rawDisconnection", Some(reason), count - before)
        });
        let timestamp = second * 1000;
        numbers
            .chain(closed)
            .filter(|(_, _, count)| *count > 0)
            .map(|(kind, sub_type, count)| Aggregated { timestamp, kind, sub_type, count })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_since_a_moment_are_aggregated_by_kind() {
        let traffic = Traffic::new();
        traffic.opened(true);
        traffic.lane(1).received(1, 10);
        let before = traffic.totals();
        traffic.opened(false);
        traffic.opened(true);
        traffic.left_polling();
        traffic.closed(true, "transport close");
        traffic.closed(false, "ping timeout");
        traffic.closed(false, "ping timeout");
        traffic.lane(1).received(1, 3);
        traffic.lane(2).received(1, 4);
        let now = SystemTime::UNIX_EPOCH + Duration::from_millis(7_900);
        let of = |kind, sub_type, count| Aggregated { timestamp: 7000, kind, sub_type, count };
        assert_eq!(
            traffic.totals().since(&before, now),
            [
                of("rawConnection", None, 2),
                of("packetsIn", None, 2),
                of("bytesIn", None, 7),
                of("rawDisconnection", Some("ping timeout"), 2),
                of("rawDisconnection", Some("transport close"), 1),
            ]
        );
        assert_eq!(traffic.clients(), (0, 0));
    }

    #[test]
    fn nothing_is_told_of_a_quiet_time() {
        let traffic = Traffic::new();
        traffic.lane(9).sent(2, 100);
        let totals = traffic.totals();
        assert_eq!(totals.since(&totals, SystemTime::now()), []);
    }
}
