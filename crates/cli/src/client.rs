//! The HTTP client of every command but `serve`: where the server is, who we are, what its errors say.
//!
//! Options and texts: spec/cli.md §4.1, §5. Which paths exist is told by the commands that use them.
//! A token goes into one header, marked sensitive, and nowhere else.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, TryStreamExt};
use reqwest::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER,
};
use reqwest::{Certificate, Method, StatusCode, Url};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::credential::{Credential, Secret};
use crate::output::{self, Format};

/// What to do about a refusal when no token was presented.
const NO_TOKEN: &str = " (no token was given: use --token-file, --token or INFLUXDB3_AUTH_TOKEN; a server without any token makes the first one \
     by: influxdb3 create token --admin)";

/// Where SQL is sent to.
pub(crate) const SQL_PATH: &str = "/api/v3/query_sql";

/// Options that say which server is meant and how to reach it.
#[derive(Debug, clap::Args)]
pub(crate) struct ConnectionOptions {
    /// URL of the server
    #[arg(
        short = 'H',
        long,
        env = "INFLUXDB3_HOST_URL",
        value_name = "HOST_URL",
        default_value = "http://127.0.0.1:8181",
        value_parser = parse_host
    )]
    pub(crate) host: Url,

    #[command(flatten)]
    credential: Credential,

    // These two may also stand behind the last word of `show system`.
    /// File with certificates of authorities to trust besides those of the system
    #[arg(long, env = "INFLUXDB3_TLS_CA", value_name = "PATH", global = true)]
    pub(crate) tls_ca: Option<PathBuf>,

    /// Accept any certificate of the server
    #[arg(long, env = "INFLUXDB3_TLS_NO_VERIFY", global = true)]
    pub(crate) tls_no_verify: bool,
}

/// The database that a command is about.
#[derive(Debug, clap::Args)]
pub(crate) struct DatabaseOption {
    /// Name of the database
    #[arg(short, long = "database", env = "INFLUXDB3_DATABASE_NAME")]
    pub(crate) database_name: String,
}

/// An address; one without a scheme, such as `localhost:8181`, is meant to be reached over plain HTTP.
pub(crate) fn parse_host(text: &str) -> Result<Url, String> {
    let has_port = text.rsplit_once(':').is_some_and(|(_, port)| {
        let port = port.trim_end_matches('/');
        !port.is_empty() && port.bytes().all(|digit| digit.is_ascii_digit())
    });
    let url = match has_port && !text.contains("://") {
        true => Url::parse(&format!("http://{text}")),
        false => Url::parse(text),
    };
    url.map_err(|cause| cause.to_string())
}

/// Why a request gave no result. The debug form is shown by `create token` and scripts search it (spec/cli.md §5).
#[derive(Debug)]
pub(crate) enum ClientError {
    /// The server answered with a status that is no success.
    ApiError {
        code: u16,
        message: String,
        // Only the debug form shows it.
        #[allow(dead_code, reason = "part of the debug form that scripts search")]
        error_code: Option<String>,
    },
    RequestSend {
        method: Method,
        url: String,
        source: reqwest::Error,
    },
    BaseUrl(String),
    RequestUrl(String),
    Builder(String),
    Io(String),
    Json(String),
    Bytes(String),
}

impl fmt::Display for ClientError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ApiError { code, message, .. } => match StatusCode::from_u16(*code) {
                Ok(status) => write!(
                    formatter,
                    "server responded with error [{status}]: {message}"
                ),
                Err(_) => write!(formatter, "server responded with error [{code}]: {message}"),
            },
            Self::RequestSend {
                method,
                url,
                source,
            } => {
                let cause = causes(source);
                write!(formatter, "failed to send {method} {url} request: {cause}")?;
                match advice(url, &cause) {
                    Some(advice) => write!(formatter, " ({advice})"),
                    None => Ok(()),
                }
            }
            Self::BaseUrl(cause) => write!(formatter, "base URL error: {cause}"),
            Self::RequestUrl(cause) => write!(formatter, "request URL error: {cause}"),
            Self::Builder(cause) => write!(formatter, "failed to build an http client: {cause}"),
            Self::Io(cause) => write!(formatter, "io error: {cause}"),
            Self::Json(cause) => write!(formatter, "failed to parse JSON response: {cause}"),
            Self::Bytes(cause) => {
                write!(formatter, "failed to read the API response bytes: {cause}")
            }
        }
    }
}

