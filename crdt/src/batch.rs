//! Changes as they travel in the operations of a room: several together, compressed. Reading one never takes more memory than it may.

use minicbor::{Decoder, Encoder};

use crate::id::DocId;
use crate::schema::guard::MAX_CHANGE;

/// Most bytes that a batch holds when it is no longer compressed.
pub const MAX_UNPACKED: usize = 256 * 1024;
/// Most changes of one batch.
pub const MAX_CHANGES: usize = 256;
/// What zstd may use as its window when reading: no more than a batch can need.
const WINDOW_LOG: u32 = 18;
const LEVEL: i32 = 6;

/// One Automerge change and the document it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Which document.
    pub document: DocId,
    /// An uncompressed change chunk of at most [`MAX_CHANGE`] bytes. Where it came from a peer, nothing about it is known.
    pub bytes: Vec<u8>,
}

/// A batch that cannot be packed or read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the batch of changes is malformed or too large")]
pub struct BadBatch;

/// Packs changes into as few batches of at most `max_bytes` as will do, in order. A change that fits into none makes it fail.
pub fn pack(changes: &[Change], max_bytes: usize) -> Result<Vec<Vec<u8>>, BadBatch> {
    let mut batches = Vec::new();
    let mut rest = changes;
    while !rest.is_empty() {
        let mut bytes = 0;
        let within = |change: &&Change| {
            bytes += change.bytes.len() + 32;
            bytes <= MAX_UNPACKED / 2
        };
        let mut count = rest.iter().take(MAX_CHANGES).take_while(within).count().max(1);
        let packed = loop {
            let packed = pack_one(rest.get(..count).unwrap_or_default())?;
            if packed.len() <= max_bytes {
                break packed;
            }
            if count == 1 {
                return Err(BadBatch);
            }
            count /= 2;
        };
        batches.push(packed);
        rest = rest.get(count..).unwrap_or_default();
    }
    Ok(batches)
}

/// Reads a batch: at most [`MAX_CHANGES`] changes and [`MAX_UNPACKED`] bytes, whatever the bytes claim.
pub fn unpack(packed: &[u8]) -> Result<Vec<Change>, BadBatch> {
    let mut reader = zstd::bulk::Decompressor::new().map_err(|_| BadBatch)?;
    reader.set_parameter(zstd::zstd_safe::DParameter::WindowLogMax(WINDOW_LOG)).map_err(|_| BadBatch)?;
    let bytes = reader.decompress(packed, MAX_UNPACKED).map_err(|_| BadBatch)?;
    let mut decoder = Decoder::new(&bytes);
    let count = decoder.array().map_err(|_| BadBatch)?.ok_or(BadBatch)?;
    if count == 0 || count > MAX_CHANGES as u64 {
        return Err(BadBatch);
    }
    let mut changes = Vec::new();
    for _ in 0..count {
        if decoder.array().map_err(|_| BadBatch)? != Some(2) {
            return Err(BadBatch);
        }
        let document = decoder.str().ok().and_then(|id| id.parse().ok()).ok_or(BadBatch)?;
        let bytes = decoder.bytes().map_err(|_| BadBatch)?;
        if bytes.len() > MAX_CHANGE {
            return Err(BadBatch);
        }
        changes.push(Change { document, bytes: bytes.to_vec() });
    }
    if decoder.position() == bytes.len() { Ok(changes) } else { Err(BadBatch) }
}

/// A zstd frame of a CBOR array of `[document, change]`.
fn pack_one(changes: &[Change]) -> Result<Vec<u8>, BadBatch> {
    let mut encoder = Encoder::new(Vec::new());
    encoder.array(changes.len() as u64).map_err(|_| BadBatch)?;
    for change in changes {
        let entry = encoder.array(2).and_then(|entry| entry.str(change.document.as_str()));
        entry.and_then(|entry| entry.bytes(&change.bytes)).map_err(|_| BadBatch)?;
    }
    zstd::bulk::compress(&encoder.into_writer(), LEVEL).map_err(|_| BadBatch)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(length: usize) -> Change {
        Change { document: DocId::INDEX, bytes: (0..length).map(|at| (at * 31 % 251) as u8).collect() }
    }

    #[test]
    fn batches_come_back_and_large_ones_are_split() {
        let changes: Vec<Change> = (0..600).map(|at| change(100 + at)).collect();
        let packed = pack(&changes, 60 * 1024).unwrap();
        assert!(packed.len() >= 3 && packed.iter().all(|batch| batch.len() <= 60 * 1024));
        let back: Vec<Change> = packed.iter().flat_map(|batch| unpack(batch).unwrap()).collect();
        assert_eq!(back, changes);
    }

    #[test]
    fn abuse_36_a_zstd_bomb_is_cut_off_at_the_cap() {
        let bomb = zstd::bulk::compress(&vec![0x80; 512 * 1024 * 1024], 19).unwrap();
        assert!(bomb.len() < 60 * 1024, "{}", bomb.len());
        assert_eq!(unpack(&bomb), Err(BadBatch));
        let just_over = zstd::bulk::compress(&vec![0x80; MAX_UNPACKED + 1], 19).unwrap();
        assert_eq!(unpack(&just_over), Err(BadBatch));
    }

    #[test]
    fn what_is_not_a_batch_is_refused() {
        assert_eq!(unpack(&[]), Err(BadBatch));
        assert_eq!(unpack(b"not zstd at all"), Err(BadBatch));
        for cbor in
            [&[0x80][..], &[0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], &[0x81, 0x82, 0x60, 0x40], &[0x81, 0x80]]
        {
            assert_eq!(unpack(&zstd::bulk::compress(cbor, 3).unwrap()), Err(BadBatch));
        }
    }
}
