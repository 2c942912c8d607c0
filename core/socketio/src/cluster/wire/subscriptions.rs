//! Channels and streams that a node listens to.

use alloc::{
    collections::{BTreeMap, VecDeque},
    vec::Vec,
};

use super::command::{Command, Subscription};

/// The subscriptions of a node, each with the number of reasons for it.
///
/// Channels of different things can have one name: that of the room `b` of `/a`, and that of the namespace `/a#b`.
#[derive(Default)]
pub(super) struct Subscriptions {
    reasons: BTreeMap<Subscription, usize>,
    is_connected: bool,
}

impl Subscriptions {
    pub(super) fn insert(&mut self, subscription: Subscription, commands: &mut VecDeque<Command>) {
        let reasons = self.reasons.entry(subscription.clone()).or_default();
        *reasons += 1;
        if *reasons == 1 && self.is_connected {
            commands.push_back(Command::Subscribe(subscription));
        }
    }

    pub(super) fn remove(&mut self, subscription: Subscription, commands: &mut VecDeque<Command>) {
        let Some(reasons) = self.reasons.get_mut(&subscription) else { return };
        *reasons -= 1;
        if *reasons == 0 {
            self.reasons.remove(&subscription);
            if self.is_connected {
                commands.push_back(Command::Unsubscribe(subscription));
            }
        }
    }

    /// Handles that the broker is connected, with none of them, or is so no longer.
    pub(super) fn set_connected(&mut self, is_connected: bool, commands: &mut VecDeque<Command>) {
        self.is_connected = is_connected;
        commands
            .retain(|command| !matches!(command, Command::Subscribe(_) | Command::Unsubscribe(_)));
        if is_connected {
            // Ahead of messages that wait, because those may be answered.
            let all: Vec<_> = self.reasons.keys().cloned().map(Command::Subscribe).collect();
            for subscribe in all.into_iter().rev() {
                commands.push_front(subscribe);
            }
        }
    }

    pub(super) const fn is_connected(&self) -> bool {
        self.is_connected
    }

    pub(super) fn contains(&self, subscription: &Subscription) -> bool {
        self.reasons.contains_key(subscription)
    }

    pub(super) fn len(&self) -> usize {
        self.reasons.len()
    }
}
