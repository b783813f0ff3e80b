//! The keys of a room's media between the driver, which learns them, and the threads that encode and decode. They belong to the room
//! and not to a call, so that no counter begins anew where a call does.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use conclave_media::clock;
use conclave_protocol::id::{DeviceId, SessionId};
use conclave_protocol::media::frame_cipher::{BASE_KEY_LEN, FrameKeys, Meta, OpenError};
use conclave_protocol::session::{Epoch, Export, SFRAME_LABEL};

/// What a session is asked to export for media (RFC 9605, 5.2).
pub fn export() -> Export {
    Export { label: SFRAME_LABEL, context: Vec::new(), length: BASE_KEY_LEN }
}

/// Cheap to clone: all clones are the same keys.
#[derive(Debug, Clone)]
pub struct MediaKeys(Arc<Mutex<FrameKeys>>);

impl MediaKeys {
    /// No keys yet: nothing is sent until there are.
    pub fn new(me: DeviceId) -> Self {
        Self(Arc::new(Mutex::new(FrameKeys::new(me))))
    }

    fn lock(&self) -> MutexGuard<'_, FrameKeys> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The epochs of the room's session, which was asked for [`export`] first. `now` is the session's own time.
    pub fn set_epochs(&self, epochs: &[Epoch], now: Duration) {
        let media_now = clock::now();
        self.lock().set_epochs(epochs, 0, |at| (media_now + at).saturating_sub(now));
    }

    /// `None` while there is no key: then nothing is sent.
    pub(crate) fn seal(&self, frame: &[u8], meta: Meta) -> Option<Vec<u8>> {
        match self.lock().seal(frame, meta, clock::now()) {
            Ok(sealed) => Some(sealed),
            Err(error) => {
                tracing::trace!(%error, "a frame was not sent");
                None
            }
        }
    }

    /// What frames are sealed under at present.
    pub(crate) fn sealing(&self) -> Option<(SessionId, u64)> {
        self.lock().sealing(clock::now())
    }

    pub(crate) fn open(&self, from: &DeviceId, sealed: &[u8], meta: Meta) -> Result<Vec<u8>, OpenError> {
        self.lock().open(from, sealed, meta)
    }
}
