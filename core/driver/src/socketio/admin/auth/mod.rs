//! Admission to the admin UI: sessions, passwords, and limits on them.

mod limiter;
mod sessions;
mod verifier;

use std::{sync::Mutex, time::Instant};

use enginewire_socketio::ConnectError;
use serde::Deserialize;

use self::{limiter::Limiter, sessions::Sessions, verifier::Verifier};
use crate::{socketio::ConnectRequest, sync::lock, trace::trace};

/// User of the admin UI.
#[derive(Clone)]
pub(crate) struct Account {
    username: String,
    hash: String,
}

impl Account {
    pub(super) fn new(username: &str, hash: &str) -> Self {
        Self { username: username.to_owned(), hash: hash.to_owned() }
    }
}

/// A page that was let in.
#[derive(Debug, Default)]
pub(crate) struct Admitted {
    /// The id of its session, if that is new. A secret.
    pub(super) session: Option<String>,
}

/// Decides which pages are let in.
pub(crate) struct Gate {
    /// `None` lets in everybody.
    account: Option<Account>,
    sessions: Mutex<Sessions>,
    limiter: Mutex<Limiter>,
    verifier: Verifier,
}

/// The `auth` that a page connects with: the id of a session, or a user and a password.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Credentials {
    session_id: Option<String>,
    username: Option<String>,
    password: Option<String>,
}

impl Gate {
    pub(super) fn new(account: Option<Account>) -> Self {
        Self {
            account,
            sessions: Mutex::default(),
            limiter: Mutex::default(),
            verifier: Verifier::default(),
        }
    }

    /// Decides about a page. Verifies its password on another thread, unless it has a session.
    ///
    /// # Errors
    ///
    /// What the page is refused with. It opens its form again on exactly [`INVALID`].
    pub(super) async fn admit(&self, request: &ConnectRequest) -> Result<Admitted, ConnectError> {
        let Some(account) = &self.account else { return Ok(Admitted::default()) };
        // Of another shape it has no credentials.
        let credentials: Credentials = request.auth().unwrap_or_default();
        if let Some(id) = &credentials.session_id
            && lock(&self.sessions).contains(Instant::now(), id)
        {
            return Ok(Admitted::default());
        }
        let Credentials { username: Some(username), password: Some(password), .. } = credentials
        else {
            return Err(ConnectError::new(INVALID));
        };
        if password.len() > MAX_PASSWORD {
            return Err(ConnectError::new(INVALID));
        }
        let address = request.handshake().peer_addr().ip();
        if !lock(&self.limiter).admits(Instant::now(), address) {
            trace!(WARN, peer = %address, "login to the admin UI refused without verifying it");
            return Err(ConnectError::new(TOO_MANY));
        }
        // The password of an unknown user takes as long.
        let Some(verdict) = self.verifier.verify(password, account.hash.clone()) else {
            return Err(ConnectError::new(TOO_MANY));
        };
        if !verdict.await || username != account.username {
            lock(&self.limiter).fail(Instant::now(), address);
            trace!(WARN, peer = %address, "login to the admin UI refused");
            return Err(ConnectError::new(INVALID));
        }
        let session = lock(&self.sessions).open(Instant::now(), &mut crate::runtime::fill_random);
        Ok(Admitted { session: Some(session) })
    }
}

/// Refusal of wrong credentials. The page knows exactly this text.
const INVALID: &str = "invalid credentials";

/// Refusal of a login that was not verified. The page shows it in its form.
const TOO_MANY: &str = "too many attempts, try again later";

/// Limit on a password in bytes. Bcrypt reads the first 72 of them.
const MAX_PASSWORD: usize = 1024;
