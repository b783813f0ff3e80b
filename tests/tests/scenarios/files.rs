//! Files between real peers.

use std::path::PathBuf;

use conclave_node::command::Command;
use conclave_node::event::Event;
use conclave_node::view::FileState;
use conclave_tests::files::{bytes, room_of};
use conclave_tests::lan::Lan;
use conclave_tests::peer::{Peer, PeerOptions};
use conclave_tests::process::run;

use crate::{loopback, on_loopback};

#[tokio::test]
async fn a_shared_file_arrives_whole_and_so_does_a_folder() {
    let dir = tempfile::tempdir().unwrap();
    let mut peers = [loopback("Ada").await, loopback("Bob").await];
    let room = room_of(&mut peers).await.unwrap();
    let [ada, bob] = &mut peers;
    let content = bytes(3_000_001, 7);
    let source = dir.path().join("report.pdf");
    std::fs::write(&source, &content).unwrap();
    let tree = dir.path().join("tree");
    std::fs::create_dir_all(tree.join("sub/deep")).unwrap();
    for n in 0..120 {
        std::fs::write(tree.join(format!("sub/deep/{n}")), bytes(4096, n)).unwrap();
    }
    std::fs::write(tree.join("empty"), b"").unwrap();
    std::fs::write(dir.path().join("tiny.txt"), b"hello").unwrap();
    std::os::unix::fs::symlink("/etc/passwd", tree.join("link")).unwrap();
    let out = dir.path().join("out");
    std::fs::create_dir(&out).unwrap();
    // In the way: it is not overwritten.
    std::fs::write(out.join("report.pdf"), b"mine").unwrap();
    for path in [&source, &tree, &dir.path().join("tiny.txt")] {
        let file = ada.share_file(room, path).await.unwrap();
        bob.offered(room, file.file).await.unwrap();
        bob.get_file(room, file.file, &out).await.unwrap();
        let arrived = bob.complete_file(file.file).await.unwrap();
        if path == &source {
            assert_eq!(arrived.file_name().unwrap(), "report (1).pdf");
            assert!(std::fs::read(&arrived).unwrap() == content);
        }
    }
    assert_eq!(std::fs::read(out.join("report.pdf")).unwrap(), b"mine");
    assert_eq!(std::fs::read(out.join("tiny.txt")).unwrap(), b"hello");
    for n in 0..120 {
        assert!(std::fs::read(out.join(format!("tree/sub/deep/{n}"))).unwrap() == bytes(4096, n));
    }
    assert_eq!(std::fs::metadata(out.join("tree/empty")).unwrap().len(), 0);
    assert!(!out.join("tree/link").exists(), "links are not shared");
    let left: Vec<_> = std::fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 4, "nothing half done is left: {left:?}");
}

#[tokio::test]
async fn three_swarm_and_the_sharer_may_leave() {
    let dir = tempfile::tempdir().unwrap();
    let mut peers = [loopback("Ada").await, loopback("Bob").await, loopback("Cy").await];
    let room = room_of(&mut peers).await.unwrap();
    let [ada, bob, cy] = &mut peers;
    let content = bytes(24 << 20, 3);
    let source = dir.path().join("film.bin");
    std::fs::write(&source, &content).unwrap();
    let file = ada.share_file(room, &source).await.unwrap().file;
    for (peer, name) in [(&mut *bob, "bob"), (&mut *cy, "cy")] {
        peer.offered(room, file).await.unwrap();
        std::fs::create_dir(dir.path().join(name)).unwrap();
    }
    bob.get_file(room, file, &dir.path().join("bob")).await.unwrap();
    let arrived = bob.complete_file(file).await.unwrap();
    assert!(std::fs::read(arrived).unwrap() == content);
    // One full copy is elsewhere: nobody needs the sharer any more.
    ada.kill().await.unwrap();
    cy.get_file(room, file, &dir.path().join("cy")).await.unwrap();
    let arrived = cy.complete_file(file).await.unwrap();
    assert!(std::fs::read(arrived).unwrap() == content);
}

