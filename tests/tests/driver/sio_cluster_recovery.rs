//! Clients that come back on any node of a cluster whose nodes share a log, with raw clients.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
        mpsc,
    },
    time::Duration,
};

use enginewire_driver::{
    Server,
    socketio::{Io, IoBuilder, NodeId, RecoveryConfig, SocketRef, TellError},
    testing::MemoryNetwork,
};
use enginewire_tests::{
    sio_recovering::{Back, Lost, Peer},
    test_sockets::{heal, spawn},
};

use crate::{
    Host,
    client::{Client, soon, until},
    sockets::{serve_io, sockets},
};

on_every_runtime!(
    client_gets_its_socket_and_what_it_missed_on_another_node,
    client_gets_its_socket_and_what_it_missed_on_the_same_node,
    all_nodes_deliver_what_is_logged_in_one_order,
    events_to_one_socket_and_to_all_keep_the_order_of_the_calls,
    rooms_are_those_at_the_time_of_an_event,
    data_of_a_socket_come_back_on_another_node,
    data_that_are_not_restored_are_those_of_authorize,
    state_whose_time_is_over_is_not_restored,
    client_that_is_refused_has_not_lost_its_state,
    client_that_leaves_while_its_state_is_taken_has_not_lost_it,
    client_that_changes_nodes_before_its_loss_is_noticed_is_a_new_one,
    node_without_a_bus_keeps_what_it_cannot_give_away,
    client_that_comes_back_while_the_bus_is_down_is_a_new_one_at_once,
    socket_waits_on_while_the_bus_does_not_tell_who_has_its_state,
    events_wait_for_the_log_and_are_delivered_once_when_the_bus_fails,
    event_that_is_logged_while_the_bus_fails_is_recovered_once,
    event_whose_place_is_told_late_is_in_the_log_of_its_node,
    entries_that_come_twice_are_delivered_once,
    node_that_comes_later_reads_what_its_clients_missed,
    log_is_read_once_for_clients_that_leave_while_it_is,
    entries_that_are_trimmed_are_not_recovered,
    volatile_acknowledged_and_local_events_are_not_sent_again,
    many_clients_change_nodes_and_miss_nothing,
    server_that_closes_delivers_what_waits_for_the_log,
    clients_of_a_node_that_closes_come_back_on_another,
    namespace_of_a_pattern_is_recovered_where_it_did_not_exist,
);

/// Nodes that share a log.
struct Nodes {
    network: MemoryNetwork,
    nodes: Vec<Node>,
}

struct Node {
    id: NodeId,
    io: Io,
    server: Server,
    sockets: mpsc::Receiver<SocketRef>,
}

impl Nodes {
    fn new<R: Host>(count: usize) -> Self {
        let mut nodes = Self { network: MemoryNetwork::with_log(), nodes: Vec::new() };
        (0..count).for_each(|_| nodes.add::<R>(|builder| builder));
        nodes
    }

    fn add<R: Host>(&mut self, options: impl FnOnce(IoBuilder) -> IoBuilder) {
        let bus = self.network.bus();
        let id = bus.node();
        let builder = Io::builder().cluster(bus).recovery(RecoveryConfig::default());
        let io = options(builder).build();
        let sockets = sockets::<R>(&io);
        let server = serve_io::<R>(&io);
        self.nodes.push(Node { id, io, server, sockets });
        let others = self.nodes.len() - 1;
        until("the others", || self.nodes.iter().all(|node| node.io.stats().nodes == others));
    }

    fn node(&self, node: usize) -> &Node {
        &self.nodes[node]
    }

    fn io(&self, node: usize) -> &Io {
        &self.nodes[node].io
    }

    /// Connects a client, which has received an event.
    fn connect(&self, node: usize) -> (Peer, SocketRef) {
        let Node { server, sockets, .. } = self.node(node);
        let mut peer = Peer::connect(server.local_addr());
        let socket = sockets.recv().unwrap();
        soon("an event", socket.emit("first", &0)).unwrap();
        assert_eq!(peer.event(), ("first".into(), 0));
        (peer, socket)
    }

    /// Ends the connection of a client, and waits until its node has noticed.
    fn lose(&self, node: usize, peer: Peer) -> Lost {
        let Peer { client, lost } = peer;
        drop(client);
        let namespace = self.io(node).namespace("/");
        until("the loss", || namespace.socket(&lost.sid).is_none());
        lost
    }

