//! Applications on several nodes, over a bus in memory.

use std::{
    collections::BTreeSet,
    future::poll_fn,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll},
    thread,
    time::Duration,
};

use bytes::Bytes;
use enginewire_driver::{
    ServerBuilder,
    TransportKind::WebSocket,
    socketio::{
        AckError, Bus, BusEvent, DisconnectReason, Io, IoBuilder, Message, NodeId, Parser,
        RecoveryConfig, Room, Socket, TellError,
    },
    testing::{MemoryBus, MemoryNetwork, TestLink, TestSocket},
};
use enginewire_tests::test_sockets::{end, heal, names, recv, relay, spawn};

use crate::{Host, client::within, soon, until};

on_every_runtime!(
    broadcasts_reach_the_sockets_of_all_nodes_that_they_select,
    binary_forwarded_and_volatile_events_reach_other_nodes,
    all_nodes_get_the_broadcasts_of_one_in_the_same_order,
    acknowledgements_come_from_all_nodes,
    acknowledgements_that_do_not_come_are_counted,
    too_many_requests_are_delivered_and_not_answered,
    sockets_of_all_nodes_are_fetched_with_rooms_and_data,
    sockets_of_all_nodes_join_leave_and_disconnect,
    server_side_events_reach_other_nodes_and_are_acknowledged,
    namespaces_of_a_pattern_are_one_with_those_of_other_nodes,
    node_that_is_lost_ends_a_request,
    bus_that_is_down_leaves_operations_on_this_node,
    full_bus_neither_slows_nor_loses_what_is_local,
    messages_that_are_lost_or_doubled_end_requests_once,
    node_that_closes_lets_out_what_it_told,
    second_server_of_a_node_goes_on_with_the_bus,
    missed_broadcasts_of_other_nodes_are_recovered,
    parser_of_a_node_is_its_own_affair,
    bus_that_panics_leaves_the_server_alone,
    large_broadcasts_of_other_nodes_reach_everybody,
    bus_that_watches_rooms_hears_of_first_and_last_members,
    bus_that_takes_nothing_is_left_alone,
    bus_is_polled_once_for_what_it_brings,
    request_on_a_bus_that_counts_ends_with_the_server,
);

/// Nodes that know each other.
struct Nodes<R: Host> {
    network: MemoryNetwork,
    ios: Vec<Io>,
    links: Vec<TestLink<R>>,
}

impl<R: Host> Nodes<R> {
    fn new(count: usize) -> Self {
        Self::with(count, |_, builder| builder)
    }

    fn with(count: usize, options: impl Fn(usize, IoBuilder) -> IoBuilder) -> Self {
        let network = MemoryNetwork::new();
        let ios = (0..count).map(|node| {
            options(node, Io::builder().cluster(network.bus()).ack_timeout(LONG)).build()
        });
        let ios: Vec<_> = ios.collect();
        let links = ios.iter().map(|io| {
            let _ = io.namespace("/");
            TestLink::<R>::new(io)
        });
        let nodes = Self { network, links: links.collect(), ios };
        nodes.until_known(count - 1);
        nodes
    }

    /// Waits until each node knows so many others.
    fn until_known(&self, others: usize) {
        until("the others", || self.ios.iter().all(|io| io.stats().nodes == others));
    }

    fn connect(&self, node: usize) -> TestSocket {
        soon("a connection", self.links[node].connect("/")).unwrap()
    }

    /// Waits until a node has nothing in its inbox.
    fn until_arrived(&self, node: NodeId) {
        until("arrival", || self.network.queued(node) == 0);
    }
}

fn join<R: Host>(nodes: &Nodes<R>, node: usize, socket: &TestSocket, room: &str) {
    until("a socket", || nodes.ios[node].namespace("/").socket(socket.id()).is_some());
    nodes.ios[node].namespace("/").socket(socket.id()).unwrap().join(room);
}

