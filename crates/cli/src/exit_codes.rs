//! What the program ends with when a command fails (docs/reference/exit-codes.md).
//!
//! By itself 1, as scripts of the reference expect (spec/cli.md §1.2). With `INFLUXDB3_EXIT_CODES=detailed` the number tells what
//! kind of failure it was.

use std::process::ExitCode;

use crate::client::ClientError;
use crate::environment::Environment;
use crate::output::Unconfirmed;

/// What the server's message begins with when it kept the good lines of a write that had bad ones.
const PARTIAL_WRITE: &str = "partial write of line protocol occurred";

/// The line makes no sense.
pub(crate) fn usage() -> ExitCode {
    ExitCode::from(2)
}

/// Whether the environment asks for the numbers that tell failures apart.
pub(crate) fn are_detailed(environment: &Environment) -> bool {
    environment
        .get("INFLUXDB3_EXIT_CODES")
        .is_some_and(|value| value == "detailed")
}

pub(crate) fn of(error: &anyhow::Error, environment: &Environment) -> ExitCode {
    match are_detailed(environment) {
        true => ExitCode::from(detailed(error)),
        false => ExitCode::FAILURE,
    }
}

fn detailed(error: &anyhow::Error) -> u8 {
    if error.is::<Unconfirmed>() {
        return 8;
    }
    if error.to_string().contains(PARTIAL_WRITE) {
        return 7;
    }
    match error.downcast_ref::<ClientError>() {
        Some(ClientError::ApiError { code: 404, .. }) => 3,
        Some(ClientError::ApiError { code: 409, .. }) => 4,
        Some(ClientError::ApiError {
            code: 401 | 403, ..
        }) => 5,
        Some(ClientError::RequestSend { .. }) => 6,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_told_apart() {
        let answered = |code, message: &str| ClientError::ApiError {
            code,
            message: message.to_string(),
            error_code: None,
        };
        for (error, expected) in [
            (anyhow::anyhow!("anything"), 1),
            (answered(404, "no").into(), 3),
            (answered(409, "no").into(), 4),
            (answered(401, "no").into(), 5),
            (answered(403, "no").into(), 5),
            (answered(500, "no").into(), 1),
            (
                answered(
                    400,
                    "{\"error\":\"partial write of line protocol occurred\"}",
                )
                .into(),
                7,
            ),
            (Unconfirmed.into(), 8),
        ] {
            assert_eq!(detailed(&error), expected, "{error}");
        }
    }
}
