//! From Excalidraw's elements to edits.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::{ALIGNS, BadFile, DASHES, HEADS, KINDS, value_of};
use crate::edit::{Edit, Place};
use crate::geometry::{MAX_COORDINATE, MAX_POINTS, Point};
use crate::id::{ElementId, GroupId};
use crate::interchange::picture::{Picture, Pictures};
use crate::schema::is_text_char;
use crate::shape::{Align, Binding, Color, Head, Hold, Kind, MAX_FONT, MAX_TEXT, MAX_WIDTH, Shape, Style, Transform};
use crate::stage::MAX_ELEMENTS;

/// Most pictures that are taken out of one file.
pub const MAX_PICTURES: usize = 64;

/// What a file holds, as edits for a page.
#[derive(Debug, Clone, PartialEq)]
pub struct Imported {
    /// What puts it there, in z-order.
    pub edits: Vec<Edit>,
    /// Elements that were left out, because nothing here shows them.
    pub left_out: usize,
    /// The pictures in the file that its elements show, by the names that the edits have for them; at most [`MAX_PICTURES`].
    pub pictures: Pictures,
}

impl Imported {
    /// Gives pictures other names, in the edits too.
    pub fn rename_pictures(&mut self, name: impl Fn(&Picture) -> String) {
        let new: HashMap<String, String> = self.pictures.iter().map(|(old, picture)| (old.clone(), name(picture))).collect();
        for edit in &mut self.edits {
            if let Edit::Add { shape, .. } = edit
                && let Some(image) = &mut shape.image
                && let Some(name) = new.get(image)
            {
                image.clone_from(name);
            }
        }
        let renamed = std::mem::take(&mut self.pictures).into_iter();
        self.pictures = renamed.filter_map(|(old, picture)| Some((new.get(&old)?.clone(), picture))).collect();
    }
}

/// Reads a file. `random` gives 128 random bits at each call: elements get new names, so that a file can be put on a page twice.
pub fn read(json: &[u8], random: &mut dyn FnMut() -> u128) -> Result<Imported, BadFile> {
    let file: Value = serde_json::from_slice(json).map_err(|_| BadFile::NotExcalidraw)?;
    let known = ["excalidraw", "excalidraw/clipboard"];
    if !file.get("type").and_then(Value::as_str).is_some_and(|kind| known.contains(&kind)) {
        return Err(BadFile::NotExcalidraw);
    }
    let elements = file.get("elements").and_then(Value::as_array).ok_or(BadFile::NotExcalidraw)?;
    let living: Vec<&Value> = elements.iter().filter(|element| !flag(element, "isDeleted")).collect();
    if living.len() > MAX_ELEMENTS {
        return Err(BadFile::TooLarge);
    }
    let mut names = Names { elements: HashMap::new(), groups: HashMap::new() };
    for element in &living {
        if let Some(id) = element.get("id").and_then(Value::as_str) {
            names.elements.insert(id.to_owned(), ElementId::from_random(random()));
        }
        for group in element.get("groupIds").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
            names.groups.entry(group.to_owned()).or_insert_with(|| GroupId::from_random(random()));
        }
    }
    // Texts in shapes are elements of their own there.
    let inside: HashMap<&str, &Value> = living
        .iter()
        .filter_map(|element| Some((element.get("containerId")?.as_str()?, *element)))
        .filter(|(container, _)| names.elements.contains_key(*container))
        .collect();
    let frames: HashSet<ElementId> =
        living.iter().filter(|element| kind_of(element) == Some(Kind::Frame)).filter_map(|frame| names.of(frame, "id")).collect();
    let mut imported = Imported { edits: Vec::new(), left_out: 0, pictures: Pictures::new() };
    for element in living {
        if element.get("containerId").and_then(Value::as_str).is_some_and(|container| inside.contains_key(container)) {
            continue;
        }
        let text = element.get("id").and_then(Value::as_str).and_then(|id| inside.get(id)).copied();
        match (names.of(element, "id"), shape(element, text, &names, &frames)) {
            (Some(id), Some(shape)) => imported.edits.push(Edit::Add { id, shape, place: Place::Front }),
            _ => imported.left_out += 1,
        }
    }
    let files = file.get("files").and_then(Value::as_object);
    for edit in &imported.edits {
        let Edit::Add { shape: Shape { image: Some(image), .. }, .. } = edit else { continue };
        if imported.pictures.len() >= MAX_PICTURES || imported.pictures.contains_key(image) {
            continue;
        }
        let url = files.and_then(|files| files.get(image)?.get("dataURL")?.as_str());
        if let Some(picture) = url.and_then(Picture::from_data_url) {
            imported.pictures.insert(image.clone(), picture);
        }
    }
    Ok(imported)
}

/// New names for old ones.
struct Names {
    elements: HashMap<String, ElementId>,
    groups: HashMap<String, GroupId>,
}

impl Names {
    fn of(&self, element: &Value, key: &str) -> Option<ElementId> {
        self.elements.get(element.get(key)?.as_str()?).copied()
    }
}

