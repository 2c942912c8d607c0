//! Connections of nobody's, on which a scenario says whatever it likes.

use std::time::Duration;

use enginewire::Limits;

use super::World;
use crate::{
    application::Application,
    log::Deed,
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
    /// It is a proxy that repeats a request, and goes when the server does.
    pub(super) is_proxy: bool,
}

impl<A: Application> World<A> {
    /// A life without a client of its own: whoever lives it is an intruder. Its requests must carry
    /// the query parameter `life`, with this number.
    pub fn begin_by_hand(&mut self) -> u64 {
        let life = self.ledger.begin(&Limits::default());
        self.ledger.note_intruder(life);
        self.say(format_args!("life {life} begins, by hand"));
        life
    }

    /// Opens a connection on which a scenario says whatever it likes: a second program with the session
    /// id of this life, a client that breaks the rules. From now on every reason explains an end of this
    /// life's sessions on the server. A proxy that repeats a request is a matter of its own, see
    /// [`Fault::Repeat`](crate::Fault::Repeat).
    pub fn intrude(&mut self, life: u64, path: Path) -> IntruderId {
        self.ledger.note_intruder(life);
        let id = self.network.connect(&mut self.agenda, self.now, life, path);
        self.note_troubles();
        self.intruders.insert(id, Intruder::default());
        self.say(format_args!("{id:?} intrudes on life {life}"));
        IntruderId(id)
    }

    /// A proxy sends a request of the life once more, and swallows the answer.
    pub(super) fn repeat(&mut self, number: u64) {
        let Some((life, again)) = self.network.take_repeat(number) else { return };
        // What opens a session opens another one, of which nobody knows.
        if again.is_of_session() {
            self.ledger.note_repeat(life, again.is_post());
        }
        let path = Path::exact(Duration::ZERO);
        let id = self.network.connect(&mut self.agenda, self.now, life, path);
        self.say(format_args!("{id:?} repeats a request of life {life}"));
        let proxy = Intruder { unsaid: again.request, is_proxy: true, ..Intruder::default() };
        self.intruders.insert(id, proxy);
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
        log.note_data(*now, Deed::Writes(id, Side::Client, taken), &said);
        if let Some(wire) = network.wire_mut(id) {
            wire.observer.request(&said);
        }
    }

    pub(super) fn read_intruder(&mut self, id: WireId) {
        let Some(intruder) = self.intruders.get_mut(&id) else { return };
        while let Some(read) = self.network.read(&mut self.agenda, self.now, id, Side::Client) {
            let deed = Deed::Reads(id, Side::Client, read.bytes.len());
            self.log.note_data(self.now, deed, &read.bytes);
            if !intruder.is_proxy {
                intruder.heard.extend(read.bytes);
            }
        }
        if self.network.read_end(id, Side::Client) && intruder.is_proxy {
            self.leave(IntruderId(id));
        }
    }
}
