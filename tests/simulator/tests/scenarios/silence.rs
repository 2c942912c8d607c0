//! How long a server waits for a pong, to the nanosecond.

use std::time::Duration;

use enginewire::Revision;
use enginewire_simulator::{EndId, Fault, Path, When};

use crate::common::*;

/// Whatever else comes while the pong is awaited gives it its time again, from then on, and only once.
#[test]
fn a_message_gives_the_pong_its_time_again_and_a_second_one_does_not() {
    const THERE: Duration = Duration::from_secs(3);
    // The messages come so long after the ping was sent, the pong would 6 s after it.
    let cases: [(&[u32], u32); 5] = [(&[], 0), (&[1], 1), (&[4], 4), (&[1, 3], 1), (&[2, 4], 2)];
    for (messages, extended) in cases {
        scenario(|seed| {
            let mut world = world(seed);
            let gone = When::After(THERE + 30 * SECOND);
            let path = move |_: &mut _| Path::exact(THERE).with(gone, Fault::Vanish);
            let life = begin(&mut world, Revision::V4, WEBSOCKET, path);
            world.run_until(|world| world.server_end(life).is_some());
            let (opened, mut sent) = (world.now(), Duration::ZERO);
            for &message in messages {
                let at = 25 * SECOND + message * SECOND - THERE;
                world.run_for(at - sent);
                sent = at;
                world.at(EndId::Client(life), |application, end| application.burst(end, 1));
            }
            let over = opened + 45 * SECOND + extended * SECOND;
            world.run_for(over.since(world.now()) - Duration::from_nanos(1));
            assert_eq!(world.application.server(life).received, messages.len() as u64);
            assert_eq!(reasons(&world, life).1, None, "after {messages:?}");
            world.run_for(Duration::from_nanos(1));
            assert_eq!(reasons(&world, life).1, SILENT, "after {messages:?}");
            world.finish().0
        });
    }
}
