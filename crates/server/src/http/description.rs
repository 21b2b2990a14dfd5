//! What every endpoint takes and gives, in one table beside the router: `GET /api/v3/openapi.json` and the reference page are made of it.
//!
//! [`describe`] has no wildcard, so no route is without a description. What holds for many is added by rule: who is let in
//! ([`answers`]), and what can be wrong with a body. Tests compare what is generated with docs/reference, and with the scenarios. Not
//! here: what endpoints do.

mod openapi;

#[cfg(test)]
mod tests;

use super::router::{Endpoint, Route};
use crate::authorization::{Rule, rule};

pub(crate) use self::openapi::document;

/// One endpoint.
pub(super) struct Description {
    pub(super) group: &'static str,
    pub(super) summary: &'static str,
    pub(super) parameters: Vec<Parameter>,
    pub(super) body: Body,
    /// Beside those that are added by rule.
    pub(super) answers: Vec<Answer>,
}

#[derive(Clone, Copy)]
pub(super) struct Parameter {
    pub(super) name: &'static str,
    pub(super) place: Place,
    pub(super) kind: Kind,
    pub(super) is_required: bool,
    pub(super) meaning: &'static str,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Path,
    Query,
}

#[derive(Clone, Copy)]
pub(super) enum Kind {
    Text,
    Integer,
    Boolean,
    OneOf(&'static [&'static str]),
    /// Only in bodies.
    List,
    Object,
}

/// What a request brings beside its head.
pub(super) enum Body {
    Nothing,
    /// An object, sent as `application/json`, or whatever the client calls it.
    Json(Vec<Field>),
    /// The same, which may be left out.
    JsonOrNothing(Vec<Field>),
    Lines,
    /// `key=value&…`, or the statement itself.
    Form,
    /// Not read.
    Anything,
}

#[derive(Clone, Copy)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) is_required: bool,
    pub(super) meaning: &'static str,
}

#[derive(Clone, Copy)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) content: Content,
    pub(super) meaning: &'static str,
}

/// What is in an answer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    Nothing,
    Text,
    Json,
    /// A message, of either kind.
    Message,
    /// In the format that was asked for.
    Rows,
    Metrics,
}

const fn query(name: &'static str, kind: Kind, meaning: &'static str) -> Parameter {
    Parameter {
        name,
        place: Place::Query,
        kind,
        is_required: false,
        meaning,
    }
}

const fn required(name: &'static str, kind: Kind, meaning: &'static str) -> Parameter {
    Parameter {
        is_required: true,
        ..query(name, kind, meaning)
    }
}

const fn field(name: &'static str, kind: Kind, meaning: &'static str) -> Field {
    Field {
        name,
        kind,
        is_required: false,
        meaning,
    }
}

const fn required_field(name: &'static str, kind: Kind, meaning: &'static str) -> Field {
    Field {
        is_required: true,
        ..field(name, kind, meaning)
    }
}

const fn answer(status: u16, content: Content, meaning: &'static str) -> Answer {
    Answer {
        status,
        content,
        meaning,
    }
}

const DB: Parameter = required("db", Kind::Text, "the database");
const TABLE: Parameter = required("table", Kind::Text, "the table");
const HARD_DELETE_AT: Parameter = query(
    "hard_delete_at",
    Kind::Text,
    "when the data goes for good: `default` (in 72 hours), `now`, `never`, or a time by RFC 3339",
);
const DATA_ONLY: Parameter = query(
    "data_only",
    Kind::Boolean,
    "delete all rows, and keep the rest",
);
const DURATION: Parameter = required(
    "duration",
    Kind::Text,
    "how long rows are kept, such as `30d`",
);
const TOKEN_NAME: Parameter = required("token_name", Kind::Text, "the name of the token");
const FORMATS: Kind = Kind::OneOf(&["json", "jsonl", "json_lines", "csv", "pretty", "parquet"]);

