//! HTTP/2: polling, and WebSockets by extended CONNECT (RFC 8441).

use std::net::SocketAddr;

use enginewire_tests::client::{Client, soon, until};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::{
    Response,
    body::{Bytes, Incoming},
    client::conn::http2::{self, SendRequest},
    ext::Protocol,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{Fixture, RUNTIME};

type Http2 = SendRequest<Full<Bytes>>;

#[test]
fn session_is_polled_on_one_connection_of_http_2() {
    let fixture = Fixture::layered(|builder| builder);
    RUNTIME.block_on(async {
        let mut client = connect(fixture.address).await;
        let sid = open(&mut client).await;
        let mut socket = fixture.server.accept().await.unwrap();
        let poll = client.send_request(to(&sid, Method::GET, ""));
        let post = client.send_request(to(&sid, Method::POST, "4up"));
        assert_eq!(post.await.unwrap().status(), 200);
        assert_eq!(socket.recv().await.unwrap().as_text(), Some("up"));
        socket.send("down").await.unwrap();
        assert_eq!(text(poll.await.unwrap()).await, "4down");
    });
}

#[test]
fn stream_that_is_reset_during_a_poll_ends_its_session() {
    let fixture = Fixture::layered(|builder| builder);
    let mut client = RUNTIME.block_on(connect(fixture.address));
    let sid = RUNTIME.block_on(open(&mut client));
    let mut socket = fixture.accept();
    let poll = RUNTIME.spawn(client.send_request(to(&sid, Method::GET, "")));
    until("the poll", || fixture.server.connections() == 1);
    poll.abort();
    assert!(soon("the end", socket.recv()).is_none());
    fixture.until_empty();
}

#[test]
fn extended_connect_opens_a_websocket() {
    let fixture = Fixture::layered(|builder| builder);
    RUNTIME.block_on(async {
        let mut client = connect(fixture.address).await;
        let response = client.send_request(websocket("websocket", "13", "")).await.unwrap();
        assert_eq!(response.status(), 200);
        for name in ["upgrade", "connection", "sec-websocket-accept"] {
            assert!(!response.headers().contains_key(name), "{name}");
        }
        assert_eq!(response.headers()["sec-websocket-protocol"], "chat");
        let mut stream = TokioIo::new(hyper::upgrade::on(response).await.unwrap());
        let mut open = [0; 2];
        stream.read_exact(&mut open).await.unwrap();
        let mut packet = vec![0; usize::from(open[1])];
        stream.read_exact(&mut packet).await.unwrap();
        assert!(packet.starts_with(b"0{"), "{packet:?}");

        let mut socket = fixture.server.accept().await.unwrap();
        // The method of the same request on HTTP/1.1, and its host.
        assert!(socket.handshake().header("host").is_some());
        stream.write_all(&Client::frame("4up")).await.unwrap();
        assert_eq!(socket.recv().await.unwrap().as_text(), Some("up"));
        socket.send("down").await.unwrap();
        let mut frame = [0; 7];
        stream.read_exact(&mut frame).await.unwrap();
        assert_eq!(&frame, b"\x81\x054down");
        drop(stream);
        assert!(socket.recv().await.is_none());
    });
    fixture.until_empty();
}

/// Other protocols have nothing to do with it, nor have other versions.
#[test]
fn extended_connect_for_anything_else_is_refused() {
    let fixture = Fixture::layered(|builder| builder);
    RUNTIME.block_on(async {
        let mut client = connect(fixture.address).await;
        let old = client.send_request(websocket("websocket", "8", "")).await.unwrap();
        assert_eq!(old.status(), StatusCode::UPGRADE_REQUIRED);
        let mut other = websocket("webtransport", "13", "");
        other.headers_mut().remove("sec-websocket-version");
        let other = client.send_request(other).await.unwrap();
        assert_eq!(other.status(), StatusCode::BAD_REQUEST);
    });
    assert_eq!(fixture.server.sessions(), 0);
}

/// Cookies may come in several fields there (RFC 9113 section 8.2.3).
#[test]
fn cookies_of_a_handshake_are_one_field() {
    let fixture = Fixture::layered(|builder| builder);
    RUNTIME.block_on(async {
        let mut client = connect(fixture.address).await;
        let request = Request::get(format!("http://{}{OPEN}", fixture.address))
            .header("cookie", "a=1")
            .header("cookie", "b=2");
        let response = client.send_request(request.body(Full::default()).unwrap()).await.unwrap();
        assert_eq!(response.status(), 200);
        let socket = fixture.server.accept().await.unwrap();
        assert_eq!(socket.handshake().header("cookie"), Some(&b"a=1; b=2"[..]));
        let host = fixture.address.to_string();
        assert_eq!(socket.handshake().header("host"), Some(host.as_bytes()));
    });
}

#[test]
fn refusal_on_http_2_has_no_field_of_a_connection() {
    let fixture = Fixture::layered(|builder| builder.max_payload(100));
    RUNTIME.block_on(async {
        let mut client = connect(fixture.address).await;
        let sid = open(&mut client).await;
        let refused = client.send_request(to(&sid, Method::POST, &"4".repeat(101)));
        let refused = refused.await.unwrap();
        assert_eq!(refused.status(), 413);
        assert!(!refused.headers().contains_key("connection"));
        // The connection lives on.
        open(&mut client).await;
    });
}

pub(crate) async fn connect(address: SocketAddr) -> Http2 {
    let stream = TokioIo::new(TcpStream::connect(address).await.unwrap());
    let (client, connection) = http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    tokio::spawn(connection);
    client
}

async fn open(client: &mut Http2) -> String {
    let request = Request::get(format!("http://a{OPEN}")).body(Full::default()).unwrap();
    let body = text(client.send_request(request).await.unwrap()).await;
    let start = body.find(r#""sid":""#).unwrap() + 7;
    body[start..start + 20].to_owned()
}

pub(crate) fn to(sid: &str, method: Method, body: &str) -> Request<Full<Bytes>> {
    let request = Request::builder().method(method).uri(format!("http://a{OPEN}&sid={sid}"));
    request.body(Full::from(body.to_owned())).unwrap()
}

pub(crate) fn websocket(
    protocol: &'static str,
    version: &str,
    query: &str,
) -> Request<Full<Bytes>> {
    let uri = format!("http://a/engine.io/?EIO=4&transport=websocket{query}");
    let request = Request::connect(uri)
        .header("sec-websocket-version", version)
        .header("sec-websocket-protocol", "chat")
        .extension(Protocol::from_static(protocol));
    request.body(Full::default()).unwrap()
}

pub(crate) async fn text(response: Response<Incoming>) -> String {
    assert_eq!(response.status(), 200);
    String::from_utf8(response.collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

const OPEN: &str = "/engine.io/?EIO=4&transport=polling";
