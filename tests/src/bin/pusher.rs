//! A client that pushes messages until it is killed, and prints how many have been acknowledged.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    env,
    io::{Write, stdout},
};

use enginewire_tests::{
    pusher::{Pusher, Way},
    random::Random,
};

fn main() {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let [address, name, way, seed] = &arguments[..] else {
        panic!("usage: pusher ADDRESS NAME WAY SEED");
    };
    let way = Way::ALL.into_iter().find(|known| format!("{known:?}") == *way).unwrap();
    let random = Random::new(seed.parse().unwrap());
    let (address, name) = (address.parse().unwrap(), name.clone());
    let pusher = Pusher { address, name, way, random, allowance: usize::MAX };
    pusher.push(|acknowledged| writeln!(stdout(), "{acknowledged}").is_ok());
}
