//! A small internet made of network namespaces: a bootstrap node in the open, and homes behind NATs of their own, all with the same inner
//! addresses. Needs root.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::peer::PeerOptions;
use crate::process::{program, run};

/// Where the node is. Everybody's address, as far as any of these hosts can tell.
pub const NODE: &str = "5.5.5.1";

/// How a home's NAT maps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nat {
    /// One outer port for an inner one, whoever is spoken to: holes can be punched.
    Plain,
    /// Another outer port for each destination: they cannot.
    Symmetric,
}

/// See the module. Removed when dropped.
#[derive(Debug)]
pub struct Internet {
    prefix: String,
    homes: usize,
}

impl Internet {
    /// The node's host, and one home for each NAT.
    pub fn new(homes: &[Nat]) -> Result<Self> {
        static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let internet = Self { prefix: format!("ci{}x{number}", std::process::id()), homes: homes.len() };
        internet.build(homes).context("making an internet of network namespaces (needs root)")?;
        Ok(internet)
    }

    fn build(&self, homes: &[Nat]) -> Result<()> {
        let switch = self.space("s");
        for space in [&switch, &self.space("n")] {
            run("ip", &["netns", "add", space])?;
            run("ip", &["-n", space, "link", "set", "lo", "up"])?;
        }
        run("ip", &["-n", &switch, "link", "add", "br0", "type", "bridge"])?;
        run("ip", &["-n", &switch, "link", "set", "br0", "up"])?;
        self.outside(&self.space("n"), "p0", NODE)?;
        for (home, nat) in (1..).zip(homes) {
            let (router, host) = (self.space(&format!("r{home}")), self.host(home));
            for space in [&router, &host] {
                run("ip", &["netns", "add", space])?;
                run("ip", &["-n", space, "link", "set", "lo", "up"])?;
            }
            self.outside(&router, &format!("p{home}"), &format!("5.5.5.{}", 10 + home))?;
            run("ip", &["-n", &router, "link", "add", "lan", "type", "veth", "peer", "name", "eth0", "netns", &host])?;
            for (space, address, link) in [(&router, "192.168.1.1/24", "lan"), (&host, "192.168.1.2/24", "eth0")] {
                run("ip", &["-n", space, "addr", "add", address, "dev", link])?;
                run("ip", &["-n", space, "link", "set", link, "up"])?;
            }
            run("ip", &["-n", &host, "route", "add", "default", "via", "192.168.1.1"])?;
            run("ip", &["netns", "exec", &router, "sysctl", "-qw", "net.ipv4.ip_forward=1"])?;
            let masquerade = if *nat == Nat::Symmetric { "masquerade fully-random" } else { "masquerade" };
            // What nobody inside asked for is dropped unheard: an answer to it would close the hole that is being punched.
            let rules = format!(
                "table inet nat {{\n chain post {{\n  type nat hook postrouting priority 100;\n  oifname wan {masquerade}\n }}\n \
                 chain input {{\n  type filter hook input priority 0;\n  iifname wan ct state established,related accept\n  iifname wan drop\n }}\n \
                 chain forward {{\n  type filter hook forward priority 0;\n  iifname wan ct state established,related accept\n  iifname wan drop\n }}\n}}\n"
            );
            let mut file = tempfile::NamedTempFile::new()?;
            file.write_all(rules.as_bytes())?;
            run("ip", &["netns", "exec", &router, "nft", "-f", &file.path().to_string_lossy()])?;
        }
        Ok(())
    }

    fn outside(&self, space: &str, port: &str, address: &str) -> Result<()> {
        let switch = self.space("s");
        run("ip", &["-n", &switch, "link", "add", port, "type", "veth", "peer", "name", "wan", "netns", space])?;
        run("ip", &["-n", &switch, "link", "set", port, "master", "br0", "up"])?;
        run("ip", &["-n", space, "addr", "add", &format!("{address}/24"), "dev", "wan"])?;
        run("ip", &["-n", space, "link", "set", "wan", "up"])?;
        Ok(())
    }

