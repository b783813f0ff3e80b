//! A page on the screen: meshes are made once for each element and scale, and the whole picture once for each view; nothing is made again
//! while nothing changes.

mod words;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use conclave_crdt::{Element, ElementId, Kind, PageView};
use egui::epaint::Vertex;
use egui::{Color32, Context, Mesh, Rect, Shape, TextureId, Vec2};

use super::camera::Camera;
use super::mesh::{self, Ink, Inks};
use super::pictures::Pictures;
use super::{page_rect, rect_of};
pub use words::{field_font, measure, text_box};

/// Elements whose triangles are made anew in one frame because the scale changed; the others follow in the next ones.
const REBUILT: usize = 2_000;
/// Px around the box of an element in which something of it may be drawn: heads of arrows, shadows, the name of a frame.
const AROUND: f32 = 32.0;
/// How much of an element under the eraser is left to be seen.
const FADED: f32 = 0.25;

/// How the page is looked at.
pub struct Look<'a> {
    pub camera: Camera,
    pub inks: Inks,
    /// The text of this element is in a field.
    pub editing: Option<ElementId>,
    /// Under the eraser.
    pub fading: &'a BTreeSet<ElementId>,
    /// What a frame without a name is called.
    pub frame_name: &'a str,
    /// The picture of an image element, by its name, once it is here.
    pub images: &'a HashMap<String, TextureId>,
}

/// What a picture was made for.
#[derive(Debug, Clone, PartialEq)]
struct Key {
    version: u64,
    camera: Camera,
    inks: Inks,
    editing: Option<ElementId>,
    fading: BTreeSet<ElementId>,
    images: usize,
}

struct Cached {
    element: Arc<Element>,
    /// Of the page, where the mesh depends on other elements.
    version: Option<u64>,
    px: f32,
    inks: Inks,
    mesh: Arc<Mesh>,
}

/// An element in view, ready to be drawn.
struct Seen {
    element: Arc<Element>,
    bounds: Rect,
    mesh: Arc<Mesh>,
    /// The frame that cuts it off, on the page.
    clip: Option<Rect>,
    worded: bool,
}

#[derive(Clone)]
enum Item {
    Mesh(Rect, Arc<Mesh>),
    /// Of the list of what is seen: texts are laid out each frame, because the font atlas may have moved.
    Words(Rect, usize),
    Image(Rect, usize),
}

/// Meshes and pictures of one board.
#[derive(Default)]
pub struct Painted {
    meshes: HashMap<ElementId, Cached>,
    /// Which part of which version of the page the list is of, and at which scale.
    listed: Option<(u64, Rect, f32, Inks)>,
    seen: Vec<Seen>,
    /// Some meshes are of another scale still.
    stale: bool,
    made: Option<Key>,
    items: Vec<Item>,
    pub pictures: Pictures,
}

impl Painted {
    /// What is to be drawn, each with what it is cut off at. Asks for another frame where more is to be made.
    pub fn shapes(&mut self, ctx: &Context, view: &PageView, look: &Look<'_>) -> Vec<(Rect, Shape)> {
        self.list(view, look);
        let key = Key {
            version: view.version(),
            camera: look.camera,
            inks: look.inks,
            editing: look.editing,
            fading: look.fading.clone(),
            images: look.images.len(),
        };
        if self.made.as_ref() != Some(&key) {
            self.compose(look);
            self.made = (!self.stale).then_some(key);
        }
        if self.stale {
            ctx.request_repaint();
        }
        let mut shapes = Vec::with_capacity(self.items.len());
        for item in &self.items {
            match item {
                Item::Mesh(clip, mesh) => shapes.push((*clip, Shape::Mesh(mesh.clone()))),
                Item::Words(clip, index) => {
                    if let Some(seen) = self.seen.get(*index) {
                        let faded = look.fading.contains(&seen.element.id);
                        words::shapes(ctx, &seen.element, look, if faded { FADED } else { 1.0 }, |shape| {
                            shapes.push((*clip, shape))
                        });
                    }
                }
                Item::Image(clip, index) => {
                    if let Some(seen) = self.seen.get(*index) {
                        image_shapes(&seen.element, look, |shape| shapes.push((*clip, shape)));
                    }
                }
            }
        }
        shapes
    }

