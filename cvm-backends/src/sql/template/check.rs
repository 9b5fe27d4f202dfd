//! What must hold of any template.

use super::{Dialect, Mistake, Template};

/// Every dialect.
const DIALECTS: [Dialect; 3] = [Dialect::Sqlite, Dialect::Postgres, Dialect::Mysql];

/// Checks a template in each dialect.
///
/// # Panics
///
/// If something does not hold.
pub(crate) fn check(template: &[u8]) {
    for dialect in DIALECTS {
        match Template::parse(template, dialect) {
            Ok(read) => check_read(template, dialect, &read),
            Err(error) => {
                let characters = String::from_utf8_lossy(template).chars().count();
                assert!((1..=characters.max(1)).contains(&error.position), "{error}");
            }
        }
    }
}

/// The statement is read again as if it were a template: its parameters, and nothing else, are mistakes then.
fn check_read(template: &[u8], dialect: Dialect, read: &Template) {
    let again = Template::parse(read.text.replace('$', "$$").as_bytes(), dialect);
    match again {
        Ok(again) => {
            assert!(read.values.is_empty(), "{dialect:?}: a parameter is in quotes or a comment");
            assert_eq!(again, *read, "{dialect:?}");
        }
        Err(error) => {
            assert!(!read.values.is_empty(), "{dialect:?}: {error}");
            assert_eq!(error.mistake, Mistake::Parameter, "{dialect:?}");
        }
    }
    if !template.contains(&b'$') {
        assert_eq!(read.text.as_bytes(), template, "{dialect:?}");
    }
}
