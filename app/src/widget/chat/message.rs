//! One message as it stands in the list: its head, its text, what answers it, and the tools over it.

use conclave_protocol::id::RoomId;
use egui::{
    Align, Align2, CornerRadius, CursorIcon, Frame, Label, Layout, Margin, Popup, Rect, RichText, Sense, Stroke, StrokeKind, Ui,
    WidgetInfo, WidgetType, pos2, vec2,
};

use super::{ChatView, Content, MessageRow, Quote, REACTIONS};
use crate::intent::{Confirm, Intent};
use crate::theme::{Palette, Weight, font, space};
use crate::widget::Draw;
use crate::widget::avatar::avatar;
use crate::widget::controls::{IconButton, focus_ring, place};
use crate::widget::markdown::{self, Block, Span};

pub(super) fn message_ui(ui: &mut Ui, view: &ChatView, row: &MessageRow, draw: &mut Draw<'_>) {
    let palette = Palette::of(ui);
    let background = ui.painter().add(egui::Shape::Noop);
    let menu_id = ui.id().with("open");
    let shown =
        Frame::new().inner_margin(Margin { left: 16, right: 16, top: if row.head { 7 } else { 2 }, bottom: 4 }).show(ui, |ui| {
            ui.set_width(ui.available_width());
            // Rows of text are as tall as the text, not as a button.
            ui.spacing_mut().interact_size.y = 18.0;
            ui.horizontal_top(|ui| {
                ui.spacing_mut().item_spacing.x = space::M;
                if row.head {
                    avatar(ui, 36.0, &row.person, None);
                } else {
                    ui.allocate_exact_size(vec2(36.0, 18.0), Sense::hover());
                }
                ui.vertical(|ui| {
                    ui.spacing_mut().item_spacing.y = 3.0;
                    if row.head {
                        ui.horizontal(|ui| {
                            ui.spacing_mut().item_spacing.x = space::S;
                            ui.add(Label::new(RichText::new(&row.person.name).font(font(14.0, Weight::Semibold))).truncate());
                            ui.label(RichText::new(&row.time).size(12.0).color(palette.faint));
                        });
                    }
                    if let Some(quote) = &row.reply {
                        quote_ui(ui, view.room, quote, draw);
                    }
                    content_ui(ui, view, row, draw);
                    if !row.reactions.is_empty() {
                        reactions_ui(ui, view, row, draw);
                    }
                });
            });
        });
    let rect = shown.response.rect;
    let hovered = ui.rect_contains_pointer(rect);
    let menu_open = ui.data(|data| data.get_temp::<bool>(menu_id)).unwrap_or(false);
    if row.names_me {
        let stripe = Rect::from_min_size(rect.min, vec2(3.0, rect.height()));
        ui.painter().set(background, egui::epaint::RectShape::filled(rect, 0.0, palette.warning_soft));
        ui.painter().rect_filled(stripe, 0.0, palette.warning);
    } else if hovered || menu_open {
        ui.painter().set(background, egui::epaint::RectShape::filled(rect, 0.0, palette.hover.gamma_multiply(0.7)));
    }
    if hovered && !row.head {
        let at = pos2(rect.left() + 34.0, rect.top() + 12.0);
        ui.painter().text(at, Align2::CENTER_CENTER, &row.time, font(10.5, Weight::Regular), palette.faint);
    }
    if (hovered || menu_open) && view.can_write && matches!(row.content, Content::Text(_)) {
        let open = toolbar_ui(ui, view, row, rect, draw);
        ui.data_mut(|data| data.insert_temp(menu_id, open));
    }
}