    /// As [`lose`](Self::lose), and waits until the bus has the state.
    fn lose_and_keep(&self, node: usize, peer: Peer) -> Lost {
        let states = self.network.states();
        let lost = self.lose(node, peer);
        until("the state", || self.network.states() == states + 1);
        lost
    }

    fn come_back(&self, node: usize, lost: &Lost) -> Back {
        lost.come_back(self.node(node).server.local_addr())
    }

    /// Sends an event to all sockets, by a node.
    fn emit(&self, node: usize, name: &str, n: u32) {
        let sent = soon("a broadcast", self.io(node).emit(name, &n)).unwrap();
        assert_eq!(sent.remote, Ok(self.nodes.len() - 1));
    }

    /// Waits until all nodes have taken all messages.
    fn until_arrived(&self) {
        let arrived = |node: &Node| self.network.queued(node.id) == 0;
        until("arrival", || self.nodes.iter().all(arrived));
    }
}

fn named(events: &[(&str, u32)]) -> Vec<(String, u32)> {
    events.iter().map(|&(name, n)| (name.to_owned(), n)).collect()
}

fn comes_back<R: Host>(to: usize) {
    let nodes = Nodes::new::<R>(2);
    let (peer, socket) = nodes.connect(0);
    socket.join("room");
    let lost = nodes.lose_and_keep(0, peer);
    let id = lost.sid.as_str();
    // By both nodes.
    for (n, room) in ["room", "other", id, "room"].into_iter().enumerate() {
        let n = u32::try_from(n).unwrap();
        soon("a broadcast", nodes.io(n as usize % 2).to(room).emit("missed", &n)).unwrap();
        nodes.until_arrived();
    }
    soon("a broadcast", nodes.io(0).except("room").emit("missed", &9)).unwrap();
    nodes.until_arrived();
    let mut back = nodes.come_back(to, &lost);
    assert!(back.is_recovered);
    assert_eq!(back.missed, named(&[("missed", 0), ("missed", 2), ("missed", 3)]));
    let socket = nodes.node(to).sockets.recv().unwrap();
    assert!(socket.recovered());
    assert_eq!((socket.id().as_str(), socket.rooms()), (id, vec!["room".to_owned()]));
    soon("a broadcast", nodes.io(1 - to).to("room").emit("next", &1)).unwrap();
    assert_eq!(back.peer.event(), ("next".into(), 1));
    // Once: another that says the same is a new client.
    assert_eq!(nodes.network.states(), 0);
    let other = nodes.come_back(1 - to, &lost);
    assert!(!other.is_recovered && other.missed.is_empty());
    // And again, from what it has now.
    let lost = nodes.lose_and_keep(to, back.peer);
    nodes.emit(0, "again", 1);
    let back = nodes.come_back(1 - to, &lost);
    assert_eq!((back.is_recovered, back.missed), (true, named(&[("again", 1)])));
    // With nothing in between nothing comes again.
    let lost = nodes.lose_and_keep(1 - to, back.peer);
    let back = nodes.come_back(to, &lost);
    assert_eq!((back.is_recovered, back.missed), (true, vec![]));
}

fn client_gets_its_socket_and_what_it_missed_on_another_node<R: Host>() {
    comes_back::<R>(1);
}

fn client_gets_its_socket_and_what_it_missed_on_the_same_node<R: Host>() {
    comes_back::<R>(0);
}

fn all_nodes_deliver_what_is_logged_in_one_order<R: Host>() {
    const EACH: u32 = 200;

    let nodes = Nodes::new::<R>(3);
    let mut peers: Vec<_> = (0..3).map(|node| nodes.connect(node).0).collect();
    let sent = (0..3).map(|node| {
        let io = nodes.io(node).clone();
        spawn::<R, _>(async move {
            for n in 0..EACH {
                io.emit(format!("of-{node}").as_str(), &n).await.unwrap();
            }
        })
    });
    let sent: Vec<_> = sent.collect();
    let seen = peers.iter_mut().map(|peer| {
        let mut events = Vec::new();
        while events.len() < 3 * EACH as usize {
            let before = peer.lost.offset.clone();
            let (name, n) = peer.event();
            if name.starts_with("of-") {
                assert!(number(before.as_ref()) < number(peer.lost.offset.as_ref()));
                events.push((name, n));
            }
        }
        events
    });
    let seen: Vec<_> = seen.collect();
    sent.iter().for_each(|sent| sent("the events"));
    assert_eq!(seen[0], seen[1]);
    assert_eq!(seen[0], seen[2]);
    for node in 0..3 {
        let of_node = seen[0].iter().filter(|(name, _)| *name == format!("of-{node}"));
        assert!(of_node.map(|(_, n)| *n).eq(0..EACH));
    }
}

