//! Clients behind an HTTP proxy, which does what each test has it do.

use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

use enginewire::{CloseReason, Event, ProxyFault, Reconnect, TransportFault, TransportKind};
use enginewire_driver::{
    Client, ClientBuilder, ConnectError, Stream,
    socketio::{ClientBuilder as SioBuilder, Io, Update},
};
use enginewire_tests::{refusing::Refusing, tls::Authority};

use crate::{
    Host, accept,
    client::{soon, until, within},
    serve, serve_echo,
    sockets::run,
    until_empty,
};

on_every_runtime!(
    session_goes_by_the_proxy_on_each_transport,
    credentials_are_for_the_proxy_alone,
    proxy_that_refuses_is_named_and_not_the_server,
    proxy_that_is_not_there_is_named,
    proxy_that_says_nothing_is_given_up_with_the_session,
    session_stays_on_polling_where_the_proxy_opens_no_tunnel,
    tunnel_is_encrypted_for_the_server,
    tunnel_leads_to_a_server_with_tls,
    exceptions_are_connected_to_directly,
    redirect_is_followed_by_the_proxy,
    socket_comes_back_by_the_proxy,
    address_that_is_no_proxy_is_an_error,
);

/// What a proxy does with a request.
#[derive(Clone, Copy)]
enum Rule {
    /// Takes it where it wants to go.
    Pass,
    /// Responds with status 407, unless the request has the credentials `u:w`.
    Ask,
    /// Responds with this status to CONNECT, and passes everything else.
    NoTunnel(u16),
    /// Does not respond.
    Stall,
}

/// A proxy on a port of its own, with threads for each connection.
struct Proxy {
    address: SocketAddr,
    /// Heads of requests, as they came.
    heads: Arc<Mutex<Vec<String>>>,
    /// Both ends of all connections.
    open: Arc<Mutex<Vec<TcpStream>>>,
}

impl Proxy {
    fn start(rule: Rule) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let (heads, open) = <(Arc<Mutex<Vec<_>>>, Arc<Mutex<Vec<_>>>)>::default();
        let proxy = Self { address, heads: Arc::clone(&heads), open: Arc::clone(&open) };
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let (heads, open) = (Arc::clone(&heads), Arc::clone(&open));
                open.lock().unwrap().push(client.try_clone().unwrap());
                thread::spawn(move || {
                    let mut server = None;
                    // An end of either side ends both.
                    let _ = serve_proxy(&client, &mut server, rule, &heads, &open);
                    for end in server.iter().chain([&client]) {
                        let _ = end.shutdown(Shutdown::Both);
                    }
                });
            }
        });
        proxy
    }

    fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }

    /// The methods of all requests so far, each once.
    fn methods(&self) -> Vec<String> {
        let mut methods: Vec<_> =
            self.heads().iter().map(|head| head.split(' ').next().unwrap().to_owned()).collect();
        methods.sort();
        methods.dedup();
        methods
    }

    fn cut(&self) {
        for end in self.open.lock().unwrap().drain(..) {
            let _ = end.shutdown(Shutdown::Both);
        }
    }

    fn builder<R: Host>(&self, server: SocketAddr) -> ClientBuilder<R> {
        Client::builder(&format!("http://{server}")).proxy(&format!("http://{}", self.address))
    }
}

fn serve_proxy(
    mut client: &TcpStream,
    server: &mut Option<TcpStream>,
    rule: Rule,
    heads: &Mutex<Vec<String>>,
    open: &Mutex<Vec<TcpStream>>,
) -> io::Result<()> {
    loop {
        let head = read_head(client)?;
        heads.lock().unwrap().push(head.clone());
        let connects = head.starts_with("CONNECT ");
        let refusal = match rule {
            Rule::Ask if !head.contains("Proxy-Authorization: Basic dTp3\r\n") => Some(407),
            Rule::NoTunnel(status) if connects => Some(status),
            Rule::Stall => return client.read(&mut [0]).map(drop),
            _ => None,
        };
        if let Some(status) = refusal {
            write!(client, "HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n")?;
            continue;
        }
        let target = head.split(' ').nth(1).unwrap();
        let authority = target.strip_prefix("http://").unwrap_or(target).split('/').next().unwrap();
        if server.is_none() {
            let Ok(to) = TcpStream::connect(authority) else {
                let mark = "X-Squid-Error: ERR_CONNECT_FAIL 111";
                return write!(client, "HTTP/1.1 502 No\r\n{mark}\r\nContent-Length: 0\r\n\r\n");
            };
            open.lock().unwrap().push(to.try_clone()?);
            let (from, back) = (to.try_clone()?, client.try_clone()?);
            thread::spawn(move || copy(&from, &back));
            *server = Some(to);
        }
        let mut to = server.as_ref().unwrap();
        if connects {
            client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
            return copy(client, to);
        }
        let path = target.strip_prefix("http://").unwrap().split_once('/').unwrap().1;
        to.write_all(head.replacen(target, &format!("/{path}"), 1).as_bytes())?;
        let length = head.split("Content-Length: ").nth(1);
        let length = length.map_or(0, |rest| rest.split("\r\n").next().unwrap().parse().unwrap());
        let mut body = vec![0; length];
        client.read_exact(&mut body)?;
        to.write_all(&body)?;
    }
}

