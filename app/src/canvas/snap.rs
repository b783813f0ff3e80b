//! Snapping: a box that is being moved, resized or drawn is drawn to the edges and middles of others, and the lines that show it.

use egui::{Pos2, Rect, Vec2, pos2, vec2};

/// Points of the screen within which it snaps.
pub const REACH: f32 = 6.0;
/// Most neighbours that are looked at: what is on the screen, nearest first, is enough.
pub const MAX_NEIGHBOURS: usize = 200;

/// A line that shows what something is aligned with, in px of the page.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Guide {
    pub from: Pos2,
    pub to: Pos2,
}

/// Edges of a box that take part: left, middle, right, and top, middle, bottom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sides {
    pub x: [bool; 3],
    pub y: [bool; 3],
}

impl Sides {
    pub const ALL: Self = Self { x: [true; 3], y: [true; 3] };
}

fn lines(rect: Rect) -> [[f32; 3]; 2] {
    [[rect.left(), rect.center().x, rect.right()], [rect.top(), rect.center().y, rect.bottom()]]
}

/// How far to move `rect` so that it lines up, and what with. `reach` is in px of the page.
pub fn snap(rect: Rect, sides: Sides, neighbours: &[Rect], reach: f32) -> (Vec2, Vec<Guide>) {
    let [own_x, own_y] = lines(rect);
    let dx = nearest(&own_x, sides.x, neighbours.iter().map(|other| lines(*other)[0]), reach);
    let dy = nearest(&own_y, sides.y, neighbours.iter().map(|other| lines(*other)[1]), reach);
    let by = vec2(dx.unwrap_or(0.0), dy.unwrap_or(0.0));
    let moved = rect.translate(by);
    let mut guides = Vec::new();
    if dx.is_some() {
        for x in aligned(lines(moved)[0], sides.x, neighbours.iter().map(|other| lines(*other)[0])) {
            let touching = neighbours.iter().filter(|other| lines(**other)[0].iter().any(|line| (line - x).abs() < 0.01));
            let (top, bottom) = touching
                .fold((moved.top(), moved.bottom()), |(top, bottom), other| (top.min(other.top()), bottom.max(other.bottom())));
            guides.push(Guide { from: pos2(x, top), to: pos2(x, bottom) });
        }
    }
    if dy.is_some() {
        for y in aligned(lines(moved)[1], sides.y, neighbours.iter().map(|other| lines(*other)[1])) {
            let touching = neighbours.iter().filter(|other| lines(**other)[1].iter().any(|line| (line - y).abs() < 0.01));
            let (left, right) = touching
                .fold((moved.left(), moved.right()), |(left, right), other| (left.min(other.left()), right.max(other.right())));
            guides.push(Guide { from: pos2(left, y), to: pos2(right, y) });
        }
    }
    (by, guides)
}

fn nearest(own: &[f32; 3], sides: [bool; 3], others: impl Iterator<Item = [f32; 3]>, reach: f32) -> Option<f32> {
    let own: Vec<f32> = own.iter().zip(sides).filter(|(_, on)| *on).map(|(line, _)| *line).collect();
    others
        .flatten()
        .flat_map(|other| own.iter().map(move |line| other - line).collect::<Vec<_>>())
        .filter(|gap| gap.abs() <= reach)
        .min_by(|one, other| one.abs().total_cmp(&other.abs()))
}

/// Which of the moved box's own lines now coincide with a neighbour's.
fn aligned(own: [f32; 3], sides: [bool; 3], others: impl Iterator<Item = [f32; 3]> + Clone) -> Vec<f32> {
    own.into_iter()
        .zip(sides)
        .filter(|(line, on)| *on && others.clone().flatten().any(|other| (other - line).abs() < 0.01))
        .map(|(line, _)| line)
        .collect()
}

/// The nearest crossing of the grid.
pub fn to_grid(at: Pos2, step: f32) -> Pos2 {
    pos2((at.x / step).round() * step, (at.y / step).round() * step)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rect(x: f32, y: f32, w: f32, h: f32) -> Rect {
        Rect::from_min_size(pos2(x, y), vec2(w, h))
    }

    #[test]
    fn a_box_is_drawn_to_the_nearest_line_within_reach_and_no_farther() {
        let others = [rect(100.0, 300.0, 50.0, 50.0)];
        let (by, guides) = snap(rect(104.0, 20.0, 30.0, 30.0), Sides::ALL, &others, 6.0);
        assert_eq!(by, vec2(-4.0, 0.0));
        assert_eq!(guides, [Guide { from: pos2(100.0, 20.0), to: pos2(100.0, 350.0) }]);
        assert_eq!(snap(rect(107.0, 20.0, 10.0, 30.0), Sides::ALL, &others, 2.0), (Vec2::ZERO, vec![]));
    }

    #[test]
    fn middles_meet_middles() {
        let (by, _) = snap(rect(111.0, 0.0, 30.0, 10.0), Sides::ALL, &[rect(100.0, 300.0, 50.0, 50.0)], 6.0);
        assert_eq!(by.x, -1.0);
    }

    #[test]
    fn only_the_sides_that_move_take_part() {
        let right_only = Sides { x: [false, false, true], y: [false; 3] };
        let (by, _) = snap(rect(101.0, 0.0, 46.0, 10.0), right_only, &[rect(100.0, 300.0, 50.0, 50.0)], 6.0);
        assert_eq!(by, vec2(3.0, 0.0));
    }

    #[test]
    fn the_grid_is_met_at_its_crossings() {
        assert_eq!(to_grid(pos2(29.0, -11.0), 20.0), pos2(20.0, -20.0));
    }
}
