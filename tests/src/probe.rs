//! Latency of pictures: the clock that the test card carries is read from the picture as it would be drawn.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use conclave_media::picture::PictureSlot;
use conclave_media::testcard;
use conclave_node::handle::Node;
use conclave_node::view::PictureKey;
use serde::{Deserialize, Serialize};

use crate::clicks::quantile;

/// What was seen of one stream.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Seen {
    pub pictures: u64,
    pub clocks_read: u64,
    pub glass_to_glass_ms_p50: Option<u64>,
    pub glass_to_glass_ms_p95: Option<u64>,
    /// Longest time between two pictures.
    pub frozen_ms: u64,
    pub fps: f64,
    pub width: u32,
    pub height: u32,
}

#[derive(Debug, Default)]
struct Watch {
    seen: u64,
    count: u64,
    first: Option<Instant>,
    last: Option<Instant>,
    longest: Duration,
    latencies_ms: Vec<u64>,
    size: (u32, u32),
}

/// Latencies that are kept of a stream; at 30 pictures a second, over half an hour.
const MAX_LATENCIES: usize = 65_536;

impl Watch {
    fn look(&mut self, slot: &PictureSlot) {
        let Some((picture, count)) = slot.newer_than(self.seen) else { return };
        let (now, clock) = (Instant::now(), SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default());
        self.seen = count;
        self.count += 1;
        self.size = (picture.width(), picture.height());
        self.first.get_or_insert(now);
        if let Some(last) = self.last.replace(now) {
            self.longest = self.longest.max(now - last);
        }
        if let Some(drawn) = testcard::read_clock(&picture)
            && let Some(latency) = clock.checked_sub(drawn)
            && self.latencies_ms.len() < MAX_LATENCIES
        {
            self.latencies_ms.push(latency.as_millis() as u64);
        }
    }

    fn seen(&self) -> Seen {
        let span = self.last.zip(self.first).map_or(0.0, |(last, first)| (last - first).as_secs_f64());
        Seen {
            pictures: self.count,
            clocks_read: self.latencies_ms.len() as u64,
            glass_to_glass_ms_p50: quantile(&self.latencies_ms, 0.5),
            glass_to_glass_ms_p95: quantile(&self.latencies_ms, 0.95),
            frozen_ms: self.longest.as_millis() as u64,
            fps: if span > 0.0 { (self.count.saturating_sub(1)) as f64 / span } else { 0.0 },
            width: self.size.0,
            height: self.size.1,
        }
    }
}

/// Watches the picture slots of a node.
#[derive(Debug, Clone, Default)]
pub struct Probe(Arc<Mutex<BTreeMap<PictureKey, Watch>>>);

impl Probe {
    /// Watches a stream from here on. Each picture is looked at in the thread that decoded it, at the moment a window would draw it.
    pub fn watch(&self, node: &Node, key: PictureKey) {
        let (slot, watches) = (node.picture(key), Arc::clone(&self.0));
        let watched = Arc::downgrade(&slot);
        slot.on_change(move || {
            let Some(slot) = watched.upgrade() else { return };
            watches.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_default().look(&slot);
        });
    }

    /// What was seen of a stream so far.
    pub fn seen(&self, key: PictureKey) -> Seen {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&key).map(Watch::seen).unwrap_or_default()
    }

    /// Forgets what was seen, so that a figure covers a stretch of time.
    pub fn reset(&self) {
        for watch in self.0.lock().unwrap_or_else(PoisonError::into_inner).values_mut() {
            *watch = Watch { seen: watch.seen, ..Watch::default() };
        }
    }
}
