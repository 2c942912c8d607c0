//! A chat in the browser, for the server of the example `chat` of `enginewire-tokio`. `README.md` of this crate says how to
//! see it.
//!
//! `page.rs` is the page, this file the client. Events of the server and of the page come in turns, in one task.

mod page;

use std::{collections::BTreeSet, rc::Rc, time::Duration};

use enginewire_browser::socketio::{self, ClientError, ClientRef, ClientSocket, Update};
use serde::{Deserialize, Serialize};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::spawn_local;

use self::page::Page;

/// The events of a client. The name of a variant is the name of the event, its fields are the arguments.
#[derive(Serialize)]
enum FromClient<'a> {
    #[serde(rename = "add user")]
    AddUser(&'a str),
    #[serde(rename = "new message")]
    NewMessage(&'a str),
    #[serde(rename = "typing")]
    Typing,
    #[serde(rename = "stop typing")]
    StopTyping,
}

/// The events for clients.
#[derive(Deserialize)]
#[serde(rename_all_fields = "camelCase")]
enum ToClient {
    #[serde(rename = "login")]
    Login { num_users: usize },
    #[serde(rename = "user joined")]
    UserJoined { username: String, num_users: usize },
    #[serde(rename = "user left")]
    UserLeft { username: String, num_users: usize },
    #[serde(rename = "new message")]
    NewMessage { username: String, message: String },
    #[serde(rename = "typing")]
    Typing { username: String },
    #[serde(rename = "stop typing")]
    StopTyping { username: String },
}

/// Runs when the page has loaded the module.
#[wasm_bindgen(start)]
pub fn start() {
    spawn_local(async {
        let Some(page) = Page::find() else { return };
        let page = Rc::new(page);
        if let Err(error) = chat(&page).await {
            page.set_status("offline", &error.to_string());
        }
    });
}

async fn chat(page: &Rc<Page>) -> Result<(), ClientError> {
    // The server that the page came from. It is tried until it is there.
    let client = socketio::ClientBuilder::new("/").close_on_pagehide(true).build()?;
    let socket = client.open()?;
    listen(page, socket.handle());
    receive(page, socket).await;
    Ok(())
}

/// Shows what comes from the server.
async fn receive(page: &Page, mut socket: ClientSocket) {
    let mut typists = BTreeSet::new();
    while let Some(update) = socket.next().await {
        match update {
            Update::Connected { .. } => {
                page.set_status("online", "connected");
                // After a reconnection the server knows nothing of us.
                if let Some(name) = page.name() {
                    let _ = socket.emit_event(&FromClient::AddUser(&name)).await;
                }
            }
            Update::Disconnected { .. } => {
                page.set_status("offline", "disconnected, trying again");
                typists.clear();
            }
            Update::Failed(error) => page.set_status("offline", &error.to_string()),
            Update::Event(event) => match event.parse() {
                Ok(event) => show(page, &mut typists, event),
                // Of a server of another version.
                Err(_) => continue,
            },
            _ => {}
        }
        page.show_typists(&typists);
    }
}

fn show(page: &Page, typists: &mut BTreeSet<String>, event: ToClient) {
    match event {
        ToClient::Login { num_users } => page.show(&people(num_users), None),
        ToClient::UserJoined { username, num_users } => {
            page.show(&format!("{username} has joined, {}", people(num_users)), None);
        }
        ToClient::UserLeft { username, num_users } => {
            page.show(&format!("{username} has left, {}", people(num_users)), None);
            typists.remove(&username);
        }
        ToClient::NewMessage { username, message } => {
            page.show(&message, Some(&username));
            typists.remove(&username);
        }
        ToClient::Typing { username } => drop(typists.insert(username)),
        ToClient::StopTyping { username } => drop(typists.remove(&username)),
    }
}

/// Sends what is done on the page.
fn listen(page: &Rc<Page>, socket: ClientRef) {
    let (said, typed) = (Rc::clone(page), Rc::clone(page));
    let typist = socket.clone();
    page.on_submit(move |text| match said.name() {
        None => {
            said.join(&text);
            send(&socket, &FromClient::AddUser(&text));
        }
        Some(name) => {
            if said.stop_typing() {
                send(&socket, &FromClient::StopTyping);
            }
            said.show(&text, Some(&name));
            send(&socket, &FromClient::NewMessage(&text));
        }
    });
    page.on_input(move || {
        if typed.name().is_none() {
            return;
        }
        if typed.start_typing() {
            send(&typist, &FromClient::Typing);
        }
        let (page, socket) = (Rc::clone(&typed), typist.clone());
        typed.after(TYPING, move || {
            if page.stop_typing() {
                send(&socket, &FromClient::StopTyping);
            }
        });
    });
}

/// Sends an event, in the order of the calls. While there is no connection it waits.
fn send(socket: &ClientRef, event: &FromClient<'_>) {
    let sending = socket.emit_event(event);
    spawn_local(async {
        // The socket is never disconnected, and only that is an error.
        let _ = sending.await;
    });
}

fn people(n: usize) -> String {
    if n == 1 { "1 person is here".to_owned() } else { format!("{n} people are here") }
}

/// Time after which one who does not type any more has stopped.
const TYPING: Duration = Duration::from_secs(1);
