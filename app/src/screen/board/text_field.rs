//! The field in which a text of the page is written, where it stands and as large as it will be.

use conclave_crdt::{Align, Element, Kind, OrderKey};
use egui::{Key, Margin, Rect, TextEdit, Ui, UiBuilder, WidgetInfo, WidgetType, pos2, vec2};

use super::{BoardScreen, canvas_id};
use crate::canvas::mesh::Inks;
use crate::canvas::paint::{field_font, measure, text_box};
use crate::canvas::rect_of;
use crate::intent::board::BoardIntent;
use crate::theme::Palette;
use crate::widget::Draw;

pub(super) fn text_field_ui(ui: &mut Ui, view: &BoardScreen<'_>, draw: &mut Draw<'_>) {
    let machine = &view.board.machine;
    let Some(editing) = &machine.editing else { return };
    let palette = Palette::of(ui);
    let shown = view.board.shown.get(&editing.id).cloned();
    let new = || {
        let z = OrderKey::parse("V")?;
        Some(std::sync::Arc::new(Element { id: editing.id, z, shape: editing.new.clone()? }))
    };
    let Some(element) = shown.or_else(new) else { return };
    let camera = machine.camera;
    let text = text_box(&element);
    let size = text.map_or(12.0 / camera.zoom, |text| text.size);
    let page = text.map_or_else(|| rect_of(&element.transform.rect()), |text| text.rect);
    let font = field_font(size, camera.zoom);
    let line = ui.ctx().fonts_mut(|fonts| fonts.row_height(&font));
    let lines = editing.text.split('\n').count().max(1) as f32;
    let rect = camera.rect_to_screen(page);
    let rect = match element.kind {
        // A text grows as it is written, away from the side it is aligned at.
        Kind::Text => {
            let width = (measure(ui.ctx(), &editing.text, &element.style).x + size * 1.5) * camera.zoom;
            let x = match element.style.align {
                Align::Left => rect.left(),
                Align::Center => rect.center().x - width / 2.0,
                Align::Right => rect.right() - width,
            };
            Rect::from_min_size(pos2(x, rect.top()), vec2(width, (lines * line).max(rect.height())))
        }
        Kind::Frame => Rect::from_min_size(rect.left_top() - vec2(0.0, line + 4.0), vec2(rect.width().max(120.0), line)),
        _ => rect,
    };
    let colour = if element.kind == Kind::Note {
        Inks::as_is(element.style.stroke, 100)
    } else {
        Inks { dark: palette.dark }.colour(element.style.stroke, 100)
    };
    let align = match text.map_or(Align::Left, |text| text.align) {
        Align::Left => egui::Align::LEFT,
        Align::Center => egui::Align::Center,
        Align::Right => egui::Align::RIGHT,
    };
    let mut typed = editing.text.clone();
    let name = draw.t("board-text-field");
    let id = canvas_id().with(("text", editing.id));
    let frame = rect.expand(3.0);
    ui.painter().rect_stroke(frame, 4.0, egui::Stroke::new(1.0, palette.accent.gamma_multiply(0.6)), egui::StrokeKind::Outside);
    let mut child = ui.new_child(UiBuilder::new().max_rect(rect));
    // In the middle of a shape the field is as high as its lines.
    let middle = text.is_some_and(|text| text.middle);
    if middle {
        let known = child.data(|data| data.get_temp::<f32>(id)).unwrap_or(line * lines);
        child.add_space(((rect.height() - known) / 2.0).max(0.0));
    }
    let single = element.kind == Kind::Frame;
    let edit = if single { TextEdit::singleline(&mut typed) } else { TextEdit::multiline(&mut typed) };
    let edit = edit.id(id).frame(egui::Frame::NONE).margin(Margin::ZERO).font(font).text_color(colour).horizontal_align(align);
    let response = child.add(edit.desired_width(rect.width()).desired_rows(1).char_limit(conclave_crdt::MAX_TEXT));
    response.widget_info(|| WidgetInfo::labeled(WidgetType::TextEdit, true, &name));
    if middle {
        child.data_mut(|data| data.insert_temp(id, response.rect.height()));
    }
    if editing.fresh {
        response.request_focus();
    }
    let done = ui.input(|input| {
        input.key_pressed(Key::Escape)
            || (input.modifiers.command && input.key_pressed(Key::Enter))
            || (single && input.key_pressed(Key::Enter))
    });
    if typed != editing.text || editing.fresh {
        let size = measure(ui.ctx(), &typed, &element.style);
        draw.board(BoardIntent::Typed { text: typed, size });
    }
    if done && !editing.fresh {
        draw.board(BoardIntent::EndText);
        ui.memory_mut(|memory| memory.request_focus(canvas_id()));
    } else if response.lost_focus() && !editing.fresh {
        draw.board(BoardIntent::EndText);
    }
}
