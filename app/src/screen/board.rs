//! The board: the page as wide as there is room, with the tools, the style, the pages and the map lying on it.

mod history;
mod input;
mod menu;
mod minimap;
mod overlay;
mod pages;
mod style_bar;
mod text_field;
mod toolbar;

use conclave_protocol::id::{DeviceId, RoomId};
use egui::{
    Align2, Color32, Frame, Id, Margin, Pos2, Rect, Response, RichText, Sense, Ui, UiBuilder, WidgetInfo, WidgetType, vec2,
};

use crate::canvas::live::TRAIL_MS;
use crate::canvas::mesh::Inks;
use crate::canvas::paint::Look;
use crate::intent::Intent;
use crate::intent::board::BoardIntent;
use crate::state::AppState;
use crate::state::board::Board;
use crate::theme::{Palette, Weight, font, person_colour, space};
use crate::widget::Draw;

/// Gap between the edge of the canvas and what lies on it.
const EDGE: f32 = 12.0;
/// Below this width of the canvas the style and the map give way.
const NARROW: f32 = 620.0;

/// The name of the canvas among the widgets: who has the keyboard there has the keys of the board.
pub fn canvas_id() -> Id {
    Id::new("board_canvas")
}

/// Somebody else at the board.
#[derive(Debug, Clone, PartialEq)]
pub struct Peer {
    pub device: DeviceId,
    pub name: String,
    pub colour: Color32,
    /// They look at another page.
    pub elsewhere: bool,
    /// Where their pointer is, on the page.
    pub cursor: Option<Pos2>,
    /// The way of their laser, each place with how much of its light is left.
    pub trail: Vec<(Pos2, f32)>,
    pub selection: Vec<conclave_crdt::ElementId>,
    pub followed: bool,
}

/// The board as it is drawn.
pub struct BoardScreen<'a> {
    pub room: RoomId,
    pub board: &'a Board,
    pub peers: Vec<Peer>,
    /// Who made the moment of the history that is shown.
    pub moment_by: Option<String>,
}

impl<'a> BoardScreen<'a> {
    pub fn new(state: &'a AppState) -> Option<Self> {
        let board = state.board()?;
        let peers = board.others.iter().map(|(device, other)| Peer {
            device: *device,
            name: state.person_name(Some(board.room), *device),
            colour: person_colour(
                state.member(board.room, *device).map_or(device.as_bytes(), |member| member.account.as_bytes()),
            ),
            elsewhere: other.page != Some(board.page),
            cursor: other.cursor.filter(|_| other.page == Some(board.page)),
            trail: other
                .trail
                .iter()
                .map(|(at, told)| (*at, 1.0 - state.now_ms.saturating_sub(*told) as f32 / TRAIL_MS as f32))
                .collect(),
            selection: if other.page == Some(board.page) { other.selection.clone() } else { Vec::new() },
            followed: board.following == Some(*device),
        });
        let peers = peers.filter(|peer| peer.cursor.is_some() || peer.elsewhere || !peer.selection.is_empty()).collect();
        let moment = board.history.as_ref().and_then(|history| history.moments.get(history.at));
        let moment_by = moment.and_then(|moment| moment.device).map(|device| state.person_name(Some(board.room), device));
        Some(Self { room: board.room, board, peers, moment_by })
    }
}

impl Draw<'_> {
    /// A wish for the board.
    pub fn board(&mut self, intent: BoardIntent) {
        self.want(Intent::Board(intent));
    }
}

