//! The real node, on a runtime of its own threads. The window's thread only puts commands into a queue and takes messages out of one.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use conclave_media::picture::PictureSlot;
use conclave_node::command::Command;
use conclave_node::config::Config;
use conclave_node::error::{CommandError, ErrorCode};
use conclave_node::handle::Node;
use conclave_node::view::PictureKey;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};

use super::{Backend, BackendMessage, OpenRequest, RequestId, StorePresence};

/// Commands on their way to the node. Where it is full the command is refused as busy, and the person sees that.
const COMMANDS: usize = 256;
/// Messages on their way to the window. Where it is full the node's event stream lags and says so; replies wait.
const MESSAGES: usize = 1024;
/// How long the window waits for the node's goodbyes.
const CLOSING: Duration = Duration::from_secs(3);

/// The node behind the window.
pub struct NodeBackend {
    runtime: Option<Runtime>,
    data: PathBuf,
    listen: Vec<String>,
    mdns: bool,
    presence: StorePresence,
    commands: mpsc::Sender<(RequestId, Command)>,
    waiting: Option<mpsc::Receiver<(RequestId, Command)>>,
    sender: mpsc::Sender<BackendMessage>,
    messages: mpsc::Receiver<BackendMessage>,
    refused: Vec<BackendMessage>,
    node: watch::Receiver<Option<Node>>,
    node_sender: watch::Sender<Option<Node>>,
    wake: Arc<dyn Fn() + Send + Sync>,
    next: u64,
}

impl NodeBackend {
    /// A backend for one data directory. `wake` is called from other threads whenever there is something to poll.
    pub fn new(config: &Config, presence: StorePresence, wake: impl Fn() + Send + Sync + 'static) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("conclave-node").build()?;
        let (commands, waiting) = mpsc::channel(COMMANDS);
        let (sender, messages) = mpsc::channel(MESSAGES);
        let (node_sender, node) = watch::channel(None);
        Ok(Self {
            runtime: Some(runtime),
            data: config.data.clone(),
            listen: config.listen.clone(),
            mdns: config.mdns,
            presence,
            commands,
            waiting: Some(waiting),
            sender,
            messages,
            refused: Vec::new(),
            node,
            node_sender,
            wake: Arc::new(wake),
            next: 0,
        })
    }
}

impl Backend for NodeBackend {
    fn presence(&self) -> StorePresence {
        self.presence
    }

    fn open(&mut self, request: OpenRequest) {
        let Some(runtime) = &self.runtime else { return };
        let config = Config {
            name: request.name,
            listen: self.listen.clone(),
            mdns: self.mdns,
            ..Config::new(self.data.clone(), request.protection)
        };
        let (sender, wake, publish) = (self.sender.clone(), Arc::clone(&self.wake), self.node_sender.clone());
        // Commands wait for the first node that opens; a failed attempt must not lose them.
        let mut node_watch = self.node.clone();
        if let Some(commands) = self.waiting.take() {
            let (sender, wake) = (sender.clone(), Arc::clone(&wake));
            runtime.spawn(async move {
                let Ok(node) = node_watch.wait_for(Option::is_some).await.map(|node| node.clone()) else { return };
                if let Some(node) = node {
                    serve_commands(node, commands, sender, wake).await;
                }
            });
        }
        runtime.spawn(async move {
            match Node::open(config).await {
                Ok((node, mut events)) => {
                    let _ = publish.send(Some(node));
                    if deliver(&sender, &wake, BackendMessage::Opened(Ok(()))).await.is_err() {
                        return;
                    }
                    while let Some(event) = events.next().await {
                        if deliver(&sender, &wake, BackendMessage::Event(event)).await.is_err() {
                            return;
                        }
                    }
                }
                Err(error) => {
                    let _ = deliver(&sender, &wake, BackendMessage::Opened(Err(error))).await;
                }
            }
        });
    }

    fn send(&mut self, command: Command) -> RequestId {
        self.next += 1;
        let request = RequestId(self.next);
        if self.commands.try_send((request, command)).is_err() {
            let error = CommandError::new(ErrorCode::Busy, "the node takes no more commands at the moment");
            self.refused.push(BackendMessage::Reply { request, result: Err(error) });
            (self.wake)();
        }
        request
    }

    fn poll(&mut self) -> Vec<BackendMessage> {
        let mut messages = std::mem::take(&mut self.refused);
        while let Ok(message) = self.messages.try_recv() {
            messages.push(message);
        }
        messages
    }

    fn picture(&self, key: PictureKey) -> Arc<PictureSlot> {
        match &*self.node.borrow() {
            Some(node) => node.picture(key),
            None => Arc::default(),
        }
    }

    fn close(&mut self) {
        let Some(runtime) = self.runtime.take() else { return };
        let node = self.node.borrow().clone();
        if let Some(node) = node {
            // A node that does not answer in time is left to the operating system; what it acknowledged is on disk.
            let _ = runtime.block_on(async { tokio::time::timeout(CLOSING, node.request(Command::Shutdown {})).await });
        }
        runtime.shutdown_timeout(Duration::from_millis(500));
    }
}

/// Puts a message before the window and wakes it; an error where the window is gone.
async fn deliver(
    sender: &mpsc::Sender<BackendMessage>,
    wake: &Arc<dyn Fn() + Send + Sync>,
    message: BackendMessage,
) -> Result<(), ()> {
    sender.send(message).await.map_err(|_| ())?;
    wake();
    Ok(())
}

/// Hands commands on in their order; replies come back as they are ready, so that a slow one holds up no other.
async fn serve_commands(
    node: Node,
    mut commands: mpsc::Receiver<(RequestId, Command)>,
    sender: mpsc::Sender<BackendMessage>,
    wake: Arc<dyn Fn() + Send + Sync>,
) {
    let mut running = FuturesUnordered::new();
    loop {
        tokio::select! {
            biased;
            Some(message) = running.next() => {
                if deliver(&sender, &wake, message).await.is_err() {
                    return;
                }
            }
            command = commands.recv() => {
                let Some((request, command)) = command else { return };
                let node = node.clone();
                running.push(async move { BackendMessage::Reply { request, result: node.request(command).await } });
            }
        }
    }
}
