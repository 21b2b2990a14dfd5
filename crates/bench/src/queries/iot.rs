//! The thirteen questions of TSBS about trucks: the tables `readings` and `diagnostics`.
//!
//! Rows whose truck or driver is unknown are left out everywhere: the workload drops tags by chance.

use super::language::{Language, Width};
use super::window::{SECONDS_PER_HOUR, Window};
use crate::Error;
use crate::answer::{Column, Order, Shape};
use crate::random::Random;
use crate::workload::WorkloadOptions;

const FLEETS: [&str; 4] = ["East", "West", "North", "South"];
const MODELS: usize = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Where each truck of a fleet was last.
    LastLoc,
    /// Where one truck was last.
    SingleLastLoc,
    /// Trucks of a fleet with less than a tenth of their fuel.
    LowFuel,
    /// Trucks of a fleet with more than nine tenths of the load that they can carry.
    HighLoad,
    /// Trucks of a fleet that hardly moved in ten minutes.
    StationaryTrucks,
    /// Trucks of a fleet that rested less than 20 minutes in four hours.
    LongDrivingSessions,
    /// Trucks of a fleet that drove more than ten hours in 24.
    LongDailySessions,
    /// Fuel that trucks of each fleet use while driving, and what they were to use.
    AvgVsProjectedFuelConsumption,
    /// Hours a day that each driver drives.
    AvgDailyDrivingDuration,
    /// How long each truck drives without a rest, by day.
    AvgDailyDrivingSession,
    /// How much of what they can carry trucks carry, by fleet and model.
    AvgLoad,
    /// Share of each day that trucks were at work, by fleet and model.
    DailyActivity,
    /// How often trucks broke down, by model.
    BreakdownFrequency,
}

pub(super) const KINDS: [(&str, Kind); 13] = [
    ("last-loc", Kind::LastLoc),
    ("single-last-loc", Kind::SingleLastLoc),
    ("low-fuel", Kind::LowFuel),
    ("high-load", Kind::HighLoad),
    ("stationary-trucks", Kind::StationaryTrucks),
    ("long-driving-sessions", Kind::LongDrivingSessions),
    ("long-daily-sessions", Kind::LongDailySessions),
    (
        "avg-vs-projected-fuel-consumption",
        Kind::AvgVsProjectedFuelConsumption,
    ),
    ("avg-daily-driving-duration", Kind::AvgDailyDrivingDuration),
    ("avg-daily-driving-session", Kind::AvgDailyDrivingSession),
    ("avg-load", Kind::AvgLoad),
    ("daily-activity", Kind::DailyActivity),
    ("breakdown-frequency", Kind::BreakdownFrequency),
];

/// Conditions that every row of a known truck and driver fulfils.
const KNOWN: &str = "name IS NOT NULL AND driver IS NOT NULL";

/// What is asked, with everything drawn; a type uses of it what it needs.
#[derive(Clone, Debug)]
pub(super) struct Question {
    kind: Kind,
    fleet: &'static str,
    truck: usize,
    window: Window,
    trucks: usize,
    days: usize,
}

impl Question {
    pub(super) fn draw(
        kind: Kind,
        workload: &WorkloadOptions,
        aligned: bool,
        random: &mut Random,
    ) -> Result<Self, Error> {
        let whole = Window {
            start_s: workload.start_ns()? / super::window::NS_PER_SECOND,
            end_s: workload.end_ns()? / super::window::NS_PER_SECOND,
        };
        let window_s = match kind {
            Kind::StationaryTrucks => Some(Width::TenMinutes.seconds()),
            Kind::LongDrivingSessions => Some(4 * SECONDS_PER_HOUR),
            Kind::LongDailySessions => Some(24 * SECONDS_PER_HOUR),
            _ => None,
        };
        let window = match window_s {
            Some(length_s) => Window::draw(length_s, workload, aligned, random)?,
            None => whole,
        };
        Ok(Self {
            kind,
            fleet: FLEETS[random.below(FLEETS.len())],
            truck: random.below(workload.hosts),
            window,
            trucks: workload.hosts,
            days: whole.buckets(Width::Day.seconds(), workload)?,
        })
    }

