//! Elements as triangles, in px of the page: lines with the width of the pen, outlines, fills, dashes and arrow heads, their edges
//! softened over one point of the screen. Fewer triangles the smaller an element is on the screen.

use conclave_crdt::{Color, Dash, Element, Head, Kind, PageView, Point, Style};
use egui::epaint::{Vertex, WHITE_UV};
use egui::{Color32, Mesh, Pos2, Rect, Vec2, pos2, vec2};

use super::{pos_of, rect_of};

/// Colours as they are shown: those of the document are for paper.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inks {
    pub dark: bool,
}

impl Inks {
    /// A colour of the document, with the opacity of its element. In the dark light and dark change places, the hue stays.
    pub fn colour(self, colour: Color, opacity: u8) -> Color32 {
        let [r, g, b, a] = colour.rgba();
        let a = (u32::from(a) * u32::from(opacity.min(100)) / 100) as u8;
        let [r, g, b] = if self.dark { turned([r, g, b]) } else { [r, g, b] };
        Color32::from_rgba_unmultiplied(r, g, b, a)
    }

    /// As it stands in the document: paper stays paper.
    pub fn as_is(colour: Color, opacity: u8) -> Color32 {
        Self { dark: false }.colour(colour, opacity)
    }
}

/// Light for dark: black becomes nearly white, white nearly black, the hue is kept.
fn turned(rgb: [u8; 3]) -> [u8; 3] {
    let [r, g, b] = rgb.map(|part| f32::from(part) / 255.0);
    let (most, least) = (r.max(g).max(b), r.min(g).min(b));
    let light = (most + least) / 2.0;
    // Onto 0.11 … 0.93. What was paper white is the grey of a dark card, pastels become deep and quiet; what was ink, or a strong colour, is
    // light enough to be read on either.
    let wanted = if light < 0.7 { 0.93 - light * 0.5 } else { 0.58 - (light - 0.7) * 1.567 };
    let quiet = if light < 0.7 { 0.9 } else { 0.6 };
    let chroma = most - least;
    let saturation = if chroma > 0.0 { chroma / (1.0 - (2.0 * light - 1.0).abs()).max(1e-3) } else { 0.0 };
    let new_chroma = saturation.min(1.0) * (1.0 - (2.0 * wanted - 1.0).abs()) * quiet;
    let part = |value: f32| {
        let share = if chroma > 0.0 { (value - least) / chroma } else { 0.5 };
        ((wanted - new_chroma / 2.0 + share * new_chroma).clamp(0.0, 1.0) * 255.0).round() as u8
    };
    [part(r), part(g), part(b)]
}

/// Builds triangles.
pub struct Ink {
    pub mesh: Mesh,
    /// One point of the screen, in px of the page.
    px: f32,
}

impl Ink {
    pub fn new(px: f32) -> Self {
        Self { mesh: Mesh::default(), px }
    }

    fn vertex(&mut self, pos: Pos2, color: Color32) -> u32 {
        let index = self.mesh.vertices.len() as u32;
        self.mesh.vertices.push(Vertex { pos, uv: WHITE_UV, color });
        index
    }

    fn triangle(&mut self, a: u32, b: u32, c: u32) {
        self.mesh.indices.extend([a, b, c]);
    }

    /// A filled convex outline.
    pub fn fill(&mut self, outline: &[Pos2], color: Color32) {
        if outline.len() < 3 || color.a() == 0 {
            return;
        }
        let half = self.px / 2.0;
        let count = outline.len();
        let center = outline.iter().fold(Vec2::ZERO, |sum, at| sum + at.to_vec2()) / count as f32;
        let at = |index: usize| outline.get(index % count).copied().unwrap_or_default();
        let first = self.mesh.vertices.len() as u32;
        for index in 0..count {
            let (before, here, after) = (at(index + count - 1), at(index), at(index + 1));
            let mut out = ((here - before).normalized() + (after - here).normalized()).rot90();
            if out.dot(here.to_vec2() - center) < 0.0 {
                out = -out;
            }
            let out = out.normalized() * half;
            self.vertex(here - out, color);
            self.vertex(here + out, Color32::TRANSPARENT);
        }
        let ring = count as u32;
        for index in 1..ring.saturating_sub(1) {
            self.triangle(first, first + 2 * index, first + 2 * (index + 1));
        }
        for index in 0..ring {
            let (a, b) = (first + 2 * index, first + 2 * ((index + 1) % ring));
            self.triangle(a, a + 1, b);
            self.triangle(b, a + 1, b + 1);
        }
    }

