//! Sessions with TLS, both sides ours, and what they agree on in the handshake.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::{Duration, SystemTime},
};

use enginewire::{Event, Message, Reconnect, TransportKind};
use enginewire_driver::{
    Client, ClientBuilder, ConnectError, Server, Socket,
    socketio::{ClientBuilder as SioBuilder, Io, Update},
    tls::{
        CertificateFault, ServerTls, TlsFault,
        rustls::{
            ClientConfig, ProtocolVersion,
            server::{ClientHello, ResolvesServerCert},
            sign::CertifiedKey,
            version::TLS12,
        },
    },
};
use enginewire_tests::tls::{Authority, connect, provider, server_builder};

use crate::{
    Host, accept,
    client::{soon, until, within},
    connect::{redirect_to, upgraded},
    serve, serve_echo,
    sockets::run,
    until_empty,
};

on_every_runtime!(
    messages_come_back_over_each_transport,
    large_messages_go_both_ways_at_once,
    slow_reader_slows_its_peer,
    name_chooses_the_certificate_and_is_told,
    replaced_certificate_is_for_new_connections_alone,
    certificate_of_the_client_is_told,
    client_that_is_refused_learns_why,
    certificate_that_is_refused_is_told_with_its_reason,
    version_and_protocol_are_those_of_http_1,
    session_is_resumed_by_the_next_connection,
    redirect_leads_to_a_server_with_tls,
    server_without_tls_is_told_apart,
    sessions_go_on_after_an_expired_certificate_and_end_after_an_unknown_one,
    socket_comes_back_when_the_certificate_was_replaced,
    listener_may_be_plain,
);

const POLLING: [TransportKind; 1] = [TransportKind::Polling];
const WEBSOCKET: [TransportKind; 1] = [TransportKind::WebSocket];
const BOTH: [TransportKind; 2] = [TransportKind::Polling, TransportKind::WebSocket];

/// A client of the server at this address, whose certificate is for it.
fn to<R: Host>(address: SocketAddr, config: Arc<ClientConfig>) -> ClientBuilder<R> {
    Client::builder(&format!("https://{address}")).tls(config)
}

/// An authority, and a server that echoes with a certificate for its address.
fn echo<R: Host>() -> (Authority, Arc<Server>) {
    let authority = Authority::default();
    let config = authority.server(&authority.issue(&["127.0.0.1"]));
    (authority, serve_echo::<R>(|builder| builder.tls(config)))
}

fn assert_echo(client: &mut Socket, message: impl Into<Message>) {
    let message = message.into();
    soon("a send", client.send(message.clone())).unwrap();
    assert_eq!(soon("an echo", client.recv()), Some(message));
}

fn messages_come_back_over_each_transport<R: Host>() {
    let (authority, server) = echo::<R>();
    for scheme in ["https", "wss"] {
        for transports in [&POLLING[..], &WEBSOCKET, &BOTH] {
            let url = format!("{scheme}://{}", server.local_addr());
            let builder = Client::<R>::builder(&url).tls(authority.client());
            let mut client = soon("a session", builder.transports(transports).connect()).unwrap();
            if transports == BOTH {
                upgraded(&mut client);
            }
            assert_echo(&mut client, "hello");
            assert_echo(&mut client, vec![1_u8; 100_000]);
            soon("the end", client.close());
        }
    }
    until_empty(&server);
    assert_eq!(server.tls_stats().in_flight, 0);
}

fn large_messages_go_both_ways_at_once<R: Host>() {
    let (authority, server) = echo::<R>();
    for transports in [POLLING, WEBSOCKET] {
        let builder = to::<R>(server.local_addr(), authority.client()).transports(transports);
        let mut client = soon("a session", builder.connect()).unwrap();
        let sender = client.sender();
        let messages: Vec<Vec<u8>> =
            (1..=12_u8).map(|i| vec![i; 600_000 + usize::from(i)]).collect();
        let sent = messages.clone();
        R::default().spawn(async move {
            for message in sent {
                sender.send(message).await.unwrap();
            }
        });
        for message in messages {
            let echo = soon("an echo", client.recv()).unwrap();
            assert!(echo == message.into(), "another message");
        }
        soon("the end", client.close());
    }
    until_empty(&server);
}

