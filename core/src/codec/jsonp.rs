//! Polling through `<script>` elements and forms, for browsers that know nothing better.
//!
//! Payloads are those of [`PayloadForm::V4`](super::PayloadForm::V4) or
//! [`PayloadForm::V3Text`](super::PayloadForm::V3Text). A response is a call of a JavaScript function,
//! `___eio[<index>]`, with the payload as a string; a request's body is a form with the payload in
//! the field `d`.

use alloc::{string::String, vec::Vec};
use core::ops::Range;

use bytes::Bytes;
use memchr::memchr;

use crate::{
    codec::{DecodeError, DecodeErrorKind, error::Fault},
    query::hex_value,
};

/// The digits of `j`, the query parameter that tells which function to call. Everything else is
/// dropped, so that a request cannot put code into its response.
pub fn callback_index(j: &str) -> String {
    j.chars().filter(char::is_ascii_digit).collect()
}

/// The body of a response: `___eio[index]("payload");`.
///
/// `index` is what [`callback_index`] gave, `payload` valid UTF-8. The string is JSON, and JavaScript
/// of any age: U+2028 and U+2029 are escaped too, which older engines take for ends of the line.
pub fn encode_response(index: &str, payload: &[u8]) -> Bytes {
    // Payloads of Socket.IO are JSON, where about every eighth character is a quotation mark.
    let string = payload.len() + payload.len() / 8;
    let around = HEAD.len() + index.len() + MIDDLE.len() + TAIL.len();
    let mut out = Vec::with_capacity(around + string);
    out.extend_from_slice(HEAD);
    out.extend_from_slice(index.as_bytes());
    out.extend_from_slice(MIDDLE);
    let mut rest = payload;
    while let Some(n) = rest.iter().position(|&byte| may_need_escape(byte)) {
        let (plain, special) = rest.split_at(n);
        out.extend_from_slice(plain);
        let taken = escape(special, &mut out);
        rest = &special[taken..];
    }
    out.extend_from_slice(rest);
    out.extend_from_slice(TAIL);
    out.into()
}

/// The payload in the body of a request, a form (`application/x-www-form-urlencoded`).
///
/// `None` if the form has no field `d`, or several: such a request is answered, and brings nothing.
///
/// Browsers change newlines in forms. So the client writes a newline as `\n`, a backslash and an `n`. It puts one
/// more backslash before every `\n` that was there already. Both are undone. (A backslash right before a newline
/// looks like the second and becomes it: JSONP cannot carry it.)
///
/// # Errors
///
/// If a percent sign is not followed by two hexadecimal digits. Whether the payload is UTF-8 is for
/// its decoder to find out.
pub fn decode_body(body: &[u8]) -> Result<Option<Bytes>, DecodeError> {
    let mut start = 0;
    let mut found = None;
    for field in body.split(|&byte| byte == b'&') {
        let (key, value) = match memchr(b'=', field) {
            Some(n) => (&field[..n], n + 1),
            None => (field, field.len()),
        };
        if matches!(key, b"d" | b"%64") {
            if found.is_some() {
                return Ok(None);
            }
            found = Some(start + value..start + field.len());
        }
        start += field.len() + 1;
    }
    let payload = found.map(|value| decode_value(body, value)).transpose();
    payload.map_err(|fault| DecodeError::new(0, fault))
}

const HEAD: &[u8] = b"___eio[";
const MIDDLE: &[u8] = b"](\"";
const TAIL: &[u8] = b"\");";

/// Whether a character that begins with `byte` is one that [`escape`] has to look at.
const fn may_need_escape(byte: u8) -> bool {
    matches!(byte, 0..0x20 | b'"' | b'\\' | 0xe2)
}

