//! Packets on a stream, one behind the other (WebTransport).
//!
//! Every packet has a header. Bit 7 tells binary (1) from text (0), the other seven the length in bytes. With 126
//! there, the length follows in 2 bytes, with 127 in 8, most significant byte first. Then comes a text packet of
//! revision 4, or the bytes of a binary message.

use alloc::vec::Vec;
use core::fmt;

use bytes::Bytes;

use crate::{
    Message, Packet, Revision, Text,
    codec::{
        DecodeError, DecodeErrorKind, PacketRef, encode_frame,
        error::{Fault, valid_up_to},
        frame::text_packet,
    },
};

/// Bit 7 of a header.
const BINARY: u8 = 0x80;
/// Instead of a length: it follows in two bytes.
const LENGTH_16: u8 = 126;
/// Instead of a length: it follows in eight bytes.
const LENGTH_64: u8 = 127;
/// The longest header.
const MAX_HEADER: usize = 9;

/// One packet as it goes onto the stream: [`head`](Self::head), then [`payload`](Self::payload).
#[derive(Clone, PartialEq, Eq)]
pub struct Chunk {
    head: [u8; MAX_HEADER + 1],
    head_len: usize,
    payload: Bytes,
}

impl Chunk {
    /// The header, and the type of a text packet: 1 to 10 bytes.
    pub fn head(&self) -> &[u8] {
        &self.head[..self.head_len]
    }

    /// Returns the bytes that follow the head.
    pub const fn payload(&self) -> &Bytes {
        &self.payload
    }
}

impl fmt::Debug for Chunk {
    /// Without the payload, which in a handshake holds the session id.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chunk")
            .field("head", &self.head())
            .field("payload_len", &self.payload.len())
            .finish()
    }
}

/// Puts a header before `packet`.
///
/// An empty binary message goes as the text packet `b`, base64 of nothing: no packet may have the
/// length 0, which would end the session.
pub fn encode(packet: PacketRef<'_>) -> Chunk {
    let base64 = matches!(packet, PacketRef::Message(part) if part.message().is_empty());
    let frame = encode_frame(Revision::V4, packet, base64);
    let mut chunk = Chunk { head: [0; MAX_HEADER + 1], head_len: 0, payload: frame.payload };
    let mut put = |bytes: &[u8]| {
        chunk.head[chunk.head_len..][..bytes.len()].copy_from_slice(bytes);
        chunk.head_len += bytes.len();
    };
    let kind = if frame.binary { BINARY } else { 0 };
    let length = chunk.payload.len() + usize::from(frame.prefix.is_some());
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(length), _) if length < LENGTH_16 => put(&[kind | length]),
        (_, Ok(length)) => {
            put(&[kind | LENGTH_16]);
            put(&length.to_be_bytes());
        }
        _ => {
            put(&[kind | LENGTH_64]);
            put(&(length as u64).to_be_bytes());
        }
    }
    if let Some(prefix) = frame.prefix {
        put(&[prefix]);
    }
    chunk
}

/// Takes packets out of the bytes of a stream, however these are cut.
///
/// Holds no more than the packet that is under way, and of that no more than has come. Checks its length against
/// the limit before the first byte is kept.
pub struct Decoder {
    max: usize,
    /// How many packets came out.
    packets: usize,
    state: State,
    failed: Option<DecodeError>,
}

enum State {
    /// Of the next header, this much has come.
    Header {
        bytes: [u8; MAX_HEADER],
        len: usize,
    },
    Payload(Payload),
}

/// A packet behind its header.
struct Payload {
    binary: bool,
    /// Length of the header.
    header: usize,
    /// Length of the packet.
    length: usize,
    /// Bytes of the packet that have come.
    bytes: Vec<u8>,
}

impl Decoder {
    /// Returns a decoder at the start of a stream. A packet may have at most `max` bytes behind its
    /// header.
    pub const fn new(max: usize) -> Self {
        Self { max, packets: 0, state: State::START, failed: None }
    }

