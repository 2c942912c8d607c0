//! Parsers of messages: whole, cut off at each byte, with trailing bytes.

use super::{
    super::{WireFault, part::Whole},
    *,
};

/// Every message that the nodes of a format publish for these operations.
fn messages(config: &WireConfig) -> Vec<(Arc<str>, Bytes)> {
    let mut wire = node(config.clone(), 9);
    let target = || Target::all().to("r1").except("r2");
    let asking = Broadcast {
        request: Some(RequestId(1)),
        ..emit(target(), event(vec!["q".into(), binary(&[1])]))
    };
    for operation in [
        hi(),
        Operation::Broadcast(asking),
        Operation::Join { target: target(), rooms: vec!["r".into()] },
        Operation::Disconnect { target: target(), close: true },
        fetch(2),
        Operation::ServerSideEmit {
            event: Args::event("e", &1).unwrap(),
            request: Some(RequestId(3)),
        },
    ] {
        wire.send(at(0), message(operation));
    }
    commands(&mut wire)
        .into_iter()
        .filter_map(|command| match command {
            Command::Publish { channel, message, attachment: None, .. } => Some((channel, message)),
            _ => None,
        })
        .collect()
}

#[test]
fn message_that_is_cut_off_or_goes_on_is_a_fault_at_each_byte() {
    for config in configs() {
        for (channel, whole) in messages(&config) {
            let mut wire = node(config.clone(), 1);
            wire.handle_published(at(0), &channel, whole.clone());
            operation(&mut wire);
            for end in 0..whole.len() {
                wire.handle_published(at(0), &channel, whole.slice(..end));
                let error = fault(&mut wire);
                assert!(matches!(error.fault, WireFault::Unreadable(_)), "{end} {error}");
            }
            for trailing in [&b"\xc0"[..], b"{}", b"x"] {
                wire.handle_published(at(0), &channel, [&whole, trailing].concat().into());
                let error = fault(&mut wire);
                assert!(matches!(error.fault, WireFault::Unreadable(_)), "{error}");
            }
        }
    }
}

#[test]
fn message_with_any_byte_changed_does_not_panic() {
    for config in configs() {
        for (channel, whole) in messages(&config) {
            let mut wire = node(config.clone(), 1);
            let mut bytes = whole.to_vec();
            for at_byte in 0..bytes.len() {
                let was = bytes[at_byte];
                for byte in [0, 0x7f, 0x80, 0xc1, 0xdf, 0xff, b'"', b'{', was ^ 1] {
                    bytes[at_byte] = byte;
                    wire.handle_published(at(0), &channel, bytes.clone().into());
                    assert!(events(&mut wire).len() <= 3);
                }
                bytes[at_byte] = was;
            }
        }
    }
}

fn value(bytes: &'static [u8]) -> Result<Value, WireFault> {
    let whole = Whole::of_msgpack(Bytes::from_static(bytes))?;
    Ok(whole.part().payload()?.to_value().unwrap())
}

