//! Text in place: what is being written, and how it becomes edits that keep what others write at once.

use conclave_crdt::{Align, Edit, Element, ElementId, Kind, PageDelta, PageView, Place, Shape, Transform};
use egui::{Pos2, Vec2};

use super::{Machine, Output};
use crate::canvas::tool::{Tool, style_for};

/// Height of a line of text, in font sizes.
pub(super) const LINE: f32 = 1.25;

/// A text that is being written.
#[derive(Debug, Clone, PartialEq)]
pub struct Editing {
    pub id: ElementId,
    /// As it stands in the field.
    pub text: String,
    /// What the page says; what is typed is the difference to it.
    known: String,
    /// The element, as long as the page does not have it.
    pub new: Option<Shape>,
    /// All that is typed here is undone together.
    gesture: u64,
    /// The field wants the keyboard.
    pub fresh: bool,
    /// Others wrote while what was typed here was on its way.
    missed: bool,
}

impl Machine {
    /// A new text at a place.
    pub(super) fn begin_text(&mut self, at: Pos2, view: &PageView) {
        if !self.can_edit {
            return;
        }
        let style = style_for(Kind::Text, &self.brush);
        let height = style.font_size * LINE;
        let mut shape = Shape::new(Kind::Text, Transform::new(at.x, at.y - height / 2.0, 8.0, height), style);
        shape.frame = crate::canvas::hit::frame_at(view, at);
        let id = self.new_element();
        let gesture = self.next_step();
        self.selection.clear();
        self.editing = Some(Editing {
            id,
            text: String::new(),
            known: String::new(),
            new: Some(shape),
            gesture,
            fresh: true,
            missed: false,
        });
        if !self.keep_tool {
            self.tool = Tool::Select;
        }
    }

    /// The text of what is there.
    pub fn edit_text(&mut self, element: &Element) {
        if !self.can_edit || element.locked || !super::press::has_text(element.kind) {
            return;
        }
        let gesture = self.next_step();
        self.selection = [element.id].into();
        let text = element.text.clone();
        self.editing =
            Some(Editing { id: element.id, known: text.clone(), text, new: None, gesture, fresh: true, missed: false });
    }

    /// The text of what was just made, which the page does not have yet.
    pub(super) fn edit_new(&mut self, id: ElementId, _shape: Shape) {
        let gesture = self.next_step();
        self.editing =
            Some(Editing { id, text: String::new(), known: String::new(), new: None, gesture, fresh: true, missed: false });
    }

    /// The field says this now; `size` is what the text fills, in px, where its element is the text alone.
    pub fn typed(&mut self, text: String, size: Vec2, view: &PageView) -> Vec<Output> {
        let Some(editing) = &mut self.editing else { return Vec::new() };
        editing.fresh = false;
        let (id, gesture) = (editing.id, editing.gesture);
        let mut edits = Vec::new();
        if editing.text != text {
            editing.text = text;
            match editing.new.take() {
                Some(mut shape) if !editing.text.is_empty() => {
                    shape.text.clone_from(&editing.text);
                    shape.transform = grown(shape.transform, shape.style.align, size);
                    editing.known.clone_from(&editing.text);
                    edits.push(Edit::Add { id, shape, place: Place::Front });
                    return vec![Output::Edit { edits, gesture }];
                }
                Some(shape) => {
                    editing.new = Some(shape);
                    return Vec::new();
                }
                None => {
                    edits.extend(difference(id, &editing.known, &editing.text));
                    editing.known.clone_from(&editing.text);
                }
            }
        }
        if let Some(element) = view.get(&id).filter(|element| element.kind == Kind::Text && element.transform.angle == 0.0) {
            let transform = grown(element.transform, element.style.align, size);
            if (transform.w - element.transform.w).abs() > 0.5 || (transform.h - element.transform.h).abs() > 0.5 {
                edits.push(Edit::Transform { id, transform });
            }
        }
        if edits.is_empty() { Vec::new() } else { vec![Output::Edit { edits, gesture }] }
    }

    /// The field is left: a text without a word is no text.
    pub fn end_text(&mut self, view: &PageView) -> Vec<Output> {
        let Some(editing) = self.editing.take() else { return Vec::new() };
        self.revision += 1;
        let alone = view.get(&editing.id).is_some_and(|element| element.kind == Kind::Text);
        if editing.new.is_none() && alone && editing.text.trim().is_empty() {
            self.selection.remove(&editing.id);
            return vec![Output::Edit { edits: vec![Edit::Delete { id: editing.id }], gesture: editing.gesture }];
        }
        if view.get(&editing.id).is_some() {
            self.selection = [editing.id].into();
        }
        Vec::new()
    }

    /// Others wrote in the text too: the field follows, unless what was typed here is still on its way.
    pub(super) fn text_changed(&mut self, delta: &PageDelta) {
        let Some(editing) = &mut self.editing else { return };
        for element in &delta.changed {
            if element.id != editing.id || element.text == editing.text {
                continue;
            }
            if self.in_flight == 0 {
                editing.text.clone_from(&element.text);
                editing.known.clone_from(&element.text);
            } else {
                editing.missed = true;
            }
        }
    }

    /// All that was asked for is answered: what was missed meanwhile is read from the page.
    pub(super) fn catch_up(&mut self, view: &PageView) {
        let Some(editing) = self.editing.as_mut().filter(|editing| editing.missed) else { return };
        editing.missed = false;
        if let Some(element) = view.get(&editing.id) {
            editing.text.clone_from(&element.text);
            editing.known.clone_from(&element.text);
        }
    }
}

/// The box of a text that fills `size` now: it grows away from the side it is aligned at.
fn grown(transform: Transform, align: Align, size: Vec2) -> Transform {
    let more = size.x - transform.w;
    let x = match align {
        Align::Left => transform.x,
        Align::Center => transform.x - more / 2.0,
        Align::Right => transform.x - more,
    };
    Transform { x, w: size.x.max(1.0), h: size.y.max(1.0), ..transform }
}

/// What turns one text into another, in characters: the part in the middle that differs.
fn difference(id: ElementId, before: &str, after: &str) -> Option<Edit> {
    let (old, new): (Vec<char>, Vec<char>) = (before.chars().collect(), after.chars().collect());
    let head = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let rest = old.len().min(new.len()) - head;
    let tail = old.iter().rev().zip(new.iter().rev()).take(rest).take_while(|(a, b)| a == b).count();
    let delete = old.len() - head - tail;
    let insert: String = new.get(head..new.len() - tail)?.iter().collect();
    (delete > 0 || !insert.is_empty()).then_some(Edit::Splice { id, at: head, delete, insert })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_the_part_in_the_middle() {
        let id = ElementId::from_random(1);
        let splice = |at, delete, insert: &str| Some(Edit::Splice { id, at, delete, insert: insert.into() });
        assert_eq!(difference(id, "plan für heute", "plan für morgen"), splice(9, 5, "morgen"));
        assert_eq!(difference(id, "aa", "aaa"), splice(2, 0, "a"));
        assert_eq!(difference(id, "aaa", "aa"), splice(2, 1, ""));
        assert_eq!(difference(id, "x", "x"), None);
        assert_eq!(difference(id, "", "hello"), splice(0, 0, "hello"));
    }
}
