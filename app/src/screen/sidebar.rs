//! The list of rooms at the left, with the ways to make and to join one.

use conclave_node::view::JoinView;
use conclave_protocol::id::RoomId;
use egui::{
    Align, Align2, Color32, CursorIcon, Frame, Label, Layout, Margin, Panel, Rect, RichText, ScrollArea, Sense, Ui, Vec2,
    WidgetInfo, WidgetType, pos2, vec2,
};

use crate::clock;
use crate::intent::{Intent, JoinKey, SettingsPage};
use crate::keys::Action;
use crate::screen::joining::join_name;
use crate::state::events::join_key;
use crate::state::{AppState, Place, Selected};
use crate::text::{displayable, initials};
use crate::theme::{Palette, SIDEBAR, Weight, fill_icon, font, person_colour, space};
use crate::widget::avatar::{Person, avatar};
use crate::widget::controls::{Button, IconButton, Tone, count_badge, focus_ring, place, section};
use crate::widget::{Draw, logo};

#[derive(Debug, Clone, PartialEq)]
pub struct SidebarView {
    pub me: Option<Person>,
    /// Secrets lie in the clear: said as long as it is so.
    pub insecure: bool,
    pub rooms: Vec<RoomRow>,
    pub joins: Vec<JoinRow>,
    pub call: Option<CallBar>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct RoomRow {
    pub room: RoomId,
    pub name: String,
    pub colour: Color32,
    /// The last words in it.
    pub line: String,
    pub unread: u32,
    pub mentions: u32,
    pub knocks: u32,
    /// How many are in its call.
    pub in_call: usize,
    pub selected: bool,
    pub gone: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinRow {
    pub key: JoinKey,
    pub line: String,
    pub failed: bool,
    pub selected: bool,
}

/// The call that goes on while the rooms are looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallBar {
    pub room: String,
    pub time: String,
    pub mic_on: bool,
}

impl SidebarView {
    pub fn new(state: &AppState) -> Self {
        let rooms = state
            .rooms
            .iter()
            .map(|room| RoomRow {
                room: room.room,
                name: displayable(&room.name),
                colour: person_colour(room.room.as_bytes()),
                line: match &room.last_message {
                    _ if room.gone => state.text.t("room-gone-short"),
                    Some(message) => {
                        let words = crate::widget::chat::excerpt(message, state);
                        let name = if message.mine { state.text.t("you") } else { displayable(&message.author_name) };
                        state.text.f("room-last-message", &[("name", name.into()), ("message", words.into())])
                    }
                    None => state.text.f("room-members", &[("count", room.members.len().into())]),
                },
                unread: room.unread,
                mentions: room.mentions,
                knocks: room.knocks.len() as u32,
                in_call: room.call.as_ref().map_or(0, |call| call.people.len()),
                selected: state.selected == Some(Selected::Room(room.room)),
                gone: room.gone,
            })
            .collect();
        let joins = state.joins.iter().filter_map(|join| {
            let (text, failed) = match join {
                JoinView::Searching { .. } | JoinView::Hearing { .. } => ("join-row-searching", false),
                JoinView::Waiting { .. } => ("join-row-waiting", false),
                JoinView::Failed { .. } | JoinView::Unheard { .. } => ("join-row-failed", true),
                JoinView::Joined { .. } | JoinView::Heard { .. } => return None,
            };
            let key = join_key(join);
            let selected = state.selected == Some(Selected::Join(key));
            let line = state.text.f(text, &[("room", join_name(state, key).into())]);
            Some(JoinRow { key, line, failed, selected })
        });
        let call = state.call.as_ref().filter(|_| !matches!(state.place, Place::Call)).map(|call| CallBar {
            room: state.room_name(call.room),
            time: clock::duration(state.now_ms.saturating_sub(call.since_ms)),
            mic_on: call.me.mic_on,
        });
        Self {
            me: state.profile.as_ref().map(|me| Person::new(me.device, me.account.as_bytes(), &me.name)),
            insecure: state.profile.as_ref().is_some_and(|me| me.protection == "insecure"),
            rooms,
            joins: joins.collect(),
            call,
        }
    }
}

pub fn sidebar_ui(ui: &mut Ui, view: &SidebarView, draw: &mut Draw<'_>) {
    let palette = Palette::of(ui);
    let frame = Frame::new().fill(palette.sidebar).inner_margin(Margin::symmetric(10, 12));
    Panel::left("sidebar").exact_size(SIDEBAR).resizable(false).show_separator_line(false).frame(frame).show(ui, |ui| {
        ui.horizontal(|ui| {
            ui.add_space(4.0);
            let (rect, _) = ui.allocate_exact_size(Vec2::splat(28.0), Sense::hover());
            logo::paint(ui.painter(), rect.center(), 26.0, palette);
            ui.label(RichText::new("Conclave").font(font(16.0, Weight::Semibold)));
        });
        ui.add_space(space::S);
        let new = draw.t("new-meeting");
        if Button::new(Tone::Primary, &new).icon(egui_phosphor::regular::PLUS).wide().show(ui).clicked() {
            draw.want(Intent::ShowNewRoom);
        }
        let join = draw.t("join-by-link");
        if Button::new(Tone::Secondary, &join).icon(egui_phosphor::regular::LINK_SIMPLE).wide().show(ui).clicked() {
            draw.want(Intent::ShowJoin);
        }
        ui.add_space(space::S);
        Panel::bottom("me").show_separator_line(false).frame(Frame::new()).show(ui, |ui| {
            if let Some(call) = &view.call {
                call_bar_ui(ui, call, draw);
            }
            me_ui(ui, view, draw);
        });
        ScrollArea::vertical().id_salt("rooms").auto_shrink(false).show(ui, |ui| {
            ui.spacing_mut().item_spacing.y = 2.0;
            for join in &view.joins {
                join_row_ui(ui, join, draw);
            }
            if !view.rooms.is_empty() {
                ui.horizontal(|ui| {
                    ui.add_space(6.0);
                    section(ui, &draw.t("rooms"));
                });
            }
            for room in &view.rooms {
                room_row_ui(ui, room, draw);
            }
        });
    });
}

fn row_background(ui: &mut Ui, selected: bool, height: f32) -> (Rect, egui::Response, f32) {
    let palette = Palette::of(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), height), Sense::click());
    let hover = ui.ctx().animate_bool_responsive(response.id, response.hovered());
    if selected {
        ui.painter().rect_filled(rect, 8.0, if palette.dark { palette.raised } else { palette.line.gamma_multiply(0.75) });
    } else if hover > 0.0 {
        ui.painter().rect_filled(rect, 8.0, palette.hover.gamma_multiply(hover));
    }
    focus_ring(ui, &response, rect.shrink(2.0), 8.0);
    (rect, response, hover)
}

