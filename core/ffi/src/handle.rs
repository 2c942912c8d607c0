//! Hubs by number.
//!
//! A number that is stale, made up, or in use by another thread is found out, which a pointer would not be.

use std::sync::{Arc, Mutex, PoisonError, RwLock, TryLockError};

use crate::{
    code::{Failure, enter, ew_code},
    hub::Hub,
    id::{Kind, Table},
};

/// A hub: a whole server, or a whole client. Zero is none.
///
/// It is a number and not a pointer, so that a hub that was freed gives `EW_ERROR_HUB`. Threads may use different hubs
/// at the same time, and one hub one after the other.
pub type ew_hub = u64;

static HUBS: RwLock<Table<Arc<Mutex<Hub>>>> = RwLock::new(Table::new(Kind::Hub));

pub(crate) fn insert(hub: Hub) -> ew_hub {
    let mut hubs = HUBS.write().unwrap_or_else(PoisonError::into_inner);
    let index = hubs.vacant();
    hubs.insert(index, Arc::new(Mutex::new(hub)))
}

/// Runs the body of a function that has a hub.
pub(crate) fn with<T: crate::code::IntoCode>(
    hub: ew_hub,
    body: impl FnOnce(&mut Hub) -> Result<T, Failure>,
) -> ew_code {
    enter(|| {
        let hub = {
            let hubs = HUBS.read().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(hubs.get(hub).map_err(no_hub)?)
        };
        let mut hub = hub.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => busy(),
            TryLockError::Poisoned(_) => {
                Failure::new(ew_code::EW_ERROR_BROKEN, "the hub has panicked before")
            }
        })?;
        body(&mut hub)
    })
}

/// Frees a hub, and everything that its outputs point to.
///
/// The application closes the sockets that are left.
#[unsafe(no_mangle)]
pub extern "C" fn ew_hub_free(hub: ew_hub) -> ew_code {
    enter(|| {
        let freed = {
            let mut hubs = HUBS.write().unwrap_or_else(PoisonError::into_inner);
            if matches!(hubs.get(hub).map_err(no_hub)?.try_lock(), Err(TryLockError::WouldBlock)) {
                return Err(busy());
            }
            hubs.remove(crate::id::ew_index(hub) as usize)
        };
        // Outside of the lock.
        drop(freed);
        Ok(())
    })
}

fn no_hub(_: Failure) -> Failure {
    Failure::new(ew_code::EW_ERROR_HUB, "there is no such hub: it is zero, or was freed")
}

fn busy() -> Failure {
    let text = "the hub is in use, by another thread or by the caller of a callback";
    Failure::new(ew_code::EW_ERROR_BUSY, text)
}
