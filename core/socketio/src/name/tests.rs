//! Names as constants, payloads that fit them, and what is read back.

use alloc::{borrow::Cow, borrow::ToOwned, boxed::Box, format, string::String, vec, vec::Vec};

use serde::{Deserialize, Serialize};

use super::*;
use crate::{AckId, Event, parser::NamedEvent};

const TEXT: Named<String> = Named::new("text");
const BYTE: Named<u8> = Named::new("byte");
const LIST: Named<Vec<String>> = Named::new("list");
const SAID: Named<(String, String)> = Named::new("said");
const SUM: Asking<(u32, u32), u32> = Asking::new("sum");

/// Sends an event as all that send do: the name says what the payload may be.
fn json<P: Serialize + ?Sized>(name: impl Name<P>, payload: &P) -> String {
    let event = NamedEvent::new(name.name(), payload);
    let encoder = &mut crate::parser::Encoder::new();
    let args = encoder.args(&crate::parser::Parser::Json, &event).unwrap();
    args.payload().as_json().unwrap().to_owned()
}

fn received<P: Serialize + ?Sized>(name: impl Name<P>, payload: &P) -> Event {
    Event::new(Args::event(name.name(), payload).unwrap(), None)
}

fn response<A>(_: impl AskName<(u32, u32), A>, args: &Args) -> Result<A, DecodeError>
where
    A: serde::de::DeserializeOwned,
{
    args.decode(0)
}

#[test]
fn string_is_the_name_of_any_event() {
    assert_eq!(json("a", "x"), r#"["a","x"]"#);
    let (owned, borrowed) = (String::from("a"), &"a");
    assert_eq!(json(borrowed, &(1, "x")), r#"["a",1,"x"]"#);
    assert_eq!(json(&owned, &1), r#"["a",1]"#);
    assert_eq!(json(owned, &()), r#"["a"]"#);
}

#[test]
fn strings_are_sent_without_a_copy() {
    let owned = String::from("x");
    let expected = r#"["text","x"]"#;
    assert_eq!(json(TEXT, &owned), expected);
    assert_eq!(json(TEXT, "x"), expected);
    assert_eq!(json(TEXT, &"x"), expected);
    assert_eq!(json(TEXT, &&owned), expected);
    assert_eq!(json(TEXT, &Cow::Borrowed("x")), expected);
    assert_eq!(json(TEXT, &Box::<str>::from("x")), expected);
    assert_eq!(json(LIST, &["x", "y"][..]), r#"["list",["x","y"]]"#);
    assert_eq!(json(LIST, &[owned][..]), r#"["list",["x"]]"#);
}

#[test]
fn strings_in_tuples_are_sent_without_a_copy() {
    let (room, text) = (String::from("r"), String::from("t"));
    let expected = r#"["said","r","t"]"#;
    assert_eq!(json(SAID, &(room.clone(), text.clone())), expected);
    assert_eq!(json(SAID, &("r", "t")), expected);
    assert_eq!(json(SAID, &(&room, &*text)), expected);
    assert_eq!(json(SAID, &("r", text)), expected);

    const MOVED: Named<(String, i32, String, Vec<u8>)> = Named::new("moved");
    assert_eq!(json(MOVED, &("a", -1, &room, vec![1])), r#"["moved","a",-1,"r",[1]]"#);
}

#[test]
fn number_without_a_suffix_has_the_type_of_the_name() {
    assert_eq!(json(BYTE, &255), r#"["byte",255]"#);
    assert_eq!(json(SUM, &(4_000_000_000, 1)), r#"["sum",4000000000,1]"#);
}

#[test]
fn name_with_a_borrowed_type_takes_any_lifetime() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Login<'a> {
        user: &'a str,
    }

    const LOGIN: Named<Login<'_>> = Named::new("login");
    let user = String::from("Ann");
    let event = received(LOGIN, &Login { user: &user });
    drop(user);
    assert_eq!(event.data_of(LOGIN).unwrap().unwrap(), Login { user: "Ann" });
}

#[test]
fn type_of_the_application_is_encoded_as_another_if_it_says_so() {
    #[derive(Debug, PartialEq, Deserialize)]
    struct Login {
        user: String,
    }

    #[derive(Serialize)]
    struct LoginRef<'a> {
        user: &'a str,
    }

    impl EncodeAs<Login> for LoginRef<'_> {}

    const LOGIN: Named<Login> = Named::new("login");
    let event = received(LOGIN, &LoginRef { user: "Ann" });
    assert_eq!(event.data_of(LOGIN).unwrap().unwrap(), Login { user: "Ann".into() });
}

#[test]
fn event_is_decoded_under_its_name_alone() {
    let event = received(SAID, &("r", "t"));
    assert_eq!(event.data_of(SAID).unwrap().unwrap(), ("r".into(), "t".into()));
    assert!(event.data_of(TEXT).is_none());
    let event = received(SUM, &(1, 2));
    assert_eq!(event.data_of(SUM).unwrap().unwrap(), (1, 2));
    let event = received("said", &1);
    let error = event.data_of(SAID).unwrap().unwrap_err();
    assert_eq!((error.event(), error.argument()), (Some("said"), Some(0)));
}

#[test]
fn response_has_the_type_of_the_name() {
    let args = Args::ack(&3).unwrap();
    assert_eq!(SUM.response(&args).unwrap(), 3);
    assert_eq!(response(SUM, &args).unwrap(), 3);
    assert_eq!(response::<u8>("sum", &args).unwrap(), 3);
    assert_eq!(response::<u8>(String::from("sum"), &args).unwrap(), 3);
    let error = SUM.response(&Args::ack("3").unwrap()).unwrap_err();
    assert_eq!((error.event(), error.argument()), (Some("sum"), Some(0)));
}

#[test]
fn name_is_plain_data_whatever_its_types() {
    struct Nothing(
        #[expect(dead_code, reason = "it is neither `Clone`, `Send` nor `Sync`")] *mut u8,
    );

    const fn any<T: Send + Sync + Copy>(_: T) {}

    const STRANGE: Asking<Nothing, Nothing> = Asking::new("strange");
    any(STRANGE);
    any(Named::from(STRANGE));
    assert_eq!((STRANGE.name(), STRANGE.as_ref()), ("strange", "strange"));
    assert_eq!((SAID.name(), SAID.as_ref()), ("said", "said"));
    assert_eq!(format!("{STRANGE:?} {SAID:?}"), r#"Asking("strange") Named("said")"#);
    assert_eq!(Named::from(STRANGE).name(), "strange");
}

#[test]
#[should_panic = "the name of an event is reserved"]
fn reserved_name_is_refused_outside_of_constants_too() {
    let _ = Asking::<(), ()>::new(&String::from("connect").leak()[..]);
}

#[test]
fn reserved_names_are_the_six_of_the_reference() {
    for name in
        ["connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"]
    {
        assert!(is_reserved(name), "{name}");
        assert!(!is_reserved(&name[1..]) && !is_reserved(&format!("{name}s")), "{name}");
    }
    assert!(!is_reserved(""));
}

#[test]
fn number_of_an_acknowledgement_is_not_a_part_of_the_data() {
    let event = Event::new(Args::event("sum", &(1, 2)).unwrap(), Some(AckId(7)));
    assert_eq!((event.data_of(SUM).unwrap().unwrap(), event.ack()), ((1, 2), Some(AckId(7))));
}
