//! An invitation: who may come by it, its link to copy, and the same as a QR code.

use conclave_node::view::{RoleView, RoomView, SpokenEndView};
use conclave_protocol::id::{OpHash, RoomId};
use egui::{Color32, CornerRadius, Rect, RichText, ScrollArea, Sense, Ui, Vec2, WidgetInfo, WidgetType, vec2};

use crate::clock::LocalTime;
use crate::intent::{Intent, InviteChoice};
use crate::state::{AppState, Spoken};
use crate::theme::{Palette, Weight, font, space};
use crate::widget::Draw;
use crate::widget::controls::{Banner, Button, Tone, banner, card, muted, section, segmented, switch};
use crate::widget::field;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InviteView {
    pub room: RoomId,
    pub choice: InviteChoice,
    pub allowed: bool,
    pub busy: bool,
    pub link: Option<Link>,
    /// What still lets people in, the newest first.
    pub open: Vec<OpenLink>,
    pub spoken: Option<SpokenCard>,
    pub speaking: bool,
}

/// A code to be said, or what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpokenCard {
    pub number: u32,
    pub code: String,
    /// Until when, or why no more; with how often it failed.
    pub line: String,
    pub open: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenLink {
    pub invite: OpHash,
    /// Who made it, whom it lets in and until when, in a sentence.
    pub terms: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    pub url: String,
    /// What it admits, in a sentence.
    pub terms: String,
}

impl InviteView {
    pub fn new(state: &AppState, room: &RoomView) -> Self {
        let link = state
            .invitation
            .made
            .as_ref()
            .filter(|made| made.room == room.room)
            .map(|made| Link { url: made.link.clone(), terms: terms(state, made.uses, made.expires_ms) });
        let open = room.invites.iter().map(|invite| {
            let left = terms(state, invite.uses.saturating_sub(invite.used), invite.expires_ms);
            let name = invite.by_name.clone().into();
            OpenLink {
                invite: invite.invite,
                terms: state.text.f("invite-open-terms", &[("name", name), ("terms", left.into())]),
            }
        });
        let spoken = state.invitation.spoken.as_ref().filter(|spoken| spoken.view.room == room.room);
        Self {
            spoken: spoken.map(|spoken| SpokenCard {
                number: spoken.view.number,
                code: spoken.view.code.clone(),
                line: spoken_line(state, spoken),
                open: spoken.end.is_none(),
            }),
            speaking: state.invitation.speaking,
            room: room.room,
            choice: state.invitation.choice,
            allowed: room.my_role >= RoleView::Admin && !room.gone,
            busy: state.invitation.busy,
            link,
            open: open.collect(),
        }
    }
}

fn spoken_line(state: &AppState, spoken: &Spoken) -> String {
    match spoken.end {
        Some(SpokenEndView::Used) => state.text.t("speak-used"),
        Some(SpokenEndView::Expired) => state.text.t("speak-expired"),
        Some(SpokenEndView::Burnt) => state.text.t("speak-burnt"),
        Some(SpokenEndView::Withdrawn) => state.text.t("speak-withdrawn"),
        None => {
            let at = spoken.view.expires_ms;
            let until = LocalTime::at(at, (state.launch.local_offset_s)(at)).hh_mm();
            match spoken.failures {
                0 => state.text.f("speak-until", &[("time", until.into())]),
                failures => state.text.f("speak-failed", &[("time", until.into()), ("count", failures.into())]),
            }
        }
    }
}

fn terms(state: &AppState, uses: u32, expires_ms: u64) -> String {
    let until = LocalTime::at(expires_ms, (state.launch.local_offset_s)(expires_ms));
    let day = crate::screen::room::day_label(state, until.day);
    state.text.f("invite-terms", &[("uses", uses.into()), ("day", day.into()), ("time", until.hh_mm().into())])
}

pub fn invite_ui(ui: &mut Ui, view: &InviteView, draw: &mut Draw<'_>) {
    if !view.allowed {
        banner(ui, Banner::Info, &draw.t("invite-not-allowed"), None);
        return;
    }
    ScrollArea::vertical().id_salt("invite").auto_shrink(false).show(ui, |ui| {
        ui.spacing_mut().item_spacing.y = space::S;
        if let Some(link) = &view.link {
            link_ui(ui, link, draw);
            ui.add_space(space::S);
        }
        let mut choice = view.choice;
        section(ui, &draw.t("invite-uses"));
        let uses = [(1, "invite-uses-one"), (10, "invite-uses-ten"), (100, "invite-uses-many")];
        if let Some(uses) = segmented(ui, &uses.map(|(uses, key)| (uses, draw.t(key))), choice.uses) {
            choice.uses = uses;
        }
        section(ui, &draw.t("invite-expires"));
        let expiries = [(3_600, "invite-hour"), (86_400, "invite-day"), (7 * 86_400, "invite-week")];
        if let Some(expires_s) = segmented(ui, &expiries.map(|(s, key)| (s, draw.t(key))), choice.expires_s) {
            choice.expires_s = expires_s;
        }
        section(ui, &draw.t("invite-role"));
        let roles = [RoleView::Viewer, RoleView::Member, RoleView::Admin];
        let roles = roles.map(|role| (role, draw.t(crate::widget::people::role_key(role))));
        if let Some(role) = segmented(ui, &roles, choice.role) {
            choice.role = role;
        }
        if switch(ui, choice.approval, &draw.t("invite-approval"), Some(&draw.t("invite-approval-more"))) {
            choice.approval = !choice.approval;
        }
        if choice != view.choice {
            draw.want(Intent::InviteChoice(choice));
        }
        let label = draw.t(if view.link.is_some() { "invite-new" } else { "invite-make" });
        let tone = if view.link.is_some() { Tone::Secondary } else { Tone::Primary };
        if Button::new(tone, &label).icon(egui_phosphor::regular::LINK).wide().busy(view.busy).show(ui).clicked() {
            draw.want(Intent::MakeInvite(view.room));
        }
        speak_ui(ui, view, draw);
        open_ui(ui, view, draw);
    });
}

