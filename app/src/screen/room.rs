//! One room: its head, its chat, and the panel at the right. Board and files will stand beside the chat, behind the tabs of the head.

use conclave_protocol::id::RoomId;
use egui::{
    Align, Frame, Label, Layout, Margin, Panel as Side, Popup, RichText, ScrollArea, Sense, Stroke, Ui, WidgetInfo, WidgetType,
};

use crate::clock::{Day, LocalTime};
use crate::intent::{Confirm, Intent, Panel};
use crate::keys::Action;
use crate::screen::board::{BoardScreen, board_ui};
use crate::state::AppState;
use crate::text::displayable;
use crate::theme::{PANEL, Palette, Weight, font, space};
use crate::widget::Draw;
use crate::widget::avatar::{Person, avatar, stack};
use crate::widget::chat::{ChatView, chat_ui};
use crate::widget::composer::{ComposerView, composer_ui};
use crate::widget::controls::{Button, IconButton, Tone, muted};
use crate::widget::field::Field;
use crate::widget::files::{FilesView, files_ui};
use crate::widget::invite::{InviteView, invite_ui};
use crate::widget::people::{PeopleView, menu_item, people_ui};

#[derive(Debug, Clone, PartialEq)]
pub struct RoomScreen {
    pub room: RoomId,
    pub name: String,
    pub subtitle: String,
    pub others: Vec<Person>,
    pub gone: bool,
    pub knocks: u32,
    pub call: CallState,
    pub in_call: Vec<Person>,
    pub panel: Option<Panel>,
    pub chat: ChatView,
    pub composer: ComposerView,
    pub people: PeopleView,
    pub invite: InviteView,
    pub files: FilesView,
    pub search: Option<SearchView>,
}

/// Where this room's call stands for this person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallState {
    None,
    /// Others are in it.
    Running,
    /// So is this person.
    Inside,
    /// This person is in another room's call.
    Elsewhere,
}

#[derive(Debug, Clone, PartialEq)]
pub struct SearchView {
    pub query: String,
    pub results: Option<Vec<Found>>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    pub id: conclave_protocol::id::OpHash,
    pub person: Person,
    pub when: String,
    pub excerpt: String,
}

/// "Today", "Yesterday" or the date.
pub fn day_label(state: &AppState, day: Day) -> String {
    let on = |ms: u64| LocalTime::at(ms, (state.launch.local_offset_s)(ms)).day;
    if day == on(state.now_ms) {
        state.text.t("day-today")
    } else if day == on(state.now_ms.saturating_sub(86_400_000)) {
        state.text.t("day-yesterday")
    } else {
        state.text.f("day-date", &[("day", day.day.into()), ("month", day.month.into()), ("year", day.year.to_string().into())])
    }
}

impl RoomScreen {
    pub fn new(state: &AppState, room: RoomId) -> Option<Self> {
        let room = state.room(room)?;
        let person = |device| Person::in_room(state, Some(room), device, "");
        let others: Vec<Person> = room.members.iter().filter(|member| !member.me).map(|member| person(member.device)).collect();
        let online = room.members.iter().filter(|member| member.online || member.me).count();
        let in_call: Vec<Person> = room.call.iter().flat_map(|call| &call.people).map(|device| person(*device)).collect();
        let call = match &state.call {
            Some(call) if call.room == room.room => CallState::Inside,
            Some(_) => CallState::Elsewhere,
            None if !in_call.is_empty() => CallState::Running,
            None => CallState::None,
        };
        let search = state.chats.get(&room.room).and_then(|chat| chat.search.as_ref()).map(|search| SearchView {
            query: search.query.clone(),
            results: search.results.as_ref().map(|results| {
                results
                    .iter()
                    .rev()
                    .map(|message| {
                        let at = LocalTime::at(message.sent_ms, (state.launch.local_offset_s)(message.sent_ms));
                        Found {
                            id: message.id,
                            person: Person::in_room(state, Some(room), message.author, &message.author_name),
                            when: format!("{}, {}", day_label(state, at.day), at.hh_mm()),
                            excerpt: crate::widget::chat::excerpt(message, state),
                        }
                    })
                    .collect()
            }),
        });
        Some(Self {
            room: room.room,
            name: displayable(&room.name),
            subtitle: if room.gone {
                state.text.t("room-gone-short")
            } else {
                state.text.f("room-subtitle", &[("count", room.members.len().into()), ("online", online.into())])
            },
            others,
            gone: room.gone,
            knocks: if room.my_role >= conclave_node::view::RoleView::Admin { room.knocks.len() as u32 } else { 0 },
            call,
            in_call,
            panel: state.panel.filter(|panel| *panel != Panel::Chat),
            chat: ChatView::new(state, room),
            composer: ComposerView::new(state, room),
            people: PeopleView::new(state, room),
            invite: InviteView::new(state, room),
            files: FilesView::new(state, room),
            search,
        })
    }
}

