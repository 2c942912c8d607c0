//! Many sessions at once.

use enginewire_simulator::{EndId, Manner, Numbered, Path, World, replay};

use crate::common::*;

#[test]
fn a_thousand_sessions_upgrade_at_once() {
    replay(1, |seed| {
        let mut world = world(seed);
        let lives: Vec<_> =
            (0..1000).map(|_| begin(&mut world, REVISIONS[0], BOTH, good)).collect();
        world.run_for(10 * SECOND);
        for &life in &lives {
            assert_eq!(is_upgraded(&world, life), (true, true));
            talk(&mut world, life, 1);
        }
        assert_eq!(world.hub().sessions(), 1000);
        world.run_for(30 * SECOND);
        lives.iter().for_each(|&life| world.application.assert_all_came(life));
        world.finish().0
    });
}

/// One takes three kilobytes a second, one is an application that takes nothing for a while.
#[test]
fn slow_readers_hold_up_nobody_else() {
    for transports in [POLLING, WEBSOCKET] {
        scenario(|seed| {
            let manner = Manner { size: 1000, ..Manner::default() };
            let mut world = World::new(seed, server(), Numbered::new(manner));
            let thin = |_: &mut _| Path { bandwidth: 30_000, buffer: 8000, ..Path::default() };
            let thin = begin(&mut world, REVISIONS[0], transports, thin);
            let slow = begin(&mut world, REVISIONS[0], transports, good);
            let fast: Vec<_> =
                (0..10).map(|_| begin(&mut world, REVISIONS[0], transports, good)).collect();
            world.run_for(2 * SECOND);
            world.at(EndId::Client(slow), |_, end| end.pause());
            let all = fast.iter().copied().chain([thin, slow]);
            all.clone().for_each(|life| talk(&mut world, life, 1000));
            world.run_for(10 * SECOND);
            fast.iter().for_each(|&life| world.application.assert_all_came(life));
            assert_eq!(world.application.client(slow).received, 0);
            let (client, server) = (world.application.client(thin), world.application.server(thin));
            assert!(client.received < 900 && server.received < 900, "{client:?} {server:?}");
            world.at(EndId::Client(slow), |_, end| end.resume());
            world.run_for(60 * SECOND);
            all.for_each(|life| world.application.assert_all_came(life));
            world.finish().0
        });
    }
}
