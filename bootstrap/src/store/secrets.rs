//! Secrets, sealed before they come here, and the keys that sign tokens.

use conclave_bootstrap_api::Key;
use sqlx::Row;

use super::{Store, StoreError, key, number, signed};

/// A key that signs tokens, or did.
#[derive(Debug)]
pub(crate) struct SigningRow {
    pub(crate) kid: String,
    pub(crate) public: Key,
    pub(crate) sealed: Vec<u8>,
    pub(crate) retired_ms: Option<u64>,
}

impl Store {
    pub(crate) async fn secret(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let row =
            sqlx::query("SELECT sealed FROM secrets WHERE name = $1").bind(name.to_owned()).fetch_optional(&self.pool).await?;
        row.map(|row| Ok(row.try_get("sealed")?)).transpose()
    }

    /// Puts a secret in the place of an earlier one.
    pub(crate) async fn put_secret(&self, name: &str, sealed: &[u8]) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO secrets (name, sealed) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET sealed = excluded.sealed",
        )
        .bind(name.to_owned())
        .bind(sealed.to_vec())
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Newest first.
    pub(crate) async fn signing_keys(&self) -> Result<Vec<SigningRow>, StoreError> {
        let rows = sqlx::query("SELECT kid, public, sealed, retired_ms FROM signing_keys ORDER BY created_ms DESC, kid")
            .fetch_all(&self.pool)
            .await?;
        let row = |row: &sqlx::any::AnyRow| {
            let retired_ms = row.try_get::<Option<i64>, _>("retired_ms")?.map(i64::unsigned_abs);
            Ok(SigningRow { kid: row.try_get("kid")?, public: key(row, "public")?, sealed: row.try_get("sealed")?, retired_ms })
        };
        rows.iter().map(row).collect()
    }

    /// Retires the keys that signed so far, adds this one and the set that names it: all of it or nothing.
    pub(crate) async fn rotate(&self, new: &SigningRow, serial: u64, document: &[u8], now_ms: u64) -> Result<(), StoreError> {
        let mut tx = self.pool.begin().await?;
        sqlx::query("UPDATE signing_keys SET retired_ms = $1 WHERE retired_ms IS NULL")
            .bind(signed(now_ms))
            .execute(&mut *tx)
            .await?;
        sqlx::query("INSERT INTO signing_keys (kid, public, sealed, created_ms) VALUES ($1, $2, $3, $4)")
            .bind(new.kid.clone())
            .bind(new.public.0.to_vec())
            .bind(new.sealed.clone())
            .bind(signed(now_ms))
            .execute(&mut *tx)
            .await?;
        sqlx::query("INSERT INTO key_sets (serial, document) VALUES ($1, $2)")
            .bind(signed(serial))
            .bind(document.to_vec())
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(())
    }

    /// The newest set: its serial and its JSON.
    pub(crate) async fn key_set(&self) -> Result<Option<(u64, Vec<u8>)>, StoreError> {
        let row =
            sqlx::query("SELECT serial, document FROM key_sets ORDER BY serial DESC LIMIT 1").fetch_optional(&self.pool).await?;
        row.map(|row| Ok((number(&row, "serial")?, row.try_get("document")?))).transpose()
    }
}
