//! The admin UI: what its pages are told of one node and of several, and who is let in.

use std::{
    mem,
    task::{Context, Poll},
};

use enginewire_driver::{
    TransportKind,
    socketio::{
        Bus, BusEvent, Io, Message, NodeId, RecoveryConfig, Socket,
        admin::{Admin, Mode},
    },
    testing::{MemoryNetwork, TestConnectError, TestEvent, TestLink, TestSocket},
};
use serde::Serialize;
use serde_json::{Value as Json, json};

use enginewire_tests::sio_contract::{ADMIN, ADMIN_HASH};

use crate::{Host, soon, until};

on_every_runtime!(
    page_of_one_node_shows_and_commands_all_nodes,
    namespace_that_other_nodes_alone_have_is_commanded_and_not_made,
    data_that_are_null_are_told_as_an_empty_object,
    commands_of_another_shape_are_ignored,
    wrong_passwords_are_refused_and_then_not_verified,
    events_of_clients_that_may_come_back_are_shown_without_their_offset,
    second_server_goes_on_with_the_pages,
    node_that_does_not_respond_costs_a_page_nothing_else,
    changes_leave_room_for_the_application_on_a_bus_that_stands_still,
    pages_have_their_namespace_whatever_its_name,
);

/// Waits for what comes at once, unless something hangs.
fn now<T>(work: impl Future<Output = T>) -> T {
    soon("an answer", work)
}

/// Waits for an event of the page for which `matches` holds, and returns its arguments.
fn shown(page: &mut TestSocket, name: &str, matches: impl Fn(&[Json]) -> bool) -> Vec<Json> {
    loop {
        let event = now(page.recv()).unwrap();
        let mut arguments = arguments(&event);
        arguments.remove(0);
        if event.name() == name && matches(&arguments) {
            return arguments;
        }
    }
}

fn arguments(event: &TestEvent) -> Vec<Json> {
    let values = event.args().to_values().unwrap();
    values.iter().map(|value| value.to_json().unwrap()).collect()
}

/// Serves a namespace whose sockets join a room and answer.
fn serve<R: Host>(runtime: &R, io: &Io, name: &str) {
    let clients = io.namespace(name);
    runtime.spawn(async move { clients.serve(answer).await });
}

async fn answer(mut socket: Socket) {
    while let Some(mut event) = socket.recv().await {
        if let ("join", Ok(room)) = (event.name(), event.data::<String>()) {
            socket.join(room);
        }
        let _ = event.ack().send("settled").await;
    }
}

fn auth(password: &str) -> impl Serialize {
    json!({ "username": ADMIN, "password": password })
}

fn refusal(result: Result<TestSocket, TestConnectError>) -> String {
    match result {
        Err(TestConnectError::Refused(error)) => error.message().to_owned(),
        other => panic!("not refused: {other:?}"),
    }
}

