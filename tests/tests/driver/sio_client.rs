//! The client of Socket.IO with our own server, on real sockets.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use enginewire_driver::{
    Reconnect, Server, ServerBuilder, TransportKind,
    socketio::{
        AckError, Asking, ClientBuilder, ClientError, ClientSocket, ConnectError, DisconnectReason,
        EmitError, Io, Offline, RecoveryConfig, Socket, Update, Value,
    },
};
use serde::{Deserialize, Serialize};

use crate::{
    Host,
    client::{soon, until},
    sockets::run,
};

on_every_runtime!(
    events_and_acknowledgements_go_both_ways_on_each_transport,
    binary_data_and_enums_go_both_ways,
    namespace_of_the_url_is_the_sockets,
    refused_client_is_told_why_and_may_try_again,
    client_waits_no_longer_for_a_response_than_it_may,
    server_that_is_not_there_is_named,
    client_comes_back_with_what_was_emitted_meanwhile,
    events_offline_are_refused_where_that_is_asked_for,
    recovered_client_misses_nothing,
    token_is_asked_for_at_each_connection,
    disconnected_client_stays_so,
    server_may_disconnect_a_client,
    dropped_client_leaves_nothing,
    closed_client_tells_what_it_has_not_sent,
    acknowledgement_fails_at_its_deadline_and_with_the_connection,
    event_with_retries_survives_a_restart,
    senders_wait_for_room_in_their_order,
    handles_of_many_tasks_share_one_connection,
    events_of_a_burst_come_in_order,
    handles_of_a_dropped_socket_wait_for_nothing,
    client_connects_after_an_attempt_that_failed,
    tasks_that_wait_for_a_server_are_not_woken_without_end,
    token_of_a_lost_connection_is_not_used_for_the_next,
    deadline_holds_for_an_event_that_finds_no_room,
);

/// A server that answers events with what came, and acknowledges them with their arguments.
fn serve<R: Host>(io: &Io, address: &str) -> Server {
    run::<R, _>(io, "/", echo);
    bind::<R>(io, address)
}

fn bind<R: Host>(io: &Io, address: &str) -> Server {
    let mut bound = None;
    until("the address", || {
        let builder = ServerBuilder::on(R::default()).socketio(io);
        bound = soon("a listener", builder.bind(address)).ok();
        bound.is_some()
    });
    bound.unwrap()
}

async fn echo(mut socket: Socket) {
    while let Some(mut event) = socket.recv().await {
        let ack = event.ack();
        match event.name() {
            "unanswered" => drop(ack),
            "leave" => return,
            _ if ack.is_expected() => drop(ack.send(&event.data::<Value>().unwrap()).await),
            _ => drop(socket.forward(&event).await),
        }
    }
}

fn url(address: SocketAddr) -> String {
    format!("http://{address}")
}

fn builder<R: Host>(address: SocketAddr, namespace: &str) -> ClientBuilder<R> {
    let quick = Reconnect::default().with_delay(Duration::from_millis(20));
    ClientBuilder::on(R::default(), &format!("{}{namespace}", url(address)))
        .reconnect(quick.with_max_delay(Duration::from_millis(50)))
}

fn connect<R: Host>(address: SocketAddr) -> ClientSocket {
    soon("a connection", builder::<R>(address, "").connect()).unwrap()
}

/// Returns the next update that fits.
fn wait_for(socket: &mut ClientSocket, what: &str, fits: impl Fn(&Update) -> bool) -> Update {
    loop {
        let update = soon(what, socket.next()).unwrap_or_else(|| panic!("{what}: none comes"));
        if fits(&update) {
            return update;
        }
    }
}

