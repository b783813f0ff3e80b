//! The line above the stage: the room, who records, whose hands are up, and how the stage is laid out.

use egui::{Align, Label, Layout, RichText, Ui, WidgetInfo, WidgetType};

use super::CallScreen;
use crate::intent::{Confirm, Intent, Panel};
use crate::keys::Action;
use crate::state::settings::CallLayout;
use crate::theme::{Palette, Weight, font};
use crate::widget::Draw;
use crate::widget::controls::IconButton;

pub(super) fn head_ui(ui: &mut Ui, view: &CallScreen, draw: &mut Draw<'_>) {
    let palette = Palette::of(ui);
    ui.horizontal(|ui| {
        ui.set_height(34.0);
        if IconButton::new(egui_phosphor::regular::ARROW_LEFT, &draw.t("call-show-rooms")).size(32.0).show(ui).clicked() {
            draw.want(Intent::ShowRooms);
        }
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if view.leads
                && IconButton::new(egui_phosphor::regular::PHONE_X, &draw.t("call-end-all")).size(32.0).show(ui).clicked()
            {
                draw.want(Intent::Ask(Confirm::EndForAll));
            }
            let label = draw.t("stats-title");
            let stats = IconButton::new(egui_phosphor::regular::CHART_LINE, &label).hint(draw.key(Action::Stats));
            if stats.selected(view.panel == Some(Panel::Stats)).size(32.0).show(ui).clicked() {
                draw.want(Intent::TogglePanel(Panel::Stats));
            }
            layout_ui(ui, view, draw);
            if !view.hands.is_empty() {
                let words = draw.f("call-hands", &[("names", view.hands.join(", ").into())]);
                let shown = crate::widget::controls::pill(
                    ui,
                    Some(egui_phosphor::regular::HAND),
                    &words,
                    palette.accent,
                    palette.accent_soft,
                );
                shown.widget_info(|| WidgetInfo::labeled(WidgetType::Label, true, &words));
            }
            if let Some(who) = &view.recording {
                let words = draw.f("call-recording-by", &[("name", who.as_str().into())]);
                crate::widget::controls::pill(
                    ui,
                    Some(egui_phosphor::regular::RECORD),
                    &words,
                    palette.danger,
                    palette.danger_soft,
                );
            }
            if view.i_record {
                let words = draw.t("call-recording-me");
                crate::widget::controls::pill(
                    ui,
                    Some(egui_phosphor::regular::RECORD),
                    &words,
                    palette.danger,
                    palette.danger_soft,
                );
            }
            ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                if IconButton::new(egui_phosphor::regular::LOCK_KEY, &draw.t("verification")).size(28.0).show(ui).clicked() {
                    draw.want(Intent::OpenPanel(Some(Panel::People)));
                }
                ui.add(Label::new(RichText::new(&view.name).font(font(15.0, Weight::Semibold))).truncate());
                ui.label(RichText::new(&view.time).size(13.0).color(palette.faint));
            });
        });
    });
}

fn layout_ui(ui: &mut Ui, view: &CallScreen, draw: &mut Draw<'_>) {
    let (icon, key) = match view.layout {
        CallLayout::Grid => (egui_phosphor::regular::SQUARES_FOUR, "call-layout-grid"),
        CallLayout::Spotlight => (egui_phosphor::regular::FRAME_CORNERS, "call-layout-spotlight"),
    };
    if IconButton::new(icon, &draw.t(key)).hint(draw.key(Action::Layout)).size(32.0).show(ui).clicked() {
        draw.want(Intent::ToggleLayout);
    }
}
