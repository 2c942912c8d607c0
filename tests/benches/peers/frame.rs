//! WebSocket frames (RFC 6455 section 5.2), only what a load and the bare `epoll` server need: one
//! unfragmented frame a message.

pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;
pub(crate) const CLOSE: u8 = 8;

/// The masking key of all our client frames: its value does not matter to anybody, but with four
/// zeros a server might skip the work.
const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A frame as a client sends it, masked.
pub(crate) fn from_client(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(payload.len() + 8);
    head(opcode, payload.len(), &mut frame);
    frame[1] |= 0x80;
    frame.extend_from_slice(&KEY);
    unmask(payload, KEY, &mut frame);
    frame
}

/// A frame as a server sends it.
pub(crate) fn from_server(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(payload.len() + 4);
    head(opcode, payload.len(), &mut frame);
    frame.extend_from_slice(payload);
    frame
}

/// Appends the head of an unmasked frame in its only legal, shortest form.
#[expect(clippy::cast_possible_truncation, reason = "the narrow arms are limited by their pattern")]
pub(crate) fn head(opcode: u8, length: usize, to: &mut Vec<u8>) {
    to.push(0x80 | opcode);
    match length {
        0..126 => to.push(length as u8),
        126..=0xffff => {
            to.push(126);
            to.extend_from_slice(&(length as u16).to_be_bytes());
        }
        _ => {
            to.push(127);
            to.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
}

/// A frame found at the front of received bytes.
pub(crate) struct Frame {
    pub(crate) opcode: u8,
    pub(crate) key: Option<[u8; 4]>,
    /// Where in those bytes the payload is. Its end is the end of the frame.
    pub(crate) payload: std::ops::Range<usize>,
}

/// The frame that `bytes` begin with, or `None` until all of it is there.
pub(crate) fn parse(bytes: &[u8]) -> Option<Frame> {
    let (&[first, second], rest) = bytes.split_first_chunk()?;
    let (length, mut start) = match second & 0x7f {
        126 => (usize::from(u16::from_be_bytes(*rest.first_chunk()?)), 4),
        127 => (usize::try_from(u64::from_be_bytes(*rest.first_chunk()?)).ok()?, 10),
        length => (usize::from(length), 2),
    };
    let key = if second & 0x80 == 0 {
        None
    } else {
        start += 4;
        Some(*bytes.get(start - 4..start)?.first_chunk()?)
    };
    let payload = start..start + length;
    (payload.end <= bytes.len()).then_some(Frame { opcode: first & 0x0f, key, payload })
}

/// Appends `masked` to `to`, unmasked; or the other way round, it is the same.
pub(crate) fn unmask(masked: &[u8], key: [u8; 4], to: &mut Vec<u8>) {
    let start = to.len();
    to.extend_from_slice(masked);
    let wide = u32::from_ne_bytes(key);
    let (words, rest) = to[start..].as_chunks_mut::<4>();
    for word in words {
        *word = (u32::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(key) {
        *byte ^= key;
    }
}
