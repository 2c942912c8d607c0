//! The end of sessions and of servers.

use std::{
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    thread,
    time::{Duration, Instant},
};

use enginewire::SendError;

use crate::{
    Host, accept,
    client::{Client, until, within},
    serve, serve_echo, soon, until_empty,
};

on_every_runtime!(
    a_closing_server_lets_polling_clients_ask_for_what_is_queued,
    a_dropped_socket_lets_out_what_is_queued_and_closes,
    after_both_close_frames_the_server_does_not_wait_for_its_peer,
    a_server_closes_gracefully,
    a_draining_server_closes_its_sessions_one_after_the_other,
    a_drain_is_cut_short_by_a_close_and_by_the_last_client_that_leaves,
    a_closed_server_has_given_its_address_back,
    a_closing_server_has_its_sessions_accepted_that_have_brought_something,
    a_server_does_not_wait_for_ever_for_its_peers,
    a_dropped_server_ends_everything_at_once,
    more_sessions_than_the_backlog_holds_are_refused,
    a_peer_that_does_not_answer_our_close_is_cut_off,
    a_slow_peer_gets_all_that_was_queued_before_a_close,
);

fn a_dropped_socket_lets_out_what_is_queued_and_closes<R: Host>() {
    let server = serve::<R>(|builder| builder);
    let mut client = Client::open_websocket(server.local_addr());
    let socket = accept(&server);
    let sender = socket.sender();
    for i in 0..100 {
        socket.try_send(i.to_string()).unwrap();
    }
    drop(socket);
    assert_eq!(sender.try_send("x").unwrap_err().reason, SendError::Closed);
    for i in 0..100 {
        assert_eq!(client.text(), format!("4{i}"));
    }
    assert_eq!(client.next_frame(), (8, vec![]));
    drop(client);
    until_empty(&server);
}

fn after_both_close_frames_the_server_does_not_wait_for_its_peer<R: Host>() {
    // For longer than this test may take.
    let server = serve::<R>(|builder| builder.linger(Duration::from_secs(60)));
    let mut client = Client::open_websocket(server.local_addr());
    // Masked, with a mask of zeros: a Close.
    client.write([0x88, 0x80, 0, 0, 0, 0]);
    assert_eq!(client.next_frame(), (8, vec![]));
    until_empty(&server);
    assert!(client.rest().is_empty());
}

fn a_server_closes_gracefully<R: Host>() {
    let requests = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&requests);
    let server = serve::<R>(|builder| {
        builder.headers(move |_, _, _| {
            counter.fetch_add(1, SeqCst);
        })
    });
    let address = server.local_addr();
    let mut websocket = Client::open_websocket(address);
    let first = accept(&server);
    let mut polling = Client::connect(address);
    let sid = polling.open_polling();
    let second = accept(&server);
    let target = format!("/engine.io/?EIO=4&transport=polling&sid={sid}");
    polling.request("GET", &target, "");
    // A request that is still on its way when the server closes would find its connection closed.
    until("the GET to be there", || requests.load(SeqCst) == 3);
    let idle = Client::connect(address);
    for i in 0..1000 {
        soon("send", first.send(format!("{i}"))).unwrap();
    }
    let closing = thread::spawn(move || {
        R::host(|| soon("the server to close", server.close()));
        server
    });
    for i in 0..1000 {
        assert_eq!(websocket.text(), format!("4{i}"));
    }
    assert_eq!(websocket.next_frame().0, 8);
    // Masked, with a mask of zeros: the answer to the Close.
    websocket.write([0x88, 0x80, 0, 0, 0, 0]);
    assert!(websocket.rest().is_empty());
    // The session may have come to its end while the GET was being looked at.
    let body = polling.answer().body;
    assert!(["1", "6\u{1e}1"].contains(&&*body), "{body:?}");
    drop((polling, idle));
    let server = closing.join().unwrap();
    assert_eq!((server.sessions(), server.connections()), (0, 0));
    assert!(soon("accept", server.accept()).is_none());
    assert_eq!(first.close_reason().unwrap().as_str(), "forced close");
    assert_eq!(second.try_send("x").unwrap_err().reason, SendError::Closed);
    assert!(TcpStream::connect(address).is_err(), "it still listens");
}

