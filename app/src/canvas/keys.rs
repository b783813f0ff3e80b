//! The keys of the board, while the canvas has the keyboard. Pure: events in, wishes out.

use egui::{Event, Key, Modifiers, vec2};

use super::arrange::{NUDGE, NUDGE_FAR, Order};
use super::tool::Tool;
use crate::intent::board::BoardIntent;
use crate::state::files::pasted_paths;

/// Keys that the list of keys shows, beside those of the tools: the caps, and the key of the words.
pub const LISTED: [(&[&str], &str); 12] = [
    (&["Ctrl+Z", "Ctrl+Shift+Z"], "board-keys-undo"),
    (&["Ctrl+C", "Ctrl+X", "Ctrl+V"], "board-keys-clipboard"),
    (&["Ctrl+Shift+D"], "board-keys-duplicate"),
    (&["Del"], "board-keys-delete"),
    (&["Ctrl+A"], "board-keys-all"),
    (&["Ctrl+G", "Ctrl+Shift+G"], "board-keys-group"),
    (&["Ctrl+]", "Ctrl+["], "board-keys-order"),
    (&["←↑↓→"], "board-keys-nudge"),
    (&["Tab"], "board-keys-next"),
    (&["Enter"], "board-keys-enter"),
    (&["Shift+1", "Shift+2"], "board-keys-fit"),
    (&["Space"], "board-keys-pan"),
];

/// What the keys of one frame want. `panning` has the arrow keys move the page: nothing is selected.
pub fn wishes(events: &[Event], panning: bool) -> Vec<BoardIntent> {
    events
        .iter()
        .filter_map(|event| match event {
            Event::Copy => Some(BoardIntent::Copy),
            Event::Cut => Some(BoardIntent::Cut),
            // Files that were copied elsewhere are for the window.
            Event::Paste(text) if !pasted_paths(text).is_empty() => None,
            Event::Paste(text) => Some(BoardIntent::Paste(text.clone())),
            Event::Key { key, pressed: true, repeat, modifiers, .. } => pressed(*key, *modifiers, *repeat, panning),
            _ => None,
        })
        .collect()
}

fn pressed(key: Key, modifiers: Modifiers, repeat: bool, panning: bool) -> Option<BoardIntent> {
    let Modifiers { alt, shift, .. } = modifiers;
    if modifiers.command && !alt {
        return match (key, shift) {
            (Key::Z, false) => Some(BoardIntent::Undo),
            (Key::Z, true) | (Key::Y, false) => Some(BoardIntent::Redo),
            (Key::A, false) => Some(BoardIntent::SelectAll),
            (Key::D, true) => Some(BoardIntent::Duplicate),
            (Key::G, false) => Some(BoardIntent::Group),
            (Key::G, true) => Some(BoardIntent::Ungroup),
            (Key::L, true) => Some(BoardIntent::ToggleLock),
            (Key::CloseBracket, false) => Some(BoardIntent::Order(Order::Forward)),
            (Key::CloseBracket | Key::CloseCurlyBracket, true) => Some(BoardIntent::Order(Order::ToFront)),
            (Key::OpenBracket, false) => Some(BoardIntent::Order(Order::Backward)),
            (Key::OpenBracket | Key::OpenCurlyBracket, true) => Some(BoardIntent::Order(Order::ToBack)),
            (Key::Plus | Key::Equals, _) => Some(BoardIntent::ZoomBy(1.25)),
            (Key::Minus, _) => Some(BoardIntent::ZoomBy(0.8)),
            (Key::Num0, _) => Some(BoardIntent::ZoomReset),
            (Key::Quote, false) => Some(BoardIntent::ToggleGrid),
            _ => None,
        };
    }
    let far = if shift { NUDGE_FAR } else { NUDGE };
    let arrow = match key {
        Key::ArrowLeft => Some(vec2(-1.0, 0.0)),
        Key::ArrowRight => Some(vec2(1.0, 0.0)),
        Key::ArrowUp => Some(vec2(0.0, -1.0)),
        Key::ArrowDown => Some(vec2(0.0, 1.0)),
        _ => None,
    };
    if let Some(arrow) = arrow.filter(|_| !alt) {
        return Some(if panning { BoardIntent::Scroll(arrow * -60.0) } else { BoardIntent::Nudge(arrow * far) });
    }
    match key {
        Key::PageDown => Some(BoardIntent::NextPage(false)),
        Key::PageUp => Some(BoardIntent::NextPage(true)),
        Key::Tab => Some(BoardIntent::Next(shift)),
        Key::Delete | Key::Backspace => Some(BoardIntent::Delete),
        Key::Escape => Some(BoardIntent::Escape),
        Key::Enter => Some(BoardIntent::Enter),
        Key::Num1 if shift => Some(BoardIntent::ZoomFit),
        Key::Num2 if shift => Some(BoardIntent::ZoomSelection),
        Key::Q if !shift && !alt => Some(BoardIntent::ToggleKeepTool),
        Key::M if !shift && !alt => Some(BoardIntent::ToggleMinimap),
        // Out of the board again, where the key of the call opened it.
        Key::B if !shift && !alt => Some(BoardIntent::Close),
        _ if repeat || shift || alt => None,
        key => Tool::of_key(key).map(BoardIntent::Tool),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(key: Key, modifiers: Modifiers) -> Event {
        Event::Key { key, physical_key: None, pressed: true, repeat: false, modifiers }
    }

    fn one(event: Event) -> Option<BoardIntent> {
        wishes(&[event], false).pop()
    }

    #[test]
    fn letters_choose_tools_and_with_other_keys_held_they_do_not() {
        assert_eq!(one(key(Key::R, Modifiers::NONE)), Some(BoardIntent::Tool(Tool::Rect)));
        assert_eq!(one(key(Key::R, Modifiers::COMMAND)), None);
        assert_eq!(one(key(Key::R, Modifiers::ALT)), None);
    }

    #[test]
    fn the_keys_of_the_call_with_control_are_left_to_it() {
        assert_eq!(one(key(Key::D, Modifiers::COMMAND)), None);
        assert_eq!(one(key(Key::E, Modifiers::COMMAND)), None);
    }

    #[test]
    fn arrows_move_what_is_selected_and_else_the_page() {
        assert_eq!(one(key(Key::ArrowLeft, Modifiers::SHIFT)), Some(BoardIntent::Nudge(vec2(-10.0, 0.0))));
        assert_eq!(wishes(&[key(Key::ArrowLeft, Modifiers::NONE)], true), [BoardIntent::Scroll(vec2(60.0, 0.0))]);
    }

    #[test]
    fn undo_and_redo() {
        assert_eq!(one(key(Key::Z, Modifiers::COMMAND)), Some(BoardIntent::Undo));
        assert_eq!(one(key(Key::Z, Modifiers::COMMAND | Modifiers::SHIFT)), Some(BoardIntent::Redo));
    }
}
