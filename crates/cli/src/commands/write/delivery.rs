//! Brings one piece to the server: tries again what passes by itself, and goes on without the lines that the server refuses.
//!
//! Whether to wait is decided in `retry`, which lines are refused in `refused`. Not here: in which order pieces are sent, and what becomes of
//! refused lines.

use std::cell::{Cell, RefCell};
use std::io::Write;
use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::Method;
use server::{Clock, Random, SystemClock};

use super::pieces::Piece;
use super::refused::{self, Refused};
use super::retry::{self, Policy, Trial};
use crate::client::{Body, Client, ClientError};
use crate::output;

const WRITE_PATH: &str = "/api/v3/write_lp";

/// Requests are not cut smaller than this for the sake of a full list of refused lines.
const PART_BYTES_MIN: usize = 16 << 10;

/// How requests are made, and what they met so far.
pub(crate) struct Delivery<'a> {
    pub(crate) client: &'a Client,
    pub(crate) clock: &'a SystemClock,
    pub(crate) parameters: Vec<(&'a str, &'a str)>,
    pub(crate) gzip: bool,
    pub(crate) policy: Policy,
    /// Most refused lines to go on with; `None` lets the first one fail the piece.
    pub(crate) refused_max: Option<u64>,
    /// Whether to say so when requests begin to wait.
    pub(crate) announces_trouble: bool,
    pub(crate) has_answered: Cell<bool>,
    pub(crate) retries: Cell<u64>,
    /// Why requests wait, while they do.
    pub(crate) trouble: RefCell<Option<String>>,
}

/// A piece of which every line is written or refused.
pub(crate) struct Delivered {
    pub(crate) ticket: u64,
    pub(crate) piece: Piece,
    /// Where in the piece; in no order.
    pub(crate) refused: Vec<Refused>,
}

/// A request that failed for good.
struct Failed {
    error: ClientError,
    retries: u32,
}

impl Delivery<'_> {
    pub(crate) async fn deliver(&self, ticket: u64, piece: Piece) -> anyhow::Result<Delivered> {
        let mut found = Vec::new();
        let mut text = piece.text.clone();
        if self.refused_max.is_some() {
            found = refused::not_text(&text);
            if !found.is_empty() {
                text = Bytes::from(refused::blanked(&text, &found));
            }
        }
        // What is still to be sent, the first part last.
        let whole = 0..text.len();
        let mut parts = vec![whole];
        while let Some(part) = parts.pop() {
            let body = text.slice(part.clone());
            let is_all = part == (0..piece.text.len()) && piece.start.offset_bytes == 0;
            // The server's word on an input without any line is kept; parts without one need not be sent.
            if (!is_all || !found.is_empty()) && line_protocol::next_span(&body, 0).is_none() {
                continue;
            }
            let Err(failed) = self.send(&body).await else {
                continue;
            };
            let refusal = self
                .refused_max
                .and_then(|_| told_lines(&failed.error, &body));
            let Some(refusal) = refusal else {
                return Err(told(failed));
            };
            let refusal = refusal.map_err(|fault| anyhow::anyhow!("{fault}"))?;
            found.extend(refusal.lines.into_iter().map(|line| Refused {
                span: part.start + line.span.start..part.start + line.span.end,
                reason: line.reason,
            }));
            if self.refused_max.is_some_and(|max| found.len() as u64 > max) {
                break;
            }
            if let Some(from) = refusal.untold_from {
                // As many refused lines may follow; parts in which they all fit are read once, not again and again.
                let rest = part.start + from..part.end;
                let mut smaller = cut(&text, rest, (from * 2).max(PART_BYTES_MIN));
                smaller.reverse();
                parts.append(&mut smaller);
            }
        }
        Ok(Delivered {
            ticket,
            piece,
            refused: found,
        })
    }

    /// Sends one request until it is answered for good.
    async fn send(&self, lines: &Bytes) -> Result<(), Failed> {
        let body = match self.gzip {
            true => Body::Gzip(compressed(lines).map_err(|cause| Failed {
                error: ClientError::Io(cause.to_string()),
                retries: 0,
            })?),
            false => Body::Text(lines.clone()),
        };
        let mut failures = 0;
        let mut failing_since: Option<Duration> = None;
        loop {
            let sent = self
                .client
                .try_once(
                    Method::POST,
                    WRITE_PATH,
                    &self.parameters,
                    &[],
                    body.clone(),
                )
                .await;
            let failed = match sent {
                Ok(_) => {
                    self.has_answered.set(true);
                    self.trouble.replace(None);
                    return Ok(());
                }
                Err(failed) => failed,
            };
            if matches!(failed.error, ClientError::ApiError { .. }) {
                self.has_answered.set(true);
            }
            failures += 1;
            let now = self.clock.monotonic();
            let trial = Trial {
                failures,
                elapsed: now.saturating_sub(*failing_since.get_or_insert(now)),
                retry_after: failed.retry_after,
                has_answered: self.has_answered.get(),
            };
            match retry::delay(&self.policy, &failed.error, &trial, chance()) {
                Some(wait) => {
                    self.retries.set(self.retries.get() + 1);
                    self.wait_for(&failed.error);
                    tokio::time::sleep(wait).await;
                }
                None => {
                    return Err(Failed {
                        error: failed.error,
                        retries: failures - 1,
                    });
                }
            }
        }
    }

    fn wait_for(&self, error: &ClientError) {
        let before = self.trouble.replace(Some(error.to_string()));
        if before.is_none() && self.announces_trouble {
            output::complain(format_args!("  waiting for the server: {error}"));
        }
    }
}