fn page_of_one_node_shows_and_commands_all_nodes<R: Host>() {
    let (runtime, network) = (R::default(), MemoryNetwork::new());
    let node = |id: &str| {
        let admin = Admin::without_auth().server_id(id);
        let io = Io::builder().cluster(network.bus()).admin(admin).build();
        serve(&runtime, &io, "/");
        (TestLink::<R>::new(&io), io)
    };
    let ((here, io), (there, io_there)) = (node("here"), node("there"));
    until("both nodes", || io.stats().nodes == 1 && io_there.stats().nodes == 1);
    // Before the page comes.
    let early = now(there.connect("/")).unwrap();
    let served = io_there.namespace("/").socket(early.id()).unwrap();
    until("its WebSocket", || served.transport() == TransportKind::WebSocket);
    let mut page = now(here.connect("/admin")).unwrap();
    let early_id = early.id().to_string();
    let sockets = shown(&mut page, "all_sockets", |_| true).remove(0);
    let socket = sockets.as_array().unwrap().iter().find(|socket| socket["id"] == *early_id);
    let socket = socket.unwrap();
    assert_eq!(socket["clientId"].as_str().map(str::len), Some(12));
    assert_eq!((&socket["transport"], &socket["nsp"]), (&json!("websocket"), &json!("/")));
    assert_eq!((&socket["data"], &socket["rooms"]), (&json!({}), &json!([early_id])));
    // The application of this node has the data as they are.
    let fetched = now(io.to(early.id()).fetch_sockets());
    assert_eq!(fetched.sockets[0].data::<Json>().unwrap(), json!({}));

    now(early.emit("join", "room")).unwrap();
    let is_it = |arguments: &[Json]| arguments[1] == "room" && arguments[2] == *early_id;
    assert_eq!(shown(&mut page, "room_joined", is_it)[0], "/");
    let late = now(there.connect("/")).unwrap();
    let late_id = late.id().to_string();
    let socket = shown(&mut page, "socket_connected", |socket| socket[0]["id"] == *late_id);
    assert_eq!(socket[0]["rooms"], json!([late_id]));
    for id in ["here", "there"] {
        let stats = shown(&mut page, "server_stats", |stats| stats[0]["serverId"] == id).remove(0);
        let name = |name| json!({ "name": "/", "socketsCount": name });
        let sockets = if id == "here" { 0 } else { 2 };
        assert!(stats["namespaces"].as_array().unwrap().contains(&name(sockets)), "{stats}");
    }
    now(page.emit("join", &("/", "by the page", &early_id))).unwrap();
    let is_it = |arguments: &[Json]| arguments[1] == "by the page";
    assert_eq!(shown(&mut page, "room_joined", is_it)[2], json!(early_id));
    now(page.emit("_disconnect", &("/", false, "by the page"))).unwrap();
    let is_it = |arguments: &[Json]| arguments[1] == *early_id;
    let left = shown(&mut page, "socket_disconnected", is_it);
    assert_eq!(left[2], "server namespace disconnect");
    assert_eq!(io.stats().admin_dropped + io_there.stats().admin_dropped, 0);
}

fn namespace_that_other_nodes_alone_have_is_commanded_and_not_made<R: Host>() {
    let (runtime, network) = (R::default(), MemoryNetwork::new());
    let node = |id: &str| {
        let admin = Admin::without_auth().server_id(id);
        let io = Io::builder().cluster(network.bus()).admin(admin).build();
        (TestLink::<R>::new(&io), io)
    };
    let ((here, io), (there, io_there)) = (node("here"), node("there"));
    serve(&runtime, &io_there, "/there");
    until("both nodes", || io.stats().nodes == 1 && io_there.stats().nodes == 1);
    let mut client = now(there.connect("/there")).unwrap();
    let id = client.id().to_string();
    let mut page = now(here.connect("/admin")).unwrap();
    shown(&mut page, "all_sockets", |_| true);
    let moved = |room: &'static str| {
        let id = id.clone();
        move |arguments: &[Json]| arguments[1] == room && arguments[2] == *id
    };
    now(page.emit("join", &("/there", "room", &id))).unwrap();
    assert_eq!(shown(&mut page, "room_joined", moved("room"))[0], "/there");
    now(page.emit("emit", &("/there", "room", "hello", 1))).unwrap();
    assert_eq!(arguments(&now(client.recv()).unwrap()), [json!("hello"), json!(1)]);
    now(page.emit("leave", &("/there", "room"))).unwrap();
    shown(&mut page, "room_left", moved("room"));
    now(page.emit("_disconnect", &("/there", true, &id))).unwrap();
    shown(&mut page, "socket_disconnected", |socket| socket[1] == *id);
    assert!(now(client.recv()).is_none());
    // No client may connect to it on the node of the page.
    assert!(io.find("/there").is_none());
    assert_eq!(refusal(now(here.connect("/there"))), "Invalid namespace");
}

fn data_that_are_null_are_told_as_an_empty_object<R: Host>() {
    let network = MemoryNetwork::new();
    let node = || {
        let io = Io::builder().cluster(network.bus()).build();
        let clients = io.namespace("/").authorize(|_| async { Ok(None::<u8>) }).share_data();
        R::default().spawn(async move {
            clients.serve(|mut socket| async move { while socket.recv().await.is_some() {} }).await;
        });
        (TestLink::<R>::new(&io), io)
    };
    let ((_here, io), (there, io_there)) = (node(), node());
    until("both nodes", || io.stats().nodes == 1 && io_there.stats().nodes == 1);
    let _client = now(there.connect("/")).unwrap();
    let fetched = now(io.broadcast().fetch_sockets());
    let [socket] = &fetched.sockets[..] else { panic!("{fetched:?}") };
    assert_eq!(socket.data::<Json>().unwrap(), json!({}));
    assert_eq!(socket.data::<Option<u8>>().unwrap(), None);
    socket.data::<()>().unwrap();
    assert!(socket.data::<u8>().is_err());
}

