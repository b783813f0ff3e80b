//! What stands on a page: elements as plain values. All of it is what a peer said, read and checked; nothing here writes anything.

use core::fmt;
use core::str::FromStr;
use std::sync::Arc;

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::geometry::{Point, Rect, in_range};
use crate::id::{ElementId, GroupId};
use crate::order::OrderKey;

/// Longest text of an element, in characters.
pub const MAX_TEXT: usize = 20_000;
/// Longest reference to an image, in bytes.
pub const MAX_IMAGE: usize = 128;
/// Widest line, in px.
pub const MAX_WIDTH: f32 = 256.0;
/// Largest font, in px.
pub const MAX_FONT: f32 = 1024.0;

/// What an element is. Never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A stroke of the pen.
    Pen,
    /// A rectangle.
    Rect,
    /// An ellipse.
    Ellipse,
    /// A diamond.
    Diamond,
    /// A line through points.
    Line,
    /// A line with ends that may hold on to other elements.
    Arrow,
    /// Text alone.
    Text,
    /// A sticky note.
    Note,
    /// A picture; its bytes travel as a file.
    Image,
    /// Holds other elements together and cuts them off at its edge; its text is its name.
    Frame,
}

impl Kind {
    const ALL: [Self; 10] = [
        Self::Pen,
        Self::Rect,
        Self::Ellipse,
        Self::Diamond,
        Self::Line,
        Self::Arrow,
        Self::Text,
        Self::Note,
        Self::Image,
        Self::Frame,
    ];

    /// Its number in the document.
    pub fn code(self) -> u64 {
        self as u64
    }

    /// The kind of a number.
    pub fn from_code(code: u64) -> Option<Self> {
        Self::ALL.get(usize::try_from(code).ok()?).copied()
    }

    /// Its shape is a list of points.
    pub fn has_points(self) -> bool {
        matches!(self, Self::Pen | Self::Line | Self::Arrow)
    }
}

/// Where an element stands: the box it fills before it is turned, in px of the page, y downwards.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Transform {
    /// Left.
    pub x: f32,
    /// Top.
    pub y: f32,
    /// Not negative. Points are stretched to it.
    pub w: f32,
    /// Not negative.
    pub h: f32,
    /// Clockwise about the middle, in radians.
    #[serde(default)]
    pub angle: f32,
}

impl Transform {
    /// Not turned.
    pub fn new(x: f32, y: f32, w: f32, h: f32) -> Self {
        Self { x, y, w, h, angle: 0.0 }
    }

    /// The box before turning.
    pub fn rect(&self) -> Rect {
        Rect::from_size(self.x, self.y, self.w, self.h)
    }

    /// The middle, about which it is turned.
    pub fn center(&self) -> (f32, f32) {
        self.rect().center()
    }

    /// Where a point of the unturned box comes to lie.
    pub fn turn(&self, (x, y): (f32, f32)) -> (f32, f32) {
        turn((x, y), self.center(), self.angle)
    }

    /// Where a point of the page lies in the unturned box.
    pub fn turn_back(&self, point: (f32, f32)) -> (f32, f32) {
        turn(point, self.center(), -self.angle)
    }

    /// The smallest box with sides along the axes around it, turned.
    pub fn bounds(&self) -> Rect {
        let rect = self.rect();
        if self.angle == 0.0 {
            return rect;
        }
        let corners = [(rect.x0, rect.y0), (rect.x1, rect.y0), (rect.x1, rect.y1), (rect.x0, rect.y1)];
        Rect::around(corners.map(|corner| self.turn(corner))).unwrap_or(rect)
    }

    /// Finite and on the page.
    pub(crate) fn is_sound(&self) -> bool {
        let on_page = [self.x, self.y, self.w, self.h].into_iter().all(in_range);
        on_page && self.w >= 0.0 && self.h >= 0.0 && self.angle.is_finite() && self.angle.abs() <= 100.0
    }

    /// Twenty bytes: five 32-bit floats, little endian.
    pub(crate) fn encode(&self) -> Vec<u8> {
        [self.x, self.y, self.w, self.h, self.angle].iter().flat_map(|value| value.to_le_bytes()).collect()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (values, rest) = bytes.as_chunks::<4>();
        let [x, y, w, h, angle] = *values else { return None };
        let [x, y, w, h, angle] = [x, y, w, h, angle].map(f32::from_le_bytes);
        let transform = Self { x, y, w, h, angle };
        (rest.is_empty() && transform.is_sound()).then_some(transform)
    }
}

