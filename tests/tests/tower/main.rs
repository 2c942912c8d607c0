//! Servers as `tower` services, behind axum and hyper on real sockets, with clients that are only as polite as each test
//! wants. The test and its clients block a thread of their own.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bodies;
mod ends;
mod http2;
mod middleware;
mod nodes;
mod routing;
mod websockets;

use std::{
    net::SocketAddr,
    sync::{Arc, LazyLock},
};

use axum::{Router, extract::connect_info::IntoMakeServiceWithConnectInfo};
use enginewire_tests::client::{Client, soon, until};
use enginewire_tokio::{Server, ServerBuilder, Socket};
use tokio::{net::TcpListener, runtime::Runtime};

/// A server behind axum.
struct Fixture {
    server: Arc<Server>,
    address: SocketAddr,
}

impl Fixture {
    /// A server as a layer around an application that has nothing else.
    fn layered(change: impl FnOnce(ServerBuilder) -> ServerBuilder) -> Self {
        Self::new(change, |server| Router::new().layer(server.layer()))
    }

    /// A server in an application.
    fn new(
        change: impl FnOnce(ServerBuilder) -> ServerBuilder,
        application: impl FnOnce(&Server) -> Router,
    ) -> Self {
        let _context = RUNTIME.enter();
        let server = Arc::new(change(ServerBuilder::new()).start().unwrap());
        let application = application(&server);
        let address = listen(|listener| async move {
            let application: IntoMakeServiceWithConnectInfo<_, SocketAddr> =
                application.into_make_service_with_connect_info();
            axum::serve(listener, application).await
        });
        Self { server, address }
    }

    fn connect(&self) -> Client {
        Client::connect(self.address)
    }

    fn accept(&self) -> Socket {
        soon("a session to accept", self.server.accept()).unwrap()
    }

    /// Waits until the server holds nothing any more.
    fn until_empty(&self) {
        until("the end of all sessions and requests", || {
            self.server.sessions() + self.server.connections() == 0
        });
    }
}

/// The threads of the server.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(2).enable_all().build().unwrap()
});

/// Binds a port, and spawns what serves there.
fn listen<F>(serve: impl FnOnce(TcpListener) -> F) -> SocketAddr
where
    F: Future<Output: Send> + Send + 'static,
{
    let _context = RUNTIME.enter();
    let listener = soon("a listener", TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(listener));
    address
}

/// The target of requests to a session.
fn polling(sid: &str) -> String {
    format!("/engine.io/?EIO=4&transport=polling&sid={sid}")
}

/// The value of a header field of an answer.
fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut fields = head.lines().filter_map(|line| line.split_once(": "));
    fields.find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}