#[tokio::test]
async fn what_was_fetched_before_a_kill_is_not_fetched_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut ada = loopback("Ada").await;
    let mut bob = loopback("Bob").await;
    let room = ada.create_room("Files", false).await.unwrap();
    let link = ada.invite(room, 9).await.unwrap();
    bob.join(&link, None).await.unwrap();
    let size = 48 << 20;
    let content = bytes(size, 5);
    let source = dir.path().join("film.bin");
    std::fs::write(&source, &content).unwrap();
    let file = ada.share_file(room, &source).await.unwrap().file;
    bob.offered(room, file).await.unwrap();
    // Slow enough that the kill comes in the middle.
    ada.request(Command::FileLimits { up_kib: Some(6 * 1024), down_kib: None }).await.unwrap();
    let out = dir.path().join("out");
    std::fs::create_dir(&out).unwrap();
    bob.get_file(room, file, &out).await.unwrap();
    bob.wait_file(file, "half of it", |view| view.done >= (size / 2) as u64).await.unwrap();
    bob.kill().await.unwrap();
    ada.request(Command::FileLimits { up_kib: None, down_kib: None }).await.unwrap();
    let mut bob = bob.restart(Some(on_loopback("Bob"))).await.unwrap();
    let resumed = bob.wait_file(file, "it goes on by itself", |view| view.done > 0).await.unwrap();
    // What is written is made sure of every two seconds: at most that much is missing.
    assert!(resumed.done >= (size / 2) as u64 - (16 << 20), "{} of {size} are left", resumed.done);
    let arrived = bob.complete_file(file).await.unwrap();
    assert!(std::fs::read(arrived).unwrap() == content);
    let answer = ada.request(Command::FileList { room }).await.unwrap();
    let sent = answer["files"][0]["sent"].as_u64().unwrap();
    println!(
        "{} MiB were sent for {} MiB over a kill at half; {} MiB were there after it",
        sent >> 20,
        size >> 20,
        resumed.done >> 20
    );
    assert!(sent <= (size as u64) + (40 << 20), "{sent}");
}

#[tokio::test]
async fn pause_resume_cancel_and_remove_do_what_they_say() {
    let dir = tempfile::tempdir().unwrap();
    let mut peers = [loopback("Ada").await, loopback("Bob").await];
    let room = room_of(&mut peers).await.unwrap();
    let [ada, bob] = &mut peers;
    let source = dir.path().join("film.bin");
    let content = bytes(12 << 20, 9);
    std::fs::write(&source, &content).unwrap();
    let file = ada.share_file(room, &source).await.unwrap().file;
    bob.offered(room, file).await.unwrap();
    ada.request(Command::FileLimits { up_kib: Some(2 * 1024), down_kib: None }).await.unwrap();
    let out = dir.path().join("out");
    std::fs::create_dir(&out).unwrap();
    bob.get_file(room, file, &out).await.unwrap();
    bob.wait_file(file, "some of it", |view| view.done > 1 << 20).await.unwrap();
    bob.request(Command::FilePause { room, file }).await.unwrap();
    bob.wait_file(file, "it pauses", |view| view.state == FileState::Paused).await.unwrap();
    ada.request(Command::FileLimits { up_kib: None, down_kib: None }).await.unwrap();
    bob.request(Command::FileResume { room, file }).await.unwrap();
    let arrived = bob.complete_file(file).await.unwrap();
    assert!(std::fs::read(arrived).unwrap() == content);

    let other = dir.path().join("other.bin");
    std::fs::write(&other, bytes(12 << 20, 11)).unwrap();
    let file = ada.share_file(room, &other).await.unwrap().file;
    bob.offered(room, file).await.unwrap();
    ada.request(Command::FileLimits { up_kib: Some(1024), down_kib: None }).await.unwrap();
    bob.get_file(room, file, &out).await.unwrap();
    bob.wait_file(file, "some of it", |view| view.done > 0).await.unwrap();
    bob.request(Command::FileCancel { room, file }).await.unwrap();
    bob.wait_file(file, "it is offered again", |view| view.state == FileState::Offered).await.unwrap();
    ada.request(Command::FileRemove { room, file }).await.unwrap();
    bob.wait("it is shared no more", |event| {
        matches!(event, Event::FileRemoved { file: gone, .. } if *gone == file).then_some(())
    })
    .await
    .unwrap();
    let left: Vec<_> = std::fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["film.bin"], "nothing of what was cancelled is left");
}

