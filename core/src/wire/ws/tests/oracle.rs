//! Against tungstenite: the same messages, and the same streams refused.
//!
//! It differs from us, by its own choice, in three points, and nothing else is let pass:
//! - It accepts lengths that are not in their shortest form; section 5.2 says that they MUST be.
//! - It refuses close code 1014, which is in the registry of section 11.7 (`Bad Gateway`).
//! - It looks at a frame once all of it has come, where we refuse its head. So when it still waits
//!   where we refuse, it is given enough to finish the frame, and must then refuse it too.

use alloc::string::String;
use std::io::{self, Read, Write};

use proptest::{collection::vec, prelude::*, sample::Index};
use tungstenite::protocol::{self, WebSocketConfig};

use super::*;

const MAX_MESSAGE: usize = 1000;

/// How a stream ended.
#[derive(Clone, Debug, PartialEq, Eq)]
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

fn theirs(setup: &Setup, stream: &[u8]) -> (Vec<Message>, End) {
    let role = match setup.role {
        Role::Server => protocol::Role::Server,
        Role::Client { .. } => protocol::Role::Client,
    };
    let config = WebSocketConfig::default()
        .max_message_size(Some(MAX_MESSAGE))
        .max_frame_size(Some(MAX_MESSAGE));
    let mut socket =
        protocol::WebSocket::from_raw_socket(Wire { input: stream }, role, Some(config));
    let mut messages = Vec::new();
    loop {
        use tungstenite::{Error, Message as Theirs, error::ProtocolError};
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

fn ours(setup: &Setup, stream: &[u8]) -> (Vec<Message>, End, Option<Violation>) {
    let (mut messages, mut end, mut violation) = (Vec::new(), End::Open, None);
    for received in setup.run(stream, [stream.len()]).received {
        match received {
            Received::Message(message) => messages.push(message),
            Received::Closed(Closed::Peer { code, reason }) => end = End::Peer(code, reason),
            Received::Closed(Closed::Violation(why)) => {
                end = End::Refused;
                violation = Some(why);
            }
            Received::Closed(Closed::Lost) => panic!("nothing was lost"),
        }
    }
    (messages, end, violation)
}

/// Asserts that both judge `stream` alike, and tells how we did.
fn compare(setup: &Setup, stream: &[u8]) -> Result<End, TestCaseError> {
    let (messages, end, violation) = ours(setup, stream);
    let (their_messages, their_end) = theirs(setup, stream);
    if let Some(Violation::LengthNotMinimal { .. }) = violation {
        prop_assert!(their_messages.starts_with(&messages));
        return Ok(end);
    }
    prop_assert_eq!(&messages, &their_messages);
    match (&end, &their_end) {
        (End::Peer(Some(1014), _), End::Refused) => {}
        (End::Refused, End::Open) => {
            let finished = [stream, &[0; MAX_MESSAGE + 20]].concat();
            prop_assert_eq!(theirs(setup, &finished), (messages, End::Refused), "{:?}", violation);
        }
        _ => prop_assert_eq!(&end, &their_end, "{:?}", violation),
    }
    Ok(end)
}

fn payload() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => "[ -~]{0,140}".prop_map(String::into_bytes),
        3 => "\\PC{0,40}".prop_map(String::into_bytes),
        2 => vec(any::<u8>(), 0..140),
        1 => vec(Just(b'x'), 300..1100),
    ]
}

/// The first byte of a frame and its payload; mostly in order.
fn frame() -> impl Strategy<Value = (u8, Vec<u8>)> {
    let close = (
        prop_oneof![4 => 998..1018_u16, 1 => 2990..3010_u16, 1 => 4990..5010_u16, 1 => any::<u16>()],
        prop_oneof!["\\PC{0,20}".prop_map(String::into_bytes), vec(any::<u8>(), 0..5)],
    )
        .prop_map(|(code, reason)| [&code.to_be_bytes(), &reason[..]].concat());
    prop_oneof![
        6 => (prop::sample::select(vec![FIN | TEXT, FIN | BINARY]), payload()),
        4 => (prop::sample::select(vec![TEXT, BINARY, CONTINUATION, FIN | CONTINUATION]), payload()),
        2 => (prop::sample::select(vec![FIN | PING, FIN | PONG]), vec(any::<u8>(), 0..127)),
        1 => (Just(FIN | CLOSE), close),
        1 => (any::<u8>(), payload()),
    ]
}

#[derive(Clone, Debug)]
enum Mutation {
    Flip(Index, u8),
    Remove(Index),
    Insert(Index, u8),
    Truncate(Index),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    prop_oneof![
        (any::<Index>(), 0..8_u8).prop_map(|(at, bit)| Mutation::Flip(at, 1 << bit)),
        any::<Index>().prop_map(Mutation::Remove),
        any::<(Index, u8)>().prop_map(|(at, byte)| Mutation::Insert(at, byte)),
        any::<Index>().prop_map(Mutation::Truncate),
    ]
}

impl Mutation {
    fn apply(&self, stream: &mut Vec<u8>) {
        if stream.is_empty() {
            return;
        }
        match self {
            Self::Flip(at, bits) => *at.get_mut(stream) ^= bits,
            Self::Remove(at) => drop(stream.remove(at.index(stream.len()))),
            Self::Insert(at, byte) => stream.insert(at.index(stream.len()), *byte),
            Self::Truncate(at) => stream.truncate(at.index(stream.len())),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn tungstenite_judges_alike(
        setup in prop::sample::select(both().to_vec()),
        frames in vec(frame(), 0..8),
        mutations in vec(mutation(), 0..3),
    ) {
        let setup = Setup { max_message: MAX_MESSAGE, ..setup };
        let mut stream: Vec<u8> =
            frames.iter().flat_map(|(first, payload)| setup.frame(*first, payload)).collect();
        for mutation in mutations {
            mutation.apply(&mut stream);
        }
        compare(&setup, &stream)?;
    }
}

#[test]
fn the_comparison_sees_every_end() {
    let setup = Setup { max_message: MAX_MESSAGE, ..server() };
    let end = |frames: &[(u8, &[u8])]| compare(&setup, &setup.frames(frames)).unwrap();
    assert_eq!(end(&[(FIN | TEXT, b"a"), (TEXT, b"b")]), End::Open);
    assert_eq!(end(&[(FIN | CLOSE, b"\x03\xe8so")]), End::Peer(Some(1000), "so".into()));
    assert_eq!(end(&[(FIN | CLOSE, b"\x03\xf6")]), End::Peer(Some(1014), Text::EMPTY));
    assert_eq!(end(&[(FIN | CLOSE, b"\x03\xed")]), End::Refused);
    assert_eq!(end(&[(FIN | TEXT, b"\xff")]), End::Refused);
    let early = setup.frame(FIN | 3, b"not yet all of it");
    assert_eq!(compare(&setup, &early[..10]).unwrap(), End::Refused);
}
