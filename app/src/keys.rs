//! The keys of a call, as people know them from other apps. Pure: events in, wishes out. Keys in a text field, or with other modifiers
//! held, are not ours.

use egui::{Event, Key, Modifiers};
use serde::{Deserialize, Serialize};

use crate::intent::{Intent, Panel};
use crate::state::settings::Settings;
use crate::state::{AppState, Place};
use crate::widget::call_signs::REACTIONS;

/// What a key can be for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    Mic,
    Camera,
    Talk,
    Hand,
    Share,
    Chat,
    People,
    Files,
    Board,
    Layout,
    FullScreen,
    Stats,
}

/// Everything that has a key of its own, with the usual one, and the key of the words.
pub const ACTIONS: [(Action, Key, &str); 12] = [
    (Action::Mic, Key::M, "keys-mic"),
    (Action::Camera, Key::V, "keys-camera"),
    (Action::Talk, Key::Space, "keys-talk"),
    (Action::Hand, Key::H, "keys-hand"),
    (Action::Share, Key::D, "keys-share"),
    (Action::Chat, Key::C, "keys-chat"),
    (Action::People, Key::P, "keys-people"),
    (Action::Files, Key::F, "keys-files"),
    (Action::Board, Key::B, "keys-board"),
    (Action::Layout, Key::W, "keys-layout"),
    (Action::FullScreen, Key::S, "keys-full-screen"),
    (Action::Stats, Key::T, "keys-stats"),
];

/// Keys that stay as they are: the caps, and the key of the words.
pub const LISTED: [(&[&str], &str); 5] = [
    (&["Ctrl+D", "Ctrl+E"], "keys-aliases"),
    (&["1", "–", "5"], "keys-react"),
    (&["Enter"], "keys-send"),
    (&["↑"], "keys-edit-last"),
    (&["?"], "keys-list"),
];

/// The key of an action, as chosen or as usual.
pub fn key_of(settings: &Settings, action: Action) -> Key {
    let usual = ACTIONS.iter().find(|(other, ..)| *other == action).map_or(Key::Escape, |(_, key, _)| *key);
    settings.keys.get(&action).and_then(|name| Key::from_name(name)).unwrap_or(usual)
}

/// What was bound to a key before and must give way takes the key that the other one had.
pub fn bind(settings: &Settings, action: Action, name: &str) -> Settings {
    let mut changed = settings.clone();
    let Some(key) = Key::from_name(name).filter(|key| *key != Key::Escape && digit(*key).is_none()) else { return changed };
    let had = key_of(settings, action);
    if let Some((other, ..)) = ACTIONS.iter().find(|(other, ..)| *other != action && key_of(settings, *other) == key) {
        changed.keys.insert(*other, had.name().to_owned());
    }
    changed.keys.insert(action, key.name().to_owned());
    changed
}

fn digit(key: Key) -> Option<usize> {
    [Key::Num1, Key::Num2, Key::Num3, Key::Num4, Key::Num5].iter().position(|digit| *digit == key)
}

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
    if let Some(action) = state.rebinding {
        return rebound(action, input.events);
    }
    let mut wanted = Vec::new();
    let talk = key_of(&state.settings, Action::Talk);
    // Whoever looks elsewhere while holding Space is muted again: the release would never be seen.
    if state.stage.talking && (!input.window_focused || input.typing) {
        wanted.push(Intent::PushToTalk(false));
    }
    for event in input.events {
        match event {
            Event::Key { key, pressed: false, .. } if *key == talk && state.stage.talking => {
                wanted.push(Intent::PushToTalk(false))
            }
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
        (Place::Lobby(_), Key::Escape) => return Some(Intent::CloseLobby),
        (Place::Call, Key::Escape) if state.stage.full_screen => return Some(Intent::ToggleFullScreen),
        (Place::Call, Key::Escape) if state.panel.is_some() => return Some(Intent::OpenPanel(None)),
        (Place::Call, key) => {
            if let Some(emoji) = digit(key).and_then(|n| REACTIONS.get(n)) {
                return Some(Intent::CallReact((*emoji).to_owned()));
            }
        }
        _ => {}
    }
    let action = ACTIONS.iter().map(|(action, ..)| *action).find(|action| key_of(&state.settings, *action) == key)?;
    match (&state.place, action) {
        (Place::Lobby(lobby), Action::Mic) => Some(Intent::LobbyMic(!lobby.mic_on)),
        (Place::Lobby(lobby), Action::Camera) => Some(Intent::LobbyCamera(!lobby.camera_on)),
        (_, Action::Mic) if in_call => Some(Intent::ToggleMic),
        (_, Action::Camera) if in_call => Some(Intent::ToggleCamera),
        (_, Action::Talk) if in_call && !input.control_focused => Some(Intent::PushToTalk(true)),
        (Place::Call, Action::Hand) => Some(Intent::ToggleHand),
        (Place::Call, Action::Share) if state.call.as_ref().is_some_and(|call| call.me.screen.is_some()) => {
            Some(Intent::StopShare)
        }
        (Place::Call, Action::Share) => Some(Intent::ShowShare),
        (Place::Call, Action::Chat) => Some(Intent::TogglePanel(Panel::Chat)),
        (Place::Call, Action::Layout) => Some(Intent::ToggleLayout),
        (Place::Call, Action::FullScreen) => Some(Intent::ToggleFullScreen),
        (Place::Call, Action::Stats) => Some(Intent::TogglePanel(Panel::Stats)),
        (Place::Call, Action::People) => Some(Intent::TogglePanel(Panel::People)),
        (Place::Call, Action::Files) => Some(Intent::TogglePanel(Panel::Files)),
        (Place::Call, Action::Board) => Some(Intent::ToggleBoard),
        (Place::Rooms, Action::Files) if state.open_room().is_some() => Some(Intent::TogglePanel(Panel::Files)),
        (Place::Rooms, Action::Board) if state.open_room().is_some() => Some(Intent::ToggleBoard),
        (Place::Rooms, Action::People) if state.open_room().is_some() => Some(Intent::TogglePanel(Panel::People)),
        _ => None,
    }
}

/// The first key that is pressed is the new one; Escape leaves it as it was.
fn rebound(action: Action, events: &[Event]) -> Vec<Intent> {
    let pressed = events.iter().find_map(|event| match event {
        Event::Key { key, pressed: true, repeat: false, .. } => Some(*key),
        _ => None,
    });
    match pressed {
        None => Vec::new(),
        Some(Key::Escape) => vec![Intent::Rebind(None)],
        Some(key) => vec![Intent::Bind(action, key.name().to_owned())],
    }
}

impl AppState {
    fn dialog_allows_keys(&self) -> bool {
        matches!(self.dialog, None | Some(crate::state::dialog::Dialog::Shortcuts))
            && matches!(self.phase, crate::state::Phase::Home)
    }
}
