//! The messages of a room in the one order that everyone shares, after edits, deletions and reactions. It must never depend on the
//! order in which operations came.

use std::collections::{BTreeMap, HashMap};

use crate::chat::{Body, for_display};
use crate::id::{DeviceId, OpHash};

/// The order of messages: Lamport number, author, number of the author, incarnation, hash.
pub type Position = (u64, DeviceId, u64, u64, OpHash);

/// Most different emojis shown under one message: the first in the order.
pub const MAX_REACTIONS: usize = 64;

/// One operation of the chat that counts, as the timeline takes it.
#[derive(Debug, Clone)]
pub(crate) struct ChatOp {
    pub(crate) hash: OpHash,
    pub(crate) position: Position,
    pub(crate) author: DeviceId,
    /// The author was an admin where it was written.
    pub(crate) by_admin: bool,
    pub(crate) time_ms: u64,
    pub(crate) body: Body,
}

/// What an operation did to the timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Effect {
    /// A message took its place.
    Inserted {
        id: OpHash,
        after: Option<OpHash>,
        at_end: bool,
    },
    /// A message looks different.
    Changed(OpHash),
    Nothing,
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The operation that brought it.
    pub id: OpHash,
    /// Its place.
    pub position: Position,
    /// Who wrote it.
    pub author: DeviceId,
    /// By the author's clock, UTC.
    pub sent_ms: u64,
    /// The message it answers.
    pub reply_to: Option<OpHash>,
    /// From a newer version: nothing can be shown of it.
    pub from_newer_version: bool,
    text: String,
    mentions: Vec<DeviceId>,
    edit: Option<(Position, String, Vec<DeviceId>)>,
    deleted: bool,
    /// By emoji and device: the newest word of that device.
    reactions: BTreeMap<(String, DeviceId), (Position, bool)>,
}

impl Message {
    /// The text as it now is, fit for a screen; empty where the message was taken back.
    pub fn body(&self) -> String {
        for_display(self.raw_body())
    }

    /// Its author has changed the text.
    pub fn edited(&self) -> bool {
        self.edit.is_some() && !self.deleted
    }

    /// It was taken back.
    pub fn deleted(&self) -> bool {
        self.deleted
    }

    /// Whom it names; nobody where it was taken back.
    pub fn mentions(&self) -> &[DeviceId] {
        match &self.edit {
            _ if self.deleted => &[],
            Some((_, _, mentions)) => mentions,
            None => &self.mentions,
        }
    }

    /// The emojis under it and who put them there, in the order in which they came first.
    pub fn reactions(&self) -> Vec<(String, Vec<DeviceId>)> {
        if self.deleted {
            return Vec::new();
        }
        let mut by_emoji: BTreeMap<&str, (Position, Vec<DeviceId>)> = BTreeMap::new();
        for ((emoji, device), (position, on)) in &self.reactions {
            if *on {
                let entry = by_emoji.entry(emoji).or_insert((*position, Vec::new()));
                entry.0 = entry.0.min(*position);
                entry.1.push(*device);
            }
        }
        let mut ordered: Vec<(Position, &str, Vec<DeviceId>)> =
            by_emoji.into_iter().map(|(emoji, (position, devices))| (position, emoji, devices)).collect();
        ordered.sort();
        ordered.into_iter().take(MAX_REACTIONS).map(|(_, emoji, devices)| (emoji.to_owned(), devices)).collect()
    }

    fn raw_body(&self) -> &str {
        match &self.edit {
            _ if self.deleted => "",
            Some((_, text, _)) => text,
            None => &self.text,
        }
    }

    fn take(&mut self, op: &ChatOp) -> bool {
        // What changes a message was written after it: anything else contradicts itself.
        if op.position <= self.position || self.from_newer_version {
            return false;
        }
        match &op.body {
            Body::Edit(edit) if op.author == self.author => {
                if self.edit.as_ref().is_some_and(|(newest, ..)| *newest >= op.position) {
                    return false;
                }
                self.edit = Some((op.position, edit.body.clone(), edit.mentions.clone()));
                !self.deleted
            }
            Body::Delete(_) if op.author == self.author || op.by_admin => !std::mem::replace(&mut self.deleted, true),
            Body::React(react) => {
                let key = (react.emoji.clone(), op.author);
                if self.reactions.get(&key).is_some_and(|(newest, _)| *newest >= op.position) {
                    return false;
                }
                self.reactions.insert(key, (op.position, react.on));
                !self.deleted
            }
            _ => false,
        }
    }
}