fn slow_reader_slows_its_peer<R: Host>() {
    let authority = Authority::default();
    let config = authority.server(&authority.issue(&["127.0.0.1"]));
    let server = serve::<R>(|builder| builder.tls(config));
    let builder = to::<R>(server.local_addr(), authority.client()).transports(WEBSOCKET);
    let mut client = soon("a session", builder.connect()).unwrap();
    let mut socket = accept(&server);
    let message = Message::from(vec![7_u8; 500_000]);
    // Each side sends until it has to wait, as the other does not read.
    let (up, down) = (client.sender(), socket.sender());
    for (from, to) in [(up, &mut socket), (down, &mut client)] {
        let mut sent = 0;
        while within(Duration::from_millis(200), from.send(message.clone())).is_some() {
            sent += 1;
            assert!(sent < 200, "nothing slows the sender");
        }
        for _ in 0..sent {
            assert!(soon("a message", to.recv()) == Some(message.clone()), "another message");
        }
        // It has taken none of those that were given up.
        soon("a send", from.send("last")).unwrap();
        assert_eq!(soon("the last", to.recv()), Some("last".into()));
    }
}

/// Chooses by the name, and by none if there is none.
#[derive(Debug)]
struct ByName(Vec<(&'static str, Arc<CertifiedKey>)>);

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name()?;
        let found = self.0.iter().find(|(known, _)| *known == name)?;
        Some(Arc::clone(&found.1))
    }
}

fn name_chooses_the_certificate_and_is_told<R: Host>() {
    let authority = Authority::default();
    let names = ["a.test", "b.test"];
    let identities = names.map(|name| (name, authority.issue(&[name])));
    let keys = identities.iter().map(|(name, identity)| (*name, Arc::new(identity.certified())));
    let resolver = Arc::new(ByName(keys.collect()));
    let config = server_builder().with_no_client_auth().with_cert_resolver(resolver);
    let server = serve::<R>(|builder| builder.tls(Arc::new(config)));
    for (name, identity) in &identities {
        let mut client = connect(authority.client(), server.local_addr(), name);
        ask(&mut client, "/engine.io/?EIO=4&transport=polling");
        assert_eq!(client.conn.peer_certificates().unwrap(), [identity.certificate()]);
        let socket = accept(&server);
        let handshake = socket.handshake();
        assert_eq!(handshake.tls().unwrap().server_name.as_deref(), Some(*name));
        assert!(handshake.tls().unwrap().peer_certificates.is_empty());
    }
    // Nobody has such a certificate, and the client is told.
    let mut client = connect(authority.client(), server.local_addr(), "c.test");
    let error = client.write_all(b"a").unwrap_err();
    assert!(error.to_string().contains("AccessDenied"), "{error}");
    until("the failure to be counted", || server.tls_stats().failed == 1);
}