const RETENTION_FIELD: Field = field(
    "retention_period",
    Kind::Text,
    "how long rows are kept, such as `30d`; null is for ever",
);
const DB_FIELD: Field = required_field("db", Kind::Text, "the database");
const TABLE_FIELD: Field = required_field("table", Kind::Text, "the table");
const EXPIRY_FIELD: Field = field(
    "expiry_secs",
    Kind::Integer,
    "seconds until the token expires",
);
const DESCRIPTION_FIELD: Field = field("description", Kind::Text, "what the token is for");

const DONE: Answer = answer(200, Content::Nothing, "done");
const DONE_204: Answer = answer(204, Content::Nothing, "done");
const BAD: Answer = answer(
    400,
    Content::Message,
    "something in the request is wrong, and named",
);
const UNKNOWN: Answer = answer(
    404,
    Content::Message,
    "the database or table does not exist",
);
const UNKNOWN_TOKEN: Answer = answer(404, Content::Message, "there is no such token or secret");
const EXISTS: Answer = answer(409, Content::Message, "something of that name exists");
const DELETED: Answer = answer(409, Content::Message, "it is deleted already");
const CHANGED: Answer = answer(
    409,
    Content::Message,
    "the token does not allow this change as it is now",
);
const LIMIT: Answer = answer(
    422,
    Content::Json,
    "a limit on databases, tables or columns is reached",
);
const BUSY: Answer = answer(
    503,
    Content::Message,
    "the server is stopping, full or without its store: come again",
);
const NOT_WITHOUT_AUTH: Answer = answer(405, Content::Text, "the server runs without tokens");
const CREATED_TOKEN: Answer = answer(
    201,
    Content::Json,
    "the token with its secret, which is shown this once",
);

const QUERY_ANSWERS: [Answer; 8] = [
    answer(200, Content::Rows, "the rows"),
    answer(
        400,
        Content::Message,
        "the request or the statement is wrong",
    ),
    answer(404, Content::Message, "the database does not exist"),
    answer(
        405,
        Content::Message,
        "the statement is known, and not implemented or not allowed by GET",
    ),
    answer(
        409,
        Content::Message,
        "what the statement changes is changing or deleted",
    ),
    answer(499, Content::Message, "the query was stopped"),
    BUSY,
    answer(504, Content::Message, "the query took longer than it may"),
];

const WRITE_PRECISIONS: Kind = Kind::OneOf(&[
    "ns",
    "n",
    "us",
    "u",
    "ms",
    "s",
    "nanosecond",
    "microsecond",
    "millisecond",
    "second",
]);

/// Where and when: of both ways to ask a query.
const ROWS_GET: &[Parameter] = &[
    DB,
    required("q", Kind::Text, "the statement"),
    query(
        "format",
        FORMATS,
        "the format of the rows; else `Accept` says, else `json`",
    ),
    query(
        "params",
        Kind::Text,
        "a JSON object with the values of `$name` in the statement",
    ),
    query(
        "timeout",
        Kind::Text,
        "how long the query may take, such as `10s`",
    ),
];
const INFLUXQL_GET: &[Parameter] = &[
    query("db", Kind::Text, "the database"),
    required("q", Kind::Text, "the statement"),
    query("format", FORMATS, "the format of the rows"),
];
const ROWS_POST: &[Field] = &[
    DB_FIELD,
    required_field("q", Kind::Text, "the statement"),
    field("format", FORMATS, "the format of the rows"),
    field(
        "params",
        Kind::Object,
        "the values of `$name` in the statement",
    ),
    field(
        "timeout",
        Kind::Text,
        "how long the query may take, such as `10s`",
    ),
];

