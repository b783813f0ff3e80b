//! What a member can do with the files of a room: names, links in the way, lies about sizes, full disks, pictures.

use std::path::{Path, PathBuf};

use conclave::preview::{Preview, load};
use conclave_node::command::Command;
use conclave_node::event::Event;
use conclave_node::view::{FileState, FileView};
use conclave_protocol::id::{FileId, RoomId};
use conclave_tests::peer::{Peer, PeerOptions};
use conclave_tests::process::rss_kib;

/// A node that is offered hostile files stays below this.
const CEILING_KIB: u64 = 160 * 1024;

async fn peer(name: &str) -> Peer {
    let options = PeerOptions::named(name).args(["--no-mdns", "--listen", "/ip4/127.0.0.1/tcp/0"]);
    Peer::start(options).await.expect("a peer starts")
}

async fn pair() -> (Peer, Peer, RoomId) {
    let (mut ada, mut bob) = (peer("Ada").await, peer("Bob").await);
    let room = ada.create_room("Files", false).await.unwrap();
    let link = ada.invite(room, 9).await.unwrap();
    bob.join(&link, None).await.unwrap();
    (ada, bob, room)
}

async fn share(ada: &mut Peer, bob: &mut Peer, room: RoomId, path: &Path) -> FileView {
    let answer = ada.request(Command::FileShare { room, path: path.to_owned() }).await.unwrap();
    let view: FileView = serde_json::from_value(answer["file"].clone()).unwrap();
    bob.wait("the file is offered", |event| match event {
        Event::FileChanged { file, .. } if file.file == view.file => Some(file.clone()),
        _ => None,
    })
    .await
    .unwrap()
}

async fn end(peer: &mut Peer, file: FileId) -> FileView {
    peer.wait("the transfer ends", |event| match event {
        Event::FileChanged { file: view, .. }
            if view.file == file && matches!(view.state, FileState::Complete | FileState::Stopped) =>
        {
            Some(view.clone())
        }
        _ => None,
    })
    .await
    .unwrap()
}

/// The process lives, its memory is below its ceiling, and an honest file still comes.
async fn assert_well(ada: &mut Peer, bob: &mut Peer, room: RoomId, dir: &Path) {
    let honest = dir.join("honest.txt");
    std::fs::write(&honest, vec![b'x'; 300_000]).unwrap();
    let out = dir.join("honest");
    std::fs::create_dir_all(&out).unwrap();
    let file = share(ada, bob, room, &honest).await.file;
    bob.request(Command::FileGet { room, file, to: Some(out.clone()) }).await.unwrap();
    assert_eq!(end(bob, file).await.state, FileState::Complete);
    assert_eq!(std::fs::read(out.join("honest.txt")).unwrap().len(), 300_000);
    let rss = rss_kib(bob.pid().unwrap()).unwrap().0;
    assert!(rss < CEILING_KIB, "{rss} KiB");
}

#[tokio::test]
async fn case_33_names_that_lead_out_or_mislead_are_made_safe_and_shown() {
    let dir = tempfile::tempdir().unwrap();
    let (mut ada, mut bob, room) = pair().await;
    let out = dir.path().join("out");
    std::fs::create_dir(&out).unwrap();
    for (number, (given, made)) in [
        ("..\\..\\evil", "_._.._evil"),
        ("photo\u{202e}gpj.exe", "photo_gpj.exe"),
        ("CON", "_CON"),
        (".bashrc", "_bashrc"),
        ("a\nb", "a_b"),
        ("nul.tar.gz", "_nul.tar.gz"),
    ]
    .into_iter()
    .enumerate()
    {
        let source = dir.path().join(format!("in{number}"));
        std::fs::create_dir(&source).unwrap();
        std::fs::write(source.join(given), format!("content {number}")).unwrap();
        let file = share(&mut ada, &mut bob, room, &source.join(given)).await;
        assert_eq!((file.name.as_str(), file.given_name.as_deref()), (made, Some(given)));
        bob.request(Command::FileGet { room, file: file.file, to: Some(out.clone()) }).await.unwrap();
        let view = end(&mut bob, file.file).await;
        assert_eq!(view.path.as_deref().map(PathBuf::from), Some(out.join(made)));
        assert_eq!(std::fs::read_to_string(out.join(made)).unwrap(), format!("content {number}"));
    }
    assert_eq!(std::fs::read_dir(&out).unwrap().count(), 6);
    assert_well(&mut ada, &mut bob, room, dir.path()).await;
}