    /// A line of changing half width.
    pub fn ribbon(&mut self, line: &[(Pos2, f32)], closed: bool, color: Color32) {
        if color.a() == 0 {
            return;
        }
        if let [(at, half)] = line {
            self.dot(*at, *half, color);
            return;
        }
        let count = line.len();
        if count < 2 {
            return;
        }
        let at = |index: usize| line.get(index).copied().unwrap_or_default();
        let first = self.mesh.vertices.len() as u32;
        let mut sharp = Vec::new();
        for index in 0..count {
            let (here, half) = at(index);
            let before = if index > 0 {
                at(index - 1).0
            } else if closed {
                at(count - 1).0
            } else {
                here
            };
            let after = if index + 1 < count {
                at(index + 1).0
            } else if closed {
                at(0).0
            } else {
                here
            };
            let (into, out) = ((here - before).normalized(), (after - here).normalized());
            let along = into + out;
            let (normal, stretch) = if along.length_sq() < 0.3 {
                // Nearly back the way it came: a round cap stands at the turn.
                sharp.push((here, half));
                (if into == Vec2::ZERO { out } else { into }.rot90(), 1.0)
            } else {
                let along = along.normalized();
                let straight = if into == Vec2::ZERO { out } else { into };
                (along.rot90(), (1.0 / along.dot(straight).max(0.4)).min(2.0))
            };
            self.across(here, normal * stretch, half, color);
        }
        let spans = if closed { count } else { count - 1 };
        for index in 0..spans {
            let (a, b) = (first + 4 * index as u32, first + 4 * ((index + 1) % count) as u32);
            for strip in 0..3 {
                self.triangle(a + strip, a + strip + 1, b + strip);
                self.triangle(b + strip, a + strip + 1, b + strip + 1);
            }
        }
        if !closed {
            let ends = [(at(0), at(0).0 - at(1).0), (at(count - 1), at(count - 1).0 - at(count - 2).0)];
            for ((end, half), out) in ends {
                if half > self.px * 0.6 {
                    self.cap(end, half, out.normalized(), color);
                }
            }
        }
        for (at, half) in sharp {
            if half > self.px * 0.6 {
                self.dot(at, half, color);
            }
        }
    }

    /// Four vertices across the line: soft, full, full, soft.
    fn across(&mut self, at: Pos2, normal: Vec2, half: f32, color: Color32) {
        let (inner, outer) = ((half - self.px / 2.0).max(0.0), half + self.px / 2.0);
        // A line thinner than a point of the screen is paler, not thinner.
        let full = (2.0 * half / self.px).min(1.0);
        let color = if full < 1.0 { color.gamma_multiply(full.max(0.15)) } else { color };
        self.vertex(at + normal * outer, Color32::TRANSPARENT);
        self.vertex(at + normal * inner, color);
        self.vertex(at - normal * inner, color);
        self.vertex(at - normal * outer, Color32::TRANSPARENT);
    }

    fn steps(&self, radius: f32) -> usize {
        ((radius / self.px).sqrt() * 3.5).ceil().clamp(4.0, 40.0) as usize
    }

    /// A half disc at the end of a line.
    fn cap(&mut self, at: Pos2, radius: f32, out: Vec2, color: Color32) {
        let steps = self.steps(radius);
        let side = out.rot90();
        let arc = |index: usize| {
            let angle = index as f32 / steps as f32 * core::f32::consts::PI;
            side * angle.cos() + out * angle.sin()
        };
        self.fan(at, radius, (0..=steps).map(arc), color);
    }

    pub fn dot(&mut self, at: Pos2, radius: f32, color: Color32) {
        let steps = 2 * self.steps(radius);
        let arc = |index: usize| Vec2::angled(index as f32 / steps as f32 * core::f32::consts::TAU);
        self.fan(at, radius.max(self.px / 2.0), (0..=steps).map(arc), color);
    }

    fn fan(&mut self, at: Pos2, radius: f32, rays: impl Iterator<Item = Vec2>, color: Color32) {
        let (inner, outer) = ((radius - self.px / 2.0).max(0.0), radius + self.px / 2.0);
        let center = self.vertex(at, color);
        let mut last = None;
        for ray in rays {
            let (near, far) = (self.vertex(at + ray * inner, color), self.vertex(at + ray * outer, Color32::TRANSPARENT));
            if let Some((before, before_far)) = last {
                self.triangle(center, before, near);
                self.triangle(before, before_far, near);
                self.triangle(near, before_far, far);
            }
            last = Some((near, far));
        }
    }

    /// A line of one width, broken as the style says.
    pub fn line(&mut self, points: &[Pos2], closed: bool, half: f32, dash: Dash, color: Color32) {
        let even = |points: &[Pos2]| points.iter().map(|at| (*at, half)).collect::<Vec<_>>();
        let width = 2.0 * half;
        let (on, off) = match dash {
            Dash::Solid => return self.ribbon(&even(points), closed, color),
            Dash::Dashed => (8.0 + 2.0 * width, 6.0 + 2.0 * width),
            Dash::Dotted => (0.1, 4.0 + 1.6 * width),
        };
        // Dashes that are smaller than a point of the screen are a line again.
        if (on + off) / self.px < 3.0 {
            return self.ribbon(&even(points), closed, color.gamma_multiply(0.6));
        }
        let around = points.iter().copied().chain(closed.then(|| points.first().copied()).flatten()).collect::<Vec<_>>();
        for piece in pieces(&around, on, off) {
            self.ribbon(&even(&piece), false, color);
        }
    }
}

