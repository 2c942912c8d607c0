//! Requests, ids and numbers across the ABI. The rest is tested from C and Python.

use std::{ffi::c_void, ptr};

use enginewire_socketio::AckId;

use crate::{
    code::ew_code::{self, *},
    id::{Kind, Table},
    output::ew_output_kind::{self, *},
    slice::ew_slice,
    *,
};

/// A server that asks about sessions and forwards requests, with one connection.
struct Server {
    hub: ew_hub,
    connection: ew_connection,
    written: Vec<u8>,
}

unsafe extern "C" fn entropy(_: *mut c_void, bytes: *mut u8, length: usize) -> i32 {
    // SAFETY: the hub gives so many bytes.
    unsafe { bytes.write_bytes(7, length) };
    0
}

unsafe extern "C" fn write(context: *mut c_void, bytes: *const u8, length: usize) -> usize {
    // SAFETY: the context is that of `until`, and the hub gives so many bytes.
    let (written, bytes) =
        unsafe { (&mut *context.cast::<Vec<u8>>(), std::slice::from_raw_parts(bytes, length)) };
    written.extend_from_slice(bytes);
    length
}

impl Server {
    fn new() -> Self {
        let mut config = ew_server_config { size: size_of::<ew_server_config>(), ..zeroed() };
        let mut server = Self { hub: 0, connection: 0, written: Vec::new() };
        let source = ew_entropy { fill: Some(entropy), context: ptr::null_mut() };
        // SAFETY: all pointers are to variables.
        unsafe {
            assert_eq!(ew_server_config_default(&mut config), EW_OK);
            (config.ask, config.forward) = (1, 1);
            assert_eq!(ew_hub_new_server(&config, source, &mut server.hub), EW_OK);
            assert_eq!(ew_hub_accept(server.hub, 0, &mut server.connection), EW_OK);
        }
        server
    }

    fn receive(&self, request: &str) {
        let mut bytes = request.as_bytes().to_vec();
        // SAFETY: so many bytes are there.
        let code = unsafe {
            ew_hub_receive(self.hub, 0, self.connection, bytes.as_mut_ptr(), bytes.len())
        };
        assert_eq!(code, EW_OK);
    }

    /// Polls until an output of this kind, or until there is none.
    fn until(&mut self, kind: ew_output_kind) -> Option<ew_output> {
        loop {
            let mut output = ptr::null();
            // SAFETY: the pointer is to a variable, and an output is valid until the next poll.
            let output = unsafe {
                assert_eq!(ew_hub_poll(self.hub, 0, &mut output), EW_OK);
                output.as_ref()
            }?;
            if output.kind == kind {
                return Some(*output);
            }
            if output.kind == EW_OUTPUT_WRITE {
                let context = ptr::from_mut(&mut self.written).cast();
                // SAFETY: the context is as `write` expects.
                let code = unsafe {
                    ew_hub_transmit(self.hub, 0, output.connection, Some(write), context)
                };
                assert_eq!(code, EW_OK);
            }
        }
    }

    /// Takes what was written.
    fn response(&mut self) -> String {
        assert!(self.until(EW_OUTPUT_REQUEST).is_none());
        String::from_utf8(std::mem::take(&mut self.written)).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        assert_eq!(ew_hub_free(self.hub), EW_OK);
    }
}

fn zeroed() -> ew_server_config {
    // SAFETY: zeros are null pointers and numbers.
    unsafe { std::mem::zeroed() }
}

/// An output's slice, while it is valid.
fn text(slice: ew_slice) -> String {
    // SAFETY: nothing was polled since.
    unsafe { slice.text("a slice") }.unwrap().to_owned()
}

const POLLING: &str = "GET /engine.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: a\r\n\r\n";