fn read_head(mut stream: &TcpStream) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    Ok(String::from_utf8(head).unwrap())
}

fn copy(mut from: &TcpStream, mut to: &TcpStream) -> io::Result<()> {
    io::copy(&mut from, &mut to)?;
    to.shutdown(Shutdown::Both)
}

const POLLING: &[TransportKind] = &[TransportKind::Polling];
const WEBSOCKET: &[TransportKind] = &[TransportKind::WebSocket];
const BOTH: &[TransportKind] = &[TransportKind::Polling, TransportKind::WebSocket];

fn session_goes_by_the_proxy_on_each_transport<R: Host>() {
    let server = serve_echo::<R>(|builder| builder);
    for (transports, methods) in
        [(POLLING, &["GET", "POST"][..]), (WEBSOCKET, &["CONNECT"]), (BOTH, &["CONNECT", "GET"])]
    {
        let proxy = Proxy::start(Rule::Pass);
        let builder = proxy.builder::<R>(server.local_addr()).transports(transports);
        let mut socket = soon("a session", builder.connect()).unwrap();
        assert_eq!(socket.peer_addr(), proxy.address);
        if transports == BOTH {
            assert_eq!(soon("the upgrade", socket.recv_event()), Some(Event::Upgraded));
        }
        for text in ["hello", &"x".repeat(100_000)] {
            soon("a send", socket.send(text)).unwrap();
            assert_eq!(soon("an echo", socket.recv()), Some(text.into()));
        }
        assert_eq!(soon("the end", socket.close()), CloseReason::ForcedClose);
        let heads = proxy.heads();
        assert!(
            methods.iter().all(|method| proxy.methods().contains(&(*method).into())),
            "{heads:?}"
        );
        let authority = server.local_addr().to_string();
        for head in heads {
            let target = head.split(' ').nth(1).unwrap();
            let whole = target.starts_with(&format!("http://{authority}/engine.io/?"));
            assert!(
                if head.starts_with("CONNECT") { target == authority } else { whole },
                "{head}"
            );
        }
    }
    until_empty(&server);
}

fn credentials_are_for_the_proxy_alone<R: Host>() {
    let server = serve::<R>(|builder| builder);
    for (transports, tunnels) in [(WEBSOCKET, false), (POLLING, true)] {
        let proxy = Proxy::start(Rule::Ask);
        let builder = proxy.builder::<R>(server.local_addr()).transports(transports);
        let error = soon("an error", builder.connect()).unwrap_err();
        assert!(
            error.is_permanent() && error.to_string().contains("asks for credentials"),
            "{error}"
        );

        let url = format!("http://u:w@{}", proxy.address);
        let builder = Client::<R>::builder(&format!("http://{}", server.local_addr())).proxy(&url);
        let builder = builder.config(|config| config.proxies.always_tunnel = tunnels);
        let client = soon("a session", builder.transports(transports).connect()).unwrap();
        let socket = accept(&server);
        assert_eq!(socket.handshake().header("proxy-authorization"), None);
        drop(client);

        let url = format!("http://u:wrong@{}", proxy.address);
        let builder = proxy.builder::<R>(server.local_addr()).proxy(&url).transports(transports);
        let error = soon("an error", builder.connect()).unwrap_err();
        assert!(error.to_string().contains("does not take the credentials"), "{error}");
        assert!(!error.to_string().contains("wrong"), "{error}");
    }
}

fn proxy_fault(error: ConnectError) -> ProxyFault {
    let text = error.to_string();
    let ConnectError::Session { reason, .. } = error else { panic!("{text}") };
    let CloseReason::TransportError(TransportFault::Proxy(fault)) = reason else {
        panic!("{text}")
    };
    fault
}

