//! What clients of the reference rely on, row by row (spec/auth-tokens.md §17), through the real binary: now, after an orderly
//! restart, and after kill -9.
//!
//! A row reaches its server only by `Server::url` and `Server::connect`, so that the same rows run wherever those lead. Rows of what this
//! version does not have yet are tested as far as the gate goes: `/write`, `/query` and `/api/v2/write` let a good credential pass, whatever
//! comes after that (row 3 to 5). Flight (6), TLS (13) and plugins (14) are for the files of those features.

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::http::{Answer, base64};
use crate::harness::{Server, Setup, eventually, influxdb3, temporary_folder, token_in};

const CREATE: &[&str] = &["create", "token", "--admin"];
const UNAUTHENTICATED: &str = r#"{"error": "the request was not authenticated"}"#;
const MALFORMED: &str = r#"{"error": "Authorization header was malformed, the request was not in the form of 'Authorization: <auth-scheme> <token>', supported auth-schemes are Bearer, Token and Basic"}"#;

/// A server with an operator token that can be left and entered again.
struct Door {
    setup: Setup,
    server: Option<Server>,
    operator: String,
    _folder: TempDir,
}

impl Door {
    fn open() -> Self {
        let folder = temporary_folder();
        let setup = Setup::file(folder.path()).with_auth();
        let mut server = Server::start(setup.clone());
        let operator = server.create_token();
        Self {
            setup,
            server: Some(server),
            operator,
            _folder: folder,
        }
    }

    fn server(&self) -> &Server {
        self.server
            .as_ref()
            .expect("it is taken only to be replaced")
    }

    /// What the operator's command prints.
    #[track_caller]
    fn cli(&self, words: &[&str], arguments: &[&str]) -> String {
        self.server().cli(words, arguments).succeeded()
    }

    fn restart(&mut self, end: impl FnOnce(Server)) {
        end(self.server.take().expect("it is taken only to be replaced"));
        let mut server = Server::start(self.setup.clone());
        server.use_token(&self.operator);
        self.server = Some(server);
    }

    /// Checks now, after a stop and after a kill.
    #[track_caller]
    fn always(&mut self, check: impl Fn(&Server)) {
        check(self.server());
        self.restart(Server::stop);
        check(self.server());
        self.restart(Server::kill);
        check(self.server());
    }
}

/// Sends one request with exactly these headers.
#[track_caller]
fn ask(
    server: &Server,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    server
        .connect()
        .ask_with(method, target, headers, body.as_bytes())
        .expect("an answer")
}

#[track_caller]
fn expect(answer: &Answer, status: u16, body: &str) {
    assert_eq!((answer.status, answer.text().as_str()), (status, body));
}

/// Whether a credential is taken on an endpoint that does something.
fn is_good(server: &Server, token: &str) -> bool {
    let bearer = format!("Bearer {token}");
    let answer = ask(server, "GET", "/health", &[("authorization", &bearer)], "");
    match answer.status {
        200 => true,
        401 => {
            assert_eq!(answer.text(), UNAUTHENTICATED);
            false
        }
        status => panic!("{status}: {}", answer.text()),
    }
}

#[test]
fn row_1_the_first_caller_is_the_operator() {
    let mut door = Door::open();
    let target = "/api/v3/configure/token/admin";
    door.always(|server| {
        for headers in [&[][..], &[("authorization", "nonsense")]] {
            let second = ask(server, "POST", target, headers, "");
            expect(&second, 409, "token name already exists, _admin");
        }
    });
    let server = Server::start(Setup::memory().with_auth());
    let first = ask(&server, "POST", target, &[], "ignored");
    assert_eq!(first.status, 201);
    let told = first.json();
    assert_eq!(told["id"], 0);
    assert_eq!(told["name"], "_admin");
    assert_eq!(told["expiry"], Value::Null);
    assert_eq!(told["hash"].as_str().map(str::len), Some(128));
    let token = told["token"].as_str().expect("a token");
    assert_eq!(crate::harness::secrets_in(token), [token]);
    server.keeps_secrets(&[token]);
}

