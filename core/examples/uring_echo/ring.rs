//! TCP sockets on an io_uring, behind a safe interface. Knows nothing of Engine.IO.
//!
//! The kernel reads and writes memory while this program runs: whatever a request names belongs to [`Ring`]
//! until its completion. A socket that is closed stays until the completions of its requests have come.
#![allow(
    unsafe_code,
    reason = "the kernel is handed descriptors and addresses, which no type can follow"
)]

use std::{
    collections::VecDeque,
    io,
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    os::fd::{AsRawFd, FromRawFd},
    slice,
    sync::atomic::{AtomicU16, Ordering},
    time::Duration,
};

use io_uring::{
    IoUring, cqueue, opcode, squeue,
    types::{BufRingEntry, CancelBuilder, Fd, SubmitArgs, Timespec},
};
use rustix::{io::Errno, net::SocketFlags};
use slab::Slab;

/// Names a socket of a [`Ring`]. Is not used again before 2^30 others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    index: u32,
    serial: u32,
}

impl Key {
    /// A small number that no other socket has until this one is closed: a place in a table.
    pub(crate) const fn index(self) -> usize {
        self.index as usize
    }
}

/// A completion, as far as it concerns the event loop. None comes for a socket that was closed.
pub(crate) enum Completion {
    /// A connection was accepted.
    Accepted(Key),
    /// No connection is accepted until [`Ring::accept`], for want of a descriptor most likely.
    Refused,
    /// Bytes came.
    Received(Key, Received),
    /// The peer has shut down its sending side. Nothing is received any more.
    Ended(Key),
    /// Nothing is received until [`Ring::receive`], for want of a buffer or because of [`Ring::pause`].
    Paused(Key),
    /// There is room again, which [`Ring::write`] had not.
    Writable(Key),
    /// The connection has failed.
    Failed(Key),
}

/// A buffer with bytes that came, to be given back by [`Ring::recycle`].
pub(crate) struct Received {
    buffer: u16,
    length: usize,
}

/// Sockets, the requests for them, and a pool of buffers to receive into.
pub(crate) struct Ring {
    ring: IoUring,
    listener: TcpListener,
    is_accepting: bool,
    sockets: Slab<Socket>,
    serial: u32,
    pool: Pool,
    /// Requests for the next submission.
    requests: Vec<squeue::Entry>,
    completions: VecDeque<cqueue::Entry>,
}

struct Socket {
    key: Key,
    stream: TcpStream,
    /// A request to receive has not seen its last completion.
    is_receiving: bool,
    /// That one is being cancelled.
    is_pausing: bool,
    /// The kernel's while it is not empty: neither changed nor dropped before the completion.
    sending: Vec<u8>,
    /// Bytes of `sending` that are sent.
    sent: usize,
    /// Written since.
    queued: Vec<u8>,
    /// There was no room.
    is_blocked: bool,
    /// The sending side is shut down once all is sent.
    is_shutdown: bool,
    /// What is not sent is dropped.
    is_aborted: bool,
    /// The descriptor is closed once all is sent and nothing received any more.
    is_closing: bool,
}

impl Ring {
    /// Listens on `address`.
    ///
    /// # Errors
    ///
    /// Those of `bind`, and of a kernel that has no io_uring, is older than 6.1, or does not permit it.
    pub(crate) fn new(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        let ring = IoUring::builder()
            .setup_cqsize(4 * REQUESTS)
            .setup_submit_all()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .build(REQUESTS)?;
        let pool = Pool::new(&ring)?;
        let mut this = Self {
            ring,
            listener,
            is_accepting: false,
            sockets: Slab::new(),
            serial: 0,
            pool,
            requests: Vec::new(),
            completions: VecDeque::new(),
        };
        this.accept();
        Ok(this)
    }

