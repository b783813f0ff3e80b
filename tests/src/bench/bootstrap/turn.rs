//! Our TURN beside coturn: the same client, the same messages, one after the other; CPU of the server for each message that arrived.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::lan::Lan;
use crate::process::{Owned, cpu_time, program, run};

const OURS: u16 = 3478;
const THEIRS: u16 = 3479;
const SECRET: &str = "shared by both";
/// Clients, messages of each, bytes of a message, and milliseconds between two of one client: about voice, many times over.
const LOAD: [&str; 8] = ["-m", "20", "-n", "1500", "-l", "170", "-z", "4"];

/// The version of Debian's package.
pub(super) fn version() -> String {
    run("dpkg-query", &["-W", "-f", "${Version}", "coturn"]).unwrap_or_else(|_| "(not installed)".into())
}

/// Both servers on one host of a LAN, clients on another.
pub(super) struct Servers {
    lan: Lan,
    ours: Owned,
    theirs: Owned,
    _dir: tempfile::TempDir,
}

impl Servers {
    pub(super) fn start() -> Result<Self> {
        let lan = Lan::new(2)?;
        let (dir, address) = (tempfile::tempdir()?, lan.address(1));
        let init = Command::new(program("conclave-bootstrap")?)
            .args(["init", "--team", "T", "--url", "http://127.0.0.1:7480"])
            .current_dir(dir.path())
            .output()?;
        anyhow::ensure!(init.status.success(), "init: {}", String::from_utf8_lossy(&init.stderr));
        let settings = [
            ("HTTP__LISTEN", "127.0.0.1:0".to_owned()),
            ("REACH__ENABLED", "false".to_owned()),
            ("TURN__ENABLED", "true".to_owned()),
            ("TURN__LISTEN", format!("{address}:{OURS}")),
            ("TURN__EXTERNAL", address.clone()),
            ("TURN__SECRET", format!("\"{SECRET}\"")),
            ("TURN__LAN", "[\"10.77.0.0/24\"]".to_owned()),
            ("TURN__ALLOCATIONS_PER_USER", "100".to_owned()),
            // What is measured is the work of relaying, not of holding back.
            ("TURN__BYTES_PER_SECOND", "1000000000".to_owned()),
            ("TURN__BYTES_PER_HOUR", "1000000000000".to_owned()),
        ];
        let mut command = lan.command(1, &program("conclave-bootstrap")?);
        command.arg("run").current_dir(dir.path()).stdout(Stdio::piped()).stderr(Stdio::null());
        command.envs(settings.into_iter().map(|(name, value)| (format!("CONCLAVE_BOOTSTRAP_{name}"), value)));
        let mut ours = Owned::spawn(&mut command)?;
        let mut line = String::new();
        BufReader::new(ours.child().stdout.take().context("no output")?).read_line(&mut line)?;
        anyhow::ensure!(line.contains("ready"), "not ready: {line}");
        let mut command = lan.command(1, Path::new("turnserver"));
        command.args(["-n", "--no-tls", "--no-dtls", "--no-cli", "--use-auth-secret", "-r", "conclave", "--log-file=stdout"]);
        command.arg(format!("--static-auth-secret={SECRET}")).args(["-L", &address, "-E", &address, "-p", &THEIRS.to_string()]);
        command.arg(format!("--pidfile={}", dir.path().join("turnserver.pid").display()));
        let theirs = Owned::spawn(command.stdout(Stdio::null()).stderr(Stdio::null())).context("coturn")?;
        let servers = Self { lan, ours, theirs, _dir: dir };
        for port in [OURS, THEIRS] {
            servers.wait_for(port)?;
        }
        Ok(servers)
    }

    fn wait_for(&self, port: u16) -> Result<()> {
        for _ in 0..100 {
            // It waits for ever for an answer to the one datagram that it sends.
            let mut command = self.lan.command(2, Path::new("timeout"));
            let asked = command.args(["1", "turnutils_stunclient", "-p", &port.to_string(), &self.lan.address(1)]).output()?;
            if String::from_utf8_lossy(&asked.stdout).contains("reflexive") {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        anyhow::bail!("nobody answers at port {port}")
    }

    /// Ours / theirs.
    pub(super) fn round(&mut self) -> Result<f64> {
        let ours = self.cpu_per_message(OURS, self.ours.id())?;
        let theirs = self.cpu_per_message(THEIRS, self.theirs.id())?;
        eprintln!("TURN: {:.1} µs a message here, {:.1} µs in coturn", ours * 1e6, theirs * 1e6);
        Ok(ours / theirs)
    }

    fn cpu_per_message(&self, port: u16, server: u32) -> Result<f64> {
        let before = cpu_time(server).context("the server is gone")?;
        let mut command = self.lan.command(2, Path::new("turnutils_uclient"));
        command.args(["-u", "bench", "-W", SECRET, "-y", "-c", "-p", &port.to_string()]).args(LOAD).arg(self.lan.address(1));
        let output = command.output().context("turnutils_uclient")?;
        let said = String::from_utf8_lossy(&output.stdout);
        let received = said
            .rsplit_once("tot_recv_msgs=")
            .and_then(|(_, rest)| rest.split(|letter: char| !letter.is_ascii_digit()).next()?.parse::<f64>().ok());
        let received =
            received.filter(|count| *count > 1_000.0).with_context(|| format!("too few messages came through: {said}"))?;
        let spent = cpu_time(server).context("the server is gone")?.saturating_sub(before);
        Ok(spent.as_secs_f64() / received)
    }
}