/// The number in an offset of a network in memory.
fn number(offset: Option<&String>) -> u64 {
    offset.and_then(|offset| offset.split_once('-')?.1.parse().ok()).unwrap_or_default()
}

fn events_to_one_socket_and_to_all_keep_the_order_of_the_calls<R: Host>() {
    let nodes = Nodes::new::<R>(2);
    let (mut peer, socket) = nodes.connect(0);
    let Node { id, io, .. } = nodes.node(0);
    nodes.network.hold(*id);
    socket.try_emit("one", &1).unwrap();
    io.broadcast().try_emit("all", &2).unwrap();
    io.broadcast().local().try_emit("local", &3).unwrap();
    socket.try_emit("one", &4).unwrap();
    until("three entries", || nodes.network.logged() == 4);
    nodes.network.release(*id);
    let expected = [("one", 1), ("all", 2), ("local", 3), ("one", 4)];
    assert_eq!(peer.events(4), named(&expected));
    // What another node has logged meanwhile comes in its place.
    nodes.network.hold(*id);
    io.broadcast().try_emit("own", &1).unwrap();
    until("an entry", || nodes.network.logged() == 5);
    nodes.emit(1, "other", 2);
    io.broadcast().try_emit("own", &3).unwrap();
    until("more entries", || nodes.network.logged() == 7);
    nodes.network.release(*id);
    assert_eq!(peer.events(3), named(&[("own", 1), ("other", 2), ("own", 3)]));
}

fn rooms_are_those_at_the_time_of_an_event<R: Host>() {
    let nodes = Nodes::new::<R>(2);
    let (peer, socket) = nodes.connect(0);
    let to = |room: &str, n: u32| {
        soon("a broadcast", nodes.io(0).to(room).emit("room", &n)).unwrap();
    };
    to("late", 1);
    socket.join(["early", "late"]);
    to("early", 2);
    socket.leave("early");
    to("early", 3);
    to("late", 4);
    // The client has read none of them: its offset is that of its first event.
    let lost = nodes.lose_and_keep(0, peer);
    to("late", 5);
    let back = nodes.come_back(1, &lost);
    assert_eq!(back.missed, named(&[("room", 2), ("room", 4), ("room", 5)]));
    let socket = nodes.node(1).sockets.recv().unwrap();
    assert_eq!(socket.rooms(), ["late"]);
}

/// Nodes whose sockets have data, which they do or do not restore. Returns how often each has authorized, too.
fn with_data<R: Host>(restores: bool) -> (Nodes, Arc<AtomicUsize>, mpsc::Receiver<(bool, String)>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let (sender, receiver) = mpsc::channel();
    let sender = Arc::new(Mutex::new(sender));
    let mut nodes = Nodes { network: MemoryNetwork::with_log(), nodes: Vec::new() };
    for _ in 0..2 {
        let bus = nodes.network.bus();
        let id = bus.node();
        let io = Io::builder().cluster(bus).recovery(RecoveryConfig::default()).build();
        let count = Arc::clone(&asked);
        let namespace = io.namespace("/").authorize(move |_| {
            let n = count.fetch_add(1, SeqCst) + 1;
            async move { Ok(format!("data {n}")) }
        });
        let namespace = if restores { namespace.restore_data() } else { namespace };
        let (sender, (_, sockets)) = (Arc::clone(&sender), mpsc::channel());
        R::default().spawn(async move {
            namespace
                .serve(move |mut socket| {
                    let told = (socket.recovered(), socket.data().clone());
                    let _ = sender.lock().unwrap().send(told);
                    async move {
                        let _ = socket.emit("first", &0).await;
                        while socket.recv().await.is_some() {}
                    }
                })
                .await;
        });
        let server = serve_io::<R>(&io);
        nodes.nodes.push(Node { id, io, server, sockets });
    }
    until("the others", || nodes.nodes.iter().all(|node| node.io.stats().nodes == 1));
    (nodes, asked, receiver)
}

