//! Meshes in one process, with the signalling carried between them in memory.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use conclave_node::pictures::PictureSlots;
use conclave_node::rtc::keys::MediaKeys;
use conclave_node::rtc::mesh::{Mesh, MeshConfig, MeshEvent};
use conclave_node::rtc::transport::TransportFactory;
use conclave_node::view::{LinkState, LinkStats, StreamKind};
use conclave_protocol::id::{CallId, DeviceId, RoomId, SessionId};
use conclave_protocol::identity::DeviceKey;
use conclave_protocol::media::frame_cipher::BASE_KEY_LEN;
use conclave_protocol::negotiation::Signal;
use conclave_protocol::session::Epoch;
use tokio::sync::{Notify, mpsc};
use zeroize::Zeroizing;

/// Generous: two cores may be shared with a compiler.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// What becomes of a signal on its way: several, one or none, to whom they are said to be.
pub(crate) type Wire = Arc<dyn Fn(DeviceId, DeviceId, Signal) -> Vec<(DeviceId, DeviceId, Signal)> + Send + Sync>;

pub(crate) struct Hall {
    meshes: Arc<Mutex<BTreeMap<DeviceId, Weak<Mesh>>>>,
    wire: Wire,
    call: CallId,
    /// Everyone who ever came, in the order in which they came: each makes a new epoch.
    seats: Mutex<Vec<(DeviceId, MediaKeys)>>,
    epochs: AtomicU64,
}

/// What a session of these people has come to: this epoch and the one before.
pub(crate) fn epochs(people: &[DeviceId], number: u64) -> Vec<Epoch> {
    let roster: BTreeMap<u32, DeviceId> = people.iter().enumerate().map(|(leaf, person)| (leaf as u32, *person)).collect();
    let epoch = |number: u64| Epoch {
        session: SessionId([7; 32]),
        epoch: number,
        writer: people[0],
        roster: roster.clone(),
        authenticator: Zeroizing::new(vec![0; 32]),
        exports: vec![Zeroizing::new(vec![number as u8; BASE_KEY_LEN])],
        send_from: Duration::ZERO,
        accept_until: None,
    };
    (number.saturating_sub(1)..=number).map(epoch).collect()
}

pub(crate) struct Member {
    pub(crate) id: DeviceId,
    pub(crate) mesh: Arc<Mesh>,
    pub(crate) pictures: PictureSlots,
    seen: Arc<Seen>,
    seed: [u8; 32],
}

#[derive(Default)]
struct Seen {
    events: Mutex<Vec<MeshEvent>>,
    more: Notify,
}

impl Hall {
    pub(crate) fn new() -> Self {
        Self::with_wire(Arc::new(|from, to, signal| vec![(from, to, signal)]))
    }

    pub(crate) fn with_wire(wire: Wire) -> Self {
        super::log();
        Self { meshes: Arc::default(), wire, call: CallId([7; 16]), seats: Mutex::default(), epochs: AtomicU64::new(0) }
    }

    pub(crate) fn member(&self) -> Member {
        self.member_with(None)
    }

    pub(crate) fn member_with(&self, transports: Option<Arc<dyn TransportFactory>>) -> Member {
        self.seat(transports, *DeviceKey::generate(&mut rand_core::UnwrapErr(getrandom::SysRng)).seed())
    }

    /// The same device, started anew.
    pub(crate) fn member_again(&self, before: &Member) -> Member {
        self.seat(None, before.seed)
    }

    fn keys(&self, id: DeviceId) -> MediaKeys {
        let mut seats = self.seats.lock().unwrap();
        let keys = MediaKeys::new(id);
        seats.retain(|(seated, _)| *seated != id);
        seats.push((id, keys.clone()));
        let people: Vec<DeviceId> = seats.iter().map(|(id, _)| *id).collect();
        let number = self.epochs.fetch_add(1, Ordering::Relaxed);
        for (_, keys) in seats.iter() {
            keys.set_epochs(&epochs(&people, number), Duration::ZERO);
        }
        keys
    }

