//! Promises about types that only a compiler can hold: they can be shared, sent, moved and kept, whatever the
//! runtime; so can the futures of all handles. And what happens outside of a runtime.

use std::{io, time::Duration};

use enginewire::{hub, wire};
use enginewire_async_std::AsyncStd;
use enginewire_cluster::redis;
use enginewire_driver::{self as driver, Runtime};
use enginewire_smol::Smol;
use enginewire_tests::client::{soon, within};
use enginewire_tokio::Tokio;

const fn any<T: Send + Sync + Unpin + 'static>() {}

/// For types with something inside that only one thread at a time may use, such as a [`driver::Layer`].
const fn sent<T: Send + Unpin + 'static>() {}

/// As futures of an `async fn`: not `Unpin`, because they borrow from themselves.
fn future<F: Future + Send>(_: F) {}

macro_rules! all {
    ($check:ident: $($type:ty),+ $(,)?) => {
        $($check::<$type>();)+
    };
}

/// Compiled, which is the test.
const _: () = {
    all!(
        any: enginewire::CloseReason,
        enginewire::ServerConfig,
        enginewire::Cookie,
        enginewire::Cors,
        enginewire::CorsOrigin,
        enginewire::Encoded,
        enginewire::Event,
        enginewire::HeaderLines,
        enginewire::Limits,
        enginewire::InvalidNetworks,
        enginewire::InvalidNodeName,
        enginewire::Message,
        enginewire::Networks,
        enginewire::NodeName,
        enginewire::Proxies,
        enginewire::Proxy,
        enginewire::ProxyFault,
        enginewire::Reconnect,
        enginewire::Reconnector,
        enginewire::Refusal,
        enginewire::Reject,
        enginewire::Response,
        enginewire::Revision,
        enginewire::Router,
        enginewire::SendError,
        enginewire::ServerSession,
        enginewire::Sid,
        enginewire::Text,
        enginewire::Time,
        enginewire::TransportFault,
        enginewire::TransportKind,
        enginewire::Transports,
        enginewire::TrustedProxies,
        enginewire::TrySendError,
        enginewire::Url,
        enginewire::ClientConfig,
        enginewire::ClientHub,
        enginewire::ClientSession,
        enginewire::ServerAction,
        enginewire::Admission,
        enginewire::Alarm,
        enginewire::Backoff,
        enginewire::BadRequest,
        enginewire::HandOverFault,
        enginewire::Body,
        enginewire::CarrierId,
        enginewire::ClientAction,
        enginewire::ClientTimerKind,
        enginewire::DeadlineKey,
        enginewire::Deadlines<()>,
        enginewire::ExchangeId,
        enginewire::OpenPacket,
        enginewire::HeadersHook,
        enginewire::InvalidHeader,
        enginewire::InvalidSubprotocol,
        enginewire::InvalidUrl,
        enginewire::InvalidProxy,
        enginewire::InvalidProxyVariable,
        enginewire::Opening,
        enginewire::Packet,
        enginewire::RedirectFault,
        enginewire::Request,
        enginewire::Route,
        enginewire::SessionRequest,
        enginewire::WebSocketEnd,
        enginewire::WebSocketId,
        enginewire::SubprotocolHook,
        enginewire::ServerTimerKind,
        enginewire::Fingerprint<std::hash::DefaultHasher>,
        enginewire::ClientHubAction,
        enginewire::Compressing,
        enginewire::ClientConnectionId,
        hub::AskId,
        hub::Broadcast,
        hub::ConnectionId,
        hub::ServerHubConfig,
        hub::Output,
        hub::RequestId,
        hub::SessionId,
        wire::http::Config,
        wire::http::RequestHead,
        wire::http::ResponseHead,
        wire::proxy_protocol::Fault,
        wire::proxy_protocol::Header,
        wire::proxy_protocol::Parsed,
    );
    all!(
        any: driver::testing::MemoryBus,
        driver::testing::MemoryNetwork,
        driver::testing::TestClient,
        driver::testing::TestConnectError,
        driver::testing::TestEvent,
        driver::testing::TestLink<Tokio>,
        driver::testing::TestLink<Smol>,
        driver::testing::TestLink<AsyncStd>,
        driver::testing::TestSocket,
        enginewire_socketio::testing::ClientId,
        enginewire_socketio::testing::ServerFault,
        enginewire_socketio::testing::Update,
    );
    // They own parsers of applications and entropy sources.
    all!(sent: enginewire_socketio::testing::Client, enginewire_socketio::testing::Pair);
    // It owns an entropy source and layers, which need not be shared.
    all!(sent: enginewire::ServerHub, Box<dyn enginewire::Layer>);
    all!(
        any: driver::Clock,
        driver::ConnectError,
        driver::FallbackRequest,
        driver::Handshake,
        driver::InstantClock,
        driver::NodeAddress,
        driver::Receiver,
        driver::Sender,
        driver::Server,
        driver::ServerHandle,
        driver::ServerStats,
        driver::Socket,
    );
    all!(
        any: driver::tower::Body,
        driver::tower::BodyError,
        driver::tower::LayeredBodyError,
        driver::tower::Layer,
        driver::tower::Layered<()>,
        driver::tower::PeerAddr,
        driver::tower::Service,
    );
    all!(sent: driver::Connecting, driver::Sessions, driver::tower::ServiceFuture<()>);
    all!(
        any: enginewire_tokio::Stream,
        enginewire_smol::Stream,
        Tokio,
        Smol,
        AsyncStd,
        driver::Client<Tokio>,
        driver::Client<Smol>,
        driver::Client<AsyncStd>,
        driver::ClientBuilder<Tokio>,
        driver::ClientBuilder<Smol>,
        driver::ClientBuilder<AsyncStd>,
    );
    all!(
        sent: driver::ServerBuilder<Tokio>,
        driver::ServerBuilder<Smol>,
        driver::ServerBuilder<AsyncStd>,
    );
};

