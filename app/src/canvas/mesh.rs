//! Elements as triangles, in px of the page: lines with the width of the pen, outlines, fills, dashes and arrow heads, their edges
//! softened over one point of the screen. Fewer triangles the smaller an element is on the screen.

mod ink;
mod inks;
mod path;

use conclave_crdt::{Dash, Element, Head, Kind, PageView, Point, Style};
use egui::{Color32, Mesh, Pos2, Rect, Vec2, pos2, vec2};

pub use self::ink::Ink;
pub use self::inks::Inks;
pub use self::path::refined;
use super::rect_of;

/// The outline of a shape as it is drawn, before turning; corners rounded where the style says so.
pub fn outline(kind: Kind, rect: Rect, round: bool, px: f32) -> Vec<Pos2> {
    if kind == Kind::Ellipse {
        let (rx, ry) = (rect.width() / 2.0, rect.height() / 2.0);
        let steps = ((rx.max(ry) / px).sqrt() * 5.0).clamp(10.0, 160.0) as usize;
        let angle = |index: usize| index as f32 / steps as f32 * core::f32::consts::TAU;
        return (0..steps).map(|index| rect.center() + vec2(angle(index).cos() * rx, angle(index).sin() * ry)).collect();
    }
    let corners = super::hit::outline(kind, rect);
    let radius = match kind {
        Kind::Note => 4.0,
        Kind::Image | Kind::Frame => 6.0,
        _ if round => (rect.width().min(rect.height()) * 0.25).min(28.0),
        _ => 0.0,
    };
    if radius < 1.5 * px {
        return corners;
    }
    let steps = ((radius / px).sqrt() * 2.0).clamp(3.0, 16.0) as usize;
    let count = corners.len();
    let at = |index: usize| corners.get(index % count).copied().unwrap_or_default();
    let mut out = Vec::with_capacity(count * (steps + 1));
    for index in 0..count {
        let (before, here, after) = (at(index + count - 1), at(index), at(index + 1));
        let cut = |to: Pos2| {
            let way = to - here;
            here + way.normalized() * radius.min(way.length() / 2.0)
        };
        let (from, to) = (cut(before), cut(after));
        for step in 0..=steps {
            let t = step as f32 / steps as f32;
            let (a, b) = (from + (here - from) * t, here + (to - here) * t);
            out.push(a + (b - a) * t);
        }
    }
    out
}

/// The triangles of an element; its text is drawn apart. `px` is one point of the screen.
pub fn element(view: &PageView, element: &Element, px: f32, inks: Inks) -> Mesh {
    let mut ink = Ink::new(px);
    let style = &element.style;
    let stroke = inks.colour(style.stroke, style.opacity);
    match element.kind {
        Kind::Pen => pen(&mut ink, &element.page_points(), style, stroke),
        Kind::Line | Kind::Arrow => line(&mut ink, &view.points(element), style, stroke),
        Kind::Rect | Kind::Ellipse | Kind::Diamond => {
            let outline = turned_outline(element, px);
            ink.fill(&outline, inks.colour(style.fill, style.opacity));
            if style.width > 0.0 {
                ink.line(&outline, true, style.width / 2.0, style.dash, stroke);
            }
        }
        Kind::Note => {
            let outline = turned_outline(element, px);
            let shade = |alpha: u8| Color32::from_black_alpha((u32::from(alpha) * u32::from(style.opacity) / 100) as u8);
            for (down, alpha) in [(7.0, 10), (4.0, 14), (1.5, 18)] {
                let shadow: Vec<Pos2> = outline.iter().map(|at| *at + vec2(0.0, down)).collect();
                ink.fill(&shadow, shade(alpha));
            }
            ink.fill(&outline, Inks::as_is(style.fill, style.opacity));
        }
        Kind::Frame => ink.line(&turned_outline(element, px), true, (style.width / 2.0).max(0.6 * px), style.dash, stroke),
        Kind::Image | Kind::Text => {}
    }
    ink.mesh
}

fn turned_outline(element: &Element, px: f32) -> Vec<Pos2> {
    let mut points = outline(element.kind, rect_of(&element.transform.rect()), element.style.round, px);
    if element.transform.angle != 0.0 {
        for at in &mut points {
            let (x, y) = element.transform.turn((at.x, at.y));
            *at = pos2(x, y);
        }
    }
    points
}

/// The pen: as wide as it was pressed.
pub fn pen(ink: &mut Ink, points: &[Point], style: &Style, color: Color32) {
    let half = style.width / 2.0;
    let line = refined(points, ink.px, true, |point| half * (0.35 + 1.3 * point.pressure));
    ink.ribbon(&line, false, color);
}

