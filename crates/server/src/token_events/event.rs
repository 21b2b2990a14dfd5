//! What can happen to a token, and who can be turned away: the living types.
//!
//! Nothing in an event is secret: texts from outside are cut and what looks like a token or a digest is taken out of them on their
//! way in. Bytes: `format`.

use std::net::IpAddr;

use catalog::Token;
use query::TokenEventRow;

use crate::failed_attempts::Network;

/// Longest name or text of an event, in bytes.
const NAME_BYTES_MAX: usize = 256;
pub(super) const WORDS_BYTES_MAX: usize = 512;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum EventKind {
    Create,
    Rotate,
    Stage,
    Confirm,
    /// An overlap or a staged secret was given up.
    Revoke,
    Delete,
    Expire,
    /// Somebody was turned away.
    Refused,
}

impl EventKind {
    pub(super) const ALL: [Self; 8] = [
        Self::Create,
        Self::Rotate,
        Self::Stage,
        Self::Confirm,
        Self::Revoke,
        Self::Delete,
        Self::Expire,
        Self::Refused,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Rotate => "rotate",
            Self::Stage => "stage",
            Self::Confirm => "confirm",
            Self::Revoke => "revoke",
            Self::Delete => "delete",
            Self::Expire => "expire",
            Self::Refused => "refused",
        }
    }
}

/// Why somebody was turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Reason {
    /// No token has this secret.
    UnknownToken,
    ExpiredToken,
    /// The token is good, but not for this.
    NotAllowed,
    /// The token to be changed is not as the caller thought.
    Conflict,
    /// The client had failed too often of late and was told to wait.
    TooMany,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Outcome {
    Done,
    Refused(Reason),
}

impl Outcome {
    pub(super) const ALL: [Self; 6] = [
        Self::Done,
        Self::Refused(Reason::UnknownToken),
        Self::Refused(Reason::ExpiredToken),
        Self::Refused(Reason::NotAllowed),
        Self::Refused(Reason::Conflict),
        Self::Refused(Reason::TooMany),
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused(Reason::UnknownToken) => "unknown_token",
            Self::Refused(Reason::ExpiredToken) => "expired_token",
            Self::Refused(Reason::NotAllowed) => "not_allowed",
            Self::Refused(Reason::Conflict) => "conflict",
            Self::Refused(Reason::TooMany) => "too_many",
        }
    }
}

/// The door it came through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Protocol {
    Http,
    Flight,
    /// The recovery listener.
    Recovery,
    /// A file named at start.
    File,
    /// The node by itself.
    Node,
}

impl Protocol {
    pub(super) const ALL: [Self; 5] = [
        Self::Http,
        Self::Flight,
        Self::Recovery,
        Self::File,
        Self::Node,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Flight => "flight",
            Self::Recovery => "recovery",
            Self::File => "file",
            Self::Node => "node",
        }
    }
}

/// A token, as far as an event names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Subject {
    pub(super) id: u64,
    pub(super) name: String,
}

impl Subject {
    pub(super) fn new(id: u64, name: &str) -> Self {
        Self {
            id,
            name: cleaned(name, NAME_BYTES_MAX),
        }
    }

    fn of(token: &Token) -> Self {
        Self::new(token.id.0, &token.name)
    }
}

/// Something that happened, before it has a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    pub(super) kind: EventKind,
    pub(super) outcome: Outcome,
    pub(super) token: Option<Subject>,
    /// When the token's record says that it happened, in milliseconds since the epoch: tells which changes have their event.
    pub(super) changed_at_ms: Option<i64>,
    pub(super) by: Option<Subject>,
    pub(super) address: Option<String>,
    pub(super) protocol: Protocol,
    pub(super) words: String,
}

impl Event {
    /// A change of `token`, which is as the change has left it (deleted: as it was).
    pub(crate) fn done(kind: EventKind, token: &Token) -> Self {
        Self {
            token: Some(Subject::of(token)),
            changed_at_ms: Some(token.updated_at_ms.unwrap_or(token.created_at_ms)),
            ..Self::plain(kind, Outcome::Done)
        }
    }

    /// Whose request it was.
    pub(crate) fn by(mut self, token: &Token) -> Self {
        self.by = Some(Subject::of(token));
        self
    }

    /// Where the request came from.
    pub(crate) fn from(mut self, address: IpAddr, protocol: Protocol) -> Self {
        self.address = Some(address.to_canonical().to_string());
        self.protocol = protocol;
        self
    }

    pub(crate) fn through(mut self, protocol: Protocol) -> Self {
        self.protocol = protocol;
        self
    }

    /// What else is worth knowing, for people.
    pub(crate) fn saying(mut self, words: &str) -> Self {
        self.words = cleaned(words, WORDS_BYTES_MAX);
        self
    }