#[test]
fn row_2_schemes_of_the_header() {
    let mut door = Door::open();
    door.server().write("d", "second", "t v=1 1");
    let token = door.operator.clone();
    door.always(|server| {
        let write = "/api/v3/write_lp?db=d&precision=second";
        let query = "/api/v3/query_sql?db=d&q=SELECT+v+FROM+t&format=json";
        let requests = [("POST", write, "t v=1 1", 204), ("GET", query, "", 200)];
        for (method, target, body, good) in requests {
            let with =
                |header: &str, value: &str| ask(server, method, target, &[(header, value)], body);
            expect(
                &ask(server, method, target, &[], body),
                401,
                UNAUTHENTICATED,
            );
            for scheme in ["Bearer", "Token"] {
                let answer = with("Authorization", &format!("{scheme} {token}"));
                assert_eq!(answer.status, good, "{}", answer.text());
                expect(
                    &with("authorization", &format!("{scheme} wrong")),
                    401,
                    UNAUTHENTICATED,
                );
            }
            let basic = format!("Basic {}", base64(&format!("anybody:{token}")));
            assert_eq!(with("authorization", &basic).status, good);
            for malformed in [
                format!("bearer {token}"),
                "Bearer".to_string(),
                format!("Bearer {token} extra"),
                format!("Bearer  {token}"),
                "Basic x".to_string(),
            ] {
                expect(&with("authorization", &malformed), 400, MALFORMED);
            }
            expect(
                &with("auth", &format!("Bearer {token}")),
                401,
                UNAUTHENTICATED,
            );
        }
    });
}

/// Asserts that the gate let a request pass: what is behind it answers, which may be that there is nothing.
#[track_caller]
fn passes(answer: &Answer) {
    let through = matches!(answer.status, 200 | 204 | 404);
    assert!(through, "{}: {}", answer.status, answer.text());
}

#[test]
fn rows_3_and_4_credentials_of_version_1() {
    let mut door = Door::open();
    door.server().write("d", "second", "t v=1 1");
    let token = door.operator.clone();
    door.always(|server| {
        let line = "t v=1 1";
        let basic = format!("Basic {}", base64(&format!("username:{token}")));
        let bearer = format!("Bearer {token}");
        let write =
            |target: &str, headers: &[(&str, &str)]| ask(server, "POST", target, headers, line);
        passes(&write(
            "/write?db=d&precision=s",
            &[("authorization", &basic)],
        ));
        passes(&write(
            &format!("/write?db=d&precision=s&u=ignored&p={token}"),
            &[],
        ));
        let malformed = ask(
            server,
            "GET",
            "/write?db=d",
            &[("authorization", "Basic x y")],
            "",
        );
        expect(&malformed, 400, MALFORMED);

        for target in ["/query?db=d&q=SELECT+v+FROM+t", "/write?db=d&precision=s"] {
            let method = if target.starts_with("/query") {
                "GET"
            } else {
                "POST"
            };
            let with =
                |target: &str, headers: &[(&str, &str)]| ask(server, method, target, headers, line);
            expect(&with(target, &[]), 401, UNAUTHENTICATED);
            expect(
                &with(&format!("{target}&p=wrong"), &[]),
                401,
                UNAUTHENTICATED,
            );
            // The query string is stronger than the header.
            let both = with(&format!("{target}&p=wrong"), &[("authorization", &bearer)]);
            expect(&both, 401, UNAUTHENTICATED);
            passes(&with(&format!("{target}&p={token}"), &[]));
            passes(&with(
                &format!("{target}&p={token}"),
                &[("authorization", "nonsense")],
            ));
            passes(&with(target, &[("authorization", &bearer)]));
        }
    });
}

#[test]
fn row_5_credentials_of_version_2() {
    let mut door = Door::open();
    let bearer = format!("Token {}", door.operator);
    door.always(|server| {
        let write = |headers: &[(&str, &str)]| {
            ask(
                server,
                "POST",
                "/api/v2/write?bucket=d&precision=s",
                headers,
                "t v=1 1",
            )
        };
        for headers in [&[][..], &[("authorization", "Token wrong")]] {
            let refused = write(headers);
            expect(&refused, 401, UNAUTHENTICATED);
            assert_eq!(refused.json()["error"], "the request was not authenticated");
        }
        passes(&write(&[("authorization", &bearer)]));
    });
}