fn data_of_a_socket_come_back_on_another_node<R: Host>() {
    let (nodes, asked, told) = with_data::<R>(true);
    let mut peer = Peer::connect(nodes.node(0).server.local_addr());
    assert_eq!(peer.event().0, "first");
    assert_eq!(told.recv().unwrap(), (false, "data 1".into()));
    let mut lost = nodes.lose_and_keep(0, peer);
    // There, back, and there again.
    for node in [1, 0, 1, 1] {
        let mut back = nodes.come_back(node, &lost);
        assert!(back.is_recovered);
        assert_eq!(told.recv().unwrap(), (true, "data 1".into()));
        assert_eq!(back.peer.event().0, "first");
        lost = nodes.lose_and_keep(node, back.peer);
    }
    assert_eq!(asked.load(SeqCst), 1, "it is not authorized again");
}

fn data_that_are_not_restored_are_those_of_authorize<R: Host>() {
    let (nodes, asked, told) = with_data::<R>(false);
    let mut peer = Peer::connect(nodes.node(0).server.local_addr());
    assert_eq!(peer.event().0, "first");
    assert_eq!(told.recv().unwrap(), (false, "data 1".into()));
    let lost = nodes.lose_and_keep(0, peer);
    let back = nodes.come_back(1, &lost);
    assert!(back.is_recovered);
    assert_eq!(told.recv().unwrap(), (true, "data 2".into()));
    assert_eq!(asked.load(SeqCst), 2);
}

fn state_whose_time_is_over_is_not_restored<R: Host>() {
    let nodes = Nodes::new::<R>(2);
    for to in [0, 1] {
        let lost = nodes.lose_and_keep(0, nodes.connect(0).0);
        assert_eq!(nodes.network.forget_states(), 1);
        let back = nodes.come_back(to, &lost);
        assert!(!back.is_recovered && back.missed.is_empty(), "on node {to}");
        assert!(!nodes.node(to).sockets.recv().unwrap().recovered());
        drop(nodes.lose_and_keep(to, back.peer));
        nodes.network.forget_states();
    }
}

fn client_that_is_refused_has_not_lost_its_state<R: Host>() {
    let nodes = Nodes::new::<R>(2);
    let lost = nodes.lose_and_keep(0, nodes.connect(0).0);
    for offset in ["", "hello", "0-99", "1-0", "0-01", "AAAAAAAAAAAAAAAA"] {
        let refused = Lost { offset: Some(offset.into()), ..lost.clone() };
        for node in [0, 1] {
            let back = nodes.come_back(node, &refused);
            assert!(!back.is_recovered, "{offset} on node {node}");
            drop(back.peer);
            // One that leaves is kept like any other.
            until("the loss", || nodes.io(node).namespace("/").is_empty());
        }
    }
    assert!(nodes.come_back(1, &lost).is_recovered);
}

fn client_that_leaves_while_its_state_is_taken_has_not_lost_it<R: Host>() {
    let nodes = Nodes::new::<R>(2);
    let lost = nodes.lose_and_keep(0, nodes.connect(0).0);
    let Node { id, server, .. } = nodes.node(1);
    nodes.network.hold(*id);
    let mut client = Client::open_websocket(server.local_addr());
    client.send(&lost.request());
    until("the state is taken", || nodes.network.states() == 0);
    drop(client);
    until("the loss", || server.sessions() == 0);
    nodes.network.release(*id);
    until("the state", || nodes.network.states() == 1);
    assert!(nodes.come_back(1, &lost).is_recovered);
}

fn client_that_changes_nodes_before_its_loss_is_noticed_is_a_new_one<R: Host>() {
    let nodes = Nodes::new::<R>(2);
    let (peer, old) = nodes.connect(0);
    let back = nodes.come_back(1, &peer.lost);
    assert!(!back.is_recovered);
    // On its own node it takes its place, and the bus is not asked.
    let back = nodes.come_back(0, &peer.lost);
    assert!(back.is_recovered);
    soon("the end", old.closed());
    assert_eq!(nodes.network.states(), 0);
}

