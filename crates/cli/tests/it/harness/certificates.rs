//! Certificates for servers over TLS: an authority of the test's own, what it signs, and clients that trust it alone.
//!
//! They are valid from 1975 to 4096 unless a test asks for one that has ended, so that nothing depends on the day.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion};
use tempfile::TempDir;

/// What a certificate of [`Certificates::sign`] is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leaf {
    /// `localhost` and the loopback.
    Good,
    /// The same, but its time is over.
    Expired,
    /// A host of another name.
    Stranger,
}

/// An authority and the files of one server: `server.pem`, `server.key`, and `authority.pem` and `.der` for clients.
pub(crate) struct Certificates {
    folder: TempDir,
    issuer: Issuer<'static, KeyPair>,
    authority: CertificateDer<'static>,
}

impl Certificates {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut parameters = CertificateParams::default();
        let name = &mut parameters.distinguished_name;
        name.push(DnType::CommonName, "authority of a test");
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = parameters.self_signed(&key).expect("a certificate");
        let folder = super::temporary_folder();
        let file = |name: &str| folder.path().join(name);
        std::fs::write(file("authority.pem"), authority.pem()).expect("a file");
        std::fs::write(file("authority.der"), authority.der()).expect("a file");
        let made = Self {
            issuer: Issuer::new(parameters, key),
            authority: authority.der().clone(),
            folder,
        };
        made.install(Leaf::Good);
        made
    }

    pub(crate) fn file(&self, name: &str) -> String {
        let path = self.path(name);
        path.to_str().expect("a plain path").to_string()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("a file");
    }

    /// Another certificate and its key, in PEM.
    pub(crate) fn sign(&self, leaf: Leaf) -> (String, String) {
        let names = match leaf {
            Leaf::Stranger => vec!["elsewhere.test".to_string()],
            Leaf::Good | Leaf::Expired => vec!["localhost".to_string(), "127.0.0.1".to_string()],
        };
        let mut parameters = CertificateParams::new(names).expect("plain names");
        if leaf == Leaf::Expired {
            parameters.not_after = rcgen::date_time_ymd(2020, 1, 1);
        }
        let key = KeyPair::generate().expect("a key");
        let certificate = parameters
            .signed_by(&key, &self.issuer)
            .expect("a certificate");
        (certificate.pem(), key.serialize_pem())
    }

    /// Puts another certificate and its key where the server reads them.
    pub(crate) fn install(&self, leaf: Leaf) {
        let (certificate, key) = self.sign(leaf);
        self.write("server.pem", &certificate);
        self.write("server.key", &key);
    }

    /// The options of a server that uses them.
    pub(crate) fn serve_options(&self) -> [String; 4] {
        [
            "--tls-cert".to_string(),
            self.file("server.pem"),
            "--tls-key".to_string(),
            self.file("server.key"),
        ]
    }

    /// A server of the test's own with the installed certificate.
    pub(crate) fn server(&self) -> ServerConfig {
        let certificate = CertificateDer::from_pem_file(self.path("server.pem"));
        let key = PrivateKeyDer::from_pem_file(self.path("server.key"));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions that exist")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.expect("PEM")], key.expect("PEM"))
            .expect("a key that belongs to the certificate")
    }

    /// A client that speaks these versions and protocols, and trusts the authority.
    pub(crate) fn client(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        protocols: &[&str],
    ) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.clone()).expect("an authority");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut client = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .expect("versions that exist")
            .with_root_certificates(roots)
            .with_no_client_auth();
        client.alpn_protocols = protocols
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect();
        client
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Certificates")
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}
