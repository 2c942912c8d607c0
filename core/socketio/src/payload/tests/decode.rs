//! Arguments out of JSON, without binary data.

use alloc::{
    borrow::{Cow, ToOwned},
    collections::BTreeMap,
    format,
    string::{String, ToString},
    vec,
    vec::Vec,
};
use core::fmt::Debug;

use enginewire::Text;
use serde::{
    Deserialize,
    de::{DeserializeOwned, IgnoredAny},
};
use serde_json::value::RawValue;

use super::{
    super::{Args, Argument, Payload, Value},
    args,
};

#[derive(Debug, PartialEq, Deserialize)]
struct Newtype<T>(T);
#[derive(Debug, PartialEq, Deserialize)]
struct Pair(u8, String);
#[derive(Debug, PartialEq, Deserialize)]
struct Unit;
#[derive(Debug, PartialEq, Deserialize)]
struct Todo {
    title: String,
    #[serde(default)]
    done: bool,
}

/// Reads from JSON and from values, which must agree.
fn read<T: DeserializeOwned + PartialEq + Debug>(json: &str) -> Result<T, String> {
    let args = args(json);
    let read = args.decode::<T>(1).map_err(|error| error.with_event("e").to_string());
    let values = Args::from_values(args.to_values().unwrap());
    assert_eq!(values.decode::<T>(1).is_ok(), read.is_ok());
    if let Ok(read) = &read {
        assert_eq!(*read, values.decode::<T>(1).unwrap());
    }
    read
}

