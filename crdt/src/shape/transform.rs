//! Where an element stands: its box and how it is turned, and what of it a peer may say.

use serde::{Deserialize, Serialize};

use crate::geometry::{Rect, in_range};

/// Where an element stands: the box it fills before it is turned, in px of the page, y downwards.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Transform {
    /// Left.
    pub x: f32,
    /// Top.
    pub y: f32,
    /// Not negative. Points are stretched to it.
    pub w: f32,
    /// Not negative.
    pub h: f32,
    /// Clockwise about the middle, in radians.
    #[serde(default)]
    pub angle: f32,
}

impl Transform {
    /// Not turned.
    pub fn new(x: f32, y: f32, w: f32, h: f32) -> Self {
        Self { x, y, w, h, angle: 0.0 }
    }

    /// The box before turning.
    pub fn rect(&self) -> Rect {
        Rect::from_size(self.x, self.y, self.w, self.h)
    }

    /// The middle, about which it is turned.
    pub fn center(&self) -> (f32, f32) {
        self.rect().center()
    }

    /// Where a point of the unturned box comes to lie.
    pub fn turn(&self, (x, y): (f32, f32)) -> (f32, f32) {
        turn((x, y), self.center(), self.angle)
    }

    /// Where a point of the page lies in the unturned box.
    pub fn turn_back(&self, point: (f32, f32)) -> (f32, f32) {
        turn(point, self.center(), -self.angle)
    }

    /// The smallest box with sides along the axes around it, turned.
    pub fn bounds(&self) -> Rect {
        let rect = self.rect();
        if self.angle == 0.0 {
            return rect;
        }
        let corners = [(rect.x0, rect.y0), (rect.x1, rect.y0), (rect.x1, rect.y1), (rect.x0, rect.y1)];
        Rect::around(corners.map(|corner| self.turn(corner))).unwrap_or(rect)
    }

    /// Finite and on the page.
    pub(crate) fn is_sound(&self) -> bool {
        let on_page = [self.x, self.y, self.w, self.h].into_iter().all(in_range);
        on_page && self.w >= 0.0 && self.h >= 0.0 && self.angle.is_finite() && self.angle.abs() <= 100.0
    }

    /// Twenty bytes: five 32-bit floats, little endian.
    pub(crate) fn encode(&self) -> Vec<u8> {
        [self.x, self.y, self.w, self.h, self.angle].iter().flat_map(|value| value.to_le_bytes()).collect()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (values, rest) = bytes.as_chunks::<4>();
        let [x, y, w, h, angle] = *values else { return None };
        let [x, y, w, h, angle] = [x, y, w, h, angle].map(f32::from_le_bytes);
        let transform = Self { x, y, w, h, angle };
        (rest.is_empty() && transform.is_sound()).then_some(transform)
    }
}

fn turn((x, y): (f32, f32), (cx, cy): (f32, f32), angle: f32) -> (f32, f32) {
    let (sin, cos) = angle.sin_cos();
    let (dx, dy) = (x - cx, y - cy);
    (cx + dx * cos - dy * sin, cy + dx * sin + dy * cos)
}
