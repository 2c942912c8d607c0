//! The way of a connection to the server: straight, or by a proxy.

use alloc::{borrow::Cow, boxed::Box, format, sync::Arc};

use crate::{
    channel::ProxyFault,
    client::{ClientConfig, PROXY_AUTHORIZATION},
    exchange::{HeaderLines, Request},
    proxy::Proxy,
    url::Url,
    wire::{
        Input, Output,
        http::{self, ResponseFault, ResponseHead, Tunnel},
    },
};

/// How a connection reaches the server.
pub(super) enum Way {
    Direct {
        /// Other servers are reached by a proxy, for which the application may have a field with credentials.
        is_exception: bool,
    },
    /// To a proxy that takes requests with the whole URL, and sends them on.
    Forwarded(Box<Via>),
    /// By a tunnel of a proxy. Boxed, because most connections have none.
    Tunnel(Box<(Via, Stage)>),
}

/// Proxy of a connection.
pub(super) struct Via {
    proxy: Proxy,
    /// The field with credentials for it, if there are any.
    authorization: HeaderLines,
}

/// Stage of a tunnel.
pub(super) enum Stage {
    /// The proxy has been asked for it. The rest waits to be written.
    Opening(Tunnel, Output),
    /// It stands, and is to be encrypted before the rest is written. True once the event loop knows.
    Encrypting(Output, bool),
    /// It is a connection to the server.
    Open,
}

impl Way {
    /// The way to the server at `url`. A connection that `switches` becomes a WebSocket.
    ///
    /// Puts out the request for a tunnel, if there is to be one.
    pub(super) fn new(
        url: &Url,
        switches: bool,
        config: &ClientConfig,
        http: &Arc<http::ClientConfig>,
        output: &mut Output,
    ) -> Self {
        let proxies = &config.proxies;
        let Some(proxy) = proxies.select(url) else {
            let is_exception = proxies.http.is_some() || proxies.https.is_some();
            return Self::Direct { is_exception };
        };
        let authorization = config.proxy_authorization(proxy);
        let via = Via { proxy: proxy.clone(), authorization };
        if !switches && !url.is_secure() && !proxies.always_tunnel {
            return Self::Forwarded(Box::new(via));
        }
        let headers = config.proxy_headers(proxy);
        let tunnel = Tunnel::open(Arc::clone(http), url, &headers, output);
        Self::Tunnel(Box::new((via, Stage::Opening(tunnel, Output::new()))))
    }

    /// The stage of a tunnel, if it is one.
    const fn stage(&self) -> Option<&Stage> {
        match self {
            Self::Tunnel(tunnel) => Some(&tunnel.1),
            Self::Direct { .. } | Self::Forwarded(_) => None,
        }
    }

    /// Where to connect to, or what to encrypt for.
    pub(super) fn address<'a>(&'a self, server: &'a Arc<Url>) -> &'a Arc<Url> {
        match self {
            Self::Forwarded(via) => via.proxy.shared_url(),
            Self::Tunnel(tunnel) if self.is_opening() => tunnel.0.proxy.shared_url(),
            Self::Direct { .. } | Self::Tunnel(_) => server,
        }
    }

    /// Where the bytes for the server go: to `output`, unless they have to wait.
    pub(super) const fn output<'a>(&'a mut self, output: &'a mut Output) -> &'a mut Output {
        let Self::Tunnel(tunnel) = self else { return output };
        match &mut tunnel.1 {
            Stage::Opening(_, rest) | Stage::Encrypting(rest, _) => rest,
            Stage::Open => output,
        }
    }

