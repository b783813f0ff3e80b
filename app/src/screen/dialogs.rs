//! What stands over the rest: new room, join, what to share, questions before things that cannot be undone, keys, a person's details.

use conclave_node::view::{MediaKind, ShareContent};
use conclave_protocol::id::{DeviceId, RoomId};
use conclave_protocol::link::Link;
use egui::{Align, Color32, Frame, Id, Key, Label, Layout, Margin, Modal, Modifiers, RichText, ScrollArea, Ui, vec2};

use crate::canvas::{self, tool::Tool};
use crate::intent::{Confirm, Intent};
use crate::keys;
use crate::screen::settings::{SettingsView, settings_ui};
use crate::state::AppState;
use crate::state::dialog::{Dialog, JoinForm, NewRoom};
use crate::state::settings::Settings;
use crate::text::displayable;
use crate::theme::{Palette, Weight, font, space};
use crate::widget::Draw;
use crate::widget::avatar::{Person, avatar};
use crate::widget::controls::{Banner, Button, IconButton, Tone, action_row, banner, key_cap, muted, section, segmented, switch};
use crate::widget::field::{Field, copyable};
use crate::widget::invite::qr_ui;
use crate::widget::people::{code_ui, in_lines, role_pill};

#[derive(Debug, Clone, PartialEq)]
pub enum DialogView {
    NewRoom(NewRoom),
    Join {
        form: JoinForm,
        room: Option<String>,
    },
    Settings(Box<SettingsView>),
    Shortcuts {
        /// Those of the board, which is before the person's eyes.
        board: bool,
        keys: Vec<KeyRow>,
    },
    Share(Vec<ShareOption>, Box<Settings>),
    Confirm(ConfirmView),
    Person(Box<PersonView>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShareOption {
    pub spec: String,
    pub label: String,
    pub window: bool,
    pub unavailable: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfirmView {
    pub title: String,
    pub body: String,
    pub act: String,
}

#[derive(Debug, Clone, PartialEq)]
pub struct PersonView {
    pub person: Person,
    pub me: bool,
    pub role: conclave_node::view::RoleView,
    pub online: bool,
    pub frozen: bool,
    pub device: String,
    pub account: String,
    pub verified: bool,
    pub key_changed: bool,
    /// Absent until it was computed, and for oneself.
    pub compare: Option<CompareView>,
    pub key: (RoomId, DeviceId),
}

/// What is compared with a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompareView {
    pub lines: Vec<String>,
    pub link: String,
}

impl DialogView {
    pub fn new(state: &AppState) -> Option<Self> {
        Some(match state.dialog.as_ref()? {
            Dialog::NewRoom(form) => Self::NewRoom(form.clone()),
            Dialog::Join(form) => {
                // Who made the link chose the name; it is shown as theirs, and promises nothing.
                let room = Link::parse(form.link.trim()).ok().map(|link| displayable(&link.room_name));
                Self::Join { form: form.clone(), room }
            }
            Dialog::Shortcuts => Self::Shortcuts { board: state.board().is_some(), keys: key_rows(state) },
            Dialog::Settings { .. } => Self::Settings(Box::new(SettingsView::new(state)?)),
            Dialog::Share => Self::Share(
                state
                    .devices
                    .iter()
                    .filter(|device| device.kind == MediaKind::Screen)
                    .map(|device| ShareOption {
                        spec: device.spec.clone(),
                        label: device.label.clone(),
                        window: device.spec.contains(":window:"),
                        unavailable: device.unavailable.clone(),
                    })
                    .collect(),
                Box::new(state.settings.clone()),
            ),
            Dialog::Confirm(confirm) => Self::Confirm(confirm_view(state, confirm)),
            Dialog::Person { room, device } => {
                let member = state.member(*room, *device)?;
                Self::Person(Box::new(PersonView {
                    person: Person::new(member.device, member.account.as_bytes(), &member.name),
                    me: member.me,
                    role: member.role,
                    online: member.online || member.me,
                    frozen: member.frozen,
                    device: member.device.to_string(),
                    account: member.account.to_string(),
                    verified: member.verified_ms.is_some(),
                    key_changed: member.key_changed,
                    compare: state
                        .verification
                        .as_ref()
                        .filter(|shown| shown.device == *device && shown.account == member.account)
                        .map(|shown| CompareView { lines: in_lines(&shown.code), link: shown.link.clone() }),
                    key: (*room, *device),
                }))
            }
        })
    }
}

/// A key that can be another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRow {
    pub action: keys::Action,
    /// The key of its words.
    pub words: &'static str,
    pub key: &'static str,
    /// The next key that is pressed is its new one.
    pub waiting: bool,
}

fn key_rows(state: &AppState) -> Vec<KeyRow> {
    let row = |(action, _, words): (keys::Action, egui::Key, &'static str)| KeyRow {
        action,
        words,
        key: keys::key_of(&state.settings, action).name(),
        waiting: state.rebinding == Some(action),
    };
    keys::ACTIONS.map(row).into()
}

fn confirm_view(state: &AppState, confirm: &Confirm) -> ConfirmView {
    let (title, body, act, name) = match confirm {
        Confirm::Revoke { name, .. } => ("confirm-revoke", "confirm-revoke-more", "confirm-revoke-act", name.as_str()),
        Confirm::LeaveRoom { name, .. } => ("confirm-leave", "confirm-leave-more", "confirm-leave-act", name.as_str()),
        Confirm::DeleteRoom { name, .. } => {
            ("confirm-delete-room", "confirm-delete-room-more", "confirm-delete-room-act", name.as_str())
        }
        Confirm::DeleteMessage { .. } => {
            ("confirm-delete-message", "confirm-delete-message-more", "confirm-delete-message-act", "")
        }
        Confirm::Wipe => ("confirm-wipe", "confirm-wipe-more", "confirm-wipe-act", ""),
        Confirm::RemoveFile { name, .. } => ("confirm-file", "confirm-file-more", "confirm-file-act", name.as_str()),
        Confirm::EndForAll => ("confirm-end", "confirm-end-more", "confirm-end-act", ""),
        Confirm::Record => ("confirm-record", "confirm-record-more", "confirm-record-act", ""),
    };
    let folder = state.launch.recordings.display().to_string();
    let values = [("name", name.into()), ("folder", folder.into())];
    ConfirmView { title: state.text.f(title, &values), body: state.text.f(body, &values), act: state.text.f(act, &values) }
}

pub fn dialog_ui(ctx: &egui::Context, view: &DialogView, draw: &mut Draw<'_>) {
    let palette = Palette::for_dark(ctx.global_style().visuals.dark_mode);
    let margin = if matches!(view, DialogView::Settings(_)) { 0 } else { 24 };
    let frame = Frame::new()
        .fill(palette.card)
        .stroke(egui::Stroke::new(1.0, palette.line))
        .corner_radius(14)
        .inner_margin(Margin::same(margin))
        .shadow(ctx.global_style().visuals.window_shadow);
    let modal =
        Modal::new(Id::new("dialog")).frame(frame).backdrop_color(Color32::from_black_alpha(if palette.dark { 140 } else { 70 }));
    let shown = modal.show(ctx, |ui| match view {
        DialogView::NewRoom(form) => new_room_ui(ui, form, draw),
        DialogView::Join { form, room } => join_ui(ui, form, room.as_deref(), draw),
        DialogView::Settings(view) => settings_ui(ui, view, draw),
        DialogView::Shortcuts { board, keys } => shortcuts_ui(ui, *board, keys, draw),
        DialogView::Share(options, settings) => share_ui(ui, options, settings, draw),
        DialogView::Confirm(view) => confirm_ui(ui, view, draw),
        DialogView::Person(view) => person_ui(ui, view, draw),
    });
    if shown.should_close() {
        draw.want(Intent::CloseDialog);
    }
}

fn head(ui: &mut Ui, width: f32, title: &str, body: Option<&str>, draw: &mut Draw<'_>) {
    ui.set_width(width.min(ui.ctx().content_rect().width() - 96.0));
    ui.spacing_mut().item_spacing.y = space::M;
    ui.horizontal(|ui| {
        ui.label(RichText::new(title).font(font(18.0, Weight::Semibold)));
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if IconButton::new(egui_phosphor::regular::X, &draw.t("close")).hint("Esc").size(28.0).show(ui).clicked() {
                draw.want(Intent::CloseDialog);
            }
        });
    });
    if let Some(body) = body {
        muted(ui, body);
    }
}

