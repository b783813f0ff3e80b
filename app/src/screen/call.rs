//! The call: pictures on the stage, a bar of controls below, panels at the right. It draws what the node says and nothing more.

use conclave_node::view::{CallView, LinkState, ParticipantView, PictureKey, QualityView, RoleView, RoomView, StreamKind};
use conclave_protocol::id::RoomId;
use egui::{
    Align, Align2, CentralPanel, Color32, CornerRadius, CursorIcon, Frame, Label, Layout, Margin, Panel as Side, Rect, RichText,
    Sense, Stroke, StrokeKind, Ui, WidgetInfo, WidgetType, pos2, vec2,
};

use crate::clock;
use crate::intent::{Confirm, Intent, Panel, TileKey};
use crate::keys::{Action, key_of};
use crate::screen::board::{BoardScreen, board_ui};
use crate::screen::room::{panel_head, panel_ui, side_panel};
use crate::state::settings::CallLayout;
use crate::state::{AppState, Place};
use crate::text::displayable;
use crate::theme::{Palette, Weight, fill_icon, font, space};
use crate::widget::Draw;
use crate::widget::avatar::Person;
use crate::widget::call_signs::{FloatingView, REACTIONS, floating_ui, hint_ui};
use crate::widget::call_stats::{PersonFigures, figures, quality_key, stats_ui};
use crate::widget::chat::{ChatView, chat_ui};
use crate::widget::composer::{ComposerView, composer_ui, focus_when_opened};
use crate::widget::controls::{Button, IconButton, Tone, count_badge, focus_ring, muted, named_tooltip};
use crate::widget::files::FilesView;
use crate::widget::invite::InviteView;
use crate::widget::people::PeopleView;
use crate::widget::video_tile::{Tile, grid, spotlight, tile_ui};

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
    pub keys: BarKeys,
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
            keys: BarKeys::new(state),
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

/// The keys that the bar tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BarKeys {
    pub mic: &'static str,
    pub camera: &'static str,
    pub share: &'static str,
    pub hand: &'static str,
    pub chat: &'static str,
    pub people: &'static str,
    pub files: &'static str,
    pub board: &'static str,
    pub stats: &'static str,
    pub layout: &'static str,
}

