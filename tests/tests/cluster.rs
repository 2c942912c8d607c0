//! The suites of `tests/js/cluster`: nodes of ours, on tokio and on smol, and of npm `socket.io` with the official adapters
//! are one cluster, and what may fail in one fails. Needs Debian's package `redis-server`.
//!
//! `cargo test -p enginewire-tests --features interop --test cluster -- --nocapture`, once `npm ci` has been run in
//! `tests/js`. It prints what the faults have cost.

use enginewire_tests::process::{self, succeed};

const OURS: [&str; 4] = [
    "--server",
    env!("CARGO_BIN_EXE_sio-cluster-node-tokio"),
    "--second",
    env!("CARGO_BIN_EXE_sio-cluster-node-smol"),
];

#[test]
fn nodes_of_ours_and_of_the_reference_are_one_cluster() {
    process::suite("cluster/interop.mjs", &OURS, &[]);
}

#[test]
fn admin_ui_shows_and_commands_nodes_of_both_kinds() {
    process::suite("cluster/admin.mjs", &OURS, &[]);
}

#[test]
fn nodes_of_ours_and_of_the_reference_are_one_on_a_redis_cluster() {
    process::suite("cluster/several.mjs", &OURS, &[]);
}

#[test]
fn faults_cost_what_they_must_and_no_more() {
    print_figures(&process::suite("cluster/faulty.mjs", &OURS, &[]));
}

/// Statements of the guide about python-socketio, whose clusters are others.
#[test]
fn python_and_ours_reach_each_other_as_the_guide_says() {
    let node = format!("'{}'", env!("CARGO_BIN_EXE_sio-cluster-node-tokio"));
    succeed(&mut process::python(&["sio-cluster", &node]));
}

/// As in the gate, with faults that last as long as they do in production.
#[test]
#[ignore = "takes minutes"]
fn long_faults_cost_what_they_must_and_no_more() {
    let arguments = [&OURS[..], &["--long"]].concat();
    print_figures(&process::suite("cluster/faulty.mjs", &arguments, &[]));
}

/// The reference alone, which shows that the scenarios are right.
#[test]
#[ignore = "tests the tests"]
fn the_reference_is_one_cluster() {
    process::suite("cluster/interop.mjs", &["--reference"], &[]);
    process::suite("cluster/admin.mjs", &["--reference"], &[]);
    process::suite("cluster/faulty.mjs", &["--reference"], &[]);
}

/// Each test that the reference does not pass has to fail there.
#[test]
#[ignore = "tests the tests"]
fn the_reference_differs_as_named() {
    process::suite("cluster/faulty.mjs", &["--reference", "--differences"], &[]);
}

fn print_figures(report: &str) {
    for line in report.lines().filter(|line| line.starts_with("# ")) {
        println!("{line}");
    }
}
