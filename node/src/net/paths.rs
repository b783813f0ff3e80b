//! Whom to dial and when, and which of two connections to keep: a pure machine. Time is an argument, in `Duration` since the
//! network started; it reads no clock, opens nothing, and holds a bounded number of devices and addresses.

use std::collections::BTreeMap;
use std::time::Duration;

use conclave_protocol::id::DeviceId;
use libp2p::Multiaddr;
use libp2p::swarm::ConnectionId;

use super::TransportName;
use super::address::transport_of;

/// Devices that are remembered. A new one takes the place of one that nobody needs, or is not remembered.
const MAX_DEVICES: usize = 1_024;
/// Addresses of a device from each source; later ones are ignored.
const MAX_ADDRESSES: usize = 16;
/// The device with the lower id dials at once. The other one waits so long for it and then dials too: the lower one may be behind
/// a firewall, or not have seen the neighbour.
const YIELD: Duration = Duration::from_millis(700);
/// Wait before the second attempt; doubled for each further one.
const FIRST_BACKOFF: Duration = Duration::from_secs(1);
/// Longest wait between two attempts.
const LAST_BACKOFF: Duration = Duration::from_secs(30);
/// Attempts to reach a neighbour whom nobody asked for.
const UNASKED_ATTEMPTS: u32 = 5;
/// Two connections stand for so long before one is closed: an attempt over the slower transport may be ending by itself.
const JUDGE_AFTER: Duration = Duration::from_secs(1);
/// Two connections that both carry streams are judged again after so long …
const JUDGE_AGAIN: Duration = Duration::from_secs(1);
/// … and not beyond this.
const JUDGE_LAST: Duration = Duration::from_secs(6);
/// The device with the lower id judges. The other one does so only if the first one has not for so much longer.
const JUDGE_YIELD: Duration = Duration::from_secs(4);

/// Where two devices dial each other, or one tries several addresses at once, a connection may stand on one side for a moment and be
/// given up by the other for a better one. The end of the first connection within so long …
const UNSETTLED: Duration = Duration::from_secs(1);
/// … counts only if none stands after so much longer.
const APART_AFTER: Duration = Duration::from_millis(400);

/// A device that is reached through a relay is tried without it after so long, and then ever more seldom.
const UPGRADE_AFTER: Duration = Duration::from_secs(2);

/// What the network is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Act {
    Dial {
        device: DeviceId,
        addresses: Vec<Multiaddr>,
    },
    /// The device is reached through a relay alone: try these beside it.
    Upgrade {
        device: DeviceId,
        addresses: Vec<Multiaddr>,
    },
    Close {
        connection: ConnectionId,
    },
    /// The device is gone after all: see [`Left::Unsettled`].
    Gone {
        device: DeviceId,
    },
}

/// What a new connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Came {
    /// The first one to the device.
    First,
    /// The only one, in the place of one that did not last.
    Instead,
    /// One beside the path.
    Beside,
    /// A direct one beside one through a relay: it is the path from here on.
    Better,
}

/// A standing connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Path {
    pub(crate) connection: ConnectionId,
    pub(crate) dialled_by_me: bool,
    pub(crate) transport: TransportName,
    pub(crate) address: Multiaddr,
}

impl Path {
    fn is_relayed(&self) -> bool {
        self.transport == TransportName::Relay
    }
}

/// What a closed connection leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Left {
    /// Nothing: the device is gone.
    Nobody,
    /// Another connection, which is the path from here on.
    Moved(Path),
    /// The path is the same as before.
    Same,
    /// No connection, but another one is likely: [`Act::Gone`] follows where none comes.
    Unsettled,
}

#[derive(Debug, Default)]
struct Device {
    wanted: bool,
    /// Speaks libp2p, but not Conclave.
    foreign: bool,
    shown: Vec<Multiaddr>,
    told: Vec<Multiaddr>,
    hinted: Vec<Multiaddr>,
    /// In the order in which they were established.
    paths: Vec<Path>,
    dialling: bool,
    failures: u32,
    dial_at: Option<Duration>,
    /// When the device came to be connected.
    since: Duration,
    /// When it is gone, if nothing connects it before.
    gone_at: Option<Duration>,
    /// When a direct connection is tried next, where there is one through a relay alone, and how often it was.
    upgrade: Option<(Duration, u32)>,
    /// When two connections were first seen, and when they are judged next.
    twofold: Option<(Duration, Duration)>,
}

impl Device {
    fn addresses(&self) -> Vec<Multiaddr> {
        let mut all: Vec<Multiaddr> = Vec::new();
        for address in self.shown.iter().chain(&self.told).chain(&self.hinted) {
            if all.len() < MAX_ADDRESSES && !all.contains(address) {
                all.push(address.clone());
            }
        }
        all
    }