fn room_row_ui(ui: &mut Ui, row: &RoomRow, draw: &mut Draw<'_>) {
    let palette = Palette::of(ui);
    let (rect, response, _) = row_background(ui, row.selected, 54.0);
    let spoken =
        draw.f("room-row", &[("name", row.name.as_str().into()), ("unread", row.unread.into()), ("call", row.in_call.into())]);
    response.widget_info(|| WidgetInfo::selected(WidgetType::Button, true, row.selected, &spoken));
    let fade = if row.gone { 0.5 } else { 1.0 };
    let icon = Rect::from_center_size(pos2(rect.left() + 27.0, rect.center().y), Vec2::splat(36.0));
    ui.painter().rect_filled(icon, 10.0, row.colour.gamma_multiply(fade));
    let letters = initials(&row.name);
    ui.painter().text(icon.center(), Align2::CENTER_CENTER, letters, font(13.5, Weight::Semibold), Color32::WHITE);
    let mut right = rect.right() - 10.0;
    let badge_at = |right: f32| pos2(right - 9.0, rect.center().y + 9.0);
    if row.mentions > 0 {
        count_badge(ui, badge_at(right), row.mentions, palette.danger, palette.on_accent);
        right -= 26.0;
    } else if row.unread > 0 {
        count_badge(ui, badge_at(right), row.unread, palette.accent, palette.on_accent);
        right -= 26.0;
    }
    if row.knocks > 0 {
        let at = badge_at(right);
        ui.painter().text(at, Align2::CENTER_CENTER, egui_phosphor::fill::HAND_WAVING, fill_icon(15.0), palette.warning);
        right -= 24.0;
    }
    let lively = row.unread > 0 || row.mentions > 0;
    let left = icon.right() + 10.0;
    let mut name_right = rect.right() - 10.0;
    if row.in_call > 0 {
        let text = format!("{} {}", egui_phosphor::fill::PHONE_CALL, row.in_call);
        let galley = ui.painter().layout_no_wrap(text, fill_icon(12.0), palette.success);
        let plate = Rect::from_center_size(
            pos2(rect.right() - 10.0 - galley.size().x / 2.0 - 6.0, rect.center().y - 10.0),
            galley.size() + vec2(12.0, 4.0),
        );
        ui.painter().rect_filled(plate, 8.0, palette.success_soft);
        ui.painter().galley(plate.center() - galley.size() / 2.0, galley, palette.success);
        name_right = plate.left() - 6.0;
    }
    let weight = if lively { Weight::Semibold } else { Weight::Medium };
    let name_rect = Rect::from_min_max(pos2(left, rect.top() + 8.0), pos2(name_right, rect.center().y + 1.0));
    truncated(ui, name_rect, &row.name, font(14.0, weight), palette.text.gamma_multiply(fade));
    let line_rect = Rect::from_min_max(pos2(left, rect.center().y + 1.0), pos2(right - 4.0, rect.bottom() - 7.0));
    let line_colour = if lively { palette.muted } else { palette.faint };
    truncated(ui, line_rect, &row.line, font(12.5, Weight::Regular), line_colour);
    if response.on_hover_cursor(CursorIcon::PointingHand).clicked() {
        draw.want(Intent::SelectRoom(row.room));
    }
}