#[tokio::test]
async fn a_file_that_changed_is_stale_and_nothing_of_it_leaves() {
    let dir = tempfile::tempdir().unwrap();
    let mut peers = [loopback("Ada").await, loopback("Bob").await];
    let room = room_of(&mut peers).await.unwrap();
    let [ada, bob] = &mut peers;
    let source = dir.path().join("draft.bin");
    std::fs::write(&source, bytes(2 << 20, 1)).unwrap();
    let file = ada.share_file(room, &source).await.unwrap().file;
    bob.offered(room, file).await.unwrap();
    std::fs::write(&source, bytes(2 << 20, 2)).unwrap();
    bob.get_file(room, file, dir.path()).await.unwrap();
    let view = ada.wait_file(file, "the sharer is told", |view| view.state == FileState::Stopped).await.unwrap();
    assert_eq!(view.error.unwrap().code, "file_stale");
    assert_eq!(view.sent, 0);
}

#[tokio::test]
async fn a_seeder_that_keeps_only_sealed_chunks_serves_them() {
    let dir = tempfile::tempdir().unwrap();
    let mut peers = [loopback("Ada").await, loopback("Bob").await, loopback("Cy").await];
    let room = room_of(&mut peers).await.unwrap();
    let [ada, bob, cy] = &mut peers;
    let source = dir.path().join("film.bin");
    let content = bytes(5_000_000, 3);
    std::fs::write(&source, &content).unwrap();
    let file = ada.share_file(room, &source).await.unwrap().file;
    bob.offered(room, file).await.unwrap();
    cy.offered(room, file).await.unwrap();
    bob.request(Command::FileSeed { room, file }).await.unwrap();
    let view = bob.wait_file(file, "the chunks are there", |view| view.state == FileState::Sealed).await.unwrap();
    let kept = std::fs::read(view.path.unwrap()).unwrap();
    assert!(!kept.windows(64).any(|window| window == &content[1_000_000..1_000_064]), "what is kept is sealed");
    ada.kill().await.unwrap();
    cy.get_file(room, file, dir.path().join("cy").tap_create()).await.unwrap();
    let arrived = cy.complete_file(file).await.unwrap();
    assert!(std::fs::read(arrived).unwrap() == content);
}

trait Create {
    fn tap_create(&self) -> &Self;
}

impl Create for PathBuf {
    fn tap_create(&self) -> &Self {
        std::fs::create_dir_all(self).unwrap();
        self
    }
}

#[tokio::test]
async fn each_thing_that_goes_wrong_has_its_own_message_and_resumes() {
    let dir = tempfile::tempdir().unwrap();
    let mut peers = [loopback("Ada").await, loopback("Bob").await];
    let room = room_of(&mut peers).await.unwrap();
    let [ada, bob] = &mut peers;
    let source = dir.path().join("film.bin");
    let content = bytes(8 << 20, 3);
    std::fs::write(&source, &content).unwrap();
    let file = ada.share_file(room, &source).await.unwrap().file;
    bob.offered(room, file).await.unwrap();
    // No such folder.
    bob.get_file(room, file, &dir.path().join("nowhere")).await.unwrap();
    let view = bob.wait_file(file, "it stops", |view| view.state == FileState::Stopped).await.unwrap();
    assert_eq!(view.error.unwrap().code, "target_gone");
    // The folder goes while it is on its way; once it is there again it goes on.
    let out = dir.path().join("nowhere");
    std::fs::create_dir(&out).unwrap();
    ada.request(Command::FileLimits { up_kib: Some(1024), down_kib: None }).await.unwrap();
    bob.request(Command::FileResume { room, file }).await.unwrap();
    bob.wait_file(file, "some of it", |view| view.done > 0).await.unwrap();
    std::fs::remove_dir_all(&out).unwrap();
    let view = bob.wait_file(file, "it stops", |view| view.state == FileState::Stopped).await.unwrap();
    assert_eq!(view.error.unwrap().code, "target_gone");
    std::fs::create_dir(&out).unwrap();
    ada.request(Command::FileLimits { up_kib: None, down_kib: None }).await.unwrap();
    bob.request(Command::FileResume { room, file }).await.unwrap();
    let arrived = bob.complete_file(file).await.unwrap();
    assert!(std::fs::read(arrived).unwrap() == content);
    // The source goes.
    let other = dir.path().join("other.bin");
    std::fs::write(&other, bytes(1 << 20, 4)).unwrap();
    let file = ada.share_file(room, &other).await.unwrap().file;
    std::fs::remove_file(&other).unwrap();
    bob.offered(room, file).await.unwrap();
    bob.get_file(room, file, &out).await.unwrap();
    let view = ada.wait_file(file, "the sharer is told", |view| view.state == FileState::Stopped).await.unwrap();
    assert_eq!(view.error.unwrap().code, "file_gone");
}

