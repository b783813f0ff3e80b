//! The harness: peers, namespaces, media probes; scenarios across crates.