pub fn board_ui(ui: &mut Ui, view: &BoardScreen<'_>, draw: &mut Draw<'_>) {
    let palette = Palette::of(ui);
    let area = ui.available_rect_before_wrap();
    let board = view.board;
    ui.painter().rect_filled(area, 0.0, paper(palette));
    if board.machine.camera.viewport != area {
        draw.board(BoardIntent::Viewport(area));
    }
    let canvas = ui.interact(area, canvas_id(), Sense::click_and_drag());
    // Who opens the board means to use it: the next key is for it.
    let (shown, pass) = (canvas_id().with("shown"), ui.ctx().cumulative_pass_nr());
    let before = ui.data_mut(|data| std::mem::replace(data.get_temp_mut_or_default::<u64>(shown), pass));
    if before + 1 < pass && ui.memory(|memory| memory.focused().is_none()) {
        canvas.request_focus();
    }
    let name = canvas_name(view, draw);
    canvas.widget_info(|| WidgetInfo::labeled(WidgetType::Other, true, &name));
    page_ui(ui, area, view, draw);
    overlay::overlay_ui(ui, area, view, draw);
    text_field::text_field_ui(ui, view, draw);
    input::input_ui(ui, &canvas, view, draw);
    menu::context_menu_ui(&canvas, view, draw);

    let inner = area.shrink(EDGE);
    toolbar::toolbar_ui(ui, inner, view, draw);
    let wide = area.width() >= NARROW;
    if wide && board.machine.can_edit {
        style_bar::style_bar_ui(ui, inner, view, draw);
    }
    pages::pages_ui(ui, inner, view, draw);
    if wide && board.minimap && area.height() > 360.0 {
        minimap::minimap_ui(ui, inner, view, draw);
    }
    if board.history.is_some() {
        history::history_ui(ui, inner, view, draw);
    } else {
        hint_ui(ui, inner, view, draw);
    }
    if canvas.has_focus() {
        let ring = egui::Stroke::new(1.5, palette.accent.gamma_multiply(0.55));
        ui.painter().rect_stroke(area.shrink(1.0), 0.0, ring, egui::StrokeKind::Inside);
    }
}

/// What the page lies on.
pub fn paper(palette: &Palette) -> Color32 {
    if palette.dark { Color32::from_rgb(0x12, 0x13, 0x17) } else { Color32::WHITE }
}

/// What a screen reader says of the canvas: the page, and what is selected.
fn canvas_name(view: &BoardScreen<'_>, draw: &Draw<'_>) -> String {
    let count = view.board.drawn().len();
    let mut name = draw.f("board-canvas", &[("count", count.into())]);
    let shown = view.board.machine.shown(&view.board.truth);
    match shown.as_slice() {
        [] => {}
        [shape] => {
            let kind = draw.t(kind_text(shape.kind));
            let said = if shape.text.is_empty() { kind } else { format!("{kind}: {}", crate::text::displayable(&shape.text)) };
            name = format!("{name}. {}", draw.f("board-selected", &[("what", said.into())]));
        }
        many => name = format!("{name}. {}", draw.f("board-selected-many", &[("count", many.len().into())])),
    }
    name
}

/// The key of the name of a kind.
pub fn kind_text(kind: conclave_crdt::Kind) -> &'static str {
    use conclave_crdt::Kind;
    match kind {
        Kind::Pen => "board-kind-pen",
        Kind::Rect => "board-tool-rect",
        Kind::Ellipse => "board-tool-ellipse",
        Kind::Diamond => "board-tool-diamond",
        Kind::Line => "board-tool-line",
        Kind::Arrow => "board-tool-arrow",
        Kind::Text => "board-tool-text",
        Kind::Note => "board-tool-note",
        Kind::Image => "board-kind-image",
        Kind::Frame => "board-tool-frame",
    }
}

fn page_ui(ui: &mut Ui, area: Rect, view: &BoardScreen<'_>, draw: &mut Draw<'_>) {
    let palette = Palette::of(ui);
    let board = view.board;
    if board.machine.grid {
        grid_ui(ui, area, view);
    }
    let painted = &mut *draw.painted;
    let mut pictures = std::mem::take(&mut painted.pictures);
    let images = pictures.textures(ui.ctx(), board.pictures.here().filter(|(name, _)| painted.shows(name)));
    painted.pictures = pictures;
    let look = Look {
        camera: board.machine.camera,
        inks: Inks { dark: palette.dark },
        editing: board.machine.editing.as_ref().map(|editing| editing.id),
        fading: &board.machine.erasing,
        frame_name: &draw.t("board-tool-frame"),
        images: &images,
    };
    for (clip, shape) in draw.painted.shapes(ui.ctx(), board.drawn(), &look) {
        ui.painter().with_clip_rect(clip.intersect(area)).add(shape);
    }
    if board.loaded && board.drawn().is_empty() && !board.machine.is_busy() && board.machine.editing.is_none() {
        let words = draw.t(if board.can_edit { "board-empty" } else { "board-empty-viewer" });
        ui.painter().text(area.center(), Align2::CENTER_CENTER, words, font(15.0, Weight::Regular), palette.faint);
    }
}

