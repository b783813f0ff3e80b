//! The messages of a room. The order is the node's; this module groups, draws and lets the person answer.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use conclave_node::view::{MessageView, RoleView, RoomView};
use conclave_protocol::id::{OpHash, RoomId};
use egui::{
    Align, Align2, CornerRadius, CursorIcon, Frame, Id, Label, Layout, Margin, Popup, Rect, RichText, ScrollArea, Sense, Stroke,
    StrokeKind, Ui, WidgetInfo, WidgetType, pos2, vec2,
};

use crate::clock::LocalTime;
use crate::intent::{Confirm, Intent};
use crate::screen::room::day_label;
use crate::state::AppState;
use crate::text::displayable;
use crate::theme::{Palette, Weight, font, space};
use crate::widget::Draw;
use crate::widget::avatar::{Person, avatar};
use crate::widget::controls::{Button, IconButton, Tone, empty_state, focus_ring, place};
use crate::widget::markdown::{self, Block, Span};

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

fn message_ui(ui: &mut Ui, view: &ChatView, row: &MessageRow, draw: &mut Draw<'_>) {
    let palette = Palette::of(ui);
    let background = ui.painter().add(egui::Shape::Noop);
    let menu_id = ui.id().with("open");
    let shown =
        Frame::new().inner_margin(Margin { left: 16, right: 16, top: if row.head { 7 } else { 2 }, bottom: 4 }).show(ui, |ui| {
            ui.set_width(ui.available_width());
            // Rows of text are as tall as the text, not as a button.
            ui.spacing_mut().interact_size.y = 18.0;
            ui.horizontal_top(|ui| {
                ui.spacing_mut().item_spacing.x = space::M;
                if row.head {
                    avatar(ui, 36.0, &row.person, None);
                } else {
                    ui.allocate_exact_size(vec2(36.0, 18.0), Sense::hover());
                }
                ui.vertical(|ui| {
                    ui.spacing_mut().item_spacing.y = 3.0;
                    if row.head {
                        ui.horizontal(|ui| {
                            ui.spacing_mut().item_spacing.x = space::S;
                            ui.add(Label::new(RichText::new(&row.person.name).font(font(14.0, Weight::Semibold))).truncate());
                            ui.label(RichText::new(&row.time).size(12.0).color(palette.faint));
                        });
                    }
                    if let Some(quote) = &row.reply {
                        quote_ui(ui, view.room, quote, draw);
                    }
                    content_ui(ui, view, row, draw);
                    if !row.reactions.is_empty() {
                        reactions_ui(ui, view, row, draw);
                    }
                });
            });
        });
    let rect = shown.response.rect;
    let hovered = ui.rect_contains_pointer(rect);
    let menu_open = ui.data(|data| data.get_temp::<bool>(menu_id)).unwrap_or(false);
    if row.names_me {
        let stripe = Rect::from_min_size(rect.min, vec2(3.0, rect.height()));
        ui.painter().set(background, egui::epaint::RectShape::filled(rect, 0.0, palette.warning_soft));
        ui.painter().rect_filled(stripe, 0.0, palette.warning);
    } else if hovered || menu_open {
        ui.painter().set(background, egui::epaint::RectShape::filled(rect, 0.0, palette.hover.gamma_multiply(0.7)));
    }
    if hovered && !row.head {
        let at = pos2(rect.left() + 34.0, rect.top() + 12.0);
        ui.painter().text(at, Align2::CENTER_CENTER, &row.time, font(10.5, Weight::Regular), palette.faint);
    }
    if (hovered || menu_open) && view.can_write && matches!(row.content, Content::Text(_)) {
        let open = toolbar_ui(ui, view, row, rect, draw);
        ui.data_mut(|data| data.insert_temp(menu_id, open));
    }
}

