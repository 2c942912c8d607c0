//! The names of the seam where nothing observes. All of it compiles to nothing.

use std::{marker::PhantomData, sync::Arc};

use enginewire::{CloseReason, Encoded, Message};
use enginewire_socketio::{
    DisconnectReason, Event, Room,
    cluster::{HandshakeInfo, SocketInfo},
};

use crate::{
    cell::SessionCell,
    runtime::Runtime,
    socketio::{Io, io::Options, socket::SocketShared},
};

/// Observer of a server that there is none of.
#[derive(Debug, Default)]
pub(crate) struct Observer;

impl Observer {
    pub(in crate::socketio) const fn namespace(&self, _name: &str) -> NamespaceWatch {
        NamespaceWatch
    }

    pub(in crate::socketio) fn options(&self, _name: &str, options: &Arc<Options>) -> Arc<Options> {
        Arc::clone(options)
    }

    pub(in crate::socketio) const fn session(&self, _cell: &SessionCell) -> SessionWatch {
        SessionWatch
    }

    pub(in crate::socketio) const fn install(&self, _io: &Io) {}

    pub(in crate::socketio) fn start<R: Runtime>(&self, _runtime: &R, _io: &Io) {}

    pub(in crate::socketio) const fn fetched(&self) {}

    pub(in crate::socketio) const fn dropped(&self) -> u64 {
        0
    }
}

pub(crate) struct SessionWatch;

impl SessionWatch {
    pub(in crate::socketio) const fn tally(&self) -> Tally {
        Tally
    }

    pub(in crate::socketio) const fn upgraded(&mut self, _sockets: &[Arc<SocketShared>]) {}

    pub(in crate::socketio) const fn closed(&mut self, _reason: Option<CloseReason>) {}
}

pub(crate) struct Tally;

impl Tally {
    #[inline]
    pub(in crate::socketio) const fn is_on(&self) -> bool {
        false
    }

    #[inline]
    pub(in crate::socketio) const fn received(&self, _message: &Message) {}

    #[inline]
    pub(in crate::socketio) const fn measure(&self, _message: &Encoded) -> Sizes {
        Sizes
    }

    #[inline]
    pub(in crate::socketio) const fn sent(&self, _sizes: Sizes) {}
}

pub(crate) struct Sizes;

pub(crate) struct NamespaceWatch;

impl NamespaceWatch {
    #[inline]
    pub(in crate::socketio) const fn recorder(&self) -> Recorder<'_> {
        Recorder(PhantomData)
    }

    #[inline]
    pub(in crate::socketio) const fn received(&self, _socket: &SocketShared, _event: &Event) {}

    #[inline]
    pub(in crate::socketio) const fn copy(&self, _message: &Encoded) -> Copied {
        Copied
    }

    pub(in crate::socketio) const fn mark(&self) -> Mark {
        Mark
    }

    pub(in crate::socketio) const fn describe(&self, _: &SocketShared, _: &mut SocketInfo) {}
}

pub(crate) struct Recorder<'a>(PhantomData<&'a ()>);

impl Recorder<'_> {
    #[inline]
    pub(in crate::socketio) fn connected(&mut self, _socket: &Arc<SocketShared>, _rooms: &[Room]) {}

    #[inline]
    pub(in crate::socketio) fn changed(
        &mut self,
        _socket: &SocketShared,
        _room: &str,
        _joins: bool,
    ) {
    }

    #[inline]
    pub(in crate::socketio) fn left(
        &mut self,
        _socket: &SocketShared,
        _rooms: &[Room],
        _reason: DisconnectReason,
    ) {
    }
}

/// Copy of a message on its way out.
pub(crate) struct Copied;

impl Copied {
    #[inline]
    pub(in crate::socketio) const fn sent(self, _socket: &SocketShared) {}
}

/// Returns a socket of another node as the application has it.
pub(crate) const fn of_application(info: SocketInfo) -> SocketInfo {
    info
}

/// A moment in the life of a socket.
pub(crate) struct Mark;

impl Mark {
    pub(in crate::socketio) const fn stamp<'a>(
        &self,
        handshake: HandshakeInfo<'a>,
    ) -> HandshakeInfo<'a> {
        handshake
    }
}
