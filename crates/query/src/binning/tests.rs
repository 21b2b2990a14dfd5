//! Bins across changes of clocks, months, and the edges of time.

use super::*;

const HOUR: i64 = 3_600 * NS_PER_S;
const MINUTE: i64 = 60 * NS_PER_S;

fn at(text: &str) -> i64 {
    DateTime::parse_from_rfc3339(text)
        .expect("a time")
        .timestamp_nanos_opt()
        .expect("within range")
}

fn shown(zone: &str, starts: impl Iterator<Item = i64>) -> Vec<String> {
    let zone: Zone = zone.parse().expect("a zone");
    starts
        .map(|start| {
            zone.timestamp_nanos(start)
                .format("%Y-%m-%d %H:%M%:z")
                .to_string()
        })
        .collect()
}

fn cutter(zone: &str, stride: Stride) -> Cutter {
    Binning::wall_clock(stride, 0, Some(zone))
        .cutter()
        .expect("a zone")
}

/// Every row of the range is in a bin of the list, every bin but the skipped has a row, and the list ascends.
fn check(zone: &str, stride: Stride, from: &str, to: &str) -> Vec<i64> {
    let cutter = cutter(zone, stride);
    let (from_ns, to_ns) = (at(from), at(to));
    let bins: Vec<i64> = cutter.bins(from_ns, to_ns).collect();
    assert!(bins.is_sorted_by(|a, b| a < b), "{zone} {stride:?}");
    let mut of_rows: Vec<i64> = (0..)
        .map(|step| from_ns + step * MINUTE)
        .take_while(|row| *row <= to_ns)
        .map(|row| cutter.bin_of(row).expect("within range"))
        .collect();
    of_rows.sort_unstable();
    of_rows.dedup();
    assert_eq!(
        shown(zone, bins.iter().copied()),
        shown(zone, of_rows.into_iter()),
        "{zone} {stride:?} {from} {to}"
    );
    bins
}

#[test]
fn bins_of_a_range_are_those_of_its_rows() {
    let ranges = [
        (
            "Europe/Paris",
            "2026-03-28T00:00:00Z",
            "2026-03-30T12:00:00Z",
        ),
        (
            "Europe/Paris",
            "2026-10-24T00:00:00Z",
            "2026-10-26T12:00:00Z",
        ),
        (
            "America/New_York",
            "2026-03-07T00:00:00Z",
            "2026-03-09T12:00:00Z",
        ),
        (
            "America/New_York",
            "2026-10-31T00:00:00Z",
            "2026-11-02T12:00:00Z",
        ),
        (
            "Australia/Lord_Howe",
            "2026-10-03T00:00:00Z",
            "2026-10-05T00:00:00Z",
        ),
        (
            "Australia/Lord_Howe",
            "2026-04-04T00:00:00Z",
            "2026-04-06T00:00:00Z",
        ),
        (
            "America/Sao_Paulo",
            "2018-11-02T00:00:00Z",
            "2018-11-06T00:00:00Z",
        ),
        (
            "Pacific/Apia",
            "2011-12-28T00:00:00Z",
            "2012-01-02T00:00:00Z",
        ),
        ("Asia/Tokyo", "2026-03-28T00:00:00Z", "2026-03-30T12:00:00Z"),
        ("+05:30", "2026-03-28T00:00:00Z", "2026-03-30T12:00:00Z"),
        ("UTC", "2026-03-28T00:00:00Z", "2026-03-30T12:00:00Z"),
    ];
    let strides = [
        10 * MINUTE,
        15 * MINUTE,
        30 * MINUTE,
        HOUR,
        2 * HOUR,
        3 * HOUR,
        6 * HOUR,
        24 * HOUR,
    ];
    for (zone, from, to) in ranges {
        for stride in strides {
            check(zone, Stride::Nanoseconds(stride), from, to);
        }
        check(zone, Stride::Months(1), from, to);
    }
}

#[test]
fn days_have_23_24_or_25_hours() {
    let hours = |from, to| check("Europe/Paris", Stride::Nanoseconds(HOUR), from, to).len();
    assert_eq!(
        hours("2026-03-29T00:00:00+01:00", "2026-03-29T23:59:59+02:00"),
        23
    );
    assert_eq!(
        hours("2026-06-01T00:00:00+02:00", "2026-06-01T23:59:59+02:00"),
        24
    );
    assert_eq!(
        hours("2026-10-25T00:00:00+02:00", "2026-10-25T23:59:59+01:00"),
        25
    );
}

