//! Messages that crash, hang or bloat nodes of the reference.

use super::{
    super::{Blame, WireFault},
    *,
};

/// Channel and message of each, with the fault.
fn dropped(config: WireConfig, channel: &str, message: &[u8], fault: &str) {
    let mut wire = node(config, 1);
    wire.handle_published(at(0), channel, Bytes::copy_from_slice(message));
    let error = super::fault(&mut wire);
    assert_eq!(error.blame, Blame::Publisher);
    assert!(format!("{error}").contains(fault), "{error} for {}", message.escape_ascii());
    assert_eq!(wire.foreign.len(), 0, "nothing is left of it");
}

#[test]
fn classic_messages_that_kill_the_reference_are_dropped() {
    let (all, requests) = ("socket.io#/#", "socket.io-request#/#");
    for (channel, message, fault) in [
        (all, &b""[..], "an empty message"),
        (all, b"{}", "trailing bytes"),
        (all, b"\x90", "`uid` is missing"),
        (all, b"\x91\xa1a", "`packet` is missing"),
        (all, b"\x93\xa1a\xc0\xc0", "`packet` is missing"),
        (all, b"\x93\xa1a\x80\x80", "`packet.data` is missing"),
        (all, b"\x93\xa1a\x81\xa4data\xa1x\x80", "`packet.data` is missing"),
        (all, b"\x93\xa1a\x81\xa4data\x90\x81\xa5rooms\xa1r", "`opts.rooms` is missing"),
        (all, b"\x84\xa4type\x07\xa4data\x80\xa3uid\xa1a\xa3nsp\xa1/", "`message` is missing"),
        (all, b"\x93\xa1a\x81\xa4data\x90\x80\x00", "trailing bytes at byte 11"),
        (requests, b"{", "not JSON at byte 1"),
        (requests, b"\x90", "`message` is missing"),
        (requests, b"{}", "`type` is missing"),
        (requests, br#"{"type":5,"uid":"a"}"#, "`requestId` is missing"),
        (requests, br#"{"type":7,"uid":"a","requestId":"r"}"#, "`packet` is missing"),
        (requests, br#"{"type":3,"uid":"a","opts":{},"rooms":"r1"}"#, "`rooms` is missing"),
        (requests, br#"{"type":3,"uid":"a","opts":{}}"#, "`rooms` is missing"),
        (requests, br#"{"type":4,"uid":"a"}"#, "`opts` is missing"),
        (requests, br#"{"type":2,"uid":"a","opts":{},"rooms":[{}]}"#, "`rooms` is missing"),
        (requests, br#"{"type":6,"uid":"a","data":"e"}"#, "`data` is missing"),
        (requests, br#"{"type":2,"uid":7}"#, "`uid` is missing"),
        ("socket.io-response#/#", b"{}", "`requestId` is missing"),
        ("socket.io-response#/#", b"\xc0", "`message` is missing"),
    ] {
        dropped(classic(), channel, message, fault);
    }
}

#[test]
fn list_of_rooms_that_an_old_encoder_wrote_for_undefined_is_dropped() {
    // As it came from servers of an older version, in the issue 278 of npm `socket.io-redis`.
    let start = &b"\x93\xa6HDzrbD\x83\xa4type\x02\xa4data\x92\xa7version\xa60.16.3"[..];
    let message = [start, b"\xa3nsp\xa1/\x82\xa5rooms\xc4\xa5flags\xc4"].concat();
    dropped(classic(), "socket.io#/#", &message, "ends early");
}

#[test]
fn sharded_messages_that_kill_the_reference_are_dropped() {
    let own = format!("socket.io#/#{}#", super::super::ids::Ids::new(1).uid("/", 0));
    let message = |kind, data: &str| format!(r#"{{"type":{kind},"uid":"a","nsp":"/"{data}}}"#);
    for (kind, data, fault) in [
        (3, "", "`data` is missing"),
        (3, r#","data":{}"#, "`packet` is missing"),
        (3, r#","data":null"#, "`data` is missing"),
        (3, r#","data":{"packet":{"data":["e"]},"requestId":null}"#, "`requestId` is missing"),
        (5, r#","data":{"opts":{},"rooms":"r1"}"#, "`rooms` is missing"),
        (5, r#","data":{"opts":7,"rooms":["r1"]}"#, "`opts` is missing"),
        (4, r#","data":{"rooms":["r1"]}"#, "`opts` is missing"),
        (6, r#","data":{}"#, "`opts` is missing"),
        (6, r#","data":{"opts":null,"close":true}"#, "`opts` is missing"),
        (7, r#","data":{"opts":{}}"#, "`requestId` is missing"),
        (8, r#","data":{"requestId":"r"}"#, "`sockets` is missing"),
        (8, r#","data":{"requestId":"r","sockets":[7]}"#, "`sockets` is missing"),
        (8, r#","data":{"requestId":"r","sockets":[{}]}"#, "`sockets.id` is missing"),
        (9, r#","data":{"packet":{}}"#, "`packet` is missing"),
        (11, r#","data":{"requestId":"r","clientCount":-1}"#, "`clientCount` is missing"),
        (11, r#","data":{"requestId":"r","clientCount":1.5}"#, "`clientCount` is missing"),
    ] {
        dropped(
            sharded(SubscriptionMode::Dynamic),
            "socket.io#/#",
            message(kind, data).as_bytes(),
            fault,
        );
    }
    dropped(
        sharded(SubscriptionMode::Dynamic),
        &own,
        message(6, r#","data":{"opts":{}}"#).as_bytes(),
        "`type` is missing",
    );
    dropped(
        sharded(SubscriptionMode::Dynamic),
        "socket.io#/#",
        br#"{"type":3,"nsp":"/"}"#,
        "`uid` is missing",
    );
    dropped(
        sharded(SubscriptionMode::Dynamic),
        "socket.io#/#",
        br#"{"type":3,"uid":"a","nsp":7}"#,
        "`nsp` is missing",
    );
}

#[test]
fn absent_options_of_a_broadcast_are_none() {
    let mut wire = node(sharded(SubscriptionMode::Dynamic), 1);
    for opts in [
        "",
        r#","opts":null"#,
        r#","opts":{}"#,
        r#","opts":{"rooms":null,"except":null,"flags":null}"#,
    ] {
        let message = format!(
            r#"{{"type":3,"uid":"a","nsp":"/","data":{{"packet":{{"type":2,"data":["hi",1]}}{opts}}}}}"#
        );
        wire.handle_published(at(0), "socket.io#/#", message.into());
        assert_eq!(shown(&operation(&mut wire)), shown(&hi()));
    }
}

#[test]
fn poison_entries_of_streams_are_dropped() {
    let mut wire = node(streams(), 1);
    let field = |name: &'static str, value: &'static str| (name, value.as_bytes());
    let (uid, nsp) = (field("uid", "a"), field("nsp", "/"));
    for (fields, fault) in [
        (vec![], "`nsp` is missing"),
        (vec![nsp], "`uid` is missing"),
        (vec![nsp, uid], "`type` is missing"),
        (vec![nsp, uid, field("type", "x")], "`type` is missing"),
        (vec![nsp, uid, field("type", "3")], "`data` is missing"),
        (vec![nsp, uid, field("type", "3"), field("data", "")], "`data` is missing"),
        (vec![nsp, uid, field("type", "3"), field("data", "{")], "not JSON"),
        (vec![nsp, uid, field("type", "3"), field("data", "!")], "`data` is missing"),
        (vec![nsp, uid, field("type", "3"), field("data", "gqZw")], "ends early"),
    ] {
        wire.handle_entry(at(0), "socket.io", "1-0", &fields);
        let error = super::fault(&mut wire);
        assert!(format!("{error}").contains(fault), "{error}");
        assert_eq!(&*error.channel, "socket.io");
    }
}

#[test]
fn messages_of_other_namespaces_and_later_versions_are_ignored() {
    for (config, channel, message) in [
        (classic(), "socket.io#/x#", &b"\x93\xa1a\x82\xa4data\x90\xa3nsp\xa2/x\x80"[..]),
        (classic(), "socket.io#/#", b"\x93\xa1a\x82\xa4data\x90\xa3nsp\xa2/x\x80"),
        (classic(), "socket.io-request#/x#", b"garbage"),
        (classic(), "other#/#", b"garbage"),
        (classic(), "socket.io-request#/#", br#"{"type":99,"uid":"a"}"#),
        (
            sharded(SubscriptionMode::Static),
            "socket.io#/#",
            br#"{"type":3,"uid":"a","nsp":"/x","data":{"packet":{"data":[]}}}"#,
        ),
        (
            sharded(SubscriptionMode::Static),
            "socket.io#/x#",
            br#"{"type":3,"uid":"a","nsp":"/","data":{"packet":{"data":[]}}}"#,
        ),
        (sharded(SubscriptionMode::Static), "socket.io#/#", br#"{"type":99,"uid":"a","nsp":"/"}"#),
    ] {
        let mut wire = node(config, 1);
        wire.handle_published(at(0), channel, Bytes::copy_from_slice(message));
        let all = events(&mut wire);
        assert!(all.is_empty(), "{channel} {all:?}");
    }
}

#[test]
fn faults_show_neither_rooms_nor_contents() {
    let secret = "abcdefghijklmnopqrst";
    for config in configs() {
        for message in [
            format!("\u{93}{secret}"),
            format!("{{\"{secret}\""),
            format!(r#"{{"type":3,"uid":"{secret}"}}"#),
        ] {
            let mut wire = node(config.clone(), 1);
            wire.handle_published(at(0), &format!("socket.io#/#{secret}#"), message.into());
            for event in events(&mut wire) {
                let WireEvent::Faulty(error) = event else { panic!("{event:?}") };
                let shown = format!("{error} {error:?}");
                assert!(!shown.contains(secret), "{shown}");
            }
        }
    }
}

#[test]
fn message_beyond_the_limit_is_not_read() {
    let mut wire = node(WireConfig { max_message: 10, ..classic() }, 1);
    wire.handle_published(at(0), "socket.io#/#", Bytes::from(vec![0xc1; 11]));
    assert_eq!(fault(&mut wire).fault, WireFault::TooLarge { size: 11, max: 10 });
    let mut wire = node(WireConfig { max_message: 10, ..streams() }, 1);
    wire.handle_entry(at(0), "socket.io", "1-0", &[("data", &[0; 11])]);
    assert_eq!(fault(&mut wire).fault, WireFault::TooLarge { size: 11, max: 10 });
}

#[test]
fn ids_longer_than_any_of_the_reference_are_refused() {
    let long = "x".repeat(129);
    let mut wire = node(sharded(SubscriptionMode::Static), 1);
    for message in [
        format!(r#"{{"type":2,"uid":"{long}","nsp":"/"}}"#),
        format!(r#"{{"type":7,"uid":"a","nsp":"/","data":{{"requestId":"{long}"}}}}"#),
    ] {
        wire.handle_published(at(0), "socket.io#/#", message.into());
        assert_eq!(fault(&mut wire).fault, WireFault::LongId { size: 129, max: 128 });
    }
}

#[test]
fn nesting_is_bounded_in_messagepack_and_costs_no_stack_in_json() {
    let levels = 100_000;
    let deep = [&b"\x93\xa1a\x81\xa4data\x92\xa1e"[..], &vec![0x91; levels], b"\xc0\x80"].concat();
    let mut wire = node(classic(), 1);
    wire.handle_published(at(0), "socket.io#/#", deep.into());
    assert!(format!("{}", fault(&mut wire)).contains("nested too deeply, at most 128"));
    let text = format!(
        r#"{{"type":3,"uid":"a","nsp":"/","data":{{"packet":{{"data":["e",{}{}]}}}}}}"#,
        "[".repeat(levels),
        "]".repeat(levels)
    );
    let mut wire = node(sharded(SubscriptionMode::Static), 1);
    wire.handle_published(at(0), "socket.io#/#", text.into());
    assert!(matches!(operation(&mut wire), Operation::Broadcast(_)), "it is passed on as text");
}