/// Appends the first character of `text` as it stands in a JavaScript string, and tells how many
/// bytes of `text` that was. (Of other characters from U+2000 on it takes only the first byte.)
fn escape(text: &[u8], out: &mut Vec<u8>) -> usize {
    let (escaped, taken): (&[u8], _) = match text {
        [b'"', ..] => (br#"\""#, 1),
        [b'\\', ..] => (br"\\", 1),
        [0x08, ..] => (br"\b", 1),
        [0x0c, ..] => (br"\f", 1),
        [b'\n', ..] => (br"\n", 1),
        [b'\r', ..] => (br"\r", 1),
        [b'\t', ..] => (br"\t", 1),
        [0xe2, 0x80, 0xa8, ..] => (br"\u2028", 3),
        [0xe2, 0x80, 0xa9, ..] => (br"\u2029", 3),
        [control @ 0..0x20, ..] => {
            let digit = |value: u8| HEX[usize::from(value)];
            let escaped = [b'\\', b'u', b'0', b'0', digit(control >> 4), digit(control & 15)];
            out.extend_from_slice(&escaped);
            return 1;
        }
        [other, ..] => (core::slice::from_ref(other), 1),
        [] => (&[], 0),
    };
    out.extend_from_slice(escaped);
    taken
}

const HEX: &[u8; 16] = b"0123456789abcdef";

/// The payload in the form value at `value` of `body`.
fn decode_value(body: &[u8], value: Range<usize>) -> Result<Bytes, Fault> {
    let Range { start: mut at, end } = value;
    let mut out = Vec::with_capacity(end - at);
    while at < end {
        let (byte, taken) = match &body[at..end] {
            [b'%', high, low, ..] => match (hex_value(*high), hex_value(*low)) {
                (Some(high), Some(low)) => (high << 4 | low, 3),
                _ => return Err(Fault { at, kind: DecodeErrorKind::InvalidEscape }),
            },
            [b'%', ..] => return Err(Fault { at, kind: DecodeErrorKind::InvalidEscape }),
            [b'+', ..] => (b' ', 1),
            other => (other[0], 1),
        };
        at += taken;
        match (byte, out.as_slice()) {
            // Two backslashes and an `n`: the payload has one of them.
            (b'n', [.., b'\\', b'\\']) => {
                out.pop();
                out.push(b'n');
            }
            // One: a newline.
            (b'n', [.., b'\\']) => {
                out.pop();
                out.push(b'\n');
            }
            _ => out.push(byte),
        }
    }
    Ok(out.into())
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use proptest::prelude::*;

    use super::*;

    /// Submits a payload as a form, escaped as the JavaScript client does.
    fn submit(payload: &str) -> String {
        let escaped = payload.replace("\\n", "\\\\n").replace('\n', "\\n");
        let mut form = String::from("d=");
        for byte in escaped.bytes() {
            match byte {
                b' ' => form.push('+'),
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'*' | b'-' | b'.' | b'_' => {
                    form.push(byte.into());
                }
                _ => form.push_str(&alloc::format!("%{byte:02X}")),
            }
        }
        form
    }

    fn payload_of(form: &str) -> Option<Bytes> {
        decode_body(form.as_bytes()).unwrap()
    }

    #[test]
    fn the_callback_index_is_digits_only() {
        assert_eq!(callback_index("0"), "0");
        assert_eq!(callback_index("1](alert)(2"), "12");
        assert_eq!(callback_index("x\u{0661}"), "");
    }

    #[test]
    fn a_response_is_a_call_with_one_string() {
        let response = |payload: &str| encode_response("7", payload.as_bytes());
        assert_eq!(response(""), r#"___eio[7]("");"#);
        assert_eq!(response("0{\"sid\":\"x\"}"), r#"___eio[7]("0{\"sid\":\"x\"}");"#);
        assert_eq!(response("4a\x1e4b"), r#"___eio[7]("4a\u001e4b");"#);
        assert_eq!(
            response("\u{2027}\u{2028}\u{2029}\u{202a}€â"),
            "___eio[7](\"\u{2027}\\u2028\\u2029\u{202a}€â\");"
        );
        assert_eq!(
            response("\\\n\r\t\u{8}\u{c}\0\x7f"),
            r#"___eio[7]("\\\n\r\t\b\f\u0000"#.to_string() + "\x7f\");"
        );
        assert_eq!(encode_response("", b"6"), r#"___eio[]("6");"#);
    }

    #[test]
    fn bytes_that_are_no_text_do_not_panic() {
        assert_eq!(encode_response("0", b"\xe2"), &b"___eio[0](\"\xe2\");"[..]);
        assert_eq!(encode_response("0", b"\xe2\x80"), &b"___eio[0](\"\xe2\x80\");"[..]);
    }

    #[test]
    fn the_payload_is_the_field_d() {
        assert_eq!(payload_of("d=4hello+world%21").unwrap(), "4hello world!");
        assert_eq!(payload_of("a=1&d=4x&b=2").unwrap(), "4x");
        assert_eq!(payload_of("%64=4x=y").unwrap(), "4x=y");
        assert_eq!(payload_of("d=").unwrap(), "");
        assert_eq!(payload_of("d").unwrap(), "");
        assert_eq!(payload_of("d=%e2%82%AC").unwrap(), "€");
    }

    #[test]
    fn without_one_field_d_there_is_no_payload() {
        for form in ["", "&", "=", "dd=4x", "D=4x", "=d", "a=d", "d=4x&d=4y", "4hello"] {
            assert_eq!(payload_of(form), None, "{form:?}");
        }
    }

    #[test]
    fn of_a_row_of_backslashes_before_an_n_one_is_taken_away() {
        for (value, payload) in [
            (r"n", "n"),
            (r"\n", "\n"),
            (r"\\n", r"\n"),
            (r"\\\n", r"\\n"),
            (r"\\\\n", r"\\\n"),
            (r"\n\n", "\n\n"),
            (r"\\n\n", "\\n\n"),
            (r"\nn", "\nn"),
            (r"\\", r"\\"),
            (r"\\t", r"\\t"),
        ] {
            assert_eq!(payload_of(&alloc::format!("d={value}")).unwrap(), payload, "{value}");
            let escaped = value.replace('\\', "%5C").replace('n', "%6e");
            assert_eq!(payload_of(&alloc::format!("d={escaped}")).unwrap(), payload, "{escaped}");
        }
    }

    #[test]
    fn a_percent_sign_without_two_digits_is_an_error_at_its_place() {
        for form in ["a=1&d=4%", "a=1&d=4%4", "a=1&d=4%4&b=%41", "a=1&d=4%4g", "a=1&d=4%+1"] {
            let error = decode_body(form.as_bytes()).unwrap_err();
            assert_eq!((error.at(), error.kind()), (7, &DecodeErrorKind::InvalidEscape), "{form}");
        }
        assert_eq!(payload_of("a=%&d=4").unwrap(), "4", "other fields do not matter");
    }

    /// The two replacements, one after the other, that the reference makes.
    fn replace_twice(value: &str) -> String {
        let mut first = String::new();
        let mut rest = value;
        while let Some(character) = rest.chars().next() {
            let (put, taken) = match rest {
                _ if rest.starts_with(r"\\n") => (r"\\n", 3),
                _ if rest.starts_with(r"\n") => ("\n", 2),
                _ => (&rest[..character.len_utf8()], character.len_utf8()),
            };
            first.push_str(put);
            rest = &rest[taken..];
        }
        first.replace(r"\\n", r"\n")
    }

    #[test]
    fn a_backslash_right_before_a_newline_gets_lost_as_in_the_reference() {
        assert_eq!(payload_of(&submit("4\\\n")).unwrap(), r"4\n");
    }

    proptest! {
        #[test]
        fn what_a_client_submits_comes_out(payload in r#"([\\n\n]|\PC){0,40}"#) {
            let payload = payload.replace("\\\n", "\n");
            prop_assume!(!payload.contains("\\\n"));
            prop_assert_eq!(payload_of(&submit(&payload)).unwrap(), payload);
        }

        #[test]
        fn escapes_are_undone_as_the_reference_undoes_them(value in r"[\\n%x]{0,20}") {
            let value = value.replace('%', "\u{e9}");
            let form = alloc::format!("d={value}");
            prop_assert_eq!(payload_of(&form).unwrap(), replace_twice(&value));
        }

        #[test]
        fn any_body_is_taken_or_refused_without_a_panic(body: Vec<u8>) {
            if let Ok(Some(payload)) = decode_body(&body) {
                prop_assert!(payload.len() < body.len());
            }
        }

        #[test]
        fn a_response_holds_the_payload_as_a_json_string(payload: Vec<char>) {
            let payload = String::from_iter(payload);
            let response = encode_response("0", payload.as_bytes());
            let string = &response[HEAD.len() + 3..response.len() - 2];
            prop_assert_eq!(serde_json::from_slice::<String>(string).unwrap(), payload);
            prop_assert!(!string.windows(3).any(|w| matches!(w, [0xe2, 0x80, 0xa8 | 0xa9])));
            prop_assert!(!string.iter().any(|&byte| byte < 0x20));
        }
    }
}
