//! How often somebody may try, counted in the database so that replicas count together.

use std::net::IpAddr;

use crate::store::{Store, StoreError};

/// The period of every limit.
pub(crate) const PERIOD_MS: u64 = 15 * 60 * 1000;
/// Attempts at one name in a period.
pub(crate) const PER_NAME: u64 = 5;
/// Attempts from one address (IPv4) or one /64 (IPv6) in a period.
pub(crate) const PER_SOURCE: u64 = 20;

/// An attempt that was counted; see [`Limits::forgive`].
#[derive(Debug)]
pub(crate) struct Counted {
    /// The address first, then the name where there is one.
    buckets: Vec<[u8; 32]>,
    period: u64,
}

/// The buckets have keyed names: the database does not tell who tried from where.
pub(crate) struct Limits {
    key: [u8; 32],
}

impl Limits {
    pub(crate) fn new(key: [u8; 32]) -> Self {
        Self { key }
    }

    /// Counts an attempt; `None` where there were too many.
    pub(crate) async fn attempt(
        &self,
        store: &Store,
        source: IpAddr,
        name: Option<&str>,
        now_ms: u64,
    ) -> Result<Option<Counted>, StoreError> {
        let period = now_ms / PERIOD_MS;
        let mut buckets = vec![(self.bucket("source", &network(source)), PER_SOURCE)];
        buckets.extend(name.map(|name| (self.bucket("name", name.as_bytes()), PER_NAME)));
        let mut within = true;
        for (bucket, limit) in &buckets {
            within &= store.attempt(bucket, period).await? <= *limit;
        }
        Ok(within.then(|| Counted { buckets: buckets.into_iter().map(|(bucket, _)| bucket).collect(), period }))
    }

    /// It was honest: it does not count.
    pub(crate) async fn forgive(&self, store: &Store, counted: Counted) -> Result<(), StoreError> {
        for bucket in &counted.buckets {
            store.forgive(bucket, counted.period).await?;
        }
        Ok(())
    }

    /// It was honest as far as the address goes; for the name it counts.
    pub(crate) async fn forgive_source(&self, store: &Store, counted: Counted) -> Result<(), StoreError> {
        match counted.buckets.first() {
            Some(source) => store.forgive(source, counted.period).await,
            None => Ok(()),
        }
    }

    fn bucket(&self, kind: &str, what: &[u8]) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(kind.as_bytes()).update(&[0]).update(what);
        *hasher.finalize().as_bytes()
    }
}

/// One who has a /64 has all of it.
pub(crate) fn network(source: IpAddr) -> Vec<u8> {
    match source.to_canonical() {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().into_iter().take(8).collect(),
    }
}
