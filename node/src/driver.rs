//! The one event loop of a node. It moves what happens to the machines of `conclave-protocol` and carries out what they ask for; it
//! decides nothing, and it never waits for a peer.

mod calls;
mod chat;
mod identity;
mod joins;
mod links;
mod rooms;
mod sessions;
mod views;
mod whereabouts;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use conclave_protocol::id::{DeviceId, RoomId};
use conclave_protocol::room::Room;
use conclave_protocol::room::record::Record;
use getrandom::SysRng;
use rand_core::UnwrapErr;
use tokio::sync::{broadcast, mpsc, oneshot};

use self::calls::Change;
use self::identity::Me;
use self::joins::Joins;
use self::links::{FromLink, Links};
use self::rooms::RoomEntry;
use crate::command::{Command, Reply};
use crate::config::Config;
use crate::error::{CommandError, ErrorCode};
use crate::event::Event;
use crate::handle::Request;
use crate::net::{Net, NetConfig, NetError, NetEvent, StreamName};
use crate::pictures::PictureSlots;
use crate::store::{Batch, Store, StoreError, StoreHandle};
use crate::view::{ErrorView, PeerView, StateView};

/// How often the machines that live by time are asked. Their own deadlines are whole seconds.
const TICK: Duration = Duration::from_millis(250);
/// Longest value of a setting, in bytes.
const MAX_SETTING: usize = 4096;
/// Addresses of a member that are kept across runs.
const MAX_ADDRESSES: usize = 12;
/// Devices nearby that are kept in view. Past it further ones are not shown; they can still be reached.
const MAX_PEERS: usize = 4096;

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
    let net_config = NetConfig { listen: config.listen.clone(), mdns: config.mdns };
    let opened = tokio::task::spawn_blocking(move || {
        let (me, store) = Me::open(&config, now_ms())?;
        let rooms = store
            .rooms()?
            .into_iter()
            .map(|room| Ok((room, load_room(&store, room)?)))
            .collect::<Result<Vec<_>, StoreError>>()?;
        let addresses = store.addresses()?;
        Ok::<_, CommandError>((me, store, rooms, addresses))
    });
    let (me, store, loaded, addresses) =
        opened.await.map_err(|_| CommandError::new(ErrorCode::StoreFailed, "The store could not be opened."))??;
    let store = StoreHandle::start(store)?;
    let (net, net_events) = Net::start(&me.device.seed(), &net_config).map_err(net_refused)?;
    let incarnation = {
        use rand_core::Rng;
        rng().next_u64()
    };
    let started = Instant::now();
    let mut rooms = BTreeMap::new();
    for (id, loaded) in loaded {
        match Room::load(me.in_rooms()?, id, loaded.records, incarnation) {
            Ok(room) => {
                let session = sessions::begin(id, &me.device, started.elapsed());
                rooms.insert(id, RoomEntry::new(room, chat::read_mark(loaded.read_mark), incarnation, session));
            }
            // One room that cannot be read does not take the others with it; its records stay where they are.
            Err(error) => {
                tracing::error!(%error, "a room could not be opened");
                let error = CommandError::new(ErrorCode::StoreDamaged, format!("One of the rooms could not be opened: {error}."));
                let _ = events.send(Event::Problem { error: error.into() });
            }
        }
    }
    let driver = Driver {
        links: Links::new(net.clone()),
        joins: Joins::default(),
        calls: calls::Calls::new(pictures),
        me,
        store,
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
}

fn load_room(store: &Store, room: RoomId) -> Result<Loaded, StoreError> {
    let rows = store.load_records(&room)?;
    let records = rows.iter().filter_map(|(_, bytes)| {
        Record::decode(bytes).inspect_err(|error| tracing::error!(%error, "a record could not be read and is left out")).ok()
    });
    Ok(Loaded { records: records.collect(), read_mark: store.note(Some(&room), chat::READ_MARK)? })
}