/// All messages, in order.
#[derive(Debug, Clone, Default)]
pub struct Timeline {
    order: Vec<(Position, OpHash)>,
    messages: HashMap<OpHash, Message>,
    /// What changes a message that is not here yet.
    early: HashMap<OpHash, Vec<ChatOp>>,
}

impl Timeline {
    /// How many messages.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// None yet.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// A message.
    pub fn get(&self, id: &OpHash) -> Option<&Message> {
        self.messages.get(id)
    }

    /// The newest message.
    pub fn last(&self) -> Option<&Message> {
        self.messages.get(&self.order.last()?.1)
    }

    /// All messages, oldest first.
    pub fn messages(&self) -> impl DoubleEndedIterator<Item = &Message> {
        self.order.iter().filter_map(|(_, id)| self.messages.get(id))
    }

    /// The place of a message, counted from the oldest.
    pub fn index_of(&self, id: &OpHash) -> Option<usize> {
        let position = self.messages.get(id)?.position;
        self.order.binary_search_by(|(other, _)| other.cmp(&position)).ok()
    }

    /// The message before one.
    pub fn before(&self, id: &OpHash) -> Option<OpHash> {
        let index = self.index_of(id)?.checked_sub(1)?;
        self.order.get(index).map(|(_, id)| *id)
    }

    /// The newest `limit` messages before `before`, or of all; oldest first.
    pub fn page(&self, before: Option<&OpHash>, limit: usize) -> Vec<&Message> {
        let end = before.and_then(|id| self.index_of(id)).unwrap_or(self.order.len());
        let start = end.saturating_sub(limit);
        self.order.get(start..end).unwrap_or_default().iter().filter_map(|(_, id)| self.messages.get(id)).collect()
    }

    /// Messages after a place, oldest first.
    pub fn after(&self, position: Option<&Position>) -> impl DoubleEndedIterator<Item = &Message> {
        let start = position.map_or(0, |position| self.order.partition_point(|(other, _)| other <= position));
        self.order.get(start..).unwrap_or_default().iter().filter_map(|(_, id)| self.messages.get(id))
    }

    /// Messages that hold every word of the query, in any case; newest first.
    pub fn search(&self, query: &str, limit: usize) -> Vec<&Message> {
        let words: Vec<String> = query.split_whitespace().map(str::to_lowercase).collect();
        if words.is_empty() {
            return Vec::new();
        }
        let holds = |message: &&Message| {
            let text = message.raw_body().to_lowercase();
            words.iter().all(|word| text.contains(word))
        };
        self.messages().rev().filter(holds).take(limit).collect()
    }

    pub(crate) fn shows_the_same(&self, other: &Self) -> bool {
        self.order == other.order && self.messages == other.messages
    }

    pub(crate) fn apply(&mut self, op: ChatOp) -> Effect {
        let message = match &op.body {
            Body::Text(text) => (text.body.clone(), text.reply_to, text.mentions.clone(), false),
            Body::Newer => (String::new(), None, Vec::new(), true),
            Body::Edit(crate::chat::Edit { target, .. })
            | Body::Delete(crate::chat::Delete { target })
            | Body::React(crate::chat::React { target, .. }) => {
                let target = *target;
                let Some(message) = self.messages.get_mut(&target) else {
                    self.early.entry(target).or_default().push(op);
                    return Effect::Nothing;
                };
                return if message.take(&op) { Effect::Changed(target) } else { Effect::Nothing };
            }
            Body::Invalid => return Effect::Nothing,
        };
        if self.messages.contains_key(&op.hash) {
            return Effect::Nothing;
        }
        let (text, reply_to, mentions, from_newer_version) = message;
        let mut message = Message {
            id: op.hash,
            position: op.position,
            author: op.author,
            sent_ms: op.time_ms,
            reply_to,
            from_newer_version,
            text,
            mentions,
            edit: None,
            deleted: false,
            reactions: BTreeMap::new(),
        };
        for early in self.early.remove(&op.hash).unwrap_or_default() {
            message.take(&early);
        }
        self.messages.insert(op.hash, message);
        let index = self.order.partition_point(|(other, _)| *other < op.position);
        self.order.insert(index, (op.position, op.hash));
        let after = index.checked_sub(1).and_then(|before| self.order.get(before)).map(|(_, id)| *id);
        Effect::Inserted { id: op.hash, after, at_end: index + 1 == self.order.len() }
    }
}
