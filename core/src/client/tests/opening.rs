//! How a session opens, and what its requests say.

use super::*;

/// The target without its timestamp.
fn target(request: &Request) -> String {
    let (path, query) = request.target.split_once('?').unwrap();
    let query: Vec<_> = query.split('&').filter(|pair| !pair.starts_with("t=")).collect();
    format!("{path}?{}", query.join("&"))
}

/// The header fields of all requests, and `more`.
fn lines(more: &str) -> String {
    format!("Accept: */*\r\nUser-Agent: enginewire/{}\r\n{more}", env!("CARGO_PKG_VERSION"))
}

#[test]
fn a_session_opens_with_a_get_and_then_polls_with_its_id() {
    let mut host = Host::new(|_| {});
    let (_, get) = host.request("GET").unwrap();
    assert_eq!(target(get), "/engine.io/?EIO=4&transport=polling");
    assert_eq!(get.headers.as_bytes(), lines("").as_bytes());
    assert!(host.session.sid().is_none() && host.session.is_open());
    host.answer_get(&open("[]"));
    assert_eq!(host.events(), [Event::Opened]);
    assert_eq!(host.session.sid(), Some("the-sid"));
    assert_eq!(host.session.handshake().unwrap().max_payload, Some(100));
    let (_, get) = host.request("GET").unwrap();
    assert_eq!(target(get), "/engine.io/?EIO=4&transport=polling&sid=the-sid");
}