fn node_without_a_bus_keeps_what_it_cannot_give_away<R: Host>() {
    let nodes = Nodes::new::<R>(2);
    let (peer, _) = nodes.connect(0);
    let Node { id, io, .. } = nodes.node(0);
    nodes.network.cut(*id);
    until("the news", || soon("a broadcast", io.emit("alone", &1)).unwrap().remote == DOWN);
    let sent = u32::try_from(nodes.io(0).stats().cluster_dropped).unwrap();
    let lost = nodes.lose(0, peer);
    assert_eq!(nodes.network.states(), 0);
    soon("a broadcast", io.emit("alone", &2)).unwrap();
    heal(&nodes.network, *id, io, 1);
    nodes.emit(0, "shared", 3);
    // The other node has neither the socket nor those events.
    assert!(!nodes.come_back(1, &lost).is_recovered);
    let back = nodes.come_back(0, &lost);
    assert!(back.is_recovered);
    let alone = back.missed.iter().filter(|(name, _)| name == "alone").count();
    assert_eq!(back.missed.last().unwrap(), &("shared".to_owned(), 3));
    assert!(alone >= 2 && sent >= 1, "{:?}", back.missed);
}

fn client_that_comes_back_while_the_bus_is_down_is_a_new_one_at_once<R: Host>() {
    let nodes = Nodes::new::<R>(2);
    let lost = nodes.lose_and_keep(0, nodes.connect(0).0);
    for node in [0, 1] {
        let Node { id, io, .. } = nodes.node(node);
        nodes.network.cut(*id);
        until("the news", || soon("a broadcast", io.emit("alone", &1)).unwrap().remote == DOWN);
        assert!(!nodes.come_back(node, &lost).is_recovered);
    }
    assert_eq!(nodes.network.states(), 1);
}

fn socket_waits_on_while_the_bus_does_not_tell_who_has_its_state<R: Host>() {
    let nodes = Nodes::new::<R>(2);
    let Node { id, io, server, sockets } = nodes.node(0);
    // Its node alone knows what a client has received that was connected before there was an entry.
    let peer = Peer::connect(server.local_addr());
    drop(sockets.recv().unwrap());
    let lost = nodes.lose_and_keep(0, peer);
    nodes.network.cut(*id);
    until("the news", || soon("a broadcast", io.emit("alone", &1)).unwrap().remote == DOWN);
    assert!(!nodes.come_back(0, &lost).is_recovered);
    heal(&nodes.network, *id, io, 1);
    assert!(nodes.come_back(0, &lost).is_recovered);
}

fn event_whose_place_is_told_late_is_in_the_log_of_its_node<R: Host>() {
    let nodes = Nodes::new::<R>(2);
    let (mut here, _) = nodes.connect(0);
    let (mut peer, _) = nodes.connect(1);
    let Node { id, io, .. } = nodes.node(0);
    let logged = nodes.network.logged();
    nodes.network.hold(*id);
    let sent = spawn::<R, _>(io.emit("late", &1));
    until("its entry", || nodes.network.logged() == logged + 1);
    nodes.network.cut(*id);
    nodes.network.release(*id);
    // Here it is delivered without the bus.
    assert_eq!(here.event(), ("late".into(), 1));
    sent("an event whose place is told late").unwrap();
    assert_eq!(peer.event(), ("late".into(), 1));
    heal(&nodes.network, *id, io, 1);
    let lost = nodes.lose_and_keep(1, peer);
    nodes.emit(0, "end", 2);
    assert_eq!(here.event(), ("end".into(), 2));
    let back = nodes.come_back(0, &lost);
    assert_eq!((back.is_recovered, back.missed), (true, named(&[("end", 2)])));
}

