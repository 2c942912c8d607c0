//! Query strings: `application/x-www-form-urlencoded` pairs.

use alloc::{borrow::Cow, string::String, vec::Vec};

/// The pairs of a query string, decoded, in order. A key without `=` has an empty value.
///
/// `+` and `%20` are spaces; an escape that is none stays as it is; bytes that are not UTF-8 once
/// decoded become U+FFFD. Where a key comes twice, Engine.IO goes by the last.
pub fn pairs(query: &str) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
    let is_escaped = memchr::memchr2(b'%', b'+', query.as_bytes()).is_some();
    let decode = move |text| if is_escaped { decode(text) } else { Cow::Borrowed(text) };
    let mut rest = query;
    core::iter::from_fn(move || {
        loop {
            let (pair, behind) = split_at_byte(rest, b'&').unwrap_or((rest, ""));
            rest = behind;
            if !pair.is_empty() {
                let (key, value) = split_at_byte(pair, b'=').unwrap_or((pair, ""));
                return Some((decode(key), decode(value)));
            }
            if rest.is_empty() {
                return None;
            }
        }
    })
}

/// Splits `text` around the first `byte`, which is ASCII.
fn split_at_byte(text: &str, byte: u8) -> Option<(&str, &str)> {
    let at = memchr::memchr(byte, text.as_bytes())?;
    Some((&text[..at], &text[at + 1..]))
}

/// The value of `key`, decoded; the last one if there are several.
pub fn value<'a>(query: &'a str, key: &str) -> Option<Cow<'a, str>> {
    pairs(query).filter(|(name, _)| name == key).last().map(|(_, value)| value)
}

/// Decodes one key or value.
pub(crate) fn decode(text: &str) -> Cow<'_, str> {
    if !text.bytes().any(|byte| byte == b'%' || byte == b'+') {
        return Cow::Borrowed(text);
    }
    Cow::Owned(match String::from_utf8(decode_bytes(text.as_bytes())) {
        Ok(decoded) => decoded,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    })
}

/// Decodes the escapes and plus signs of a form, without a look at what they make.
pub(crate) fn decode_bytes(text: &[u8]) -> Vec<u8> {
    decode_escapes(text, b' ')
}

/// Decodes the escapes of a URL outside of its query, where a plus sign is one.
pub(crate) fn percent_decode(text: &str) -> Vec<u8> {
    decode_escapes(text.as_bytes(), b'+')
}

fn decode_escapes(text: &[u8], plus: u8) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        decoded.push(match (byte, after) {
            (b'+', _) => plus,
            (b'%', [high, low, after @ ..]) => match (hex_value(*high), hex_value(*low)) {
                (Some(high), Some(low)) => {
                    rest = after;
                    high << 4 | low
                }
                _ => b'%',
            },
            _ => byte,
        });
    }
    decoded
}

/// Appends `key=value`, escaped, behind an `&` unless it is the first.
pub(crate) fn push_pair(query: &mut String, key: &str, value: &str) {
    if !query.is_empty() {
        query.push('&');
    }
    escape(query, key, is_unreserved);
    query.push('=');
    escape(query, value, is_unreserved);
}

/// Escapes what may not stand in a request line, and leaves alone what has a meaning there.
pub(crate) fn escape_illegal(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    escape(&mut escaped, text, |byte| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte));
    escaped
}

/// The same for a path, in which what ends one has no meaning.
pub(crate) fn escape_path(path: &str) -> String {
    escape_illegal(path).replace('?', "%3F").replace('#', "%23")
}

/// Appends `text` with all bytes escaped but those that are `legal`, which must be ASCII.
fn escape(out: &mut String, text: &str, legal: impl Fn(u8) -> bool) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        if legal(byte) {
            out.push(char::from(byte));
        } else {
            let digits = [byte >> 4, byte & 15].map(|digit| char::from(DIGITS[usize::from(digit)]));
            out.push('%');
            out.extend(digits);
        }
    }
}

/// RFC 3986 section 2.3: means nothing anywhere.
const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// The value of a hexadecimal digit.
pub(crate) const fn hex_value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use alloc::{format, string::ToString};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn pairs_are_decoded_in_order() {
        let got: Vec<_> = pairs("EIO=4&foo=bar+baz%20qux&&u=%E2%82%AC&flag&a=b=c").collect();
        let expected =
            [("EIO", "4"), ("foo", "bar baz qux"), ("u", "€"), ("flag", ""), ("a", "b=c")]
                .map(|(key, value)| (Cow::Borrowed(key), Cow::Borrowed(value)));
        assert_eq!(got, expected);
    }

    #[test]
    fn the_last_of_several_values_counts() {
        assert_eq!(value("sid=a&t=1&sid=b", "sid").as_deref(), Some("b"));
        assert_eq!(value("sid=a&sid=", "sid").as_deref(), Some(""));
        assert_eq!(value("__proto__=x", "sid"), None);
    }

    #[test]
    fn broken_escapes_stay_and_broken_utf8_is_replaced() {
        assert_eq!(decode("100%"), "100%");
        assert_eq!(decode("%4"), "%4");
        assert_eq!(decode("%zz%41"), "%zzA");
        assert_eq!(decode("%ff"), "\u{fffd}");
    }

    #[test]
    fn text_is_copied_only_if_something_in_it_is_to_be_decoded() {
        assert!(matches!(decode("a.b~c-d_e"), Cow::Borrowed("a.b~c-d_e")));
        for text in ["a%20b", "a+b"] {
            assert!(matches!(decode(text), Cow::Owned(decoded) if decoded == "a b"), "{text}");
        }
    }

    #[test]
    fn what_has_a_meaning_in_a_target_is_not_escaped() {
        assert_eq!(escape_illegal("/a%20b/?c=d&e+f;g"), "/a%20b/?c=d&e+f;g");
        assert_eq!(escape_illegal("a b\r\n\u{e9}<"), "a%20b%0D%0A%C3%A9%3C");
    }

    proptest! {
        #[test]
        fn pairs_that_were_pushed_come_back(given in prop::collection::vec(any::<(String, String)>(), 0..4)) {
            let mut query = String::new();
            for (key, value) in &given {
                push_pair(&mut query, key, value);
            }
            let got: Vec<_> =
                pairs(&query).map(|(key, value)| (key.into_owned(), value.into_owned())).collect();
            prop_assert_eq!(got, given);
        }

        #[test]
        fn decodes_what_was_escaped(text in any::<String>()) {
            let escaped: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
            prop_assert_eq!(decode(&escaped).to_string(), text);
        }
    }
}