impl std::error::Error for ClientError {}

/// What a request carries.
#[derive(Clone, Debug)]
pub(crate) enum Body {
    Empty,
    Json(Value),
    Text(Bytes),
    Gzip(Bytes),
    /// A multipart form, and what parts it.
    Form {
        boundary: String,
        form: Bytes,
    },
}

/// A server and the way to it.
#[derive(Debug)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: Url,
    authorization: Option<HeaderValue>,
}

impl Client {
    /// `host` overrides the one of the options when given.
    pub(crate) fn new(
        options: &ConnectionOptions,
        host: Option<&Url>,
    ) -> Result<Self, ClientError> {
        let base = host.unwrap_or(&options.host).clone();
        if !matches!(base.scheme(), "http" | "https") {
            return Err(ClientError::BaseUrl(
                "URL scheme is not allowed".to_string(),
            ));
        }
        let is_verified = base.scheme() == "https" && !options.tls_no_verify;
        let mut builder = reqwest::Client::builder()
            .danger_accept_invalid_certs(options.tls_no_verify)
            // Reading the system's certificates takes longer than a whole plain request.
            .tls_built_in_root_certs(is_verified);
        if let Some(path) = &options.tls_ca {
            for authority in authorities(path)? {
                builder = builder.add_root_certificate(authority);
            }
        }
        let http = builder
            .build()
            .map_err(|cause| ClientError::Builder(causes(&cause)))?;
        let token = options.credential.token()?;
        let authorization = token.as_ref().map(bearer).transpose()?;
        if authorization.is_some() && base.scheme() == "http" && !is_local(&base) {
            output::complain(format_args!(
                "warning: the token goes to {} unencrypted; use https where the server has TLS",
                printable(base.clone())
            ));
        }
        Ok(Self {
            http,
            base,
            authorization,
        })
    }

    /// Sends one request; anything but a success status is an error.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        parameters: &[(&str, &str)],
        body: Body,
    ) -> Result<Response, ClientError> {
        self.send_with(method, path, parameters, &[], body).await
    }

    /// The path of what is called `name` below another path.
    pub(crate) fn path(&self, parent: &str, name: &str) -> Result<String, ClientError> {
        // These two would lead to another path altogether.
        if matches!(name, "" | "." | "..") {
            return Err(ClientError::RequestUrl(format!(
                "{name:?} cannot stand in a path"
            )));
        }
        let mut url = self.base.clone();
        url.set_path(parent);
        url.path_segments_mut()
            .map_err(|()| ClientError::BaseUrl("URL has no path".to_string()))?
            .push(name);
        Ok(url.path().to_string())
    }

    /// Asks for the rows of an SQL statement.
    pub(crate) async fn sql(
        &self,
        database: &str,
        text: &str,
        format: Format,
    ) -> Result<Response, ClientError> {
        let body = json!({ "db": database, "q": text, "format": format.wire_name() });
        self.send(Method::POST, SQL_PATH, &[], Body::Json(body))
            .await
    }

    /// As [`Client::send`], with further headers.
    pub(crate) async fn send_with(
        &self,
        method: Method,
        path: &str,
        parameters: &[(&str, &str)],
        headers: &[(HeaderName, &str)],
        body: Body,
    ) -> Result<Response, ClientError> {
        let sent = self.try_once(method, path, parameters, headers, body).await;
        sent.map_err(|failed| failed.error)
    }

    /// As [`Client::send_with`], for those who may try again.
    pub(crate) async fn try_once(
        &self,
        method: Method,
        path: &str,
        parameters: &[(&str, &str)],
        headers: &[(HeaderName, &str)],
        body: Body,
    ) -> Result<Response, FailedRequest> {
        let mut url = self
            .base
            .join(path)
            .map_err(|cause| ClientError::RequestUrl(cause.to_string()))?;
        if !parameters.is_empty() {
            url.query_pairs_mut().extend_pairs(parameters);
        }
        let mut request = self.http.request(method.clone(), url.clone());
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization.clone());
        }
        for (name, text) in headers {
            let value = HeaderValue::try_from(*text).map_err(|_| {
                ClientError::Builder(format!("{text:?} cannot stand in the header {name}"))
            })?;
            request = request.header(name, value);
        }
        request = match body {
            Body::Empty => request,
            Body::Json(value) => request
                .header(CONTENT_TYPE, "application/json")
                .body(value.to_string()),
            Body::Text(bytes) => request.body(bytes),
            Body::Gzip(bytes) => request.header(CONTENT_ENCODING, "gzip").body(bytes),
            Body::Form { boundary, form } => {
                let kind = format!("multipart/form-data; boundary={boundary}");
                request.header(CONTENT_TYPE, kind).body(form)
            }
        };
        let response = request
            .send()
            .await
            .map_err(|cause| ClientError::RequestSend {
                method,
                url: printable(url),
                source: cause.without_url(),
            })?;
        if response.status().is_success() {
            return Ok(Response(response));
        }
        let retry_after = retry_after(&response);
        let mut error = api_error(response).await;
        if let ClientError::ApiError {
            code: 401, message, ..
        } = &mut error
            && self.authorization.is_none()
        {
            message.push_str(NO_TOKEN);
        }
        Err(FailedRequest { error, retry_after })
    }
}

