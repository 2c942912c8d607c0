//! Clients that come through proxies: which address counts, and the header of the PROXY protocol.

use std::{
    io::{Read as _, Write as _},
    thread,
    time::Duration,
};

use enginewire_driver::{Cors, CorsOrigin, Networks, Response, ServerBuilder, TrustedProxies};
use enginewire_tests::tls::{self, Authority};

use crate::{
    Host, accept,
    client::{Client, soon, until},
    serve, serve_echo, until_empty,
};

on_every_runtime!(
    peer_addr_is_that_of_the_client_behind_a_trusted_proxy,
    field_of_a_peer_that_is_not_trusted_changes_nothing,
    fallback_and_allow_request_see_the_client,
    header_names_the_client_on_both_transports,
    header_is_read_however_it_is_cut,
    header_of_a_health_check_leaves_the_address_of_the_proxy,
    field_behind_a_header_names_the_client_of_the_client,
    header_comes_before_the_handshake_of_tls,
    peer_without_its_header_is_closed,
    header_of_a_peer_that_sends_none_is_a_bad_request,
    header_that_does_not_come_costs_the_connection,
    connection_without_its_header_counts_and_ends_with_the_server,
    closing_server_ends_a_wait_for_a_header_without_a_reset,
    preflight_for_a_session_of_another_server_is_granted,
    upgrade_for_a_session_of_another_server_gets_a_response,
    upgrade_without_its_fields_gets_a_response_and_leaves_the_session,
    stats_count_connections_sessions_and_refusals,
);

const GET: &str = "GET /engine.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: a\r\n";

/// 203.0.113.9:56324, and an extension.
const BINARY: &[u8] =
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x11\xcb\0\x71\x09\x0a\0\0\x01\xdc\x04\x01\xbb\x04\0\x02ab";
const LINE: &[u8] = b"PROXY TCP4 203.0.113.9 10.0.0.1 56324 443\r\n";
const CLIENT: &str = "203.0.113.9:56324";

fn trusting<R: Host>(builder: ServerBuilder<R>) -> ServerBuilder<R> {
    builder.trusted_proxies(TrustedProxies::parse("127.0.0.0/8").unwrap())
}

fn expecting<R: Host>(builder: ServerBuilder<R>) -> ServerBuilder<R> {
    builder.proxy_protocol("127.0.0.0/8".parse().unwrap())
}

fn peer_addr_is_that_of_the_client_behind_a_trusted_proxy<R: Host>() {
    let server = serve::<R>(trusting);
    let mut client = Client::connect(server.local_addr());
    let proxy = client.stream().local_addr().unwrap();
    client.write(format!(
        "{GET}X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 203.0.113.9, 127.0.0.9\r\n\r\n"
    ));
    assert_eq!(client.answer().status, 200);
    let socket = accept(&server);
    assert_eq!(socket.peer_addr().to_string(), "203.0.113.9:0");
    assert_eq!(socket.handshake().proxy_addr(), Some(proxy));
    // Each request has its own client, on one connection of the proxy.
    client.write(format!("{GET}X-Forwarded-For: 203.0.113.10\r\n\r\n"));
    assert_eq!(client.answer().status, 200);
    assert_eq!(accept(&server).peer_addr().to_string(), "203.0.113.10:0");
    client.write(format!("{GET}\r\n"));
    assert_eq!(client.answer().status, 200);
    let socket = accept(&server);
    assert_eq!((socket.peer_addr(), socket.handshake().proxy_addr()), (proxy, None));
}

fn field_of_a_peer_that_is_not_trusted_changes_nothing<R: Host>() {
    let field = "X-Forwarded-For: 203.0.113.9\r\nForwarded: for=203.0.113.9\r\n\r\n";
    let strangers = TrustedProxies::parse("10.0.0.0/8").unwrap();
    for server in [
        serve::<R>(|builder| builder),
        serve(|builder: ServerBuilder<R>| builder.trusted_proxies(strangers)),
    ] {
        let mut client = Client::connect(server.local_addr());
        client.write(format!("{GET}{field}"));
        assert_eq!(client.answer().status, 200);
        let socket = accept(&server);
        assert_eq!(socket.peer_addr(), client.stream().local_addr().unwrap());
        assert_eq!(socket.handshake().proxy_addr(), None);
    }
}

fn fallback_and_allow_request_see_the_client<R: Host>() {
    let server = serve::<R>(|builder| {
        trusting(builder)
            .fallback(|request| async move {
                Response::new(200, "text/plain", request.peer_addr.to_string())
            })
            .allow_request(|handshake| async move { Err(handshake.peer_addr().to_string().into()) })
    });
    let mut client = Client::connect(server.local_addr());
    let field = "X-Forwarded-For: [2001:db8::9]:4711\r\n\r\n";
    client.write(format!("GET / HTTP/1.1\r\nHost: a\r\n{field}"));
    assert_eq!(client.answer().body, "[2001:db8::9]:4711");
    client.write(format!("{GET}{field}"));
    let refused = client.answer();
    assert_eq!(refused.status, 403);
    assert!(refused.body.contains("[2001:db8::9]:4711"), "{refused:?}");
}

