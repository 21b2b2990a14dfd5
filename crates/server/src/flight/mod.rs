//! Arrow Flight and Flight SQL: gRPC on the same port as HTTP (spec/flight.md).
//!
//! ```text
//! connections ─> mod (who, deadline, compression) ─> service (which call) ─┬─> ticket, prepared      what is asked for
//!                                                                          ├─> browse, sql_info, …   what there is
//!                                                                          └─> rows ─> wire          batches as messages
//! ```
//! [`answer`] takes one call from its head to its trailers. Not here: planning and running statements (`query`), connections
//! (`http/connections`), which tokens are valid (`catalog`).

mod bindings;

mod body;

mod browse;

mod caller;

mod cancel;

mod compression;

mod headers;

mod prepared;

mod rows;

mod service;

mod session;

mod sql_info;

mod status;

mod ticket;

mod trailers;

mod type_info;

mod wire;

use std::net::IpAddr;
use std::sync::Arc;

use arrow_flight::flight_service_server::FlightServiceServer;
use hyper::body::{Body, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::http::Extensions;
use hyper::http::request::Parts;
use hyper::{Request, Response, StatusCode, Version};
use tonic::Status;
use tonic::codec::CompressionEncoding;
use tonic::codegen::Service;

pub(crate) use self::bindings::Bindings;
pub(crate) use self::body::CallBody;
use self::compression::GzipMessages;
use self::headers::{CallOptions, MessageCompression};
use self::service::{Call, Flight};
use self::status::status_of;
use self::trailers::Asked;
use crate::http::error::{CallSummary, Failure};
use crate::http::metrics::CallMeter;
use crate::http::{CLUSTER_UUID, Services};
use crate::origin;

/// The most bytes of one message from a client, unpacked.
const MESSAGE_BYTES_MAX: usize = 4 << 20;

/// The one call that needs no token.
const HANDSHAKE: &str = "/arrow.flight.protocol.FlightService/Handshake";

/// Where a request goes, by its head.
pub(crate) enum Protocol {
    Http,
    Grpc,
    /// gRPC that has lost its HTTP/2 on the way, or never had it.
    Broken(Failure),
}

/// Tells calls from requests.
pub(crate) fn protocol(version: Version, headers: &HeaderMap) -> Protocol {
    let content_type = headers
        .get(CONTENT_TYPE)
        .map(|value| value.as_bytes())
        .unwrap_or_default();
    let Some(kind) = content_type.strip_prefix(b"application/grpc") else {
        return Protocol::Http;
    };
    if kind.starts_with(b"-web") {
        return Protocol::Broken(Failure::text(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "gRPC-Web is not supported: use gRPC over HTTP/2, or a proxy that translates",
        ));
    }
    match version {
        Version::HTTP_2 => Protocol::Grpc,
        _ => Protocol::Broken(Failure::bad_request(
            "gRPC needs HTTP/2, and this request came over HTTP/1: a proxy between client and server probably speaks only HTTP/1",
        )),
    }
}

/// What the messages of an answer are compressed with.
const ENCODING: &str = "grpc-encoding";

/// Answers one call; whatever goes wrong becomes a status.
pub(crate) async fn answer(
    services: Arc<Services>,
    request: Request<Incoming>,
    peer: IpAddr,
) -> Response<CallBody> {
    let (mut head, content) = request.into_parts();
    let mut meter = CallMeter::start(&services.metrics, head.uri.path());
    let mut deadline = headers::timeout(&head.headers)
        .map(tokio::time::sleep)
        .map(Box::pin);
    let asked = Arc::new(Asked::default());
    let admitted = admit(&services, &mut head, &asked, peer);
    let summary = CallSummary::of(&head, peer);
    let is_gzip = compression(&head.extensions).is_gzip(&head.headers);
    let mut response = match admitted {
        Err(refused) => refused.into_http(),
        Ok(()) => {
            let answered = call(&services, Request::from_parts(head, content));
            match &mut deadline {
                None => answered.await,
                Some(deadline) => tokio::select! {
                    response = answered => response,
                    () = deadline => body::deadline_exceeded().into_http(),
                },
            }
        }
    };
    let cluster_uuid = services.cluster_uuid.clone();
    response.headers_mut().insert(CLUSTER_UUID, cluster_uuid);
    // A call that ends with its head has its status there.
    if let Some(status) = Status::from_header_map(response.headers()) {
        meter.ended(&status);
        body::log(&summary, &status);
    }
    let gzip = (is_gzip && !response.body().is_end_stream()).then(GzipMessages::default);
    if gzip.is_some() {
        let coding = HeaderValue::from_static("gzip");
        response.headers_mut().insert(ENCODING, coding);
    }
    response.map(|inner| CallBody::new(inner, gzip, deadline, meter, summary, asked))
}

/// Leaves in the head what the service has to know of the call; a handshake is let in unknown, as it is there to fetch a token.
fn admit(
    services: &Services,
    head: &mut Parts,
    asked: &Arc<Asked>,
    peer: IpAddr,
) -> Result<(), Status> {
    if head.uri.path() == HANDSHAKE {
        return Ok(());
    }
    let caller = caller::admit(services, &mut head.headers, peer)?;
    let origin = origin::read(&head.headers, &caller).map_err(|error| status_of(&error))?;
    let call = Call {
        caller,
        options: CallOptions::read(&head.headers)?,
        origin,
        asked: Arc::clone(asked),
    };
    head.extensions.insert(Arc::new(call));
    Ok(())
}

/// What the call says that it wants its answer compressed with.
fn compression(extensions: &Extensions) -> MessageCompression {
    let call = extensions.get::<Arc<Call>>();
    call.map_or(MessageCompression::default(), |call| {
        call.options.message_compression
    })
}

async fn call(services: &Arc<Services>, request: Request<Incoming>) -> Response<tonic::body::Body> {
    let compression = compression(request.extensions());
    let server = FlightServiceServer::new(Flight::new(Arc::clone(services)))
        .accept_compressed(CompressionEncoding::Gzip)
        .accept_compressed(CompressionEncoding::Zstd)
        .max_decoding_message_size(MESSAGE_BYTES_MAX);
    // What the client does not offer to read is not used in any case.
    let mut server = match compression {
        MessageCompression::Offered | MessageCompression::OnlyZstd => {
            server.send_compressed(CompressionEncoding::Zstd)
        }
        MessageCompression::OnlyGzip | MessageCompression::Nothing => server,
    };
    match server.call(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_told_by_type_and_version() {
        let of = |version, kind: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            if let Some(kind) = kind {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
            }
            match protocol(version, &headers) {
                Protocol::Http => "http".to_string(),
                Protocol::Grpc => "grpc".to_string(),
                Protocol::Broken(failure) => failure.status().as_u16().to_string(),
            }
        };
        assert_eq!(of(Version::HTTP_2, Some("application/grpc")), "grpc");
        assert_eq!(of(Version::HTTP_2, Some("application/grpc+proto")), "grpc");
        assert_eq!(of(Version::HTTP_2, Some("application/json")), "http");
        assert_eq!(of(Version::HTTP_2, None), "http");
        assert_eq!(of(Version::HTTP_11, Some("application/grpc")), "400");
        assert_eq!(
            of(Version::HTTP_2, Some("application/grpc-web+proto")),
            "415"
        );
        assert_eq!(of(Version::HTTP_11, Some("application/grpc-web")), "415");
        assert_eq!(of(Version::HTTP_11, Some("text/plain")), "http");
    }
}
