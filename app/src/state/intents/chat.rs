//! Reading and writing in a room.

use conclave_node::command::Command;
use conclave_protocol::id::{OpHash, RoomId};

use super::plain;
use crate::intent::{Confirm, Intent};
use crate::state::chat::{Compose, PAGE, Search};
use crate::state::dialog::Dialog;
use crate::state::toast::Tone;
use crate::state::{AppState, Effect, Pending};

impl AppState {
    pub(super) fn handle_chat(&mut self, intent: Intent) -> Vec<Effect> {
        match intent {
            Intent::Draft(room, draft) => self.chats.entry(room).or_default().draft = draft,
            Intent::Send(room) => return self.send_message(room),
            Intent::Reply(room, message) => {
                let chat = self.chats.entry(room).or_default();
                if matches!(chat.compose, Compose::Edit(_)) {
                    chat.draft.clear();
                }
                chat.compose = Compose::Reply(message);
            }
            Intent::Edit(room, message) => self.edit(room, message),
            Intent::EditLast(room) => {
                let last = self.chats.get(&room).and_then(|chat| chat.messages.iter().rev().find(|m| m.mine && !m.deleted));
                if let Some(message) = last.map(|message| message.id) {
                    self.edit(room, message);
                }
            }
            Intent::CancelCompose(room) => {
                let chat = self.chats.entry(room).or_default();
                if matches!(chat.compose, Compose::Edit(_)) {
                    chat.draft.clear();
                }
                chat.compose = Compose::New;
            }
            Intent::React { room, message, emoji, on } => return plain(Command::ChatReact { room, message, emoji, on }),
            Intent::LoadOlder(room) => {
                let chat = self.chats.entry(room).or_default();
                if let Some(oldest) = chat.messages.first().map(|message| message.id)
                    && !chat.loading
                    && !chat.complete
                {
                    chat.loading = true;
                    let command = Command::ChatRead { room, limit: PAGE, before: Some(oldest) };
                    return vec![Effect::Send(command, Pending::ChatPage { room, older: true })];
                }
            }
            Intent::Seen(room, message) => {
                let chat = self.chats.entry(room).or_default();
                if chat.read_to != Some(message) {
                    chat.read_to = Some(message);
                    for message in &mut chat.messages {
                        message.unread = false;
                    }
                    return vec![Effect::Send(Command::ChatMarkRead { room, message }, Pending::Quiet)];
                }
            }
            Intent::ToggleSearch(room) => {
                let chat = self.chats.entry(room).or_default();
                if chat.search.take().is_none() {
                    self.open_search(room);
                }
            }
            Intent::Search(room, query) => {
                let asked = query.trim().to_owned();
                self.chats.entry(room).or_default().search = Some(Search { query: asked.clone(), results: None });
                if !asked.is_empty() {
                    let command = Command::ChatSearch { query: asked.clone(), room: Some(room), limit: 50 };
                    return vec![Effect::Send(command, Pending::Search { room, query: asked })];
                }
            }
            Intent::ShowMessage(room, message) => {
                let chat = self.chats.entry(room).or_default();
                if chat.message(message).is_some() {
                    chat.show = Some(message);
                } else {
                    self.toasts.push(Tone::Info, self.text.t("toast-message-far"), None, None, self.now_ms);
                }
            }
            _ => {}
        }
        Vec::new()
    }

    fn edit(&mut self, room: RoomId, message: OpHash) {
        let chat = self.chats.entry(room).or_default();
        if let Some(body) = chat.message(message).filter(|message| message.mine && !message.deleted).map(|m| m.body.clone()) {
            chat.draft = body;
            chat.compose = Compose::Edit(message);
        }
    }

    fn send_message(&mut self, room: RoomId) -> Vec<Effect> {
        let chat = self.chats.entry(room).or_default();
        let body = chat.draft.trim().to_owned();
        let compose = std::mem::take(&mut chat.compose);
        let draft = std::mem::take(&mut chat.draft);
        let command = match compose {
            // An edit to nothing is a wish to delete, and that is asked for.
            Compose::Edit(message) if body.is_empty() => {
                self.dialog = Some(Dialog::Confirm(Confirm::DeleteMessage { room, message }));
                return Vec::new();
            }
            Compose::Edit(message) => Command::ChatEdit { room, message, body },
            _ if body.is_empty() => return Vec::new(),
            Compose::New => Command::ChatSend { room, body, reply_to: None },
            Compose::Reply(message) => Command::ChatSend { room, body, reply_to: Some(message) },
        };
        chat.first_unread = None;
        vec![Effect::Send(command, Pending::Message { room, draft })]
    }
}
