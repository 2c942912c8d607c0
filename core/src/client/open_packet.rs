//! The open packet, as a client reads it.

use alloc::{borrow::Cow, string::String, vec::Vec};
use core::{fmt, time::Duration};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::channel::MIN_PING_TIMEOUT;

/// Handshake data from the server: the content of its open packet.
#[derive(Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct OpenPacket {
    pub(super) sid: String,
    /// Whether the server would take an upgrade to a WebSocket.
    pub upgrades_to_websocket: bool,
    /// Time between two pings. The server sends them in revision 4, the client in 3.
    pub ping_interval: Duration,
    /// Time that a ping may take to come, or a pong, beyond the interval.
    pub ping_timeout: Duration,
    /// The largest body that the server takes, in bytes, if it has said so.
    pub max_payload: Option<usize>,
}

impl OpenPacket {
    /// Reads the data of an open packet, as lenient as the official client where that has a sense.
    ///
    /// `sid` must be a string, `pingInterval` and `pingTimeout` numbers that are not negative. They
    /// may have a fraction, and saturate. A `maxPayload` that is no positive number is as none, and
    /// `upgrades` that are no array are as an empty one. Other fields may be anything. `None` for all
    /// else, and for what is no JSON object.
    pub(super) fn parse(data: &str) -> Option<Self> {
        if data.len() > MAX_OPEN {
            return None;
        }
        let open: Open<'_> = serde_json::from_str(data).ok()?;
        let sid: String = serde_json::from_str(open.sid?.get()).ok()?;
        if sid.is_empty() || sid.len() > MAX_SID {
            return None;
        }
        Some(Self {
            sid,
            upgrades_to_websocket: open.upgrades.is_some_and(has_websocket),
            ping_interval: millis(open.ping_interval?)?,
            ping_timeout: millis(open.ping_timeout?)?.max(MIN_PING_TIMEOUT),
            max_payload: open.max_payload.and_then(bytes),
        })
    }

    /// How long the server may be silent.
    pub(super) const fn silence(&self) -> Duration {
        self.ping_interval.saturating_add(self.ping_timeout)
    }
}

/// Without the session id, which is a secret.
impl fmt::Debug for OpenPacket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenPacket")
            .field("upgrades_to_websocket", &self.upgrades_to_websocket)
            .field("ping_interval", &self.ping_interval)
            .field("ping_timeout", &self.ping_timeout)
            .field("max_payload", &self.max_payload)
            .finish_non_exhaustive()
    }
}

/// The fields of an open packet that matter, as they stand in it. Of equal names the last counts.
#[derive(Default)]
struct Open<'a> {
    sid: Option<&'a RawValue>,
    upgrades: Option<&'a RawValue>,
    ping_interval: Option<&'a RawValue>,
    ping_timeout: Option<&'a RawValue>,
    max_payload: Option<&'a RawValue>,
}

/// From an object only: a derived implementation would take an array as well.
impl<'de> Deserialize<'de> for Open<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;

        impl<'de> Visitor<'de> for Fields {
            type Value = Open<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Open<'de>, M::Error> {
                let mut open = Open::default();
                while let Some((name, value)) = map.next_entry::<Cow<'_, str>, &RawValue>()? {
                    let field = match &*name {
                        "sid" => &mut open.sid,
                        "upgrades" => &mut open.upgrades,
                        "pingInterval" => &mut open.ping_interval,
                        "pingTimeout" => &mut open.ping_timeout,
                        "maxPayload" => &mut open.max_payload,
                        _ => continue,
                    };
                    *field = Some(value);
                }
                Ok(open)
            }
        }

        deserializer.deserialize_map(Fields)
    }
}

/// A number of JSON, however large: infinite beyond what a double holds, as for JavaScript.
fn number(value: &RawValue) -> Option<f64> {
    // Of the values of JSON, Rust reads the numbers: a string has its quotes here.
    value.get().parse().ok()
}

/// A time in milliseconds.
fn millis(value: &RawValue) -> Option<Duration> {
    let millis = number(value).filter(|&millis| millis >= 0.0)?;
    Some(Duration::try_from_secs_f64(millis / 1000.0).unwrap_or(Duration::MAX))
}

