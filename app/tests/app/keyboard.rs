//! The keys of a call, and that they keep out of the way of typing.

use conclave::intent::{Intent, Panel};
use conclave::state::dialog::Dialog;
use conclave::state::settings::CallLayout;
use conclave_node::command::Command;
use egui::{Event, Key, Modifiers};

use crate::window::Window;

fn in_call() -> Window {
    let mut window = Window::lively();
    window.click("Join call");
    window.click("Join call");
    window.commands();
    window
}

fn asked(window: &Window, command: &Command) -> bool {
    window.commands().contains(command)
}

const UNMUTE: Command = Command::CallMic { on: true, source: None };
const MUTE: Command = Command::CallMic { on: false, source: None };

#[test]
fn letters_do_what_they_do_in_other_apps() {
    let mut window = in_call();
    window.press(Key::M);
    assert!(asked(&window, &UNMUTE));
    window.press(Key::M);
    assert!(asked(&window, &MUTE));
    window.press(Key::V);
    assert!(asked(&window, &Command::CallCamera { source: None }));
    window.press(Key::P);
    assert_eq!(window.state().panel, Some(Panel::People));
    window.press(Key::C);
    assert_eq!(window.state().panel, Some(Panel::Chat));
    // The cursor is in the chat now: the first Escape gives the keyboard back.
    assert!(window.node("Message Design review").is_focused());
    window.press(Key::Escape);
    window.press(Key::W);
    assert_eq!(window.state().settings.layout, CallLayout::Spotlight);
    window.press(Key::S);
    assert!(window.state().stage.full_screen);
    window.press(Key::Escape);
    assert!(!window.state().stage.full_screen);
    window.press(Key::D);
    assert!(matches!(window.state().dialog, Some(Dialog::Share)));
    window.press(Key::M);
    assert!(!asked(&window, &UNMUTE), "a dialog has the keyboard");
    window.press(Key::Escape);
    assert!(window.state().dialog.is_none());
    window.harness.event(Event::Text("?".into()));
    window.settle();
    assert!(matches!(window.state().dialog, Some(Dialog::Shortcuts)));
}

#[test]
fn keys_keep_out_of_the_way_of_typing() {
    let mut window = in_call();
    window.press(Key::C);
    for key in [Key::M, Key::V, Key::Space, Key::P, Key::W] {
        window.press(key);
    }
    window.harness.event(Event::Text("?".into()));
    window.settle();
    assert!(window.commands().iter().all(|command| !matches!(command, Command::CallMic { .. } | Command::CallCamera { .. })));
    assert_eq!(window.state().panel, Some(Panel::Chat));
    assert!(window.state().dialog.is_none());

    // With Control they are commands wherever the keyboard is.
    window.harness.key_press_modifiers(Modifiers::COMMAND, Key::D);
    window.settle();
    assert!(asked(&window, &UNMUTE));
    window.harness.key_press_modifiers(Modifiers::COMMAND, Key::E);
    window.settle();
    assert!(asked(&window, &Command::CallCamera { source: None }));
}

#[test]
fn other_modifiers_are_not_ours() {
    let mut window = in_call();
    for modifiers in [Modifiers::ALT, Modifiers::SHIFT, Modifiers::COMMAND] {
        window.harness.key_press_modifiers(modifiers, Key::M);
        window.settle();
    }
    assert!(window.commands().is_empty());
}

fn space(window: &mut Window, pressed: bool) {
    window.harness.event(Event::Key { key: Key::Space, physical_key: None, pressed, repeat: false, modifiers: Modifiers::NONE });
    window.settle();
}

#[test]
fn holding_space_talks_and_letting_go_mutes() {
    let mut window = in_call();
    space(&mut window, true);
    assert!(window.state().stage.talking && asked(&window, &UNMUTE));
    space(&mut window, false);
    assert!(!window.state().stage.talking && asked(&window, &MUTE));
}

#[test]
fn losing_the_window_while_talking_mutes() {
    let mut window = in_call();
    space(&mut window, true);
    window.commands();
    window.harness.input_mut().focused = false;
    window.settle();
    assert!(asked(&window, &MUTE));
    assert!(!window.state().stage.talking);
}

#[test]
fn space_while_unmuted_changes_nothing() {
    let mut window = in_call();
    window.want(Intent::ToggleMic);
    window.commands();
    space(&mut window, true);
    space(&mut window, false);
    assert!(window.commands().is_empty());
}
