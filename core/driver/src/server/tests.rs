//! The accept loop on a runtime that polls no task by itself.

use std::{
    pin::Pin,
    sync::{Mutex, MutexGuard},
};

use enginewire::{Router, ServerConfig, Time, wire::http};

use super::*;
use crate::{
    cell::Sessions,
    clock::Clock,
    shared::{Hooks, Options},
    silent::Silent,
    sync::lock,
};

/// A runtime with connections to accept, and the tasks that were spawned.
#[derive(Clone, Default)]
struct Idle(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    arriving: usize,
    tasks: Vec<Task>,
    /// Connections of the server whenever one of its streams was dropped.
    at_drop: Vec<usize>,
}

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// An end of a connection. Notes when it is dropped.
struct End {
    runtime: Idle,
    server: Arc<Shared>,
}

impl Idle {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        lock(&self.0)
    }
}

impl fmt::Debug for Idle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Idle")
    }
}

impl Drop for End {
    fn drop(&mut self) {
        let connections = self.server.sessions.lifecycle.connections();
        self.runtime.inner().at_drop.push(connections);
    }
}

impl Runtime for Idle {
    type Stream = Silent<End>;
    type Listener = Arc<Shared>;
    type Sleep = std::future::Pending<()>;

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.inner().tasks.push(Box::pin(task));
    }

    fn sleep_until(&self, _: Time) -> Self::Sleep {
        pending()
    }

    fn clock(&self) -> Clock {
        Clock::of(|| Time::ZERO)
    }

    async fn bind(&self, _: SocketAddr) -> io::Result<Arc<Shared>> {
        unreachable!("the test has the listener");
    }

    fn local_addr(&self, _: &Arc<Shared>) -> io::Result<SocketAddr> {
        Ok(PROXY)
    }

    async fn accept(&self, server: &Arc<Shared>) -> io::Result<(Silent<End>, SocketAddr)> {
        if self.inner().arriving == 0 {
            pending::<()>().await;
        }
        self.inner().arriving -= 1;
        Ok((Silent(End { runtime: self.clone(), server: Arc::clone(server) }), PROXY))
    }

    async fn resolve(&self, _: &str, _: u16) -> io::Result<Vec<SocketAddr>> {
        unreachable!("a server looks nothing up");
    }

    async fn connect(&self, _: SocketAddr) -> io::Result<Silent<End>> {
        unreachable!("a server does not connect");
    }
}

const PROXY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 1);

#[test]
fn connection_counts_before_its_task_is_polled_and_until_its_stream_is_closed() {
    for proxy_protocol in ["", "127.0.0.0/8"] {
        let options = Options {
            max_connections: 2,
            proxy_protocol: proxy_protocol.parse().unwrap(),
            ..Options::default()
        };
        let sessions = Arc::new(Sessions::new(Clock::of(|| Time::ZERO)));
        let (router, http) = (Router::new(ServerConfig::default()), http::Config::default());
        let shared = Shared::new(sessions, router, http, Hooks::default(), options, Vec::new());
        let shared = Arc::new(shared);
        let lifecycle = &shared.sessions.lifecycle;
        let runtime = Idle::default();
        runtime.inner().arriving = 4;
        // For the accept loop.
        lifecycle.enter();
        let admission = Admission {
            shared: Arc::clone(&shared),
            #[cfg(feature = "tls-no-provider")]
            tls: None,
        };
        let accepting = accept_connections(runtime.clone(), admission, Arc::clone(&shared));
        let mut accepting = Box::pin(accepting);
        let cx = &mut Context::from_waker(Waker::noop());

        // The limit holds, however many come before a task is polled.
        assert!(accepting.as_mut().poll(cx).is_pending());
        assert_eq!((runtime.inner().tasks.len(), lifecycle.connections()), (2, 2));
        let mut tasks = std::mem::take(&mut runtime.inner().tasks);
        assert!(tasks[1].as_mut().poll(cx).is_pending());
        drop(tasks);
        assert_eq!((&*runtime.inner().at_drop, lifecycle.connections()), (&[2, 1][..], 0));

        // The end of the server waits for those that have not begun.
        assert!(accepting.as_mut().poll(cx).is_pending());
        drop(accepting);
        shared.advance_to(Phase::Closing);
        assert!(!lifecycle.is_finished(), "{proxy_protocol}");
        let tasks = std::mem::take(&mut runtime.inner().tasks);
        drop(tasks);
        assert!(lifecycle.is_finished());
    }
}
