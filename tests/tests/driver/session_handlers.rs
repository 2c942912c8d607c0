//! Sessions that a handler has, polled by the tasks of connections.

use std::{
    future::pending,
    io::Write as _,
    pin::pin,
    sync::{Arc, mpsc},
    time::Duration,
};

use ::tokio::sync::Semaphore;
use enginewire_driver::{Message, Sender, Server, Socket};
use futures_util::future::{Either, select};

use crate::{
    Host,
    client::{Client, until, within},
    serve, soon, until_empty,
};

on_every_runtime!(
    handler_echoes_over_every_transport,
    handler_may_wait_for_other_things_than_its_socket,
    handler_that_returns_closes_its_session,
    messages_of_a_client_that_is_gone_are_still_handled,
    close_waits_for_handlers,
    close_does_not_wait_for_handlers_beyond_the_shutdown_timeout,
    handler_that_panics_ends_its_session_only,
    handler_takes_a_flood_in_order,
);

async fn echo(mut socket: Socket) {
    while let Some(message) = socket.recv().await {
        if socket.send(message).await.is_err() {
            break;
        }
    }
}

/// A server that tells the sockets' senders.
fn serve_echo<R: Host>() -> (Server, mpsc::Receiver<Sender>) {
    let (senders, opened) = mpsc::channel();
    let server = serve::<R>(|builder| {
        builder.handler(move |socket, _| {
            senders.send(socket.sender()).unwrap();
            echo(socket)
        })
    });
    (server, opened)
}

fn handler_echoes_over_every_transport<R: Host>() {
    let (server, opened) = serve_echo::<R>();
    let mut socket = Client::open_websocket(server.local_addr());
    for text in ["4a", "4b"] {
        socket.send(text);
        assert_eq!(socket.text(), text);
    }
    let mut poller = Client::connect(server.local_addr());
    let sid = poller.open_polling();
    let target = format!("/engine.io/?EIO=4&transport=polling&sid={sid}");
    poller.request("POST", &target, "4c");
    assert_eq!(poller.answer().body, "ok");
    assert_eq!(poller.get(&target).body, "4c");
    let mut upgrade = Client::move_to_websocket(server.local_addr(), &sid);
    upgrade.send("4d");
    assert_eq!(upgrade.text(), "4d");
    let (first, second) = (opened.recv().unwrap(), opened.recv().unwrap());
    assert_ne!(first.id(), second.id());
    drop((socket, upgrade, poller));
    until_empty(&server);
}

fn handler_may_wait_for_other_things_than_its_socket<R: Host>() {
    let orders = Arc::new(Semaphore::new(0));
    let given = Arc::clone(&orders);
    let server = serve::<R>(|builder| {
        builder.handler(move |mut socket, _| {
            let orders = Arc::clone(&given);
            async move {
                loop {
                    let message = {
                        let order = pin!(orders.acquire());
                        let received = pin!(socket.recv());
                        match select(received, order).await {
                            Either::Left((Some(message), _)) => message,
                            Either::Right((order, _)) => {
                                order.unwrap().forget();
                                Message::from("order")
                            }
                            Either::Left((None, _)) => break,
                        }
                    };
                    socket.send(message).await.unwrap();
                }
            }
        })
    });
    let mut client = Client::open_websocket(server.local_addr());
    for echo in ["4a", "4b"] {
        // The client is silent, so nothing but the handler wakes the task.
        orders.add_permits(1);
        assert_eq!(client.text(), "4order");
        client.send(echo);
        assert_eq!(client.text(), echo);
    }
    // From a thread that has nothing to do with the task.
    let senders = server.handle().senders();
    for text in ["x", "y"] {
        senders[0].try_send(text).unwrap();
        assert_eq!(client.text(), format!("4{text}"));
    }
}

fn handler_that_returns_closes_its_session<R: Host>() {
    let server = serve::<R>(|builder| {
        builder.handler(|socket, _| async move { socket.send("bye").await.unwrap() })
    });
    let mut client = Client::open_websocket(server.local_addr());
    assert_eq!(client.text(), "4bye");
    assert_eq!(client.next_frame().0, 8);
    drop(client);
    until_empty(&server);
}

