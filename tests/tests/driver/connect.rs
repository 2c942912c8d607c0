//! The driver's client, with the driver's server at the other end: on each runtime, over each
//! transport.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    time::Duration,
};

use enginewire::{
    CloseReason, Event, Limits, Message, Reconnect, Revision, SendError, TransportFault,
    TransportKind,
};
use enginewire_driver::{Client, ClientBuilder, ConnectError, Server, ServerBuilder, Socket};
use enginewire_tests::refusing::Refusing;

use crate::{
    Host, accept,
    client::{until, within},
    serve, serve_echo, soon, until_empty,
};

on_every_runtime!(
    texts_and_bytes_come_back_over_each_transport_and_revision,
    messages_keep_their_order_across_the_upgrade,
    what_is_sent_before_the_session_is_open_arrives_first,
    a_slow_application_of_the_client_slows_the_server,
    a_slow_application_of_the_server_slows_the_client,
    large_messages_go_both_ways_at_once,
    close_lets_everything_out_and_waits_for_it,
    a_dropped_socket_lets_everything_out,
    the_server_closes,
    a_client_that_is_given_up_while_it_connects_leaves_nothing,
    what_cannot_be_connected_to_is_told_apart,
    a_server_that_says_nothing_is_given_up,
    a_server_that_refuses_is_named_with_its_status,
    a_redirect_leads_to_another_server_on_each_transport,
    the_server_sees_what_the_client_was_told_to_send,
    the_server_sees_who_the_client_is,
    subprotocol_that_the_server_chooses_is_shown_to_the_client,
    path_without_its_trailing_slash_is_served_and_asked_for,
    names_and_ipv6_addresses_are_connected_to,
    an_upgrade_that_worked_is_remembered,
    a_lost_session_is_followed_by_another_and_a_closed_one_is_not,
    a_closed_session_is_not_followed_by_another_whatever_ends_it,
    attempts_that_fail_come_to_an_end,
);

const POLLING: [TransportKind; 1] = [TransportKind::Polling];
const WEBSOCKET: [TransportKind; 1] = [TransportKind::WebSocket];
const BOTH: [TransportKind; 2] = [TransportKind::Polling, TransportKind::WebSocket];

pub(crate) fn to<R: Host>(address: SocketAddr) -> ClientBuilder<R> {
    Client::builder(&format!("http://{address}"))
}

fn open<R: Host>(server: &Server, transports: &[TransportKind]) -> Socket {
    let builder = to::<R>(server.local_addr()).transports(transports);
    soon("a session", builder.connect()).unwrap()
}

/// Waits until the session has moved to a WebSocket.
pub(crate) fn upgraded(socket: &mut Socket) {
    assert_eq!(soon("the upgrade", socket.recv_event()), Some(Event::Upgraded));
    assert_eq!(socket.transport(), TransportKind::WebSocket);
}

fn small() -> Limits {
    let mut limits = Limits::default();
    limits.max_unread = 64 * 1024;
    limits.max_queued = 64 * 1024;
    limits
}

pub(crate) fn texts_and_bytes_come_back_over_each_transport_and_revision<R: Host>() {
    let server = serve_echo::<R>(|builder| builder.allow_eio3(true));
    for revision in [Revision::V4, Revision::V3] {
        for base64 in [false, true] {
            for transports in [&POLLING[..], &WEBSOCKET, &BOTH] {
                let builder = to::<R>(server.local_addr()).revision(revision).force_base64(base64);
                let mut socket =
                    soon("a session", builder.transports(transports).connect()).unwrap();
                match transports {
                    // It may have upgraded already.
                    [_, _] => upgraded(&mut socket),
                    _ => assert_eq!(socket.transport(), transports[0]),
                }
                assert_eq!(socket.revision(), revision);
                let large = "é€😀".repeat(20_000);
                for text in ["hello", "", "é€😀", &large] {
                    soon("a send", socket.send(text)).unwrap();
                    assert_eq!(soon("an echo", socket.recv()), Some(text.into()));
                }
                for bytes in [vec![], vec![0x1e, 0xff], vec![7; 100_000]] {
                    soon("a send", socket.send(bytes.clone())).unwrap();
                    assert_eq!(soon("an echo", socket.recv()), Some(bytes.into()));
                }
                assert_eq!(soon("the end", socket.close()), CloseReason::ForcedClose);
            }
        }
    }
    until_empty(&server);
}

