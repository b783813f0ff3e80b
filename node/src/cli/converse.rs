//! One conversation of JSON lines with a node: over standard input and output, or over the local socket. A slow reader slows
//! only itself, and nothing that is written can end the node.

use futures::FutureExt;
use futures::stream::{FuturesUnordered, StreamExt};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::json::{self, Ask, Line};
use crate::command::{Command, Reply};
use crate::error::CommandError;
use crate::handle::{Events, Node};

/// Commands of one conversation that are under way. Past it no further line is read until one is answered.
const IN_FLIGHT: usize = 32;
/// Lines that were read and wait. Past it the reader waits, and whoever writes to it.
pub(crate) const LINES: usize = 32;
/// Lines to be written that wait. Past it the conversation waits; its events are counted as lagged after the node's own bound.
pub(crate) const OUT: usize = 256;

/// How a conversation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The other side has nothing more to ask; everything it asked was answered.
    Input,
    /// The other side no longer reads.
    Output,
    /// The node stopped.
    Stopped,
}

/// Serves until one side ends. Commands reach the node in the order of their lines; answers come as they are ready. The rest of
/// the events is given back.
pub(crate) async fn converse(
    node: &Node,
    mut events: Events,
    mut lines: mpsc::Receiver<Line>,
    out: mpsc::Sender<String>,
    mut events_on: bool,
) -> (Ended, Events) {
    let mut in_flight = FuturesUnordered::new();
    let mut input = true;
    loop {
        if !input && in_flight.is_empty() {
            return (Ended::Input, events);
        }
        let written = tokio::select! {
            line = lines.recv(), if input && in_flight.len() < IN_FLIGHT => match line {
                None => {
                    input = false;
                    Ok(())
                }
                Some(Line { id, ask: Err(error) }) => out.send(json::refusal(id.as_ref(), error.into())).await,
                Some(Line { id, ask: Ok(Ask::Events { on }) }) => {
                    events_on = on;
                    out.send(json::ok(id.as_ref(), &json!({}))).await
                }
                Some(Line { id, ask: Ok(Ask::Node(command)) }) => {
                    let mut asked = Box::pin(ask(node.clone(), id, command));
                    // The first poll puts it into the node's queue: before the next line is looked at.
                    match (&mut asked).now_or_never() {
                        Some(answer) => out.send(answer).await,
                        None => {
                            in_flight.push(asked);
                            Ok(())
                        }
                    }
                }
            },
            Some(answer) = in_flight.next() => out.send(answer).await,
            event = events.next() => match event {
                None => return (Ended::Stopped, events),
                Some(event) if events_on => out.send(json::event(&event)).await,
                Some(_) => Ok(()),
            },
        };
        if written.is_err() {
            return (Ended::Output, events);
        }
    }
}

async fn ask(node: Node, id: Option<Value>, command: Command) -> String {
    let result: Result<Reply, CommandError> = node.request(command).await;
    json::answer(id.as_ref(), &result)
}