    /// Whether an element in view, or just beside it, shows this picture.
    pub fn shows(&self, image: &str) -> bool {
        self.seen.iter().any(|seen| seen.element.image.as_deref() == Some(image))
    }

    /// How many elements are drawn at most: for the figures.
    pub fn seen(&self) -> usize {
        self.seen.len()
    }

    /// Brings the list of what can be seen up to date.
    fn list(&mut self, view: &PageView, look: &Look<'_>) {
        // The nearest power of two: soft edges are then within a factor of 1.4 of one point of the screen.
        let px = 1.0 / look.camera.zoom.log2().round().exp2();
        let visible = look.camera.visible();
        let fits = |(version, area, listed_px, inks): &(u64, Rect, f32, Inks)| {
            *version == view.version() && area.contains_rect(visible) && *listed_px == px && *inks == look.inks
        };
        if !self.stale && self.listed.as_ref().is_some_and(fits) {
            return;
        }
        let area = visible.expand2(visible.size() * 0.25);
        let elements: Vec<Arc<Element>> = view.in_rect(page_rect(area.expand(AROUND))).into_iter().cloned().collect();
        let mut rebuilt = 0;
        self.stale = false;
        self.seen.clear();
        let mut clips: HashMap<ElementId, Option<Rect>> = HashMap::new();
        for element in elements {
            let mesh = self.mesh(view, &element, px, look.inks, &mut rebuilt);
            let clip = element.frame.and_then(|frame| {
                *clips.entry(frame).or_insert_with(|| {
                    let frame = view.get(&frame).filter(|frame| frame.kind == Kind::Frame && frame.transform.angle == 0.0);
                    frame.map(|frame| rect_of(&frame.transform.rect()))
                })
            });
            let worded = element.kind == Kind::Frame || (!element.text.is_empty() && !is_greeked(&element, px));
            let bounds = rect_of(&element.bounds()).expand(AROUND);
            self.seen.push(Seen { element, bounds, mesh, clip, worded });
        }
        if self.meshes.len() > 2 * self.seen.len() + 4_000 {
            let wanted: std::collections::HashSet<ElementId> = self.seen.iter().map(|seen| seen.element.id).collect();
            self.meshes.retain(|id, _| wanted.contains(id));
        }
        self.listed = Some((view.version(), area, px, look.inks));
        self.made = None;
    }

    fn mesh(&mut self, view: &PageView, element: &Arc<Element>, px: f32, inks: Inks, rebuilt: &mut usize) -> Arc<Mesh> {
        let depends = element.start.is_some() || element.end.is_some();
        let version = depends.then(|| view.version());
        if let Some(cached) = self.meshes.get(&element.id)
            && Arc::ptr_eq(&cached.element, element)
            && cached.inks == inks
            && cached.version == version
        {
            if cached.px == px {
                return cached.mesh.clone();
            }
            if *rebuilt >= REBUILT {
                self.stale = true;
                return cached.mesh.clone();
            }
            *rebuilt += 1;
        }
        let mut mesh = mesh::element(view, element, px, inks);
        if is_greeked(element, px) {
            words::greek(&mut mesh, element, px, inks);
        }
        let mesh = Arc::new(mesh);
        self.meshes.insert(element.id, Cached { element: element.clone(), version, px, inks, mesh: mesh.clone() });
        mesh
    }

    /// Puts what can be seen together, in order: as few meshes as the texts and frames between them allow.
    fn compose(&mut self, look: &Look<'_>) {
        self.items.clear();
        let camera = look.camera;
        let visible = camera.visible();
        let mut batch = Mesh::default();
        let mut batch_clip = camera.viewport;
        for (index, seen) in self.seen.iter().enumerate() {
            if !seen.bounds.intersects(visible) {
                continue;
            }
            let clip = seen.clip.map_or(camera.viewport, |clip| camera.rect_to_screen(clip).intersect(camera.viewport));
            if !clip.is_positive() {
                continue;
            }
            if clip != batch_clip {
                flush(&mut self.items, &mut batch, batch_clip);
                batch_clip = clip;
            }
            let faded = look.fading.contains(&seen.element.id);
            append(&mut batch, &seen.mesh, &camera, faded);
            if seen.element.kind == Kind::Image {
                flush(&mut self.items, &mut batch, batch_clip);
                self.items.push(Item::Image(clip, index));
            }
            if seen.worded && look.editing != Some(seen.element.id) {
                flush(&mut self.items, &mut batch, batch_clip);
                self.items.push(Item::Words(clip, index));
            }
        }
        flush(&mut self.items, &mut batch, batch_clip);
    }
}