/// A code for whoever is within reach, instead of a link.
fn speak_ui(ui: &mut Ui, view: &InviteView, draw: &mut Draw<'_>) {
    section(ui, &draw.t("speak-title"));
    muted(ui, &draw.t("speak-body"));
    if let Some(spoken) = &view.spoken {
        if spoken.open {
            let code = RichText::new(&spoken.code).font(font(22.0, Weight::Semibold));
            card(ui).show(ui, |ui| {
                ui.set_width(ui.available_width());
                ui.vertical_centered(|ui| ui.add(egui::Label::new(code).wrap().selectable(true)));
            });
        }
        muted(ui, &spoken.line);
    }
    match &view.spoken {
        Some(spoken) if spoken.open => {
            if Button::new(Tone::Secondary, &draw.t("speak-stop")).wide().show(ui).clicked() {
                draw.want(Intent::StopSpeaking { room: view.room, number: spoken.number });
            }
        }
        _ => {
            let label = draw.t(if view.spoken.is_some() { "speak-another" } else { "speak-make" });
            let button = Button::new(Tone::Secondary, &label).icon(egui_phosphor::regular::CHAT_CIRCLE_TEXT);
            if button.wide().busy(view.speaking).show(ui).clicked() {
                draw.want(Intent::Speak(view.room));
            }
        }
    }
}

/// Links that are out, each with what closes it.
fn open_ui(ui: &mut Ui, view: &InviteView, draw: &mut Draw<'_>) {
    if view.open.is_empty() {
        return;
    }
    section(ui, &draw.t("invite-open"));
    for open in &view.open {
        ui.push_id(open.invite, |ui| {
            muted(ui, &open.terms);
            if Button::new(Tone::Secondary, &draw.t("invite-close")).icon(egui_phosphor::regular::LINK_BREAK).show(ui).clicked() {
                draw.want(Intent::CloseInvite { room: view.room, invite: open.invite });
            }
        });
    }
}

fn link_ui(ui: &mut Ui, link: &Link, draw: &mut Draw<'_>) {
    let palette = Palette::of(ui);
    let side = ui.available_width().min(252.0);
    ui.vertical_centered(|ui| qr_ui(ui, &link.url, side, &draw.t("invite-qr")));
    field::copyable(ui, "invite-link", &draw.t("invite-link"), &link.url, true);
    let label = draw.t("invite-copy");
    if Button::new(Tone::Primary, &label).icon(egui_phosphor::regular::COPY).wide().show(ui).clicked() {
        draw.want(Intent::CopyText(link.url.clone()));
    }
    ui.add(egui::Label::new(RichText::new(&link.terms).font(font(12.5, Weight::Regular)).color(palette.faint)).wrap());
    muted(ui, &draw.t("invite-careful"));
}

/// A QR code on white, whatever the theme: readers expect dark on light.
pub fn qr_ui(ui: &mut Ui, text: &str, side: f32, name: &str) {
    let (rect, response) = ui.allocate_exact_size(Vec2::splat(side), Sense::hover());
    response.widget_info(|| WidgetInfo::labeled(WidgetType::Image, true, name));
    if !ui.is_rect_visible(rect) {
        return;
    }
    let Some(code) = code_of(ui, text) else { return };
    ui.painter().rect_filled(rect, CornerRadius::same(12), Color32::WHITE);
    let quiet = 14.0;
    let width = code.width;
    let module = (side - 2.0 * quiet) / width as f32;
    let origin = rect.min + Vec2::splat(quiet);
    for (row, line) in code.dark.chunks(width.max(1)).enumerate() {
        // A run of dark modules is one rectangle: fewer shapes, and no hairlines between them.
        let mut column = 0;
        while column < line.len() {
            let run = line.iter().skip(column).take_while(|dark| **dark).count();
            if run > 0 {
                let at = origin + vec2(column as f32, row as f32) * module;
                let size = vec2(run as f32 * module + 0.15, module + 0.15);
                ui.painter().rect_filled(Rect::from_min_size(at, size), 0.0, Color32::BLACK);
            }
            column += run + 1;
        }
    }
}

/// The modules of a code, row by row.
#[derive(Clone)]
struct Code {
    text: String,
    width: usize,
    dark: std::sync::Arc<[bool]>,
}

/// Made once a link, not once a frame.
fn code_of(ui: &Ui, text: &str) -> Option<Code> {
    let id = egui::Id::new("qr");
    if let Some(code) = ui.data(|data| data.get_temp::<Code>(id)).filter(|code| code.text == text) {
        return Some(code);
    }
    let code = qrcode::QrCode::with_error_correction_level(text.as_bytes(), qrcode::EcLevel::L).ok()?;
    let dark: Vec<bool> = code.to_colors().into_iter().map(|colour| colour == qrcode::Color::Dark).collect();
    let code = Code { text: text.to_owned(), width: code.width(), dark: dark.into() };
    ui.data_mut(|data| data.insert_temp(id, code.clone()));
    Some(code)
}
