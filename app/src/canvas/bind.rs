//! Arrows that hold on to things: what an end catches when it is let go near, and where.

use std::sync::Arc;

use conclave_crdt::{Binding, Element, ElementId, Hold, Kind, PageView};
use egui::{Pos2, Rect, Vec2};

use super::hit::local;
use super::{page_rect, rect_of};

/// Points of the screen around a thing within which the end of an arrow catches it.
pub const REACH: f32 = 12.0;

fn can_hold(kind: Kind) -> bool {
    matches!(kind, Kind::Rect | Kind::Ellipse | Kind::Diamond | Kind::Text | Kind::Note | Kind::Image)
}

/// What an end at `at` catches; `reach` is in px of the page. Of several the smallest: what lies inside another thing is meant.
pub fn target(view: &PageView, at: Pos2, reach: f32, not: Option<ElementId>) -> Option<&Arc<Element>> {
    let near = page_rect(Rect::from_center_size(at, Vec2::splat(2.0 * reach)));
    let area = |element: &Element| element.transform.w * element.transform.h;
    view.in_rect(near)
        .into_iter()
        .filter(|element| can_hold(element.kind) && Some(element.id) != not)
        .filter(|element| rect_of(&element.transform.rect()).expand(reach).contains(local(element, at)))
        .min_by(|one, other| area(one).total_cmp(&area(other)))
}

/// How an end at `at` holds on to an element.
pub fn to(element: &Element, at: Pos2) -> Binding {
    let at = local(element, at);
    let rect = rect_of(&element.transform.rect());
    let part = |value: f32, from: f32, size: f32| if size > 0.0 { ((value - from) / size).clamp(0.0, 1.0) } else { 0.5 };
    let (fx, fy) = (part(at.x, rect.left(), rect.width()), part(at.y, rect.top(), rect.height()));
    // Near the middle the middle is meant: the arrow then points at it from wherever the thing is moved.
    let middle = (fx - 0.5).abs() < 0.2 && (fy - 0.5).abs() < 0.2;
    let (fx, fy) = if middle { (0.5, 0.5) } else { (fx, fy) };
    Binding { target: element.id, fx, fy, hold: Hold::Outline }
}
