//! What is done to a selection as a whole: aligning, spreading, moving up and down, grouping, locking, copying, and moving by keys.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use conclave_crdt::{Edit, Element, ElementId, GroupId, PageView, Place, Style, Transform};
use egui::{Rect, Vec2};

use super::rect_of;

/// Px that an arrow key moves, without and with Shift.
pub const NUDGE: f32 = 1.0;
pub const NUDGE_FAR: f32 = 10.0;
/// Px by which a copy stands beside what it was made of.
pub const BESIDE: f32 = 20.0;

/// Along which line elements are aligned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    Left,
    Center,
    Right,
    Top,
    Middle,
    Bottom,
}

/// Up or down among the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    ToFront,
    Forward,
    Backward,
    ToBack,
}

/// The selected elements that are still there and may be changed, the lowest first.
pub fn chosen<'v>(view: &'v PageView, selection: &BTreeSet<ElementId>) -> Vec<&'v Arc<Element>> {
    let mut chosen: Vec<_> = selection.iter().filter_map(|id| view.get(id)).filter(|element| !element.locked).collect();
    chosen.sort_by(|one, other| (&one.z, one.id).cmp(&(&other.z, other.id)));
    chosen
}

/// What moves together: the elements of a group are one thing.
fn things<'v>(elements: &[&'v Arc<Element>]) -> Vec<(Rect, Vec<&'v Arc<Element>>)> {
    let mut groups: BTreeMap<Result<ElementId, GroupId>, Vec<&'v Arc<Element>>> = BTreeMap::new();
    for element in elements {
        groups.entry(element.group.map_or(Ok(element.id), Err)).or_default().push(element);
    }
    let bounds = |members: &[&Arc<Element>]| {
        members
            .iter()
            .map(|element| rect_of(&element.transform.bounds()))
            .reduce(|one, other| one.union(other))
            .unwrap_or(Rect::ZERO)
    };
    groups.into_values().map(|members| (bounds(&members), members)).collect()
}

