//! Nodes that are heard, counted and lost, with time.

use alloc::{sync::Arc, vec::Vec};
use core::time::Duration;

use enginewire::Time;

use super::{
    Wire,
    command::Command,
    config::{Format, HeartbeatsConfig},
    event::{WireEvent, WireFault},
    heartbeat::Heartbeat,
    ids,
    incoming::Body,
    messages::{GOODBYE, HEARTBEAT, HELLO, Outgoing, Sender},
    namespace::Namespace,
};
use crate::cluster::{MAX_ACK_TIMEOUT, Operation, RequestId};

impl Wire {
    /// Notes that a node was heard, where nodes are known by that.
    pub(super) fn hear(
        &mut self,
        now: Time,
        channel: &str,
        namespace: &Arc<str>,
        uid: &str,
        body: &Body,
    ) {
        let Format::Heartbeats(config) = &self.config.format else { return };
        if matches!(body, Body::Goodbye) {
            self.lose(namespace, uid);
            return;
        }
        let Some(of) = self.namespaces.get_mut(namespace) else { return };
        let Some(heartbeat) = &mut of.heartbeat else { return };
        match heartbeat.hear(now, uid, config) {
            Some(false) => {}
            Some(true) => {
                self.sweep_at.get_or_insert(now + SWEEP);
                self.events.push_back(WireEvent::Joined(ids::node(uid)));
                self.tell_nodes();
            }
            None => {
                let fault = WireFault::Nodes { max: config.max_nodes };
                self.publisher_fault(channel, fault);
                return;
            }
        }
        if matches!(body, Body::Hello) {
            self.present(now, namespace, HEARTBEAT);
        }
    }

    /// Counts the nodes that a request of this node has reached.
    pub(super) fn count_for(&mut self, now: Time, namespace: &str, request: RequestId) {
        let max = self.config.max_requests;
        let is_sharded = self.config.is_sharded();
        let Some(of) = self.namespaces.get_mut(namespace) else { return };
        if let Some(heartbeat) = &mut of.heartbeat {
            let nodes = heartbeat.ask(request, now + MAX_ACK_TIMEOUT, max);
            self.events.push_back(WireEvent::Asked { request, nodes });
            return;
        }
        if of.asking.len() < max {
            of.asking.push(request);
        }
        self.commands.push_back(count_of(of, is_sharded));
        // Sooner than the next count, should this one be lost.
        let again = now + RECOUNT;
        self.count_at = self.count_at.map(|at| at.min(again));
    }

    /// Takes the number of subscribers of the channel that is counted, of which one is this node.
    pub(super) fn counted(
        &mut self,
        channel: &str,
        request: Option<RequestId>,
        subscribers: usize,
    ) {
        let Self { config, namespaces, .. } = self;
        let prefix = match config.format {
            Format::Classic(_) => [&config.prefix, "-request"].concat(),
            _ => config.prefix.clone(),
        };
        let name = channel.strip_prefix(&*prefix).and_then(|rest| rest.strip_prefix('#'));
        let name = name.and_then(|rest| rest.strip_suffix('#'));
        let Some(namespace) = name.and_then(|name| namespaces.get_mut(name)) else { return };
        // One of them is this node. The broker may not know it yet.
        let nodes = subscribers.saturating_sub(1);
        namespace.counted = nodes;
        // Those behind it were published when this count was already in flight.
        let last = request.and_then(|last| namespace.asking.iter().position(|it| *it == last));
        let counted = namespace.asking.drain(..last.map_or(0, |last| last + 1));
        let asked: Vec<_> = counted.map(|request| WireEvent::Asked { request, nodes }).collect();
        // Before the result of a request, which may be compared with it.
        self.tell_nodes();
        self.events.extend(asked);
    }

    /// Sends a message without data, where nodes have heartbeats, and starts the time to the next one anew.
    pub(super) fn present(&mut self, now: Time, namespace: &str, kind: u8) {
        let Format::Heartbeats(config) = &self.config.format else { return };
        if !self.subscriptions.is_connected() {
            return;
        }
        let Some(of) = self.namespaces.get_mut(namespace) else { return };
        let sender = Sender { uid: &of.uid, namespace };
        let outgoing = Outgoing::Presence(kind);
        // It has no payload, of which writing could fail.
        if let Ok(command) = self.config.message(&sender, Arc::clone(&of.requests), &outgoing) {
            self.commands.push_back(command);
        }
        if let Some(heartbeat) = &mut of.heartbeat {
            restart(heartbeat, now, config, &mut self.beat_at);
        }
    }

    /// Starts the time to the next heartbeat anew behind messages that are as good.
    pub(super) fn restart_beat(&mut self, now: Time, namespace: &str, operation: &Operation) {
        let Format::Heartbeats(config) = &self.config.format else { return };
        let counts = match operation {
            Operation::Broadcast(broadcast) => broadcast.request.is_some(),
            Operation::FetchSockets { .. } | Operation::ServerSideEmit { .. } => true,
            _ => false,
        };
        if counts
            && self.subscriptions.is_connected()
            && let Some(of) = self.namespaces.get_mut(namespace)
            && let Some(heartbeat) = &mut of.heartbeat
        {
            restart(heartbeat, now, config, &mut self.beat_at);
        }
    }

