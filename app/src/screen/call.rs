//! The call: pictures on the stage, a bar of controls below, panels at the right. It draws what the node says and nothing more.

mod bar;
mod head;
mod tiles;

use conclave_node::view::RoleView;
use conclave_protocol::id::RoomId;
use egui::{Align, CentralPanel, Frame, Layout, Margin, Panel as Side, Rect, Ui, pos2, vec2};

use crate::clock;
use crate::intent::{Intent, Panel};
use crate::keys::{Action, key_of};
use crate::screen::board::{BoardScreen, board_ui};
use crate::screen::room::{panel_head, panel_ui, side_panel};
use crate::state::settings::CallLayout;
use crate::state::{AppState, Place};
use crate::text::displayable;
use crate::theme::{Palette, space};
use crate::widget::Draw;
use crate::widget::call_signs::{FloatingView, floating_ui, hint_ui};
use crate::widget::call_stats::{PersonFigures, figures, stats_ui};
use crate::widget::chat::{ChatView, chat_ui};
use crate::widget::composer::{ComposerView, composer_ui, focus_when_opened};
use crate::widget::controls::{Button, Tone, muted};
use crate::widget::files::FilesView;
use crate::widget::invite::InviteView;
use crate::widget::people::PeopleView;
use crate::widget::video_tile::{Tile, grid, spotlight, tile_ui};

use bar::bar_ui;
use head::head_ui;
use tiles::{spotlight_index, tiles};

#[derive(Debug, Clone, PartialEq)]
pub struct CallScreen {
    pub room: RoomId,
    pub name: String,
    pub time: String,
    pub alone: bool,
    /// Whom the recording marks: who records, where it is not only oneself.
    pub recording: Option<String>,
    pub layout: CallLayout,
    /// In the order of the stage; in the spotlight the first is the large one.
    pub tiles: Vec<Tile>,
    pub spotlight: bool,
    pub floating: Vec<FloatingView>,
    /// Names of those whose hand is up, in order.
    pub hands: Vec<String>,
    pub my_hand: bool,
    /// A word to whoever talks while muted.
    pub hint: Option<String>,
    pub leads: bool,
    pub figures: Vec<PersonFigures>,
    pub mic_on: bool,
    pub talking: bool,
    pub camera_on: bool,
    pub sharing: bool,
    pub deafened: bool,
    pub i_record: bool,
    pub unread: u32,
    pub knocks: u32,
    pub panel: Option<Panel>,
    pub chat: Option<ChatView>,
    pub composer: Option<ComposerView>,
    pub people: Option<PeopleView>,
    pub invite: Option<InviteView>,
    pub files: Option<FilesView>,
}

impl CallScreen {
    pub fn new(state: &AppState) -> Option<Self> {
        let call = state.call.as_ref().filter(|_| matches!(state.place, Place::Call))?;
        let room = state.room(call.room);
        let mut tiles = tiles(state, call, room);
        // One share takes the spotlight; several become tiles.
        let shares = tiles.iter().filter(|tile| tile.screen && tile.key.device.is_some()).count() == 1;
        // A share takes the spotlight whatever the layout, unless it is only one's own.
        let in_spotlight =
            tiles.len() > 1 && (shares || state.stage.pinned.is_some() || state.settings.layout == CallLayout::Spotlight);
        if in_spotlight {
            let first = spotlight_index(state, &tiles);
            let tile = tiles.remove(first);
            tiles.insert(0, tile);
        }
        let recorders: Vec<String> = call
            .people
            .iter()
            .filter(|person| person.recording)
            .map(|person| state.person_name(Some(call.room), person.device))
            .collect();
        Some(Self {
            room: call.room,
            name: state.room_name(call.room),
            time: clock::duration(state.now_ms.saturating_sub(call.since_ms)),
            alone: call.people.is_empty(),
            recording: (!recorders.is_empty()).then(|| recorders.join(", ")),
            layout: state.settings.layout,
            spotlight: in_spotlight,
            floating: floating(state, call.room),
            hands: call.hands.iter().map(|device| hand_name(state, call.room, *device)).collect(),
            my_hand: call.me.hand_ms.is_some(),
            hint: (call.me.talking_muted && !call.me.deafened).then(|| {
                let key = key_of(&state.settings, Action::Talk).name();
                state.text.f("call-muted-hint", &[("key", key.into())])
            }),
            leads: room.is_some_and(|room| room.my_role >= RoleView::Admin),
            figures: if state.panel == Some(Panel::Stats) { figures(state) } else { Vec::new() },
            tiles,
            mic_on: call.me.mic_on,
            talking: state.stage.talking,
            camera_on: call.me.camera.is_some(),
            sharing: call.me.screen.is_some(),
            deafened: call.me.deafened,
            i_record: call.me.recording.is_some(),
            unread: room.map_or(0, |room| room.unread),
            knocks: room.map_or(0, |room| room.knocks.len() as u32),
            panel: state.panel,
            chat: room.map(|room| ChatView::new(state, room)),
            composer: room.map(|room| ComposerView::new(state, room)),
            people: room.map(|room| PeopleView::new(state, room)),
            invite: room.map(|room| InviteView::new(state, room)),
            files: room.map(|room| FilesView::new(state, room)),
        })
    }
}

fn hand_name(state: &AppState, room: RoomId, device: conclave_protocol::id::DeviceId) -> String {
    match &state.profile {
        Some(me) if me.device == device => state.text.t("you"),
        _ => state.person_name(Some(room), device),
    }
}

