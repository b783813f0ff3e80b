//! The person's choices: name, look, devices, and what the network looks like from here.

use conclave_node::view::{MediaKind, SoundView};
use egui::{Align, ComboBox, Frame, Layout, Margin, RichText, ScrollArea, Ui, vec2};

use crate::intent::{Confirm, Intent, SettingsPage};
use crate::screen::joining::{lines_ui, tried_lines};
use crate::state::AppState;
use crate::state::dialog::Dialog;
use crate::state::settings::{Settings, ThemeChoice};
use crate::text::Language;
use crate::theme::{Palette, Weight, font, space};
use crate::widget::Draw;
use crate::widget::avatar::{Person, avatar};
use crate::widget::controls::{Button, IconButton, Tone, muted, section, segmented, switch};
use crate::widget::device_picker::{Picker, caret, picker_ui};
use crate::widget::field::{Field, name as name_control};

#[derive(Debug, Clone, PartialEq)]
pub struct SettingsView {
    pub page: SettingsPage,
    pub name: String,
    pub name_changed: bool,
    pub me: Option<Person>,
    /// How secrets are kept, in words.
    pub protection: String,
    pub settings: Settings,
    pub language: Language,
    pub devices: Vec<Picker>,
    pub sound: SoundView,
    pub network: Option<Network>,
    pub team: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    pub lines: Vec<String>,
    pub listening: Vec<String>,
    pub hints: Vec<String>,
}

impl SettingsView {
    pub fn new(state: &AppState) -> Option<Self> {
        let Some(Dialog::Settings { page, name }) = &state.dialog else { return None };
        let me = state.profile.as_ref();
        let protection = match me.map(|me| me.protection.as_str()) {
            Some("keyring") => "protection-keyring",
            Some("passphrase") => "protection-passphrase",
            _ => "protection-insecure",
        };
        Some(Self {
            page: *page,
            name: name.clone(),
            name_changed: me.is_some_and(|me| !name.trim().is_empty() && me.name != name.trim()),
            me: me.map(|me| Person::new(me.device, me.account.as_bytes(), &me.name)),
            protection: state.text.t(protection),
            settings: state.settings.clone(),
            language: state.text.language(),
            devices: [MediaKind::Microphone, MediaKind::Camera, MediaKind::Speaker].map(|kind| Picker::new(state, kind)).into(),
            sound: state.sound,
            network: state.diagnosis.as_ref().map(|diagnosis| Network {
                lines: tried_lines(state, diagnosis),
                listening: diagnosis.listening.clone(),
                hints: diagnosis.hints.clone(),
            }),
            team: team_lines(state),
        })
    }
}

pub fn settings_ui(ui: &mut Ui, view: &SettingsView, draw: &mut Draw<'_>) {
    let palette = Palette::of(ui);
    let size =
        vec2(640.0_f32.min(ui.ctx().content_rect().width() - 64.0), 480.0_f32.min(ui.ctx().content_rect().height() - 64.0));
    ui.set_width(size.x);
    ui.horizontal_top(|ui| {
        ui.spacing_mut().item_spacing.x = 0.0;
        let side = Frame::new().fill(palette.sidebar).corner_radius(egui::CornerRadius { nw: 14, sw: 14, ne: 0, se: 0 });
        side.inner_margin(Margin::same(12)).show(ui, |ui| {
            ui.set_width(158.0);
            ui.set_height(size.y - 24.0);
            ui.vertical(|ui| {
                ui.spacing_mut().item_spacing.y = 2.0;
                ui.add_space(2.0);
                ui.label(RichText::new(draw.t("settings")).font(font(16.0, Weight::Semibold)));
                ui.add_space(space::S);
                use egui_phosphor::regular as icons;
                let pages = [
                    (SettingsPage::Appearance, icons::PALETTE, "settings-appearance"),
                    (SettingsPage::Profile, icons::USER, "settings-profile"),
                    (SettingsPage::Devices, icons::HEADPHONES, "settings-devices"),
                    (SettingsPage::Network, icons::WIFI_HIGH, "settings-network"),
                ];
                for (page, icon, key) in pages {
                    page_ui(ui, page, icon, &draw.t(key), view.page == page, draw);
                }
            });
        });
        Frame::new().inner_margin(Margin { left: 24, right: 20, top: 16, bottom: 16 }).show(ui, |ui| {
            ui.set_width(size.x - 182.0 - 44.0);
            ui.set_height(size.y - 32.0);
            ui.spacing_mut().item_spacing.x = space::S;
            ui.vertical(|ui| {
                ui.horizontal(|ui| {
                    let key = match view.page {
                        SettingsPage::Appearance => "settings-appearance",
                        SettingsPage::Profile => "settings-profile",
                        SettingsPage::Devices => "settings-devices",
                        SettingsPage::Network => "settings-network",
                    };
                    ui.label(RichText::new(draw.t(key)).font(font(16.0, Weight::Semibold)));
                    ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                        if IconButton::new(egui_phosphor::regular::X, &draw.t("close")).hint("Esc").size(28.0).show(ui).clicked()
                        {
                            draw.want(Intent::CloseDialog);
                        }
                    });
                });
                ui.add_space(space::S);
                ScrollArea::vertical().id_salt("settings").auto_shrink(false).show(ui, |ui| {
                    ui.spacing_mut().item_spacing.y = space::M;
                    match view.page {
                        SettingsPage::Appearance => appearance_ui(ui, view, draw),
                        SettingsPage::Profile => profile_ui(ui, view, draw),
                        SettingsPage::Devices => devices_ui(ui, view, draw),
                        SettingsPage::Network => network_ui(ui, view, draw),
                    }
                });
            });
        });
    });
}

