//! JSONP. First byte: how a client escapes, see `submit`. Up to the next newline: the parameter
//! `j`. Rest: the body of a request, and the payload of a response and of another request.

use std::fmt::Write as _;

use enginewire::codec::jsonp;

use crate::{oracle, packets::has_a_place, script::Script};

/// Takes the bytes as a request, as the payload of a response, and as what a client submits. Whether
/// there is a payload in the request.
pub fn run(data: &[u8]) -> bool {
    let mut script = Script::new(data);
    let style = script.byte();
    let j = String::from_utf8_lossy(script.until(b'\n'));
    let index = jsonp::callback_index(&j);
    let digits: String = j.chars().filter(char::is_ascii_digit).collect();
    assert_eq!(index, digits);

    let rest = script.rest();
    response_of_bytes(&index, rest);
    if let Ok(payload) = std::str::from_utf8(rest) {
        response(&index, payload);
        submitted(payload, style);
    }
    request(rest)
}

/// Any body: taken or refused as the rules say, written a second time here. Whether it was taken.
fn request(body: &[u8]) -> bool {
    let fields: Vec<_> = body
        .split(|&byte| byte == b'&')
        .filter_map(|field| {
            let equals = field.iter().position(|&byte| byte == b'=');
            let (key, value) = match equals {
                Some(at) => (&field[..at], &field[at + 1..]),
                None => (field, &[][..]),
            };
            (key == b"d" || key == b"%64").then_some(value)
        })
        .collect();
    match (jsonp::decode_body(body), fields.as_slice()) {
        (Ok(None), fields) => {
            assert_ne!(fields.len(), 1);
            false
        }
        (Ok(Some(payload)), [value]) => {
            let decoded = oracle::percent_decode(value).expect("a broken escape is an error");
            assert_eq!(payload, unescape(&decoded));
            true
        }
        (Err(error), [value]) => {
            oracle::percent_decode(value).expect_err("there is a broken escape");
            assert_eq!(error.packet(), 0);
            has_a_place(&error, body);
            false
        }
        (other, fields) => panic!("{other:?} of {} fields", fields.len()),
    }
}

/// The two replacements of the reference, one after the other: `\n` becomes a newline unless a
/// backslash comes before it, then `\\n` becomes `\n`.
fn unescape(value: &[u8]) -> Vec<u8> {
    let mut first = Vec::new();
    let mut at = 0;
    while at < value.len() {
        let (put, taken): (&[u8], _) = match &value[at..] {
            [b'\\', b'\\', b'n', ..] => (br"\\n", 3),
            [b'\\', b'n', ..] => (b"\n", 2),
            other => (&other[..1], 1),
        };
        first.extend_from_slice(put);
        at += taken;
    }
    let mut second = Vec::new();
    let mut at = 0;
    while at < first.len() {
        let escaped = first[at..].starts_with(br"\\n");
        at += usize::from(escaped);
        second.push(first[at]);
        at += 1;
        if escaped {
            second.push(b'n');
            at += 1;
        }
    }
    second
}

/// A response is a call with one string, which is JSON and holds nothing that ends a line.
fn response(index: &str, payload: &str) {
    let response = jsonp::encode_response(index, payload.as_bytes());
    let text = std::str::from_utf8(&response).expect("JavaScript is text");
    let string = text.strip_prefix("___eio[").and_then(|text| text.strip_prefix(index));
    let string = string.and_then(|text| text.strip_prefix("](")?.strip_suffix(");"));
    let string = string.expect("a call of the function with this index");
    assert_eq!(serde_json::from_str::<String>(string).expect("a JSON string"), payload);
    assert!(!string.contains(|c: char| c < ' ' || c == '\u{2028}' || c == '\u{2029}'));
}

/// Bytes that are no text make no valid script either, but nothing gets out of the string.
fn response_of_bytes(index: &str, payload: &[u8]) {
    let response = jsonp::encode_response(index, payload);
    let string = &response["___eio[](\"".len() + index.len()..response.len() - "\");".len()];
    let mut bytes = string.iter();
    while let Some(&byte) = bytes.next() {
        assert!(byte >= b' ' && byte != b'"', "{byte} is not escaped");
        if byte == b'\\' {
            assert!(bytes.next().is_some(), "the end of the string is escaped");
        }
    }
}

/// What a client submits comes out.
fn submitted(payload: &str, style: u8) {
    // JSONP cannot carry a backslash right before a newline.
    if payload.contains("\\\n") {
        return;
    }
    let form = submit(payload, style);
    let decoded = jsonp::decode_body(form.as_bytes()).expect("escapes are whole");
    assert_eq!(decoded.as_deref(), Some(payload.as_bytes()), "{form}");
}

/// What the JavaScript client, and then the browser, does to a payload. Bits of `style`: 1 escape
/// everything, 2 in lower case, 4 another field before it, 8 another behind it.
fn submit(payload: &str, style: u8) -> String {
    let escaped = payload.replace("\\n", "\\\\n").replace('\n', "\\n");
    let mut form = String::from(if style & 4 == 0 { "d=" } else { "a=%&d=" });
    for byte in escaped.bytes() {
        match byte {
            b' ' if style & 1 == 0 => form.push('+'),
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'*' | b'-' | b'.' | b'_'
                if style & 1 == 0 =>
            {
                form.push(byte.into());
            }
            _ if style & 2 == 0 => write!(form, "%{byte:02X}").expect("a String takes everything"),
            _ => write!(form, "%{byte:02x}").expect("a String takes everything"),
        }
    }
    if style & 8 != 0 {
        form.push_str("&dd=x");
    }
    form
}
