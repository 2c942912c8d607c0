//! Tests of the codec.

use super::*;

/// Decodes whole, byte by byte, and with trailing bytes, which have to agree.
fn decode(bytes: &[u8]) -> Result<Vec<Value>, MalformedReply> {
    let whole = feed(&mut Decoder::new(MAX), [bytes]);
    let single = feed(&mut Decoder::new(MAX), bytes.chunks(1));
    assert_eq!(whole, single, "{}", bytes.escape_ascii());
    if let Ok(values) = &whole {
        let trailing = [bytes, b"$5\r\nhe"].concat();
        let mut decoder = Decoder::new(MAX);
        assert_eq!(feed(&mut decoder, [&*trailing]).as_ref(), Ok(values));
        assert_eq!(feed(&mut decoder, [&b"llo\r\n"[..]]), Ok(vec![text("hello")]));
    }
    whole
}

fn feed<'a>(
    decoder: &mut Decoder,
    chunks: impl IntoIterator<Item = &'a [u8]>,
) -> Result<Vec<Value>, MalformedReply> {
    let mut values = Vec::new();
    for chunk in chunks {
        decoder.extend(chunk);
        while let Some(value) = decoder.poll()? {
            values.push(value);
        }
    }
    Ok(values)
}

fn text(text: &'static str) -> Value {
    Value::Text(Bytes::from_static(text.as_bytes()))
}

fn array(items: impl Into<Vec<Value>>) -> Value {
    Value::Array(items.into())
}

#[test]
fn every_kind_of_value_is_decoded() {
    let cases: [(&[u8], Value); 19] = [
        (b"+OK\r\n", text("OK")),
        (b"+\r\n", text("")),
        (b"-ERR no\r\n", Value::Error("ERR no".into())),
        (b"!6\r\nERR no\r\n", Value::Error("ERR no".into())),
        (b":-12\r\n", Value::Integer(-12)),
        (b"#t\r\n", Value::Integer(1)),
        (b"#f\r\n", Value::Integer(0)),
        (b",1.5\r\n", text("1.5")),
        (b"(12345678901234567890\r\n", text("12345678901234567890")),
        (b"_\r\n", Value::Null),
        (b"$-1\r\n", Value::Null),
        (b"*-1\r\n", Value::Null),
        (b"$0\r\n\r\n", text("")),
        (b"$4\r\n\r\n\r\n\r\n", text("\r\n\r\n")),
        (b"=7\r\ntxt:abc\r\n", text("abc")),
        (b"*2\r\n:1\r\n*1\r\n$1\r\na\r\n", array([Value::Integer(1), array([text("a")])])),
        (b"~1\r\n:1\r\n", array([Value::Integer(1)])),
        (b"%1\r\n+a\r\n*0\r\n", array([text("a"), array([])])),
        (b">2\r\n+message\r\n_\r\n", Value::Push(vec![text("message"), Value::Null])),
    ];
    for (bytes, value) in cases {
        assert_eq!(decode(bytes), Ok(vec![value]), "{}", bytes.escape_ascii());
    }
}

#[test]
fn numbers_are_those_of_64_bits() {
    let cases: [(&[u8], Option<i64>); 10] = [
        (b":+5\r\n", Some(5)),
        (b":-0\r\n", Some(0)),
        (b":007\r\n", Some(7)),
        (b":9223372036854775807\r\n", Some(i64::MAX)),
        (b":-9223372036854775808\r\n", Some(i64::MIN)),
        (b":9223372036854775808\r\n", None),
        (b":-\r\n", None),
        (b":+-1\r\n", None),
        (b": 1\r\n", None),
        (b":1_\r\n", None),
    ];
    for (bytes, number) in cases {
        let values = number.map(|number| vec![Value::Integer(number)]);
        let expected = values.ok_or(MalformedReply::of("a number that is none"));
        assert_eq!(decode(bytes), expected, "{}", bytes.escape_ascii());
    }
}

#[test]
fn attributes_are_left_out() {
    let bytes = b"|1\r\n+ttl\r\n:3\r\n*2\r\n|1\r\n+a\r\n+b\r\n:1\r\n:2\r\n|0\r\n:3\r\n";
    let expected = vec![array([Value::Integer(1), Value::Integer(2)]), Value::Integer(3)];
    assert_eq!(decode(bytes), Ok(expected));
}

