//! Rules of the machines and of what travels, one at a time.

use std::time::Duration;

use conclave_protocol::id::{FileId, OpHash};
use conclave_protocol::room::Operation;
use conclave_protocol::swarm::hashes::{Hashes, PAGE, chunk_hash, pages_of};
use conclave_protocol::swarm::have::Have;
use conclave_protocol::swarm::manifest::{
    CHUNK, Entry, Folder, Layout, Manifest, Withdraw, catalogue, decode_table, encode_table, kind,
};
use conclave_protocol::swarm::rate::{Limit, Meter};
use conclave_protocol::swarm::seal::ChunkCipher;
use conclave_protocol::swarm::slots::{Asked, MAX_QUEUED, Slots};
use conclave_protocol::swarm::wire::{Control, Data, Held, begin_data_frame};
use conclave_protocol::wire::{encode, encode_frame};
use proptest::prelude::*;

use crate::network::{FILE, device};

pub fn manifest(size: u64) -> Manifest {
    let layout = Layout { size, chunk: CHUNK };
    let hashes = vec![[3; 32]; layout.chunks() as usize];
    Manifest {
        version: [1; 16],
        key: [2; 32],
        name: "report.pdf".to_owned(),
        size,
        chunk: CHUNK,
        pages: pages_of(&hashes).concat(),
        plain: [4; 32],
        folder: None,
        inline: None,
    }
}

#[test]
fn a_chunk_opens_only_where_it_belongs() {
    let layout = Layout { size: 600_000, chunk: CHUNK };
    let cipher = ChunkCipher::new(&[1; 32], [2; 16], layout);
    let mut sealed = vec![7; 1000];
    cipher.seal(1, &mut sealed).unwrap();
    assert_eq!(sealed.len(), 1016);
    let opens = |cipher: &ChunkCipher, index: u32| {
        let mut copy = sealed.clone();
        cipher.open(index, &mut copy).is_ok()
    };
    assert!(opens(&cipher, 1));
    assert!(!opens(&cipher, 0), "another place");
    assert!(!opens(&ChunkCipher::new(&[1; 32], [3; 16], layout), 1), "another version");
    assert!(!opens(&ChunkCipher::new(&[9; 32], [2; 16], layout), 1), "another key");
    // Cut short behind it, it would be the last.
    assert!(!opens(&ChunkCipher::new(&[1; 32], [2; 16], Layout { size: 300_000, chunk: CHUNK }), 1), "another end");
}

#[test]
fn what_is_sealed_and_framed_in_place_is_the_same() {
    let layout = Layout { size: 600_000, chunk: CHUNK };
    let cipher = ChunkCipher::new(&[1; 32], [2; 16], layout);
    for len in [0, 1, 100, 200_000] {
        let (mut grown, mut slice) = (vec![7; len], vec![7; len]);
        cipher.seal(1, &mut grown).unwrap();
        let tag = cipher.seal_slice(1, &mut slice).unwrap();
        slice.extend_from_slice(&tag);
        assert_eq!(grown, slice);
        let payload = Data { file: FILE, id: 1 << 40, index: 70_000, sealed: &slice }.encode();
        let mut frame = Vec::new();
        begin_data_frame(FILE, 1 << 40, 70_000, slice.len() as u32, &mut frame);
        frame.extend_from_slice(&slice);
        assert_eq!(frame, encode_frame(&payload));
        assert_eq!(cipher.open_slice(1, &mut slice).unwrap(), len);
        assert_eq!(slice[..len], vec![7; len]);
        grown[len / 2] ^= 1;
        assert!(cipher.open_slice(1, &mut grown).is_err() && cipher.open_slice(0, &mut [0; 5]).is_err());
    }
}

#[test]
fn a_manifest_that_contradicts_itself_is_refused() {
    let good = manifest(3_000_000);
    assert!(Manifest::decode(&encode(&good)).is_ok());
    let broken: [fn(&mut Manifest); 8] = [
        |m| m.size = 0,
        |m| m.size += u64::from(CHUNK) * 1024,
        |m| m.size = u64::MAX,
        |m| m.chunk = 1,
        |m| m.pages.push(0),
        |m| m.name = String::new(),
        |m| m.inline = Some(vec![0; 10]),
        |m| m.folder = Some(Folder { table_len: u64::MAX, files: u32::MAX }),
    ];
    for (number, change) in broken.iter().enumerate() {
        let mut bad = good.clone();
        change(&mut bad);
        assert!(Manifest::decode(&encode(&bad)).is_err(), "{number}");
    }
}

#[test]
fn a_table_must_add_up_to_its_folder() {
    let entries = vec![
        Entry { path: vec!["a".to_owned(), "b.txt".to_owned()], size: 5 },
        Entry { path: vec!["empty".to_owned()], size: 0 },
    ];
    let table = encode_table(&entries);
    let mut manifest = manifest(table.len() as u64 + 5);
    manifest.folder = Some(Folder { table_len: table.len() as u64, files: 2 });
    assert_eq!(decode_table(&table, &manifest).unwrap(), entries);
    manifest.size += 1;
    assert!(decode_table(&table, &manifest).is_err(), "bytes that belong to no file");
    manifest.size -= 2;
    assert!(decode_table(&table, &manifest).is_err(), "a file beyond the end");
    manifest.size += 1;
    manifest.folder = Some(Folder { table_len: table.len() as u64, files: 3 });
    assert!(decode_table(&table, &manifest).is_err(), "a file too few");
    let huge = encode_table(&[Entry { path: vec!["x".to_owned()], size: u64::MAX }]);
    manifest.folder = Some(Folder { table_len: huge.len() as u64, files: 1 });
    assert!(decode_table(&huge, &manifest).is_err());
}