fn commands_of_another_shape_are_ignored<R: Host>() {
    let io = Io::builder().admin(Admin::without_auth().mode(Mode::Production)).build();
    serve(&R::default(), &io, "/");
    let link = TestLink::<R>::new(&io);
    let mut client = now(link.connect("/")).unwrap();
    let mut page = now(link.connect("/admin")).unwrap();
    for (name, arguments) in [
        ("join", json!([])),
        ("join", json!([1, "room"])),
        ("join", json!(["/"])),
        ("join", json!(["/", { "a": 1 }])),
        ("join", json!(["/", "room", 7])),
        ("leave", json!([null, null])),
        ("_disconnect", json!(["/"])),
        ("_disconnect", json!(["/", "yes"])),
        ("_disconnect", json!(["/unknown", true])),
        ("emit", json!(["/", null])),
        ("emit", json!(["/", null, 7])),
        ("emit", json!(["/", 7, "hello"])),
        // Official clients would close the connection.
        ("emit", json!(["/", null, "disconnect"])),
        ("unknown", json!(["/"])),
    ] {
        let arguments: Vec<Json> = serde_json::from_value(arguments).unwrap();
        match &arguments[..] {
            [] => now(page.emit(name, &())).unwrap(),
            [a] => now(page.emit(name, &(a,))).unwrap(),
            [a, b] => now(page.emit(name, &(a, b))).unwrap(),
            [a, b, c, ..] => now(page.emit(name, &(a, b, c))).unwrap(),
        }
    }
    now(page.emit("emit", &("/", None::<&str>, "last", 1))).unwrap();
    let event = now(client.recv()).unwrap();
    assert_eq!(arguments(&event), [json!("last"), json!(1)]);
    assert!(io.namespace("/").rooms().is_empty());
    assert!(io.find("/unknown").is_none());
    // The page is still there.
    shown(&mut page, "server_stats", |_| true);
}

fn wrong_passwords_are_refused_and_then_not_verified<R: Host>() {
    let admin = Admin::basic_auth(ADMIN, ADMIN_HASH).unwrap();
    let link = TestLink::<R>::new(&Io::builder().admin(admin).build());
    // As the reference's, which ends on the first of these.
    for auth in [json!({ "username": ADMIN }), json!({ "username": 7, "password": {} })] {
        let refused = refusal(now(link.connect_with("/admin", &auth)));
        assert_eq!(refused, "invalid credentials", "{auth}");
    }
    let mut page = now(link.connect_with("/admin", &auth("correctPassword"))).unwrap();
    let session: String = now(page.recv()).unwrap().data().unwrap();
    for attempt in 0..5 {
        let refused = refusal(now(link.connect_with("/admin", &auth("wrong"))));
        assert_eq!(refused, "invalid credentials", "attempt {attempt}");
    }
    let refused = refusal(now(link.connect_with("/admin", &auth("correctPassword"))));
    assert_eq!(refused, "too many attempts, try again later");
    let again = json!({ "sessionId": session });
    now(link.connect_with("/admin", &again)).unwrap();
}

fn events_of_clients_that_may_come_back_are_shown_without_their_offset<R: Host>() {
    let io = Io::builder().recovery(RecoveryConfig::default()).admin(Admin::without_auth());
    let io = io.build();
    serve(&R::default(), &io, "/");
    let link = TestLink::<R>::new(&io);
    let mut page = now(link.connect("/admin")).unwrap();
    shown(&mut page, "all_sockets", |_| true);
    let client = now(link.connect("/")).unwrap();
    now(io.emit("said", &("hello", 1))).unwrap();
    let sent = shown(&mut page, "event_sent", |_| true);
    assert_eq!(sent[..3], [json!("/"), json!(client.id().as_str()), json!(["said", "hello", 1])]);
    let socket = io.namespace("/").socket(client.id()).unwrap();
    now(socket.emit("alone", &())).unwrap();
    assert_eq!(shown(&mut page, "event_sent", |_| true)[2], json!(["alone"]));
    now(client.emit_with_ack::<String, _>("settle", &())).unwrap();
    assert_eq!(shown(&mut page, "event_received", |_| true)[2], json!(["settle"]));
    // What it was sent is an acknowledgement, and no event.
    now(socket.emit("behind", &())).unwrap();
    assert_eq!(shown(&mut page, "event_sent", |_| true)[2], json!(["behind"]));
}

