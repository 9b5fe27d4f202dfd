//! Columns: the server sends them in its binary form, and facts are text.

use std::error::Error;

use bytes::BytesMut;
use cvm_backends::sql::{COLUMNS, Row};
use tokio_postgres::types::{Format, FromSql, IsNull, Kind, ToSql, Type, to_sql_checked};
use zeroize::Zeroizing;

/// A value for a parameter of whatever type, as text.
#[derive(Debug)]
pub(super) struct Text<'v>(pub(super) &'v [u8]);

impl ToSql for Text<'_> {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.extend_from_slice(self.0);
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    to_sql_checked!();
}

/// Reads a row.
pub(super) fn row(row: &tokio_postgres::Row) -> Result<Row, tokio_postgres::Error> {
    let columns =
        (0..row.len().min(COLUMNS)).map(|column| Ok(row.try_get::<_, Option<Column>>(column)?.map(|it| it.0)));
    Ok(Row::new(columns.collect::<Result<Vec<_>, _>>()?))
}

/// Tells whether columns of a type can be read.
pub(super) fn is_readable(kind: &Type) -> bool {
    Form::of(kind).is_some()
}

/// A column that is not NULL.
struct Column(Zeroizing<Vec<u8>>);

impl<'a> FromSql<'a> for Column {
    fn from_sql(kind: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        let text = Form::of(kind).and_then(|form| form.text(raw)).ok_or("a value cannot be read")?;
        Ok(Self(text.into()))
    }

    fn accepts(kind: &Type) -> bool {
        is_readable(kind)
    }
}

/// The binary form of a type.
enum Form {
    Text,
    Integer,
    /// An object identifier has no sign.
    Oid,
    Real,
    Numeric,
}

impl Form {
    fn of(kind: &Type) -> Option<Self> {
        Some(match *kind {
            Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::UNKNOWN | Type::CHAR | Type::BYTEA => {
                Self::Text
            }
            Type::INT2 | Type::INT4 | Type::INT8 => Self::Integer,
            Type::OID => Self::Oid,
            Type::FLOAT4 | Type::FLOAT8 => Self::Real,
            Type::NUMERIC => Self::Numeric,
            _ => match kind.kind() {
                Kind::Enum(_) => Self::Text,
                Kind::Domain(inner) => Self::of(inner)?,
                // Text that does not tell cases apart, of an extension.
                _ if kind.name() == "citext" => Self::Text,
                _ => return None,
            },
        })
    }

    fn text(&self, raw: &[u8]) -> Option<Vec<u8>> {
        let number = match (self, raw.len()) {
            (Self::Text, _) => return Some(raw.to_vec()),
            (Self::Oid, _) => u32::from_be_bytes(raw.try_into().ok()?).to_string(),
            (Self::Integer, 2) => i16::from_be_bytes(raw.try_into().ok()?).to_string(),
            (Self::Integer, 4) => i32::from_be_bytes(raw.try_into().ok()?).to_string(),
            (Self::Integer, _) => i64::from_be_bytes(raw.try_into().ok()?).to_string(),
            (Self::Real, 4) => f32::from_be_bytes(raw.try_into().ok()?).to_string(),
            (Self::Real, _) => f64::from_be_bytes(raw.try_into().ok()?).to_string(),
            (Self::Numeric, _) => numeric(raw)?,
        };
        Some(number.into_bytes())
    }
}

/// Reads a number of any size: a header of four numbers, and digits to the base of 10 000.
///
/// One with a fraction has a dot, and is no id.
fn numeric(raw: &[u8]) -> Option<String> {
    let mut words = raw.chunks_exact(2).map(|word| u16::from_be_bytes([word[0], word[1]]));
    let (count, weight, sign, scale) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let weight = i16::from_be_bytes(weight.to_be_bytes());
    let digits: Vec<u16> = words.take(count.into()).collect();
    let sign = match sign {
        0 => "",
        0x4000 => "-",
        _ => return Some("NaN".to_owned()),
    };
    // No id has more.
    if weight > 5 {
        return None;
    }
    let digit = |exponent: i32| {
        let index = usize::try_from(i32::from(weight) - exponent).ok();
        index.and_then(|index| digits.get(index)).copied().unwrap_or(0)
    };
    let number = (0..=weight.into()).rev().map(digit).fold(0_u128, |number, digit| number * 10_000 + u128::from(digit));
    let scale = usize::from(scale);
    let mut fraction: String = (1..).take(scale.div_ceil(4)).map(|place| format!("{:04}", digit(-place))).collect();
    fraction.truncate(scale);
    let dot = if scale > 0 { "." } else { "" };
    Some(format!("{sign}{number}{dot}{fraction}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_become_decimals() {
        let numeric = |words: &[u16]| {
            let raw: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
            numeric(&raw)
        };
        assert_eq!(numeric(&[1, 0, 0, 0, 1001]).as_deref(), Some("1001"));
        assert_eq!(numeric(&[2, 1, 0, 0, 1, 2]).as_deref(), Some("10002"));
        assert_eq!(numeric(&[1, 1, 0, 0, 5]).as_deref(), Some("50000"));
        assert_eq!(numeric(&[0, 0, 0, 0]).as_deref(), Some("0"));
        assert_eq!(numeric(&[1, 0, 0x4000, 0, 7]).as_deref(), Some("-7"));
        assert_eq!(numeric(&[2, 0, 0, 1, 7, 5000]).as_deref(), Some("7.5"));
        assert_eq!(numeric(&[1, 0xffff, 0, 6, 12]).as_deref(), Some("0.001200"));
        assert_eq!(numeric(&[1, 0x7fff, 0, 0, 1]), None);
        assert_eq!(numeric(&[0, 0, 0xc000, 0]).as_deref(), Some("NaN"));
        assert_eq!(numeric(&[1, 0]), None);
        assert_eq!(Form::Integer.text(&[0xff; 4]), Some(b"-1".to_vec()));
        assert_eq!(Form::Oid.text(&[0xff; 4]), Some(b"4294967295".to_vec()));
        assert_eq!(Form::Integer.text(&[0; 3]), None);
    }
}
