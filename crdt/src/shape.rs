//! What stands on a page: elements as plain values. All of it is what a peer said, read and checked; nothing here writes anything.

mod binding;
mod color;
mod style;
mod transform;

use std::sync::Arc;

use minicbor::Decode;
use serde::{Deserialize, Serialize};

pub use self::binding::{Binding, Hold};
pub use self::color::{BadColor, Color};
pub use self::style::{Align, Dash, Head, Style};
pub use self::transform::Transform;
use crate::geometry::{Point, Rect};
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

/// One value and nothing after it.
fn decode_cbor<'b, T: Decode<'b, ()>>(bytes: &'b [u8], limit: usize) -> Option<T> {
    if bytes.len() > limit {
        return None;
    }
    let mut decoder = minicbor::Decoder::new(bytes);
    let value = decoder.decode().ok()?;
    (decoder.position() == bytes.len()).then_some(value)
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
