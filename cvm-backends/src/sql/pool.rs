//! Connections: as many as there are statements at a time, made again when they are lost.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
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

    /// Says how many queries [`Self::select_all`] executes faster together; 1 if none.
    fn selects_at_once(&self) -> usize {
        1
    }

    /// Has a query executed for each of several sets of values, and returns what each finds, in their order.
    fn select_all(
        &self,
        connection: &mut Self::Connection,
        query: &str,
        values: &[Vec<&[u8]>],
        timeout: Duration,
    ) -> Vec<Result<Found, Trouble>> {
        values.iter().map(|values| self.select(connection, query, values, timeout)).collect()
    }

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

    /// Prepares a connection for the queries of a round, which may all see the database as it is at the first of them.
    ///
    /// # Errors
    ///
    /// [`Trouble`] if that fails.
    fn begin_round(&self, _connection: &mut Self::Connection) -> Result<(), Trouble> {
        Ok(())
    }

    /// Lets go of what the connection holds for a round.
    ///
    /// # Errors
    ///
    /// [`Trouble`] if that fails: the connection is closed then.
    fn end_round(&self, _connection: &mut Self::Connection) -> Result<(), Trouble> {
        Ok(())
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
    /// There may be no more connections.
    #[error("{0}")]
    Full(String),
    /// The result of the query lacks a column.
    #[error("the query yields {0} columns, expected at least password, username, userid, groupid, directory")]
    MissingColumns(usize),
}

impl Trouble {
    const fn temporary(&self) -> Temporary {
        match self {
            Self::MissingColumns(_) => Temporary::BAD_MODULE_DATA,
            Self::Lost(_) | Self::Late | Self::Refused(_) | Self::Full(_) => Temporary::IO,
        }
    }
}

/// How long a connection may stay without work.
const IDLE: Duration = Duration::from_secs(60);

/// How long to wait for a connection of others before it is tried again to make one.
const FULL_PAUSE: Duration = Duration::from_millis(10);

