//! A headless peer as a child process, spoken to in JSON lines as any script would.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use conclave_node::command::Command as NodeCommand;
use conclave_node::event::Event;
use conclave_node::view::{ErrorView, JoinView, MessageView, ProfileView, RoleView, RoomView};
use conclave_protocol::id::{DeviceId, RoomId};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::mpsc;

use crate::lan::Lan;
use crate::process::program;

/// How long anything may take before a scenario gives up. Not a figure: a bound on hanging.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Lines of a peer that wait to be read by the scenario.
const LINES: usize = 65_536;

/// How a peer is started.
#[derive(Debug, Clone, Default)]
pub struct PeerOptions {
    pub name: String,
    /// More arguments to `conclave-node run`.
    pub args: Vec<String>,
    pub env: Vec<(String, String)>,
    /// Program and arguments to run it by, for instance `ip netns exec NAME`.
    pub wrapper: Vec<String>,
    /// Another program in place of `conclave-node`.
    pub program: Option<PathBuf>,
}

impl PeerOptions {
    /// A peer of this name with no more than `run --json`.
    pub fn named(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// With these arguments.
    pub fn args<const N: usize>(mut self, args: [&str; N]) -> Self {
        self.args.extend(args.iter().map(|arg| (*arg).to_owned()));
        self
    }

    /// On a host of a LAN.
    pub fn on(mut self, lan: &Lan, host: usize) -> Self {
        self.wrapper = ["ip", "netns", "exec", &lan.host(host)].iter().map(|word| (*word).to_owned()).collect();
        self
    }

    /// With this environment.
    pub fn env(mut self, env: impl IntoIterator<Item = (String, String)>) -> Self {
        self.env.extend(env);
        self
    }
}

/// A running peer. Killed when dropped; its data directory goes with it.
#[derive(Debug)]
pub struct Peer {
    pub name: String,
    pub profile: ProfileView,
    options: PeerOptions,
    data: tempfile::TempDir,
    child: Child,
    stdin: Option<ChildStdin>,
    lines: mpsc::Receiver<Value>,
    next_id: u64,
    /// Every event so far with the time it was read at, and how many of them [`Peer::wait`] has passed.
    pub events: Vec<(Instant, Event)>,
    passed: usize,
    answers: Vec<Value>,
    /// How long anything may take; [`PATIENCE`] unless it is known to take longer.
    pub patience: Duration,
    pub started: Instant,
}

impl Peer {
    /// Starts a peer on a data directory of its own and waits until it serves.
    pub async fn start(options: PeerOptions) -> Result<Self> {
        let data = tempfile::Builder::new().prefix("cvpeer").tempdir()?;
        Self::start_on(options, data).await
    }

    async fn start_on(options: PeerOptions, data: tempfile::TempDir) -> Result<Self> {
        let program = match &options.program {
            Some(program) => program.clone(),
            None => program("conclave-node")?,
        };
        let mut words: Vec<std::ffi::OsString> = options.wrapper.iter().map(Into::into).collect();
        words.push(program.into());
        let mut words = words.into_iter();
        let mut command = Command::new(words.next().context("no program")?);
        command.args(words);
        command.args(["--data".as_ref(), data.path().as_os_str()]).args([
            "--insecure-store",
            "run",
            "--json",
            "--name",
            &options.name,
        ]);
        command.args(&options.args).envs(options.env.iter().cloned());
        let log = std::fs::OpenOptions::new().create(true).append(true).open(log_path(data.path(), &options.name))?;
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log).kill_on_drop(true);
        let started = Instant::now();
        let mut child = command.spawn()?;
        let stdin = child.stdin.take().context("no stdin")?;
        let stdout = child.stdout.take().context("no stdout")?;
        let (sender, lines) = mpsc::channel(LINES);
        tokio::spawn(async move {
            let mut reader = BufReader::new(stdout).lines();
            while let Ok(Some(line)) = reader.next_line().await {
                let value = serde_json::from_str(&line).unwrap_or_else(|_| json!({ "garbage": line }));
                if sender.send(value).await.is_err() {
                    break;
                }
            }
        });
        // Known from the first event; until then the profile is nobody's.
        let nobody = ProfileView {
            name: String::new(),
            device: DeviceId([0; 32]),
            account: conclave_protocol::id::AccountId([0; 32]),
            protection: String::new(),
        };
        let mut peer = Self {
            name: options.name.clone(),
            profile: nobody,
            options,
            data,
            child,
            stdin: Some(stdin),
            lines,
            next_id: 1,
            events: Vec::new(),
            passed: 0,
            answers: Vec::new(),
            patience: PATIENCE,
            started,
        };
        peer.profile = peer
            .wait("ready", |event| match event {
                Event::Ready { profile, .. } => Some(profile.clone()),
                _ => None,
            })
            .await?;
        Ok(peer)
    }

