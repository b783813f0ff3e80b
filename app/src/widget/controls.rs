//! Buttons, switches, pills, cards and the like: drawn once, the same everywhere, each with its accessible name.

use egui::{
    Align, Align2, Color32, CornerRadius, CursorIcon, Frame, Layout, Margin, Rect, Response, RichText, Sense, Stroke, StrokeKind,
    Ui, UiBuilder, Vec2, WidgetInfo, WidgetType, pos2, vec2,
};

use crate::theme::{Palette, Weight, fill_icon, font, radius, space};

/// What a button stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// The one thing to do here.
    Primary,
    Secondary,
    /// No frame until hovered.
    Ghost,
    Danger,
}

/// A button with a word on it.
pub struct Button<'a> {
    label: &'a str,
    icon: Option<&'a str>,
    tone: Tone,
    wide: bool,
    small: bool,
    enabled: bool,
    busy: bool,
}

impl<'a> Button<'a> {
    pub fn new(tone: Tone, label: &'a str) -> Self {
        Self { label, icon: None, tone, wide: false, small: false, enabled: true, busy: false }
    }

    pub fn icon(mut self, icon: &'a str) -> Self {
        self.icon = Some(icon);
        self
    }

    /// As wide as there is room.
    pub fn wide(mut self) -> Self {
        self.wide = true;
        self
    }

    pub fn small(mut self) -> Self {
        self.small = true;
        self
    }

    pub fn enabled(mut self, enabled: bool) -> Self {
        self.enabled = enabled;
        self
    }

    /// Turns a wheel instead of taking clicks.
    pub fn busy(mut self, busy: bool) -> Self {
        self.busy = busy;
        self
    }

    pub fn show(self, ui: &mut Ui) -> Response {
        let palette = Palette::of(ui);
        let enabled = self.enabled && !self.busy && ui.is_enabled();
        let size = if self.small { 13.0 } else { 14.0 };
        let galley = ui.painter().layout_no_wrap(self.label.to_owned(), font(size, Weight::Medium), Color32::PLACEHOLDER);
        let icon = self
            .icon
            .map(|icon| ui.painter().layout_no_wrap(icon.to_owned(), font(size + 3.0, Weight::Regular), Color32::PLACEHOLDER));
        let icon_width = icon.as_ref().map_or(0.0, |icon| icon.size().x + 7.0);
        let padding = if self.small { 10.0 } else { 14.0 };
        let height = if self.small { 28.0 } else { 36.0 };
        let mut width = galley.size().x + icon_width + 2.0 * padding;
        if self.wide {
            width = width.max(ui.available_width());
        }
        let sense = if enabled { Sense::click() } else { Sense::hover() };
        let (rect, response) = ui.allocate_exact_size(vec2(width, height), sense);
        response.widget_info(|| WidgetInfo::labeled(WidgetType::Button, enabled, self.label));
        if !ui.is_rect_visible(rect) {
            return response;
        }
        let hover = ui.ctx().animate_bool_responsive(response.id, enabled && response.hovered());
        let (fill, fill_hover, line, colour) = match self.tone {
            Tone::Primary => (palette.accent, palette.accent_hover, Color32::TRANSPARENT, palette.on_accent),
            Tone::Secondary => (palette.raised, palette.hover.lerp_to_gamma(palette.line, 0.7), palette.line, palette.text),
            Tone::Ghost => (Color32::TRANSPARENT, palette.raised, Color32::TRANSPARENT, palette.muted),
            Tone::Danger => (palette.danger, palette.danger_hover, Color32::TRANSPARENT, palette.on_accent),
        };
        let mut fill = fill.lerp_to_gamma(fill_hover, hover);
        let mut colour = if self.tone == Tone::Ghost { colour.lerp_to_gamma(palette.text, hover) } else { colour };
        if !enabled && !self.busy {
            fill = fill.gamma_multiply(0.45);
            colour = colour.gamma_multiply(0.6);
        }
        let pressed = response.is_pointer_button_down_on();
        let body = if pressed { rect.shrink(0.5) } else { rect };
        ui.painter().rect(body, CornerRadius::same(radius::CONTROL), fill, Stroke::new(1.0, line), StrokeKind::Inside);
        focus_ring(ui, &response, rect, f32::from(radius::CONTROL));
        if self.busy {
            let spinner = Rect::from_center_size(rect.center(), Vec2::splat(16.0));
            ui.put(spinner, egui::Spinner::new().size(16.0).color(colour));
            return response;
        }
        let content = galley.size().x + icon_width;
        let mut x = rect.center().x - content / 2.0;
        if let Some(icon) = icon {
            let at = pos2(x, rect.center().y - icon.size().y / 2.0);
            x += icon_width;
            ui.painter().galley_with_override_text_color(at, icon, colour);
        }
        let at = pos2(x, rect.center().y - galley.size().y / 2.0);
        ui.painter().galley_with_override_text_color(at, galley, colour);
        if enabled { response.on_hover_cursor(CursorIcon::PointingHand) } else { response }
    }
}

