//! Streams of frames, mostly in order: messages, fragments, pings and a Close, and up to two changes in
//! them. Tungstenite must make the same of them.

use enginewire_properties::websocket::{
    self,
    frames::{BINARY, CLOSE, CONTINUATION, FIN, PING, PONG, TEXT, frame},
};
use proptest::{collection::vec, prelude::*, sample::select};

use crate::{
    bytes::{Change, change},
    config,
    letters::Script,
};

fn streams() -> impl Strategy<Value = Script> {
    // Messages of up to 1000 bytes, in any number of fragments or in three at most.
    let limits = select(vec![0, 0, 0, 2 << 3]);
    let frames = vec((piece(), any::<[u8; 4]>()), 0..8);
    (any::<bool>(), limits, any::<[u8; 4]>(), frames, vec(change(), 0..3)).prop_map(
        |(client, limits, reads, frames, changes): (_, _, _, _, Vec<Change>)| {
            let mut stream: Vec<u8> = frames
                .iter()
                .flat_map(|((first, payload), mask)| {
                    frame(*first, payload, (!client).then_some(*mask))
                })
                .collect();
            let seeds = [stream.clone()];
            changes.iter().for_each(|change| change.apply(&mut stream, &seeds));
            let mut script = vec![b'r', u8::from(client) | limits, 255];
            script.extend(reads);
            script.extend(stream);
            Script(script)
        },
    )
}

/// The first byte of a frame, and its payload.
fn piece() -> impl Strategy<Value = (u8, Vec<u8>)> {
    prop_oneof![
        6 => (select(vec![FIN | TEXT, FIN | BINARY]), payload()),
        4 => (select(vec![TEXT, BINARY, CONTINUATION, FIN | CONTINUATION]), payload()),
        2 => (select(vec![FIN | PING, FIN | PONG]), vec(any::<u8>(), 0..127)),
        1 => (Just(FIN | CLOSE), close()),
        1 => (any::<u8>(), payload()),
    ]
}

fn payload() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => "[ -~]{0,140}".prop_map(String::into_bytes),
        3 => r"\PC{0,40}".prop_map(String::into_bytes),
        2 => vec(any::<u8>(), 0..140),
        1 => (300usize..1100).prop_map(|length| vec![b'x'; length]),
    ]
}

/// A code near to where what may be sent begins or ends, and a reason.
fn close() -> impl Strategy<Value = Vec<u8>> {
    let code = prop_oneof![
        4 => 998..1018u16,
        1 => 2990..3010u16,
        1 => 4990..5010u16,
        1 => any::<u16>(),
    ];
    let reason = prop_oneof![r"\PC{0,20}".prop_map(String::into_bytes), vec(any::<u8>(), 0..5),];
    (code, reason).prop_map(|(code, reason)| [&code.to_be_bytes(), &reason[..]].concat())
}

proptest! {
    #![proptest_config(config(4000))]

    #[test]
    fn tungstenite_makes_the_same_of_it(script in streams()) {
        websocket::run(&script.0);
    }
}