impl BarKeys {
    fn new(state: &AppState) -> Self {
        let name = |action| key_of(&state.settings, action).name();
        Self {
            mic: name(Action::Mic),
            camera: name(Action::Camera),
            share: name(Action::Share),
            hand: name(Action::Hand),
            chat: name(Action::Chat),
            people: name(Action::People),
            files: name(Action::Files),
            board: name(Action::Board),
            stats: name(Action::Stats),
            layout: name(Action::Layout),
        }
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

/// Whose tile is the large one: what is pinned, else a share, else who speaks, else the first other.
fn spotlight_index(state: &AppState, tiles: &[Tile]) -> usize {
    let pinned = state.stage.pinned.and_then(|key| tiles.iter().position(|tile| tile.key == key));
    let share = || tiles.iter().position(|tile| tile.screen && tile.key.device.is_some());
    let speaker = || {
        let device = state.call.as_ref()?.speaker?;
        tiles.iter().position(|tile| tile.key == TileKey { device: Some(device), stream: StreamKind::Camera })
    };
    let other = || tiles.iter().position(|tile| tile.key.device.is_some());
    pinned.or_else(share).or_else(speaker).or_else(other).unwrap_or(0)
}

fn tiles(state: &AppState, call: &CallView, room: Option<&RoomView>) -> Vec<Tile> {
    let mut tiles = Vec::new();
    for person in &call.people {
        if person.screen_on {
            tiles.push(remote_tile(state, room, person, StreamKind::Screen));
        }
    }
    if call.me.screen.is_some() {
        tiles.push(own_tile(state, call, StreamKind::Screen));
    }
    for person in &call.people {
        tiles.push(remote_tile(state, room, person, StreamKind::Camera));
    }
    tiles.push(own_tile(state, call, StreamKind::Camera));
    tiles
}

fn remote_tile(state: &AppState, room: Option<&RoomView>, view: &ParticipantView, stream: StreamKind) -> Tile {
    let person = Person::in_room(state, room, view.device, &view.name);
    let key = TileKey { device: Some(view.device), stream };
    let screen = stream == StreamKind::Screen;
    let on = if screen { view.screen_on } else { view.camera_on };
    let connected = view.link == LinkState::Connected;
    let speaking = !screen && connected && view.speaking;
    let hand = (!screen).then(|| call_hand(state, Some(view.device))).flatten();
    let label = if screen { state.text.f("tile-screen", &[("name", person.name.as_str().into())]) } else { person.name.clone() };
    let trouble = match view.link {
        LinkState::Connected => None,
        LinkState::Connecting => Some("tile-connecting"),
        LinkState::Reconnecting => Some("tile-reconnecting"),
        LinkState::Mismatch => Some("tile-mismatch"),
        LinkState::KeyChanged => Some("tile-key-changed"),
    };
    // A path that is good enough is nobody's concern.
    let quality = (connected && view.quality >= QualityView::Poor).then(|| quality_key(view.quality));
    let trouble = trouble.or(quality).map(|key| state.text.t(key));
    let figures = connected.then(|| {
        let mut lines = Vec::new();
        if let Some(rtt) = view.stats.rtt_ms {
            lines.push(state.text.f("tile-rtt", &[("ms", (rtt.round() as i64).into())]));
        }
        lines.push(state.text.f(
            "tile-rate",
            &[("down", (view.stats.received_kbps.round() as i64).into()), ("up", (view.stats.sent_kbps.round() as i64).into())],
        ));
        if on {
            lines.push(state.text.f("tile-fps", &[("fps", (view.stats.video_fps.round() as i64).into())]));
        }
        lines.push(state.text.f("tile-lost", &[("pct", format!("{:.1}", view.stats.audio_lost_pct).into())]));
        lines.join("\n")
    });
    let mut spoken = vec![label.clone()];
    if !screen {
        spoken.push(state.text.t(if view.mic_on { "spoken-mic-on" } else { "spoken-mic-off" }));
        if speaking {
            spoken.push(state.text.t("spoken-speaking"));
        }
    }
    if let Some(place) = hand {
        spoken.push(state.text.f("spoken-hand", &[("place", (place as i64).into())]));
    }
    spoken.extend(trouble.clone());
    Tile {
        key,
        label,
        spoken: spoken.join(", "),
        picture: on.then_some(PictureKey::Remote { device: view.device, stream }),
        screen,
        mirrored: false,
        mic_on: view.mic_on || screen,
        deafened: view.deafened && !screen,
        recording: view.recording && !screen,
        speaking,
        hand,
        pinned: state.stage.pinned == Some(key),
        link: Some(view.link),
        trouble,
        figures,
        person,
    }
}

/// At which place in the queue somebody's hand is, from 1.
fn call_hand(state: &AppState, device: Option<conclave_protocol::id::DeviceId>) -> Option<usize> {
    let hands = &state.call.as_ref()?.hands;
    hands.iter().position(|other| Some(*other) == device).map(|place| place + 1)
}

fn own_tile(state: &AppState, call: &CallView, stream: StreamKind) -> Tile {
    let me = state.profile.as_ref();
    let person = me.map_or_else(
        || Person::new(conclave_protocol::id::DeviceId([0; 32]), &[], &state.text.t("you")),
        |me| Person::new(me.device, me.account.as_bytes(), &me.name),
    );
    let key = TileKey { device: None, stream };
    let screen = stream == StreamKind::Screen;
    let on = if screen { call.me.screen.is_some() } else { call.me.camera.is_some() };
    let label = state.text.t(if screen { "tile-own-screen" } else { "you" });
    let mic = state.text.t(if call.me.mic_on { "spoken-mic-on" } else { "spoken-mic-off" });
    Tile {
        key,
        spoken: if screen { label.clone() } else { format!("{label}, {mic}") },
        label,
        picture: on.then_some(PictureKey::Own { stream }),
        screen,
        mirrored: !screen,
        mic_on: call.me.mic_on || screen,
        deafened: call.me.deafened && !screen,
        recording: call.me.recording.is_some() && !screen,
        speaking: call.me.speaking && !screen,
        hand: (!screen).then(|| call_hand(state, state.profile.as_ref().map(|me| me.device))).flatten(),
        pinned: state.stage.pinned == Some(key),
        link: None,
        trouble: None,
        figures: None,
        person,
    }
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

fn head_ui(ui: &mut Ui, view: &CallScreen, draw: &mut Draw<'_>) {
    let palette = Palette::of(ui);
    ui.horizontal(|ui| {
        ui.set_height(34.0);
        if IconButton::new(egui_phosphor::regular::ARROW_LEFT, &draw.t("call-show-rooms")).size(32.0).show(ui).clicked() {
            draw.want(Intent::ShowRooms);
        }
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if view.leads
                && IconButton::new(egui_phosphor::regular::PHONE_X, &draw.t("call-end-all")).size(32.0).show(ui).clicked()
            {
                draw.want(Intent::Ask(Confirm::EndForAll));
            }
            let label = draw.t("stats-title");
            let stats = IconButton::new(egui_phosphor::regular::CHART_LINE, &label).hint(view.keys.stats);
            if stats.selected(view.panel == Some(Panel::Stats)).size(32.0).show(ui).clicked() {
                draw.want(Intent::TogglePanel(Panel::Stats));
            }
            layout_ui(ui, view, draw);
            if !view.hands.is_empty() {
                let words = draw.f("call-hands", &[("names", view.hands.join(", ").into())]);
                let shown = crate::widget::controls::pill(
                    ui,
                    Some(egui_phosphor::regular::HAND),
                    &words,
                    palette.accent,
                    palette.accent_soft,
                );
                shown.widget_info(|| WidgetInfo::labeled(WidgetType::Label, true, &words));
            }
            if let Some(who) = &view.recording {
                let words = draw.f("call-recording-by", &[("name", who.as_str().into())]);
                crate::widget::controls::pill(
                    ui,
                    Some(egui_phosphor::regular::RECORD),
                    &words,
                    palette.danger,
                    palette.danger_soft,
                );
            }
            if view.i_record {
                let words = draw.t("call-recording-me");
                crate::widget::controls::pill(
                    ui,
                    Some(egui_phosphor::regular::RECORD),
                    &words,
                    palette.danger,
                    palette.danger_soft,
                );
            }
            ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                if IconButton::new(egui_phosphor::regular::LOCK_KEY, &draw.t("verification")).size(28.0).show(ui).clicked() {
                    draw.want(Intent::OpenPanel(Some(Panel::People)));
                }
                ui.add(Label::new(RichText::new(&view.name).font(font(15.0, Weight::Semibold))).truncate());
                ui.label(RichText::new(&view.time).size(13.0).color(palette.faint));
            });
        });
    });
}

