//! One stream of a call on the stage, and how tiles share the room there is. The arithmetic is pure.

use conclave_node::view::{LinkState, PictureKey};
use egui::{
    Align2, Color32, CornerRadius, CursorIcon, Pos2, Rect, Sense, Stroke, StrokeKind, Ui, Vec2, WidgetInfo, WidgetType, pos2,
    vec2,
};

use crate::intent::{Intent, TileKey};
use crate::theme::{Palette, Weight, fill_icon, font, radius, space};
use crate::widget::Draw;
use crate::widget::avatar::{self, Person};

/// What a tile shows.
#[derive(Debug, Clone, PartialEq)]
pub struct Tile {
    pub key: TileKey,
    pub person: Person,
    /// As on the name plate.
    pub label: String,
    /// For a screen reader: name and states.
    pub spoken: String,
    /// Where the stream is on.
    pub picture: Option<PictureKey>,
    pub screen: bool,
    pub mirrored: bool,
    pub mic_on: bool,
    pub deafened: bool,
    pub recording: bool,
    pub speaking: bool,
    /// Its place in the queue of hands, from 1.
    pub hand: Option<usize>,
    pub pinned: bool,
    pub link: Option<LinkState>,
    /// Words for the link's state, where it is not as it should be.
    pub trouble: Option<String>,
    /// Figures for the tooltip.
    pub figures: Option<String>,
}

const GAP: f32 = 10.0;
const ASPECT: f32 = 16.0 / 9.0;

/// The rectangles of `count` equal tiles that use `area` best.
pub fn grid(area: Rect, count: usize) -> Vec<Rect> {
    if count == 0 {
        return Vec::new();
    }
    let size = |columns: usize| {
        let rows = count.div_ceil(columns);
        let width = (area.width() - GAP * (columns - 1) as f32) / columns as f32;
        let height = (area.height() - GAP * (rows - 1) as f32) / rows as f32;
        // A picture may be cut a little at its sides, but a tile is never taller than it is wide.
        let width_of = width.min(height * ASPECT);
        vec2(width_of, height.min(width_of / 1.2)).max(Vec2::ZERO)
    };
    let columns = (1..=count)
        .max_by(|a, b| {
            let area = |columns: usize| {
                let size = size(columns);
                size.x.min(size.y * ASPECT) * size.y.min(size.x / ASPECT)
            };
            area(*a).total_cmp(&area(*b)).then(b.cmp(a))
        })
        .unwrap_or(1);
    let tile = size(columns);
    let rows = count.div_ceil(columns);
    let top = area.center().y - (tile.y * rows as f32 + GAP * (rows - 1) as f32) / 2.0;
    (0..count)
        .map(|index| {
            let (row, column) = (index / columns, index % columns);
            let in_row = if row + 1 == rows { count - row * columns } else { columns };
            let left = area.center().x - (tile.x * in_row as f32 + GAP * (in_row - 1) as f32) / 2.0;
            Rect::from_min_size(pos2(left + (tile.x + GAP) * column as f32, top + (tile.y + GAP) * row as f32), tile)
        })
        .collect()
}

/// One large tile and a strip of small ones beside it, or below where the room is tall.
pub fn spotlight(area: Rect, others: usize) -> (Rect, Vec<Rect>) {
    if others == 0 {
        return (area, Vec::new());
    }
    if area.width() > area.height() * 1.15 {
        let width = (area.width() * 0.2).clamp(132.0, 240.0);
        let height = (width / ASPECT).min((area.height() - GAP * (others - 1) as f32) / others as f32);
        let main = Rect::from_min_max(area.min, pos2(area.right() - width - GAP, area.bottom()));
        let strip = height * others as f32 + GAP * (others - 1) as f32;
        let top = area.center().y - strip / 2.0;
        let at = |index: usize| pos2(area.right() - width, top + (height + GAP) * index as f32);
        (main, (0..others).map(|index| Rect::from_min_size(at(index), vec2(width, height))).collect())
    } else {
        let height = (area.height() * 0.18).clamp(84.0, 140.0);
        let width = (height * ASPECT).min((area.width() - GAP * (others - 1) as f32) / others as f32);
        let main = Rect::from_min_max(area.min, pos2(area.right(), area.bottom() - height - GAP));
        let strip = width * others as f32 + GAP * (others - 1) as f32;
        let left = area.center().x - strip / 2.0;
        let at = |index: usize| pos2(left + (width + GAP) * index as f32, area.bottom() - height);
        (main, (0..others).map(|index| Rect::from_min_size(at(index), vec2(width, height))).collect())
    }
}

/// Where a picture of `size` lands in `rect`, and which part of it is shown: whole where `whole`, else filling the tile.
fn fit(rect: Rect, size: Vec2, whole: bool) -> (Rect, Rect) {
    let all = Rect::from_min_max(Pos2::ZERO, pos2(1.0, 1.0));
    if size.x <= 0.0 || size.y <= 0.0 {
        return (rect, all);
    }
    if whole {
        let scale = (rect.width() / size.x).min(rect.height() / size.y);
        return (Rect::from_center_size(rect.center(), size * scale), all);
    }
    let scale = (rect.width() / size.x).max(rect.height() / size.y);
    let part = rect.size() / (size * scale);
    // Rather bands beside a face than a face that is cut.
    if part.x.min(part.y) < 0.7 {
        return fit(rect, size, true);
    }
    (rect, Rect::from_center_size(pos2(0.5, 0.5), part))
}

