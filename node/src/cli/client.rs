//! The node behind a one-shot command: the one that runs on the data directory, or one that is opened for the command alone.

use std::collections::VecDeque;
use std::path::Path;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::json as lines;
use crate::command::Command;
use crate::config::Config;
use crate::error::{CommandError, ErrorCode};
use crate::event::Event;
use crate::handle::{Events, Node};
use crate::view::ErrorView;

/// What a node may take to say goodbye before the process ends without it.
const GOODBYE: Duration = Duration::from_secs(5);
/// How long a data directory that another process has may take to show its socket: the node is just starting, or just stopping.
const IN_USE_PATIENCE: Duration = Duration::from_secs(3);

/// Why a command failed, with the exit code that says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) view: ErrorView,
    pub(crate) exit_code: u8,
    /// It was told already, among the lines of a run.
    pub(crate) told: bool,
}

impl Failure {
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        CommandError::new(code, message).into()
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::BadRequest, message)
    }
}

impl From<CommandError> for Failure {
    fn from(error: CommandError) -> Self {
        Self { exit_code: error.code.exit_code(), view: error.into(), told: false }
    }
}

impl From<ErrorView> for Failure {
    fn from(view: ErrorView) -> Self {
        // A code of a node newer than this command says at least that it failed.
        let exit_code = ErrorCode::ALL.iter().find(|code| code.as_str() == view.code).map_or(1, |code| code.exit_code());
        Self { view, exit_code, told: false }
    }
}

/// A node that answers.
pub(crate) enum Client {
    Own {
        node: Node,
        events: Events,
    },
    #[cfg(unix)]
    Running(Running),
}

