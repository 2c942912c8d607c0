//! What the driver lets an application bring or decide: listeners, connections, responses, limits, refusals.

use std::{
    io::{Read, Write},
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use enginewire_driver::{Refusal, Response, Server, ServerBuilder};

use crate::{
    Host, accept,
    client::{Client, until},
    serve, serve_echo, soon, until_empty,
};

on_every_runtime!(
    fallback_responds_to_other_paths_on_the_port_of_the_sessions,
    fallback_is_dropped_with_its_connection,
    fallback_gets_neither_large_bodies_nor_upgrades,
    sessions_open_on_every_listener,
    handshake_beyond_max_sessions_gets_503,
    connection_beyond_max_connections_waits_until_one_ends,
    max_connections_counts_the_connections_of_all_listeners,
    sessions_are_found_by_their_id_until_they_close,
    broadcast_counts_sessions_that_took_it_were_full_or_closed,
    value_inserted_by_allow_request_reaches_the_socket,
    refusal_has_its_own_status_and_body,
    handle_closes_the_server_from_another_task,
    handle_does_not_keep_a_dropped_server_alive,
);

fn fallback_responds_to_other_paths_on_the_port_of_the_sessions<R: Host>() {
    let server = serve_echo::<R>(|builder| {
        builder.fallback(|request| async move {
            let peer = request.peer_addr.ip();
            match (request.head.method(), request.head.path()) {
                ("GET" | "HEAD", "/") => Response::new(200, "text/html", "<h1>Hello</h1>"),
                ("POST", "/form") => {
                    let mut body = format!("{peer} {} ", request.head.query()).into_bytes();
                    body.extend(&request.body);
                    Response::new(201, "text/plain", body)
                }
                _ => Response::empty(404),
            }
        })
    });
    let mut client = Client::connect(server.local_addr());
    let page = client.get("/");
    assert_eq!((page.status, &*page.body), (200, "<h1>Hello</h1>"));
    assert!(page.head.contains("Content-Type: text/html\r\n"), "{}", page.head);
    client.request("POST", "/form?a=1", "field");
    let created = client.answer();
    assert_eq!((created.status, &*created.body), (201, "127.0.0.1 a=1 field"));
    assert_eq!(client.get("/other").status, 404);
    // The same connection still carries sessions.
    let sid = client.open_polling();
    let target = format!("/engine.io/?EIO=4&transport=polling&sid={sid}");
    client.request("POST", &target, "4hello");
    assert_eq!(client.answer().body, "ok");
    assert_eq!(client.get(&target).body, "4hello");
}

fn fallback_is_dropped_with_its_connection<R: Host>() {
    struct Alive(Arc<AtomicUsize>);

    impl Drop for Alive {
        fn drop(&mut self) {
            self.0.fetch_sub(1, SeqCst);
        }
    }

    let alive = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&alive);
    let server = serve::<R>(|builder| {
        builder.fallback(move |_| {
            counted.fetch_add(1, SeqCst);
            let alive = Alive(Arc::clone(&counted));
            async move {
                std::future::pending::<()>().await;
                drop(alive);
                Response::empty(204)
            }
        })
    });
    let mut client = Client::connect(server.local_addr());
    client.request("GET", "/", "");
    until("the request", || alive.load(SeqCst) == 1);
    drop(client);
    until_empty(&server);
    assert_eq!(alive.load(SeqCst), 0);
}

fn fallback_gets_neither_large_bodies_nor_upgrades<R: Host>() {
    let server = serve::<R>(|builder| {
        builder.max_payload(100).fallback(|_| async { Response::new(200, "text/plain", "page") })
    });
    let mut client = Client::connect(server.local_addr());
    client.request("POST", "/", &"x".repeat(100));
    assert_eq!(client.answer().body, "page");
    client.write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 101\r\n\r\n");
    assert_eq!(client.answer().status, 413);
    let mut client = Client::connect(server.local_addr());
    client.write(Client::upgrade("").replace("/engine.io/", "/"));
    let refused = client.answer();
    assert!((400..500).contains(&refused.status), "{refused:?}");
    assert!(refused.head.contains("Connection: close\r\n"), "{}", refused.head);
    client.rest();
    until_empty(&server);
}

/// Makes a listener of the runtime's of one that was set up by other means.
trait Inherit: Host {
    fn listener(inherited: TcpListener) -> Self::Listener;
}

