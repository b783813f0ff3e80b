//! The real window: a person clicks into a call with headless peers, and what is on the screen is looked at.

use std::time::Duration;

use conclave::theme::Palette;
use conclave_node::event::Event;
use conclave_tests::shot::{Area, Rgb, Shot};
use conclave_tests::window::Window;

use crate::calls::{join, meet};
use crate::loopback;

pub(crate) const LOOPBACK: [&str; 5] =
    ["--no-mdns", "--listen", "/ip4/127.0.0.1/tcp/0", "--listen", "/ip4/127.0.0.1/udp/0/quic-v1"];
/// `XK_Return`.
const RETURN: u32 = 0xff0d;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs an X server: make test-full"]
async fn a_person_clicks_into_a_call_and_sees_everybody() {
    let mut people = vec![loopback("Ada").await, loopback("Ben").await];
    let room = meet(&mut people).await;
    for peer in &mut people {
        peer.request(join(room, "test:640x360@10")).await.unwrap();
    }
    let link = people[0].invite(room, 1).await.unwrap();
    let [ada, ben] = &mut people[..] else { unreachable!("two people") };
    let mut args = LOOPBACK.to_vec();
    args.push(&link);
    let mut window = Window::open("Cleo", &args).unwrap();

    // The invitation lies open: one click, and Cleo is a member.
    press(&mut window, "the invitation").await;
    ada.wait_room(room, "Cleo as a member", |view| view.members.iter().any(|member| member.name == "Cleo")).await.unwrap();
    // The room shows that a call is on; its button leads to the lobby, and the lobby's into the call.
    press(&mut window, "a call to join").await;
    press(&mut window, "the lobby").await;
    let cleo = ben.wait("Cleo in the call", |event| joined(event, ada.device())).await.unwrap();

    // Both pictures are on the screen, with a clock that can be read and that goes on.
    let first = window.wait("two cameras", |shot| two_clocks(shot)).await.unwrap();
    let later = |shot: &Shot| two_clocks(shot).filter(|now| now.iter().zip(&first).all(|(now, first)| now > first));
    window.wait("two cameras that go on", later).await.unwrap();

    // The keyboard: C opens the chat with the cursor in it.
    window.key(u32::from('c')).unwrap();
    window.wait("the chat beside smaller pictures", |shot| two_narrower(shot)).await.unwrap();
    window.type_text("hello from the window").unwrap();
    window.key(RETURN).unwrap();
    ada.wait_message(room, "hello from the window").await.unwrap();
    ben.wait_message(room, "hello from the window").await.unwrap();

    // The red button leaves.
    let leave = window.wait("the button to leave", |shot| buttons(shot, |palette| palette.danger).into_iter().last()).await;
    window.click(leave.unwrap().centre()).unwrap();
    ada.wait("Cleo's leaving", |event| {
        matches!(event, Event::CallParticipantLeft { device, .. } if *device == cleo).then_some(())
    })
    .await
    .unwrap();
    window.wait("no pictures any more", |shot| shot.cards().is_empty().then_some(())).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs an X server: make test-full"]
async fn a_first_start_with_a_name_shows_the_rooms() {
    let mut window = Window::open("Cleo", &LOOPBACK).unwrap();
    let button = window.wait("something to begin with", |shot| buttons(shot, |palette| palette.accent).pop()).await.unwrap();
    assert!(button.width() > 48, "{button:?}");
}

/// Presses the filled button that is the next step: beside the sidebar, the one furthest to the right.
pub(crate) async fn press(window: &mut Window, what: &str) {
    let mut last = None;
    // It must stand still for two looks: dialogs slide in.
    let button = window
        .wait(&format!("{what} with its button"), |shot| {
            let now = next_step(shot);
            let still = now.filter(|_| now == last);
            last = now;
            still
        })
        .await
        .unwrap();
    window.click(button.centre()).unwrap();
    window.wait(&format!("that {what} was answered"), |shot| (next_step(shot) != Some(button)).then_some(())).await.unwrap();
}

fn next_step(shot: &Shot) -> Option<Area> {
    let beside = |button: &Area| button.left as f32 > conclave::theme::SIDEBAR;
    buttons(shot, |palette| palette.accent).into_iter().filter(beside).max_by_key(|button| button.right)
}

fn buttons(shot: &Shot, colour: impl Fn(&Palette) -> egui::Color32) -> Vec<Area> {
    [&Palette::DARK, &Palette::LIGHT]
        .into_iter()
        .flat_map(|palette| {
            let [r, g, b, _] = colour(palette).to_array();
            let colour: Rgb = [r, g, b];
            shot.buttons(colour)
        })
        .collect()
}

fn joined(event: &Event, other: conclave_protocol::id::DeviceId) -> Option<conclave_protocol::id::DeviceId> {
    match event {
        Event::CallParticipantJoined { device, .. } if *device != other => Some(*device),
        _ => None,
    }
}

fn two_clocks(shot: &Shot) -> Option<[Duration; 2]> {
    let clocks: Vec<Duration> = shot.cards().into_iter().filter_map(|(_, time)| time).collect();
    clocks.try_into().ok()
}

fn two_narrower(shot: &Shot) -> Option<()> {
    let cards = shot.cards();
    (cards.len() == 2 && cards.iter().all(|(area, _)| area.right < 1280 - 300)).then_some(())
}
