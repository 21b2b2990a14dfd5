//! Trucks: where they are and how they feel, with rows that never arrive and rows that lack a field or a tag.
//!
//! Of what arrives, everything but the order depends on the truck's number and the seed alone. The order: `disorder`.

use super::measurement::{Columns, Field, Shown, Start, Step, Walk};
use super::plan::Plan;
use super::rows::Moment;
use crate::random::{Normal, Random};
use std::ops::Range;
use std::sync::Arc;

/// Trucks of consecutive numbers share the fate of their rows.
pub(super) const BATCH_ROWS: usize = 10;
const BATCH_LOST_CHANCE: f64 = 0.01;
const ROW_LOST_CHANCE: f64 = 0.1;
const FIELD_LOST_CHANCE: f64 = 0.1;
const TAG_LOST_CHANCE: f64 = 0.01;

/// How many of all rows arrive.
pub(super) const SENT_SHARE: f64 = (1.0 - BATCH_LOST_CHANCE) * (1.0 - ROW_LOST_CHANCE);

const FLEETS: [&str; 4] = ["East", "West", "North", "South"];
const DRIVERS: [&str; 6] = ["Derek", "Rodney", "Albert", "Andy", "Seth", "Trish"];
/// Each with the load and the fuel that it can carry, and the fuel that it should need.
const MODELS: [(&str, u32, u32, u32); 3] = [
    ("F-150", 2_000, 200, 15),
    ("G-2000", 5_000, 300, 19),
    ("H-2", 1_500, 150, 12),
];
const DEVICE_VERSIONS: [&str; 4] = ["v1.0", "v1.5", "v2.0", "v2.3"];

fn readings() -> Vec<Field> {
    let walk = |name, reach: f64, (min, max), start, places| {
        let (low, high) = (-reach, reach);
        let step = Step::Uniform { low, high };
        Field::state(name, Walk::Clamped { step, min, max }, start).shown(Shown::Decimal(places))
    };
    let up_to = |max| Start::Between(0.0, max);
    vec![
        walk("latitude", 0.005, (-90.0, 90.0), up_to(90.0), 5),
        walk("longitude", 0.005, (-180.0, 180.0), up_to(180.0), 5),
        walk("elevation", 10.0, (0.0, 5_000.0), up_to(500.0), 0),
        walk("velocity", 10.0, (0.0, 100.0), Start::At(0.0), 0),
        walk("heading", 5.0, (0.0, 360.0), up_to(360.0), 0),
        walk("grade", 5.0, (0.0, 100.0), Start::At(0.0), 0),
        walk("fuel_consumption", 5.0, (0.0, 50.0), Start::At(25.0), 1),
    ]
}

fn diagnostics() -> Vec<Field> {
    let fuel = Walk::Refilled {
        step: Step::Uniform {
            low: -0.001,
            high: 0.0,
        },
        min: 0.0,
        max: 1.0,
    };
    let (low, high) = (0.0, 5_000.0);
    let load = Walk::Redrawn {
        chance: 0.05,
        low,
        high,
    };
    vec![
        Field::state("fuel_state", fuel, Start::At(1.0)).shown(Shown::Decimal(1)),
        Field::state("current_load", load, Start::Between(low, high)).shown(Shown::Decimal(0)),
        Field::clamped("status", 0.0, (0.0, 5.0), Start::At(0.0)),
    ]
}

#[derive(Clone, Debug)]
pub(super) struct Trucks {
    tags: Arc<[Tags]>,
    measurements: Vec<Sender>,
    normal: Box<Normal>,
    seed: u64,
    first_number: usize,
    batch: Batch,
}

/// What all trucks of the plan send of one measurement.
#[derive(Clone, Debug)]
struct Sender {
    name: &'static str,
    columns: Columns,
    /// Of each truck, one after the other.
    states: Vec<f64>,
    randoms: Vec<Random>,
}

/// Rows of neighbours at one moment, and whether they are lost together.
#[derive(Clone, Debug, Default)]
struct Batch {
    epoch: usize,
    measurement: usize,
    number: usize,
    lost: bool,
}

impl Trucks {
    pub(super) fn new(plan: &Plan) -> Self {
        let tags = plan.hosts.clone().map(|number| {
            let mut random = Random::new(plan.seed, number as u64);
            Tags::draw(number, &mut random)
        });
        let senders = [("readings", readings()), ("diagnostics", diagnostics())];
        Self {
            tags: tags.collect(),
            measurements: senders
                .into_iter()
                .zip(1..)
                .map(|((name, fields), number)| Sender::new(plan, name, &fields, number))
                .collect(),
            normal: Box::new(Normal::new()),
            seed: plan.seed,
            first_number: plan.hosts.start,
            // No row is of this batch.
            batch: Batch {
                epoch: usize::MAX,
                ..Batch::default()
            },
        }
    }

