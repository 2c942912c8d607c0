//! Events and acknowledgements.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
    time::Duration,
};

use bytes::Bytes;
use enginewire_browser::{
    Revision,
    socketio::{ClientEvent, ClientRef, ClientSocket, Spread, Value},
};

use crate::{Failed, Outcome, Setup, check, check_eq};

/// Text of any kind and binary data at any depth come back as they went, on the transport that was asked for.
pub(crate) async fn text_and_binary(setup: &Setup) -> Outcome {
    let mut socket = setup.client("/").connect().await?;
    let bytes: Bytes = (0..=255).collect();
    let sent = vec![
        Value::from("Grüße 👋 \u{0} \"quoted\""),
        Value::from(42_u64),
        Value::Binary(bytes.clone()),
        Value::Array(vec![Value::Null, Value::Binary(Bytes::new()), Value::from(true)]),
    ];
    socket.emit("echo", &Spread(&sent)).await?;
    let event = next(&mut socket, "echo").await?;
    check_eq!(event.args().to_values()?[1..], sent);

    socket.emit("big", &100_000).await?;
    let big: Bytes = next(&mut socket, "big").await?.data()?;
    check!(big.len() == 100_000 && big[257] == 1, "{} bytes", big.len());

    socket.emit("nested-binary", &()).await?;
    let event = next(&mut socket, "nested-binary").await?;
    check_eq!(event.args().len() - 1, 3);
    settle(setup, &socket).await
}

/// A client of Socket.IO 2 has the same with a server that allows it, whose binary data have a form of their own.
pub(crate) async fn revision_3(setup: &Setup) -> Outcome {
    let old = setup.client("/").engine(|engine| engine.revision = Revision::V3);
    let mut socket = old.connect().await?;
    for _ in 0..2 {
        let sent = vec![Value::from("Grüße 👋"), Value::Binary((0..=255).collect())];
        socket.emit("echo", &Spread(&sent)).await?;
        check_eq!(next(&mut socket, "echo").await?.args().to_values()?[1..], sent);
        // And once more on the last transport.
        settle(setup, &socket).await?;
    }
    Ok(())
}

/// Two hundred events go and come in order, through the upgrade if there is one.
pub(crate) async fn order(setup: &Setup) -> Outcome {
    let mut socket = setup.client("/").connect().await?;
    let out = socket.handle();
    let send = async {
        for i in 0..200_u32 {
            // Every third with binary data, so that one event is several messages.
            let tail =
                if i % 3 == 0 { Value::Binary(Bytes::from(vec![7; 300])) } else { Value::Null };
            out.emit("echo", &(i, tail)).await?;
        }
        settle(setup, &out).await
    };
    let receive = async {
        for i in 0..200_u32 {
            let (number, _): (u32, Value) = next(&mut socket, "echo").await?.data()?;
            check_eq!(number, i);
        }
        Ok(())
    };
    let (sent, received) = join(send, receive).await;
    sent.and(received)
}

/// The server acknowledges, and is acknowledged.
pub(crate) async fn acknowledgements(setup: &Setup) -> Outcome {
    let mut socket = setup.client("/").connect().await?;
    let binary = Value::Binary(Bytes::from_static(b"\0\x01\xff"));
    let ack = socket.emit_with_ack::<Value, _>("message-with-ack", &(binary.clone(),)).await?;
    check_eq!(ack, binary);
    let late = socket.timeout(Duration::from_millis(50));
    let error =
        late.emit_with_ack::<Value, _>("ack-none", &()).await.map_err(|error| error.to_string());
    check_eq!(error, Err("the event was not acknowledged in time".to_owned()));

    socket.emit("call-me", &("question", ("a", 1))).await?;
    let mut event = next(&mut socket, "question").await?;
    check_eq!(event.data::<(String, u32)>()?, ("a".to_owned(), 1));
    let ack = event.ack();
    check!(ack.is_expected(), "the server expects no acknowledgement");
    ack.send(&("answer", Bytes::from_static(b"\xfe"))).await?;
    let (name, answer): (String, Value) = next(&mut socket, "called").await?.data()?;
    let expected = vec![Value::from("answer"), Value::Binary(Bytes::from_static(b"\xfe"))];
    check_eq!((name, answer), ("question".to_owned(), Value::Array(expected)));
    Ok(())
}

/// A server that sends more than an application takes is slowed down, or its messages are held. None is lost.
pub(crate) async fn slow_application(setup: &Setup) -> Outcome {
    const EVENTS: u32 = 40;
    let mut socket = setup.client("/").connect().await?;
    for _ in 0..EVENTS {
        socket.emit("big", &100_000).await?;
    }
    socket.emit("echo", "last").await?;
    // They come while none is taken: the acknowledgement of a second socket tells.
    let other = setup.client("/").connect().await?;
    for _ in 0..20 {
        other.emit_with_ack::<u32, _>("message-with-ack", &1_u32).await?;
    }
    for _ in 0..EVENTS {
        let big: Bytes = next(&mut socket, "big").await?.data()?;
        check_eq!(big.len(), 100_000);
    }
    check_eq!(next(&mut socket, "echo").await?.data::<String>()?, "last");
    Ok(())
}

/// Waits for the next event of a name. The event `auth`, which servers of the tests begin with, is passed by.
pub(crate) async fn next(socket: &mut ClientSocket, name: &str) -> Outcome<ClientEvent> {
    while let Some(event) = socket.recv().await {
        if event.name() == name {
            return Ok(event);
        }
        check_eq!(event.name(), "auth");
    }
    Err(Failed(format!("the socket has ended before {name}: {:?}", socket.end_reason())))
}

/// Waits until a session is on the transport that it comes to.
pub(crate) async fn settle(setup: &Setup, socket: &ClientRef) -> Outcome {
    while setup.upgrades() && socket.transport() != setup.last_transport() {
        socket.emit_with_ack::<u32, _>("message-with-ack", &1_u32).await?;
    }
    check_eq!(socket.transport(), setup.last_transport());
    Ok(())
}

/// Waits for both.
async fn join<A, B>(one: impl Future<Output = A>, other: impl Future<Output = B>) -> (A, B) {
    let (mut one, mut other) = (pin!(one), pin!(other));
    let (mut a, mut b) = (None, None);
    poll_fn(|cx| {
        if a.is_none()
            && let Poll::Ready(result) = one.as_mut().poll(cx)
        {
            a = Some(result);
        }
        if b.is_none()
            && let Poll::Ready(result) = other.as_mut().poll(cx)
        {
            b = Some(result);
        }
        match (a.take(), b.take()) {
            (Some(one), Some(other)) => Poll::Ready((one, other)),
            (one, other) => {
                (a, b) = (one, other);
                Poll::Pending
            }
        }
    })
    .await
}
