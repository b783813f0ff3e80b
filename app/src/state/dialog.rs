//! What stands over the rest of the window, and what has been typed into it.

use conclave_protocol::id::{DeviceId, RoomId};

use crate::intent::{Confirm, SettingsPage};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dialog {
    NewRoom(NewRoom),
    Join(JoinForm),
    Settings { page: SettingsPage, name: String },
    Shortcuts,
    Share,
    Confirm(Confirm),
    Person { room: RoomId, device: DeviceId },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRoom {
    pub name: String,
    pub approval: bool,
    pub full_history: bool,
    pub busy: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JoinForm {
    pub link: String,
    pub address: String,
    pub busy: bool,
    pub error: Option<String>,
}
