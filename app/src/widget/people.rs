//! The people of a room: who waits at the door, who is here, what each may do.

use conclave_node::command::HostAsk;
use conclave_node::view::{CallCodeView, RoleView, RoomView};
use conclave_protocol::id::{DeviceId, RoomId};
use egui::{Align, Frame, Layout, Margin, Popup, RichText, ScrollArea, Sense, Ui, vec2};

use crate::intent::{Confirm, Intent};
use crate::state::AppState;
use crate::text::displayable;
use crate::theme::{Palette, Weight, font, space};
use crate::widget::Draw;
use crate::widget::avatar::{Person, avatar};
use crate::widget::call_stats::figure_lines;
use crate::widget::controls::{Button, IconButton, Tone, muted, pill, place, section};

#[derive(Debug, Clone, PartialEq)]
pub struct PeopleView {
    pub room: RoomId,
    pub code: Option<CodeRow>,
    pub knocks: Vec<KnockRow>,
    pub members: Vec<MemberRow>,
    pub online: usize,
    pub can_admit: bool,
}

/// The call code, to be read aloud, and why it is not the one before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeRow {
    pub lines: Vec<String>,
    pub why: String,
}

impl CodeRow {
    fn new(state: &AppState, code: &CallCodeView) -> Self {
        let names = |names: &[String]| names.iter().map(|name| displayable(name)).collect::<Vec<_>>().join(", ");
        let (joined, left) = (names(&code.joined), names(&code.left));
        let key = match (joined.is_empty(), left.is_empty()) {
            (true, true) => "code-renewed",
            (false, true) => "code-joined",
            (true, false) => "code-left",
            (false, false) => "code-joined-left",
        };
        let mut values = Vec::new();
        if !joined.is_empty() {
            values.push(("joined", joined.into()));
        }
        if !left.is_empty() {
            values.push(("left", left.into()));
        }
        Self { lines: in_lines(&code.code), why: state.text.f(key, &values) }
    }
}

/// Groups of digits, three on a line.
pub fn in_lines(code: &str) -> Vec<String> {
    code.split(' ').collect::<Vec<_>>().chunks(3).map(|groups| groups.join(" ")).collect()
}

/// Digits that are compared, as large as they are read.
pub fn code_ui(ui: &mut Ui, name: &str, lines: &[String]) {
    let text = RichText::new(lines.join("\n")).font(egui::FontId::monospace(18.0)).color(Palette::of(ui).text);
    let response = ui.label(text);
    let spoken = format!("{name}: {}", lines.join(" "));
    response.widget_info(|| egui::WidgetInfo::labeled(egui::WidgetType::Label, true, &spoken));
}

#[derive(Debug, Clone, PartialEq)]
pub struct KnockRow {
    pub person: Person,
    /// In two groups of four, to be read aloud.
    pub code: String,
}

#[derive(Debug, Clone, PartialEq)]
pub struct MemberRow {
    pub person: Person,
    pub me: bool,
    pub online: bool,
    pub in_call: bool,
    pub frozen: bool,
    pub verified: bool,
    pub key_changed: bool,
    pub role: RoleView,
    /// Roles this person may be given by the one who looks.
    pub may_become: Vec<RoleView>,
    pub removable: bool,
    /// How loud they are played here, where they are in the call that this person is in.
    pub volume_pct: Option<u16>,
    /// May be muted and taken out of the call.
    pub leadable: bool,
    pub hand_up: bool,
    /// By which way the media of the call go to and from them, and what a relay carried of it.
    pub path: Vec<String>,
}

/// A code as it is compared by voice.
pub fn spaced_code(code: &str) -> String {
    let digits: Vec<char> = code.chars().collect();
    digits.chunks(4).map(|group| group.iter().collect::<String>()).collect::<Vec<_>>().join(" ")
}

