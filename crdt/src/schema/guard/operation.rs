//! Rules 5 and 7 on one operation: only what the schema needs, on what exists, replacing what stood in the same place.

use std::collections::HashMap;

use automerge::legacy::{ElementId as Position, Key, ObjectId, Op, OpId, OpType};
use automerge::{ObjType, ScalarValue};

use crate::id::{Actor, ElementId, PageId};
use crate::schema::guard::past::Past;
use crate::schema::guard::{Entry, Guard, Object, OpRef, Refusal, Touched};
use crate::schema::{ELEMENTS, Field, Form, PAGES, TITLE, VERSION, Value, is_text_char};

/// What a change has done so far: it becomes part of what is known when all of it was found good.
pub(super) struct Session {
    actor: u32,
    pub(super) me: Option<Actor>,
    pub(super) node: u32,
    start: u64,
    counter: u64,
    genesis: bool,
    touched: Touched,
    entries: Vec<Entry>,
    objects: HashMap<OpRef, usize>,
    fields: Vec<(u32, Field, OpRef)>,
    elements: Vec<(ElementId, OpRef)>,
    pages: Vec<(PageId, OpRef)>,
    /// First, last, text.
    inserts: Vec<(u64, u64, Owner)>,
}

/// An object that was there before, or that the change made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    Old(u32),
    New(usize),
}

impl Session {
    pub(super) fn new(actor: u32, start: u64, genesis: bool) -> Self {
        Self {
            actor,
            me: genesis.then_some(Actor::GENESIS),
            node: 0,
            start,
            counter: start,
            genesis,
            touched: Touched::default(),
            entries: Vec::new(),
            objects: HashMap::new(),
            fields: Vec::new(),
            elements: Vec::new(),
            pages: Vec::new(),
            inserts: Vec::new(),
        }
    }

    /// On to the next operation.
    pub(super) fn advance(&mut self) {
        self.counter += 1;
    }

    fn this(&self) -> OpRef {
        OpRef { actor: self.actor, counter: self.counter }
    }

    /// An earlier operation of the same change.
    fn is_own(&self, op: OpRef) -> bool {
        op.actor == self.actor && op.counter >= self.start && op.counter < self.counter
    }

    fn make(&mut self, object: Object) {
        self.objects.insert(self.this(), self.entries.len());
        self.entries.push(Entry { object, node: self.node, fields: Vec::new() });
    }
}

impl Guard {
    /// Takes in what a good change did.
    pub(super) fn adopt(&mut self, session: Session) -> Touched {
        let base = self.entries.len() as u32;
        self.entries.extend(session.entries);
        self.objects.extend(session.objects.into_iter().map(|(op, index)| (op, base + index as u32)));
        for (entry, field, op) in session.fields {
            if let Some(entry) = self.entries.get_mut(entry as usize) {
                entry.fields.push((field, op));
            }
        }
        for (id, op) in session.elements {
            self.elements.entry(id).or_default().push(op);
        }
        for (id, op) in session.pages {
            self.pages.entry(id).or_default().push(op);
        }
        for (first, last, owner) in session.inserts {
            let text = match owner {
                Owner::Old(index) => index,
                Owner::New(index) => base + index as u32,
            };
            self.inserts.insert(OpRef { actor: session.actor, counter: first }, (last, text));
        }
        session.touched
    }

