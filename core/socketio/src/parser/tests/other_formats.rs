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
