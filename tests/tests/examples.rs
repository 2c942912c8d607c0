//! The examples of the core, driven by the official client on each transport, or against the official
//! server; those of the runtime crates by the official client of Socket.IO, or by a raw client.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
};
#[cfg(unix)]
use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    path::Path,
};

use enginewire_driver::{Runtime, Server};
use enginewire_smol::{ServerBuilder, Smol, socketio::Io};

#[cfg(unix)]
use rustix::process::Signal;
#[cfg(unix)]
use rustls::{ClientConnection, StreamOwned};

#[cfg(unix)]
use enginewire_tests::tls::{Authority, Identity, connect};
use enginewire_tests::{
    client::{Client, soon, until},
    process::{Running, example, script, succeed},
};

#[test]
fn an_event_loop_on_mio_echoes() {
    echoes("mio_echo");
}

#[test]
#[cfg(target_os = "linux")]
fn an_event_loop_on_io_uring_echoes() {
    use std::io::{self, Write};

    match io_uring::IoUring::new(2) {
        Ok(_) => echoes("uring_echo"),
        // Not by `eprintln`, which is swallowed when a test passes.
        Err(error) => writeln!(io::stderr(), "uring_echo NOT RUN, io_uring is refused: {error}")
            .expect("standard error"),
    }
}

#[test]
fn plain_threads_echo() {
    echoes("threads_echo");
}

#[test]
fn a_game_loop_echoes() {
    echoes("game_loop");
}

fn echoes(name: &str) {
    let mut server = Running::start(&mut example("enginewire", name));
    let port = server.line().expect("a port");
    // The harness wants to know of a server, and need not start it.
    succeed(script("echoes.mjs").args(["--server", "true"]).env("PORT", port));
}

#[test]
fn a_client_on_blocking_sockets_has_its_messages_echoed() {
    let mut server = Running::start(script("reference-server.mjs").env("PORT", "0"));
    let port = server.line().expect("a port");
    let url = format!("http://127.0.0.1:{port}");
    let mut client = Running::start(example("enginewire", "blocking_client").arg(url));
    assert_eq!(client.line().as_deref(), Some("connected over polling"));
    client.write("before");
    // They may come in either order.
    let mut lines = [client.line(), client.line()].map(Option::unwrap_or_default);
    lines.sort();
    assert_eq!(lines, ["before", "upgraded"]);
    client.write("after");
    assert_eq!(client.line().as_deref(), Some("after"));
    assert!(client.end().success());
}