/// The ring that shows where the keyboard is.
pub fn focus_ring(ui: &Ui, response: &Response, rect: Rect, corner: f32) {
    if response.has_focus() {
        let palette = Palette::of(ui);
        ui.painter().rect_stroke(rect.expand(2.0), corner + 2.0, Stroke::new(2.0, palette.accent), StrokeKind::Outside);
    }
}

/// A button that is only an icon; its name is its tooltip.
pub struct IconButton<'a> {
    icon: &'a str,
    name: &'a str,
    hint: Option<&'a str>,
    size: f32,
    selected: bool,
    filled: bool,
    colour: Option<Color32>,
    enabled: bool,
    badge: u32,
}

impl<'a> IconButton<'a> {
    pub fn new(icon: &'a str, name: &'a str) -> Self {
        Self { icon, name, hint: None, size: 32.0, selected: false, filled: false, colour: None, enabled: true, badge: 0 }
    }

    /// A key, shown in the tooltip.
    pub fn hint(mut self, key: &'a str) -> Self {
        self.hint = Some(key);
        self
    }

    /// Side, in points.
    pub fn size(mut self, size: f32) -> Self {
        self.size = size;
        self
    }

    pub fn selected(mut self, selected: bool) -> Self {
        self.selected = selected;
        self
    }

    pub fn colour(mut self, colour: Color32) -> Self {
        self.colour = Some(colour);
        self
    }

    pub fn filled(mut self, filled: bool) -> Self {
        self.filled = filled;
        self
    }

    pub fn enabled(mut self, enabled: bool) -> Self {
        self.enabled = enabled;
        self
    }

    /// A count in the corner; none at zero.
    pub fn badge(mut self, count: u32) -> Self {
        self.badge = count;
        self
    }

    pub fn show(self, ui: &mut Ui) -> Response {
        let palette = Palette::of(ui);
        let enabled = self.enabled && ui.is_enabled();
        let sense = if enabled { Sense::click() } else { Sense::hover() };
        let (rect, response) = ui.allocate_exact_size(Vec2::splat(self.size), sense);
        response.widget_info(|| WidgetInfo::selected(WidgetType::Button, enabled, self.selected, self.name));
        if ui.is_rect_visible(rect) {
            let hover = ui.ctx().animate_bool_responsive(response.id, enabled && response.hovered());
            let fill =
                if self.selected { palette.accent_soft } else { Color32::TRANSPARENT.lerp_to_gamma(palette.raised, hover) };
            ui.painter().rect_filled(rect, CornerRadius::same(radius::CONTROL), fill);
            let idle = if self.selected { palette.accent } else { self.colour.unwrap_or(palette.muted) };
            let strong = if self.selected { palette.accent } else { self.colour.unwrap_or(palette.text) };
            let mut colour = idle.lerp_to_gamma(strong, hover);
            if !enabled {
                colour = colour.gamma_multiply(0.4);
            }
            let glyph = (self.size * 0.56).round();
            let family = if self.filled { fill_icon(glyph) } else { font(glyph, Weight::Regular) };
            ui.painter().text(rect.center(), Align2::CENTER_CENTER, self.icon, family, colour);
            focus_ring(ui, &response, rect, f32::from(radius::CONTROL));
            if self.badge > 0 {
                count_badge(ui, rect.right_top() + vec2(-4.0, 5.0), self.badge, palette.danger, palette.on_accent);
            }
        }
        let response = if enabled { response.on_hover_cursor(CursorIcon::PointingHand) } else { response };
        named_tooltip(response, self.name, self.hint)
    }
}

/// A tooltip with a key cap behind the words.
pub fn named_tooltip(response: Response, name: &str, key: Option<&str>) -> Response {
    response.on_hover_ui(|ui| {
        let palette = Palette::of(ui);
        ui.horizontal(|ui| {
            ui.label(RichText::new(name).size(12.5));
            if let Some(key) = key {
                key_cap(ui, key, palette);
            }
        });
    })
}