impl PeopleView {
    pub fn new(state: &AppState, room: &RoomView) -> Self {
        let me = room.my_role;
        let can_admit = me >= RoleView::Admin && !room.gone;
        let in_call = room.call.as_ref().map(|call| call.people.as_slice()).unwrap_or_default();
        let mut members: Vec<MemberRow> = room
            .members
            .iter()
            .map(|member| {
                // Only a role below one's own can be given or taken; the founder stays the founder.
                let below = !member.me && member.role < me && can_admit;
                let roles = [RoleView::Viewer, RoleView::Member, RoleView::Admin];
                let call = state.call.as_ref().filter(|call| call.room == room.room);
                let heard = call.and_then(|call| call.people.iter().find(|person| person.device == member.device));
                MemberRow {
                    person: Person::new(member.device, member.account.as_bytes(), &member.name),
                    me: member.me,
                    online: member.online || member.me,
                    in_call: in_call.contains(&member.device),
                    frozen: member.frozen,
                    verified: member.verified_ms.is_some(),
                    key_changed: member.key_changed,
                    role: member.role,
                    may_become: roles.into_iter().filter(|role| below && *role != member.role && *role <= me).collect(),
                    removable: below,
                    volume_pct: heard.map(|heard| (heard.volume * 100.0).round() as u16),
                    leadable: heard.is_some() && can_admit && (member.role < RoleView::Owner || me == RoleView::Owner),
                    hand_up: heard.is_some_and(|heard| heard.hand_ms.is_some()),
                    path: heard.map(|heard| figure_lines(state, &heard.stats)).unwrap_or_default(),
                }
            })
            .collect();
        members.sort_by(|a, b| {
            (b.online, b.role, a.person.name.to_lowercase()).cmp(&(a.online, a.role, b.person.name.to_lowercase()))
        });
        let knocks = room.knocks.iter().filter(|_| can_admit).map(|knock| KnockRow {
            person: Person::new(knock.device, knock.account.as_bytes(), &displayable(&knock.name)),
            code: spaced_code(&knock.code),
        });
        let online = members.iter().filter(|member| member.online).count();
        let code = room.call_code.as_ref().map(|code| CodeRow::new(state, code));
        Self { room: room.room, code, knocks: knocks.collect(), members, online, can_admit }
    }
}

pub fn role_key(role: RoleView) -> &'static str {
    match role {
        RoleView::Viewer => "role-viewer",
        RoleView::Member => "role-member",
        RoleView::Admin => "role-admin",
        RoleView::Owner => "role-owner",
    }
}

pub fn people_ui(ui: &mut Ui, view: &PeopleView, draw: &mut Draw<'_>) {
    ScrollArea::vertical().id_salt("people").auto_shrink(false).show(ui, |ui| {
        ui.spacing_mut().item_spacing.y = space::XS;
        if !view.knocks.is_empty() {
            section(ui, &draw.f("people-waiting", &[("count", view.knocks.len().into())]));
            for knock in &view.knocks {
                knock_ui(ui, view.room, knock, draw);
            }
            ui.add_space(space::M);
        }
        if let Some(code) = &view.code {
            let title = draw.t("code-call");
            section(ui, &title);
            code_ui(ui, &title, &code.lines);
            muted(ui, &code.why);
            muted(ui, &draw.t("code-call-more"));
            ui.add_space(space::M);
        }
        let (here, away): (Vec<_>, Vec<_>) = view.members.iter().partition(|member| member.online);
        section(ui, &draw.f("people-here", &[("count", here.len().into())]));
        for member in here {
            member_ui(ui, view.room, member, draw);
        }
        if !away.is_empty() {
            ui.add_space(space::M);
            section(ui, &draw.f("people-away", &[("count", away.len().into())]));
            for member in away {
                member_ui(ui, view.room, member, draw);
            }
        }
        if view.members.len() <= 1 {
            ui.add_space(space::M);
            muted(ui, &draw.t("people-alone"));
            ui.add_space(space::S);
            let label = draw.t("invite-people");
            if Button::new(Tone::Secondary, &label).icon(egui_phosphor::regular::USER_PLUS).show(ui).clicked() {
                draw.want(Intent::OpenPanel(Some(crate::intent::Panel::Invite)));
            }
        }
    });
}

