use proptest::prelude::*;

use super::check::check;
use super::{Dialect, Mistake, Template, TemplateError};
use Dialect::{Mysql, Postgres, Sqlite};

fn read(template: &str, dialect: Dialect) -> Result<(String, Vec<String>), TemplateError> {
    let read = Template::parse(template.as_bytes(), dialect)?;
    Ok((read.text, read.values.into_iter().map(|value| value.name).collect()))
}

fn mistake(template: &str, dialect: Dialect) -> (usize, Mistake) {
    let error = read(template, dialect).expect_err(template);
    (error.position, error.mistake)
}

#[test]
fn names_become_parameters_of_the_dialect() {
    let template = "select * from t where u=$account and d=${domain} and v=$a_B9";
    let names: Vec<_> = ["account", "domain", "a_B9"].map(String::from).into();
    let text = |parameters: [&str; 3]| {
        let [first, second, third] = parameters;
        format!("select * from t where u={first} and d={second} and v={third}")
    };
    assert_eq!(read(template, Sqlite), Ok((text(["?1", "?2", "?3"]), names.clone())));
    assert_eq!(read(template, Postgres), Ok((text(["$1", "$2", "$3"]), names.clone())));
    assert_eq!(read(template, Mysql), Ok((text(["CONCAT(?)"; 3]), names)));
}

#[test]
fn a_parameter_does_not_grow_together_with_its_neighbours() {
    assert_eq!(read("select x${account}5", Postgres).unwrap().0, "select x $1 5");
    assert_eq!(read("select x$account$domain", Postgres).unwrap().0, "select x $1 $2");
    assert_eq!(read("select 5--$account", Mysql).unwrap().0, "select 5--CONCAT(?)");
}

#[test]
fn two_dollar_signs_are_one() {
    for dialect in [Sqlite, Postgres, Mysql] {
        assert_eq!(read("select 'x$$y', $account", dialect).unwrap().1, ["account"]);
        assert!(read("select 'x$$y'", dialect).unwrap().0.contains("'x$y'"));
    }
    assert_eq!(read("select a$$1", Postgres).unwrap().0, "select a$1");
}

#[test]
fn a_value_within_quotes_is_a_mistake_at_its_position() {
    for dialect in [Sqlite, Postgres, Mysql] {
        assert_eq!(mistake("select '$account'", dialect), (9, Mistake::Quoted));
        assert_eq!(mistake("select \"é${domain}\"", dialect), (10, Mistake::Quoted));
        assert_eq!(mistake("select 'it''s $account'", dialect), (15, Mistake::Quoted));
    }
    assert_eq!(mistake("select `$account`", Mysql), (9, Mistake::Quoted));
    assert_eq!(mistake("select [$account]", Sqlite), (9, Mistake::Quoted));
    assert_eq!(mistake(r"select 'a\' $account'", Mysql), (13, Mistake::Quoted));
    assert_eq!(mistake(r"select e'a\' $account'", Postgres), (14, Mistake::Quoted));
    assert_eq!(mistake("select $$tag$$ it's $account $$tag$$", Postgres), (21, Mistake::Quoted));
    assert_eq!(mistake("select $$$$ $account $$$$", Postgres), (13, Mistake::Quoted));
}

#[test]
fn quotes_end_where_the_database_ends_them() {
    assert_eq!(read(r"select 'a\', $account", Postgres).unwrap().1, ["account"]);
    assert_eq!(read(r"select 'a\', $account", Sqlite).unwrap().1, ["account"]);
    assert_eq!(read(r"select fee'a\', $account", Postgres).unwrap().1, ["account"]);
    assert_eq!(read(r"select 'a\\', $account", Mysql).unwrap().1, ["account"]);
    assert_eq!(read("select $$t$$ $$u$$ $$t$$, $account", Postgres).unwrap().1, ["account"]);
    assert_eq!(read("select x[1], $account", Postgres).unwrap().1, ["account"]);
}

