//! The figures of a call: what flows to and from each person, as lines of text and as curves over two minutes.

use conclave_node::view::{LinkStats, ParticipantView, PathView, QualityView};
use conclave_protocol::id::DeviceId;
use egui::{RichText, ScrollArea, Ui};
use egui_plot::{Line, Plot, PlotPoints};

use crate::state::AppState;
use crate::theme::{Palette, Weight, font, space};
use crate::widget::Draw;
use crate::widget::controls::muted;

/// The figures of one person.
#[derive(Debug, Clone, PartialEq)]
pub struct PersonFigures {
    pub device: DeviceId,
    pub name: String,
    pub lines: Vec<String>,
    pub curves: Vec<Curve>,
}

/// One plot: its title, and its lines of points in seconds before now.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    pub title: String,
    pub lines: Vec<Vec<[f64; 2]>>,
}

/// The key of the word for a quality.
pub fn quality_key(quality: QualityView) -> &'static str {
    match quality {
        QualityView::Excellent => "quality-excellent",
        QualityView::Good => "quality-good",
        QualityView::Poor => "quality-poor",
        QualityView::Lost => "quality-lost",
    }
}

/// By which way packets go, and what a relay carried of them.
pub fn path_lines(state: &AppState, stats: &LinkStats) -> Vec<String> {
    let key = stats.path.map(|path| match path {
        PathView::Lan => "path-lan",
        PathView::Direct => "path-direct",
        PathView::Relay => "path-relay",
    });
    let mut lines: Vec<String> = key.map(|key| state.text.t(key)).into_iter().collect();
    if stats.relayed_bytes > 0 {
        let megabytes = format!("{:.1}", stats.relayed_bytes as f64 / 1e6);
        lines.push(state.text.f("path-carried", &[("mb", megabytes.into())]));
    }
    lines
}

/// The way to a person, its round trip and what gets lost on it.
pub fn figure_lines(state: &AppState, stats: &LinkStats) -> Vec<String> {
    let mut lines = path_lines(state, stats);
    if lines.is_empty() {
        return lines;
    }
    if let Some(rtt) = stats.rtt_ms {
        lines.push(state.text.f("tile-rtt", &[("ms", (rtt.round() as i64).into())]));
    }
    lines.push(state.text.f("tile-lost", &[("pct", format!("{:.1}", stats.audio_lost_pct).into())]));
    lines
}

pub fn figures(state: &AppState) -> Vec<PersonFigures> {
    let Some(call) = &state.call else { return Vec::new() };
    call.people.iter().map(|person| person_figures(state, call.room, person)).collect()
}

fn person_figures(state: &AppState, room: conclave_protocol::id::RoomId, person: &ParticipantView) -> PersonFigures {
    let stats = &person.stats;
    let t = |key: &str, values: &[(&str, f64)]| {
        let values: Vec<_> = values.iter().map(|(name, value)| (*name, ((value * 10.0).round() / 10.0).into())).collect();
        state.text.f(key, &values)
    };
    let mut lines = vec![state.text.f("stats-quality", &[("quality", state.text.t(quality_key(person.quality)).into())])];
    lines.extend(path_lines(state, stats));
    if let Some(rtt) = stats.rtt_ms {
        lines.push(t("tile-rtt", &[("ms", f64::from(rtt.round()))]));
    }
    lines.push(t("tile-rate", &[("down", f64::from(stats.received_kbps.round())), ("up", f64::from(stats.sent_kbps.round()))]));
    lines.push(t("stats-estimate", &[("kbps", f64::from(stats.estimate_kbps.round()))]));
    lines.push(t("stats-lost", &[("heard", f64::from(stats.audio_lost_pct)), ("sent", f64::from(stats.sent_lost_pct))]));
    lines.push(t("stats-pictures", &[("fps", f64::from(stats.video_fps.round())), ("frozen", f64::from(stats.frozen_ms))]));
    let curve = |title: &str, values: &[fn(&crate::state::signs::Figures) -> f32]| Curve {
        title: state.text.t(title),
        lines: values
            .iter()
            .map(|value| {
                let kept = state.stage.signs.figures(person.device);
                let at = |ms: u64| -(state.now_ms.saturating_sub(ms) as f64) / 1_000.0;
                kept.map(|figures| [at(figures.at_ms), f64::from(value(figures))]).collect()
            })
            .collect(),
    };
    let curves = vec![
        curve("stats-rate", &[|f| f.received_kbps, |f| f.sent_kbps]),
        curve("stats-rtt", &[|f| f.rtt_ms]),
        curve("stats-loss", &[|f| f.lost_pct]),
        curve("stats-fps", &[|f| f.fps]),
    ];
    PersonFigures { device: person.device, name: state.person_name(Some(room), person.device), lines, curves }
}

pub fn stats_ui(ui: &mut Ui, people: &[PersonFigures], draw: &mut Draw<'_>) {
    let palette = Palette::of(ui);
    let colours = [palette.accent, palette.success];
    ScrollArea::vertical().id_salt("stats").auto_shrink(false).show(ui, |ui| {
        ui.spacing_mut().item_spacing.y = space::XS;
        if people.is_empty() {
            muted(ui, &draw.t("call-alone"));
        }
        for person in people {
            ui.label(RichText::new(&person.name).font(font(14.0, Weight::Semibold)));
            for line in &person.lines {
                ui.label(RichText::new(line).size(12.5).color(palette.muted));
            }
            for (n, curve) in person.curves.iter().enumerate() {
                ui.add_space(space::XS);
                ui.label(RichText::new(&curve.title).size(11.5).color(palette.faint));
                let plot = Plot::new(("curve", person.device, n))
                    .height(64.0)
                    .allow_drag(false)
                    .allow_zoom(false)
                    .allow_scroll(false)
                    .show_x(false)
                    .show_axes([false, true])
                    .include_x(-120.0)
                    .include_x(0.0)
                    .include_y(0.0);
                let shown = plot.show(ui, |plot| {
                    for (line, colour) in curve.lines.iter().zip(colours) {
                        plot.line(Line::new(curve.title.as_str(), PlotPoints::from(line.clone())).color(colour).width(1.5));
                    }
                });
                let spoken = format!("{}: {}", person.name, curve.title);
                shown.response.widget_info(|| egui::WidgetInfo::labeled(egui::WidgetType::Image, true, &spoken));
            }
            ui.add_space(space::L);
        }
    });
}
