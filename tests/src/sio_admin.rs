//! The admin UI of the Socket.IO servers under test.

use enginewire_driver::socketio::admin::{Admin, Mode};

use crate::sio_contract::{ADMIN, ADMIN_HASH, AdminKind};

/// An admin UI of a kind, on a server of this name.
#[expect(clippy::expect_used, reason = "the constant is a hash")]
pub(crate) fn admin(kind: AdminKind, server: &str) -> Admin {
    let admin = Admin::basic_auth(ADMIN, ADMIN_HASH).expect("a hash");
    let admin = admin.server_id(server).read_only(kind == AdminKind::ReadOnly);
    if kind == AdminKind::Production { admin.mode(Mode::Production) } else { admin }
}
