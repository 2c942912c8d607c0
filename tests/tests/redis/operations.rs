//! All operations between nodes, in every format.

use bytes::Bytes;
use enginewire_driver::socketio::DisconnectReason;
use enginewire_tests::{
    client::{soon, until},
    host::Host,
    test_sockets::{end, names, recv, relay, spawn},
};

use crate::{
    nodes::{KINDS, Nodes},
    server::RedisServer,
};

on_every_runtime!(
    broadcasts_reach_the_sockets_of_all_nodes_that_they_select,
    broadcasts_of_one_node_keep_their_order,
    binary_events_reach_other_nodes,
    acknowledgements_come_from_all_nodes,
    sockets_of_all_nodes_are_fetched_with_rooms_and_data,
    sockets_of_all_nodes_join_leave_and_disconnect,
    server_side_events_reach_other_nodes_and_are_acknowledged,
    namespaces_of_a_pattern_are_one_with_those_of_other_nodes,
    node_that_closes_is_counted_no_more,
    channels_of_rooms_and_namespaces_end_with_them,
);

/// Does `work` in every format, with so many nodes.
fn in_every_format<R: Host>(count: usize, work: impl Fn(Nodes<R>)) {
    let server = RedisServer::start();
    for kind in KINDS {
        println!("{kind:?}");
        work(Nodes::new(&server, kind, count));
    }
}

fn broadcasts_reach_the_sockets_of_all_nodes_that_they_select<R: Host>() {
    in_every_format::<R>(3, |mut nodes| {
        let [mut anna, mut bert, mut carl] = [0, 1, 2].map(|node| nodes.connect(node));
        nodes.join(1, &bert, "x");
        nodes.join(2, &carl, "y");
        for socket in [&anna, &bert, &carl] {
            nodes.until_heard("/", socket.id().as_str());
        }
        let io = &nodes.ios[0];
        let sent = soon("all", io.emit("all", &1)).unwrap();
        assert_eq!((sent.sockets, sent.remote.is_ok()), (1, true));
        soon("several", io.to(["x", "y"]).emit("several", &1)).unwrap();
        soon("most", io.except("x").emit("others", &1)).unwrap();
        let sent = soon("local", io.broadcast().local().emit("local", &1)).unwrap();
        assert_eq!((sent.sockets, sent.remote), (1, Ok(0)));
        assert_eq!(names(&mut anna, 3), ["all", "others", "local"]);
        assert_eq!(names(&mut bert, 2), ["all", "several"]);
        assert_eq!(names(&mut carl, 3), ["all", "several", "others"]);
        // Those to one room may overtake others in a channel of their own.
        soon("room", io.to("x").emit("room", &1)).unwrap();
        soon("one", io.to(carl.id()).emit("one", &1)).unwrap();
        assert_eq!((recv(&mut bert).0, recv(&mut carl).0), ("room".into(), "one".into()));
        soon("all", io.emit("end", &1)).unwrap();
        for socket in [&mut anna, &mut bert, &mut carl] {
            assert_eq!(recv(socket).0, "end");
        }
    });
}

fn broadcasts_of_one_node_keep_their_order<R: Host>() {
    const COUNT: u32 = 2000;
    in_every_format::<R>(2, |nodes| {
        let mut sockets = [0, 1].map(|node| nodes.connect(node));
        for n in 0..COUNT {
            nodes.ios[0].broadcast().try_emit("n", &n).unwrap();
        }
        for socket in &mut sockets {
            let numbers: Vec<_> = (0..COUNT).map(|_| recv(socket).1).collect();
            assert!(numbers.iter().copied().eq(0..COUNT), "{numbers:?}");
        }
        let stats = nodes.monitors[0].stats();
        assert_eq!((stats.lost, stats.refused, stats.dropped, stats.is_up), (0, 0, 0, true));
    });
}

