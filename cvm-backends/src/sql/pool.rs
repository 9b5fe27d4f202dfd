//! Connections: as many as there are statements at a time, made again when they are lost.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use cvm_core::module::Temporary;

use super::{Found, Statement};
use crate::Notices;
use crate::notices::Once;

/// A kind of database: how to connect to it, and to have statements executed.
pub trait Database: Send + Sync {
    /// A connection, which one statement at a time uses.
    type Connection: Send;

    /// Connects, within this time.
    ///
    /// # Errors
    ///
    /// [`Trouble`] if that fails.
    fn connect(&self, timeout: Duration) -> Result<Self::Connection, Trouble>;

    /// Has a query executed.
    ///
    /// # Errors
    ///
    /// [`Trouble`] if that fails.
    fn select(
        &self,
        connection: &mut Self::Connection,
        query: &str,
        values: &[&[u8]],
        timeout: Duration,
    ) -> Result<Found, Trouble>;

    /// Has a statement executed whose rows do not matter.
    ///
    /// # Errors
    ///
    /// [`Trouble`] if that fails.
    fn execute(
        &self,
        connection: &mut Self::Connection,
        statement: &str,
        values: &[&[u8]],
        timeout: Duration,
    ) -> Result<(), Trouble>;

    /// Has a query executed, if that takes no more than an event loop can wait; `None` if it would.
    fn select_at_once(
        &self,
        _connection: &mut Self::Connection,
        _query: &str,
        _values: &[&[u8]],
    ) -> Option<Result<Found, Trouble>> {
        None
    }

    /// Tells whether a connection is still one to the database that is meant.
    fn is_current(&self, _connection: &Self::Connection) -> bool {
        true
    }
}

/// Why there is no answer. What a peer chose is kept out of the texts as far as the database tells.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// No connection can be made, or it was lost: a new one may do.
    #[error("{0}")]
    Lost(String),
    /// The database did not answer in time.
    #[error("the database did not answer in time")]
    Late,
    /// The database refuses the statement; another connection will not change that.
    #[error("{0}")]
    Refused(String),
    /// The result of the query lacks a column.
    #[error("the query yields {0} columns, expected at least password, username, userid, groupid, directory")]
    MissingColumns(usize),
}

impl Trouble {
    const fn temporary(&self) -> Temporary {
        match self {
            Self::MissingColumns(_) => Temporary::BAD_MODULE_DATA,
            Self::Lost(_) | Self::Late | Self::Refused(_) => Temporary::IO,
        }
    }
}

/// How long a connection may stay without work.
const IDLE: Duration = Duration::from_secs(60);

/// Connections that have nothing to do, the latest last.
pub(super) struct Pool<D: Database> {
    database: D,
    timeout: Duration,
    idle: Mutex<Vec<(D::Connection, Instant)>>,
    notices: Notices,
    /// The administrator knows that the database is away.
    has_told: AtomicBool,
    refused: Once,
}

impl<D: Database> Pool<D> {
    pub(super) fn new(database: D, timeout: Duration, notices: Notices) -> Self {
        Self {
            database,
            timeout,
            idle: Mutex::new(Vec::new()),
            notices,
            has_told: AtomicBool::new(false),
            refused: Once::default(),
        }
    }

    /// Has a query executed; one that failed on a connection which was lost meanwhile is repeated on a new one.
    pub(super) fn select(&self, query: &Statement, values: &[&[u8]]) -> Result<Found, Temporary> {
        let select =
            |connection: &mut D::Connection| self.database.select(connection, query.text(), values, self.timeout);
        if let Some(mut connection) = self.take() {
            match select(&mut connection) {
                // The others were lost with it.
                Err(Trouble::Lost(_)) => self.forget_idle(),
                result => {
                    // They may lead to a host that is gone without a word, and each would be waited for.
                    if matches!(result, Err(Trouble::Late)) {
                        self.forget_idle();
                    }
                    return self.done(connection, result);
                }
            }
        }
        self.on_new(select)
    }

    /// Has a statement executed once: if the connection is lost meanwhile, nobody knows whether it was.
    pub(super) fn execute(&self, statement: &Statement, values: &[&[u8]]) -> Result<(), Temporary> {
        let execute =
            |connection: &mut D::Connection| self.database.execute(connection, statement.text(), values, self.timeout);
        match self.take() {
            Some(mut connection) => {
                let result = execute(&mut connection);
                self.done(connection, result)
            }
            None => self.on_new(execute),
        }
    }

    /// Has a query executed now, if there is a connection for it.
    pub(super) fn select_at_once(&self, query: &Statement, values: &[&[u8]]) -> Option<Result<Found, Temporary>> {
        let mut connection = self.take()?;
        match self.database.select_at_once(&mut connection, query.text(), values) {
            Some(result @ (Ok(_) | Err(Trouble::Refused(_) | Trouble::MissingColumns(_)))) => {
                Some(self.done(connection, result))
            }
            Some(Err(Trouble::Lost(_) | Trouble::Late)) => None,
            None => {
                self.put(connection);
                None
            }
        }
    }

    fn on_new<T>(&self, run: impl FnOnce(&mut D::Connection) -> Result<T, Trouble>) -> Result<T, Temporary> {
        let mut connection = self.database.connect(self.timeout).map_err(|trouble| self.told(&trouble))?;
        let result = run(&mut connection);
        self.done(connection, result)
    }

    /// Keeps a connection that works.
    fn done<T>(&self, connection: D::Connection, result: Result<T, Trouble>) -> Result<T, Temporary> {
        match &result {
            Ok(_) => {
                if self.has_told.load(Ordering::Relaxed) && self.has_told.swap(false, Ordering::Relaxed) {
                    self.notices.give(format_args!("the database answers again"));
                }
                self.put(connection);
            }
            Err(Trouble::Refused(_) | Trouble::MissingColumns(_)) => self.put(connection),
            Err(Trouble::Lost(_) | Trouble::Late) => {}
        }
        result.map_err(|trouble| self.told(&trouble))
    }

    /// Tells of a refusal once, and of other trouble once until the database has answered again.
    fn told(&self, trouble: &Trouble) -> Temporary {
        // Some functions of databases show a value that they cannot read: it forges no line, and no more.
        let text = trouble.to_string().replace(char::is_control, " ");
        match trouble {
            Trouble::Refused(_) | Trouble::MissingColumns(_) => {
                self.refused.give(&self.notices, format_args!("{text}"))
            }
            Trouble::Lost(_) | Trouble::Late => {
                if !self.has_told.swap(true, Ordering::Relaxed) {
                    self.notices.give(format_args!("{text}"));
                }
            }
        }
        trouble.temporary()
    }

    fn take(&self) -> Option<D::Connection> {
        loop {
            let (connection, since) = self.idle().pop()?;
            if since.elapsed() < IDLE && self.database.is_current(&connection) {
                return Some(connection);
            }
        }
    }

    fn put(&self, connection: D::Connection) {
        let now = Instant::now();
        let old: Vec<_> = {
            let mut idle = self.idle();
            idle.push((connection, now));
            let old = idle.iter().take_while(|(_, since)| now.duration_since(*since) >= IDLE).count();
            idle.drain(..old).collect()
        };
        // Closing them may take its time.
        drop(old);
    }

    fn forget_idle(&self) {
        let idle = std::mem::take(&mut *self.idle());
        drop(idle);
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<(D::Connection, Instant)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