fn moving<'a>(members: &'a [&'a Arc<Element>], by: Vec2) -> impl Iterator<Item = Edit> + 'a {
    members.iter().filter(move |_| by != Vec2::ZERO).map(move |element| Edit::Transform {
        id: element.id,
        transform: Transform { x: element.transform.x + by.x, y: element.transform.y + by.y, ..element.transform },
    })
}

pub fn align(elements: &[&Arc<Element>], along: Align) -> Vec<Edit> {
    let things = things(elements);
    let Some(all) = things.iter().map(|(rect, _)| *rect).reduce(|one, other| one.union(other)) else { return Vec::new() };
    let by = |rect: &Rect| match along {
        Align::Left => Vec2::new(all.left() - rect.left(), 0.0),
        Align::Center => Vec2::new(all.center().x - rect.center().x, 0.0),
        Align::Right => Vec2::new(all.right() - rect.right(), 0.0),
        Align::Top => Vec2::new(0.0, all.top() - rect.top()),
        Align::Middle => Vec2::new(0.0, all.center().y - rect.center().y),
        Align::Bottom => Vec2::new(0.0, all.bottom() - rect.bottom()),
    };
    things.iter().flat_map(|(rect, members)| moving(members, by(rect)).collect::<Vec<_>>()).collect()
}

/// Equal gaps between neighbours, the outermost two staying. Nothing below three.
pub fn distribute(elements: &[&Arc<Element>], down: bool) -> Vec<Edit> {
    let mut things = things(elements);
    if things.len() < 3 {
        return Vec::new();
    }
    let along = |rect: &Rect| if down { (rect.top(), rect.bottom()) } else { (rect.left(), rect.right()) };
    things.sort_by(|(one, _), (other, _)| along(one).0.total_cmp(&along(other).0));
    let first = things.first().map_or(0.0, |(rect, _)| along(rect).0);
    let last = things.iter().map(|(rect, _)| along(rect).1).fold(f32::MIN, f32::max);
    let filled: f32 = things.iter().map(|(rect, _)| along(rect).1 - along(rect).0).sum();
    let gap = (last - first - filled) / (things.len() - 1) as f32;
    let mut at = first;
    let mut edits = Vec::new();
    for (rect, members) in &things {
        let (from, to) = along(rect);
        let by = if down { Vec2::new(0.0, at - from) } else { Vec2::new(at - from, 0.0) };
        edits.extend(moving(members, by));
        at += to - from + gap;
    }
    edits
}

pub fn nudge(elements: &[&Arc<Element>], by: Vec2) -> Vec<Edit> {
    moving(elements, by).collect()
}

/// Up or down. One step goes over the next element that touches the selection.
pub fn order(view: &PageView, elements: &[&Arc<Element>], order: Order) -> Vec<Edit> {
    let mine: BTreeSet<ElementId> = elements.iter().map(|element| element.id).collect();
    let Some(area) = elements.iter().map(|element| element.bounds()).reduce(|one, other| one.union(&other)) else {
        return Vec::new();
    };
    let (Some(lowest), Some(highest)) = (elements.first(), elements.last()) else { return Vec::new() };
    let key = |element: &Arc<Element>| (element.z.clone(), element.id);
    let touching = view.in_rect(area);
    let mut others = touching.iter().filter(|element| !mine.contains(&element.id));
    match order {
        Order::ToFront => elements.iter().map(|element| Edit::Order { id: element.id, place: Place::Front }).collect(),
        Order::ToBack => elements.iter().rev().map(|element| Edit::Order { id: element.id, place: Place::Back }).collect(),
        Order::Forward => match others.find(|other| key(other) > key(highest)) {
            Some(over) => {
                elements.iter().rev().map(|element| Edit::Order { id: element.id, place: Place::Above(over.id) }).collect()
            }
            None => Vec::new(),
        },
        Order::Backward => match others.rfind(|other| key(other) < key(lowest)) {
            Some(under) => elements.iter().map(|element| Edit::Order { id: element.id, place: Place::Below(under.id) }).collect(),
            None => Vec::new(),
        },
    }
}

pub fn group(elements: &[&Arc<Element>], group: Option<GroupId>) -> Vec<Edit> {
    elements.iter().filter(|element| element.group != group).map(|element| Edit::Group { id: element.id, group }).collect()
}

pub fn restyle(elements: &[&Arc<Element>], change: impl Fn(&mut Style)) -> Vec<Edit> {
    elements
        .iter()
        .filter_map(|element| {
            let mut style = element.style;
            change(&mut style);
            (style != element.style).then_some(Edit::Style { id: element.id, style })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use conclave_crdt::{Kind, OrderKey, PageDelta, PageId, Shape};

    fn page(shapes: &[(u128, f32, f32, f32, f32, Option<u128>)]) -> PageView {
        let changed = shapes
            .iter()
            .enumerate()
            .map(|(index, (id, x, y, w, h, group))| {
                let mut shape = Shape::new(Kind::Rect, Transform::new(*x, *y, *w, *h), Style::default());
                shape.group = group.map(GroupId::from_random);
                let z = OrderKey::parse(&format!("V{index}V")).unwrap();
                Arc::new(Element { id: ElementId::from_random(*id), z, shape })
            })
            .collect();
        let mut view = PageView::default();
        view.apply(&PageDelta { page: PageId::FIRST, changed, removed: vec![] });
        view
    }

    fn all(view: &PageView) -> Vec<&Arc<Element>> {
        view.iter().collect()
    }

    fn moves(edits: &[Edit]) -> Vec<(f32, f32)> {
        edits
            .iter()
            .map(|edit| match edit {
                Edit::Transform { transform, .. } => (transform.x, transform.y),
                other => panic!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn aligning_left_moves_all_but_the_leftmost() {
        let view = page(&[(1, 0.0, 0.0, 10.0, 10.0, None), (2, 50.0, 5.0, 20.0, 10.0, None)]);
        assert_eq!(moves(&align(&all(&view), Align::Left)), [(0.0, 5.0)]);
        assert_eq!(moves(&align(&all(&view), Align::Right)), [(60.0, 0.0)]);
    }

    #[test]
    fn a_group_is_aligned_as_one_thing() {
        let view =
            page(&[(1, 0.0, 0.0, 10.0, 10.0, None), (2, 50.0, 0.0, 10.0, 10.0, Some(7)), (3, 80.0, 0.0, 10.0, 10.0, Some(7))]);
        assert_eq!(moves(&align(&all(&view), Align::Left)), [(0.0, 0.0), (30.0, 0.0)]);
    }

    #[test]
    fn spreading_makes_the_gaps_equal_and_moves_no_end() {
        let view = page(&[(1, 0.0, 0.0, 10.0, 10.0, None), (2, 12.0, 0.0, 30.0, 10.0, None), (3, 90.0, 0.0, 10.0, 10.0, None)]);
        assert_eq!(moves(&distribute(&all(&view), false)), [(35.0, 0.0)]);
        assert!(distribute(&all(&view)[..2], false).is_empty());
    }

    #[test]
    fn one_step_up_goes_over_the_next_that_touches() {
        let view = page(&[(1, 0.0, 0.0, 10.0, 10.0, None), (2, 500.0, 0.0, 10.0, 10.0, None), (3, 5.0, 5.0, 10.0, 10.0, None)]);
        let lowest = vec![all(&view)[0]];
        let over = ElementId::from_random(3);
        assert_eq!(
            order(&view, &lowest, Order::Forward),
            [Edit::Order { id: ElementId::from_random(1), place: Place::Above(over) }]
        );
        assert!(order(&view, &lowest, Order::Backward).is_empty());
    }
}
