//! The way of a socket to its namespace: requests, and the responses to them.

use alloc::string::String;

use enginewire::{Revision, Time};
use serde::{Deserialize, Deserializer};

use super::{Auth, EndReason, Link, Manager, ManagerEvent, Root, Update, entry::State};
use crate::{
    connection::{ConnectError, Fault, Session},
    id::SocketId,
    packet::{Packet, PacketData},
    payload::Payload,
};

impl<T> Manager<T> {
    /// Returns whether any socket needs the session.
    pub(super) fn is_needed(&self) -> bool {
        self.entries.iter().any(|entry| entry.state.is_active())
    }

    /// Asks for a session, if it is time for one.
    pub(super) fn ask_open(&mut self) {
        let is_due = match &mut self.reconnector {
            Some(reconnector) => reconnector.poll_open(),
            None => true,
        };
        if self.link == Link::Down && is_due {
            self.link = Link::Wanted;
        }
    }

    /// Asks to connect a socket, or first for its payload.
    pub(super) fn begin(&mut self, now: Time, index: usize, session: &mut impl Session) {
        match self.entries[index].auth.clone() {
            Auth::None => self.request(now, index, None, session),
            Auth::Payload(auth) => self.request(now, index, Some(&auth), session),
            Auth::Ask => {
                self.entries[index].state = State::Asking;
                let slot = self.slot(index);
                self.outputs.push_back(ManagerEvent::Auth(slot));
            }
        }
    }

    pub(super) fn request(
        &mut self,
        now: Time,
        index: usize,
        auth: Option<&Payload>,
        session: &mut impl Session,
    ) {
        let timeout = self.config.response_timeout;
        let entry = &mut self.entries[index];
        entry.state = State::Connecting(now + timeout);
        entry.is_of_another = entry.place.is_known();
        entry.connection += 1;
        let namespace = match &*entry.query {
            "" => entry.namespace.clone(),
            query => [&*entry.namespace, "?", query].concat().into(),
        };
        if self.config.revision == Revision::V3 {
            match self.root {
                // Its servers connect everybody to it.
                Root::Expected if namespace == *"/" => {}
                Root::Connected if namespace == *"/" => self.connected(now, index, None, session),
                _ => {
                    self.control(&Packet { namespace, data: PacketData::Connect(None) }, session);
                }
            }
            return;
        }
        // One that cannot be read is sent as it is, without the place.
        let auth = entry.place.add_to(auth).unwrap_or_else(|_| auth.cloned());
        self.control(&Packet { namespace, data: PacketData::Connect(auth) }, session);
    }

    pub(super) fn connected(
        &mut self,
        now: Time,
        index: usize,
        response: Option<&Payload>,
        session: &mut impl Session,
    ) {
        let response = match (self.config.revision, response) {
            (Revision::V3, _) => Response { sid: self.sid_of(index), pid: None },
            (Revision::V4, None) => return self.end(now, index, EndReason::OldServer, session),
            (Revision::V4, Some(response)) => match response.decode() {
                Ok(response) => response,
                Err(_) => return self.fail(Fault::Response, session),
            },
        };
        if let Some(reconnector) = &mut self.reconnector {
            reconnector.handle_opened();
        }
        self.failure = None;
        let Response { sid: id, pid } = response;
        let entry = &mut self.entries[index];
        entry.state = State::Connected;
        entry.is_stale = false;
        self.left.remove(&entry.namespace);
        entry.refusals.reset();
        entry.id = Some(id.clone());
        let recovered = entry.place.connect(pid);
        self.push_change(index, Update::Connected { id, recovered });
    }

    /// Handles a refusal, which counts for `cost` until it is taken: it may be as large as any event.
    pub(super) fn refused(
        &mut self,
        now: Time,
        index: usize,
        payload: &Payload,
        cost: usize,
        session: &mut impl Session,
    ) {
        let error = ConnectError::from_payload(payload);
        self.note_readable(index);
        self.unread += cost;
        let entry = &mut self.entries[index];
        entry.push_change(Update::Refused(error.clone()), cost);
        // Jitter is for those that are cut off at once.
        match entry.refusals.next(&mut |bytes: &mut [u8]| bytes.fill(0x80)) {
            Some(wait) => entry.state = State::Refused(now + wait),
            None => self.end(now, index, EndReason::Refused(error), session),
        }
    }

    /// Returns the id that a client of Socket.IO 2 has in a namespace.
    fn sid_of(&self, index: usize) -> SocketId {
        let sid = self.sid.as_ref();
        sid.map_or_else(
            || "".into(),
            |sid| SocketId::from_engine(&self.entries[index].namespace, sid),
        )
    }
}

/// Payload of a response to CONNECT.
#[derive(Deserialize)]
struct Response {
    #[serde(deserialize_with = "id")]
    sid: SocketId,
    pid: Option<String>,
}

fn id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketId, D::Error> {
    String::deserialize(deserializer).map(SocketId::from)
}
