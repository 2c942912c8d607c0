//! The polling exchanges answered without a thought: no session, no echo, and a GET never waits.

use std::convert::Infallible;
use std::io;

use ::hyper::body::{Bytes, Incoming};
use ::hyper::header::{CONTENT_TYPE, HeaderValue};
use ::hyper::server::conn::http1;
use ::hyper::service::service_fn;
use ::hyper::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;

use super::{Ready, accept};
use crate::loads::polling::FIXED_ECHO;

const OPEN: &str = r#"0{"sid":"the-only-session","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#;

pub(super) async fn serve(ready: Ready) -> io::Result<()> {
    accept(ready, |stream| {
        http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer))
    })
    .await
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let known = request.uri().query().is_some_and(|query| query.contains("sid="));
    let body = if request.method() == Method::POST {
        // A body cut short is the end of its connection, which the load generator would notice.
        let _ = request.into_body().collect().await;
        "ok"
    } else if known {
        FIXED_ECHO
    } else {
        OPEN
    };
    let mut response = Response::new(Full::new(Bytes::from_static(body.as_bytes())));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=UTF-8"));
    Ok(response)
}
