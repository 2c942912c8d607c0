//! The rules of the wire format, written a second time: simple, slow, and one table of the protocol
//! per function.

use enginewire::{Message, Packet, Revision, Text, codec::PayloadForm};

/// Every packet up to the first fault, and whether there is one.
pub(crate) type Judged = (Vec<Packet>, bool);

/// The packet in one text message; `None` if there is none.
pub(crate) fn text_packet(revision: Revision, text: &str) -> Option<Packet> {
    let (first, rest) = split_first(text)?;
    if first != 'b' {
        return typed(first, rest.into());
    }
    if revision == Revision::V4 {
        return base64(rest).map(binary);
    }
    match split_first(rest)? {
        ('4', rest) => base64(rest).map(binary),
        (other, _) => typed(other, Text::EMPTY),
    }
}

/// The packet in one binary message.
pub(crate) fn binary_packet(revision: Revision, bytes: &[u8]) -> Option<Packet> {
    match (revision, bytes) {
        (Revision::V4, bytes) => Some(binary(bytes.to_vec())),
        (Revision::V3, [4, rest @ ..]) => Some(binary(rest.to_vec())),
        (Revision::V3, [kind @ 0..=6, rest @ ..]) => {
            let data = std::str::from_utf8(rest).unwrap_or_default();
            typed(char::from(b'0' + kind), data.into())
        }
        _ => None,
    }
}

/// The packets of a polling body.
pub(crate) fn payload(form: PayloadForm, body: &[u8], max_packets: usize) -> Judged {
    let mut packets = Vec::new();
    let whole = match form {
        PayloadForm::V4 => v4(body, max_packets, &mut packets),
        PayloadForm::V3Text => v3_text(body, max_packets, &mut packets),
        PayloadForm::V3Binary => v3_binary(body, max_packets, &mut packets),
    };
    (packets, whole.is_none())
}

fn v4(body: &[u8], max_packets: usize, packets: &mut Vec<Packet>) -> Option<()> {
    for piece in body.split(|&byte| byte == 0x1e) {
        if packets.len() == max_packets {
            return None;
        }
        packets.push(text_packet(Revision::V4, std::str::from_utf8(piece).ok()?)?);
    }
    Some(())
}

fn v3_text(body: &[u8], max_packets: usize, packets: &mut Vec<Packet>) -> Option<()> {
    let (mut rest, all_valid) = match std::str::from_utf8(body) {
        Ok(text) => (text, true),
        Err(error) => (std::str::from_utf8(&body[..error.valid_up_to()]).ok()?, false),
    };
    let mut first = true;
    while first || !rest.is_empty() || !all_valid {
        first = false;
        if packets.len() == max_packets {
            return None;
        }
        let (digits, after) = rest.split_once(':')?;
        let length: u64 = number(digits.bytes().map(|digit| digit.wrapping_sub(b'0')))?;
        let mut units = 0;
        let mut characters = after.chars();
        while units < length {
            units += characters.next()?.len_utf16() as u64;
        }
        if units > length {
            return None;
        }
        let (packet, after) = after.split_at(after.len() - characters.as_str().len());
        rest = after;
        if length > 0 {
            packets.push(text_packet(Revision::V3, packet)?);
        }
    }
    Some(())
}

fn v3_binary(mut rest: &[u8], max_packets: usize, packets: &mut Vec<Packet>) -> Option<()> {
    while let [kind, after @ ..] = rest {
        if packets.len() == max_packets {
            return None;
        }
        let end = after.iter().position(|&byte| byte == 0xff)?;
        let length = usize::try_from(number(after[..end].iter().copied())?).ok()?;
        let (packet, after) = after[end + 1..].split_at_checked(length)?;
        rest = after;
        if *kind == 0 {
            packets.push(text_packet(Revision::V3, std::str::from_utf8(packet).ok()?)?);
        } else {
            packets.extend(binary_packet(Revision::V3, packet));
        }
    }
    Some(())
}

