//! A step on its way into a page's document: each edit is checked against the page as the edits before it leave it, and becomes writes.
//! Either all of a step is written or nothing.

use std::collections::HashMap;
use std::ops::Bound;

use crate::edit::{Edit, EditError, End, Place};
use crate::geometry::{self, MAX_POINTS};
use crate::id::ElementId;
use crate::order::{Chance, OrderKey};
use crate::schema::document::{Target, Write};
use crate::schema::{Field, Value, is_image_name, is_text_char};
use crate::shape::{Element, Kind, MAX_TEXT, Shape, Transform};
use crate::view::PageView;

/// Most elements that are put on one page by hand.
pub const MAX_ELEMENTS: usize = 20_000;

pub(crate) struct Stage<'a> {
    view: &'a PageView,
    /// Elements as the step leaves them so far; `None` where it took them away.
    changed: HashMap<ElementId, Option<Element>>,
    count: usize,
    front: Option<OrderKey>,
    back: Option<OrderKey>,
    chance: &'a mut Chance,
    pub(crate) writes: Vec<Write>,
}

impl<'a> Stage<'a> {
    pub(crate) fn new(view: &'a PageView, chance: &'a mut Chance) -> Self {
        let front = view.iter().next_back().map(|element| element.z.clone());
        let back = view.iter().next().map(|element| element.z.clone());
        Self { view, changed: HashMap::new(), count: view.len(), front, back, chance, writes: Vec::new() }
    }

    pub(crate) fn edit(&mut self, edit: &Edit) -> Result<(), EditError> {
        match edit {
            Edit::Add { id, shape, place } => self.add(*id, shape, *place),
            Edit::Delete { id } => {
                self.get(*id)?;
                self.changed.insert(*id, None);
                self.count -= 1;
                self.writes.push(Write::Remove(Target::Element(*id)));
                Ok(())
            }
            Edit::Transform { id, transform } => {
                check_transform(transform)?;
                self.set(*id, Field::Transform, |shape| shape.transform = *transform)
            }
            Edit::Style { id, style } => {
                if !style.is_sound() {
                    return Err(EditError::OutOfRange);
                }
                self.set(*id, Field::Style, |shape| shape.style = *style)
            }
            Edit::Points { id, points } => {
                geometry::pack(points)?;
                if !self.get(*id)?.kind.has_points() {
                    return Err(EditError::WrongKind);
                }
                self.set(*id, Field::Points, |shape| shape.points = points.as_slice().into())
            }
            Edit::Splice { id, at, delete, insert } => self.splice(*id, *at, *delete, insert),
            Edit::Text { id, text } => self.text(*id, text),
            Edit::Order { id, place } => {
                self.get(*id)?;
                let z = self.place(*place, *id)?;
                self.order(*id, z)
            }
            Edit::Frame { id, frame } => {
                if let Some(frame) = frame
                    && (frame == id || self.get(*frame)?.kind != Kind::Frame)
                {
                    return Err(EditError::WrongKind);
                }
                self.set(*id, Field::Frame, |shape| shape.frame = *frame)
            }
            Edit::Group { id, group } => self.set(*id, Field::Group, |shape| shape.group = *group),
            Edit::Lock { id, locked } => self.set(*id, Field::Locked, |shape| shape.locked = *locked),
            Edit::Bind { id, end, to } => {
                if self.get(*id)?.kind != Kind::Arrow || to.is_some_and(|to| to.target == *id) {
                    return Err(EditError::WrongKind);
                }
                if to.is_some_and(|to| !to.is_sound()) {
                    return Err(EditError::OutOfRange);
                }
                match end {
                    End::Start => self.set(*id, Field::Start, |shape| shape.start = *to),
                    End::End => self.set(*id, Field::End, |shape| shape.end = *to),
                }
            }
            Edit::Image { id, image } => {
                if self.get(*id)?.kind != Kind::Image {
                    return Err(EditError::WrongKind);
                }
                if image.as_deref().is_some_and(|name| !is_image_name(name)) {
                    return Err(EditError::BadText);
                }
                self.set(*id, Field::Image, |shape| shape.image.clone_from(image))
            }
        }
    }

    fn add(&mut self, id: ElementId, shape: &Shape, place: Place) -> Result<(), EditError> {
        if self.get(id).is_ok() {
            return Err(EditError::IdInUse);
        }
        if self.count >= MAX_ELEMENTS {
            return Err(EditError::Full);
        }
        check_shape(shape)?;
        let z = self.place(place, id)?;
        let element = Element { id, z, shape: shape.clone() };
        self.writes.extend(writes_of(&element));
        self.changed.insert(id, Some(element));
        self.count += 1;
        Ok(())
    }

