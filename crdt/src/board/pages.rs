//! The list of pages and the title: what a person does to them.

use super::{Board, Changed, MAX_DOCUMENTS, PageEntry};
use crate::batch::Change;
use crate::edit::{EditError, PageEdit};
use crate::id::{DocId, PageId};
use crate::order::OrderKey;
use crate::schema::document::{Target, Write};
use crate::schema::{Field, Value, is_name};
use crate::undo::{PageState, Step};

impl Board {
    /// Does one step on the list of pages.
    pub fn edit_pages(&mut self, edit: &PageEdit) -> Result<Changed, EditError> {
        let writes = self.page_writes(edit)?;
        let (changed, step) = self.write_index(writes)?;
        if let Some(step) = step {
            self.undo.did(step, 0);
        }
        Ok(changed)
    }

    pub(super) fn revert_index(&mut self, step: &Step) -> Result<(Changed, Option<Step>), EditError> {
        let writes = step.reverse_index(self.actor, &self.index, &self.page_states(), &self.title());
        self.write_index(writes)
    }

    fn page_writes(&mut self, edit: &PageEdit) -> Result<Vec<Write>, EditError> {
        let text =
            |field: Field, page: PageId, text: &str| Write::Put(Target::Page(page), field, Some(Value::Text(text.to_owned())));
        match edit {
            PageEdit::AddPage { page, name } => {
                check_name(name)?;
                if self.entry(*page).is_some() {
                    return Err(EditError::IdInUse);
                }
                let document: DocId = page.as_str().parse().map_err(|_| EditError::IdInUse)?;
                if self.documents.contains_key(&document) || document == DocId::INDEX {
                    return Err(EditError::IdInUse);
                }
                if self.documents.len() >= MAX_DOCUMENTS {
                    return Err(EditError::Full);
                }
                let z =
                    OrderKey::between(self.pages.last().map(|entry| &entry.z), None, &mut self.chance).ok_or(EditError::Full)?;
                Ok(vec![
                    Write::Make(Target::Page(*page)),
                    text(Field::Order, *page, z.as_str()),
                    text(Field::Name, *page, name),
                    text(Field::Document, *page, document.as_str()),
                ])
            }
            PageEdit::RenamePage { page, name } => {
                check_name(name)?;
                let entry = self.entry(*page).ok_or(EditError::UnknownPage)?;
                Ok(if entry.name == *name { Vec::new() } else { vec![text(Field::Name, *page, name)] })
            }
            PageEdit::MovePage { page, before } => {
                self.entry(*page).ok_or(EditError::UnknownPage)?;
                let others: Vec<&PageEntry> = self.pages.iter().filter(|entry| entry.page != *page).collect();
                let at = match before {
                    None => others.len(),
                    Some(before) => others.iter().position(|entry| entry.page == *before).ok_or(EditError::UnknownPage)?,
                };
                let below = at.checked_sub(1).and_then(|at| others.get(at)).map(|entry| &entry.z);
                let above = others.get(at).map(|entry| &entry.z);
                let z = OrderKey::between(below, above, &mut self.chance).ok_or(EditError::Full)?;
                Ok(vec![text(Field::Order, *page, z.as_str())])
            }
            PageEdit::DeletePage { page } => {
                self.entry(*page).ok_or(EditError::UnknownPage)?;
                if self.pages.len() == 1 {
                    return Err(EditError::LastPage);
                }
                Ok(vec![Write::Remove(Target::Page(*page))])
            }
            PageEdit::Title { title } => {
                check_name(title)?;
                Ok(if self.title() == *title { Vec::new() } else { vec![Write::Title(title.clone())] })
            }
        }
    }

    fn write_index(&mut self, writes: Vec<Write>) -> Result<(Changed, Option<Step>), EditError> {
        let mut changed = Changed::default();
        if writes.is_empty() {
            return Ok((changed, None));
        }
        let (before, title_before) = (self.page_states(), self.title());
        let written = self.index.write(writes)?;
        self.outbox.extend(written.changes.into_iter().map(|bytes| Change { document: DocId::INDEX, bytes }));
        self.follow_index(written.touched, &mut changed);
        let step = Step::index(before, self.page_states(), title_before, self.title());
        Ok((changed, Some(step)))
    }

    fn page_states(&self) -> Vec<PageState> {
        let state = |entry: &PageEntry| PageState {
            page: entry.page,
            z: entry.z.as_str().to_owned(),
            name: entry.name.clone(),
            document: entry.document.to_string(),
        };
        self.pages.iter().map(state).collect()
    }
}

fn check_name(name: &str) -> Result<(), EditError> {
    if name.len() > crate::MAX_NAME {
        Err(EditError::TooLong)
    } else if is_name(name) {
        Ok(())
    } else {
        Err(EditError::BadText)
    }
}
