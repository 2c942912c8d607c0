//! Connections of nobody's, on which a scenario says whatever it likes.

use super::World;
use crate::{
    application::Application,
    network::WireId,
    path::{Path, Side},
};

/// A connection that a scenario has opened by hand, see [`World::intrude`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct IntruderId(pub(super) WireId);

/// What is known about it.
#[derive(Default)]
pub(super) struct Intruder {
    pub(super) connected: bool,
    /// What is still to be said.
    unsaid: Vec<u8>,
    heard: Vec<u8>,
}

impl<A: Application> World<A> {
    /// A life without a client of its own: whoever lives it is an intruder. Its requests must carry
    /// the query parameter `life`, with this number.
    pub fn begin_by_hand(&mut self) -> u64 {
        let life = self.ledger.begin(self.now);
        self.ledger.note_intruder(life);
        self.say(format_args!("life {life} begins, by hand"));
        life
    }

    /// Opens a connection on which a scenario says whatever it likes: a proxy that repeats a request
    /// of this life, a second program with its session id, a client that breaks the rules. From now on
    /// every reason explains an end of this life's sessions on the server.
    pub fn intrude(&mut self, life: u64, path: Path) -> IntruderId {
        self.ledger.note_intruder(life);
        let id = self.network.connect(&mut self.agenda, self.now, life, path);
        self.intruders.insert(id, Intruder::default());
        self.say(format_args!("{id:?} intrudes on life {life}"));
        IntruderId(id)
    }

    /// Says something on such a connection, as soon as it is there.
    pub fn utter(&mut self, id: IntruderId, bytes: &[u8]) {
        if let Some(intruder) = self.intruders.get_mut(&id.0) {
            intruder.unsaid.extend_from_slice(bytes);
            self.write_intruder(id.0);
        }
    }

    /// What the server has said on it.
    pub fn heard(&self, id: IntruderId) -> &[u8] {
        self.intruders.get(&id.0).map_or(&[], |intruder| &intruder.heard)
    }

    /// Closes it, and forgets what was heard on it.
    pub fn leave(&mut self, id: IntruderId) {
        if self.intruders.remove(&id.0).is_some() {
            self.network.close(&mut self.agenda, self.now, id.0, Side::Client);
        }
    }

    pub(super) fn write_intruder(&mut self, id: WireId) {
        let Self { intruders, network, agenda, log, now, .. } = self;
        let Some(intruder) = intruders.get_mut(&id).filter(|intruder| intruder.connected) else {
            return;
        };
        let taken = network.write(agenda, *now, id, Side::Client, &intruder.unsaid);
        let said: Vec<u8> = intruder.unsaid.drain(..taken).collect();
        log.data(&said);
        if let Some(wire) = network.wire_mut(id) {
            wire.observer.request(&said);
        }
    }

    pub(super) fn read_intruder(&mut self, id: WireId) {
        let Some(intruder) = self.intruders.get_mut(&id) else { return };
        while let Some(bytes) = self.network.read(&mut self.agenda, self.now, id, Side::Client) {
            self.log.data(&bytes);
            intruder.heard.extend(bytes);
        }
        self.network.read_end(id, Side::Client);
    }
}
