//! What an application does with a session it holds: halves, ends, whether it is idle, futures that are dropped.

use std::{sync::mpsc, task::Poll, thread, time::Duration};

use enginewire::{
    CloseReason, Event, Layer, LayerContext, Limits, Message, Reconnect, SendError, Time,
    TransportFault, TransportKind,
};
use enginewire_driver::{Client as EngineClient, ClientBuilder, ConnectError, ServerBuilder};
use futures_util::{SinkExt, future::join_all};

use crate::{
    Host, accept,
    client::{Client, until, within},
    connect, serve, soon, until_empty,
};

on_every_runtime!(
    halves_work_in_two_tasks_and_join_again,
    dropped_receiver_closes_the_session_and_its_senders,
    close_with_drains_the_queue_and_shows_its_reason,
    abort_ends_the_session_at_once,
    polling_session_is_idle_while_a_get_waits,
    websocket_session_is_idle_until_its_socket_is_full,
    dropped_futures_leave_no_place_in_line,
    waiting_senders_are_served_in_order,
    sessions_end_at_a_permanent_failure,
    sessions_go_on_after_a_503,
    sessions_go_on_after_a_refused_connection,
    layer_wakes_its_task_for_messages_deadlines_and_the_end,
    layer_that_releases_nothing_throttles_its_peer,
);

fn halves_work_in_two_tasks_and_join_again<R: Host>() {
    let server = serve::<R>(|builder| builder);
    let mut client = Client::open_websocket(server.local_addr());
    let (sender, mut receiver) = accept(&server).split();
    let receiving = thread::spawn(move || {
        let messages = [(); 3].map(|()| soon("a message", receiver.recv()).unwrap());
        (messages, receiver)
    });
    let sending = thread::spawn(move || {
        for i in 0..3 {
            soon("a send", sender.send(format!("down {i}"))).unwrap();
        }
    });
    for i in 0..3 {
        client.send(&format!("4up {i}"));
    }
    for i in 0..3 {
        assert_eq!(client.text(), format!("4down {i}"));
    }
    sending.join().unwrap();
    let (messages, receiver) = receiving.join().unwrap();
    assert_eq!(messages, ["up 0", "up 1", "up 2"].map(Into::into));
    assert!(receiver.handshake().query().contains("transport=websocket"));
    let mut socket = receiver.join();
    client.send("4whole");
    assert_eq!(soon("a message", socket.recv()), Some("whole".into()));
    socket.try_send("again").unwrap();
    assert_eq!(client.text(), "4again");
}

fn dropped_receiver_closes_the_session_and_its_senders<R: Host>() {
    let server = serve::<R>(|builder| builder);
    let mut client = Client::open_websocket(server.local_addr());
    let (sender, receiver) = accept(&server).split();
    sender.try_send("last").unwrap();
    drop(receiver);
    assert_eq!(client.text(), "4last");
    assert_eq!(client.next_frame().0, 8);
    drop(client);
    assert_eq!(soon("the end", sender.close()), CloseReason::ForcedClose);
    assert_eq!(soon("a refusal", sender.send("late")), Err(SendError::Closed));
    until_empty(&server);
}

fn close_with_drains_the_queue_and_shows_its_reason<R: Host>() {
    let server = serve::<R>(|builder| builder);
    let mut client = Client::open_websocket(server.local_addr());
    let mut socket = accept(&server);
    socket.try_send("last").unwrap();
    let reason = soon("the end", socket.close_with("banned"));
    assert_eq!(reason, CloseReason::Application("banned"));
    assert_eq!(socket.close_reason(), Some(reason));
    assert_eq!(socket.close_reason().unwrap().to_string(), "closed by this side: banned");
    assert_eq!(soon("the end", socket.recv()), None);
    assert_eq!(client.text(), "4last");
    assert_eq!(client.next_frame().0, 8);

    // On the client's side.
    for transport in [TransportKind::Polling, TransportKind::WebSocket] {
        let builder = connect::to::<R>(server.local_addr()).transports([transport]);
        let client = soon("a session", builder.connect()).unwrap();
        let mut socket = accept(&server);
        client.try_send("last").unwrap();
        let reason = soon("the end", client.close_with("moved"));
        assert_eq!(reason, CloseReason::Application("moved"));
        assert_eq!(client.close_reason(), Some(reason));
        assert_eq!(soon("a message", socket.recv()), Some("last".into()));
        assert_eq!(soon("the end", socket.recv()), None);
        assert_eq!(socket.close_reason(), Some(CloseReason::TransportClose));
    }

    // Over polling: with the GETs that come for it.
    let mut polling = Client::connect(server.local_addr());
    let sid = polling.open_polling();
    let socket = accept(&server);
    socket.try_send("last").unwrap();
    assert!(within(Duration::ZERO, socket.close_with("moved")).is_none());
    let target = format!("/engine.io/?EIO=4&transport=polling&sid={sid}");
    assert_eq!(polling.get(&target).body, "4last");
    assert_eq!(polling.get(&target).body, "6\u{1e}1");
    assert_eq!(soon("the end", socket.close()), CloseReason::Application("moved"));
}

