//! What is shown of others while they draw, and what is told them: at most one message each 50 ms, and none while nothing moves.

use std::collections::BTreeMap;
use std::sync::Arc;

use conclave_crdt::{Element, ElementId, Kind, MAX_POINTS, OrderKey, PageDelta, PageId, Point, Shape, Style, Transform};
use conclave_node::view::{BoardLiveView, InkView};
use egui::{Pos2, Rect, Vec2, pos2, vec2};

use super::machine::Machine;
use super::rect_of;

/// Between two messages.
pub const APART_MS: u64 = 50;
/// The way of a laser is seen so long.
pub const TRAIL_MS: u64 = 900;
/// Somebody of whom nothing was heard for so long is no longer shown.
const GONE_MS: u64 = 60_000;
/// A stroke of which nothing was heard for so long was given up.
const ABANDONED_MS: u64 = 5_000;
/// Strokes of one person that are shown before they are done. A pen has one; a few may be on their way.
const MAX_INKS: usize = 4;
/// Points of a laser's way that are kept.
const MAX_TRAIL: usize = 64;

/// Above everything: what is drawn just now.
pub fn top() -> Option<OrderKey> {
    OrderKey::parse("zzzzzzzzzzzzzzzz")
}

/// What somebody else is doing on the board.
#[derive(Debug, Clone, Default)]
pub struct Other {
    pub page: Option<PageId>,
    pub cursor: Option<Pos2>,
    /// Where the laser was, and when it was told.
    pub trail: Vec<(Pos2, u64)>,
    pub selection: Vec<ElementId>,
    pub viewport: Option<Rect>,
    inks: BTreeMap<ElementId, Ink>,
    seen_ms: u64,
}

#[derive(Debug, Clone)]
struct Ink {
    kind: Kind,
    style: Style,
    points: Vec<Point>,
    heard_ms: u64,
}

impl Other {
    /// Takes what they told. The answer is the element that they are drawing, as it now looks.
    pub fn hear(&mut self, live: BoardLiveView, now_ms: u64) -> Option<Arc<Element>> {
        self.seen_ms = now_ms;
        self.page = Some(live.page);
        self.cursor = live.cursor.map(|(x, y)| pos2(x, y));
        self.selection = live.selection;
        self.viewport = live.viewport.map(|[x, y, w, h]| Rect::from_min_size(pos2(x, y), vec2(w, h)));
        if let Some(at) = self.cursor.filter(|_| live.laser) {
            self.trail.push((at, now_ms));
            if self.trail.len() > MAX_TRAIL {
                self.trail.remove(0);
            }
        }
        let told = live.ink?;
        if !self.inks.contains_key(&told.element) && self.inks.len() >= MAX_INKS {
            self.inks.pop_first();
        }
        let ink = self.inks.entry(told.element).or_insert_with(|| Ink {
            kind: told.kind,
            style: Style::default(),
            points: Vec::new(),
            heard_ms: now_ms,
        });
        ink.heard_ms = now_ms;
        if let Some(style) = told.style {
            ink.style = style;
        }
        // A message that was lost leaves a straight piece, not a hole in the numbering.
        ink.points.truncate(told.from as usize);
        let room = MAX_POINTS.saturating_sub(ink.points.len());
        ink.points.extend(told.points.into_iter().take(room));
        let shape = shape_of(ink)?;
        Some(Arc::new(Element { id: told.element, z: top()?, shape }))
    }

    /// The page says it now.
    pub fn settled(&mut self, delta: &PageDelta) {
        self.inks.retain(|id, _| !delta.changed.iter().any(|element| element.id == *id) && !delta.removed.contains(id));
    }

    /// Forgets strokes that were given up, and the way of a laser that went out. The answer is what is to be taken off the page.
    pub fn expire(&mut self, now_ms: u64) -> Vec<ElementId> {
        self.trail.retain(|(_, at)| now_ms.saturating_sub(*at) < TRAIL_MS);
        let gone: Vec<ElementId> =
            self.inks.iter().filter(|(_, ink)| now_ms.saturating_sub(ink.heard_ms) >= ABANDONED_MS).map(|(id, _)| *id).collect();
        for id in &gone {
            self.inks.remove(id);
        }
        if now_ms.saturating_sub(self.seen_ms) >= GONE_MS {
            self.cursor = None;
        }
        gone
    }

