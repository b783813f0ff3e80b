//! Rules 1 to 7 on a peer's change, before Automerge sees it. A verdict depends on the change and its causal past alone, so that everyone
//! judges alike in every order of delivery. Nothing here may trust a number that a peer wrote.

mod operation;
mod past;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};

use automerge::{Change, ExpandedChange};

use crate::id::{Actor, DocId, ElementId, PageId};
use crate::schema::{Field, Form};

/// Longest change, in bytes.
pub const MAX_CHANGE: usize = 64 * 1024;
/// Most operations of one change.
pub const MAX_OPS: usize = 4096;
/// Most changes that one change names as what it builds on.
const MAX_DEPS: usize = 256;
const MAGIC: [u8; 4] = [0x85, 0x6f, 0x4a, 0x83];
/// Where the type of a chunk lies, after the magic and the checksum.
const TYPE_AT: usize = 8;
const TYPE_CHANGE: u8 = 1;

pub(crate) type Hash = [u8; 32];

/// Why a change was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, thiserror::Error)]
pub enum Refusal {
    /// Not an uncompressed change chunk of at most [`MAX_CHANGE`] bytes (rule 1).
    #[error("not an uncompressed change")]
    NotAChange,
    /// Of another actor than its signer's (rule 2).
    #[error("the actor is not the signer's")]
    ForeignActor,
    /// The number is not the next of its actor, or it does not build on the one before (rule 2).
    #[error("out of sequence")]
    OutOfSequence,
    /// The actor has another change with this number (rule 2).
    #[error("the actor has two changes with one number")]
    Forked,
    /// Too much waits for changes that did not come (rule 3).
    #[error("too much waits for what it builds on")]
    QueueFull,
    /// Its first operation has another number than what it builds on calls for, or there are too many (rule 4).
    #[error("wrong operation numbers")]
    BadCounter,
    /// It refers to what does not exist, or is not in its past (rule 5).
    #[error("refers to what is not in its past")]
    BadReference,
    /// Decoding and encoding again gives other bytes (rule 6).
    #[error("not in its one form")]
    NotCanonical,
    /// An operation, key or value that the schema does not know (rule 7).
    #[error("not what the schema allows")]
    Schema,
    /// Automerge failed on it (rule 8).
    #[error("cannot be applied")]
    Unappliable,
    /// Of a document this board does not have.
    #[error("no such document")]
    UnknownDocument,
}

/// A change that obeys the rules which need no document.
#[derive(Debug, Clone)]
pub(crate) struct Parsed {
    pub(crate) change: Change,
    pub(crate) expanded: ExpandedChange,
    pub(crate) actor: Actor,
    pub(crate) size: usize,
}

impl Parsed {
    /// Rules 1, 2 in part, 4 in part and 6.
    pub(crate) fn read(signer: Actor, bytes: &[u8]) -> Result<Self, Refusal> {
        if bytes.len() > MAX_CHANGE || bytes.get(..4) != Some(&MAGIC) || bytes.get(TYPE_AT) != Some(&TYPE_CHANGE) {
            return Err(Refusal::NotAChange);
        }
        // Reading alone has been seen to panic on mutated changes.
        let read = catch_unwind(AssertUnwindSafe(|| {
            let change = Change::from_bytes(bytes.to_vec()).map_err(|_| Refusal::NotAChange)?;
            if change.actor_id().to_bytes() != signer.0 || signer == Actor::GENESIS {
                return Err(Refusal::ForeignActor);
            }
            if change.is_empty() || change.len() > MAX_OPS {
                return Err(Refusal::BadCounter);
            }
            if change.message().is_some() || change.timestamp() != 0 || !change.extra_bytes().is_empty() {
                return Err(Refusal::Schema);
            }
            if change.deps().is_empty() || change.deps().len() > MAX_DEPS {
                return Err(Refusal::BadReference);
            }
            let expanded = change.decode();
            if Change::from(expanded.clone()).raw_bytes() != bytes {
                return Err(Refusal::NotCanonical);
            }
            Ok((change, expanded))
        }));
        let (change, expanded) = read.unwrap_or(Err(Refusal::NotAChange))?;
        Ok(Self { change, expanded, actor: signer, size: bytes.len() })
    }

    pub(crate) fn hash(&self) -> Hash {
        self.change.hash().0
    }
}

/// An operation's name: number, and actor by its place among the actors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct OpRef {
    actor: u32,
    counter: u64,
}

/// A change in its place.
#[derive(Debug, Clone)]
struct Node {
    hash: Hash,
    actor: u32,
    start: u64,
    max: u64,
    /// All lower than its own place.
    deps: Vec<u32>,
}

/// What an object of the document is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Object {
    Root,
    Elements,
    Pages,
    Element(ElementId),
    PageEntry(PageId),
    /// The text of an element.
    Text(ElementId),
    Title,
}

#[derive(Debug, Clone)]
struct Entry {
    object: Object,
    /// The change that made it.
    node: u32,
    /// Every operation on a field, in the order in which they came.
    fields: Vec<(Field, OpRef)>,
}

/// What a change touches.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Touched {
    pub(crate) elements: BTreeSet<ElementId>,
    /// The title or a page's entry.
    pub(crate) index: bool,
    /// Documents that a page's entry names.
    pub(crate) documents: BTreeSet<DocId>,
}

impl Touched {
    pub(crate) fn extend(&mut self, other: Self) {
        self.elements.extend(other.elements);
        self.index |= other.index;
        self.documents.extend(other.documents);
    }
}

/// What a change needs before it can be judged, or why it never will be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stop {
    /// A change that is not here.
    Missing(Hash),
    /// It is here already.
    Known,
    Refused(Refusal),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// What is known of a document's changes, enough to judge the next: about 300 bytes an element.