fn messages_keep_their_order_across_the_upgrade<R: Host>() {
    let server = serve::<R>(|builder| builder);
    let mut client = open::<R>(&server, &BOTH);
    let mut socket = accept(&server);
    let numbers = || (0..1000).map(|i: u32| Message::from(i.to_string()));
    for (sender, name) in [(client.sender(), "client"), (socket.sender(), "server")] {
        R::default().spawn(async move {
            for message in (0..1000).map(|i: u32| i.to_string()) {
                assert!(sender.send(message).await.is_ok(), "the session of the {name} is over");
            }
        });
    }
    for number in numbers() {
        assert_eq!(soon("a message", socket.recv()), Some(number));
    }
    for number in numbers() {
        assert_eq!(soon("a message", client.recv()), Some(number));
    }
    until("the upgrade", || socket.transport() == TransportKind::WebSocket);
}

fn what_is_sent_before_the_session_is_open_arrives_first<R: Host>() {
    let server = serve::<R>(|builder| builder);
    for transports in [&POLLING[..], &WEBSOCKET, &BOTH] {
        let client = to::<R>(server.local_addr()).transports(transports).build().unwrap();
        let connecting = client.open();
        for i in 0..3 {
            connecting.sender().try_send(format!("early-{i}")).unwrap();
        }
        let client = soon("a session", connecting).unwrap();
        soon("a send", client.send("late")).unwrap();
        let mut socket = accept(&server);
        for expected in ["early-0", "early-1", "early-2", "late"] {
            assert_eq!(soon("a message", socket.recv()), Some(expected.into()));
        }
    }
}

fn a_slow_application_of_the_client_slows_the_server<R: Host>() {
    for transports in [&POLLING[..], &WEBSOCKET] {
        let server = serve::<R>(|builder| builder.limits(small()));
        let builder = to::<R>(server.local_addr()).limits(small()).transports(transports);
        let mut client = soon("a session", builder.connect()).unwrap();
        let socket = accept(&server);
        let sent = fill(&socket);
        for i in 0..sent {
            let message =
                soon(&format!("message {i} of {sent} over {transports:?}"), client.recv());
            assert_eq!(message, Some(numbered(i)));
        }
    }
}

fn a_slow_application_of_the_server_slows_the_client<R: Host>() {
    for transports in [&POLLING[..], &WEBSOCKET] {
        let server = serve::<R>(|builder| builder.limits(small()));
        let builder = to::<R>(server.local_addr()).limits(small()).transports(transports);
        let client = soon("a session", builder.connect()).unwrap();
        let mut socket = accept(&server);
        let sent = fill(&client);
        for i in 0..sent {
            let message =
                soon(&format!("message {i} of {sent} over {transports:?}"), socket.recv());
            assert_eq!(message, Some(numbered(i)));
        }
    }
}

/// Sends to a peer that does not receive until there is no more room and none comes to be.
fn fill(socket: &Socket) -> u32 {
    for i in 0..10_000 {
        match socket.try_send(numbered(i)) {
            Ok(()) => {}
            Err(full) => {
                assert!(matches!(full.reason, SendError::Full { .. }), "{full}");
                // The kernel's buffers grow while they are being filled: only time tells.
                match within(Duration::from_millis(300), socket.send(full.message)) {
                    Some(sent) => sent.unwrap(),
                    None => return i,
                }
            }
        }
    }
    panic!("100 MB went to a peer that does not receive")
}

fn numbered(i: u32) -> Message {
    format!("{i:010000}").into()
}

