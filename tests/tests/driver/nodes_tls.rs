//! Nodes that hand requests over by TLS, with certificates that they show each other.

use std::{
    collections::HashMap,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
};

use enginewire::TransportKind;
use enginewire_driver::{Client as SessionClient, NodeAddress, NodeName, Server, ServerBuilder};
use enginewire_tests::tls::{Authority, Identity};

use crate::{
    Host,
    client::{Answer, Client, soon, until},
    echo_all, until_empty,
};

on_every_runtime!(
    sessions_of_other_nodes_are_served_over_tls,
    large_messages_pass_over_tls_in_both_directions,
    cancelled_poll_ends_at_the_owner_over_tls,
    node_with_the_certificate_of_another_gets_no_request,
    node_of_another_authority_gets_no_request,
    name_that_is_none_costs_the_session,
    port_for_nodes_takes_nobody_without_a_certificate,
    header_of_a_proxy_comes_before_the_handshake_of_nodes,
);

/// The part of a test's nodes that is the same on all of them.
#[derive(Clone)]
struct Cluster {
    authority: Arc<Authority>,
    /// Ports for nodes, which are known once they listen.
    addresses: Arc<Mutex<HashMap<NodeName, SocketAddr>>>,
}

/// A node. Its first port is for clients, without TLS, and its second for nodes.
struct Node {
    server: Arc<Server>,
    clients: SocketAddr,
    nodes: SocketAddr,
}

impl Cluster {
    fn new() -> Self {
        Self { authority: Arc::new(Authority::default()), addresses: Arc::default() }
    }

    fn issue(&self, name: &str) -> Identity {
        self.authority.issue(&[&format!("{name}.nodes.internal")])
    }

    /// A node that echoes, with this certificate, which expects others of these names.
    fn node<R: Host>(
        &self,
        name: &str,
        identity: &Identity,
        host: fn(NodeName) -> String,
        change: impl FnOnce(ServerBuilder<R>) -> ServerBuilder<R>,
    ) -> Node {
        let runtime = R::default();
        let bind = || soon("a listener", runtime.bind((Ipv4Addr::LOCALHOST, 0).into())).unwrap();
        let (node, addresses) = (name.parse::<NodeName>().unwrap(), Arc::clone(&self.addresses));
        let address = move |node| {
            let addr = addresses.lock().unwrap().get(&node).copied()?;
            Some(NodeAddress::tls(addr, host(node)))
        };
        let builder = ServerBuilder::on(R::default())
            .node(node)
            .nodes(address)
            .nodes_tls(self.authority.client_with(identity))
            .listener(bind())
            .tls_listener(bind(), self.authority.server_for_known(identity));
        let server = Arc::new(change(builder).start().unwrap());
        let [clients, nodes] = *server.local_addrs() else { panic!("two listeners") };
        self.addresses.lock().unwrap().insert(node, nodes);
        R::default().spawn(echo_all::<R>(Arc::clone(&server)));
        Node { server, clients, nodes }
    }

    /// Two nodes with the certificates that each expects of the other.
    fn two<R: Host>(&self) -> (Node, Node) {
        let node = |name| self.node::<R>(name, &self.issue(name), named, |builder| builder);
        (node("a"), node("b"))
    }
}

fn named(node: NodeName) -> String {
    format!("{node}.nodes.internal")
}

fn ask(to: SocketAddr, method: &str, sid: &str, body: &str) -> Answer {
    let mut client = Client::connect(to);
    client.request(method, &format!("/engine.io/?EIO=4&transport=polling&sid={sid}"), body);
    client.answer()
}

/// The session of `owner` is lost at `node`, and the owner is not told.
fn assert_unreachable(node: &Node, owner: &Node) {
    let sid = Client::connect(owner.clients).open_polling();
    let opened = owner.server.stats().connections_opened;
    let answer = ask(node.clients, "POST", &sid, "4secret");
    assert_eq!(answer.status, 503, "{answer:?}");
    assert_eq!(answer.body, "the node that has the session cannot be reached");
    let stats = owner.server.stats();
    assert!(stats.requests_refused == 0 && stats.connections_opened <= opened + 1, "{stats:?}");
    assert_eq!(ask(owner.clients, "POST", &sid, "4on").status, 200);
    assert_eq!(ask(owner.clients, "GET", &sid, "").body, "4on", "and nothing before it");
}

fn sessions_of_other_nodes_are_served_over_tls<R: Host>() {
    let (a, b) = Cluster::new().two::<R>();
    for (opener, other) in [(&b, &a), (&a, &b)] {
        let sid = Client::connect(opener.clients).open_polling();
        for round in 0..3 {
            let message = format!("4{round}");
            assert_eq!(ask(other.clients, "POST", &sid, &message).status, 200);
            assert_eq!(ask(other.clients, "GET", &sid, "").body, message);
        }
        let mut socket = Client::move_to_websocket(other.clients, &sid);
        for n in 0..100 {
            socket.send(&format!("4{n}"));
        }
        for n in 0..100 {
            assert_eq!(socket.text(), format!("4{n}"));
        }
        drop(socket);
        until_empty(&opener.server);
        until_empty(&other.server);
    }
    for node in [a, b] {
        assert_eq!(node.server.stats().hand_overs_failed, 0);
        let tls = node.server.tls_stats();
        assert!(tls.completed >= 7 && tls.failed + tls.timed_out == 0, "{tls:?}");
    }
}

