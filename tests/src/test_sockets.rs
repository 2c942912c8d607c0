//! Sockets of the test kit, with numbers as their events' arguments, and tasks beside them.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{future::Future, sync::mpsc, time::Duration};

use enginewire_driver::{
    socketio::{DisconnectReason, Io, NodeId, Socket},
    testing::{MemoryNetwork, TestSocket},
};

use crate::{
    client::{soon, until},
    host::Host,
};

/// Waits for the next event. Returns its name and its number.
pub fn recv(socket: &mut TestSocket) -> (String, u32) {
    let event = soon("an event", socket.recv()).unwrap();
    (event.name().to_owned(), event.data().unwrap())
}

/// Waits for so many events. Returns their names.
pub fn names(socket: &mut TestSocket, count: usize) -> Vec<String> {
    (0..count).map(|_| recv(socket).0).collect()
}

/// Waits for the end of a socket. Returns its reason.
pub fn end(socket: &mut TestSocket) -> DisconnectReason {
    assert!(soon("the end", socket.recv()).is_none());
    socket.reason().unwrap()
}

/// Ends the time in which a node is cut off, and waits until it has so many others.
pub fn heal(network: &MemoryNetwork, node: NodeId, io: &Io, others: usize) {
    // Told behind the end of the bus. Until then it seems to have them.
    until("the loss of the others", || io.stats().nodes == 0);
    network.heal(node);
    until("the others", || io.stats().nodes == others);
}

/// Passes all events of a socket on to the others.
pub async fn relay(mut socket: Socket) {
    while let Some(event) = socket.recv().await {
        let _ = socket.broadcast().forward(&event).await;
    }
}

/// Spawns `work` on the runtime. Returns a function that waits for its output, which it names if it does not come.
pub fn spawn<R: Host, T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> impl Fn(&str) -> T {
    let (done, result) = mpsc::channel();
    R::default().spawn(async move {
        let _ = done.send(work.await);
    });
    move |what| result.recv_timeout(LONG).unwrap_or_else(|error| panic!("{what}: {error}"))
}

/// Longest wait for a task, longer than any timeout of it.
const LONG: Duration = Duration::from_secs(60);
