//! The calls of Flight: each reads what it is given, asks `query` or a list, and answers.
//!
//! Written on Flight itself rather than on a frame for Flight SQL, because the official clients hand in tickets of their own.
//! Not here: who may call (`caller`), how things are written (`ticket`, `prepared`, `rows`, `browse`).

use std::pin::Pin;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Schema, UInt64Type};
use arrow::ipc::writer::IpcWriteOptions;
use arrow_flight::flight_descriptor::DescriptorType;
use arrow_flight::flight_service_server::FlightService;
use arrow_flight::sql::{
    ActionCancelQueryRequest, ActionClosePreparedStatementRequest,
    ActionCreatePreparedStatementRequest, ActionCreatePreparedStatementResult, Any, Command,
    DoPutPreparedStatementResult, DoPutUpdateResult, ProstMessageExt,
};
use arrow_flight::{
    Action, ActionType, Criteria, Empty, FlightData, FlightDescriptor, FlightEndpoint, FlightInfo,
    HandshakeRequest, HandshakeResponse, IpcMessage, PollInfo, PutResult, SchemaAsIpc,
    SchemaResult, Ticket,
};
use bytes::Bytes;
use futures::TryStreamExt;
use futures::stream::{self, BoxStream, Stream, StreamExt};
use hyper::HeaderMap;
use prost::Message;
use query::{Description, Origin, Query, QueryKind};
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status, Streaming};
use uuid::Uuid;

use super::headers::CallOptions;
use super::prepared::{Prepared, Values, parameter_schema};
use super::rows::{Batches, Messages, SILENCE_MAX, messages, whole};
use super::status::{internal, invalid, status_of};
use super::ticket;
use super::trailers::Asked;
use super::wire::wire_schema;
use super::{browse, caller, cancel, session, sql_info, type_info};
use crate::Error;
use crate::authorization::Caller;
use crate::http::Services;

const CREATE_PREPARED_STATEMENT: &str = "CreatePreparedStatement";
const CLOSE_PREPARED_STATEMENT: &str = "ClosePreparedStatement";

/// The commands that carry statements, as the query log names them.
const STATEMENT_QUERY: &str = "CommandStatementQuery";
const PREPARED_QUERY: &str = "CommandPreparedStatementQuery";
const STATEMENT_UPDATE: &str = "CommandStatementUpdate";
const PREPARED_UPDATE: &str = "CommandPreparedStatementUpdate";

/// The most bytes of messages with which values are bound.
const BIND_BYTES_MAX: usize = 4 << 20;

/// What is known of a call before its message is read.
pub(super) struct Call {
    pub(super) caller: Caller,
    pub(super) options: CallOptions,
    /// Of its queries, as far as the metadata says.
    pub(super) origin: Origin,
    pub(super) asked: Arc<Asked>,
}

impl Call {
    /// Whether rows, or the names of tables, of `database` may be read. The one place that decides it.
    fn require_read(&self, services: &Services, database: &str) -> Result<(), Status> {
        let snapshot = services.catalog.snapshot();
        if !self.caller.may_browse(&snapshot, database) {
            return Err(caller::denied());
        }
        match snapshot.database_named(database) {
            Some(_) => Ok(()),
            None => Err(status_of(&Error::not_found(format!(
                "database not found: {database}"
            )))),
        }
    }

    /// A statement of this caller. The one place that says what it may do.
    fn query(&self, database: &str, text: &str, parameters: Values) -> Query {
        Query {
            database: database.to_string(),
            text: text.to_string(),
            parameters,
            // Of which tables, `access` says.
            may_delete: true,
            access: self.caller.access(),
            origin: self.origin.clone(),
        }
    }

    /// The origin of statements that came with this command of Flight SQL, whose ticket may have named the query.
    fn origin_of(&self, command: &'static str, id: Option<Uuid>) -> Origin {
        Origin {
            kind: QueryKind::FlightSql,
            command: Some(command),
            id,
            ..self.origin.clone()
        }
    }
}

/// The service of one node.
pub(super) struct Flight {
    services: Arc<Services>,
}

impl Flight {
    pub(super) fn new(services: Arc<Services>) -> Self {
        Self { services }
    }

