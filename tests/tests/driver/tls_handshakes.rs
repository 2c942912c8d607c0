//! TLS handshakes that are slow, cut, of another protocol or too many, and ends with and without `close_notify`.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};

use enginewire::TransportKind;
use enginewire_driver::{Client, Server, ServerBuilder};
use enginewire_tests::{
    client::Client as Raw,
    random::Random,
    tls::{Authority, connect},
};
use rustls::{ServerConnection, StreamOwned};

use crate::{
    Host, accept,
    client::{soon, until},
    serve, serve_echo, until_empty,
};

on_every_runtime!(
    silent_client_is_timed_out_and_disturbs_nobody,
    plain_http_is_refused_with_an_alert,
    garbage_and_cuts_are_counted_and_leave_nothing,
    client_hello_may_come_byte_by_byte,
    further_connections_wait_while_there_are_too_many_handshakes,
    handshakes_count_towards_the_connections,
    flood_of_handshakes_leaves_nothing,
    closing_server_does_not_wait_for_handshakes,
    closing_server_ends_a_handshake_without_a_reset,
    close_and_drain_tell_each_client_that_nothing_more_comes,
    end_without_close_notify_is_an_ordinary_loss,
    kept_connection_that_is_cut_does_not_end_the_session,
    server_that_is_silent_is_given_up_with_the_session,
    server_that_cuts_the_handshake_is_told_apart,
);

fn server<R: Host>(
    change: impl FnOnce(ServerBuilder<R>) -> ServerBuilder<R>,
) -> (Authority, Arc<Server>) {
    let authority = Authority::default();
    let config = authority.server(&authority.issue(&["127.0.0.1"]));
    (authority, serve_echo::<R>(|builder| change(builder.tls(config))))
}

