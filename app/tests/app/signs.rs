//! The room around a call, as the window shows it.

use conclave::intent::{Intent, Panel};
use conclave::keys::Action;
use conclave::state::signs::FLOATS_MS;
use conclave_node::command::{Command, HostAsk};
use conclave_node::event::Event;
use egui::Key;

use crate::window::Window;

fn in_call() -> Window {
    let mut window = Window::lively();
    window.click("Join call");
    window.click("Join call");
    window.commands();
    window
}

fn change(window: &mut Window, change: impl FnOnce(&mut conclave_node::view::CallView)) {
    window.script.change_call(change);
    window.settle();
}

#[test]
fn a_hand_goes_up_by_its_key_and_stands_in_the_queue() {
    let mut window = in_call();
    window.press(Key::H);
    assert!(window.commands().contains(&Command::CallHand { on: true }));
    window.node("Hands: You");
    window.press(Key::H);
    assert!(window.commands().contains(&Command::CallHand { on: false }));
    let room = window.state().call.as_ref().unwrap().room;
    window.script.event(Event::CallHandLowered { room, device: None });
    window.settle();
    window.click("Undo");
    assert!(window.commands().contains(&Command::CallHand { on: true }));
}

#[test]
fn reactions_float_and_go() {
    let mut window = in_call();
    window.press(Key::Num2);
    assert!(window.commands().contains(&Command::CallReact { emoji: "👏".into() }));
    window.node("You: 👏");
    let now = window.state().now_ms;
    assert_eq!(window.state().stage.signs.floating(now).count(), 1);
    assert_eq!(window.state().stage.signs.floating(now + FLOATS_MS).count(), 0);
}

#[test]
fn whoever_talks_while_muted_is_told_how_to_be_heard() {
    let mut window = in_call();
    change(&mut window, |call| call.me.talking_muted = true);
    window.node("You are muted. Hold Space to talk.");
    change(&mut window, |call| call.me.talking_muted = false);
    assert!(!window.has("You are muted. Hold Space to talk."));
}

#[test]
fn figures_open_by_their_key_and_name_every_curve() {
    let mut window = in_call();
    window.press(Key::T);
    assert_eq!(window.state().panel, Some(Panel::Stats));
    let name = window.state().call.as_ref().unwrap().people[0].name.clone();
    window.node(&format!("{name}: Round trip, ms"));
    window.node(&format!("{name}: Voice lost, %"));
}

#[test]
fn a_key_can_be_another_one_and_takes_its_place_from_whoever_had_it() {
    let mut window = in_call();
    window.want(Intent::ShowShortcuts);
    window.want(Intent::Rebind(Some(Action::Hand)));
    window.press(Key::M);
    assert!(window.state().rebinding.is_none());
    window.want(Intent::CloseDialog);
    window.commands();
    window.press(Key::M);
    assert!(window.commands().contains(&Command::CallHand { on: true }));
    window.press(Key::H);
    assert!(window.commands().contains(&Command::CallMic { on: true, source: None }), "the two changed places");
    window.want(Intent::ResetKeys);
    window.commands();
    window.press(Key::H);
    assert!(window.commands().contains(&Command::CallHand { on: false }));
}

#[test]
fn somebody_who_leads_mutes_and_ends_after_a_question() {
    let mut window = in_call();
    let device = window.state().call.as_ref().unwrap().people[0].device;
    window.want(Intent::Host { act: HostAsk::Mute, device });
    assert!(window.commands().contains(&Command::CallHost { act: HostAsk::Mute, device: Some(device) }));
    window.want(Intent::Ask(conclave::intent::Confirm::EndForAll));
    assert!(window.commands().is_empty(), "asked first");
    window.want(Intent::Confirmed);
    assert!(window.commands().contains(&Command::CallHost { act: HostAsk::End, device: None }));
}