impl Inherit for enginewire_tokio::Tokio {
    fn listener(inherited: TcpListener) -> Self::Listener {
        inherited.set_nonblocking(true).unwrap();
        ::tokio::net::TcpListener::from_std(inherited).unwrap()
    }
}

impl Inherit for enginewire_smol::Smol {
    fn listener(inherited: TcpListener) -> Self::Listener {
        async_io::Async::new(inherited).unwrap().into()
    }
}

impl Inherit for enginewire_async_std::AsyncStd {
    fn listener(inherited: TcpListener) -> Self::Listener {
        async_io::Async::new(inherited).unwrap().into()
    }
}

/// Starts a server on several listeners, each on a port of its own.
fn serve_on<R: Inherit>(
    listeners: usize,
    change: impl FnOnce(ServerBuilder<R>) -> ServerBuilder<R>,
) -> Server {
    let mut builder = change(ServerBuilder::on(R::default()));
    for _ in 0..listeners {
        builder = builder.listener(R::listener(TcpListener::bind("127.0.0.1:0").unwrap()));
    }
    builder.start().unwrap()
}

fn sessions_open_on_every_listener<R: Inherit>() {
    let server = serve_on::<R>(3, |builder| builder);
    let addresses = server.local_addrs().to_vec();
    assert_eq!((addresses.len(), addresses[0]), (3, server.local_addr()));
    let mut clients: Vec<_> = addresses.iter().map(|&to| Client::open_websocket(to)).collect();
    let sockets: Vec<_> = clients.iter().map(|_| accept(&server)).collect();
    assert_eq!(server.broadcast_all("hello").sent, 3);
    for client in &mut clients {
        assert_eq!(client.text(), "4hello");
    }
    drop((clients, sockets));
    soon("the server to close", server.close());
    for address in addresses {
        assert!(Client::try_connect(address).is_none(), "a listener is left");
    }
}

fn handshake_beyond_max_sessions_gets_503<R: Host>() {
    let server = serve::<R>(|builder| builder.max_sessions(1));
    let first = Client::open_websocket(server.local_addr());
    let socket = accept(&server);
    let mut second = Client::connect(server.local_addr());
    assert_eq!(second.get("/engine.io/?EIO=4&transport=polling").status, 503);
    let mut third = Client::connect(server.local_addr());
    third.write(Client::upgrade(""));
    assert_eq!(third.answer().status, 503);
    drop((first, socket));
    until("the end of the session", || server.sessions() == 0);
    second.open_polling();
    assert_eq!(server.sessions(), 1);
}

fn connection_beyond_max_connections_waits_until_one_ends<R: Host>() {
    let server = serve::<R>(|builder| builder.max_connections(1));
    let mut first = Client::connect(server.local_addr());
    first.open_polling();
    // The system completes it, but the server has not accepted it.
    let mut second = Client::connect(server.local_addr());
    second.request("GET", "/engine.io/?EIO=4&transport=polling", "");
    assert!(second.answer_within(Duration::from_millis(100)).is_none());
    assert_eq!(server.connections(), 1);
    drop(first);
    second.opened();
    assert_eq!(server.connections(), 1);
    // A server that is at its limit can be closed.
    let _waits = Client::connect(server.local_addr());
    drop(second);
    server.abort();
    until_empty(&server);
}

fn max_connections_counts_the_connections_of_all_listeners<R: Inherit>() {
    let server = serve_on::<R>(2, |builder| builder.max_connections(1));
    let [first, second] = *server.local_addrs() else { panic!("two listeners") };
    let mut client = Client::connect(first);
    client.open_polling();
    let mut other = Client::connect(second);
    other.request("GET", "/engine.io/?EIO=4&transport=polling", "");
    assert!(other.answer_within(Duration::from_millis(100)).is_none());
    assert_eq!(server.connections(), 1);
    drop(client);
    other.opened();
}

fn sessions_are_found_by_their_id_until_they_close<R: Host>() {
    let server = serve::<R>(|builder| builder);
    let mut clients = [(); 3].map(|()| Client::open_websocket(server.local_addr()));
    let sockets = [(); 3].map(|()| accept(&server));
    let ids = sockets.each_ref().map(|socket| socket.id());
    let mut found: Vec<_> = server.senders().iter().map(enginewire_driver::Sender::id).collect();
    found.sort_unstable();
    let mut sorted = ids.to_vec();
    sorted.sort_unstable();
    assert_eq!(found, sorted);
    // In the order in which they were accepted, which is that of the clients: each had opened before the next.
    server.get(ids[1]).unwrap().try_send("to the second").unwrap();
    assert_eq!(clients[1].text(), "4to the second");
    sockets[0].abort();
    assert!(server.get(ids[0]).is_none());
    assert_eq!((server.senders().len(), server.sessions()), (2, 2));
}

