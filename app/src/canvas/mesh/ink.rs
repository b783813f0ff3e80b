//! Triangles with soft edges: fills, lines of changing width, caps and dots.

use conclave_crdt::Dash;
use egui::epaint::{Vertex, WHITE_UV};
use egui::{Color32, Mesh, Pos2, Vec2};

use super::path::pieces;

/// Builds triangles.
pub struct Ink {
    pub mesh: Mesh,
    /// One point of the screen, in px of the page.
    pub(super) px: f32,
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