    fn space(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// The namespace of the host in a home, from 1.
    pub fn host(&self, home: usize) -> String {
        self.space(&format!("h{home}"))
    }

    /// A peer in a home.
    pub fn peer(&self, home: usize, name: &str) -> PeerOptions {
        let wrapper = ["ip", "netns", "exec", &self.host(home)].map(str::to_owned).into();
        PeerOptions { wrapper, ..PeerOptions::named(name) }
    }

    /// Pulls the cable between a home and the rest of the internet, or puts it back.
    pub fn set_cable(&self, home: usize, plugged: bool) -> Result<()> {
        run("ip", &["-n", &self.space("s"), "link", "set", &format!("p{home}"), if plugged { "up" } else { "down" }])?;
        Ok(())
    }

    /// A provider gives a home another address: the host sees nothing of it, but every mapping of its NAT is gone.
    pub fn change_outer_address(&self, home: usize, address: &str) -> Result<()> {
        let router = self.space(&format!("r{home}"));
        run("ip", &["-n", &router, "addr", "flush", "dev", "wan"])?;
        run("ip", &["-n", &router, "addr", "add", &format!("{address}/24"), "dev", "wan"])?;
        // Masquerading forgets what went by an address that its interface has no more when that goes down (nft's documentation of it).
        run("ip", &["-n", &router, "link", "set", "wan", "down"])?;
        run("ip", &["-n", &router, "link", "set", "wan", "up"])?;
        Ok(())
    }

    /// The host of a home gets another address, as one that goes from a cable to a wireless network does.
    pub fn change_inner_address(&self, home: usize, address: &str) -> Result<()> {
        let host = self.host(home);
        run("ip", &["-n", &host, "addr", "flush", "dev", "eth0"])?;
        run("ip", &["-n", &host, "addr", "add", &format!("{address}/24"), "dev", "eth0"])?;
        run("ip", &["-n", &host, "route", "add", "default", "via", "192.168.1.1"])?;
        Ok(())
    }

    /// Sets up and starts the team's node.
    pub fn node(&self) -> Result<BootstrapNode> {
        self.node_with(&[])
    }

    /// With these values of its config, as the environment has them (`CONCLAVE_BOOTSTRAP_TURN__…`).
    pub fn node_with(&self, values: &[(&str, &str)]) -> Result<BootstrapNode> {
        BootstrapNode::start(&self.space("n"), values)
    }
}

impl Drop for Internet {
    fn drop(&mut self) {
        let homes = (1..=self.homes).flat_map(|home| [format!("r{home}"), format!("h{home}")]);
        for name in homes.chain(["s".to_owned(), "n".to_owned()]) {
            let _ = run("ip", &["netns", "del", &self.space(&name)]);
        }
    }
}

/// A running bootstrap node. Killed when dropped.
#[derive(Debug)]
pub struct BootstrapNode {
    dir: tempfile::TempDir,
    space: String,
    /// Of its config, over the file.
    values: Vec<(String, String)>,
    child: Child,
}

impl BootstrapNode {
    fn start(space: &str, values: &[(&str, &str)]) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let init = ["init", "--team", "Field office", "--url", &format!("https://{NODE}:7480"), "--external", NODE];
        anyhow::ensure!(command(space, dir.path())?.args(init).stdout(Stdio::null()).status()?.success(), "init failed");
        let values: Vec<(String, String)> =
            values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let child = Self::run(space, dir.path(), &values)?;
        Ok(Self { dir, space: space.to_owned(), values, child })
    }

    fn run(space: &str, dir: &Path, values: &[(String, String)]) -> Result<Child> {
        let log = std::fs::File::options().create(true).append(true).open(dir.join("log"))?;
        let mut run = command(space, dir)?;
        run.arg("run").envs(values.iter().map(|(name, value)| (name, value)));
        let mut child = run.stdout(Stdio::piped()).stderr(log).spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("no output")?).read_line(&mut line)?;
        let ready: Value = serde_json::from_str(&line).with_context(|| format!("not ready: {line}"))?;
        anyhow::ensure!(ready["event"] == "ready", "{line}");
        Ok(child)
    }

    /// After it was killed.
    pub fn start_again(&mut self) -> Result<()> {
        self.child = Self::run(&self.space, self.dir.path(), &self.values)?;
        Ok(())
    }

    /// A link by which one person joins the team.
    pub fn invite(&self) -> Result<String> {
        let output = command(&self.space, self.dir.path())?.arg("invite").output()?;
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }

    /// Without a farewell.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for BootstrapNode {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

fn command(space: &str, dir: &Path) -> Result<Command> {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", space]).arg(program("conclave-bootstrap")?).current_dir(dir);
    Ok(command)
}
