//! Rules of requests to other nodes, and of the queue of messages.

mod log;

use alloc::{vec, vec::Vec};
use core::time::Duration;

use super::*;

type Node = Cluster<char, ()>;
type Event = ClusterEvent<char, ()>;

const DEADLINE: Time = Time::from_millis(5000);

fn namespace() -> Arc<str> {
    "/".into()
}

/// A node that knows as many others, named from 1.
fn node(others: u64) -> Node {
    let mut node = Node::new(1000);
    (1..=others).for_each(|other| assert!(node.insert_node(NodeId(other))));
    node
}

fn ask(node: &mut Node) -> RequestId {
    node.broadcast_with_ack(DEADLINE, &namespace(), broadcast(), 1).unwrap()
}

fn broadcast() -> Broadcast<char> {
    Broadcast::new(Target::all(), 'e')
}

fn respond(node: &mut Node, from: u64, request: RequestId, response: Response<char, ()>) {
    node.handle_message(NodeId(from), namespace(), Operation::Respond { request, response });
}

fn events(node: &mut Node) -> Vec<Event> {
    core::iter::from_fn(|| node.poll_event()).collect()
}

fn completed(request: RequestId, nodes: usize, acks: usize) -> Event {
    Event::Completed(request, Missing { nodes, acks })
}

#[test]
fn messages_leave_in_order_and_are_bounded() {
    let mut node = Node::new(10);
    let join = |room: &str| Operation::Join { target: Target::all(), rooms: vec![room.into()] };
    node.tell(&namespace(), join("a"), 6).unwrap();
    let full = node.fetch_sockets(DEADLINE, &namespace(), Target::all(), 5);
    assert_eq!(full, Err(TellError::Full { queued: 6, max: 10 }));
    node.respond(NodeId(7), &namespace(), RequestId(1), Response::Clients(2), 4).unwrap();
    assert_eq!(node.queued(), 10);
    let mut next = || node.poll_message().map(|message| (message.to, message.operation));
    assert_eq!(next(), Some((None, join("a"))));
    let response = Response::Clients(2);
    let operation = Operation::Respond { request: RequestId(1), response };
    assert_eq!(next(), Some((Some(NodeId(7)), operation)));
    assert_eq!(next(), None);
    assert_eq!((node.queued(), node.poll_event()), (0, None));
    // One that found no room is not waited for.
    assert_eq!(node.poll_timeout(), None);
}

#[test]
fn disconnected_bus_refuses_messages_and_keeps_those_that_are_queued() {
    let mut node = node(1);
    let request = ask(&mut node);
    node.set_connected(false);
    let operation = Operation::Join { target: Target::all(), rooms: vec![] };
    assert_eq!(node.tell(&namespace(), operation, 1), Err(TellError::Disconnected));
    let fetched = node.fetch_sockets(DEADLINE, &namespace(), Target::all(), 1);
    assert_eq!(fetched, Err(TellError::Disconnected));
    assert!(node.poll_message().is_some() && !node.has_message());
    node.handle_timeout(DEADLINE);
    assert_eq!(events(&mut node), [completed(request, 1, 0)]);
    node.set_connected(true);
    ask(&mut node);
    assert!(node.has_message());
}

#[test]
fn request_without_other_nodes_is_complete_at_once() {
    let mut node = node(0);
    let request = node.fetch_sockets(DEADLINE, &namespace(), Target::all(), 1).unwrap();
    assert_eq!(events(&mut node), [completed(request, 0, 0)]);
    assert!(node.poll_message().is_some(), "there may be nodes that it does not know");
}

#[test]
fn request_is_complete_when_each_node_has_responded() {
    let mut node = node(2);
    let request = node.server_side_emit_with_ack(DEADLINE, &namespace(), 'e', 1).unwrap();
    assert_eq!(node.poll_timeout(), Some(DEADLINE));
    respond(&mut node, 1, request, Response::Event('a'));
    // Twice, from a stranger, of another kind, to another request.
    respond(&mut node, 1, request, Response::Event('b'));
    respond(&mut node, 3, request, Response::Event('c'));
    respond(&mut node, 2, request, Response::Ack('d'));
    respond(&mut node, 2, RequestId(9), Response::Event('f'));
    respond(&mut node, 2, request, Response::Event('g'));
    let response = |from, event| Event::Response(request, NodeId(from), Response::Event(event));
    let expected = [response(1, 'a'), response(2, 'g'), completed(request, 0, 0)];
    assert_eq!(events(&mut node), expected);
    respond(&mut node, 2, request, Response::Event('h'));
    node.handle_timeout(DEADLINE);
    assert_eq!((events(&mut node), node.poll_timeout()), (vec![], None));
}