fn proxy_that_refuses_is_named_and_not_the_server<R: Host>() {
    let server = serve::<R>(|builder| builder);
    let proxy = Proxy::start(Rule::NoTunnel(403));
    let builder = proxy.builder::<R>(server.local_addr()).transports(WEBSOCKET);
    let error = soon("an error", builder.connect()).unwrap_err();
    assert_eq!(proxy_fault(error), ProxyFault::Refused(403));
    // The proxy is there, and the server is not.
    let refusing = Refusing::new();
    let proxy = Proxy::start(Rule::Pass);
    for transports in [POLLING, WEBSOCKET] {
        let builder = proxy.builder::<R>(refusing.address).transports(transports);
        let error = soon("an error", builder.connect()).unwrap_err();
        assert!(!error.is_permanent());
        assert_eq!(proxy_fault(error), ProxyFault::ServerUnreachable(502));
    }
}

fn proxy_that_is_not_there_is_named<R: Host>() {
    let server = serve::<R>(|builder| builder);
    let refusing = Refusing::new();
    let nowhere = refusing.address;
    for transports in [POLLING, WEBSOCKET] {
        let builder = Client::<R>::builder(&format!("http://{}", server.local_addr()));
        let builder = builder.proxy(&nowhere.to_string()).transports(transports);
        let error = soon("an error", builder.connect()).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("no connection to the proxy"), "{text}");
        assert!(text.contains(&nowhere.to_string()), "{text}");
        assert_eq!(proxy_fault(error), ProxyFault::Unreachable);
    }
}

fn proxy_that_says_nothing_is_given_up_with_the_session<R: Host>() {
    let server = serve::<R>(|builder| builder);
    let proxy = Proxy::start(Rule::Stall);
    let builder = proxy.builder::<R>(server.local_addr()).transports(WEBSOCKET);
    let builder = builder.open_timeout(Duration::from_millis(50));
    let error = soon("an error", builder.connect()).unwrap_err();
    assert_eq!(proxy_fault(error), ProxyFault::Timeout);
}

fn session_stays_on_polling_where_the_proxy_opens_no_tunnel<R: Host>() {
    let server = serve_echo::<R>(|builder| builder);
    let proxy = Proxy::start(Rule::NoTunnel(403));
    let mut socket = soon("a session", proxy.builder::<R>(server.local_addr()).connect()).unwrap();
    until("the refusal of the tunnel", || proxy.methods().contains(&"CONNECT".into()));
    for i in 0..20 {
        soon("a send", socket.send(i.to_string())).unwrap();
        assert_eq!(soon("an echo", socket.recv()), Some(i.to_string().into()));
    }
    assert_eq!(socket.transport(), TransportKind::Polling);
}

fn tunnel_is_encrypted_for_the_server<R: Host>() {
    let server = serve_echo::<R>(|builder| builder);
    let proxy = Proxy::start(Rule::Pass);
    let secure = format!("https://{}", server.local_addr());
    let plain = format!("http://{}", proxy.address);
    let builder = Client::<R>::builder(&secure).proxy(&plain).encryptor(no_tls);
    let error = soon("an error", builder.connect()).unwrap_err();
    assert!(error.to_string().contains("no connection to the server: bad certificate"), "{error}");
    // By the proxy, and without it.
    for by_proxy in [true, false] {
        for transports in [POLLING, WEBSOCKET, BOTH] {
            let encrypted = Arc::new(AtomicUsize::new(0));
            let (counted, expected) = (Arc::clone(&encrypted), secure.clone());
            let mut builder = Client::<R>::builder(&secure).transports(transports);
            if by_proxy {
                builder = builder.proxy(&plain);
            }
            let builder = builder.encryptor(move |stream, url| {
                assert_eq!(format!("{url:?}"), format!("{expected}/"));
                counted.fetch_add(1, SeqCst);
                async move { Ok(stream) }
            });
            let mut socket = soon("a session", builder.connect()).unwrap();
            soon("a send", socket.send("hello")).unwrap();
            assert_eq!(soon("an echo", socket.recv()), Some("hello".into()));
            assert!(encrypted.load(SeqCst) > 0);
            let expected = if by_proxy { proxy.address } else { server.local_addr() };
            assert_eq!(socket.peer_addr(), expected);
        }
    }
    assert_eq!(proxy.methods(), ["CONNECT"]);
}

