//! The cheap handle of a running node: commands in, events out, pictures on the side.

use std::sync::Arc;

use conclave_media::picture::PictureSlot;
use tokio::sync::{broadcast, mpsc, oneshot};

use crate::command::{Command, Reply};
use crate::config::Config;
use crate::driver;
use crate::error::{CommandError, ErrorCode};
use crate::event::Event;
use crate::pictures::PictureSlots;
use crate::view::PictureKey;

/// Commands that wait for the loop. Past it the caller is told `busy`: it asks faster than the node can work.
const COMMAND_QUEUE: usize = 64;
/// Events that a reader may be behind. Past it the oldest are dropped and the reader is told so by [`Event::Lagged`].
const EVENT_QUEUE: usize = 1024;

/// A command on its way to the loop.
pub(crate) struct Request {
    pub(crate) command: Command,
    pub(crate) reply: oneshot::Sender<Result<Reply, CommandError>>,
}

/// A running node. Clones are the same node; it stops on [`Command::Shutdown`] or when the last handle is gone.
#[derive(Debug, Clone)]
pub struct Node {
    commands: mpsc::Sender<Request>,
    events: broadcast::Sender<Event>,
    pictures: PictureSlots,
}

impl Node {
    /// Opens the data directory, makes an identity where there is none and a name is given, and starts the loop.
    ///
    /// Must be called within a tokio runtime. The events begin with [`Event::Ready`].
    ///
    /// # Errors
    /// The `store_*` codes where the data directory cannot be used, `unreachable` where a listen address cannot be bound.
    pub async fn open(config: Config) -> Result<(Self, Events), CommandError> {
        let (commands, requests) = mpsc::channel(COMMAND_QUEUE);
        let (events, first) = broadcast::channel(EVENT_QUEUE);
        let pictures = PictureSlots::default();
        driver::spawn(config, requests, events.clone(), pictures.clone()).await?;
        Ok((Self { commands, events, pictures }, Events { receiver: first, ended: false }))
    }

    /// Asks the node to do something and waits for its answer.
    ///
    /// # Errors
    /// Every code of [`ErrorCode`]; `busy` where too many commands wait, `stopped` where the node is gone.
    pub async fn request(&self, command: Command) -> Result<Reply, CommandError> {
        let (reply, answer) = oneshot::channel();
        self.commands.try_send(Request { command, reply }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => {
                CommandError::new(ErrorCode::Busy, "The node has more to do than it can take; try again.")
            }
            mpsc::error::TrySendError::Closed(_) => stopped(),
        })?;
        answer.await.unwrap_or_else(|_| Err(stopped()))
    }

    /// What happens from here on.
    pub fn events(&self) -> Events {
        Events { receiver: self.events.subscribe(), ended: false }
    }

    /// The slot in which the newest picture of a stream is found.
    pub fn picture(&self, key: PictureKey) -> Arc<PictureSlot> {
        self.pictures.get(key)
    }
}

fn stopped() -> CommandError {
    CommandError::new(ErrorCode::Stopped, "The node has stopped.")
}

/// A reader of events. Dropping it costs nothing to the others.
#[derive(Debug)]
pub struct Events {
    receiver: broadcast::Receiver<Event>,
    ended: bool,
}

impl Events {
    /// The next event; `None` after [`Event::Stopped`]. Cancel safe.
    pub async fn next(&mut self) -> Option<Event> {
        if self.ended {
            return None;
        }
        let event = match self.receiver.recv().await {
            Ok(event) => event,
            Err(broadcast::error::RecvError::Lagged(missed)) => Event::Lagged { missed },
            Err(broadcast::error::RecvError::Closed) => return None,
        };
        self.ended = matches!(event, Event::Stopped {});
        Some(event)
    }
}
