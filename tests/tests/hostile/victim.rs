//! The process under attack: a network of its own that greets on every stream and gives every frame back.

use std::io::{BufRead, Write};
use std::process::Stdio;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use conclave_node::net::{Net, NetConfig, NetEvent, StreamName, address};
use conclave_protocol::id::DeviceId;
use conclave_tests::lan::Lan;
use conclave_tests::process::rss_kib;
use libp2p::Multiaddr;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::mpsc;

/// Frames of every stream of the victim, in bytes.
pub(crate) const LIMIT: usize = 64 * 1024;
/// What the victim sends on a stream that it accepted.
pub(crate) const GREETING: &[u8] = b"at your service";
/// The victim's memory never passes this, whatever is done to it.
const CEILING_KIB: u64 = 96 * 1024;
/// An honest peer is served in this time, a busy machine included.
const SERVICE: Duration = Duration::from_secs(15);
const MARK: &str = "victim: ";
const VICTIM_SEED: u8 = 7;

/// The device of a seed.
pub(crate) fn device(seed: u8) -> DeviceId {
    let key = libp2p::identity::Keypair::ed25519_from_bytes([seed; 32]).unwrap();
    address::device_of(&key.public().to_peer_id()).unwrap()
}

/// This test binary again, as the victim. By itself it does nothing.
#[test]
#[ignore = "the child process of the other tests"]
fn victim_process() {
    if std::env::var_os("CONCLAVE_VICTIM").is_some() {
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(serve());
    }
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "\n{MARK}{line}").unwrap();
    out.flush().unwrap();
}

/// How the child process is started: its seed, and whether it is alone on loopback or looks for neighbours everywhere.
fn environment(seed: u8, neighbours: bool) -> (&'static str, String) {
    ("CONCLAVE_VICTIM", format!("{seed} {neighbours}"))
}

async fn serve() {
    let started = std::env::var("CONCLAVE_VICTIM").unwrap();
    let (seed, neighbours) = started.split_once(' ').unwrap();
    let mdns = neighbours == "true";
    let config = NetConfig { listen: if mdns { Vec::new() } else { vec!["127.0.0.1".into()] }, mdns };
    let (net, mut events) = Net::start(&[seed.parse().unwrap(); 32], &config).unwrap();
    let (lines, mut asked) = mpsc::channel::<String>(16);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            if !line.is_ok_and(|line| lines.blocking_send(line).is_ok()) {
                return;
            }
        }
    });
    loop {
        tokio::select! {
            line = asked.recv() => {
                let Some(line) = line else { return };
                let words: Vec<&str> = line.split(' ').collect();
                let (device, addresses) = (words[1].parse().unwrap(), words[2..].iter().map(|word| word.parse().unwrap()).collect());
                match words[0] {
                    "dial" => net.dial(Some(device), addresses).await.unwrap(),
                    "want" => net.want(device, addresses).await.unwrap(),
                    other => panic!("{other}"),
                }
            }
            event = events.recv() => match event.unwrap() {
                NetEvent::Listening(list) => say(&format!("listening {}", list.join(" "))),
                NetEvent::Connected { device, transport, address } => say(&format!("connected {device} {} {address}", transport.as_str())),
                NetEvent::Disconnected { device } => say(&format!("disconnected {device}")),
                NetEvent::Discovered { device, after_ms, .. } => say(&format!("discovered {device} {after_ms}")),
                NetEvent::DialFailed { outcome, .. } => say(&format!("dial-failed {outcome}")),
                NetEvent::Inbound { stream, .. } => {
                    tokio::spawn(async move {
                        let (mut reads, writes) = stream.split(LIMIT);
                        let _ = writes.send(GREETING);
                        while let Ok(frame) = reads.next().await {
                            if writes.feed(&frame).await.is_err() {
                                return;
                            }
                        }
                    });
                }
                _ => {}
            },
        }
    }
}

/// The victim, seen from outside. Killed when dropped.
pub(crate) struct Victim {
    child: Child,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    addresses: Vec<Multiaddr>,
}

impl Victim {
    pub(crate) async fn start() -> Self {
        let mut victim = Self::spawn(Command::new(std::env::current_exe().unwrap()), VICTIM_SEED, false);
        while victim.addresses.len() < 2 {
            let list = victim.said("listening").await;
            victim.addresses = list.split(' ').map(|address| address.parse().unwrap()).collect();
        }
        victim.assert_serves().await;
        victim
    }

    /// On a host of a LAN, looking for neighbours.
    pub(crate) fn on(lan: &Lan, host: usize, seed: u8) -> Self {
        Self::spawn(lan.command(host, &std::env::current_exe().unwrap()).into(), seed, true)
    }