/// Types of Socket.IO, compiled as well.
const _: () = {
    /// It may not be sent anywhere, which names and acknowledgements do not mind.
    type Local = *const u8;

    all!(
        any: enginewire_socketio::AckError,
        enginewire_socketio::AckId,
        enginewire_socketio::Args,
        enginewire_socketio::Asking<Local, Local>,
        enginewire_socketio::Attachment,
        enginewire_socketio::Auth,
        enginewire_socketio::ConnectError,
        enginewire_socketio::ConnectRequest,
        enginewire_socketio::ConnectionConfig,
        enginewire_socketio::ConnectionEvent<()>,
        enginewire_socketio::DecodeError,
        enginewire_socketio::DisconnectReason,
        enginewire_socketio::EmitError,
        enginewire_socketio::EncodeError,
        enginewire_socketio::EndReason,
        enginewire_socketio::Event,
        enginewire_socketio::EventError,
        enginewire_socketio::Fault,
        enginewire_socketio::ManagerConfig,
        enginewire_socketio::ManagerEvent<()>,
        enginewire_socketio::Named<Local>,
        enginewire_socketio::Offline,
        enginewire_socketio::Packet,
        enginewire_socketio::PacketData,
        enginewire_socketio::Payload,
        enginewire_socketio::PrivateId,
        enginewire_socketio::Room,
        enginewire_socketio::Slot,
        enginewire_socketio::SocketId,
        enginewire_socketio::Spread<'static, u8>,
        enginewire_socketio::TryEmitError,
        enginewire_socketio::Update,
        enginewire_socketio::Value,
        enginewire_socketio::client_hub::ClientAskId,
        enginewire_socketio::client_hub::ClientHubConfig,
        enginewire_socketio::client_hub::ClientOutput,
        enginewire_socketio::client_hub::ConnectionId,
        enginewire_socketio::client_hub::SessionNumber,
    );
    // The decoder of a custom parser need not be shared.
    all!(
        sent: enginewire_socketio::Connection<()>,
        enginewire_socketio::Manager<()>,
        enginewire_socketio::client_hub::ClientHub,
        enginewire_socketio::client_hub::PlatformHub,
        enginewire_socketio::hub::Hub,
    );
    all!(
        any: driver::socketio::Ack,
        driver::socketio::admin::Admin,
        driver::socketio::admin::InvalidHash,
        driver::socketio::admin::Mode,
        driver::socketio::AckError,
        driver::socketio::AckFuture<Local>,
        driver::socketio::AckOf<Local>,
        driver::socketio::AckResponses<()>,
        driver::socketio::AckStream<Local>,
        driver::socketio::Broadcast,
        driver::socketio::Client,
        driver::socketio::ClientAck,
        driver::socketio::ClientAckFuture<Local>,
        driver::socketio::ClientEmit,
        driver::socketio::ClientEmitter<'static>,
        driver::socketio::ClientError,
        driver::socketio::ClientEvent,
        driver::socketio::ClientRef,
        driver::socketio::ClientSocket,
        driver::socketio::ConnectRequest,
        driver::socketio::Delivered,
        driver::socketio::Emit,
        driver::socketio::Emitter<'static>,
        driver::socketio::Event,
        driver::socketio::FetchedSockets,
        driver::socketio::Io,
        driver::socketio::Namespace<Local>,
        driver::socketio::NamespaceRequest,
        driver::socketio::Publish,
        driver::socketio::RemoteSocket,
        driver::socketio::Routes<Local, Local>,
        driver::socketio::ServerAck,
        driver::socketio::ServerAnswers<()>,
        driver::socketio::ServerEvent,
        driver::socketio::ServerEvents,
        driver::socketio::Socket<Local>,
        driver::socketio::SocketBuilder,
        driver::socketio::SocketRef<Local>,
        driver::socketio::platform::PlatformTask,
        driver::socketio::UnknownEvent,
        driver::socketio::UnknownEvent<driver::socketio::ClientEvent>,
        driver::socketio::Update,
    );
    all!(sent: driver::socketio::ClientBuilder<Tokio>);
    // It owns a bus, which need not be shared.
    all!(sent: driver::socketio::IoBuilder, driver::socketio::BusEvent);
    all!(
        any: redis::Emitter,
        redis::InvalidRedisUrl,
        redis::RedisBuilder<Tokio>,
        redis::RedisBuilder<Smol>,
        redis::RedisBuilder<AsyncStd>,
        redis::RedisError,
        redis::RedisFault,
        redis::RedisMonitor,
        redis::RedisStats,
    );
    all!(sent: redis::Redis<Tokio>, redis::Redis<Smol>, redis::Redis<AsyncStd>);
    all!(
        any: enginewire_socketio::cluster::Cluster,
        enginewire_socketio::cluster::ClusterConfig,
        enginewire_socketio::cluster::ClusterEvent,
        enginewire_socketio::cluster::HandshakeInfo<'static>,
        enginewire_socketio::cluster::Message,
    );
};

