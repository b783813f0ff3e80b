//! Every schema that was released opens for ever, and the way forward works.

use std::path::{Path, PathBuf};

use conclave_protocol::id::{DeviceId, OpHash};
use redb::TableDefinition;

use super::{Dice, create, directory, identity, passphrase, room};
use crate::store::keyring::Cost;
use crate::store::schema::{self, Migration};
use crate::store::{Batch, InviteSecret, Store, StoreError};

const PASSPHRASE: &str = "fixture";

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/store-schema-1.redb")
}

fn invite() -> InviteSecret {
    InviteSecret { invite: OpHash([3; 32]), seed: [9; 32], uses: 5, used: 2, expires_ms: 1_700_000_086_400 }
}

/// Wrote the fixture when schema 1 was new. A later schema gets a file of its own; this one never changes.
#[test]
#[ignore = "writes the fixture of the schema of its day"]
fn write_the_fixture() {
    assert_eq!(schema::SCHEMA, 1, "write a fixture of its own for the new schema");
    let dir = directory();
    let mut store = Store::create_with(dir.path(), &passphrase(PASSPHRASE), Cost::LOW).unwrap();
    store.save_identity(&identity("Ada")).unwrap();
    let mut dice = Dice(1);
    for number in 0..30_u8 {
        store.put_records(&room(number % 2), &[(vec![number], dice.bytes(300))]).unwrap();
    }
    store
        .commit(&[Batch::new()
            .setting("theme", Some("dark"))
            .read_mark(&room(1), &OpHash([4; 32]))
            .invite(&room(1), &invite())
            .note(Some(&room(1)), "note", Some(b"kept"))
            .addresses(&DeviceId([5; 32]), &["/ip4/192.0.2.7/udp/7000/quic-v1".to_owned()])])
        .unwrap();
    store.database.as_mut().unwrap().compact().unwrap();
    store.close().unwrap();
    std::fs::create_dir_all(fixture().parent().unwrap()).unwrap();
    std::fs::copy(dir.path().join("store.redb"), fixture()).unwrap();
}

#[test]
fn a_store_of_schema_1_opens_with_everything_in_it() {
    let dir = directory();
    std::fs::copy(fixture(), dir.path().join("store.redb")).unwrap();
    let store = Store::open(dir.path(), &passphrase(PASSPHRASE)).unwrap();
    assert_eq!(schema::read(store.database().unwrap(), schema::SCHEMA), Ok(schema::SCHEMA));
    assert_eq!(store.identity().unwrap(), Some(identity("Ada")));
    assert_eq!(store.rooms().unwrap(), vec![room(0), room(1)]);
    let mut dice = Dice(1);
    let mut expected = [Vec::new(), Vec::new()];
    for number in 0..30_u8 {
        expected[usize::from(number % 2)].push((vec![number], dice.bytes(300)));
    }
    for number in [0, 1] {
        assert_eq!(store.load_records(&room(number)).unwrap(), expected[usize::from(number)]);
    }
    assert_eq!(store.setting("theme").unwrap().as_deref(), Some("dark"));
    assert_eq!(store.read_mark(&room(1)).unwrap(), Some(OpHash([4; 32])));
    assert_eq!(store.invites(&room(1)).unwrap(), vec![invite()]);
    assert_eq!(store.note(Some(&room(1)), "note").unwrap().as_deref(), Some(b"kept".as_slice()));
    assert_eq!(store.addresses().unwrap(), vec![(DeviceId([5; 32]), vec!["/ip4/192.0.2.7/udp/7000/quic-v1".to_owned()])]);
}

const EXTRA: TableDefinition<'_, &str, u32> = TableDefinition::new("extra");

fn step_two(transaction: &redb::WriteTransaction, _: &crate::store::seal::Sealer) -> Result<(), StoreError> {
    transaction.open_table(EXTRA)?.insert("steps", 2)?;
    Ok(())
}

fn step_three(transaction: &redb::WriteTransaction, _: &crate::store::seal::Sealer) -> Result<(), StoreError> {
    let mut extra = transaction.open_table(EXTRA)?;
    let before = extra.get("steps")?.map(|value| value.value());
    assert_eq!(before, Some(2), "the steps run in their order");
    extra.insert("steps", 3)?;
    Ok(())
}

fn broken_step(transaction: &redb::WriteTransaction, _: &crate::store::seal::Sealer) -> Result<(), StoreError> {
    transaction.open_table(EXTRA)?.insert("steps", 99)?;
    Err(StoreError::failed("migration", "on purpose"))
}

use redb::{ReadableDatabase, ReadableTable};

fn steps(store: &Store) -> Option<u32> {
    let transaction = store.database().unwrap().begin_read().unwrap();
    transaction.open_table(EXTRA).unwrap().get("steps").unwrap().map(|value| value.value())
}

#[test]
fn steps_forward_run_in_order_and_a_broken_one_leaves_the_schema_before_it() {
    let dir = directory();
    let mut store = create(dir.path());
    store.save_identity(&identity("Ada")).unwrap();
    let good = [Migration { to: 3, run: step_three }, Migration { to: 2, run: step_two }];
    let broken = [Migration { to: 2, run: step_two }, Migration { to: 3, run: broken_step }];

    assert!(schema::migrate(store.database().unwrap(), &store.sealer, 1, &broken, 3).is_err());
    assert_eq!(schema::read(store.database().unwrap(), 9), Ok(2));
    assert_eq!(steps(&store), Some(2));

    assert!(schema::migrate(store.database().unwrap(), &store.sealer, 2, &good, 4).is_err(), "there is no way to 4");
    assert_eq!(schema::read(store.database().unwrap(), 9), Ok(3));
    assert_eq!(steps(&store), Some(3));
    assert_eq!(store.identity().unwrap(), Some(identity("Ada")));
}

#[test]
fn there_is_a_way_from_every_released_schema() {
    let mut ways: Vec<u32> = schema::MIGRATIONS.iter().map(|step| step.to).collect();
    ways.sort_unstable();
    let released: Vec<u32> = (1..=schema::SCHEMA).skip(1).collect();
    assert_eq!(ways, released);
}
