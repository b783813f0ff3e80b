//! A picture in memory and the slot through which the newest one reaches whoever draws it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The largest picture that is decoded or drawn, in pixels a side. A peer's larger one is refused before it is decoded.
pub const MAX_SIDE: u32 = 7680;

/// A picture in I420 (BT.601 limited range): three tightly packed planes, Y then U then V, chroma rounded up for odd sides.
#[derive(Clone)]
pub struct Picture {
    width: u32,
    height: u32,
    data: Arc<[u8]>,
    /// When it was captured, on the sender's media clock.
    pub at: Duration,
}

impl std::fmt::Debug for Picture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Picture({}x{} at {:?})", self.width, self.height, self.at)
    }
}

impl Picture {
    /// Bytes that a picture of this size takes; `None` where a side is zero or over [`MAX_SIDE`].
    pub fn byte_len(width: u32, height: u32) -> Option<usize> {
        if width == 0 || height == 0 || width > MAX_SIDE || height > MAX_SIDE {
            return None;
        }
        let (w, h) = (width as usize, height as usize);
        Some(w * h + 2 * w.div_ceil(2) * h.div_ceil(2))
    }

    /// Takes planes packed as the type says; `None` where the length does not fit the size.
    pub fn new(width: u32, height: u32, data: impl Into<Arc<[u8]>>, at: Duration) -> Option<Self> {
        let data = data.into();
        (Self::byte_len(width, height)? == data.len()).then_some(Self { width, height, data, at })
    }

    /// Width in pixels.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Height in pixels.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// Samples in a row of either chroma plane.
    pub fn chroma_width(&self) -> u32 {
        self.width.div_ceil(2)
    }

    /// The luma plane.
    pub fn y(&self) -> &[u8] {
        self.data.get(..self.luma_len()).unwrap_or_default()
    }

    /// The blue-difference plane.
    pub fn u(&self) -> &[u8] {
        self.data.get(self.luma_len()..self.luma_len() + self.chroma_len()).unwrap_or_default()
    }

    /// The red-difference plane.
    pub fn v(&self) -> &[u8] {
        self.data.get(self.luma_len() + self.chroma_len()..).unwrap_or_default()
    }

    fn luma_len(&self) -> usize {
        self.width as usize * self.height as usize
    }

    fn chroma_len(&self) -> usize {
        self.chroma_width() as usize * self.height.div_ceil(2) as usize
    }
}

type Wake = Arc<dyn Fn() + Send + Sync>;

/// One latest-wins slot a stream: the decoder overwrites, the window takes. A picture that nobody took is dropped; nothing queues.
#[derive(Default)]
pub struct PictureSlot {
    inner: Mutex<SlotInner>,
}

#[derive(Default)]
struct SlotInner {
    newest: Option<Picture>,
    count: u64,
    wake: Option<Wake>,
}

impl std::fmt::Debug for PictureSlot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PictureSlot(count {})", self.lock().count)
    }
}

impl PictureSlot {
    fn lock(&self) -> MutexGuard<'_, SlotInner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Replaces what is in the slot and wakes the one who watches.
    pub fn put(&self, picture: Picture) {
        let wake = {
            let mut inner = self.lock();
            inner.newest = Some(picture);
            inner.count += 1;
            inner.wake.clone()
        };
        if let Some(wake) = wake {
            wake();
        }
    }

    /// The newest picture and how many there have been, if there were more than `seen`. The picture stays.
    pub fn newer_than(&self, seen: u64) -> Option<(Picture, u64)> {
        let inner = self.lock();
        if inner.count <= seen {
            return None;
        }
        inner.newest.clone().map(|picture| (picture, inner.count))
    }

    /// Empties the slot, so that a stream that ended leaves no frozen picture.
    pub fn clear(&self) {
        let wake = {
            let mut inner = self.lock();
            inner.newest = None;
            inner.wake.clone()
        };
        if let Some(wake) = wake {
            wake();
        }
    }

    /// Is there a picture?
    pub fn is_empty(&self) -> bool {
        self.lock().newest.is_none()
    }

    /// Called after each `put` and `clear`, from the decoder's thread; it must only wake somebody.
    pub fn on_change(&self, wake: impl Fn() + Send + Sync + 'static) {
        self.lock().wake = Some(Arc::new(wake));
    }
}
