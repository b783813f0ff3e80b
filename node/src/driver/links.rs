//! The streams of rooms: each is opened with the room proof in a task of its own, which then only carries frames to the loop. Nothing
//! of a room is read or written before the proof stands.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use conclave_protocol::id::{DeviceId, OpHash, RoomId};
use conclave_protocol::proof::{MAX_PROOF_FRAME, ProofContext, Prover, Verifier};
use conclave_protocol::room::secret_print;
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;
use zeroize::Zeroizing;

use crate::net::{FrameReader, FrameWriter, Net, NetStream, StreamName};

/// Frames and ends of links that wait for the loop. When it is full the tasks wait, and so do the peers behind them.
const INBOX: usize = 256;
/// The whole of a proof, both ways.
const PROOF_TIMEOUT: Duration = Duration::from_secs(10);
/// A device that has proved the room and does not turn out to be a member is let go after so long.
const JUDGE_WITHIN: Duration = Duration::from_secs(5);
/// The side with the higher device opens only what the other has not opened within so long.
const HIGHER_WAITS: Duration = Duration::from_millis(1500);
/// Between attempts to open a link; doubled each time up to the second.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// Between two questions for something that is missing.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// Operations that no honest peer sends, on one link, before it is closed.
const MAX_HOSTILE: u32 = 32;
/// Links that stand at once, of all rooms and peers. Past it new ones are dropped.
const MAX_LINKS: usize = 4096;

/// Longest frame that a stranger may send, in bytes: of whoever knocks, and of whoever asks for a code.
const MAX_STRANGER_FRAME: usize = conclave_protocol::knock::MAX_KNOCK_FRAME;
const _: () = assert!(MAX_STRANGER_FRAME == conclave_protocol::spoken::MAX_HEARER_FRAME);

/// Longest frame of each stream, in bytes.
pub(super) const fn frame_limit(name: StreamName) -> usize {
    match name {
        StreamName::Room => conclave_protocol::log::sync::MAX_ROOM_FRAME,
        StreamName::Live => 64 * 1024,
        StreamName::Knock => 256 * 1024,
        StreamName::Speak => conclave_protocol::spoken::MAX_SPEAKER_FRAME,
        StreamName::File => conclave_protocol::swarm::wire::MAX_CONTROL_FRAME,
        StreamName::FileData => conclave_protocol::swarm::wire::MAX_DATA_FRAME,
    }
}

fn is_of_files(name: StreamName) -> bool {
    matches!(name, StreamName::File | StreamName::FileData)
}

/// Which link: to whom, of which room, for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct LinkKey {
    pub(super) device: DeviceId,
    pub(super) room: RoomId,
    pub(super) name: StreamName,
}

/// A link's number, which no other link of this run has.
pub(super) type LinkId = u64;

/// What the tasks of links tell the loop.
#[derive(Debug)]
pub(super) enum FromLink {
    /// The proof stands.
    Up {
        id: LinkId,
        key: LinkKey,
        opened_here: bool,
        proved_by: [u8; 32],
        writer: FrameWriter,
        task: AbortHandle,
    },
    /// The proof of a stream of files stands. The engine of files reads it.
    FileUp {
        id: LinkId,
        key: LinkKey,
        opened_here: bool,
        /// As of [`FromLink::Up`].
        proved_by: [u8; 32],
        reader: FrameReader,
        writer: FrameWriter,
    },
    Frame {
        id: LinkId,
        frame: Vec<u8>,
    },
    Down {
        id: LinkId,
    },
    /// A link that was to be opened here could not be.
    NotOpened {
        key: LinkKey,
    },
    /// Somebody knocks, or asks for a code that was spoken.
    Stranger {
        id: LinkId,
        device: DeviceId,
        name: StreamName,
        writer: FrameWriter,
        task: AbortHandle,
    },
    /// The stream by which this device knocks stands.
    Knocking {
        id: LinkId,
        room: RoomId,
        device: DeviceId,
        writer: FrameWriter,
        task: AbortHandle,
    },
    /// Or it could not be opened.
    NotKnocking {
        room: RoomId,
        device: DeviceId,
        why: String,
    },
    /// The stream by which this device asks for a code that it heard stands.
    Asking {
        id: LinkId,
        device: DeviceId,
        writer: FrameWriter,
        task: AbortHandle,
    },
    /// Or it could not be opened.
    NotAsking {
        device: DeviceId,
        why: String,
    },
}

