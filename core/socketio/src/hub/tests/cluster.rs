//! Hubs that are nodes of one cluster, with a relay of messages between them.

use alloc::{vec, vec::Vec};

use super::*;
use crate::{
    cluster::{ClusterConfig, Message, NodeId, TellError},
    parser::NamedEvent,
};

/// Nodes that know each other.
struct Nodes(Vec<World>);

impl Nodes {
    fn new(count: usize) -> Self {
        Self::with(count, |_| {})
    }

    fn with(count: usize, change: impl Fn(&mut HubConfig)) -> Self {
        let mut nodes: Vec<_> = (0..count)
            .map(|_| {
                World::with(|config| {
                    config.cluster = Some(ClusterConfig::default());
                    change(config);
                })
            })
            .collect();
        for (own, world) in nodes.iter_mut().enumerate() {
            let others = (0..count).filter(|&other| other != own);
            others.for_each(|other| assert!(world.hub.insert_node(id(other))));
        }
        Self(nodes)
    }

    /// Carries messages until there are none.
    fn carry(&mut self) {
        while (0..self.0.len()).any(|from| self.carry_from(from)) {}
        self.0.iter_mut().for_each(World::drain);
    }

    fn carry_from(&mut self, from: usize) -> bool {
        let Some(message) = self.0[from].hub.poll_cluster_message() else { return false };
        let Message { to, namespace, operation } = message;
        for other in (0..self.0.len()).filter(|&other| other != from) {
            if to.is_none_or(|to| to == id(other)) {
                let World { hub, now, .. } = &mut self.0[other];
                hub.handle_cluster_message(*now, id(from), namespace.clone(), operation.clone());
            }
        }
        true
    }

    /// Two nodes, each with a socket in `/`.
    fn pair() -> (Self, [Peer; 2]) {
        let mut nodes = Self::new(2);
        let peers = [0, 1].map(|node| nodes.0[node].connect("/"));
        (nodes, peers)
    }

    fn end(self) {
        for mut world in self.0 {
            world.pass(Duration::from_secs(100));
            assert!(world.hub.node.as_ref().unwrap().is_idle());
            world.end();
        }
    }
}

fn id(node: usize) -> NodeId {
    NodeId(node as u64)
}

fn to(room: &str) -> Target {
    Target::all().to(room)
}