    /// The request in the form that this way asks for.
    pub(super) fn request<'a>(&self, server: &Url, request: &'a Request) -> Cow<'a, Request> {
        let Self::Forwarded(via) = self else {
            let sends_all = matches!(self, Self::Direct { is_exception: false });
            if sends_all || request.headers.values(PROXY_AUTHORIZATION).next().is_none() {
                return Cow::Borrowed(request);
            }
            let headers = request.headers.without(&[PROXY_AUTHORIZATION]);
            return Cow::Owned(Request { headers, ..request.clone() });
        };
        let mut headers = request.headers.without(&[PROXY_AUTHORIZATION]);
        headers.extend(&via.authorization);
        let target = format!("http://{}{}", server.authority(), request.target);
        Cow::Owned(Request { target, headers, ..request.clone() })
    }

    /// Whether the server can be talked to: no tunnel has to be opened or encrypted first.
    pub(super) const fn is_open(&self) -> bool {
        matches!(self.stage(), None | Some(Stage::Open))
    }

    pub(super) const fn is_opening(&self) -> bool {
        matches!(self.stage(), Some(Stage::Opening(..)))
    }

    pub(super) const fn is_encrypting(&self) -> bool {
        matches!(self.stage(), Some(Stage::Encrypting(..)))
    }

    pub(super) const fn is_direct(&self) -> bool {
        matches!(self, Self::Direct { .. })
    }

    /// Whether the event loop should be told to encrypt the connection.
    pub(super) const fn wants_encryption(&self) -> bool {
        matches!(self.stage(), Some(Stage::Encrypting(_, false)))
    }

    /// Notes that the event loop knows it.
    pub(super) const fn announce_encryption(&mut self) {
        if let Self::Tunnel(tunnel) = self
            && let Stage::Encrypting(_, announced) = &mut tunnel.1
        {
            *announced = true;
        }
    }

    /// Takes what the proxy has responded, up to the end of a tunnel's opening.
    ///
    /// `is_written` tells that the proxy has been sent the whole request, and can have responded to it.
    pub(super) fn handle_bytes(
        &mut self,
        input: &mut Input<'_>,
        is_written: bool,
        encrypts: bool,
        output: &mut Output,
    ) -> Result<(), ProxyFault> {
        let Self::Tunnel(way) = self else { return Ok(()) };
        let (via, stage) = &mut **way;
        let Stage::Opening(tunnel, rest) = stage else {
            // The event loop does not read while it encrypts.
            input.take(input.len());
            return Ok(());
        };
        let Some(response) = tunnel.handle_bytes(input) else { return Ok(()) };
        let status = response?.status();
        if !matches!(status, 200..=299) {
            return Err(via.fault(status));
        }
        // Neither in HTTP nor in TLS does the server speak first.
        if !is_written || !input.is_empty() {
            return Err(ResponseFault::Unsolicited.into());
        }
        let rest = core::mem::take(rest);
        *stage = if encrypts {
            Stage::Encrypting(rest, false)
        } else {
            *output = rest;
            Stage::Open
        };
        Ok(())
    }

    /// Notes that the connection is encrypted.
    pub(super) fn encrypted(&mut self, output: &mut Output) {
        if self.is_encrypting()
            && let Self::Tunnel(tunnel) = self
            && let Stage::Encrypting(rest, _) = core::mem::replace(&mut tunnel.1, Stage::Open)
        {
            *output = rest;
        }
    }

    /// The fault of a proxy that has responded itself in place of the server.
    ///
    /// Most responses do not tell. 407 is a proxy's, and some proxies mark their errors: with `Proxy-Status` (RFC 9209
    /// section 2.1.1), and Squid with a field of its own.
    pub(super) fn fault_of_response(&self, head: &ResponseHead) -> Option<ProxyFault> {
        let Self::Forwarded(via) = self else { return None };
        let status = head.status();
        let is_marked = || {
            // The last member is of the proxy that is closest to the client. Others may be the server's own.
            let last = head.header_values("proxy-status").last();
            let member = last.and_then(|value| value.rsplit(|byte| *byte == b',').next());
            let has_error =
                member.is_some_and(|member| member.windows(6).any(|window| window == b"error="));
            head.header("x-squid-error").is_some() || has_error
        };
        (status == 407 || (status >= 400 && is_marked())).then(|| via.fault(status))
    }
}

impl Via {
    fn fault(&self, status: u16) -> ProxyFault {
        ProxyFault::of_status(status, !self.authorization.is_empty())
    }
}
