//! A damaged store is reported and kept aside as it was found; a newer one is refused; a directory serves one process.

use std::path::Path;

use proptest::prelude::*;

use super::disk::Disk;
use super::{Dice, create, directory, identity, open, passphrase, room};
use crate::store::keyring::Cost;
use crate::store::{Peek, Store, StoreError, schema};

fn filled(dir: &Path) -> Vec<u8> {
    let mut store = create(dir);
    store.save_identity(&identity("Ada")).unwrap();
    for number in 0..60_u8 {
        store.put_records(&room(number % 3), &[(vec![number], vec![number; 2000])]).unwrap();
    }
    store.close().unwrap();
    std::fs::read(dir.join("store.redb")).unwrap()
}

fn assert_kept_aside(dir: &Path, bytes: &[u8]) {
    let error = open(dir).unwrap_err();
    let StoreError::Damaged { aside: Some(aside), .. } = &error else { panic!("{error:?}") };
    assert!(error.to_string().contains(&aside.display().to_string()), "{error}");
    assert_eq!(std::fs::read(aside.join("store.redb")).unwrap(), bytes, "the damaged file was changed");
    assert!(!dir.join("store.redb").exists());
    let again = open(dir).unwrap_err();
    assert!(matches!(&again, StoreError::Empty { aside: kept, .. } if kept.contains(aside)), "{again:?}");
    assert!(again.to_string().contains(&aside.display().to_string()));
}

#[test]
fn a_damaged_store_is_reported_and_kept_as_it_was_found() {
    let dir = directory();
    let whole = filled(dir.path());
    let mut dice = Dice(42);
    let mut reported = 0;
    for _ in 0..60 {
        let mut bytes = whole.clone();
        for _ in 0..=dice.below(4) {
            let len = 1 + dice.below(3000) as usize;
            let at = dice.below((bytes.len() - len) as u64) as usize;
            let noise = dice.bytes(len);
            bytes[at..at + len].copy_from_slice(&noise);
        }
        let dir = directory();
        std::fs::write(dir.path().join("store.redb"), &bytes).unwrap();
        match open(dir.path()) {
            // Only free space was hit: everything is there.
            Ok(store) => {
                assert_eq!(store.identity().unwrap(), Some(identity("Ada")));
                let count: usize = (0..3).map(|number| store.load_records(&room(number)).unwrap().len()).sum();
                assert_eq!(count, 60);
            }
            Err(StoreError::Damaged { aside: Some(aside), .. }) => {
                reported += 1;
                assert_eq!(std::fs::read(aside.join("store.redb")).unwrap(), bytes);
            }
            Err(other) => panic!("{other:?}"),
        }
    }
    assert!(reported > 5, "{reported} of 60");
}

#[test]
fn a_store_that_is_cut_short_empty_or_something_else_is_kept_aside() {
    let dir = directory();
    let whole = filled(dir.path());
    for bytes in [Vec::new(), b"hello".to_vec(), whole[..whole.len() / 2].to_vec(), whole[..4096].to_vec(), vec![0; 100_000]] {
        let dir = directory();
        std::fs::write(dir.path().join("store.redb"), &bytes).unwrap();
        assert_kept_aside(dir.path(), &bytes);
    }
}

#[test]
fn a_second_damaged_store_does_not_replace_the_first() {
    let dir = directory();
    for text in ["first", "second", "third"] {
        std::fs::write(dir.path().join("store.redb"), text).unwrap();
        assert!(matches!(open(dir.path()), Err(StoreError::Damaged { .. })));
    }
    let Ok(Peek::Empty { aside }) = Store::peek(dir.path()) else { panic!() };
    let kept: Vec<_> = aside.iter().map(|path| std::fs::read_to_string(path.join("store.redb")).unwrap()).collect();
    assert_eq!(kept, ["first", "second", "third"]);
    // A new store beside them works and touches none.
    drop(create(dir.path()));
    assert!(open(dir.path()).is_ok());
    assert!(aside.iter().all(|path| path.join("store.redb").exists()));
}

#[test]
fn a_newer_store_is_refused_and_left_alone() {
    let dir = directory();
    let store = create(dir.path());
    let transaction = store.database().unwrap().begin_write().unwrap();
    schema::write(&transaction, schema::SCHEMA + 1).unwrap();
    transaction.commit().unwrap();
    drop(store);
    let before = std::fs::read(dir.path().join("store.redb")).unwrap();
    let error = open(dir.path()).unwrap_err();
    assert_eq!(error, StoreError::Newer { found: schema::SCHEMA + 1, known: schema::SCHEMA });
    assert!(error.to_string().contains("newer"));
    assert_eq!(std::fs::read(dir.path().join("store.redb")).unwrap(), before);
}

#[test]
fn a_second_opener_is_told_that_the_store_is_in_use() {
    let dir = directory();
    let store = create(dir.path());
    assert!(matches!(open(dir.path()), Err(StoreError::InUse { .. })));
    assert!(matches!(Store::peek(dir.path()), Err(StoreError::InUse { .. })));
    assert!(matches!(Store::create_with(dir.path(), &passphrase("x"), Cost::LOW), Err(StoreError::InUse { .. })));
    store.close().unwrap();
    assert!(open(dir.path()).is_ok());
}

#[test]
fn a_store_that_is_there_is_never_created_over() {
    let dir = directory();
    drop(create(dir.path()));
    assert!(matches!(Store::create_with(dir.path(), &passphrase("x"), Cost::LOW), Err(StoreError::Exists { .. })));
    assert!(open(dir.path()).is_ok());
}

#[test]
fn what_a_crash_left_of_a_store_in_the_making_is_no_store() {
    let dir = directory();
    std::fs::write(dir.path().join("store.redb.new"), b"half").unwrap();
    assert!(matches!(open(dir.path()), Err(StoreError::Empty { .. })));
    drop(create(dir.path()));
    assert!(open(dir.path()).is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Any flipped bit: an error, or everything is as it was.
    #[test]
    fn a_flipped_bit_is_reported_or_harmless(position in any::<u64>(), bit in 0..8_u8) {
        thread_local!(static WHOLE: Vec<u8> = filled(directory().path()));
        WHOLE.with(|whole| {
            let mut bytes = whole.clone();
            // The first pages are what is always in use.
            let at = (position % (bytes.len() as u64 / 4)) as usize;
            bytes[at] ^= 1 << bit;
            match Store::open_on(move || Ok(Disk::with(bytes.clone())), &passphrase("open sesame"), None) {
                Ok(store) => {
                    assert_eq!(store.identity().unwrap(), Some(identity("Ada")));
                    assert_eq!(store.load_records(&room(1)).unwrap().len(), 20);
                }
                Err((StoreError::Damaged { .. } | StoreError::Locked { .. } | StoreError::Newer { .. }, _)) => {}
                Err((other, _)) => panic!("{other:?}"),
            }
        });
    }
}
