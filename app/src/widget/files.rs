//! The files of a room: what is offered, what is on its way and how far, what is here.

use std::path::PathBuf;

use conclave_node::view::{FileState, FileView, RoleView, RoomView};
use conclave_protocol::id::{FileId, RoomId};
use egui::{Align, Frame, Label, Layout, Margin, RichText, ScrollArea, Sense, Ui, WidgetInfo, WidgetType, vec2};

use crate::intent::{FileIntent, Intent};
use crate::preview::Drawn;
use crate::state::AppState;
use crate::text::displayable;
use crate::theme::{Palette, Weight, font, space};
use crate::widget::Draw;
use crate::widget::controls::{Button, IconButton, Tone, empty_state, muted};

#[derive(Debug, Clone, PartialEq)]
pub struct FilesView {
    pub room: RoomId,
    pub can_share: bool,
    pub reading: Vec<ReadingRow>,
    /// The newest first.
    pub files: Vec<FileRow>,
}

/// A file that is being read, to be shared.
#[derive(Debug, Clone, PartialEq)]
pub struct ReadingRow {
    pub name: String,
    pub share: f32,
}

#[derive(Debug, Clone, PartialEq)]
pub struct FileRow {
    pub file: FileId,
    pub name: String,
    pub folder: bool,
    /// How large, and who shared it.
    pub about: String,
    pub state: FileState,
    /// How far it is, how fast, from how many; or what is wrong.
    pub status: String,
    pub share: f32,
    /// A digit for each part.
    pub map: String,
    pub removable: bool,
    /// Where it is, where a preview is wanted.
    pub preview: Option<PathBuf>,
    pub previewable: bool,
}

