//! Writing: one step of a person as one change, or several where it is large. Every write was checked before it comes here.

use automerge::transaction::{CommitOptions, Transactable, Transaction};
use automerge::{AutomergeError, ObjType, ReadDoc, ScalarValue};

use super::Document;
use super::text::{self, TextChange};
use crate::edit::EditError;
use crate::id::{Actor, ElementId, PageId};
use crate::schema::guard::{Parsed, Touched};
use crate::schema::{Field, Value};

/// Operations after which another change begins: well under what a peer takes.
const OPS_A_CHANGE: usize = 1500;
/// Bytes after which another change begins: so that it travels in one operation of a room's log.
const BYTES_A_CHANGE: usize = 16 * 1024;
/// Characters of one splice.
const CHARS_A_SPLICE: usize = 1000;

/// What a field belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    Element(ElementId),
    Page(PageId),
}

impl Target {
    fn key(&self) -> &str {
        match self {
            Self::Element(id) => id.as_str(),
            Self::Page(id) => id.as_str(),
        }
    }
}

/// One thing written.
#[derive(Debug, Clone)]
pub(crate) enum Write {
    /// Makes an element or a page's entry.
    Make(Target),
    /// Takes it away.
    Remove(Target),
    /// Gives a field a value, or takes it away.
    Put(Target, Field, Option<Value>),
    /// Changes the text of an element, which is made if there is none.
    Splice { element: ElementId, at: usize, delete: usize, insert: String },
    /// Takes a change of text back, as far as it still stands.
    TakeBack(TextChange),
    /// The title of the board.
    Title(String),
}

impl Write {
    fn size(&self) -> usize {
        32 + match self {
            Self::Put(_, _, Some(value)) => value.size(),
            Self::Splice { insert, .. } => insert.len(),
            Self::Title(title) => title.len(),
            Self::TakeBack(text) => text.deleted.len(),
            _ => 0,
        }
    }

    /// At most so large that one fits into a change.
    fn split(self) -> Vec<Self> {
        let Self::Splice { element, at, delete, insert } = self else { return vec![self] };
        let mut parts = Vec::new();
        let mut left = delete;
        while left > CHARS_A_SPLICE {
            parts.push(Self::Splice { element, at, delete: CHARS_A_SPLICE, insert: String::new() });
            left -= CHARS_A_SPLICE;
        }
        let mut rest = insert.as_str();
        let mut place = at;
        loop {
            let cut = rest.char_indices().nth(CHARS_A_SPLICE).map_or(rest.len(), |(cut, _)| cut);
            let (head, tail) = rest.split_at(cut);
            parts.push(Self::Splice { element, at: place, delete: std::mem::take(&mut left), insert: head.to_owned() });
            place += CHARS_A_SPLICE;
            rest = tail;
            if rest.is_empty() {
                return parts;
            }
        }
    }
}

/// What writing did.
#[derive(Debug, Default)]
pub(crate) struct Written {
    /// The changes, to be signed and sent.
    pub(crate) changes: Vec<Vec<u8>>,
    pub(crate) touched: Touched,
    pub(crate) texts: Vec<TextChange>,
}

impl Document {
    /// Writes as this document's actor.
    pub(crate) fn write(&mut self, writes: Vec<Write>) -> Result<Written, EditError> {
        let mut written = Written::default();
        let mut writes = writes.into_iter().flat_map(Write::split).peekable();
        while writes.peek().is_some() {
            let (map, title) = (self.map.clone(), self.title.clone());
            let mut change = self.automerge.transaction();
            let mut bytes = 0;
            // What an element is stands in the change that makes it.
            let mut made = false;
            let mut pending = 0;
            while let Some(write) =
                writes.next_if(|write| made || bytes == 0 || (pending < OPS_A_CHANGE && bytes + write.size() <= BYTES_A_CHANGE))
            {
                bytes += write.size();
                made = matches!(write, Write::Make(_));
                let done = match write {
                    Write::Title(new) => {
                        title.as_ref().map_or(Ok(()), |title| change.update_text(title, &new)).map(|()| Vec::new())
                    }
                    write => put(&mut change, &map, write),
                };
                pending = change.pending_ops();
                match done {
                    Ok(text) => written.texts.extend(text),
                    Err(_) => {
                        change.rollback();
                        return Err(EditError::Document);
                    }
                }
            }
            let (hash, _) = change.commit_with(CommitOptions::default().with_time(0));
            if hash.is_some() {
                self.sign_off(&mut written)?;
            }
        }
        Ok(written)
    }

    /// Takes the change just committed into the guard, as everyone else's guard will.
    fn sign_off(&mut self, written: &mut Written) -> Result<(), EditError> {
        let change = self.automerge.get_last_local_change().ok_or(EditError::Document)?;
        let actor: [u8; 16] = change.actor_id().to_bytes().try_into().map_err(|_| EditError::Document)?;
        let bytes = change.raw_bytes().to_vec();
        let parsed = Parsed::read(Actor(actor), &bytes).map_err(|_| EditError::Document)?;
        let touched = self.guard.admit(&parsed).map_err(|_| EditError::Document)?;
        written.touched.extend(touched);
        written.changes.push(bytes);
        Ok(())
    }
}

fn put(change: &mut Transaction<'_>, map: &automerge::ObjId, write: Write) -> Result<Vec<TextChange>, AutomergeError> {
    let object = |change: &Transaction<'_>, key: &str| {
        let found = change.get(map, key)?.filter(|(value, _)| value.is_object());
        found.map(|(_, id)| id).ok_or(AutomergeError::InvalidOp(ObjType::Map))
    };
    match write {
        Write::Make(target) => {
            change.put_object(map, target.key(), ObjType::Map)?;
        }
        Write::Remove(target) => change.delete(map, target.key())?,
        Write::Put(target, field, value) => {
            let object = object(change, target.key())?;
            match value {
                Some(value) => change.put(&object, field.key(), ScalarValue::from(value))?,
                None if change.get(&object, field.key())?.is_some() => change.delete(&object, field.key())?,
                None => {}
            }
        }
        Write::Splice { element, at, delete, insert } => {
            let object = object(change, element.as_str())?;
            let text = match change.get(&object, Field::Text.key())? {
                Some((value, id)) if value.is_object() => id,
                _ => change.put_object(&object, Field::Text.key(), ObjType::Text)?,
            };
            return Ok(vec![text::splice(change, &text, element, at, delete, &insert)?]);
        }
        Write::TakeBack(old) => {
            let object = object(change, old.element.as_str())?;
            if let Some((_, text)) = change.get(&object, Field::Text.key())?.filter(|(_, text)| *text == old.object) {
                return text::take_back(change, &text, &old);
            }
        }
        Write::Title(_) => {}
    }
    Ok(Vec::new())
}
