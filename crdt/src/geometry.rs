//! Points of strokes, lines and arrows: how they are packed into one immutable value, and the boxes they fill. It must take any bytes and
//! answer with points that are finite and few.

use serde::{Deserialize, Serialize};

/// Most points of one element.
pub const MAX_POINTS: usize = 10_000;
/// Longest packed geometry, in bytes.
pub const MAX_GEOMETRY: usize = 32 * 1024;
/// Farthest any coordinate lies from the origin of its page, in px.
pub const MAX_COORDINATE: f32 = 1_000_000.0;
/// Steps of a packed coordinate in one px.
const STEPS: f32 = 8.0;
const HAS_PRESSURE: u8 = 1;

/// A point, in px from the top left of its element, before scaling and turning.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// To the right.
    pub x: f32,
    /// Downwards.
    pub y: f32,
    /// How hard the pen was pressed, 0 to 1; 0.5 where that is not known.
    #[serde(default = "half", skip_serializing_if = "is_half")]
    pub pressure: f32,
}

impl Point {
    /// Without pressure.
    pub fn new(x: f32, y: f32) -> Self {
        Self { x, y, pressure: 0.5 }
    }
}

fn half() -> f32 {
    0.5
}

#[allow(clippy::trivially_copy_pass_by_ref)] // Called by serde.
fn is_half(pressure: &f32) -> bool {
    *pressure == 0.5
}

/// A box with sides along the axes, in px.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Rect {
    /// Left.
    pub x0: f32,
    /// Top.
    pub y0: f32,
    /// Right, not less than `x0`.
    pub x1: f32,
    /// Bottom, not less than `y0`.
    pub y1: f32,
}

impl Rect {
    /// From a corner and a size, either of which may be negative.
    pub fn from_size(x: f32, y: f32, w: f32, h: f32) -> Self {
        Self { x0: x.min(x + w), y0: y.min(y + h), x1: x.max(x + w), y1: y.max(y + h) }
    }

    /// The smallest around points; `None` around none.
    pub fn around(points: impl IntoIterator<Item = (f32, f32)>) -> Option<Self> {
        points.into_iter().fold(None, |rect, (x, y)| {
            let point = Self { x0: x, y0: y, x1: x, y1: y };
            Some(rect.map_or(point, |rect: Self| rect.union(&point)))
        })
    }

    /// The smallest around both.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        Self { x0: self.x0.min(other.x0), y0: self.y0.min(other.y0), x1: self.x1.max(other.x1), y1: self.y1.max(other.y1) }
    }

    /// Larger by so many px on every side.
    #[must_use]
    pub fn grow(&self, by: f32) -> Self {
        Self { x0: self.x0 - by, y0: self.y0 - by, x1: self.x1 + by, y1: self.y1 + by }
    }

    /// They share a point.
    pub fn touches(&self, other: &Self) -> bool {
        self.x0 <= other.x1 && other.x0 <= self.x1 && self.y0 <= other.y1 && other.y0 <= self.y1
    }

    /// The other lies wholly inside.
    pub fn holds(&self, other: &Self) -> bool {
        self.x0 <= other.x0 && self.y0 <= other.y0 && self.x1 >= other.x1 && self.y1 >= other.y1
    }

    /// From left to right.
    pub fn width(&self) -> f32 {
        self.x1 - self.x0
    }

    /// From top to bottom.
    pub fn height(&self) -> f32 {
        self.y1 - self.y0
    }

    /// The middle.
    pub fn center(&self) -> (f32, f32) {
        ((self.x0 + self.x1) / 2.0, (self.y0 + self.y1) / 2.0)
    }
}

/// Geometry that cannot be packed or read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GeometryError {
    /// Over [`MAX_POINTS`] or [`MAX_GEOMETRY`].
    #[error("too many points")]
    TooLarge,
    /// Not a number, or farther out than [`MAX_COORDINATE`].
    #[error("a point lies outside the page")]
    OutOfRange,
    /// Not the bytes that packing makes.
    #[error("the points cannot be read")]
    Malformed,
}

/// Packs points: a byte of flags (1: with pressure), the count, then a column each of x, y and pressure as differences to the one before,
/// zigzag in LEB128; coordinates in eighths of a px, pressure in 255ths.
pub fn pack(points: &[Point]) -> Result<Vec<u8>, GeometryError> {
    if points.len() > MAX_POINTS {
        return Err(GeometryError::TooLarge);
    }
    if points.iter().any(|point| !in_range(point.x) || !in_range(point.y) || !(0.0..=1.0).contains(&point.pressure)) {
        return Err(GeometryError::OutOfRange);
    }
    let with_pressure = points.iter().any(|point| (point.pressure - 0.5).abs() > 1.0 / 255.0);
    let mut out = vec![if with_pressure { HAS_PRESSURE } else { 0 }];
    put_varint(&mut out, points.len() as u64);
    column(&mut out, points.iter().map(|point| steps(point.x)));
    column(&mut out, points.iter().map(|point| steps(point.y)));
    if with_pressure {
        column(&mut out, points.iter().map(|point| (point.pressure * 255.0).round() as i64));
    }
    if out.len() > MAX_GEOMETRY { Err(GeometryError::TooLarge) } else { Ok(out) }
}

