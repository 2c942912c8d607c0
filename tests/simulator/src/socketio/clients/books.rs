//! Books: what was sent in either direction, and what has become of it.

use std::{
    collections::{BTreeMap, VecDeque},
    ops::Add,
};

use enginewire::Time;
use enginewire_socketio::{
    AckError, DisconnectReason, Event, Update, client_hub::ClientAskId, hub::SocketKey,
};

/// A socket of the server: which of its lives, and its name in that.
pub(super) type Key = (u64, SocketKey);

/// The books about the sockets of one client in one namespace.
#[derive(Default)]
pub(super) struct Account {
    /// The id that it has, as the client knows.
    pub(super) id: Option<String>,
    /// Times that the application was told of a disconnection, or of events that are dropped.
    losses: u64,
    /// The application has disconnected it, and not connected it again.
    pub(super) has_left: bool,
    pub(super) events: BTreeMap<u64, Sent>,
    /// The last event with retries that has arrived.
    retried: Option<u64>,
    /// Those that were not acknowledged: with the deadlines of those without retries.
    pub(super) asks: BTreeMap<ClientAskId, (u64, Option<Time>)>,
}

/// An event of a client.
pub(super) struct Sent {
    has_retries: bool,
    arrivals: u64,
    /// The losses that its application knew of.
    losses: u64,
    /// The application was told that it is not acknowledged.
    has_failed: bool,
    /// It was told that it is not sent.
    is_dropped: bool,
}

/// A socket of the server.
pub(super) struct Seat {
    pub(super) owner: u64,
    pub(super) namespace: usize,
    /// The last event of the client that has arrived here.
    arrived: Option<u64>,
    /// Events that were sent to it, and have not come.
    pub(super) owed: VecDeque<u64>,
}

/// Outcome of a world.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClientTotals {
    /// Connections of sockets.
    pub connected: u64,
    /// Disconnections that applications were told of.
    pub disconnected: u64,
    /// Events of clients that have arrived, those that came again included.
    pub arrived: u64,
    /// Those that came again, which only those with retries may.
    pub again: u64,
    /// Events of clients that were lost.
    pub lost: u64,
    /// Events of the server that have arrived.
    pub received: u64,
    /// Acknowledgements that came.
    pub acknowledged: u64,
    /// Those that did not come in time, and those of which the connection was lost.
    pub failed: [u64; 2],
    /// Servers that have vanished.
    pub restarts: u64,
}

impl Account {
    pub(super) fn send(&mut self, number: u64, has_retries: bool) {
        let losses = self.losses;
        let (has_failed, is_dropped) = (false, false);
        let sent = Sent { has_retries, arrivals: 0, losses, has_failed, is_dropped };
        self.events.insert(number, sent);
    }

    /// The application disconnects the socket, and is told that so many events are dropped.
    pub(super) fn leave(&mut self, unsent: usize) {
        self.has_left = true;
        self.losses += u64::from(unsent > 0);
    }

    /// An event arrives at a socket of the server.
    pub(super) fn arrive(&mut self, seat: &mut Seat, number: u64, totals: &mut ClientTotals) {
        let Some(event) = self.events.get_mut(&number) else {
            panic!("event {number} arrives, which nobody has sent");
        };
        event.arrivals += 1;
        totals.arrived += 1;
        totals.again += u64::from(event.arrivals > 1);
        if event.has_retries {
            if event.arrivals == 1 {
                let last = self.retried.replace(number);
                assert!(last.is_none_or(|last| last < number), "{number} comes behind {last:?}");
            }
            return;
        }
        assert_eq!(event.arrivals, 1, "event {number} arrives twice");
        assert!(!event.is_dropped, "event {number} arrives, and was told not to be sent");
        let last = seat.arrived.replace(number);
        assert!(last.is_none_or(|last| last < number), "{number} comes behind {last:?}");
    }

