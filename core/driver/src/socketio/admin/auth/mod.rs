//! Admission to the admin UI: sessions, passwords, and limits on them.

mod limiter;
mod sessions;
mod verifier;

use std::{net::IpAddr, sync::Mutex, time::Instant};

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
    /// Message with which the page is refused. It opens its form again on exactly [`INVALID`].
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
        let address = request.handshake().peer_addr().ip();
        self.log_in(account, address, &username, password).await
    }

    /// Verifies a password. Dropped before its end, it counts as one that was wrong.
    async fn log_in(
        &self,
        account: &Account,
        address: IpAddr,
        username: &str,
        password: String,
    ) -> Result<Admitted, ConnectError> {
        if password.len() > MAX_PASSWORD {
            return Err(ConnectError::new(INVALID));
        }
        if !lock(&self.limiter).take(Instant::now(), address) {
            trace!(WARN, peer = %address, "login to the admin UI refused without verifying it");
            return Err(ConnectError::new(TOO_MANY));
        }
        // The password of an unknown user takes as long.
        let Some(verdict) = self.verifier.verify(password, account.hash.clone()) else {
            lock(&self.limiter).give_back(Instant::now(), address);
            return Err(ConnectError::new(TOO_MANY));
        };
        if !verdict.await || username != account.username {
            trace!(WARN, peer = %address, "login to the admin UI refused");
            return Err(ConnectError::new(INVALID));
        }
        lock(&self.limiter).give_back(Instant::now(), address);
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

#[cfg(test)]
mod tests {
    use std::{
        pin::Pin,
        task::{Context, Poll, Waker},
    };

    use super::*;
    use crate::socketio::admin::HASH;

    type Login<'a> = Pin<Box<dyn Future<Output = Result<Admitted, ConnectError>> + 'a>>;

    const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn log_in<'a>(gate: &'a Gate, password: &str) -> Login<'a> {
        let account = gate.account.as_ref().unwrap();
        Box::pin(gate.log_in(account, ADDRESS, "admin", password.to_owned()))
    }

    /// Polls a login once. Returns the text of its refusal if it was refused at once.
    fn refused_at_once(login: &mut Login<'_>) -> Option<String> {
        match login.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Err(error)) => Some(error.message().to_owned()),
            Poll::Ready(Ok(_)) | Poll::Pending => None,
        }
    }

    #[test]
    fn passwords_that_are_being_verified_count_as_attempts() {
        let gate = Gate::new(Some(Account::new("admin", HASH)));
        // No password is verified before all have come.
        gate.verifier.stop();
        let mut logins: Vec<_> = (0..6).map(|_| log_in(&gate, "correctPassword")).collect();
        let refused: Vec<_> = logins.iter_mut().map(refused_at_once).collect();
        assert_eq!(refused[..5], [const { None }; 5]);
        assert_eq!(refused[5].as_deref(), Some(TOO_MANY));
    }
}