fn broadcasts_reach_the_sockets_of_all_nodes_that_they_select<R: Host>() {
    let nodes = Nodes::<R>::new(3);
    let [mut anna, mut bert, mut carl] = [0, 1, 2].map(|node| nodes.connect(node));
    join(&nodes, 1, &bert, "x");
    let io = &nodes.ios[0];
    let sent = soon("all", io.emit("all", &1)).unwrap();
    assert_eq!((sent.sockets, sent.remote), (1, Ok(2)));
    let sent = soon("one", io.to("x").emit("x", &1)).unwrap();
    assert_eq!((sent.sockets, sent.remote), (0, Ok(2)));
    soon("most", io.except("x").emit("others", &1)).unwrap();
    soon("one", io.to(carl.id()).emit("carl", &1)).unwrap();
    let sent = soon("local", io.broadcast().local().emit("local", &1)).unwrap();
    assert_eq!((sent.sockets, sent.remote), (1, Ok(0)));
    io.broadcast().try_emit("end", &1).unwrap();
    assert_eq!(names(&mut anna, 4), ["all", "others", "local", "end"]);
    assert_eq!(names(&mut bert, 3), ["all", "x", "end"]);
    assert_eq!(names(&mut carl, 4), ["all", "others", "carl", "end"]);
}

fn binary_forwarded_and_volatile_events_reach_other_nodes<R: Host>() {
    let nodes = Nodes::<R>::new(2);
    let clients = nodes.ios[0].namespace("/");
    R::default().spawn(async move { clients.serve(relay).await });
    let (anna, mut bert) = (nodes.connect(0), nodes.connect(1));
    let data = Bytes::from_static(b"png");
    soon("room", anna.emit("file", &("a", &data, 7))).unwrap();
    let event = soon("an event", bert.recv()).unwrap();
    assert_eq!(event.data::<(&str, &[u8], u8)>().unwrap(), ("a", &b"png"[..], 7));
    let volatile = nodes.ios[0].broadcast().volatile();
    let sent = soon("volatile", volatile.emit("now", &1)).unwrap();
    assert_eq!(sent.remote, Ok(1));
    // It may be dropped if the event before it is still being written.
    soon("all", nodes.ios[0].emit("end", &1)).unwrap();
    assert!(["now", "end"].contains(&recv(&mut bert).0.as_str()));
}

fn all_nodes_get_the_broadcasts_of_one_in_the_same_order<R: Host>() {
    const EACH: usize = 3000;
    let nodes = Nodes::<R>::new(2);
    let (mut anna, mut bert) = (nodes.connect(0), nodes.connect(1));
    let senders = [0, 1, 2].map(|sender| {
        let io = nodes.ios[0].clone();
        thread::spawn(move || {
            for n in 0..EACH {
                io.broadcast().try_emit(&*format!("{sender}.{n}"), &0).unwrap();
            }
        })
    });
    let here = names(&mut anna, 3 * EACH);
    assert_eq!(names(&mut bert, 3 * EACH), here);
    senders.into_iter().for_each(|sender| sender.join().unwrap());
}

fn acknowledgements_come_from_all_nodes<R: Host>() {
    let nodes = Nodes::<R>::new(3);
    let mut clients = [0, 1, 1].map(|node| nodes.connect(node));
    let asking = nodes.ios[0].emit_with_ack::<u32, _>("n", &0);
    let all = spawn::<R, _>(asking.all());
    for (n, client) in (0..).zip(&mut clients) {
        let question = soon("a question", client.recv()).unwrap();
        soon("room", question.acknowledge(&n)).unwrap();
    }
    let all = all("acknowledgements").unwrap();
    assert_eq!(all.responses, [(clients[0].id().clone(), 0)]);
    assert_eq!(all.remote, Ok(2));
    let mut remote: Vec<_> = all.others.into_iter().map(Result::unwrap).collect();
    remote.sort_unstable();
    assert_eq!(remote, [1, 2]);
    assert!(all.failed.is_empty() && all.missing.is_none(), "{:?}", all.missing);

    // One by one, and of another shape.
    let target = nodes.ios[0].to(clients[1].id());
    let mut asking = target.emit_with_ack::<u32, _>("n", &0);
    let question = soon("a question", clients[1].recv()).unwrap();
    soon("room", question.acknowledge(&"text")).unwrap();
    let (id, result) = soon("an answer", asking.next()).unwrap();
    assert!(id.is_none() && matches!(result, Err(AckError::Decode(_))), "{result:?}");
    assert!(soon("the end", asking.next()).is_none() && asking.missing().is_none());
}

