//! The chat of one room as far as it is loaded, and what the person is writing. It never decides the order: the node does.

use conclave_node::view::MessageView;
use conclave_protocol::id::OpHash;

/// Messages asked for at a time.
pub const PAGE: u32 = 60;
/// Messages kept of one room. Beyond it the oldest are let go; scrolling up loads them again.
pub const KEPT: usize = 600;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chat {
    /// Oldest first.
    pub messages: Vec<MessageView>,
    pub loaded: bool,
    pub loading: bool,
    /// The first message of all is among them.
    pub complete: bool,
    /// Where "new" begins, from when the room was opened until it is left.
    pub first_unread: Option<OpHash>,
    /// The last message that the node was told is read.
    pub read_to: Option<OpHash>,
    pub draft: String,
    pub compose: Compose,
    pub search: Option<Search>,
    /// Scroll here at the next frame.
    pub show: Option<OpHash>,
}

/// What the composer's text will become.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Compose {
    #[default]
    New,
    Reply(OpHash),
    Edit(OpHash),
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Search {
    pub query: String,
    /// Absent until the first answer.
    pub results: Option<Vec<MessageView>>,
}

/// What a message that came means for what is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placed {
    Done,
    /// It belongs somewhere that is not loaded: read the page again.
    ReadAgain,
}

impl Chat {
    pub fn message(&self, id: OpHash) -> Option<&MessageView> {
        self.messages.iter().find(|message| message.id == id)
    }

    /// Puts a message after the one it follows, or in place of what it was.
    pub fn place(&mut self, message: MessageView, after: Option<OpHash>) -> Placed {
        if let Some(known) = self.messages.iter_mut().find(|known| known.id == message.id) {
            *known = message;
            return Placed::Done;
        }
        let at = match after {
            None if self.messages.is_empty() || self.complete => Some(0),
            None => None,
            Some(after) => self.messages.iter().rposition(|known| known.id == after).map(|index| index + 1),
        };
        let Some(at) = at else { return Placed::ReadAgain };
        self.messages.insert(at, message);
        if self.messages.len() > KEPT {
            self.messages.remove(0);
            self.complete = false;
        }
        Placed::Done
    }

    /// A page that was asked for. `older` pages go before what is there.
    pub fn take_page(&mut self, page: Vec<MessageView>, older: bool) {
        self.loading = false;
        self.complete = (page.len() as u32) < PAGE;
        if older {
            let known: std::collections::BTreeSet<OpHash> = self.messages.iter().map(|message| message.id).collect();
            let mut messages: Vec<MessageView> = page.into_iter().filter(|message| !known.contains(&message.id)).collect();
            messages.append(&mut self.messages);
            self.messages = messages;
        } else {
            self.messages = page;
            self.loaded = true;
        }
    }

    /// Fixes where "new" begins.
    pub fn mark_unread(&mut self) {
        self.first_unread = self.messages.iter().find(|message| message.unread && !message.mine).map(|message| message.id);
    }
}