fn events_and_acknowledgements_go_both_ways_on_each_transport<R: Host>() {
    use TransportKind::{Polling, WebSocket};
    let io = Io::new();
    let server = serve::<R>(&io, "127.0.0.1:0");
    for transports in [vec![Polling], vec![WebSocket], vec![Polling, WebSocket]] {
        let last = *transports.last().unwrap();
        let client = builder::<R>(server.local_addr(), "").transports(transports);
        let mut socket = soon("a connection", client.connect()).unwrap();
        soon("an event", socket.emit("a", &(1, "two"))).unwrap();
        let event = soon("its echo", socket.recv()).unwrap();
        assert_eq!((event.name(), event.data().unwrap()), ("a", (1, "two")));
        let asked = socket.emit_with_ack::<String, _>("ask", "three");
        assert_eq!(soon("an answer", asked).unwrap(), "three");
        until("the upgrade", || socket.transport() == Some(last));

        let id = socket.id().unwrap();
        let theirs = io.namespace("/").socket(&id).unwrap();
        let asked = theirs.emit_with_ack::<u32, _>("age?", &());
        R::default().spawn(async move {
            let mut event = socket.recv().await.unwrap();
            assert_eq!(event.name(), "age?");
            event.ack().send(&42).await.unwrap();
            // Until the other side is done with it.
            while socket.recv().await.is_some() {}
        });
        assert_eq!(soon("an answer", asked).unwrap(), 42);
        theirs.disconnect();
    }
}

fn binary_data_and_enums_go_both_ways<R: Host>() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    enum Event {
        #[serde(rename = "move")]
        Move(f32, f32),
        #[serde(rename = "say")]
        Say { text: String },
    }
    let server = serve::<R>(&Io::new(), "127.0.0.1:0");
    let mut socket = connect::<R>(server.local_addr());
    let bytes = Value::Binary(vec![0, 1, 2, 255].into());
    soon("an event", socket.emit("data", &("a", &bytes))).unwrap();
    let event = soon("its echo", socket.recv()).unwrap();
    assert_eq!(event.data::<(String, Value)>().unwrap(), ("a".into(), bytes));
    for event in [Event::Move(1.0, 2.5), Event::Say { text: "hi".into() }] {
        soon("an event", socket.emit_event(&event)).unwrap();
        assert_eq!(soon("its echo", socket.recv_as::<Event>()).unwrap().unwrap(), event);
    }
    soon("an event", socket.emit("shout", &())).unwrap();
    let unknown = soon("its echo", socket.recv_as::<Event>()).unwrap().unwrap_err();
    assert_eq!(unknown.to_string(), "unknown event `shout`");

    const ADD: Asking<(u32, u32), u32> = Asking::new("add");
    // The server answers with the first argument.
    assert_eq!(soon("an answer", socket.emit_with_ack(ADD, &(3, 4))).unwrap(), 3);
}

fn namespace_of_the_url_is_the_sockets<R: Host>() {
    let io = Io::new();
    for namespace in ["/", "/chat"] {
        run::<R, _>(&io, namespace, |socket| async move {
            socket.emit("at", socket.namespace().name()).await.unwrap();
            echo(socket).await;
        });
    }
    let server = bind::<R>(&io, "127.0.0.1:0");
    let client = builder::<R>(server.local_addr(), "/chat").build().unwrap();
    let mut chat = soon("a connection", client.connect()).unwrap();
    assert_eq!(chat.namespace(), "/chat");
    let mut root = client.socket("").open().unwrap();
    for (socket, namespace) in [(&mut chat, "/chat"), (&mut root, "/")] {
        let event = soon("an event", socket.recv()).unwrap();
        assert_eq!((event.name(), event.data().unwrap()), ("at", namespace));
    }
    assert_eq!(server.sessions(), 1, "they share a connection");
    let taken = client.socket("chat").open().unwrap_err();
    assert!(matches!(taken, ClientError::NamespaceTaken { .. }));
    drop(chat);
    let mut again = client.socket("chat").open().unwrap();
    assert_eq!(soon("an event", again.recv()).unwrap().name(), "at");
}

