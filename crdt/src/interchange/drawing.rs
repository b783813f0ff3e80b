//! A page as paths and lines of text in the order in which they are painted: what SVG, PDF and pictures are made of.

use std::f32::consts::TAU;

use crate::geometry::{Point, Rect};
use crate::shape::{Align, Color, Dash, Element, Head, Kind, Style};
use crate::view::PageView;

/// Px left free around what is painted.
const MARGIN: f32 = 16.0;
/// Height of a line of text, in font sizes.
pub const LINE_HEIGHT: f32 = 1.25;
/// Px between the edge of a shape and the text in it.
const PADDING: f32 = 8.0;
/// How far the handles of a cubic curve lie from its ends to make a quarter of a circle.
const QUARTER: f32 = 0.552_284_8;

/// A step of a path, in px of the page.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Step {
    /// A new beginning.
    Move(f32, f32),
    /// A straight line.
    Line(f32, f32),
    /// A cubic curve: two handles and the end.
    Curve([f32; 6]),
    /// Back to the beginning.
    Close,
}

/// Something to paint.
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    /// A path.
    Path {
        /// Its steps.
        steps: Vec<Step>,
        /// Inside; not to be seen where its opacity is 0.
        fill: Color,
        /// Its line; not to be seen where its opacity is 0.
        stroke: Color,
        /// Of the line, in px.
        width: f32,
        /// Lengths of dashes and gaps in turn; none for an unbroken line.
        dash: Vec<f32>,
    },
    /// Lines of text.
    Text {
        /// Where the first base line begins, ends or has its middle, by `align`.
        at: (f32, f32),
        /// The lines.
        lines: Vec<String>,
        /// In px.
        size: f32,
        /// What `at` is to each line.
        align: Align,
        /// Of the letters.
        color: Color,
        /// Clockwise about `about`, in radians.
        angle: f32,
        /// What it is turned about.
        about: (f32, f32),
    },
    /// A picture that this page only names.
    Image {
        /// The corners, clockwise from what is the top left when it is not turned.
        corners: [(f32, f32); 4],
        /// How its file is called in the room.
        name: String,
        /// Of all of it, 0 to 100.
        opacity: u8,
    },
}

/// A page to be painted.
#[derive(Debug, Clone, PartialEq)]
pub struct Drawing {
    /// What holds all of it and a margin.
    pub bounds: Rect,
    /// The lowest first.
    pub items: Vec<Item>,
}

impl Drawing {
    /// All that stands on a page.
    pub fn of(page: &PageView) -> Self {
        let bounds = page.bounds().unwrap_or(Rect::from_size(0.0, 0.0, 100.0, 100.0)).grow(MARGIN);
        let items = page.iter().flat_map(|element| paint(page, element)).collect();
        Self { bounds, items }
    }
}

/// What paints one element.
fn paint(page: &PageView, element: &Element) -> Vec<Item> {
    let style = element.style;
    let t = element.transform;
    let corner = |fx: f32, fy: f32| t.turn((t.x + fx * t.w, t.y + fy * t.h));
    let shape = |steps: Vec<Step>| Item::Path {
        steps,
        fill: fade(style.fill, style.opacity),
        stroke: fade(style.stroke, style.opacity),
        width: style.width,
        dash: dashes(&style),
    };
    let mut items = match element.kind {
        Kind::Pen => vec![Item::Path {
            steps: ribbon(&element.page_points(), style.width),
            fill: fade(style.stroke, style.opacity),
            stroke: Color::NONE,
            width: 0.0,
            dash: Vec::new(),
        }],
        Kind::Line | Kind::Arrow => line(&page.points(element), &style),
        Kind::Rect | Kind::Note | Kind::Frame if style.round => vec![shape(rounded(element))],
        Kind::Rect | Kind::Note | Kind::Frame => {
            vec![shape(polygon(&[corner(0.0, 0.0), corner(1.0, 0.0), corner(1.0, 1.0), corner(0.0, 1.0)]))]
        }
        Kind::Diamond => vec![shape(polygon(&[corner(0.5, 0.0), corner(1.0, 0.5), corner(0.5, 1.0), corner(0.0, 0.5)]))],
        Kind::Ellipse => vec![shape(ellipse(element))],
        Kind::Text => Vec::new(),
        Kind::Image => vec![Item::Image {
            corners: [corner(0.0, 0.0), corner(1.0, 0.0), corner(1.0, 1.0), corner(0.0, 1.0)],
            name: element.image.clone().unwrap_or_default(),
            opacity: style.opacity.min(100),
        }],
    };
    items.extend(text(element));
    items
}

