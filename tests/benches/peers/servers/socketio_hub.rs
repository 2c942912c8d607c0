//! The hub of Socket.IO of Enginewire in the event loop of its example `mio_chat`.

use bytes::Bytes;
use enginewire_socketio::Event;
use enginewire_socketio::adapter::Target;
use enginewire_socketio::hub::{Hub, HubConfig, Output, SocketKey};

use super::{LOOPBACK, Ready};
use crate::Result;

// It takes the hub from where it stands.
#[expect(clippy::duplicate_mod, reason = "the other is that of Engine.IO")]
#[path = "../../../../core/examples/mio_echo/event_loop.rs"]
mod event_loop;

pub(super) fn serve(ready: Ready) -> Result<()> {
    let mut config = HubConfig::default();
    // The only path that our clients know.
    config.engine.protocol.path = "/engine.io/".into();
    let hub = Hub::new(config, event_loop::entropy, event_loop::entropy);
    let mut events = event_loop::EventLoop::new(hub, LOOPBACK)?;
    ready.send(events.local_addr()?)?;
    loop {
        events.drain(|hub, now, output| match output {
            Output::Connect(socket, ..) => drop(hub.accept(now, socket)),
            Output::Event(socket, event) => handle(hub, socket, &event),
            _ => {}
        });
        events.wait(None)?;
    }
}

// An event of another shape, and one that could not be sent, are lost here; the load generator would notice.
fn handle(hub: &mut Hub, socket: SocketKey, event: &Event) {
    match event.name() {
        "echo" => {
            let Ok(text) = event.data::<String>() else { return };
            let _ = hub.emit(socket, "echo", &text);
        }
        "echo_bin" => {
            let Ok(data) = event.data::<Bytes>() else { return };
            let _ = hub.emit(socket, "echo_bin", &data);
        }
        "ack" => {
            let (Ok(text), Some(ack)) = (event.data::<String>(), event.ack()) else { return };
            let _ = hub.acknowledge(socket, ack, &text);
        }
        "broadcast" => {
            let Ok(text) = event.data::<String>() else { return };
            let _ = hub.broadcast("/", &Target::all(), "broadcast", &text);
        }
        _ => {}
    }
}