fn header_names_the_client_on_both_transports<R: Host>() {
    let server = serve::<R>(expecting);
    for header in [LINE, BINARY] {
        let mut client = Client::connect(server.local_addr());
        let proxy = client.stream().local_addr().unwrap();
        // With the request in one segment: the header must take no byte of it.
        client.write([header, format!("{GET}\r\n").as_bytes()].concat());
        assert_eq!(client.answer().status, 200);
        let socket = accept(&server);
        assert_eq!(socket.peer_addr().to_string(), CLIENT);
        assert_eq!(socket.handshake().proxy_addr(), Some(proxy));
        let mut client = Client::connect(server.local_addr());
        client.write([header, Client::upgrade("").as_bytes()].concat());
        assert_eq!(client.answer().status, 101);
        assert_eq!(accept(&server).peer_addr().to_string(), CLIENT);
    }
}

fn header_is_read_however_it_is_cut<R: Host>() {
    let server = serve::<R>(expecting);
    for header in [LINE, BINARY] {
        let mut client = Client::connect(server.local_addr());
        client.stream().set_nodelay(true).unwrap();
        for byte in header {
            client.write([*byte]);
        }
        client.write(format!("{GET}\r\n"));
        assert_eq!(client.answer().status, 200);
        assert_eq!(accept(&server).peer_addr().to_string(), CLIENT);
    }
}

fn header_of_a_health_check_leaves_the_address_of_the_proxy<R: Host>() {
    let server = serve::<R>(expecting);
    for header in [&b"PROXY UNKNOWN\r\n"[..], b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"] {
        let mut client = Client::connect(server.local_addr());
        client.write([header, format!("{GET}\r\n").as_bytes()].concat());
        assert_eq!(client.answer().status, 200);
        let socket = accept(&server);
        assert_eq!(socket.peer_addr(), client.stream().local_addr().unwrap());
        assert_eq!(socket.handshake().proxy_addr(), None);
    }
}

fn field_behind_a_header_names_the_client_of_the_client<R: Host>() {
    let proxies = TrustedProxies::parse("127.0.0.0/8, 203.0.113.0/24").unwrap();
    let server = serve::<R>(|builder| expecting(builder).trusted_proxies(proxies));
    let mut client = Client::connect(server.local_addr());
    let proxy = client.stream().local_addr().unwrap();
    let request = format!("{GET}X-Forwarded-For: 198.51.100.7\r\n\r\n");
    client.write([LINE, request.as_bytes()].concat());
    assert_eq!(client.answer().status, 200);
    let socket = accept(&server);
    assert_eq!(socket.peer_addr().to_string(), "198.51.100.7:0");
    assert_eq!(socket.handshake().proxy_addr(), Some(proxy));
}

fn header_comes_before_the_handshake_of_tls<R: Host>() {
    let authority = Authority::default();
    let config = authority.server(&authority.issue(&["a"]));
    let server = serve::<R>(|builder| expecting(builder).tls(config));
    for header in [LINE, BINARY] {
        let mut client = tls::connect(authority.client(), server.local_addr(), "a");
        client.sock.write_all(header).unwrap();
        write!(client, "{GET}Connection: close\r\n\r\n").unwrap();
        let mut response = Vec::new();
        client.read_to_end(&mut response).unwrap();
        assert!(response.starts_with(b"HTTP/1.1 200 "));
        let socket = accept(&server);
        assert_eq!(socket.peer_addr().to_string(), CLIENT);
        assert_eq!(socket.handshake().tls().unwrap().server_name.as_deref(), Some("a"));
    }
    assert_eq!(server.tls_stats().completed, 2);
    // A handshake that waits for its header is one in flight, for their limit.
    let silent = Client::connect(server.local_addr());
    until("a handshake", || server.tls_stats().in_flight == 1);
    drop(silent);
    until("its end", || server.tls_stats().in_flight == 0);
}

fn peer_without_its_header_is_closed<R: Host>() {
    let server = serve::<R>(expecting);
    let long = [&LINE[..10], &[b'1'; 97]].concat();
    for start in
        [GET.as_bytes(), b"PROXY TCP4 a b 1 2\r\n", b"\r\n\r\n\0\r\nQUIT\n\x31\0\0\0", &long]
    {
        let mut client = Client::connect(server.local_addr());
        client.write(start);
        assert_eq!(client.rest(), b"");
    }
    let client = Client::connect(server.local_addr());
    client.stream().shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(client.rest(), b"");
    until_empty(&server);
    assert_eq!(server.stats().proxy_headers_failed, 5);
}

fn header_of_a_peer_that_sends_none_is_a_bad_request<R: Host>() {
    let strangers: Networks = "10.0.0.0/8".parse().unwrap();
    let server = serve::<R>(|builder| builder.proxy_protocol(strangers));
    let mut client = Client::connect(server.local_addr());
    client.write([LINE, format!("{GET}\r\n").as_bytes()].concat());
    assert_eq!(client.answer().status, 400);
    // Without one it is served, as a health check of another network is.
    let mut client = Client::connect(server.local_addr());
    client.write(format!("{GET}\r\n"));
    assert_eq!(client.answer().status, 200);
}

