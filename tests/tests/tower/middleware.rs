//! Middleware in front.

use std::time::Duration;

use axum::{
    Router,
    extract::Request,
    http::{HeaderValue, StatusCode},
    middleware::{Next, from_fn},
    response::{IntoResponse, Response},
    routing::get,
};
use enginewire_tests::client::{Client, soon};
use tower_http::{
    cors::{AllowOrigin, CorsLayer},
    limit::RequestBodyLimitLayer,
    timeout::TimeoutLayer,
    trace::TraceLayer,
};

use crate::{Fixture, field, polling};

const OPEN: &str = "/engine.io/?EIO=4&transport=polling";

#[test]
fn stack_of_tower_http_leaves_polling_and_websockets_as_they_are() {
    let fixture = Fixture::new(
        |builder| builder,
        |server| {
            let cors = CorsLayer::new()
                .allow_origin(AllowOrigin::exact(HeaderValue::from_static("https://a.example")))
                .allow_credentials(true);
            Router::new()
                .route("/", get(async || "a page"))
                .layer(server.layer())
                .layer(cors)
                .layer(RequestBodyLimitLayer::new(1_000_000))
                .layer(TimeoutLayer::with_status_code(
                    StatusCode::GATEWAY_TIMEOUT,
                    Duration::from_secs(60),
                ))
                .layer(TraceLayer::new_for_http())
        },
    );
    let mut client = fixture.connect();
    client.write(format!("GET {OPEN} HTTP/1.1\r\nHost: a\r\nOrigin: https://a.example\r\n\r\n"));
    let answer = client.answer();
    assert_eq!(answer.status, 200);
    let origins = answer.head.to_ascii_lowercase().matches("access-control-allow-origin").count();
    assert_eq!(origins, 1, "{}", answer.head);
    let mut socket = fixture.accept();
    let mut websocket = Client::open_websocket(fixture.address);
    let mut other = fixture.accept();
    websocket.send("4a");
    assert_eq!(soon("a message", other.recv()).unwrap().as_text(), Some("a"));
    let start = answer.body.find(r#""sid":""#).unwrap() + 7;
    let sid = &answer.body[start..start + 20];
    client.request("POST", &polling(sid), "4b");
    assert_eq!(client.answer().status, 200);
    assert_eq!(soon("a message", socket.recv()).unwrap().as_text(), Some("b"));
}

#[test]
fn preflight_is_responded_to_by_cors_in_front() {
    let fixture = Fixture::new(
        |builder| builder,
        |server| Router::new().layer(server.layer()).layer(CorsLayer::permissive()),
    );
    let mut client = fixture.connect();
    client.write(
        "OPTIONS /engine.io/ HTTP/1.1\r\nHost: a\r\nOrigin: https://a.example\r\n\
         Access-Control-Request-Method: POST\r\n\r\n",
    );
    let answer = client.answer();
    assert_eq!(answer.status, 200);
    assert_eq!(field(&answer.head, "access-control-allow-origin"), Some("*"));
}

#[test]
fn poll_that_a_timeout_in_front_ends_ends_its_session() {
    let fixture = Fixture::new(
        |builder| builder,
        |server| {
            let timeout = TimeoutLayer::with_status_code(
                StatusCode::GATEWAY_TIMEOUT,
                Duration::from_millis(50),
            );
            Router::new().layer(server.layer()).layer(timeout)
        },
    );
    let mut client = fixture.connect();
    let sid = client.open_polling();
    let mut socket = fixture.accept();
    assert_eq!(client.get(&polling(&sid)).status, 504);
    assert!(soon("the end", socket.recv()).is_none());
    fixture.until_empty();
}

#[test]
fn middleware_that_responds_itself_keeps_requests_from_the_server() {
    async fn authorize(request: Request, next: Next) -> Response {
        match request.headers().contains_key("authorization") {
            true => next.run(request).await,
            false => (StatusCode::UNAUTHORIZED, "who are you?").into_response(),
        }
    }

    let fixture = Fixture::new(
        |builder| builder,
        |server| Router::new().layer(server.layer()).layer(from_fn(authorize)),
    );
    let mut client = fixture.connect();
    assert_eq!(client.get(OPEN).status, 401);
    let mut refused = fixture.connect();
    refused.write(Client::upgrade(""));
    assert_eq!(refused.answer().status, 401);
    assert_eq!(fixture.server.sessions(), 0);
    client.write(format!("GET {OPEN} HTTP/1.1\r\nHost: a\r\nAuthorization: a\r\n\r\n"));
    assert_eq!(client.answer().status, 200);
}

/// A body that middleware cuts off is one that did not arrive.
#[test]
fn body_that_a_limit_in_front_cuts_off_ends_its_session() {
    let fixture = Fixture::new(
        |builder| builder,
        |server| Router::new().layer(server.layer()).layer(RequestBodyLimitLayer::new(100)),
    );
    let mut client = fixture.connect();
    let sid = client.open_polling();
    let mut socket = fixture.accept();
    let target = polling(&sid);
    client
        .write(format!("POST {target} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"));
    client.write(format!("c8\r\n{}\r\n", "4".repeat(200)));
    assert_eq!(client.answer().status, 400);
    assert!(soon("the end", socket.recv()).is_none());
    fixture.until_empty();
}
