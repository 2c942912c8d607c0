//! Getters of the session of a client.

use core::hash::Hasher;

use super::{ClientAction, ClientConfig, ClientSession, OpenPacket, State, Transport};
use crate::{
    channel::{CloseReason, WebSocketId},
    config::TransportKind,
    fingerprint::Fingerprint,
    packet::Revision,
    time::Time,
};

/// Getters.
impl ClientSession {
    /// Returns the configuration.
    pub fn config(&self) -> &ClientConfig {
        &self.config
    }

    /// Returns whether a message that is sent now goes out at once.
    ///
    /// It does if the session is open, nothing is queued, and no POST is in progress. It does not while the session
    /// leaves polling.
    pub fn is_idle(&self) -> bool {
        self.state == State::Open
            && self.handshake.is_some()
            && !self.upgrade_due
            && self.channel.queue.is_empty()
            && (self.transport != Transport::Polling
                || self.polling.may_post() && !self.is_pausing())
    }

    /// The session's id, once it is open: a secret.
    pub fn sid(&self) -> Option<&str> {
        self.handshake.as_ref().map(|handshake| &*handshake.sid)
    }

    /// Returns the server's open packet, once the session is open.
    pub const fn handshake(&self) -> Option<&OpenPacket> {
        self.handshake.as_ref()
    }

    /// The revision of the protocol that the session speaks.
    pub fn revision(&self) -> Revision {
        self.config.revision
    }

    /// The transport that carries messages now, or on which the session is being opened.
    pub const fn transport(&self) -> TransportKind {
        match self.transport {
            Transport::Polling => TransportKind::Polling,
            Transport::WebSocket(_) => TransportKind::WebSocket,
        }
    }

    /// The subprotocol that the server has chosen for the WebSocket that carries the session.
    ///
    /// `None` if none was [offered](ClientConfig::push_protocol), and while polling is the
    /// transport.
    pub fn subprotocol(&self) -> Option<&str> {
        let (on, name) = self.subprotocol.as_ref()?;
        self.is_socket(*on).then_some(name)
    }

    /// Whether a WebSocket carries the session: what to tell the next one, until something fails.
    pub fn websocket_works(&self) -> bool {
        self.handshake.is_some() && self.transport() == TransportKind::WebSocket
    }

    /// Whether the session is over.
    pub fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    /// Whether the session takes messages: it is neither closing nor closed. It may not be open yet,
    /// see [`handshake`](Self::handshake).
    pub fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// Returns whether an upgrade is in progress: a WebSocket is probed.
    pub const fn is_upgrading(&self) -> bool {
        self.probe.is_some()
    }

    /// Why the session is over; `None` while it is not.
    pub const fn close_reason(&self) -> Option<&CloseReason> {
        self.channel.close_reason()
    }

    /// Returns the first line of the response that refused the session.
    ///
    /// At most 200 characters. `None` if there was no such response, or no text in it.
    pub fn refusal(&self) -> Option<&str> {
        self.refusal.as_deref()
    }

    /// Whether the application has closed or aborted the session, before it was over. What ended it then
    /// may have been something else: the connection may have been lost meanwhile, for example.
    pub const fn was_closed(&self) -> bool {
        self.was_closed
    }

    /// Whether a driver should read the session's WebSocket; see
    /// [`ServerSession::is_receiving`](crate::ServerSession::is_receiving).
    pub const fn is_receiving(&self) -> bool {
        !self.channel.is_throttled()
    }

    /// Bytes queued for the server, as [`Limits::max_queued`](crate::Limits::max_queued) counts.
    pub const fn queued(&self) -> usize {
        self.channel.queue.bytes()
    }

    /// Returns the messages that were queued when the session ended, and have not left.
    ///
    /// Of those that have left, the last may not have arrived. Zero while the session lives.
    pub const fn undelivered(&self) -> usize {
        self.undelivered
    }

    /// Whether [`send`](Self::send) would find room.
    pub fn has_room(&self) -> bool {
        self.queued() < self.config.limits.max_queued
    }

    /// Returns whether senders that found no room should try again.
    ///
    /// They should once half of the queue is free.
    pub fn is_writable(&self) -> bool {
        self.channel.queue.is_writable(&self.config.limits)
    }

    /// Whether [`poll_write`](Self::poll_write) has something for this WebSocket.
    pub fn wants_write(&self, on: WebSocketId) -> bool {
        if self.is_socket(on) {
            let open = self.handshake.is_some();
            self.upgrade_due || (open && !self.channel.queue.is_empty())
        } else {
            self.probe_wants_write(on)
        }
    }

    /// Whether [`poll_action`](Self::poll_action) has something.
    pub fn has_actions(&self) -> bool {
        !self.actions.is_empty() || self.wants_request()
    }

    /// Whether [`poll_event`](Self::poll_event) has something.
    pub fn has_events(&self) -> bool {
        self.channel.has_events()
    }

    /// Feeds all that the session's future depends on into `into`, but for its configuration.
    pub fn fingerprint<H: Hasher>(&self, now: Time, into: &mut Fingerprint<H>) {
        // The name to be given next is one that was not given yet, whichever it is.
        let Self {
            config: _,
            place,
            stamp,
            cookies,
            state,
            transport,
            others,
            handshake,
            lost,
            refusal,
            was_closed,
            close_by,
            undelivered,
            polling,
            probe,
            subprotocol,
            upgrade_due,
            timers,
            progress,
            excused,
            channel,
            actions,
            next_id: _,
        } = self;
        into.push(&(stamp, state, others, handshake, lost, was_closed, upgrade_due));
        into.push(&(channel, progress, excused, refusal, undelivered));
        place.fingerprint(into);
        cookies.fingerprint(now, into);
        into.push_name(match transport {
            Transport::Polling => None,
            Transport::WebSocket(on) => Some(on.0),
        });
        polling.fingerprint(into);
        into.push_name(subprotocol.as_ref().map(|(on, _)| on.0));
        into.push(&subprotocol.as_ref().map(|(_, name)| name));
        into.push(&probe.is_some());
        if let Some(probe) = probe {
            probe.fingerprint(into);
        }
        timers.fingerprint(now, into);
        into.push_time(now, Some(*close_by));
        into.push(&actions.len());
        for action in actions {
            into.push(&core::mem::discriminant(action));
            match action {
                ClientAction::Request(on, request) => {
                    into.push_name(Some(on.0));
                    into.push(request);
                }
                ClientAction::OpenWebSocket(on, request) => {
                    into.push_name(Some(on.0));
                    into.push(request);
                }
                ClientAction::Abandon(on) => into.push_name(Some(on.0)),
                ClientAction::CloseWebSocket(on) => into.push_name(Some(on.0)),
            }
        }
    }
}