fn second_server_goes_on_with_the_pages<R: Host>() {
    let io = Io::builder().admin(Admin::without_auth()).build();
    serve(&R::default(), &io, "/");
    let (first, second) = (TestLink::<R>::new(&io), TestLink::<R>::new(&io));
    let mut page = now(second.connect("/admin")).unwrap();
    shown(&mut page, "all_sockets", |_| true);
    now(first.server().close());
    let client = now(second.connect("/")).unwrap();
    let id = client.id().as_str();
    shown(&mut page, "socket_connected", |socket| socket[0]["id"] == *id);
    now(second.server().close());
    // All servers have closed, and another starts.
    let third = TestLink::<R>::new(&io);
    let mut page = now(third.connect("/admin")).unwrap();
    let stats = shown(&mut page, "server_stats", |_| true).remove(0);
    assert_eq!(stats["clientsCount"], 1);
}

fn node_that_does_not_respond_costs_a_page_nothing_else<R: Host>() {
    let io = Io::builder().cluster(Mute::taking(true)).admin(Admin::without_auth()).build();
    serve(&R::default(), &io, "/");
    let link = TestLink::<R>::new(&io);
    until("the other node", || io.stats().nodes == 1);
    let client = now(link.connect("/")).unwrap();
    let mut page = now(link.connect("/admin")).unwrap();
    let sockets = shown(&mut page, "all_sockets", |_| true).remove(0);
    let sockets = sockets.as_array().unwrap();
    assert!(sockets.iter().any(|socket| socket["id"] == *client.id().as_str()), "{sockets:?}");
    now(page.emit("join", &("/", "room"))).unwrap();
    shown(&mut page, "room_joined", |room| room[1] == "room");
}

fn changes_leave_room_for_the_application_on_a_bus_that_stands_still<R: Host>() {
    const EVENTS: u32 = 64;
    let builder = Io::builder().cluster(Mute::taking(false)).max_cluster_queue(64 << 10);
    let io = builder.admin(Admin::without_auth()).build();
    serve(&R::default(), &io, "/");
    let link = TestLink::<R>::new(&io);
    until("the other node", || io.stats().nodes == 1);
    let client = now(link.connect("/")).unwrap();
    let mut page = now(link.connect("/admin")).unwrap();
    for n in 0..EVENTS {
        now(client.emit("say", &(n, "x".repeat(4096)))).unwrap();
    }
    // The page of this node is told of each.
    for n in 0..EVENTS {
        shown(&mut page, "event_received", |event| event[2][1] == n);
    }
    let delivered = now(io.emit("news", &"y".repeat(4096))).unwrap();
    assert_eq!(delivered.remote, Ok(1));
    let stats = io.stats();
    assert!(stats.admin_dropped > 0 && stats.cluster_dropped == 0, "{stats:?}");
}

fn pages_have_their_namespace_whatever_its_name<R: Host>() {
    let admin = Admin::without_auth().namespace("ops").read_only(true);
    let io = Io::builder().admin(admin).build();
    let link = TestLink::<R>::new(&io);
    assert_eq!(refusal(now(link.connect("/admin"))), "Invalid namespace");
    let mut page = now(link.connect("/ops")).unwrap();
    let config = shown(&mut page, "config", |_| true).remove(0);
    assert_eq!(config, json!({ "supportedFeatures": ["AGGREGATED_EVENTS", "ALL_EVENTS"] }));
}

/// A bus that knows another node, which says nothing.
struct Mute {
    has_told: bool,
    takes: bool,
}

impl Mute {
    /// Takes messages, or none.
    const fn taking(takes: bool) -> Self {
        Self { has_told: false, takes }
    }
}

impl Bus for Mute {
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<()> {
        if self.takes { Poll::Ready(()) } else { Poll::Pending }
    }

    fn send(&mut self, _: Message) {}

    fn poll_event(&mut self, _: &mut Context<'_>) -> Poll<BusEvent> {
        if mem::replace(&mut self.has_told, true) {
            return Poll::Pending;
        }
        Poll::Ready(BusEvent::Joined(NodeId(7)))
    }
}