fn refused_client_is_told_why_and_may_try_again<R: Host>() {
    let io = Io::new();
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    let namespace = io.namespace("/").authorize(move |request| {
        let count = counter.fetch_add(1, Ordering::SeqCst);
        let token = request.auth::<Token>().map(|auth| auth.token);
        async move {
            match (count, token.as_deref()) {
                (1.., Ok("secret")) => Ok(()),
                _ => Err(ConnectError::new("not allowed").with_data(&7)),
            }
        }
    });
    R::default().spawn(async move {
        namespace.serve(|mut socket| async move { while socket.recv().await.is_some() {} }).await
    });
    let server = bind::<R>(&io, "127.0.0.1:0");
    let client = builder::<R>(server.local_addr(), "").build().unwrap();
    let auth = Token { token: "secret".into() };
    let refused = soon("a response", client.socket("/").auth(&auth).connect()).unwrap_err();
    assert_eq!(refused.to_string(), "refused by the server: not allowed");
    let ClientError::Refused(error) = refused else { panic!() };
    assert_eq!(error.data().unwrap().decode::<u8>().unwrap(), 7);

    let mut socket = client.socket("/").auth(&Token { token: "wrong".into() }).open().unwrap();
    wait_for(&mut socket, "a refusal", |update| matches!(update, Update::Refused(_)));
    assert!(soon("the end", socket.next()).is_none());
    assert!(matches!(socket.end_reason(), Some(ClientError::Refused(_))));
    drop(socket);
    let socket = soon("a response", client.socket("/").auth(&auth).connect()).unwrap();
    assert!(socket.is_connected());
    assert_eq!(asked.load(Ordering::SeqCst), 3);
}

#[derive(Serialize, Deserialize)]
struct Token {
    token: String,
}

fn client_waits_no_longer_for_a_response_than_it_may<R: Host>() {
    let io = Io::new();
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    io.namespace("/").authorize(move |_| {
        let count = counter.fetch_add(1, Ordering::SeqCst);
        async move {
            match count {
                0 => std::future::pending().await,
                _ => Ok(()),
            }
        }
    });
    let server = bind::<R>(&io, "127.0.0.1:0");
    let client = builder::<R>(server.local_addr(), "").response_timeout(Duration::from_millis(50));
    let mut socket = client.build().unwrap().socket("/").open().unwrap();
    wait_for(&mut socket, "the end of the session", |update| {
        matches!(update, Update::Waiting { .. })
    });
    wait_for(&mut socket, "a response", |update| matches!(update, Update::Connected { .. }));
    assert!(asked.load(Ordering::SeqCst) >= 2);
}

fn server_that_is_not_there_is_named<R: Host>() {
    let server = bind::<R>(&Io::new(), "127.0.0.1:0");
    let address = server.local_addr();
    // Its path is another.
    let client = builder::<R>(address, "").path("/elsewhere/");
    let text = soon("a response", client.connect()).unwrap_err().to_string();
    assert!(text.contains("404") && text.contains("is the path right"), "{text}");
    drop(server);
    let mut text = String::new();
    until("its end", || {
        text = soon("a failure", builder::<R>(address, "").connect()).unwrap_err().to_string();
        text.contains("does the server listen there?")
    });
    assert!(text.contains(&address.to_string()), "{text}");
    let error = builder::<R>(address, "").header("a\nb", "c").build().unwrap_err();
    assert!(matches!(error, ClientError::Connect(_)), "{error}");
}

fn client_comes_back_with_what_was_emitted_meanwhile<R: Host>() {
    let server = serve::<R>(&Io::new(), "127.0.0.1:0");
    let address = server.local_addr();
    let mut socket = connect::<R>(address);
    drop(server);
    let told = wait_for(&mut socket, "the loss", |it| matches!(it, Update::Disconnected { .. }));
    let Update::Disconnected { reason, .. } = told else { unreachable!() };
    assert!(reason.is_recoverable(), "{reason}");
    wait_for(&mut socket, "an attempt", |it| matches!(it, Update::Failed(_)));
    for n in 0..3 {
        soon("room", socket.emit("n", &n)).unwrap();
    }
    let _server = serve::<R>(&Io::new(), &address.to_string());
    wait_for(&mut socket, "a connection", |it| matches!(it, Update::Connected { .. }));
    for n in 0..3 {
        assert_eq!(soon("an echo", socket.recv()).unwrap().data::<u32>().unwrap(), n);
    }
}