pub fn room_ui(ui: &mut Ui, view: &RoomScreen, board: Option<&BoardScreen<'_>>, draw: &mut Draw<'_>) {
    let palette = Palette::of(ui);
    let head = Frame::new().inner_margin(Margin { left: 20, right: 14, top: 11, bottom: 11 });
    let head =
        Side::top("room_head").show_separator_line(false).frame(head).show(ui, |ui| head_ui(ui, view, board.is_some(), draw));
    let rect = head.response.rect;
    ui.painter().hline(rect.x_range(), rect.bottom() - 0.5, Stroke::new(1.0, palette.line));
    if view.panel.is_some() || view.search.is_some() {
        side_panel(ui, "room_panel", |ui| {
            if view.search.is_some() {
                search_ui(ui, view, draw);
            } else {
                panel_ui(ui, view.panel, &view.people, &view.invite, &view.files, draw);
            }
        });
    }
    if view.call == CallState::Running {
        let frame = Frame::new().fill(palette.success_soft).inner_margin(Margin::symmetric(20, 8));
        Side::top("room_call").show_separator_line(false).frame(frame).show(ui, |ui| call_banner_ui(ui, view, draw));
    }
    if let Some(board) = board {
        board_ui(ui, board, draw);
        return;
    }
    let composer = Frame::new().inner_margin(Margin { left: 16, right: 16, top: 4, bottom: 14 });
    Side::bottom("composer").show_separator_line(false).frame(composer).show(ui, |ui| composer_ui(ui, &view.composer, draw));
    chat_ui(ui, &view.chat, draw);
}

/// The frame of a panel at the right edge.
pub fn side_panel(ui: &mut Ui, id: &'static str, add: impl FnOnce(&mut Ui)) {
    let palette = Palette::of(ui);
    let width = PANEL.min(ui.available_width() * 0.5);
    let frame = Frame::new().fill(palette.sidebar).inner_margin(Margin { left: 16, right: 14, top: 12, bottom: 12 });
    let shown = Side::right(id).exact_size(width).resizable(false).show_separator_line(false).frame(frame).show(ui, add);
    let rect = shown.response.rect;
    ui.painter().vline(rect.left() + 0.5, rect.y_range(), Stroke::new(1.0, palette.line));
}

/// The head of a panel and what is in it.
pub fn panel_ui(
    ui: &mut Ui,
    panel: Option<Panel>,
    people: &PeopleView,
    invite: &InviteView,
    files: &FilesView,
    draw: &mut Draw<'_>,
) {
    let title = match panel {
        Some(Panel::Invite) => draw.t("invite-title"),
        Some(Panel::Files) => draw.t("files-title"),
        _ => draw.t("people-title"),
    };
    panel_head(ui, &title, Intent::OpenPanel(None), draw);
    match panel {
        Some(Panel::Invite) => invite_ui(ui, invite, draw),
        Some(Panel::Files) => files_ui(ui, files, draw),
        _ => people_ui(ui, people, draw),
    }
}

pub fn panel_head(ui: &mut Ui, title: &str, close: Intent, draw: &mut Draw<'_>) {
    ui.horizontal(|ui| {
        ui.label(RichText::new(title).font(font(16.0, Weight::Semibold)));
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if IconButton::new(egui_phosphor::regular::X, &draw.t("close")).size(28.0).show(ui).clicked() {
                draw.want(close);
            }
        });
    });
    ui.add_space(space::S);
}

