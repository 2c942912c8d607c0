//! Messages that are compressed while the hub is free for others.

use alloc::{boxed::Box, vec::Vec};
use core::fmt;

use crate::{
    carrier::Compressors,
    codec::Frame,
    wire::{Output, ws::WebSocket},
};

/// Messages of a connection that are to be compressed, which takes its time.
///
/// [`ClientHub::pull`](super::ClientHub::pull) takes them out of the hub, with all that is to be written before them.
/// [`ClientHub::put_back`](super::ClientHub::put_back) is to follow, before anything else is done to the connection. A value
/// that is dropped instead leaves a connection of no use.
pub struct Compressing {
    pub(super) ws: Box<WebSocket>,
    pub(super) frames: Vec<Frame>,
    pub(super) output: Output,
}

impl Compressing {
    /// Compresses the messages, by `compressors` that all connections of a thread may share.
    pub fn run(&mut self, compressors: &mut Compressors) {
        for frame in self.frames.drain(..) {
            self.ws.write_frame_by(&frame, &mut compressors.0, &mut self.output);
        }
    }
}

/// Never shows a message.
impl fmt::Debug for Compressing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compressing").field("frames", &self.frames.len()).finish_non_exhaustive()
    }
}
