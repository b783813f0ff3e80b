//! How long a frame of the board takes: what the canvas does from the page to the triangles, without painting them.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use conclave::canvas::camera::Camera;
use conclave::canvas::mesh::Inks;
use conclave::canvas::paint::{Look, Painted};
use conclave_crdt::{Element, ElementId, Kind, OrderKey, PageView, Point, Shape, Style};
use egui::{Pos2, RawInput, Rect, Vec2, vec2};

use crate::process::cpu_time;

/// Frames that are measured: with 10 ms to a tick of the process's clock the mean is good to a tenth of a ms.
const FRAMES: u32 = 100;
/// Points of a stroke, and the px it fills.
const POINTS: usize = 60;
const STROKE: f32 = 120.0;

/// Strokes side by side: `wide` in a row.
fn strokes(count: usize, wide: usize) -> Result<PageView> {
    let digits: Vec<char> = ('0'..='9').chain('A'..='Z').chain('a'..='z').collect();
    let mut elements = Vec::with_capacity(count);
    for index in 0..count {
        let (x, y) = ((index % wide) as f32 * (STROKE + 10.0), (index / wide) as f32 * (STROKE + 10.0));
        let point = |step: usize| {
            let t = step as f32 / POINTS as f32;
            let (swing, bend) = ((t * 9.0 + index as f32).sin(), (t * 4.0 + index as f32 * 0.7).cos());
            Point { x: x + t * STROKE, y: y + STROKE * 0.5 + swing * bend * STROKE * 0.5, pressure: 0.4 + 0.3 * swing.abs() }
        };
        let points: Vec<Point> = (0..POINTS).map(point).collect();
        let mut key = String::from("V");
        for place in (0..4).rev() {
            key.extend(digits.get(index / 62_usize.pow(place) % 62));
        }
        elements.push(Arc::new(Element {
            id: ElementId::from_random(index as u128 + 1),
            z: OrderKey::parse(&key).context("an order key")?,
            shape: Shape::through(Kind::Pen, &points, Style::default()),
        }));
    }
    Ok(PageView::from_elements(elements))
}

/// Milliseconds of CPU a frame while the page is moved, `in_view` of `count` strokes in view. Every frame is made anew.
///
/// # Errors
/// Where the page cannot be made.
pub(super) fn board_frame_ms(count: usize, in_view: usize) -> Result<f64> {
    let wide = (count as f32).sqrt().ceil() as usize;
    let view = strokes(count, wide)?;
    let screen = Rect::from_min_size(Pos2::ZERO, vec2(1280.0, 800.0));
    // As many rows and columns as show so many strokes.
    let cell = STROKE + 10.0;
    let area = in_view as f32 * cell * cell;
    let zoom = (screen.area() / area).sqrt();
    let middle = Pos2::ZERO + Vec2::splat(wide as f32 * cell / 2.0);
    let mut camera = Camera { center: middle, zoom, viewport: screen };
    let context = egui::Context::default();
    let (fading, images) = (BTreeSet::new(), HashMap::new());
    let mut painted = Painted::default();
    let mut frame = |camera: Camera| {
        let input = RawInput { screen_rect: Some(screen), ..RawInput::default() };
        let output = context.run_ui(input, |ui| {
            let look =
                Look { camera, inks: Inks { dark: false }, editing: None, fading: &fading, frame_name: "", images: &images };
            for (clip, shape) in painted.shapes(ui.ctx(), &view, &look) {
                ui.painter().with_clip_rect(clip).add(shape);
            }
        });
        let triangles = context.tessellate(output.shapes, output.pixels_per_point);
        triangles.len()
    };
    // The first frames make the meshes.
    for _ in 0..8 {
        frame(camera);
    }
    let own = std::process::id();
    let before = cpu_time(own).context("the clock of the process")?;
    for step in 0..FRAMES {
        camera.pan(vec2(if step % 100 < 50 { 3.0 } else { -3.0 }, 1.0));
        anyhow::ensure!(frame(camera) > 0, "nothing was drawn");
    }
    let used = cpu_time(own).context("the clock of the process")?.saturating_sub(before);
    Ok(used.as_secs_f64() * 1000.0 / f64::from(FRAMES))
}
