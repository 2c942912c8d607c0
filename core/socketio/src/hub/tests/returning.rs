//! Clients that come back to any hub whose bus has a log.

use super::{
    logging::{Nodes, entry, moving},
    recovery::{come_back, connect},
    *,
};
use crate::{
    cluster::{LOG_TIMEOUT, LogEntry, Operation},
    parser::Parser,
};

/// A private id that no client has.
const UNKNOWN: &str = "AAAAAAAAAAAAAAAAAAAA";

/// A client of the first node that has received an event, and its private id.
fn receive(nodes: &mut Nodes) -> (Peer, String) {
    let (peer, pid) = connect(&mut nodes.worlds[0]);
    nodes.say(0, "received");
    nodes.carry();
    assert_eq!(nodes.worlds[0].take(peer.on), r#"2["received","7-1"]"#);
    (peer, pid)
}

#[test]
fn client_comes_back_to_another_node_with_what_it_missed() {
    let (mut nodes, pid, received) = moving();
    nodes.hub(1).broadcast("/", &Target::all().to("room"), "missed", &1).unwrap();
    nodes.hub(0).broadcast("/", &Target::all().to("other"), "not mine", &2).unwrap();
    nodes.carry();
    let on = come_back(&mut nodes.worlds[1], &pid, Some(&received));
    nodes.carry();
    assert_eq!(nodes.worlds[1].seen(), [r##"#1 restored "data""##]);
    let messages = nodes.worlds[1].messages(on);
    assert_eq!(messages[0], r#"2["missed",1,"7-3"]"#);
    assert!(messages[1].starts_with("0{") && messages.len() == 2, "{messages:?}");
    let key = nodes.hub(1).sockets("/", &Target::all().to("room"))[0];
    assert_eq!(nodes.hub(1).room_len("/", "room"), 1);
    nodes.hub(0).broadcast("/", &Target::all().to("room"), "live", &()).unwrap();
    nodes.carry();
    assert_eq!(nodes.worlds[1].take(on), r#"2["live","7-4"]"#);
    // Its data go on with it.
    nodes.lose(1, on);
    let on = come_back(&mut nodes.worlds[0], &pid, Some("7-4"));
    nodes.carry();
    assert_eq!(nodes.worlds[0].seen(), [r##"#2 restored "data""##, "#1 forgotten"]);
    assert!(nodes.worlds[0].take(on).starts_with("0{") && !nodes.hub(1).is_connected(key));
    nodes.end();
}

#[test]
fn client_of_a_node_that_closes_comes_back_to_another() {
    let mut nodes = Nodes::new(2);
    let (peer, pid) = connect(&mut nodes.worlds[0]);
    nodes.say(0, "received");
    nodes.carry();
    nodes.worlds[0].messages(peer.on);
    let now = nodes.worlds[0].now;
    nodes.hub(0).close(now);
    nodes.worlds[0].drain();
    nodes.carry();
    assert_eq!(nodes.states.len(), 1);
    nodes.say(1, "missed");
    nodes.carry();
    let on = come_back(&mut nodes.worlds[1], &pid, Some("7-1"));
    nodes.carry();
    assert_eq!(nodes.worlds[1].messages(on)[0], r#"2["missed","7-2"]"#);
    nodes.end();
}

#[test]
fn client_that_breaks_off_again_gets_no_event_once_more() {
    let (mut nodes, pid, received) = moving();
    nodes.say(0, "missed");
    nodes.carry();
    let mut offset = received;
    for (node, missed) in [(1, 1), (0, 0), (1, 0)] {
        let on = come_back(&mut nodes.worlds[node], &pid, Some(&offset));
        nodes.carry();
        let messages = nodes.worlds[node].messages(on);
        assert_eq!(messages.len(), missed + 1, "{messages:?}");
        // It has the offset of what it missed.
        offset = "7-2".into();
        nodes.lose(node, on);
    }
    nodes.end();
}

#[test]
fn client_comes_back_to_its_node_as_the_socket_that_it_was() {
    let (mut nodes, pid, received) = moving();
    nodes.say(1, "missed");
    nodes.carry();
    let on = come_back(&mut nodes.worlds[0], &pid, Some(&received));
    nodes.carry();
    assert_eq!(nodes.worlds[0].seen(), ["#2 recovered #1"]);
    assert_eq!(nodes.worlds[0].messages(on)[0], r#"2["missed","7-2"]"#);
    assert!(nodes.states.is_empty());
    nodes.end();
}

#[test]
fn client_whose_end_was_not_noticed_takes_its_own_place_without_the_bus() {
    let mut nodes = Nodes::new(2);
    let (_, pid) = receive(&mut nodes);
    let on = come_back(&mut nodes.worlds[0], &pid, Some("7-1"));
    nodes.carry();
    assert_eq!(nodes.worlds[0].seen(), ["#1 left []: replaced", "#2 recovered #1"]);
    assert!(nodes.worlds[0].take(on).starts_with("0{"));
    assert!(nodes.states.is_empty());
    nodes.end();
}

#[test]
fn replaced_client_may_come_back_to_another_node_in_its_other_namespaces() {
    let mut nodes = Nodes::new(2);
    let (peer, pid) = receive(&mut nodes);
    nodes.worlds[0].says(peer.on, "0/chat,");
    nodes.worlds[0].take(peer.on);
    nodes.worlds[0].seen();
    come_back(&mut nodes.worlds[0], &pid, Some("7-1"));
    nodes.carry();
    let seen = nodes.worlds[0].seen();
    assert_eq!(seen, ["#1 left []: replaced", "#2 left []: replaced", "#3 recovered #1"]);
    // Nobody has come back to it here.
    assert_eq!(nodes.states.len(), 1);
    nodes.end();
}

#[test]
fn replaced_client_whose_offset_is_unknown_is_new_and_its_old_socket_is_forgotten() {
    let mut nodes = Nodes::new(2);
    let (_, pid) = receive(&mut nodes);
    come_back(&mut nodes.worlds[0], &pid, Some("7-9"));
    nodes.carry();
    let seen = nodes.worlds[0].seen();
    assert_eq!(seen[0], "#1 left []: replaced");
    assert!(seen[1].starts_with("#2 asks / ") && seen[2..] == ["#1 forgotten"], "{seen:?}");
    assert!(nodes.states.is_empty());
    nodes.end();
}

#[test]
fn client_whose_old_connection_breaks_while_the_application_decides_is_recovered() {
    for accepts in [true, false] {
        let mut nodes = Nodes::with(2, |config| {
            config.recovery.as_mut().unwrap().skip_authorize = false;
        });
        let (peer, pid) = receive(&mut nodes);
        nodes.worlds[0].accepts = false;
        let twice = [(); 2].map(|()| come_back(&mut nodes.worlds[0], &pid, Some("7-1")));
        let [first, second] = nodes.worlds[0].asking[..] else { panic!() };
        nodes.lose(0, peer.on);
        assert!(nodes.states.is_empty(), "it waits for the decision");
        // Another connection of the same client waits for its decision still.
        let now = nodes.worlds[0].now;
        nodes.worlds[0].lose(twice[1]);
        nodes.carry();
        assert_eq!(nodes.worlds[0].seen(), [format!("#{} cancelled", second.serial)]);
        assert!(nodes.states.is_empty());
        if accepts {
            assert!(nodes.hub(0).accept(now, first));
            nodes.carry();
            assert_eq!(nodes.worlds[0].seen(), ["#2 recovered #1"]);
            assert!(nodes.worlds[0].take(twice[0]).starts_with("0{"));
            assert!(nodes.states.is_empty());
        } else {
            // Its state is there for all nodes, as those of others.
            assert!(nodes.hub(0).refuse(now, first, &"no".into()));
            nodes.carry();
            assert_eq!(nodes.states.len(), 1);
            come_back(&mut nodes.worlds[1], &pid, Some("7-1"));
            nodes.carry();
            assert_eq!(nodes.worlds[1].seen()[1..], ["#1 restored {}"]);
        }
        nodes.end();
    }
}

#[test]
fn client_that_comes_back_to_two_nodes_at_once_is_restored_by_one() {
    for first in [0, 1] {
        let (mut nodes, pid, received) = moving();
        for node in [first, 1 - first] {
            come_back(&mut nodes.worlds[node], &pid, Some(&received));
        }
        while nodes.carry_from(first) {}
        nodes.carry();
        let seen = nodes.worlds[first].seen().concat();
        assert!(seen.contains(if first == 0 { "recovered" } else { "restored" }), "{seen}");
        // The application is asked about the other.
        let seen = nodes.worlds[1 - first].seen().concat();
        assert!(seen.contains("asks /") && !seen.contains("re"), "{seen}");
        nodes.end();
    }
}

#[test]
fn node_that_has_not_seen_what_a_client_missed_reads_the_log() {
    let mut nodes = Nodes::new(2);
    let (peer, pid) = connect(&mut nodes.worlds[0]);
    let (other, other_pid) = connect(&mut nodes.worlds[0]);
    for name in ["a", "b", "c"] {
        nodes.say(0, name);
    }
    nodes.carry();
    nodes.worlds[0].messages(peer.on);
    nodes.worlds[0].messages(other.on);
    nodes.lose(0, peer.on);
    nodes.lose(0, other.on);
    assert_eq!(nodes.hub(1).namespaces().count(), 0, "it has no copy of the log");
    let on = come_back(&mut nodes.worlds[1], &pid, Some("7-1"));
    let other = come_back(&mut nodes.worlds[1], &other_pid, Some("7-2"));
    nodes.carry();
    let missed = [r#"2["b","7-2"]"#, r#"2["c","7-3"]"#];
    assert_eq!(nodes.worlds[1].messages(on)[..2], missed);
    // One read was enough for both.
    assert_eq!(nodes.worlds[1].messages(other)[..1], missed[1..]);
    assert_eq!(nodes.reads, 1);
    nodes.end();
}

#[test]
fn read_lets_those_go_on_whose_entries_it_has_brought_before_the_next_read() {
    let mut nodes = Nodes::new(2);
    let peers = [(); 2].map(|()| connect(&mut nodes.worlds[0]));
    nodes.say(0, "a");
    nodes.say(0, "b");
    nodes.carry();
    peers.iter().for_each(|(peer, _)| nodes.lose(0, peer.on));
    come_back(&mut nodes.worlds[1], &peers[0].1, Some("7-1"));
    come_back(&mut nodes.worlds[1], UNKNOWN, Some("6-1"));
    come_back(&mut nodes.worlds[1], &peers[1].1, Some("7-2"));
    // A read, and then two states.
    assert!((0..3).all(|_| nodes.carry_from(1)));
    nodes.worlds[1].drain();
    assert_eq!(nodes.reads, 1);
    assert_eq!(nodes.worlds[1].seen(), ["#1 restored {}", "#3 restored {}"]);
    nodes.carry();
    assert_eq!(nodes.reads, 2);
    assert!(nodes.worlds[1].seen()[0].starts_with("#2 asks / "));
    nodes.end();
}

/// With all driven by each read it would be more than 5000 steps.
#[test]
fn many_clients_with_offsets_that_are_nowhere_are_driven_three_times_each() {
    const CLIENTS: usize = 100;
    let mut nodes = Nodes::new(1);
    for sequence in 0..CLIENTS {
        come_back(&mut nodes.worlds[0], UNKNOWN, Some(&format!("6-{sequence}")));
    }
    nodes.carry();
    assert_eq!((nodes.reads, nodes.worlds[0].seen().len()), (CLIENTS, CLIENTS));
    let returns = nodes.hub(0).node.as_ref().unwrap().returns;
    assert!(returns <= 3 * CLIENTS, "{returns}");
    nodes.end();
}

#[test]
fn clients_that_wait_for_a_read_leave_or_go_on_without_a_bus() {
    let mut nodes = Nodes::new(1);
    nodes.is_silent = true;
    let on = ["6-1", "6-2", "6-3", "6-4"]
        .map(|offset| come_back(&mut nodes.worlds[0], UNKNOWN, Some(offset)));
    nodes.carry();
    // One that reads, and one that waits.
    nodes.worlds[0].lose(on[0]);
    nodes.worlds[0].lose(on[2]);
    assert_eq!(nodes.reads, 0);
    nodes.hub(0).handle_cluster_connected(false);
    nodes.worlds[0].drain();
    let seen = nodes.worlds[0].seen();
    assert!(seen[0].starts_with("#2 asks / ") && seen[1].starts_with("#4 asks / "), "{seen:?}");
    assert_eq!(seen.len(), 2);
    nodes.end();
}

#[test]
fn entry_that_cannot_be_encoded_is_left_out_of_what_was_read() {
    let mut nodes = Nodes::new(1);
    let peer = nodes.worlds[0].connect("/");
    let Hub { namespaces, encoder, .. } = nodes.hub(0);
    let index = namespaces.find("/").unwrap();
    let namespace = namespaces.get_mut(index).unwrap();
    let entries = [1, 2, 3].map(|sequence| {
        let levels = if sequence == 2 { 200 } else { 1 };
        let json = format!(r#"["a",{}{}]"#, "[".repeat(levels), "]".repeat(levels));
        let event = Args::from_payload(Payload::from_json(json.into(), 0, Vec::new()));
        LogEntry { id: entry(sequence), target: Target::all(), event }
    });
    namespace.log_before(Time::ZERO, encoder, &Parser::MessagePack, entries.into());
    let recovery = namespace.recovery.as_ref().unwrap();
    let has = [1, 2, 3].map(|sequence| recovery.has_entry(entry(sequence)));
    assert_eq!(has, [true, false, true]);
    nodes.lose(0, peer.on);
    nodes.end();
}

#[test]
fn client_whose_offset_is_not_in_the_log_is_new_and_has_not_lost_its_state() {
    let (mut nodes, pid, _) = moving();
    for unknown in ["7-9", "hello", "AAAAAAAAAAAAAAAA"] {
        come_back(&mut nodes.worlds[1], &pid, Some(unknown));
        nodes.carry();
        assert!(nodes.worlds[1].seen()[0].contains("asks /"));
        assert_eq!(nodes.states.len(), 1, "{unknown}");
    }
    nodes.end();
}

#[test]
fn client_that_does_not_wait_for_the_bus_leaves_its_state_there() {
    let (mut nodes, pid, received) = moving();
    nodes.is_silent = true;
    let on = come_back(&mut nodes.worlds[1], &pid, Some(&received));
    // The log is read for it.
    nodes.carry();
    assert_eq!(nodes.hub(1).len(), 1);
    nodes.worlds[1].lose(on);
    assert_eq!((nodes.hub(1).len(), nodes.worlds[1].seen()), (0, Vec::<String>::new()));

    // The state is there, and is given back.
    nodes.is_silent = false;
    let (peer, _) = connect(&mut nodes.worlds[1]);
    nodes.say(1, "missed");
    nodes.carry();
    let on = come_back(&mut nodes.worlds[1], &pid, Some("7-2"));
    let message = nodes.hub(1).poll_cluster_message().unwrap();
    nodes.worlds[1].lose(on);
    let Operation::Log(request) = message.operation else { panic!() };
    nodes.carry_out(1, "/".into(), request);
    assert!(nodes.states.is_empty());
    nodes.carry();
    assert_eq!(nodes.states.len(), 1);
    nodes.lose(1, peer.on);
    nodes.end();
}

#[test]
fn client_is_new_if_the_bus_does_not_respond() {
    let (mut nodes, pid, _) = moving();
    nodes.is_silent = true;
    come_back(&mut nodes.worlds[1], &pid, None);
    nodes.carry();
    assert_eq!(nodes.worlds[1].seen(), [""; 0]);
    nodes.worlds[1].pass(LOG_TIMEOUT);
    assert!(nodes.worlds[1].seen()[0].contains("asks /"));
    nodes.end();
}

#[test]
fn client_without_an_offset_is_restored_from_what_its_node_knows() {
    let (mut nodes, pid, _) = moving();
    // The node takes what it has sent for received as long as the connection may be slow.
    nodes.states[0].received = Some(entry(1));
    nodes.say(0, "missed");
    nodes.carry();
    let on = come_back(&mut nodes.worlds[1], &pid, None);
    nodes.carry();
    assert_eq!(nodes.worlds[1].messages(on)[0], r#"2["missed","7-2"]"#);
    assert_eq!(nodes.reads, 1);
    nodes.end();
}

#[test]
fn application_decides_about_a_client_for_which_all_is_ready() {
    for accepts in [true, false] {
        let mut nodes = Nodes::with(2, |config| {
            config.recovery.as_mut().unwrap().skip_authorize = false;
        });
        let (peer, pid) = connect(&mut nodes.worlds[0]);
        nodes.say(0, "received");
        nodes.carry();
        nodes.worlds[0].messages(peer.on);
        nodes.lose(0, peer.on);
        nodes.worlds[1].accepts = false;
        let on = come_back(&mut nodes.worlds[1], &pid, Some("7-1"));
        nodes.carry();
        assert!(nodes.states.is_empty(), "it was taken");
        let (key, now) = (nodes.worlds[1].asking[0], nodes.worlds[1].now);
        nodes.worlds[1].seen();
        if accepts {
            assert!(nodes.hub(1).accept(now, key));
            nodes.carry();
            assert_eq!(nodes.worlds[1].seen(), ["#1 restored {}"]);
            assert!(nodes.worlds[1].take(on).starts_with("0{"));
        } else {
            assert!(nodes.hub(1).refuse(now, key, &"no".into()));
            nodes.carry();
            assert_eq!(nodes.states.len(), 1);
        }
        nodes.end();
    }
}

#[test]
fn data_of_a_recovered_socket_are_known_to_other_nodes() {
    let mut nodes = Nodes::new(2);
    nodes.worlds.iter_mut().for_each(|world| world.hub.node = None);
    let (peer, pid) = connect(&mut nodes.worlds[0]);
    nodes.hub(0).set_data(peer.key, Payload::of(&"data"));
    nodes.worlds[0].lose(peer.on);
    nodes.worlds[0].seen();
    come_back(&mut nodes.worlds[0], &pid, None);
    let key = nodes.hub(0).sockets("/", &Target::all())[0];
    let data = nodes.hub(0).sockets.get(key).unwrap().data.clone();
    assert_eq!(data.unwrap().as_json(), Some(r#""data""#));
}
