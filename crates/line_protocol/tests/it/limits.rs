//! How long an element may be (spec/write-and-storage.md §3.5), and what very long lines cost.

use line_protocol::{ELEMENT_MAX_BYTES, Parser, Series};

/// The error of the only line of `body`, if it has one.
fn error(body: &str) -> Option<String> {
    let mut fields = Vec::new();
    let line = Parser::new(body)
        .next_line(&mut fields)
        .expect("the body has a line");
    match line {
        Ok(line) => Series::parse(&line).err().map(|error| error.to_string()),
        Err(rejected) => Some(rejected.error.to_string()),
    }
}

#[test]
fn an_element_may_have_one_mebibyte() {
    let fits = "x".repeat(ELEMENT_MAX_BYTES);
    let exceeds = "x".repeat(ELEMENT_MAX_BYTES + 1);
    for place in [
        "_ f=1",
        "w,_=a f=1",
        "w,a=_ f=1",
        "w _=1",
        "w f=\"_\"",
        "w f=1i,_=2u 10",
    ] {
        assert_eq!(error(&place.replace('_', &fits)), None, "{place}");
        assert_eq!(
            error(&place.replace('_', &exceeds)).as_deref(),
            Some("String is greater than 1MB"),
            "{place}"
        );
    }
}

#[test]
fn an_element_is_measured_without_its_escapes() {
    // One backslash more than fits, and one character more than that.
    for (place, escaped) in [
        ("w,a=_ f=1", "\\ "),
        ("w _=1", "\\,"),
        ("w f=\"_\"", "\\\""),
    ] {
        let fits = "x".repeat(ELEMENT_MAX_BYTES - 1) + escaped;
        let exceeds = "x".repeat(ELEMENT_MAX_BYTES) + escaped;
        assert_eq!(error(&place.replace('_', &fits)), None, "{place}");
        assert_eq!(
            error(&place.replace('_', &exceeds)).as_deref(),
            Some("String is greater than 1MB"),
            "{place}"
        );
    }
}

#[test]
fn a_repeated_tag_is_found_among_many() {
    let tags: String = (0..100_000).map(|tag| format!(",t{tag}=v")).collect();
    assert_eq!(error(&format!("w{tags} f=1")), None);
    assert_eq!(
        error(&format!("w{tags},t9=v,t3=v f=1")).as_deref(),
        Some("invalid line protocol - multiple instances of 't9' tag found")
    );
}

/// Each of these would take long if a bad line were paid for by the whole body.
#[test]
fn bad_lines_cost_no_more_than_their_length() {
    for line in [
        "w,a,b=\"x\n",
        "w t=\\\"\n",
        "w\n",
        "w t=1 x\n",
        "w a,b=\n",
        "\\ \\ = \"\n",
    ] {
        let body = line.repeat(300_000 / line.len());
        let mut parser = Parser::new(&body);
        let mut fields = Vec::new();
        let mut count = 0;
        while let Some(outcome) = parser.next_line(&mut fields) {
            assert!(outcome.is_err());
            count += 1;
        }
        assert!(count > 0);
    }
}
