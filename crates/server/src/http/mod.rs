//! HTTP: from a request to a response, the same way for every endpoint.
//!
//! [`handle`] is the order of things: a name for the request, pre-flight, authentication, route, handler, then headers, metrics and
//! the log line of a failure (spec/http-api.md §1, spec/auth-tokens.md §5). Not here: connections (`connections.rs`), what an endpoint does.

pub(crate) mod body;

pub(crate) mod connections;

pub(crate) mod description;

pub(crate) mod encode;

pub(crate) mod error;

pub(crate) mod health;

pub(crate) mod metrics;

pub(crate) mod parameters;

pub(crate) mod patience;

pub(crate) mod readiness;

pub(crate) mod request_id;

pub(crate) mod response;

pub(crate) mod router;

pub(crate) mod v1;

pub(crate) mod v2;

pub(crate) mod v3;

pub(crate) mod write;

use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use catalog::Catalog;
use hyper::body::Incoming;
use hyper::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_MAX_AGE, ALLOW, CONNECTION, HeaderName, HeaderValue, WWW_AUTHENTICATE,
};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode, Version};
use query::QueryEngine;
use runtime::World;
use storage::Engine;
use tracing::Instrument;
use uuid::Uuid;

use self::body::Pace;
use self::encode::Encoders;
use self::error::{CallSummary, Failure};
use self::metrics::{Meter, Metrics};
use self::readiness::Readiness;
use self::request_id::{REQUEST_ID, RequestId};
use self::response::{ResponseBody, compressed};
use self::router::{ENDPOINTS, Endpoint, Route};
use crate::Error;
use crate::admission::{Admission, Admitted};
use crate::authenticator::{Gate, Outcome, Refused};
use crate::authorization::{Caller, Permit};
use crate::failed_attempts::FailedAttempts;
use crate::flight::Bindings;
use crate::token_events::{Protocol, Reason, Refusal, TokenEvents};

pub(crate) const CLUSTER_UUID: HeaderName = HeaderName::from_static("cluster-uuid");
/// In the path of whatever changes or shows tokens.
const TOKEN_PATH_PART: &str = "/configure/token";
const ANY: HeaderValue = HeaderValue::from_static("*");

/// What the handlers of one node work with.
pub(crate) struct Services {
    pub(crate) world: World,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) storage: Arc<Engine>,
    pub(crate) query: Arc<QueryEngine>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) gate: Gate,
    /// How long a secret lives on that is replaced, when the request does not say.
    pub(crate) token_grace: Duration,
    pub(crate) token_events: TokenEvents,
    pub(crate) failed_attempts: FailedAttempts,
    /// Names the catalog in every response.
    pub(crate) cluster_uuid: HeaderValue,
    pub(crate) version: HeaderValue,
    pub(crate) version_text: String,
    pub(crate) revision: String,
    /// Of this process, drawn at its start.
    pub(crate) process_id: Uuid,
    /// Of a body, before and after decompression.
    pub(crate) request_bytes_max: usize,
    pub(crate) pace: Pace,
    /// The memory of writes on their way to the buffer.
    pub(crate) admission: Arc<Admission>,
    /// Rows to bytes.
    pub(crate) encoders: Encoders,
    /// What is bound to prepared statements.
    pub(crate) bindings: Bindings,
    pub(crate) readiness: Readiness,
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
            self.pace,
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
            self.pace,
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

    let request_id = RequestId::of(&head.headers, &services.world);
    head.extensions.insert(request_id.clone());
    let mut response = if head.method == Method::OPTIONS {
        preflight()
    } else {
        let span = tracing::debug_span!("request", %request_id);
        let answered = answer(&services, &mut head, body, endpoint, peer).instrument(span);
        answered.await.unwrap_or_else(|failure| {
            if failure.status() == StatusCode::FORBIDDEN {
                services.metrics.forbidden();
            }
            CallSummary::of(&head, peer).log_failure(&failure.reason());
            failed(failure, &head)
        })
    };
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, ANY);
    headers.insert(CLUSTER_UUID, services.cluster_uuid.clone());
    headers.insert(REQUEST_ID, request_id.header());
    if head.version != Version::HTTP_11 && head.version != Version::HTTP_10 {
        // It has no meaning elsewhere, and is forbidden there.
        headers.remove(CONNECTION);
    }
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

