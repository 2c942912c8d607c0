//! Tests of the way by a proxy, and of the blame for its faults.

use super::*;
use crate::{
    Proxies, Proxy, ProxyFault,
    wire::http::{Fault, ResponseFault},
};

const PROXY: &str = "http://p:3128";
const ESTABLISHED: &[u8] = b"HTTP/1.1 200 Connection established\r\n\r\n";
const CONNECT: &str = "CONNECT localhost:3000 HTTP/1.1\r\nHost: localhost:3000\r\n";

/// A client of the server at `url` behind a proxy.
fn behind(proxy: &str, url: &str, change: impl FnOnce(&mut ClientConfig)) -> Server {
    Server::of(url, |config| {
        config.proxies = Proxies::all(Proxy::parse(proxy).unwrap());
        config.remove_user_agent();
        change(config);
    })
}

fn websocket(config: &mut ClientConfig) {
    config.transports = vec![TransportKind::WebSocket];
}

impl Server {
    /// What was written to a connection.
    fn taken(&mut self, connection: ClientConnectionId) -> String {
        String::from_utf8(self.written.remove(&connection).unwrap_or_default()).unwrap()
    }

    fn address(&self, connection: ClientConnectionId) -> String {
        format!("{:?}", self.hub.address(connection).unwrap())
    }

    /// Connects to the proxy, and opens the tunnel that the client asks for.
    fn tunnel(&mut self) -> ClientConnectionId {
        let connection = self.connect();
        assert_eq!(self.taken(connection), format!("{CONNECT}\r\n"));
        self.bytes(connection, ESTABLISHED);
        connection
    }
}

fn fault_of(server: &mut Server) -> Option<ProxyFault> {
    match server.events().pop() {
        Some(Event::Closed(CloseReason::TransportError(TransportFault::Proxy(fault)))) => {
            Some(fault)
        }
        _ => None,
    }
}

#[test]
fn websocket_of_a_plain_server_goes_by_a_tunnel() {
    let mut server = behind(PROXY, "http://localhost:3000", websocket);
    assert_eq!(server.address(server.connecting[0]), "http://p:3128/");
    let connection = server.tunnel();
    assert_eq!(server.address(connection), "http://localhost:3000/");
    let mut ws = server.accept(connection);
    server.say(connection, &mut ws, &open("[]"));
    assert_eq!(server.events(), [Event::Opened]);
    server.hub.send("hello").unwrap();
    server.drain();
    assert_eq!(server.heard(connection, &mut ws), ["4hello"]);
}

#[test]
fn tunnel_opens_however_its_response_is_cut() {
    for step in 1..=ESTABLISHED.len() {
        let mut server = behind(PROXY, "http://localhost:3000", websocket);
        let connection = server.connect();
        assert_eq!(server.taken(connection), format!("{CONNECT}\r\n"));
        for part in ESTABLISHED.chunks(step) {
            assert_eq!(server.taken(connection), "", "{step}");
            server.bytes(connection, part);
        }
        server.accept(connection);
        assert!(server.closed.is_empty(), "{step}");
    }
}

#[test]
fn polling_of_a_plain_server_asks_the_proxy_with_the_whole_url() {
    let mut server = behind("http://u:w@p:3128", "http://localhost:3000", |_| {});
    let connection = server.connect();
    assert_eq!(
        server.taken(connection),
        "GET http://localhost:3000/engine.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: localhost:3000\r\n\
         Accept-Encoding: identity\r\nAccept: */*\r\nProxy-Authorization: Basic dTp3\r\n\r\n"
    );
    server.answer(connection, &open("[]"));
    assert_eq!(server.events(), [Event::Opened]);
    // The next ones as well, be it on this connection or another.
    server.wait(Duration::from_millis(30));
    server.hub.send("hello").unwrap();
    server.drain();
    let post = server.connect();
    let written = server.taken(post);
    assert!(written.starts_with("GET http://localhost:3000/engine.io/?"), "{written}");
    let written = server.taken(connection);
    assert!(written.starts_with("POST http://localhost:3000/engine.io/?"), "{written}");
    assert!(written.contains("\r\nProxy-Authorization: Basic dTp3\r\n"), "{written}");
}

#[test]
fn polling_goes_by_a_tunnel_if_it_is_told_to() {
    let url = "http://localhost:3000";
    let mut server = behind(PROXY, url, |config| config.proxies.always_tunnel = true);
    let connection = server.tunnel();
    assert_eq!(server.request(connection), "GET /engine.io/?EIO=4&transport=polling");
    server.answer(connection, &open("[]"));
    assert_eq!(server.events(), [Event::Opened]);
}