/// Reads packed points. Every byte is accounted for, every coordinate finite and in range.
pub fn unpack(bytes: &[u8]) -> Result<Vec<Point>, GeometryError> {
    if bytes.len() > MAX_GEOMETRY {
        return Err(GeometryError::TooLarge);
    }
    let (flags, mut rest) = bytes.split_first().ok_or(GeometryError::Malformed)?;
    if *flags > HAS_PRESSURE {
        return Err(GeometryError::Malformed);
    }
    let count = usize::try_from(take_varint(&mut rest)?).map_err(|_| GeometryError::TooLarge)?;
    // A point takes two bytes at least, so the count cannot make us reserve more than the bytes are worth.
    if count > MAX_POINTS || count > rest.len() {
        return Err(GeometryError::TooLarge);
    }
    let limit = (MAX_COORDINATE * STEPS) as i64;
    let xs = take_column(&mut rest, count, -limit..=limit)?;
    let ys = take_column(&mut rest, count, -limit..=limit)?;
    let pressures = if flags & HAS_PRESSURE != 0 { Some(take_column(&mut rest, count, 0..=255)?) } else { None };
    if !rest.is_empty() {
        return Err(GeometryError::Malformed);
    }
    let mut points: Vec<Point> = xs.iter().zip(&ys).map(|(x, y)| Point::new(*x as f32 / STEPS, *y as f32 / STEPS)).collect();
    for (point, pressure) in points.iter_mut().zip(pressures.iter().flatten()) {
        point.pressure = *pressure as f32 / 255.0;
    }
    Ok(points)
}

/// Finite and on the page.
pub(crate) fn in_range(value: f32) -> bool {
    value.is_finite() && value.abs() <= MAX_COORDINATE
}

fn steps(value: f32) -> i64 {
    (value * STEPS).round() as i64
}

fn column(out: &mut Vec<u8>, values: impl Iterator<Item = i64>) {
    let mut last = 0;
    for value in values {
        let delta = value - last;
        put_varint(out, ((delta << 1) ^ (delta >> 63)) as u64);
        last = value;
    }
}

fn take_column(rest: &mut &[u8], count: usize, range: core::ops::RangeInclusive<i64>) -> Result<Vec<i64>, GeometryError> {
    let mut values = Vec::with_capacity(count);
    let mut last = 0i64;
    for _ in 0..count {
        let raw = take_varint(rest)?;
        let delta = (raw >> 1) as i64 ^ -((raw & 1) as i64);
        last = last.checked_add(delta).filter(|value| range.contains(value)).ok_or(GeometryError::OutOfRange)?;
        values.push(last);
    }
    Ok(values)
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// The shortest form alone: what can be written in two ways could be signed in two ways.
fn take_varint(rest: &mut &[u8]) -> Result<u64, GeometryError> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (byte, after) = rest.split_first().ok_or(GeometryError::Malformed)?;
        *rest = after;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            let shortest = shift == 0 || *byte != 0;
            return if shortest { Ok(value) } else { Err(GeometryError::Malformed) };
        }
    }
    Err(GeometryError::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_come_back_to_an_eighth_of_a_pixel() {
        let points: Vec<Point> = (0..60)
            .map(|step| {
                let t = step as f32 / 10.0;
                Point { x: t * 31.7, y: (t * 2.0).sin() * 80.0, pressure: 0.3 + t.cos().abs() * 0.5 }
            })
            .collect();
        let packed = pack(&points).unwrap();
        assert!(packed.len() < 60 * 4, "{}", packed.len());
        for (before, after) in points.iter().zip(unpack(&packed).unwrap()) {
            assert!((before.x - after.x).abs() <= 0.0626 && (before.y - after.y).abs() <= 0.0626);
            assert!((before.pressure - after.pressure).abs() <= 0.002);
        }
    }

    #[test]
    fn what_is_not_finite_or_off_the_page_is_refused() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 2e6] {
            assert_eq!(pack(&[Point::new(bad, 0.0)]), Err(GeometryError::OutOfRange));
        }
        assert_eq!(pack(&vec![Point::new(0.0, 0.0); MAX_POINTS + 1]), Err(GeometryError::TooLarge));
    }

    #[test]
    fn bytes_that_promise_more_than_they_hold_are_refused() {
        assert_eq!(unpack(&[]), Err(GeometryError::Malformed));
        assert_eq!(unpack(&[0, 0xff, 0xff, 0xff, 0xff, 0x0f]), Err(GeometryError::TooLarge));
        assert_eq!(unpack(&[0, 1, 0]), Err(GeometryError::Malformed));
        assert_eq!(unpack(&[0, 1, 0, 0, 9]), Err(GeometryError::Malformed));
        assert_eq!(unpack(&[2, 0]), Err(GeometryError::Malformed));
        // The same number in a longer form.
        assert_eq!(unpack(&[0, 0x81, 0x00, 0, 0]), Err(GeometryError::Malformed));
        // Sums that overflow.
        let mut sums = vec![0, 2];
        for _ in 0..4 {
            put_varint(&mut sums, u64::MAX - 1);
        }
        assert_eq!(unpack(&sums), Err(GeometryError::OutOfRange));
    }
}
