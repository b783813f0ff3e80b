//! How lines, shapes and texts look: of what is selected, or of what is drawn next. Only what matters for it is shown.

use conclave_crdt::{Align as TextAlign, Color, Dash, Head, Kind, Style};
use egui::{Align2, Color32, Rect, Sense, Slider, Stroke, StrokeKind, Ui, Vec2, WidgetInfo, WidgetType, pos2};

use super::{BoardScreen, caption, island, to_canvas};
use crate::canvas::arrange::{Align, Order};
use crate::canvas::mesh::Inks;
use crate::canvas::tool::{FILLS, FONT_SIZES, STROKES, WIDTHS};
use crate::intent::board::{BoardIntent, StyleChange};
use crate::theme::{Palette, space};
use crate::widget::Draw;
use crate::widget::controls::{IconButton, focus_ring, named_tooltip};

const SIDE: f32 = 26.0;

/// Which properties matter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Parts {
    stroke: bool,
    fill: bool,
    line: bool,
    round: bool,
    text: bool,
    heads: bool,
}

impl Parts {
    fn of(kinds: &[Kind]) -> Self {
        let any = |some: &[Kind]| kinds.iter().any(|kind| some.contains(kind));
        Self {
            stroke: !any(&[Kind::Image]) || kinds.len() > 1,
            fill: any(&[Kind::Rect, Kind::Ellipse, Kind::Diamond, Kind::Note]),
            line: any(&[Kind::Rect, Kind::Ellipse, Kind::Diamond, Kind::Line, Kind::Arrow, Kind::Pen]),
            round: any(&[Kind::Rect, Kind::Diamond, Kind::Line, Kind::Arrow]),
            text: any(&[Kind::Text, Kind::Note]),
            heads: any(&[Kind::Arrow]),
        }
    }
}

pub(super) fn style_bar_ui(ui: &mut Ui, area: Rect, view: &BoardScreen<'_>, draw: &mut Draw<'_>) {
    let machine = &view.board.machine;
    let shapes = machine.shown(&view.board.truth);
    let kinds: Vec<Kind> = if shapes.is_empty() {
        machine.tool.kind().into_iter().collect()
    } else {
        shapes.iter().map(|shape| shape.kind).collect()
    };
    if kinds.is_empty() || kinds == [Kind::Frame] {
        return;
    }
    let parts = Parts::of(&kinds);
    let style = shapes.first().map_or(machine.brush, |shape| shape.style);
    let selected = !shapes.is_empty();
    let many = shapes.len() > 1;
    island(ui, "style", pos2(area.left(), area.top() + 56.0), Align2::LEFT_TOP, |ui| {
        ui.set_width(6.0 * (SIDE + 3.0));
        ui.spacing_mut().item_spacing.y = 5.0;
        if parts.stroke {
            caption(ui, &draw.t("board-style-stroke"));
            colours(ui, &STROKES, style.stroke, "board-style-stroke", StyleChange::Stroke, draw);
        }
        if parts.fill {
            caption(ui, &draw.t("board-style-fill"));
            colours(ui, &FILLS, style.fill, "board-style-fill", StyleChange::Fill, draw);
        }
        if parts.line {
            caption(ui, &draw.t("board-style-line"));
            line_ui(ui, &style, &kinds, draw);
        }
        if parts.round || parts.heads {
            shape_ui(ui, &style, parts, draw);
        }
        if parts.text {
            caption(ui, &draw.t("board-style-text"));
            text_ui(ui, &style, draw);
        }
        opacity_ui(ui, &style, draw);
        if selected {
            caption(ui, &draw.t("board-order"));
            order_ui(ui, draw);
        }
        if many {
            caption(ui, &draw.t("board-align"));
            align_ui(ui, shapes.len(), draw);
        }
    });
}

fn button(ui: &mut Ui, icon: &str, key: &str, selected: bool, wish: BoardIntent, draw: &mut Draw<'_>) {
    let response = IconButton::new(icon, &draw.t(key)).size(SIDE).selected(selected).show(ui);
    if to_canvas(ui, &response) {
        draw.board(wish);
    }
}

