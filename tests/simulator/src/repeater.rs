//! A proxy that sends requests twice.

use std::time::Duration;

use crate::observer::content_length;

/// Looks for the requests of one connection, to repeat one.
#[derive(Debug, Default)]
pub(crate) struct Repeater {
    /// The request that is passing, as far as it has.
    request: Vec<u8>,
    /// How long it is, once its head has passed.
    size: Option<usize>,
    /// What passes has to be repeated, after so long.
    wanted: Option<Duration>,
    /// It has become a WebSocket, and no request will follow.
    over: bool,
}

/// A request that is to come once more.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Again {
    pub(crate) request: Vec<u8>,
    pub(crate) after: Duration,
}

impl Repeater {
    /// Whatever passes next is to be repeated.
    pub(crate) const fn arm(&mut self, after: Duration) {
        self.wanted = Some(after);
    }

    /// Bytes of the client pass.
    pub(crate) fn pass(&mut self, bytes: &[u8]) -> Option<Again> {
        let mut again = None;
        for &byte in bytes {
            if self.over {
                break;
            }
            self.request.push(byte);
            if self.size.is_none() && self.request.ends_with(b"\r\n\r\n") {
                let body = usize::try_from(content_length(&self.request)).unwrap_or(usize::MAX);
                self.size = Some(self.request.len().saturating_add(body));
                self.over = contains(&self.request, b"transport=websocket");
            }
            if self.size == Some(self.request.len()) && !self.over {
                self.size = None;
                let request = std::mem::take(&mut self.request);
                if let Some(after) = self.wanted.take() {
                    again = Some(Again { request, after });
                }
            }
        }
        again
    }
}

impl Again {
    pub(crate) fn is_post(&self) -> bool {
        self.request.starts_with(b"POST ")
    }

    /// Whether it is of a session, rather than to open one.
    pub(crate) fn is_of_session(&self) -> bool {
        contains(&self.request, b"&sid=")
    }
}

fn contains(request: &[u8], what: &[u8]) -> bool {
    let line = request.split(|&byte| byte == b'\r').next().unwrap_or_default();
    line.windows(what.len()).any(|window| window == what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_that_is_passing_comes_again_and_no_other() {
        let post = b"POST /?a=1&sid=x HTTP/1.1\r\nContent-Length: 2\r\n\r\nab";
        let get = b"GET / HTTP/1.1\r\n\r\n";
        let all = [&post[..], get, post].concat();
        let second = Duration::from_secs(1);
        for size in 1..=all.len() {
            for at in 0..all.len() {
                let mut repeater = Repeater::default();
                let mut again = Vec::new();
                again.extend(all[..at].chunks(size).filter_map(|bytes| repeater.pass(bytes)));
                repeater.arm(second);
                again.extend(all[at..].chunks(size).filter_map(|bytes| repeater.pass(bytes)));
                let expected = match at {
                    _ if at < post.len() => &post[..],
                    _ if at < post.len() + get.len() => &get[..],
                    _ => &post[..],
                };
                assert_eq!(again, [Again { request: expected.to_vec(), after: second }]);
                assert_eq!(again[0].is_of_session(), again[0].is_post());
            }
        }
    }

    #[test]
    fn what_becomes_a_websocket_does_not_come_again() {
        let mut repeater = Repeater::default();
        repeater.arm(Duration::ZERO);
        let upgrade = b"GET /?transport=websocket HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n";
        assert_eq!(repeater.pass(upgrade), None);
    }
}