#[test]
fn tunnel_to_a_secure_server_is_encrypted_before_anything_goes_through() {
    for change in [websocket, |_: &mut ClientConfig| {}] {
        let mut server = behind(PROXY, "https://localhost:3000", change);
        let connection = server.connect();
        assert_eq!(server.address(connection), "http://p:3128/");
        assert_eq!(server.taken(connection), format!("{CONNECT}\r\n"));
        server.bytes(connection, ESTABLISHED);
        assert_eq!(server.encrypting, [connection]);
        assert_eq!(server.address(connection), "https://localhost:3000/");
        assert!(!server.hub.is_reading(connection));
        assert_eq!(server.taken(connection), "");
        assert!(server.hub.handle_connected(server.now, connection));
        server.drain();
        assert!(server.hub.is_reading(connection));
        let written = server.taken(connection);
        assert!(written.starts_with("GET /engine.io/?EIO=4&transport="), "{written}");
        assert_eq!(server.encrypting, [connection], "once");
    }
}

#[test]
fn server_that_cannot_be_encrypted_for_is_to_blame_and_not_the_proxy() {
    let mut server = behind(PROXY, "https://localhost:3000", |_| {});
    let connection = server.connect();
    server.bytes(connection, ESTABLISHED);
    server.hub.handle_refused(server.now, connection);
    server.drain();
    assert_eq!(server.events(), [closed(TransportFault::Unreachable)]);
}

#[test]
fn credentials_reach_the_proxy_and_never_the_server() {
    for own in [false, true] {
        let change = |config: &mut ClientConfig| {
            websocket(config);
            config.push_header("X-A", "1").unwrap();
            if own {
                config.push_header("Proxy-Authorization", "Bearer token").unwrap();
            }
        };
        let mut server = behind("http://u:w@p:3128", "http://localhost:3000", change);
        let connection = server.connect();
        let credentials = if own { "Bearer token" } else { "Basic dTp3" };
        let expected = format!("{CONNECT}Proxy-Authorization: {credentials}\r\n\r\n");
        assert_eq!(server.taken(connection), expected);
        server.bytes(connection, ESTABLISHED);
        let written = server.taken(connection);
        assert!(written.contains("\r\nX-A: 1\r\n"), "{written}");
        assert!(!written.to_ascii_lowercase().contains("proxy-auth"), "{written}");
    }
}

#[test]
fn credentials_for_a_proxy_do_not_reach_a_server_without_one() {
    for (exception, is_sent) in [("localhost", false), ("", true)] {
        let url = "http://localhost:3000";
        let mut server = behind("http://u:w@p:3128", url, |config| {
            config.push_header("Proxy-Authorization", "Bearer token").unwrap();
            config.proxies.add_exceptions(exception);
            // Without any proxy it is a field as any other.
            if exception.is_empty() {
                config.proxies = Proxies::default();
            }
        });
        assert_eq!(server.address(server.connecting[0]), "http://localhost:3000/");
        let connection = server.connect();
        let written = server.taken(connection);
        assert!(written.starts_with("GET /engine.io/?"), "{written}");
        assert_eq!(written.contains("\r\nProxy-Authorization: Bearer token\r\n"), is_sent);
    }
}

#[test]
fn tunnel_names_the_client_to_the_proxy() {
    let mut server = behind(PROXY, "http://localhost:3000", |config| {
        websocket(config);
        config.push_header("User-Agent", "mine/1").unwrap();
    });
    let connection = server.connect();
    assert_eq!(server.taken(connection), format!("{CONNECT}User-Agent: mine/1\r\n\r\n"));
}