#[test]
fn row_7_exempt_paths() {
    const PATHS: [(&str, &str); 3] = [
        ("health", "/health"),
        ("ping", "/ping"),
        ("metrics", "/metrics"),
    ];
    for chosen in 0..8_u8 {
        let listed = |at: usize| chosen >> at & 1 == 1;
        let names: Vec<&str> = PATHS
            .iter()
            .enumerate()
            .filter_map(|(at, (name, _))| listed(at).then_some(*name))
            .collect();
        let mut setup = Setup::memory().with_auth();
        if !names.is_empty() {
            setup = setup.with(&["--disable-authz", &names.join(",")]);
        }
        let mut server = Server::start(setup);
        let bearer = format!("Bearer {}", server.create_token());
        for (at, (_, path)) in PATHS.iter().enumerate() {
            let open = if listed(at) { 200 } else { 401 };
            assert_eq!(
                ask(&server, "GET", path, &[], "").status,
                open,
                "{names:?} {path}"
            );
            let known = ask(&server, "GET", path, &[("authorization", &bearer)], "");
            assert_eq!(known.status, 200, "{names:?} {path}");
        }
    }
}

#[test]
fn row_8_without_authentication_there_are_no_tokens() {
    let server = Server::start(Setup::memory());
    for (method, target) in [
        ("POST", "/api/v3/configure/token/admin"),
        ("POST", "/api/v3/configure/token/admin/regenerate"),
        ("POST", "/api/v3/configure/token/named_admin"),
        ("POST", "/api/v3/configure/token/regenerate"),
        ("POST", "/api/v3/configure/token/confirm"),
        ("POST", "/api/v3/configure/token"),
        ("GET", "/api/v3/configure/token"),
        ("GET", "/api/v3/configure/token/self"),
        ("DELETE", "/api/v3/configure/token"),
        ("DELETE", "/api/v3/configure/token/previous"),
    ] {
        let answer = ask(&server, method, target, &[], "");
        expect(&answer, 405, "endpoint disabled, started without auth");
    }
    let named = server.cli(CREATE, &["--name", "ci"]).succeeded();
    let told = "Failed to create token, error: ApiError { code: 405, message: \"endpoint disabled, started without auth\"";
    assert!(named.starts_with(told), "{named}");
}

#[test]
fn row_9_the_operator_token_stays() {
    let mut door = Door::open();
    let bearer = format!("Bearer {}", door.operator);
    door.always(|server| {
        let delete =
            |target: &str| ask(server, "DELETE", target, &[("authorization", &bearer)], "");
        let tokens = "/api/v3/configure/token";
        expect(
            &delete(&format!("{tokens}?token_name=_admin")),
            405,
            "cannot delete operator token",
        );
        expect(
            &delete(tokens),
            400,
            "serde error: missing field `token_name`",
        );
        expect(
            &delete(&format!("{tokens}?token_name=nobody")),
            404,
            "the requested resource was not found: nobody",
        );
        let again = ask(server, "POST", &format!("{tokens}/admin"), &[], "");
        expect(&again, 409, "token name already exists, _admin");
        let told = server.cli(&["delete", "token"], &["--token-name", "_admin"]);
        assert!(
            told.succeeded()
                .starts_with("The operator token \"_admin\" is required and cannot be deleted.")
        );
    });
}

#[test]
fn row_10_regenerating_over_the_main_port() {
    let mut door = Door::open();
    let named = token_in(&door.cli(CREATE, &["--name", "ci"]));
    let old = door.operator.clone();
    // A command without a token must not get one.
    let nobody = influxdb3(&[
        "create",
        "token",
        "--admin",
        "--regenerate",
        "--yes",
        "--host",
        &door.server().url(),
    ]);
    let told = nobody.succeeded();
    assert!(
        told.starts_with("Failed to create token, error: ApiError { code: 401"),
        "{told}"
    );
    let text = door
        .server()
        .cli_with_input(CREATE, &["--regenerate"], b"yes")
        .succeeded();
    let new = token_in(&text);
    assert_ne!(old, new);
    door.operator.clone_from(&new);
    door.restart(Server::kill);
    door.always(|server| {
        assert!(!is_good(server, &old));
        assert!(is_good(server, &new));
        assert!(is_good(server, &named));
    });
    // A further admin token cannot take the operator's place.
    let host = door.server().url();
    let line = [
        "create",
        "token",
        "--admin",
        "--regenerate",
        "--yes",
        "--host",
        &host,
        "--token",
        &named,
    ];
    let told = influxdb3(&line).succeeded();
    assert!(told.contains("code: 403"), "{told}");
    assert!(is_good(door.server(), &new));
}