fn abort_ends_the_session_at_once<R: Host>() {
    let server = serve::<R>(|builder| builder);
    let mut client = Client::connect(server.local_addr());
    let sid = client.open_polling();
    let mut socket = accept(&server);
    socket.try_send("lost").unwrap();
    let waiting = socket.sender();
    let waiting = thread::spawn(move || soon("the end", waiting.close()));
    until("the session to close", || socket.try_send("late").is_err());
    socket.abort();
    assert_eq!(socket.close_reason(), Some(CloseReason::ForcedClose));
    assert_eq!(waiting.join().unwrap(), CloseReason::ForcedClose);
    assert_eq!(server.sessions(), 0);
    assert_eq!(soon("the end", socket.recv()), None);
    let target = format!("/engine.io/?EIO=4&transport=polling&sid={sid}");
    assert_eq!(client.get(&target).status, 400);
}

fn polling_session_is_idle_while_a_get_waits<R: Host>() {
    let server = serve::<R>(|builder| builder);
    let mut client = Client::connect(server.local_addr());
    let sid = client.open_polling();
    let socket = accept(&server);
    let target = format!("/engine.io/?EIO=4&transport=polling&sid={sid}");
    assert!(!socket.is_idle(), "no GET waits");
    client.request("GET", &target, "");
    until("the GET", || socket.is_idle());
    socket.try_send("a").unwrap();
    assert!(!socket.is_idle(), "the GET has its response");
    socket.try_send("b").unwrap();
    assert_eq!(client.answer().body, "4a");
    assert_eq!(client.get(&target).body, "4b");
    client.request("GET", &target, "");
    until("the GET", || socket.is_idle());
    socket.abort();
    assert!(!socket.is_idle(), "a closed session sends nothing");
}

fn websocket_session_is_idle_until_its_socket_is_full<R: Host>() {
    let server = serve::<R>(|builder| {
        let mut limits = Limits::default();
        limits.max_queued = 64 << 20;
        builder.limits(limits)
    });
    let mut client = Client::open_websocket(server.local_addr());
    let mut socket = accept(&server);
    until("the open packet to be written", || socket.is_idle());
    socket.try_send("x".repeat(32 << 20)).unwrap();
    // One message is one frame, which a connection takes as a whole: then nothing is queued.
    soon("the flush", SinkExt::<&str>::flush(&mut socket)).unwrap();
    until("the socket to be full", || !socket.is_idle());
    let idle = async {
        while !socket.is_idle() {
            futures_lite::future::yield_now().await;
        }
    };
    assert!(within(Duration::from_millis(50), idle).is_none(), "the socket is still full");
    assert_eq!(client.text().len(), (32 << 20) + 1);
    until("the socket to be writable", || socket.is_idle());
}

fn small<R: Host>(builder: ServerBuilder<R>) -> ServerBuilder<R> {
    let mut limits = Limits::default();
    limits.max_queued = 200;
    builder.limits(limits)
}

fn dropped_futures_leave_no_place_in_line<R: Host>() {
    let server = serve::<R>(small);
    let mut client = Client::connect(server.local_addr());
    let sid = client.open_polling();
    let mut socket = accept(&server);
    while socket.try_send("x").is_ok() {}
    for _ in 0..100 {
        assert!(within(Duration::ZERO, socket.send("never")).is_none());
        assert!(within(Duration::ZERO, socket.ready()).is_none());
        assert!(within(Duration::ZERO, SinkExt::<&str>::flush(&mut socket)).is_none());
    }
    let target = format!("/engine.io/?EIO=4&transport=polling&sid={sid}");
    assert!(!client.get(&target).body.contains("never"));
    // It would be refused if any were before it.
    socket.try_send("next").unwrap();
    assert_eq!(client.get(&target).body, "4next");
}