fn large_messages_go_both_ways_at_once<R: Host>() {
    let server = serve_echo::<R>(|builder| builder.limits(small_with_large_messages()));
    for transports in [&POLLING[..], &WEBSOCKET] {
        let builder = to::<R>(server.local_addr()).limits(small_with_large_messages());
        let mut client = soon("a session", builder.transports(transports).connect()).unwrap();
        let sender = client.sender();
        R::default().spawn(async move {
            for i in 0..50 {
                assert!(sender.send(large(i)).await.is_ok(), "the session is over");
            }
        });
        for i in 0..50 {
            let message = soon(&format!("echo {i} over {transports:?}"), client.recv());
            assert_eq!(message, Some(large(i)));
        }
    }
}

fn small_with_large_messages() -> Limits {
    let mut limits = small();
    limits.max_payload = 1_000_000;
    limits
}

fn large(i: u32) -> Message {
    format!("{i:060000}").repeat(5).into()
}

fn close_lets_everything_out_and_waits_for_it<R: Host>() {
    for transports in [&POLLING[..], &WEBSOCKET, &BOTH] {
        let server = serve::<R>(|builder| builder);
        let client = open::<R>(&server, transports);
        let mut socket = accept(&server);
        for i in 0..1000 {
            soon("a send", client.send(i.to_string())).unwrap();
        }
        assert_eq!(soon("the end", client.close()), CloseReason::ForcedClose);
        // The client has no connection any more, so this server has all that it will ever have.
        for i in 0..1000 {
            assert_eq!(soon("a message", socket.recv()), Some(i.to_string().into()));
        }
        assert_eq!(soon("the end", socket.recv()), None);
        assert_eq!(socket.close_reason(), Some(CloseReason::TransportClose));
        assert_eq!(soon("a refusal", client.send("late")), Err(SendError::Closed));
        drop(client);
        until_empty(&server);
    }
}

fn a_dropped_socket_lets_everything_out<R: Host>() {
    let server = serve::<R>(|builder| builder);
    let client = open::<R>(&server, &BOTH);
    let mut socket = accept(&server);
    for i in 0..100 {
        client.try_send(i.to_string()).unwrap();
    }
    drop(client);
    for i in 0..100 {
        assert_eq!(soon("a message", socket.recv()), Some(i.to_string().into()));
    }
    assert_eq!(soon("the end", socket.recv()), None);
    until_empty(&server);
}

fn the_server_closes<R: Host>() {
    for transports in [&POLLING[..], &WEBSOCKET] {
        let server = serve::<R>(|builder| builder);
        let mut client = open::<R>(&server, transports);
        let socket = accept(&server);
        for i in 0..100 {
            socket.try_send(i.to_string()).unwrap();
        }
        drop(socket);
        for i in 0..100 {
            assert_eq!(soon("a message", client.recv()), Some(i.to_string().into()));
        }
        let closed = Event::Closed(CloseReason::TransportClose);
        assert_eq!(soon("the end", client.recv_event()), Some(closed));
        assert_eq!(soon("nothing more", client.recv_event()), None);
        assert_eq!(soon("the end", client.close()), CloseReason::TransportClose);
        until_empty(&server);
    }
}

fn a_client_that_is_given_up_while_it_connects_leaves_nothing<R: Host>() {
    let server = serve::<R>(|builder| {
        builder.allow_request(|_| std::future::pending::<Result<(), enginewire_driver::Refusal>>())
    });
    let client = to::<R>(server.local_addr()).build().unwrap();
    let mut connecting = client.open();
    assert!(within(Duration::from_millis(10), &mut connecting).is_none());
    until("the connection", || server.connections() == 1);
    drop(connecting);
    until_empty(&server);
}

