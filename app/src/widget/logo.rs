//! The mark of Conclave, drawn by code: people around a table that is theirs alone.

use egui::{Color32, CornerRadius, Painter, Pos2, Rect, Vec2};

use crate::theme::Palette;

const SEATS: usize = 6;

/// Paints the mark into a square around `center`, `side` points wide.
pub fn paint(painter: &Painter, center: Pos2, side: f32, palette: &Palette) {
    let rect = Rect::from_center_size(center, Vec2::splat(side));
    let corner = CornerRadius::same((side * 0.26) as u8);
    painter.rect_filled(rect, corner, palette.accent);
    for (offset, radius, strength) in seats() {
        let colour = Color32::from_white_alpha((255.0 * strength) as u8);
        painter.circle_filled(center + offset * side, radius * side, colour);
    }
}

/// Offsets and radii as parts of the side, and how bright each seat is.
fn seats() -> impl Iterator<Item = (Vec2, f32, f32)> {
    (0..SEATS).map(|seat| {
        let angle = std::f32::consts::TAU * (seat as f32 / SEATS as f32) - std::f32::consts::FRAC_PI_2;
        // One seat is larger: somebody speaks.
        let (radius, strength) = if seat == 0 { (0.115, 1.0) } else { (0.08, 0.82) };
        (Vec2::angled(angle) * 0.265, radius, strength)
    })
}

/// The icon of the window, `side` pixels square, RGBA.
pub fn window_icon(side: u32) -> egui::IconData {
    let accent = Palette::DARK.accent;
    let s = side as f32;
    let corner = s * 0.26;
    let seats: Vec<(Vec2, f32, f32)> = seats().collect();
    let mut rgba = Vec::with_capacity((side * side * 4) as usize);
    for y in 0..side {
        for x in 0..side {
            let p = Vec2::new(x as f32 + 0.5 - s / 2.0, y as f32 + 0.5 - s / 2.0);
            // Distance to the rounded square, by which its edge is smoothed.
            let q = Vec2::new(p.x.abs() - (s / 2.0 - corner), p.y.abs() - (s / 2.0 - corner));
            let outside = Vec2::new(q.x.max(0.0), q.y.max(0.0)).length() + q.x.max(q.y).min(0.0) - corner;
            let body = (0.5 - outside).clamp(0.0, 1.0);
            let seat = seats
                .iter()
                .map(|(offset, radius, strength)| (0.5 - ((p - *offset * s).length() - radius * s)).clamp(0.0, 1.0) * strength)
                .fold(0.0, f32::max);
            let mix = |channel: u8| (f32::from(channel) * (1.0 - seat) + 255.0 * seat) as u8;
            rgba.extend([mix(accent.r()), mix(accent.g()), mix(accent.b()), (body * 255.0) as u8]);
        }
    }
    egui::IconData { rgba, width: side, height: side }
}
