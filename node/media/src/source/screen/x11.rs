//! An X display as a source: pictures by shared memory where the server has it, the pointer drawn in. A window is shared without
//! what lies over it. It only reads the display.

use std::time::{Duration, Instant};

use x11rb::connection::{Connection, RequestConnection};
use x11rb::errors::ReplyError;
use x11rb::protocol::ErrorKind;
use x11rb::protocol::composite::{self, ConnectionExt as _};
use x11rb::protocol::shm::{self, ConnectionExt as _};
use x11rb::protocol::xfixes::ConnectionExt as _;
use x11rb::protocol::xproto::{ConnectionExt as _, Drawable, ImageFormat, ImageOrder, Screen, Window};
use x11rb::rust_connection::RustConnection;
use yuv::{BufferStoreMut, YuvConversionMode, YuvPlanarImageMut, YuvRange, YuvStandardMatrix};

use super::super::{Pacer, VideoSource};
use super::cursor::Cursor;
use super::shm::SharedMemory;
use crate::clock;
use crate::device::{X11Area, X11Spec};
use crate::error::MediaError;
use crate::picture::{Picture, PictureBuf, PlanesMut};

mod list;

pub(super) use list::list;
use list::{has_extension, title};

/// Looks at the display so many times a second.
const FPS: u32 = 15;
/// After a change the picture is repeated for so long, so that the encoder can refine it.
const SETTLE: Duration = Duration::from_secs(1);
/// A still picture is repeated as often as this.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// A part of the display, in pixels of its root window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Frame {
    x: i32,
    y: i32,
    width: u16,
    height: u16,
}

/// Where the server puts the pixels. One of them: what was shown before is compared as the picture that was made of it, which takes
/// less than half of the memory.
enum Pixels {
    Shared { segment: shm::Seg, memory: SharedMemory },
    Copied { buffer: Vec<u8> },
}

/// A display, or a part of it, that is shared.
pub(super) struct X11Source {
    connection: RustConnection,
    root: Window,
    area: X11Area,
    label: String,
    has_shm: bool,
    has_cursor: bool,
    pacer: Pacer,
    /// What the pixels are of; they are made anew when its size changes.
    frame: Frame,
    pixels: Pixels,
    last: Option<Picture>,
    changed: Instant,
    sent: Instant,
}

impl X11Source {
    pub(super) fn open(spec: X11Spec) -> Result<Self, MediaError> {
        let name = spec.display.as_deref().unwrap_or("the X display").to_owned();
        let unusable = |reason: &dyn std::fmt::Display| MediaError::unavailable(&name, reason);
        let (connection, number) = RustConnection::connect(spec.display.as_deref()).map_err(|error| unusable(&error))?;
        let screen = connection.setup().roots.get(number).ok_or_else(|| unusable(&"it has no such screen"))?;
        if !pixels_are_bgrx(&connection, screen) {
            return Err(unusable(&"only displays of 24 bits are taken"));
        }
        let root = screen.root;
        let is_xwayland = has_extension(&connection, "XWAYLAND");
        let has_shm = has_shm(&connection);
        let has_cursor = connection.xfixes_query_version(4, 0).ok().is_some_and(|cookie| cookie.reply().is_ok());
        let label = match spec.area {
            // Under Wayland the root window is black, and to share black helps nobody.
            X11Area::Whole | X11Area::Region { .. } if is_xwayland => {
                return Err(MediaError::Unsupported { what: "sharing a Wayland screen".to_owned() });
            }
            X11Area::Whole => format!("Screen {name}"),
            X11Area::Region { width, height, .. } => format!("{width}×{height} of screen {name}"),
            X11Area::Window(window) => {
                redirect(&connection, window).map_err(|error| unusable(&error))?;
                title(&connection, window).unwrap_or_else(|| format!("Window {window:#x}"))
            }
        };
        let mut source = Self {
            connection,
            root,
            area: spec.area,
            label,
            has_shm,
            has_cursor,
            pacer: Pacer::new(Duration::from_secs(1) / FPS),
            frame: Frame { x: 0, y: 0, width: 0, height: 0 },
            pixels: Pixels::Copied { buffer: Vec::new() },
            last: None,
            changed: Instant::now(),
            sent: Instant::now(),
        };
        let frame = source.frame_now()?;
        source.take_size(frame)?;
        Ok(source)
    }

