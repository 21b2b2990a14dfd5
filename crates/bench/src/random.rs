//! Pseudo-random numbers, the same for the same seed on every machine.
//!
//! xoshiro256++ (Blackman and Vigna, public domain) seeded by splitmix64; normal numbers by the ziggurat of
//! Marsaglia and Tsang. Not for secrets.

/// A stream of pseudo-random numbers.
#[derive(Clone, Debug)]
pub(crate) struct Random {
    state: [u64; 4],
}

impl Random {
    /// Different `stream`s of the same `seed` have nothing to do with each other.
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        let mut mixer = seed ^ stream.wrapping_mul(0xd6e8_feb8_6659_fd93);
        Self {
            state: std::array::from_fn(|_| splitmix(&mut mixer)),
        }
    }

    #[inline]
    pub(crate) fn next(&mut self) -> u64 {
        let [a, b, c, d] = self.state;
        let result = a.wrapping_add(d).rotate_left(23).wrapping_add(a);
        let (c, d) = (c ^ a, d ^ b);
        self.state = [a ^ d, b ^ c, c ^ (b << 17), d.rotate_left(45)];
        result
    }

    /// Uniform in `0..bound`. The bias is below `bound / 2⁶⁴`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.next()) * bound as u128) >> 64) as usize
    }

    /// Uniform in `0.0..1.0`.
    #[inline]
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 * (1.0 / (1_u64 << 53) as f64)
    }

    pub(crate) fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len())]
    }
}

fn splitmix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut bits = *state;
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

const LAYERS: usize = 128;
/// Where the tail begins, and the area of each layer, for 128 layers.
const TAIL_START: f64 = 3.442_619_855_899;
const LAYER_AREA: f64 = 9.912_563_035_262_17e-3;

/// The standard normal distribution, cut into layers of equal area.
#[derive(Clone, Debug)]
pub(crate) struct Normal {
    /// The right end of each layer, from the widest to zero.
    edges: [f64; LAYERS + 1],
    /// Which share of a layer lies wholly below the curve.
    inside: [f64; LAYERS],
}

impl Normal {
    pub(crate) fn new() -> Self {
        let mut edges = [0.0; LAYERS + 1];
        let mut height = density(TAIL_START);
        edges[0] = LAYER_AREA / height;
        edges[1] = TAIL_START;
        for layer in 2..LAYERS {
            edges[layer] = (-2.0 * (LAYER_AREA / edges[layer - 1] + height).ln()).sqrt();
            height = density(edges[layer]);
        }
        Self {
            inside: std::array::from_fn(|layer| edges[layer + 1] / edges[layer]),
            edges,
        }
    }

    /// A number with mean 0 and variance 1.
    #[inline]
    pub(crate) fn draw(&self, random: &mut Random) -> f64 {
        let bits = random.next();
        let layer = (bits % LAYERS as u64) as usize;
        // The layer and the place in it come from different bits of the draw.
        let place = (bits >> 11) as f64 * (2.0 / (1_u64 << 53) as f64) - 1.0;
        if place.abs() < self.inside[layer] {
            return place * self.edges[layer];
        }
        self.draw_outside(layer, place, random)
    }

    /// The rare cases: the corner of a layer that the curve cuts through, and the tail.
    #[cold]
    fn draw_outside(&self, layer: usize, place: f64, random: &mut Random) -> f64 {
        if layer == 0 {
            return tail(random).copysign(place);
        }
        let x = place * self.edges[layer];
        let (low, high) = (density(self.edges[layer]), density(self.edges[layer + 1]));
        if low + random.unit() * (high - low) < density(x) {
            x
        } else {
            self.draw(random)
        }
    }
}

/// How often things come that are the rarer the higher their rank: a rank's chance falls with its power of 1.01.
#[derive(Clone, Debug)]
pub(crate) struct Zipf {
    /// The chance of each rank or a lower one.
    cumulative: Vec<f64>,
}

