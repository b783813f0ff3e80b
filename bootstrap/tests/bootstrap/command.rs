//! The command itself: what who runs a node types.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use conclave_bootstrap_api::TeamLink;

use crate::support::Team1;

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_conclave-bootstrap");

pub(crate) fn output(dir: &Path, arguments: &[&str]) -> Output {
    Command::new(PROGRAM).args(arguments).current_dir(dir).output().unwrap()
}

pub(crate) fn said(dir: &Path, arguments: &[&str]) -> String {
    let output = output(dir, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Runs a command against the data of a team that runs in this process.
pub(crate) fn run(team: &Team1, arguments: &[&str]) -> String {
    let config = team.dir.path().join("bootstrap.toml");
    let text = format!(
        "[team]\nname = \"Field office\"\nurl = \"{}\"\n[data]\ndir = \"{}\"\n[http]\ntls = \"off\"\n[turn]\nenabled = false\n",
        team.config.team.url,
        team.config.data.dir.display()
    );
    std::fs::write(&config, text).unwrap();
    said(team.dir.path(), arguments)
}

#[test]
fn a_team_is_set_up_run_backed_up_and_restored() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let text = said(at, &["init", "--team", "Ship \"Möwe\"", "--url", "https://127.0.0.1:7480"]);
    let link = text.lines().find_map(|line| TeamLink::parse(line).ok()).expect("an invite");
    assert!(link.pin.is_some() && link.invite.is_some());
    assert!(!output(at, &["init", "--team", "again"]).status.success(), "never over another one");
    let secret = std::fs::metadata(at.join("team-root.key")).unwrap();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&secret.permissions()) & 0o777, 0o600);
    TeamLink::parse(&said(at, &["invite", "--uses", "20", "--expires", "7d"])).unwrap();
    assert!(said(at, &["invite", "--revoke-all"]).starts_with("2 "));
    assert_eq!(said(at, &["user", "list"]), "");
    said(at, &["keys", "rotate"]);
    said(at, &["doctor"]);
    said(at, &["backup", "kept"]);
    std::fs::rename(at.join("bootstrap-data"), at.join("lost")).unwrap();
    assert!(!output(at, &["user", "list"]).status.success());
    said(at, &["restore", "kept"]);
    assert_eq!(TeamLink::parse(&said(at, &["invite"])).unwrap().root, link.root);
    assert!(!output(at, &["restore", "kept"]).status.success(), "never over data");

    let mut node = Command::new(PROGRAM)
        .args(["run", "--listen", "127.0.0.1:0"])
        .env("CONCLAVE_BOOTSTRAP_REACH__ENABLED", "false")
        .current_dir(at)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(node.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(serde_json::from_str::<serde_json::Value>(&line).unwrap()["event"], "ready");
    let pid = rustix::process::Pid::from_child(&node);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert!(node.wait().unwrap().success(), "a termination signal ends it in order");
}

#[test]
fn a_wrong_value_is_named_with_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    said(at, &["init", "--team", "T"]);
    let file = at.join("bootstrap.toml");
    let good = std::fs::read_to_string(&file).unwrap();
    for (from, to, key) in [
        ("max_connections = 1024", "max_connections = \"many\"", "http.max_connections"),
        ("listen = \"0.0.0.0:7480\"", "listen = \"everywhere\"", "http.listen"),
        ("tls = \"self-signed\"", "tls = \"off\"", "http.tls"),
        ("credential_seconds = 600", "credential_seconds = 86400", "turn.credential_seconds"),
        ("circuits = 500", "circuitz = 500", "circuitz"),
        ("database = \"\"", "database = \"mysql://x\"", "data.database"),
    ] {
        assert!(good.contains(from), "{from}");
        std::fs::write(&file, good.replace(from, to)).unwrap();
        let output = output(at, &["doctor"]);
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && error.contains(key) && error.contains("bootstrap.toml"), "{to}: {error}");
    }
    std::fs::write(&file, good).unwrap();
    let output =
        Command::new(PROGRAM).arg("doctor").env("CONCLAVE_BOOTSTRAP_HTTP__LISTEN", "nowhere").current_dir(at).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("HTTP.LISTEN") && error.contains("environment"), "{error}");
}
