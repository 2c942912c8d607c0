//! Ends of connections, polled by hand on a virtual clock.

use std::{
    pin::pin,
    sync::atomic::{AtomicUsize, Ordering},
    task::Wake,
};

use super::*;

/// A network and its clock.
struct World {
    network: Arc<Network>,
    now: Arc<Mutex<Time>>,
    woken: Arc<Woken>,
}

/// Counts how often the task of the test was woken.
#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Sleeps until a time of the virtual clock, which wakes nothing when it moves.
struct VirtualSleep {
    now: Arc<Mutex<Time>>,
    deadline: Time,
}

impl Future for VirtualSleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if *lock(&self.now) >= self.deadline { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl World {
    fn new() -> Self {
        let now = Arc::new(Mutex::new(Time::ZERO));
        let (read, sleep) = (Arc::clone(&now), Arc::clone(&now));
        let network = Network {
            clock: Clock::of(move || *lock(&read)),
            sleep: Box::new(move |deadline| {
                Box::pin(VirtualSleep { now: Arc::clone(&sleep), deadline })
            }),
            state: Mutex::default(),
        };
        Self { network: Arc::new(network), now, woken: Arc::default() }
    }

    fn connect(&self) -> (End, End) {
        let mut connecting = pin!(self.network.connect());
        match connecting.as_mut().poll(&mut Context::from_waker(&self.waker())) {
            Poll::Ready(ends) => ends,
            Poll::Pending => panic!("it waits"),
        }
    }

    fn pass(&self, duration: Duration) {
        let mut now = lock(&self.now);
        *now = *now + duration;
    }

    fn waker(&self) -> Waker {
        Waker::from(Arc::clone(&self.woken))
    }

    /// Returns whether the task was woken since the last look.
    fn is_woken(&self) -> bool {
        self.woken.0.swap(0, Ordering::Relaxed) > 0
    }

    /// Reads once, at most so many bytes.
    fn read(&self, end: &mut End, most: usize) -> Poll<Result<Vec<u8>, io::ErrorKind>> {
        let mut buffer = vec![0; most];
        let waker = self.waker();
        let cx = &mut Context::from_waker(&waker);
        let read = Pin::new(end).poll_read(cx, &mut buffer);
        read.map_ok(|n| buffer[..n].to_vec()).map_err(|error| error.kind())
    }

    fn write(&self, end: &mut End, bytes: &[u8]) -> Poll<Result<usize, io::ErrorKind>> {
        let waker = self.waker();
        let cx = &mut Context::from_waker(&waker);
        Pin::new(end).poll_write(cx, bytes).map_err(|error| error.kind())
    }

