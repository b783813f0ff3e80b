//! The headless command as a script meets it: the real program, on a data directory of its own and on this machine alone.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(60);

fn program(data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_conclave-node"));
    command.arg("--data").arg(data).env_remove("CONCLAVE_DATA").env_remove("CONCLAVE_PASSPHRASE_FILE").stdin(Stdio::null());
    command
}

struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

fn once(data: &Path, arguments: &[&str]) -> Said {
    let output = program(data).arg("--insecure-store").args(arguments).output().unwrap();
    Said {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// A `run --json` on loopback.
struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: mpsc::Receiver<Value>,
    next_id: u64,
}

impl Running {
    fn start(data: &Path, more: &[&str]) -> Self {
        let mut command = program(data);
        command.args(["--insecure-store", "run", "--json", "--name", "Ada", "--no-mdns", "--listen", "127.0.0.1:0"]).args(more);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in stdout.lines() {
                let line = line.unwrap();
                if sender.send(serde_json::from_str(&line).unwrap_or_else(|_| panic!("not JSON: {line}"))).is_err() {
                    return;
                }
            }
        });
        let stdin = child.stdin.take();
        let mut running = Self { child, stdin, lines, next_id: 1 };
        running.until(|line| line["event"] == "ready");
        running
    }

    fn write(&mut self, line: &[u8]) {
        let stdin = self.stdin.as_mut().unwrap();
        stdin.write_all(line).unwrap();
        stdin.write_all(b"\n").unwrap();
        stdin.flush().unwrap();
    }

    fn until(&mut self, found: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let line = self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())).expect("nothing came");
            if found(&line) {
                return line;
            }
        }
    }

    fn ask(&mut self, mut line: Value) -> Value {
        let id = self.next_id;
        self.next_id += 1;
        line["v"] = json!(1);
        line["id"] = json!(id);
        self.write(line.to_string().as_bytes());
        self.until(|line| line["id"] == json!(id))
    }

    /// Waits for the end; gives the exit code and the last lines.
    fn ended(mut self) -> (Option<i32>, Vec<Value>) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return (status.code(), self.lines.iter().collect());
            }
            assert!(Instant::now() < deadline, "it does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn bad_lines_are_answered_and_the_end_of_input_ends_the_run() {
    let dir = tempfile::tempdir().unwrap();
    let mut node = Running::start(dir.path(), &[]);
    for _ in 0..200 {
        node.write(b"{\"v\":1,\"cmd\":\"dance\"}");
        assert_eq!(node.until(|line| line.get("error").is_some())["error"]["code"], "bad_request");
    }
    let long = vec![b'x'; 3 * 1024 * 1024];
    node.write(&long);
    assert_eq!(node.until(|line| line.get("error").is_some())["error"]["code"], "bad_request");
    node.write(&[0xff, 0xfe, 0x00]);
    assert_eq!(node.until(|line| line.get("error").is_some())["error"]["code"], "bad_request");
    node.write(br#"{"v":9,"id":"x","cmd":"state"}"#);
    assert_eq!(node.until(|line| line["id"] == "x")["error"]["code"], "bad_version");
    assert_eq!(node.ask(json!({"cmd": "state"}))["ok"]["state"]["profile"]["name"], "Ada");
    node.stdin = None;
    let (code, last) = node.ended();
    assert_eq!(code, Some(0));
    assert_eq!(last.last().unwrap()["event"], "stopped");
}

#[test]
fn a_command_before_the_end_of_input_is_still_answered() {
    let dir = tempfile::tempdir().unwrap();
    let mut node = Running::start(dir.path(), &[]);
    node.write(br#"{"v":1,"id":1,"cmd":"room.create","name":"Kitchen"}"#);
    node.stdin = None;
    assert_eq!(node.until(|line| line["id"] == 1)["ok"]["room"]["name"], "Kitchen");
    assert_eq!(node.ended().0, Some(0));
    assert!(once(dir.path(), &["room", "list"]).out.contains("Kitchen"));
}

#[test]
fn a_signal_and_a_time_limit_end_the_run_in_good_order() {
    let dir = tempfile::tempdir().unwrap();
    let node = Running::start(dir.path(), &[]);
    let pid = rustix::process::Pid::from_child(&node.child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let (code, last) = node.ended();
    assert_eq!((code, &last.last().unwrap()["event"]), (Some(0), &json!("stopped")));
    assert!(!dir.path().join("node.sock").exists());

    let node = Running::start(dir.path(), &["--for", "0.3"]);
    let (code, last) = node.ended();
    assert_eq!((code, &last.last().unwrap()["event"]), (Some(0), &json!("stopped")));
}

#[test]
fn what_was_answered_is_there_after_kill_nine() {
    let dir = tempfile::tempdir().unwrap();
    let mut answered = BTreeSet::new();
    let mut room = Value::Null;
    for life in 0..4 {
        let mut node = Running::start(dir.path(), &[]);
        if room.is_null() {
            room = node.ask(json!({"cmd": "room.create", "name": "Kitchen"}))["ok"]["room"]["room"].clone();
        }
        let room = room.clone();
        let messages = node.ask(json!({"cmd": "chat.read", "room": room, "limit": 1000}))["ok"]["messages"].clone();
        let there: BTreeSet<String> =
            messages.as_array().unwrap().iter().map(|message| message["body"].as_str().unwrap().to_owned()).collect();
        assert!(there.is_superset(&answered), "life {life}: lost {:?}", answered.difference(&there).collect::<Vec<_>>());
        // Killed while it writes: lines are under way when it dies.
        for number in 0..25 {
            let body = format!("{life}-{number}");
            let line = json!({"v": 1, "id": body, "cmd": "chat.send", "room": room, "body": body});
            node.write(line.to_string().as_bytes());
        }
        let mut left = 5 + life * 5;
        while left > 0 {
            let line = node.until(|line| line["id"].is_string());
            assert!(line.get("ok").is_some(), "{line}");
            answered.insert(line["id"].as_str().unwrap().to_owned());
            left -= 1;
        }
        node.child.kill().unwrap();
        node.child.wait().unwrap();
        while let Ok(line) = node.lines.recv_timeout(PATIENCE) {
            if line.get("ok").is_some() && line["id"].is_string() {
                answered.insert(line["id"].as_str().unwrap().to_owned());
            }
        }
    }
    let said = once(dir.path(), &["chat", "read", "Kitchen", "--limit", "1000", "--json"]);
    let answer: Value = serde_json::from_str(&said.out).unwrap();
    let there: BTreeSet<String> =
        answer["ok"]["messages"].as_array().unwrap().iter().map(|message| message["body"].as_str().unwrap().to_owned()).collect();
    assert!(there.is_superset(&answered) && answered.len() >= 50, "{} answered, {} there", answered.len(), there.len());
}

#[test]
fn the_socket_is_the_persons_alone_bounded_and_indifferent_to_idle_clients() {
    let dir = tempfile::tempdir().unwrap();
    let mut node = Running::start(dir.path(), &[]);
    let path = dir.path().join("node.sock");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

    // One that never ends its line, one that asks without end and never reads, the rest idle.
    let mut clients: Vec<UnixStream> = (0..16).map(|_| UnixStream::connect(&path).unwrap()).collect();
    clients[0].write_all(b"{\"v\":1,").unwrap();
    clients[1].set_nonblocking(true).unwrap();
    for _ in 0..20_000 {
        if clients[1].write(b"{\"v\":1,\"id\":1,\"cmd\":\"state\"}\n").is_err() {
            break;
        }
    }
    // A seventeenth is told so, once the sixteen were taken in.
    let deadline = Instant::now() + PATIENCE;
    loop {
        let extra = UnixStream::connect(&path).unwrap();
        extra.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        let mut line = String::new();
        if BufReader::new(extra).read_line(&mut line).is_ok() && line.contains("\"busy\"") {
            break;
        }
        assert!(Instant::now() < deadline, "{line}");
    }
    assert!(node.ask(json!({"cmd": "room.list"})).get("ok").is_some());
    drop(clients);
    let deadline = Instant::now() + PATIENCE;
    while once(dir.path(), &["id"]).code != Some(0) {
        assert!(Instant::now() < deadline);
    }
}

#[test]
fn one_shot_commands_are_served_by_the_node_that_runs() {
    let dir = tempfile::tempdir().unwrap();
    let mut node = Running::start(dir.path(), &[]);
    assert_eq!(once(dir.path(), &["room", "create", "Kitchen"]).code, Some(0));
    let event = node.until(|line| line["event"] == "room.changed");
    assert_eq!(event["room"]["name"], "Kitchen");
    let room = event["room"]["room"].as_str().unwrap().to_owned();
    // By name, by id, by the beginning of the id.
    for (number, typed) in ["Kitchen", &room, &room[..14], &room[5..14]].into_iter().enumerate() {
        let said = once(dir.path(), &["chat", "send", typed, "hello", &number.to_string()]);
        assert_eq!(said.code, Some(0), "{typed}: {}", said.err);
    }
    let said = once(dir.path(), &["chat", "read", "Kitchen"]);
    assert!((0..4).all(|number| said.out.contains(&format!("hello {number}"))), "{}", said.out);
    let said = once(dir.path(), &["room", "invite", "Kitchen", "--qr"]);
    assert!(said.out.contains("conclave://join/1#") && said.out.contains('█'), "{}{}", said.out, said.err);
    // The node itself is a second process for whoever opens the store directly.
    assert!(conclave_node::store::Store::peek(dir.path()).is_err());
}

#[test]
fn exit_codes_say_what_kind_of_failure_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    assert_eq!(once(&data, &["dance"]).code, Some(2));
    assert_eq!(once(&data, &["--help"]).code, Some(0));
    let said = once(&data, &["id"]);
    assert_eq!(said.code, Some(4), "{}", said.err);
    assert!(said.err.contains("no identity"));
    assert!(!data.exists(), "asking made something");
    assert_eq!(once(&data, &["init", "--name", "Ada"]).code, Some(0));
    assert_eq!(once(&data, &["init", "--name", "Eve"]).code, Some(4));
    assert!(once(&data, &["id"]).out.contains("Ada"));
    assert_eq!(once(&data, &["room", "show", "nowhere"]).code, Some(1));
    assert_eq!(once(&data, &["room", "join", "https://example.org"]).code, Some(2));
    let said = once(&data, &["run", "--no-mdns", "--listen", "127.0.0.1:0", "--join", "nonsense"]);
    assert_eq!(said.code, Some(2), "{}", said.err);
    let said = once(&data, &["--json", "room", "show", "nowhere"]);
    let answer: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!((said.code, &answer["error"]["code"]), (Some(1), &json!("unknown_room")));
    // Another protection than the store's own, and none at all.
    let passphrase = dir.path().join("passphrase");
    std::fs::write(&passphrase, "open sesame\n").unwrap();
    let output = program(&data).arg("--passphrase-file").arg(&passphrase).arg("id").output().unwrap();
    assert_eq!(output.status.code(), Some(4));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--insecure-store"));
}

#[test]
fn a_passphrase_opens_what_it_made_and_a_wrong_one_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let passphrase = dir.path().join("passphrase");
    let run = |arguments: &[&str]| {
        let output = program(&data).arg("--passphrase-file").arg(&passphrase).args(arguments).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr))
    };
    std::fs::write(&passphrase, "open sesame\n").unwrap();
    assert_eq!(run(&["init", "--name", "Ada"]).0, Some(0));
    std::fs::write(&passphrase, "open sesame").unwrap();
    assert!(run(&["id"]).1.contains("protected by a passphrase"));
    std::fs::write(&passphrase, "close sesame\n").unwrap();
    assert_eq!(run(&["passphrase", "--set", passphrase.to_str().unwrap()]).0, Some(4), "it does not open the store");
    let other = dir.path().join("other");
    std::fs::write(&other, "another\n").unwrap();
    std::fs::write(&passphrase, "open sesame\n").unwrap();
    let (code, text) = run(&["passphrase", "--set", other.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("passphrase") && !text.contains("another"), "{text}");
    assert_eq!(run(&["passphrase"]).0, Some(2));
    assert_eq!(run(&["id"]).0, Some(4));
    std::fs::rename(&other, &passphrase).unwrap();
    assert_eq!(run(&["id"]).0, Some(0));
    std::fs::write(&passphrase, "close sesame\n").unwrap();
    let (code, text) = run(&["id"]);
    assert_eq!(code, Some(4));
    assert!(text.contains("passphrase") && !text.contains("sesame"), "{text}");
}

