//! Connections in memory, and the faults of the network between their ends.

use std::{
    collections::VecDeque,
    future::{Future, poll_fn},
    io,
    num::NonZeroU64,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
    time::Duration,
};

use enginewire::Time;
use futures_io::{AsyncRead, AsyncWrite};
use slab::Slab;

use crate::{
    clock::Clock,
    runtime::Runtime,
    sync::lock,
    wakers::{WakerKey, WakerSet},
    wakes::{Wakes, register},
};

/// A network: connections, and what becomes of their bytes.
pub(super) struct Network {
    clock: Clock,
    sleep: Box<dyn Fn(Time) -> Sleep + Send + Sync>,
    state: Mutex<State>,
}

/// A timer of the runtime.
type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

#[derive(Default)]
struct State {
    is_frozen: bool,
    latency: Duration,
    /// Bytes that a connection carries in a second, in each direction.
    rate: Option<NonZeroU64>,
    pipes: Slab<Pipe>,
    /// Tasks that connect, and wait for the network to thaw.
    connecting: WakerSet,
}

/// One connection.
#[derive(Default)]
struct Pipe {
    /// Bytes that the end of the same number has written.
    flows: [Flow; 2],
    /// Ends that were dropped.
    dropped: [bool; 2],
    /// It was cut.
    is_reset: bool,
}

/// One direction of a connection.
#[derive(Default)]
struct Flow {
    bytes: VecDeque<u8>,
    /// Sizes of the parts of `bytes`, and when they arrive.
    pieces: VecDeque<(usize, Time)>,
    /// When the last byte has left, and when it arrives.
    sent: Time,
    arrived: Time,
    /// When the end arrives, once the writer has closed.
    end: Option<Time>,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// One end of a connection.
pub(super) struct End {
    network: Arc<Network>,
    pipe: usize,
    side: usize,
    /// Until bytes arrive.
    sleep: Option<(Time, Sleep)>,
}

impl Network {
    pub(super) fn new<R: Runtime>(runtime: R) -> Self {
        let clock = runtime.clock();
        let sleep = Box::new(move |deadline| -> Sleep {
            let sleep = runtime.sleep_until(deadline);
            Box::pin(async move {
                sleep.await;
            })
        });
        Self { clock, sleep, state: Mutex::default() }
    }

    /// Connects, and returns both ends. Takes a round trip, and waits while the network is frozen.
    pub(super) async fn connect(self: &Arc<Self>) -> (End, End) {
        let latency = lock(&self.state).latency;
        if !latency.is_zero() {
            (self.sleep)(self.clock.now() + latency.saturating_mul(2)).await;
        }
        let mut waiting = Waiting { network: self, key: None };
        let pipe = poll_fn(|cx| {
            let mut state = lock(&self.state);
            if state.is_frozen {
                state.connecting.register(&mut waiting.key, cx.waker());
                return Poll::Pending;
            }
            Poll::Ready(state.pipes.insert(Pipe::default()))
        })
        .await;
        let end = |side| End { network: Arc::clone(self), pipe, side, sleep: None };
        (end(0), end(1))
    }

    /// Resets all connections. Both ends notice at once.
    pub(super) fn cut(&self) {
        self.change(|state| {
            for (_, pipe) in &mut state.pipes {
                pipe.is_reset = true;
            }
        });
    }

    pub(super) fn set_frozen(&self, is_frozen: bool) {
        self.change(|state| state.is_frozen = is_frozen);
    }

    pub(super) fn set_latency(&self, latency: Duration) {
        self.change(|state| state.latency = latency);
    }

    pub(super) fn set_rate(&self, rate: Option<NonZeroU64>) {
        self.change(|state| state.rate = rate);
    }

    /// Returns the number of connections of which an end is left.
    pub(super) fn connections(&self) -> usize {
        lock(&self.state).pipes.len()
    }

    /// Changes the state, and has every task look at it.
    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut wakes = Wakes::default();
        let mut state = lock(&self.state);
        change(&mut state);
        state.connecting.wake_all(&mut wakes);
        for flow in state.pipes.iter_mut().flat_map(|(_, pipe)| &mut pipe.flows) {
            flow.wake(&mut wakes);
        }
    }
}

/// A task that waits for the network to thaw. Forgotten when dropped.
struct Waiting<'a> {
    network: &'a Network,
    key: WakerKey,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        lock(&self.network.state).connecting.remove(self.key);
    }
}

impl Flow {
    /// Takes bytes to be carried.
    fn send(&mut self, now: Time, bytes: &[u8], latency: Duration, rate: Option<NonZeroU64>) {
        self.bytes.extend(bytes);
        let most = rate.map_or(usize::MAX, piece_size);
        for piece in bytes.chunks(most) {
            let takes = rate.map_or(Duration::ZERO, |rate| transmission_time(piece.len(), rate));
            self.sent = self.sent.max(now) + takes;
            // Nothing overtakes what was sent when the latency was longer.
            self.arrived = self.arrived.max(self.sent + latency);
            self.pieces.push_back((piece.len(), self.arrived));
        }
    }

    /// Closes behind what was sent.
    fn close(&mut self, now: Time, latency: Duration) {
        let arrives = self.arrived.max(now + latency);
        self.end.get_or_insert(arrives);
    }

