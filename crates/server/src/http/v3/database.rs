//! `/api/v3/configure/database`: list, create, change and delete databases (spec/http-api.md §7).
//!
//! Not here: what deletion does (`catalog`), the endpoints that only set a retention (`retention`).

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, BooleanArray, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use catalog::{Database, HardDelete};
use chrono::DateTime;
use futures::{StreamExt, stream};
use hyper::body::Incoming;
use hyper::http::request::Parts;
use hyper::{Response, StatusCode};
use serde::Deserialize;

use super::table;
use crate::authorization::Permit;
use crate::http::body::{from_json, require_json};
use crate::http::encode::Format;
use crate::http::encode::compression::Coding;
use crate::http::error::Failure;
use crate::http::response::{ResponseBody, empty, json};
use crate::http::{Services, parameters};
use crate::{Error, ErrorKind, duration};

/// `GET`: the names of the databases that the caller may know of, live ones first.
pub(crate) async fn list(
    services: &Services,
    head: &Parts,
    permit: Permit<'_>,
) -> Result<Response<ResponseBody>, Failure> {
    #[derive(Deserialize)]
    struct Parameters {
        format: Format,
        #[serde(default)]
        show_deleted: bool,
    }
    let parameters: Parameters = parameters::decode(head.uri.query())?;
    let mut databases = services.catalog.snapshot().databases();
    databases.retain(|database| permit.sees(database));
    let rows = rows(&databases, parameters.show_deleted)?;
    let rows = stream::iter([Ok(rows)]).boxed();
    let coding = Coding::of(&head.headers);
    let response = services.encoders.respond(rows, parameters.format, coding);
    Ok(response.await?)
}

/// `POST`: a new database, perhaps with a retention period.
pub(crate) async fn create(
    services: &Services,
    head: &Parts,
    body: Incoming,
) -> Result<Response<ResponseBody>, Failure> {
    #[derive(Deserialize)]
    struct Fields {
        db: String,
        retention_period: Option<String>,
    }
    require_json(&head.headers)?;
    let fields: Fields = from_json(&services.read_body(head, body).await?)?;
    let retention = parse_retention(fields.retention_period.as_deref())?;
    let catalog = Arc::clone(&services.catalog);
    services
        .shielded(async move { catalog.create_database(&fields.db, retention).await })
        .await?
        .map_err(|error| match error.kind() {
            // Only a name can be wrong here.
            ErrorKind::Invalid => Failure::from(error).into_json_error(),
            _ => Failure::from(error),
        })?;
    Ok(empty(StatusCode::OK))
}

/// `PUT` and `PATCH`: another retention period; none given is for ever.
pub(crate) async fn update(
    services: &Services,
    head: &Parts,
    body: Incoming,
) -> Result<Response<ResponseBody>, Failure> {
    #[derive(Deserialize)]
    struct Fields {
        db: String,
        retention_period: Option<String>,
    }
    require_json(&head.headers)?;
    let fields: Fields = from_json(&services.read_body(head, body).await?)?;
    let retention = parse_retention(fields.retention_period.as_deref())?;
    services
        .catalog
        .set_database_retention(&fields.db, retention)
        .await?;
    Ok(empty(StatusCode::OK))
}

/// `DELETE`: hides a database now; its data goes later. With `data_only` its rows go now, and the database stays, with its
/// tables or without them.
pub(crate) async fn delete(
    services: &Services,
    head: &Parts,
    permit: Permit<'_>,
) -> Result<Response<ResponseBody>, Failure> {
    #[derive(Deserialize)]
    struct Parameters {
        db: String,
        hard_delete_at: Option<String>,
        #[serde(default)]
        data_only: bool,
        #[serde(default)]
        remove_tables: bool,
    }
    let parameters: Parameters = parameters::decode(head.uri.query())?;
    permit.database(&services.catalog.snapshot(), &parameters.db)?;
    let now_ms = services.world.clock.now_ms();
    let when = parse_hard_delete(parameters.hard_delete_at.as_deref(), now_ms)?;
    if parameters.data_only {
        require_now(when)?;
        delete_data(services, &parameters.db, parameters.remove_tables).await?;
        return Ok(empty(StatusCode::OK));
    }
    let catalog = Arc::clone(&services.catalog);
    services
        .shielded(async move { catalog.delete_database(&parameters.db, when).await })
        .await??;
    Ok(empty(StatusCode::OK))
}

/// `POST …/undelete`: brings a deleted database back before its data goes.
pub(crate) async fn undelete(
    services: &Services,
    head: &Parts,
    permit: Permit<'_>,
    body: Incoming,
) -> Result<Response<ResponseBody>, Failure> {
    #[derive(Deserialize)]
    struct Fields {
        db: String,
        #[serde(rename = "as")]
        wanted: Option<String>,
    }
    require_json(&head.headers)?;
    let fields: Fields = from_json(&services.read_body(head, body).await?)?;
    permit.undelete_database(&services.catalog.snapshot(), &fields.db)?;
    let name = services
        .catalog
        .undelete_database(&fields.db, fields.wanted.as_deref())
        .await?;
    Ok(json(&serde_json::json!({ "db": &*name }))?)
}

