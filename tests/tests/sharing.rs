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
    let recipients = [(); 10].map(|()| world.open_websocket());
    let text = world.broadcast(&"x".repeat(SIZE));
    assert_eq!(text.len(), recipients.len());
    assert_same_memory(&text, 1);
    // The text with the placeholder is small, and goes with the head of its frame.
    assert_same_memory(&world.broadcast(&Bytes::from(vec![7; SIZE])), 1);
}

#[test]
fn broadcast_is_turned_into_base64_once_for_all_that_poll() {
    let mut world = World::new();
    let recipients = [(); 10].map(|()| world.open_polling());
    let base64 = world.broadcast(&Bytes::from(vec![7; SIZE]));
    assert_eq!(base64.len(), recipients.len());
    assert_same_memory(&base64, 1);
    for parts in base64.values() {
        assert!(parts[0].1 >= SIZE / 3 * 4, "{parts:?}");
    }
}

/// Address and length of each large part that was written to a connection.
type Written = BTreeMap<ConnectionId, Vec<(usize, usize)>>;

fn assert_same_memory(written: &Written, parts: usize) {
    let first = written.values().next().unwrap();
    assert_eq!(first.len(), parts, "{first:?}");
    assert!(written.values().all(|parts| parts == first), "{written:?}");
}

/// A hub whose clients do no more than they must.
struct World {
    hub: Hub,
    now: Time,
    /// What was written last.
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

    fn open_websocket(&mut self) -> ConnectionId {
        let on = self.hub.handle_accepted(self.now);
        self.bytes(
            on,
            b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n\
              Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
              Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        );
        // A masked frame whose key is zero: the request to connect.
        let connected = self.bytes(on, b"\x81\x83\0\0\0\x00440");
        assert!(connected.contains(r#"40{"sid":"#), "{connected}");
        on
    }

    fn open_polling(&mut self) -> ConnectionId {
        let on = self.hub.handle_accepted(self.now);
        let path = "/socket.io/?EIO=4&transport=polling";
        let open = self.bytes(on, format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes());
        let (_, sid) = open.split_once(r#""sid":""#).unwrap();
        let (sid, _) = sid.split_once('"').unwrap();
        let target = format!("{path}&sid={sid}");
        let head = format!("POST {target} HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n40");
        let taken = self.bytes(on, head.as_bytes());
        assert!(taken.ends_with("ok"), "{taken}");
        let poll = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
        let connected = self.bytes(on, poll.as_bytes());
        assert!(connected.contains(r#"40{"sid":"#), "{connected}");
        // This one waits.
        assert_eq!(self.bytes(on, poll.as_bytes()), "");
        on
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

/// Bytes of a payload: more than is worth a copy.
const SIZE: usize = 30_000;
