//! HTTP: from a request to a response, the same way for every endpoint.
//!
//! [`handle`] is the order of things: pre-flight, authentication, route, handler, then headers, metrics and the log line of a
//! failure (spec/http-api.md §1, spec/auth-tokens.md §5). Not here: connections (`connections.rs`), what an endpoint does.

pub(crate) mod body;

pub(crate) mod connections;

pub(crate) mod encode;

pub(crate) mod error;

pub(crate) mod health;

pub(crate) mod metrics;

pub(crate) mod parameters;

pub(crate) mod response;

pub(crate) mod router;

pub(crate) mod v2;

pub(crate) mod v3;

use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use catalog::Catalog;
use hyper::body::Incoming;
use hyper::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_MAX_AGE, HeaderName, HeaderValue,
};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode};
use query::QueryEngine;
use runtime::World;
use storage::Engine;
use uuid::Uuid;

use self::encode::WholeResults;
use self::error::{CallSummary, Failure};
use self::metrics::{Meter, Metrics};
use self::response::ResponseBody;
use self::router::{ENDPOINTS, Route};
use crate::Error;
use crate::admission::{Admission, Admitted};
use crate::auth::{Caller, Gate};
use crate::flight::Bindings;

pub(crate) const CLUSTER_UUID: HeaderName = HeaderName::from_static("cluster-uuid");
const ANY: HeaderValue = HeaderValue::from_static("*");

/// What the handlers of one node work with.
pub(crate) struct Services {
    pub(crate) world: World,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) storage: Arc<Engine>,
    pub(crate) query: Arc<QueryEngine>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) gate: Gate,
    /// Names the catalog in every response.
    pub(crate) cluster_uuid: HeaderValue,
    pub(crate) version: HeaderValue,
    pub(crate) version_text: String,
    pub(crate) revision: String,
    /// Of this process, drawn at its start.
    pub(crate) process_id: Uuid,
    /// Of a body, before and after decompression.
    pub(crate) request_bytes_max: usize,
    /// The memory of writes on their way to the buffer.
    pub(crate) admission: Arc<Admission>,
    /// The memory of results that must be whole before they are sent.
    pub(crate) whole_results: Arc<WholeResults>,
    /// What is bound to prepared statements.
    pub(crate) bindings: Bindings,
}

impl Services {
    /// Carries a change through even when the client goes away in the middle of it.
    pub(crate) async fn shielded<T: Send + 'static>(
        &self,
        change: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Error> {
        self.world
            .tasks
            .detach(change)
            .await
            .map_err(|fault| Error::internal("the change did not finish").with_source(fault))
    }

    /// The text of a write, with its part of the ingest share: to be kept until the rows are buffered.
    async fn read_write(&self, head: &Parts, body: Incoming) -> Result<(Bytes, Admitted), Failure> {
        body::read_admitted(
            &head.headers,
            body,
            self.request_bytes_max,
            &self.world.tasks,
            &self.admission,
        )
        .await
    }

    async fn read_body(&self, head: &Parts, body: Incoming) -> Result<Bytes, Failure> {
        body::read(
            &head.headers,
            body,
            self.request_bytes_max,
            &self.world.tasks,
        )
        .await
    }
}

/// Answers one request; whatever goes wrong becomes a response.
pub(crate) async fn handle(
    services: Arc<Services>,
    request: Request<Incoming>,
    peer: IpAddr,
) -> Response<ResponseBody> {
    let (mut head, body) = request.into_parts();
    let endpoint = router::find(head.method.as_str(), head.uri.path());
    let mut meter = Meter::start(&services.metrics, endpoint);

    let mut response = if head.method == Method::OPTIONS {
        preflight()
    } else {
        match answer(&services, &mut head, body, endpoint).await {
            Ok(mut response) => {
                response
                    .headers_mut()
                    .insert(ACCESS_CONTROL_ALLOW_ORIGIN, ANY);
                response
            }
            Err(failure) => {
                CallSummary::of(&head, peer).log_failure(&failure.reason());
                failure.into_response()
            }
        }
    };
    let cluster_uuid = services.cluster_uuid.clone();
    response.headers_mut().insert(CLUSTER_UUID, cluster_uuid);
    meter.answered(response.status());
    response.map(|body| {
        let body = body.metered(meter);
        if body.is_streamed() {
            body.reporting(CallSummary::of(&head, peer))
        } else {
            body
        }
    })
}

async fn answer(
    services: &Services,
    head: &mut Parts,
    body: Incoming,
    endpoint: Option<usize>,
) -> Result<Response<ResponseBody>, Failure> {
    let uri = head.uri.clone();
    let caller = services.gate.admit(
        &services.catalog,
        uri.path(),
        uri.query(),
        &mut head.headers,
    )?;
    let endpoint = endpoint.ok_or_else(Failure::no_route)?;
    dispatch(services, head, caller, body, ENDPOINTS[endpoint].route).await
}

async fn dispatch(
    services: &Services,
    head: &Parts,
    caller: Caller,
    body: Incoming,
    route: Route,
) -> Result<Response<ResponseBody>, Failure> {
    match route {
        Route::Health => Ok(health::health()),
        Route::Ping => health::ping(services),
        Route::Metrics => Ok(services.metrics.show()?),
        Route::WriteLp => v3::write::write_lp(services, head, body).await,
        Route::QuerySql => v3::query::query_sql(services, head, &caller, body).await,
        Route::ListDatabases => v3::database::list(services, head).await,
        Route::CreateDatabase => v3::database::create(services, head, body).await,
        Route::UpdateDatabase => v3::database::update(services, head, body).await,
        Route::DeleteDatabase => v3::database::delete(services, head, &caller).await,
        Route::SetDatabaseRetention => v3::retention::set_for_database(services, head).await,
        Route::ClearDatabaseRetention => v3::retention::clear_for_database(services, head).await,
        Route::CreateTable => v3::table::create(services, head, body).await,
        Route::UpdateTable => v3::table::update(services, head, body).await,
        Route::DeleteTable => v3::table::delete(services, head, &caller).await,
        Route::SetTableRetention => v3::retention::set_for_table(services, head).await,
        Route::ClearTableRetention => v3::retention::clear_for_table(services, head).await,
        Route::DeleteRows => v2::delete::delete(services, head, &caller, body).await,
        Route::CreateAdminToken => v3::token::create_admin(services).await,
        Route::RegenerateAdminToken => v3::token::regenerate_admin(services, caller).await,
    }
}

/// What browsers ask before they ask.
fn preflight() -> Response<ResponseBody> {
    let mut response = response::empty(StatusCode::NO_CONTENT);
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, ANY);
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, ANY);
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, ANY);
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("86400"));
    response
}
