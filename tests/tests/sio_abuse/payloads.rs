//! Attachments that never come, and JSON without bottom.

use enginewire_driver::socketio::Io;
use enginewire_tests::client::Client;

use crate::{
    Abused, BINARY, Host, SOCKET, connect, connect_all, kept, texts_until_closed, try_write,
};

on_every_runtime!(
    attachments_that_never_come_are_held_up_to_the_limit,
    attachments_beyond_the_limit_close_their_client,
    deep_json_is_passed_on_and_decoded_without_recursion,
);

const PLACEHOLDER: &str = r#"{"_placeholder":true,"num":0}"#;

/// Limit on a packet with its attachments.
const MAX_PACKET: usize = 1_000_000;

fn attachments_that_never_come_are_held_up_to_the_limit<R: Host>() {
    const CLIENTS: usize = 16;
    const ATTACHMENT: usize = 99_000;
    let io = Io::builder().max_packet(MAX_PACKET).build();
    let mut abused = Abused::start::<R>(io, |builder| builder);
    let mut clients = connect_all(&abused.server, CLIENTS);
    let attachment = Client::frame_of(BINARY, &[7; ATTACHMENT]);
    // Nine of ten.
    let announced = Client::frame(&format!(r#"4510-["say",{PLACEHOLDER}]"#));
    for client in &mut clients {
        client.write(&announced);
    }
    for _ in 0..9 {
        for client in &mut clients {
            client.write(&attachment);
        }
        abused.still_serves();
    }
    // A message more at most, on its way.
    abused.heap.assert_peak(CLIENTS * (SOCKET + MAX_PACKET + ATTACHMENT) + kept(CLIENTS));
    // The last of one comes after all.
    clients[0].write(&attachment);
    assert_eq!(clients[0].text(), format!(r#"4510-["say",{PLACEHOLDER}]"#));
    for _ in 0..10 {
        assert_eq!(clients[0].next_frame(), (2, vec![7; ATTACHMENT]));
    }
    drop((clients, attachment));
    abused.end(CLIENTS);
}

fn attachments_beyond_the_limit_close_their_client<R: Host>() {
    const ATTACHMENT: usize = 150_000;
    let io = Io::builder().max_packet(MAX_PACKET).build();
    let mut abused = Abused::start::<R>(io, |builder| builder);
    let attachment = Client::frame_of(BINARY, &[7; ATTACHMENT]);
    for _ in 0..10 {
        let mut client = connect(&abused.server);
        client.send(&format!(r#"4510-["say",{PLACEHOLDER}]"#));
        for _ in 0..10 {
            try_write(&client, &attachment);
        }
        assert!(texts_until_closed(&mut client).is_empty());
        abused.still_serves();
    }
    // What one has sent is gone before the next, but for one that ends meanwhile.
    abused.heap.assert_peak(2 * (SOCKET + MAX_PACKET + ATTACHMENT) + kept(2));
    drop(attachment);
    abused.end(2);
}

fn deep_json_is_passed_on_and_decoded_without_recursion<R: Host>() {
    const DEPTH: usize = 40_000;
    let mut abused = Abused::start::<R>(Io::new(), |builder| builder);
    let mut client = connect(&abused.server);
    for (open, inside, close) in
        [("[", "", "]"), (r#"{"":"#, "1", "}"), ("[0,", "0", "]"), ("[", PLACEHOLDER, "]")]
    {
        let json = format!("{}{inside}{}", open.repeat(DEPTH), close.repeat(DEPTH));
        let attached = if inside == PLACEHOLDER { "51-" } else { "2" };
        let send = |client: &mut Client, event: &str| {
            client.send(event);
            if attached == "51-" {
                client.write(Client::frame_of(BINARY, b"x"));
            }
        };
        // It goes on as it came.
        let event = format!(r#"4{attached}["say",{json}]"#);
        send(&mut client, &event);
        assert!(client.text() == event);
        if attached == "51-" {
            assert_eq!(client.next_frame(), (2, b"x".to_vec()));
        }
        abused.still_serves();
        // An application that decodes it is told that it is too deep.
        send(&mut client, &format!(r#"4{attached}1["decode",{json}]"#));
        assert_eq!(client.text(), "431[false]");
        // One that has no end, or two, is a fault of its client.
        for bad in [&json[..json.len() - 1], &format!("{json}]")] {
            let mut client = connect(&abused.server);
            client.send(&format!(r#"42["say",{bad}]"#));
            assert!(texts_until_closed(&mut client).is_empty());
            abused.still_serves();
        }
    }
    // The longest of the texts, some times at both ends of a connection and on the way.
    let text = DEPTH * r#"{"":}"#.len();
    abused.heap.assert_peak(12 * text + 2 * SOCKET + kept(2));
    drop(client);
    abused.end(2);
}