fn told(failed: Failed) -> anyhow::Error {
    match failed.retries {
        0 => failed.error.into(),
        1 => anyhow::anyhow!("{} (tried again once)", failed.error),
        retries => anyhow::anyhow!("{} (tried again {retries} times)", failed.error),
    }
}

fn told_lines(error: &ClientError, body: &[u8]) -> Option<Result<refused::Refusal, String>> {
    match error {
        ClientError::ApiError {
            code: 400 | 422,
            message,
            ..
        } => refused::read(message, body),
        _ => None,
    }
}

/// Parts of `range` of about this size, none of which ends within a line.
fn cut(text: &[u8], range: Range<usize>, bytes: usize) -> Vec<Range<usize>> {
    let mut parts = Vec::new();
    let mut at = range.start;
    while at < range.end {
        let limit = range.end.min(at + bytes);
        let end = match line_protocol::spans_end(&text[at..limit]) {
            Some(end) if limit < range.end => at + end,
            // One long line, or the rest.
            _ => line_protocol::next_span(&text[at..range.end], 0)
                .filter(|_| limit < range.end)
                .map_or(range.end, |span| {
                    let line_end = at + span.end;
                    let newline = text[line_end..range.end]
                        .iter()
                        .position(|&byte| byte == b'\n');
                    newline.map_or(range.end, |newline| line_end + newline + 1)
                }),
        };
        parts.push(at..end);
        at = end;
    }
    parts
}

fn compressed(lines: &[u8]) -> std::io::Result<Bytes> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(lines)?;
    encoder.finish().map(Bytes::from)
}

/// Somewhere between 0 and 1; in the middle when the system has no chance to give.
fn chance() -> f64 {
    let mut bytes = [0; 4];
    match Random::System.fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX),
        Err(_) => 0.5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_whole_lines() {
        let text = b"aa\nbb\nccccccccccc\nd e=\"\n\n\" 1\nf";
        for start in [0, 3, 6, 18] {
            for bytes in 1..text.len() {
                let parts = cut(text, start..text.len(), bytes);
                let mut at = start;
                for part in &parts {
                    assert_eq!(part.start, at);
                    assert!(part.end > at);
                    assert!(part.end == text.len() || text[part.end - 1] == b'\n');
                    // Not inside of the string.
                    assert!(!(22..28).contains(&part.end), "{parts:?}");
                    at = part.end;
                }
                assert_eq!(at, text.len());
            }
        }
        assert_eq!(cut(text, 0..6, 3), [0..3, 3..6]);
        assert!(cut(text, 5..5, 3).is_empty());
    }
}