/// The two buttons at the foot. True where the act was chosen.
fn foot(ui: &mut Ui, act: Button<'_>, draw: &mut Draw<'_>) -> bool {
    ui.add_space(space::XS);
    ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
        let done = act.show(ui).clicked();
        if Button::new(Tone::Secondary, &draw.t("cancel")).show(ui).clicked() {
            draw.want(Intent::CloseDialog);
        }
        done
    })
    .inner
}

/// Gives the keyboard to the field that a dialog is about, once.
fn focus_first(ui: &Ui, response: &egui::Response) {
    if ui.memory(|memory| memory.focused().is_none()) {
        response.request_focus();
    }
}

fn new_room_ui(ui: &mut Ui, form: &NewRoom, draw: &mut Draw<'_>) {
    head(ui, 420.0, &draw.t("new-meeting"), Some(&draw.t("new-room-body")), draw);
    let name =
        Field::new("new-room-name", &draw.t("new-room-name")).hint(&draw.t("new-room-name-hint")).limit(80).show(ui, &form.name);
    focus_first(ui, &name.response);
    if let Some(typed) = name.changed {
        draw.want(Intent::NewRoomName(typed));
    }
    if switch(ui, form.approval, &draw.t("new-room-approval"), Some(&draw.t("new-room-approval-more"))) {
        draw.want(Intent::NewRoomApproval(!form.approval));
    }
    if switch(ui, form.full_history, &draw.t("new-room-history"), Some(&draw.t("new-room-history-more"))) {
        draw.want(Intent::NewRoomHistory(!form.full_history));
    }
    let ready = !form.name.trim().is_empty();
    let act = draw.t("new-room-create");
    if foot(ui, Button::new(Tone::Primary, &act).enabled(ready).busy(form.busy), draw) || (name.entered && ready) {
        draw.want(Intent::CreateRoom);
    }
}

