//! Tokens in version 1: what a checkpoint and the changes of a record say of them. Frozen.
//!
//! Not here: the changes themselves, which stand among all others.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{PAYLOAD_AT, bytes_of_hex, corrupt};
use crate::token::LastUsed;
use crate::{
    Action, Actions, DatabaseId, Digest, Error, Grant, NewExpiry, Permissions, PreviousSecret,
    StagedSecret, SystemResource, TableId, Token, TokenId,
};

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum NewExpiryV1 {
    Unchanged,
    Never,
    AtMs(i64),
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "on", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum GrantV1 {
    EveryDatabase {
        actions: Vec<String>,
    },
    Databases {
        databases: Vec<u32>,
        tables: Vec<TableGrantV1>,
        actions: Vec<String>,
    },
    EverySystem {},
    System {
        resources: Vec<String>,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TableGrantV1 {
    database: u32,
    table: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TokenV1 {
    pub(super) id: u64,
    name: String,
    digest: String,
    created_at_ms: i64,
    updated_at_ms: Option<i64>,
    updated_by: Option<u64>,
    expiry_ms: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    created_by: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    /// None: an administrator's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    permissions: Option<Vec<GrantV1>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    previous: Option<PreviousSecretV1>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    staged: Option<StagedSecretV1>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PreviousSecretV1 {
    digest: String,
    until_ms: i64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StagedSecretV1 {
    digest: String,
    until_ms: i64,
    expiry: NewExpiryV1,
    grace_ms: u64,
}

impl From<NewExpiry> for NewExpiryV1 {
    fn from(expiry: NewExpiry) -> Self {
        match expiry {
            NewExpiry::Unchanged => Self::Unchanged,
            NewExpiry::Never => Self::Never,
            NewExpiry::AtMs(at_ms) => Self::AtMs(at_ms),
        }
    }
}

impl From<NewExpiryV1> for NewExpiry {
    fn from(expiry: NewExpiryV1) -> Self {
        match expiry {
            NewExpiryV1::Unchanged => Self::Unchanged,
            NewExpiryV1::Never => Self::Never,
            NewExpiryV1::AtMs(at_ms) => Self::AtMs(at_ms),
        }
    }
}

/// None for an administrator's.
pub(super) fn grants(permissions: &Permissions) -> Option<Vec<GrantV1>> {
    if permissions.is_admin() {
        return None;
    }
    Some(permissions.grants().iter().map(GrantV1::from).collect())
}

pub(super) fn permissions_of(grants: Vec<GrantV1>) -> Result<Permissions, Error> {
    let grants: Result<_, _> = grants.into_iter().map(Grant::try_from).collect();
    Ok(Permissions::of(grants?))
}

impl From<&Grant> for GrantV1 {
    fn from(grant: &Grant) -> Self {
        let names = |actions: &Actions| actions.iter().map(|one| one.name().to_string()).collect();
        match grant {
            Grant::EveryDatabase(actions) => Self::EveryDatabase {
                actions: names(actions),
            },
            Grant::Databases {
                databases,
                tables,
                actions,
            } => Self::Databases {
                databases: databases.iter().map(|id| id.0).collect(),
                tables: tables
                    .iter()
                    .map(|(database, table)| TableGrantV1 {
                        database: database.0,
                        table: table.0,
                    })
                    .collect(),
                actions: names(actions),
            },
            Grant::EverySystem => Self::EverySystem {},
            Grant::System(resources) => Self::System {
                resources: resources.iter().map(|one| one.name().to_string()).collect(),
            },
        }
    }
}

impl TryFrom<GrantV1> for Grant {
    type Error = Error;

    /// A word that is not known would allow nothing or anything: it is damage.
    fn try_from(grant: GrantV1) -> Result<Self, Error> {
        let unknown = |word: &str| corrupt(PAYLOAD_AT, &format!("unknown permission '{word}'"));
        let actions_of = |names: Vec<String>| -> Result<Actions, Error> {
            let named = |name: &String| Action::named(name).ok_or_else(|| unknown(name));
            names.iter().map(named).collect()
        };
        Ok(match grant {
            GrantV1::EveryDatabase { actions } => Self::EveryDatabase(actions_of(actions)?),
            GrantV1::Databases {
                databases,
                tables,
                actions,
            } => Self::Databases {
                databases: databases.into_iter().map(DatabaseId).collect(),
                tables: tables
                    .into_iter()
                    .map(|one| (DatabaseId(one.database), TableId(one.table)))
                    .collect(),
                actions: actions_of(actions)?,
            },
            GrantV1::EverySystem {} => Self::EverySystem,
            GrantV1::System { resources } => {
                let named =
                    |name: &String| SystemResource::named(name).ok_or_else(|| unknown(name));
                Self::System(resources.iter().map(named).collect::<Result<_, _>>()?)
            }
        })
    }
}

impl From<&Token> for TokenV1 {
    fn from(token: &Token) -> Self {
        Self {
            id: token.id.0,
            name: token.name.to_string(),
            digest: token.digest.to_hex(),
            created_at_ms: token.created_at_ms,
            updated_at_ms: token.updated_at_ms,
            updated_by: token.updated_by.map(|by| by.0),
            expiry_ms: token.expiry_ms,
            created_by: token.created_by.map(|by| by.0),
            description: token.description.as_ref().map(|text| text.to_string()),
            permissions: grants(&token.permissions),
            previous: token.previous.as_ref().map(|previous| PreviousSecretV1 {
                digest: previous.digest.to_hex(),
                until_ms: previous.until_ms,
            }),
            staged: token.staged.as_ref().map(|staged| StagedSecretV1 {
                digest: staged.digest.to_hex(),
                until_ms: staged.until_ms,
                expiry: staged.expiry.into(),
                grace_ms: staged.grace_ms,
            }),
        }
    }
}

impl TryFrom<TokenV1> for Token {
    type Error = Error;

    fn try_from(stored: TokenV1) -> Result<Self, Error> {
        let previous = |previous: PreviousSecretV1| {
            Ok::<_, Error>(PreviousSecret {
                digest: digest_of_hex(&previous.digest)?,
                until_ms: previous.until_ms,
            })
        };
        let staged = |staged: StagedSecretV1| {
            Ok::<_, Error>(StagedSecret {
                digest: digest_of_hex(&staged.digest)?,
                until_ms: staged.until_ms,
                expiry: staged.expiry.into(),
                grace_ms: staged.grace_ms,
            })
        };
        Ok(Self {
            id: TokenId(stored.id),
            name: stored.name.into(),
            description: stored.description.map(Arc::from),
            created_at_ms: stored.created_at_ms,
            created_by: stored.created_by.map(TokenId),
            updated_at_ms: stored.updated_at_ms,
            updated_by: stored.updated_by.map(TokenId),
            expiry_ms: stored.expiry_ms,
            permissions: Arc::new(match stored.permissions {
                None => Permissions::admin(),
                Some(grants) => permissions_of(grants)?,
            }),
            digest: digest_of_hex(&stored.digest)?,
            previous: stored.previous.map(previous).transpose()?,
            staged: stored.staged.map(staged).transpose()?,
            last_used: LastUsed::default(),
        })
    }
}

pub(super) fn digest_of_hex(hex: &str) -> Result<Digest, Error> {
    bytes_of_hex("digest", hex).map(Digest)
}
