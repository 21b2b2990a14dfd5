//! What the client says to each kind of server, and what it makes of their answers: a server here says what it is told to.

use super::ask::{Format, Way};
use super::{AskOptions, Asker, Client, ClientOptions};
use crate::answer::Body;
use crate::queries::Statement;
use clap::Parser;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    client: ClientOptions,
}

/// Answers as many requests as there are answers (status and body), and gives back what was asked: first line and body.
fn server(answers: Vec<(&'static str, &'static str)>) -> (String, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let asked = std::thread::spawn(move || {
        answers
            .into_iter()
            .map(|(status, body)| {
                let (stream, _) = listener.accept().expect("a connection");
                let request = request(&stream);
                let length = body.len();
                write!(
                    &stream,
                    "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
                )
                .expect("the client listens");
                request
            })
            .collect()
    });
    (format!("http://{address}"), asked)
}

fn request(stream: &TcpStream) -> String {
    let mut reader = BufReader::new(stream);
    let (mut first, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).expect("a head");
        let line = line.trim_end().to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.parse().expect("a length");
        }
        if first.is_empty() {
            first = line;
        } else if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("a body");
    format!("{first} {}", String::from_utf8(body).expect("text"))
        .trim_end()
        .to_owned()
}

fn client(arguments: &[&str]) -> Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let arguments = Arguments::parse_from([&["test", "--database", "some"], arguments].concat());
    Client::new(&arguments.client).expect("a client")
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().expect("a runtime");
    runtime.block_on(future)
}

fn options(language: Way) -> AskOptions {
    let format = Format::Jsonl;
    AskOptions { language, format }
}

/// What a server of that kind is asked, and what comes of its answer.
fn ask(
    kind: &str,
    language: Way,
    statement: &Statement,
    answer: (&'static str, &'static str),
) -> (String, Result<Body, String>) {
    let (host, asked) = server(vec![answer]);
    let client = client(&["--server", kind, "--host", &host]);
    let body = wait(async {
        let mut asker = Asker::new(&client, &options(language)).await?;
        asker.ask(statement).await
    });
    let body = body.map(|answer| answer.body);
    let asked = asked.join().expect("the server ends");
    (asked.concat(), body.map_err(|error| error.to_string()))
}

#[test]
fn each_kind_of_server_is_asked_in_its_way() {
    let text = Statement::Text("SELECT 1".to_owned());
    let (asked, body) = ask("influxdb3", Way::Sql, &text, ("200 OK", "{\"a\":1}\n"));
    let expected =
        r#"post /api/v3/query_sql http/1.1 {"db":"some","format":"jsonl","q":"SELECT 1"}"#;
    assert_eq!(asked, expected);
    assert!(matches!(body, Ok(Body::Jsonl(bytes)) if bytes == "{\"a\":1}\n"));

    let (asked, body) = ask("influxdb1", Way::Influxql, &text, ("200 OK", "{}"));
    assert_eq!(asked, "post /query?db=some&epoch=ns&q=select+1 http/1.1");
    assert!(matches!(body, Ok(Body::Influxql(bytes)) if bytes == "{}"));

    let range = Statement::Range {
        query: "max(x)".to_owned(),
        start_ms: 59_999,
        end_ms: 119_999,
        step_ms: 60_000,
    };
    let (asked, body) = ask("victoriametrics", Way::Metricsql, &range, ("200 OK", "{}"));
    assert_eq!(
        asked,
        "get /api/v1/query_range?query=max%28x%29&start=59.999&end=119.999&step=60.000&nocache=1 http/1.1"
    );
    assert!(matches!(
        body,
        Ok(Body::Metricsql {
            step_ms: 60_000,
            ..
        })
    ));
}

#[test]
fn a_server_without_influxql_is_told_from_one_that_fails() {
    let text = Statement::Text("SELECT 1".to_owned());
    let told = |answer| {
        ask("influxdb3", Way::Influxql, &text, answer)
            .1
            .expect_err("an error")
    };
    assert_eq!(
        told(("501 Not Implemented", "no InfluxQL")),
        "the server does not know InfluxQL: the server answered 501 Not Implemented: no InfluxQL"
    );
    assert_eq!(
        told(("503 Service Unavailable", "later")),
        "the server answered 503 Service Unavailable: later"
    );
    let (asked, body) = ask("influxdb3", Way::Influxql, &text, ("200 OK", "[]"));
    assert!(asked.starts_with("post /api/v3/query_influxql "), "{asked}");
    assert!(matches!(body, Ok(Body::JsonOfSeries(_))));
}

#[test]
fn a_language_that_a_server_does_not_know_is_refused() {
    for (kind, language) in [
        ("influxdb1", Way::Sql),
        ("victoriametrics", Way::Influxql),
        ("influxdb3", Way::Metricsql),
    ] {
        let client = client(&["--server", kind]);
        let asker = wait(Asker::new(&client, &options(language)));
        let told = asker.err().expect("an error").to_string();
        assert!(
            told.contains(kind) && told.contains(language.name()),
            "{told}"
        );
    }
    let client = client(&["--host", "https://127.0.0.1:1"]);
    let asker = wait(Asker::new(&client, &options(Way::Flight)));
    let told = asker.err().expect("an error").to_string();
    assert!(told.contains("over http only"), "{told}");
}

#[test]
fn lines_go_where_each_kind_of_server_takes_them() {
    let (host, asked) = server(vec![
        ("200 OK", r#"{"results":[{"statement_id":0}]}"#),
        ("204 No Content", ""),
        ("204 No Content", ""),
    ]);
    let one = client(&["--server", "influxdb1", "--host", &host]);
    for line in ["a b=1 1", "a b=2 2"] {
        wait(one.write(line)).expect("a write");
    }
    assert_eq!(
        asked.join().expect("the server ends"),
        [
            "post /query?q=create+database+%22some%22 http/1.1",
            "post /write?db=some&precision=ns http/1.1 a b=1 1",
            "post /write?db=some&precision=ns http/1.1 a b=2 2",
        ]
    );

    let (host, asked) = server(vec![("204 No Content", ""), ("204 No Content", "")]);
    let victoria = client(&["--server", "victoriametrics", "--host", &host]).without_sync();
    wait(victoria.write("a b=1 1")).expect("a write");
    let three = client(&["--host", &host]).without_sync();
    wait(three.write("a b=1 1")).expect("a write");
    assert_eq!(
        asked.join().expect("the server ends"),
        [
            "post /write http/1.1 a b=1 1",
            "post /api/v3/write_lp?db=some&precision=nanosecond&no_sync=true http/1.1 a b=1 1",
        ]
    );

    let (host, _) = server(vec![("200 OK", r#"{"results":[{"error":"not allowed"}]}"#)]);
    let refused = client(&["--server", "influxdb1", "--host", &host]);
    let told = wait(refused.write("a b=1 1"))
        .expect_err("an error")
        .to_string();
    assert_eq!(told, "cannot create database \"some\": \"not allowed\"");
}
