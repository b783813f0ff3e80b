//! The box around what is selected: its handles, and what resizing and turning by them does to elements.

use conclave_crdt::{Edit, Element, Kind, MAX_FONT, Shape, Transform};
use egui::emath::Rot2;
use egui::{Pos2, Rect, Vec2, pos2, vec2};

use super::rect_of;

/// Points of the screen from a handle that still catch it.
pub const HANDLE_REACH: f32 = 8.0;
/// Points of the screen between the box and the handle that turns.
pub const TURN_GAP: f32 = 26.0;
/// Smallest side after resizing, in px.
const SMALLEST: f32 = 1.0;
/// Turning with Shift goes in such steps: 15°.
const TURN_STEP: f32 = core::f32::consts::PI / 12.0;

/// What can be taken hold of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Handle {
    /// A corner or the middle of a side: -1, 0 or 1 from the middle, to the right and downwards.
    Side(i8, i8),
    Turn,
    /// A point of a line or arrow.
    Point(usize),
}

impl Handle {
    /// The eight around a box.
    pub const AROUND: [(i8, i8); 8] = [(-1, -1), (0, -1), (1, -1), (1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0)];
}

/// A box around the selection; turned where it is around one turned element.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Frame {
    pub rect: Rect,
    pub angle: f32,
}

impl Frame {
    /// Around elements; nothing around none.
    pub fn around<'a>(elements: impl IntoIterator<Item = &'a Shape>) -> Option<Self> {
        let mut elements = elements.into_iter().peekable();
        let first = elements.next()?;
        if elements.peek().is_none() {
            return Some(Self { rect: rect_of(&first.transform.rect()), angle: first.transform.angle });
        }
        let rect =
            elements.fold(rect_of(&first.transform.bounds()), |rect, shape| rect.union(rect_of(&shape.transform.bounds())));
        Some(Self { rect, angle: 0.0 })
    }

    /// From the unturned box to the page.
    pub fn turn(&self, at: Pos2) -> Pos2 {
        self.rect.center() + Rot2::from_angle(self.angle) * (at - self.rect.center())
    }

    pub fn turn_back(&self, at: Pos2) -> Pos2 {
        self.rect.center() + Rot2::from_angle(-self.angle) * (at - self.rect.center())
    }

    pub fn corners(&self) -> [Pos2; 4] {
        [self.rect.left_top(), self.rect.right_top(), self.rect.right_bottom(), self.rect.left_bottom()].map(|at| self.turn(at))
    }

    /// Where a handle lies on the page; `px` is one point of the screen in px of the page.
    pub fn handle(&self, handle: Handle, px: f32) -> Pos2 {
        let half = self.rect.size() / 2.0;
        match handle {
            Handle::Side(x, y) => self.turn(self.rect.center() + vec2(f32::from(x) * half.x, f32::from(y) * half.y)),
            Handle::Turn => self.turn(self.rect.center_top() - vec2(0.0, TURN_GAP * px)),
            Handle::Point(_) => self.rect.center(),
        }
    }

    /// The handle at a place. Sides give way to corners, and are left out where the box is too small for both.
    pub fn grab(&self, at: Pos2, px: f32) -> Option<Handle> {
        let reach = HANDLE_REACH * px;
        let hit = |handle| (self.handle(handle, px) - at).length() <= reach;
        if hit(Handle::Turn) {
            return Some(Handle::Turn);
        }
        let corner =
            Handle::AROUND.into_iter().filter(|(x, y)| *x != 0 && *y != 0).map(|(x, y)| Handle::Side(x, y)).find(|h| hit(*h));
        if corner.is_some() {
            return corner;
        }
        let own = self.turn_back(at);
        let near = |a: f32, b: f32| (a - b).abs() <= reach * 0.75;
        let (tall, wide) = (self.rect.height() > 4.0 * reach, self.rect.width() > 4.0 * reach);
        let along_x = wide && own.x > self.rect.left() && own.x < self.rect.right();
        let along_y = tall && own.y > self.rect.top() && own.y < self.rect.bottom();
        if along_y && near(own.x, self.rect.left()) {
            Some(Handle::Side(-1, 0))
        } else if along_y && near(own.x, self.rect.right()) {
            Some(Handle::Side(1, 0))
        } else if along_x && near(own.y, self.rect.top()) {
            Some(Handle::Side(0, -1))
        } else if along_x && near(own.y, self.rect.bottom()) {
            Some(Handle::Side(0, 1))
        } else {
            None
        }
    }
}