    /// Where what is shared is now.
    fn frame_now(&self) -> Result<Frame, MediaError> {
        let gone = |error: ReplyError| self.gone(error);
        let of = match self.area {
            X11Area::Window(window) => window,
            X11Area::Whole | X11Area::Region { .. } => self.root,
        };
        let geometry = self.connection.get_geometry(of).map_err(|error| self.gone(error))?.reply().map_err(gone)?;
        match self.area {
            X11Area::Whole => Ok(Frame { x: 0, y: 0, width: geometry.width, height: geometry.height }),
            X11Area::Region { x, y, width, height } => {
                let (width, height) =
                    (width.min(geometry.width.saturating_sub(x)), height.min(geometry.height.saturating_sub(y)));
                if width == 0 || height == 0 {
                    return Err(MediaError::unavailable(&self.label, "it is outside the screen"));
                }
                Ok(Frame { x: x.into(), y: y.into(), width, height })
            }
            X11Area::Window(window) => {
                let cookie = self.connection.translate_coordinates(window, self.root, 0, 0).map_err(|error| self.gone(error))?;
                let at = cookie.reply().map_err(gone)?;
                Ok(Frame { x: at.dst_x.into(), y: at.dst_y.into(), width: geometry.width, height: geometry.height })
            }
        }
    }

    /// Makes room for pictures of this size.
    fn take_size(&mut self, frame: Frame) -> Result<(), MediaError> {
        let (width, height) = (u32::from(frame.width), u32::from(frame.height));
        Picture::byte_len(width, height).ok_or(MediaError::PictureSize { width, height })?;
        let length = width as usize * height as usize * 4;
        self.release();
        self.pixels = if self.has_shm {
            let attach = || -> Option<(shm::Seg, SharedMemory)> {
                let (memory, file) = SharedMemory::new(length).ok()?;
                let segment = self.connection.generate_id().ok()?;
                self.connection.shm_attach_fd(segment, file, false).ok()?.check().ok()?;
                Some((segment, memory))
            };
            let (segment, memory) = attach().ok_or_else(|| MediaError::unavailable(&self.label, "no shared memory"))?;
            Pixels::Shared { segment, memory }
        } else {
            Pixels::Copied { buffer: vec![0; length] }
        };
        (self.frame, self.last) = (frame, None);
        Ok(())
    }

    fn release(&mut self) {
        if let Pixels::Shared { segment, .. } = &self.pixels {
            // A server that is gone has let go of it.
            let _ = self.connection.shm_detach(*segment);
        }
        self.pixels = Pixels::Copied { buffer: Vec::new() };
    }

    /// Has the server draw into the pixels. `false` where there is nothing to draw now.
    fn draw(&mut self) -> Result<bool, MediaError> {
        let frame = self.frame;
        let drawn = match self.area {
            X11Area::Window(window) => self.window_pixmap(window).and_then(|(pixmap, border)| {
                let drawn = self.draw_from(pixmap, (border, border), frame);
                self.connection.free_pixmap(pixmap)?;
                drawn
            }),
            X11Area::Whole | X11Area::Region { .. } => {
                let at = (i16::try_from(frame.x).unwrap_or(0), i16::try_from(frame.y).unwrap_or(0));
                self.draw_from(self.root, at, frame)
            }
        };
        match drawn {
            Ok(()) => Ok(true),
            // The window is minimised, or the size has changed in between.
            Err(ReplyError::X11Error(error)) if error.error_kind == ErrorKind::Match => Ok(false),
            Err(error) => Err(self.gone(error)),
        }
    }

    /// The window's own pixels, whatever lies over it.
    fn window_pixmap(&self, window: Window) -> Result<(Drawable, i16), ReplyError> {
        let pixmap = self.connection.generate_id().map_err(|_| x11rb::errors::ConnectionError::UnknownError)?;
        self.connection.composite_name_window_pixmap(window, pixmap)?.check()?;
        let border = self.connection.get_geometry(window)?.reply()?.border_width;
        Ok((pixmap, i16::try_from(border).unwrap_or(0)))
    }

    fn draw_from(&mut self, drawable: Drawable, (x, y): (i16, i16), frame: Frame) -> Result<(), ReplyError> {
        const ALL_PLANES: u32 = !0;
        let (width, height) = (frame.width, frame.height);
        match &mut self.pixels {
            Pixels::Shared { segment, .. } => {
                let format = u8::from(ImageFormat::Z_PIXMAP);
                self.connection.shm_get_image(drawable, x, y, width, height, ALL_PLANES, format, *segment, 0)?.reply()?;
            }
            Pixels::Copied { buffer } => {
                let cookie = self.connection.get_image(ImageFormat::Z_PIXMAP, drawable, x, y, width, height, ALL_PLANES)?;
                *buffer = cookie.reply()?.data;
            }
        }
        Ok(())
    }

    /// What was drawn last.
    fn drawn(&self) -> &[u8] {
        match &self.pixels {
            Pixels::Shared { memory, .. } => memory.bytes(),
            Pixels::Copied { buffer } => buffer,
        }
    }