/// The packets on a stream, each at most `max` bytes long; what is not complete is left out.
pub(crate) fn stream(mut rest: &[u8], max: usize) -> Judged {
    let mut packets = Vec::new();
    while let [first, after @ ..] = rest {
        let (length, after) = match first & 0x7f {
            126 if after.len() < 2 => break,
            127 if after.len() < 8 => break,
            126 => (big_endian(&after[..2]), &after[2..]),
            127 => (big_endian(&after[..8]), &after[8..]),
            length => (length.into(), after),
        };
        if length == 0 || length > max as u64 {
            return (packets, true);
        }
        if length > after.len() as u64 {
            break;
        }
        let (bytes, after) = after.split_at(usize::try_from(length).expect("it is there"));
        rest = after;
        let packet = if first & 0x80 != 0 {
            Some(binary(bytes.to_vec()))
        } else {
            std::str::from_utf8(bytes).ok().and_then(|text| text_packet(Revision::V4, text))
        };
        match packet {
            Some(packet) => packets.push(packet),
            None => return (packets, true),
        }
    }
    (packets, false)
}

/// A percent-encoded string: `+` is a space, and what is not an escape is what `broken` makes of it.
pub(crate) fn percent_decode(text: &[u8]) -> Result<Vec<u8>, Vec<u8>> {
    let mut decoded = Vec::new();
    let mut broken = false;
    let mut at = 0;
    while at < text.len() {
        let digits =
            text.get(at + 1..at + 3).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        match (text[at], digits) {
            (b'+', _) => decoded.push(b' '),
            (b'%', Some(digits)) => {
                let digits = std::str::from_utf8(digits).expect("digits are ASCII");
                decoded.push(u8::from_str_radix(digits, 16).expect("two hexadecimal digits"));
                at += 2;
            }
            (byte, _) => {
                broken |= byte == b'%';
                decoded.push(byte);
            }
        }
        at += 1;
    }
    if broken { Err(decoded) } else { Ok(decoded) }
}

fn typed(kind: char, data: Text) -> Option<Packet> {
    Some(match kind {
        '0' => Packet::Open(data),
        '1' => Packet::Close,
        '2' => Packet::Ping(data),
        '3' => Packet::Pong(data),
        '4' => Packet::Message(data.into()),
        '5' => Packet::Upgrade,
        '6' => Packet::Noop,
        _ => return None,
    })
}

fn binary(bytes: Vec<u8>) -> Packet {
    Packet::Message(Message::Binary(bytes.into()))
}

/// Padding may be missing, whole or in part, and bits behind the last byte may be anything.
fn base64(text: &str) -> Option<Vec<u8>> {
    let symbols = text.trim_end_matches('=');
    let missing = (4 - symbols.len() % 4) % 4;
    if missing == 3 || text.len() - symbols.len() > missing {
        return None;
    }
    let mut bits = 0_u32;
    let mut bytes = Vec::new();
    for (i, symbol) in symbols.bytes().enumerate() {
        let value = match symbol {
            b'A'..=b'Z' => symbol - b'A',
            b'a'..=b'z' => symbol - b'a' + 26,
            b'0'..=b'9' => symbol - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        if i % 4 > 0 {
            let [.., byte] = (bits >> (6 - 2 * (i % 4))).to_be_bytes();
            bytes.push(byte);
        }
    }
    Some(bytes)
}

/// One to 19 decimal digits.
fn number(digits: impl ExactSizeIterator<Item = u8>) -> Option<u64> {
    if !(1..=19).contains(&digits.len()) {
        return None;
    }
    let mut number = 0;
    for digit in digits {
        if digit > 9 {
            return None;
        }
        number = number * 10 + u64::from(digit);
    }
    Some(number)
}

fn big_endian(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, &byte| number << 8 | u64::from(byte))
}

fn split_first(text: &str) -> Option<(char, &str)> {
    let mut characters = text.chars();
    Some((characters.next()?, characters.as_str()))
}