    fn seat(&self, transports: Option<Arc<dyn TransportFactory>>, seed: [u8; 32]) -> Member {
        let key = DeviceKey::from_seed(&seed);
        let (id, pictures) = (key.id(), PictureSlots::default());
        let (events, mut receiver) = mpsc::channel(256);
        let mesh = Mesh::start(MeshConfig {
            me: Arc::new(key),
            room: RoomId([3; 32]),
            call: self.call,
            events,
            pictures: pictures.clone(),
            keys: self.keys(id),
            processing: conclave_media::audio::SoundProcessing::default(),
            transports,
            addresses: Some(vec![IpAddr::V4(Ipv4Addr::LOCALHOST)]),
        });
        let mesh = Arc::new(mesh.unwrap());
        let seen = Arc::new(Seen::default());
        self.meshes.lock().unwrap().insert(id, Arc::downgrade(&mesh));
        let (meshes, wire, log) = (Arc::clone(&self.meshes), Arc::clone(&self.wire), Arc::clone(&seen));
        tokio::spawn(async move {
            while let Some(event) = receiver.recv().await {
                if let MeshEvent::Signal { to, signal } = event {
                    for (from, to, signal) in wire(id, to, signal) {
                        let mesh = meshes.lock().unwrap().get(&to).and_then(Weak::upgrade);
                        if let Some(mesh) = mesh {
                            mesh.signal(from, signal);
                        }
                    }
                } else {
                    log.events.lock().unwrap().push(event);
                    log.more.notify_waiters();
                }
            }
        });
        Member { id, mesh, pictures, seen, seed }
    }
}

impl Member {
    /// The first event that fits, from the beginning.
    pub(crate) async fn until<T>(&self, what: &str, wanted: impl Fn(&MeshEvent) -> Option<T>) -> T {
        let waiting = async {
            loop {
                let more = self.seen.more.notified();
                tokio::pin!(more);
                more.as_mut().enable();
                if let Some(found) = self.seen.events.lock().unwrap().iter().find_map(&wanted) {
                    return found;
                }
                more.await;
            }
        };
        match tokio::time::timeout(PATIENCE, waiting).await {
            Ok(found) => found,
            Err(_) => panic!("no {what}; seen: {:?}", self.seen.events.lock().unwrap().iter().rev().take(8).collect::<Vec<_>>()),
        }
    }

    pub(crate) fn forget_events(&self) {
        self.seen.events.lock().unwrap().clear();
    }

    pub(crate) fn saw(&self, wanted: impl Fn(&MeshEvent) -> bool) -> bool {
        self.seen.events.lock().unwrap().iter().any(wanted)
    }

    pub(crate) async fn connected(&self, to: DeviceId) -> u64 {
        self.until("connection", |event| match event {
            MeshEvent::Link { peer, state: LinkState::Connected, after_ms } if *peer == to => Some(*after_ms),
            _ => None,
        })
        .await
    }

    pub(crate) async fn first_frame(&self, of: DeviceId, kind: StreamKind) -> u64 {
        self.until("first frame", |event| match event {
            MeshEvent::FirstFrame { peer, stream, after_ms } if *peer == of && *stream == kind => Some(*after_ms),
            _ => None,
        })
        .await
    }

    pub(crate) async fn stats(&self, of: DeviceId, what: &str, fits: impl Fn(&LinkStats, f32) -> bool) -> LinkStats {
        self.until(what, |event| match event {
            MeshEvent::Stats { peer, stats, level } if *peer == of && fits(stats, *level) => Some(*stats),
            _ => None,
        })
        .await
    }

    pub(crate) async fn mismatch(&self, of: DeviceId) -> String {
        self.until("mismatch", |event| match event {
            MeshEvent::Mismatch { peer, message } if *peer == of => Some(message.clone()),
            _ => None,
        })
        .await
    }

    pub(crate) async fn close(self) {
        let mut mesh = self.mesh;
        loop {
            match Arc::try_unwrap(mesh) {
                Ok(mesh) => return mesh.close().await,
                // A signal is just being delivered.
                Err(shared) => mesh = shared,
            }
            tokio::task::yield_now().await;
        }
    }
}

/// Everyone with everyone.
pub(crate) fn introduce(members: &[&Member]) {
    for a in members {
        for b in members {
            a.mesh.add_peer(b.id);
        }
    }
}
