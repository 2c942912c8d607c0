//! The page of the chat.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
    time::Duration,
};

use wasm_bindgen::{JsCast, closure::Closure};
use web_sys::{
    Document, Element, Event, EventTarget, HtmlElement, HtmlFormElement, HtmlInputElement, Window,
};

/// Elements of the page, and the state of the user.
pub(crate) struct Page {
    window: Window,
    document: Document,
    status: HtmlElement,
    messages: Element,
    typing: Element,
    form: HtmlFormElement,
    input: HtmlInputElement,
    button: Element,
    name: RefCell<Option<String>>,
    is_typing: Cell<bool>,
    timer: Cell<Option<i32>>,
}

impl Page {
    /// Finds the elements. `None` if the page is another one.
    pub(crate) fn find() -> Option<Self> {
        let window = web_sys::window()?;
        let document = window.document()?;
        let find = |selector| document.query_selector(selector).ok().flatten();
        Some(Self {
            status: find("#status")?.dyn_into().ok()?,
            messages: find("#messages")?,
            typing: find("#typing")?,
            form: find("form")?.dyn_into().ok()?,
            input: find("#input")?.dyn_into().ok()?,
            button: find("#send")?,
            name: RefCell::default(),
            is_typing: Cell::new(false),
            timer: Cell::new(None),
            window,
            document,
        })
    }

    /// The name of the user, once it has one.
    pub(crate) fn name(&self) -> Option<String> {
        self.name.borrow().clone()
    }

    /// Gives the user a name.
    pub(crate) fn join(&self, name: &str) {
        *self.name.borrow_mut() = Some(name.to_owned());
        self.button.set_text_content(Some("Send"));
        self.input.set_placeholder("Say something");
    }

    pub(crate) fn set_status(&self, state: &str, text: &str) {
        let _ = self.status.set_attribute("data-state", state);
        self.status.set_text_content(Some(text));
    }

    /// Shows a message, or a note if it is from nobody.
    pub(crate) fn show(&self, text: &str, from: Option<&str>) {
        let Ok(line) = self.document.create_element("li") else { return };
        match from.and_then(|from| Some((from, self.document.create_element("b").ok()?))) {
            Some((from, name)) => {
                name.set_text_content(Some(from));
                let _ = line.append_child(&name);
            }
            None => line.set_class_name("note"),
        }
        let _ = line.append_child(&self.document.create_text_node(text));
        let _ = self.messages.append_child(&line);
        self.messages.set_scroll_top(self.messages.scroll_height());
    }

    pub(crate) fn show_typists(&self, typists: &BTreeSet<String>) {
        let names: Vec<_> = typists.iter().map(String::as_str).collect();
        let text = match &*names {
            [] => String::new(),
            [name] => format!("{name} is typing"),
            names => format!("{} are typing", names.join(", ")),
        };
        self.typing.set_text_content(Some(&text));
    }

    /// Notes that the user types. Returns whether it did not before.
    pub(crate) fn start_typing(&self) -> bool {
        !self.is_typing.replace(true)
    }

    /// Notes that the user does not type any more. Returns whether it did.
    pub(crate) fn stop_typing(&self) -> bool {
        self.is_typing.replace(false)
    }

    /// Calls `submit` with each text that the user enters, for as long as there is the page.
    pub(crate) fn on_submit(&self, submit: impl Fn(String) + 'static) {
        let input = self.input.clone();
        on(&self.form, "submit", move |event| {
            event.prevent_default();
            let text = input.value().trim().to_owned();
            input.set_value("");
            if !text.is_empty() {
                submit(text);
            }
        });
    }

    /// Calls `change` whenever the user types.
    pub(crate) fn on_input(&self, change: impl Fn() + 'static) {
        on(&self.input, "input", move |_| change());
    }

    /// Calls `then` after a while, in place of what was to be called before.
    pub(crate) fn after(&self, time: Duration, then: impl FnOnce() + 'static) {
        if let Some(timer) = self.timer.take() {
            self.window.clear_timeout_with_handle(timer);
        }
        let callback = Closure::once_into_js(then);
        let millis = i32::try_from(time.as_millis()).unwrap_or(i32::MAX);
        let timer = self.window.set_timeout_with_callback_and_timeout_and_arguments_0(
            callback.unchecked_ref(),
            millis,
        );
        self.timer.set(timer.ok());
    }
}

fn on(target: &EventTarget, name: &str, listener: impl Fn(Event) + 'static) {
    let listener = Closure::<dyn Fn(Event)>::new(listener).into_js_value();
    let _ = target.add_event_listener_with_callback(name, listener.unchecked_ref());
}
