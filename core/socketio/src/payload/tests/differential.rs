//! The same as serde_json, for arbitrary values and types.

use alloc::{
    collections::BTreeMap,
    string::{String, ToString},
    vec::Vec,
};

use bytes::Bytes;
use proptest::{collection::vec, option, prelude::*};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::{
    super::{Args, Payload, Value, check_placeholders, validate_json},
    args, event, json,
};

/// Anything that JSON has, with few keys, so that some are equal to ours.
fn any_json() -> impl Strategy<Value = Json> {
    let key = prop_oneof![
        ".{0,12}",
        Just(String::from("_placeholder")),
        Just(String::from("num")),
        Just(String::from("a")),
    ];
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<u64>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        ".{0,40}".prop_map(Json::from),
        r#"["\\a-c\n]{0,20}"#.prop_map(Json::from),
    ];
    leaf.prop_recursive(5, 40, 6, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Json::from),
            vec((key.clone(), inner), 0..6).prop_map(|members| members.into_iter().collect()),
        ]
    })
}

/// Anything that a payload has.
fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any_json().prop_map(Value::from),
        vec(any::<u8>(), 0..20).prop_map(|bytes| Value::Binary(Bytes::from(bytes))),
    ];
    leaf.prop_recursive(4, 30, 5, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::Array),
            vec((".{0,4}", inner), 0..5).prop_map(Value::Object),
        ]
    })
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Kind {
    Unit,
    Newtype(Option<i8>),
    Tuple(u64, String),
    Struct { a: f64, b: Vec<Kind2> },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
enum Kind2 {
    A { x: u8 },
    B,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Everything {
    #[serde(rename = "the \"text\"")]
    text: String,
    letter: char,
    kinds: Vec<Kind>,
    numbers: BTreeMap<i16, f32>,
    flags: BTreeMap<bool, ()>,
    #[serde(skip_serializing_if = "Option::is_none")]
    option: Option<(u128, i128)>,
    #[serde(flatten)]
    rest: BTreeMap<String, Json>,
}

fn any_kind() -> impl Strategy<Value = Kind> {
    let kind2 = prop_oneof![any::<u8>().prop_map(|x| Kind2::A { x }), Just(Kind2::B)];
    prop_oneof![
        Just(Kind::Unit),
        any::<Option<i8>>().prop_map(Kind::Newtype),
        (any::<u64>(), ".{0,9}").prop_map(|(number, text)| Kind::Tuple(number, text)),
        (any_float(), vec(kind2, 0..3)).prop_map(|(a, b)| Kind::Struct { a, b }),
    ]
}

/// Finite: the others are `null`, which is no float.
fn any_float() -> impl Strategy<Value = f64> {
    any::<f64>()
}

fn any_everything() -> impl Strategy<Value = Everything> {
    let numbers = proptest::collection::btree_map(any::<i16>(), any::<f32>(), 0..3);
    let flags = proptest::collection::btree_map(any::<bool>(), Just(()), 0..3);
    let rest = proptest::collection::btree_map("x.{0,9}", any_json(), 0..3);
    let option = option::of((any::<u128>(), any::<i128>()));
    (".{0,20}", any::<char>(), vec(any_kind(), 0..4), numbers, flags, option, rest).prop_map(
        |(text, letter, kinds, numbers, flags, option, rest)| Everything {
            text,
            letter,
            kinds,
            numbers,
            flags,
            option,
            rest,
        },
    )
}

fn normal(json: &str) -> Json {
    serde_json::from_str(json).unwrap()
}

/// Equal but for the last digits of floats, which serde_json does not always read exactly.
fn alike(ours: &Json, theirs: &Json) -> bool {
    match (ours, theirs) {
        (Json::Number(ours), Json::Number(theirs)) if ours.is_f64() && theirs.is_f64() => {
            let (ours, theirs) = (ours.as_f64().unwrap(), theirs.as_f64().unwrap());
            (ours - theirs).abs() <= ours.abs() * 1e-14
        }
        (Json::Array(ours), Json::Array(theirs)) => {
            ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(a, b)| alike(a, b))
        }
        (Json::Object(ours), Json::Object(theirs)) => {
            ours.len() == theirs.len()
                && ours.iter().zip(theirs).all(|(a, b)| a.0 == b.0 && alike(a.1, b.1))
        }
        _ => ours == theirs,
    }
}

proptest! {
    #[test]
    fn text_is_that_of_serde_json(value in any_json()) {
        let text = serde_json::to_string(&value).unwrap();
        prop_assert_eq!(json(&value).unwrap(), &*text);
        prop_assert_eq!(json(&Value::from(value.clone())).unwrap(), &*text);
        let value = Value::from_serialize(&value).unwrap();
        prop_assert_eq!(json(&value).unwrap(), text);
    }

    #[test]
    fn text_of_types_is_that_of_serde_json(value in any_everything()) {
        prop_assert_eq!(json(&value).unwrap(), serde_json::to_string(&value).unwrap());
    }

    #[test]
    fn types_are_read_back(value in any_everything(), kind in any_kind()) {
        let args = Args::event("e", &(&value, &kind)).unwrap();
        let read: (Everything, Kind) = args.decode(1).unwrap();
        prop_assert_eq!(json(&read.0).unwrap(), json(&value).unwrap());
        prop_assert_eq!(&read.1, &kind);
        if value.option.is_none() {
            let values = Args::from_values(args.to_values().unwrap());
            prop_assert_eq!(values.decode::<(Everything, Kind)>(1).unwrap(), read);
        }
    }

    #[test]
    fn reading_is_that_of_serde_json(value in any_json(), pretty in any::<bool>()) {
        let text = if pretty {
            serde_json::to_string_pretty(&value).unwrap()
        } else {
            value.to_string()
        };
        validate_json(&text).unwrap();
        let payload = Payload::from_json(text.as_str().into(), 0, Vec::new());
        prop_assert_eq!(payload.decode::<Value>().unwrap(), payload.to_value().unwrap());
        prop_assert_eq!(payload.decode::<Json>().unwrap(), value);
        // A type that does not fit is an error of both.
        macro_rules! same {
            ($($type:ty),*) => { $(
                let ours = payload.decode::<$type>();
                let theirs = serde_json::from_str::<$type>(&text);
                prop_assert_eq!(ours.is_ok(), theirs.is_ok(), "{} {:?} {:?}", stringify!($type), ours, theirs);
                if let (Ok(ours), Ok(theirs)) = (ours, theirs) {
                    let ours = serde_json::to_value(&ours).unwrap();
                    prop_assert!(alike(&ours, &serde_json::to_value(&theirs).unwrap()), "{}", ours);
                }
            )* };
        }
        same!(
            Json, Option<Json>, Vec<Json>, BTreeMap<String, Json>, BTreeMap<u8, Json>, String, char,
            bool, u8, i64, u128, (), (Json, Json), Vec<u8>, Kind, Kind2, Result<Json, Json>
        );
    }

    #[test]
    fn arguments_are_those_of_serde_json(values in vec(any_json(), 0..6)) {
        let text = Json::from(values.clone()).to_string();
        let args = args(&text);
        let found: Vec<Json> = (0..args.len()).map(|i| normal(args.json(i).unwrap())).collect();
        prop_assert_eq!(found, normal(&text).as_array().unwrap().clone());
        for index in 0..values.len() {
            prop_assert_eq!(args.decode::<Json>(index).is_ok(), true);
        }
    }

    #[test]
    fn binary_data_anywhere_come_back(value in any_value(), other in any_value()) {
        let Ok((text, attachments)) = event(&(&value, &other)) else {
            // Something looks like a placeholder.
            return Ok(());
        };
        if !attachments.is_empty() {
            prop_assert!(check_placeholders(&text, attachments.len()));
        }
        let payload = Payload::from_json(text.into(), 0, attachments);
        let args = Args::from_payload(payload);
        let values = Args::from_values(alloc::vec!["e".into(), value.clone(), other.clone()]);
        prop_assert_eq!(values.decode::<(Value, Value)>(1).unwrap(), (value.clone(), other.clone()));
        if [&value, &other].into_iter().any(has_placeholder) {
            return Ok(());
        }
        let read = args.decode::<(Value, Value)>(1).unwrap();
        prop_assert_eq!(&args.to_values().unwrap()[1..], &[read.0.clone(), read.1.clone()]);
        prop_assert_eq!(event(&read).unwrap(), event(&(value, other)).unwrap());
    }
}

/// Whether an object has the form of a placeholder, and so does not come back beside binary data.
fn has_placeholder(value: &Value) -> bool {
    match value {
        Value::Object(members) => {
            value.get("_placeholder") == Some(&true.into())
                || members.iter().any(|(_, value)| has_placeholder(value))
        }
        Value::Array(elements) => elements.iter().any(has_placeholder),
        _ => false,
    }
}
