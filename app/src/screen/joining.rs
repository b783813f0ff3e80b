//! A join under way: whom it looks for and what it tried, the code to compare while an admin decides, or why it ended.

use conclave_node::view::{DiagnosisView, JoinView};
use egui::{Align, CollapsingHeader, Frame, Label, RichText, ScrollArea, Ui};

use crate::intent::{Intent, JoinKey};
use crate::state::AppState;
use crate::state::events::join_key;
use crate::theme::{Palette, Weight, font, space};
use crate::widget::Draw;
use crate::widget::controls::{Banner, Button, Tone, banner, card, centred_column, muted, section};
use crate::widget::people::spaced_code;

#[derive(Debug, Clone, PartialEq)]
pub struct JoiningView {
    pub key: JoinKey,
    pub name: String,
    pub stage: JoiningStage,
}

#[derive(Debug, Clone, PartialEq)]
pub enum JoiningStage {
    Searching { hints: Vec<String>, tried: Vec<String>, neighbours: u32 },
    Waiting { code: String },
    Failed { sentence: String, detail: Option<String> },
}

impl JoiningView {
    pub fn new(state: &AppState, key: JoinKey) -> Option<Self> {
        let stage = state.joins.iter().filter(|join| join_key(join) == key).find_map(|join| match join {
            JoinView::Searching { tried, .. } | JoinView::Hearing { tried, .. } => Some(JoiningStage::Searching {
                hints: tried.hints.clone(),
                tried: tried_lines(state, tried),
                neighbours: tried.neighbours,
            }),
            JoinView::Waiting { code, .. } => Some(JoiningStage::Waiting { code: spaced_code(code) }),
            JoinView::Failed { error, .. } | JoinView::Unheard { error, .. } => {
                let (sentence, detail) = state.sentence(&error.code, &error.message);
                Some(JoiningStage::Failed { sentence, detail })
            }
            JoinView::Joined { .. } | JoinView::Heard { .. } => None,
        })?;
        Some(Self { key, name: join_name(state, key), stage })
    }
}

/// What a join is called: its room, or the code by which it looks for one.
pub fn join_name(state: &AppState, key: JoinKey) -> String {
    match key {
        JoinKey::Room(room) => state.room_name(room),
        JoinKey::Spoken(number) => state.text.f("join-spoken-name", &[("number", number.to_string().into())]),
    }
}

/// What was tried, a line each.
pub fn tried_lines(state: &AppState, tried: &DiagnosisView) -> Vec<String> {
    let mut lines = Vec::new();
    for interface in tried.interfaces.iter().filter(|interface| !interface.loopback) {
        lines.push(
            state
                .text
                .f("net-interface", &[("name", interface.name.as_str().into()), ("address", interface.address.as_str().into())]),
        );
    }
    lines.push(state.text.t(if tried.multicast { "net-multicast-on" } else { "net-multicast-off" }));
    lines.push(state.text.f("net-neighbours", &[("count", tried.neighbours.into())]));
    for dial in &tried.dialled {
        lines.push(
            state.text.f("net-dial", &[("address", dial.address.as_str().into()), ("outcome", dial.outcome.as_str().into())]),
        );
    }
    lines
}

pub fn joining_ui(ui: &mut Ui, view: &JoiningView, draw: &mut Draw<'_>) {
    let palette = Palette::of(ui);
    let top = (ui.available_height() * 0.5 - 230.0).max(space::XL);
    ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
        centred_column(ui, 480.0, top, |ui| {
            ui.spacing_mut().item_spacing.y = space::M;
            match &view.stage {
                JoiningStage::Searching { hints, tried, neighbours } => {
                    ui.horizontal(|ui| {
                        ui.add(egui::Spinner::new().size(22.0).color(palette.accent));
                        ui.label(
                            RichText::new(draw.f("join-searching-title", &[("room", view.name.as_str().into())]))
                                .font(font(20.0, Weight::Semibold)),
                        );
                    });
                    let key = match (view.key, *neighbours) {
                        (JoinKey::Spoken(_), _) => "join-spoken-searching",
                        (JoinKey::Room(_), 0) => "join-searching-nobody",
                        (JoinKey::Room(_), _) => "join-searching-some",
                    };
                    muted(ui, &draw.t(key));
                    if !hints.is_empty() {
                        section(ui, &draw.t("join-hints"));
                        lines_ui(ui, egui_phosphor::regular::LIGHTBULB, hints);
                    }
                    CollapsingHeader::new(draw.t("join-tried")).default_open(false).show(ui, |ui| {
                        lines_ui(ui, egui_phosphor::regular::DOT_OUTLINE, tried);
                    });
                    cancel_ui(ui, view.key, draw);
                }
                JoiningStage::Waiting { code } => {
                    ui.horizontal(|ui| {
                        ui.add(egui::Spinner::new().size(22.0).color(palette.accent));
                        ui.label(RichText::new(draw.t("join-waiting-title")).font(font(20.0, Weight::Semibold)));
                    });
                    muted(ui, &draw.t("join-waiting-body"));
                    card(ui).show(ui, |ui| {
                        ui.set_width(ui.available_width());
                        ui.with_layout(egui::Layout::top_down(Align::Center), |ui| {
                            ui.label(RichText::new(draw.t("join-code")).size(13.0).color(palette.muted));
                            let digits = RichText::new(code).font(font(38.0, Weight::Semibold)).extra_letter_spacing(3.0);
                            ui.add(Label::new(digits).selectable(true));
                        });
                    });
                    cancel_ui(ui, view.key, draw);
                }
                JoiningStage::Failed { sentence, detail } => {
                    ui.label(RichText::new(draw.t("join-failed-title")).font(font(20.0, Weight::Semibold)));
                    banner(ui, Banner::Danger, sentence, detail.as_deref());
                    ui.horizontal(|ui| {
                        if Button::new(Tone::Primary, &draw.t("join-another")).show(ui).clicked() {
                            draw.want(Intent::DismissJoin(view.key));
                            draw.want(Intent::ShowJoin);
                        }
                        if Button::new(Tone::Secondary, &draw.t("dismiss")).show(ui).clicked() {
                            draw.want(Intent::DismissJoin(view.key));
                        }
                    });
                }
            }
        });
    });
}

fn cancel_ui(ui: &mut Ui, key: JoinKey, draw: &mut Draw<'_>) {
    if Button::new(Tone::Secondary, &draw.t("join-cancel")).show(ui).clicked() {
        draw.want(Intent::CancelJoin(key));
    }
}

pub fn lines_ui(ui: &mut Ui, icon: &str, lines: &[String]) {
    let palette = Palette::of(ui);
    ui.scope(|ui| {
        ui.spacing_mut().item_spacing.y = space::XS;
        for line in lines {
            Frame::new().show(ui, |ui| {
                ui.horizontal_top(|ui| {
                    ui.label(RichText::new(icon).size(15.0).color(palette.faint));
                    ui.add(Label::new(RichText::new(line).size(13.0).color(palette.muted)).wrap().selectable(true));
                });
            });
        }
    });
}