fn what_cannot_be_connected_to_is_told_apart<R: Host>() {
    let refusing = Refusing::new();
    let address = refusing.address;
    let unreachable = CloseReason::TransportError(TransportFault::Unreachable);
    for transports in [&POLLING[..], &WEBSOCKET] {
        match soon("a failure", to::<R>(address).transports(transports).connect()) {
            Err(ConnectError::Session { reason, source: Some(error), .. }) => {
                assert_eq!(reason, unreachable);
                assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
            }
            other => panic!("{other:?}"),
        }
    }
    let connect = |url| soon("a failure", Client::<R>::connect(url)).unwrap_err();
    assert!(matches!(connect("localhost"), ConnectError::Url(_)));
    let own = Client::<R>::builder("http://localhost").header("Host", "other").build();
    assert!(matches!(own, Err(ConnectError::Header { name }) if name == "Host"));
    let long = "x".repeat(70_000);
    let large = Client::<R>::builder("http://localhost").query("q", long).build();
    assert!(matches!(large, Err(ConnectError::Request)));
}

fn a_server_that_says_nothing_is_given_up<R: Host>() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let builder = to::<R>(listener.local_addr().unwrap());
    let builder = builder.open_timeout(Duration::from_millis(50)).try_all_transports(true);
    let error = soon("a failure", builder.connect()).unwrap_err();
    assert!(error.to_string().ends_with(": the server has not answered in time"), "{error}");
    // Once for each transport, and neither connection was left open.
    for _ in 0..2 {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        std::io::Read::read_to_end(&mut stream, &mut Vec::new()).unwrap();
    }
}

fn a_server_that_refuses_is_named_with_its_status<R: Host>() {
    let server = serve::<R>(|builder| builder.allow_request(|_| async { Err("no".into()) }));
    for transports in [&POLLING[..], &WEBSOCKET] {
        let builder = to::<R>(server.local_addr()).transports(transports);
        let error = soon("a failure", builder.connect()).unwrap_err();
        let text = error.to_string();
        let to = server.local_addr();
        let start = format!("no session with {to}: the server answered with status 403");
        assert!(text.starts_with(&start), "{text}");
        assert!(transports == WEBSOCKET || text.ends_with(r#""message":"no"}"#), "{text}");
    }
    until_empty(&server);
}

/// Answers the first request on each connection with these bytes, and then says nothing. Gives the address.
fn answer_always(answer: String) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        while let Ok((mut stream, _)) = listener.accept() {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                if !matches!(std::io::Read::read(&mut stream, &mut byte), Ok(1)) {
                    break;
                }
                head.push(byte[0]);
            }
            let _ = std::io::Write::write_all(&mut stream, answer.as_bytes());
            kept.push(stream);
        }
    });
    address
}

pub(crate) fn redirect_to(location: &str) -> SocketAddr {
    answer_always(format!(
        "HTTP/1.1 307 Temporary Redirect\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"
    ))
}

fn a_redirect_leads_to_another_server_on_each_transport<R: Host>() {
    let server = serve_echo::<R>(|builder| builder.path("/there/"));
    let address = redirect_to(&format!("http://{}/there/", server.local_addr()));
    for transports in [&POLLING[..], &BOTH] {
        let builder = to::<R>(address).header("Authorization", "Bearer x");
        let mut client = soon("a session", builder.transports(transports).connect()).unwrap();
        if transports == BOTH {
            upgraded(&mut client);
        }
        assert_eq!(client.peer_addr(), server.local_addr());
        soon("a send", client.send("a")).unwrap();
        assert_eq!(soon("an echo", client.recv()), Some("a".into()));
        soon("the end", client.close());
    }
    // A WebSocket is not sent elsewhere.
    let error = soon("a failure", to::<R>(address).transports(WEBSOCKET).connect()).unwrap_err();
    assert!(error.to_string().contains("307"), "{error}");
    until_empty(&server);
}

