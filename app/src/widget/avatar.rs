//! A person as a coloured disc with initials. The colour follows from their key, the letters from their name; the key is never shown.

use conclave_node::view::RoomView;
use conclave_protocol::id::DeviceId;
use egui::{Color32, Pos2, Response, Sense, Stroke, Ui, Vec2, WidgetInfo, WidgetType};

use crate::state::AppState;
use crate::text::{displayable, initials};
use crate::theme::{Palette, Weight, font, person_colour};

/// What is drawn of a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    pub device: DeviceId,
    pub name: String,
    pub initials: String,
    pub colour: Color32,
}

impl Person {
    /// `key`: the account where it is known, so that somebody's two devices look alike.
    pub fn new(device: DeviceId, key: &[u8], name: &str) -> Self {
        let name = displayable(name);
        Self { device, initials: initials(&name), colour: person_colour(key), name }
    }

    /// A member of a room, or someone who was one.
    pub fn in_room(state: &AppState, room: Option<&RoomView>, device: DeviceId, fallback_name: &str) -> Self {
        match room.and_then(|room| room.members.iter().find(|member| member.device == device)) {
            Some(member) => Self::new(device, member.account.as_bytes(), &member.name),
            None if fallback_name.trim().is_empty() => Self::new(device, device.as_bytes(), &state.text.t("person-unknown")),
            None => Self::new(device, device.as_bytes(), fallback_name),
        }
    }
}

/// Draws the disc around `center`, `size` points wide.
pub fn paint(ui: &Ui, center: Pos2, size: f32, person: &Person) {
    let palette = Palette::of(ui);
    let fill = if palette.dark { person.colour } else { person.colour.lerp_to_gamma(Color32::WHITE, 0.06) };
    ui.painter().circle_filled(center, size / 2.0, fill);
    let letters = if person.initials.is_empty() { egui_phosphor::regular::USER } else { &person.initials };
    let text = font((size * 0.38).round(), Weight::Semibold);
    ui.painter().text(center, egui::Align2::CENTER_CENTER, letters, text, Color32::WHITE);
}

/// The disc as a widget; with a dot where presence is known.
pub fn avatar(ui: &mut Ui, size: f32, person: &Person, online: Option<bool>) -> Response {
    let (rect, response) = ui.allocate_exact_size(Vec2::splat(size), Sense::hover());
    response.widget_info(|| WidgetInfo::labeled(WidgetType::Image, true, &person.name));
    if ui.is_rect_visible(rect) {
        paint(ui, rect.center(), size, person);
        if let Some(online) = online {
            let palette = Palette::of(ui);
            let at = rect.center() + Vec2::splat(size * 0.36);
            let radius = (size * 0.15).max(3.5);
            ui.painter().circle_filled(at, radius + 2.0, palette.window);
            if online {
                ui.painter().circle_filled(at, radius, palette.success);
            } else {
                ui.painter().circle_stroke(at, radius - 0.75, Stroke::new(1.5, palette.faint));
            }
        }
    }
    response
}

/// A few overlapping discs, and how many more there are.
pub fn stack(ui: &mut Ui, size: f32, people: &[Person], most: usize, behind: Color32) {
    let palette = Palette::of(ui);
    let shown = people.len().min(most);
    let more = people.len() - shown;
    let count = shown + usize::from(more > 0);
    if count == 0 {
        return;
    }
    let step = size * 0.76;
    let (rect, response) = ui.allocate_exact_size(Vec2::new(size + step * (count - 1) as f32, size), Sense::hover());
    let names: Vec<&str> = people.iter().map(|person| person.name.as_str()).collect();
    let names = names.join(", ");
    response.widget_info(|| WidgetInfo::labeled(WidgetType::Image, true, &names));
    let center = |index: usize| Pos2::new(rect.left() + size / 2.0 + step * index as f32, rect.center().y);
    // From the last to the first, so that the first stands before the others.
    if more > 0 {
        ui.painter().circle_filled(center(shown), size / 2.0 + 2.0, behind);
        ui.painter().circle_filled(center(shown), size / 2.0, palette.raised);
        let text = font((size * 0.36).round(), Weight::Semibold);
        ui.painter().text(center(shown), egui::Align2::CENTER_CENTER, format!("+{more}"), text, palette.muted);
    }
    for (index, person) in people.iter().take(shown).enumerate().rev() {
        ui.painter().circle_filled(center(index), size / 2.0 + 2.0, behind);
        paint(ui, center(index), size, person);
    }
    response.on_hover_text(names);
}
