//! WebSockets on connections that hyper hands over.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::Router;
use enginewire_tests::client::{Client, soon, until};
use enginewire_tokio::{ServerBuilder, TransportKind};
use hyper::server::conn::http1;
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use tokio::net::TcpListener;

use crate::{Fixture, RUNTIME, field, listen, polling};

#[test]
fn session_begins_on_a_websocket_and_its_handler_echoes() {
    let fixture = Fixture::layered(|builder| {
        builder.handler(|mut socket, _| async move {
            while let Some(message) = socket.recv().await {
                socket.send(message).await.ok();
            }
        })
    });
    let mut client = Client::open_websocket(fixture.address);
    for text in ["4a", "4b", &format!("4{}", "c".repeat(200_000))] {
        client.send(text);
        assert_eq!(client.text(), text);
    }
    assert_eq!(fixture.server.connections(), 1);
    drop(client);
    fixture.until_empty();
}

#[test]
fn handshake_response_has_the_fields_of_rfc_6455_and_the_subprotocol() {
    let fixture = Fixture::layered(|builder| {
        builder.headers(|_, initial, lines| {
            lines.push("X-Initial", if initial { "yes" } else { "no" }).unwrap();
        })
    });
    let mut client = fixture.connect();
    let head = Client::upgrade("");
    client.write(head.replace("Host: a", "Host: a\r\nSec-WebSocket-Protocol: chat, other"));
    let answer = client.answer();
    assert_eq!(answer.status, 101);
    // That of the key in RFC 6455 section 1.3.
    assert_eq!(field(&answer.head, "sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert_eq!(field(&answer.head, "sec-websocket-protocol"), Some("chat"));
    assert_eq!(field(&answer.head, "x-initial"), Some("yes"));
}

#[test]
fn frames_that_come_with_the_handshake_are_messages() {
    let fixture = Fixture::layered(|builder| builder);
    let mut client = fixture.connect();
    let mut bytes = Client::upgrade("").into_bytes();
    bytes.extend(Client::frame("4early"));
    bytes.extend(Client::frame("4bird"));
    client.write(bytes);
    assert_eq!(client.answer().status, 101);
    let mut socket = fixture.accept();
    for text in ["early", "bird"] {
        assert_eq!(soon("a message", socket.recv()).unwrap().as_text(), Some(text));
    }
}

#[test]
fn session_moves_to_a_websocket_and_loses_nothing() {
    let fixture = Fixture::layered(|builder| builder);
    let mut polls = fixture.connect();
    let sid = polls.open_polling();
    let mut socket = fixture.accept();
    soon("room", socket.send("before")).unwrap();
    assert_eq!(polls.get(&polling(&sid)).body, "4before");
    polls.request("GET", &polling(&sid), "");
    let mut client = fixture.connect();
    client.write(Client::upgrade(&format!("&sid={sid}")));
    assert_eq!(client.answer().status, 101);
    client.send("2probe");
    assert_eq!(client.text(), "3probe");
    assert_eq!(polls.answer().body, "6");
    client.send("5");
    until("the upgrade", || socket.transport() == TransportKind::WebSocket);
    soon("room", socket.send("after")).unwrap();
    assert_eq!(client.text(), "4after");
    client.send("4up");
    assert_eq!(soon("a message", socket.recv()).unwrap().as_text(), Some("up"));
}

#[test]
fn refused_handshakes_open_nothing() {
    let fixture = Fixture::layered(|builder| builder);
    let cases = [("Version: 13", "Version: 12", 426), ("dGhlIHNhbXBsZSBub25jZQ==", "dGhl", 400)];
    for (from, to, status) in cases {
        let mut client = fixture.connect();
        client.write(Client::upgrade("").replace(from, to));
        assert_eq!(client.answer().status, status, "{to}");
    }
    let mut client = fixture.connect();
    client.write(Client::upgrade("&sid=AAAAAAAAAAAAAAAAAAAA"));
    assert_eq!(client.answer().status, 400);
    assert_eq!(fixture.server.sessions(), 0);
}

#[test]
fn hyper_alone_hands_its_connections_over() {
    let fixture = behind_hyper(true);
    let mut client = Client::open_websocket(fixture.address);
    let mut socket = fixture.accept();
    client.send("4a");
    assert_eq!(soon("a message", socket.recv()).unwrap().as_text(), Some("a"));
    drop(client);
    fixture.until_empty();
}

/// It has sent 101 all the same, as hyper has it, and keeps the connection.
#[test]
fn server_that_hands_nothing_over_loses_the_session() {
    let fixture = behind_hyper(false);
    let mut client = fixture.connect();
    client.write(Client::upgrade(""));
    let _ = client.answer_or_end();
    let mut socket = fixture.accept();
    assert!(soon("the end", socket.recv()).is_none());
    fixture.until_empty();
}

#[test]
fn request_without_a_connection_behind_it_is_no_upgrade() {
    let fixture = Fixture::new(
        |builder| builder,
        |server| {
            let drops =
                axum::middleware::map_request(async |mut request: axum::extract::Request| {
                    request.extensions_mut().clear();
                    request
                });
            Router::new().layer(server.layer()).layer(drops)
        },
    );
    let mut client = fixture.connect();
    client.write(Client::upgrade(""));
    let answer = client.answer();
    assert_eq!((answer.status, &*answer.body), (400, r#"{"code":3,"message":"Bad request"}"#));
    assert_eq!(fixture.server.sessions(), 0);
}

/// Middleware behind which the upgrade never happens. hyper tells at the end of the connection; otherwise the heartbeat
/// ends the session.
#[test]
fn response_that_is_replaced_loses_the_session_with_its_connection() {
    let fixture = Fixture::new(
        |builder| builder,
        |server| {
            let replaces = axum::middleware::map_response(
                async |_: axum::response::Response| "something else",
            );
            Router::new().layer(server.layer()).layer(replaces)
        },
    );
    let mut client = fixture.connect();
    client.write(Client::upgrade(""));
    assert_eq!(client.answer().status, 200);
    drop(client);
    let mut socket = fixture.accept();
    assert!(soon("the end", socket.recv()).is_none());
    fixture.until_empty();
}

#[test]
fn silent_websocket_ends_by_its_heartbeat() {
    let fixture = Fixture::layered(|builder| {
        builder.ping_interval(Duration::from_millis(50)).ping_timeout(Duration::from_millis(50))
    });
    let mut client = Client::open_websocket(fixture.address);
    let mut socket = fixture.accept();
    assert!(soon("the end", socket.recv()).is_none());
    assert!(client.end());
    fixture.until_empty();
}

/// A server behind hyper without anything else, with or without upgrades.
fn behind_hyper(upgrades: bool) -> Fixture {
    let context = RUNTIME.enter();
    let server = Arc::new(ServerBuilder::new().start().unwrap());
    drop(context);
    let service = server.service();
    let address = listen(|listener: TcpListener| async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = TowerToHyperService::new(service.clone());
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            tokio::spawn(async move {
                let _ = if upgrades { connection.with_upgrades().await } else { connection.await };
            });
        }
        Ok::<(), Infallible>(())
    });
    Fixture { server, address }
}
