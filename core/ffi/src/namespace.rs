//! Events for many sockets of Socket.IO.

use std::time::Duration;

use enginewire_socketio::{Room, adapter::Target, hub::Delivered};

use crate::{
    code::{Failure, ew_code},
    handle::{self, ew_hub},
    output::ew_event,
    slice::{self, ew_slice},
};

/// Recipients of a broadcast.
///
/// They are the members of any of `rooms`, or all sockets of the namespace if there are none. The members of `except` are left out. The id of a socket is the name of its own room.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ew_target {
    /// Namespace, with its leading slash.
    pub name_space: ew_slice,
    /// Rooms whose members get the event.
    pub rooms: *const ew_slice,
    /// Number of `rooms`. 0 stands for all sockets.
    pub room_count: usize,
    /// Rooms whose members do not get the event.
    pub except: *const ew_slice,
    /// Number of `except`.
    pub except_count: usize,
}

/// Numbers of recipients of a broadcast.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ew_delivered {
    /// Recipients that have it queued.
    pub sent: usize,
    /// Recipients that were passed by, for want of room.
    pub skipped: usize,
    /// Recipients without room that were disconnected for it.
    pub disconnected: usize,
}

/// Queues an event for the sockets of a target.
///
/// If `is_volatile` is not 0, only for those that can take it at once. `delivered` may be null.
///
/// # Safety
///
/// Pointers are as the rules in `README.md` say.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ew_namespace_emit(
    hub: ew_hub,
    target: *const ew_target,
    event: *const ew_event,
    is_volatile: u32,
    delivered: *mut ew_delivered,
) -> ew_code {
    handle::with(hub, |hub| {
        // SAFETY: the caller's promise.
        let (name_space, target) = unsafe { slice::borrow(target, "target")?.read() }?;
        // SAFETY: the same.
        let event = unsafe { ew_event::read(event, "event") }?;
        let hub = hub.socketio()?;
        let Delivered { sockets, skipped, disconnected, .. } = match is_volatile {
            0 => hub.publish(name_space, &target, &event.named())?,
            _ => hub.publish_volatile(name_space, &target, &event.named())?,
        };
        // SAFETY: the same.
        unsafe { ew_delivered { sent: sockets, skipped, disconnected }.write(delivered) }
    })
}

/// Queues an event that each socket of a target is to acknowledge within `timeout_ms`.
///
/// `EW_OUTPUT_GROUP_ACK` follows for each of them, and `EW_OUTPUT_GROUP_COMPLETED` at the end, with `token`.
///
/// # Safety
///
/// Pointers are as the rules in `README.md` say.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ew_namespace_emit_with_ack(
    hub: ew_hub,
    now_ns: u64,
    target: *const ew_target,
    event: *const ew_event,
    timeout_ms: u64,
    token: *mut u64,
) -> ew_code {
    handle::with(hub, |hub| {
        // SAFETY: the caller's promise. Before there is a token, so that none is lost.
        unsafe { slice::write(token, 0, "token") }?;
        // SAFETY: the same.
        let (name_space, target) = unsafe { slice::borrow(target, "target")?.read() }?;
        // SAFETY: the same.
        let event = unsafe { ew_event::read(event, "event") }?;
        let (now, timeout) = (hub.tick(now_ns)?, Duration::from_millis(timeout_ms));
        let server = hub.socketio()?;
        let group = server.publish_with_ack(now, name_space, &target, &event.named(), timeout)?;
        let number = hub.fresh_token();
        hub.groups.insert(group, number);
        // SAFETY: the same.
        unsafe { slice::write(token, number, "token") }
    })
}

impl ew_target {
    /// Returns the namespace and the target in it.
    ///
    /// # Safety
    ///
    /// Its slices are as those of arguments.
    unsafe fn read(&self) -> Result<(&str, Target), Failure> {
        // SAFETY: the caller's promise.
        let name_space = unsafe { self.name_space.text("target.name_space") }?;
        // SAFETY: the same.
        let rooms = unsafe { names(self.rooms, self.room_count, "target.rooms") }?;
        // SAFETY: the same.
        let except = unsafe { names(self.except, self.except_count, "target.except") }?;
        Ok((name_space, Target { rooms, except }))
    }
}

/// Reads names of rooms.
///
/// # Safety
///
/// The slices are as those of arguments.
unsafe fn names(data: *const ew_slice, length: usize, name: &str) -> Result<Vec<Room>, Failure> {
    // SAFETY: the caller's promise.
    let rooms = unsafe { slice::array(data, length, name) }?;
    // SAFETY: the same.
    rooms.iter().map(|room| Ok(unsafe { room.text(name) }?.into())).collect()
}

impl ew_delivered {
    /// Writes the numbers, if anybody wants them.
    ///
    /// # Safety
    ///
    /// `place` is null or the numbers can be written there.
    pub(crate) unsafe fn write(self, place: *mut Self) -> Result<(), Failure> {
        if place.is_null() {
            return Ok(());
        }
        // SAFETY: the caller's promise.
        unsafe { slice::write(place, self, "delivered") }
    }
}
