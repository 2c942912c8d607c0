//! Nodes of each format among themselves, with messages that are lost, repeated and reordered.

use alloc::{boxed::Box, rc::Rc};
use core::cell::RefCell;

use super::{
    broker::{Broker, Outcome, outcome},
    *,
};
use crate::cluster::ClusterEvent;

fn operations() -> Vec<Operation> {
    let rooms = || vec![Room::from("r1"), Room::from("a room of its own")];
    let target = || Target::all().to("r1").to("r2").except("r3");
    let json =
        Args::event("json", &serde_json::json!({ "a": [1, -2, 0.5, "x\u{20ac}\"", null, true] }))
            .unwrap();
    let bytes = event(vec![
        "bytes".into(),
        binary(&[0, 1, 255]),
        Value::Object(vec![("in".into(), binary(&[]))]),
    ]);
    let volatile = Broadcast { volatile: true, ..emit(target(), json.clone()) };
    let plain = emit(target(), json.clone().with_compression(false));
    vec![
        hi(),
        Operation::Broadcast(emit(Target::all().to("r1"), json.clone())),
        Operation::Broadcast(emit(Target::all().to("twenty characters___"), bytes.clone())),
        Operation::Broadcast(volatile),
        Operation::Broadcast(plain),
        Operation::Join { target: target(), rooms: rooms() },
        Operation::Leave { target: Target::all(), rooms: rooms() },
        Operation::Disconnect { target: target(), close: true },
        Operation::Disconnect { target: Target::all().to("s"), close: false },
        Operation::ServerSideEmit { event: json, request: None },
        Operation::ServerSideEmit { event: bytes, request: None },
    ]
}

fn heard(broker: &mut Broker, index: usize) -> Vec<String> {
    let operations = broker.events(index).into_iter().filter_map(|event| match event {
        ClusterEvent::Operation { operation, .. } => Some(shown(&operation)),
        _ => None,
    });
    operations.collect()
}

#[test]
fn operations_arrive_at_the_other_nodes_as_they_were_sent() {
    for config in configs() {
        let mut broker = Broker::new(&config, 3);
        for room in ["r1", "twenty characters___"] {
            for node in &mut broker.nodes {
                node.wire.handle_room(at(0), "/", &room.into(), true);
            }
        }
        broker.run();
        for operation in operations() {
            let sent = shown(&operation);
            broker.nodes[0].cluster.tell(&namespace("/"), operation, 1).unwrap();
            broker.run();
            for (index, expected) in [(0, vec![]), (1, vec![sent.clone()]), (2, vec![sent])] {
                assert_eq!(heard(&mut broker, index), expected, "{:?}", config.format);
            }
        }
        assert!(broker.nodes.iter().all(|node| node.faults.is_empty()));
    }
}

/// Sends each kind of request from the first node, and returns how it ends.
fn requests(broker: &mut Broker) -> [Outcome; 3] {
    let (name, deadline) = (namespace("/"), broker.now + Duration::from_secs(4));
    let mut ends = Vec::new();
    for kind in 0..3 {
        let cluster = &mut broker.nodes[0].cluster;
        match kind {
            0 => cluster.fetch_sockets(deadline, &name, Target::all(), 1),
            1 => {
                let broadcast = emit(Target::all(), event(vec!["q".into(), binary(b"?")]));
                let broadcast = Broadcast { timeout: Some(Duration::from_secs(4)), ..broadcast };
                cluster.broadcast_with_ack(deadline, &name, broadcast, 1)
            }
            _ => {
                cluster.server_side_emit_with_ack(deadline, &name, Args::event("q", &1).unwrap(), 1)
            }
        }
        .unwrap();
        broker.run();
        ends.push(outcome(broker.events(0)));
    }
    ends.try_into().unwrap()
}

fn sorted(responses: &[(crate::cluster::NodeId, String)]) -> Vec<&str> {
    let mut sorted: Vec<_> = responses.iter().map(|(_, shown)| &**shown).collect();
    sorted.sort_unstable();
    sorted
}

#[test]
fn requests_end_when_all_nodes_have_responded() {
    for config in configs() {
        for nodes in [1, 3] {
            let mut broker = Broker::new(&config, nodes);
            assert_eq!(broker.nodes[0].nodes, broker.nodes.len() - 1, "{:?}", config.format);
            let [fetched, acks, answers] = requests(&mut broker);
            for end in [fetched.1, acks.1, answers.1] {
                assert_eq!(end, Some((0, 0)), "{:?}", config.format);
            }
            let others = broker.nodes.len() - 1;
            let one = |index| {
                shown(&Operation::Respond {
                    request: RequestId(0),
                    response: Response::Sockets(vec![socket(&format!("socket-{index}"))]),
                })
            };
            assert_eq!(sorted(&fetched.0), (1..=others).map(one).collect::<Vec<_>>());
            assert_eq!(acks.0.len(), 3 * others, "{:?}", acks.0);
            let answer = |index| format!("answer [Number(Unsigned({index}))]");
            assert_eq!(sorted(&answers.0), (1..=others).map(answer).collect::<Vec<_>>());
            assert!(broker.nodes.iter().all(|node| node.faults.is_empty()));
            for node in &broker.nodes {
                assert_eq!(node.wire.foreign.len(), 0, "{:?}", config.format);
            }
        }
    }
}

