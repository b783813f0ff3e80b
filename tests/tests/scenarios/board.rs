//! Whiteboards between processes on loopback: drawn at once, drawn apart, seen live.

use conclave_crdt::{Edit, Element, ElementId, Kind, PageId, Place, Point, Shape, Style, Transform};
use conclave_node::command::Command;
use conclave_node::event::Event;
use conclave_node::view::{BoardLiveView, BoardPageView, InkView, RoleView};
use conclave_protocol::id::RoomId;

use crate::{loopback, on_loopback};
use conclave_tests::peer::Peer;

fn id(number: u128) -> ElementId {
    ElementId::from_random(number)
}

fn stroke(number: u128) -> Edit {
    let at = number as f32 * 40.0;
    let points: Vec<Point> = (0..60).map(|step| Point::new(at + step as f32, at + (step as f32 / 5.0).sin() * 20.0)).collect();
    Edit::Add { id: id(number), shape: Shape::through(Kind::Pen, &points, Style::default()), place: Place::Front }
}

async fn draw(peer: &mut Peer, room: RoomId, edits: Vec<Edit>) {
    peer.request(Command::BoardEdit { room, page: PageId::FIRST, edits, gesture: 0 }).await.unwrap();
}

/// What a peer sees on the first page.
async fn seen(peer: &mut Peer, room: RoomId) -> Vec<Element> {
    let answer = peer.request(Command::BoardPage { room, page: PageId::FIRST, moment: None }).await.unwrap();
    let view: BoardPageView = serde_json::from_value(answer["board_page"].clone()).unwrap();
    view.elements.iter().map(|element| element.as_ref().clone()).collect()
}

/// Waits until so many elements are there.
async fn wait_for(peer: &mut Peer, room: RoomId, count: usize) -> Vec<Element> {
    loop {
        let elements = seen(peer, room).await;
        if elements.len() == count {
            return elements;
        }
        peer.wait("something on the board", |event| matches!(event, Event::BoardChanged { .. }).then_some(())).await.unwrap();
    }
}

#[tokio::test]
async fn three_draw_on_one_board_and_each_sees_what_all_drew() {
    let (mut ada, mut ben, mut cleo) = (loopback("Ada").await, loopback("Ben").await, loopback("Cleo").await);
    let room = ada.create_room("Board", false).await.unwrap();
    let link = ada.invite(room, 2).await.unwrap();
    ben.join(&link, None).await.unwrap();
    cleo.join(&link, None).await.unwrap();
    for peer in [&mut ada, &mut ben, &mut cleo] {
        assert!(seen(peer, room).await.is_empty());
    }
    for number in 0..5 {
        draw(&mut ada, room, vec![stroke(number)]).await;
        draw(&mut ben, room, vec![stroke(10 + number)]).await;
        draw(&mut cleo, room, vec![stroke(20 + number)]).await;
    }
    let of_ada = wait_for(&mut ada, room, 15).await;
    let of_ben = wait_for(&mut ben, room, 15).await;
    let of_cleo = wait_for(&mut cleo, room, 15).await;
    assert!(of_ada == of_ben && of_ben == of_cleo);
    // Undo takes back one's own alone.
    ben.request(Command::BoardUndo { room, redo: false }).await.unwrap();
    let left = wait_for(&mut ada, room, 14).await;
    assert!(left.iter().all(|element| element.id != id(14)));
}

#[tokio::test]
async fn who_was_away_merges_what_all_drew_meanwhile() {
    let (mut ada, mut ben) = (loopback("Ada").await, loopback("Ben").await);
    let room = ada.create_room("Apart", false).await.unwrap();
    let link = ada.invite(room, 1).await.unwrap();
    ben.join(&link, None).await.unwrap();
    let mut note = Shape::new(Kind::Note, Transform::new(0.0, 0.0, 200.0, 200.0), Style::default());
    note.text = "middle".to_owned();
    draw(&mut ada, room, vec![Edit::Add { id: id(1), shape: note, place: Place::Front }]).await;
    wait_for(&mut ben, room, 1).await;
    // Each alone, on the same note and beside it.
    ada.stop().await.unwrap();
    draw(&mut ben, room, vec![Edit::Splice { id: id(1), at: 6, delete: 0, insert: " of it".to_owned() }, stroke(2)]).await;
    // What was answered is on the disk, whatever happens then.
    ben.kill().await.unwrap();
    let mut ada = ada.restart(Some(on_loopback("Ada"))).await.unwrap();
    draw(&mut ada, room, vec![Edit::Splice { id: id(1), at: 0, delete: 0, insert: "the ".to_owned() }, stroke(3)]).await;
    let mut ben = ben.restart(Some(on_loopback("Ben"))).await.unwrap();
    assert_eq!(seen(&mut ben, room).await.len(), 2);
    ben.request(Command::NetDial { address: ada.listening()[0].clone() }).await.unwrap();
    let (of_ada, of_ben) = (wait_for(&mut ada, room, 3).await, wait_for(&mut ben, room, 3).await);
    assert_eq!(of_ada, of_ben);
    let note = of_ada.iter().find(|element| element.id == id(1)).unwrap();
    assert_eq!(note.text, "the middle of it");
}