/// Most dashes of one line: beyond it, the rest is left out. A line of the largest size with the shortest dashes stays within what a
/// frame can take.
const MAX_PIECES: usize = 4_000;

/// The parts of a line that are drawn.
fn pieces(points: &[Pos2], on: f32, off: f32) -> Vec<Vec<Pos2>> {
    let mut pieces = Vec::new();
    let mut piece: Vec<Pos2> = points.first().copied().into_iter().collect();
    let (mut drawing, mut left) = (true, on);
    for pair in points.windows(2) {
        let [a, b] = pair else { continue };
        let length = (*b - *a).length();
        let mut done = 0.0;
        while length - done > left {
            done += left;
            let at = *a + (*b - *a) * (done / length);
            if drawing {
                piece.push(at);
                pieces.push(std::mem::take(&mut piece));
                if pieces.len() >= MAX_PIECES {
                    return pieces;
                }
            } else {
                piece = vec![at];
            }
            drawing = !drawing;
            left = if drawing { on } else { off };
        }
        left -= length - done;
        if drawing {
            piece.push(*b);
        }
    }
    if drawing && piece.len() > 1 {
        pieces.push(piece);
    }
    pieces
}

/// Points near each other on the screen become one; a line that is large on the screen gets more, along a curve through its points
/// (Catmull and Rom).
pub fn refined(points: &[Point], px: f32, curved: bool, width: impl Fn(&Point) -> f32) -> Vec<(Pos2, f32)> {
    let mut kept: Vec<(Pos2, f32)> = Vec::with_capacity(points.len());
    let last = points.len().saturating_sub(1);
    let near = (1.2 * px) * (1.2 * px);
    for (index, point) in points.iter().enumerate() {
        let at = pos_of(point);
        match kept.last() {
            Some((before, _)) if (at - *before).length_sq() < near && index < last => {}
            _ => kept.push((at, width(point))),
        }
    }
    if !curved || kept.len() < 3 {
        return kept;
    }
    let get = |index: isize| kept.get(index.clamp(0, kept.len() as isize - 1) as usize).copied().unwrap_or_default();
    let mut out = Vec::with_capacity(kept.len() * 2);
    for index in 0..kept.len() as isize - 1 {
        let ((p0, _), (p1, w1), (p2, w2), (p3, _)) = (get(index - 1), get(index), get(index + 1), get(index + 2));
        out.push((p1, w1));
        let length = (p2 - p1).length() / px;
        let steps = (length / 7.0).clamp(1.0, 12.0) as usize;
        for step in 1..steps {
            let t = step as f32 / steps as f32;
            let (t2, t3) = (t * t, t * t * t);
            let at = 0.5
                * (2.0 * p1.to_vec2()
                    + t * (p2 - p0)
                    + t2 * (2.0 * p0.to_vec2() - 5.0 * p1.to_vec2() + 4.0 * p2.to_vec2() - p3.to_vec2())
                    + t3 * (3.0 * p1.to_vec2() - p0.to_vec2() - 3.0 * p2.to_vec2() + p3.to_vec2()));
            out.push((at.to_pos2(), w1 + (w2 - w1) * t));
        }
    }
    out.extend(kept.last());
    out
}

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

    #[test]
    fn dashes_leave_gaps_and_are_bounded() {
        let dashes = pieces(&[pos2(0.0, 0.0), pos2(100.0, 0.0)], 10.0, 10.0);
        assert_eq!(dashes.len(), 5);
        assert!((dashes[1][0] - pos2(20.0, 0.0)).length() < 1e-3 && (dashes[1][1] - pos2(30.0, 0.0)).length() < 1e-3);
        assert_eq!(pieces(&[pos2(0.0, 0.0), pos2(2e6, 0.0)], 0.1, 4.0).len(), MAX_PIECES);
    }

    #[test]
    fn ink_is_light_in_the_dark_and_red_stays_red() {
        let dark = Inks { dark: true };
        assert!(dark.colour(Color::INK, 100).intensity() > 0.7);
        assert!(dark.colour(Color(0xffff_ffff), 100).intensity() < 0.2);
        let red = dark.colour(Color(0xe031_31ff), 100);
        assert!(red.r() > red.g() && red.r() > red.b());
        assert_eq!(dark.colour(Color::NONE, 100).a(), 0);
        assert_eq!(Inks { dark: false }.colour(Color::INK, 50).a(), 127);
    }
}
