//! What stands before all pages: whose requests are answered, how many, and the headers that every reply has.

use crate::guard::{add_headers, foreign};
use crate::study::app::App;
use crate::study::pages::Page;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Answers requests only that were sent to this server by its own pages.
pub(crate) async fn ours(State(app): State<App>, request: Request, next: Next) -> Response {
    match foreign(&request, app.authority.as_deref()) {
        Some(because) => Page::new(StatusCode::FORBIDDEN, "This is not for this server", because).into_response(),
        None => next.run(request).await,
    }
}

/// Where nothing else is said: scripts, styles and pictures come from here alone, nothing stands in the page itself, forms go here, nobody
/// shows the page in a frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; \
    frame-ancestors 'none'";

/// The policy for raters of Mechanical Turk, who see the pages in a frame there and hand in their work there.
pub(crate) fn policy_in_frame(frames: &str, hand_in: Option<&str>) -> String {
    let form = hand_in.map(|host| format!("form-action 'self' {host}"));
    POLICY
        .replace("frame-ancestors 'none'", &format!("frame-ancestors {frames}"))
        .replace("form-action 'self'", form.as_deref().unwrap_or("form-action 'self'"))
}

/// Adds what every reply has.
pub(crate) async fn headers(request: Request, next: Next) -> Response {
    add_headers(next.run(request).await, POLICY)
}

/// How much one session may ask: a bucket that fills again with time.
#[derive(Default)]
pub(crate) struct Limits(Mutex<HashMap<String, Bucket>>);

struct Bucket {
    left: f64,
    at: Instant,
}

/// How fast somebody may go.
#[derive(Clone, Copy)]
pub(crate) struct Rate {
    /// Requests at once.
    pub burst: f64,
    /// Requests a second.
    pub second: f64,
}

/// Of a rater's pages and answers. Nobody looks at pictures that fast.
pub(crate) const RATER: Rate = Rate { burst: 40.0, second: 10.0 };
/// Of beginnings, all together.
pub(crate) const BEGIN: Rate = Rate { burst: 400.0, second: 50.0 };
/// Of attempts at the owner's token, all together.
pub(crate) const LOGIN: Rate = Rate { burst: 10.0, second: 0.5 };

impl Limits {
    /// More sessions than that are not remembered when their buckets are full.
    const MANY: usize = 10_000;

    /// Takes one from somebody's bucket, and says whether there was one.
    pub(crate) fn allow(&self, who: &str, rate: Rate) -> bool {
        let now = Instant::now();
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() > Limits::MANY {
            buckets.retain(|_, bucket| now.duration_since(bucket.at).as_secs_f64() * rate.second < rate.burst);
        }
        let bucket = buckets.entry(who.to_owned()).or_insert(Bucket { left: rate.burst, at: now });
        let filled = bucket.left + now.duration_since(bucket.at).as_secs_f64() * rate.second;
        *bucket = Bucket { left: filled.min(rate.burst) - 1.0, at: now };
        let allowed = bucket.left >= 0.0;
        bucket.left = bucket.left.max(0.0);
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_empty_after_its_burst() {
        let limits = Limits::default();
        let rate = Rate { burst: 3.0, second: 0.001 };
        let allowed: Vec<bool> = (0..4).map(|_| limits.allow("a", rate)).collect();
        assert_eq!(allowed, [true, true, true, false]);
        assert!(limits.allow("b", rate));
    }
}
