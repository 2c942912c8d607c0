//! Payloads into JSON.

use alloc::{
    borrow::ToOwned,
    collections::BTreeMap,
    format,
    string::{String, ToString},
    vec,
    vec::Vec,
};

use bytes::Bytes;
use serde::{Serialize, Serializer};
use serde_json::{json, value::RawValue};

use super::{
    super::{Attachment, Value, args_values, event_values, write_args, write_event, write_value},
    event, json,
};

fn text<P: Serialize + ?Sized>(payload: &P) -> String {
    event(payload).unwrap().0
}

#[derive(Serialize)]
struct Newtype<T>(T);
#[derive(Serialize)]
struct Pair(u8, &'static str);
#[derive(Serialize)]
struct Unit;
#[derive(Serialize)]
struct Named {
    a: u8,
}
#[derive(Serialize)]
enum Kind {
    Unit,
    One(u8),
    Two(u8, u8),
    Fields { a: u8 },
}

#[test]
fn outermost_tuple_is_several_arguments() {
    assert_eq!(text(&(1, "x", (2, 3))), r#"["e",1,"x",[2,3]]"#);
    assert_eq!(text(&Pair(1, "x")), r#"["e",1,"x"]"#);
    assert_eq!(text(&[1, 2]), r#"["e",1,2]"#);
    assert_eq!(text(&Newtype((1, 2))), r#"["e",1,2]"#);
    assert_eq!(text(&&&(1,)), r#"["e",1]"#);
}

#[test]
fn unit_is_no_argument() {
    assert_eq!(text(&()), r#"["e"]"#);
    assert_eq!(text(&Unit), r#"["e"]"#);
    assert_eq!(text(&Newtype(())), r#"["e"]"#);
    assert_eq!(text(&[0_u8; 0]), r#"["e"]"#);
}

#[test]
fn anything_else_is_one_argument() {
    assert_eq!(text(&[1, 2][..]), r#"["e",[1,2]]"#);
    assert_eq!(text(&vec![(1, 2)]), r#"["e",[[1,2]]]"#);
    assert_eq!(text(&Vec::<u8>::new()), r#"["e",[]]"#);
    assert_eq!(text(&Named { a: 1 }), r#"["e",{"a":1}]"#);
    assert_eq!(text(&Newtype(Named { a: 1 })), r#"["e",{"a":1}]"#);
    assert_eq!(text("x"), r#"["e","x"]"#);
    assert_eq!(text(&'x'), r#"["e","x"]"#);
    assert_eq!(text(&true), r#"["e",true]"#);
    assert_eq!(text(&1.5_f32), r#"["e",1.5]"#);
    assert_eq!(text(&None::<(u8, u8)>), r#"["e",null]"#);
    assert_eq!(text(&Some((1, 2))), r#"["e",[1,2]]"#);
    assert_eq!(text(&json!({"b": [1]})), r#"["e",{"b":[1]}]"#);
    assert_eq!(text(&Value::Null), r#"["e",null]"#);
    assert_eq!(text(&format_args!("{}\n", 1)), r#"["e","1\n"]"#);
    assert_eq!(text(&Kind::Unit), r#"["e","Unit"]"#);
    assert_eq!(text(&Kind::One(1)), r#"["e",{"One":1}]"#);
    assert_eq!(text(&Kind::Two(1, 2)), r#"["e",{"Two":[1,2]}]"#);
    assert_eq!(text(&Kind::Fields { a: 1 }), r#"["e",{"Fields":{"a":1}}]"#);
    assert_eq!(text(&Bytes::from_static(b"x")), r#"["e",{"_placeholder":true,"num":0}]"#);
}

#[test]
fn acknowledgement_has_no_name_and_value_is_not_spread() {
    let (mut out, mut attachments) = (Vec::new(), Vec::new());
    write_args(&mut out, &mut attachments, &(1, 2)).unwrap();
    write_args(&mut out, &mut attachments, &()).unwrap();
    write_args(&mut out, &mut attachments, &"x").unwrap();
    write_value(&mut out, &mut attachments, &(1, 2)).unwrap();
    write_value(&mut out, &mut attachments, &()).unwrap();
    assert_eq!(out, br#"[1,2][]["x"][1,2]null"#);
}

#[test]
fn name_is_escaped() {
    let (mut out, mut attachments) = (Vec::new(), Vec::new());
    write_event(&mut out, &mut attachments, "a\"\u{1}\u{20ac}", &()).unwrap();
    assert_eq!(String::from_utf8(out).unwrap(), "[\"a\\\"\\u0001\u{20ac}\"]");
}

#[test]
fn strings_are_escaped_as_serde_json_does_at_every_offset() {
    for special in
        ["\"", "\\", "\n", "\r", "\t", "\u{8}", "\u{c}", "\0", "\u{1f}", "\u{7f}", "\u{20ac}"]
    {
        for before in 0..20 {
            for after in [0, 1, 9] {
                let text = ["a".repeat(before), special.to_owned(), "b".repeat(after)].concat();
                let text = [&*text, &*text].concat();
                assert_eq!(json(&text).unwrap(), serde_json::to_string(&text).unwrap());
            }
        }
    }
}

#[test]
fn numbers_and_keys_are_written_as_serde_json_does() {
    fn same<T: Serialize>(value: T) {
        assert_eq!(json(&value).unwrap(), serde_json::to_string(&value).unwrap());
    }
    same((u8::MAX, u16::MAX, u32::MAX, u64::MAX, u128::MAX));
    same((i8::MIN, i16::MIN, i32::MIN, i64::MIN, i128::MIN));
    same((0.1_f32, f32::MAX, f32::MIN_POSITIVE, 1e10_f32, -0.0_f32));
    same((0.1, f64::MAX, f64::MIN_POSITIVE, 1e16, 1e21, 123_456_789.0, -0.0));
    same((f64::NAN, f64::INFINITY, f32::NEG_INFINITY));
    same(BTreeMap::from([(1_i8, 2)]));
    same(BTreeMap::from([(u128::MAX, 2)]));
    same(BTreeMap::from([(true, 2), (false, 1)]));
    same(BTreeMap::from([('"', 2)]));
    same(BTreeMap::from([(Some("a"), 2)]));
    same(BTreeMap::from([("a\n", Kind2::A)]));
    same(BTreeMap::from([(Kind2::A, ())]));
}

#[derive(Serialize, PartialEq, Eq, PartialOrd, Ord)]
enum Kind2 {
    A,
}

#[test]
fn key_that_is_no_string_is_an_error_and_leaves_nothing() {
    let error = event(&(1, BTreeMap::from([((), 2)]))).unwrap_err();
    assert_eq!(error.to_string(), "event `e`, argument 1: key must be a string");
    assert_eq!((error.event(), error.argument()), (Some("e"), Some(1)));
    let error = event(&(Bytes::from_static(b"x"), BTreeMap::from([([1], 2)]))).unwrap_err();
    assert_eq!(error.argument(), Some(1));
    let error = event_values("e", &(1, BTreeMap::from([((), 2)])), &[]).unwrap_err();
    assert_eq!(error.to_string(), "event `e`, argument 1: key must be a string");
    assert_eq!(args_values(&(1, 2), &[]).unwrap(), [Value::from(1_u8), Value::from(2_u8)]);
}

#[test]
fn error_of_serialize_has_its_words_and_place() {
    struct Fails;
    impl Serialize for Fails {
        fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("the lock is poisoned"))
        }
    }
    let error = event(&(1, [Fails])).unwrap_err();
    assert_eq!(error.to_string(), "event `e`, argument 1: the lock is poisoned");
    assert_eq!(event(&Fails).unwrap_err().to_string(), "event `e`: the lock is poisoned");
    let error = json(&Fails).unwrap_err();
    assert_eq!(format!("{error:?}"), "EncodeError(\"the lock is poisoned\")");
}

#[test]
fn raw_value_goes_out_as_it_is() {
    let raw = RawValue::from_string(r#"{"a" : "\u0061\n"}"#.to_owned()).unwrap();
    assert_eq!(text(&raw), r#"["e",{"a" : "\u0061\n"}]"#);
    assert_eq!(text(&(1, &raw)), r#"["e",1,{"a" : "\u0061\n"}]"#);
    let value = Value::from_serialize(&raw).unwrap();
    assert_eq!(value.get("a").unwrap().as_str(), Some("a\n"));
}

#[test]
fn attachment_refers_to_what_was_given() {
    let given = Bytes::from_static(b"given");
    let mut attachments = vec![given.clone()];
    let mut out = Vec::new();
    let payload = (Attachment::new(0), Bytes::from_static(b"copied"), Attachment::new(0));
    write_event(&mut out, &mut attachments, "e", &payload).unwrap();
    let expected = r#"["e",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1},{"_placeholder":true,"num":0}]"#;
    assert_eq!(String::from_utf8(out).unwrap(), expected);
    assert_eq!(attachments, [&b"given"[..], b"copied"]);
    assert_eq!(attachments[0].as_ptr(), given.as_ptr());

    let values = event_values("e", &payload, core::slice::from_ref(&given)).unwrap();
    assert_eq!(values[1].as_bytes().unwrap().as_ptr(), given.as_ptr());
    assert_eq!(values[2].as_bytes().unwrap(), "copied");
}

#[test]
fn attachment_that_was_not_given_is_an_error() {
    let error = event(&(1, vec![Attachment::new(0)])).unwrap_err();
    assert_eq!(error.to_string(), "event `e`, argument 1: attachment 0 was not given");
    let (mut out, mut attachments) = (Vec::new(), vec![Bytes::new()]);
    write_event(&mut out, &mut attachments, "e", &Attachment::new(1)).unwrap_err();
    assert_eq!((out.len(), attachments.len()), (0, 1));
    event_values("e", &Attachment::new(1), &attachments).unwrap_err();
}

#[test]
fn forged_placeholder_beside_binary_data_is_an_error() {
    let forged = json!({"_placeholder": true, "num": 7});
    // Alone it is data.
    assert_eq!(text(&forged), r#"["e",{"_placeholder":true,"num":7}]"#);
    event(&(Bytes::new(), forged)).unwrap_err();
}

#[test]
fn placeholder_is_forged_by_any_type_that_has_names() {
    #[derive(Serialize)]
    struct Forged {
        _placeholder: bool,
        num: u32,
    }
    #[derive(Serialize)]
    enum Variants {
        #[serde(rename = "_placeholder")]
        Newtype(bool),
        Inner {
            _placeholder: bool,
        },
    }
    let raw = RawValue::from_string(r#"{"_placeholder":true}"#.into()).unwrap();
    let map = BTreeMap::from([("_placeholder", true)]);
    let outer = Value::Object(vec![("_placeholder".to_owned(), Value::Bool(true))]);
    event(&(Bytes::new(), Forged { _placeholder: true, num: 1 })).unwrap_err();
    event(&(Bytes::new(), Variants::Newtype(true))).unwrap_err();
    event(&(Bytes::new(), Variants::Inner { _placeholder: true })).unwrap_err();
    event(&(Bytes::new(), raw)).unwrap_err();
    event(&(Bytes::new(), map)).unwrap_err();
    event(&(Bytes::new(), outer)).unwrap_err();
    // These are none.
    event(&(Bytes::new(), Forged { _placeholder: false, num: 1 })).unwrap();
    event(&(Bytes::new(), "_placeholder")).unwrap();
}
