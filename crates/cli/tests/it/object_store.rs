//! The binary over a bucket, with real S3 requests: data survives, failures of the store do no harm, two processes do not mix.

use crate::harness::certificates::{Certificates, Leaf};
use crate::harness::s3_server::{Faults, S3Server};
use crate::harness::{Ran, Server, Setup, eventually, influxdb3};

fn setup(bucket: &S3Server, more: &[&str]) -> Setup {
    let options = bucket.options();
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    Setup::memory().with(&options).with(more)
}

fn check(bucket: &S3Server, more: &[&str]) -> Ran {
    let options = bucket.options();
    let mut words = vec!["debug", "object-store-check"];
    words.extend(options.iter().map(String::as_str));
    words.extend(more);
    influxdb3(&words)
}

/// How many rows there are, and the sum of their values.
#[track_caller]
fn rows(server: &Server) -> (i64, i64) {
    let found = server.query("db", "SELECT count(*) AS n, sum(f) AS s FROM m");
    let number = |name: &str| found[0][name].as_i64().expect("a number");
    (number("n"), number("s"))
}

fn status_of_write(server: &Server, line: &str) -> (u16, String) {
    let target = "/api/v3/write_lp?db=db&precision=second";
    let answer = server.connect().ask("POST", target, None, line.as_bytes());
    let answer = answer.expect("the server answers");
    (answer.status, answer.text())
}

#[test]
fn a_bucket_keeps_what_is_written() {
    let bucket = S3Server::start();
    let mut written = 0;
    for round in 0..3 {
        // In the second round rows become files all the time.
        let more: &[&str] = match round {
            1 => &["--wal-files-per-snapshot", "1"],
            _ => &[],
        };
        let server = Server::start(setup(&bucket, more));
        if round > 0 {
            assert_eq!(rows(&server), (written, written * (written - 1) / 2));
        }
        for _ in 0..10 {
            server.write("db", "second", &format!("m,t=a f={written}i {written}"));
            written += 1;
        }
        assert_eq!(rows(&server), (written, written * (written - 1) / 2));
        if round == 1 {
            eventually("files", || !bucket.keys(".parquet").is_empty());
        }
        if round == 2 {
            server.stop();
        } else {
            server.kill();
        }
    }
    assert!(!bucket.keys("test-server/wal/").is_empty());
    assert!(bucket.keys("/probe/").is_empty(), "the probe cleans up");
    let server = Server::start(setup(&bucket, &[]));
    assert_eq!(rows(&server), (written, written * (written - 1) / 2));
}

#[test]
fn a_bucket_behind_tls() {
    let certificates = Certificates::new();
    let bucket = S3Server::start_over_tls(&certificates);
    let authority = certificates.file("authority.pem");
    let trusting = ["--object-store-tls-ca", authority.as_str()];
    let unknown = "UnknownIssuer";

    let server = Server::start(setup(&bucket, &trusting));
    server.write("db", "second", "m f=1i 1");
    server.kill();
    let server = Server::start(setup(&bucket, &["--object-store-tls-allow-insecure"]));
    assert_eq!(rows(&server), (1, 1));
    server.stop();
    let told = check(&bucket, &trusting).succeeded();
    assert!(told.lines().all(|line| line.starts_with("ok ")), "{told}");

    // Nobody's authority, and one that has signed nothing here.
    let hurried = ["--object-store-max-retries", "0"];
    let log = Server::launch(&setup(&bucket, &hurried)).expect_err("refused");
    assert!(log.contains(unknown), "{log}");
    let others = Certificates::new();
    let stranger = others.file("authority.pem");
    let options = ["--object-store-tls-ca", stranger.as_str()];
    let ran = check(&bucket, &[&options[..], &hurried].concat());
    assert_eq!(ran.code, 1, "{ran:?}");
    // It bears the same name, so that its signature is tried.
    assert!(ran.stdout.contains("BadSignature"), "{ran:?}");
}

#[test]
fn a_bucket_whose_certificate_has_ended() {
    let certificates = Certificates::new();
    certificates.install(Leaf::Expired);
    let bucket = S3Server::start_over_tls(&certificates);
    let authority = certificates.file("authority.pem");
    let options = [
        "--object-store-tls-ca",
        authority.as_str(),
        "--object-store-max-retries",
        "0",
    ];
    let log = Server::launch(&setup(&bucket, &options)).expect_err("refused");
    assert!(log.contains("certificate expired"), "{log}");
}