/// Asks for a response, which is 200.
fn ask(stream: &mut (impl Read + Write), target: &str) {
    write!(stream, "GET {target} HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let mut response = [0; 15];
    stream.read_exact(&mut response).unwrap();
    assert_eq!(&response, b"HTTP/1.1 200 OK");
}

fn replaced_certificate_is_for_new_connections_alone<R: Host>() {
    let authority = Authority::default();
    let [old, new] = [(); 2].map(|()| authority.issue(&["127.0.0.1"]));
    let tls = ServerTls::new(authority.server(&old));
    let server = serve_echo::<R>(|builder| builder.tls(tls.clone()));
    let target = "/engine.io/?EIO=4&transport=polling";
    let mut before = connect(authority.client(), server.local_addr(), "127.0.0.1");
    ask(&mut before, target);
    let builder = to::<R>(server.local_addr(), authority.client()).transports(WEBSOCKET);
    let mut session = soon("a session", builder.connect()).unwrap();
    tls.replace(authority.server(&new));
    let mut after = connect(authority.client(), server.local_addr(), "127.0.0.1");
    ask(&mut after, target);
    assert_eq!(before.conn.peer_certificates().unwrap(), [old.certificate()]);
    assert_eq!(after.conn.peer_certificates().unwrap(), [new.certificate()]);
    assert_echo(&mut session, "still there");
}

fn certificate_of_the_client_is_told<R: Host>() {
    let authority = Authority::default();
    let config = authority.server_for_known(&authority.issue(&["127.0.0.1"]));
    let server = serve::<R>(|builder| {
        builder.tls(config).allow_request(|handshake| async move {
            // The application may look before it takes the session.
            let known = handshake.tls().is_some_and(|tls| !tls.peer_certificates.is_empty());
            if known { Ok(()) } else { Err("unknown".into()) }
        })
    });
    let identity = authority.issue(&["client.test"]);
    for transports in [POLLING, WEBSOCKET] {
        let config = authority.client_with(&identity);
        let builder = to::<R>(server.local_addr(), config).transports(transports);
        let client = soon("a session", builder.connect()).unwrap();
        let socket = accept(&server);
        let tls = socket.handshake().tls().unwrap();
        assert_eq!(tls.peer_certificates, [identity.certificate()]);
        assert!(client.handshake().tls().is_none());
    }
}

fn fault(error: ConnectError) -> TlsFault {
    match error {
        ConnectError::Tls { fault, .. } => fault,
        other => panic!("{other}"),
    }
}

fn client_that_is_refused_learns_why<R: Host>() {
    let (authority, other) = (Authority::default(), Authority::default());
    let config = authority.server_for_known(&authority.issue(&["127.0.0.1"]));
    let server = serve::<R>(|builder| builder.tls(config));
    let without = authority.client();
    let mut stranger = (*authority.client_with(&other.issue(&["client.test"]))).clone();
    stranger.resumption = Default::default();
    for (config, alert) in [(without, "CertificateRequired"), (stranger.into(), "UnknownCA")] {
        for transports in [POLLING, WEBSOCKET] {
            let builder = to::<R>(server.local_addr(), Arc::clone(&config)).transports(transports);
            let error = soon("a failure", builder.connect()).unwrap_err();
            assert!(error.is_permanent(), "{error}");
            let expected = format!(
                "no TLS connection to {}: the peer refuses the certificate of this side ({alert})",
                server.local_addr()
            );
            assert_eq!(error.to_string(), expected);
        }
    }
    until("the failures to be counted", || server.tls_stats().failed == 4);
    until_empty(&server);
}

fn certificate_that_is_refused_is_told_with_its_reason<R: Host>() {
    let (authority, other) = (Authority::default(), Authority::default());
    let day = |days: i64| {
        let seconds = days.unsigned_abs() * 86_400;
        let now = SystemTime::now();
        let shift = Duration::from_secs(seconds);
        if days < 0 { now - shift } else { now + shift }
    };
    let address = "127.0.0.1";
    let expired = authority.issue_with(&[address], |params| {
        params.not_before = day(-2).into();
        params.not_after = day(-1).into();
    });
    let early = authority.issue_with(&[address], |params| {
        params.not_before = day(1).into();
        params.not_after = day(2).into();
    });
    let unknown = other.issue(&[address]);
    let elsewhere = authority.issue(&["a.test", "127.0.0.2"]);
    let for_clients = authority.issue_with(&[address], |params| {
        params.extended_key_usages.remove(0);
    });
    let about = |at: Option<SystemTime>, days| {
        let (at, expected) = (at.unwrap(), day(days));
        let off = at.duration_since(expected).or_else(|_| expected.duration_since(at));
        assert!(off.unwrap() < Duration::from_secs(600));
    };
    for (identity, check, permanent) in [
        (
            expired,
            &(|fault| match fault {
                CertificateFault::Expired(at) => about(at, -1),
                fault => panic!("{fault}"),
            }) as &dyn Fn(CertificateFault),
            false,
        ),
        (
            early,
            &|fault| match fault {
                CertificateFault::NotYetValid(at) => about(at, 1),
                fault => panic!("{fault}"),
            },
            false,
        ),
        (unknown, &|fault| assert_eq!(fault, CertificateFault::UnknownIssuer), true),
        (
            elsewhere,
            &|fault| match fault {
                CertificateFault::OtherName(names) => {
                    assert!(names.len() == 2 && names[0].contains("a.test"), "{names:?}");
                    assert!(names[1].contains("127.0.0.2"), "{names:?}");
                }
                fault => panic!("{fault}"),
            },
            true,
        ),
        (for_clients, &|fault| assert_eq!(fault, CertificateFault::Purpose), true),
    ] {
        let config = authority.server(&identity);
        let server = serve::<R>(|builder| builder.tls(config));
        for transports in [POLLING, WEBSOCKET] {
            let builder = to::<R>(server.local_addr(), authority.client()).transports(transports);
            let error = soon("a failure", builder.connect()).unwrap_err();
            let text = error.to_string();
            assert!(text.starts_with(&format!("no TLS connection to {}", server.local_addr())));
            assert_eq!(error.is_permanent(), permanent, "{text}");
            match fault(error) {
                TlsFault::Certificate(fault) => check(fault),
                fault => panic!("{fault}"),
            }
        }
        // It is the clients that have refused.
        until("the failures to be counted", || server.tls_stats().failed == 2);
        until_empty(&server);
    }
}

fn version_and_protocol_are_those_of_http_1<R: Host>() {
    let authority = Authority::default();
    let mut config = (*authority.server(&authority.issue(&["127.0.0.1"]))).clone();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let server = serve::<R>(|builder| builder.tls(Arc::new(config)));
    let target = "/engine.io/?EIO=4&transport=polling";
    let with = |protocols: &[&[u8]]| {
        let mut config = (*authority.client()).clone();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        connect(Arc::new(config), server.local_addr(), "127.0.0.1")
    };
    for (offers, selected) in [
        (&[&b"h2"[..], b"http/1.1"][..], Some(&b"http/1.1"[..])),
        (&[b"http/1.1"], Some(b"http/1.1")),
        (&[], None),
    ] {
        let mut client = with(offers);
        ask(&mut client, target);
        assert_eq!(client.conn.alpn_protocol(), selected);
        let socket = accept(&server);
        let tls = socket.handshake().tls().unwrap();
        assert_eq!(tls.alpn_protocol.as_deref(), selected);
        assert_eq!(tls.version, Some(ProtocolVersion::TLSv1_3));
        assert!(tls.cipher_suite.is_some());
    }
    let error = with(&[b"h2"]).write_all(b"a").unwrap_err();
    assert!(error.to_string().contains("NoApplicationProtocol"), "{error}");

    // Our client offers the same, whatever it is given, and speaks TLS 1.2 as well.
    let builder = ClientConfig::builder_with_provider(provider());
    let builder = builder.with_protocol_versions(&[&TLS12]).unwrap();
    let mut config = builder.with_root_certificates(authority.roots()).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let client = soon("a session", to::<R>(server.local_addr(), config.into()).connect());
    let socket = accept(&server);
    let tls = socket.handshake().tls().unwrap();
    assert_eq!(tls.alpn_protocol.as_deref(), Some(&b"http/1.1"[..]));
    assert_eq!(tls.version, Some(ProtocolVersion::TLSv1_2));
    drop(client.unwrap());
}

fn session_is_resumed_by_the_next_connection<R: Host>() {
    let authority = Authority::default();
    let (handshakes, seen) = std::sync::mpsc::channel();
    let config = authority.server(&authority.issue(&["127.0.0.1"]));
    let server = serve::<R>(|builder| {
        builder.tls(config).handler(move |mut socket, _| {
            handshakes.send(socket.handshake().tls().unwrap().resumed).unwrap();
            async move {
                while let Some(message) = socket.recv().await {
                    let _ = socket.send(message).await;
                }
            }
        })
    });
    let builder = to::<R>(server.local_addr(), authority.client()).transports(WEBSOCKET);
    let client = builder.build().unwrap();
    for resumed in [false, true, true] {
        let mut session = soon("a session", client.open()).unwrap();
        // Tickets come with what the server sends first.
        assert_echo(&mut session, "hello");
        soon("the end", session.close());
        assert_eq!(seen.recv_timeout(Duration::from_secs(20)), Ok(resumed));
    }
}

fn redirect_leads_to_a_server_with_tls<R: Host>() {
    let (authority, server) = echo::<R>();
    let address = redirect_to(&format!("https://{}/engine.io/", server.local_addr()));
    let builder = Client::<R>::builder(&format!("http://{address}")).tls(authority.client());
    let mut client = soon("a session", builder.connect()).unwrap();
    upgraded(&mut client);
    assert_echo(&mut client, "hello");
    assert_eq!(client.peer_addr(), server.local_addr());
    // The default trusts no such authority. A machine without any certificates has no default.
    let builder = Client::<R>::builder(&format!("http://{address}"));
    let text = soon("a failure", builder.connect()).unwrap_err().to_string();
    let expected = ["no trusted authority has signed it", "the server redirects to https"];
    assert!(expected.iter().any(|expected| text.contains(expected)), "{text}");
}

fn server_without_tls_is_told_apart<R: Host>() {
    let authority = Authority::default();
    let server = serve::<R>(|builder| builder);
    for transports in [POLLING, WEBSOCKET] {
        let builder = to::<R>(server.local_addr(), authority.client()).transports(transports);
        let error = soon("a failure", builder.connect()).unwrap_err();
        assert!(error.is_permanent(), "{error}");
        assert!(matches!(fault(error), TlsFault::NotTls));
    }
    // One that is not there is a matter of the network.
    let address = server.local_addr();
    soon("the end", server.close());
    drop(server);
    let error = soon("a failure", to::<R>(address, authority.client()).connect()).unwrap_err();
    assert!(matches!(error, ConnectError::Session { .. }) && !error.is_permanent(), "{error}");
}

fn sessions_go_on_after_an_expired_certificate_and_end_after_an_unknown_one<R: Host>() {
    let (authority, other) = (Authority::default(), Authority::default());
    let expired = authority.issue_with(&["127.0.0.1"], |params| {
        params.not_after = (SystemTime::now() - Duration::from_secs(86_400)).into();
    });
    let tls = ServerTls::new(authority.server(&expired));
    let server = serve_echo::<R>(|builder| builder.tls(tls.clone()));
    let quick = Reconnect::default().with_delay(Duration::from_millis(1));
    let builder = to::<R>(server.local_addr(), authority.client()).reconnect(quick);
    let mut sessions = builder.transports(WEBSOCKET).build().unwrap().sessions();
    let error = soon("a failure", sessions.next()).unwrap().unwrap_err();
    assert!(error.to_string().contains("it has expired on "), "{error}");
    // The certificate is renewed.
    tls.replace(authority.server(&authority.issue(&["127.0.0.1"])));
    let session = soon("a session", sessions.next()).unwrap().unwrap();
    // Then it is replaced by one that nobody knows, and the session lost.
    tls.replace(other.server(&other.issue(&["127.0.0.1"])));
    for sender in server.senders() {
        soon("its end", sender.close());
    }
    let error = soon("a failure", sessions.next()).unwrap().unwrap_err();
    assert!(error.to_string().contains("no trusted authority has signed it"), "{error}");
    assert!(soon("the end", sessions.next()).is_none());
    drop(session);
}

fn socket_comes_back_when_the_certificate_was_replaced<R: Host>() {
    let (authority, other) = (Authority::default(), Authority::default());
    let io = Io::new();
    run::<R, _>(&io, "/", |mut socket| async move {
        while let Some(event) = socket.recv().await {
            let _ = socket.forward(&event).await;
        }
    });
    let tls = ServerTls::new(other.server(&other.issue(&["127.0.0.1"])));
    let server = serve::<R>(|builder| builder.socketio(&io).tls(tls.clone()));
    let quick = Reconnect::default().with_delay(Duration::from_millis(1));
    let url = format!("https://{}", server.local_addr());
    let builder = SioBuilder::on(R::default(), &url).tls(authority.client()).reconnect(quick);
    let client = builder.build().unwrap();
    let mut socket = client.open().unwrap();
    let error = loop {
        if let Some(Update::Failed(error)) = soon("an update", socket.next()) {
            break error;
        }
    };
    let unknown = TlsFault::Certificate(CertificateFault::UnknownIssuer).to_string();
    assert_eq!(fault(error).to_string(), unknown);
    tls.replace(authority.server(&authority.issue(&["127.0.0.1"])));
    while !matches!(soon("an update", socket.next()), Some(Update::Connected { .. })) {}
    soon("an event", socket.emit("a", &1)).unwrap();
    let event = loop {
        if let Some(Update::Event(event)) = soon("an update", socket.next()) {
            break event;
        }
    };
    assert_eq!(event.data::<u32>().unwrap(), 1);
}

fn listener_may_be_plain<R: Host>() {
    let authority = Authority::default();
    let config = authority.server(&authority.issue(&["127.0.0.1"]));
    let runtime = R::default();
    let bind = || soon("a listener", runtime.bind((Ipv4Addr::LOCALHOST, 0).into())).unwrap();
    let builder = enginewire_driver::ServerBuilder::on(R::default()).tls(config);
    let server = builder.listener(bind()).plain_listener(bind()).start().unwrap();
    let [secure, plain] = *server.local_addrs() else { panic!() };
    let client = soon("a session", to::<R>(secure, authority.client()).connect()).unwrap();
    assert!(accept(&server).handshake().tls().is_some());
    let url = format!("http://{plain}");
    let other = soon("a session", Client::<R>::connect(&url)).unwrap();
    let mut socket = accept(&server);
    assert!(socket.handshake().tls().is_none());
    soon("a send", other.send("hello")).unwrap();
    let message = loop {
        match soon("an event", socket.recv_event()) {
            Some(Event::Message(message)) => break message,
            Some(_) => {}
            None => panic!("the end"),
        }
    };
    assert_eq!(message, "hello".into());
    drop(client);
}
