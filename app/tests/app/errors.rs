//! Errors are sentences that say what to do, and nothing that was typed is lost by them.

use conclave::backend::{KeptBy, StorePresence};
use conclave::intent::Intent;
use conclave::state::{Phase, WelcomeStep};
use conclave_node::command::Command;
use conclave_node::config::Protection;
use conclave_node::error::{CommandError, ErrorCode};
use conclave_node::event::Event;
use conclave_node::view::ErrorView;
use conclave_protocol::id::RoomId;

use crate::scripted::{World, lively};
use crate::window::Window;

fn error(code: ErrorCode) -> CommandError {
    CommandError::new(code, "details for an engineer")
}

#[test]
fn store_in_use_can_be_tried_again() {
    let mut world = World::empty("Mira");
    world.opening = vec![error(ErrorCode::StoreInUse)];
    let mut window = Window::open(world, StorePresence::Present(KeptBy::Keyring));
    assert!(window.says("running already with this data"));
    window.click("Try again");
    assert!(window.has("No rooms yet"));
}

#[test]
fn store_that_is_damaged_or_newer_is_said_plainly() {
    for (code, words) in
        [(ErrorCode::StoreDamaged, "It was put aside and nothing was overwritten"), (ErrorCode::StoreNewer, "Update to open it")]
    {
        let mut world = World::empty("Mira");
        world.opening = vec![error(code)];
        let window = Window::open(world, StorePresence::Present(KeptBy::Unknown));
        assert!(window.says(words), "{code:?}");
        assert!(matches!(window.state().phase, Phase::Welcome(_)));
    }
}

#[test]
fn locked_store_asks_for_its_passphrase() {
    let mut world = World::empty("Mira");
    world.opening = vec![error(ErrorCode::StoreLocked), error(ErrorCode::StoreLocked)];
    let mut window = Window::open(world, StorePresence::Present(KeptBy::Unknown));
    assert!(
        matches!(&window.state().phase, Phase::Welcome(welcome) if welcome.step == WelcomeStep::Unlock && welcome.error.is_none())
    );
    window.type_into("Passphrase", "wrong");
    window.click("Unlock");
    assert!(window.says("Check the passphrase"));
    window.type_into("Passphrase", " but now right");
    window.click("Unlock");
    assert!(window.has("No rooms yet"));
    let last = window.script.opened().pop().unwrap();
    assert!(matches!(last.protection, Protection::Passphrase(passphrase) if passphrase.as_str() == "wrong but now right"));
}

#[test]
fn insecure_store_is_chosen_knowingly_and_said_afterwards() {
    let mut world = World::empty("");
    world.state.profile.protection = "insecure".into();
    let mut window = Window::open(world, StorePresence::Absent);
    window.type_into("Your name", "Mira");
    window.click("Unprotected");
    window.click("Get started");
    assert!(window.script.opened().is_empty());
    window.click("I understand, this is only for trying out");
    window.click("Get started");
    assert!(matches!(window.script.opened()[0].protection, Protection::Insecure));
    assert!(window.has("Stored unprotected"));
}

#[test]
fn wrong_link_is_explained_where_it_was_typed() {
    let mut window = Window::lively();
    window.click("Join by link");
    window.type_into("Invitation link or code", "not a link");
    window.press(egui::Key::Enter);
    assert!(window.says("This is not a Conclave invitation."));
    for (code, words) in [
        (ErrorCode::LinkExpired, "expired"),
        (ErrorCode::LinkUsedUp, "used up"),
        (ErrorCode::LinkDamaged, "missing or changed"),
        (ErrorCode::LinkVersion, "another version"),
        (ErrorCode::LinkRevoked, "no longer valid"),
    ] {
        window.script.world(|world| world.refuse.push(("room.join", error(code))));
        window.want(Intent::JoinLink("conclave://join/1#x".into()));
        window.want(Intent::Join);
        assert!(window.says(words), "{code:?}");
    }
}

#[test]
fn refused_message_returns_to_the_composer() {
    let mut window = Window::lively();
    let room = RoomId([10; 32]);
    window.script.world(|world| world.refuse.push(("chat.send", error(ErrorCode::QuotaExceeded))));
    window.type_into("Message Design review", "too fast");
    window.press(egui::Key::Enter);
    assert!(window.says("That was a lot in a short time"));
    assert_eq!(window.state().chats[&room].draft, "too fast");
}

#[test]
fn failing_camera_leaves_the_lobby_usable() {
    let mut window = Window::open(lively(), StorePresence::Present(KeptBy::Keyring));
    let failed = CommandError::new(ErrorCode::DeviceFailed, "/dev/video0 is in use by another program");
    window.script.world(|world| world.refuse.push(("media.preview", failed)));
    window.click("Join call");
    assert!(window.script.slot(conclave_node::view::PictureKey::Preview).is_empty());
    assert!(
        matches!(&window.state().place, conclave::state::Place::Lobby(lobby) if lobby.problem.as_deref() == Some("/dev/video0 is in use by another program"))
    );
    window.click("Join call");
    assert!(window.state().call.is_some());
}

#[test]
fn full_call_keeps_one_in_the_lobby() {
    let mut window = Window::lively();
    window.click("Join call");
    window.script.world(|world| world.refuse.push(("call.join", error(ErrorCode::CallFull))));
    window.click("Join call");
    assert!(window.says("This call is full"));
    assert!(matches!(&window.state().place, conclave::state::Place::Lobby(lobby) if !lobby.busy));
}

#[test]
fn every_code_has_a_sentence_in_every_language() {
    let mut window = Window::lively();
    for code in ErrorCode::ALL {
        let (sentence, _) = window.state().sentence(code.as_str(), "raw");
        assert!(sentence.len() > 10 && !sentence.contains("raw"), "{code:?}: {sentence}");
    }
    let unknown = ErrorView { code: "from_the_future".into(), message: "Something new went wrong.".into() };
    window.script.event(Event::Problem { error: unknown });
    window.settle();
    assert!(window.has("Something new went wrong."));
}

#[test]
fn lag_asks_for_the_state_again() {
    let mut window = Window::lively();
    window.commands();
    window.script.event(Event::Lagged { missed: 12 });
    window.settle();
    let commands = window.commands();
    assert!(commands.contains(&Command::State {}));
    assert!(commands.iter().any(|command| matches!(command, Command::ChatRead { before: None, .. })));
}
