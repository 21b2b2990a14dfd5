//! docs/reference/metrics.md lists every family that `/metrics` shows; `UPDATE=1` rewrites it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use hyper_util::rt::{TokioExecutor, TokioIo};
use server::Node;
use tokio::net::TcpStream;

use crate::client::{config, get, send, start};

const INTRODUCTION: &str = "# Metrics

What `GET /metrics` shows, as Prometheus text that ends with `# EOF`; a test keeps this page what the server says (`UPDATE=1` rewrites it). Names are
stable: a family is renamed or removed only with a word in the changelog. It needs a token with `system:metrics:read`, unless `--disable-authz` names
`metrics`. Counters of a file system or processor are there where the operating system tells them (Linux).

Labels have few values: `status` is `ok`, `client_error`, `server_error`, `aborted` or `unexpected_response`; `method_path` and `path` are those of the
[interface](http-api.md), and `unrouted` for everything else; `share` is a share of the memory budget. None of them ever has a name of a database, table
or token, or a part of a query.

";

#[derive(Default)]
struct Family {
    kind: String,
    help: String,
    labels: BTreeSet<String>,
}

#[tokio::test]
async fn the_page_lists_every_family() {
    let node = start(config()).await;
    send(&node, get("/health")).await;
    call(&node).await;
    let text = send(&node, get("/metrics")).await.text();
    node.stop().await.expect("stops");

    let mut page = INTRODUCTION.to_string();
    for (name, family) in families(&text) {
        let labels: Vec<String> = family
            .labels
            .iter()
            .map(|label| format!("`{label}`"))
            .collect();
        let labels = match labels.is_empty() {
            true => String::new(),
            false => format!(" by {}", labels.join(", ")),
        };
        writeln!(
            page,
            "- `{name}` ({}{labels}): {}",
            family.kind, family.help
        )
        .expect("text");
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/metrics.md");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &page).expect("docs/reference can be written to");
    }
    let found = std::fs::read_to_string(&path).expect("the page");
    assert!(
        found == page,
        "docs/reference/metrics.md is not what /metrics shows (UPDATE=1)\n{page}"
    );
    assert!(families(&text).len() > 40, "{text}");
}

/// By the name that is scraped, in its order.
fn families(text: &str) -> BTreeMap<String, Family> {
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    for line in text.lines() {
        if let Some((name, help)) = line
            .strip_prefix("# HELP ")
            .and_then(|line| line.split_once(' '))
        {
            families.entry(name.to_string()).or_default().help =
                help.trim_end_matches('.').to_string();
        } else if let Some((name, kind)) = line
            .strip_prefix("# TYPE ")
            .and_then(|line| line.split_once(' '))
        {
            families.entry(name.to_string()).or_default().kind = kind.to_string();
        } else if let Some((name, labels)) = line.split_once('{') {
            let labels = labels.split_once('}').expect("a closing brace").0;
            let family = families
                .iter_mut()
                .filter(|(family, _)| name.starts_with(family.as_str()))
                .max_by_key(|(family, _)| family.len());
            let (_, family) = family.unwrap_or_else(|| panic!("{line} has no family"));
            for label in labels
                .split("\",")
                .filter_map(|label| label.split_once('='))
            {
                if label.0 != "le" {
                    family.labels.insert(label.0.to_string());
                }
            }
        }
    }
    families
        .into_iter()
        .map(|(name, family)| match family.kind.as_str() {
            "counter" => (format!("{name}_total"), family),
            "info" => (format!("{name}_info"), family),
            _ => (name, family),
        })
        .collect()
}

/// One call of Arrow Flight, so that its families have a series.
async fn call(node: &Node) {
    let stream = TcpStream::connect(node.address()).await.expect("connects");
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .expect("HTTP/2");
    let target = format!(
        "http://{}/arrow.flight.protocol.FlightService/ListActions",
        node.address()
    );
    let request = Request::post(target)
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Full::new(Bytes::from_static(&[0; 5])))
        .expect("a request");
    let call = async {
        let response = sender.send_request(request).await.expect("an answer");
        http_body_util::BodyExt::collect(response.into_body())
            .await
            .expect("its end");
    };
    tokio::select! {
        () = call => {}
        ended = connection => panic!("the connection ended: {ended:?}"),
    }
}
