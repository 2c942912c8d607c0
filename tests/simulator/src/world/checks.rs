//! What is looked at every so often.

use std::time::Duration;

use super::World;
use crate::path::Side;

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
        for (id, wire) in self.network.wires() {
            if wire.faulty || !wire.observer.owes_post() || self.intruders.contains_key(&id) {
                continue;
            }
            let life = wire.life;
            let since = self.ledger.slow(life).max(Some(wire.sent.max(self.woke)));
            let waited = since.map_or(Duration::ZERO, |since| self.now.since(since));
            assert!(
                waited <= wire.round_trip() + ANSWERED
                    || !self.open_at_server().any(|at| at == life),
                "life {life}: a POST on {id:?} has not been answered for {waited:?}"
            );
        }
    }
}

/// Far longer than it takes to answer a POST.
const ANSWERED: Duration = Duration::from_secs(3);