/// A link that stands.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) id: LinkId,
    pub(super) key: LinkKey,
    opened_here: bool,
    /// Which discovery secret the proof was made with: see [`conclave_protocol::room::secret_print`].
    pub(super) proved_by: [u8; 32],
    writer: FrameWriter,
    task: AbortHandle,
    since: Instant,
    /// The ACL logs were compared and the other is a member.
    admitted: bool,
    /// What the other side announced of the ACL log, last: at most [`conclave_protocol::log::MAX_ANNOUNCED`] hashes.
    pub(super) announced: Vec<OpHash>,
    /// When something missing was asked for.
    asked: Instant,
    /// Operations that only a faulty or hostile peer sends.
    hostile: u32,
}

impl Link {
    /// Queues a frame. A peer that reads too slowly loses the link and catches up on the next one.
    pub(super) fn send(&self, frame: Vec<u8>) {
        if let Err(error) = self.writer.send(&frame) {
            tracing::debug!(%error, name = self.key.name.as_str(), "a frame was not queued");
        }
    }

    /// Queues a frame that may be left out: the next one says the same anew.
    pub(super) fn send_if_room(&self, frame: &[u8]) {
        let _ = self.writer.try_send(frame);
    }

    /// Something that others build on is missing: whether to ask for it now. At most once a second, for it may not be there at all.
    pub(super) fn may_ask(&mut self) -> bool {
        let now = Instant::now();
        let may = self.admitted && now.duration_since(self.asked) > ASK_EVERY;
        if may {
            self.asked = now;
        }
        may
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // The writer's own task still writes what is queued; only reading ends here.
        self.task.abort();
        if is_of_files(self.key.name) {
            // The engine of files holds a writer too, and is to see the end at once.
            self.writer.abort();
        }
    }
}

/// A link to be opened, or opened again.
#[derive(Debug, Clone, Copy)]
struct Wish {
    due: Instant,
    wait: Duration,
    attempts: usize,
    /// A task is at it.
    running: bool,
}

/// The discovery secrets by which the proofs of incoming streams are checked.
pub(super) type Secrets = Arc<Vec<(RoomId, Vec<Zeroizing<[u8; 32]>>)>>;

/// All links of this device.
pub(super) struct Links {
    me: DeviceId,
    net: Net,
    all: BTreeMap<LinkId, Link>,
    by_key: BTreeMap<LinkKey, LinkId>,
    wishes: BTreeMap<LinkKey, Wish>,
    next: Arc<std::sync::atomic::AtomicU64>,
    outbox: mpsc::Sender<FromLink>,
    pub(super) inbox: mpsc::Receiver<FromLink>,
    secrets: watch::Sender<Secrets>,
}

impl Links {
    pub(super) fn new(net: Net) -> Self {
        let (outbox, inbox) = mpsc::channel(INBOX);
        Self {
            me: net.device(),
            net,
            all: BTreeMap::new(),
            by_key: BTreeMap::new(),
            wishes: BTreeMap::new(),
            next: Arc::default(),
            outbox,
            inbox,
            secrets: watch::Sender::default(),
        }
    }

    /// From here on these secrets prove a room.
    pub(super) fn set_secrets(&self, secrets: Secrets) {
        self.secrets.send_replace(secrets);
    }

    pub(super) fn get(&self, id: LinkId) -> Option<&Link> {
        self.all.get(&id)
    }

    /// Adds to what a peer sent that no honest one does. True where that is too much.
    pub(super) fn count_hostile(&mut self, id: LinkId, hostile: u32) -> bool {
        let Some(link) = self.all.get_mut(&id) else { return false };
        link.hostile = link.hostile.saturating_add(hostile);
        link.hostile > MAX_HOSTILE
    }

    pub(super) fn get_mut(&mut self, id: LinkId) -> Option<&mut Link> {
        self.all.get_mut(&id)
    }

    pub(super) fn by_key(&self, key: LinkKey) -> Option<&Link> {
        self.all.get(self.by_key.get(&key)?)
    }

    /// The standing links of a room for one purpose.
    pub(super) fn of_room(&self, room: RoomId, name: StreamName) -> impl Iterator<Item = &Link> {
        self.all.values().filter(move |link| link.key.room == room && link.key.name == name)
    }

