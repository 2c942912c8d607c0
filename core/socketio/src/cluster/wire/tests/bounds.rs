//! Limits on what other nodes make this one keep.

use super::*;

#[test]
fn requests_beyond_the_limit_push_out_those_with_the_next_deadline() {
    let mut wire = node(WireConfig { max_requests: 3, ..classic() }, 1);
    let mut numbers = Vec::new();
    for request in 0..5 {
        let message = format!(r#"{{"uid":"a","requestId":"r{request}","type":6,"data":["e"]}}"#);
        wire.handle_published(at(request), "socket.io-request#/#", message.into());
        let Operation::ServerSideEmit { request: Some(number), .. } = operation(&mut wire) else {
            panic!()
        };
        numbers.push(number);
    }
    assert_eq!(wire.foreign.len(), 3);
    let answered: Vec<_> = numbers
        .into_iter()
        .filter(|&request| {
            wire.send(
                at(5),
                message(Operation::Respond { request, response: Response::Event(Args::empty()) }),
            );
            !commands(&mut wire).is_empty()
        })
        .collect();
    assert_eq!(answered.len(), 3);
    assert_eq!(wire.foreign.len(), 0);
}

#[test]
fn requests_of_other_nodes_are_forgotten_in_time() {
    let mut wire = node(classic(), 1);
    for request in 0..100 {
        let message = format!(r#"{{"uid":"a","requestId":"r{request}","type":5,"opts":{{}}}}"#);
        wire.handle_published(at(0), "socket.io-request#/#", message.into());
    }
    assert_eq!(wire.foreign.len(), 100);
    wire.handle_timeout(at(10_000));
    assert_eq!(wire.foreign.len(), 0);
}

#[test]
fn requests_that_no_count_answers_are_bounded() {
    let mut wire = node(WireConfig { max_requests: 3, ..classic() }, 1);
    for request in 1..10 {
        wire.send(at(0), message(fetch(request)));
    }
    let last = commands(&mut wire).pop();
    let Some(Command::Count { channel, request, .. }) = last else { panic!("{last:?}") };
    wire.handle_count(at(0), &channel, request, 2);
    let asked = events(&mut wire)
        .into_iter()
        .filter(|event| matches!(event, WireEvent::Asked { .. }))
        .count();
    assert_eq!(asked, 3);
}

#[test]
fn counts_of_channels_that_were_not_asked_for_change_nothing() {
    for config in configs() {
        let mut wire = node(config, 1);
        for channel in
            ["", "#", "socket.io", "socket.io#", "socket.io#/x#", "socket.io-request#", "other#/#"]
        {
            wire.handle_count(at(0), channel, None, 1000);
        }
        assert!(events(&mut wire).is_empty());
    }
}

#[test]
fn list_that_announces_more_than_it_has_is_refused() {
    let mut wire = node(classic(), 1);
    for head in [
        &b"\xdd\xff\xff\xff\xff"[..],
        b"\xdf\xff\xff\xff\xff",
        b"\xc9\xff\xff\xff\xff\x00",
        b"\xc9\x08\x00\x00\x00\x00",
        b"\xdb\xff\xff\xff\xff",
    ] {
        wire.handle_published(at(0), "socket.io#/#", Bytes::copy_from_slice(head));
        assert!(format!("{}", fault(&mut wire)).contains("ends early"));
    }
}

/// Handles a message, and returns whether nothing that was made of it shares its storage.
fn is_released(wire: &mut Wire, channel: &str, message: Vec<u8>) -> bool {
    let message = Bytes::from(message);
    wire.handle_published(at(0), channel, message.clone());
    let told = events(wire);
    assert!(matches!(&*told, [WireEvent::Message { .. }]), "{told:?}");
    message.is_unique()
}

#[test]
fn payload_that_is_small_beside_its_message_does_not_keep_it() {
    let mut wire = node(classic(), 1);
    let mut is_released = |message| is_released(&mut wire, "socket.io-request#/#", message);
    let json = |payload: usize, others: usize| {
        let (payload, others) = ("p".repeat(payload), "o".repeat(others));
        format!(r#"{{"uid":"a","type":6,"data":["e","{payload}"],"other":"{others}"}}"#)
    };
    for (payload, others, is_copied) in
        [(1, 2000, true), (600, 2000, true), (1000, 2000, false), (2000, 1, false), (1, 800, false)]
    {
        let message = json(payload, others).into_bytes();
        assert_eq!(is_released(message), is_copied, "{payload} of {others}");
    }
    let msgpack = |payload: u8, others: u16| {
        let mut message = b"\x84\xa3uid\xa1a\xa4type\x06\xa4data\x92\xa1e\xc4".to_vec();
        message.push(payload);
        message.extend(vec![1; payload.into()]);
        message.extend(b"\xa5other\xc5");
        message.extend(others.to_be_bytes());
        message.extend(vec![2; others.into()]);
        message
    };
    for (payload, others, is_copied) in [(1, 2000, true), (250, 500, false), (250, 4000, true)] {
        assert_eq!(is_released(msgpack(payload, others)), is_copied, "{payload} of {others}");
    }
}

#[test]
fn sockets_of_one_response_do_not_keep_each_other() {
    let mut wire = node(streams(), 1);
    let (channel, asked) = published(&mut wire, fetch(1));
    let mut other = node(streams(), 2);
    other.handle_published(at(0), &channel, asked);
    let Operation::FetchSockets { request, .. } = operation(&mut other) else { panic!() };
    let data = |n: u8| Payload::from_value(Value::Binary(vec![n; 1000].into()));
    let sockets = (0..50).map(|n| SocketInfo { data: data(n), ..socket("id") }).collect();
    let response = Operation::Respond { request, response: Response::Sockets(sockets) };
    let (channel, response) = published(&mut other, response);
    assert!(is_released(&mut wire, &channel, response.to_vec()));
}