fn binary_events_reach_other_nodes<R: Host>() {
    in_every_format::<R>(2, |nodes| {
        let clients = nodes.ios[0].namespace("/");
        R::default().spawn(async move { clients.serve(relay).await });
        let (anna, mut bert) = (nodes.connect(0), nodes.connect(1));
        // Of all bytes, and more than fits into a read.
        let data: Bytes = (0..100_000_u32).map(|n| n.to_le_bytes()[0]).collect();
        soon("room", anna.emit("file", &("a", &data, 7))).unwrap();
        let event = soon("an event", bert.recv()).unwrap();
        assert_eq!(event.data::<(&str, &[u8], u8)>().unwrap(), ("a", &data[..], 7));
    });
}

fn acknowledgements_come_from_all_nodes<R: Host>() {
    in_every_format::<R>(3, |nodes| {
        let mut clients = [0, 1, 1].map(|node| nodes.connect(node));
        let asking = nodes.ios[0].emit_with_ack::<u32, _>("n", &0);
        let all = spawn::<R, _>(asking.all());
        for (n, client) in (0..).zip(&mut clients) {
            let question = soon("a question", client.recv()).unwrap();
            soon("room", question.acknowledge(&n)).unwrap();
        }
        let all = all("acknowledgements").unwrap();
        assert_eq!(all.responses, [(clients[0].id().clone(), 0)]);
        let mut remote: Vec<_> = all.others.into_iter().map(Result::unwrap).collect();
        remote.sort_unstable();
        assert_eq!(remote, [1, 2]);
        assert!(all.failed.is_empty() && all.missing.is_none(), "{:?}", all.missing);
    });
}

fn sockets_of_all_nodes_are_fetched_with_rooms_and_data<R: Host>() {
    in_every_format::<R>(3, |mut nodes| {
        for (io, name) in nodes.ios.iter().zip(["A", "B", "C"]) {
            let users =
                io.namespace("/users").authorize(move |_| async move { Ok(name.to_owned()) });
            let _ = users.share_data();
        }
        nodes.until_known("/users", 3);
        let clients = [0, 1, 2].map(|node| nodes.connect_to(node, "/users"));
        for (node, client) in clients.iter().enumerate() {
            nodes.join(node, client, "all");
        }
        let users = nodes.ios[0].namespace("/users");
        let fetched = soon("sockets", users.to("all").fetch_sockets());
        assert!(fetched.missing.is_none(), "{:?}", fetched.missing);
        assert_eq!(fetched.sockets.len(), 3);
        for (client, data) in clients.iter().zip(["A", "B", "C"]) {
            let socket = fetched.sockets.iter().find(|socket| socket.id() == client.id()).unwrap();
            let rooms: Vec<_> = socket.rooms().iter().map(|room| room.as_str()).collect();
            assert_eq!(rooms, [client.id().as_str(), "all"]);
            assert_eq!(socket.data::<&str>().ok(), Some(data));
        }
        let none = soon("sockets", users.to("none").fetch_sockets());
        assert!(none.sockets.is_empty() && none.missing.is_none());
        assert_eq!(nodes.ios[0].stats().nodes, 2);
    });
}

fn sockets_of_all_nodes_join_leave_and_disconnect<R: Host>() {
    in_every_format::<R>(2, |mut nodes| {
        let [mut anna, mut bert] = [0, 1].map(|node| nodes.connect(node));
        let joined = nodes.ios[0].broadcast().join(["x", "y"]);
        assert_eq!(joined.sockets, 1);
        let bert_is_in = |room: &str, nodes: &Nodes<R>| {
            let socket = nodes.ios[1].namespace("/").socket(bert.id()).unwrap();
            socket.rooms().iter().any(|name| name == room)
        };
        until("rooms", || bert_is_in("y", &nodes));
        nodes.until_heard("/", "x");
        nodes.ios[0].to("x").leave("y");
        until("a room less", || !bert_is_in("y", &nodes));
        let io = &nodes.ios[0];
        soon("some", io.to(["y", "z"]).emit("y", &1)).unwrap();
        soon("all", io.to(["x", "z"]).emit("x", &1)).unwrap();
        assert_eq!((recv(&mut anna).0, recv(&mut bert).0), ("x".into(), "x".into()));
        nodes.ios[1].to("x").disconnect();
        assert_eq!(end(&mut anna), DisconnectReason::ServerLeft);
        assert_eq!(end(&mut bert), DisconnectReason::ServerLeft);
        let mut carl = nodes.connect(1);
        io.to(carl.id()).disconnect_clients();
        assert_eq!(end(&mut carl), DisconnectReason::ServerLeft);
    });
}

