//! Requests that the application decides about: for other paths, and for sessions.

use enginewire::Response;

use super::*;

impl World {
    /// A connection on which a request has come, and what the hub tells the application of it.
    fn ask(&mut self, request: &str) -> (ConnectionId, Output) {
        let on = self.wires.accept(&mut self.hub, self.now);
        let mut bytes = format!("{request} HTTP/1.1\r\nHost: a\r\n\r\n").into_bytes();
        self.hub.handle_bytes(self.now, on, &mut bytes);
        let output = self.wires.poll(&mut self.hub, self.now);
        (on, output.expect("the application is to decide"))
    }

    fn response(&mut self, on: ConnectionId) -> String {
        self.drain();
        String::from_utf8(core::mem::take(&mut self.wire(on).written)).unwrap()
    }
}

#[test]
fn application_responds_to_requests_for_other_paths() {
    let mut world = World::with(|config| config.engine.forward = true);
    // The example of RFC 9110.
    let since_1970 = Duration::from_secs(784_111_777) + world.now.since(Time::ZERO);
    world.hub.set_wall_clock(world.now, since_1970);
    let (on, output) = world.ask("GET /health");
    let Output::Request(request, head, _) = output else { panic!("{output:?}") };
    assert_eq!(head.path(), "/health");
    assert!(world.hub.respond(request, Response::new(200, "text/plain", "fine")));
    assert!(!world.hub.respond(request, Response::new(200, "text/plain", "again")));
    let response = world.response(on);
    assert!(response.starts_with("HTTP/1.1 200 ") && response.ends_with("fine"), "{response}");
    assert!(response.contains("Sun, 06 Nov 1994 08:49:37 GMT"), "{response}");
    world.end();
}

#[test]
fn application_decides_which_sessions_open() {
    let mut world = World::with(|config| config.engine.ask = true);
    let request = "GET /socket.io/?EIO=4&transport=polling";
    let (on, output) = world.ask(request);
    let Output::Open(open, of, _) = output else { panic!("{output:?}") };
    assert_eq!(of, on);
    assert!(world.hub.refuse_session(open, "not today"));
    assert!(!world.hub.refuse_session(open, "again") && !world.hub.allow_session(open));
    let response = world.response(on);
    assert!(response.starts_with("HTTP/1.1 403 ") && response.contains("not today"), "{response}");

    let (on, output) = world.ask(request);
    let Output::Open(open, ..) = output else { panic!("{output:?}") };
    assert!(world.hub.allow_session(open) && !world.hub.allow_session(open));
    assert!(world.response(on).contains(r#"0{"sid":""#));
    assert_eq!(world.hub.engine().sessions(), 1);
    world.end();
}

#[test]
fn hub_with_as_many_connections_as_it_may_have_accepts_no_more() {
    let mut world = World::with(|config| config.engine.max_connections = 1);
    assert!(world.hub.is_accepting());
    let peer = world.connect("/");
    assert!(!world.hub.is_accepting());
    world.lose(peer.on);
    assert!(world.hub.is_accepting());
    world.end();
}
