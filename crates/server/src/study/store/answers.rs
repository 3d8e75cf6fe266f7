//! Answers: kept once, given out again.

use super::{Store, count, number};
use crate::study::Error;
use hirescam_study::answer::{Answer, Answers, Given, Rater};
use sqlx::{Any, AnyPool, Row, Transaction};
use std::collections::BTreeMap;
use tokio::sync::{mpsc, oneshot};

/// What a rater said, before it is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Said {
    /// The trial's position in the rater's row of the schedule.
    pub trial: usize,
    /// What was said.
    pub given: Given,
    /// How long it took, in milliseconds.
    pub ms: u64,
    /// Width and height of the window in CSS pixels.
    pub window: Option<[u32; 2]>,
}

/// What came of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// The trial has an answer, on the disk: this one, or the one that came first.
    Yes,
    /// An earlier trial has no answer yet.
    Early,
    /// The rater's slot was given to somebody else.
    Away,
    /// There is no such rater, or not any more.
    Gone,
}

/// An answer that waits to be written.
pub(super) struct Waiting {
    rater: String,
    said: Said,
    given: String,
    trials: usize,
    now: i64,
    reply: oneshot::Sender<Result<Kept, String>>,
}

/// Why an answer changed nothing.
async fn why_not(change: &mut Transaction<'_, Any>, rater: &str, trial: i64) -> Result<Kept, sqlx::Error> {
    let row = sqlx::query(
        "SELECT (SELECT COUNT(*) FROM slot WHERE rater = $1), (SELECT COUNT(*) FROM answer WHERE rater = $1) FROM rater WHERE name = $1",
    )
    .bind(rater)
    .fetch_optional(&mut **change)
    .await?;
    let Some(row) = row else { return Ok(Kept::Gone) };
    let (slots, answered): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
    // An earlier answer to the trial stands, also of somebody whose slot was given away since.
    if trial < answered {
        return Ok(Kept::Yes);
    }
    Ok(if slots == 0 { Kept::Away } else { Kept::Early })
}

/// How many answers are written at once, at most.
const AT_ONCE: usize = 64;

/// Writes answers as they come. Those that came while the disk was busy are written together: syncing takes the same time for one as for many.
/// Nobody is told that an answer is kept before it is synced.
pub(super) async fn write(pool: AnyPool, mut answers: mpsc::Receiver<Waiting>) {
    let mut batch = Vec::with_capacity(AT_ONCE);
    while answers.recv_many(&mut batch, AT_ONCE).await > 0 {
        let kept = together(&pool, &batch).await;
        for (at, waiting) in batch.drain(..).enumerate() {
            let of_this = match &kept {
                Ok(kept) => kept.get(at).copied().ok_or_else(String::new),
                Err(error) => Err(error.to_string()),
            };
            // Whoever does not wait any more has not been told anything.
            let _ = waiting.reply.send(of_this);
        }
    }
}

async fn together(pool: &AnyPool, batch: &[Waiting]) -> Result<Vec<Kept>, sqlx::Error> {
    let mut change = pool.begin().await?;
    let mut kept = Vec::with_capacity(batch.len());
    for waiting in batch {
        kept.push(insert(&mut change, waiting).await?);
    }
    change.commit().await?;
    Ok(kept)
}

async fn insert(change: &mut Transaction<'_, Any>, waiting: &Waiting) -> Result<Kept, sqlx::Error> {
    let Waiting { rater, said, given, trials, now, .. } = waiting;
    let trial = number(said.trial);
    // The next trial of a rater whose slot is still held: this is what nearly all answers are.
    let new = sqlx::query(
        "INSERT INTO answer (rater, trial, given, ms, at, width, height) SELECT $1, $2, $3, $4, $5, $6, $7 FROM slot \
         WHERE slot.rater = $1 AND (SELECT COUNT(*) FROM answer WHERE rater = $1) = $2 ON CONFLICT (rater, trial) DO NOTHING",
    )
    .bind(rater)
    .bind(trial)
    .bind(given)
    .bind(number(said.ms))
    .bind(now)
    .bind(said.window.map(|[width, _]| i64::from(width)))
    .bind(said.window.map(|[_, height]| i64::from(height)))
    .execute(&mut **change)
    .await?;
    if new.rows_affected() == 0 {
        return why_not(change, rater, trial).await;
    }
    if said.trial + 1 == *trials {
        sqlx::query("UPDATE rater SET finished = $2 WHERE name = $1 AND finished IS NULL")
            .bind(rater)
            .bind(now)
            .execute(&mut **change)
            .await?;
    }
    Ok(Kept::Yes)
}