fn broadcast_counts_sessions_that_took_it_were_full_or_closed<R: Host>() {
    let server = serve::<R>(|builder| {
        let mut limits = enginewire::Limits::default();
        limits.max_queued = 200;
        builder.limits(limits)
    });
    let mut clients = [(); 2].map(|()| Client::open_websocket(server.local_addr()));
    let sockets = [(); 2].map(|()| accept(&server));
    // A client that does not poll, and so takes nothing.
    let mut polling = Client::connect(server.local_addr());
    let sid = polling.open_polling();
    let full = accept(&server);
    let mut queued = 0;
    while full.try_send("x").is_ok() {
        queued += 1;
    }
    let count = server.broadcast_all("all");
    assert_eq!((count.sent, count.full, count.closed), (2, 1, 0));
    for client in &mut clients {
        assert_eq!(client.text(), "4all");
    }
    sockets[1].abort();
    let ids = [sockets[0].id(), sockets[1].id(), full.id()];
    let count = server.broadcast(ids, vec![1u8, 2]);
    assert_eq!((count.sent, count.full, count.closed), (1, 1, 1));
    assert_eq!(clients[0].next_frame(), (2, vec![1, 2]));
    let target = format!("/engine.io/?EIO=4&transport=polling&sid={sid}");
    assert_eq!(polling.get(&target).body, vec!["4x"; queued].join("\u{1e}"));
}

fn value_inserted_by_allow_request_reaches_the_socket<R: Host>() {
    #[derive(Debug, PartialEq)]
    struct User(String);

    let server = serve::<R>(|builder| {
        builder.allow_request(|handshake| async move {
            handshake.insert(1u32);
            handshake.insert(User("nobody".into()));
            if let Some(name) = handshake.query_value("user") {
                // In place of the one before.
                handshake.insert(User(name));
            }
            Ok(())
        })
    });
    let mut client = Client::connect(server.local_addr());
    client.write(Client::upgrade("&user=ada"));
    assert_eq!(client.answer().status, 101);
    let socket = accept(&server);
    assert_eq!(socket.handshake().extension::<User>().as_deref(), Some(&User("ada".into())));
    assert_eq!(socket.handshake().extension::<u32>().as_deref(), Some(&1));
    assert!(socket.handshake().extension::<String>().is_none());
}

