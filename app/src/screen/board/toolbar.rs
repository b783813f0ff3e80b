//! The tools, across the top; at their right who else is here, the menu and the way out.

use egui::{Align2, Rect, Ui, pos2};

use super::{BoardScreen, island, menu, to_canvas};
use crate::canvas::tool::Tool;
use crate::intent::board::BoardIntent;
use crate::keys::Action;
use crate::text::{displayable, initials};
use crate::theme::{Weight, font};
use crate::widget::Draw;
use crate::widget::controls::{IconButton, focus_ring, named_tooltip};

/// Faces of others that are shown at most.
const FACES: usize = 5;

pub(super) fn toolbar_ui(ui: &mut Ui, area: Rect, view: &BoardScreen<'_>, draw: &mut Draw<'_>) {
    let machine = &view.board.machine;
    let still = view.board.is_still();
    // Thirteen tools and a lock need this; where there is less, smaller ones.
    let side = if area.width() > 700.0 { 34.0 } else { ((area.width() - 150.0) / 15.5).clamp(20.0, 34.0) };
    let wide = area.width() > 760.0;
    let (at, anchor) = if wide { (area.center_top(), Align2::CENTER_TOP) } else { (area.left_top(), Align2::LEFT_TOP) };
    island(ui, "tools", at, anchor, |ui| {
        ui.horizontal(|ui| {
            let key = if machine.keep_tool { "board-tool-kept" } else { "board-tool-keep" };
            let icon = if machine.keep_tool { egui_phosphor::regular::LOCK } else { egui_phosphor::regular::LOCK_OPEN };
            let lock =
                IconButton::new(icon, &draw.t(key)).hint("Q").size(side).selected(machine.keep_tool).enabled(!still).show(ui);
            if to_canvas(ui, &lock) {
                draw.board(BoardIntent::ToggleKeepTool);
            }
            for tool in Tool::ALL {
                let allowed = !tool.edits() || !still;
                let name = draw.t(tool.text());
                let name = if allowed { name } else { format!("{name}: {}", draw.t("board-viewer")) };
                let hint = tool.keys().0.name();
                let button = IconButton::new(tool.icon(), &name).hint(hint).size(side).selected(machine.tool == tool);
                let response = button.enabled(allowed).show(ui);
                if to_canvas(ui, &response) {
                    draw.board(BoardIntent::Tool(tool));
                }
            }
        });
    });
    island(ui, "corner", area.right_top(), Align2::RIGHT_TOP, |ui| {
        ui.horizontal(|ui| {
            for peer in view.peers.iter().take(FACES) {
                face_ui(ui, peer, draw);
            }
            menu::menu_ui(ui, view, draw);
            if IconButton::new(egui_phosphor::regular::X, &draw.t("board-close"))
                .hint(draw.key(Action::Board))
                .size(34.0)
                .show(ui)
                .clicked()
            {
                draw.board(BoardIntent::Close);
            }
        });
    });
}

/// Somebody at the board; a click follows them.
fn face_ui(ui: &mut Ui, peer: &super::Peer, draw: &mut Draw<'_>) {
    let name = displayable(&peer.name);
    let key = if peer.followed { "board-unfollow" } else { "board-follow" };
    let label = draw.f(key, &[("name", name.as_str().into())]);
    let (rect, response) = ui.allocate_exact_size(egui::vec2(30.0, 34.0), egui::Sense::click());
    response.widget_info(|| egui::WidgetInfo::selected(egui::WidgetType::Button, true, peer.followed, &label));
    let center = pos2(rect.center().x, rect.center().y);
    let colour = if peer.elsewhere { peer.colour.gamma_multiply(0.5) } else { peer.colour };
    ui.painter().circle_filled(center, 13.0, colour);
    if peer.followed {
        ui.painter().circle_stroke(center, 14.5, egui::Stroke::new(2.0, peer.colour));
    }
    ui.painter().text(center, Align2::CENTER_CENTER, initials(&name), font(11.0, Weight::Semibold), egui::Color32::WHITE);
    focus_ring(ui, &response, Rect::from_center_size(center, egui::Vec2::splat(26.0)), 13.0);
    if named_tooltip(response.on_hover_cursor(egui::CursorIcon::PointingHand), &label, None).clicked() {
        draw.board(BoardIntent::Follow((!peer.followed).then_some(peer.device)));
    }
}