#[test]
fn a_session_opens_on_a_websocket() {
    let mut host = Host::new(|config| config.transports = vec![TransportKind::WebSocket]);
    assert!(host.requests.is_empty());
    assert_eq!(
        host.opening.values().next().unwrap().target,
        "/engine.io/?EIO=4&transport=websocket"
    );
    host.send("early");
    let on = host.open_socket();
    assert!(host.frames(on).is_empty(), "nothing goes out before the handshake has come");
    host.text(on, &open(r#"["websocket"]"#));
    assert_eq!(host.events(), [Event::Opened]);
    assert_eq!(host.frames(on), ["4early"]);
    assert!(host.opening.is_empty() && host.session.websocket_works());
}

#[test]
fn all_requests_carry_what_they_were_told_to() {
    let url = Url::parse("http://a/custom?foo=bar+baz").unwrap();
    let mut config = ClientConfig::new(&url);
    config.query.push(("u".into(), "€&".into()));
    config.push_header("X-Test", "held").unwrap();
    config.force_base64 = true;
    config.revision = Revision::V3;
    let mut host = Host::with(config, false);
    let (_, get) = host.request("GET").unwrap();
    let base = "/custom/?foo=bar%20baz&u=%E2%82%AC%26&EIO=3&transport=";
    assert_eq!(target(get), format!("{base}polling&b64=1"));
    assert_eq!(get.headers.as_bytes(), lines("X-Test: held\r\n").as_bytes());
    host.answer_get(&format!("{}:{}", open(r#"["websocket"]"#).len(), open(r#"["websocket"]"#)));
    host.send("x");
    for method in ["GET", "POST"] {
        let (_, request) = host.request(method).unwrap();
        assert_eq!(target(request), format!("{base}polling&sid=the-sid"), "{method}");
        assert!(request.headers.as_bytes().ends_with(b"X-Test: held\r\n"));
    }
    let socket = host.opening.values().next().unwrap();
    assert_eq!(socket.target, format!("{base}websocket&sid=the-sid&b64=1"));
    assert!(socket.headers.as_bytes().ends_with(b"X-Test: held\r\n"));
}

#[test]
fn timestamps_differ_and_go_where_they_are_wanted() {
    let stamp = |request: &Request| {
        let pair = request.target.split('&').find(|pair| pair.starts_with("t="));
        pair.map(ToString::to_string)
    };
    let mut host = Host::new(|_| {});
    let first = stamp(host.request("GET").unwrap().1).unwrap();
    host.answer_get(&open(r#"["websocket"]"#));
    assert_ne!(stamp(host.request("GET").unwrap().1).unwrap(), first);
    assert_eq!(stamp(host.opening.values().next().unwrap()), None);
    let never = Host::new(|config| config.timestamp_requests = Some(false));
    assert_eq!(stamp(never.request("GET").unwrap().1), None);
    let always = Host::new(|config| {
        config.timestamp_requests = Some(true);
        config.transports = vec![TransportKind::WebSocket];
    });
    assert!(stamp(always.opening.values().next().unwrap()).is_some());
}

#[test]
fn cookies_come_back_on_all_transports() {
    let mut host = Host::new(|_| {});
    let fields = [("Set-Cookie", "route=a; Path=/; HttpOnly"), ("set-cookie", "io=b")];
    host.answer("GET", &Answer { status: 200, fields: &fields }, open(r#"["websocket"]"#));
    // The longer path first: that of `io` is the request's.
    let sent = "Cookie: io=b; route=a\r\n";
    let (_, get) = host.request("GET").unwrap();
    let socket = host.opening.values().next().unwrap();
    for request in [get, socket] {
        assert!(request.headers.as_bytes().ends_with(sent.as_bytes()), "{request:?}");
    }
    let mut host = Host::new(|config| config.cookies = false);
    host.answer("GET", &Answer { status: 200, fields: &fields }, open("[]"));
    assert_eq!(host.request("GET").unwrap().1.headers.as_bytes(), lines("").as_bytes());
}

#[test]
fn cookies_go_by_the_url_and_by_the_date_of_the_response() {
    let mut host = Host::with(ClientConfig::new(&Url::parse("http://a.b/p").unwrap()), false);
    let fields = [
        ("Date", "Sun, 06 Nov 1994 08:49:37 GMT"),
        ("Set-Cookie", "brief=1; Expires=Sun, 06-Nov-94 08:49:57 GMT"),
        ("Set-Cookie", "past=1; Expires=Sun, 06 Nov 1994 08:49:37 GMT"),
        ("Set-Cookie", "elsewhere=1; Path=/q"),
        ("Set-Cookie", "other=1; Domain=c.b"),
        ("Set-Cookie", "encrypted=1; Secure"),
        ("Set-Cookie", "all=1; Path=/; Domain=a.b"),
    ];
    host.answer("GET", &Answer { status: 200, fields: &fields }, open("[]"));
    let cookies = |host: &Host, method| {
        let (_, request) = host.request(method).unwrap();
        let mut values = request.headers.values("cookie");
        String::from_utf8(values.next().unwrap().to_vec()).unwrap()
    };
    assert_eq!(cookies(&host, "GET"), "brief=1; all=1");
    host.wait(millis(19_999));
    host.send("a");
    assert_eq!(cookies(&host, "POST"), "brief=1; all=1");
    host.answer_post();
    host.wait(millis(1));
    host.send("b");
    assert_eq!(cookies(&host, "POST"), "all=1");
}

#[test]
fn what_is_sent_before_the_session_is_open_waits_for_it() {
    let mut host = Host::new(|_| {});
    host.send("a");
    host.send("b");
    assert!(host.request("POST").is_none());
    host.answer_get(&open("[]"));
    assert_eq!(host.posted(), "4a\u{1e}4b");
}

#[test]
fn messages_behind_the_open_packet_count() {
    let mut host = Host::new(|_| {});
    host.answer_get(&format!("{}\u{1e}4initial", open("[]")));
    assert_eq!(host.events(), [Event::Opened, message("initial")]);
}

#[test]
fn an_answer_that_is_no_handshake_fails_once() {
    for (status, body, fault) in [
        (200, "4hello", TransportFault::Handshake),
        (200, "0{}", TransportFault::Handshake),
        (200, "0", TransportFault::Handshake),
        (400, r#"{"code":0,"message":"Transport unknown"}"#, TransportFault::Status(400)),
        (503, "", TransportFault::Status(503)),
        (204, "", TransportFault::Status(204)),
        (302, &*open("[]"), TransportFault::Status(302)),
    ] {
        let mut host = Host::new(|_| {});
        host.answer("GET", &Answer { status, fields: &[] }, body.to_string());
        assert_eq!(host.closed(), error(fault), "{status} {body}");
    }
    for body in ["", "<html>", "\u{1e}"] {
        let mut host = Host::new(|_| {});
        host.answer_get(body);
        assert!(matches!(host.closed(), CloseReason::TransportError(TransportFault::Malformed(_))));
    }
}

#[test]
fn a_server_that_cannot_be_reached_or_does_not_answer_is_given_up() {
    let mut host = Host::new(|_| {});
    host.lose("GET", TransportFault::Unreachable);
    assert_eq!(host.closed(), error(TransportFault::Unreachable));
    let mut host = Host::new(|_| {});
    host.wait(millis(19_999));
    assert!(host.waits());
    host.wait(millis(1));
    assert_eq!(host.closed(), error(TransportFault::Timeout));
    assert_eq!(host.abandoned.len(), 1);
}

#[test]
fn a_websocket_that_is_refused_or_lost_before_the_handshake_fails_once() {
    let direct = || Host::new(|config| config.transports = vec![TransportKind::WebSocket]);
    let mut host = direct();
    host.refuse_socket();
    assert_eq!(host.closed(), error(TransportFault::Status(400)));
    assert!(host.closed_sockets.is_empty());
    let mut host = direct();
    let on = host.open_socket();
    host.lose_socket(on, WebSocketEnd::Closed);
    assert_eq!(host.closed(), error(TransportFault::ConnectionLost));
    let mut host = direct();
    let on = host.open_socket();
    host.text(on, "4too soon");
    assert_eq!(host.closed(), error(TransportFault::Handshake));
    assert_eq!(host.closed_sockets, [on]);
}

#[test]
fn all_transports_are_tried_if_that_is_wanted() {
    let both = |first, second| {
        Host::new(|config| {
            config.transports = vec![first, second];
            config.try_all_transports = true;
        })
    };
    let mut host = both(TransportKind::WebSocket, TransportKind::Polling);
    host.send("kept");
    host.refuse_socket();
    assert!(host.waits() && host.events().is_empty());
    host.answer_get(&open("[]"));
    assert_eq!(host.events(), [Event::Opened]);
    assert_eq!(host.posted(), "4kept");
    let mut host = both(TransportKind::Polling, TransportKind::WebSocket);
    host.wait(secs(20));
    assert_eq!(host.abandoned.len(), 1);
    host.wait(secs(20));
    assert_eq!(host.closed(), error(TransportFault::Timeout));
    // A session that was open is not tried again.
    let mut host = both(TransportKind::Polling, TransportKind::WebSocket);
    host.answer_get(&open("[]"));
    host.events();
    host.lose("GET", TransportFault::ConnectionLost);
    assert_eq!(host.closed(), error(TransportFault::ConnectionLost));
}

#[test]
fn what_follows_in_an_answer_that_has_failed_is_not_the_next_transport_s() {
    for answer in ["4a\u{1e}4b", &*format!("4a\u{1e}{}", open("[]")), "4a\u{1e}9"] {
        let mut host = Host::new(|config| config.try_all_transports = true);
        host.answer_get(answer);
        assert!(host.events().is_empty());
        let on = host.open_socket();
        host.text(on, &open("[]"));
        assert_eq!(host.events(), [Event::Opened], "{answer}");
    }
}

#[test]
fn an_application_that_has_cookies_of_its_own_shares_the_field() {
    let mut host = Host::new(|config| config.push_header("Cookie", "auth=1").unwrap());
    let cookie = |host: &Host| {
        let (_, get) = host.request("GET").unwrap();
        let lines = String::from_utf8(get.headers.as_bytes().to_vec()).unwrap();
        lines.lines().filter(|line| line.starts_with("Cookie")).collect::<Vec<_>>().join("|")
    };
    assert_eq!(cookie(&host), "Cookie: auth=1");
    let fields = [("Set-Cookie", "io=a")];
    host.answer("GET", &Answer { status: 200, fields: &fields }, open("[]"));
    assert_eq!(cookie(&host), "Cookie: auth=1; io=a");
}

#[test]
fn an_upgrade_that_worked_is_remembered_if_that_is_wanted() {
    let config = |remember| {
        let mut config = ClientConfig::new(&Url::parse("http://a").unwrap());
        config.remember_upgrade = remember;
        config
    };
    assert!(Host::with(config(true), true).requests.is_empty());
    assert!(Host::with(config(true), false).opening.is_empty());
    assert!(Host::with(config(false), true).opening.is_empty());
}

#[test]
fn the_queue_is_bounded_before_the_session_is_open() {
    let mut host =
        Host::new(|config| config.limits.max_queued = 2 * (Limits::MESSAGE_OVERHEAD + 1));
    for message in ["a", "b"] {
        assert!(host.session.has_room());
        host.send(message);
    }
    assert!(!host.session.has_room() && !host.session.is_writable());
    let refused = host.session.send("c").unwrap_err();
    assert!(matches!(refused.reason, SendError::Full { .. }));
    host.answer_get(&open("[]"));
    assert_eq!(host.events(), [Event::Opened, Event::Writable]);
    assert!(host.session.has_room() && host.session.is_writable());
}

#[test]
fn room_is_told_of_after_each_refusal_and_once_while_nobody_has_heard() {
    for transport in [TransportKind::Polling, TransportKind::WebSocket] {
        let mut host = Host::new(|config| {
            config.limits.max_queued = 1;
            config.transports = vec![transport];
        });
        let on = WebSocketId(1);
        match transport {
            TransportKind::Polling => host.answer_get(&open("[]")),
            TransportKind::WebSocket => {
                assert_eq!(host.open_socket(), on);
                host.text(on, &open("[]"));
            }
        }
        assert_eq!(host.events(), [Event::Opened]);
        let refuse_and_take = |host: &mut Host| {
            // Not drained, as a POST would take it.
            host.session.send("x").unwrap();
            assert!(host.session.send("x").is_err());
            match transport {
                TransportKind::Polling => {
                    host.drain();
                    host.answer_post();
                }
                TransportKind::WebSocket => assert_eq!(host.frames(on), ["4x"]),
            }
        };
        for _ in 0..3 {
            refuse_and_take(&mut host);
            assert_eq!(host.events(), [Event::Writable]);
        }
        for _ in 0..3 {
            refuse_and_take(&mut host);
        }
        assert_eq!(host.events(), [Event::Writable]);
    }
}

#[test]
fn what_stands_behind_a_first_packet_that_is_no_handshake_does_not_open_the_next_transport() {
    for behind in [&open("[]"), "6"] {
        let mut host = Host::new(|config| config.try_all_transports = true);
        host.answer_get(&format!("6\u{1e}{behind}"));
        assert!(host.events().is_empty() && host.session.handshake().is_none());
        let on = host.open_socket();
        host.text(on, &open("[]"));
        assert_eq!(host.events(), [Event::Opened]);
    }
}

#[test]
fn an_answer_without_any_packet_is_no_handshake() {
    for body in ["0:", "0:0:"] {
        let mut host = Host::new(|config| config.revision = Revision::V3);
        host.answer_get(body);
        assert_eq!(host.closed(), error(TransportFault::Handshake), "{body:?}");
        let mut host = Host::new(|config| {
            config.revision = Revision::V3;
            config.try_all_transports = true;
        });
        host.answer_get(body);
        assert!(!host.waits() && host.events().is_empty());
        host.open_socket();
    }
}