fn colours(ui: &mut Ui, offered: &[(u32, &str)], now: Color, of: &str, change: fn(Color) -> StyleChange, draw: &mut Draw<'_>) {
    let palette = Palette::of(ui);
    ui.horizontal(|ui| {
        for (value, key) in offered {
            let colour = Color(*value);
            let name = format!("{}: {}", draw.t(of), draw.t(key));
            let selected = colour == now;
            let (rect, response) = ui.allocate_exact_size(Vec2::splat(SIDE), Sense::click());
            response.widget_info(|| WidgetInfo::selected(WidgetType::RadioButton, true, selected, &name));
            let swatch = rect.shrink(4.0);
            let shown = Inks { dark: palette.dark }.colour(colour, 100);
            if colour.is_none() {
                ui.painter().rect(swatch, 5.0, palette.card, Stroke::new(1.0, palette.line), StrokeKind::Inside);
                ui.painter().line_segment([swatch.left_bottom(), swatch.right_top()], Stroke::new(1.5, palette.danger));
            } else {
                ui.painter().rect(swatch, 5.0, shown, Stroke::new(1.0, Color32::from_black_alpha(24)), StrokeKind::Inside);
            }
            if selected {
                ui.painter().rect_stroke(rect.shrink(1.0), 7.0, Stroke::new(1.75, palette.accent), StrokeKind::Inside);
            }
            focus_ring(ui, &response, rect.shrink(1.0), 7.0);
            let response = named_tooltip(response.on_hover_cursor(egui::CursorIcon::PointingHand), &name, None);
            if to_canvas(ui, &response) {
                draw.board(BoardIntent::Style(change(colour)));
            }
        }
    });
}

/// Three widths and three ways to break a line, drawn as they are.
fn line_ui(ui: &mut Ui, style: &Style, kinds: &[Kind], draw: &mut Draw<'_>) {
    let palette = Palette::of(ui);
    let texts: Vec<String> = WIDTHS.iter().map(|(_, key)| draw.text.t(key)).collect();
    let dashes = [
        (Dash::Solid, draw.text.t("board-dash-solid")),
        (Dash::Dashed, draw.text.t("board-dash-dashed")),
        (Dash::Dotted, draw.text.t("board-dash-dotted")),
    ];
    let mut sample = |ui: &mut Ui, name: String, selected: bool, width: f32, dash: Dash, wish: BoardIntent| {
        let (rect, response) = ui.allocate_exact_size(Vec2::splat(SIDE), Sense::click());
        response.widget_info(|| WidgetInfo::selected(WidgetType::RadioButton, true, selected, &name));
        let hovered = response.hovered();
        let fill = if selected {
            palette.accent_soft
        } else if hovered {
            palette.raised
        } else {
            Color32::TRANSPARENT
        };
        ui.painter().rect_filled(rect, 7.0, fill);
        let colour = if selected { palette.accent } else { palette.muted };
        let line = [pos2(rect.left() + 5.0, rect.center().y), pos2(rect.right() - 5.0, rect.center().y)];
        let stroke = Stroke::new(width, colour);
        match dash {
            Dash::Solid => ui.painter().add(egui::Shape::line_segment(line, stroke)),
            Dash::Dashed => ui.painter().add(egui::Shape::Vec(egui::Shape::dashed_line(&line, stroke, 4.0, 2.5))),
            Dash::Dotted => ui.painter().add(egui::Shape::Vec(egui::Shape::dotted_line(&line, colour, 4.0, 1.2))),
        };
        focus_ring(ui, &response, rect, 7.0);
        let response = named_tooltip(response.on_hover_cursor(egui::CursorIcon::PointingHand), &name, None);
        if to_canvas(ui, &response) {
            draw.board(wish);
        }
    };
    ui.horizontal(|ui| {
        for ((width, _), name) in WIDTHS.iter().zip(texts) {
            let wish = BoardIntent::Style(StyleChange::Width(*width));
            sample(ui, name, style.width == *width, (width * 0.6).max(1.2), Dash::Solid, wish);
        }
        if kinds.iter().any(|kind| *kind != Kind::Pen) {
            for (dash, name) in dashes {
                sample(ui, name, style.dash == dash, 1.5, dash, BoardIntent::Style(StyleChange::Dash(dash)));
            }
        }
    });
}

fn shape_ui(ui: &mut Ui, style: &Style, parts: Parts, draw: &mut Draw<'_>) {
    use egui_phosphor::regular as icons;
    ui.horizontal(|ui| {
        if parts.round {
            button(ui, icons::SQUARE, "board-corners-sharp", !style.round, BoardIntent::Style(StyleChange::Round(false)), draw);
            button(
                ui,
                icons::BOUNDING_BOX,
                "board-corners-round",
                style.round,
                BoardIntent::Style(StyleChange::Round(true)),
                draw,
            );
        }
        if parts.heads {
            for (head, icon, key) in [
                (Head::Arrow, icons::ARROW_RIGHT, "board-head-arrow"),
                (Head::Triangle, icons::PLAY, "board-head-triangle"),
                (Head::Dot, icons::DOT_OUTLINE, "board-head-dot"),
            ] {
                button(ui, icon, key, style.end == head, BoardIntent::Style(StyleChange::End(head)), draw);
            }
            let both = style.start != Head::None;
            let start = if both { Head::None } else { Head::Arrow };
            button(ui, icons::ARROWS_HORIZONTAL, "board-head-both", both, BoardIntent::Style(StyleChange::Start(start)), draw);
        }
    });
}

