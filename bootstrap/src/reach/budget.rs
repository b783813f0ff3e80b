//! What each device may ask of the discovery services. One that asks for more, or for what nobody honest asks, is cut off and kept out
//! for as long as what it left here may live. Pure: `now` is an argument.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use libp2p::PeerId;

/// What a device may have saved up, and what it gets in a second.
const BURST: f64 = 640.0;
const PER_SECOND: f64 = 1.0;
/// What a question costs, and what a registration does: that one stays here for a while.
pub(super) const QUESTION: f64 = 1.0;
pub(super) const REGISTRATION: f64 = 10.0;
/// How long one stays out that asked for too much.
pub(super) const GREEDY: Duration = Duration::from_secs(15 * 60);
/// The longest life of a registration, and how long one stays out that left what should not be here: it is gone by then.
pub(super) const REGISTERED: Duration = Duration::from_secs(2 * 3600);
/// Devices that are kept out at once; when it is full, the one that has been out longest may come back.
const MAX_EXPELLED: usize = 4_096;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Budget {
    spent: BTreeMap<PeerId, (f64, Instant)>,
    expelled: BTreeMap<PeerId, Instant>,
}

impl Budget {
    /// Pays for a request; false where there is not enough.
    pub(super) fn take(&mut self, peer: PeerId, cost: f64, now: Instant) -> bool {
        let (tokens, at) = self.spent.entry(peer).or_insert((BURST, now));
        *tokens = (*tokens + now.saturating_duration_since(*at).as_secs_f64() * PER_SECOND).min(BURST);
        *at = now;
        let enough = *tokens >= cost;
        if enough {
            *tokens -= cost;
        }
        enough
    }

    /// Keeps the device out. Gives one that may come back for it, where there are too many.
    pub(super) fn expel(&mut self, peer: PeerId, time: Duration, now: Instant) -> Option<PeerId> {
        let until = self.expelled.entry(peer).or_insert(now + time);
        *until = (*until).max(now + time);
        let first = self.expelled.iter().min_by_key(|(_, until)| **until).map(|(peer, _)| *peer);
        let first = first.filter(|_| self.expelled.len() > MAX_EXPELLED)?;
        self.expelled.remove(&first);
        Some(first)
    }

    pub(super) fn is_expelled(&self, peer: &PeerId) -> bool {
        self.expelled.contains_key(peer)
    }

    /// Forgets what has passed; gives who may come back.
    pub(super) fn handle_tick(&mut self, now: Instant) -> Vec<PeerId> {
        let saved = Duration::from_secs_f64(BURST / PER_SECOND);
        self.spent.retain(|_, (_, at)| *at + saved > now);
        let back: Vec<PeerId> = self.expelled.iter().filter(|(_, until)| **until <= now).map(|(peer, _)| *peer).collect();
        self.expelled.retain(|_, until| *until > now);
        back
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_has_a_burst_then_a_rate_of_its_own() {
        let (mut budget, now) = (Budget::default(), Instant::now());
        let (greedy, honest) = (PeerId::random(), PeerId::random());
        assert_eq!((0..1_000).filter(|_| budget.take(greedy, REGISTRATION, now)).count(), 64);
        assert!(budget.take(honest, REGISTRATION, now));
        let later = now + Duration::from_secs(1);
        assert!(
            !budget.take(greedy, REGISTRATION, later)
                && budget.take(greedy, QUESTION, later)
                && !budget.take(greedy, QUESTION, later)
        );
        budget.handle_tick(now + Duration::from_secs(1_000));
        assert!(budget.spent.is_empty());
    }

    #[test]
    fn an_expelled_device_comes_back_when_what_it_left_is_gone() {
        let (mut budget, now) = (Budget::default(), Instant::now());
        let peer = PeerId::random();
        assert_eq!(budget.expel(peer, REGISTERED, now), None);
        assert_eq!(budget.expel(peer, GREEDY, now), None, "the longer time counts");
        assert!(budget.is_expelled(&peer) && budget.handle_tick(now + GREEDY).is_empty());
        assert_eq!(budget.handle_tick(now + REGISTERED), [peer]);
        assert!(!budget.is_expelled(&peer));
        let crowd: Vec<PeerId> = (0..=MAX_EXPELLED).map(|_| PeerId::random()).collect();
        let back: Vec<_> = crowd
            .iter()
            .enumerate()
            .filter_map(|(n, peer)| budget.expel(*peer, GREEDY, now + Duration::from_millis(n as u64)))
            .collect();
        assert_eq!(back, crowd[..1]);
    }
}
