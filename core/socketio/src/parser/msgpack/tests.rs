//! The rules of the format, one by one. `tests/tests/sio_vectors.rs` compares with the reference.

use alloc::{string::String, vec, vec::Vec};

use proptest::{collection::vec as some, prelude::*};

use super::*;

/// The bytes that the text has in hexadecimal, with blanks anywhere.
fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b' ').collect();
    let byte = |pair: &[u8]| u8::from_str_radix(core::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

/// A packet of these members, each a name and the value in hexadecimal, in the namespace `/`.
fn bytes(members: &[(&str, &str)]) -> Bytes {
    let mut out = Writer::default();
    out.map(u32::try_from(members.len() + 1).unwrap());
    let mut message = out.finish().to_vec();
    for (name, value) in members.iter().chain([&("nsp", "a12f")]) {
        let mut out = Writer::default();
        out.text(name);
        message.extend_from_slice(&out.finish());
        message.extend(hex(value));
    }
    message.into()
}

/// An event `v` with one argument, in hexadecimal.
fn argument(value: &str) -> Bytes {
    bytes(&[("type", "02"), ("data", &[" 92a176", value].concat())])
}

fn value(payload: &Payload) -> Value {
    payload.value().into_owned()
}

/// The argument that is read in an event.
fn read(hexadecimal: &str) -> Value {
    let PacketData::Event { args, .. } = decode(&argument(hexadecimal)).unwrap().data else {
        panic!("no event");
    };
    match value(args.payload()) {
        Value::Array(mut args) if args.len() == 2 => args.remove(1),
        other => panic!("{other:?}"),
    }
}

fn error(members: &[(&str, &str)]) -> PacketError {
    decode(&bytes(members)).unwrap_err()
}

fn unsigned(number: u64) -> Value {
    Value::Number(Number::Unsigned(number))
}

fn negative(number: i64) -> Value {
    Value::Number(Number::Negative(number))
}

fn float(number: f64) -> Value {
    Value::Number(Number::Float(number))
}

fn text(text: &str) -> Value {
    Value::String(text.into())
}

fn binary(bytes: &'static [u8]) -> Value {
    Value::Binary(Bytes::from_static(bytes))
}

fn object(members: &[(&str, Value)]) -> Value {
    Value::Object(members.iter().map(|(name, value)| ((*name).into(), value.clone())).collect())
}

fn packet(namespace: &str, data: PacketData) -> Packet {
    Packet { namespace: namespace.into(), data }
}

fn payload(value: Value) -> Payload {
    Payload::from_value(value)
}

/// An event without a number.
fn plain_event(args: Args) -> PacketData {
    PacketData::Event { ack: None, args }
}

fn args(values: &[Value]) -> Args {
    Args::from_values(values.to_vec())
}

/// Packets of each kind, and their bytes as the reference server writes them.
fn packets() -> Vec<(Packet, Vec<u8>)> {
    let no = object(&[("message", text("no"))]);
    let sid = object(&[("sid", text("x"))]);
    let event = |ack, values: &[Value]| PacketData::Event {
        ack: Option::map(ack, AckId),
        args: args(values),
    };
    let ack = |id, values: &[Value]| PacketData::Ack { id: AckId(id), args: args(values) };
    let hi = [text("hi"), unsigned(1)];
    [
        (packet("/", PacketData::Connect(None)), "83a47479706500a464617461d40000a36e7370a12f"),
        (
            packet("/a", PacketData::Connect(Some(payload(sid)))),
            "83a47479706500a46461746181a3736964a178a36e7370a22f61",
        ),
        (packet("/", PacketData::Disconnect), "82a47479706501a36e7370a12f"),
        (packet("/", event(None, &hi)), "83a47479706502a46461746192a2686901a36e7370a12f"),
        (
            packet("/", event(Some(0), &hi)),
            "84a47479706502a46461746192a2686901a2696400a36e7370a12f",
        ),
        (
            packet("/", event(None, &[text("b"), binary(&[1, 2]), Value::Null])),
            "83a47479706502a46461746193a162c4020102c0a36e7370a12f",
        ),
        (packet("/", ack(1, &[])), "84a2696401a47479706503a46461746190a36e7370a12f"),
        (
            packet("/", ack(1 << 64, &[unsigned(5)])),
            "84a26964cb43f0000000000000a47479706503a4646174619105a36e7370a12f",
        ),
        (
            packet("/", PacketData::ConnectError(payload(no))),
            "83a47479706504a46461746181a76d657373616765a26e6fa36e7370a12f",
        ),
        (
            packet("/", PacketData::ConnectError(payload(text("no")))),
            "83a47479706504a464617461a26e6fa36e7370a12f",
        ),
    ]
    .map(|(packet, bytes)| (packet, hex(bytes)))
    .into()
}

#[test]
fn packets_are_written_and_read_whole() {
    for (packet, bytes) in packets() {
        assert_eq!(encode(&packet), bytes, "{packet:?}");
        let again = decode(&bytes.clone().into()).unwrap();
        assert_eq!(again.namespace, packet.namespace);
        assert_eq!(encode(&again), bytes, "{again:?}");
    }
}

#[test]
fn packets_cut_off_anywhere_are_refused() {
    for (packet, bytes) in packets() {
        for end in 0..bytes.len() {
            let error = decode(&Bytes::copy_from_slice(&bytes[..end])).unwrap_err();
            let expected = match error {
                PacketError::Empty => end == 0,
                PacketError::Syntax(_) => end > 0,
                _ => false,
            };
            assert!(expected, "{packet:?} cut off at {end}: {error}");
        }
    }
}

#[test]
fn trailing_bytes_are_refused() {
    for (_, mut bytes) in packets() {
        bytes.push(0xc0);
        let error = decode(&bytes.clone().into()).unwrap_err();
        let text = alloc::format!("trailing bytes at byte {}", bytes.len() - 1);
        assert_eq!(error, PacketError::Syntax(text));
    }
}

#[test]
fn values_that_are_no_packet_are_refused() {
    for value in ["c0", "02", "90", "a179", "d40000", "80", "8100c0"] {
        assert_eq!(decode(&hex(value).into()).unwrap_err(), PacketError::UnknownType, "{value}");
    }
}

#[test]
fn types_are_integers_from_0_to_4_in_any_form() {
    for kind in ["02", "cc02", "cd0002", "ce00000002", "cf0000000000000002", "d002", "d10002"]
        .into_iter()
        .chain(["d200000002", "d30000000000000002", "ca40000000", "cb4000000000000000"])
    {
        let packet = decode(&bytes(&[("type", kind), ("data", "91a161")])).unwrap();
        assert!(matches!(packet.data, PacketData::Event { .. }), "{kind}");
    }
    for kind in ["05", "06", "ff", "c0", "c2", "a132", "9102", "ca40200000", "d40000"] {
        let error = error(&[("type", kind), ("data", "91a161")]);
        assert_eq!(error, PacketError::UnknownType, "{kind}");
    }
}

#[test]
fn a_namespace_is_text() {
    for namespace in ["c0", "01", "c4012f", "d40000", "912f"] {
        let message = hex(&["82 a474797065 01 a36e7370", namespace].concat());
        let error = decode(&message.into()).unwrap_err();
        assert_eq!(error, PacketError::InvalidPayload, "{namespace}");
    }
    assert_eq!(decode(&hex("81 a474797065 01").into()).unwrap_err(), PacketError::InvalidPayload);
}

#[test]
fn payloads_fit_their_types() {
    let wrong = [
        ("00", "c0 90 01 a161 c40101 c3 d7000000000000000001 d40101"),
        ("01", "c0 80 90 a0"),
        ("02", "d40000 c0 80 a161 01 c40101 91c0 9190 91c3 91d40000 91c40161"),
        ("03", "d40000 c0 80 a161 01"),
        ("04", "d40000 c0 90 01 c40101"),
    ];
    for (kind, values) in wrong {
        for value in values.split(' ') {
            let error = error(&[("type", kind), ("data", value), ("id", "01")]);
            assert_eq!(error, PacketError::InvalidPayload, "{kind} {value}");
        }
    }
    for kind in ["02", "03", "04"] {
        assert_eq!(error(&[("type", kind), ("id", "01")]), PacketError::InvalidPayload);
    }
    let right = [
        ("00", "80 81a16101 d40000 de0000"),
        ("01", "d40000 d400ff"),
        ("02", "90 91a161 91a0 9101 91ff 91cb3ff8000000000000 dc0001a161 dd00000001a161"),
        ("03", "90 9101 dc0000"),
        ("04", "a0 a161 80 81a16101"),
    ];
    for (kind, values) in right {
        for value in values.split(' ') {
            let message = bytes(&[("type", kind), ("data", value), ("id", "01")]);
            assert!(decode(&message).is_ok(), "{kind} {value}");
        }
    }
    assert!(decode(&bytes(&[("type", "00")])).is_ok());
    assert!(decode(&bytes(&[("type", "01")])).is_ok());
}

#[test]
fn events_have_no_reserved_names() {
    for name in ["connect", "connect_error", "disconnect", "disconnecting"]
        .into_iter()
        .chain(["newListener", "removeListener"])
    {
        let event = plain_event(args(&[text(name)]));
        let error = decode(&encode(&packet("/", event))).unwrap_err();
        assert_eq!(error, PacketError::ReservedName);
        let ack = PacketData::Ack { id: AckId(0), args: args(&[text(name)]) };
        assert!(decode(&encode(&packet("/", ack))).is_ok());
    }
    for name in ["error", "connection", "message", "connec", "connect "] {
        let event = plain_event(args(&[text(name)]));
        assert!(decode(&encode(&packet("/", event))).is_ok());
    }
}

#[test]
fn ids_are_integers_that_are_not_negative() {
    let id = |id: &str| {
        let message = bytes(&[("type", "02"), ("data", "91a161"), ("id", id)]);
        match decode(&message)?.data {
            PacketData::Event { ack, .. } => Ok(ack.map(|AckId(id)| id)),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(id("00"), Ok(Some(0)));
    assert_eq!(id("d17fff"), Ok(Some(0x7fff)));
    assert_eq!(id("cfffffffffffffffff"), Ok(Some(u128::from(u64::MAX))));
    assert_eq!(id("cb8000000000000000"), Ok(Some(0)));
    assert_eq!(id("cb4415af1d78b58c40"), Ok(Some(100_000_000_000_000_000_000)));
    assert_eq!(id("cb47efffffffffffff"), Ok(Some(u128::MAX - ((1 << 75) - 1))));
    assert_eq!(id("d40000"), Ok(None));
    for wrong in ["c0", "c2", "a131", "9101", "80", "c40101", "ff", "d0ff", "cbbff0000000000000"]
        .into_iter()
        .chain(["cb3ff8000000000000", "cb7ff8000000000000", "cb7ff0000000000000"])
        .chain(["cb47f0000000000000", "cb54b249ad2594c37d"])
    {
        assert_eq!(id(wrong), Err(PacketError::InvalidAckId), "{wrong}");
    }
    assert_eq!(error(&[("type", "03"), ("data", "90")]), PacketError::InvalidAckId);
}

#[test]
fn of_members_with_the_same_name_the_last_counts() {
    let message = bytes(&[
        ("type", "01"),
        ("id", "01"),
        ("data", "c0"),
        ("type", "02"),
        ("id", "d40000"),
        ("data", "91a161"),
    ]);
    let packet = decode(&message).unwrap();
    assert!(matches!(packet.data, PacketData::Event { ack: None, .. }));
}

#[test]
fn other_members_are_passed_over_at_any_depth() {
    let deep = ["91".repeat(100_000), "c0".into()].concat();
    let flat = ["dc0100".into(), "82a16101a162910 2".repeat(256)].concat();
    for value in ["c0", "81a8636f6d7072657373c3", "d40102", "c7000 0", &deep, &flat] {
        let message = bytes(&[("type", "02"), ("options", value), ("data", "91a161")]);
        assert!(decode(&message).is_ok());
    }
}

#[test]
fn integers_are_read_in_every_form() {
    for (form, number) in [
        ("00", 0),
        ("7f", 0x7f),
        ("cc00", 0),
        ("ccff", 0xff),
        ("cdffff", 0xffff),
        ("ceffffffff", 0xffff_ffff),
        ("cfffffffffffffffff", u64::MAX),
        ("d07f", 0x7f),
        ("d17fff", 0x7fff),
        ("d27fffffff", 0x7fff_ffff),
        ("d37fffffffffffffff", 0x7fff_ffff_ffff_ffff),
    ] {
        assert_eq!(read(form), unsigned(number), "{form}");
    }
    for (form, number) in [
        ("e0", -32),
        ("ff", -1),
        ("d080", -128),
        ("d1ffff", -1),
        ("d18000", -0x8000),
        ("d280000000", -0x8000_0000),
        ("d38000000000000000", i64::MIN),
    ] {
        assert_eq!(read(form), negative(number), "{form}");
    }
}

#[test]
fn integers_are_written_in_the_shortest_form() {
    for (number, form) in [
        (0, "00"),
        (0x7f, "7f"),
        (0x80, "cc80"),
        (0xff, "ccff"),
        (0x100, "cd0100"),
        (0xffff, "cdffff"),
        (0x1_0000, "ce00010000"),
        (0xffff_ffff, "ceffffffff"),
        (0x1_0000_0000, "cf0000000100000000"),
        (u64::MAX, "cfffffffffffffffff"),
    ] {
        assert_eq!(written(&unsigned(number)), hex(form));
    }
    for (number, form) in [
        (-1, "ff"),
        (-0x20, "e0"),
        (-0x21, "d0df"),
        (-0x80, "d080"),
        (-0x81, "d1ff7f"),
        (-0x8000, "d18000"),
        (-0x8001, "d2ffff7fff"),
        (-0x8000_0000, "d280000000"),
        (-0x8000_0001, "d3ffffffff7fffffff"),
        (i64::MIN, "d38000000000000000"),
        (5, "05"),
    ] {
        assert_eq!(written(&negative(number)), hex(form));
    }
}

#[test]
fn floats_are_read_in_both_widths_and_written_in_the_larger() {
    assert_eq!(read("ca3fc00000"), float(1.5));
    assert_eq!(read("cb3ff8000000000000"), float(1.5));
    assert_eq!(read("ca3dcccccd"), float(0.1_f32.into()));
    assert_eq!(read("cb7ff0000000000000"), float(f64::INFINITY));
    assert!(matches!(read("ca7fc00000"), Value::Number(Number::Float(nan)) if nan.is_nan()));
    assert_eq!(written(&float(1.5)), hex("cb3ff8000000000000"));
    assert_eq!(written(&float(f64::NEG_INFINITY)), hex("cbfff0000000000000"));
    assert_eq!(written(&float(f64::NAN)), hex("cb7ff8000000000000"));
}

#[test]
fn floats_without_a_fraction_are_written_as_integers_of_up_to_64_bits() {
    let two = |exponent: u64| f64::from_bits((1023 + exponent) << 52);
    for (number, form) in [
        (2.0, "02"),
        (-0.0, "00"),
        (-2.0, "fe"),
        (two(53), "cf0020000000000000"),
        (two(64) - two(11), "cffffffffffffff800"),
        (two(64), "cb43f0000000000000"),
        (-two(63), "d38000000000000000"),
        (-two(64), "cbc3f0000000000000"),
        (f64::MAX, "cb7fefffffffffffff"),
    ] {
        assert_eq!(written(&float(number)), hex(form), "{number}");
    }
}

#[test]
fn text_and_binary_data_have_every_length() {
    for (length, text_head, binary_head) in [
        (0, "a0", "c400"),
        (31, "bf", "c41f"),
        (32, "d920", "c420"),
        (255, "d9ff", "c4ff"),
        (256, "da0100", "c50100"),
        (65_535, "daffff", "c5ffff"),
        (65_536, "db00010000", "c600010000"),
    ] {
        let content = "x".repeat(length);
        let values =
            [(text(&content), text_head), (Value::Binary(content.clone().into()), binary_head)];
        for (value, head) in values {
            let bytes = written(&value);
            assert_eq!(bytes, [&hex(head), content.as_bytes()].concat(), "{length}");
            assert_eq!(unwritten(bytes), value);
        }
    }
    for form in ["a161", "d90161", "da000161", "db0000000161"] {
        assert_eq!(read(form), text("a"));
    }
    for form in ["c40161", "c5000161", "c60000000161"] {
        assert_eq!(read(form), binary(b"a"));
    }
}

#[test]
fn lists_and_maps_have_every_length() {
    for (length, array, map) in [
        (0, "90", "80"),
        (15, "9f", "8f"),
        (16, "dc0010", "de0010"),
        (65_535, "dcffff", "deffff"),
        (65_536, "dd00010000", "df00010000"),
    ] {
        let value = Value::Array(vec![Value::Null; length]);
        assert_eq!(written(&value), [hex(array), vec![0xc0; length]].concat());
        assert_eq!(unwritten(written(&value)), value);
        let value = Value::Object(vec![("a".into(), Value::Bool(true)); length]);
        assert_eq!(written(&value), [hex(map), hex("a161c3").repeat(length)].concat());
        assert_eq!(unwritten(written(&value)), value);
    }
    for form in ["91c0", "dc0001c0", "dd00000001c0"] {
        assert_eq!(read(form), Value::Array(vec![Value::Null]));
    }
    for form in ["81a161c2", "de0001a161c2", "df00000001a161c2"] {
        assert_eq!(read(form), object(&[("a", Value::Bool(false))]));
    }
}

#[test]
fn extensions_of_type_zero_are_values_of_javascript() {
    assert_eq!(read("d40000"), Value::Null);
    assert_eq!(read("92d40000d40007"), Value::Array(vec![Value::Null; 2]));
    assert_eq!(read("83a161d40000a162c0a163d40000"), object(&[("b", Value::Null)]));
    assert_eq!(read("d7000000000000000001"), text("1970-01-01T00:00:00.001Z"));
    assert_eq!(read("d7007fffffffffffffff"), Value::Null);
    for form in ["c701000 7", "c800010007", "c9000000010007"] {
        assert_eq!(read(form), binary(&[7]), "{form}");
    }
    assert_eq!(read("c70000"), binary(&[]));
    assert_eq!(read("c708000000000000000001"), binary(&[0, 0, 0, 0, 0, 0, 0, 1]));
}

#[test]
fn other_extensions_are_their_type_and_bytes() {
    let extension = |kind, bytes| Value::Array(vec![kind, binary(bytes)]);
    assert_eq!(read("d40107"), extension(unsigned(1), &[7]));
    assert_eq!(read("d4ff07"), extension(negative(-1), &[7]));
    assert_eq!(read("d5000102"), extension(unsigned(0), &[1, 2]));
    assert_eq!(read("d6ff01020304"), extension(negative(-1), &[1, 2, 3, 4]));
    assert_eq!(read("d7800102030405060708"), extension(negative(-128), &[1, 2, 3, 4, 5, 6, 7, 8]));
    let sixteen = ["d800", &"09".repeat(16)].concat();
    assert_eq!(read(&sixteen), extension(unsigned(0), &[9; 16]));
    for form in ["c7010507", "c800010507", "c9000000010507"] {
        assert_eq!(read(form), extension(unsigned(5), &[7]), "{form}");
    }
}

#[test]
fn the_marker_that_is_never_used_is_refused() {
    let error = decode(&argument("c1")).unwrap_err();
    assert_eq!(error, PacketError::Syntax("an unknown marker at byte 15".into()));
}

#[test]
fn text_that_is_no_utf_8_is_replaced() {
    assert_eq!(read("a1ff"), text("\u{fffd}"));
    assert_eq!(read("a3eda080"), text("\u{fffd}\u{fffd}\u{fffd}"));
    assert_eq!(read("a6e282ace28261"), text("€\u{fffd}a"));
    assert_eq!(read("81a1ffc3"), object(&[("\u{fffd}", Value::Bool(true))]));
}

#[test]
fn names_of_members_become_text() {
    for (form, name) in [
        ("a161", "a"),
        ("d90161", "a"),
        ("01", "1"),
        ("ff", "-1"),
        ("cfffffffffffffffff", "18446744073709551615"),
        ("c0", "null"),
        ("c2", "false"),
        ("d40000", "undefined"),
        ("c40161", "a"),
    ] {
        let expected = object(&[(name, Value::Bool(true))]);
        assert_eq!(read(&["81", form, "c3"].concat()), expected, "{form}");
    }
    for form in ["90", "80", "cb3ff8000000000000", "d40107"] {
        let error = decode(&argument(&["81", form, "c3"].concat())).unwrap_err();
        let expected = PacketError::Syntax("a name of a member is no text at byte 16".into());
        assert_eq!(error, expected, "{form}");
    }
}

#[test]
fn binary_data_shares_the_message() {
    let message = argument("93 c403010203 c7020 00405 d40107");
    let range = message.as_ptr_range();
    let PacketData::Event { args, .. } = decode(&message).unwrap().data else {
        panic!("no event");
    };
    let mut parts = Vec::new();
    collect(&value(args.payload()), &mut parts);
    assert_eq!(parts, [&[1, 2, 3][..], &[4, 5], &[7]]);
    assert!(parts.iter().all(|part| range.contains(&part.as_ptr())));

    fn collect(value: &Value, parts: &mut Vec<Bytes>) {
        match value {
            Value::Binary(bytes) => parts.push(bytes.clone()),
            Value::Array(values) => values.iter().for_each(|value| collect(value, parts)),
            _ => {}
        }
    }
}

#[test]
fn lengths_without_bytes_are_refused_at_once() {
    for value in ["dc0001", "ddffffffff", "de0001", "dfffffffff", "a1", "d901", "dbffffffff"]
        .into_iter()
        .chain(["c401", "c6ffffffff", "c70100", "c9ffffffff00", "c9ffffffff01", "c908000000 00"])
    {
        assert!(matches!(decode(&hex(value).into()), Err(PacketError::Syntax(_))), "{value}");
        let message = [hex("82a474797065 02 a464617461"), hex(value)].concat();
        assert!(matches!(decode(&message.into()), Err(PacketError::Syntax(_))), "{value}");
    }
}

#[test]
fn a_byte_takes_no_more_memory_than_documented() {
    assert!(size_of::<Value>() <= 40);
    assert!(size_of::<(String, Value)>() <= 2 * 40);
}

#[test]
fn payloads_are_nested_up_to_the_limit() {
    for open in ["91", "81a161"] {
        // The list of arguments is a level too.
        let most = open.repeat(MAX_DEPTH - 1);
        assert!(decode(&argument(&[&most, "c0"].concat())).is_ok());
        for inner in ["90", "80"] {
            let error = decode(&argument(&[&most, inner].concat())).unwrap_err();
            assert_eq!(error, PacketError::TooDeep { max: MAX_DEPTH });
        }
    }
    let bomb = argument(&[&"91".repeat(1_000_000), "c0"].concat());
    assert_eq!(decode(&bomb).unwrap_err(), PacketError::TooDeep { max: MAX_DEPTH });
}

#[test]
fn payloads_that_are_json_are_written_as_values() {
    let json = |json: &str, attachments| {
        let message = Text::from(["42", json].concat());
        Args::from_payload(Payload::from_json(message, 2, attachments))
    };
    let written = |args| encode(&packet("/", plain_event(args)));
    let plain =
        r#"["v",{"a":[null,true,-1,1.5,18446744073709551615],"_placeholder":true,"num":0}]"#;
    let members = object(&[
        (
            "a",
            Value::Array(vec![
                Value::Null,
                Value::Bool(true),
                negative(-1),
                float(1.5),
                unsigned(u64::MAX),
            ]),
        ),
        ("_placeholder", Value::Bool(true)),
        ("num", unsigned(0)),
    ]);
    assert_eq!(written(json(plain, Vec::new())), written(args(&[text("v"), members])));

    let one = r#"["v",{"a":{"_placeholder":true,"num":0}},{"num":0}]"#;
    let expected =
        args(&[text("v"), object(&[("a", binary(&[7]))]), object(&[("num", unsigned(0))])]);
    let attachments = vec![Bytes::from_static(&[7])];
    assert_eq!(written(json(one, attachments)), written(expected));

    let many = r#"["v",{"num":1,"_placeholder":true},{"_placeholder":true,"num":0}]"#;
    let attachments = [[7], [8]].map(|bytes| Bytes::copy_from_slice(&bytes));
    let expected = args(&[text("v"), binary(&[8]), binary(&[7])]);
    let attachments = attachments.into();
    assert_eq!(written(json(many, attachments)), written(expected));
}

fn written(value: &Value) -> Vec<u8> {
    let mut out = Writer::default();
    out.value(value);
    out.finish().to_vec()
}

fn unwritten(bytes: Vec<u8>) -> Value {
    let bytes = bytes.into();
    let mut reader = Reader::new(&bytes, Dialect::Packets);
    let value = reader.value(0).unwrap().unwrap();
    reader.finish().unwrap();
    value
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<u64>().prop_map(unsigned),
        (i64::MIN..0).prop_map(negative),
        // Floats without a fraction come back as integers.
        (any::<i32>(), 1..16_u32)
            .prop_map(|(whole, part)| float(f64::from(whole) + f64::from(part) / 16.0)),
        any::<String>().prop_map(Value::String),
        some(any::<u8>(), 0..300).prop_map(|bytes| Value::Binary(bytes.into())),
    ];
    leaf.prop_recursive(6, 60, 20, |inner| {
        prop_oneof![
            some(inner.clone(), 0..20).prop_map(Value::Array),
            some((any::<String>(), inner), 0..20).prop_map(Value::Object),
        ]
    })
}

proptest! {
    #[test]
    fn values_come_back_as_they_were(value in values()) {
        prop_assert_eq!(unwritten(written(&value)), value);
    }

    #[test]
    fn values_cut_off_anywhere_are_refused(value in values(), end: prop::sample::Index) {
        let mut bytes = written(&value);
        bytes.truncate(end.index(bytes.len()));
        let bytes = bytes.into();
        let error = Reader::new(&bytes, Dialect::Packets).value(0).unwrap_err();
        prop_assert!(matches!(error, PacketError::Syntax(_)));
    }

    #[test]
    fn skipping_ends_where_reading_does(value in values()) {
        let bytes = [written(&value), vec![0]].concat().into();
        let mut reader = Reader::new(&bytes, Dialect::Packets);
        reader.skip().unwrap();
        prop_assert_eq!(reader.value(0), Ok(Some(unsigned(0))));
        prop_assert_eq!(reader.finish(), Ok(()));
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in some(any::<u8>(), 0..64)) {
        let _ = decode(&argument_of(&bytes));
        let _ = decode(&bytes.into());
    }
}

fn argument_of(bytes: &[u8]) -> Bytes {
    [hex("83a474797065 02 a36e7370a12f a464617461 92a176"), bytes.into()].concat().into()
}
