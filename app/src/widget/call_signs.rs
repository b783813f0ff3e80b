//! What people show each other over the pictures: reactions that float, hands in their order, and a word to whoever talks while muted.

use conclave_protocol::id::DeviceId;
use egui::{Align2, Color32, CornerRadius, Rect, Ui, WidgetInfo, WidgetType, pos2, vec2};

use crate::state::signs::FLOATS_MS;
use crate::theme::{Palette, Weight, font};
use crate::widget::Draw;

/// What can be answered with, by the keys 1 to 5.
pub const REACTIONS: [&str; 5] = ["👍", "👏", "❤", "😂", "🎉"];

/// A reaction on its way up.
#[derive(Debug, Clone, PartialEq)]
pub struct FloatingView {
    pub device: DeviceId,
    pub name: String,
    pub emoji: String,
    pub age_ms: u64,
}

/// Reactions rise over the lower left of the stage, each with the name of who sends it; without motion they stand still.
pub fn floating_ui(ui: &mut Ui, area: Rect, floating: &[FloatingView], draw: &Draw<'_>) {
    for (n, view) in floating.iter().enumerate() {
        let part = view.age_ms as f32 / FLOATS_MS as f32;
        let risen = if draw.settings.reduced_motion { 0.3 } else { part };
        let fade = if part > 0.75 { ((1.0 - part) * 4.0).clamp(0.0, 1.0) } else { 1.0 };
        let column = f32::from(view.device.0.first().copied().unwrap_or_default() % 5) * 74.0;
        let at = pos2(area.left() + 56.0 + column, area.bottom() - 40.0 - risen * area.height() * 0.6 - (n % 3) as f32 * 6.0);
        ui.painter().text(
            at,
            Align2::CENTER_CENTER,
            &view.emoji,
            font(34.0, Weight::Regular),
            Color32::WHITE.gamma_multiply(fade),
        );
        let name =
            ui.painter().layout_no_wrap(view.name.clone(), font(11.5, Weight::Medium), Color32::WHITE.gamma_multiply(fade));
        let plate = Rect::from_center_size(at + vec2(0.0, 30.0), name.size() + vec2(12.0, 4.0));
        ui.painter().rect_filled(plate, CornerRadius::same(6), Color32::from_black_alpha((150.0 * fade) as u8));
        ui.painter().galley(plate.center() - name.size() / 2.0, name, Color32::WHITE);
        let response =
            ui.interact(Rect::from_center_size(at, vec2(40.0, 40.0)), ui.id().with(("reaction", n)), egui::Sense::hover());
        let spoken = format!("{}: {}", view.name, view.emoji);
        response.widget_info(|| WidgetInfo::labeled(WidgetType::Label, true, &spoken));
    }
    if !floating.is_empty() {
        ui.ctx().request_repaint();
    }
}

/// A capsule above the bar.
pub fn hint_ui(ui: &mut Ui, area: Rect, words: &str) {
    let palette = Palette::of(ui);
    let icon = egui_phosphor::regular::MICROPHONE_SLASH;
    let galley = ui.painter().layout_no_wrap(format!("{icon}  {words}"), font(13.0, Weight::Medium), palette.on_accent);
    let plate = Rect::from_center_size(pos2(area.center().x, area.bottom() - 26.0), galley.size() + vec2(28.0, 14.0));
    ui.painter().rect_filled(plate, CornerRadius::same(16), palette.danger);
    ui.painter().galley(plate.center() - galley.size() / 2.0, galley, palette.on_accent);
    let response = ui.interact(plate, ui.id().with("muted_hint"), egui::Sense::hover());
    response.widget_info(|| WidgetInfo::labeled(WidgetType::Label, true, words));
}
