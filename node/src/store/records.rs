//! Rows of the store: what is kept, under which name, and how a batch of changes becomes one durable transaction. It never
//! acknowledges what is not flushed.

use std::collections::BTreeSet;

use conclave_protocol::id::{DeviceId, OpHash, RoomId};
use conclave_protocol::room::record::Record;
use minicbor::{Decode, Encode};
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::Store;
use super::error::StoreError;
use super::identity::Identity;
use super::schema::{self, META};
use super::seal::{ROW_LEN, Sealer};

/// Longest value of one row, in bytes. Nothing that the protocol allows is near it.
const VALUE_LIMIT: usize = 4 * 1024 * 1024;
/// Count of records that were ever put, in the clear: the order in which they came.
const NEXT_RECORD_ROW: &str = "next record";

/// A record as it was put: its key within the room, and its value.
pub type KeyValue = (Vec<u8>, Vec<u8>);

type Rows = TableDefinition<'static, &'static [u8], &'static [u8]>;

/// A table of sealed rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Table {
    Identity,
    Rooms,
    Records,
    Settings,
    Notes,
    ReadMarks,
    Invites,
    Addresses,
}

impl Table {
    const ALL: [Self; 8] = [
        Self::Identity,
        Self::Rooms,
        Self::Records,
        Self::Settings,
        Self::Notes,
        Self::ReadMarks,
        Self::Invites,
        Self::Addresses,
    ];
    /// What goes when a room goes.
    const OF_A_ROOM: [Self; 5] = [Self::Rooms, Self::Records, Self::Notes, Self::ReadMarks, Self::Invites];

    const fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Rooms => "rooms",
            Self::Records => "records",
            Self::Settings => "settings",
            Self::Notes => "notes",
            Self::ReadMarks => "read marks",
            Self::Invites => "invites",
            Self::Addresses => "addresses",
        }
    }

    const fn rows(self) -> Rows {
        TableDefinition::new(self.name())
    }
}

/// The secret half of an invite of ours, and how often it was used.
#[derive(Clone, PartialEq, Eq, Encode, Decode, Zeroize, ZeroizeOnDrop)]
#[cbor(map)]
pub struct InviteSecret {
    /// The `Invite` operation.
    #[zeroize(skip)]
    #[n(0)]
    pub invite: OpHash,
    /// Ed25519 seed that the link carries.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub seed: [u8; 32],
    /// How many it may admit.
    #[n(2)]
    pub uses: u32,
    /// How many it has admitted.
    #[n(3)]
    pub used: u32,
    /// UTC milliseconds, by this device's clock.
    #[n(4)]
    pub expires_ms: u64,
}

impl std::fmt::Debug for InviteSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InviteSecret").field("invite", &self.invite).field("used", &self.used).finish_non_exhaustive()
    }
}

#[derive(Debug)]
enum Write {
    Set { table: Table, scope: Vec<u8>, key: Vec<u8>, value: Option<Zeroizing<Vec<u8>>> },
    DeleteRoom(RoomId),
}

/// Changes that reach the disk together or not at all, in the order in which they were added.
#[derive(Debug, Default)]
pub struct Batch {
    writes: Vec<Write>,
    bytes: usize,
}

impl Batch {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    /// Bytes of values in it, to bound what is committed at once.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// A record of a room: an operation under its own key. One that is there keeps its place in the order.
    #[must_use]
    pub fn record(self, room: &RoomId, key: &[u8], value: &[u8]) -> Self {
        self.set(Table::Records, room.as_bytes(), key, Some(value.to_vec())).set(
            Table::Rooms,
            room.as_bytes(),
            &[],
            Some(Vec::new()),
        )
    }

    /// Records of a room, each under its own key.
    #[must_use]
    pub fn records(self, room: &RoomId, records: &[Record]) -> Self {
        records.iter().fold(self, |batch, record| batch.record(room, &record.key(), &record.encode()))
    }

    #[must_use]
    pub fn identity(self, identity: &Identity) -> Self {
        self.encoded(Table::Identity, &[], &[], identity)
    }

    /// A setting of a face of the node; removed where `value` is absent.
    #[must_use]
    pub fn setting(self, key: &str, value: Option<&str>) -> Self {
        self.set(Table::Settings, &[], key.as_bytes(), value.map(|value| value.as_bytes().to_vec()))
    }

    /// Something that the node itself keeps about a room (or, without one, about itself) and that nobody else sees.
    #[must_use]
    pub fn note(self, room: Option<&RoomId>, key: &str, value: Option<&[u8]>) -> Self {
        self.set(Table::Notes, room.map_or(&[], |room| room.as_bytes().as_slice()), key.as_bytes(), value.map(<[u8]>::to_vec))
    }