fn a_draining_server_closes_its_sessions_one_after_the_other<R: Host>() {
    const OVER: Duration = Duration::from_secs(3);
    const COUNT: u32 = 10;
    let server = Arc::new(serve_echo::<R>(|builder| builder));
    let address = server.local_addr();
    let clients: Vec<_> = (0..COUNT).map(|_| Client::open_websocket(address)).collect();
    let begun = Instant::now();
    // Dropped at once: the server drains whether or not anything waits.
    assert!(within(Duration::ZERO, server.drain(OVER)).is_none());
    let mut late = Client::connect(address);
    assert_eq!(late.get("/engine.io/?EIO=4&transport=polling").status, 503);
    let served = |mut client: Client| {
        thread::spawn(move || {
            let mut echoed = 0;
            let started = begun.elapsed();
            client.send("4hello");
            while client.next_frame().0 == 1 {
                echoed += 1;
                client.send("4hello");
            }
            (begun.elapsed(), started, echoed)
        })
    };
    let clients: Vec<_> = clients.into_iter().map(served).collect();
    let mut closed: Vec<_> = clients.into_iter().map(|client| client.join().unwrap()).collect();
    closed.sort_unstable();
    for (index, (at, ..)) in (0..).zip(&closed) {
        assert!(*at >= OVER * index / COUNT, "number {index} was closed after {at:?}");
    }
    // All are served until it is their turn. That of the first is at once, and a client may be late itself.
    let had_time = |(at, started, _): &&(Duration, Duration, u32)| *at >= *started + OVER / 4;
    let mut served = closed.iter().filter(had_time);
    assert!(served.all(|(_, _, echoed)| *echoed > 0), "{closed:?}");
    drop(late);
    until_empty(&server);
    soon("the end", server.close());
}

fn a_drain_is_cut_short_by_a_close_and_by_the_last_client_that_leaves<R: Host>() {
    let hour = Duration::from_secs(3600);
    let server = serve::<R>(|builder| builder);
    let clients = [(); 3].map(|()| Client::open_websocket(server.local_addr()));
    assert!(within(Duration::ZERO, server.drain(hour)).is_none());
    // The first is closed, and the others stay.
    drop(clients);
    soon("the end of a drain without clients", server.drain(hour));

    let server = serve::<R>(|builder| builder);
    let clients = [(); 3].map(|()| Client::open_websocket(server.local_addr()));
    assert!(within(Duration::ZERO, server.drain(hour)).is_none());
    let readers = clients.map(|client| thread::spawn(move || client.rest()));
    soon("the end of a drain that is closed", server.close());
    for reader in readers {
        reader.join().unwrap();
    }
}

fn a_closed_server_has_given_its_address_back<R: Host>() {
    // What happens at the same time on two threads does not happen each time.
    for _ in 0..300 {
        let server = serve::<R>(|builder| builder);
        soon("the server to close", server.close());
        TcpListener::bind(server.local_addr()).unwrap();
    }
}

fn a_closing_server_has_its_sessions_accepted_that_have_brought_something<R: Host>() {
    let server = serve::<R>(|builder| builder.shutdown_timeout(Duration::from_millis(100)));
    let mut client = Client::connect(server.local_addr());
    let sid = client.open_polling();
    let target = format!("/engine.io/?EIO=4&transport=polling&sid={sid}");
    client.request("POST", &target, "4taken");
    assert_eq!(client.answer().body, "ok");
    soon("the server to close", server.close());
    let mut socket = accept(&server);
    assert_eq!(soon("a message", socket.recv()), Some("taken".into()));
    assert_eq!(soon("the end", socket.recv()), None);
    assert!(soon("accept", server.accept()).is_none());
}