    /// The application is told of a change, or given an event. Returns the number of that.
    pub(super) fn told(&mut self, update: &Update, totals: &mut ClientTotals) -> Option<u64> {
        match update {
            Update::Connected { id, recovered } => {
                assert!(!recovered, "nothing is recovered here");
                assert!(!self.has_left, "a socket is connected that has left");
                assert_eq!(self.id.replace(id.to_string()), None, "connected twice");
                totals.connected += 1;
            }
            Update::Disconnected { reason, .. } => {
                assert!(self.id.take().is_some(), "disconnected twice");
                assert!(!self.has_left || *reason == DisconnectReason::ClientLeft, "{reason}");
                self.losses += 1;
                totals.disconnected += 1;
            }
            Update::Event { event, .. } => {
                assert!(self.id.is_some(), "an event comes without a connection");
                totals.received += 1;
                return Some(number_of(event));
            }
            Update::Failed(_) | Update::Waiting { .. } => {
                assert!(self.id.is_none(), "a socket is connected, and {update:?}");
            }
            other => panic!("a socket is told {other:?}"),
        }
        None
    }

    pub(super) fn acknowledged(
        &mut self,
        now: Time,
        ask: ClientAskId,
        result: Result<u64, AckError>,
        totals: &mut ClientTotals,
    ) {
        let Some((number, deadline)) = self.asks.remove(&ask) else {
            panic!("{ask:?} ends twice: {result:?}");
        };
        let Some(event) = self.events.get_mut(&number) else { return };
        event.has_failed = result.is_err();
        match result {
            Ok(of) => {
                assert_eq!(of, number, "the acknowledgement of another event");
                assert!(event.arrivals > 0, "event {number} is acknowledged, and has not come");
                totals.acknowledged += 1;
            }
            Err(AckError::Timeout) => {
                assert!(deadline.is_some(), "event {number} has times left");
                assert_eq!(deadline, Some(now), "event {number} expires at another time");
                totals.failed[0] += 1;
            }
            Err(AckError::NotSent) => {
                event.is_dropped = true;
                totals.failed[1] += 1;
            }
            Err(AckError::Disconnected(reason)) => {
                let is_left = reason == DisconnectReason::ClientLeft;
                assert!(deadline.is_some() || is_left, "event {number} has times left");
                totals.failed[1] += 1;
            }
            Err(other) => panic!("event {number} fails: {other}"),
        }
    }

    /// No deadline has passed of which the application was not told.
    pub(super) fn check_deadlines(&self, now: Time) {
        let late = self.asks.values().find(|(_, deadline)| deadline.is_some_and(|due| due < now));
        assert_eq!(late, None, "an acknowledgement is waited for beyond its deadline");
    }

    /// Whatever has not arrived was lost with a connection, of which the application was told.
    pub(super) fn check_complete(&self, totals: &mut ClientTotals) {
        assert!(self.asks.is_empty(), "acknowledgements are waited for: {:?}", self.asks);
        for (number, event) in self.events.iter().filter(|(_, event)| event.arrivals == 0) {
            let is_told = event.has_failed || event.losses < self.losses;
            assert!(is_told, "event {number} is lost, and nobody is told");
            assert!(event.has_failed || !event.has_retries, "event {number} is lost with retries");
            totals.lost += 1;
        }
    }
}

impl Seat {
    pub(super) const fn new(owner: u64, namespace: usize) -> Self {
        Self { owner, namespace, arrived: None, owed: VecDeque::new() }
    }
}

/// The number of an event.
pub(super) fn number_of(event: &Event) -> u64 {
    event.data().unwrap_or_else(|error| panic!("{error}"))
}

impl Add for ClientTotals {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            connected: self.connected + other.connected,
            disconnected: self.disconnected + other.disconnected,
            arrived: self.arrived + other.arrived,
            again: self.again + other.again,
            lost: self.lost + other.lost,
            received: self.received + other.received,
            acknowledged: self.acknowledged + other.acknowledged,
            failed: [self.failed[0] + other.failed[0], self.failed[1] + other.failed[1]],
            restarts: self.restarts + other.restarts,
        }
    }
}
