//! Where answers are kept: SQLite or PostgreSQL, by one set of plain SQL through sqlx's driver for any database.
//!
//! What a call of this module has acknowledged is on the disk: a server that is killed, or a database that is, loses none of it. An answer
//! that is sent again changes nothing, so whoever got no reply sends it again.

mod answers;
mod owner;
mod raters;

pub use answers::{Kept, Said};
pub use owner::Event;
pub use raters::{Begun, Rater};

use crate::study::{Error, token};
use hirescam_study::manifest::Manifest;
use hirescam_study::schedule::Schedule;
use sha2::{Digest, Sha256};
use sqlx::any::AnyPoolOptions;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AnyConnection, AnyPool, Connection, Row, SqlSafeStr};
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;
use tokio::sync::mpsc;

/// All migrations, in order. One that was released is never changed: what comes after it changes the tables.
const MIGRATIONS: &[(i64, &str, &str)] = &[(1, "study", include_str!("migrations/0001_study.sql"))];

/// How long a request waits for the database before it is told that there is none.
const PATIENCE: Duration = Duration::from_secs(5);

/// A connection to SQLite: readers do not wait for the writer, every commit is synced to the disk, and writers of other programs are waited
/// for.
const SQLITE: &[&str] = &[
    "PRAGMA busy_timeout = 5000",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
];

/// The answers of one study.
#[derive(Clone)]
pub struct Store {
    /// Of SQLite there is one writer, for which all wait in a fair queue.
    write: AnyPool,
    read: AnyPool,
    /// Answers go through one queue, see [`answers::write`].
    answers: mpsc::Sender<answers::Waiting>,
    study: String,
    secret: [u8; token::SECRET],
}

/// The address of the database that was named, by address or by file; if none was, of the file beside the study's folder.
///
/// # Errors
/// [`Error::Invalid`] where a path is no text.
pub fn address(folder: &Path, named: Option<&str>) -> Result<String, Error> {
    match named {
        Some(address) if address.contains("://") => Ok(address.to_owned()),
        Some(file) => address_of(Path::new(file)),
        None => {
            // A folder may be named by what ends in `.` or `/`.
            let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
            let mut name = folder.file_name().unwrap_or_else(|| "study".as_ref()).to_owned();
            name.push("-answers.sqlite");
            address_of(&folder.with_file_name(name))
        }
    }
}

/// The address of a database in a file.
///
/// # Errors
/// [`Error::Invalid`] where the path is no text.
pub fn address_of(file: &Path) -> Result<String, Error> {
    let path = std::path::absolute(file).map_err(|e| Error::Invalid(format!("{}: {e}", file.display())))?;
    let text = path.to_str().ok_or_else(|| Error::Invalid(format!("{}: the path is no text", file.display())))?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte);
    let escaped = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    Ok(format!("sqlite://{}?mode=rwc", text.bytes().map(escaped).collect::<String>()))
}

impl Store {
    /// Opens the database at `address` (`sqlite://…` or `postgres://…`) for a study; makes what is missing.
    ///
    /// # Errors
    /// [`Error::Unreachable`] where it cannot be opened; [`Error::Database`] where it cannot be written; [`Error::OtherManifest`] where it has
    /// answers to another manifest of this study; [`Error::Invalid`] for another kind of database.
    pub async fn open(address: &str, manifest: &Manifest) -> Result<Self, Error> {
        let write = writer(address).await?;
        Store::with(address, write, manifest).await
    }

    /// Opens the database at `address` as [`open`](Self::open) does, where the study has been served from it; makes neither a database nor a
    /// place for the study.
    ///
    /// # Errors
    /// As of [`open`](Self::open), and [`Error::NoAnswers`] where the study is not there.
    pub async fn open_existing(address: &str, manifest: &Manifest) -> Result<Self, Error> {
        let address = address.replace("?mode=rwc", "?mode=rw");
        let none = |because| Error::NoAnswers { place: place(&address), because };
        if is_sqlite(&address) && !Path::new(&place(&address)).exists() {
            return Err(none("is not there"));
        }
        let write = writer(&address).await?;
        let study =
            sqlx::query("SELECT id FROM study WHERE id = $1").bind(&manifest.study).fetch_optional(&write).await;
        match study {
            Ok(Some(_)) => Store::with(&address, write, manifest).await,
            // What the database itself refuses is a table that it does not have.
            Ok(None) | Err(sqlx::Error::Database(_)) => Err(none("does not have the study")),
            Err(error) => Err(error.into()),
        }
    }

