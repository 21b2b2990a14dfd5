//! A Rust file prepared for the rules: its code without comments and literals, and which lines are tests.
//!
//! The reading is lexical: enough to tell code from comments, strings and test modules, no more.

use std::collections::HashSet;
use std::ops::Range;

/// One `.rs` file.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// Relative to the checkout.
    pub(crate) path: String,
    /// Line by line, as written.
    pub(crate) lines: Vec<String>,
    /// The same lines with comments and the insides of literals blanked.
    pub(crate) code: Vec<String>,
    /// The same lines with everything but comments blanked.
    pub(crate) comments: Vec<String>,
    /// Whether each line belongs to tests only.
    pub(crate) test: Vec<bool>,
}

impl Source {
    pub(crate) fn new(path: String, text: String) -> Self {
        let (code, comments) = separate(&text);
        let whole = is_test_path(&path);
        let mut test = vec![whole; text.lines().count()];
        for range in test_ranges(&code) {
            let first = line_index(&code, range.start);
            let last = line_index(&code, range.end);
            for line in test.iter_mut().take(last + 1).skip(first) {
                *line = true;
            }
        }
        let lines = |text: &str| text.lines().map(str::to_string).collect();
        Self {
            path,
            lines: lines(&text),
            code: lines(&code),
            comments: lines(&comments),
            test,
        }
    }

    /// The crate's folder name, such as `storage`; for files outside `crates/` the first folder.
    pub(crate) fn crate_name(&self) -> &str {
        let path = self.path.strip_prefix("crates/").unwrap_or(&self.path);
        path.split('/').next().unwrap_or(path)
    }
}

/// Marks as tests the files that others declare as `#[cfg(test)] mod name;`, and the files below those.
pub(crate) fn mark_test_modules(sources: &mut [Source]) {
    let mut folders = HashSet::new();
    for source in sources.iter() {
        let code = source.code.join("\n");
        for range in test_ranges(&code) {
            if let Some(module) = outlined_module(&code[range]) {
                folders.insert(format!("{}{module}", module_folder(&source.path)));
            }
        }
    }
    for source in sources {
        let stem = source.path.trim_end_matches(".rs");
        let below = |folder: &String| stem == folder || stem.starts_with(&format!("{folder}/"));
        if folders.iter().any(below) {
            source.test.fill(true);
        }
    }
}

/// Integration tests, benches and `tests.rs` files.
fn is_test_path(path: &str) -> bool {
    path.ends_with("/tests.rs")
        || path
            .split('/')
            .any(|part| part == "tests" || part == "benches")
}

/// Where the children of the module in `path` lie, with a trailing slash.
fn module_folder(path: &str) -> String {
    let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
    match file {
        "lib.rs" | "main.rs" | "mod.rs" => format!("{folder}/"),
        _ => format!("{}/", path.trim_end_matches(".rs")),
    }
}

/// `name` when the item is `… mod name;`.
fn outlined_module(item: &str) -> Option<&str> {
    let declaration = item.trim_end().strip_suffix(';')?;
    let mut words = declaration.split_whitespace().rev();
    let name = words.next()?;
    (words.next()? == "mod").then_some(name)
}

/// The byte ranges of the items behind `#[cfg(test)]` in code without comments and literals.
fn test_ranges(code: &str) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    for attribute in ["#[cfg(test)]", "#[cfg(all(test,"] {
        for (start, _) in code.match_indices(attribute) {
            ranges.push(start..item_end(code, start));
        }
    }
    ranges
}

/// Where the item that begins at `start` ends: behind its `;` or its last closing brace.
fn item_end(code: &str, start: usize) -> usize {
    let mut depth = 0_usize;
    let mut brackets = 0_usize;
    for (offset, byte) in code.as_bytes().iter().enumerate().skip(start) {
        match byte {
            b'[' | b'(' => brackets += 1,
            b']' | b')' => brackets = brackets.saturating_sub(1),
            b'{' => depth += 1,
            b'}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return offset + 1;
                }
            }
            b';' if depth == 0 && brackets == 0 => return offset + 1,
            _ => {}
        }
    }
    code.len()
}

