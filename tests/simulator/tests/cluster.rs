//! Nodes of a cluster and their clients, on a bus that loses and doubles messages.

use std::{cell::Cell, time::Duration};

use enginewire_socketio::cluster::wire::{
    ClassicConfig, Format, HeartbeatsConfig, StreamsConfig, SubscriptionMode,
};

use enginewire_simulator::{
    Log, Random, replay_many,
    socketio::{BusManner, ClusterManner, ClusterSabotage, ClusterTotals, ClusterWorld},
};

/// Ten nodes and twenty clients for twenty seconds, with a broker between them if there is a format.
fn run(seed: u64, format: Option<Format>, came: &Cell<ClusterTotals>) -> Log {
    let mut random = Random::new(seed);
    let bus = BusManner {
        losses: [0, 20, 200][random.size(3) - 1],
        doubles: [0, 50][random.size(2) - 1],
        reorders: random.chance(250),
    };
    let manner = ClusterManner {
        acts: random.size(6),
        crashes: random.below(2000),
        cuts: random.below(2000),
        jams: random.below(4000),
        moves: random.below(600),
        badness: [0, 200, 600][random.size(3) - 1],
        bus,
        ..ClusterManner::default()
    };
    let seed = random.next();
    let mut world = match format {
        Some(format) => ClusterWorld::with_broker(seed, 10, manner, format),
        None => ClusterWorld::new(seed, 10, manner),
    };
    for _ in 0..20 {
        world.connect();
        world.run_for(random.shorter(Duration::from_millis(100)));
    }
    world.run_for(Duration::from_secs(20));
    world.rest();
    let (log, totals) = world.finish();
    came.set(came.get() + totals);
    log
}

/// Whether many worlds have had all that may happen.
fn check(totals: ClusterTotals) {
    println!("{totals:?}");
    if std::env::var_os("SEED").is_some() {
        // One world need not have all that many have.
        return;
    }
    let ClusterTotals { sockets, moved, sent, received, carried, lost, doubled, .. } = totals;
    let ClusterTotals { requests, missing, acknowledged, untold, crashes, cuts, .. } = totals;
    for (what, came) in [
        ("sockets", sockets),
        ("sockets that were at another node", moved),
        ("events sent", sent),
        ("events received", received[0]),
        ("events of another node received", received[1]),
        ("operations carried out", carried),
        ("messages lost", lost),
        ("messages doubled", doubled),
        ("complete requests", requests[0]),
        ("incomplete requests", requests[1]),
        ("nodes that did not respond", missing[0]),
        ("acknowledgements that did not come", missing[1]),
        ("acknowledgements", acknowledged),
        ("operations without a bus", untold[0]),
        ("operations without room", untold[1]),
        ("crashes", crashes),
        ("cuts", cuts),
    ] {
        assert!(came > 0, "nothing: {what}");
    }
}

#[test]
fn any_cluster_on_any_bus() {
    let came = Cell::default();
    replay_many(3, |seed| run(seed, None, &came));
    check(came.get());
}

/// Each format in turn.
fn format(seed: u64) -> Format {
    let (mut classic, mut heartbeats) = (ClassicConfig::default(), HeartbeatsConfig::default());
    classic.has_response_channels = seed.is_multiple_of(2);
    heartbeats.max_payload = 1500;
    match seed % 6 {
        0 => Format::Sharded(SubscriptionMode::Static),
        1 => Format::Sharded(SubscriptionMode::Dynamic),
        2 => Format::Sharded(SubscriptionMode::DynamicPrivate),
        3 => Format::Streams(StreamsConfig::default()),
        4 => Format::Heartbeats(heartbeats),
        _ => Format::Classic(classic),
    }
}

#[test]
fn any_cluster_on_any_broker() {
    let came = Cell::default();
    replay_many(6, |seed| run(seed, Some(format(seed)), &came));
    check(came.get());
}

/// Ten nodes that share a log, and twenty clients whose connections break, for a minute.
fn run_with_log(seed: u64, came: &Cell<ClusterTotals>) -> Log {
    let mut random = Random::new(seed);
    // A log that is cut off is that of nodes which read it all the time.
    let is_short = random.chance(300);
    let cuts = if is_short { 0 } else { 1 };
    let manner = ClusterManner {
        acts: random.size(6),
        crashes: random.below(1000),
        cuts: cuts * random.below(1000),
        outages: cuts * random.below(300),
        jams: random.below(2000),
        moves: random.below(100),
        breaks: random.below(800),
        badness: [0, 200, 600][random.size(3) - 1],
        bus: BusManner { losses: [0, 20, 200][random.size(3) - 1], ..BusManner::default() },
    };
    let entries = if is_short { 40 } else { 4000 };
    let mut world = ClusterWorld::with_log(random.next(), 10, manner, entries);
    for _ in 0..20 {
        world.connect();
        world.run_for(random.shorter(Duration::from_millis(100)));
    }
    world.run_for(Duration::from_secs(60));
    world.rest();
    let (log, totals) = world.finish();
    came.set(came.get() + totals);
    log
}

