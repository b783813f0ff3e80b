//! What the tools do: pointer and keys in, edits and previews out. It holds what one person is doing on one page and nothing that lasts;
//! what lasts is asked for as [`Output::Edit`], and shown as a preview until the page says it.

mod drag;
mod lines;
mod press;
mod release;
mod text;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use conclave_crdt::{Edit, Element, ElementId, GroupId, PageDelta, PageView, Shape, Style};
use egui::{Pos2, Rect, Vec2};

use super::camera::Camera;
use super::selection::{Frame, Handle};
use super::snap::Guide;
use super::stroke::Stroke;
use super::tool::Tool;

pub use text::Editing;

/// Height of a line of text, in font sizes.
pub const fn text_line() -> f32 {
    text::LINE
}

/// Points of the screen that the pointer must move before a click is a drag.
const DRAG: f32 = 3.0;
/// Px between lines of the grid.
pub const GRID: f32 = 20.0;

/// The pointer as the window saw it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pointer {
    /// On the screen.
    pub at: Pos2,
    /// 0 to 1; 0.5 where it is not known.
    pub pressure: f32,
    pub shift: bool,
    pub alt: bool,
    pub ctrl: bool,
}

impl Pointer {
    pub fn at(at: Pos2) -> Self {
        Self { at, pressure: 0.5, shift: false, alt: false, ctrl: false }
    }
}

/// Which button.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Button {
    Primary,
    /// Moves the page whatever the tool.
    Middle,
    Secondary,
}

/// What happened to the pointer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Input {
    /// `hand` while Space is held: the page is moved whatever the tool.
    Press {
        pointer: Pointer,
        button: Button,
        double: bool,
        hand: bool,
    },
    /// With or without a button held: the machine knows.
    Move(Pointer),
    Release(Pointer),
    /// Escape, or the pointer is gone: what was begun is dropped.
    Cancel,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// A step; steps of one gesture other than 0 are undone together.
    Edit { edits: Vec<Edit>, gesture: u64 },
}

/// What the pointer is doing.
#[derive(Debug, Clone, PartialEq)]
enum Gesture {
    None,
    Pan {
        last: Pos2,
    },
    Marquee {
        from: Pos2,
        before: BTreeSet<ElementId>,
    },
    /// Screen position of the press; `copy` with Alt.
    Move {
        from: Pos2,
        ids: Vec<ElementId>,
        moved: bool,
        click: Option<ElementId>,
    },
    Resize {
        frame: Frame,
        side: (i8, i8),
        ids: Vec<ElementId>,
    },
    Turn {
        frame: Frame,
        ids: Vec<ElementId>,
    },
    Point {
        id: ElementId,
        index: usize,
    },
    Draw {
        id: ElementId,
        tool: Tool,
        from: Pos2,
    },
    Stroke {
        id: ElementId,
        stroke: Stroke,
    },
    Line {
        id: ElementId,
        tool: Tool,
        points: Vec<Pos2>,
        pressed_at: Pos2,
        clicking: bool,
    },
    Erase {
        last: Pos2,
    },
    Laser,
}

/// A shape that stands in for what the page says, until the page says it.
#[derive(Debug, Clone, PartialEq)]
pub struct Preview {
    pub shape: Shape,
    /// It was asked for; the answer takes it away.
    pub sent: bool,
}

/// A stream of names for elements: not secret, but never the same twice (splitmix64).
#[derive(Debug, Clone)]
pub struct Ids(u64);

impl Ids {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn random(&mut self) -> u128 {
        u128::from(self.bits()) << 64 | u128::from(self.bits())
    }

    pub fn element(&mut self) -> ElementId {
        ElementId::from_random(self.random())
    }

    pub fn group(&mut self) -> GroupId {
        GroupId::from_random(self.random())
    }
}

/// What one person is doing on a page.
#[derive(Debug, Clone)]
pub struct Machine {
    pub camera: Camera,
    pub tool: Tool,
    /// The tool stays after it was used.
    pub keep_tool: bool,
    /// How the next element looks.
    pub brush: Style,
    pub selection: BTreeSet<ElementId>,
    /// The group within which single elements are selected.
    inside: Option<GroupId>,
    pub grid: bool,
    pub snap: bool,
    pub can_edit: bool,
    pub previews: BTreeMap<ElementId, Preview>,
    /// Elements under the eraser.
    pub erasing: BTreeSet<ElementId>,
    pub guides: Vec<Guide>,
    pub marquee: Option<Rect>,
    /// What the end of an arrow would catch.
    pub catching: Option<ElementId>,
    pub editing: Option<Editing>,
    /// Where the laser is, on the page.
    pub laser: Option<Pos2>,
    /// Where the pointer is, on the page.
    pub pointer: Option<Pos2>,
    gesture: Gesture,
    ids: Ids,
    /// Steps that were asked for and not answered yet.
    in_flight: u32,
    /// Goes up whenever previews change.
    pub revision: u64,
}

