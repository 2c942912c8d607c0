//! What a driver does with what comes from the network.

use enginewire::{
    Admission, Body, CarrierId, ExchangeId, Request, Route, TransportFault, WebSocketEnd,
    WebSocketId,
};

use crate::{
    network::{Answered, Connection, Down, Kind, Received, Up},
    scenario::Sabotage,
    world::World,
};

impl World {
    pub(crate) fn arrive_at_server(&mut self, place: usize) {
        let now = self.server_time;
        let connection = &mut self.connections[place];
        let nth = usize::from(
            self.scenario.sabotage == Some(Sabotage::Overtaking)
                && matches!(connection.to_server.get(1), Some(Up::Frame(_)))
                && matches!(connection.to_server.front(), Some(Up::Frame(_))),
        );
        let Some(item) = connection.to_server.remove(nth) else { return };
        let (name, kind) = (connection.name, connection.kind);
        match item {
            Up::Request(request) => {
                connection.accepted = true;
                return self.serve(place, request);
            }
            Up::Body(body) => {
                if let Some(server) = &mut self.server {
                    server.handle_body(now, ExchangeId(name), Body::Complete(body));
                }
                return;
            }
            Up::Frame(message) => {
                if let Some(server) = &mut self.server {
                    server.handle_websocket_message(now, WebSocketId(name), message);
                }
                return;
            }
            Up::End | Up::Lost => {}
        }
        let ended = matches!(item, Up::End);
        connection.leave_server();
        let Some(server) = &mut self.server else { return };
        match kind {
            Kind::Socket => {
                let end = if ended { WebSocketEnd::Closed } else { WebSocketEnd::Failed };
                server.handle_websocket_lost(now, WebSocketId(name), end);
            }
            Kind::Get | Kind::Post => server.handle_exchange_lost(now, ExchangeId(name)),
        }
    }

    fn serve(&mut self, place: usize, request: Request) {
        let now = self.server_time;
        let Connection { name, kind, .. } = self.connections[place];
        let upgrade = kind == Kind::Socket;
        let route = self.router.route(&Received { request: &request, upgrade });
        let result = match (route, &mut self.server) {
            (Ok(Route::Open(opening)), None) => {
                let mut entropy = |buffer: &mut [u8]| buffer.fill(1);
                let first = CarrierId::Exchange(ExchangeId(name));
                let opened = self.router.open(now, &mut entropy, opening, first);
                opened.map(|session| self.server = Some(session))
            }
            (Ok(Route::Session(known)), Some(server)) => {
                server.admit(&known).map(|admission| match admission {
                    Admission::Poll => server.handle_poll(now, ExchangeId(name)),
                    Admission::Post { binary } => {
                        server.handle_post(now, ExchangeId(name), binary);
                        if self.scenario.fine {
                            self.connections[place].to_server.push_front(Up::Body(request.body));
                        } else {
                            let body = Body::Complete(request.body);
                            server.handle_body(now, ExchangeId(name), body);
                        }
                    }
                    Admission::Upgrade { base64 } => {
                        server.handle_websocket_open(now, WebSocketId(name), base64);
                        self.connections[place].push_down(Down::Open);
                    }
                })
            }
            (Err(reject), _) => Err(reject),
            (Ok(_), _) => return self.accuse(String::from("the client opens a second session")),
        };
        let Err(reject) = result else { return };
        let connection = &mut self.connections[place];
        connection.push_down(match upgrade {
            true => Down::Refused(reject.status()),
            false => Down::Answer(reject.response()),
        });
        connection.leave_server();
    }

    pub(crate) fn arrive_at_client(&mut self, place: usize) {
        let now = self.client_time;
        let connection = &mut self.connections[place];
        let Some(item) = connection.to_client.pop_front() else { return };
        let (name, kind, opened) = (connection.name, connection.kind, connection.opened);
        let (exchange, socket) = (ExchangeId(name), WebSocketId(name));
        match item {
            Down::Open => {
                connection.opened = true;
                return self.client.handle_websocket_open(now, socket, None);
            }
            Down::Frame(message) => {
                return self.client.handle_websocket_message(now, socket, message);
            }
            Down::Answer(_) | Down::Refused(_) | Down::End | Down::Lost => {}
        }
        connection.left_by_client = true;
        match item {
            Down::Answer(mut response) => {
                if self.scenario.sabotage == Some(Sabotage::Cache) && kind == Kind::Get {
                    // Not the handshake, without which there is nothing to be seen.
                    let cached = self.cached.take();
                    if self.client.handshake().is_some() {
                        self.cached = Some(response.clone());
                    }
                    response = cached.unwrap_or(response);
                }
                let body = response.body.clone();
                self.client.handle_response(now, exchange, &Answered(&response), body);
            }
            Down::Refused(status) => {
                let fault = TransportFault::Status(status);
                self.client.handle_websocket_refused(now, socket, fault);
            }
            Down::End => self.client.handle_websocket_lost(now, socket, WebSocketEnd::Closed),
            Down::Lost if kind != Kind::Socket => {
                let fault = TransportFault::ConnectionLost;
                self.client.handle_exchange_lost(now, exchange, fault);
            }
            Down::Lost if opened => {
                self.client.handle_websocket_lost(now, socket, WebSocketEnd::Failed);
            }
            Down::Lost => {
                let fault = TransportFault::ConnectionLost;
                self.client.handle_websocket_refused(now, socket, fault);
            }
            Down::Open | Down::Frame(_) => {}
        }
    }
}
