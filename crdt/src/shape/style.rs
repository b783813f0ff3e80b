//! How an element looks, and the few bytes that say so in the document.

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::color::Color;
use super::{MAX_FONT, MAX_WIDTH, decode_cbor};

/// How a line is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Encode, Decode, Serialize, Deserialize)]
#[cbor(index_only)]
#[serde(rename_all = "snake_case")]
pub enum Dash {
    /// Not at all.
    #[default]
    #[n(0)]
    Solid,
    /// Dashes.
    #[n(1)]
    Dashed,
    /// Dots.
    #[n(2)]
    Dotted,
}

/// Where lines of text begin or end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Encode, Decode, Serialize, Deserialize)]
#[cbor(index_only)]
#[serde(rename_all = "snake_case")]
pub enum Align {
    /// At the left.
    #[default]
    #[n(0)]
    Left,
    /// In the middle.
    #[n(1)]
    Center,
    /// At the right.
    #[n(2)]
    Right,
}

/// What an end of a line wears.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Encode, Decode, Serialize, Deserialize)]
#[cbor(index_only)]
#[serde(rename_all = "snake_case")]
pub enum Head {
    /// Nothing.
    #[default]
    #[n(0)]
    None,
    /// Two strokes.
    #[n(1)]
    Arrow,
    /// A filled triangle.
    #[n(2)]
    Triangle,
    /// A filled disc.
    #[n(3)]
    Dot,
    /// A stroke across.
    #[n(4)]
    Bar,
}

/// How an element looks.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Style {
    /// Of lines and text.
    pub stroke: Color,
    /// Inside a shape, or behind a note.
    pub fill: Color,
    /// Of lines, in px; at most [`MAX_WIDTH`].
    pub width: f32,
    /// How lines are broken.
    pub dash: Dash,
    /// Of all of it, 0 to 100.
    pub opacity: u8,
    /// Of text, in px; at most [`MAX_FONT`].
    pub font_size: f32,
    /// Of text.
    pub align: Align,
    /// Corners are rounded.
    pub round: bool,
    /// Of a line's first point.
    pub start: Head,
    /// Of a line's last point.
    pub end: Head,
}

impl Default for Style {
    fn default() -> Self {
        Self {
            stroke: Color::INK,
            fill: Color::NONE,
            width: 2.0,
            dash: Dash::Solid,
            opacity: 100,
            font_size: 20.0,
            align: Align::Left,
            round: false,
            start: Head::None,
            end: Head::None,
        }
    }
}

/// As it stands in the document: what differs from [`Style::default`].
#[derive(Encode, Decode, Default)]
#[cbor(map)]
struct PackedStyle {
    #[n(0)]
    stroke: Option<Color>,
    #[n(1)]
    fill: Option<Color>,
    /// Eighths of a px.
    #[n(2)]
    width: Option<u16>,
    #[n(3)]
    dash: Option<Dash>,
    #[n(4)]
    opacity: Option<u8>,
    /// Eighths of a px.
    #[n(5)]
    font_size: Option<u16>,
    #[n(6)]
    align: Option<Align>,
    #[n(7)]
    round: Option<bool>,
    #[n(8)]
    start: Option<Head>,
    #[n(9)]
    end: Option<Head>,
}

/// Longest style as it stands in the document, in bytes: twice what this version writes.
const MAX_STYLE: usize = 128;

impl Style {
    /// Every number is finite and within its limit.
    pub(crate) fn is_sound(&self) -> bool {
        (0.0..=MAX_WIDTH).contains(&self.width) && (1.0..=MAX_FONT).contains(&self.font_size) && self.opacity <= 100
    }

    /// As it stands in the document: a CBOR map of what differs from [`Style::default`].
    pub fn encode(&self) -> Vec<u8> {
        fn differs<T: PartialEq>(value: T, default: T) -> Option<T> {
            (value != default).then_some(value)
        }
        let plain = Self::default();
        let eighths = |px: f32| (px * 8.0).round() as u16;
        let packed = PackedStyle {
            stroke: differs(self.stroke, plain.stroke),
            fill: differs(self.fill, plain.fill),
            width: differs(eighths(self.width), eighths(plain.width)),
            dash: differs(self.dash, plain.dash),
            opacity: differs(self.opacity, plain.opacity),
            font_size: differs(eighths(self.font_size), eighths(plain.font_size)),
            align: differs(self.align, plain.align),
            round: differs(self.round, plain.round),
            start: differs(self.start, plain.start),
            end: differs(self.end, plain.end),
        };
        minicbor::to_vec(&packed).unwrap_or_default()
    }

    /// Reads one; `None` where a number is out of range.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let packed: PackedStyle = decode_cbor(bytes, MAX_STYLE)?;
        let plain = Self::default();
        let style = Self {
            stroke: packed.stroke.unwrap_or(plain.stroke),
            fill: packed.fill.unwrap_or(plain.fill),
            width: packed.width.map_or(plain.width, |eighths| f32::from(eighths) / 8.0),
            dash: packed.dash.unwrap_or(plain.dash),
            opacity: packed.opacity.unwrap_or(plain.opacity),
            font_size: packed.font_size.map_or(plain.font_size, |eighths| f32::from(eighths) / 8.0),
            align: packed.align.unwrap_or(plain.align),
            round: packed.round.unwrap_or(plain.round),
            start: packed.start.unwrap_or(plain.start),
            end: packed.end.unwrap_or(plain.end),
        };
        style.is_sound().then_some(style)
    }
}