fn waiting_senders_are_served_in_order<R: Host>() {
    let server = serve::<R>(small);
    let mut client = Client::connect(server.local_addr());
    let sid = client.open_polling();
    let socket = accept(&server);
    while socket.try_send("x").is_ok() {}
    let mut sends = Vec::new();
    for i in 0..30 {
        let sender = socket.sender();
        let mut send = Box::pin(async move { sender.send(i.to_string()).await });
        assert!(within(Duration::ZERO, &mut send).is_none());
        sends.push(send);
    }
    // Some give up, the first in line among them.
    let mut i = 0;
    sends.retain(|_| {
        i += 1;
        i % 3 != 1
    });
    let refused = socket.try_send("out of turn").unwrap_err();
    assert!(matches!(refused.reason, SendError::Full { .. }));
    let sending = thread::spawn(move || soon("all sends", join_all(sends)));
    let target = format!("/engine.io/?EIO=4&transport=polling&sid={sid}");
    let expected: Vec<_> = (0..30).filter(|i| i % 3 != 0).map(|i| format!("4{i}")).collect();
    let mut got: Vec<String> = Vec::new();
    while got.len() < expected.len() {
        let response = client.get(&target);
        assert_eq!(response.status, 200);
        let messages = response.body.split('\u{1e}').filter(|packet| *packet != "4x");
        got.extend(messages.map(str::to_owned));
    }
    assert_eq!(got, expected);
    assert!(sending.join().unwrap().iter().all(Result::is_ok));
}

fn to<R: Host>(url: &str) -> ClientBuilder<R> {
    let mut policy = Reconnect::default();
    policy.delay = Duration::from_millis(1);
    EngineClient::builder(url).reconnect(policy)
}

fn status(error: &ConnectError) -> Option<u16> {
    match error {
        ConnectError::Session {
            reason: CloseReason::TransportError(TransportFault::Status(status)),
            ..
        } => Some(*status),
        _ => None,
    }
}

fn sessions_end_at_a_permanent_failure<R: Host>() {
    let server = serve::<R>(|builder| builder);
    let url = format!("http://{}/nowhere/", server.local_addr());
    let mut sessions = to::<R>(&url).build().unwrap().sessions();
    let error = soon("a failure", sessions.next()).unwrap().unwrap_err();
    assert_eq!((status(&error), error.is_permanent()), (Some(404), true));
    for _ in 0..2 {
        assert!(soon("the end of all sessions", sessions.next()).is_none());
    }
}

fn sessions_go_on_after_a_503<R: Host>() {
    let server = serve::<R>(|builder| builder.max_sessions(1));
    let url = format!("http://{}", server.local_addr());
    let first = Client::open_websocket(server.local_addr());
    let occupied = accept(&server);
    let mut sessions = to::<R>(&url).build().unwrap().sessions();
    for _ in 0..3 {
        let error = soon("a failure", sessions.next()).unwrap().unwrap_err();
        assert_eq!((status(&error), error.is_permanent()), (Some(503), false));
    }
    drop((first, occupied));
    until("the end of the session", || server.sessions() == 0);
    assert!(soon("a session", sessions.next()).unwrap().is_ok());
}

fn sessions_go_on_after_a_refused_connection<R: Host>() {
    let server = serve::<R>(|builder| builder);
    let address = server.local_addr();
    soon("the end", server.close());
    drop(server);
    let mut sessions = to::<R>(&format!("http://{address}")).build().unwrap().sessions();
    for _ in 0..2 {
        let error = soon("a failure", sessions.next()).unwrap().unwrap_err();
        assert!(!error.is_permanent() && status(&error).is_none(), "{error:?}");
    }
    let mut server = None;
    until("the address", || {
        server = soon("a listener", ServerBuilder::on(R::default()).bind(address)).ok();
        server.is_some()
    });
    assert!(soon("a session", sessions.next()).unwrap().is_ok());
    drop(server);
}

