//! The arrows of the design, held against `cargo metadata`: who may depend on whom among our crates, and which outside crates stay
//! away from the pure ones.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// Each of our crates with those of ours that it may use. A new crate has to be entered here before it may be used.
const ALLOWED: &[(&str, &[&str])] = &[
    ("conclave-protocol", &[]),
    ("conclave-media", &[]),
    ("conclave-crdt", &[]),
    ("conclave-bootstrap-api", &[]),
    ("conclave-bootstrap", &["conclave-bootstrap-api", "conclave-protocol"]),
    ("conclave-node", &["conclave-protocol", "conclave-media", "conclave-crdt", "conclave-bootstrap-api"]),
    ("conclave", &["conclave-node", "conclave-protocol", "conclave-media", "conclave-crdt"]),
    (
        "conclave-tests",
        &[
            "conclave-node",
            "conclave-protocol",
            "conclave-media",
            "conclave",
            "conclave-bootstrap",
            "conclave-bootstrap-api",
            "conclave-crdt",
        ],
    ),
];

/// What the pure crate must not be able to reach, however indirectly: sockets, runtimes, disks, windows.
const IMPURE: &[&str] = &["tokio", "mio", "socket2", "libp2p", "webrtc", "redb", "egui", "eframe", "cpal"];

/// Package id → name, and package id → ids of its ordinary dependencies (those of its tests left out).
struct Graph {
    names: BTreeMap<String, String>,
    edges: BTreeMap<String, BTreeSet<String>>,
    ours: BTreeSet<String>,
}

impl Graph {
    fn read() -> Self {
        let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");
        let mut command = std::process::Command::new(env!("CARGO"));
        command.args(["metadata", "--format-version", "1", "--locked", "--manifest-path", manifest]);
        command.args(["--filter-platform", "x86_64-unknown-linux-gnu"]);
        let output = command.output().expect("cargo runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON");
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let packages = metadata["packages"].as_array().unwrap();
        let names: BTreeMap<_, _> = packages.iter().map(|package| (text(&package["id"]), text(&package["name"]))).collect();
        let ordinary = |dep: &&Value| dep["dep_kinds"].as_array().unwrap().iter().any(|kind| kind["kind"].is_null());
        let nodes = metadata["resolve"]["nodes"].as_array().unwrap();
        let deps = |node: &Value| node["deps"].as_array().unwrap().iter().filter(ordinary).map(|dep| text(&dep["pkg"])).collect();
        let edges = nodes.iter().map(|node| (text(&node["id"]), deps(node))).collect();
        let members = metadata["workspace_members"].as_array().unwrap();
        let ours = members.iter().map(|id| names[id.as_str().unwrap()].clone()).collect();
        Self { names, edges, ours }
    }

    fn direct(&self, name: &str) -> BTreeSet<String> {
        let id = self.names.iter().find(|(_, found)| *found == name).expect("a package of this name").0;
        self.edges[id].iter().map(|dep| self.names[dep].clone()).collect()
    }

    fn reached_from(&self, name: &str) -> BTreeSet<String> {
        let start = self.names.iter().find(|(_, found)| *found == name).expect("a package of this name").0;
        let (mut reached, mut queue) = (BTreeSet::new(), vec![start.clone()]);
        while let Some(id) = queue.pop() {
            if reached.insert(id.clone()) {
                queue.extend(self.edges[&id].iter().cloned());
            }
        }
        reached.iter().map(|id| self.names[id].clone()).collect()
    }
}

#[test]
fn our_crates_point_only_where_the_design_says() {
    let graph = Graph::read();
    let known: BTreeSet<String> = ALLOWED.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(graph.ours, known, "the table of this test and the workspace name the same crates");
    for (name, allowed) in ALLOWED {
        for dep in graph.direct(name).intersection(&graph.ours) {
            assert!(allowed.contains(&dep.as_str()), "{name} must not depend on {dep}");
        }
    }
}

#[test]
fn the_pure_crate_reaches_no_socket_no_runtime_and_no_window() {
    let reached = Graph::read().reached_from("conclave-protocol");
    assert!(reached.contains("ed25519-dalek"), "the walk went nowhere");
    for impure in IMPURE {
        assert!(!reached.contains(*impure), "conclave-protocol reaches {impure}");
    }
}

#[test]
fn the_node_never_sees_a_window() {
    let reached = Graph::read().reached_from("conclave-node");
    assert!(reached.contains("libp2p"), "the walk went nowhere");
    assert!(["egui", "eframe", "winit"].iter().all(|window| !reached.contains(*window)));
}
