//! Inputs that callbacks of JavaScript leave for the task of a client.

use std::{cell::RefCell, collections::VecDeque, io, rc::Rc, task::Waker};

use bytes::Bytes;
use enginewire::{ExchangeId, HttpResponse, Message, TransportFault, WebSocketId};
use enginewire_socketio::client_hub::SessionNumber;

/// Input that a callback has left.
pub(crate) enum Input {
    /// The server has responded to a request.
    Response(SessionNumber, ExchangeId, ResponseHead, Bytes),
    /// A request has no response.
    Lost(SessionNumber, ExchangeId, TransportFault, io::Error),
    /// So many bytes of a response came.
    Progress(SessionNumber, usize),
    /// Something happened to a WebSocket.
    WebSocket(SessionNumber, WebSocketId, SocketInput),
    /// The network is gone.
    Offline,
    /// The network is back.
    Online,
    /// The timer has expired.
    Timer,
}

/// Event of a WebSocket.
pub(crate) enum SocketInput {
    /// It is open. The server has chosen a subprotocol, or none.
    Open(Option<String>),
    Message(Message),
    /// It is closed, in order or not.
    Closed {
        clean: bool,
    },
}

/// Head of a response, as far as a client needs it.
pub(crate) struct ResponseHead {
    pub(crate) status: u16,
    pub(crate) content_type: Option<String>,
}

impl HttpResponse for ResponseHead {
    fn status(&self) -> u16 {
        self.status
    }

    /// Cookies and redirects are the browser's business.
    fn header_nth(&self, name: &str, nth: usize) -> Option<&[u8]> {
        let content_type = self.content_type.as_deref().map(str::as_bytes);
        content_type.filter(|_| nth == 0 && name.eq_ignore_ascii_case("content-type"))
    }
}

/// Queue of inputs, in the order in which they came. Clones are the same queue.
#[derive(Clone, Default)]
pub(crate) struct Inbox(Rc<RefCell<Queue>>);

#[derive(Default)]
struct Queue {
    inputs: VecDeque<Input>,
    waker: Option<Waker>,
}

impl Inbox {
    /// Queues an input, and wakes the task.
    pub(crate) fn push(&self, input: Input) {
        let mut queue = self.0.borrow_mut();
        queue.inputs.push_back(input);
        let waker = queue.waker.take();
        drop(queue);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    pub(crate) fn pop(&self) -> Option<Input> {
        self.0.borrow_mut().inputs.pop_front()
    }

    /// Has the task woken by the next input.
    pub(crate) fn register(&self, waker: &Waker) {
        self.0.borrow_mut().waker = Some(waker.clone());
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
        task::Wake,
    };

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn inputs_come_in_order_and_wake_the_task_once() {
        let (inbox, count) = (Inbox::default(), Arc::new(Count::default()));
        inbox.register(&Waker::from(Arc::clone(&count)));
        inbox.push(Input::Offline);
        inbox.clone().push(Input::Online);
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        assert!(matches!(inbox.pop(), Some(Input::Offline)));
        assert!(matches!(inbox.pop(), Some(Input::Online)));
        assert!(inbox.pop().is_none());
    }

    #[test]
    fn head_has_the_content_type_alone() {
        let head = ResponseHead { status: 200, content_type: Some("text/plain".into()) };
        assert_eq!(head.header_nth("Content-Type", 0), Some(b"text/plain".as_slice()));
        assert_eq!(
            (head.header_nth("content-type", 1), head.header_nth("location", 0)),
            (None, None)
        );
    }
}
