//! Connecting to a server that may have several addresses: Happy Eyeballs (RFC 8305).

use std::{
    collections::BTreeSet,
    fmt,
    future::{Future, poll_fn},
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
    vec,
};

use crate::runtime::Runtime;

/// Connects to a server on TCP, by the first of its addresses that works.
///
/// The addresses are tried as RFC 8305 says, and nothing is encrypted. `host` is a name or an address. For clients of other protocols, such as a bus. Returns the address that it has
/// connected to as well. Dropping the future drops all attempts.
///
/// # Errors
///
/// That of looking up the name, or of connecting. If all addresses fail it is the first error of those that tell most:
/// a refusal says more than a network that is not there.
pub async fn connect_tcp<R: Runtime>(
    runtime: &R,
    host: &str,
    port: u16,
) -> io::Result<(R::Stream, SocketAddr)> {
    let addresses = in_order(resolve(runtime, host, port).await?);
    if addresses.is_empty() {
        return Err(explain(host, &io::ErrorKind::NotFound.into()));
    }
    let mut race = Race::new(runtime, addresses);
    poll_fn(|cx| race.poll(cx)).await
}

/// The addresses of the host, which needs no look-up if it is one.
async fn resolve<R: Runtime>(runtime: &R, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    runtime.resolve(host, port).await.map_err(|error| explain(host, &error))
}

/// The order of attempts (RFC 8305 section 4): IPv6 and IPv4 in turn, each as the system prefers
/// them.
fn in_order(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let mut seen = BTreeSet::new();
    let new = addresses.into_iter().filter(|&address| seen.insert(address));
    let (v6, v4): (Vec<_>, Vec<_>) = new.partition(SocketAddr::is_ipv6);
    let (mut v6, mut v4) = (v6.into_iter(), v4.into_iter());
    let mut order = Vec::new();
    while order.len() < MAX_ADDRESSES && v6.len() + v4.len() > 0 {
        order.extend(v6.next());
        order.extend(v4.next());
    }
    order.truncate(MAX_ADDRESSES);
    order
}

/// The attempts to connect (RFC 8305 section 5), each [`DELAY`] after the one before it or as soon as
/// one fails. The first connection wins, and the other attempts are dropped with this value.
struct Race<'a, R: Runtime> {
    runtime: &'a R,
    /// Addresses that have not been tried.
    waiting: vec::IntoIter<SocketAddr>,
    /// Attempts in flight, in the order in which they began.
    attempts: Vec<(SocketAddr, Attempt<'a, R>)>,
    /// Until the next attempt.
    delay: Option<Pin<Box<R::Sleep>>>,
    /// The error that has told most so far.
    failure: Option<(SocketAddr, io::Error)>,
}

type Attempt<'a, R> = Pin<Box<dyn Future<Output = io::Result<<R as Runtime>::Stream>> + Send + 'a>>;

impl<'a, R: Runtime> Race<'a, R> {
    fn new(runtime: &'a R, addresses: Vec<SocketAddr>) -> Self {
        let waiting = addresses.into_iter();
        Self { runtime, waiting, attempts: Vec::new(), delay: None, failure: None }
    }

    /// Completes with the first connection, or once all addresses have failed.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(R::Stream, SocketAddr)>> {
        loop {
            let in_flight = self.attempts.len();
            if let Some(won) = self.poll_attempts(cx) {
                return Poll::Ready(Ok(won));
            }
            let failed = self.attempts.len() < in_flight;
            let delay = self.delay.as_mut();
            if !failed && delay.is_some_and(|delay| delay.as_mut().poll(cx).is_pending()) {
                return Poll::Pending;
            }
            // It has completed, or is of no more use.
            self.delay = None;
            if let Some(address) = self.waiting.next() {
                self.attempts.push((address, Box::pin(self.runtime.connect(address))));
                let next = self.runtime.clock().now() + DELAY;
                self.delay = Some(Box::pin(self.runtime.sleep_until(next)));
            } else if !self.attempts.is_empty() {
                return Poll::Pending;
            } else {
                // Every address has failed, and there was one.
                let error = self.failure.take().map(|(address, error)| explain(address, &error));
                return Poll::Ready(Err(error.unwrap_or_else(|| io::ErrorKind::NotFound.into())));
            }
        }
    }

    /// Polls the attempts in flight, and removes those that fail. The earliest that succeeds wins.
    fn poll_attempts(&mut self, cx: &mut Context<'_>) -> Option<(R::Stream, SocketAddr)> {
        let mut at = 0;
        while let Some((address, attempt)) = self.attempts.get_mut(at) {
            let address = *address;
            match attempt.as_mut().poll(cx) {
                Poll::Pending => at += 1,
                Poll::Ready(Ok(stream)) => {
                    drop(self.attempts.remove(at));
                    return Some((stream, address));
                }
                Poll::Ready(Err(error)) => {
                    drop(self.attempts.remove(at));
                    let known = self.failure.as_ref().map(|(_, known)| weight(known));
                    if known.is_none_or(|known| weight(&error) > known) {
                        self.failure = Some((address, error));
                    }
                }
            }
        }
        None
    }
}

/// How much an error tells about the server.
fn weight(error: &io::Error) -> u8 {
    use io::ErrorKind::{
        AddrNotAvailable, ConnectionRefused, ConnectionReset, HostUnreachable, NetworkUnreachable,
        TimedOut,
    };
    match error.kind() {
        ConnectionRefused | ConnectionReset | TimedOut => 2,
        // This host has no way to that family of addresses.
        AddrNotAvailable | HostUnreachable | NetworkUnreachable => 0,
        _ => 1,
    }
}

/// The error with the name or address that it is about.
fn explain(about: impl fmt::Display, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{about}: {error}"))
}

/// Connection Attempt Delay, the value that RFC 8305 section 5 recommends.
const DELAY: Duration = Duration::from_millis(250);

/// Addresses that are tried. With [`DELAY`] the last attempt begins 8 s after the first, within any
/// sensible time to open a session.
const MAX_ADDRESSES: usize = 32;

#[cfg(test)]
mod tests;
