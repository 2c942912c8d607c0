//! A broadcast of Socket.IO is encoded once, and all recipients are sent the same memory.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use bytes::Bytes;
use enginewire::{Time, hub::ConnectionId};
use enginewire_socketio::{
    adapter::Target,
    hub::{Hub, HubConfig, Output},
};

#[test]
fn broadcast_is_not_copied_for_the_websockets_that_it_goes_to() {
    let mut world = World::new();
    for _ in 0..RECIPIENTS {
        world.open_websocket();
    }
    assert_same_memory(&world.broadcast(&"x".repeat(SIZE)));
    // The text with the placeholder is small, and goes with the head of its frame.
    assert_same_memory(&world.broadcast(&Bytes::from(vec![7; SIZE])));
}

/// Address and length of each large part that was written to a connection.
type Written = BTreeMap<ConnectionId, Vec<(usize, usize)>>;

fn assert_same_memory(written: &Written) {
    assert_eq!(written.len(), RECIPIENTS);
    let first = written.values().next().unwrap();
    assert_eq!(first.len(), 1, "{first:?}");
    assert!(written.values().all(|parts| parts == first), "{written:?}");
}

/// A hub whose clients do no more than they must.
struct World {
    hub: Hub,
    now: Time,
    /// Bytes that were written last.
    text: Vec<u8>,
    large: Written,
}

impl World {
    fn new() -> Self {
        let fill = |mut last: u8| {
            move |buffer: &mut [u8]| {
                last = last.wrapping_add(1);
                buffer.fill(last);
            }
        };
        let hub = Hub::new(HubConfig::default(), fill(0), fill(100));
        Self { hub, now: Time::from_millis(1), text: Vec::new(), large: BTreeMap::new() }
    }

    fn open_websocket(&mut self) {
        let on = self.hub.handle_accepted(self.now);
        self.bytes(
            on,
            b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n\
              Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
              Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        );
        // A masked frame whose key is zero: the request to connect.
        let connected = self.bytes(on, b"\x81\x82\0\0\0\x0040");
        assert!(connected.contains(r#"40{"sid":"#), "{connected}");
    }

    fn bytes(&mut self, on: ConnectionId, bytes: &[u8]) -> String {
        self.text.clear();
        self.hub.handle_bytes(self.now, on, &mut bytes.to_vec());
        self.drain();
        String::from_utf8_lossy(&self.text).into_owned()
    }

    fn drain(&mut self) {
        while let Some(output) = self.hub.poll() {
            match output {
                Output::Write(on) => {
                    let (text, large) = (&mut self.text, self.large.entry(on).or_default());
                    self.hub.transmit(self.now, on, |bytes| {
                        text.extend_from_slice(bytes);
                        if bytes.len() >= SIZE {
                            large.push((bytes.as_ptr().addr(), bytes.len()));
                        }
                        bytes.len()
                    });
                }
                Output::Connect(socket, ..) => assert!(self.hub.accept(self.now, socket)),
                _ => {}
            }
        }
    }

    /// Sends an event to all, and returns what was written for it.
    fn broadcast(&mut self, payload: &impl serde::Serialize) -> Written {
        self.large.clear();
        self.hub.broadcast("/", &Target::all(), "news", payload).unwrap();
        self.drain();
        std::mem::take(&mut self.large)
    }
}

const RECIPIENTS: usize = 10;

/// Bytes of a payload: more than is worth a copy.
const SIZE: usize = 30_000;
