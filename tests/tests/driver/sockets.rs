//! Socket.IO: namespaces, sockets, broadcasts and acknowledgements, with raw clients.

use std::{
    collections::BTreeSet,
    io::{Read as _, Write as _},
    sync::{Arc, Mutex, mpsc},
    task::{Context, Waker},
    thread,
    time::Duration,
};

use ::tokio::sync::Semaphore;
use enginewire_driver::{
    Limits, Server, ServerBuilder,
    socketio::{AckError, ConnectError, DisconnectReason, Event, Io, Socket, SocketRef},
};

use crate::{
    Host,
    client::{Client, soon, until, within},
    serve, until_empty,
};

on_every_runtime!(
    events_come_in_order_and_are_acknowledged,
    server_that_cannot_be_bound_ends_no_namespace,
    nothing_is_lost_before_the_application_accepts,
    application_decides_who_connects,
    other_namespaces_go_on_while_one_decides,
    broadcasts_reach_rooms_and_nobody_else,
    broadcasts_of_many_tasks_come_in_one_order,
    acknowledgement_comes_or_fails,
    acknowledgements_of_a_broadcast_are_kept_whatever_the_others_do,
    task_that_panics_disconnects_its_socket_alone,
    payload_that_panics_harms_nobody,
    close_sends_what_is_queued_and_waits_for_tasks,
    namespaces_of_a_pattern_go_with_their_last_socket,
    slow_socket_is_disconnected_by_a_broadcast,
    rooms_are_known_until_the_socket_is_dropped,
    each_side_may_leave,
    flood_is_handled_in_order,
    long_flood_is_echoed_without_a_loss,
    namespace_that_nothing_accepts_gets_broadcasts,
    handle_without_data_is_one_of_any_socket,
    name_that_matches_a_pattern_is_authorized_as_such,
    one_serve_that_ends_leaves_another_alone,
    events_are_received_as_an_enum_or_named_in_the_error,
);

/// A server of `io`, whose raw clients know one path only.
pub(crate) fn serve_io<R: Host>(io: &Io) -> Server {
    serve::<R>(|builder| builder.socketio(io).path("/engine.io/"))
}

/// Runs `session` for the sockets of a namespace until the server closes.
pub(crate) fn run<R: Host, F>(
    io: &Io,
    namespace: &str,
    session: impl Fn(Socket) -> F + Send + Sync + 'static,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let namespace = io.namespace(namespace);
    let mut serving = Box::pin(async move { namespace.serve(session).await });
    // From here on no socket comes and goes unseen.
    let cx = &mut Context::from_waker(Waker::noop());
    assert!(serving.as_mut().poll(cx).is_pending());
    R::default().spawn(serving);
}

/// A client on a WebSocket that is connected to a namespace.
pub(crate) fn connect(server: &Server, namespace: &str) -> Client {
    let mut client = Client::open_websocket(server.local_addr());
    join(&mut client, namespace);
    client
}

/// Connects to one more namespace. Returns the id of the socket.
pub(crate) fn join(client: &mut Client, namespace: &str) -> String {
    let head = head(namespace);
    client.send(&format!("40{head}"));
    let text = client.text();
    assert!(text.starts_with(&format!("40{head}{{\"sid\":\"")), "{text}");
    text.split('"').nth(3).unwrap().to_owned()
}

fn head(namespace: &str) -> String {
    if namespace == "/" { String::new() } else { format!("{namespace},") }
}

/// Sends every event back, and acknowledges it with its arguments.
async fn echo(mut socket: Socket) {
    while let Some(mut event) = socket.recv().await {
        let ack = event.ack();
        if ack.is_expected() {
            let _ = ack.send(&event.data::<u64>().unwrap_or(0)).await;
        } else {
            let _ = socket.forward(&event).await;
        }
    }
}