    pub(super) fn shape(&self) -> Shape {
        let text = |name: &'static str| Column::text(name);
        let number = |name: &'static str| Column::number(name);
        let (columns, rows_max) = match self.kind {
            Kind::LastLoc => (location(), self.trucks),
            Kind::SingleLastLoc => return Shape::new(location(), 1..=1, Order::Any),
            Kind::LowFuel => (
                vec![text("name"), text("driver"), number("fuel_state")],
                self.trucks,
            ),
            Kind::HighLoad => (
                vec![
                    text("name"),
                    text("driver"),
                    number("current_load"),
                    number("load_capacity"),
                ],
                self.trucks,
            ),
            Kind::StationaryTrucks | Kind::LongDrivingSessions | Kind::LongDailySessions => {
                (vec![text("name"), text("driver")], self.trucks)
            }
            Kind::AvgVsProjectedFuelConsumption => (
                vec![
                    text("fleet"),
                    number("avg_fuel_consumption"),
                    number("projected_fuel_consumption"),
                ],
                FLEETS.len(),
            ),
            Kind::AvgDailyDrivingDuration => (
                vec![
                    text("fleet"),
                    text("name"),
                    text("driver"),
                    number("avg_daily_hours"),
                ],
                self.trucks,
            ),
            Kind::AvgDailyDrivingSession => (
                vec![text("name"), Column::time("day"), number("duration_s")],
                self.trucks * self.days,
            ),
            Kind::AvgLoad => (
                vec![
                    text("fleet"),
                    text("model"),
                    number("load_capacity"),
                    number("avg_load_share"),
                ],
                FLEETS.len() * MODELS,
            ),
            Kind::DailyActivity => (
                vec![
                    text("fleet"),
                    text("model"),
                    Column::time("day"),
                    number("daily_activity"),
                ],
                FLEETS.len() * MODELS * self.days,
            ),
            Kind::BreakdownFrequency => (vec![text("model"), number("breakdowns")], MODELS),
        };
        Shape::new(columns, 0..=rows_max, Order::Any)
    }