    pub(super) fn check_op(&self, op: &Op, past: &Past, session: &mut Session) -> Result<(), Refusal> {
        let (owner, object) = self.object(&op.obj, past, session)?;
        match (object, &op.key) {
            (Object::Text(_) | Object::Title, Key::Seq(at)) => self.check_text(op, at, owner, object, past, session),
            (Object::Text(_) | Object::Title, Key::Map(_)) | (_, Key::Seq(_)) => Err(Refusal::Schema),
            (_, Key::Map(_)) if op.insert => Err(Refusal::Schema),
            (Object::Root, Key::Map(key)) => self.check_root(op, key, session),
            (Object::Elements, Key::Map(key)) => {
                let id: ElementId = key.parse().map_err(|_| Refusal::Schema)?;
                let before = self.elements.get(&id).map_or(&[][..], Vec::as_slice);
                let own = session.elements.iter().rev().filter(|(other, _)| *other == id).map(|(_, op)| *op);
                self.check_preds(op, before.iter().rev().copied().chain(own), past, session)?;
                self.check_entry(op, Object::Element(id), session)?;
                session.elements.push((id, session.this()));
                session.touched.elements.insert(id);
                Ok(())
            }
            (Object::Pages, Key::Map(key)) => {
                let id: PageId = key.parse().map_err(|_| Refusal::Schema)?;
                let before = self.pages.get(&id).map_or(&[][..], Vec::as_slice);
                let own = session.pages.iter().rev().filter(|(other, _)| *other == id).map(|(_, op)| *op);
                self.check_preds(op, before.iter().rev().copied().chain(own), past, session)?;
                self.check_entry(op, Object::PageEntry(id), session)?;
                session.pages.push((id, session.this()));
                session.touched.index = true;
                Ok(())
            }
            (Object::Element(_), Key::Map(key)) => {
                let field = Field::OF_ELEMENT.into_iter().find(|field| field.key() == key.as_str());
                self.check_field(op, field.ok_or(Refusal::Schema)?, owner, object, past, session)
            }
            (Object::PageEntry(_), Key::Map(key)) => {
                let field = Field::OF_PAGE.into_iter().find(|field| field.key() == key.as_str());
                self.check_field(op, field.ok_or(Refusal::Schema)?, owner, object, past, session)
            }
        }
    }

    fn object(&self, id: &ObjectId, past: &Past, session: &Session) -> Result<(Owner, Object), Refusal> {
        let ObjectId::Id(id) = id else { return Ok((Owner::Old(0), Object::Root)) };
        let op = self.op_ref(id, session)?;
        if let Some(index) = session.objects.get(&op) {
            let entry = session.entries.get(*index).ok_or(Refusal::BadReference)?;
            return Ok((Owner::New(*index), entry.object));
        }
        let index = *self.objects.get(&op).ok_or(Refusal::BadReference)?;
        let entry = self.entries.get(index as usize).ok_or(Refusal::BadReference)?;
        if past.holds(entry.node) { Ok((Owner::Old(index), entry.object)) } else { Err(Refusal::BadReference) }
    }

    fn op_ref(&self, id: &OpId, session: &Session) -> Result<OpRef, Refusal> {
        let bytes: [u8; 16] = id.actor().to_bytes().try_into().map_err(|_| Refusal::BadReference)?;
        let actor = if session.me == Some(Actor(bytes)) {
            session.actor
        } else {
            *self.actors.get(&Actor(bytes)).ok_or(Refusal::BadReference)?
        };
        Ok(OpRef { actor, counter: id.counter() })
    }

    /// What an operation replaces stood in the same place, in its past.
    fn check_preds(
        &self,
        op: &Op,
        candidates: impl Iterator<Item = OpRef> + Clone,
        past: &Past,
        session: &Session,
    ) -> Result<(), Refusal> {
        if op.pred.len() > 256 {
            return Err(Refusal::BadReference);
        }
        for pred in op.pred.iter() {
            let pred = self.op_ref(pred, session)?;
            let in_past = session.is_own(pred) || self.node_of(pred).is_some_and(|node| past.holds(node));
            if !in_past || !candidates.clone().any(|candidate| candidate == pred) {
                return Err(Refusal::BadReference);
            }
        }
        // To take away what is not there would be a way to say anything at all.
        if op.action == OpType::Delete && op.pred.is_empty() { Err(Refusal::BadReference) } else { Ok(()) }
    }

    /// A map is made under a key, or the key is taken away.
    fn check_entry(&self, op: &Op, object: Object, session: &mut Session) -> Result<(), Refusal> {
        match &op.action {
            OpType::Make(ObjType::Map) => {
                session.make(object);
                Ok(())
            }
            OpType::Delete => Ok(()),
            _ => Err(Refusal::Schema),
        }
    }

