//! `create user`, `update user`, `update user-roles`, `delete user`, `show users`, `user require-password-reset` (spec/cli.md §9.5,
//! spec/http-api.md §13.7).

use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Body, Client, ConnectionOptions};
use crate::listing::ListOptions;
use crate::output;

const PATH: &str = "/api/v3/users";

#[derive(Debug, clap::Args)]
pub(crate) struct CreateOptions {
    #[command(flatten)]
    connection: ConnectionOptions,

    /// Name to log in with
    #[arg(long, value_name = "NAME", required_unless_present = "oauth_id")]
    username: Option<String>,

    /// Name to be shown
    #[arg(long, value_name = "TEXT")]
    display_name: Option<String>,

    /// Who the user is to the provider of logins
    #[arg(long, value_name = "ID")]
    oauth_id: Option<String>,
}

impl CreateOptions {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let body = json!({
            "username": self.username,
            "displayName": self.display_name,
            "oauthId": self.oauth_id,
        });
        let client = Client::new(&self.connection, None)?;
        let response = client
            .send(Method::POST, PATH, &[], Body::Json(body))
            .await?;
        let user: Value = response.json().await?;
        output::print(format_args!("{user:#}"))
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct UpdateOptions {
    #[command(flatten)]
    connection: ConnectionOptions,

    /// Another name to be shown
    #[arg(long, value_name = "TEXT")]
    display_name: String,

    /// Id of the user
    user_id: u64,
}

impl UpdateOptions {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let body = json!({ "displayName": self.display_name });
        let path = format!("{PATH}/{}", self.user_id);
        let client = Client::new(&self.connection, None)?;
        client
            .send(Method::PATCH, &path, &[], Body::Json(body))
            .await?;
        output::print(format_args!("User {} updated successfully", self.user_id))
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct RolesOptions {
    #[command(flatten)]
    connection: ConnectionOptions,

    /// Ids of all roles that the user shall have
    #[arg(long, value_name = "ID", value_delimiter = ',', required = true)]
    role_ids: Vec<u64>,

    /// Id of the user
    user_id: u64,
}

impl RolesOptions {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let body = json!({ "roleIds": self.role_ids });
        let path = format!("{PATH}/{}/roles", self.user_id);
        let client = Client::new(&self.connection, None)?;
        client
            .send(Method::PUT, &path, &[], Body::Json(body))
            .await?;
        output::print(format_args!(
            "Roles of user {} updated successfully",
            self.user_id
        ))
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct PasswordResetOptions {
    #[command(flatten)]
    connection: ConnectionOptions,

    /// Id of the user
    user_id: u64,
}

impl PasswordResetOptions {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let path = format!("{PATH}/{}/require-password-reset", self.user_id);
        let client = Client::new(&self.connection, None)?;
        client.send(Method::POST, &path, &[], Body::Empty).await?;
        output::print(format_args!(
            "User {} has to set another password",
            self.user_id
        ))
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct DeleteOptions {
    #[command(flatten)]
    connection: ConnectionOptions,

    /// Do not ask for confirmation
    #[arg(short, long)]
    yes: bool,

    /// Id of the user
    user_id: u64,
}

impl DeleteOptions {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        if !self.yes {
            output::confirm_deletion(&format!("user {}", self.user_id))?;
        }
        let path = format!("{PATH}/{}", self.user_id);
        let client = Client::new(&self.connection, None)?;
        client.send(Method::DELETE, &path, &[], Body::Empty).await?;
        output::print(format_args!("User {} deleted successfully", self.user_id))
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct ShowOptions {
    #[command(flatten)]
    connection: ConnectionOptions,

    #[command(flatten)]
    output: ListOptions,
}

impl ShowOptions {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let columns = ["userId", "username", "displayName", "createdAt"];
        let client = Client::new(&self.connection, None)?;
        self.output
            .show(&client, PATH, &[], "items", &columns)
            .await
    }
}
