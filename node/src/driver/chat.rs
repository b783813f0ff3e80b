//! Chat commands and the messages that follow from them. What is a message and where it stands is decided by the room's machine.

use conclave_protocol::chat::Text;
use conclave_protocol::chat::read::ReadMark;
use conclave_protocol::chat::timeline::Message;
use conclave_protocol::id::{DeviceId, OpHash, RoomId};
use conclave_protocol::room::Room;

use super::Driver;
use super::rooms::RoomEntry;
use crate::command::Reply;
use crate::error::{CommandError, ErrorCode};
use crate::event::Event;
use crate::store::Batch;
use crate::view::{MessageView, ReactionView};

/// Messages that one answer holds at most.
const MAX_PAGE: u32 = 10_000;

impl Driver {
    pub(super) async fn chat_send(&mut self, room: RoomId, body: &str, reply_to: Option<OpHash>) -> Result<Reply, CommandError> {
        let (now, entry) = (self.now_ms(), self.entry(room)?);
        let mentions = mentioned(&entry.room, body);
        let applied = entry.room.say(Text { body: body.to_owned(), reply_to, mentions }, now).map_err(super::rooms::refused)?;
        self.settle_message(room, applied, None).await
    }

    pub(super) async fn chat_edit(&mut self, room: RoomId, message: OpHash, body: &str) -> Result<Reply, CommandError> {
        let (now, entry) = (self.now_ms(), self.entry(room)?);
        let mentions = mentioned(&entry.room, body);
        let applied = entry.room.edit(message, body.to_owned(), mentions, now).map_err(super::rooms::refused)?;
        self.settle_message(room, applied, Some(message)).await
    }

    pub(super) async fn chat_delete(&mut self, room: RoomId, message: OpHash) -> Result<Reply, CommandError> {
        let (now, entry) = (self.now_ms(), self.entry(room)?);
        let applied = entry.room.delete(message, now).map_err(super::rooms::refused)?;
        self.settle_message(room, applied, Some(message)).await
    }

    pub(super) async fn chat_react(
        &mut self,
        room: RoomId,
        message: OpHash,
        emoji: &str,
        on: bool,
    ) -> Result<Reply, CommandError> {
        let (now, entry) = (self.now_ms(), self.entry(room)?);
        let applied = entry.room.react(message, emoji.to_owned(), on, now).map_err(super::rooms::refused)?;
        self.settle_message(room, applied, Some(message)).await
    }

    /// Stores and sends what was written, then answers with the message as it now is.
    async fn settle_message(
        &mut self,
        room: RoomId,
        applied: conclave_protocol::room::Applied,
        message: Option<OpHash>,
    ) -> Result<Reply, CommandError> {
        let id = message.or_else(|| applied.first_hash());
        self.settle(room, applied, None, Batch::new()).await?;
        let entry = self.entry(room)?;
        let view = id.and_then(|id| entry.room.chat().get(&id)).map(|message| entry.message_view(message));
        view.map(|message| Reply::Message { message }).ok_or_else(unknown_message)
    }

    pub(super) fn chat_read(&mut self, room: RoomId, limit: u32, before: Option<OpHash>) -> Result<Reply, CommandError> {
        let entry = self.entry(room)?;
        if let Some(before) = before
            && entry.room.chat().get(&before).is_none()
        {
            return Err(unknown_message());
        }
        let page = entry.room.chat().page(before.as_ref(), limit.min(MAX_PAGE) as usize);
        Ok(Reply::Messages { messages: page.into_iter().map(|message| entry.message_view(message)).collect() })
    }

    pub(super) fn chat_search(&mut self, query: &str, room: Option<RoomId>, limit: u32) -> Result<Reply, CommandError> {
        if let Some(room) = room {
            self.entry(room)?;
        }
        let limit = limit.min(MAX_PAGE) as usize;
        let entries = self.rooms.values().filter(|entry| room.is_none_or(|room| entry.room.id() == room));
        let mut found: Vec<MessageView> = entries
            .flat_map(|entry| entry.room.chat().search(query, limit).into_iter().map(|message| entry.message_view(message)))
            .collect();
        found.sort_by_key(|message| std::cmp::Reverse(message.sent_ms));
        found.truncate(limit);
        Ok(Reply::Messages { messages: found })
    }

    pub(super) async fn chat_mark_read(&mut self, room: RoomId, message: OpHash) -> Result<Reply, CommandError> {
        let entry = self.entry(room)?;
        let message = entry.room.chat().get(&message).ok_or_else(unknown_message)?;
        if entry.read.mark(message) {
            let mark = entry.read.encode();
            self.dirty.insert(room);
            self.store.commit(Batch::new().note(Some(&room), READ_MARK, Some(&mark))).await?;
        }
        Ok(Reply::Done {})
    }

    /// A message took its place, or changed.
    pub(super) fn publish_message(&mut self, room: RoomId, id: OpHash, after: Option<OpHash>, new: bool) {
        let Some(entry) = self.rooms.get_mut(&room) else { return };
        let Some(message) = entry.room.chat().get(&id) else { return };
        if new {
            entry.read.note(message);
        }
        let after = if new { after } else { entry.room.chat().before(&id) };
        let Some(message) = entry.room.chat().get(&id).map(|message| entry.message_view(message)) else { return };
        self.publish(Event::ChatMessage { room, message, after, new });
    }
}

/// Where the read mark of a room lies among its notes.
pub(super) const READ_MARK: &str = "read mark";

/// The read mark as the store has it; one that cannot be read counts as nothing read.
pub(super) fn read_mark(bytes: Option<Vec<u8>>) -> ReadMark {
    bytes.and_then(|bytes| ReadMark::decode(&bytes).ok()).unwrap_or_default()
}

impl RoomEntry {
    pub(super) fn message_view(&self, message: &Message) -> MessageView {
        let me = self.room.me();
        MessageView {
            id: message.id,
            author: message.author,
            author_name: self.room.acl().name_of(&message.author).unwrap_or_default().to_owned(),
            body: message.body(),
            sent_ms: message.sent_ms,
            edited: message.edited(),
            deleted: message.deleted(),
            reply_to: message.reply_to,
            mentions: message.mentions().to_vec(),
            reactions: message.reactions().into_iter().map(|(emoji, by)| ReactionView { emoji, by }).collect(),
            mine: message.author == me,
            unread: self.read.is_unread(message, &me),
            from_newer_version: message.from_newer_version,
        }
    }
}

/// Whom a text names: `@Name` of a member, the longest name first, so that `@Ann Lee` is not taken for `@Ann`.
fn mentioned(room: &Room, body: &str) -> Vec<DeviceId> {
    let mut members: Vec<_> = room.acl().roster().collect();
    members.sort_by_key(|member| std::cmp::Reverse(member.name.len()));
    let mut rest = body.to_lowercase();
    let mut named = Vec::new();
    for member in members {
        let mention = format!("@{}", member.name.to_lowercase());
        if rest.contains(&mention) {
            named.push((member.name.to_lowercase(), member.device));
            rest = rest.replace(&mention, "\u{0}");
        } else if named.iter().any(|(name, _)| *name == member.name.to_lowercase()) {
            // A second device of the same name: both are meant.
            named.push((member.name.to_lowercase(), member.device));
        }
    }
    named.into_iter().map(|(_, device)| device).take(conclave_protocol::chat::MAX_MENTIONS).collect()
}

fn unknown_message() -> CommandError {
    CommandError::new(ErrorCode::UnknownMessage, "There is no such message in this room.")
}
