//! Which requests go to the server, and what it learns of them.

use std::{future::ready, net::SocketAddr};

use axum::{Extension, Router, extract::ConnectInfo, routing::get};
use enginewire_tests::client::Client;
use enginewire_tokio::{Response, TrustedProxies, tower::PeerAddr};

use crate::Fixture;

const OPEN: &str = "?EIO=4&transport=polling";

#[test]
fn layer_leaves_other_paths_to_the_routes_inside() {
    let fixture = Fixture::new(
        |builder| builder,
        |server| Router::new().route("/", get(async || "a page")).layer(server.layer()),
    );
    let mut client = fixture.connect();
    assert_eq!(client.get("/").body, "a page");
    client.open_polling();
    assert_eq!(client.get("/elsewhere").status, 404);
    assert_eq!(client.get("/engine.i").status, 404);
    assert_eq!(fixture.server.sessions(), 1);
}

#[test]
fn service_is_a_route_beside_others() {
    let fixture = Fixture::new(
        |builder| builder,
        |server| {
            Router::new()
                .route("/", get(async || "a page"))
                .route_service("/engine.io/", server.service())
        },
    );
    let mut client = fixture.connect();
    assert_eq!(client.get("/").body, "a page");
    client.open_polling();
    Client::open_websocket(fixture.address);
}

#[test]
fn service_responds_to_other_paths_with_404_or_its_fallback() {
    let all = |server: &enginewire_tokio::Server| Router::new().fallback_service(server.service());
    let fixture = Fixture::new(|builder| builder, all);
    let answer = fixture.connect().get("/elsewhere");
    assert_eq!(answer.status, 404, "{answer:?}");

    let fixture = Fixture::new(
        |builder| builder.fallback(|request| ready(Response::new(200, "text/plain", request.body))),
        all,
    );
    let mut client = fixture.connect();
    client.request("POST", "/elsewhere", "a body");
    assert_eq!(client.answer().body, "a body");
    client.open_polling();
}

#[test]
fn status_that_no_response_has_is_500() {
    let fixture = Fixture::new(
        |builder| builder.fallback(|_| ready(Response::empty(7))),
        |server| Router::new().fallback_service(server.service()),
    );
    assert_eq!(fixture.connect().get("/elsewhere").status, 500);
}

#[test]
fn nested_service_sees_the_path_without_the_prefix() {
    let fixture = Fixture::new(
        |builder| builder,
        |server| Router::new().nest_service("/chat", server.service()),
    );
    let mut client = fixture.connect();
    assert_eq!(client.get(&format!("/chat/engine.io/{OPEN}")).status, 200);
    assert_eq!(fixture.accept().handshake().path(), "/engine.io/");
    assert_eq!(client.get(&format!("/engine.io/{OPEN}")).status, 404);
}

#[test]
fn service_that_is_nested_by_its_own_path_has_the_path_of_the_root() {
    let fixture = Fixture::new(
        |builder| builder.path("/"),
        |server| Router::new().nest_service("/engine.io", server.service()),
    );
    fixture.connect().open_polling();
    Client::open_websocket(fixture.address);
}

