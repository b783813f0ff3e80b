//! Accounts, their devices, and the invites by which they come.

use conclave_bootstrap_api::{ChainEvent, Device, Head, Key};
use sqlx::Row;
use sqlx::any::AnyRow;

use super::{Store, StoreError, append, key, number, signed};

/// A person of the team.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) key: Key,
    /// What OPAQUE keeps of the password.
    pub(crate) password: Option<Vec<u8>>,
    pub(crate) backup: Option<Vec<u8>>,
    pub(crate) disabled: bool,
    pub(crate) created_ms: u64,
}

/// What a registration makes.
#[derive(Debug)]
pub(crate) struct NewAccount {
    pub(crate) invite_hash: [u8; 32],
    pub(crate) id: String,
    pub(crate) name_key: String,
    pub(crate) name: String,
    pub(crate) key: Key,
    pub(crate) device: Key,
    pub(crate) label: String,
    pub(crate) password: Option<Vec<u8>>,
    pub(crate) backup: Option<Vec<u8>>,
}

/// What became of a registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Registered {
    Done(Head),
    InviteInvalid,
    /// The name, the account key or the device key has an account already.
    Taken,
}

/// What became of a device that was to be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Added {
    Done,
    /// It has an account already.
    Taken,
    TooMany,
}

/// Devices of one account that are not revoked: what each of them may ask for is bounded, and so is what a person may.
const DEVICES: u64 = 32;

const ACCOUNT: &str = "a.id, a.name, a.account_key, a.password, a.backup, a.disabled, a.created_ms";

