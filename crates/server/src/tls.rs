//! TLS: the handshake that begins a connection, and the certificate behind it, which can be replaced while the node runs.
//!
//! Certificate and key are two PEM files, read at start, whenever they change, and when somebody asks. What was read last and was good
//! serves; running connections keep what they began with. Which versions and protocols: spec/http-api.md §1, spec/server-config.md §8.2.
//! Not here: what is said on a connection (`http/connections`, `recovery`), the client's side (`cli`).

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use runtime::Tasks;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{InconsistentKeys, ServerConfig, SupportedProtocolVersion, version};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;
use tokio_util::sync::CancellationToken;

use crate::{Error, TlsSettings, TlsVersion};

/// Longest wait for a handshake to be complete.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// How often the files are looked at.
const WATCH_INTERVAL: Duration = Duration::from_secs(2);

/// What is offered inside TLS, best first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// What a request without TLS is answered.
const NOT_PLAIN: &str = "this port speaks TLS: use https instead of http";

/// Most bytes of such a request that are read, so that the answer arrives before the connection closes.
const PLAIN_BYTES_MAX: u64 = 1 << 20;

/// What requests come on.
pub(crate) type Stream = Either<TcpStream, Box<TlsStream<TcpStream>>>;

/// Prepares what was accepted for requests; `None` when the peer does not manage the handshake or `stop` comes first.
///
/// Takes as long as the peer likes, up to a limit: never to be awaited where connections are accepted.
pub(crate) async fn greet(
    tls: Option<&Tls>,
    stream: TcpStream,
    peer: SocketAddr,
    stop: &CancellationToken,
) -> Option<Stream> {
    if let Err(fault) = stream.set_nodelay(true) {
        tracing::debug!(%peer, %fault, "cannot turn off delayed sending");
    }
    let Some(tls) = tls else {
        return Some(Either::Left(stream));
    };
    let handshake = tokio::time::timeout(HANDSHAKE_TIMEOUT, tls.handshake(stream));
    let shaken = tokio::select! {
        shaken = handshake => shaken,
        () = stop.cancelled() => return None,
    };
    match shaken {
        Ok(Ok(stream)) => Some(Either::Right(Box::new(stream))),
        Ok(Err(fault)) => {
            tracing::debug!(%peer, %fault, "a TLS handshake failed");
            None
        }
        Err(_) => {
            tracing::debug!(%peer, "a TLS handshake took longer than {HANDSHAKE_TIMEOUT:?}");
            None
        }
    }
}

/// The certificate of all ports of one node.
pub(crate) struct Tls {
    settings: TlsSettings,
    /// For handshakes from now on. A session that began with an older one is not resumed.
    current: RwLock<Arc<ServerConfig>>,
    look: Mutex<Look>,
}

/// What the files were when they were last read.
struct Look {
    found: Result<Files, String>,
    /// Whether that serves, or was complained about.
    is_settled: bool,
}

impl Tls {
    /// Reads certificate and key. Blocking.
    ///
    /// Errors are of kind `Invalid`, and name the file and what is wrong with it.
    pub(crate) fn open(settings: TlsSettings) -> Result<Self, Error> {
        let files = Files::read(&settings)?;
        let config = files.load(&settings)?;
        Ok(Self {
            settings,
            current: RwLock::new(Arc::new(config)),
            look: Mutex::new(Look {
                found: Ok(files),
                is_settled: true,
            }),
        })
    }

    /// Looks at the files now and then until the node stops.
    pub(crate) fn watch(self: &Arc<Self>, tasks: &Tasks) {
        let tls = Arc::clone(self);
        let looking = tasks.clone();
        tasks.spawn("certificate watch", async move {
            while looking.pause(WATCH_INTERVAL).await {
                tls.look_in_background(&looking, false).await;
            }
        });
    }

    /// Reads the files now, changed or not; says in the log what came of it.
    pub(crate) async fn reload(self: &Arc<Self>, tasks: &Tasks) {
        self.look_in_background(tasks, true).await;
    }

    async fn look_in_background(self: &Arc<Self>, tasks: &Tasks, is_asked_for: bool) {
        let tls = Arc::clone(self);
        if let Err(fault) = tasks.blocking(move || tls.look(is_asked_for)).await {
            tracing::error!(%fault, "cannot look at the TLS certificate");
        }
    }

    fn look(&self, is_asked_for: bool) {
        let mut look = self.look.lock();
        let found = Files::read(&self.settings).map_err(|fault| fault.to_string());
        let is_same = look.found == found;
        if is_same && look.is_settled && !is_asked_for {
            return;
        }
        let loaded = match &found {
            Ok(files) => files
                .load(&self.settings)
                .map_err(|fault| fault.to_string()),
            Err(fault) => Err(fault.clone()),
        };
        look.found = found;
        look.is_settled = match loaded {
            Ok(config) => {
                *self.current.write() = Arc::new(config);
                tracing::info!(
                    file = %self.settings.certificate_file.display(),
                    is_same,
                    "TLS certificate read again: it serves new connections"
                );
                true
            }
            Err(fault) if is_same || is_asked_for => {
                tracing::error!(
                    fault,
                    "cannot take the new TLS certificate, the old one stays"
                );
                true
            }
            // One file may be there and the other on its way: a fault is one when it stays.
            Err(_) => false,
        };
    }

