//! A drawing as a picture: paths and text by way of SVG, the pictures on it between them, in the order in which they lie.

use conclave_crdt::Rect;
use conclave_crdt::interchange::drawing::{Drawing, Item};
use conclave_crdt::interchange::picture::{Picture, Pictures};
use conclave_crdt::interchange::svg;
use image::imageops::FilterType;
use resvg::{tiny_skia, usvg};

use super::picture;

/// Longest side of a picture, in px: a page that is larger is made smaller.
const MAX_SIDE: f32 = 8192.0;
/// Px of a picture for one px of the page, where it is small enough.
const SCALE: f32 = 2.0;

/// The bytes of a PNG file.
pub(super) fn write(drawing: &Drawing, pictures: &Pictures) -> Option<Vec<u8>> {
    let bounds = drawing.bounds;
    let scale = SCALE.min(MAX_SIDE / bounds.width().max(bounds.height()));
    let side = |length: f32| (length * scale).ceil().clamp(1.0, MAX_SIDE) as u32;
    let mut pixmap = tiny_skia::Pixmap::new(side(bounds.width()), side(bounds.height()))?;
    pixmap.fill(tiny_skia::Color::WHITE);
    let mut options = usvg::Options::default();
    options.fontdb_mut().load_system_fonts();
    let mut run = Vec::new();
    for item in &drawing.items {
        match item {
            Item::Image { corners, name, opacity } if pictures.contains_key(name) => {
                paint_run(&mut pixmap, bounds, &mut run, scale, &options)?;
                let shown = pictures.get(name).and_then(|picture| paint(&mut pixmap, bounds, corners, picture, *opacity, scale));
                if shown.is_none() {
                    // Nothing can be made of it: its place is shown.
                    run.push(item.clone());
                }
            }
            item => run.push(item.clone()),
        }
    }
    paint_run(&mut pixmap, bounds, &mut run, scale, &options)?;
    pixmap.encode_png().ok()
}

/// What lies between two pictures.
fn paint_run(
    pixmap: &mut tiny_skia::Pixmap,
    bounds: Rect,
    run: &mut Vec<Item>,
    scale: f32,
    options: &usvg::Options<'_>,
) -> Option<()> {
    if run.is_empty() {
        return Some(());
    }
    let drawing = Drawing { bounds, items: std::mem::take(run) };
    let tree = usvg::Tree::from_str(&svg::write(&drawing, &Pictures::new()), options).ok()?;
    resvg::render(&tree, tiny_skia::Transform::from_scale(scale, scale), &mut pixmap.as_mut());
    Some(())
}

fn paint(
    pixmap: &mut tiny_skia::Pixmap,
    bounds: Rect,
    corners: &[(f32, f32); 4],
    picture: &Picture,
    opacity: u8,
    scale: f32,
) -> Option<()> {
    let [zero, right, _, down] = corners.map(|(x, y)| ((x - bounds.x0) * scale, (y - bounds.y0) * scale));
    let mut pixels = picture::decode(picture)?;
    let wanted = |far: (f32, f32)| ((far.0 - zero.0).hypot(far.1 - zero.1).ceil().max(1.0)) as u32;
    let (width, height) = (wanted(right).min(pixels.width()), wanted(down).min(pixels.height()));
    // Far fewer px than it has: averaged, where looking at four neighbours would leave most of it out.
    if width < pixels.width() || height < pixels.height() {
        pixels = image::imageops::resize(&pixels, width, height, FilterType::Triangle);
    }
    let (width, height) = pixels.dimensions();
    let mut source = tiny_skia::Pixmap::new(width, height)?;
    for (to, from) in source.pixels_mut().iter_mut().zip(pixels.pixels()) {
        let [r, g, b, a] = from.0;
        *to = tiny_skia::ColorU8::from_rgba(r, g, b, a).premultiply();
    }
    let (w, h) = (width as f32, height as f32);
    let place = tiny_skia::Transform::from_row(
        (right.0 - zero.0) / w,
        (right.1 - zero.1) / w,
        (down.0 - zero.0) / h,
        (down.1 - zero.1) / h,
        zero.0,
        zero.1,
    );
    let how = tiny_skia::PixmapPaint {
        opacity: f32::from(opacity) / 100.0,
        quality: tiny_skia::FilterQuality::Bilinear,
        ..tiny_skia::PixmapPaint::default()
    };
    pixmap.draw_pixmap(0, 0, source.as_ref(), &how, place, None);
    Some(())
}
