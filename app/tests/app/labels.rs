//! Everything that can be clicked or typed into has a name, on every screen; and nobody is shown as a key.

use conclave::backend::{KeptBy, StorePresence};
use conclave::intent::board::BoardIntent;
use conclave::intent::{Confirm, Intent, JoinKey, Panel, ProtectionChoice, SettingsPage};
use conclave_node::view::*;
use conclave_protocol::id::{DeviceId, RoomId};
use egui::accesskit::Role;
use egui_kittest::kittest::NodeT;

use crate::scripted::{World, lively};
use crate::window::Window;

const DESIGN: RoomId = RoomId([10; 32]);

fn check(window: &Window, screen: &str) {
    let mut controls = 0;
    for node in window.harness.root().children_recursive() {
        let node = node.accesskit_node();
        // What egui makes of containers and plain words; everything else is a control, or an image that needs a name as well.
        let plain = [
            Role::Unknown,
            Role::GenericContainer,
            Role::Window,
            Role::Label,
            Role::Pane,
            Role::ScrollBar,
            Role::ProgressIndicator,
            Role::TextRun,
        ];
        if !plain.contains(&node.role()) {
            let name = node.label().unwrap_or_default();
            assert!(!name.trim().is_empty(), "{screen}: {:?} at {:?} has no name", node.role(), node.bounding_box());
            controls += 1;
        }
        for text in [node.label(), node.value()].into_iter().flatten() {
            let key = text.contains("dev:") || text.contains("acct:") || text.contains("room:");
            assert!(!key || screen == "person", "{screen}: a key is shown: {text}");
            assert!(!is_raw_text_key(&text), "{screen}: a text is missing: {text}");
        }
    }
    assert!(controls > 1, "{screen}: nothing to click");
}

/// The name of a text stands where the text should.
fn is_raw_text_key(text: &str) -> bool {
    text.contains('-')
        && text.len() > 5
        && text.chars().all(|c| c.is_ascii_lowercase() || c == '-')
        && conclave::text::Language::English.source().contains(text)
}

#[test]
fn every_screen_names_its_controls() {
    let mut window = Window::open(World::empty(""), StorePresence::Absent);
    for protection in [ProtectionChoice::Keyring, ProtectionChoice::Passphrase, ProtectionChoice::Insecure] {
        window.want(Intent::WelcomeProtection(protection));
        check(&window, "welcome");
    }
    check(&Window::open(World::empty(""), StorePresence::Present(KeptBy::Passphrase)), "unlock");
    check(&Window::open(World::empty("Mira"), StorePresence::Present(KeptBy::Insecure)), "first");

    let mut window = Window::lively();
    check(&window, "room");
    let screens: [(&str, Vec<Intent>); 13] = [
        ("people", vec![Intent::OpenPanel(Some(Panel::People))]),
        ("invite", vec![Intent::OpenPanel(Some(Panel::Invite)), Intent::MakeInvite(DESIGN)]),
        ("files", vec![Intent::OpenPanel(Some(Panel::Files))]),
        ("search", vec![Intent::ToggleSearch(DESIGN), Intent::Search(DESIGN, "the".into())]),
        ("compose", vec![Intent::EditLast(DESIGN)]),
        ("new room", vec![Intent::ShowNewRoom]),
        ("join", vec![Intent::ShowJoin]),
        ("appearance", vec![Intent::ShowSettings(SettingsPage::Appearance)]),
        ("profile", vec![Intent::ShowSettings(SettingsPage::Profile)]),
        ("devices", vec![Intent::ShowSettings(SettingsPage::Devices)]),
        ("network", vec![Intent::ShowSettings(SettingsPage::Network)]),
        ("person", vec![Intent::ShowPerson { room: DESIGN, device: DeviceId([3; 32]) }]),
        ("confirm", vec![Intent::Ask(Confirm::LeaveRoom { room: DESIGN, name: "Design review".into() })]),
    ];
    for (screen, intents) in screens {
        for intent in intents {
            window.want(intent);
        }
        check(&window, screen);
        window.want(Intent::CloseDialog);
        window.want(Intent::OpenPanel(None));
        window.want(Intent::SelectRoom(RoomId([11; 32])));
        window.want(Intent::SelectRoom(DESIGN));
    }
    window.script.world(|world| world.boards.draw_sample(DESIGN));
    window.want(Intent::ToggleBoard);
    check(&window, "board");
    window.want(Intent::Board(BoardIntent::SelectAll));
    check(&window, "board selection");
    window.want(Intent::ToggleBoard);
    window.want(Intent::OpenLobby(DESIGN));
    check(&window, "lobby");
    window.want(Intent::EnterCall);
    check(&window, "call");
    for panel in [Panel::Chat, Panel::People, Panel::Invite, Panel::Files] {
        window.want(Intent::OpenPanel(Some(panel)));
        check(&window, "call panel");
    }
    window.want(Intent::ShowShare);
    check(&window, "share");
    window.want(Intent::ShowShortcuts);
    check(&window, "keys");
    window.want(Intent::ShowRooms);
    check(&window, "minimised");
}

#[test]
fn joins_name_their_controls() {
    let room = RoomId([77; 32]);
    let error = || ErrorView { code: "refused".into(), message: String::new() };
    let (by_link, spoken) = (JoinKey::Room(room), JoinKey::Spoken(42));
    for (key, join) in [
        (by_link, JoinView::Searching { room, tried: lively().diagnosis }),
        (by_link, JoinView::Waiting { room, code: "12345678".into() }),
        (by_link, JoinView::Failed { room, error: error() }),
        (spoken, JoinView::Hearing { number: 42, tried: lively().diagnosis }),
        (spoken, JoinView::Unheard { number: 42, error: error() }),
    ] {
        let mut world = lively();
        world.state.joins.push(join);
        let mut window = Window::open(world, StorePresence::Present(KeptBy::Keyring));
        window.want(Intent::SelectJoin(key));
        check(&window, "join");
    }
}
