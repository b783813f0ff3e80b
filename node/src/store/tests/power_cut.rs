//! What was acknowledged is there after a kill or a power cut at any point, and the store opens.

use std::collections::BTreeMap;

use super::disk::{Death, Disk};
use super::{Dice, identity, passphrase, room};
use crate::store::keyring::Cost;
use crate::store::{Batch, Store, StoreError};

type Content = BTreeMap<(u8, Vec<u8>), Vec<u8>>;

fn open(disk: &Disk) -> Result<Store, StoreError> {
    let disk = disk.clone();
    Store::open_on(move || Ok(disk.clone()), &passphrase("p"), None).map_err(|(error, _)| error)
}

fn fresh() -> Disk {
    let disk = Disk::new();
    crate::store::initialize(disk.clone(), &passphrase("p"), Cost::LOW, None).unwrap();
    disk
}

fn content(store: &Store) -> Content {
    let mut found = Content::new();
    for room in store.rooms().unwrap() {
        for (key, value) in store.load_records(&room).unwrap() {
            found.insert((room.0[0], key), value);
        }
    }
    found
}

/// A batch, and what the store holds after it.
fn some_batch(dice: &mut Dice, before: &Content) -> (Batch, Content) {
    let mut after = before.clone();
    let mut batch = Batch::new();
    for _ in 0..=dice.below(6) {
        let number = dice.below(3) as u8;
        if dice.chance(4) {
            after.retain(|(of, _), _| *of != number);
            batch = batch.delete_room(&room(number));
        } else {
            let (key_len, value_len) = (1 + dice.below(3) as usize, dice.below(6000) as usize);
            let (key, value) = (dice.bytes(key_len), dice.bytes(value_len));
            batch = batch.record(&room(number), &key, &value);
            after.insert((number, key), value);
        }
    }
    (batch, after)
}

/// Starts, writes until the machine goes down, and checks what the next start finds; several lives on one disk.
fn live_and_die(seed: u64, death: Death, lives: u32) {
    let mut dice = Dice(seed);
    let mut disk = fresh();
    let mut acknowledged = Content::new();
    for life in 0..lives {
        let mut in_flight = None;
        let cut_at_once = dice.chance(30);
        let cut = if cut_at_once { dice.below(20) } else { dice.below(200) };
        disk.cut_after(cut);
        // The cut may come while the store opens: then nothing was asked for yet.
        if let Ok(mut store) = open(&disk) {
            assert_eq!(content(&store), acknowledged, "seed {seed}, life {life}");
            while !disk.is_dead() {
                let (batch, after) = some_batch(&mut dice, &acknowledged);
                match store.commit(&[batch]) {
                    Ok(()) => acknowledged = after,
                    Err(_) => {
                        in_flight = Some(after);
                        break;
                    }
                }
            }
        } else {
            assert!(disk.is_dead(), "seed {seed}, life {life}: a store that died {death:?} does not open");
        }
        disk = disk.after(death, &mut dice);
        let store = open(&disk).unwrap_or_else(|error| panic!("seed {seed}, life {life}, {death:?}: {error}"));
        let found = content(&store);
        if found != acknowledged {
            // All of the one that was not acknowledged, or nothing of it.
            assert_eq!(Some(&found), in_flight.as_ref(), "seed {seed}, life {life}, {death:?}");
            acknowledged = found;
        }
        drop(store);
        disk = disk.after(Death::Kill, &mut dice);
    }
}

#[test]
fn what_was_acknowledged_survives_a_power_cut_at_any_point() {
    for seed in 0..60 {
        live_and_die(seed, Death::PowerCut, 4);
    }
}

#[test]
fn what_was_acknowledged_survives_kill_nine_at_any_point() {
    for seed in 1000..1020 {
        live_and_die(seed, Death::Kill, 4);
    }
}

/// Not seeded but exhaustive: one batch, and a cut before each single operation of the disk.
#[test]
fn a_cut_before_every_single_operation_of_one_commit_keeps_what_was_there() {
    let base = fresh();
    let mut store = open(&base).unwrap();
    store.put_records(&room(1), &[(b"old".to_vec(), vec![1; 3000])]).unwrap();
    drop(store);
    let bytes = base.shown();
    for cut in 0.. {
        let disk = Disk::with(bytes.clone());
        disk.cut_after(cut);
        let outcome = open(&disk).and_then(|mut store| store.put_records(&room(1), &[(b"new".to_vec(), vec![2; 9000])]));
        let acknowledged = outcome.is_ok();
        for seed in 0..3 {
            let mut dice = Dice(cut * 31 + seed);
            let store = open(&disk.after(Death::PowerCut, &mut dice)).unwrap_or_else(|error| panic!("cut {cut}: {error}"));
            let found = store.load_records(&room(1)).unwrap();
            assert_eq!(found.first(), Some(&(b"old".to_vec(), vec![1; 3000])), "cut {cut}");
            if acknowledged {
                assert_eq!(found.get(1), Some(&(b"new".to_vec(), vec![2; 9000])), "cut {cut}");
            }
        }
        if acknowledged && !disk.is_dead() {
            assert!(cut > 10, "the commit did nothing");
            return;
        }
    }
}

#[test]
fn a_commit_is_flushed_before_it_is_acknowledged() {
    let disk = fresh();
    let mut store = open(&disk).unwrap();
    for _ in 0..5 {
        let before = disk.syncs();
        store.save_identity(&identity("Ada")).unwrap();
        assert!(disk.syncs() > before);
        let lost = disk.after(Death::PowerCut, &mut Dice(1));
        assert_eq!(open(&lost).unwrap().identity().unwrap().unwrap().name, "Ada");
    }
}

/// What these tests hold would not hold by luck: on a disk that flushes nothing, acknowledged writes are lost.
#[test]
fn a_disk_that_lies_about_flushing_loses_what_was_acknowledged() {
    let mut lost = 0;
    for seed in 0..10 {
        let disk = fresh();
        disk.lie();
        let mut store = open(&disk).unwrap();
        store.put_records(&room(1), &[(b"k".to_vec(), vec![1; 5000])]).unwrap();
        let after = disk.after(Death::PowerCut, &mut Dice(seed));
        let kept = open(&after).is_ok_and(|store| store.load_records(&room(1)).is_ok_and(|found| found.len() == 1));
        lost += u32::from(!kept);
    }
    assert!(lost > 0);
}

#[test]
fn a_disk_that_refuses_for_a_while_loses_nothing_and_is_used_again() {
    let disk = fresh();
    let mut store = open(&disk).unwrap();
    let mut dice = Dice(7);
    let mut held = Content::new();
    for round in 0..40_u64 {
        let (batch, after) = some_batch(&mut dice, &held);
        disk.refuse_after(dice.below(12));
        let outcome = store.commit(&[batch]);
        disk.accept();
        if let Err(error) = &outcome {
            assert!(matches!(error, StoreError::Failed { .. }), "round {round}: {error:?}");
            // A write that follows finds the store open again, by itself.
            store.commit(&[Batch::new().setting("round", Some(&round.to_string()))]).unwrap();
            let found = content(&store);
            assert!(found == held || found == after, "round {round}: a part of a batch");
            held = found;
        } else {
            held = after;
        }
        assert_eq!(content(&store), held, "round {round}");
    }
    drop(store);
    assert_eq!(content(&open(&disk).unwrap()), held);
}
