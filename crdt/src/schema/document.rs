//! One Automerge document and its guard: reading elements, writing edits, taking in what others wrote. A peer's change is applied to a copy,
//! which takes the place of the document only if all went well (rule 8).

mod read;
mod text;
mod write;

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use automerge::{ActorId, Automerge, Change, ChangeHash, ObjId, ReadDoc};

pub(crate) use self::text::TextChange;
pub(crate) use self::write::{Target, Write};
use crate::edit::EditError;
use crate::id::Actor;
use crate::schema::guard::{Guard, Hash, Parsed, Refusal, Stop, Touched};
use crate::schema::{ELEMENTS, Form, PAGES, TITLE, genesis};

/// Changes that wait for what they build on. Beyond that the oldest go: the op log has them still.
const MAX_WAITING: usize = 4096;
/// Bytes of changes that wait.
const MAX_WAITING_BYTES: usize = 8 * 1024 * 1024;

/// What merging did.
#[derive(Debug, Default)]
pub(crate) struct Merge {
    pub(crate) touched: Touched,
    pub(crate) refused: Vec<(Hash, Refusal)>,
    pub(crate) applied: usize,
}

/// A document.
#[derive(Debug, Clone)]
pub(crate) struct Document {
    automerge: Automerge,
    guard: Guard,
    /// The map of elements, or of pages.
    map: ObjId,
    /// The title of the index.
    title: Option<ObjId>,
    waiting: HashMap<Hash, Vec<Parsed>>,
    waiting_len: usize,
    waiting_bytes: usize,
}

impl Document {
    pub(crate) fn new(form: Form, actor: Actor) -> Result<Self, EditError> {
        let mut automerge = genesis(form).map_err(|_| EditError::Document)?;
        let first = automerge.get_last_local_change().ok_or(EditError::Document)?;
        let object = |key: &str| automerge.get(automerge::ROOT, key).ok().flatten().map(|(_, id)| id);
        let (map, title) = match form {
            Form::Page => (object(ELEMENTS), None),
            Form::Index => (object(PAGES), object(TITLE)),
        };
        let map = map.ok_or(EditError::Document)?;
        automerge.set_actor(ActorId::from(actor.0));
        let guard = Guard::new(form, &first);
        Ok(Self { automerge, guard, map, title, waiting: HashMap::new(), waiting_len: 0, waiting_bytes: 0 })
    }

    /// Takes in changes of others, and of this device's earlier runs, in any order.
    pub(crate) fn merge(&mut self, changes: Vec<(Actor, Vec<u8>)>) -> Merge {
        let mut merge = Merge::default();
        let before = self.guard.len();
        let mut admitted: Vec<Change> = Vec::new();
        let mut touched = Touched::default();
        for (actor, bytes) in changes {
            match Parsed::read(actor, &bytes) {
                Ok(parsed) => self.admit(parsed, &mut admitted, &mut touched, &mut merge),
                Err(refusal) => merge.refused.push(([0; 32], refusal)),
            }
        }
        if admitted.is_empty() {
            return merge;
        }
        match apply(&self.automerge, &admitted) {
            Some(automerge) => {
                self.automerge = automerge;
                merge.applied = admitted.len();
                merge.touched = touched;
            }
            None => self.apply_one_by_one(before, admitted, &mut merge),
        }
        merge
    }

    /// How many changes wait for others.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting_len
    }

    pub(crate) fn heads(&self) -> Vec<ChangeHash> {
        self.automerge.get_heads()
    }

    /// Every change but the genesis, in an order in which each comes after what it builds on.
    pub(crate) fn history(&self) -> impl ExactSizeIterator<Item = (Hash, Actor)> {
        self.guard.history()
    }

    /// The heads after so many of those changes and one.
    pub(crate) fn heads_at(&self, moment: usize) -> Option<Vec<ChangeHash>> {
        Some(self.guard.heads_at(moment)?.into_iter().map(ChangeHash).collect())
    }

    /// The file that Automerge reads, checked to load (rule 8).
    pub(crate) fn save(&self) -> Option<Vec<u8>> {
        guarded(|| self.automerge.save_and_verify().ok())
    }

    fn admit(&mut self, parsed: Parsed, admitted: &mut Vec<Change>, touched: &mut Touched, merge: &mut Merge) {
        let mut queue = vec![parsed];
        while let Some(parsed) = queue.pop() {
            let hash = parsed.hash();
            match self.guard.admit(&parsed) {
                Ok(more) => {
                    touched.extend(more);
                    admitted.push(parsed.change);
                    for woken in self.waiting.remove(&hash).unwrap_or_default() {
                        self.waiting_len -= 1;
                        self.waiting_bytes -= woken.size;
                        queue.push(woken);
                    }
                }
                Err(Stop::Known) => {}
                Err(Stop::Missing(_))
                    if self.waiting_len >= MAX_WAITING || self.waiting_bytes + parsed.size > MAX_WAITING_BYTES =>
                {
                    merge.refused.push((hash, Refusal::QueueFull));
                }
                Err(Stop::Missing(dep)) => {
                    let others = self.waiting.entry(dep).or_default();
                    if others.iter().all(|other| other.hash() != hash) {
                        self.waiting_len += 1;
                        self.waiting_bytes += parsed.size;
                        others.push(parsed);
                    }
                }
                Err(Stop::Refused(refusal)) => merge.refused.push((hash, refusal)),
            }
        }
    }

    /// Automerge failed on something that obeyed every rule: finds what, and goes on without it and what builds on it.
    fn apply_one_by_one(&mut self, before: usize, admitted: Vec<Change>, merge: &mut Merge) {
        let Some(mut rebuilt) = self.without_guard_after(before) else {
            merge.refused.extend(admitted.iter().map(|change| (change.hash().0, Refusal::Unappliable)));
            return;
        };
        for change in admitted {
            let hash = change.hash().0;
            let actor: Result<[u8; 16], _> = change.actor_id().to_bytes().try_into();
            let parsed =
                actor.map_err(|_| Refusal::ForeignActor).and_then(|actor| Parsed::read(Actor(actor), change.raw_bytes()));
            let guard = rebuilt.guard.clone();
            let judged = parsed.map_err(Stop::from).and_then(|parsed| rebuilt.guard.admit(&parsed));
            match (judged, apply(&rebuilt.automerge, &[change])) {
                (Ok(touched), Some(automerge)) => {
                    rebuilt.automerge = automerge;
                    merge.touched.extend(touched);
                    merge.applied += 1;
                }
                (Ok(_), None) => {
                    rebuilt.guard = guard;
                    merge.refused.push((hash, Refusal::Unappliable));
                }
                (Err(_), _) => merge.refused.push((hash, Refusal::Unappliable)),
            }
        }
        self.guard = rebuilt.guard;
        self.automerge = rebuilt.automerge;
    }

    /// This document, with a guard that knows what is in it and no more.
    fn without_guard_after(&self, before: usize) -> Option<Self> {
        let changes = catch_unwind(AssertUnwindSafe(|| self.automerge.get_changes(&[]))).ok()?;
        let form = if self.title.is_some() { Form::Index } else { Form::Page };
        let mut fresh = Self::new(form, Actor::GENESIS).ok()?;
        for change in changes.iter().skip(1) {
            let actor: [u8; 16] = change.actor_id().to_bytes().try_into().ok()?;
            fresh.guard.admit(&Parsed::read(Actor(actor), change.raw_bytes()).ok()?).ok()?;
        }
        (fresh.guard.len() == before).then(|| Self { automerge: self.automerge.clone(), ..fresh })
    }
}