/// A key as it is printed on a keyboard.
pub fn key_cap(ui: &mut Ui, key: &str, palette: &Palette) {
    let galley = ui.painter().layout_no_wrap(key.to_owned(), font(11.5, Weight::Medium), palette.muted);
    let (rect, response) = ui.allocate_exact_size(vec2((galley.size().x + 12.0).max(22.0), 20.0), Sense::hover());
    response.widget_info(|| WidgetInfo::labeled(WidgetType::Label, true, key));
    ui.painter().rect(rect, 5.0, palette.raised, Stroke::new(1.0, palette.line), StrokeKind::Inside);
    ui.painter().galley(rect.center() - galley.size() / 2.0, galley, palette.muted);
}

/// A small number in a capsule around `center`.
pub fn count_badge(ui: &Ui, center: egui::Pos2, count: u32, fill: Color32, colour: Color32) {
    let text = if count > 99 { "99+".to_owned() } else { count.to_string() };
    let galley = ui.painter().layout_no_wrap(text, font(10.5, Weight::Semibold), colour);
    let size = vec2((galley.size().x + 9.0).max(16.0), 16.0);
    let rect = Rect::from_center_size(center, size);
    ui.painter().rect_filled(rect, 8.0, fill);
    ui.painter().galley(rect.center() - galley.size() / 2.0, galley, colour);
}

/// A word in a soft capsule.
pub fn pill(ui: &mut Ui, icon: Option<&str>, text: &str, colour: Color32, fill: Color32) -> Response {
    let words = match icon {
        Some(icon) => format!("{icon} {text}"),
        None => text.to_owned(),
    };
    let galley = ui.painter().layout_no_wrap(words, font(11.5, Weight::Medium), colour);
    let (rect, response) = ui.allocate_exact_size(galley.size() + vec2(14.0, 6.0), Sense::hover());
    response.widget_info(|| WidgetInfo::labeled(WidgetType::Label, true, text));
    ui.painter().rect_filled(rect, rect.height() / 2.0, fill);
    ui.painter().galley(rect.center() - galley.size() / 2.0, galley, colour);
    response
}

/// On or off, with words and an explanation. True in the answer where it was flipped.
pub fn switch(ui: &mut Ui, on: bool, label: &str, explanation: Option<&str>) -> bool {
    let palette = Palette::of(ui);
    let width = ui.available_width();
    let words_width = width - 52.0;
    let title = ui.painter().layout(label.to_owned(), font(14.0, Weight::Medium), palette.text, words_width);
    let more =
        explanation.map(|more| ui.painter().layout(more.to_owned(), font(12.5, Weight::Regular), palette.muted, words_width));
    let height = title.size().y + more.as_ref().map_or(0.0, |more| more.size().y + 2.0) + 8.0;
    let (rect, response) = ui.allocate_exact_size(vec2(width, height), Sense::click());
    response.widget_info(|| WidgetInfo::selected(WidgetType::Checkbox, true, on, label));
    let at = rect.left_top() + vec2(0.0, 4.0);
    let below = at + vec2(0.0, title.size().y + 2.0);
    ui.painter().galley(at, title, palette.text);
    if let Some(more) = more {
        ui.painter().galley(below, more, palette.muted);
    }
    let track = Rect::from_min_size(pos2(rect.right() - 38.0, rect.top() + 4.0), vec2(36.0, 20.0));
    let t = ui.ctx().animate_bool_responsive(response.id, on);
    let off = if palette.dark { palette.line } else { palette.faint.gamma_multiply(0.55) };
    ui.painter().rect_filled(track, 10.0, off.lerp_to_gamma(palette.accent, t));
    let knob = pos2(egui::lerp(track.left() + 10.0..=track.right() - 10.0, t), track.center().y);
    ui.painter().circle_filled(knob, 7.5, Color32::WHITE);
    focus_ring(ui, &response, track, 10.0);
    response.on_hover_cursor(CursorIcon::PointingHand).clicked()
}

