//! Payloads as MessagePack, without values in between.

use alloc::{borrow::Cow, string::String, vec::Vec};

use super::{EncodeError, MAX_DEPTH, Payload, Placeholders, Repr, scan, string};
use crate::msgpack::Writer;

impl Payload {
    /// Writes the payload as MessagePack, with its binary data inside.
    ///
    /// Surrogates that stand alone become replacement characters.
    ///
    /// # Errors
    ///
    /// If it is JSON that is nested too deeply, or that has a placeholder without an attachment.
    pub(crate) fn write_msgpack(&self, out: &mut Writer) -> Result<(), EncodeError> {
        match &self.0 {
            Repr::Value { value, .. } => {
                out.value(value);
                Ok(())
            }
            Repr::Json { message, start, attachments, only, .. } => {
                let json = &message[*start..];
                let placeholders = Placeholders::find(json, attachments, *only)
                    .map_err(|error| EncodeError::new(error.message()))?;
                let tokens = Tokens { json, placeholders: &placeholders, at: 0 };
                let mut counts = count(tokens.clone())?.into_iter();
                for token in tokens {
                    match token {
                        Token::Array => out.array(counts.next().unwrap_or_default()),
                        Token::Object => out.map(counts.next().unwrap_or_default()),
                        Token::End => {}
                        Token::Key(raw) | Token::Text(raw) => out.text(&unescaped(raw)),
                        Token::Scalar(text) => scalar(out, text),
                        Token::Binary(number) => match attachments.as_slice().get(number) {
                            Some(bytes) => out.binary(bytes),
                            None => out.null(),
                        },
                    }
                }
                Ok(())
            }
        }
    }
}

/// The numbers of elements or members of all arrays and objects, in the order in which they begin.
fn count(tokens: Tokens<'_>) -> Result<Vec<u32>, EncodeError> {
    let (mut counts, mut open): (Vec<u32>, Vec<usize>) = (Vec::new(), Vec::new());
    for token in tokens {
        match token {
            Token::End => {
                open.pop();
                continue;
            }
            Token::Key(_) => continue,
            _ => {}
        }
        if let Some(&inside) = open.last() {
            counts[inside] += 1;
        }
        if matches!(token, Token::Array | Token::Object) {
            if open.len() >= MAX_DEPTH {
                return Err(EncodeError::new("it is nested too deeply"));
            }
            open.push(counts.len());
            counts.push(0);
        }
    }
    Ok(counts)
}

/// Parts of valid JSON.
#[derive(Clone)]
struct Tokens<'a> {
    json: &'a str,
    /// Those ahead, in order.
    placeholders: &'a [scan::Placeholder],
    at: usize,
}

enum Token<'a> {
    Array,
    Object,
    End,
    /// Name of a member, as it is written.
    Key(&'a str),
    /// Text, as it is written.
    Text(&'a str),
    Scalar(&'a str),
    /// The attachment of this number.
    Binary(usize),
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        let text = self.json.as_bytes();
        loop {
            let start = self.at;
            let byte = *text.get(start)?;
            self.at += 1;
            return Some(match byte {
                b',' | b':' | b' ' | b'\n' | b'\r' | b'\t' => continue,
                b'[' => Token::Array,
                b'{' => match self.placeholders.split_first() {
                    Some((placeholder, rest)) if placeholder.start == start => {
                        (self.placeholders, self.at) = (rest, placeholder.end);
                        Token::Binary(placeholder.number)
                    }
                    _ => Token::Object,
                },
                b']' | b'}' => Token::End,
                b'"' => {
                    let (end, _) = scan::string_end(text, start + 1);
                    let raw = self.json.get(start + 1..end)?;
                    self.at = scan::skip_space(text, end + 1);
                    if text.get(self.at) == Some(&b':') {
                        Token::Key(raw)
                    } else {
                        Token::Text(raw)
                    }
                }
                _ => {
                    self.at = scan::scalar_end(text, start);
                    Token::Scalar(self.json.get(start..self.at)?)
                }
            });
        }
    }
}

fn unescaped(raw: &str) -> Cow<'_, str> {
    if !raw.contains('\\') {
        return Cow::Borrowed(raw);
    }
    let mut text = String::new();
    string::unescape_lossy(raw, &mut text);
    Cow::Owned(text)
}

fn scalar(out: &mut Writer, text: &str) {
    match text {
        "null" => out.null(),
        "true" => out.bool(true),
        "false" => out.bool(false),
        number => match (number.parse::<u64>(), number.parse::<i64>()) {
            (Ok(number), _) => out.unsigned(number),
            // Not `-0`, which is 0.
            (_, Ok(number)) if number < 0 => out.signed(number),
            _ => out.float(number.parse().unwrap_or(f64::NAN)),
        },
    }
}

#[cfg(test)]
mod tests {
    use alloc::{borrow::ToOwned, format, vec, vec::Vec};

    use bytes::Bytes;

    use super::*;
    use crate::payload::{Value, validate_json};

    fn written(payload: &Payload) -> Bytes {
        let mut out = Writer::default();
        payload.write_msgpack(&mut out).unwrap();
        out.finish()
    }

    fn json(text: &str) -> Payload {
        validate_json(text).unwrap();
        Payload::from_json([" ", text].concat().into(), 1, Vec::new())
    }

    #[test]
    fn json_is_written_as_its_values_are() {
        let long = format!("[{}]", vec!["7"; 70_000].join(","));
        for text in [
            "null",
            "true",
            "0",
            "-0",
            "-1",
            "1.0",
            "1.5",
            "-1e3",
            "18446744073709551615",
            "18446744073709551616",
            "1e300",
            r#""""#,
            r#""a\u20ac\"b""#,
            "[]",
            "{}",
            " [ 1 , [ ] , { } ] ",
            r#"{"a":{"b":[1,{"c":[]}],"d":"x"},"e":[[[]]]}"#,
            r#"{"a\n":1,"":{"":""}}"#,
            &long,
        ] {
            let payload = json(text);
            let value = Payload::from_value(payload.to_value().unwrap());
            assert_eq!(written(&payload), written(&value), "{text:.80}");
        }
    }

    #[test]
    fn binary_data_are_written_in_the_place_of_their_placeholders() {
        let attachments = vec![Bytes::from_static(b"one"), Bytes::from_static(b"two")];
        let text =
            r#"["e",{"_placeholder":true,"num":1},[{"x":{"num":0,"_placeholder":true},"y":{}}]]"#;
        let payload = Payload::from_json(text.into(), 0, attachments);
        let value = Payload::from_value(payload.to_value().unwrap());
        assert_eq!(written(&payload), written(&value));
        assert_eq!(value.attachments()[0], "two");
    }

    #[test]
    fn lone_surrogate_is_replaced() {
        let expected = Payload::from_value(Value::String("a\u{fffd}b".to_owned()));
        assert_eq!(written(&json(r#""a\ud800b""#)), written(&expected));
    }

    #[test]
    fn json_beyond_the_limit_on_levels_is_refused() {
        for (levels, is_written) in [(MAX_DEPTH, true), (MAX_DEPTH + 1, false)] {
            let payload = json(&["[".repeat(levels), "]".repeat(levels)].concat());
            assert_eq!(payload.write_msgpack(&mut Writer::default()).is_ok(), is_written);
        }
    }
}
