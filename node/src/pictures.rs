//! The picture slots of a node, by name. Frames travel here and never through the event queue.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use conclave_media::picture::PictureSlot;

use crate::view::PictureKey;

/// A cheap handle to all slots. A slot exists from the first time that either side asks for it.
#[derive(Debug, Clone, Default)]
pub struct PictureSlots(Arc<Mutex<HashMap<PictureKey, Arc<PictureSlot>>>>);

impl PictureSlots {
    fn lock(&self) -> MutexGuard<'_, HashMap<PictureKey, Arc<PictureSlot>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The slot of this name.
    pub fn get(&self, key: PictureKey) -> Arc<PictureSlot> {
        Arc::clone(self.lock().entry(key).or_default())
    }

    /// Empties the slots for which `gone` holds, and forgets those that nobody else keeps.
    pub fn clear(&self, gone: impl Fn(&PictureKey) -> bool) {
        let mut slots = self.lock();
        let cleared: Vec<_> = slots.iter().filter(|(key, _)| gone(key)).map(|(_, slot)| Arc::clone(slot)).collect();
        slots.retain(|key, slot| !gone(key) || Arc::strong_count(slot) > 2);
        drop(slots);
        for slot in cleared {
            slot.clear();
        }
    }
}