/// One of a few, side by side.
pub fn segmented<T: Copy + PartialEq>(ui: &mut Ui, options: &[(T, String)], current: T) -> Option<T> {
    let palette = Palette::of(ui);
    let mut chosen = None;
    let fill = if palette.dark { palette.window } else { palette.raised };
    Frame::new().fill(fill).corner_radius(CornerRadius::same(radius::CONTROL)).inner_margin(Margin::same(3)).show(ui, |ui| {
        ui.horizontal(|ui| {
            ui.spacing_mut().item_spacing.x = 2.0;
            for (value, label) in options {
                let selected = *value == current;
                let galley = ui.painter().layout_no_wrap(label.clone(), font(13.0, Weight::Medium), Color32::PLACEHOLDER);
                let (rect, response) = ui.allocate_exact_size(vec2(galley.size().x + 22.0, 28.0), Sense::click());
                response.widget_info(|| WidgetInfo::selected(WidgetType::RadioButton, true, selected, label));
                let hover = ui.ctx().animate_bool_responsive(response.id, response.hovered());
                if selected {
                    let raised = if palette.dark { palette.raised } else { palette.card };
                    ui.painter().rect(rect, 6.0, raised, Stroke::new(1.0, palette.line), StrokeKind::Inside);
                }
                let colour = if selected { palette.text } else { palette.muted.lerp_to_gamma(palette.text, hover) };
                ui.painter().galley_with_override_text_color(rect.center() - galley.size() / 2.0, galley, colour);
                focus_ring(ui, &response, rect, 6.0);
                if response.on_hover_cursor(CursorIcon::PointingHand).clicked() && !selected {
                    chosen = Some(*value);
                }
            }
        });
    });
    chosen
}

/// A row that can be chosen among others: an icon, words and an explanation, with a mark where it is chosen.
pub fn choice(ui: &mut Ui, selected: bool, icon: &str, label: &str, explanation: &str) -> bool {
    let (rect, response) = labelled_row(ui, selected, WidgetType::RadioButton, icon, label, explanation);
    let palette = Palette::of(ui);
    let mark = pos2(rect.right() - 22.0, rect.center().y);
    if selected {
        ui.painter().circle_filled(mark, 8.0, palette.accent);
        ui.painter().text(
            mark,
            Align2::CENTER_CENTER,
            egui_phosphor::regular::CHECK,
            font(11.0, Weight::Semibold),
            palette.on_accent,
        );
    } else {
        ui.painter().circle_stroke(mark, 8.0, Stroke::new(1.5, palette.line.lerp_to_gamma(palette.faint, 0.5)));
    }
    response.clicked()
}

/// A row that does something at once.
pub fn action_row(ui: &mut Ui, icon: &str, label: &str, explanation: &str) -> bool {
    let (rect, response) = labelled_row(ui, false, WidgetType::Button, icon, label, explanation);
    let palette = Palette::of(ui);
    let mark = pos2(rect.right() - 22.0, rect.center().y);
    ui.painter().text(
        mark,
        Align2::CENTER_CENTER,
        egui_phosphor::regular::CARET_RIGHT,
        font(16.0, Weight::Regular),
        palette.faint,
    );
    response.clicked()
}

fn labelled_row(ui: &mut Ui, selected: bool, kind: WidgetType, icon: &str, label: &str, explanation: &str) -> (Rect, Response) {
    let palette = Palette::of(ui);
    let width = ui.available_width();
    let words_width = width - 92.0;
    let title = ui.painter().layout(label.to_owned(), font(14.0, Weight::Medium), palette.text, words_width);
    let more = ui.painter().layout(explanation.to_owned(), font(12.5, Weight::Regular), palette.muted, words_width);
    let height = title.size().y + more.size().y + 2.0 + 22.0;
    let (rect, response) = ui.allocate_exact_size(vec2(width, height), Sense::click());
    let enabled = ui.is_enabled();
    response.widget_info(|| match kind {
        WidgetType::RadioButton => WidgetInfo::selected(kind, enabled, selected, label),
        _ => WidgetInfo::labeled(kind, enabled, label),
    });
    let hover = ui.ctx().animate_bool_responsive(response.id, response.hovered());
    let fill = if selected { palette.accent_soft } else { palette.card.lerp_to_gamma(palette.hover, hover) };
    let line = if selected { palette.accent } else { palette.line };
    ui.painter().rect(rect, 10.0, fill, Stroke::new(1.0, line), StrokeKind::Inside);
    let icon_colour = if selected { palette.accent } else { palette.muted };
    let icon_at = pos2(rect.left() + 26.0, rect.center().y);
    ui.painter().text(icon_at, Align2::CENTER_CENTER, icon, font(20.0, Weight::Regular), icon_colour);
    let at = pos2(rect.left() + 52.0, rect.top() + 11.0);
    let below = at + vec2(0.0, title.size().y + 2.0);
    ui.painter().galley(at, title, palette.text);
    ui.painter().galley(below, more, palette.muted);
    focus_ring(ui, &response, rect, 10.0);
    (rect, response.on_hover_cursor(CursorIcon::PointingHand))
}