#[test]
fn a_bucket_that_fails_now_and_then_does_no_harm() {
    for (retries, slow_down) in [("10", 3), ("0", 0)] {
        let bucket = S3Server::start();
        let more = [
            "--object-store-max-retries",
            retries,
            "--wal-files-per-snapshot",
            "5",
        ];
        let server = Server::start(setup(&bucket, &more));
        bucket.set_faults(Faults {
            slow_down,
            lost_answers: 5,
            conflicts: 7,
            no_conditions: false,
        });
        for time in 0..40 {
            server.write("db", "second", &format!("m,t=a f={time}i {time}"));
        }
        assert_eq!(rows(&server), (40, 780), "{}", server.log());
        bucket.set_faults(Faults::default());
        server.kill();
        let server = Server::start(setup(&bucket, &[]));
        assert_eq!(rows(&server), (40, 780), "{}", server.log());
    }
}

#[test]
fn of_two_servers_with_one_name_the_older_stops() {
    let bucket = S3Server::start();
    let mut old = Server::start(setup(&bucket, &[]));
    old.write("db", "second", "m f=1i 1");
    let new = Server::start(setup(&bucket, &[]));
    assert_eq!(rows(&new), (1, 1));
    let (status, text) = status_of_write(&old, "m f=2i 2");
    let reason = "another process has written to the WAL ahead of this one";
    assert!(status == 503 && text.contains(reason), "{status} {text}");
    assert_eq!(old.wait().code(), Some(1));
    let log = old.log();
    assert!(
        log.contains(&format!("Serve command failed: {reason}")),
        "{log}"
    );
    new.write("db", "second", "m f=3i 3");
    assert_eq!(rows(&new), (2, 4));
    new.stop();
}

#[test]
fn a_store_without_conditional_puts_is_refused() {
    let bucket = S3Server::start();
    bucket.set_faults(Faults {
        no_conditions: true,
        ..Faults::default()
    });
    let log = Server::launch(&setup(&bucket, &[]))
        .map(|_| ())
        .expect_err("refused");
    let reason = "Serve command failed: the object store cannot be used: it does not refuse to create it again (conditional put)";
    assert!(log.contains(reason), "{log}");
    assert!(bucket.keys("").is_empty(), "nothing was written");
    let ran = check(&bucket, &["--check-prefix", "p"]);
    let failed = ran.stdout.lines().filter(|line| line.starts_with("failed"));
    let failed: Vec<&str> = failed.collect();
    assert!(
        failed.len() == 1 && failed[0].contains("(conditional put)"),
        "{ran:?}"
    );
    assert_eq!(
        ran.failed(1).trim(),
        "Debug command failed: 1 of 7 checks failed"
    );
}

#[test]
fn a_sound_store_passes_the_check() {
    let bucket = S3Server::start();
    let told = check(&bucket, &[]).succeeded();
    assert_eq!(told.lines().count(), 7, "{told}");
    assert!(told.lines().all(|line| line.starts_with("ok ")), "{told}");
    assert!(bucket.keys("").is_empty(), "nothing is left");

    let told = check(&bucket, &["--probe-prefix", "test-server"]);
    assert!(told.stdout.contains("no catalog below"), "{told:?}");
    let server = Server::start(setup(&bucket, &[]));
    server.write("db", "second", "m f=1i 1");
    server.stop();
    let before = bucket.keys("");
    let told = check(&bucket, &["--probe-prefix", "test-server"]).succeeded();
    assert!(
        told.starts_with("ok ") && told.contains("catalog objects of test-server"),
        "{told}"
    );
    assert_eq!(bucket.keys(""), before, "reading changes nothing");
}

#[test]
fn wrong_settings_say_what_is_wrong() {
    for (arguments, expected) in [
        (
            "--object-store s3 --aws-access-key-id a --aws-secret-access-key b",
            "Cannot parse object store config: Error configuring Amazon S3: Generic S3 error: Missing bucket name",
        ),
        (
            "--object-store s3 --bucket b --aws-credentials-file /does/not/exist",
            "Cannot parse object store config: Error reading AWS credentials from file: ",
        ),
        (
            "--object-store google --bucket b --object-store-tls-ca /does/not/exist",
            "Cannot parse object store config: Failed to read CA certificate file at /does/not/exist: ",
        ),
    ] {
        let mut words = vec!["serve", "--node-id", "n", "--http-bind", "127.0.0.1:0"];
        words.extend(arguments.split(' '));
        let ran = influxdb3(&words);
        let stderr = ran.failed(1);
        let expected = format!("Serve command failed: {expected}");
        assert!(stderr.contains(&expected), "{stderr}");
    }
    let stderr = influxdb3(&["serve", "--node-id", "n", "--object-store", "tape"]).failed(2);
    assert!(
        stderr.contains("'tape' is not one of memory, memory-throttled, file, s3, google, azure"),
        "{stderr}"
    );
}
