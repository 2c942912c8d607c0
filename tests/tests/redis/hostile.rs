//! Programs on the same server that publish what no adapter would.

use enginewire_tests::{
    client::{soon, until},
    host::Host,
    test_sockets::{names, recv, spawn},
};

use crate::{
    nodes::{KINDS, Kind, Nodes},
    server::{RawClient, RedisServer},
};

on_every_runtime!(garbage_on_every_channel_is_dropped_and_counted);

fn garbage_on_every_channel_is_dropped_and_counted<R: Host>() {
    let server = RedisServer::start();
    let mut raw = server.client();
    for kind in KINDS {
        println!("{kind:?}");
        let mut nodes = Nodes::<R>::new(&server, kind, 2);
        let [mut anna, mut bert] = [0, 1].map(|node| nodes.connect(node));
        nodes.join(1, &bert, "room");
        let channels = channels(&mut raw, kind);
        assert!(channels.len() >= 3, "{channels:?}");
        let mut published = 0;
        for channel in &channels {
            for message in garbage() {
                let how: &[u8] =
                    if matches!(kind, Kind::Sharded(_)) { b"SPUBLISH" } else { b"PUBLISH" };
                raw.command(&[how, channel.as_bytes(), &message]);
                published += 1;
            }
        }
        if kind == Kind::Streams {
            for message in garbage() {
                let stream = kind.prefix();
                for name in ["nsp", "data"] {
                    raw.command(&[b"XADD", stream.as_bytes(), b"*", name.as_bytes(), &message]);
                }
                for number in ["3", "4", "5", "6", "7", "9", "99", "x"] {
                    raw.command(&[
                        b"XADD",
                        stream.as_bytes(),
                        b"*",
                        b"uid",
                        b"x",
                        b"nsp",
                        b"/",
                        b"type",
                        number.as_bytes(),
                        b"data",
                        &message,
                    ]);
                }
                raw.command(&[b"XADD", stream.as_bytes(), b"*", &message, &message]);
            }
        }
        // All goes on as before, behind it.
        let io = &nodes.ios[0];
        soon("all", io.emit("all", &1)).unwrap();
        assert_eq!(recv(&mut anna), ("all".into(), 1));
        assert_eq!(recv(&mut bert), ("all".into(), 1));
        soon("room", io.to("room").emit("room", &1)).unwrap();
        assert_eq!(names(&mut bert, 1), ["room"]);
        let asked = spawn::<R, _>(io.to(bert.id()).emit_with_ack::<u32, _>("q", &0).all());
        let question = soon("a question", bert.recv()).unwrap();
        soon("room", question.acknowledge(&7)).unwrap();
        let all = asked("an acknowledgement").unwrap();
        assert_eq!(all.others.len(), 1, "{:?} {:?}", all.missing, all.remote);
        let fetched = soon("sockets", io.broadcast().fetch_sockets());
        assert_eq!((fetched.sockets.len(), fetched.missing.is_none()), (2, true));
        for monitor in &nodes.monitors {
            until("the count", || monitor.stats().dropped > 0);
            let stats = monitor.stats();
            assert!(stats.is_up && stats.connections <= 2, "{stats:?}");
            println!("{published} published, {} dropped", stats.dropped);
        }
    }
}

/// The channels that the nodes have subscribed to, and those that their pattern matches.
fn channels(raw: &mut RawClient, kind: Kind) -> Vec<String> {
    let pattern = format!("{}*", kind.prefix());
    let mut channels = raw.command(&[b"PUBSUB", b"CHANNELS", pattern.as_bytes()]);
    channels.extend(raw.command(&[b"PUBSUB", b"SHARDCHANNELS", pattern.as_bytes()]));
    if kind == Kind::Classic {
        let prefix = kind.prefix();
        channels.extend(
            ["#/#", "#/#room#", "#/#unknown#", "#/unknown#", "#/#####"]
                .map(|end| prefix.clone() + end),
        );
    }
    channels
}

/// Messages that are cut, nested without end, of wrong types, or not text.
fn garbage() -> Vec<Vec<u8>> {
    let texts = [
        "",
        " ",
        "{",
        "{}",
        "[]",
        "null",
        "\"\"",
        "1e999",
        "{\"type\":",
        "[\"a\",{},{}]",
        r#"{"type":3,"uid":"x","nsp":"/"}"#,
        r#"{"type":3,"uid":"x","nsp":"/","data":null}"#,
        r#"{"type":3,"uid":"x","nsp":"/","data":{"packet":{"type":2,"data":[]},"opts":{"rooms":[],"except":[],"flags":{}}}}"#,
        r#"{"type":3,"uid":"x","nsp":"/","data":{"packet":{"type":2,"data":["connect"]},"opts":{"rooms":[],"except":[]}}}"#,
        r#"{"type":3,"uid":"x","nsp":"/","data":{"packet":{"type":99,"data":7},"opts":{"rooms":"a","except":{},"flags":[]}}}"#,
        r#"{"type":4,"uid":"x","nsp":"/","data":{"opts":{},"rooms":"text"}}"#,
        r#"{"type":5,"uid":"x","nsp":"/","data":{"opts":{"rooms":["nobody"]},"rooms":7}}"#,
        r#"{"type":6,"uid":"x","nsp":"/","data":{"opts":7}}"#,
        r#"{"type":7,"uid":"x","nsp":"/","data":{"requestId":null}}"#,
        r#"{"type":8,"uid":"x","nsp":"/","data":{"requestId":"0000000000000001","sockets":[7,null,{}]}}"#,
        r#"{"type":9,"uid":"x","nsp":"/","data":{"packet":[],"requestId":{}}}"#,
        r#"{"type":10,"uid":"x","nsp":"/"}"#,
        r#"{"type":11,"uid":"x","nsp":"/","data":{"requestId":"0","clientCount":-1}}"#,
        r#"{"type":12,"uid":"x","nsp":"/","data":{}}"#,
        r#"{"type":13,"uid":"x","nsp":"/"}"#,
        r#"{"type":-1,"uid":"x","nsp":"/"}"#,
        r#"{"type":1e300,"uid":7,"nsp":{}}"#,
        r#"{"uid":"x","requestId":"y","type":5}"#,
        r#"{"uid":"x","requestId":"y","type":0,"rooms":7}"#,
        r#"{"uid":"x","requestId":"y","type":6,"data":"text"}"#,
        r#"{"requestId":"y","sockets":{}}"#,
    ];
    let mut all: Vec<Vec<u8>> = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    all.extend([
        b"\xff\xfe\x00\x01".to_vec(),
        // MessagePack: lengths without content, keys that are none, depth without end.
        b"\xdd\xff\xff\xff\xff".to_vec(),
        b"\xdf\xff\xff\xff\xff\xa4type".to_vec(),
        b"\xc6\xff\xff\xff\xff".to_vec(),
        b"\x93\xc0\xc0\xc0".to_vec(),
        b"\x93\xa1x\x80\x80\x00".to_vec(),
        b"\x84\xa4type\xcb\x7f\xf0\x00\x00\x00\x00\x00\x00\xa4data\xc0\xa3uid\xc0\xa3nsp\xc0"
            .to_vec(),
        vec![0x91; 100_000],
        vec![b'['; 100_000],
        b"{\"a\":".repeat(50_000),
    ]);
    all
}
