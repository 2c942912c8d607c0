//! The work of a driver: it handles what comes from the network, and what connections put out.

use enginewire::{CloseReason, Encoded, TransportFault};
use enginewire_socketio::Connection;

use super::{
    link::{Carrier, Down, Up},
    scenario::Sabotage,
    world::World,
};

impl World {
    /// Calls `f` with the connection of a link, if the session is not over.
    pub(super) fn on<T>(
        &mut self,
        link: u8,
        f: impl FnOnce(&mut Connection<u8>, &mut Carrier) -> T,
    ) -> Option<T> {
        let link = self.links.iter_mut().find(|it| it.number == link)?;
        Some(f(link.connection.as_mut()?, &mut link.carrier))
    }

    pub(super) fn arrive_at_server(&mut self, place: usize) {
        let now = self.now;
        let link = &mut self.links[place];
        let Some(connection) = &mut link.connection else { return };
        match link.to_server.pop_front() {
            Some(Up::Message(message)) => {
                link.carrier.unread += message.cost();
                connection.handle_message(now, message, &mut link.carrier);
            }
            Some(Up::Lost) => {
                let lost = CloseReason::TransportError(TransportFault::ConnectionLost);
                self.server_lost(place, &lost);
            }
            None => {}
        }
    }

    /// The session is over for the server.
    fn server_lost(&mut self, place: usize, reason: &CloseReason) {
        let link = &mut self.links[place];
        link.to_server.clear();
        link.carrier.queue.clear();
        link.carrier.is_closed = true;
        if let Some(connection) = &mut link.connection {
            connection.handle_closed(reason);
        }
        let number = link.number;
        self.drain(number);
        self.links[place].connection = None;
    }

    pub(super) fn arrive_at_client(&mut self, place: usize) {
        let overtakes = self.sabotage(Sabotage::Overtaking);
        let link = &mut self.links[place];
        let messages = link.to_client.iter().take(2);
        let both = messages.filter(|(_, item)| matches!(item, Down::Message(_))).count() == 2;
        let nth = usize::from(overtakes && both);
        match link.to_client.remove(nth).map(|(_, item)| item) {
            Some(Down::Message(message)) => match message.as_text() {
                Some(text) => self.client_hears(text),
                None => self.accuse(String::from("the client gets binary data")),
            },
            Some(Down::End | Down::Lost) => {
                link.left_by_client = true;
                link.to_client.clear();
                self.client_lost();
            }
            None => {}
        }
    }

    /// Handles what a connection puts out.
    pub(super) fn drain(&mut self, link: u8) {
        while let Some(event) = self.on(link, |connection, _| connection.poll_event()).flatten() {
            self.handle(link, event);
        }
    }

    /// Handles all that follows from a move, but for the messages that are written move by move.
    pub(super) fn settle(&mut self) {
        for place in 0..self.links.len() {
            let link = &mut self.links[place];
            let number = link.number;
            if self.scenario.room.is_none() {
                while !link.carrier.queue.is_empty() {
                    link.write();
                }
            }
            self.drain(number);
        }
        // Responses to what came may have been made meanwhile.
        for place in 0..self.links.len() {
            let link = &mut self.links[place];
            if self.scenario.room.is_none() {
                while !link.carrier.queue.is_empty() {
                    link.write();
                }
            }
            if link.connection.is_some() && link.carrier.is_closed && link.carrier.queue.is_empty()
            {
                link.push_down(self.now, Down::End);
                self.server_lost(place, &CloseReason::ForcedClose);
            }
        }
        self.links.retain(|link| !link.is_over());
    }

    /// The session of a link sends what has waited longest, and has room again.
    pub(super) fn write(&mut self, place: usize) {
        let link = &mut self.links[place];
        link.write();
        if let Some(connection) = &mut link.connection
            && std::mem::take(&mut link.carrier.is_full)
        {
            connection.handle_writable(&mut link.carrier);
        }
    }

    pub(super) fn tick(&mut self) {
        let Some(deadline) = self.deadline() else { return };
        self.now = deadline;
        for place in 0..self.links.len() {
            let link = &mut self.links[place];
            link.set_now(deadline);
            if let Some(connection) = &mut link.connection {
                connection.handle_timeout(deadline, &mut link.carrier);
            }
            if link.heartbeat().is_some_and(|heartbeat| heartbeat <= deadline) {
                if link.cut_at.is_none() {
                    link.cut(deadline);
                }
                self.server_lost(place, &CloseReason::PingTimeout);
            }
        }
        for space in 0..self.spaces.len() {
            if let Some(recovery) = &mut self.spaces[space].recovery {
                recovery.handle_timeout(deadline);
            }
            self.note_dropped(space);
        }
    }
}

/// A message in words.
pub(super) fn shown(message: &Encoded) -> String {
    message.part(0).and_then(|part| part.message().as_text()).unwrap_or_default().to_owned()
}