#[test]
fn values_of_all_encoders_are_read() {
    let text = |text: &str| Value::String(text.into());
    for (bytes, expected) in [
        (&b"\xd4\x00\x00"[..], Value::Null),
        (b"\xc7\x02\x00ab", binary(b"ab")),
        (b"\xc8\x00\x02\x00ab", binary(b"ab")),
        (b"\xc9\x00\x00\x00\x02\x00ab", binary(b"ab")),
        (b"\xc4\x02ab", binary(b"ab")),
        (b"\xc5\x00\x02ab", binary(b"ab")),
        (b"\xc6\x00\x00\x00\x02ab", binary(b"ab")),
        (b"\xd7\x00\x00\x00\x00\x00\x00\x00\x03\xe8", text("1970-01-01T00:00:01.000Z")),
        (b"\xd6\xff\x00\x00\x00\x01", text("1970-01-01T00:00:01.000Z")),
        (b"\xd7\xff\x00\x3d\x09\x00\x00\x00\x00\x01", text("1970-01-01T00:00:01.001Z")),
        (
            b"\xc7\x0c\xff\x00\x0f\x42\x40\xff\xff\xff\xff\xff\xff\xff\xff",
            text("1969-12-31T23:59:59.001Z"),
        ),
        (b"\xc7\x0c\xff\xff\xff\xff\xff\x7f\xff\xff\xff\xff\xff\xff\xff", Value::Null),
        (b"\xcc\xff", 255_u8.into()),
        (b"\xcd\x00\x01", 1_u8.into()),
        (b"\xce\x00\x00\x00\x01", 1_u8.into()),
        (b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff", u64::MAX.into()),
        (b"\xd0\xff", (-1_i8).into()),
        (b"\xd1\xff\xff", (-1_i8).into()),
        (b"\xd2\xff\xff\xff\xff", (-1_i8).into()),
        (b"\xd3\x80\x00\x00\x00\x00\x00\x00\x00", i64::MIN.into()),
        (b"\xca\x3f\xc0\x00\x00", 1.5.into()),
        (b"\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00", 1.5.into()),
        (b"\xa2a\xff", text("a\u{fffd}")),
        (b"\xd9\x01a", text("a")),
        (b"\xda\x00\x01a", text("a")),
        (b"\xdb\x00\x00\x00\x01a", text("a")),
        // A surrogate that stands alone, as the encoders write it.
        (b"\xa3\xed\xa0\x80", text("\u{fffd}\u{fffd}\u{fffd}")),
        (b"\xdc\x00\x01\xc3", Value::Array(vec![true.into()])),
        (b"\xdd\x00\x00\x00\x01\xc2", Value::Array(vec![false.into()])),
        (b"\xde\x00\x01\xa1a\xc0", Value::Object(vec![("a".into(), Value::Null)])),
        (b"\xdf\x00\x00\x00\x01\x07\xc0", Value::Object(vec![("7".into(), Value::Null)])),
        (b"\xd5\x05ab", Value::Array(vec![5_u8.into(), binary(b"ab")])),
    ] {
        assert_eq!(value(bytes).unwrap(), expected, "{}", bytes.escape_ascii());
    }
}

#[test]
fn members_may_come_in_any_order_and_the_last_of_a_name_counts() {
    let json = r#" {"type":9 ,"x":[{"uid":1}],"uid":"b","u\u0069d":"a", "nsp":"\/", "type" : 3,"data":{"opts":{"rooms":[7,-1,1.5,"r"]},"packet":{"data":["hi",1],"type":5}}}"#;
    let mut wire = node(sharded(SubscriptionMode::Static), 1);
    // Without the space, by which it would not be JSON for the reference.
    wire.handle_published(at(0), "socket.io#/#", Bytes::from_static(json.as_bytes()).slice(1..));
    let Operation::Broadcast(Broadcast { target, event, .. }) = operation(&mut wire) else {
        panic!()
    };
    assert_eq!(target, ["7", "-1", "1.5", "r"].into_iter().fold(Target::all(), Target::to));
    assert_eq!(event.name().as_deref(), Some("hi"));
}

#[test]
fn json_that_is_not_utf8_is_read_with_replacement_characters() {
    let mut wire = node(sharded(SubscriptionMode::Static), 1);
    let message =
        &b"{\"type\":3,\"uid\":\"a\",\"nsp\":\"/\",\"data\":{\"packet\":{\"data\":[\"h\xff\"]}}}"[..];
    wire.handle_published(at(0), "socket.io#/#", Bytes::from_static(message));
    let Operation::Broadcast(Broadcast { event, .. }) = operation(&mut wire) else { panic!() };
    assert_eq!(event.name().as_deref(), Some("h\u{fffd}"));
}

#[test]
fn odd_times_are_bounded() {
    let mut wire = node(sharded(SubscriptionMode::Static), 1);
    for (timeout, expected) in [
        ("200", Duration::from_millis(200)),
        ("0.5", Duration::from_micros(500)),
        ("-1", Duration::ZERO),
        ("1e300", Duration::MAX),
    ] {
        let message = format!(
            r#"{{"type":3,"uid":"a","nsp":"/","data":{{"requestId":"r","packet":{{"data":["q"]}},"opts":{{"flags":{{"timeout":{timeout}}}}}}}}}"#
        );
        wire.handle_published(at(0), "socket.io#/#", message.into());
        let Operation::Broadcast(Broadcast { timeout, .. }) = operation(&mut wire) else {
            panic!()
        };
        assert_eq!(timeout, Some(expected));
    }
    while let Some(due) = wire.poll_timeout().filter(|&due| due <= at(601_000)) {
        wire.handle_timeout(due);
    }
    assert_eq!(
        wire.foreign.len(),
        0,
        "none is kept longer than the longest time for acknowledgements"
    );
}

#[test]
fn event_shares_the_storage_of_the_message() {
    let payload = vec![7; 1000];
    let message: Bytes =
        [&b"\x93\xa1a\x81\xa4data\x92\xa1e\xc5\x03\xe8"[..], &payload, b"\x80"].concat().into();
    let range = message.as_ptr_range();
    let mut wire = node(classic(), 1);
    wire.handle_published(at(0), "socket.io#/#", message.clone());
    let Operation::Broadcast(Broadcast { event, .. }) = operation(&mut wire) else { panic!() };
    assert!(range.contains(&event.payload().attachments()[0].as_ptr()));
    let text =
        Bytes::from_static(br#"{"type":3,"uid":"a","nsp":"/","data":{"packet":{"data":["e",1]}}}"#);
    let mut wire = node(sharded(SubscriptionMode::Static), 1);
    wire.handle_published(at(0), "socket.io#/#", text.clone());
    let Operation::Broadcast(Broadcast { event, .. }) = operation(&mut wire) else { panic!() };
    assert!(text.as_ptr_range().contains(&event.payload().as_json().unwrap().as_ptr()));
}
