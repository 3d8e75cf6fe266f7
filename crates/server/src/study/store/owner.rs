//! What the owner does to a study: stop and go, platform ids forgotten, and the list of it.

use super::{Store, count};
use crate::study::Error;
use sqlx::Row;

/// Something that the owner did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When, in milliseconds since 1970 UTC.
    pub at: i64,
    /// What.
    pub what: String,
}

impl Store {
    /// Whether new raters may begin.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn running(&self) -> Result<bool, Error> {
        let row =
            sqlx::query("SELECT running FROM study WHERE id = $1").bind(&self.study).fetch_one(&self.read).await?;
        Ok(row.try_get::<i64, _>(0)? != 0)
    }

    /// Lets new raters begin, or not. Those who have begun go on.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn run(&self, running: bool, now: i64) -> Result<(), Error> {
        let mut change = self.write.begin().await?;
        sqlx::query("UPDATE study SET running = $2 WHERE id = $1")
            .bind(&self.study)
            .bind(i64::from(running))
            .execute(&mut *change)
            .await?;
        self.note(&mut change, now, if running { "the study goes on" } else { "the study was stopped" }).await?;
        change.commit().await?;
        Ok(())
    }

    /// Deletes who raters are on their platforms. Their answers stay; whoever comes back from a platform is a new rater from then on.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn forget_platform_ids(&self, now: i64) -> Result<u64, Error> {
        let mut change = self.write.begin().await?;
        let done =
            sqlx::query("DELETE FROM platform_id WHERE study = $1").bind(&self.study).execute(&mut *change).await?;
        self.note(&mut change, now, &format!("{} platform ids were deleted", done.rows_affected())).await?;
        change.commit().await?;
        Ok(done.rows_affected())
    }

    /// How many raters have an id of a platform.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn platform_ids(&self) -> Result<usize, Error> {
        let row = sqlx::query("SELECT COUNT(*) FROM platform_id WHERE study = $1")
            .bind(&self.study)
            .fetch_one(&self.read)
            .await?;
        count(row.try_get(0)?)
    }

    async fn note(&self, change: &mut sqlx::Transaction<'_, sqlx::Any>, now: i64, what: &str) -> Result<(), Error> {
        sqlx::query("INSERT INTO event (study, at, what) VALUES ($1, $2, $3)")
            .bind(&self.study)
            .bind(now)
            .bind(what)
            .execute(&mut **change)
            .await?;
        Ok(())
    }

    /// What the owner did, the latest first.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn events(&self) -> Result<Vec<Event>, Error> {
        let rows = sqlx::query("SELECT at, what FROM event WHERE study = $1 ORDER BY at DESC")
            .bind(&self.study)
            .fetch_all(&self.read)
            .await?;
        rows.iter().map(|row| Ok(Event { at: row.try_get(0)?, what: row.try_get(1)? })).collect()
    }
}