fn shape(element: &Value, text: Option<&Value>, names: &Names, frames: &HashSet<ElementId>) -> Option<Shape> {
    let kind = kind_of(element)?;
    let mut style = style(element);
    let position = (number(element, "x")?, number(element, "y")?);
    let mut shape = if kind.has_points() {
        let points = points(element, position)?;
        let mut shape = Shape::through(kind, &points, style);
        shape.transform.angle = angle(element);
        shape
    } else {
        let size = (number(element, "width")?.max(0.0), number(element, "height")?.max(0.0));
        Shape::new(kind, Transform { x: position.0, y: position.1, w: size.0, h: size.1, angle: angle(element) }, style)
    };
    let words = if kind == Kind::Frame { element.get("name") } else { text.unwrap_or(element).get("originalText") };
    let words = words.or_else(|| text.unwrap_or(element).get("text")).and_then(Value::as_str).unwrap_or_default();
    if let Some(text) = text {
        style.font_size = font_size(text);
        style.align = align(text);
        shape.style = style;
    }
    shape.text = words.replace("\r\n", "\n").chars().filter(|c| is_text_char(*c)).take(MAX_TEXT).collect();
    shape.locked = flag(element, "locked");
    // The outermost group, which is last there.
    let groups = element.get("groupIds").and_then(Value::as_array);
    shape.group = groups.and_then(|groups| names.groups.get(groups.last()?.as_str()?)).copied();
    shape.frame = names.of(element, "frameId").filter(|frame| frames.contains(frame));
    if kind == Kind::Arrow {
        shape.start = binding(element.get("startBinding"), names);
        shape.end = binding(element.get("endBinding"), names);
    }
    if kind == Kind::Image {
        let file = element.get("fileId").and_then(Value::as_str).map(str::to_owned);
        shape.image = file.filter(|name| crate::schema::is_image_name(name));
    }
    Some(shape)
}

fn kind_of(element: &Value) -> Option<Kind> {
    let name = element.get("type")?.as_str()?;
    let is_note = element.pointer("/customData/conclave").and_then(Value::as_str) == Some("note");
    match name {
        "rectangle" if is_note => Some(Kind::Note),
        "magicframe" => Some(Kind::Frame),
        name => value_of(&KINDS, name),
    }
}

fn style(element: &Value) -> Style {
    let color = |key: &str, default: Color| {
        element.get(key).and_then(Value::as_str).and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    let name = |key: &str| element.get(key).and_then(Value::as_str).unwrap_or_default();
    let head = |key: &str| match name(key) {
        "" => Head::None,
        "circle" | "circle_outline" => Head::Dot,
        "triangle_outline" | "diamond" | "diamond_outline" => Head::Triangle,
        other => value_of(&HEADS, other).unwrap_or(Head::Arrow),
    };
    Style {
        stroke: color("strokeColor", Color::INK),
        fill: color("backgroundColor", Color::NONE),
        width: number(element, "strokeWidth").unwrap_or(2.0).clamp(0.0, MAX_WIDTH),
        dash: value_of(&DASHES, name("strokeStyle")).unwrap_or_default(),
        opacity: number(element, "opacity").unwrap_or(100.0).clamp(0.0, 100.0) as u8,
        font_size: font_size(element),
        align: align(element),
        round: element.get("roundness").is_some_and(Value::is_object),
        start: head("startArrowhead"),
        end: head("endArrowhead"),
    }
}

fn font_size(element: &Value) -> f32 {
    number(element, "fontSize").unwrap_or(20.0).clamp(1.0, MAX_FONT)
}

fn align(element: &Value) -> Align {
    element.get("textAlign").and_then(Value::as_str).and_then(|name| value_of(&ALIGNS, name)).unwrap_or_default()
}

fn angle(element: &Value) -> f32 {
    number(element, "angle").unwrap_or(0.0).rem_euclid(std::f32::consts::TAU)
}

fn points(element: &Value, (x, y): (f32, f32)) -> Option<Vec<Point>> {
    let pressures = element.get("pressures").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let list = element.get("points")?.as_array()?;
    let read = list.iter().take(MAX_POINTS).enumerate().map(|(at, pair)| {
        let coordinate = |place: usize| Some(clamp(pair.get(place)?.as_f64()?));
        let pressure = pressures.get(at).and_then(Value::as_f64).unwrap_or(0.5).clamp(0.0, 1.0) as f32;
        let keep = |value: f32| value.clamp(-MAX_COORDINATE / 2.0, MAX_COORDINATE / 2.0);
        Some(Point { x: keep(x + coordinate(0)?), y: keep(y + coordinate(1)?), pressure })
    });
    let points: Vec<Point> = read.collect::<Option<_>>()?;
    (!points.is_empty()).then_some(points)
}

fn binding(value: Option<&Value>, names: &Names) -> Option<Binding> {
    let value = value?;
    let target = names.of(value, "elementId")?;
    let part = |place: usize| value.get("fixedPoint")?.get(place)?.as_f64().map(|part| (part as f32).clamp(-1.0, 2.0));
    let hold = if value.get("mode").and_then(Value::as_str) == Some("inside") { Hold::Point } else { Hold::Outline };
    Some(Binding { target, fx: part(0).unwrap_or(0.5), fy: part(1).unwrap_or(0.5), hold })
}

fn flag(element: &Value, key: &str) -> bool {
    element.get(key).and_then(Value::as_bool).unwrap_or(false)
}

fn clamp(value: f64) -> f32 {
    // As f32 right away it might be infinite.
    value.clamp(-f64::from(MAX_COORDINATE) / 2.0, f64::from(MAX_COORDINATE) / 2.0) as f32
}

/// On the page, whatever the file says.
fn number(element: &Value, key: &str) -> Option<f32> {
    Some(clamp(element.get(key)?.as_f64()?))
}
