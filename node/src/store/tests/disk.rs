//! A disk that keeps unsynced writes apart and, when the power goes, loses, tears and reorders them.

use std::io;
use std::sync::{Arc, Mutex};

use redb::StorageBackend;

use super::Dice;

const SECTOR: usize = 512;

/// A disk that outlives the database on it.
#[derive(Debug, Clone)]
pub(super) struct Disk(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    /// What survives whatever happens.
    durable: Vec<u8>,
    /// What the system shows.
    shown: Vec<u8>,
    /// What was asked for since the last flush, in order.
    unsynced: Vec<Change>,
    /// Operations until the power goes.
    until_cut: Option<u64>,
    dead: bool,
    syncs: u64,
    /// Says that it flushed and did not.
    lies: bool,
}

#[derive(Debug, Clone)]
enum Change {
    Write { offset: usize, data: Vec<u8> },
    SetLen(usize),
}

/// How the machine goes down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Death {
    /// The process alone: the system still writes what it was given.
    Kill,
    /// The power: each unsynced write is there, missing, or there in part, in any order.
    PowerCut,
}

impl Disk {
    pub(super) fn new() -> Self {
        Self::with(Vec::new())
    }

    pub(super) fn with(content: Vec<u8>) -> Self {
        let state = State {
            durable: content.clone(),
            shown: content,
            unsynced: Vec::new(),
            until_cut: None,
            dead: false,
            syncs: 0,
            lies: false,
        };
        Self(Arc::new(Mutex::new(state)))
    }

    /// From here on, the `operations`-th write, change of length or flush finds the power gone.
    pub(super) fn cut_after(&self, operations: u64) {
        self.0.lock().unwrap().until_cut = Some(operations);
    }

    pub(super) fn lie(&self) {
        self.0.lock().unwrap().lies = true;
    }

    /// From the `operations`-th write, change of length or flush on, the disk refuses, until [`Self::accept`].
    pub(super) fn refuse_after(&self, operations: u64) {
        self.cut_after(operations);
    }

    pub(super) fn accept(&self) {
        let mut state = self.0.lock().unwrap();
        state.until_cut = None;
        state.dead = false;
    }

    pub(super) fn is_dead(&self) -> bool {
        self.0.lock().unwrap().dead
    }

    pub(super) fn shown(&self) -> Vec<u8> {
        self.0.lock().unwrap().shown.clone()
    }

    pub(super) fn syncs(&self) -> u64 {
        self.0.lock().unwrap().syncs
    }

    /// The disk as the next start finds it.
    pub(super) fn after(&self, death: Death, dice: &mut Dice) -> Self {
        let state = self.0.lock().unwrap();
        if death == Death::Kill {
            return Self::with(state.shown.clone());
        }
        let mut found = state.durable.clone();
        let mut pieces = Vec::new();
        for change in &state.unsynced {
            match change {
                Change::SetLen(len) => pieces.push(Change::SetLen(*len)),
                Change::Write { offset, data } => pieces.extend(sectors(*offset, data)),
            }
        }
        // Reordering: a shuffle of a random part of them, so that long and short reorderings both come up.
        let from = dice.below(pieces.len() as u64 + 1) as usize;
        for index in (from + 1..pieces.len()).rev() {
            pieces.swap(index, from + dice.below((index - from) as u64 + 1) as usize);
        }
        let kept = [0, 20, 50, 90, 100][dice.below(5) as usize];
        for piece in pieces {
            if !dice.chance(kept) {
                continue;
            }
            match piece {
                Change::SetLen(len) => found.resize(len, 0),
                Change::Write { offset, mut data } => {
                    if dice.chance(10) {
                        data.truncate(dice.below(data.len() as u64 + 1) as usize);
                    }
                    apply_write(&mut found, offset, &data);
                }
            }
        }
        Self::with(found)
    }
}

fn sectors(offset: usize, data: &[u8]) -> Vec<Change> {
    let mut out = Vec::new();
    let mut at = 0;
    while at < data.len() {
        let end = ((offset + at) / SECTOR + 1) * SECTOR - offset;
        let end = end.min(data.len());
        out.push(Change::Write { offset: offset + at, data: data[at..end].to_vec() });
        at = end;
    }
    out
}

fn apply_write(content: &mut Vec<u8>, offset: usize, data: &[u8]) {
    if content.len() < offset + data.len() {
        content.resize(offset + data.len(), 0);
    }
    content[offset..offset + data.len()].copy_from_slice(data);
}

impl State {
    /// Counts an operation; the one that meets the cut still reached the drive's own memory.
    fn step(&mut self) -> io::Result<()> {
        if self.dead {
            return Err(io::Error::other("the power is gone"));
        }
        if let Some(left) = &mut self.until_cut {
            if *left == 0 {
                self.dead = true;
                return Err(io::Error::other("the power is gone"));
            }
            *left -= 1;
        }
        Ok(())
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().unwrap().shown.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.0.lock().unwrap();
        let from = state.shown.get(offset as usize..offset as usize + out.len());
        out.copy_from_slice(from.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        state.step()?;
        state.shown.resize(len as usize, 0);
        state.unsynced.push(Change::SetLen(len as usize));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        state.step()?;
        state.syncs += 1;
        if !state.lies {
            state.durable = state.shown.clone();
            state.unsynced.clear();
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        if let Err(error) = state.step() {
            // It was on its way when the power went.
            state.unsynced.push(Change::Write { offset: offset as usize, data: data.to_vec() });
            return Err(error);
        }
        apply_write(&mut state.shown, offset as usize, data);
        state.unsynced.push(Change::Write { offset: offset as usize, data: data.to_vec() });
        Ok(())
    }
}

#[test]
fn unsynced_writes_are_lost_and_torn_and_synced_ones_stay() {
    let mut seen_lost = false;
    let mut seen_torn = false;
    for seed in 0..50 {
        let disk = Disk::new();
        disk.write(0, &[1; 2048]).unwrap();
        disk.sync_data().unwrap();
        disk.write(1024, &[2; 1024]).unwrap();
        let after = disk.after(Death::PowerCut, &mut Dice(seed)).shown();
        assert_eq!(after[..1024], [1; 1024]);
        let twos = after[1024..].iter().filter(|byte| **byte == 2).count();
        seen_lost |= twos == 0;
        seen_torn |= twos != 0 && twos != 1024;
        assert_eq!(disk.after(Death::Kill, &mut Dice(seed)).shown()[1024..], [2; 1024]);
    }
    assert!(seen_lost && seen_torn);
}
