//! LANs made of network namespaces: one for each host, joined by a bridge in one more. Needs root.

use std::collections::BTreeMap;
use std::io::BufRead;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};

use crate::process::{Owned, program, run};

/// A LAN of hosts `10.77.0.1`, `10.77.0.2`, … without a way out. Removed when dropped.
#[derive(Debug)]
pub struct Lan {
    prefix: String,
    hosts: usize,
    /// The slow cables, by host.
    wires: Mutex<BTreeMap<usize, Owned>>,
}

impl Lan {
    /// Whether this process may make network namespaces.
    pub fn is_possible() -> bool {
        let name = format!("cv{}probe", std::process::id());
        let made = run("ip", &["netns", "add", &name]).is_ok();
        if made {
            let _ = run("ip", &["netns", "del", &name]);
        }
        made
    }

    /// Makes a LAN with this many hosts, 1 to 100.
    pub fn new(hosts: usize) -> Result<Self> {
        anyhow::ensure!((1..=100).contains(&hosts), "1 to 100 hosts");
        // Two LANs of one process (tests in parallel) have names of their own.
        static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let lan = Self { prefix: format!("cv{}x{number}", std::process::id()), hosts, wires: Mutex::default() };
        lan.build().context("making a LAN of network namespaces (needs root)")?;
        Ok(lan)
    }

    fn build(&self) -> Result<()> {
        let switch = self.switch();
        run("ip", &["netns", "add", &switch])?;
        run("ip", &["-n", &switch, "link", "add", "br0", "type", "bridge"])?;
        // A bridge that learns multicast listeners would hold back the first queries of a new neighbour.
        run("ip", &["-n", &switch, "link", "set", "br0", "type", "bridge", "mcast_snooping", "0"])?;
        run("ip", &["-n", &switch, "link", "set", "br0", "up"])?;
        for host in 1..=self.hosts {
            let (space, port) = (self.host(host), format!("p{host}"));
            run("ip", &["netns", "add", &space])?;
            run("ip", &["-n", &switch, "link", "add", &port, "type", "veth", "peer", "name", "eth0", "netns", &space])?;
            run("ip", &["-n", &switch, "link", "set", &port, "master", "br0", "up"])?;
            run("ip", &["-n", &space, "addr", "add", &format!("{}/24", self.address(host)), "dev", "eth0"])?;
            run("ip", &["-n", &space, "link", "set", "lo", "up"])?;
            run("ip", &["-n", &space, "link", "set", "eth0", "up"])?;
            run("ip", &["-n", &space, "route", "add", "224.0.0.0/4", "dev", "eth0"])?;
        }
        Ok(())
    }

    fn switch(&self) -> String {
        format!("{}s", self.prefix)
    }

    /// The namespace of a host, from 1.
    pub fn host(&self, host: usize) -> String {
        format!("{}h{host}", self.prefix)
    }

    /// The address of a host, from 1.
    pub fn address(&self, host: usize) -> String {
        format!("10.77.0.{host}")
    }

    /// From here on this share of the packets that reach the host is lost, at random; 0 ends it.
    pub fn set_loss(&self, host: usize, percent: u32) -> Result<()> {
        let space = self.host(host);
        let _ = run("ip", &["netns", "exec", &space, "nft", "delete", "table", "inet", "loss"]);
        if percent > 0 {
            // Only UDP: it carries the media and QUIC; TCP would only be slowed by it.
            let rules = format!(
                "table inet loss {{\n chain input {{\n  type filter hook input priority 0;\n  iifname eth0 ip protocol udp numgen random mod 100 < {percent} drop\n }}\n}}\n"
            );
            let file = tempfile::NamedTempFile::new()?;
            std::fs::write(file.path(), rules)?;
            run("ip", &["netns", "exec", &space, "nft", "-f", &file.path().to_string_lossy()])?;
        }
        Ok(())
    }

