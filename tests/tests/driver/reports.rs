//! Socket.IO: cases after what users of other servers reported. `tests/README.md` says which.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
        mpsc,
    },
    thread,
    time::Duration,
};

use ::tokio::sync::Semaphore;
use bytes::Bytes;
use enginewire_driver::{
    Limits,
    socketio::{ConnectError, DisconnectReason, EmitError, Io, RecoveryConfig, Socket, SocketRef},
};

use crate::{
    Host,
    client::{Client, soon, until},
    serve,
    sockets::{connect, join, run, serve_io, sockets},
    until_empty,
};

on_every_runtime!(
    acknowledgement_keeps_its_place_among_events,
    room_joined_after_the_end_has_no_member,
    events_sent_at_the_end_of_a_socket_reach_the_others,
    broadcast_with_acknowledgements_has_a_deadline_by_default,
    socket_acknowledges_a_broadcast_to_its_id,
    sockets_that_do_not_acknowledge_are_named,
    acknowledgement_of_another_client_is_passed_on,
    namespace_that_was_sent_to_before_its_first_client_is_served,
    refused_client_leaves_no_namespace_of_a_pattern,
    client_gone_before_its_authorization_is_no_member,
    attachments_of_concurrent_events_are_not_mixed,
    volatile_broadcasts_reach_rooms_and_all,
    members_join_and_leave_during_broadcasts,
    event_with_more_attachments_than_clients_take_is_refused,
    events_wait_for_room_and_none_is_lost,
    lost_connection_is_told_to_the_application,
);