    fn close(&self, end: &mut End) {
        let waker = self.waker();
        let cx = &mut Context::from_waker(&waker);
        assert!(matches!(Pin::new(end).poll_close(cx), Poll::Ready(Ok(()))));
    }
}

const WHOLE: usize = 2 * CAPACITY;
const SECOND: Duration = Duration::from_secs(1);

fn bytes(bytes: &[u8]) -> Poll<Result<Vec<u8>, io::ErrorKind>> {
    Poll::Ready(Ok(bytes.to_vec()))
}

const END: Poll<Result<Vec<u8>, io::ErrorKind>> = Poll::Ready(Ok(Vec::new()));
const RESET: io::ErrorKind = io::ErrorKind::ConnectionReset;
const BROKEN: io::ErrorKind = io::ErrorKind::BrokenPipe;

#[test]
fn bytes_arrive_in_order_and_wake_their_reader() {
    let world = World::new();
    let (mut a, mut b) = world.connect();
    assert_eq!(world.read(&mut b, WHOLE), Poll::Pending);
    assert!(!world.is_woken());
    assert_eq!(world.write(&mut a, b"hel"), Poll::Ready(Ok(3)));
    assert!(world.is_woken());
    assert_eq!(world.write(&mut a, b"lo"), Poll::Ready(Ok(2)));
    assert_eq!(world.write(&mut b, b"back"), Poll::Ready(Ok(4)));
    assert_eq!(world.read(&mut b, 0), END);
    assert_eq!(world.read(&mut b, 4), bytes(b"hell"));
    assert_eq!(world.read(&mut b, WHOLE), bytes(b"o"));
    assert_eq!(world.read(&mut b, WHOLE), Poll::Pending);
    assert_eq!(world.read(&mut a, WHOLE), bytes(b"back"));
}

#[test]
fn full_buffer_blocks_the_writer_until_it_is_read() {
    let world = World::new();
    let (mut a, mut b) = world.connect();
    let message: Vec<_> = (0..=255).cycle().take(CAPACITY + 10).collect();
    assert_eq!(world.write(&mut a, &message), Poll::Ready(Ok(CAPACITY)));
    assert_eq!(world.write(&mut a, &message[CAPACITY..]), Poll::Pending);
    assert_eq!(world.write(&mut b, b"x"), Poll::Ready(Ok(1)), "the other direction has its own");
    assert!(!world.is_woken());
    assert_eq!(world.read(&mut b, 10), bytes(&message[..10]));
    assert!(world.is_woken());
    assert_eq!(world.write(&mut a, &message[CAPACITY..]), Poll::Ready(Ok(10)));
    assert_eq!(world.read(&mut b, WHOLE), bytes(&message[10..]));
}

#[test]
fn half_closed_connection_is_read_to_its_end_and_written_the_other_way() {
    let world = World::new();
    let (mut a, mut b) = world.connect();
    assert!(world.write(&mut a, b"last").is_ready());
    world.close(&mut a);
    assert_eq!(world.write(&mut a, b"more"), Poll::Ready(Err(BROKEN)));
    assert_eq!(world.read(&mut b, WHOLE), bytes(b"last"));
    assert_eq!(world.read(&mut b, WHOLE), END);
    assert_eq!(world.read(&mut b, WHOLE), END);
    assert_eq!(world.read(&mut a, WHOLE), Poll::Pending);
    assert_eq!(world.write(&mut b, b"still"), Poll::Ready(Ok(5)));
    assert!(world.is_woken());
    assert_eq!(world.read(&mut a, WHOLE), bytes(b"still"));
}

#[test]
fn closing_wakes_the_reader() {
    let world = World::new();
    let (mut a, mut b) = world.connect();
    assert_eq!(world.read(&mut b, WHOLE), Poll::Pending);
    world.close(&mut a);
    assert!(world.is_woken());
    assert_eq!(world.read(&mut b, WHOLE), END);
}

#[test]
fn dropped_end_is_noticed_by_reader_and_writer() {
    let world = World::new();
    let (mut a, mut b) = world.connect();
    assert!(world.write(&mut a, b"last").is_ready());
    assert!(world.write(&mut b, &[0; CAPACITY]).is_ready());
    assert_eq!(world.write(&mut b, b"x"), Poll::Pending);
    assert_eq!(world.network.connections(), 1);
    drop(a);
    assert!(world.is_woken());
    assert_eq!(world.write(&mut b, b"x"), Poll::Ready(Err(BROKEN)));
    assert_eq!(world.read(&mut b, WHOLE), bytes(b"last"));
    assert_eq!(world.read(&mut b, WHOLE), END);
    drop(b);
    assert_eq!(world.network.connections(), 0);
}

#[test]
fn frozen_network_carries_nothing_and_tells_nothing() {
    let world = World::new();
    let (mut a, mut b) = world.connect();
    assert!(world.write(&mut a, b"in flight").is_ready());
    world.network.set_frozen(true);
    assert_eq!(world.read(&mut b, WHOLE), Poll::Pending);
    assert_eq!(world.write(&mut b, b"kept"), Poll::Ready(Ok(4)));
    drop(a);
    assert_eq!(world.read(&mut b, WHOLE), Poll::Pending);
    assert_eq!(world.write(&mut b, b"!"), Poll::Ready(Ok(1)), "it cannot know");
    assert_eq!(world.write(&mut b, &[0; CAPACITY]), Poll::Ready(Ok(CAPACITY - 5)));
    assert_eq!(world.write(&mut b, b"!"), Poll::Pending);
    world.is_woken();
    world.network.set_frozen(false);
    assert!(world.is_woken());
    assert_eq!(world.read(&mut b, WHOLE), bytes(b"in flight"));
    assert_eq!(world.read(&mut b, WHOLE), END);
    assert_eq!(world.write(&mut b, b"!"), Poll::Ready(Err(BROKEN)));
}

#[test]
fn cut_resets_all_connections_and_no_later_one() {
    let world = World::new();
    let ((mut a, mut b), (mut c, _d)) = (world.connect(), world.connect());
    assert!(world.write(&mut a, b"lost").is_ready());
    assert_eq!(world.read(&mut c, WHOLE), Poll::Pending);
    world.network.set_frozen(true);
    world.network.cut();
    assert!(world.is_woken());
    assert_eq!(world.read(&mut b, WHOLE), Poll::Ready(Err(RESET)));
    assert_eq!(world.write(&mut a, b"x"), Poll::Ready(Err(RESET)));
    assert_eq!(world.read(&mut c, WHOLE), Poll::Ready(Err(RESET)));
    world.network.set_frozen(false);
    let (mut e, mut f) = world.connect();
    assert!(world.write(&mut e, b"fine").is_ready());
    assert_eq!(world.read(&mut f, WHOLE), bytes(b"fine"));
}

#[test]
fn slow_network_carries_so_many_bytes_a_second() {
    let world = World::new();
    let (mut a, mut b) = world.connect();
    world.network.set_rate(NonZeroU64::new(100));
    assert_eq!(world.write(&mut a, &[7; 200]), Poll::Ready(Ok(200)));
    assert_eq!(world.read(&mut b, WHOLE), Poll::Pending);
    world.pass(Duration::from_millis(50));
    assert_eq!(world.read(&mut b, 3), bytes(&[7; 3]));
    assert_eq!(world.read(&mut b, WHOLE), bytes(&[7; 2]), "those of 50 ms");
    world.pass(Duration::from_millis(949));
    assert_eq!(world.read(&mut b, WHOLE), bytes(&[7; 90]));
    world.pass(Duration::from_millis(1));
    assert_eq!(world.read(&mut b, WHOLE), bytes(&[7; 5]));
    // Behind what is on its way.
    world.network.set_rate(None);
    assert!(world.write(&mut a, b"!").is_ready());
    world.pass(SECOND - Duration::from_nanos(1));
    assert_eq!(world.read(&mut b, WHOLE), bytes(&[7; 95]));
    world.pass(Duration::from_nanos(1));
    assert_eq!(world.read(&mut b, WHOLE), bytes(b"\x07\x07\x07\x07\x07!"));
    // It has been idle since.
    world.pass(SECOND);
    world.network.set_rate(NonZeroU64::new(1));
    assert!(world.write(&mut a, b"ab").is_ready());
    world.pass(SECOND);
    assert_eq!(world.read(&mut b, WHOLE), bytes(b"a"));
}

#[test]
fn bytes_and_the_end_take_the_latency() {
    let world = World::new();
    let (mut a, mut b) = world.connect();
    world.network.set_latency(SECOND);
    assert!(world.write(&mut a, b"first").is_ready());
    world.network.set_latency(Duration::ZERO);
    assert!(world.write(&mut a, b" second").is_ready());
    world.network.set_latency(2 * SECOND);
    world.close(&mut a);
    assert_eq!(world.read(&mut b, WHOLE), Poll::Pending);
    world.pass(SECOND);
    assert_eq!(world.read(&mut b, WHOLE), bytes(b"first second"), "neither overtakes the other");
    assert_eq!(world.read(&mut b, WHOLE), Poll::Pending);
    world.pass(SECOND);
    assert_eq!(world.read(&mut b, WHOLE), END);
}

#[test]
fn reader_that_waits_for_a_late_byte_notices_a_cut() {
    let world = World::new();
    let (mut a, mut b) = world.connect();
    world.network.set_latency(SECOND);
    assert!(world.write(&mut a, b"late").is_ready());
    assert_eq!(world.read(&mut b, WHOLE), Poll::Pending);
    world.network.cut();
    assert!(world.is_woken());
    assert_eq!(world.read(&mut b, WHOLE), Poll::Ready(Err(RESET)));
}

#[test]
fn connecting_takes_a_round_trip_and_waits_for_a_frozen_network() {
    let world = World::new();
    world.network.set_latency(SECOND);
    world.network.set_frozen(true);
    let waker = world.waker();
    let cx = &mut Context::from_waker(&waker);
    {
        let mut connecting = pin!(world.network.connect());
        assert!(connecting.as_mut().poll(cx).is_pending());
        world.pass(2 * SECOND);
        assert!(connecting.as_mut().poll(cx).is_pending());
        assert_eq!(lock(&world.network.state).connecting.len(), 1);
    }
    assert_eq!(lock(&world.network.state).connecting.len(), 0, "it was dropped");
    let mut connecting = pin!(world.network.connect());
    assert!(connecting.as_mut().poll(cx).is_pending());
    world.pass(2 * SECOND);
    assert!(connecting.as_mut().poll(cx).is_pending());
    world.network.set_frozen(false);
    assert!(world.is_woken());
    assert!(connecting.as_mut().poll(cx).is_ready());
    assert_eq!(lock(&world.network.state).connecting.len(), 0);
}
