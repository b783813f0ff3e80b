//! What lies above the page and is of no page: the selection and its handles, guides, and the others with their names.

use egui::{Align2, Color32, CornerRadius, Painter, Pos2, Rect, Shape, Stroke, StrokeKind, Ui, pos2, vec2};

use super::{BoardScreen, Peer};
use crate::canvas::rect_of;
use crate::canvas::selection::{Frame, Handle};
use crate::canvas::tool::Tool;
use crate::text::displayable;
use crate::theme::{Palette, Weight, font};
use crate::widget::Draw;

const HANDLE: f32 = 9.0;
/// Longest part of a name beside a pointer, in characters.
const NAME: usize = 24;

pub(super) fn overlay_ui(ui: &Ui, area: Rect, view: &BoardScreen<'_>, draw: &Draw<'_>) {
    let palette = Palette::of(ui);
    let painter = ui.painter().with_clip_rect(area);
    let machine = &view.board.machine;
    let camera = machine.camera;
    for peer in &view.peers {
        others_selection(&painter, view, peer);
    }
    if let Some(target) = machine.catching.and_then(|id| view.board.shown.get(&id)) {
        let frame = Frame { rect: rect_of(&target.transform.rect()).expand(4.0 * machine.px()), angle: target.transform.angle };
        outline(&painter, view, &frame, Stroke::new(3.0, palette.accent.gamma_multiply(0.6)));
    }
    for guide in &machine.guides {
        let line = [camera.to_screen(guide.from), camera.to_screen(guide.to)];
        painter.line_segment(line, Stroke::new(1.0, palette.danger));
    }
    if let Some(marquee) = machine.marquee {
        let rect = camera.rect_to_screen(marquee);
        painter.rect(rect, 2.0, palette.accent.gamma_multiply(0.1), Stroke::new(1.0, palette.accent), StrokeKind::Inside);
    }
    selection(&painter, view, palette);
    if let Some(at) = machine.laser {
        laser(&painter, &[(camera.to_screen(at), 1.0)], palette.danger);
    }
    for peer in &view.peers {
        let trail: Vec<(Pos2, f32)> = peer.trail.iter().map(|(at, light)| (camera.to_screen(*at), *light)).collect();
        laser(&painter, &trail, peer.colour);
        if let Some(at) = peer.cursor {
            pointer(&painter, area, camera.to_screen(at), peer);
        }
    }
    if let Some(peer) = view.peers.iter().find(|peer| peer.followed) {
        painter.rect_stroke(area.shrink(2.0), 0.0, Stroke::new(3.0, peer.colour), StrokeKind::Inside);
        let words = draw.f("board-following", &[("name", displayable(&peer.name).into())]);
        tag(&painter, pos2(area.center().x, area.bottom() - 76.0), Align2::CENTER_CENTER, &words, peer.colour);
    }
}

fn outline(painter: &Painter, view: &BoardScreen<'_>, frame: &Frame, stroke: Stroke) {
    let camera = &view.board.machine.camera;
    painter.add(Shape::closed_line(frame.corners().map(|at| camera.to_screen(at)).to_vec(), stroke));
}