/// A colour at an opacity of 0 to 100.
fn fade(color: Color, opacity: u8) -> Color {
    let [r, g, b, a] = color.rgba();
    Color::from_rgba([r, g, b, (u16::from(a) * u16::from(opacity.min(100)) / 100) as u8])
}

fn dashes(style: &Style) -> Vec<f32> {
    match style.dash {
        Dash::Solid => Vec::new(),
        Dash::Dashed => vec![style.width * 4.0, style.width * 3.0],
        Dash::Dotted => vec![0.1, style.width * 2.5],
    }
}

fn polygon(corners: &[(f32, f32)]) -> Vec<Step> {
    let mut steps: Vec<Step> = corners.iter().skip(1).map(|(x, y)| Step::Line(*x, *y)).collect();
    if let Some((x, y)) = corners.first() {
        steps.insert(0, Step::Move(*x, *y));
    }
    steps.push(Step::Close);
    steps
}

/// A box of curves: corners of an eighth of the shorter side.
fn rounded(element: &Element) -> Vec<Step> {
    let t = element.transform;
    let r = (t.w.min(t.h) / 8.0).min(32.0);
    let (x0, y0, x1, y1) = (t.x, t.y, t.x + t.w, t.y + t.h);
    let k = r * (1.0 - QUARTER);
    let at = |x: f32, y: f32| t.turn((x, y));
    let curve = |a: (f32, f32), b: (f32, f32), c: (f32, f32)| Step::Curve([a.0, a.1, b.0, b.1, c.0, c.1]);
    let line = |(x, y): (f32, f32)| Step::Line(x, y);
    let (sx, sy) = at(x0 + r, y0);
    vec![
        Step::Move(sx, sy),
        line(at(x1 - r, y0)),
        curve(at(x1 - k, y0), at(x1, y0 + k), at(x1, y0 + r)),
        line(at(x1, y1 - r)),
        curve(at(x1, y1 - k), at(x1 - k, y1), at(x1 - r, y1)),
        line(at(x0 + r, y1)),
        curve(at(x0 + k, y1), at(x0, y1 - k), at(x0, y1 - r)),
        line(at(x0, y0 + r)),
        curve(at(x0, y0 + k), at(x0 + k, y0), at(x0 + r, y0)),
        Step::Close,
    ]
}

fn ellipse(element: &Element) -> Vec<Step> {
    let t = element.transform;
    let (cx, cy) = t.center();
    let (rx, ry) = (t.w / 2.0, t.h / 2.0);
    let at = |x: f32, y: f32| t.turn((cx + x * rx, cy + y * ry));
    let curve = |a: (f32, f32), b: (f32, f32), c: (f32, f32)| Step::Curve([a.0, a.1, b.0, b.1, c.0, c.1]);
    let (x, y) = at(1.0, 0.0);
    let k = QUARTER;
    vec![
        Step::Move(x, y),
        curve(at(1.0, k), at(k, 1.0), at(0.0, 1.0)),
        curve(at(-k, 1.0), at(-1.0, k), at(-1.0, 0.0)),
        curve(at(-1.0, -k), at(-k, -1.0), at(0.0, -1.0)),
        curve(at(k, -1.0), at(1.0, -k), at(1.0, 0.0)),
        Step::Close,
    ]
}

/// The outline of a stroke whose width follows the pressure: half of it at none, one and a half times at most.
pub fn ribbon(points: &[Point], width: f32) -> Vec<Step> {
    let radius = |point: &Point| width * (0.5 + point.pressure) / 2.0;
    let (Some(first), Some(last)) = (points.first(), points.last()) else { return Vec::new() };
    if points.iter().all(|point| (point.x, point.y) == (first.x, first.y)) {
        return disc(first.x, first.y, radius(first));
    }
    let (mut left, mut right) = (Vec::with_capacity(points.len()), Vec::with_capacity(points.len()));
    let mut normal = (0.0, 0.0);
    for (at, point) in points.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|at| points.get(at)).unwrap_or(point);
        let after = points.get(at + 1).unwrap_or(point);
        let (dx, dy) = (after.x - before.x, after.y - before.y);
        let length = dx.hypot(dy);
        if length > 0.0 {
            normal = (-dy / length, dx / length);
        }
        let r = radius(point);
        left.push((point.x + normal.0 * r, point.y + normal.1 * r));
        right.push((point.x - normal.0 * r, point.y - normal.1 * r));
    }
    right.reverse();
    left.extend(right);
    let mut steps = polygon(&left);
    steps.extend(disc(first.x, first.y, radius(first)));
    steps.extend(disc(last.x, last.y, radius(last)));
    steps
}

