//! Who takes part: slots given, taken back and freed.

use super::{Store, count, number};
use crate::study::ways::Way;
use crate::study::{Error, token};
use sqlx::{Any, Row, Transaction};

/// A rater, as far as pages need one.
#[derive(Clone, Debug, PartialEq)]
pub struct Rater {
    /// A random name that says nothing of the person.
    pub name: String,
    /// The row of the schedule.
    pub slot: usize,
    /// By which way the rater came, in a word.
    pub source: String,
    /// How many trials are answered: the first that is not has this position.
    pub answered: usize,
    /// When the last answer was in.
    pub finished: Option<i64>,
    /// Whether the slot is still the rater's: it is given to somebody else when nothing is heard for long.
    pub holds: bool,
}

/// What came of somebody who wants to begin.
#[derive(Clone, Debug, PartialEq)]
pub enum Begun {
    /// The name of the rater, new or known from before.
    Rater(String),
    /// All slots are taken.
    Full,
    /// The owner has stopped the study.
    Stopped,
    /// The link was used by somebody before.
    Used,
}

impl Store {
    /// Gives somebody who agreed to take part the lowest free slot; where none is free, the lowest of those whose raters have not finished
    /// and have answered nothing since `away_since`. Of two who ask at once each gets a slot of their own.
    ///
    /// # Errors
    /// [`Error::Database`]; nothing is changed then.
    pub async fn begin(&self, way: &Way, now: i64, away_since: i64) -> Result<Begun, Error> {
        let name = token::random()?;
        let mut change = self.write.begin().await?;
        // The first statement writes, so that everybody else waits here.
        let row = sqlx::query("UPDATE study SET turn = turn + 1 WHERE id = $1 RETURNING running")
            .bind(&self.study)
            .fetch_one(&mut *change)
            .await?;
        let running: i64 = row.try_get(0)?;
        if let Some((platform, id, _)) = way.platform_id()
            && let Some(known) = self.known(&mut change, platform, id).await?
        {
            return Ok(Begun::Rater(known));
        }
        if running == 0 {
            return Ok(Begun::Stopped);
        }
        if let Way::Link { id } = way {
            let used =
                sqlx::query("INSERT INTO used_link (study, id) VALUES ($1, $2) ON CONFLICT (study, id) DO NOTHING")
                    .bind(&self.study)
                    .bind(id)
                    .execute(&mut *change)
                    .await?;
            if used.rows_affected() == 0 {
                return Ok(Begun::Used);
            }
        }
        let Some(slot) = self.slot(&mut change, away_since).await? else { return Ok(Begun::Full) };
        sqlx::query("INSERT INTO rater (name, study, slot, source, began) VALUES ($1, $2, $3, $4, $5)")
            .bind(&name)
            .bind(&self.study)
            .bind(slot)
            .bind(way.word())
            .bind(now)
            .execute(&mut *change)
            .await?;
        sqlx::query("UPDATE slot SET rater = $1 WHERE study = $2 AND number = $3")
            .bind(&name)
            .bind(&self.study)
            .bind(slot)
            .execute(&mut *change)
            .await?;
        if let Some((platform, id, details)) = way.platform_id() {
            sqlx::query("INSERT INTO platform_id (study, platform, id, rater, details) VALUES ($1, $2, $3, $4, $5)")
                .bind(&self.study)
                .bind(platform)
                .bind(id)
                .bind(&name)
                .bind(details)
                .execute(&mut *change)
                .await?;
        }
        change.commit().await?;
        Ok(Begun::Rater(name))
    }

