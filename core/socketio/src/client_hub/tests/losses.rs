//! Losses of the connection, and what follows.

use super::*;

#[test]
fn client_comes_back_and_sends_what_was_emitted_meanwhile() {
    let (mut world, socket) = World::connected();
    world.kill_server();
    assert_eq!(world.told(), ["disconnected: transport close, 0", "1 in 1s"]);
    for name in ["a", "b"] {
        world.emit(socket, name).unwrap();
    }
    world.pass(2 * SECOND);
    assert_eq!(world.told(), ["failed: transport error: no connection to the server", "2 in 2s"]);
    world.is_down = false;
    world.pass(2 * SECOND);
    assert_eq!(world.told(), ["connected, false"]);
    assert_eq!(world.seen(), ["/ -", r#"["a"]"#, r#"["b"]"#]);
}

#[test]
fn silent_server_is_noticed() {
    let (mut world, socket) = World::connected();
    // Its bytes go nowhere.
    world.links.clear();
    world.pass(50 * SECOND);
    let told = world.told();
    assert_eq!(told[..2], ["disconnected: ping timeout, 0", "1 in 1s"]);
    assert!(world.client.is_connected(socket));
}

#[test]
fn recovered_client_gets_what_it_has_missed() {
    let config = HubConfig { recovery: Some(RecoveryConfig::default()), ..HubConfig::default() };
    let mut world = World::of(config, |_| ());
    let socket = world.socket("/");
    let id = world.client.id(socket).cloned();
    world.server_emits("a");
    world.server.join(world.sockets["/"], "room");
    world.told();
    for round in 0..3 {
        world.cut();
        world.server.broadcast("/", &Target::all().to("room"), "missed", &round).unwrap();
        world.pass(2 * SECOND);
        let told = world.told();
        assert_eq!(told[1], "1 in 1s");
        assert!(told[2].starts_with(&format!(r#"["missed",{round},""#)), "{told:?}");
        assert_eq!(told[3..], ["connected, true"]);
        assert_eq!(world.client.id(socket), id.as_ref());
        // The room is as it was.
        world.server.broadcast("/", &Target::all().to("room"), "live", &round).unwrap();
        world.settle();
        assert_eq!(world.told().len(), 1);
    }
}

#[test]
fn client_that_is_gone_for_too_long_begins_anew() {
    let mut recovery = RecoveryConfig::default();
    recovery.window = 50 * SECOND;
    let config = HubConfig { recovery: Some(recovery), ..HubConfig::default() };
    let mut world = World::of(config, |_| ());
    world.socket("/");
    world.server_emits("a");
    world.is_down = true;
    world.cut();
    world.pass(100 * SECOND);
    world.is_down = false;
    world.pass(5 * SECOND);
    assert_eq!(world.told().last().map(String::as_str), Some("connected, false"));
}

#[test]
fn event_with_retries_arrives_whatever_happens_to_the_server() {
    let (mut world, socket) = World::connected();
    let event = |name| crate::parser::NamedEvent::new(name, &());
    world.kill_server();
    for name in ["a", "b"] {
        let sent = world.client.send_with_retries(world.now, socket, &event(name), 3, SECOND);
        assert!(sent.is_ok());
    }
    world.is_down = false;
    world.pass(3 * SECOND);
    assert_eq!(world.seen(), ["/ -", r#"["a"]"#, r#"["b"]"#]);
    let told = world.told();
    assert_eq!(told[told.len() - 2..], [r#"ack ["a"]"#, r#"ack ["b"]"#]);

    let sent =
        world.client.send_with_retries(world.now, socket, &event("unanswered"), 2, 10 * SECOND);
    assert!(sent.is_ok());
    world.settle();
    world.kill_server();
    world.is_down = false;
    world.pass(100 * SECOND);
    let count = world.seen().iter().filter(|seen| **seen == r#"["unanswered"]"#).count();
    assert_eq!(count, 3);
    assert!(world.told().contains(&"no ack: the peer has not acknowledged in time".into()));
}

#[test]
fn acknowledgements_fail_with_the_connection() {
    let (mut world, socket) = World::connected();
    world.client.emit_with_ack(world.now, socket, "unanswered", &(), 100 * SECOND).unwrap();
    world.settle();
    world.cut();
    let reason = AckError::Disconnected(DisconnectReason::TransportClose);
    assert!(world.told().contains(&format!("no ack: {reason}")));
}

#[test]
fn upgrade_that_has_worked_is_remembered_where_that_is_asked_for() {
    let mut world = World::with(|config| config.engine.remember_upgrade = true);
    world.socket("/");
    world.pass(SECOND);
    world.kill_server();
    world.is_down = false;
    let before = world.server.engine().connections();
    world.pass(2 * SECOND);
    assert_eq!(world.told().last().map(String::as_str), Some("connected, false"));
    // What broke has broken the remembrance, too.
    assert!(world.server.engine().connections() > before);
}

#[test]
fn fresh_payload_is_asked_for_each_time() {
    let mut world = World::new();
    let socket = world.client.open("/", Auth::Ask).unwrap();
    world.client.connect(world.now, socket);
    world.settle();
    for token in 1..4 {
        assert_eq!(world.seen()[0], format!("/ {{\"token\":{token}}}"));
        world.kill_server();
        world.is_down = false;
        world.pass(2 * SECOND);
    }
}

#[test]
fn session_has_its_time_to_open_from_when_it_was_asked_for() {
    let mut world = World::new();
    let socket = world.client.open("/", Auth::None).unwrap();
    world.client.connect(Time::ZERO, socket);
    // The loop was late, or has ended a delay early, and nothing else has told the time.
    let now = Time::from_millis(30_000);
    world.client.set_now(now);
    assert!(matches!(world.client.poll_action(), Some(ClientOutput::Connect(_))));
    assert_eq!(world.client.poll_timeout(), Some(now + 20 * SECOND));
}
