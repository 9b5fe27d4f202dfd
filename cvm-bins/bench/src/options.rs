//! The options, which stand in front of all other arguments.

use std::ffi::OsString;
use std::num::NonZero;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::time::Duration;

use cvm_bins::environment;
use cvm_bins::program::Stopped;

/// A thread for each request under way: what the system bears.
const MOST_AT_A_TIME: usize = 4096;

/// What the options ask for. None of them: as the original, and nothing is measured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) concurrency: Option<usize>,
    pub(crate) duration: Option<Duration>,
    pub(crate) rate: Option<NonZero<u32>>,
    pub(crate) credentials: Option<PathBuf>,
    pub(crate) json: bool,
    pub(crate) plot: Option<PathBuf>,
}

impl Options {
    /// Cuts the options off the arguments. `--` ends them, and so does whatever does not begin with two dashes.
    pub(crate) fn cut_off(mut arguments: &[OsString]) -> Result<(Self, &[OsString]), Stopped> {
        let mut options = Self::default();
        while let [first, rest @ ..] = arguments
            && first.as_bytes().starts_with(b"--")
        {
            arguments = rest;
            if first == "--" {
                break;
            }
            options.take(first, &mut arguments)?;
        }
        Ok((options, arguments))
    }

    /// Tells whether there were any.
    pub(crate) fn are_given(&self) -> bool {
        *self != Self::default()
    }

    fn take(&mut self, option: &OsString, rest: &mut &[OsString]) -> Result<(), Stopped> {
        let bytes = option.as_bytes();
        let end = bytes.iter().position(|&byte| byte == b'=').unwrap_or(bytes.len());
        let (name, attached) = bytes.split_at_checked(end).unwrap_or_default();
        let mut value = || match (attached, *rest) {
            ([_, attached @ ..], _) => Ok(attached.to_vec()),
            ([], [value, more @ ..]) => {
                *rest = more;
                Ok(value.as_bytes().to_vec())
            }
            ([], []) => Err(Stopped::Argument(format!("{option:?} lacks its value"))),
        };
        match name {
            b"--concurrency" => self.concurrency = Some(concurrency(&value()?)?),
            b"--duration" => self.duration = Some(duration(&value()?)?),
            b"--rate" => self.rate = Some(rate(&value()?)?),
            b"--credentials" => self.credentials = Some(path(value()?)),
            b"--plot" => self.plot = Some(path(value()?)),
            b"--json" if attached.is_empty() => self.json = true,
            _ => return Err(Stopped::Argument(format!("{option:?} is no option, see --help"))),
        }
        Ok(())
    }
}

fn path(value: Vec<u8>) -> PathBuf {
    OsString::from_vec(value).into()
}

fn concurrency(value: &[u8]) -> Result<usize, Stopped> {
    let number = environment::decimal(value).filter(|number| (1..=MOST_AT_A_TIME).contains(number));
    number.ok_or_else(|| wrong("--concurrency", value, "a number from 1 to 4096"))
}

fn rate(value: &[u8]) -> Result<NonZero<u32>, Stopped> {
    let number = environment::decimal(value).filter(|number| *number <= 1_000_000).and_then(NonZero::new);
    number.ok_or_else(|| wrong("--rate", value, "requests per second, from 1 to 1000000"))
}

fn duration(value: &[u8]) -> Result<Duration, Stopped> {
    let time = parse_duration(value).filter(|time| !time.is_zero());
    time.ok_or_else(|| wrong("--duration", value, "a time above 0 such as 500ms, 10s, 10, 5m or 1h"))
}

fn parse_duration(value: &[u8]) -> Option<Duration> {
    let digits = value.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (number, unit) = value.split_at_checked(digits)?;
    let milliseconds = match unit {
        b"ms" => 1,
        b"" | b"s" => 1000,
        b"m" => 60_000,
        b"h" => 3_600_000,
        _ => return None,
    };
    let number: u32 = environment::decimal(number)?;
    Some(Duration::from_millis(u64::from(number) * milliseconds))
}

fn wrong(option: &str, value: &[u8], expected: &str) -> Stopped {
    Stopped::Argument(format!("{option} is {:?}, expected {expected}", String::from_utf8_lossy(value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut_off(arguments: &[&str]) -> Result<(Options, Vec<OsString>), String> {
        let arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
        Options::cut_off(&arguments)
            .map(|(options, rest)| (options, rest.to_vec()))
            .map_err(|stopped| stopped.to_string())
    }

    #[test]
    fn options_end_where_the_arguments_begin() {
        let (options, rest) = cut_off(&["--rate", "5", "--plot=a=b", "--json", "7", "--json"]).expect("options");
        let expected = Options { rate: NonZero::new(5), plot: Some("a=b".into()), json: true, ..Options::default() };
        assert_eq!((options, rest), (expected, vec!["7".into(), "--json".into()]));
        let (options, rest) = cut_off(&["--", "--json"]).expect("no options");
        assert_eq!((options.are_given(), rest), (false, vec!["--json".into()]));
    }

    #[test]
    fn times_have_a_unit_or_are_seconds() {
        for (text, milliseconds) in [("10", 10_000), ("10s", 10_000), ("25ms", 25), ("2m", 120_000), ("1h", 3_600_000)]
        {
            assert_eq!(parse_duration(text.as_bytes()), Some(Duration::from_millis(milliseconds)), "{text}");
        }
        for text in ["", "s", "-1", "1.5", "1 s", "1d", "4294967296"] {
            assert_eq!(parse_duration(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn mistakes_name_the_option_and_the_value() {
        for (arguments, named) in [
            (&["--rate", "0"] as &[_], ["--rate", "\"0\""]),
            (&["--rate", "1000001"], ["--rate", "\"1000001\""]),
            (&["--concurrency=0"], ["--concurrency", "\"0\""]),
            (&["--concurrency", "4097"], ["--concurrency", "\"4097\""]),
            (&["--duration", "0s"], ["--duration", "\"0s\""]),
            (&["--plot"], ["--plot", "lacks"]),
            (&["--json=yes"], ["--json=yes", "no option"]),
            (&["--quick"], ["--quick", "no option"]),
        ] {
            let message = cut_off(arguments).expect_err("a mistake");
            assert!(named.iter().all(|name| message.contains(name)), "{arguments:?}: {message}");
        }
    }
}
