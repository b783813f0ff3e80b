//! What lies under the pointer: by the outline as it is drawn, not by the box around it.

use std::sync::Arc;

use conclave_crdt::{Element, ElementId, Kind, PageView};
use egui::{Pos2, Rect, pos2};

use super::{page_rect, pos_of, rect_of};

/// Points of the screen around a thin line that still count as on it.
pub const REACH: f32 = 7.0;

/// Distance of a point from a segment.
pub fn to_segment(at: Pos2, a: Pos2, b: Pos2) -> f32 {
    let along = b - a;
    let length = along.length_sq();
    let t = if length > 0.0 { ((at - a).dot(along) / length).clamp(0.0, 1.0) } else { 0.0 };
    (at - (a + along * t)).length()
}

/// Distance of a point from a line through points; infinite without points.
pub fn to_line(at: Pos2, points: &[Pos2]) -> f32 {
    match points {
        [] => f32::INFINITY,
        [one] => (at - *one).length(),
        points => points
            .windows(2)
            .filter_map(|pair| match pair {
                [a, b] => Some(to_segment(at, *a, *b)),
                _ => None,
            })
            .fold(f32::INFINITY, f32::min),
    }
}

/// Where a point of the page lies in the unturned box of an element.
pub fn local(element: &Element, at: Pos2) -> Pos2 {
    let (x, y) = element.transform.turn_back((at.x, at.y));
    pos2(x, y)
}

/// The corners of the outline of a shape, before turning.
pub fn outline(kind: Kind, rect: Rect) -> Vec<Pos2> {
    match kind {
        Kind::Diamond => vec![rect.center_top(), rect.right_center(), rect.center_bottom(), rect.left_center()],
        Kind::Ellipse => (0..48)
            .map(|step| {
                let angle = step as f32 / 48.0 * core::f32::consts::TAU;
                rect.center() + egui::vec2(angle.cos() * rect.width() / 2.0, angle.sin() * rect.height() / 2.0)
            })
            .collect(),
        _ => vec![rect.left_top(), rect.right_top(), rect.right_bottom(), rect.left_bottom()],
    }
}

fn inside(kind: Kind, rect: Rect, at: Pos2) -> bool {
    let half = rect.size() / 2.0;
    let d = at - rect.center();
    let (x, y) = (d.x / half.x.max(1e-3), d.y / half.y.max(1e-3));
    match kind {
        Kind::Ellipse => x * x + y * y <= 1.0,
        Kind::Diamond => x.abs() + y.abs() <= 1.0,
        _ => rect.contains(at),
    }
}

/// Whether an element is under a point; `reach` is in px of the page.
pub fn hits(view: &PageView, element: &Element, at: Pos2, reach: f32) -> bool {
    if !rect_of(&element.bounds()).expand(reach + 24.0).contains(at) {
        return false;
    }
    let near = reach + element.style.width / 2.0;
    match element.kind {
        Kind::Pen | Kind::Line | Kind::Arrow => {
            let points: Vec<Pos2> = view.points(element).iter().map(pos_of).collect();
            to_line(at, &points) <= near
        }
        Kind::Text | Kind::Note | Kind::Image => {
            rect_of(&element.transform.rect()).expand(reach * 0.5).contains(local(element, at))
        }
        Kind::Rect | Kind::Ellipse | Kind::Diamond | Kind::Frame => {
            let (rect, at) = (rect_of(&element.transform.rect()), local(element, at));
            let solid = element.kind != Kind::Frame && (!element.style.fill.is_none() || !element.text.is_empty());
            if solid && inside(element.kind, rect, at) {
                return true;
            }
            // The name of a frame stands above it.
            if element.kind == Kind::Frame
                && Rect::from_min_max(pos2(rect.left(), rect.top() - 3.0 * reach), pos2(rect.left() + 160.0, rect.top()))
                    .contains(at)
            {
                return true;
            }
            let mut corners = outline(element.kind, rect);
            if let Some(first) = corners.first().copied() {
                corners.push(first);
            }
            to_line(at, &corners) <= near
        }
    }
}

/// The topmost element under a point. What stands on nothing but a frame is hit before the frame.
pub fn topmost(view: &PageView, at: Pos2, reach: f32, locked_too: bool) -> Option<&Arc<Element>> {
    let near = Rect::from_center_size(at, egui::Vec2::splat(2.0 * reach + 48.0));
    let found = view.in_rect(page_rect(near));
    let mut hit = found.into_iter().rev().filter(|element| (locked_too || !element.locked) && hits(view, element, at, reach));
    hit.next()
}

/// Elements that lie wholly in a box, without those that are locked.
pub fn within(view: &PageView, area: Rect) -> Vec<ElementId> {
    let area = page_rect(area);
    let inside = |element: &&Arc<Element>| !element.locked && area.holds(&element.transform.bounds());
    view.in_rect(area).into_iter().filter(inside).map(|element| element.id).collect()
}

/// The frame in which a box drawn at a place comes to belong: the topmost that holds its middle.
pub fn frame_at(view: &PageView, at: Pos2) -> Option<ElementId> {
    let spot = Rect::from_center_size(at, egui::Vec2::splat(1.0));
    let holds =
        |element: &&&Arc<Element>| element.kind == Kind::Frame && rect_of(&element.transform.rect()).contains(local(element, at));
    view.in_rect(page_rect(spot)).iter().rev().find(holds).map(|element| element.id)
}
