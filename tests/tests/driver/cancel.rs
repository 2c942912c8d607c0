//! Futures dropped half-way: nothing is lost, nothing happens twice.

use std::{
    future::Future,
    pin::pin,
    task::{Context, Poll, Waker},
};

use enginewire::Message;

use crate::{
    Host, accept,
    client::{Client, until},
    serve, soon,
};

on_every_runtime!(
    accept_loses_no_session,
    recv_loses_no_message,
    send_queues_a_message_once_or_not_at_all,
    a_close_that_nobody_waits_for_goes_on,
);

/// Polls a future once and drops it.
fn try_once<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

fn accept_loses_no_session<R: Host>() {
    let server = serve::<R>(|builder| builder);
    let mut clients = Vec::new();
    for _ in 0..10 {
        assert!(try_once(server.accept()).is_none());
        clients.push(Client::open_websocket(server.local_addr()));
        drop(accept(&server));
    }
}

fn recv_loses_no_message<R: Host>() {
    let server = serve::<R>(|builder| builder);
    let mut client = Client::open_websocket(server.local_addr());
    let mut socket = accept(&server);
    for i in 0..100 {
        let waiting = try_once(socket.recv());
        assert_eq!(waiting, None);
        client.send(&format!("4{i}"));
        // Given up again and again while the message is on its way.
        let mut message = None;
        until("a message", || {
            message = try_once(socket.recv());
            message.is_some()
        });
        assert_eq!(message, Some(Some(Message::from(i.to_string()))));
    }
}

fn send_queues_a_message_once_or_not_at_all<R: Host>() {
    let server = serve::<R>(|builder| {
        let mut limits = enginewire::Limits::default();
        limits.max_queued = 200;
        builder.limits(limits)
    });
    let mut polling = Client::connect(server.local_addr());
    let sid = polling.open_polling();
    let socket = accept(&server);
    let mut queued = Vec::new();
    for i in 0..10 {
        match try_once(socket.send(i.to_string())) {
            Some(result) => {
                result.unwrap();
                queued.push(format!("4{i}"));
            }
            None => assert!(try_once(socket.ready()).is_none()),
        }
    }
    assert!(queued.len() < 10, "the queue was never full");
    let target = format!("/engine.io/?EIO=4&transport=polling&sid={sid}");
    assert_eq!(polling.get(&target).body, queued.join("\u{1e}"));
    soon("ready", socket.ready()).unwrap();
}

fn a_close_that_nobody_waits_for_goes_on<R: Host>() {
    let server = serve::<R>(|builder| builder);
    let mut client = Client::open_websocket(server.local_addr());
    let socket = accept(&server);
    soon("send", socket.send("last words")).unwrap();
    let _ = try_once(socket.close());
    assert_eq!(client.text(), "4last words");
    assert_eq!(client.next_frame().0, 8);
    assert_eq!(soon("close", socket.close()).as_str(), "forced close");
}