/// Draws a picture with round corners; from right to left where `mirrored`.
pub fn paint_picture(ui: &Ui, rect: Rect, shown: crate::texture::Shown, whole: bool, mirrored: bool, corner: u8) {
    let (target, mut uv) = fit(rect, shown.size, whole);
    if mirrored {
        std::mem::swap(&mut uv.min.x, &mut uv.max.x);
    }
    let corner = if target == rect { CornerRadius::same(corner) } else { CornerRadius::same(4) };
    ui.painter().add(egui::epaint::RectShape::filled(target, corner, Color32::WHITE).with_texture(shown.texture, uv));
}

pub fn tile_ui(ui: &mut Ui, rect: Rect, tile: &Tile, draw: &mut Draw<'_>) {
    let palette = Palette::of(ui);
    let id = ui.id().with(("tile", tile.key));
    let response = ui.interact(rect, id, Sense::click());
    response.widget_info(|| WidgetInfo::selected(WidgetType::Button, true, tile.pinned, &tile.spoken));
    let fill = if tile.screen { Color32::BLACK } else { palette.tile };
    ui.painter().rect_filled(rect, CornerRadius::same(radius::TILE), fill);

    let mismatch = matches!(tile.link, Some(LinkState::Mismatch | LinkState::KeyChanged));
    let shown = tile.picture.filter(|_| !mismatch).and_then(|key| draw.picture(ui.ctx(), key));
    match shown {
        Some(shown) => paint_picture(ui, rect, shown, tile.screen, tile.mirrored, radius::TILE),
        None if tile.screen => {
            let size = (rect.height() * 0.16).clamp(20.0, 48.0);
            let colour = Color32::from_white_alpha(120);
            ui.painter().text(
                rect.center(),
                Align2::CENTER_CENTER,
                egui_phosphor::regular::MONITOR,
                font(size, Weight::Regular),
                colour,
            );
        }
        None => avatar::paint(ui, rect.center(), (rect.height() * 0.36).clamp(32.0, 132.0), &tile.person),
    }
    let waiting = matches!(tile.link, Some(LinkState::Reconnecting | LinkState::Connecting));
    if waiting && shown.is_some() {
        ui.painter().rect_filled(rect, CornerRadius::same(radius::TILE), Color32::from_black_alpha(110));
    }
    let ring =
        ui.ctx().animate_bool_with_time(id.with("ring"), tile.speaking, if draw.settings.reduced_motion { 0.0 } else { 0.15 });
    if ring > 0.0 {
        let stroke = Stroke::new(3.0, palette.success.gamma_multiply(ring));
        ui.painter().rect_stroke(rect, CornerRadius::same(radius::TILE), stroke, StrokeKind::Inside);
    }
    name_plate(ui, rect, tile);
    if let Some(trouble) = &tile.trouble {
        trouble_pill(ui, rect, trouble, mismatch);
    }
    if let Some(place) = tile.hand {
        let at = rect.left_top() + vec2(26.0, 20.0);
        ui.painter().rect_filled(Rect::from_center_size(at, vec2(42.0, 26.0)), CornerRadius::same(13), palette.accent);
        let words = format!("{} {place}", egui_phosphor::regular::HAND);
        ui.painter().text(at, Align2::CENTER_CENTER, words, font(14.0, Weight::Semibold), palette.on_accent);
    }
    let mut corner = rect.right_top() + vec2(-20.0, 20.0);
    for (on, icon, colour) in [
        (tile.pinned, egui_phosphor::fill::PUSH_PIN, Color32::WHITE),
        (tile.recording, egui_phosphor::fill::RECORD, Palette::DARK.danger_hover),
        (tile.deafened, egui_phosphor::fill::SPEAKER_SLASH, Color32::WHITE),
    ] {
        if on {
            ui.painter().circle_filled(corner, 13.0, Color32::from_black_alpha(150));
            ui.painter().text(corner, Align2::CENTER_CENTER, icon, fill_icon(14.0), colour);
            corner.x -= 30.0;
        }
    }
    if response.hovered() && !tile.pinned && rect.width() > 150.0 {
        ui.painter().circle_filled(corner, 13.0, Color32::from_black_alpha(120));
        let colour = Color32::from_white_alpha(220);
        ui.painter().text(corner, Align2::CENTER_CENTER, egui_phosphor::regular::PUSH_PIN, font(14.0, Weight::Regular), colour);
    }
    crate::widget::controls::focus_ring(ui, &response, rect, f32::from(radius::TILE));
    let response = response.on_hover_cursor(CursorIcon::PointingHand);
    let response = match &tile.figures {
        Some(figures) => response.on_hover_text_at_pointer(figures),
        None => response,
    };
    if response.clicked() {
        draw.want(Intent::Pin(tile.key));
    }
}

