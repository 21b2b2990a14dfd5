//! What a call says in its metadata besides its credential: database, deadline, and how it wants its answer (spec/flight.md §4).
//!
//! Pure. Not here: tickets, which name their database themselves (`ticket`).

use std::time::Duration;

use arrow::ipc::CompressionType;
use hyper::HeaderMap;
use tonic::Status;

use super::status::invalid;

/// Where the database of Flight SQL commands stands; the first is the name to prefer.
const DATABASE: [&str; 4] = ["database", "bucket", "bucket-name", "iox-namespace-name"];
const BASE_TABLE_TYPE: &str = "x-influxdata-base-table-type";
const QUERY_LANGUAGE: &str = "x-influxdata-query-language";
/// Ours: `keep` leaves tags dictionaries, for clients that can read them.
const DICTIONARY: &str = "x-influxdata-dictionary";
/// Ours: `lz4` or `zstd` compresses the buffers of batches, which is cheaper than compressing messages.
const IPC_COMPRESSION: &str = "x-influxdata-ipc-compression";
/// Ours: what messages are compressed with, if the client offers to read it.
const MESSAGE_COMPRESSION: &str = "x-influxdata-message-compression";
const TIMEOUT: &str = "grpc-timeout";

/// What tables are called that are not views.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum BaseTableType {
    #[default]
    BaseTable,
    /// As some programs insist on.
    Table,
}

impl BaseTableType {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::BaseTable => "BASE TABLE",
            Self::Table => "TABLE",
        }
    }
}

/// The language of a statement.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Language {
    #[default]
    Sql,
    InfluxQl,
}

impl Language {
    /// Refuses what this version cannot read.
    pub(super) fn require_sql(self) -> Result<(), Status> {
        match self {
            Self::Sql => Ok(()),
            Self::InfluxQl => Err(invalid(
                "This feature is not implemented: InfluxQL; only SQL is understood by this version",
            )),
        }
    }
}

/// How batches are to be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) keeps_dictionaries: bool,
    pub(super) compression: Option<CompressionType>,
}

/// What messages may be compressed with, of what the client offers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum MessageCompression {
    /// Zstd, or else gzip.
    #[default]
    Offered,
    OnlyZstd,
    OnlyGzip,
    Nothing,
}

/// What a call says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct CallOptions {
    pub(super) database: Option<String>,
    pub(super) base_table_type: BaseTableType,
    pub(super) language: Language,
    pub(super) shape: Shape,
    pub(super) message_compression: MessageCompression,
}

impl CallOptions {
    /// Errors: `INVALID_ARGUMENT` for values that contradict each other or are none of those there are.
    pub(super) fn read(metadata: &HeaderMap) -> Result<Self, Status> {
        Ok(Self {
            database: database(metadata)?,
            base_table_type: match text(metadata, BASE_TABLE_TYPE)? {
                None | Some("BASE TABLE") => BaseTableType::BaseTable,
                Some("TABLE") => BaseTableType::Table,
                Some(other) => return Err(unknown(BASE_TABLE_TYPE, other, "BASE TABLE or TABLE")),
            },
            language: match text(metadata, QUERY_LANGUAGE)? {
                None | Some("sql") => Language::Sql,
                Some("influxql") => Language::InfluxQl,
                Some(other) => return Err(unknown(QUERY_LANGUAGE, other, "sql or influxql")),
            },
            shape: Shape {
                keeps_dictionaries: match text(metadata, DICTIONARY)? {
                    None | Some("hydrate") => false,
                    Some("keep") => true,
                    Some(other) => return Err(unknown(DICTIONARY, other, "keep or hydrate")),
                },
                compression: match text(metadata, IPC_COMPRESSION)? {
                    None | Some("none") => None,
                    Some("lz4") => Some(CompressionType::LZ4_FRAME),
                    Some("zstd") => Some(CompressionType::ZSTD),
                    Some(other) => {
                        return Err(unknown(IPC_COMPRESSION, other, "lz4, zstd or none"));
                    }
                },
            },
            message_compression: match text(metadata, MESSAGE_COMPRESSION)? {
                None => MessageCompression::Offered,
                Some("zstd") => MessageCompression::OnlyZstd,
                Some("gzip") => MessageCompression::OnlyGzip,
                Some("none") => MessageCompression::Nothing,
                Some(other) => {
                    return Err(unknown(MESSAGE_COMPRESSION, other, "gzip, zstd or none"));
                }
            },
        })
    }

    /// The database that a Flight SQL command is about.
    pub(super) fn database(&self) -> Result<&str, Status> {
        self.database
            .as_deref()
            .ok_or_else(|| invalid("no 'database' header in request"))
    }
}

