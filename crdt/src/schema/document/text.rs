//! Text that several write at once: splices, and how one's own are taken back among those of others.

use automerge::transaction::{Transactable, Transaction};
use automerge::{AutomergeError, Cursor, ObjId, ReadDoc};

use crate::id::ElementId;

/// A splice of one's own, as undo needs it: characters are named, not counted, since others write around them.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TextChange {
    pub(crate) element: ElementId,
    /// The text itself: an element that was brought back has another.
    pub(crate) object: ObjId,
    /// What was taken away.
    pub(crate) deleted: String,
    /// What was put there, character by character.
    pub(crate) inserted: Vec<Cursor>,
    /// What came after it, or the end.
    after: Option<Cursor>,
}

/// Changes a text in place and says how to take that back.
pub(super) fn splice(
    change: &mut Transaction<'_>,
    text: &ObjId,
    element: ElementId,
    at: usize,
    delete: usize,
    insert: &str,
) -> Result<TextChange, AutomergeError> {
    let old = change.text(text)?;
    let deleted: String = old.chars().skip(at).take(delete).collect();
    let length = change.length(text);
    let after = if at + delete < length { change.get_cursor(text, at + delete, None).ok() } else { None };
    change.splice_text(text, at, isize::try_from(delete).unwrap_or(0), insert)?;
    let count = insert.chars().count();
    let inserted = (at..at + count).map(|place| change.get_cursor(text, place, None)).collect::<Result<_, _>>()?;
    Ok(TextChange { element, object: text.clone(), deleted, inserted, after })
}

/// Takes a change of text back: what of it still stands goes, what it took away returns. Each splice done says in turn how to take it back.
pub(super) fn take_back(change: &mut Transaction<'_>, text: &ObjId, old: &TextChange) -> Result<Vec<TextChange>, AutomergeError> {
    let mut done = Vec::new();
    for (at, delete, insert) in reverse(change, text, old) {
        done.push(splice(change, text, old.element, at, delete, &insert)?);
    }
    Ok(done)
}

/// The splices that take a change back, from the last place to the first.
fn reverse(document: &Transaction<'_>, text: &ObjId, change: &TextChange) -> Vec<(usize, usize, String)> {
    let place = |cursor: &Cursor| document.get_cursor_position(text, cursor, None).ok();
    let mut standing: Vec<usize> = change
        .inserted
        .iter()
        .filter_map(|cursor| {
            let at = place(cursor)?;
            // A character that is gone answers with the place of its neighbour.
            (document.get_cursor(text, at, None).ok()? == *cursor).then_some(at)
        })
        .collect();
    standing.sort_unstable();
    standing.dedup();
    let end = document.length(text);
    let back = standing.first().copied().or_else(|| change.after.as_ref().map_or(Some(end), place));
    let mut splices: Vec<(usize, usize, String)> = Vec::new();
    for at in standing {
        match splices.last_mut() {
            Some((first, count, _)) if *first + *count == at => *count += 1,
            _ => splices.push((at, 1, String::new())),
        }
    }
    if !change.deleted.is_empty()
        && let Some(back) = back
    {
        match splices.first_mut() {
            Some((_, _, insert)) => insert.clone_from(&change.deleted),
            None => splices.push((back.min(end), 0, change.deleted.clone())),
        }
    }
    splices.reverse();
    splices
}
