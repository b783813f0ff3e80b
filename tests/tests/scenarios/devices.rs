//! A second device, a backup and the end of everything, between processes.

use std::path::Path;
use std::process::Command as Process;

use conclave_node::command::Command;
use conclave_protocol::id::AccountId;
use conclave_tests::peer::Peer;
use conclave_tests::process::program;
use serde_json::Value;

use crate::loopback;

async fn code(peer: &mut Peer, command: Command) -> String {
    peer.request(command).await.unwrap()["code"].as_str().unwrap().to_owned()
}

async fn account(peer: &mut Peer) -> AccountId {
    serde_json::from_value(peer.request(Command::ProfileShow {}).await.unwrap()["profile"]["account"].clone()).unwrap()
}

#[tokio::test]
async fn a_second_device_is_linked_comes_into_a_room_and_is_taken_out_of_it() {
    let (mut first, mut second) = (loopback("Ada").await, loopback("Laptop").await);
    let room = first.create_room("Kitchen", false).await.unwrap();
    assert_ne!(account(&mut first).await, account(&mut second).await);
    let shown = code(&mut second, Command::DeviceCode {}).await;
    let answer = code(&mut first, Command::DeviceAdd { code: shown.clone() }).await;
    let again = first.ask(Command::DeviceAdd { code: shown }).await.unwrap().unwrap_err();
    assert_eq!(again.code, "already_member");
    let foreign = first.ask(Command::DeviceAccept { code: answer.clone() }).await.unwrap().unwrap_err();
    assert_eq!(foreign.code, "not_permitted", "the first one is in a room");
    second.request(Command::DeviceAccept { code: answer }).await.unwrap();
    assert_eq!(account(&mut first).await, account(&mut second).await);
    let listed = second.request(Command::DeviceList {}).await.unwrap();
    assert_eq!((listed["own_devices"].as_array().unwrap().len(), &listed["version"]), (2, &Value::from(2)));

    // It is somebody new to a room, and seen to be the same person.
    let mut second = second.restart(None).await.unwrap();
    let link = first.invite(room, 1).await.unwrap();
    second.join(&link, None).await.unwrap();
    let view = first.wait_room(room, "both devices", |view| view.members.len() == 2).await.unwrap();
    assert_eq!(view.members[0].account, view.members[1].account);
    let device = second.device();
    let left = first.request(Command::DeviceRemove { device }).await.unwrap();
    assert_eq!(left["own_devices"].as_array().unwrap().len(), 1);
    second.wait_room(room, "that it is out", |view| view.gone).await.unwrap();
    let gone = first.ask(Command::DeviceRemove { device }).await.unwrap().unwrap_err();
    assert_eq!(gone.code, "unknown_device");
}

#[tokio::test]
async fn a_device_that_is_taken_out_is_out_where_its_person_is_no_admin() {
    let (mut fay, mut first, mut second) = (loopback("Fay").await, loopback("Ada").await, loopback("Laptop").await);
    let room = fay.create_room("Kitchen", false).await.unwrap();
    let shown = code(&mut second, Command::DeviceCode {}).await;
    let answer = code(&mut first, Command::DeviceAdd { code: shown }).await;
    second.request(Command::DeviceAccept { code: answer }).await.unwrap();
    let mut second = second.restart(None).await.unwrap();
    let link = fay.invite(room, 2).await.unwrap();
    first.join(&link, None).await.unwrap();
    second.join(&link, None).await.unwrap();
    first
        .wait_room(room, "Fay online", |view| view.members.iter().any(|member| member.device == fay.device() && member.online))
        .await
        .unwrap();
    let device = second.device();
    first.request(Command::DeviceRemove { device }).await.unwrap();
    second.wait_room(room, "that it is out", |view| view.gone).await.unwrap();
    for peer in [&mut fay, &mut first] {
        peer.wait_room(room, "two members", |view| {
            view.members.len() == 2 && view.members.iter().all(|member| member.device != device)
        })
        .await
        .unwrap();
    }
}

fn node(data: &Path, arguments: &[&str]) -> (i32, String) {
    let output = Process::new(program("conclave-node").unwrap())
        .args(arguments)
        .args(["--insecure-store", "--data"])
        .arg(data)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code().unwrap(), text)
}

#[test]
fn a_backup_brings_the_person_back_and_a_wipe_leaves_nothing() {
    let scratch = tempfile::tempdir().unwrap();
    let (old, new) = (scratch.path().join("old"), scratch.path().join("new"));
    let at = |name: &str| scratch.path().join(name).display().to_string();
    std::fs::write(at("passphrase"), "correct horse\n").unwrap();
    std::fs::write(at("wrong"), "incorrect horse\n").unwrap();
    let account = |text: &str| text.split_whitespace().find(|word| word.starts_with("acct:")).unwrap().to_owned();
    let (code, made) = node(&old, &["init", "--name", "Ada"]);
    assert_eq!(code, 0, "{made}");
    let backup = ["backup", &at("ada.age"), "--backup-passphrase", &at("passphrase")];
    assert_eq!(node(&old, &backup).0, 0);
    assert_ne!(node(&old, &backup).0, 0, "a file that is there is not written over");
    assert!(std::fs::read(at("ada.age")).unwrap().starts_with(b"age-encryption.org/v1"));

    let from = |passphrase: &str| {
        node(&new, &["init", "--name", "Ada", "--from-backup", &at("ada.age"), "--backup-passphrase", &at(passphrase)])
    };
    let (code, refused) = from("wrong");
    assert!(code != 0 && refused.contains("passphrase"), "{refused}");
    let (code, restored) = from("passphrase");
    assert_eq!(code, 0, "{restored}");
    assert_eq!(account(&made), account(&restored));
    assert_eq!(
        node(&new, &["device", "list"]).1.lines().filter(|line| line.starts_with("dev:")).count(),
        2,
        "the old device and this one"
    );

    assert_eq!(node(&new, &["wipe"]).0, 2, "it must be said that everything is meant");
    assert!(new.join("store.redb").exists());
    let (code, said) = node(&new, &["wipe", "--everything"]);
    assert_eq!(code, 0, "{said}");
    let left: Vec<_> = std::fs::read_dir(&new).unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert!(left.iter().all(|name| name == "store.lock"), "{left:?}");
    assert_eq!(node(&new, &["id"]).0, 4);
}