    /// Those that go through no relay.
    fn direct(&self) -> Vec<Multiaddr> {
        let mut addresses = self.addresses();
        addresses.retain(|address| transport_of(address) != Some(TransportName::Relay));
        addresses
    }

    fn is_relayed(&self) -> bool {
        !self.paths.is_empty() && self.paths.iter().all(Path::is_relayed)
    }

    fn is_idle(&self) -> bool {
        !self.wanted && self.paths.is_empty() && !self.dialling && self.gone_at.is_none()
    }
}

/// The machine.
#[derive(Debug)]
pub(crate) struct Paths {
    me: DeviceId,
    devices: BTreeMap<DeviceId, Device>,
}

impl Paths {
    pub(crate) fn new(me: DeviceId) -> Self {
        Self { me, devices: BTreeMap::new() }
    }

    /// mDNS shows a device. Gives the addresses that are new.
    pub(crate) fn handle_discovered(&mut self, device: DeviceId, addresses: Vec<Multiaddr>, now: Duration) -> Vec<Multiaddr> {
        let rank = self.rank(device);
        let Some(known) = self.entry(device) else { return Vec::new() };
        let new = extend(&mut known.shown, addresses);
        if !new.is_empty() && !known.foreign {
            // A new address is a new chance: the device may have come back with other ports.
            known.failures = 0;
            known.schedule(now + rank);
        }
        new
    }

    /// mDNS has not heard of these addresses for long. True where it shows nothing more of the device.
    pub(crate) fn handle_expired(&mut self, device: DeviceId, addresses: &[Multiaddr]) -> bool {
        let Some(known) = self.devices.get_mut(&device) else { return false };
        let before = known.shown.len();
        known.shown.retain(|address| !addresses.contains(address));
        let gone = before > 0 && known.shown.is_empty();
        self.forget_if_empty(device);
        gone
    }

    /// The device told where it listens, by identify. What it told before is replaced.
    pub(crate) fn handle_told(&mut self, device: DeviceId, addresses: Vec<Multiaddr>) {
        if let Some(known) = self.devices.get_mut(&device) {
            known.told.clear();
            extend(&mut known.told, addresses);
        }
    }

    /// The device turned out to be another program: it is not dialled again until it is wanted.
    pub(crate) fn handle_foreign(&mut self, device: DeviceId) {
        if let Some(known) = self.devices.get_mut(&device) {
            known.foreign = true;
            known.dial_at = None;
        }
    }

    /// An interface came up: what failed before may work now.
    pub(crate) fn handle_network_change(&mut self, now: Duration) {
        let me = self.me;
        for (device, known) in &mut self.devices {
            if known.wanted && known.paths.is_empty() {
                known.failures = 0;
                known.schedule(now + rank(me, *device));
            }
        }
    }

    /// Keep a connection to this device.
    pub(crate) fn handle_want(&mut self, device: DeviceId, addresses: Vec<Multiaddr>, now: Duration) {
        let rank = self.rank(device);
        let Some(known) = self.entry(device) else { return };
        extend(&mut known.hinted, addresses);
        known.wanted = true;
        known.foreign = false;
        known.failures = 0;
        known.schedule(now + rank);
    }

    /// Through these relays any member may be reached: those who are wanted are tried at once.
    pub(crate) fn handle_circuits(&mut self, circuits: &[Multiaddr], now: Duration) {
        let me = self.me;
        for (device, known) in self.devices.iter_mut().filter(|(_, known)| known.wanted) {
            let new = !extend(&mut known.hinted, circuits.to_vec()).is_empty();
            if new && known.paths.is_empty() {
                known.failures = 0;
                known.schedule(now + rank(me, *device));
            }
        }
    }

    pub(crate) fn handle_unwant(&mut self, device: DeviceId) {
        if let Some(known) = self.devices.get_mut(&device) {
            known.wanted = false;
            known.dial_at = None;
        }
        self.forget_if_empty(device);
    }

    /// Try this device now. False where it is connected, being dialled, or nothing is known of where it is.
    pub(crate) fn handle_dial(&mut self, device: DeviceId, addresses: Vec<Multiaddr>, now: Duration) -> bool {
        let Some(known) = self.entry(device) else { return false };
        extend(&mut known.hinted, addresses);
        known.foreign = false;
        known.failures = 0;
        let possible = known.paths.is_empty() && !known.dialling && !known.addresses().is_empty();
        if possible {
            known.dial_at = Some(now);
        }
        possible
    }

