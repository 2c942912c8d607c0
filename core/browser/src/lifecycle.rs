//! Events of the page or worker, of the network and of leaving.

use js_sys::Reflect;
use wasm_bindgen::{JsCast, JsValue, closure::Closure};

use crate::{
    globals,
    inbox::{Inbox, Input},
};

/// Listeners of the global scope, which are removed when this is dropped.
pub(crate) struct Listeners([Listener; 3]);

/// An event, and what it calls.
type Listener = (&'static str, Closure<dyn FnMut(JsValue)>);

impl Listeners {
    /// Has `inbox` told of the network, and `on_pagehide` called when the page is left for good.
    pub(crate) fn new(inbox: &Inbox, mut on_pagehide: impl FnMut() + 'static) -> Self {
        let (offline, online) = (inbox.clone(), inbox.clone());
        let listeners = Self([
            ("offline", Closure::new(move |_| offline.push(Input::Offline))),
            ("online", Closure::new(move |_| online.push(Input::Online))),
            (
                "pagehide",
                Closure::new(move |event: JsValue| {
                    // A page that the browser keeps may come back, and go on.
                    let is_kept = Reflect::get(&event, &"persisted".into());
                    if !is_kept.is_ok_and(|is_kept| is_kept.is_truthy()) {
                        on_pagehide();
                    }
                }),
            ),
        ]);
        let target = globals::events();
        for (name, listener) in &listeners.0 {
            // Every global scope is a target of events.
            let function = listener.as_ref().unchecked_ref();
            drop(target.add_event_listener_with_callback(name, function));
        }
        listeners
    }
}

impl Drop for Listeners {
    fn drop(&mut self) {
        let target = globals::events();
        for (name, listener) in &self.0 {
            let function = listener.as_ref().unchecked_ref();
            drop(target.remove_event_listener_with_callback(name, function));
        }
    }
}
