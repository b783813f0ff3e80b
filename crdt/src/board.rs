//! A board: its pages, what a person does to them, what others did. All of it is a function of the changes taken in, whatever their order.

mod pages;
mod time;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

pub use self::time::{ChangeId, Moment};
use crate::batch::Change;
use crate::edit::{Edit, EditError, MAX_EDITS};
use crate::id::{Actor, DocId, ElementId, PageId};
use crate::order::Chance;
use crate::schema::Form;
use crate::schema::document::{Document, Write};
use crate::schema::guard::{Refusal, Touched};
use crate::shape::Element;
use crate::stage::Stage;
use crate::undo::{Step, Undo};
use crate::view::{PageDelta, PageView};

/// Most documents of one board: each page has one, and one more for each time it was compacted.
pub const MAX_DOCUMENTS: usize = 1024;
/// Changes of documents that no page names yet; beyond that they are refused.
const MAX_EARLY: usize = 1024;

/// A page as the board lists it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct PageInfo {
    /// Which.
    pub page: PageId,
    /// As people read it; empty where nobody gave it a name.
    pub name: String,
    /// How many elements are on it.
    pub elements: usize,
}

/// What an edit or a merge changed for whoever looks at the board.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Changed {
    /// The title or the list of pages.
    pub pages: bool,
    /// What changed on pages. A page that is new, or has another document than before, is to be read whole.
    pub deltas: Vec<PageDelta>,
}

impl Changed {
    /// Nothing did.
    pub fn is_empty(&self) -> bool {
        !self.pages && self.deltas.is_empty()
    }
}

/// What merging did.
#[derive(Debug, Default)]
pub struct Merged {
    /// What is different now.
    pub changed: Changed,
    /// How many changes were taken in.
    pub applied: usize,
    /// How many were not, by reason.
    pub refused: BTreeMap<Refusal, usize>,
}

impl Merged {
    /// Somebody has two changes with one number, so that which one counts depends on which came first: the board is to be built anew from all
    /// changes in the order everyone shares.
    pub fn is_forked(&self) -> bool {
        self.refused.contains_key(&Refusal::Forked)
    }

    fn refuse(&mut self, refusal: Refusal) {
        *self.refused.entry(refusal).or_default() += 1;
    }
}

/// A board.
#[derive(Debug, Clone)]
pub struct Board {
    actor: Actor,
    index: Document,
    documents: HashMap<DocId, Sheet>,
    pages: Vec<PageEntry>,
    early: Vec<(Actor, Change)>,
    outbox: Vec<Change>,
    undo: Undo,
    chance: Chance,
}

/// A document of a page and what it shows.
#[derive(Debug, Clone)]
struct Sheet {
    document: Document,
    view: PageView,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct PageEntry {
    page: PageId,
    name: String,
    z: crate::OrderKey,
    document: DocId,
}

impl Board {
    /// As it is before anyone drew: one empty page, the same for everybody. `actor` must be new in each run of the program; `seed` is chance for
    /// places in the z-order.
    pub fn new(actor: Actor, seed: u64) -> Result<Self, EditError> {
        let mut board = Self {
            actor,
            index: Document::new(Form::Index, actor)?,
            documents: HashMap::new(),
            pages: Vec::new(),
            early: Vec::new(),
            outbox: Vec::new(),
            undo: Undo::default(),
            chance: Chance::new(seed),
        };
        board.make_document(DocId::FIRST)?;
        board.list_pages();
        Ok(board)
    }

    /// Who writes here.
    pub fn actor(&self) -> Actor {
        self.actor
    }

    /// What the board is called; empty where nobody gave it a title.
    pub fn title(&self) -> String {
        self.index.title()
    }

    /// The pages, in order.
    pub fn pages(&self) -> Vec<PageInfo> {
        let info = |entry: &PageEntry| PageInfo {
            page: entry.page,
            name: entry.name.clone(),
            elements: self.documents.get(&entry.document).map_or(0, |sheet| sheet.view.len()),
        };
        self.pages.iter().map(info).collect()
    }

    /// What stands on a page.
    pub fn page(&self, page: PageId) -> Option<&PageView> {
        self.sheet(page).map(|sheet| &sheet.view)
    }