/// How a handle is pulled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pull {
    /// Width and height keep their relation.
    pub keep: bool,
    /// The middle stays instead of the opposite side.
    pub middle: bool,
}

/// The scale in both directions, and the place of the unturned box that stays, when a handle is pulled to `to` (in the unturned box).
fn scale(rect: Rect, (x, y): (i8, i8), to: Pos2, pull: Pull) -> (Vec2, Pos2) {
    let half = rect.size() / 2.0;
    let anchor = if pull.middle { rect.center() } else { rect.center() - vec2(f32::from(x) * half.x, f32::from(y) * half.y) };
    let axis = |side: i8, to: f32, anchor: f32, size: f32| {
        let span = if pull.middle { size / 2.0 } else { size } * f32::from(side);
        if side == 0 || span.abs() < 1e-3 { 1.0 } else { (to - anchor) / span }
    };
    let mut factor = vec2(axis(x, to.x, anchor.x, rect.width()), axis(y, to.y, anchor.y, rect.height()));
    if pull.keep {
        let most = if x == 0 {
            factor.y
        } else if y == 0 || factor.x.abs() > factor.y.abs() {
            factor.x
        } else {
            factor.y
        };
        let most = most.abs();
        factor = Vec2::splat(most);
    }
    // Pulled over the other side it stops there: a mirrored text would be no text.
    factor = factor.max(vec2(SMALLEST / rect.width().max(SMALLEST), SMALLEST / rect.height().max(SMALLEST)));
    (factor, anchor)
}

/// Whether an element may only grow in both directions alike.
fn keeps_shape(element: &Shape) -> bool {
    matches!(element.kind, Kind::Text | Kind::Image)
}

/// The shape of an element after its selection's box was pulled by a handle to `to`.
pub fn resize(frame: &Frame, elements: &[&Element], handle: (i8, i8), to: Pos2, mut pull: Pull) -> Vec<Shape> {
    let single = elements.len() == 1;
    let corner = handle.0 != 0 && handle.1 != 0;
    pull.keep |= elements.iter().any(|element| keeps_shape(element) && (corner || !single || element.kind == Kind::Image));
    pull.keep |= !single && elements.iter().any(|element| element.transform.angle != 0.0);
    let (factor, anchor) = scale(frame.rect, handle, frame.turn_back(to), pull);
    elements.iter().map(|element| resized(frame, element, factor, anchor, single)).collect()
}

fn resized(frame: &Frame, element: &Element, factor: Vec2, anchor: Pos2, single: bool) -> Shape {
    let mut shape = element.shape.clone();
    let old = rect_of(&shape.transform.rect());
    let place = |at: Pos2| anchor + (at - anchor) * factor;
    if single {
        let new = Rect::from_two_pos(place(old.min), place(old.max));
        // The box turns about its own middle, which moved: the anchor must stay where it is on the page.
        let center = frame.turn(new.center());
        let rect = Rect::from_center_size(center, new.size());
        shape.transform = Transform { x: rect.left(), y: rect.top(), w: rect.width(), h: rect.height(), ..shape.transform };
    } else {
        let center = place(old.center());
        let size = if shape.transform.angle == 0.0 { old.size() * factor } else { old.size() * factor.x };
        let rect = Rect::from_center_size(center, size);
        shape.transform = Transform { x: rect.left(), y: rect.top(), w: rect.width(), h: rect.height(), ..shape.transform };
    }
    if shape.kind == Kind::Text && (factor.x - factor.y).abs() < 1e-4 {
        shape.style.font_size = (shape.style.font_size * factor.y).clamp(4.0, MAX_FONT);
    }
    shape
}

