//! What the node shows of a room's whiteboard.

use std::sync::Arc;

use conclave_crdt::{Element, ElementId, Kind, PageId, PageInfo, Point, Style};
use conclave_protocol::board::{BoardLive, Ink, LIVE_STEPS, MAX_SELECTION};
use conclave_protocol::id::DeviceId;
use data_encoding::BASE64;
use serde::{Deserialize, Serialize};

/// A board: its pages, and what this person may do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BoardView {
    /// Empty where nobody gave it a title.
    pub title: String,
    pub pages: Vec<PageInfo>,
    /// Goes up with every change: an event of a lower or equal one is in here already.
    pub revision: u64,
    pub can_edit: bool,
    pub can_undo: bool,
    pub can_redo: bool,
}

/// A page, whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BoardPageView {
    pub page: PageId,
    /// Of the board: see [`BoardView::revision`].
    pub revision: u64,
    /// The lowest first.
    #[serde(with = "conclave_crdt::shared")]
    pub elements: Vec<Arc<Element>>,
}

/// A picture that elements of a board show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoardPictureView {
    /// What elements call it: the BLAKE3 hash of its file, in hexadecimal.
    pub image: String,
    pub state: PictureState,
    /// `image/png` or `image/jpeg`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub mime: Option<String>,
    /// In pixels.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub width: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub height: Option<u32>,
    /// Its file, where it was asked for and is here.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub data: Option<PictureBytes>,
}

/// How it stands with a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PictureState {
    Here,
    /// It is being fetched.
    Coming,
    /// Nobody has shared it in this room.
    Absent,
    /// Too large, damaged, or beyond what is fetched unasked.
    Refused,
}

/// The file of a picture; base 64 in JSON.
#[derive(Clone, PartialEq, Eq)]
pub struct PictureBytes(pub Arc<[u8]>);

impl core::fmt::Debug for PictureBytes {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl Serialize for PictureBytes {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for PictureBytes {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        BASE64.decode(text.as_bytes()).map(|bytes| Self(bytes.into())).map_err(serde::de::Error::custom)
    }
}

/// A moment of a page's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoardMomentView {
    /// Its number, for `board.page` and `board.restore`.
    pub moment: u32,
    /// Who changed the page then; absent where that is not known any more.
    pub device: Option<DeviceId>,
}

/// Where someone is on the board, and what they are drawing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BoardLiveView {
    pub page: PageId,
    /// In px of the page; absent where the pointer is not over the board.
    #[serde(default)]
    pub cursor: Option<(f32, f32)>,
    #[serde(default)]
    pub laser: bool,
    #[serde(default)]
    pub selection: Vec<ElementId>,
    /// Left, top, width, height of what they see, in px of the page.
    #[serde(default)]
    pub viewport: Option<[f32; 4]>,
    #[serde(default)]
    pub ink: Option<InkView>,
}

/// What came to a stroke since the last message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InkView {
    /// The id that the element will have.
    pub element: ElementId,
    pub kind: Kind,
    /// In the first message of a stroke.
    #[serde(default)]
    pub style: Option<Style>,
    /// How many points came before these.
    pub from: u32,
    /// Of the page, not of the element.
    pub points: Vec<Point>,
    /// The pen is lifted.
    pub done: bool,
}

impl BoardLiveView {
    /// As it travels; `None` where a number is out of range. A selection that is too large is cut off.
    pub fn to_wire(&self) -> Option<BoardLive> {
        let steps = |px: f32| (px.is_finite() && px.abs() <= conclave_crdt::MAX_COORDINATE).then(|| (px * LIVE_STEPS) as i32);
        let cursor = match self.cursor {
            Some((x, y)) => Some((steps(x)?, steps(y)?)),
            None => None,
        };
        let viewport = match self.viewport {
            Some([x, y, w, h]) => Some([steps(x)?, steps(y)?, steps(w)?, steps(h)?]),
            None => None,
        };
        let ink = match &self.ink {
            Some(ink) => Some(Ink {
                element: ink.element.to_string(),
                kind: u8::try_from(ink.kind.code()).ok()?,
                style: ink.style.map(|style| style.encode()),
                from: ink.from,
                points: conclave_crdt::pack_points(&ink.points).ok()?,
                done: ink.done,
            }),
            None => None,
        };
        let selection = self.selection.iter().take(MAX_SELECTION).map(ToString::to_string).collect();
        let live = BoardLive { page: self.page.to_string(), cursor, laser: self.laser, selection, viewport, ink };
        live.is_sound().then_some(live)
    }