fn page_ui(ui: &mut Ui, page: SettingsPage, icon: &str, label: &str, selected: bool, draw: &mut Draw<'_>) {
    let palette = Palette::of(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 34.0), egui::Sense::click());
    response.widget_info(|| egui::WidgetInfo::selected(egui::WidgetType::Button, true, selected, label));
    let hover = ui.ctx().animate_bool_responsive(response.id, response.hovered());
    let fill = if selected { palette.accent_soft } else { palette.hover.gamma_multiply(hover) };
    ui.painter().rect_filled(rect, 8.0, fill);
    let colour = if selected { palette.accent } else { palette.muted };
    let at = rect.left_center() + vec2(18.0, 0.0);
    ui.painter().text(at, egui::Align2::CENTER_CENTER, icon, font(17.0, Weight::Regular), colour);
    let text = if selected { palette.text } else { palette.muted };
    ui.painter().text(at + vec2(18.0, 0.0), egui::Align2::LEFT_CENTER, label, font(13.5, Weight::Medium), text);
    crate::widget::controls::focus_ring(ui, &response, rect.shrink(2.0), 8.0);
    if response.on_hover_cursor(egui::CursorIcon::PointingHand).clicked() {
        draw.want(Intent::ShowSettings(page));
    }
}

fn appearance_ui(ui: &mut Ui, view: &SettingsView, draw: &mut Draw<'_>) {
    let mut settings = view.settings.clone();
    section(ui, &draw.t("settings-theme"));
    let themes = [(ThemeChoice::System, "theme-system"), (ThemeChoice::Light, "theme-light"), (ThemeChoice::Dark, "theme-dark")];
    if let Some(theme) = segmented(ui, &themes.map(|(theme, key)| (theme, draw.t(key))), settings.theme) {
        settings.theme = theme;
    }
    section(ui, &draw.t("settings-text-size"));
    let scales = Settings::TEXT_SCALES.map(|scale| (scale, format!("{scale} %")));
    if let Some(scale) = segmented(ui, &scales, settings.text_scale_pct) {
        settings.text_scale_pct = scale;
    }
    section(ui, &draw.t("settings-language"));
    let shown = settings.language.map_or_else(|| draw.t("language-system"), |language| language.own_name().to_owned());
    let combo = ComboBox::from_id_salt("language").selected_text(shown).width(220.0).icon(caret).show_ui(ui, |ui| {
        if ui.selectable_label(settings.language.is_none(), draw.t("language-system")).clicked() {
            settings.language = None;
        }
        for language in Language::ALL {
            if ui.selectable_label(settings.language == Some(language), language.own_name()).clicked() {
                settings.language = Some(language);
            }
        }
    });
    name_control(&combo.response, &draw.t("settings-language"));
    ui.add_space(space::XS);
    if switch(ui, settings.reduced_motion, &draw.t("settings-motion"), Some(&draw.t("settings-motion-more"))) {
        settings.reduced_motion = !settings.reduced_motion;
    }
    if switch(ui, settings.notifications, &draw.t("settings-notify"), Some(&draw.t("settings-notify-more"))) {
        settings.notifications = !settings.notifications;
    }
    if settings != view.settings {
        draw.want(Intent::Settings(settings));
    }
}