fn acknowledgements_that_do_not_come_are_counted<R: Host>() {
    let nodes = Nodes::<R>::new(3);
    let mut clients = [1, 1].map(|node| nodes.connect(node));
    // The third node gets nothing.
    nodes.network.hold(NodeId(3));
    let timeout = Duration::from_secs(3);
    let asking = nodes.ios[0].broadcast().timeout(timeout).emit_with_ack::<u32, _>("n", &0);
    let all = spawn::<R, _>(asking.all());
    let question = soon("a question", clients[0].recv()).unwrap();
    soon("room", question.acknowledge(&1)).unwrap();
    let all = all("acknowledgements").unwrap();
    assert_eq!(all.others.into_iter().map(Result::unwrap).collect::<Vec<_>>(), [1]);
    assert_eq!((all.missing.nodes, all.missing.acks), (1, 1));
    // The one that was asked does not wait either.
    until("the timeout", || nodes.ios[1].stats().ack_timeouts == 1);
    // What nothing waits for any more is forgotten.
    drop(nodes.ios[0].emit_with_ack::<u32, _>("n", &0));
}

fn too_many_requests_are_delivered_and_not_answered<R: Host>() {
    let nodes = Nodes::<R>::with(2, |_, builder| builder.max_cluster_requests(1));
    let mut client = nodes.connect(1);
    let first = spawn::<R, _>(nodes.ios[0].emit_with_ack::<u32, _>("n", &0).all());
    let question = soon("the first", client.recv()).unwrap();
    let timeout = Duration::from_secs(3);
    let second = nodes.ios[0].broadcast().timeout(timeout).emit_with_ack::<u32, _>("n", &0);
    let second = spawn::<R, _>(second.all());
    let unanswered = soon("the second", client.recv()).unwrap();
    soon("room", unanswered.acknowledge(&2)).unwrap();
    let second = second("the second").unwrap();
    assert_eq!((second.others.len(), second.missing.acks), (0, 1));
    soon("room", question.acknowledge(&1)).unwrap();
    assert_eq!(first("the first").unwrap().others.len(), 1);
    // There is room again.
    let third = spawn::<R, _>(nodes.ios[0].emit_with_ack::<u32, _>("n", &0).all());
    let question = soon("the third", client.recv()).unwrap();
    soon("room", question.acknowledge(&3)).unwrap();
    assert_eq!(third("the third").unwrap().others.len(), 1);
}

fn sockets_of_all_nodes_are_fetched_with_rooms_and_data<R: Host>() {
    let nodes = Nodes::<R>::new(3);
    for (io, name) in nodes.ios.iter().zip(["A", "B", "C"]) {
        let users = io.namespace("/users").authorize(move |_| async move { Ok(name.to_owned()) });
        // The third node does not share them.
        let _ = if name == "C" { users } else { users.share_data() };
    }
    let clients: Vec<_> = nodes
        .links
        .iter()
        .map(|link| soon("a connection", link.connect("/users")).unwrap())
        .collect();
    let users = nodes.ios[0].namespace("/users");
    users.broadcast().join("all");
    nodes.until_arrived(NodeId(2));
    nodes.until_arrived(NodeId(3));
    let fetched = soon("sockets", users.to("all").fetch_sockets());
    assert_eq!((fetched.sockets.len(), fetched.remote), (3, Ok(2)));
    assert!(fetched.missing.is_none());
    for (client, data) in clients.iter().zip([Some("A"), Some("B"), None]) {
        let socket = fetched.sockets.iter().find(|socket| socket.id() == client.id()).unwrap();
        let rooms: Vec<_> = socket.rooms().iter().map(|room| room.as_str()).collect();
        assert_eq!(rooms, [client.id().as_str(), "all"]);
        assert_eq!(socket.data::<&str>().ok(), data);
        let handshake = socket.handshake().to_value().unwrap();
        assert_eq!(handshake.get("query").and_then(|query| query.get("EIO")), Some(&"4".into()));
        assert_eq!(handshake.get("address"), Some(&"192.0.2.2".into()));
    }
    let local = soon("sockets", users.broadcast().local().fetch_sockets());
    assert_eq!((local.sockets.len(), local.remote), (1, Ok(0)));
    let none = soon("sockets", users.to("none").fetch_sockets());
    assert!(none.sockets.is_empty() && none.missing.is_none());
    // One of a node that has no such namespace, which answers nevertheless.
    let nowhere = soon("sockets", nodes.ios[0].namespace("/nowhere").broadcast().fetch_sockets());
    assert!(nowhere.sockets.is_empty() && nowhere.missing.is_none());
}

