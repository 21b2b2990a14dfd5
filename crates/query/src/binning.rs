//! Bins of time: which bin a time is in, and all bins of a range, in UTC or in the wall clock of a zone. Pure.
//!
//! In UTC a bin starts where stock `date_bin` says. In a zone bins are cut in local time and then turned back into instants
//! (spec/query-sql.md §9), so a day has 23 or 25 hours when clocks change. Used by `functions` to bin rows and by `gapfill` to
//! know which bins there should be; both must agree, because a row that is in no bin of the range would stand beside the gaps.

use chrono::{DateTime, Datelike, Months, NaiveDateTime, NaiveTime, Offset, TimeDelta, TimeZone};
use datafusion::arrow::array::timezone::Tz as Zone;

const NS_PER_DAY: i64 = 86_400_000_000_000;

const NS_PER_S: i64 = 1_000_000_000;

/// How long a bin is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd)]
pub(crate) enum Stride {
    /// Above zero.
    Nanoseconds(i64),
    /// Above zero.
    Months(i64),
}

/// How time is cut into bins.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd)]
pub(crate) struct Binning {
    stride: Stride,
    /// Where some bin starts: an instant, or with a wall clock, a local time, in nanoseconds as if it were UTC.
    origin_ns: i64,
    /// The name of the zone whose wall clock cuts; none means UTC.
    zone: Option<String>,
}

impl Stride {
    /// The stride of an interval's three parts. Errors say what is wrong with them.
    pub(crate) fn of_parts(months: i32, days: i32, nanoseconds: i64) -> Result<Self, String> {
        let stride = if months == 0 {
            let days_ns = i128::from(days) * i128::from(NS_PER_DAY);
            let total = i64::try_from(days_ns + i128::from(nanoseconds))
                .map_err(|_| "the stride of bins is too long".to_string())?;
            Self::Nanoseconds(total)
        } else if days == 0 && nanoseconds == 0 {
            Self::Months(i64::from(months))
        } else {
            return Err("a stride of bins cannot mix months with days or less".to_string());
        };
        match stride {
            Self::Nanoseconds(length) | Self::Months(length) if length <= 0 => {
                Err("the stride of bins must be above zero".to_string())
            }
            stride => Ok(stride),
        }
    }
}

impl Binning {
    pub(crate) fn utc(stride: Stride, origin_ns: i64) -> Self {
        Self {
            stride,
            origin_ns,
            zone: None,
        }
    }

    /// Bins in the wall clock of `zone`; those of UTC are the same as without a zone.
    pub(crate) fn wall_clock(stride: Stride, origin_ns: i64, zone: Option<&str>) -> Self {
        let zone = zone.filter(|zone| !is_utc(zone)).map(str::to_string);
        Self {
            stride,
            origin_ns,
            zone,
        }
    }

    /// Makes the questions about times quick. Errors: the zone, if nobody knows it.
    pub(crate) fn cutter(&self) -> Result<Cutter, String> {
        let zone = match &self.zone {
            None => None,
            Some(name) => Some(
                name.parse()
                    .map_err(|_| format!("there is no time zone '{name}'"))?,
            ),
        };
        Ok(Cutter {
            stride: self.stride,
            origin_ns: self.origin_ns,
            zone,
        })
    }
}

/// A [`Binning`] whose zone has been looked up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cutter {
    stride: Stride,
    origin_ns: i64,
    zone: Option<Zone>,
}

impl Cutter {
    /// The start of the bin that `at_ns` is in; `None` when it lies before all times.
    pub(crate) fn bin_of(&self, at_ns: i64) -> Option<i64> {
        let Some(zone) = self.zone else {
            return self.floor(at_ns);
        };
        let offset_ns = offset_at(zone, at_ns)?;
        let start_ns = self.floor(at_ns.checked_add(offset_ns)?)?;
        self.instant_of(zone, start_ns, offset_ns)
    }

    /// The starts of all bins from the one of `from_ns` to the one of `to_ns`, ascending.
    pub(crate) fn bins(&self, from_ns: i64, to_ns: i64) -> Bins {
        let ends = self.bin_of(from_ns).zip(self.bin_of(to_ns));
        let (first_ns, last_ns) = ends.unwrap_or((i64::MAX, i64::MIN));
        let mut bins = Bins {
            cutter: *self,
            first_ns,
            last_ns,
            index: 0,
            offset_ns: 0,
            stretch_end_ns: None,
            extra_ns: None,
            ended: from_ns > to_ns || first_ns > last_ns,
        };
        if !bins.ended {
            bins.enter(first_ns);
            bins.extra_ns = Some(first_ns);
        }
        bins
    }

