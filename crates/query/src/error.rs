//! DataFusion's errors as ours: one place decides whose fault an error is.
//!
//! The kinds follow spec/query-sql.md §1.4, except where it recommends better: an unknown column and a literal that
//! cannot be cast are the caller's mistake. The texts are DataFusion's own. Not here: HTTP status codes (`server`).

use datafusion::arrow::error::ArrowError;
use datafusion::common::DataFusionError;

use crate::{Error, ErrorKind};

/// When an error happened, which decides whether a failed computation was over the statement's own constants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Before any row was read.
    Planning,
    Execution,
}

/// Converts an error; those of the execution stage are introduced as such (spec/http-api.md §1.8).
pub(crate) fn from_datafusion(error: &DataFusionError, stage: Stage) -> Error {
    let kind = kind_of(error, stage);
    let text = text_of(error);
    match stage {
        Stage::Planning => Error::new(kind, text),
        Stage::Execution => Error::new(kind, format!("{EXECUTION_INTRODUCTION}{text}")),
    }
}

/// Converts an error met while evaluating an expression over stored values on storage's behalf, whenever that is.
pub(crate) fn from_evaluation(error: &DataFusionError) -> Error {
    Error::new(kind_of(error, Stage::Execution), text_of(error))
}

/// Whose fault an error of a query is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The statement's, also where the values it meets show that only while it runs: a division by zero, a cast.
    Statement,
    /// Nobody's: it needs more memory than is free.
    Memory,
    /// The node's, or what the error's kind says.
    Node,
}

/// Tells more than the kind of an error that a query met, for interfaces that want to know. Works by DataFusion's own words.
pub fn blame(error: &Error) -> Blame {
    let text = error.message();
    let text = text.strip_prefix(EXECUTION_INTRODUCTION).unwrap_or(text);
    let text = text.rsplit("caused by\n").next().unwrap_or(text);
    match error.kind() {
        ErrorKind::Invalid | ErrorKind::Unsupported => Blame::Statement,
        ErrorKind::Unavailable if text.contains("Resources exhausted: ") => Blame::Memory,
        ErrorKind::Internal if COMPUTATIONS.iter().any(|begin| text.starts_with(begin)) => {
            Blame::Statement
        }
        _ => Blame::Node,
    }
}

const EXECUTION_INTRODUCTION: &str = "query error: error while executing plan: ";

/// How texts begin that tell of a computation over values.
const COMPUTATIONS: [&str; 7] = [
    "Execution error: ",
    "Arrow error: Divide by zero error",
    "Arrow error: Cast error: ",
    "Arrow error: Compute error: ",
    "Arrow error: Parser error: ",
    "Arrow error: Arithmetic overflow: ",
    "Arrow error: Invalid argument error: ",
];