    /// Does a step on a page: all of it, or nothing. Steps of one `gesture` other than 0 are undone together.
    pub fn edit(&mut self, page: PageId, edits: &[Edit], gesture: u64) -> Result<Changed, EditError> {
        if edits.len() > MAX_EDITS {
            return Err(EditError::TooLong);
        }
        let sheet = self.pages.iter().find(|entry| entry.page == page).and_then(|entry| self.documents.get(&entry.document));
        let mut stage = Stage::new(&sheet.ok_or(EditError::UnknownPage)?.view, &mut self.chance);
        for edit in edits {
            stage.edit(edit)?;
        }
        let writes = stage.writes;
        let (changed, step) = self.write_page(page, writes)?;
        if let Some(step) = step {
            self.undo.did(step, gesture);
        }
        Ok(changed)
    }

    /// There is something of this person's to undo.
    pub fn can_undo(&self) -> bool {
        self.undo.can_undo()
    }

    /// There is something undone to do again.
    pub fn can_redo(&self) -> bool {
        self.undo.can_redo()
    }

    /// Takes back the last step done here, where nobody else has changed the same since. Steps of which nothing is left are passed over.
    pub fn undo(&mut self) -> Result<Changed, EditError> {
        while let Some(step) = self.undo.pop_undo() {
            let (changed, reverse) = self.revert(&step)?;
            if let Some(reverse) = reverse {
                self.undo.undid(reverse);
                return Ok(changed);
            }
        }
        Ok(Changed::default())
    }

    /// Does again what was undone last.
    pub fn redo(&mut self) -> Result<Changed, EditError> {
        while let Some(step) = self.undo.pop_redo() {
            let (changed, reverse) = self.revert(&step)?;
            if let Some(reverse) = reverse {
                self.undo.redid(reverse);
                return Ok(changed);
            }
        }
        Ok(Changed::default())
    }

