//! Events that are variants of an enum.

use alloc::{
    borrow::ToOwned,
    format,
    string::{String, ToString},
    vec,
    vec::Vec,
};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{
    super::{
        Args, DecodeError, EncodeError, EventError, Value, enum_event_values, write_enum_event,
    },
    args,
};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum FromClient {
    #[serde(rename = "new message")]
    NewMessage(String),
    Typing,
    Move(f32, f32),
    Pair((u8, u8)),
    Maybe(Option<u8>),
    Upload(Bytes, Option<String>),
    #[serde(rename_all = "camelCase")]
    Profile {
        user_name: String,
        picture: Option<Bytes>,
    },
    Nothing(),
}

fn write<E: Serialize + ?Sized>(
    event: &E,
) -> Result<(&'static str, String, Vec<Bytes>), EncodeError> {
    let (mut out, mut attachments) = (b"2".to_vec(), Vec::new());
    let result = write_enum_event(&mut out, &mut attachments, event);
    if result.is_err() {
        assert_eq!((&out[..], attachments.len()), (&b"2"[..], 0));
    }
    result.map(|name| (name, String::from_utf8(out.split_off(1)).unwrap(), attachments))
}

fn read<E: for<'de> Deserialize<'de>>(json: &str) -> Result<E, EventError> {
    let args = args(json);
    let read = args.decode_event(&args.name().unwrap());
    let values = Args::from_values(args.to_values().unwrap());
    let of_values = values.decode_event::<E>(&args.name().unwrap());
    assert_eq!(of_values.is_ok(), read.is_ok());
    read
}

fn error<E: for<'de> Deserialize<'de>>(json: &str) -> DecodeError {
    match read::<E>(json) {
        Err(EventError::Malformed(error)) => error,
        Err(EventError::Unknown { name }) => panic!("unknown: {name}"),
        Ok(_) => panic!("it is well-formed"),
    }
}