/// What `endpoint` takes and gives.
pub(super) fn describe(endpoint: &Endpoint) -> Description {
    let is_get = matches!(endpoint.method, "GET" | "HEAD");
    let of = |group, summary, parameters: &[Parameter], body, answers: &[Answer]| Description {
        group,
        summary,
        parameters: parameters.to_vec(),
        body,
        answers: answers.to_vec(),
    };
    match endpoint.route {
        Route::Health => of(
            "Server",
            "That the process answers: `OK`, or an object when `Accept` names `application/json`.",
            &[],
            Body::Nothing,
            &[answer(200, Content::Message, "it lives")],
        ),
        Route::Ready => of(
            "Server",
            "Whether to send work: the node takes writes and its object store answers.",
            &[],
            Body::Nothing,
            &[
                answer(200, Content::Message, "ready"),
                answer(
                    503,
                    Content::Message,
                    "stopping, or the store does not answer",
                ),
            ],
        ),
        Route::Ping if endpoint.method == "HEAD" => of(
            "Server",
            "Which server this is, in headers alone.",
            &[],
            Body::Nothing,
            &[DONE_204],
        ),
        Route::Ping => of(
            "Server",
            "Which server this is; 204 without a body to who asks for `application/x-msgpack`, as clients of version 1 do.",
            &[],
            Body::Anything,
            &[
                answer(200, Content::Json, "product, version, revision, process"),
                DONE_204,
            ],
        ),
        Route::Metrics => of(
            "Server",
            "What the server counts, as Prometheus text: metrics.md.",
            &[],
            Body::Nothing,
            &[answer(200, Content::Metrics, "all families")],
        ),
        Route::OpenApi => of(
            "Server",
            "This interface as an OpenAPI 3.1 document.",
            &[],
            Body::Nothing,
            &[answer(200, Content::Json, "the document")],
        ),
        Route::HeapProfile => of(
            "Server",
            "A profile of the heap, which this build has not.",
            &[],
            Body::Anything,
            &[answer(503, Content::Text, "profiling is off")],
        ),
        Route::License => of(
            "Server",
            "The license: there is none to have.",
            &[],
            Body::Nothing,
            &[answer(200, Content::Json, "`license_type` is `none`")],
        ),
        Route::TelemetrySnapshot => of(
            "Server",
            "What telemetry would send. The server sends none, so there is nothing here.",
            &[],
            Body::Nothing,
            &[answer(404, Content::Text, "always")],
        ),
        Route::WriteLp => of(
            "Writes",
            "Write lines; good ones are kept when others are bad.",
            &[
                DB,
                query(
                    "precision",
                    Kind::OneOf(&[
                        "auto",
                        "ns",
                        "n",
                        "us",
                        "u",
                        "ms",
                        "s",
                        "nanosecond",
                        "microsecond",
                        "millisecond",
                        "second",
                    ]),
                    "the unit of times; `auto` tells by their size",
                ),
                query(
                    "accept_partial",
                    Kind::Boolean,
                    "keep good lines when some are bad; true by default",
                ),
                query(
                    "no_sync",
                    Kind::Boolean,
                    "answer before the lines are durable; false by default",
                ),
            ],
            Body::Lines,
            &[
                DONE_204,
                answer(
                    400,
                    Content::Message,
                    "bad lines, listed; or the request is wrong",
                ),
                LIMIT,
                BUSY,
            ],
        ),
        Route::WriteV2 => of(
            "Writes",
            "Write lines as clients of version 2 do, all or nothing. Failures are `{\"code\",\"message\"}`.",
            &[
                required("bucket", Kind::Text, "the database"),
                query("org", Kind::Text, "not used"),
                query(
                    "precision",
                    WRITE_PRECISIONS,
                    "the unit of times; `ns` by default",
                ),
            ],
            Body::Lines,
            &[
                DONE_204,
                answer(
                    400,
                    Content::Message,
                    "a bad line or limit, and nothing is written; or the request is wrong",
                ),
                BUSY,
            ],
        ),
        Route::WriteV1 => of(
            "Writes",
            "Write lines as clients of version 1 do, all or nothing.",
            &[
                DB,
                query(
                    "rp",
                    Kind::Text,
                    "a retention policy, which is a part of the database's name here",
                ),
                query(
                    "precision",
                    WRITE_PRECISIONS,
                    "the unit of times; `ns` by default",
                ),
                query("consistency", Kind::Text, "not used"),
                query("u", Kind::Text, "a user, who does not matter"),
                query("p", Kind::Text, "a token"),
            ],
            Body::Lines,
            &[
                DONE_204,
                answer(
                    400,
                    Content::Message,
                    "a bad line, and nothing is written; or the request is wrong",
                ),
                LIMIT,
                BUSY,
            ],
        ),
        Route::QuerySql => of(
            "Queries",
            "Ask one statement of SQL. By POST it may be a DELETE.",
            if is_get { ROWS_GET } else { &[] },
            if is_get {
                Body::Nothing
            } else {
                Body::Json(ROWS_POST.to_vec())
            },
            &QUERY_ANSWERS,
        ),
        Route::QueryInfluxql => of(
            "Queries",
            "Ask one statement of InfluxQL.",
            if is_get { INFLUXQL_GET } else { &[] },
            if is_get {
                Body::Nothing
            } else {
                Body::Json(vec![
                    field("db", Kind::Text, "the database"),
                    required_field("q", Kind::Text, "the statement"),
                    field("format", FORMATS, "the format of the rows"),
                ])
            },
            &QUERY_ANSWERS,
        ),
        Route::QueryV1 => of(
            "Queries",
            "Ask statements of InfluxQL as clients of version 1 do; a statement that fails says so inside of a 200.",
            &[
                query("db", Kind::Text, "the database"),
                query("q", Kind::Text, "the statement, unless the body is it"),
                query("epoch", Kind::Text, "the unit of times"),
                query("pretty", Kind::Text, "`true` indents"),
                query("u", Kind::Text, "a user, who does not matter"),
                query("p", Kind::Text, "a token"),
            ],
            if is_get { Body::Nothing } else { Body::Form },
            &[answer(200, Content::Rows, "the results"), BAD, BUSY],
        ),
        Route::CancelQuery => of(
            "Queries",
            "Stop a query that runs; ids are those of `system.queries`.",
            &[],
            Body::Nothing,
            &[
                DONE_204,
                answer(
                    404,
                    Content::Message,
                    "no such query runs, as far as the caller may know",
                ),
            ],
        ),
        Route::ShowQueryConcurrencyLimit => of(
            "Queries",
            "How many queries run at once.",
            &[],
            Body::Nothing,
            &[answer(200, Content::Json, "the number")],
        ),
        Route::SetQueryConcurrencyLimit => of(
            "Queries",
            "How many queries may run at once, until the next start.",
            &[query("force", Kind::Boolean, "allow less than 16")],
            Body::Json(vec![field(
                "max_concurrent_queries",
                Kind::Integer,
                "null is what it was at the start",
            )]),
            &[DONE_204, BAD],
        ),
        Route::ClearQueryConcurrencyLimit => of(
            "Queries",
            "Back to the limit of the start.",
            &[],
            Body::Nothing,
            &[DONE_204],
        ),
        Route::DeleteRows => of(
            "Writes",
            "Delete rows of a database by time and tags, as clients of version 2 do.",
            &[
                query("bucket", Kind::Text, "the database"),
                query("bucketID", Kind::Text, "the same"),
                query("org", Kind::Text, "not used"),
            ],
            Body::Json(vec![
                required_field("start", Kind::Text, "a time by RFC 3339, included"),
                required_field("stop", Kind::Text, "a time by RFC 3339, not included"),
                field(
                    "predicate",
                    Kind::Text,
                    "such as `_measurement=\"cpu\" AND host=\"a\"`",
                ),
            ]),
            &[
                DONE_204,
                BAD,
                answer(404, Content::Message, "the database does not exist"),
                answer(409, Content::Message, "what is to be deleted is changing"),
                BUSY,
            ],
        ),
        Route::ListDatabases => of(
            "Databases",
            "The databases that the caller may know of.",
            &[
                required("format", FORMATS, "the format of the list"),
                query("show_deleted", Kind::Boolean, "with those that are deleted"),
            ],
            Body::Nothing,
            &[answer(200, Content::Rows, "the names"), BAD],
        ),
        Route::CreateDatabase => of(
            "Databases",
            "Make a database.",
            &[],
            Body::Json(vec![DB_FIELD, RETENTION_FIELD]),
            &[DONE, BAD, EXISTS, LIMIT, BUSY],
        ),
        Route::UpdateDatabase => of(
            "Databases",
            "Set how long rows of a database are kept.",
            &[],
            Body::Json(vec![DB_FIELD, RETENTION_FIELD]),
            &[DONE, BAD, UNKNOWN, DELETED, BUSY],
        ),
        Route::DeleteDatabase => of(
            "Databases",
            "Delete a database: it is renamed and hidden at once, and its data goes later.",
            &[
                DB,
                HARD_DELETE_AT,
                DATA_ONLY,
                query(
                    "remove_tables",
                    Kind::Boolean,
                    "with `data_only`: the tables too",
                ),
            ],
            Body::Nothing,
            &[DONE, BAD, UNKNOWN, DELETED, BUSY],
        ),
        Route::UndeleteDatabase => of(
            "Databases",
            "Bring a deleted database back with its tables and data, before the data goes.",
            &[],
            Body::Json(vec![
                required_field(
                    "db",
                    Kind::Text,
                    "the name that it was given by its deletion",
                ),
                field(
                    "as",
                    Kind::Text,
                    "its name from now on; else the one it had",
                ),
            ]),
            &[
                answer(200, Content::Json, "the name, as `db`"),
                answer(
                    400,
                    Content::Message,
                    "its data has gone; or the request is wrong",
                ),
                UNKNOWN,
                answer(
                    409,
                    Content::Message,
                    "it is not deleted, or the name is taken",
                ),
                LIMIT,
                BUSY,
            ],
        ),
        Route::SetDatabaseRetention => of(
            "Databases",
            "Set how long rows of a database are kept.",
            &[DB, DURATION],
            Body::Anything,
            &[DONE_204, BAD, UNKNOWN, DELETED, BUSY],
        ),
        Route::ClearDatabaseRetention => of(
            "Databases",
            "Keep rows of a database for ever.",
            &[DB],
            Body::Nothing,
            &[DONE_204, BAD, UNKNOWN, DELETED, BUSY],
        ),
        Route::CreateTable => of(
            "Tables",
            "Make a table, and its database when there is none.",
            &[],
            Body::Json(vec![
                DB_FIELD,
                TABLE_FIELD,
                field("tags", Kind::List, "names of tags"),
                field(
                    "fields",
                    Kind::List,
                    "objects with `name` and `type`: `utf8`, `int64`, `uint64`, `float64`, `bool`",
                ),
                RETENTION_FIELD,
            ]),
            &[DONE, BAD, EXISTS, LIMIT, BUSY],
        ),
        Route::UpdateTable => of(
            "Tables",
            "Set how long rows of a table are kept; null is as long as its database says.",
            &[],
            Body::Json(vec![DB_FIELD, TABLE_FIELD, RETENTION_FIELD]),
            &[DONE, BAD, UNKNOWN, DELETED, BUSY],
        ),
        Route::DeleteTable => of(
            "Tables",
            "Delete a table: it is renamed and hidden at once, and its data goes later.",
            &[DB, TABLE, HARD_DELETE_AT, DATA_ONLY],
            Body::Nothing,
            &[DONE, BAD, UNKNOWN, DELETED, BUSY],
        ),
        Route::UndeleteTable => of(
            "Tables",
            "Bring a deleted table back with its data, before the data goes.",
            &[],
            Body::Json(vec![
                DB_FIELD,
                required_field(
                    "table",
                    Kind::Text,
                    "the name that it was given by its deletion",
                ),
                field(
                    "as",
                    Kind::Text,
                    "its name from now on; else the one it had",
                ),
            ]),
            &[
                answer(200, Content::Json, "the names, as `db` and `table`"),
                answer(
                    400,
                    Content::Message,
                    "its data has gone; or the request is wrong",
                ),
                UNKNOWN,
                answer(
                    409,
                    Content::Message,
                    "it is not deleted, its database is, or the name is taken",
                ),
                LIMIT,
                BUSY,
            ],
        ),
        Route::SetTableRetention => of(
            "Tables",
            "Set how long rows of a table are kept.",
            &[DB, TABLE, DURATION],
            Body::Anything,
            &[DONE_204, BAD, UNKNOWN, DELETED, BUSY],
        ),
        Route::ClearTableRetention => of(
            "Tables",
            "Keep rows of a table as long as its database says.",
            &[DB, TABLE],
            Body::Nothing,
            &[DONE_204, BAD, UNKNOWN, DELETED, BUSY],
        ),
        Route::CreateOperatorToken => of(
            "Tokens",
            "Make the operator token, once, for whoever asks first; or for an administrator an admin token of the name given.",
            &[],
            Body::JsonOrNothing(vec![field(
                "name",
                Kind::Text,
                "of an admin token, when an administrator asks",
            )]),
            &[CREATED_TOKEN, BAD, EXISTS, NOT_WITHOUT_AUTH, BUSY],
        ),
        Route::RegenerateOperatorToken => of(
            "Tokens",
            "Give the operator token another secret; only its holder may.",
            &[
                query(
                    "grace_secs",
                    Kind::Integer,
                    "how long the former secret lives on",
                ),
                query(
                    "expiry_secs",
                    Kind::Integer,
                    "seconds until the token expires",
                ),
                query(
                    "stage",
                    Kind::Boolean,
                    "the new secret waits to be confirmed",
                ),
                query("stage_secs", Kind::Integer, "how long it waits"),
            ],
            Body::JsonOrNothing(vec![]),
            &[
                CREATED_TOKEN,
                BAD,
                UNKNOWN_TOKEN,
                NOT_WITHOUT_AUTH,
                CHANGED,
                PRECONDITION,
                BUSY,
            ],
        ),
        Route::CreateNamedAdminToken => of(
            "Tokens",
            "Make an admin token.",
            &[],
            Body::Json(vec![
                required_field("token_name", Kind::Text, "its name"),
                EXPIRY_FIELD,
                DESCRIPTION_FIELD,
            ]),
            &[CREATED_TOKEN, BAD, NOT_WITHOUT_AUTH, EXISTS, BUSY],
        ),
        Route::CreateToken => of(
            "Tokens",
            "Make a token with some permissions.",
            &[],
            Body::Json(vec![
                required_field("token_name", Kind::Text, "its name"),
                required_field(
                    "permissions",
                    Kind::List,
                    "texts such as `db:a:read,write`, or objects with `resource_type`, `resource_names`, `actions`",
                ),
                EXPIRY_FIELD,
                DESCRIPTION_FIELD,
            ]),
            &[
                CREATED_TOKEN,
                BAD,
                answer(
                    404,
                    Content::Message,
                    "a permission names a database or table that does not exist",
                ),
                NOT_WITHOUT_AUTH,
                EXISTS,
                BUSY,
            ],
        ),
        Route::ListTokens => of(
            "Tokens",
            "All tokens for an administrator, for everybody else his own. No secrets.",
            &[],
            Body::Nothing,
            &[answer(200, Content::Json, "the tokens"), NOT_WITHOUT_AUTH],
        ),
        Route::DescribeOwnToken => of(
            "Tokens",
            "The token that asks.",
            &[],
            Body::Nothing,
            &[answer(200, Content::Json, "the token"), NOT_WITHOUT_AUTH],
        ),
        Route::RegenerateToken => of(
            "Tokens",
            "Give a token another secret.",
            &[
                query(
                    "token_name",
                    Kind::Text,
                    "the name of the token, here or in the body",
                ),
                query(
                    "grace_secs",
                    Kind::Integer,
                    "how long the former secret lives on",
                ),
                query(
                    "expiry_secs",
                    Kind::Integer,
                    "seconds until the token expires",
                ),
                query(
                    "stage",
                    Kind::Boolean,
                    "the new secret waits to be confirmed",
                ),
                query("stage_secs", Kind::Integer, "how long it waits"),
            ],
            Body::JsonOrNothing(vec![field(
                "token_name",
                Kind::Text,
                "the name of the token",
            )]),
            &[
                CREATED_TOKEN,
                BAD,
                UNKNOWN_TOKEN,
                NOT_WITHOUT_AUTH,
                CHANGED,
                PRECONDITION,
                BUSY,
            ],
        ),
        Route::ConfirmRotation => of(
            "Tokens",
            "Put the staged secret in force that the request is made with.",
            &[query(
                "grace_secs",
                Kind::Integer,
                "how long the former secret lives on",
            )],
            Body::Anything,
            &[
                answer(200, Content::Json, "the token"),
                BAD,
                UNKNOWN_TOKEN,
                NOT_WITHOUT_AUTH,
                CHANGED,
                BUSY,
            ],
        ),
        Route::DropPreviousSecret => of(
            "Tokens",
            "End the life of a former secret.",
            &[TOKEN_NAME],
            Body::Nothing,
            &[DONE, BAD, UNKNOWN_TOKEN, NOT_WITHOUT_AUTH, CHANGED, BUSY],
        ),
        Route::DropStagedSecret => of(
            "Tokens",
            "Forget a secret that was not confirmed.",
            &[TOKEN_NAME],
            Body::Nothing,
            &[DONE, BAD, UNKNOWN_TOKEN, NOT_WITHOUT_AUTH, CHANGED, BUSY],
        ),
        Route::DeleteToken => of(
            "Tokens",
            "Delete a token.",
            &[TOKEN_NAME],
            Body::Nothing,
            &[
                DONE,
                BAD,
                UNKNOWN_TOKEN,
                answer(
                    405,
                    Content::Message,
                    "it is the operator token; or the server runs without tokens",
                ),
                CHANGED,
                BUSY,
            ],
        ),
        Route::Unbuilt(_) => of(
            "Not implemented yet",
            "Known, and not there yet.",
            &[],
            Body::Anything,
            &[answer(501, Content::Json, "not implemented yet")],
        ),
    }
}