#[test]
fn a_value_in_a_comment_means_nothing() {
    for dialect in [Sqlite, Postgres, Mysql] {
        let template = "select -- it's $domain\n /* \"$domain */ $account";
        assert_eq!(read(template, dialect).unwrap().1, ["account"], "{dialect:?}");
    }
    assert_eq!(read("select # it's $domain\n $account", Mysql).unwrap().1, ["account"]);
    assert_eq!(read("select /* /* */ $domain */ $account", Postgres).unwrap().1, ["account"]);
    assert_eq!(read("select /*!5 $domain */ $account", Mysql).unwrap().1, ["domain", "account"]);
    assert_eq!(read("select 1--1, $account", Mysql).unwrap().1, ["account"]);
}

#[test]
fn mistakes_have_a_position() {
    for dialect in [Sqlite, Postgres, Mysql] {
        assert_eq!(mistake("select $", dialect), (8, Mistake::NoName));
        assert_eq!(mistake("select é$ x", dialect), (9, Mistake::NoName));
        assert_eq!(mistake("select $1", dialect), (8, Mistake::NoName));
        assert_eq!(mistake("select ${account", dialect), (8, Mistake::NoBrace));
        assert_eq!(mistake("select ${}", dialect), (8, Mistake::NoBrace));
        assert_eq!(mistake("select 1 --${a\n;drop table t}", dialect), (12, Mistake::NoBrace));
        assert_eq!(mistake("select 'x", dialect), (8, Mistake::Open));
        assert_eq!(mistake("select /* x", dialect), (8, Mistake::Open));
        assert_eq!(mistake("select 1; select 2", dialect), (11, Mistake::SecondStatement));
        assert_eq!(mistake("select 1; $account", dialect), (11, Mistake::SecondStatement));
        for empty in ["", " \n", ";", "-- x", "/* x */"] {
            assert_eq!(mistake(empty, dialect), (1, Mistake::Empty), "{empty:?}");
        }
        assert!(read("select 1 ; -- the end", dialect).is_ok());
        assert_eq!(
            Template::parse(b"select \xff", dialect).unwrap_err().to_string(),
            "character 8: UTF-8 text is expected"
        );
        assert_eq!(Template::parse("sélect \0".as_bytes(), dialect).unwrap_err().position, 8);
    }
    assert_eq!(mistake("select $$t$$ x", Postgres), (8, Mistake::Open));
}

#[test]
fn what_the_database_would_take_for_a_parameter_is_a_mistake() {
    assert_eq!(mistake("select $$1, $account", Postgres), (8, Mistake::Parameter));
    for other in ["select ?", "select :a", "select @a", "select $$a"] {
        assert_eq!(mistake(other, Sqlite), (8, Mistake::Parameter), "{other}");
    }
    assert_eq!(mistake("select ?, $account", Mysql), (8, Mistake::Parameter));
    assert!(read("select j ? 'a', x::text", Postgres).is_ok());
    assert!(read("select @@version, @a", Mysql).is_ok());
}

#[test]
fn values_are_filled_in() {
    let template = Template::parse(b"select $account, $X, $domain, $X", Postgres).unwrap();
    let statement = template.clone().fill(|name| (name == "X").then(|| b"it's".to_vec())).unwrap();
    assert_eq!(statement.values(b"a", b"d"), [&b"a"[..], b"it's", b"d", b"it's"]);
    assert!(!format!("{statement:?}").contains("it's"));
    assert_eq!(template.fill(|_| None).unwrap_err(), TemplateError { position: 18, mistake: Mistake::Unset });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_template_is_read_or_refused(template in r#"([-$'"`\\/*#!?;\n {}\[\]ae1é]|\$account|\$\{domain\}|\$\$t\$\$|--|/\*|\*/){0,24}"#) {
        check(template.as_bytes());
    }

    #[test]
    fn any_bytes_are_read_or_refused(template in proptest::collection::vec(any::<u8>(), 0..64)) {
        check(&template);
    }
}
