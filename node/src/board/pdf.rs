//! A drawing as a page of PDF 1.7: paths as paths, text in one of the fonts that every reader has. Letters beyond Latin-1 become question
//! marks there.

mod pictures;

use self::pictures::Placed;
use conclave_crdt::interchange::drawing::{Drawing, Item, LINE_HEIGHT, Step};
use conclave_crdt::interchange::picture::Pictures;
use conclave_crdt::{Align, Color};
use pdf_writer::types::{LineCapStyle, LineJoinStyle};
use pdf_writer::{Content, Finish, Name, Pdf, Rect, Ref, Str};

/// Points of print for one px of the page.
const POINTS: f32 = 0.75;
/// Longest side of a page of PDF, in points (ISO 32000-1, annex C).
const MAX_SIDE: f32 = 14_400.0;
const FONT: Name<'_> = Name(b"F1");
/// Widths of Helvetica's printable ASCII letters, in thousandths of the font size (Adobe's core font metrics).
const WIDTHS: [u16; 95] = [
    278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278, 556, 556, 556, 556, 556, 556, 556, 556, 556,
    556, 278, 278, 584, 584, 584, 556, 1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833, 722, 778, 667, 778,
    722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469, 556, 333, 556, 556, 500, 556, 556, 278, 556, 556, 222, 222,
    500, 222, 833, 556, 556, 556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334, 260, 334, 584,
];

/// The bytes of the file.
pub(super) fn write(drawing: &Drawing, pictures: &Pictures) -> Vec<u8> {
    let bounds = drawing.bounds;
    let scale = POINTS.min(MAX_SIDE / bounds.width().max(bounds.height()).max(1.0));
    let (catalog, pages, page, font, content) = (Ref::new(1), Ref::new(2), Ref::new(3), Ref::new(4), Ref::new(5));
    let mut states: Vec<u8> = Vec::new();
    let mut paint = Content::new();
    // Downwards here, upwards there.
    paint.transform([scale, 0.0, 0.0, -scale, -bounds.x0 * scale, bounds.y1 * scale]);
    paint.set_line_cap(LineCapStyle::RoundCap).set_line_join(LineJoinStyle::RoundJoin);
    let mut pdf = Pdf::new();
    let placed = Placed::write(&mut pdf, &drawing.items, pictures, &mut content.get());
    for item in &drawing.items {
        paint_item(&mut paint, item, &mut states, &placed);
    }
    pdf.catalog(catalog).pages(pages);
    pdf.pages(pages).kids([page]).count(1);
    let mut sheet = pdf.page(page);
    sheet.media_box(Rect::new(0.0, 0.0, bounds.width() * scale, bounds.height() * scale)).parent(pages).contents(content);
    let mut resources = sheet.resources();
    resources.fonts().pair(FONT, font);
    let mut images = resources.x_objects();
    for (name, at) in placed.iter() {
        images.pair(Name(name.as_bytes()), at);
    }
    images.finish();
    let mut kept = resources.ext_g_states();
    for (index, opacity) in states.iter().enumerate() {
        let share = f32::from(*opacity) / 255.0;
        kept.insert(Name(state_name(index).as_bytes()))
            .start::<pdf_writer::writers::ExtGraphicsState<'_>>()
            .non_stroking_alpha(share)
            .stroking_alpha(share);
    }
    kept.finish();
    resources.finish();
    sheet.finish();
    pdf.type1_font(font).base_font(Name(b"Helvetica")).encoding_predefined(Name(b"WinAnsiEncoding"));
    pdf.stream(content, &paint.finish());
    pdf.finish()
}

