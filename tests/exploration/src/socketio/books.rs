//! Books of each socket: what it is to get, and what it got.

use enginewire::Time;
use enginewire_socketio::Slot;

/// The books about all sockets there have been.
#[derive(Clone, Default)]
pub(super) struct Books {
    pub(super) sockets: Vec<Account>,
    /// Acknowledgements that the server waits for.
    pub(super) questions: Vec<Question>,
    /// Sockets that came back with what they had missed.
    pub(super) recovered: u8,
}

/// One socket, from its acceptance on. One that comes back is the same.
#[derive(Clone, Hash)]
pub(super) struct Account {
    pub(super) space: usize,
    pub(super) id: String,
    pub(super) life: Life,
    /// Events that were sent to it, in order.
    owed: Vec<Owed>,
    /// So many of them have come, or never will.
    got: usize,
    /// The server has disconnected it behind so many.
    kicked: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Life {
    /// It is connected at the server.
    Connected,
    /// It may come back.
    Waiting,
    Ended,
}

#[derive(Clone, Hash)]
struct Owed {
    number: u8,
    /// It may be missing.
    is_optional: bool,
}

/// An event that the client is to acknowledge.
#[derive(Clone)]
pub(super) struct Question {
    pub(super) link: u8,
    pub(super) slot: Slot,
    pub(super) number: u8,
    pub(super) deadline: Time,
    /// The client has acknowledged it.
    pub(super) is_answered: bool,
}

impl Books {
    pub(super) fn open(&mut self, space: usize, id: &str) -> usize {
        self.sockets.push(Account {
            space,
            id: id.to_owned(),
            life: Life::Connected,
            owed: Vec::new(),
            got: 0,
            kicked: None,
        });
        self.sockets.len() - 1
    }

    pub(super) fn find(&self, id: &str) -> Option<usize> {
        self.sockets.iter().position(|socket| socket.id == id)
    }

    /// An event is sent to all sockets of a namespace that are there, or may come back.
    pub(super) fn broadcast(&mut self, space: usize, number: u8, is_optional: bool) {
        for socket in self.sockets.iter_mut().filter(|socket| socket.space == space) {
            let is_there = match socket.life {
                Life::Connected => true,
                // Volatile events are not for them.
                Life::Waiting => !is_optional,
                Life::Ended => false,
            };
            if is_there {
                socket.owed.push(Owed { number, is_optional });
            }
        }
    }
}

impl Account {
    /// An event is sent to this socket alone.
    pub(super) fn owe(&mut self, number: u8) {
        self.owed.push(Owed { number, is_optional: false });
    }

    /// It was disconnected by the server, behind what it was sent.
    pub(super) fn kick(&mut self) {
        self.kicked = Some(self.owed.len());
    }

    /// Its connection broke. `lost` are the numbers of events that do not come again.
    pub(super) fn lose(&mut self, lost: impl Fn(u8) -> bool) {
        for owed in &mut self.owed {
            owed.is_optional |= lost(owed.number);
        }
    }

    /// Whether an event is one that it may still get.
    pub(super) fn expects(&self, number: u8) -> bool {
        self.owed[self.got..].iter().any(|owed| owed.number == number)
    }

    /// The client gets an event.
    pub(super) fn receive(&mut self, number: u8) -> Result<(), String> {
        let id = &self.id;
        let rest = &self.owed[self.got..];
        let Some(skipped) = rest.iter().position(|owed| owed.number == number) else {
            return Err(match self.owed.iter().any(|owed| owed.number == number) {
                true => format!("socket {id} gets event {number} a second time, or out of order"),
                false => format!("socket {id} gets event {number}, which is not for it"),
            });
        };
        if let Some(lost) = rest[..skipped].iter().find(|owed| !owed.is_optional) {
            return Err(format!("socket {id} gets event {number} without {}", lost.number));
        }
        self.got += skipped + 1;
        Ok(())
    }

    /// The number of the first event that should have come and has not.
    pub(super) fn missing(&self) -> Option<u8> {
        self.owed[self.got..].iter().find(|owed| !owed.is_optional).map(|owed| owed.number)
    }

    /// The same of those before it was disconnected by the server.
    pub(super) fn missing_before_kick(&self) -> Option<u8> {
        let end = self.kicked.unwrap_or(self.got).max(self.got);
        let rest = self.owed[self.got..end].iter().find(|owed| !owed.is_optional);
        rest.map(|owed| owed.number)
    }

    pub(super) const fn was_kicked(&self) -> bool {
        self.kicked.is_some()
    }
}