    /// A room stream to this device stands, and it is known to be a member.
    pub(super) fn is_online(&self, room: RoomId, device: DeviceId) -> bool {
        self.by_key(LinkKey { device, room, name: StreamName::Room }).is_some_and(|link| link.admitted)
    }

    /// The other side is a member. True where that is news.
    pub(super) fn admit(&mut self, id: LinkId) -> bool {
        self.all.get_mut(&id).is_some_and(|link| !std::mem::replace(&mut link.admitted, true))
    }

    /// Keeps both streams of a room with this device open while it is connected.
    pub(super) fn wish(&mut self, device: DeviceId, room: RoomId) {
        let now = Instant::now();
        for name in [StreamName::Room, StreamName::Live] {
            let key = LinkKey { device, room, name };
            if self.by_key.contains_key(&key) {
                continue;
            }
            let due = if self.me < device { now } else { now + HIGHER_WAITS };
            self.wishes.entry(key).or_insert(Wish { due, wait: RETRY.0, attempts: 0, running: false });
        }
    }

    /// Opens both streams of files with this device: whoever needs them does not wait for the other side.
    pub(super) fn wish_files(&mut self, device: DeviceId, room: RoomId) {
        let now = Instant::now();
        for name in [StreamName::File, StreamName::FileData] {
            let key = LinkKey { device, room, name };
            if !self.by_key.contains_key(&key) {
                self.wishes.entry(key).or_insert(Wish { due: now, wait: RETRY.0, attempts: 0, running: false });
            }
        }
    }

    /// For tasks that read links elsewhere and tell the loop of their end.
    pub(super) fn outbox(&self) -> mpsc::Sender<FromLink> {
        self.outbox.clone()
    }

    /// The device is gone, or belongs to the room no more.
    pub(super) fn unwish(&mut self, device: DeviceId, room: Option<RoomId>) {
        self.wishes.retain(|key, _| key.device != device || room.is_some_and(|room| room != key.room));
    }

    /// Opens what is due, and lets go of those who proved the room and are no members.
    pub(super) fn handle_tick(&mut self, now: Instant, is_member: impl Fn(&LinkKey) -> bool) {
        for (key, wish) in &mut self.wishes {
            if wish.running || wish.due > now {
                continue;
            }
            let secrets = self.secrets.borrow().clone();
            let known =
                secrets.iter().find(|(room, _)| *room == key.room).map(|(_, secrets)| secrets.as_slice()).unwrap_or_default();
            // The newest first; then older ones in turn, for two who each made a new one apart share only those.
            let generation = known.len().checked_sub(1 + wish.attempts % known.len().max(1));
            let Some(secret) = generation.and_then(|generation| known.get(generation)).cloned() else {
                wish.due = now + wish.wait;
                continue;
            };
            wish.running = true;
            wish.attempts += 1;
            let task = LinkTask { net: self.net.clone(), outbox: self.outbox.clone(), next: Arc::clone(&self.next), me: self.me };
            tokio::spawn(task.open(*key, secret));
        }
        let strangers: Vec<LinkId> = self
            .all
            .values()
            .filter(|link| !is_member(&link.key) && now.duration_since(link.since) > JUDGE_WITHIN)
            .map(|link| link.id)
            .collect();
        for id in strangers {
            tracing::debug!("a device proved the room and is no member of it");
            self.close(id);
        }
    }

    /// A link could not be opened: later again.
    pub(super) fn handle_not_opened(&mut self, key: LinkKey) {
        if let Some(wish) = self.wishes.get_mut(&key) {
            wish.running = false;
            wish.due = Instant::now() + wish.wait;
            wish.wait = (wish.wait * 2).min(RETRY.1);
        }
    }

    /// A proof stands. Of two links for one purpose the one that the lower device opened is kept; of two by one side the newer.
    /// Gives the id where the link stands now.
    pub(super) fn handle_up(
        &mut self,
        id: LinkId,
        key: LinkKey,
        (opened_here, proved_by): (bool, [u8; 32]),
        writer: FrameWriter,
        task: AbortHandle,
    ) -> Option<LinkId> {
        let now = Instant::now();
        let link = Link {
            id,
            key,
            opened_here,
            proved_by,
            writer,
            task,
            since: now,
            admitted: false,
            announced: Vec::new(),
            asked: now,
            hostile: 0,
        };
        if self.all.len() >= MAX_LINKS {
            return None;
        }
        if let Some(old) = self.by_key(key)
            && old.opened_here != opened_here
        {
            let keep_ours = self.me < key.device;
            if opened_here != keep_ours {
                // The one that stands is the one to keep.
                self.settle_wish(key);
                return None;
            }
        }
        if let Some(old) = self.by_key.insert(key, id) {
            self.all.remove(&old);
        }
        self.all.insert(id, link);
        self.settle_wish(key);
        Some(id)
    }