fn profile_ui(ui: &mut Ui, view: &SettingsView, draw: &mut Draw<'_>) {
    if let Some(me) = &view.me {
        avatar(ui, 64.0, me, None);
    }
    let (label, note) = (draw.t("welcome-name"), draw.t("settings-name-note"));
    let field = Field::new("profile_name", &label).limit(60).note(&note, false).show(ui, &view.name);
    if let Some(typed) = field.changed {
        draw.want(Intent::ProfileName(typed));
    }
    let save = Button::new(Tone::Primary, &draw.t("save")).enabled(view.name_changed).show(ui).clicked();
    if save || (field.entered && view.name_changed) {
        draw.want(Intent::SaveProfileName);
    }
    ui.add_space(space::S);
    section(ui, &draw.t("settings-secrets"));
    muted(ui, &view.protection);
    section(ui, &draw.t("settings-wipe"));
    muted(ui, &draw.t("settings-wipe-more"));
    let label = draw.t("settings-wipe-act");
    if Button::new(Tone::Danger, &label).small().icon(egui_phosphor::regular::TRASH).show(ui).clicked() {
        draw.want(Intent::Ask(Confirm::Wipe));
    }
}

fn devices_ui(ui: &mut Ui, view: &SettingsView, draw: &mut Draw<'_>) {
    for picker in &view.devices {
        picker_ui(ui, picker, draw);
    }
    let label = draw.t("settings-refresh");
    if Button::new(Tone::Secondary, &label).small().icon(egui_phosphor::regular::ARROWS_CLOCKWISE).show(ui).clicked() {
        draw.want(Intent::RefreshDevices);
    }
    section(ui, &draw.t("settings-sound"));
    let mut sound = view.sound;
    for (on, label, more) in [
        (&mut sound.echo, "sound-echo", "sound-echo-more"),
        (&mut sound.noise, "sound-noise", "sound-noise-more"),
        (&mut sound.gain, "sound-gain", "sound-gain-more"),
        (&mut sound.chimes, "sound-chimes", "sound-chimes-more"),
    ] {
        if switch(ui, *on, &draw.t(label), Some(&draw.t(more))) {
            *on = !*on;
        }
    }
    if sound != view.sound {
        draw.want(Intent::Sound(sound));
    }
}

/// How it stands with the team, a line for each thing.
fn team_lines(state: &AppState) -> Vec<String> {
    let Some(team) = &state.team else { return vec![state.text.t("team-none")] };
    let named = [("team", team.team.as_str().into()), ("name", team.name.as_str().into())];
    let mut lines = vec![state.text.f("team-member", &named)];
    lines.push(state.text.t(if team.online { "team-online" } else { "team-offline" }));
    if team.relayed {
        lines.push(state.text.t("team-relayed"));
    }
    lines
}

fn network_ui(ui: &mut Ui, view: &SettingsView, draw: &mut Draw<'_>) {
    section(ui, &draw.t("settings-team"));
    lines_ui(ui, egui_phosphor::regular::USERS_THREE, &view.team);
    muted(ui, &draw.t("settings-network-more"));
    match &view.network {
        None => {
            ui.spinner();
        }
        Some(network) => {
            lines_ui(ui, egui_phosphor::regular::DOT_OUTLINE, &network.lines);
            if !network.hints.is_empty() {
                section(ui, &draw.t("join-hints"));
                lines_ui(ui, egui_phosphor::regular::LIGHTBULB, &network.hints);
            }
            section(ui, &draw.t("settings-listening"));
            lines_ui(ui, egui_phosphor::regular::DOT_OUTLINE, &network.listening);
        }
    }
    let label = draw.t("settings-refresh");
    if Button::new(Tone::Secondary, &label).small().icon(egui_phosphor::regular::ARROWS_CLOCKWISE).show(ui).clicked() {
        draw.want(Intent::Diagnose);
    }
}