    /// Takes bytes that have arrived, and returns their number.
    fn receive(&mut self, now: Time, buffer: &mut [u8]) -> usize {
        let mut taken = 0;
        while let Some((size, at)) = self.pieces.front_mut()
            && *at <= now
            && taken < buffer.len()
        {
            let n = (*size).min(buffer.len() - taken);
            *size -= n;
            taken += n;
            if *size == 0 {
                self.pieces.pop_front();
            }
        }
        buffer.iter_mut().zip(self.bytes.drain(..taken)).for_each(|(place, byte)| *place = byte);
        taken
    }

    /// Returns when the next bytes arrive, or the end.
    fn next_arrival(&self) -> Option<Time> {
        self.pieces.front().map(|&(_, at)| at).or(self.end)
    }

    fn wake(&mut self, wakes: &mut Wakes) {
        wakes.extend(self.reader.take());
        wakes.extend(self.writer.take());
    }
}

impl End {
    /// Reads what has arrived, or returns when the next bytes do.
    fn receive(
        &self,
        now: Time,
        cx: &Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<Result<io::Result<usize>, Time>> {
        let mut wakes = Wakes::default();
        let mut state = lock(&self.network.state);
        let State { is_frozen, pipes, .. } = &mut *state;
        let pipe = &mut pipes[self.pipe];
        if pipe.is_reset {
            return Poll::Ready(Ok(Err(io::ErrorKind::ConnectionReset.into())));
        }
        let flow = &mut pipe.flows[1 - self.side];
        // The network may change while it waits for bytes that have not arrived.
        register(&mut flow.reader, cx.waker());
        if *is_frozen {
            return Poll::Pending;
        }
        let n = flow.receive(now, buffer);
        if n > 0 {
            wakes.extend(flow.writer.take());
            return Poll::Ready(Ok(Ok(n)));
        }
        match flow.next_arrival() {
            None => Poll::Pending,
            Some(at) if at <= now => Poll::Ready(Ok(Ok(0))),
            Some(at) => Poll::Ready(Err(at)),
        }
    }
}

impl AsyncRead for End {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if buffer.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let this = &mut *self;
        loop {
            let due = match this.receive(this.network.clock.now(), cx, buffer) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(read)) => return Poll::Ready(read),
                Poll::Ready(Err(due)) => due,
            };
            let (_, sleep) = match &mut this.sleep {
                Some(sleep) if sleep.0 == due => sleep,
                other => other.insert((due, (this.network.sleep)(due))),
            };
            if sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            this.sleep = None;
        }
    }
}

impl AsyncWrite for End {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let now = self.network.clock.now();
        let mut wakes = Wakes::default();
        let mut state = lock(&self.network.state);
        let State { is_frozen, latency, rate, pipes, .. } = &mut *state;
        let Pipe { flows, dropped, is_reset } = &mut pipes[self.pipe];
        if *is_reset {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        let flow = &mut flows[self.side];
        // While nothing moves, nothing tells that the peer is gone.
        if flow.end.is_some() || (dropped[1 - self.side] && !*is_frozen) {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let room = CAPACITY - flow.bytes.len();
        if room == 0 && !bytes.is_empty() {
            register(&mut flow.writer, cx.waker());
            return Poll::Pending;
        }
        let n = bytes.len().min(room);
        flow.send(now, &bytes[..n], *latency, *rate);
        wakes.extend(flow.reader.take());
        Poll::Ready(Ok(n))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let now = self.network.clock.now();
        let mut wakes = Wakes::default();
        let mut state = lock(&self.network.state);
        let State { latency, pipes, .. } = &mut *state;
        let flow = &mut pipes[self.pipe].flows[self.side];
        flow.close(now, *latency);
        wakes.extend(flow.reader.take());
        Poll::Ready(Ok(()))
    }
}

/// Closes the sending side behind what was written, and takes no more.
impl Drop for End {
    fn drop(&mut self) {
        let now = self.network.clock.now();
        let mut wakes = Wakes::default();
        // Dropped once the lock is free: a waker may be the last reference to a task that has an end.
        let _removed;
        let mut state = lock(&self.network.state);
        let State { latency, pipes, .. } = &mut *state;
        let pipe = &mut pipes[self.pipe];
        pipe.dropped[self.side] = true;
        if pipe.dropped == [true; 2] {
            _removed = pipes.remove(self.pipe);
            return;
        }
        pipe.flows[self.side].close(now, *latency);
        pipe.flows.iter_mut().for_each(|flow| flow.wake(&mut wakes));
    }
}

/// Returns the bytes that arrive together: those of 50 ms, so that a slow network is slow for every byte.
fn piece_size(rate: NonZeroU64) -> usize {
    usize::try_from(rate.get() / 20).unwrap_or(usize::MAX).max(1)
}

fn transmission_time(bytes: usize, rate: NonZeroU64) -> Duration {
    let nanos = bytes as u128 * 1_000_000_000 / u128::from(rate.get());
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// Bytes that a connection holds in each direction, as the buffers of the system would.
const CAPACITY: usize = 64 * 1024;

#[cfg(test)]
mod tests;
