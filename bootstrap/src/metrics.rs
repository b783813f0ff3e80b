//! What is counted, as Prometheus reads it. No label is a person's, a device's or an address.

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