    fn splice(&mut self, id: ElementId, at: usize, delete: usize, insert: &str) -> Result<(), EditError> {
        check_text(insert)?;
        let old = &self.get(id)?.text;
        let length = old.chars().count();
        if at > length || delete > length - at {
            return Err(EditError::OutOfRange);
        }
        if length - delete + insert.chars().count() > MAX_TEXT {
            return Err(EditError::TooLong);
        }
        if delete == 0 && insert.is_empty() {
            return Ok(());
        }
        let new: String = old.chars().take(at).chain(insert.chars()).chain(old.chars().skip(at + delete)).collect();
        self.with(id, |shape| shape.text = new)?;
        self.writes.push(Write::Splice { element: id, at, delete, insert: insert.to_owned() });
        Ok(())
    }

    /// What lies between the common beginning and the common end is replaced.
    fn text(&mut self, id: ElementId, text: &str) -> Result<(), EditError> {
        let (at, delete, insert) = difference(&self.get(id)?.text, text);
        self.splice(id, at, delete, &insert)
    }

    fn order(&mut self, id: ElementId, z: OrderKey) -> Result<(), EditError> {
        let mut element = self.get(id)?.clone();
        self.writes.push(Write::Put(Target::Element(id), Field::Order, Some(Value::Text(z.as_str().to_owned()))));
        element.z = z;
        self.changed.insert(id, Some(element));
        Ok(())
    }

    fn set(&mut self, id: ElementId, field: Field, change: impl FnOnce(&mut Shape)) -> Result<(), EditError> {
        let before = self.get(id)?.clone();
        let after = self.with(id, change)?;
        let value = field_of(after, field);
        if field_of(&before, field) != value {
            self.writes.push(Write::Put(Target::Element(id), field, value));
        }
        Ok(())
    }

    fn with(&mut self, id: ElementId, change: impl FnOnce(&mut Shape)) -> Result<&Element, EditError> {
        let mut element = self.get(id)?.clone();
        change(&mut element.shape);
        self.changed.insert(id, Some(element));
        self.get(id)
    }

    fn get(&self, id: ElementId) -> Result<&Element, EditError> {
        let found = match self.changed.get(&id) {
            Some(changed) => changed.as_ref(),
            None => self.view.get(&id).map(AsRef::as_ref),
        };
        found.ok_or(EditError::UnknownElement)
    }

    fn place(&mut self, place: Place, id: ElementId) -> Result<OrderKey, EditError> {
        let (below, above) = match place {
            Place::Front => return self.to_front(),
            Place::Back => {
                let Some(back) = self.back.clone() else { return self.to_front() };
                match OrderKey::between(None, Some(&back), self.chance) {
                    Some(key) => {
                        self.back = Some(key.clone());
                        return Ok(key);
                    }
                    None => (None, self.above(None, id)),
                }
            }
            Place::Above(other) => {
                let at = self.spot(other, id)?;
                let above = self.above(Some(&at), id);
                (Some(at.0), above)
            }
            Place::Below(other) => {
                let at = self.spot(other, id)?;
                (self.below(&at, id), Some(at))
            }
        };
        let Some(above) = above else { return self.to_front() };
        if let Some(key) = OrderKey::between(below.as_ref(), Some(&above.0), self.chance) {
            if below.is_none() {
                self.back = Some(key.clone());
            }
            return Ok(key);
        }
        // No room: it goes to the front, and all that was above it after it, in their order.
        let mut after = vec![above];
        while let Some(next) = after.last().and_then(|last| self.above(Some(last), id)) {
            after.push(next);
        }
        let key = self.to_front()?;
        for (_, other) in after {
            let key = self.to_front()?;
            self.order(other, key)?;
        }
        Ok(key)
    }

    fn to_front(&mut self) -> Result<OrderKey, EditError> {
        let key = OrderKey::between(self.front.as_ref(), None, self.chance).ok_or(EditError::Full)?;
        self.front = Some(key.clone());
        self.back.get_or_insert_with(|| key.clone());
        Ok(key)
    }

    /// Where another element stands, to be placed beside.
    fn spot(&self, other: ElementId, id: ElementId) -> Result<(OrderKey, ElementId), EditError> {
        if other == id {
            return Err(EditError::UnknownElement);
        }
        Ok((self.get(other)?.z.clone(), other))
    }