fn events_offline_are_refused_where_that_is_asked_for<R: Host>() {
    let server = serve::<R>(&Io::new(), "127.0.0.1:0");
    let client = builder::<R>(server.local_addr(), "").offline(Offline::Refuse);
    let mut socket = soon("a connection", client.connect()).unwrap();
    drop(server);
    wait_for(&mut socket, "the loss", |it| matches!(it, Update::Disconnected { .. }));
    assert_eq!(soon("an answer", socket.emit("a", &())), Err(EmitError::Disconnected));
}

fn recovered_client_misses_nothing<R: Host>() {
    let io = Io::builder().recovery(RecoveryConfig::default()).build();
    let server = serve::<R>(&io, "127.0.0.1:0");
    // Not before it has missed something.
    let slow = Reconnect::default().with_delay(Duration::from_secs(4));
    let client = builder::<R>(server.local_addr(), "").reconnect(slow);
    let mut socket = soon("a connection", client.connect()).unwrap();
    let id = socket.id().unwrap();
    let theirs = io.namespace("/").socket(&id).unwrap();
    theirs.join("room");
    soon("an event", theirs.emit("first", &())).unwrap();
    soon("an event", socket.recv()).unwrap();
    // The server ends the session, as a proxy might.
    server.handle().get(server.handle().senders()[0].id()).unwrap().abort();
    wait_for(&mut socket, "the loss", |it| matches!(it, Update::Disconnected { .. }));
    until("the loss on the server", || io.namespace("/").is_empty());
    soon("a broadcast", io.to("room").emit("missed", &1)).unwrap();
    let event = wait_for(&mut socket, "an event", |it| matches!(it, Update::Event(_)));
    let Update::Event(event) = event else { unreachable!() };
    assert_eq!((event.name(), event.data().unwrap()), ("missed", 1));
    let told = wait_for(&mut socket, "a connection", |it| matches!(it, Update::Connected { .. }));
    assert!(matches!(told, Update::Connected { id: again, recovered: true } if again == id));
}

fn token_is_asked_for_at_each_connection<R: Host>() {
    let server = serve_counts::<R>();
    let client = builder::<R>(server.local_addr(), "").build().unwrap();
    let count = AtomicUsize::new(0);
    let auth = move || {
        let count = count.fetch_add(1, Ordering::SeqCst);
        async move { Count { count: count.try_into().unwrap() } }
    };
    let mut socket = client.socket("/").auth_with(auth).open().unwrap();
    for n in 0..3 {
        let event = soon("an event", socket.recv()).unwrap();
        assert_eq!(event.data::<u32>().unwrap(), n);
        server.handle().get(server.handle().senders()[0].id()).unwrap().abort();
    }
}

#[derive(Serialize, Deserialize)]
struct Count {
    count: u32,
}

/// A server that tells each client the number that it gave to authenticate with.
fn serve_counts<R: Host>() -> Server {
    let io = Io::new();
    let namespace = io.namespace("/").authorize(|request| {
        let token: Result<u32, _> = request.auth::<Count>().map(|auth| auth.count);
        async move { token.map_err(|error| error.to_string().into()) }
    });
    R::default().spawn(async move {
        namespace
            .serve(|mut socket| async move {
                socket.emit("count", socket.data()).await.ok();
                while socket.recv().await.is_some() {}
            })
            .await
    });
    bind::<R>(&io, "127.0.0.1:0")
}

fn disconnected_client_stays_so<R: Host>() {
    let io = Io::new();
    let server = serve::<R>(&io, "127.0.0.1:0");
    let mut socket = connect::<R>(server.local_addr());
    soon("an event", socket.emit("last", &())).unwrap();
    assert_eq!(socket.disconnect(), 0);
    let told = wait_for(&mut socket, "the end", |it| matches!(it, Update::Disconnected { .. }));
    let Update::Disconnected { reason, .. } = told else { unreachable!() };
    assert_eq!(reason, DisconnectReason::ClientLeft);
    assert!(soon("the end", socket.next()).is_none());
    assert_eq!(soon("an answer", socket.emit("a", &())), Err(EmitError::Disconnected));
    assert!(matches!(soon("the end", socket.connected()), Err(ClientError::Closed)));
    until("the end on the server", || server.sessions() == 0 && io.namespace("/").is_empty());
    socket.connect();
    soon("a connection", socket.connected()).unwrap();
    soon("an event", socket.emit("a", &())).unwrap();
    assert_eq!(soon("its echo", socket.recv()).unwrap().name(), "a");
}