fn a_server_does_not_wait_for_ever_for_its_peers<R: Host>() {
    let server = serve::<R>(|builder| builder.shutdown_timeout(Duration::from_millis(100)));
    let mut client = Client::connect(server.local_addr());
    client.open_polling();
    let socket = accept(&server);
    socket.try_send("nobody fetches this").unwrap();
    soon("the server to close", server.close());
    assert_eq!((server.sessions(), server.connections()), (0, 0));
    assert_eq!(socket.close_reason().unwrap().as_str(), "forced close");
}

fn a_dropped_server_ends_everything_at_once<R: Host>() {
    let server = serve::<R>(|builder| builder);
    let address = server.local_addr();
    let client = Client::open_websocket(address);
    let mut socket = accept(&server);
    drop(server);
    assert_eq!(soon("the end", socket.recv()), None);
    client.rest();
    until("the end of the listener", || TcpStream::connect(address).is_err());
}

fn more_sessions_than_the_backlog_holds_are_refused<R: Host>() {
    let server = serve::<R>(|builder| builder.backlog(2));
    let mut client = Client::connect(server.local_addr());
    client.open_polling();
    client.open_polling();
    let answer = client.get("/engine.io/?EIO=4&transport=polling");
    assert_eq!(answer.status, 503, "{}", answer.head);
    drop(accept(&server));
    client.open_polling();
}

fn a_peer_that_does_not_answer_our_close_is_cut_off<R: Host>() {
    let server = serve::<R>(|builder| builder.linger(Duration::from_millis(50)));
    let mut client = Client::open_websocket(server.local_addr());
    drop(accept(&server));
    assert_eq!(client.next_frame().0, 8);
    until_empty(&server);
}

fn a_slow_peer_gets_all_that_was_queued_before_a_close<R: Host>() {
    // Nothing is waited for once all is out, and all has to get out.
    let server = serve::<R>(|builder| builder.linger(Duration::ZERO));
    let mut client = Client::open_websocket(server.local_addr());
    let socket = accept(&server);
    // More than the kernel takes for a peer that does not read.
    let long = "x".repeat(32_000_000);
    socket.try_send("first").unwrap();
    socket.try_send(&*long).unwrap();
    drop(socket);
    until("only the connection to be left", || server.sessions() == 0);
    assert_eq!(client.text(), "4first");
    assert!(client.text()[1..] == long, "not what was sent");
    assert_eq!(client.next_frame(), (8, vec![]));
    assert!(client.rest().is_empty());
    until_empty(&server);
}

fn a_closing_server_lets_polling_clients_ask_for_what_is_queued<R: Host>() {
    // Longer than this test may take.
    let server = Arc::new(serve::<R>(|builder| builder.shutdown_timeout(Duration::from_secs(60))));
    let address = server.local_addr();
    let mut client = Client::connect(address);
    let sid = client.open_polling();
    let target = format!("/engine.io/?EIO=4&transport=polling&sid={sid}");
    let socket = accept(&server);
    client.request("GET", &target, "");
    // Once another request has been answered, that GET waits.
    let mut other = Client::connect(address);
    assert_eq!(other.get("/elsewhere").status, 404);
    socket.try_send("one").unwrap();
    assert_eq!(client.answer().body, "4one");
    socket.try_send("two").unwrap();
    let (closed, is_closed) = std::sync::mpsc::channel();
    R::default().spawn({
        let server = Arc::clone(&server);
        async move {
            server.close().await;
            let _ = closed.send(());
        }
    });
    assert!(soon("the end of new sessions", server.accept()).is_none());
    assert_eq!(other.get("/engine.io/?EIO=4&transport=polling").status, 503);
    // On a new connection, as some clients do, and on the old one.
    let mut fresh = Client::connect(address);
    assert_eq!(fresh.get(&target).body, "4two");
    // The server takes no new sessions, but it may not have come to this one: then the GET waits for that.
    let last = client.get(&target).body;
    assert!(["1", "6\u{1e}1"].contains(&&*last), "{last:?}");
    is_closed.recv_timeout(Duration::from_secs(20)).unwrap();
    assert_eq!((server.sessions(), server.connections()), (0, 0));
}
