//! Where a message is written: several lines, an answer or a change in progress, and names after `@`.

use conclave_node::view::{RoleView, RoomView};
use conclave_protocol::id::RoomId;
use egui::text::{CCursor, CCursorRange};
use egui::{
    CornerRadius, Frame, Id, Key, KeyboardShortcut, Label, Margin, Modifiers, Popup, RichText, Stroke, TextEdit, Ui, vec2,
};

use crate::intent::Intent;
use crate::state::AppState;
use crate::state::chat::Compose;
use crate::text::displayable;
use crate::theme::{Palette, Weight, font, space};
use crate::widget::Draw;
use crate::widget::avatar::{Person, avatar};
use crate::widget::controls::IconButton;

/// Characters of one message, well below the 16 KiB of the protocol in any script.
const LIMIT: usize = 4_000;
const EMOJI: [&str; 40] = [
    "😀", "😂", "😅", "😊", "😍", "😎", "🤔", "😮", "😢", "😭", "😡", "😴", "👍", "👎", "👏", "🙏", "👋", "💪", "✌", "🤝", "❤",
    "💙", "💚", "💔", "🎉", "🎂", "🔥", "⭐", "✅", "❌", "❓", "❗", "💡", "📌", "📎", "📅", "☕", "🍕", "🚀", "🌍",
];

#[derive(Debug, Clone, PartialEq)]
pub struct ComposerView {
    pub room: RoomId,
    pub draft: String,
    pub mode: Mode,
    pub people: Vec<Person>,
    /// Why nothing can be written here.
    pub closed: Option<String>,
    pub hint: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    New,
    Reply { author: String, excerpt: String },
    Edit,
}

impl ComposerView {
    pub fn new(state: &AppState, room: &RoomView) -> Self {
        let chat = state.chats.get(&room.room);
        let mode = match chat.map(|chat| &chat.compose) {
            Some(Compose::Reply(id)) => {
                let quoted = chat.and_then(|chat| chat.message(*id));
                Mode::Reply {
                    author: quoted.map(|quoted| displayable(&quoted.author_name)).unwrap_or_default(),
                    excerpt: quoted.map(|quoted| super::chat::excerpt(quoted, state)).unwrap_or_default(),
                }
            }
            Some(Compose::Edit(_)) => Mode::Edit,
            Some(Compose::New) | None => Mode::New,
        };
        let closed = if room.gone {
            Some(state.text.t("room-gone"))
        } else if room.my_role < RoleView::Member {
            Some(state.text.t("chat-viewer"))
        } else {
            None
        };
        Self {
            room: room.room,
            draft: chat.map(|chat| chat.draft.clone()).unwrap_or_default(),
            mode,
            people: room
                .members
                .iter()
                .filter(|member| !member.me)
                .map(|member| Person::new(member.device, member.account.as_bytes(), &member.name))
                .collect(),
            closed,
            hint: state.text.f("chat-hint", &[("room", displayable(&room.name).into())]),
        }
    }
}

/// The beginning of a name after the last `@` before the cursor, and where (in characters) it begins.
pub fn mention_at(text: &str, cursor: usize) -> Option<(usize, String)> {
    let before: Vec<char> = text.chars().take(cursor).collect();
    let at = before.iter().rposition(|c| *c == '@')?;
    let free = at == 0 || before.get(at - 1).is_none_or(|c| !c.is_alphanumeric());
    let word: String = before.get(at + 1..)?.iter().collect();
    (free && word.chars().count() <= 24 && !word.contains('\n')).then_some((at, word))
}

/// The text with the word at `at` replaced by the whole name, and where the cursor then stands.
pub fn complete(text: &str, at: usize, cursor: usize, name: &str) -> (String, usize) {
    let head: String = text.chars().take(at).collect();
    let tail: String = text.chars().skip(cursor).collect();
    let filled = format!("{head}@{name} ");
    let cursor = filled.chars().count();
    (format!("{filled}{}", tail.trim_start_matches(' ')), cursor)
}