fn name_plate(ui: &Ui, rect: Rect, tile: &Tile) {
    let small = rect.width() < 170.0;
    let size = if small { 11.5 } else { 13.0 };
    let (icon, colour) = if tile.screen {
        (Some(egui_phosphor::fill::MONITOR), Color32::WHITE)
    } else if tile.mic_on {
        (None, Color32::WHITE)
    } else {
        (Some(egui_phosphor::fill::MICROPHONE_SLASH), Palette::DARK.danger_hover)
    };
    let icon = icon.map(|icon| ui.painter().layout_no_wrap(icon.to_owned(), fill_icon(size + 1.0), colour));
    let icon_width = icon.as_ref().map_or(0.0, |icon| icon.size().x + 5.0);
    let room = rect.width() - 2.0 * space::S - 16.0 - icon_width;
    if room < 12.0 {
        return;
    }
    let mut job = egui::text::LayoutJob::simple_singleline(tile.label.clone(), font(size, Weight::Medium), Color32::WHITE);
    job.wrap = egui::text::TextWrapping::truncate_at_width(room);
    let galley = ui.painter().layout_job(job);
    let height = if small { 22.0 } else { 26.0 };
    let plate = Rect::from_min_size(
        pos2(rect.left() + space::S, rect.bottom() - space::S - height),
        vec2(galley.size().x + icon_width + 16.0, height),
    );
    ui.painter().rect_filled(plate, CornerRadius::same(7), Color32::from_black_alpha(150));
    let mut x = plate.left() + 8.0;
    if let Some(icon) = icon {
        ui.painter().galley(pos2(x, plate.center().y - icon.size().y / 2.0), icon, colour);
        x += icon_width;
    }
    ui.painter().galley(pos2(x, plate.center().y - galley.size().y / 2.0), galley, Color32::WHITE);
}

fn trouble_pill(ui: &Ui, rect: Rect, words: &str, bad: bool) {
    let icon = if bad { egui_phosphor::regular::SHIELD_WARNING } else { egui_phosphor::regular::ARROWS_CLOCKWISE };
    let room = (rect.width() - 40.0).max(20.0);
    let mut job = egui::text::LayoutJob::simple(format!("{icon}  {words}"), font(12.5, Weight::Medium), Color32::WHITE, room);
    job.halign = egui::Align::Center;
    let galley = ui.painter().layout_job(job);
    let center = pos2(rect.center().x, rect.top() + 14.0 + galley.size().y / 2.0 + 5.0);
    let plate = Rect::from_center_size(center, galley.size() + vec2(22.0, 10.0));
    let fill = if bad { Palette::LIGHT.danger } else { Color32::from_black_alpha(180) };
    ui.painter().rect_filled(plate, CornerRadius::same(13), fill);
    ui.painter().galley(pos2(plate.center().x, plate.top() + 5.0), galley, Color32::WHITE);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing)]
    use super::*;

    const AREA: Rect = Rect { min: Pos2::ZERO, max: pos2(1280.0, 640.0) };

    #[test]
    fn tiles_fill_the_stage_without_overlap() {
        for count in 1..=9 {
            let tiles = grid(AREA, count);
            assert_eq!(tiles.len(), count);
            for (index, tile) in tiles.iter().enumerate() {
                assert!(AREA.expand(0.5).contains_rect(*tile), "{count}: {tile:?}");
                assert!(tile.width() > 150.0 && tile.height() > 100.0, "{count}: {tile:?}");
                for other in &tiles[..index] {
                    assert!(!tile.shrink(0.5).intersects(*other), "{count}");
                }
            }
        }
    }

    #[test]
    fn two_people_stand_side_by_side_on_a_wide_stage() {
        let tiles = grid(AREA, 2);
        assert!((tiles[0].top() - tiles[1].top()).abs() < 0.5);
        let tall = grid(Rect::from_min_size(Pos2::ZERO, vec2(400.0, 800.0)), 2);
        assert!((tall[0].left() - tall[1].left()).abs() < 0.5);
    }

    #[test]
    fn spotlight_leaves_most_of_the_room_to_one() {
        for others in 0..=7 {
            let (main, strip) = spotlight(AREA, others);
            assert_eq!(strip.len(), others);
            assert!(main.area() > AREA.area() * 0.7);
            assert!(strip.iter().all(|tile| AREA.expand(0.5).contains_rect(*tile) && !tile.intersects(main)));
        }
    }

    #[test]
    fn a_shared_screen_is_never_cut() {
        let (target, uv) = fit(AREA, vec2(1000.0, 1000.0), true);
        assert!((target.width() - 640.0).abs() < 0.5 && uv == Rect::from_min_max(Pos2::ZERO, pos2(1.0, 1.0)));
        let (target, uv) = fit(AREA, vec2(1600.0, 1000.0), false);
        assert!(target == AREA && (uv.height() - 0.8).abs() < 0.01);
        assert!(fit(AREA, vec2(480.0, 640.0), false).0 != AREA, "nor is a face cut in two");
    }
}
