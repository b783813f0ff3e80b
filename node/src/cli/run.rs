//! `run`: a node that stays. It ends in good order on a signal, after `--for`, at the end of its input, or when what it was
//! started for cannot be done; a line that makes no sense ends nothing.

use std::io::{Read, Write};
use std::path::Path;
use std::time::Duration;

use conclave_protocol::id::RoomId;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::args::RunArguments;
use super::client::{Client, Failure, goodbye};
use super::converse::{Ended, LINES, OUT, converse};
use super::json::{self, Line, LineSplitter};
use super::{oneshot as one_shot, render};
use crate::command::Command;
use crate::config::Config;
use crate::error::{CommandError, ErrorCode};
use crate::event::Event;
use crate::handle::{Events, Node};
use crate::store::{Store, StoreError};
use crate::view::RoomView;

/// For the node's last words after it was asked to stop.
const LAST_WORDS: Duration = Duration::from_secs(6);
/// A wait that nobody sits through.
const FOR_EVER: Duration = Duration::from_secs(10 * 365 * 86_400);

pub(crate) async fn run(arguments: RunArguments, config: Config, json: bool) -> Result<(), Failure> {
    let seconds = match arguments.seconds {
        Some(seconds) => {
            Some(Duration::try_from_secs_f64(seconds).map_err(|_| Failure::usage("--for takes a number of seconds"))?)
        }
        None => None,
    };
    let deadline = Instant::now() + seconds.unwrap_or(FOR_EVER).min(FOR_EVER);
    let dir = config.data.clone();
    // A start that is repeated by a script must not put a new person in the place of the one whose store was damaged.
    let aside = Store::kept_aside(&dir);
    if !aside.is_empty() {
        return Err(CommandError::from(StoreError::Empty { dir, aside }).into());
    }
    let mut signals = Signals::listen();
    let (node, events) = Box::pin(Node::open(config)).await?;
    let _socket = open_socket(&dir, &node);
    let (out, written) = start_writer();

    // Whoever started this is talked to until the node stopped, also after the end of the input.
    let (end, ended) = oneshot::channel();
    let mut talk = tokio::spawn(Box::pin(talk(node.clone(), events, out.clone(), end, json)));
    let outcome = tokio::select! {
        failure = Box::pin(intend(node.clone(), node.events(), arguments)) => Err(failure),
        () = signals.next() => Ok(()),
        () = tokio::time::sleep_until(deadline) => Ok(()),
        // Without a word where the node stopped by itself: that is an end too.
        _ = ended => Ok(()),
    };
    if let (Err(failure), true) = (&outcome, json) {
        // A reader that is gone reads the exit code.
        let _ = tokio::time::timeout(LAST_WORDS, out.send(json::refusal(None, failure.view.clone()))).await;
    }
    // A second one does not wait for a good order.
    tokio::spawn(async move {
        signals.next().await;
        std::process::exit(130);
    });
    goodbye(&node, node.events()).await;
    if tokio::time::timeout(LAST_WORDS, &mut talk).await.is_err() {
        talk.abort();
    }
    drop(out);
    let _ = tokio::time::timeout(LAST_WORDS, written).await;
    outcome.map_err(|failure| Failure { told: json, ..failure })
}

/// Talks with whoever started the node, and says when they want it to end.
async fn talk(node: Node, mut events: Events, out: mpsc::Sender<String>, end: oneshot::Sender<()>, json: bool) {
    if json {
        let (lines_in, lines) = mpsc::channel(LINES);
        start_reader(lines_in);
        let (ended, rest) = converse(&node, events, lines, out.clone(), true).await;
        let _ = end.send(());
        events = rest;
        if ended == Ended::Input {
            while let Some(event) = events.next().await {
                if out.send(json::event(&event)).await.is_err() {
                    return;
                }
            }
        }
    } else {
        tell(events, out).await;
        let _ = end.send(());
    }
}

/// Events as lines for a person. Ends when the node stopped or nobody reads any more.
async fn tell(mut events: Events, out: mpsc::Sender<String>) {
    let mut rooms: Vec<RoomView> = Vec::new();
    while let Some(event) = events.next().await {
        match &event {
            Event::RoomChanged { room } => match rooms.iter_mut().find(|known| known.room == room.room) {
                Some(known) => *known = room.clone(),
                None => rooms.push(room.clone()),
            },
            Event::RoomRemoved { room } => rooms.retain(|known| known.room != *room),
            _ => {}
        }
        if let Some(line) = render::event(&event, &rooms)
            && out.send(line).await.is_err()
        {
            return;
        }
    }
}

/// Does what the options ask for; comes back only where that fails.
async fn intend(node: Node, events: Events, arguments: RunArguments) -> Failure {
    match carry_out(node, events, arguments).await {
        Ok(()) => std::future::pending().await,
        Err(failure) => failure,
    }
}