fn knock_ui(ui: &mut Ui, room: RoomId, knock: &KnockRow, draw: &mut Draw<'_>) {
    let palette = Palette::of(ui);
    let device = knock.person.device;
    Frame::new().fill(palette.accent_soft).corner_radius(10).inner_margin(Margin::same(12)).show(ui, |ui| {
        ui.set_width(ui.available_width());
        ui.horizontal(|ui| {
            avatar(ui, 36.0, &knock.person, None);
            ui.vertical(|ui| {
                ui.spacing_mut().item_spacing.y = 1.0;
                ui.add(egui::Label::new(RichText::new(&knock.person.name).font(font(14.0, Weight::Semibold))).truncate());
                ui.label(RichText::new(draw.t("knock-wants-in")).size(12.5).color(palette.muted));
            });
        });
        ui.add_space(space::XS);
        muted(ui, &draw.t("knock-compare"));
        ui.label(RichText::new(&knock.code).font(font(22.0, Weight::Semibold)).color(palette.text).extra_letter_spacing(1.5));
        ui.add_space(space::XS);
        ui.horizontal(|ui| {
            if Button::new(Tone::Primary, &draw.t("knock-approve")).small().icon(egui_phosphor::regular::CHECK).show(ui).clicked()
            {
                draw.want(Intent::Approve { room, device });
            }
            if Button::new(Tone::Secondary, &draw.t("knock-refuse")).small().show(ui).clicked() {
                draw.want(Intent::Refuse { room, device });
            }
        });
    });
}

fn member_ui(ui: &mut Ui, room: RoomId, member: &MemberRow, draw: &mut Draw<'_>) {
    let palette = Palette::of(ui);
    let device = member.person.device;
    let (rect, row) = ui.allocate_exact_size(vec2(ui.available_width(), 46.0), Sense::hover());
    let hovered = ui.rect_contains_pointer(rect);
    if hovered {
        ui.painter().rect_filled(rect, 8.0, palette.hover);
    }
    let inner = rect.shrink2(vec2(8.0, 5.0));
    place(ui, inner, Layout::left_to_right(Align::Center), |ui| {
        avatar(ui, 34.0, &member.person, Some(member.online));
        ui.add_space(2.0);
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            ui.spacing_mut().item_spacing.x = 4.0;
            menu(ui, room, member, draw);
            if member.in_call {
                let (spot, response) = ui.allocate_exact_size(vec2(20.0, 20.0), Sense::hover());
                let glyph = crate::theme::fill_icon(15.0);
                ui.painter().text(
                    spot.center(),
                    egui::Align2::CENTER_CENTER,
                    egui_phosphor::fill::PHONE_CALL,
                    glyph,
                    palette.success,
                );
                let hint = std::iter::once(draw.t("people-in-call")).chain(member.path.iter().cloned());
                response.on_hover_text(hint.collect::<Vec<_>>().join("\n"));
            }
            ui.with_layout(Layout::top_down(Align::Min), |ui| {
                ui.spacing_mut().item_spacing.y = 0.0;
                ui.add_space(1.0);
                let name = if member.me {
                    draw.f("person-you", &[("name", member.person.name.as_str().into())])
                } else {
                    member.person.name.clone()
                };
                ui.horizontal(|ui| {
                    ui.spacing_mut().item_spacing.x = 4.0;
                    if member.verified {
                        let mark = RichText::new(egui_phosphor::fill::SEAL_CHECK).font(crate::theme::fill_icon(14.0));
                        let response = ui.label(mark.color(palette.success)).on_hover_text(draw.t("person-verified"));
                        let spoken = draw.t("person-verified");
                        response.widget_info(|| egui::WidgetInfo::labeled(egui::WidgetType::Label, true, &spoken));
                    }
                    ui.add(egui::Label::new(RichText::new(name).font(font(14.0, Weight::Medium))).truncate());
                });
                if member.key_changed {
                    ui.label(RichText::new(draw.t("person-key-changed")).size(12.0).color(palette.danger));
                } else if member.frozen {
                    ui.label(RichText::new(draw.t("person-frozen")).size(12.0).color(palette.danger));
                } else {
                    let role = draw.t(role_key(member.role));
                    // By which way, where it is known; the figures are behind the telephone.
                    let line = member.path.first().map_or(role.clone(), |path| format!("{role} · {path}"));
                    ui.add(egui::Label::new(RichText::new(line).size(12.0).color(palette.faint)).truncate());
                }
            });
        });
    });
    if row.interact(Sense::click()).secondary_clicked() {
        draw.want(Intent::ShowPerson { room, device });
    }
}

