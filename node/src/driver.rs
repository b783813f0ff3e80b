//! The one event loop of a node. It moves what happens to the machines of `conclave-protocol` and carries out what they ask for; it
//! decides nothing, and it never waits for a peer.

mod boards;
mod calls;
mod chat;
mod commands;
mod devices;
mod files;
mod identity;
mod joins;
mod links;
mod peers;
mod rooms;
mod sessions;
mod spoken;
mod team;
mod verification;
mod views;
mod whereabouts;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use conclave_protocol::id::{DeviceId, RoomId};
use conclave_protocol::room::Room;
use conclave_protocol::room::record::Record;
use conclave_protocol::verification::Pins;
use getrandom::SysRng;
use rand_core::UnwrapErr;
use tokio::sync::{broadcast, mpsc, oneshot};

pub(crate) use self::files::Shelf;
use self::identity::Me;
use self::joins::Joins;
use self::links::{FromLink, Links};
use self::peers::PeerState;
use self::rooms::RoomEntry;
use self::spoken::Spoken;
use self::team::Team;
use self::verification::Verification;
use crate::command::{Command, Reply};
use crate::config::Config;
use crate::error::{CommandError, ErrorCode};
use crate::event::Event;
use crate::handle::Request;
use crate::net::{Net, NetConfig, NetError, NetEvent, StreamName};
use crate::pictures::PictureSlots;
use crate::store::{Batch, Store, StoreError, StoreHandle};
use crate::view::ErrorView;

/// How often the machines that live by time are asked. Their own deadlines are whole seconds.
const TICK: Duration = Duration::from_millis(250);

/// The system's randomness. A machine without any cannot keep a secret, so it is no place to go on.
pub(crate) fn rng() -> UnwrapErr<SysRng> {
    UnwrapErr(SysRng)
}

/// UTC in milliseconds.
fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64
}

/// Opens everything and starts the loop.
pub(crate) async fn spawn(
    config: Config,
    requests: mpsc::Receiver<Request>,
    events: broadcast::Sender<Event>,
    pictures: PictureSlots,
) -> Result<(), CommandError> {
    let data = config.data.clone();
    let files_dir = config.data.join("files");
    let net_config = NetConfig { listen: config.listen.clone(), mdns: config.mdns };
    let opened = tokio::task::spawn_blocking(move || {
        let (me, store) = Me::open(&config, now_ms())?;
        let rooms = store
            .rooms()?
            .into_iter()
            .map(|room| Ok((room, load_room(&store, room)?)))
            .collect::<Result<Vec<_>, StoreError>>()?;
        let addresses = store.addresses()?;
        let marks = verification::load_marks(&store)?;
        let team = Team::load(&store)?;
        let sound = calls::load_sound(&store);
        Ok::<_, CommandError>((me, store, rooms, addresses, marks, team, sound))
    });
    let (me, store, loaded, addresses, marks, team, sound) =
        opened.await.map_err(|_| CommandError::new(ErrorCode::StoreFailed, "The store could not be opened."))??;
    let store = StoreHandle::start(store)?;
    let (net, net_events) = Net::start(&me.device.seed(), &net_config).map_err(net_refused)?;
    let incarnation = {
        use rand_core::Rng;
        rng().next_u64()
    };
    let started = Instant::now();
    let mut rooms = BTreeMap::new();
    // Members of before this was kept.
    let mut pinned = Batch::new();
    for (id, loaded) in loaded {
        match Room::load(me.in_rooms()?, id, loaded.records, incarnation) {
            Ok(room) => {
                let session = sessions::begin(id, &me.device, started.elapsed());
                let mut entry = RoomEntry::new(room, chat::read_mark(loaded.read_mark), incarnation, session);
                entry.pins = loaded.pins;
                pinned = pinned.then(entry.pin_members(now_ms()));
                rooms.insert(id, entry);
            }
            // One room that cannot be read does not take the others with it; its records stay where they are.
            Err(error) => {
                tracing::error!(%error, "a room could not be opened");
                let error = CommandError::new(ErrorCode::StoreDamaged, format!("One of the rooms could not be opened: {error}."));
                let _ = events.send(Event::Problem { error: error.into() });
            }
        }
    }
    store.commit(pinned).await?;
    let driver = Driver {
        links: Links::new(net.clone()),
        joins: Joins::default(),
        spoken: Spoken::default(),
        boards: boards::BoardDesk::start()?,
        calls: calls::Calls::new(pictures, sound),
        verification: Verification::new(marks),
        files: files::Files::start(files_dir),
        team,
        me,
        store,
        data,
        net,
        events,
        incarnation,
        rooms,
        peers: BTreeMap::new(),
        listening: Vec::new(),
        told: BTreeMap::new(),
        addresses: addresses.into_iter().collect(),
        dirty: BTreeSet::new(),
        started,
        ready: false,
    };
    tokio::spawn(driver.run(requests, net_events));
    Ok(())
}