fn text_ui(ui: &mut Ui, style: &Style, draw: &mut Draw<'_>) {
    use egui_phosphor::regular as icons;
    ui.horizontal(|ui| {
        for ((size, key), letter) in FONT_SIZES.into_iter().zip(["S", "M", "L", "XL"]) {
            button(ui, letter, key, style.font_size == size, BoardIntent::Style(StyleChange::FontSize(size)), draw);
        }
    });
    ui.horizontal(|ui| {
        for (align, icon, key) in [
            (TextAlign::Left, icons::TEXT_ALIGN_LEFT, "board-text-left"),
            (TextAlign::Center, icons::TEXT_ALIGN_CENTER, "board-text-center"),
            (TextAlign::Right, icons::TEXT_ALIGN_RIGHT, "board-text-right"),
        ] {
            button(ui, icon, key, style.align == align, BoardIntent::Style(StyleChange::Align(align)), draw);
        }
    });
}

fn opacity_ui(ui: &mut Ui, style: &Style, draw: &mut Draw<'_>) {
    let name = draw.t("board-style-opacity");
    caption(ui, &name);
    let id = ui.id().with("opacity");
    // While it is pulled the value is the slider's own: one step when it is let go.
    let held = ui.data(|data| data.get_temp::<u8>(id));
    let mut opacity = held.unwrap_or(style.opacity);
    ui.spacing_mut().interact_size.y = 16.0;
    ui.spacing_mut().slider_width = 6.0 * (SIDE + 3.0) - 12.0;
    let response = ui.add(Slider::new(&mut opacity, 10..=100).show_value(false));
    response.widget_info(|| WidgetInfo::slider(true, f64::from(opacity), &name));
    if response.dragged() {
        ui.data_mut(|data| data.insert_temp(id, opacity));
    } else if response.drag_stopped() || response.changed() || held.is_some() {
        ui.data_mut(|data| data.remove::<u8>(id));
        if opacity != style.opacity {
            draw.board(BoardIntent::Style(StyleChange::Opacity(opacity)));
        }
    }
    ui.add_space(-space::XS);
}

fn order_ui(ui: &mut Ui, draw: &mut Draw<'_>) {
    use egui_phosphor::regular as icons;
    ui.horizontal(|ui| {
        button(ui, icons::ARROW_LINE_DOWN, "board-order-back", false, BoardIntent::Order(Order::ToBack), draw);
        button(ui, icons::ARROW_DOWN, "board-order-down", false, BoardIntent::Order(Order::Backward), draw);
        button(ui, icons::ARROW_UP, "board-order-up", false, BoardIntent::Order(Order::Forward), draw);
        button(ui, icons::ARROW_LINE_UP, "board-order-front", false, BoardIntent::Order(Order::ToFront), draw);
        button(ui, icons::COPY_SIMPLE, "board-duplicate", false, BoardIntent::Duplicate, draw);
        button(ui, icons::TRASH, "board-delete", false, BoardIntent::Delete, draw);
    });
}

fn align_ui(ui: &mut Ui, count: usize, draw: &mut Draw<'_>) {
    use egui_phosphor::regular as icons;
    ui.horizontal(|ui| {
        for (along, icon, key) in [
            (Align::Left, icons::ALIGN_LEFT, "board-align-left"),
            (Align::Center, icons::ALIGN_CENTER_HORIZONTAL, "board-align-center"),
            (Align::Right, icons::ALIGN_RIGHT, "board-align-right"),
            (Align::Top, icons::ALIGN_TOP, "board-align-top"),
            (Align::Middle, icons::ALIGN_CENTER_VERTICAL, "board-align-middle"),
            (Align::Bottom, icons::ALIGN_BOTTOM, "board-align-bottom"),
        ] {
            button(ui, icon, key, false, BoardIntent::Align(along), draw);
        }
    });
    ui.horizontal(|ui| {
        if count > 2 {
            button(ui, icons::SPLIT_HORIZONTAL, "board-distribute-across", false, BoardIntent::Distribute(false), draw);
            button(ui, icons::SPLIT_VERTICAL, "board-distribute-down", false, BoardIntent::Distribute(true), draw);
        }
        button(ui, icons::SELECTION_ALL, "board-group", false, BoardIntent::Group, draw);
        button(ui, icons::SELECTION_SLASH, "board-ungroup", false, BoardIntent::Ungroup, draw);
    });
}
