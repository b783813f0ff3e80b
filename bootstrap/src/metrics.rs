//! What is counted, as Prometheus reads it. No label is a person's, a device's or an address.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Answer {
    pub(crate) path: &'static str,
    pub(crate) status: u16,
}

/// Every figure of the node.
pub(crate) struct Metrics {
    registry: Registry,
    pub(crate) answers: Family<Answer, Counter>,
    pub(crate) connections: Gauge,
    pub(crate) reservations: Gauge,
    pub(crate) circuits: Gauge,
    pub(crate) relay_denied: Counter,
    pub(crate) dialled_back: Counter,
    pub(crate) records_refused: Counter,
    pub(crate) expelled: Counter,
    pub(crate) turn_allocations: Gauge,
    pub(crate) turn_bytes: Counter<u64, AtomicU64>,
    pub(crate) turn_refused: Counter,
    pub(crate) dropped: Counter,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("conclave");
        macro_rules! registered {
            ($name:literal, $help:literal, $metric:expr) => {{
                let metric = $metric;
                registry.register($name, $help, metric.clone());
                metric
            }};
        }
        Self {
            answers: registered!("http_answers", "Answers by path and status", Family::default()),
            connections: registered!("peer_connections", "libp2p connections that stand", Gauge::default()),
            reservations: registered!("relay_reservations", "Devices that may be reached through the relay", Gauge::default()),
            circuits: registered!("relay_circuits", "Connections that go through the relay", Gauge::default()),
            relay_denied: registered!("relay_denied", "Reservations and circuits that were refused", Counter::default()),
            dialled_back: registered!(
                "autonat_dials",
                "Dials back to members who asked how they are reached",
                Counter::default()
            ),
            records_refused: registered!("records_refused", "Records of the hash table that were refused", Counter::default()),
            expelled: registered!("devices_expelled", "Devices that are kept out for a while", Counter::default()),
            turn_allocations: registered!("turn_allocations", "TURN allocations that stand", Gauge::default()),
            turn_bytes: registered!("turn_bytes", "Bytes relayed by TURN, both ways", Counter::default()),
            turn_refused: registered!("turn_refused", "TURN requests and datagrams that were refused", Counter::default()),
            dropped: registered!("datagrams_dropped", "Datagrams dropped before anything was made of them", Counter::default()),
            registry,
        }
    }

    /// The text format.
    pub(crate) fn render(&self) -> String {
        let mut text = String::new();
        // A String takes everything.
        let _ = text::encode(&mut text, &self.registry);
        text
    }
}