fn net_refused(error: NetError) -> CommandError {
    let code = match &error {
        NetError::Stopped => ErrorCode::Stopped,
        NetError::Unsupported(_) => ErrorCode::PeerVersion,
        _ => ErrorCode::Unreachable,
    };
    CommandError::new(code, error.to_string())
}

/// What the store holds of a room.
struct Loaded {
    records: Vec<Record>,
    read_mark: Option<Vec<u8>>,
    pins: Pins,
}

fn load_room(store: &Store, room: RoomId) -> Result<Loaded, StoreError> {
    let rows = store.load_records(&room)?;
    let records = rows.iter().filter_map(|(_, bytes)| {
        Record::decode(bytes).inspect_err(|error| tracing::error!(%error, "a record could not be read and is left out")).ok()
    });
    Ok(Loaded {
        records: records.collect(),
        read_mark: store.note(Some(&room), chat::READ_MARK)?,
        pins: verification::load_pins(store, room)?,
    })
}

/// The state of the loop. Each field has one module that changes it.
struct Driver {
    me: Me,
    store: StoreHandle,
    /// The data directory.
    data: std::path::PathBuf,
    net: Net,
    events: broadcast::Sender<Event>,
    /// Random at each start: the part of an operation's id that keeps two runs apart.
    incarnation: u64,
    rooms: BTreeMap<RoomId, RoomEntry>,
    links: Links,
    joins: Joins,
    spoken: Spoken,
    boards: boards::BoardDesk,
    calls: calls::Calls,
    verification: Verification,
    files: files::Files,
    team: Team,
    peers: BTreeMap<DeviceId, PeerState>,
    /// Where this device listens.
    listening: Vec<String>,
    /// Where members say that they are reached, in this run.
    told: BTreeMap<DeviceId, Vec<String>>,
    /// Where members were last reached, kept across runs.
    addresses: BTreeMap<DeviceId, Vec<String>>,
    /// Rooms whose view changed since it was last told.
    dirty: BTreeSet<RoomId>,
    started: Instant,
    ready: bool,
}