    /// Begins to be heard in all namespaces, or to be silent.
    pub(super) fn present_all(&mut self, now: Time, is_connected: bool) {
        if !matches!(self.config.format, Format::Heartbeats(_)) {
            return;
        }
        self.beat_at = None;
        let names: Vec<_> = self.namespaces.iter().map(|(name, _)| Arc::clone(name)).collect();
        for name in names {
            match is_connected {
                true => self.present(now, &name, HELLO),
                false => {
                    if let Some(of) = self.namespaces.get_mut(&name)
                        && let Some(heartbeat) = &mut of.heartbeat
                    {
                        heartbeat.pause();
                    }
                }
            }
        }
    }

    /// Tells the other nodes that this one leaves a namespace.
    pub(super) fn leave(&mut self, now: Time, namespace: &str) {
        self.present(now, namespace, GOODBYE);
        let Some(of) = self.namespaces.get_mut(namespace) else { return };
        let Some(heartbeat) = of.heartbeat.take() else { return };
        let lost = heartbeat.uids().map(|uid| WireEvent::Lost(ids::node(uid)));
        self.events.extend(lost);
    }

    /// Counts the nodes, or sends heartbeats and looks for nodes that are silent, when it is time.
    pub(super) fn handle_presence(&mut self, now: Time) {
        if self.count_at.is_some_and(|at| at <= now) {
            self.count(now);
        }
        if self.beat_at.is_some_and(|at| at <= now) {
            self.beat(now);
        }
        if self.sweep_at.is_some_and(|at| at <= now) {
            self.sweep(now);
        }
    }

    /// Sets when nodes are counted, if they are.
    pub(super) fn schedule_count(&mut self, now: Time) {
        let counts = self.subscriptions.is_connected()
            && self.namespaces.first().is_some()
            && !matches!(self.config.format, Format::Heartbeats(_));
        match counts {
            true => _ = self.count_at.get_or_insert(now),
            false => self.count_at = None,
        }
    }

    fn count(&mut self, now: Time) {
        let is_sharded = self.config.is_sharded();
        let waits = |of: &Namespace| !of.asking.is_empty();
        let first = self.namespaces.first();
        let nodes = first.map_or(0, |of| of.counted);
        // The other namespaces have fewer nodes as a rule. One with more may have counted a node that was lost since.
        let others = self.namespaces.iter().map(|(_, of)| of);
        let others = others.filter(|of| waits(of) || of.counted > nodes);
        let is_first = |of: &&Namespace| first.is_some_and(|first| core::ptr::eq(first, *of));
        let others = others.filter(|of| !is_first(of));
        let mut is_asking = false;
        for of in first.into_iter().chain(others) {
            is_asking |= waits(of);
            self.commands.push_back(count_of(of, is_sharded));
        }
        let interval = self.config.count_interval;
        self.count_at = Some(now + if is_asking { interval.min(RECOUNT) } else { interval });
    }

    fn beat(&mut self, now: Time) {
        let due =
            |of: &Namespace| of.heartbeat.as_ref().is_some_and(|heartbeat| heartbeat.is_due(now));
        let names = self.namespaces.iter().filter(|(_, of)| due(of));
        let names: Vec<_> = names.map(|(name, _)| Arc::clone(name)).collect();
        for name in names {
            self.present(now, &name, HEARTBEAT);
        }
        let next = self.namespaces.iter().filter_map(|(_, of)| of.heartbeat.as_ref()?.next());
        self.beat_at = next.min();
    }

    fn sweep(&mut self, now: Time) {
        let Format::Heartbeats(config) = &self.config.format else { return };
        let mut silent = Vec::new();
        let mut is_any = false;
        for (name, of) in self.namespaces.iter_mut() {
            let Some(heartbeat) = &mut of.heartbeat else { continue };
            heartbeat.expire(now);
            is_any |= heartbeat.len() > 0;
            let uids = heartbeat.silent(now, config).into_iter();
            silent.extend(uids.map(|uid| (Arc::clone(name), uid)));
        }
        self.sweep_at = is_any.then(|| now + SWEEP);
        for (name, uid) in silent {
            self.lose(&name, &uid);
        }
    }

    fn lose(&mut self, namespace: &str, uid: &str) {
        let Self { namespaces, events, .. } = self;
        let Some(of) = namespaces.get_mut(namespace) else { return };
        let Some(heartbeat) = &mut of.heartbeat else { return };
        let asked = |request, nodes| events.push_back(WireEvent::Asked { request, nodes });
        if heartbeat.lose(uid, asked) {
            events.push_back(WireEvent::Lost(ids::node(uid)));
            self.tell_nodes();
        }
    }
}

/// Counts the nodes that the requests of a namespace have reached so far.
fn count_of(namespace: &Namespace, is_sharded: bool) -> Command {
    let channel = Arc::clone(&namespace.requests);
    Command::Count { channel, is_sharded, request: namespace.asking.last().copied() }
}

fn restart(
    heartbeat: &mut Heartbeat,
    now: Time,
    config: &HeartbeatsConfig,
    beat_at: &mut Option<Time>,
) {
    let next = heartbeat.restart(now, config);
    // The earliest of all may be too early, but never too late.
    *beat_at = Some(beat_at.map_or(next, |at| at.min(next)));
}

/// Time between two looks for nodes that are silent, as the reference has it.
const SWEEP: Duration = Duration::from_secs(1);

/// Time to the next count while a request waits for one.
const RECOUNT: Duration = Duration::from_secs(1);
