//! TLS, from both sides: who is let in by which version and protocol, what a bad start and a bad handshake come to, what clients
//! trust, and a certificate that is replaced while the server runs.
//!
//! That everything about tokens holds over TLS as well is shown in `tokens`.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use rustls::version::{TLS12, TLS13};
use rustls::{ProtocolVersion, SupportedProtocolVersion};

use crate::harness::certificates::{Certificates, Leaf};
use crate::harness::http::Connection;
use crate::harness::{Server, Setup, Transport, binary, eventually, influxdb3, run};
use crate::harness::{temporary_folder, token_in};

fn server(arguments: &[&str]) -> Server {
    Server::start(Setup::memory().over(Transport::Tls).with(arguments))
}

fn shake_hands(
    server: &Server,
    version: &'static SupportedProtocolVersion,
    protocols: &[&str],
) -> std::io::Result<Connection> {
    let client = server.certificates().client(&[version], protocols);
    Connection::open_tls(server.address(), client)
}

/// What certificate a new connection is shown.
fn shown(server: &Server) -> Vec<u8> {
    let connection = server.connect();
    let certificates = connection.tls().peer_certificates().expect("a certificate");
    certificates[0].to_vec()
}

#[test]
fn versions() {
    let speaks = |server: &Server, version| {
        let mut connection =
            shake_hands(server, version, &[]).map_err(|fault| fault.to_string())?;
        let answer = connection
            .ask("GET", "/health", None, b"")
            .expect("an answer");
        assert_eq!(answer.status, 200);
        Ok(connection.tls().protocol_version().expect("it is over"))
    };
    for arguments in [&[][..], &["--tls-minimum-version", "tls-1.2"]] {
        let server = server(arguments);
        assert_eq!(speaks(&server, &TLS12), Ok(ProtocolVersion::TLSv1_2));
        assert_eq!(speaks(&server, &TLS13), Ok(ProtocolVersion::TLSv1_3));
        assert_eq!(server.cli(&["show", "databases"], &[]).code, 0);
    }
    let server = server(&["--tls-minimum-version", "tls-1.3"]);
    let refused: Result<_, String> = speaks(&server, &TLS12);
    let refused = refused.expect_err("too old a version");
    assert!(refused.contains("ProtocolVersion"), "{refused}");
    assert_eq!(speaks(&server, &TLS13), Ok(ProtocolVersion::TLSv1_3));
    assert_eq!(server.cli(&["show", "databases"], &[]).code, 0);
}

#[test]
fn protocols() {
    let server = server(&[]);
    let agreed = |protocols: &[&str]| {
        let connection = shake_hands(&server, &TLS13, protocols).map_err(|fault| fault.to_string());
        connection.map(|connection| {
            let agreed = connection.tls().alpn_protocol();
            agreed.map(|name| String::from_utf8_lossy(name).into_owned())
        })
    };
    assert_eq!(agreed(&["http/1.1", "h2"]), Ok(Some("h2".to_string())));
    assert_eq!(agreed(&["http/1.1"]), Ok(Some("http/1.1".to_string())));
    assert_eq!(agreed(&[]), Ok(None));
    let refused = agreed(&["smtp"]).expect_err("nothing in common");
    assert!(refused.contains("NoApplicationProtocol"), "{refused}");
    // Whoever speaks HTTP/2 is answered in it: settings, and the receipt of ours.
    let mut connection = shake_hands(&server, &TLS13, &["h2"]).expect("a handshake");
    let empty_settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    let greeting = [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &empty_settings].concat();
    connection.send(&greeting).expect("sends");
    let head = connection.exactly(9).expect("a frame");
    assert_eq!(head[3], 4, "{head:?}");
}