/// The futures of all handles can be spawned. Never called.
#[expect(dead_code, reason = "compiled, which is the test")]
fn futures_of_handles_are_send<R: Runtime + Default>(
    server: &driver::Server,
    socket: &mut driver::Socket,
    receiver: &mut driver::Receiver,
    client: &driver::Client<R>,
    sessions: &mut driver::Sessions,
    stream: enginewire_tokio::Stream,
) {
    struct Nothing;

    impl driver::Layer for Nothing {
        fn handle_event(&mut self, _: &mut driver::LayerContext<'_>, _: driver::Event) {}
    }

    let sender = socket.sender();
    future(server.accept());
    future(server.close());
    future(server.handle().close());
    future(server.serve(stream, server.local_addr()));
    future(driver::ServerBuilder::<R>::new().bind("127.0.0.1:0"));
    future(sender.send("a"));
    future(sender.ready());
    future(sender.close());
    future(sender.close_with("a"));
    future(socket.send("a"));
    future(socket.ready());
    future(socket.close());
    future(socket.close_with("a"));
    future(socket.recv());
    future(socket.recv_event());
    future(socket.layer(|_: &mut Nothing, _| std::task::Poll::Ready(())));
    future(receiver.recv());
    future(receiver.recv_event());
    future(client.open());
    future(driver::Client::<R>::connect("http://localhost"));
    future(driver::Client::<R>::builder("http://localhost").connect());
    future(sessions.next());
}

/// So can those of Socket.IO on several nodes. Never called.
#[expect(dead_code, reason = "compiled, which is the test")]
fn futures_of_a_cluster_are_send(
    namespace: &driver::socketio::Namespace,
    events: &mut driver::socketio::ServerEvents,
    emitter: &redis::Emitter,
) {
    future(redis::Redis::<Tokio>::connect("redis://localhost"));
    future(redis::Redis::<Smol>::builder("redis://localhost").emitter());
    future(emitter.emit("a", &1));
    future(emitter.join("a"));
    future(emitter.disconnect(true));
    future(emitter.server_side_emit("a", &1));
    future(namespace.broadcast().fetch_sockets());
    future(namespace.server_side_emit_with_ack::<u8, _>("a", &1));
    future(events.recv());
}

/// So can those of the test kit. Never called.
#[expect(dead_code, reason = "compiled, which is the test")]
fn futures_of_the_test_kit_are_send<R: Runtime>(
    link: &driver::testing::TestLink<R>,
    socket: &mut driver::testing::TestSocket,
) {
    future(link.open());
    future(link.connect("/"));
    future(link.connect_with("/", &1));
    future(socket.client().connect("/"));
    future(socket.emit("a", &1));
    future(socket.emit_with_ack::<u8, _>("a", &1));
    future(socket.disconnect());
    future(socket.recv());
}

#[test]
fn every_public_type_of_the_core_is_asserted() {
    let (source, surface) = (include_str!("../../core/src/lib.rs"), include_str!("surface.rs"));
    let (_, exports) = source.split_once("pub use crate::{").unwrap();
    let (exports, _) = exports.split_once("\n};").unwrap();
    let names = exports.split(|c: char| !c.is_alphanumeric() && c != '_');
    let types = names.filter(|name| name.starts_with(char::is_uppercase));
    // Traits, and what is only ever borrowed for a call.
    let others = ["HttpRequest", "HttpResponse", "Entropy", "IntoEncoded", "LayerContext"];
    for name in types.filter(|name| !others.contains(name)) {
        assert!(surface.contains(&format!("enginewire::{name}")), "{name} is not in the list");
    }
}

#[test]
fn every_public_type_of_socketio_is_asserted() {
    let (source, surface) =
        (include_str!("../../core/socketio/src/lib.rs"), include_str!("surface.rs"));
    let exports = source.lines().skip_while(|line| !line.starts_with("pub use "));
    // Traits, and what is only ever borrowed for a call.
    let others = ["AskName", "EncodeAs", "Name", "Session"];
    for line in exports {
        let names = line.split(|c: char| !c.is_alphanumeric() && c != '_');
        let types = names.filter(|name| name.starts_with(char::is_uppercase));
        for name in types.filter(|name| !others.contains(name)) {
            let asserted = format!("enginewire_socketio::{name}");
            let mut found = surface.match_indices(&asserted);
            let whole = |at: usize| !surface[at..].starts_with(char::is_alphanumeric);
            assert!(found.any(|(at, _)| whole(at + asserted.len())), "{name} is not in the list");
        }
    }
}

#[test]
fn tokio_server_bound_outside_of_a_runtime_is_an_error() {
    let builder = driver::ServerBuilder::on(Tokio::default());
    let error = soon("an error", builder.bind("127.0.0.1:0")).unwrap_err();
    assert!(error.to_string().contains("tokio runtime"), "{error}");
}

#[test]
fn tokio_server_started_outside_of_a_runtime_is_an_error() {
    let error: io::Error = driver::ServerBuilder::on(Tokio::default()).start().unwrap_err();
    assert!(error.to_string().contains("tokio runtime"), "{error}");
}

#[test]
fn tokio_handles_work_outside_of_the_runtime() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let server = runtime.block_on(enginewire_tokio::ServerBuilder::new().bind("127.0.0.1:0"));
    let server = server.unwrap();
    let url = format!("http://{}", server.local_addr());
    let client = runtime.block_on(enginewire_tokio::Client::connect(&url)).unwrap();
    // From here on on a thread that has no runtime.
    let mut socket = soon("a session", server.accept()).unwrap();
    soon("a send", client.send("a")).unwrap();
    assert_eq!(soon("a message", socket.recv()), Some("a".into()));
    assert!(within(Duration::ZERO, socket.recv()).is_none());
    soon("the end", client.close());
    soon("the end", server.close());
}
