//! The descriptions as one document of OpenAPI 3.1.

use std::collections::BTreeMap;

use hyper::Response;
use serde_json::{Map, Value, json};

use super::{Answer, Body, Content, Field, Kind, Parameter, Place, answers, describe, parameters};
use crate::Error;
use crate::authorization::{Rule, rule};
use crate::http::response::{self, ResponseBody};
use crate::http::router::{ENDPOINTS, Endpoint};

const JSON: &str = "application/json";
const TEXT: &str = "text/plain";

/// `GET /api/v3/openapi.json`.
pub(crate) fn document() -> Result<Response<ResponseBody>, Error> {
    response::json(&value())
}

/// All endpoints, paths and methods in their order.
pub(super) fn value() -> Value {
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for endpoint in &ENDPOINTS {
        let method = endpoint.method.to_ascii_lowercase();
        let path = paths.entry(endpoint.path).or_default();
        path.insert(method, operation(endpoint));
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Gnomon",
            "description": "The HTTP interface of Gnomon, a time-series database that clients of InfluxDB 3 use without noticing the change.",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "security": [{ "bearer": [] }, { "basic": [] }],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "bearer": { "type": "http", "scheme": "bearer" },
                "basic": {
                    "type": "http",
                    "scheme": "basic",
                    "description": "the password is the token, the user does not matter",
                },
            },
        },
    })
}

fn operation(endpoint: &Endpoint) -> Value {
    let description = describe(endpoint);
    let mut operation = json!({
        "operationId": operation_id(endpoint),
        "tags": [description.group],
        "summary": description.summary,
        "responses": responses(endpoint),
    });
    let parameters: Vec<Value> = parameters(endpoint).iter().map(parameter).collect();
    if !parameters.is_empty() {
        operation["parameters"] = Value::Array(parameters);
    }
    if let Some(body) = body(description.body) {
        operation["requestBody"] = body;
    }
    if rule(endpoint.route) == Rule::Open {
        operation["security"] = json!([]);
    }
    operation
}

/// `get_api_v3_query_sql`.
fn operation_id(endpoint: &Endpoint) -> String {
    let path = endpoint
        .path
        .replace(|letter: char| !letter.is_ascii_alphanumeric(), "_");
    let words: Vec<&str> = path.split('_').filter(|word| !word.is_empty()).collect();
    format!("{}_{}", endpoint.method.to_lowercase(), words.join("_"))
}

fn parameter(parameter: &Parameter) -> Value {
    json!({
        "name": parameter.name,
        "in": match parameter.place {
            Place::Path => "path",
            Place::Query => "query",
        },
        "required": parameter.is_required,
        "description": parameter.meaning,
        "schema": schema(parameter.kind),
    })
}

fn schema(kind: Kind) -> Value {
    match kind {
        Kind::Text => json!({ "type": "string" }),
        Kind::Integer => json!({ "type": "integer", "minimum": 0 }),
        Kind::Boolean => json!({ "type": "boolean" }),
        Kind::OneOf(words) => json!({ "type": "string", "enum": words }),
        Kind::List => json!({ "type": "array", "items": {} }),
        Kind::Object => json!({ "type": "object" }),
    }
}

fn body(body: Body) -> Option<Value> {
    let (is_required, content) = match body {
        Body::Nothing | Body::Anything => return None,
        Body::Json(fields) => (true, json!({ JSON: { "schema": object(&fields) } })),
        Body::JsonOrNothing(fields) => (false, json!({ JSON: { "schema": object(&fields) } })),
        Body::Lines => (
            true,
            json!({ TEXT: {
                "schema": { "type": "string" },
                "example": "cpu,host=a usage=0.5 1700000000000000000",
            } }),
        ),
        Body::Form => (
            false,
            json!({
                "application/x-www-form-urlencoded": { "schema": { "type": "object" } },
                "application/vnd.influxql": { "schema": { "type": "string" } },
            }),
        ),
    };
    Some(json!({ "required": is_required, "content": content }))
}

fn object(fields: &[Field]) -> Value {
    let mut properties = Map::new();
    for field in fields {
        let mut of_field = schema(field.kind);
        of_field["description"] = field.meaning.into();
        if !field.is_required
            && let Some(kind) = of_field.get("type").cloned()
        {
            of_field["type"] = json!([kind, "null"]);
            if let Some(words) = of_field.get_mut("enum").and_then(Value::as_array_mut) {
                words.push(Value::Null);
            }
        }
        properties.insert(field.name.to_string(), of_field);
    }
    let required = fields.iter().filter(|field| field.is_required);
    let required: Vec<&str> = required.map(|field| field.name).collect();
    json!({ "type": "object", "properties": properties, "required": required })
}

fn responses(endpoint: &Endpoint) -> Value {
    let answers = answers(endpoint);
    let told = answers
        .iter()
        .map(|answer| (answer.status.to_string(), response(answer)));
    Value::Object(told.collect())
}

fn response(answer: &Answer) -> Value {
    let media: &[&str] = match answer.content {
        Content::Nothing => &[],
        Content::Text => &[TEXT],
        Content::Json => &[JSON],
        Content::Message => &[JSON, TEXT],
        Content::Rows => &[
            JSON,
            "application/jsonl",
            "text/csv",
            TEXT,
            "application/vnd.apache.parquet",
        ],
        Content::Metrics => &["text/plain"],
    };
    let mut told = json!({ "description": answer.meaning });
    if !media.is_empty() {
        let content = media.iter().map(|name| (name.to_string(), json!({})));
        told["content"] = Value::Object(content.collect());
    }
    told
}