fn events_wait_for_the_log_and_are_delivered_once_when_the_bus_fails<R: Host>() {
    let nodes = Nodes::new::<R>(2);
    let (mut peer, socket) = nodes.connect(0);
    let (mut other, _) = nodes.connect(1);
    let Node { id, io, .. } = nodes.node(0);
    nodes.network.hold(*id);
    let sent = [1, 2].map(|n| spawn::<R, _>(io.emit("waits", &n)));
    // One by one: tasks begin in any order.
    until("the first entries", || nodes.network.logged() == 4);
    let direct = socket.clone();
    let direct = spawn::<R, _>(async move { direct.emit("direct", &3).await });
    until("another entry", || nodes.network.logged() == 5);
    io.broadcast().local().try_emit("local", &4).unwrap();
    nodes.network.cut(*id);
    nodes.network.release(*id);
    let mut waited = peer.events(2);
    waited.sort_unstable();
    assert_eq!(waited, named(&[("waits", 1), ("waits", 2)]));
    assert_eq!(peer.events(2), named(&[("direct", 3), ("local", 4)]));
    for sent in sent {
        let sent = sent("an event").unwrap();
        assert_eq!((sent.sockets, sent.remote), (1, DOWN));
    }
    direct("an event").unwrap();
    // At once from now on, and not again when the bus tells that they were logged.
    let sent = soon("a broadcast", io.emit("alone", &5)).unwrap();
    assert_eq!((sent.sockets, sent.remote), (1, DOWN));
    heal(&nodes.network, *id, io, 1);
    nodes.emit(0, "end", 6);
    assert_eq!(peer.events(2), named(&[("alone", 5), ("end", 6)]));
    // The other node has what was logged.
    let seen = other.events(3).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    assert_eq!(seen, ["waits", "waits", "end"]);
}

fn event_that_is_logged_while_the_bus_fails_is_recovered_once<R: Host>() {
    let mut nodes = Nodes::new::<R>(1);
    let (bert, _) = nodes.connect(0);
    let lost = nodes.lose_and_keep(0, bert);
    // It has none of the entries so far.
    nodes.add::<R>(|builder| builder);
    let (mut anna, _) = nodes.connect(1);
    let Node { id, io, .. } = nodes.node(1);
    let logged = nodes.network.logged();
    nodes.network.hold(*id);
    let sent = spawn::<R, _>(io.emit("waits", &1));
    until("the entry", || nodes.network.logged() == logged + 1);
    nodes.network.cut(*id);
    nodes.network.release(*id);
    assert_eq!(anna.event(), ("waits".into(), 1));
    assert_eq!(sent("an event").unwrap().remote, DOWN);
    heal(&nodes.network, *id, io, 1);
    nodes.until_arrived();
    let back = nodes.come_back(1, &lost);
    assert!(back.is_recovered);
    assert_eq!(back.missed, named(&[("waits", 1)]));
}

fn entries_that_come_twice_are_delivered_once<R: Host>() {
    let nodes = Nodes::new::<R>(2);
    let (mut anna, _) = nodes.connect(0);
    let (bert, _) = nodes.connect(1);
    nodes.network.duplicate(nodes.node(0).id, true);
    (1..=3).for_each(|n| nodes.emit(0, "twice", n));
    nodes.until_arrived();
    assert_eq!(anna.events(3), named(&[("twice", 1), ("twice", 2), ("twice", 3)]));
    let lost = nodes.lose_and_keep(1, bert);
    nodes.emit(0, "twice", 4);
    nodes.until_arrived();
    let back = nodes.come_back(0, &lost);
    let numbers: Vec<_> = back.missed.iter().map(|(_, n)| *n).collect();
    assert_eq!(numbers, [1, 2, 3, 4]);
}

fn node_that_comes_later_reads_what_its_clients_missed<R: Host>() {
    let mut nodes = Nodes::new::<R>(1);
    let lost = [(); 3].map(|()| nodes.connect(0).0);
    let lost = lost.map(|peer| nodes.lose_and_keep(0, peer));
    (1..=5).for_each(|n| nodes.emit(0, "missed", n));
    nodes.add::<R>(|builder| builder);
    nodes.emit(1, "missed", 6);
    // They come at once, and the log is read by one of them.
    let expected: Vec<_> = (1..=6).map(|n| ("missed".to_owned(), n)).collect();
    let address = nodes.node(1).server.local_addr();
    let clients: Vec<_> =
        lost.into_iter().map(|lost| std::thread::spawn(move || lost.come_back(address))).collect();
    for client in clients {
        let back = client.join().unwrap();
        assert!(back.is_recovered);
        let missed: Vec<_> = back.missed.into_iter().filter(|(name, _)| name == "missed").collect();
        assert_eq!(missed, expected);
    }
}