fn line_index(text: &str, offset: usize) -> usize {
    text[..offset].matches('\n').count()
}

/// Splits a text into its code and its comments, each with the other blanked, line breaks kept in both.
///
/// The insides of string and character literals are blanked in both.
fn separate(text: &str) -> (String, String) {
    let mut split = Separated::default();
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            split.take_comment(rest, rest.find('\n').unwrap_or(rest.len()))
        } else if rest.starts_with("/*") {
            split.take_comment(rest, block_comment_length(rest))
        } else if let Some(length) = literal_length(rest, split.previous) {
            split.take_literal(rest, length)
        } else {
            split.take_code(next)
        };
        rest = &rest[length..];
    }
    (split.code, split.comments)
}

#[derive(Default)]
struct Separated {
    code: String,
    comments: String,
    /// The last character of code, to tell `r"` from `var"`.
    previous: Option<char>,
}

impl Separated {
    fn take_comment(&mut self, rest: &str, length: usize) -> usize {
        self.comments.push_str(&rest[..length]);
        blank(&mut self.code, &rest[..length]);
        self.previous = None;
        length
    }

    fn take_literal(&mut self, rest: &str, length: usize) -> usize {
        blank(&mut self.code, &rest[..length]);
        blank(&mut self.comments, &rest[..length]);
        self.previous = None;
        length
    }

    fn take_code(&mut self, next: char) -> usize {
        self.code.push(next);
        blank(&mut self.comments, next.encode_utf8(&mut [0; 4]));
        self.previous = Some(next);
        next.len_utf8()
    }
}

/// Appends a space for each character of `text`, and its line breaks as they are.
fn blank(to: &mut String, text: &str) {
    to.extend(
        text.chars()
            .map(|each| if each == '\n' { '\n' } else { ' ' }),
    );
}

/// Block comments nest.
fn block_comment_length(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut offset = 0;
    while offset < text.len() {
        if text[offset..].starts_with("/*") {
            depth += 1;
            offset += 2;
        } else if text[offset..].starts_with("*/") {
            depth -= 1;
            offset += 2;
            if depth == 0 {
                return offset;
            }
        } else {
            offset += text[offset..].chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// The length of the string or character literal that `text` begins with, prefix and all.
fn literal_length(text: &str, previous: Option<char>) -> Option<usize> {
    let inside_word = previous.is_some_and(|each| each.is_alphanumeric() || each == '_');
    let after_prefix = if inside_word {
        text
    } else {
        text.trim_start_matches(['b', 'c'])
    };
    let prefix = text.len() - after_prefix.len();
    if prefix > 1 {
        return None;
    }
    if after_prefix.starts_with('"') {
        return Some(prefix + quoted_length(after_prefix, '"'));
    }
    if !inside_word && after_prefix.starts_with('r') {
        return raw_length(&after_prefix[1..]).map(|length| prefix + 1 + length);
    }
    if after_prefix.starts_with('\'') && is_character(after_prefix) {
        return Some(prefix + quoted_length(after_prefix, '\''));
    }
    None
}

/// Tells `'a'` and `'\n'` from the lifetime `'a`.
fn is_character(text: &str) -> bool {
    let mut characters = text.chars().skip(1);
    match characters.next() {
        Some('\\') => true,
        Some(_) => characters.next() == Some('\''),
        None => false,
    }
}

fn quoted_length(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (offset, each) in text.char_indices().skip(1) {
        if escaped {
            escaped = false;
        } else if each == '\\' {
            escaped = true;
        } else if each == quote {
            return offset + quote.len_utf8();
        }
    }
    text.len()
}

/// The length of `#"…"#`, with any number of `#`; `None` when `text` is no such thing.
fn raw_length(text: &str) -> Option<usize> {
    let body = text.trim_start_matches('#');
    let hashes = text.len() - body.len();
    let inside = body.strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let length = inside.find(&end).map_or(inside.len(), |at| at + end.len());
    Some(hashes + 1 + length)
}