/// A request without a result, and how long the server asks to wait before the next.
#[derive(Debug)]
pub(crate) struct FailedRequest {
    pub(crate) error: ClientError,
    pub(crate) retry_after: Option<Duration>,
}

impl From<ClientError> for FailedRequest {
    fn from(error: ClientError) -> Self {
        Self {
            error,
            retry_after: None,
        }
    }
}

/// In seconds; a date, which nobody here sends, says nothing.
fn retry_after(response: &reqwest::Response) -> Option<Duration> {
    let told = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
    told.trim().parse().ok().map(Duration::from_secs)
}

/// An answer with a success status.
#[derive(Debug)]
pub(crate) struct Response(reqwest::Response);

impl Response {
    pub(crate) fn status(&self) -> StatusCode {
        self.0.status()
    }

    pub(crate) async fn text(self) -> Result<String, ClientError> {
        let bytes = self.0.bytes().await.map_err(read_fault)?;
        match String::from_utf8(bytes.into()) {
            Ok(text) => Ok(text),
            Err(cause) => Err(ClientError::Bytes(cause.to_string())),
        }
    }

    /// The body as it arrives.
    pub(crate) fn stream(self) -> impl Stream<Item = Result<Bytes, ClientError>> {
        self.0.bytes_stream().map_err(read_fault)
    }

    pub(crate) async fn json<T: serde::de::DeserializeOwned>(self) -> Result<T, ClientError> {
        let bytes = self.0.bytes().await.map_err(read_fault)?;
        // The parser's message names a position and a kind of value, never the value of a token.
        serde_json::from_slice(&bytes).map_err(|cause| ClientError::Json(cause.to_string()))
    }
}

fn read_fault(cause: reqwest::Error) -> ClientError {
    ClientError::Bytes(causes(&cause.without_url()))
}

async fn api_error(response: reqwest::Response) -> ClientError {
    #[derive(Deserialize)]
    struct Told {
        error_code: Option<String>,
        message: Option<String>,
    }

    let code = response.status().as_u16();
    let body = match response.bytes().await {
        Ok(body) => String::from_utf8_lossy(&body).into_owned(),
        Err(cause) => return read_fault(cause),
    };
    let told = serde_json::from_str::<Told>(&body).ok();
    let (error_code, message) = told.map_or((None, None), |told| (told.error_code, told.message));
    ClientError::ApiError {
        code,
        message: message.unwrap_or(body),
        error_code,
    }
}