    /// The next above a place, but for one element; the lowest of all for no place.
    fn above(&self, at: Option<&(OrderKey, ElementId)>, but: ElementId) -> Option<(OrderKey, ElementId)> {
        let start = at.map_or(Bound::Unbounded, Bound::Excluded);
        let known =
            self.view.spots((start, Bound::Unbounded)).find(|(_, id)| *id != but && !self.changed.contains_key(id)).cloned();
        let staged = self.staged().filter(|spot| spot.1 != but && at.is_none_or(|at| spot > at)).min();
        known.into_iter().chain(staged).min()
    }

    fn below(&self, at: &(OrderKey, ElementId), but: ElementId) -> Option<OrderKey> {
        let range = (Bound::Unbounded, Bound::Excluded(at));
        let known = self.view.spots(range).rev().find(|(_, id)| *id != but && !self.changed.contains_key(id)).cloned();
        let staged = self.staged().filter(|spot| spot.1 != but && spot < at).max();
        known.into_iter().chain(staged).max().map(|(key, _)| key)
    }

    fn staged(&self) -> impl Iterator<Item = (OrderKey, ElementId)> {
        self.changed.values().flatten().map(|element| (element.z.clone(), element.id))
    }
}

/// All that makes an element.
pub(crate) fn writes_of(element: &Element) -> Vec<Write> {
    let target = Target::Element(element.id);
    let mut writes = vec![Write::Make(target)];
    for field in Field::OF_ELEMENT {
        if let Some(value) = field_of(element, field) {
            writes.push(Write::Put(target, field, Some(value)));
        }
    }
    if !element.text.is_empty() {
        writes.push(Write::Splice { element: element.id, at: 0, delete: 0, insert: element.text.clone() });
    }
    writes
}

/// A field as it stands in the document; `None` where it is left out, and for text, which is no value.
pub(crate) fn field_of(element: &Element, field: Field) -> Option<Value> {
    match field {
        Field::Kind => Some(Value::Uint(element.kind.code())),
        Field::Order => Some(Value::Text(element.z.as_str().to_owned())),
        Field::Transform => Some(Value::Bytes(element.transform.encode())),
        Field::Style => Some(Value::Bytes(element.style.encode())),
        Field::Points if element.points.is_empty() => None,
        Field::Points => geometry::pack(&element.points).ok().map(Value::Bytes),
        Field::Frame => element.frame.map(|id| Value::Text(id.to_string())),
        Field::Group => element.group.map(|id| Value::Text(id.to_string())),
        Field::Locked => element.locked.then_some(Value::Bool(true)),
        Field::Start => element.start.map(|binding| Value::Bytes(binding.encode())),
        Field::End => element.end.map(|binding| Value::Bytes(binding.encode())),
        Field::Image => element.image.clone().map(Value::Text),
        Field::Text | Field::Name | Field::Document => None,
    }
}

/// Where two texts differ: the place in characters, how many go, what comes.
pub(crate) fn difference(old: &str, new: &str) -> (usize, usize, String) {
    let (old, new): (Vec<char>, Vec<char>) = (old.chars().collect(), new.chars().collect());
    let head = old.iter().zip(&new).take_while(|(one, other)| one == other).count();
    let rest = old.len().min(new.len()) - head;
    let tail = old.iter().rev().zip(new.iter().rev()).take(rest).take_while(|(one, other)| one == other).count();
    let insert = new.iter().skip(head).take(new.len() - head - tail).collect();
    (head, old.len() - head - tail, insert)
}

fn check_shape(shape: &Shape) -> Result<(), EditError> {
    check_transform(&shape.transform)?;
    check_text(&shape.text)?;
    if shape.text.chars().count() > MAX_TEXT || shape.points.len() > MAX_POINTS {
        return Err(EditError::TooLong);
    }
    if !shape.style.is_sound() || [shape.start, shape.end].into_iter().flatten().any(|binding| !binding.is_sound()) {
        return Err(EditError::OutOfRange);
    }
    if (!shape.points.is_empty()) != shape.kind.has_points()
        || (shape.kind != Kind::Arrow && (shape.start.is_some() || shape.end.is_some()))
        || (shape.kind != Kind::Image && shape.image.is_some())
    {
        return Err(EditError::WrongKind);
    }
    if shape.image.as_deref().is_some_and(|name| !is_image_name(name)) {
        return Err(EditError::BadText);
    }
    geometry::pack(&shape.points)?;
    Ok(())
}

fn check_transform(transform: &Transform) -> Result<(), EditError> {
    if transform.is_sound() { Ok(()) } else { Err(EditError::OutOfRange) }
}

fn check_text(text: &str) -> Result<(), EditError> {
    if text.chars().all(is_text_char) { Ok(()) } else { Err(EditError::BadText) }
}
