//! The bar of controls below the stage. A control wants something; what it looks like is what the node said.

use egui::{
    Align2, Color32, CornerRadius, CursorIcon, Rect, RichText, Sense, Stroke, StrokeKind, Ui, WidgetInfo, WidgetType, pos2, vec2,
};

use super::CallScreen;
use crate::intent::{Intent, Panel};
use crate::keys::Action;
use crate::theme::{Palette, Weight, fill_icon, font};
use crate::widget::Draw;
use crate::widget::call_signs::REACTIONS;
use crate::widget::controls::{count_badge, focus_ring, named_tooltip};

/// How a control of the bar looks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Look {
    Plain,
    /// Doing something that others see or hear.
    Active,
    /// Off, and that matters.
    Off,
}

pub(super) fn bar_ui(ui: &mut Ui, view: &CallScreen, board: bool, draw: &mut Draw<'_>) {
    use egui_phosphor::{fill, regular as icons};
    const SIDE: f32 = 48.0;
    let width = ui.available_width();
    let (rect, _) = ui.allocate_exact_size(vec2(width, SIDE), Sense::hover());
    let compact = width < 900.0;
    let gap = if compact { 8.0 } else { 12.0 };
    let middle = 7.0 * SIDE + 6.0 * gap;
    let leave_width = if compact { SIDE + 8.0 } else { 112.0 };
    let right = 4.0 * SIDE + 4.0 * gap + leave_width;
    // In the middle of the window, unless the right side would be reached.
    let left = (rect.center().x - middle / 2.0).min(rect.right() - right - gap - middle).max(rect.left());
    let at = |index: f32| Rect::from_min_size(pos2(left + (SIDE + gap) * index, rect.top()), vec2(SIDE, SIDE));

    let (icon, key, look) = if view.mic_on {
        (fill::MICROPHONE, "call-mute", if view.talking { Look::Active } else { Look::Plain })
    } else {
        (fill::MICROPHONE_SLASH, "call-unmute", Look::Off)
    };
    if control(ui, at(0.0), icon, &draw.t(key), draw.key(Action::Mic), look, 0) {
        draw.want(Intent::ToggleMic);
    }
    let (icon, key, look) = if view.camera_on {
        (fill::VIDEO_CAMERA, "call-camera-off", Look::Plain)
    } else {
        (fill::VIDEO_CAMERA_SLASH, "call-camera-on", Look::Off)
    };
    if control(ui, at(1.0), icon, &draw.t(key), draw.key(Action::Camera), look, 0) {
        draw.want(Intent::ToggleCamera);
    }
    let (key, look) = if view.sharing { ("call-share-stop", Look::Active) } else { ("call-share", Look::Plain) };
    if control(ui, at(2.0), fill::MONITOR_ARROW_UP, &draw.t(key), draw.key(Action::Share), look, 0) {
        draw.want(if view.sharing { Intent::StopShare } else { Intent::ShowShare });
    }
    let (icon, key, look) = if view.deafened {
        (fill::SPEAKER_SLASH, "call-undeafen", Look::Off)
    } else {
        (fill::SPEAKER_HIGH, "call-deafen", Look::Plain)
    };
    if control(ui, at(3.0), icon, &draw.t(key), "", look, 0) {
        draw.want(Intent::ToggleDeafen);
    }
    let (icon, key, look) = if view.i_record {
        (fill::STOP_CIRCLE, "call-record-stop", Look::Off)
    } else {
        (fill::RECORD, "call-record", Look::Plain)
    };
    if control(ui, at(4.0), icon, &draw.t(key), "", look, 0) {
        draw.want(Intent::ToggleRecord);
    }

    let (key, look) = if view.my_hand { ("call-hand-lower", Look::Active) } else { ("call-hand", Look::Plain) };
    if control(ui, at(5.0), fill::HAND, &draw.t(key), draw.key(Action::Hand), look, view.hands.len() as u32) {
        draw.want(Intent::ToggleHand);
    }
    reactions_ui(ui, at(6.0), draw);

    let panel = |on: bool| if on { Look::Active } else { Look::Plain };
    let leave = Rect::from_min_max(pos2(rect.right() - leave_width, rect.top()), rect.max);
    let people = Rect::from_min_size(pos2(leave.left() - gap - SIDE, rect.top()), vec2(SIDE, SIDE));
    let chat = people.translate(vec2(-SIDE - gap, 0.0));
    let files = chat.translate(vec2(-SIDE - gap, 0.0));
    let at = files.translate(vec2(-SIDE - gap, 0.0));
    if control(ui, at, icons::CHALKBOARD_SIMPLE, &draw.t("board"), draw.key(Action::Board), panel(board), 0) {
        draw.want(Intent::ToggleBoard);
    }
    let look = panel(view.panel == Some(Panel::Files));
    if control(ui, files, icons::FILES, &draw.t("files-title"), draw.key(Action::Files), look, 0) {
        draw.want(Intent::TogglePanel(Panel::Files));
    }
    let look = panel(view.panel == Some(Panel::Chat));
    if control(ui, chat, icons::CHAT_CIRCLE_TEXT, &draw.t("chat-title"), draw.key(Action::Chat), look, view.unread) {
        draw.want(Intent::TogglePanel(Panel::Chat));
    }
    let look = panel(view.panel == Some(Panel::People));
    if control(ui, people, icons::USERS, &draw.t("people-title"), draw.key(Action::People), look, view.knocks) {
        draw.want(Intent::TogglePanel(Panel::People));
    }
    if leave_ui(ui, leave, &draw.t("call-leave"), compact) {
        draw.want(Intent::LeaveCall);
    }
}