fn head_ui(ui: &mut Ui, view: &RoomScreen, board: bool, draw: &mut Draw<'_>) {
    let palette = Palette::of(ui);
    ui.horizontal(|ui| {
        ui.set_height(40.0);
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            ui.spacing_mut().item_spacing.x = 4.0;
            more_ui(ui, view, draw);
            if !view.gone {
                let selected = view.panel == Some(Panel::Invite) && view.search.is_none();
                let label = draw.t("invite-people");
                let button = IconButton::new(egui_phosphor::regular::USER_PLUS, &label).selected(selected).size(34.0);
                if button.show(ui).clicked() {
                    draw.want(Intent::TogglePanel(Panel::Invite));
                }
            }
            let selected = view.panel == Some(Panel::People) && view.search.is_none();
            let label = draw.t("people-title");
            let people = IconButton::new(egui_phosphor::regular::USERS, &label)
                .hint(draw.key(Action::People))
                .selected(selected)
                .size(34.0);
            if people.badge(view.knocks).show(ui).clicked() {
                draw.want(Intent::TogglePanel(Panel::People));
            }
            let selected = view.panel == Some(Panel::Files) && view.search.is_none();
            let label = draw.t("files-title");
            let files = IconButton::new(egui_phosphor::regular::FILES, &label)
                .hint(draw.key(Action::Files))
                .selected(selected)
                .size(34.0);
            if files.show(ui).clicked() {
                draw.want(Intent::TogglePanel(Panel::Files));
            }
            if !view.gone {
                let label = draw.t("verification");
                let lock = IconButton::new(egui_phosphor::regular::LOCK_KEY, &label).size(34.0);
                if lock.show(ui).clicked() {
                    draw.want(Intent::OpenPanel(Some(Panel::People)));
                }
            }
            let label = draw.t("board");
            let button = IconButton::new(egui_phosphor::regular::CHALKBOARD_SIMPLE, &label)
                .hint(draw.key(Action::Board))
                .selected(board)
                .size(34.0);
            if button.show(ui).clicked() {
                draw.want(Intent::ToggleBoard);
            }
            let label = draw.t("search");
            let search = IconButton::new(egui_phosphor::regular::MAGNIFYING_GLASS, &label).selected(view.search.is_some());
            if search.size(34.0).show(ui).clicked() {
                draw.want(Intent::ToggleSearch(view.room));
            }
            ui.add_space(space::XS);
            if !view.gone {
                let (tone, key) = match view.call {
                    CallState::None => (Tone::Primary, "call-start"),
                    CallState::Running => (Tone::Primary, "call-join"),
                    CallState::Inside => (Tone::Secondary, "call-back"),
                    CallState::Elsewhere => (Tone::Secondary, "call-start"),
                };
                let label = draw.t(key);
                let button = Button::new(tone, &label).icon(egui_phosphor::regular::VIDEO_CAMERA);
                if button.enabled(view.call != CallState::Elsewhere).show(ui).clicked() {
                    draw.want(Intent::OpenLobby(view.room));
                }
                ui.add_space(space::S);
            }
            if ui.available_width() > 330.0 {
                stack(ui, 26.0, &view.others, 4, palette.window);
                ui.add_space(space::S);
            }
            ui.with_layout(Layout::top_down(Align::Min), |ui| {
                ui.spacing_mut().item_spacing.y = 1.0;
                ui.add(Label::new(RichText::new(&view.name).font(font(16.0, Weight::Semibold))).truncate());
                ui.add(Label::new(RichText::new(&view.subtitle).size(12.5).color(palette.faint)).truncate());
            });
        });
    });
}

