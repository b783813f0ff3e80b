//! Pictures on the board between processes on loopback: shared by one, fetched by who looks, carried out with the page.

use std::path::Path;

use conclave_crdt::{Edit, ElementId, Kind, PageId, Place, Shape, Style, Transform};
use conclave_node::command::{BoardFormat, Command};
use conclave_node::event::Event;
use conclave_node::view::{BoardPictureView, PictureState, RoleView};
use conclave_protocol::id::RoomId;
use conclave_tests::peer::Peer;

use crate::loopback;

/// A picture with so much noise in it that its file is long.
fn picture(dir: &Path, side: u32) -> std::path::PathBuf {
    let mut state = 7u32;
    let noise = image::RgbaImage::from_fn(side, side, |_, _| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        image::Rgba([0, (state >> 24) as u8 | 128, 0, 255])
    });
    let path = dir.join(format!("{side}.png"));
    noise.save(&path).unwrap();
    path
}

async fn ask(peer: &mut Peer, room: RoomId, image: &str) -> BoardPictureView {
    let answer = peer.request(Command::BoardPicture { room, image: image.to_owned(), to: None, data: false }).await.unwrap();
    serde_json::from_value(answer["board_picture"].clone()).unwrap()
}

async fn add(peer: &mut Peer, room: RoomId, path: &Path) -> BoardPictureView {
    let answer = peer.request(Command::BoardAddPicture { room, path: Some(path.to_owned()), data: None }).await.unwrap();
    serde_json::from_value(answer["board_picture"].clone()).unwrap()
}

/// Asks until the picture is here.
async fn fetched(peer: &mut Peer, room: RoomId, image: &str) {
    while ask(peer, room, image).await.state != PictureState::Here {
        peer.wait("the picture has come", |event| match event {
            Event::BoardPicture { image: came, .. } => (came == image).then_some(()),
            _ => None,
        })
        .await
        .unwrap();
    }
}

#[tokio::test]
async fn a_picture_travels_to_who_looks_at_the_board_and_leaves_with_the_page() {
    let dir = tempfile::tempdir().unwrap();
    let (mut ada, mut ben) = (loopback("Ada").await, loopback("Ben").await);
    let room = ada.create_room("Pictures", false).await.unwrap();
    let link = ada.invite(room, 1).await.unwrap();
    ben.join(&link, None).await.unwrap();
    // One that travels in its manifest, and one in chunks.
    for (number, side) in [(1, 20), (2, 700)] {
        let path = picture(dir.path(), side);
        let shared = add(&mut ada, room, &path).await;
        assert_eq!((shared.state, shared.width), (PictureState::Here, Some(side)));
        assert_eq!(shared.image, add(&mut ada, room, &path).await.image, "the same picture is the same file");
        // Its own copy is what is served: the person's may go.
        let original = std::fs::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let mut shape = Shape::new(Kind::Image, Transform::new(0.0, 0.0, 100.0, 100.0), Style::default());
        shape.image = Some(shared.image.clone());
        let edits = vec![Edit::Add { id: ElementId::from_random(number), shape, place: Place::Front }];
        ada.request(Command::BoardEdit { room, page: PageId::FIRST, edits, gesture: 0 }).await.unwrap();

        fetched(&mut ben, room, &shared.image).await;
        let to = dir.path().join("got.png");
        ben.request(Command::BoardPicture { room, image: shared.image.clone(), to: Some(to.clone()), data: false })
            .await
            .unwrap();
        assert_eq!(std::fs::read(&to).unwrap(), original);
    }
    let files = ada.request(Command::FileList { room }).await.unwrap();
    assert_eq!(files["files"].as_array().unwrap().len(), 2);

    // What Ben exports has them, and Cleo's room gets them by the file alone.
    let path = dir.path().join("page.excalidraw");
    ben.request(Command::BoardExport { room, page: PageId::FIRST, format: BoardFormat::Excalidraw, path: path.clone() })
        .await
        .unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap().matches("data:image/png;base64,").count(), 2);
    let mut cleo = loopback("Cleo").await;
    let elsewhere = cleo.create_room("Elsewhere", false).await.unwrap();
    cleo.request(Command::BoardImport { room: elsewhere, page: PageId::FIRST, path }).await.unwrap();
    let page = cleo.request(Command::BoardPage { room: elsewhere, page: PageId::FIRST, moment: None }).await.unwrap();
    for element in page["board_page"]["elements"].as_array().unwrap() {
        fetched(&mut cleo, elsewhere, element["image"].as_str().unwrap()).await;
    }
    let png = dir.path().join("page.png");
    cleo.request(Command::BoardExport { room: elsewhere, page: PageId::FIRST, format: BoardFormat::Png, path: png.clone() })
        .await
        .unwrap();
    let shown = image::open(&png).unwrap().to_rgba8();
    let middle = shown.get_pixel(shown.width() / 2, shown.height() / 2).0;
    assert!(middle[0] < 8 && middle[1] >= 120 && middle[2] < 8, "{middle:?}");
}

#[tokio::test]
async fn what_is_no_picture_or_too_large_is_refused_and_a_viewer_shares_none() {
    let dir = tempfile::tempdir().unwrap();
    let (mut ada, mut ben) = (loopback("Ada").await, loopback("Ben").await);
    let room = ada.create_room("Refused", false).await.unwrap();
    let invite = Command::RoomInvite { room, role: RoleView::Viewer, uses: 1, expires_s: 3600, approval: None };
    let answer = ada.request(invite).await.unwrap();
    ben.join(answer["invite"]["link"].as_str().unwrap(), None).await.unwrap();
    let refused = |path: std::path::PathBuf| Command::BoardAddPicture { room, path: Some(path), data: None };
    let text = dir.path().join("words.png");
    std::fs::write(&text, "no picture").unwrap();
    assert_eq!(ada.ask(refused(text)).await.unwrap().unwrap_err().code, "file_refused");
    assert_eq!(ada.ask(refused(dir.path().join("gone.png"))).await.unwrap().unwrap_err().code, "file_gone");
    let good = picture(dir.path(), 10);
    assert_eq!(ben.ask(refused(good)).await.unwrap().unwrap_err().code, "not_permitted");
    // A name that no file has, and one that is none.
    assert_eq!(ask(&mut ada, room, &"0".repeat(64)).await.state, PictureState::Absent);
    assert_eq!(ask(&mut ada, room, "excalidraw-file").await.state, PictureState::Absent);
}
