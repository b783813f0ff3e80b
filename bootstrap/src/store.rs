//! The database: SQLite in one file, or PostgreSQL behind several replicas, by one set of statements. It must never hold a secret that
//! is not sealed, and decides nothing but what has to be decided in one statement.

mod accounts;
mod pending;
mod secrets;

use std::str::FromStr;
use std::sync::Once;
use std::time::Duration;

use conclave_bootstrap_api::{ChainEntry, ChainEvent, Head, Key, entry_hash};
use sqlx::any::{AnyConnectOptions, AnyPoolOptions, AnyRow};
use sqlx::{AnyPool, Executor, Row};

pub(crate) use self::accounts::{Account, Added, NewAccount, Registered};
pub(crate) use self::pending::Pending;
pub(crate) use self::secrets::SigningRow;

/// Connections of one replica, of each of its two pools.
const CONNECTIONS: u32 = 6;
/// A request that finds all of them in use is refused after so long.
const ACQUIRE: Duration = Duration::from_secs(5);

type Tx = sqlx::Transaction<'static, sqlx::Any>;

/// What went wrong with the database.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    #[error("the database: {0}")]
    Database(#[from] sqlx::Error),
    #[error("the schema of the database: {0}")]
    Schema(#[from] sqlx::migrate::MigrateError),
    #[error("the database holds what cannot be read: {0}")]
    Damaged(&'static str),
}

/// Pools of connections.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    /// What is committed here survives a power cut.
    pool: AnyPool,
    /// For what lives for minutes: attempts, and what is pending. It survives the process, not a power cut, and does not wait for the disk.
    light: AnyPool,
    sqlite: bool,
}

impl Store {
    /// Opens the database, and brings its schema up to date. `url`: `sqlite:PATH` or `postgres://…`.
    ///
    /// # Errors
    /// Where it cannot be reached, or has a newer schema than this program.
    pub(crate) async fn open(url: &str) -> Result<Self, StoreError> {
        static DRIVERS: Once = Once::new();
        DRIVERS.call_once(sqlx::any::install_default_drivers);
        let sqlite = url.starts_with("sqlite:");
        let text = if sqlite && !url.contains('?') { format!("{url}?mode=rwc") } else { url.to_owned() };
        let options = AnyConnectOptions::from_str(&text)?;
        let pool = connect(options.clone(), sqlite, true).await?;
        if sqlite {
            sqlx::migrate!("migrations/sqlite").run(&pool).await?;
        } else {
            sqlx::migrate!("migrations/postgres").run(&pool).await?;
        }
        let light = connect(options, sqlite, false).await?;
        Ok(Self { pool, light, sqlite })
    }

    /// Whether the database answers.
    pub(crate) async fn check(&self) -> Result<(), StoreError> {
        sqlx::query("SELECT value FROM counters WHERE name = 'chain'").fetch_one(&self.pool).await?;
        Ok(())
    }

    /// Writes a copy of an SQLite database to `path`, consistent while others write. PostgreSQL has `pg_dump`.
    pub(crate) async fn copy_to(&self, path: &str) -> Result<(), StoreError> {
        if !self.sqlite {
            return Err(StoreError::Damaged("a PostgreSQL database is backed up by pg_dump"));
        }
        sqlx::query("VACUUM INTO $1").bind(path.to_owned()).execute(&self.pool).await?;
        Ok(())
    }

    pub(crate) async fn close(&self) {
        self.light.close().await;
        self.pool.close().await;
    }

    pub(crate) async fn chain_head(&self) -> Result<Head, StoreError> {
        let row = sqlx::query("SELECT seq, hash FROM chain ORDER BY seq DESC LIMIT 1").fetch_optional(&self.pool).await?;
        row.map_or(Ok(Head::EMPTY), |row| Ok(Head { seq: number(&row, "seq")?, hash: key(&row, "hash")? }))
    }

    /// The entries after `after`, at most `limit`.
    pub(crate) async fn chain(&self, after: u64, limit: usize) -> Result<Vec<Vec<u8>>, StoreError> {
        let rows = sqlx::query("SELECT entry FROM chain WHERE seq > $1 ORDER BY seq LIMIT $2")
            .bind(signed(after))
            .bind(limit as i64)
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(|row| Ok(row.try_get("entry")?)).collect()
    }

    /// One more attempt in this bucket and period; gives how many there are. In one statement, so that replicas count together.
    pub(crate) async fn attempt(&self, bucket: &[u8], period: u64) -> Result<u64, StoreError> {
        let row = sqlx::query(
            "INSERT INTO attempts (bucket, period, count) VALUES ($1, $2, 1) \
             ON CONFLICT (bucket, period) DO UPDATE SET count = attempts.count + 1 RETURNING count",
        )
        .bind(bucket.to_vec())
        .bind(signed(period))
        .fetch_one(&self.light)
        .await?;
        number(&row, "count")
    }

    /// Takes an attempt back that turned out to be honest.
    pub(crate) async fn forgive(&self, bucket: &[u8], period: u64) -> Result<(), StoreError> {
        sqlx::query("UPDATE attempts SET count = count - 1 WHERE bucket = $1 AND period = $2 AND count > 0")
            .bind(bucket.to_vec())
            .bind(signed(period))
            .execute(&self.light)
            .await?;
        Ok(())
    }

    /// Removes what has passed.
    pub(crate) async fn sweep(&self, now_ms: u64, oldest_period: u64) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM pending WHERE expires_ms <= $1").bind(signed(now_ms)).execute(&self.light).await?;
        sqlx::query("DELETE FROM attempts WHERE period < $1").bind(signed(oldest_period)).execute(&self.light).await?;
        Ok(())
    }
}

