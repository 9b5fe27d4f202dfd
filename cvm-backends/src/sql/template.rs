//! Templates of statements: what stands for a value becomes a parameter of the database, never text of the statement.

mod lexer;

use std::fmt;

use zeroize::Zeroizing;

use lexer::Lexer;

/// Whose SQL a template is in: how it quotes, comments, and writes parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// SQLite, with `?1` for a parameter.
    Sqlite,
    /// PostgreSQL, with `$1`.
    Postgres,
    /// MySQL and MariaDB, with `CONCAT(?)`, which is text whatever it is compared with.
    Mysql,
}

/// A statement as an administrator writes it: `$account`, `$domain` and other names stand for values.
///
/// `$NAME` and `${NAME}` are values, `$$` is a dollar sign. A name stands where the database takes a value: within
/// quotes it is a mistake, and in a comment it means nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    text: String,
    values: Vec<Name>,
}

/// A value that a template asks for, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Name {
    name: String,
    position: usize,
}

/// A template with everything but the account and its domain filled in.
#[derive(Clone)]
pub struct Statement {
    text: String,
    values: Vec<Value>,
}

/// What is given to the database as data.
#[derive(Clone)]
enum Value {
    Account,
    Domain,
    Fixed(Zeroizing<Vec<u8>>),
}

/// A mistake in a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("character {position}: {mistake}")]
pub struct TemplateError {
    /// Which character of the template it is, from 1.
    pub position: usize,
    /// What is wrong there.
    pub mistake: Mistake,
}

/// What is wrong with a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mistake {
    /// Neither a name nor a second dollar sign follows.
    #[error("a name or another $ is expected after $")]
    NoName,
    /// A brace is left open, or there is nothing in it.
    #[error("a name and }} are expected after ${{")]
    NoBrace,
    /// A value cannot be part of a quoted text.
    #[error("a value must stand alone, not within quotes")]
    Quoted,
    /// A quote or a comment goes on to the end.
    #[error("what begins here is never closed")]
    Open,
    /// The database would take this for one of the values.
    #[error("the database would take this for a parameter; a value is written $name")]
    Parameter,
    /// There is more than one statement.
    #[error("only one statement is expected, and more follows here")]
    SecondStatement,
    /// There is nothing.
    #[error("a statement is expected")]
    Empty,
    /// A NUL, or bytes that are no UTF-8.
    #[error("UTF-8 text is expected")]
    NoText,
    /// The environment does not have it.
    #[error("the variable is not set")]
    Unset,
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    ///
    /// [`TemplateError`] with the first mistake.
    pub fn parse(template: &[u8], dialect: Dialect) -> Result<Self, TemplateError> {
        let text = str::from_utf8(template).map_err(|error| no_text(template, error.valid_up_to()))?;
        if let Some(nul) = text.find('\0') {
            return Err(no_text(template, nul));
        }
        let tokens = tokens(text)?;
        Lexer::new(dialect, &tokens).run()
    }

    /// Fills in the variables, by what tells the value of a name.
    ///
    /// # Errors
    ///
    /// [`Mistake::Unset`] for the first that has none.
    pub fn fill(self, variable: impl Fn(&str) -> Option<Vec<u8>>) -> Result<Statement, TemplateError> {
        let fill = |Name { name, position }| match &*name {
            "account" => Ok(Value::Account),
            "domain" => Ok(Value::Domain),
            name => match variable(name) {
                Some(value) => Ok(Value::Fixed(value.into())),
                None => Err(TemplateError { position, mistake: Mistake::Unset }),
            },
        };
        let values = self.values.into_iter().map(fill).collect::<Result<_, _>>()?;
        Ok(Statement { text: self.text, values })
    }
}

impl Statement {
    /// Returns the text, with the parameters of the dialect.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the values of the parameters in their order.
    #[must_use]
    pub fn values<'v>(&'v self, account: &'v [u8], domain: &'v [u8]) -> Vec<&'v [u8]> {
        let value = |value: &'v Value| match value {
            Value::Account => account,
            Value::Domain => domain,
            Value::Fixed(bytes) => bytes.as_slice(),
        };
        self.values.iter().map(value).collect()
    }
}

impl Statement {
    /// Tells whether some of the values are the same for every request.
    pub(super) fn has_variables(&self) -> bool {
        self.values.iter().any(|value| matches!(value, Value::Fixed(_)))
    }
}

impl fmt::Debug for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Statement").field("text", &self.text).finish_non_exhaustive()
    }
}

fn no_text(template: &[u8], offset: usize) -> TemplateError {
    let before = template.get(..offset).unwrap_or_default();
    TemplateError { position: String::from_utf8_lossy(before).chars().count() + 1, mistake: Mistake::NoText }
}

/// A character of the statement, or the name of a value, and the position of each.
type Token<'t> = (usize, Part<'t>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part<'t> {
    Char(char),
    Name(&'t str),
}

/// Takes the dollar signs apart.
fn tokens(text: &str) -> Result<Vec<Token<'_>>, TemplateError> {
    let mut tokens = Vec::with_capacity(text.len());
    let mut rest = text;
    let mut position = 1;
    while let Some(first) = rest.chars().next() {
        let after = rest.get(first.len_utf8()..).unwrap_or_default();
        let (part, left) = match first {
            '$' => dollar(after).map_err(|mistake| TemplateError { position, mistake })?,
            other => (Part::Char(other), after),
        };
        tokens.push((position, part));
        let consumed = rest.get(..rest.len() - left.len()).unwrap_or_default();
        position += consumed.chars().count();
        rest = left;
    }
    Ok(tokens)
}

/// Reads what follows a dollar sign, and returns what is left then.
fn dollar(after: &str) -> Result<(Part<'_>, &str), Mistake> {
    if let Some(rest) = after.strip_prefix('$') {
        return Ok((Part::Char('$'), rest));
    }
    if let Some(rest) = after.strip_prefix('{') {
        return match rest.split_once('}') {
            // Anything else, such as the end of a line, could end the comment that it stands in.
            Some((name, rest)) if !name.is_empty() && name.chars().all(is_of_name) => Ok((Part::Name(name), rest)),
            _ => Err(Mistake::NoBrace),
        };
    }
    let end = after.find(|letter| !is_of_name(letter)).unwrap_or(after.len());
    match after.split_at(end) {
        (name, rest) if name.starts_with(|first: char| !first.is_ascii_digit()) => Ok((Part::Name(name), rest)),
        _ => Err(Mistake::NoName),
    }
}

fn is_of_name(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_'
}

#[cfg(any(test, feature = "testing"))]
pub(crate) mod check;

#[cfg(test)]
mod tests;
