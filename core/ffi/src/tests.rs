//! Requests, events and ids across the ABI, also under Miri. The rest is tested from C and Python.

use std::{ffi::c_void, ptr};

use enginewire_socketio::AckId;

use crate::{
    code::ew_code::{self, *},
    id::{Kind, Table},
    output::ew_output_kind::{self, *},
    slice::ew_slice,
    *,
};

/// A server, or a client, with one connection.
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

type New = unsafe extern "C" fn(*const ew_server_config, ew_entropy, *mut ew_hub) -> ew_code;

impl Server {
    /// A server of Engine.IO that asks about sessions and forwards requests.
    fn asking() -> Self {
        Self::new(ew_hub_new_server, |config| (config.ask, config.forward) = (1, 1))
    }

    fn new(new: New, configure: impl FnOnce(&mut ew_server_config)) -> Self {
        let mut config = ew_server_config { size: size_of::<ew_server_config>(), ..zeroed() };
        let mut server = Self { hub: 0, connection: 0, written: Vec::new() };
        let source = ew_entropy { fill: Some(entropy), context: ptr::null_mut() };
        // SAFETY: all pointers are to variables.
        unsafe {
            assert_eq!(ew_server_config_default(&mut config), EW_OK);
            configure(&mut config);
            assert_eq!(new(&config, source, &mut server.hub), EW_OK);
            assert_eq!(ew_hub_accept(server.hub, 0, &mut server.connection), EW_OK);
        }
        server
    }

    fn receive(&self, bytes: impl AsRef<[u8]>) {
        let mut bytes = bytes.as_ref().to_vec();
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
    fn written(&mut self) -> Vec<u8> {
        assert!(self.until(EW_OUTPUT_REQUEST).is_none());
        std::mem::take(&mut self.written)
    }

    fn response(&mut self) -> String {
        String::from_utf8(self.written()).unwrap()
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

/// A frame of a WebSocket with a small payload, masked with zeros or not at all.
fn frame(opcode: u8, mask: &[u8], payload: &[u8]) -> Vec<u8> {
    let masked = if mask.is_empty() { 0 } else { 0x80 };
    let length = u8::try_from(payload.len()).unwrap();
    [&[0x80 | opcode, masked | length], mask, payload].concat()
}

const TEXT: u8 = 1;
const BINARY: u8 = 2;

const POLLING: &str = "GET /engine.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: a\r\n\r\n";

#[test]
fn session_is_refused_or_allowed_by_the_application() {
    let mut server = Server::asking();
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
    let mut server = Server::asking();
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
fn event_is_sent_on_as_it_came_and_acknowledged_with_itself() {
    let mut server = Server::new(ew_hub_new_socketio, |_| ());
    server.receive(concat!(
        "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: a\r\n",
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    ));
    server.receive(frame(TEXT, &[0; 4], br#"40{"token":1}"#));
    let connect = server.until(EW_OUTPUT_SOCKET_CONNECT).unwrap();
    assert_eq!([connect.name_space, connect.event.json].map(text), ["/", r#"{"token":1}"#]);
    assert_eq!(ew_socket_accept(server.hub, 0, connect.socket), EW_OK);
    let written = server.written();
    assert!(written.windows(3).any(|bytes| bytes == b"40{"), "{}", written.escape_ascii());

    let placeholder = r#"{"_placeholder":true,"num":0}"#;
    server.receive(frame(TEXT, &[0; 4], format!(r#"451-7["a",1,{placeholder}]"#).as_bytes()));
    server.receive(frame(BINARY, &[0; 4], b"\0\xff"));
    let output = server.until(EW_OUTPUT_SOCKET_EVENT).unwrap();
    let event = output.event;
    assert_eq!([event.name, event.json].map(text), ["a".into(), format!("[1,{placeholder}]")]);
    // SAFETY: nothing was polled since.
    let code = unsafe {
        assert_eq!(event.attachment_count, 1);
        assert_eq!((*event.attachments).bytes("an attachment").unwrap(), b"\0\xff");
        assert_eq!(ew_socket_emit(server.hub, output.socket, &event), EW_OK);
        ew_socket_acknowledge(server.hub, output.socket, output.ack, &event)
    };
    assert_eq!(code, EW_OK);
    let expected = [
        frame(TEXT, &[], format!(r#"451-["a",1,{placeholder}]"#).as_bytes()),
        frame(BINARY, &[], b"\0\xff"),
        frame(TEXT, &[], format!(r#"461-7[1,{placeholder}]"#).as_bytes()),
        frame(BINARY, &[], b"\0\xff"),
    ];
    let written = server.written();
    assert!(written == expected.concat(), "{}", written.escape_ascii());
}

#[test]
fn connection_that_was_lost_has_no_further_output() {
    let mut server = Server::asking();
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
        assert_eq!(ew_ack::of(Some(id), 0).id(), Some(id));
    }
    assert_eq!(ew_ack::of(None, 0).id(), None);
}

#[test]
fn client_of_a_secure_server_is_led_by_its_proxy_and_then_encrypted() {
    for socketio in [false, true] {
        let mut client = Server { hub: 0, connection: 0, written: Vec::new() };
        let (url, proxy) = (b"https://chat.example", b"http://u:w@proxy.example:3128");
        let (url, source) =
            (ew_slice::of(url), ew_entropy { fill: Some(entropy), context: ptr::null_mut() });
        // SAFETY: zeros are null pointers and numbers.
        let mut config: ew_client_config = unsafe { std::mem::zeroed() };
        config.size = size_of::<ew_client_config>();
        let (mut session, mut socket) = (0, 0);
        // SAFETY: all pointers are to variables, and all slices are alive.
        unsafe {
            assert_eq!(ew_client_config_default(&mut config), EW_OK);
            config.proxy = ew_slice::of(proxy);
            let hub = &mut client.hub;
            if socketio {
                assert_eq!(ew_hub_new_socketio_client(url, &config, source, hub), EW_OK);
                let (root, none) = (ew_slice::of(b"/"), ew_slice::EMPTY);
                assert_eq!(ew_socket_open(*hub, 0, root, none, 0, &mut socket), EW_OK);
            } else {
                assert_eq!(ew_hub_new_client(0, url, &config, source, hub, &mut session), EW_OK);
            }
        }
        let output = client.until(EW_OUTPUT_OPEN).unwrap();
        assert_eq!(
            (text(output.host), output.port, output.secure),
            ("proxy.example".into(), 3128, 0)
        );
        client.connection = output.connection;
        assert_eq!(ew_hub_connected(client.hub, 0, client.connection), EW_OK);
        assert!(client.until(EW_OUTPUT_ENCRYPT).is_none());
        let request = String::from_utf8(std::mem::take(&mut client.written)).unwrap();
        assert!(request.starts_with("CONNECT chat.example:443 HTTP/1.1\r\n"), "{request}");
        assert!(request.contains("\r\nProxy-Authorization: Basic dTp3\r\n"), "{request}");
        client.receive("HTTP/1.1 200 OK\r\n\r\n");
        let output = client.until(EW_OUTPUT_ENCRYPT).unwrap();
        assert_eq!(
            (text(output.host), output.port, output.secure),
            ("chat.example".into(), 443, 1)
        );
        assert_eq!(output.connection, client.connection);
        assert!(client.written().is_empty());
        assert_eq!(ew_hub_connected(client.hub, 0, client.connection), EW_OK);
        let request = client.response();
        assert!(request.starts_with("GET /") && !request.contains("Proxy-"), "{request}");
    }
}
