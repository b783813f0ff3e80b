//! A picture in memory and the slot through which the newest one reaches whoever draws it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use yuv::{YuvPlanarImage, YuvRange, YuvStandardMatrix};

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

    /// Whether nobody could tell the two apart, whenever they were captured.
    pub(crate) fn shows_the_same(&self, other: &Self) -> bool {
        (self.width, self.height) == (other.width, other.height) && self.data == other.data
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

    /// Writes the picture as RGBA, four bytes a pixel, rows from the top; `rgba` takes on the length `width * height * 4`.
    pub fn to_rgba(&self, rgba: &mut Vec<u8>) {
        let row = self.width as usize * 4;
        rgba.resize(row * self.height as usize, 255);
        let planar = YuvPlanarImage {
            y_plane: self.y(),
            y_stride: self.width,
            u_plane: self.u(),
            u_stride: self.chroma_width(),
            v_plane: self.v(),
            v_stride: self.chroma_width(),
            width: self.width,
            height: self.height,
        };
        // It fails only where planes and size disagree, which the constructor rules out.
        if yuv::yuv420_to_rgba(&planar, rgba, self.width * 4, YuvRange::Limited, YuvStandardMatrix::Bt601).is_err() {
            rgba.fill(0);
        }
    }

    /// As [`Picture::to_rgba`], left and right exchanged: how people expect to see themselves.
    pub fn to_rgba_mirrored(&self, rgba: &mut Vec<u8>) {
        self.to_rgba(rgba);
        for row in rgba.chunks_exact_mut(self.width as usize * 4) {
            let (pixels, _) = row.as_chunks_mut::<4>();
            pixels.reverse();
        }
    }

    fn luma_len(&self) -> usize {
        self.width as usize * self.height as usize
    }

    fn chroma_len(&self) -> usize {
        self.chroma_width() as usize * self.height.div_ceil(2) as usize
    }
}

/// A picture that is still being drawn: the same planes as [`Picture`], writable.
#[derive(Clone)]
pub struct PictureBuf {
    width: u32,
    height: u32,
    data: Arc<[u8]>,
}

/// The three planes of a [`PictureBuf`].
pub struct PlanesMut<'a> {
    pub y: &'a mut [u8],
    pub u: &'a mut [u8],
    pub v: &'a mut [u8],
}

impl PictureBuf {
    /// A black picture; `None` where a side is zero or over [`MAX_SIDE`].
    pub fn new(width: u32, height: u32) -> Option<Self> {
        let data = std::iter::repeat_n(128, Picture::byte_len(width, height)?).collect();
        let mut buf = Self { width, height, data };
        buf.planes_mut().y.fill(16);
        Some(buf)
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

    /// The planes. Copies the pixels first where a [`Picture`] still shares them.
    pub fn planes_mut(&mut self) -> PlanesMut<'_> {
        let luma = self.width as usize * self.height as usize;
        let chroma = self.chroma_width() as usize * self.height.div_ceil(2) as usize;
        let (y, rest) = Arc::make_mut(&mut self.data).split_at_mut(luma);
        let (u, v) = rest.split_at_mut(chroma);
        PlanesMut { y, u, v }
    }

    /// All planes as one run of bytes, Y then U then V.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        Arc::make_mut(&mut self.data)
    }

    /// Ends the drawing; nothing is copied.
    pub fn finish(self, at: Duration) -> Picture {
        Picture { width: self.width, height: self.height, data: self.data, at }
    }
}

impl From<Picture> for PictureBuf {
    fn from(picture: Picture) -> Self {
        Self { width: picture.width, height: picture.height, data: picture.data }
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