    async fn handshake(&self, mut stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let mut first = [0];
        let length = stream.peek(&mut first).await?;
        if length == 1 && first[0].is_ascii_uppercase() {
            refuse_plain(&mut stream).await?;
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the peer speaks HTTP without TLS",
            ));
        }
        let config = Arc::clone(&self.current.read());
        TlsAcceptor::from(config).accept(stream).await
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Tls")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// Tells somebody who sent a request in the clear what to do, and lets them go.
async fn refuse_plain(stream: &mut TcpStream) -> io::Result<()> {
    let answer = format!(
        "HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{NOT_PLAIN}",
        NOT_PLAIN.len()
    );
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await?;
    // What is left unread when a connection closes would take the answer away from the peer.
    let mut rest = stream.take(PLAIN_BYTES_MAX);
    tokio::io::copy(&mut rest, &mut tokio::io::sink()).await?;
    Ok(())
}

/// The two files as they were read; they may be one and the same.
#[derive(PartialEq, Eq)]
struct Files {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl Files {
    fn read(settings: &TlsSettings) -> Result<Self, Error> {
        let read = |what: &str, path: &Path| {
            std::fs::read(path).map_err(|cause| {
                Error::invalid(format!(
                    "cannot read TLS {what} {}: {cause}",
                    path.display()
                ))
            })
        };
        Ok(Self {
            certificate: read("certificate", &settings.certificate_file)?,
            key: read("key", &settings.key_file)?,
        })
    }

    fn load(&self, settings: &TlsSettings) -> Result<ServerConfig, Error> {
        let certificate_file = settings.certificate_file.display();
        let key_file = settings.key_file.display();
        let certificates = self.certificates().map_err(|fault| {
            Error::invalid(format!("TLS certificate {certificate_file}: {fault}"))
        })?;
        let key = self
            .private_key()
            .map_err(|fault| Error::invalid(format!("TLS key {key_file}: {fault}")))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions(settings.minimum_version))
            .map_err(|cause| Error::internal(format!("cannot speak TLS: {cause}")))?;
        let built = builder
            .with_no_client_auth()
            .with_single_cert(certificates, key);
        let mut config = built.map_err(|cause| {
            Error::invalid(match cause {
                rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => format!(
                    "TLS key {key_file} does not belong to the first certificate in {certificate_file}"
                ),
                rustls::Error::InvalidCertificate(_) => {
                    format!("cannot use TLS certificate {certificate_file}: {cause}")
                }
                cause => format!(
                    "cannot use TLS certificate {certificate_file} with key {key_file}: {cause}"
                ),
            })
        })?;
        config.alpn_protocols = PROTOCOLS.iter().map(|name| name.to_vec()).collect();
        Ok(config)
    }

    fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, String> {
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&self.certificate).collect();
        let found = found.map_err(|fault| explain(&fault))?;
        if !found.is_empty() {
            return Ok(found);
        }
        Err(match PrivateKeyDer::from_pem_slice(&self.certificate) {
            Ok(_) => "a private key and no certificate, are the two files in each other's place?",
            Err(_) => "no certificate in it, it should be PEM with BEGIN CERTIFICATE",
        }
        .to_string())
    }

    fn private_key(&self) -> Result<PrivateKeyDer<'static>, String> {
        PrivateKeyDer::from_pem_slice(&self.key).map_err(|fault| match fault {
            _ if self.has_locked_key() => {
                "it is locked by a password, which nobody is there to type; store it without one"
                    .to_string()
            }
            pem::Error::NoItemsFound => {
                "no private key in it, it should be PEM with BEGIN PRIVATE KEY".to_string()
            }
            fault => explain(&fault),
        })
    }

    fn has_locked_key(&self) -> bool {
        const MARKS: [&[u8]; 2] = [b"BEGIN ENCRYPTED PRIVATE KEY", b"Proc-Type: 4,ENCRYPTED"];
        let holds = |mark: &[u8]| self.key.windows(mark.len()).any(|window| window == mark);
        MARKS.into_iter().any(holds)
    }
}

/// What is wrong with a PEM file, in words that repeat nothing of it.
fn explain(fault: &pem::Error) -> String {
    match fault {
        pem::Error::MissingSectionEnd { .. } => "a section has no END line",
        pem::Error::IllegalSectionStart { .. } => "a BEGIN line is broken",
        pem::Error::Base64Decode(_) => "a section is not base64",
        _ => "it is no PEM file",
    }
    .to_string()
}

static NEWEST_ALONE: [&SupportedProtocolVersion; 1] = [&version::TLS13];

fn versions(minimum: TlsVersion) -> &'static [&'static SupportedProtocolVersion] {
    match minimum {
        TlsVersion::Tls12 => rustls::ALL_VERSIONS,
        TlsVersion::Tls13 => &NEWEST_ALONE,
    }
}