#[tokio::test]
async fn case_34_a_link_in_the_download_folder_is_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    let (mut ada, mut bob, room) = pair().await;
    let out = dir.path().join("out");
    std::fs::create_dir(&out).unwrap();
    let precious = dir.path().join("precious");
    std::fs::write(&precious, "mine").unwrap();
    let source = dir.path().join("film.bin");
    std::fs::write(&source, vec![7; 6 << 20]).unwrap();
    let file = share(&mut ada, &mut bob, room, &source).await.file;
    // A link under the final name: the file gets another.
    std::os::unix::fs::symlink(&precious, out.join("film.bin")).unwrap();
    ada.request(Command::FileLimits { up_kib: Some(1024), down_kib: None }).await.unwrap();
    bob.request(Command::FileGet { room, file, to: Some(out.clone()) }).await.unwrap();
    bob.wait("some of it", |event| {
        matches!(event, Event::FileChanged { file: view, .. } if view.file == file && view.done > 0).then_some(())
    })
    .await
    .unwrap();
    // The part is swapped for a link while it is written.
    let part = std::fs::read_dir(&out)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|end| end == "part"));
    let part = part.unwrap();
    std::fs::remove_file(&part).unwrap();
    std::os::unix::fs::symlink(&precious, &part).unwrap();
    let view = end(&mut bob, file).await;
    assert_eq!((view.state, view.error.unwrap().code.as_str()), (FileState::Stopped, "file_refused"));
    assert_eq!(std::fs::read_to_string(&precious).unwrap(), "mine");
    // Nor when it goes on.
    bob.request(Command::FileResume { room, file }).await.unwrap();
    let view = end(&mut bob, file).await;
    assert_eq!((view.state, view.error.unwrap().code.as_str()), (FileState::Stopped, "file_refused"));
    // Without the link it goes on, and ends beside the other one.
    std::fs::remove_file(&part).unwrap();
    ada.request(Command::FileLimits { up_kib: None, down_kib: None }).await.unwrap();
    bob.request(Command::FileResume { room, file }).await.unwrap();
    let view = end(&mut bob, file).await;
    assert_eq!(view.path.as_deref().map(PathBuf::from), Some(out.join("film (1).bin")));
    assert_eq!(std::fs::read_to_string(&precious).unwrap(), "mine");
    assert_well(&mut ada, &mut bob, room, dir.path()).await;
}

#[tokio::test]
async fn case_35_a_file_that_does_not_fit_or_lies_about_its_size_is_told_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (mut ada, mut bob, room) = pair().await;
    let out = dir.path().join("out");
    std::fs::create_dir(&out).unwrap();
    // It says 3 MiB and is cut short afterwards.
    let source = dir.path().join("short.bin");
    std::fs::write(&source, vec![7; 3 << 20]).unwrap();
    let file = share(&mut ada, &mut bob, room, &source).await.file;
    std::fs::OpenOptions::new().write(true).open(&source).unwrap().set_len(1 << 20).unwrap();
    bob.request(Command::FileGet { room, file, to: Some(out.clone()) }).await.unwrap();
    let told = ada
        .wait("the sharer is told", |event| match event {
            Event::FileChanged { file: view, .. } if view.file == file && view.state == FileState::Stopped => Some(view.clone()),
            _ => None,
        })
        .await
        .unwrap();
    assert_eq!(told.error.unwrap().code, "file_stale");
    bob.request(Command::FileCancel { room, file }).await.unwrap();
    bob.wait("it is offered again", |event| {
        matches!(event, Event::FileChanged { file: view, .. } if view.file == file && view.state == FileState::Offered)
            .then_some(())
    })
    .await
    .unwrap();
    assert_well(&mut ada, &mut bob, room, dir.path()).await;
    let left: Vec<_> = std::fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.is_empty(), "{left:?}");
}

fn png(width: u32, height: u32) -> Vec<u8> {
    fn crc(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(!0_u32, |crc, byte| {
            (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 })
        })
    }
    let mut out = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut chunk = |kind: &[u8; 4], body: &[u8]| {
        out.extend((body.len() as u32).to_be_bytes());
        let content = [kind.as_slice(), body].concat();
        out.extend(&content);
        out.extend(crc(&content).to_be_bytes());
    };
    let head = [width.to_be_bytes().as_slice(), &height.to_be_bytes(), &[8, 6, 0, 0, 0]].concat();
    chunk(b"IHDR", &head);
    // A zlib stream of nothing but its head: a decoder that believes the size allocates before it finds out.
    chunk(b"IDAT", &[0x78, 0x9c, 0x03, 0x00, 0x00, 0x00, 0x00, 0x01]);
    chunk(b"IEND", &[]);
    out
}

#[test]
fn case_37_a_huge_or_nested_picture_is_rejected_before_decoding() {
    let dir = tempfile::tempdir().unwrap();
    let before = rss_kib(std::process::id()).unwrap().0;
    for (name, bytes) in [
        ("wide.png", png(60_000, 60_000)),
        ("tall.png", png(1, u32::MAX >> 1)),
        ("false.png", png(11_999, 2_700)),
        ("zero.png", png(0, 0)),
    ] {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(load(&path), Preview::None, "{name}");
    }
    // SVG is never rendered: it is text like any other, so nothing it refers to is opened.
    let svg =
        format!("<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/>{}</svg>", "<g>".repeat(200_000));
    let path = dir.path().join("nested.svg");
    std::fs::write(&path, svg).unwrap();
    assert!(matches!(load(&path), Preview::Text(text) if text.len() <= 16 * 1024));
    // Nor is a pipe waited for, or a directory read.
    assert_eq!(load(dir.path()), Preview::None);
    let grown = rss_kib(std::process::id()).unwrap().0.saturating_sub(before);
    assert!(grown < 192 * 1024, "{grown} KiB");
    // An honest one is shown.
    let honest = dir.path().join("honest.png");
    image::RgbaImage::from_pixel(40, 30, image::Rgba([1, 2, 3, 255])).save(&honest).unwrap();
    assert!(matches!(load(&honest), Preview::Picture(picture) if picture.size == [40, 30]));
}
