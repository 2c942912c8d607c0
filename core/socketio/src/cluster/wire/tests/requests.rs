//! Requests of other nodes: who is to answer them, where, and how long.

use super::*;

/// The messages that a node publishes behind a message on a channel, with answers to what it is asked.
fn answered(wire: &mut Wire, channel: &str, message: &[u8]) -> Vec<(String, String)> {
    wire.handle_published(at(0), channel, Bytes::copy_from_slice(message));
    for event in events(wire) {
        let WireEvent::Message { operation, .. } = event else { panic!("{event:?}") };
        let (request, response) = match operation {
            Operation::FetchSockets { request, target } => {
                let is_here = target.rooms.is_empty() || target.rooms.contains(&Room::from("here"));
                (
                    request,
                    Response::Sockets(if is_here {
                        vec![socket("here"), socket("also")]
                    } else {
                        vec![]
                    }),
                )
            }
            Operation::ServerSideEmit { request: Some(request), .. } => {
                (request, Response::Event(Args::ack(&"yes").unwrap()))
            }
            Operation::Broadcast(Broadcast { request: Some(request), .. }) => {
                (request, Response::Clients(0))
            }
            _ => continue,
        };
        wire.send(
            at(0),
            Message {
                to: None,
                namespace: namespace("/"),
                operation: Operation::Respond { request, response },
            },
        );
    }
    commands(wire)
        .into_iter()
        .map(|command| match command {
            Command::Publish { channel, message, .. } => {
                (channel.as_ref().into(), String::from_utf8_lossy(&message).into_owned())
            }
            other => panic!("{other:?}"),
        })
        .collect()
}