    /// How many bins there are about from `from_ns` to `to_ns`: exact but for changes of clocks.
    pub(crate) fn count(&self, from_ns: i64, to_ns: i64) -> u64 {
        if from_ns > to_ns {
            return 0;
        }
        let bins = match self.stride {
            Stride::Nanoseconds(length) => {
                (i128::from(to_ns) - i128::from(from_ns)) / i128::from(length)
            }
            Stride::Months(length) => {
                i128::from((month_of(to_ns) - month_of(from_ns)).div_euclid(length))
            }
        };
        u64::try_from(bins + 1).unwrap_or(u64::MAX)
    }

    /// The number of the bin, counted from the origin, that a time of the cutting clock is in.
    fn index_of(&self, local_ns: i64) -> Option<i64> {
        match self.stride {
            Stride::Nanoseconds(length) => {
                let since = i128::from(local_ns) - i128::from(self.origin_ns);
                i64::try_from(since.div_euclid(i128::from(length))).ok()
            }
            Stride::Months(length) => {
                let months = month_of(local_ns) - month_of(self.origin_ns);
                let index = months.div_euclid(length);
                // An origin late in its month makes bins that start late in theirs.
                if self.start_of(index)? > local_ns {
                    Some(index - 1)
                } else {
                    Some(index)
                }
            }
        }
    }

    /// Where a bin starts in the cutting clock.
    fn start_of(&self, index: i64) -> Option<i64> {
        match self.stride {
            Stride::Nanoseconds(length) => {
                let since = i128::from(index) * i128::from(length);
                i64::try_from(i128::from(self.origin_ns) + since).ok()
            }
            Stride::Months(length) => {
                let months = index.checked_mul(length)?;
                let shift = Months::new(u32::try_from(months.unsigned_abs()).ok()?);
                let origin = DateTime::from_timestamp_nanos(self.origin_ns);
                let start = if months < 0 {
                    origin.checked_sub_months(shift)
                } else {
                    origin.checked_add_months(shift)
                };
                start?.timestamp_nanos_opt()
            }
        }
    }

    fn floor(&self, local_ns: i64) -> Option<i64> {
        self.start_of(self.index_of(local_ns)?)
    }

    /// The instant at which a bin starts whose local start is given, for a row whose zone is `row_offset_ns` ahead of UTC.
    fn instant_of(&self, zone: Zone, start_ns: i64, row_offset_ns: i64) -> Option<i64> {
        let start = naive(start_ns)?;
        let offset_ns = match zone.offset_from_local_datetime(&start) {
            chrono::LocalResult::Single(offset) => nanoseconds(&offset),
            // The clock shows this time twice.
            chrono::LocalResult::Ambiguous(one, other) => {
                let (one, other) = (nanoseconds(&one), nanoseconds(&other));
                let (earlier, later) = (one.max(other), one.min(other));
                let is_long = match self.stride {
                    Stride::Nanoseconds(length) => length > earlier - later,
                    Stride::Months(_) => true,
                };
                if !is_long && row_offset_ns == later {
                    later
                } else {
                    earlier
                }
            }
            // The clock never shows this time.
            chrono::LocalResult::None => offset_at_start_of_day(zone, start),
        };
        start_ns.checked_sub(offset_ns)
    }
}

/// The starts of bins, ascending: see [`Cutter::bins`].
///
/// A zone is walked in stretches in which its clock does not change. Within one, bins are a fixed distance apart; those starts that
/// the clock shows again later are left out when only the first counts. Where a stretch begins there may be one more start: of the
/// bin whose local start was skipped.
#[derive(Clone, Debug)]
pub(crate) struct Bins {
    cutter: Cutter,
    first_ns: i64,
    last_ns: i64,
    /// The next bin to look at, counted from the origin.
    index: i64,
    /// How far the local clock is ahead of UTC in this stretch.
    offset_ns: i64,
    /// When the next stretch begins, if there is one.
    stretch_end_ns: Option<i64>,
    extra_ns: Option<i64>,
    ended: bool,
}

impl Bins {
    /// Begins the stretch that starts at an instant.
    fn enter(&mut self, at_ns: i64) {
        let zone = self.cutter.zone;
        self.offset_ns = zone.and_then(|zone| offset_at(zone, at_ns)).unwrap_or(0);
        self.stretch_end_ns = zone.and_then(|zone| change_after(zone, at_ns, self.last_ns));
        self.extra_ns = self.cutter.bin_of(at_ns).filter(|extra| *extra >= at_ns);
        let local_ns = at_ns.checked_add(self.offset_ns);
        let index = local_ns.and_then(|local| {
            let index = self.cutter.index_of(local)?;
            let starts_here = self.cutter.start_of(index) == Some(local);
            if starts_here {
                Some(index)
            } else {
                index.checked_add(1)
            }
        });
        match index {
            Some(index) => self.index = index,
            None => self.ended = true,
        }
    }

