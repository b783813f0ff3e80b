//! The page as it once was: a scrubber over its moments, and the way back to one of them.

use egui::{Align2, Rect, Slider, Ui, WidgetInfo, pos2};

use super::pages::words;
use super::{BoardScreen, island};
use crate::intent::board::BoardIntent;
use crate::text::displayable;
use crate::widget::Draw;
use crate::widget::controls::{Button, IconButton, Tone};

pub(super) fn history_ui(ui: &mut Ui, area: Rect, view: &BoardScreen<'_>, draw: &mut Draw<'_>) {
    let Some(history) = &view.board.history else { return };
    island(ui, "history", pos2(area.center().x, area.top() + 56.0), Align2::CENTER_TOP, |ui| {
        ui.horizontal(|ui| {
            ui.add_space(6.0);
            words(ui, &draw.t("board-history"));
            let last = history.moments.len().saturating_sub(1);
            if history.moments.is_empty() {
                words(ui, &draw.t("board-history-none"));
            } else {
                let mut at = history.at;
                let name = draw.f("board-history-moment", &[("at", (at + 1).into()), ("count", (last + 1).into())]);
                ui.spacing_mut().slider_width = 260.0;
                let slider = ui.add(Slider::new(&mut at, 0..=last).show_value(false));
                slider.widget_info(|| WidgetInfo::slider(true, at as f64, &name));
                if at != history.at {
                    draw.board(BoardIntent::Moment(at));
                }
                words(ui, &name);
                if let Some(who) = &view.moment_by {
                    words(ui, &draw.f("board-history-by", &[("name", displayable(who).into())]));
                }
                if view.board.can_edit {
                    let label = draw.t("board-history-restore");
                    let changed = history.at < last;
                    if Button::new(Tone::Primary, &label).small().enabled(changed).show(ui).clicked() {
                        draw.board(BoardIntent::Restore);
                    }
                }
            }
            if IconButton::new(egui_phosphor::regular::X, &draw.t("board-history-close")).size(28.0).show(ui).clicked() {
                draw.board(BoardIntent::History(false));
            }
        });
    });
}