/// Dots where lines of the grid cross; fewer the farther away one looks.
fn grid_ui(ui: &Ui, area: Rect, view: &BoardScreen<'_>) {
    const MOST: i32 = 12_000;
    let camera = &view.board.machine.camera;
    let step = camera.grid_step(crate::canvas::machine::GRID, 14.0);
    let seen = camera.visible();
    let (first_x, last_x) = ((seen.left() / step).floor() as i32, (seen.right() / step).ceil() as i32);
    let (first_y, last_y) = ((seen.top() / step).floor() as i32, (seen.bottom() / step).ceil() as i32);
    if (last_x - first_x) * (last_y - first_y) > MOST {
        return;
    }
    let colour = Palette::of(ui).line;
    let mut mesh = egui::Mesh::default();
    for x in first_x..=last_x {
        for y in first_y..=last_y {
            let at = camera.to_screen(egui::pos2(x as f32 * step, y as f32 * step));
            mesh.add_colored_rect(Rect::from_center_size(at, vec2(1.6, 1.6)), colour);
        }
    }
    ui.painter().with_clip_rect(area).add(egui::Shape::mesh(mesh));
}

/// A surface that lies on the canvas; the pointer does not reach through it.
fn island(ui: &mut Ui, name: &str, at: Pos2, anchor: Align2, add: impl FnOnce(&mut Ui)) -> Rect {
    let palette = Palette::of(ui);
    let id = Id::new(("board_island", name));
    // Its size is known after it was drawn once; it lies where that size puts it.
    let size = ui.data(|data| data.get_temp::<egui::Vec2>(id)).unwrap_or(vec2(200.0, 44.0));
    let rect = anchor.anchor_size(at, size);
    ui.interact(rect, id.with("ground"), Sense::CLICK | Sense::DRAG);
    let mut child = ui.new_child(UiBuilder::new().id_salt(id).max_rect(Rect::from_min_size(rect.min, vec2(4000.0, 4000.0))));
    let frame = Frame::new()
        .fill(palette.card)
        .stroke(egui::Stroke::new(1.0, palette.line))
        .corner_radius(12)
        .shadow(egui::Shadow {
            offset: [0, 2],
            blur: 12,
            spread: 0,
            color: Color32::from_black_alpha(if palette.dark { 90 } else { 24 }),
        })
        .inner_margin(Margin::same(5));
    let shown = frame.show(&mut child, |ui| {
        ui.spacing_mut().item_spacing = vec2(3.0, 3.0);
        add(ui);
    });
    let now = shown.response.rect.size();
    if (now - size).length() > 0.5 {
        ui.data_mut(|data| data.insert_temp(id, now));
        ui.ctx().request_repaint();
    }
    shown.response.rect
}

/// One line about what the tool does, or why nothing can be done.
fn hint_ui(ui: &mut Ui, area: Rect, view: &BoardScreen<'_>, draw: &Draw<'_>) {
    use crate::canvas::tool::Tool;
    let machine = &view.board.machine;
    let key = if view.board.loaded && !view.board.can_edit {
        "board-viewer"
    } else if machine.makes_line() {
        "board-hint-line-more"
    } else {
        match machine.tool {
            Tool::Line | Tool::Arrow if area.width() > NARROW => "board-hint-line",
            Tool::Eraser => "board-hint-eraser",
            Tool::Text if machine.editing.is_none() => "board-hint-text",
            _ => return,
        }
    };
    let palette = Palette::of(ui);
    let words = draw.t(key);
    let at = egui::pos2(area.center().x, area.top() + 58.0);
    let galley = ui.painter().layout_no_wrap(words.clone(), font(12.5, Weight::Regular), palette.muted);
    let rect = Rect::from_center_size(at, galley.size() + vec2(20.0, 8.0));
    ui.painter().rect_filled(rect, 8.0, paper(palette).gamma_multiply(0.85));
    let response = ui.interact(rect, Id::new("board_hint"), Sense::hover());
    response.widget_info(|| WidgetInfo::labeled(WidgetType::Label, true, &words));
    ui.painter().galley(rect.center() - galley.size() / 2.0, galley, palette.muted);
}

/// A small heading within an island.
fn caption(ui: &mut Ui, words: &str) {
    let palette = Palette::of(ui);
    ui.label(RichText::new(words).font(font(11.0, Weight::Medium)).color(palette.faint));
    ui.add_space(-space::XS / 2.0);
}

/// Focus goes to the canvas: after a tool was chosen the next key is for it.
fn to_canvas(ui: &Ui, response: &Response) -> bool {
    let clicked = response.clicked();
    // By the keyboard one stays on the control, and goes on with Tab.
    if clicked && ui.input(|input| input.pointer.any_released() || input.pointer.any_click()) {
        ui.memory_mut(|memory| memory.request_focus(canvas_id()));
    }
    clicked
}