fn sockets_of_all_nodes_join_leave_and_disconnect<R: Host>() {
    let nodes = Nodes::<R>::new(2);
    let [mut anna, mut bert] = [0, 1].map(|node| nodes.connect(node));
    let io = &nodes.ios[0];
    let joined = io.broadcast().join(["x", "y"]);
    assert_eq!((joined.sockets, joined.remote), (1, Ok(1)));
    io.to("x").leave("y");
    // Behind these on the bus.
    soon("some", io.to("y").emit("y", &1)).unwrap();
    soon("all", io.to("x").emit("x", &1)).unwrap();
    assert_eq!((recv(&mut anna).0, recv(&mut bert).0), ("x".into(), "x".into()));
    let local = nodes.ios[1].to("x").local().leave("x");
    assert_eq!((local.sockets, local.remote), (1, Ok(0)));
    nodes.ios[1].to("x").disconnect();
    assert_eq!(end(&mut anna), DisconnectReason::ServerLeft);
    io.to(bert.id()).disconnect_clients();
    assert_eq!(end(&mut bert), DisconnectReason::ServerLeft);
}

fn server_side_events_reach_other_nodes_and_are_acknowledged<R: Host>() {
    let nodes = Nodes::<R>::new(3);
    let namespaces: Vec<_> = nodes.ios.iter().map(|io| io.namespace("/")).collect();
    let mut events: Vec<_> = namespaces.iter().map(|it| it.server_events()).collect();
    assert_eq!(namespaces[0].server_side_emit("a", &(1, "b")), Ok(2));
    for (node, events) in (1..).zip(&mut events) {
        if node == 1 {
            let nothing = within(Duration::ZERO, events.recv());
            assert!(nothing.is_none(), "not to itself");
            continue;
        }
        let mut event = soon("an event", events.recv()).unwrap();
        assert_eq!((event.name(), event.from()), ("a", NodeId(1)));
        assert_eq!(event.data::<(u8, &str)>().unwrap(), (1, "b"));
        assert!(!event.ack().is_expected());
        event.ack().send(&()).unwrap();
    }
    let asking = namespaces[0].clone();
    let answers =
        spawn::<R, _>(async move { asking.server_side_emit_with_ack::<u64, _>("q", &()).await });
    let mut first = soon("an event", events[1].recv()).unwrap();
    first.ack().send(&2).unwrap();
    let mut second = soon("an event", events[2].recv()).unwrap();
    assert!(second.ack().is_expected(), "and is dropped");
    nodes.network.cut(NodeId(3));
    let answers = answers("answers").unwrap();
    assert_eq!(answers.answers, [(NodeId(2), 2)]);
    assert_eq!((answers.failed.len(), answers.missing.nodes), (0, 1));
    // Receivers end with their server.
    soon("the end", nodes.links[1].server().close());
    assert!(soon("the end", events[1].recv()).is_none());
}

fn namespaces_of_a_pattern_are_one_with_those_of_other_nodes<R: Host>() {
    let nodes = Nodes::<R>::new(2);
    let projects: Vec<_> =
        nodes.ios.iter().map(|io| io.namespaces("/project/{id}").unwrap()).collect();
    let mut events = projects[1].server_events();
    let connect =
        |node: usize, name| soon("a connection", nodes.links[node].connect(name)).unwrap();
    let (mut a1, mut b1) = (connect(0, "/project/1"), connect(1, "/project/1"));
    let mut b2 = connect(1, "/project/2");
    let sent = soon("all", projects[0].emit("of the pattern", &1)).unwrap();
    assert_eq!((sent.sockets, sent.remote), (1, Ok(1)));
    let two = nodes.ios[0].namespace("/project/2");
    let sent = soon("all", two.emit("of one", &1)).unwrap();
    assert_eq!((sent.sockets, sent.remote), (0, Ok(1)));
    assert_eq!(
        (names(&mut a1, 1), names(&mut b1, 1)),
        (vec!["of the pattern".to_owned()], vec!["of the pattern".to_owned()])
    );
    assert_eq!(names(&mut b2, 1), ["of one"], "it was on the other node alone");
    two.server_side_emit("event", &1).unwrap();
    projects[0].server_side_emit("event", &2).unwrap();
    for (n, namespace) in [(1, "/project/2"), (2, "/project/{id}")] {
        let event = soon("an event", events.recv()).unwrap();
        assert_eq!((event.data::<u8>().unwrap(), event.namespace()), (n, namespace));
    }
    let fetched = soon("sockets", projects[0].broadcast().fetch_sockets());
    assert_eq!((fetched.sockets.len(), fetched.missing.nodes), (3, 0));
}