/// The shapes of elements after the box was turned about its middle by `angle`.
pub fn rotate(frame: &Frame, elements: &[&Element], angle: f32) -> Vec<Shape> {
    let turn = Rot2::from_angle(angle);
    let about = frame.rect.center();
    elements
        .iter()
        .map(|element| {
            let mut shape = element.shape.clone();
            let rect = rect_of(&shape.transform.rect());
            let center = about + turn * (rect.center() - about);
            let moved = Rect::from_center_size(center, rect.size());
            let tau = core::f32::consts::TAU;
            let angle = (shape.transform.angle + angle).rem_euclid(tau);
            let angle = if angle < 1e-4 || tau - angle < 1e-4 { 0.0 } else { angle };
            shape.transform = Transform { x: moved.left(), y: moved.top(), angle, ..shape.transform };
            shape
        })
        .collect()
}

/// By how much the box turns when its upper handle is pulled to `to`; in steps of 15° where `steps`.
pub fn turned(frame: &Frame, to: Pos2, steps: bool) -> f32 {
    let d = to - frame.rect.center();
    if d.length() < 1e-3 {
        return 0.0;
    }
    let angle = d.y.atan2(d.x) + core::f32::consts::FRAC_PI_2;
    let angle = if steps { (angle / TURN_STEP).round() * TURN_STEP } else { angle };
    angle - frame.angle
}

/// An element moved as a whole.
pub fn moved(element: &Element, by: Vec2) -> Shape {
    let mut shape = element.shape.clone();
    shape.transform.x += by.x;
    shape.transform.y += by.y;
    shape
}

/// The edits that turn an element into what a preview shows.
pub fn edits(element: &Element, shape: &Shape) -> Vec<Edit> {
    let mut edits = Vec::new();
    let id = element.id;
    if element.points != shape.points {
        edits.push(Edit::Points { id, points: shape.points.to_vec() });
    }
    if element.transform != shape.transform {
        edits.push(Edit::Transform { id, transform: shape.transform });
    }
    if element.style != shape.style {
        edits.push(Edit::Style { id, style: shape.style });
    }
    for (end, before, after) in
        [(conclave_crdt::End::Start, element.start, shape.start), (conclave_crdt::End::End, element.end, shape.end)]
    {
        if before != after {
            edits.push(Edit::Bind { id, end, to: after });
        }
    }
    if element.frame != shape.frame {
        edits.push(Edit::Frame { id, frame: shape.frame });
    }
    edits
}

/// Where Shift holds the far corner of a box that is drawn: a square.
pub fn square(from: Pos2, to: Pos2) -> Pos2 {
    let d = to - from;
    let side = d.x.abs().max(d.y.abs());
    pos2(from.x + side.copysign(d.x), from.y + side.copysign(d.y))
}

