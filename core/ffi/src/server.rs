//! Creation of servers.

use enginewire::{ServerHub, hub::ServerHubConfig};
use enginewire_socketio::hub::{Hub as SocketIo, HubConfig};

use crate::{
    code::{Failure, enter, ew_code},
    config::{self, ew_server_config},
    entropy::{Source, ew_entropy},
    handle::{self, ew_hub},
    hub::{Engine, Hub},
    slice,
};

/// Creates an Engine.IO server without connections.
///
/// `config` may be null, for the defaults. It is not used after the call. In production `entropy` is the operating
/// system's, because ids of sessions are secrets.
///
/// # Safety
///
/// Pointers are as the rules in `README.md` say, and `entropy` for as long as the hub.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ew_hub_new_server(
    config: *const ew_server_config,
    entropy: ew_entropy,
    hub: *mut ew_hub,
) -> ew_code {
    let create = |config: Option<&ew_server_config>, source| {
        let mut server = ServerHubConfig::default();
        if let Some(config) = config {
            // SAFETY: the caller promises valid slices.
            unsafe { config.apply(&mut server) }?;
        }
        Ok(Engine::Server(Box::new(ServerHub::new(server, source))))
    };
    // SAFETY: the promise is the same.
    unsafe { new(config, entropy, hub, create) }
}

/// Creates a Socket.IO server without connections.
///
/// Arguments are those of `ew_hub_new_server`.
///
/// # Safety
///
/// As `ew_hub_new_server`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ew_hub_new_socketio(
    config: *const ew_server_config,
    entropy: ew_entropy,
    hub: *mut ew_hub,
) -> ew_code {
    let create = |config: Option<&ew_server_config>, source| {
        let mut server = HubConfig::default();
        if let Some(config) = config {
            // SAFETY: the caller promises valid slices.
            unsafe { config.apply_socketio(&mut server) }?;
        }
        Ok(Engine::SocketIo(Box::new(SocketIo::new(server, source, source))))
    };
    // SAFETY: the promise is the same.
    unsafe { new(config, entropy, hub, create) }
}

/// Creates a server of some kind.
///
/// # Safety
///
/// As `ew_hub_new_server`.
unsafe fn new(
    config: *const ew_server_config,
    entropy: ew_entropy,
    hub: *mut ew_hub,
    create: impl FnOnce(Option<&ew_server_config>, Source) -> Result<Engine, Failure>,
) -> ew_code {
    enter(|| {
        // SAFETY: a hub can be written there. Before there is one, so that none is lost.
        unsafe { slice::write(hub, 0, "hub") }?;
        let config = match config.is_null() {
            true => None,
            // SAFETY: the caller promises a config whose size is set.
            false => Some(unsafe { config::read(config) }?),
        };
        let engine = create(config, entropy.source()?)?;
        // SAFETY: as above.
        unsafe { slice::write(hub, handle::insert(Hub::new(engine)), "hub") }
    })
}
