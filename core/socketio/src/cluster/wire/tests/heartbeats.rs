//! Nodes that are known by their messages.

use super::{
    broker::{Broker, outcome},
    *,
};

const CHANNEL: &str = "socket.io#/";

fn hear(wire: &mut Wire, now: u64, uid: &str, kind: u8) {
    let message = format!(r#"{{"type":{kind},"uid":"{uid}","nsp":"/"}}"#);
    wire.handle_published(at(now), CHANNEL, message.into());
}

/// Time passes up to a moment, and every deadline on the way is kept.
fn pass(wire: &mut Wire, until: u64) {
    while let Some(due) = wire.poll_timeout().filter(|&due| due <= at(until)) {
        wire.handle_timeout(due);
    }
}

/// The types of the messages that a node publishes.
fn kinds(wire: &mut Wire) -> Vec<u64> {
    let kind = |message: Bytes| {
        serde_json::from_slice::<serde_json::Value>(&message).unwrap()["type"].as_u64().unwrap()
    };
    commands(wire)
        .into_iter()
        .filter_map(|command| match command {
            Command::Publish { message, .. } => Some(kind(message)),
            _ => None,
        })
        .collect()
}

fn shown(wire: &mut Wire) -> Vec<String> {
    events(wire)
        .iter()
        .map(|event| match event {
            WireEvent::Joined(_) => "joined".into(),
            WireEvent::Lost(_) => "lost".into(),
            other => format!("{other:?}"),
        })
        .collect()
}

#[test]
fn node_says_hello_and_goodbye_behind_and_before_its_subscription() {
    let mut wire = Wire::new(heartbeats(), 1);
    wire.handle_namespace(at(0), &namespace("/"), true);
    wire.handle_connected(at(0), true);
    let first = commands(&mut wire);
    assert!(matches!(&*first, [Command::Subscribe(_), Command::Publish { .. }]), "{first:?}");
    wire.close(at(1));
    let last = commands(&mut wire);
    let [Command::Publish { message, .. }, Command::Unsubscribe(_)] = &*last else {
        panic!("{last:?}")
    };
    let uid = super::super::ids::Ids::new(1).uid("/", 0);
    assert_eq!(*message, format!(r#"{{"type":13,"uid":"{uid}","nsp":"/"}}"#));
}

#[test]
fn hello_is_answered_and_other_messages_are_not() {
    let mut wire = node(heartbeats(), 1);
    for (kind, answer) in [(1, vec![2]), (2, vec![]), (1, vec![2]), (99, vec![])] {
        hear(&mut wire, 0, "0123456789abcdef", kind);
        assert_eq!(kinds(&mut wire), answer);
    }
    assert_eq!(shown(&mut wire), ["joined", "Nodes(1)"]);
}

#[test]
fn heartbeat_follows_five_seconds_of_silence() {
    let mut wire = node(heartbeats(), 1);
    assert_eq!(wire.poll_timeout(), Some(at(5000)));
    // Those of these kinds are no sign of life for the reference's timer, and the last two are.
    wire.send(at(1000), message(hi()));
    wire.handle_timeout(at(5000));
    assert_eq!(kinds(&mut wire), [3, 2]);
    wire.send(at(7000), message(fetch(1)));
    wire.handle_timeout(at(10_000));
    assert_eq!(kinds(&mut wire), [7]);
    assert_eq!(wire.poll_timeout(), Some(at(12_000)));
    wire.handle_timeout(at(12_000));
    assert_eq!(kinds(&mut wire), [2]);
}

#[test]
fn no_heartbeat_is_due_while_the_broker_is_away() {
    let mut wire = node(heartbeats(), 1);
    wire.handle_connected(at(0), false);
    wire.send(at(0), message(fetch(1)));
    assert_eq!(wire.poll_timeout(), None);
    wire.handle_connected(at(60_000), true);
    assert_eq!(kinds(&mut wire), [7, 1]);
    assert_eq!(wire.poll_timeout(), Some(at(65_000)));
}

#[test]
fn node_is_lost_after_more_than_ten_seconds_of_silence_or_with_its_goodbye() {
    let mut wire = node(heartbeats(), 1);
    hear(&mut wire, 0, "a", 2);
    hear(&mut wire, 0, "b", 2);
    hear(&mut wire, 0, "emitter", 2);
    hear(&mut wire, 0, "", 2);
    assert_eq!(shown(&mut wire), ["joined", "Nodes(1)", "joined", "Nodes(2)"]);
    hear(&mut wire, 3000, "b", 13);
    assert_eq!(shown(&mut wire), ["lost", "Nodes(1)"]);
    pass(&mut wire, 10_000);
    assert!(shown(&mut wire).is_empty(), "not yet more than ten seconds");
    pass(&mut wire, 11_000);
    assert_eq!(shown(&mut wire), ["lost", "Nodes(0)"]);
}

#[test]
fn nodes_have_a_grace_period_to_show_themselves_if_the_process_did_not_run() {
    let mut wire = node(heartbeats(), 1);
    hear(&mut wire, 0, "a", 2);
    hear(&mut wire, 0, "b", 2);
    shown(&mut wire);
    wire.handle_timeout(at(60_000));
    hear(&mut wire, 60_000, "b", 2);
    pass(&mut wire, 79_999);
    let lost = shown(&mut wire).into_iter().filter(|event| event == "lost").count();
    assert_eq!(lost, 0);
    hear(&mut wire, 79_999, "b", 2);
    pass(&mut wire, 80_000);
    assert_eq!(shown(&mut wire), ["lost", "Nodes(1)"]);
}

#[test]
fn any_message_is_a_sign_of_life() {
    let mut wire = node(heartbeats(), 1);
    for now in (0..60_000).step_by(9000) {
        let text = r#"{"type":3,"uid":"a","nsp":"/","data":{"packet":{"type":2,"data":["e"]}}}"#;
        pass(&mut wire, now);
        wire.handle_published(at(now), CHANNEL, Bytes::from_static(text.as_bytes()));
    }
    assert!(!shown(&mut wire).contains(&"lost".into()));
}

#[test]
fn request_waits_no_more_for_a_node_that_is_lost() {
    let mut broker = Broker::new(&heartbeats(), 3);
    // The last node answers no more.
    broker.loses = alloc::boxed::Box::new(|index| index == 2);
    let deadline = broker.now + Duration::from_secs(60);
    broker.nodes[0].cluster.fetch_sockets(deadline, &namespace("/"), Target::all(), 1).unwrap();
    broker.run();
    let (responses, end) = outcome(broker.events(0));
    assert_eq!((responses.len(), end), (1, None));
    broker.nodes[2].wire.handle_connected(broker.now, false);
    broker.advance(Duration::from_secs(12));
    let (_, end) = outcome(broker.events(0));
    assert_eq!(end, Some((0, 0)), "the rest of the cluster has responded");
    assert_eq!(broker.nodes[0].nodes, 1);
}

#[test]
fn response_of_a_node_that_was_not_known_does_not_stand_for_another() {
    let mut wire = node(heartbeats(), 1);
    hear(&mut wire, 0, "a", 2);
    let (_, request) = published(&mut wire, fetch(1));
    let request =
        serde_json::from_slice::<serde_json::Value>(&request).unwrap()["data"]["requestId"].clone();
    assert_eq!(shown(&mut wire).last().unwrap(), "Asked { request: RequestId(1), nodes: 1 }");
    for (uid, asked) in [("new", true), ("new", false), ("a", false)] {
        let response = serde_json::json!({ "type": 8, "uid": uid, "nsp": "/", "data": { "requestId": request, "sockets": [] } });
        wire.handle_published(at(0), CHANNEL, serde_json::to_vec(&response).unwrap().into());
        let all = shown(&mut wire);
        assert_eq!(
            all.contains(&"Asked { request: RequestId(1), nodes: 2 }".into()),
            asked,
            "{uid} {all:?}"
        );
    }
}

#[test]
fn namespaces_have_nodes_of_their_own() {
    let mut broker = Broker::new(&heartbeats(), 2);
    let chat = namespace("/chat");
    broker.nodes[0].wire.handle_namespace(broker.now, &chat, true);
    broker.run();
    let deadline = broker.now + Duration::from_secs(60);
    broker.nodes[0].cluster.fetch_sockets(deadline, &chat, Target::all(), 1).unwrap();
    broker.run();
    assert_eq!(outcome(broker.events(0)).1, Some((0, 0)), "the other node does not have it");
}

#[test]
fn nodes_beyond_the_limit_are_ignored() {
    let config = HeartbeatsConfig { max_nodes: 2, ..HeartbeatsConfig::default() };
    let mut wire = node(WireConfig::new(Format::Heartbeats(config)), 1);
    for uid in ["a", "b"] {
        hear(&mut wire, 0, uid, 2);
    }
    shown(&mut wire);
    hear(&mut wire, 0, "c", 1);
    assert!(
        format!("{}", fault(&mut wire)).ends_with("its publisher is to blame: more than 2 nodes")
    );
    assert!(kinds(&mut wire).is_empty(), "nor answered");
}

#[test]
fn emitter_that_names_no_namespace_means_that_of_the_channel() {
    let mut wire = node(heartbeats(), 1);
    let text = r#"{"type":3,"uid":"emitter","data":{"packet":{"type":2,"data":["hi",1]}}}"#;
    wire.handle_published(at(0), CHANNEL, Bytes::from_static(text.as_bytes()));
    assert_eq!(super::shown(&operation(&mut wire)), super::shown(&hi()));
    let mut wire = node(sharded(SubscriptionMode::Static), 1);
    wire.handle_published(at(0), "socket.io#/#", Bytes::from_static(text.as_bytes()));
    assert!(events(&mut wire).is_empty(), "in other formats it is dropped");
}

#[test]
fn stored_message_names_no_other_one() {
    let mut wire = node(heartbeats(), 1);
    let head = r#"{"uid":"a","type":3,"attachmentId":"1"}"#;
    wire.handle_fetched(at(0), CHANNEL, Bytes::from_static(head.as_bytes()));
    assert!(format!("{}", fault(&mut wire)).contains("`data` is missing"));
    for number in [r#""-1""#, r#""1; DROP TABLE x""#, "1", r#""99999999999999999999""#] {
        let head = head.replace("\"1\"", number);
        wire.handle_published(at(0), CHANNEL, head.into());
        assert!(format!("{}", fault(&mut wire)).contains("`attachmentId` is missing"));
    }
    assert_eq!(commands(&mut wire), []);
}