#[test]
#[cfg(unix)]
fn socketio_client_on_blocking_sockets_survives_a_restart_of_the_official_server() {
    let start = |port: &str| {
        let mut server = script("sio/reference-server.mjs");
        let mut server = Running::start(server.env("PORT", port).env("PROFILE", "relaxed"));
        let port = server.line().expect("a port");
        (server, port)
    };
    let (server, port) = start("0");
    let url = format!("http://127.0.0.1:{port}/custom");
    let mut client = Running::start(example("enginewire-socketio", "blocking_chat").arg(url));
    assert_eq!(client.line().as_deref(), Some("connected"));
    assert_eq!(client.line().as_deref(), Some(r#"["auth",{}]"#));
    client.write("before");
    assert_eq!(client.line().as_deref(), Some(r#"["message-back","before"]"#));
    server.signal(Signal::TERM);
    assert!(server.end().success());
    let line = client.line().unwrap_or_default();
    assert!(line.starts_with("lost: transport"), "{line}");
    // It waits for the connection.
    client.write("after");
    let (_server, _) = start(&port);
    assert_eq!(client.line().as_deref(), Some("connected"));
    let mut lines = [client.line(), client.line()].map(Option::unwrap_or_default);
    // The socket's events of the server may overtake the answer, as those of any other client.
    lines.sort();
    assert_eq!(lines, [r#"["auth",{}]"#, r#"["message-back","after"]"#]);
    assert!(client.end().success());
}

#[test]
fn layer_example_prints_its_calls() {
    let mut example = Running::start(&mut example("enginewire", "layer"));
    let lines: Vec<_> = std::iter::from_fn(|| example.line()).collect();
    assert_eq!(lines.len(), 5, "{lines:?}");
    assert_eq!(lines[2], "[(1, Err(Expired))] after 5s");
    assert!(example.end().success(), "its assertions hold");
}

/// Starts an example of the tokio crate that listens.
fn listening(name: &str) -> (Running, SocketAddr) {
    let mut server = Running::start(example("enginewire-tokio", name).arg("127.0.0.1:0"));
    let line = server.line().expect("an address");
    let address = line.strip_prefix("listening on ").and_then(|address| address.parse().ok());
    (server, address.expect("the example prints its address"))
}

#[test]
fn broadcast_example_relays_to_all_others_and_passes_slow_ones_by() {
    let (mut server, address) = listening("broadcast");
    let [mut first, mut second] = [(); 2].map(|()| Client::open_websocket(address));
    // It does not poll, so nothing that is queued for it leaves.
    let sid = Client::connect(address).open_polling();
    first.send("4hello");
    assert_eq!(second.text(), "4hello");
    second.send("4hi");
    assert_eq!(first.text(), "4hi");
    let large = format!("4{}", "x".repeat(500_000));
    for _ in 0..10 {
        first.send(&large);
        assert_eq!(second.text(), large);
    }
    assert_eq!(server.line().as_deref(), Some("1 of the other sessions had no room"));
    let target = format!("/engine.io/?EIO=4&transport=polling&sid={sid}");
    assert!(Client::connect(address).get(&target).body.starts_with("4hello\u{1e}4hi\u{1e}4xx"));
}

#[test]
#[cfg(unix)]
fn graceful_example_lets_its_clients_go_when_it_is_asked_to_end() {
    let mut example = example("enginewire-tokio", "graceful");
    let mut server = Running::start(example.args(["127.0.0.1:0", "1"]));
    let line = server.line().expect("an address");
    let address = line.strip_prefix("listening on ").and_then(|address| address.parse().ok());
    let address: SocketAddr = address.expect("the example prints its address");
    let clients = [(); 2].map(|()| {
        let mut client = Client::connect(address);
        client.write(Client::upgrade("").replace("/engine.io/", "/socket.io/"));
        assert_eq!(client.answer().status, 101);
        assert!(client.text().starts_with("0{"));
        client.send("40");
        let answer = client.text();
        assert!(answer.starts_with("40{"), "{answer}");
        client.send(r#"421["work"]"#);
        assert_eq!(client.text(), "431[1]");
        client
    });
    server.signal(Signal::TERM);
    assert_eq!(server.line().as_deref(), Some("draining 2 sockets over 1 s"));
    let readers = clients.map(|client| std::thread::spawn(move || client.rest()));
    for _ in 0..2 {
        let line = server.line().unwrap_or_default();
        assert!(line.ends_with("left after 1 events: server shutting down"), "{line}");
    }
    for reader in readers {
        reader.join().expect("a client that is told");
    }
    let line = server.line().unwrap_or_default();
    assert!(line.starts_with("drained: Stats {") && line.contains("sockets: 0"), "{line}");
    assert!(server.end().success());
}

#[test]
#[cfg(unix)]
fn tls_example_takes_a_renewed_certificate_and_keeps_its_connections() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let files = ["tls-example-cert.pem", "tls-example-key.pem"].map(|name| folder.join(name));
    let write = |identity: &Identity| {
        for (file, content) in files.iter().zip([identity.pem(), identity.key_pem()]) {
            fs::write(file, content).expect("a folder to write to");
        }
    };
    let authority = Authority::default();
    let [old, new] = [(); 2].map(|()| authority.issue(&["localhost"]));
    write(&old);
    let mut example = example("enginewire-tokio", "tls");
    let mut server = Running::start(example.args(&files).arg("127.0.0.1:0"));
    let line = server.line().expect("an address");
    let address = line.strip_prefix("listening on ").and_then(|address| address.parse().ok());
    let address = address.expect("the example prints its address");
    // Writes a request that has a response, and gives the certificate.
    let ask = |stream: &mut StreamOwned<ClientConnection, TcpStream>| {
        stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").expect("it is written");
        stream.read_exact(&mut [0; 12]).expect("a response");
        stream.conn.peer_certificates().expect("a certificate")[0].clone()
    };
    let mut before = connect(authority.client(), address, "localhost");
    assert_eq!(ask(&mut before), old.certificate());
    // A certificate without its key changes nothing. What is printed about it goes elsewhere.
    fs::write(&files[0], new.pem()).expect("a folder to write to");
    server.signal(Signal::HUP);
    assert_eq!(ask(&mut connect(authority.client(), address, "localhost")), old.certificate());
    write(&new);
    server.signal(Signal::HUP);
    let line = server.line().unwrap_or_default();
    assert!(line.starts_with("new connections have the certificate of "), "{line}");
    assert_eq!(ask(&mut connect(authority.client(), address, "localhost")), new.certificate());
    assert_eq!(ask(&mut before), old.certificate());
}

#[test]
fn engine_auth_example_opens_sessions_of_known_users_only() {
    let (_server, address) = listening("engine_auth");
    let path = "/engine.io/?EIO=4&transport=polling";
    let mut client = Client::connect(address);
    for (query, message) in [("", "no token"), ("&token=x", "unknown token")] {
        let refused = client.get(&format!("{path}{query}"));
        assert_eq!(refused.status, 401);
        assert!(refused.body.contains(message), "{refused:?}");
    }
    client.write(format!(
        "GET {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer correct-horse\r\n\r\n"
    ));
    let sid = client.opened();
    assert_eq!(client.get(&format!("{path}&sid={sid}")).body, "4hello, ada");
    let mut client = Client::connect(address);
    client.write(Client::upgrade("&token=correct-horse"));
    assert_eq!(client.answer().status, 101);
    assert!(client.text().starts_with("0{"));
    assert_eq!(client.text(), "4hello, ada");
}

#[test]
fn axum_example_serves_pages_and_sockets_of_users_who_have_logged_in() {
    const OPEN: &str = "/socket.io/?EIO=4&transport=polling";

    let mut server = Running::start(example("enginewire-tokio", "axum").arg("0"));
    let line = server.line().expect("an address");
    let address = line.strip_prefix("open http://").and_then(|rest| rest.strip_suffix('/'));
    let address = address.and_then(|address| address.parse().ok()).expect("an address");
    let mut client = Client::connect(address);
    assert!(client.get("/").body.contains("/client/socket.io.min.js"));
    let connect = |client: &mut Client, cookie: &str| {
        client.write(format!("GET {OPEN} HTTP/1.1\r\nHost: a\r\n{cookie}\r\n"));
        let target = format!("{OPEN}&sid={}", client.opened());
        client.request("POST", &target, "40");
        assert_eq!(client.answer().body, "ok");
        (client.get(&target).body, target)
    };
    let (refused, _) = connect(&mut client, "");
    assert_eq!(refused, r#"44{"message":"log in first"}"#);

    let form = "name=Ada";
    client.write(format!(
        "POST /login HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: {}\r\n\r\n{form}",
        form.len()
    ));
    let login = client.answer();
    assert_eq!(login.status, 303);
    let cookie = login.head.lines().find_map(|line| line.strip_prefix("set-cookie: "));
    let cookie = cookie.and_then(|cookie| cookie.split(';').next()).expect("a cookie");
    let (connected, target) = connect(&mut client, &format!("Cookie: {cookie}\r\n"));
    assert!(connected.starts_with("40{"), "{connected}");
    client.request("POST", &target, r#"42["say","hello"]"#);
    assert_eq!(client.answer().body, "ok");
    assert_eq!(client.get(&target).body, r#"42["said","Ada","hello"]"#);
    #[cfg(unix)]
    {
        server.signal(Signal::INT);
        client.get(&target);
        drop(client);
        assert!(server.end().success());
    }
}

#[test]
fn auth_example_knows_users_in_all_their_windows_and_kicks_them() {
    talks("auth");
}

#[test]
fn rooms_example_tells_members_who_comes_and_goes() {
    talks("rooms");
}

#[test]
fn binary_example_shares_files_as_they_were() {
    talks("binary");
}

#[test]
fn typed_example_draws_and_explains_what_it_does_not_know() {
    talks("typed");
}

#[test]
fn handlers_example_is_a_chat() {
    talks("handlers");
}

#[test]
fn chat_client_example_talks_in_the_terminal() {
    let mut server = Running::start(example("enginewire-tokio", "chat").arg("0"));
    let line = server.line().expect("an address");
    let url = line.strip_prefix("open ").expect("the example prints its address");
    let join = |name| Running::start(example("enginewire-tokio", "chat_client").args([name, url]));
    let mut ann = join("Ann");
    assert_eq!(ann.line().as_deref(), Some("* 1 participant here"));
    let mut bob = join("Bob");
    assert_eq!(bob.line().as_deref(), Some("* 2 participants here"));
    assert_eq!(ann.line().as_deref(), Some("* Bob joined, 2 participants here"));
    ann.write("hello");
    assert_eq!(bob.line().as_deref(), Some("Ann: hello"));
    assert!(bob.end().success());
    assert_eq!(ann.line().as_deref(), Some("* Bob left, 1 participant here"));
    ann.write("/quit");
    assert!(ann.end().success());
}

#[test]
fn worker_example_survives_a_restart_of_its_server() {
    let mut server = serve_jobs("127.0.0.1:0", 1);
    let address = server.local_addr().to_string();
    let url = format!("http://{address}");
    let mut worker = Running::start(example("enginewire-tokio", "worker").arg(url));
    for id in 1..3 {
        assert_eq!(worker.line().as_deref(), Some("connected"));
        assert_eq!(worker.line(), Some(format!("job {id}: {}", 10 * id)));
        drop(server);
        let line = worker.line().unwrap_or_default();
        assert!(line.starts_with("lost: transport"), "{line}");
        server = serve_jobs(&address, id + 1);
    }
}

/// A server that gives each worker a job, and answers the result with ten times its id.
fn serve_jobs(address: &str, id: u64) -> Server {
    let io = Io::new();
    let workers = io.namespace("/").authorize(|request| async move {
        let token = request.auth::<BTreeMap<String, String>>();
        match token.ok().and_then(|auth| auth.get("token").cloned()).as_deref() {
            Some("secret") => Ok(()),
            _ => Err("no token".into()),
        }
    });
    let mut bound = None;
    until("the address", || {
        let builder = ServerBuilder::new().socketio(&io);
        bound = soon("a listener", builder.bind(address)).ok();
        bound.is_some()
    });
    Smol::default().spawn(async move {
        workers
            .serve(move |mut socket| async move {
                let job = serde_json::json!({ "id": id, "numbers": [1, 2, 3] });
                let taken = socket.emit_with_ack::<String, _>("job", &job);
                assert_eq!(taken.await.expect("an acknowledgement"), "taken");
                while let Some(mut event) = socket.recv().await {
                    if event.name() == "result" {
                        let result = event.data::<serde_json::Value>().expect("an object");
                        assert_eq!(result["sum"], 6);
                        drop(event.ack().send(&(10 * id).to_string()).await);
                    }
                }
            })
            .await;
    });
    bound.expect("it is bound")
}

#[test]
fn metrics_example_has_the_metrics_that_its_dashboard_shows() {
    let (_server, address) = listening("metrics");
    let mut client = Client::connect(address);
    assert_eq!(client.get("/socket.io/?EIO=5&transport=polling").status, 400);
    client.write(Client::upgrade("").replace("/engine.io/", "/socket.io/"));
    assert_eq!(client.answer().status, 101);
    client.text();
    client.send("40");
    assert!(client.text().starts_with("40{"));
    let scraped = Client::connect(address).get("/metrics").body;
    for line in [
        "# HELP enginewire_sessions_total Sessions opened so far",
        "# TYPE enginewire_sessions_total counter",
        "# TYPE enginewire_socketio_queued_bytes gauge",
        "enginewire_sessions 1",
        "enginewire_sessions_total 1",
        "enginewire_connections 2",
        "enginewire_connections_total 2",
        "enginewire_requests_refused_total 1",
        "enginewire_socketio_sockets 1",
        "enginewire_socketio_namespaces 1",
        "# TYPE enginewire_tls_handshakes gauge",
        "enginewire_tls_handshakes_failed_total 0",
        "enginewire_proxy_headers_failed_total 0",
    ] {
        assert!(scraped.lines().any(|scraped| scraped == line), "{line} is not in:\n{scraped}");
    }
    let dashboard = include_str!("../../runtime-tokio/examples/metrics/dashboard.json");
    let dashboard: serde_json::Value = serde_json::from_str(dashboard).expect("JSON");
    assert_eq!(names(&scraped), names(&dashboard["panels"].to_string()));
}

/// The names of metrics in a text.
fn names(text: &str) -> BTreeSet<&str> {
    let words = text.split(|character: char| !character.is_alphanumeric() && character != '_');
    words.filter(|word| word.starts_with("enginewire_")).collect()
}

/// Has an example of the tokio crate talk to official clients.
fn talks(name: &str) {
    let (_server, address) = listening(name);
    succeed(script("examples.mjs").args([name, &format!("http://{address}")]));
}

#[test]
fn chat_example_serves_its_page_and_the_events_of_the_official_one_on_each_runtime() {
    for (package, name) in [
        ("enginewire-tokio", "chat"),
        ("enginewire-smol", "chat-smol"),
        ("enginewire-async-std", "chat-async-std"),
    ] {
        let mut server = Running::start(example(package, name).arg("0"));
        let line = server.line().expect("an address");
        let url = line.strip_prefix("open ").expect("the example prints its address");
        succeed(script("examples.mjs").args(["chat", url]));
    }
}
