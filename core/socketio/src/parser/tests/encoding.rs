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
        let encoded = encoder.event(&Parser::Json, "/", None, &NamedEvent::new("a", &1)).unwrap();
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