/// A control that opens a row of reactions.
fn reactions_ui(ui: &mut Ui, rect: Rect, draw: &mut Draw<'_>) {
    let response = control_response(ui, rect, egui_phosphor::fill::SMILEY, &draw.t("call-react"), "1–5", Look::Plain, 0);
    egui::Popup::menu(&response).show(|ui| {
        ui.horizontal(|ui| {
            for emoji in REACTIONS {
                let button = ui.add(egui::Button::new(RichText::new(emoji).size(22.0)).min_size(vec2(40.0, 36.0)));
                crate::widget::field::name(&button, &draw.f("call-react-with", &[("emoji", emoji.into())]));
                if button.clicked() {
                    draw.want(Intent::CallReact(emoji.to_owned()));
                    ui.close();
                }
            }
        });
    });
}

fn control(ui: &mut Ui, rect: Rect, icon: &str, name: &str, key: &str, look: Look, badge: u32) -> bool {
    control_response(ui, rect, icon, name, key, look, badge).clicked()
}

fn control_response(ui: &mut Ui, rect: Rect, icon: &str, name: &str, key: &str, look: Look, badge: u32) -> egui::Response {
    let palette = Palette::of(ui);
    let response = ui.interact(rect, ui.id().with(("control", rect.left() as i32, icon)), Sense::click());
    response.widget_info(|| WidgetInfo::selected(WidgetType::Button, true, look == Look::Active, name));
    let hover = ui.ctx().animate_bool_responsive(response.id, response.hovered());
    let (fill, over, colour) = match look {
        Look::Plain if palette.dark => (palette.raised, palette.line, palette.text),
        Look::Plain => (palette.window, palette.raised, palette.text),
        Look::Active => (palette.accent, palette.accent_hover, palette.on_accent),
        Look::Off => (palette.danger_soft, palette.danger_soft.lerp_to_gamma(palette.danger, 0.25), palette.danger),
    };
    let line = if look == Look::Plain { palette.line } else { Color32::TRANSPARENT };
    let corner = CornerRadius::same(15);
    ui.painter().rect(rect, corner, fill.lerp_to_gamma(over, hover), Stroke::new(1.0, line), StrokeKind::Inside);
    ui.painter().text(rect.center(), Align2::CENTER_CENTER, icon, fill_icon(21.0), colour);
    if badge > 0 {
        count_badge(ui, rect.right_top() + vec2(-6.0, 6.0), badge, palette.danger, palette.on_accent);
    }
    focus_ring(ui, &response, rect, 15.0);
    let response = response.on_hover_cursor(CursorIcon::PointingHand);
    named_tooltip(response, name, (!key.is_empty()).then_some(key))
}

fn leave_ui(ui: &mut Ui, rect: Rect, name: &str, compact: bool) -> bool {
    let palette = Palette::of(ui);
    let response = ui.interact(rect, ui.id().with("leave"), Sense::click());
    response.widget_info(|| WidgetInfo::labeled(WidgetType::Button, true, name));
    let hover = ui.ctx().animate_bool_responsive(response.id, response.hovered());
    ui.painter().rect_filled(rect, CornerRadius::same(15), palette.danger.lerp_to_gamma(palette.danger_hover, hover));
    let icon = egui_phosphor::fill::PHONE_DISCONNECT;
    if compact {
        ui.painter().text(rect.center(), Align2::CENTER_CENTER, icon, fill_icon(22.0), palette.on_accent);
    } else {
        let words = ui.painter().layout_no_wrap(name.to_owned(), font(14.0, Weight::Semibold), palette.on_accent);
        let mark = ui.painter().layout_no_wrap(icon.to_owned(), fill_icon(20.0), palette.on_accent);
        let total = words.size().x + mark.size().x + 8.0;
        let x = rect.center().x - total / 2.0;
        let mark_width = mark.size().x;
        ui.painter().galley(pos2(x, rect.center().y - mark.size().y / 2.0), mark, palette.on_accent);
        ui.painter().galley(pos2(x + mark_width + 8.0, rect.center().y - words.size().y / 2.0), words, palette.on_accent);
    }
    focus_ring(ui, &response, rect, 15.0);
    response.on_hover_cursor(CursorIcon::PointingHand).on_hover_text(name).clicked()
}
