//! What is looked at every so often.

use std::time::Duration;

use super::World;
use crate::{network::Wire, path::Side};

impl<A> World<A> {
    /// Looks at all sessions and connections.
    pub(super) fn sweep(&mut self) {
        let now = self.now;
        self.swept = now;
        for (_, wire) in self.network.wires() {
            if wire.ailing {
                self.ledger.note_hidden_fault(wire.life, now);
            }
        }
        for seen in self.server.sessions.values() {
            if seen.paused {
                self.ledger.note_slow(now, seen.life);
            }
            self.ledger.check_silence(now, seen.life, Side::Server);
        }
        for (&life, client) in &self.clients {
            if client.paused {
                self.ledger.note_slow(now, life);
            }
            self.ledger.check_silence(now, life, Side::Client);
        }
        self.check_posts();
    }

    /// A POST is answered, at once but for an application that has too much to catch up with.
    fn check_posts(&self) {
        let owing = |wire: &Wire| {
            let deadline = wire.sent + wire.round_trip() + ANSWERED;
            wire.observer.owes_post() && !wire.faulty && deadline < self.now
        };
        let mut owing = self
            .network
            .wires()
            .filter(|(id, wire)| owing(wire) && !self.intruders.contains_key(id));
        let excused = |wire: &Wire| {
            self.ledger.was_slow_since(wire.life, wire.sent)
                || !self.server.sessions.iter().any(|(&session, seen)| {
                    let session = self.server.hub.session(session);
                    seen.life == wire.life && session.is_some_and(|session| session.is_open())
                })
        };
        if let Some((id, wire)) = owing.find(|(_, wire)| !excused(wire)) {
            let (life, waited) = (wire.life, self.now.since(wire.sent));
            panic!("life {life}: a POST on {id:?} has not been answered for {waited:?}");
        }
    }
}

/// Far longer than it takes to answer a POST.
const ANSWERED: Duration = Duration::from_secs(3);
