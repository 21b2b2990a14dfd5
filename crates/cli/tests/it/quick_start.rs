//! `influxdb3` alone (spec/cli.md §6).

use std::process::Stdio;

use crate::harness::{self, binary, temporary_folder};

#[test]
fn the_binary_alone_serves_from_the_home_folder() {
    let folder = temporary_folder();
    let listener = folder.path().join("listener");
    let mut child = binary(folder.path())
        .env("INFLUXDB3_HTTP_BIND_ADDR", "127.0.0.1:0")
        .env("INFLUXDB3_TCP_LISTENER_FILE_PATH", &listener)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    // The child is killed below whatever the outcome is, so nothing here may panic.
    let deadline = std::time::Instant::now() + harness::PATIENCE;
    let mut address = None;
    while address.is_none()
        && std::time::Instant::now() < deadline
        && matches!(child.try_wait(), Ok(None))
    {
        std::thread::sleep(std::time::Duration::from_millis(10));
        let told = std::fs::read_to_string(&listener).unwrap_or_default();
        address = told.parse::<std::net::SocketAddr>().ok();
    }
    let answers = address.map(|address| {
        let mut connection = harness::http::Connection::open(address)?;
        let refused = connection.ask("GET", "/health", None, b"")?.status;
        let created = connection
            .ask("POST", "/api/v3/configure/token/admin", None, b"")?
            .status;
        Ok::<_, std::io::Error>((refused, created))
    });
    let ended = match address {
        Some(_) => {
            harness::signal(&child, "TERM");
            harness::wait(&mut child)
        }
        None => None,
    };
    let _ = child.kill();
    let output = child.wait_with_output().expect("the binary has ended");
    let stderr = String::from_utf8_lossy(&output.stderr);

    // Authentication is on, and there is no token yet.
    assert_eq!(
        answers.transpose().expect("answers").expect(&stderr),
        (401, 201)
    );
    assert_eq!(ended.and_then(|status| status.code()), Some(0), "{stderr}");
    let announced = stderr
        .lines()
        .find(|line| line.starts_with("Using auto-generated node id: "))
        .unwrap_or_else(|| panic!("{stderr}"));
    assert!(
        announced.ends_with("-node. For production deployments, explicitly set --node-id"),
        "{announced}"
    );
    assert!(folder.path().join(".influxdb").is_dir());
}