    fn settle_wish(&mut self, key: LinkKey) {
        self.wishes.remove(&key);
    }

    /// A link ended. Gives what it was, and whether it was the one by which a member was online.
    pub(super) fn handle_down(&mut self, id: LinkId) -> Option<(LinkKey, bool)> {
        let link = self.all.remove(&id)?;
        let stood = self.by_key.get(&link.key) == Some(&id);
        if stood {
            self.by_key.remove(&link.key);
        }
        Some((link.key, stood && link.admitted && link.key.name == StreamName::Room))
    }

    /// Ends a link: what is queued is still written.
    pub(super) fn close(&mut self, id: LinkId) {
        self.handle_down(id);
    }

    pub(super) fn close_device_in(&mut self, room: RoomId, device: DeviceId) {
        self.unwish(device, Some(room));
        for name in [StreamName::Room, StreamName::Live, StreamName::File, StreamName::FileData] {
            if let Some(id) = self.by_key.get(&LinkKey { device, room, name }).copied() {
                self.close(id);
            }
        }
    }

    pub(super) fn close_room(&mut self, room: RoomId) {
        self.wishes.retain(|key, _| key.room != room);
        let ids: Vec<LinkId> = self.all.values().filter(|link| link.key.room == room).map(|link| link.id).collect();
        for id in ids {
            self.close(id);
        }
    }

    /// A peer opened a stream.
    pub(super) fn accept(&self, stream: NetStream) {
        let task = LinkTask { net: self.net.clone(), outbox: self.outbox.clone(), next: Arc::clone(&self.next), me: self.me };
        match stream.name() {
            StreamName::Knock | StreamName::Speak => drop(tokio::spawn(task.accept_stranger(stream))),
            StreamName::Room | StreamName::Live | StreamName::File | StreamName::FileData => {
                drop(tokio::spawn(task.accept(stream, self.secrets.borrow().clone())))
            }
        }
    }

    /// Opens the stream by which this device asks to be let in.
    pub(super) fn knock(&self, room: RoomId, device: DeviceId) {
        let task = LinkTask { net: self.net.clone(), outbox: self.outbox.clone(), next: Arc::clone(&self.next), me: self.me };
        tokio::spawn(task.knock(room, device));
    }

    /// Opens the stream by which this device asks for a code that it heard.
    pub(super) fn ask_for_code(&self, device: DeviceId) {
        let task = LinkTask { net: self.net.clone(), outbox: self.outbox.clone(), next: Arc::clone(&self.next), me: self.me };
        tokio::spawn(task.ask_for_code(device));
    }
}

/// What the task of a link has at hand.
struct LinkTask {
    net: Net,
    outbox: mpsc::Sender<FromLink>,
    next: Arc<std::sync::atomic::AtomicU64>,
    me: DeviceId,
}

impl LinkTask {
    fn id(&self) -> LinkId {
        self.next.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
    }

    async fn tell(&self, what: FromLink) {
        // The loop is gone when the node stops; then nobody needs to know.
        let _ = self.outbox.send(what).await;
    }

    async fn open(self, key: LinkKey, secret: Zeroizing<[u8; 32]>) {
        let opening = async {
            let stream = self.net.open_stream(key.device, key.name).await.ok()?;
            let (mut reader, writer) = stream.split(frame_limit(key.name));
            reader.set_limit(MAX_PROOF_FRAME);
            let context = ProofContext { stream: key.name.as_str(), opener: self.me, acceptor: key.device };
            let (prover, open) = Prover::new(context, key.room, &secret, &mut super::rng());
            writer.send(&open).ok()?;
            let accept = reader.next().await.ok()?;
            let (_, confirm) = prover.handle_accept(&accept).ok()?;
            writer.send(&confirm).ok()?;
            reader.set_limit(frame_limit(key.name));
            Some((reader, writer))
        };
        match tokio::time::timeout(PROOF_TIMEOUT, opening).await {
            Ok(Some((reader, writer))) => self.carry(key, true, secret_print(&secret), reader, writer).await,
            _ => self.tell(FromLink::NotOpened { key }).await,
        }
    }