    /// Takes bytes from the front of `input` up to the end of the next packet.
    ///
    /// `None` means that all of `input` was taken and the next packet is not complete: call it until
    /// then.
    ///
    /// # Errors
    ///
    /// If a packet is empty, longer than the limit, not UTF-8, or none of revision 4. There is no way
    /// back from an error: it takes the rest of `input` and is the answer to whatever follows.
    pub fn decode(&mut self, input: &mut &[u8]) -> Option<Result<Packet, DecodeError>> {
        while !input.is_empty() {
            if let Some(error) = self.failed.clone() {
                *input = &[];
                return Some(Err(error));
            }
            match self.step(input) {
                Ok(None) => {}
                Ok(Some(packet)) => {
                    self.packets = self.packets.saturating_add(1);
                    return Some(Ok(packet));
                }
                Err(fault) => {
                    let error = DecodeError::new(self.packets, fault);
                    self.failed = Some(error.clone());
                    self.state = State::START;
                    *input = &[];
                    return Some(Err(error));
                }
            }
        }
        None
    }

    fn step(&mut self, input: &mut &[u8]) -> Result<Option<Packet>, Fault> {
        match &mut self.state {
            State::Header { bytes, len } => {
                let [first, rest @ ..] = *input else { return Ok(None) };
                bytes[*len] = *first;
                *len += 1;
                *input = rest;
                if let Some(payload) = parse_header(&bytes[..*len], self.max)? {
                    self.state = State::Payload(payload);
                }
                Ok(None)
            }
            State::Payload(payload) => {
                let Some(bytes) = payload.take(input) else { return Ok(None) };
                let (binary, header) = (payload.binary, payload.header);
                self.state = State::START;
                if binary {
                    return Ok(Some(Packet::Message(Message::Binary(bytes))));
                }
                text(bytes).map(Some).map_err(|fault| Fault { at: header + fault.at, ..fault })
            }
        }
    }
}

impl fmt::Debug for Decoder {
    /// Without what has come of a packet, which in a handshake holds the session id.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder")
            .field("max", &self.max)
            .field("packets", &self.packets)
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}

impl State {
    const START: Self = Self::Header { bytes: [0; MAX_HEADER], len: 0 };
}

impl Payload {
    /// Takes from `input` what is missing, and gives the packet once it is complete.
    fn take(&mut self, input: &mut &[u8]) -> Option<Bytes> {
        let missing = self.length - self.bytes.len();
        let (taken, rest) = input.split_at(missing.min(input.len()));
        *input = rest;
        if taken.len() == self.length {
            return Some(Bytes::copy_from_slice(taken));
        }
        // Room for twice what has come, but never for more than the packet.
        let len = self.bytes.len() + taken.len();
        if self.bytes.capacity() < len {
            let room = len.saturating_mul(2).min(self.length);
            self.bytes.reserve_exact(room - self.bytes.len());
        }
        self.bytes.extend_from_slice(taken);
        (len == self.length).then(|| core::mem::take(&mut self.bytes).into())
    }
}

/// The packet that `header`, as far as it has come, announces; `None` until it is complete.
fn parse_header(header: &[u8], max: usize) -> Result<Option<Payload>, Fault> {
    let [first, rest @ ..] = header else { return Ok(None) };
    let length = match (first & !BINARY, rest) {
        (LENGTH_16, [high, low]) => u64::from(u16::from_be_bytes([*high, *low])),
        (LENGTH_64, &[a, b, c, d, e, f, g, h]) => u64::from_be_bytes([a, b, c, d, e, f, g, h]),
        (LENGTH_16 | LENGTH_64, _) => return Ok(None),
        (length, _) => u64::from(length),
    };
    let kind = match usize::try_from(length) {
        Ok(0) => DecodeErrorKind::Empty,
        Ok(length) if length <= max => {
            let binary = first & BINARY != 0;
            return Ok(Some(Payload { binary, header: header.len(), length, bytes: Vec::new() }));
        }
        _ => DecodeErrorKind::TooLarge { size: length, max },
    };
    Err(Fault { at: 0, kind })
}

