//! What the screens show, as text. `UPDATE_SNAPSHOTS=1` writes what is shown as what is expected.

use std::path::Path;

use conclave::backend::{KeptBy, StorePresence};
use conclave::intent::{Intent, Panel};
use conclave::screen::call::CallScreen;
use conclave::screen::dialogs::DialogView;
use conclave::screen::lobby::LobbyView;
use conclave::screen::rooms::RoomsView;
use conclave::screen::welcome::WelcomeView;
use conclave::state::settings::CallLayout;
use conclave_node::view::*;
use conclave_protocol::id::{DeviceId, RoomId};

use crate::scripted::World;
use crate::window::Window;

const DESIGN: RoomId = RoomId([10; 32]);

fn expect(name: &str, view: &impl std::fmt::Debug) {
    let shown = format!("{view:#?}\n");
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/app/snapshots").join(format!("{name}.txt"));
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, shown).unwrap();
        return;
    }
    let expected = std::fs::read_to_string(&file).unwrap_or_default();
    if let Some((line, (shown, expected))) = shown.lines().zip(expected.lines()).enumerate().find(|(_, (a, b))| a != b) {
        panic!("{name}, line {}: shows {shown:?}, expected {expected:?}", line + 1);
    }
    assert_eq!(shown.lines().count(), expected.lines().count(), "{name} has another length");
}

#[test]
fn views_show_what_they_should() {
    expect("welcome", &WelcomeView::new(Window::open(World::empty(""), StorePresence::Absent).state()).unwrap());
    expect("first", &RoomsView::from(Window::open(World::empty("Mira"), StorePresence::Present(KeptBy::Insecure)).state()));

    let mut window = Window::lively();
    expect("rooms", &RoomsView::from(window.state()).sidebar);
    let conclave::screen::rooms::Middle::Room(room) = RoomsView::from(window.state()).middle else { panic!("no room") };
    expect("chat", &room.chat);
    expect("people", &room.people);
    window.want(Intent::ShowPerson { room: DESIGN, device: DeviceId([3; 32]) });
    expect("person", &DialogView::new(window.state()).unwrap());
    window.want(Intent::OpenLobby(DESIGN));
    expect("lobby", &LobbyView::new(window.state()).unwrap());
    window.want(Intent::EnterCall);
    expect("call", &CallScreen::new(window.state()).unwrap().tiles);
}

/// The labels of the tiles, the large one first where there is one.
fn tiles(window: &Window) -> (bool, Vec<String>) {
    let screen = CallScreen::new(window.state()).unwrap();
    (screen.spotlight, screen.tiles.into_iter().map(|tile| tile.label).collect())
}

#[test]
fn spotlight_goes_to_a_share_then_to_who_is_pinned() {
    let mut window = Window::lively();
    window.want(Intent::OpenLobby(DESIGN));
    window.want(Intent::EnterCall);
    assert_eq!(
        tiles(&window),
        (false, vec!["Ben Castellanos".into(), "Ada Lindqvist".into(), "Tomás Ferreira".into(), "You".into()])
    );

    window.want(Intent::SetLayout(CallLayout::Spotlight));
    window.script.change_call(|call| call.speaker = Some(call.people[1].device));
    window.settle();
    assert_eq!(tiles(&window).1[0], "Ada Lindqvist", "who speaks has the spotlight");

    window.want(Intent::SetLayout(CallLayout::Grid));
    window.script.change_call(|call| call.people[2].screen_on = true);
    window.settle();
    let (spotlight, labels) = tiles(&window);
    assert!(spotlight && labels[0] == "Tomás Ferreira's screen" && labels.len() == 5, "a share takes the spotlight: {labels:?}");

    window.script.change_call(|call| call.people[0].screen_on = true);
    window.settle();
    assert!(!tiles(&window).0, "several shares become tiles");
    window.script.change_call(|call| call.people[0].screen_on = false);
    window.settle();

    let ben = conclave::intent::TileKey { device: Some(DeviceId([2; 32])), stream: StreamKind::Camera };
    window.want(Intent::Pin(ben));
    assert_eq!(tiles(&window).1[0], "Ben Castellanos");
    window.want(Intent::Pin(ben));
    assert_eq!(tiles(&window).1[0], "Tomás Ferreira's screen");
}

#[test]
fn unread_begins_where_the_person_left_off() {
    let window = Window::lively();
    let conclave::screen::rooms::Middle::Room(room) = RoomsView::from(window.state()).middle else { panic!("no room") };
    let rows: Vec<String> = room
        .chat
        .rows
        .iter()
        .map(|row| match row {
            conclave::widget::chat::Row::Day(day) => format!("== {day}"),
            conclave::widget::chat::Row::New => "-- new".into(),
            conclave::widget::chat::Row::Message(message) => {
                format!("{}{}", if message.head { "> " } else { "  " }, message.person.name)
            }
        })
        .collect();
    assert_eq!(
        rows,
        [
            "== Yesterday",
            "> Ada Lindqvist",
            "> Ben Castellanos",
            "  Ben Castellanos",
            "> Mira Okafor",
            "== Today",
            "> Tomás Ferreira",
            "  Tomás Ferreira",
            "> Mira Okafor",
            "> Ada Lindqvist",
            "  Ada Lindqvist",
            "-- new",
            "> Ben Castellanos",
            "> Tomás Ferreira",
        ]
    );
}

#[test]
fn message_between_others_is_put_in_its_place() {
    let mut window = Window::lively();
    let before: Vec<_> = window.state().chats[&DESIGN].messages.iter().map(|message| message.id).collect();
    let late = window.script.world(|world| world.message(DESIGN, DeviceId([5; 32]), "written offline", 1));
    let id = late.id;
    window.script.event(conclave_node::event::Event::ChatMessage {
        room: DESIGN,
        message: late,
        after: Some(before[2]),
        new: true,
    });
    window.settle();
    let after: Vec<_> = window.state().chats[&DESIGN].messages.iter().map(|message| message.id).collect();
    assert_eq!((after[2], after[3], after[4]), (before[2], id, before[3]));
}

#[test]
fn settings_are_remembered() {
    let mut window = Window::lively();
    let settings = conclave::state::settings::Settings {
        theme: conclave::state::settings::ThemeChoice::Dark,
        language: Some(conclave::text::Language::German),
        text_scale_pct: 125,
        ..Default::default()
    };
    window.want(Intent::Settings(settings.clone()));
    assert!(window.has("Neues Treffen"), "the language changes at once");
    let kept = window.script.world(|world| world.setting.clone());
    let mut world = crate::scripted::lively();
    world.setting = kept;
    let window = Window::open(world, StorePresence::Present(KeptBy::Insecure));
    assert_eq!(window.state().settings, settings);
    assert!(window.has("Neues Treffen"));
    let mut world = crate::scripted::lively();
    world.setting = Some("{ not json".into());
    let mut window = Window::open(world, StorePresence::Present(KeptBy::Insecure));
    assert_eq!(window.state().settings, Default::default());
    window.want(Intent::OpenPanel(Some(Panel::Invite)));
}