fn paint_item(paint: &mut Content, item: &Item, states: &mut Vec<u8>, placed: &Placed) {
    match item {
        Item::Path { steps, fill, stroke, width, dash } => {
            if !fill.is_none() {
                trace(paint, steps);
                set_fill(paint, *fill, states);
                paint.fill_nonzero();
            }
            if !stroke.is_none() && *width > 0.0 {
                trace(paint, steps);
                let [r, g, b] = rgb(*stroke);
                set_opacity(paint, *stroke, states);
                paint.set_stroke_rgb(r, g, b).set_line_width(*width).set_dash_pattern(dash.iter().copied(), 0.0).stroke();
            }
        }
        Item::Text { at, lines, size, align, color, angle, about } => {
            set_fill(paint, *color, states);
            let (sin, cos) = angle.sin_cos();
            for (row, line) in lines.iter().enumerate() {
                let letters: Vec<u8> = line.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')).collect();
                let length: f32 = letters.iter().map(|letter| width_of(*letter)).sum::<f32>() * size;
                let x = match align {
                    Align::Left => at.0,
                    Align::Center => at.0 - length / 2.0,
                    Align::Right => at.0 - length,
                };
                let (dx, dy) = (x - about.0, at.1 + row as f32 * size * LINE_HEIGHT - about.1);
                let place = (about.0 + dx * cos - dy * sin, about.1 + dx * sin + dy * cos);
                paint.begin_text().set_font(FONT, *size);
                // Letters stand upright though the page is turned over.
                paint.set_text_matrix([cos, sin, sin, -cos, place.0, place.1]).show(Str(&letters)).end_text();
            }
        }
        Item::Image { corners: [zero, right, _, down], name, opacity } if placed.name(name).is_some() => {
            let opacity = u16::from((*opacity).min(100)) * 255 / 100;
            set_opacity(paint, Color(u32::from(opacity)), states);
            // The unit square of a picture has its beginning at the bottom left.
            let matrix = [right.0 - zero.0, right.1 - zero.1, zero.0 - down.0, zero.1 - down.1, down.0, down.1];
            let name = placed.name(name).unwrap_or_default();
            paint.save_state().transform(matrix).x_object(Name(name.as_bytes())).restore_state();
        }
        Item::Image { corners, .. } => {
            let steps: Vec<Step> = corners
                .iter()
                .enumerate()
                .map(|(at, (x, y))| if at == 0 { Step::Move(*x, *y) } else { Step::Line(*x, *y) })
                .chain([Step::Close])
                .collect();
            trace(paint, &steps);
            set_fill(paint, Color(0xf1f3_f5ff), states);
            paint.fill_nonzero();
        }
    }
}

fn trace(paint: &mut Content, steps: &[Step]) {
    for step in steps {
        match *step {
            Step::Move(x, y) => paint.move_to(x, y),
            Step::Line(x, y) => paint.line_to(x, y),
            Step::Curve([a, b, c, d, x, y]) => paint.cubic_to(a, b, c, d, x, y),
            Step::Close => paint.close_path(),
        };
    }
}

fn set_fill(paint: &mut Content, color: Color, states: &mut Vec<u8>) {
    let [r, g, b] = rgb(color);
    set_opacity(paint, color, states);
    paint.set_fill_rgb(r, g, b);
}

fn set_opacity(paint: &mut Content, color: Color, states: &mut Vec<u8>) {
    let [.., opacity] = color.rgba();
    let index = states.iter().position(|known| *known == opacity).unwrap_or_else(|| {
        states.push(opacity);
        states.len() - 1
    });
    paint.set_parameters(Name(state_name(index).as_bytes()));
}

fn state_name(index: usize) -> String {
    format!("A{index}")
}

fn rgb(color: Color) -> [f32; 3] {
    let [r, g, b, _] = color.rgba();
    [r, g, b].map(|part| f32::from(part) / 255.0)
}

/// In font sizes. Letters beyond ASCII are taken to be as wide as most.
fn width_of(letter: u8) -> f32 {
    let width = usize::from(letter).checked_sub(32).and_then(|at| WIDTHS.get(at)).copied().unwrap_or(556);
    f32::from(width) / 1000.0
}
