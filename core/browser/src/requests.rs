//! Requests of long-polling, made with `fetch`.

use std::io;

use bytes::Bytes;
use enginewire::{ExchangeId, Request, TransportFault, wire::http::ResponseFault};
use enginewire_socketio::client_hub::SessionNumber;
use js_sys::{Reflect, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{
    AbortController, Headers, ReadableStreamDefaultReader, RequestCredentials, RequestInit,
    Response,
};

use crate::{
    globals::fetch,
    inbox::{Inbox, Input, ResponseHead},
};

/// Requests in progress, each of which can be aborted.
#[derive(Default)]
pub(crate) struct Requests(Vec<(SessionNumber, ExchangeId, AbortController)>);

/// Options of all requests of a client.
pub(crate) struct Options {
    /// Scheme, host and port of the server.
    pub(crate) origin: String,
    pub(crate) with_credentials: bool,
    /// Limit on the body of a response.
    pub(crate) max_body: usize,
}

/// A request that has failed: the fault, and an error that says what to do.
struct Failure(TransportFault, io::Error);

impl Requests {
    /// Sends a request. The outcome goes to `inbox`, unless it is aborted before.
    ///
    /// With `outlives_page` the browser sends it even if the page is closed meanwhile.
    ///
    /// # Errors
    ///
    /// The browser refuses the request.
    pub(crate) fn send(
        &mut self,
        (session, on): (SessionNumber, ExchangeId),
        request: &Request,
        options: &Options,
        outlives_page: bool,
        inbox: &Inbox,
    ) -> io::Result<()> {
        let prepared = AbortController::new()
            .and_then(|abort| Ok((prepare(request, options, outlives_page, &abort)?, abort)));
        let (request, abort) = prepared.map_err(|error| io::Error::other(text_of(&error)))?;
        self.0.push((session, on, abort));
        let (inbox, max_body) = (inbox.clone(), options.max_body);
        spawn_local(async move {
            let progress = |bytes| inbox.push(Input::Progress(session, bytes));
            inbox.push(match exchange(&request, max_body, progress).await {
                Ok((head, body)) => Input::Response(session, on, head, body),
                Err(Failure(fault, error)) => Input::Lost(session, on, fault, error),
            });
        });
        Ok(())
    }

    /// Forgets a request that has ended. Returns false if it was aborted before.
    pub(crate) fn end(&mut self, session: SessionNumber, on: ExchangeId) -> bool {
        let at = self.0.iter().position(|&(of, id, _)| (of, id) == (session, on));
        at.map(|at| self.0.swap_remove(at)).is_some()
    }

    pub(crate) fn abort(&mut self, session: SessionNumber, on: ExchangeId) {
        if let Some(at) = self.0.iter().position(|&(of, id, _)| (of, id) == (session, on)) {
            self.0.swap_remove(at).2.abort();
        }
    }
}

impl Drop for Requests {
    fn drop(&mut self) {
        self.0.iter().for_each(|(_, _, abort)| abort.abort());
    }
}

/// Makes a request of the browser's.
fn prepare(
    request: &Request,
    options: &Options,
    outlives_page: bool,
    abort: &AbortController,
) -> Result<web_sys::Request, JsValue> {
    let headers = Headers::new()?;
    for (name, value) in request.headers.iter() {
        // Those that are the browser's own are ignored.
        headers.append(&String::from_utf8_lossy(name), &String::from_utf8_lossy(value))?;
    }
    let init = RequestInit::new();
    init.set_method(request.method);
    init.set_credentials(match options.with_credentials {
        true => RequestCredentials::Include,
        false => RequestCredentials::SameOrigin,
    });
    init.set_signal(Some(&abort.signal()));
    if let Some(content_type) = request.content_type {
        headers.append("content-type", content_type)?;
        init.set_body(&Uint8Array::from(&*request.body));
    }
    if outlives_page && request.body.len() <= MAX_KEEPALIVE {
        Reflect::set(&init, &"keepalive".into(), &JsValue::TRUE)?;
    }
    init.set_headers(&headers);
    let url = [&*options.origin, &*request.target].concat();
    web_sys::Request::new_with_str_and_init(&url, &init)
}

/// Sends a request, and reads the response to its end.
async fn exchange(
    request: &web_sys::Request,
    max_body: usize,
    progress: impl Fn(usize),
) -> Result<(ResponseHead, Bytes), Failure> {
    let unreachable = |error| {
        let text = format!(
            "the browser says {:?}, and more in its console; besides, a server of another origin \
             must allow that of the page (CORS)",
            text_of(&error)
        );
        Failure(TransportFault::Unreachable, io::Error::other(text))
    };
    let lost = |error| Failure(TransportFault::ConnectionLost, io::Error::other(text_of(&error)));
    let response = JsFuture::from(fetch(request)).await.map_err(unreachable)?;
    let response: Response = response.unchecked_into();
    let content_type = response.headers().get("content-type").ok().flatten();
    let head = ResponseHead { status: response.status(), content_type };
    let mut body = Vec::new();
    if let Some(stream) = response.body() {
        let reader = ReadableStreamDefaultReader::new(&stream).map_err(lost)?;
        while let Some(chunk) = next_chunk(&reader).await.map_err(lost)? {
            let (before, length) = (body.len(), chunk.length() as usize);
            if length > max_body - before {
                // The outcome of that is of no interest.
                drop(reader.cancel());
                let fault = ResponseFault::BodyTooLarge { max: max_body };
                let error = io::Error::other("the response is larger than the limit `max_payload`");
                return Err(Failure(fault.into(), error));
            }
            body.resize(before + length, 0);
            chunk.copy_to(&mut body[before..]);
            progress(length);
        }
    }
    Ok((head, body.into()))
}

/// Reads the next bytes of a body. `None` at its end.
async fn next_chunk(reader: &ReadableStreamDefaultReader) -> Result<Option<Uint8Array>, JsValue> {
    let result = JsFuture::from(reader.read()).await?;
    let is_done = Reflect::get(&result, &"done".into())?.is_truthy();
    let chunk = Reflect::get(&result, &"value".into())?;
    Ok((!is_done).then(|| chunk.unchecked_into()))
}

/// Returns the text of an exception.
pub(crate) fn text_of(error: &JsValue) -> String {
    let message = Reflect::get(error, &"message".into()).ok();
    message.and_then(|message| message.as_string()).unwrap_or_else(|| format!("{error:?}"))
}

/// Largest body of a request that outlives its page (WHATWG Fetch, "inflight keepalive bytes").
const MAX_KEEPALIVE: usize = 64 * 1024;
