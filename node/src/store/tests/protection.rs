//! The key is where the person chose, and nowhere else.

use std::os::unix::fs::PermissionsExt;

use super::{create, directory, identity, open, passphrase, room};
use crate::config::Protection;
use crate::store::keyring::Cost;
use crate::store::{Peek, ProtectionKind, Store, StoreError};

fn locked(result: Result<Store, StoreError>) -> String {
    match result {
        Err(StoreError::Locked { reason }) => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_wrong_passphrase_leaves_the_store_locked_and_as_it_was() {
    let dir = directory();
    drop(create(dir.path()));
    let before = std::fs::read(dir.path().join("store.redb")).unwrap();
    assert!(locked(Store::open(dir.path(), &passphrase("open sesam"))).contains("passphrase"));
    assert!(locked(Store::open(dir.path(), &passphrase(""))).contains("passphrase"));
    assert_eq!(std::fs::read(dir.path().join("store.redb")).unwrap(), before);
    assert!(open(dir.path()).is_ok());
}

#[test]
fn another_protection_takes_the_place_of_the_first_and_nothing_is_lost() {
    let dir = directory();
    let mut store = Store::create(dir.path(), &Protection::Insecure).unwrap();
    store.save_identity(&identity("Ada")).unwrap();
    drop(store);
    let change = |from: &Protection, to: &Protection| Store::change_protection_with(dir.path(), from, to, Cost::LOW);
    change(&Protection::Insecure, &passphrase("one")).unwrap();
    assert!(!dir.path().join("insecure.key").exists());
    locked(Store::open(dir.path(), &Protection::Insecure));
    assert!(matches!(change(&passphrase("two"), &passphrase("three")), Err(StoreError::Locked { .. })));
    assert!(matches!(change(&passphrase("one"), &passphrase("")), Err(StoreError::Locked { .. })));
    change(&passphrase("one"), &passphrase("two")).unwrap();
    locked(Store::open(dir.path(), &passphrase("one")));
    let store = Store::open(dir.path(), &passphrase("two")).unwrap();
    assert_eq!(store.protection(), ProtectionKind::Passphrase);
    assert_eq!(store.identity().unwrap(), Some(identity("Ada")));
    assert!(matches!(change(&passphrase("two"), &passphrase("three")), Err(StoreError::InUse { .. })));
}

#[test]
fn an_empty_passphrase_makes_no_store() {
    let dir = directory();
    locked(Store::create(dir.path(), &passphrase("")));
    assert!(!dir.path().join("store.redb").exists());
}

#[test]
fn another_protection_than_the_stores_own_is_told_which_it_is() {
    let dir = directory();
    drop(create(dir.path()));
    assert!(locked(Store::open(dir.path(), &Protection::Insecure)).contains("--passphrase-file"));
    assert!(locked(Store::open(dir.path(), &Protection::Keyring)).contains("--passphrase-file"));
    let dir = directory();
    drop(Store::create(dir.path(), &Protection::Insecure).unwrap());
    assert!(locked(open(dir.path())).contains("--insecure-store"));
}

#[test]
fn an_insecure_store_needs_its_key_file() {
    let dir = directory();
    let mut store = Store::create(dir.path(), &Protection::Insecure).unwrap();
    assert_eq!(store.protection(), ProtectionKind::Insecure);
    store.save_identity(&identity("Ada")).unwrap();
    drop(store);
    assert_eq!(Store::open(dir.path(), &Protection::Insecure).unwrap().identity().unwrap(), Some(identity("Ada")));
    let key = std::fs::read(dir.path().join("insecure.key")).unwrap();
    assert_eq!(key.len(), 32);
    std::fs::write(dir.path().join("insecure.key"), [0; 32]).unwrap();
    locked(Store::open(dir.path(), &Protection::Insecure));
    std::fs::remove_file(dir.path().join("insecure.key")).unwrap();
    locked(Store::open(dir.path(), &Protection::Insecure));
    std::fs::write(dir.path().join("insecure.key"), key).unwrap();
    assert!(Store::open(dir.path(), &Protection::Insecure).is_ok());
}

#[test]
fn a_damaged_insecure_store_keeps_its_key_beside_it() {
    let dir = directory();
    let mut store = Store::create(dir.path(), &Protection::Insecure).unwrap();
    store.put_records(&room(1), &[(b"k".to_vec(), b"v".to_vec())]).unwrap();
    drop(store);
    let key = std::fs::read(dir.path().join("insecure.key")).unwrap();
    let whole = std::fs::read(dir.path().join("store.redb")).unwrap();
    std::fs::write(dir.path().join("store.redb"), &whole[..whole.len() / 2]).unwrap();
    let Err(StoreError::Damaged { aside: Some(aside), .. }) = Store::open(dir.path(), &Protection::Insecure) else { panic!() };
    assert_eq!(std::fs::read(aside.join("insecure.key")).unwrap(), key);
    drop(Store::create(dir.path(), &Protection::Insecure).unwrap());
    assert_eq!(std::fs::read(aside.join("insecure.key")).unwrap(), key);
    // Mended by hand, it opens with what was kept.
    std::fs::write(aside.join("store.redb"), whole).unwrap();
    assert_eq!(Store::open(&aside, &Protection::Insecure).unwrap().load_records(&room(1)).unwrap().len(), 1);
}

#[test]
fn files_are_the_persons_alone() {
    let dir = directory();
    let data = dir.path().join("nested").join("data");
    let store = Store::create(&data, &Protection::Insecure).unwrap();
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&data), 0o700);
    for entry in std::fs::read_dir(&data).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), if path.is_dir() { 0o700 } else { 0o600 }, "{}", path.display());
    }
    assert!(data.join("files").is_dir());
    drop(store);
}

#[test]
fn what_opens_a_store_can_be_told_without_its_key() {
    let dir = directory();
    assert_eq!(Store::peek(dir.path()), Ok(Peek::Empty { aside: Vec::new() }));
    drop(create(dir.path()));
    let before = std::fs::read(dir.path().join("store.redb")).unwrap();
    assert_eq!(Store::peek(dir.path()), Ok(Peek::Present { protection: ProtectionKind::Passphrase }));
    assert_eq!(std::fs::read(dir.path().join("store.redb")).unwrap(), before);
}

#[test]
fn without_a_keyring_the_choice_is_named_and_nothing_is_written() {
    let dir = directory();
    match Store::create(dir.path(), &Protection::Keyring) {
        // A desktop with a keyring: then that holds the key.
        Ok(store) => assert_eq!(store.protection(), ProtectionKind::Keyring),
        Err(error) => {
            let text = error.to_string();
            assert!(
                text.contains("keyring") && text.contains("--passphrase-file") && text.contains("--insecure-store"),
                "{text}"
            );
            assert!(!dir.path().join("store.redb").exists());
            assert!(!dir.path().join("insecure.key").exists());
        }
    }
}

#[test]
fn the_released_cost_of_a_guess_is_64_mib_and_three_passes() {
    let dir = directory();
    drop(Store::create_with(dir.path(), &passphrase("p"), Cost::DEFAULT).unwrap());
    assert!(Store::open(dir.path(), &passphrase("p")).is_ok());
    assert!(format!("{:?}", Cost::DEFAULT).contains("65536"));
}
