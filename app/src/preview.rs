//! A look into a file that has come: pictures and the beginning of texts. What it is read from may be hostile: sizes are looked at before
//! anything is decoded, and nothing but PNG, JPEG and text is read at all.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::mpsc;

use egui::{ColorImage, TextureHandle, TextureOptions};

/// Longest file that is decoded as a picture, in bytes.
const MAX_FILE: u64 = 32 * 1024 * 1024;
/// Widest and highest picture.
const MAX_SIDE: u32 = 12_000;
/// Most pixels: 128 MiB once decoded.
const MAX_PIXELS: u64 = 32 * 1024 * 1024;
/// What a decoder may allocate, in bytes.
const MAX_ALLOC: u64 = 256 * 1024 * 1024;
/// A picture is made as small as this, in pixels a side.
const SHOWN: u32 = 640;
/// Bytes of a text that are shown.
const MAX_TEXT: u64 = 16 * 1024;
/// Previews that are kept.
const KEPT: usize = 16;

/// What was found.
#[derive(Debug, Clone, PartialEq)]
pub enum Preview {
    Picture(ColorImage),
    Text(String),
    /// Neither, too large, or damaged.
    None,
}

/// Reads a file for its preview. Takes its time: not for the thread of the window.
pub fn load(path: &Path) -> Preview {
    // A pipe would be waited for, a device may never end.
    if !std::fs::metadata(path).is_ok_and(|meta| meta.is_file()) {
        return Preview::None;
    }
    picture(path).or_else(|| text(path)).unwrap_or(Preview::None)
}

fn picture(path: &Path) -> Option<Preview> {
    let file = std::fs::File::open(path).ok()?;
    if file.metadata().ok()?.len() > MAX_FILE {
        return None;
    }
    let mut bytes = Vec::new();
    file.take(MAX_FILE).read_to_end(&mut bytes).ok()?;
    match decode(&bytes, SHOWN) {
        Decoded::Picture(image) => Some(Preview::Picture(image)),
        Decoded::Refused => Some(Preview::None),
        Decoded::Other => None,
    }
}

/// What bytes are as a picture.
pub enum Decoded {
    Picture(ColorImage),
    /// One that is too large, or damaged.
    Refused,
    /// Something else.
    Other,
}

/// Decodes PNG and JPEG, made so small that no side is longer than `shown`. Takes its time.
pub fn decode(bytes: &[u8], shown: u32) -> Decoded {
    let open = || image::ImageReader::new(std::io::Cursor::new(bytes)).with_guessed_format().ok();
    // What the file says of itself, before a pixel is decoded.
    let Some((width, height)) = open().and_then(|reader| reader.into_dimensions().ok()) else { return Decoded::Other };
    if width > MAX_SIDE || height > MAX_SIDE || u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Decoded::Refused;
    }
    let Some(mut reader) = open() else { return Decoded::Other };
    let mut limits = image::Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_ALLOC);
    reader.limits(limits);
    let picture = match reader.decode() {
        Ok(picture) if width > shown || height > shown => picture.thumbnail(shown, shown).to_rgba8(),
        Ok(picture) => picture.to_rgba8(),
        Err(_) => return Decoded::Refused,
    };
    let size = [picture.width() as usize, picture.height() as usize];
    Decoded::Picture(ColorImage::from_rgba_unmultiplied(size, picture.as_raw()))
}

fn text(path: &Path) -> Option<Preview> {
    let file = std::fs::File::open(path).ok()?;
    let meta = file.metadata().ok()?;
    let mut bytes = Vec::new();
    file.take(MAX_TEXT).read_to_end(&mut bytes).ok()?;
    let text = match std::str::from_utf8(&bytes) {
        Ok(text) => text,
        // Cut inside a character at the end of what is read.
        Err(error) if meta.len() > MAX_TEXT && error.error_len().is_none() => {
            std::str::from_utf8(bytes.get(..error.valid_up_to())?).ok()?
        }
        Err(_) => return None,
    };
    let harmless = |c: char| !c.is_control() || matches!(c, '\n' | '\t' | '\r');
    text.chars().all(harmless).then(|| Preview::Text(conclave_protocol::chat::for_display(text)))
}

/// A preview that can be drawn.
pub enum Drawn<'a> {
    Loading,
    Picture(&'a TextureHandle),
    Text(&'a str),
    None,
}

enum Held {
    Loading(mpsc::Receiver<Preview>),
    Picture(TextureHandle),
    Text(String),
    None,
}

/// The previews that are on screen.
#[derive(Default)]
pub struct Previews {
    held: BTreeMap<PathBuf, Held>,
}

impl Previews {
    /// The preview of a file; it is read in a thread of its own the first time.
    pub fn show(&mut self, ctx: &egui::Context, path: &Path) -> Drawn<'_> {
        if self.held.len() >= KEPT && !self.held.contains_key(path) {
            self.held.clear();
        }
        let held = self.held.entry(path.to_owned()).or_insert_with(|| {
            let (done, loaded) = mpsc::sync_channel(1);
            let (path, ctx) = (path.to_owned(), ctx.clone());
            let started = std::thread::Builder::new().name("preview".to_owned()).spawn(move || {
                let _ = done.send(load(&path));
                ctx.request_repaint();
            });
            if started.is_ok() { Held::Loading(loaded) } else { Held::None }
        });
        if let Held::Loading(loading) = held {
            match loading.try_recv() {
                Ok(Preview::Picture(image)) => *held = Held::Picture(ctx.load_texture("preview", image, TextureOptions::LINEAR)),
                Ok(Preview::Text(text)) => *held = Held::Text(text),
                Ok(Preview::None) | Err(mpsc::TryRecvError::Disconnected) => *held = Held::None,
                Err(mpsc::TryRecvError::Empty) => {}
            }
        }
        match held {
            Held::Loading(_) => Drawn::Loading,
            Held::Picture(texture) => Drawn::Picture(texture),
            Held::Text(text) => Drawn::Text(text),
            Held::None => Drawn::None,
        }
    }
}
