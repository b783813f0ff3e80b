//! Seeds of the fuzz targets for files. `tests/log.rs` runs all targets over the whole corpus.

use conclave_protocol::swarm::have::Have;
use conclave_protocol::swarm::manifest::{Entry, encode_table};
use conclave_protocol::swarm::wire::{Control, Data, Held, Why};
use conclave_protocol::wire::encode;

use crate::network::FILE;

fn samples() -> Vec<(&'static str, Vec<u8>)> {
    let mut samples = Vec::new();
    let manifest = crate::rules::manifest(3_000_000);
    samples.push(("file_manifest", [vec![0], encode(&manifest)].concat()));
    let mut inline = manifest;
    (inline.size, inline.inline) = (5, Some(vec![1; 5]));
    inline.pages.clear();
    samples.push(("file_manifest", [vec![0], encode(&inline)].concat()));
    let entry = |name: &str, size| Entry { path: vec!["folder".to_owned(), name.to_owned()], size };
    samples.push(("file_manifest", [vec![5], encode_table(&[entry("a.txt", 4), entry("b.txt", 5)])].concat()));
    let mut have = Have::none(4096);
    (0..4096).step_by(7).for_each(|index| {
        have.insert(index);
    });
    let words = [
        Control::Hello { file: FILE, root: [1; 32], held: Held::of(&have), wants: true },
        Control::Hello { file: FILE, root: [1; 32], held: Held::Bitmap(have.to_bytes()), wants: false },
        Control::Have { file: FILE, ranges: vec![(1, 2), (9, 3)] },
        Control::GetHashes { file: FILE, page: 1 },
        Control::Hashes { file: FILE, page: 1, hashes: vec![[3; 32]; 4] },
        Control::Hint { file: FILE, ranges: vec![(0, 8)] },
        Control::Request { file: FILE, id: 1 << 60, index: 3, within_ms: 15_000 },
        Control::Cancel { file: FILE, id: 4 },
        Control::Reject { file: FILE, id: 4, why: Why::Stale },
        Control::Bye { file: FILE },
        Control::Pace { bytes_per_s: 65_536 },
    ];
    samples.extend(words.iter().map(|word| ("file_talk", word.encode())));
    samples.push(("file_talk", Data { file: FILE, id: 1, index: 2, sealed: &[5; 40] }.encode()));
    samples
}

/// Writes these seeds anew: `cargo test -p conclave-protocol --test swarm -- --ignored write_the_corpus`.
#[test]
#[ignore = "writes into the source tree"]
fn write_the_corpus() {
    crate::seeds::write("swarm", samples());
}