fn the_server_sees_what_the_client_was_told_to_send<R: Host>() {
    let server = serve::<R>(|builder| builder.path("/custom/"));
    let url = format!("ws://{}/custom?token=a%20b", server.local_addr());
    let builder = Client::<R>::builder(&url).query("u", "€").header("X-Test", "held");
    let client = soon("a session", builder.connect()).unwrap();
    let socket = accept(&server);
    for handshake in [client.handshake(), socket.handshake()] {
        assert_eq!(handshake.path(), "/custom/");
        assert_eq!(handshake.query_value("token").as_deref(), Some("a b"));
        assert_eq!(handshake.query_value("u").as_deref(), Some("€"));
        assert_eq!(handshake.header("x-test"), Some(&b"held"[..]));
    }
    assert_eq!(client.peer_addr(), server.local_addr());
    assert_eq!(client.sid(), socket.sid());
}

fn the_server_sees_who_the_client_is<R: Host>() {
    let server = serve::<R>(|builder| builder);
    let default = format!("enginewire/{}", env!("CARGO_PKG_VERSION"));
    let url = format!("http://user:p%40ss@{}", server.local_addr());
    let builder = || Client::<R>::builder(&url);
    for (builder, user_agent, authorization) in [
        (builder(), &*default, "Basic dXNlcjpwQHNz"),
        (builder().user_agent("mine/1"), "mine/1", "Basic dXNlcjpwQHNz"),
        (builder().header("authorization", "Bearer x"), &default, "Bearer x"),
        (builder().transports(WEBSOCKET), &default, "Basic dXNlcjpwQHNz"),
    ] {
        let client = soon("a session", builder.connect()).unwrap();
        let socket = accept(&server);
        let field = |name| {
            let values = socket.handshake().headers().filter(|(field, _)| {
                str::from_utf8(field.as_ref()).is_ok_and(|field| field.eq_ignore_ascii_case(name))
            });
            values.map(|(_, value)| value.to_vec()).collect::<Vec<_>>()
        };
        assert_eq!(field("user-agent"), [user_agent.as_bytes()]);
        assert_eq!(field("authorization"), [authorization.as_bytes()]);
        drop(client);
    }
    let refused = builder().protocols(["a", "b c"]).build();
    assert!(matches!(refused, Err(ConnectError::Subprotocol { name }) if name == "b c"));
    let debug = format!("{:?}", Client::<R>::builder(&url).build());
    assert!(!debug.contains("p%40ss") && !debug.contains("dXNl"), "{debug}");
}

fn subprotocol_that_the_server_chooses_is_shown_to_the_client<R: Host>() {
    let server = serve::<R>(|builder| {
        builder.subprotocol(|_, offers| offers.iter().copied().find(|&offer| offer == "v2.chat"))
    });
    for transports in [&WEBSOCKET[..], &BOTH] {
        let builder = to::<R>(server.local_addr()).transports(transports);
        let builder = builder.protocols(["chat", "v2.chat"]);
        let mut client = soon("a session", builder.connect()).unwrap();
        let socket = accept(&server);
        if transports == BOTH {
            upgraded(&mut client);
        }
        assert_eq!(client.subprotocol().as_deref(), Some("v2.chat"));
        assert_eq!(client.sender().subprotocol().as_deref(), Some("v2.chat"));
        assert_eq!(socket.subprotocol(), None);
    }
    let builder = to::<R>(server.local_addr()).transports(POLLING).protocols(["v2.chat"]);
    assert_eq!(soon("a session", builder.connect()).unwrap().subprotocol(), None);
    drop(accept(&server));
    assert_eq!(open::<R>(&server, &WEBSOCKET).subprotocol(), None);
}

fn path_without_its_trailing_slash_is_served_and_asked_for<R: Host>() {
    let server = serve::<R>(|builder| builder.path("/chat").add_trailing_slash(false));
    for transports in [&POLLING, &WEBSOCKET] {
        let builder = to::<R>(server.local_addr()).path("/chat").transports(transports);
        let client = builder.add_trailing_slash(false).connect();
        let client = soon("a session", client).unwrap();
        assert_eq!(accept(&server).handshake().path(), "/chat");
        drop(client);
    }
}