/// A text so small on the screen that nobody could read it is drawn as bars.
fn is_greeked(element: &Element, px: f32) -> bool {
    element.kind != Kind::Frame && !element.text.is_empty() && element.style.font_size / px < 3.5
}

fn flush(items: &mut Vec<Item>, batch: &mut Mesh, clip: Rect) {
    if !batch.indices.is_empty() {
        items.push(Item::Mesh(clip, Arc::new(std::mem::take(batch))));
    }
}

fn append(batch: &mut Mesh, mesh: &Mesh, camera: &Camera, faded: bool) {
    let offset = camera.to_screen(egui::Pos2::ZERO).to_vec2();
    let first = batch.vertices.len() as u32;
    batch.indices.extend(mesh.indices.iter().map(|index| first + index));
    let place = |vertex: &Vertex| Vertex { pos: (vertex.pos.to_vec2() * camera.zoom + offset).to_pos2(), ..*vertex };
    if faded {
        batch
            .vertices
            .extend(mesh.vertices.iter().map(|vertex| Vertex { color: vertex.color.gamma_multiply(FADED), ..place(vertex) }));
    } else {
        batch.vertices.extend(mesh.vertices.iter().map(place));
    }
}

/// A picture, or its place while it is not here.
fn image_shapes(element: &Element, look: &Look<'_>, mut add: impl FnMut(Shape)) {
    let turned = |(x, y): (f32, f32)| {
        let (x, y) = element.transform.turn((x, y));
        look.camera.to_screen(egui::pos2(x, y))
    };
    let rect = element.transform.rect();
    let corners = [(rect.x0, rect.y0), (rect.x1, rect.y0), (rect.x1, rect.y1), (rect.x0, rect.y1)].map(turned);
    let faded = if look.fading.contains(&element.id) { FADED } else { 1.0 };
    let texture = element.image.as_ref().and_then(|image| look.images.get(image));
    if let Some(texture) = texture {
        let mut mesh = Mesh::with_texture(*texture);
        let color = Color32::WHITE.gamma_multiply(faded * f32::from(element.style.opacity) / 100.0);
        let corner = [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)];
        for (pos, (u, v)) in corners.into_iter().zip(corner) {
            mesh.vertices.push(Vertex { pos, uv: egui::pos2(u, v), color });
        }
        mesh.indices.extend([0, 1, 2, 0, 2, 3]);
        add(Shape::mesh(mesh));
        return;
    }
    let grey = if look.inks.dark { Color32::from_gray(52) } else { Color32::from_gray(228) }.gamma_multiply(faded);
    let mut ink = Ink::new(1.0);
    ink.fill(&corners, grey);
    let line = if look.inks.dark { Color32::from_gray(120) } else { Color32::from_gray(150) }.gamma_multiply(faded);
    ink.line(&corners, true, 0.75, conclave_crdt::Dash::Dashed, line);
    // A hill and a sun, as everyone draws a picture that is missing.
    let center = corners.iter().fold(Vec2::ZERO, |sum, at| sum + at.to_vec2()) / 4.0;
    let size = ((corners[1] - corners[0]).length().min((corners[3] - corners[0]).length()) * 0.18).clamp(4.0, 40.0);
    let at = |x: f32, y: f32| (center + egui::vec2(x, y) * size).to_pos2();
    ink.fill(&[at(-1.2, 0.8), at(-0.3, -0.5), at(0.3, 0.2), at(0.6, -0.1), at(1.2, 0.8)], line);
    ink.dot(at(0.7, -0.6), size * 0.22, line);
    add(Shape::mesh(ink.mesh));
}
