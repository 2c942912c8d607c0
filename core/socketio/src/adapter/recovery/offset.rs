//! Offsets: what a client has received of a log.

use core::fmt;

use enginewire::Entropy;

/// Position in the log of one [`Recovery`](super::Recovery), as clients send it back.
///
/// Its text has 16 characters of the URL-safe base64 alphabet: 48 random bits of the log, and the number of the last
/// event. So an offset of another log, or of another run of the server, is recognized.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Offset {
    pub(super) epoch: u64,
    pub(super) number: u64,
}

/// The bits of each half.
const HALF: u32 = 48;
const MASK: u64 = (1 << HALF) - 1;
/// Six bits each.
const LEN: usize = 16;
/// The URL-safe one of RFC 4648 section 5.
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

impl Offset {
    pub(super) fn draw_epoch(entropy: &mut dyn Entropy) -> u64 {
        let mut bytes = [0; 8];
        entropy.fill(&mut bytes[..6]);
        u64::from_le_bytes(bytes)
    }

    /// Reads an offset out of a request to connect. Returns `None` if no log can have given it.
    pub fn parse(text: &str) -> Option<Self> {
        let text = <&[u8; LEN]>::try_from(text.as_bytes()).ok()?;
        let half = |text: &[u8]| {
            text.iter().try_fold(0, |bits, character| {
                let sextet = (0..).zip(ALPHABET).find(|(_, other)| *other == character)?.0;
                Some(bits << 6 | sextet)
            })
        };
        let (epoch, number) = text.split_at(LEN / 2);
        Some(Self { epoch: half(epoch)?, number: half(number)? })
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = u128::from(self.epoch & MASK) << HALF | u128::from(self.number & MASK);
        let mut text = [0; LEN];
        for (at, character) in text.iter_mut().rev().enumerate() {
            // Six bits are less than the length of the alphabet.
            *character = ALPHABET[(bits >> (at * 6) & 63) as usize];
        }
        f.pad(core::str::from_utf8(&text).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn text_of_an_offset_is_parsed_back() {
        for (epoch, number) in [(0, 0), (MASK, MASK), (0x0102_0304_0506, 1), (5, 1 << 40)] {
            let offset = Offset { epoch, number };
            let text = offset.to_string();
            assert_eq!((text.len(), Offset::parse(&text)), (LEN, Some(offset)));
        }
        assert_eq!(Offset { epoch: 0, number: 63 }.to_string(), "AAAAAAAAAAAAAAA_");
    }

    #[test]
    fn other_text_is_no_offset() {
        for text in
            ["", "hello", "AAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAA=", "ääääääää"]
        {
            assert_eq!(Offset::parse(text), None, "{text}");
        }
    }
}
