//! Chance: the operating system's generator, or a seeded one for tests.

use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use rand::rngs::{OsRng, StdRng};
use rand::{RngCore, SeedableRng, TryRngCore};

use crate::Error;

/// A source of random bytes.
#[derive(Clone)]
pub enum Random {
    /// The operating system's cryptographic generator.
    System,
    /// The same bytes for the same seed.
    Seeded(Arc<Mutex<StdRng>>),
}

impl Random {
    pub fn seeded(seed: u64) -> Self {
        Self::Seeded(Arc::new(Mutex::new(StdRng::seed_from_u64(seed))))
    }

    /// Fills `bytes`. Fails only when the operating system cannot give randomness.
    pub fn fill(&self, bytes: &mut [u8]) -> Result<(), Error> {
        match self {
            Self::System => OsRng.try_fill_bytes(bytes).map_err(|cause| {
                Error::internal("the operating system gave no random bytes").with_source(cause)
            }),
            Self::Seeded(generator) => {
                generator.lock().fill_bytes(bytes);
                Ok(())
            }
        }
    }
}

impl fmt::Debug for Random {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::System => "Random::System",
            Self::Seeded(_) => "Random::Seeded",
        })
    }
}
