use super::*;

fn forward(namespace: &str, ack: Option<u128>, args: &Args, offset: Option<&str>) -> Encoded {
    Encoder::new().forward(&Parser::Json, namespace, ack.map(AckId), args, offset).unwrap()
}

#[test]
fn payload_with_more_attachments_than_are_allowed_is_an_error() {
    #[derive(serde::Serialize)]
    enum Sent<'a> {
        Parts(&'a [Bytes]),
    }

    let parts = [const { Bytes::from_static(b"x") }; 3];
    let mut encoder = Encoder::new();
    encoder.set_max_attachments(2);
    for (allowed, parts) in [(true, &parts[..2]), (false, &parts[..])] {
        let given = parts.to_vec();
        let (json, named) = (&Parser::Json, NamedEvent::new("Parts", parts));
        let sent = Sent::Parts(parts);
        let variant = EnumEvent::new(&sent);
        let outcomes = [
            encoder.event(json, "/", None, &named).err(),
            encoder
                .event(json, "/", None, &NamedEvent::new("Parts", &()).with_attachments(given))
                .err(),
            encoder.event(json, "/", None, &variant).err(),
            encoder.args(json, &named).err(),
            encoder.args(json, &variant).err(),
            encoder.ack(json, "/", AckId(1), parts, Vec::new()).err(),
        ];
        for error in outcomes {
            let message = error.map(|error| String::from(error.message()));
            let refused = Some(String::from("3 attachments, at most 2 are allowed"));
            assert_eq!(message, refused.filter(|_| !allowed));
        }
        // Binary data are values there.
        assert!(encoder.event(&Parser::MessagePack, "/", None, &named).is_ok());
    }
}

#[test]
fn event_of_the_first_namespace_goes_out_as_it_came() {
    let message = Text::from("2[\"a\" , 1]");
    let (.., args) = event(decode(message.clone()).unwrap().unwrap());
    assert_eq!(text(&forward("/", None, &args, None)).as_ptr(), message.as_ptr());
}

#[test]
fn event_gets_another_head_where_it_needs_one() {
    let plain = args("2[\"a\",1]");
    assert_eq!(text(&forward("/b", None, &plain, None)), *"2/b,[\"a\",1]");
    assert_eq!(text(&forward("/", Some(3), &plain, None)), *"23[\"a\",1]");
    for message in ["27[\"a\",1]", "2/c,[\"a\",1]", "2/c,7[\"a\",1]"] {
        assert_eq!(text(&forward("/", None, &args(message), None)), *"2[\"a\",1]");
    }
    let own = Args::event("a", &1).unwrap();
    assert_eq!(text(&forward("/", None, &own, None)), *"2[\"a\",1]");
}

#[test]
fn message_of_another_kind_is_not_taken_for_an_event() {
    let PacketData::Ack { args, .. } = decode("32[1]").unwrap().unwrap().data else {
        panic!("no acknowledgement")
    };
    assert_eq!(text(&forward("/", None, &args, None)), *"2[1]");
}

#[test]
fn offset_is_one_more_argument() {
    for (message, expected) in [
        ("2[\"a\"]", "2[\"a\",\"x\"]"),
        ("2[\"a\",[1]]", "2[\"a\",[1],\"x\"]"),
        ("2[\"a\",\"]\"] ", "2[\"a\",\"]\",\"x\"]"),
        ("2[\"a\" ]", "2[\"a\" ,\"x\"]"),
        ("2/b,7[1]", "2[1,\"x\"]"),
    ] {
        let encoded = forward("/", None, &args(message), Some("x"));
        assert_eq!(text(&encoded), *expected);
        assert!(decode(text(&encoded)).unwrap().is_some());
    }
}

#[test]
fn offset_is_an_argument_of_an_event_that_has_none() {
    for parser in [Parser::Json, Parser::MessagePack] {
        let mut encoder = Encoder::new();
        let encoded = encoder.forward(&parser, "/", None, &Args::empty(), Some("x")).unwrap();
        let mut decoder = Decoder::new(&parser, ParserLimits::default());
        let read = decoder.handle_message(parts(&encoded)[0].clone()).unwrap().unwrap();
        assert_eq!(event(read).2, *"x");
    }
}

#[test]
fn attachments_are_shared() {
    let bytes = Bytes::copy_from_slice(b"attachment");
    let head = r#"51-7["a",{"_placeholder":true,"num":0}]"#;
    let (.., args) = event(packet([head.into(), Message::Binary(bytes.clone())]).unwrap());
    for (namespace, ack, offset, expected) in [
        ("/", None, None, r#"51-["a",{"_placeholder":true,"num":0}]"#),
        ("/b", Some(1), None, r#"51-/b,1["a",{"_placeholder":true,"num":0}]"#),
        ("/", None, Some("x"), r#"51-["a",{"_placeholder":true,"num":0},"x"]"#),
    ] {
        let encoded = parts(&forward(namespace, ack, &args, offset));
        assert_eq!(encoded, binary(expected, &[b"attachment"]));
        let Message::Binary(shared) = &encoded[1] else { panic!("it is binary") };
        assert_eq!(shared.as_ptr(), bytes.as_ptr());
    }
}

#[test]
fn event_in_values_is_written_as_json() {
    let bytes = Bytes::from_static(b"x");
    let args = Args::from_values(vec!["a".into(), bytes.into(), Value::Null]);
    let encoded = forward("/b", None, &args, Some("o"));
    let text = r#"51-/b,["a",{"_placeholder":true,"num":0},null,"o"]"#;
    assert_eq!(parts(&encoded), binary(text, &[b"x"]));
}

#[test]
fn event_that_cannot_be_written_as_values_is_an_error() {
    // Valid JSON, of which no value can be made.
    for message in [r#"2["a","\ud800"]"#, "2[\"a\",1e400]"] {
        let args = args(message);
        let mut encoder = Encoder::new();
        let outcome = encoder.forward(&Parser::MessagePack, "/", None, &args, None);
        assert_eq!(outcome.is_err(), args.to_values().is_err(), "{message}");
    }
}
