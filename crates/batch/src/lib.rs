//! Explains large data sets in resumable jobs: shards of images in, Parquet out, each row there exactly once.
//!
//! [`plan`] turns a [`Job`] into a [`Planned`] one, which lies in a folder or an object store. Whoever has the place runs shards of it,
//! here ([`run`]) or wherever a scheduler puts [`run_shard`]; [`status`], [`retry`], [`merge`] and [`verify`] look at what came of them.
//!
//! ```text
//! OUT/job.json                                the job: model, spec, inputs, and the fingerprint of all that decides the rows
//! OUT/plan/part-00000-<hash>.parquet          the images, a row group a shard
//! OUT/rows/shard-000003.g0-<hash>.parquet     the rows of a shard
//! OUT/receipts/shard-000003.g0.json           says that they are whole, and which they are
//! ```
//!
//! Files of rows are named after their content, so no two attempts collide. The receipt comes last and only where there is none
//! ([`store::Store::put_if_absent`]): of any number of attempts at a shard, in any order, on any machines, one counts. Readers go by receipts.
//! Functions block; what they wait for runs on threads of its own.
#![forbid(unsafe_code)]

mod error;
pub mod fingerprint;
pub mod inputs;
mod job;
mod make;
mod merge;
pub mod parts;
mod plan;
mod publish;
mod receipt;
pub mod rows;
mod run;
mod runner;
mod shard;
mod status;
pub mod store;
mod verify;

pub use error::{Error, Failure};
pub use fingerprint::Fingerprint;
pub use job::{Job, MaxErrors, Named};
pub use make::InShard;
pub use merge::{Merged, merge};
pub use parts::files;
pub use plan::{Planned, plan};
pub use receipt::{Receipt, Receipts};
pub use run::{Ran, RunOptions, RunProgress, Shards, retry, run, run_in, run_shard};
pub use shard::Worker;
pub use status::{Status, status};
pub use verify::{Problem, Verified, verify, verify_in};

use sha2::{Digest, Sha256};

/// SHA-256 in hexadecimal.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What helps where the rows or the receipt of a shard are damaged.
pub(crate) const MADE_AGAIN: &str = "hirescam batch retry makes the shard again";

/// How many hexadecimal digits of a hash stand in the name of a file.
pub(crate) const IN_NAMES: usize = 16;