fn node_that_is_lost_ends_a_request<R: Host>() {
    let nodes = Nodes::<R>::new(3);
    let _clients = [0, 1, 2].map(|node| nodes.connect(node));
    nodes.network.hold(NodeId(3));
    let fetching = nodes.ios[0].broadcast().timeout(LONG).fetch_sockets();
    let fetched = spawn::<R, _>(fetching);
    // The others have been asked, and one has responded.
    until("the question", || nodes.network.queued(NodeId(3)) > 0);
    nodes.network.cut(NodeId(3));
    let fetched = fetched("sockets");
    assert_eq!((fetched.sockets.len(), fetched.missing.nodes), (2, 1));
    nodes.network.release(NodeId(3));
    heal(&nodes.network, NodeId(3), &nodes.ios[2], 2);
    nodes.until_known(2);
    let fetched = soon("sockets", nodes.ios[0].broadcast().fetch_sockets());
    assert_eq!((fetched.sockets.len(), fetched.missing.nodes), (3, 0));

    // One that says nothing is too late at the deadline.
    nodes.network.hold(NodeId(2));
    let fetching = nodes.ios[0].broadcast().timeout(Duration::from_secs(3)).fetch_sockets();
    let fetched = soon("the deadline", fetching);
    assert_eq!((fetched.sockets.len(), fetched.missing.nodes), (2, 1));
}

fn bus_that_is_down_leaves_operations_on_this_node<R: Host>() {
    let nodes = Nodes::<R>::new(2);
    let [mut anna, mut bert] = [0, 1].map(|node| nodes.connect(node));
    nodes.network.cut(NodeId(1));
    let io = &nodes.ios[0];
    until("the news", || soon("all", io.emit("down", &0)).unwrap().remote == DOWN);
    let dropped = io.stats().cluster_dropped;
    assert!(dropped > 0);
    until("the loss", || io.stats().nodes == 0);
    let done = io.broadcast().join("x");
    assert_eq!((done.sockets, done.remote), (1, DOWN));
    assert_eq!(io.stats().cluster_dropped, dropped + 1);
    let fetched = soon("sockets", io.to("x").fetch_sockets());
    assert_eq!((fetched.sockets.len(), fetched.remote), (1, DOWN));
    let asked = spawn::<R, _>(io.emit_with_ack::<u32, _>("q", &0).all());
    while recv(&mut anna).0 == "down" {}
    assert!(io.namespace("/").server_side_emit("a", &()).is_err());
    drop(anna);
    let asked = asked("acknowledgements").unwrap();
    assert_eq!((asked.responses.len(), asked.failed.len(), asked.remote), (0, 1, DOWN));
    heal(&nodes.network, NodeId(1), io, 1);
    nodes.until_known(1);
    let sent = soon("all", io.emit("up", &0)).unwrap();
    assert_eq!(sent.remote, Ok(1));
    while recv(&mut bert).0 != "up" {}
}

fn full_bus_neither_slows_nor_loses_what_is_local<R: Host>() {
    const COUNT: u32 = 2000;
    let nodes = Nodes::<R>::with(2, |_, builder| builder.max_cluster_queue(100_000));
    let [mut anna, mut bert] = [0, 1].map(|node| nodes.connect(node));
    nodes.network.hold(NodeId(2));
    let mut told = Vec::new();
    for n in 0..COUNT {
        match soon("all", nodes.ios[0].emit("n", &n)).unwrap().remote {
            Ok(1) => told.push(n),
            full => assert!(matches!(full, Err(TellError::Full { max: 100_000, .. })), "{full:?}"),
        }
        assert_eq!(recv(&mut anna), ("n".into(), n));
    }
    let untold = u64::from(COUNT) - told.len() as u64;
    assert!(untold > 0 && !told.is_empty());
    assert_eq!(nodes.ios[0].stats().cluster_dropped, untold);
    nodes.network.release(NodeId(2));
    for n in told {
        assert_eq!(recv(&mut bert), ("n".into(), n), "in order, without those of the full queue");
    }
    // There is room again.
    assert_eq!(soon("all", nodes.ios[0].emit("n", &COUNT)).unwrap().remote, Ok(1));
    assert_eq!(recv(&mut bert), ("n".into(), COUNT));
}

