//! `conclave-beside FILE`: the strokes in a file, kept by yrs and by loro as the board keeps them (a map of elements, each a map with its
//! points as one value), then loaded until a second of CPU has gone by. One line each: name, version, bytes saved, milliseconds of CPU a load.
//!
//! The file is what conclave-bench wrote: for each element its id, transform, style and points, each with its length as four bytes before it,
//! little endian.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use yrs::updates::decoder::Decode;
use yrs::{Any, Map, MapPrelim, ReadTxn, StateVector, Transact};

/// An element: id, transform, style, points.
type Element = [Vec<u8>; 4];

fn main() -> ExitCode {
    let Some(bytes) = std::env::args_os().nth(1).and_then(|path| std::fs::read(path).ok()) else {
        eprintln!("usage: conclave-beside FILE");
        return ExitCode::from(2);
    };
    let Some(elements) = read(&bytes) else {
        eprintln!("the file is not what conclave-bench writes");
        return ExitCode::from(2);
    };
    let saved = save_with_yrs(&elements);
    let count = elements.len();
    print("yrs", "0.28.1", saved.len(), timed(|| load_with_yrs(&saved) == count));
    let saved = save_with_loro(&elements);
    print("loro", "1.17.1", saved.len(), timed(|| load_with_loro(&saved) == count));
    ExitCode::SUCCESS
}

fn print(name: &str, version: &str, bytes: usize, load_ms: Option<f64>) {
    match load_ms {
        Some(load_ms) => println!("{name} {version} {bytes} {load_ms:.3}"),
        None => eprintln!("{name} {version} did not give back what was put into it"),
    }
}

fn read(mut bytes: &[u8]) -> Option<Vec<Element>> {
    let mut next = || {
        let (length, rest) = bytes.split_first_chunk::<4>()?;
        let (part, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        bytes = rest;
        Some(part.to_vec())
    };
    let mut elements = Vec::new();
    while let Some(id) = next() {
        elements.push([id, next()?, next()?, next()?]);
    }
    Some(elements)
}

fn save_with_yrs(elements: &[Element]) -> Vec<u8> {
    let doc = yrs::Doc::new();
    let map = doc.get_or_insert_map("els");
    // A transaction a stroke, as they are drawn.
    for [id, transform, style, points] in elements {
        let mut txn = doc.transact_mut();
        let parts = [("m", transform), ("s", style), ("d", points)];
        let value = parts.map(|(key, bytes)| (key.to_owned(), Any::Buffer(bytes.as_slice().into())));
        let mut element: MapPrelim = value.into_iter().collect();
        element.insert("k".into(), Any::BigInt(0).into());
        map.insert(&mut txn, String::from_utf8_lossy(id).into_owned(), element);
    }
    doc.transact().encode_state_as_update_v1(&StateVector::default())
}

fn load_with_yrs(saved: &[u8]) -> usize {
    let doc = yrs::Doc::new();
    let map = doc.get_or_insert_map("els");
    let mut txn = doc.transact_mut();
    if let Ok(update) = yrs::Update::decode_v1(saved) {
        let _ = txn.apply_update(update);
    }
    map.len(&txn) as usize
}

fn save_with_loro(elements: &[Element]) -> Vec<u8> {
    let doc = loro::LoroDoc::new();
    let map = doc.get_map("els");
    for [id, transform, style, points] in elements {
        let key = String::from_utf8_lossy(id).into_owned();
        if let Ok(element) = map.insert_container(&key, loro::LoroMap::new()) {
            let _ = element.insert("k", 0);
            for (key, bytes) in [("m", transform), ("s", style), ("d", points)] {
                let _ = element.insert(key, bytes.clone());
            }
        }
        doc.commit();
    }
    doc.export(loro::ExportMode::Snapshot).unwrap_or_default()
}

fn load_with_loro(saved: &[u8]) -> usize {
    let doc = loro::LoroDoc::new();
    if doc.import(saved).is_err() {
        return 0;
    }
    doc.get_map("els").len()
}

/// Milliseconds of CPU of one `load`; `None` where one of them failed.
fn timed(mut load: impl FnMut() -> bool) -> Option<f64> {
    let (before, began) = (cpu_time()?, Instant::now());
    let mut count = 0u32;
    while count < 3 || (cpu_time()? - before < Duration::from_secs(1) && began.elapsed() < Duration::from_secs(20)) {
        if !load() {
            return None;
        }
        count += 1;
    }
    Some((cpu_time()? - before).as_secs_f64() * 1000.0 / f64::from(count))
}

/// User and system time of this process, in steps of 10 ms (proc_pid_stat(5)).
fn cpu_time() -> Option<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    Some(Duration::from_millis(ticks * 10))
}
