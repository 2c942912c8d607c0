//! Verifying passwords, on a thread of its own while there are some.

use std::{
    collections::VecDeque,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, Weak},
    task::{Context, Poll, Waker},
    thread,
};

use crate::{sync::lock, trace::trace, wakes::register};

/// Verifies passwords, one at a time.
///
/// A password takes a tenth of a second of a processor, by design, which no task of a runtime may.
#[derive(Default)]
pub(super) struct Verifier(Arc<Mutex<Jobs>>);

#[derive(Default)]
struct Jobs {
    waiting: VecDeque<Job>,
    /// A thread takes them.
    is_running: bool,
}

/// A password to be verified. Dropped before, it is wrong.
struct Job {
    password: String,
    hash: String,
    /// Dropped without a word once the client has left.
    slot: Weak<Slot>,
}

/// Future of a verification: whether the password is right.
pub(super) struct Verdict(Arc<Slot>);

#[derive(Default)]
struct Slot(Mutex<(Option<bool>, Option<Waker>)>);

impl Verifier {
    /// Begins to verify a password. `None` if too many wait, or the system gives no thread.
    pub(super) fn verify(&self, password: String, hash: String) -> Option<Verdict> {
        let slot = Arc::new(Slot::default());
        let job = Job { password, hash, slot: Arc::downgrade(&slot) };
        let mut jobs = lock(&self.0);
        // Clients that have left make room.
        jobs.waiting.retain(|job| job.slot.strong_count() > 0);
        if jobs.waiting.len() >= MAX_WAITING {
            return None;
        }
        jobs.waiting.push_back(job);
        let is_first = !std::mem::replace(&mut jobs.is_running, true);
        drop(jobs);
        if is_first {
            // Dropped with the closure if there is no thread.
            let running = Running { jobs: Arc::clone(&self.0), is_done: false };
            let thread = thread::Builder::new().name("enginewire-admin".to_owned());
            if let Err(_error) = thread.spawn(move || running.run()) {
                trace!(ERROR, error = %_error, "no thread to verify a password on");
                return None;
            }
        }
        Some(Verdict(slot))
    }
}

/// The thread that verifies.
struct Running {
    jobs: Arc<Mutex<Jobs>>,
    is_done: bool,
}

impl Running {
    fn run(mut self) {
        while let Some(job) = self.next() {
            job.run();
        }
    }

    /// Takes the next password. The thread is no longer running if there is none.
    fn next(&mut self) -> Option<Job> {
        let mut jobs = lock(&self.jobs);
        let job = jobs.waiting.pop_front();
        self.is_done = job.is_none();
        jobs.is_running = !self.is_done;
        job
    }
}

/// One that panics, or that was never started, leaves no password behind that waits for it.
impl Drop for Running {
    fn drop(&mut self) {
        if !self.is_done {
            let mut jobs = lock(&self.jobs);
            jobs.is_running = false;
            let orphans = std::mem::take(&mut jobs.waiting);
            drop(jobs);
            drop(orphans);
        }
    }
}

impl Job {
    fn run(self) {
        if let Some(slot) = self.slot.upgrade() {
            // The hash was parsed before: what fails is a password that bcrypt does not take.
            slot.complete(bcrypt::verify(&self.password, &self.hash).unwrap_or(false));
        }
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        if let Some(slot) = self.slot.upgrade() {
            slot.complete(false);
        }
    }
}

impl Slot {
    /// Sets the result, unless there is one.
    fn complete(&self, is_right: bool) {
        let mut state = lock(&self.0);
        state.0.get_or_insert(is_right);
        let waker = state.1.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Future for Verdict {
    type Output = bool;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<bool> {
        let mut state = lock(&self.0.0);
        if let Some(is_right) = state.0 {
            return Poll::Ready(is_right);
        }
        register(&mut state.1, cx.waker());
        Poll::Pending
    }
}

/// Limit on the passwords that wait: the last for some six seconds.
///
/// All pages connect anew at the same moment, when their server has started again.
const MAX_WAITING: usize = 64;

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, task::Wake};

    use super::*;
    use crate::socketio::admin::HASH;

    struct Notify(mpsc::Sender<()>);

    impl Wake for Notify {
        fn wake(self: Arc<Self>) {
            let _ = self.0.send(());
        }
    }

    impl Verifier {
        /// Lets passwords wait: no thread takes them.
        pub(in super::super) fn stop(&self) {
            lock(&self.0).is_running = true;
        }
    }

    /// Waits for a verdict on this thread.
    fn wait(mut verdict: Verdict) -> bool {
        let (sender, woken) = mpsc::channel();
        let waker = Waker::from(Arc::new(Notify(sender)));
        loop {
            match Pin::new(&mut verdict).poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(is_right) => return is_right,
                Poll::Pending => woken.recv().unwrap(),
            }
        }
    }

    fn verify(verifier: &Verifier, password: &str) -> Option<Verdict> {
        verifier.verify(password.to_owned(), HASH.to_owned())
    }

    #[test]
    fn right_password_alone_is_right() {
        let verifier = Verifier::default();
        for (password, is_right) in
            [("correctPassword", true), ("correctpassword", false), ("", false), ("a\0b", false)]
        {
            assert_eq!(wait(verify(&verifier, password).unwrap()), is_right, "{password:?}");
        }
    }

    #[test]
    fn passwords_that_nothing_waits_for_make_room() {
        let verifier = Verifier::default();
        verifier.stop();
        let mut verdicts: Vec<_> =
            (0..MAX_WAITING).map(|_| verify(&verifier, "").unwrap()).collect();
        assert!(verify(&verifier, "").is_none());
        verdicts.truncate(MAX_WAITING - 1);
        assert!(verify(&verifier, "").is_some());
        // The thread has panicked.
        drop(Running { jobs: Arc::clone(&verifier.0), is_done: false });
        assert!(verdicts.into_iter().all(|verdict| !wait(verdict)));
        assert!(wait(verify(&verifier, "correctPassword").unwrap()));
    }
}
