//! SQL over Arrow Flight SQL: the statement is announced, and its rows are fetched with the ticket that comes back.

use crate::answer::{Answer, Body};
use crate::{Error, with_sources};
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::error::FlightError;
use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::sql::client::FlightSqlServiceClient;
use arrow_flight::{FlightData, Ticket};
use futures::TryStreamExt;
use reqwest::Url;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, Endpoint};

/// A connection of its own.
pub(super) struct Flight {
    client: FlightSqlServiceClient<Channel>,
    database: MetadataValue<Ascii>,
    authorization: Option<MetadataValue<Ascii>>,
}

impl Flight {
    pub(super) async fn connect(
        host: &Url,
        database: &str,
        token: Option<&str>,
    ) -> Result<Self, Error> {
        if host.scheme() != "http" {
            return Err(
                format!("Flight SQL is asked over http only, and the host is {host}").into(),
            );
        }
        let channel = Endpoint::from_shared(host.to_string())?
            .tcp_nodelay(true)
            .connect()
            .await
            .map_err(|error| {
                let error = with_sources(&error);
                format!("cannot connect to {host} for Flight SQL: {error}")
            })?;
        let service = FlightServiceClient::new(channel).max_decoding_message_size(usize::MAX);
        let mut client = FlightSqlServiceClient::new_from_inner(service);
        client.set_header("database", database);
        let authorization = match token {
            None => None,
            Some(token) => {
                client.set_token(token.to_owned());
                Some(format!("Bearer {token}").parse()?)
            }
        };
        Ok(Self {
            client,
            database: database.parse()?,
            authorization,
        })
    }

    pub(super) async fn ask(&mut self, sql: &str) -> Result<Answer, Error> {
        let started = Instant::now();
        let info = self.client.execute(sql.to_owned(), None).await?;
        let bytes = Arc::new(AtomicUsize::new(0));
        let mut batches = Vec::new();
        for endpoint in info.endpoint {
            let ticket = endpoint
                .ticket
                .ok_or("the server gave no ticket for the rows")?;
            let request = self.request(ticket);
            let counted = bytes.clone();
            let data = self
                .client
                .inner_mut()
                .do_get(request)
                .await?
                .into_inner()
                .inspect_ok(move |data| {
                    counted.fetch_add(size(data), Ordering::Relaxed);
                })
                .map_err(FlightError::from);
            let mut rows = FlightRecordBatchStream::new_from_flight_data(data);
            while let Some(batch) = rows.try_next().await? {
                batches.push(batch);
            }
        }
        Ok(Answer {
            duration: started.elapsed(),
            body: Body::Batches(batches),
            bytes: bytes.load(Ordering::Relaxed),
        })
    }

    /// The library's own `do_get` does not let the bytes be counted.
    fn request(&self, ticket: Ticket) -> tonic::Request<Ticket> {
        let mut request = tonic::Request::new(ticket);
        let metadata = request.metadata_mut();
        metadata.insert("database", self.database.clone());
        if let Some(authorization) = &self.authorization {
            metadata.insert("authorization", authorization.clone());
        }
        request
    }
}

fn size(data: &FlightData) -> usize {
    data.data_header.len() + data.app_metadata.len() + data.data_body.len()
}
