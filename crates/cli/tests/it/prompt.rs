//! `query` on a terminal: the prompt, and tables that fit.

use std::os::unix::fs::PermissionsExt;

use crate::harness::terminal::Terminal;
use crate::harness::{Server, Setup, eventually, temporary_folder};

/// What the terminal is told when the prompt waits for a line, and all before it is printed.
const PROMPT: &str = "\u{1b}[?2004h";

fn server() -> Server {
    let server = Server::start(Setup::memory());
    server.write(
        "foo",
        "second",
        "cpu,host=a usage=0.5 1\ncpu,host=b usage=99,n=3i 2",
    );
    server.write("bar", "second", "disk free=1i 1");
    server
}

#[test]
fn a_session_at_the_prompt() {
    let server = server();
    let folder = temporary_folder();
    let mut terminal = Terminal::run(
        folder.path(),
        100,
        &format!("influxdb3 query -d foo --host {}", server.url()),
    );
    terminal.shows(PROMPT);
    // Several lines, up to the semicolon.
    terminal.types("SELECT host,\r");
    terminal.types("usage FROM cpu ORDER BY time;\r");
    let told = terminal.shows(PROMPT);
    assert!(
        told.contains("| b    | 99.0  |") && told.contains("2 rows in "),
        "{told}"
    );
    // Tab knows keywords and columns; only what was completed has this answer.
    terminal.types("SELECT us\t FROM cpu WH\t n = 3;\r");
    let told = terminal.shows(PROMPT);
    assert!(
        told.contains("| 99.0  |") && told.contains("1 row in "),
        "{told}"
    );
    for (typed, expected, more) in [
        ("\\d", "| cpu        |", "1 row"),
        ("\\d cpu", "| usage       | Float64", "4 rows"),
        ("\\l", "| bar           |", "3 rows"),
        ("\\f csv", "foo> ", ""),
        ("SELECT n FROM cpu WHERE n = 3;", "n\r\n3\r\n", "1 row in "),
        (
            "\\f yaml",
            "unknown format \"yaml\": there are pretty, json, jsonl, csv",
            "",
        ),
        ("\\timing", "timing is off", ""),
        ("\\c nowhere", "[404 Not Found]", ""),
        ("\\c bar", "foo> ", ""),
        ("SELECT nothing;", "[400 Bad Request]", "bar> "),
        ("SELECT free FROM disk;", "free\r\n1\r\n", "1 row\r\n"),
        (
            "\\unknown",
            "unknown command \\unknown: \\? tells what there is",
            "",
        ),
        ("SELECT 'apiv3_secret';", "apiv3_secret", "1 row\r\n"),
        ("\\?", "Ctrl-R searches what was typed before", ""),
    ] {
        terminal.types(&format!("{typed}\r"));
        let told = terminal.shows(PROMPT);
        assert!(
            told.contains(expected) && told.contains(more),
            "{typed}: {told}"
        );
    }
    // Ctrl-C stops a query, also at the server, and the prompt is back.
    let endless = "SELECT count(*) FROM generate_series(1, 1000000) a CROSS JOIN generate_series(1, 1000000) b WHERE a.value + b.value = 7;";
    terminal.types(&format!("{endless}\r"));
    let running = "SELECT count(*) AS n FROM system.queries WHERE running AND query_text LIKE '%a.value + b.value = 7%' AND query_text NOT LIKE '%system.queries%'";
    let runs = || server.query("bar", running)[0]["n"].as_u64().unwrap_or(0);
    eventually("the query runs", || runs() == 1);
    terminal.types("\u{3}");
    let told = terminal.shows(PROMPT);
    assert!(told.contains("stopped"), "{told}");
    eventually("the query is stopped", || runs() == 0);
    terminal.types("\u{4}");
    let (code, screen) = terminal.ends();
    assert_eq!(code, Some(0), "{screen}");

    let history = folder.path().join(".influxdb3_history");
    let kept = std::fs::read_to_string(&history).expect("a history");
    assert!(
        kept.contains("SELECT free FROM disk;") && !kept.contains("apiv3_"),
        "{kept}"
    );
    let mode = std::fs::metadata(&history)
        .expect("a history")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);

    // The next session knows it.
    let mut terminal = Terminal::run(
        folder.path(),
        100,
        &format!("influxdb3 query -d bar --host {}", server.url()),
    );
    terminal.shows(PROMPT);
    terminal.types("\u{12}free");
    terminal.shows("SELECT free FROM disk;");
    terminal.types("\r");
    let told = terminal.shows(PROMPT);
    assert!(told.contains("1 row in "), "{told}");
    terminal.types("\\q\r");
    assert_eq!(terminal.ends().0, Some(0));
}

#[test]
fn tables_fit_the_terminal_and_nothing_else_does() {
    let server = server();
    let folder = temporary_folder();
    let ask = |columns: usize, more: &str| {
        let line = format!(
            "influxdb3 query -d foo --host {} {more} \"SELECT host, usage, time FROM cpu ORDER BY time\"",
            server.url()
        );
        let (code, screen) = Terminal::run(folder.path(), columns, &line).ends();
        assert_eq!(code, Some(0), "{screen}");
        screen.replace("\r\n", "\n")
    };
    let whole = "| a    | 0.5   | 1970-01-01T00:00:01 |\n";
    assert!(ask(80, "").contains(whole));
    assert!(ask(30, "--wide").contains(whole));
    assert!(ask(30, "--format csv").contains("\na,0.5,1970-01-01T00:00:01\n"));
    assert!(ask(32, "").contains("| a    | 0.5   | 1970-01-01T0… |\n"));
    assert!(ask(20, "").contains("-[ row 2 ]"));
    // Not on a terminal: as the server sent it.
    let ran = server.cli(
        &["query"],
        &[
            "-d",
            "foo",
            "SELECT host, usage, time FROM cpu ORDER BY time",
        ],
    );
    assert!(ran.succeeded().contains(whole));
}