    /// Everything up to this message was seen.
    #[must_use]
    pub fn read_mark(self, room: &RoomId, message: &OpHash) -> Self {
        self.set(Table::ReadMarks, room.as_bytes(), &[], Some(message.as_bytes().to_vec()))
    }

    #[must_use]
    pub fn invite(self, room: &RoomId, invite: &InviteSecret) -> Self {
        self.encoded(Table::Invites, room.as_bytes(), invite.invite.as_bytes(), invite)
    }

    #[must_use]
    pub fn forget_invite(self, room: &RoomId, invite: &OpHash) -> Self {
        self.set(Table::Invites, room.as_bytes(), invite.as_bytes(), None)
    }

    /// Where a device was reached; forgotten where there is nothing.
    #[must_use]
    pub fn addresses(self, device: &DeviceId, addresses: &[String]) -> Self {
        if addresses.is_empty() {
            return self.set(Table::Addresses, &[], device.as_bytes(), None);
        }
        self.encoded(Table::Addresses, &[], device.as_bytes(), &addresses)
    }

    /// The room and everything of it.
    #[must_use]
    pub fn delete_room(mut self, room: &RoomId) -> Self {
        self.writes.push(Write::DeleteRoom(*room));
        self
    }

    /// What `other` changes, after what this one does.
    #[must_use]
    pub fn then(mut self, other: Self) -> Self {
        self.bytes += other.bytes;
        self.writes.extend(other.writes);
        self
    }

    fn encoded(self, table: Table, scope: &[u8], key: &[u8], value: &impl Encode<()>) -> Self {
        let mut bytes = Vec::new();
        match minicbor::encode(value, &mut bytes) {
            Ok(()) => self.set(table, scope, key, Some(bytes)),
            // Writing to memory has no way to fail.
            Err(_) => self,
        }
    }

    fn set(mut self, table: Table, scope: &[u8], key: &[u8], value: Option<Vec<u8>>) -> Self {
        self.bytes += value.as_ref().map_or(0, Vec::len) + key.len();
        self.writes.push(Write::Set { table, scope: scope.to_vec(), key: key.to_vec(), value: value.map(Zeroizing::new) });
        self
    }
}

/// The inside of a row.
#[derive(Encode, Decode)]
struct Row {
    /// Place among the records, in the order of arrival; 0 in other tables.
    #[n(0)]
    number: u64,
    #[cbor(n(1), with = "minicbor::bytes")]
    scope: Vec<u8>,
    #[cbor(n(2), with = "minicbor::bytes")]
    key: Vec<u8>,
    #[cbor(n(3), with = "minicbor::bytes")]
    value: Vec<u8>,
}

impl Store {
    /// Carries out `batches` in one transaction. When this returns, all of them are on disk. Where it fails, all or none of them
    /// are: what is then loaded is what counts.
    ///
    /// # Errors
    /// `Failed` where the disk refuses, `Damaged`.
    pub fn commit(&mut self, batches: &[Batch]) -> Result<(), StoreError> {
        self.recover()?;
        let outcome = self.commit_once(batches);
        if matches!(outcome, Err(StoreError::Failed { .. })) {
            // Dropped before it is opened again, so that no two of them write to one file.
            self.database = None;
            if let Err(error) = self.recover() {
                tracing::warn!(%error, "the store cannot be opened again yet");
            }
        }
        outcome
    }

    fn commit_once(&mut self, batches: &[Batch]) -> Result<(), StoreError> {
        let mut next_record = self.next_record;
        let mut transaction = self.database()?.begin_write()?;
        // With two phases the newest commit is always whole, so that damage is never taken for the trace of a power cut.
        transaction.set_two_phase_commit(true);
        let mut rooms = BTreeSet::new();
        for write in batches.iter().flat_map(|batch| &batch.writes) {
            match write {
                // Once for a room and a commit is enough.
                Write::Set { table: Table::Rooms, scope, .. } if !rooms.insert(scope) => {}
                Write::Set { table, scope, key, value: Some(value) } => {
                    put(&transaction, &self.sealer, *table, scope, key, value, &mut next_record)?;
                }
                Write::Set { table, scope, key, value: None } => {
                    let row = self.sealer.row(table.name(), scope, key);
                    transaction.open_table(table.rows())?.remove(row.as_slice())?;
                }
                Write::DeleteRoom(room) => {
                    delete_room(&transaction, &self.sealer, room)?;
                    rooms.clear();
                }
            }
        }
        transaction.open_table(META)?.insert(NEXT_RECORD_ROW, next_record.to_be_bytes().as_slice())?;
        transaction.commit()?;
        self.next_record = next_record;
        Ok(())
    }

    /// Records of one room in one durable transaction.
    ///
    /// # Errors
    /// As [`Self::commit`].
    pub fn put_records(&mut self, room: &RoomId, records: &[KeyValue]) -> Result<(), StoreError> {
        let batch = records.iter().fold(Batch::new(), |batch, (key, value)| batch.record(room, key, value));
        self.commit(&[batch])
    }