    /// A connection stands.
    pub(crate) fn handle_connected(&mut self, device: DeviceId, path: Path, now: Duration) -> Came {
        let judge_after = JUDGE_AFTER + if self.me < device { Duration::ZERO } else { JUDGE_YIELD };
        // Connections are bounded elsewhere; one of them is never left out for want of room.
        let known = self.devices.entry(device).or_default();
        if path.dialled_by_me {
            known.dialling = false;
        }
        known.failures = 0;
        known.dial_at = None;
        let better = !path.is_relayed() && known.is_relayed();
        if better {
            known.paths.insert(0, path);
        } else {
            known.paths.push(path);
        }
        // Identify tells of the device's addresses in the meantime, and a hole may be punched.
        known.upgrade = known.is_relayed().then_some((now + UPGRADE_AFTER, 0));
        if known.paths.len() > 1 && known.twofold.is_none() {
            known.twofold = Some((now, now + judge_after));
        }
        match (known.paths.len(), known.gone_at.take()) {
            (1, None) => {
                known.since = now;
                Came::First
            }
            (1, Some(_)) => Came::Instead,
            _ if better => Came::Better,
            _ => Came::Beside,
        }
    }

    /// A connection has closed. A device that nobody wants is left alone until mDNS shows something new of it: either side may have
    /// closed for want of use, and dialling again would go on for ever.
    pub(crate) fn handle_closed(&mut self, device: DeviceId, connection: ConnectionId, now: Duration) -> Left {
        let me = self.me;
        let Some(known) = self.devices.get_mut(&device) else { return Left::Same };
        let Some(index) = known.paths.iter().position(|path| path.connection == connection) else { return Left::Same };
        known.paths.remove(index);
        if known.paths.len() < 2 {
            known.twofold = None;
        }
        known.upgrade = known.is_relayed().then_some((now + UPGRADE_AFTER, 0));
        if let Some(path) = known.paths.first() {
            return if index == 0 { Left::Moved(path.clone()) } else { Left::Same };
        }
        if known.wanted {
            // Both sides have just lost it, so the lower one dials first here too.
            known.schedule(now + FIRST_BACKOFF / 4 + rank(me, device));
        }
        if now < known.since + UNSETTLED && !known.foreign {
            known.gone_at = Some(now + APART_AFTER);
            return Left::Unsettled;
        }
        self.forget_if_empty(device);
        Left::Nobody
    }

    /// An attempt has failed.
    pub(crate) fn handle_dial_failed(&mut self, device: DeviceId, now: Duration) {
        let me = self.me;
        let Some(known) = self.devices.get_mut(&device) else { return };
        known.dialling = false;
        known.failures = known.failures.saturating_add(1);
        let unasked = !known.shown.is_empty() && known.failures < UNASKED_ATTEMPTS;
        if known.paths.is_empty() && !known.foreign && (known.wanted || unasked) {
            known.schedule(now + backoff(me, device, known.failures));
        }
        self.forget_if_empty(device);
    }

    /// What is due, one at a time. `live`: how many streams stand on a connection.
    pub(crate) fn poll(&mut self, now: Duration, live: impl Fn(ConnectionId) -> usize) -> Option<Act> {
        let me = self.me;
        if let Some(device) = self.devices.iter().find(|(_, known)| known.gone_at.is_some_and(|at| at <= now)).map(|(id, _)| *id)
        {
            if let Some(known) = self.devices.get_mut(&device) {
                known.gone_at = None;
            }
            self.forget_if_empty(device);
            return Some(Act::Gone { device });
        }
        for (id, known) in &mut self.devices {
            if known.dial_at.is_some_and(|at| at <= now) {
                known.dial_at = None;
                let addresses = known.addresses();
                if known.paths.is_empty() && !known.dialling && !addresses.is_empty() {
                    known.dialling = true;
                    return Some(Act::Dial { device: *id, addresses });
                }
            }
            if let Some((at, tried)) = known.upgrade
                && at <= now
            {
                let wait = UPGRADE_AFTER.saturating_mul(1 << tried.min(6)).min(LAST_BACKOFF);
                known.upgrade = Some((now + wait, tried.saturating_add(1)));
                let addresses = known.direct();
                if !addresses.is_empty() {
                    return Some(Act::Upgrade { device: *id, addresses });
                }
            }
            if let Some((since, at)) = known.twofold
                && at <= now
            {
                known.twofold = Some((since, now + JUDGE_AGAIN));
                if let Some(connection) = judge(me, *id, known, now.saturating_sub(since), &live) {
                    return Some(Act::Close { connection });
                }
            }
        }
        None
    }

    /// When [`Self::poll`] is worth calling next.
    pub(crate) fn poll_timeout(&self) -> Option<Duration> {
        self.devices
            .values()
            .flat_map(|known| [known.dial_at, known.gone_at, known.twofold.map(|(_, at)| at), known.upgrade.map(|(at, _)| at)])
            .flatten()
            .min()
    }