#[test]
fn only_the_author_or_an_admin_takes_a_share_back() {
    let share = |id: u8, author: usize| Operation {
        id: OpHash([id; 32]),
        author: device(author),
        incarnation: 1,
        seq: u64::from(id),
        time_ms: 5,
        kind: kind::SHARE,
        body: encode(&manifest(3_000_000)),
    };
    let withdraw = |target: u8, author: usize| Operation {
        kind: kind::WITHDRAW,
        body: encode(&Withdraw { target: OpHash([target; 32]) }),
        ..share(target + 100, author)
    };
    let operations = vec![share(1, 1), share(2, 1), share(3, 1), withdraw(1, 1), withdraw(2, 2), withdraw(3, 0)];
    let admin = device(0);
    let shared = catalogue(operations, |device| *device == admin);
    assert_eq!(shared.keys().copied().collect::<Vec<_>>(), vec![FileId([2; 32])]);
}

#[test]
fn a_page_of_hashes_that_the_manifest_does_not_bear_out_is_not_taken() {
    let chunks = PAGE + 5;
    let list: Vec<[u8; 32]> = (0..chunks).map(|n| chunk_hash(&n.to_be_bytes())).collect();
    let mut hashes = Hashes::new(chunks, pages_of(&list));
    assert!(!hashes.insert(1, list[..5].to_vec()));
    assert!(!hashes.insert(0, list[1..].to_vec()));
    assert!(!hashes.insert(7, Vec::new()));
    assert!(hashes.of(3).is_none());
    assert!(hashes.insert(0, list[..PAGE as usize].to_vec()));
    assert!(hashes.insert(1, list[PAGE as usize..].to_vec()));
    assert!(hashes.complete());
    assert_eq!(hashes.of(PAGE + 4), Some(&list[chunks as usize - 1]));
}

#[test]
fn one_who_asks_for_much_does_not_take_anothers_turn() {
    let mut slots = Slots::new();
    let asked = |id| Asked { file: FILE, id, index: 0, until: Duration::from_secs(9) };
    for id in 0..MAX_QUEUED as u64 {
        assert!(slots.handle_request(device(1), asked(id)));
    }
    assert!(!slots.handle_request(device(1), asked(999)), "one more is refused");
    assert!(slots.handle_request(device(2), asked(1)));
    let mut served = Vec::new();
    while let Some((peer, Ok(_))) = slots.poll(Duration::ZERO) {
        served.push(peer);
    }
    assert_eq!(served.iter().position(|peer| *peer == device(2)), Some(1), "the second turn is the other's: {served:?}");
    assert_eq!(served.len(), 5, "four for the greedy one, one for the other");
}

#[test]
fn a_limit_holds_over_time_for_any_chunk() {
    let mut limit = Limit::new(Some(1_000_000), Duration::ZERO);
    let (mut now, mut sent) = (Duration::ZERO, 0_u64);
    while now < Duration::from_secs(20) {
        match limit.take(262_160, now) {
            Ok(()) => sent += 262_160,
            Err(wait) => now += wait,
        }
    }
    assert!((19_000_000..21_500_000).contains(&sent), "{sent}");
    let mut meter = Meter::default();
    for step in 0..100 {
        meter.add(50_000, Duration::from_millis(step * 50));
    }
    let rate = meter.per_second(Duration::from_secs(5));
    assert!((900_000..1_100_000).contains(&rate), "{rate}");
}

#[test]
fn data_is_read_without_a_copy_and_exactly() {
    let sealed = vec![9; 300];
    let bytes = Data { file: FILE, id: 7, index: 3, sealed: &sealed }.encode();
    let data = Data::decode(&bytes).unwrap();
    assert_eq!((data.file, data.id, data.index, data.sealed), (FILE, 7, 3, sealed.as_slice()));
    assert!(Data::decode(&bytes[..bytes.len() - 1]).is_err());
}

proptest! {
    #[test]
    fn what_is_held_survives_the_way(len in 1_u32..5000, seed in any::<u64>(), density in 0_u32..100) {
        let mut rng = crate::support::Seeded(seed);
        let mut have = Have::none(len);
        for index in 0..len {
            if (rng.below(100) as u32) < density {
                have.insert(index);
            }
        }
        prop_assert_eq!(Have::from_bytes(&have.to_bytes(), len), Some(have.clone()));
        let hello = Control::Hello { file: FILE, root: [0; 32], held: Held::of(&have), wants: true };
        let Control::Hello { held, .. } = Control::decode(&hello.encode()).unwrap() else { panic!() };
        prop_assert_eq!(held.read(len), Some(have.clone()));
        // Nor is it taken for a file of another length.
        if !have.is_empty() {
            let last = have.iter().last().unwrap();
            prop_assert_eq!(held.read(last), None);
        }
    }
}