    /// The database of a command: that of its ticket, or else of the metadata.
    fn database<'a>(&self, call: &'a Call, named: Option<&'a str>) -> Result<&'a str, Status> {
        let database = match named {
            Some(named) => named,
            None => call.options.database()?,
        };
        call.require_read(&self.services, database)?;
        Ok(database)
    }

    async fn describe(&self, query: Query) -> Result<Description, Status> {
        let described = self.services.query.describe(query).await;
        described.map_err(|error| status_of(&error))
    }

    /// Runs a statement once for each of `runs`, one after the other; the rows follow each other.
    async fn run(
        &self,
        call: &Call,
        database: &str,
        text: &str,
        runs: Vec<Values>,
        origin: &Origin,
    ) -> Result<(arrow::datatypes::SchemaRef, Batches), Status> {
        let mut queries = runs
            .into_iter()
            .map(|values| Query {
                origin: origin.clone(),
                ..call.query(database, text, values)
            })
            .collect::<Vec<_>>()
            .into_iter();
        let first = queries
            .next()
            .ok_or_else(|| invalid("no values are bound: the parameters have no row"))?;
        let engine = Arc::clone(&self.services.query);
        let first = engine.sql(first).await.map_err(|error| status_of(&error))?;
        call.asked.add(first.query);
        let asked = Arc::clone(&call.asked);
        let rest = stream::iter(queries)
            .then(move |query| {
                let engine = Arc::clone(&engine);
                let asked = Arc::clone(&asked);
                async move {
                    let result = engine.sql(query).await?;
                    asked.add(result.query);
                    Ok(result.batches)
                }
            })
            .try_flatten();
        let batches = first.batches.chain(rest);
        Ok((first.schema, batches.boxed()))
    }

    async fn rows_of_statement(
        &self,
        call: &Call,
        database: &str,
        text: &str,
        runs: Vec<Values>,
        origin: &Origin,
    ) -> Result<Messages, Status> {
        let (schema, batches) = self.run(call, database, text, runs, origin).await?;
        messages(&schema, batches, call.options.shape, SILENCE_MAX)
    }

    fn prepared(&self, handle: &Bytes) -> Result<Prepared, Status> {
        Prepared::from_handle(handle)
            .map(|prepared| prepared.recalled_from(&self.services.bindings))
    }

    /// What a command answers with, when it takes no query to tell; `None` for statements.
    async fn list(
        &self,
        call: &Call,
        database: &str,
        command: Command,
        with_rows: bool,
    ) -> Result<Option<RecordBatch>, Status> {
        let kind = call.options.base_table_type;
        let rows = match command {
            Command::CommandGetCatalogs(command) => browse::catalogs(command)?,
            Command::CommandGetDbSchemas(command) => browse::schemas(command)?,
            Command::CommandGetTables(command) => {
                let tables = match with_rows {
                    true => self
                        .services
                        .query
                        .tables(database, &call.caller.access(), command.include_schema)
                        .await
                        .map_err(|error| status_of(&error))?,
                    false => Vec::new(),
                };
                browse::tables(command, &tables, kind)?
            }
            Command::CommandGetTableTypes(command) => browse::table_types(command, kind)?,
            Command::CommandGetPrimaryKeys(command) => {
                browse::primary_keys(&command, &self.services, &call.caller, database).await?
            }
            Command::CommandGetExportedKeys(_)
            | Command::CommandGetImportedKeys(_)
            | Command::CommandGetCrossReference(_) => browse::foreign_keys(),
            Command::CommandGetSqlInfo(command) => sql_info::sql_info(command)?,
            Command::CommandGetXdbcTypeInfo(command) => type_info::type_info(command)?,
            Command::CommandStatementQuery(_) | Command::CommandPreparedStatementQuery(_) => {
                return Ok(None);
            }
            other => return Err(unsupported(&other)),
        };
        Ok(Some(rows))
    }