fn text(bytes: Bytes) -> Result<Packet, Fault> {
    let text = Text::from_utf8(bytes)
        .map_err(|bytes| Fault { at: valid_up_to(&bytes), kind: DecodeErrorKind::InvalidUtf8 })?;
    text_packet(Revision::V4, text.as_bytes(), 0..text.len())
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use proptest::prelude::*;

    use super::*;
    use crate::codec::tests::packet_v4;

    fn wire(packet: &Packet) -> Vec<u8> {
        let chunk = encode(packet.into());
        [chunk.head(), chunk.payload()].concat()
    }

    /// Everything that comes out of `bytes`, cut into pieces of `step`.
    fn decode(bytes: &[u8], max: usize, step: usize) -> Vec<Result<Packet, DecodeError>> {
        let mut decoder = Decoder::new(max);
        let mut out = Vec::new();
        for mut piece in bytes.chunks(step) {
            while let Some(result) = decoder.decode(&mut piece) {
                out.push(result);
            }
            assert!(piece.is_empty());
        }
        out
    }

    fn text_message(length: usize) -> Packet {
        Packet::Message("x".repeat(length - 1).into())
    }

    fn binary_message(length: usize) -> Packet {
        Packet::Message(vec![7; length].into())
    }

    #[test]
    fn headers_are_those_of_the_reference() {
        assert_eq!(wire(&Packet::Message("hello".into())), b"\x064hello");
        assert_eq!(wire(&Packet::Open(Text::EMPTY)), b"\x010");
        assert_eq!(wire(&Packet::Message(vec![1, 2, 3].into())), b"\x83\x01\x02\x03");
        assert_eq!(wire(&text_message(126))[..4], *b"\x7e\x00\x7e4");
        let large = wire(&binary_message(65536));
        assert_eq!(large[..10], *b"\xff\0\0\0\0\0\x01\0\0\x07");
        assert_eq!(large.len(), 9 + 65536);
    }

    #[test]
    fn every_size_of_header_is_used_from_its_limit_on() {
        for (length, header) in [(1, 1), (125, 1), (126, 3), (65535, 3), (65536, 9)] {
            for packet in [text_message(length), binary_message(length)] {
                let bytes = wire(&packet);
                assert_eq!(bytes.len(), header + length);
                assert_eq!(decode(&bytes, length, usize::MAX), [Ok(packet)]);
            }
        }
    }

    #[test]
    fn storage_follows_what_has_come_and_is_never_more_than_the_packet() {
        let bytes = wire(&binary_message(1000));
        for step in [1, 7, 300, 600, 999] {
            let mut decoder = Decoder::new(1000);
            assert!(decoder.decode(&mut &bytes[..3]).is_none());
            let mut came = 0;
            for mut piece in bytes[3..1002].chunks(step) {
                came += piece.len();
                assert!(decoder.decode(&mut piece).is_none());
                let State::Payload(payload) = &decoder.state else { panic!("a payload") };
                assert_eq!(payload.bytes.len(), came);
                let capacity = payload.bytes.capacity();
                assert!(capacity <= (2 * came).min(1000), "{capacity} for {came} bytes");
            }
            assert!(decoder.decode(&mut &bytes[1002..]).is_some());
        }
    }

    #[test]
    fn an_empty_binary_message_goes_as_text() {
        let packet = Packet::Message(Bytes::new().into());
        assert_eq!(wire(&packet), b"\x01b");
        assert_eq!(decode(b"\x01b", 1, 1), [Ok(packet)]);
    }

    #[test]
    fn the_limit_is_on_the_length_not_on_the_mark_for_a_long_header() {
        assert_eq!(decode(b"\x7e\0\x024x", 2, 1), [Ok(Packet::Message("x".into()))]);
        assert_eq!(decode(b"\x7f\0\0\0\0\0\0\0\x024x", 2, 1), [Ok(Packet::Message("x".into()))]);
    }

    #[test]
    fn a_packet_over_the_limit_is_refused_before_any_of_it_is_kept() {
        for (header, size) in [
            (&b"\x03"[..], 3),
            (b"\x83", 3),
            (b"\x7e\xff\xff", 65535),
            (b"\xff\xff\xff\xff\xff\xff\xff\xff\xff", u64::MAX),
            (b"\x7f\0\0\0\x01\0\0\0\0", 1 << 32),
        ] {
            let expected = DecodeErrorKind::TooLarge { size, max: 2 };
            for step in [1, usize::MAX] {
                let [Ok(first), Err(error)] = &decode(&[b"\x016", header].concat(), 2, step)[..]
                else {
                    panic!("one packet, one error");
                };
                assert_eq!(first, &Packet::Noop);
                assert_eq!((error.packet(), error.at(), error.kind()), (1, 0, &expected));
            }
        }
    }

    #[test]
    fn length_0_is_an_error_in_every_header() {
        for header in [&b"\0"[..], b"\x80", b"\x7e\0\0", b"\x7f\0\0\0\0\0\0\0\0"] {
            let results = decode(header, 100, usize::MAX);
            assert_eq!(results.len(), 1);
            assert_eq!(results[0].as_ref().unwrap_err().kind(), &DecodeErrorKind::Empty);
        }
    }

    #[test]
    fn a_fault_in_a_packet_is_found_at_its_place_behind_the_header() {
        for (bytes, at, kind) in [
            (&b"\x017"[..], 1, DecodeErrorKind::UnknownType(b'7')),
            (b"\x034\xff\xff", 2, DecodeErrorKind::InvalidUtf8),
            (b"\x7e\0\x03bA*", 5, DecodeErrorKind::InvalidBase64(b'*')),
        ] {
            let results = decode(bytes, 100, usize::MAX);
            let error = results[0].as_ref().unwrap_err();
            assert_eq!((error.at(), error.kind()), (at, &kind));
        }
    }

    #[test]
    fn after_an_error_nothing_is_decoded_any_more() {
        let mut decoder = Decoder::new(100);
        let mut input = &b"\x016\x00\x016\x016"[..];
        assert_eq!(decoder.decode(&mut input), Some(Ok(Packet::Noop)));
        let error = decoder.decode(&mut input).unwrap().unwrap_err();
        assert_eq!(decoder.decode(&mut input), None, "the rest was taken");
        for _ in 0..2 {
            let mut more = &b"\x016"[..];
            assert_eq!(decoder.decode(&mut more), Some(Err(error.clone())));
            assert_eq!(decoder.decode(&mut more), None);
        }
    }

    #[test]
    fn memory_follows_what_has_come_not_what_was_announced() {
        let mut decoder = Decoder::new(usize::MAX);
        let mut input = &b"\xff\0\0\0\0\x40\0\0\0"[..];
        assert_eq!(decoder.decode(&mut input), None);
        for _ in 0..1000 {
            assert_eq!(decoder.decode(&mut &[0; 10][..]), None);
        }
        let State::Payload(payload) = &decoder.state else { panic!("under way") };
        assert_eq!(payload.bytes.len(), 10_000);
        assert!(payload.bytes.capacity() <= 20_000);
    }

    #[test]
    fn a_packet_in_pieces_ends_in_an_allocation_of_its_size() {
        let mut decoder = Decoder::new(usize::MAX);
        let bytes = wire(&binary_message(1000));
        assert_eq!(decoder.decode(&mut &bytes[..903]), None);
        let State::Payload(payload) = &decoder.state else { panic!("under way") };
        assert_eq!(payload.bytes.capacity(), 1000);
    }

    proptest! {
        #[test]
        #[cfg_attr(miri, ignore = "takes minutes there")]
        fn what_goes_in_comes_out_however_it_is_cut(
            packets in prop::collection::vec(packet_v4(), 0..8),
            step in 1usize..40,
        ) {
            let bytes: Vec<u8> = packets.iter().flat_map(wire).collect();
            let expected: Vec<_> = packets.into_iter().map(Ok).collect();
            for step in [1, step, usize::MAX] {
                prop_assert_eq!(&decode(&bytes, 1 << 20, step), &expected);
            }
        }

        #[test]
        fn any_bytes_give_the_same_however_they_are_cut(
            bytes in prop::collection::vec(prop_oneof![0u8..8, b'0'..=b'7', Just(b'b'), any::<u8>()], 0..60),
            max in 0usize..20,
            step in 1usize..20,
        ) {
            let whole = decode(&bytes, max, usize::MAX);
            let until_error = whole.iter().position(Result::is_err).map_or(whole.len(), |n| n + 1);
            for step in [1, step] {
                let cut = decode(&bytes, max, step);
                prop_assert_eq!(&cut[..until_error], &whole[..until_error]);
                prop_assert!(cut[until_error..].iter().all(|result| Some(result) == whole.last()));
            }
        }
    }
}
