//! A stroke of the pen on its way: smoothed while it is drawn, thinned out when it is done.

use conclave_crdt::{MAX_POINTS, Point};
use egui::{Pos2, pos2};

/// How much of the way to the pen the line goes with each sample: less is smoother and lags more.
const FOLLOW: f32 = 0.62;
/// Points of the screen below which a sample adds nothing.
const STILL: f32 = 0.6;
/// Points of the screen by which a finished stroke may differ from what was drawn.
const LOSS: f32 = 0.35;

/// A stroke that grows.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Stroke {
    points: Vec<Point>,
    last: Option<(Pos2, f32)>,
}

impl Stroke {
    /// Takes a sample of the pen, `at` on the page. `px` is one point of the screen in px of the page.
    pub fn push(&mut self, at: Pos2, pressure: f32, px: f32) {
        let pressure = if pressure.is_finite() { pressure.clamp(0.0, 1.0) } else { 0.5 };
        let next = match self.last {
            Some((last, force)) => (last + (at - last) * FOLLOW, force + (pressure - force) * FOLLOW),
            None => (at, pressure),
        };
        let far = self.points.last().is_none_or(|last| (pos2(last.x, last.y) - next.0).length() >= STILL * px);
        self.last = Some(next);
        if far && self.points.len() < MAX_POINTS {
            self.points.push(Point { x: next.0.x, y: next.0.y, pressure: next.1 });
        }
    }

    /// The line reaches where the pen was lifted.
    pub fn finish(&mut self, at: Pos2, px: f32) -> Vec<Point> {
        let pressure = self.points.last().map_or(0.5, |last| last.pressure);
        if self.points.last().is_none_or(|last| (pos2(last.x, last.y) - at).length() > STILL * px) {
            self.points.push(Point { x: at.x, y: at.y, pressure });
        }
        if self.points.len() == 1 {
            // A dot is a stroke too.
            self.points.push(Point { x: at.x + 0.125, y: at.y, pressure });
        }
        let mut points = simplify(&self.points, LOSS * px);
        points.truncate(MAX_POINTS);
        points
    }

    pub fn points(&self) -> &[Point] {
        &self.points
    }

    pub fn is_empty(&self) -> bool {
        self.points.is_empty()
    }
}

/// Fewer points, none of the others farther than `tolerance` from the line (Ramer, Douglas and Peucker); pressure counts as much as a
/// tolerance for each tenth.
pub fn simplify(points: &[Point], tolerance: f32) -> Vec<Point> {
    let Some(last) = points.len().checked_sub(1).filter(|last| *last > 1) else { return points.to_vec() };
    let mut keep = vec![false; points.len()];
    let mut spans = vec![(0, last)];
    if let (Some(first), true) = (keep.first_mut(), true) {
        *first = true;
    }
    if let Some(end) = keep.last_mut() {
        *end = true;
    }
    while let Some((from, to)) = spans.pop() {
        let (Some(a), Some(b)) = (points.get(from), points.get(to)) else { continue };
        let mut worst = (0.0, from);
        for (index, point) in points.iter().enumerate().take(to).skip(from + 1) {
            let off = super::hit::to_segment(pos2(point.x, point.y), pos2(a.x, a.y), pos2(b.x, b.y));
            let part = (index - from) as f32 / (to - from) as f32;
            let force = (point.pressure - (a.pressure + (b.pressure - a.pressure) * part)).abs() * 10.0 * tolerance;
            let off = off.max(force);
            if off > worst.0 {
                worst = (off, index);
            }
        }
        if worst.0 > tolerance {
            if let Some(slot) = keep.get_mut(worst.1) {
                *slot = true;
            }
            spans.push((from, worst.1));
            spans.push((worst.1, to));
        }
    }
    points.iter().zip(keep).filter(|(_, keep)| *keep).map(|(point, _)| *point).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wave(count: usize) -> Vec<Point> {
        (0..count).map(|step| step as f32).map(|x| Point::new(x, (x / 20.0).sin() * 40.0)).collect()
    }

    #[test]
    fn a_stroke_of_hundreds_of_samples_needs_tens_of_points_and_stays_where_it_was() {
        let drawn = wave(400);
        let kept = simplify(&drawn, 0.35);
        // A sagitta of 0.35 at these curvatures is about seven px of line a point.
        assert!(kept.len() < 90, "{}", kept.len());
        let line: Vec<Pos2> = kept.iter().map(|point| pos2(point.x, point.y)).collect();
        assert!(drawn.iter().all(|point| super::super::hit::to_line(pos2(point.x, point.y), &line) <= 0.36));
    }

    #[test]
    fn pressure_is_kept_where_the_line_is_straight() {
        let mut points: Vec<Point> = (0..50).map(|step| Point::new(step as f32, 0.0)).collect();
        points[25].pressure = 1.0;
        assert!(simplify(&points, 0.35).iter().any(|point| point.pressure == 1.0));
    }

    #[test]
    fn a_trembling_hand_is_smoothed_and_the_end_is_where_the_pen_was_lifted() {
        let mut stroke = Stroke::default();
        for step in 0..100 {
            stroke.push(pos2(step as f32 * 3.0, if step % 2 == 0 { 3.0 } else { -3.0 }), 0.5, 1.0);
        }
        let swing = stroke.points().iter().skip(5).map(|point| point.y.abs()).fold(0.0, f32::max);
        assert!(swing < 2.0, "{swing}");
        let end = *stroke.finish(pos2(300.0, 0.0), 1.0).last().unwrap();
        assert_eq!((end.x, end.y), (300.0, 0.0));
    }

    #[test]
    fn a_tap_is_a_dot_and_a_bad_pressure_is_none() {
        let mut stroke = Stroke::default();
        stroke.push(pos2(5.0, 5.0), f32::NAN, 1.0);
        let points = stroke.finish(pos2(5.0, 5.0), 1.0);
        assert_eq!(points.len(), 2);
        assert_eq!(points[0].pressure, 0.5);
    }
}