/// A failure as the client of this request needs it.
fn failed(failure: Failure, head: &Parts) -> Response<ResponseBody> {
    let mut response = failure.into_response();
    match response.status() {
        // Version 1 has its users and passwords.
        StatusCode::UNAUTHORIZED if matches!(head.uri.path(), "/query" | "/write") => {
            let scheme = HeaderValue::from_static(r#"Basic realm="influxdb""#);
            response.headers_mut().append(WWW_AUTHENTICATE, scheme);
        }
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => {
            let methods = router::methods_of(head.uri.path());
            let allowed = methods.and_then(|methods| HeaderValue::try_from(methods).ok());
            let is_routed = router::find(head.method.as_str(), head.uri.path()).is_some();
            if let Some(allowed) = allowed
                && (!is_routed || response.status() == StatusCode::METHOD_NOT_ALLOWED)
            {
                response.headers_mut().insert(ALLOW, allowed);
            }
        }
        _ => {}
    }
    response
}

async fn answer(
    services: &Services,
    head: &mut Parts,
    body: Incoming,
    endpoint: Option<usize>,
    peer: IpAddr,
) -> Result<Response<ResponseBody>, Failure> {
    let caller = admit(services, head, peer)?;
    let endpoint = endpoint.ok_or_else(Failure::no_route)?;
    let Endpoint { path, route, .. } = ENDPOINTS[endpoint];
    let permit = Permit::for_route(route, &caller).map_err(|refusal| {
        if let Some(by) = caller.authenticated()
            && path.contains(TOKEN_PATH_PART)
        {
            let attempt = Refusal::new(Reason::NotAllowed, peer, Protocol::Http).of(&by.token);
            services.token_events.refused(attempt.saying(path));
        }
        match route {
            Route::DeleteRows | Route::WriteV2 => refusal.into_coded(),
            Route::QueryV1 => v1::query::unauthorized(services),
            _ => refusal,
        }
    })?;
    dispatch(services, head, permit, body, route, peer).await
}

/// Lets a request in, or counts and reports why not.
fn admit(services: &Services, head: &mut Parts, peer: IpAddr) -> Result<Caller, Failure> {
    let uri = head.uri.clone();
    let admitted = services.gate.admit(
        &services.catalog,
        uri.path(),
        uri.query(),
        &mut head.headers,
    );
    counted(services, admitted, peer, Protocol::Http).map_err(|turned| match turned {
        Turned::Away(refused) => refused.into(),
        Turned::TooMany(wait) => Failure::too_many_failed_attempts(wait),
    })
}

/// How somebody is not let in.
pub(crate) enum Turned {
    Away(Refused),
    /// After too many invalid tokens; when to come again.
    TooMany(Duration),
}

/// Counts what the gate said, and reports who is not let in. Only invalid tokens count against a client, never valid ones.
pub(crate) fn counted(
    services: &Services,
    admitted: Result<Caller, Refused>,
    peer: IpAddr,
    protocol: Protocol,
) -> Result<Caller, Turned> {
    let count = |outcome| services.metrics.authenticated(outcome);
    let refused = match admitted {
        Ok(caller) => {
            count(match caller {
                Caller::Anyone => Outcome::NotNeeded,
                Caller::Known(_) => Outcome::Accepted,
            });
            return Ok(caller);
        }
        Err(refused) => refused,
    };
    let refusal = match &refused {
        Refused::Unknown => Refusal::new(Reason::UnknownToken, peer, protocol),
        Refused::Expired(token) => Refusal::new(Reason::ExpiredToken, peer, protocol).of(token),
        Refused::Disabled | Refused::Missing | Refused::Unreadable(_) => {
            count(Outcome::from(&refused));
            return Err(Turned::Away(refused));
        }
    };
    match services.failed_attempts.refuse(peer) {
        None => {
            count(Outcome::from(&refused));
            services.token_events.refused(refusal);
            Err(Turned::Away(refused))
        }
        Some(wait) => {
            count(Outcome::TooMany);
            let refusal = Refusal::new(Reason::TooMany, peer, protocol);
            services.token_events.refused(refusal);
            Err(Turned::TooMany(wait))
        }
    }
}

async fn dispatch(
    services: &Services,
    head: &Parts,
    permit: Permit<'_>,
    body: Incoming,
    route: Route,
    peer: IpAddr,
) -> Result<Response<ResponseBody>, Failure> {
    let tokens = v3::token::Call {
        services,
        head,
        caller: permit.caller(),
        peer,
    };
    match route {
        Route::Health => health::health(services, head),
        Route::Ping => health::ping(services, head),
        Route::Ready => health::ready(services, head).await,
        Route::Metrics => Ok(compressed(services.metrics.show()?, head)?),
        Route::OpenApi => Ok(compressed(description::document()?, head)?),
        Route::HeapProfile => Err(health::heap_profile()),
        Route::License => health::license(),
        Route::TelemetrySnapshot => Err(Failure::no_route()),
        Route::WriteLp => v3::write::write_lp(services, head, permit, body).await,
        Route::WriteV2 => v2::write::write_lines(services, head, permit, body).await,
        Route::WriteV1 => v1::write::write_lines(services, head, permit, body).await,
        Route::QuerySql => v3::query::query_sql(services, head, permit, body).await,
        Route::QueryInfluxql => v3::influxql::query_influxql(services, head, permit, body).await,
        Route::QueryV1 => v1::query::query(services, head, permit, body).await,
        Route::ListDatabases => v3::database::list(services, head, permit).await,
        Route::CreateDatabase => v3::database::create(services, head, body).await,
        Route::UpdateDatabase => v3::database::update(services, head, body).await,
        Route::DeleteDatabase => v3::database::delete(services, head, permit).await,
        Route::UndeleteDatabase => v3::database::undelete(services, head, permit, body).await,
        Route::SetDatabaseRetention => v3::retention::set_for_database(services, head).await,
        Route::ClearDatabaseRetention => v3::retention::clear_for_database(services, head).await,
        Route::CreateTable => v3::table::create(services, head, permit, body).await,
        Route::UpdateTable => v3::table::update(services, head, body).await,
        Route::DeleteTable => v3::table::delete(services, head, permit).await,
        Route::UndeleteTable => v3::table::undelete(services, head, permit, body).await,
        Route::SetTableRetention => v3::retention::set_for_table(services, head).await,
        Route::ClearTableRetention => v3::retention::clear_for_table(services, head).await,
        Route::DeleteRows => v2::delete::delete(services, head, permit, body).await,
        Route::CreateOperatorToken => tokens.create_operator(body).await,
        Route::RegenerateOperatorToken => tokens.regenerate_operator(body).await,
        Route::CreateNamedAdminToken => tokens.create_named_admin(body).await,
        Route::CreateToken => tokens.create(body).await,
        Route::ListTokens => tokens.list(),
        Route::DescribeOwnToken => tokens.describe_own(),
        Route::RegenerateToken => tokens.regenerate(body).await,
        Route::ConfirmRotation => tokens.confirm().await,
        Route::DropPreviousSecret => tokens.drop_previous().await,
        Route::DropStagedSecret => tokens.drop_staged().await,
        Route::DeleteToken => tokens.delete().await,
        Route::CancelQuery => v3::queries::cancel(services, head, permit.caller()),
        Route::ShowQueryConcurrencyLimit => v3::query_concurrency_limit::show(services),
        Route::SetQueryConcurrencyLimit => {
            v3::query_concurrency_limit::set(services, head, body).await
        }
        Route::ClearQueryConcurrencyLimit => v3::query_concurrency_limit::clear(services),
        Route::Unbuilt(feature) => Err(Failure::not_implemented(feature)),
    }
}

/// What browsers ask before they ask.
fn preflight() -> Response<ResponseBody> {
    let mut response = response::empty(StatusCode::NO_CONTENT);
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, ANY);
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, ANY);
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("86400"));
    response
}
