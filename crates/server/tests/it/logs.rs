//! What the log says of requests that fail, and what it never says.

use std::io;
use std::sync::{Arc, LazyLock, Mutex};

use hyper_util::rt::{TokioExecutor, TokioIo};
use server::Config;
use tracing::instrument::WithSubscriber;
use tracing::subscriber::NoSubscriber;
use tracing_subscriber::fmt::MakeWriter;

use crate::client::{config, get, post, send, start};

/// Everything logged by this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().expect("no test panics here")).into_owned()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no test panics here").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn failures_are_logged_once_without_query_string_or_token() {
    // The test's runtime has one thread, so this sees all the node does on it.
    let (log, _guard) = listen();
    let node = start(Config {
        without_auth: false,
        ..config()
    })
    .await;
    let created = send(&node, post("/api/v3/configure/token/admin", "")).await;
    let created: serde_json::Value = serde_json::from_slice(&created.body).expect("JSON");
    let token = created["token"].as_str().expect("a token");

    let mut refused = post("/api/v3/write_lp?db=_lost&x=OPENSESAME", "t v=1");
    let headers = refused.headers_mut();
    headers.insert(
        "authorization",
        format!("Bearer {token}").parse().expect("a value"),
    );
    headers.insert(
        "x-forwarded-for",
        "10.1.2.3, 10.4.5.6".parse().expect("a value"),
    );
    assert_eq!(send(&node, refused).await.status.as_u16(), 400);
    let wrong = get("/query?p=OPENSESAME&q=OPENSESAME");
    assert_eq!(send(&node, wrong).await.status.as_u16(), 401);
    let mut preflight = get("/query?p=OPENSESAME");
    *preflight.method_mut() = hyper::Method::OPTIONS;
    assert_eq!(send(&node, preflight).await.status.as_u16(), 204);
    node.stop().await.expect("stops");

    let text = log.text();
    let failures: Vec<&str> = text
        .lines()
        .filter(|line| line.contains("Error while handling request"))
        .collect();
    assert_eq!(failures.len(), 2, "{text}");
    for field in [
        "ERROR",
        "error=db name did not start with a number or letter",
        "method=POST",
        "path=/api/v3/write_lp ",
        "content_length=5",
        "database=_lost",
        "client_ip=10.1.2.3",
    ] {
        assert!(failures[0].contains(field), "{field} in {}", failures[0]);
    }
    for field in ["path=/query", "client_ip=127.0.0.1"] {
        assert!(failures[1].contains(field), "{field} in {}", failures[1]);
    }
    assert!(!failures[1].contains("database="), "{}", failures[1]);
    assert!(text.contains("startup time: "), "{text}");
    assert!(text.contains("create admin token"), "{text}");
    assert!(!text.contains(token), "a token in the log");
    assert!(!text.contains("OPENSESAME"), "a query string in the log");
}

/// Listens to nothing. While there is one subscriber alone, tracing asks whichever thread first comes to a line that logs whether
/// anybody listens, and remembers the answer for all; with two it asks the subscribers.
static ANOTHER: LazyLock<tracing::Dispatch> = LazyLock::new(|| {
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(io::sink);
    tracing::Dispatch::new(subscriber.finish())
});

/// Logs everything that this thread says from now on.
fn listen() -> (Log, tracing::subscriber::DefaultGuard) {
    LazyLock::force(&ANOTHER);
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(log.clone())
        .finish();
    (log, tracing::subscriber::set_default(subscriber))
}

#[tokio::test]
async fn http_2_tells_no_secret_at_any_level() {
    let (log, _guard) = listen();
    let node = start(Config {
        without_auth: false,
        ..config()
    })
    .await;
    let client = async {
        let stream = tokio::net::TcpStream::connect(node.address()).await;
        let stream = TokioIo::new(stream.expect("the node accepts connections"));
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), stream)
                .await
                .expect("HTTP/2");
        let exchange = async move {
            let mut statuses = Vec::new();
            for (method, path) in [
                ("GET", "/query?q=1&p=OPENSESAME"),
                ("OPTIONS", "/query?q=1&p=OPENSESAME"),
                ("POST", "/write?db=d&p=OPENSESAME"),
                ("GET", "/health"),
            ] {
                let request = hyper::Request::builder()
                    .method(method)
                    .uri(format!("http://node{path}"))
                    .header("authorization", "Bearer OPENSESAME")
                    .body(http_body_util::Full::<bytes::Bytes>::default())
                    .expect("a request");
                let answer = sender.send_request(request).await.expect("an answer");
                statuses.push(answer.status().as_u16());
            }
            statuses
        };
        tokio::select! {
            statuses = exchange => statuses,
            ended = connection => panic!("the connection ended: {ended:?}"),
        }
    };
    // What the client says of its own requests is no matter here.
    let statuses = client.with_subscriber(NoSubscriber::default()).await;
    assert_eq!(statuses, [401, 204, 401, 401]);
    node.stop().await.expect("stops");
    let text = log.text();
    assert!(text.contains("TRACE"), "the log is at its loudest");
    assert!(!text.contains("OPENSESAME"), "a secret in the log");
}

#[tokio::test]
async fn a_server_that_belongs_to_nobody_says_so_if_others_can_reach_it() {
    let everywhere = ([0, 0, 0, 0], 0).into();
    let told = async |http_bind, without_auth| {
        let (log, _guard) = listen();
        let node = start(Config {
            http_bind,
            without_auth,
            ..config()
        })
        .await;
        // The reminder is a task of its own.
        tokio::task::yield_now().await;
        let answer = send(&node, get("/health")).await;
        assert!([200, 401].contains(&answer.status.as_u16()));
        node.stop().await.expect("stops");
        log.text().contains("NO OPERATOR TOKEN YET")
    };
    assert!(told(everywhere, false).await);
    assert!(!told(everywhere, true).await);
    assert!(!told(config().http_bind, false).await);

    let folder = tempfile::tempdir().expect("a folder");
    let (log, _guard) = listen();
    let node = start(Config {
        http_bind: everywhere,
        without_auth: false,
        tokens: server::TokenSettings {
            bootstrap_token_file: Some(folder.path().join("operator")),
            ..server::TokenSettings::default()
        },
        ..config()
    })
    .await;
    node.stop().await.expect("stops");
    assert!(!log.text().contains("NO OPERATOR TOKEN YET"));
    let secret = std::fs::read_to_string(folder.path().join("operator")).expect("made");
    assert!(!log.text().contains(secret.trim()));
}