fn large_messages_pass_over_tls_in_both_directions<R: Host>() {
    let (a, b) = Cluster::new().two::<R>();
    let sid = Client::connect(b.clients).open_polling();
    let large = format!("4{}", "x".repeat(900_000));
    assert_eq!(ask(a.clients, "POST", &sid, &large).status, 200);
    assert!(ask(a.clients, "GET", &sid, "").body == large);
    let mut socket = Client::move_to_websocket(a.clients, &sid);
    // Several on their way at once, as many as neither side holds.
    let mut other = socket.stream();
    let frame = Client::frame(&large);
    let writing = std::thread::spawn(move || {
        for _ in 0..5 {
            std::io::Write::write_all(&mut other, &frame).unwrap();
        }
    });
    for _ in 0..5 {
        assert!(socket.text() == large);
    }
    writing.join().unwrap();
}

fn cancelled_poll_ends_at_the_owner_over_tls<R: Host>() {
    let (a, b) = Cluster::new().two::<R>();
    let sid = Client::connect(b.clients).open_polling();
    until("the end of the opener", || b.server.connections() == 0);
    let mut client = Client::connect(a.clients);
    let target = format!("/engine.io/?EIO=4&transport=polling&sid={sid}");
    client.request("GET", &target, "");
    until("the poll at the owner", || {
        b.server.connections() == 1 && b.server.tls_stats().in_flight == 0
    });
    drop(client);
    until_empty(&b.server);
    until_empty(&a.server);
}

fn node_with_the_certificate_of_another_gets_no_request<R: Host>() {
    let cluster = Cluster::new();
    let a = cluster.node::<R>("a", &cluster.issue("a"), named, |builder| builder);
    let b = cluster.node::<R>("b", &cluster.issue("c"), named, |builder| builder);
    assert_unreachable(&a, &b);
    // It has a certificate of the authority, so that the other serves it.
    let sid = Client::connect(a.clients).open_polling();
    assert_eq!(ask(b.clients, "POST", &sid, "4hello").status, 200);
}

fn node_of_another_authority_gets_no_request<R: Host>() {
    let (cluster, other) = (Cluster::new(), Cluster::new());
    let other = Cluster { addresses: Arc::clone(&cluster.addresses), ..other };
    let a = cluster.node::<R>("a", &cluster.issue("a"), named, |builder| builder);
    let b = other.node::<R>("b", &other.issue("b"), named, |builder| builder);
    assert_unreachable(&a, &b);
    assert_unreachable(&b, &a);
}

fn name_that_is_none_costs_the_session<R: Host>() {
    let cluster = Cluster::new();
    let nameless = |_| String::from("not a name");
    let a = cluster.node::<R>("a", &cluster.issue("a"), nameless, |builder| builder);
    let b = cluster.node::<R>("b", &cluster.issue("b"), named, |builder| builder);
    assert_unreachable(&a, &b);
}

fn port_for_nodes_takes_nobody_without_a_certificate<R: Host>() {
    let cluster = Cluster::new();
    let (_, b) = cluster.two::<R>();
    let url = format!("https://{}", b.nodes);
    for config in [cluster.authority.client(), Authority::default().client()] {
        let client = SessionClient::<R>::builder(&url).tls(config);
        let client = client.transports([TransportKind::Polling]);
        assert!(soon("a refusal", client.connect()).is_err());
    }
    // Nor anybody without TLS.
    let mut plain = Client::connect(b.nodes);
    plain.write("GET /engine.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(!String::from_utf8_lossy(&plain.rest()).contains("200 OK"));
    until("the end of the handshakes", || b.server.tls_stats().failed == 3);
    assert_eq!(b.server.stats().sessions_opened, 0);
}

fn header_of_a_proxy_comes_before_the_handshake_of_nodes<R: Host>() {
    let cluster = Cluster::new();
    let [a, b] = ["a", "b"].map(|name| {
        cluster.node::<R>(name, &cluster.issue(name), named, |builder| {
            builder.proxy_protocol("127.0.0.0/8".parse().unwrap())
        })
    });
    const LINE: &str = "PROXY TCP4 203.0.113.9 10.0.0.1 56324 443\r\n";
    let mut client = Client::connect(b.clients);
    client.write(LINE);
    let sid = client.open_polling();
    let mut client = Client::connect(a.clients);
    client.write(LINE);
    client.request("POST", &format!("/engine.io/?EIO=4&transport=polling&sid={sid}"), "4hello");
    assert_eq!(client.answer().status, 200);
    assert_eq!(b.server.stats().proxy_headers_failed, 0);
}