#[derive(Debug, Clone)]
pub(crate) struct Guard {
    form: Form,
    nodes: Vec<Node>,
    by_hash: HashMap<Hash, u32>,
    heads: BTreeSet<u32>,
    actors: HashMap<Actor, u32>,
    /// By actor: its changes in sequence.
    chains: Vec<Vec<u32>>,
    entries: Vec<Entry>,
    objects: HashMap<OpRef, u32>,
    /// Operations on the maps of elements and pages, by key.
    elements: HashMap<ElementId, Vec<OpRef>>,
    pages: HashMap<PageId, Vec<OpRef>>,
    /// Runs of inserted characters: first → last and the text they stand in.
    inserts: BTreeMap<OpRef, (u64, u32)>,
}

impl Guard {
    /// With the genesis in it, which is no peer's and obeys no rule but the schema's shape.
    pub(crate) fn new(form: Form, genesis: &Change) -> Self {
        let mut guard = Self {
            form,
            nodes: Vec::new(),
            by_hash: HashMap::new(),
            heads: BTreeSet::new(),
            actors: HashMap::new(),
            chains: Vec::new(),
            entries: vec![Entry { object: Object::Root, node: 0, fields: Vec::new() }],
            objects: HashMap::new(),
            elements: HashMap::new(),
            pages: HashMap::new(),
            inserts: BTreeMap::new(),
        };
        guard.link(genesis.hash().0, Actor::GENESIS, 1, genesis.max_op(), Vec::new());
        let past = guard.past(&[]);
        let mut session = operation::Session::new(0, 1, true);
        for op in &genesis.decode().operations {
            // The genesis is ours: were it refused, nothing would work, and every test would say so.
            let _ = guard.check_op(op, &past, &mut session);
            session.advance();
        }
        guard.adopt(session);
        guard
    }

    pub(crate) fn knows(&self, hash: &Hash) -> bool {
        self.by_hash.contains_key(hash)
    }

    /// How many changes, the genesis among them.
    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Every change but the genesis, in an order in which each comes after what it builds on.
    pub(crate) fn history(&self) -> impl ExactSizeIterator<Item = (Hash, Actor)> {
        let mut actors = vec![Actor::GENESIS; self.chains.len()];
        for (actor, index) in &self.actors {
            if let Some(place) = actors.get_mut(*index as usize) {
                *place = *actor;
            }
        }
        self.nodes.iter().skip(1).map(move |node| (node.hash, actors.get(node.actor as usize).copied().unwrap_or(Actor::GENESIS)))
    }

    /// The heads after a change of the history and all before it.
    pub(crate) fn heads_at(&self, moment: usize) -> Option<Vec<Hash>> {
        // The genesis comes before the first.
        let nodes = self.nodes.get(..moment.checked_add(2)?)?;
        let built_on: BTreeSet<u32> = nodes.iter().flat_map(|node| node.deps.iter().copied()).collect();
        let heads = nodes.iter().enumerate().filter(|(place, _)| !built_on.contains(&(*place as u32)));
        Some(heads.map(|(_, node)| node.hash).collect())
    }

    /// Judges a change by rules 2 to 5 and 7, and takes it in where it obeys them.
    pub(crate) fn admit(&mut self, parsed: &Parsed) -> Result<Touched, Stop> {
        let hash = parsed.hash();
        if self.knows(&hash) {
            return Err(Stop::Known);
        }
        let mut deps = Vec::with_capacity(parsed.change.deps().len());
        for dep in parsed.change.deps() {
            deps.push(*self.by_hash.get(&dep.0).ok_or(Stop::Missing(dep.0))?);
        }
        let past = self.past(&deps);
        let actor = self.actors.get(&parsed.actor).copied();
        let chain = actor.and_then(|actor| self.chains.get(actor as usize)).map_or(&[][..], Vec::as_slice);
        match parsed.change.seq().checked_sub(1) {
            Some(before) if before < chain.len() as u64 => return Err(Refusal::Forked.into()),
            Some(before) if before == chain.len() as u64 => {}
            _ => return Err(Refusal::OutOfSequence.into()),
        }
        if chain.last().is_some_and(|last| !past.holds(*last)) {
            return Err(Refusal::OutOfSequence.into());
        }
        let start = parsed.change.start_op().get();
        let expected = deps.iter().filter_map(|dep| self.nodes.get(*dep as usize)).map(|node| node.max).max().unwrap_or(0) + 1;
        if start != expected {
            return Err(Refusal::BadCounter.into());
        }
        let node = u32::try_from(self.nodes.len()).map_err(|_| Refusal::QueueFull)?;
        let actor = actor.unwrap_or(self.chains.len() as u32);
        let mut session = operation::Session::new(actor, start, false);
        session.node = node;
        session.me = Some(parsed.actor);
        for op in &parsed.expanded.operations {
            self.check_op(op, &past, &mut session)?;
            session.advance();
        }
        self.link(hash, parsed.actor, start, parsed.change.max_op(), deps);
        Ok(self.adopt(session))
    }

    fn link(&mut self, hash: Hash, actor: Actor, start: u64, max: u64, deps: Vec<u32>) {
        let place = self.nodes.len() as u32;
        let next = self.chains.len() as u32;
        let index = *self.actors.entry(actor).or_insert(next);
        if index == next {
            self.chains.push(Vec::new());
        }
        if let Some(chain) = self.chains.get_mut(index as usize) {
            chain.push(place);
        }
        for dep in &deps {
            self.heads.remove(dep);
        }
        self.heads.insert(place);
        self.by_hash.insert(hash, place);
        self.nodes.push(Node { hash, actor: index, start, max, deps });
    }
}