/// `1.5 MiB`, in the person's language.
pub fn size_text(state: &AppState, bytes: u64) -> String {
    let units = ["size-b", "size-kib", "size-mib", "size-gib", "size-tib"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    let digits = usize::from(unit > 0 && value < 100.0);
    let mut number = format!("{value:.digits$}");
    if state.text.language() == crate::text::Language::German {
        number = number.replace('.', ",");
    }
    state.text.f(units.get(unit).copied().unwrap_or("size-b"), &[("n", number.into())])
}

fn left_text(state: &AppState, seconds: u64) -> String {
    let (key, n) = match seconds {
        0..=89 => ("left-seconds", seconds),
        90..=5_399 => ("left-minutes", seconds.div_ceil(60)),
        _ => ("left-hours", seconds.div_ceil(3_600)),
    };
    state.text.f(key, &[("n", n.into())])
}

impl FilesView {
    pub fn new(state: &AppState, room: &RoomView) -> Self {
        let files = state.files.get(&room.room);
        let reading = files.into_iter().flat_map(|files| &files.hashing).map(|(path, (done, size))| ReadingRow {
            name: displayable(path.rsplit(['/', '\\']).next().unwrap_or(path)),
            share: if *size == 0 { 0.0 } else { *done as f32 / *size as f32 },
        });
        let shown = files.and_then(|files| files.preview);
        let may_remove = |view: &FileView| view.mine || room.my_role >= RoleView::Admin;
        let rows = files.into_iter().flat_map(|files| files.list.iter().rev()).map(|view| {
            let whole = view.state == FileState::Complete && view.files.is_none();
            FileRow {
                file: view.file,
                name: displayable(&view.name),
                folder: view.files.is_some(),
                about: about(state, view),
                state: view.state,
                status: status(state, view),
                share: if view.size == 0 { 1.0 } else { view.done as f32 / view.size as f32 },
                map: if matches!(view.state, FileState::Fetching | FileState::Paused) { view.map.clone() } else { String::new() },
                removable: may_remove(view) && !room.gone,
                preview: view.path.as_deref().filter(|_| whole && shown == Some(view.file)).map(PathBuf::from),
                previewable: whole,
            }
        });
        let can_share = !room.gone && room.my_role > RoleView::Viewer;
        Self { room: room.room, can_share, reading: reading.collect(), files: rows.collect() }
    }
}

fn about(state: &AppState, view: &FileView) -> String {
    let size = size_text(state, view.size);
    let who = if view.mine { state.text.t("you") } else { displayable(&view.author_name) };
    match view.files {
        Some(files) => state.text.f("file-about-folder", &[("size", size.into()), ("count", files.into()), ("who", who.into())]),
        None => state.text.f("file-about", &[("size", size.into()), ("who", who.into())]),
    }
}

fn status(state: &AppState, view: &FileView) -> String {
    let done = size_text(state, view.done);
    let size = size_text(state, view.size);
    match view.state {
        FileState::Offered => String::new(),
        FileState::Fetching if view.peers == 0 => state.text.t("file-waiting"),
        FileState::Fetching => {
            let speed = size_text(state, view.down);
            let values = [("done", done.into()), ("size", size.into()), ("speed", speed.into()), ("peers", view.peers.into())];
            let line = state.text.f("file-fetching", &values);
            match view.left_s {
                Some(left) => format!("{line} · {}", left_text(state, left)),
                None => line,
            }
        }
        FileState::Paused => state.text.f("file-paused", &[("done", done.into()), ("size", size.into())]),
        FileState::Complete if view.up > 0 => {
            let speed = size_text(state, view.up);
            state.text.f("file-sending", &[("speed", speed.into())])
        }
        FileState::Complete if view.mine => state.text.t("file-shared"),
        FileState::Complete => state.text.t("file-complete"),
        FileState::Sealed => state.text.t("file-sealed"),
        FileState::Stopped => {
            let error = view.error.as_ref();
            error.map_or_else(String::new, |error| state.sentence(&error.code, &error.message).0)
        }
    }
}

pub fn files_ui(ui: &mut Ui, view: &FilesView, draw: &mut Draw<'_>) {
    let room = view.room;
    if view.can_share {
        ui.horizontal(|ui| {
            let label = draw.t("files-share");
            if Button::new(Tone::Primary, &label).icon(egui_phosphor::regular::FILE_PLUS).small().show(ui).clicked() {
                draw.want(Intent::File(FileIntent::Choose { room, folder: false }));
            }
            let label = draw.t("files-share-folder");
            if Button::new(Tone::Secondary, &label).icon(egui_phosphor::regular::FOLDER_PLUS).small().show(ui).clicked() {
                draw.want(Intent::File(FileIntent::Choose { room, folder: true }));
            }
        });
        muted(ui, &draw.t("files-drop"));
        ui.add_space(space::S);
    }
    if view.files.is_empty() && view.reading.is_empty() {
        let (heading, body) = (draw.t("files-none"), draw.t("files-none-more"));
        empty_state(ui, egui_phosphor::regular::FILES, &heading, &body);
        return;
    }
    ScrollArea::vertical().id_salt("files").auto_shrink(false).show(ui, |ui| {
        ui.spacing_mut().item_spacing.y = space::XS;
        for row in &view.reading {
            let text = draw.f("file-reading", &[("name", row.name.as_str().into())]);
            ui.label(RichText::new(&text).size(13.0));
            progress_ui(ui, &text, row.share, "");
        }
        for row in &view.files {
            file_ui(ui, room, row, draw);
        }
    });
}

fn file_ui(ui: &mut Ui, room: RoomId, row: &FileRow, draw: &mut Draw<'_>) {
    let palette = Palette::of(ui);
    let file = row.file;
    ui.push_id(file, |ui| {
        Frame::new().fill(palette.raised).corner_radius(8.0).inner_margin(Margin::symmetric(10, 8)).show(ui, |ui| {
            ui.set_width(ui.available_width());
            ui.spacing_mut().item_spacing.y = 3.0;
            ui.horizontal(|ui| {
                let icon = if row.folder { egui_phosphor::regular::FOLDER } else { egui_phosphor::regular::FILE };
                ui.label(RichText::new(icon).size(18.0).color(palette.muted));
                ui.vertical(|ui| {
                    ui.spacing_mut().item_spacing.y = 1.0;
                    ui.add(Label::new(RichText::new(&row.name).font(font(13.5, Weight::Semibold))).truncate());
                    ui.add(Label::new(RichText::new(&row.about).size(12.0).color(palette.faint)).truncate());
                });
            });
            if matches!(row.state, FileState::Fetching | FileState::Paused) {
                let name = draw.f("file-progress", &[("name", row.name.as_str().into())]);
                progress_ui(ui, &name, row.share, &row.map);
            }
            if !row.status.is_empty() {
                let colour = if row.state == FileState::Stopped { palette.danger } else { palette.muted };
                ui.add(Label::new(RichText::new(&row.status).size(12.0).color(colour)).wrap());
            }
            actions_ui(ui, room, row, draw);
            if let Some(path) = &row.preview {
                preview_ui(ui, row, path, draw);
            }
        });
    });
}

fn actions_ui(ui: &mut Ui, room: RoomId, row: &FileRow, draw: &mut Draw<'_>) {
    use egui_phosphor::regular as icon;
    let file = row.file;
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 4.0;
        let mut act = |ui: &mut Ui, icon: &str, key: &str, intent: FileIntent| {
            let label = draw.f(key, &[("name", row.name.as_str().into())]);
            if IconButton::new(icon, &label).size(28.0).show(ui).clicked() {
                draw.want(Intent::File(intent));
            }
        };
        match row.state {
            FileState::Offered => {
                act(ui, icon::DOWNLOAD_SIMPLE, "file-get", FileIntent::Get { room, file });
                act(ui, icon::FOLDER_SIMPLE_PLUS, "file-get-into", FileIntent::GetInto { room, file });
                act(ui, icon::PLANT, "file-seed", FileIntent::Seed { room, file });
            }
            FileState::Fetching => {
                act(ui, icon::PAUSE, "file-pause", FileIntent::Pause { room, file });
                act(ui, icon::X, "file-cancel", FileIntent::Cancel { room, file });
            }
            FileState::Paused | FileState::Stopped => {
                act(ui, icon::PLAY, "file-resume", FileIntent::Resume { room, file });
                act(ui, icon::X, "file-cancel", FileIntent::Cancel { room, file });
            }
            FileState::Complete => {
                act(ui, icon::ARROW_SQUARE_OUT, "file-open", FileIntent::Open { room, file });
                act(ui, icon::FOLDER_OPEN, "file-open-folder", FileIntent::OpenFolder { room, file });
                if row.previewable {
                    act(ui, icon::EYE, "file-preview", FileIntent::Preview { room, file });
                }
            }
            FileState::Sealed => {
                act(ui, icon::DOWNLOAD_SIMPLE, "file-get", FileIntent::Get { room, file });
                act(ui, icon::X, "file-cancel", FileIntent::Cancel { room, file });
            }
        }
        if row.removable {
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                act(ui, icon::TRASH, "file-remove", FileIntent::Remove { room, file });
            });
        }
    });
}

