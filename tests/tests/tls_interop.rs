//! Others' TLS: Node's clients and `openssl s_client` against our servers, Node's servers against our clients, on each
//! runtime.
//!
//! `cargo test -p enginewire-tests --features interop`, once `npm ci` has been run in `tests/js`.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
};

use enginewire_async_std::AsyncStd;
use enginewire_driver::{
    Client, Message, Runtime, Server, ServerBuilder, TransportKind,
    socketio::{ClientBuilder, Io},
};
use enginewire_smol::Smol;
use enginewire_tests::{
    client::soon,
    process::{Running, script, succeed},
    tls::{Authority, Identity},
};
use enginewire_tokio::Tokio;

/// A test on each runtime: a function of the runtime.
macro_rules! on_every_runtime {
    ($($test:ident),+) => {
        $(mod $test {
            #[test]
            fn tokio() {
                let runtime = tokio::runtime::Runtime::new().unwrap();
                let _context = runtime.enter();
                super::$test::<super::Tokio>("tokio");
            }

            #[test]
            fn smol() {
                super::$test::<super::Smol>("smol");
            }

            #[test]
            fn async_std() {
                super::$test::<super::AsyncStd>("async-std");
            }
        })+
    };
}

on_every_runtime!(
    node_clients_talk_to_our_servers,
    our_clients_talk_to_node_servers,
    openssl_verifies_our_server
);

/// A file for another program; it has the name of the test.
fn file(test: &str, name: &str, content: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("tls-{test}-{name}.pem"));
    fs::write(&path, content).unwrap();
    path
}

/// A server of Engine.IO that echoes.
fn engine<R: Runtime + Default>(authority: &Authority, identity: &Identity) -> Server {
    let builder = ServerBuilder::on(R::default()).tls(authority.server(identity));
    let builder = builder.allow_eio3(true).handler(|mut socket, _| async move {
        while let Some(message) = socket.recv().await {
            let _ = socket.send(message).await;
        }
    });
    soon("a listener", builder.bind("127.0.0.1:0")).unwrap()
}

fn node_clients_talk_to_our_servers<R: Runtime + Default>(runtime: &str) {
    let authority = Authority::default();
    let identity = authority.issue(&["127.0.0.1"]);
    let engine = engine::<R>(&authority, &identity);
    let io = Io::new();
    let namespace = io.namespace("/");
    R::default().spawn(async move {
        let echo = |mut socket: enginewire_driver::socketio::Socket| async move {
            while let Some(event) = socket.recv().await {
                let _ = socket.forward(&event).await;
            }
        };
        namespace.serve(echo).await;
    });
    let builder = ServerBuilder::on(R::default()).socketio(&io).tls(authority.server(&identity));
    let socketio = soon("a listener", builder.bind("127.0.0.1:0")).unwrap();
    let mut node = script("tls.mjs");
    for server in [&engine, &socketio] {
        node.arg(format!("https://{}", server.local_addr()));
    }
    succeed(node.arg(file(runtime, "clients-ca", &authority.pem())));
    assert!(engine.tls_stats().completed >= 6);
    assert!(socketio.tls_stats().failed >= 2, "two have refused the certificate");
}

fn our_clients_talk_to_node_servers<R: Runtime + Default>(runtime: &str) {
    let authority = Authority::default();
    let identity = authority.issue(&["127.0.0.1"]);
    let certificate = file(runtime, "server-cert", &identity.pem());
    let key = file(runtime, "server-key", &identity.key_pem());
    let mut server = Running::start(script("tls-server.mjs").args([certificate, key]));
    let url = format!("https://127.0.0.1:{}", server.line().unwrap());
    let (polling, websocket) = (TransportKind::Polling, TransportKind::WebSocket);
    let config = authority.client();
    for transports in [&[polling][..], &[websocket], &[polling, websocket]] {
        let builder = Client::<R>::builder(&url).tls(Arc::clone(&config)).transports(transports);
        let mut socket = soon("a session", builder.connect()).unwrap();
        for message in ["hello".into(), Message::from(vec![7_u8; 500_000])] {
            soon("a send", socket.send(message.clone())).unwrap();
            assert!(soon("an echo", socket.recv()) == Some(message), "another message");
        }
        soon("the end", socket.close());

        let builder = ClientBuilder::on(R::default(), &url).tls(Arc::clone(&config));
        let mut socket = soon("a socket", builder.transports(transports).connect()).unwrap();
        soon("an event", socket.emit("echo", "hello")).unwrap();
        let event = soon("its echo", socket.recv()).unwrap();
        assert_eq!(event.data::<&str>().unwrap(), "hello");
    }
    let builder = Client::<R>::builder(&url).tls(Authority::default().client());
    let error = soon("a failure", builder.connect()).unwrap_err();
    assert!(error.to_string().contains("no trusted authority has signed it"), "{error}");
}

fn openssl_verifies_our_server<R: Runtime + Default>(runtime: &str) {
    let authority = Authority::default();
    let server = engine::<R>(&authority, &authority.issue(&["a.test"]));
    let ca = file(runtime, "openssl-ca", &authority.pem());
    for version in ["-tls1_2", "-tls1_3"] {
        let mut openssl = Command::new("openssl");
        let address = server.local_addr().to_string();
        openssl.args(["s_client", version, "-ign_eof", "-alpn", "h2,http/1.1"]);
        openssl.args(["-connect", &address, "-servername", "a.test", "-verify_hostname", "a.test"]);
        openssl.arg("-verify_return_error").arg("-CAfile").arg(&ca);
        let pipes = openssl.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut openssl = pipes.spawn().unwrap();
        let request = "GET /engine.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: a.test\r\n\
                       Connection: close\r\n\r\n";
        openssl.stdin.as_mut().unwrap().write_all(request.as_bytes()).unwrap();
        let output = openssl.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        // It fails if the end comes without `close_notify`.
        assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
        for expected in ["Verify return code: 0 (ok)", "ALPN protocol: http/1.1", r#"0{"sid":"#] {
            assert!(text.contains(expected), "{expected}: {text}");
        }
    }
}
