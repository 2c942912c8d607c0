//! Redirects, to another host and on the same.

use super::*;

#[test]
fn connections_go_to_the_host_that_a_redirect_names() {
    let mut server = Server::new(|_| {});
    let first = server.connect();
    assert_eq!(server.hub.address(first).unwrap().authority(), "localhost:3000");
    server.written.remove(&first).unwrap();
    let moved = "HTTP/1.1 307 \r\nLocation: https://example.com/p\r\nContent-Length: 0\r\n\r\n";
    server.bytes(first, moved.as_bytes());
    // The kept connection leads to another server.
    assert!(server.closed.is_empty() && server.written.is_empty());
    let second = server.connect();
    let url = server.hub.address(second).unwrap();
    assert_eq!((url.host(), url.port(), url.is_secure()), ("example.com", 443, true));
    let head = RequestHead::parse(&server.written.remove(&second).unwrap(), 100).unwrap();
    assert_eq!(head.header("host"), Some(&b"example.com"[..]));
    assert_eq!((head.path(), head.query()), ("/p", "EIO=4&transport=polling"));
    server.answer(second, &open(r#"["websocket"]"#));
    // The WebSocket and the next GET.
    assert_eq!(server.connecting.len(), 2);
    for connection in &server.connecting {
        assert_eq!(server.hub.address(*connection).unwrap().authority(), "example.com");
    }
    server.wait(Duration::from_secs(4));
    assert!(server.closed.contains(&first));
    assert_eq!(server.hub.address(first), None);
}

#[test]
fn a_relative_redirect_stays_with_its_server() {
    let (mut server, get) = Server::polling("[]");
    server.bytes(get, b"HTTP/1.1 302 \r\nLocation: p\r\nContent-Length: 0\r\n\r\n");
    let target = "/engine.io/p?EIO=4&transport=polling&sid=the-sid";
    let next = server.connect();
    assert_eq!(server.hub.address(next).unwrap().authority(), "localhost:3000");
    assert_eq!(server.request(next), format!("GET {target}"));
}

#[test]
fn a_redirect_of_a_websocket_is_a_failure() {
    let mut server = Server::new(|config| config.transports = vec![TransportKind::WebSocket]);
    let connection = server.connect();
    server.bytes(connection, b"HTTP/1.1 302 \r\nLocation: /p\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(server.events(), [closed(TransportFault::Status(302))]);
}
