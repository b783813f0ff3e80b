//! The pages, undo and the zoom, across the bottom.

use egui::{Align2, Key, Label, Rect, RichText, Sense, TextEdit, Ui, WidgetInfo, WidgetType, vec2};

use super::{BoardScreen, island, to_canvas};
use crate::intent::board::BoardIntent;
use crate::text::displayable;
use crate::theme::{Palette, Weight, font};
use crate::widget::Draw;
use crate::widget::controls::{IconButton, focus_ring, named_tooltip};
use crate::widget::people::menu_item;

const SIDE: f32 = 28.0;

pub(super) fn pages_ui(ui: &mut Ui, area: Rect, view: &BoardScreen<'_>, draw: &mut Draw<'_>) {
    use egui_phosphor::regular as icons;
    let board = view.board;
    let zoom = island(ui, "zoom", area.left_bottom(), Align2::LEFT_BOTTOM, |ui| {
        ui.horizontal(|ui| {
            for (icon, key, hint, wish, enabled) in [
                (icons::MINUS, "board-zoom-out", "Ctrl+-", BoardIntent::ZoomBy(0.8), true),
                (icons::PLUS, "board-zoom-in", "Ctrl++", BoardIntent::ZoomBy(1.25), true),
                (icons::CORNERS_OUT, "board-zoom-fit", "Shift+1", BoardIntent::ZoomFit, true),
                (icons::ARROW_COUNTER_CLOCKWISE, "board-undo", "Ctrl+Z", BoardIntent::Undo, board.can_undo && !board.is_still()),
                (icons::ARROW_CLOCKWISE, "board-redo", "Ctrl+Shift+Z", BoardIntent::Redo, board.can_redo && !board.is_still()),
            ] {
                if matches!(wish, BoardIntent::ZoomFit) {
                    zoom_label(ui, view, draw);
                }
                let response = IconButton::new(icon, &draw.t(key)).hint(hint).size(SIDE).enabled(enabled).show(ui);
                if to_canvas(ui, &response) {
                    draw.board(wish);
                }
            }
        });
    });
    let free = Rect::from_min_max(egui::pos2(zoom.right() + 8.0, area.top()), area.max);
    if free.width() > 160.0 {
        island(ui, "pages", free.left_bottom(), Align2::LEFT_BOTTOM, |ui| {
            ui.horizontal(|ui| {
                let most = ((free.width() - 230.0).max(100.0) / 96.0) as usize;
                tabs_ui(ui, view, most.max(1), draw);
            });
        });
    }
}

fn zoom_label(ui: &mut Ui, view: &BoardScreen<'_>, draw: &mut Draw<'_>) {
    let palette = Palette::of(ui);
    let percent = (view.board.machine.camera.zoom * 100.0).round() as i64;
    let words = draw.f("board-zoom", &[("percent", percent.into())]);
    let (rect, response) = ui.allocate_exact_size(vec2(48.0, SIDE), Sense::click());
    let name = format!("{}: {words}", draw.t("board-zoom-reset"));
    response.widget_info(|| WidgetInfo::labeled(WidgetType::Button, true, &name));
    ui.painter().text(rect.center(), Align2::CENTER_CENTER, &words, font(12.5, Weight::Medium), palette.muted);
    focus_ring(ui, &response, rect, 7.0);
    let response = named_tooltip(response.on_hover_cursor(egui::CursorIcon::PointingHand), &name, Some("Ctrl+0"));
    if to_canvas(ui, &response) {
        draw.board(BoardIntent::ZoomReset);
    }
}

