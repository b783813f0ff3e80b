//! Where one looks: page coordinates (px of the document) against screen coordinates (points of the window).

use egui::{Pos2, Rect, Vec2, vec2};

/// Farthest out and nearest in.
pub const MIN_ZOOM: f32 = 0.02;
pub const MAX_ZOOM: f32 = 30.0;
/// Farthest from the origin that the middle of the view may lie, in px.
const REACH: f32 = 900_000.0;

/// The part of a page that is on the screen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Camera {
    /// The place of the page in the middle of the viewport.
    pub center: Pos2,
    /// Points of the screen to one px of the page.
    pub zoom: f32,
    /// Where on the screen the page is drawn.
    pub viewport: Rect,
}

impl Default for Camera {
    fn default() -> Self {
        Self { center: Pos2::ZERO, zoom: 1.0, viewport: Rect::from_min_size(Pos2::ZERO, vec2(800.0, 600.0)) }
    }
}

impl Camera {
    pub fn to_screen(&self, page: Pos2) -> Pos2 {
        self.viewport.center() + (page - self.center) * self.zoom
    }

    pub fn to_page(&self, screen: Pos2) -> Pos2 {
        self.center + (screen - self.viewport.center()) / self.zoom
    }

    pub fn rect_to_screen(&self, page: Rect) -> Rect {
        Rect::from_min_max(self.to_screen(page.min), self.to_screen(page.max))
    }

    /// What can be seen of the page.
    pub fn visible(&self) -> Rect {
        Rect::from_min_max(self.to_page(self.viewport.min), self.to_page(self.viewport.max))
    }

    /// Moves the page by so many points of the screen, as a hand does.
    pub fn pan(&mut self, by: Vec2) {
        self.look_at(self.center - by / self.zoom);
    }

    pub fn look_at(&mut self, center: Pos2) {
        if center.x.is_finite() && center.y.is_finite() {
            self.center = center.clamp(Pos2::new(-REACH, -REACH), Pos2::new(REACH, REACH));
        }
    }

    /// Nearer or farther; what lies under `anchor` on the screen stays there.
    pub fn zoom_at(&mut self, factor: f32, anchor: Pos2) {
        if !factor.is_finite() || factor <= 0.0 {
            return;
        }
        let under = self.to_page(anchor);
        self.zoom = (self.zoom * factor).clamp(MIN_ZOOM, MAX_ZOOM);
        let now = self.to_page(anchor);
        self.look_at(self.center + (under - now));
    }

    /// One px of the page is one point of the screen; the middle stays.
    pub fn reset_zoom(&mut self) {
        self.zoom = 1.0;
    }

    /// Shows a box of the page with room around it, never nearer than `nearest`.
    pub fn fit(&mut self, page: Rect, nearest: f32) {
        const ROOM: f32 = 48.0;
        let room = (self.viewport.size() - Vec2::splat(2.0 * ROOM)).max(Vec2::splat(16.0));
        let size = page.size().max(Vec2::splat(1.0));
        self.zoom = (room.x / size.x).min(room.y / size.y).clamp(MIN_ZOOM, nearest.min(MAX_ZOOM));
        self.look_at(page.center());
    }

    /// The step of a grid of `base` px whose lines are at least `apart` points from each other on the screen.
    pub fn grid_step(&self, base: f32, apart: f32) -> f32 {
        let mut step = base;
        while step * self.zoom < apart {
            step *= 2.0;
        }
        step
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use egui::pos2;

    fn camera() -> Camera {
        Camera { center: pos2(100.0, -50.0), zoom: 2.0, viewport: Rect::from_min_size(pos2(264.0, 60.0), vec2(1000.0, 700.0)) }
    }

    #[test]
    fn there_and_back_is_the_same_place() {
        let camera = camera();
        let at = pos2(300.0, 400.0);
        assert!((camera.to_screen(camera.to_page(at)) - at).length() < 1e-3);
        assert_eq!(camera.to_screen(pos2(100.0, -50.0)), camera.viewport.center());
    }

    #[test]
    fn zooming_keeps_what_is_under_the_pointer() {
        let mut camera = camera();
        let anchor = pos2(400.0, 130.0);
        let under = camera.to_page(anchor);
        for factor in [1.3, 1.3, 0.2, 5.0] {
            camera.zoom_at(factor, anchor);
            assert!((camera.to_page(anchor) - under).length() < 1e-2);
        }
        camera.zoom_at(1e9, anchor);
        assert_eq!(camera.zoom, MAX_ZOOM);
        camera.zoom_at(f32::NAN, anchor);
        camera.zoom_at(1e-12, anchor);
        assert_eq!(camera.zoom, MIN_ZOOM);
    }

    #[test]
    fn fitting_shows_all_of_it() {
        let mut camera = camera();
        let page = Rect::from_min_max(pos2(-4000.0, 0.0), pos2(5000.0, 300.0));
        camera.fit(page, 1.0);
        assert!(camera.visible().contains_rect(page));
        camera.fit(Rect::from_center_size(pos2(3.0, 3.0), vec2(1.0, 1.0)), 1.0);
        assert_eq!(camera.zoom, 1.0);
    }

    #[test]
    fn panning_follows_the_hand_and_ends_at_the_edge_of_the_world() {
        let mut camera = camera();
        let under = camera.to_page(pos2(500.0, 500.0));
        camera.pan(vec2(30.0, -10.0));
        assert!((camera.to_page(pos2(530.0, 490.0)) - under).length() < 1e-3);
        camera.pan(vec2(-1e9, f32::INFINITY));
        assert!(camera.center.x <= REACH && camera.center.y.is_finite());
    }
}