pub fn composer_ui(ui: &mut Ui, view: &ComposerView, draw: &mut Draw<'_>) {
    let palette = Palette::of(ui);
    if let Some(closed) = &view.closed {
        Frame::new().fill(palette.raised).corner_radius(10).inner_margin(Margin::symmetric(14, 10)).show(ui, |ui| {
            ui.set_width(ui.available_width());
            ui.label(RichText::new(closed).size(13.5).color(palette.muted));
        });
        return;
    }
    let id = composer_id(view.room);
    focus_when_mode_changes(ui, view, id);
    let focused = ui.memory(|memory| memory.has_focus(id));
    let mut text = view.draft.clone();
    let completion = focused.then(|| completion_ui(ui, view, id, &mut text, draw)).flatten();
    let line = if focused { palette.accent } else { palette.line };
    let fill = if palette.dark { palette.card } else { palette.window };
    Frame::new().fill(fill).stroke(Stroke::new(1.0, line)).corner_radius(CornerRadius::same(12)).show(ui, |ui| {
        ui.set_width(ui.available_width());
        ui.spacing_mut().item_spacing.y = 0.0;
        mode_ui(ui, view, draw);
        ui.horizontal(|ui| {
            ui.spacing_mut().item_spacing.x = 2.0;
            ui.add_space(4.0);
            let width = ui.available_width() - 84.0;
            let output = TextEdit::multiline(&mut text)
                .id(id)
                .hint_text(RichText::new(&view.hint).color(palette.faint))
                .font(font(14.0, Weight::Regular))
                .char_limit(LIMIT)
                .desired_rows(1)
                .desired_width(width)
                .return_key(KeyboardShortcut::new(Modifiers::SHIFT, Key::Enter))
                .frame(Frame::new().inner_margin(Margin::symmetric(10, 12)))
                .show(ui);
            let response = output.response.response;
            super::field::name(&response, &view.hint);
            if let Some(cursor) = completion {
                let mut state = output.state;
                state.cursor.set_char_range(Some(CCursorRange::one(CCursor::new(cursor))));
                state.store(ui.ctx(), id);
            }
            let cursor = output.cursor_range.map(|range| range.primary.index);
            ui.data_mut(|data| data.insert_temp(id.with("cursor"), cursor.map(|index| index.0)));
            if text != view.draft {
                draw.want(Intent::Draft(view.room, text.clone()));
            }
            if response.has_focus() {
                keys(ui, view, draw);
            }
            emoji_ui(ui, view, &text, id, draw);
            let label = draw.t("chat-send");
            let send = IconButton::new(egui_phosphor::regular::PAPER_PLANE_RIGHT, &label).hint("Enter").size(34.0);
            let empty = text.trim().is_empty();
            if send.filled(!empty).colour(if empty { palette.faint } else { palette.accent }).enabled(!empty).show(ui).clicked() {
                draw.want(Intent::Send(view.room));
                ui.memory_mut(|memory| memory.request_focus(id));
            }
        });
    });
}

/// The id of a room's composer, so that others can give it the keyboard.
pub fn composer_id(room: RoomId) -> Id {
    Id::new(("composer", room))
}

/// Whoever opens the chat of a call wants to write: the cursor is there from the first frame that shows it.
pub fn focus_when_opened(ui: &Ui, room: RoomId) {
    let id = composer_id(room);
    let (key, pass) = (id.with("shown"), ui.ctx().cumulative_pass_nr());
    let shown = ui.data_mut(|data| std::mem::replace(data.get_temp_mut_or(key, 0_u64), pass));
    if shown + 1 < pass {
        ui.memory_mut(|memory| memory.request_focus(id));
    }
}

fn keys(ui: &Ui, view: &ComposerView, draw: &mut Draw<'_>) {
    let (enter, up, escape) = ui.input_mut(|input| {
        (
            input.consume_key(Modifiers::NONE, Key::Enter),
            view.draft.is_empty() && input.consume_key(Modifiers::NONE, Key::ArrowUp),
            view.mode != Mode::New && input.consume_key(Modifiers::NONE, Key::Escape),
        )
    });
    if enter {
        draw.want(Intent::Send(view.room));
    }
    if up {
        draw.want(Intent::EditLast(view.room));
    }
    if escape {
        draw.want(Intent::CancelCompose(view.room));
    }
}

fn focus_when_mode_changes(ui: &Ui, view: &ComposerView, id: Id) {
    let key = id.with("mode");
    let mode = match view.mode {
        Mode::New => 0u8,
        Mode::Reply { .. } => 1,
        Mode::Edit => 2,
    };
    let before = ui.data(|data| data.get_temp::<u8>(key)).unwrap_or(0);
    if mode != before {
        ui.data_mut(|data| data.insert_temp(key, mode));
        if mode != 0 {
            ui.memory_mut(|memory| memory.request_focus(id));
        }
    }
}

fn mode_ui(ui: &mut Ui, view: &ComposerView, draw: &mut Draw<'_>) {
    let palette = Palette::of(ui);
    let (icon, words) = match &view.mode {
        Mode::New => return,
        Mode::Reply { author, excerpt } => {
            let title = draw.f("chat-replying", &[("name", author.as_str().into())]);
            (egui_phosphor::regular::ARROW_BEND_UP_LEFT, format!("{title}  {excerpt}"))
        }
        Mode::Edit => (egui_phosphor::regular::PENCIL_SIMPLE, draw.t("chat-editing")),
    };
    Frame::new().inner_margin(Margin { left: 14, right: 6, top: 6, bottom: 0 }).show(ui, |ui| {
        ui.horizontal(|ui| {
            ui.label(RichText::new(icon).size(15.0).color(palette.accent));
            let room = ui.available_width() - 40.0;
            ui.scope(|ui| {
                ui.set_max_width(room);
                ui.add(Label::new(RichText::new(words).size(12.5).color(palette.muted)).truncate());
            });
            ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                if IconButton::new(egui_phosphor::regular::X, &draw.t("cancel")).hint("Esc").size(26.0).show(ui).clicked() {
                    draw.want(Intent::CancelCompose(view.room));
                }
            });
        });
    });
}