    /// Writes the row of a truck unless it is lost, and tells how many fields the row has.
    pub(super) fn write(
        &mut self,
        measurement: usize,
        host: usize,
        moment: &Moment,
        out: &mut Vec<u8>,
    ) -> usize {
        let batch_lost = self.batch_lost(measurement, host, moment.epoch);
        let sender = &mut self.measurements[measurement];
        let random = &mut sender.randoms[host];
        let columns = &sender.columns;
        let states = &mut sender.states[host * columns.states()..][..columns.states()];
        let row_lost = random.unit() < ROW_LOST_CHANCE;
        let mut lost = |chance, among| (random.unit() < chance).then(|| random.below(among));
        let field_lost = lost(FIELD_LOST_CHANCE, columns.count());
        let tag_lost = lost(TAG_LOST_CHANCE, TAGS);
        let mut count = 0;
        if !batch_lost && !row_lost {
            out.extend_from_slice(sender.name.as_bytes());
            count = self.tags[host].write(tag_lost, out) + columns.count()
                - usize::from(field_lost.is_some());
            columns.write(states, columns.count(), field_lost, moment.elapsed_s, out);
            moment.end_line(out);
        }
        columns.advance(states, &self.normal, random);
        count
    }

    fn batch_lost(&mut self, measurement: usize, host: usize, epoch: usize) -> bool {
        let number = (self.first_number + host) / BATCH_ROWS;
        let last = &self.batch;
        if (last.epoch, last.measurement, last.number) != (epoch, measurement, number) {
            // The seed's complement: no stream of a truck comes near.
            let stream = (epoch as u64) << 33 | (measurement as u64) << 32 | number as u64;
            self.batch = Batch {
                epoch,
                measurement,
                number,
                lost: Random::new(!self.seed, stream).unit() < BATCH_LOST_CHANCE,
            };
        }
        self.batch.lost
    }
}

impl Sender {
    fn new(plan: &Plan, name: &'static str, fields: &[Field], number: u64) -> Self {
        let columns = Columns::new(fields);
        let mut states = Vec::with_capacity(plan.hosts.len() * columns.states());
        let mut randoms = Vec::with_capacity(plan.hosts.len());
        for host in plan.hosts.clone() {
            let mut random = Random::new(plan.seed, number << 32 | host as u64);
            states.extend(columns.start(&mut random));
            randoms.push(random);
        }
        Self {
            name,
            columns,
            states,
            randoms,
        }
    }
}

/// Five that are written as tags, and three numbers that line protocol can only take as fields.
const TAGS: usize = 8;
const FIELD_TAGS: usize = 3;

/// What a truck's rows have in common.
#[derive(Clone, Debug)]
struct Tags {
    /// From after the measurement to the first field: `,name=truck_0,… load_capacity=2000,…`.
    text: Box<str>,
    /// Where in it each is that can be lost, with one comma.
    places: [Range<u16>; TAGS],
}

impl Tags {
    fn draw(number: usize, random: &mut Random) -> Self {
        let fleet = random.pick(&FLEETS);
        let driver = random.pick(&DRIVERS);
        let (model, load, fuel, consumption) = random.pick(&MODELS);
        let pieces: [String; TAGS] = [
            format!(",name=truck_{number}"),
            format!(",fleet={fleet}"),
            format!(",driver={driver}"),
            format!(",model={model}"),
            format!(",device_version={}", random.pick(&DEVICE_VERSIONS)),
            format!("load_capacity={load},"),
            format!("fuel_capacity={fuel},"),
            format!("nominal_fuel_consumption={consumption},"),
        ];
        let mut text = String::new();
        let places = std::array::from_fn(|piece| {
            if piece == TAGS - FIELD_TAGS {
                text.push(' ');
            }
            let start = text.len() as u16;
            text += &pieces[piece];
            start..text.len() as u16
        });
        Self {
            text: text.into(),
            places,
        }
    }

    /// Writes all but the one at `without`, and tells how many of them are fields.
    fn write(&self, without: Option<usize>, out: &mut Vec<u8>) -> usize {
        let text = self.text.as_bytes();
        let Some(without) = without else {
            out.extend_from_slice(text);
            return FIELD_TAGS;
        };
        let place = &self.places[without];
        out.extend_from_slice(&text[..usize::from(place.start)]);
        out.extend_from_slice(&text[usize::from(place.end)..]);
        FIELD_TAGS - usize::from(without >= TAGS - FIELD_TAGS)
    }
}
