//! First start: a name, where secrets are kept, and in. Also the door of a store that needs its passphrase or cannot be opened.

use egui::{Align, CentralPanel, Frame, Layout, RichText, ScrollArea, Sense, Ui, vec2};

use crate::intent::{Intent, ProtectionChoice};
use crate::state::{AppState, Phase, WelcomeStep};
use crate::theme::{Palette, Weight, font, space};
use crate::widget::Draw;
use crate::widget::avatar::Person;
use crate::widget::controls::{Banner, Button, Tone, banner, choice, section, switch};
use crate::widget::field::Field;
use crate::widget::{avatar, logo};

#[derive(Debug, Clone, PartialEq)]
pub struct WelcomeView {
    pub step: WelcomeStep,
    pub name: String,
    pub protection: ProtectionChoice,
    pub passphrase: String,
    pub again: String,
    pub accept_insecure: bool,
    pub busy: bool,
    pub ready: bool,
    pub passphrase_note: Option<String>,
    pub error: Option<(String, Option<String>)>,
    /// An earlier store that is damaged lies there.
    pub aside: Option<String>,
    /// Trying again may help.
    pub retry: bool,
}

impl WelcomeView {
    pub fn new(state: &AppState) -> Option<Self> {
        let Phase::Welcome(welcome) = &state.phase else { return None };
        let count = welcome.passphrase.chars().count();
        let note = if count > 0 && count < crate::state::MIN_PASSPHRASE {
            Some("welcome-passphrase-short")
        } else if !welcome.again.is_empty() && welcome.again != welcome.passphrase {
            Some("welcome-passphrase-differs")
        } else {
            None
        };
        Some(Self {
            step: welcome.step,
            name: welcome.name.clone(),
            protection: welcome.protection,
            passphrase: welcome.passphrase.clone(),
            again: welcome.again.clone(),
            accept_insecure: welcome.accept_insecure,
            busy: welcome.busy,
            ready: welcome.ready(),
            passphrase_note: note.map(|key| state.text.t(key)),
            error: welcome.error.as_ref().map(|error| state.sentence(&error.code, &error.message)),
            aside: state.launch.aside.clone().filter(|_| welcome.step == WelcomeStep::Onboard && welcome.error.is_none()),
            retry: welcome.error.is_some() && welcome.step == WelcomeStep::Opening,
        })
    }
}

pub fn welcome_ui(ui: &mut Ui, view: &WelcomeView, draw: &mut Draw<'_>) {
    let palette = Palette::of(ui);
    CentralPanel::no_frame().frame(Frame::new().fill(palette.sidebar)).show(ui, |ui| {
        let height = ui.available_height();
        let measured = ui.data(|data| data.get_temp::<f32>(egui::Id::new("welcome_height"))).unwrap_or(520.0);
        ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
            ui.add_space(((height - measured) / 2.0).max(space::XL));
            let card = ui.vertical_centered(|ui| {
                ui.set_max_width(456.0);
                let frame = Frame::new()
                    .fill(if palette.dark { palette.card } else { palette.window })
                    .stroke(egui::Stroke::new(1.0, palette.line))
                    .corner_radius(18)
                    .inner_margin(32)
                    .shadow(egui::Shadow {
                        offset: [0, 16],
                        blur: 48,
                        spread: 0,
                        color: egui::Color32::from_black_alpha(if palette.dark { 70 } else { 22 }),
                    });
                frame.show(ui, |ui| {
                    ui.set_width(ui.available_width());
                    ui.with_layout(Layout::top_down(Align::Min), |ui| {
                        ui.spacing_mut().item_spacing.y = space::M;
                        head_ui(ui, view, draw);
                        match view.step {
                            WelcomeStep::Onboard => onboard_ui(ui, view, draw),
                            WelcomeStep::Unlock => unlock_ui(ui, view, draw),
                            WelcomeStep::Opening => opening_ui(ui, view, draw),
                        }
                    });
                });
            });
            let height = card.response.rect.height();
            if (height - measured).abs() > 0.5 {
                ui.data_mut(|data| data.insert_temp(egui::Id::new("welcome_height"), height));
                ui.ctx().request_repaint();
            }
            ui.add_space(space::XL);
        });
    });
}

fn head_ui(ui: &mut Ui, view: &WelcomeView, draw: &Draw<'_>) {
    let palette = Palette::of(ui);
    let (heading, body) = match view.step {
        WelcomeStep::Onboard => ("welcome-title", "welcome-body"),
        WelcomeStep::Unlock => ("welcome-unlock-title", "welcome-unlock-body"),
        WelcomeStep::Opening => ("welcome-opening-title", "welcome-opening-body"),
    };
    let (rect, _) = ui.allocate_exact_size(vec2(52.0, 52.0), Sense::hover());
    logo::paint(ui.painter(), rect.center(), 52.0, palette);
    ui.add_space(space::XS);
    ui.label(RichText::new(draw.t(heading)).font(font(24.0, Weight::Semibold)));
    ui.add(egui::Label::new(RichText::new(draw.t(body)).size(14.0).color(palette.muted)).wrap());
    if let Some((sentence, detail)) = &view.error {
        banner(ui, Banner::Danger, sentence, detail.as_deref());
    }
    if let Some(aside) = &view.aside {
        banner(ui, Banner::Warning, &draw.t("welcome-aside"), Some(aside));
    }
}

