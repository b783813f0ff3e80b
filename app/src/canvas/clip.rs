//! Copy and paste between boards and windows: elements as text on the clipboard. What is pasted was written by anybody: it is read with
//! limits, and the board checks it like any edit.

use std::sync::Arc;

use conclave_crdt::{Element, ElementId, MAX_EDITS, MAX_TEXT, Rect, Shape};
use egui::{Pos2, Vec2, vec2};
use serde::{Deserialize, Serialize};

const MARK: &str = "conclave/board/1";
/// Longest text that is read from the clipboard as elements, in bytes.
const MAX_CLIP: usize = 16 * 1024 * 1024;

#[derive(Serialize, Deserialize)]
struct Clip {
    #[serde(rename = "type")]
    mark: String,
    elements: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    id: ElementId,
    shape: Shape,
}

/// Elements as text.
pub fn copy(elements: &[&Arc<Element>]) -> Option<String> {
    let entry = |element: &&Arc<Element>| Entry { id: element.id, shape: element.shape.clone() };
    let clip = Clip { mark: MARK.to_owned(), elements: elements.iter().map(entry).collect() };
    if clip.elements.is_empty() { None } else { serde_json::to_string(&clip).ok() }
}

/// What a text on the clipboard is on a board.
#[derive(Debug, PartialEq)]
pub enum Pasted {
    Elements(Vec<(ElementId, Shape)>),
    Text(String),
    Nothing,
}

pub fn read(text: &str) -> Pasted {
    if text.len() <= MAX_CLIP
        && text.trim_start().starts_with('{')
        && let Ok(clip) = serde_json::from_str::<Clip>(text)
        && clip.mark == MARK
    {
        let elements: Vec<_> = clip.elements.into_iter().take(MAX_EDITS).map(|entry| (entry.id, entry.shape)).collect();
        return if elements.is_empty() { Pasted::Nothing } else { Pasted::Elements(elements) };
    }
    let clean: String =
        text.replace("\r\n", "\n").chars().filter(|c| !c.is_control() || *c == '\n' || *c == '\t').take(MAX_TEXT).collect();
    if clean.trim().is_empty() { Pasted::Nothing } else { Pasted::Text(clean) }
}

/// The same shapes with their middle at a place.
pub fn centred(shapes: Vec<(ElementId, Shape)>, at: Pos2) -> Vec<(ElementId, Shape)> {
    let Some(bounds) = shapes.iter().map(|(_, shape)| shape.transform.bounds()).reduce(|one: Rect, other| one.union(&other))
    else {
        return shapes;
    };
    let (x, y) = bounds.center();
    shift(shapes, vec2(at.x - x, at.y - y))
}

pub fn shift(mut shapes: Vec<(ElementId, Shape)>, by: Vec2) -> Vec<(ElementId, Shape)> {
    for (_, shape) in &mut shapes {
        shape.transform.x += by.x;
        shape.transform.y += by.y;
    }
    shapes
}

#[cfg(test)]
mod tests {
    use super::*;
    use conclave_crdt::{Kind, OrderKey, Style, Transform};

    #[test]
    fn what_is_copied_is_pasted_and_other_text_is_text() {
        let shape = Shape::new(Kind::Rect, Transform::new(10.0, 20.0, 30.0, 40.0), Style::default());
        let id = ElementId::from_random(5);
        let element = Arc::new(Element { id, z: OrderKey::parse("V").unwrap(), shape: shape.clone() });
        let text = copy(&[&element]).unwrap();
        assert_eq!(read(&text), Pasted::Elements(vec![(id, shape.clone())]));
        assert_eq!(read("{\"type\":\"other\"}"), Pasted::Text("{\"type\":\"other\"}".into()));
        assert_eq!(read("two\r\nlines\u{7}"), Pasted::Text("two\nlines".into()));
        assert_eq!(read("  \n"), Pasted::Nothing);
        let moved = centred(vec![(id, shape)], Pos2::ZERO);
        assert_eq!(moved[0].1.transform.center(), (0.0, 0.0));
    }
}
