//! Scenario files: requests and expected responses as text (the format is described in `compat/README.md`).
//!
//! [`Scenario`] gives one request after the other and checks what came back; whoever runs it brings the server and carries the requests.
//! The tests of `server` do that inside of their process, those of `cli` with the binary. Not here: HTTP.

use std::collections::HashMap;

/// Stands for any text in an expected header or body.
const ANYTHING: char = '…';

/// One to be sent.
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

/// What came back; names of headers in lower case.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Lines that begin alike, without their marks, and where they begin.
struct Block {
    mark: char,
    line_number: usize,
    lines: Vec<String>,
}

/// A conversation, and how far it has come.
pub(crate) struct Scenario {
    name: String,
    blocks: std::vec::IntoIter<Block>,
    settings: Vec<(String, String)>,
    /// Values of earlier answers.
    names: HashMap<String, String>,
    answer: Option<Answer>,
    asked: bool,
}

impl Scenario {
    pub(crate) fn parse(name: &str, text: &str) -> Self {
        let mut settings = Vec::new();
        let mut blocks = Vec::new();
        for block in blocks_of(name, text) {
            if block.mark != 's' {
                blocks.push(block);
                continue;
            }
            for word in block.lines.iter().flat_map(|line| line.split_whitespace()) {
                let (key, value) = word
                    .split_once('=')
                    .unwrap_or_else(|| panic!("{name}: setting `{word}`"));
                settings.push((key.to_string(), value.to_string()));
            }
        }
        Self {
            name: name.to_string(),
            blocks: blocks.into_iter(),
            settings,
            names: HashMap::new(),
            answer: None,
            asked: false,
        }
    }

    /// How the server has to be set up.
    pub(crate) fn settings(&self) -> &[(String, String)] {
        &self.settings
    }

    /// The next request; `None` at the end. The answer to the one before has to have been checked.
    pub(crate) fn next_request(&mut self) -> Option<Request> {
        assert!(!self.asked, "{}: a request has no response", self.name);
        loop {
            let (place, mark, lines) = self.next_block()?;
            match mark {
                '>' => {
                    self.asked = true;
                    return Some(request_of(&place, &lines));
                }
                'l' => {
                    let found = self
                        .answer
                        .as_ref()
                        .unwrap_or_else(|| panic!("{place}: no answer"));
                    remember(&place, &lines, found, &mut self.names);
                }
                _ => panic!("{place}: no request"),
            }
        }
    }

    pub(crate) fn check(&mut self, answer: Answer) {
        let next = self.next_block();
        let Some((place, '<', lines)) = next else {
            panic!("{}: the last request has no response", self.name);
        };
        check(&place, &lines, &answer);
        self.answer = Some(answer);
        self.asked = false;
    }

    fn next_block(&mut self) -> Option<(String, char, Vec<String>)> {
        let block = self.blocks.next()?;
        let place = format!("{}:{}", self.name, block.line_number);
        let filled = block.lines.iter().map(|line| fill_in(line, &self.names));
        Some((place, block.mark, filled.collect()))
    }
}

fn blocks_of(name: &str, text: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut previous = ' ';
    for (at, line) in text.lines().enumerate() {
        let (mark, content) = match line.chars().next() {
            None | Some('#') => (' ', ""),
            Some(mark @ ('>' | '<')) => {
                let content = &line[1..];
                (mark, content.strip_prefix(' ').unwrap_or(content))
            }
            Some(_) => match line.split_once(' ') {
                Some(("server", content)) => ('s', content),
                Some(("let", content)) => ('l', content),
                _ => panic!("{name}:{}: cannot read `{line}`", at + 1),
            },
        };
        if mark != ' ' && mark == previous {
            let block = blocks.last_mut().expect("a block was begun");
            block.lines.push(content.to_string());
        } else if mark != ' ' {
            blocks.push(Block {
                mark,
                line_number: at + 1,
                lines: vec![content.to_string()],
            });
        }
        previous = mark;
    }
    blocks
}

/// `METHOD PATH`, headers, an empty line, a body.
fn request_of(place: &str, lines: &[String]) -> Request {
    let (method, target) = lines[0]
        .split_once(' ')
        .unwrap_or_else(|| panic!("{place}: no method and path"));
    let (headers, body) = split_at_empty(&lines[1..]);
    let headers = headers.iter().map(|header| {
        let (name, value) = header
            .split_once(": ")
            .unwrap_or_else(|| panic!("{place}: cannot read header `{header}`"));
        (name.to_string(), value.to_string())
    });
    Request {
        method: method.to_string(),
        target: target.to_string(),
        headers: headers.collect(),
        body: body.map(|lines| lines.join("\n")).unwrap_or_default(),
    }
}

/// A status, headers that must (or with `!` must not) be there, an empty line, the whole body.
fn check(place: &str, lines: &[String], answer: &Answer) {
    let shown = format!(
        "{place}: got {} {:?}\n{}",
        answer.status,
        answer.headers,
        answer.text()
    );
    assert_eq!(lines[0], answer.status.to_string(), "{shown}");
    let (headers, body) = split_at_empty(&lines[1..]);
    for header in headers {
        match header.split_once(": ") {
            Some((name, expected)) => {
                let matches = answer
                    .header(name)
                    .is_some_and(|found| like(expected, found));
                assert!(matches, "expected header `{header}`\n{shown}");
            }
            None => {
                let name = header
                    .strip_prefix('!')
                    .unwrap_or_else(|| panic!("{place}: `{header}`"));
                assert!(
                    answer.header(name).is_none(),
                    "unexpected `{name}`\n{shown}"
                );
            }
        }
    }
    if let Some(expected) = body {
        let expected = expected.join("\n");
        assert!(
            like(&expected, &answer.text()),
            "expected body\n{expected}\n{shown}"
        );
    }
}

/// `NAME = KEY`: gives the value of a key of the last JSON body a name.
fn remember(place: &str, lines: &[String], answer: &Answer, names: &mut HashMap<String, String>) {
    for line in lines {
        let (name, key) = line
            .split_once(" = ")
            .unwrap_or_else(|| panic!("{place}: cannot read `{line}`"));
        let body: serde_json::Value =
            serde_json::from_slice(&answer.body).unwrap_or_else(|_| panic!("{place}: no JSON"));
        let value = body[key]
            .as_str()
            .unwrap_or_else(|| panic!("{place}: no text `{key}`"));
        names.insert(name.to_string(), value.to_string());
    }
}

fn fill_in(line: &str, names: &HashMap<String, String>) -> String {
    names.iter().fold(line.to_string(), |line, (name, value)| {
        line.replace(&format!("${{{name}}}"), value)
    })
}

fn split_at_empty(lines: &[String]) -> (&[String], Option<&[String]>) {
    match lines.iter().position(String::is_empty) {
        Some(at) => (&lines[..at], Some(&lines[at + 1..])),
        None => (lines, None),
    }
}

/// Whether `found` is `expected`, where `…` in the latter stands for any text.
fn like(expected: &str, found: &str) -> bool {
    let mut parts = expected.split(ANYTHING);
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = found.strip_prefix(first) else {
        return false;
    };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else {
        return rest.is_empty();
    };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[test]
fn wildcards() {
    for (expected, found, matches) in [
        ("abc", "abc", true),
        ("abc", "abcd", false),
        ("a…c", "abbc", true),
        ("a…c", "ac", true),
        ("a…c", "acb", false),
        ("…", "", true),
        ("a…b…c", "a1c2b3c", true),
        ("a…b…c", "a1c2c", false),
    ] {
        assert_eq!(like(expected, found), matches, "{expected} {found}");
    }
}