async fn connect(options: AnyConnectOptions, sqlite: bool, durable: bool) -> Result<AnyPool, sqlx::Error> {
    AnyPoolOptions::new()
        .max_connections(CONNECTIONS)
        .acquire_timeout(ACQUIRE)
        .after_connect(move |connection, _| {
            Box::pin(async move {
                if sqlite {
                    connection.execute("PRAGMA busy_timeout = 5000").await?;
                    connection.execute("PRAGMA journal_mode = WAL").await?;
                    connection.execute(if durable { "PRAGMA synchronous = FULL" } else { "PRAGMA synchronous = NORMAL" }).await?;
                    connection.execute("PRAGMA foreign_keys = ON").await?;
                } else if !durable {
                    connection.execute("SET synchronous_commit = off").await?;
                }
                Ok(())
            })
        })
        .connect_with(options)
        .await
}

/// Adds to the chain. The counter's row is what concurrent transactions wait for.
async fn append(
    tx: &mut Tx,
    (event, name, account, device): (ChainEvent, &str, Key, Option<Key>),
    now_ms: u64,
) -> Result<Head, StoreError> {
    let row =
        sqlx::query("UPDATE counters SET value = value + 1 WHERE name = 'chain' RETURNING value").fetch_one(&mut **tx).await?;
    let seq = number(&row, "value")?;
    let before = sqlx::query("SELECT hash FROM chain WHERE seq = $1").bind(signed(seq) - 1).fetch_optional(&mut **tx).await?;
    let prev = match before {
        Some(row) => key(&row, "hash")?,
        None if seq == 1 => Head::EMPTY.hash,
        None => return Err(StoreError::Damaged("the chain has a gap")),
    };
    let entry = ChainEntry { seq, prev, at_ms: now_ms, event, name: name.to_owned(), account, device };
    let bytes = serde_json::to_vec(&entry).map_err(|_| StoreError::Damaged("an entry of the chain"))?;
    let hash = entry_hash(&bytes);
    sqlx::query("INSERT INTO chain (seq, entry, hash) VALUES ($1, $2, $3)")
        .bind(signed(seq))
        .bind(bytes)
        .bind(hash.0.to_vec())
        .execute(&mut **tx)
        .await?;
    Ok(Head { seq, hash })
}

/// Numbers of ours stay far below 2^63; one that does not is not matched by anything.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn number(row: &AnyRow, column: &str) -> Result<u64, StoreError> {
    u64::try_from(row.try_get::<i64, _>(column)?).map_err(|_| StoreError::Damaged("a negative number"))
}

fn key(row: &AnyRow, column: &str) -> Result<Key, StoreError> {
    let bytes: Vec<u8> = row.try_get(column)?;
    bytes.try_into().map(Key).map_err(|_| StoreError::Damaged("a key"))
}
