//! The local socket in the data directory: other commands of the same person reach the running node through it. It answers
//! nobody else, and a client that floods it or stops reading costs a bounded amount and then its connection.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{JoinHandle, JoinSet};

use super::converse::{LINES, OUT, converse};
use super::json::{self, Line, LineSplitter};
use crate::error::{CommandError, ErrorCode};
use crate::handle::Node;

const SOCKET_FILE: &str = "node.sock";
/// Clients at once. One more is told `busy` and closed.
const CLIENTS: usize = 16;
/// What a client may take to read one piece of what is written to it.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// What an address of a socket holds, less the zero at its end (108 on Linux, 104 elsewhere).
const ADDRESS_LIMIT: usize = 103;

/// The socket of a running node. Dropping it closes every connection and removes the file.
#[derive(Debug)]
pub(crate) struct Socket {
    path: PathBuf,
    serving: JoinHandle<()>,
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.serving.abort();
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Socket {
    /// Opens the socket of `dir`. The caller has the directory to itself (the store's lock), so a socket that is there is what a
    /// crash left.
    pub(crate) fn open(dir: &Path, node: &Node) -> io::Result<Self> {
        let path = dir.join(SOCKET_FILE);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = with_short_path(dir, |path| UnixListener::bind(path))?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        let serving = tokio::spawn(serve(listener, node.clone()));
        Ok(Self { path, serving })
    }
}

/// A connection to the node that runs on `dir`, if one does.
pub(crate) async fn connect(dir: &Path) -> Option<UnixStream> {
    if !dir.join(SOCKET_FILE).exists() {
        return None;
    }
    let socket = with_short_path(dir, |path| {
        let socket = std::os::unix::net::UnixStream::connect(path)?;
        socket.set_nonblocking(true)?;
        Ok(socket)
    });
    socket.and_then(UnixStream::from_std).ok()
}

/// Calls `act` with the path of the socket, by way of the directory's descriptor where the path itself is too long for an address.
fn with_short_path<T>(dir: &Path, act: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
    let path = dir.join(SOCKET_FILE);
    if path.as_os_str().len() <= ADDRESS_LIMIT || !cfg!(target_os = "linux") {
        return act(&path);
    }
    let dir = std::fs::File::open(dir)?;
    act(&PathBuf::from(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&dir))).join(SOCKET_FILE))
}

async fn serve(listener: UnixListener, node: Node) {
    let me = rustix::process::geteuid().as_raw();
    let places = Arc::new(Semaphore::new(CLIENTS));
    let mut clients = JoinSet::new();
    loop {
        let accepted = listener.accept().await;
        while clients.try_join_next().is_some() {}
        let Ok((stream, _)) = accepted else {
            // Out of descriptors, most likely: others must close before another can come.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        if stream.peer_cred().is_ok_and(|peer| peer.uid() != me) {
            continue;
        }
        let Ok(place) = places.clone().try_acquire_owned() else {
            let busy = CommandError::new(ErrorCode::Busy, "too many clients on the socket of this node");
            let line = json::refusal(None, busy.into()) + "\n";
            // It fits into the socket's own buffer, or the client does without.
            let _ = stream.try_write(line.as_bytes());
            continue;
        };
        let node = node.clone();
        clients.spawn(async move {
            Box::pin(client(stream, node)).await;
            drop(place);
        });
    }
}

async fn client(stream: UnixStream, node: Node) {
    let (from_client, to_client) = stream.into_split();
    let (lines_in, lines) = mpsc::channel(LINES);
    let (out, out_lines) = mpsc::channel(OUT);
    let mut tasks = JoinSet::new();
    tasks.spawn(read_lines(from_client, lines_in));
    let writer = tokio::spawn(write_lines(to_client, out_lines));
    let events = node.events();
    converse(&node, events, lines, out, false).await;
    tasks.abort_all();
    // The last answers go out before the connection closes; each write has its own limit.
    let _ = writer.await;
}

async fn read_lines(mut from: OwnedReadHalf, lines: mpsc::Sender<Line>) {
    let mut splitter = LineSplitter::default();
    let mut piece = vec![0; 16 * 1024];
    loop {
        let count = from.read(&mut piece).await.unwrap_or(0);
        let read = match piece.get(..count) {
            None | Some([]) => splitter.finish().into_iter().collect(),
            Some(bytes) => splitter.push(bytes),
        };
        for line in read {
            if lines.send(line).await.is_err() {
                return;
            }
        }
        if count == 0 {
            return;
        }
    }
}

async fn write_lines(mut to: OwnedWriteHalf, mut lines: mpsc::Receiver<String>) {
    while let Some(mut line) = lines.recv().await {
        line.push('\n');
        match tokio::time::timeout(WRITE_TIMEOUT, to.write_all(line.as_bytes())).await {
            Ok(Ok(())) => {}
            _ => return,
        }
    }
}