/// Carries an error of ours through DataFusion; [`from_datafusion`] finds its kind again.
pub(crate) fn to_datafusion(error: Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// Wrappers and prefixes say nothing about errors of ours, so those keep their own text.
fn text_of(error: &DataFusionError) -> String {
    match own_error(error) {
        Some(own) => own.to_string(),
        None => error.strip_backtrace(),
    }
}

fn own_error(error: &DataFusionError) -> Option<&Error> {
    let mut current: &(dyn std::error::Error + 'static) = error;
    loop {
        if let Some(own) = current.downcast_ref::<Error>() {
            return Some(own);
        }
        current = current.source()?;
    }
}

fn kind_of(error: &DataFusionError, stage: Stage) -> ErrorKind {
    if let Some(own) = own_error(error) {
        return own.kind();
    }
    match error {
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => {
            kind_of(inner, stage)
        }
        DataFusionError::Shared(inner) => kind_of(inner, stage),
        DataFusionError::Collection(members) => members
            .first()
            .map_or(ErrorKind::Internal, |first| kind_of(first, stage)),
        DataFusionError::Plan(_)
        | DataFusionError::SQL(..)
        | DataFusionError::SchemaError(..)
        | DataFusionError::Configuration(_) => ErrorKind::Invalid,
        DataFusionError::NotImplemented(_) => ErrorKind::Unsupported,
        DataFusionError::ResourcesExhausted(_) => ErrorKind::Unavailable,
        DataFusionError::ArrowError(inner, _) => arrow_kind(inner, stage),
        DataFusionError::External(inner) => match inner.downcast_ref::<DataFusionError>() {
            Some(inner) => kind_of(inner, stage),
            None => ErrorKind::Internal,
        },
        // Planning computes only with what the statement itself spells out.
        DataFusionError::Execution(_) if stage == Stage::Planning => ErrorKind::Invalid,
        _ => ErrorKind::Internal,
    }
}

fn arrow_kind(error: &ArrowError, stage: Stage) -> ErrorKind {
    match error {
        ArrowError::ExternalError(inner) => match inner.downcast_ref::<DataFusionError>() {
            Some(inner) => kind_of(inner, stage),
            None => ErrorKind::Internal,
        },
        ArrowError::CastError(_)
        | ArrowError::ParseError(_)
        | ArrowError::ComputeError(_)
        | ArrowError::DivideByZero
        | ArrowError::ArithmeticOverflow(_)
        | ArrowError::InvalidArgumentError(_)
            if stage == Stage::Planning =>
        {
            ErrorKind::Invalid
        }
        ArrowError::NotYetImplemented(_) => ErrorKind::Unsupported,
        ArrowError::MemoryError(_) => ErrorKind::Unavailable,
        _ => ErrorKind::Internal,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn check(error: DataFusionError, stage: Stage, expected: (ErrorKind, &str)) {
        let error = from_datafusion(&error, stage);
        assert_eq!((error.kind(), error.message()), expected);
    }

    #[test]
    fn wrappers_do_not_hide_the_kind() {
        let plan = DataFusionError::Plan("nope".into());
        let wrapped = DataFusionError::Shared(Arc::new(DataFusionError::Collection(vec![plan])));
        check(
            wrapped,
            Stage::Planning,
            (ErrorKind::Invalid, "Error during planning: nope"),
        );
    }

    #[test]
    fn a_failed_literal_is_the_callers_mistake_and_a_failed_row_is_not() {
        let failed = || {
            DataFusionError::ArrowError(Box::new(ArrowError::DivideByZero), None).context("rule")
        };
        let text = "rule\ncaused by\nArrow error: Divide by zero error";
        check(failed(), Stage::Planning, (ErrorKind::Invalid, text));
        check(
            failed(),
            Stage::Execution,
            (
                ErrorKind::Internal,
                &format!("query error: error while executing plan: {text}"),
            ),
        );
    }

    #[test]
    fn an_error_of_ours_keeps_its_kind_and_text() {
        let own = Error::corrupt("footer of file 7");
        let wrapped = DataFusionError::Shared(Arc::new(to_datafusion(own).context("scan")));
        check(
            wrapped,
            Stage::Execution,
            (
                ErrorKind::Corrupt,
                "query error: error while executing plan: footer of file 7",
            ),
        );
    }

    #[test]
    fn memory_and_missing_features_have_their_kinds() {
        check(
            DataFusionError::ResourcesExhausted("no memory".into()),
            Stage::Execution,
            (
                ErrorKind::Unavailable,
                "query error: error while executing plan: Resources exhausted: no memory",
            ),
        );
        check(
            DataFusionError::NotImplemented("GRANT".into()),
            Stage::Planning,
            (
                ErrorKind::Unsupported,
                "This feature is not implemented: GRANT",
            ),
        );
    }

    #[test]
    fn the_statement_is_blamed_for_what_it_computes_and_for_nothing_else() {
        let execution = |error: DataFusionError| blame(&from_datafusion(&error, Stage::Execution));
        let arrow = |error| execution(DataFusionError::ArrowError(Box::new(error), None));
        assert_eq!(arrow(ArrowError::DivideByZero), Blame::Statement);
        assert_eq!(arrow(ArrowError::CastError("x".into())), Blame::Statement);
        assert_eq!(
            arrow(ArrowError::ComputeError("x".into())),
            Blame::Statement
        );
        assert_eq!(arrow(ArrowError::ParseError("x".into())), Blame::Statement);
        assert_eq!(
            arrow(ArrowError::ArithmeticOverflow("x".into())),
            Blame::Statement
        );
        assert_eq!(
            execution(DataFusionError::Execution("x".into()).context("rule")),
            Blame::Statement
        );
        assert_eq!(
            execution(DataFusionError::ResourcesExhausted("x".into())),
            Blame::Memory
        );
        assert_eq!(
            arrow(ArrowError::IoError("x".into(), std::io::Error::other("x"))),
            Blame::Node
        );
        assert_eq!(
            execution(to_datafusion(Error::unavailable("the store is away"))),
            Blame::Node
        );
        assert_eq!(
            execution(to_datafusion(Error::corrupt("footer"))),
            Blame::Node
        );
        assert_eq!(
            execution(DataFusionError::Internal("x".into())),
            Blame::Node
        );
    }
}
