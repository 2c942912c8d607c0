//! Binary data inside of arguments.

use alloc::{
    borrow::Cow,
    collections::BTreeMap,
    string::{String, ToString},
    vec,
    vec::Vec,
};

use bytes::Bytes;
use serde::{Deserialize, Serialize, de::IgnoredAny};

use super::{
    super::{Args, Attachment, Payload, Value, check_placeholders, event_values},
    args, event, with_attachments,
};

/// Objects in JSON, with how many attachments they came: what socket.io-parser 4.2.7 makes of them.
///
/// The reference also accepts fractions, as `undefined`, and looks at the last of equal members only.
const REFERENCE: [(&str, usize, Option<&str>); 34] = [
    (r#"{"_placeholder":true,"num":0}"#, 1, Some("<0>")),
    (r#"{"num":0,"_placeholder":true}"#, 1, Some("<0>")),
    (r#"{"_placeholder":true,"num":0,"x":1}"#, 1, Some("<0>")),
    (r#"{"x":[1],"_placeholder":true,"y":{},"num":0}"#, 1, Some("<0>")),
    (r#"{"_place\u0068older":true,"n\u0075m":0}"#, 1, Some("<0>")),
    (r#" { "_placeholder" : true , "num" : 0 } "#, 1, Some("<0>")),
    (r#"{"_placeholder":true,"num":1}"#, 1, None),
    (r#"{"_placeholder":true,"num":-1}"#, 1, None),
    (r#"{"_placeholder":true,"num":-0}"#, 1, Some("<0>")),
    (r#"{"_placeholder":true,"num":1e0}"#, 2, Some("<1>")),
    (r#"{"_placeholder":true,"num":1.0}"#, 2, Some("<1>")),
    (r#"{"_placeholder":true,"num":0.5}"#, 1, None),
    (r#"{"_placeholder":true,"num":1e999}"#, 1, None),
    (r#"{"_placeholder":true,"num":4294967296}"#, 1, None),
    (r#"{"_placeholder":true,"num":"0"}"#, 1, None),
    (r#"{"_placeholder":true,"num":null}"#, 1, None),
    (r#"{"_placeholder":true,"num":[0]}"#, 1, None),
    (r#"{"_placeholder":true}"#, 1, None),
    (r#"{"_placeholder":"true","num":9}"#, 1, Some(r#"{"_placeholder":"true","num":9}"#)),
    (r#"{"_placeholder":1,"num":9}"#, 1, Some(r#"{"_placeholder":1,"num":9}"#)),
    (r#"{"_placeholder":[true],"num":9}"#, 1, Some(r#"{"_placeholder":[true],"num":9}"#)),
    (r#"{"_placeholder":false,"_placeholder":true,"num":0}"#, 1, Some("<0>")),
    (r#"{"_placeholder":true,"num":9,"num":0}"#, 1, Some("<0>")),
    (r#"{"_placeholder":true,"num":0,"num":9}"#, 1, None),
    (r#"{"_placeholder":true,"num":0,"x":{"_placeholder":true,"num":9}}"#, 1, Some("<0>")),
    (r#"{"_placeholder":true,"num":{"_placeholder":true,"num":0}}"#, 1, None),
    (
        r#"{"_placeholder":{"_placeholder":true,"num":0},"num":9}"#,
        1,
        Some(r#"{"_placeholder":"<0>","num":9}"#),
    ),
    (r#"{"_placeholder":{"_placeholder":true,"num":9},"num":0}"#, 1, None),
    (
        r#"[{"_placeholder":true,"num":0},{"_placeholder":true,"num":0}]"#,
        2,
        Some(r#"["<0>","<0>"]"#),
    ),
    (r#"{"a":[{"b":{"_placeholder":true,"num":1}}]}"#, 2, Some(r#"{"a":[{"b":"<1>"}]}"#)),
    (r#""_placeholder""#, 1, Some(r#""_placeholder""#)),
    (r#"["_placeholder",true]"#, 1, Some(r#"["_placeholder",true]"#)),
    (r#"[[],{"_placeholder":true,"num":9}]"#, 1, None),
    (
        r#"{"k":true,"_placeholder":[true,{"_placeholder":true,"num":0}],"num":true}"#,
        1,
        Some(r#"{"k":true,"_placeholder":[true,"<0>"],"num":true}"#),
    ),
];

/// The value in the words of [`REFERENCE`].
fn shown(value: &Value) -> serde_json::Value {
    match value {
        Value::Binary(bytes) => ["<", core::str::from_utf8(bytes).unwrap(), ">"].concat().into(),
        Value::Array(elements) => elements.iter().map(shown).collect(),
        Value::Object(members) => {
            members.iter().map(|(key, value)| (key.clone(), shown(value))).collect()
        }
        other => other.to_json().unwrap(),
    }
}

#[test]
fn placeholders_are_those_of_the_reference() {
    for (json, attachments, expected) in REFERENCE {
        let json = ["[\"e\",", json, "]"].concat();
        assert_eq!(check_placeholders(&json, attachments), expected.is_some(), "{json}");
        let Some(expected) = expected else { continue };
        let args = with_attachments(&json, &[&b"0"[..], b"1"][..attachments]);
        let expected: serde_json::Value =
            serde_json::from_str(expected).unwrap_or_else(|_| expected.into());
        assert_eq!(shown(&args.decode(1).unwrap()), expected, "{json}");
        assert_eq!(shown(&args.to_values().unwrap()[1]), expected, "{json}");
    }
}

#[test]
fn placeholders_that_were_looked_for_are_those_that_are_found() {
    for (json, attachments, expected) in REFERENCE {
        let json = ["2[\"e\",", json, "]"].concat();
        let attachments: Vec<_> = ["0", "1"][..attachments]
            .iter()
            .map(|text| Bytes::from_static(text.as_bytes()))
            .collect();
        let checked = Payload::from_checked_json(json.clone().into(), 1, attachments.clone());
        assert_eq!(checked.is_some(), expected.is_some(), "{json}");
        let Some(checked) = checked else { continue };
        let found = Payload::from_json(json.clone().into(), 1, attachments);
        assert_eq!(checked.to_value().unwrap(), found.to_value().unwrap(), "{json}");
    }
}

const ONE: &str = r#"["e",{"a":{"_placeholder":true,"num":1},"b":{"_placeholder":true,"num":0}}]"#;

/// The same arguments in JSON and as values.
fn both(json: &str, attachments: &[&'static [u8]]) -> [Args; 2] {
    let args = with_attachments(json, attachments);
    let values = Args::from_values(args.to_values().unwrap());
    [args, values]
}

#[test]
fn bytes_are_borrowed_from_the_attachment() {
    #[derive(Deserialize)]
    struct Borrowed<'a> {
        a: &'a [u8],
        #[serde(borrow, with = "serde_cow")]
        b: Cow<'a, [u8]>,
    }
    mod serde_cow {
        use super::*;
        pub(super) fn deserialize<'de, D: serde::Deserializer<'de>>(
            deserializer: D,
        ) -> Result<Cow<'de, [u8]>, D::Error> {
            <&[u8]>::deserialize(deserializer).map(Cow::Borrowed)
        }
    }
    for args in both(ONE, &[b"zero", b"one"]) {
        let read: Borrowed<'_> = args.decode(1).unwrap();
        assert_eq!((read.a, &*read.b), (&b"one"[..], &b"zero"[..]));
        let all = args.payload().attachments();
        assert!(all.iter().any(|bytes| bytes.as_ptr() == read.a.as_ptr()));
        assert!(all.iter().any(|bytes| bytes.as_ptr() == read.b.as_ptr()));
    }
}

#[test]
fn owned_types_take_binary_data() {
    #[derive(Debug, PartialEq, Deserialize)]
    struct Owned {
        a: Bytes,
        b: Vec<u8>,
    }
    for args in both(ONE, &[b"zero", b"one"]) {
        let expected = Owned { a: Bytes::from_static(b"one"), b: b"zero".to_vec() };
        assert_eq!(args.decode(1), Ok(expected));
        let map: BTreeMap<String, Option<[u8; 4]>> = args.decode(1).unwrap_or_default();
        assert_eq!(map.len(), 0, "`one` has three bytes");
        let map: BTreeMap<&str, Value> = args.decode(1).unwrap();
        assert_eq!(map["b"].as_bytes().unwrap(), "zero");
        assert_eq!(args.decode(1), Ok(IgnoredAny));
    }
    assert_eq!(args(r#"["e",[1,2]]"#).decode::<Vec<u8>>(1), Ok(vec![1, 2]));
    assert_eq!(args(r#"["e",[1,2]]"#).decode::<Bytes>(1), Ok(Bytes::from_static(&[1, 2])));
    assert_eq!(args(r#"["e","ab"]"#).decode::<Bytes>(1), Ok(Bytes::from_static(b"ab")));
}

#[test]
fn untagged_and_flattened_types_take_binary_data() {
    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(untagged)]
    enum Either {
        Number(u8),
        Data(Bytes),
    }
    #[derive(Debug, PartialEq, Deserialize)]
    struct Outer {
        a: Either,
        #[serde(flatten)]
        rest: BTreeMap<String, Bytes>,
    }
    for args in both(ONE, &[b"zero", b"one"]) {
        let read: Outer = args.decode(1).unwrap();
        assert_eq!(read.a, Either::Data(Bytes::from_static(b"one")));
        assert_eq!(read.rest["b"], "zero");
    }
}

#[test]
fn attachment_gives_the_data_without_a_copy() {
    #[derive(Deserialize)]
    struct Chunks {
        skipped: IgnoredAny,
        chunks: Vec<Attachment>,
    }
    let json = r#"["e",{"_placeholder":true,"num":0},{
        "chunks":[{"_placeholder":true,"num":2},{"_placeholder":true,"num":1}],
        "skipped":{"x":{"_placeholder":true,"num":0}}
    },{"num":3,"_placeholder":true}]"#;
    for (index, args) in both(json, &[b"0", b"1", b"2", b"3"]).iter().enumerate() {
        let (first, chunks, last): (Attachment, Chunks, Option<Attachment>) =
            args.decode(1).unwrap();
        let data = |attachment: &Attachment| args.attachment(attachment).unwrap();
        assert_eq!((data(&first), data(&last.unwrap())), ("0".into(), "3".into()));
        assert_eq!((data(&chunks.chunks[0]), data(&chunks.chunks[1])), ("2".into(), "1".into()));
        let _ = chunks.skipped;
        // Values are numbered in the order in which they are written.
        let expected = if index == 0 { [2, 1] } else { [1, 2] };
        assert_eq!([chunks.chunks[0].number(), chunks.chunks[1].number()], expected);
        assert_eq!(args.attachment(&Attachment::new(9)), None);
    }
    let frame = Bytes::from_static(b"frame");
    let args = Args::from_payload(Payload::from_json(
        r#"["e",{"_placeholder":true,"num":0}]"#.into(),
        0,
        vec![frame.clone()],
    ));
    let attachment: Attachment = args.decode(1).unwrap();
    assert_eq!(args.attachment(&attachment).unwrap().as_ptr(), frame.as_ptr());
    assert_eq!(args.to_values().unwrap()[1].as_bytes().unwrap().as_ptr(), frame.as_ptr());
}

#[test]
fn attachment_is_no_other_type() {
    for args in both(r#"["e",1,{"_placeholder":true,"num":0}]"#, &[b""]) {
        let error = args.decode::<Attachment>(1).unwrap_err();
        assert_eq!(error.argument(), Some(0));
    }
    // Without attachments an object of that form is data.
    args(r#"["e",{"_placeholder":true,"num":0}]"#).decode::<Attachment>(1).unwrap_err();
    Attachment::deserialize(&Value::Binary(Bytes::new())).unwrap_err();

    #[derive(Debug, Deserialize)]
    #[serde(untagged)]
    #[expect(dead_code, reason = "it is never made")]
    enum Untagged {
        One { a: Attachment },
    }
    for args in both(ONE, &[b"zero", b"one"]) {
        args.decode::<Untagged>(1).unwrap_err();
    }
}

#[test]
fn json_value_with_binary_data_is_an_error_with_a_hint() {
    for args in both(r#"["e",1,[{"_placeholder":true,"num":0}]]"#, &[b"x"]) {
        let error = args.decode::<(u8, serde_json::Value)>(1).unwrap_err();
        assert_eq!(error.argument(), Some(1));
        assert!(error.to_string().starts_with("argument 1: binary data, expected any valid JSON"));
        assert!(error.message().contains("`Value`") && error.message().contains("`Attachment`"));
        let error = args.decode::<(u8, Vec<String>)>(1).unwrap_err();
        assert!(error.message().starts_with("binary data, expected a string"), "{error}");
    }
}

#[test]
fn placeholder_without_attachments_is_data() {
    let args = args(r#"["e",{"_placeholder":true,"num":0}]"#);
    let value: serde_json::Value = args.decode(1).unwrap();
    assert_eq!(value, serde_json::json!({"_placeholder": true, "num": 0}));
}

#[test]
fn attachments_that_nothing_stands_for_are_kept() {
    let args = with_attachments(r#"["e",1]"#, &[b"unused", b"too"]);
    assert_eq!(args.decode(1), Ok(1));
    assert_eq!(args.payload().attachments(), [&b"unused"[..], b"too"]);
}

#[test]
fn unchecked_placeholder_is_an_error_and_no_panic() {
    let json = r#"["e",{"_placeholder":true,"num":1}]"#;
    let payload = Payload::from_json(json.into(), 0, vec![Bytes::new()]);
    let args = Args::from_payload(payload);
    args.decode::<Value>(1).unwrap_err();
    args.to_values().unwrap_err();
}

#[test]
fn binary_data_anywhere_come_back() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    enum Kind {
        Unit,
        Newtype(Bytes),
        Tuple(Bytes, u8),
        Struct { data: Bytes },
    }
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Everything {
        list: Vec<Bytes>,
        option: Option<Bytes>,
        map: BTreeMap<String, Bytes>,
        kinds: Vec<Kind>,
        tuple: (Bytes, (), Bytes),
        empty: Bytes,
    }
    let bytes = Bytes::from_static;
    let everything = || Everything {
        list: vec![bytes(b"a"), bytes(b"b")],
        option: Some(bytes(b"c")),
        map: BTreeMap::from([("k".into(), bytes(b"d"))]),
        kinds: vec![
            Kind::Unit,
            Kind::Newtype(bytes(b"e")),
            Kind::Tuple(bytes(b"f"), 1),
            Kind::Struct { data: bytes(b"g") },
        ],
        tuple: (bytes(b"h"), (), bytes(b"i")),
        empty: Bytes::new(),
    };
    let args = Args::event("e", &(bytes(b"first"), everything())).unwrap();
    assert_eq!(args.payload().attachments().len(), 11);
    assert_eq!(args.decode(1), Ok((bytes(b"first"), everything())));
    let values = event_values("e", &(bytes(b"first"), everything()), &[]).unwrap();
    assert_eq!(args.to_values().unwrap(), values);
    let values = Args::from_values(values);
    assert_eq!(values.decode(1), Ok((bytes(b"first"), everything())));
    // And from values into JSON.
    let (mut out, mut attachments) = (Vec::new(), Vec::new());
    values.payload().write_json(&mut out, &mut attachments).unwrap();
    assert_eq!(Some(&*String::from_utf8(out).unwrap()), args.payload().as_json());
    assert_eq!(attachments, args.payload().attachments());
    assert_eq!(attachments[0].as_ptr(), values.payload().attachments()[0].as_ptr());
}

#[test]
fn vec_of_numbers_is_not_binary() {
    assert_eq!(event(&vec![1_u8, 2]).unwrap(), (r#"["e",[1,2]]"#.into(), vec![]));
    let (text, attachments) = event(&(1, vec![Some(Bytes::from_static(b"x"))])).unwrap();
    assert_eq!(text, r#"["e",1,[{"_placeholder":true,"num":0}]]"#);
    assert_eq!(attachments, ["x"]);
}