fn events_come_in_order_and_are_acknowledged<R: Host>() {
    let io = Io::new();
    run::<R, _>(&io, "/", echo);
    run::<R, _>(&io, "/a", echo);
    let server = serve_io::<R>(&io);
    let mut client = connect(&server, "/");
    join(&mut client, "/a");
    client.send(r#"42["one",1]"#);
    client.send(r#"427["two",2]"#);
    client.send(r#"42/a,["three",3]"#);
    client.send(r#"42/a,8["four",4]"#);
    // Each socket's own are in order.
    let mut replies: Vec<_> = (0..4).map(|_| client.text()).collect();
    replies.sort_by_key(|reply| reply.contains("/a"));
    assert_eq!(replies, [r#"42["one",1]"#, "437[2]", r#"42/a,["three",3]"#, "43/a,8[4]"]);
    assert_eq!((io.namespace("/").len(), io.namespace("/a").len()), (1, 1));
    drop(client);
    until_empty(&server);
    until("an empty namespace", || io.namespace("/").is_empty());
}

fn server_that_cannot_be_bound_ends_no_namespace<R: Host>() {
    let io = Io::new();
    let sockets = sockets::<R>(&io);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let builder = ServerBuilder::on(R::default()).socketio(&io);
    assert!(soon("an error", builder.bind(&address)).is_err());
    let accepted = soon("no end", async {
        let clients = io.namespace("/other");
        let mut accept = std::pin::pin!(clients.accept());
        std::future::poll_fn(|cx| std::task::Poll::Ready(accept.as_mut().poll(cx))).await
    });
    assert!(accepted.is_pending());
    // The application tries another address.
    let server = serve_io::<R>(&io);
    let _client = connect(&server, "/");
    assert!(sockets.recv().is_ok());
}

fn nothing_is_lost_before_the_application_accepts<R: Host>() {
    let io = Io::new();
    let namespace = io.namespace("/");
    let server = serve_io::<R>(&io);
    let mut client = connect(&server, "/");
    client.send(r#"42["early",1]"#);
    let mut socket = soon("a socket", namespace.accept()).unwrap();
    let event = soon("an event", socket.recv()).unwrap();
    assert_eq!((event.name(), event.data::<u64>().unwrap()), ("early", 1));
    // Those that wait are served as well.
    let mut second = connect(&server, "/");
    second.send(r#"42["early",2]"#);
    run::<R, _>(&io, "/", echo);
    assert_eq!(second.text(), r#"42["early",2]"#);
    drop(socket);
    assert_eq!(client.text(), "41", "dropping a socket disconnects it");
}

/// What a client calls itself.
struct Name(String);

fn application_decides_who_connects<R: Host>() {
    let io = Io::new();
    let members = io.namespace("/members").authorize(|request| async move {
        #[derive(serde::Deserialize)]
        struct Auth {
            name: String,
        }
        let auth: Auth = request
            .auth()
            .map_err(|_| ConnectError::new("no name").with_data(&[1, 2].as_slice()))?;
        request.join(format!("user:{}", auth.name));
        Ok(Name(auth.name))
    });
    let greeter = members.clone();
    R::default().spawn(async move {
        let greet = |socket: Socket<Name>| async move {
            let _ = socket.emit("hello", &socket.data().0).await;
            socket.closed().await;
        };
        greeter.serve(greet).await;
    });
    let server = serve_io::<R>(&io);
    let mut client = Client::open_websocket(server.local_addr());
    client.send("40/members,{}");
    assert_eq!(client.text(), r#"44/members,{"message":"no name","data":[1,2]}"#);
    client.send("40/nope,");
    assert_eq!(client.text(), r#"44/nope,{"message":"Invalid namespace"}"#);
    client.send(r#"40/members,{"name":"ada"}"#);
    assert!(client.text().starts_with(r#"40/members,{"sid":"#));
    assert_eq!(client.text(), r#"42/members,["hello","ada"]"#);
    soon("a broadcast", members.to("user:ada").emit("news", &1)).unwrap();
    assert_eq!(client.text(), r#"42/members,["news",1]"#);
}

fn other_namespaces_go_on_while_one_decides<R: Host>() {
    let io = Io::new();
    let decided = Arc::new(Semaphore::new(0));
    let waits = Arc::clone(&decided);
    let slow = io.namespace("/slow").authorize(move |_| {
        let decided = Arc::clone(&waits);
        async move {
            decided.acquire().await.unwrap().forget();
            Ok(())
        }
    });
    run::<R, _>(&io, "/", echo);
    let server = serve_io::<R>(&io);
    let mut client = Client::open_websocket(server.local_addr());
    client.send("40/slow,");
    join(&mut client, "/");
    client.send(r#"42["a"]"#);
    assert_eq!(client.text(), r#"42["a"]"#);
    decided.add_permits(1);
    assert!(client.text().starts_with("40/slow,"));
    assert_eq!(slow.len(), 1);
    // A client that is gone before the decision leaves nothing behind.
    let mut hasty = Client::open_websocket(server.local_addr());
    hasty.send("40/slow,");
    drop((hasty, client));
    until_empty(&server);
}

/// Joins the rooms that it is told to.
async fn join_rooms(mut socket: Socket) {
    while let Some(mut event) = socket.recv().await {
        if let Ok(rooms) = event.data::<Vec<String>>() {
            socket.join(rooms);
        }
        let _ = event.ack().send(&()).await;
    }
}

/// A client that has joined rooms.
fn member(server: &Server, rooms: &str) -> Client {
    let mut client = connect(server, "/");
    client.send(&format!(r#"420["join",{rooms}]"#));
    assert_eq!(client.text(), "430[]");
    client
}

fn broadcasts_reach_rooms_and_nobody_else<R: Host>() {
    let io = Io::new();
    run::<R, _>(&io, "/", join_rooms);
    let server = serve_io::<R>(&io);
    let [mut both, mut left, mut right, mut none] =
        [r#"["l","r"]"#, r#"["l"]"#, r#"["r"]"#, "[]"].map(|rooms| member(&server, rooms));
    let namespace = io.namespace("/");
    let emit = |broadcast: enginewire_driver::socketio::Broadcast, n: u32| {
        soon("a broadcast", broadcast.emit("n", &n)).unwrap().sockets
    };
    assert_eq!(emit(namespace.broadcast(), 1), 4);
    assert_eq!(emit(namespace.to("l").to("r"), 2), 3);
    assert_eq!(emit(namespace.to(["l", "r"]).except("l"), 3), 1);
    assert_eq!(emit(namespace.except(vec!["l", "r"]), 4), 1);
    assert_eq!(emit(namespace.to("nobody"), 5), 0);
    assert_eq!(emit(namespace.broadcast(), 6), 4);
    let received = |client: &mut Client| {
        let texts = std::iter::from_fn(|| Some(client.text()));
        let mut numbers: Vec<_> =
            texts.map(|text| text.as_bytes()[7] - b'0').take_while(|&n| n != 6).collect();
        numbers.push(6);
        numbers
    };
    assert_eq!(received(&mut both), [1, 2, 6]);
    assert_eq!(received(&mut left), [1, 2, 6]);
    assert_eq!(received(&mut right), [1, 2, 3, 6]);
    assert_eq!(received(&mut none), [1, 4, 6]);
    assert_eq!(namespace.to("l").sockets().len(), 2);
    namespace.to("l").leave("l");
    assert_eq!(emit(namespace.to("l"), 7), 0);
}

fn broadcasts_of_many_tasks_come_in_one_order<R: Host>() {
    const EACH: u32 = 500;
    let io = Io::new();
    run::<R, _>(&io, "/", join_rooms);
    let server = serve_io::<R>(&io);
    let members: Vec<_> = (0..3).map(|_| connect(&server, "/")).collect();
    let speakers: Vec<_> = (0..4)
        .map(|speaker| {
            let namespace = io.namespace("/");
            thread::spawn(move || {
                for n in 0..EACH {
                    soon("a broadcast", namespace.emit("n", &(speaker, n))).unwrap();
                }
            })
        })
        .collect();
    let read = |mut client: Client| {
        thread::spawn(move || (0..4 * EACH).map(|_| client.text()).collect::<Vec<_>>())
    };
    let orders: BTreeSet<_> =
        members.into_iter().map(read).map(|reader| reader.join().unwrap()).collect();
    assert_eq!(orders.len(), 1, "all members have the same order");
    speakers.into_iter().for_each(|speaker| speaker.join().unwrap());
}

/// The sockets of `/`, given to the test.
pub(crate) fn sockets<R: Host>(io: &Io) -> mpsc::Receiver<SocketRef> {
    let (sender, sockets) = mpsc::channel();
    let sender = Mutex::new(sender);
    run::<R, _>(io, "/", move |mut socket| {
        let _ = sender.lock().unwrap().send((*socket).clone());
        async move { while socket.recv().await.is_some() {} }
    });
    sockets
}

fn acknowledgement_comes_or_fails<R: Host>() {
    let io = Io::builder().ack_timeout(Duration::from_millis(50)).build();
    let sockets = sockets::<R>(&io);
    let server = serve_io::<R>(&io);
    let mut client = connect(&server, "/");
    let socket = sockets.recv().unwrap();
    let asked = socket.timeout(Duration::MAX).emit_with_ack::<u64, _>("ask", &1);
    let answer = thread::spawn(move || {
        assert_eq!(client.text(), r#"420["ask",1]"#);
        client.send("430[42]");
        client
    });
    assert_eq!(soon("an answer", asked).unwrap(), 42);
    let mut client = answer.join().unwrap();
    // One that is forgotten leaves nothing; the next is not answered.
    drop(socket.emit_with_ack::<u64, _>("never sent", &2));
    let silence = soon("a timeout", socket.emit_with_ack::<u64, _>("ask", &3));
    assert!(matches!(silence, Err(AckError::Timeout)), "{silence:?}");
    assert_eq!(client.text(), r#"422["ask",3]"#);
    client.send("432[1]");
    // At once, and not at the deadline.
    let asked = socket.timeout(Duration::MAX).emit_with_ack::<u64, _>("ask", &4);
    let lost = thread::spawn(move || {
        assert_eq!(client.text(), r#"423["ask",4]"#);
        client.send("41");
    });
    let error = soon("the end", asked);
    let reason = DisconnectReason::ClientLeft;
    assert!(matches!(error, Err(AckError::Disconnected(r)) if r == reason), "{error:?}");
    lost.join().unwrap();
}

fn acknowledgements_of_a_broadcast_are_kept_whatever_the_others_do<R: Host>() {
    let io = Io::new();
    let sockets = sockets::<R>(&io);
    let server = serve_io::<R>(&io);
    let [mut answers, mut silent, mut leaves] = [(); 3].map(|()| connect(&server, "/"));
    drop((sockets.recv(), sockets.recv(), sockets.recv()));
    let asked = io.broadcast().timeout(Duration::from_secs(3)).emit_with_ack::<u64, _>("ask", &());
    assert_eq!(answers.text(), r#"420["ask"]"#);
    answers.send("430[7]");
    assert_eq!(leaves.text(), r#"420["ask"]"#);
    leaves.send("41");
    let all = soon("all answers", asked.all()).unwrap();
    assert_eq!(all.responses.iter().map(|(_, n)| *n).collect::<Vec<_>>(), [7]);
    let failed: Vec<_> = all.failed.iter().map(|(_, error)| error.to_string()).collect();
    assert_eq!(failed.len(), 2, "{failed:?}");
    assert!(failed[0].contains("client namespace disconnect"), "{failed:?}");
    assert!(failed[1].contains("in time"), "{failed:?}");
    assert_eq!(silent.text(), r#"420["ask"]"#);
    let nobody =
        soon("nothing", io.to("nobody").emit_with_ack::<u64, _>("ask", &()).all()).unwrap();
    assert!(nobody.responses.is_empty() && nobody.failed.is_empty());
}

fn task_that_panics_disconnects_its_socket_alone<R: Host>() {
    let io = Io::new();
    run::<R, _>(&io, "/fragile", |mut socket| async move {
        let event = socket.recv().await;
        assert!(event.is_none(), "as the test wants");
    });
    run::<R, _>(&io, "/", echo);
    let server = serve_io::<R>(&io);
    let mut client = connect(&server, "/");
    join(&mut client, "/fragile");
    client.send(r#"42/fragile,["x"]"#);
    assert_eq!(client.text(), "41/fragile,");
    client.send(r#"42["still here"]"#);
    assert_eq!(client.text(), r#"42["still here"]"#);
}

/// Cannot be serialized.
struct Panics;

impl serde::Serialize for Panics {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        panic!("as the test wants")
    }
}

fn payload_that_panics_harms_nobody<R: Host>() {
    let io = Io::new();
    run::<R, _>(&io, "/", |mut socket| async move {
        while let Some(event) = socket.recv().await {
            if event.name() == "panic" {
                let _ = socket.namespace().emit("n", &Panics).await;
            }
            let _ = socket.namespace().forward(&event).await;
        }
    });
    let server = serve_io::<R>(&io);
    let [mut victim, mut other] = [(); 2].map(|()| connect(&server, "/"));
    victim.send(r#"42["panic"]"#);
    assert_eq!(victim.text(), "41");
    other.send(r#"42["fine"]"#);
    assert_eq!(other.text(), r#"42["fine"]"#);
}

fn close_sends_what_is_queued_and_waits_for_tasks<R: Host>() {
    let io = Io::new();
    let reasons = Arc::new(Mutex::new(Vec::new()));
    let ended = Arc::clone(&reasons);
    let (sender, served) = mpsc::channel();
    let namespace = io.namespace("/");
    R::default().spawn(async move {
        let session = move |mut socket: Socket| {
            let ended = Arc::clone(&ended);
            async move {
                while socket.recv().await.is_some() {}
                ended.lock().unwrap().push(socket.reason());
            }
        };
        namespace.serve(session).await;
        sender.send(()).unwrap();
    });
    let server = serve_io::<R>(&io);
    let mut client = connect(&server, "/");
    soon("a broadcast", io.emit("bye", &1)).unwrap();
    let reader = thread::spawn(move || (client.text(), client.end()));
    soon("the end", server.close());
    assert_eq!(reader.join().unwrap(), (r#"42["bye",1]"#.to_owned(), true));
    served.recv_timeout(Duration::from_secs(20)).unwrap();
    assert_eq!(*reasons.lock().unwrap(), [Some(DisconnectReason::ServerClosing)]);
}

fn namespaces_of_a_pattern_go_with_their_last_socket<R: Host>() {
    let io = Io::new();
    let projects = io.namespaces("/project/{id}").unwrap();
    let serving = projects.clone();
    R::default().spawn(async move {
        let session = |mut socket: Socket| async move {
            let id = socket.param("id").unwrap().to_owned();
            let _ = socket.emit("project", &id).await;
            while socket.recv().await.is_some() {}
        };
        serving.serve(session).await;
    });
    let server = serve_io::<R>(&io);
    let mut client = connect(&server, "/project/7");
    assert_eq!(client.text(), r#"42/project/7,["project","7"]"#);
    join(&mut client, "/project/8");
    assert_eq!(client.text(), r#"42/project/8,["project","8"]"#);
    assert_eq!(projects.len(), 2);
    soon("a broadcast", projects.emit("all", &())).unwrap();
    let all = BTreeSet::from([client.text(), client.text()]);
    assert_eq!(
        all,
        [r#"42/project/7,["all"]"#, r#"42/project/8,["all"]"#].map(String::from).into()
    );
    client.send("41/project/7,");
    until("the end of the namespace", || io.find("/project/7").is_none());
    assert!(io.find("/project/8").is_some());
    client.send("40/project/a/b,");
    assert_eq!(client.text(), r#"44/project/a/b,{"message":"Invalid namespace"}"#);
}

fn slow_socket_is_disconnected_by_a_broadcast<R: Host>() {
    let io = Io::new();
    let sockets = sockets::<R>(&io);
    let server = serve::<R>(|builder| {
        let mut limits = Limits::default();
        limits.max_queued = 100_000;
        builder.socketio(&io).path("/engine.io/").limits(limits)
    });
    let slow = connect(&server, "/");
    let slow_socket = sockets.recv().unwrap();
    let mut quick = connect(&server, "/");
    let large = "x".repeat(90_000);
    let mut disconnected = 0;
    for _ in 0..1000 {
        disconnected += soon("a broadcast", io.emit("n", &large)).unwrap().disconnected;
        assert!(quick.text().len() > 90_000);
        if disconnected > 0 {
            break;
        }
    }
    assert_eq!(disconnected, 1);
    assert_eq!(soon("the end", slow_socket.closed()), DisconnectReason::Overflow);
    drop(slow);
}

fn rooms_are_known_until_the_socket_is_dropped<R: Host>() {
    let io = Io::new();
    let (sender, rooms) = mpsc::channel();
    let sender = Mutex::new(sender);
    run::<R, _>(&io, "/", move |mut socket| {
        let sender = sender.lock().unwrap().clone();
        async move {
            socket.join(["a", "b"]);
            let _ = socket.emit("ready", &()).await;
            while socket.recv().await.is_some() {}
            let mut rooms = socket.rooms();
            rooms.sort();
            sender.send(rooms).unwrap();
        }
    });
    let server = serve_io::<R>(&io);
    let mut client = connect(&server, "/");
    assert_eq!(client.text(), r#"42["ready"]"#);
    drop(client);
    assert_eq!(rooms.recv().unwrap(), ["a", "b"]);
    until("no members", || io.namespace("/").is_empty());
}

fn each_side_may_leave<R: Host>() {
    let io = Io::new();
    let sockets = sockets::<R>(&io);
    let server = serve_io::<R>(&io);
    let mut client = connect(&server, "/");
    let socket = sockets.recv().unwrap();
    assert!(socket.is_connected());
    socket.disconnect();
    assert_eq!(client.text(), "41");
    assert_eq!(soon("the end", socket.closed()), DisconnectReason::ServerLeft);
    assert!(soon("an error", socket.emit("late", &())).is_err());
    // The session goes on, and the client may come back on it.
    join(&mut client, "/");
    let socket = sockets.recv().unwrap();
    client.send("41");
    assert_eq!(soon("the end", socket.closed()), DisconnectReason::ClientLeft);
    join(&mut client, "/");
    let socket = sockets.recv().unwrap();
    soon("an event", socket.emit("last", &())).unwrap();
    socket.disconnect_client();
    assert_eq!((client.text(), client.text()), (r#"42["last"]"#.into(), "41".into()));
    until_empty(&server);
}

fn flood_is_handled_in_order<R: Host>() {
    const EVENTS: u32 = 20_000;
    let io = Io::new();
    run::<R, _>(&io, "/", |mut socket| async move {
        while let Some(event) = socket.recv().await {
            handle(&socket, event).await;
        }
    });
    let server = serve_io::<R>(&io);
    let mut client = connect(&server, "/");
    let mut stream = client.stream();
    let flood = thread::spawn(move || {
        for n in 0..EVENTS {
            stream.write_all(&Client::frame(&format!(r#"42["n",{n}]"#))).unwrap();
        }
    });
    for n in 0..EVENTS {
        assert_eq!(client.text(), format!(r#"42["n",{n}]"#));
    }
    flood.join().unwrap();
}

fn long_flood_is_echoed_without_a_loss<R: Host>() {
    const EVENTS: u32 = 200_000;
    let io = Io::new();
    run::<R, _>(&io, "/", |mut socket| async move {
        while let Some(event) = socket.recv().await {
            handle(&socket, event).await;
        }
    });
    // No ping comes between the echoes.
    let server = serve::<R>(|builder| {
        builder.socketio(&io).path("/engine.io/").ping_interval(Duration::from_secs(3600))
    });
    let client = connect(&server, "/");
    let events = || (0..EVENTS).map(|n| format!(r#"42["n",{n}]"#));
    let frames: Vec<u8> = events().flat_map(|event| Client::frame(&event)).collect();
    // They are short: a frame from the server is an opcode, a length and the text.
    let echo = |event: String| {
        let head = [0x81, u8::try_from(event.len()).unwrap()];
        [&head, event.as_bytes()].concat()
    };
    let expected: Vec<u8> = events().flat_map(echo).collect();
    let mut echoes = vec![0; expected.len()];
    thread::scope(|scope| {
        let mut stream = client.stream();
        scope.spawn(move || stream.write_all(&frames).unwrap());
        client.stream().read_exact(&mut echoes).unwrap();
    });
    let differs = echoes.iter().zip(&expected).position(|(echo, expected)| echo != expected);
    assert_eq!(differs, None, "the first byte that is another");
}

async fn handle(socket: &Socket, event: Event) {
    let n: u32 = event.data().unwrap();
    let _ = socket.emit("n", &n).await;
}

fn namespace_that_nothing_accepts_gets_broadcasts<R: Host>() {
    let io = Io::builder().backlog(2).build();
    let namespace = io.namespace("/");
    let server = serve_io::<R>(&io);
    let mut clients: Vec<_> = (0..5).map(|_| connect(&server, "/")).collect();
    until("all members", || namespace.len() == 5);
    assert_eq!(soon("a broadcast", io.emit("n", &1)).unwrap().sockets, 5);
    for client in &mut clients {
        assert_eq!(client.text(), r#"42["n",1]"#);
    }
    // From now on they are limited.
    let accepted = [(); 2].map(|()| soon("a socket", namespace.accept()).unwrap());
    until("the rest to be disconnected", || namespace.len() == accepted.len());
}

fn handle_without_data_is_one_of_any_socket<R: Host>() {
    let io = Io::new();
    let named = io.namespace("/").authorize(|_| async { Ok(Name("ada".into())) });
    let server = serve_io::<R>(&io);
    let _client = connect(&server, "/");
    let socket = soon("a socket", named.accept()).unwrap();
    assert_eq!(socket.data().0, "ada");
    let any = io.namespace("/").socket(socket.id()).unwrap();
    assert_eq!((any.data(), any.id()), (&(), socket.id()));
    let of_broadcast = &named.broadcast().sockets()[0];
    assert_eq!(of_broadcast.data(), &());
    assert_eq!(of_broadcast.downcast::<Name>().unwrap().data().0, "ada");
    assert!(of_broadcast.downcast::<String>().is_none());
}

fn name_that_matches_a_pattern_is_authorized_as_such<R: Host>() {
    let io = Io::new();
    let _projects = io
        .namespaces("/project/{id}")
        .unwrap()
        .authorize(|_| async { Err::<(), _>(ConnectError::new("not yours")) });
    // As a job does that has something for whoever is there.
    assert_eq!(soon("a broadcast", io.namespace("/project/7").emit("n", &1)).unwrap().sockets, 0);
    let server = serve_io::<R>(&io);
    let mut client = Client::open_websocket(server.local_addr());
    client.send("40/project/7,");
    assert_eq!(client.text(), r#"44/project/7,{"message":"not yours"}"#);
}

fn one_serve_that_ends_leaves_another_alone<R: Host>() {
    let io = Io::new();
    let namespace = io.namespace("/");
    let server = serve_io::<R>(&io);
    {
        let first = std::pin::pin!(namespace.serve(echo));
        assert!(within(Duration::ZERO, first).is_none());
        run::<R, _>(&io, "/", echo);
        let mut client = connect(&server, "/");
        client.send(r#"42["a"]"#);
        assert_eq!(client.text(), r#"42["a"]"#);
    }
    let mut client = connect(&server, "/");
    client.send(r#"42["b"]"#);
    assert_eq!(client.text(), r#"42["b"]"#);
}

#[derive(Debug, serde::Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
enum FromClient {
    Clear,
    Say(String),
    Move(i32, i32),
    Draw { color: String },
}

fn events_are_received_as_an_enum_or_named_in_the_error<R: Host>() {
    let io = Io::new();
    let server = serve_io::<R>(&io);
    let namespace = io.namespace("/");
    let mut client = connect(&server, "/");
    let mut socket = soon("a socket", namespace.accept()).unwrap();
    for (sent, expected) in [
        (r#"["clear"]"#, Ok(FromClient::Clear)),
        (r#"["say","hi"]"#, Ok(FromClient::Say("hi".into()))),
        (r#"["move",1,-2]"#, Ok(FromClient::Move(1, -2))),
        (r#"["draw",{"color":"teal"}]"#, Ok(FromClient::Draw { color: "teal".into() })),
        (r#"["pa\nint",1]"#, Err("unknown event `pa\\nint`")),
        (r#"["say",7]"#, Err("event `say`, argument 0: ")),
    ] {
        client.send(&format!("42{sent}"));
        match (soon("an event", socket.recv_as()).unwrap(), expected) {
            (Ok(event), expected) => assert_eq!(Ok(event), expected),
            (Err(error), Err(message)) => {
                assert!(error.to_string().starts_with(message), "{error}")
            }
            (Err(error), Ok(event)) => panic!("{error} instead of {event:?}"),
        }
    }
    // One that is not understood can still be acknowledged.
    client.send(r#"420["paint"]"#);
    let mut unknown = soon("an event", socket.recv_as::<FromClient>()).unwrap().unwrap_err();
    soon("room", unknown.event.ack().send("no")).unwrap();
    assert_eq!(client.text(), r#"430["no"]"#);
}
