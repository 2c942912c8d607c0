//! Packets to the body of a polling request or response.

use alloc::vec::Vec;
use core::fmt;

use bytes::Bytes;

use crate::codec::{Data, PacketRef, PayloadForm, base64};

/// Collects packets into one polling body, as many as fit.
///
/// Text is put in as it is. In revision 4 a message that holds the separator `1E` comes out as two packets at the
/// peer: the protocol has no escape for it.
pub struct PayloadEncoder {
    form: PayloadForm,
    max: usize,
    body: Vec<u8>,
}

impl PayloadEncoder {
    /// An empty body that may grow to `max` bytes. Allocates nothing yet.
    pub const fn new(form: PayloadForm, max: usize) -> Self {
        Self { form, max, body: Vec::new() }
    }

    /// Appends `packet`, unless the body would become longer than the limit. Then nothing is
    /// written, and the result is `false`. The first packet always fits, because it could never be
    /// sent otherwise.
    pub fn push(&mut self, packet: PacketRef<'_>) -> bool {
        let binary_form = self.form == PayloadForm::V3Binary;
        let data = packet.data();
        // The sign or signs before the data that tell the packet's type.
        let mark: &[u8] = match (&data, self.form) {
            (Data::Text(_), _) => &[packet.type_digit()],
            (Data::Binary(_), PayloadForm::V4) => b"b",
            (Data::Binary(_), PayloadForm::V3Text) => b"b4",
            (Data::Binary(_), PayloadForm::V3Binary) => &[4],
        };
        let bytes = mark.len()
            + match &data {
                Data::Text(text) => text.len(),
                Data::Binary(part) if binary_form => part.message().len(),
                Data::Binary(part) => base64::encoded_len(part.message().len()),
            };
        let length = match (&data, self.form) {
            (Data::Text(text), PayloadForm::V3Text) => Decimal::new(mark.len() + utf16_len(text)),
            _ => Decimal::new(bytes),
        };
        let around = match self.form {
            PayloadForm::V4 => usize::from(!self.is_empty()),
            PayloadForm::V3Text => length.digits().len() + 1,
            PayloadForm::V3Binary => length.digits().len() + 2,
        };

        // Slices are at most `isize::MAX` bytes long, two of them may be more than `usize::MAX`.
        let size = bytes.saturating_add(around);
        if !self.is_empty() && self.body.len().saturating_add(size) > self.max {
            return false;
        }
        self.body.reserve(size);
        let start = self.body.len();

        match self.form {
            PayloadForm::V4 => self.body.extend_from_slice(&SEPARATOR[..around]),
            PayloadForm::V3Text => {
                self.body.extend(length.digits().iter().map(|digit| b'0' + digit));
                self.body.push(b':');
            }
            PayloadForm::V3Binary => {
                self.body.push(u8::from(matches!(data, Data::Binary(_))));
                self.body.extend_from_slice(length.digits());
                self.body.push(0xff);
            }
        }
        self.body.extend_from_slice(mark);
        match data {
            Data::Text(text) => self.body.extend_from_slice(text),
            Data::Binary(part) if binary_form => {
                self.body.extend_from_slice(part.message().payload());
            }
            Data::Binary(part) => part.write_base64(&mut self.body),
        }
        debug_assert_eq!(self.body.len() - start, size, "the size was computed exactly");
        true
    }

    /// Makes room for packets of about `len` bytes at once, within the limit.
    pub(crate) fn reserve(&mut self, len: usize) {
        self.body.reserve(len.min(self.max));
    }

    /// Whether no packet was pushed.
    pub const fn is_empty(&self) -> bool {
        // Every packet is at least its type.
        self.body.is_empty()
    }

    /// The body. Without any packets it is empty, in the text form of revision 3 `0:`.
    pub fn finish(self) -> Bytes {
        match self.form {
            PayloadForm::V3Text if self.is_empty() => Bytes::from_static(b"0:"),
            _ => self.body.into(),
        }
    }
}

impl fmt::Debug for PayloadEncoder {
    /// Without the body, which may hold a handshake and with it the session id.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PayloadEncoder")
            .field("form", &self.form)
            .field("len", &self.body.len())
            .field("max", &self.max)
            .finish()
    }
}

const SEPARATOR: &[u8] = b"\x1e";

/// Length of `text`, valid UTF-8, in UTF-16 code units: one for every character, one more for those
/// beyond the basic plane, whose first byte is `F0` or above.
pub(super) fn utf16_len(text: &[u8]) -> usize {
    text.iter().map(|&byte| utf16_units(byte)).sum()
}

