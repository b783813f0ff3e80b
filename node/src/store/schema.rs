//! The schema number and the way from an older one to today's. It never opens what a newer version wrote.

use redb::{ReadableDatabase, TableDefinition};

use super::error::StoreError;
use super::seal::Sealer;

/// What this version writes. A released schema has a fixture in `tests/fixtures` that every later version must open.
pub(crate) const SCHEMA: u32 = 1;

/// In the clear: the schema number, the wrapped key, the count of records.
pub(crate) const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
const SCHEMA_ROW: &str = "schema";

/// One step forward. It runs in the transaction that also raises the number, so that a crash leaves the old schema whole.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Migration {
    /// The schema it leads to, from the one before.
    pub(crate) to: u32,
    pub(crate) run: fn(&redb::WriteTransaction, &Sealer) -> Result<(), StoreError>,
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealer(…)")
    }
}

/// Every step since schema 1, in order.
pub(crate) const MIGRATIONS: &[Migration] = &[];

/// The number of a store that was opened, unless it is newer than `known`.
pub(crate) fn read(database: &redb::Database, known: u32) -> Result<u32, StoreError> {
    let row = read_meta(database, SCHEMA_ROW)?.ok_or_else(|| StoreError::damaged("it has no schema number"))?;
    let found =
        u32::from_be_bytes(row.as_slice().try_into().map_err(|_| StoreError::damaged("its schema number is unreadable"))?);
    if found > known { Err(StoreError::Newer { found, known }) } else { Ok(found) }
}

pub(crate) fn read_meta(database: &redb::Database, row: &str) -> Result<Option<Vec<u8>>, StoreError> {
    let transaction = database.begin_read()?;
    let meta = transaction.open_table(META)?;
    Ok(meta.get(row)?.map(|value| value.value().to_vec()))
}

pub(crate) fn write(transaction: &redb::WriteTransaction, schema: u32) -> Result<(), StoreError> {
    transaction.open_table(META)?.insert(SCHEMA_ROW, schema.to_be_bytes().as_slice())?;
    Ok(())
}

/// Brings a store of schema `found` up to `target`, one durable transaction a step.
pub(crate) fn migrate(
    database: &redb::Database,
    sealer: &Sealer,
    found: u32,
    steps: &[Migration],
    target: u32,
) -> Result<(), StoreError> {
    for schema in found + 1..=target {
        let step = steps.iter().find(|step| step.to == schema);
        let step = step.ok_or_else(|| StoreError::failed("migration", format!("no way to schema {schema}")))?;
        let mut transaction = database.begin_write()?;
        transaction.set_two_phase_commit(true);
        (step.run)(&transaction, sealer)?;
        write(&transaction, schema)?;
        transaction.commit()?;
        tracing::info!(schema, "the store was brought forward");
    }
    Ok(())
}