    /// The study in an opened database.
    async fn with(address: &str, write: AnyPool, manifest: &Manifest) -> Result<Self, Error> {
        let sqlite = is_sqlite(address);
        migrate(&write, sqlite).await?;
        // Whoever loads a page does not stand before those who answer.
        let read = pool(address, 4).await?;
        let hash = hash(manifest)?;

        let mut change = write.begin().await?;
        sqlx::query(
            "INSERT INTO study (id, manifest, secret, running, withdrawn, turn) VALUES ($1, $2, $3, 1, 0, 0) ON CONFLICT (id) DO NOTHING",
        )
        .bind(&manifest.study)
        .bind(&hash)
        .bind(token::hex(&token::secret()?))
        .execute(&mut *change)
        .await?;
        let row = sqlx::query("SELECT manifest, secret FROM study WHERE id = $1")
            .bind(&manifest.study)
            .fetch_one(&mut *change)
            .await?;
        if row.try_get::<String, _>(0)? != hash {
            return Err(Error::OtherManifest { study: manifest.study.clone() });
        }
        let secret = token::unhex(&row.try_get::<String, _>(1)?)
            .ok_or_else(|| Error::Invalid("the database's secret is damaged".into()))?;
        for slot in 0..Schedule::of(manifest).slots() {
            sqlx::query(
                "INSERT INTO slot (study, number, rater) VALUES ($1, $2, NULL) ON CONFLICT (study, number) DO NOTHING",
            )
            .bind(&manifest.study)
            .bind(number(slot))
            .execute(&mut *change)
            .await?;
        }
        change.commit().await?;
        let (answers, waiting) = mpsc::channel(1024);
        tokio::spawn(answers::write(write.clone(), waiting));
        Ok(Store { write, read, answers, study: manifest.study.clone(), secret })
    }

    /// What signs this study's sessions and links.
    pub fn secret(&self) -> &[u8; token::SECRET] {
        &self.secret
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// [`Error::Database`] where it does not.
    pub async fn check(&self) -> Result<(), Error> {
        sqlx::query("SELECT id FROM study WHERE id = $1").bind(&self.study).fetch_one(&self.read).await?;
        Ok(())
    }

    /// Closes all connections.
    pub async fn close(&self) {
        self.read.close().await;
        self.write.close().await;
    }
}

fn is_sqlite(address: &str) -> bool {
    address.starts_with("sqlite:")
}

/// What an address says of where the database is: a file, or host, port and name. Nobody is told a password.
fn place(address: &str) -> String {
    if is_sqlite(address) {
        let file = SqliteConnectOptions::from_str(address).map(|options| options.get_filename().display().to_string());
        return file.unwrap_or_else(|_| address.to_owned());
    }
    let Ok(options) = PgConnectOptions::from_str(address) else { return "of PostgreSQL".into() };
    format!("{} at {}:{}", options.get_database().unwrap_or("of PostgreSQL"), options.get_host(), options.get_port())
}

/// The connections by which answers are written.
async fn writer(address: &str) -> Result<AnyPool, Error> {
    sqlx::any::install_default_drivers();
    let sqlite = is_sqlite(address);
    if !sqlite && !address.starts_with("postgres:") && !address.starts_with("postgresql:") {
        return Err(Error::Invalid(format!("{address} is no database: one of sqlite://FILE or postgres://HOST/NAME")));
    }
    pool(address, if sqlite { 1 } else { 4 }).await
}

/// Connections to a database.
async fn pool(address: &str, connections: u32) -> Result<AnyPool, Error> {
    let sqlite = is_sqlite(address);
    let options = AnyPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(PATIENCE)
        .after_connect(move |connection, _| Box::pin(prepare(connection, sqlite)));
    let because = match options.connect(address).await {
        Err(_) if sqlite && Path::new(&place(address)).parent().is_some_and(|folder| !folder.join(".").exists()) => {
            "its folder is not there".into()
        }
        Ok(pool) => return Ok(pool),
        // Why nobody answered, a single attempt says.
        Err(sqlx::Error::PoolTimedOut) => {
            let attempt = async { prepare(&mut AnyConnection::connect(address).await?, sqlite).await };
            match tokio::time::timeout(PATIENCE, attempt).await {
                Ok(Err(error)) => error.to_string(),
                _ => "it does not answer".into(),
            }
        }
        Err(error) => error.to_string(),
    };
    Err(Error::Unreachable { place: place(address), because })
}

/// Makes a connection what the others are.
async fn prepare(connection: &mut AnyConnection, sqlite: bool) -> Result<(), sqlx::Error> {
    for pragma in SQLITE.iter().filter(|_| sqlite) {
        sqlx::query(*pragma).execute(&mut *connection).await?;
    }
    Ok(())
}

async fn migrate(pool: &AnyPool, sqlite: bool) -> Result<(), Error> {
    let migration = |&(version, name, sql): &(i64, &'static str, &'static str)| {
        Migration::new(version, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
    };
    let mut migrator = Migrator::with_migrations(MIGRATIONS.iter().map(migration).collect());
    // SQLite locks the file by itself.
    migrator.set_locking(!sqlite);
    migrator.run(pool).await.map_err(|e| Error::Database(e.to_string()))
}

/// The SHA-256 of what a manifest says.
fn hash(manifest: &Manifest) -> Result<String, Error> {
    let text = serde_json::to_vec(manifest).map_err(|e| Error::Invalid(e.to_string()))?;
    Ok(token::hex(&Sha256::digest(text)))
}

/// A number as databases have it.
fn number(value: impl TryInto<i64>) -> i64 {
    value.try_into().unwrap_or(i64::MAX)
}

/// A number as a database had it.
fn count<T: TryFrom<i64>>(value: i64) -> Result<T, Error> {
    T::try_from(value).map_err(|_| Error::Database(format!("{value} stands where a count has to")))
}
