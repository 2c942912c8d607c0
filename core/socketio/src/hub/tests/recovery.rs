//! Connection state recovery: clients that come back.

use super::*;
use crate::adapter::RecoveryConfig;

const WINDOW: Duration = Duration::from_secs(10);

fn recovering() -> World {
    World::with(|config| {
        let mut recovery = RecoveryConfig::default();
        recovery.window = WINDOW;
        config.recovery = Some(recovery);
    })
}

/// A client that has its private id.
pub(super) fn connect(world: &mut World) -> (Peer, String) {
    connect_to(world, "/")
}

fn connect_to(world: &mut World, namespace: &str) -> (Peer, String) {
    let on = world.open();
    world.says(on, &packet("0", namespace, ""));
    let connected = world.take(on);
    world.seen();
    let pid = connected.split(r#""pid":""#).nth(1).unwrap().split('"').next().unwrap();
    (Peer { on, key: world.hub.sockets.last().unwrap() }, pid.into())
}

/// Asks to connect to `/` as the client `pid` that has received everything up to `offset`.
pub(super) fn come_back(world: &mut World, pid: &str, offset: Option<&str>) -> ConnectionId {
    let on = world.open();
    let offset = offset.map(|offset| format!(r#","offset":"{offset}""#)).unwrap_or_default();
    world.says(on, &format!(r#"0{{"pid":"{pid}"{offset}}}"#));
    on
}

/// The last argument of an event.
pub(super) fn offset(message: &str) -> String {
    message.rsplit('"').nth(1).unwrap().into()
}

/// The event without its offset.
pub(super) fn event(message: &str) -> String {
    let at = message.rfind(',').unwrap();
    format!("{}]", &message[..at])
}

#[test]
fn client_that_comes_back_has_its_id_its_rooms_and_what_it_missed() {
    let mut world = recovering();
    let (peer, pid) = connect(&mut world);
    let id = world.hub.id(peer.key).unwrap().to_string();
    world.hub.join(peer.key, "room");
    world.hub.emit(peer.key, "received", &1).unwrap();
    let received = world.take(peer.on);
    assert_eq!(event(&received), r#"2["received",1]"#);
    world.lose(peer.on);
    assert_eq!(world.seen(), [r##"#1 left ["room"]: transport error"##]);

    world.hub.broadcast("/", &Target::all().to("room"), "missed", &2).unwrap();
    world.hub.broadcast("/", &Target::all().to("other"), "not mine", &3).unwrap();
    world.hub.broadcast_volatile("/", &Target::all(), "volatile", &4).unwrap();
    world.hub.broadcast("/", &Target::all().to(&*id), "missed", &5).unwrap();
    let on = come_back(&mut world, &pid, Some(&offset(&received)));
    assert_eq!(world.seen(), ["#2 recovered #1"]);
    let messages = world.messages(on);
    assert_eq!(
        messages[..2].iter().map(|m| event(m)).collect::<Vec<_>>(),
        [r#"2["missed",2]"#, r#"2["missed",5]"#]
    );
    assert_eq!(messages[2..], [format!(r#"0{{"sid":"{id}","pid":"{pid}"}}"#)]);
    let key = world.hub.find("/", &id).unwrap();
    assert_eq!(world.hub.rooms(key).map(Room::as_str).collect::<Vec<_>>(), ["room"]);
    world.hub.broadcast("/", &Target::all().to("room"), "again", &()).unwrap();
    assert!(world.take(on).starts_with(r#"2["again","#));
    world.end();
}

#[test]
fn direct_event_that_a_client_has_not_received_is_sent_again() {
    let mut world = recovering();
    let (peer, pid) = connect(&mut world);
    world.set_blocked(peer.on, true);
    world.hub.emit(peer.key, "lost", &1).unwrap();
    world.drain();
    let (other, _) = connect(&mut world);
    world.hub.emit(other.key, "of another", &2).unwrap();
    world.lose(peer.on);
    let on = come_back(&mut world, &pid, None);
    let messages = world.messages(on);
    assert_eq!(messages.len(), 2);
    assert_eq!(event(&messages[0]), r#"2["lost",1]"#);
    world.end();
}

#[test]
fn client_whose_end_was_not_noticed_takes_its_own_place() {
    let mut world = recovering();
    let (peer, pid) = connect(&mut world);
    world.hub.join(peer.key, "room");
    let on = come_back(&mut world, &pid, None);
    assert_eq!(world.seen(), [r##"#1 left ["room"]: replaced"##, "#2 recovered #1"]);
    assert!(world.take(on).starts_with("0{"));
    assert_eq!(world.hub.sockets("/", &Target::all().to("room")).len(), 1);
    world.end();
}

#[test]
fn replaced_client_comes_back_in_each_of_its_namespaces() {
    let mut world = recovering();
    let (peer, pid) = connect(&mut world);
    world.says(peer.on, "0/chat,");
    let connected = world.take(peer.on);
    let chat_pid = connected.split(r#""pid":""#).nth(1).unwrap().split('"').next().unwrap();
    world.seen();
    let on = come_back(&mut world, &pid, None);
    world.says(on, &format!(r#"0/chat,{{"pid":"{chat_pid}"}}"#));
    assert_eq!(
        world.seen(),
        ["#1 left []: replaced", "#2 left []: replaced", "#3 recovered #1", "#4 recovered #2"]
    );
    world.end();
}

#[test]
fn client_that_left_or_comes_too_late_gets_a_new_socket() {
    let mut world = recovering();
    let (left, left_pid) = connect(&mut world);
    let (late, late_pid) = connect(&mut world);
    world.says(left.on, "1");
    world.lose(late.on);
    world.seen();
    come_back(&mut world, &left_pid, None);
    assert!(world.seen()[0].starts_with("#3 asks /"));
    world.pass(WINDOW);
    assert_eq!(world.seen(), ["#2 forgotten"]);
    come_back(&mut world, &late_pid, None);
    assert!(world.seen()[0].starts_with("#4 asks /"));
    come_back(&mut world, "no id", None);
    assert!(world.seen()[0].starts_with("#5 asks /"));
    world.end();
}

#[test]
fn client_that_does_not_wait_for_its_recovery_may_come_back_again() {
    let mut world = recovering();
    let (peer, pid) = connect(&mut world);
    world.hub.join(peer.key, "room");
    world.hub.emit(peer.key, "received", &()).unwrap();
    let received = offset(&world.take(peer.on));
    world.lose(peer.on);
    world.hub.broadcast("/", &Target::all(), "missed", &()).unwrap();
    world.seen();
    world.accepts = false;
    let on = world.open();
    let request = format!(r#"0{{"pid":"{pid}","offset":"{received}"}}"#);
    let mut bytes = frame(0x81, format!("4{request}").as_bytes());
    bytes.extend(frame(0x81, b"41"));
    world.bytes(on, bytes);
    let seen = world.seen();
    assert!(seen[0].starts_with("#2 asks / "), "{seen:?}");
    assert_eq!(seen[1..], ["#2 cancelled"]);
    assert!(!world.hub.accept(world.now, world.asking[0]));
    assert_eq!(world.messages(on), [""; 0]);

    let on = come_back(&mut world, &pid, Some(&received));
    assert_eq!(world.seen(), ["#3 recovered #1"]);
    assert_eq!(event(&world.messages(on)[0]), r#"2["missed"]"#);
    assert_eq!(world.hub.sockets("/", &Target::all().to("room")).len(), 1);
    world.end();
}

#[test]
fn socket_that_was_recovered_is_recovered_again() {
    let mut world = recovering();
    let (peer, pid) = connect(&mut world);
    world.lose(peer.on);
    for n in 2..5 {
        let on = come_back(&mut world, &pid, None);
        world.lose(on);
        let seen = world.seen();
        assert_eq!(seen[seen.len() - 2], format!("#{n} recovered #{}", n - 1));
    }
    world.end();
}

#[test]
fn client_is_recovered_by_the_acceptance_if_it_is_to_be_authorized() {
    let mut world = World::with(|config| {
        let mut recovery = RecoveryConfig::default();
        recovery.skip_authorize = false;
        config.recovery = Some(recovery);
    });
    let (peer, pid) = connect(&mut world);
    world.lose(peer.on);
    world.seen();
    come_back(&mut world, &pid, None);
    let seen = world.seen();
    assert!(seen[0].starts_with("#2 asks / {"), "{seen:?}");
    assert_eq!(seen[1..], ["#2 recovered #1"]);
    world.end();
}

#[test]
fn slow_client_that_was_disconnected_recovers_the_broadcast() {
    let mut world = World::with(|config| {
        config.engine.protocol.limits.max_queued = 1000;
        config.recovery = Some(RecoveryConfig::default());
    });
    let (peer, pid) = connect(&mut world);
    world.set_blocked(peer.on, true);
    world.hub.emit(peer.key, "first", &()).unwrap();
    world.drain();
    let mut sent = 1;
    while world.hub.emit(peer.key, "fill", &()).is_ok() {
        sent += 1;
    }
    let delivered = world.hub.broadcast("/", &Target::all(), "last", &()).unwrap();
    assert_eq!(delivered.disconnected, 1);
    world.drain();
    world.seen();
    let on = come_back(&mut world, &pid, None);
    let messages = world.messages(on);
    assert_eq!(messages.len(), sent + 2, "each that was queued, the broadcast, and CONNECT");
    assert_eq!(event(&messages[sent]), r#"2["last"]"#);
    world.end();
}

#[test]
fn events_to_acknowledge_have_no_offset_and_clients_of_2_have_no_private_id() {
    let mut world = World::with(|config| {
        config.engine.protocol.allow_eio3 = true;
        config.recovery = Some(RecoveryConfig::default());
    });
    let old = world.open_with("EIO=3");
    let key = world.hub.sockets.last().unwrap();
    world.hub.emit(key, "a", &()).unwrap();
    assert_eq!(world.take(old), r#"2["a"]"#);
    let (peer, _) = connect(&mut world);
    world.hub.emit_with_ack(world.now, peer.key, "b", &(), SECOND).unwrap();
    assert!(world.take(peer.on).ends_with(r#"["b"]"#));
    world.end();
}

#[test]
fn namespace_is_kept_while_something_can_be_recovered() {
    let mut world = recovering();
    let (peer, _) = connect_to(&mut world, "/chat");
    world.lose(peer.on);
    assert_eq!(world.hub.namespaces().collect::<Vec<_>>(), ["/chat"]);
    world.pass(WINDOW);
    assert_eq!(world.seen().last().unwrap(), "#1 forgotten");
    assert_eq!(world.hub.namespaces().count(), 0);
    world.end();
}

#[test]
fn client_whose_loss_is_noticed_late_misses_nothing_whatever_delay_is_configured() {
    let mut world = World::with(|config| {
        config.engine.protocol.ping_interval = Duration::from_secs(25);
        config.engine.protocol.ping_timeout = Duration::from_secs(20);
        let mut recovery = RecoveryConfig::default();
        (recovery.window, recovery.max_delay) = (WINDOW, Duration::from_secs(1));
        config.recovery = Some(recovery);
    });
    let (_, pid) = connect(&mut world);
    world.hub.broadcast("/", &Target::all(), "missed", &1).unwrap();
    // It answers no ping.
    world.pass(Duration::from_secs(46));
    assert_eq!(world.seen(), ["#1 left []: ping timeout"]);
    world.pass(Duration::from_secs(8));
    let on = come_back(&mut world, &pid, None);
    assert_eq!(event(&world.messages(on)[0]), r#"2["missed",1]"#);
    world.end();
}