/// A copy with changes applied, or `None` where that failed.
fn apply(automerge: &Automerge, changes: &[Change]) -> Option<Automerge> {
    guarded(|| {
        let mut copy = automerge.clone();
        copy.apply_changes(changes.iter().cloned()).ok()?;
        changes.iter().all(|change| copy.get_change_meta_by_hash(&change.hash()).is_some()).then_some(copy)
    })
}

/// A panic is nothing.
fn guarded<T>(work: impl FnOnce() -> Option<T>) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).ok().flatten()
}

#[cfg(test)]
mod tests {
    use automerge::transaction::{CommitOptions, Transactable};
    use automerge::{AutoCommit, ObjType};

    use super::*;
    use crate::id::ElementId;

    /// Two changes of one member, the second on the first.
    fn two(document: &Document, actor: Actor) -> Vec<(Actor, Vec<u8>)> {
        let mut theirs = AutoCommit::load(&document.automerge.save()).unwrap().with_actor(ActorId::from(actor.0));
        let mut changes = Vec::new();
        for number in [1, 2] {
            let (_, elements) = theirs.get(automerge::ROOT, ELEMENTS).unwrap().unwrap();
            let element = theirs.put_object(&elements, ElementId::from_random(number).as_str(), ObjType::Map).unwrap();
            for (key, value) in [("k", 1u64.into()), ("z", automerge::ScalarValue::Str("V".into()))] {
                theirs.put(&element, key, value).unwrap();
            }
            let transform = crate::Transform::new(0.0, 0.0, 1.0, 1.0).encode();
            theirs.put(&element, "m", transform).unwrap();
            theirs.put(&element, "s", crate::Style::default().encode()).unwrap();
            theirs.commit_with(CommitOptions::default().with_time(0));
            changes.push((actor, theirs.get_last_local_change().unwrap().raw_bytes().to_vec()));
        }
        changes
    }

    #[test]
    fn rule_8_what_automerge_does_not_take_is_refused_and_leaves_the_document_as_it_was() {
        let mallory = Actor([66; 16]);
        let mut document = Document::new(Form::Page, Actor([1; 16])).unwrap();
        let before = document.automerge.clone();
        let mut letters = two(&document, mallory);
        let second = letters.pop().unwrap();
        assert_eq!(document.merge(letters).applied, 1);
        // Every other rule is obeyed, and still it cannot be applied: what it builds on is not in the document that Automerge has.
        document.automerge = before;
        let heads = document.heads();
        let merged = document.merge(vec![second]);
        assert_eq!(merged.applied, 0);
        assert_eq!(merged.refused.iter().map(|(_, refusal)| *refusal).collect::<Vec<_>>(), [Refusal::Unappliable]);
        assert_eq!(document.heads(), heads);
        assert!(merged.touched.elements.is_empty());
        let saved = document.save().expect("it saves");
        assert!(Automerge::load(&saved).is_ok_and(|loaded| loaded.get_heads() == heads), "with nothing waiting in it");
    }

    #[test]
    fn rule_8_a_panic_while_applying_is_a_refusal() {
        let document = Document::new(Form::Page, Actor([1; 16])).unwrap();
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(|_| ()));
        let applied = guarded(|| -> Option<Automerge> { panic!("as Automerge has been seen to") });
        std::panic::set_hook(usual);
        assert!(applied.is_none());
        assert!(guarded(|| Some(document.automerge.clone())).is_some());
    }
}