    /// The connection on which a stream is opened: the one that will be kept if there are two.
    pub(crate) fn best(&self, device: DeviceId, live: impl Fn(ConnectionId) -> usize) -> Option<ConnectionId> {
        let known = self.devices.get(&device)?;
        keep(self.me, device, &known.paths, &live).map(|path| path.connection)
    }

    /// Where a device may be.
    pub(crate) fn addresses(&self, device: DeviceId) -> Vec<Multiaddr> {
        self.devices.get(&device).map(Device::addresses).unwrap_or_default()
    }

    pub(crate) fn path(&self, device: DeviceId) -> Option<&Path> {
        self.devices.get(&device)?.paths.first()
    }

    pub(crate) fn is_wanted(&self, device: DeviceId) -> bool {
        self.devices.get(&device).is_some_and(|known| known.wanted)
    }

    /// Devices that mDNS shows or that are connected, without those that are other programs: (device, shown, addresses).
    pub(crate) fn devices(&self) -> impl Iterator<Item = (DeviceId, bool, Vec<Multiaddr>)> {
        self.devices
            .iter()
            .filter(|(_, known)| !known.foreign && (!known.shown.is_empty() || !known.paths.is_empty()))
            .map(|(id, known)| (*id, !known.shown.is_empty(), known.addresses()))
    }

    fn rank(&self, device: DeviceId) -> Duration {
        rank(self.me, device)
    }

    fn entry(&mut self, device: DeviceId) -> Option<&mut Device> {
        if device == self.me {
            return None;
        }
        if !self.devices.contains_key(&device) && self.devices.len() >= MAX_DEVICES {
            let spare = self.devices.iter().find(|(_, known)| known.is_idle()).map(|(id, _)| *id)?;
            self.devices.remove(&spare);
        }
        Some(self.devices.entry(device).or_default())
    }

    fn forget_if_empty(&mut self, device: DeviceId) {
        // What a device told or what was hinted stays as long as it is wanted, shown or connected.
        if self.devices.get(&device).is_some_and(|known| known.is_idle() && known.shown.is_empty() && known.dial_at.is_none()) {
            self.devices.remove(&device);
        }
    }
}

impl Device {
    fn schedule(&mut self, at: Duration) {
        if self.paths.is_empty() && !self.dialling {
            self.dial_at = Some(self.dial_at.map_or(at, |earlier| earlier.min(at)));
        }
    }
}

/// How long this device waits for the other one to dial.
fn rank(me: DeviceId, other: DeviceId) -> Duration {
    if me < other { Duration::ZERO } else { YIELD }
}

/// Doubling, with a share that differs from pair to pair so that a room does not redial in step.
fn backoff(me: DeviceId, other: DeviceId, failures: u32) -> Duration {
    let doubled =
        FIRST_BACKOFF.saturating_mul(1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX)).min(LAST_BACKOFF);
    let mixed =
        me.0.iter()
            .zip(other.0)
            .fold(failures, |sum, (mine, theirs)| sum.wrapping_mul(31).wrapping_add(u32::from(mine ^ theirs)));
    doubled + doubled.mul_f32(0.25 * (mixed % 256) as f32 / 256.0)
}

/// The connection to keep: one that goes through no relay, then one that carries streams before one that does not, then one that the lower id dialled, then the oldest.
/// Both sides come to the same answer once both have seen the same streams.
fn keep(me: DeviceId, other: DeviceId, paths: &[Path], live: impl Fn(ConnectionId) -> usize) -> Option<&Path> {
    let by_lower = |path: &Path| path.dialled_by_me == (me < other);
    paths.iter().rev().max_by_key(|path| (!path.is_relayed(), live(path.connection) > 0, by_lower(path)))
}

/// Which connection to close, if it is time.
fn judge(
    me: DeviceId,
    other: DeviceId,
    known: &Device,
    waited: Duration,
    live: impl Fn(ConnectionId) -> usize,
) -> Option<ConnectionId> {
    let kept = keep(me, other, &known.paths, &live)?.connection;
    let patience = JUDGE_LAST + if me < other { Duration::ZERO } else { JUDGE_YIELD };
    // An idle one may go at once; one with streams only when waiting for it to become idle was in vain.
    known
        .paths
        .iter()
        .map(|path| path.connection)
        .filter(|connection| *connection != kept)
        .find(|connection| live(*connection) == 0 || waited >= patience)
}

fn extend(known: &mut Vec<Multiaddr>, addresses: Vec<Multiaddr>) -> Vec<Multiaddr> {
    let mut new = Vec::new();
    for address in addresses {
        if known.len() < MAX_ADDRESSES && !known.contains(&address) {
            known.push(address.clone());
            new.push(address);
        }
    }
    new
}

#[cfg(test)]
mod tests;