#[test]
fn tuple_takes_arguments_one_by_one() {
    assert_eq!(read(r#"["e",1,"x"]"#), Ok((1, "x".to_owned())));
    assert_eq!(read(r#"["e",1,"x"]"#), Ok(Pair(1, "x".to_owned())));
    assert_eq!(read(r#"["e", 1 , 2 ]"#), Ok([1, 2]));
    assert_eq!(read(r#"["e",1,2]"#), Ok(Newtype((1, 2))));
    assert_eq!(read(r#"["e",[1,2],3]"#), Ok(((1, 2), 3)));
}

#[test]
fn other_type_takes_the_first_argument() {
    assert_eq!(read(r#"["e",[1,2]]"#), Ok(vec![1, 2]));
    assert_eq!(read(r#"["e","x"]"#), Ok("x".to_owned()));
    assert_eq!(read(r#"["e","x"]"#), Ok('x'));
    assert_eq!(read(r#"["e",true]"#), Ok(true));
    assert_eq!(read(r#"["e",-1]"#), Ok(-1));
    assert_eq!(read(r#"["e",1]"#), Ok(1.0));
    let todo = Todo { title: "t".to_owned(), done: true };
    assert_eq!(read(r#"["e",{"done":true,"title":"t"}]"#), Ok(todo));
    assert_eq!(read(r#"["e",["t",false]]"#), Ok(Todo { title: "t".to_owned(), done: false }));
    assert_eq!(read(r#"["e",{"a":[null]}]"#), Ok(serde_json::json!({"a": [null]})));
    assert_eq!(read(r#"["e",[1,2]]"#), Ok(Some((1, 2))));
    assert_eq!(read(r#"["e",{"Ok":1}]"#), Ok(Ok::<u8, String>(1)));
    assert_eq!(args(r#"["e"]"#).decode::<IgnoredAny>(1), Ok(IgnoredAny));
}

#[test]
fn unit_needs_no_argument() {
    for json in [r#"["e"]"#, r#"["e",1]"#] {
        assert_eq!(read(json), Ok(()));
        assert_eq!(read(json), Ok(Unit));
        assert_eq!(read(json), Ok(Newtype(())));
    }
}

#[test]
fn missing_option_is_none_and_more_arguments_are_ignored() {
    assert_eq!(read(r#"["e"]"#), Ok(None::<u8>));
    assert_eq!(read(r#"["e",null]"#), Ok(None::<u8>));
    assert_eq!(read(r#"["e"]"#), Ok(Newtype(None::<u8>)));
    assert_eq!(read(r#"["e",1]"#), Ok((1, None::<u8>)));
    assert_eq!(read(r#"["e",1]"#), Ok((1, Newtype(None::<u8>))));
    assert_eq!(read(r#"["e"]"#), Ok([None::<u8>, None]));
    assert_eq!(read(r#"["e",1,2,{"a":3}]"#), Ok((1, 2)));
    assert_eq!(read(r#"["e",1,2]"#), Ok(1));
}

#[test]
fn missing_argument_is_an_error_that_names_it() {
    let missing = |argument| format!("event `e`, argument {argument}: missing argument");
    assert_eq!(read::<(u8, u8)>(r#"["e",1]"#), Err(missing(1)));
    assert_eq!(read::<u8>(r#"["e"]"#), Err(missing(0)));
    assert_eq!(read::<Todo>(r#"["e"]"#), Err(missing(0)));
    assert_eq!(read::<serde_json::Value>(r#"["e"]"#), Err(missing(0)));
    args("[]").decode::<u8>(1).unwrap_err();
}

#[test]
fn error_names_event_argument_and_column() {
    let error = read::<(u8, Todo)>(r#"["todo",1, {"done":true}]"#).unwrap_err();
    assert_eq!(error, "event `e`, argument 1: missing field `title` at column 13");
    let error = read::<u8>(r#"["e","a"]"#).unwrap_err();
    assert_eq!(error, "event `e`, argument 0: invalid type: string \"a\", expected u8 at column 1");
    let error = args(r#"["e",1]"#).decode::<bool>(1).unwrap_err();
    assert_eq!((error.event(), error.argument(), error.column()), (None, Some(0), Some(1)));
    assert_eq!(error.message(), "invalid type: integer `1`, expected a boolean");
    assert_eq!(read::<u8>(r#"["e",300]"#).unwrap_err().matches("300").count(), 1);
}

#[test]
fn error_does_not_show_the_payload() {
    let long = "x".repeat(10_000);
    for json in [format!(r#"["e","{long}"]"#), format!(r#"["e",{{"{long}":1}}]"#)] {
        for error in [
            read::<u8>(&json).unwrap_err(),
            read::<Result<u8, u8>>(&json).unwrap_err(),
            read::<BTreeMap<u8, u8>>(&json).unwrap_err(),
        ] {
            assert!(error.len() < 200, "{error}");
        }
    }
    let error = args(r#"["e","a"]"#).decode::<u8>(1).unwrap_err().with_event(&long);
    assert!(error.to_string().len() < 200);
}

#[test]
fn array_of_another_length_is_an_error_inside() {
    read::<((u8, u8),)>(r#"["e",[1]]"#).unwrap_err();
    read::<((u8, u8),)>(r#"["e",[1,2,3]]"#).unwrap_err();
    read::<(Result<u8, u8>,)>(r#"["e",{"Ok":1,"Err":2}]"#).unwrap_err();
    read::<(Result<u8, u8>,)>(r#"["e",{}]"#).unwrap_err();
}

#[test]
fn strings_and_raw_json_are_borrowed_from_the_message() {
    #[derive(Deserialize)]
    struct Borrowed<'a> {
        plain: &'a str,
        #[serde(borrow)]
        cow: Cow<'a, str>,
        #[serde(borrow)]
        escaped: Cow<'a, str>,
        #[serde(borrow)]
        raw: &'a RawValue,
        #[serde(borrow)]
        map: BTreeMap<&'a str, &'a [u8]>,
    }
    let args = args(
        r#"["e",{"plain":"abc","cow":"\u20ac","escaped":"\u20ac","raw":{"a": [1]},"map":{"k":"v"}}]"#,
    );
    let message = args.payload().as_json().unwrap().as_bytes().as_ptr_range();
    let inside = |text: &[u8]| {
        message.contains(&text.as_ptr()) && message.contains(&text.as_ptr_range().end)
    };
    let read: Borrowed<'_> = args.decode(1).unwrap();
    assert!(inside(read.plain.as_bytes()));
    assert!(matches!(read.cow, Cow::Owned(_)));
    assert_eq!(read.escaped, "\u{20ac}");
    assert_eq!(read.raw.get(), r#"{"a": [1]}"#);
    assert!(inside(read.raw.get().as_bytes()));
    assert!(inside(read.map["k"]));
    assert!(inside(args.decode::<&str>(0).unwrap().as_bytes()));
    args_are_borrowed(&super::args("[\"e\",\"\u{20ac}\"]"));
}

fn args_are_borrowed(args: &Args) {
    #[derive(Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
    assert!(matches!(args.decode::<Text<'_>>(1).unwrap().0, Cow::Borrowed("\u{20ac}")));
    assert!(args.decode::<&str>(1).is_ok());
}

#[test]
fn escapes_cannot_be_borrowed() {
    assert!(args(r#"["e","\n"]"#).decode::<&str>(1).is_err());
    assert_eq!(
        read(r#"["e","\ud83d\ude00\/\"\\\b\f\n\r\t"]"#),
        Ok("\u{1f600}/\"\\\u{8}\u{c}\n\r\t".to_owned())
    );
}

#[test]
fn keys_that_are_numbers_or_booleans_are_read() {
    assert_eq!(read(r#"["e",{"1":2,"255":3}]"#), Ok(BTreeMap::from([(1_u8, 2), (255, 3)])));
    assert_eq!(read(r#"["e",{"-1":2}]"#), Ok(BTreeMap::from([(-1_i64, 2)])));
    assert_eq!(read(r#"["e",{"true":2}]"#), Ok(BTreeMap::from([(true, 2)])));
    assert_eq!(read(r#"["e",{"Unit":2}]"#), Ok(BTreeMap::from([("Unit".to_owned(), 2)])));
    assert_eq!(read(r#"["e",{"1":2}]"#), Ok(BTreeMap::from([(Some(1_u128), 2)])));
    read::<BTreeMap<u8, u8>>(r#"["e",{"a":2}]"#).unwrap_err();
    read::<BTreeMap<u8, u8>>(r#"["e",{"+1":2}]"#).unwrap_err();
    read::<BTreeMap<bool, u8>>(r#"["e",{"1":2}]"#).unwrap_err();
}

#[test]
fn numbers_of_every_size_are_read() {
    assert_eq!(read("[0,18446744073709551615]"), Ok(u64::MAX));
    assert_eq!(read("[0,-9223372036854775808]"), Ok(i64::MIN));
    assert_eq!(read("[0,1e3]"), Ok(1000.0));
    assert_eq!(read("[0,-0]"), Ok(-0.0));
    let args = args(
        "[0,340282366920938463463374607431768211455,-170141183460469231731687303715884105728]",
    );
    assert_eq!(args.decode::<(u128, i128)>(1), Ok((u128::MAX, i128::MIN)));
    assert_eq!(args.decode::<f64>(1), Ok(340282366920938463463374607431768211455.0));
    super::args("[0,1e999]").decode::<f64>(1).unwrap_err();
    super::args("[0,1.5]").decode::<u128>(1).unwrap_err();
    read::<u64>("[0,1.0]").unwrap_err();
}

#[test]
fn arguments_are_found_again() {
    let args = args(" [ \"a\\\"]\" , {\"b\":[1,\"]\"]} , [] ,null, -1.5e3] ");
    let found: Vec<_> = args.iter().collect();
    let expected = ["\"a\\\"]\"", "{\"b\":[1,\"]\"]}", "[]", "null", "-1.5e3"];
    assert_eq!(found, expected.map(Argument::Json));
    assert_eq!((args.len(), args.is_empty()), (5, false));
    assert_eq!((args.json(1), args.json(5)), (Some("{\"b\":[1,\"]\"]}"), None));
    assert_eq!(args.name(), Some(Cow::Borrowed("a\"]")));
    assert_eq!(args.decode::<Vec<u8>>(2), Ok(vec![]));
    for empty in ["[]", " [ ] "] {
        let args = super::args(empty);
        assert_eq!((args.len(), args.is_empty(), args.name()), (0, true, None));
        assert_eq!(args.to_values(), Ok(vec![]));
    }
}

#[test]
fn name_is_a_string_or_a_number() {
    assert!(matches!(args(r#"["\u00e9"]"#).name(), Some(Cow::Owned(name)) if name == "\u{e9}"));
    assert!(matches!(args(r#"["a"]"#).name(), Some(Cow::Borrowed("a"))));
    assert_eq!(args("[12]").name(), Some(Cow::Borrowed("12")));
    assert_eq!(args(r#"["\ud800x"]"#).name(), Some(Cow::Borrowed("\u{fffd}x")));
    for json in ["[null]", "[true]", "[[]]", "[{}]"] {
        assert_eq!(args(json).name(), None);
        assert_eq!(Args::from_values(args(json).to_values().unwrap()).name(), None);
    }
    assert_eq!(Args::from_values(vec![1_u8.into()]).name(), Some(Cow::Borrowed("1")));
    assert_eq!(Args::from_values(vec!["a".into()]).name(), Some(Cow::Borrowed("a")));
}

#[test]
fn own_arguments_are_read_back() {
    let args = Args::event("e", &(1, "x")).unwrap();
    assert_eq!(args.payload().as_json(), Some(r#"["e",1,"x"]"#));
    assert_eq!(args.decode::<(u8, &str)>(1), Ok((1, "x")));
    let args = Args::ack(&(1, "x")).unwrap();
    assert_eq!(args.decode::<(u8, &str)>(0), Ok((1, "x")));
    assert_eq!(Args::ack(&()).unwrap().len(), 0);
}

#[test]
fn payload_is_one_value() {
    let payload = Payload::from_json(Text::from("0/a,{\"token\":\"t\"}"), 4, vec![]);
    #[derive(Debug, PartialEq, Deserialize)]
    struct Auth<'a> {
        token: &'a str,
    }
    assert_eq!(payload.decode(), Ok(Auth { token: "t" }));
    let error = payload.decode::<(u8, u8)>().unwrap_err();
    assert_eq!(error.to_string(), "invalid type: map, expected a tuple of size 2 at column 1");
    let value = payload.to_value().unwrap();
    assert_eq!(value.get("token").and_then(Value::as_str), Some("t"));
    assert_eq!(Payload::from_value(value).decode(), Ok(Auth { token: "t" }));
    assert_eq!(Payload::new(&(1, 2)).unwrap().decode(), Ok((1, 2)));
}
