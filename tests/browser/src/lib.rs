//! What the tests of the client in the browser run there. `tests/js/sio/browser.mjs` opens the page, calls `run`, and
//! has the server.
//!
//! The servers are those of `tests/js/sio`: they do what events ask for. Elsewhere than in a browser there is nothing.

#![cfg(target_family = "wasm")]

mod ends;
mod events;
mod network;
mod page;

use std::fmt;

use enginewire_browser::{TransportKind, socketio::ClientBuilder};
use wasm_bindgen::prelude::*;

/// Error of a scenario: what went wrong, for a person to read.
#[derive(Debug)]
pub(crate) struct Failed(String);

impl<E: fmt::Display> From<E> for Failed {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

pub(crate) type Outcome<T = ()> = Result<T, Failed>;

/// Fails the scenario unless the values are equal.
macro_rules! check_eq {
    ($left:expr, $right:expr) => {{
        let (left, right) = (&$left, &$right);
        if *left != *right {
            let at = concat!(file!(), ":", line!());
            return Err(crate::Failed(format!("{at}: {left:?} is not {right:?}")));
        }
    }};
}
pub(crate) use check_eq;

/// Fails the scenario unless the condition holds. The rest says what is there instead.
macro_rules! check {
    ($condition:expr, $($instead:tt)+) => {
        if !$condition {
            let at = concat!(file!(), ":", line!());
            return Err(crate::Failed(format!("{at}: {}", format_args!($($instead)+))));
        }
    };
}
pub(crate) use check;

/// Server and transports of a scenario.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    url: String,
    transports: Vec<TransportKind>,
}

impl Setup {
    /// Starts to set up a client of a namespace.
    pub(crate) fn client(&self, namespace: &str) -> ClientBuilder {
        let url = format!("{}{namespace}", self.url);
        ClientBuilder::new(&url).transports(&*self.transports)
    }

    /// Returns the transport that a session comes to.
    pub(crate) fn last_transport(&self) -> Option<TransportKind> {
        self.transports.last().copied()
    }

    pub(crate) fn starts_with_polling(&self) -> bool {
        self.transports.first() == Some(&TransportKind::Polling)
    }

    pub(crate) const fn upgrades(&self) -> bool {
        self.transports.len() > 1
    }
}

/// Runs a scenario against the server at `url`. `transports` are `polling`, `websocket` or `upgrade`.
///
/// # Errors
///
/// What went wrong, as a text.
#[wasm_bindgen]
pub async fn run(scenario: String, url: String, transports: String) -> Result<(), JsValue> {
    let transports = match &*transports {
        "polling" => vec![TransportKind::Polling],
        "websocket" => vec![TransportKind::WebSocket],
        _ => vec![TransportKind::Polling, TransportKind::WebSocket],
    };
    let setup = Setup { url, transports };
    let outcome = match &*scenario {
        "events" => events::text_and_binary(&setup).await,
        "order" => events::order(&setup).await,
        "acknowledgements" => events::acknowledgements(&setup).await,
        "revision-3" => events::revision_3(&setup).await,
        "slow" => events::slow_application(&setup).await,
        "auth" => ends::auth(&setup).await,
        "refused" => ends::refused(&setup).await,
        "disconnect" => ends::disconnect(&setup).await,
        "disconnected" => ends::disconnected(&setup).await,
        "close" => ends::close(&setup).await,
        "restart" => network::restart(&setup).await,
        "volatile" => network::volatile(&setup).await,
        "recovery" => network::recovery(&setup).await,
        "path" => network::wrong_path(&setup).await,
        "unreachable" => network::unreachable(&setup).await,
        "cors" => network::cors(&setup).await,
        "credentials" => network::credentials(&setup).await,
        "leave" => network::leave(&setup, false).await,
        "leave-closing" => network::leave(&setup, true).await,
        unknown => Err(Failed(format!("there is no scenario {unknown}"))),
    };
    outcome.map_err(|Failed(why)| why.into())
}