impl Zipf {
    const EXPONENT: f64 = 1.01;

    /// Ranks from 0 to `rank_max`.
    pub(crate) fn new(rank_max: usize) -> Self {
        let mut sum = 0.0;
        let mut cumulative: Vec<f64> = (0..=rank_max)
            .map(|rank| {
                sum += (rank as f64 + 1.0).powf(-Self::EXPONENT);
                sum
            })
            .collect();
        for chance in &mut cumulative {
            *chance /= sum;
        }
        Self { cumulative }
    }

    pub(crate) fn draw(&self, random: &mut Random) -> usize {
        let place = random.unit();
        // The last chance is 1, and a unit is less.
        self.cumulative.partition_point(|chance| *chance <= place)
    }
}

fn density(x: f64) -> f64 {
    (-0.5 * x * x).exp()
}

/// A normal number given that it lies beyond [`TAIL_START`].
fn tail(random: &mut Random) -> f64 {
    loop {
        // One minus a unit is never zero, so the logarithms are finite.
        let beyond = -(1.0 - random.unit()).ln() / TAIL_START;
        let height = -(1.0 - random.unit()).ln();
        if 2.0 * height > beyond * beyond {
            return TAIL_START + beyond;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Normal, Random, Zipf};

    #[test]
    fn normal_numbers_have_the_moments_and_tails_of_the_distribution() {
        let normal = Normal::new();
        let mut random = Random::new(1, 0);
        let count = 1_000_000;
        let mut sums = [0.0; 4];
        let mut beyond = [0_u32; 4];
        for _ in 0..count {
            let x = normal.draw(&mut random);
            for (power, sum) in (1..).zip(&mut sums) {
                *sum += x.powi(power);
            }
            for (limit, beyond) in [1.0, 2.0, 3.0, 3.5].into_iter().zip(&mut beyond) {
                *beyond += u32::from(x.abs() > limit);
            }
        }
        let moments = sums.map(|sum| sum / f64::from(count));
        for (moment, expected) in moments.into_iter().zip([0.0, 1.0, 0.0, 3.0]) {
            assert!((moment - expected).abs() < 0.02, "{moments:?}");
        }
        let shares = beyond.map(|beyond| f64::from(beyond) / f64::from(count));
        for (share, expected) in shares
            .into_iter()
            .zip([0.31731, 0.04550, 0.00270, 0.000465])
        {
            assert!((share / expected - 1.0).abs() < 0.1, "{shares:?}");
        }
    }

    #[test]
    fn whole_numbers_are_spread_evenly() {
        let mut random = Random::new(2, 7);
        let mut counts = [0_u32; 24];
        for _ in 0..240_000 {
            counts[random.below(24)] += 1;
        }
        assert!(
            counts.iter().all(|count| (9_500..10_500).contains(count)),
            "{counts:?}"
        );
    }

    #[test]
    fn ranks_come_the_rarer_the_higher_they_are() {
        let zipf = Zipf::new(99);
        let mut random = Random::new(3, 0);
        let mut counts = [0_u32; 100];
        for _ in 0..300_000 {
            counts[zipf.draw(&mut random)] += 1;
        }
        let share = |rank: usize| f64::from(counts[0]) / f64::from(counts[rank]);
        assert!((1.95..2.10).contains(&share(1)), "{}", share(1));
        assert!((9.5..11.0).contains(&share(9)), "{}", share(9));
        assert!((90.0..120.0).contains(&share(99)), "{}", share(99));
        assert_eq!(Zipf::new(0).draw(&mut random), 0);
    }

    #[test]
    fn a_stream_is_the_same_each_time_and_unlike_the_others() {
        let draw = |seed, stream| {
            let mut random = Random::new(seed, stream);
            [random.next(), random.next(), random.next()]
        };
        assert_eq!(draw(123, 4), draw(123, 4));
        assert_ne!(draw(123, 4), draw(123, 5));
        assert_ne!(draw(123, 4), draw(124, 4));
    }
}
