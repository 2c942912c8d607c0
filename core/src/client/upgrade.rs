//! The upgrade, from the client's side: a transaction that the client completes. Until it sends its
//! `5`, polling is the transport; a probe that fails, stalls or is cut costs neither the session nor
//! a message.

use core::hash::Hasher;

use super::{ClientAction, ClientSession, ClientTimerKind, State, Transport};
use crate::{
    channel::{Event, PROBE, WebSocketId},
    codec::{self, Frame, PacketRef, encode_frame},
    config::TransportKind,
    fingerprint::Fingerprint,
    packet::{Message, Packet},
    time::Time,
};

/// A WebSocket that is to become the session's transport.
#[derive(Clone, Copy, Debug)]
pub(super) struct Probe {
    pub(super) on: WebSocketId,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Stage {
    /// The WebSocket is being opened.
    Connecting,
    /// It is open, and the probe is to be sent.
    Asking,
    /// The probe is out.
    Asked,
    /// The server has answered. No new request is sent, and once those under way have ended nothing
    /// can be overtaken any more.
    Pausing,
}

impl Probe {
    pub(super) fn fingerprint<H: Hasher>(&self, into: &mut Fingerprint<H>) {
        let Self { on, stage } = self;
        into.push_name(Some(on.0));
        into.push(stage);
    }
}

impl ClientSession {
    /// The server takes upgrades: tries one, if the configuration wants it.
    pub(super) fn begin_probe(&mut self, now: Time) {
        let wanted = self.config.upgrade
            && self.transport == Transport::Polling
            && self.config.transports.contains(&TransportKind::WebSocket);
        if !wanted {
            return;
        }
        let on = WebSocketId(self.fresh_id());
        let request = self.request(now, TransportKind::WebSocket);
        self.actions.push_back(ClientAction::OpenWebSocket(on, request));
        self.probe = Some(Probe { on, stage: Stage::Connecting });
        self.timers.set(ClientTimerKind::Upgrade, now + self.config.upgrade_timeout);
    }

    pub(crate) fn is_probe(&self, on: WebSocketId) -> bool {
        self.probe.is_some_and(|probe| probe.on == on)
    }

    pub(super) fn is_pausing(&self) -> bool {
        self.probe.is_some_and(|probe| probe.stage == Stage::Pausing)
    }

    /// The WebSocket is open: asks whether it goes through.
    pub(super) fn ask_probe(&mut self) {
        if let Some(probe) = &mut self.probe {
            probe.stage = Stage::Asking;
        }
    }

    /// A message came on the WebSocket that is probing.
    pub(super) fn handle_probe_message(&mut self, message: &Message) {
        let revision = self.config.revision;
        let packet = match message {
            Message::Text(text) => codec::decode_text(revision, text.clone()).ok(),
            Message::Binary(bytes) => codec::decode_binary(revision, bytes.clone()),
        };
        match (packet, &mut self.probe) {
            // Not before it was asked for: it would not tell that anything goes through.
            (Some(Packet::Pong(data)), Some(probe))
                if data == PROBE && matches!(probe.stage, Stage::Asked | Stage::Pausing) =>
            {
                probe.stage = Stage::Pausing;
                self.complete_upgrade();
            }
            _ => self.abandon_probe(),
        }
    }

    /// Once the server has answered the probe and no request is under way, moves to the WebSocket.
    pub(super) fn complete_upgrade(&mut self) {
        let Some(probe) = self.probe else { return };
        if probe.stage != Stage::Pausing || !self.is_at_rest() || self.state != State::Open {
            return;
        }
        self.forget_probe();
        self.timers.stop(ClientTimerKind::Rest);
        self.transport = Transport::WebSocket(probe.on);
        self.upgrade_due = true;
        self.channel.tell(Event::Upgraded);
    }

    pub(super) fn poll_write_probe(&mut self, on: WebSocketId) -> Option<Frame> {
        let probe = self.probe.as_mut().filter(|probe| probe.on == on)?;
        if probe.stage != Stage::Asking {
            return None;
        }
        probe.stage = Stage::Asked;
        Some(encode_frame(self.config.revision, PacketRef::Ping(PROBE), false))
    }

    pub(super) fn probe_wants_write(&self, on: WebSocketId) -> bool {
        self.probe.is_some_and(|probe| probe.on == on && probe.stage == Stage::Asking)
    }

    /// Gives up the probe, as it is too late or not what it should be. Polling goes on.
    pub(super) fn abandon_probe(&mut self) {
        if let Some(probe) = self.probe {
            self.actions.push_back(ClientAction::CloseWebSocket(probe.on));
            self.forget_probe();
        }
    }

    /// The probe is no more. Polling goes on.
    pub(super) fn forget_probe(&mut self) {
        self.probe = None;
        self.timers.stop(ClientTimerKind::Upgrade);
    }
}
