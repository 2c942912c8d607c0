//! What the open packet tells.

use alloc::{borrow::Cow, string::String, vec::Vec};
use core::{fmt, time::Duration};

use serde::Deserialize;

use crate::channel::MIN_PING_TIMEOUT;

/// What the server has told in its handshake.
#[derive(Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Handshake {
    pub(super) sid: String,
    /// Whether the server would take an upgrade to a WebSocket.
    pub upgrades_to_websocket: bool,
    /// Time between two pings: of the server in revision 4, of the client in revision 3.
    pub ping_interval: Duration,
    /// Time that a ping may take to come, or a pong, beyond the interval.
    pub ping_timeout: Duration,
    /// The largest body that the server takes, in bytes, if it has said so.
    pub max_payload: Option<usize>,
}

impl Handshake {
    /// Reads the data of an open packet. `None` if they are not the JSON that they should be.
    pub(super) fn parse(data: &str) -> Option<Self> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Open<'a> {
            #[serde(borrow)]
            sid: Cow<'a, str>,
            #[serde(borrow, default)]
            upgrades: Vec<Cow<'a, str>>,
            ping_interval: u64,
            ping_timeout: u64,
            #[serde(default)]
            max_payload: Option<u64>,
        }

        if data.len() > MAX_OPEN {
            return None;
        }
        let open: Open<'_> = serde_json::from_str(data).ok()?;
        if open.sid.is_empty() || open.sid.len() > MAX_SID {
            return None;
        }
        Some(Self {
            sid: open.sid.into_owned(),
            upgrades_to_websocket: open.upgrades.iter().any(|name| name == "websocket"),
            ping_interval: Duration::from_millis(open.ping_interval),
            ping_timeout: Duration::from_millis(open.ping_timeout).max(MIN_PING_TIMEOUT),
            // Of zero, nothing could be sent at all.
            max_payload: open
                .max_payload
                .filter(|&max| max > 0)
                .map(|max| usize::try_from(max).unwrap_or(usize::MAX)),
        })
    }

    /// How long the server may be silent.
    pub(super) const fn silence(&self) -> Duration {
        self.ping_interval.saturating_add(self.ping_timeout)
    }
}

/// Without the session id, which is a secret.
impl fmt::Debug for Handshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handshake")
            .field("upgrades_to_websocket", &self.upgrades_to_websocket)
            .field("ping_interval", &self.ping_interval)
            .field("ping_timeout", &self.ping_timeout)
            .field("max_payload", &self.max_payload)
            .finish_non_exhaustive()
    }
}

/// The id goes into every request line: far beyond what any server gives (20 characters), far
/// below what a request line may have.
const MAX_SID: usize = 1024;

/// The longest handshake: what it holds is copied, and costs many times its length. The reference's has
/// a hundred bytes.
const MAX_OPEN: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    #[test]
    fn the_reference_s_open_packets_are_understood() {
        let data = r#"{"sid":"lv_VI97HAXpY6yYWAAAC","upgrades":["websocket","webtransport"],
            "pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#;
        let handshake = Handshake::parse(data).unwrap();
        assert_eq!(handshake.sid, "lv_VI97HAXpY6yYWAAAC");
        assert!(handshake.upgrades_to_websocket);
        assert_eq!(handshake.silence(), Duration::from_secs(45));
        assert_eq!(handshake.max_payload, Some(1_000_000));
    }

    #[test]
    fn what_older_and_newer_servers_leave_out_or_add_is_no_fault() {
        let data = r#"{"sid":"a\u0062","pingTimeout":5000,"pingInterval":25000,"more":[1]}"#;
        let handshake = Handshake::parse(data).unwrap();
        assert_eq!((&*handshake.sid, handshake.max_payload), ("ab", None));
        assert!(!handshake.upgrades_to_websocket);
    }

    #[test]
    fn what_is_no_handshake_is_refused() {
        let long = "x".repeat(MAX_SID + 1);
        for data in [
            "",
            "{}",
            "[]",
            "null",
            r#"{"sid":"","pingInterval":1,"pingTimeout":1}"#,
            r#"{"sid":7,"pingInterval":1,"pingTimeout":1}"#,
            r#"{"sid":"a","pingInterval":-1,"pingTimeout":1}"#,
            r#"{"sid":"a","pingInterval":1}"#,
            r#"{"sid":"a","pingInterval":1,"pingTimeout":1"#,
            r#"{"sid":"a","pingInterval":1,"pingTimeout":1,"upgrades":"websocket"}"#,
            &format!(r#"{{"sid":"{long}","pingInterval":1,"pingTimeout":1}}"#),
            &format!(
                r#"{{"sid":"a","pingInterval":1,"pingTimeout":1,"x":"{}"}}"#,
                "x".repeat(MAX_OPEN)
            ),
        ] {
            assert_eq!(Handshake::parse(data), None, "{data}");
        }
    }

    #[test]
    fn debug_shows_no_session_id() {
        let data = r#"{"sid":"secret","pingInterval":1,"pingTimeout":1}"#;
        assert!(!format!("{:?}", Handshake::parse(data).unwrap()).contains("secret"));
    }
}
