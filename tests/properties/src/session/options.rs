//! What kind of session it is.

use core::time::Duration;

use enginewire::{CarrierId, Encoded, ExchangeId, Message, Revision, ServerConfig, WebSocketId};

/// One letter each, in any order; others mean nothing.
pub(super) struct Options {
    /// `3`: revision 3.
    pub(super) revision: Revision,
    /// `w`: it begins on a WebSocket.
    pub(super) websocket: bool,
    /// `b`: the client takes nothing binary.
    pub(super) base64: bool,
    /// `j`: the client polls by JSONP.
    pub(super) jsonp: bool,
    /// `l`: in the end nobody closes it.
    pub(super) leaves_alone: bool,
    /// `i`, `I`: an initial packet, a text or a group. `u`: no upgrades. `z`: deadlines of
    /// milliseconds, `Z`: none at all. Small limits: `Q` on what is queued, `R` on what is unread, `P` on payloads, `K`
    /// on packets.
    pub(super) config: ServerConfig,
}

impl Options {
    pub(super) fn read(letters: &[u8]) -> Self {
        let has = |letter: u8| letters.contains(&letter);
        let mut config = ServerConfig::default();
        config.allow_eio3 = true;
        config.allow_upgrades = !has(b'u');
        if has(b'i') {
            config.initial_packet = Some("first".into());
        }
        if has(b'I') {
            let parts = [Message::from("first"), vec![1, 2].into(), "third of them".into()];
            config.initial_packet = Some(Encoded::group(parts));
        }
        if has(b'z') {
            config.ping_interval = Duration::from_millis(7);
            config.ping_timeout = Duration::from_millis(5);
            config.upgrade_timeout = Duration::from_millis(3);
            config.close_timeout = Duration::from_millis(4);
        }
        if has(b'Z') {
            config.ping_interval = Duration::ZERO;
            config.ping_timeout = Duration::ZERO;
            config.upgrade_timeout = Duration::ZERO;
            config.close_timeout = Duration::ZERO;
        }
        let limits = &mut config.limits;
        if has(b'Q') {
            limits.max_queued = 200;
        }
        if has(b'R') {
            limits.max_unread = 200;
        }
        if has(b'P') {
            limits.max_payload = 20;
        }
        if has(b'K') {
            limits.max_packets = 3;
        }
        Self {
            revision: if has(b'3') { Revision::V3 } else { Revision::V4 },
            websocket: has(b'w'),
            base64: has(b'b'),
            jsonp: has(b'j'),
            leaves_alone: has(b'l'),
            config,
        }
    }

    /// The query of the handshake.
    pub(super) fn query(&self) -> String {
        let transport = if self.websocket { "websocket" } else { "polling" };
        let base64 = if self.base64 { "&b64=1" } else { "" };
        let jsonp = if self.jsonp { "&j=7" } else { "" };
        format!("EIO={}&transport={transport}{base64}{jsonp}", self.revision.number())
    }

    /// What carries the handshake.
    pub(super) const fn first(&self) -> CarrierId {
        if self.websocket {
            CarrierId::WebSocket(WebSocketId(0))
        } else {
            CarrierId::Exchange(ExchangeId(0))
        }
    }

    /// How long a session may stay when its peer has fallen silent: the heartbeat, once more if the
    /// application was slow, and what a close waits.
    pub(super) fn patience(&self) -> Duration {
        let config = &self.config;
        // The least that a ping may take to be answered.
        let ping_timeout = config.ping_timeout.max(Duration::from_millis(1));
        2 * (config.ping_interval + ping_timeout) + config.close_timeout
    }
}
