//! Packets on a stream. Two bytes: the longest packet. Four bytes: how the stream is cut into reads.
//! Rest: the stream.

use bytes::Bytes;
use enginewire::{
    Packet,
    codec::{DecodeError, DecodeErrorKind, stream},
};

use crate::{
    memory::Watch,
    oracle,
    script::{Reads, Script},
};

/// Decodes the stream, cut in three ways, and encodes what was in it: so many packets.
pub fn run(data: &[u8]) -> usize {
    let mut script = Script::new(data);
    let max = script.number();
    let reads = Reads::read(&mut script);
    let bytes = script.rest();

    let (packets, error) = decode(bytes, max, Reads::WHOLE);
    assert_eq!((packets.clone(), error.is_some()), oracle::stream(bytes, max));
    for reads in [reads, Reads::SINGLE] {
        assert_eq!(decode(bytes, max, reads), (packets.clone(), error.clone()), "{reads:?}");
    }
    holds_little(bytes, max, reads);
    if let Some(error) = error {
        assert_eq!(error.packet(), packets.len());
        if let DecodeErrorKind::TooLarge { size, max: limit } = *error.kind() {
            assert!(size > max as u64 && limit == max, "{error}");
        } else {
            // From the first byte of its header on, which is 9 bytes long at most.
            assert!(error.at() <= max + 9, "{error}");
        }
    }
    let (encoded, count): (Bytes, _) = (packets.iter().flat_map(wire).collect(), packets.len());
    assert_eq!(decode(&encoded, usize::MAX, reads), (packets, None));
    count
}

/// Everything that comes out up to the first error, which then is the only answer.
fn decode(bytes: &[u8], max: usize, reads: Reads) -> (Vec<Packet>, Option<DecodeError>) {
    let mut decoder = stream::Decoder::new(max);
    let (mut packets, mut failed) = (Vec::new(), None);
    for mut input in reads.cut(bytes) {
        while let Some(result) = decoder.decode(&mut input) {
            match result {
                Ok(packet) => {
                    assert_eq!(failed, None, "a packet behind an error");
                    packets.push(packet);
                }
                Err(error) => {
                    assert!(input.is_empty(), "an error takes everything");
                    assert_eq!(*failed.get_or_insert_with(|| error.clone()), error);
                }
            }
        }
        assert!(input.is_empty(), "None means that all was taken");
    }
    (packets, failed)
}

/// What is held follows what has come, twice that at most, and never exceeds the limit.
fn holds_little(bytes: &[u8], max: usize, reads: Reads) {
    let mut decoder = stream::Decoder::new(max);
    let watch = Watch::start();
    let mut come = 0;
    for mut input in reads.cut(bytes) {
        come += input.len();
        while let Some(result) = decoder.decode(&mut input) {
            drop(result);
        }
        let held = watch.live();
        assert!(held <= 2 * come && held <= max, "{held} held of {come}, the limit is {max}");
    }
}

fn wire(packet: &Packet) -> Vec<u8> {
    let chunk = stream::encode(packet.into());
    assert!((1..=10).contains(&chunk.head().len()));
    [chunk.head(), chunk.payload()].concat()
}