#[test]
fn a_start_that_is_skipped_moves_and_one_that_is_repeated_is_the_earlier() {
    let two = Stride::Nanoseconds(2 * HOUR);
    let bins = |stride, from, to| {
        let bins = check("Europe/Paris", stride, from, to);
        shown("Europe/Paris", bins.into_iter())
    };
    assert_eq!(
        bins(
            two,
            "2026-03-29T00:00:00+01:00",
            "2026-03-29T05:00:00+02:00"
        ),
        [
            "2026-03-29 00:00+01:00",
            "2026-03-29 03:00+02:00",
            "2026-03-29 04:00+02:00"
        ]
    );
    assert_eq!(
        bins(
            two,
            "2026-10-25T00:00:00+02:00",
            "2026-10-25T05:00:00+01:00"
        ),
        [
            "2026-10-25 00:00+02:00",
            "2026-10-25 02:00+02:00",
            "2026-10-25 04:00+01:00"
        ]
    );
    assert_eq!(
        bins(
            Stride::Nanoseconds(30 * MINUTE),
            "2026-10-25T02:20:00+02:00",
            "2026-10-25T03:10:00+01:00"
        ),
        [
            "2026-10-25 02:00+02:00",
            "2026-10-25 02:30+02:00",
            "2026-10-25 02:00+01:00",
            "2026-10-25 02:30+01:00",
            "2026-10-25 03:00+01:00"
        ]
    );
}

/// A bin whose shifted start comes after its own rows still is in the list, in its place.
#[test]
fn odd_strides_ascend_too() {
    let cutter = cutter("Europe/Paris", Stride::Nanoseconds(40 * MINUTE));
    let from_ns = at("2026-03-29T00:00:00+01:00");
    let to_ns = at("2026-03-29T12:00:00+02:00");
    let bins: Vec<i64> = cutter.bins(from_ns, to_ns).collect();
    assert!(bins.is_sorted_by(|a, b| a < b));
    for minute in 0..(to_ns - from_ns) / MINUTE {
        let bin = cutter.bin_of(from_ns + minute * MINUTE).expect("in range");
        assert!(bins.contains(&bin), "minute {minute}");
    }
}

#[test]
fn months_are_calendar_months() {
    let months = |from, to| {
        let cutter = Binning::utc(Stride::Months(1), 0).cutter().expect("utc");
        shown("UTC", cutter.bins(at(from), at(to)))
    };
    assert_eq!(
        months("2023-12-15T00:00:00Z", "2024-03-01T00:00:00Z"),
        [
            "2023-12-01 00:00+00:00",
            "2024-01-01 00:00+00:00",
            "2024-02-01 00:00+00:00",
            "2024-03-01 00:00+00:00"
        ]
    );
    let quarter = Binning::utc(Stride::Months(3), at("2024-01-31T12:00:00Z"));
    let quarter = quarter.cutter().expect("utc");
    assert_eq!(
        shown(
            "UTC",
            quarter.bins(at("2023-10-31T11:00:00Z"), at("2024-05-01T00:00:00Z"))
        ),
        [
            "2023-07-31 12:00+00:00",
            "2023-10-31 12:00+00:00",
            "2024-01-31 12:00+00:00",
            "2024-04-30 12:00+00:00"
        ]
    );
}

#[test]
fn edges_of_time_end_the_bins() {
    let hours = Binning::utc(Stride::Nanoseconds(HOUR), 0);
    let hours = hours.cutter().expect("utc");
    assert_eq!(hours.bin_of(i64::MIN), None);
    assert_eq!(hours.bins(i64::MIN, 0).count(), 0);
    assert_eq!(hours.bins(i64::MAX - HOUR, i64::MAX).count(), 2);
    assert_eq!(hours.bins(5, 4).count(), 0);
    assert_eq!(hours.bins(5, 5).collect::<Vec<_>>(), [0]);
    assert_eq!(hours.count(0, 24 * HOUR - 1), 24);
    let one = Binning::utc(Stride::Nanoseconds(1), 0)
        .cutter()
        .expect("utc");
    assert_eq!(one.count(i64::MIN, i64::MAX), u64::MAX);
    assert_eq!(one.bins(i64::MAX - 2, i64::MAX).count(), 3);
    assert_eq!(one.bins(i64::MIN, i64::MIN + 2).count(), 3);
    let paris = cutter("Europe/Paris", Stride::Months(1));
    assert!(paris.bins(i64::MAX - HOUR, i64::MAX).count() < 3);
    assert!(paris.bins(i64::MIN, i64::MIN + HOUR).count() < 3);
}

#[test]
fn strides_that_are_none() {
    let refused =
        |parts: (i32, i32, i64)| Stride::of_parts(parts.0, parts.1, parts.2).expect_err("refused");
    assert_eq!(refused((0, 0, 0)), "the stride of bins must be above zero");
    assert_eq!(
        refused((0, 1, -NS_PER_DAY)),
        "the stride of bins must be above zero"
    );
    assert_eq!(refused((-1, 0, 0)), "the stride of bins must be above zero");
    assert_eq!(
        refused((1, 1, 0)),
        "a stride of bins cannot mix months with days or less"
    );
    assert_eq!(refused((0, i32::MAX, 0)), "the stride of bins is too long");
    assert_eq!(
        Stride::of_parts(0, 1, 1),
        Ok(Stride::Nanoseconds(NS_PER_DAY + 1))
    );
}