fn floating(state: &AppState, room: RoomId) -> Vec<FloatingView> {
    let views = state.stage.signs.floating(state.now_ms).map(|floating| FloatingView {
        device: floating.device,
        name: hand_name(state, room, floating.device),
        emoji: floating.emoji.clone(),
        age_ms: state.now_ms.saturating_sub(floating.since_ms),
    });
    views.collect()
}

pub fn call_ui(ui: &mut Ui, view: &CallScreen, board: Option<&BoardScreen<'_>>, draw: &mut Draw<'_>) {
    let palette = Palette::of(ui);
    let stage = Frame::new().fill(palette.stage);
    Side::top("call_head")
        .show_separator_line(false)
        .frame(stage.inner_margin(Margin { left: 12, right: 16, top: 10, bottom: 6 }))
        .show(ui, |ui| head_ui(ui, view, draw));
    Side::bottom("call_bar")
        .show_separator_line(false)
        .frame(stage.inner_margin(Margin { left: 16, right: 16, top: 8, bottom: 14 }))
        .show(ui, |ui| bar_ui(ui, view, board.is_some(), draw));
    if let Some(panel) = view.panel {
        side_panel(ui, "call_panel", |ui| match panel {
            Panel::Chat => chat_panel_ui(ui, view, draw),
            Panel::Stats => {
                panel_head(ui, &draw.t("stats-title"), Intent::OpenPanel(None), draw);
                stats_ui(ui, &view.figures, draw);
            }
            Panel::People | Panel::Invite | Panel::Files => {
                if let (Some(people), Some(invite), Some(files)) = (&view.people, &view.invite, &view.files) {
                    panel_ui(ui, Some(panel), people, invite, files, draw);
                }
            }
        });
    }
    CentralPanel::no_frame().frame(stage.inner_margin(Margin::symmetric(16, 2))).show(ui, |ui| match board {
        Some(board) => beside_board_ui(ui, view, board, draw),
        None => stage_ui(ui, view, draw),
    });
}

/// The board takes the stage; the people stand in a column at its right.
fn beside_board_ui(ui: &mut Ui, view: &CallScreen, board: &BoardScreen<'_>, draw: &mut Draw<'_>) {
    const COLUMN: f32 = 208.0;
    let area = ui.max_rect();
    let column = if area.width() > 860.0 { COLUMN.min(area.width() * 0.25) } else { 0.0 };
    let mut canvas = area;
    if column > 0.0 {
        canvas.max.x -= column + space::M;
        let people = Rect::from_min_max(pos2(canvas.right() + space::M, area.top()), area.max);
        // As many as fit, the one in the spotlight first.
        let height = column * 9.0 / 16.0;
        let room = (((people.height() + space::S) / (height + space::S)) as usize).max(1);
        for (index, tile) in view.tiles.iter().take(room).enumerate() {
            let at = pos2(people.left(), people.top() + index as f32 * (height + space::S));
            tile_ui(ui, Rect::from_min_size(at, vec2(column, height)), tile, draw);
        }
    }
    crate::widget::controls::place(ui, canvas, Layout::top_down(Align::Min), |ui| {
        ui.set_clip_rect(canvas);
        board_ui(ui, board, draw);
    });
}

fn stage_ui(ui: &mut Ui, view: &CallScreen, draw: &mut Draw<'_>) {
    let mut area = ui.max_rect();
    if view.alone {
        let lower = Rect::from_min_max(pos2(area.left(), area.bottom() - 64.0), area.max);
        area.max.y = lower.top() - space::S;
        crate::widget::controls::place(ui, lower, Layout::top_down(Align::Center), |ui| {
            muted(ui, &draw.t("call-alone"));
            let label = draw.t("invite-people");
            if Button::new(Tone::Secondary, &label).small().icon(egui_phosphor::regular::USER_PLUS).show(ui).clicked() {
                draw.want(Intent::OpenPanel(Some(Panel::Invite)));
            }
        });
    }
    let rects = if view.spotlight {
        let (main, strip) = spotlight(area, view.tiles.len().saturating_sub(1));
        std::iter::once(main).chain(strip).collect()
    } else {
        grid(area, view.tiles.len())
    };
    for (rect, tile) in rects.into_iter().zip(&view.tiles) {
        tile_ui(ui, rect, tile, draw);
    }
    floating_ui(ui, area, &view.floating, draw);
    if let Some(hint) = &view.hint {
        hint_ui(ui, area, hint);
    }
}

fn chat_panel_ui(ui: &mut Ui, view: &CallScreen, draw: &mut Draw<'_>) {
    panel_head(ui, &draw.t("chat-title"), Intent::OpenPanel(None), draw);
    if let (Some(chat), Some(composer)) = (&view.chat, &view.composer) {
        let frame = Frame::new().inner_margin(Margin { left: 0, right: 0, top: 6, bottom: 0 });
        focus_when_opened(ui, composer.room);
        Side::bottom("call_composer").show_separator_line(false).frame(frame).show(ui, |ui| composer_ui(ui, composer, draw));
        chat_ui(ui, chat, draw);
    }
}

/// The room's name as the window's title shows it during a call.
pub fn window_title(state: &AppState) -> String {
    match &state.call {
        Some(call) => format!("{} · Conclave", state.room_name(call.room)),
        None => match state.open_room().and_then(|room| state.room(room)) {
            Some(room) => format!("{} · Conclave", displayable(&room.name)),
            None => "Conclave".to_owned(),
        },
    }
}
