//! WebSockets of the browser.

use std::{cmp::Ordering, collections::VecDeque};

use bytes::Bytes;
use enginewire::{Message, Request, WebSocketId, codec::Frame};
use enginewire_socketio::client_hub::SessionNumber;
use js_sys::{Array, ArrayBuffer, Uint8Array};
use wasm_bindgen::{JsCast, JsValue, closure::Closure};
use web_sys::{BinaryType, CloseEvent, MessageEvent, WebSocket};

use crate::inbox::{Inbox, Input, SocketInput};

/// One WebSocket, and what came on it while the application had too much to catch up with.
pub(crate) struct Socket {
    pub(crate) session: SessionNumber,
    pub(crate) on: WebSocketId,
    socket: WebSocket,
    inbox: Inbox,
    /// Callbacks, which live as long as they may be called.
    _callbacks: [Closure<dyn FnMut(JsValue)>; 3],
    pub(crate) is_open: bool,
    /// It was closed by this side.
    pub(crate) is_closing: bool,
    held: VecDeque<SocketInput>,
    held_bytes: usize,
    /// Bytes that the browser had not sent, when it had too many.
    blocked_at: Option<u32>,
    text: String,
}

impl Socket {
    /// Opens a WebSocket. What happens to it goes to `inbox`.
    pub(crate) fn open(
        session: SessionNumber,
        on: WebSocketId,
        url: &str,
        request: &Request,
        inbox: &Inbox,
    ) -> Result<Self, JsValue> {
        let protocols = Array::new();
        for (name, value) in request.headers.iter() {
            if name.eq_ignore_ascii_case(b"sec-websocket-protocol") {
                let names = String::from_utf8_lossy(value);
                for name in names.split(", ") {
                    protocols.push(&name.into());
                }
            }
        }
        let socket = WebSocket::new_with_str_sequence(url, &protocols)?;
        socket.set_binary_type(BinaryType::Arraybuffer);
        let callback = |input: fn(JsValue, &WebSocket) -> Option<SocketInput>| {
            let (inbox, socket) = (inbox.clone(), socket.clone());
            Closure::<dyn FnMut(JsValue)>::new(move |event| {
                if let Some(input) = input(event, &socket) {
                    inbox.push(Input::WebSocket(session, on, input));
                }
            })
        };
        let callbacks = [
            callback(|_, socket| {
                Some(SocketInput::Open(Some(socket.protocol()).filter(|name| !name.is_empty())))
            }),
            callback(|event, _| message(&event.unchecked_into()).map(SocketInput::Message)),
            callback(|event, _| {
                let event: CloseEvent = event.unchecked_into();
                Some(SocketInput::Closed { clean: event.was_clean() })
            }),
        ];
        let [opened, message, closed] = &callbacks;
        socket.set_onopen(Some(opened.as_ref().unchecked_ref()));
        socket.set_onmessage(Some(message.as_ref().unchecked_ref()));
        socket.set_onclose(Some(closed.as_ref().unchecked_ref()));
        Ok(Self {
            session,
            on,
            socket,
            inbox: inbox.clone(),
            _callbacks: callbacks,
            is_open: false,
            is_closing: false,
            held: VecDeque::new(),
            held_bytes: 0,
            blocked_at: None,
            text: String::new(),
        })
    }

    /// Sends a frame. One that the browser refuses is lost with the WebSocket, of which it tells.
    pub(crate) fn send(&mut self, frame: &Frame) {
        let Frame { binary, prefix, payload, .. } = frame;
        let sent = match (binary, prefix) {
            (false, _) => {
                self.text.clear();
                self.text.extend(prefix.map(char::from));
                // A session makes no other text than UTF-8.
                self.text.push_str(std::str::from_utf8(payload).unwrap_or_default());
                self.socket.send_with_str(&self.text)
            }
            // A copy: the browser takes no view on memory that threads share.
            (true, None) => self.socket.send_with_array_buffer(&buffer_of(payload)),
            (true, Some(prefix)) => {
                let bytes = [&[*prefix], &**payload].concat();
                self.socket.send_with_array_buffer(&buffer_of(&bytes))
            }
        };
        // It is not open any more.
        drop(sent);
        if self.text.capacity() > KEPT_TEXT {
            self.text = String::new();
        }
    }

    /// Returns whether the browser takes more. A session keeps the rest, where it is bounded and counts.
    ///
    /// Adds the bytes that have left since there were too many to `progress`.
    pub(crate) fn has_room(&mut self, progress: &mut usize) -> bool {
        let buffered = self.socket.buffered_amount();
        if let Some(before) = self.blocked_at {
            *progress += before.saturating_sub(buffered) as usize;
        }
        self.blocked_at = (buffered >= MAX_BUFFERED).then_some(buffered);
        self.blocked_at.is_none()
    }

    /// Returns whether the browser has too many bytes that it has not sent.
    pub(crate) const fn is_blocked(&self) -> bool {
        self.blocked_at.is_some()
    }

    /// Closes the WebSocket behind the frames that were sent.
    pub(crate) fn close(&mut self) {
        self.is_closing = true;
        self.blocked_at = None;
        // The browser tells of the end once, and may have done so.
        let end = self.held.drain(..).rfind(|held| matches!(held, SocketInput::Closed { .. }));
        if let Some(end) = end {
            self.inbox.push(Input::WebSocket(self.session, self.on, end));
        }
        // Without a code nothing can be wrong with it.
        drop(self.socket.close());
    }

    /// Holds an input until the application has caught up. Returns how the bytes compare with the limit.
    pub(crate) fn hold(&mut self, input: SocketInput, max: usize) -> Ordering {
        if let SocketInput::Message(message) = &input {
            self.held_bytes += message.cost();
        }
        self.held.push_back(input);
        self.held_bytes.cmp(&max)
    }

    /// Returns whether inputs are held, behind which others wait.
    pub(crate) fn is_holding(&self) -> bool {
        !self.held.is_empty()
    }

    /// Takes the first input that was held.
    pub(crate) fn take_held(&mut self) -> Option<SocketInput> {
        let input = self.held.pop_front()?;
        if let SocketInput::Message(message) = &input {
            self.held_bytes -= message.cost();
        }
        Some(input)
    }
}

/// Callbacks are not to be called once they are gone.
impl Drop for Socket {
    fn drop(&mut self) {
        self.socket.set_onopen(None);
        self.socket.set_onmessage(None);
        self.socket.set_onclose(None);
        if !self.is_closing {
            drop(self.socket.close());
        }
    }
}

fn buffer_of(bytes: &[u8]) -> ArrayBuffer {
    Uint8Array::from(bytes).buffer()
}

fn message(event: &MessageEvent) -> Option<Message> {
    let data = event.data();
    if let Some(text) = data.as_string() {
        return Some(text.into());
    }
    let bytes = data.dyn_into::<ArrayBuffer>().ok()?;
    Some(Bytes::from(Uint8Array::new(&bytes).to_vec()).into())
}

/// Bytes from which on no frame is added to those that the browser has not sent: as many as a driver hands to a socket.
const MAX_BUFFERED: u32 = 64 * 1024;

/// Storage for the text of a frame that is kept for the next.
const KEPT_TEXT: usize = 64 * 1024;
