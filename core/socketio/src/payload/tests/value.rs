//! Values of any shape.

use alloc::{borrow::ToOwned, collections::BTreeMap, string::String, vec, vec::Vec};

use bytes::Bytes;
use serde::{Deserialize, Serialize, de::IgnoredAny};
use serde_json::json;

use super::{super::Value, json};

fn object<const N: usize>(members: [(&str, Value); N]) -> Value {
    Value::Object(members.map(|(key, value)| (key.to_owned(), value)).into())
}

fn array<const N: usize>(elements: [Value; N]) -> Value {
    Value::Array(elements.into())
}

#[test]
fn conversions_and_getters_agree() {
    assert_eq!(Value::from(true).as_bool(), Some(true));
    assert_eq!(Value::from(1_u8).as_u64(), Some(1));
    assert_eq!(Value::from(1_i8), Value::from(1_u64));
    assert_eq!(Value::from(-1_isize).as_i64(), Some(-1));
    assert_eq!(Value::from(-1).as_u64(), None);
    assert_eq!(Value::from(u64::MAX).as_i64(), None);
    assert_eq!(Value::from(1.5_f32).as_f64(), Some(1.5));
    assert_eq!(Value::from(2).as_f64(), Some(2.0));
    assert_eq!(Value::from("a").as_str(), Some("a"));
    assert_eq!(Value::from(String::from("a")).as_bytes(), None);
    assert_eq!(Value::from(Bytes::from_static(b"a")).as_bytes().unwrap(), "a");
    assert_eq!(Value::from(vec![Value::Null]).as_array(), Some(&[Value::Null][..]));
    assert!(Value::from(()).is_null() && Value::from(None::<bool>).is_null());
    assert_eq!(Value::from(Some(1_usize)), Value::from(1));
    assert_eq!(Value::Null.get("a"), None);
    assert_eq!(Value::Null.as_array(), None);
}

#[test]
fn last_of_equal_members_counts() {
    let value = object([("a", 1.into()), ("b", 2.into()), ("a", 3.into())]);
    assert_eq!(value.get("a"), Some(&3.into()));
    assert_eq!(value.get("c"), None);
    assert_eq!(value.as_object().unwrap().len(), 3);
}

#[test]
fn json_goes_and_comes_back_but_without_binary_data() {
    let json = json!({"a": [1, -1, 1.5, null, true, "x"], "b": {"c": u64::MAX}});
    let value = Value::from(json.clone());
    assert_eq!(value.to_json().unwrap(), json);
    assert_eq!(serde_json::Value::try_from(value).unwrap(), json);
    assert_eq!(Value::from(f64::NAN).to_json().unwrap(), json!(null));
    let value = object([("a", array([Bytes::new().into()]))]);
    value.to_json().unwrap_err();
}

#[test]
fn infinite_numbers_are_null() {
    assert_eq!(json(&Value::from(f64::INFINITY)).unwrap(), "null");
    assert_eq!(Value::from_serialize(&f32::NAN).unwrap(), Value::Null);
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Unit;
#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Kind {
    Unit,
    Newtype(u8),
    Tuple(u8, u8),
    Struct { a: u8 },
}
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Everything<'a> {
    text: &'a str,
    data: Bytes,
    numbers: (u8, i64, f64, u128, i128),
    option: Option<Option<u8>>,
    unit: Unit,
    kinds: Vec<Kind>,
    map: BTreeMap<char, bool>,
    letter: char,
}

#[test]
fn types_become_values_and_come_back() {
    let everything = Everything {
        text: "a",
        data: Bytes::from_static(b"data"),
        numbers: (1, -1, 1.5, u128::from(u64::MAX), i128::from(i64::MIN)),
        option: Some(Some(1)),
        unit: Unit,
        kinds: vec![Kind::Unit, Kind::Newtype(1), Kind::Tuple(1, 2), Kind::Struct { a: 1 }],
        map: BTreeMap::from([('k', true)]),
        letter: 'z',
    };
    let value = Value::from_serialize(&everything).unwrap();
    let expected = object([
        ("text", "a".into()),
        ("data", Bytes::from_static(b"data").into()),
        ("numbers", array([1.into(), (-1).into(), 1.5.into(), u64::MAX.into(), i64::MIN.into()])),
        ("option", 1.into()),
        ("unit", Value::Null),
        (
            "kinds",
            array([
                "Unit".into(),
                object([("Newtype", 1.into())]),
                object([("Tuple", array([1.into(), 2.into()]))]),
                object([("Struct", object([("a", 1.into())]))]),
            ]),
        ),
        ("map", object([("k", true.into())])),
        ("letter", "z".into()),
    ]);
    assert_eq!(value, expected);
    let read = Everything::deserialize(&value).unwrap();
    assert_eq!(read, everything);
    let Value::Object(members) = &value else { panic!() };
    assert_eq!(read.text.as_ptr(), members[0].1.as_str().unwrap().as_ptr());
    assert_eq!(Value::deserialize(&value).unwrap(), value);
    assert_eq!(IgnoredAny::deserialize(&value).unwrap(), IgnoredAny);
}

#[test]
fn integer_that_does_not_fit_is_an_error() {
    Value::from_serialize(&u128::MAX).unwrap_err();
    Value::from_serialize(&i128::MIN).unwrap_err();
}

#[test]
fn bytes_are_borrowed() {
    let value = Value::from(Bytes::from_static(b"x"));
    let bytes = <&[u8]>::deserialize(&value).unwrap();
    assert_eq!(bytes.as_ptr(), value.as_bytes().unwrap().as_ptr());
    assert_eq!(Vec::<u8>::deserialize(&value).unwrap(), b"x");
    assert_eq!(<&[u8]>::deserialize(&Value::from("x")).unwrap(), b"x");
    let error = String::deserialize(&value).unwrap_err();
    assert!(error.message().starts_with("binary data, expected a string"));
}

#[test]
fn types_that_do_not_fit_are_errors() {
    let array = Value::from(vec![Value::from(1), 2.into()]);
    <(u8,)>::deserialize(&array).unwrap_err();
    <(u8, u8, u8)>::deserialize(&array).unwrap_err();
    u8::deserialize(&array).unwrap_err();
    bool::deserialize(&array).unwrap_err();
    <()>::deserialize(&array).unwrap_err();
    u8::deserialize(&Value::from(256)).unwrap_err();
    u8::deserialize(&Value::from(1.0)).unwrap_err();
    Kind::deserialize(&Value::from("Other")).unwrap_err();
    Kind::deserialize(&Value::from("Newtype")).unwrap_err();
    Kind::deserialize(&object([])).unwrap_err();
    Kind::deserialize(&object([("Unit", 1.into())])).unwrap_err();
    Kind::deserialize(&array).unwrap_err();
    BTreeMap::<u8, u8>::deserialize(&object([("x", 1.into())])).unwrap_err();
}

#[test]
fn null_is_an_argument_of_an_event() {
    assert_eq!(super::event(&Value::Null).unwrap().0, r#"["e",null]"#);
    assert_eq!(super::event(&vec![Value::Null]).unwrap().0, r#"["e",[null]]"#);
}