impl Client {
    /// The node that runs on the data directory, or else one of our own.
    pub(crate) async fn reach(config: Config) -> Result<Self, Failure> {
        if let Some(running) = Self::running(&config.data).await {
            return Ok(running);
        }
        let since = tokio::time::Instant::now();
        loop {
            match Box::pin(Node::open(config.clone())).await {
                Ok((node, events)) => return Ok(Self::Own { node, events }),
                Err(error) if error.code == ErrorCode::StoreInUse && since.elapsed() < IN_USE_PATIENCE => {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    if let Some(running) = Self::running(&config.data).await {
                        return Ok(running);
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    #[cfg(unix)]
    async fn running(dir: &Path) -> Option<Self> {
        super::socket::connect(dir).await.map(|stream| Self::Running(Running::new(stream)))
    }

    #[cfg(not(unix))]
    async fn running(_dir: &Path) -> Option<Self> {
        None
    }

    /// Whether the node was opened for this command alone.
    pub(crate) fn is_own(&self) -> bool {
        matches!(self, Self::Own { .. })
    }

    /// Asks, and gives the answer as it would be printed.
    pub(crate) async fn ask(&mut self, command: Command) -> Result<Value, Failure> {
        match self {
            Self::Own { node, .. } => {
                let reply = node.request(command).await?;
                serde_json::to_value(reply).map_err(|error| Failure::new(ErrorCode::Stopped, error.to_string()))
            }
            #[cfg(unix)]
            Self::Running(running) => running.ask(&command).await,
        }
    }

    /// Asks for one thing that has a name in the answer.
    pub(crate) async fn ask_for<T: DeserializeOwned>(&mut self, command: Command, name: &str) -> Result<T, Failure> {
        part(&self.ask(command).await?, name)
    }

    /// From here on [`Self::next_event`] gives what happens.
    pub(crate) async fn follow_events(&mut self) -> Result<(), Failure> {
        match self {
            Self::Own { .. } => Ok(()),
            #[cfg(unix)]
            Self::Running(running) => running.exchange(&json!({"cmd": "events", "on": true})).await.map(|_| ()),
        }
    }

    /// The next event; `None` when the node stopped. Cancel safe.
    pub(crate) async fn next_event(&mut self) -> Option<Event> {
        match self {
            Self::Own { events, .. } => events.next().await,
            #[cfg(unix)]
            Self::Running(running) => running.next_event().await,
        }
    }

    /// Stops a node of our own in good order; leaves another's alone.
    pub(crate) async fn finish(self) {
        if let Self::Own { node, events } = self {
            goodbye(&node, events).await;
        }
    }
}

/// Asks a node to stop, and waits until it did, but not for ever.
pub(crate) async fn goodbye(node: &Node, mut events: Events) {
    let stopped = async {
        if node.request(Command::Shutdown {}).await.is_ok() {
            while events.next().await.is_some() {}
        }
    };
    if tokio::time::timeout(GOODBYE, stopped).await.is_err() {
        tracing::warn!("the node did not stop in time");
    }
}

/// A named part of an answer.
pub(crate) fn part<T: DeserializeOwned>(answer: &Value, name: &str) -> Result<T, Failure> {
    let found = answer.get(name).cloned().unwrap_or_default();
    serde_json::from_value(found)
        .map_err(|error| Failure::new(ErrorCode::BadVersion, format!("the node answered in an unknown way ({name}: {error})")))
}

/// A conversation with a node that runs.
#[cfg(unix)]
pub(crate) struct Running {
    reader: tokio::io::BufReader<tokio::net::unix::OwnedReadHalf>,
    writer: tokio::net::unix::OwnedWriteHalf,
    partial: Vec<u8>,
    next_id: u64,
    /// Events that came while an answer was waited for. Bounded by what one answer takes; the oldest go first.
    events: VecDeque<Event>,
}

#[cfg(unix)]
impl Running {
    const EVENTS: usize = 1024;

    fn new(stream: tokio::net::UnixStream) -> Self {
        let (reader, writer) = stream.into_split();
        Self { reader: tokio::io::BufReader::new(reader), writer, partial: Vec::new(), next_id: 1, events: VecDeque::new() }
    }

    async fn ask(&mut self, command: &Command) -> Result<Value, Failure> {
        let value = serde_json::to_value(command).map_err(|error| Failure::usage(error.to_string()))?;
        self.exchange(&value).await
    }

    async fn exchange(&mut self, fields: &Value) -> Result<Value, Failure> {
        let id = self.next_id;
        self.next_id += 1;
        let mut line = json!({"v": lines::VERSION, "id": id});
        if let (Some(line), Some(fields)) = (line.as_object_mut(), fields.as_object()) {
            line.extend(fields.clone());
        }
        let line = format!("{line}\n");
        if tokio::io::AsyncWriteExt::write_all(&mut self.writer, line.as_bytes()).await.is_err() {
            return Err(gone());
        }
        loop {
            let answer = self.read().await.ok_or_else(gone)?;
            if answer.get("event").is_some() {
                self.keep(&answer);
            } else if let Some(error) = answer.get("error").filter(|_| matches!(answer.get("id"), None | Some(Value::Number(_))))
            {
                let view: ErrorView = serde_json::from_value(error.clone()).map_err(|_| gone())?;
                return Err(view.into());
            } else if answer.get("id").and_then(Value::as_u64) == Some(id) {
                return Ok(answer.get("ok").cloned().unwrap_or_default());
            }
        }
    }

    async fn next_event(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Some(event);
            }
            let line = self.read().await?;
            self.keep(&line);
        }
    }

    fn keep(&mut self, line: &Value) {
        // An event of a newer node is passed over.
        if let Ok(event) = serde_json::from_value(line.clone()) {
            if self.events.len() == Self::EVENTS {
                self.events.pop_front();
            }
            self.events.push_back(event);
        }
    }

    /// The next line; `None` where the node is gone. Cancel safe: what was read of a line is kept.
    async fn read(&mut self) -> Option<Value> {
        loop {
            let read = tokio::io::AsyncBufReadExt::read_until(&mut self.reader, b'\n', &mut self.partial).await;
            if !matches!(read, Ok(count) if count > 0) && !self.partial.ends_with(b"\n") {
                return None;
            }
            let line = std::mem::take(&mut self.partial);
            if let Ok(value) = serde_json::from_slice(&line) {
                return Some(value);
            }
        }
    }
}

#[cfg(unix)]
fn gone() -> Failure {
    Failure::new(ErrorCode::Stopped, "the node that runs on this data directory stopped answering")
}