/// Collects messages until there are enough, or its deadline has passed.
#[derive(Default)]
struct Batch {
    messages: Vec<Message>,
    deadline: Option<Time>,
    end: Option<CloseReason>,
}

impl Layer for Batch {
    fn handle_event(&mut self, cx: &mut LayerContext<'_>, event: Event) {
        match event {
            Event::Message(message) => {
                self.deadline.get_or_insert(cx.now + Duration::from_millis(50));
                self.messages.push(message);
                if self.messages.len() == 3 {
                    cx.notify();
                }
            }
            Event::Closed(reason) => {
                self.end = Some(reason);
                cx.notify();
            }
            _ => {}
        }
    }

    fn handle_timeout(&mut self, cx: &mut LayerContext<'_>) {
        self.deadline = None;
        cx.notify();
    }

    fn poll_timeout(&self) -> Option<Time> {
        self.deadline
    }
}

impl Batch {
    /// Takes what is due.
    fn poll_batch(&mut self, cx: &mut LayerContext<'_>) -> Poll<Vec<Message>> {
        let full = self.messages.len() >= 3 || self.end.is_some();
        let late = self.deadline.is_none() && !self.messages.is_empty();
        if !full && !late {
            return Poll::Pending;
        }
        self.deadline = None;
        self.messages.iter().for_each(|message| cx.session.release(message.cost()));
        Poll::Ready(std::mem::take(&mut self.messages))
    }
}

fn layer_wakes_its_task_for_messages_deadlines_and_the_end<R: Host>() {
    let server = serve::<R>(|builder| builder);
    let mut client = Client::open_websocket(server.local_addr());
    let mut socket = accept(&server);
    assert!(soon("no layer", socket.layer(Batch::poll_batch)).is_none());
    assert!(socket.set_layer(Batch::default()));
    let (batches, took) = mpsc::channel();
    let task = thread::spawn(move || {
        for _ in 0..3 {
            batches.send(soon("a batch", socket.layer(Batch::poll_batch)).unwrap()).unwrap();
        }
        socket
    });
    client.write([Client::frame("41"), Client::frame("42"), Client::frame("43")].concat());
    assert_eq!(took.recv().unwrap(), ["1", "2", "3"].map(Message::from));
    client.send("44");
    assert_eq!(took.recv().unwrap(), ["4"].map(Message::from), "the deadline has passed");
    drop(client);
    assert_eq!(took.recv().unwrap(), []);
    let socket = task.join().unwrap();
    let end = socket.sender().with_layer(|layer: &mut Batch, _| layer.end.clone());
    assert_eq!(end, Some(socket.close_reason()));
    until_empty(&server);
}

fn layer_that_releases_nothing_throttles_its_peer<R: Host>() {
    /// Keeps messages, and their credit.
    #[derive(Default)]
    struct Hoarder(Vec<Message>);

    impl Layer for Hoarder {
        fn handle_event(&mut self, cx: &mut LayerContext<'_>, event: Event) {
            if let Event::Message(message) = event {
                self.0.push(message);
                cx.notify();
            }
        }
    }

    let server = serve::<R>(|builder| {
        let mut limits = Limits::default();
        limits.max_unread = 64 * 1024;
        builder.limits(limits)
    });
    let mut client = Client::open_websocket(server.local_addr());
    let mut socket = accept(&server);
    assert!(socket.set_layer(Hoarder::default()));
    let stream = Client::frame(&format!("4{}", "x".repeat(1000))).repeat(40_000);
    let written = client.write_until_blocked(&stream);
    assert!(written < stream.len(), "40 MB went into a layer that released nothing");
    let writer = thread::spawn(move || {
        client.write(&stream[written..]);
        client
    });
    let mut taken = 0;
    while taken < 40_000 {
        taken += soon(
            "messages",
            socket.layer(|layer: &mut Hoarder, cx| {
                let messages = std::mem::take(&mut layer.0);
                messages.iter().for_each(|message| cx.session.release(message.cost()));
                if messages.is_empty() { Poll::Pending } else { Poll::Ready(messages.len()) }
            }),
        )
        .unwrap();
    }
    assert_eq!(taken, 40_000);
    writer.join().unwrap();
}