fn toolbar_ui(ui: &mut Ui, view: &ChatView, row: &MessageRow, rect: Rect, draw: &mut Draw<'_>) -> bool {
    let palette = Palette::of(ui);
    let count = 2 + usize::from(row.can_edit) + usize::from(row.can_delete);
    let size = vec2(28.0 * count as f32 + 2.0 * (count - 1) as f32 + 6.0, 34.0);
    let bar = Rect::from_min_size(pos2(rect.right() - size.x - 16.0, rect.top() - 14.0), size);
    let fill = if palette.dark { palette.raised } else { palette.card };
    ui.painter().rect(bar, CornerRadius::same(8), fill, Stroke::new(1.0, palette.line), StrokeKind::Inside);
    let (room, message) = (view.room, row.id);
    place(ui, bar.shrink(3.0), Layout::left_to_right(Align::Center), |ui| {
        ui.spacing_mut().item_spacing.x = 2.0;
        let react = IconButton::new(egui_phosphor::regular::SMILEY, &draw.t("chat-react")).size(28.0).show(ui);
        let open = Popup::menu(&react)
            .show(|ui| {
                ui.horizontal(|ui| {
                    for emoji in REACTIONS {
                        let button = ui.add(egui::Button::new(RichText::new(emoji).size(20.0)).frame_when_inactive(false));
                        if button.clicked() {
                            let mine = row.reactions.iter().any(|reaction| reaction.emoji == emoji && reaction.mine);
                            draw.want(Intent::React { room, message, emoji: emoji.to_owned(), on: !mine });
                            ui.close();
                        }
                    }
                });
            })
            .is_some();
        if IconButton::new(egui_phosphor::regular::ARROW_BEND_UP_LEFT, &draw.t("chat-reply")).size(28.0).show(ui).clicked() {
            draw.want(Intent::Reply(room, message));
        }
        if row.can_edit
            && IconButton::new(egui_phosphor::regular::PENCIL_SIMPLE, &draw.t("chat-edit")).size(28.0).show(ui).clicked()
        {
            draw.want(Intent::Edit(room, message));
        }
        if row.can_delete {
            let name = draw.t("chat-delete");
            if IconButton::new(egui_phosphor::regular::TRASH, &name).size(28.0).colour(palette.danger).show(ui).clicked() {
                draw.want(Intent::Ask(Confirm::DeleteMessage { room, message }));
            }
        }
        open
    })
}

fn quote_ui(ui: &mut Ui, room: RoomId, quote: &Quote, draw: &mut Draw<'_>) {
    let palette = Palette::of(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 20.0), Sense::click());
    let words = if quote.author.is_empty() { quote.excerpt.clone() } else { format!("{}  {}", quote.author, quote.excerpt) };
    response.widget_info(|| WidgetInfo::labeled(WidgetType::Link, true, &words));
    let hover = ui.ctx().animate_bool_responsive(response.id, response.hovered());
    let bar = Rect::from_min_size(rect.min + vec2(0.0, 1.0), vec2(3.0, 18.0));
    ui.painter().rect_filled(bar, 1.5, palette.line.lerp_to_gamma(palette.accent, 0.4 + 0.6 * hover));
    let mut job = egui::text::LayoutJob::default();
    let colour = palette.muted.lerp_to_gamma(palette.text, hover);
    job.append(&quote.author, 0.0, egui::TextFormat::simple(font(12.5, Weight::Semibold), colour));
    let gap = if quote.author.is_empty() { 0.0 } else { 6.0 };
    job.append(&quote.excerpt, gap, egui::TextFormat::simple(font(12.5, Weight::Regular), colour));
    job.wrap = egui::text::TextWrapping::truncate_at_width(rect.width() - 12.0);
    let galley = ui.painter().layout_job(job);
    ui.painter().galley(pos2(rect.left() + 10.0, rect.center().y - galley.size().y / 2.0), galley, colour);
    focus_ring(ui, &response, rect, 4.0);
    if response.on_hover_cursor(CursorIcon::PointingHand).clicked() {
        draw.want(Intent::ShowMessage(room, quote.id));
    }
}

fn content_ui(ui: &mut Ui, view: &ChatView, row: &MessageRow, draw: &mut Draw<'_>) {
    let palette = Palette::of(ui);
    let body = match &row.content {
        Content::Text(body) => body,
        Content::Deleted => {
            let words = format!("{}  {}", egui_phosphor::regular::PROHIBIT, draw.t("chat-deleted"));
            ui.label(RichText::new(words).size(13.5).italics().color(palette.faint));
            return;
        }
        Content::FromNewerVersion => {
            let words = format!("{}  {}", egui_phosphor::regular::ARROW_CIRCLE_UP, draw.t("chat-newer"));
            ui.label(RichText::new(words).size(13.5).italics().color(palette.faint));
            return;
        }
    };
    let blocks = markdown::parse(body, &view.names);
    let last = blocks.len().saturating_sub(1);
    for (index, block) in blocks.iter().enumerate() {
        match block {
            Block::Code(code) => {
                Frame::new().fill(palette.raised).corner_radius(8).inner_margin(Margin::symmetric(12, 8)).show(ui, |ui| {
                    ui.set_width(ui.available_width());
                    ui.add(Label::new(RichText::new(code).monospace().size(12.5)).wrap().selectable(true));
                });
            }
            Block::Paragraph(spans) => paragraph_ui(ui, view, spans, row.edited && index == last, draw),
        }
    }
}