/// One line of text, cut where the rectangle ends.
pub fn truncated(ui: &Ui, rect: Rect, text: &str, font: egui::FontId, colour: Color32) {
    let mut job = egui::text::LayoutJob::simple_singleline(text.to_owned(), font, colour);
    job.wrap = egui::text::TextWrapping::truncate_at_width(rect.width().max(8.0));
    let galley = ui.painter().layout_job(job);
    ui.painter().galley(pos2(rect.left(), rect.center().y - galley.size().y / 2.0), galley, colour);
}

fn join_row_ui(ui: &mut Ui, row: &JoinRow, draw: &mut Draw<'_>) {
    let palette = Palette::of(ui);
    let (rect, response, _) = row_background(ui, row.selected, 44.0);
    response.widget_info(|| WidgetInfo::selected(WidgetType::Button, true, row.selected, &row.line));
    let at = pos2(rect.left() + 27.0, rect.center().y);
    let (icon, colour) = if row.failed {
        (egui_phosphor::regular::WARNING_CIRCLE, palette.danger)
    } else {
        (egui_phosphor::regular::HOURGLASS_MEDIUM, palette.accent)
    };
    ui.painter().text(at, Align2::CENTER_CENTER, icon, font(20.0, Weight::Regular), colour);
    let words = Rect::from_min_max(pos2(rect.left() + 55.0, rect.top()), pos2(rect.right() - 10.0, rect.bottom()));
    truncated(ui, words, &row.line, font(13.5, Weight::Medium), palette.muted);
    if response.on_hover_cursor(CursorIcon::PointingHand).clicked() {
        draw.want(Intent::SelectJoin(row.key));
    }
}

fn call_bar_ui(ui: &mut Ui, call: &CallBar, draw: &mut Draw<'_>) {
    let palette = Palette::of(ui);
    Frame::new().fill(palette.success_soft).corner_radius(10).inner_margin(Margin::symmetric(12, 8)).show(ui, |ui| {
        ui.set_width(ui.available_width());
        ui.horizontal(|ui| {
            ui.vertical(|ui| {
                ui.spacing_mut().item_spacing.y = 0.0;
                ui.set_max_width(112.0);
                ui.add(Label::new(RichText::new(&call.room).font(font(13.0, Weight::Semibold))).truncate());
                ui.label(RichText::new(&call.time).size(12.0).color(palette.success));
            });
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                ui.spacing_mut().item_spacing.x = 4.0;
                let back = draw.t("call-back");
                if Button::new(Tone::Secondary, &back).small().show(ui).clicked() {
                    draw.want(Intent::ShowCall);
                }
                let (icon, name) = if call.mic_on {
                    (egui_phosphor::regular::MICROPHONE, draw.t("call-mute"))
                } else {
                    (egui_phosphor::regular::MICROPHONE_SLASH, draw.t("call-unmute"))
                };
                let colour = if call.mic_on { palette.text } else { palette.danger };
                if IconButton::new(icon, &name).hint(draw.key(Action::Mic)).size(28.0).colour(colour).show(ui).clicked() {
                    draw.want(Intent::ToggleMic);
                }
            });
        });
    });
    ui.add_space(space::S);
}

fn me_ui(ui: &mut Ui, view: &SidebarView, draw: &mut Draw<'_>) {
    let palette = Palette::of(ui);
    if view.insecure {
        let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 26.0), Sense::hover());
        let words = draw.t("insecure-notice");
        response.widget_info(|| WidgetInfo::labeled(WidgetType::Label, true, &words));
        ui.painter().rect_filled(rect, 8.0, palette.warning_soft);
        let text = format!("{}  {words}", egui_phosphor::regular::LOCK_OPEN);
        truncated(ui, rect.shrink2(vec2(10.0, 0.0)), &text, font(12.0, Weight::Medium), palette.warning);
        response.on_hover_text(draw.t("insecure-notice-more"));
        ui.add_space(space::XS);
    }
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), 44.0), Sense::hover());
    place(ui, rect.shrink2(vec2(6.0, 4.0)), Layout::left_to_right(Align::Center), |ui| {
        if let Some(me) = &view.me {
            avatar(ui, 32.0, me, None);
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                settings_button(ui, draw);
                ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                    ui.add(Label::new(RichText::new(&me.name).font(font(13.5, Weight::Medium))).truncate());
                });
            });
        } else {
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| settings_button(ui, draw));
        }
    });
}

fn settings_button(ui: &mut Ui, draw: &mut Draw<'_>) {
    if IconButton::new(egui_phosphor::regular::GEAR_SIX, &draw.t("settings")).show(ui).clicked() {
        draw.want(Intent::ShowSettings(SettingsPage::Appearance));
    }
}
