//! Kills, torn writes and full folders against a part: what was made sure of is there afterwards, and nothing that is not whole counts.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeSet;
use std::path::PathBuf;

use conclave_protocol::id::FileId;
use conclave_protocol::swarm::hashes::{Hashes, chunk_hash, pages_of};
use conclave_protocol::swarm::manifest::{Folder, Manifest};
use conclave_protocol::swarm::seal::ChunkCipher;

use super::*;

const FILE: FileId = FileId([9; 32]);
/// Small, so that many kills take little time; the code does not look at it.
const CHUNK: u32 = 1024;

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }
}

struct Shared {
    content: Vec<u8>,
    manifest: Manifest,
    sealed: Vec<Vec<u8>>,
    hashes: Vec<[u8; 32]>,
}

fn shared(len: usize, seed: u64) -> Shared {
    let mut random = Random(seed | 1);
    let content: Vec<u8> = (0..len).map(|_| random.next() as u8).collect();
    let mut manifest = Manifest {
        version: [1; 16],
        key: [2; 32],
        name: "film.bin".to_owned(),
        size: len as u64,
        chunk: CHUNK,
        pages: Vec::new(),
        plain: [0; 32],
        folder: None,
        inline: None,
    };
    let cipher = ChunkCipher::of(&manifest);
    let sealed: Vec<Vec<u8>> = content
        .chunks(CHUNK as usize)
        .enumerate()
        .map(|(index, chunk)| {
            let mut chunk = chunk.to_vec();
            cipher.seal(index as u32, &mut chunk).unwrap();
            chunk
        })
        .collect();
    let hashes: Vec<[u8; 32]> = sealed.iter().map(|chunk| chunk_hash(chunk)).collect();
    manifest.pages = pages_of(&hashes).concat();
    Shared { content, manifest, sealed, hashes }
}

struct Place {
    dir: tempfile::TempDir,
    beside: Beside,
}

fn place(shared: &Shared) -> Place {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("files")).unwrap();
    std::fs::create_dir(dir.path().join("out")).unwrap();
    let beside = Beside::new(&dir.path().join("files"), &shared.manifest);
    beside.save_hashes(&shared.hashes).unwrap();
    Place { dir, beside }
}

impl Place {
    fn out(&self) -> PathBuf {
        self.dir.path().join("out")
    }

    fn open(&self, shared: &Shared, form: Form) -> (Part, Have, Hashes) {
        let hashes = self.beside.load_hashes(&shared.manifest);
        let (part, have) = Part::open(&self.out(), &self.beside, FILE, &shared.manifest, form, &hashes).unwrap();
        (part, have, hashes)
    }
}

fn take(part: &Part, shared: &Shared, index: u32) {
    let at = index as usize;
    let cipher = ChunkCipher::of(&shared.manifest);
    assert!(part.take(index, &mut shared.sealed[at].clone(), &shared.hashes[at], &cipher).unwrap());
}

#[test]
fn two_hundred_kills_and_torn_writes_lose_nothing_that_was_made_sure_of() {
    for seed in 1..=200 {
        let mut random = Random(seed * 7919);
        let shared = shared(40 * CHUNK as usize + 1 + random.below(CHUNK as usize), seed);
        let chunks = shared.manifest.layout().chunks();
        let place = place(&shared);
        let form = if seed % 4 == 0 { Form::Sealed } else { Form::Plain };
        let mut sure: BTreeSet<u32> = BTreeSet::new();
        for _kill in 0..4 {
            let (part, have, _) = place.open(&shared, form);
            let there: BTreeSet<u32> = have.iter().collect();
            assert!(sure.is_subset(&there), "seed {seed}: lost {:?}", sure.difference(&there).collect::<Vec<_>>());
            // Whatever counts is what the manifest names.
            let cipher = ChunkCipher::of(&shared.manifest);
            for index in &there {
                let mut sealed = Vec::new();
                part.append_sealed(*index, &cipher, &mut sealed).unwrap();
                assert_eq!(chunk_hash(&sealed), shared.hashes[*index as usize], "seed {seed}");
            }
            let (mut batch, mut torn) = (Vec::new(), Vec::new());
            for _ in 0..random.below(14) {
                let index = random.below(chunks as usize) as u32;
                if there.contains(&index) || batch.contains(&index) || sure.contains(&index) {
                    continue;
                }
                take(&part, &shared, index);
                batch.push(index);
                if random.below(4) == 0 {
                    part.settle(&batch).unwrap();
                    sure.extend(batch.drain(..));
                }
            }
            torn.append(&mut batch);
            let part_path = place.out().join(&part.part_name);
            let part_path = if form == Form::Sealed { place.dir.path().join("files").join(&part.part_name) } else { part_path };
            drop(part);
            // The power goes: what was not made sure of is torn or was never written, and the journal's end may be half a record or noise.
            let file = std::fs::OpenOptions::new().write(true).open(&part_path).unwrap();
            let stride = if form == Form::Sealed { u64::from(CHUNK + TAG) } else { u64::from(CHUNK) };
            for index in torn {
                let from = u64::from(index) * stride + random.below(CHUNK as usize / 2) as u64;
                let noise: Vec<u8> = (0..random.below(200)).map(|_| random.next() as u8).collect();
                let noise = if index + 1 == chunks { &[] } else { noise.as_slice() };
                file.write_all_at(noise, from).unwrap();
            }
            let mut journal = std::fs::OpenOptions::new().append(true).open(place.beside.path("journal")).unwrap();
            let noise: Vec<u8> = (0..random.below(20)).map(|_| random.next() as u8).collect();
            journal.write_all(&noise).unwrap();
        }
        // It still comes to its end.
        let (part, have, _) = place.open(&shared, form);
        let missing: Vec<u32> = (0..chunks).filter(|index| !have.has(*index)).collect();
        for index in &missing {
            take(&part, &shared, *index);
        }
        part.settle(&missing).unwrap();
        let finished = part.finish(&shared.manifest).unwrap();
        if form == Form::Plain {
            assert!(std::fs::read(&finished.path).unwrap() == shared.content, "seed {seed}");
            assert_eq!(std::fs::read_dir(place.out()).unwrap().count(), 1, "nothing else is left");
        } else {
            assert!(std::fs::read(&finished.path).unwrap() == shared.sealed.concat(), "seed {seed}");
        }
    }
}

