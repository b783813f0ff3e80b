//! From a page to Excalidraw's elements.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{ALIGNS, DASHES, HEADS, KINDS, name_of};
use crate::geometry::Rect;
use crate::interchange::drawing::LINE_HEIGHT;
use crate::interchange::picture::Pictures;
use crate::shape::{Binding, Color, Element, Head, Hold, Kind};
use crate::view::PageView;

/// The text of a file that Excalidraw opens, the pictures in it.
pub fn write(page: &PageView, pictures: &Pictures) -> String {
    let mut elements = Vec::new();
    for element in page.iter() {
        elements.push(Value::Object(element_of(page, pictures, element)));
        if !element.text.is_empty() && !matches!(element.kind, Kind::Text | Kind::Frame) {
            elements.push(Value::Object(text_in(element)));
        }
    }
    let file = json!({
        "type": "excalidraw",
        "version": 2,
        "source": "https://conclave.invalid",
        "elements": elements,
        "appState": { "gridSize": null, "viewBackgroundColor": "#ffffff" },
        "files": files(page, pictures),
    });
    file.to_string()
}

/// The pictures that the page shows, by the names that its elements have for them.
fn files(page: &PageView, pictures: &Pictures) -> Map<String, Value> {
    let shown: BTreeSet<&String> = page.iter().filter_map(|element| element.image.as_ref()).collect();
    let entry = |name: &String| {
        let picture = pictures.get(name)?;
        // Excalidraw asks when it was made; the same page is to be the same file each time.
        let file = json!({ "mimeType": picture.format.mime(), "id": name, "dataURL": picture.data_url(), "created": 1 });
        Some((name.clone(), file))
    };
    shown.into_iter().filter_map(entry).collect()
}

fn element_of(page: &PageView, pictures: &Pictures, element: &Element) -> Map<String, Value> {
    let kind = if element.kind == Kind::Note { "rectangle" } else { name_of(&KINDS, &element.kind).unwrap_or("rectangle") };
    let mut out = common(element, element.id.as_str(), kind);
    let style = element.style;
    let mut set = |key: &str, value: Value| {
        out.insert(key.to_owned(), value);
    };
    let mut bound: Vec<Value> = page.bound_to(&element.id).map(|arrow| json!({ "id": arrow.id, "type": "arrow" })).collect();
    bound.sort_by_key(|entry| entry.get("id").map(ToString::to_string));
    if !element.text.is_empty() && !matches!(element.kind, Kind::Text | Kind::Frame) {
        bound.push(json!({ "id": text_id(element), "type": "text" }));
    }
    set("boundElements", if bound.is_empty() { Value::Null } else { Value::Array(bound) });
    match element.kind {
        Kind::Note => set("customData", json!({ "conclave": "note" })),
        Kind::Text => {
            set("text", json!(element.text));
            set("originalText", json!(element.text));
            set("fontSize", json!(style.font_size));
            set("fontFamily", json!(2));
            set("textAlign", json!(name_of(&ALIGNS, &style.align)));
            set("verticalAlign", json!("top"));
            set("containerId", Value::Null);
            set("autoResize", json!(true));
            set("lineHeight", json!(LINE_HEIGHT));
        }
        Kind::Frame => set("name", if element.text.is_empty() { Value::Null } else { json!(element.text) }),
        Kind::Image => {
            set("fileId", json!(element.image));
            let here = element.image.as_ref().is_some_and(|image| pictures.contains_key(image));
            set("status", json!(if here { "saved" } else { "pending" }));
            set("scale", json!([1, 1]));
        }
        Kind::Pen | Kind::Line | Kind::Arrow => {
            // Turned about the middle there as well, so the points go out unturned.
            let mut plain = element.shape.clone();
            plain.transform.angle = 0.0;
            let points = plain.page_points();
            let box_ = Rect::around(points.iter().map(|point| (point.x, point.y))).unwrap_or(element.transform.rect());
            let first = points.first().map_or((box_.x0, box_.y0), |point| (point.x, point.y));
            set("x", json!(first.0));
            set("y", json!(first.1));
            set("points", points.iter().map(|point| json!([point.x - first.0, point.y - first.1])).collect());
            set("lastCommittedPoint", Value::Null);
            if element.kind == Kind::Pen {
                set("pressures", points.iter().map(|point| json!(point.pressure)).collect());
                set("simulatePressure", json!(false));
            } else {
                set("startArrowhead", head(style.start));
                set("endArrowhead", head(style.end));
                set("startBinding", binding(element.start));
                set("endBinding", binding(element.end));
                if element.kind == Kind::Arrow {
                    set("elbowed", json!(false));
                }
            }
        }
        Kind::Rect | Kind::Ellipse | Kind::Diamond => {}
    }
    out
}

