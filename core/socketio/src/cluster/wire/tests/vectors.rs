//! Bytes that were recorded from the reference, in both directions.

use alloc::string::ToString;

use super::{
    super::{foreign::Foreign, ids, incoming::Reply, messages::Sender, out::Out},
    *,
};

const ACKED: Duration = Duration::from_millis(200);

fn bytes(hex: &str) -> Bytes {
    let digits = hex.as_bytes().chunks(2);
    digits
        .map(|pair| u8::from_str_radix(core::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

/// Channel and bytes of a message that a node of this uid sends.
fn sent(
    config: &WireConfig,
    uid: &str,
    operation: &Operation,
    request: Option<&str>,
) -> (Arc<str>, Bytes) {
    let sender = Sender { uid, namespace: "/" };
    match config.operation(&sender, operation, request).unwrap() {
        Command::Publish { channel, message, .. } => (channel, message),
        other => panic!("{other:?}"),
    }
}

fn responded(
    config: &WireConfig,
    uid: &str,
    to: (&str, &str),
    reply: Reply,
    response: &Response,
) -> (Arc<str>, Bytes) {
    let sender = Sender { uid, namespace: "/" };
    let to = Foreign {
        namespace: namespace("/"),
        uid: Some(to.0.into()),
        request: to.1.into(),
        reply,
        is_streamed: false,
    };
    match config.response(&sender, &to, response).unwrap().unwrap() {
        Command::Publish { channel, message, .. } => (channel, message),
        other => panic!("{other:?}"),
    }
}

/// Operation that a node reads of a message.
fn read(config: &WireConfig, channel: &str, message: Bytes) -> Operation {
    let mut wire = node(config.clone(), 1);
    wire.handle_published(at(0), channel, message);
    operation(&mut wire)
}

fn to(rooms: &[&str], values: Vec<Value>) -> Operation {
    let rooms = rooms.iter().map(|room| Room::from(*room)).collect();
    Operation::Broadcast(emit(Target { rooms, except: Vec::new() }, event(values)))
}

fn asking(values: Vec<Value>) -> Operation {
    Operation::Broadcast(Broadcast {
        request: Some(RequestId(0)),
        timeout: Some(ACKED),
        ..emit(Target::all(), event(values))
    })
}

/// Checks that a node of `uid` sends these bytes to the channel, and that another reads them as what was sent.
fn check(
    config: &WireConfig,
    uid: &str,
    operation: &Operation,
    request: Option<&str>,
    channel: &str,
    hex: &str,
) {
    let (on, message) = sent(config, uid, operation, request);
    assert_eq!((&*on, message.clone()), (channel, bytes(hex)), "{}", message.escape_ascii());
    assert_eq!(shown(&read(config, channel, message)), shown(operation));
}

#[test]
fn classic_broadcast_has_the_bytes_of_the_reference() {
    check(
        &classic(),
        "AAAAAA",
        &to(&[], vec!["hi".into(), 1_u8.into()]),
        None,
        "socket.io#/#",
        "93a641414141414183a47479706502a46461746192a2686901a36e7370a12f83a5726f6f6d7390a665786365707490a5666c61677380",
    );
    // The same of an event that came as JSON.
    let (_, message) = sent(&classic(), "AAAAAA", &hi(), None);
    assert_eq!(
        message,
        sent(&classic(), "AAAAAA", &to(&[], vec!["hi".into(), 1_u8.into()]), None).1
    );
}

#[test]
fn classic_broadcast_with_values_of_all_kinds_is_read() {
    let hex = "93a641414141414183a47479706502a46461746195a162c403010203c0c084a164d6ff00000000a166cb3ff8000000000000a16effa3626967cf0000010000000000a36e7370a12f83a5726f6f6d7391a27231a665786365707490a5666c61677380";
    let object = [
        ("d", Value::from("1970-01-01T00:00:00.000Z")),
        ("f", 1.5.into()),
        ("n", (-1_i8).into()),
        ("big", (1_u64 << 40).into()),
    ];
    let object = Value::Object(object.map(|(name, value)| (name.to_string(), value)).into());
    let expected =
        to(&["r1"], vec!["b".into(), binary(&[1, 2, 3]), Value::Null, Value::Null, object]);
    assert_eq!(shown(&read(&classic(), "socket.io#/#r1#", bytes(hex))), shown(&expected));
}

#[test]
fn classic_flags_are_read() {
    let hex = "93a641414141414183a47479706502a46461746191a178a36e7370a12f83a5726f6f6d7392a27231a27232a665786365707491a27233a5666c61677382a8766f6c6174696c65c3a8636f6d7072657373c3";
    let target = Target::all().to("r1").to("r2").except("r3");
    let expected =
        Operation::Broadcast(Broadcast { volatile: true, ..emit(target, event(vec!["x".into()])) });
    assert_eq!(shown(&read(&classic(), "socket.io#/#", bytes(hex))), shown(&expected));
}

#[test]
fn classic_acknowledgements_have_the_bytes_of_the_reference() {
    let request = "85a3756964a66d4b79547748a9726571756573744964a6365568796b4ba47479706507a67061636b657483a47479706502a46461746192a171a470696e67a36e7370a12fa46f70747383a5726f6f6d7390a665786365707490a5666c61677381a774696d656f7574ccc8";
    check(
        &classic(),
        "mKyTwH",
        &asking(vec!["q".into(), "ping".into()]),
        Some("6UhykK"),
        "socket.io-request#/#",
        request,
    );

    let (to, acks) = (("mKyTwH", "6UhykK"), Reply::ACKS);
    let (channel, message) = responded(&classic(), "x", to, acks.clone(), &Response::Clients(1));
    assert_eq!(&*channel, "socket.io-response#/#");
    assert_eq!(message, r#"{"type":8,"requestId":"6UhykK","clientCount":1}"#);
    let (_, message) =
        responded(&classic(), "x", to, acks, &Response::Ack(Args::ack("pong").unwrap()));
    assert_eq!(
        message,
        bytes("83a47479706509a9726571756573744964a6365568796b4ba67061636b6574a4706f6e67")
    );
}

#[test]
fn redis_emitter_has_the_bytes_of_the_reference() {
    let operation = to(&[], vec!["hi".into(), 1_u8.into(), Value::Null, binary(&[1])]);
    check(
        &classic(),
        ids::EMITTER,
        &operation,
        None,
        "socket.io#/#",
        "93a7656d697474657283a47479706502a46461746194a2686901c0c40101a36e7370a12f83a5726f6f6d7390a5666c61677380a665786365707490",
    );
}

#[test]
fn sharded_broadcasts_have_the_bytes_of_the_reference() {
    let config = sharded(SubscriptionMode::Dynamic);
    let uid = "f38aaf3adbcd63f6";
    let operation = to(
        &["r1"],
        vec!["hi".into(), binary(&[1, 2, 3]), Value::Null, Value::Object(vec![]), binary(&[7])],
    );
    check(
        &config,
        uid,
        &operation,
        None,
        "socket.io#/#r1#",
        "84a47479706503a46461746182a67061636b657482a47479706502a46461746195a26869c403010203c080c40107a46f70747383a5726f6f6d7391a27231a665786365707490a5666c61677380a3756964b066333861616633616462636436336636a36e7370a12f",
    );
    let (channel, message) = sent(&config, uid, &hi(), None);
    assert_eq!(&*channel, "socket.io#/#");
    assert_eq!(
        message,
        r#"{"type":3,"data":{"packet":{"type":2,"data":["hi",1]},"opts":{"rooms":[],"except":[],"flags":{}}},"uid":"f38aaf3adbcd63f6","nsp":"/"}"#
    );
}

#[test]
fn streams_requests_have_the_bytes_of_the_reference() {
    let (uid, request) = ("679c6eeb96fd052f", "25b13d3497213a10");
    check(
        &streams(),
        uid,
        &asking(vec!["q".into(), "ping".into()]),
        Some(request),
        "socket.io#/#",
        "84a47479706503a46461746183a67061636b657482a47479706502a46461746192a171a470696e67a9726571756573744964b032356231336433343937323133613130a46f70747383a5726f6f6d7390a665786365707490a5666c61677381a774696d656f7574ccc8a3756964b036373963366565623936666430353266a36e7370a12f",
    );
    let event = event(vec![
        "sse".into(),
        "v".into(),
        Value::Null,
        Value::Null,
        Value::Object(vec![("u".into(), Value::Null)]),
    ]);
    check(
        &streams(),
        uid,
        &Operation::ServerSideEmit { event, request: None },
        None,
        "socket.io#/#",
        "84a47479706509a46461746181a67061636b657495a3737365a176c0c081a175c0a3756964b036373963366565623936666430353266a36e7370a12f",
    );
}

#[test]
fn streams_responses_have_the_bytes_of_the_reference() {
    let (uid, to) = ("7a7744b431cf5df0", ("679c6eeb96fd052f", "25b13d3497213a10"));
    let respond = |response| responded(&streams(), uid, to, Reply::ACKS, &response);
    let (channel, message) = respond(Response::Clients(1));
    assert_eq!(&*channel, "socket.io#/#679c6eeb96fd052f#");
    assert_eq!(
        message,
        bytes(
            "84a4747970650ba46461746182a9726571756573744964b032356231336433343937323133613130ab636c69656e74436f756e7401a3756964b037613737343462343331636635646630a36e7370a12f"
        )
    );
    let (_, message) = respond(Response::Ack(Args::ack("pong").unwrap()));
    assert_eq!(
        message,
        bytes(
            "84a4747970650ca46461746182a9726571756573744964b032356231336433343937323133613130a67061636b6574a4706f6e67a3756964b037613737343462343331636635646630a36e7370a12f"
        )
    );
}

#[test]
fn streams_entry_with_binary_data_is_read() {
    let data = "gqZwYWNrZXSCpHR5cGUCpGRhdGGVomhpxAMBAgPAgaF1wNb/AAAAAKRvcHRzg6Vyb29tc5GicjGmZXhjZXB0kKVmbGFnc4A=";
    let mut wire = node(streams(), 1);
    let fields: [(&str, &[u8]); 4] =
        [("uid", b"679f3eeb96fd052f"), ("nsp", b"/"), ("type", b"3"), ("data", data.as_bytes())];
    wire.handle_entry(at(0), "socket.io", "7-0", &fields);
    let read = operation(&mut wire);
    let object = Value::Object(vec![("u".into(), Value::Null)]);
    let expected = to(
        &["r1"],
        vec![
            "hi".into(),
            binary(&[1, 2, 3]),
            Value::Null,
            object,
            "1970-01-01T00:00:00.000Z".into(),
        ],
    );
    assert_eq!(shown(&read), shown(&expected));
    let Operation::Broadcast(Broadcast { offset, .. }) = read else { panic!("{read:?}") };
    assert_eq!(offset, "7-0".parse().ok(), "the id of the entry is the offset");
}

#[test]
fn streams_entry_has_the_fields_of_the_reference() {
    let sender = Sender { uid: "679f3eeb96fd052f", namespace: "/" };
    let Command::Append { stream, fields, max_len, .. } =
        streams().operation(&sender, &hi(), None).unwrap()
    else {
        panic!()
    };
    assert_eq!((&*stream, max_len), ("socket.io", 10_000));
    let data =
        r#"{"packet":{"type":2,"data":["hi",1]},"opts":{"rooms":[],"except":[],"flags":{}}}"#;
    let expected = [("uid", "679f3eeb96fd052f"), ("nsp", "/"), ("type", "3"), ("data", data)];
    assert_eq!(fields, expected.map(|(name, value)| (name, Bytes::from_static(value.as_bytes()))));

    let operation = to(&["r1"], vec!["hi".into(), binary(&[1, 2, 3])]);
    let Command::Append { fields, .. } = streams().operation(&sender, &operation, None).unwrap()
    else {
        panic!()
    };
    assert!(fields[3].1.starts_with(
        b"gqZwYWNrZXSCpHR5cGUCpGRhdGGSomhpxAMBAgOkb3B0c4Olcm9vbXORonIxpmV4Y2VwdJClZmxhZ3OA"
    ));
}

#[test]
fn postgres_message_that_is_stored_apart_has_the_bytes_of_the_reference() {
    let hex = "84a47479706503a46461746182a67061636b657482a47479706502a46461746193a26869c403010203c0a46f70747383a5726f6f6d7391a27231a665786365707490a5666c61677380a3756964b066366666323838653136383839383434a36e7370a12f";
    let operation = to(&["r1"], vec!["hi".into(), binary(&[1, 2, 3]), Value::Null]);
    let sender = Sender { uid: "f6ff288e16889844", namespace: "/" };
    let command = heartbeats().operation(&sender, &operation, None).unwrap();
    let Command::Publish { channel, message, attachment: Some(head), .. } = command else {
        panic!("{command:?}")
    };
    assert_eq!((&*channel, message.clone()), ("socket.io#/", bytes(hex)));
    assert_eq!(head.message(12), r#"{"uid":"f6ff288e16889844","type":3,"attachmentId":"12"}"#);

    let mut wire = node(heartbeats(), 1);
    wire.handle_published(at(0), "socket.io#/", head.message(12).into());
    assert_eq!(commands(&mut wire), [Command::Fetch { channel, attachment: 12 }]);
    wire.handle_fetched(at(0), "socket.io#/", message);
    assert_eq!(shown(&super::operation(&mut wire)), shown(&operation));
}

#[test]
fn only_plaintext_writes_binary_data_as_json_stringify_does() {
    let config = StreamsConfig { only_plaintext: true, ..StreamsConfig::default() };
    let config = WireConfig::new(Format::Streams(config));
    let sender = Sender { uid: "679f3eeb96fd052f", namespace: "/" };
    let operation = to(&[], vec!["e".into(), binary(&[1, 2])]);
    let Command::Append { fields, .. } = config.operation(&sender, &operation, None).unwrap()
    else {
        panic!()
    };
    let data = core::str::from_utf8(&fields[3].1).unwrap();
    assert!(
        data.starts_with(r#"{"packet":{"type":2,"data":["e",{"type":"Buffer","data":[1,2]}]},"#),
        "{data}"
    );
}

#[test]
fn message_is_the_same_in_both_syntaxes() {
    let write = |out: &mut Out| {
        out.map(2, |out| {
            out.name("a").texts(&["x", "y\""])?;
            out.name("b").map(0, |_| Ok(()))
        })
    };
    assert_eq!(Out::message(false, write).unwrap(), r#"{"a":["x","y\""],"b":{}}"#);
    assert_eq!(Out::message(true, write).unwrap(), &b"\x82\xa1a\x92\xa1x\xa2y\"\xa1b\x80"[..]);
}