    /// Every record of a room, as (key, value), in the order in which they came.
    ///
    /// # Errors
    /// `Damaged` where a row does not open, `Failed`.
    pub fn load_records(&self, room: &RoomId) -> Result<Vec<KeyValue>, StoreError> {
        let mut rows = self.scan(Table::Records, room.as_bytes())?;
        rows.sort_by_key(|row| row.number);
        Ok(rows.into_iter().map(|row| (row.key, row.value)).collect())
    }

    /// Every record of a room, in the order in which they came.
    ///
    /// # Errors
    /// `Damaged` where a row does not open or is no record, `Failed`.
    pub fn load_room(&self, room: &RoomId) -> Result<Vec<Record>, StoreError> {
        let rows = self.load_records(room)?;
        rows.iter().map(|(_, value)| Record::decode(value).map_err(|_| StoreError::damaged("a record is unreadable"))).collect()
    }

    /// The rooms of which there are records.
    ///
    /// # Errors
    /// `Damaged`, `Failed`.
    pub fn rooms(&self) -> Result<Vec<RoomId>, StoreError> {
        let mut rooms: Vec<RoomId> =
            self.scan_all(Table::Rooms)?.iter().filter_map(|row| RoomId::from_slice(&row.scope)).collect();
        rooms.sort();
        Ok(rooms)
    }

    /// Who this device is, once that was saved.
    ///
    /// # Errors
    /// `Damaged`, `Failed`.
    pub fn identity(&self) -> Result<Option<Identity>, StoreError> {
        self.get(Table::Identity, &[], &[])?.map(|value| decode(&value)).transpose()
    }

    /// # Errors
    /// As [`Self::commit`].
    pub fn save_identity(&mut self, identity: &Identity) -> Result<(), StoreError> {
        self.commit(&[Batch::new().identity(identity)])
    }

    /// # Errors
    /// `Damaged`, `Failed`.
    pub fn setting(&self, key: &str) -> Result<Option<String>, StoreError> {
        let value = self.get(Table::Settings, &[], key.as_bytes())?;
        value.map(|value| String::from_utf8(value).map_err(|_| StoreError::damaged("a setting is unreadable"))).transpose()
    }

    /// # Errors
    /// `Damaged`, `Failed`.
    pub fn note(&self, room: Option<&RoomId>, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.get(Table::Notes, room.map_or(&[], |room| room.as_bytes().as_slice()), key.as_bytes())
    }

    /// # Errors
    /// `Damaged`, `Failed`.
    pub fn read_mark(&self, room: &RoomId) -> Result<Option<OpHash>, StoreError> {
        Ok(self.get(Table::ReadMarks, room.as_bytes(), &[])?.and_then(|value| OpHash::from_slice(&value)))
    }

    /// The invites of ours in a room.
    ///
    /// # Errors
    /// `Damaged`, `Failed`.
    pub fn invites(&self, room: &RoomId) -> Result<Vec<InviteSecret>, StoreError> {
        self.scan(Table::Invites, room.as_bytes())?.iter().map(|row| decode(&row.value)).collect()
    }

    /// Where devices were reached.
    ///
    /// # Errors
    /// `Damaged`, `Failed`.
    pub fn addresses(&self) -> Result<Vec<(DeviceId, Vec<String>)>, StoreError> {
        let mut found = Vec::new();
        for row in self.scan_all(Table::Addresses)? {
            if let Some(device) = DeviceId::from_slice(&row.key) {
                found.push((device, decode(&row.value)?));
            }
        }
        Ok(found)
    }

    fn get(&self, table: Table, scope: &[u8], key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let row = self.sealer.row(table.name(), scope, key);
        let transaction = self.database()?.begin_read()?;
        let rows = transaction.open_table(table.rows())?;
        let Some(sealed) = rows.get(row.as_slice())? else { return Ok(None) };
        Ok(Some(open_row(&self.sealer, table, &row, sealed.value())?.value))
    }

    fn scan(&self, table: Table, scope: &[u8]) -> Result<Vec<Row>, StoreError> {
        let (from, to) = bounds(&self.sealer, table, scope);
        let transaction = self.database()?.begin_read()?;
        let rows = transaction.open_table(table.rows())?;
        let mut found = Vec::new();
        for entry in rows.range(from.as_slice()..=to.as_slice())? {
            let (row, sealed) = entry?;
            found.push(open_row(&self.sealer, table, row.value(), sealed.value())?);
        }
        Ok(found)
    }

    fn scan_all(&self, table: Table) -> Result<Vec<Row>, StoreError> {
        let transaction = self.database()?.begin_read()?;
        let rows = transaction.open_table(table.rows())?;
        let mut found = Vec::new();
        for entry in rows.iter()? {
            let (row, sealed) = entry?;
            found.push(open_row(&self.sealer, table, row.value(), sealed.value())?);
        }
        Ok(found)
    }
}