    /// The address that is listened on.
    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Submits all requests, and waits for a completion for as long as `patience`, or for ever.
    pub(crate) fn wait(&mut self, mut patience: Option<Duration>) -> io::Result<()> {
        self.push_requests();
        while !self.requests.is_empty() {
            // More than the queue can hold.
            if self.ring.submit().is_ok_and(|submitted| submitted > 0) {
                self.push_requests();
            } else {
                patience = Some(Duration::ZERO);
                break;
            }
        }
        let mut entered = self.enter(patience);
        // The kernel may have returned without a look at the sockets, as after a stop of this process: bytes that
        // wait are to be seen before the time that has passed. A call that has submitted something does not tell.
        if self.ring.completion().is_empty() {
            entered = self.enter(Some(Duration::ZERO));
        }
        while entered == Err(Errno::INTR) {
            entered = self.enter(Some(Duration::ZERO));
        }
        self.completions.extend(self.ring.completion());
        match entered {
            // What could not be submitted is the next time, when completions have made room.
            Ok(()) | Err(Errno::TIME | Errno::AGAIN | Errno::BUSY) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Submits, and waits for a completion.
    fn enter(&self, patience: Option<Duration>) -> Result<(), Errno> {
        let entered = match patience.map(Timespec::from) {
            None => self.ring.submit_and_wait(1),
            Some(patience) => {
                self.ring.submitter().submit_with_args(1, &SubmitArgs::new().timespec(&patience))
            }
        };
        // Errors of a system call all have a number.
        entered.map(drop).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
    }

    /// Takes the next completion that [`wait`](Self::wait) has found.
    pub(crate) fn poll(&mut self) -> Option<Completion> {
        loop {
            let entry = self.completions.pop_front()?;
            let completion = match Operation::of(entry.user_data()) {
                (Operation::Accept, _) => self.accepted(&entry),
                (Operation::Receive, key) => self.received(key, &entry),
                (Operation::Send, key) => self.sent(key, entry.result()),
                (Operation::Cancel, _) => None,
            };
            if completion.is_some() {
                return completion;
            }
        }
    }

    /// The bytes that came.
    pub(crate) fn bytes(&mut self, received: &Received) -> &mut [u8] {
        self.pool.bytes(received)
    }

    /// Gives a buffer back to the kernel.
    pub(crate) fn recycle(&mut self, received: Received) {
        self.pool.provide(received.buffer);
    }

    /// Accepts connections, if it does not.
    pub(crate) fn accept(&mut self) {
        if !std::mem::replace(&mut self.is_accepting, true) {
            let listener = Fd(self.listener.as_raw_fd());
            let accept = opcode::AcceptMulti::new(listener).flags(CLOSE_ON_EXEC).build();
            self.requests.push(accept.user_data(Operation::Accept.on(NO_SOCKET)));
        }
    }

    /// Receives on this socket, if it does not.
    pub(crate) fn receive(&mut self, key: Key) {
        let Some(socket) = find(&mut self.sockets, key) else { return };
        if !std::mem::replace(&mut socket.is_receiving, true) {
            let receive = opcode::RecvMulti::new(Fd(socket.stream.as_raw_fd()), POOL).build();
            self.requests.push(receive.user_data(Operation::Receive.on(key)));
        }
    }

    /// Receives no more on this socket. Bytes may come until [`Completion::Paused`].
    pub(crate) fn pause(&mut self, key: Key) {
        let Some(socket) = find(&mut self.sockets, key) else { return };
        if socket.is_receiving && !std::mem::replace(&mut socket.is_pausing, true) {
            self.requests.push(Operation::Receive.cancel(key));
        }
    }

    /// Takes bytes to send, as many as there is room for, and returns their number. They go with the next
    /// [`flush`](Self::flush).
    pub(crate) fn write(&mut self, key: Key, bytes: &[u8]) -> usize {
        let Some(socket) = find(&mut self.sockets, key) else { return 0 };
        let length = bytes.len().min(MAX_QUEUED - socket.queued.len());
        socket.queued.extend_from_slice(&bytes[..length]);
        socket.is_blocked |= length < bytes.len();
        length
    }

    /// Requests to send what was written, unless that is behind bytes in flight.
    pub(crate) fn flush(&mut self, key: Key) {
        let Some(socket) = find(&mut self.sockets, key) else { return };
        if socket.sending.is_empty() && !socket.queued.is_empty() {
            std::mem::swap(&mut socket.sending, &mut socket.queued);
            socket.sent = 0;
            self.requests.push(socket.send());
        }
    }

    /// Shuts down the sending side once all is sent.
    pub(crate) fn shutdown(&mut self, key: Key) {
        if let Some(socket) = find(&mut self.sockets, key) {
            socket.is_shutdown = true;
            socket.end_if_sent();
        }
    }

    /// Closes a socket once all is sent. Returns whether it is.
    pub(crate) fn close(&mut self, key: Key) -> bool {
        self.pause(key);
        let Some(socket) = find(&mut self.sockets, key) else { return true };
        socket.is_closing = true;
        let is_sent = socket.sending.is_empty();
        self.release(key);
        is_sent
    }

    /// Closes a socket now. What is not sent is lost.
    pub(crate) fn abort(&mut self, key: Key) {
        if let Some(socket) = find(&mut self.sockets, key) {
            socket.is_aborted = true;
            socket.queued.clear();
            if !socket.sending.is_empty() {
                self.requests.push(Operation::Send.cancel(key));
            }
        }
        self.close(key);
    }

    /// Moves as many requests to the submission queue as it has room for.
    fn push_requests(&mut self) {
        let mut queue = self.ring.submission();
        let room = queue.capacity() - queue.len();
        let length = room.min(self.requests.len());
        // SAFETY: descriptors and buffers named by a request live in a `Socket`, in `listener` or in `pool`.
        // `release` keeps a socket until all its requests are complete, nothing changes `sending` before, and
        // `drop` waits for all completions before memory is freed.
        let pushed = unsafe { queue.push_multiple(&self.requests[..length]) };
        debug_assert!(pushed.is_ok(), "there was room");
        drop(queue);
        self.requests.drain(..length);
    }

    fn accepted(&mut self, entry: &cqueue::Entry) -> Option<Completion> {
        self.is_accepting &= cqueue::more(entry.flags());
        let descriptor = match outcome(entry.result()) {
            Ok(_) => entry.result(),
            Err(Errno::CONNABORTED | Errno::INTR | Errno::CANCELED) => {
                self.accept();
                return None;
            }
            Err(_) => return (!self.is_accepting).then_some(Completion::Refused),
        };
        self.accept();
        // SAFETY: the kernel has just made this descriptor for us, and nothing else knows it.
        let stream = unsafe { TcpStream::from_raw_fd(descriptor) };
        stream.set_nodelay(true).ok()?;
        self.serial = self.serial.wrapping_add(1) & MAX_SERIAL;
        let entry = self.sockets.vacant_entry();
        // There are no more than descriptors, which are `i32`.
        let key = Key { index: u32::try_from(entry.key()).ok()?, serial: self.serial };
        entry.insert(Socket {
            key,
            stream,
            is_receiving: false,
            is_pausing: false,
            sending: Vec::new(),
            sent: 0,
            queued: Vec::new(),
            is_blocked: false,
            is_shutdown: false,
            is_aborted: false,
            is_closing: false,
        });
        self.receive(key);
        Some(Completion::Accepted(key))
    }

    fn received(&mut self, key: Key, entry: &cqueue::Entry) -> Option<Completion> {
        let received = cqueue::buffer_select(entry.flags())
            .map(|buffer| Received { buffer, length: outcome(entry.result()).unwrap_or(0) });
        let is_closing = find(&mut self.sockets, key).is_none_or(|socket| {
            socket.is_receiving = cqueue::more(entry.flags());
            socket.is_pausing &= socket.is_receiving;
            socket.is_closing
        });
        let received = match received {
            Some(received) if is_closing || received.length == 0 => {
                self.recycle(received);
                None
            }
            received => received,
        };
        if is_closing {
            self.release(key);
            return None;
        }
        Some(match (outcome(entry.result()), received) {
            (Ok(_), Some(received)) => Completion::Received(key, received),
            (Ok(_), None) => Completion::Ended(key),
            (Err(Errno::NOBUFS | Errno::CANCELED | Errno::INTR), _) => Completion::Paused(key),
            (Err(_), _) => Completion::Failed(key),
        })
    }

    fn sent(&mut self, key: Key, result: i32) -> Option<Completion> {
        let socket = find(&mut self.sockets, key)?;
        match outcome(result) {
            Ok(sent) if !socket.is_aborted => socket.sent += sent,
            Err(Errno::INTR | Errno::AGAIN) if !socket.is_aborted => {}
            _ => {
                socket.sending.clear();
                socket.queued.clear();
                let is_closing = socket.is_closing;
                self.release(key);
                return (!is_closing).then_some(Completion::Failed(key));
            }
        }
        if socket.sent < socket.sending.len() {
            self.requests.push(socket.send());
            return None;
        }
        socket.sending.clear();
        let is_writable = std::mem::take(&mut socket.is_blocked) && !socket.is_closing;
        self.flush(key);
        if let Some(socket) = find(&mut self.sockets, key) {
            socket.end_if_sent();
        }
        self.release(key);
        is_writable.then_some(Completion::Writable(key))
    }

    /// Closes the descriptor of a closed socket if nothing is in flight on it.
    fn release(&mut self, key: Key) {
        let Some(socket) = find(&mut self.sockets, key) else { return };
        if socket.is_closing && !socket.is_receiving && socket.sending.is_empty() {
            self.sockets.remove(key.index());
            // There may have been no descriptor for this.
            self.accept();
        }
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // Returns when all requests are cancelled; those that were never submitted name nothing to the kernel.
        let cancelled = self.ring.submitter().register_sync_cancel(None, CancelBuilder::any());
        let is_idle = cancelled.is_ok()
            || cancelled.is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
        if is_idle && self.ring.submitter().unregister_buf_ring(POOL).is_ok() {
            self.pool.free();
        } else {
            // The kernel may still write: rather lose the memory.
            std::mem::forget(std::mem::take(&mut self.sockets));
        }
    }
}

impl Socket {
    /// The request to send what is left of `sending`.
    fn send(&self) -> squeue::Entry {
        let rest = &self.sending[self.sent..];
        // `sending` is at most `MAX_QUEUED`.
        let length = u32::try_from(rest.len()).unwrap_or(u32::MAX);
        let send = opcode::Send::new(Fd(self.stream.as_raw_fd()), rest.as_ptr(), length).build();
        send.user_data(Operation::Send.on(self.key))
    }

    fn end_if_sent(&mut self) {
        if self.is_shutdown && self.sending.is_empty() {
            // If that fails the connection has, and a completion tells.
            let _ = self.stream.shutdown(Shutdown::Write);
        }
    }
}

fn find(sockets: &mut Slab<Socket>, key: Key) -> Option<&mut Socket> {
    sockets.get_mut(key.index()).filter(|socket| socket.key == key)
}

fn outcome(result: i32) -> Result<usize, Errno> {
    usize::try_from(result).map_err(|_| Errno::from_raw_os_error(-result))
}

/// What a request is for, in its user data beside the key.
#[derive(Clone, Copy)]
enum Operation {
    Accept,
    Receive,
    Send,
    Cancel,
}

impl Operation {
    fn on(self, key: Key) -> u64 {
        u64::from(key.index) << 32 | u64::from(key.serial) << 2 | self as u64
    }

    fn cancel(self, key: Key) -> squeue::Entry {
        let cancel = opcode::AsyncCancel::new(self.on(key)).build();
        cancel.user_data(Self::Cancel.on(key)).flags(squeue::Flags::SKIP_SUCCESS)
    }

    #[expect(clippy::cast_possible_truncation, reason = "the fields are taken apart")]
    fn of(user_data: u64) -> (Self, Key) {
        let operation = match user_data & 3 {
            0 => Self::Accept,
            1 => Self::Receive,
            2 => Self::Send,
            _ => Self::Cancel,
        };
        (operation, Key { index: (user_data >> 32) as u32, serial: user_data as u32 >> 2 })
    }
}

/// Buffers that the kernel receives into, and the ring by which it gets them.
struct Pool {
    ring: *mut [Page],
    memory: *mut [u8],
    tail: u16,
}

/// The ring of buffers has to begin at a page.
#[derive(Clone)]
#[repr(C, align(4096))]
struct Page([u8; 4096]);

impl Pool {
    fn new(ring: &IoUring) -> io::Result<Self> {
        let bytes = usize::from(BUFFERS) * size_of::<BufRingEntry>();
        let pages = vec![Page([0; 4096]); bytes.div_ceil(size_of::<Page>())];
        let mut this = Self {
            ring: Box::into_raw(pages.into_boxed_slice()),
            memory: Box::into_raw(
                vec![0; usize::from(BUFFERS) * BUFFER as usize].into_boxed_slice(),
            ),
            tail: 0,
        };
        for buffer in 0..BUFFERS {
            this.provide(buffer);
        }
        // SAFETY: the ring has room for as many entries, and is freed after it was unregistered, or never.
        let registered = unsafe {
            let entries = this.entries() as u64;
            ring.submitter().register_buf_ring_with_flags(entries, BUFFERS, POOL, 0)
        };
        if let Err(error) = registered {
            this.free();
            return Err(error);
        }
        Ok(this)
    }

    /// Frees the memory, which the kernel must not know.
    fn free(&mut self) {
        let no_pages: Box<[Page]> = Box::default();
        let ring = std::mem::replace(&mut self.ring, Box::into_raw(no_pages));
        let no_bytes: Box<[u8]> = Box::default();
        let memory = std::mem::replace(&mut self.memory, Box::into_raw(no_bytes));
        // SAFETY: both came from `Box::into_raw` and are forgotten above; empty boxes own no memory.
        unsafe {
            drop(Box::from_raw(ring));
            drop(Box::from_raw(memory));
        }
    }

    fn entries(&self) -> *mut BufRingEntry {
        self.ring.cast()
    }

    fn start(&self, buffer: u16) -> *mut u8 {
        // In bounds, as no buffer is numbered `BUFFERS` or more.
        self.memory.cast::<u8>().wrapping_add(usize::from(buffer) * BUFFER as usize)
    }

    fn provide(&mut self, buffer: u16) {
        let start = self.start(buffer);
        // SAFETY: the index is below the number of entries. The kernel reads those below the tail only, and no
        // more than `BUFFERS` are provided at a time, as each is provided once and again by its `Received`. All
        // zeros are a valid entry.
        let entry = unsafe { &mut *self.entries().add(usize::from(self.tail % BUFFERS)) };
        entry.set_addr(start as u64);
        entry.set_len(BUFFER);
        entry.set_bid(buffer);
        self.tail = self.tail.wrapping_add(1);
        // SAFETY: the tail lies in the first entry, aligned and valid as long as the ring; the kernel reads it only.
        let tail = unsafe { AtomicU16::from_ptr(BufRingEntry::tail(self.entries()).cast_mut()) };
        tail.store(self.tail, Ordering::Release);
    }

    fn bytes(&mut self, received: &Received) -> &mut [u8] {
        debug_assert!(
            received.buffer < BUFFERS && received.length <= BUFFER as usize,
            "not of this pool"
        );
        // SAFETY: in bounds. The kernel has given this buffer to us, which `received`, that cannot be copied,
        // stands for; it does not touch it until it is provided again.
        unsafe { slice::from_raw_parts_mut(self.start(received.buffer), received.length) }
    }
}

/// Requests per submission. A busy loop makes one for each message.
const REQUESTS: u32 = 1024;

/// The group of all buffers.
const POOL: u16 = 0;

/// Number of buffers, a power of two. Each is free again once its bytes are handled.
const BUFFERS: u16 = 256;

/// Bytes of a buffer.
const BUFFER: u32 = 16 * 1024;

/// Bytes that a socket takes behind those in flight, as a send buffer of the kernel would.
const MAX_QUEUED: usize = 64 * 1024;

const CLOSE_ON_EXEC: i32 = SocketFlags::CLOEXEC.bits().cast_signed();

const MAX_SERIAL: u32 = u32::MAX >> 2;

const NO_SOCKET: Key = Key { index: u32::MAX, serial: MAX_SERIAL };
