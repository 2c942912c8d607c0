//! Rules of the parsers, through [`Decoder`] and [`Encoder`].

use alloc::{
    format,
    string::{String, ToString},
    vec,
};

use enginewire::Text;

use super::*;
use crate::payload::{Attachment, Payload, Spread};

fn decoder() -> Decoder {
    Decoder::new(&Parser::Json, ParserLimits::default())
}

/// Decodes one message with a new decoder.
fn decode(message: impl Into<Message>) -> Result<Option<Packet>, PacketError> {
    decoder().handle_message(message.into())
}

/// Decodes messages with a new decoder, of which the last completes a packet.
fn packet(messages: impl IntoIterator<Item = Message>) -> Result<Packet, PacketError> {
    let mut decoder = decoder();
    let mut packet = None;
    for message in messages {
        assert!(packet.is_none(), "more came than a packet has");
        packet = decoder.handle_message(message)?;
    }
    assert!(!decoder.is_waiting());
    Ok(packet.unwrap())
}

/// An event with its attachments, as the messages of a client.
fn binary(text: &str, attachments: &[&'static [u8]]) -> Vec<Message> {
    let attachments = attachments.iter().map(|bytes| Message::Binary(Bytes::from_static(bytes)));
    core::iter::once(Message::from(text)).chain(attachments).collect()
}

fn event(packet: Packet) -> (Text, Option<AckId>, Text, Args) {
    match packet.data {
        PacketData::Event { ack, args } => {
            let name = args.name().map_or(Text::EMPTY, |name| Text::from(&*name));
            (packet.namespace, ack, name, args)
        }
        other => panic!("{other:?} is no event"),
    }
}

fn args(text: &str) -> Args {
    event(decode(text).unwrap().unwrap()).3
}

fn json(args: &Args) -> &str {
    args.payload().as_json().unwrap()
}

fn parts(encoded: &Encoded) -> Vec<Message> {
    (0..encoded.parts()).map(|index| encoded.part(index).unwrap().message().clone()).collect()
}

/// The text of a message without attachments.
fn text(encoded: &Encoded) -> Text {
    match &parts(encoded)[..] {
        [Message::Text(text)] => text.clone(),
        other => panic!("{other:?} is not one text"),
    }
}

mod decoding {
    use super::*;

    #[test]
    fn text_while_an_attachment_is_expected_is_an_error() {
        for second in ["2[\"b\"]", "", "51-[\"b\"]"] {
            let mut decoder = decoder();
            assert!(decoder.handle_message("51-[\"a\"]".into()).unwrap().is_none());
            assert!(decoder.is_waiting());
            let error = decoder.handle_message(second.into()).unwrap_err();
            assert_eq!(error, PacketError::UnexpectedText);
        }
    }

    #[test]
    fn binary_data_that_is_not_expected_is_an_error() {
        let bytes = || Message::from(&[1][..]);
        assert_eq!(decode(bytes()).unwrap_err(), PacketError::UnexpectedBinary);
        assert_eq!(decode(&[][..]).unwrap_err(), PacketError::UnexpectedBinary);
        let mut decoder = decoder();
        for message in ["2[\"a\"]".into(), "51-[\"a\"]".into(), bytes()] {
            decoder.handle_message(message).unwrap();
        }
        let error = decoder.handle_message(bytes()).unwrap_err();
        assert_eq!(error, PacketError::UnexpectedBinary);
    }

    #[test]
    fn packets_follow_one_another() {
        let mut decoder = decoder();
        let mut read = Vec::new();
        let messages = [
            binary("0", &[]),
            binary(r#"52-["a",{"_placeholder":true,"num":1}]"#, &[b"x", b"y"]),
            binary(r#"2["b"]"#, &[]),
            binary(r#"61-7[{"_placeholder":true,"num":0}]"#, &[b"z"]),
        ];
        for message in messages.into_iter().flatten() {
            read.extend(decoder.handle_message(message).unwrap());
        }
        let kind = |packet: &Packet| match &packet.data {
            PacketData::Connect(_) => "connect".to_string(),
            PacketData::Event { args, .. } => {
                format!("{} {:?}", json(args), args.payload().attachments())
            }
            PacketData::Ack { id, args } => {
                format!("{id}{} {:?}", json(args), args.payload().attachments())
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(
            read.iter().map(kind).collect::<Vec<_>>(),
            [
                "connect",
                r#"["a",{"_placeholder":true,"num":1}] [b"x", b"y"]"#,
                r#"["b"] []"#,
                r#"7[{"_placeholder":true,"num":0}] [b"z"]"#,
            ]
        );
    }

    #[test]
    fn attachments_share_the_storage_of_their_messages() {
        let bytes = Bytes::copy_from_slice(b"attachment");
        let head = Message::from(r#"51-["a",{"_placeholder":true,"num":0}]"#);
        let (.., args) = event(packet([head, Message::Binary(bytes.clone())]).unwrap());
        let attachment: Attachment = args.decode(1).unwrap();
        assert_eq!(args.attachment(&attachment).unwrap().as_ptr(), bytes.as_ptr());
    }

    #[test]
    fn so_many_attachments_are_announced_and_no_more() {
        let limits = ParserLimits { max_attachments: 2, ..ParserLimits::default() };
        let announce = |text: &str| Decoder::new(&Parser::Json, limits).handle_message(text.into());
        assert!(announce("52-[\"a\"]").is_ok());
        let too_many = PacketError::TooManyAttachments { count: 3, max: 2 };
        assert_eq!(announce("53-[\"a\"]").unwrap_err(), too_many);
        let none = ParserLimits { max_attachments: 0, ..ParserLimits::default() };
        let refused = Decoder::new(&Parser::Json, none).handle_message("51-[\"a\"]".into());
        let too_many = PacketError::TooManyAttachments { count: 1, max: 0 };
        assert_eq!(refused.unwrap_err(), too_many);
    }

    #[test]
    fn size_is_that_of_the_text_and_its_attachments() {
        let text = r#"52-["a"]"#;
        let limits = |max_size| ParserLimits { max_size, ..ParserLimits::default() };
        let mut decoder = Decoder::new(&Parser::Json, limits(text.len() - 1));
        let error = decoder.handle_message(text.into()).unwrap_err();
        assert_eq!(error, PacketError::TooLarge { size: text.len(), max: text.len() - 1 });
        assert!(!decoder.is_waiting(), "nothing is kept");

        for (max, fits) in [(text.len() + 5, true), (text.len() + 4, false)] {
            let mut decoder = Decoder::new(&Parser::Json, limits(max));
            assert!(decoder.handle_message(text.into()).unwrap().is_none());
            assert!(decoder.handle_message((&[1, 2][..]).into()).unwrap().is_none());
            let last = decoder.handle_message((&[3, 4, 5][..]).into());
            assert_eq!(last.is_ok(), fits, "{last:?}");
            assert!(!decoder.is_waiting());
        }
        // The next packet starts anew.
        let mut decoder = Decoder::new(&Parser::Json, limits(text.len()));
        for _ in 0..3 {
            assert!(decoder.handle_message(r#"2["abc"]"#.into()).unwrap().is_some());
        }
    }

    #[test]
    fn size_is_checked_before_the_payload_is_read() {
        let limits = ParserLimits { max_size: 3, ..ParserLimits::default() };
        let error = Decoder::new(&Parser::Json, limits).handle_message("2[[[[".into()).unwrap_err();
        assert_eq!(error, PacketError::TooLarge { size: 5, max: 3 });
    }

    #[test]
    fn events_and_acknowledgements_may_lack_a_payload() {
        for (message, namespace, id) in [
            ("2", "/", None),
            ("21", "/", Some(1)),
            ("2/admin", "/admin", None),
            ("2/admin,", "/admin", None),
            ("2/admin,1", "/admin", Some(1)),
        ] {
            let (found, ack, name, args) = event(decode(message).unwrap().unwrap());
            assert_eq!((&*found, ack), (namespace, id.map(AckId)), "{message}");
            assert!(name.is_empty() && args.is_empty());
        }
        for (message, namespace) in [("31", "/"), ("3/a,1", "/a")] {
            let packet = decode(message).unwrap().unwrap();
            assert_eq!(packet.namespace, *namespace);
            let PacketData::Ack { id: AckId(1), args } = packet.data else { panic!("{message}") };
            assert!(args.is_empty());
        }
        let (.., args) = event(packet(binary("51-", &[b"x"])).unwrap());
        assert!(args.is_empty());
    }

    #[test]
    fn event_has_a_name_if_it_has_a_payload() {
        for message in [
            "2[]",
            "2{}",
            "2null",
            "2\"a\"",
            "2true",
            "20",
            "2[null]",
            "2[true]",
            "2[[\"a\"]]",
            "2[{}]",
            "2 [\"a\"",
            "2[ ]",
        ] {
            let outcome = decode(message);
            let is_empty = matches!(&outcome, Ok(Some(_))) && message == "20";
            assert!(is_empty || outcome.is_err(), "{message}: {outcome:?}");
        }
        let placeholder = binary(r#"51-[{"_placeholder":true,"num":0}]"#, &[b"x"]);
        assert_eq!(packet(placeholder).unwrap_err(), PacketError::InvalidPayload);
    }

    #[test]
    fn payload_is_json_and_nothing_else() {
        for message in [
            "2[\"a\"]x",
            "2[\"a\"",
            "2[\"a\",]",
            "2['a']",
            "2[\"a\",NaN]",
            "2[\"a\",01]",
            "2x",
            "0{",
            "4{\"a\"}",
            "31[",
            "1x",
            "2[\"a\",\"\t\"]",
        ] {
            assert!(matches!(decode(message), Err(PacketError::Syntax(_))), "{message}");
        }
        assert!(decode("2 [ \"a\" , 1 ] ").is_ok(), "white space is part of JSON");
    }

    #[test]
    fn hostile_nesting_is_read_without_recursion() {
        let deep = format!("2[\"a\",{}{}]", "[".repeat(100_000), "]".repeat(100_000));
        // Whether it is refused is the limit of serde_json; the stack bears it either way.
        let _ = decode(&*deep);
        let open = format!("2{}", "[".repeat(100_000));
        assert!(decode(&*open).is_err());
    }

    #[test]
    fn names_that_are_reserved_are_refused_in_all_forms() {
        let reserved = [
            "connect",
            "connect_error",
            "disconnect",
            "disconnecting",
            "newListener",
            "removeListener",
        ];
        for name in reserved {
            let (plain, escaped) = (
                format!("2[\"{name}\"]"),
                format!("2[\"\\u{:04x}{}\"]", name.as_bytes()[0], &name[1..]),
            );
            for message in [plain, escaped, format!("2/a,1[ \"{name}\" ,1]")] {
                assert_eq!(decode(&*message).unwrap_err(), PacketError::ReservedName, "{message}");
            }
            let with_binary = binary(&format!("51-[\"{name}\"]"), &[b""]);
            assert_eq!(packet(with_binary).unwrap_err(), PacketError::ReservedName);
            // In an acknowledgement it is an argument like any other.
            assert!(decode(&*format!("31[\"{name}\"]")).is_ok());
        }
        for name in ["error", "connection", "Connect", "connect ", "", "message", "__proto__"] {
            let (_, _, found, _) = event(decode(&*format!("2[\"{name}\"]")).unwrap().unwrap());
            assert_eq!(found, *name);
        }
    }

    #[test]
    fn name_may_be_a_number_or_have_escapes() {
        for (message, name) in [
            ("2[1]", "1"),
            ("2[-1.5,\"x\"]", "-1.5"),
            ("2[1e3]", "1e3"),
            (r#"2["a\"b\u00e9"]"#, "a\"b\u{e9}"),
        ] {
            let (_, _, found, _) = event(decode(message).unwrap().unwrap());
            assert_eq!(found, *name);
        }
    }

    #[test]
    fn placeholder_in_a_packet_without_attachments_is_data() {
        let message = r#"2["a",{"_placeholder":true,"num":7}]"#;
        let value: serde_json::Value = args(message).decode(1).unwrap();
        assert_eq!(value, serde_json::json!({ "_placeholder": true, "num": 7 }));
    }

    #[test]
    fn placeholder_stands_for_an_attachment_that_is_there() {
        let one = |value: &str| packet(binary(&format!("51-[\"a\",{value}]"), &[b"x"]));
        for value in [
            r#"{"_placeholder":true,"num":1}"#,
            r#"{"_placeholder":true,"num":-1}"#,
            r#"{"_placeholder":true,"num":0.5}"#,
            r#"{"_placeholder":true,"num":1e400}"#,
            r#"{"_placeholder":true,"num":"0"}"#,
            r#"{"_placeholder":true,"num":18446744073709551616}"#,
            r#"{"_placeholder":true,"num":4294967296}"#,
            r#"{"_placeholder":true}"#,
            r#"{"x":[{"num":7,"_placeholder":true}]}"#,
        ] {
            assert_eq!(one(value).unwrap_err(), PacketError::UnknownAttachment, "{value}");
        }
        for value in [
            r#"{"_placeholder":true,"num":0}"#,
            r#"{"num":0.0,"_placeholder":true,"x":1}"#,
            r#"{"_placeholder":false,"num":7}"#,
            r#"{"_placeholder":"true","num":7}"#,
            "0",
        ] {
            assert!(one(value).is_ok(), "{value}");
        }
    }

    #[test]
    fn payload_to_connect_is_an_object_or_none() {
        for (message, json) in
            [("0", None), ("0/,", None), ("0{}", Some("{}")), ("0/a,{\"a\":1}", Some("{\"a\":1}"))]
        {
            let PacketData::Connect(payload) = decode(message).unwrap().unwrap().data else {
                panic!("{message}")
            };
            assert_eq!(payload.as_ref().and_then(Payload::as_json), json, "{message}");
        }
        for message in ["0[]", "0null", "0\"x\"", "0true", "0/a,[]", "0 1"] {
            assert_eq!(decode(message).unwrap_err(), PacketError::InvalidPayload, "{message}");
        }
    }

    #[test]
    fn payload_of_an_error_is_an_object_or_text() {
        for message in ["4{}", "4\"\"", "4/a,{\"message\":\"x\"}"] {
            let data = decode(message).unwrap().unwrap().data;
            assert!(matches!(data, PacketData::ConnectError(_)), "{message}");
        }
        for message in ["4", "4[]", "4null", "4/a", "4 1"] {
            assert_eq!(decode(message).unwrap_err(), PacketError::InvalidPayload, "{message}");
        }
    }

    #[test]
    fn payload_to_disconnect_is_none() {
        assert!(matches!(decode("1/a,").unwrap().unwrap().data, PacketData::Disconnect));
        for message in ["1{}", "1null", "1[]", "1/a,\"x\""] {
            assert_eq!(decode(message).unwrap_err(), PacketError::InvalidPayload, "{message}");
        }
    }

    #[test]
    fn acknowledgement_has_a_number() {
        for message in ["3", "3[]", "3/a,[\"a\"]"] {
            assert_eq!(decode(message).unwrap_err(), PacketError::InvalidAckId, "{message}");
        }
        let digits = "9".repeat(AckId::MAX_DIGITS);
        let PacketData::Ack { id, .. } = decode(&*format!("3{digits}[]")).unwrap().unwrap().data
        else {
            panic!("no acknowledgement")
        };
        assert_eq!(id.to_string(), digits);
        let error = decode(&*format!("3{digits}9[]")).unwrap_err();
        assert_eq!(error, PacketError::InvalidAckId);
    }

    #[test]
    fn namespace_ends_at_a_comma_or_with_the_text() {
        for (message, namespace) in [
            ("2[\"a\"]", "/"),
            ("2/,[\"a\"]", "/"),
            ("2/", "/"),
            ("2/a/b,[\"a\"]", "/a/b"),
            ("2/a?b=c,[\"a\"]", "/a?b=c"),
            ("2/custom[\"a\"]", "/custom[\"a\"]"),
            ("2/\u{e9}\u{1f600},[\"a\"]", "/\u{e9}\u{1f600}"),
        ] {
            assert_eq!(decode(message).unwrap().unwrap().namespace, *namespace, "{message}");
        }
    }

    #[test]
    fn error_says_what_is_wrong_without_the_payload() {
        let error = decode("2[\"secret\",x]").unwrap_err().to_string();
        assert!(error.starts_with("invalid payload: ") && !error.contains("secret"), "{error}");
    }
}

mod encoding {
    use super::*;

    fn encode(name: &str, payload: &(impl Serialize + ?Sized)) -> Result<Encoded, EncodeError> {
        Encoder::new().event(&Parser::Json, "/", None, &NamedEvent::new(name, payload))
    }

    #[test]
    fn head_has_what_the_packet_has() {
        let mut encoder = Encoder::new();
        let mut event = |namespace, ack: Option<u128>| {
            let ack = ack.map(AckId);
            text(&encoder.event(&Parser::Json, namespace, ack, &NamedEvent::new("a", &1)).unwrap())
        };
        assert_eq!(event("/", None), *"2[\"a\",1]");
        assert_eq!(event("/", Some(0)), *"20[\"a\",1]");
        assert_eq!(event("/b", None), *"2/b,[\"a\",1]");
        assert_eq!(event("/b", Some(12)), *"2/b,12[\"a\",1]");
        let ack = encoder.ack(&Parser::Json, "/b", AckId(7), &(1, "x"), Vec::new()).unwrap();
        assert_eq!(text(&ack), *"3/b,7[1,\"x\"]");
        let ack = encoder.ack(&Parser::Json, "/", AckId(7), &(), Vec::new()).unwrap();
        assert_eq!(text(&ack), *"37[]");
    }

    #[test]
    fn packets_of_the_protocol_are_written_as_the_reference_does() {
        let payload = Payload::of(&"no");
        for (data, root, other) in [
            (PacketData::Connect(None), "0", "0/b,"),
            (PacketData::Connect(Some(Payload::empty_object().clone())), "0{}", "0/b,{}"),
            (PacketData::Disconnect, "1", "1/b,"),
            (PacketData::ConnectError(payload), "4\"no\"", "4/b,\"no\""),
        ] {
            for (namespace, expected) in [("/", root), ("/b", other)] {
                let packet = Packet { namespace: namespace.into(), data: data.clone() };
                assert_eq!(text(&Parser::Json.packet(&packet).unwrap()), *expected);
            }
        }
    }

    #[test]
    fn binary_data_follow_in_messages_of_their_own() {
        let bytes = Bytes::from_static(b"shared");
        let mut encoder = Encoder::new();
        let given = vec![bytes.clone()];
        let payload = (Attachment::new(0), Bytes::from_static(b"copied"));
        let encoded = encoder
            .event(
                &Parser::Json,
                "/b",
                Some(AckId(3)),
                &NamedEvent::new("a", &payload).with_attachments(given),
            )
            .unwrap();
        let text = r#"52-/b,3["a",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]"#;
        assert_eq!(parts(&encoded), binary(text, &[b"shared", b"copied"]));
        let Message::Binary(first) = &parts(&encoded)[1] else { panic!("it is binary") };
        assert_eq!(first.as_ptr(), bytes.as_ptr());

        let ack = encoder.ack(&Parser::Json, "/", AckId(3), &Attachment::new(0), vec![bytes]);
        let text = r#"61-3[{"_placeholder":true,"num":0}]"#;
        assert_eq!(parts(&ack.unwrap()), binary(text, &[b"shared"]));
    }

    #[test]
    fn name_that_is_reserved_is_refused() {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        enum Own {
            NewListener(u8),
            Other(u8),
        }
        for parser in [Parser::Json, Parser::MessagePack] {
            let mut encoder = Encoder::new();
            let error =
                encoder.event(&parser, "/", None, &NamedEvent::new("disconnect", &1)).unwrap_err();
            assert_eq!(error.event(), Some("disconnect"));
            let error = encoder.event(&parser, "/", None, &EnumEvent::new(&Own::NewListener(1)));
            assert_eq!(error.unwrap_err().event(), Some("newListener"));
            let encoded = encoder.event(&parser, "/", None, &EnumEvent::new(&Own::Other(1)));
            assert!(encoded.is_ok());
        }
    }

    #[test]
    fn buffer_is_as_good_as_new_after_an_error() {
        let mut encoder = Encoder::new();
        let missing = Attachment::new(0);
        for _ in 0..2 {
            let error = encoder.event(&Parser::Json, "/", None, &NamedEvent::new("a", &missing));
            assert_eq!(error.unwrap_err().event(), Some("a"));
            let encoded =
                encoder.event(&Parser::Json, "/", None, &NamedEvent::new("a", &1)).unwrap();
            assert_eq!(text(&encoded), *"2[\"a\",1]");
        }
    }

    #[test]
    fn message_has_an_allocation_of_its_exact_size() {
        for length in [0, 1, 100, 5000] {
            let encoded = encode("a", &"x".repeat(length)).unwrap();
            let message = text(&encoded);
            drop(encoded);
            let expected = message.len();
            let bytes = message.into_bytes().try_into_mut().expect("nobody shares it");
            assert_eq!((bytes.len(), bytes.capacity()), (expected, expected));
        }
    }

    #[test]
    fn buffer_of_a_large_message_is_given_back() {
        let mut encoder = Encoder::new();
        for (length, kept) in [(10, true), (KEPT * 2, false)] {
            let long = "x".repeat(length);
            encoder.event(&Parser::Json, "/", None, &NamedEvent::new("a", &long)).unwrap();
            encoder.shrink();
            assert_eq!(encoder.scratch.capacity() > 0, kept);
        }
    }

    #[test]
    fn packet_that_is_encoded_is_decoded_to_the_same() {
        for message in [
            binary("0", &[]),
            binary("0/a,{\"token\":1}", &[]),
            binary("1/a,", &[]),
            binary("2[\"a\",1]", &[]),
            binary("2/a,12[\"a\" , 1.0]", &[]),
            binary("2[1]", &[]),
            binary("2", &[]),
            binary("2/a,1", &[]),
            binary("3/a,0[]", &[]),
            binary("4/a,\"no\"", &[]),
            binary(r#"52-/a,0["a",{"_placeholder":true,"num":1}]"#, &[b"x", b""]),
            binary("61-0[]", &[b"x"]),
        ] {
            let read = packet(message.clone()).unwrap();
            assert_eq!(parts(&Parser::Json.packet(&read).unwrap()), message);
        }
    }
}

mod forwarding {
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
}

mod other_formats {
    use alloc::boxed::Box;

    use super::*;

    #[test]
    fn messagepack_is_one_binary_message() {
        let parser = Parser::MessagePack;
        let mut encoder = Encoder::new();
        let payload = (Attachment::new(0), 1);
        let given = vec![Bytes::from_static(b"x")];
        let event_message = encoder
            .event(
                &parser,
                "/b",
                Some(AckId(3)),
                &NamedEvent::new("a", &payload).with_attachments(given),
            )
            .unwrap();
        let ack_message = encoder.ack(&parser, "/b", AckId(3), &(1, 2), Vec::new()).unwrap();
        let mut decoder = Decoder::new(&parser, ParserLimits::default());
        let mut read = |encoded: &Encoded| {
            let [message] = &parts(encoded)[..] else { panic!("it is one message") };
            assert!(message.is_binary());
            decoder.handle_message(message.clone()).unwrap().unwrap()
        };
        let (namespace, ack, name, args) = event(read(&event_message));
        assert_eq!((&*namespace, ack, &*name), ("/b", Some(AckId(3)), "a"));
        assert_eq!(args.to_values().unwrap()[1], Value::Binary(Bytes::from_static(b"x")));
        let packet = read(&ack_message);
        let PacketData::Ack { id: AckId(3), args } = packet.data else { panic!("{packet:?}") };
        assert_eq!(args.len(), 2);
    }

    #[test]
    fn messagepack_has_limits_and_no_text() {
        let limits = ParserLimits { max_size: 3, ..ParserLimits::default() };
        let mut decoder = Decoder::new(&Parser::MessagePack, limits);
        let error = decoder.handle_message("0".into()).unwrap_err();
        assert_eq!(error, PacketError::UnexpectedText);
        let error = decoder.handle_message((&[0; 4][..]).into()).unwrap_err();
        assert_eq!(error, PacketError::TooLarge { size: 4, max: 3 });
        assert!(!decoder.is_waiting());
    }

    /// Lines of text: the type, the namespace and one line for each argument, the last behind a message of its own.
    struct Lines;

    #[derive(Default)]
    struct LinesDecoder(Option<String>);

    impl CustomParser for Lines {
        fn encode(&self, packet: &Packet) -> Vec<Message> {
            let PacketData::Event { args, .. } = &packet.data else {
                return vec![Message::from("other")];
            };
            let values = args.to_values().unwrap();
            let values: Vec<_> = values.iter().map(|value| value.as_str().unwrap()).collect();
            vec![Message::from(&*packet.namespace), Message::from(values.join("\n"))]
        }

        fn decoder(&self) -> Box<dyn CustomDecoder> {
            Box::<LinesDecoder>::default()
        }
    }

    impl CustomDecoder for LinesDecoder {
        fn handle_message(&mut self, message: Message) -> Result<Option<Packet>, PacketError> {
            let Message::Text(text) = message else { return Err(PacketError::UnexpectedBinary) };
            let Some(namespace) = self.0.take() else {
                self.0 = Some(text.to_string());
                return Ok(None);
            };
            let args = Args::from_values(text.lines().map(Value::from).collect());
            let data = PacketData::Event { ack: None, args };
            Ok(Some(Packet { namespace: namespace.into(), data }))
        }

        fn is_waiting(&self) -> bool {
            self.0.is_some()
        }
    }

    #[test]
    fn custom_parser_sees_what_is_sent_and_received() {
        let parser = Parser::Custom(Arc::new(Lines));
        assert_eq!(format!("{parser:?}"), "Custom(..)");
        let mut encoder = Encoder::new();
        let sent = encoder.event(&parser, "/b", None, &NamedEvent::new("a", &("x", "y"))).unwrap();
        assert_eq!(parts(&sent), ["/b", "a\nx\ny"].map(Message::from));
        let json = args("2[\"a\",\"z\"]");
        let forwarded = encoder.forward(&parser, "/b", None, &json, Some("offset")).unwrap();
        assert_eq!(parts(&forwarded), ["/b", "a\nz\noffset"].map(Message::from));
        let list = encoder.event(&parser, "/", None, &NamedEvent::new("a", &Spread(&["x", "y"])));
        assert_eq!(parts(&list.unwrap()), ["/", "a\nx\ny"].map(Message::from));

        let mut decoder =
            Decoder::new(&parser, ParserLimits { max_size: 6, ..ParserLimits::default() });
        assert!(decoder.handle_message("/b".into()).unwrap().is_none());
        assert!(decoder.is_waiting());
        let (namespace, _, name, args) =
            event(decoder.handle_message("a\nx\ny".into()).unwrap().unwrap());
        assert_eq!((&*namespace, &*name, args.len()), ("/b", "a", 3));
        assert!(!decoder.is_waiting());
        let error = decoder.handle_message("/longer".into()).unwrap_err();
        assert_eq!(error, PacketError::TooLarge { size: 7, max: 6 });
    }
}

#[cfg(feature = "deflate")]
#[test]
fn event_that_is_left_out_of_compression_stays_so_in_every_form() {
    #[derive(serde::Serialize)]
    #[serde(rename_all = "snake_case")]
    enum Said {
        Chat(&'static str),
    }
    let said = Said::Chat("a");
    let named = || NamedEvent::new("chat", "a");
    for parser in [Parser::Json, Parser::MessagePack] {
        let mut encoder = Encoder::new();
        for compressed in [true, false] {
            let leave = |event: NamedEvent<'static, str>| match compressed {
                true => event,
                false => event.without_compression(),
            };
            let event = leave(named());
            let with_bytes = leave(named()).attach(&b"b"[..]);
            for encoded in [
                encoder.event(&parser, "/", None, &event).unwrap(),
                encoder.event(&parser, "/a", Some(AckId(1)), &with_bytes).unwrap(),
            ] {
                assert_eq!(encoded.is_compressible(), compressed);
                assert_eq!(encoded.into_shared().is_compressible(), compressed);
            }
            // As it goes to the log of a namespace, and to other nodes.
            let args = encoder.args(&parser, &event).unwrap();
            for (ack, offset) in [(None, None), (None, Some("1")), (Some(AckId(1)), None)] {
                let encoded = encoder.forward(&parser, "/", ack, &args.clone(), offset).unwrap();
                assert_eq!(encoded.is_compressible(), compressed);
            }
        }
        let event = EnumEvent::new(&said).without_compression();
        assert!(!encoder.event(&parser, "/", None, &event).unwrap().is_compressible());
        let event = EnumEvent::new(&said);
        assert!(encoder.event(&parser, "/", None, &event).unwrap().is_compressible());
    }
}