impl Store {
    /// Keeps an answer; the first to a trial stands. `trials` is how many there are: with the last one the rater has finished.
    ///
    /// # Errors
    /// [`Error::Database`] where it is not certain that the answer is kept: it is to be sent again.
    pub async fn keep(&self, rater: &str, said: &Said, trials: usize, now: i64) -> Result<Kept, Error> {
        let given = serde_json::to_string(&said.given).map_err(|e| Error::Invalid(e.to_string()))?;
        let (reply, kept) = oneshot::channel();
        let ended = || Error::Database("it was closed".into());
        let waiting = Waiting { rater: rater.to_owned(), said: said.clone(), given, trials, now, reply };
        self.answers.send(waiting).await.map_err(|_| ended())?;
        kept.await.map_err(|_| ended())?.map_err(Error::Database)
    }

    /// What a rater said, by trial.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn said(&self, rater: &str) -> Result<BTreeMap<usize, Given>, Error> {
        let rows =
            sqlx::query("SELECT trial, given FROM answer WHERE rater = $1").bind(rater).fetch_all(&self.read).await?;
        rows.iter().map(|row| Ok((count(row.try_get(0)?)?, given(&row.try_get::<String, _>(1)?)?))).collect()
    }

    /// All that was collected, as one moment saw it: one statement reads raters and answers, so that who has finished has all answers.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn export(&self) -> Result<Answers, Error> {
        let row = sqlx::query("SELECT withdrawn, running FROM study WHERE id = $1")
            .bind(&self.study)
            .fetch_one(&self.read)
            .await?;
        let mut all = Answers {
            study: self.study.clone(),
            running: row.try_get::<i64, _>(1)? != 0,
            withdrawn: count(row.try_get(0)?)?,
            ..Answers::default()
        };
        let rows = sqlx::query(
            "SELECT rater.name, rater.slot, rater.source, rater.began, rater.finished, \
             answer.trial, answer.given, answer.ms, answer.at, answer.width, answer.height \
             FROM rater LEFT JOIN answer ON answer.rater = rater.name WHERE rater.study = $1 \
             ORDER BY rater.slot, rater.began, rater.name, answer.trial",
        )
        .bind(&self.study)
        .fetch_all(&self.read)
        .await?;
        for row in rows {
            let (name, slot): (String, usize) = (row.try_get(0)?, count(row.try_get(1)?)?);
            if all.raters.last().is_none_or(|last| last.name != name) {
                all.raters.push(Rater {
                    name: name.clone(),
                    slot,
                    source: row.try_get(2)?,
                    began: row.try_get(3)?,
                    finished: row.try_get(4)?,
                });
            }
            let Some(trial) = row.try_get::<Option<i64>, _>(5)? else { continue };
            let side =
                |at: usize| -> Result<Option<u32>, Error> { row.try_get::<Option<i64>, _>(at)?.map(count).transpose() };
            all.answers.push(Answer {
                rater: name,
                slot,
                trial: count(trial)?,
                given: given(&row.try_get::<String, _>(6)?)?,
                ms: count(row.try_get(7)?)?,
                at: row.try_get(8)?,
                window: side(9)?.zip(side(10)?).map(|(width, height)| [width, height]),
            });
        }
        Ok(all)
    }
}

fn given(text: &str) -> Result<Given, Error> {
    serde_json::from_str(text).map_err(|e| Error::Database(format!("an answer is damaged: {e}")))
}
