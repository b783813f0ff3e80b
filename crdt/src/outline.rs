//! Where a line crosses the outline of a shape: what an arrow that holds on to it stops at.

use crate::shape::{Element, Kind};

/// Px between the outline and the end of an arrow.
const GAP: f32 = 4.0;

/// Where the way from one point to another, which lies in or on the shape, first meets its outline; a little before it. `None` where it
/// begins inside, or the shape has no extent.
pub(crate) fn crossing(target: &Element, from: (f32, f32), to: (f32, f32)) -> Option<(f32, f32)> {
    let transform = target.transform;
    let (center_x, center_y) = transform.center();
    let (half_w, half_h) = (transform.w / 2.0 + GAP, transform.h / 2.0 + GAP);
    let local = |point| {
        let (x, y) = transform.turn_back(point);
        ((x - center_x) / half_w, (y - center_y) / half_h)
    };
    let (a, b) = (local(from), local(to));
    let d = (b.0 - a.0, b.1 - a.1);
    let enters = match target.kind {
        Kind::Ellipse => into_circle(a, d),
        Kind::Diamond => into_diamond(a, d),
        _ => into_square(a, d),
    };
    let t = enters.filter(|t| t.is_finite() && (0.0..=1.0).contains(t))?;
    Some((from.0 + (to.0 - from.0) * t, from.1 + (to.1 - from.1) * t))
}

fn into_circle(a: (f32, f32), d: (f32, f32)) -> Option<f32> {
    let (square, half, rest) = (d.0 * d.0 + d.1 * d.1, a.0 * d.0 + a.1 * d.1, a.0 * a.0 + a.1 * a.1 - 1.0);
    let root = half * half - square * rest;
    (rest > 0.0 && root >= 0.0 && square > 0.0).then(|| (-half - root.sqrt()) / square)
}

fn into_square(a: (f32, f32), d: (f32, f32)) -> Option<f32> {
    into_slabs([(a.0, d.0), (a.1, d.1)])
}

/// A diamond is a square that stands on a corner.
fn into_diamond(a: (f32, f32), d: (f32, f32)) -> Option<f32> {
    into_slabs([(a.0 + a.1, d.0 + d.1), (a.0 - a.1, d.0 - d.1)])
}

/// Where a line enters what lies between -1 and 1 on both axes.
fn into_slabs(axes: [(f32, f32); 2]) -> Option<f32> {
    let (mut enter, mut leave) = (f32::NEG_INFINITY, f32::INFINITY);
    for (start, step) in axes {
        if step == 0.0 {
            if start.abs() > 1.0 {
                return None;
            }
            continue;
        }
        let (one, other) = ((-1.0 - start) / step, (1.0 - start) / step);
        enter = enter.max(one.min(other));
        leave = leave.min(one.max(other));
    }
    (enter >= 0.0 && enter <= leave).then_some(enter)
}