#[test]
fn refusal_of_a_tunnel_tells_who_is_to_blame() {
    let http = |fault: ResponseFault| ProxyFault::Http(fault);
    let long = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(20_000));
    for (response, proxy, fault) in [
        ("HTTP/1.1 407 x\r\n\r\n", PROXY, ProxyFault::CredentialsMissing),
        (
            "HTTP/1.1 407 x\r\nContent-Length: 99999999999\r\n\r\n",
            PROXY,
            ProxyFault::CredentialsMissing,
        ),
        ("HTTP/1.1 407 x\r\n\r\n", "http://u:w@p:3128", ProxyFault::CredentialsRefused),
        ("HTTP/1.1 403 x\r\nContent-Length: 9\r\n\r\nforbidden", PROXY, ProxyFault::Refused(403)),
        ("HTTP/1.1 302 x\r\nLocation: http://a\r\n\r\n", PROXY, ProxyFault::Refused(302)),
        ("HTTP/1.1 502 x\r\n\r\n", PROXY, ProxyFault::ServerUnreachable(502)),
        ("HTTP/1.1 504 x\r\n\r\n", PROXY, ProxyFault::ServerUnreachable(504)),
        ("SSH-2.0-x\r\n\r\n", PROXY, http(ResponseFault::StatusLine)),
        (&*long, PROXY, http(Fault::HeadTooLarge { max: 16_384 }.into())),
        ("HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200", PROXY, http(ResponseFault::Unsolicited)),
    ] {
        for step in [1, response.len()] {
            let mut server = behind(proxy, "http://localhost:3000", websocket);
            let connection = server.connect();
            for part in response.as_bytes().chunks(step) {
                if server.closed.is_empty() {
                    server.bytes(connection, part);
                }
            }
            // Bytes behind the head that come later come on the server's connection.
            if step > 1 || !response.starts_with("HTTP/1.1 200 OK\r\n\r\n") {
                assert_eq!(fault_of(&mut server), Some(fault), "{response:?} {step}");
                assert_eq!(server.closed, [connection]);
                assert!(server.hub.is_finished());
            }
        }
    }
}

#[test]
fn response_to_a_request_that_was_not_written_is_a_fault() {
    let mut server = behind(PROXY, "http://localhost:3000", websocket);
    server.room = 10;
    let connection = server.connect();
    server.bytes(connection, ESTABLISHED);
    assert_eq!(fault_of(&mut server), Some(ProxyFault::Http(ResponseFault::Unsolicited)));
}

#[test]
fn proxy_that_is_not_there_or_leaves_is_to_blame() {
    let url = "http://localhost:3000";
    let polling: fn(&mut ClientConfig) = |_| {};
    for change in [websocket, polling] {
        let mut server = behind(PROXY, url, change);
        let connection = server.connecting.remove(0);
        server.hub.handle_refused(server.now, connection);
        server.drain();
        assert_eq!(fault_of(&mut server), Some(ProxyFault::Unreachable));
    }
    for eof in [true, false] {
        let mut server = behind(PROXY, url, websocket);
        let connection = server.connect();
        server.bytes(connection, b"HTTP/1.1 200 OK\r\n");
        if eof {
            server.hub.handle_eof(server.now, connection);
        } else {
            server.hub.handle_lost(server.now, connection);
        }
        server.drain();
        assert_eq!(fault_of(&mut server), Some(ProxyFault::ConnectionLost));
        assert!(server.hub.is_finished());
    }
    // The tunnel stood.
    let mut server = behind(PROXY, url, websocket);
    let connection = server.tunnel();
    server.hub.handle_lost(server.now, connection);
    server.drain();
    assert_eq!(server.events(), [closed(TransportFault::ConnectionLost)]);
}

#[test]
fn proxy_that_says_nothing_is_to_blame_for_a_session_that_does_not_open() {
    let url = "http://localhost:3000";
    let late = Duration::from_secs(20);
    for connected in [false, true] {
        let mut server = behind(PROXY, url, websocket);
        if connected {
            server.connect();
        }
        server.wait(late);
        assert_eq!(fault_of(&mut server), Some(ProxyFault::Timeout), "{connected}");
        assert!(server.hub.is_finished());
    }
    let mut server = behind(PROXY, url, websocket);
    server.tunnel();
    server.wait(late);
    assert_eq!(server.events(), [closed(TransportFault::Timeout)]);
    assert!(server.hub.is_finished());
}

