//! Errors as gRPC statuses: which code, and how much text (spec/flight.md §6).
//!
//! Not here: which credential is refused how (`caller`).

use query::{Blame, blame};
use tonic::{Code, Status};

use crate::{Error, ErrorKind};

/// The most characters of a message, cause chain included.
const MESSAGE_CHARACTERS_MAX: usize = 2_000;

/// The status of an error from catalog, storage or a query.
pub(super) fn status_of(error: &Error) -> Status {
    let code = match error.kind() {
        ErrorKind::Invalid | ErrorKind::Unsupported => Code::InvalidArgument,
        ErrorKind::NotFound => Code::NotFound,
        ErrorKind::Denied => Code::PermissionDenied,
        ErrorKind::Conflict => Code::FailedPrecondition,
        ErrorKind::Limit | ErrorKind::TooLarge => Code::ResourceExhausted,
        ErrorKind::Timeout => Code::DeadlineExceeded,
        ErrorKind::Cancelled => Code::Cancelled,
        ErrorKind::Unavailable | ErrorKind::Corrupt | ErrorKind::Internal => match blame(error) {
            Blame::Statement => Code::InvalidArgument,
            Blame::Memory => Code::ResourceExhausted,
            Blame::Node if error.kind() == ErrorKind::Unavailable => Code::Unavailable,
            Blame::Node => Code::Internal,
        },
    };
    let text = match code {
        // What HTTP says of it would tell more than those without the right should know.
        Code::PermissionDenied => "Permission denied".to_string(),
        _ => error.to_string(),
    };
    Status::new(code, cut(&text))
}

/// What a client sent cannot be understood.
pub(super) fn invalid(message: impl Into<String>) -> Status {
    Status::invalid_argument(cut(&message.into()))
}

/// Building an answer failed, which no input may cause.
pub(super) fn internal(what: &str, fault: &dyn std::fmt::Display) -> Status {
    Status::internal(cut(&format!("cannot build {what}: {fault}")))
}

/// At most [`MESSAGE_CHARACTERS_MAX`] characters of `text`: it travels in a header, of which clients take only so much.
fn cut(text: &str) -> String {
    text.chars().take(MESSAGE_CHARACTERS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_code() {
        let cases = [
            (ErrorKind::Invalid, Code::InvalidArgument),
            (ErrorKind::Unsupported, Code::InvalidArgument),
            (ErrorKind::NotFound, Code::NotFound),
            (ErrorKind::Denied, Code::PermissionDenied),
            (ErrorKind::Conflict, Code::FailedPrecondition),
            (ErrorKind::Limit, Code::ResourceExhausted),
            (ErrorKind::TooLarge, Code::ResourceExhausted),
            (ErrorKind::Unavailable, Code::Unavailable),
            (ErrorKind::Timeout, Code::DeadlineExceeded),
            (ErrorKind::Cancelled, Code::Cancelled),
            (ErrorKind::Corrupt, Code::Internal),
            (ErrorKind::Internal, Code::Internal),
        ];
        for (kind, code) in cases {
            assert_eq!(status_of(&Error::new(kind, "m")).code(), code, "{kind:?}");
        }
    }

    #[test]
    fn what_the_statement_computes_is_its_own_fault() {
        let text = "query error: error while executing plan: Arrow error: Divide by zero error";
        assert_eq!(
            status_of(&Error::internal(text)).code(),
            Code::InvalidArgument
        );
        let text = "query error: error while executing plan: Resources exhausted: no memory";
        assert_eq!(
            status_of(&Error::unavailable(text)).code(),
            Code::ResourceExhausted
        );
    }

    #[test]
    fn messages_have_all_causes_and_an_end() {
        let error = Error::invalid("outer").with_source(Error::invalid("inner"));
        assert_eq!(status_of(&error).message(), "outer: inner");
        let long = "ä".repeat(MESSAGE_CHARACTERS_MAX + 1);
        assert_eq!(
            status_of(&Error::invalid(long)).message(),
            "ä".repeat(MESSAGE_CHARACTERS_MAX)
        );
    }
}