#[test]
fn extensions_of_the_request_are_those_of_the_handshake() {
    #[derive(Clone, Debug, PartialEq)]
    struct User(&'static str);

    let fixture = Fixture::new(
        |builder| {
            builder.allow_request(|handshake| {
                // Those of the application come first.
                handshake.insert(7_u8);
                ready(match handshake.extension::<User>() {
                    Some(_) => Ok(()),
                    None => Err("no user".into()),
                })
            })
        },
        |server| {
            let layers = (Extension(User("ada")), Extension(1_u8));
            Router::new().layer(server.layer()).layer(layers)
        },
    );
    fixture.connect().open_polling();
    Client::open_websocket(fixture.address);
    for _ in 0..2 {
        let socket = fixture.accept();
        let handshake = socket.handshake();
        assert_eq!(handshake.extension::<User>().as_deref(), Some(&User("ada")));
        assert_eq!(handshake.extension::<User>().as_deref(), Some(&User("ada")));
        assert_eq!(handshake.extension::<u8>().as_deref(), Some(&7));
        assert!(handshake.extension::<u16>().is_none());
    }
}

#[test]
fn peer_address_comes_from_an_extension_or_is_unspecified() {
    let fixture = Fixture::layered(|builder| builder);
    fixture.connect().open_polling();
    assert_eq!(fixture.accept().peer_addr(), "0.0.0.0:0".parse().unwrap());

    let fixture = Fixture::new(
        |builder| builder,
        |server| {
            let layer = server.layer().peer_addr(|extensions| {
                extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0)
            });
            Router::new().layer(layer)
        },
    );
    let mut client = fixture.connect();
    client.open_polling();
    assert_eq!(fixture.accept().peer_addr(), client.stream().local_addr().unwrap());

    let proxied: SocketAddr = "192.0.2.1:443".parse().unwrap();
    let fixture = Fixture::new(
        |builder| builder,
        move |server| Router::new().layer(server.layer()).layer(Extension(PeerAddr(proxied))),
    );
    fixture.connect().open_polling();
    assert_eq!(fixture.accept().peer_addr(), proxied);
}

#[test]
fn trusted_proxy_in_front_of_the_other_server_names_the_client() {
    let proxied: SocketAddr = "192.0.2.1:443".parse().unwrap();
    let fixture = Fixture::new(
        |builder| builder.trusted_proxies(TrustedProxies::parse("192.0.2.0/24").unwrap()),
        move |server| Router::new().layer(server.layer()).layer(Extension(PeerAddr(proxied))),
    );
    for transport in ["polling", "websocket"] {
        let mut client = fixture.connect();
        let request = match transport {
            "polling" => format!("GET /engine.io/{OPEN} HTTP/1.1\r\nHost: a\r\n\r\n"),
            _ => Client::upgrade(""),
        };
        let field = "X-Forwarded-For: 6.6.6.6, 203.0.113.9\r\n\r\n";
        client.write(request.strip_suffix("\r\n").unwrap().to_owned() + field);
        client.answer();
        let socket = fixture.accept();
        assert_eq!(socket.peer_addr().to_string(), "203.0.113.9:0", "{transport}");
        assert_eq!(socket.handshake().proxy_addr(), Some(proxied));
    }
}

#[test]
fn handshake_has_the_head_of_the_request() {
    let fixture = Fixture::layered(|builder| builder);
    let mut client = fixture.connect();
    client.write(format!(
        "GET /engine.io/{OPEN}&name=%C3%A9 HTTP/1.1\r\nHost: example.org\r\nX-Two: a\r\nx-two: b\r\n\r\n"
    ));
    assert_eq!(client.answer().status, 200);
    let socket = fixture.accept();
    let handshake = socket.handshake();
    assert_eq!(handshake.query_value("name").as_deref(), Some("\u{e9}"));
    assert_eq!(handshake.header("host"), Some(&b"example.org"[..]));
    let two: Vec<_> = handshake.headers().filter(|field| field.0 == "x-two").collect();
    assert_eq!(two, [("x-two", &b"a"[..]), ("x-two", b"b")]);
}

#[test]
fn head_above_the_limit_is_refused_when_it_opens_a_session() {
    let fixture = Fixture::layered(|builder| builder);
    let mut client = fixture.connect();
    let long = "a".repeat(17_000);
    client.write(format!("GET /engine.io/{OPEN} HTTP/1.1\r\nHost: a\r\nX-Long: {long}\r\n\r\n"));
    assert_eq!(client.answer().status, 431);
    client.write(format!("GET /engine.io/{OPEN} HTTP/1.1\r\n\r\n"));
    assert_eq!(client.answer().status, 400);
    assert_eq!(fixture.server.sessions(), 0);
}