impl Machine {
    pub fn new(seed: u64) -> Self {
        Self {
            camera: Camera::default(),
            tool: Tool::Select,
            keep_tool: false,
            brush: Style { round: true, ..Style::default() },
            selection: BTreeSet::new(),
            inside: None,
            grid: false,
            snap: true,
            can_edit: true,
            previews: BTreeMap::new(),
            erasing: BTreeSet::new(),
            guides: Vec::new(),
            marquee: None,
            catching: None,
            editing: None,
            laser: None,
            pointer: None,
            gesture: Gesture::None,
            ids: Ids::new(seed),
            in_flight: 0,
            revision: 0,
        }
    }

    /// Takes what the pointer did. `view` is the page as it is.
    pub fn handle(&mut self, input: Input, view: &PageView) -> Vec<Output> {
        match input {
            Input::Press { pointer, button, double, hand } => self.press(pointer, button, double, hand, view),
            Input::Move(pointer) => {
                self.pointer = Some(self.camera.to_page(pointer.at));
                self.drag(pointer, view);
                Vec::new()
            }
            Input::Release(pointer) => self.release(pointer, view),
            Input::Cancel => {
                self.cancel();
                Vec::new()
            }
        }
    }

    /// One point of the screen in px of the page.
    pub fn px(&self) -> f32 {
        1.0 / self.camera.zoom
    }

    /// Something is being drawn or moved.
    pub fn is_busy(&self) -> bool {
        !matches!(self.gesture, Gesture::None)
    }

    /// The stroke, line or shape that is being drawn here, for others to see before it is done.
    pub fn drawing(&self) -> Option<(ElementId, &Shape)> {
        let id = match &self.gesture {
            Gesture::Draw { id, .. } | Gesture::Stroke { id, .. } | Gesture::Line { id, .. } => *id,
            _ => return None,
        };
        self.previews.get(&id).map(|preview| (id, &preview.shape))
    }

    /// Which tool the pointer has now.
    pub fn set_tool(&mut self, tool: Tool) {
        if tool.edits() && !self.can_edit {
            return;
        }
        self.cancel();
        if tool != Tool::Select {
            self.selection.clear();
            self.inside = None;
        }
        self.tool = tool;
    }

    /// Lets go of what was begun, and of nothing that was asked for.
    pub fn cancel(&mut self) {
        self.gesture = Gesture::None;
        self.previews.retain(|_, preview| preview.sent);
        self.erasing.clear();
        self.guides.clear();
        self.marquee = None;
        self.catching = None;
        self.laser = None;
        self.revision += 1;
    }

    /// Another page, or none of what was selected is there any more.
    pub fn forget_page(&mut self) {
        self.cancel();
        self.previews.clear();
        self.selection.clear();
        self.inside = None;
        self.editing = None;
    }

    /// The page changed: what it says now need not be previewed any longer.
    pub fn page_changed(&mut self, delta: &PageDelta) {
        for id in delta.changed.iter().map(|element| element.id).chain(delta.removed.iter().copied()) {
            if self.previews.get(&id).is_some_and(|preview| preview.sent) {
                self.previews.remove(&id);
                self.revision += 1;
            }
        }
        for id in &delta.removed {
            self.selection.remove(id);
            self.erasing.remove(id);
            if self.editing.as_ref().is_some_and(|editing| editing.id == *id) {
                self.editing = None;
            }
        }
        self.text_changed(delta);
    }

    /// A step was asked for.
    pub fn asked(&mut self) {
        self.in_flight += 1;
    }

    /// An answer came, good or bad. After the last of them the page speaks for itself.
    pub fn answered(&mut self, view: &PageView) {
        self.in_flight = self.in_flight.saturating_sub(1);
        if self.in_flight == 0 {
            self.previews.retain(|_, preview| !preview.sent);
            self.revision += 1;
            self.catch_up(view);
        }
    }