    /// Kills it with SIGKILL. [`Self::restart`] brings it back on the same data.
    pub async fn kill(&mut self) -> Result<()> {
        // The wrapper (`ip netns exec`) executes the program in its own place, so this is the node itself.
        self.child.start_kill()?;
        self.child.wait().await?;
        Ok(())
    }

    /// Ends it as a script would: by the end of standard input. Gives the exit code.
    pub async fn stop(&mut self) -> Result<Option<i32>> {
        self.stdin = None;
        let status = tokio::time::timeout(PATIENCE, self.child.wait()).await.context("the peer does not stop")??;
        Ok(status.code())
    }

    /// Starts it again on the same data directory, with other options if given.
    pub async fn restart(self, options: Option<PeerOptions>) -> Result<Self> {
        let Self { options: old, data, child, .. } = self;
        drop(child);
        Self::start_on(options.unwrap_or(old), data).await
    }

    /// The process id of the node.
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Its data directory.
    pub fn data(&self) -> &Path {
        self.data.path()
    }

    /// Its device.
    pub fn device(&self) -> DeviceId {
        self.profile.device
    }

    /// Where it listens, as it said last.
    pub fn listening(&self) -> Vec<String> {
        let said = self.events.iter().rev().find_map(|(_, event)| match event {
            Event::Listening { listening } => Some(listening),
            Event::Ready { listening, .. } if !listening.is_empty() => Some(listening),
            _ => None,
        });
        said.cloned().unwrap_or_default()
    }

    /// What it wrote to standard error.
    pub fn log(&self) -> String {
        std::fs::read_to_string(log_path(self.data.path(), &self.name)).unwrap_or_default()
    }

    async fn read_line(&mut self) -> Result<()> {
        let line = self.lines.recv().await;
        let Some(line) = line else { bail!("{} ended. It said: {}", self.name, self.log()) };
        if line.get("event").is_some() {
            let event =
                serde_json::from_value(line.clone()).with_context(|| format!("an event that is not in the schema: {line}"))?;
            self.events.push((Instant::now(), event));
        } else {
            self.answers.push(line);
        }
        Ok(())
    }

    /// Takes what lies ready, without waiting.
    pub fn drain(&mut self) -> Result<()> {
        while let Ok(line) = self.lines.try_recv() {
            if line.get("event").is_some() {
                self.events.push((Instant::now(), serde_json::from_value(line)?));
            } else {
                self.answers.push(line);
            }
        }
        Ok(())
    }

    /// Sends a raw line, as a careless script might.
    pub async fn send_raw(&mut self, line: &str) -> Result<()> {
        let stdin = self.stdin.as_mut().context("its standard input is closed")?;
        stdin.write_all(format!("{line}\n").as_bytes()).await?;
        Ok(())
    }

    /// Asks, and gives the answer's `ok` or its error.
    pub async fn ask(&mut self, command: NodeCommand) -> Result<std::result::Result<Value, ErrorView>> {
        self.ask_raw(serde_json::to_value(&command)?).await
    }

    /// Asks by a JSON object without version and id.
    pub async fn ask_raw(&mut self, mut line: Value) -> Result<std::result::Result<Value, ErrorView>> {
        let id = self.next_id;
        self.next_id += 1;
        if let Some(object) = line.as_object_mut() {
            object.insert("v".into(), json!(1));
            object.insert("id".into(), json!(id));
        }
        self.send_raw(&line.to_string()).await?;
        let answer = tokio::time::timeout(self.patience, async {
            loop {
                if let Some(at) = self.answers.iter().position(|answer| answer.get("id") == Some(&json!(id))) {
                    return Ok::<Value, anyhow::Error>(self.answers.remove(at));
                }
                self.read_line().await?;
            }
        })
        .await
        .with_context(|| format!("{} does not answer {line}", self.name))??;
        match answer.get("error") {
            Some(error) => Ok(Err(serde_json::from_value(error.clone())?)),
            None => Ok(Ok(answer.get("ok").cloned().unwrap_or_default())),
        }
    }

    /// Asks for what must succeed.
    pub async fn request(&mut self, command: NodeCommand) -> Result<Value> {
        let name = self.name.clone();
        match self.ask(command.clone()).await? {
            Ok(value) => Ok(value),
            Err(error) => bail!("{name} refused {command:?}: {} ({})", error.message, error.code),
        }
    }

