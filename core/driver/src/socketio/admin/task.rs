//! The task that tells pages what the server does.

use std::{
    convert::Infallible,
    future::{Future, poll_fn},
    mem,
    pin::pin,
    sync::Arc,
    task::Poll,
    time::{Duration, SystemTime},
};

use serde::Serialize;

use super::{
    AdminShared,
    auth::Admitted,
    page,
    record::Record,
    traffic::{Aggregated, Totals},
    view::Told,
};
use crate::{
    runtime::Runtime,
    socketio::{Broadcast, EmitError, Io, Namespace, session::caught},
    sync::lock,
    trace::trace,
};

/// Serves pages and tells them what happens, until all servers of `io` have closed.
pub(super) async fn run<R: Runtime>(runtime: R, admin: Arc<AdminShared>, io: Io) {
    loop {
        let running = Running(&admin);
        serve(&runtime, &admin, &io).await;
        drop(running);
        // A server may have started at this moment, and have found the task there.
        if io.shared.is_closed() || !admin.begin() {
            return;
        }
    }
}

async fn serve<R: Runtime>(runtime: &R, admin: &Arc<AdminShared>, io: &Io) {
    let Some(namespace) = io.shared.of_name(&admin.config.namespace) else { return };
    let pages = Namespace::<Admitted>::new(namespace);
    let (of_pages, io_of_pages) = (Arc::clone(admin), io.clone());
    let mut serving =
        pin!(pages.serve(move |socket| {
            page::serve(socket, Arc::clone(&of_pages), io_of_pages.clone())
        }));
    let mut telling = pin!(tell(runtime, admin, io, &pages));
    poll_fn(|cx| {
        let Poll::Pending = telling.as_mut().poll(cx);
        serving.as_mut().poll(cx)
    })
    .await;
}

/// Tells pages what waits, as it comes, and the numbers at their interval.
async fn tell<R: Runtime>(
    runtime: &R,
    admin: &AdminShared,
    io: &Io,
    pages: &Namespace<Admitted>,
) -> Infallible {
    let clock = runtime.clock();
    let mut before = admin.traffic.totals();
    // The first are told at once.
    let mut sleep = Box::pin(runtime.sleep_until(clock.now()));
    loop {
        let records = poll_fn(|cx| {
            if sleep.as_mut().poll(cx).is_ready() {
                return Poll::Ready(None);
            }
            match admin.queue.take(cx.waker()) {
                records if records.is_empty() => Poll::Pending,
                records => Poll::Ready(Some(records)),
            }
        });
        match records.await {
            Some(records) => {
                let is_watched = admin.records();
                for record in records.into_iter().filter(|_| is_watched) {
                    if !show(admin, io, pages, record).await {
                        admin.queue.drop_one();
                    }
                }
                yield_now().await;
            }
            None => {
                let has_nodes = io.shared.cluster.as_ref().is_some_and(|nodes| nodes.nodes() > 0);
                let totals = admin.traffic.totals();
                admin.set_nodes(has_nodes);
                if admin.is_watched() {
                    let stats = Stats::new(admin, io, &before, &totals);
                    let (all, is_partial) = reachable(io, pages);
                    if all.try_emit("server_stats", &stats).is_err() || is_partial {
                        admin.queue.drop_one();
                    }
                }
                before = totals;
                sleep.set(runtime.sleep_until(clock.now() + INTERVAL));
            }
        }
    }
}

/// Tells pages of a change. Returns false if they could not be told, or those of other nodes alone.
async fn show(admin: &AdminShared, io: &Io, pages: &Namespace<Admitted>, record: Record) -> bool {
    // Data of sockets are serialized by the application.
    let told = match caught(|| Told::new(admin, record)) {
        Some(Some(Told::All(event))) => {
            let (all, is_partial) = reachable(io, pages);
            all.emit_event(&event).await.map(|_| is_partial)
        }
        Some(Some(Told::Page(page, sockets))) => {
            match page.try_emit("all_sockets", &(sockets,)) {
                Err(EmitError::Full { .. }) => {
                    // It comes back, and is told then.
                    page.disconnect_client();
                    Ok(false)
                }
                Ok(()) | Err(EmitError::Disconnected) => Ok(false),
                Err(error) => Err(error),
            }
        }
        Some(None) => return true,
        None => return false,
    };
    match told {
        Ok(is_partial) => !is_partial,
        Err(_error) => {
            trace!(WARN, error = %_error, "the pages of the admin UI are not told of a change");
            false
        }
    }
}

/// Returns the pages that are told now, and whether those of other nodes are left out.
///
/// Half of the room for messages to other nodes is the application's.
fn reachable(io: &Io, pages: &Namespace<Admitted>) -> (Broadcast, bool) {
    let is_crowded = io.shared.cluster.as_ref().is_some_and(|nodes| nodes.is_crowded());
    let all = pages.broadcast();
    (if is_crowded { all.local() } else { all }, is_crowded)
}

/// The task, of which nothing is left behind.
struct Running<'a>(&'a AdminShared);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// Lets other tasks have their turn.
async fn yield_now() {
    let mut is_pending = true;
    poll_fn(|cx| {
        if mem::take(&mut is_pending) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(())
    })
    .await;
}

/// The event `server_stats`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Stats<'a> {
    server_id: String,
    hostname: &'a str,
    pid: u32,
    /// In seconds.
    uptime: f64,
    clients_count: usize,
    polling_clients_count: usize,
    aggregated_events: Vec<Aggregated>,
    namespaces: Vec<NamespaceStats>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NamespaceStats {
    name: String,
    sockets_count: usize,
}

impl<'a> Stats<'a> {
    fn new(admin: &'a AdminShared, io: &Io, before: &Totals, totals: &Totals) -> Self {
        let (clients_count, polling_clients_count) = admin.traffic.clients();
        let (hostname, pid) = (&*admin.hostname, std::process::id());
        let id = admin.config.server_id.clone();
        let mut namespaces = io.shared.namespaces();
        namespaces.truncate(MAX_NAMESPACES);
        let namespaces = namespaces.into_iter().map(|namespace| NamespaceStats {
            sockets_count: lock(&namespace.adapter).len(),
            name: namespace.name().to_owned(),
        });
        Self {
            server_id: id.unwrap_or_else(|| format!("{hostname}#{pid}")),
            hostname,
            pid,
            uptime: admin.since.elapsed().as_secs_f64(),
            clients_count,
            polling_clients_count,
            aggregated_events: totals.since(before, SystemTime::now()),
            namespaces: namespaces.collect(),
        }
    }
}

/// Time between two reports of the numbers, the reference's. A page takes a server for lost after 10 s.
const INTERVAL: Duration = Duration::from_secs(2);

/// Limit on the namespaces in a report, some 50 bytes each.
const MAX_NAMESPACES: usize = 1000;
