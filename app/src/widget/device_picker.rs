//! The choice of a camera, a microphone or a speaker.

use conclave_node::view::{MediaDeviceView, MediaKind};
use egui::{ComboBox, RichText, Ui};

use crate::intent::Intent;
use crate::state::AppState;
use crate::theme::{Palette, Weight, font};
use crate::widget::Draw;

/// What can be chosen of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picker {
    pub kind: MediaKind,
    pub label: String,
    /// Label of the one in use.
    pub current: Option<String>,
    pub options: Vec<PickerOption>,
    /// Where there is nothing to choose from.
    pub none: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PickerOption {
    pub spec: String,
    pub label: String,
    pub unavailable: Option<String>,
    pub selected: bool,
}

impl Picker {
    pub fn new(state: &AppState, kind: MediaKind) -> Self {
        let (label, none) = match kind {
            MediaKind::Camera => ("device-camera", "device-no-camera"),
            MediaKind::Microphone => ("device-mic", "device-no-mic"),
            MediaKind::Speaker => ("device-speaker", "device-no-speaker"),
            MediaKind::Screen => ("device-screen", "device-no-screen"),
        };
        let current = state.device_for(kind);
        let option = |device: &MediaDeviceView| PickerOption {
            spec: device.spec.clone(),
            label: device.label.clone(),
            unavailable: device.unavailable.clone(),
            selected: current.is_some_and(|current| current.spec == device.spec),
        };
        Self {
            kind,
            label: state.text.t(label),
            current: current.map(|device| device.label.clone()),
            options: state.devices.iter().filter(|device| device.kind == kind).map(option).collect(),
            none: state.text.t(none),
        }
    }
}

/// The mark of a list that opens.
pub fn caret(ui: &Ui, rect: egui::Rect, _visuals: &egui::style::WidgetVisuals, open: bool) {
    let icon = if open { egui_phosphor::regular::CARET_UP } else { egui_phosphor::regular::CARET_DOWN };
    let palette = Palette::of(ui);
    ui.painter().text(rect.center(), egui::Align2::CENTER_CENTER, icon, font(14.0, Weight::Regular), palette.muted);
}

fn icon(kind: MediaKind) -> &'static str {
    use egui_phosphor::regular as icons;
    match kind {
        MediaKind::Camera => icons::VIDEO_CAMERA,
        MediaKind::Microphone => icons::MICROPHONE,
        MediaKind::Speaker => icons::SPEAKER_HIGH,
        MediaKind::Screen => icons::MONITOR,
    }
}

pub fn picker_ui(ui: &mut Ui, view: &Picker, draw: &mut Draw<'_>) {
    let palette = Palette::of(ui);
    ui.vertical(|ui| {
        ui.spacing_mut().item_spacing.y = 6.0;
        ui.label(RichText::new(&view.label).font(font(13.0, Weight::Medium)).color(palette.muted));
        let shown = view.current.as_deref().unwrap_or(&view.none);
        let colour = if view.current.is_some() { palette.text } else { palette.faint };
        let shown = RichText::new(format!("{}  {shown}", icon(view.kind))).color(colour);
        let response = ui
            .add_enabled_ui(!view.options.is_empty(), |ui| {
                ui.spacing_mut().button_padding.y = 9.0;
                ComboBox::from_id_salt(("device", view.kind))
                    .selected_text(shown)
                    .width(ui.available_width())
                    .truncate()
                    .icon(caret)
                    .show_ui(ui, |ui| {
                        for option in &view.options {
                            let label = match &option.unavailable {
                                Some(why) => format!("{} · {why}", option.label),
                                None => option.label.clone(),
                            };
                            let clicked = ui
                                .add_enabled_ui(option.unavailable.is_none(), |ui| {
                                    ui.selectable_label(option.selected, label).clicked()
                                })
                                .inner;
                            if clicked {
                                draw.want(Intent::ChooseDevice { kind: view.kind, spec: option.spec.clone() });
                            }
                        }
                    })
                    .response
            })
            .inner;
        super::field::name(&response, &view.label);
    });
}
