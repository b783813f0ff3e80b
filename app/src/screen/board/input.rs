//! Pointer, wheel, fingers, pen and keys on the canvas, as the machine understands them.

use egui::{Event, EventFilter, Key, PointerButton, Pos2, Response, TouchPhase, Ui};

use super::BoardScreen;
use crate::canvas::keys;
use crate::canvas::machine::{Button, Input, Pointer};
use crate::intent::board::BoardIntent;
use crate::widget::Draw;

/// Two presses so close in time (s) and place (points) are one of two clicks.
const DOUBLE_S: f64 = 0.35;
const DOUBLE_REACH: f32 = 6.0;

/// What is remembered from one frame to the next.
#[derive(Debug, Clone, Copy, Default)]
struct Held {
    /// A button went down on the canvas and is not up yet.
    down: bool,
    pressed_s: f64,
    pressed_at: Pos2,
    /// How hard the pen is pressed, where that is known.
    force: Option<f32>,
    inside: bool,
    /// Text was pasted with the key that is held.
    pasted: bool,
}

pub(super) fn input_ui(ui: &mut Ui, canvas: &Response, view: &BoardScreen<'_>, draw: &mut Draw<'_>) {
    let id = canvas.id.with("held");
    let mut held = ui.data(|data| data.get_temp::<Held>(id)).unwrap_or_default();
    if canvas.has_focus() {
        let all = EventFilter { tab: true, horizontal_arrows: true, vertical_arrows: true, escape: true };
        ui.memory_mut(|memory| memory.set_focus_lock_filter(canvas.id, all));
    }
    let typing = view.board.machine.editing.is_some();
    let space = canvas.has_focus() && !typing && ui.input(|input| input.key_down(Key::Space));
    let fingers = ui.input(|input| input.multi_touch());
    if let Some(fingers) = fingers {
        // Two fingers move the page: what the first had begun was no stroke.
        if held.down {
            held.down = false;
            draw.board(BoardIntent::Pointer(Input::Cancel));
        }
        draw.board(BoardIntent::Scroll(fingers.translation_delta));
        draw.board(BoardIntent::ZoomAt { factor: fingers.zoom_delta, at: fingers.center_pos });
    } else {
        let (events, now_s, modifiers) = ui.input(|input| (input.events.clone(), input.time, input.modifiers));
        let keyboard = canvas.has_focus() && !typing;
        let panning = view.board.machine.selection.is_empty();
        for event in &events {
            // In the order in which it happened: a tool is chosen before it is used.
            if keyboard {
                for wish in keys::wishes(std::slice::from_ref(event), panning) {
                    draw.board(wish);
                }
            }
            let pointer = |at: Pos2, force: Option<f32>, modifiers: egui::Modifiers| Pointer {
                at,
                pressure: force.unwrap_or(0.5),
                shift: modifiers.shift,
                alt: modifiers.alt,
                ctrl: modifiers.command,
            };
            match event {
                Event::Paste(_) => held.pasted = true,
                // Where there is no text to be pasted the shell says nothing: then it may be a picture.
                Event::Key { key: Key::V, pressed: false, modifiers, .. } if keyboard && modifiers.command => {
                    if !std::mem::take(&mut held.pasted) {
                        draw.board(BoardIntent::ClipboardPicture);
                    }
                }
                Event::Touch { force, phase, .. } => {
                    held.force = force.filter(|_| !matches!(phase, TouchPhase::End | TouchPhase::Cancel));
                }
                Event::PointerButton { pos, button, pressed: true, modifiers }
                    if canvas.hovered() && canvas.rect.contains(*pos) =>
                {
                    let which = match button {
                        PointerButton::Primary => Button::Primary,
                        PointerButton::Middle => Button::Middle,
                        PointerButton::Secondary => Button::Secondary,
                        _ => continue,
                    };
                    let near = (*pos - held.pressed_at).length() < DOUBLE_REACH;
                    let double = which == Button::Primary && near && now_s - held.pressed_s < DOUBLE_S;
                    // A third press begins anew.
                    held.pressed_s = if double { f64::NEG_INFINITY } else { now_s };
                    held.pressed_at = *pos;
                    held.down = true;
                    canvas.request_focus();
                    let pointer = pointer(*pos, held.force, *modifiers);
                    draw.board(BoardIntent::Pointer(Input::Press { pointer, button: which, double, hand: space }));
                }
                Event::PointerMoved(pos) if held.down || canvas.hovered() => {
                    held.inside = true;
                    draw.board(BoardIntent::Pointer(Input::Move(pointer(*pos, held.force, modifiers))));
                }
                Event::PointerButton { pos, pressed: false, modifiers, .. } if held.down => {
                    held.down = false;
                    draw.board(BoardIntent::Pointer(Input::Release(pointer(*pos, held.force, *modifiers))));
                }
                Event::PointerGone if held.inside => {
                    held.inside = false;
                    draw.board(BoardIntent::PointerGone);
                }
                _ => {}
            }
        }
        if held.inside && !held.down && !canvas.hovered() {
            held.inside = false;
            draw.board(BoardIntent::PointerGone);
        }
        if canvas.hovered() {
            let (scroll, zoom, at) = ui.input(|input| (input.smooth_scroll_delta, input.zoom_delta(), input.pointer.hover_pos()));
            if let Some(at) = at.filter(|_| (zoom - 1.0).abs() > 1e-4) {
                draw.board(BoardIntent::ZoomAt { factor: zoom, at });
            } else if scroll != egui::Vec2::ZERO {
                draw.board(BoardIntent::Scroll(scroll));
            }
        }
    }
    cursor(ui, canvas, view, space, held.down);
    ui.data_mut(|data| data.insert_temp(id, held));
}

fn cursor(ui: &Ui, canvas: &Response, view: &BoardScreen<'_>, space: bool, down: bool) {
    use crate::canvas::selection::Handle;
    use crate::canvas::tool::Tool;
    use egui::CursorIcon;
    if !canvas.hovered() {
        return;
    }
    let machine = &view.board.machine;
    let hand = space || machine.tool == Tool::Hand;
    let icon = match machine.tool {
        _ if hand && down => CursorIcon::Grabbing,
        _ if hand => CursorIcon::Grab,
        Tool::Select => {
            let handle = machine.pointer.and_then(|at| machine.handle_at(at, &view.board.truth));
            match handle {
                Some(Handle::Turn) => CursorIcon::Grab,
                Some(Handle::Point(_)) => CursorIcon::Crosshair,
                Some(Handle::Side(x, y)) if x * y > 0 => CursorIcon::ResizeNwSe,
                Some(Handle::Side(x, y)) if x * y < 0 => CursorIcon::ResizeNeSw,
                Some(Handle::Side(0, _)) => CursorIcon::ResizeVertical,
                Some(Handle::Side(..)) => CursorIcon::ResizeHorizontal,
                None => CursorIcon::Default,
            }
        }
        Tool::Text => CursorIcon::Text,
        _ => CursorIcon::Crosshair,
    };
    ui.ctx().set_cursor_icon(icon);
}