fn selection(painter: &Painter, view: &BoardScreen<'_>, palette: &Palette) {
    let machine = &view.board.machine;
    if machine.selection.is_empty() || machine.editing.is_some() || view.board.history.is_some() {
        return;
    }
    let shapes = machine.shown(&view.board.truth);
    let thin = Stroke::new(1.0, palette.accent.gamma_multiply(0.55));
    if shapes.len() > 1 {
        // Beyond so many the box around all of them says enough.
        for shape in shapes.iter().take(300) {
            if let Some(frame) = Frame::around([*shape]) {
                outline(painter, view, &frame, thin);
            }
        }
    }
    let camera = &machine.camera;
    let handle = |at: Pos2, round: bool| {
        let rect = Rect::from_center_size(at, vec2(HANDLE, HANDLE));
        let corner = if round { CornerRadius::same(5) } else { CornerRadius::same(2) };
        painter.rect(rect, corner, palette.card, Stroke::new(1.5, palette.accent), StrokeKind::Inside);
    };
    let fixed = !machine.can_edit || shapes.iter().any(|shape| shape.locked);
    if let Some(line) = machine.single_line(&view.board.shown) {
        if fixed {
            return;
        }
        for point in view.board.shown.points(line) {
            handle(camera.to_screen(crate::canvas::pos_of(&point)), true);
        }
        return;
    }
    let Some(frame) = machine.frame(&view.board.truth) else { return };
    outline(painter, view, &frame, Stroke::new(1.25, palette.accent));
    if fixed {
        let at = camera.to_screen(frame.handle(Handle::Side(1, -1), machine.px()));
        painter.text(
            at + vec2(10.0, -8.0),
            Align2::CENTER_CENTER,
            egui_phosphor::regular::LOCK,
            font(14.0, Weight::Regular),
            palette.accent,
        );
        return;
    }
    if machine.tool != Tool::Select {
        return;
    }
    let size = frame.rect.size() * camera.zoom;
    for (x, y) in Handle::AROUND {
        let corner = x != 0 && y != 0;
        let room = if x == 0 { size.x > 64.0 } else { size.y > 64.0 };
        if corner || room {
            handle(camera.to_screen(frame.handle(Handle::Side(x, y), machine.px())), false);
        }
    }
    handle(camera.to_screen(frame.handle(Handle::Turn, machine.px())), true);
}

fn others_selection(painter: &Painter, view: &BoardScreen<'_>, peer: &Peer) {
    let px = view.board.machine.px();
    for element in peer.selection.iter().filter_map(|id| view.board.shown.get(id)) {
        let frame = Frame { rect: rect_of(&element.transform.rect()).expand(3.0 * px), angle: element.transform.angle };
        outline(painter, view, &frame, Stroke::new(1.25, peer.colour));
    }
}

fn laser(painter: &Painter, trail: &[(Pos2, f32)], colour: Color32) {
    for pair in trail.windows(2) {
        if let [(a, one), (b, other)] = pair {
            let light = one.min(*other).clamp(0.0, 1.0);
            painter.line_segment([*a, *b], Stroke::new(2.0 + 3.0 * light, colour.gamma_multiply(light)));
        }
    }
    if let Some((at, light)) = trail.last() {
        painter.circle_filled(*at, 9.0, colour.gamma_multiply(0.25 * light));
        painter.circle_filled(*at, 4.0, colour.gamma_multiply(*light));
    }
}

/// Somebody's pointer with their name; at the edge of the canvas where they are beyond it.
fn pointer(painter: &Painter, area: Rect, at: Pos2, peer: &Peer) {
    let inner = area.shrink(14.0);
    let name: String = displayable(&peer.name).chars().take(NAME).collect();
    if !inner.contains(at) {
        tag(painter, inner.clamp(at), Align2::CENTER_CENTER, &name, peer.colour);
        return;
    }
    let tip = |x: f32, y: f32| at + vec2(x, y);
    // The arrow has a notch: two triangles.
    let (a, b, c, d) = (tip(0.0, 0.0), tip(4.6, 15.0), tip(7.4, 8.6), tip(14.2, 6.8));
    for half in [vec![a, b, c], vec![a, c, d]] {
        painter.add(Shape::convex_polygon(half, peer.colour, Stroke::new(1.0, peer.colour)));
    }
    tag(painter, at + vec2(14.0, 16.0), Align2::LEFT_TOP, &name, peer.colour);
}

fn tag(painter: &Painter, at: Pos2, anchor: Align2, words: &str, colour: Color32) {
    let galley = painter.layout_no_wrap(words.to_owned(), font(11.5, Weight::Semibold), Color32::WHITE);
    let rect = anchor.anchor_size(at, galley.size() + vec2(12.0, 6.0));
    let rect = rect.translate((painter.clip_rect().shrink(2.0).clamp(rect.max) - rect.max).min(vec2(0.0, 0.0)));
    painter.rect_filled(rect, 6.0, colour);
    painter.galley(rect.center() - galley.size() / 2.0, galley, Color32::WHITE);
}