#[test]
fn a_bad_handshake_costs_one_connection() {
    let server = server(&[]);
    let dial = || {
        let stream = TcpStream::connect(server.address()).expect("a connection");
        let patience = Some(Duration::from_secs(60));
        stream.set_read_timeout(patience).expect("a timeout");
        stream
    };
    // These never say anything, and one stops in the middle.
    let silent: Vec<TcpStream> = (0..50).map(|_| dial()).collect();
    let mut half = dial();
    half.write_all(&[22, 3, 1, 2, 0, 1]).expect("sends");
    let mut wrong = dial();
    wrong.write_all(&[22; 600]).expect("sends");
    let mut rest = Vec::new();
    // A reset is as good as an end.
    let _ = wrong.read_to_end(&mut rest);
    drop(dial());
    let answer = server.connect().ask("GET", "/health", None, b"");
    assert_eq!(answer.expect("an answer").status, 200);
    // Who says nothing is let go of some time; nobody who is left holds up the end.
    let mut silent = silent;
    let end = silent[0]
        .read(&mut [0])
        .expect("no patience lasts that long");
    assert_eq!(end, 0);
    let late = dial();
    server.stop();
    drop((silent, half, late));
}

#[test]
fn a_request_without_tls_is_told_so() {
    let server = server(&[]);
    let mut plain = Connection::open(server.address()).expect("a connection");
    let body = vec![b'x'; 100_000];
    let answer = plain.ask("POST", "/api/v3/write_lp?db=d", None, &body);
    let answer = answer.expect("an answer");
    assert_eq!(answer.status, 400);
    assert_eq!(
        answer.text(),
        "this port speaks TLS: use https instead of http"
    );
    let url = format!("http://{}", server.address());
    let told = influxdb3(&["show", "databases", "--host", &url]).failed(1);
    assert!(
        told.contains("[400 Bad Request]: this port speaks TLS"),
        "{told}"
    );
    // And the other way round.
    let server = Server::start(Setup::memory());
    let url = format!("https://{}", server.address());
    let told = influxdb3(&["show", "databases", "--host", &url]).failed(1);
    assert!(
        told.contains("(does this server speak TLS? if not, ask with http)"),
        "{told}"
    );
}

#[test]
fn starts_that_fail() {
    let certificates = Certificates::new();
    let (_, other_key) = certificates.sign(Leaf::Good);
    certificates.write("other.key", &other_key);
    certificates.write("text", "no PEM at all");
    certificates.write("cut.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n");
    certificates.write(
        "noise.pem",
        "-----BEGIN CERTIFICATE-----\n****\n-----END CERTIFICATE-----\n",
    );
    certificates.write(
        "empty.pem",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    );
    let locked =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    certificates.write("locked.key", locked);
    let nonsense = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    certificates.write("nonsense.key", nonsense);
    let file = |name: &str| certificates.file(name);
    let cases = [
        (
            Some("server.pem"),
            None,
            "tls requires both a cert and a key file to be passed in to work".to_string(),
        ),
        (
            None,
            Some("server.key"),
            "tls requires both a cert and a key file to be passed in to work".to_string(),
        ),
        (
            Some("nowhere"),
            Some("server.key"),
            format!(
                "cannot read TLS certificate {}: No such file",
                file("nowhere")
            ),
        ),
        (
            Some("server.pem"),
            Some("nowhere"),
            format!("cannot read TLS key {}: No such file", file("nowhere")),
        ),
        (
            Some("text"),
            Some("server.key"),
            format!(
                "TLS certificate {}: no certificate in it, it should be PEM with BEGIN CERTIFICATE",
                file("text")
            ),
        ),
        (
            Some("server.key"),
            Some("server.pem"),
            format!(
                "TLS certificate {}: a private key and no certificate, are the two files in each other's place?",
                file("server.key")
            ),
        ),
        (
            Some("cut.pem"),
            Some("server.key"),
            format!(
                "TLS certificate {}: a section has no END line",
                file("cut.pem")
            ),
        ),
        (
            Some("noise.pem"),
            Some("server.key"),
            format!(
                "TLS certificate {}: a section is not base64",
                file("noise.pem")
            ),
        ),
        (
            Some("empty.pem"),
            Some("server.key"),
            format!("cannot use TLS certificate {}", file("empty.pem")),
        ),
        (
            Some("server.pem"),
            Some("text"),
            format!(
                "TLS key {}: no private key in it, it should be PEM with BEGIN PRIVATE KEY",
                file("text")
            ),
        ),
        (
            Some("server.pem"),
            Some("locked.key"),
            format!("TLS key {}: it is locked by a password", file("locked.key")),
        ),
        (
            Some("server.pem"),
            Some("nonsense.key"),
            format!(
                "cannot use TLS certificate {} with key {}",
                file("server.pem"),
                file("nonsense.key")
            ),
        ),
        (
            Some("server.pem"),
            Some("other.key"),
            format!(
                "TLS key {} does not belong to the first certificate in {}",
                file("other.key"),
                file("server.pem")
            ),
        ),
    ];
    for (certificate, key, expected) in cases {
        let mut line = [
            "serve",
            "--node-id",
            "n",
            "--object-store",
            "memory",
            "--http-bind",
            "127.0.0.1:0",
        ]
        .map(str::to_string)
        .to_vec();
        line.extend(
            certificate
                .into_iter()
                .flat_map(|name| ["--tls-cert".to_string(), file(name)]),
        );
        line.extend(
            key.into_iter()
                .flat_map(|name| ["--tls-key".to_string(), file(name)]),
        );
        let line: Vec<&str> = line.iter().map(String::as_str).collect();
        let told = influxdb3(&line).failed(1);
        let last = told.lines().last().unwrap_or_default();
        assert!(
            last.starts_with(&format!("Serve command failed: {expected}")),
            "{expected}\n{told}"
        );
    }
    let line = [
        "serve",
        "--node-id",
        "n",
        "--object-store",
        "memory",
        "--tls-minimum-version",
        "1.1",
    ];
    let told = influxdb3(&line).failed(2);
    let expected = "error: invalid value '1.1' for '--tls-minimum-version <VERSION>': Valid minimum version strings are tls-1.2 and tls-1.3";
    assert!(told.starts_with(expected), "{told}");
}