fn layout_ui(ui: &mut Ui, view: &CallScreen, draw: &mut Draw<'_>) {
    let (icon, key) = match view.layout {
        CallLayout::Grid => (egui_phosphor::regular::SQUARES_FOUR, "call-layout-grid"),
        CallLayout::Spotlight => (egui_phosphor::regular::FRAME_CORNERS, "call-layout-spotlight"),
    };
    if IconButton::new(icon, &draw.t(key)).hint(view.keys.layout).size(32.0).show(ui).clicked() {
        draw.want(Intent::ToggleLayout);
    }
}

/// How a control of the bar looks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Look {
    Plain,
    /// Doing something that others see or hear.
    Active,
    /// Off, and that matters.
    Off,
}

fn bar_ui(ui: &mut Ui, view: &CallScreen, board: bool, draw: &mut Draw<'_>) {
    use egui_phosphor::{fill, regular as icons};
    const SIDE: f32 = 48.0;
    let width = ui.available_width();
    let (rect, _) = ui.allocate_exact_size(vec2(width, SIDE), Sense::hover());
    let compact = width < 900.0;
    let gap = if compact { 8.0 } else { 12.0 };
    let middle = 7.0 * SIDE + 6.0 * gap;
    let leave_width = if compact { SIDE + 8.0 } else { 112.0 };
    let right = 4.0 * SIDE + 4.0 * gap + leave_width;
    // In the middle of the window, unless the right side would be reached.
    let left = (rect.center().x - middle / 2.0).min(rect.right() - right - gap - middle).max(rect.left());
    let at = |index: f32| Rect::from_min_size(pos2(left + (SIDE + gap) * index, rect.top()), vec2(SIDE, SIDE));

    let (icon, key, look) = if view.mic_on {
        (fill::MICROPHONE, "call-mute", if view.talking { Look::Active } else { Look::Plain })
    } else {
        (fill::MICROPHONE_SLASH, "call-unmute", Look::Off)
    };
    if control(ui, at(0.0), icon, &draw.t(key), view.keys.mic, look, 0) {
        draw.want(Intent::ToggleMic);
    }
    let (icon, key, look) = if view.camera_on {
        (fill::VIDEO_CAMERA, "call-camera-off", Look::Plain)
    } else {
        (fill::VIDEO_CAMERA_SLASH, "call-camera-on", Look::Off)
    };
    if control(ui, at(1.0), icon, &draw.t(key), view.keys.camera, look, 0) {
        draw.want(Intent::ToggleCamera);
    }
    let (key, look) = if view.sharing { ("call-share-stop", Look::Active) } else { ("call-share", Look::Plain) };
    if control(ui, at(2.0), fill::MONITOR_ARROW_UP, &draw.t(key), view.keys.share, look, 0) {
        draw.want(if view.sharing { Intent::StopShare } else { Intent::ShowShare });
    }
    let (icon, key, look) = if view.deafened {
        (fill::SPEAKER_SLASH, "call-undeafen", Look::Off)
    } else {
        (fill::SPEAKER_HIGH, "call-deafen", Look::Plain)
    };
    if control(ui, at(3.0), icon, &draw.t(key), "", look, 0) {
        draw.want(Intent::ToggleDeafen);
    }
    let (icon, key, look) = if view.i_record {
        (fill::STOP_CIRCLE, "call-record-stop", Look::Off)
    } else {
        (fill::RECORD, "call-record", Look::Plain)
    };
    if control(ui, at(4.0), icon, &draw.t(key), "", look, 0) {
        draw.want(Intent::ToggleRecord);
    }

    let (key, look) = if view.my_hand { ("call-hand-lower", Look::Active) } else { ("call-hand", Look::Plain) };
    if control(ui, at(5.0), fill::HAND, &draw.t(key), view.keys.hand, look, view.hands.len() as u32) {
        draw.want(Intent::ToggleHand);
    }
    reactions_ui(ui, at(6.0), draw);

    let panel = |on: bool| if on { Look::Active } else { Look::Plain };
    let leave = Rect::from_min_max(pos2(rect.right() - leave_width, rect.top()), rect.max);
    let people = Rect::from_min_size(pos2(leave.left() - gap - SIDE, rect.top()), vec2(SIDE, SIDE));
    let chat = people.translate(vec2(-SIDE - gap, 0.0));
    let files = chat.translate(vec2(-SIDE - gap, 0.0));
    let at = files.translate(vec2(-SIDE - gap, 0.0));
    if control(ui, at, icons::CHALKBOARD_SIMPLE, &draw.t("board"), view.keys.board, panel(board), 0) {
        draw.want(Intent::ToggleBoard);
    }
    let look = panel(view.panel == Some(Panel::Files));
    if control(ui, files, icons::FILES, &draw.t("files-title"), view.keys.files, look, 0) {
        draw.want(Intent::TogglePanel(Panel::Files));
    }
    let look = panel(view.panel == Some(Panel::Chat));
    if control(ui, chat, icons::CHAT_CIRCLE_TEXT, &draw.t("chat-title"), view.keys.chat, look, view.unread) {
        draw.want(Intent::TogglePanel(Panel::Chat));
    }
    let look = panel(view.panel == Some(Panel::People));
    if control(ui, people, icons::USERS, &draw.t("people-title"), view.keys.people, look, view.knocks) {
        draw.want(Intent::TogglePanel(Panel::People));
    }
    if leave_ui(ui, leave, &draw.t("call-leave"), compact) {
        draw.want(Intent::LeaveCall);
    }
}

