//! `…/retention_period` of databases and tables: setting and clearing how long rows are kept (spec/http-api.md §8).
//!
//! What it means is in `catalog`; the same can be set together with the rest of a database or table (`database`, `table`).

use std::time::Duration;

use hyper::http::request::Parts;
use hyper::{Response, StatusCode};
use serde::Deserialize;

use super::database::parse_retention;
use crate::http::error::Failure;
use crate::http::response::{ResponseBody, empty};
use crate::http::{Services, parameters};

#[derive(Deserialize)]
struct DatabaseOnly {
    db: String,
}

#[derive(Deserialize)]
struct DatabaseFor {
    db: String,
    duration: String,
}

#[derive(Deserialize)]
struct TableOnly {
    db: String,
    table: String,
}

#[derive(Deserialize)]
struct TableFor {
    db: String,
    table: String,
    duration: String,
}

/// `POST ?db&duration`.
pub(crate) async fn set_for_database(
    services: &Services,
    head: &Parts,
) -> Result<Response<ResponseBody>, Failure> {
    let asked: DatabaseFor = parameters::decode(head.uri.query())?;
    let retention = parse_retention(Some(&asked.duration))?;
    for_database(services, &asked.db, retention).await
}

/// `DELETE ?db`: rows are kept for ever.
pub(crate) async fn clear_for_database(
    services: &Services,
    head: &Parts,
) -> Result<Response<ResponseBody>, Failure> {
    let asked: DatabaseOnly = parameters::decode(head.uri.query())?;
    for_database(services, &asked.db, None).await
}

/// `POST ?db&table&duration`.
pub(crate) async fn set_for_table(
    services: &Services,
    head: &Parts,
) -> Result<Response<ResponseBody>, Failure> {
    let asked: TableFor = parameters::decode(head.uri.query())?;
    let retention = parse_retention(Some(&asked.duration))?;
    for_table(services, &asked.db, &asked.table, retention).await
}

/// `DELETE ?db&table`: rows are kept as long as the database says.
pub(crate) async fn clear_for_table(
    services: &Services,
    head: &Parts,
) -> Result<Response<ResponseBody>, Failure> {
    let asked: TableOnly = parameters::decode(head.uri.query())?;
    for_table(services, &asked.db, &asked.table, None).await
}

async fn for_database(
    services: &Services,
    database: &str,
    retention: Option<Duration>,
) -> Result<Response<ResponseBody>, Failure> {
    let catalog = &services.catalog;
    catalog.set_database_retention(database, retention).await?;
    Ok(empty(StatusCode::NO_CONTENT))
}

async fn for_table(
    services: &Services,
    database: &str,
    table: &str,
    retention: Option<Duration>,
) -> Result<Response<ResponseBody>, Failure> {
    let catalog = &services.catalog;
    catalog
        .set_table_retention(database, table, retention)
        .await?;
    Ok(empty(StatusCode::NO_CONTENT))
}
