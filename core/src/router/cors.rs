//! Cross-origin resource sharing, as the reference's middleware does it.

use alloc::format;

use crate::{
    config::{Cors, CorsOrigin},
    exchange::{HeaderLines, HttpRequest, Response},
    router::push,
};

impl Cors {
    /// The answer to an `OPTIONS` request, before anything else about it is looked at.
    pub(super) fn preflight(&self, head: &dyn HttpRequest) -> Response {
        let mut response = Response::empty(204);
        let lines = &mut response.headers;
        push(lines, "Access-Control-Allow-Methods", &self.methods);
        match &self.allowed_headers {
            Some(allowed) => push(lines, "Access-Control-Allow-Headers", allowed),
            None => {
                push(lines, "Vary", "Access-Control-Request-Headers");
                if let Some(asked) = head.header("access-control-request-headers") {
                    let _ = lines.push("Access-Control-Allow-Headers", asked);
                }
            }
        }
        if let Some(seconds) = self.max_age {
            push(lines, "Access-Control-Max-Age", &format!("{seconds}"));
        }
        response
    }

    /// The fields that every answer carries, a refusal and a preflight's included.
    pub(super) fn headers(&self, head: &dyn HttpRequest, lines: &mut HeaderLines) {
        const ALLOW_ORIGIN: &str = "Access-Control-Allow-Origin";
        match &self.origin {
            CorsOrigin::Any => push(lines, ALLOW_ORIGIN, "*"),
            CorsOrigin::Exact(origin) => {
                push(lines, ALLOW_ORIGIN, origin);
                push(lines, "Vary", "Origin");
            }
            CorsOrigin::List(origins) => {
                let asks = head.header("origin").unwrap_or_default();
                if let Some(origin) = origins.iter().find(|origin| origin.as_bytes() == asks) {
                    push(lines, ALLOW_ORIGIN, origin);
                }
                push(lines, "Vary", "Origin");
            }
        }
        if self.credentials {
            push(lines, "Access-Control-Allow-Credentials", "true");
        }
        if let Some(exposed) = &self.exposed_headers {
            push(lines, "Access-Control-Expose-Headers", exposed);
        }
    }
}
