//! Fields to type into, each with its label both on screen and for a screen reader.

use egui::{Frame, Id, Key, Margin, Response, RichText, TextEdit, Ui};

use crate::theme::{Palette, Weight, font, space};

/// A single line with a label above.
pub struct Field<'a> {
    id: &'a str,
    label: &'a str,
    hint: &'a str,
    note: Option<(&'a str, bool)>,
    secret: bool,
    limit: usize,
    icon: Option<&'a str>,
    show_label: bool,
}

/// What came of a frame of a field.
pub struct FieldResponse {
    pub response: Response,
    /// The text, where it changed.
    pub changed: Option<String>,
    /// Enter was pressed in it.
    pub entered: bool,
}

impl<'a> Field<'a> {
    pub fn new(id: &'a str, label: &'a str) -> Self {
        Self { id, label, hint: "", note: None, secret: false, limit: 200, icon: None, show_label: true }
    }

    pub fn hint(mut self, hint: &'a str) -> Self {
        self.hint = hint;
        self
    }

    /// Words below; `bad` where they say what is wrong.
    pub fn note(mut self, note: &'a str, bad: bool) -> Self {
        self.note = Some((note, bad));
        self
    }

    pub fn secret(mut self) -> Self {
        self.secret = true;
        self
    }

    /// Most characters that can be typed.
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    pub fn icon(mut self, icon: &'a str) -> Self {
        self.icon = Some(icon);
        self
    }

    /// The label is only for the screen reader.
    pub fn quiet(mut self) -> Self {
        self.show_label = false;
        self
    }

    pub fn show(self, ui: &mut Ui, text: &str) -> FieldResponse {
        let palette = Palette::of(ui);
        let mut typed = text.to_owned();
        ui.vertical(|ui| {
            ui.spacing_mut().item_spacing.y = 6.0;
            if self.show_label {
                ui.label(RichText::new(self.label).font(font(13.0, Weight::Medium)).color(palette.muted));
            }
            let mut edit = TextEdit::singleline(&mut typed)
                .id(Id::new(self.id))
                .hint_text(RichText::new(self.hint).color(palette.faint))
                .password(self.secret)
                .char_limit(self.limit)
                .desired_width(f32::INFINITY)
                .font(font(14.0, Weight::Regular))
                .margin(Margin::symmetric(12, 9));
            if let Some(icon) = self.icon {
                edit = edit.prefix(RichText::new(icon).size(16.0).color(palette.faint));
            }
            let response = ui.add(edit);
            name(&response, self.label);
            if let Some((note, bad)) = self.note {
                let colour = if bad { palette.danger } else { palette.faint };
                ui.add(egui::Label::new(RichText::new(note).size(12.5).color(colour)).wrap());
            }
            let entered = response.lost_focus() && ui.input(|input| input.key_pressed(Key::Enter));
            let changed = response.changed().then_some(typed);
            FieldResponse { response, changed, entered }
        })
        .inner
    }
}

/// Gives a control the name that a screen reader says.
pub fn name(response: &Response, name: &str) {
    response.ctx.accesskit_node_builder(response.id, |node| node.set_label(name));
}

/// A text that can be copied but not changed, in a well of its own: on one line that scrolls, or on as many as it takes.
pub fn copyable(ui: &mut Ui, id: &str, label: &str, text: &str, one_line: bool) -> Response {
    let palette = Palette::of(ui);
    let mut shown = text;
    let edit = if one_line { TextEdit::singleline(&mut shown) } else { TextEdit::multiline(&mut shown).desired_rows(1) };
    let response = ui.add(
        edit.id(Id::new(id)).font(egui::FontId::monospace(12.0)).text_color(palette.muted).desired_width(f32::INFINITY).frame(
            Frame::new().fill(palette.raised).corner_radius(8).inner_margin(Margin::symmetric(space::M as i8, space::S as i8)),
        ),
    );
    name(&response, label);
    response
}