    fn spawn(mut command: Command, seed: u8, neighbours: bool) -> Self {
        let (name, value) = environment(seed, neighbours);
        let mut child = command
            .args(["victim::victim_process", "--exact", "--ignored", "--nocapture", "--test-threads=1"])
            .env(name, value)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let stdin = child.stdin.take().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, stdin, lines, addresses: Vec::new() }
    }

    /// Over QUIC and over TCP.
    pub(crate) fn addresses(&self) -> Vec<Multiaddr> {
        self.addresses.clone()
    }

    pub(crate) fn tcp(&self) -> Multiaddr {
        self.addresses.iter().find(|address| address.to_string().contains("/tcp/")).unwrap().clone()
    }

    pub(crate) fn quic(&self) -> Multiaddr {
        self.addresses.iter().find(|address| address.to_string().contains("/quic-v1")).unwrap().clone()
    }

    pub(crate) fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    pub(crate) async fn tell(&mut self, line: &str) {
        self.stdin.write_all(format!("{line}\n").as_bytes()).await.unwrap();
        self.stdin.flush().await.unwrap();
    }

    /// The rest of the next line that begins with `word`.
    pub(crate) async fn said(&mut self, word: &str) -> String {
        let said = async {
            loop {
                let line = self.lines.next_line().await.unwrap().expect("the victim runs");
                let rest = line.strip_prefix(MARK).and_then(|line| line.strip_prefix(word)?.strip_prefix(' '));
                if let Some(rest) = rest {
                    return rest.to_owned();
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(30), said)
            .await
            .unwrap_or_else(|_| panic!("the victim says nothing of `{word}`"))
    }

    /// An honest peer, new each time, connects over each transport and has a large frame given back.
    pub(crate) async fn assert_serves(&mut self) {
        static NEXT: Mutex<u8> = Mutex::new(120);
        for address in self.addresses() {
            let seed = {
                let mut next = NEXT.lock().unwrap();
                *next = next.wrapping_add(1).max(120);
                *next
            };
            let honest = Honest::start(seed).await;
            let began = Instant::now();
            tokio::time::timeout(SERVICE, honest.is_served_at(&address))
                .await
                .unwrap_or_else(|_| panic!("no honest peer is served at {address} within {:?}", began.elapsed()));
        }
    }

    /// The three assertions.
    pub(crate) async fn assert_well(&mut self) {
        assert!(self.is_running(), "the process lives");
        self.assert_serves().await;
        let (now, peak) = rss_kib(self.child.id().unwrap()).unwrap();
        println!("memory of the victim: {now} KiB, at most {peak} KiB");
        assert!(peak < CEILING_KIB, "its memory reached {peak} KiB");
    }
}

/// A network that follows the rules.
pub(crate) struct Honest {
    net: Net,
    events: tokio::sync::Mutex<mpsc::Receiver<NetEvent>>,
    pub(crate) addresses: Vec<Multiaddr>,
}

impl Honest {
    pub(crate) async fn start(seed: u8) -> Self {
        let config = NetConfig { listen: vec!["127.0.0.1".into()], mdns: false };
        let (net, mut events) = Net::start(&[seed; 32], &config).unwrap();
        let mut addresses = Vec::new();
        while addresses.len() < 2 {
            if let Some(NetEvent::Listening(list)) = events.recv().await {
                addresses = list.iter().map(|address| address.parse().unwrap()).collect();
            }
        }
        Self { net, events: tokio::sync::Mutex::new(events), addresses }
    }

    async fn is_served_at(&self, address: &Multiaddr) {
        let victim = device(VICTIM_SEED);
        self.net.want(victim, vec![address.clone()]).await.unwrap();
        while !matches!(self.events.lock().await.recv().await.unwrap(), NetEvent::Connected { .. }) {}
        let (mut reads, writes) = self.net.open_stream(victim, StreamName::Room).await.unwrap().split(LIMIT);
        assert_eq!(reads.next().await.unwrap(), GREETING);
        let frame = vec![5; LIMIT];
        writes.send(&frame).unwrap();
        assert_eq!(reads.next().await.unwrap(), frame);
        self.net.shutdown().await;
    }

    /// Looks for a device at an address where it is not; gives what became of it.
    pub(crate) async fn dial_expecting(&self, device: DeviceId, address: &Multiaddr) -> String {
        self.net.dial(Some(device), vec![address.clone()]).await.unwrap();
        loop {
            match self.events.lock().await.recv().await.unwrap() {
                NetEvent::DialFailed { outcome, .. } => return outcome,
                // The victim's own attempts reach this device too; only the one looked for counts.
                NetEvent::Connected { device: connected, .. } if connected == device => return "connected".into(),
                _ => {}
            }
        }
    }

    /// Nobody opened a stream to it.
    pub(crate) async fn is_alone(&self) -> bool {
        let mut events = self.events.lock().await;
        while let Ok(event) = events.try_recv() {
            if matches!(event, NetEvent::Inbound { .. }) {
                return false;
            }
        }
        true
    }
}
