//! Packets of Socket.IO, only what the loads need: events of one argument in the namespace `/`.

use crate::{Result, frame};

/// The request to connect to the namespace `/`.
pub(super) const CONNECT: &str = "40";

/// Packets of a client, and those that it has to get back.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Message {
    /// A text, without Socket.IO.
    Text,
    /// Binary data, without Socket.IO.
    Binary,
    /// An event of this name with a text, which comes back as such an event.
    Event(&'static str),
    /// The same with binary data, which goes as an attachment.
    BinaryEvent(&'static str),
    /// An event of this name with a text, which is acknowledged with that text.
    Ack(&'static str),
}

/// The frames of a message, and those of the answer to it: opcode and payload of each.
pub(super) struct Exchange {
    pub(super) message: Vec<(u8, String)>,
    pub(super) answer: Vec<(u8, String)>,
}

impl Message {
    /// Returns the message with this text. `engine_io` tells whether a plain one is a packet of Engine.IO.
    pub(super) fn exchange(self, text: String, engine_io: bool) -> Exchange {
        let message = match self {
            Self::Text if engine_io => vec![(frame::TEXT, format!("4{text}"))],
            Self::Text => vec![(frame::TEXT, text)],
            Self::Binary => vec![(frame::BINARY, text)],
            Self::Event(name) => vec![(frame::TEXT, event(name, &text))],
            Self::BinaryEvent(name) => {
                let head = format!(r#"451-["{name}",{{"_placeholder":true,"num":0}}]"#);
                vec![(frame::TEXT, head), (frame::BINARY, text)]
            }
            Self::Ack(name) => {
                return Exchange {
                    answer: vec![(frame::TEXT, format!(r#"431["{text}"]"#))],
                    message: vec![(frame::TEXT, format!(r#"421["{name}","{text}"]"#))],
                };
            }
        };
        Exchange { answer: message.clone(), message }
    }
}

/// An event whose argument is a text.
pub(super) fn event(name: &str, text: &str) -> String {
    format!(r#"42["{name}","{text}"]"#)
}

/// Checks the answer to [`CONNECT`].
pub(super) fn connected(packet: &[u8]) -> Result<()> {
    if packet.starts_with(br#"40{"sid":""#) {
        return Ok(());
    }
    Err(format!("not connected to the namespace: {}", packet.escape_ascii()).into())
}