/// The address of the recovery listener of a server that was told to write it to `file`.
fn recovery_url(file: &std::path::Path) -> String {
    let mut told = String::new();
    eventually("the recovery listener tells its address", || {
        told = std::fs::read_to_string(file).unwrap_or_default();
        !told.is_empty()
    });
    format!("http://{told}")
}

/// Starts a server whose recovery listener writes its address to `file`.
fn with_recovery(setup: Setup, file: &std::path::Path) -> Server {
    let file = file.to_str().expect("a plain path");
    Server::start(setup.with(&[
        "--admin-token-recovery-http-bind",
        "127.0.0.1:0",
        "--admin-token-recovery-tcp-listener-file-path",
        file,
    ]))
}

#[test]
fn row_10_regenerating_over_the_recovery_listener() {
    let mut door = Door::open();
    let named = token_in(&door.cli(CREATE, &["--name", "ci"]));
    let old = door.operator.clone();
    door.server.take().expect("it runs").stop();
    let folder = temporary_folder();
    let file = folder.path().join("recovery");
    let mut server = with_recovery(door.setup.clone(), &file);
    let recovery = recovery_url(&file);

    let address = recovery.strip_prefix("http://").expect("an address");
    let ask_recovery = |method: &str, target: &str| {
        let address = address.parse().expect("an address");
        crate::harness::http::Connection::open(address)
            .and_then(|mut connection| connection.ask_with(method, target, &[], b""))
            .expect("an answer")
    };
    for (method, target) in [
        ("GET", "/health"),
        ("POST", "/api/v3/configure/token/admin"),
        ("GET", "/api/v3/configure/token/admin/regenerate"),
        ("POST", "/api/v3/configure/database"),
    ] {
        expect(&ask_recovery(method, target), 404, "not found");
    }
    let line = [
        "create",
        "token",
        "--admin",
        "--regenerate",
        "--host",
        &recovery,
    ];
    let folder = temporary_folder();
    let mut command = crate::harness::binary(folder.path());
    command.args(line);
    let new = token_in(&crate::harness::run(command, b"yes").succeeded());

    // Once only; the rest of the server goes on.
    let mut again = String::new();
    eventually("the recovery listener is closed", || {
        again = influxdb3(&[&line[..], &["--yes"]].concat()).succeeded();
        again.contains("ConnectError")
    });
    assert!(!is_good(&server, &old));
    assert!(is_good(&server, &new) && is_good(&server, &named));
    server.use_token(&new);
    server.cli(&["show", "tokens"], &[]).succeeded();
    server.stop();
    door.operator.clone_from(&new);
    door.server = Some(Server::start(door.setup.clone()));
    door.always(|server| {
        assert!(!is_good(server, &old));
        assert!(is_good(server, &new) && is_good(server, &named));
    });
}