fn names_and_ipv6_addresses_are_connected_to<R: Host>() {
    for (bound, host) in [("127.0.0.1:0", "localhost"), ("[::1]:0", "[::1]")] {
        let builder = ServerBuilder::on(R::default());
        let server = soon("a listener", builder.bind(bound)).unwrap();
        let url = format!("ws://{host}:{}", server.local_addr().port());
        let client = soon("a session", Client::<R>::connect(&url)).unwrap();
        assert_eq!(client.peer_addr(), server.local_addr());
        let socket = accept(&server);
        let named = format!("{host}:{}", server.local_addr().port());
        assert_eq!(socket.handshake().header("host"), Some(named.as_bytes()));
    }
}

fn an_upgrade_that_worked_is_remembered<R: Host>() {
    let server = serve_echo::<R>(|builder| builder);
    let client = to::<R>(server.local_addr()).remember_upgrade(true).build().unwrap();
    let mut first = soon("a session", client.open()).unwrap();
    upgraded(&mut first);
    let mut second = soon("a session", client.open()).unwrap();
    assert_eq!(second.transport(), TransportKind::WebSocket);
    soon("a send", second.send("a")).unwrap();
    let first_event = Some(Event::Message("a".into()));
    assert_eq!(soon("an echo", second.recv_event()), first_event, "there was an upgrade");
}

fn a_lost_session_is_followed_by_another_and_a_closed_one_is_not<R: Host>() {
    let server = serve::<R>(|builder: ServerBuilder<R>| builder);
    let mut policy = Reconnect::default();
    policy.delay = Duration::from_millis(1);
    let client = to::<R>(server.local_addr()).transports(BOTH).reconnect(policy).build().unwrap();
    let mut sessions = client.sessions();
    for i in 0..3 {
        let mut socket = soon("a session", sessions.next()).unwrap().unwrap();
        let other = accept(&server);
        // A session that lives has no successor.
        assert!(within(Duration::from_millis(10), sessions.next()).is_none());
        other.try_send(i.to_string()).unwrap();
        drop(other);
        assert_eq!(soon("a message", socket.recv()), Some(i.to_string().into()));
        assert_eq!(soon("the end", socket.recv()), None);
    }
    let socket = soon("a session", sessions.next()).unwrap().unwrap();
    soon("the end", socket.close());
    assert!(soon("the end of all sessions", sessions.next()).is_none());
}

fn a_closed_session_is_not_followed_by_another_whatever_ends_it<R: Host>() {
    let server = serve::<R>(|builder: ServerBuilder<R>| builder.limits(small()));
    let client = to::<R>(server.local_addr()).transports([TransportKind::WebSocket]);
    let mut sessions = client.build().unwrap().sessions();
    let socket = soon("a session", sessions.next()).unwrap().unwrap();
    let other = accept(&server);
    // More than the connection takes while nobody reads: the session is closing until that ends.
    let message = "x".repeat(100_000);
    loop {
        match socket.try_send(&*message) {
            Ok(()) => {}
            Err(full) => match within(Duration::from_millis(300), socket.ready()) {
                Some(ready) => ready.unwrap(),
                None => break assert!(matches!(full.reason, SendError::Full { .. })),
            },
        }
    }
    drop(socket);
    assert!(within(Duration::from_millis(10), sessions.next()).is_none());
    drop(other);
    assert!(soon("the end of all sessions", sessions.next()).is_none());
}

fn attempts_that_fail_come_to_an_end<R: Host>() {
    let refusing = Refusing::new();
    let mut policy = Reconnect::default();
    policy.delay = Duration::from_millis(1);
    policy.attempts = Some(3);
    let client = to::<R>(refusing.address).reconnect(policy).build().unwrap();
    let mut sessions = client.sessions();
    // The first attempt, and three more.
    for _ in 0..4 {
        let error = soon("a failure", sessions.next()).unwrap().unwrap_err();
        assert!(matches!(error, ConnectError::Session { .. }), "{error}");
    }
    assert!(soon("the end of all sessions", sessions.next()).is_none());
}
