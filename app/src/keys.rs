//! The keys of a call, as people know them from other apps. Pure: events in, wishes out. Keys in a text field, or with other modifiers
//! held, are not ours.

use egui::{Event, Key, Modifiers};

use crate::intent::{Intent, Panel};
use crate::state::{AppState, Place};

/// What the list of keys shows: the caps, and the key of the words.
pub const LISTED: [(&[&str], &str); 13] = [
    (&["M", "Ctrl+D"], "keys-mic"),
    (&["V", "Ctrl+E"], "keys-camera"),
    (&["Space"], "keys-talk"),
    (&["D"], "keys-share"),
    (&["C"], "keys-chat"),
    (&["P"], "keys-people"),
    (&["F"], "keys-files"),
    (&["B"], "keys-board"),
    (&["W"], "keys-layout"),
    (&["S"], "keys-full-screen"),
    (&["Enter"], "keys-send"),
    (&["↑"], "keys-edit-last"),
    (&["?"], "keys-list"),
];

/// What the keyboard did in one frame, and what it is for.
#[derive(Debug, Clone, Copy)]
pub struct KeyInput<'a> {
    pub events: &'a [Event],
    /// Somebody types into a field.
    pub typing: bool,
    /// A control has the keyboard: Space is its click.
    pub control_focused: bool,
    /// The canvas of a board has the keyboard: letters are its tools.
    pub canvas_focused: bool,
    pub window_focused: bool,
}

/// What the keys of one frame want.
pub fn intents(state: &AppState, input: KeyInput<'_>) -> Vec<Intent> {
    let mut wanted = Vec::new();
    // Whoever looks elsewhere while holding Space is muted again: the release would never be seen.
    if state.stage.talking && (!input.window_focused || input.typing) {
        wanted.push(Intent::PushToTalk(false));
    }
    for event in input.events {
        match event {
            Event::Key { key: Key::Space, pressed: false, .. } if state.stage.talking => wanted.push(Intent::PushToTalk(false)),
            Event::Key { key, pressed: true, repeat: false, modifiers, .. } => {
                wanted.extend(pressed(state, input, *key, *modifiers));
            }
            // `?` needs Shift on some keyboards and not on others: the character tells.
            Event::Text(text) if text == "?" && !input.typing && state.dialog_allows_keys() => wanted.push(Intent::ShowShortcuts),
            _ => {}
        }
    }
    wanted
}

fn pressed(state: &AppState, input: KeyInput<'_>, key: Key, modifiers: Modifiers) -> Option<Intent> {
    let in_call = state.call.is_some();
    if modifiers.command && !modifiers.shift && !modifiers.alt {
        return match key {
            Key::D if in_call => Some(Intent::ToggleMic),
            Key::E if in_call => Some(Intent::ToggleCamera),
            _ => None,
        };
    }
    if input.typing || input.canvas_focused || modifiers.any() || state.dialog.is_some() {
        return None;
    }
    match (&state.place, key) {
        (Place::Lobby(lobby), Key::M) => Some(Intent::LobbyMic(!lobby.mic_on)),
        (Place::Lobby(lobby), Key::V) => Some(Intent::LobbyCamera(!lobby.camera_on)),
        (Place::Lobby(_), Key::Escape) => Some(Intent::CloseLobby),
        (_, Key::M) if in_call => Some(Intent::ToggleMic),
        (_, Key::V) if in_call => Some(Intent::ToggleCamera),
        (_, Key::Space) if in_call && !input.control_focused => Some(Intent::PushToTalk(true)),
        (Place::Call, Key::D) if state.call.as_ref().is_some_and(|call| call.me.screen.is_some()) => Some(Intent::StopShare),
        (Place::Call, Key::D) => Some(Intent::ShowShare),
        (Place::Call, Key::C) => Some(Intent::TogglePanel(Panel::Chat)),
        (Place::Call, Key::W) => Some(Intent::ToggleLayout),
        (Place::Call, Key::S) => Some(Intent::ToggleFullScreen),
        (Place::Call, Key::Escape) if state.stage.full_screen => Some(Intent::ToggleFullScreen),
        (Place::Call, Key::Escape) if state.panel.is_some() => Some(Intent::OpenPanel(None)),
        (Place::Call, Key::P) => Some(Intent::TogglePanel(Panel::People)),
        (Place::Call, Key::F) => Some(Intent::TogglePanel(Panel::Files)),
        (Place::Rooms, Key::F) if state.open_room().is_some() => Some(Intent::TogglePanel(Panel::Files)),
        (Place::Call, Key::B) => Some(Intent::ToggleBoard),
        (Place::Rooms, Key::B) if state.open_room().is_some() => Some(Intent::ToggleBoard),
        (Place::Rooms, Key::P) if state.open_room().is_some() => Some(Intent::TogglePanel(Panel::People)),
        _ => None,
    }
}

impl AppState {
    fn dialog_allows_keys(&self) -> bool {
        matches!(self.dialog, None | Some(crate::state::dialog::Dialog::Shortcuts))
            && matches!(self.phase, crate::state::Phase::Home)
    }
}
