//! What can be done with the page, and with what lies under the pointer.

use conclave_node::command::BoardFormat;
use egui::{Popup, Response, Ui};

use super::BoardScreen;
use crate::canvas::arrange::Order;
use crate::intent::board::BoardIntent;
use crate::widget::Draw;
use crate::widget::controls::{IconButton, hairline};
use crate::widget::people::menu_item;

/// The menu of the page.
pub(super) fn menu_ui(ui: &mut Ui, view: &BoardScreen<'_>, draw: &mut Draw<'_>) {
    use egui_phosphor::regular as icons;
    let board = view.board;
    let button = IconButton::new(icons::LIST, &draw.t("board-menu")).size(34.0).show(ui);
    Popup::menu(&button).show(|ui| {
        ui.set_min_width(230.0);
        let grid = if board.machine.grid { "board-grid-off" } else { "board-grid-on" };
        let snap = if board.machine.snap { "board-snap-off" } else { "board-snap-on" };
        let map = if board.minimap { "board-minimap-off" } else { "board-minimap-on" };
        let history = if board.history.is_some() { "board-history-close" } else { "board-history-open" };
        for (icon, key, wish) in [
            (icons::DOTS_NINE, grid, BoardIntent::ToggleGrid),
            (icons::MAGNET, snap, BoardIntent::ToggleSnap),
            (icons::MAP_TRIFOLD, map, BoardIntent::ToggleMinimap),
            (icons::CLOCK_COUNTER_CLOCKWISE, history, BoardIntent::History(board.history.is_none())),
        ] {
            if menu_item(ui, icon, &draw.t(key)) {
                draw.board(wish);
            }
        }
        hairline(ui);
        if !board.is_still() {
            if menu_item(ui, icons::IMAGE, &draw.t("board-insert-picture")) {
                draw.board(BoardIntent::InsertPicture);
            }
            if menu_item(ui, icons::CLIPBOARD, &draw.t("board-paste-picture")) {
                draw.board(BoardIntent::ClipboardPicture);
            }
            hairline(ui);
        }
        for (icon, key, format) in [
            (icons::FILE_PNG, "board-export-png", BoardFormat::Png),
            (icons::FILE_SVG, "board-export-svg", BoardFormat::Svg),
            (icons::FILE_PDF, "board-export-pdf", BoardFormat::Pdf),
            (icons::FILE_CODE, "board-export-excalidraw", BoardFormat::Excalidraw),
        ] {
            if menu_item(ui, icon, &draw.t(key)) {
                draw.board(BoardIntent::Export(format));
            }
        }
        if !board.is_still() && menu_item(ui, icons::UPLOAD_SIMPLE, &draw.t("board-import")) {
            draw.board(BoardIntent::Import);
        }
    });
}

/// The menu under the pointer.
pub(super) fn context_menu_ui(canvas: &Response, view: &BoardScreen<'_>, draw: &mut Draw<'_>) {
    use egui_phosphor::regular as icons;
    let board = view.board;
    canvas.context_menu(|ui| {
        ui.set_min_width(210.0);
        let mut item = |ui: &mut Ui, icon: &str, key: &str, wish: BoardIntent| {
            if menu_item(ui, icon, &draw.t(key)) {
                draw.board(wish);
                ui.memory_mut(|memory| memory.request_focus(super::canvas_id()));
            }
        };
        if board.machine.selection.is_empty() {
            item(ui, icons::SELECTION_ALL, "board-select-all", BoardIntent::SelectAll);
            item(ui, icons::CORNERS_OUT, "board-zoom-fit", BoardIntent::ZoomFit);
            let grid = if board.machine.grid { "board-grid-off" } else { "board-grid-on" };
            item(ui, icons::DOTS_NINE, grid, BoardIntent::ToggleGrid);
            return;
        }
        item(ui, icons::COPY, "board-copy", BoardIntent::Copy);
        if board.is_still() {
            return;
        }
        item(ui, icons::SCISSORS, "board-cut", BoardIntent::Cut);
        item(ui, icons::COPY_SIMPLE, "board-duplicate", BoardIntent::Duplicate);
        hairline(ui);
        item(ui, icons::ARROW_LINE_UP, "board-order-front", BoardIntent::Order(Order::ToFront));
        item(ui, icons::ARROW_UP, "board-order-up", BoardIntent::Order(Order::Forward));
        item(ui, icons::ARROW_DOWN, "board-order-down", BoardIntent::Order(Order::Backward));
        item(ui, icons::ARROW_LINE_DOWN, "board-order-back", BoardIntent::Order(Order::ToBack));
        hairline(ui);
        if board.machine.selection.len() > 1 {
            item(ui, icons::SELECTION_ALL, "board-group", BoardIntent::Group);
            item(ui, icons::SELECTION_SLASH, "board-ungroup", BoardIntent::Ungroup);
        }
        let locked = board.machine.shown(&board.truth).iter().all(|shape| shape.locked);
        item(ui, icons::LOCK, if locked { "board-unlock" } else { "board-lock" }, BoardIntent::ToggleLock);
        item(ui, icons::TRASH, "board-delete", BoardIntent::Delete);
    });
}