/// A limit in bytes, of which zero means that there is none.
fn bytes(value: &RawValue) -> Option<usize> {
    let bytes = number(value).filter(|&bytes| bytes > 0.0)?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
    Some((bytes as usize).max(1))
}

fn has_websocket(upgrades: &RawValue) -> bool {
    let names: Vec<&RawValue> = serde_json::from_str(upgrades.get()).unwrap_or_default();
    let name = |value: &&RawValue| serde_json::from_str::<String>(value.get());
    names.iter().map(name).any(|name| name.is_ok_and(|name| name == "websocket"))
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
        let handshake = OpenPacket::parse(data).unwrap();
        assert_eq!(handshake.sid, "lv_VI97HAXpY6yYWAAAC");
        assert!(handshake.upgrades_to_websocket);
        assert_eq!(handshake.silence(), Duration::from_secs(45));
        assert_eq!(handshake.max_payload, Some(1_000_000));
    }

    #[test]
    fn what_older_and_newer_servers_leave_out_or_add_is_no_fault() {
        let data = r#"{"sid":"a\u0062","pingTimeout":5000,"pingInterval":25000,"more":[1]}"#;
        let handshake = OpenPacket::parse(data).unwrap();
        assert_eq!((&*handshake.sid, handshake.max_payload), ("ab", None));
        assert!(!handshake.upgrades_to_websocket);
    }

    /// What is made of one field, in a packet that is otherwise in order.
    fn with(field: &str) -> Option<OpenPacket> {
        let data = format!(r#"{{"sid":"a","pingInterval":25000,"pingTimeout":20000,{field}}}"#);
        OpenPacket::parse(&data)
    }

    #[test]
    fn max_payload_is_any_positive_number_and_all_else_is_as_none() {
        for (value, max) in [
            // python-engineio with `max_http_buffer_size=1e8`.
            ("100000000.0", Some(100_000_000)),
            ("1e8", Some(100_000_000)),
            ("1E+8", Some(100_000_000)),
            ("1000000", Some(1_000_000)),
            ("1.9", Some(1)),
            ("0.5", Some(1)),
            ("5e-324", Some(1)),
            ("18446744073709551615", Some(usize::MAX)),
            ("18446744073709551616", Some(usize::MAX)),
            ("1e300", Some(usize::MAX)),
            ("1e400", Some(usize::MAX)),
            ("0", None),
            ("0.0", None),
            ("-0", None),
            ("-1", None),
            ("-1e400", None),
            ("null", None),
            ("false", None),
            ("true", None),
            (r#""1000000""#, None),
            ("[5]", None),
            (r#"{"a":1}"#, None),
        ] {
            let handshake = with(&format!(r#""maxPayload":{value}"#));
            assert_eq!(handshake.unwrap().max_payload, max, "{value}");
        }
    }

    #[test]
    fn times_are_any_numbers_that_are_not_negative() {
        for (value, nanos) in [
            ("25000", Some(25_000_000_000)),
            ("25000.0", Some(25_000_000_000)),
            ("2.5e4", Some(25_000_000_000)),
            ("300", Some(300_000_000)),
            ("0.5", Some(500_000)),
            ("0", Some(0)),
            ("-0.0", Some(0)),
            ("1e400", Some(Duration::MAX.as_nanos())),
            ("99999999999999999999999999", Some(Duration::MAX.as_nanos())),
            ("-1", None),
            ("-1e400", None),
            ("null", None),
            ("true", None),
            (r#""25000""#, None),
            ("[25000]", None),
            ("{}", None),
        ] {
            // The last of two counts, as for `JSON.parse`.
            let interval = with(&format!(r#""pingInterval":{value}"#));
            let got = interval.map(|handshake| handshake.ping_interval.as_nanos());
            assert_eq!(got, nanos, "{value}");
            let timeout = with(&format!(r#""pingTimeout":{value}"#));
            let got = timeout.map(|handshake| handshake.ping_timeout.as_nanos());
            assert_eq!(got, nanos.map(|nanos| nanos.max(MIN_PING_TIMEOUT.as_nanos())), "{value}");
        }
        let endless = with(r#""pingInterval":1e999"#).unwrap();
        assert_eq!(endless.silence(), Duration::MAX);
    }

    #[test]
    fn upgrades_are_an_array_with_a_name_in_it_and_all_else_is_as_empty() {
        for (value, upgrades) in [
            (r#"["websocket"]"#, true),
            (r#"["webtransport","websocket"]"#, true),
            (r#"[1,null,[],{"a":1e999},"web\u0073ocket"]"#, true),
            ("[]", false),
            (r#"["WebSocket"]"#, false),
            (r#"[["websocket"]]"#, false),
            (r#""websocket""#, false),
            (r#"{"0":"websocket"}"#, false),
            ("null", false),
            ("7", false),
        ] {
            let handshake = with(&format!(r#""upgrades":{value}"#)).unwrap();
            assert_eq!(handshake.upgrades_to_websocket, upgrades, "{value}");
        }
    }

    #[test]
    fn fields_that_are_not_known_may_be_anything() {
        for value in ["null", "1e999", "-5", r#""\ud800""#, "[[[]]]", r#"{"sid":7}"#, "true"] {
            assert!(with(&format!(r#""more":{value}"#)).is_some(), "{value}");
        }
        let deep = "[".repeat(4000) + &"]".repeat(4000);
        assert!(with(&format!(r#""more":{deep}"#)).is_some());
    }

    #[test]
    fn the_longest_session_id_and_the_longest_packet_are_taken() {
        let sid = "x".repeat(MAX_SID);
        let data = format!(r#"{{"sid":"{sid}","pingInterval":1,"pingTimeout":1}}"#);
        assert_eq!(OpenPacket::parse(&data).unwrap().sid, sid);
        let longest = format!("{data:MAX_OPEN$}");
        assert_eq!(longest.len(), MAX_OPEN);
        assert!(OpenPacket::parse(&longest).is_some());
        assert_eq!(OpenPacket::parse(&(longest + " ")), None);
    }

    #[test]
    fn what_is_no_handshake_is_refused() {
        let long = "x".repeat(MAX_SID + 1);
        for data in [
            "",
            "{}",
            "[]",
            "null",
            "7",
            // What a derived implementation would take for an object.
            r#"["a",["websocket"],25000,20000,1000]"#,
            r#"{"sid":"","pingInterval":1,"pingTimeout":1}"#,
            r#"{"sid":7,"pingInterval":1,"pingTimeout":1}"#,
            r#"{"sid":null,"pingInterval":1,"pingTimeout":1}"#,
            r#"{"sid":["a"],"pingInterval":1,"pingTimeout":1}"#,
            r#"{"pingInterval":1,"pingTimeout":1}"#,
            r#"{"sid":"a","pingInterval":NaN,"pingTimeout":1}"#,
            r#"{"sid":"a","pingInterval":+1,"pingTimeout":1}"#,
            r#"{"sid":"a","pingInterval":1.,"pingTimeout":1}"#,
            r#"{"sid":"a","pingInterval":1}"#,
            r#"{"sid":"a","pingTimeout":1}"#,
            r#"{"sid":"a","pingInterval":1,"pingTimeout":1"#,
            r#"{"sid":"a","pingInterval":1,"pingTimeout":1}x"#,
            r#"{"sid":"a","pingInterval":1,"pingTimeout":1,}"#,
            &format!(r#"{{"sid":"{long}","pingInterval":1,"pingTimeout":1}}"#),
            &format!(
                r#"{{"sid":"a","pingInterval":1,"pingTimeout":1,"x":"{}"}}"#,
                "x".repeat(MAX_OPEN)
            ),
        ] {
            assert_eq!(OpenPacket::parse(data), None, "{data}");
        }
    }

    #[test]
    fn debug_shows_no_session_id() {
        let data = r#"{"sid":"secret","pingInterval":1,"pingTimeout":1}"#;
        let shown = format!("{:?}", OpenPacket::parse(data).unwrap());
        assert!(shown.starts_with("OpenPacket { upgrades_to_websocket: false"), "{shown}");
        assert!(!shown.contains("secret"), "{shown}");
    }
}