fn one(wire: &mut Wire, channel: &str, message: &str) -> (String, String) {
    let mut all = answered(wire, channel, message.as_bytes());
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

const REQUESTS: &str = "socket.io-request#/#";

#[test]
fn classic_requests_of_old_nodes_are_answered() {
    let mut wire = node(classic(), 1);
    for (request, response) in [
        (
            r#"{"uid":"AAAAAA","requestId":"r","type":0,"rooms":[]}"#,
            r#"{"requestId":"r","sockets":["here","also"]}"#,
        ),
        (r#"{"requestId":"r","type":0,"rooms":["gone"]}"#, r#"{"requestId":"r","sockets":[]}"#),
        (
            r#"{"uid":"AAAAAA","requestId":"r","type":1}"#,
            r#"{"requestId":"r","rooms":["also","chat","here"]}"#,
        ),
        (r#"{"type":2,"requestId":"r","sid":"here","room":"x"}"#, r#"{"requestId":"r"}"#),
        (r#"{"type":4,"requestId":"r","sid":"here","close":true}"#, r#"{"requestId":"r"}"#),
    ] {
        assert_eq!(
            one(&mut wire, REQUESTS, request),
            ("socket.io-response#/#".into(), response.into()),
            "{request}"
        );
    }
    assert_eq!(
        answered(&mut wire, REQUESTS, br#"{"type":2,"requestId":"r","sid":"gone","room":"x"}"#),
        []
    );
}

#[test]
fn debug_of_classic_requests_of_old_nodes_shows_no_socket() {
    let mut wire = node(classic(), 1);
    let request = r#"{"type":2,"requestId":"r","sid":"secret","room":"secret"}"#;
    wire.handle_published(at(0), REQUESTS, request.into());
    let shown = format!("{:?}", events(&mut wire));
    assert!(shown.contains("Join") && !shown.contains("secret"), "{shown}");
}

#[test]
fn classic_responses_go_to_the_common_channel_or_to_that_of_the_node() {
    for (has_channels, fetched) in
        [(false, "socket.io-response#/#"), (true, "socket.io-response#/#AAAAAA#")]
    {
        let config =
            WireConfig::new(Format::Classic(ClassicConfig { has_response_channels: has_channels }));
        let mut wire = node(config, 1);
        let request =
            r#"{"uid":"AAAAAA","requestId":"r","type":5,"opts":{"rooms":[],"except":[]}}"#;
        assert_eq!(one(&mut wire, REQUESTS, request).0, fetched);
        let (channel, response) =
            one(&mut wire, REQUESTS, r#"{"uid":"AAAAAA","requestId":"r","type":6,"data":["e"]}"#);
        assert_eq!(
            channel, "socket.io-response#/#",
            "of server-side events on the common one only"
        );
        assert_eq!(response, r#"{"type":6,"requestId":"r","data":"yes"}"#);
    }
}

#[test]
fn requests_in_messagepack_are_answered_too() {
    let mut wire = node(classic(), 1);
    let request = b"\x84\xa3uid\xa6AAAAAA\xa9requestId\xa1r\xa4type\x05\xa4opts\x80";
    let all = answered(&mut wire, REQUESTS, request);
    assert!(
        all[0].1.starts_with(r#"{"requestId":"r","sockets":[{"id":"here","handshake":{"#),
        "{all:?}"
    );
}

#[test]
fn emitters_get_no_answers() {
    for config in configs() {
        let is_classic = matches!(config.format, Format::Classic(_));
        let channel = if is_classic { REQUESTS } else { &*config.channel("/") };
        let mut wire = node(config.clone(), 1);
        let requests: [&str; 2] = if is_classic {
            [
                r#"{"uid":"emitter","type":6,"requestId":"r","data":["e"]}"#,
                r#"{"uid":"emitter","type":5,"requestId":"r","opts":{}}"#,
            ]
        } else {
            [
                r#"{"uid":"emitter","nsp":"/","type":9,"data":{"requestId":"r","packet":["e"]}}"#,
                r#"{"uid":"emitter","nsp":"/","type":7,"data":{"requestId":"r","opts":{}}}"#,
            ]
        };
        for request in requests {
            assert_eq!(answered(&mut wire, channel, request.as_bytes()), [], "{:?}", config.format);
        }
        assert_eq!((wire.foreign.len(), wire.nodes), (0, 0));
    }
}

#[test]
fn own_messages_are_known_by_their_uid() {
    for config in configs() {
        let mut wire = node(config.clone(), 1);
        for (number, operation) in
            [hi(), fetch(1), Operation::Join { target: Target::all(), rooms: vec!["r".into()] }]
                .into_iter()
                .enumerate()
        {
            wire.send(at(0), message(operation));
            events(&mut wire);
            for command in commands(&mut wire) {
                match command {
                    Command::Publish { channel, message, .. } => {
                        wire.handle_published(at(0), &channel, message)
                    }
                    Command::Append { stream, fields, .. } => {
                        let fields: Vec<_> =
                            fields.iter().map(|(name, value)| (*name, &**value)).collect();
                        wire.handle_entry(at(0), &stream, "1-0", &fields);
                    }
                    _ => continue,
                }
                let echoes = events(&mut wire);
                assert!(echoes.is_empty(), "{number} {:?} {echoes:?}", config.format);
            }
        }
    }
}

#[test]
fn own_request_is_known_after_its_end() {
    // The reference knows it by its pending request, and delivers the broadcast twice behind a timeout.
    let mut wire = node(classic(), 1);
    let broadcast = Broadcast {
        request: Some(RequestId(1)),
        timeout: Some(Duration::from_millis(1)),
        ..emit(Target::all(), Args::event("q", &1).unwrap())
    };
    let (channel, bytes) = published(&mut wire, Operation::Broadcast(broadcast));
    events(&mut wire);
    wire.handle_timeout(at(3_600_000));
    events(&mut wire);
    wire.handle_published(at(3_600_000), &channel, bytes);
    assert!(events(&mut wire).is_empty());
}

#[test]
fn responses_to_requests_of_others_are_ignored() {
    let mut wire = node(classic(), 1);
    wire.send(at(0), message(fetch(1)));
    events(&mut wire);
    for response in [
        r#"{"requestId":"AAAAAA","sockets":[]}"#,
        r#"{"requestId":"0123456789abcdef","sockets":1}"#,
    ] {
        wire.handle_published(
            at(0),
            "socket.io-response#/#",
            Bytes::from_static(response.as_bytes()),
        );
    }
    assert!(events(&mut wire).is_empty());
}

#[test]
fn request_that_came_by_a_stream_is_answered_there() {
    // Nodes of version 0.2 do not listen to channels.
    let mut wire = node(streams(), 1);
    let fields: [(&str, &[u8]); 4] = [
        ("uid", b"0123456789abcdef"),
        ("nsp", b"/"),
        ("type", b"7"),
        ("data", br#"{"opts":{},"requestId":"r"}"#),
    ];
    wire.handle_entry(at(0), "socket.io", "1-0", &fields);
    let Operation::FetchSockets { request, .. } = operation(&mut wire) else { panic!() };
    wire.send(at(0), message(Operation::Respond { request, response: Response::Sockets(vec![]) }));
    let [Command::Append { fields, .. }] = &*commands(&mut wire) else { panic!() };
    assert_eq!(
        (&*fields[2].1, &*fields[3].1),
        (&b"8"[..], &br#"{"requestId":"r","sockets":[]}"#[..])
    );
}

#[test]
fn acknowledgements_end_with_their_number_or_their_time() {
    let request = r#"{"uid":"0123456789abcdef","nsp":"/","type":3,"data":{"requestId":"r","packet":{"type":2,"data":["q"]},"opts":{"flags":{"timeout":3000}}}}"#;
    let mut wire = node(sharded(SubscriptionMode::Static), 1);
    let ask = |wire: &mut Wire| {
        wire.handle_published(at(0), "socket.io#/#", Bytes::copy_from_slice(request.as_bytes()));
        let Operation::Broadcast(Broadcast { request: Some(request), timeout, .. }) =
            operation(wire)
        else {
            panic!()
        };
        assert_eq!(timeout, Some(Duration::from_secs(3)));
        request
    };
    let respond = |wire: &mut Wire, request, response| {
        wire.send(at(0), message(Operation::Respond { request, response }));
        commands(wire).len()
    };
    let ack = || Response::Ack(Args::ack(&1).unwrap());
    let first = ask(&mut wire);
    for (response, sent) in
        [(Response::Clients(2), 1), (Response::Clients(2), 0), (ack(), 1), (ack(), 1), (ack(), 0)]
    {
        assert_eq!(respond(&mut wire, first, response), sent);
    }
    // Clients may be faster than their number is known.
    let fast = ask(&mut wire);
    for (response, sent) in [(ack(), 1), (ack(), 1), (Response::Clients(2), 1), (ack(), 0)] {
        assert_eq!(respond(&mut wire, fast, response), sent);
    }
    let second = ask(&mut wire);
    assert_ne!(first, second);
    assert_eq!(respond(&mut wire, second, Response::Clients(1)), 1);
    wire.handle_timeout(at(2999));
    assert_eq!(wire.foreign.len(), 1);
    wire.handle_timeout(at(3000));
    commands(&mut wire);
    assert_eq!((wire.foreign.len(), respond(&mut wire, second, ack())), (0, 0));
}

#[test]
fn namespace_that_is_gone_answers_no_more() {
    let mut wire = node(classic(), 1);
    wire.handle_published(
        at(0),
        REQUESTS,
        Bytes::from_static(br#"{"uid":"AAAAAA","requestId":"r","type":6,"data":["e"]}"#),
    );
    let Operation::ServerSideEmit { request: Some(request), .. } = operation(&mut wire) else {
        panic!()
    };
    wire.handle_namespace(at(0), &namespace("/"), false);
    commands(&mut wire);
    wire.send(
        at(0),
        message(Operation::Respond { request, response: Response::Event(Args::empty()) }),
    );
    assert_eq!((commands(&mut wire).len(), wire.foreign.len()), (0, 0));
}

#[test]
fn requests_are_counted_each_and_nodes_every_five_seconds() {
    let mut wire = node(classic(), 1);
    assert_eq!(wire.poll_timeout(), Some(at(0)));
    wire.handle_timeout(at(0));
    let count = |request| Command::Count { channel: REQUESTS.into(), is_sharded: false, request };
    assert_eq!(commands(&mut wire), [count(None)]);
    assert_eq!(wire.poll_timeout(), Some(at(5000)));
    wire.handle_count(at(1), REQUESTS, None, 3);
    assert!(matches!(&*events(&mut wire), [WireEvent::Nodes(2)]));
    wire.handle_count(at(1), REQUESTS, None, 3);
    assert!(events(&mut wire).is_empty(), "it has not changed");

    wire.send(at(1000), message(fetch(1)));
    wire.send(at(1000), message(fetch(2)));
    let is_count = |command: &Command| matches!(command, Command::Count { .. });
    let counts: Vec<_> = commands(&mut wire).into_iter().filter(is_count).collect();
    let both = [1, 2].map(|request| count(Some(RequestId(request))));
    assert_eq!(counts, both);
    assert_eq!(wire.poll_timeout(), Some(at(2000)), "sooner, while requests wait for it");
    wire.handle_timeout(at(2000));
    assert_eq!(commands(&mut wire), both[1..]);
    wire.handle_count(at(2000), REQUESTS, Some(RequestId(2)), 0);
    let asked: Vec<_> = events(&mut wire).into_iter().map(|event| format!("{event:?}")).collect();
    assert_eq!(
        asked,
        [
            "Nodes(0)",
            "Asked { request: RequestId(1), nodes: 0 }",
            "Asked { request: RequestId(2), nodes: 0 }"
        ]
    );
}

#[test]
fn nodes_are_counted_in_the_main_namespace_beside_one_of_a_function() {
    let mut wire = node(classic(), 1);
    wire.handle_namespace(at(0), &"*".into(), true);
    commands(&mut wire);
    wire.handle_timeout(at(0));
    let count = Command::Count { channel: REQUESTS.into(), is_sharded: false, request: None };
    assert_eq!(commands(&mut wire), [count]);
}

#[test]
fn count_is_of_the_requests_before_it_and_not_of_those_behind() {
    let mut wire = node(classic(), 1);
    for request in 1..=3 {
        wire.send(at(0), message(fetch(request)));
    }
    let mut asked = |last: Option<u64>, subscribers| -> Vec<(u64, usize)> {
        wire.handle_count(at(1), REQUESTS, last.map(RequestId), subscribers);
        let asked = events(&mut wire).into_iter().filter_map(|event| match event {
            WireEvent::Asked { request, nodes } => Some((request.0, nodes)),
            _ => None,
        });
        asked.collect()
    };
    assert_eq!(asked(None, 2), [], "from before all of them");
    assert_eq!(asked(Some(1), 2), [(1, 1)]);
    assert_eq!(asked(Some(1), 3), [], "again");
    // A node came meanwhile, and the count for the second was lost.
    assert_eq!(asked(Some(3), 3), [(2, 2), (3, 2)]);
}

#[test]
fn payload_that_has_no_form_is_the_fault_of_the_application() {
    let deep = ["[\"e\",", &"[".repeat(200), &"]".repeat(200), "]"].concat();
    let args = Args::from_payload(Payload::from_json(deep.into(), 0, vec![]));
    let mut wire = node(classic(), 1);
    let broadcast = Broadcast { request: Some(RequestId(1)), ..emit(Target::all(), args) };
    wire.send(at(0), message(Operation::Broadcast(broadcast)));
    assert_eq!(commands(&mut wire), []);
    let all = events(&mut wire);
    let [WireEvent::Faulty(error), WireEvent::Asked { request: RequestId(1), nodes: 0 }] = &*all
    else {
        panic!("{all:?}")
    };
    assert_eq!(
        format!("{error}"),
        "message on `socket.io#/#` was dropped, this application is to blame: the payload cannot be written: it is nested too deeply"
    );
}

#[test]
fn time_for_acknowledgements_is_always_written() {
    for config in configs() {
        let mut wire = node(config, 1);
        let broadcast = Broadcast {
            request: Some(RequestId(1)),
            ..emit(Target::all(), Args::event("q", &1).unwrap())
        };
        let (_, bytes) = published(&mut wire, Operation::Broadcast(broadcast));
        let text = String::from_utf8_lossy(&bytes);
        assert!(text.contains("timeout"), "{text}");
    }
}
