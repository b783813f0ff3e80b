//! Elements and pages read out of a document, now or as they were. What cannot be read is left out, never an error: the guard has seen to it
//! that nothing of the kind comes in.

use std::sync::Arc;

use automerge::{ChangeHash, ObjId, ObjType, ReadDoc, ScalarValueRef, ValueRef};

use super::{Document, TextChange};
use crate::geometry;
use crate::id::{Actor, DocId, ElementId, PageId};
use crate::order::OrderKey;
use crate::schema::{Field, Value};
use crate::shape::{Binding, Element, Kind, MAX_TEXT, Shape, Style, Transform};

/// A page as the index lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) page: PageId,
    pub(crate) z: OrderKey,
    pub(crate) name: String,
    pub(crate) document: DocId,
}

impl Document {
    /// An element, as it is or was.
    pub(crate) fn element(&self, id: ElementId, at: Option<&[ChangeHash]>) -> Option<Element> {
        let object = self.object(&self.map, id.as_str(), at)?;
        self.read_element(id, &object, at)
    }

    /// All elements, as they are or were.
    pub(crate) fn elements(&self, at: Option<&[ChangeHash]>) -> Vec<Arc<Element>> {
        let heads = self.automerge.get_heads();
        let items = self.automerge.map_range_at(&self.map, .., at.unwrap_or(&heads));
        let read = items.filter_map(|item| {
            let id = item.key.parse().ok()?;
            self.read_element(id, &item.id(), at).map(Arc::new)
        });
        read.collect()
    }

    /// The pages that the index lists, in order; a page without a document or a place is left out.
    pub(crate) fn pages(&self) -> Vec<Listed> {
        let mut pages: Vec<Listed> = self
            .automerge
            .map_range(&self.map, ..)
            .filter_map(|item| {
                let (page, object) = (item.key.parse().ok()?, item.id());
                let text = |field: Field| match self.value(&object, field)? {
                    (Value::Text(text), _) => Some(text),
                    _ => None,
                };
                let z = OrderKey::parse(&text(Field::Order)?)?;
                let document = text(Field::Document)?.parse().ok()?;
                Some(Listed { page, z, name: text(Field::Name).unwrap_or_default(), document })
            })
            .collect();
        pages.sort_by(|one, other| (&one.z, one.page).cmp(&(&other.z, other.page)));
        pages
    }

    /// The title of the board.
    pub(crate) fn title(&self) -> String {
        let text = self.title.as_ref().and_then(|title| self.automerge.text(title).ok());
        text.unwrap_or_default().chars().take(crate::MAX_NAME).collect()
    }

    /// Who wrote what stands in a field of an element.
    pub(crate) fn writer(&self, id: ElementId, field: Field) -> Option<Actor> {
        let object = self.object(&self.map, id.as_str(), None)?;
        self.automerge.get(&object, field.key()).ok().flatten().and_then(|(_, op)| actor_of(&op))
    }

    /// Who made an element, or last brought it back.
    pub(crate) fn maker(&self, id: ElementId) -> Option<Actor> {
        actor_of(&self.object(&self.map, id.as_str(), None)?)
    }

    /// The text is still the one in which a change was made.
    pub(crate) fn has_text_of(&self, change: &TextChange) -> bool {
        let element = self.object(&self.map, change.element.as_str(), None);
        element.and_then(|element| self.object(&element, Field::Text.key(), None)).is_some_and(|text| text == change.object)
    }

    /// Who wrote what stands in a field of a page's entry.
    pub(crate) fn page_writer(&self, id: PageId, field: Field) -> Option<Actor> {
        let object = self.object(&self.map, id.as_str(), None)?;
        self.automerge.get(&object, field.key()).ok().flatten().and_then(|(_, op)| actor_of(&op))
    }

    fn object(&self, parent: &ObjId, key: &str, at: Option<&[ChangeHash]>) -> Option<ObjId> {
        let found = match at {
            None => self.automerge.get(parent, key),
            Some(heads) => self.automerge.get_at(parent, key, heads),
        };
        found.ok().flatten().filter(|(value, _)| value.is_object()).map(|(_, id)| id)
    }

    fn value(&self, object: &ObjId, field: Field) -> Option<(Value, ObjId)> {
        let (value, op) = self.automerge.get(object, field.key()).ok().flatten()?;
        Some((Value::of(value.as_scalar()?)?, op))
    }

    fn read_element(&self, id: ElementId, object: &ObjId, at: Option<&[ChangeHash]>) -> Option<Element> {
        let heads;
        let items = match at {
            None => self.automerge.map_range(object, ..),
            Some(at) => {
                heads = at;
                self.automerge.map_range_at(object, .., heads)
            }
        };
        let mut kind = None;
        let mut z = None;
        let mut transform = None;
        let mut shape = Shape::new(Kind::Pen, Transform::new(0.0, 0.0, 0.0, 0.0), Style::default());
        for item in items {
            match (item.key.as_ref(), &item.value) {
                ("k", ValueRef::Scalar(ScalarValueRef::Uint(code))) => kind = Kind::from_code(*code),
                ("z", ValueRef::Scalar(ScalarValueRef::Str(key))) => z = OrderKey::parse(key),
                ("m", ValueRef::Scalar(ScalarValueRef::Bytes(bytes))) => transform = Transform::decode(bytes),
                ("s", ValueRef::Scalar(ScalarValueRef::Bytes(bytes))) => shape.style = Style::decode(bytes).unwrap_or_default(),
                ("d", ValueRef::Scalar(ScalarValueRef::Bytes(bytes))) => {
                    shape.points = geometry::unpack(bytes).unwrap_or_default().into();
                }
                ("p", ValueRef::Scalar(ScalarValueRef::Str(id))) => shape.frame = id.parse().ok(),
                ("g", ValueRef::Scalar(ScalarValueRef::Str(id))) => shape.group = id.parse().ok(),
                ("l", ValueRef::Scalar(ScalarValueRef::Boolean(locked))) => shape.locked = *locked,
                ("a", ValueRef::Scalar(ScalarValueRef::Bytes(bytes))) => shape.start = Binding::decode(bytes),
                ("b", ValueRef::Scalar(ScalarValueRef::Bytes(bytes))) => shape.end = Binding::decode(bytes),
                ("i", ValueRef::Scalar(ScalarValueRef::Str(name))) => shape.image = Some(name.to_string()),
                ("t", ValueRef::Object(ObjType::Text)) => {
                    let text = match at {
                        None => self.automerge.text(item.id()),
                        Some(at) => self.automerge.text_at(item.id(), at),
                    };
                    shape.text = text.unwrap_or_default();
                    if let Some((end, _)) = shape.text.char_indices().nth(MAX_TEXT) {
                        shape.text.truncate(end);
                    }
                }
                _ => {}
            }
        }
        (shape.kind, shape.transform) = (kind?, transform?);
        Some(Element { id, z: z?, shape })
    }
}

fn actor_of(op: &ObjId) -> Option<Actor> {
    match op {
        ObjId::Root => None,
        ObjId::Id(_, actor, _) => Some(Actor(actor.to_bytes().try_into().ok()?)),
    }
}