fn join_ui(ui: &mut Ui, form: &JoinForm, room: Option<&str>, draw: &mut Draw<'_>) {
    head(ui, 460.0, &draw.t("join-by-link"), Some(&draw.t("join-body")), draw);
    if let Some(error) = &form.error {
        banner(ui, Banner::Danger, error, None);
    }
    let label = draw.t("join-link");
    let link = Field::new("join-link", &label)
        .hint(&draw.t("join-link-hint"))
        .icon(egui_phosphor::regular::LINK_SIMPLE)
        .limit(4096)
        .show(ui, &form.link);
    focus_first(ui, &link.response);
    if let Some(typed) = link.changed {
        draw.want(Intent::JoinLink(typed));
    }
    if let Some(room) = room {
        banner(ui, Banner::Info, &draw.f("join-invited", &[("room", room.into())]), None);
    }
    let (label, hint, note) = (draw.t("join-address"), draw.t("join-address-hint"), draw.t("join-address-note"));
    let address = Field::new("join-address", &label).hint(&hint).note(&note, false).show(ui, &form.address);
    if let Some(typed) = address.changed {
        draw.want(Intent::JoinAddress(typed));
    }
    let ready = !form.link.trim().is_empty();
    let act = draw.t("join-act");
    let chosen = foot(ui, Button::new(Tone::Primary, &act).enabled(ready).busy(form.busy), draw);
    if chosen || ((link.entered || address.entered) && ready) {
        draw.want(Intent::Join);
    }
}

fn share_ui(ui: &mut Ui, options: &[ShareOption], settings: &Settings, draw: &mut Draw<'_>) {
    head(ui, 460.0, &draw.t("share-title"), Some(&draw.t("share-body")), draw);
    if options.is_empty() {
        banner(ui, Banner::Info, &draw.t("share-none"), None);
        return;
    }
    how_ui(ui, settings, draw);
    ScrollArea::vertical().id_salt("share").max_height(380.0).min_scrolled_height(380.0).auto_shrink([false, true]).show(
        ui,
        |ui| {
            ui.spacing_mut().item_spacing.y = space::S;
            for (windows, key) in [(false, "share-screens"), (true, "share-windows")] {
                let mut shown = options.iter().filter(|option| option.window == windows).peekable();
                if shown.peek().is_some() {
                    section(ui, &draw.t(key));
                }
                for option in shown {
                    let icon = if windows { egui_phosphor::regular::APP_WINDOW } else { egui_phosphor::regular::MONITOR };
                    let more = option.unavailable.clone().unwrap_or_else(|| draw.t("share-choose"));
                    let chosen = ui
                        .add_enabled_ui(option.unavailable.is_none(), |ui| {
                            ui.push_id(&option.spec, |ui| action_row(ui, icon, &option.label, &more)).inner
                        })
                        .inner;
                    if chosen {
                        draw.want(Intent::Share(option.spec.clone()));
                    }
                }
            }
        },
    );
}