/// A file system of its own in memory, or bound from a folder; unmounted when it is dropped.
struct Mounted(PathBuf);

impl Mounted {
    fn memory(at: PathBuf, mib: u64) -> Self {
        std::fs::create_dir(&at).unwrap();
        let size = format!("size={mib}m");
        run("mount", &["-t", "tmpfs", "-o", &size, "tmpfs", &at.display().to_string()]).unwrap();
        Self(at)
    }

    fn remount(&self, option: &str) {
        run("mount", &["-o", &format!("remount,{option}"), &self.0.display().to_string()]).unwrap();
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = run("umount", &["-l", &self.0.display().to_string()]);
    }
}

#[tokio::test]
#[ignore = "mounts: needs root; run by make test-full"]
async fn a_full_disk_a_read_only_one_and_one_that_is_pulled_out_are_told_apart_and_nothing_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let mut peers = [loopback("Ada").await, loopback("Bob").await];
    let room = room_of(&mut peers).await.unwrap();
    let [ada, bob] = &mut peers;
    let source = dir.path().join("film.bin");
    let content = bytes(24 << 20, 3);
    std::fs::write(&source, &content).unwrap();
    let file = ada.share_file(room, &source).await.unwrap().file;
    bob.offered(room, file).await.unwrap();

    // Too small from the start: told before anything is written.
    let disk = Mounted::memory(dir.path().join("disk"), 32);
    bob.get_file(room, file, &disk.0).await.unwrap();
    assert_eq!(bob.stopped_file(file).await.unwrap(), "disk_full");
    assert_eq!(std::fs::read_dir(&disk.0).unwrap().count(), 0, "nothing is left behind");

    // Large enough at first; somebody else fills it while the file is on its way.
    disk.remount("size=64m");
    ada.request(Command::FileLimits { up_kib: Some(2 * 1024), down_kib: None }).await.unwrap();
    bob.request(Command::FileResume { room, file }).await.unwrap();
    bob.wait_file(file, "some of it", |view| view.done > 1 << 20).await.unwrap();
    let mut other = std::fs::File::create(disk.0.join("other")).unwrap();
    let filled = std::io::copy(&mut std::io::repeat(7), &mut other);
    assert_eq!(filled.unwrap_err().kind(), std::io::ErrorKind::StorageFull);
    assert_eq!(bob.stopped_file(file).await.unwrap(), "disk_full");
    let had = bob.file(room, file).await.unwrap().done;
    assert!(had > 1 << 20, "{had}");
    drop(other);
    std::fs::remove_file(disk.0.join("other")).unwrap();

    // Nothing may be written there any more.
    bob.request(Command::FileResume { room, file }).await.unwrap();
    bob.wait_file(file, "what was there, and more", |view| view.done > had).await.unwrap();
    bob.request(Command::FilePause { room, file }).await.unwrap();
    bob.wait_file(file, "it pauses", |view| view.state == FileState::Paused).await.unwrap();
    disk.remount("ro");
    bob.request(Command::FileResume { room, file }).await.unwrap();
    assert_eq!(bob.stopped_file(file).await.unwrap(), "permission_denied");
    disk.remount("rw");

    // It comes to its end after all of that.
    ada.request(Command::FileLimits { up_kib: None, down_kib: None }).await.unwrap();
    bob.request(Command::FileResume { room, file }).await.unwrap();
    let arrived = bob.complete_file(file).await.unwrap();
    assert!(std::fs::read(arrived).unwrap() == content);

    // A drive that is gone when it is looked for again: the folder stands, and is not the one that it was.
    let other = dir.path().join("other.bin");
    std::fs::write(&other, bytes(8 << 20, 9)).unwrap();
    let second = ada.share_file(room, &other).await.unwrap().file;
    bob.offered(room, second).await.unwrap();
    ada.request(Command::FileLimits { up_kib: Some(1024), down_kib: None }).await.unwrap();
    bob.get_file(room, second, &disk.0).await.unwrap();
    bob.wait_file(second, "some of it", |view| view.done > 0).await.unwrap();
    let place = disk.0.clone();
    drop(disk);
    std::fs::remove_dir(&place).unwrap();
    ada.request(Command::FileLimits { up_kib: None, down_kib: None }).await.unwrap();
    // What is open goes on to its end on the drive that was detached, or the loss is seen: never a file under a wrong place.
    let ended = |view: &conclave_node::view::FileView| matches!(view.state, FileState::Complete | FileState::Stopped);
    bob.wait_file(second, "it ends", ended).await.unwrap();
    assert!(!place.exists(), "nothing was made where the drive had been");
}