/// Connections that have nothing to do, the latest last.
pub(super) struct Pool<D: Database> {
    database: D,
    timeout: Duration,
    idle: Mutex<Vec<(D::Connection, Instant)>>,
    /// How many wait for a connection, and what wakes them.
    waiting: AtomicUsize,
    returned: Condvar,
    rounds: Rounds<D::Connection>,
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
            waiting: AtomicUsize::new(0),
            returned: Condvar::new(),
            rounds: Rounds::default(),
            notices,
            has_told: AtomicBool::new(false),
            refused: Once::default(),
        }
    }

    pub(super) fn selects_at_once(&self) -> usize {
        self.database.selects_at_once()
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

    /// Has a query executed for several sets of values; those that failed on a connection which was lost meanwhile are
    /// repeated on a new one.
    pub(super) fn select_all(&self, query: &Statement, values: &[Vec<&[u8]>]) -> Vec<Result<Found, Temporary>> {
        let select = |mut connection: D::Connection, values: &[Vec<&[u8]>]| {
            let results = self.database.select_all(&mut connection, query.text(), values, self.timeout);
            self.keep(connection, &results);
            // The others were lost with it, or may lead to a host that is gone without a word.
            if !results.iter().all(is_alive) {
                self.forget_idle();
            }
            results
        };
        let mut results: Vec<Result<Found, Trouble>> = match self.take() {
            Some(connection) => select(connection, values),
            None => values.iter().map(|_| Err(Trouble::Lost("no connection".into()))).collect(),
        };
        let lost: Vec<_> =
            values.iter().zip(&results).filter(|(_, it)| is_lost(it)).map(|(values, _)| values.clone()).collect();
        if !lost.is_empty() {
            let again = match self.connect() {
                Ok(connection) => select(connection, &lost),
                Err(trouble) => lost.iter().map(|_| Err(trouble.clone())).collect(),
            };
            results.iter_mut().filter(|it| is_lost(it)).zip(again).for_each(|(result, again)| *result = again);
        }
        results.into_iter().map(|result| result.map_err(|trouble| self.told(&trouble))).collect()
    }

    /// Has a query executed now, if there is a connection for it. What is asked for in one round, which is on one
    /// thread, is asked for on one connection, of which others learn nothing that is older than their requests.
    pub(super) fn select_at_once(&self, query: &Statement, values: &[&[u8]]) -> Option<Result<Found, Temporary>> {
        let mut connection = self.rounds.take().or_else(|| {
            let mut connection = self.take()?;
            self.database.begin_round(&mut connection).ok().map(|()| connection)
        })?;
        let result = self.database.select_at_once(&mut connection, query.text(), values);
        match result {
            // Whoever can wait finds out.
            Some(Err(Trouble::Lost(_) | Trouble::Late)) => None,
            result => {
                self.rounds.put(connection);
                let result = result?;
                self.note(std::slice::from_ref(&result));
                Some(result.map_err(|trouble| self.told(&trouble)))
            }
        }
    }

    /// Ends the round that is on this thread.
    pub(super) fn end_round(&self) {
        if let Some(mut connection) = self.rounds.take()
            && self.database.end_round(&mut connection).is_ok()
        {
            self.put(connection);
        }
    }

    fn on_new<T>(&self, run: impl FnOnce(&mut D::Connection) -> Result<T, Trouble>) -> Result<T, Temporary> {
        let mut connection = self.connect().map_err(|trouble| self.told(&trouble))?;
        let result = run(&mut connection);
        self.done(connection, result)
    }

    /// Connects, or waits for one of the others if there may be no more.
    fn connect(&self) -> Result<D::Connection, Trouble> {
        let deadline = Instant::now() + self.timeout;
        loop {
            match self.database.connect(self.timeout) {
                Err(Trouble::Full(_)) if Instant::now() < deadline => {}
                connected => return connected,
            }
            if let Some(connection) = self.take() {
                return Ok(connection);
            }
            self.waiting.fetch_add(1, Ordering::SeqCst);
            let idle = self.idle();
            if idle.is_empty() {
                // One that was closed is noticed as soon.
                drop(self.returned.wait_timeout(idle, FULL_PAUSE));
            }
            self.waiting.fetch_sub(1, Ordering::SeqCst);
        }
    }

    fn done<T>(&self, connection: D::Connection, result: Result<T, Trouble>) -> Result<T, Temporary> {
        self.keep(connection, std::slice::from_ref(&result));
        result.map_err(|trouble| self.told(&trouble))
    }

    /// Keeps a connection that works.
    fn keep<T>(&self, connection: D::Connection, results: &[Result<T, Trouble>]) {
        self.note(results);
        if results.iter().all(is_alive) {
            self.put(connection);
        }
    }

    /// Tells that an outage is over.
    fn note<T>(&self, results: &[Result<T, Trouble>]) {
        if results.iter().any(Result::is_ok)
            && self.has_told.load(Ordering::Relaxed)
            && self.has_told.swap(false, Ordering::Relaxed)
        {
            self.notices.give(format_args!("the database answers again"));
        }
    }

    /// Tells of a refusal once, and of other trouble once until the database has answered again.
    fn told(&self, trouble: &Trouble) -> Temporary {
        // Some functions of databases show a value that they cannot read: it forges no line, and no more.
        let text = trouble.to_string().replace(char::is_control, " ");
        match trouble {
            Trouble::Refused(_) | Trouble::MissingColumns(_) | Trouble::Full(_) => {
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
        if self.waiting.load(Ordering::SeqCst) > 0 {
            self.returned.notify_one();
        }
        // Closing them may take its time.
        drop(old);
    }

    fn forget_idle(&self) {
        let idle = std::mem::take(&mut *self.idle());
        drop(idle);
    }

    fn idle(&self) -> MutexGuard<'_, Vec<(D::Connection, Instant)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The connections of rounds, by the threads that those are on.
struct Rounds<C>(Mutex<Vec<(ThreadId, C)>>);

impl<C> Rounds<C> {
    fn take(&self) -> Option<C> {
        let mut rounds = self.lock();
        if rounds.is_empty() {
            return None;
        }
        let this = thread::current().id();
        let index = rounds.iter().position(|(thread, _)| *thread == this)?;
        Some(rounds.swap_remove(index).1)
    }

    fn put(&self, connection: C) {
        self.lock().push((thread::current().id(), connection));
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(ThreadId, C)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C> Default for Rounds<C> {
    fn default() -> Self {
        Self(Mutex::new(Vec::new()))
    }
}

/// Tells whether a connection that gave this result is good for more.
const fn is_alive<T>(result: &Result<T, Trouble>) -> bool {
    !matches!(result, Err(Trouble::Lost(_) | Trouble::Late))
}

const fn is_lost<T>(result: &Result<T, Trouble>) -> bool {
    matches!(result, Err(Trouble::Lost(_)))
}