    async fn accept(self, stream: NetStream, secrets: Secrets) {
        let (device, name) = (stream.device(), stream.name());
        let accepting = async {
            let (mut reader, writer) = stream.split(frame_limit(name));
            reader.set_limit(MAX_PROOF_FRAME);
            let open = reader.next().await.ok()?;
            let known = secrets.iter().flat_map(|(room, secrets)| secrets.iter().rev().map(move |secret| (*room, &**secret)));
            let context = ProofContext { stream: name.as_str(), opener: device, acceptor: self.me };
            let (verifier, accept) = Verifier::handle_open(&context, &open, known, &mut super::rng()).ok()?;
            writer.send(&accept).ok()?;
            let confirm = reader.next().await.ok()?;
            let proved = verifier.handle_confirm(&confirm).ok()?;
            reader.set_limit(frame_limit(name));
            let generations = secrets.iter().find(|(room, _)| *room == proved.room).map(|(_, generations)| generations)?;
            let secret = generations.iter().rev().nth(proved.secret)?;
            Some((proved.room, secret_print(secret), reader, writer))
        };
        if let Ok(Some((room, proved_by, reader, writer))) = tokio::time::timeout(PROOF_TIMEOUT, accepting).await {
            self.carry(LinkKey { device, room, name }, false, proved_by, reader, writer).await;
        }
    }

    async fn accept_stranger(self, stream: NetStream) {
        let (id, device, name) = (self.id(), stream.device(), stream.name());
        let (mut reader, writer) = stream.split(frame_limit(name));
        // What a stranger has to say is short.
        reader.set_limit(MAX_STRANGER_FRAME);
        self.start_reading(id, reader, |task| FromLink::Stranger { id, device, name, writer, task }).await;
    }

    async fn ask_for_code(self, device: DeviceId) {
        match self.net.open_stream(device, StreamName::Speak).await {
            Ok(stream) => {
                let id = self.id();
                let (reader, writer) = stream.split(frame_limit(StreamName::Speak));
                self.start_reading(id, reader, |task| FromLink::Asking { id, device, writer, task }).await;
            }
            Err(error) => self.tell(FromLink::NotAsking { device, why: error.to_string() }).await,
        }
    }

    async fn knock(self, room: RoomId, device: DeviceId) {
        match self.net.open_stream(device, StreamName::Knock).await {
            Ok(stream) => {
                let id = self.id();
                let (reader, writer) = stream.split(frame_limit(StreamName::Knock));
                self.start_reading(id, reader, |task| FromLink::Knocking { id, room, device, writer, task }).await;
            }
            Err(error) => self.tell(FromLink::NotKnocking { room, device, why: error.to_string() }).await,
        }
    }

    async fn carry(self, key: LinkKey, opened_here: bool, proved_by: [u8; 32], reader: FrameReader, writer: FrameWriter) {
        let id = self.id();
        if is_of_files(key.name) {
            return self.tell(FromLink::FileUp { id, key, opened_here, proved_by, reader, writer }).await;
        }
        self.start_reading(id, reader, |task| FromLink::Up { id, key, opened_here, proved_by, writer, task }).await;
    }

    /// Tells the loop that the stream stands, and only then begins to carry what arrives on it.
    async fn start_reading(&self, id: LinkId, reader: FrameReader, stands: impl FnOnce(AbortHandle) -> FromLink) {
        let outbox = self.outbox.clone();
        let (go, wait) = tokio::sync::oneshot::channel::<()>();
        let reading = tokio::spawn(async move {
            if wait.await.is_ok() {
                read(outbox, id, reader).await;
            }
        });
        self.tell(stands(reading.abort_handle())).await;
        let _ = go.send(());
    }
}

/// Carries frames to the loop, at its pace, until the stream ends.
async fn read(outbox: mpsc::Sender<FromLink>, id: LinkId, mut reader: FrameReader) {
    loop {
        match reader.next().await {
            Ok(frame) => {
                if outbox.send(FromLink::Frame { id, frame }).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                tracing::debug!(%error, "a stream ended");
                let _ = outbox.send(FromLink::Down { id }).await;
                return;
            }
        }
    }
}