fn refusal_has_its_own_status_and_body<R: Host>() {
    let server = serve::<R>(|builder| {
        builder.allow_request(|handshake| async move {
            match handshake.query_value("token").as_deref() {
                Some("secret") => Ok(()),
                Some("often") => {
                    Err(Refusal::new("").with_status(429).with_body("text/plain", "later"))
                }
                Some(_) => Err(Refusal::new("wrong token").with_status(401)),
                None => Err("no token".into()),
            }
        })
    });
    for transport in ["polling", "websocket"] {
        for (token, status, body) in [
            ("&token=often", 429, "later"),
            ("&token=x", 401, r#"{"code":4,"message":"wrong token"}"#),
            ("", 403, r#"{"code":4,"message":"no token"}"#),
        ] {
            let mut client = Client::connect(server.local_addr());
            match transport {
                "polling" => {
                    client.request(
                        "GET",
                        &format!("/engine.io/?EIO=4&transport=polling{token}"),
                        "",
                    );
                }
                _ => client.write(Client::upgrade(token)),
            }
            let refused = client.answer();
            assert_eq!((refused.status, &*refused.body), (status, body), "{transport}");
        }
    }
    assert_eq!(server.sessions(), 0);
}

fn handle_closes_the_server_from_another_task<R: Host>() {
    let server = serve::<R>(|builder| builder);
    let mut client = Client::open_websocket(server.local_addr());
    let socket = accept(&server);
    socket.try_send("last").unwrap();
    let handle = server.handle();
    assert_eq!((handle.local_addr(), handle.sessions()), (server.local_addr(), 1));
    let closing = handle.clone();
    R::default().spawn(async move { closing.close().await });
    assert!(soon("the end of the server", server.accept()).is_none());
    assert_eq!(client.text(), "4last");
    assert_eq!(client.next_frame().0, 8);
    drop(client);
    soon("the end", handle.close());
    assert_eq!((handle.sessions(), handle.connections()), (0, 0));
    assert!(Client::try_connect(server.local_addr()).is_none());
}

fn handle_does_not_keep_a_dropped_server_alive<R: Host>() {
    let server = serve::<R>(|builder| builder);
    let client = Client::open_websocket(server.local_addr());
    let (handle, address) = (server.handle(), server.local_addr());
    drop(server);
    client.rest();
    soon("the end", handle.close());
    assert!(Client::try_connect(address).is_none());
    assert_eq!((handle.senders().len(), handle.sessions(), handle.connections()), (0, 0, 0));
}

/// Connections that something else has accepted.
#[cfg(unix)]
mod served {
    use std::os::unix::net::UnixStream;

    use futures_lite::{AsyncRead, AsyncWrite};

    use super::*;

    on_every_runtime!(
        server_without_a_listener_serves_a_unix_socket,
        dropped_connection_of_serve_is_counted_no_longer,
    );

    /// Wraps a stream for the runtime.
    trait Wrap: Host {
        fn wrap(stream: UnixStream) -> impl AsyncRead + AsyncWrite + Send + 'static;
    }

    impl Wrap for enginewire_tokio::Tokio {
        fn wrap(stream: UnixStream) -> impl AsyncRead + AsyncWrite + Send + 'static {
            stream.set_nonblocking(true).unwrap();
            enginewire_tokio::Stream(::tokio::net::UnixStream::from_std(stream).unwrap())
        }
    }

    impl Wrap for enginewire_smol::Smol {
        fn wrap(stream: UnixStream) -> impl AsyncRead + AsyncWrite + Send + 'static {
            async_io::Async::new(stream).unwrap()
        }
    }

    impl Wrap for enginewire_async_std::AsyncStd {
        fn wrap(stream: UnixStream) -> impl AsyncRead + AsyncWrite + Send + 'static {
            stream.set_nonblocking(true).unwrap();
            ::async_std::os::unix::net::UnixStream::from(stream)
        }
    }

    fn serve_nothing<R: Host>() -> Server {
        ServerBuilder::on(R::default()).start().unwrap()
    }

    fn pair() -> (UnixStream, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        (ours, theirs)
    }

    /// Reads until `end` has come.
    fn read_until(stream: &mut UnixStream, end: &[u8]) {
        let mut read = Vec::new();
        while !read.ends_with(end) {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            read.extend(byte);
        }
    }

    fn server_without_a_listener_serves_a_unix_socket<R: Wrap>() {
        let server = serve_nothing::<R>();
        assert!(server.local_addrs().is_empty());
        assert_eq!(server.local_addr(), ([0, 0, 0, 0], 0).into());
        let (mut client, stream) = pair();
        let peer = ([192, 0, 2, 1], 7).into();
        R::default().spawn(server.serve(R::wrap(stream), peer));
        let mut request = Client::upgrade("").into_bytes();
        request.extend(Client::frame("4hello"));
        client.write_all(&request).unwrap();
        let mut socket = accept(&server);
        assert_eq!((socket.peer_addr(), server.connections()), (peer, 1));
        assert_eq!(soon("a message", socket.recv()), Some("hello".into()));
        // More than the socket takes at a time.
        let large = "x".repeat(1_000_000);
        soon("a send", socket.send(&*large)).unwrap();
        read_until(&mut client, b"\r\n\r\n");
        read_until(&mut client, large.as_bytes().last_chunk::<1000>().unwrap());
        let closing = server.handle();
        R::default().spawn(async move { closing.close().await });
        let mut rest = Vec::new();
        client.read_to_end(&mut rest).unwrap();
        assert!(rest.ends_with(&[0x88, 0]), "the closing handshake begins");
        drop(client);
        soon("the end", server.close());
        assert_eq!(server.connections(), 0);
    }

    fn dropped_connection_of_serve_is_counted_no_longer<R: Wrap>() {
        let server = serve_nothing::<R>();
        let (mut client, stream) = pair();
        let connection = server.serve(R::wrap(stream), ([192, 0, 2, 1], 7).into());
        assert_eq!(server.connections(), 1);
        drop(connection);
        assert_eq!(server.connections(), 0);
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
        soon("the end", server.close());
    }
}
