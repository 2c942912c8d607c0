//! Where commands go: to one server, or to the servers of a Redis Cluster.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use enginewire_driver::Runtime;

use super::{
    dial::{Destination, dial},
    error::{RedisError, RedisFault},
    link::Responds,
    masters::Masters,
    options::Shared,
    transport::{Event, Transport},
};

/// Connections with the servers that carry out commands, made anew when they are lost. Commands have tags of type `T`.
///
/// Its owner bounds what is in flight: it asks [`has_room`](Self::has_room).
pub(super) struct Servers<R: Runtime, T> {
    shared: Arc<Shared<R>>,
    kind: Kind<R, T>,
}

enum Kind<R: Runtime, T> {
    Single(Transport<R, T>),
    Cluster(Masters<R, T>),
}

/// The servers that carry a command out. Without a Redis Cluster it is the one.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place<'a> {
    /// Any one, and the same for all of these.
    Any,
    /// The owner of the slot of a key.
    Key(&'a [u8]),
    /// All masters. Numbers in their responses are added up.
    Every,
}

impl<R: Runtime, T: Send + 'static> Servers<R, T> {
    /// Connects to the first server.
    pub(super) async fn connect(shared: &Arc<Shared<R>>) -> Result<Self, RedisError> {
        let dialed = dial(shared, Destination::Any).await?;
        let kind = match dialed.is_cluster {
            true => Kind::Cluster(Masters::new(shared, dialed.socket)),
            false => Kind::Single(Transport::open(shared, Destination::Any, dialed.socket)),
        };
        Ok(Self { shared: Arc::clone(shared), kind })
    }

    /// Returns whether it is a Redis Cluster.
    pub(super) const fn is_cluster(&self) -> bool {
        matches!(self.kind, Kind::Cluster(_))
    }

    pub(super) const fn is_open(&self) -> bool {
        match &self.kind {
            Kind::Single(transport) => transport.is_open(),
            Kind::Cluster(masters) => masters.is_open(),
        }
    }

    /// Returns whether another command may be in flight.
    pub(super) fn has_room(&self) -> bool {
        let (commands, bytes) = self.in_flight();
        let options = &self.shared.options;
        self.is_open() && commands < options.max_in_flight && bytes < options.max_in_flight_bytes
    }

    /// Returns the number of commands in flight, and their bytes.
    pub(super) fn in_flight(&self) -> (usize, usize) {
        match &self.kind {
            Kind::Single(transport) => transport.in_flight(),
            Kind::Cluster(masters) => masters.in_flight(),
        }
    }

    /// Sends a command, if there is a connection.
    pub(super) fn push(
        &mut self,
        tag: T,
        place: Place<'_>,
        responds: Responds,
        arguments: &[&[u8]],
    ) {
        match &mut self.kind {
            Kind::Single(transport) => transport.push(tag, responds, arguments),
            Kind::Cluster(masters) => masters.push(tag, place, responds, arguments),
        }
    }

    /// Writes commands, as far as the streams take them. Errors are told by [`poll`](Self::poll).
    pub(super) fn flush(&mut self, cx: &mut Context<'_>) {
        match &mut self.kind {
            Kind::Single(transport) => transport.flush(cx),
            Kind::Cluster(masters) => masters.flush(cx),
        }
    }

    /// Gives up, which [`poll`](Self::poll) tells, and begins anew with a growing wait.
    pub(super) fn fail(&mut self, fault: RedisFault) {
        match &mut self.kind {
            Kind::Single(transport) => transport.fail(fault),
            Kind::Cluster(masters) => masters.fail(fault),
        }
    }

    /// Drops what a loss has left: connections with other servers, with their subscriptions, and commands in flight.
    ///
    /// Returns the number of these commands.
    pub(super) fn forget(&mut self) -> usize {
        match &mut self.kind {
            Kind::Single(_) => 0,
            Kind::Cluster(masters) => masters.forget(),
        }
    }

    /// Notes that the connections do what they are for: the next loss is followed by a short wait.
    pub(super) const fn settle(&mut self) {
        match &mut self.kind {
            Kind::Single(transport) => transport.settle(),
            Kind::Cluster(masters) => masters.settle(),
        }
    }

    /// Completes with the next event.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Event<T>> {
        match &mut self.kind {
            Kind::Single(transport) => transport.poll(cx),
            Kind::Cluster(masters) => masters.poll(cx),
        }
    }
}