    fn cursor_now(&self) -> Option<Cursor> {
        if !self.has_cursor {
            return None;
        }
        let image = self.connection.xfixes_get_cursor_image().ok()?.reply().ok()?;
        Some(Cursor {
            left: i32::from(image.x) - i32::from(image.xhot),
            top: i32::from(image.y) - i32::from(image.yhot),
            width: image.width,
            height: image.height,
            pixels: image.cursor_image,
        })
    }

    fn picture(&self, cursor: Option<&Cursor>, at: Duration) -> Result<Picture, MediaError> {
        let (width, height) = (u32::from(self.frame.width), u32::from(self.frame.height));
        let refused = || MediaError::PictureSize { width, height };
        let mut picture = PictureBuf::new(width, height).ok_or_else(refused)?;
        let chroma = picture.chroma_width();
        let PlanesMut { y, u, v } = picture.planes_mut();
        let mut planar = YuvPlanarImageMut {
            y_plane: BufferStoreMut::Borrowed(y),
            y_stride: width,
            u_plane: BufferStoreMut::Borrowed(u),
            u_stride: chroma,
            v_plane: BufferStoreMut::Borrowed(v),
            v_stride: chroma,
            width,
            height,
        };
        let pixels = self.drawn();
        let (range, matrix) = (YuvRange::Limited, YuvStandardMatrix::Bt601);
        yuv::bgra_to_yuv420(&mut planar, pixels, width * 4, range, matrix, YuvConversionMode::Balanced).map_err(|_| refused())?;
        if let Some(cursor) = cursor {
            cursor.draw(&mut picture, (self.frame.x, self.frame.y));
        }
        Ok(picture.finish(at))
    }

    fn gone(&self, reason: impl std::fmt::Display) -> MediaError {
        MediaError::gone(&self.label, reason)
    }
}

impl VideoSource for X11Source {
    fn next(&mut self) -> Result<Option<Picture>, MediaError> {
        if !self.pacer.wait() {
            return Ok(None);
        }
        let frame = self.frame_now()?;
        if (frame.width, frame.height) != (self.frame.width, self.frame.height) {
            self.take_size(frame)?;
        }
        self.frame = frame;
        if !self.draw()? {
            return Ok(None);
        }
        let now = Instant::now();
        let fresh = self.picture(self.cursor_now().as_ref(), clock::now())?;
        match &mut self.last {
            Some(last) if last.shows_the_same(&fresh) => {
                if now - self.changed > SETTLE && now - self.sent < HEARTBEAT {
                    return Ok(None);
                }
                last.at = fresh.at;
            }
            _ => {
                self.last = Some(fresh);
                self.changed = now;
            }
        }
        self.sent = now;
        Ok(self.last.clone())
    }

    fn describe(&self) -> String {
        self.label.clone()
    }
}

impl Drop for X11Source {
    fn drop(&mut self) {
        self.release();
        let _ = self.connection.flush();
    }
}

/// Shared memory by file descriptor came with version 1.2. A display on another machine has none.
fn has_shm(connection: &RustConnection) -> bool {
    let reply = connection.shm_query_version().ok().and_then(|cookie| cookie.reply().ok());
    if reply.is_none_or(|version| (version.major_version, version.minor_version) < (1, 2)) {
        return false;
    }
    let attach = || -> Option<()> {
        let (_memory, file) = SharedMemory::new(4096).ok()?;
        let segment = connection.generate_id().ok()?;
        connection.shm_attach_fd(segment, file, false).ok()?.check().ok()?;
        connection.shm_detach(segment).ok()?.check().ok()
    };
    attach().is_some()
}

/// Keeps the window's pixels apart from what lies over it, for as long as we are connected.
fn redirect(connection: &RustConnection, window: Window) -> Result<(), ReplyError> {
    connection.extension_information(composite::X11_EXTENSION_NAME)?;
    connection.composite_query_version(0, 4)?.reply()?;
    connection.composite_redirect_window(window, composite::Redirect::AUTOMATIC)?.check()
}

/// Four bytes a pixel: blue, green, red, and one that is not used.
fn pixels_are_bgrx(connection: &RustConnection, screen: &Screen) -> bool {
    let setup = connection.setup();
    let of_four_bytes =
        setup.pixmap_formats.iter().any(|format| format.depth == screen.root_depth && format.bits_per_pixel == 32);
    let red_is_third = screen
        .allowed_depths
        .iter()
        .flat_map(|depth| &depth.visuals)
        .any(|visual| visual.visual_id == screen.root_visual && visual.red_mask == 0x00ff_0000);
    of_four_bytes && red_is_third && setup.image_byte_order == ImageOrder::LSB_FIRST
}
