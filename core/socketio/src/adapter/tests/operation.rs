//! Rules of operations and their queue.

use alloc::vec;

use super::*;

type Op = Operation<char, ()>;

fn join(room: &str) -> Op {
    Op::Join { target: Target::all().except("s1"), rooms: vec![room.into()] }
}

#[test]
fn outbox_gives_operations_in_order_and_is_bounded() {
    let mut outbox = Outbox::new(10);
    outbox.push(join("a"), 6).unwrap();
    outbox.push(Op::Disconnect { target: Target::all(), close: true }, 4).unwrap();
    assert_eq!(outbox.push(join("b"), 1), Err(Full(join("b"))));
    assert_eq!(outbox.queued(), 10);
    assert_eq!(outbox.poll(), Some(join("a")));
    assert_eq!(outbox.poll(), Some(Op::Disconnect { target: Target::all(), close: true }));
    assert_eq!((outbox.poll(), outbox.queued()), (None, 0));
    assert_ne!(outbox.next_request(), outbox.next_request());
}

#[test]
fn adapter_applies_joins_and_leaves_of_other_nodes_and_leaves_the_rest_to_its_owner() {
    let (mut adapter, keys) = adapter(2);
    assert!(adapter.apply(&join("a")));
    assert!(adapter.is_in(keys[0], "a") && !adapter.is_in(keys[1], "a"));
    assert!(adapter.apply(&Op::Leave { target: Target::all(), rooms: vec!["a".into()] }));
    assert_eq!(adapter.rooms_len(), 0);
    for operation in [
        Op::Broadcast(Broadcast {
            target: Target::all(),
            event: 'e',
            volatile: true,
            request: None,
            offset: Some("1-0".into()),
        }),
        Op::Disconnect { target: Target::all(), close: false },
        Op::FetchSockets { target: Target::all(), request: RequestId(1) },
        Op::ServerSideEmit { event: 'e', request: None },
        Op::Respond { request: RequestId(1), response: Response::Sockets(vec![]) },
    ] {
        assert!(!adapter.apply(&operation));
    }
    assert_eq!(adapter.len(), 2);
}
