//! Verification and refusals, as sections of the reference's `verify` go.

use alloc::{string::ToString, vec::Vec};

use super::*;
use crate::{
    config::{Cookie, Cors, CorsOrigin, Transports},
    exchange::Response,
    session::{ExchangeId, ServerAction},
    wire::{http::RequestHead, ws::HandshakeError},
};
use crate::{session::CarrierId, time::Time};

fn head(method: &str, target: &str, fields: &str) -> RequestHead {
    let raw = format!("{method} {target} HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
    RequestHead::parse(raw.as_bytes(), 100).unwrap()
}

fn get(target: &str) -> RequestHead {
    head("GET", target, "")
}

fn upgrade(target: &str) -> RequestHead {
    head("GET", target, "Connection: Upgrade\r\nUpgrade: websocket\r\n")
}

fn upgrade_with(fields: &str) -> RequestHead {
    head("GET", "/engine.io/", &format!("Connection: Upgrade\r\nUpgrade: websocket\r\n{fields}"))
}

fn router() -> Router {
    Router::new(ServerConfig::default())
}

fn refused(router: &Router, head: &RequestHead) -> Reject {
    router.route(head).expect_err("a refusal")
}

fn entropy(buffer: &mut [u8]) {
    buffer.fill(1);
}

fn open(router: &Router, head: &RequestHead) -> Result<Response, Reject> {
    let Ok(Route::Open(opening)) = router.route(head) else { panic!("a handshake") };
    let first = CarrierId::Exchange(ExchangeId(1));
    let mut session = router.open(Time::ZERO, &mut entropy, opening, first)?;
    let Some(ServerAction::Respond(ExchangeId(1), response)) = session.poll_action() else {
        panic!("an answer to the handshake")
    };
    Ok(response)
}

const SID: &str = "AAAAAAAAAAAAAAAAAAAA";

#[test]
fn path_without_its_slash_is_served_if_configured() {
    for path in ["/engine.io", "engine.io/", "/a/engine.io/"] {
        let mut config = ServerConfig::default();
        config.path = path.into();
        config.add_trailing_slash = false;
        let router = Router::new(config);
        let base = format!("/{}", path.trim_matches('/'));
        for rest in ["", "/", "/foo/bar"] {
            assert!(router.route(&get(&format!("{base}{rest}?EIO=4&transport=polling"))).is_ok());
        }
        for target in [format!("{base}x"), "/".into(), base[1..].into(), "/other".into()] {
            let target = format!("http://a{target}?EIO=4&transport=polling");
            assert_eq!(refused(&router, &get(&target)), Reject::NotFound, "{target}");
        }
    }
    for path in ["", "/"] {
        let mut config = ServerConfig::default();
        config.path = path.into();
        config.add_trailing_slash = false;
        assert!(Router::new(config).route(&get("/x?EIO=4&transport=polling")).is_ok());
    }
}

#[test]
fn first_subprotocol_is_chosen_unless_the_hook_chooses() {
    let offer = |value: &str| upgrade_with(&format!("Sec-WebSocket-Protocol: {value}\r\n"));
    let chosen = |router: &Router, head: &RequestHead| {
        let lines = router.subprotocol(head).unwrap();
        String::from_utf8(lines.as_bytes().to_vec()).unwrap()
    };
    let default = router();
    assert_eq!(chosen(&default, &offer("b, a")), "Sec-WebSocket-Protocol: b\r\n");
    assert_eq!(chosen(&default, &upgrade("/")), "");
    let refused = default.subprotocol(&offer("a,,b")).unwrap_err();
    assert_eq!((refused.status(), refused.code()), (400, None));

    let mut config = ServerConfig::default();
    config.subprotocol = Some(crate::SubprotocolHook::new(|head, offers| match head.path() {
        "/none" => None,
        "/other" => Some("forged\r\n"),
        _ => offers.last().copied(),
    }));
    let hooked = Router::new(config);
    assert_eq!(chosen(&hooked, &offer("b, a")), "Sec-WebSocket-Protocol: a\r\n");
    for path in ["/none", "/other"] {
        let head = head("GET", path, "Sec-WebSocket-Protocol: a\r\n");
        assert_eq!(chosen(&hooked, &head), "", "{path}");
    }
}

#[test]
fn the_path_is_matched_as_a_prefix() {
    let router = router();
    assert!(router.route(&get("/engine.io/?EIO=4&transport=polling")).is_ok());
    assert!(router.route(&get("/engine.io/foo/bar?EIO=4&transport=polling")).is_ok());
    assert!(router.route(&get("http://a/engine.io/?EIO=4&transport=polling")).is_ok());
    for target in ["/engine.io?EIO=4&transport=polling", "/", "/engine.iox/", "/other/"] {
        assert_eq!(refused(&router, &get(target)), Reject::NotFound, "{target}");
    }
}

#[test]
fn a_configured_path_gets_its_slashes() {
    for path in ["custom", "/custom", "/custom/"] {
        let mut config = ServerConfig::default();
        config.path = path.into();
        assert!(Router::new(config).route(&get("/custom/?EIO=4&transport=polling")).is_ok());
    }
}

#[test]
fn checks_come_in_the_order_of_the_reference() {
    let router = router();
    let bad_origin = "Origin: \u{e9}\r\n";
    assert!(router.route(&head("GET", "/engine.io/?EIO=4&transport=polling", bad_origin)).is_ok());
    // Transport, before session and method.
    let target = format!("/engine.io/?EIO=4&transport=x&sid={SID}");
    assert_eq!(refused(&router, &head("PUT", &target, "")), Reject::UnknownTransport);
    // Session, before method.
    let target = "/engine.io/?EIO=4&transport=polling&sid=short";
    assert_eq!(refused(&router, &head("PUT", target, "")), Reject::UnknownSession);
    // Method, before kind of request.
    let target = "/engine.io/?EIO=4&transport=websocket";
    assert_eq!(refused(&router, &head("POST", target, "")), Reject::BadHandshakeMethod);
    let expected = Reject::BadRequest(BadRequest::TransportHandshake);
    assert_eq!(refused(&router, &get(target)), expected);
    assert_eq!(refused(&router, &upgrade("/engine.io/?EIO=4&transport=polling")), expected);
    assert!(router.route(&upgrade(target)).is_ok());
}

#[test]
fn unknown_missing_and_disabled_transports_are_refused_alike() {
    let mut config = ServerConfig::default();
    config.transports = Transports::WEBSOCKET;
    let router = Router::new(config);
    for query in ["EIO=4&transport=polling", "EIO=4", "EIO=4&transport=webtransport"] {
        let reject = refused(&router, &get(&format!("/engine.io/?{query}")));
        assert_eq!(reject, Reject::UnknownTransport, "{query}");
    }
}

#[test]
fn the_last_of_several_parameters_counts_and_an_empty_sid_is_none() {
    let target = "/engine.io/?transport=x&transport=polling&EIO=3&EIO=4&sid=zzz&sid=";
    let Ok(Route::Open(opening)) = router().route(&get(target)) else { panic!("a handshake") };
    assert_eq!((opening.transport, opening.revision), (TransportKind::Polling, Revision::V4));
}

#[test]
fn revision_3_is_served_only_where_it_is_allowed() {
    for query in ["EIO=3&transport=polling", "transport=polling"] {
        let head = get(&format!("/engine.io/?{query}"));
        assert_eq!(open(&router(), &head), Err(Reject::UnsupportedRevision));
        let mut config = ServerConfig::default();
        config.allow_eio3 = true;
        let response = open(&Router::new(config), &head).unwrap();
        let body = core::str::from_utf8(&response.body).unwrap();
        let (length, packet) = body.split_once(':').unwrap();
        assert_eq!(length.parse::<usize>(), Ok(packet.len()));
        assert!(packet.starts_with("0{\"sid\":"));
    }
}

#[test]
fn a_polling_handshake_answers_as_the_reference() {
    let response = open(&router(), &get("/engine.io/?EIO=4&transport=polling")).unwrap();
    assert_eq!(response.status, 200);
    assert_eq!(response.content_type, Some("text/plain; charset=UTF-8"));
    assert_eq!(response.headers.as_bytes(), b"cache-control: no-store\r\n");
    let expected = "0{\"sid\":\"AQEBAQEBAQEBAQEBAQEB\",\"upgrades\":[\"websocket\"],\
                    \"pingInterval\":25000,\"pingTimeout\":20000,\"maxPayload\":1000000}";
    assert_eq!(response.body, expected.as_bytes());
}

#[test]
fn a_jsonp_handshake_answers_with_a_script() {
    let response = open(&router(), &get("/engine.io/?EIO=4&transport=polling&j=1x2")).unwrap();
    assert_eq!(response.content_type, Some("text/javascript; charset=UTF-8"));
    assert!(response.body.starts_with(b"___eio[12](\"0{\\\"sid\\\":"));
    assert!(response.headers.as_bytes().ends_with(b"X-Content-Type-Options: nosniff\r\n"));
}

#[test]
fn the_cookie_comes_with_the_polling_handshake() {
    let mut config = ServerConfig::default();
    config.cookie = Some(Cookie::default());
    let response = open(&Router::new(config), &get("/engine.io/?EIO=4&transport=polling")).unwrap();
    let expected = "Set-Cookie: io=AQEBAQEBAQEBAQEBAQEB; Path=/; HttpOnly; SameSite=Lax\r\n";
    assert!(response.headers.as_bytes().starts_with(expected.as_bytes()));
}

#[test]
fn refusals_have_the_status_and_body_of_the_protocol() {
    let cases = [
        (Reject::UnknownTransport, 400, r#"{"code":0,"message":"Transport unknown"}"#),
        (Reject::UnknownSession, 400, r#"{"code":1,"message":"Session ID unknown"}"#),
        (Reject::BadHandshakeMethod, 400, r#"{"code":2,"message":"Bad handshake method"}"#),
        (BadRequest::InvalidOrigin.into(), 400, r#"{"code":3,"message":"Bad request"}"#),
        (Reject::Forbidden("no \"way\"".into()), 403, r#"{"code":4,"message":"no \"way\""}"#),
        (
            Reject::UnsupportedRevision,
            400,
            r#"{"code":5,"message":"Unsupported protocol version"}"#,
        ),
    ];
    for (reject, status, body) in cases {
        let response = reject.response();
        assert_eq!((response.status, &response.body[..]), (status, body.as_bytes()));
        assert_eq!(response.content_type, Some("application/json"));
    }
}

#[test]
fn refusals_without_a_code_of_the_protocol_have_a_status_and_a_sentence() {
    let cases = [
        (Reject::NotFound, 404, "", "the path does not belong to this server"),
        (
            Reject::MethodNotAllowed,
            405,
            "Allow: GET, POST\r\n",
            "a session takes GET and POST only",
        ),
        (HandshakeError::Method.into(), 405, "Allow: GET\r\n", &HandshakeError::Method.to_string()),
        (Reject::Unavailable, 503, "", "the server takes no new sessions now"),
    ];
    for (reject, status, headers, body) in cases {
        let response = reject.response();
        assert_eq!((response.status, &response.body[..]), (status, body.as_bytes()));
        assert_eq!(response.headers.as_bytes(), headers.as_bytes(), "{body}");
        assert_eq!(response.content_type, Some("text/plain; charset=UTF-8"));
    }
}

fn cors(origin: CorsOrigin, change: impl FnOnce(&mut Cors)) -> Router {
    let mut cors = Cors::new(origin);
    change(&mut cors);
    let mut config = ServerConfig::default();
    config.cors = Some(cors);
    Router::new(config)
}

fn lines(router: &Router, head: &RequestHead) -> Vec<String> {
    let headers = router.headers(head, false);
    let text = core::str::from_utf8(headers.as_bytes()).unwrap();
    text.lines().map(ToString::to_string).collect()
}

#[test]
fn cors_names_the_origin_that_may_read() {
    let asks = |origin: &str| head("GET", "/engine.io/", &format!("Origin: {origin}\r\n"));
    let any = cors(CorsOrigin::Any, |_| ());
    assert_eq!(lines(&any, &asks("https://x")), ["Access-Control-Allow-Origin: *"]);
    let exact = cors(CorsOrigin::Exact("https://a".into()), |cors| cors.credentials = true);
    let expected = [
        "Access-Control-Allow-Origin: https://a",
        "Vary: Origin",
        "Access-Control-Allow-Credentials: true",
    ];
    assert_eq!(lines(&exact, &asks("https://x")), expected);
    let list = cors(CorsOrigin::List(["https://a".into(), "https://b".into()].into()), |_| ());
    let expected = ["Access-Control-Allow-Origin: https://b", "Vary: Origin"];
    assert_eq!(lines(&list, &asks("https://b")), expected);
    assert_eq!(lines(&list, &asks("https://c")), ["Vary: Origin"]);
    assert_eq!(lines(&list, &get("/engine.io/")), ["Vary: Origin"]);
}

#[test]
fn a_preflight_request_is_answered_before_anything_is_checked() {
    let asks = head("OPTIONS", "/engine.io/", "Access-Control-Request-Headers: x-a\r\n");
    let reflects = cors(CorsOrigin::Any, |_| ());
    let Ok(Route::Preflight(response)) = reflects.route(&asks) else { panic!("a preflight") };
    assert_eq!((response.status, response.body.len()), (204, 0));
    let expected = "Access-Control-Allow-Methods: GET,HEAD,PUT,PATCH,POST,DELETE\r\n\
                    Vary: Access-Control-Request-Headers\r\n\
                    Access-Control-Allow-Headers: x-a\r\n";
    assert_eq!(response.headers.as_bytes(), expected.as_bytes());
    // Without CORS it is a handshake with the wrong method.
    let asks = head("OPTIONS", "/engine.io/?EIO=4&transport=polling", "");
    assert_eq!(refused(&router(), &asks), Reject::BadHandshakeMethod);
}

#[test]
fn options_of_cors_have_a_field_each() {
    let router = cors(CorsOrigin::Any, |cors| {
        cors.methods = "GET".into();
        cors.allowed_headers = Some("x-a,x-b".into());
        cors.exposed_headers = Some("x-c".into());
        cors.max_age = Some(60);
    });
    let asks = head("OPTIONS", "/engine.io/", "Access-Control-Request-Headers: x-d\r\n");
    let Ok(Route::Preflight(response)) = router.route(&asks) else { panic!("a preflight") };
    let expected = "Access-Control-Allow-Methods: GET\r\n\
                    Access-Control-Allow-Headers: x-a,x-b\r\n\
                    Access-Control-Max-Age: 60\r\n";
    assert_eq!(response.headers.as_bytes(), expected.as_bytes());
    let expected = ["Access-Control-Allow-Origin: *", "Access-Control-Expose-Headers: x-c"];
    assert_eq!(lines(&router, &asks), expected);
}

#[test]
fn old_internet_explorers_are_told_not_to_filter_scripts() {
    let router = router();
    for (user_agent, filters) in [
        ("Mozilla/4.0 (compatible;MSIE 8.0; Windows NT 6.1)", true),
        ("Mozilla/5.0 (Windows NT 6.3; Trident/7.0; rv:11.0) like Gecko", true),
        ("Mozilla/5.0 (Windows NT 10.0; rv:140.0) Gecko/20100101 Firefox/140.0", false),
        ("MSIE", false),
    ] {
        let asks = head("GET", "/engine.io/", &format!("User-Agent: {user_agent}\r\n"));
        let expected: &[_] = if filters { &["X-XSS-Protection: 0"] } else { &[] };
        assert_eq!(lines(&router, &asks), expected, "{user_agent}");
    }
    assert!(lines(&router, &get("/engine.io/")).is_empty());
}

#[test]
fn the_headers_hook_sees_every_answer_and_knows_the_first() {
    let mut config = ServerConfig::default();
    config.headers = Some(crate::HeadersHook::new(|head, initial, lines| {
        let value = format!("{} {initial}", head.path());
        lines.push("X-Hook", value).unwrap();
    }));
    let router = Router::new(config);
    let lines = router.headers(&get("/engine.io/"), true);
    assert_eq!(lines.as_bytes(), b"X-Hook: /engine.io/ true\r\n");
}