fn header_that_does_not_come_costs_the_connection<R: Host>() {
    let timeout = Duration::from_millis(50);
    let server = serve::<R>(|builder| expecting(builder).head_timeout(timeout));
    for start in [&b""[..], &LINE[..20], &BINARY[..20]] {
        let mut client = Client::connect(server.local_addr());
        client.write(start);
        assert_eq!(client.rest(), b"");
    }
    until_empty(&server);
    assert_eq!(server.stats().proxy_headers_failed, 3);
}

fn connection_without_its_header_counts_and_ends_with_the_server<R: Host>() {
    let server = serve_echo::<R>(|builder| expecting(builder).max_connections(1));
    let silent = Client::connect(server.local_addr());
    until("the connection", || server.connections() == 1);
    let mut second = Client::connect(server.local_addr());
    second.write([LINE, format!("{GET}\r\n").as_bytes()].concat());
    // It has its turn when the first has gone.
    drop(silent);
    assert_eq!(second.answer().status, 200);
    drop(second);
    until("the end of the connection", || server.connections() == 0);
    let silent = Client::connect(server.local_addr());
    until("the connection", || server.connections() == 1);
    server.abort();
    assert_eq!(silent.rest(), b"");
    until_empty(&server);
}

fn closing_server_ends_a_wait_for_a_header_without_a_reset<R: Host>() {
    let server = serve::<R>(expecting);
    let client = Client::connect(server.local_addr());
    let mut stream = client.stream();
    stream.write_all(&LINE[..20]).unwrap();
    until("the connection", || server.connections() == 1);
    thread::scope(|scope| {
        let closing = scope.spawn(|| soon("the end", server.close()));
        assert_eq!(stream.read(&mut [0]).unwrap(), 0);
        // If nothing read it, the first would be answered by a reset, and the second fail.
        stream.write_all(&LINE[20..30]).unwrap();
        stream.write_all(&LINE[30..]).unwrap();
        drop((client, stream));
        closing.join().unwrap();
    });
    assert_eq!((server.connections(), server.stats().proxy_headers_failed), (0, 0));
}

fn preflight_for_a_session_of_another_server_is_granted<R: Host>() {
    // Browsers send it without the cookie by which a load balancer finds the server.
    let server = serve::<R>(|builder| builder.cors(Cors::new(CorsOrigin::Any)));
    let mut client = Client::connect(server.local_addr());
    client.write(
        "OPTIONS /engine.io/?EIO=4&transport=polling&sid=AAAAAAAAAAAAAAAAAAAA HTTP/1.1\r\nHost: a\r\n\
         Origin: http://b\r\nAccess-Control-Request-Method: POST\r\n\r\n",
    );
    let granted = client.answer();
    assert_eq!(granted.status, 204);
    assert!(granted.head.contains("Access-Control-Allow-Origin: *\r\n"), "{}", granted.head);
}

fn upgrade_for_a_session_of_another_server_gets_a_response<R: Host>() {
    // Closed without one, a proxy would say 502, and that the server is down.
    let server = serve::<R>(|builder| builder);
    let mut client = Client::connect(server.local_addr());
    client.write(Client::upgrade("&sid=AAAAAAAAAAAAAAAAAAAA"));
    let refused = client.answer();
    assert_eq!((refused.status, refused.body.contains("Session ID unknown")), (400, true));
}

fn upgrade_without_its_fields_gets_a_response_and_leaves_the_session<R: Host>() {
    // As a proxy passes it on that is not set up for WebSockets.
    let server = serve_echo::<R>(|builder| builder);
    let mut client = Client::connect(server.local_addr());
    let sid = client.open_polling();
    let target = |transport| format!("/engine.io/?EIO=4&transport={transport}&sid={sid}");
    assert_eq!(Client::connect(server.local_addr()).get(&target("websocket")).status, 400);
    client.request("POST", &target("polling"), "4hello");
    assert_eq!(client.answer().body, "ok");
    assert_eq!(client.get(&target("polling")).body, "4hello");
}

fn stats_count_connections_sessions_and_refusals<R: Host>() {
    let server = serve::<R>(expecting);
    let mut client = Client::connect(server.local_addr());
    client.write([LINE, format!("{GET}\r\n").as_bytes()].concat());
    assert_eq!(client.answer().status, 200);
    assert_eq!(client.get("/other").status, 404);
    let other = Client::connect(server.local_addr());
    until("the second connection", || server.stats().connections == 2);
    let stats = server.stats();
    let counts = (stats.sessions, stats.connections_opened, stats.sessions_opened);
    // The second one counts as well, though it has not said yet who it is.
    assert_eq!((counts, stats.requests_refused), ((1, 2, 1), 1));
    accept(&server).abort();
    drop((client, other));
    until_empty(&server);
    let stats = server.stats();
    let counts = (stats.connections_opened, stats.sessions_opened, stats.proxy_headers_failed);
    assert_eq!(counts, (2, 1, 1));
}