    /// Only the genesis writes there.
    fn check_root(&self, op: &Op, key: &str, session: &mut Session) -> Result<(), Refusal> {
        if !session.genesis {
            return Err(Refusal::Schema);
        }
        let object = match (self.form, key) {
            (_, VERSION) => return Ok(()),
            (Form::Page, ELEMENTS) => Object::Elements,
            (Form::Index, PAGES) => Object::Pages,
            (Form::Index, TITLE) => Object::Title,
            _ => return Err(Refusal::Schema),
        };
        if matches!(op.action, OpType::Make(_)) {
            session.make(object);
        }
        Ok(())
    }

    fn check_field(
        &self,
        op: &Op,
        field: Field,
        owner: Owner,
        object: Object,
        past: &Past,
        session: &mut Session,
    ) -> Result<(), Refusal> {
        match (&op.action, object) {
            (OpType::Make(ObjType::Text), Object::Element(id)) if field == Field::Text => session.make(Object::Text(id)),
            (OpType::Put(value), _) if field != Field::Text => {
                let value = Value::of(value).ok_or(Refusal::Schema)?;
                // What it is, it is from the start.
                let settled = matches!(field, Field::Kind) && matches!(owner, Owner::Old(_));
                if settled || !field.admits(&value) {
                    return Err(Refusal::Schema);
                }
                if let (Field::Document, Value::Text(id)) = (field, &value) {
                    session.touched.documents.insert(id.parse().map_err(|_| Refusal::Schema)?);
                }
            }
            (OpType::Delete, Object::Element(_)) if field.is_optional() => {}
            _ => return Err(Refusal::Schema),
        }
        let entry = match owner {
            Owner::Old(index) => self.entries.get(index as usize),
            Owner::New(index) => session.entries.get(index),
        };
        let known = entry.map_or(&[][..], |entry| entry.fields.as_slice());
        let known = known.iter().rev().filter(|(other, _)| *other == field).map(|(_, op)| *op);
        let old = match owner {
            Owner::Old(index) => Some(index),
            Owner::New(_) => None,
        };
        let own = session.fields.iter().rev().filter(|(entry, other, _)| Some(*entry) == old && *other == field);
        self.check_preds(op, known.chain(own.map(|(.., op)| *op)), past, session)?;
        let this = session.this();
        match owner {
            Owner::Old(index) => session.fields.push((index, field, this)),
            Owner::New(index) => {
                if let Some(entry) = session.entries.get_mut(index) {
                    entry.fields.push((field, this));
                }
            }
        }
        match object {
            Object::Element(id) => {
                session.touched.elements.insert(id);
            }
            _ => session.touched.index = true,
        }
        Ok(())
    }

    fn check_text(
        &self,
        op: &Op,
        at: &Position,
        owner: Owner,
        object: Object,
        past: &Past,
        session: &mut Session,
    ) -> Result<(), Refusal> {
        if let Position::Id(id) = at {
            let place = self.op_ref(id, session)?;
            let own = session.inserts.iter().any(|(first, last, text)| {
                place.actor == session.actor && (*first..=*last).contains(&place.counter) && *text == owner
            });
            let known = self.inserts.range(..=place).next_back().is_some_and(|(first, (last, text))| {
                first.actor == place.actor
                    && place.counter <= *last
                    && owner == Owner::Old(*text)
                    && self.node_of(place).is_some_and(|node| past.holds(node))
            });
            if !own && !known {
                return Err(Refusal::BadReference);
            }
        }
        match (&op.action, at) {
            (OpType::Put(ScalarValue::Str(text)), _) if op.insert && op.pred.is_empty() => {
                let mut chars = text.chars();
                if !chars.next().is_some_and(is_text_char) || chars.next().is_some() {
                    return Err(Refusal::Schema);
                }
                let counter = session.counter;
                match session.inserts.last_mut() {
                    Some((_, last, text)) if *last + 1 == counter && *text == owner => *last = counter,
                    _ => session.inserts.push((counter, counter, owner)),
                }
            }
            (OpType::Delete, Position::Id(id)) if !op.insert && op.pred.len() == 1 && op.pred.get(0) == Some(id) => {}
            _ => return Err(Refusal::Schema),
        }
        match object {
            Object::Text(id) => {
                session.touched.elements.insert(id);
            }
            _ => session.touched.index = true,
        }
        Ok(())
    }
}