    /// As a peer sent it; `None` where it is not what it should be.
    pub fn from_wire(live: &BoardLive) -> Option<Self> {
        if !live.is_sound() {
            return None;
        }
        let px = |steps: i32| steps as f32 / LIVE_STEPS;
        let ink = match &live.ink {
            Some(ink) => Some(InkView {
                element: ink.element.parse().ok()?,
                kind: Kind::from_code(ink.kind.into())?,
                style: match &ink.style {
                    Some(style) => Some(Style::decode(style)?),
                    None => None,
                },
                from: ink.from,
                points: conclave_crdt::unpack_points(&ink.points).ok()?,
                done: ink.done,
            }),
            None => None,
        };
        Some(Self {
            page: live.page.parse().ok()?,
            cursor: live.cursor.map(|(x, y)| (px(x), px(y))),
            laser: live.laser,
            selection: live.selection.iter().map(|id| id.parse()).collect::<Result<_, _>>().ok()?,
            viewport: live.viewport.map(|rect| rect.map(px)),
            ink,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_live_stroke_takes_at_most_400_bytes() {
        let id = ElementId::from_random(1);
        let page = PageId::FIRST;
        let points: Vec<Point> = (0..60)
            .map(|step| {
                let t = step as f32 / 9.0;
                Point { x: 2000.0 + t * 60.0, y: 900.0 + (t * 1.3).sin() * 90.0, pressure: 0.5 + (t * 0.7).cos() * 0.2 }
            })
            .collect();
        let mut sent = 0;
        let mut seen: Vec<Point> = Vec::new();
        // A second of drawing, told as it is drawn: the points that came since the last message.
        for (number, part) in points.chunks(20).enumerate() {
            let ink = InkView {
                element: id,
                kind: Kind::Pen,
                style: (number == 0).then(Style::default),
                from: number as u32 * 20,
                points: part.to_vec(),
                done: number == 2,
            };
            let live = BoardLiveView { page, cursor: None, laser: false, selection: Vec::new(), viewport: None, ink: Some(ink) };
            let wire = conclave_protocol::wire::encode(&live.to_wire().unwrap());
            sent += wire.len();
            let back = BoardLiveView::from_wire(&conclave_protocol::wire::decode(&wire).unwrap()).unwrap();
            seen.extend(back.ink.unwrap().points);
        }
        assert!(sent <= 400, "{sent}");
        assert!(points.iter().zip(&seen).all(|(one, other)| (one.x - other.x).abs() < 0.1 && (one.y - other.y).abs() < 0.1));
        assert_eq!(seen.len(), 60);
    }

    #[test]
    fn a_live_message_with_a_number_out_of_range_is_neither_sent_nor_shown() {
        let live = BoardLiveView {
            page: PageId::FIRST,
            cursor: Some((f32::NAN, 0.0)),
            laser: false,
            selection: Vec::new(),
            viewport: None,
            ink: None,
        };
        assert_eq!(live.to_wire(), None);
        let mut wire = BoardLiveView { cursor: None, ..live }.to_wire().unwrap();
        wire.ink = Some(Ink { element: "abcdefghijkl".to_owned(), kind: 200, ..Ink::default() });
        assert_eq!(BoardLiveView::from_wire(&wire), None);
        wire.ink = Some(Ink { element: "abcdefghijkl".to_owned(), points: vec![9, 9, 9], ..Ink::default() });
        assert_eq!(BoardLiveView::from_wire(&wire), None);
    }
}