/// A bar; below it, where it is known, which parts are here.
fn progress_ui(ui: &mut Ui, name: &str, share: f32, map: &str) {
    let palette = Palette::of(ui);
    let height = if map.is_empty() { 6.0 } else { 12.0 };
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), height), Sense::hover());
    let value = f64::from((share * 100.0).clamp(0.0, 100.0).floor());
    response.widget_info(|| {
        let mut info = WidgetInfo::labeled(WidgetType::ProgressIndicator, true, name);
        info.value = Some(value);
        info
    });
    let bar = egui::Rect::from_min_size(rect.min, vec2(rect.width(), 6.0));
    ui.painter().rect_filled(bar, 3.0, palette.line);
    let filled = egui::Rect::from_min_size(bar.min, vec2(bar.width() * share.clamp(0.0, 1.0), bar.height()));
    ui.painter().rect_filled(filled, 3.0, palette.accent);
    let parts = map.chars().count().max(1) as f32;
    for (at, digit) in map.chars().enumerate() {
        let width = rect.width() / parts;
        let part = egui::Rect::from_min_size(egui::pos2(rect.left() + at as f32 * width, rect.bottom() - 4.0), vec2(width, 4.0));
        let held = digit.to_digit(10).unwrap_or(0) as f32 / 9.0;
        ui.painter().rect_filled(part.shrink2(vec2(0.5, 0.0)), 0.0, palette.success.gamma_multiply(0.15 + 0.85 * held));
    }
}

fn preview_ui(ui: &mut Ui, row: &FileRow, path: &std::path::Path, draw: &mut Draw<'_>) {
    let ctx = ui.ctx().clone();
    let (name, none) = (draw.f("file-preview-of", &[("name", row.name.as_str().into())]), draw.t("file-preview-none"));
    match draw.previews.show(&ctx, path) {
        Drawn::Loading => {
            ui.spinner();
        }
        Drawn::Picture(texture) => {
            let width = ui.available_width();
            let size = texture.size_vec2();
            let scale = (width / size.x).min(1.0);
            let response = ui.add(egui::Image::new((texture.id(), size * scale)));
            response.widget_info(|| WidgetInfo::labeled(WidgetType::Image, true, &name));
        }
        Drawn::Text(text) => {
            ScrollArea::vertical().id_salt("preview").max_height(180.0).show(ui, |ui| {
                ui.add(Label::new(RichText::new(text).monospace().size(12.0)).wrap());
            });
        }
        Drawn::None => {
            muted(ui, &none);
        }
    }
}