#[test]
fn requests_end_with_messages_in_any_order() {
    for config in configs() {
        let mut broker = Broker::new(&config, 3);
        broker.reorders = true;
        for (_, end) in requests(&mut broker) {
            assert_eq!(end, Some((0, 0)), "{:?}", config.format);
        }
    }
}

#[test]
fn lost_messages_leave_requests_to_their_deadline() {
    for config in configs() {
        let mut broker = Broker::new(&config, 3);
        broker.loses = Box::new(|index| index == 2);
        let ends = requests(&mut broker);
        assert!(
            ends.iter().all(|(_, end)| end.is_none()),
            "{:?} waits for the lost node",
            config.format
        );
        let one = ends.map(|(responses, _)| responses.len());
        assert_eq!(one, [1, 3, 1], "{:?} keeps the responses that came", config.format);
        broker.advance(Duration::from_secs(4));
        let (_, missing): (Vec<_>, Vec<_>) = broker
            .events(0)
            .into_iter()
            .filter_map(|event| match event {
                ClusterEvent::Completed(request, missing) => Some((request, missing.nodes)),
                _ => None,
            })
            .unzip();
        assert_eq!(missing, [1, 1, 1], "{:?}", config.format);
    }
}

#[test]
fn messages_that_come_twice_are_carried_out_twice_and_leave_no_request_waiting() {
    for config in configs() {
        let mut broker = Broker::new(&config, 2);
        broker.duplicates = true;
        broker.nodes[0].cluster.tell(&namespace("/"), hi(), 1).unwrap();
        broker.run();
        assert_eq!(heard(&mut broker, 1).len(), 2, "{:?}", config.format);
        let [fetched, acks, answers] = requests(&mut broker);
        for (responses, end) in [fetched, answers] {
            assert_eq!((responses.len(), end), (1, Some((0, 0))), "{:?}", config.format);
        }
        // An acknowledgement that comes twice counts for another one.
        assert!(matches!(acks.1, Some((0, _))), "{:?}", config.format);
    }
}

#[test]
fn namespace_of_another_node_alone_is_reached_and_nothing_is_left() {
    for config in configs() {
        let (mut broker, there) = (Broker::new(&config, 2), namespace("/there"));
        broker.nodes[1].wire.handle_namespace(broker.now, &there, true);
        broker.advance(Duration::from_secs(5));
        let before: Vec<_> =
            broker.nodes.iter().map(|node| (node.nodes, node.wire.subscriptions())).collect();
        let join = Operation::Join { target: Target::all().to("id"), rooms: vec!["room".into()] };
        for operation in [hi(), join] {
            broker.nodes[0].cluster.tell(&there, operation.clone(), 1).unwrap();
            broker.run();
            let [ClusterEvent::Operation { namespace, operation: heard, .. }] =
                &broker.events(1)[..]
            else {
                panic!("{config:?}")
            };
            assert_eq!((namespace, shown(heard)), (&there, shown(&operation)), "{config:?}");
        }
        // Nothing waits for a node that was only heard.
        let (now, cluster) = (broker.now, &mut broker.nodes[1].cluster);
        cluster.fetch_sockets(now + Duration::from_secs(1), &there, Target::all(), 1).unwrap();
        broker.run();
        assert_eq!(outcome(broker.events(1)), (Vec::new(), Some((0, 0))), "{config:?}");
        let after = broker.nodes.iter().map(|node| (node.nodes, node.wire.subscriptions()));
        assert!(after.eq(before), "{config:?}");
        assert!(broker.nodes.iter().all(|node| node.faults.is_empty()), "{config:?}");
    }
}

#[test]
fn nodes_hear_nothing_of_namespaces_that_they_do_not_have() {
    for config in configs() {
        let mut broker = Broker::new(&config, 3);
        let chat = namespace("/chat");
        for node in &mut broker.nodes[..2] {
            node.wire.handle_namespace(at(0), &chat, true);
        }
        broker.run();
        let deadline = broker.now + Duration::from_secs(4);
        broker.nodes[0].cluster.tell(&chat, hi(), 1).unwrap();
        broker.nodes[0].cluster.fetch_sockets(deadline, &chat, Target::all(), 1).unwrap();
        broker.run();
        assert_eq!(heard(&mut broker, 1).len(), 2, "{:?}", config.format);
        assert_eq!(heard(&mut broker, 2).len(), 0, "{:?}", config.format);
        let (responses, end) = outcome(broker.events(0));
        assert_eq!((responses.len(), end), (1, Some((0, 0))), "{:?}", config.format);
    }
}