#[test]
fn session_is_refused_or_allowed_by_the_application() {
    let mut server = Server::new();
    server.receive(POLLING);
    let ask = server.until(EW_OUTPUT_ASK).unwrap();
    assert_eq!(ask.connection, server.connection);
    assert_eq!(text(ask.path) + "?" + &text(ask.query), "/engine.io/?EIO=4&transport=polling");
    let refuse = |server: &Server| {
        let message = ew_slice::of(b"slow down");
        // SAFETY: the message is a constant.
        unsafe { ew_request_refuse(server.hub, server.connection, 429, message) }
    };
    assert_eq!(refuse(&server), EW_OK);
    assert_eq!(refuse(&server), EW_ERROR_CLOSED, "there was a response");
    let response = server.response();
    assert!(response.starts_with("HTTP/1.1 429 ") && response.contains("slow down"), "{response}");

    server.receive(POLLING);
    assert!(server.until(EW_OUTPUT_ASK).is_some());
    assert_eq!(ew_request_allow(server.hub, server.connection), EW_OK);
    let opened = server.until(EW_OUTPUT_SESSION_OPENED).unwrap();
    assert_eq!(opened.connection, server.connection);
    assert!(server.response().starts_with("HTTP/1.1 200 "));
}

#[test]
fn request_for_another_path_gets_the_response_of_the_application() {
    let mut server = Server::new();
    server.receive("POST /health?a HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
    let request = server.until(EW_OUTPUT_REQUEST).unwrap();
    let parts = [request.method, request.path, request.query, request.data].map(text);
    assert_eq!(parts, ["POST", "/health", "a", "hi"]);
    assert_eq!(ew_request_allow(server.hub, server.connection), EW_ERROR_CLOSED, "no session");
    let respond = |server: &Server, content_type: &[u8]| {
        let (content_type, body) = (ew_slice::of(content_type), ew_slice::of(b"well"));
        // SAFETY: the slices are constants.
        unsafe { ew_request_respond(server.hub, server.connection, 200, content_type, body) }
    };
    assert_eq!(respond(&server, b"text/plain\r\nA: b"), EW_ERROR_ARGUMENT);
    assert_eq!(respond(&server, b"text/plain"), EW_OK);
    assert_eq!(respond(&server, b"text/plain"), EW_ERROR_CLOSED);
    let response = server.response();
    assert!(response.contains("\r\nContent-Type: text/plain\r\n"), "{response}");
    assert!(response.ends_with("\r\n\r\nwell"), "{response}");
}

#[test]
fn connection_that_was_lost_has_no_further_output() {
    let mut server = Server::new();
    server.receive("nonsense\r\n\r\n");
    assert_eq!(ew_hub_abort(server.hub, 0), EW_OK);
    assert_eq!(ew_hub_lost(server.hub, 0, server.connection), EW_OK);
    assert!(server.until(EW_OUTPUT_CLOSE).is_none(), "it was queued");
    assert_eq!(ew_hub_is_finished(server.hub), EW_YES);
}

#[test]
fn id_is_stale_once_its_place_has_another_value() {
    let mut table = Table::new(Kind::Socket);
    let first = table.insert(3, 'a');
    assert_eq!((ew_index(first), table.get(first).copied().ok()), (3, Some('a')));
    let second = table.insert(3, 'b');
    let code = |id: u64| table.get(id).err().map(|failure| failure.code);
    assert_eq!(code(first), Some(ew_code::EW_ERROR_CLOSED));
    assert_eq!(code(second), None);
    // The place before it was never used, that behind it does not exist.
    for foreign in [0, u64::MAX, second - 1, second + 1, second ^ (1 << 60)] {
        assert_eq!(code(foreign), Some(ew_code::EW_ERROR_ARGUMENT), "{foreign:#x}");
    }
}

#[test]
fn number_of_an_acknowledgement_survives_its_halves() {
    let longest = AckId("9".repeat(AckId::MAX_DIGITS).parse().unwrap());
    for id in [AckId(0), AckId(u128::from(u64::MAX) + 1), longest] {
        assert_eq!(ew_ack::of(Some(id)).id(), Some(id));
    }
    assert_eq!(ew_ack::of(None).id(), None);
}