#[tokio::test]
#[ignore = "needs network namespaces; run by make test-full"]
async fn a_file_over_the_uplink_of_a_call_leaves_the_voice_whole() {
    let lan = Lan::new(2).unwrap();
    // 2 Mbit/s with a buffer of 200 ms: a file alone would fill it, and a voice behind it would come late and in pieces.
    for host in 1..=2 {
        lan.set_uplink(host, Some(2_000)).unwrap();
    }
    let mut peers = Vec::new();
    for (host, name) in [(1, "Ada"), (2, "Bob")] {
        let address = format!("/ip4/{}/tcp/4100", lan.address(host));
        peers.push(Peer::start(PeerOptions::named(name).args(["--no-mdns", "--listen", &address]).on(&lan, host)).await.unwrap());
    }
    let room = room_of(&mut peers).await.unwrap();
    let [ada, bob] = peers.as_mut_slice() else { panic!("two peers") };
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("film.bin");
    std::fs::write(&source, bytes(64 << 20, 3)).unwrap();
    let file = ada.share_file(room, &source).await.unwrap().file;
    bob.offered(room, file).await.unwrap();
    for peer in [&mut *ada, &mut *bob] {
        let (mic, speaker) = (Some("tone".into()), Some("null".into()));
        peer.request(Command::CallJoin { room, mic, mic_on: true, camera: None, speaker }).await.unwrap();
    }
    let from = ada.device();
    bob.wait("Ada in the call", |event| matches!(event, Event::CallConnected { device, .. } if *device == from).then_some(()))
        .await
        .unwrap();
    bob.get_file(room, file, dir.path().join("out").tap_create()).await.unwrap();
    bob.wait_file(file, "some of it", |view| view.done > 0).await.unwrap();
    // Twenty seconds of the call while the file is on its way.
    let (mut seconds, mut lost) = (0, 0.0_f32);
    while seconds < 20 {
        let now = bob
            .wait("how the voice is", |event| match event {
                Event::CallChanged { call: Some(call) } => {
                    call.people.iter().find(|person| person.device == from).map(|person| person.stats.clone())
                }
                _ => None,
            })
            .await
            .unwrap();
        lost = lost.max(now.audio_lost_pct);
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        seconds += 1;
    }
    let came = bob.file(room, file).await.unwrap().done;
    println!("{lost} % of the voice was concealed while {} KiB of a file came", came / 1024);
    assert!(lost < 5.0, "{lost} % of the voice was concealed");
    assert!(came > 512 * 1024, "the file stood still: {came}");
}