/// A rounded surface with room inside.
pub fn card(ui: &Ui) -> Frame {
    let palette = Palette::of(ui);
    Frame::new()
        .fill(palette.card)
        .stroke(Stroke::new(1.0, palette.line))
        .corner_radius(CornerRadius::same(radius::CARD))
        .inner_margin(Margin::same(16))
}

/// Words above a group.
pub fn section(ui: &mut Ui, text: &str) {
    let palette = Palette::of(ui);
    ui.label(RichText::new(text).font(font(12.0, Weight::Semibold)).color(palette.faint));
}

pub fn title(ui: &mut Ui, text: &str, size: f32) {
    let palette = Palette::of(ui);
    ui.add(egui::Label::new(RichText::new(text).font(font(size, Weight::Semibold)).color(palette.text)).wrap());
}

pub fn muted(ui: &mut Ui, text: &str) -> Response {
    let palette = Palette::of(ui);
    ui.add(egui::Label::new(RichText::new(text).size(13.0).color(palette.muted)).wrap())
}

/// Something to know before going on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Banner {
    Info,
    Warning,
    Danger,
}

pub fn banner(ui: &mut Ui, kind: Banner, text: &str, detail: Option<&str>) {
    let palette = Palette::of(ui);
    let (icon, colour, fill) = match kind {
        Banner::Info => (egui_phosphor::regular::INFO, palette.accent, palette.accent_soft),
        Banner::Warning => (egui_phosphor::regular::WARNING, palette.warning, palette.warning_soft),
        Banner::Danger => (egui_phosphor::regular::WARNING_CIRCLE, palette.danger, palette.danger_soft),
    };
    Frame::new().fill(fill).corner_radius(CornerRadius::same(10)).inner_margin(Margin::symmetric(12, 10)).show(ui, |ui| {
        ui.set_width(ui.available_width());
        ui.horizontal_top(|ui| {
            ui.label(RichText::new(icon).size(18.0).color(colour));
            ui.vertical(|ui| {
                ui.spacing_mut().item_spacing.y = 2.0;
                ui.add(egui::Label::new(RichText::new(text).font(font(13.5, Weight::Medium)).color(palette.text)).wrap());
                if let Some(detail) = detail {
                    ui.add(egui::Label::new(RichText::new(detail).size(12.5).color(palette.muted)).wrap().selectable(true));
                }
            });
        });
    });
}

/// Nothing here yet, and what to do about it. The buttons are the caller's, below.
pub fn empty_state(ui: &mut Ui, icon: &str, heading: &str, body: &str) {
    let palette = Palette::of(ui);
    ui.vertical_centered(|ui| {
        let (rect, _) = ui.allocate_exact_size(Vec2::splat(64.0), Sense::hover());
        ui.painter().circle_filled(rect.center(), 32.0, palette.accent_soft);
        ui.painter().text(rect.center(), Align2::CENTER_CENTER, icon, font(28.0, Weight::Regular), palette.accent);
        ui.add_space(space::S);
        ui.label(RichText::new(heading).font(font(17.0, Weight::Semibold)).color(palette.text));
        ui.scope(|ui| {
            ui.set_max_width(380.0);
            ui.add(egui::Label::new(RichText::new(body).size(13.5).color(palette.muted)).wrap().halign(Align::Center));
        });
    });
}

/// A thin line across.
pub fn hairline(ui: &mut Ui) {
    let palette = Palette::of(ui);
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), 1.0), Sense::hover());
    ui.painter().hline(rect.x_range(), rect.center().y, Stroke::new(1.0, palette.line));
}

/// A column of `width` in the middle of what is left, from `top` points below its upper edge.
pub fn centred_column<R>(ui: &mut Ui, width: f32, top: f32, add: impl FnOnce(&mut Ui) -> R) -> R {
    let area = ui.available_rect_before_wrap();
    let width = width.min(area.width() - 2.0 * space::L);
    let rect = Rect::from_min_size(pos2(area.center().x - width / 2.0, area.top() + top), vec2(width, area.height() - top));
    ui.scope_builder(UiBuilder::new().max_rect(rect).layout(Layout::top_down(Align::Min)), add).inner
}

/// Draws into `rect` without moving what follows.
pub fn place<R>(ui: &mut Ui, rect: Rect, layout: Layout, add: impl FnOnce(&mut Ui) -> R) -> R {
    let mut child = ui.new_child(UiBuilder::new().max_rect(rect).layout(layout));
    add(&mut child)
}
