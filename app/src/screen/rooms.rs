//! The home of the window: the rooms at the left, and in the middle what is chosen there.

use egui::{CentralPanel, Frame, Ui};

use crate::intent::Intent;
use crate::screen::board::BoardScreen;
use crate::screen::joining::{JoiningView, joining_ui};
use crate::screen::room::{RoomScreen, room_ui};
use crate::screen::sidebar::{SidebarView, sidebar_ui};
use crate::state::{AppState, Selected};
use crate::theme::{Palette, space};
use crate::widget::Draw;
use crate::widget::controls::{Button, Tone, empty_state};

#[derive(Debug, Clone, PartialEq)]
pub struct RoomsView {
    pub sidebar: SidebarView,
    pub middle: Middle,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Middle {
    /// No room yet: what to do first.
    First,
    /// Rooms, and none chosen.
    Choose,
    Room(Box<RoomScreen>),
    Joining(Box<JoiningView>),
}

impl From<&AppState> for RoomsView {
    fn from(state: &AppState) -> Self {
        let middle = match state.selected {
            Some(Selected::Room(room)) => RoomScreen::new(state, room).map(|screen| Middle::Room(Box::new(screen))),
            Some(Selected::Join(key)) => JoiningView::new(state, key).map(|view| Middle::Joining(Box::new(view))),
            None => None,
        };
        let nothing = if state.rooms.is_empty() { Middle::First } else { Middle::Choose };
        Self { sidebar: SidebarView::new(state), middle: middle.unwrap_or(nothing) }
    }
}

pub fn rooms_ui(ui: &mut Ui, view: &RoomsView, board: Option<&BoardScreen<'_>>, draw: &mut Draw<'_>) {
    sidebar_ui(ui, &view.sidebar, draw);
    let palette = Palette::of(ui);
    CentralPanel::no_frame().frame(Frame::new().fill(palette.window)).show(ui, |ui| {
        let edge = ui.max_rect();
        ui.painter().vline(edge.left() + 0.5, edge.y_range(), egui::Stroke::new(1.0, palette.line));
        match &view.middle {
            Middle::First => first_ui(ui, draw),
            Middle::Choose => {
                ui.add_space((ui.available_height() * 0.5 - 90.0).max(space::XL));
                empty_state(ui, egui_phosphor::regular::CHATS_CIRCLE, &draw.t("choose-title"), &draw.t("choose-body"));
            }
            Middle::Room(screen) => room_ui(ui, screen, board, draw),
            Middle::Joining(joining) => joining_ui(ui, joining, draw),
        }
    });
}

fn first_ui(ui: &mut Ui, draw: &mut Draw<'_>) {
    ui.add_space((ui.available_height() * 0.5 - 140.0).max(space::XL));
    empty_state(ui, egui_phosphor::regular::USERS_THREE, &draw.t("first-title"), &draw.t("first-body"));
    ui.add_space(space::M);
    ui.vertical_centered(|ui| {
        let (new, join) = (draw.t("new-meeting"), draw.t("join-by-link"));
        // Both buttons side by side, in the middle: their width is known after the first frame.
        let id = egui::Id::new("first_buttons");
        let width = ui.data(|data| data.get_temp::<f32>(id)).unwrap_or(320.0);
        ui.allocate_ui(egui::vec2(width, 36.0), |ui| {
            let row = ui.horizontal(|ui| {
                if Button::new(Tone::Primary, &new).icon(egui_phosphor::regular::PLUS).show(ui).clicked() {
                    draw.want(Intent::ShowNewRoom);
                }
                if Button::new(Tone::Secondary, &join).icon(egui_phosphor::regular::LINK_SIMPLE).show(ui).clicked() {
                    draw.want(Intent::ShowJoin);
                }
            });
            let measured = row.response.rect.width();
            if (measured - width).abs() > 0.5 {
                ui.data_mut(|data| data.insert_temp(id, measured));
                ui.ctx().request_repaint();
            }
        });
    });
}