#[test]
fn acknowledgements_are_counted_for_each_node_and_may_come_first() {
    let mut node = node(3);
    let request = ask(&mut node);
    respond(&mut node, 1, request, Response::Ack('a'));
    respond(&mut node, 1, request, Response::Clients(2));
    respond(&mut node, 2, request, Response::Clients(0));
    respond(&mut node, 3, request, Response::Clients(1));
    respond(&mut node, 3, request, Response::Clients(0));
    respond(&mut node, 3, request, Response::Ack('b'));
    assert_eq!(events(&mut node).len(), 5);
    respond(&mut node, 1, request, Response::Ack('c'));
    respond(&mut node, 1, request, Response::Ack('d'));
    let last = Event::Response(request, NodeId(1), Response::Ack('c'));
    assert_eq!(events(&mut node), [last, completed(request, 0, 0)]);
}

#[test]
fn deadline_ends_a_request_and_tells_what_is_missing() {
    let mut node = node(3);
    let request = ask(&mut node);
    respond(&mut node, 1, request, Response::Clients(3));
    respond(&mut node, 1, request, Response::Ack('a'));
    respond(&mut node, 2, request, Response::Clients(0));
    node.handle_timeout(DEADLINE - Duration::from_nanos(1));
    assert_eq!(events(&mut node).len(), 3);
    node.handle_timeout(DEADLINE);
    assert_eq!(events(&mut node), [completed(request, 1, 2)]);
    respond(&mut node, 1, request, Response::Ack('b'));
    assert_eq!(events(&mut node), []);
}

#[test]
fn node_that_does_not_tell_its_sockets_is_missing() {
    let mut node = node(2);
    let request = node.fetch_sockets(DEADLINE, &namespace(), Target::all(), 1).unwrap();
    respond(&mut node, 1, request, Response::Sockets(vec![]));
    node.handle_timeout(DEADLINE);
    assert_eq!(events(&mut node)[1..], [completed(request, 1, 0)]);
}

#[test]
fn lost_node_is_not_waited_for() {
    let mut node = node(2);
    let [one, two] = [ask(&mut node), ask(&mut node)];
    respond(&mut node, 1, one, Response::Clients(0));
    respond(&mut node, 2, two, Response::Clients(1));
    assert_eq!(events(&mut node).len(), 2);
    assert!(node.remove_node(NodeId(2)) && !node.remove_node(NodeId(2)));
    assert_eq!(events(&mut node), [completed(one, 1, 0)]);
    // A new node is not asked.
    assert!(node.insert_node(NodeId(2)) && !node.insert_node(NodeId(2)));
    respond(&mut node, 2, two, Response::Ack('a'));
    respond(&mut node, 1, two, Response::Clients(0));
    let last = Event::Response(two, NodeId(1), Response::Clients(0));
    assert_eq!(events(&mut node), [last, completed(two, 0, 1)]);
}

#[test]
fn cancelled_request_is_told_no_more() {
    let mut node = node(1);
    let request = ask(&mut node);
    let other = node.fetch_sockets(DEADLINE, &namespace(), Target::all(), 1).unwrap();
    respond(&mut node, 1, request, Response::Clients(1));
    respond(&mut node, 1, other, Response::Sockets(vec![]));
    node.cancel(request);
    respond(&mut node, 1, request, Response::Ack('a'));
    let response = Event::Response(other, NodeId(1), Response::Sockets(vec![]));
    assert_eq!(events(&mut node), [response, completed(other, 0, 0)]);
    assert_eq!(node.poll_timeout(), None);
}

#[test]
fn operations_of_other_nodes_are_to_be_carried_out() {
    let mut node = node(0);
    let operation = Operation::Disconnect { target: Target::all(), close: true };
    node.handle_message(NodeId(4), "/a".into(), operation.clone());
    let event = Event::Operation { from: NodeId(4), namespace: "/a".into(), operation };
    assert_eq!(events(&mut node), [event]);
}

/// A node on a bus that counts the others.
fn counting_node() -> Node {
    Node::counting(1000)
}

