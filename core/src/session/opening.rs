//! From a request that the router has found in order to a session.

use alloc::sync::Arc;

use super::{CarrierId, Opened, ServerSession};
use crate::{
    entropy::Entropy,
    packet::Revision,
    router::{Opening, Reject, Router},
    sid::Sid,
    time::Time,
};

impl Router {
    /// Opens a session, once the application has nothing against it.
    ///
    /// `first` names the exchange or WebSocket that carries the handshake. The new session has
    /// something to put out at once: drain it.
    ///
    /// # Errors
    ///
    /// [`Reject::UnsupportedRevision`], which the reference too finds only after it has asked the
    /// application.
    pub fn open(
        &self,
        now: Time,
        entropy: &mut dyn Entropy,
        opening: Opening,
        first: CarrierId,
    ) -> Result<ServerSession, Reject> {
        if opening.revision == Revision::V3 && !self.config().allow_eio3 {
            return Err(Reject::UnsupportedRevision);
        }
        let sid = match self.config().node {
            Some(node) => Sid::of_node(node, entropy),
            None => Sid::random(entropy),
        };
        let headers = self.cookie(&sid);
        let opened = Opened {
            sid,
            revision: opening.revision,
            base64: opening.base64,
            jsonp: opening.jsonp,
            headers,
        };
        Ok(ServerSession::open(now, Arc::clone(self.config()), opened, first))
    }
}
