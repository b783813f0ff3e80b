//! The notices at the foot of the window.

use conclave_node::view::ErrorView;
use egui::{Align2, Area, Color32, CornerRadius, Frame, Id, Margin, Order, RichText, Stroke, vec2};

use crate::intent::Intent;
use crate::state::toast::{Toast, Tone};
use crate::theme::{Palette, Weight, font, space};
use crate::widget::Draw;
use crate::widget::controls::{Button, IconButton, Tone as ButtonTone};

/// Draws the notices over everything, from the lower edge up; `lift` points above it.
pub fn toasts_ui(ctx: &egui::Context, toasts: &[Toast], lift: f32, draw: &mut Draw<'_>) {
    if toasts.is_empty() {
        return;
    }
    Area::new(Id::new("toasts")).order(Order::Foreground).anchor(Align2::CENTER_BOTTOM, vec2(0.0, -lift)).show(ctx, |ui| {
        ui.spacing_mut().item_spacing.y = space::S;
        for toast in toasts {
            let palette = Palette::of(ui);
            let (icon, colour) = match toast.tone {
                Tone::Info => (egui_phosphor::regular::INFO, palette.accent),
                Tone::Good => (egui_phosphor::regular::CHECK_CIRCLE, palette.success),
                Tone::Bad => (egui_phosphor::regular::WARNING_CIRCLE, palette.danger),
            };
            Frame::new()
                .fill(if palette.dark { palette.raised } else { palette.card })
                .stroke(Stroke::new(1.0, palette.line))
                .corner_radius(CornerRadius::same(10))
                .inner_margin(Margin { left: 14, right: 8, top: 8, bottom: 8 })
                .shadow(egui::Shadow { offset: [0, 8], blur: 24, spread: 0, color: Color32::from_black_alpha(60) })
                .show(ui, |ui| {
                    ui.horizontal(|ui| {
                        ui.label(RichText::new(icon).size(18.0).color(colour));
                        let words = RichText::new(&toast.text).font(font(13.5, Weight::Medium));
                        match &toast.detail {
                            None => {
                                ui.scope(|ui| {
                                    ui.set_max_width(420.0);
                                    ui.add(egui::Label::new(words).wrap());
                                });
                            }
                            Some(detail) => {
                                ui.vertical(|ui| {
                                    ui.spacing_mut().item_spacing.y = 1.0;
                                    ui.set_max_width(420.0);
                                    ui.add(egui::Label::new(words).wrap());
                                    let detail = RichText::new(detail).size(12.5).color(palette.muted);
                                    ui.add(egui::Label::new(detail).wrap().selectable(true));
                                });
                            }
                        }
                        if let Some((label, intent)) = &toast.action
                            && Button::new(ButtonTone::Secondary, label).small().show(ui).clicked()
                        {
                            draw.want(intent.clone());
                            draw.want(Intent::DismissToast(toast.id));
                        }
                        if IconButton::new(egui_phosphor::regular::X, &draw.t("dismiss")).size(26.0).show(ui).clicked() {
                            draw.want(Intent::DismissToast(toast.id));
                        }
                    });
                });
        }
    });
}

/// The two halves of an error as they are shown.
pub fn error_words(state: &crate::state::AppState, error: &ErrorView) -> (String, Option<String>) {
    state.sentence(&error.code, &error.message)
}