fn messages_that_are_lost_or_doubled_end_requests_once<R: Host>() {
    let nodes = Nodes::<R>::new(2);
    let [_anna, mut bert] = [0, 1].map(|node| nodes.connect(node));
    // Responses come twice.
    nodes.network.duplicate(NodeId(2), true);
    let fetched = soon("sockets", nodes.ios[0].broadcast().fetch_sockets());
    assert_eq!((fetched.sockets.len(), fetched.missing.nodes), (2, 0));
    let target = nodes.ios[0].to(bert.id());
    let asked = spawn::<R, _>(target.emit_with_ack::<u32, _>("q", &0).all());
    let question = soon("a question", bert.recv()).unwrap();
    soon("room", question.acknowledge(&1)).unwrap();
    let asked = asked("acknowledgements").unwrap();
    assert_eq!((asked.others.len(), asked.missing.acks), (1, 0));
    // None comes.
    nodes.network.lose(NodeId(2), true);
    let fetching = nodes.ios[0].broadcast().timeout(Duration::from_millis(100)).fetch_sockets();
    let fetched = soon("the deadline", fetching);
    assert_eq!((fetched.sockets.len(), fetched.missing.nodes), (1, 1));
}

fn node_that_closes_lets_out_what_it_told<R: Host>() {
    let nodes = Nodes::<R>::new(2);
    let clients = nodes.ios[0].namespace("/");
    let is_alone = Arc::new(AtomicBool::new(false));
    let waits = Arc::clone(&is_alone);
    R::default().spawn(async move {
        let farewell = move |mut socket: Socket| {
            let waits = Arc::clone(&waits);
            async move {
                while socket.recv().await.is_some() {}
                // Long after its session and connection have ended.
                poll_fn(|cx| match waits.load(SeqCst) {
                    true => Poll::Ready(()),
                    false => {
                        cx.waker().wake_by_ref();
                        Poll::Pending
                    }
                })
                .await;
                let _ = socket.broadcast().emit("left", &0).await;
            }
        };
        clients.serve(farewell).await;
    });
    let [anna, mut bert] = [0, 1].map(|node| nodes.connect(node));
    until("a socket", || nodes.ios[0].namespace("/").socket(anna.id()).is_some());
    let server = nodes.links[0].server().handle();
    let end = spawn::<R, _>(async move { server.close().await });
    until("the sessions' end", || nodes.links[0].server().sessions() == 0);
    is_alone.store(true, SeqCst);
    end("the end");
    assert_eq!(recv(&mut bert).0, "left");
    until("the news", || nodes.ios[1].stats().nodes == 0);
    // What is left of the node has no bus.
    let sent = soon("nothing", nodes.ios[0].emit("late", &0)).unwrap();
    assert_eq!(sent.remote, DOWN);
}

fn second_server_of_a_node_goes_on_with_the_bus<R: Host>() {
    let network = MemoryNetwork::new();
    let ios = [(); 2].map(|()| Io::builder().cluster(network.bus()).build());
    ios.iter().for_each(|io| drop(io.namespace("/")));
    let first = TestLink::<R>::new(&ios[0]);
    let second = TestLink::<R>::new(&ios[0]);
    let other = TestLink::<R>::new(&ios[1]);
    let mut anna = soon("a connection", second.connect("/")).unwrap();
    let mut bert = soon("a connection", other.connect("/")).unwrap();
    until("the others", || ios.iter().all(|io| io.stats().nodes == 1));
    soon("the end", first.server().close());
    until("the bus", || soon("all", ios[0].emit("a", &1)).unwrap().remote == Ok(1));
    while recv(&mut bert).0 != "a" {}
    soon("all", ios[1].emit("b", &1)).unwrap();
    while recv(&mut anna).0 != "b" {}
    // Both ends at once leave nobody with it.
    let third = TestLink::<R>::new(&ios[0]);
    soon("a connection", third.connect("/")).unwrap();
    let ends = [&second, &third].map(|link| {
        let server = link.server().handle();
        spawn::<R, _>(async move { server.close().await })
    });
    ends.iter().for_each(|end| end("the end"));
    until("the news", || ios[1].stats().nodes == 0);
}

fn missed_broadcasts_of_other_nodes_are_recovered<R: Host>() {
    let nodes = Nodes::<R>::with(2, |_, builder| builder.recovery(RecoveryConfig::default()));
    let mut bert = nodes.connect(1);
    let sent = soon("all", nodes.ios[0].emit("seen", &1)).unwrap();
    assert_eq!(sent.remote, Ok(1));
    let event = soon("an event", bert.recv()).unwrap();
    let (n, offset) = event.data::<(u8, String)>().unwrap();
    assert!(
        event.name() == "seen" && n == 1 && !offset.is_empty(),
        "it has the offset of its node"
    );
}