fn server_may_disconnect_a_client<R: Host>() {
    let io = Io::new();
    let server = serve::<R>(&io, "127.0.0.1:0");
    let mut socket = connect::<R>(server.local_addr());
    soon("an event", socket.emit("leave", &())).unwrap();
    assert!(soon("the end", socket.recv()).is_none());
    assert!(matches!(socket.end_reason(), Some(ClientError::ServerLeft)));
    until("the end of the session", || server.sessions() == 0);
}

fn dropped_client_leaves_nothing<R: Host>() {
    let io = Io::new();
    let server = serve::<R>(&io, "127.0.0.1:0");
    let client = builder::<R>(server.local_addr(), "").build().unwrap();
    let socket = soon("a connection", client.connect()).unwrap();
    let handle = socket.handle();
    soon("an event", handle.emit("last", &())).unwrap();
    drop(socket);
    assert_eq!(soon("an answer", handle.emit("a", &())), Err(EmitError::Disconnected));
    until("the end of the session", || server.sessions() == 0);
    drop((client, handle));
    until("the end of the connections", || server.connections() == 0);
}

fn closed_client_tells_what_it_has_not_sent<R: Host>() {
    let server = serve::<R>(&Io::new(), "127.0.0.1:0");
    let client = builder::<R>(server.local_addr(), "").build().unwrap();
    let mut socket = soon("a connection", client.connect()).unwrap();
    drop(server);
    wait_for(&mut socket, "the loss", |it| matches!(it, Update::Disconnected { .. }));
    for _ in 0..3 {
        soon("room", socket.emit("a", &())).unwrap();
    }
    assert_eq!(soon("the end", client.close()), 3);
    assert_eq!(soon("the end", client.close()), 3, "as often as it is asked");
    assert!(soon("the end", socket.recv()).is_none());
    assert!(matches!(client.open(), Err(ClientError::Closed)));
}

fn acknowledgement_fails_at_its_deadline_and_with_the_connection<R: Host>() {
    let server = serve::<R>(&Io::new(), "127.0.0.1:0");
    let mut socket = connect::<R>(server.local_addr());
    let short = socket.timeout(Duration::from_millis(20));
    let asked = soon("a deadline", short.emit_with_ack::<(), _>("unanswered", &()));
    assert!(matches!(asked, Err(AckError::Timeout)), "{asked:?}");
    let handle = socket.handle();
    let (sender, outcome) = std::sync::mpsc::channel();
    R::default().spawn(async move {
        let asked = handle.timeout(Duration::MAX).emit_with_ack::<(), _>("unanswered", &()).await;
        sender.send(asked).unwrap();
    });
    // Behind it.
    assert_eq!(soon("an answer", socket.emit_with_ack::<u32, _>("a", &1)).unwrap(), 1);
    drop(server);
    wait_for(&mut socket, "the loss", |it| matches!(it, Update::Disconnected { .. }));
    let asked = outcome.recv().unwrap();
    assert!(matches!(asked, Err(AckError::Disconnected(_))), "{asked:?}");
}

fn event_with_retries_survives_a_restart<R: Host>() {
    let server = serve::<R>(&Io::new(), "127.0.0.1:0");
    let address = server.local_addr();
    let mut socket = connect::<R>(address);
    drop(server);
    wait_for(&mut socket, "the loss", |it| matches!(it, Update::Disconnected { .. }));
    let asked: Vec<_> =
        (0..3).map(|n| socket.retries(2).emit_with_ack::<u32, _>("n", &n)).collect();
    let (sender, outcome) = std::sync::mpsc::channel();
    R::default().spawn(async move {
        for asked in asked {
            sender.send(asked.await).unwrap();
        }
    });
    let _server = serve::<R>(&Io::new(), &address.to_string());
    for n in 0..3 {
        assert_eq!(outcome.recv().unwrap().unwrap(), n);
    }
}

