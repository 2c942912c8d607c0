#![doc = include_str!("../README.md")]
// For links from docs that are built without these. docs.rs itself links to the exact version.
#![doc(html_root_url = "https://docs.rs/enginewire-ffi/latest")]
#![allow(non_camel_case_types, reason = "the names are those of the header")]
#![allow(unsafe_code, reason = "a C ABI reads and writes through the pointers of its callers")]
#![warn(clippy::undocumented_unsafe_blocks)]

// In the order of the header: the ground, creation, connections and time, commands.
mod code;
mod id;
mod slice;

mod client;
mod config;
mod entropy;
mod handle;
mod server;

mod hub;
mod output;
mod poll;
mod request;

mod event;
mod namespace;
mod session;
mod socket;
mod socketio_client;

#[cfg(test)]
mod tests;

pub use self::{
    client::{ew_client_config, ew_client_config_default, ew_header, ew_hub_new_client},
    code::{ew_code, ew_last_error, ew_version},
    config::{ew_server_config, ew_server_config_default},
    entropy::ew_entropy,
    handle::{ew_hub, ew_hub_free},
    hub::{
        EW_NEVER, ew_hub_abort, ew_hub_accept, ew_hub_close, ew_hub_connected, ew_hub_deadline,
        ew_hub_eof, ew_hub_is_accepting, ew_hub_is_finished, ew_hub_is_reading, ew_hub_lost,
        ew_hub_receive, ew_hub_refused, ew_hub_set_wall_clock, ew_hub_timeout, ew_hub_transmit,
        ew_hub_writable, ew_write,
    },
    id::{ew_connection, ew_index, ew_session, ew_socket},
    namespace::{ew_delivered, ew_namespace_emit, ew_namespace_emit_with_ack, ew_target},
    output::{ew_ack, ew_event, ew_output, ew_output_kind},
    poll::ew_hub_poll,
    request::{ew_request_allow, ew_request_header, ew_request_refuse, ew_request_respond},
    server::{ew_hub_new_server, ew_hub_new_socketio},
    session::{
        ew_session_abort, ew_session_broadcast, ew_session_close, ew_session_pause,
        ew_session_resume, ew_session_send,
    },
    slice::{ew_slice, ew_text},
    socket::{
        ew_socket_accept, ew_socket_acknowledge, ew_socket_disconnect, ew_socket_disconnect_client,
        ew_socket_emit, ew_socket_emit_volatile, ew_socket_emit_with_ack, ew_socket_id,
        ew_socket_join, ew_socket_leave, ew_socket_pause, ew_socket_refuse, ew_socket_resume,
    },
    socketio_client::{ew_hub_new_socketio_client, ew_socket_authorize, ew_socket_open},
};
