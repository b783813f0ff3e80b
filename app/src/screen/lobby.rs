//! Before a call: how one looks, which devices are used, and who is inside already. Nothing is sent to anybody from here.

use conclave_node::view::{MediaKind, PictureKey};
use conclave_protocol::id::RoomId;
use egui::{
    Align, Align2, CentralPanel, Color32, CornerRadius, Frame, Layout, Rect, RichText, Sense, Ui, UiBuilder, Vec2, WidgetInfo,
    WidgetType, pos2, vec2,
};

use crate::intent::Intent;
use crate::state::{AppState, Place};
use crate::text::displayable;
use crate::theme::{Palette, Weight, font, radius, space};
use crate::widget::Draw;
use crate::widget::avatar::{self, Person, stack};
use crate::widget::controls::{Button, Tone, card, muted, place};
use crate::widget::device_picker::{Picker, picker_ui};
use crate::widget::video_tile::paint_picture;

#[derive(Debug, Clone, PartialEq)]
pub struct LobbyView {
    pub room: RoomId,
    pub name: String,
    pub me: Option<Person>,
    pub inside: Vec<Person>,
    pub mic_on: bool,
    pub camera_on: bool,
    pub busy: bool,
    pub problem: Option<String>,
    /// Loudness of the microphone, 0 to 1 on a scale of decibels.
    pub mic_level: f32,
    pub trying: bool,
    pub camera: Picker,
    pub mic: Picker,
    pub speaker: Picker,
}

impl LobbyView {
    pub fn new(state: &AppState) -> Option<Self> {
        let Place::Lobby(lobby) = &state.place else { return None };
        let room = state.room(lobby.room)?;
        let inside = room.call.iter().flat_map(|call| &call.people);
        Some(Self {
            room: lobby.room,
            name: displayable(&room.name),
            me: state.profile.as_ref().map(|me| Person::new(me.device, me.account.as_bytes(), &me.name)),
            inside: inside.map(|device| Person::in_room(state, Some(room), *device, "")).collect(),
            mic_on: lobby.mic_on,
            camera_on: lobby.camera_on,
            busy: lobby.busy,
            problem: lobby.problem.clone(),
            mic_level: meter(state.mic_level),
            trying: lobby.trying,
            camera: Picker::new(state, MediaKind::Camera),
            mic: Picker::new(state, MediaKind::Microphone),
            speaker: Picker::new(state, MediaKind::Speaker),
        })
    }
}

pub fn lobby_ui(ui: &mut Ui, view: &LobbyView, draw: &mut Draw<'_>) {
    let palette = Palette::of(ui);
    CentralPanel::no_frame().frame(Frame::new().fill(palette.sidebar)).show(ui, |ui| {
        let area = ui.max_rect();
        let back = Rect::from_min_size(area.min + vec2(16.0, 14.0), vec2(200.0, 36.0));
        place(ui, back, Layout::left_to_right(Align::Center), |ui| {
            let label = draw.t("back");
            if Button::new(Tone::Ghost, &label).icon(egui_phosphor::regular::ARROW_LEFT).show(ui).clicked() {
                draw.want(Intent::CloseLobby);
            }
        });
        let side = 340.0;
        let gap = 32.0;
        let width = (area.width() - 96.0).min(1080.0);
        let picture_width = width - side - gap;
        let picture_height = picture_width * 9.0 / 16.0;
        let left = area.center().x - width / 2.0;
        let height = picture_height.max(440.0);
        let top = (area.center().y - height / 2.0).max(area.top() + 56.0);
        let picture = Rect::from_min_size(pos2(left, top + (height - picture_height) / 2.0), vec2(picture_width, picture_height));
        preview_ui(ui, view, picture, draw);
        let card_rect = Rect::from_min_size(pos2(left + picture_width + gap, top), vec2(side, area.bottom() - top - 16.0));
        let measured = ui.data(|data| data.get_temp::<f32>(egui::Id::new("lobby_card"))).unwrap_or(440.0);
        let shift = ((height - measured) / 2.0).max(0.0);
        let card_rect = card_rect.translate(vec2(0.0, shift));
        let mut child = ui.new_child(UiBuilder::new().max_rect(card_rect).layout(Layout::top_down(Align::Min)));
        let shown = card(&child).inner_margin(20).show(&mut child, |ui| {
            ui.set_width(ui.available_width());
            ui.spacing_mut().item_spacing.y = space::M;
            card_ui(ui, view, draw);
        });
        ui.data_mut(|data| data.insert_temp(egui::Id::new("lobby_card"), shown.response.rect.height()));
    });
}

