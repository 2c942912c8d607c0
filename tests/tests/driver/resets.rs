//! Plugs that are pulled, in the middle of whatever it is, while others go on.

use std::{thread, time::Duration};

use enginewire_tests::{
    pusher::{End, Pusher, Way},
    random::Random,
};

use crate::{
    Host,
    ledger::{Pushed, beside_others, serve_ledger},
    soon, until_empty,
};

on_every_runtime!(resets_lose_nothing_that_was_acknowledged_and_disturb_nobody);

fn resets_lose_nothing_that_was_acknowledged_and_disturb_nobody<R: Host>() {
    let (server, ledger) = serve_ledger::<R>(|builder| {
        // Who has gone without a word is found out by this, and nobody else even on a slow machine.
        builder.ping_interval(Duration::from_millis(300)).ping_timeout(Duration::from_secs(5))
    });
    let address = server.local_addr();
    let mut random = Random::unforeseen();
    let mut pusher = |name: &str, i: usize, most: usize| {
        let allowance = if most == usize::MAX { most } else { random.below(most) };
        let (name, way, random) = (format!("{name}-{i}"), Way::ALL[i % 3], random.fork());
        Pusher { address, name, way, random, allowance }
    };
    let survivors: Vec<_> = (0..3).map(|i| pusher("survivor", i, usize::MAX)).collect();
    let victims: Vec<_> = (0..VICTIMS).map(|i| pusher("victim", i, MOST)).collect();
    let survivors = beside_others(survivors, || {
        thread::scope(|threads| {
            let push = |pusher| threads.spawn(|| Pushed::by(pusher, |_| true));
            for victim in victims.into_iter().map(push).collect::<Vec<_>>() {
                let victim = victim.join().unwrap();
                assert_eq!(victim.end, End::Cut);
                ledger.check(&victim);
            }
        });
    });
    survivors.iter().for_each(|survivor| ledger.check(survivor));
    until_empty(&server);
    soon("the server to close", server.close());
    ledger.check_to_the_end();
}

/// Clients whose plug is pulled.
const VICTIMS: usize = 90;

/// Bytes that such a client may write at most: some get no further than to the handshake.
const MOST: usize = 20_000;