fn tcp(to: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

/// Opens a session, and has a message come back.
fn assert_served<R: Host>(authority: &Authority, server: &Server) {
    let builder = Client::<R>::builder(&format!("https://{}", server.local_addr()));
    let builder = builder.tls(authority.client()).transports([TransportKind::WebSocket]);
    let mut client = soon("a session", builder.connect()).unwrap();
    soon("a send", client.send("hello")).unwrap();
    assert_eq!(soon("an echo", client.recv()), Some("hello".into()));
    soon("the end", client.close());
}

/// The first message of a handshake.
fn client_hello(authority: &Authority) -> Vec<u8> {
    let name = "127.0.0.1".try_into().unwrap();
    let mut connection = rustls::ClientConnection::new(authority.client(), name).unwrap();
    let mut hello = Vec::new();
    connection.write_tls(&mut hello).unwrap();
    hello
}

fn silent_client_is_timed_out_and_disturbs_nobody<R: Host>() {
    let (authority, server) =
        server::<R>(|builder| builder.tls_handshake_timeout(Duration::from_secs(3)));
    let begun = Instant::now();
    let mut silent = tcp(server.local_addr());
    // This one has begun, and goes no further.
    let mut slow = tcp(server.local_addr());
    slow.write_all(&client_hello(&authority)[..40]).unwrap();
    assert_served::<R>(&authority, &server);
    for stream in [&mut silent, &mut slow] {
        assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    }
    assert!(begun.elapsed() >= Duration::from_secs(3));
    until("both to be counted", || server.tls_stats().timed_out == 2);
    until_empty(&server);
    assert_eq!(server.tls_stats().in_flight, 0);
}

fn plain_http_is_refused_with_an_alert<R: Host>() {
    let (authority, server) = server::<R>(|builder| builder);
    for request in ["GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), "x".repeat(100_000)] {
        let mut client = tcp(server.local_addr());
        // The server may have had enough before it has taken all.
        let _ = client.write_all(request.as_bytes());
        let mut response = Vec::new();
        client.read_to_end(&mut response).unwrap();
        // A record that is an alert, fatal.
        assert_eq!((response[0], response[5]), (21, 2), "{response:?}");
    }
    until("both to be counted", || server.tls_stats().failed == 2);
    assert_served::<R>(&authority, &server);
    until_empty(&server);
}

fn garbage_and_cuts_are_counted_and_leave_nothing<R: Host>() {
    let (authority, server) = server::<R>(|builder| builder);
    let hello = client_hello(&authority);
    let mut random = Random::new(1);
    let mut begun = 0;
    // Cut by an orderly end, and by a reset.
    for length in [0, 1, 5, 6, 100, hello.len() - 1, hello.len()] {
        for resets in [false, true] {
            let mut client = Raw::connect(server.local_addr());
            client.write(&hello[..length]);
            if resets {
                client.pull_the_plug();
            }
            drop(client);
            begun += 1;
        }
    }
    for _ in 0..50 {
        let mut changed = hello.clone();
        for _ in 0..4 {
            let at = random.below(changed.len());
            changed[at] ^= 1 << random.below(8);
        }
        let mut client = tcp(server.local_addr());
        // What is wrong may be found out before all is sent; it may also be nothing that matters.
        let _ = client.write_all(&changed);
        let _ = client.shutdown(Shutdown::Write);
        let _ = client.read_to_end(&mut Vec::new());
        begun += 1;
    }
    // A client that is reset at once may not have been accepted.
    until_empty(&server);
    let stats = server.tls_stats();
    assert!(stats.failed + 2 >= begun && stats.failed <= begun, "{stats:?}, {begun} begun");
    assert_eq!((stats.in_flight, stats.completed, stats.timed_out), (0, 0, 0));
    assert_served::<R>(&authority, &server);
}

fn client_hello_may_come_byte_by_byte<R: Host>() {
    let (authority, server) = server::<R>(|builder| builder);
    let name = "127.0.0.1".try_into().unwrap();
    let mut connection = rustls::ClientConnection::new(authority.client(), name).unwrap();
    let mut stream = tcp(server.local_addr());
    stream.set_nodelay(true).unwrap();
    while connection.is_handshaking() {
        while connection.wants_write() {
            let mut bytes = Vec::new();
            connection.write_tls(&mut bytes).unwrap();
            bytes.iter().for_each(|byte| stream.write_all(&[*byte]).unwrap());
        }
        if connection.is_handshaking() {
            connection.read_tls(&mut stream).unwrap();
            connection.process_new_packets().unwrap();
        }
    }
    let mut stream = rustls::Stream::new(&mut connection, &mut stream);
    stream.write_all(Raw::upgrade("").as_bytes()).unwrap();
    let mut response = [0; 12];
    stream.read_exact(&mut response).unwrap();
    assert_eq!(&response, b"HTTP/1.1 101");
}

fn further_connections_wait_while_there_are_too_many_handshakes<R: Host>() {
    let authority = Authority::default();
    let config = authority.server(&authority.issue(&["127.0.0.1"]));
    let runtime = R::default();
    let bind = || soon("a listener", runtime.bind((Ipv4Addr::LOCALHOST, 0).into())).unwrap();
    let builder = ServerBuilder::on(R::default()).tls(config).max_tls_handshakes(3);
    let server = builder.listener(bind()).plain_listener(bind()).start().unwrap();
    let [secure, plain] = *server.local_addrs() else { panic!() };
    let silent: Vec<_> = (0..3).map(|_| tcp(secure)).collect();
    until("the handshakes", || server.tls_stats().in_flight == 3);
    // It is not accepted, and other listeners are not concerned.
    let waiting = {
        let client = authority.client();
        thread::spawn(move || {
            let mut client = connect(client, secure, "127.0.0.1");
            client.write_all(Raw::upgrade("").as_bytes()).unwrap();
            let mut response = [0; 12];
            client.read_exact(&mut response).unwrap();
            (response, client)
        })
    };
    Raw::open_websocket(plain);
    drop(accept(&server));
    assert_eq!(server.tls_stats().in_flight, 3);
    assert_eq!(server.tls_stats().completed, 0);
    // One leaves, and it has its turn.
    drop(silent.into_iter().next());
    let (response, client) = waiting.join().unwrap();
    assert_eq!(&response, b"HTTP/1.1 101");
    drop(client);
}

fn handshakes_count_towards_the_connections<R: Host>() {
    let (authority, server) = server::<R>(|builder| builder.max_connections(2));
    let silent: Vec<_> = (0..2).map(|_| tcp(server.local_addr())).collect();
    until("the handshakes", || server.connections() == 2);
    let (authority, address) = (authority.client(), server.local_addr());
    let waiting = thread::spawn(move || {
        connect(authority, address, "127.0.0.1").write_all(Raw::upgrade("").as_bytes()).unwrap();
    });
    assert_eq!(server.tls_stats().completed, 0);
    drop(silent);
    waiting.join().unwrap();
    until("its turn", || server.tls_stats().completed == 1);
}

fn flood_of_handshakes_leaves_nothing<R: Host>() {
    const CLIENTS: u64 = 60;

    let (authority, server) = server::<R>(|builder| builder.max_tls_handshakes(8));
    let hello = client_hello(&authority);
    let address = server.local_addr();
    // All at once; most go away in the middle of it.
    let mut streams: Vec<_> = (0..CLIENTS).map(|_| tcp(address)).collect();
    for stream in &mut streams {
        stream.write_all(&hello).unwrap();
    }
    until("as many as may be", || server.tls_stats().in_flight == 8);
    drop(streams);
    assert_served::<R>(&authority, &server);
    until("all to be counted", || server.tls_stats().failed == CLIENTS);
    until_empty(&server);
    assert_eq!(server.tls_stats().in_flight, 0);
}

fn closing_server_does_not_wait_for_handshakes<R: Host>() {
    let (_, server) = server::<R>(|builder| builder.tls_handshake_timeout(Duration::MAX));
    let mut silent = tcp(server.local_addr());
    until("the handshake", || server.tls_stats().in_flight == 1);
    soon("the end", server.close());
    assert_eq!(silent.read(&mut [0]).unwrap(), 0);
    assert_eq!((server.connections(), server.tls_stats().in_flight), (0, 0));
}

fn closing_server_ends_a_handshake_without_a_reset<R: Host>() {
    let (authority, server) = server::<R>(|builder| builder.tls_handshake_timeout(Duration::MAX));
    let hello = client_hello(&authority);
    let mut client = tcp(server.local_addr());
    client.write_all(&hello[..40]).unwrap();
    until("the handshake", || server.tls_stats().in_flight == 1);
    thread::scope(|scope| {
        let closing = scope.spawn(|| soon("the end", server.close()));
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
        // If nothing read it, the first would be answered by a reset, and the second fail.
        client.write_all(&hello[40..80]).unwrap();
        client.write_all(&hello[80..]).unwrap();
        drop(client);
        closing.join().unwrap();
    });
    let stats = server.tls_stats();
    assert_eq!((server.connections(), stats.in_flight, stats.failed), (0, 0, 0));
}

fn close_and_drain_tell_each_client_that_nothing_more_comes<R: Host>() {
    for drains in [false, true] {
        // These clients take no part in it.
        let timeout = Duration::from_millis(200);
        let (authority, server) = server::<R>(|builder| builder.shutdown_timeout(timeout));
        let open = |request: &str| {
            let mut client = connect(authority.client(), server.local_addr(), "127.0.0.1");
            client.write_all(request.as_bytes()).unwrap();
            let mut response = [0; 12];
            client.read_exact(&mut response).unwrap();
            client
        };
        // A WebSocket, a connection of polling, and one between two requests.
        let clients = [
            open(&Raw::upgrade("")),
            open("GET /engine.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: a\r\n\r\n"),
            open("GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        ];
        let reading = clients.map(|mut client| {
            thread::spawn(move || {
                // An end without `close_notify` is an error.
                let mut rest = Vec::new();
                client.read_to_end(&mut rest).map(|_| rest)
            })
        });
        if drains {
            soon("the end", server.drain(Duration::ZERO));
        } else {
            soon("the end", server.close());
        }
        for reading in reading {
            reading.join().unwrap().unwrap();
        }
    }
}

fn end_without_close_notify_is_an_ordinary_loss<R: Host>() {
    let authority = Authority::default();
    let config = authority.server(&authority.issue(&["127.0.0.1"]));
    let server = serve::<R>(|builder| builder.tls(config));
    let mut client = connect(authority.client(), server.local_addr(), "127.0.0.1");
    client.write_all(Raw::upgrade("").as_bytes()).unwrap();
    client.read_exact(&mut [0; 12]).unwrap();
    let mut socket = accept(&server);
    client.write_all(&Raw::frame("4hello")).unwrap();
    assert_eq!(soon("a message", socket.recv()), Some("hello".into()));
    client.sock.shutdown(Shutdown::Write).unwrap();
    assert_eq!(soon("the end", socket.recv()), None);
    until_empty(&server);
}

fn kept_connection_that_is_cut_does_not_end_the_session<R: Host>() {
    let authority = Authority::default();
    let config = authority.server(&authority.issue(&["127.0.0.1"]));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let (config, tell) = (Arc::clone(&config), tell.clone());
            let connection = ServerConnection::new(config).unwrap();
            thread::spawn(move || cut_after_a_post(StreamOwned::new(connection, stream), &tell));
        }
    });
    let builder = Client::<R>::builder(&format!("https://{address}")).tls(authority.client());
    let builder = builder.transports([TransportKind::Polling]);
    let client = soon("a session", builder.connect()).unwrap();
    let patience = Duration::from_secs(20);
    for text in ["one", "two", "three"] {
        soon("a send", client.send(text)).unwrap();
        assert_eq!(told.recv_timeout(patience), Ok(format!("4{text}")));
        // The client has noticed the end.
        assert_eq!(told.recv_timeout(patience), Ok("closed".into()));
    }
    assert_eq!(client.close_reason(), None);
}

