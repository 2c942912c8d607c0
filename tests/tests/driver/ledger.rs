//! An application that writes down what has reached it.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread,
};

use enginewire_driver::{Server, ServerBuilder};
use enginewire_tests::pusher::{End, Pusher};

use crate::{Host, client::until, serve};

/// How many messages have come of each client, by what it calls itself in the query of its handshake.
#[derive(Default)]
pub(crate) struct Ledger {
    received: Mutex<BTreeMap<String, u64>>,
    /// Messages that were not the next of their client.
    faults: Mutex<Vec<String>>,
}

impl Ledger {
    /// Messages that have come, each exactly once and in order.
    pub(crate) fn received(&self, name: &str) -> u64 {
        self.check_faults();
        self.received.lock().unwrap().get(name).copied().unwrap_or(0)
    }

    /// Waits until nothing is missing that was acknowledged.
    pub(crate) fn check(&self, Pushed { name, acknowledged, .. }: &Pushed) {
        let what = format!("{acknowledged} messages of {name}");
        until(&what, || self.received(name) >= *acknowledged);
    }

    /// Waits until the application of a server that has closed has taken in all that has come, and looks
    /// at what came after the checks of single clients.
    pub(crate) fn check_to_the_end(self: &Arc<Self>) {
        // Whoever could enter something has a share.
        until("the end of the application", || Arc::strong_count(self) == 1);
        self.check_faults();
    }

    fn check_faults(&self) {
        assert_eq!(self.faults.lock().unwrap()[..], [""; 0]);
    }

    fn enter(&self, name: &str, message: &str) {
        let number = message.split(' ').next().unwrap();
        let mut received = self.received.lock().unwrap();
        let count = received.entry(name.into()).or_default();
        if *number == count.to_string() {
            *count += 1;
        } else {
            let fault = format!("{number} of {name} instead of {count}");
            self.faults.lock().unwrap().push(fault);
        }
    }
}

/// What has become of a client that pushes messages.
pub(crate) struct Pushed {
    pub(crate) name: String,
    pub(crate) end: End,
    pub(crate) acknowledged: u64,
}

impl Pushed {
    /// Has a client push for as long as it `goes_on`.
    pub(crate) fn by(pusher: Pusher, mut goes_on: impl FnMut(u64) -> bool) -> Self {
        let (name, mut acknowledged) = (pusher.name.clone(), 0);
        let end = pusher.push(|messages| {
            acknowledged = messages;
            goes_on(messages)
        });
        Self { name, end, acknowledged }
    }
}

/// Tells others that the work is over, also if that has failed.
pub(crate) struct Over<'a>(pub(crate) &'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

/// Does `work` while others push. They are not disturbed by it, and come to their end after it.
pub(crate) fn beside_others(others: Vec<Pusher>, work: impl FnOnce()) -> Vec<Pushed> {
    let is_over = &AtomicBool::new(false);
    thread::scope(|threads| {
        let push = |pusher| threads.spawn(move || Pushed::by(pusher, |_| !is_over.load(SeqCst)));
        let others: Vec<_> = others.into_iter().map(push).collect();
        let over = Over(is_over);
        work();
        drop(over);
        let pushed: Vec<_> = others.into_iter().map(|other| other.join().unwrap()).collect();
        assert!(pushed.iter().all(|pushed| pushed.end == End::Enough));
        pushed
    })
}

/// A server that writes down the messages of each session, and echoes them.
pub(crate) fn serve_ledger<R: Host>(
    change: impl FnOnce(ServerBuilder<R>) -> ServerBuilder<R>,
) -> (Arc<Server>, Arc<Ledger>) {
    let (server, ledger) = (Arc::new(serve(change)), Arc::new(Ledger::default()));
    R::default().spawn({
        let (server, ledger) = (Arc::clone(&server), Arc::clone(&ledger));
        async move {
            while let Some(mut socket) = server.accept().await {
                let ledger = Arc::clone(&ledger);
                R::default().spawn(async move {
                    let name = socket.handshake().query_value("name").unwrap();
                    while let Some(message) = socket.recv().await {
                        ledger.enter(&name, message.as_text().unwrap());
                        // A session that is closing takes none, and may have brought some still.
                        let _ = socket.send(message).await;
                    }
                });
            }
        }
    });
    (server, ledger)
}