#[test]
fn broadcast_to_a_room_comes_to_nodes_with_members_alone_where_rooms_have_channels() {
    for (config, comes_to_all) in [
        (classic(), true),
        (sharded(SubscriptionMode::Static), true),
        (sharded(SubscriptionMode::Dynamic), false),
        (sharded(SubscriptionMode::DynamicPrivate), false),
    ] {
        let mut broker = Broker::new(&config, 4);
        for node in &mut broker.nodes[..2] {
            node.wire.handle_room(at(0), "/", &"r1".into(), true);
        }
        broker.run();
        let delivered = Rc::new(RefCell::new([0; 4]));
        let counts = Rc::clone(&delivered);
        broker.loses = Box::new(move |index| {
            counts.borrow_mut()[index] += 1;
            false
        });
        let event = Args::event("x", &1).unwrap();
        for _ in 0..10 {
            let operation = Operation::Broadcast(emit(Target::all().to("r1"), event.clone()));
            broker.nodes[0].cluster.tell(&namespace("/"), operation, 1).unwrap();
            broker.run();
        }
        let elsewhere = if comes_to_all { 10 } else { 0 };
        assert_eq!(*delivered.borrow(), [10, 10, elsewhere, elsewhere], "{:?}", config.format);
        assert_eq!(heard(&mut broker, 1).len(), 10, "{:?}", config.format);
    }
}

#[test]
fn node_that_closes_is_counted_no_more() {
    for config in configs() {
        let mut broker = Broker::new(&config, 2);
        broker.nodes[1].wire.close(at(0));
        broker.advance(Duration::from_secs(6));
        assert_eq!(broker.nodes[0].nodes, 0, "{:?}", config.format);
        assert!(format!("{:?}", broker.nodes[1].wire).contains("subscriptions: 0"));
        let closed = &mut broker.nodes[1].wire;
        closed.handle_namespace(at(0), &namespace("/"), true);
        closed.send(at(0), message(hi()));
        assert_eq!(commands(closed), [], "{:?}", config.format);
        assert_eq!(closed.poll_timeout(), None);
    }
}

#[test]
fn runs_with_the_same_inputs_give_the_same_commands() {
    for config in configs() {
        let run = || {
            let mut wire = Wire::new(config.clone(), 7);
            wire.handle_connected(at(1), true);
            wire.handle_namespace(at(2), &namespace("/a"), true);
            wire.send(at(3), Message { namespace: namespace("/a"), ..message(fetch(1)) });
            wire.handle_timeout(at(60_000));
            wire.close(at(60_001));
            commands(&mut wire)
        };
        assert_eq!(run(), run());
        assert!(run().len() > 2);
    }
}

/// Some names are the ids of clients of Socket.IO 2, which are secrets. Other nodes do not tell.
#[test]
fn debug_of_messages_of_other_nodes_shows_neither_rooms_nor_sockets() {
    let secret = "abcdefghijklmnopqrst";
    let target = || Target::all().to(secret).except(secret);
    let operations = [
        Operation::Broadcast(emit(target(), Args::event("e", &1).unwrap())),
        Operation::Join { target: target(), rooms: vec![secret.into()] },
        Operation::Disconnect { target: target(), close: false },
    ];
    for config in configs() {
        let mut broker = Broker::new(&config, 2);
        broker.nodes[1].wire.handle_room(at(0), "/", &secret.into(), true);
        broker.run();
        for operation in &operations {
            broker.nodes[0].cluster.tell(&namespace("/"), operation.clone(), 1).unwrap();
            broker.run();
        }
        let arrived = broker.events(1);
        assert_eq!(arrived.len(), operations.len(), "{:?}", config.format);
        let deadline = broker.now + Duration::from_secs(4);
        broker.nodes[0].cluster.fetch_sockets(deadline, &namespace("/"), target(), 1).unwrap();
        broker.run();
        let (asked, fetched) = (broker.events(1), broker.events(0));
        assert_eq!((asked.len(), fetched.len()), (1, 2), "{:?}", config.format);
        let shown = format!("{arrived:?} {asked:?} {fetched:?}");
        assert!(!shown.contains(secret) && !shown.contains("socket-1"), "{shown}");
        assert!(shown.contains("Room(..)") && shown.contains("SocketId(..)"), "{shown}");
    }
}