    /// The schema of what a command answers with, as its rows are sent.
    async fn schema(
        &self,
        call: &Call,
        database: &str,
        command: &Command,
    ) -> Result<Schema, Status> {
        let query = match command {
            Command::CommandStatementQuery(statement) => {
                require_no_transaction(statement.transaction_id.as_ref())?;
                call.options.language.require_sql()?;
                call.query(database, &statement.query, Vec::new())
            }
            Command::CommandPreparedStatementQuery(statement) => {
                let prepared = self.prepared(&statement.prepared_statement_handle)?;
                let runs = prepared.runs()?;
                let values = runs.into_iter().next().unwrap_or_default();
                call.query(database, &prepared.text, values)
            }
            other => {
                let rows = self.list(call, database, other.clone(), false).await?;
                let rows = rows.ok_or_else(|| unsupported(other))?;
                return Ok(rows.schema().as_ref().clone());
            }
        };
        let schema = self.describe(query).await?.schema;
        Ok(wire_schema(&schema, call.options.shape.keeps_dictionaries)
            .as_ref()
            .clone())
    }

    async fn rows_of_command(
        &self,
        call: &Call,
        named: Option<&str>,
        command: Command,
        query_id: Option<Uuid>,
    ) -> Result<Messages, Status> {
        let database = self.database(call, named)?;
        match command {
            Command::CommandStatementQuery(statement) => {
                require_no_transaction(statement.transaction_id.as_ref())?;
                call.options.language.require_sql()?;
                let once = vec![Vec::new()];
                let origin = call.origin_of(STATEMENT_QUERY, query_id);
                self.rows_of_statement(call, database, &statement.query, once, &origin)
                    .await
            }
            Command::CommandPreparedStatementQuery(statement) => {
                let prepared = self.prepared(&statement.prepared_statement_handle)?;
                let runs = prepared.runs()?;
                let origin = call.origin_of(PREPARED_QUERY, query_id);
                self.rows_of_statement(call, database, &prepared.text, runs, &origin)
                    .await
            }
            other => {
                let unknown = unsupported(&other);
                let rows = self.list(call, database, other, true).await?;
                whole(rows.ok_or(unknown)?, call.options.shape)
            }
        }
    }

    /// Carries out a statement that deletes rows; the answer is how many are gone.
    async fn update(
        &self,
        call: &Call,
        text: &str,
        runs: Option<Vec<Values>>,
        command: &'static str,
    ) -> Result<i64, Status> {
        let database = self.database(call, None)?;
        let prepared = Prepared::new(text)?;
        let described = self.describe(call.query(database, &prepared.text, Vec::new()));
        if !described.await?.is_delete {
            return Err(invalid(
                "a statement that changes nothing has to be sent as a query",
            ));
        }
        let runs = runs.unwrap_or_else(|| vec![Vec::new()]);
        let origin = call.origin_of(command, None);
        let run = self.run(call, database, &prepared.text, runs, &origin);
        let (_, mut batches) = run.await?;
        let mut rows = 0_i64;
        while let Some(batch) = batches
            .try_next()
            .await
            .map_err(|error| status_of(&error))?
        {
            let counts = batch
                .columns()
                .first()
                .and_then(|column| column.as_primitive_opt::<UInt64Type>());
            for count in counts.into_iter().flatten().flatten() {
                rows = rows.saturating_add(i64::try_from(count).unwrap_or(i64::MAX));
            }
        }
        Ok(rows)
    }

    async fn prepare(
        &self,
        call: &Call,
        request: ActionCreatePreparedStatementRequest,
    ) -> Result<ActionCreatePreparedStatementResult, Status> {
        require_no_transaction(request.transaction_id.as_ref())?;
        call.options.language.require_sql()?;
        let database = self.database(call, None)?;
        let mut prepared = Prepared::new(&request.query)?;
        let mut number = [0; 16];
        let drawn = self.services.world.random.fill(&mut number);
        drawn.map_err(|error| status_of(&error))?;
        prepared.number = Bytes::copy_from_slice(&number);
        let described = self.describe(call.query(database, &prepared.text, Vec::new()));
        let described = described.await?;
        // Drivers take a statement without a schema for one that changes rows.
        let dataset_schema = match described.is_delete {
            true => Bytes::new(),
            false => encoded(&wire_schema(
                &described.schema,
                call.options.shape.keeps_dictionaries,
            ))?,
        };
        let parameter_schema = match described.parameters.is_empty() {
            true => Bytes::new(),
            false => encoded(&parameter_schema(&described.parameters))?,
        };
        Ok(ActionCreatePreparedStatementResult {
            prepared_statement_handle: prepared.to_handle(),
            dataset_schema,
            parameter_schema,
        })
    }

