//! What the scripts of sessions and hubs have in common: operations are letters.

use std::fmt;

use enginewire::{
    Message, Packet, Revision,
    codec::{self, PacketRef, PayloadEncoder, PayloadForm},
};
use proptest::{collection::vec, prelude::*, sample::select};

/// Shown as it would stand in a seed.
#[derive(Clone)]
pub(crate) struct Script(pub(crate) Vec<u8>);

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b\"{}\"", self.0.escape_ascii())
    }
}

/// Some of these options, each letter one time out of as many as its number says.
pub(crate) fn options(letters: &'static [(char, u8)]) -> impl Strategy<Value = String> {
    vec(any::<u8>(), letters.len()).prop_map(|rolled| {
        // Without any if it shrinks to the least, which is a roll of 0.
        let has = |roll: u8, of: u8| roll % of == of - 1;
        let zipped = letters.iter().zip(rolled);
        zipped.filter(|&(&(_, of), roll)| has(roll, of)).map(|(&(letter, _), _)| letter).collect()
    })
}

/// Any of these operations, in any place. Behind the letters of each row stands what follows them: `n` a
/// number, `k` a byte, `t` a packet or what is none, up to the newline.
pub(crate) fn operation(
    table: &'static [(&'static str, &'static str)],
) -> impl Strategy<Value = Vec<u8>> {
    let letters: Vec<_> = table
        .iter()
        .flat_map(|&(letters, shape)| letters.bytes().map(move |letter| (letter, shape)))
        .collect();
    (select(letters), b'0'..b'4', any::<u8>(), word()).prop_map(|((letter, shape), n, k, word)| {
        let mut operation = vec![letter];
        for part in shape.bytes() {
            match part {
                b'n' => operation.push(n),
                b'k' => operation.push(k),
                _ => line(&mut operation, word.as_bytes()),
            }
        }
        operation
    })
}

/// What somebody may say, in its place or not.
fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        select(vec!["2probe", "3probe", "5", "2", "3", "1", "6", "0", "b!", "", "4\u{20ac}", "9"])
            .prop_map(str::to_owned),
        text(),
    ]
}

/// A text of one line, without the separator of revision 4.
pub(crate) fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-z ]{0,8}",
        3 => r"\PC{0,12}",
        2 => select(vec!["h\u{e9}llo", "\u{1f980}", "\u{65e5}\u{672c}\u{8a9e}", "e\u{301}\u{323}", "\u{2028}"])
            .prop_map(str::to_owned),
        1 => (100usize..300).prop_map(|n| "x".repeat(n)),
    ]
}

/// Of one line.
pub(crate) fn message() -> impl Strategy<Value = Message> {
    let byte = any::<u8>().prop_map(|byte| if byte == b'\n' { 0xff } else { byte });
    prop_oneof![
        3 => text().prop_map(Message::from),
        1 => vec(byte, 0..40).prop_map(Message::from),
    ]
}

/// The application sends it, by the letters that the sessions have for that.
pub(crate) fn send(script: &mut Vec<u8>, message: &Message) {
    script.push(if message.is_binary() { b'M' } else { b'm' });
    line(script, message.payload());
}

/// `bytes`, and the end of the line.
pub(crate) fn line(script: &mut Vec<u8>, bytes: &[u8]) {
    script.extend_from_slice(bytes);
    script.push(b'\n');
}

/// A body for polling, and whether it is binary: if there are bytes in it, and where revision 3 may.
pub(crate) fn payload(revision: Revision, base64: bool, packets: &[Packet]) -> (Vec<u8>, bool) {
    let is_binary = |packet: &Packet| matches!(packet, Packet::Message(Message::Binary(_)));
    let form = match revision {
        Revision::V4 => PayloadForm::V4,
        Revision::V3 if !base64 && packets.iter().any(is_binary) => PayloadForm::V3Binary,
        Revision::V3 => PayloadForm::V3Text,
    };
    let mut encoder = PayloadEncoder::new(form, usize::MAX);
    for packet in packets {
        assert!(encoder.push(PacketRef::from(packet)), "there is no limit");
    }
    (encoder.finish().to_vec(), form == PayloadForm::V3Binary)
}

/// A message on WebSocket `on`, by the letters that the sessions have for them.
pub(crate) fn frame(script: &mut Vec<u8>, revision: Revision, on: u8, packet: &Packet) {
    let frame = codec::encode_frame(revision, PacketRef::from(packet), false);
    script.extend([if frame.binary { b'b' } else { b't' }, on]);
    script.extend(frame.prefix);
    line(script, &frame.payload);
}
