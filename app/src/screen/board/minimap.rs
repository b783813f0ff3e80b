//! The whole page, small: where one is on it, where the others are, and a click to be elsewhere.

use conclave_crdt::Kind;
use egui::{Align2, Color32, Id, Mesh, Rect, Sense, Shape, Stroke, StrokeKind, Ui, WidgetInfo, WidgetType, vec2};

use super::{BoardScreen, island};
use crate::canvas::mesh::Inks;
use crate::canvas::rect_of;
use crate::intent::board::BoardIntent;
use crate::theme::Palette;
use crate::widget::Draw;

/// In points.
const SIZE: egui::Vec2 = vec2(168.0, 108.0);
/// Elements that are drawn on the map at most; of more every second, third … one.
const MOST: usize = 1_500;

/// What the map was made for, and the map.
#[derive(Clone)]
struct Map {
    version: u64,
    dark: bool,
    page: conclave_crdt::PageId,
    count: usize,
    world: Rect,
    /// In px of the page.
    mesh: std::sync::Arc<Mesh>,
}

pub(super) fn minimap_ui(ui: &mut Ui, area: Rect, view: &BoardScreen<'_>, draw: &mut Draw<'_>) {
    let Some(bounds) = view.board.drawn().bounds() else { return };
    island(ui, "map", area.right_bottom(), Align2::RIGHT_BOTTOM, |ui| {
        let palette = Palette::of(ui);
        let (rect, response) = ui.allocate_exact_size(SIZE, Sense::click_and_drag());
        let name = draw.t("board-minimap");
        response.widget_info(|| WidgetInfo::labeled(WidgetType::Button, true, &name));
        let map = map(ui, view, rect_of(&bounds), palette.dark);
        let camera = &view.board.machine.camera;
        let world = map.world.union(camera.visible());
        let scale = (SIZE.x / world.width().max(1.0)).min(SIZE.y / world.height().max(1.0));
        let to_map = |at: egui::Pos2| rect.center() + (at - world.center()) * scale;
        let painter = ui.painter().with_clip_rect(rect);
        let mut mesh = Mesh::clone(&map.mesh);
        for vertex in &mut mesh.vertices {
            vertex.pos = to_map(vertex.pos);
        }
        painter.add(Shape::mesh(mesh));
        let seen = Rect::from_min_max(to_map(camera.visible().min), to_map(camera.visible().max));
        painter.rect(seen, 2.0, palette.accent.gamma_multiply(0.08), Stroke::new(1.25, palette.accent), StrokeKind::Inside);
        for peer in &view.peers {
            if let Some(at) = peer.cursor {
                painter.circle_filled(to_map(at), 3.0, peer.colour);
            }
        }
        let pressed = response.dragged() || response.clicked();
        if let Some(at) = response.interact_pointer_pos().filter(|_| pressed) {
            draw.board(BoardIntent::LookAt(world.center() + (at - rect.center()) / scale));
        }
    });
}

fn map(ui: &Ui, view: &BoardScreen<'_>, world: Rect, dark: bool) -> Map {
    let id = Id::new("board_map");
    let page = view.board.drawn();
    // While something is drawn the map waits: it is of the page as it was.
    let version = view.board.truth.version();
    let known = ui.data(|data| data.get_temp::<Map>(id));
    if let Some(map) = known.filter(|map| {
        map.version == version && map.dark == dark && map.page == view.board.page && map.count == page.len() && map.world == world
    }) {
        return map;
    }
    let every = page.len().div_ceil(MOST).max(1);
    let mut mesh = Mesh::default();
    let inks = Inks { dark };
    let least = world.width().max(world.height()) / 160.0;
    for element in page.iter().step_by(every) {
        let bounds = rect_of(&element.bounds());
        let bounds = Rect::from_center_size(bounds.center(), bounds.size().max(vec2(least, least)));
        let colour = match element.kind {
            Kind::Frame => Color32::from_gray(128).gamma_multiply(0.15),
            Kind::Note => Inks::as_is(element.style.fill, 90),
            _ if element.style.fill.is_none() => inks.colour(element.style.stroke, 45),
            _ => inks.colour(element.style.fill, 90),
        };
        mesh.add_colored_rect(bounds, colour);
    }
    let map = Map { version, dark, page: view.board.page, count: page.len(), world, mesh: mesh.into() };
    ui.data_mut(|data| data.insert_temp(id, map.clone()));
    map
}