    async fn put(&self, call: &Call, mut data: Streaming<FlightData>) -> Result<Bytes, Status> {
        let Some(first) = data.message().await? else {
            return Err(invalid("DoPut without a message"));
        };
        let descriptor = first
            .flight_descriptor
            .as_ref()
            .ok_or_else(|| invalid("the first message of DoPut has no descriptor"))?;
        let result = match command_of(descriptor)? {
            Command::CommandPreparedStatementQuery(statement) => {
                let prepared = Prepared::from_handle(&statement.prepared_statement_handle)?;
                let bound = prepared.bind(&all(first, data).await?)?;
                bound.remember_in(&self.services.bindings);
                DoPutPreparedStatementResult {
                    prepared_statement_handle: Some(bound.to_handle()),
                }
                .encode_to_vec()
            }
            Command::CommandPreparedStatementUpdate(statement) => {
                let mut prepared = self.prepared(&statement.prepared_statement_handle)?;
                let messages = all(first, data).await?;
                if messages
                    .iter()
                    .any(|message| !message.data_header.is_empty())
                {
                    prepared = prepared.bind(&messages)?;
                }
                let runs = prepared.runs()?;
                let record_count = self
                    .update(call, &prepared.text, Some(runs), PREPARED_UPDATE)
                    .await?;
                DoPutUpdateResult { record_count }.encode_to_vec()
            }
            Command::CommandStatementUpdate(statement) => {
                require_no_transaction(statement.transaction_id.as_ref())?;
                let record_count = self
                    .update(call, &statement.query, None, STATEMENT_UPDATE)
                    .await?;
                DoPutUpdateResult { record_count }.encode_to_vec()
            }
            other => return Err(unsupported(&other)),
        };
        Ok(result.into())
    }
}

type Answers<T> = BoxStream<'static, Result<T, Status>>;

#[tonic::async_trait]
impl FlightService for Flight {
    type HandshakeStream = Answers<HandshakeResponse>;
    type ListFlightsStream = Answers<FlightInfo>;
    type DoGetStream = Answers<FlightData>;
    type DoPutStream = Answers<PutResult>;
    type DoActionStream = Answers<arrow_flight::Result>;
    type ListActionsStream = Answers<ActionType>;
    type DoExchangeStream = Answers<FlightData>;

    /// Echoes what it is sent, and gives back the credential as a bearer token, unchecked (spec/auth-tokens.md §4.2).
    async fn handshake(
        &self,
        request: Request<Streaming<HandshakeRequest>>,
    ) -> Result<Response<Self::HandshakeStream>, Status> {
        let (metadata, _, mut payload) = request.into_parts();
        let bearer = caller::bearer(&mut metadata.into_headers())?;
        // Some clients send a payload, some only their credential.
        let echo = payload.message().await?.map(|sent| HandshakeResponse {
            protocol_version: sent.protocol_version,
            payload: sent.payload,
        });
        let mut response = Response::new(one(echo));
        if let Some(bearer) = bearer {
            let mut headers = HeaderMap::new();
            headers.insert(hyper::header::AUTHORIZATION, bearer);
            *response.metadata_mut() = MetadataMap::from_headers(headers);
        }
        Ok(response)
    }

    async fn get_flight_info(
        &self,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        let call = call_of(&request)?;
        let descriptor = request.into_inner();
        let command = command_of(&descriptor)?;
        let database = self.database(&call, None)?;
        let schema = self.schema(&call, database, &command).await?;
        let query_id = match &command {
            Command::CommandStatementQuery(_) | Command::CommandPreparedStatementQuery(_) => {
                let mut number = [0; 16];
                let drawn = self.services.world.random.fill(&mut number);
                drawn.map_err(|error| status_of(&error))?;
                Some(uuid::Builder::from_random_bytes(number).into_uuid())
            }
            _ => None,
        };
        let ticket = ticket::for_command(database, command.into_any(), query_id);
        // One endpoint, without a location: some clients refuse any other number.
        let endpoint = FlightEndpoint::new().with_ticket(Ticket::new(ticket));
        let info = FlightInfo::new()
            .try_with_schema(&schema)
            .map_err(|fault| internal("a schema", &fault))?
            .with_endpoint(endpoint)
            .with_descriptor(descriptor)
            .with_total_records(-1)
            .with_total_bytes(-1)
            .with_app_metadata(query_id.map_or_else(String::new, |id| id.to_string()));
        Ok(Response::new(info))
    }

