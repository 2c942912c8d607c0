//! A server that ends, with clients in every state.

use enginewire_simulator::{Fault, Path, When};

use crate::common::*;

#[test]
fn a_server_that_ends_tells_all_clients_and_is_finished() {
    for graceful in [true, false] {
        scenario(|seed| {
            let mut world = world(seed);
            let mut lives = Vec::new();
            for revision in REVISIONS {
                for transports in [POLLING, WEBSOCKET, BOTH] {
                    lives.push(begin(&mut world, revision, transports, good));
                }
            }
            world.run_for(5 * SECOND);
            lives.iter().for_each(|&life| talk(&mut world, life, 10));
            if graceful {
                world.close_server()
            } else {
                world.abort_server()
            }
            world.run_for(60 * SECOND);
            assert!(world.hub().is_finished());
            for &life in &lives {
                let (client, server) = reasons(&world, life);
                assert_eq!(server, FORCED);
                assert!(client.is_some());
                if graceful {
                    assert_eq!(client, TOLD);
                    let sent = world.application.server(life).sent;
                    assert_eq!(world.application.client(life).received, sent);
                }
            }
            world.finish().0
        });
    }
}

#[test]
fn a_server_that_ends_does_not_wait_for_ever_for_peers_that_are_gone() {
    for transports in [POLLING, WEBSOCKET, BOTH] {
        scenario(|seed| {
            let mut world = world(seed);
            let gone = |_: &mut _| Path::default().with(When::After(4 * SECOND), Fault::Vanish);
            let life = begin(&mut world, REVISIONS[0], transports, gone);
            world.run_for(5 * SECOND);
            talk(&mut world, life, 10);
            world.close_server();
            world.run_for(60 * SECOND);
            assert!(world.hub().is_finished());
            world.finish().0
        });
    }
}

#[test]
fn a_server_that_ends_lets_clients_on_polling_fetch_all_that_is_queued() {
    for revision in REVISIONS {
        scenario(|seed| {
            let mut world = world(seed);
            let life = begin(&mut world, revision, POLLING, good);
            world.run_for(5 * SECOND);
            let id = world.server_end(life).expect("it is open");
            world.at(id, |application, end| application.burst(end, 800));
            world.close_server();
            world.run_for(60 * SECOND);
            assert_eq!(reasons(&world, life), (TOLD, FORCED));
            let (client, server) = (world.application.client(life), world.application.server(life));
            assert!(server.sent > 300 && client.received == server.sent, "{client:?} {server:?}");
            assert!(world.hub().is_finished());
            world.finish().0
        });
    }
}