fn senders_wait_for_room_in_their_order<R: Host>() {
    let server = serve::<R>(&Io::new(), "127.0.0.1:0");
    let address = server.local_addr();
    let client = builder::<R>(address, "").max_offline(2000);
    let mut socket = soon("a connection", client.connect()).unwrap();
    drop(server);
    wait_for(&mut socket, "the loss", |it| matches!(it, Update::Disconnected { .. }));
    let payload = "x".repeat(500);
    let handle = socket.handle();
    while handle.try_emit("n", &(0, &payload)).is_ok() {}
    let sent = Arc::new(AtomicUsize::new(0));
    let (handle, counter) = (socket.handle(), Arc::clone(&sent));
    R::default().spawn(async move {
        for n in 1..20 {
            handle.emit("n", &(n, &payload)).await.unwrap();
            counter.fetch_add(1, Ordering::SeqCst);
        }
    });
    assert_eq!(sent.load(Ordering::SeqCst), 0);
    let _server = serve::<R>(&Io::new(), &address.to_string());
    let mut next = 0;
    while next < 20 {
        let event = soon("an echo", socket.recv()).unwrap();
        let (n, _) = event.data::<(u32, String)>().unwrap();
        assert!(n == next || n + 1 == next, "{n} behind {next}");
        next = n + 1;
    }
    until("the last", || sent.load(Ordering::SeqCst) == 19);
}

fn handles_of_many_tasks_share_one_connection<R: Host>() {
    let server = serve::<R>(&Io::new(), "127.0.0.1:0");
    let socket = connect::<R>(server.local_addr());
    let (sender, answers) = std::sync::mpsc::channel();
    for task in 0..10_u32 {
        let (handle, sender) = (socket.handle(), sender.clone());
        R::default().spawn(async move {
            for n in 0..100 {
                let asked = handle.emit_with_ack::<u32, _>("n", &(task * 1000 + n)).await;
                sender.send((task * 1000 + n, asked.unwrap())).unwrap();
            }
        });
    }
    for _ in 0..1000 {
        let (asked, answered) = answers.recv().unwrap();
        assert_eq!(asked, answered);
    }
    assert_eq!(server.sessions(), 1);
}

fn events_of_a_burst_come_in_order<R: Host>() {
    let server = serve::<R>(&Io::new(), "127.0.0.1:0");
    let mut socket = connect::<R>(server.local_addr());
    let handle = socket.handle();
    R::default().spawn(async move {
        for n in 0..5000_u32 {
            handle.emit("n", &n).await.unwrap();
        }
    });
    for n in 0..5000 {
        assert_eq!(soon("an echo", socket.recv()).unwrap().data::<u32>().unwrap(), n);
    }
}

fn handles_of_a_dropped_socket_wait_for_nothing<R: Host>() {
    let server = serve::<R>(&Io::new(), "127.0.0.1:0");
    let client = builder::<R>(server.local_addr(), "").max_offline(10).build().unwrap();
    let mut socket = soon("a connection", client.connect()).unwrap();
    drop(server);
    wait_for(&mut socket, "the loss", |it| matches!(it, Update::Disconnected { .. }));
    socket.try_emit("a", &()).unwrap();
    let (emits, connects) = (socket.handle(), socket.handle());
    let (sender, outcomes) = std::sync::mpsc::channel();
    let other = sender.clone();
    R::default().spawn(async move {
        sender.send(emits.emit("b", &()).await.is_err()).unwrap();
    });
    R::default().spawn(async move {
        other.send(connects.connected().await.is_err()).unwrap();
    });
    let late = socket.handle();
    drop(socket);
    assert!(outcomes.recv().unwrap() && outcomes.recv().unwrap());
    assert!(matches!(soon("an answer", late.connected()), Err(ClientError::Closed)));
}