    pub(super) fn plain(kind: EventKind, outcome: Outcome) -> Self {
        Self {
            kind,
            outcome,
            token: None,
            changed_at_ms: None,
            by: None,
            address: None,
            protocol: Protocol::Node,
            words: String::new(),
        }
    }
}

/// Somebody who was turned away. Many of the same are counted as one event.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Refusal {
    pub(super) reason: Reason,
    pub(super) network: Option<Network>,
    pub(super) protocol: Protocol,
    /// Whose credential it was.
    pub(super) by: Option<Subject>,
    pub(super) words: String,
}

impl Refusal {
    pub(crate) fn new(reason: Reason, address: IpAddr, protocol: Protocol) -> Self {
        Self {
            reason,
            network: Some(Network::from(address)),
            protocol,
            by: None,
            words: String::new(),
        }
    }

    /// Whose credential was presented, where that is known.
    pub(crate) fn of(mut self, token: &Token) -> Self {
        self.by = Some(Subject::of(token));
        self
    }

    /// What was asked for: one of few texts, not anything of the request.
    pub(crate) fn saying(mut self, words: &str) -> Self {
        self.words = cleaned(words, WORDS_BYTES_MAX);
        self
    }

    pub(super) fn into_event(self) -> Event {
        Event {
            by: self.by,
            address: self.network.map(|network| network.to_string()),
            protocol: self.protocol,
            words: self.words,
            ..Event::plain(EventKind::Refused, Outcome::Refused(self.reason))
        }
    }
}

/// An event in its place in time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Recorded {
    /// Random: the same event in two objects is one.
    pub(super) id: u128,
    pub(super) time_ms: i64,
    /// Of the last one, where several are counted together.
    pub(super) last_time_ms: i64,
    pub(super) count: u64,
    pub(super) event: Event,
}

impl Recorded {
    pub(super) fn is_refusal(&self) -> bool {
        self.event.kind == EventKind::Refused
    }

    pub(super) fn to_row(&self) -> TokenEventRow {
        let event = &self.event;
        TokenEventRow {
            time_ms: self.time_ms,
            last_time_ms: self.last_time_ms,
            kind: event.kind.name(),
            outcome: event.outcome.name(),
            token_id: event.token.as_ref().map(|token| token.id),
            token_name: event.token.as_ref().map(|token| token.name.clone()),
            by_token_id: event.by.as_ref().map(|token| token.id),
            by_token_name: event.by.as_ref().map(|token| token.name.clone()),
            client_address: event.address.clone(),
            protocol: event.protocol.name(),
            count: self.count,
            details: event.words.clone(),
        }
    }
}

/// At most `bytes_max` bytes of `text` on one line, without what could be a secret.
pub(super) fn cleaned(text: &str, bytes_max: usize) -> String {
    const PREFIX: &str = "apiv3_";
    // A digest may be told by its first digits, no more.
    const DIGEST_DIGITS: usize = 9;
    const DIGITS_SUSPICIOUS: usize = 32;
    let mut clean = String::with_capacity(text.len().min(bytes_max));
    for word in text.split_inclusive(|character: char| !is_of_token(character)) {
        let (body, end) = match word.char_indices().next_back() {
            Some((at, last)) if !is_of_token(last) => word.split_at(at),
            _ => (word, ""),
        };
        if let Some(at) = body.find(PREFIX) {
            clean.push_str(&body[..at]);
            clean.push_str(PREFIX);
            clean.push('…');
        } else if body.len() >= DIGITS_SUSPICIOUS
            && body.bytes().all(|byte| byte.is_ascii_hexdigit())
        {
            clean.push_str(&body[..DIGEST_DIGITS]);
            clean.push('…');
        } else {
            clean.push_str(body);
        }
        clean.extend(end.chars().map(|character| match character.is_control() {
            true => ' ',
            false => character,
        }));
        if clean.len() > bytes_max {
            break;
        }
    }
    clean.truncate(clean.floor_char_boundary(bytes_max));
    clean
}

fn is_of_token(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '_' | '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_lose_what_could_be_secret() {
        let secret = format!("apiv3_{}", "aB3-_x".repeat(14));
        let digest = "0123456789abcdef".repeat(8);
        let cases = [
            ("plain words, with ümlauts", "plain words, with ümlauts"),
            ("", ""),
            ("two\nlines\tand \u{7f}", "two lines and  "),
            (&format!("is {secret}."), "is apiv3_…."),
            (&format!("x{secret}"), "xapiv3_…"),
            (&format!("hash {digest}, so"), "hash 012345678…, so"),
            ("hash 012345678", "hash 012345678"),
        ];
        for (text, expected) in cases {
            assert_eq!(cleaned(text, 512), expected, "{text}");
        }
        assert_eq!(cleaned("aäb", 2), "a");
        assert_eq!(cleaned(&"ä ".repeat(500), 512).len(), 512);
    }
}