fn log_is_read_once_for_clients_that_leave_while_it_is<R: Host>() {
    let mut nodes = Nodes::new::<R>(1);
    let lost = nodes.lose_and_keep(0, nodes.connect(0).0);
    nodes.emit(0, "missed", 1);
    nodes.add::<R>(|builder| builder);
    nodes.until_arrived();
    let Node { id, server, .. } = nodes.node(1);
    nodes.network.hold(*id);
    for n in 0..8 {
        let mut client = Client::open_websocket(server.local_addr());
        client.send(&lost.request());
        // The response to this one comes when that is being prepared.
        client.send("40/unknown");
        assert!(client.text().starts_with("44/unknown,"), "client {n}");
        until("the log is read", || nodes.network.queued(*id) > 0);
        drop(client);
        until("the loss", || server.sessions() == 0);
    }
    assert_eq!(nodes.network.queued(*id), 1, "responses of the log");
    // What was read is not read again: it is not there any more.
    nodes.network.trim_log(0);
    nodes.network.release(*id);
    let back = nodes.come_back(1, &lost);
    assert_eq!((back.is_recovered, back.missed), (true, named(&[("missed", 1)])));
}

fn entries_that_are_trimmed_are_not_recovered<R: Host>() {
    let mut nodes = Nodes::new::<R>(1);
    let lost = nodes.lose_and_keep(0, nodes.connect(0).0);
    (1..=5).for_each(|n| nodes.emit(0, "missed", n));
    nodes.add::<R>(|builder| builder);
    nodes.network.trim_log(5);
    let new = nodes.come_back(1, &lost);
    assert!(!new.is_recovered);
    // As long as the new client is there, the state is that of the old one.
    assert_eq!(nodes.network.states(), 1, "it has not lost its state");
    drop(new);
    // Its own node has a copy.
    let back = nodes.come_back(0, &lost);
    assert_eq!((back.is_recovered, back.missed.len()), (true, 5));
    // More than are to be read.
    let mut nodes = Nodes::new::<R>(1);
    let lost = nodes.lose_and_keep(0, nodes.connect(0).0);
    (1..=5).for_each(|n| nodes.emit(0, "missed", n));
    let mut config = RecoveryConfig::default();
    config.max_events = 5;
    nodes.add::<R>(|builder| builder.recovery(config));
    assert!(!nodes.come_back(1, &lost).is_recovered);
}

fn volatile_acknowledged_and_local_events_are_not_sent_again<R: Host>() {
    let nodes = Nodes::new::<R>(2);
    let (mut peer, socket) = nodes.connect(0);
    let offset = peer.lost.offset.clone();
    soon("a broadcast", nodes.io(1).broadcast().volatile().emit("volatile", &1)).unwrap();
    assert_eq!(peer.event(), ("volatile".into(), 1));
    assert_eq!(peer.lost.offset, offset, "it has that of the last entry");
    let lost = nodes.lose_and_keep(0, peer);
    drop(socket);
    for io in [nodes.io(0), nodes.io(1)] {
        soon("a broadcast", io.broadcast().volatile().emit("volatile", &2)).unwrap();
        soon("a broadcast", io.broadcast().local().emit("local", &3)).unwrap();
        let asked = io.broadcast().timeout(Duration::from_millis(1));
        let _ = soon("a broadcast", asked.emit_with_ack::<(), _>("asks", &4).all());
    }
    nodes.emit(1, "kept", 5);
    let back = nodes.come_back(1, &lost);
    assert_eq!((back.is_recovered, back.missed), (true, named(&[("kept", 5)])));
}

