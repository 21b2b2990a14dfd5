//! What is generated is what lies in docs/reference; `UPDATE=1` rewrites it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::*;
use crate::http::router::ENDPOINTS;

fn reference(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../docs/reference")
        .join(name)
}

fn check(name: &str, made: &str) {
    let path = reference(name);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, made).expect("docs/reference can be written to");
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == made,
        "docs/reference/{name} is not what the router says (UPDATE=1 rewrites it)"
    );
}

#[test]
fn the_document_is_that_of_the_router() {
    let mut made = serde_json::to_string_pretty(&openapi::value()).expect("JSON");
    made.push('\n');
    check("openapi.json", &made);
    let operations = openapi::value()["paths"]
        .as_object()
        .expect("paths")
        .values()
        .map(|path| path.as_object().expect("methods").len())
        .sum::<usize>();
    assert_eq!(operations, ENDPOINTS.len());
}

#[test]
fn operations_have_names_of_their_own() {
    let document = openapi::value();
    let paths = document["paths"].as_object().expect("paths");
    let mut names: Vec<&str> = paths
        .values()
        .flat_map(|path| path.as_object().expect("methods").values())
        .map(|operation| operation["operationId"].as_str().expect("a name"))
        .collect();
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all);
}

#[test]
fn the_page_is_that_of_the_router() {
    let mut page = include_str!("introduction.md").to_string();
    for group in [
        "Server",
        "Writes",
        "Queries",
        "Databases",
        "Tables",
        "Tokens",
        "Not implemented yet",
    ] {
        write!(page, "\n## {group}\n").expect("text");
        for endpoint in &ENDPOINTS {
            if describe(endpoint).group == group {
                show(endpoint, &mut page);
            }
        }
    }
    check("http-api.md", &page);
    for endpoint in &ENDPOINTS {
        let title = format!("`{} {}`", endpoint.method, endpoint.path);
        assert!(page.contains(&title), "{title}");
    }
    for line in page.lines() {
        assert!(line.chars().count() <= 160, "{line}");
    }
}

fn show(endpoint: &Endpoint, page: &mut String) {
    let description = describe(endpoint);
    let title = format!("`{} {}`", endpoint.method, endpoint.path);
    let Route::Unbuilt(feature) = endpoint.route else {
        write!(page, "\n### {title}\n\n{}\n\n", description.summary).expect("text");
        for parameter in parameters(endpoint) {
            let place = match parameter.place {
                Place::Path => "path",
                Place::Query => "query",
            };
            let need = if parameter.is_required {
                ", required"
            } else {
                ""
            };
            let (name, meaning) = (parameter.name, parameter.meaning);
            writeln!(page, "- {place} `{name}`{need}: {meaning}").expect("text");
        }
        match description.body {
            Body::Nothing | Body::Anything => {}
            Body::Lines => writeln!(page, "- body: line protocol").expect("text"),
            Body::Form => {
                writeln!(page, "- body: a form with the same keys, or the statement")
                    .expect("text");
            }
            Body::Json(fields) | Body::JsonOrNothing(fields) => {
                for field in fields {
                    let need = if field.is_required { ", required" } else { "" };
                    let (name, meaning) = (field.name, field.meaning);
                    writeln!(page, "- body `{name}`{need}: {meaning}").expect("text");
                }
            }
        }
        // The others are told once, in the introduction.
        let own = describe(endpoint).answers;
        let is_own = |answer: &Answer| own.iter().any(|known| known.status == answer.status);
        for answer in answers(endpoint).into_iter().filter(is_own) {
            writeln!(page, "- **{}** {}", answer.status, answer.meaning).expect("text");
        }
        return;
    };
    // All of these are told alike.
    if page.ends_with("yet\n") {
        page.push('\n');
    }
    writeln!(page, "- {title}: {}", feature.name()).expect("text");
}