fn turn((x, y): (f32, f32), (cx, cy): (f32, f32), angle: f32) -> (f32, f32) {
    let (sin, cos) = angle.sin_cos();
    let (dx, dy) = (x - cx, y - cy);
    (cx + dx * cos - dy * sin, cy + dx * sin + dy * cos)
}

/// Red, green, blue and opacity, eight bits each; `#rrggbb` or `#rrggbbaa` as text.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Encode, Decode)]
#[cbor(transparent)]
pub struct Color(#[n(0)] pub u32);

impl Color {
    /// Nothing at all.
    pub const NONE: Self = Self(0);
    /// The colour that lines have from the start.
    pub const INK: Self = Self(0x1e1e_1eff);

    /// Red, green, blue, opacity.
    pub fn rgba(self) -> [u8; 4] {
        self.0.to_be_bytes()
    }

    /// From red, green, blue, opacity.
    pub fn from_rgba(rgba: [u8; 4]) -> Self {
        Self(u32::from_be_bytes(rgba))
    }

    /// Not to be seen.
    pub fn is_none(self) -> bool {
        self.0 & 0xff == 0
    }
}

impl fmt::Display for Color {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 & 0xff == 0xff { write!(f, "#{:06x}", self.0 >> 8) } else { write!(f, "#{:08x}", self.0) }
    }
}

impl fmt::Debug for Color {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is not a colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a colour: #rrggbb or #rrggbbaa")]
pub struct BadColor;

impl FromStr for Color {
    type Err = BadColor;

    fn from_str(text: &str) -> Result<Self, BadColor> {
        if text == "transparent" {
            return Ok(Self::NONE);
        }
        let digits =
            text.strip_prefix('#').filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit())).ok_or(BadColor)?;
        let value = u32::from_str_radix(digits, 16).map_err(|_| BadColor)?;
        match digits.len() {
            3 => {
                let [r, g, b] = [value >> 8 & 15, value >> 4 & 15, value & 15].map(|digit| digit * 17);
                Ok(Self(r << 24 | g << 16 | b << 8 | 0xff))
            }
            6 => Ok(Self(value << 8 | 0xff)),
            8 => Ok(Self(value)),
            _ => Err(BadColor),
        }
    }
}

impl Serialize for Color {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Color {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

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

/// One value and nothing after it.
fn decode_cbor<'b, T: Decode<'b, ()>>(bytes: &'b [u8], limit: usize) -> Option<T> {
    if bytes.len() > limit {
        return None;
    }
    let mut decoder = minicbor::Decoder::new(bytes);
    let value = decoder.decode().ok()?;
    (decoder.position() == bytes.len()).then_some(value)
}

/// How the end of an arrow holds on to an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Encode, Decode, Serialize, Deserialize)]
#[cbor(index_only)]
#[serde(rename_all = "snake_case")]
pub enum Hold {
    /// It stops at the outline, on its way to the fixed point.
    #[default]
    #[n(0)]
    Outline,
    /// It ends at the fixed point itself.
    #[n(1)]
    Point,
}

/// What an end of an arrow holds on to. It lives on the arrow alone: moving the target writes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Binding {
    /// Which element. It may be gone: then the arrow ends where its own points say.
    pub target: ElementId,
    /// The fixed point in the unturned box of the target, 0 to 1 from left to right.
    pub fx: f32,
    /// 0 to 1 from top to bottom.
    pub fy: f32,
    /// How.
    #[serde(default)]
    pub hold: Hold,
}

#[derive(Encode, Decode)]
#[cbor(map)]
struct PackedBinding {
    #[n(0)]
    target: String,
    #[n(1)]
    fx: f32,
    #[n(2)]
    fy: f32,
    #[n(3)]
    hold: Hold,
}

impl Binding {
    pub(crate) fn is_sound(&self) -> bool {
        [self.fx, self.fy].into_iter().all(|part| (-1.0..=2.0).contains(&part))
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let packed = PackedBinding { target: self.target.to_string(), fx: self.fx, fy: self.fy, hold: self.hold };
        minicbor::to_vec(&packed).unwrap_or_default()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let packed: PackedBinding = decode_cbor(bytes, 64)?;
        let binding = Self { target: packed.target.parse().ok()?, fx: packed.fx, fy: packed.fy, hold: packed.hold };
        binding.is_sound().then_some(binding)
    }
}

/// Everything about an element but its place among the others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Shape {
    /// What it is.
    pub kind: Kind,
    /// Where it stands.
    #[serde(flatten)]
    pub transform: Transform,
    /// How it looks.
    #[serde(default)]
    pub style: Style,
    /// Of a stroke, line or arrow; see [`Shape::through`]. Shared, because it never changes in place.
    #[serde(default = "no_points", skip_serializing_if = "is_empty", with = "shared_points")]
    pub points: Arc<[Point]>,
    /// Of text, notes and frames, and inside shapes; at most [`MAX_TEXT`] characters.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// The frame it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frame: Option<ElementId>,
    /// The group it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<GroupId>,
    /// Not to be moved or changed by hand.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub locked: bool,
    /// What the first point of an arrow holds on to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Binding>,
    /// What the last point of an arrow holds on to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<Binding>,
    /// Of an image: how its file is called in the room; at most [`MAX_IMAGE`] characters of `0-9A-Za-z:_-`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
}