fn card_ui(ui: &mut Ui, view: &LobbyView, draw: &mut Draw<'_>) {
    let palette = Palette::of(ui);
    ui.add(egui::Label::new(RichText::new(&view.name).font(font(20.0, Weight::Semibold))).truncate());
    if view.inside.is_empty() {
        muted(ui, &draw.t("lobby-first"));
    } else {
        ui.horizontal(|ui| {
            stack(ui, 28.0, &view.inside, 5, palette.card);
            let names: Vec<&str> = view.inside.iter().take(2).map(|person| person.name.as_str()).collect();
            let more = view.inside.len().saturating_sub(2);
            let words = draw.f("lobby-inside", &[("names", names.join(", ").into()), ("more", more.into())]);
            ui.add(egui::Label::new(RichText::new(words).size(13.0).color(palette.muted)).wrap());
        });
    }
    picker_ui(ui, &view.mic, draw);
    meter_ui(ui, view, draw);
    for picker in [&view.camera, &view.speaker] {
        picker_ui(ui, picker, draw);
    }
    ui.horizontal_wrapped(|ui| {
        use egui_phosphor::regular as icons;
        let (speaker, mic) = (draw.t("lobby-try-speaker"), draw.t("lobby-try-mic"));
        let button = Button::new(Tone::Secondary, &speaker).small().icon(icons::SPEAKER_HIGH).enabled(!view.trying);
        if button.show(ui).clicked() {
            draw.want(Intent::TrySpeaker);
        }
        let button = Button::new(Tone::Secondary, &mic).small().icon(icons::MICROPHONE).enabled(!view.trying);
        if button.show(ui).clicked() {
            draw.want(Intent::TryMic);
        }
        if view.trying {
            muted(ui, &draw.t("lobby-trying"));
        }
    });
    ui.add_space(space::XS);
    let label = draw.t(if view.inside.is_empty() { "lobby-start" } else { "lobby-join" });
    if Button::new(Tone::Primary, &label).icon(egui_phosphor::regular::SIGN_IN).wide().busy(view.busy).show(ui).clicked() {
        draw.want(Intent::EnterCall);
    }
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing.x = 6.0;
        ui.label(RichText::new(egui_phosphor::regular::LOCK_SIMPLE).size(14.0).color(palette.success));
        ui.label(RichText::new(draw.t("lobby-encrypted")).size(12.5).color(palette.faint));
    });
}

/// From loudness to a bar: −60 dB is its beginning, full scale its end.
fn meter(level: f32) -> f32 {
    if level <= 0.0 { 0.0 } else { (1.0 + 20.0 * level.log10() / 60.0).clamp(0.0, 1.0) }
}

/// How loud the microphone is, so that one sees that it hears.
fn meter_ui(ui: &mut Ui, view: &LobbyView, draw: &Draw<'_>) {
    let palette = Palette::of(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 6.0), Sense::hover());
    let name = draw.t("lobby-meter");
    response.widget_info(|| WidgetInfo::labeled(WidgetType::ProgressIndicator, true, &name));
    ui.painter().rect_filled(rect, CornerRadius::same(3), palette.line);
    let filled = Rect::from_min_size(rect.min, vec2(rect.width() * view.mic_level, rect.height()));
    ui.painter().rect_filled(filled, CornerRadius::same(3), palette.success);
}

fn preview_ui(ui: &mut Ui, view: &LobbyView, rect: Rect, draw: &mut Draw<'_>) {
    let palette = Palette::of(ui);
    let corner = CornerRadius::same(radius::TILE);
    ui.painter().rect_filled(rect, corner, palette.tile);
    let shown = if view.camera_on { draw.picture(ui.ctx(), PictureKey::Preview) } else { None };
    let response = ui.interact(rect, ui.id().with("preview"), Sense::hover());
    let name = draw.t("lobby-preview");
    response.widget_info(|| WidgetInfo::labeled(WidgetType::Image, true, &name));
    match shown {
        Some(shown) => paint_picture(ui, rect, shown, false, true, radius::TILE),
        None => {
            let words = match &view.problem {
                Some(problem) => problem.clone(),
                None if view.camera.options.is_empty() => view.camera.none.clone(),
                None if view.camera_on => draw.t("lobby-camera-starting"),
                None => draw.t("lobby-camera-off"),
            };
            if let Some(me) = &view.me {
                avatar::paint(ui, rect.center() - vec2(0.0, 28.0), 104.0, me);
            }
            let at = rect.center() + vec2(0.0, 56.0);
            let galley = ui.painter().layout(words, font(13.5, Weight::Regular), palette.muted, rect.width() - 64.0);
            ui.painter().galley(pos2(at.x - galley.size().x / 2.0, at.y - galley.size().y / 2.0), galley, palette.muted);
        }
    }
    let buttons = Rect::from_center_size(pos2(rect.center().x, rect.bottom() - 42.0), vec2(116.0, 52.0));
    place(ui, buttons, Layout::left_to_right(Align::Center), |ui| {
        ui.spacing_mut().item_spacing.x = 12.0;
        use egui_phosphor::regular as icons;
        let (icon, key) = if view.mic_on { (icons::MICROPHONE, "call-mute") } else { (icons::MICROPHONE_SLASH, "call-unmute") };
        if round_toggle(ui, icon, &draw.t(key), "M", view.mic_on) {
            draw.want(Intent::LobbyMic(!view.mic_on));
        }
        let (icon, key) =
            if view.camera_on { (icons::VIDEO_CAMERA, "call-camera-off") } else { (icons::VIDEO_CAMERA_SLASH, "call-camera-on") };
        if round_toggle(ui, icon, &draw.t(key), "V", view.camera_on) {
            draw.want(Intent::LobbyCamera(!view.camera_on));
        }
    });
}

/// A round switch over a picture: light while on, red while off.
fn round_toggle(ui: &mut Ui, icon: &str, name: &str, key: &str, on: bool) -> bool {
    let palette = Palette::of(ui);
    let (rect, response) = ui.allocate_exact_size(Vec2::splat(50.0), Sense::click());
    response.widget_info(|| WidgetInfo::selected(WidgetType::Button, true, on, name));
    let hover = ui.ctx().animate_bool_responsive(response.id, response.hovered());
    let fill = if on {
        Color32::from_black_alpha(130 + (50.0 * hover) as u8)
    } else {
        palette.danger.lerp_to_gamma(palette.danger_hover, hover)
    };
    ui.painter().circle_filled(rect.center(), 25.0, fill);
    ui.painter().text(rect.center(), Align2::CENTER_CENTER, icon, font(22.0, Weight::Regular), Color32::WHITE);
    crate::widget::controls::focus_ring(ui, &response, rect, 25.0);
    let response = response.on_hover_cursor(egui::CursorIcon::PointingHand);
    crate::widget::controls::named_tooltip(response, name, Some(key)).clicked()
}