/// What it shows, how often and how large, at most.
fn how_ui(ui: &mut Ui, settings: &Settings, draw: &mut Draw<'_>) {
    let contents = [(ShareContent::Text, "share-text"), (ShareContent::Motion, "share-motion")];
    let (rates, heights) = Settings::share_choices(settings.share_content);
    let rates = rates.map(|fps| (fps, draw.f("share-fps", &[("fps", i64::from(fps).into())])));
    let heights = heights.map(|height| (height, draw.f("share-height", &[("height", i64::from(height).into())])));
    let mut chosen = None;
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing = vec2(space::S, space::S);
        if let Some(content) = segmented(ui, &contents.map(|(content, key)| (content, draw.t(key))), settings.share_content) {
            chosen = Some(settings.clone().with_share(content));
        }
        if let Some(share_fps) = segmented(ui, &rates, settings.share_fps) {
            chosen = Some(Settings { share_fps, ..settings.clone() });
        }
        if let Some(share_height) = segmented(ui, &heights, settings.share_height) {
            chosen = Some(Settings { share_height, ..settings.clone() });
        }
    });
    let more = if settings.share_content == ShareContent::Text { "share-text-more" } else { "share-motion-more" };
    muted(ui, &draw.t(more));
    if let Some(chosen) = chosen {
        draw.want(Intent::Settings(chosen));
    }
}

fn confirm_ui(ui: &mut Ui, view: &ConfirmView, draw: &mut Draw<'_>) {
    head(ui, 400.0, &view.title, Some(&view.body), draw);
    if foot(ui, Button::new(Tone::Danger, &view.act), draw)
        || ui.input_mut(|input| input.consume_key(Modifiers::NONE, Key::Enter))
    {
        draw.want(Intent::Confirmed);
    }
}

fn person_ui(ui: &mut Ui, view: &PersonView, draw: &mut Draw<'_>) {
    let palette = Palette::of(ui);
    head(ui, 420.0, &draw.t("person-details"), None, draw);
    ui.horizontal(|ui| {
        avatar(ui, 56.0, &view.person, Some(view.online));
        ui.add_space(space::XS);
        ui.vertical(|ui| {
            ui.spacing_mut().item_spacing.y = space::XS;
            let name = if view.me {
                draw.f("person-you", &[("name", view.person.name.as_str().into())])
            } else {
                view.person.name.clone()
            };
            ui.add(Label::new(RichText::new(name).font(font(17.0, Weight::Semibold))).truncate());
            ui.horizontal(|ui| {
                role_pill(ui, view.role, draw);
                let key = if view.online { "person-online" } else { "person-offline" };
                ui.label(RichText::new(draw.t(key)).size(12.5).color(palette.muted));
            });
        });
    });
    if view.frozen {
        banner(ui, Banner::Danger, &draw.t("person-frozen-more"), None);
    }
    muted(ui, &draw.t(role_more_key(view.role)));
    if !view.me {
        verify_ui(ui, view, draw);
    }
    for (id, key, text) in [("device_key", "person-device", &view.device), ("account_key", "person-account", &view.account)] {
        let label = draw.t(key);
        ui.horizontal(|ui| {
            section(ui, &label);
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                let name = draw.f("copy-what", &[("what", label.as_str().into())]);
                if IconButton::new(egui_phosphor::regular::COPY, &name).size(26.0).show(ui).clicked() {
                    draw.want(Intent::CopyText(text.clone()));
                }
            });
        });
        copyable(ui, id, &label, text, false);
    }
}