fn disc(x: f32, y: f32, r: f32) -> Vec<Step> {
    let corners: Vec<(f32, f32)> = (0..16)
        .map(|part| {
            // Against the clock, so that it does not cancel what it lies on.
            let (sin, cos) = (-(part as f32) / 16.0 * TAU).sin_cos();
            (x + cos * r, y + sin * r)
        })
        .collect();
    polygon(&corners)
}

fn line(points: &[Point], style: &Style) -> Vec<Item> {
    let mut steps = Vec::new();
    for (at, point) in points.iter().enumerate() {
        steps.push(if at == 0 { Step::Move(point.x, point.y) } else { Step::Line(point.x, point.y) });
    }
    let closed =
        points.len() > 2 && points.first().map(|point| (point.x, point.y)) == points.last().map(|point| (point.x, point.y));
    let (stroke, fill) = (fade(style.stroke, style.opacity), fade(style.fill, style.opacity));
    let fill = if closed { fill } else { Color::NONE };
    let mut items = vec![Item::Path { steps, fill, stroke, width: style.width, dash: dashes(style) }];
    let ends = [(points.first(), points.get(1), style.start), (points.last(), points.iter().rev().nth(1), style.end)];
    for (tip, from, head) in ends {
        if let (Some(tip), Some(from)) = (tip, from) {
            items.extend(arrow_head(tip, from, head, style, stroke));
        }
    }
    items
}

fn arrow_head(tip: &Point, from: &Point, head: Head, style: &Style, stroke: Color) -> Option<Item> {
    let length = (style.width * 5.0).max(10.0);
    let (dx, dy) = (tip.x - from.x, tip.y - from.y);
    let whole = dx.hypot(dy).max(f32::MIN_POSITIVE);
    let (ux, uy) = (dx / whole, dy / whole);
    let beside = |back: f32, side: f32| (tip.x - ux * back - uy * side, tip.y - uy * back + ux * side);
    let (one, other) = (beside(length, length * 0.5), beside(length, -length * 0.5));
    let (steps, fill) = match head {
        Head::None => return None,
        Head::Arrow => (vec![Step::Move(one.0, one.1), Step::Line(tip.x, tip.y), Step::Line(other.0, other.1)], Color::NONE),
        Head::Triangle => (polygon(&[one, (tip.x, tip.y), other]), stroke),
        Head::Dot => (disc(tip.x, tip.y, length * 0.35), stroke),
        Head::Bar => {
            let (one, other) = (beside(0.0, length * 0.5), beside(0.0, -length * 0.5));
            (vec![Step::Move(one.0, one.1), Step::Line(other.0, other.1)], Color::NONE)
        }
    };
    Some(Item::Path { steps, fill, stroke, width: style.width, dash: Vec::new() })
}

fn text(element: &Element) -> Option<Item> {
    if element.text.is_empty() {
        return None;
    }
    let (style, t) = (element.style, element.transform);
    let lines: Vec<String> = element.text.split('\n').map(|line| line.replace('\t', "    ")).collect();
    let height = lines.len() as f32 * style.font_size * LINE_HEIGHT;
    let (inset, top) = match element.kind {
        Kind::Text => (0.0, t.y),
        Kind::Note => (PADDING, t.y + PADDING),
        Kind::Frame => (0.0, t.y - height),
        _ => (PADDING, t.y + (t.h - height) / 2.0),
    };
    let align = if matches!(element.kind, Kind::Text | Kind::Note | Kind::Frame) { style.align } else { Align::Center };
    let x = match align {
        Align::Left => t.x + inset,
        Align::Center => t.x + t.w / 2.0,
        Align::Right => t.x + t.w - inset,
    };
    Some(Item::Text {
        at: (x, top + style.font_size),
        lines,
        size: style.font_size,
        align,
        color: fade(style.stroke, style.opacity),
        angle: t.angle,
        about: t.center(),
    })
}
