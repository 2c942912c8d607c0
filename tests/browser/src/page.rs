//! Functions that the test gives to the page.

use js_sys::Promise;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

use crate::{Failed, Outcome};

#[wasm_bindgen]
extern "C" {
    /// Does something outside of the page, and waits for it.
    #[wasm_bindgen(js_name = outside)]
    fn outside_page(what: &str, argument: &str) -> Promise;
}

/// Has the test do something outside of the page: `stop` and `start` the server, `say` what another client broadcasts,
/// go `offline` and `online`, note the `id` of a socket.
pub(crate) async fn outside(what: &str, argument: &str) -> Outcome {
    let done = JsFuture::from(outside_page(what, argument)).await;
    done.map(drop).map_err(|error| Failed(format!("{what}: {error:?}")))
}