    async fn get_schema(
        &self,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<SchemaResult>, Status> {
        let call = call_of(&request)?;
        let command = command_of(request.get_ref())?;
        let database = self.database(&call, None)?;
        let schema = encoded(&self.schema(&call, database, &command).await?)?;
        Ok(Response::new(SchemaResult { schema }))
    }

    async fn do_get(
        &self,
        request: Request<Ticket>,
    ) -> Result<Response<Self::DoGetStream>, Status> {
        let call = call_of(&request)?;
        let messages = match ticket::read(&request.get_ref().ticket)? {
            ticket::Asked::Statement(statement) => {
                statement.language.require_sql()?;
                let database = self.database(&call, Some(&statement.database))?;
                let runs = vec![statement.parameters];
                self.rows_of_statement(&call, database, &statement.text, runs, &call.origin)
                    .await?
            }
            ticket::Asked::Command {
                database,
                command,
                query_id,
            } => {
                self.rows_of_command(&call, database.as_deref(), command, query_id)
                    .await?
            }
        };
        Ok(Response::new(messages))
    }

    async fn do_put(
        &self,
        request: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoPutStream>, Status> {
        let call = call_of(&request)?;
        let app_metadata = self.put(&call, request.into_inner()).await?;
        Ok(Response::new(one(Some(PutResult { app_metadata }))))
    }

    async fn do_action(
        &self,
        request: Request<Action>,
    ) -> Result<Response<Self::DoActionStream>, Status> {
        let call = call_of(&request)?;
        let action = request.into_inner();
        match action.r#type.as_str() {
            CREATE_PREPARED_STATEMENT => {
                let prepared = self.prepare(&call, unpacked(&action)?).await?;
                Ok(result(prepared.as_any().encode_to_vec().into()))
            }
            CLOSE_PREPARED_STATEMENT => {
                let close: ActionClosePreparedStatementRequest = unpacked(&action)?;
                // A handle that is none has nothing to close.
                if let Ok(prepared) = Prepared::from_handle(&close.prepared_statement_handle) {
                    self.services.bindings.forget(&prepared.number);
                }
                Ok(Response::new(one(None)))
            }
            cancel::CANCEL_FLIGHT_INFO => {
                let cancelled = cancel::flight_info(&self.services, &call.caller, &action.body);
                Ok(result(cancelled?))
            }
            cancel::CANCEL_QUERY => {
                let request: ActionCancelQueryRequest = unpacked(&action)?;
                let cancelled = cancel::query(&self.services, &call.caller, &request);
                Ok(result(cancelled?))
            }
            session::SET_OPTIONS => Ok(result(session::set_options(&action.body)?)),
            session::GET_OPTIONS => Ok(result(session::options())),
            session::CLOSE => Ok(result(session::closed())),
            other => Err(Status::unimplemented(format!(
                "action {other} is not supported"
            ))),
        }
    }

    async fn list_actions(
        &self,
        _request: Request<Empty>,
    ) -> Result<Response<Self::ListActionsStream>, Status> {
        let actions = [
            (
                CREATE_PREPARED_STATEMENT,
                "Prepares a statement: takes ActionCreatePreparedStatementRequest, gives ActionCreatePreparedStatementResult.",
            ),
            (
                CLOSE_PREPARED_STATEMENT,
                "Ends a prepared statement: takes ActionClosePreparedStatementRequest, gives nothing.",
            ),
            (
                cancel::CANCEL_FLIGHT_INFO,
                "Stops a query: takes CancelFlightInfoRequest, gives CancelFlightInfoResult.",
            ),
            (
                cancel::CANCEL_QUERY,
                "Stops a query, as older clients ask for it: takes ActionCancelQueryRequest, gives ActionCancelQueryResult.",
            ),
            (
                session::SET_OPTIONS,
                "Sets catalog or schema, to what they are: takes SetSessionOptionsRequest, gives SetSessionOptionsResult.",
            ),
            (
                session::GET_OPTIONS,
                "Tells catalog and schema: takes GetSessionOptionsRequest, gives GetSessionOptionsResult.",
            ),
            (
                session::CLOSE,
                "Ends a session, of which nothing is kept: takes CloseSessionRequest, gives CloseSessionResult.",
            ),
        ];
        let actions = actions.map(|(name, description)| {
            Ok(ActionType {
                r#type: name.to_string(),
                description: description.to_string(),
            })
        });
        Ok(Response::new(stream::iter(actions).boxed()))
    }

    async fn list_flights(
        &self,
        _request: Request<Criteria>,
    ) -> Result<Response<Self::ListFlightsStream>, Status> {
        Err(Status::unimplemented("ListFlights is not supported"))
    }

    async fn poll_flight_info(
        &self,
        _request: Request<FlightDescriptor>,
    ) -> Result<Response<PollInfo>, Status> {
        Err(Status::unimplemented("PollFlightInfo is not supported"))
    }

    async fn do_exchange(
        &self,
        _request: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoExchangeStream>, Status> {
        Err(Status::unimplemented("DoExchange is not supported"))
    }
}

fn call_of<T>(request: &Request<T>) -> Result<Arc<Call>, Status> {
    request
        .extensions()
        .get::<Arc<Call>>()
        .cloned()
        .ok_or_else(|| Status::internal("a call came past the gate"))
}

fn command_of(descriptor: &FlightDescriptor) -> Result<Command, Status> {
    match descriptor.r#type() {
        DescriptorType::Cmd => ticket::read_command(&descriptor.cmd),
        DescriptorType::Path | DescriptorType::Unknown => {
            Err(invalid("the descriptor must be a command, not a path"))
        }
    }
}

/// Every message of a client, up to a size that no values reach.
async fn all(
    first: FlightData,
    mut rest: Streaming<FlightData>,
) -> Result<Vec<FlightData>, Status> {
    let size = |message: &FlightData| message.data_header.len() + message.data_body.len();
    let mut bytes = size(&first);
    let mut messages = vec![first];
    while let Some(message) = rest.message().await? {
        bytes += size(&message);
        if bytes > BIND_BYTES_MAX {
            return Err(invalid(format!(
                "parameters are larger than {BIND_BYTES_MAX} bytes"
            )));
        }
        messages.push(message);
    }
    Ok(messages)
}

fn unpacked<T: ProstMessageExt>(action: &Action) -> Result<T, Status> {
    let any = Any::decode(action.body.clone())
        .map_err(|fault| invalid(format!("Unable to decode action: {fault}")))?;
    let message = any.unpack().map_err(|fault| invalid(fault.to_string()))?;
    message.ok_or_else(|| {
        invalid(format!(
            "action {} takes {}, not {}",
            action.r#type,
            T::type_url(),
            any.type_url
        ))
    })
}

/// A schema as an encapsulated IPC message.
fn encoded(schema: &Schema) -> Result<Bytes, Status> {
    let options = IpcWriteOptions::default();
    let message: Result<IpcMessage, _> = SchemaAsIpc::new(schema, &options).try_into();
    let IpcMessage(bytes) = message.map_err(|fault| internal("a schema", &fault))?;
    Ok(bytes)
}

fn require_no_transaction(transaction: Option<&Bytes>) -> Result<(), Status> {
    match transaction {
        Some(id) if !id.is_empty() => Err(invalid("transactions are not supported")),
        _ => Ok(()),
    }
}

fn unsupported(command: &Command) -> Status {
    let name = command.type_url();
    let name = name.rsplit(['/', '.']).next().unwrap_or(name);
    Status::unimplemented(format!("{name} is not supported"))
}

/// The answer to an action.
fn result(body: Bytes) -> Response<Answers<arrow_flight::Result>> {
    Response::new(one(Some(arrow_flight::Result { body })))
}

fn one<T: Send + 'static>(
    item: Option<T>,
) -> Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>> {
    stream::iter(item.map(Ok)).boxed()
}
