//! Bytes that no client and no server ever sent, and committed seeds with something changed in them: each
//! target looks at them in several cuts, and beside a second opinion.

use std::{fs, path::Path};

use enginewire_properties::{
    deflate, http, http_client, jsonp, packets, payloads, query, sio_packets, sio_payloads, stream,
    websocket,
};
use proptest::{
    collection::vec,
    prelude::*,
    sample::{Index, select},
};

use crate::{config, letters::Script, share};

/// A seed with up to three changes, mostly one that is understood without them; or any bytes.
fn bytes(target: &str, is_worth: fn(&[u8]) -> bool) -> impl Strategy<Value = Script> + use<> {
    let seeds = seeds(target);
    let worthy: Vec<_> = seeds.iter().filter(|seed| is_worth(seed)).cloned().collect();
    let any_bytes = vec(any::<u8>(), 0..200).prop_map(Script);
    prop_oneof![1 => any_bytes, 2 => changed(seeds.clone(), seeds.clone()), 7 => changed(worthy, seeds)]
}

fn changed(seeds: Vec<Vec<u8>>, other: Vec<Vec<u8>>) -> impl Strategy<Value = Script> {
    (select(seeds), vec(change(), 0..4)).prop_map(move |(mut bytes, changes)| {
        changes.iter().for_each(|change| change.apply(&mut bytes, &other));
        Script(bytes)
    })
}

#[derive(Clone, Debug)]
pub(crate) enum Change {
    Put(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, Index),
    /// A part of a seed, one behind the other or over it.
    Splice(Index, Index, Index),
    Repeat(Index, Index, u8),
}

impl Change {
    pub(crate) fn apply(&self, bytes: &mut Vec<u8>, seeds: &[Vec<u8>]) {
        let between = |bytes: &[u8], from: &Index, to: &Index| {
            let (from, to) = (from.index(bytes.len() + 1), to.index(bytes.len() + 1));
            from.min(to)..from.max(to)
        };
        match self {
            Self::Put(at, byte) if !bytes.is_empty() => {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            Self::Put(_, byte) => bytes.push(*byte),
            Self::Insert(at, inserted) => {
                let at = at.index(bytes.len() + 1);
                bytes.splice(at..at, inserted.iter().copied());
            }
            Self::Remove(from, to) => {
                bytes.drain(between(bytes, from, to));
            }
            Self::Splice(seed, from, to) => {
                let seed = seed.get(seeds);
                let part = seed[between(seed, from, to)].to_vec();
                bytes.splice(between(bytes, from, to), part);
            }
            Self::Repeat(from, to, times) => {
                let range = between(bytes, from, to);
                let part = bytes[range.clone()].repeat(usize::from(*times) % 20 + 1);
                bytes.splice(range, part);
            }
        }
    }
}

pub(crate) fn change() -> impl Strategy<Value = Change> {
    let at = any::<Index>;
    prop_oneof![
        3 => (at(), any::<u8>()).prop_map(|(at, byte)| Change::Put(at, byte)),
        2 => (at(), vec(any::<u8>(), 1..5)).prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        1 => (at(), r"\PC{1,3}").prop_map(|(at, text)| Change::Insert(at, text.into_bytes())),
        2 => (at(), at()).prop_map(|(from, to)| Change::Remove(from, to)),
        2 => (at(), at(), at()).prop_map(|(seed, from, to)| Change::Splice(seed, from, to)),
        1 => (at(), at(), any::<u8>()).prop_map(|(from, to, times)| Change::Repeat(from, to, times)),
    ]
}

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds").join(target);
    let mut files: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    // So that the same roll is the same seed everywhere.
    files.sort();
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

macro_rules! targets {
    ($($target:ident $cases:literal $least:literal $is_worth:expr;)*) => {
        $(
            proptest! {
                #![proptest_config(config($cases))]

                #[test]
                fn $target(script in bytes(stringify!($target), |script| $is_worth($target::run(script)))) {
                    $target::run(&script.0);
                }
            }
        )*

        #[test]
        fn many_of_them_are_understood() {
            let found = [$({
                let (target, is_worth) = (stringify!($target), |script: &[u8]| {
                    $is_worth($target::run(script))
                });
                (target, share(bytes(target, is_worth), is_worth), $least)
            }),*];
            assert!(found.iter().all(|(_, found, least)| found >= least), "{found:?}");
        }
    };
}

// How many there are, and of a hundred how many at least have something in them that is taken.
targets! {
    deflate 2000 30 |messages| messages > 0;
    http 5000 33 |taken: http::Taken| taken.heads > 0;
    http_client 5000 35 |taken: http::Taken| taken.heads > 0;
    jsonp 5000 40 |is_taken| is_taken;
    packets 5000 33 |is_packet| is_packet;
    payloads 5000 50 |packets| packets > 0;
    query 5000 58 |pairs| pairs > 0;
    sio_packets 5000 30 |packets| packets > 0;
    sio_payloads 5000 25 |is_some| is_some;
    stream 5000 42 |packets| packets > 0;
    websocket 5000 60 |messages| messages > 0;
}