fn menu(ui: &mut Ui, room: RoomId, member: &MemberRow, draw: &mut Draw<'_>) {
    let device: DeviceId = member.person.device;
    let name = draw.f("person-menu", &[("name", member.person.name.as_str().into())]);
    let button = IconButton::new(egui_phosphor::regular::DOTS_THREE, &name).size(28.0).show(ui);
    Popup::menu(&button).show(|ui| {
        ui.set_min_width(190.0);
        if menu_item(ui, egui_phosphor::regular::IDENTIFICATION_CARD, &draw.t("person-details")) {
            draw.want(Intent::ShowPerson { room, device });
        }
        for role in &member.may_become {
            let words = draw.f("person-make", &[("role", draw.t(role_key(*role)).into())]);
            if menu_item(ui, egui_phosphor::regular::USER_SWITCH, &words) {
                draw.want(Intent::SetRole { room, device, role: *role });
            }
        }
        if let Some(volume) = member.volume_pct {
            ui.separator();
            let mut pct = volume;
            let words = draw.f("person-volume", &[("name", member.person.name.as_str().into())]);
            ui.label(RichText::new(&words).size(12.0).color(Palette::of(ui).muted));
            let slider = ui.add(egui::Slider::new(&mut pct, 0..=200).suffix(" %"));
            crate::widget::field::name(&slider, &words);
            if pct != volume {
                draw.want(Intent::Volume { device, pct });
            }
        }
        if member.leadable {
            ui.separator();
            if menu_item(ui, egui_phosphor::regular::MICROPHONE_SLASH, &draw.t("person-mute")) {
                draw.want(Intent::Host { act: HostAsk::Mute, device });
            }
            if member.hand_up && menu_item(ui, egui_phosphor::regular::HAND_PALM, &draw.t("person-lower-hand")) {
                draw.want(Intent::Host { act: HostAsk::LowerHand, device });
            }
            if menu_item(ui, egui_phosphor::regular::PHONE_X, &draw.t("person-out-of-call")) {
                draw.want(Intent::Host { act: HostAsk::Remove, device });
            }
        }
        if member.removable {
            ui.separator();
            if menu_item(ui, egui_phosphor::regular::USER_MINUS, &draw.t("person-remove")) {
                draw.want(Intent::Ask(Confirm::Revoke { room, device, name: member.person.name.clone() }));
            }
        }
    });
}

/// A row of a menu; closes it when chosen.
pub fn menu_item(ui: &mut Ui, icon: &str, label: &str) -> bool {
    let button =
        egui::Button::new(format!("{icon}   {label}")).frame_when_inactive(false).min_size(vec2(ui.available_width(), 30.0));
    let response = ui.add(button);
    crate::widget::field::name(&response, label);
    if response.clicked() {
        ui.close();
    }
    response.clicked()
}

/// The role as a capsule, for places where it stands alone.
pub fn role_pill(ui: &mut Ui, role: RoleView, draw: &Draw<'_>) {
    let palette = Palette::of(ui);
    pill(ui, None, &draw.t(role_key(role)), palette.muted, palette.raised);
}
