//! Moves in words, for whoever has to understand a counter-example.

use enginewire::ServerSession;

use crate::{
    network::{Connection, Down, Up},
    scenario::{Move, Side},
    world::{World, message},
};

impl World {
    /// The move in words.
    pub(crate) fn in_words(&self, step: Move) -> String {
        let what = |place: usize| {
            let Connection { name, kind, .. } = &self.connections[place];
            format!("{kind:?} {name}")
        };
        match step {
            Move::Send(side) => format!("{side} sends {:?}", message(side, self.app(side).sent)),
            Move::Close(side) => format!("{side} closes"),
            Move::Arrive(Side::Server, place) => {
                let item = self.connections[place].to_server.front();
                format!("at the server arrives on {}: {}", what(place), up_in_words(item))
            }
            Move::Arrive(Side::Client, place) => {
                let item = self.connections[place].to_client.front();
                format!("at the client arrives on {}: {}", what(place), down_in_words(item))
            }
            Move::Write(side, place) => format!("{side} writes a frame to {}", what(place)),
            Move::Cut(place) => format!("the network breaks {}", what(place)),
            Move::Refuse(place) => format!("the network refuses {}", what(place)),
            Move::Tick(Side::Client) => {
                format!("the client's clock moves on: {:?}", self.client.poll_timeout())
            }
            Move::Tick(Side::Server) => {
                let next = self.server.as_ref().and_then(ServerSession::poll_timeout);
                format!("the server's clock moves on: {next:?}")
            }
        }
    }
}

fn up_in_words(item: Option<&Up>) -> String {
    match item {
        Some(Up::Request(request)) => {
            format!("{} {:?}", request.method, String::from_utf8_lossy(&request.body))
        }
        item => item.map_or_else(String::new, |item| format!("{item:?}")),
    }
}

fn down_in_words(item: Option<&Down>) -> String {
    match item {
        Some(Down::Answer(response)) => {
            format!("{} {:?}", response.status, String::from_utf8_lossy(&response.body))
        }
        item => item.map_or_else(String::new, |item| format!("{item:?}")),
    }
}
