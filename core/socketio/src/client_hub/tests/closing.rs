//! Ends of a client.

use super::*;

#[test]
fn closed_client_lets_out_what_is_queued() {
    use TransportKind::{Polling, WebSocket};
    for transport in [Polling, WebSocket] {
        let mut world = World::with(|config| config.engine.transports = vec![transport]);
        let socket = world.socket("/");
        world.told();
        for name in ["a", "b"] {
            world.client.emit(socket, name, &()).unwrap();
        }
        world.client.close(world.now);
        world.settle();
        let left = "left: client namespace disconnect";
        assert_eq!(world.seen(), ["/ -", r#"["a"]"#, r#"["b"]"#, left]);
        assert_eq!(world.told(), ["disconnected: client namespace disconnect, 0", "closed, 0"]);
        world.pass(3 * SECOND);
        assert!(world.client.is_finished() && world.links.is_empty());
        assert_eq!(world.client.poll_timeout(), None);
        assert!(world.client.open("/a", Auth::None).is_none());
    }
}

#[test]
fn client_that_closes_while_there_is_no_server_tells_what_it_has_not_sent() {
    let (mut world, socket) = World::connected();
    world.kill_server();
    world.told();
    world.emit(socket, "a").unwrap();
    for wait in [0, 1] {
        // While it waits, and while it connects.
        world.pass(wait * SECOND);
    }
    world.client.close(world.now);
    world.settle();
    assert_eq!(world.told().last().map(String::as_str), Some("closed, 1"));
    assert!(world.client.is_finished());
    world.pass(100 * SECOND);
    assert!(world.told().is_empty());
}

#[test]
fn disconnected_socket_stays_so_and_comes_back_when_it_is_told_to() {
    let (mut world, socket) = World::connected();
    world.client.disconnect(world.now, socket);
    world.pass(10 * SECOND);
    assert!(world.links.is_empty(), "nothing needs the session");
    assert_eq!(world.seen(), ["left: client namespace disconnect"]);
    world.client.connect(world.now, socket);
    world.settle();
    assert!(world.client.is_connected(socket));
    assert_eq!(world.client.emit(socket, "a", &()), Ok(()));
}

#[test]
fn server_that_disconnects_a_socket_has_the_last_word() {
    let (mut world, socket) = World::connected();
    let key = world.sockets["/"];
    world.server.disconnect(key);
    world.pass(100 * SECOND);
    assert_eq!(world.told(), ["disconnected: server namespace disconnect, 0"]);
    assert_eq!(world.client.end_reason(socket), Some(&EndReason::ServerLeft));
    assert!(world.links.is_empty());
}

#[test]
fn released_socket_leaves_its_name() {
    let (mut world, socket) = World::connected();
    assert!(world.client.open("/", Auth::None).is_none());
    world.client.release(world.now, socket);
    let socket = world.socket("/");
    world.pass(SECOND);
    assert!(world.client.is_connected(socket));
}

#[test]
fn aborted_session_is_followed_by_another() {
    let (mut world, socket) = World::connected();
    world.client.abort();
    world.settle();
    assert!(world.links.is_empty());
    assert_eq!(world.told(), ["disconnected: forced close, 0", "1 in 1s"]);
    world.pass(SECOND);
    assert!(world.client.is_connected(socket));
}

#[test]
fn events_are_refused_offline_where_that_is_asked_for() {
    let mut world = World::with(|config| config.manager.offline = Offline::Refuse);
    let socket = world.socket("/");
    world.kill_server();
    assert_eq!(world.emit(socket, "a"), Err(EmitError::Disconnected));
}
