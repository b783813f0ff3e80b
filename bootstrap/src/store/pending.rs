//! What has begun and is taken up once: logins between their two halves, and devices that may be added.

use sqlx::Row;

use super::{Store, StoreError, number, signed};

/// Things of one kind that are pending at once; one more is refused until some have passed.
const PENDING: u64 = 2_000;

/// What is taken up.
#[derive(Debug)]
pub(crate) struct Pending {
    /// The account's id, or the name that somebody typed.
    pub(crate) account: String,
    pub(crate) data: Vec<u8>,
}

impl Store {
    /// False where too much is pending.
    pub(crate) async fn begin(
        &self,
        id: &[u8],
        kind: &'static str,
        pending: Pending,
        now_ms: u64,
        expires_ms: u64,
    ) -> Result<bool, StoreError> {
        let row = sqlx::query("SELECT COUNT(*) AS count FROM pending WHERE kind = $1 AND expires_ms > $2")
            .bind(kind)
            .bind(signed(now_ms))
            .fetch_one(&self.light)
            .await?;
        if number(&row, "count")? >= PENDING {
            return Ok(false);
        }
        sqlx::query("INSERT INTO pending (id, kind, account, data, expires_ms) VALUES ($1, $2, $3, $4, $5)")
            .bind(id.to_vec())
            .bind(kind)
            .bind(pending.account)
            .bind(pending.data)
            .bind(signed(expires_ms))
            .execute(&self.light)
            .await?;
        Ok(true)
    }

    /// Takes it out; nobody gets it twice.
    pub(crate) async fn take(&self, id: &[u8], kind: &'static str, now_ms: u64) -> Result<Option<Pending>, StoreError> {
        let row = sqlx::query("DELETE FROM pending WHERE id = $1 AND kind = $2 AND expires_ms > $3 RETURNING account, data")
            .bind(id.to_vec())
            .bind(kind)
            .bind(signed(now_ms))
            .fetch_optional(&self.light)
            .await?;
        row.map(|row| Ok(Pending { account: row.try_get("account")?, data: row.try_get("data")? })).transpose()
    }
}
