//! A connection: a driver that runs while it is waited for, and the statements that the server has prepared.

use std::hash::{BuildHasher, RandomState};
use std::pin::pin;
use std::time::Duration;

use cvm_backends::sql::{Found, REQUIRED, Trouble};
use futures_util::TryStreamExt;
use futures_util::future::join_all;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;
use tokio_postgres::error::{DbError, SqlState};
use tokio_postgres::{Client, Error, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::columns::{self, Text};
use super::hosts::{Host, Server};
use super::parameters::{Parameters, Target};

/// A connection.
pub(super) struct Session {
    client: Client,
    /// By their texts.
    prepared: Vec<(String, Statement)>,
    tls: MakeRustlsConnect,
    /// Last, as the driver runs in it.
    runtime: Runtime,
}

/// How long asking a server to give up may take.
const CANCEL: Duration = Duration::from_millis(250);

impl Session {
    /// Connects to the first server that will do. Each has its share of this time, or `$PGCONNECT_TIMEOUT`.
    pub(super) fn open(parameters: &Parameters, limit: Duration) -> Result<Self, Trouble> {
        let runtime = Builder::new_current_thread().enable_all().build().map_err(|error| lost(&error))?;
        let count = parameters.servers.len();
        let rounds = parameters.target.rounds();
        let per_server = limit / u32::try_from(count * rounds.len()).unwrap_or(u32::MAX);
        let per_server = parameters.connect_timeout.unwrap_or(per_server).min(limit);
        let start = if parameters.is_random { RandomState::new().hash_one(count) } else { 0 };
        let start = usize::try_from(start % count.max(1) as u64).unwrap_or(0);
        let mut trouble = Trouble::Lost("no server".into());
        for target in rounds {
            for server in parameters.servers.iter().cycle().skip(start).take(count) {
                let connected =
                    runtime.block_on(async { timeout(per_server, connect(parameters, server, *target)).await });
                match connected {
                    Ok(Ok(client)) => {
                        let tls = MakeRustlsConnect::new(parameters.tls.clone());
                        return Ok(Self { client, prepared: Vec::new(), tls, runtime });
                    }
                    Ok(Err(error)) => trouble = of_server(server, error),
                    Err(_) => trouble = of_server(server, "no answer in time".into()),
                }
            }
        }
        // A name that is still being resolved is not waited for.
        runtime.shutdown_background();
        Err(trouble)
    }

    pub(super) fn select(&mut self, query: &str, values: &[&[u8]], limit: Duration) -> Result<Found, Trouble> {
        let Self { client, prepared, runtime, .. } = self;
        let select = async {
            let statement = statement(client, prepared, query, values, true).await?;
            match find(client, &statement, values).await {
                Ok(found) => Ok(found),
                Err(error) if is_of_value(&error) && !binds(client, &statement, values).await? => Ok(Found::Unfit),
                Err(error) => Err(of_statement(&error)),
            }
        };
        runtime.block_on(async { timeout(limit, select).await }).unwrap_or_else(|_| Err(self.late()))
    }

    /// Sends the query with each of the sets of values before it waits for what they find.
    pub(super) fn select_all(
        &mut self,
        query: &str,
        values: &[Vec<&[u8]>],
        limit: Duration,
    ) -> Vec<Result<Found, Trouble>> {
        let Self { client, prepared, runtime, .. } = self;
        let select = async {
            let first = values.first().map(Vec::as_slice).unwrap_or_default();
            let statement = statement(client, prepared, query, first, true).await?;
            Ok(join_all(values.iter().map(|values| find(client, &statement, values))).await)
        };
        let found = runtime.block_on(async { timeout(limit, select).await }).unwrap_or_else(|_| Err(self.late()));
        match found {
            Ok(found) => values
                .iter()
                .zip(found)
                .map(|(values, found)| match found {
                    Ok(found) => Ok(found),
                    // Whether it was the value takes a transaction to tell.
                    Err(error) if is_of_value(&error) => self.select(query, values, limit),
                    Err(error) => Err(of_statement(&error)),
                })
                .collect(),
            Err(trouble) => values.iter().map(|_| Err(trouble.clone())).collect(),
        }
    }

    pub(super) fn execute(&mut self, text: &str, values: &[&[u8]], limit: Duration) -> Result<(), Trouble> {
        let Self { client, prepared, runtime, .. } = self;
        let execute = async {
            let statement = statement(client, prepared, text, values, false).await?;
            client
                .execute_raw(&statement, values.iter().map(|value| Text(value)))
                .await
                .map_err(|error| of_statement(&error))
        };
        runtime.block_on(async { timeout(limit, execute).await }).unwrap_or_else(|_| Err(self.late())).map(drop)
    }

    /// Asks the server to give up what nobody waits for any more: it would go on with it, and run out of connections.
    fn late(&self) -> Trouble {
        let cancel = self.client.cancel_token();
        // Whether that succeeds does not matter: the connection is closed.
        let _ = self.runtime.block_on(async { timeout(CANCEL, cancel.cancel_query(self.tls.clone())).await });
        Trouble::Late
    }
}

async fn connect(parameters: &Parameters, server: &Server, target: Target) -> Result<Client, String> {
    let tls = MakeRustlsConnect::new(parameters.tls.clone());
    let (client, driver) = parameters.config(server).connect(tls).await.map_err(|error| said(&error))?;
    // It ends with the runtime.
    tokio::spawn(driver);
    if target == Target::Any {
        return Ok(client);
    }
    const STATE: &str =
        "SELECT pg_catalog.pg_is_in_recovery(), pg_catalog.current_setting('transaction_read_only')='on'";
    let state = client.query_one(STATE, &[]).await.map_err(|error| said(&error))?;
    let flag = |column| state.try_get::<_, bool>(column).map_err(|error| said(&error));
    if target.fits(flag(0)?, flag(1)?) { Ok(client) } else { Err("not what $PGTARGETSESSIONATTRS asks for".into()) }
}

/// Has a statement prepared, unless it is.
async fn statement(
    client: &Client,
    prepared: &mut Vec<(String, Statement)>,
    text: &str,
    values: &[&[u8]],
    is_query: bool,
) -> Result<Statement, Trouble> {
    if let Some((_, statement)) = prepared.iter().find(|(known, _)| known == text) {
        return Ok(statement.clone());
    }
    let statement = client.prepare(text).await.map_err(|error| of_statement(&error))?;
    if statement.params().len() != values.len() {
        return Err(Trouble::Refused("the database takes something in the statement for a parameter".into()));
    }
    let columns = statement.columns();
    if is_query && columns.len() < REQUIRED {
        return Err(Trouble::MissingColumns(columns.len()));
    }
    let read = columns.iter().take(cvm_backends::sql::COLUMNS);
    if let Some(column) = read.filter(|_| is_query).find(|column| !columns::is_readable(column.type_())) {
        let (name, kind) = (column.name(), column.type_());
        return Err(Trouble::Refused(format!("the column {name} is of type {kind}, expected text or a number")));
    }
    prepared.push((text.to_owned(), statement.clone()));
    Ok(statement)
}

/// Takes two rows at most.
async fn find(client: &Client, statement: &Statement, values: &[&[u8]]) -> Result<Found, Error> {
    let mut rows = pin!(client.query_raw(statement, values.iter().map(|value| Text(value))).await?);
    let mut found = Vec::new();
    while let Some(row) = rows.try_next().await? {
        found.push(columns::row(&row));
        if found.len() == 2 {
            break;
        }
    }
    Found::of_rows(found.into_iter())
}

/// Tells whether the server takes the values for what they are compared with.
async fn binds(client: &mut Client, statement: &Statement, values: &[&[u8]]) -> Result<bool, Trouble> {
    let transaction = client.transaction().await.map_err(|error| of_statement(&error))?;
    let bound = transaction.bind_raw(statement, values.iter().map(|value| Text(value))).await;
    let refused = matches!(&bound, Err(error) if is_of_value(error));
    let result = match bound {
        Err(error) if !refused => Err(of_statement(&error)),
        _ => Ok(!refused),
    };
    transaction.rollback().await.map_err(|error| of_statement(&error))?;
    result
}

/// Tells whether the server did not like a value: a data exception.
fn is_of_value(error: &Error) -> bool {
    error.code().is_some_and(|code| code.code().starts_with("22"))
}

fn of_server(server: &Server, what: String) -> Trouble {
    let port = server.port;
    Trouble::Lost(match &server.host {
        Host::Folder(folder) => format!("{}, port {port}: {what}", folder.display()),
        Host::Name { name, .. } => format!("{name}, port {port}: {what}"),
    })
}

fn of_statement(error: &Error) -> Trouble {
    let Some(error) = error.as_db_error() else {
        return Trouble::Lost(said(error));
    };
    let text = without_values(error);
    match error.code() {
        &SqlState::QUERY_CANCELED => Trouble::Late,
        code if ["42", "22", "23", "3F", "P0"].iter().any(|class| code.code().starts_with(class)) => {
            Trouble::Refused(text)
        }
        // Another connection may do better, one to another server too.
        _ => Trouble::Lost(text),
    }
}

/// What the server says of values may hold them.
fn without_values(error: &DbError) -> String {
    let code = error.code().code();
    match code.get(..2) {
        Some("22" | "23" | "P0") => format!("the database refuses a value, SQLSTATE {code}"),
        _ => format!("{} (SQLSTATE {code})", error.message()),
    }
}

fn said(error: &Error) -> String {
    use std::error::Error as _;
    match (error.as_db_error(), error.source()) {
        (Some(error), _) => error.message().to_owned(),
        (None, Some(source)) => format!("{error}: {source}"),
        (None, None) => error.to_string(),
    }
}

fn lost(error: &std::io::Error) -> Trouble {
    Trouble::Lost(error.to_string())
}
