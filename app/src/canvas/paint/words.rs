//! Texts of a page: where they stand, how large they are, and bars in their place where nobody could read them.

use std::sync::Arc;

use conclave_crdt::{Align, Element, Kind, Style};
use egui::emath::TSTransform;
use egui::epaint::TextShape;
use egui::text::{LayoutJob, TextFormat};
use egui::{Color32, Context, FontId, Galley, Mesh, Pos2, Rect, Shape, Vec2, pos2, vec2};

use super::Look;
use crate::canvas::machine::text_line;
use crate::canvas::mesh::{Ink, Inks};
use crate::canvas::rect_of;
use crate::theme::{Weight, font};

/// Largest size at which letters are drawn into the font atlas, in points; larger ones are enlarged from it.
const LARGEST: f32 = 120.0;
/// Smallest font to which the text of a note shrinks so that it fits, in px.
const SMALLEST: f32 = 8.0;
/// Size of the name of a frame on the screen, in points.
const FRAME_NAME: f32 = 12.0;

/// Where the text of an element stands, before turning.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TextBox {
    pub rect: Rect,
    /// Lines are broken at this width, in px; never where absent.
    pub wrap: Option<f32>,
    pub align: Align,
    /// In the middle of the box, from top to bottom.
    pub middle: bool,
    pub size: f32,
}

/// Where the text of an element stands; nothing for what has none.
pub fn text_box(element: &Element) -> Option<TextBox> {
    let rect = rect_of(&element.transform.rect());
    let size = element.style.font_size;
    let inset = |share: f32, px: f32| {
        let rect = rect.shrink2(rect.size() * share * 0.5).shrink(px);
        if rect.is_positive() { rect } else { Rect::from_center_size(rect.center(), Vec2::splat(8.0)) }
    };
    let (rect, wrap, middle, align) = match element.kind {
        Kind::Text => (rect, None, false, element.style.align),
        Kind::Note => (inset(0.0, 14.0), Some(()), true, element.style.align),
        Kind::Rect => (inset(0.0, 8.0), Some(()), true, Align::Center),
        Kind::Ellipse => (inset(0.29, 4.0), Some(()), true, Align::Center),
        Kind::Diamond => (inset(0.46, 2.0), Some(()), true, Align::Center),
        _ => return None,
    };
    Some(TextBox { rect, wrap: wrap.map(|()| rect.width()), align, middle, size })
}

/// The font of a field in which a text is written, at a scale.
pub fn field_font(size: f32, zoom: f32) -> FontId {
    font((size * zoom).clamp(4.0, 400.0), Weight::Regular)
}

/// How large a text is on the page, in px.
pub fn measure(ctx: &Context, text: &str, style: &Style) -> Vec2 {
    let galley = layout(ctx, text, style.font_size.min(LARGEST), None, style.align, Color32::WHITE);
    let scale = style.font_size / style.font_size.min(LARGEST);
    let lines = text.split('\n').count().max(1) as f32;
    vec2(galley.size().x * scale + 2.0, lines * text_line() * style.font_size)
}

fn layout(ctx: &Context, text: &str, size: f32, wrap: Option<f32>, align: Align, color: Color32) -> Arc<Galley> {
    let line_height = Some(size * text_line());
    let format = TextFormat { font_id: font(size, Weight::Regular), color, line_height, ..TextFormat::default() };
    let mut job = LayoutJob::single_section(text.to_owned(), format);
    job.wrap.max_width = wrap.unwrap_or(f32::INFINITY);
    job.halign = match align {
        Align::Left => egui::Align::LEFT,
        Align::Center => egui::Align::Center,
        Align::Right => egui::Align::RIGHT,
    };
    ctx.fonts_mut(|fonts| fonts.layout_job(job))
}

/// The colour of the text of an element: on a note it is ink on paper, whatever the theme.
pub(super) fn colour(element: &Element, inks: Inks) -> Color32 {
    if element.kind == Kind::Note {
        Inks::as_is(element.style.stroke, element.style.opacity)
    } else {
        inks.colour(element.style.stroke, element.style.opacity)
    }
}

pub(super) fn shapes(ctx: &Context, element: &Element, look: &Look<'_>, opacity: f32, mut add: impl FnMut(Shape)) {
    let color = colour(element, look.inks).gamma_multiply(opacity);
    let zoom = look.camera.zoom;
    if element.kind == Kind::Frame {
        let name = if element.text.is_empty() { look.frame_name } else { &element.text };
        let galley = layout(ctx, name, FRAME_NAME, None, Align::Left, color);
        let (x, y) = element.transform.turn((element.transform.x, element.transform.y));
        let at = look.camera.to_screen(pos2(x, y)) - vec2(0.0, galley.size().y + 4.0);
        add(TextShape::new(at, galley, color).into());
        return;
    }
    let Some(text) = text_box(element) else { return };
    // Quarters of an octave: few sizes in the atlas, and letters within a tenth of the size they were made for.
    let level = ((zoom.log2() * 4.0).round() / 4.0).exp2();
    let mut size = text.size;
    let (galley, scale) = loop {
        let drawn = (size * level).clamp(1.0, LARGEST);
        let scale = size * zoom / drawn;
        let galley = layout(ctx, &element.text, drawn, text.wrap.map(|wrap| wrap * zoom / scale), text.align, color);
        let fits = !text.middle || galley.size().y * scale <= text.rect.height() * zoom + 0.5;
        if fits || size <= SMALLEST {
            break (galley, scale);
        }
        size = (size * 0.85).max(SMALLEST);
    };
    let height = galley.size().y * scale / zoom;
    let top = if text.middle { text.rect.center().y - height / 2.0 } else { text.rect.top() };
    let x = match text.align {
        Align::Left => text.rect.left(),
        Align::Center => text.rect.center().x,
        Align::Right => text.rect.right(),
    };
    let (x, y) = element.transform.turn((x, top));
    let at: Pos2 = look.camera.to_screen(pos2(x, y));
    let mut shape = TextShape::new(Pos2::ZERO, galley, color);
    if (scale - 1.0).abs() > 0.002 {
        shape.transform(TSTransform::from_scaling(scale));
    }
    shape.pos = at;
    shape.angle = element.transform.angle;
    add(shape.into());
}

/// Bars for the lines of a text that is too small to be read.
pub(super) fn greek(mesh: &mut Mesh, element: &Element, px: f32, inks: Inks) {
    const LINES: usize = 24;
    let Some(text) = text_box(element) else { return };
    let color = colour(element, inks).gamma_multiply(0.35);
    let line = text.size * text_line();
    let lines: Vec<usize> = element.text.lines().take(LINES).map(|line| line.chars().take(200).count()).collect();
    let mut top = if text.middle { text.rect.center().y - line * lines.len() as f32 / 2.0 } else { text.rect.top() };
    let mut ink = Ink::new(px);
    for letters in lines {
        let width = (letters as f32 * text.size * 0.5).min(text.rect.width());
        let left = match text.align {
            Align::Left => text.rect.left(),
            Align::Center => text.rect.center().x - width / 2.0,
            Align::Right => text.rect.right() - width,
        };
        let bar = Rect::from_min_size(pos2(left, top + line * 0.3), vec2(width, line * 0.4));
        let corners = [bar.left_top(), bar.right_top(), bar.right_bottom(), bar.left_bottom()].map(|at| {
            let (x, y) = element.transform.turn((at.x, at.y));
            pos2(x, y)
        });
        if width > 0.0 {
            ink.fill(&corners, color);
        }
        top += line;
    }
    mesh.append(ink.mesh);
}
