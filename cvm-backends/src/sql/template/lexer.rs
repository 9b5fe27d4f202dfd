//! Where in a statement a value may stand: enough of SQL's quotes and comments to tell.

use super::{Dialect, Mistake, Name, Part, Template, TemplateError, Token};

/// Reads the tokens of a template, and writes the statement.
pub(super) struct Lexer<'t> {
    dialect: Dialect,
    tokens: &'t [Token<'t>],
    next: usize,
    text: String,
    values: Vec<Name>,
    /// The semicolon that ended the statement has been.
    has_ended: bool,
    is_empty: bool,
}

impl<'t> Lexer<'t> {
    pub(super) fn new(dialect: Dialect, tokens: &'t [Token<'t>]) -> Self {
        let text = String::with_capacity(tokens.len());
        Self { dialect, tokens, next: 0, text, values: Vec::new(), has_ended: false, is_empty: true }
    }

    pub(super) fn run(mut self) -> Result<Template, TemplateError> {
        while let Some(&(position, part)) = self.tokens.get(self.next) {
            self.code(position, part)?;
        }
        if self.is_empty {
            return Err(TemplateError { position: 1, mistake: Mistake::Empty });
        }
        Ok(Template { text: self.text, values: self.values })
    }

    /// Reads what begins outside quotes and comments.
    fn code(&mut self, position: usize, part: Part<'t>) -> Result<(), TemplateError> {
        let Part::Char(letter) = part else {
            return self.value(position, part);
        };
        if self.begins_line_comment(letter) {
            self.line_comment();
            return Ok(());
        }
        if self.begins_block_comment() {
            return self.block_comment(position);
        }
        if letter.is_whitespace() {
            self.copy();
            return Ok(());
        }
        self.must_not_have_ended(position)?;
        match letter {
            ';' => self.has_ended = true,
            _ => self.is_empty = false,
        }
        if let Some(tag) = self.dollar_tag() {
            return self.dollar_quoted(position, &tag);
        }
        if self.is_parameter(letter) {
            return Err(TemplateError { position, mistake: Mistake::Parameter });
        }
        match self.closing(letter) {
            Some(end) => self.quoted(position, end),
            None => {
                self.copy();
                Ok(())
            }
        }
    }

    /// Writes a parameter, with blanks where it would grow together with a word.
    fn value(&mut self, position: usize, part: Part<'t>) -> Result<(), TemplateError> {
        self.must_not_have_ended(position)?;
        if let Part::Name(name) = part {
            self.values.push(Name { name: name.to_owned(), position });
        }
        if self.is_in_word() {
            self.text.push(' ');
        }
        let number = self.values.len();
        self.text += &match self.dialect {
            Dialect::Sqlite => format!("?{number}"),
            Dialect::Postgres => format!("${number}"),
            // As the result of a function it is text: compared with an indexed number, a bare one is turned into a number,
            // and the comparison that would tell of it is left out.
            Dialect::Mysql => "CONCAT(?)".to_owned(),
        };
        if matches!(self.token(1), Some(Part::Char(letter)) if is_of_word(letter)) {
            self.text.push(' ');
        }
        self.is_empty = false;
        self.next += 1;
        Ok(())
    }

    fn quoted(&mut self, start: usize, end: char) -> Result<(), TemplateError> {
        let has_escapes = self.has_escapes(end);
        self.copy();
        loop {
            match self.within_quotes(start)? {
                '\\' if has_escapes => {
                    self.within_quotes(start)?;
                }
                // A doubled quote ends the text and begins another, which comes to the same.
                letter if letter == end => return Ok(()),
                _ => {}
            }
        }
    }

    fn dollar_quoted(&mut self, start: usize, tag: &str) -> Result<(), TemplateError> {
        tag.chars().for_each(|_| self.copy());
        let body = self.text.len();
        while !self.text.get(body..).is_some_and(|text| text.ends_with(tag)) {
            self.within_quotes(start)?;
        }
        Ok(())
    }

    /// Copies a character of a quoted text.
    fn within_quotes(&mut self, start: usize) -> Result<char, TemplateError> {
        match self.tokens.get(self.next) {
            Some(&(_, Part::Char(letter))) => {
                self.copy();
                Ok(letter)
            }
            Some(&(position, Part::Name(_))) => Err(TemplateError { position, mistake: Mistake::Quoted }),
            None => Err(TemplateError { position: start, mistake: Mistake::Open }),
        }
    }

    fn line_comment(&mut self) {
        while let Some(&(_, part)) = self.tokens.get(self.next) {
            self.copy();
            if part == Part::Char('\n') {
                return;
            }
        }
    }

    fn block_comment(&mut self, start: usize) -> Result<(), TemplateError> {
        let nests = self.dialect == Dialect::Postgres;
        let mut depth = 0_usize;
        loop {
            if self.next >= self.tokens.len() {
                return Err(TemplateError { position: start, mistake: Mistake::Open });
            }
            let (opens, closes) = (self.follows("/*"), self.follows("*/"));
            self.copy();
            if opens || closes {
                self.copy();
            }
            match (opens, closes) {
                (true, _) if depth == 0 || nests => depth += 1,
                (_, true) if depth == 1 => return Ok(()),
                (_, true) => depth -= 1,
                _ => {}
            }
        }
    }

    /// Copies a token as it is; the name of a value in a comment is text.
    fn copy(&mut self) {
        match self.tokens.get(self.next) {
            Some(&(_, Part::Char(letter))) => self.text.push(letter),
            Some(&(_, Part::Name(name))) => self.text.extend(["$", name]),
            None => {}
        }
        self.next += 1;
    }

    fn must_not_have_ended(&self, position: usize) -> Result<(), TemplateError> {
        let mistake = Mistake::SecondStatement;
        if self.has_ended { Err(TemplateError { position, mistake }) } else { Ok(()) }
    }

    fn begins_line_comment(&self, letter: char) -> bool {
        match self.dialect {
            Dialect::Mysql if self.follows("--") => match self.token(2) {
                None => true,
                Some(Part::Char(third)) => third.is_whitespace() || third.is_control(),
                Some(Part::Name(_)) => false,
            },
            Dialect::Mysql => letter == '#',
            Dialect::Sqlite | Dialect::Postgres => self.follows("--"),
        }
    }

    fn begins_block_comment(&self) -> bool {
        // What MySQL and MariaDB execute is none.
        let is_executed = self.dialect == Dialect::Mysql && (self.follows("/*!") || self.follows("/*M!"));
        self.follows("/*") && !is_executed
    }

    /// Returns what closes a quote that begins here.
    fn closing(&self, letter: char) -> Option<char> {
        match letter {
            '\'' | '"' => Some(letter),
            '`' if self.dialect != Dialect::Postgres => Some('`'),
            '[' if self.dialect == Dialect::Sqlite => Some(']'),
            _ => None,
        }
    }

    /// Tells whether a backslash in the quoted text that begins here takes the next character along.
    fn has_escapes(&self, end: char) -> bool {
        match self.dialect {
            Dialect::Sqlite => false,
            Dialect::Mysql => end != '`',
            Dialect::Postgres => {
                let is_prefix = matches!(self.before(1), Some('e' | 'E'));
                end == '\'' && is_prefix && !self.before(2).is_some_and(is_of_word)
            }
        }
    }

    /// Reads the beginning of a dollar-quoted text, such as `$tag$`.
    fn dollar_tag(&self) -> Option<String> {
        if self.dialect != Dialect::Postgres || self.is_in_word() || !self.follows("$") {
            return None;
        }
        let letters = self.tokens.iter().skip(self.next + 1).map_while(|&(_, part)| match part {
            Part::Char(letter) => Some(letter),
            Part::Name(_) => None,
        });
        let mut tag = String::from("$");
        for letter in letters {
            let is_first = tag.len() == 1;
            match letter {
                '$' => return Some(tag + "$"),
                digit if digit.is_ascii_digit() && is_first => return None,
                letter if is_of_word(letter) => tag.push(letter),
                _ => return None,
            }
        }
        None
    }

    /// Tells whether the database would read a parameter here that is none of ours.
    fn is_parameter(&self, letter: char) -> bool {
        match self.dialect {
            Dialect::Sqlite => letter == '?' || matches!(letter, ':' | '@' | '#' | '$') && !self.is_in_word(),
            Dialect::Mysql => letter == '?',
            Dialect::Postgres => {
                let number = matches!(self.token(1), Some(Part::Char(digit)) if digit.is_ascii_digit());
                letter == '$' && number && !self.is_in_word()
            }
        }
    }

    fn is_in_word(&self) -> bool {
        self.before(1).is_some_and(is_of_word)
    }

    /// Returns the character this far before the next one in the statement.
    fn before(&self, distance: usize) -> Option<char> {
        self.text.chars().rev().nth(distance.saturating_sub(1))
    }

    fn follows(&self, text: &str) -> bool {
        text.chars().enumerate().all(|(index, letter)| self.token(index) == Some(Part::Char(letter)))
    }

    fn token(&self, ahead: usize) -> Option<Part<'t>> {
        self.tokens.get(self.next + ahead).map(|&(_, part)| part)
    }
}

fn is_of_word(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '_' | '$') || !letter.is_ascii()
}