impl Driver {
    async fn run(mut self, mut requests: mpsc::Receiver<Request>, mut net_events: mpsc::Receiver<NetEvent>) {
        self.share_secrets();
        self.begin_files().await;
        let rooms: Vec<RoomId> = self.rooms.keys().copied().collect();
        for room in rooms {
            self.reach_members(room).await;
            self.tell_own_list(room).await;
        }
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let (mut farewell, mut wipe) = (None, false);
        loop {
            let sessions_due = self.sessions_due();
            let call_due = self.call_due();
            tokio::select! {
                request = requests.recv() => match request {
                    Some(Request { command: Command::Shutdown {}, reply }) => {
                        farewell = Some(reply);
                        break;
                    }
                    Some(Request { command: Command::Wipe { everything: true }, reply }) => {
                        farewell = Some(reply);
                        wipe = true;
                        break;
                    }
                    Some(Request { command, reply }) => self.handle_request(command, reply).await,
                    None => break,
                },
                Some(event) = net_events.recv() => self.handle_net(event).await,
                Some(from) = self.links.inbox.recv() => self.handle_link(from).await,
                Some(event) = self.calls.mesh_events.recv() => self.handle_mesh(event),
                Some(done) = self.boards.thread.done.recv() => self.handle_board_done(done).await,
                Some(done) = self.calls.done.recv() => self.handle_media_done(done),
                Some(from) = self.files.next() => self.handle_files(from).await,
                Some(done) = self.verification.done() => self.handle_code_done(done).await,
                Some(done) = self.team.done() => self.handle_team_done(done).await,
                _ = tick.tick() => self.handle_tick().await,
                () = tokio::time::sleep_until(sessions_due.into()) => self.handle_sessions_tick(),
                // What is said of a call is waited for by people: a tick would be felt.
                () = tokio::time::sleep_until(call_due.unwrap_or_else(Instant::now).into()), if call_due.is_some() => {
                    self.handle_call_tick();
                }
            }
            self.tell_files().await;
            self.boards_merge();
            self.tell_changes();
        }
        self.shut_down(farewell, wipe).await;
    }

    async fn shut_down(mut self, farewell: Option<oneshot::Sender<Result<Reply, CommandError>>>, wipe: bool) {
        self.boards_shut_down().await;
        self.leave_for_good().await;
        let rooms: Vec<RoomId> = self.rooms.keys().copied().collect();
        rooms.into_iter().for_each(|room| self.leave_session(room));
        self.files.stop().await;
        self.net.shutdown().await;
        let mut closed = self.store.close().await;
        if wipe {
            let data = self.data.clone();
            let wiped = tokio::task::spawn_blocking(move || Store::wipe(&data)).await;
            closed = wiped.unwrap_or_else(|error| Err(StoreError::failed("wiping", error)));
        }
        if let Err(error) = &closed {
            tracing::error!(%error, "the store did not close cleanly");
        }
        self.publish(Event::Stopped {});
        if let Some(farewell) = farewell {
            let _ = farewell.send(closed.map(|()| Reply::Done {}).map_err(Into::into));
        }
    }

    fn publish(&self, event: Event) {
        // Without a reader there is nobody to tell.
        let _ = self.events.send(event);
    }

    fn now_ms(&self) -> u64 {
        now_ms()
    }

    /// Time since the start of the loop: the clock of the machines that live by it.
    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// Tells of the rooms that changed, once for everything that happened in a turn of the loop.
    fn tell_changes(&mut self) {
        for room in std::mem::take(&mut self.dirty) {
            if let Ok(room) = self.room_view(room) {
                self.publish(Event::RoomChanged { room });
            }
        }
        self.tell_call();
    }

    async fn handle_link(&mut self, from: FromLink) {
        match from {
            FromLink::Up { id, key, opened_here, proved_by, writer, task } => {
                // Deleted or left meanwhile.
                if self.rooms.get(&key.room).is_none_or(|entry| entry.room.my_role().is_none()) {
                    task.abort();
                    return;
                }
                if let Some(id) = self.links.handle_up(id, key, (opened_here, proved_by), writer, task) {
                    match key.name {
                        StreamName::Room => self.greet(id),
                        StreamName::Live => self.greet_live(id),
                        StreamName::Knock | StreamName::Speak | StreamName::File | StreamName::FileData => {}
                    }
                }
            }
            FromLink::FileUp { id, key, opened_here, proved_by, reader, writer } => {
                self.handle_file_link(id, key, (opened_here, proved_by), reader, writer).await;
            }
            FromLink::Frame { id, frame } => match self.links.get(id).map(|link| link.key.name) {
                Some(StreamName::Room) => self.handle_room_frame(id, &frame).await,
                Some(StreamName::Live) => self.handle_live_frame(id, &frame).await,
                // Streams of those who knock or ask for a code, and of this device's own knocks and questions, are no links of a room.
                _ if self.spoken.has(id) => self.handle_spoken_frame(id, &frame).await,
                _ => self.handle_knock_frame(id, &frame).await,
            },
            FromLink::Down { id } => match self.links.handle_down(id) {
                Some((key, was_online)) => self.handle_link_down(key, was_online).await,
                None if self.spoken.has(id) => self.handle_spoken_down(id).await,
                None => self.handle_knock_down(id).await,
            },
            FromLink::NotOpened { key } => self.links.handle_not_opened(key),
            FromLink::Stranger { id, device, name: StreamName::Speak, writer, task } => {
                self.handle_asked(id, device, writer, task).await;
            }
            FromLink::Stranger { id, device, writer, task, .. } => self.handle_knock(id, device, writer, task),
            FromLink::Asking { id, device, writer, task } => self.handle_asking(id, device, writer, task).await,
            FromLink::NotAsking { device, why } => self.handle_not_asking(device, &why).await,
            FromLink::Knocking { id, room, device, writer, task } => self.handle_knocking(id, room, device, writer, task),
            FromLink::NotKnocking { room, device, why } => self.handle_not_knocking(room, device, &why),
        }
    }