fn server_side_events_reach_other_nodes_and_are_acknowledged<R: Host>() {
    in_every_format::<R>(3, |nodes| {
        let namespaces: Vec<_> = nodes.ios.iter().map(|io| io.namespace("/")).collect();
        let mut events: Vec<_> = namespaces.iter().map(|it| it.server_events()).collect();
        namespaces[0].server_side_emit("a", &(1, "b")).unwrap();
        for events in &mut events[1..] {
            let mut event = soon("an event", events.recv()).unwrap();
            assert_eq!(event.data::<(u8, &str)>().unwrap(), (1, "b"));
            assert!(!event.ack().is_expected());
        }
        let asking = namespaces[0].clone();
        let answers =
            spawn::<R, _>(
                async move { asking.server_side_emit_with_ack::<u64, _>("q", &()).await },
            );
        for (n, events) in (1..).zip(&mut events[1..]) {
            soon("an event", events.recv()).unwrap().ack().send(&n).unwrap();
        }
        let answers = answers("answers").unwrap();
        assert!(answers.missing.is_none() && answers.failed.is_empty(), "{answers:?}");
        let mut numbers: Vec<_> = answers.answers.into_iter().map(|(_, number)| number).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, [1, 2]);
    });
}

fn namespaces_of_a_pattern_are_one_with_those_of_other_nodes<R: Host>() {
    in_every_format::<R>(2, |mut nodes| {
        let _projects: Vec<_> =
            nodes.ios.iter().map(|io| io.namespaces("/project/{id}").unwrap()).collect();
        let (mut anna, mut bert) =
            (nodes.connect_to(0, "/project/1"), nodes.connect_to(1, "/project/1"));
        nodes.until_known("/project/1", 2);
        let project = nodes.ios[0].find("/project/1").unwrap();
        soon("all", project.emit("all", &1)).unwrap();
        assert_eq!((recv(&mut anna).0, recv(&mut bert).0), ("all".into(), "all".into()));
        let fetched = soon("sockets", project.broadcast().fetch_sockets());
        assert_eq!((fetched.sockets.len(), fetched.missing.nodes), (2, 0));
        // The namespace goes with its last socket, and its subscriptions with it.
        soon("the end", bert.disconnect());
        nodes.until_known("/project/1", 1);
        let fetched = soon("sockets", project.broadcast().fetch_sockets());
        assert_eq!((fetched.sockets.len(), fetched.missing.nodes), (1, 0));
    });
}

fn node_that_closes_is_counted_no_more<R: Host>() {
    in_every_format::<R>(2, |mut nodes| {
        let mut anna = nodes.connect(0);
        // What was sent before is not lost.
        nodes.ios[1].broadcast().try_emit("last", &1).unwrap();
        soon("the end", nodes.links[1].server().close());
        assert_eq!(recv(&mut anna).0, "last");
        nodes.until_known("/", 1);
        let fetched = soon("sockets", nodes.ios[0].broadcast().fetch_sockets());
        assert_eq!((fetched.sockets.len(), fetched.missing.nodes), (1, 0));
        assert_eq!(nodes.ios[0].stats().nodes, 0);
    });
}

fn channels_of_rooms_and_namespaces_end_with_them<R: Host>() {
    in_every_format::<R>(1, |mut nodes| {
        let _projects = nodes.ios[0].namespaces("/project/{id}").unwrap();
        let project_is_gone = |nodes: &Nodes<R>| nodes.ios[0].find("/project/1").is_none();
        nodes.until_known("/project/{id}", 1);
        let before = nodes.subscriptions();
        for _ in 0..3 {
            let mut anna = nodes.connect_to(0, "/project/1");
            for room in ["x", "y"] {
                nodes.join(0, &anna, room);
            }
            until("its channels", || nodes.subscriptions() >= before + 2);
            soon("the end", anna.disconnect());
            until("the end of the namespace", || project_is_gone(&nodes));
            until("the end of its channels", || nodes.subscriptions() == before);
        }
    });
}