#[test]
fn a_part_that_somebody_changed_counts_only_as_far_as_it_is_whole() {
    let shared = shared(20 * CHUNK as usize, 5);
    let place = place(&shared);
    let (part, ..) = place.open(&shared, Form::Plain);
    (0..10).for_each(|index| take(&part, &shared, index));
    part.settle(&(0..10).collect::<Vec<_>>()).unwrap();
    let path = place.out().join(&part.part_name);
    drop(part);
    std::fs::OpenOptions::new().write(true).open(&path).unwrap().write_all_at(b"something else", 3 * u64::from(CHUNK)).unwrap();
    let (part, have, _) = place.open(&shared, Form::Plain);
    assert_eq!(have.iter().collect::<Vec<_>>(), [0, 1, 2, 4, 5, 6, 7, 8, 9]);
    drop(part);
    // Cut short, it is begun anew.
    std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(5000).unwrap();
    assert!(place.open(&shared, Form::Plain).1.is_empty());
}

#[test]
fn a_chunk_of_zeros_takes_no_room_and_wipes_what_stood_there() {
    use std::os::unix::fs::MetadataExt;
    let mut shared = shared(64 * CHUNK as usize, 5);
    let cipher = ChunkCipher::of(&shared.manifest);
    for index in 8..40 {
        let mut zeros = vec![0; CHUNK as usize];
        cipher.seal(index, &mut zeros).unwrap();
        shared.hashes[index as usize] = chunk_hash(&zeros);
        shared.sealed[index as usize] = zeros;
    }
    let place = place(&shared);
    let (part, ..) = place.open(&shared, Form::Plain);
    // A torn write of before.
    part.file.write_all_at(&[9; 5000], 10 * u64::from(CHUNK)).unwrap();
    (8..40).for_each(|index| take(&part, &shared, index));
    let mut read = vec![1; 32 * CHUNK as usize];
    read_at(&part.file, &mut read, 8 * u64::from(CHUNK)).unwrap();
    assert!(read.iter().all(|byte| *byte == 0));
    assert!(part.file.metadata().unwrap().blocks() * 512 < 32 * u64::from(CHUNK), "the holes take room");
}

#[test]
fn a_chunk_that_is_not_the_one_that_was_named_is_not_written() {
    let shared = shared(3 * CHUNK as usize, 5);
    let place = place(&shared);
    let (part, ..) = place.open(&shared, Form::Plain);
    let cipher = ChunkCipher::of(&shared.manifest);
    let mut wrong = shared.sealed[1].clone();
    wrong[5] ^= 1;
    for (index, mut bytes) in [(0, shared.sealed[1].clone()), (1, wrong), (1, Vec::new()), (1, vec![0; 4096])] {
        assert!(!part.take(index, &mut bytes, &shared.hashes[index as usize], &cipher).unwrap());
    }
    assert!(std::fs::read(place.out().join(&part.part_name)).unwrap().iter().all(|byte| *byte == 0));
}

#[test]
fn a_file_too_large_for_the_disk_is_refused_before_anything_is_written() {
    let mut shared = shared(3 * CHUNK as usize, 5);
    let place = place(&shared);
    shared.manifest.size = 1 << 50;
    shared.manifest.chunk = 1 << 30;
    let hashes = Hashes::new(1, Vec::new());
    let refused = Part::open(&place.out(), &place.beside, FILE, &shared.manifest, Form::Plain, &hashes).err();
    assert!(matches!(refused, Some(FileError::DiskFull { .. })), "{refused:?}");
    assert_eq!(std::fs::read_dir(place.out()).unwrap().count(), 0);
}

#[test]
fn a_folder_whose_entries_lead_out_stays_inside() {
    use conclave_protocol::swarm::manifest::{Entry, encode_table};
    let entry = |path: &[&str], size| Entry { path: path.iter().map(|part| (*part).to_owned()).collect(), size };
    let entries = [
        entry(&["..", "..", "up"], 2),
        entry(&["/etc", "passwd"], 2),
        entry(&["a", "b"], 2),
        entry(&["A"], 2),
        entry(&["a", "B"], 2),
    ];
    let table = encode_table(&entries);
    let content = [table.clone(), b"0123456789".to_vec()].concat();
    let mut shared = shared(content.len(), 1);
    shared.manifest.folder = Some(Folder { table_len: table.len() as u64, files: 5 });
    let place = place(&shared);
    let (part, ..) = place.open(&shared, Form::Plain);
    part.fill(&content).unwrap();
    let finished = part.finish(&shared.manifest).unwrap();
    let mut found = Vec::new();
    let mut folders = vec![finished.path.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() { folders.push(entry) } else { found.push(entry) }
        }
    }
    assert_eq!(found.len(), 5, "{found:?}");
    assert!(found.iter().all(|path| path.starts_with(&finished.path) && std::fs::read(path).unwrap().len() == 2));
    assert_eq!(std::fs::read_dir(place.out()).unwrap().count(), 1);
    // What was unpacked is what is served.
    let mut again = vec![0; content.len()];
    finished.source.read(0, &mut again).unwrap();
    assert_eq!(again, content);
}