async fn carry_out(node: Node, events: Events, arguments: RunArguments) -> Result<(), Failure> {
    let mut client = Client::Own { node, events };
    let room = match (&arguments.join, &arguments.room) {
        (Some(link), _) => {
            let joining = Command::RoomJoin { link: link.clone(), address: arguments.address.clone() };
            match client.ask(joining).await {
                Ok(json) => {
                    let begun = one_shot::part_of(&json)?;
                    Some(one_shot::wait_for_join(&mut client, begun, Instant::now() + FOR_EVER, |_| ()).await?.room)
                }
                // A node that starts again with the same link is where it wants to be.
                Err(failure) if failure.view.code == ErrorCode::AlreadyMember.as_str() => Some(room_of_link(link)?),
                Err(failure) => return Err(failure),
            }
        }
        (None, Some(typed)) => Some(one_shot::find_room(&mut client, typed).await?),
        (None, None) => None,
    };
    let off = |named: bool| named.then_some(false);
    let (echo, noise) = (off(arguments.no_echo_cancellation), off(arguments.no_noise_suppression));
    let (gain, chimes) = (off(arguments.no_gain_control), off(arguments.no_chimes));
    if [echo, noise, gain, chimes].iter().any(Option::is_some) {
        client.ask(Command::MediaSound { echo, noise, gain, chimes }).await?;
    }
    if !arguments.call {
        return Ok(());
    }
    let room = match room {
        Some(room) => room,
        None => only_room(&mut client).await?,
    };
    let RunArguments { mic, camera, speaker, screen, screen_content, screen_fps, screen_height, record, .. } = arguments;
    client.ask(Command::CallJoin { room, mic_on: mic.is_some(), mic, camera, speaker }).await?;
    if screen.is_some() {
        client
            .ask(Command::CallScreen { source: screen, content: screen_content, fps: screen_fps, height: screen_height })
            .await?;
    }
    if record.is_some() {
        client.ask(Command::CallRecord { dir: record }).await?;
    }
    Ok(())
}

fn room_of_link(link: &str) -> Result<RoomId, Failure> {
    let link =
        conclave_protocol::link::Link::parse(link).map_err(|error| Failure::new(ErrorCode::LinkInvalid, error.to_string()))?;
    Ok(link.room)
}

async fn only_room(client: &mut Client) -> Result<RoomId, Failure> {
    let rooms: Vec<RoomView> = client.ask_for(Command::RoomList {}, "rooms").await?;
    match rooms.as_slice() {
        [only] => Ok(only.room),
        [] => Err(Failure::usage("there is no room to call in: make one with `room create`, or give --join LINK")),
        _ => Err(Failure::usage("there is more than one room: say which with --room")),
    }
}

#[cfg(unix)]
fn open_socket(dir: &Path, node: &Node) -> Option<super::socket::Socket> {
    let socket = super::socket::Socket::open(dir, node);
    socket.inspect_err(|error| tracing::warn!(%error, "no local socket: other commands cannot reach this node")).ok()
}

#[cfg(not(unix))]
fn open_socket(_dir: &Path, _node: &Node) -> Option<()> {
    None
}

/// Reads standard input in a thread of its own, which ends with the input or with the process.
fn start_reader(lines: mpsc::Sender<Line>) {
    let read = move || {
        let mut splitter = LineSplitter::default();
        let mut piece = vec![0; 64 * 1024];
        let mut input = std::io::stdin().lock();
        loop {
            let count = match input.read(&mut piece) {
                Ok(count) => count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(_) => 0,
            };
            let read: Vec<Line> = match piece.get(..count) {
                None | Some([]) => splitter.finish().into_iter().collect(),
                Some(bytes) => splitter.push(bytes),
            };
            for line in read {
                if lines.blocking_send(line).is_err() {
                    return;
                }
            }
            if count == 0 {
                return;
            }
        }
    };
    let started = std::thread::Builder::new().name("stdin".to_owned()).spawn(read);
    if let Err(error) = started {
        tracing::error!(%error, "standard input is not read");
    }
}

/// Writes standard output in a thread of its own: a reader that stops reading holds up nothing but its own lines.
fn start_writer() -> (mpsc::Sender<String>, oneshot::Receiver<()>) {
    let (out, mut lines) = mpsc::channel::<String>(OUT);
    let (done, written) = oneshot::channel();
    let write = move || {
        while let Some(mut line) = lines.blocking_recv() {
            line.push('\n');
            let mut output = std::io::stdout().lock();
            if output.write_all(line.as_bytes()).and_then(|()| output.flush()).is_err() {
                break;
            }
        }
        let _ = done.send(());
    };
    let started = std::thread::Builder::new().name("stdout".to_owned()).spawn(write);
    if let Err(error) = started {
        tracing::error!(%error, "standard output is not written");
    }
    (out, written)
}

/// Ctrl-C, or a polite request to end. From its making on, a signal waits to be looked at instead of ending the process.
#[cfg(unix)]
struct Signals(Option<[tokio::signal::unix::Signal; 3]>);

#[cfg(unix)]
impl Signals {
    fn listen() -> Self {
        use tokio::signal::unix::{SignalKind, signal};
        match [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()].map(signal) {
            [Ok(interrupt), Ok(terminate), Ok(hangup)] => Self(Some([interrupt, terminate, hangup])),
            _ => Self(None),
        }
    }

    async fn next(&mut self) {
        let Some([interrupt, terminate, hangup]) = &mut self.0 else { return std::future::pending().await };
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn listen() -> Self {
        Self
    }

    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending().await
        }
    }
}