#[test]
fn bytes_that_are_not_resp3_are_an_error() {
    let cases: [&[u8]; 11] = [
        b"\r\n",
        b"\n",
        b"+OK\n",
        b"x\r\n",
        b":\r\n",
        b":1x\r\n",
        b"$-2\r\n",
        b"*-2\r\n",
        b"$9999999999999999999\r\n",
        b"$1\r\nabc\r\n",
        b"HTTP/1.1 400\r\n",
    ];
    for bytes in cases {
        assert!(decode(bytes).is_err(), "{}", bytes.escape_ascii());
    }
}

#[test]
fn line_or_depth_without_end_is_an_error() {
    let mut line = vec![b'+'; 1];
    line.resize(70 << 10, b'a');
    assert!(feed(&mut Decoder::new(MAX), [&*line]).is_err());
    line.extend_from_slice(b"\r\n");
    assert!(feed(&mut Decoder::new(MAX), [&*line]).is_err());
    assert!(feed(&mut Decoder::new(MAX), [&*b"*1\r\n".repeat(17)]).is_err());
    assert_eq!(feed(&mut Decoder::new(MAX), [&*b"*1\r\n".repeat(16)]), Ok(vec![]));
}

#[test]
fn text_beyond_the_limit_is_skipped_as_it_comes() {
    let mut decoder = Decoder::new(1000);
    decoder.extend(b"*3\r\n:1\r\n$100000\r\n");
    for _ in 0..100 {
        decoder.extend(&[b'a'; 1000]);
        assert_eq!(decoder.poll(), Ok(None));
        assert!(decoder.buffer.is_empty());
    }
    let rest = b"\r\n:3\r\n:4\r\n";
    let values = feed(&mut decoder, [&rest[..]]);
    let truncated = array([Value::Integer(1), Value::Oversized]);
    assert_eq!(values, Ok(vec![truncated, Value::Integer(4)]));
    assert_eq!(feed(&mut decoder, [&b"$5000000000\r\n"[..]]), Ok(vec![]));
    assert!(decoder.buffer.capacity() < 10_000, "nothing is allocated ahead");
}

#[test]
fn values_beyond_the_limit_keep_what_comes_before_them() {
    let entry = |id: &str| format!("*2\r\n+{id}\r\n*2\r\n+key\r\n+{}\r\n", "v".repeat(150));
    let bytes = format!("*3\r\n{}{}{}", entry("1"), entry("2"), entry("3"));
    let mut decoder = Decoder::new(600);
    let values = feed(&mut decoder, bytes.as_bytes().chunks(1)).unwrap();
    let [Value::Array(entries)] = &*values else { panic!("{values:?}") };
    assert_eq!(entries[0].as_array().unwrap()[0], text("1"));
    let last = entries.last().and_then(Value::as_array).unwrap();
    assert_eq!(last.last(), Some(&Value::Oversized));
    // The next value has all of the room.
    let again = feed(&mut decoder, [b"+".as_slice(), &[b'a'; 500], b"\r\n"]).unwrap();
    assert_eq!(again, [Value::Text(vec![b'a'; 500].into())]);
}

#[test]
fn entry_of_many_fields_beyond_the_limit_keeps_its_id() {
    let fields = 100_000;
    let bytes = format!("*2\r\n+1-1\r\n*{fields}\r\n{}:7\r\n", ":1\r\n".repeat(fields));
    let mut values = feed(&mut Decoder::new(1000), [bytes.as_bytes()]).unwrap();
    assert_eq!(values.pop(), Some(Value::Integer(7)));
    let entry = values.pop().unwrap();
    let [id, Value::Array(fields)] = entry.as_array().unwrap() else { panic!("{entry:?}") };
    assert_eq!(*id, text("1-1"));
    assert!(fields.len() < 50 && fields.last() == Some(&Value::Oversized));
}

#[test]
fn commands_are_arrays_of_strings() {
    let mut out = Vec::new();
    encode(&mut out, &[b"PUBLISH", b"a\r\nb", b""]);
    assert_eq!(out, b"*3\r\n$7\r\nPUBLISH\r\n$4\r\na\r\nb\r\n$0\r\n\r\n");
    assert_eq!(decode(&out), Ok(vec![array([text("PUBLISH"), text("a\r\nb"), text("")])]));
}

#[test]
fn kind_of_an_error_is_its_first_word() {
    assert_eq!(ServerError::from("NOAUTH Authentication required.").kind(), "NOAUTH");
    assert_eq!(ServerError::from("LOADING").kind(), "LOADING");
}

/// Limit of the decoders.
const MAX: usize = 1 << 20;