    /// What somebody who came by this way would be told instead of a name, if they agreed to take part now; none where there is a slot.
    /// Nothing is changed: who agrees later can be told otherwise.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn refusal(&self, way: &Way, away_since: i64) -> Result<Option<Begun>, Error> {
        if !self.running().await? {
            return Ok(Some(Begun::Stopped));
        }
        if let Way::Link { id } = way {
            let used = sqlx::query("SELECT id FROM used_link WHERE study = $1 AND id = $2");
            if used.bind(&self.study).bind(id).fetch_optional(&self.read).await?.is_some() {
                return Ok(Some(Begun::Used));
            }
        }
        let mut looked = self.read.begin().await?;
        Ok(self.slot(&mut looked, away_since).await?.is_none().then_some(Begun::Full))
    }

    /// The slot that is given next.
    async fn slot(&self, change: &mut Transaction<'_, Any>, away_since: i64) -> Result<Option<i64>, Error> {
        let free = sqlx::query("SELECT MIN(number) FROM slot WHERE study = $1 AND rater IS NULL")
            .bind(&self.study)
            .fetch_one(&mut **change)
            .await?;
        if let Some(slot) = free.try_get::<Option<i64>, _>(0)? {
            return Ok(Some(slot));
        }
        let away = sqlx::query(
            "SELECT MIN(slot.number) FROM slot JOIN rater ON slot.rater = rater.name \
             WHERE slot.study = $1 AND rater.finished IS NULL AND rater.began < $2 \
             AND NOT EXISTS (SELECT 1 FROM answer WHERE answer.rater = rater.name AND answer.at >= $2)",
        )
        .bind(&self.study)
        .bind(away_since)
        .fetch_one(&mut **change)
        .await?;
        Ok(away.try_get(0)?)
    }

    async fn known(
        &self,
        change: &mut Transaction<'_, Any>,
        platform: &str,
        id: &str,
    ) -> Result<Option<String>, Error> {
        let row = sqlx::query("SELECT rater FROM platform_id WHERE study = $1 AND platform = $2 AND id = $3")
            .bind(&self.study)
            .bind(platform)
            .bind(id)
            .fetch_optional(&mut **change)
            .await?;
        Ok(row.map(|row| row.try_get(0)).transpose()?)
    }

    /// The rater who came by this way before, for ways that tell people apart. What the platform wants back is brought up to date.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn returning(&self, way: &Way) -> Result<Option<String>, Error> {
        let Some((platform, id, details)) = way.platform_id() else { return Ok(None) };
        let row = sqlx::query(
            "UPDATE platform_id SET details = $4 WHERE study = $1 AND platform = $2 AND id = $3 RETURNING rater",
        )
        .bind(&self.study)
        .bind(platform)
        .bind(id)
        .bind(details)
        .fetch_optional(&self.write)
        .await?;
        Ok(row.map(|row| row.try_get(0)).transpose()?)
    }

    /// What the platform that a rater came from wants back.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn platform_details(&self, rater: &str) -> Result<Option<String>, Error> {
        let row = sqlx::query("SELECT details FROM platform_id WHERE rater = $1")
            .bind(rater)
            .fetch_optional(&self.read)
            .await?;
        Ok(row.map(|row| row.try_get(0)).transpose()?)
    }

    /// A rater by name; none where there is none, or not any more.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn rater(&self, name: &str) -> Result<Option<Rater>, Error> {
        let row = sqlx::query(
            "SELECT slot, source, finished, (SELECT COUNT(*) FROM answer WHERE rater = $1), \
             (SELECT COUNT(*) FROM slot WHERE rater = $1) FROM rater WHERE name = $1 AND study = $2",
        )
        .bind(name)
        .bind(&self.study)
        .fetch_optional(&self.read)
        .await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(Rater {
            name: name.to_owned(),
            slot: count(row.try_get(0)?)?,
            source: row.try_get(1)?,
            finished: row.try_get(2)?,
            answered: count(row.try_get(3)?)?,
            holds: row.try_get::<i64, _>(4)? > 0,
        }))
    }

    /// Deletes a rater with all answers and the platform's id, and frees the slot. Of somebody who is not there (any more), nothing is.
    ///
    /// # Errors
    /// [`Error::Database`]; nothing is deleted then.
    pub async fn withdraw(&self, name: &str) -> Result<(), Error> {
        let mut change = self.write.begin().await?;
        // As in `begin`: a slot is not freed while another is given.
        sqlx::query("UPDATE study SET turn = turn + 1 WHERE id = $1").bind(&self.study).execute(&mut *change).await?;
        // Answers and ids go with the rater, and the slot is free.
        let gone = sqlx::query("DELETE FROM rater WHERE name = $1").bind(name).execute(&mut *change).await?;
        sqlx::query("UPDATE study SET withdrawn = withdrawn + $2 WHERE id = $1")
            .bind(&self.study)
            .bind(number(gone.rows_affected()))
            .execute(&mut *change)
            .await?;
        change.commit().await?;
        Ok(())
    }
}
