//! The task that carries messages between the cluster of a server and its bus.

use std::{
    future::Future,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use enginewire::Time;

use super::{
    Arrived, Bus, BusEvent, Changes, ClusterShared,
    operations::{Carried, Delivering},
};
use crate::{
    cell::Sessions,
    runtime::Runtime,
    sleep::Sleep,
    socketio::{IoShared, session::caught},
    trace::trace,
    wakers::WakerKey,
};

/// Carries messages between the other nodes and `io`, from the start of a server to its end.
///
/// Of several servers of one `io` one does so. Another takes its place when it ends.
pub(in crate::socketio) fn pump<R: Runtime>(
    runtime: R,
    sessions: Arc<Sessions>,
    io: Arc<IoShared>,
    cluster: Arc<ClusterShared>,
) -> impl Future<Output = ()> + Send {
    // Until the task has ended, the server has not.
    sessions.lifecycle.enter_last();
    let mut pump = Pump {
        runtime,
        sessions,
        io,
        cluster,
        bus: None,
        origin: (Time::ZERO, Time::ZERO),
        server_key: None,
        end_key: None,
        delivering: Vec::new(),
        sleep: Sleep::default(),
        closes_at: None,
    };
    std::future::poll_fn(move |cx| pump.poll(cx))
}

/// Fate of the bus at the end of a server.
enum Then {
    /// Another server goes on with it.
    Leave,
    Close,
}

struct Pump<R: Runtime> {
    runtime: R,
    sessions: Arc<Sessions>,
    io: Arc<IoShared>,
    cluster: Arc<ClusterShared>,
    /// There while this is the server that has it.
    bus: Option<Box<dyn Bus>>,
    /// One moment on the clock of the cluster, and on that of this server.
    origin: (Time, Time),
    server_key: WakerKey,
    end_key: WakerKey,
    /// Broadcasts of other nodes to more sockets than are reached at a time.
    delivering: Vec<Delivering>,
    sleep: Sleep<R>,
    /// When the bus is dropped that is closing.
    closes_at: Option<Time>,
}

impl<R: Runtime> Pump<R> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.sessions.lifecycle.watch(&mut self.end_key, cx.waker());
        let ends = self.sessions.lifecycle.is_idle();
        let Self { sessions, cluster, server_key, .. } = self;
        if self.bus.is_none() {
            let taken = cluster.take_bus(&sessions.clock, server_key, cx.waker(), ends);
            if let Some((bus, origin)) = taken {
                (self.bus, self.origin) = (Some(bus), origin);
            }
        }
        let Some(mut bus) = self.bus.take() else {
            return if ends { Poll::Ready(()) } else { Poll::Pending };
        };
        // The bus is the application's.
        let polled = caught(|| self.poll_bus(&mut *bus, cx, ends));
        match polled {
            Some(Poll::Pending) => {
                self.bus = Some(bus);
                Poll::Pending
            }
            Some(Poll::Ready(Then::Leave)) => match self.cluster.leave_bus(bus) {
                Ok(()) => Poll::Ready(()),
                Err(bus) => {
                    // It has ended at this moment.
                    self.bus = Some(bus);
                    cx.waker().wake_by_ref();
                    Poll::Pending
                }
            },
            Some(Poll::Ready(Then::Close)) => {
                self.end(bus);
                Poll::Ready(())
            }
            None => {
                trace!(ERROR, "the bus of a cluster has panicked, and is dropped");
                self.end(bus);
                Poll::Ready(())
            }
        }
    }

    /// Carries what there is. Completes when the server has ended and everything has left.
    fn poll_bus(&mut self, bus: &mut dyn Bus, cx: &mut Context<'_>, ends: bool) -> Poll<Then> {
        // Before the look, so that nothing which comes behind it is missed.
        self.cluster.register(cx.waker());
        let mut is_busy = false;
        let Self { cluster, delivering, .. } = self;
        let Changes { namespaces, rooms } = cluster.take_changes();
        for (namespace, exists) in namespaces {
            bus.handle_namespace(&namespace, exists);
        }
        for ((namespace, room), exists) in rooms {
            bus.handle_room(&namespace, &room, exists);
        }
        delivering.retain(|delivering| delivering.poll(cluster, cx).is_pending());
        // Ahead of the looks for what comes of it.
        cluster.handle_timeout();
        if !ends {
            is_busy |= self.receive(bus, cx);
        }
        is_busy |= self.send(bus, cx);
        bus.poll_flush(cx);
        let (of_cluster, of_server) = self.origin;
        let next = self.cluster.poll_timeout();
        let next = next.map(|deadline| of_server + deadline.since(of_cluster));
        if is_busy {
            // Other tasks have their turn.
            cx.waker().wake_by_ref();
        }
        if !ends {
            return self.poll_sleep(next, cx);
        }
        if self.cluster.has_successor() && self.delivering.is_empty() {
            return Poll::Ready(Then::Leave);
        }
        let now = self.sessions.clock.now();
        let closes_at = *self.closes_at.get_or_insert(now + CLOSE_TIMEOUT);
        if self.sessions.lifecycle.is_aborting() || now >= closes_at {
            return Poll::Ready(Then::Close);
        }
        if self.cluster.has_message() {
            return self.poll_sleep(Some(closes_at), cx);
        }
        match bus.poll_close(cx) {
            Poll::Ready(()) => Poll::Ready(Then::Close),
            Poll::Pending => self.poll_sleep(Some(closes_at), cx),
        }
    }

    /// Takes events of the bus, and carries them out. Returns whether there may be more.
    fn receive(&mut self, bus: &mut dyn Bus, cx: &mut Context<'_>) -> bool {
        let mut left = TURN;
        while left > 0 {
            left -= 1;
            if let Some(arrived) = self.cluster.poll_arrived() {
                let sockets = self.carry_out(arrived, cx);
                left = left.saturating_sub(sockets / SOCKETS);
                continue;
            }
            // What is not taken waits in the bus, and there in the other node.
            if self.delivering.len() >= MAX_DELIVERING {
                return false;
            }
            let Poll::Ready(event) = bus.poll_event(cx) else { return false };
            self.handle(event);
        }
        true
    }

    /// Carries out what the bus has brought. Returns the number of sockets that it concerns.
    fn carry_out(&mut self, arrived: Arrived, cx: &mut Context<'_>) -> usize {
        let now = self.sessions.clock.now();
        let (from, namespace, operation) = match arrived {
            Arrived::Operation(from, namespace, operation) => (from, namespace, operation),
            Arrived::Appended(namespace, append, entry) => {
                return namespace.handle_appended(now, append, entry);
            }
            Arrived::AppendedLate(namespace, append, entry) => {
                if let Some(namespace) = self.io.of_name(&namespace) {
                    namespace.log_late(now, append, entry);
                }
                return 0;
            }
            Arrived::Read(reader, response) => return reader.finish(now, response),
            Arrived::LogRewound => {
                let namespaces = self.io.namespaces();
                namespaces.iter().for_each(|namespace| namespace.start_log_anew());
                return namespaces.len();
            }
        };
        match self.io.carry_out(&self.cluster, now, from, namespace, operation) {
            Carried::Done(sockets) => sockets,
            Carried::Delivering(delivering) => match delivering.poll(&self.cluster, cx) {
                Poll::Ready(sockets) => sockets,
                Poll::Pending => {
                    self.delivering.push(delivering);
                    0
                }
            },
        }
    }

    fn handle(&self, event: BusEvent) {
        // Told ahead of the lock: subscribers may use the server, and the error is the bus's own.
        match &event {
            BusEvent::Joined(_node) => {
                trace!(DEBUG, node = _node.0, "a node has joined the cluster");
            }
            BusEvent::Lost(_node) => {
                trace!(DEBUG, node = _node.0, "a node of the cluster is lost");
            }
            BusEvent::Missed(_entries) => {
                trace!(WARN, entries = _entries, "entries of the cluster's log are missing here");
            }
            BusEvent::LogRewound => {
                trace!(WARN, "the log of the cluster has lost entries");
            }
            BusEvent::Down(_error) => {
                trace!(WARN, error = %_error, "the bus of the cluster is disconnected");
            }
            _ => {}
        }
        match event {
            BusEvent::Missed(entries) => {
                let now = self.sessions.clock.now();
                return self.io.handle_missed(now, &self.cluster, entries);
            }
            BusEvent::Down(_) => {
                return self.cluster.with_bus(|state| state.cluster.set_connected(false));
            }
            _ => {}
        }
        self.cluster.with_bus(|state| match event {
            BusEvent::Joined(node) => _ = state.cluster.insert_node(node),
            BusEvent::Lost(node) => _ = state.cluster.remove_node(node),
            BusEvent::Message { from, namespace, operation } => {
                state.cluster.handle_message(from, namespace, operation);
            }
            BusEvent::Nodes(nodes) => state.cluster.set_nodes(nodes),
            BusEvent::Asked { request, nodes } => state.cluster.handle_count(request, nodes),
            BusEvent::Appended { append, entry } => state.cluster.handle_appended(append, entry),
            BusEvent::AppendFailed(append) => state.cluster.handle_append_failed(append),
            BusEvent::LogRewound => state.arrived.push_back(Arrived::LogRewound),
            BusEvent::Logged { request, response } => {
                state.cluster.handle_log_response(request, response);
            }
            BusEvent::Up => state.cluster.set_connected(true),
            // Handled ahead: the error is dropped behind the lock, and namespaces are locked before it.
            BusEvent::Down(_) | BusEvent::Missed(_) => {}
        });
    }

    /// Gives messages to the bus. Returns whether there may be more.
    fn send(&self, bus: &mut dyn Bus, cx: &mut Context<'_>) -> bool {
        for _ in 0..TURN {
            if !self.cluster.has_message() || bus.poll_ready(cx).is_pending() {
                return false;
            }
            if let Some(message) = self.cluster.poll_message() {
                bus.send(message);
            }
        }
        true
    }

    /// Ends the cluster. The bus is the application's.
    fn end(&self, bus: Box<dyn Bus>) {
        self.cluster.end();
        caught(|| drop(bus));
    }

    /// Sleeps until the next deadline.
    fn poll_sleep(&mut self, next: Option<Time>, cx: &mut Context<'_>) -> Poll<Then> {
        let Some(next) = next else { return Poll::Pending };
        ready!(self.sleep.poll(&self.runtime, next, cx));
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<R: Runtime> Drop for Pump<R> {
    fn drop(&mut self) {
        self.cluster.stop_waiting(self.server_key);
        self.sessions.lifecycle.unwatch(self.end_key);
        // The runtime may have dropped it at any time.
        if let Some(bus) = self.bus.take() {
            self.end(bus);
        }
        self.sessions.lifecycle.leave_last();
        self.sessions.leave();
    }
}

/// Messages that are carried before other tasks have their turn.
const TURN: usize = 128;

/// Sockets of an operation that count as a message.
const SOCKETS: usize = 16;

/// Broadcasts of other nodes that are delivered at a time.
const MAX_DELIVERING: usize = 64;

/// Time that a bus has to close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