/// A device on the network.
#[derive(Debug, Default)]
struct PeerState {
    discovered: bool,
    connected: bool,
    transport: Option<String>,
    addresses: Vec<String>,
    /// The other end of the newest connection.
    reached: Option<String>,
    rtt_ms: Option<u32>,
}

/// The state of the loop. Each field has one module that changes it.
struct Driver {
    me: Me,
    store: StoreHandle,
    net: Net,
    events: broadcast::Sender<Event>,
    /// Random at each start: the part of an operation's id that keeps two runs apart.
    incarnation: u64,
    rooms: BTreeMap<RoomId, RoomEntry>,
    links: Links,
    joins: Joins,
    calls: calls::Calls,
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
        let rooms: Vec<RoomId> = self.rooms.keys().copied().collect();
        for room in rooms {
            self.reach_members(room).await;
        }
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut farewell = None;
        loop {
            let sessions_due = self.sessions_due();
            let call_due = self.call_due();
            tokio::select! {
                request = requests.recv() => match request {
                    Some(Request { command: Command::Shutdown {}, reply }) => {
                        farewell = Some(reply);
                        break;
                    }
                    Some(Request { command, reply }) => self.handle_request(command, reply).await,
                    None => break,
                },
                Some(event) = net_events.recv() => self.handle_net(event).await,
                Some(from) = self.links.inbox.recv() => self.handle_link(from).await,
                Some(event) = self.calls.mesh_events.recv() => self.handle_mesh(event),
                Some(done) = self.calls.done.recv() => self.handle_media_done(done),
                _ = tick.tick() => self.handle_tick().await,
                () = tokio::time::sleep_until(sessions_due.into()) => self.handle_sessions_tick(),
                // What is said of a call is waited for by people: a tick would be felt.
                () = tokio::time::sleep_until(call_due.unwrap_or_else(Instant::now).into()), if call_due.is_some() => {
                    self.handle_call_tick();
                }
            }
            self.tell_changes();
        }
        self.shut_down(farewell).await;
    }

    async fn shut_down(mut self, farewell: Option<oneshot::Sender<Result<Reply, CommandError>>>) {
        self.leave_for_good().await;
        let rooms: Vec<RoomId> = self.rooms.keys().copied().collect();
        rooms.into_iter().for_each(|room| self.leave_session(room));
        self.net.shutdown().await;
        let closed = self.store.close().await;
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

    /// Answers a command, or passes it on to what will: a device takes its time, for which the loop does not wait.
    async fn handle_request(&mut self, command: Command, reply: calls::Answer) {
        let answer = match command {
            Command::ProfileShow {} => Ok(Reply::Profile { profile: self.me.view() }),
            Command::ProfileRename { name } => self.profile_rename(&name).await,
            Command::State {} => Ok(Reply::State { state: Box::new(self.state()) }),
            Command::RoomCreate { name, approval, full_history } => self.room_create(name, approval, full_history).await,
            Command::RoomList {} => Ok(Reply::Rooms { rooms: self.room_views() }),
            Command::RoomShow { room } => self.room_view(room).map(|room| Reply::Room { room }),
            Command::RoomInvite { room, role, uses, expires_s, approval } => {
                self.room_invite(room, role.into(), uses, expires_s, approval).await
            }
            Command::RoomJoin { link, address } => self.room_join(&link, address.as_deref()).await,
            Command::RoomJoinCancel { room } => self.room_join_cancel(room).await,
            Command::RoomApprove { room, device } => self.room_answer(room, device, true).await,
            Command::RoomRefuse { room, device } => self.room_answer(room, device, false).await,
            Command::RoomRole { room, device, role } => self.room_role(room, device, role.into()).await,
            Command::RoomRevoke { room, device } => self.room_revoke(room, device).await,
            Command::RoomLeave { room } => self.room_leave(room).await,
            Command::RoomDelete { room } => self.room_delete(room).await,
            Command::ChatSend { room, body, reply_to } => self.chat_send(room, &body, reply_to).await,
            Command::ChatEdit { room, message, body } => self.chat_edit(room, message, &body).await,
            Command::ChatDelete { room, message } => self.chat_delete(room, message).await,
            Command::ChatReact { room, message, emoji, on } => self.chat_react(room, message, &emoji, on).await,
            Command::ChatRead { room, limit, before } => self.chat_read(room, limit, before),
            Command::ChatSearch { query, room, limit } => self.chat_search(&query, room, limit),
            Command::ChatMarkRead { room, message } => self.chat_mark_read(room, message).await,
            Command::CallLeave {} => self.call_leave(),
            Command::CallDeafen { on } => self.call_deafen(on),
            Command::NetPeers {} => Ok(Reply::Peers { peers: self.peer_views() }),
            Command::NetDial { address } => self.net_dial(&address).await,
            Command::NetDiagnose {} => self.net_diagnose().await,
            Command::SettingGet { key } => self.setting_get(key).await,
            Command::SettingSet { key, value } => self.setting_set(&key, value.as_deref()).await,
            Command::CallJoin { room, mic, mic_on, camera, speaker } => self.call_join_with(room, (mic, mic_on), camera, speaker),
            Command::CallMic { on, source } => return self.change(Change::Mic { source, on }, Some(reply)),
            Command::CallCamera { source } => return self.change(Change::Camera(source), Some(reply)),
            Command::CallScreen { source } => return self.change(Change::Screen(source), Some(reply)),
            Command::CallSpeaker { sink } => return self.change(Change::Speaker(sink), Some(reply)),
            Command::CallRecord { dir } => return self.change(Change::Record(dir), Some(reply)),
            Command::MediaDevices {} => return calls::list_devices(reply),
            Command::MediaPreview { source } => return self.media_preview(source, reply),
            // The loop ends by it and answers then.
            Command::Shutdown {} => Ok(Reply::Done {}),
        };
        self.tell_changes();
        // Whoever asked may have gone.
        let _ = reply.send(answer);
    }

    fn state(&self) -> StateView {
        StateView {
            profile: self.me.view(),
            rooms: self.room_views(),
            joins: self.joins.views(),
            call: self.call_view(),
            peers: self.peer_views(),
        }
    }

    async fn net_dial(&mut self, address: &str) -> Result<Reply, CommandError> {
        let addresses = crate::net::address::parse_dial(address)
            .map_err(|error| CommandError::new(ErrorCode::BadRequest, error.to_string()))?;
        self.net.dial(None, addresses).await.map_err(net_refused)?;
        Ok(Reply::Done {})
    }

    async fn net_diagnose(&self) -> Result<Reply, CommandError> {
        Ok(Reply::Diagnosis { diagnosis: self.net.diagnosis().await.map_err(net_refused)? })
    }

    async fn setting_get(&self, key: String) -> Result<Reply, CommandError> {
        check_setting(&key, None)?;
        Ok(Reply::Setting { value: self.store.read(move |store| store.setting(&key)).await? })
    }

    async fn setting_set(&self, key: &str, value: Option<&str>) -> Result<Reply, CommandError> {
        check_setting(key, value)?;
        self.store.commit(Batch::new().setting(key, value)).await?;
        Ok(Reply::Done {})
    }

    async fn handle_net(&mut self, event: NetEvent) {
        match event {
            NetEvent::Listening(listening) => {
                self.listening.clone_from(&listening);
                self.tell_everyone_where();
                if std::mem::replace(&mut self.ready, true) {
                    self.publish(Event::Listening { listening });
                } else {
                    self.publish(Event::Ready { profile: self.me.view(), listening });
                }
            }
            NetEvent::Discovered { device, addresses, after_ms } => {
                let Some(peer) = self.peer(device) else { return };
                let news = !std::mem::replace(&mut peer.discovered, true);
                peer.addresses = addresses;
                if news {
                    let peer = peer_view(device, peer);
                    self.publish(Event::PeerDiscovered { peer, after_ms });
                }
                self.handle_neighbour(device).await;
            }
            NetEvent::Expired { device } => {
                if let Some(peer) = self.peers.get_mut(&device) {
                    peer.discovered = false;
                    if !peer.connected {
                        self.peers.remove(&device);
                    }
                }
            }
            NetEvent::Connected { device, transport, address } => {
                let Some(peer) = self.peer(device) else { return };
                peer.connected = true;
                peer.transport = Some(transport.as_str().to_owned());
                peer.reached = Some(address.clone());
                let view = peer_view(device, peer);
                self.publish(Event::PeerConnected { peer: view });
                self.wish_links(device);
                self.handle_neighbour(device).await;
                self.remember_address(device, address).await;
            }
            NetEvent::Moved { device, transport, .. } => {
                if let Some(peer) = self.peers.get_mut(&device) {
                    peer.transport = Some(transport.as_str().to_owned());
                }
            }
            NetEvent::Disconnected { device } => {
                if let Some(peer) = self.peers.get_mut(&device) {
                    peer.connected = false;
                    peer.transport = None;
                    peer.rtt_ms = None;
                    if !peer.discovered {
                        self.peers.remove(&device);
                    }
                }
                self.links.unwish(device, None);
                self.publish(Event::PeerLost { device });
            }
            NetEvent::Rtt { device, ms } => {
                if let Some(peer) = self.peers.get_mut(&device) {
                    peer.rtt_ms = Some(ms);
                }
            }
            NetEvent::Inbound { stream, .. } => self.links.accept(stream),
            NetEvent::DialFailed { .. } => {}
        }
    }

    fn peer(&mut self, device: DeviceId) -> Option<&mut PeerState> {
        if self.peers.len() >= MAX_PEERS && !self.peers.contains_key(&device) {
            // A neighbour that was only heard of makes room for the next.
            let stranger = self.peers.iter().find(|(_, peer)| !peer.connected).map(|(device, _)| *device)?;
            self.peers.remove(&stranger);
        }
        Some(self.peers.entry(device).or_default())
    }

    fn peer_views(&self) -> Vec<PeerView> {
        self.peers.iter().map(|(device, peer)| peer_view(*device, peer)).collect()
    }

    async fn handle_link(&mut self, from: FromLink) {
        match from {
            FromLink::Up { id, key, opened_here, writer, task } => {
                // Deleted or left meanwhile.
                if self.rooms.get(&key.room).is_none_or(|entry| entry.room.my_role().is_none()) {
                    task.abort();
                    return;
                }
                if let Some(id) = self.links.handle_up(id, key, opened_here, writer, task) {
                    match key.name {
                        StreamName::Room => self.greet(id),
                        StreamName::Live => self.greet_live(id),
                        StreamName::Knock => {}
                    }
                }
            }
            FromLink::Frame { id, frame } => match self.links.get(id).map(|link| link.key.name) {
                Some(StreamName::Room) => self.handle_room_frame(id, &frame).await,
                Some(StreamName::Live) => self.handle_live_frame(id, &frame).await,
                // Streams of those who knock, and of this device's own knocks, are no links of a room.
                Some(StreamName::Knock) | None => self.handle_knock_frame(id, &frame).await,
            },
            FromLink::Down { id } => match self.links.handle_down(id) {
                Some((key, was_online)) => self.handle_link_down(key, was_online).await,
                None => self.handle_knock_down(id).await,
            },
            FromLink::NotOpened { key } => self.links.handle_not_opened(key),
            FromLink::Knock { id, device, writer, task } => self.handle_knock(id, device, writer, task),
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
        }
    }

    async fn handle_tick(&mut self) {
        let rooms = &self.rooms;
        let is_member = |key: &links::LinkKey| rooms.get(&key.room).is_some_and(|entry| entry.room.acl().is_member(&key.device));
        self.links.handle_tick(Instant::now(), is_member);
        self.handle_join_tick().await;
        self.handle_call_tick();
        self.rotate_where_due().await;
    }

    /// A device is connected: the streams of every room that both belong to are to stand.
    fn wish_links(&mut self, device: DeviceId) {
        for (room, entry) in &self.rooms {
            if entry.room.my_role().is_some() && entry.room.acl().is_member(&device) {
                self.links.wish(device, *room);
            }
        }
    }

    /// Keeps a connection to every member of a room.
    async fn reach_members(&mut self, room: RoomId) {
        let Some(entry) = self.rooms.get(&room) else { return };
        if entry.room.my_role().is_none() {
            return;
        }
        let me = entry.room.me();
        let members: Vec<DeviceId> =
            entry.room.acl().roster().map(|member| member.device).filter(|device| *device != me).collect();
        for device in members {
            let known = self.addresses.get(&device).map(Vec::as_slice).unwrap_or_default();
            let addresses = known.iter().filter_map(|address| address.parse().ok()).collect();
            if self.net.want(device, addresses).await.is_err() {
                return;
            }
            if let Some(peer) = self.peers.get(&device).filter(|peer| peer.connected) {
                // Whoever let this device in was connected before they were a member of any room here.
                let reached = peer.reached.clone();
                self.links.wish(device, room);
                if let Some(address) = reached {
                    self.remember_address(device, address).await;
                }
            }
        }
    }

    /// Lets go of devices that no room needs any more.
    async fn review_wanted(&mut self) {
        self.forget_whereabouts();
        let known: Vec<DeviceId> = self.peers.keys().copied().collect();
        for device in known {
            let shared = self.rooms.values().any(|entry| entry.room.my_role().is_some() && entry.room.acl().is_member(&device));
            if !shared && self.net.unwant(device).await.is_err() {
                return;
            }
        }
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
            .filter(|(room, entry)| {
                let acl = entry.room.acl();
                let senior_is_here = || {
                    let mine = acl.admin_rank(&entry.room.me());
                    acl.roster().any(|member| {
                        acl.admin_rank(&member.device).is_some_and(|rank| mine.is_some_and(|mine| rank < mine))
                            && self.links.is_online(**room, member.device)
                    })
                };
                acl.rotation_due() && acl.is_admin(&entry.room.me()) && !senior_is_here()
            })
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

    /// Where a device was reached last.
    async fn remember_address(&mut self, device: DeviceId, address: String) {
        self.remember_addresses(device, vec![address]).await;
    }

    /// Keeps where a member may be found in the next run: the newest first.
    async fn remember_addresses(&mut self, device: DeviceId, newest: Vec<String>) {
        if !self.rooms.values().any(|entry| entry.room.acl().is_member(&device)) {
            return;
        }
        let known = self.addresses.entry(device).or_default();
        let mut merged = newest;
        merged.extend(known.iter().filter(|address| !merged.contains(address)).cloned().collect::<Vec<_>>());
        merged.truncate(MAX_ADDRESSES);
        if *known == merged {
            return;
        }
        *known = merged;
        let batch = Batch::new().addresses(&device, known);
        if let Err(error) = self.store.commit(batch).await {
            self.publish(Event::Problem { error: CommandError::from(error).into() });
        }
    }

    fn problem(&self, code: ErrorCode, message: impl Into<String>) {
        let error = ErrorView::from(CommandError::new(code, message));
        self.publish(Event::Problem { error });
    }
}

fn peer_view(device: DeviceId, peer: &PeerState) -> PeerView {
    PeerView {
        device,
        connected: peer.connected,
        transport: peer.transport.clone(),
        addresses: peer.addresses.clone(),
        rtt_ms: peer.rtt_ms,
    }
}

fn check_setting(key: &str, value: Option<&str>) -> Result<(), CommandError> {
    if key.is_empty() || key.len() > 128 || value.is_some_and(|value| value.len() > MAX_SETTING) {
        return Err(CommandError::new(ErrorCode::BadRequest, "A setting has a name of 1 to 128 bytes and at most 4 KiB."));
    }
    Ok(())
}
