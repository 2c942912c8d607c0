//! The upgrade, a transaction. Until the client's `5` arrives, polling is the transport and keeps
//! delivering. A probe that fails, stalls or misbehaves costs neither the session nor a message.

use core::{hash::Hasher, time::Duration};

use super::{Event, ServerAction, ServerSession, ServerTimerKind, State, Transport, WebSocketId};
use crate::{
    channel::{PROBE, Queued},
    codec::{self, Frame, PacketRef, encode_frame},
    fingerprint::Fingerprint,
    packet::{Message, Packet},
    time::Time,
};

/// A WebSocket that wants to become the session's transport.
#[derive(Clone, Copy, Debug)]
pub(super) struct Probe {
    pub(super) on: WebSocketId,
    /// The client cannot take binary frames.
    base64: bool,
    /// The client has asked, so it may complete the upgrade.
    probed: bool,
    /// Answers that have not been pulled yet.
    pongs: u8,
}

impl Probe {
    pub(super) fn fingerprint<H: Hasher>(&self, into: &mut Fingerprint<H>) {
        let Self { on, base64, probed, pongs } = self;
        into.push_name(Some(on.0));
        into.push(&(base64, probed, pongs));
    }
}

/// Network inputs.
impl ServerSession {
    /// Begins an upgrade: a WebSocket with this session's id has completed its handshake.
    ///
    /// If the session is on a WebSocket or another one is probing, the new one is closed. Neither the
    /// session nor the other WebSocket is affected.
    pub fn handle_websocket_open(&mut self, now: Time, on: WebSocketId, base64: bool) {
        let polls = self.transport == Transport::Polling && self.state != State::Closed;
        if !polls || self.probe.is_some() || !self.may_upgrade() {
            return self.actions.push_back(ServerAction::CloseWebSocket(on));
        }
        self.blocked = false;
        self.probe = Some(Probe { on, base64, probed: false, pongs: 0 });
        self.timers.set(ServerTimerKind::Upgrade, now + self.config.upgrade_timeout);
    }

    /// A message came on the WebSocket that is probing.
    pub(super) fn handle_probe_message(&mut self, now: Time, message: &Message) {
        let Some(probe) = &mut self.probe else { return };
        let packet = match message {
            Message::Text(text) => codec::decode_text(self.revision, text.clone()).ok(),
            Message::Binary(bytes) => codec::decode_binary(self.revision, bytes.clone()),
        };
        match packet {
            Some(Packet::Ping(data)) if data == PROBE => {
                probe.probed = true;
                probe.pongs = MAX_PONGS.min(probe.pongs + 1);
                // The client waits for its GET to end before it goes on. There is nothing queued, or
                // that GET would have been answered.
                self.answer_poll_with_noop();
                // Nor does it go on while it waits for the answer to a POST.
                self.answer_late_post(now);
            }
            Some(Packet::Upgrade) if probe.probed => self.complete_upgrade(now),
            _ => self.abandon_probe(),
        }
    }
}

impl ServerSession {
    /// Whether the client has been told that it may upgrade, and now waits for its GET to end.
    pub(super) fn is_probed(&self) -> bool {
        self.probe.is_some_and(|probe| probe.probed)
    }

    /// A GET came that the client must get back before it can complete the upgrade. Not at once, or
    /// a client that polls on until it has seen our answer would spin.
    pub(super) fn delay_noop(&mut self, now: Time) {
        self.timers.set(ServerTimerKind::Noop, now + NOOP_DELAY);
    }

    pub(super) fn poll_write_probe(&mut self, on: WebSocketId) -> Option<Frame> {
        let probe = self.probe.as_mut().filter(|probe| probe.on == on)?;
        probe.pongs = probe.pongs.checked_sub(1)?;
        Some(encode_frame(self.revision, PacketRef::Pong(PROBE), probe.base64))
    }

    pub(super) fn probe_wants_write(&self, on: WebSocketId) -> bool {
        self.probe.is_some_and(|probe| probe.on == on && probe.pongs > 0)
    }

    /// Gives up the probe, as it is too late or not what it should be. Polling goes on.
    pub(super) fn abandon_probe(&mut self) {
        if let Some(probe) = self.probe {
            self.actions.push_back(ServerAction::CloseWebSocket(probe.on));
            self.forget_probe();
        }
    }

    /// The probe is no more. Polling goes on.
    pub(super) fn forget_probe(&mut self) {
        self.probe = None;
        self.timers.stop(ServerTimerKind::Upgrade);
        self.timers.stop(ServerTimerKind::Noop);
    }

    /// From here on everything queued goes to the WebSocket, in order.
    fn complete_upgrade(&mut self, _now: Time) {
        let Some(Probe { on, base64, pongs, .. }) = self.probe else { return };
        self.forget_probe();
        self.answer_poll_with_close();
        self.transport = Transport::WebSocket { on, base64 };
        for _ in 0..pongs {
            self.channel.queue.push_first(Queued::ProbePong);
        }
        self.channel.tell(Event::Upgraded);
        self.close_drained_socket();
    }
}

/// Probes answered at a time; a client sends one.
const MAX_PONGS: u8 = 4;

/// How long a GET during an upgrade may wait for data.
const NOOP_DELAY: Duration = Duration::from_millis(100);
