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
    let PacketData::Ack { id, .. } = decode(&*format!("3{digits}[]")).unwrap().unwrap().data else {
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