fn verify_ui(ui: &mut Ui, view: &PersonView, draw: &mut Draw<'_>) {
    let (room, device) = view.key;
    if view.key_changed {
        banner(ui, Banner::Danger, &draw.t("person-key-changed-more"), None);
    } else if view.verified {
        banner(ui, Banner::Info, &draw.t("person-verified-more"), None);
    }
    let title = draw.t("code-pairwise");
    section(ui, &title);
    let Some(compare) = &view.compare else {
        ui.spinner();
        return;
    };
    ui.horizontal(|ui| {
        qr_ui(ui, &compare.link, 148.0, &draw.t("code-qr"));
        ui.vertical(|ui| code_ui(ui, &title, &compare.lines));
    });
    muted(ui, &draw.t("code-pairwise-more"));
    muted(ui, &draw.t("scan-drop"));
    ui.horizontal(|ui| {
        if view.verified {
            if Button::new(Tone::Secondary, &draw.t("verify-clear")).small().show(ui).clicked() {
                draw.want(Intent::Unverify { room, device });
            }
        } else if Button::new(Tone::Primary, &draw.t("verify-confirm")).small().show(ui).clicked() {
            draw.want(Intent::Verify { room, device });
        }
        if view.key_changed && Button::new(Tone::Secondary, &draw.t("verify-accept")).small().show(ui).clicked() {
            draw.want(Intent::AcceptKey { room, device });
        }
    });
}

fn role_more_key(role: conclave_node::view::RoleView) -> &'static str {
    use conclave_node::view::RoleView;
    match role {
        RoleView::Viewer => "role-viewer-more",
        RoleView::Member => "role-member-more",
        RoleView::Admin => "role-admin-more",
        RoleView::Owner => "role-owner-more",
    }
}

fn shortcuts_ui(ui: &mut Ui, board: bool, rows: &[KeyRow], draw: &mut Draw<'_>) {
    head(ui, 400.0, &draw.t("keys-title"), Some(&draw.t("keys-body")), draw);
    ui.spacing_mut().item_spacing.y = space::S;
    // The lists are longer than a small window is high.
    let height = (ui.ctx().content_rect().height() - 180.0).clamp(240.0, 640.0);
    ScrollArea::vertical().max_height(height).show(ui, |ui| {
        if board {
            let tools = Tool::ALL.map(|tool| (tool.keys().0.name(), tool.text()));
            let tools = tools.iter().map(|(cap, key)| (std::slice::from_ref(cap), *key));
            keys_ui(ui, tools.chain(canvas::keys::LISTED), draw);
        } else {
            rebinding_ui(ui, rows, draw);
            keys_ui(ui, keys::LISTED.into_iter(), draw);
        }
    });
}

/// The keys that may be others.
fn rebinding_ui(ui: &mut Ui, rows: &[KeyRow], draw: &mut Draw<'_>) {
    for row in rows {
        ui.horizontal(|ui| {
            ui.set_min_size(vec2(ui.available_width(), 22.0));
            let words = draw.t(row.words);
            ui.label(RichText::new(&words).size(13.5));
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                let shown = if row.waiting { draw.t("keys-press") } else { row.key.to_owned() };
                let button =
                    ui.add(egui::Button::new(RichText::new(&shown).size(12.5)).selected(row.waiting).min_size(vec2(34.0, 22.0)));
                let name = draw.f("keys-change", &[("what", words.into()), ("key", shown.into())]);
                crate::widget::field::name(&button, &name);
                if button.on_hover_text(&name).clicked() {
                    draw.want(Intent::Rebind((!row.waiting).then_some(row.action)));
                }
            });
        });
    }
    if Button::new(Tone::Ghost, &draw.t("keys-reset")).small().show(ui).clicked() {
        draw.want(Intent::ResetKeys);
    }
}

fn keys_ui<'k>(ui: &mut Ui, listed: impl Iterator<Item = (&'k [&'k str], &'k str)>, draw: &mut Draw<'_>) {
    let palette = Palette::of(ui);
    for (caps, key) in listed {
        ui.horizontal(|ui| {
            ui.set_min_size(vec2(ui.available_width(), 22.0));
            ui.label(RichText::new(draw.t(key)).size(13.5));
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                ui.spacing_mut().item_spacing.x = 6.0;
                for cap in caps.iter().rev() {
                    key_cap(ui, cap, palette);
                }
            });
        });
    }
}