fn tunnel_leads_to_a_server_with_tls<R: Host>() {
    let authority = Authority::default();
    let config = authority.server(&authority.issue(&["127.0.0.1"]));
    let server = serve_echo::<R>(|builder| builder.tls(config));
    let proxy = Proxy::start(Rule::Pass);
    let url = format!("https://{}", server.local_addr());
    let builder = || Client::<R>::builder(&url).proxy(&format!("http://{}", proxy.address));
    for transports in [POLLING, WEBSOCKET, BOTH] {
        let builder = builder().tls(authority.client()).transports(transports);
        let mut socket = soon("a session", builder.connect()).unwrap();
        soon("a send", socket.send("hello")).unwrap();
        assert_eq!(soon("an echo", socket.recv()), Some("hello".into()));
    }
    // It is the server's certificate that is refused, and not the proxy.
    let stranger = builder().tls(Authority::default().client());
    match soon("an error", stranger.connect()).unwrap_err() {
        ConnectError::Tls { to, fault } => {
            assert_eq!(to, server.local_addr().to_string());
            assert!(fault.is_permanent(), "{fault}");
        }
        other => panic!("{other}"),
    }
    assert_eq!(proxy.methods(), ["CONNECT"]);
}

async fn no_tls(stream: Box<dyn Stream>, _: enginewire::Url) -> io::Result<Box<dyn Stream>> {
    drop(stream);
    Err(io::Error::other("bad certificate"))
}

fn exceptions_are_connected_to_directly<R: Host>() {
    let server = serve::<R>(|builder| builder);
    let proxy = Proxy::start(Rule::Pass);
    let builder = proxy.builder::<R>(server.local_addr()).no_proxy("example.org, 127.0.0.0/8");
    let socket = soon("a session", builder.connect()).unwrap();
    assert_eq!(socket.peer_addr(), server.local_addr());
    assert!(proxy.heads().is_empty());
}

fn redirect_is_followed_by_the_proxy<R: Host>() {
    let server = serve_echo::<R>(|builder| builder);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let first = listener.local_addr().unwrap();
    let to = server.local_addr();
    let redirecting = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        read_head(&stream).unwrap();
        let head = format!(
            "HTTP/1.1 307 x\r\nLocation: http://{to}/engine.io/\r\nSet-Cookie: a=1; Path=/\r\n\
             Content-Length: 0\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
    });
    let proxy = Proxy::start(Rule::Pass);
    let mut socket = soon("a session", proxy.builder::<R>(first).connect()).unwrap();
    redirecting.join().unwrap();
    assert_eq!(soon("the upgrade", socket.recv_event()), Some(Event::Upgraded));
    soon("a send", socket.send("hello")).unwrap();
    assert_eq!(soon("an echo", socket.recv()), Some("hello".into()));
    let heads = proxy.heads();
    assert!(heads[0].starts_with(&format!("GET http://{first}/engine.io/?")), "{heads:?}");
    // Cookies know no ports (RFC 6265 section 8.5).
    assert!(heads[1].starts_with(&format!("GET http://{to}/engine.io/?")), "{heads:?}");
    assert!(heads[1].contains("\r\nCookie: a=1\r\n"), "{heads:?}");
    let tunnel = format!("CONNECT {to} ");
    assert!(heads.iter().any(|head| head.starts_with(&tunnel)), "{heads:?}");
}

fn socket_comes_back_by_the_proxy<R: Host>() {
    let io = Io::new();
    run::<R, _>(&io, "/", |mut socket| async move {
        while let Some(event) = socket.recv().await {
            let _ = socket.forward(&event).await;
        }
    });
    let server = serve::<R>(|builder| builder.socketio(&io));
    let proxy = Proxy::start(Rule::Pass);
    let quick = Reconnect::default().with_delay(Duration::from_millis(20));
    let builder = SioBuilder::on(R::default(), &format!("http://{}", server.local_addr()));
    let builder = builder.proxy(&format!("http://{}", proxy.address)).reconnect(quick);
    let mut socket = soon("a connection", builder.connect()).unwrap();
    for round in 0..3 {
        soon("an event", socket.emit("a", &round)).unwrap();
        assert_eq!(soon("its echo", socket.recv()).unwrap().data::<u32>().unwrap(), round);
        // A connection that is being opened may not be the proxy's to cut yet.
        until("the loss", || {
            proxy.cut();
            let update = within(Duration::from_millis(50), socket.next());
            matches!(update, Some(Some(Update::Disconnected { .. })))
        });
        let is_back = |update| matches!(update, Some(Update::Connected { .. }));
        while !is_back(soon("the connection", socket.next())) {}
    }
    assert!(proxy.methods().contains(&"CONNECT".into()));
}

fn address_that_is_no_proxy_is_an_error<R: Host>() {
    for address in ["socks5://127.0.0.1:1080", "https://127.0.0.1", "", "a b"] {
        let error = Client::<R>::builder("http://localhost").proxy(address).build().unwrap_err();
        assert!(matches!(error, ConnectError::Proxy { variable: None, .. }), "{address}: {error}");
        assert!(error.is_permanent());
    }
}
