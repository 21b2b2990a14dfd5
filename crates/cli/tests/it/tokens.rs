//! What clients of the reference rely on, row by row (spec/auth-tokens.md §17), through the real binary: now, after an orderly
//! restart, and after kill -9.
//!
//! A row reaches its server only by `Server::url` and `Server::connect`, so that the same rows run wherever those lead. Row 13 is that every row runs twice, in the clear and over TLS. Plugins (14) are for the files
//! of that feature; versions of TLS are in `tls`.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::http::{Answer, base64};
use crate::harness::{Server, Setup, Transport, eventually, influxdb3, temporary_folder, token_in};

const CREATE: &[&str] = &["create", "token", "--admin"];
const UNAUTHENTICATED: &str = r#"{"error": "the request was not authenticated"}"#;
const MALFORMED: &str = r#"{"error": "Authorization header was malformed, the request was not in the form of 'Authorization: <auth-scheme> <token>', supported auth-schemes are Bearer, Token and Basic"}"#;

/// Makes two tests of every row, over each transport.
macro_rules! twice {
    ($($(#[$attribute:meta])* $row:ident,)*) => {
        mod over_http {
            $($(#[$attribute])* #[test] fn $row() { super::$row(super::Transport::Plain); })*
        }

        mod over_tls {
            $($(#[$attribute])* #[test] fn $row() { super::$row(super::Transport::Tls); })*
        }
    };
}

twice! {
    row_1_the_first_caller_is_the_operator,
    row_2_schemes_of_the_header,
    rows_3_and_4_credentials_of_version_1,
    row_5_credentials_of_version_2,
    row_6_metadata_of_arrow_flight,
    row_7_exempt_paths,
    row_8_without_authentication_there_are_no_tokens,
    row_9_the_operator_token_stays,
    row_10_regenerating_over_the_main_port,
    row_10_regenerating_over_the_recovery_listener,
    row_10_recovery_where_there_is_nothing_to_recover,
    #[cfg(target_os = "linux")]
    row_10_there_is_no_recovery_listener_unless_asked_for,
    row_11_named_admin_tokens,
    row_12_a_token_made_offline,
    row_12_tokens_with_permissions_made_offline,
    the_listing_in_every_format,
}

/// A server with an operator token that can be left and entered again.
struct Door {
    setup: Setup,
    server: Option<Server>,
    operator: String,
    _folder: TempDir,
}

impl Door {
    fn open(transport: Transport) -> Self {
        let folder = temporary_folder();
        let setup = Setup::file(folder.path()).with_auth().over(transport);
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

fn row_1_the_first_caller_is_the_operator(transport: Transport) {
    let mut door = Door::open(transport);
    let target = "/api/v3/configure/token/admin";
    door.always(|server| {
        for headers in [&[][..], &[("authorization", "nonsense")]] {
            let second = ask(server, "POST", target, headers, "");
            expect(&second, 409, "token name already exists, _admin");
        }
    });
    let server = Server::start(Setup::memory().with_auth().over(transport));
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

fn row_2_schemes_of_the_header(transport: Transport) {
    let mut door = Door::open(transport);
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

fn rows_3_and_4_credentials_of_version_1(transport: Transport) {
    let mut door = Door::open(transport);
    door.server().write("d", "second", "t v=1 1");
    let token = door.operator.clone();
    door.always(|server| {
        let line = "t v=1 1";
        let basic = format!("Basic {}", base64(&format!("username:{token}")));
        let bearer = format!("Bearer {token}");
        let write =
            |target: &str, headers: &[(&str, &str)]| ask(server, "POST", target, headers, line);
        let by_header = write("/write?db=d&precision=s", &[("authorization", &basic)]);
        expect(&by_header, 204, "");
        let in_url = format!("/write?db=d&precision=s&u=ignored&p={token}");
        expect(&write(&in_url, &[]), 204, "");
        let malformed = ask(
            server,
            "GET",
            "/write?db=d",
            &[("authorization", "Basic x y")],
            "",
        );
        expect(&malformed, 400, MALFORMED);

        for (method, target, good) in [
            ("GET", "/query?q=SHOW+DATABASES", 200),
            ("POST", "/query?q=SHOW+DATABASES", 200),
            ("POST", "/write?db=d&precision=s", 204),
        ] {
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
            let taken = |answer: Answer| {
                assert_eq!(answer.status, good, "{target}: {}", answer.text());
                if good == 200 {
                    let names = r#""values":[["_internal"],["d"]]"#;
                    assert!(answer.text().contains(names), "{}", answer.text());
                }
            };
            let in_url = format!("{target}&p={token}");
            taken(with(&in_url, &[]));
            taken(with(&in_url, &[("authorization", "nonsense")]));
            taken(with(target, &[("authorization", &bearer)]));
            taken(with(target, &[("authorization", &basic)]));
        }
    });
}

fn row_5_credentials_of_version_2(transport: Transport) {
    let mut door = Door::open(transport);
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
        expect(&write(&[("authorization", &bearer)]), 204, "");
        // Whether a request passes is asked before what is wrong with it.
        let nothing = ask(server, "POST", "/api/v2/write", &[], "");
        expect(&nothing, 401, UNAUTHENTICATED);
    });
}

fn row_6_metadata_of_arrow_flight(transport: Transport) {
    const OK: &str = "0";
    const UNAUTHENTICATED: &str = "16";
    const DENIED: &str = "7";
    let mut door = Door::open(transport);
    let bearer = format!("Bearer {}", door.operator);
    let small = format!("bearer {}", door.operator);
    let basic = format!("Basic {}", base64(&format!("somebody:{}", door.operator)));
    door.always(|server| {
        let call = |metadata: &[(&str, &str)]| server.call_flight("ListActions", metadata);
        for name in ["authorization", "Authorization"] {
            assert_eq!(call(&[(name, &bearer)]), OK);
        }
        assert_eq!(call(&[("authorization", &basic)]), OK);
        assert_eq!(call(&[]), UNAUTHENTICATED);
        assert_eq!(call(&[("authorization", &small)]), UNAUTHENTICATED);
        assert_eq!(
            call(&[("authorization", "Bearer invalid-token")]),
            UNAUTHENTICATED
        );
        assert_eq!(call(&[("auth", &bearer)]), UNAUTHENTICATED);
    });
    // An expired token is told from an unknown one here (§4.2).
    let short = door.cli(CREATE, &["--name", "short", "--expiry", "1s"]);
    let short = format!("Bearer {}", token_in(&short));
    eventually("the token expires", || {
        let status = door
            .server()
            .call_flight("ListActions", &[("authorization", &short)]);
        assert!(status == OK || status == DENIED, "{status}");
        status == DENIED
    });
}

fn row_7_exempt_paths(transport: Transport) {
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
        let mut setup = Setup::memory().with_auth().over(transport);
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

fn row_8_without_authentication_there_are_no_tokens(transport: Transport) {
    let server = Server::start(Setup::memory().over(transport));
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

fn row_9_the_operator_token_stays(transport: Transport) {
    let mut door = Door::open(transport);
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

fn row_10_regenerating_over_the_main_port(transport: Transport) {
    let mut door = Door::open(transport);
    let named = token_in(&door.cli(CREATE, &["--name", "ci"]));
    let old = door.operator.clone();
    // A command without a token must not get one.
    let url = door.server().url();
    let line = [
        "create",
        "token",
        "--admin",
        "--regenerate",
        "--yes",
        "--host",
        &url,
    ];
    let nobody = door.server().influxdb3(&line, b"");
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
    let told = door.server().influxdb3(&line, b"").succeeded();
    assert!(told.contains("code: 403"), "{told}");
    assert!(is_good(door.server(), &new));
}

/// The address of the recovery listener of a server that was told to write it to `file`.
fn recovery_address(file: &std::path::Path) -> SocketAddr {
    let mut told = String::new();
    eventually("the recovery listener tells its address", || {
        told = std::fs::read_to_string(file).unwrap_or_default();
        !told.is_empty()
    });
    told.parse().expect("an address")
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

fn row_10_regenerating_over_the_recovery_listener(transport: Transport) {
    let mut door = Door::open(transport);
    let named = token_in(&door.cli(CREATE, &["--name", "ci"]));
    let old = door.operator.clone();
    door.server.take().expect("it runs").stop();
    let folder = temporary_folder();
    let file = folder.path().join("recovery");
    let mut server = with_recovery(door.setup.clone(), &file);
    let address = recovery_address(&file);
    let recovery = server.url_of(address);

    let ask_recovery = |method: &str, target: &str| {
        server
            .connect_to(address)
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
    let new = token_in(&server.influxdb3(&line, b"yes").succeeded());

    // Once only; the rest of the server goes on.
    let mut again = String::new();
    eventually("the recovery listener is closed", || {
        let line = [&line[..], &["--yes"]].concat();
        again = server.influxdb3(&line, b"").succeeded();
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

fn row_10_recovery_where_there_is_nothing_to_recover(transport: Transport) {
    for setup in [Setup::memory(), Setup::memory().with_auth()] {
        let setup = setup.over(transport);
        let folder = temporary_folder();
        let file = folder.path().join("recovery");
        let server = with_recovery(setup, &file);
        let url = server.url_of(recovery_address(&file));
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
            let told = server.influxdb3(&line, b"").succeeded();
            assert!(
                told.contains("missing admin token, cannot update"),
                "{told}"
            );
        }
    }
}

#[cfg(target_os = "linux")]
fn row_10_there_is_no_recovery_listener_unless_asked_for(transport: Transport) {
    let server = Server::start(Setup::memory().with_auth().over(transport));
    assert_eq!(server.listening_ports(), [server.address().port()]);
}

fn row_11_named_admin_tokens(transport: Transport) {
    let mut door = Door::open(transport);
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
    let run_as = |door: &Door, token: &str, words: &[&str]| {
        let server = door.server();
        let host = server.url();
        server.influxdb3(&[words, &["--host", &host, "--token", token]].concat(), b"")
    };
    run_as(&door, &ci, &["create", "database", "by_ci"]).succeeded();
    eventually("the token has expired", || !is_good(door.server(), &brief));
    let refused = run_as(&door, &brief, &["show", "databases"]).failed(1);
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
    let words = ["delete", "token", "--token-name", "ci", "--yes"];
    run_as(&door, &ci, &words).succeeded();
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

fn row_12_a_token_made_offline(transport: Transport) {
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
        .over(transport)
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

fn row_12_tokens_with_permissions_made_offline(transport: Transport) {
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
        .over(transport)
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

fn the_listing_in_every_format(transport: Transport) {
    let mut door = Door::open(transport);
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
