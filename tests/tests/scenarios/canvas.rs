//! The board between real windows: what one draws with pointer and keys, the other has on the screen and a headless peer in its document.

use conclave_crdt::{Kind, PageId};
use conclave_node::command::Command;
use conclave_node::event::Event;
use conclave_node::view::BoardPageView;
use conclave_protocol::id::RoomId;
use conclave_tests::peer::Peer;
use conclave_tests::shot::{Area, Rgb, Shot};
use conclave_tests::window::Window;

use crate::loopback;
use crate::window::{LOOPBACK, press};

/// The paper of a note: the same in light and dark.
const NOTE: Rgb = [0xff, 0xec, 0x99];
const MIDDLE: (u32, u32) = (772, 430);
const ESCAPE: u32 = 0xff1b;

/// A note stands on the page: the field in which it is written may divide it.
fn note(shot: &Shot) -> Option<()> {
    let large = |area: &Area| area.width() > 150 && area.height() > 150;
    shot.areas(NOTE, 3).iter().any(|(area, _)| large(area)).then_some(())
}

async fn member(ada: &mut Peer, room: RoomId, name: &str) -> Window {
    let link = ada.invite(room, 1).await.unwrap();
    let mut args = LOOPBACK.to_vec();
    args.push(&link);
    let mut window = Window::open(name, &args).unwrap();
    press(&mut window, "the invitation").await;
    ada.wait_room(room, "a member", |view| view.members.iter().any(|member| member.name == name && member.online)).await.unwrap();
    window
}

async fn page(ada: &mut Peer, room: RoomId) -> BoardPageView {
    let reply = ada.request(Command::BoardPage { room, page: PageId::FIRST, moment: None }).await.unwrap();
    serde_json::from_value(reply["board_page"].clone()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs an X server: make test-full"]
async fn what_one_window_draws_the_other_shows() {
    let mut ada = loopback("Ada").await;
    let room = ada.create_room("Board", false).await.unwrap();
    ada.request(Command::BoardShow { room }).await.unwrap();
    let mut cleo = member(&mut ada, room, "Cleo").await;
    let mut dan = member(&mut ada, room, "Dan").await;
    for window in [&cleo, &dan] {
        window.key(u32::from('b')).unwrap();
    }
    // A note of Cleo's, with a word on it.
    let tools = |shot: &Shot| (shot.areas(NOTE, 3).is_empty()).then_some(());
    cleo.wait("an empty board", tools).await.unwrap();
    cleo.key(u32::from('n')).unwrap();
    cleo.click(MIDDLE).unwrap();
    cleo.wait("her own note", note).await.unwrap();
    dan.wait("her note", note).await.unwrap();
    cleo.type_text("hello").unwrap();
    loop {
        ada.wait("a change of the board", |event| matches!(event, Event::BoardChanged { .. }).then_some(())).await.unwrap();
        if page(&mut ada, room).await.elements.iter().any(|element| element.text == "hello") {
            break;
        }
    }
    cleo.key(ESCAPE).unwrap();

    // Dan answers with an ellipse beside it.
    dan.key(u32::from('o')).unwrap();
    dan.drag((420, 300), (560, 420)).unwrap();
    loop {
        ada.wait("a change of the board", |event| matches!(event, Event::BoardChanged { .. }).then_some(())).await.unwrap();
        if page(&mut ada, room).await.elements.iter().any(|element| element.kind == Kind::Ellipse) {
            break;
        }
    }
    // Both look at the page from the same place: the arc of the ellipse, aside of its handles, is ink on paper, in light and in dark.
    let arc = |shot: &Shot| {
        let paper = shot.at(525, 260);
        (304..=312).any(|y| shot.at(525, y).iter().zip(paper).all(|(ink, paper)| ink.abs_diff(paper) > 0x60)).then_some(())
    };
    dan.wait("his own ellipse", arc).await.unwrap();
    cleo.wait("his ellipse", arc).await.unwrap();
    if let Some(folder) = std::env::var_os("CONCLAVE_TEST_SHOTS") {
        for (window, name) in [(&cleo, "cleo"), (&dan, "dan")] {
            window.look().unwrap().save(&std::path::Path::new(&folder).join(format!("canvas-{name}.png"))).unwrap();
        }
    }
}
