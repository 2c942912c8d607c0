//! Requests for other paths, which go to the application.

use super::*;
use crate::exchange::Response;

fn forwarding() -> World {
    World::with(|config| config.forward = true)
}

fn other(method: &str, body: &str) -> String {
    let length = body.len();
    format!("{method} /page?a=1 HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{body}")
}

#[test]
fn a_post_for_another_path_comes_with_its_body_and_gets_a_later_response() {
    let mut world = forwarding();
    let on = world.accept();
    world.bytes(on, other("POST", "field"));
    let (request, head, body) = world.requests.pop().unwrap();
    assert_eq!(request.connection(), on);
    assert_eq!((head.query(), &body[..]), ("a=1", &b"field"[..]));
    assert_eq!(world.take(on), "");
    world.pass(seconds(5));
    assert!(world.hub.respond(request, Response::new(200, "text/plain", "done")));
    assert!(!world.hub.respond(request, Response::empty(404)), "it has its response");
    world.drain();
    let response = world.take(on);
    assert!(response.starts_with("HTTP/1.1 200 OK\r\n"), "{response}");
    assert!(response.ends_with("\r\n\r\ndone"), "{response}");
}

#[test]
fn a_request_pipelined_behind_a_forwarded_one_waits_for_its_response() {
    let mut world = forwarding();
    let on = world.accept();
    world.bytes(on, other("GET", "") + &request("GET", "transport=polling", ""));
    assert_eq!((world.take(on), world.hub.sessions()), (String::new(), 0));
    let (request, ..) = world.requests.pop().unwrap();
    assert!(world.hub.respond(request, Response::new(404, "text/plain", "none")));
    world.drain();
    let responses = world.take(on);
    assert!(responses.starts_with("HTTP/1.1 404 "), "{responses}");
    assert!(responses.contains("HTTP/1.1 200 OK\r\n"), "{responses}");
    assert_eq!(world.hub.sessions(), 1);
}

#[test]
fn a_second_response_to_a_request_is_not_taken_for_the_next_one() {
    let mut world = forwarding();
    let on = world.accept();
    world.bytes(on, other("GET", ""));
    let (first, ..) = world.requests.pop().unwrap();
    assert!(world.hub.respond(first, Response::empty(204)));
    world.drain();
    world.bytes(on, other("GET", ""));
    let (second, ..) = world.requests.pop().unwrap();
    assert!(world.take(on).starts_with("HTTP/1.1 204 "));
    assert!(!world.hub.respond(first, Response::empty(404)));
    world.drain();
    assert_eq!(world.take(on), "");
    assert!(world.hub.respond(second, Response::empty(205)));
    world.drain();
    assert!(world.take(on).starts_with("HTTP/1.1 205 "));
}

#[test]
fn a_response_for_a_lost_connection_does_nothing() {
    let mut world = forwarding();
    let on = world.accept();
    world.bytes(on, other("GET", ""));
    let (request, ..) = world.requests.pop().unwrap();
    world.hub.handle_lost(world.now, on);
    assert!(!world.hub.respond(request, Response::empty(204)));
    world.drain();
    world.assert_empty();
}

#[test]
fn a_head_request_gets_the_length_without_the_body() {
    let mut world = forwarding();
    let on = world.accept();
    world.bytes(on, other("HEAD", ""));
    let (request, ..) = world.requests.pop().unwrap();
    assert!(world.hub.respond(request, Response::new(200, "text/plain", "done")));
    world.drain();
    let response = world.take(on);
    assert!(response.contains("\r\nContent-Length: 4\r\n"), "{response}");
    assert!(response.ends_with("\r\n\r\n"), "{response}");
}

#[test]
fn a_request_with_too_large_a_body_is_refused_and_not_forwarded() {
    let mut world = World::with(|config| {
        config.forward = true;
        config.protocol.limits.max_payload = 10;
    });
    let on = world.accept();
    world.bytes(on, other("POST", "0123456789"));
    let (request, _, body) = world.requests.pop().unwrap();
    assert_eq!(body.len(), 10);
    assert!(world.hub.respond(request, Response::empty(204)));
    world.drain();
    assert!(world.take(on).starts_with("HTTP/1.1 204 "));
    world.bytes(on, other("POST", "0123456789a"));
    assert!(world.take(on).starts_with("HTTP/1.1 413 "));
    assert!(world.requests.is_empty());
}

#[test]
fn an_upgrade_on_another_path_is_refused_and_not_forwarded() {
    let mut world = forwarding();
    let on = world.accept();
    world.bytes(on, upgrade("transport=websocket").replace("/engine.io/", "/page"));
    let response = world.take(on);
    assert!(response.starts_with("HTTP/1.1 4"), "{response}");
    assert!(response.contains("\r\nConnection: close\r\n"), "{response}");
    assert!(world.requests.is_empty());
    world.assert_lingers(on);
}