/// Number of UTF-16 code units that one byte of UTF-8 adds to the length.
pub(super) const fn utf16_units(byte: u8) -> usize {
    let continuation = byte & 0xc0 == 0x80;
    !continuation as usize + (byte >= 0xf0) as usize
}

/// A number as decimal digits of value 0 to 9.
struct Decimal {
    digits: [u8; Self::MAX],
    start: usize,
}

impl Decimal {
    /// Digits of `u64::MAX`.
    const MAX: usize = 20;

    fn new(mut number: usize) -> Self {
        let mut decimal = Self { digits: [0; Self::MAX], start: Self::MAX };
        loop {
            decimal.start -= 1;
            #[expect(clippy::cast_possible_truncation, reason = "below 10")]
            let digit = (number % 10) as u8;
            decimal.digits[decimal.start] = digit;
            number /= 10;
            if number == 0 {
                return decimal;
            }
        }
    }

    fn digits(&self) -> &[u8] {
        &self.digits[self.start..]
    }
}

#[cfg(test)]
mod tests {
    use alloc::{string::String, vec::Vec};

    use super::*;
    use crate::Message;

    #[test]
    fn utf16_length_is_that_of_the_standard_library() {
        for text in ["", "a", "é", "€", "\u{ffff}", "\u{10000}", "😀", "\u{10ffff}", "a€😀é\0"]
        {
            assert_eq!(utf16_len(text.as_bytes()), text.encode_utf16().count(), "{text:?}");
        }
    }

    #[test]
    fn digits_are_those_of_the_number() {
        for number in [0, 1, 9, 10, 99, 100, 1234567890, usize::MAX] {
            let digits: String = Decimal::new(number)
                .digits()
                .iter()
                .map(|digit| char::from(b'0' + digit))
                .collect();
            assert_eq!(digits, alloc::format!("{number}"));
        }
    }

    #[test]
    fn the_first_packet_always_fits_and_the_next_only_within_the_limit() {
        let message = Message::from("12345");
        let packet = PacketRef::Message((&message).into());
        for (form, one) in
            [(PayloadForm::V4, 6), (PayloadForm::V3Text, 8), (PayloadForm::V3Binary, 9)]
        {
            let two = 2 * one + usize::from(form == PayloadForm::V4);
            for (max, taken) in [(0, 1), (one, 1), (two - 1, 1), (two, 2)] {
                let mut encoder = PayloadEncoder::new(form, max);
                assert!(encoder.push(packet));
                assert_eq!(encoder.push(packet), taken == 2, "{form:?} within {max}");
                assert_eq!(encoder.finish().len(), if taken == 2 { two } else { one });
            }
        }
    }

    #[test]
    fn a_refused_packet_leaves_no_trace_and_a_smaller_one_may_still_fit() {
        let large = Message::from("123456789");
        let mut encoder = PayloadEncoder::new(PayloadForm::V4, 5);
        assert!(encoder.push(PacketRef::Noop));
        assert!(!encoder.push(PacketRef::Message((&large).into())));
        assert!(encoder.push(PacketRef::Close));
        assert_eq!(encoder.finish(), "6\x1e1");
    }

    #[test]
    fn nothing_pushed_is_an_empty_batch() {
        for (form, body) in
            [(PayloadForm::V4, ""), (PayloadForm::V3Text, "0:"), (PayloadForm::V3Binary, "")]
        {
            let encoder = PayloadEncoder::new(form, 100);
            assert!(encoder.is_empty());
            assert_eq!(encoder.finish(), body);
        }
    }

    #[test]
    fn lengths_are_right_where_they_get_one_digit_more() {
        for n in [8, 9, 98, 99, 998, 999] {
            let message = Message::from(alloc::vec![b'x'; n]);
            let mut encoder = PayloadEncoder::new(PayloadForm::V3Binary, 0);
            assert!(encoder.push(PacketRef::Message((&message).into())));
            let body = encoder.finish();
            let digits: Vec<u8> =
                alloc::format!("{}", n + 1).bytes().map(|digit| digit - b'0').collect();
            assert_eq!(body[0], 1);
            assert_eq!(body[1..=digits.len()], digits);
            assert_eq!(body[1 + digits.len()..][..2], [0xff, 4]);
            assert_eq!(body.len(), 3 + digits.len() + n);
        }
    }
}
