//! Undo and redo of one's own steps: a field goes back only where it still says what this person wrote, so that nobody's undo takes back what
//! somebody else did.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::id::{Actor, ElementId, PageId};
use crate::schema::document::{Document, Target, TextChange, Write};
use crate::schema::{Field, Value};
use crate::shape::Element;
use crate::stage::{difference, field_of, writes_of};
use crate::view::PageView;

/// Steps that can be undone. The oldest go first.
const MAX_STEPS: usize = 500;

/// A page's entry in the index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PageState {
    pub(crate) page: PageId,
    pub(crate) z: String,
    pub(crate) name: String,
    pub(crate) document: String,
}

impl PageState {
    fn fields(&self) -> [(Field, &str); 3] {
        [(Field::Order, &self.z), (Field::Name, &self.name), (Field::Document, &self.document)]
    }
}

/// Something done, as before and after.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Page { page: PageId, elements: Vec<(ElementId, Option<Arc<Element>>, Option<Arc<Element>>)>, texts: Vec<TextChange> },
    Index { pages: Vec<(PageId, Option<PageState>, Option<PageState>)>, title: Option<(String, String)> },
}

impl Step {
    pub(crate) fn index(before: Vec<PageState>, after: Vec<PageState>, title_before: String, title_after: String) -> Self {
        let find = |states: &[PageState], page: PageId| states.iter().find(|state| state.page == page).cloned();
        let mut ids: Vec<PageId> = before.iter().chain(&after).map(|state| state.page).collect();
        ids.sort_unstable();
        ids.dedup();
        let pages = ids.into_iter().map(|page| (page, find(&before, page), find(&after, page)));
        let pages = pages.filter(|(_, before, after)| before != after).collect();
        Self::Index { pages, title: (title_before != title_after).then_some((title_before, title_after)) }
    }

    /// The writes that take a step on a page back, where it is still this person's.
    pub(crate) fn reverse(&self, me: Actor, document: &Document, view: &PageView) -> Vec<Write> {
        let Self::Page { elements, texts, .. } = self else { return Vec::new() };
        let mut writes = Vec::new();
        for (id, before, after) in elements {
            let now = view.get(id);
            match (before, after) {
                (None, Some(_)) if now.is_some() && document.maker(*id) == Some(me) => {
                    writes.push(Write::Remove(Target::Element(*id)));
                }
                (Some(before), None) if now.is_none() => writes.extend(writes_of(before)),
                (Some(before), Some(after)) => {
                    let Some(now) = now else { continue };
                    for field in Field::OF_ELEMENT {
                        let (old, new) = (field_of(before, field), field_of(after, field));
                        let mine =
                            || field_of(now, field) == new && document.writer(*id, field).is_none_or(|writer| writer == me);
                        if old != new && mine() {
                            writes.push(Write::Put(Target::Element(*id), field, old));
                        }
                    }
                }
                _ => {}
            }
        }
        // Where the element itself comes or goes, its text comes and goes with it.
        let whole =
            |id: &ElementId| elements.iter().any(|(other, before, after)| other == id && (before.is_none() || after.is_none()));
        for text in texts.iter().rev().filter(|text| !whole(&text.element) && document.has_text_of(text)) {
            writes.push(Write::TakeBack(text.clone()));
        }
        for (id, before, after) in elements {
            let (Some(before), Some(after), Some(now)) = (before, after, view.get(id)) else { continue };
            // It was taken away and brought back in between, and its characters have other names now.
            let renamed = texts.iter().any(|text| text.element == *id && !document.has_text_of(text));
            if renamed && now.text == after.text {
                let (at, delete, insert) = difference(&now.text, &before.text);
                writes.push(Write::Splice { element: *id, at, delete, insert });
            }
        }
        writes
    }

    /// The writes that take a step on the list of pages back.
    pub(crate) fn reverse_index(&self, me: Actor, index: &Document, now: &[PageState], title: &str) -> Vec<Write> {
        let Self::Index { pages, title: titles } = self else { return Vec::new() };
        let put =
            |page: PageId, field: Field, text: &str| Write::Put(Target::Page(page), field, Some(Value::Text(text.to_owned())));
        let mut writes = Vec::new();
        for (page, before, after) in pages {
            let current = now.iter().find(|state| state.page == *page);
            match (before, after) {
                (None, Some(_)) if current.is_some() && now.len() > 1 => writes.push(Write::Remove(Target::Page(*page))),
                (Some(before), None) if current.is_none() => {
                    writes.push(Write::Make(Target::Page(*page)));
                    writes.extend(before.fields().map(|(field, text)| put(*page, field, text)));
                }
                (Some(before), Some(after)) => {
                    let Some(current) = current else { continue };
                    for (((field, old), (_, new)), (_, now)) in
                        before.fields().into_iter().zip(after.fields()).zip(current.fields())
                    {
                        if old != new && now == new && index.page_writer(*page, field) == Some(me) {
                            writes.push(put(*page, field, old));
                        }
                    }
                }
                _ => {}
            }
        }
        if let Some((before, after)) = titles
            && title == after
        {
            writes.push(Write::Title(before.clone()));
        }
        writes
    }

    /// One step out of two of the same gesture.
    fn join(&mut self, next: Self) -> Option<Self> {
        match (self, next) {
            (Self::Page { page, elements, texts }, Self::Page { page: other, elements: more, texts: new }) if *page == other => {
                for (id, before, after) in more {
                    match elements.iter_mut().find(|(known, ..)| *known == id) {
                        Some((.., last)) => *last = after,
                        None => elements.push((id, before, after)),
                    }
                }
                texts.extend(new);
                None
            }
            (_, next) => Some(next),
        }
    }
}

/// What can be undone and done again.
#[derive(Debug, Clone, Default)]
pub(crate) struct Undo {
    done: VecDeque<Step>,
    undone: Vec<Step>,
    gesture: u64,
}

impl Undo {
    pub(crate) fn did(&mut self, step: Step, gesture: u64) {
        self.undone.clear();
        let continues = gesture != 0 && gesture == self.gesture;
        self.gesture = gesture;
        let rest = match self.done.back_mut() {
            Some(last) if continues => last.join(step),
            _ => Some(step),
        };
        self.push(rest);
    }

    pub(crate) fn can_undo(&self) -> bool {
        !self.done.is_empty()
    }

    pub(crate) fn can_redo(&self) -> bool {
        !self.undone.is_empty()
    }

    pub(crate) fn pop_undo(&mut self) -> Option<Step> {
        self.gesture = 0;
        self.done.pop_back()
    }

    pub(crate) fn pop_redo(&mut self) -> Option<Step> {
        self.gesture = 0;
        self.undone.pop()
    }

    pub(crate) fn undid(&mut self, reverse: Step) {
        self.undone.push(reverse);
    }

    pub(crate) fn redid(&mut self, reverse: Step) {
        self.push(Some(reverse));
    }

    fn push(&mut self, step: Option<Step>) {
        self.done.extend(step);
        while self.done.len() > MAX_STEPS {
            self.done.pop_front();
        }
    }
}