#[test]
fn any_cluster_whose_clients_recover_on_any_node() {
    let came = Cell::default();
    replay_many(3, |seed| run_with_log(seed, &came));
    let totals = came.get();
    println!("{totals:?}");
    if std::env::var_os("SEED").is_some() {
        // One world need not have all that many have.
        return;
    }
    let ClusterTotals { restored, refused, taken, read, resent, requests, .. } = totals;
    let ClusterTotals { crashes, cuts, .. } = totals;
    for (what, came) in [
        ("sockets restored on their node", restored[0]),
        ("sockets restored on another", restored[1]),
        ("clients that were not recovered", refused),
        ("states taken", taken),
        ("entries read", read),
        ("events resent", resent),
        ("complete requests", requests[0]),
        ("incomplete requests", requests[1]),
        ("crashes", crashes),
        ("cuts", cuts),
    ] {
        assert!(came > 0, "nothing: {what}");
    }
}

/// A world without faults but the one that is planted.
fn sabotaged(sabotage: ClusterSabotage, manner: ClusterManner) {
    let mut world = ClusterWorld::new(1, 4, ClusterManner { acts: 4, ..manner });
    world.sabotage(sabotage);
    (0..10).for_each(|_| world.connect());
    world.run_for(Duration::from_secs(20));
    world.rest();
    world.finish();
}

#[test]
#[should_panic = " of node "]
fn operation_that_is_carried_out_twice_is_found() {
    sabotaged(ClusterSabotage::Twice, ClusterManner::default());
}

#[test]
#[should_panic = ", and has not got "]
fn operation_that_is_not_carried_out_is_found() {
    sabotaged(ClusterSabotage::Lost, ClusterManner::default());
}

#[test]
#[should_panic = "comes otherwise than it was sent"]
fn target_that_changes_on_the_way_is_found() {
    sabotaged(ClusterSabotage::Widened, ClusterManner::default());
}

#[test]
#[should_panic = "gets event"]
fn order_of_a_node_that_changes_behind_the_bus_is_found() {
    sabotaged(ClusterSabotage::Reordered, ClusterManner::default());
}

#[test]
#[should_panic = "describes other sockets"]
fn socket_that_a_node_does_not_describe_is_found() {
    sabotaged(ClusterSabotage::Hidden, ClusterManner::default());
}

#[test]
#[should_panic = "and goes on"]
fn request_whose_end_is_not_told_is_found() {
    sabotaged(ClusterSabotage::Endless, ClusterManner::default());
}

#[test]
#[should_panic = "is not what it says"]
fn request_that_hides_what_is_missing_is_found() {
    let bus = BusManner { losses: 300, ..BusManner::default() };
    sabotaged(ClusterSabotage::Liar, ClusterManner { bus, ..ClusterManner::default() });
}

#[test]
#[should_panic = "acknowledges RequestId"]
fn acknowledgement_that_is_told_twice_is_found() {
    sabotaged(ClusterSabotage::Again, ClusterManner::default());
}

#[test]
#[should_panic = "more waits for the bus than may"]
fn queue_without_its_bound_is_found() {
    sabotaged(ClusterSabotage::Hoarded, ClusterManner { jams: 20_000, ..ClusterManner::default() });
}

/// The same where clients recover, whose connections break at any time. So many nodes crash.
fn sabotaged_with_log(sabotage: ClusterSabotage, crashes: u64) {
    let (acts, breaks, badness) = (4, 2000, 400);
    let manner = ClusterManner { acts, breaks, badness, crashes, ..ClusterManner::default() };
    let mut world = ClusterWorld::with_log(1, 4, manner, 4000);
    world.sabotage(sabotage);
    (0..10).for_each(|_| world.connect());
    world.run_for(Duration::from_secs(120));
    world.rest();
    world.finish();
}

#[test]
#[should_panic = ", and is connected to "]
fn state_that_is_given_to_two_nodes_is_found() {
    sabotaged_with_log(ClusterSabotage::Kept, 0);
}

#[test]
#[should_panic = ", and has not got "]
fn entry_that_a_read_leaves_out_is_found() {
    sabotaged_with_log(ClusterSabotage::Skipped, 2000);
}

#[test]
#[should_panic = " behind "]
fn log_that_is_read_from_a_wrong_offset_is_found() {
    sabotaged_with_log(ClusterSabotage::Shifted, 2000);
}

#[test]
#[should_panic = " twice, or its node has not sent it"]
fn event_that_is_delivered_before_it_has_its_place_is_found() {
    sabotaged_with_log(ClusterSabotage::Early, 0);
}
