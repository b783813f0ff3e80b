//! Pictures that go in and out with a page: the bytes of their files, never decoded here.

use std::collections::HashMap;

use data_encoding::BASE64;

/// Longest picture, in bytes of its file.
pub const MAX_PICTURE: usize = 16 * 1024 * 1024;

/// What a picture is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// Portable Network Graphics.
    Png,
    /// JPEG.
    Jpeg,
}

impl Format {
    const ALL: [Self; 2] = [Self::Png, Self::Jpeg];

    /// Its media type.
    pub fn mime(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
        }
    }

    /// How names of its files end.
    pub fn ending(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg => "jpg",
        }
    }

    /// By how the bytes begin; nothing else is believed.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
            Some(Self::Png)
        } else if bytes.starts_with(&[0xff, 0xd8, 0xff]) {
            Some(Self::Jpeg)
        } else {
            None
        }
    }
}

/// The file of a picture.
#[derive(Clone, PartialEq, Eq)]
pub struct Picture {
    /// What it is.
    pub format: Format,
    /// All of it.
    pub bytes: Vec<u8>,
}

impl core::fmt::Debug for Picture {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Picture").field("format", &self.format).field("len", &self.bytes.len()).finish()
    }
}

/// Pictures by the name that elements have for them.
pub type Pictures = HashMap<String, Picture>;

impl Picture {
    /// Of bytes that begin like a picture and are not too many.
    pub fn new(bytes: Vec<u8>) -> Option<Self> {
        let format = Format::of(&bytes).filter(|_| bytes.len() <= MAX_PICTURE)?;
        Some(Self { format, bytes })
    }

    /// As a `data:` URL (RFC 2397).
    pub fn data_url(&self) -> String {
        format!("data:{};base64,{}", self.format.mime(), BASE64.encode(&self.bytes))
    }

    /// From a `data:` URL in base 64. What it says of itself must be what it is.
    pub fn from_data_url(url: &str) -> Option<Self> {
        let (mime, data) = url.strip_prefix("data:")?.split_once(";base64,")?;
        if data.len() > MAX_PICTURE / 3 * 4 + 4 {
            return None;
        }
        let picture = Self::new(BASE64.decode(data.as_bytes()).ok()?)?;
        Format::ALL.contains(&picture.format).then_some(picture).filter(|picture| picture.format.mime() == mime)
    }
}
