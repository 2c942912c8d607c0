//! JSON of a peer that means harm.

use alloc::{borrow::ToOwned, format, string::String, vec, vec::Vec};

use bytes::Bytes;
use enginewire::Text;
use proptest::prelude::*;
use serde::de::IgnoredAny;

use super::{
    super::{Args, Payload, Shape, Value, check_placeholders, validate_json},
    args,
};

/// Levels, or members. Quadratic work on so many takes minutes.
const DEEP: usize = 100_000;

#[test]
fn deep_nesting_is_validated_and_scanned_without_recursion() {
    let arrays = format!("[\"e\",{}{},1]", "[".repeat(DEEP), "]".repeat(DEEP));
    let objects = format!("[\"e\",{}1{},1]", "{\"a\":".repeat(DEEP), "}".repeat(DEEP));
    let mixed = format!("[\"e\",{}1{},1]", "[{\"num\":".repeat(DEEP), "}]".repeat(DEEP));
    for json in [arrays, objects, mixed] {
        assert_eq!(validate_json(&json).unwrap(), Shape::Array);
        assert!(check_placeholders(&json, 1));
        let payload = Payload::from_json(Text::from(json), 0, vec![Bytes::new()]);
        let args = Args::from_payload(payload);
        assert_eq!((args.len(), args.json(2)), (3, Some("1")));
        assert_eq!(args.decode::<(IgnoredAny, u8)>(1).unwrap().1, 1);
        // Reading has a limit of depth.
        let error = args.decode::<Value>(1).unwrap_err();
        assert_eq!(error.message(), "nested more than 128 levels deep");
        args.decode::<serde_json::Value>(1).unwrap_err();
        args.to_values().unwrap_err();
        args.decode::<Vec<u8>>(1).unwrap_err();
    }
}

#[test]
fn nested_placeholders_are_not_quadratic() {
    let count = DEEP;
    let nested = format!(
        "[\"e\",{}1{}]",
        "{\"_placeholder\":true,\"num\":0,\"x\":".repeat(count),
        "}".repeat(count)
    );
    let flat = format!("[\"e\"{}]", ",{\"_placeholder\":true,\"num\":0}".repeat(count));
    let late = format!(
        "[\"e\",{}1{}]",
        "{\"x\":".repeat(count),
        ",\"_placeholder\":true,\"num\":0}".repeat(count)
    );
    for (json, len) in [(nested, 1), (flat, count), (late, 1)] {
        assert!(check_placeholders(&json, 1));
        let payload = Payload::from_json(Text::from(json), 0, vec![Bytes::from_static(b"x")]);
        let values = Args::from_payload(payload).to_values().unwrap();
        assert_eq!(values.len(), len + 1);
        assert!(values[1..].iter().all(|value| value.as_bytes().unwrap() == "x"));
    }
}

#[test]
fn depth_of_128_levels_is_read() {
    let nested = |levels: usize| format!("[\"e\",{}{}]", "[".repeat(levels), "]".repeat(levels));
    // Reading all arguments at once has one level more.
    args(&nested(127)).to_values().unwrap();
    args(&nested(128)).decode::<Value>(1).unwrap();
    args(&nested(129)).decode::<Value>(1).unwrap_err();
}

#[test]
fn invalid_json_is_not_validated() {
    for json in ["", "[", "[1,]", "{\"a\"}", "[1]x", "nul", "[\"\n\"]", "[\"\\x\"]", "[01]", "[1.]"]
    {
        validate_json(json).unwrap_err();
    }
    for (json, shape) in [
        (" [] ", Shape::Array),
        ("{}", Shape::Object),
        ("\"\"", Shape::String),
        ("null", Shape::Other),
        ("-1", Shape::Other),
    ] {
        assert_eq!(validate_json(json).unwrap(), shape);
    }
}

#[test]
fn lone_surrogates_are_valid_and_no_text() {
    for json in [r#"["e","\ud800"]"#, r#"["e","\udc00\ud800"]"#, r#"["e","\ud800\u0041"]"#] {
        let args = args(json);
        let error = args.decode::<String>(1).unwrap_err();
        assert_eq!(error.message(), "a surrogate stands alone in a string");
        args.decode::<Value>(1).unwrap_err();
        args.decode::<Vec<u8>>(1).unwrap_err();
        assert_eq!(args.decode(1), Ok(IgnoredAny));
        assert!(check_placeholders(json, 1));
    }
    assert_eq!(args(r#"["e","\uD83D\uDE00"]"#).decode(1), Ok("\u{1f600}".to_owned()));
}

#[test]
fn huge_numbers_are_read_or_refused() {
    let digits = "9".repeat(DEEP);
    for json in [format!("[0,{digits}]"), format!("[0,-{digits}]"), format!("[0,1e{digits}]")] {
        let error = args(&json).decode::<Value>(1).unwrap_err();
        assert_eq!(error.message(), "number out of range");
        assert!(args(&json).decode::<u128>(1).is_err());
        assert!(check_placeholders(&json, 1));
    }
    assert_eq!(args(&format!("[0,0.{digits}]")).decode(1), Ok(1.0));
    assert_eq!(args(&format!("[0,1e-{digits}]")).decode(1), Ok(0.0));
}

#[test]
fn members_with_the_same_name_are_kept_in_order() {
    let value: Value = args(r#"["e",{"a":1,"a":2}]"#).decode(1).unwrap();
    assert_eq!(value.as_object().unwrap().len(), 2);
    assert_eq!(value.get("a").unwrap().as_u64(), Some(2));
}

proptest! {
    /// The constructor does not check. Nothing that is no JSON may panic, or not end.
    #[test]
    fn text_that_is_no_json_does_not_panic(text in r#"[\[\]{},:"\\a0e.\-+u€ tnf\n]{0,40}"#, count in 0_usize..2) {
        let attachments = vec![Bytes::from_static(b"x"); count];
        let args = Args::from_payload(Payload::from_json(Text::from(&*text), 0, attachments));
        check_placeholders(&text, count);
        let _ = (args.len(), args.name(), args.json(1));
        let _ = args.to_values();
        let _ = args.payload().decode::<Value>();
        for skip in 0..2 {
            let _ = args.decode::<Value>(skip);
            let _ = args.decode::<(IgnoredAny, String, Option<u8>)>(skip);
            let _ = args.decode::<Vec<u8>>(skip);
            let _ = args.decode::<alloc::collections::BTreeMap<u8, f64>>(skip);
            let _ = args.decode::<Result<u8, bool>>(skip);
            let _ = args.decode::<i128>(skip);
        }
    }
}