    /// What a host sends passes a link of this rate with a buffer of 200 ms from here on, as an uplink at home has it; `None` ends it.
    pub fn set_uplink(&self, host: usize, kbit: Option<u32>) -> Result<()> {
        let space = self.host(host);
        match kbit {
            Some(kbit) => self.set_link(host, &["tbf", "rate", &format!("{kbit}kbit"), "burst", "4kb", "latency", "200ms"]),
            None => {
                let _ = run("tc", &["-n", &space, "qdisc", "del", "dev", "eth0", "root"]);
                Ok(())
            }
        }
    }

    /// What a host sends passes this queueing discipline of `tc` from here on, for instance `tbf rate 100mbit burst 64kb latency 50ms`.
    pub fn set_link(&self, host: usize, discipline: &[&str]) -> Result<()> {
        let space = self.host(host);
        let _ = run("tc", &["-n", &space, "qdisc", "del", "dev", "eth0", "root"]);
        run("tc", &[&["-n", &space, "qdisc", "add", "dev", "eth0", "root"], discipline].concat()).map(drop)
    }

    /// From here on what a host sends and what it gets is held for so long each way, and up to `jitter_ms` longer. It stays so.
    pub fn set_delay(&self, host: usize, delay_ms: u32, jitter_ms: u32) -> Result<()> {
        let mut wires = self.wires.lock().unwrap_or_else(PoisonError::into_inner);
        let (switch, near, far) = (self.switch(), format!("n{host}"), format!("f{host}"));
        if wires.remove(&host).is_none() {
            // Host – port – a bridge of its own – near – the program – far – the bridge of all.
            let own = format!("w{host}");
            run("ip", &["-n", &switch, "link", "add", &own, "type", "bridge"])?;
            run("ip", &["-n", &switch, "link", "set", &own, "type", "bridge", "mcast_snooping", "0"])?;
            run("ip", &["-n", &switch, "link", "set", &own, "up"])?;
            for (interface, bridge) in [(&near, own.as_str()), (&far, "br0")] {
                run("ip", &["-n", &switch, "tuntap", "add", interface, "mode", "tap"])?;
                run("ip", &["-n", &switch, "link", "set", interface, "master", bridge, "up"])?;
            }
            run("ip", &["-n", &switch, "link", "set", &format!("p{host}"), "master", &own])?;
        }
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &switch]).arg(program("conclave-wire")?);
        command.args([&near, &far, &delay_ms.to_string(), &jitter_ms.to_string()]);
        let mut wire = Owned::spawn(command.stdin(Stdio::null()).stdout(Stdio::piped()))?;
        let mut line = String::new();
        std::io::BufReader::new(wire.child().stdout.take().context("no output")?).read_line(&mut line)?;
        anyhow::ensure!(line.trim() == "ready", "the slow cable of host {host} does not begin");
        wires.insert(host, wire);
        Ok(())
    }

    /// Pulls the cable of a host, or puts it back.
    pub fn set_cable(&self, host: usize, plugged: bool) -> Result<()> {
        let state = if plugged { "up" } else { "down" };
        run("ip", &["-n", &self.switch(), "link", "set", &format!("p{host}"), state])?;
        Ok(())
    }

    /// Gives a host another address in place of the one it has.
    pub fn change_address(&self, host: usize, address: &str) -> Result<()> {
        let space = self.host(host);
        run("ip", &["-n", &space, "addr", "flush", "dev", "eth0"])?;
        run("ip", &["-n", &space, "addr", "add", &format!("{address}/24"), "dev", "eth0"])?;
        run("ip", &["-n", &space, "route", "add", "224.0.0.0/4", "dev", "eth0"])?;
        Ok(())
    }

    /// A command that will run on a host.
    pub fn command(&self, host: usize, program: &std::path::Path) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.host(host)]).arg(program);
        command
    }
}

impl Drop for Lan {
    fn drop(&mut self) {
        self.wires.lock().unwrap_or_else(PoisonError::into_inner).clear();
        for host in 1..=self.hosts {
            let _ = run("ip", &["netns", "del", &self.host(host)]);
        }
        let _ = run("ip", &["netns", "del", &self.switch()]);
    }
}