    async fn handle_link_down(&mut self, key: links::LinkKey, was_online: bool) {
        self.dirty.insert(key.room);
        self.session_disconnected(&key);
        if was_online {
            self.publish(Event::MemberOnline { room: key.room, device: key.device, online: false });
        }
        // The connection may stand: then the stream is opened again.
        if self.peers.get(&key.device).is_some_and(|peer| peer.connected) {
            self.wish_links(key.device);
            self.reach_for_files(key.room);
        }
    }

    async fn handle_tick(&mut self) {
        let rooms = &self.rooms;
        let is_member = |key: &links::LinkKey| rooms.get(&key.room).is_some_and(|entry| entry.room.acl().is_member(&key.device));
        self.links.handle_tick(Instant::now(), is_member);
        self.handle_join_tick().await;
        self.handle_spoken_tick().await;
        self.handle_call_tick();
        self.handle_team_tick();
        self.rotate_where_due().await;
        self.remove_withdrawn().await;
    }

    /// The secrets by which streams are proved, as the rooms now have them.
    fn share_secrets(&mut self) {
        for entry in self.rooms.values_mut() {
            entry.session.set_secrets(entry.room.acl().secrets());
        }
        let of = |entry: &RoomEntry| entry.room.acl().secrets().to_vec();
        self.links.set_secrets(Arc::new(self.rooms.iter().map(|(room, entry)| (*room, of(entry))).collect()));
    }

    /// Someone left by their own wish: the most senior admin who is there makes another secret.
    async fn rotate_where_due(&mut self) {
        let due: Vec<RoomId> = self
            .rooms
            .iter()
            .filter(|(room, entry)| entry.room.acl().rotation_due() && self.is_most_senior_here(**room, entry))
            .map(|(room, _)| *room)
            .collect();
        for room in due {
            let now = self.now_ms();
            let Ok(entry) = self.entry(room) else { continue };
            match entry.room.rotate(now, &mut rng()) {
                Ok(applied) => {
                    if let Err(error) = self.settle(room, applied, None, Batch::new()).await {
                        self.publish(Event::Problem { error: error.into() });
                    }
                }
                Err(refusal) => tracing::debug!(%refusal, "the secret could not be rotated"),
            }
        }
    }

    /// An admin here, and no senior one is online.
    fn is_most_senior_here(&self, room: RoomId, entry: &RoomEntry) -> bool {
        let acl = entry.room.acl();
        let Some(mine) = acl.admin_rank(&entry.room.me()) else { return false };
        !acl.roster().any(|member| {
            acl.admin_rank(&member.device).is_some_and(|rank| rank < mine) && self.links.is_online(room, member.device)
        })
    }

    fn problem(&self, code: ErrorCode, message: impl Into<String>) {
        let error = ErrorView::from(CommandError::new(code, message));
        self.publish(Event::Problem { error });
    }
}