const PRECONDITION: Answer = answer(412, Content::Message, "`If-Match` names another secret");

/// All answers of an endpoint by status: its own, and those of what happens before it is reached.
pub(super) fn answers(endpoint: &Endpoint) -> Vec<Answer> {
    let description = describe(endpoint);
    let mut answers = description.answers;
    let mut add = |answer: Answer| {
        if answers.iter().all(|known| known.status != answer.status) {
            answers.push(answer);
        }
    };
    let rule = rule(endpoint.route);
    if rule != Rule::Open {
        add(answer(
            400,
            Content::Message,
            "the credentials cannot be read",
        ));
        add(answer(
            401,
            Content::Message,
            "no valid token came with the request",
        ));
        add(answer(
            403,
            Content::Message,
            "the token does not allow this",
        ));
        add(answer(
            429,
            Content::Message,
            "too many invalid tokens came from this address",
        ));
    }
    match description.body {
        Body::Nothing | Body::Anything => {}
        Body::Json(_) | Body::JsonOrNothing(_) | Body::Lines | Body::Form => {
            add(answer(408, Content::Message, "the body comes too slowly"));
            add(answer(413, Content::Message, "the body is too large"));
        }
    }
    let wants_type = matches!(
        endpoint.route,
        Route::CreateDatabase
            | Route::UpdateDatabase
            | Route::UndeleteDatabase
            | Route::CreateTable
            | Route::UpdateTable
            | Route::UndeleteTable
            | Route::CreateNamedAdminToken
            | Route::CreateToken
    );
    if wants_type {
        add(answer(
            415,
            Content::Text,
            "the body is not called `application/json`",
        ));
    }
    answers.sort_by_key(|answer| answer.status);
    answers
}

/// Names in the path of an endpoint, and what they stand for.
pub(super) fn parameters(endpoint: &Endpoint) -> Vec<Parameter> {
    let in_path = endpoint.path.split('/').filter_map(|part| {
        let name = part.strip_prefix('{')?.strip_suffix('}')?;
        Some(Parameter {
            name,
            place: Place::Path,
            kind: Kind::Text,
            is_required: true,
            meaning: match name {
                "path" => "the path of a trigger",
                _ => "what is meant",
            },
        })
    });
    in_path.chain(describe(endpoint).parameters).collect()
}