    /// The selected elements as they are shown, the lowest first.
    pub fn shown<'v>(&'v self, view: &'v PageView) -> Vec<&'v Shape> {
        self.selection
            .iter()
            .filter_map(|id| {
                self.previews.get(id).map(|preview| &preview.shape).or_else(|| view.get(id).map(|element| &element.shape))
            })
            .collect()
    }

    /// The box around the selection as it is shown.
    pub fn frame(&self, view: &PageView) -> Option<Frame> {
        Frame::around(self.shown(view))
    }

    /// The only selected element, where it is a line or arrow that is shaped by its points.
    pub fn single_line<'v>(&self, view: &'v PageView) -> Option<&'v Arc<Element>> {
        let mut ids = self.selection.iter();
        let (Some(id), None) = (ids.next(), ids.next()) else { return None };
        view.get(id).filter(|element| matches!(element.kind, conclave_crdt::Kind::Line | conclave_crdt::Kind::Arrow))
    }

    /// What a handle of the selection is at a place on the page, if any.
    pub fn handle_at(&self, at: Pos2, view: &PageView) -> Option<Handle> {
        if self.tool != Tool::Select || !self.can_edit || self.selection.is_empty() {
            return None;
        }
        if self.shown(view).iter().any(|shape| shape.locked) {
            return None;
        }
        if let Some(line) = self.single_line(view) {
            let reach = super::selection::HANDLE_REACH * self.px();
            let points = view.points(line);
            return points.iter().position(|point| (super::pos_of(point) - at).length() <= reach).map(Handle::Point);
        }
        self.frame(view)?.grab(at, self.px())
    }

    /// Selects these, with the groups they belong to.
    pub fn select(&mut self, ids: impl IntoIterator<Item = ElementId>, view: &PageView) {
        self.selection = self.with_groups(ids, view);
    }

    fn with_groups(&self, ids: impl IntoIterator<Item = ElementId>, view: &PageView) -> BTreeSet<ElementId> {
        let mut all = BTreeSet::new();
        for id in ids {
            all.insert(id);
            if let Some(group) = view.get(&id).and_then(|element| element.group).filter(|group| Some(*group) != self.inside) {
                all.extend(view.iter().filter(|element| element.group == Some(group)).map(|element| element.id));
            }
        }
        all
    }

    pub fn new_element(&mut self) -> ElementId {
        self.ids.element()
    }

    pub fn new_group(&mut self) -> GroupId {
        self.ids.group()
    }

    /// Chance for names of pages.
    pub fn random(&mut self) -> u128 {
        self.ids.random()
    }

    /// A number for a gesture of several steps.
    fn next_step(&mut self) -> u64 {
        // Whole in a JSON number, and never 0.
        self.ids.bits() >> 12 | 1
    }

    /// Asks for edits, where there are any and they are allowed.
    fn ask(&self, edits: Vec<Edit>) -> Vec<Output> {
        if edits.is_empty() || !self.can_edit { Vec::new() } else { vec![Output::Edit { edits, gesture: 0 }] }
    }

    /// The pointer's place on the page, on the grid where there is one.
    fn on_grid(&self, at: Pos2, pointer: &Pointer) -> Pos2 {
        if self.grid && !pointer.ctrl { super::snap::to_grid(at, GRID) } else { at }
    }

    fn neighbours(&self, view: &PageView, not: &[ElementId]) -> Vec<Rect> {
        let seen = self.camera.visible();
        let middle = seen.center();
        let mut rects: Vec<Rect> = view
            .in_rect(super::page_rect(seen))
            .into_iter()
            .filter(|element| {
                !not.contains(&element.id) && !matches!(element.kind, conclave_crdt::Kind::Pen | conclave_crdt::Kind::Arrow)
            })
            .take(4 * super::snap::MAX_NEIGHBOURS)
            .map(|element| super::rect_of(&element.transform.bounds()))
            .collect();
        if rects.len() > super::snap::MAX_NEIGHBOURS {
            rects.sort_by(|one, other| (one.center() - middle).length_sq().total_cmp(&(other.center() - middle).length_sq()));
            rects.truncate(super::snap::MAX_NEIGHBOURS);
        }
        rects
    }

    /// Shows a shape instead of what the page says.
    fn preview(&mut self, id: ElementId, shape: Shape) {
        self.previews.insert(id, Preview { shape, sent: false });
        self.revision += 1;
    }

    /// How far the pointer went since a place on the screen.
    fn went(from: Pos2, pointer: &Pointer) -> Vec2 {
        pointer.at - from
    }
}