    fn advance(&mut self) {
        match self.index.checked_add(1) {
            Some(next) => self.index = next,
            None => self.ended = true,
        }
    }

    fn step(&mut self) -> Option<i64> {
        while !self.ended {
            let start_ns = self
                .cutter
                .start_of(self.index)
                .and_then(|start| start.checked_sub(self.offset_ns));
            if let Some(extra) = self.extra_ns
                && start_ns.is_none_or(|start| extra <= start)
                && self.stretch_end_ns.is_none_or(|end| extra < end)
            {
                self.extra_ns = None;
                if start_ns == Some(extra) {
                    self.advance();
                }
                return Some(extra);
            }
            let start_ns = start_ns?;
            if let Some(end) = self.stretch_end_ns
                && start_ns >= end
            {
                self.enter(end);
                continue;
            }
            self.advance();
            if self.cutter.zone.is_none() || self.cutter.bin_of(start_ns) == Some(start_ns) {
                return Some(start_ns);
            }
        }
        None
    }
}

impl Iterator for Bins {
    type Item = i64;

    fn next(&mut self) -> Option<i64> {
        while !self.ended {
            match self.step() {
                Some(start) if start > self.last_ns => break,
                Some(start) if start >= self.first_ns => return Some(start),
                Some(_) => {}
                None => break,
            }
        }
        self.ended = true;
        None
    }
}

/// Zones whose wall clock is UTC.
pub(crate) fn is_utc(zone: &str) -> bool {
    matches!(
        zone,
        "UTC" | "Z" | "Etc/UTC" | "Etc/Zulu" | "Zulu" | "Universal" | "+00:00" | "+0000" | "+00"
    )
}

/// Months since the year 0.
fn month_of(at_ns: i64) -> i64 {
    let at = DateTime::from_timestamp_nanos(at_ns);
    i64::from(at.year()) * 12 + i64::from(at.month0())
}

fn naive(at_ns: i64) -> Option<NaiveDateTime> {
    let seconds = at_ns.div_euclid(NS_PER_S);
    let rest = u32::try_from(at_ns.rem_euclid(NS_PER_S)).ok()?;
    Some(DateTime::from_timestamp(seconds, rest)?.naive_utc())
}

fn nanoseconds(offset: &impl Offset) -> i64 {
    i64::from(offset.fix().local_minus_utc()) * NS_PER_S
}

/// How far the zone's clock is ahead of UTC at an instant.
fn offset_at(zone: Zone, at_ns: i64) -> Option<i64> {
    Some(nanoseconds(&zone.offset_from_utc_datetime(&naive(at_ns)?)))
}

/// The offset that holds at the first midnight of a local day; a day without midnight has that of the evening before.
fn offset_at_start_of_day(zone: Zone, local: NaiveDateTime) -> i64 {
    let midnight = local.date().and_time(NaiveTime::MIN);
    let evening = midnight - TimeDelta::hours(6);
    let offset = zone
        .offset_from_local_datetime(&midnight)
        .earliest()
        .or_else(|| zone.offset_from_local_datetime(&evening).latest());
    offset.map_or(0, |offset| nanoseconds(&offset))
}

/// The first instant after `at_ns`, and not long after `until_ns`, at which the zone's clock changes.
fn change_after(zone: Zone, at_ns: i64, until_ns: i64) -> Option<i64> {
    let offset_ns = offset_at(zone, at_ns)?;
    let mut before_ns = at_ns;
    // Clocks do not change twice within a week, and a week is soon halved down to a second.
    loop {
        if before_ns > until_ns {
            return None;
        }
        let after_ns = before_ns.checked_add(7 * NS_PER_DAY)?;
        if offset_at(zone, after_ns)? == offset_ns {
            before_ns = after_ns;
            continue;
        }
        let (mut before_ns, mut after_ns) = (before_ns, after_ns);
        while after_ns - before_ns > 1 {
            let middle_ns = before_ns + (after_ns - before_ns) / 2;
            if offset_at(zone, middle_ns)? == offset_ns {
                before_ns = middle_ns;
            } else {
                after_ns = middle_ns;
            }
        }
        return Some(after_ns);
    }
}

#[cfg(test)]
mod tests;