    /// Waits for an event that was not passed yet and for which `find` gives something; passes it and all before it.
    pub async fn wait<T>(&mut self, what: &str, mut find: impl FnMut(&Event) -> Option<T>) -> Result<T> {
        let result = tokio::time::timeout(self.patience, async {
            loop {
                while let Some((_, event)) = self.events.get(self.passed) {
                    self.passed += 1;
                    if let Some(found) = find(event) {
                        return Ok(found);
                    }
                }
                self.read_line().await?;
            }
        })
        .await;
        match result {
            Ok(found) => found,
            Err(_) => {
                let last: Vec<String> = self
                    .events
                    .iter()
                    .rev()
                    .take(12)
                    .map(|(_, event)| format!("{event:?}").chars().take(1500).collect())
                    .collect();
                bail!(
                    "{} waited in vain for: {what}. Its last events, newest first:\n{}\nIts log:\n{}",
                    self.name,
                    last.join("\n"),
                    tail(&self.log())
                )
            }
        }
    }

    /// Waits until a room, as this peer sees it, satisfies `holds`.
    pub async fn wait_room(&mut self, room: RoomId, what: &str, holds: impl Fn(&RoomView) -> bool) -> Result<RoomView> {
        let known: RoomView = self.room(room).await?;
        if holds(&known) {
            return Ok(known);
        }
        self.wait(what, |event| match event {
            Event::RoomChanged { room: view } if view.room == room && holds(view) => Some(view.clone()),
            _ => None,
        })
        .await
    }

    /// Waits until a device is connected, or was: who is online is also heard of from others.
    pub async fn wait_met(&mut self, device: DeviceId) -> Result<()> {
        let met = |event: &Event| matches!(event, Event::PeerConnected { peer } if peer.device == device).then_some(());
        if self.events.iter().any(|(_, event)| met(event).is_some()) {
            return Ok(());
        }
        self.wait("a connection", met).await
    }

    /// A room as this peer sees it.
    pub async fn room(&mut self, room: RoomId) -> Result<RoomView> {
        let value = self.request(NodeCommand::RoomShow { room }).await?;
        Ok(serde_json::from_value(value.get("room").cloned().context("no room")?)?)
    }

    /// Makes a room.
    pub async fn create_room(&mut self, name: &str, approval: bool) -> Result<RoomId> {
        let value = self.request(NodeCommand::RoomCreate { name: name.into(), approval, full_history: true }).await?;
        let view: RoomView = serde_json::from_value(value.get("room").cloned().context("no room")?)?;
        Ok(view.room)
    }

    /// A link into a room.
    pub async fn invite(&mut self, room: RoomId, uses: u32) -> Result<String> {
        let command = NodeCommand::RoomInvite { room, role: RoleView::Member, uses, expires_s: 3600, approval: None };
        let value = self.request(command).await?;
        Ok(value.pointer("/invite/link").and_then(Value::as_str).context("no link")?.to_owned())
    }

    /// Joins by a link and waits until it is a member.
    pub async fn join(&mut self, link: &str, address: Option<String>) -> Result<RoomId> {
        self.request(NodeCommand::RoomJoin { link: link.into(), address }).await?;
        self.wait("a join that ends", |event| match event {
            Event::JoinProgress { join: JoinView::Joined { room } | JoinView::Heard { room, .. } } => Some(Ok(*room)),
            Event::JoinProgress { join: JoinView::Failed { error, .. } | JoinView::Unheard { error, .. } } => {
                Some(Err(anyhow::anyhow!("{}: {}", error.code, error.message)))
            }
            _ => None,
        })
        .await?
    }

    /// Says something.
    pub async fn say(&mut self, room: RoomId, body: &str) -> Result<MessageView> {
        let value = self.request(NodeCommand::ChatSend { room, body: body.into(), reply_to: None }).await?;
        Ok(serde_json::from_value(value.get("message").cloned().context("no message")?)?)
    }

    /// The whole chat, oldest first.
    pub async fn chat(&mut self, room: RoomId) -> Result<Vec<MessageView>> {
        let value = self.request(NodeCommand::ChatRead { room, limit: 10_000, before: None }).await?;
        Ok(serde_json::from_value(value.get("messages").cloned().context("no messages")?)?)
    }

    /// Waits until the chat holds a message with this body.
    pub async fn wait_message(&mut self, room: RoomId, body: &str) -> Result<MessageView> {
        if let Some(found) = self.chat(room).await?.into_iter().find(|message| message.body == body) {
            return Ok(found);
        }
        self.wait(&format!("the message {body:?}"), |event| match event {
            Event::ChatMessage { message, .. } if message.body == body => Some(message.clone()),
            _ => None,
        })
        .await
    }
}

/// Beside the data, and gone with it; or in the folder that `CONCLAVE_TEST_LOGS` names, to be read afterwards.
fn log_path(data: &Path, name: &str) -> PathBuf {
    match std::env::var_os("CONCLAVE_TEST_LOGS") {
        Some(folder) => {
            let unique = data.file_name().unwrap_or_default().to_string_lossy().into_owned();
            Path::new(&folder).join(format!("{unique}-{name}.log"))
        }
        None => data.join("stderr.log"),
    }
}

fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines.get(lines.len().saturating_sub(30)..).unwrap_or_default().join("\n")
}