fn emoji_ui(ui: &mut Ui, view: &ComposerView, text: &str, id: Id, draw: &mut Draw<'_>) {
    let button = IconButton::new(egui_phosphor::regular::SMILEY, &draw.t("chat-emoji")).size(34.0).show(ui);
    Popup::menu(&button).show(|ui| {
        ui.spacing_mut().item_spacing = vec2(2.0, 2.0);
        for line in EMOJI.chunks(8) {
            ui.horizontal(|ui| {
                for emoji in line {
                    if ui.add(egui::Button::new(RichText::new(*emoji).size(19.0)).frame_when_inactive(false)).clicked() {
                        draw.want(Intent::Draft(view.room, format!("{text}{emoji}")));
                        ui.memory_mut(|memory| memory.request_focus(id));
                        ui.close();
                    }
                }
            });
        }
    });
}

/// The names that fit what is being typed, above the composer. Where one is taken, the text changes and the cursor's place comes back.
fn completion_ui(ui: &mut Ui, view: &ComposerView, id: Id, text: &mut String, draw: &Draw<'_>) -> Option<usize> {
    let palette = Palette::of(ui);
    let cursor = ui.data(|data| data.get_temp::<Option<usize>>(id.with("cursor"))).flatten()?;
    let (at, word) = mention_at(text, cursor)?;
    let wanted = word.to_lowercase();
    let fits = |person: &&Person| {
        let name = person.name.to_lowercase();
        name.starts_with(&wanted) && name != wanted
    };
    let people: Vec<&Person> = view.people.iter().filter(fits).take(5).collect();
    let last = people.len().checked_sub(1)?;
    let chosen_id = id.with("completion");
    let mut chosen = ui.data(|data| data.get_temp::<usize>(chosen_id)).unwrap_or(0).min(last);
    let taken = ui.input_mut(|input| {
        if input.consume_key(Modifiers::NONE, Key::ArrowDown) {
            chosen = if chosen == last { 0 } else { chosen + 1 };
        }
        if input.consume_key(Modifiers::NONE, Key::ArrowUp) {
            chosen = chosen.checked_sub(1).unwrap_or(last);
        }
        input.consume_key(Modifiers::NONE, Key::Enter) || input.consume_key(Modifiers::NONE, Key::Tab)
    });
    let mut picked = taken.then_some(chosen);
    Frame::popup(ui.style()).inner_margin(Margin::same(4)).show(ui, |ui| {
        ui.set_width(260.0);
        ui.spacing_mut().item_spacing.y = 0.0;
        ui.label(RichText::new(draw.t("chat-mention")).size(11.5).color(palette.faint));
        for (index, person) in people.iter().enumerate() {
            let fill = if index == chosen { palette.accent_soft } else { egui::Color32::TRANSPARENT };
            let row = Frame::new().fill(fill).corner_radius(6).inner_margin(Margin::symmetric(6, 4)).show(ui, |ui| {
                ui.set_width(ui.available_width());
                ui.horizontal(|ui| {
                    avatar(ui, 22.0, person, None);
                    ui.label(RichText::new(&person.name).font(font(13.5, Weight::Medium)));
                });
            });
            let response = row.response.interact(egui::Sense::click());
            response.widget_info(|| egui::WidgetInfo::selected(egui::WidgetType::Button, true, index == chosen, &person.name));
            if response.clicked() {
                picked = Some(index);
            }
        }
    });
    ui.add_space(space::XS);
    ui.data_mut(|data| data.insert_temp(chosen_id, chosen));
    let person = people.get(picked?)?;
    let (filled, cursor) = complete(text, at, cursor, &person.name);
    *text = filled;
    ui.data_mut(|data| data.insert_temp(chosen_id, 0usize));
    ui.memory_mut(|memory| memory.request_focus(id));
    Some(cursor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_after_an_at_sign_is_completed() {
        assert_eq!(mention_at("hi @Be", 6), Some((3, "Be".to_owned())));
        assert_eq!(mention_at("@", 1), Some((0, String::new())));
        assert_eq!(mention_at("mail me@Be", 10), None);
        assert_eq!(mention_at("hi @Be", 2), None);
        assert_eq!(complete("hi @Be, ok", 3, 6, "Ben Okri"), ("hi @Ben Okri , ok".to_owned(), 13));
        assert_eq!(complete("é @B", 2, 4, "Bo"), ("é @Bo ".to_owned(), 6));
    }
}
