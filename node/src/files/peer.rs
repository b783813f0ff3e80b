//! The two streams of files that two members of a room hold: what arrives is handed to the engine at its pace, what is to be said waits in
//! a bounded queue. Reading never waits for writing.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use conclave_protocol::id::{DeviceId, FileId, RoomId};
use conclave_protocol::swarm::wire::Control;
use tokio::sync::mpsc;

use crate::net::{FrameReader, FrameWriter, Pace, SendError, StreamName};

/// Words that wait for one peer. One that takes them so slowly loses its streams.
const OUTBOX: usize = 4096;

/// Who is at the other end, in which room.
pub(crate) type PeerKey = (RoomId, DeviceId);

/// A proved stream to a member.
#[derive(Debug)]
pub(crate) struct FileLink {
    pub(crate) id: u64,
    pub(crate) key: PeerKey,
    pub(crate) name: StreamName,
    pub(crate) writer: FrameWriter,
}

/// What streams bring.
#[derive(Debug)]
pub(crate) enum FromPeer {
    /// The stream stands: before anything that it brings.
    Up(FileLink),
    Control {
        id: u64,
        key: PeerKey,
        frame: Vec<u8>,
    },
    Data {
        id: u64,
        key: PeerKey,
        frame: Vec<u8>,
    },
    Ended {
        id: u64,
        key: PeerKey,
    },
}

/// Carries what arrives to the engine until the stream ends.
pub(crate) async fn carry(inbox: mpsc::Sender<FromPeer>, link: FileLink, mut reader: FrameReader) {
    let (id, key, name) = (link.id, link.key, link.name);
    // By the same queue as its frames, so that none of them comes before it.
    if inbox.send(FromPeer::Up(link)).await.is_err() {
        return;
    }
    loop {
        let from = match reader.next().await {
            Ok(frame) if name == StreamName::FileData => FromPeer::Data { id, key, frame },
            Ok(frame) => FromPeer::Control { id, key, frame },
            Err(error) => {
                tracing::debug!(%error, name = name.as_str(), "a stream of files ended");
                let _ = inbox.send(FromPeer::Ended { id, key }).await;
                return;
            }
        };
        if inbox.send(from).await.is_err() {
            return;
        }
    }
}

/// A member at the other end.
#[derive(Debug, Default)]
pub(crate) struct Peer {
    pub(crate) control: Option<(u64, FrameWriter)>,
    pub(crate) data: Option<(u64, FrameWriter)>,
    /// Files of which this device has said what it holds.
    pub(crate) greeted: BTreeSet<FileId>,
    outbox: VecDeque<Vec<u8>>,
    /// What it wants at most.
    pub(crate) pace: Arc<Pace>,
}

impl Peer {
    /// Queues a word. It goes with [`Peer::flush`].
    pub(crate) fn say(&mut self, word: &Control) {
        if self.control.is_some() {
            self.outbox.push_back(word.encode());
        }
    }

    /// Hands on what the stream takes now. False where the peer takes too little, or its stream has ended.
    pub(crate) fn flush(&mut self) -> bool {
        let Some((_, writer)) = &self.control else { return true };
        while let Some(frame) = self.outbox.front() {
            match writer.try_send(frame) {
                Ok(()) => drop(self.outbox.pop_front()),
                Err(SendError::Full) => return self.outbox.len() <= OUTBOX,
                Err(_) => return false,
            }
        }
        !writer.is_closed()
    }

    /// Something waits to be said.
    pub(crate) fn waits(&self) -> bool {
        !self.outbox.is_empty()
    }

    /// Ends both streams.
    pub(crate) fn end(&mut self) {
        for (_, writer) in self.control.take().into_iter().chain(self.data.take()) {
            writer.abort();
        }
        self.outbox.clear();
        self.greeted.clear();
    }

    pub(crate) fn has(&self, id: u64) -> bool {
        [&self.control, &self.data].into_iter().flatten().any(|(other, _)| *other == id)
    }
}
