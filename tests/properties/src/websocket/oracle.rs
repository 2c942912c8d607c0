//! Tungstenite, which must give the same messages and refuse the same streams.
//!
//! It differs from us, by its own choice, in five points, and nothing else is let pass:
//! - It accepts lengths that are not in their shortest form; section 5.2 says that they MUST be. (To
//!   us a control frame is too long as soon as its length is not in the shortest form of all.)
//! - It refuses close code 1014, which is in the registry of section 11.7 (`Bad Gateway`).
//! - It does not limit the number of fragments.
//! - It looks at a frame once all of it has come, where we refuse its head. So when it still waits
//!   where we refuse, it is given enough to finish the frame, and must then refuse it too.
//! - Its limit for frames is one for control frames too; so it is never less than those may have.

use std::io::{self, Read, Write};

use enginewire::{
    Message, Text,
    wire::ws::{Closed, Received, Violation},
};
use tungstenite::{
    Error, Message as Theirs,
    error::ProtocolError,
    protocol::{self, WebSocketConfig},
};

use super::Setup;

/// How a stream ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// Nothing is wrong so far.
    Open,
    Peer(Option<u16>, Text),
    Refused,
}

/// A connection that has all its input already.
struct Wire<'a> {
    input: &'a [u8],
}

impl Read for Wire<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.input.read(into)
    }
}

impl Write for Wire<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Asserts that tungstenite makes `received` of `stream`.
pub(super) fn compare(setup: &Setup, stream: &[u8], received: &[Received]) {
    let mut messages = Vec::new();
    let (mut end, mut violation) = (End::Open, None);
    for received in received {
        match received {
            Received::Message(message) => messages.push(message.clone()),
            Received::Closed(Closed::Peer { code, reason }) => {
                end = End::Peer(*code, reason.clone());
            }
            Received::Closed(Closed::Violation(why)) => {
                end = End::Refused;
                violation = Some(why);
            }
            Received::Closed(Closed::Lost) => panic!("nothing was lost"),
        }
    }
    let (their_messages, their_end) = theirs(setup, stream);
    if let Some(
        Violation::LengthNotMinimal { .. }
        | Violation::ControlTooLong
        | Violation::TooManyFragments { .. },
    ) = violation
    {
        assert!(their_messages.starts_with(&messages));
        return;
    }
    assert_eq!(messages, their_messages, "{violation:?}");
    match (&end, &their_end) {
        (End::Peer(Some(1014), _), End::Refused) => {}
        (End::Refused, End::Open) => {
            let finished = [stream, &vec![0; max_frame(setup) + 20]].concat();
            assert_eq!(theirs(setup, &finished), (messages, End::Refused), "{violation:?}");
        }
        _ => assert_eq!(end, their_end, "{violation:?}"),
    }
}

/// Messages of more than one frame count otherwise.
fn max_frame(setup: &Setup) -> usize {
    setup.max_message.max(MAX_CONTROL)
}

fn theirs(setup: &Setup, stream: &[u8]) -> (Vec<Message>, End) {
    let role = if setup.client { protocol::Role::Client } else { protocol::Role::Server };
    let config = WebSocketConfig::default()
        .read_buffer_size(1024)
        .max_message_size(Some(setup.max_message))
        .max_frame_size(Some(max_frame(setup)));
    let wire = Wire { input: stream };
    let mut socket = protocol::WebSocket::from_raw_socket(wire, role, Some(config));
    let mut messages = Vec::new();
    loop {
        match socket.read() {
            Ok(Theirs::Text(text)) => messages.push(text.as_str().into()),
            Ok(Theirs::Binary(bytes)) => messages.push(bytes.into()),
            Ok(Theirs::Close(None)) => return (messages, End::Peer(None, Text::EMPTY)),
            Ok(Theirs::Close(Some(close))) => {
                // This is how it reports a code that must not be sent.
                let refused = u16::from(close.code) == 1002 && close.reason == "Protocol violation";
                let peer = End::Peer(Some(close.code.into()), close.reason.as_str().into());
                return (messages, if refused { End::Refused } else { peer });
            }
            Ok(_) => {}
            Err(Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)) => {
                return (messages, End::Open);
            }
            Err(Error::Protocol(_) | Error::Capacity(_) | Error::Utf8(_)) => {
                return (messages, End::Refused);
            }
            Err(error) => panic!("unexpected: {error:?}"),
        }
    }
}

/// RFC 6455 section 5.5.
const MAX_CONTROL: usize = 125;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        script::Reads,
        websocket::{
            MAX_FRAGMENTS, MAX_MESSAGE,
            frames::{CLOSE, CONTINUATION, FIN, TEXT, frame},
        },
    };

    fn setup() -> Setup {
        Setup {
            client: true,
            max_message: MAX_MESSAGE[0],
            max_fragments: MAX_FRAGMENTS[0],
            reads: Reads::WHOLE,
        }
    }

    /// What tungstenite says of these frames less `cut` bytes, when it has been made sure that we say
    /// the same.
    fn end(frames: &[(u8, &[u8])], cut: usize) -> End {
        let setup = setup();
        let stream: Vec<u8> =
            frames.iter().flat_map(|(first, payload)| frame(*first, payload, None)).collect();
        let stream = &stream[..stream.len() - cut];
        compare(&setup, stream, &setup.decode(stream, setup.reads, None).received);
        theirs(&setup, stream).1
    }

    #[test]
    fn every_end_is_seen() {
        assert_eq!(end(&[(FIN | TEXT, b"a"), (TEXT, b"b")], 0), End::Open);
        let so = End::Peer(Some(1000), "so".into());
        assert_eq!(end(&[(FIN | CLOSE, b"\x03\xe8so")], 0), so);
        assert_eq!(end(&[(FIN | CLOSE, b"")], 0), End::Peer(None, Text::EMPTY));
        assert_eq!(end(&[(FIN | CLOSE, b"\x03\xed")], 0), End::Refused);
        assert_eq!(end(&[(FIN | TEXT, b"\xff")], 0), End::Refused);
    }

    #[test]
    fn what_differs_is_known() {
        // Close code 1014, and a head that is refused before the rest of its frame has come.
        assert_eq!(end(&[(FIN | CLOSE, b"\x03\xf6")], 0), End::Refused);
        assert_eq!(end(&[(FIN | CONTINUATION, b"not yet all of it")], 10), End::Open);
    }

    #[test]
    #[should_panic = "assertion"]
    fn a_message_that_is_missing_is_seen() {
        compare(&setup(), &frame(FIN | TEXT, b"a", None), &[]);
    }
}
