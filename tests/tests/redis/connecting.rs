//! Connecting: errors that say who is to blame, logging in, and TLS.

use std::{
    future::poll_fn,
    io::{Read, Write},
    net::TcpListener,
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::Duration,
};

use enginewire::Reconnect;
use enginewire_cluster::redis::{Redis, RedisBuilder, RedisError, RedisFault};
use enginewire_driver::socketio::{Bus, BusEvent};
use enginewire_tests::{
    client::{soon, until, within},
    host::Host,
    refusing::Refusing,
    test_sockets::recv,
    tls::Authority,
};

use crate::{
    nodes::{Kind, Nodes},
    server::{RedisServer, SECOND_PORT},
};

on_every_runtime!(
    server_that_is_not_there_is_named_in_the_error,
    server_that_is_not_redis_is_told,
    server_that_does_not_respond_is_waited_for_no_longer_than_the_timeout,
    login_that_fails_is_told_without_the_password,
    nodes_log_in_and_select_a_database,
    bus_stays_down_until_it_may_subscribe,
    bus_of_streams_stays_down_until_it_may_read,
    nodes_are_encrypted_and_check_the_certificate,
);

fn fail<R: Host>(url: &str) -> RedisError {
    soon("an error", Redis::<R>::connect(url)).unwrap_err()
}

fn server_that_is_not_there_is_named_in_the_error<R: Host>() {
    let refusing = Refusing::new();
    let address = refusing.address;
    let error = fail::<R>(&format!("redis://:secret@{address}"));
    assert!(matches!(error.fault(), RedisFault::Unreachable(_)), "{error}");
    assert_eq!(error.address(), Some(&*address.to_string()));
    assert!(!format!("{error} {error:?}").contains("secret"), "{error}");
    assert!(matches!(fail::<R>("http://a").fault(), RedisFault::Url(_)));
}

fn server_that_is_not_redis_is_told<R: Host>() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        let responses =
            ["HTTP/1.1 400 Bad Request\r\n\r\n", "-ERR unknown command 'HELLO'\r\n", ""];
        for response in responses {
            let (mut stream, _) = listener.accept().unwrap();
            stream.read_exact(&mut [0]).unwrap();
            stream.write_all(response.as_bytes()).unwrap();
        }
    });
    let faults = [0; 3].map(|_| fail::<R>(&url).fault().clone());
    let [RedisFault::Malformed(_), RedisFault::Outdated, RedisFault::Lost(_)] = faults else {
        panic!("{faults:?}")
    };
    server.join().unwrap();
}

fn server_that_does_not_respond_is_waited_for_no_longer_than_the_timeout<R: Host>() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    let builder = Redis::<R>::builder(&url).connect_timeout(Duration::from_millis(100));
    let error = soon("an error", builder.connect()).unwrap_err();
    let RedisFault::Unreachable(reason) = error.fault() else { panic!("{error}") };
    assert_eq!(reason.kind(), std::io::ErrorKind::TimedOut);
}

fn login_that_fails_is_told_without_the_password<R: Host>() {
    let server = RedisServer::with(&["--requirepass", "right"]);
    let address = server.address();
    for login in ["", ":secret@", "someone:secret@"] {
        let error = fail::<R>(&format!("redis://{login}{address}"));
        assert!(matches!(error.fault(), RedisFault::Refused(_)), "{error}");
        assert!(!format!("{error} {error:?}").contains("secret"), "{error}");
    }
    let error = fail::<R>(&format!("redis://:right@{address}/77"));
    assert!(matches!(error.fault(), RedisFault::Refused(_)), "no such database: {error}");
}

fn nodes_log_in_and_select_a_database<R: Host>() {
    let server = RedisServer::start();
    let rule = ["ACL", "SETUSER", "me", "on", ">p@ss", "~test*", "&test*", "+@all", "-@dangerous"];
    assert_eq!(server.client().command(&rule.map(str::as_bytes)), ["OK"]);
    let url = format!("redis://me:p%40ss@{}/3", server.address());
    let nodes = Nodes::<R>::with(&server, Kind::Streams, &[url.clone(), url], |bus| bus, |io| io);
    let mut anna = nodes.connect(1);
    soon("all", nodes.ios[0].emit("all", &1)).unwrap();
    assert_eq!(recv(&mut anna).0, "all");
    let clients = server.client().command(&[b"CLIENT", b"LIST"]).concat();
    assert_eq!(clients.matches("name=enginewire ").count(), 4, "{clients}");
    assert_eq!(clients.matches(" db=3 ").count(), 4, "{clients}");
}