    pub(super) fn statement(&self, language: Language) -> Result<String, &'static str> {
        match language {
            Language::Sql | Language::Duckdb => Ok(self.sql(language)),
            Language::Influxql => self.influxql(),
            Language::Chdb => Err("only the cpu questions are written in it"),
            Language::Metricsql => Err("it knows neither rows nor strings"),
        }
    }

    fn sql(&self, dialect: Language) -> String {
        let Self { fleet, truck, .. } = self;
        let of_fleet = format!("fleet = '{fleet}' AND {KNOWN}");
        let ten_minutes = dialect.bucket(Width::TenMinutes);
        let day = dialect.bucket(Width::Day);
        let window = dialect.within(self.window);
        match self.kind {
            Kind::LastLoc => {
                let newest = newest_rows("readings", &of_fleet);
                format!("SELECT name, driver, latitude, longitude FROM {newest} WHERE newest = 1")
            }
            Kind::SingleLastLoc => format!(
                "SELECT name, driver, latitude, longitude FROM readings WHERE name = 'truck_{truck}' AND {KNOWN} \
                 ORDER BY time DESC LIMIT 1"
            ),
            Kind::LowFuel => format!(
                "SELECT name, driver, fuel_state FROM {} WHERE newest = 1 AND fuel_state < 0.1",
                newest_rows("diagnostics", &of_fleet)
            ),
            Kind::HighLoad => format!(
                "SELECT name, driver, current_load, load_capacity FROM {} \
                 WHERE newest = 1 AND current_load / load_capacity > 0.9",
                newest_rows("diagnostics", &of_fleet)
            ),
            Kind::StationaryTrucks => format!(
                "SELECT name, driver FROM readings WHERE {window} AND {of_fleet} \
                 GROUP BY name, driver HAVING avg(velocity) < 1"
            ),
            Kind::LongDrivingSessions | Kind::LongDailySessions => {
                let buckets = match self.kind {
                    Kind::LongDrivingSessions => 22,
                    _ => 60,
                };
                format!(
                    "SELECT name, driver FROM (SELECT name, driver, {ten_minutes} AS ten_minutes FROM readings \
                     WHERE {window} AND {of_fleet} GROUP BY 1, 2, 3 HAVING avg(velocity) > 1) AS driven \
                     GROUP BY name, driver HAVING count(*) > {buckets}"
                )
            }
            Kind::AvgVsProjectedFuelConsumption => format!(
                "SELECT fleet, avg(fuel_consumption) AS avg_fuel_consumption, \
                 avg(nominal_fuel_consumption) AS projected_fuel_consumption FROM readings \
                 WHERE velocity > 1 AND fleet IS NOT NULL AND {KNOWN} GROUP BY fleet"
            ),
            Kind::AvgDailyDrivingDuration => format!(
                "WITH driven AS (SELECT fleet, name, driver, {ten_minutes} AS ten_minutes, {day} AS day FROM readings \
                 WHERE fleet IS NOT NULL AND {KNOWN} GROUP BY 1, 2, 3, 4, 5 HAVING avg(velocity) > 1), \
                 days AS (SELECT fleet, name, driver, day, count(*) / 6.0 AS hours FROM driven GROUP BY 1, 2, 3, 4) \
                 SELECT fleet, name, driver, avg(hours) AS avg_daily_hours FROM days GROUP BY 1, 2, 3"
            ),
            Kind::AvgDailyDrivingSession => {
                let day_of_start = dialect.bucket_of(Width::Day, "start");
                let seconds = |time: &str| dialect.seconds(time);
                format!(
                    "WITH status AS (SELECT name, {ten_minutes} AS ten_minutes, avg(velocity) > 5 AS driving FROM readings \
                     WHERE {KNOWN} GROUP BY 1, 2), \
                     known AS (SELECT name, ten_minutes, driving, \
                     lag(driving) OVER (PARTITION BY name ORDER BY ten_minutes) AS driving_before FROM status), \
                     changes AS (SELECT name, driving, ten_minutes AS start, \
                     lead(ten_minutes) OVER (PARTITION BY name ORDER BY ten_minutes) AS stop FROM known \
                     WHERE driving <> driving_before) \
                     SELECT name, {day_of_start} AS day, avg({} - {}) AS duration_s FROM changes \
                     WHERE driving AND stop IS NOT NULL GROUP BY 1, 2",
                    seconds("stop"),
                    seconds("start"),
                )
            }
            Kind::AvgLoad => format!(
                "SELECT fleet, model, load_capacity, avg(carried / load_capacity) AS avg_load_share FROM \
                 (SELECT fleet, model, name, load_capacity, avg(current_load) AS carried FROM diagnostics \
                 WHERE fleet IS NOT NULL AND model IS NOT NULL AND load_capacity IS NOT NULL AND {KNOWN} \
                 GROUP BY 1, 2, 3, 4) AS trucks GROUP BY 1, 2, 3"
            ),
            Kind::DailyActivity => format!(
                "SELECT fleet, model, day, count(*) / 144.0 AS daily_activity FROM \
                 (SELECT fleet, model, name, {ten_minutes} AS ten_minutes, {day} AS day FROM diagnostics \
                 WHERE fleet IS NOT NULL AND model IS NOT NULL AND {KNOWN} GROUP BY 1, 2, 3, 4, 5 \
                 HAVING avg(status) < 1) AS active GROUP BY 1, 2, 3"
            ),
            Kind::BreakdownFrequency => format!(
                "WITH broken AS (SELECT model, name, {ten_minutes} AS ten_minutes, \
                 2 * sum(CASE WHEN status = 0 THEN 1 ELSE 0 END) >= count(status) AS broken_down FROM diagnostics \
                 WHERE model IS NOT NULL AND {KNOWN} GROUP BY 1, 2, 3), \
                 known AS (SELECT model, broken_down, \
                 lead(broken_down) OVER (PARTITION BY model, name ORDER BY ten_minutes) AS broken_down_next FROM broken) \
                 SELECT model, count(*) AS breakdowns FROM known \
                 WHERE NOT broken_down AND broken_down_next GROUP BY model"
            ),
        }
    }

    fn influxql(&self) -> Result<String, &'static str> {
        let Self { fleet, truck, .. } = self;
        let known = "\"name\" != '' AND driver != ''";
        let location = "SELECT driver, latitude, longitude FROM readings";
        match self.kind {
            Kind::LastLoc => Ok(format!(
                "{location} WHERE fleet = '{fleet}' AND {known} GROUP BY \"name\" ORDER BY time DESC LIMIT 1"
            )),
            Kind::SingleLastLoc => Ok(format!(
                "{location} WHERE \"name\" = 'truck_{truck}' AND {known} GROUP BY \"name\" ORDER BY time DESC LIMIT 1"
            )),
            _ => Err("only the last places of trucks are written in it"),
        }
    }
}

/// Rows of a table with a column `newest`, which is 1 in the newest row of each truck.
fn newest_rows(table: &str, condition: &str) -> String {
    format!(
        "(SELECT *, row_number() OVER (PARTITION BY name ORDER BY time DESC) AS newest FROM {table} \
         WHERE {condition}) AS numbered"
    )
}

fn location() -> Vec<Column> {
    vec![
        Column::text("name"),
        Column::text("driver"),
        Column::number("latitude"),
        Column::number("longitude"),
    ]
}