#[test]
fn a_damaged_store_is_kept_aside_and_the_way_on_is_named() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(once(dir.path(), &["init", "--name", "Ada"]).code, Some(0));
    let store = dir.path().join("store.redb");
    let whole = std::fs::read(&store).unwrap();
    std::fs::write(&store, &whole[..whole.len() / 3]).unwrap();
    let said = once(dir.path(), &["id"]);
    assert_eq!(said.code, Some(4));
    assert!(said.err.contains("damaged-"), "{}", said.err);
    let kept =
        std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path()).find(|path| path.join("store.redb").exists());
    assert_eq!(std::fs::read(kept.unwrap().join("store.redb")).unwrap(), &whole[..whole.len() / 3]);
    // The next command does not make an identity behind the person's back.
    let said = once(dir.path(), &["room", "list"]);
    assert_eq!(said.code, Some(4));
    assert!(said.err.contains("kept aside"), "{}", said.err);
}

#[test]
fn without_keyring_and_passphrase_the_choice_is_the_persons() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let output = program(&data)
        .args(["init", "--name", "Ada"])
        .env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent/bus")
        .env_remove("XDG_RUNTIME_DIR")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(4), "{text}");
    assert!(text.contains("--passphrase-file") && text.contains("--insecure-store"), "{text}");
    assert!(!data.join("store.redb").exists() && !data.join("insecure.key").exists());
}