#[test]
fn transport_that_the_proxy_does_not_let_through_is_followed_by_the_next() {
    let mut server = behind(PROXY, "http://localhost:3000", |config| {
        config.transports = vec![TransportKind::WebSocket, TransportKind::Polling];
        config.try_all_transports = true;
    });
    let connection = server.connect();
    server.bytes(connection, b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
    let polling = server.connect();
    assert_eq!(server.request(polling), "GET /engine.io/?EIO=4&transport=polling");
    server.answer(polling, &open("[]"));
    assert_eq!(server.events(), [Event::Opened]);
}

#[test]
fn upgrade_that_the_proxy_refuses_leaves_the_session_on_polling() {
    let mut server = behind(PROXY, "http://localhost:3000", |_| {});
    let first = server.connect();
    server.answer(first, &open(r#"["websocket"]"#));
    assert_eq!(server.events(), [Event::Opened]);
    let socket = server.connect();
    assert_eq!(server.taken(socket), format!("{CONNECT}\r\n"));
    server.bytes(socket, b"HTTP/1.1 403 Forbidden\r\n\r\n");
    assert_eq!((server.closed.clone(), server.events()), (vec![socket], vec![]));
    assert!(!server.hub.session().is_upgrading() && server.hub.session().is_open());
}

#[test]
fn errors_that_a_forwarding_proxy_marks_are_its_own() {
    for (fields, status, fault) in [
        ("", 407, Some(ProxyFault::CredentialsMissing)),
        ("", 403, None),
        ("", 502, None),
        ("X-Squid-Error: ERR_ACCESS_DENIED 0\r\n", 403, Some(ProxyFault::Refused(403))),
        ("X-Squid-Error: ERR_DNS_FAIL 0\r\n", 503, Some(ProxyFault::ServerUnreachable(503))),
        ("Proxy-Status: p; error=dns_error\r\n", 502, Some(ProxyFault::ServerUnreachable(502))),
        ("Proxy-Status: p; next-hop=a\r\n", 502, None),
    ] {
        let mut server = behind(PROXY, "http://localhost:3000", |_| {});
        let connection = server.connect();
        let head = format!("HTTP/1.1 {status} x\r\n{fields}Content-Length: 0\r\n\r\n");
        server.bytes(connection, head.as_bytes());
        let fault = fault.map_or(TransportFault::Status(status), TransportFault::Proxy);
        assert_eq!(server.events(), [closed(fault)], "{fields:?} {status}");
        assert!(server.hub.is_finished());
    }
}

#[test]
fn redirect_and_cookies_go_by_the_proxy_of_where_they_lead() {
    let mut server = behind(PROXY, "http://localhost:3000", |config| {
        config.proxies.add_exceptions("near");
    });
    let first = server.connect();
    let head = "HTTP/1.1 307 x\r\nLocation: http://localhost:3001/a/\r\nSet-Cookie: c=1; Path=/\r\n\
                Content-Length: 0\r\nConnection: close\r\n\r\n";
    server.bytes(first, head.as_bytes());
    let second = server.connect();
    let written = server.taken(second);
    let line = "GET http://localhost:3001/a/?EIO=4&transport=polling HTTP/1.1\r\n";
    assert!(written.starts_with(line) && written.contains("\r\nCookie: c=1\r\n"), "{written}");
    let head = "HTTP/1.1 307 x\r\nLocation: http://near/\r\nContent-Length: 0\r\n\r\n";
    server.bytes(second, head.as_bytes());
    assert_eq!(server.address(server.connecting[0]), "http://near/");
    let third = server.connect();
    let written = server.taken(third);
    assert!(written.starts_with("GET /?EIO=4&transport=polling HTTP/1.1\r\n"), "{written}");
}

#[test]
fn kept_tunnel_that_was_closed_is_opened_anew() {
    let url = "http://localhost:3000";
    let mut server = behind(PROXY, url, |config| config.proxies.always_tunnel = true);
    let first = server.tunnel();
    server.answer(first, &open("[]"));
    assert_eq!(server.events(), [Event::Opened]);
    let get = server.tunnel();
    server.wait(Duration::from_millis(30));
    server.hub.send("hello").unwrap();
    server.drain();
    assert!(server.written.contains_key(&first), "the kept tunnel is used");
    server.hub.handle_eof(server.now, first);
    server.drain();
    let again = server.tunnel();
    let target = "/engine.io/?EIO=4&transport=polling&sid=the-sid";
    assert_eq!(server.request(again), format!("POST {target} 4hello"));
    assert_eq!(server.request(get), format!("GET {target}"));
}

#[test]
fn bytes_of_a_tunnel_that_opens_are_no_sign_of_life_of_the_server() {
    let mut server = behind(PROXY, "http://localhost:3000", websocket);
    let connection = server.connect();
    let before = server.hub.poll_timeout();
    server.now = server.now + Duration::from_secs(1);
    server.bytes(connection, b"HTTP/1.1 102 x\r\n\r\n");
    assert_eq!(server.hub.poll_timeout(), before);
}
