//! Events and acknowledgements between a client and a server.

use super::*;

#[test]
fn events_and_acknowledgements_go_both_ways_on_each_transport() {
    use TransportKind::{Polling, WebSocket};
    for transports in [vec![Polling], vec![WebSocket], vec![Polling, WebSocket]] {
        let last = *transports.last().unwrap();
        let mut world = World::with(|config| config.engine.transports = transports);
        let socket = world.socket("/");
        assert_eq!(world.told(), ["connected, false"]);
        assert_eq!(world.client.engine().unwrap().session().transport(), last);
        world.client.emit(socket, "a", &(1, "two")).unwrap();
        world.client.emit_with_ack(world.now, socket, "b", &(), SECOND).unwrap();
        world.settle();
        assert_eq!(world.seen(), ["/ -", r#"["a",1,"two"]"#, r#"["b"]"#]);
        assert_eq!(world.told(), [r#"ack ["b"]"#]);
        world.server_emits("c");
        let key = world.sockets["/"];
        world.server.emit_with_ack(world.now, key, "d", &7, SECOND).unwrap();
        world.settle();
        assert_eq!(world.told(), [r#"["c"]"#, r#"["d",7]"#]);
        assert_eq!(world.seen(), [r#"ack ["d too"]"#]);
    }
}

#[test]
fn binary_data_go_both_ways() {
    let (mut world, socket) = World::connected();
    let data = crate::Value::Binary(vec![1, 2, 3].into());
    world.client.emit(socket, "a", &data).unwrap();
    world.settle();
    let placeholder = r#"["a",{"_placeholder":true,"num":0}]"#;
    assert_eq!(world.seen(), [placeholder]);
    world.server.broadcast("/", &Target::all(), "a", &data).unwrap();
    world.settle();
    assert_eq!(world.told(), [placeholder]);
}

#[test]
fn namespaces_have_sockets_of_their_own() {
    let (mut world, root) = World::connected();
    let chat = world.socket("chat");
    assert_eq!(world.client.namespace(chat), Some("/chat"));
    assert_ne!(world.client.id(root), world.client.id(chat));
    world.emit(chat, "a").unwrap();
    world.emit(root, "b").unwrap();
    assert_eq!(world.seen(), ["/chat -", r#"["a"]"#, r#"["b"]"#]);
    world.client.disconnect(world.now, chat);
    world.settle();
    assert_eq!(world.seen(), ["left: client namespace disconnect"]);
    assert!(world.client.is_connected(root));
}

#[test]
fn refused_socket_is_told_why() {
    let (mut world, root) = World::connected();
    let socket = world.socket("/forbidden");
    assert_eq!(world.told(), ["refused: forbidden"]);
    assert!(matches!(world.client.end_reason(socket), Some(EndReason::Refused(_))));
    assert_eq!(world.emit(socket, "a"), Err(EmitError::Disconnected));
    assert!(world.client.is_connected(root));
}

#[test]
fn paused_socket_slows_the_server_down_and_loses_nothing() {
    let mut world = World::with(|config| {
        config.engine.limits.max_unread = 10_000;
        config.engine.transports = vec![TransportKind::WebSocket];
    });
    let socket = world.socket("/");
    world.told();
    world.client.pause(socket);
    let payload = "x".repeat(1000);
    let key = world.sockets["/"];
    for _ in 0..20 {
        world.server.emit(key, "a", &payload).unwrap();
        world.settle();
    }
    assert!(world.told().is_empty());
    let (&on, _) = world.links.last_key_value().unwrap();
    assert!(!world.client.is_reading(on), "the loop leaves the rest in its socket");
    world.client.resume(socket);
    world.settle();
    assert_eq!(world.told().len(), 20);
    assert!(world.client.is_reading(on));
}

#[test]
fn updates_are_told_before_an_acknowledgement_that_came_behind_them() {
    let (mut world, socket) = World::connected();
    world.client.emit_with_ack(world.now, socket, "unanswered", &(), 60 * SECOND).unwrap();
    world.settle();
    let key = world.sockets["/"];
    world.server.emit(key, "before", &()).unwrap();
    world.server.acknowledge(key, crate::AckId(0), &"late").unwrap();
    world.settle();
    assert_eq!(world.told(), [r#"["before"]"#, r#"ack ["late"]"#]);
}

#[test]
fn volatile_events_leave_at_once_or_not_at_all() {
    let mut world = World::new();
    let socket = world.client.open("/", Auth::None).unwrap();
    let event = crate::parser::NamedEvent::new("a", &());
    assert_eq!(world.client.send_volatile(socket, &event), Err(EmitError::NotIdle));
    world.client.connect(world.now, socket);
    world.pass(SECOND);
    world.client.send_volatile(socket, &event).unwrap();
    assert_eq!(world.client.send_volatile(socket, &event), Err(EmitError::NotIdle));
    world.settle();
    assert_eq!(world.seen(), ["/ -", r#"["a"]"#]);
}

#[test]
fn clients_of_revision_3_connect_to_a_server_that_allows_them() {
    let mut config = HubConfig::default();
    config.engine.protocol.allow_eio3 = true;
    let mut world = World::of(config, |config| config.engine.revision = enginewire::Revision::V3);
    let socket = world.socket("/");
    let chat = world.socket("/chat?token=1");
    assert_eq!(world.told(), ["connected, false", "connected, false"]);
    assert_eq!(world.seen(), ["/ -", r#"/chat {"token":"1"}"#]);
    let key = world.sockets["/chat"];
    assert_eq!(world.client.id(chat), world.server.id(key));
    let key = world.sockets["/"];
    assert_eq!(world.client.id(socket), world.server.id(key));
    world.emit(chat, "a").unwrap();
    assert_eq!(world.seen(), [r#"["a"]"#]);
}