fn paragraph_ui(ui: &mut Ui, view: &ChatView, spans: &[Span], edited: bool, draw: &mut Draw<'_>) {
    let palette = Palette::of(ui);
    let edited = edited.then(|| RichText::new(format!(" {}", draw.t("chat-edited"))).size(11.5).color(palette.faint));
    if spans.is_empty() {
        ui.add_space(8.0);
        return;
    }
    let style = |span: &Span| {
        let weight = if span.bold || span.mention { Weight::Semibold } else { Weight::Regular };
        let mut text = RichText::new(&span.text).font(font(14.0, weight)).color(palette.text);
        if span.italic {
            text = text.italics();
        }
        if span.code {
            text = text.font(egui::FontId::monospace(12.5)).background_color(palette.raised);
        }
        if span.mention {
            let me = span.text.strip_prefix('@').is_some_and(|name| name == view.my_name);
            text = text.color(if me { palette.warning } else { palette.accent });
        }
        text
    };
    if spans.iter().all(|span| span.link.is_none()) {
        let mut job = egui::text::LayoutJob::default();
        for text in spans.iter().map(style).chain(edited) {
            text.append_to(&mut job, ui.style(), egui::FontSelection::Default, Align::Center);
        }
        ui.add(Label::new(job).wrap().selectable(true));
        return;
    }
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing = vec2(0.0, 2.0);
        for span in spans {
            match &span.link {
                None => {
                    ui.add(Label::new(style(span)).selectable(true));
                }
                Some(target) if target.starts_with("conclave://") => {
                    let words = RichText::new(draw.t("chat-invite-link")).font(font(14.0, Weight::Medium)).color(palette.accent);
                    if ui.link(words).on_hover_text(target).clicked() {
                        draw.want(Intent::JoinWith(target.clone()));
                    }
                }
                Some(target) => {
                    ui.hyperlink_to(style(span).color(palette.accent), target).on_hover_text(target);
                }
            }
        }
        if let Some(edited) = edited {
            ui.label(edited);
        }
    });
}

fn reactions_ui(ui: &mut Ui, view: &ChatView, row: &MessageRow, draw: &mut Draw<'_>) {
    let palette = Palette::of(ui);
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing = vec2(4.0, 4.0);
        for reaction in &row.reactions {
            let words = format!("{} {}", reaction.emoji, reaction.count);
            let colour = if reaction.mine { palette.accent } else { palette.muted };
            let galley = ui.painter().layout_no_wrap(words, font(12.5, Weight::Medium), colour);
            let (rect, response) = ui.allocate_exact_size(vec2(galley.size().x + 16.0, 24.0), Sense::click());
            let name = format!("{} {}", reaction.emoji, reaction.names);
            response.widget_info(|| WidgetInfo::selected(WidgetType::Button, true, reaction.mine, &name));
            let (fill, line) = if reaction.mine { (palette.accent_soft, palette.accent) } else { (palette.raised, palette.line) };
            ui.painter().rect(rect, 12.0, fill, Stroke::new(1.0, line), StrokeKind::Inside);
            ui.painter().galley(rect.center() - galley.size() / 2.0, galley, colour);
            focus_ring(ui, &response, rect, 12.0);
            if response.on_hover_text(&reaction.names).on_hover_cursor(CursorIcon::PointingHand).clicked() && view.can_write {
                let intent =
                    Intent::React { room: view.room, message: row.id, emoji: reaction.emoji.clone(), on: !reaction.mine };
                draw.want(intent);
            }
        }
    });
}