/// Serves a session over polling. Tells the body of a POST, and after its response ends the connection without a word
/// of TLS.
fn cut_after_a_post(
    mut stream: StreamOwned<ServerConnection, TcpStream>,
    tell: &mpsc::Sender<String>,
) {
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            if !stream.read(&mut byte).is_ok_and(|n| n == 1) {
                return;
            }
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap().to_lowercase();
        if head.starts_with("get ") && head.contains("sid=") {
            // A poll that waits, as long as the session lives.
            let _ = stream.read(&mut [0]);
            return;
        }
        let posts = head.starts_with("post ");
        if posts {
            let length = head.split("content-length: ").nth(1).unwrap().lines().next().unwrap();
            let mut body = vec![0; length.parse().unwrap()];
            stream.read_exact(&mut body).unwrap();
            tell.send(String::from_utf8(body).unwrap()).unwrap();
        }
        let open = r#"0{"sid":"a","upgrades":[],"pingInterval":25000,"pingTimeout":20000}"#;
        let body = if posts { "ok" } else { open };
        let length = body.len();
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}").unwrap();
        stream.flush().unwrap();
        if posts {
            stream.sock.shutdown(Shutdown::Write).unwrap();
            let _ = stream.read_to_end(&mut Vec::new());
            tell.send("closed".into()).unwrap();
            return;
        }
    }
}

fn server_that_is_silent_is_given_up_with_the_session<R: Host>() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let builder = Client::<R>::builder(&url).tls(Authority::default().client());
    let connecting = builder.open_timeout(Duration::from_millis(50)).connect();
    let error = soon("a failure", connecting).unwrap_err();
    assert!(error.to_string().ends_with(": the server has not answered in time"), "{error}");
    let (mut stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut hello = Vec::new();
    stream.read_to_end(&mut hello).unwrap();
    assert_eq!(hello[0], 22, "a record of the handshake");
}

fn server_that_cuts_the_handshake_is_told_apart<R: Host>() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            // All of it, so that the end is no reset.
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.shutdown(Shutdown::Write);
            let _ = stream.read(&mut [0; 4096]);
        }
    });
    let builder = Client::<R>::builder(&url).tls(Authority::default().client());
    let error = soon("a failure", builder.connect()).unwrap_err();
    assert!(!error.is_permanent());
    let end = "the peer has closed the connection during the handshake";
    assert!(error.to_string().ends_with(end), "{error}");
}