fn line(ink: &mut Ink, points: &[Point], style: &Style, color: Color32) {
    let half = style.width / 2.0;
    let path: Vec<Pos2> =
        refined(points, ink.px, style.round && points.len() > 2, |_| half).into_iter().map(|(at, _)| at).collect();
    let length: f32 = path.windows(2).map(|pair| if let [a, b] = pair { (*b - *a).length() } else { 0.0 }).sum();
    ink.line(&path, false, half, style.dash, color);
    let size = (10.0 + 4.0 * style.width).min(length * 0.6).max(2.0 * ink.px);
    if let (Some(end), Some(before)) = (path.last(), at_distance(path.iter().rev(), size)) {
        head(ink, style.end, *end, *end - before, size, half, color);
    }
    if let (Some(start), Some(after)) = (path.first(), at_distance(path.iter(), size)) {
        head(ink, style.start, *start, *start - after, size, half, color);
    }
}

/// The place so far along a line: a head points the way its line comes.
fn at_distance<'a>(mut points: impl Iterator<Item = &'a Pos2>, distance: f32) -> Option<Pos2> {
    let first = *points.next()?;
    let mut last = None;
    for at in points {
        last = Some(*at);
        if (*at - first).length() >= distance {
            break;
        }
    }
    last
}

fn head(ink: &mut Ink, head: Head, at: Pos2, along: Vec2, size: f32, half: f32, color: Color32) {
    let along = along.normalized();
    if along == Vec2::ZERO {
        return;
    }
    let side = along.rot90();
    let wing = |spread: f32| at - along * size + side * (size * spread);
    match head {
        Head::None => {}
        Head::Arrow => ink.line(&[wing(0.5), at, wing(-0.5)], false, half, Dash::Solid, color),
        Head::Triangle => ink.fill(&[wing(0.45), at + along * half, wing(-0.45)], color),
        Head::Dot => ink.dot(at, size * 0.3, color),
        Head::Bar => ink.line(&[at + side * size * 0.45, at - side * size * 0.45], false, half, Dash::Solid, color),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sound(mesh: &Mesh) {
        assert!(mesh.is_valid() && mesh.indices.len().is_multiple_of(3));
        assert!(mesh.vertices.iter().all(|vertex| vertex.pos.is_finite()));
    }

    #[test]
    fn a_stroke_is_as_wide_as_it_was_pressed() {
        let points: Vec<Point> =
            (0..40).map(|step| Point { x: step as f32 * 5.0, y: 0.0, pressure: step as f32 / 40.0 }).collect();
        let mut ink = Ink::new(0.01);
        pen(&mut ink, &points, &Style { width: 10.0, ..Style::default() }, Color32::BLACK);
        sound(&ink.mesh);
        let width_at = |x: f32| {
            let near = ink.mesh.vertices.iter().filter(|vertex| (vertex.pos.x - x).abs() < 3.0);
            near.map(|vertex| vertex.pos.y.abs()).fold(0.0, f32::max)
        };
        assert!(width_at(180.0) > 2.0 * width_at(20.0));
    }

    #[test]
    fn what_is_small_on_the_screen_has_few_triangles() {
        let points: Vec<Point> = (0..60).map(|step| Point::new(step as f32, (step as f32 / 9.0).sin() * 20.0)).collect();
        let count = |px: f32| {
            let mut ink = Ink::new(px);
            pen(&mut ink, &points, &Style::default(), Color32::BLACK);
            sound(&ink.mesh);
            ink.mesh.vertices.len()
        };
        assert!(count(16.0) < 60, "{}", count(16.0));
        assert!(count(0.1) > count(1.0));
    }

    #[test]
    fn points_on_top_of_each_other_and_empty_shapes_make_no_bad_numbers() {
        for points in [vec![], vec![Point::new(1.0, 1.0)], vec![Point::new(1.0, 1.0); 5]] {
            let mut ink = Ink::new(1.0);
            pen(&mut ink, &points, &Style::default(), Color32::BLACK);
            line(&mut ink, &points, &Style { end: Head::Arrow, start: Head::Triangle, ..Style::default() }, Color32::BLACK);
            sound(&ink.mesh);
        }
        for kind in [Kind::Rect, Kind::Diamond, Kind::Ellipse, Kind::Note] {
            let mut ink = Ink::new(1.0);
            let flat = outline(kind, Rect::from_min_size(pos2(3.0, 3.0), Vec2::ZERO), true, 1.0);
            ink.fill(&flat, Color32::RED);
            ink.line(&flat, true, 1.0, Dash::Dashed, Color32::RED);
            sound(&ink.mesh);
        }
    }
}
