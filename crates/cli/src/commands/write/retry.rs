//! Which failures pass by themselves, and how long to wait before trying again.
//!
//! Trying again does no harm: the same points twice are the same points once. Not here: the trying (`delivery`).

use std::time::Duration;

use crate::client::ClientError;

const DELAY_FIRST: Duration = Duration::from_millis(200);
const DELAY_MAX: Duration = Duration::from_secs(10);

/// Statuses after which the same request may succeed.
const PASSING_STATUSES: [u16; 5] = [429, 500, 502, 503, 504];

/// How often and how long a request is tried again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy {
    /// `None` is as often as the time allows.
    pub(crate) retries_max: Option<u32>,
    /// Counted from the first failure.
    pub(crate) timeout: Duration,
    /// Whether to wait even for a server that has never answered.
    pub(crate) is_asked_for: bool,
}

/// How a request has fared so far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trial {
    /// Failures, the last one too.
    pub(crate) failures: u32,
    /// Since the first failure.
    pub(crate) elapsed: Duration,
    /// What the server asks for.
    pub(crate) retry_after: Option<Duration>,
    /// Whether the server has ever answered anything.
    pub(crate) has_answered: bool,
}

/// How long to wait before the next try; `None` when there is none. `chance` is between 0 and 1.
pub(crate) fn delay(
    policy: &Policy,
    error: &ClientError,
    trial: &Trial,
    chance: f64,
) -> Option<Duration> {
    let passes = match error {
        ClientError::ApiError { code, .. } => PASSING_STATUSES.contains(code),
        ClientError::RequestSend { .. } | ClientError::Bytes(_) => {
            // An address that never led anywhere is more often wrong than too early.
            trial.has_answered || policy.is_asked_for
        }
        ClientError::BaseUrl(_)
        | ClientError::RequestUrl(_)
        | ClientError::Builder(_)
        | ClientError::Io(_)
        | ClientError::Json(_) => false,
    };
    let has_more = policy
        .retries_max
        .is_none_or(|retries_max| trial.failures <= retries_max);
    if !passes || !has_more || trial.elapsed >= policy.timeout {
        return None;
    }
    let doublings = trial.failures.saturating_sub(1).min(16);
    let longest = DELAY_FIRST.saturating_mul(1 << doublings).min(DELAY_MAX);
    // Half of it is left to chance, so that many requests do not all come back at once.
    let waited = longest.mul_f64(0.5 + chance.clamp(0.0, 1.0) / 2.0);
    let wanted = waited.max(trial.retry_after.unwrap_or(Duration::ZERO));
    Some(wanted.min(policy.timeout - trial.elapsed))
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: Policy = Policy {
        retries_max: None,
        timeout: Duration::from_secs(300),
        is_asked_for: false,
    };

    fn status(code: u16) -> ClientError {
        ClientError::ApiError {
            code,
            message: String::new(),
            error_code: None,
        }
    }

    fn trial(failures: u32) -> Trial {
        Trial {
            failures,
            elapsed: Duration::ZERO,
            retry_after: None,
            has_answered: true,
        }
    }

    #[test]
    fn what_passes() {
        let waits = |code| delay(&POLICY, &status(code), &trial(1), 0.5).is_some();
        for code in [429, 500, 502, 503, 504] {
            assert!(waits(code), "{code}");
        }
        for code in [400, 401, 403, 404, 409, 413, 422, 501] {
            assert!(!waits(code), "{code}");
        }
        let broken = ClientError::Bytes("reset".to_string());
        assert!(delay(&POLICY, &broken, &trial(1), 0.5).is_some());
        let never = Trial {
            has_answered: false,
            ..trial(1)
        };
        assert!(delay(&POLICY, &broken, &never, 0.5).is_none());
        let asked = Policy {
            is_asked_for: true,
            ..POLICY
        };
        assert!(delay(&asked, &broken, &never, 0.5).is_some());
        assert!(delay(&asked, &ClientError::Builder(String::new()), &never, 0.5).is_none());
    }

    #[test]
    fn delays_grow_to_a_bound_and_honour_the_server() {
        let wait = |failures, chance| delay(&POLICY, &status(503), &trial(failures), chance);
        assert_eq!(wait(1, 1.0), Some(DELAY_FIRST));
        assert_eq!(wait(1, 0.0), Some(DELAY_FIRST / 2));
        assert_eq!(wait(3, 1.0), Some(DELAY_FIRST * 4));
        assert_eq!(wait(1000, 1.0), Some(DELAY_MAX));
        let told = Trial {
            retry_after: Some(Duration::from_secs(7)),
            ..trial(1)
        };
        assert_eq!(
            delay(&POLICY, &status(429), &told, 1.0),
            Some(Duration::from_secs(7))
        );
    }

    #[test]
    fn tries_and_time_are_bounded() {
        let twice = Policy {
            retries_max: Some(2),
            ..POLICY
        };
        assert!(delay(&twice, &status(503), &trial(2), 0.5).is_some());
        assert!(delay(&twice, &status(503), &trial(3), 0.5).is_none());
        let late = Trial {
            elapsed: Duration::from_secs(299),
            ..trial(9)
        };
        assert_eq!(
            delay(&POLICY, &status(503), &late, 0.5),
            Some(Duration::from_secs(1))
        );
        let over = Trial {
            elapsed: Duration::from_secs(300),
            ..trial(9)
        };
        assert_eq!(delay(&POLICY, &status(503), &over, 0.5), None);
    }
}
