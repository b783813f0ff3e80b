//! The panel of files: what is offered, on its way, here; and what each control asks for.

use std::path::PathBuf;

use conclave::backend::{KeptBy, StorePresence};
use conclave::intent::{FileIntent, Intent, Panel};
use conclave_node::command::Command;
use conclave_node::event::Event;
use conclave_node::view::{ErrorView, FileState, FileView};
use conclave_protocol::id::{DeviceId, FileId, RoomId};

use crate::scripted::{NOW_MS, lively};
use crate::window::Window;

const DESIGN: RoomId = RoomId([10; 32]);
const FILE: FileId = FileId([60; 32]);

pub fn file(state: FileState) -> FileView {
    FileView {
        file: FILE,
        name: "plan.pdf".into(),
        given_name: None,
        size: 3 << 20,
        files: None,
        author: DeviceId([3; 32]),
        author_name: "Cleo".into(),
        shared_ms: NOW_MS,
        mine: false,
        state,
        path: None,
        done: 0,
        down: 0,
        up: 0,
        left_s: None,
        peers: 0,
        seeders: 0,
        sent: 0,
        map: String::new(),
        error: None,
    }
}

fn window() -> Window {
    let mut window = Window::open(lively(), StorePresence::Present(KeptBy::Keyring));
    window.want(Intent::SelectRoom(DESIGN));
    window.want(Intent::OpenPanel(Some(Panel::Files)));
    window
}

fn tell(window: &mut Window, file: FileView) {
    window.script.event(Event::FileChanged { room: DESIGN, file });
    window.settle();
}

#[test]
fn a_file_is_offered_fetched_paused_and_opened() {
    let mut window = window();
    assert!(window.commands().contains(&Command::FileList { room: DESIGN }));
    assert!(window.says("No files yet"));
    tell(&mut window, file(FileState::Offered));
    assert!(window.says("plan.pdf"));
    window.click("Download plan.pdf");
    assert!(window.commands().contains(&Command::FileGet { room: DESIGN, file: FILE, to: None }));
    let moving =
        FileView { done: 1 << 20, down: 512 << 10, left_s: Some(4), peers: 2, map: "9990".into(), ..file(FileState::Fetching) };
    tell(&mut window, moving);
    assert!(window.says("512 KiB") && window.says("seconds left"), "speed and time left are shown");
    assert!(window.has("Progress of plan.pdf"));
    window.click("Pause plan.pdf");
    assert!(window.commands().contains(&Command::FilePause { room: DESIGN, file: FILE }));
    tell(&mut window, FileView { done: 1 << 20, ..file(FileState::Paused) });
    assert!(window.says("Paused at"));
    window.click("Go on with plan.pdf");
    window.click("Cancel plan.pdf");
    let asked = window.commands();
    assert!(asked.contains(&Command::FileResume { room: DESIGN, file: FILE }));
    assert!(asked.contains(&Command::FileCancel { room: DESIGN, file: FILE }));
    let error =
        ErrorView { code: "disk_full".into(), message: "There is not enough space on the disk: 1 MiB more are needed.".into() };
    tell(&mut window, FileView { error: Some(error), ..file(FileState::Stopped) });
    assert!(window.says("There is not enough space on the disk"));
    tell(&mut window, FileView { path: Some("/nowhere/plan.pdf".into()), done: 3 << 20, ..file(FileState::Complete) });
    assert!(window.has("Open plan.pdf") && window.has("Show plan.pdf in its folder"));
    window.script.event(Event::FileRemoved { room: DESIGN, file: FILE });
    window.settle();
    assert!(!window.has("Open plan.pdf"));
}

#[test]
fn what_is_dropped_or_chosen_is_shared_and_its_reading_is_shown() {
    let mut window = window();
    window.commands();
    let path = PathBuf::from("/home/mira/film.mp4");
    window.want(Intent::File(FileIntent::ShareHere(vec![path.clone()])));
    assert!(window.commands().contains(&Command::FileShare { room: DESIGN, path: path.clone() }));
    window.script.event(Event::FileHashing { room: DESIGN, path: path.display().to_string(), done: 5, size: 10 });
    window.settle();
    assert!(window.says("film.mp4"));
}

#[test]
fn a_share_is_taken_back_only_after_a_question() {
    let mut window = window();
    tell(&mut window, FileView { mine: true, path: Some("/x/plan.pdf".into()), ..file(FileState::Complete) });
    window.commands();
    window.click("Stop sharing plan.pdf");
    assert!(!window.commands().contains(&Command::FileRemove { room: DESIGN, file: FILE }));
    window.want(Intent::Confirmed);
    assert!(window.commands().contains(&Command::FileRemove { room: DESIGN, file: FILE }));
}

#[test]
fn a_look_into_a_text_shows_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notes.txt");
    std::fs::write(&path, "the soup is ready").unwrap();
    let mut window = window();
    tell(&mut window, FileView { path: Some(path.display().to_string()), name: "notes.txt".into(), ..file(FileState::Complete) });
    window.click("Look into notes.txt");
    let began = std::time::Instant::now();
    while !window.says("the soup is ready") {
        assert!(began.elapsed().as_secs() < 20, "the preview does not come");
        std::thread::yield_now();
        window.settle();
    }
}
