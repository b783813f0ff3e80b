//! Lines before they are triangles: dashes, and as many points as the screen can show.

use conclave_crdt::Point;
use egui::Pos2;

use crate::canvas::pos_of;

/// Most dashes of one line: beyond it, the rest is left out. A line of the largest size with the shortest dashes stays within what a
/// frame can take.
const MAX_PIECES: usize = 4_000;

/// The parts of a line that are drawn.
pub(super) fn pieces(points: &[Pos2], on: f32, off: f32) -> Vec<Vec<Pos2>> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use egui::pos2;

    #[test]
    fn dashes_leave_gaps_and_are_bounded() {
        let dashes = pieces(&[pos2(0.0, 0.0), pos2(100.0, 0.0)], 10.0, 10.0);
        assert_eq!(dashes.len(), 5);
        assert!((dashes[1][0] - pos2(20.0, 0.0)).length() < 1e-3 && (dashes[1][1] - pos2(30.0, 0.0)).length() < 1e-3);
        assert_eq!(pieces(&[pos2(0.0, 0.0), pos2(2e6, 0.0)], 0.1, 4.0).len(), MAX_PIECES);
    }
}
