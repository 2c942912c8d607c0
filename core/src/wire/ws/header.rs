//! The head of a frame (RFC 6455 section 5.2).

use super::{Output, Violation, mask};

/// The most payload of a control frame (section 5.5).
pub(super) const MAX_CONTROL: usize = 125;

/// The longest head: two bytes, a 64-bit length, a mask.
pub(super) const MAX: usize = 14;

/// First byte of a text message in one frame.
pub(super) const FINAL_TEXT: u8 = FIN | Opcode::Text as u8;
/// First byte of a binary message in one frame.
pub(super) const FINAL_BINARY: u8 = FIN | Opcode::Binary as u8;

const FIN: u8 = 0x80;
/// Says that the message is compressed (RFC 7692 section 6).
pub(super) const RSV1: u8 = 0x40;
const RESERVED: u8 = 0x70;
const MASKED: u8 = 0x80;
/// Says that the length follows in two bytes.
const LENGTH_16: u8 = 126;
/// Says that the length follows in eight bytes.
const LENGTH_64: u8 = 127;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opcode {
    Continuation = 0,
    Text = 1,
    Binary = 2,
    Close = 8,
    Ping = 9,
    Pong = 10,
}

impl Opcode {
    pub(super) const fn is_control(self) -> bool {
        self as u8 >= 8
    }

    const fn from_bits(bits: u8) -> Result<Self, Violation> {
        Ok(match bits {
            0 => Self::Continuation,
            1 => Self::Text,
            2 => Self::Binary,
            8 => Self::Close,
            9 => Self::Ping,
            10 => Self::Pong,
            opcode => return Err(Violation::ReservedOpcode { opcode }),
        })
    }
}

/// A frame whose head has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) fin: bool,
    /// The message is compressed, of which this is the first frame.
    pub(super) compressed: bool,
    pub(super) opcode: Opcode,
    /// The mask of the next byte of payload and the three after it; zeros if there is none.
    pub(super) mask: [u8; 4],
    /// Bytes of payload to come.
    pub(super) len: u64,
}

/// Reads the head at the front of `bytes` and says how long it is; `None` if more is needed.
///
/// Looks at the bytes in order and refuses at the first that is wrong, so that a head that comes in
/// pieces is refused no later and for no other reason than a whole one. What depends on other
/// frames is for the caller to check. With `deflate` messages may be compressed.
#[inline]
pub(super) fn parse(
    bytes: &[u8],
    masked: bool,
    deflate: bool,
) -> Result<Option<(Frame, usize)>, Violation> {
    let Some(&first) = bytes.first() else { return Ok(None) };
    let reserved = first & RESERVED;
    let compressed = deflate && reserved == RSV1;
    if reserved != 0 && !compressed {
        return Err(Violation::ReservedBits { bits: reserved });
    }
    let fin = first & FIN != 0;
    let opcode = Opcode::from_bits(first & 0x0f)?;
    // RFC 7692 section 6.1: only in the first frame of a data message.
    if compressed && !matches!(opcode, Opcode::Text | Opcode::Binary) {
        return Err(Violation::ReservedBits { bits: reserved });
    }
    if opcode.is_control() && !fin {
        return Err(Violation::FragmentedControl);
    }

    let Some(&second) = bytes.get(1) else { return Ok(None) };
    if (second & MASKED != 0) != masked {
        return Err(if masked { Violation::Unmasked } else { Violation::Masked });
    }
    let short = second & !MASKED;
    if opcode.is_control() && short > 125 {
        return Err(Violation::ControlTooLong);
    }

    let rest = &bytes[2..];
    let (len, rest) = match short {
        LENGTH_16 => {
            let Some((len, rest)) = rest.split_first_chunk() else { return Ok(None) };
            (u64::from(u16::from_be_bytes(*len)), rest)
        }
        LENGTH_64 => {
            let Some((len, rest)) = rest.split_first_chunk() else { return Ok(None) };
            (u64::from_be_bytes(*len), rest)
        }
        short => (u64::from(short), rest),
    };
    if len >> 63 != 0 {
        return Err(Violation::LengthOutOfRange);
    }
    let minimal = match len {
        0..=125 => short <= 125,
        126..=0xffff => short == LENGTH_16,
        _ => true,
    };
    if !minimal {
        return Err(Violation::LengthNotMinimal { size: len });
    }

    let (mask, rest) = if masked {
        let Some((mask, rest)) = rest.split_first_chunk() else { return Ok(None) };
        (*mask, rest)
    } else {
        ([0; 4], rest)
    };
    Ok(Some((Frame { fin, compressed, opcode, mask, len }, bytes.len() - rest.len())))
}

/// Appends the head of an unmasked, final frame of `prefix` and `len` more bytes, and the prefix.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the pattern has just checked the range")]
pub(super) fn put(opcode: Opcode, prefix: Option<u8>, len: usize, out: &mut Output) {
    if let (Some(prefix), 0..MAX_CONTROL) = (prefix, len) {
        // Nearly always: three bytes of which the compiler knows that they are three.
        return out.put_slice(&[FIN | opcode as u8, len as u8 + 1, prefix]);
    }
    let mut head = Head::new(opcode as u8, 0, payload_len(prefix, len));
    if let Some(prefix) = prefix {
        head.push(&[prefix]);
    }
    out.put_slice(head.as_slice());
}

/// The same for a masked frame; gives the mask from the first of the `len` bytes on.
pub(super) fn put_masked(
    opcode: Opcode,
    prefix: Option<u8>,
    len: usize,
    mut mask: [u8; 4],
    out: &mut Output,
) -> [u8; 4] {
    let mut head = Head::new(opcode as u8, MASKED, payload_len(prefix, len));
    head.push(&mask);
    if let Some(prefix) = prefix {
        head.push(&[prefix ^ mask[0]]);
        mask = mask::rotate(mask, 1);
    }
    out.put_slice(head.as_slice());
    mask
}

/// Appends the head of a final frame of `len` compressed bytes, masked if there is a mask.
pub(super) fn put_compressed(opcode: Opcode, len: usize, mask: Option<[u8; 4]>, out: &mut Output) {
    let masked = if mask.is_some() { MASKED } else { 0 };
    let mut head = Head::new(RSV1 | opcode as u8, masked, len as u64);
    if let Some(mask) = mask {
        head.push(&mask);
    }
    out.put_slice(head.as_slice());
}

fn payload_len(prefix: Option<u8>, len: usize) -> u64 {
    len as u64 + u64::from(prefix.is_some())
}

/// A head under construction, with room for a prefix of the payload.
struct Head {
    bytes: [u8; MAX + 1],
    len: usize,
}

impl Head {
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "each arm has just checked the range")]
    fn new(first: u8, masked: u8, len: u64) -> Self {
        let mut head = Self { bytes: [0; MAX + 1], len: 0 };
        head.push(&[FIN | first]);
        match len {
            0..=125 => head.push(&[masked | len as u8]),
            126..=0xffff => {
                head.push(&[masked | LENGTH_16]);
                head.push(&(len as u16).to_be_bytes());
            }
            _ => {
                head.push(&[masked | LENGTH_64]);
                head.push(&len.to_be_bytes());
            }
        }
        head
    }

    #[inline]
    fn push<const N: usize>(&mut self, bytes: &[u8; N]) {
        self.bytes[self.len..self.len + N].copy_from_slice(bytes);
        self.len += N;
    }

    fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}