fn bus_stays_down_until_it_may_subscribe<R: Host>() {
    // A pattern has to be in the rules as it is.
    let rules = ["&socket.io*", "+@all"];
    stays_down_until::<R>(RedisBuilder::classic, &rules, "PSUBSCRIBE", "&socket.io#/#*");
}

fn bus_of_streams_stays_down_until_it_may_read<R: Host>() {
    let rules = ["~*", "&*", "+@all", "-xread"];
    stays_down_until::<R>(RedisBuilder::streams, &rules, "XREAD", "+xread");
}

/// Connects a user whom rules refuse a command, and allows it by another rule.
fn stays_down_until<R: Host>(
    format: impl FnOnce(RedisBuilder<R>) -> RedisBuilder<R>,
    rules: &[&str],
    command: &str,
    rule: &str,
) {
    let server = RedisServer::start();
    let set_user = |rules: &[&str]| {
        let arguments = [&["ACL", "SETUSER", "me"], rules].concat();
        let arguments: Vec<_> = arguments.into_iter().map(str::as_bytes).collect();
        assert_eq!(server.client().command(&arguments), ["OK"]);
    };
    set_user(&[&["on", ">secret"], rules].concat());
    let reconnect = Reconnect::default().with_delay(Duration::from_millis(5));
    let builder = Redis::<R>::builder(&format!("redis://me:secret@{}", server.address()));
    let builder = builder.reconnect(reconnect.with_max_delay(Duration::from_millis(20)));
    let builder = format(builder);
    let mut bus = soon("a connection", builder.connect()).unwrap();
    let monitor = bus.monitor();
    bus.handle_namespace(&"/".into(), true);
    let event = soon("a refusal", poll_fn(|cx| bus.poll_event(cx)));
    let BusEvent::Down(error) = event else { panic!("{event:?}") };
    let error = error.to_string();
    assert!(error.contains(command) && error.contains("ACL"), "{error}");
    assert!(!error.contains("secret"), "{error}");
    until("attempts", || {
        let event = within(Duration::ZERO, poll_fn(|cx| bus.poll_event(cx)));
        assert!(event.is_none() && !monitor.stats().is_up, "{event:?}");
        monitor.stats().connections > 5
    });
    set_user(&[rule]);
    let event = soon("a subscription", poll_fn(|cx| bus.poll_event(cx)));
    assert!(matches!(event, BusEvent::Up) && monitor.stats().is_up, "{event:?}");
}

fn nodes_are_encrypted_and_check_the_certificate<R: Host>() {
    static NUMBER: AtomicU32 = AtomicU32::new(0);

    let authority = Authority::default();
    let identity = authority.issue(&["localhost"]);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let folder =
        std::env::temp_dir().join(format!("enginewire-tls-{}-{number}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = |name: &str, content: String| {
        let path = folder.join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (certificate, key) =
        (file("server.pem", identity.pem()), file("server.key", identity.key_pem()));
    let server = RedisServer::with(&[
        "--tls-port",
        SECOND_PORT,
        "--tls-cert-file",
        &certificate,
        "--tls-key-file",
        &key,
        "--tls-ca-cert-file",
        &certificate,
        "--tls-auth-clients",
        "no",
    ]);
    std::fs::remove_dir_all(&folder).unwrap();
    let url = format!("rediss://localhost:{}", server.argument("--tls-port"));
    let urls = [url.clone(), server.url()];
    let nodes =
        Nodes::<R>::with(&server, Kind::Streams, &urls, |bus| bus.tls(authority.client()), |io| io);
    let [mut anna, mut bert] = [0, 1].map(|node| nodes.connect(node));
    soon("all", nodes.ios[0].emit("all", &1)).unwrap();
    soon("all", nodes.ios[1].emit("all", &2)).unwrap();
    for socket in [&mut anna, &mut bert] {
        let mut numbers = [recv(socket).1, recv(socket).1];
        numbers.sort_unstable();
        assert_eq!(numbers, [1, 2]);
    }

    let stranger = Redis::<R>::builder(&url).tls(Authority::default().client());
    let error = soon("an error", stranger.connect()).unwrap_err();
    assert!(error.to_string().contains("certificate"), "{error}");
}