#[test]
fn broadcast_reaches_the_sockets_of_all_nodes_that_it_selects() {
    let (mut nodes, [a, b]) = Nodes::pair();
    let c = nodes.0[1].connect("/");
    nodes.0[1].hub.join(b.key, "x");
    let sent = nodes.0[0].hub.broadcast("/", &Target::all(), "all", &1).unwrap();
    assert_eq!(sent, Delivered { sockets: 1, remote: Ok(1), ..Delivered::default() });
    nodes.0[0].hub.broadcast("/", &to("x"), "x", &2).unwrap();
    nodes.0[0].hub.broadcast("/", &Target::all().except("x"), "others", &3).unwrap();
    // All that is queued is written, so that it can be sent at once.
    nodes.carry();
    nodes.0[0].hub.broadcast_volatile("/", &Target::all(), "now", &4).unwrap();
    nodes.carry();
    let own = nodes.0[1].hub.id(c.key).unwrap().clone();
    nodes.0[0].hub.broadcast("/", &Target::all().to(&own), "own", &5).unwrap();
    nodes.0[0].hub.local(|hub| hub.broadcast("/", &Target::all(), "local", &6)).unwrap();
    nodes.carry();
    assert_eq!(
        nodes.0[0].messages(a.on),
        [r#"2["all",1]"#, r#"2["others",3]"#, r#"2["now",4]"#, r#"2["local",6]"#]
    );
    assert_eq!(nodes.0[1].messages(b.on), [r#"2["all",1]"#, r#"2["x",2]"#, r#"2["now",4]"#]);
    assert_eq!(
        nodes.0[1].messages(c.on),
        [r#"2["all",1]"#, r#"2["others",3]"#, r#"2["now",4]"#, r#"2["own",5]"#]
    );
    nodes.end();
}

#[test]
fn broadcast_of_a_node_without_the_namespace_reaches_the_others() {
    let mut nodes = Nodes::new(3);
    let peers = [1, 2].map(|node| nodes.0[node].connect("/chat"));
    let sent = nodes.0[0].hub.broadcast("/chat", &Target::all(), "a", &()).unwrap();
    assert_eq!(sent, Delivered { remote: Ok(2), ..Delivered::default() });
    nodes.carry();
    for (node, peer) in [1, 2].into_iter().zip(peers) {
        assert_eq!(nodes.0[node].take(peer.on), r#"2/chat,["a"]"#);
    }
    nodes.end();
}

#[test]
fn forwarded_event_with_attachments_reaches_other_nodes() {
    let (mut nodes, [a, b]) = Nodes::pair();
    nodes.0[0].says(a.on, r#"51-["file",{"_placeholder":true,"num":0}]"#);
    nodes.0[0].says_binary(a.on, b"png");
    let (_, event) = nodes.0[0].events.pop().unwrap();
    nodes.0[0].hub.forward_to("/", &Target::all(), &event).unwrap();
    nodes.carry();
    let expected = [r#"51-["file",{"_placeholder":true,"num":0}]"#, "<png>"];
    assert_eq!(nodes.0[1].messages(b.on), expected);
    assert_eq!(nodes.0[0].messages(a.on), expected);
    nodes.end();
}

#[test]
fn sockets_of_all_nodes_join_and_leave_rooms_and_disconnect() {
    let (mut nodes, [a, b]) = Nodes::pair();
    let done = nodes.0[0].hub.sockets_join("/", &Target::all(), &["x".into(), "y".into()]);
    assert_eq!((done.sockets, done.remote), (1, Ok(1)));
    nodes.carry();
    nodes.0[0].hub.sockets_leave("/", &to("x"), &["y".into()]);
    nodes.carry();
    for (node, key) in [(0, a.key), (1, b.key)] {
        let rooms: Vec<_> = nodes.0[node].hub.rooms(key).map(Room::as_str).collect();
        assert_eq!(rooms, ["x"]);
    }
    let now = nodes.0[1].now;
    nodes.0[1].hub.local(|hub| hub.disconnect_sockets(now, "/", &to("x"), false));
    nodes.carry();
    assert!(nodes.0[0].hub.is_connected(a.key) && !nodes.0[1].hub.is_connected(b.key));
    nodes.0[1].hub.disconnect_sockets(now, "/", &to("x"), true);
    nodes.carry();
    assert_eq!(nodes.0[0].seen(), [r##"#1 left ["x"]: server namespace disconnect"##]);
    nodes.end();
}

#[test]
fn acknowledgements_of_all_nodes_come_before_the_end_of_a_broadcast() {
    let (mut nodes, [a, b]) = Nodes::pair();
    let now = nodes.0[0].now;
    nodes.0[0].hub.broadcast_with_ack(now, "/", &Target::all(), "q", &(), SECOND).unwrap();
    nodes.carry();
    assert_eq!(nodes.0[0].take(a.on), r#"20["q"]"#);
    assert_eq!(nodes.0[1].take(b.on), r#"20["q"]"#);
    nodes.0[0].says(a.on, "30[1]");
    nodes.0[1].says(b.on, "30[2]");
    assert_eq!(nodes.0[0].seen(), ["group 1 #1 [1]"]);
    nodes.carry();
    assert_eq!(nodes.0[0].seen(), ["group 1 elsewhere [2]", "group 1 completed"]);
    nodes.end();
}

#[test]
fn acknowledgements_that_do_not_come_are_counted_at_the_deadline() {
    let mut nodes = Nodes::new(3);
    let peers = [nodes.0[1].connect("/"), nodes.0[1].connect("/")];
    let now = nodes.0[0].now;
    nodes.0[0].hub.broadcast_with_ack(now, "/", &Target::all(), "q", &(), SECOND).unwrap();
    // The third node does not get it.
    let message = nodes.0[0].hub.poll_cluster_message().unwrap();
    let hub = &mut nodes.0[1].hub;
    hub.handle_cluster_message(now, id(0), message.namespace, message.operation);
    nodes.0[1].says(peers[0].on, "30[1]");
    nodes.carry();
    nodes.0[0].pass(SECOND);
    let seen = nodes.0[0].seen();
    assert_eq!(seen, ["group 1 elsewhere [1]", "group 1 completed without 1 nodes, 1 acks"]);
    // The node that was asked does not wait any longer either.
    nodes.0[1].pass(SECOND);
    assert!(nodes.0[1].hub.node.as_ref().unwrap().is_idle());
    nodes.end();
}

#[test]
fn lost_node_ends_a_request() {
    let (mut nodes, _) = Nodes::pair();
    let now = nodes.0[0].now;
    let request = nodes.0[0].hub.fetch_sockets(now, "/", &Target::all(), SECOND).unwrap();
    assert!(nodes.0[0].hub.remove_node(id(1)) && !nodes.0[0].hub.remove_node(id(1)));
    nodes.0[0].drain();
    let missing = Missing { nodes: 1, acks: 0 };
    let completed = Output::Cluster(ClusterOutput::Completed(request, missing));
    assert_eq!(nodes.0[0].seen(), [format!("{completed:?}")]);
    nodes.end();
}

#[test]
fn requests_on_a_bus_that_counts_wait_for_so_many_nodes() {
    let mut world = World::with(|config| {
        let cluster = config.cluster.insert(ClusterConfig::default());
        cluster.counts_nodes = true;
    });
    assert!(!world.hub.insert_node(id(1)));
    world.hub.handle_nodes(2);
    let sent = world.hub.broadcast("/", &Target::all(), "a", &()).unwrap();
    assert_eq!(sent.remote, Ok(2));
    let now = world.now;
    let request = world.hub.fetch_sockets(now, "/", &Target::all(), SECOND).unwrap();
    world.hub.broadcast_with_ack(now, "/", &Target::all(), "q", &(), SECOND).unwrap();
    world.hub.handle_asked(now, request, 0);
    world.hub.handle_asked(now, crate::cluster::RequestId(2), 1);
    world.drain();
    let completed = Output::Cluster(ClusterOutput::Completed(request, Missing::default()));
    assert_eq!(world.seen(), [format!("{completed:?}")]);
    world.pass(SECOND);
    assert_eq!(world.seen(), ["group 1 completed without 1 nodes, 0 acks"]);
    world.end();
}

#[test]
fn sockets_of_other_nodes_are_described_with_their_data() {
    let (mut nodes, [_, b]) = Nodes::pair();
    nodes.0[1].hub.join(b.key, "x");
    assert!(nodes.0[1].hub.set_data(b.key, Payload::new(&("Bert", 7)).unwrap()));
    let now = nodes.0[0].now;
    let request = nodes.0[0].hub.fetch_sockets(now, "/", &to("x"), SECOND).unwrap();
    while nodes.carry_from(0) || nodes.carry_from(1) {}
    let outputs: Vec<_> = core::iter::from_fn(|| nodes.0[0].hub.poll()).collect();
    let [Output::Cluster(first), Output::Cluster(second)] = &outputs[..] else {
        panic!("{outputs:?}")
    };
    let ClusterOutput::Sockets(of, NodeId(1), sockets) = first else { panic!("{first:?}") };
    assert_eq!((*of, sockets.len()), (request, 1));
    let own = nodes.0[1].hub.id(b.key).unwrap();
    assert_eq!(sockets[0].id, *own);
    assert_eq!(sockets[0].rooms, [own.to_room(), "x".into()]);
    assert_eq!(sockets[0].data.decode::<(&str, u32)>().unwrap(), ("Bert", 7));
    let handshake = sockets[0].handshake.to_value().unwrap();
    assert_eq!(handshake.get("query").and_then(|query| query.get("EIO")), Some(&"4".into()));
    let headers = handshake.get("headers").unwrap();
    assert_eq!(headers.get("upgrade"), Some(&"websocket".into()));
    assert!(matches!(second, ClusterOutput::Completed(of, missing)
        if *of == request && missing.is_none()));
    nodes.end();
}

#[test]
fn server_side_event_reaches_other_nodes_and_is_answered() {
    let mut nodes = Nodes::new(3);
    let now = nodes.0[0].now;
    let event = NamedEvent::new("version", &1);
    assert_eq!(nodes.0[0].hub.server_side_emit("/", &event), Ok(2));
    let asked = nodes.0[0].hub.server_side_emit_with_ack(now, "/", &event, SECOND).unwrap();
    while nodes.carry_from(0) {}
    for node in [1, 2] {
        let mut answers = Vec::new();
        while let Some(output) = nodes.0[node].hub.poll() {
            let Output::Cluster(ClusterOutput::Event(from, namespace, event, answer)) = output
            else {
                panic!("{output:?}")
            };
            assert_eq!((from, &*namespace, event.name()), (id(0), "/", "version"));
            answers.push(answer);
        }
        assert_eq!(answers.remove(0), None);
        // The third node never answers.
        if node == 1 {
            nodes.0[1].hub.answer(answers.remove(0).unwrap(), &"2").unwrap();
        }
    }
    nodes.carry();
    nodes.0[0].pass(SECOND);
    let seen = nodes.0[0].seen();
    assert_eq!(seen.len(), 2, "{seen:?}");
    assert!(seen[0].starts_with("Cluster(Answer(RequestId(1), NodeId(1)"), "{seen:?}");
    let missing = Missing { nodes: 1, acks: 0 };
    let completed = Output::Cluster(ClusterOutput::Completed(asked, missing));
    assert_eq!(seen[1], format!("{completed:?}"));
    nodes.end();
}

#[test]
fn disconnected_or_full_bus_leaves_operations_on_this_node() {
    let mut nodes = Nodes::with(2, |config| {
        config.cluster.as_mut().unwrap().max_queued = 300;
    });
    let peers = [0, 1].map(|node| nodes.0[node].connect("/"));
    let hub = &mut nodes.0[0].hub;
    let sent = hub.broadcast("/", &Target::all(), "1", &()).unwrap();
    assert_eq!(sent.remote, Ok(1));
    let sent = hub.broadcast("/", &Target::all(), "2", &"x".repeat(200)).unwrap();
    assert!(matches!(sent.remote, Err(TellError::Full { max: 300, .. })), "{sent:?}");
    hub.handle_cluster_connected(false);
    let sent = hub.broadcast("/", &Target::all(), "3", &()).unwrap();
    assert_eq!((sent.sockets, sent.remote), (1, Err(TellError::Disconnected)));
    let now = nodes.0[0].now;
    nodes.0[0].hub.broadcast_with_ack(now, "/", &to("none"), "4", &(), SECOND).unwrap();
    nodes.0[0].hub.handle_cluster_connected(true);
    nodes.carry();
    assert_eq!(nodes.0[0].seen(), ["group 1 completed without 1 nodes, 0 acks"]);
    assert_eq!(nodes.0[0].messages(peers[0].on).len(), 3);
    assert_eq!(nodes.0[1].messages(peers[1].on), [r#"2["1"]"#]);
    nodes.end();
}

#[test]
fn requests_of_other_nodes_are_answered_in_a_limited_number() {
    let mut nodes = Nodes::with(2, |config| {
        config.cluster.as_mut().unwrap().max_requests = 1;
    });
    let peer = nodes.0[1].connect("/");
    let now = nodes.0[0].now;
    for _ in 0..2 {
        nodes.0[0].hub.broadcast_with_ack(now, "/", &Target::all(), "q", &(), SECOND).unwrap();
    }
    nodes.carry();
    assert_eq!(nodes.0[1].messages(peer.on), [r#"20["q"]"#, r#"21["q"]"#]);
    nodes.0[1].says(peer.on, "31[1]");
    nodes.0[1].says(peer.on, "30[0]");
    nodes.carry();
    nodes.0[0].pass(SECOND);
    assert_eq!(
        nodes.0[0].seen(),
        ["group 1 elsewhere [0]", "group 1 completed", "group 2 completed without 0 nodes, 1 acks"]
    );
    nodes.end();
}

#[test]
fn missed_broadcasts_of_other_nodes_are_recovered() {
    let mut nodes = Nodes::with(2, |config| {
        config.recovery = Some(crate::adapter::RecoveryConfig::default());
    });
    let on = nodes.0[1].open();
    nodes.0[1].says(on, "0");
    let connected = nodes.0[1].take(on);
    let pid = connected.split(r#""pid":""#).nth(1).unwrap().split('"').next().unwrap();
    nodes.0[0].hub.broadcast("/", &Target::all(), "seen", &()).unwrap();
    nodes.carry();
    let seen = nodes.0[1].take(on);
    let offset = seen.rsplit('"').nth(1).unwrap();
    nodes.0[1].lose(on);
    nodes.0[0].hub.broadcast("/", &Target::all(), "missed", &()).unwrap();
    nodes.carry();
    let on = nodes.0[1].open();
    nodes.0[1].says(on, &format!(r#"0{{"pid":"{pid}","offset":"{offset}"}}"#));
    let messages = nodes.0[1].messages(on);
    assert!(messages.iter().any(|message| message.starts_with(r#"2["missed","#)), "{messages:?}");
    nodes.end();
}

#[test]
fn operation_with_a_reserved_name_is_ignored() {
    let (mut nodes, [_, b]) = Nodes::pair();
    let args = Args::event("disconnect", &()).unwrap();
    let broadcast = crate::cluster::Broadcast::new(Target::all(), args);
    let operation = crate::cluster::Operation::Broadcast(broadcast);
    let now = nodes.0[1].now;
    nodes.0[1].hub.handle_cluster_message(now, id(0), "/".into(), operation);
    assert_eq!(nodes.0[1].messages(b.on), [""; 0]);
    nodes.end();
}

#[test]
fn hub_without_a_cluster_has_no_messages_and_does_nothing_for_others() {
    let mut world = World::new();
    let peer = world.connect("/");
    let sent = world.hub.broadcast("/", &Target::all(), "a", &()).unwrap();
    assert_eq!(sent, Delivered { sockets: 1, ..Delivered::default() });
    assert!(world.hub.poll_cluster_message().is_none());
    let fetched = world.hub.fetch_sockets(world.now, "/", &Target::all(), SECOND);
    assert_eq!(fetched, Err(TellError::Disconnected));
    let operation = crate::cluster::Operation::Disconnect { target: Target::all(), close: true };
    world.hub.handle_cluster_message(world.now, id(1), "/".into(), operation);
    assert!(world.hub.is_connected(peer.key));
    assert_eq!(vec![world.take(peer.on)], [r#"2["a"]"#]);
    world.end();
}

/// Pseudo-random numbers (xorshift), the same in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }

    fn target(&mut self) -> Target {
        match self.below(4) {
            0 => Target::all(),
            1 => to("x"),
            2 => Target::all().except("y"),
            _ => to("x").except("y"),
        }
    }
}

#[test]
fn each_socket_has_the_events_of_each_node_once_and_in_order() {
    for seed in 1..20 {
        let mut random = Random(seed);
        let mut nodes = Nodes::new(3);
        let peers: Vec<_> = (0..6).map(|n| (n % 3, nodes.0[n % 3].connect("/"))).collect();
        let mut sent = [0; 3];
        for _ in 0..200 {
            let node = usize::try_from(random.below(3)).unwrap();
            let (now, target) = (nodes.0[node].now, random.target());
            let hub = &mut nodes.0[node].hub;
            match random.below(8) {
                0 => drop(hub.sockets_join("/", &target, &["x".into()])),
                1 => drop(hub.sockets_leave("/", &target, &["x".into(), "y".into()])),
                2 => drop(hub.sockets_join("/", &to("x"), &["y".into()])),
                3 => drop(hub.broadcast_with_ack(now, "/", &target, "q", &(), SECOND).unwrap()),
                _ => {
                    sent[node] += 1;
                    hub.broadcast("/", &target, "e", &(node, sent[node])).unwrap();
                }
            }
            // Messages of a node are carried in order, and those of different nodes in any.
            for _ in 0..random.below(4) {
                nodes.carry_from(usize::try_from(random.below(3)).unwrap());
            }
        }
        for (node, sent) in sent.iter_mut().enumerate() {
            *sent += 1;
            nodes.0[node].hub.broadcast("/", &Target::all(), "e", &(node, *sent)).unwrap();
        }
        nodes.carry();
        for (node, peer) in peers {
            let mut last = [0; 3];
            for message in nodes.0[node].messages(peer.on) {
                let Some(event) = message.strip_prefix(r#"2["e","#) else { continue };
                let event = event.trim_end_matches(']').split_once(',').unwrap();
                let (from, number) = (event.0.parse::<usize>(), event.1.parse::<u32>());
                let (from, number) = (from.unwrap(), number.unwrap());
                assert!(number > last[from], "{number} behind {}", last[from]);
                last[from] = number;
            }
            assert_eq!(last, sent, "the last of each node reaches everybody");
        }
        nodes.end();
    }
}

#[test]
fn hostile_node_leaves_nothing_behind() {
    use crate::{
        adapter::EntryId,
        cluster::{Broadcast, Operation, RequestId, Response},
    };

    for seed in 1..20 {
        let mut random = Random(seed);
        let mut nodes = Nodes::new(2);
        let peers = [0, 1].map(|node| nodes.0[node].connect("/"));
        for _ in 0..300 {
            let World { hub, now, .. } = &mut nodes.0[0];
            let request = RequestId(random.below(6));
            let event = match random.below(3) {
                0 => Args::empty(),
                1 => Args::event("connect", &()).unwrap(),
                _ => Args::event("e", &random.below(9)).unwrap(),
            };
            let operation = match random.below(9) {
                0 => Operation::Respond { request, response: Response::Clients(usize::MAX) },
                1 => Operation::Respond { request, response: Response::Ack(event) },
                2 => Operation::Respond { request, response: Response::Sockets(vec![]) },
                3 => Operation::Respond { request, response: Response::Event(event) },
                4 => Operation::FetchSockets { target: random.target(), request },
                5 => Operation::ServerSideEmit { event, request: Some(request) },
                6 => Operation::Join { target: random.target(), rooms: vec!["x".into(); 3] },
                _ => Operation::Broadcast(Broadcast {
                    target: random.target(),
                    event,
                    volatile: random.below(2) == 0,
                    request: (random.below(2) == 0).then_some(request),
                    timeout: (random.below(2) == 0).then_some(SECOND),
                    offset: Some(EntryId { time: 1, sequence: 2 }),
                }),
            };
            // Of a stranger as well.
            let from = NodeId(random.below(3));
            let namespace = if random.below(3) == 0 { "/none" } else { "/" };
            hub.handle_cluster_message(*now, from, namespace.into(), operation);
            match random.below(4) {
                0 => drop(hub.broadcast_with_ack(*now, "/", &Target::all(), "q", &(), SECOND)),
                1 => drop(hub.fetch_sockets(*now, "/", &Target::all(), SECOND)),
                _ => {}
            }
            while hub.poll_cluster_message().is_some() {}
            nodes.0[0].drain();
        }
        assert!(nodes.0[0].hub.is_connected(peers[0].key));
        nodes.end();
    }
}
