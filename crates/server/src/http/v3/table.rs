//! `/api/v3/configure/table`: create, change and delete tables (spec/catalog-and-caches.md §3, §6).
//!
//! Not here: what deletion does (`catalog`, and `storage` for rows), deleting some rows of a table (`query`).

use std::sync::Arc;

use catalog::{ColumnKind, Database, FieldType, Table, TableAdditions, validate_database_name};
use hyper::body::Incoming;
use hyper::http::request::Parts;
use hyper::{Response, StatusCode};
use serde::Deserialize;
use storage::DeleteRequest;

use super::database::{parse_hard_delete, parse_retention, require_now};
use crate::Error;
use crate::authorization::{Permit, Reach};
use crate::http::body::{from_json, require_json};
use crate::http::error::Failure;
use crate::http::response::{ResponseBody, empty, json};
use crate::http::{Services, parameters};

/// A column's name and type in a request.
#[derive(Deserialize)]
struct FieldColumn {
    name: String,
    #[serde(rename = "type")]
    kind: FieldKind,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum FieldKind {
    Utf8,
    Int64,
    Uint64,
    Float64,
    Bool,
}

impl From<FieldKind> for FieldType {
    fn from(kind: FieldKind) -> Self {
        match kind {
            FieldKind::Utf8 => Self::String,
            FieldKind::Int64 => Self::Integer,
            FieldKind::Uint64 => Self::Unsigned,
            FieldKind::Float64 => Self::Float,
            FieldKind::Bool => Self::Boolean,
        }
    }
}

/// `POST`: a new table, and its database when there is none of that name.
pub(crate) async fn create(
    services: &Services,
    head: &Parts,
    permit: Permit<'_>,
    body: Incoming,
) -> Result<Response<ResponseBody>, Failure> {
    #[derive(Deserialize)]
    struct Fields {
        db: String,
        table: String,
        #[serde(default)]
        tags: Vec<String>,
        #[serde(default)]
        fields: Vec<FieldColumn>,
        retention_period: Option<String>,
    }
    require_json(&head.headers)?;
    let fields: Fields = from_json(&services.read_body(head, body).await?)?;
    let snapshot = services.catalog.snapshot();
    if permit.database_to_extend(&snapshot, &fields.db)? == Reach::Tables {
        permit.table(&snapshot, &fields.db, &fields.table)?;
    }
    let retention = parse_retention(fields.retention_period.as_deref())?;
    if snapshot.database_named(&fields.db).is_none() {
        validate_database_name(&fields.db)
            .map_err(|error| Failure::from(error).into_json_error())?;
    }
    let tags = fields.tags.into_iter().map(|name| (name, ColumnKind::Tag));
    let values = fields
        .fields
        .into_iter()
        .map(|field| (field.name, ColumnKind::Field(field.kind.into())));
    let table = TableAdditions {
        table: fields.table,
        columns: tags.chain(values).collect(),
    };
    services
        .catalog
        .create_table(&fields.db, table, retention)
        .await?;
    Ok(empty(StatusCode::OK))
}

/// `PUT` and `PATCH`: another retention period; none given is that of the database.
pub(crate) async fn update(
    services: &Services,
    head: &Parts,
    body: Incoming,
) -> Result<Response<ResponseBody>, Failure> {
    #[derive(Deserialize)]
    struct Fields {
        db: String,
        table: String,
        retention_period: Option<String>,
    }
    require_json(&head.headers)?;
    let fields: Fields = from_json(&services.read_body(head, body).await?)?;
    let retention = parse_retention(fields.retention_period.as_deref())?;
    services
        .catalog
        .set_table_retention(&fields.db, &fields.table, retention)
        .await?;
    Ok(empty(StatusCode::OK))
}

/// `DELETE`: hides a table now; its data goes later. With `data_only` its rows go now, and the table stays.
pub(crate) async fn delete(
    services: &Services,
    head: &Parts,
    permit: Permit<'_>,
) -> Result<Response<ResponseBody>, Failure> {
    #[derive(Deserialize)]
    struct Parameters {
        db: String,
        table: String,
        hard_delete_at: Option<String>,
        #[serde(default)]
        data_only: bool,
    }
    let parameters: Parameters = parameters::decode(head.uri.query())?;
    let snapshot = services.catalog.snapshot();
    permit.table(&snapshot, &parameters.db, &parameters.table)?;
    let now_ms = services.world.clock.now_ms();
    let when = parse_hard_delete(parameters.hard_delete_at.as_deref(), now_ms)?;
    if parameters.data_only {
        require_now(when)?;
        let database = live_database(services, &parameters.db)?;
        let table = live_table(&database, &parameters.table)?;
        delete_all_rows(services, &database, &table).await?;
    } else {
        services
            .catalog
            .delete_table(&parameters.db, &parameters.table, when)
            .await?;
    }
    Ok(empty(StatusCode::OK))
}

/// `POST …/undelete`: brings a deleted table back before its data goes.
pub(crate) async fn undelete(
    services: &Services,
    head: &Parts,
    permit: Permit<'_>,
    body: Incoming,
) -> Result<Response<ResponseBody>, Failure> {
    #[derive(Deserialize)]
    struct Fields {
        db: String,
        table: String,
        #[serde(rename = "as")]
        wanted: Option<String>,
    }
    require_json(&head.headers)?;
    let fields: Fields = from_json(&services.read_body(head, body).await?)?;
    permit.undelete_table(&services.catalog.snapshot(), &fields.db, &fields.table)?;
    let name = services
        .catalog
        .undelete_table(&fields.db, &fields.table, fields.wanted.as_deref())
        .await?;
    let brought = serde_json::json!({ "db": fields.db, "table": &*name });
    Ok(json(&brought)?)
}

/// A database whose rows can be deleted. Errors: those of the catalog for one that is unknown, deleted or the server's own.
pub(super) fn live_database(services: &Services, name: &str) -> Result<Arc<Database>, Error> {
    let snapshot = services.catalog.snapshot();
    let database = snapshot
        .database_named(name)
        .ok_or_else(|| not_found(name))?;
    if database.is_internal() {
        return Err(Error::invalid("cannot modify internal db"));
    }
    if database.is_deleted() {
        return Err(already_deleted(name));
    }
    Ok(Arc::clone(database))
}

fn live_table(database: &Database, name: &str) -> Result<Arc<Table>, Error> {
    let table = database.table_named(name).ok_or_else(|| not_found(name))?;
    if table.is_deleted() {
        return Err(already_deleted(name));
    }
    Ok(Arc::clone(table))
}

/// Deletes every row there is now; goes on when the client goes away.
pub(super) async fn delete_all_rows(
    services: &Services,
    database: &Database,
    table: &Arc<Table>,
) -> Result<(), Error> {
    let request = DeleteRequest {
        database: database.id,
        table: Arc::clone(table),
        time_range: i64::MIN..=i64::MAX,
        series_filter: None,
        row_filter: None,
    };
    let storage = Arc::clone(&services.storage);
    services
        .shielded(async move { storage.delete(request).await })
        .await??;
    Ok(())
}

fn not_found(name: &str) -> Error {
    Error::not_found(format!("the requested resource was not found: {name}"))
}

fn already_deleted(name: &str) -> Error {
    Error::conflict(format!(
        "attempted to modify resource that was already deleted: {name}"
    ))
}