#[test]
fn row_10_recovery_where_there_is_nothing_to_recover() {
    for setup in [Setup::memory(), Setup::memory().with_auth()] {
        let folder = temporary_folder();
        let file = folder.path().join("recovery");
        let _server = with_recovery(setup, &file);
        let url = recovery_url(&file);
        let line = [
            "create",
            "token",
            "--admin",
            "--regenerate",
            "--yes",
            "--host",
            &url,
        ];
        // It stays open: twice the same.
        for _ in 0..2 {
            let told = influxdb3(&line).succeeded();
            assert!(
                told.contains("missing admin token, cannot update"),
                "{told}"
            );
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn row_10_there_is_no_recovery_listener_unless_asked_for() {
    let server = Server::start(Setup::memory().with_auth());
    assert_eq!(server.listening_ports(), [server.address().port()]);
}

#[test]
fn row_11_named_admin_tokens() {
    let mut door = Door::open();
    let create = |door: &Door, arguments: &[&str]| door.cli(CREATE, arguments);
    let ci = token_in(&create(&door, &["--name", "ci"]));
    let told = create(&door, &["--name", "ci"]);
    assert_eq!(
        told,
        "Failed to create token, error: ApiError { code: 409, message: \"token name already exists, ci\", error_code: None }\n"
    );
    let told = create(&door, &["--name", "_admin"]);
    assert!(told.contains("token name already exists, _admin"), "{told}");
    let brief = token_in(&create(&door, &["--name", "brief", "--expiry", "2s"]));
    let made = std::time::Instant::now();
    assert!(is_good(door.server(), &brief) || made.elapsed().as_secs() >= 2);
    let later = token_in(&create(&door, &["--name", "later", "--expiry", "1d"]));
    let host = door.server().url();
    let as_ci = |words: &[&str], host: &str| {
        influxdb3(&[words, &["--host", host, "--token", &ci]].concat())
    };
    as_ci(&["create", "database", "by_ci"], &host).succeeded();
    eventually("the token has expired", || !is_good(door.server(), &brief));
    let refused = influxdb3(&["show", "databases", "--host", &host, "--token", &brief]).failed(1);
    assert!(refused.contains("[401 Unauthorized]"), "{refused}");

    door.always(|server| {
        assert!(is_good(server, &ci) && is_good(server, &later) && !is_good(server, &brief));
        let listed = server.cli(&["show", "tokens"], &[]).succeeded();
        for name in ["_admin", "ci", "brief", "later"] {
            assert!(listed.contains(&format!("| {name} ")), "{listed}");
        }
    });
    // By the operator, and by itself.
    let told = door.cli(&["delete", "token"], &["--token-name", "later", "--yes"]);
    assert_eq!(told, "Token \"later\" deleted successfully\n");
    let host = door.server().url();
    as_ci(&["delete", "token", "--token-name", "ci", "--yes"], &host).succeeded();
    door.always(|server| {
        assert!(!is_good(server, &ci) && !is_good(server, &later));
        let listed = server
            .cli(&["show", "tokens"], &["--format", "csv"])
            .succeeded();
        assert!(
            listed.contains("_admin") && !listed.contains("ci,") && !listed.contains("later"),
            "{listed}"
        );
    });
    // The name is free, the id is not.
    let text = door.cli(CREATE, &["--name", "ci", "--format", "token"]);
    assert_ne!(text.trim_end(), ci);
    let rows = door.server().query(
        "_internal",
        "SELECT token_id FROM system.tokens WHERE name = 'ci'",
    );
    assert_eq!(rows, [json!({"token_id": 4})]);
}

#[test]
fn row_12_a_token_made_offline() {
    let folder = temporary_folder();
    let file = folder.path().join("admin.json");
    let file = file.to_str().expect("a plain path");
    let line = [
        "create",
        "token",
        "--admin",
        "--offline",
        "--output-file",
        file,
    ];
    let text = influxdb3(&line).succeeded();
    assert!(
        text.starts_with(&format!("Token saved to: {file}\n")),
        "{text}"
    );
    let token = token_in(&text);
    let data = temporary_folder();
    let setup = Setup::file(data.path())
        .with_auth()
        .with(&["--admin-token-file", file]);
    for start in 0..2 {
        let mut server = Server::start(setup.clone());
        server.use_token(&token);
        let listed = server.cli(&["show", "tokens"], &[]).succeeded();
        assert!(listed.contains("_admin"), "{listed}");
        let databases = server.cli(&["show", "databases"], &[]).succeeded();
        assert!(databases.contains("_internal"), "{databases}");
        assert_eq!(
            server.query("_internal", "SELECT name FROM system.tokens"),
            [json!({"name": "_admin"})]
        );
        server
            .cli(&["create", "database"], &[&format!("made_{start}")])
            .succeeded();
        let second = ask(&server, "POST", "/api/v3/configure/token/admin", &[], "");
        expect(&second, 409, "token name already exists, _admin");
        server.stop();
    }
}

#[test]
fn row_12_tokens_with_permissions_made_offline() {
    let folder = temporary_folder();
    let file = folder.path().join("tokens.json");
    let file = file.to_str().expect("a plain path");
    let make = |name: &str, permission: &str| {
        let line = [
            "create",
            "token",
            "--offline",
            "--output-file",
            file,
            "--name",
            name,
            "--permission",
            permission,
            "--create-databases",
            "metrics",
        ];
        token_in(&influxdb3(&line).succeeded())
    };
    let writer = make("writer", "db:metrics:write");
    let reader = make("reader", "db:metrics:read");
    let data = temporary_folder();
    let setup = Setup::file(data.path())
        .with_auth()
        .with(&["--permission-tokens-file", file]);
    for start in 0..2 {
        let mut server = Server::start(setup.clone());
        let status = |server: &Server, token: &str, method: &str, target: &str, body: &str| {
            let bearer = format!("Bearer {token}");
            ask(server, method, target, &[("authorization", &bearer)], body).status
        };
        let write = "/api/v3/write_lp?db=metrics&precision=second";
        let query = "/api/v3/query_sql?db=metrics&q=SELECT+*+FROM+t&format=json";
        assert_eq!(status(&server, &writer, "POST", write, "t v=1 1"), 204);
        assert_eq!(status(&server, &reader, "GET", query, ""), 200);
        assert_eq!(status(&server, &writer, "GET", query, ""), 403);
        assert_eq!(status(&server, &reader, "POST", write, "t v=1 1"), 403);
        assert_eq!(
            status(
                &server,
                &writer,
                "POST",
                "/api/v3/write_lp?db=other",
                "t v=1 1"
            ),
            403
        );
        // There is no administrator yet, and these tokens are none.
        if start == 0 {
            server.create_token();
        }
        server.stop();
    }
}

#[test]
fn the_listing_in_every_format() {
    let mut door = Door::open();
    door.cli(CREATE, &["--name", "ci", "--expiry", "1d"]);
    let folder = temporary_folder();
    door.always(|server| {
        let columns = [
            "token_id",
            "name",
            "hash",
            "created_at",
            "description",
            "created_by_token_id",
            "updated_at",
            "updated_by_token_id",
            "expiry",
            "permissions",
        ];
        let show = |format| server.cli(&["show", "tokens"], &["--format", format]);
        let csv = show("csv").succeeded();
        assert!(csv.starts_with(&columns.join(",")), "{csv}");
        assert_eq!(csv.trim_end().lines().count(), 3);
        assert!(show("pretty").succeeded().contains("| name "));
        // Each of these requests is a use of the token.
        let without_use = |mut row: Value| {
            row.as_object_mut().expect("a row").remove("last_used_at");
            row
        };
        let rows: Vec<Value> = serde_json::from_str(&show("json").succeeded()).expect("JSON");
        let rows: Vec<Value> = rows.into_iter().map(without_use).collect();
        let lines = show("jsonl").succeeded();
        let lines: Vec<Value> = lines
            .lines()
            .filter(|line| !line.is_empty())
            .map(|line| without_use(serde_json::from_str(line).expect("JSON")))
            .collect();
        assert_eq!(rows, lines);
        assert_eq!(
            (&rows[0]["name"], &rows[1]["name"]),
            (&json!("_admin"), &json!("ci"))
        );
        for row in &lines {
            assert_eq!(row["permissions"], "*:*:*");
            assert_eq!(row["hash"].as_str().map(str::len), Some(9));
        }
        assert!(rows[0].get("expiry").is_none() && rows[1]["expiry"].is_string());
        assert_eq!(rows[1]["created_by_token_id"], 0);
        assert!(show("parquet").stdout_bytes.starts_with(b"PAR1"));
        for format in ["pretty", "json", "jsonl", "csv", "parquet"] {
            let path = folder.path().join(format);
            let file = path.to_str().expect("a plain path");
            let told = server.cli(&["show", "tokens"], &["--format", format, "--output", file]);
            assert_eq!(told.succeeded(), "");
            assert!(path.metadata().expect("the file").len() > 50);
        }
    });
    // Without authentication the hashes are nobody's business.
    door.server.take().expect("it runs").stop();
    door.setup.with_auth = false;
    let server = Server::start(door.setup.clone());
    let csv = server.cli(&["show", "tokens"], &["--format", "csv"]);
    let csv = csv.succeeded();
    assert!(csv.starts_with("token_id,name,created_at,"), "{csv}");
    assert!(!csv.contains("hash"), "{csv}");
}
