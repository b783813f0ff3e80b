//! The codes that people compare, the marks, and a name with another key.

use conclave::backend::{KeptBy, StorePresence};
use conclave::intent::Intent;
use conclave_node::command::Command;
use conclave_node::view::CallCodeView;
use conclave_protocol::id::RoomId;

use crate::scripted::{ME, lively};
use crate::window::Window;

const DESIGN: RoomId = RoomId([10; 32]);

#[test]
fn the_lock_opens_the_call_code_and_says_why_it_changed() {
    let mut window = Window::open(lively(), StorePresence::Present(KeptBy::Keyring));
    window.want(Intent::SelectRoom(DESIGN));
    window.script.change_room(DESIGN, |room| {
        let code = "20218 03836 88208 91802 67602 33184".into();
        room.call_code = Some(CallCodeView { code, joined: vec!["Cleo".into()], left: vec![] });
    });
    window.settle();
    window.click("Encryption and verification");
    assert!(window.says("20218 03836 88208 91802 67602 33184"));
    assert!(window.says("Cleo\u{2069} came") || window.says("Cleo came"));
    window.script.change_room(DESIGN, |room| room.call_code = None);
    window.settle();
    assert!(!window.says("20218 03836"), "an old code is not shown any more");
}

#[test]
fn a_person_is_verified_and_not_any_more_and_a_changed_key_is_explained() {
    let mut window = Window::open(lively(), StorePresence::Present(KeptBy::Keyring));
    window.want(Intent::SelectRoom(DESIGN));
    let device = window.state().room(DESIGN).unwrap().members.iter().find(|member| member.device != ME).unwrap().device;
    window.want(Intent::ShowPerson { room: DESIGN, device });
    window.settle();
    assert!(window.says("36885 41452 32734"));
    assert!(window.has("Code as a QR code"));
    window.commands();
    window.click("It matches");
    assert!(window.commands().contains(&Command::VerifyConfirm { room: DESIGN, device, scanned: None }));
    assert!(window.says("You have compared codes"));
    window.click("Not verified any more");
    assert!(window.commands().contains(&Command::VerifyClear { room: DESIGN, device }));
    assert!(!window.says("You have compared codes"));
    window.script.change_room(DESIGN, |room| {
        room.members.iter_mut().filter(|member| member.device == device).for_each(|member| member.key_changed = true);
    });
    window.settle();
    assert!(window.says("Somebody with another key had this name before"));
    window.click("Accept without comparing");
    assert!(window.commands().contains(&Command::VerifyAccept { room: DESIGN, device }));
    assert!(!window.says("Somebody with another key"));
}

#[test]
fn a_scanned_code_is_compared_with_the_person_that_is_open() {
    let mut window = Window::open(lively(), StorePresence::Present(KeptBy::Keyring));
    window.want(Intent::SelectRoom(DESIGN));
    let device = window.state().room(DESIGN).unwrap().members.iter().find(|member| member.device != ME).unwrap().device;
    let scanned = |window: &Window| -> Vec<Command> {
        let scans = |command: &Command| matches!(command, Command::VerifyConfirm { scanned: Some(_), .. });
        window.commands().into_iter().filter(scans).collect()
    };
    let mut sent = Vec::new();
    window.want(Intent::Scanned(Some("conclave://verify/1#early".into())));
    window.want(Intent::ShowPerson { room: DESIGN, device });
    window.settle();
    sent.extend(scanned(&window));
    assert!(sent.is_empty(), "nobody was open");
    window.want(Intent::Scanned(Some("conclave://verify/1#x".into())));
    window.settle();
    sent.extend(scanned(&window));
    let text = Some("conclave://verify/1#x".into());
    assert_eq!(sent, [Command::VerifyConfirm { room: DESIGN, device, scanned: text }]);
    window.want(Intent::Scanned(None));
    window.settle();
    assert!(window.says("There is no code in that picture."));
}