/// Where Shift holds the end of a line: on the nearest multiple of 15°.
pub fn on_ray(from: Pos2, to: Pos2) -> Pos2 {
    let d = to - from;
    let angle = (d.y.atan2(d.x) / TURN_STEP).round() * TURN_STEP;
    from + Rot2::from_angle(angle) * vec2(d.length(), 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use conclave_crdt::{ElementId, OrderKey, Style};

    fn element(x: f32, y: f32, w: f32, h: f32, angle: f32) -> Element {
        let transform = Transform { angle, ..Transform::new(x, y, w, h) };
        Element {
            id: ElementId::from_random(1),
            z: OrderKey::parse("V").unwrap(),
            shape: Shape::new(Kind::Rect, transform, Style::default()),
        }
    }

    #[test]
    fn pulling_a_corner_leaves_the_opposite_one_where_it_is() {
        for angle in [0.0, 0.7, 2.0] {
            let element = element(100.0, 50.0, 200.0, 100.0, angle);
            let frame = Frame::around([&element.shape]).unwrap();
            let before = frame.handle(Handle::Side(-1, -1), 1.0);
            let shape = resize(&frame, &[&element], (1, 1), frame.turn(pos2(400.0, 300.0)), Pull::default()).remove(0);
            let after = Frame::around([&shape]).unwrap();
            assert!((after.handle(Handle::Side(-1, -1), 1.0) - before).length() < 0.01, "{angle}");
            assert!((after.rect.size() - vec2(300.0, 250.0)).length() < 0.01, "{angle}: {:?}", after.rect);
        }
    }

    #[test]
    fn with_alt_the_middle_stays_and_with_shift_the_relation() {
        let element = element(0.0, 0.0, 200.0, 100.0, 0.0);
        let frame = Frame::around([&element.shape]).unwrap();
        let pull = Pull { keep: true, middle: true };
        let shape = resize(&frame, &[&element], (1, 1), pos2(300.0, 60.0), pull).remove(0);
        assert_eq!(rect_of(&shape.transform.rect()), Rect::from_center_size(pos2(100.0, 50.0), vec2(400.0, 200.0)));
    }

    #[test]
    fn a_box_pulled_over_its_other_side_stops_there() {
        let element = element(0.0, 0.0, 200.0, 100.0, 0.0);
        let frame = Frame::around([&element.shape]).unwrap();
        let shape = resize(&frame, &[&element], (1, 0), pos2(-500.0, 0.0), Pull::default()).remove(0);
        assert!((shape.transform.w - SMALLEST).abs() < 1e-3 && shape.transform.h == 100.0);
    }

    #[test]
    fn two_scale_together() {
        let (one, other) = (element(0.0, 0.0, 10.0, 10.0, 0.0), element(90.0, 90.0, 10.0, 10.0, 0.0));
        let frame = Frame::around([&one.shape, &other.shape]).unwrap();
        let shapes = resize(&frame, &[&one, &other], (1, 1), pos2(200.0, 200.0), Pull::default());
        assert_eq!(rect_of(&shapes[1].transform.rect()), Rect::from_min_size(pos2(180.0, 180.0), vec2(20.0, 20.0)));
    }

    #[test]
    fn turning_goes_about_the_middle_and_in_steps_with_shift() {
        let element = element(0.0, 0.0, 100.0, 100.0, 0.0);
        let frame = Frame::around([&element.shape]).unwrap();
        let quarter = turned(&frame, pos2(400.0, 52.0), true);
        assert!((quarter - core::f32::consts::FRAC_PI_2).abs() < 1e-5);
        let shape = rotate(&frame, &[&element], quarter).remove(0);
        assert_eq!(shape.transform.center(), (50.0, 50.0));
        assert_eq!(rotate(&frame, &[&element], core::f32::consts::TAU).remove(0).transform.angle, 0.0);
    }

    #[test]
    fn handles_are_caught_where_they_are_drawn() {
        let element = element(0.0, 0.0, 100.0, 60.0, 0.5);
        let frame = Frame::around([&element.shape]).unwrap();
        for (x, y) in Handle::AROUND {
            let handle = Handle::Side(x, y);
            assert_eq!(frame.grab(frame.handle(handle, 1.0), 1.0), Some(handle));
        }
        assert_eq!(frame.grab(frame.handle(Handle::Turn, 1.0), 1.0), Some(Handle::Turn));
        assert_eq!(frame.grab(pos2(50.0, 30.0), 1.0), None);
    }

    #[test]
    fn shift_makes_squares_and_fifteen_degrees() {
        assert_eq!(square(pos2(0.0, 0.0), pos2(-30.0, 10.0)), pos2(-30.0, 30.0));
        let ray = on_ray(pos2(0.0, 0.0), pos2(100.0, 4.0));
        assert!(ray.y.abs() < 1e-3 && (ray.x - 100.08).abs() < 0.01);
    }
}