fn client_connects_after_an_attempt_that_failed<R: Host>() {
    let server = serve::<R>(&Io::new(), "127.0.0.1:0");
    let address = server.local_addr();
    drop(server);
    let client = builder::<R>(address, "").build().unwrap();
    until("a failure", || soon("an outcome", client.connect()).is_err());
    let _server = serve::<R>(&Io::new(), &address.to_string());
    let mut connected = None;
    until("a connection", || {
        connected = soon("an outcome", client.connect()).ok();
        connected.is_some()
    });
}

/// Counts how often a task is woken.
struct Wakes(AtomicUsize);

impl std::task::Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn tasks_that_wait_for_a_server_are_not_woken_without_end<R: Host>() {
    let server = serve::<R>(&Io::new(), "127.0.0.1:0");
    let client = builder::<R>(server.local_addr(), "").max_offline(1000).build().unwrap();
    let mut socket = soon("a connection", client.connect()).unwrap();
    drop(server);
    wait_for(&mut socket, "the loss", |it| matches!(it, Update::Disconnected { .. }));
    socket.try_emit("a", &"x".repeat(300)).unwrap();
    // One that finds no room, although half of it is free.
    let large = "x".repeat(900);
    let (mut connected, mut emit) = (Box::pin(socket.connected()), socket.emit("b", &large));
    let wakes = Arc::new(Wakes(AtomicUsize::new(0)));
    let waker = std::task::Waker::from(Arc::clone(&wakes));
    let mut cx = std::task::Context::from_waker(&waker);
    // Each poll of one that wakes its own task would be followed by another.
    for _ in 0..1000 {
        assert!(connected.as_mut().poll(&mut cx).is_pending());
        assert!(std::pin::Pin::new(&mut emit).poll(&mut cx).is_pending());
    }
    let woken = wakes.0.load(Ordering::SeqCst);
    assert!(woken < 100, "woken {woken} times");
}

fn token_of_a_lost_connection_is_not_used_for_the_next<R: Host>() {
    let server = serve_counts::<R>();
    let client = builder::<R>(server.local_addr(), "").build().unwrap();
    let (count, slow) = (AtomicUsize::new(0), Arc::new(std::sync::Mutex::new(None)));
    let first = Arc::clone(&slow);
    let auth = move || {
        let count = count.fetch_add(1, Ordering::SeqCst);
        let first = Arc::clone(&first);
        async move {
            // The first token takes until its connection is lost, and is there before the second.
            std::future::poll_fn(|cx| match count {
                0 => {
                    *first.lock().unwrap() = Some(cx.waker().clone());
                    std::task::Poll::Pending
                }
                _ => std::task::Poll::Ready(()),
            })
            .await;
            Count { count: count.try_into().unwrap() }
        }
    };
    let mut socket = client.socket("/").auth_with(auth).open().unwrap();
    until("the first token", || slow.lock().unwrap().is_some());
    server.handle().get(server.handle().senders()[0].id()).unwrap().abort();
    let event = soon("an event", socket.recv()).unwrap();
    assert_eq!(event.data::<u32>().unwrap(), 1);
}

fn deadline_holds_for_an_event_that_finds_no_room<R: Host>() {
    let server = serve::<R>(&Io::new(), "127.0.0.1:0");
    let address = server.local_addr();
    let client = builder::<R>(address, "").max_offline(10).build().unwrap();
    let mut socket = soon("a connection", client.connect()).unwrap();
    drop(server);
    wait_for(&mut socket, "the loss", |it| matches!(it, Update::Disconnected { .. }));
    socket.try_emit("first", &()).unwrap();
    let short = socket.timeout(Duration::from_millis(20));
    let asked = soon("a deadline", short.emit_with_ack::<(), _>("late", &()));
    assert!(matches!(asked, Err(AckError::Timeout)), "{asked:?}");
    // It is not sent afterwards, and what waits behind it is.
    let next = socket.emit("next", &());
    let _server = serve::<R>(&Io::new(), &address.to_string());
    soon("room", next).unwrap();
    let names = [(); 2].map(|()| soon("an echo", socket.recv()).unwrap().name().to_owned());
    assert_eq!(names, ["first", "next"]);
}
