//! The messages of a room. The order is the node's; this module groups, draws and lets the person answer.

mod message;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use conclave_node::view::{MessageView, RoleView, RoomView};
use conclave_protocol::id::{OpHash, RoomId};
use egui::{Align, Id, Layout, Rect, ScrollArea, Sense, Stroke, Ui, WidgetInfo, WidgetType, pos2, vec2};

use self::message::message_ui;
use crate::clock::LocalTime;
use crate::intent::Intent;
use crate::screen::room::day_label;
use crate::state::AppState;
use crate::text::displayable;
use crate::theme::{Palette, Weight, font, space};
use crate::widget::Draw;
use crate::widget::avatar::Person;
use crate::widget::controls::{Button, Tone, empty_state, place};
use crate::widget::markdown;

/// Messages of one author this close together share a head.
const GROUP_MS: u64 = 5 * 60_000;
/// What is offered for a quick answer.
pub const REACTIONS: [&str; 6] = ["👍", "❤", "😂", "🎉", "😮", "😢"];

#[derive(Debug, Clone, PartialEq)]
pub struct ChatView {
    pub room: RoomId,
    pub rows: Vec<Row>,
    pub loaded: bool,
    pub loading: bool,
    pub complete: bool,
    /// The newest message, while it is unread.
    pub unread_end: Option<OpHash>,
    pub show: Option<OpHash>,
    pub can_write: bool,
    /// Names that `@` may mark.
    pub names: Vec<String>,
    pub my_name: String,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Row {
    Day(String),
    /// What follows is new.
    New,
    Message(Box<MessageRow>),
}

#[derive(Debug, Clone, PartialEq)]
pub struct MessageRow {
    pub id: OpHash,
    pub person: Person,
    pub mine: bool,
    pub time: String,
    /// With avatar and name.
    pub head: bool,
    pub content: Content,
    pub edited: bool,
    pub reply: Option<Quote>,
    pub reactions: Vec<Reaction>,
    pub can_edit: bool,
    pub can_delete: bool,
    pub names_me: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    Text(String),
    Deleted,
    FromNewerVersion,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quote {
    pub id: OpHash,
    pub author: String,
    pub excerpt: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reaction {
    pub emoji: String,
    pub count: u32,
    pub mine: bool,
    pub names: String,
}

/// The first words of a message on one line.
pub fn excerpt(message: &MessageView, state: &AppState) -> String {
    if message.deleted {
        return state.text.t("chat-deleted");
    }
    if message.from_newer_version {
        return state.text.t("chat-newer");
    }
    let line = markdown::plain(&displayable(&message.body));
    line.chars().take(120).collect()
}

impl ChatView {
    pub fn new(state: &AppState, room: &RoomView) -> Self {
        let empty = crate::state::chat::Chat::default();
        let chat = state.chats.get(&room.room).unwrap_or(&empty);
        let me = state.profile.as_ref().map(|profile| profile.device);
        let mut rows = Vec::with_capacity(chat.messages.len() + 4);
        let mut day = None;
        let mut before: Option<&MessageView> = None;
        for message in &chat.messages {
            let at = LocalTime::at(message.sent_ms, (state.launch.local_offset_s)(message.sent_ms));
            let new_day = day != Some(at.day);
            if new_day {
                rows.push(Row::Day(day_label(state, at.day)));
                day = Some(at.day);
            }
            let first_new = chat.first_unread == Some(message.id);
            if first_new {
                rows.push(Row::New);
            }
            let continues = before.is_some_and(|before| {
                before.author == message.author
                    && message.sent_ms.abs_diff(before.sent_ms) < GROUP_MS
                    && message.reply_to.is_none()
            });
            let names_me = me.is_some_and(|me| message.mentions.contains(&me)) && !message.mine;
            let row = message_row(state, room, chat, message, !continues || new_day || first_new, at.hh_mm(), names_me);
            rows.push(Row::Message(Box::new(row)));
            before = Some(message);
        }
        let mut names: Vec<String> = room.members.iter().map(|member| displayable(&member.name)).collect();
        names.sort_by_key(|name| std::cmp::Reverse(name.len()));
        Self {
            room: room.room,
            rows,
            loaded: chat.loaded,
            loading: chat.loading,
            complete: chat.complete,
            unread_end: chat
                .messages
                .last()
                .filter(|last| chat.read_to != Some(last.id) && (room.unread > 0 || chat.messages.iter().any(|m| m.unread)))
                .map(|last| last.id),
            show: chat.show,
            can_write: !room.gone && room.my_role >= RoleView::Member,
            names,
            my_name: state.profile.as_ref().map(|profile| displayable(&profile.name)).unwrap_or_default(),
        }
    }
}

fn message_row(
    state: &AppState,
    room: &RoomView,
    chat: &crate::state::chat::Chat,
    message: &MessageView,
    head: bool,
    time: String,
    names_me: bool,
) -> MessageRow {
    let me = state.profile.as_ref().map(|profile| profile.device);
    let content = if message.deleted {
        Content::Deleted
    } else if message.from_newer_version {
        Content::FromNewerVersion
    } else {
        Content::Text(displayable(&message.body))
    };
    let shown = matches!(content, Content::Text(_));
    let writes = !room.gone && room.my_role >= RoleView::Member;
    MessageRow {
        id: message.id,
        person: Person::in_room(state, Some(room), message.author, &message.author_name),
        mine: message.mine,
        time,
        head,
        content,
        edited: message.edited && !message.deleted,
        reply: message.reply_to.map(|id| match chat.message(id) {
            Some(quoted) => Quote { id, author: displayable(&quoted.author_name), excerpt: excerpt(quoted, state) },
            None => Quote { id, author: String::new(), excerpt: state.text.t("chat-quote-far") },
        }),
        reactions: message
            .reactions
            .iter()
            .map(|reaction| Reaction {
                emoji: reaction.emoji.clone(),
                count: reaction.by.len() as u32,
                mine: me.is_some_and(|me| reaction.by.contains(&me)),
                names: reaction
                    .by
                    .iter()
                    .map(|device| state.person_name(Some(room.room), *device))
                    .collect::<Vec<_>>()
                    .join(", "),
            })
            .collect(),
        can_edit: writes && message.mine && shown,
        can_delete: writes && shown && (message.mine || room.my_role >= RoleView::Admin),
        names_me,
    }
}

/// Heights of rows as they were last drawn, so that those out of sight need not be.
type Heights = Arc<Mutex<HashMap<(OpHash, u32), f32>>>;

pub fn chat_ui(ui: &mut Ui, view: &ChatView, draw: &mut Draw<'_>) {
    if view.rows.is_empty() {
        if view.loaded {
            ui.add_space((ui.available_height() * 0.5 - 110.0).max(space::L));
            let body = draw.t(if view.can_write { "chat-empty-more" } else { "chat-empty-viewer" });
            empty_state(ui, egui_phosphor::regular::CHAT_CIRCLE_TEXT, &draw.t("chat-empty"), &body);
        } else {
            ui.add_space(ui.available_height() * 0.45);
            ui.vertical_centered(|ui| ui.spinner());
        }
        return;
    }
    let id = Id::new(("chat", view.room));
    let heights: Heights = ui.data_mut(|data| data.get_temp_mut_or_default::<Heights>(id).clone());
    let area = ui.available_rect_before_wrap();
    let output = ScrollArea::vertical().id_salt(id).auto_shrink(false).stick_to_bottom(true).show_viewport(ui, |ui, viewport| {
        ui.spacing_mut().item_spacing.y = 0.0;
        if viewport.top() < 120.0 && !view.complete && !view.loading {
            draw.want(Intent::LoadOlder(view.room));
        }
        // Few messages stand at the foot, above the composer, as talk does everywhere.
        let mut heights = heights.lock().unwrap_or_else(PoisonError::into_inner);
        let width = ui.available_width();
        let known: f32 = view.rows.iter().map(|row| row_height(row, width, &heights)).sum();
        ui.add_space((area.height() - known - space::S).max(space::S));
        if view.loading && !view.complete {
            ui.vertical_centered(|ui| ui.spinner());
        }
        let top = ui.min_rect().top();
        for row in &view.rows {
            let height = row_height(row, width, &heights);
            let at = ui.cursor().top() - top;
            let target = matches!(row, Row::Message(message) if view.show == Some(message.id));
            if target {
                let rect = Rect::from_min_size(ui.cursor().min, vec2(width, height));
                ui.scroll_to_rect(rect, Some(Align::Center));
            }
            if at + height < viewport.top() - 300.0 || at > viewport.bottom() + 300.0 {
                ui.add_space(height);
                continue;
            }
            match row {
                Row::Day(label) => day_ui(ui, label),
                Row::New => new_ui(ui, draw),
                Row::Message(message) => {
                    let start = ui.cursor().top();
                    ui.push_id(message.id, |ui| message_ui(ui, view, message, draw));
                    heights.insert((message.id, width as u32), ui.cursor().top() - start);
                }
            }
        }
        ui.add_space(space::S);
    });
    keep_place_when_older_came(ui, view, &output, id);
    let from_end = output.content_size.y - output.inner_rect.height() - output.state.offset.y;
    if let Some(last) = view.unread_end
        && from_end < 24.0
        && ui.input(|input| input.focused)
    {
        draw.want(Intent::Seen(view.room, last));
    }
    if from_end > 240.0 {
        let rect = Rect::from_center_size(pos2(area.center().x, area.bottom() - 26.0), vec2(170.0, 36.0));
        place(ui, rect, Layout::centered_and_justified(egui::Direction::LeftToRight), |ui| {
            let label = draw.t("chat-latest");
            if Button::new(Tone::Secondary, &label).icon(egui_phosphor::regular::ARROW_DOWN).show(ui).clicked() {
                let mut state = output.state;
                state.offset.y = output.content_size.y;
                state.store(ui.ctx(), output.id);
            }
        });
    }
}

fn row_height(row: &Row, width: f32, heights: &HashMap<(OpHash, u32), f32>) -> f32 {
    match row {
        Row::Day(_) => 44.0,
        Row::New => 24.0,
        Row::Message(message) => {
            let guess = if message.head { 56.0 } else { 26.0 };
            heights.get(&(message.id, width as u32)).copied().unwrap_or(guess)
        }
    }
}

/// When an older page goes in above, what the person reads stays where it is.
fn keep_place_when_older_came(ui: &Ui, view: &ChatView, output: &egui::scroll_area::ScrollAreaOutput<()>, id: Id) {
    let first = view.rows.iter().find_map(|row| if let Row::Message(message) = row { Some(message.id) } else { None });
    let id = id.with("first");
    let before: Option<(Option<OpHash>, f32, OpHash)> = ui.data(|data| data.get_temp(id));
    let last = view.rows.iter().rev().find_map(|row| if let Row::Message(message) = row { Some(message.id) } else { None });
    let Some(last) = last else { return };
    if let Some((first_before, height_before, last_before)) = before
        && first_before != first
        && last_before == last
        && output.content_size.y > height_before
    {
        let mut state = output.state;
        state.offset.y += output.content_size.y - height_before;
        state.store(ui.ctx(), output.id);
    }
    ui.data_mut(|data| data.insert_temp(id, (first, output.content_size.y, last)));
}

fn day_ui(ui: &mut Ui, label: &str) {
    let palette = Palette::of(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 44.0), Sense::hover());
    response.widget_info(|| WidgetInfo::labeled(WidgetType::Label, true, label));
    let galley = ui.painter().layout_no_wrap(label.to_owned(), font(12.0, Weight::Medium), palette.faint);
    let half = galley.size().x / 2.0 + 12.0;
    let line = Stroke::new(1.0, palette.line);
    ui.painter().hline(rect.left() + 16.0..=rect.center().x - half, rect.center().y, line);
    ui.painter().hline(rect.center().x + half..=rect.right() - 16.0, rect.center().y, line);
    ui.painter().galley(rect.center() - galley.size() / 2.0, galley, palette.faint);
}

fn new_ui(ui: &mut Ui, draw: &Draw<'_>) {
    let palette = Palette::of(ui);
    let label = draw.t("chat-new");
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 24.0), Sense::hover());
    response.widget_info(|| WidgetInfo::labeled(WidgetType::Label, true, &label));
    let galley = ui.painter().layout_no_wrap(label.clone(), font(11.0, Weight::Semibold), palette.on_accent);
    let plate =
        Rect::from_min_size(pos2(rect.right() - galley.size().x - 30.0, rect.center().y - 9.0), galley.size() + vec2(14.0, 4.0));
    ui.painter().hline(rect.left() + 16.0..=plate.left(), rect.center().y, Stroke::new(1.0, palette.danger));
    ui.painter().rect_filled(plate, 6.0, palette.danger);
    ui.painter().galley(plate.center() - galley.size() / 2.0, galley, palette.on_accent);
}
