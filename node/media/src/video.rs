//! The threads of a video stream: capture and encode on one side, decode on the other. They hand over coded frames by callback and
//! know nothing of who sends or receives them.

mod capture;
mod receiver;
mod sender;

pub use capture::VideoPreview;
pub use receiver::{DecodeEvent, VideoReceiver};
pub use sender::{VideoSender, VideoSettings};

use std::thread::JoinHandle;

use crate::error::MediaError;

/// Starts a thread with a name that a profiler shows.
fn spawn(name: &'static str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, MediaError> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(run)
        .map_err(|error| MediaError::Thread { what: name, reason: error.to_string() })
}

/// Waits for a thread that was told to stop, unless it is the one that asks: a callback may drop its own stream.
fn join(thread: &mut Option<JoinHandle<()>>) {
    if let Some(thread) = thread.take()
        && thread.thread().id() != std::thread::current().id()
    {
        // A panic of the thread has been printed already, and there is nobody here to handle it.
        let _ = thread.join();
    }
}