fn acknowledgement_keeps_its_place_among_events<R: Host>() {
    let io = Io::new();
    run::<R, _>(&io, "/", |mut socket| async move {
        while let Some(mut event) = socket.recv().await {
            let ack = event.ack();
            let namespace = socket.namespace();
            let _ = socket.emit("before", &()).await;
            let _ = namespace.emit("to all, before", &()).await;
            let _ = ack.send(&()).await;
            let _ = namespace.emit("to all, after", &()).await;
            let _ = socket.emit("after", &()).await;
        }
    });
    let server = serve_io::<R>(&io);
    let mut client = connect(&server, "/");
    for id in 0..50 {
        client.send(&format!(r#"42{id}["ask"]"#));
    }
    for id in 0..50 {
        let ack = format!("43{id}[]");
        let order = [
            r#"42["before"]"#,
            r#"42["to all, before"]"#,
            &ack,
            r#"42["to all, after"]"#,
            r#"42["after"]"#,
        ];
        for expected in order {
            assert_eq!(client.text(), expected);
        }
    }
}

fn room_joined_after_the_end_has_no_member<R: Host>() {
    let io = Io::new();
    let (sender, ended) = mpsc::channel();
    let sender = Mutex::new(sender);
    run::<R, _>(&io, "/", move |mut socket| {
        let sender = sender.lock().unwrap().clone();
        async move {
            while socket.recv().await.is_some() {}
            socket.join("late");
            sender.send((*socket).clone()).unwrap();
        }
    });
    let server = serve_io::<R>(&io);
    let client = connect(&server, "/");
    drop(client);
    let socket = ended.recv().unwrap();
    until("no members", || io.namespace("/").is_empty());
    socket.join(["later", "latest"]);
    for room in ["late", "later", "latest"] {
        assert!(io.to(room).sockets().is_empty(), "{room}");
        assert_eq!(soon("a broadcast", io.to(room).emit("n", &())).unwrap().sockets, 0);
    }
}

fn events_sent_at_the_end_of_a_socket_reach_the_others<R: Host>() {
    let io = Io::new();
    let (sender, errors) = mpsc::channel();
    let sender = Mutex::new(sender);
    run::<R, _>(&io, "/", move |mut socket| {
        let sender = sender.lock().unwrap().clone();
        async move {
            socket.join("room");
            let _ = socket.emit("ready", &()).await;
            while socket.recv().await.is_some() {}
            // Neither is a second end of anything.
            let own = socket.emit("to the one that left", &()).await;
            let _ = socket.within("room").emit("left", socket.id().as_str()).await;
            let _ = socket.namespace().emit("left", socket.id().as_str()).await;
            let _ = sender.send(own);
        }
    });
    let server = serve_io::<R>(&io);
    let mut witness = connect(&server, "/");
    assert_eq!(witness.text(), r#"42["ready"]"#);
    for _ in 0..10 {
        let mut leaving = Client::open_websocket(server.local_addr());
        let id = join(&mut leaving, "/");
        assert_eq!(leaving.text(), r#"42["ready"]"#);
        drop(leaving);
        let left = format!(r#"42["left","{id}"]"#);
        assert_eq!([witness.text(), witness.text()], [left.clone(), left]);
        assert!(matches!(errors.recv().unwrap(), Err(EmitError::Disconnected)));
    }
    drop(witness);
    until_empty(&server);
    assert!(io.namespace("/").is_empty());
}

fn broadcast_with_acknowledgements_has_a_deadline_by_default<R: Host>() {
    let io = Io::new();
    let sockets = sockets::<R>(&io);
    let server = serve_io::<R>(&io);
    let mut clients = [(); 3].map(|()| connect(&server, "/"));
    drop([(); 3].map(|()| sockets.recv().unwrap()));
    let asked = io.emit_with_ack::<u64, _>("ask", &());
    // All have it before the first of them acknowledges.
    for client in &mut clients {
        assert_eq!(client.text(), r#"420["ask"]"#);
    }
    for (n, client) in clients.iter_mut().enumerate() {
        client.send(&format!("430[{n}]"));
    }
    let all = soon("all acknowledgements", asked.all()).unwrap();
    assert!(all.failed.is_empty(), "{:?}", all.failed);
    let mut numbers: Vec<_> = all.responses.iter().map(|(_, n)| *n).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [0, 1, 2]);
    // Nor does it wait for ever: this default is the test's.
    let io = Io::builder().ack_timeout(Duration::from_millis(50)).build();
    io.namespace("/");
    let server = serve_io::<R>(&io);
    let mut silent = connect(&server, "/");
    until("a member", || io.namespace("/").len() == 1);
    let asked = io.emit_with_ack::<u64, _>("ask", &());
    assert_eq!(silent.text(), r#"420["ask"]"#);
    let all = soon("the deadline", asked.all()).unwrap();
    assert_eq!((all.responses.len(), all.failed.len()), (0, 1));
}

fn socket_acknowledges_a_broadcast_to_its_id<R: Host>() {
    let io = Io::new();
    let sockets = sockets::<R>(&io);
    let server = serve_io::<R>(&io);
    let mut clients = [(); 2].map(|()| connect(&server, "/"));
    let _other = sockets.recv().unwrap();
    let socket = sockets.recv().unwrap();
    let asked = io.to(socket.id()).emit_with_ack::<String, _>("ask", &1);
    assert_eq!(clients[1].text(), r#"420["ask",1]"#);
    clients[1].send(r#"430["mine"]"#);
    let all = soon("an acknowledgement", asked.all()).unwrap();
    assert_eq!(all.responses, [(socket.id().clone(), "mine".to_owned())]);
    // Of an id that nobody has, or has any more, there is none, and nothing is waited for.
    clients[1].send("41");
    soon("the end", socket.closed());
    until("one member", || io.namespace("/").len() == 1);
    for id in [socket.id().as_str(), "nobody"] {
        let all = soon("nothing", io.to(id).emit_with_ack::<u64, _>("ask", &1).all()).unwrap();
        assert!(all.responses.is_empty() && all.failed.is_empty(), "{all:?}");
    }
}

fn sockets_that_do_not_acknowledge_are_named<R: Host>() {
    let io = Io::new();
    io.namespace("/");
    let server = serve_io::<R>(&io);
    let mut clients = [(); 3].map(|()| Client::open_websocket(server.local_addr()));
    let ids = clients.each_mut().map(|client| join(client, "/"));
    until("all members", || io.namespace("/").len() == ids.len());
    let asked = io.emit_with_ack::<u64, _>("ask", &());
    for client in &mut clients {
        assert_eq!(client.text(), r#"420["ask"]"#);
    }
    clients[1].send("430[5]");
    // Of another shape than the application asks for.
    clients[2].send(r#"430["five"]"#);
    clients[0].send("41");
    let all = soon("all acknowledgements", asked.all()).unwrap();
    let responses: Vec<_> = all.responses.iter().map(|(id, n)| (id.as_str(), *n)).collect();
    assert_eq!(responses, [(&*ids[1], 5)]);
    let failed: BTreeSet<_> = all.failed.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!(failed, BTreeSet::from([&*ids[0], &*ids[2]]));
}

fn acknowledgement_of_another_client_is_passed_on<R: Host>() {
    let io = Io::new();
    let (others, found) = (io.clone(), Arc::new(Mutex::new(None::<SocketRef>)));
    let answering = Arc::clone(&found);
    run::<R, _>(&io, "/answering", move |mut socket| {
        *answering.lock().unwrap() = Some((*socket).clone());
        async move { while socket.recv().await.is_some() {} }
    });
    run::<R, _>(&io, "/asking", move |mut socket| {
        let (io, found) = (others.clone(), Arc::clone(&found));
        async move {
            while let Some(mut event) = socket.recv().await {
                let ack = event.ack();
                let other = found.lock().unwrap().clone().unwrap();
                let question = event.data::<String>().unwrap();
                let one = other.emit_with_ack::<String, _>("question", &question).await.unwrap();
                let broadcast = io.namespace("/answering").to(other.id());
                let all = broadcast.emit_with_ack::<String, _>("again", &question).all().await;
                let again = all.unwrap().responses.remove(0).1;
                let _ = ack.send(&(one, again)).await;
            }
        }
    });
    let server = serve_io::<R>(&io);
    // Both on one connection, too: what one namespace waits for comes through another.
    let mut both = connect(&server, "/answering");
    join(&mut both, "/asking");
    let mut apart = connect(&server, "/asking");
    both.send(r#"42/asking,1["ask","a"]"#);
    assert_eq!(both.text(), r#"42/answering,0["question","a"]"#);
    both.send(r#"43/answering,0["b"]"#);
    assert_eq!(both.text(), r#"42/answering,1["again","a"]"#);
    both.send(r#"43/answering,1["c"]"#);
    assert_eq!(both.text(), r#"43/asking,1["b","c"]"#);
    apart.send(r#"42/asking,2["ask","d"]"#);
    assert_eq!(both.text(), r#"42/answering,2["question","d"]"#);
    both.send(r#"43/answering,2["e"]"#);
    assert_eq!(both.text(), r#"42/answering,3["again","d"]"#);
    both.send(r#"43/answering,3["f"]"#);
    assert_eq!(apart.text(), r#"43/asking,2["e","f"]"#);
}

fn namespace_that_was_sent_to_before_its_first_client_is_served<R: Host>() {
    let io = Io::new();
    let rooms = io.namespaces("/room/{id}").unwrap();
    let serving = rooms.clone();
    R::default().spawn(async move {
        let session = |mut socket: Socket| async move {
            let _ = socket.emit("served", socket.param("id").unwrap()).await;
            while socket.recv().await.is_some() {}
        };
        serving.serve(session).await;
    });
    let server = serve_io::<R>(&io);
    let early = io.namespace("/room/1");
    assert_eq!(soon("a broadcast", early.emit("too early", &())).unwrap().sockets, 0);
    let mut client = connect(&server, "/room/1");
    assert_eq!(client.text(), r#"42/room/1,["served","1"]"#);
    for namespace in [early, rooms] {
        assert_eq!(soon("a broadcast", namespace.emit("n", &())).unwrap().sockets, 1);
        assert_eq!(client.text(), r#"42/room/1,["n"]"#);
    }
}

fn refused_client_leaves_no_namespace_of_a_pattern<R: Host>() {
    let io = Io::new();
    let _rooms = io.namespaces("/room/{id}").unwrap().authorize(|request| async move {
        request.join("room of one that is refused");
        Err::<(), _>(ConnectError::new("not yours"))
    });
    let server = serve_io::<R>(&io);
    let mut client = Client::open_websocket(server.local_addr());
    for n in 0..100 {
        client.send(&format!("40/room/{n},"));
        assert_eq!(client.text(), format!(r#"44/room/{n},{{"message":"not yours"}}"#));
        until("the end of the namespace", || io.find(&format!("/room/{n}")).is_none());
    }
}

fn client_gone_before_its_authorization_is_no_member<R: Host>() {
    let io = Io::new();
    let (asked, decided) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (asks, decides) = (Arc::clone(&asked), Arc::clone(&decided));
    let slow = io.namespace("/slow").authorize(move |request| {
        let (asks, decides) = (Arc::clone(&asks), Arc::clone(&decides));
        async move {
            request.join("room");
            asks.add_permits(1);
            decides.acquire().await.unwrap().forget();
            Ok(())
        }
    });
    let server = serve_io::<R>(&io);
    for gone in [true, false] {
        let mut client = Client::open_websocket(server.local_addr());
        client.send("40/slow,");
        soon("a request", asked.acquire()).unwrap().forget();
        if gone {
            drop(client);
            until_empty(&server);
            decided.add_permits(1);
            continue;
        }
        // The first permit may have found nobody that waits any more.
        decided.add_permits(1);
        assert!(client.text().starts_with("40/slow,"));
        let socket = soon("a socket", slow.accept()).unwrap();
        assert!(socket.is_connected());
        assert_eq!((slow.len(), slow.to("room").sockets().len()), (1, 1));
        drop(socket);
        assert_eq!(client.text(), "41/slow,");
    }
}

fn attachments_of_concurrent_events_are_not_mixed<R: Host>() {
    const EACH: u8 = 100;
    let io = Io::new();
    let sockets = sockets::<R>(&io);
    let server = serve_io::<R>(&io);
    let mut client = connect(&server, "/");
    let socket = sockets.recv().unwrap();
    let speakers: Vec<_> = (0..4u8)
        .map(|speaker| {
            let (socket, io) = (socket.clone(), io.clone());
            thread::spawn(move || {
                for n in 0..EACH {
                    let parts = [n, n.wrapping_add(1)].map(|n| Bytes::from(vec![speaker, n]));
                    let payload = (speaker, n, &parts[0], &parts[1]);
                    if n % 2 == 0 {
                        soon("an event", socket.emit("n", &payload)).unwrap();
                    } else {
                        soon("a broadcast", io.emit("n", &payload)).unwrap();
                    }
                }
            })
        })
        .collect();
    let mut next = [0; 4];
    for _ in 0..4 * u32::from(EACH) {
        let text = client.text();
        let head = text.strip_prefix(r#"452-["n","#).unwrap();
        let mut numbers = head.split(',').map(|number| number.parse::<u8>().unwrap());
        let (speaker, n) = (numbers.next().unwrap(), numbers.next().unwrap());
        assert_eq!(n, next[usize::from(speaker)], "{text}");
        next[usize::from(speaker)] += 1;
        assert_eq!(client.next_frame(), (2, vec![speaker, n]));
        assert_eq!(client.next_frame(), (2, vec![speaker, n.wrapping_add(1)]));
    }
    speakers.into_iter().for_each(|speaker| speaker.join().unwrap());
}

fn volatile_broadcasts_reach_rooms_and_all<R: Host>() {
    let io = Io::new();
    let sockets = sockets::<R>(&io);
    let server = serve_io::<R>(&io);
    let mut client = connect(&server, "/");
    let socket = sockets.recv().unwrap();
    socket.join("room");
    for broadcast in [io.broadcast(), io.to("room"), io.to(socket.id())] {
        // It may still be at work on the last event, and then this one is dropped.
        until("a socket that is idle", || {
            let sent = soon("a broadcast", broadcast.clone().volatile().emit("cursor", &(1, 2)));
            sent.unwrap().sockets == 1
        });
        assert_eq!(client.text(), r#"42["cursor",1,2]"#);
    }
}

fn members_join_and_leave_during_broadcasts<R: Host>() {
    const BROADCASTS: u32 = 1000;
    let io = Io::new();
    let sockets = sockets::<R>(&io);
    let server = serve_io::<R>(&io);
    let [mut staying, restless] = [(); 2].map(|()| {
        let client = connect(&server, "/");
        (client, sockets.recv().unwrap())
    });
    staying.1.join("room");
    let ended = AtomicBool::new(false);
    let seen = thread::scope(|scope| {
        let seen = scope.spawn(|| numbers_until_the_end(restless.0));
        scope.spawn(|| {
            while !ended.load(SeqCst) {
                restless.1.join(["room", "other"]);
                io.to("room").join("third");
                restless.1.leave("room");
                io.to("third").leave(["third", "other"]);
            }
        });
        for n in 0..BROADCASTS {
            soon("a broadcast", io.to("room").emit("n", &n)).unwrap();
        }
        ended.store(true, SeqCst);
        soon("a broadcast", io.emit("n", &BROADCASTS)).unwrap();
        seen.join().unwrap()
    });
    for n in 0..=BROADCASTS {
        assert_eq!(staying.0.text(), format!(r#"42["n",{n}]"#));
    }
    assert!(seen.is_sorted_by(|a, b| a < b), "each at most once, and in order: {seen:?}");
    assert_eq!(seen.last(), Some(&BROADCASTS));
}

/// The numbers of events up to the broadcast that ends them.
fn numbers_until_the_end(mut client: Client) -> Vec<u32> {
    let mut seen = Vec::new();
    while seen.last() != Some(&1000) {
        let text = client.text();
        let number = text.strip_prefix(r#"42["n","#).and_then(|rest| rest.strip_suffix(']'));
        seen.push(number.unwrap_or_else(|| panic!("{text}")).parse().unwrap());
    }
    seen
}

fn event_with_more_attachments_than_clients_take_is_refused<R: Host>() {
    for recovers in [false, true] {
        let io = match recovers {
            false => Io::builder(),
            true => Io::builder().recovery(RecoveryConfig::default()),
        };
        let io = io.build();
        let sockets = sockets::<R>(&io);
        let parts: Vec<_> = (0..11_u8).map(|n| Bytes::from(vec![n])).collect();
        let refused = |result| matches!(result, Err(EmitError::Encode(_)));
        let acknowledged = parts.clone();
        run::<R, _>(&io, "/acks", move |mut socket| {
            let parts = acknowledged.clone();
            async move {
                while let Some(mut event) = socket.recv().await {
                    assert!(refused(event.ack().send(&parts).await));
                    let _ = socket.emit("refused", &()).await;
                }
            }
        });
        let server = serve_io::<R>(&io);
        let mut client = connect(&server, "/");
        let socket = sockets.recv().unwrap();
        assert!(refused(soon("an error", socket.emit("n", &parts))));
        assert!(refused(socket.try_emit("n", &parts)));
        assert!(refused(soon("an error", io.emit("n", &parts)).map(drop)));
        assert!(refused(soon("an error", io.emit_with_ack::<(), _>("n", &parts).all()).map(drop)));
        soon("ten attachments", socket.emit("n", &parts[1..])).unwrap();
        assert!(client.text().starts_with(r#"4510-["n",["#));
        // Nor is an event acknowledged so.
        let mut client = connect(&server, "/acks");
        client.send(r#"42/acks,1["ask"]"#);
        assert!(client.text().starts_with(r#"42/acks,["refused""#));
    }
}

fn events_wait_for_room_and_none_is_lost<R: Host>() {
    const MAX_QUEUED: usize = 100_000;
    let io = Io::new();
    let sockets = sockets::<R>(&io);
    let server = serve::<R>(|builder| {
        let mut limits = Limits::default();
        limits.max_queued = MAX_QUEUED;
        builder.socketio(&io).path("/engine.io/").limits(limits)
    });
    let mut client = connect(&server, "/");
    let socket = sockets.recv().unwrap();
    let padding = "x".repeat(20_000);
    // The kernel takes some, the session some more, and then there is no room.
    let mut sent = 0_u32;
    let queued = loop {
        match socket.try_emit("n", &(sent, &padding)) {
            Ok(()) => sent += 1,
            Err(EmitError::Full { queued, max: MAX_QUEUED }) => break queued,
            Err(error) => panic!("{error}"),
        }
    };
    assert!((MAX_QUEUED..MAX_QUEUED + 21_000).contains(&queued), "{queued}");
    // One that waits is sent once the client reads, and others behind it.
    let waits = thread::spawn(move || {
        soon("room", socket.emit("n", &(sent, ""))).unwrap();
        soon("room", socket.emit("n", &(sent + 1, ""))).unwrap();
    });
    for n in 0..sent + 2 {
        let text = client.text();
        assert!(text.starts_with(&format!(r#"42["n",{n},"#)), "{}", &text[..30]);
    }
    waits.join().unwrap();
}

fn lost_connection_is_told_to_the_application<R: Host>() {
    let io = Io::new();
    let (sender, reasons) = mpsc::channel();
    let sender = Mutex::new(sender);
    run::<R, _>(&io, "/", move |mut socket| {
        let sender = sender.lock().unwrap().clone();
        async move {
            while socket.recv().await.is_some() {}
            sender.send(socket.reason()).unwrap();
        }
    });
    let server = serve::<R>(|builder| {
        let short = Duration::from_millis(100);
        builder.socketio(&io).path("/engine.io/").ping_interval(short).ping_timeout(short)
    });
    let pulled = connect(&server, "/");
    pulled.pull_the_plug();
    drop(pulled);
    let reason = reasons.recv().unwrap();
    let lost = [DisconnectReason::TransportClose, DisconnectReason::TransportError];
    assert!(reason.is_some_and(|reason| lost.contains(&reason)), "{reason:?}");
    // One that says nothing more, on a connection that stays.
    let _silent = connect(&server, "/");
    assert_eq!(reasons.recv().unwrap(), Some(DisconnectReason::PingTimeout));
    until_empty(&server);
}