/// A control that opens a row of reactions.
fn reactions_ui(ui: &mut Ui, rect: Rect, draw: &mut Draw<'_>) {
    let response = control_response(ui, rect, egui_phosphor::fill::SMILEY, &draw.t("call-react"), "1–5", Look::Plain, 0);
    egui::Popup::menu(&response).show(|ui| {
        ui.horizontal(|ui| {
            for emoji in REACTIONS {
                let button = ui.add(egui::Button::new(RichText::new(emoji).size(22.0)).min_size(vec2(40.0, 36.0)));
                crate::widget::field::name(&button, &draw.f("call-react-with", &[("emoji", emoji.into())]));
                if button.clicked() {
                    draw.want(Intent::CallReact(emoji.to_owned()));
                    ui.close();
                }
            }
        });
    });
}

fn control(ui: &mut Ui, rect: Rect, icon: &str, name: &str, key: &str, look: Look, badge: u32) -> bool {
    control_response(ui, rect, icon, name, key, look, badge).clicked()
}

fn control_response(ui: &mut Ui, rect: Rect, icon: &str, name: &str, key: &str, look: Look, badge: u32) -> egui::Response {
    let palette = Palette::of(ui);
    let response = ui.interact(rect, ui.id().with(("control", rect.left() as i32, icon)), Sense::click());
    response.widget_info(|| WidgetInfo::selected(WidgetType::Button, true, look == Look::Active, name));
    let hover = ui.ctx().animate_bool_responsive(response.id, response.hovered());
    let (fill, over, colour) = match look {
        Look::Plain if palette.dark => (palette.raised, palette.line, palette.text),
        Look::Plain => (palette.window, palette.raised, palette.text),
        Look::Active => (palette.accent, palette.accent_hover, palette.on_accent),
        Look::Off => (palette.danger_soft, palette.danger_soft.lerp_to_gamma(palette.danger, 0.25), palette.danger),
    };
    let line = if look == Look::Plain { palette.line } else { Color32::TRANSPARENT };
    let corner = CornerRadius::same(15);
    ui.painter().rect(rect, corner, fill.lerp_to_gamma(over, hover), Stroke::new(1.0, line), StrokeKind::Inside);
    ui.painter().text(rect.center(), Align2::CENTER_CENTER, icon, fill_icon(21.0), colour);
    if badge > 0 {
        count_badge(ui, rect.right_top() + vec2(-6.0, 6.0), badge, palette.danger, palette.on_accent);
    }
    focus_ring(ui, &response, rect, 15.0);
    let response = response.on_hover_cursor(CursorIcon::PointingHand);
    named_tooltip(response, name, (!key.is_empty()).then_some(key))
}