#[test]
fn settings_come_from_the_environment() {
    let certificates = Certificates::new();
    let (_, other_key) = certificates.sign(Leaf::Good);
    certificates.write("other.key", &other_key);
    let folder = temporary_folder();
    let serve = |key: &str, version: &str| {
        let mut command = binary(folder.path());
        command
            .env("INFLUXDB3_TLS_CERT", certificates.file("server.pem"))
            .env("INFLUXDB3_TLS_KEY", certificates.file(key))
            .env("INFLUXDB3_TLS_MINIMUM_VERSION", version)
            .args(["serve", "--node-id", "n", "--object-store", "memory"]);
        run(command, b"")
    };
    let told = serve("other.key", "tls-1.3").failed(1);
    assert!(
        told.contains("does not belong to the first certificate"),
        "{told}"
    );
    let told = serve("server.key", "tls-1.4").failed(2);
    assert!(
        told.contains("Valid minimum version strings are tls-1.2 and tls-1.3"),
        "{told}"
    );
}

#[test]
fn whom_clients_trust() {
    let server = server(&[]);
    let certificates = server.certificates();
    let url = server.url();
    let words = ["show", "databases", "--host", &url];
    let with = |more: &[&str]| influxdb3(&[&words[..], more].concat());
    // Nobody, at first.
    let told = with(&[]).failed(1);
    assert!(
        told.contains(
            "invalid peer certificate: UnknownIssuer (name its authority with --tls-ca FILE)"
        ),
        "{told}"
    );
    let stranger = Certificates::new();
    let told = with(&["--tls-ca", &stranger.file("authority.pem")]).failed(1);
    assert!(told.contains("invalid peer certificate"), "{told}");
    // The authority: as PEM, as DER, among others, by either spelling.
    let read = |path: String| std::fs::read_to_string(path).expect("a file");
    let bundle = [
        stranger.file("authority.pem"),
        certificates.file("authority.pem"),
    ]
    .map(read)
    .concat();
    certificates.write("bundle.pem", &bundle);
    for name in ["authority.pem", "authority.der", "bundle.pem"] {
        with(&["--tls-ca", &certificates.file(name)]).succeeded();
    }
    let with_variable = |name: &str, value: &str| {
        let folder = temporary_folder();
        let mut command = binary(folder.path());
        command.env(name, value).args(words);
        run(command, b"")
    };
    with_variable("INFLUXDB3_TLS_CA", &certificates.file("authority.pem")).succeeded();
    with_variable("INFLUXDB3_TLS_NO_VERIFY", "true").succeeded();
    with_variable("INFLUXDB3_TLS_NO_VERIFY", "false").failed(1);
    with_variable("INFLUXDB3_TLS_NO_VERIFY", "1").failed(2);
    with(&["--tls-no-verify"]).succeeded();
    // Files that are none.
    certificates.write("text", "no PEM at all");
    let told = with(&["--tls-ca", &certificates.file("text")]).failed(1);
    assert!(
        told.contains("failed to build an http client") && told.contains("no certificate in it"),
        "{told}"
    );
    let told = with(&["--tls-ca", "/nowhere"]).failed(1);
    assert!(told.contains("io error: /nowhere: No such file"), "{told}");
}