#[test]
fn events_are_written_and_read_back() {
    use FromClient::*;
    let picture = Some(Bytes::from_static(b"png"));
    let cases = [
        (NewMessage("hi".to_owned()), "new message", r#"["new message","hi"]"#),
        (Typing, "Typing", r#"["Typing"]"#),
        (Move(1.0, 2.5), "Move", r#"["Move",1.0,2.5]"#),
        (Pair((1, 2)), "Pair", r#"["Pair",[1,2]]"#),
        (Maybe(None), "Maybe", r#"["Maybe",null]"#),
        (Maybe(Some(1)), "Maybe", r#"["Maybe",1]"#),
        (
            Upload(Bytes::from_static(b"x"), None),
            "Upload",
            r#"["Upload",{"_placeholder":true,"num":0},null]"#,
        ),
        (
            Profile { user_name: "u".to_owned(), picture },
            "Profile",
            r#"["Profile",{"userName":"u","picture":{"_placeholder":true,"num":0}}]"#,
        ),
        (Nothing(), "Nothing", r#"["Nothing"]"#),
    ];
    for (event, name, json) in cases {
        let (written_name, text, attachments) = write(&event).unwrap();
        assert_eq!((written_name, &*text), (name, json));
        let payload = super::Payload::from_json(text.as_str().into(), 0, attachments);
        let args = Args::from_payload(payload);
        assert_eq!(args.decode_event::<FromClient>(name), Ok(event));
        let event: FromClient = args.decode_event(name).unwrap();
        let (value_name, values) = enum_event_values(&event, &[]).unwrap();
        assert_eq!((value_name, &values), (name, &args.to_values().unwrap()));
        assert_eq!(Args::from_values(values).decode_event::<FromClient>(name), Ok(event));
    }
}

#[test]
fn arguments_follow_the_rules_of_other_events() {
    use FromClient::*;
    assert_eq!(read(r#"["Typing",1,2]"#), Ok(Typing));
    assert_eq!(read(r#"["Maybe"]"#), Ok(Maybe(None)));
    assert_eq!(read(r#"["Move",1,2,3]"#), Ok(Move(1.0, 2.0)));
    assert_eq!(read(r#"["new message","a",1]"#), Ok(NewMessage("a".to_owned())));
    assert_eq!(
        error::<FromClient>(r#"["Move",1]"#).to_string(),
        "event `Move`, argument 1: missing argument"
    );
    assert_eq!(
        error::<FromClient>(r#"["new message"]"#).to_string(),
        "event `new message`, argument 0: missing argument"
    );
    assert_eq!(error::<FromClient>(r#"["Profile"]"#).argument(), Some(0));
    assert_eq!(
        error::<FromClient>(r#"["Profile",{"picture":null}]"#).to_string(),
        "event `Profile`, argument 0: missing field `userName` at column 16"
    );
    assert_eq!(error::<FromClient>(r#"["Pair",[1]]"#).argument(), Some(0));
}

#[test]
fn unknown_event_is_told_apart_from_a_malformed_one() {
    for (json, name) in [(r#"["typing"]"#, "typing"), ("[1]", "1")] {
        let error = read::<FromClient>(json).unwrap_err();
        assert_eq!(error, EventError::Unknown { name: name.into() });
    }

    #[derive(Debug, PartialEq, Deserialize)]
    enum Outer {
        Inner(FromClient),
    }
    // The unknown variant is inside of an argument.
    assert_eq!(error::<Outer>(r#"["Inner","typing"]"#).argument(), Some(0));
    assert_eq!(read(r#"["Inner","Typing"]"#), Ok(Outer::Inner(FromClient::Typing)));
}

#[test]
fn other_takes_events_of_any_name() {
    #[derive(Debug, PartialEq, Deserialize)]
    enum Open {
        Known(u8),
        #[serde(other)]
        Other,
    }
    assert_eq!(read(r#"["Known",1]"#), Ok(Open::Known(1)));
    assert_eq!(read(r#"["x",1,{"a":2}]"#), Ok(Open::Other));
}

#[test]
fn fields_can_be_borrowed() {
    #[derive(Debug, PartialEq, Deserialize)]
    enum Borrowed<'a> {
        Text(&'a str),
        Data { data: &'a [u8] },
    }
    let args = args(r#"["Text","a"]"#);
    assert_eq!(args.decode_event("Text"), Ok(Borrowed::Text("a")));
    let args =
        super::with_attachments(r#"["Data",{"data":{"_placeholder":true,"num":0}}]"#, &[b"x"]);
    assert_eq!(args.decode_event("Data"), Ok(Borrowed::Data { data: b"x" }));
}

#[test]
fn other_types_are_no_typed_events() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(tag = "type")]
    enum Tagged {
        A,
    }
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Wrapped(FromClient);

    let message = "a typed event is an enum without a tag, whose variants are events";
    assert_eq!(error::<Tagged>(r#"["A"]"#).message(), message);
    assert_eq!(error::<u8>(r#"["A"]"#).message(), message);
    assert_eq!(error::<Option<FromClient>>(r#"["Typing"]"#).message(), message);
    for error in [
        write(&Tagged::A).unwrap_err(),
        write(&1).unwrap_err(),
        write("Typing").unwrap_err(),
        write(&()).unwrap_err(),
        write(&Some(FromClient::Typing)).unwrap_err(),
        write(&(1, 2)).unwrap_err(),
        write(&vec![FromClient::Typing]).unwrap_err(),
        write(&Value::Null).unwrap_err(),
    ] {
        assert_eq!(error.message(), message);
    }
    assert_eq!(read(r#"["Typing"]"#), Ok(Wrapped(FromClient::Typing)));
    assert_eq!(write(&Wrapped(FromClient::Typing)).unwrap().0, "Typing");
}

#[test]
fn error_in_a_field_names_the_event() {
    #[derive(Serialize)]
    enum Bad {
        Event(u8, alloc::collections::BTreeMap<[u8; 1], u8>),
    }
    let error = write(&Bad::Event(1, [([1], 2)].into())).unwrap_err();
    assert_eq!(error.to_string(), "event `Event`, argument 1: key must be a string");
}

#[test]
fn error_of_a_typed_event_names_the_event() {
    let error = |json| read::<FromClient>(json).unwrap_err().to_string();
    assert_eq!(error(r#"["x"]"#), "unknown event `x`");
    assert_eq!(error(r#"["a\u0000b"]"#), r"unknown event `a\0b`");
    assert_eq!(error(r#"["Pair"]"#), "event `Pair`, argument 0: missing argument");
    let long = error(&format!(r#"["{}"]"#, "x".repeat(1000)));
    assert!(long.starts_with("unknown event `xxx") && long.len() < 100, "{long}");
}
