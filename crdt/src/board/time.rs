//! A page through time: every change is a moment one can look at, and bring back as a new change that takes nothing from anyone's past.

use std::sync::Arc;

use super::{Board, Changed};
use crate::edit::EditError;
use crate::id::{Actor, ElementId, PageId};
use crate::schema::Field;
use crate::schema::document::{Target, Write};
use crate::shape::Element;
use crate::stage::{difference, field_of, writes_of};
use crate::view::PageView;

/// The name of a change, by its content: SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChangeId(pub [u8; 32]);

impl core::fmt::Debug for ChangeId {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.iter().take(4).try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A moment of a page: after one change, and all that came before it here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// The change.
    pub change: ChangeId,
    /// Who made it.
    pub actor: Actor,
}

impl Board {
    /// The moments of a page, the oldest first. The empty page before them is not among them.
    pub fn history(&self, page: PageId) -> Vec<Moment> {
        let Some(sheet) = self.sheet(page) else { return Vec::new() };
        sheet.document.history().map(|(hash, actor)| Moment { change: ChangeId(hash), actor }).collect()
    }

    /// A page as it was after a moment, by its place in [`Board::history`].
    pub fn page_at(&self, page: PageId, moment: usize) -> Option<PageView> {
        let sheet = self.sheet(page)?;
        let heads = sheet.document.heads_at(moment)?;
        Some(PageView::from_elements(sheet.document.elements(Some(&heads))))
    }

    /// Makes a page look as it did after a moment, by a step like any other.
    pub fn restore(&mut self, page: PageId, moment: usize) -> Result<Changed, EditError> {
        let now = self.page(page).ok_or(EditError::UnknownPage)?;
        let then = self.page_at(page, moment).ok_or(EditError::UnknownMoment)?;
        let mut writes = Vec::new();
        let gone = now.iter().filter(|element| then.get(&element.id).is_none());
        writes.extend(gone.map(|element| Write::Remove(Target::Element(element.id))));
        for element in then.iter() {
            match now.get(&element.id) {
                Some(current) if current.kind == element.kind => writes.extend(changes(current, element)),
                Some(_) => {
                    writes.push(Write::Remove(Target::Element(element.id)));
                    writes.extend(writes_of(element));
                }
                None => writes.extend(writes_of(element)),
            }
        }
        let (changed, step) = self.write_page(page, writes)?;
        if let Some(step) = step {
            self.undo.did(step, 0);
        }
        Ok(changed)
    }
}

/// What makes an element look like another of the same name and kind.
fn changes(now: &Arc<Element>, then: &Arc<Element>) -> Vec<Write> {
    let id: ElementId = now.id;
    let mut writes = Vec::new();
    for field in Field::OF_ELEMENT {
        let value = field_of(then, field);
        if field_of(now, field) != value && (value.is_some() || field.is_optional()) {
            writes.push(Write::Put(Target::Element(id), field, value));
        }
    }
    if now.text != then.text {
        let (at, delete, insert) = difference(&now.text, &then.text);
        writes.push(Write::Splice { element: id, at, delete, insert });
    }
    writes
}