/// The one database that all headers for it name.
fn database(metadata: &HeaderMap) -> Result<Option<String>, Status> {
    let mut found: Option<(&str, &str)> = None;
    for name in DATABASE {
        for value in metadata.get_all(name) {
            let value = std::str::from_utf8(value.as_bytes())
                .map_err(|_| invalid(format!("metadata '{name}' is not text")))?;
            match found {
                Some((first, known)) if known != value => {
                    return Err(invalid(format!(
                        "conflicting databases: '{first}' is '{known}' and '{name}' is '{value}'"
                    )));
                }
                _ => found = found.or(Some((name, value))),
            }
        }
    }
    Ok(found
        .map(|(_, value)| value.to_string())
        .filter(|name| !name.is_empty()))
}

fn text<'a>(metadata: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, Status> {
    match metadata.get(name) {
        None => Ok(None),
        Some(value) => value
            .to_str()
            .map(Some)
            .map_err(|_| invalid(format!("metadata '{name}' is not text"))),
    }
}

fn unknown(name: &str, value: &str, known: &str) -> Status {
    invalid(format!("metadata '{name}' must be {known}, not '{value}'"))
}

/// How long the client waits, if it says so: up to eight digits and a unit. Nonsense counts as no deadline, as gRPC wants.
pub(super) fn timeout(metadata: &HeaderMap) -> Option<Duration> {
    let text = metadata.get(TIMEOUT)?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.len() > 8 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(count * 3_600),
        "M" => Duration::from_secs(count * 60),
        "S" => Duration::from_secs(count),
        "m" => Duration::from_millis(count),
        "u" => Duration::from_micros(count),
        "n" => Duration::from_nanos(count),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use hyper::header::{HeaderName, HeaderValue};

    use super::*;

    fn metadata(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(
                HeaderName::from_static(name),
                HeaderValue::from_bytes(value.as_bytes()).expect("a value"),
            );
        }
        headers
    }

    fn database_of(pairs: &[(&'static str, &str)]) -> String {
        let options = CallOptions::read(&metadata(pairs));
        match options.as_ref().map(CallOptions::database) {
            Ok(Ok(database)) => database.to_string(),
            Ok(Err(status)) => status.message().to_string(),
            Err(status) => status.message().to_string(),
        }
    }

    #[test]
    fn the_database_has_four_names_and_one_value() {
        for name in DATABASE {
            assert_eq!(database_of(&[(name, "d")]), "d");
        }
        assert_eq!(database_of(&[("bucket", "d"), ("database", "d")]), "d");
        assert_eq!(database_of(&[("database", "größe")]), "größe");
        assert_eq!(database_of(&[]), "no 'database' header in request");
        assert_eq!(
            database_of(&[("database", "")]),
            "no 'database' header in request"
        );
        assert_eq!(
            database_of(&[("bucket", "a"), ("database", "b")]),
            "conflicting databases: 'database' is 'b' and 'bucket' is 'a'"
        );
        assert_eq!(
            database_of(&[("database", "a"), ("database", "b")]),
            "conflicting databases: 'database' is 'a' and 'database' is 'b'"
        );
    }

    #[test]
    fn options_are_known_or_refused() {
        let read = |pairs: &[(&'static str, &str)]| CallOptions::read(&metadata(pairs));
        let options = read(&[
            ("x-influxdata-base-table-type", "TABLE"),
            ("x-influxdata-query-language", "influxql"),
            ("x-influxdata-dictionary", "keep"),
            ("x-influxdata-ipc-compression", "zstd"),
            ("x-influxdata-message-compression", "gzip"),
        ])
        .expect("all known");
        assert_eq!(options.base_table_type.name(), "TABLE");
        assert!(options.language.require_sql().is_err());
        assert!(options.shape.keeps_dictionaries);
        assert_eq!(options.shape.compression, Some(CompressionType::ZSTD));
        assert_eq!(options.message_compression, MessageCompression::OnlyGzip);
        assert_eq!(read(&[]).expect("nothing"), CallOptions::default());
        for name in [
            "x-influxdata-base-table-type",
            "x-influxdata-query-language",
            "x-influxdata-dictionary",
            "x-influxdata-ipc-compression",
            "x-influxdata-message-compression",
        ] {
            assert!(read(&[(name, "other")]).is_err(), "{name}");
        }
    }

    #[test]
    fn timeouts_have_units() {
        let timeout = |text| timeout(&metadata(&[("grpc-timeout", text)]));
        assert_eq!(timeout("2H"), Some(Duration::from_secs(7_200)));
        assert_eq!(timeout("3M"), Some(Duration::from_secs(180)));
        assert_eq!(timeout("99999999S"), Some(Duration::from_secs(99_999_999)));
        assert_eq!(timeout("250m"), Some(Duration::from_millis(250)));
        assert_eq!(timeout("5u"), Some(Duration::from_micros(5)));
        assert_eq!(timeout("5n"), Some(Duration::from_nanos(5)));
        for nonsense in ["", "S", "1", "123456789S", "-1S", "+1S", "1X", "1ä", "ä"] {
            assert_eq!(timeout(nonsense), None, "{nonsense}");
        }
    }
}