fn parser_of_a_node_is_its_own_affair<R: Host>() {
    let nodes = Nodes::<R>::with(2, |node, builder| match node {
        0 => builder,
        _ => builder.parser(Parser::MessagePack),
    });
    let [mut anna, mut bert] = [0, 1].map(|node| nodes.connect(node));
    let data = Bytes::from_static(b"png");
    for io in &nodes.ios {
        soon("all", io.emit("a", &("text", &data))).unwrap();
    }
    for client in [&mut anna, &mut bert] {
        for _ in 0..2 {
            let event = soon("an event", client.recv()).unwrap();
            assert_eq!(
                event.data::<(String, Vec<u8>)>().unwrap(),
                ("text".into(), b"png".to_vec())
            );
        }
    }
}

fn bus_that_panics_leaves_the_server_alone<R: Host>() {
    struct Panics;

    impl Bus for Panics {
        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<()> {
            Poll::Ready(())
        }

        fn send(&mut self, _: Message) {
            panic!("on purpose");
        }

        fn poll_event(&mut self, _: &mut Context<'_>) -> Poll<BusEvent> {
            Poll::Pending
        }
    }

    let io = Io::builder().cluster(Panics).build();
    let _ = io.namespace("/");
    let server = ServerBuilder::<R>::new().socketio(&io);
    let link = TestLink::with(server);
    let mut anna = soon("a connection", link.connect("/")).unwrap();
    until("the end of the bus", || soon("all", io.emit("a", &1)).unwrap().remote == DOWN);
    assert_eq!(recv(&mut anna), ("a".into(), 1));
    soon("the end", link.server().close());
}

fn large_broadcasts_of_other_nodes_reach_everybody<R: Host>() {
    /// More than twice as many as are reached at a time.
    const COUNT: usize = 2100;

    let nodes = Nodes::<R>::new(2);
    let link = &nodes.links[1];
    let open =
        || soon("a session", link.open_with(|client| client.transports([WebSocket]))).unwrap();
    let connect = |_| soon("a connection", open().connect("/")).unwrap();
    let mut clients: Vec<_> = (0..COUNT).map(connect).collect();
    let io = &nodes.ios[0];
    soon("all", io.emit("a", &1)).unwrap();
    let timeout = Duration::from_secs(8);
    let asked = io.broadcast().timeout(timeout).emit_with_ack::<(), _>("q", &2).all();
    let asked = spawn::<R, _>(asked);
    soon("all", io.emit("b", &3)).unwrap();
    for client in &mut clients {
        assert_eq!(names(client, 3), ["a", "q", "b"]);
    }
    let missing = asked("the deadline").unwrap().missing;
    assert_eq!((missing.nodes, missing.acks), (0, COUNT), "the other node has told their number");
}

const DOWN: Result<usize, TellError> = Err(TellError::Disconnected);

/// Longer than any test.
const LONG: Duration = Duration::from_secs(60);

/// Rooms that a bus has heard of, and whether they exist.
type Heard = Arc<Mutex<Vec<(String, String, bool)>>>;

/// A bus that has no other nodes, and watches rooms.
struct Watching(Heard);

impl Bus for Watching {
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }

    fn send(&mut self, _: Message) {}

    fn poll_event(&mut self, _: &mut Context<'_>) -> Poll<BusEvent> {
        Poll::Pending
    }

    fn watches_rooms(&self) -> bool {
        true
    }

    fn handle_room(&mut self, namespace: &Arc<str>, room: &Room, exists: bool) {
        let heard = (namespace.to_string(), room.to_string(), exists);
        self.0.lock().unwrap().push(heard);
    }
}

fn bus_that_watches_rooms_hears_of_first_and_last_members<R: Host>() {
    let heard = Heard::default();
    let hears = |room: &str, exists| {
        let expected = ("/".to_owned(), room.to_owned(), exists);
        until("a room", || heard.lock().unwrap().last() == Some(&expected));
    };
    let io = Io::builder().cluster(Watching(Arc::clone(&heard))).build();
    let clients = io.namespace("/");
    let link = TestLink::<R>::new(&io);
    let mut sockets = [(); 2].map(|()| {
        let socket = soon("a connection", link.connect("/")).unwrap();
        hears(socket.id().as_str(), true);
        socket
    });

    let [first, second] = sockets.each_ref().map(|socket| clients.socket(socket.id()).unwrap());
    first.join("lobby");
    hears("lobby", true);
    second.join("lobby");
    first.leave("lobby");
    first.join("hall");
    hears("hall", true);
    soon("the end", sockets[0].disconnect());
    until("both rooms", || heard.lock().unwrap().len() == 6);
    let own = first.id().to_string();
    let ended: BTreeSet<_> = heard.lock().unwrap().split_off(4).into_iter().collect();
    let expected = ["hall".to_owned(), own].map(|room| ("/".to_owned(), room, false));
    assert_eq!(ended, BTreeSet::from(expected), "the lobby still has a member");
}