/// Excalidraw keeps the text in a shape as an element of its own.
fn text_in(element: &Element) -> Map<String, Value> {
    let mut out = common(element, &text_id(element), "text");
    let style = element.style;
    let lines = element.text.split('\n').count() as f32;
    let height = lines * style.font_size * LINE_HEIGHT;
    let t = element.transform;
    for (key, value) in [
        ("text", json!(element.text)),
        ("originalText", json!(element.text)),
        ("fontSize", json!(style.font_size)),
        ("fontFamily", json!(2)),
        ("textAlign", json!(name_of(&ALIGNS, &style.align))),
        ("verticalAlign", json!(if element.kind == Kind::Note { "top" } else { "middle" })),
        ("containerId", json!(element.id)),
        ("autoResize", json!(true)),
        ("lineHeight", json!(LINE_HEIGHT)),
        ("x", json!(t.x)),
        ("y", json!(t.y + (t.h - height) / 2.0)),
        ("height", json!(height)),
        ("backgroundColor", json!("transparent")),
        ("strokeStyle", json!("solid")),
        ("boundElements", Value::Null),
    ] {
        out.insert(key.to_owned(), value);
    }
    out
}

/// Another name of the same length for the text inside.
fn text_id(element: &Element) -> String {
    format!("{}-text", element.id)
}

fn common(element: &Element, id: &str, kind: &str) -> Map<String, Value> {
    let (t, style) = (element.transform, element.style);
    // Excalidraw draws by hand from a seed; the same file is to look the same each time.
    let seed = id.bytes().fold(7u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into())) >> 1;
    let fields = json!({
        "id": id,
        "type": kind,
        "x": t.x,
        "y": t.y,
        "width": t.w,
        "height": t.h,
        "angle": t.angle,
        "strokeColor": color(style.stroke),
        "backgroundColor": color(style.fill),
        "fillStyle": "solid",
        "strokeWidth": style.width,
        "strokeStyle": name_of(&DASHES, &style.dash),
        "roughness": 0,
        "opacity": style.opacity,
        "groupIds": element.group.iter().collect::<Vec<_>>(),
        "frameId": element.frame,
        "roundness": if style.round { json!({ "type": 3 }) } else { Value::Null },
        "seed": seed,
        "version": 1,
        "versionNonce": seed,
        "isDeleted": false,
        "updated": 1,
        "link": null,
        "locked": element.locked,
    });
    match fields {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

fn color(color: Color) -> String {
    if color.is_none() { "transparent".to_owned() } else { color.to_string() }
}

fn head(head: Head) -> Value {
    name_of(&HEADS, &head).map_or(Value::Null, |name| json!(name))
}

fn binding(binding: Option<Binding>) -> Value {
    match binding {
        None => Value::Null,
        Some(binding) => json!({
            "elementId": binding.target,
            "focus": 0,
            "gap": 4,
            "fixedPoint": [binding.fx, binding.fy],
            "mode": if binding.hold == Hold::Point { "inside" } else { "orbit" },
        }),
    }
}