fn many_clients_change_nodes_and_miss_nothing<R: Host>() {
    const CLIENTS: usize = 40;
    const EVENTS: u32 = 300;

    let nodes = Nodes::new::<R>(3);
    let peers: Vec<_> = (0..CLIENTS).map(|n| nodes.connect(n % 3).0).collect();
    let sent: Vec<_> = (0..3)
        .map(|node| {
            let io = nodes.io(node).clone();
            spawn::<R, _>(async move {
                for n in (0..EVENTS).skip(node).step_by(3) {
                    io.emit("tick", &n).await.unwrap();
                }
            })
        })
        .collect();
    let addresses: Vec<_> = nodes.nodes.iter().map(|node| node.server.local_addr()).collect();
    let clients: Vec<_> = (0..)
        .zip(peers)
        .map(|(n, mut peer)| {
            let (addresses, network) = (addresses.clone(), nodes.network.clone());
            std::thread::spawn(move || {
                let mut node = n % 3;
                let mut ticks = Vec::new();
                let is_tick = |(name, tick): (String, u32)| (name == "tick").then_some(tick);
                while ticks.len() < EVENTS as usize {
                    let before = number(peer.lost.offset.as_ref());
                    ticks.extend(is_tick(peer.event()));
                    assert!(before < number(peer.lost.offset.as_ref()), "client {n}");
                    // Each changes its node once, somewhere.
                    if ticks.len() == 1 + n * 7 {
                        let Peer { client, lost } = peer;
                        drop(client);
                        // One that comes back before is a new client.
                        until("the state", || network.is_kept(&lost.pid));
                        node = (node + 1) % 3;
                        let back = lost.come_back(addresses[node]);
                        assert!(back.is_recovered, "client {n}");
                        ticks.extend(back.missed.into_iter().filter_map(is_tick));
                        peer = back.peer;
                    }
                }
                ticks
            })
        })
        .collect();
    sent.iter().for_each(|sent| sent("the events"));
    let clients: Vec<_> = clients.into_iter().map(|client| client.join().unwrap()).collect();
    assert!(clients.iter().all(|ticks| *ticks == clients[0]), "all have one order: {clients:?}");
    let mut each = clients[0].clone();
    each.sort_unstable();
    assert!(each.into_iter().eq(0..EVENTS), "each number once: {:?}", clients[0]);
}

fn server_that_closes_delivers_what_waits_for_the_log<R: Host>() {
    let nodes = Nodes::new::<R>(2);
    let (mut peer, _) = nodes.connect(0);
    let Node { id, io, server, .. } = nodes.node(0);
    nodes.network.hold(*id);
    let sent = spawn::<R, _>(io.emit("waits", &1));
    until("an entry", || nodes.network.logged() == 2);
    let handle = server.handle();
    let end = spawn::<R, _>(async move { handle.close().await });
    let sent = sent("an event").unwrap();
    assert_eq!(sent.remote, DOWN);
    end("the end");
    // The client had left before it was known that nothing logs it.
    assert!(sent.sockets <= 1);
    peer.client.end();
}

fn clients_of_a_node_that_closes_come_back_on_another<R: Host>() {
    let nodes = Nodes::new::<R>(2);
    let peers = [(); 3].map(|()| nodes.connect(0).0);
    let handle = nodes.node(0).server.handle();
    let end = spawn::<R, _>(async move { handle.close().await });
    let lost = peers.map(|Peer { mut client, lost }| {
        client.end();
        lost
    });
    end("the end");
    until("the states", || nodes.network.states() == 3);
    until("the news", || nodes.io(1).stats().nodes == 0);
    soon("a broadcast", nodes.io(1).emit("missed", &1)).unwrap();
    for lost in lost {
        let back = nodes.come_back(1, &lost);
        assert_eq!((back.is_recovered, back.missed), (true, named(&[("missed", 1)])));
    }
}

fn namespace_of_a_pattern_is_recovered_where_it_did_not_exist<R: Host>() {
    let nodes = Nodes::new::<R>(2);
    for node in &nodes.nodes {
        let projects = node.io.namespaces("/project/{id}").unwrap();
        R::default().spawn(async move {
            projects
                .serve(|mut socket| async move {
                    if !socket.recovered() {
                        let _ = socket.emit("first", &0).await;
                    }
                    while socket.recv().await.is_some() {}
                })
                .await;
        });
    }
    let mut client = Client::open_websocket(nodes.node(0).server.local_addr());
    client.send("40/project/7,");
    let connected = client.text().replace("/project/7,", "");
    let mut lost = Lost::of(&connected);
    lost.note(&client.text().replace("/project/7,", ""));
    drop(client);
    until("the state", || nodes.network.states() == 1);
    until("no namespace", || nodes.io(0).find("/project/7").is_none());
    // A node where another client is tells it.
    let mut client = Client::open_websocket(nodes.node(0).server.local_addr());
    client.send("40/project/7,");
    client.text();
    let project = nodes.io(0).find("/project/7").unwrap();
    soon("a broadcast", project.emit("missed", &1)).unwrap();
    let mut back = Client::open_websocket(nodes.node(1).server.local_addr());
    back.send(&lost.request().replacen("40", "40/project/7,", 1));
    let missed = back.text();
    assert!(missed.starts_with(r#"42/project/7,["missed",1,"#), "{missed}");
    assert_eq!(back.text().replace("/project/7,", ""), connected);
}

const DOWN: Result<usize, TellError> = Err(TellError::Disconnected);