/// A bus from which nothing comes. It takes messages, or it does not.
struct Silent {
    takes: bool,
    /// How often it was asked whether it takes one.
    asked: Arc<AtomicUsize>,
    /// Messages that it has taken.
    taken: Arc<AtomicUsize>,
}

impl Bus for Silent {
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<()> {
        self.asked.fetch_add(1, SeqCst);
        if self.takes { Poll::Ready(()) } else { Poll::Pending }
    }

    fn send(&mut self, _: Message) {
        self.taken.fetch_add(1, SeqCst);
    }

    fn poll_event(&mut self, _: &mut Context<'_>) -> Poll<BusEvent> {
        Poll::Pending
    }

    fn counts_nodes(&self) -> bool {
        true
    }
}

fn bus_that_takes_nothing_is_left_alone<R: Host>() {
    const EVENTS: usize = 200;

    let asked = Arc::new(AtomicUsize::new(0));
    let bus = Silent { takes: false, asked: Arc::clone(&asked), taken: Arc::default() };
    let io = Io::builder().cluster(bus).build();
    let _ = io.namespace("/");
    let link = TestLink::<R>::new(&io);
    let mut anna = soon("a connection", link.connect("/")).unwrap();
    for n in 0..EVENTS {
        soon("all", io.emit("a", &n)).unwrap();
        assert_eq!(recv(&mut anna), ("a".into(), n.try_into().unwrap()));
    }
    until("a look", || asked.load(SeqCst) > 0);
    // Once for each event at most, and at its start.
    assert!(asked.load(SeqCst) <= EVENTS + 10);
}

/// Counts how often the task of a bus looks at it.
struct Counting {
    bus: MemoryBus,
    polls: Arc<AtomicUsize>,
}

impl Bus for Counting {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.bus.poll_ready(cx)
    }

    fn send(&mut self, message: Message) {
        self.bus.send(message);
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<BusEvent> {
        self.bus.poll_event(cx)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) {
        self.polls.fetch_add(1, SeqCst);
        self.bus.poll_flush(cx);
    }
}

fn bus_is_polled_once_for_what_it_brings<R: Host>() {
    const EVENTS: usize = 200;

    let network = MemoryNetwork::new();
    let polls = Arc::new(AtomicUsize::new(0));
    let bus = Counting { bus: network.bus(), polls: Arc::clone(&polls) };
    let ios = [Io::builder().cluster(network.bus()), Io::builder().cluster(bus)];
    let ios = ios.map(IoBuilder::build);
    let links = ios.each_ref().map(|io| {
        let _ = io.namespace("/");
        TestLink::<R>::new(io)
    });
    until("the others", || ios.iter().all(|io| io.stats().nodes == 1));
    let mut anna = soon("a connection", links[1].connect("/")).unwrap();
    let before = polls.load(SeqCst);
    for n in 0..EVENTS {
        soon("all", ios[0].emit("a", &n)).unwrap();
        assert_eq!(recv(&mut anna), ("a".into(), n.try_into().unwrap()));
    }
    let polls = polls.load(SeqCst) - before;
    assert!(polls <= EVENTS + 10, "{polls} times for {EVENTS} events");
}

fn request_on_a_bus_that_counts_ends_with_the_server<R: Host>() {
    let taken = Arc::new(AtomicUsize::new(0));
    let bus = Silent { takes: true, asked: Arc::default(), taken: Arc::clone(&taken) };
    let io = Io::builder().cluster(bus).build();
    let _ = io.namespace("/");
    let link = TestLink::<R>::new(&io);
    until("the bus", || soon("all", io.emit("a", &1)).unwrap().remote.is_ok());
    until("an event", || taken.load(SeqCst) == 1);
    let asked = spawn::<R, _>(io.broadcast().timeout(LONG * 10).fetch_sockets());
    let emitted = io.broadcast().timeout(LONG * 10).emit_with_ack::<(), _>("q", &2).all();
    let emitted = spawn::<R, _>(emitted);
    until("both requests", || taken.load(SeqCst) == 3);
    soon("the end", link.server().close());
    assert_eq!(asked("its end").missing.nodes, 1);
    assert_eq!(emitted("its end").unwrap().missing.nodes, 1);
}
