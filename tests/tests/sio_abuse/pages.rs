//! Pages of the admin UI that stop reading.

use enginewire_driver::{
    Limits,
    socketio::{Io, admin::Admin},
};
use enginewire_tests::client::{Client, until};
use serde_json::Value as Json;

use crate::{Abused, Host, kept, texts_until_closed};

on_every_runtime!(page_that_stops_reading_costs_its_queue_and_is_disconnected);

/// Length of the text of an event.
const TEXT: usize = 4096;

/// More events than all queues on the way to a page have room for. Each is told twice: it comes, and goes back.
const EVENTS: usize = (64 << 20) / TEXT;

/// Memory that is held: changes that wait to be told, what waits for the page, and one message each way.
fn bound() -> usize {
    let waiting = 8 << 20;
    waiting + 2 * Limits::default().max_queued + kept(2)
}

fn page_that_stops_reading_costs_its_queue_and_is_disconnected<R: Host>() {
    let io = Io::builder().admin(Admin::without_auth()).build();
    let mut abused = Abused::start::<R>(io, |builder| builder);
    let mut page = Client::open_websocket(abused.server.local_addr());
    page.send("40/admin,");
    assert!(page.text().starts_with(r#"40/admin,{"sid":"#));
    let io = abused.io.clone();
    let pages = || io.find("/admin").unwrap().len();
    assert_eq!(pages(), 1);

    let text = "x".repeat(TEXT);
    let mut said = 0;
    while pages() > 0 {
        assert!(said < EVENTS, "a page that reads nothing is still there");
        let event = format!(r#"42["said",{said},"{text}"]"#);
        abused.witness.send(&event);
        assert_eq!(abused.witness.text(), event);
        said += 1;
    }
    abused.still_serves();
    abused.heap.assert_peak(bound());
    // The events that it was told, which begin with the first and leave out none.
    let texts = texts_until_closed(&mut page);
    let events = texts.iter().filter_map(|text| text.strip_prefix("42/admin,"));
    let events = events.map(|event| serde_json::from_str::<Vec<Json>>(event).unwrap());
    let received = events.filter(|event| event[0] == "event_received");
    let numbers: Vec<_> = received.map(|event| event[3][1].as_u64().unwrap()).collect();
    assert!(!numbers.is_empty() && numbers.len() < said, "{} of {said}", numbers.len());
    assert!(numbers.iter().copied().eq(0..numbers.len() as u64), "{numbers:?}");
    drop(page);
    until("the end of its session", || abused.server.sessions() == 1);
    abused.end(2);
}