fn leave_ui(ui: &mut Ui, rect: Rect, name: &str, compact: bool) -> bool {
    let palette = Palette::of(ui);
    let response = ui.interact(rect, ui.id().with("leave"), Sense::click());
    response.widget_info(|| WidgetInfo::labeled(WidgetType::Button, true, name));
    let hover = ui.ctx().animate_bool_responsive(response.id, response.hovered());
    ui.painter().rect_filled(rect, CornerRadius::same(15), palette.danger.lerp_to_gamma(palette.danger_hover, hover));
    let icon = egui_phosphor::fill::PHONE_DISCONNECT;
    if compact {
        ui.painter().text(rect.center(), Align2::CENTER_CENTER, icon, fill_icon(22.0), palette.on_accent);
    } else {
        let words = ui.painter().layout_no_wrap(name.to_owned(), font(14.0, Weight::Semibold), palette.on_accent);
        let mark = ui.painter().layout_no_wrap(icon.to_owned(), fill_icon(20.0), palette.on_accent);
        let total = words.size().x + mark.size().x + 8.0;
        let x = rect.center().x - total / 2.0;
        let mark_width = mark.size().x;
        ui.painter().galley(pos2(x, rect.center().y - mark.size().y / 2.0), mark, palette.on_accent);
        ui.painter().galley(pos2(x + mark_width + 8.0, rect.center().y - words.size().y / 2.0), words, palette.on_accent);
    }
    focus_ring(ui, &response, rect, 15.0);
    response.on_hover_cursor(CursorIcon::PointingHand).on_hover_text(name).clicked()
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