fn more_ui(ui: &mut Ui, view: &RoomScreen, draw: &mut Draw<'_>) {
    let more = IconButton::new(egui_phosphor::regular::DOTS_THREE_VERTICAL, &draw.t("room-more")).size(34.0).show(ui);
    Popup::menu(&more).show(|ui| {
        ui.set_min_width(200.0);
        let (room, name) = (view.room, view.name.clone());
        if !view.gone && menu_item(ui, egui_phosphor::regular::SIGN_OUT, &draw.t("room-leave")) {
            draw.want(Intent::Ask(Confirm::LeaveRoom { room, name: name.clone() }));
        }
        if menu_item(ui, egui_phosphor::regular::TRASH, &draw.t("room-delete")) {
            draw.want(Intent::Ask(Confirm::DeleteRoom { room, name }));
        }
    });
}

fn call_banner_ui(ui: &mut Ui, view: &RoomScreen, draw: &mut Draw<'_>) {
    let palette = Palette::of(ui);
    ui.horizontal(|ui| {
        ui.set_height(28.0);
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let label = draw.t("call-join");
            if Button::new(Tone::Primary, &label).small().show(ui).clicked() {
                draw.want(Intent::OpenLobby(view.room));
            }
            ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                ui.label(
                    RichText::new(egui_phosphor::fill::PHONE_CALL).font(crate::theme::fill_icon(17.0)).color(palette.success),
                );
                let words = draw.f("call-running", &[("count", view.in_call.len().into())]);
                let faces = ui.available_width() > 300.0;
                ui.add(Label::new(RichText::new(words).font(font(13.5, Weight::Medium))).truncate());
                if faces {
                    stack(ui, 24.0, &view.in_call, 5, palette.success_soft);
                }
            });
        });
    });
}

fn search_ui(ui: &mut Ui, view: &RoomScreen, draw: &mut Draw<'_>) {
    let palette = Palette::of(ui);
    let Some(search) = &view.search else { return };
    panel_head(ui, &draw.t("search"), Intent::ToggleSearch(view.room), draw);
    let label = draw.t("search");
    let hint = draw.t("search-hint");
    let field =
        Field::new("search", &label).hint(&hint).icon(egui_phosphor::regular::MAGNIFYING_GLASS).quiet().show(ui, &search.query);
    if ui.memory(|memory| memory.focused().is_none()) && search.query.is_empty() {
        field.response.request_focus();
    }
    if let Some(query) = field.changed {
        draw.want(Intent::Search(view.room, query));
    }
    ui.add_space(space::S);
    match &search.results {
        _ if search.query.is_empty() => {
            muted(ui, &draw.t("search-what"));
        }
        None => {
            ui.spinner();
        }
        Some(results) if results.is_empty() => {
            muted(ui, &draw.t("search-none"));
        }
        Some(results) => {
            ScrollArea::vertical().id_salt("results").auto_shrink(false).show(ui, |ui| {
                ui.spacing_mut().item_spacing.y = 2.0;
                for found in results {
                    let start = ui.cursor().min;
                    let background = ui.painter().add(egui::Shape::Noop);
                    Frame::new().inner_margin(Margin::symmetric(8, 8)).show(ui, |ui| {
                        ui.set_width(ui.available_width());
                        ui.horizontal_top(|ui| {
                            avatar(ui, 28.0, &found.person, None);
                            ui.vertical(|ui| {
                                ui.spacing_mut().item_spacing.y = 1.0;
                                ui.add(
                                    Label::new(RichText::new(&found.person.name).font(font(13.0, Weight::Semibold))).truncate(),
                                );
                                ui.label(RichText::new(&found.when).size(11.5).color(palette.faint));
                                ui.add(Label::new(RichText::new(&found.excerpt).size(13.0).color(palette.muted)).wrap());
                            });
                        });
                    });
                    let rect = egui::Rect::from_min_max(start, egui::pos2(ui.max_rect().right(), ui.cursor().top()));
                    let response = ui.interact(rect, ui.id().with(found.id), Sense::click());
                    let name = format!("{}: {}", found.person.name, found.excerpt);
                    response.widget_info(|| WidgetInfo::labeled(WidgetType::Button, true, &name));
                    if response.hovered() {
                        ui.painter().set(background, egui::epaint::RectShape::filled(rect, 8.0, palette.hover));
                    }
                    if response.on_hover_cursor(egui::CursorIcon::PointingHand).clicked() {
                        draw.want(Intent::ShowMessage(view.room, found.id));
                    }
                }
            });
        }
    }
}
