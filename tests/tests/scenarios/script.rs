//! The JSON lines and one-shot commands as a script uses them.

use conclave_node::command::Command;
use conclave_tests::process::program;
use serde_json::json;

use crate::loopback;

#[tokio::test]
async fn a_line_that_is_no_command_is_answered_and_the_node_goes_on() {
    let mut ada = loopback("Ada").await;
    ada.send_raw("not json").await.unwrap();
    ada.send_raw(&"[".repeat(100_000)).await.unwrap();
    let wrong = ada.ask_raw(json!({ "cmd": "room.explode" })).await.unwrap().unwrap_err();
    assert_eq!(wrong.code, "bad_request");
    let wrong = ada.ask_raw(json!({ "cmd": "room.show", "room": "room:no" })).await.unwrap().unwrap_err();
    assert_eq!(wrong.code, "bad_request");
    ada.request(Command::RoomList {}).await.unwrap();
}

#[tokio::test]
async fn a_one_shot_command_is_served_by_the_running_node() {
    let mut ada = loopback("Ada").await;
    let room = ada.create_room("Shared", false).await.unwrap();
    let run = |args: &[&str]| {
        let output = std::process::Command::new(program("conclave-node").unwrap())
            .arg("--data")
            .arg(ada.data())
            .args(["--insecure-store"])
            .args(args)
            .output()
            .unwrap();
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stdout).into_owned(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    let (code, out, err) = run(&["chat", "send", "Shared", "from the side"]);
    assert_eq!(code, Some(0), "{out}{err}");
    let (code, out, err) = run(&["chat", "read", &room.to_string()]);
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(out.contains("from the side") && out.contains("Ada"), "{out}");
    let (code, out, _) = run(&["room", "list"]);
    assert!(code == Some(0) && out.contains("Shared"), "{out}");
    let (code, _, err) = run(&["chat", "read", "no such room"]);
    assert_eq!(code, Some(1), "{err}");
    assert!(!err.is_empty(), "an error says what is wrong");
    ada.wait_message(room, "from the side").await.unwrap();
}

#[tokio::test]
async fn one_shot_commands_work_without_a_running_node() {
    let data = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| {
        let mut command = std::process::Command::new(program("conclave-node").unwrap());
        command.arg("--data").arg(data.path().join("data")).args(["--insecure-store"]).args(args);
        let output = command.output().unwrap();
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stdout).into_owned(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    let (code, _, err) = run(&["id"]);
    assert_eq!(code, Some(4), "there is no identity yet: {err}");
    assert_eq!(run(&["init", "--name", "Ada"]).0, Some(0));
    assert_eq!(run(&["init", "--name", "Eve"]).0, Some(4), "an identity is not overwritten");
    assert!(run(&["id"]).1.contains("Ada"));
    assert_eq!(run(&["room", "create", "Alone"]).0, Some(0));
    assert_eq!(run(&["chat", "send", "Alone", "to myself"]).0, Some(0));
    let (code, out, _) = run(&["chat", "search", "MYSELF"]);
    assert!(code == Some(0) && out.contains("to myself"), "{out}");
    assert_eq!(run(&["room", "explode"]).0, Some(2));
}