#[test]
fn certificates_that_are_not_good_are_taken_only_unverified() {
    for leaf in [Leaf::Expired, Leaf::Stranger] {
        let setup = Setup::memory().with_auth().over(Transport::Tls);
        let certificates = setup.tls.clone().expect("over TLS");
        certificates.install(leaf);
        let launched = Server::spawn(&setup);
        let server = launched.wait_until_it_listens();
        let url = server.url();
        let ask = |words: &[&str], more: &[&str]| {
            let tail = ["--host", &url, "--tls-no-verify"];
            influxdb3(&[words, &tail, more].concat())
        };
        let told = server
            .influxdb3(&["show", "databases", "--host", &url], b"")
            .failed(1);
        assert!(told.contains("invalid peer certificate"), "{told}");
        let created = ask(&["create", "token", "--admin"], &[]).succeeded();
        let token = token_in(&created);
        for (words, more) in [
            (&["create", "database"][..], &["d"][..]),
            (&["write"], &["-d", "d", "t v=1 1"]),
            (&["query"], &["-d", "d", "SELECT * FROM t"]),
            (&["show", "databases"], &[]),
            (&["show", "tokens"], &[]),
            (&["create", "table"], &["-d", "d", "u", "--tags", "a"]),
            (&["delete", "table"], &["-d", "d", "--yes", "u"]),
            (&["delete", "database"], &["--yes", "d"]),
        ] {
            let more = [&["--token", token.as_str()], more].concat();
            let ran = ask(words, &more);
            assert!(!ran.stderr.contains("certificate"), "{ran:?}");
            let told = ran.succeeded();
            assert!(!told.contains("certificate"), "{told}");
        }
        server.keeps_secrets(&[&token]);
    }
}

#[test]
fn another_certificate_when_the_server_is_told() {
    let server = server(&[]);
    let certificates = server.certificates();
    let first = shown(&server);
    let mut open = server.connect();
    let good = |connection: &mut Connection| {
        let answer = connection.ask("GET", "/health", None, b"");
        assert_eq!(answer.expect("an answer").status, 200);
    };
    good(&mut open);

    certificates.install(Leaf::Good);
    server.hang_up();
    eventually("the new certificate is shown", || shown(&server) != first);
    let second = shown(&server);
    // Who was there before stays.
    good(&mut open);

    // A key of another certificate: the log says so, and nothing changes.
    let (_, other_key) = certificates.sign(Leaf::Good);
    certificates.write("server.key", &other_key);
    server.hang_up();
    let complaint = "cannot take the new TLS certificate, the old one stays";
    eventually("the log complains", || {
        let log = server.log();
        log.contains(complaint) && log.contains("does not belong to the first certificate")
    });
    assert_eq!(shown(&server), second);
    good(&mut server.connect());
    good(&mut open);

    certificates.install(Leaf::Good);
    server.hang_up();
    eventually("the third certificate is shown", || {
        shown(&server) != second
    });
    server.stop();
}

#[test]
fn another_certificate_when_the_files_change() {
    let server = server(&[]);
    let certificates = server.certificates();
    let first = shown(&server);
    certificates.install(Leaf::Good);
    eventually("the new certificate is shown", || shown(&server) != first);
    let second = shown(&server);
    let complaints = || server.log().matches("the old one stays").count();
    assert_eq!(complaints(), 0, "{}", server.log());

    certificates.write("server.pem", "no PEM at all");
    eventually("the log complains", || complaints() == 1);
    assert_eq!(shown(&server), second);
    std::fs::remove_file(certificates.file("server.pem")).expect("it was there");
    eventually("the log complains", || {
        complaints() == 2 && server.log().contains("cannot read TLS certificate")
    });
    assert_eq!(shown(&server), second);

    certificates.install(Leaf::Good);
    eventually("the third certificate is shown", || {
        shown(&server) != second
    });
    assert_eq!(complaints(), 2, "{}", server.log());
    server.stop();
}