/// Table by table, so a failure leaves some of them done; to ask again does the rest.
async fn delete_data(services: &Services, name: &str, remove_tables: bool) -> Result<(), Error> {
    let database = table::live_database(services, name)?;
    for table in database.tables() {
        if table.is_deleted() {
            continue;
        }
        if remove_tables {
            services
                .catalog
                .delete_table(name, &table.name, HardDelete::Now)
                .await?;
        } else {
            table::delete_all_rows(services, &database, &table).await?;
        }
    }
    Ok(())
}

fn rows(databases: &[Arc<Database>], show_deleted: bool) -> Result<RecordBatch, Error> {
    let listed = |deleted: bool| {
        databases
            .iter()
            .filter(move |database| database.deleted_at_ms.is_some() == deleted)
            .map(move |database| (database.name.as_ref(), deleted))
    };
    let mut shown: Vec<(&str, bool)> = listed(false).collect();
    let mut fields = vec![Field::new("iox::database", DataType::Utf8, false)];
    if show_deleted {
        shown.extend(listed(true));
        fields.push(Field::new("deleted", DataType::Boolean, false));
    }
    let names = shown.iter().map(|(name, _)| Some(*name));
    let mut columns: Vec<ArrayRef> = vec![Arc::new(names.collect::<StringArray>())];
    if show_deleted {
        let deleted = shown.iter().map(|(_, deleted)| Some(*deleted));
        columns.push(Arc::new(deleted.collect::<BooleanArray>()));
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
        .map_err(|fault| Error::internal("cannot list databases").with_source(fault))
}

/// A retention period as people write it; the word `none`, like no text, keeps rows for ever.
pub(super) fn parse_retention(text: Option<&str>) -> Result<Option<Duration>, Failure> {
    match text {
        None => Ok(None),
        Some(text) if text.eq_ignore_ascii_case("none") => Ok(None),
        Some(text) => duration::parse(text).map(Some).map_err(|fault| {
            Failure::bad_request(format!("Cannot parse the given human time: {fault}"))
        }),
    }
}

/// When the data of what is deleted goes: a word in any case, or an RFC 3339 time, where the past means now.
pub(super) fn parse_hard_delete(text: Option<&str>, now_ms: i64) -> Result<HardDelete, Failure> {
    let Some(text) = text else {
        return Ok(HardDelete::Default);
    };
    match text.to_ascii_lowercase().as_str() {
        "never" => Ok(HardDelete::Never),
        "now" => Ok(HardDelete::Now),
        "default" => Ok(HardDelete::Default),
        _ => {
            let time = DateTime::parse_from_rfc3339(text).map_err(|fault| {
                Failure::bad_request(format!("Cannot parse the timestamp: {fault}"))
            })?;
            let at_ms = time.timestamp_millis();
            if at_ms <= now_ms {
                Ok(HardDelete::Now)
            } else {
                Ok(HardDelete::AtMs(at_ms))
            }
        }
    }
}

/// Rows that are deleted by themselves are gone at once, so no other time makes sense.
pub(super) fn require_now(when: HardDelete) -> Result<(), Failure> {
    match when {
        HardDelete::Now | HardDelete::Default => Ok(()),
        HardDelete::Never | HardDelete::AtMs(_) => Err(Failure::bad_request(
            "data_only deletes rows at once: hard_delete_at can only be 'now'",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retention_periods() {
        let parsed = |text| parse_retention(text).map_err(|failure| failure.reason().to_string());
        assert_eq!(parsed(None), Ok(None));
        assert_eq!(parsed(Some("None")), Ok(None));
        assert_eq!(
            parsed(Some("1y 2days")),
            Ok(Some(Duration::from_secs(31_730_400)))
        );
        let refused = parsed(Some("5")).expect_err("no unit");
        assert!(
            refused.starts_with("Cannot parse the given human time: "),
            "{refused}"
        );
    }

    #[test]
    fn hard_delete_times() {
        let now_ms = 1_000_000;
        let parsed =
            |text| parse_hard_delete(text, now_ms).map_err(|failure| failure.reason().to_string());
        assert_eq!(parsed(None), Ok(HardDelete::Default));
        assert_eq!(parsed(Some("default")), Ok(HardDelete::Default));
        assert_eq!(parsed(Some("NEVER")), Ok(HardDelete::Never));
        assert_eq!(parsed(Some("now")), Ok(HardDelete::Now));
        assert_eq!(parsed(Some("1970-01-01T00:16:40Z")), Ok(HardDelete::Now));
        assert_eq!(
            parsed(Some("1970-01-01T01:16:40.001+01:00")),
            Ok(HardDelete::AtMs(1_000_001))
        );
        for text in ["", "later", "1970-01-01", "2026-13-01T00:00:00Z"] {
            let refused = parsed(Some(text)).expect_err(text);
            assert!(
                refused.starts_with("Cannot parse the timestamp: "),
                "{refused}"
            );
        }
    }
}