    /// When [`Self::expire`] will next have something to do, in UTC milliseconds.
    pub fn next_expiry_ms(&self) -> Option<u64> {
        let inks = self.inks.values().map(|ink| ink.heard_ms + ABANDONED_MS).min();
        let cursor = self.cursor.map(|_| self.seen_ms + GONE_MS);
        [inks, cursor].into_iter().flatten().min()
    }
}

/// A stroke as an element; a shape that is being drawn is told by two corners.
fn shape_of(ink: &Ink) -> Option<Shape> {
    if ink.kind.has_points() {
        return (!ink.points.is_empty()).then(|| Shape::through(ink.kind, &ink.points, ink.style));
    }
    let (Some(a), Some(b)) = (ink.points.first(), ink.points.last()) else { return None };
    let rect = Rect::from_two_pos(pos2(a.x, a.y), pos2(b.x, b.y));
    Some(Shape::new(ink.kind, Transform::new(rect.left(), rect.top(), rect.width(), rect.height()), ink.style))
}

/// What was last told the others.
#[derive(Debug, Clone, Default)]
pub struct Telling {
    last: Option<BoardLiveView>,
    told_ms: u64,
    ink: Option<(ElementId, usize)>,
}

impl Telling {
    /// What is to be told now, if anything changed and the last message is long enough ago.
    pub fn poll(&mut self, page: PageId, machine: &Machine, now_ms: u64) -> Option<BoardLiveView> {
        let cursor = machine.laser.or(machine.pointer);
        let drawing = machine.drawing();
        let seen = machine.camera.visible();
        let mut live = BoardLiveView {
            page,
            cursor: cursor.map(|at| (at.x.round(), at.y.round())),
            laser: machine.laser.is_some(),
            selection: machine.selection.iter().copied().take(64).collect(),
            viewport: Some([seen.left(), seen.top(), seen.width(), seen.height()].map(f32::round)),
            ink: None,
        };
        let same = self.last.as_ref() == Some(&live);
        let ended = self.ink.is_some_and(|(id, _)| drawing.is_none_or(|(now, _)| now != id));
        if same && drawing.is_none() && !ended {
            return None;
        }
        // Nobody heard anything yet, and there is nothing but a page that lies still.
        if self.last.is_none() && live.cursor.is_none() && drawing.is_none() {
            return None;
        }
        if now_ms.saturating_sub(self.told_ms) < APART_MS {
            return None;
        }
        let plain = live.clone();
        live.ink = self.ink(drawing, ended);
        if live.ink.is_none() && same {
            return None;
        }
        self.last = Some(plain);
        self.told_ms = now_ms;
        Some(live)
    }

    fn ink(&mut self, drawing: Option<(ElementId, &Shape)>, ended: bool) -> Option<InkView> {
        let Some((element, shape)) = drawing else {
            let (element, from) = self.ink.take().filter(|_| ended)?;
            return Some(InkView { element, kind: Kind::Pen, style: None, from: from as u32, points: Vec::new(), done: true });
        };
        let first = self.ink.is_none_or(|(id, _)| id != element);
        let sent = if first { 0 } else { self.ink.map_or(0, |(_, sent)| sent) };
        let style = first.then_some(shape.style);
        let rect = rect_of(&shape.transform.rect());
        let (from, points) = if shape.kind == Kind::Pen {
            // The smoothed points do not change any more: only the new ones are told.
            let all = shape.page_points();
            let from = sent.min(all.len());
            (from, all.into_iter().skip(from).take(256).collect::<Vec<_>>())
        } else if shape.kind.has_points() {
            (0, shape.page_points())
        } else {
            (0, [rect.min, rect.max].map(|at| Point::new(at.x, at.y)).to_vec())
        };
        if points.is_empty() && !first {
            return None;
        }
        self.ink = Some((element, from + points.len()));
        Some(InkView { element, kind: shape.kind, style, from: from as u32, points, done: false })
    }

    /// When there will be something to tell, in UTC milliseconds, given that something changed.
    pub fn next_ms(&self) -> u64 {
        self.told_ms + APART_MS
    }
}

/// The camera that sees what somebody else sees.
pub fn fit(viewport: Rect, into: Vec2) -> (Pos2, f32) {
    let size = viewport.size().max(Vec2::splat(1.0));
    (viewport.center(), (into.x / size.x).min(into.y / size.y))
}