    /// The changes made here since the last time, to be signed and sent.
    pub fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.outbox)
    }

    /// Takes in changes in any order. `Actor` is whoever signed them.
    pub fn merge(&mut self, changes: Vec<(Actor, Change)>) -> Merged {
        let mut merged = Merged::default();
        let (of_index, mut of_pages): (Vec<_>, Vec<_>) =
            changes.into_iter().partition(|(_, change)| change.document == DocId::INDEX);
        if !of_index.is_empty() {
            let merge = self.index.merge(of_index.into_iter().map(|(actor, change)| (actor, change.bytes)).collect());
            merged.applied += merge.applied;
            merge.refused.iter().for_each(|(_, refusal)| merged.refuse(*refusal));
            self.follow_index(merge.touched, &mut merged.changed);
            of_pages.append(&mut self.early);
        }
        let mut by_document: BTreeMap<DocId, Vec<(Actor, Vec<u8>)>> = BTreeMap::new();
        for (actor, change) in of_pages {
            if self.documents.contains_key(&change.document) {
                by_document.entry(change.document).or_default().push((actor, change.bytes));
            } else if self.early.len() < MAX_EARLY {
                self.early.push((actor, change));
            } else {
                merged.refuse(Refusal::UnknownDocument);
            }
        }
        for (id, changes) in by_document {
            let Some(sheet) = self.documents.get_mut(&id) else { continue };
            let merge = sheet.document.merge(changes);
            merged.applied += merge.applied;
            merge.refused.iter().for_each(|(_, refusal)| merged.refuse(*refusal));
            self.show(id, &merge.touched.elements, &mut merged.changed);
        }
        merged
    }

    /// How many changes wait for others that did not come yet.
    pub fn waiting(&self) -> usize {
        let of_pages: usize = self.documents.values().map(|sheet| sheet.document.waiting()).sum();
        self.index.waiting() + of_pages + self.early.len()
    }

    /// A page as the file that Automerge itself reads.
    pub fn save_page(&self, page: PageId) -> Option<Vec<u8>> {
        self.sheet(page)?.document.save()
    }

    /// What identifies the state of a page: equal wherever the same changes were taken in.
    pub fn page_heads(&self, page: PageId) -> Vec<ChangeId> {
        let heads = self.sheet(page).map(|sheet| sheet.document.heads()).unwrap_or_default();
        heads.into_iter().map(|hash| ChangeId(hash.0)).collect()
    }

    fn entry(&self, page: PageId) -> Option<&PageEntry> {
        self.pages.iter().find(|entry| entry.page == page)
    }

    fn sheet(&self, page: PageId) -> Option<&Sheet> {
        self.documents.get(&self.entry(page)?.document)
    }

    fn make_document(&mut self, id: DocId) -> Result<(), EditError> {
        if !self.documents.contains_key(&id) {
            if self.documents.len() >= MAX_DOCUMENTS {
                return Err(EditError::Full);
            }
            let document = Document::new(Form::Page, self.actor)?;
            self.documents.insert(id, Sheet { document, view: PageView::default() });
        }
        Ok(())
    }

    /// Writes to a page and says how to take it back.
    fn write_page(&mut self, page: PageId, writes: Vec<Write>) -> Result<(Changed, Option<Step>), EditError> {
        let id = self.entry(page).ok_or(EditError::UnknownPage)?.document;
        let sheet = self.documents.get_mut(&id).ok_or(EditError::UnknownPage)?;
        let mut changed = Changed::default();
        if writes.is_empty() {
            return Ok((changed, None));
        }
        let written = sheet.document.write(writes);
        // What was written before something failed stands.
        let written = written?;
        let before: Vec<(ElementId, Option<Arc<Element>>)> =
            written.touched.elements.iter().map(|id| (*id, sheet.view.get(id).cloned())).collect();
        self.outbox.extend(written.changes.into_iter().map(|bytes| Change { document: id, bytes }));
        self.show(id, &written.touched.elements, &mut changed);
        let Some(sheet) = self.documents.get(&id) else { return Ok((changed, None)) };
        let elements = before.into_iter().map(|(id, before)| (id, before, sheet.view.get(&id).cloned())).collect();
        let step = Step::Page { page, elements, texts: written.texts };
        Ok((changed, Some(step)))
    }

    /// Reads again what was touched.
    fn show(&mut self, id: DocId, touched: &BTreeSet<ElementId>, changed: &mut Changed) {
        let Some(sheet) = self.documents.get_mut(&id) else { return };
        let mut delta = PageDelta { page: PageId::FIRST, changed: Vec::new(), removed: Vec::new() };
        for element in touched {
            match sheet.document.element(*element, None) {
                Some(now) if sheet.view.get(element).is_some_and(|before| **before == now) => {}
                Some(now) => delta.changed.push(Arc::new(now)),
                None if sheet.view.get(element).is_some() => delta.removed.push(*element),
                None => {}
            }
        }
        if delta.is_empty() {
            return;
        }
        sheet.view.apply(&delta);
        for entry in self.pages.iter().filter(|entry| entry.document == id) {
            changed.deltas.push(PageDelta { page: entry.page, ..delta.clone() });
        }
        changed.pages |= !changed.deltas.is_empty();
    }

    /// Documents for what the index names now, and the list of pages.
    fn follow_index(&mut self, touched: Touched, changed: &mut Changed) {
        for document in touched.documents {
            // A board with too many documents shows no more pages: told by the page that stays empty.
            let _ = self.make_document(document);
        }
        if touched.index {
            self.list_pages();
            changed.pages = true;
        }
    }

    fn list_pages(&mut self) {
        let listed = self.index.pages().into_iter().filter(|listed| self.documents.contains_key(&listed.document));
        self.pages = listed
            .map(|listed| PageEntry { page: listed.page, name: listed.name, z: listed.z, document: listed.document })
            .collect();
    }

    fn revert(&mut self, step: &Step) -> Result<(Changed, Option<Step>), EditError> {
        match step {
            Step::Page { page, .. } => {
                let Some(sheet) = self.sheet(*page) else { return Ok((Changed::default(), None)) };
                let writes = step.reverse(self.actor, &sheet.document, &sheet.view);
                self.write_page(*page, writes)
            }
            Step::Index { .. } => self.revert_index(step),
        }
    }
}
