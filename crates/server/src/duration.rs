//! Durations as people write them: `30d`, `1h 30m`, `1.5 weeks` (spec/cli.md §4.3).
//!
//! Used for retention periods in requests, and free for settings. Not here: durations inside SQL (`query`).

use std::time::Duration;

use crate::Error;

const NS_PER_S: u128 = 1_000_000_000;

/// Reads one or more `number unit` pairs, spaces between them optional; a bare `0` is fine.
///
/// A month is 30.44 days and a year 365.25 days. Errors: `Invalid`, for anything else, for parts of a nanosecond, and for
/// more than a [`Duration`] can hold.
pub fn parse(text: &str) -> Result<Duration, Error> {
    let mut rest = text.trim();
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    if rest.is_empty() {
        return Err(Error::invalid("value was empty"));
    }
    let mut total_ns: u128 = 0;
    while !rest.is_empty() {
        let (whole, after) = split_digits(rest);
        if whole.is_empty() {
            return Err(Error::invalid(format!("expected a number at `{rest}`")));
        }
        let (fraction, after) = match after.strip_prefix('.') {
            None => ("", after),
            Some(after) => match split_digits(after) {
                ("", _) => {
                    return Err(Error::invalid(format!(
                        "expected a digit after the point in `{text}`"
                    )));
                }
                found => found,
            },
        };
        let after = after.trim_start();
        let unit_end = after
            .find(|character: char| !character.is_alphabetic())
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        let part_ns = unit_ns(unit)
            .ok_or_else(|| unknown_unit(unit, whole))
            .and_then(|unit_ns| {
                scale(whole, fraction, unit_ns).ok_or_else(|| out_of_range(text))
            })?;
        total_ns = total_ns
            .checked_add(part_ns)
            .ok_or_else(|| out_of_range(text))?;
        rest = after.trim_start();
    }
    let seconds = u64::try_from(total_ns / NS_PER_S).map_err(|_| out_of_range(text))?;
    let subsecond_ns = u32::try_from(total_ns % NS_PER_S).map_err(|_| out_of_range(text))?;
    Ok(Duration::new(seconds, subsecond_ns))
}

fn split_digits(text: &str) -> (&str, &str) {
    text.split_at(text.bytes().take_while(u8::is_ascii_digit).count())
}

/// `whole.fraction` times the unit, or `None` when it does not fit or is no whole number of nanoseconds.
fn scale(whole: &str, fraction: &str, unit_ns: u128) -> Option<u128> {
    let whole_ns = u128::from(whole.parse::<u64>().ok()?).checked_mul(unit_ns)?;
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() {
        return Some(whole_ns);
    }
    let denominator = 10_u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let numerator = fraction.parse::<u128>().ok()?.checked_mul(unit_ns)?;
    if numerator % denominator != 0 {
        return None;
    }
    whole_ns.checked_add(numerator / denominator)
}

fn unit_ns(unit: &str) -> Option<u128> {
    let ns = match unit {
        "ns" | "nsec" | "nanos" => 1,
        "us" | "usec" | "µs" | "μs" => 1_000,
        "ms" | "msec" | "millis" => 1_000_000,
        "s" | "sec" | "secs" | "second" | "seconds" => NS_PER_S,
        "m" | "min" | "mins" | "minute" | "minutes" => 60 * NS_PER_S,
        "h" | "hr" | "hrs" | "hour" | "hours" => 3_600 * NS_PER_S,
        "d" | "day" | "days" => 86_400 * NS_PER_S,
        "w" | "wk" | "wks" | "week" | "weeks" => 604_800 * NS_PER_S,
        "M" | "mo" | "month" | "months" => 2_630_016 * NS_PER_S,
        "y" | "yr" | "yrs" | "year" | "years" => 31_557_600 * NS_PER_S,
        _ => return None,
    };
    Some(ns)
}

fn unknown_unit(unit: &str, number: &str) -> Error {
    if unit.is_empty() {
        Error::invalid(format!(
            "time unit needed, for example {number}sec or {number}ms"
        ))
    } else {
        Error::invalid(format!(
            "unknown time unit `{unit}`, known are ns, us, ms, sec, min, hours, days, weeks, months and years"
        ))
    }
}

fn out_of_range(text: &str) -> Error {
    Error::invalid(format!(
        "`{text}` is too large or not a whole number of nanoseconds"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_sums_of_numbers_with_units() {
        let cases: &[(&str, u64, u32)] = &[
            ("0", 0, 0),
            ("1h", 3_600, 0),
            ("1h30m", 5_400, 0),
            (" 1y 2days ", 31_557_600 + 172_800, 0),
            ("1month", 2_630_016, 0),
            ("1M1mo", 2 * 2_630_016, 0),
            ("1.5 weeks", 907_200, 0),
            ("250 ms", 0, 250_000_000),
            ("1µs", 0, 1_000),
            ("0.5us", 0, 500),
            ("1.50s", 1, 500_000_000),
            ("18446744073709551615s", u64::MAX, 0),
        ];
        for (text, seconds, ns) in cases {
            let parsed = parse(text).expect(text);
            assert_eq!(parsed, Duration::new(*seconds, *ns), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        let cases = [
            "",
            " ",
            "5",
            "1h 5",
            "h",
            "-1h",
            "1 fortnight",
            "1.h",
            "1.h5",
            "0.5ns",
            "none",
            "1h,2m",
            "18446744073709551615s 1000000000ns",
            "99999999999999999999s",
            "1e3s",
            "٣s",
            "18446744073709551615y",
        ];
        for text in cases {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
