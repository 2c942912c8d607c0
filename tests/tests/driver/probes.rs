//! Upgrades that come to nothing. Polling is the transport until a probe has succeeded, and neither
//! the session nor a message pays for one that has not.

use std::time::Duration;

use enginewire::TransportKind;

use crate::{
    Host, accept,
    client::{Client, until},
    serve, soon,
};

on_every_runtime!(
    a_probe_that_sends_garbage_costs_nothing,
    a_probe_that_breaks_the_framing_costs_nothing,
    a_probe_that_never_says_anything_costs_nothing,
    a_probe_that_stalls_before_its_upgrade_costs_nothing,
    a_probe_that_is_cut_costs_nothing,
    a_probe_that_is_cut_in_the_middle_of_a_frame_costs_nothing,
);

fn a_probe_that_sends_garbage_costs_nothing<R: Host>() {
    survive::<R>(LONG, |mut probe| {
        probe.send("garbage");
        probe.rest();
    });
}

fn a_probe_that_breaks_the_framing_costs_nothing<R: Host>() {
    survive::<R>(LONG, |mut probe| {
        begin(&mut probe);
        // Of a client, but not masked.
        probe.write([0x81, 1, b'5']);
        probe.rest();
    });
}

fn a_probe_that_never_says_anything_costs_nothing<R: Host>() {
    survive::<R>(SHORT, |probe| {
        probe.rest();
    });
}

fn a_probe_that_stalls_before_its_upgrade_costs_nothing<R: Host>() {
    survive::<R>(SHORT, |mut probe| {
        begin(&mut probe);
        probe.rest();
    });
}

fn a_probe_that_is_cut_costs_nothing<R: Host>() {
    survive::<R>(LONG, |mut probe| begin(&mut probe));
}

fn a_probe_that_is_cut_in_the_middle_of_a_frame_costs_nothing<R: Host>() {
    survive::<R>(LONG, |mut probe| {
        begin(&mut probe);
        probe.write(&Client::frame("5")[..3]);
    });
}

/// Says what a client says first.
fn begin(probe: &mut Client) {
    probe.send("2probe");
    assert_eq!(probe.text(), "3probe");
}

/// Time for an upgrade that the server is to give up. The one behind it has as long.
const SHORT: Duration = Duration::from_secs(3);

/// Time for an upgrade that ends by itself.
const LONG: Duration = Duration::from_secs(60);

/// Lets a probe fail by `fail`, which may wait until the server has cut it off, while messages are on
/// their way in both directions. Polling delivers them all, and the next probe succeeds.
fn survive<R: Host>(timeout: Duration, fail: impl FnOnce(Client)) {
    let linger = Duration::from_millis(200);
    let server = serve::<R>(|builder| builder.upgrade_timeout(timeout).linger(linger));
    let address = server.local_addr();
    let mut polling = Client::connect(address);
    let sid = polling.open_polling();
    let target = format!("/engine.io/?EIO=4&transport=polling&sid={sid}");
    let mut socket = accept(&server);
    let open_probe = || {
        let mut probe = Client::connect(address);
        probe.write(Client::upgrade(&format!("&sid={sid}")));
        assert_eq!(probe.answer().status, 101);
        probe
    };

    socket.try_send("before").unwrap();
    let probe = open_probe();
    socket.try_send("during").unwrap();
    polling.request("POST", &target, "4up");
    assert_eq!(polling.answer().body, "ok");
    fail(probe);
    until("the end of the probe", || server.connections() == 1);
    socket.try_send("after").unwrap();
    assert_eq!(polling.get(&target).body, "4before\u{1e}4during\u{1e}4after");
    assert_eq!(soon("a message", socket.recv()), Some("up".into()));
    assert_eq!(socket.transport(), TransportKind::Polling);

    let mut probe = open_probe();
    begin(&mut probe);
    probe.send("5");
    probe.send("4over");
    assert_eq!(soon("a message", socket.recv()), Some("over".into()));
    assert_eq!(socket.transport(), TransportKind::WebSocket);
    socket.try_send("back").unwrap();
    assert_eq!(probe.text(), "4back");
}