fn toolbar_ui(ui: &mut Ui, view: &ChatView, row: &MessageRow, rect: Rect, draw: &mut Draw<'_>) -> bool {
    let palette = Palette::of(ui);
    let count = 2 + usize::from(row.can_edit) + usize::from(row.can_delete);
    let size = vec2(28.0 * count as f32 + 2.0 * (count - 1) as f32 + 6.0, 34.0);
    let bar = Rect::from_min_size(pos2(rect.right() - size.x - 16.0, rect.top() - 14.0), size);
    let fill = if palette.dark { palette.raised } else { palette.card };
    ui.painter().rect(bar, CornerRadius::same(8), fill, Stroke::new(1.0, palette.line), StrokeKind::Inside);
    let (room, message) = (view.room, row.id);
    place(ui, bar.shrink(3.0), Layout::left_to_right(Align::Center), |ui| {
        ui.spacing_mut().item_spacing.x = 2.0;
        let react = IconButton::new(egui_phosphor::regular::SMILEY, &draw.t("chat-react")).size(28.0).show(ui);
        let open = Popup::menu(&react)
            .show(|ui| {
                ui.horizontal(|ui| {
                    for emoji in REACTIONS {
                        let button = ui.add(egui::Button::new(RichText::new(emoji).size(20.0)).frame_when_inactive(false));
                        if button.clicked() {
                            let mine = row.reactions.iter().any(|reaction| reaction.emoji == emoji && reaction.mine);
                            draw.want(Intent::React { room, message, emoji: emoji.to_owned(), on: !mine });
                            ui.close();
                        }
                    }
                });
            })
            .is_some();
        if IconButton::new(egui_phosphor::regular::ARROW_BEND_UP_LEFT, &draw.t("chat-reply")).size(28.0).show(ui).clicked() {
            draw.want(Intent::Reply(room, message));
        }
        if row.can_edit
            && IconButton::new(egui_phosphor::regular::PENCIL_SIMPLE, &draw.t("chat-edit")).size(28.0).show(ui).clicked()
        {
            draw.want(Intent::Edit(room, message));
        }
        if row.can_delete {
            let name = draw.t("chat-delete");
            if IconButton::new(egui_phosphor::regular::TRASH, &name).size(28.0).colour(palette.danger).show(ui).clicked() {
                draw.want(Intent::Ask(Confirm::DeleteMessage { room, message }));
            }
        }
        open
    })
}

fn quote_ui(ui: &mut Ui, room: RoomId, quote: &Quote, draw: &mut Draw<'_>) {
    let palette = Palette::of(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 20.0), Sense::click());
    let words = if quote.author.is_empty() { quote.excerpt.clone() } else { format!("{}  {}", quote.author, quote.excerpt) };
    response.widget_info(|| WidgetInfo::labeled(WidgetType::Link, true, &words));
    let hover = ui.ctx().animate_bool_responsive(response.id, response.hovered());
    let bar = Rect::from_min_size(rect.min + vec2(0.0, 1.0), vec2(3.0, 18.0));
    ui.painter().rect_filled(bar, 1.5, palette.line.lerp_to_gamma(palette.accent, 0.4 + 0.6 * hover));
    let mut job = egui::text::LayoutJob::default();
    let colour = palette.muted.lerp_to_gamma(palette.text, hover);
    job.append(&quote.author, 0.0, egui::TextFormat::simple(font(12.5, Weight::Semibold), colour));
    let gap = if quote.author.is_empty() { 0.0 } else { 6.0 };
    job.append(&quote.excerpt, gap, egui::TextFormat::simple(font(12.5, Weight::Regular), colour));
    job.wrap = egui::text::TextWrapping::truncate_at_width(rect.width() - 12.0);
    let galley = ui.painter().layout_job(job);
    ui.painter().galley(pos2(rect.left() + 10.0, rect.center().y - galley.size().y / 2.0), galley, colour);
    focus_ring(ui, &response, rect, 4.0);
    if response.on_hover_cursor(CursorIcon::PointingHand).clicked() {
        draw.want(Intent::ShowMessage(room, quote.id));
    }
}