/// The tabs of the pages around the one that is shown, and the button for another.
fn tabs_ui(ui: &mut Ui, view: &BoardScreen<'_>, most: usize, draw: &mut Draw<'_>) {
    let board = view.board;
    let now = board.pages.iter().position(|info| info.page == board.page).unwrap_or(0);
    let first = now.saturating_sub(most.saturating_sub(1));
    let renaming = egui::Id::new("board_page_renaming");
    for (index, info) in board.pages.iter().enumerate().skip(first).take(most) {
        let shown = info.page == board.page;
        let name = page_name(info, index, draw);
        let edited =
            ui.data(|data| data.get_temp::<(conclave_crdt::PageId, String)>(renaming)).filter(|(page, _)| *page == info.page);
        if let Some((page, mut text)) = edited {
            let label = draw.t("board-page-rename");
            let field = ui.add(TextEdit::singleline(&mut text).desired_width(100.0).char_limit(60));
            field.widget_info(|| WidgetInfo::labeled(WidgetType::TextEdit, true, &label));
            if !field.has_focus() && !field.lost_focus() {
                field.request_focus();
            }
            if field.lost_focus() {
                ui.data_mut(|data| data.remove::<(conclave_crdt::PageId, String)>(renaming));
                if !ui.input(|input| input.key_pressed(Key::Escape)) && text.trim() != name {
                    draw.board(BoardIntent::RenamePage(page, text.trim().to_owned()));
                }
            } else {
                ui.data_mut(|data| data.insert_temp(renaming, (page, text)));
            }
            continue;
        }
        let response = tab(ui, &name, shown);
        if response.double_clicked() && board.can_edit {
            ui.data_mut(|data| data.insert_temp(renaming, (info.page, name.clone())));
        } else if to_canvas(ui, &response) {
            draw.board(BoardIntent::Page(info.page));
        }
        response.context_menu(|ui| {
            ui.set_min_width(180.0);
            if !board.can_edit {
                return;
            }
            if menu_item(ui, egui_phosphor::regular::PENCIL_SIMPLE, &draw.t("board-page-rename")) {
                ui.data_mut(|data| data.insert_temp(renaming, (info.page, name.clone())));
            }
            let before = index.checked_sub(1).and_then(|before| board.pages.get(before)).map(|info| info.page);
            if before.is_some() && menu_item(ui, egui_phosphor::regular::ARROW_LEFT, &draw.t("board-page-earlier")) {
                draw.board(BoardIntent::MovePage { page: info.page, before });
            }
            let after = board.pages.get(index + 2).map(|info| info.page);
            if index + 1 < board.pages.len() && menu_item(ui, egui_phosphor::regular::ARROW_RIGHT, &draw.t("board-page-later")) {
                draw.board(BoardIntent::MovePage { page: info.page, before: after });
            }
            if board.pages.len() > 1 && menu_item(ui, egui_phosphor::regular::TRASH, &draw.t("board-page-delete")) {
                draw.board(BoardIntent::DeletePage(info.page));
            }
        });
    }
    if board.can_edit {
        let response = IconButton::new(egui_phosphor::regular::PLUS, &draw.t("board-page-add")).size(SIDE).show(ui);
        if to_canvas(ui, &response) {
            draw.board(BoardIntent::AddPage);
        }
    }
}

fn page_name(info: &conclave_crdt::PageInfo, index: usize, draw: &Draw<'_>) -> String {
    if info.name.is_empty() { format!("{} {}", draw.t("board-page-new"), index + 1) } else { displayable(&info.name) }
}

fn tab(ui: &mut Ui, name: &str, shown: bool) -> egui::Response {
    let palette = Palette::of(ui);
    let colour = if shown { palette.accent } else { palette.muted };
    let short: String = if name.chars().count() > 14 { name.chars().take(13).chain(['…']).collect() } else { name.to_owned() };
    let galley = ui.painter().layout_no_wrap(short, font(12.5, Weight::Medium), colour);
    let (rect, response) = ui.allocate_exact_size(vec2(galley.size().x + 20.0, SIDE), Sense::click());
    response.widget_info(|| WidgetInfo::selected(WidgetType::SelectableLabel, true, shown, name));
    let fill = if shown {
        palette.accent_soft
    } else if response.hovered() {
        palette.raised
    } else {
        egui::Color32::TRANSPARENT
    };
    ui.painter().rect_filled(rect, 7.0, fill);
    ui.painter().galley(rect.center() - galley.size() / 2.0, galley, colour);
    focus_ring(ui, &response, rect, 7.0);
    response.on_hover_cursor(egui::CursorIcon::PointingHand)
}

/// Words that cannot be clicked.
pub(super) fn words(ui: &mut Ui, text: &str) {
    let palette = Palette::of(ui);
    ui.add(Label::new(RichText::new(text).font(font(12.5, Weight::Medium)).color(palette.muted)).truncate());
}
