//! The end of a client of Socket.IO whose last bytes do not leave at once.

use std::{
    future::{Future, poll_fn},
    io,
    net::TcpStream,
    pin::{Pin, pin},
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
};

use async_io::Async;
use enginewire_driver::{
    ServerBuilder, TransportKind,
    socketio::{ClientBuilder, DisconnectReason, Io},
};
use futures_lite::{AsyncRead, AsyncWrite};

use crate::{Host, client::soon};

on_every_runtime!(client_that_is_closed_waits_until_its_last_bytes_have_left);

fn client_that_is_closed_waits_until_its_last_bytes_have_left<R: Host>() {
    let io = Io::new();
    let namespace = io.namespace("/");
    let bound = ServerBuilder::on(R::default()).socketio(&io).bind("127.0.0.1:0");
    let server = soon("a listener", bound).unwrap();
    let address = server.local_addr();
    let gate = Gate::default();
    let of_streams = gate.clone();
    let client = ClientBuilder::on(R::default(), &format!("http://{address}"))
        .transports([TransportKind::WebSocket])
        .engine(|engine| {
            engine.connector(move |_| {
                let gate = of_streams.clone();
                async move {
                    let stream = Async::<TcpStream>::connect(address).await?;
                    Ok((Gated { stream, gate }, address))
                }
            })
        })
        .build()
        .unwrap();
    let socket = soon("a connection", client.connect()).unwrap();
    let theirs = soon("the server's socket", namespace.accept()).unwrap();

    gate.set_shut(true);
    let mut closing = pin!(client.close());
    soon(
        "the last bytes",
        poll_fn(|cx| {
            assert!(closing.as_mut().poll(cx).is_pending(), "the last bytes have not left");
            gate.poll_tried(cx)
        }),
    );
    let cx = &mut Context::from_waker(Waker::noop());
    assert!(closing.as_mut().poll(cx).is_pending(), "the last bytes have not left");
    gate.set_shut(false);
    soon("the end", closing);
    assert_eq!(soon("the end", theirs.closed()), DisconnectReason::ClientLeft);
    drop(socket);
}

/// Lets writes through, or has them wait.
#[derive(Clone, Default)]
struct Gate(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    is_shut: bool,
    /// A write has been tried while it was shut.
    is_tried: bool,
    writer: Option<Waker>,
    watcher: Option<Waker>,
}

impl Gate {
    fn set_shut(&self, is_shut: bool) {
        let mut state = self.0.lock().unwrap();
        state.is_shut = is_shut;
        state.writer.take().into_iter().for_each(Waker::wake);
    }

    /// Waits for a write that has to wait.
    fn poll_tried(&self, cx: &Context<'_>) -> Poll<()> {
        let mut state = self.0.lock().unwrap();
        if state.is_tried {
            return Poll::Ready(());
        }
        state.watcher = Some(cx.waker().clone());
        Poll::Pending
    }

    fn poll_pass(&self, cx: &Context<'_>) -> Poll<()> {
        let mut state = self.0.lock().unwrap();
        if !state.is_shut {
            return Poll::Ready(());
        }
        state.is_tried = true;
        state.writer = Some(cx.waker().clone());
        state.watcher.take().into_iter().for_each(Waker::wake);
        Poll::Pending
    }
}

struct Gated {
    stream: Async<TcpStream>,
    gate: Gate,
}

impl AsyncRead for Gated {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Gated {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.gate.poll_pass(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(()) => Pin::new(&mut self.stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_close(cx)
    }
}