fn no_points() -> Arc<[Point]> {
    Arc::from([])
}

fn is_empty(points: &Arc<[Point]>) -> bool {
    points.is_empty()
}

mod shared_points {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::geometry::Point;

    pub(super) fn serialize<S: Serializer>(points: &Arc<[Point]>, serializer: S) -> Result<S::Ok, S::Error> {
        points.as_ref().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<[Point]>, D::Error> {
        Vec::deserialize(deserializer).map(Into::into)
    }
}

impl Shape {
    /// With nothing but a kind, a place and a style.
    pub fn new(kind: Kind, transform: Transform, style: Style) -> Self {
        Self {
            kind,
            transform,
            style,
            points: no_points(),
            text: String::new(),
            frame: None,
            group: None,
            locked: false,
            start: None,
            end: None,
            image: None,
        }
    }

    /// A stroke, line or arrow through points of the page.
    pub fn through(kind: Kind, points: &[Point], style: Style) -> Self {
        let rect = Rect::around(points.iter().map(|point| (point.x, point.y))).unwrap_or(Rect::from_size(0.0, 0.0, 0.0, 0.0));
        let local = points.iter().map(|point| Point { x: point.x - rect.x0, y: point.y - rect.y0, ..*point });
        let mut shape = Self::new(kind, Transform::new(rect.x0, rect.y0, rect.width(), rect.height()), style);
        shape.points = local.collect();
        shape
    }

    /// Its points where they lie on the page: stretched to its box and turned.
    pub fn page_points(&self) -> Vec<Point> {
        let Some(own) = Rect::around(self.points.iter().map(|point| (point.x, point.y))) else { return Vec::new() };
        let scale = |size: f32, own: f32| if own > 0.0 { size / own } else { 1.0 };
        let (sx, sy) = (scale(self.transform.w, own.width()), scale(self.transform.h, own.height()));
        let place = |point: &Point| {
            let at = (self.transform.x + (point.x - own.x0) * sx, self.transform.y + (point.y - own.y0) * sy);
            let (x, y) = if self.transform.angle == 0.0 { at } else { self.transform.turn(at) };
            Point { x, y, pressure: point.pressure }
        };
        self.points.iter().map(place).collect()
    }

    /// The smallest box with sides along the axes around all it draws, arrow heads left out.
    pub fn bounds(&self) -> Rect {
        self.transform.bounds().grow(self.style.width / 2.0)
    }
}

/// An element of a page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Element {
    /// Which.
    pub id: ElementId,
    /// Its place in the z-order; the tie is broken by the id.
    pub z: OrderKey,
    /// What it is and how it looks.
    #[serde(flatten)]
    pub shape: Shape,
}

impl core::ops::Deref for Element {
    type Target = Shape;

    fn deref(&self) -> &Shape {
        &self.shape
    }
}