fn messages_of_a_client_that_is_gone_are_still_handled<R: Host>() {
    let (taken, received) = mpsc::channel();
    let gate = Arc::new(Semaphore::new(0));
    let guarded = Arc::clone(&gate);
    let server = serve::<R>(|builder| {
        builder.handler(move |mut socket, _| {
            let (taken, gate) = (taken.clone(), Arc::clone(&guarded));
            async move {
                while let Some(message) = socket.recv().await {
                    taken.send(Some(message)).unwrap();
                    gate.acquire().await.unwrap().forget();
                }
                taken.send(None).unwrap();
            }
        })
    });
    let mut client = Client::open_websocket(server.local_addr());
    client.send("4first");
    assert_eq!(received.recv().unwrap(), Some(Message::from("first")));
    client.send("4second");
    client.send("4third");
    drop(client);
    until_empty(&server);
    // The handler goes on without the connection that polled it.
    for expected in ["second", "third"] {
        gate.add_permits(1);
        assert_eq!(received.recv().unwrap(), Some(Message::from(expected)));
    }
    gate.add_permits(1);
    assert_eq!(received.recv().unwrap(), None);
}

fn close_waits_for_handlers<R: Host>() {
    let gate = Arc::new(Semaphore::new(0));
    let guarded = Arc::clone(&gate);
    let (done, ended) = mpsc::channel();
    let server = serve::<R>(|builder| {
        builder.handler(move |mut socket, _| {
            let (gate, done) = (Arc::clone(&guarded), done.clone());
            async move {
                while socket.recv().await.is_some() {}
                gate.acquire().await.unwrap().forget();
                done.send(()).unwrap();
            }
        })
    });
    let mut client = Client::open_websocket(server.local_addr());
    let handle = server.handle();
    let closing = async {
        handle.close().await;
        ended.try_recv()
    };
    let mut closing = pin!(closing);
    assert!(within(Duration::from_millis(1), &mut closing).is_none());
    assert_eq!(client.next_frame().0, 8);
    drop(client);
    until("the end of the connection", || server.connections() + server.sessions() == 0);
    assert!(within(Duration::from_millis(1), &mut closing).is_none(), "a handler is at work");
    gate.add_permits(1);
    assert_eq!(soon("the end of the server", closing), Ok(()), "the handler has ended before");
}

fn close_does_not_wait_for_handlers_beyond_the_shutdown_timeout<R: Host>() {
    let server = serve::<R>(|builder| {
        builder.shutdown_timeout(Duration::from_millis(20)).handler(|_, _| pending())
    });
    let client = Client::open_websocket(server.local_addr());
    soon("the end of the server", server.handle().close());
    assert_eq!((server.sessions(), server.connections()), (0, 0));
    client.rest();
}

fn handler_that_panics_ends_its_session_only<R: Host>() {
    let server = serve::<R>(|builder| {
        builder.handler(|mut socket, _| async move {
            while let Some(message) = socket.recv().await {
                assert_ne!(message, Message::from("panic"), "a panic that a test asked for");
                socket.send(message).await.unwrap();
            }
        })
    });
    let mut other = Client::open_websocket(server.local_addr());
    let mut client = Client::open_websocket(server.local_addr());
    client.send("4panic");
    client.rest();
    until("the end of the session", || server.sessions() == 1);
    other.send("4a");
    assert_eq!(other.text(), "4a");
    let mut next = Client::open_websocket(server.local_addr());
    next.send("4b");
    assert_eq!(next.text(), "4b");
}

fn handler_takes_a_flood_in_order<R: Host>() {
    let (server, _opened) = serve_echo::<R>();
    let mut client = Client::open_websocket(server.local_addr());
    // More than is read, handled and written in one poll of the task, and more than sockets hold.
    let texts: Vec<_> = (0..20_000).map(|n| format!("4{n:0>200}")).collect();
    let frames: Vec<u8> = texts.iter().flat_map(|text| Client::frame(text)).collect();
    std::thread::scope(|scope| {
        let mut stream = client.stream();
        scope.spawn(move || stream.write_all(&frames).unwrap());
        for text in &texts {
            assert_eq!(&client.text(), text);
        }
    });
    assert_eq!(server.sessions(), 1);
}