#[tokio::test]
async fn pens_and_pointers_are_seen_live_and_leave_nothing_behind() {
    let (mut ada, mut ben) = (loopback("Ada").await, loopback("Ben").await);
    let room = ada.create_room("Live", false).await.unwrap();
    let link = ada.invite(room, 1).await.unwrap();
    ben.join(&link, None).await.unwrap();
    // Live messages go to those who are here now, and to nobody else.
    for peer in [&mut ada, &mut ben] {
        peer.wait_room(room, "a session of two", |view| view.session.people == 2).await.unwrap();
    }
    let ink = InkView {
        element: id(7),
        kind: Kind::Pen,
        style: Some(Style::default()),
        from: 0,
        points: vec![Point::new(1.0, 2.0), Point::new(3.5, 4.25)],
        done: false,
    };
    let live = BoardLiveView {
        page: PageId::FIRST,
        cursor: Some((3.5, 4.25)),
        laser: false,
        selection: vec![id(9)],
        viewport: Some([0.0, 0.0, 800.0, 600.0]),
        ink: Some(ink),
    };
    ada.request(Command::BoardLive { room, live: live.clone() }).await.unwrap();
    let (device, seen_live) = ben
        .wait("a pen", |event| match event {
            Event::BoardLive { device, live, .. } => Some((*device, live.clone())),
            _ => None,
        })
        .await
        .unwrap();
    assert_eq!((device, seen_live), (ada.device(), live));
    assert!(seen(&mut ben, room).await.is_empty());
}

#[tokio::test]
async fn a_viewer_sees_the_board_and_cannot_draw_on_it() {
    let (mut ada, mut ben) = (loopback("Ada").await, loopback("Ben").await);
    let room = ada.create_room("Looking", false).await.unwrap();
    let invite = Command::RoomInvite { room, role: RoleView::Viewer, uses: 1, expires_s: 3600, approval: None };
    let answer = ada.request(invite).await.unwrap();
    ben.join(answer["invite"]["link"].as_str().unwrap(), None).await.unwrap();
    draw(&mut ada, room, vec![stroke(1)]).await;
    wait_for(&mut ben, room, 1).await;
    let edit = Command::BoardEdit { room, page: PageId::FIRST, edits: vec![stroke(2)], gesture: 0 };
    assert_eq!(ben.ask(edit).await.unwrap().unwrap_err().code, "not_permitted");
    assert_eq!(seen(&mut ben, room).await.len(), 1);
}

#[tokio::test]
async fn a_page_is_exported_in_every_format_and_imported_again() {
    let mut ada = loopback("Ada").await;
    let room = ada.create_room("Files", false).await.unwrap();
    draw(&mut ada, room, vec![stroke(1), stroke(2)]).await;
    let dir = tempfile::tempdir().unwrap();
    use conclave_node::command::BoardFormat::{Automerge, Excalidraw, Pdf, Png, Svg};
    for (format, begins) in
        [(Svg, b"<svg".as_slice()), (Png, b"\x89PNG"), (Pdf, b"%PDF-1.7"), (Excalidraw, b"{"), (Automerge, b"\x85\x6f\x4a\x83")]
    {
        let path = dir.path().join(format!("{format:?}"));
        ada.request(Command::BoardExport { room, page: PageId::FIRST, format, path: path.clone() }).await.unwrap();
        assert!(std::fs::read(&path).unwrap().starts_with(begins), "{format:?}");
    }
    let path = dir.path().join("Excalidraw");
    ada.request(Command::BoardImport { room, page: PageId::FIRST, path }).await.unwrap();
    assert_eq!(seen(&mut ada, room).await.len(), 4);
    let path = dir.path().join("Png");
    let refused = ada.ask(Command::BoardImport { room, page: PageId::FIRST, path }).await.unwrap();
    assert_eq!(refused.unwrap_err().code, "bad_request");
}