impl Store {
    pub(crate) async fn add_invite(&self, hash: &[u8; 32], uses: u32, now_ms: u64, expires_ms: u64) -> Result<(), StoreError> {
        sqlx::query("INSERT INTO invites (hash, uses, created_ms, expires_ms) VALUES ($1, $2, $3, $4)")
            .bind(hash.to_vec())
            .bind(i64::from(uses))
            .bind(signed(now_ms))
            .bind(signed(expires_ms))
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Whether an invite could be used now. Only [`Self::register`] decides.
    pub(crate) async fn invite_is_open(&self, hash: &[u8; 32], now_ms: u64) -> Result<bool, StoreError> {
        let row =
            sqlx::query("SELECT 1 AS open FROM invites WHERE hash = $1 AND used < uses AND expires_ms > $2 AND revoked = 0")
                .bind(hash.to_vec())
                .bind(signed(now_ms))
                .fetch_optional(&self.pool)
                .await?;
        Ok(row.is_some())
    }

    /// Voids every invite that is open; gives how many.
    pub(crate) async fn revoke_invites(&self) -> Result<u64, StoreError> {
        let done = sqlx::query("UPDATE invites SET revoked = 1 WHERE revoked = 0 AND used < uses").execute(&self.pool).await?;
        Ok(done.rows_affected())
    }

    /// Uses the invite and makes the account, both or neither. The invite is used by one statement that counts: of fifty that come at
    /// once, as many get in as it has uses.
    pub(crate) async fn register(&self, new: &NewAccount, now_ms: u64) -> Result<Registered, StoreError> {
        let mut tx = self.pool.begin().await?;
        let used =
            sqlx::query("UPDATE invites SET used = used + 1 WHERE hash = $1 AND used < uses AND expires_ms > $2 AND revoked = 0")
                .bind(new.invite_hash.to_vec())
                .bind(signed(now_ms))
                .execute(&mut *tx)
                .await?;
        if used.rows_affected() != 1 {
            return Ok(Registered::InviteInvalid);
        }
        let made = sqlx::query(
            "INSERT INTO accounts (id, name_key, name, account_key, password, backup, created_ms) \
             VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING",
        )
        .bind(new.id.clone())
        .bind(new.name_key.clone())
        .bind(new.name.clone())
        .bind(new.key.0.to_vec())
        .bind(new.password.clone())
        .bind(new.backup.clone())
        .bind(signed(now_ms))
        .execute(&mut *tx)
        .await?;
        if made.rows_affected() != 1 || !insert_device(&mut tx, &new.id, new.device, &new.label, now_ms).await? {
            return Ok(Registered::Taken);
        }
        let head = append(&mut tx, (ChainEvent::Registered, &new.name, new.key, Some(new.device)), now_ms).await?;
        tx.commit().await?;
        Ok(Registered::Done(head))
    }

    pub(crate) async fn account(&self, name_key: &str) -> Result<Option<Account>, StoreError> {
        let row = sqlx::query(sqlx::AssertSqlSafe(format!("SELECT {ACCOUNT} FROM accounts a WHERE a.name_key = $1")))
            .bind(name_key.to_owned())
            .fetch_optional(&self.pool)
            .await?;
        row.as_ref().map(account).transpose()
    }

    pub(crate) async fn account_by_id(&self, id: &str) -> Result<Option<Account>, StoreError> {
        let row = sqlx::query(sqlx::AssertSqlSafe(format!("SELECT {ACCOUNT} FROM accounts a WHERE a.id = $1")))
            .bind(id.to_owned())
            .fetch_optional(&self.pool)
            .await?;
        row.as_ref().map(account).transpose()
    }

    /// The account of a device that is not revoked.
    pub(crate) async fn account_of(&self, device: Key) -> Result<Option<Account>, StoreError> {
        let row = sqlx::query(sqlx::AssertSqlSafe(format!(
            "SELECT {ACCOUNT} FROM accounts a JOIN devices d ON d.account = a.id WHERE d.device = $1 AND d.revoked_ms IS NULL"
        )))
        .bind(device.0.to_vec())
        .fetch_optional(&self.pool)
        .await?;
        row.as_ref().map(account).transpose()
    }

    pub(crate) async fn accounts(&self) -> Result<Vec<Account>, StoreError> {
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!("SELECT {ACCOUNT} FROM accounts a ORDER BY a.name_key")))
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(account).collect()
    }

    pub(crate) async fn devices(&self, account: &str) -> Result<Vec<Device>, StoreError> {
        let rows =
            sqlx::query("SELECT device, label, added_ms, revoked_ms FROM devices WHERE account = $1 ORDER BY added_ms, device")
                .bind(account.to_owned())
                .fetch_all(&self.pool)
                .await?;
        let device = |row: &AnyRow| {
            Ok(Device {
                device: key(row, "device")?,
                label: row.try_get("label")?,
                added_ms: number(row, "added_ms")?,
                revoked: row.try_get::<Option<i64>, _>("revoked_ms")?.is_some(),
            })
        };
        rows.iter().map(device).collect()
    }

    /// Every device that may use what belongs to the team, with its account's id.
    pub(crate) async fn members(&self) -> Result<Vec<(Key, String)>, StoreError> {
        let rows = sqlx::query(
            "SELECT d.device, d.account FROM devices d JOIN accounts a ON a.id = d.account \
             WHERE d.revoked_ms IS NULL AND a.disabled = 0",
        )
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(|row| Ok((key(row, "device")?, row.try_get("account")?))).collect()
    }

    pub(crate) async fn add_device(&self, to: &Account, device: Key, label: &str, now_ms: u64) -> Result<Added, StoreError> {
        let mut tx = self.pool.begin().await?;
        if !insert_device(&mut tx, &to.id, device, label, now_ms).await? {
            return Ok(Added::Taken);
        }
        append(&mut tx, (ChainEvent::DeviceAdded, &to.name, to.key, Some(device)), now_ms).await?;
        // Counted behind the chain's counter, for whose row concurrent transactions wait.
        let row = sqlx::query("SELECT COUNT(*) AS count FROM devices WHERE account = $1 AND revoked_ms IS NULL")
            .bind(to.id.clone())
            .fetch_one(&mut *tx)
            .await?;
        if number(&row, "count")? > DEVICES {
            return Ok(Added::TooMany);
        }
        tx.commit().await?;
        Ok(Added::Done)
    }

    /// False where the account has no such device, or it is revoked already.
    pub(crate) async fn revoke_device(&self, of: &Account, device: Key, now_ms: u64) -> Result<bool, StoreError> {
        let mut tx = self.pool.begin().await?;
        let done = sqlx::query("UPDATE devices SET revoked_ms = $1 WHERE device = $2 AND account = $3 AND revoked_ms IS NULL")
            .bind(signed(now_ms))
            .bind(device.0.to_vec())
            .bind(of.id.clone())
            .execute(&mut *tx)
            .await?;
        if done.rows_affected() != 1 {
            return Ok(false);
        }
        append(&mut tx, (ChainEvent::DeviceRevoked, &of.name, of.key, Some(device)), now_ms).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// False where it is so already.
    pub(crate) async fn set_disabled(&self, of: &Account, disabled: bool, now_ms: u64) -> Result<bool, StoreError> {
        let mut tx = self.pool.begin().await?;
        let done = sqlx::query("UPDATE accounts SET disabled = $1 WHERE id = $2 AND disabled <> $1")
            .bind(i64::from(disabled))
            .bind(of.id.clone())
            .execute(&mut *tx)
            .await?;
        if done.rows_affected() != 1 {
            return Ok(false);
        }
        let event = if disabled { ChainEvent::Disabled } else { ChainEvent::Enabled };
        append(&mut tx, (event, &of.name, of.key, None), now_ms).await?;
        tx.commit().await?;
        Ok(true)
    }

    pub(crate) async fn put_backup(&self, account: &str, backup: &[u8]) -> Result<(), StoreError> {
        sqlx::query("UPDATE accounts SET backup = $1 WHERE id = $2")
            .bind(backup.to_vec())
            .bind(account.to_owned())
            .execute(&self.pool)
            .await?;
        Ok(())
    }
}

async fn insert_device(tx: &mut super::Tx, account: &str, device: Key, label: &str, now_ms: u64) -> Result<bool, StoreError> {
    let done =
        sqlx::query("INSERT INTO devices (device, account, label, added_ms) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING")
            .bind(device.0.to_vec())
            .bind(account.to_owned())
            .bind(label.to_owned())
            .bind(signed(now_ms))
            .execute(&mut **tx)
            .await?;
    Ok(done.rows_affected() == 1)
}

fn account(row: &AnyRow) -> Result<Account, StoreError> {
    Ok(Account {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        key: key(row, "account_key")?,
        password: row.try_get("password")?,
        backup: row.try_get("backup")?,
        disabled: row.try_get::<i64, _>("disabled")? != 0,
        created_ms: number(row, "created_ms")?,
    })
}