fn onboard_ui(ui: &mut Ui, view: &WelcomeView, draw: &mut Draw<'_>) {
    ui.add_space(space::XS);
    let name =
        Field::new("welcome_name", &draw.t("welcome-name")).hint(&draw.t("welcome-name-hint")).limit(60).show(ui, &view.name);
    focus_once(ui, &name.response, view.name.is_empty());
    if let Some(typed) = name.changed {
        draw.want(Intent::WelcomeName(typed));
    }
    preview_ui(ui, view);
    ui.add_space(space::XS);
    section(ui, &draw.t("welcome-protection"));
    ui.scope(|ui| {
        ui.spacing_mut().item_spacing.y = space::S;
        use egui_phosphor::regular as icons;
        let choices = [
            (ProtectionChoice::Keyring, icons::KEY, "welcome-keyring", "welcome-keyring-more"),
            (ProtectionChoice::Passphrase, icons::PASSWORD, "welcome-passphrase", "welcome-passphrase-more"),
            (ProtectionChoice::Insecure, icons::LOCK_OPEN, "welcome-insecure", "welcome-insecure-more"),
        ];
        for (protection, icon, label, more) in choices {
            if choice(ui, view.protection == protection, icon, &draw.t(label), &draw.t(more)) {
                draw.want(Intent::WelcomeProtection(protection));
            }
        }
    });
    let mut entered = name.entered;
    match view.protection {
        ProtectionChoice::Keyring => {}
        ProtectionChoice::Passphrase => {
            let first = Field::new("welcome-passphrase", &draw.t("welcome-passphrase-field")).secret().show(ui, &view.passphrase);
            if let Some(typed) = first.changed {
                draw.want(Intent::WelcomePassphrase(typed));
            }
            let label = draw.t("welcome-passphrase-again");
            let mut again = Field::new("welcome_again", &label).secret();
            if let Some(note) = &view.passphrase_note {
                again = again.note(note, true);
            }
            let again = again.show(ui, &view.again);
            if let Some(typed) = again.changed {
                draw.want(Intent::WelcomePassphraseAgain(typed));
            }
            entered |= first.entered || again.entered;
            banner(ui, Banner::Info, &draw.t("welcome-passphrase-warning"), None);
        }
        ProtectionChoice::Insecure => {
            banner(ui, Banner::Warning, &draw.t("welcome-insecure-warning"), None);
            if switch(ui, view.accept_insecure, &draw.t("welcome-insecure-accept"), None) {
                draw.want(Intent::WelcomeAcceptInsecure(!view.accept_insecure));
            }
        }
    }
    ui.add_space(space::XS);
    let label = draw.t("welcome-start");
    let start = Button::new(Tone::Primary, &label).wide().enabled(view.ready).busy(view.busy).show(ui);
    if start.clicked() || (entered && view.ready) {
        draw.want(Intent::WelcomeStart);
    }
}

/// How the person will look to others, as soon as there is a name.
fn preview_ui(ui: &mut Ui, view: &WelcomeView) {
    let name = view.name.trim();
    if name.is_empty() {
        return;
    }
    let palette = Palette::of(ui);
    let person = Person::new(conclave_protocol::id::DeviceId([0; 32]), name.as_bytes(), name);
    ui.horizontal(|ui| {
        avatar::avatar(ui, 28.0, &Person { colour: palette.accent, ..person }, None);
        ui.add(egui::Label::new(RichText::new(name).font(font(13.5, Weight::Medium)).color(palette.muted)).truncate());
    });
}

fn unlock_ui(ui: &mut Ui, view: &WelcomeView, draw: &mut Draw<'_>) {
    let field = Field::new("unlock", &draw.t("welcome-passphrase-field")).secret().show(ui, &view.passphrase);
    focus_once(ui, &field.response, true);
    if let Some(typed) = field.changed {
        draw.want(Intent::WelcomePassphrase(typed));
    }
    let label = draw.t("welcome-unlock");
    let unlock = Button::new(Tone::Primary, &label).wide().enabled(view.ready).busy(view.busy).show(ui);
    if unlock.clicked() || (field.entered && view.ready) {
        draw.want(Intent::WelcomeStart);
    }
}

fn opening_ui(ui: &mut Ui, view: &WelcomeView, draw: &mut Draw<'_>) {
    if view.busy {
        ui.horizontal(|ui| {
            ui.spinner();
            ui.label(draw.t("welcome-opening"));
        });
    }
    if view.retry {
        let label = draw.t("retry");
        if Button::new(Tone::Primary, &label).icon(egui_phosphor::regular::ARROWS_CLOCKWISE).wide().show(ui).clicked() {
            draw.want(Intent::WelcomeRetry);
        }
    }
}

/// Gives a field the keyboard when it first appears.
fn focus_once(ui: &Ui, response: &egui::Response, wanted: bool) {
    let id = response.id.with("focused");
    if !ui.data(|data| data.get_temp::<bool>(id)).unwrap_or(false) {
        ui.data_mut(|data| data.insert_temp(id, true));
        if wanted {
            response.request_focus();
        }
    }
}