fn content_ui(ui: &mut Ui, view: &ChatView, row: &MessageRow, draw: &mut Draw<'_>) {
    let palette = Palette::of(ui);
    let body = match &row.content {
        Content::Text(body) => body,
        Content::Deleted => {
            let words = format!("{}  {}", egui_phosphor::regular::PROHIBIT, draw.t("chat-deleted"));
            ui.label(RichText::new(words).size(13.5).italics().color(palette.faint));
            return;
        }
        Content::FromNewerVersion => {
            let words = format!("{}  {}", egui_phosphor::regular::ARROW_CIRCLE_UP, draw.t("chat-newer"));
            ui.label(RichText::new(words).size(13.5).italics().color(palette.faint));
            return;
        }
    };
    let blocks = markdown::parse(body, &view.names);
    let last = blocks.len().saturating_sub(1);
    for (index, block) in blocks.iter().enumerate() {
        match block {
            Block::Code(code) => {
                Frame::new().fill(palette.raised).corner_radius(8).inner_margin(Margin::symmetric(12, 8)).show(ui, |ui| {
                    ui.set_width(ui.available_width());
                    ui.add(Label::new(RichText::new(code).monospace().size(12.5)).wrap().selectable(true));
                });
            }
            Block::Paragraph(spans) => paragraph_ui(ui, view, spans, row.edited && index == last, draw),
        }
    }
}

fn paragraph_ui(ui: &mut Ui, view: &ChatView, spans: &[Span], edited: bool, draw: &mut Draw<'_>) {
    let palette = Palette::of(ui);
    let edited = edited.then(|| RichText::new(format!(" {}", draw.t("chat-edited"))).size(11.5).color(palette.faint));
    if spans.is_empty() {
        ui.add_space(8.0);
        return;
    }
    let style = |span: &Span| {
        let weight = if span.bold || span.mention { Weight::Semibold } else { Weight::Regular };
        let mut text = RichText::new(&span.text).font(font(14.0, weight)).color(palette.text);
        if span.italic {
            text = text.italics();
        }
        if span.code {
            text = text.font(egui::FontId::monospace(12.5)).background_color(palette.raised);
        }
        if span.mention {
            let me = span.text.strip_prefix('@').is_some_and(|name| name == view.my_name);
            text = text.color(if me { palette.warning } else { palette.accent });
        }
        text
    };
    if spans.iter().all(|span| span.link.is_none()) {
        let mut job = egui::text::LayoutJob::default();
        for text in spans.iter().map(style).chain(edited) {
            text.append_to(&mut job, ui.style(), egui::FontSelection::Default, Align::Center);
        }
        ui.add(Label::new(job).wrap().selectable(true));
        return;
    }
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing = vec2(0.0, 2.0);
        for span in spans {
            match &span.link {
                None => {
                    ui.add(Label::new(style(span)).selectable(true));
                }
                Some(target) if target.starts_with("conclave://") => {
                    let words = RichText::new(draw.t("chat-invite-link")).font(font(14.0, Weight::Medium)).color(palette.accent);
                    if ui.link(words).on_hover_text(target).clicked() {
                        draw.want(Intent::JoinWith(target.clone()));
                    }
                }
                Some(target) => {
                    ui.hyperlink_to(style(span).color(palette.accent), target).on_hover_text(target);
                }
            }
        }
        if let Some(edited) = edited {
            ui.label(edited);
        }
    });
}

fn reactions_ui(ui: &mut Ui, view: &ChatView, row: &MessageRow, draw: &mut Draw<'_>) {
    let palette = Palette::of(ui);
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing = vec2(4.0, 4.0);
        for reaction in &row.reactions {
            let words = format!("{} {}", reaction.emoji, reaction.count);
            let colour = if reaction.mine { palette.accent } else { palette.muted };
            let galley = ui.painter().layout_no_wrap(words, font(12.5, Weight::Medium), colour);
            let (rect, response) = ui.allocate_exact_size(vec2(galley.size().x + 16.0, 24.0), Sense::click());
            let name = format!("{} {}", reaction.emoji, reaction.names);
            response.widget_info(|| WidgetInfo::selected(WidgetType::Button, true, reaction.mine, &name));
            let (fill, line) = if reaction.mine { (palette.accent_soft, palette.accent) } else { (palette.raised, palette.line) };
            ui.painter().rect(rect, 12.0, fill, Stroke::new(1.0, line), StrokeKind::Inside);
            ui.painter().galley(rect.center() - galley.size() / 2.0, galley, colour);
            focus_ring(ui, &response, rect, 12.0);
            if response.on_hover_text(&reaction.names).on_hover_cursor(CursorIcon::PointingHand).clicked() && view.can_write {
                let intent =
                    Intent::React { room: view.room, message: row.id, emoji: reaction.emoji.clone(), on: !reaction.mine };
                draw.want(intent);
            }
        }
    });
}