fn bearer(token: &Secret) -> Result<HeaderValue, ClientError> {
    let mut value = HeaderValue::try_from(format!("Bearer {}", token.expose())).map_err(|_| {
        ClientError::Builder("the token has characters that a header cannot carry".to_string())
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// The certificates in a file: one in DER when its name says so, otherwise any number in PEM.
fn authorities(path: &Path) -> Result<Vec<Certificate>, ClientError> {
    let bytes = std::fs::read(path)
        .map_err(|cause| ClientError::Io(format!("{}: {cause}", path.display())))?;
    let is_der = path.extension().is_some_and(|extension| extension == "der");
    let fault = |told: &str| ClientError::Builder(format!("{}: {told}", path.display()));
    let found = match is_der {
        true => Certificate::from_der(&bytes).map(|certificate| vec![certificate]),
        false => Certificate::from_pem_bundle(&bytes),
    };
    let found = found.map_err(|cause| fault(&causes(&cause)))?;
    if found.is_empty() {
        return Err(fault(
            "no certificate in it, it should be PEM with BEGIN CERTIFICATE, or DER and named .der",
        ));
    }
    Ok(found)
}

/// Whether nobody else's network lies between.
fn is_local(url: &Url) -> bool {
    match url.host_str() {
        Some(host) if host == "localhost" || host.ends_with(".localhost") => true,
        Some(host) => host
            .trim_matches(['[', ']'])
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback()),
        None => false,
    }
}

/// What to do about a connection that failed for want of trust, or by the wrong scheme.
fn advice(url: &str, cause: &str) -> Option<&'static str> {
    if cause.contains("invalid peer certificate: UnknownIssuer") {
        return Some("name its authority with --tls-ca FILE");
    }
    if url.starts_with("https:") && cause.contains("InvalidContentType") {
        return Some("does this server speak TLS? if not, ask with http");
    }
    let is_no_http = [
        "invalid HTTP version parsed",
        "connection closed before message completed",
    ]
    .iter()
    .any(|told| cause.contains(told));
    if url.starts_with("http:") && is_no_http {
        return Some("does this server speak TLS? if so, ask with https");
    }
    if cause.contains("Connection refused") {
        return Some("is a server running there?");
    }
    None
}

/// The address without a name and password that may stand in it.
fn printable(mut url: Url) -> String {
    // Both fail only for addresses that cannot have them.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.to_string()
}

/// An error with everything that led to it, on one line.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let told = cause.to_string();
        if !text.ends_with(&told) {
            text = format!("{text}: {told}");
        }
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_shows_nothing_of_itself() {
        let secret = Secret::from("apiv3_abc".to_string());
        let header = bearer(&secret).expect("plain letters");
        assert!(!format!("{header:?}").contains("abc"));
        let broken = bearer(&Secret::from("apiv3_abc\n".to_string())).expect_err("a line break");
        assert!(!format!("{broken} {broken:?}").contains("abc"));
    }

    #[test]
    fn the_texts_of_api_errors() {
        let error = ClientError::ApiError {
            code: 409,
            message: "token name already exists, _admin".to_string(),
            error_code: None,
        };
        assert_eq!(
            error.to_string(),
            "server responded with error [409 Conflict]: token name already exists, _admin"
        );
        assert_eq!(
            format!("{error:?}"),
            "ApiError { code: 409, message: \"token name already exists, _admin\", error_code: None }"
        );
    }

    #[test]
    fn addresses_may_lack_a_scheme() {
        for (text, expected) in [
            ("http://db:1", "http://db:1/"),
            ("https://db", "https://db/"),
            ("localhost:8181", "http://localhost:8181/"),
            ("127.0.0.1:8181/", "http://127.0.0.1:8181/"),
            ("[::1]:8181", "http://[::1]:8181/"),
            ("ftp://db", "ftp://db/"),
        ] {
            let url = parse_host(text).expect(text);
            assert_eq!(url.as_str(), expected);
        }
        for text in ["nonsense", "", "db:99999", "http://:1"] {
            parse_host(text).expect_err(text);
        }
    }

    #[test]
    fn advice_fits_the_cause() {
        let refused = "error trying to connect: Connection refused (os error 111)";
        assert_eq!(
            advice("http://a/", refused),
            Some("is a server running there?")
        );
        let closed = "connection closed before message completed";
        assert!(advice("http://a/", closed).is_some_and(|advice| advice.ends_with("https")));
        assert_eq!(advice("https://a/", closed), None);
        let alert = "received corrupt message of type InvalidContentType";
        assert!(advice("https://a/", alert).is_some_and(|advice| advice.ends_with("http")));
    }

    #[test]
    fn which_addresses_are_local() {
        for (address, expected) in [
            ("http://localhost:1", true),
            ("http://db.localhost", true),
            ("http://127.0.0.2", true),
            ("http://[::1]:1", true),
            ("http://10.0.0.1", false),
            ("http://db.example.org", false),
            ("http://localhost.example.org", false),
        ] {
            let url = Url::parse(address).expect(address);
            assert_eq!(is_local(&url), expected, "{address}");
        }
    }

    #[test]
    fn addresses_are_printed_without_passwords() {
        let url = Url::parse("http://name:password@localhost:1/a?b=c").expect("an address");
        assert_eq!(printable(url), "http://localhost:1/a?b=c");
    }
}