/// Every table, so that reading one that nothing was written to is no special case.
pub(crate) fn create_tables(transaction: &redb::WriteTransaction) -> Result<(), StoreError> {
    for table in Table::ALL {
        transaction.open_table(table.rows())?;
    }
    Ok(())
}

/// Opens every row once: what does not open was changed behind our back.
pub(crate) fn prove(database: &Database, sealer: &Sealer) -> Result<(), StoreError> {
    let transaction = database.begin_read()?;
    for table in Table::ALL {
        let rows = transaction.open_table(table.rows())?;
        for entry in rows.iter()? {
            let (row, sealed) = entry?;
            open_row(sealer, table, row.value(), sealed.value())?;
        }
    }
    Ok(())
}

pub(crate) fn next_record(database: &Database) -> Result<u64, StoreError> {
    match schema::read_meta(database, NEXT_RECORD_ROW)? {
        None => Ok(1),
        Some(row) => {
            Ok(u64::from_be_bytes(row.as_slice().try_into().map_err(|_| StoreError::damaged("its counter is unreadable"))?))
        }
    }
}

fn put(
    transaction: &redb::WriteTransaction,
    sealer: &Sealer,
    table: Table,
    scope: &[u8],
    key: &[u8],
    value: &[u8],
    next_record: &mut u64,
) -> Result<(), StoreError> {
    if value.len() > VALUE_LIMIT {
        return Err(StoreError::failed("keeping a value", format!("{} bytes are more than {VALUE_LIMIT}", value.len())));
    }
    let row = sealer.row(table.name(), scope, key);
    let mut rows = transaction.open_table(table.rows())?;
    let number = if table == Table::Records {
        let before = rows.get(row.as_slice())?.map(|sealed| open_row(sealer, table, &row, sealed.value())).transpose()?;
        match before {
            Some(before) => before.number,
            None => {
                let number = *next_record;
                *next_record += 1;
                number
            }
        }
    } else {
        0
    };
    let inside = Row { number, scope: scope.to_vec(), key: key.to_vec(), value: value.to_vec() };
    let mut plaintext = Zeroizing::new(Vec::with_capacity(value.len() + key.len() + scope.len() + 24));
    minicbor::encode(&inside, &mut *plaintext).map_err(|error| StoreError::failed("encoding a row", error))?;
    rows.insert(row.as_slice(), sealer.seal(table.name(), &row, &plaintext)?.as_slice())?;
    Ok(())
}

fn delete_room(transaction: &redb::WriteTransaction, sealer: &Sealer, room: &RoomId) -> Result<(), StoreError> {
    for table in Table::OF_A_ROOM {
        let (from, to) = bounds(sealer, table, room.as_bytes());
        transaction.open_table(table.rows())?.retain_in(from.as_slice()..=to.as_slice(), |_, _| false)?;
    }
    Ok(())
}

/// The first and the last row that a scope can have.
fn bounds(sealer: &Sealer, table: Table, scope: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let mut from = sealer.scope(table.name(), scope);
    let mut to = from.clone();
    from.resize(ROW_LEN, 0x00);
    to.resize(ROW_LEN, 0xff);
    (from, to)
}

fn open_row(sealer: &Sealer, table: Table, row: &[u8], sealed: &[u8]) -> Result<Row, StoreError> {
    let opened = sealer.open(table.name(), row, sealed);
    let opened = opened.ok_or_else(|| StoreError::damaged(format!("a row of `{}` was changed", table.name())))?;
    decode(&opened)
}

fn decode<'b, T: Decode<'b, ()>>(bytes: &'b [u8]) -> Result<T, StoreError> {
    minicbor::decode(bytes).map_err(|_| StoreError::damaged("a row is unreadable"))
}

/// Ways for tests to do to a store what only someone with a tool for redb could.
#[cfg(test)]
pub(crate) mod tests_support {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]

    use redb::ReadableTable;

    use super::{Store, Table};

    /// Gives two settings each other's sealed value, with page checksums that fit.
    pub(crate) fn swap_two_settings(store: &Store) {
        let transaction = store.database().unwrap().begin_write().unwrap();
        {
            let mut rows = transaction.open_table(Table::Settings.rows()).unwrap();
            let found: Vec<(Vec<u8>, Vec<u8>)> = rows
                .iter()
                .unwrap()
                .map(|entry| entry.unwrap())
                .map(|(row, sealed)| (row.value().to_vec(), sealed.value().to_vec()))
                .collect();
            rows.insert(found[0].0.as_slice(), found[1].1.as_slice()).unwrap();
            rows.insert(found[1].0.as_slice(), found[0].1.as_slice()).unwrap();
        }
        transaction.commit().unwrap();
    }
}