#[test]
fn counted_nodes_are_waited_for_by_their_number() {
    let mut node = counting_node();
    assert!(!node.insert_node(NodeId(1)) && !node.remove_node(NodeId(1)));
    node.set_nodes(3);
    assert_eq!((node.nodes(), node.node_ids().count()), (3, 0));
    let request = node.fetch_sockets(DEADLINE, &namespace(), Target::all(), 1).unwrap();
    assert_eq!(events(&mut node), []);
    respond(&mut node, 7, request, Response::Sockets(vec![]));
    // Twice.
    respond(&mut node, 7, request, Response::Sockets(vec![]));
    let response = |from| Event::Response(request, NodeId(from), Response::Sockets(vec![]));
    assert_eq!(events(&mut node), [response(7)]);
    node.handle_count(request, 2);
    assert_eq!(events(&mut node), []);
    respond(&mut node, 8, request, Response::Sockets(vec![]));
    assert_eq!(events(&mut node), [response(8), completed(request, 0, 0)]);
    respond(&mut node, 9, request, Response::Sockets(vec![]));
    node.handle_count(request, 3);
    assert_eq!((events(&mut node), node.poll_timeout()), (vec![], None));
}

#[test]
fn request_that_no_counted_node_hears_is_complete_with_the_count() {
    let mut node = counting_node();
    let request = node.server_side_emit_with_ack(DEADLINE, &namespace(), 'e', 1).unwrap();
    node.handle_count(request, 0);
    assert_eq!(events(&mut node), [completed(request, 0, 0)]);
}

#[test]
fn acknowledgements_of_counted_nodes_are_counted_together() {
    let mut node = counting_node();
    let request = ask(&mut node);
    // Of nobody in particular, before the number of its node.
    respond(&mut node, 0, request, Response::Ack('a'));
    node.handle_count(request, 2);
    respond(&mut node, 1, request, Response::Clients(1));
    respond(&mut node, 2, request, Response::Clients(1));
    assert_eq!(events(&mut node).len(), 3);
    respond(&mut node, 0, request, Response::Ack('b'));
    let last = Event::Response(request, NodeId(0), Response::Ack('b'));
    assert_eq!(events(&mut node), [last, completed(request, 0, 0)]);
}

#[test]
fn deadline_tells_what_counted_nodes_did_not_respond() {
    let mut node = counting_node();
    let [one, two] = [ask(&mut node), ask(&mut node)];
    node.handle_count(one, 3);
    respond(&mut node, 1, one, Response::Clients(3));
    respond(&mut node, 0, one, Response::Ack('a'));
    events(&mut node);
    node.handle_timeout(DEADLINE);
    // Of the other the bus has not said anything.
    assert_eq!(events(&mut node), [completed(one, 2, 2), completed(two, 1, 0)]);
}

#[test]
fn acknowledgements_that_nobody_has_announced_are_bounded() {
    for mut node in [node(1), counting_node()] {
        let request = ask(&mut node);
        for _ in 0..70_000 {
            respond(&mut node, 1, request, Response::Ack('a'));
        }
        assert_eq!(events(&mut node).len(), 65_536);
    }
}

/// Nodes can be made up by all that publish on the bus.
#[test]
fn nodes_that_nobody_has_counted_are_bounded() {
    let mut node = counting_node();
    let fetch = node.fetch_sockets(DEADLINE, &namespace(), Target::all(), 1).unwrap();
    let acks = ask(&mut node);
    node.handle_count(acks, 1);
    for from in 0..70_000 {
        respond(&mut node, from, fetch, Response::Sockets(vec![]));
        respond(&mut node, from, acks, Response::Clients(1));
    }
    assert_eq!(events(&mut node).len(), 2 * 65_536);
}

#[test]
fn nodes_have_a_grace_period_to_respond_if_the_process_did_not_run() {
    let mut node = node(2);
    let request = ask(&mut node);
    let late = DEADLINE + Duration::from_secs(30);
    node.handle_timeout(late);
    assert_eq!(events(&mut node), []);
    let until = late + Duration::from_secs(20);
    assert_eq!(node.poll_timeout(), Some(until));
    // A request of now is none of those that it is for.
    let soon = node.fetch_sockets(late, &namespace(), Target::all(), 1).unwrap();
    node.handle_timeout(late);
    assert_eq!(events(&mut node), [completed(soon, 2, 0)]);
    respond(&mut node, 1, request, Response::Clients(0));
    node.handle_timeout(until);
    let clients = Event::Response(request, NodeId(1), Response::Clients(0));
    assert_eq!(events(&mut node), [clients, completed(request, 1, 0)]);
    assert_eq!(node.poll_timeout(), None);
}
