//! Strings of JSON: their escapes, in and out.

use alloc::{string::String, vec::Vec};

/// The first byte at or behind `start` that a JSON string cannot have as it is.
///
/// That is a quote, a backslash or a control character; the end of the text if there is none.
#[inline]
pub(super) fn plain_end(text: &[u8], start: usize) -> usize {
    const ONES: u64 = u64::MAX / 255;
    let mut at = start;
    // A loop of fixed length without a way out is a few instructions where there are wide registers.
    #[cfg(any(target_feature = "sse2", target_feature = "neon"))]
    while let Some(chunk) = text.get(at..).and_then(<[u8]>::first_chunk::<16>) {
        let found = chunk.iter().fold(0, |found, &byte| {
            let least = (byte ^ b'"').min(byte ^ b'\\').min(byte & !0x1f);
            found | u8::from(least == 0)
        });
        if found != 0 {
            break;
        }
        at += chunk.len();
    }
    // Eight bytes at a time. A borrow may mark bytes above the first one that is meant, never below.
    while let Some(chunk) = text.get(at..).and_then(<[u8]>::first_chunk) {
        let word = u64::from_le_bytes(*chunk);
        let quote = word ^ (ONES * b'"' as u64);
        let backslash = word ^ (ONES * b'\\' as u64);
        let found = (quote.wrapping_sub(ONES) & !quote)
            | (backslash.wrapping_sub(ONES) & !backslash)
            | (word.wrapping_sub(ONES * 0x20) & !word);
        let found = found & (ONES * 0x80);
        if found != 0 {
            return at + (found.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while text.get(at).is_some_and(|&byte| byte >= 0x20 && byte != b'"' && byte != b'\\') {
        at += 1;
    }
    at.min(text.len())
}

/// Appends `text` as a JSON string, with its quotes.
pub(crate) fn write(out: &mut Vec<u8>, text: &str) {
    out.reserve(text.len() + 2);
    out.push(b'"');
    write_escaped(out, text);
    out.push(b'"');
}

/// Appends `text` as it stands inside of a JSON string.
pub(super) fn write_escaped(out: &mut Vec<u8>, text: &str) {
    let text = text.as_bytes();
    let mut start = 0;
    loop {
        let end = plain_end(text, start);
        out.extend_from_slice(&text[start..end]);
        let Some(&byte) = text.get(end) else { return };
        let short = match byte {
            b'"' | b'\\' => byte,
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            0x08 => b'b',
            0x0c => b'f',
            _ => {
                const DIGITS: &[u8; 16] = b"0123456789abcdef";
                let digits = [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]];
                out.extend_from_slice(&[b'\\', b'u', b'0', b'0', digits[0], digits[1]]);
                start = end + 1;
                continue;
            }
        };
        out.extend_from_slice(&[b'\\', short]);
        start = end + 1;
    }
}

/// Appends the content of a valid JSON string to `out`, without its escapes.
///
/// # Errors
///
/// The position of a surrogate that stands alone, or of an escape that is none.
pub(super) fn unescape(raw: &str, out: &mut String) -> Result<(), usize> {
    unescape_with(raw, out, |_, at| Err(at))
}

/// The same, with U+FFFD for each surrogate that stands alone.
pub(crate) fn unescape_lossy(raw: &str, out: &mut String) {
    // Not an escape of JSON, which there is none of in valid text: the rest is left out.
    let _ = unescape_with(raw, out, |out, _| {
        out.push(char::REPLACEMENT_CHARACTER);
        Ok(())
    });
}

fn unescape_with(
    raw: &str,
    out: &mut String,
    lone: impl Fn(&mut String, usize) -> Result<(), usize>,
) -> Result<(), usize> {
    out.reserve(raw.len());
    let bytes = raw.as_bytes();
    let mut start = 0;
    while let Some(length) = bytes[start..].iter().position(|&byte| byte == b'\\') {
        let at = start + length;
        out.push_str(&raw[start..at]);
        start = at + 2;
        out.push(match bytes.get(at + 1) {
            Some(&(b'"' | b'\\' | b'/')) => char::from(bytes[at + 1]),
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'u') => {
                let unit = unit(bytes, at).ok_or(at)?;
                start = at + 6;
                let scalar = match unit {
                    0xd800..0xdc00 => match unit_of_escape(bytes, start) {
                        Some(low @ 0xdc00..0xe000) => {
                            start += 6;
                            0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00)
                        }
                        _ => unit,
                    },
                    _ => unit,
                };
                match char::from_u32(scalar) {
                    Some(scalar) => scalar,
                    None => {
                        lone(out, at)?;
                        continue;
                    }
                }
            }
            _ => return Err(at),
        });
    }
    out.push_str(&raw[start..]);
    Ok(())
}

/// The code unit of an escape that begins at `at`, if one does.
fn unit_of_escape(bytes: &[u8], at: usize) -> Option<u32> {
    if bytes.get(at..at + 2)? == b"\\u" { unit(bytes, at) } else { None }
}

/// The code unit of the escape `\uXXXX` at `at`.
fn unit(bytes: &[u8], at: usize) -> Option<u32> {
    let digits = bytes.get(at + 2..at + 6)?;
    digits.iter().try_fold(0, |unit, &digit| Some(unit << 4 | char::from(digit).to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    #[test]
    fn plain_end_is_the_first_special_byte_wherever_it_stands() {
        // More than two of the widest steps, and a text that ends anywhere in them.
        for length in 0..70 {
            let mut text = vec![b'x'; length];
            assert_eq!(plain_end(&text, 0), length);
            for at in 0..length {
                for byte in [b'"', b'\\', 0, 0x1f, b'\n'] {
                    text[at] = byte;
                    for start in [0, at / 2, at] {
                        assert_eq!(plain_end(&text, start), at, "{byte} in {length} from {start}");
                    }
                    assert_eq!(plain_end(&text, at + 1), length);
                }
                for byte in [0x20, b'!', b'#', b'[', b']', 0x7f, 0x80, 0xa2, 0xdc, 0xff] {
                    text[at] = byte;
                    assert_eq!(plain_end(&text, 0), length, "{byte} at {at} of {length}");
                }
                text[at] = b'x';
            }
        }
    }
}
