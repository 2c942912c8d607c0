//! Every committed seed of `fuzz/seeds` through its target, so that what a fuzzer has found once, and
//! what others were hit by, is looked at with every run of the tests.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::{
    collections::BTreeSet,
    fs,
    panic::{self, AssertUnwindSafe},
    path::{Path, PathBuf},
};

use enginewire_properties::Reached;

macro_rules! replay {
    ($($target:ident)*) => {
        const TARGETS: &[&str] = &[$(stringify!($target)),*];

        $(
            #[test]
            fn $target() {
                replay(stringify!($target), |data| {
                    enginewire_properties::$target::run(data);
                });
            }
        )*
    };
}

replay! {
    client_hub client_session cluster_wire deflate http http_client hub jsonp packets payloads query session
    sio_adapter sio_client_hub sio_cluster sio_connection sio_hub sio_manager sio_packets
    sio_payloads stream websocket
}

#[test]
fn recorded_sessions_open_and_exchange() {
    is_understood("hub", enginewire_properties::hub::run);
    is_understood("client_hub", enginewire_properties::client_hub::run);
}

#[test]
fn every_target_has_its_seeds_and_every_seed_its_target() {
    let targets: BTreeSet<_> = TARGETS.iter().map(|&name| name.to_owned()).collect();
    assert_eq!(names(&fuzz().join("seeds")), targets);
    assert_eq!(names(&fuzz().join("fuzz_targets")), targets);
}

#[test]
fn a_target_that_fails_names_its_seed() {
    let outcome = panic::catch_unwind(|| {
        replay("query", |data| assert!(data.is_empty(), "not this one"));
    });
    let message = outcome.unwrap_err().downcast::<String>().unwrap();
    assert!(message.contains("fuzz/seeds/query/ampersands"), "{message}");
}

#[test]
#[should_panic = "has no seeds"]
fn a_target_without_seeds_fails() {
    replay("nothing", |_| ());
}

fn replay(target: &str, run: fn(&[u8])) {
    let seeds = files(&fuzz().join("seeds").join(target));
    assert!(!seeds.is_empty(), "{target} has no seeds");
    let mut failed = Vec::new();
    for seed in seeds {
        let data = fs::read(&seed).unwrap();
        if panic::catch_unwind(AssertUnwindSafe(|| run(&data))).is_err() {
            failed.push(seed);
        }
    }
    if !failed.is_empty() {
        panic!("{target} fails with {failed:#?}");
    }
}

/// What official clients and servers said is not just refused without harm.
fn is_understood(target: &str, run: fn(&[u8]) -> Reached) {
    for seed in files(&fuzz().join("seeds").join(target)) {
        let name = seed.to_str().unwrap();
        if name.contains("/recorded-") {
            let reached = run(&fs::read(&seed).unwrap());
            assert!(
                reached.opened && reached.received > 0 && reached.sent > 0,
                "{name}: {reached:?}"
            );
            assert_eq!(reached.upgraded, name.contains("-upgrade"), "{name}");
        }
    }
}

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz")
}

/// Without what stands behind a dot.
fn names(folder: &Path) -> BTreeSet<String> {
    files(folder).iter().map(|path| path.file_stem().unwrap().to_str().unwrap().into()).collect()
}

/// In the order of their names; none if there is no such folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}
