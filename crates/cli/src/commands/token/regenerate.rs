//! `regenerate token`: a new secret for a token that keeps its name, its permissions and its place in the listing.
//!
//! Plain, the old secret is dead when the answer is there; `--grace` lets both work for a while; `--stage` leaves the old one
//! in use until `confirm token` is called with the new one, so that an answer that is lost locks nobody out
//! (spec/auth-tokens.md §8, §18). `create token --admin --regenerate` does the same for the operator token alone.

use std::time::Duration;

use reqwest::Method;
use reqwest::header::IF_MATCH;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{PATH, STORE_SECURELY, TokenFormat, print_made, seconds};
use crate::client::{Body, Client, ClientError, ConnectionOptions};
use crate::environment::Environment;
use crate::output;

/// What a staged rotation still needs, after the token in text.
const STAGED: &str = "\nThe new token is staged: the old one stays in use until the new one confirms, by\n  INFLUXDB3_AUTH_TOKEN=NEW_TOKEN influxdb3 confirm token\n";

/// How a secret makes way for the next one.
#[derive(Debug, clap::Args)]
pub(super) struct RotationOptions {
    /// How long the old secret works beside the new one; when not given, as long as the server's --token-grace-period
    #[arg(long, value_name = "DURATION", value_parser = crate::duration::parse)]
    grace: Option<Duration>,

    /// Keep the old secret in use until `confirm token` is run with the new one
    #[arg(long, conflicts_with = "grace")]
    stage: bool,

    /// How long a staged secret can be confirmed; an hour when not given
    #[arg(long, value_name = "DURATION", requires = "stage", value_parser = crate::duration::parse)]
    stage_for: Option<Duration>,

    /// Do nothing unless the token's hash begins with these digits, 9 at least, as `show tokens` has them
    #[arg(long, value_name = "HASH")]
    if_match: Option<String>,
}

impl RotationOptions {
    /// The first of these options that was given.
    pub(super) fn given(&self) -> Option<&'static str> {
        [
            (self.grace.is_some(), "--grace"),
            (self.stage, "--stage"),
            (self.if_match.is_some(), "--if-match"),
        ]
        .into_iter()
        .find_map(|(given, option)| given.then_some(option))
    }

    /// What stands after the token in text.
    pub(super) fn note(&self) -> &'static str {
        match self.stage {
            true => STAGED,
            false => "",
        }
    }
}

/// Whose secret is replaced.
#[derive(Clone, Copy, Debug)]
pub(super) enum Target<'a> {
    Operator,
    Named(&'a str),
}

/// The server's answer to a rotation.
#[derive(Deserialize)]
pub(super) struct Rotated {
    pub(super) token: String,
    /// Everything else that it told.
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// Asks for a new secret; the token ends `expiry` from now, or as before.
pub(super) async fn rotate(
    client: &Client,
    target: Target<'_>,
    rotation: &RotationOptions,
    expiry: Option<Duration>,
) -> Result<Rotated, ClientError> {
    let (path, name) = match target {
        Target::Operator => (format!("{PATH}/admin/regenerate"), None),
        Target::Named(name) => (format!("{PATH}/regenerate"), Some(name.to_string())),
    };
    let parameters = [
        ("token_name", name),
        ("grace_secs", in_seconds(rotation.grace)),
        ("stage", rotation.stage.then(|| "true".to_string())),
        ("stage_secs", in_seconds(rotation.stage_for)),
        ("expiry_secs", in_seconds(expiry)),
    ];
    let parameters: Vec<(&str, &str)> = parameters
        .iter()
        .filter_map(|(key, value)| Some((*key, value.as_deref()?)))
        .collect();
    let tag = rotation.if_match.as_deref().map(entity_tag);
    let headers: Vec<_> = tag
        .as_deref()
        .map(|tag| (IF_MATCH, tag))
        .into_iter()
        .collect();
    let response = client
        .send_with(Method::POST, &path, &parameters, &headers, Body::Empty)
        .await?;
    response.json().await
}

fn in_seconds(duration: Option<Duration>) -> Option<String> {
    duration.map(|duration| seconds(duration).to_string())
}

/// The digits as `If-Match` has them: in quotes, unless they are there already or anything will do.
fn entity_tag(digits: &str) -> String {
    match digits == "*" || digits.starts_with('"') {
        true => digits.to_string(),
        false => format!("\"{digits}\""),
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    connection: ConnectionOptions,

    /// Name of the token
    #[arg(long, value_name = "NAME")]
    token_name: String,

    #[command(flatten)]
    rotation: RotationOptions,

    /// How long the token is valid from now on, such as 90d; when not given, as long as before
    #[arg(long, value_name = "DURATION", value_parser = crate::duration::parse)]
    expiry: Option<Duration>,

    /// How to print the new token; json has all that the server answers
    #[arg(long, value_enum, default_value_t = TokenFormat::Text)]
    format: TokenFormat,

    /// Do not ask for confirmation
    #[arg(short, long)]
    yes: bool,
}

impl Options {
    pub(crate) async fn run(self, environment: &Environment) -> anyhow::Result<()> {
        // Staging changes nothing for anybody yet.
        if !self.yes && !self.rotation.stage {
            output::confirm(&format!(
                "Are you sure you want to regenerate {:?}?",
                self.token_name
            ))?;
        }
        let client = Client::new(&self.connection, None)?;
        let target = Target::Named(&self.token_name);
        let rotated = rotate(&client, target, &self.rotation, self.expiry).await?;
        if self.format == TokenFormat::Json {
            let mut object = rotated.rest;
            object.insert("help_msg".to_string(), STORE_SECURELY.into());
            object.insert("token".to_string(), rotated.token.into());
            return output::print(format_args!("{:#}", Value::Object(object)));
        }
        let note = self.rotation.note();
        print_made(&rotated.token, self.format, note, environment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_sent_as_entity_tags() {
        assert_eq!(entity_tag("9f0c1e77a"), "\"9f0c1e77a\"");
        assert_eq!(entity_tag("\"9f0c1e77a\""), "\"9f0c1e77a\"");
        assert_eq!(entity_tag("*"), "*");
    }
}
