//! Who may bring rows in: write requests take their part of the ingest share before they are read, and wait in line for it.
//!
//! A request holds [`Admitted`] from its first byte until its rows are in the buffer, whatever protocol it came by. Not here: the
//! buffer's own bound, at which `storage` lets writes wait; how large the share is (`memory`). For operators:
//! docs/guide/memory.md.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::Error;

/// Memory that a byte of line protocol needs until it is buffered: itself, its columns (a third of the text for ten numbers a line,
/// as much as the text for one) in vectors that may be twice as large as they are full, and the frame for the log, twice.
const BYTES_PER_TEXT_BYTE: usize = 3;

/// What the semaphore counts: its numbers have 32 bits, and shares may be larger than that many bytes.
const UNIT_BYTES: usize = 1 << 10;

/// Longest wait for a part of the share.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// The ingest share of the memory budget.
#[derive(Debug)]
pub(crate) struct Admission {
    free: Arc<Semaphore>,
    units: u32,
    wait_max: Duration,
    refused: AtomicU64,
}

/// A request's part of the share, given back when dropped.
#[derive(Debug)]
pub(crate) struct Admitted {
    permit: OwnedSemaphorePermit,
}

impl Admission {
    pub(crate) fn new(share_bytes: usize) -> Self {
        Self::with_wait(share_bytes, WAIT_MAX)
    }

    fn with_wait(share_bytes: usize, wait_max: Duration) -> Self {
        let units = u32::try_from(share_bytes / UNIT_BYTES)
            .unwrap_or(u32::MAX)
            .clamp(1, u32::try_from(Semaphore::MAX_PERMITS).unwrap_or(u32::MAX));
        Self {
            free: Arc::new(Semaphore::new(units as usize)),
            units,
            wait_max,
            refused: AtomicU64::new(0),
        }
    }

    /// Takes the part of a request whose line protocol has `text_bytes`, unpacked; of one that needs more than there is, everything.
    ///
    /// First come, first served. Errors: `Unavailable` after ten seconds.
    pub(crate) async fn admit(&self, text_bytes: usize) -> Result<Admitted, Error> {
        let wanted = self.units_of(text_bytes);
        let free = Arc::clone(&self.free);
        let permit = tokio::time::timeout(self.wait_max, free.acquire_many_owned(wanted)).await;
        match permit {
            Ok(Ok(permit)) => Ok(Admitted { permit }),
            Ok(Err(_)) | Err(_) => {
                self.refused.fetch_add(1, Ordering::Relaxed);
                Err(Error::unavailable(
                    "this service is overloaded, please try again later",
                ))
            }
        }
    }

    fn units_of(&self, text_bytes: usize) -> u32 {
        let units = text_bytes
            .saturating_mul(BYTES_PER_TEXT_BYTE)
            .div_ceil(UNIT_BYTES);
        u32::try_from(units).unwrap_or(u32::MAX).min(self.units)
    }

    /// Bytes taken now.
    pub(crate) fn used_bytes(&self) -> u64 {
        let used = (self.units as usize).saturating_sub(self.free.available_permits());
        (used * UNIT_BYTES) as u64
    }

    /// Requests that were told to come again, since the start.
    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Gives back what a request does not need after all, now that its text is known to have `text_bytes`.
    pub(crate) fn settle(&self, admitted: &mut Admitted, text_bytes: usize) {
        let held = admitted.permit.num_permits();
        let surplus = held.saturating_sub(self.units_of(text_bytes) as usize);
        drop(admitted.permit.split(surplus));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    fn share(bytes: usize) -> Admission {
        Admission::with_wait(bytes, Duration::from_millis(20))
    }

    #[tokio::test]
    async fn requests_share_and_give_back() {
        let share = share(90 * UNIT_BYTES);
        let mut first = share.admit(20 * UNIT_BYTES).await.expect("room");
        let second = share.admit(10 * UNIT_BYTES).await.expect("room");
        assert_eq!(share.used_bytes(), 90 * UNIT_BYTES as u64);
        let refused = share.admit(1).await.expect_err("no room");
        assert_eq!(refused.kind(), ErrorKind::Unavailable);
        assert_eq!(share.refused(), 1);
        share.settle(&mut first, 10 * UNIT_BYTES);
        assert_eq!(share.used_bytes(), 60 * UNIT_BYTES as u64);
        // More text than thought never takes more than was given.
        share.settle(&mut first, 1000 * UNIT_BYTES);
        assert_eq!(share.used_bytes(), 60 * UNIT_BYTES as u64);
        drop((first, second));
        assert_eq!(share.used_bytes(), 0);
    }

    #[tokio::test]
    async fn a_request_larger_than_the_share_takes_all_of_it() {
        let share = share(2 * UNIT_BYTES);
        let large = share.admit(usize::MAX).await.expect("admitted alone");
        assert_eq!(share.used_bytes(), 2 * UNIT_BYTES as u64);
        assert!(share.admit(1).await.is_err());
        drop(large);
        assert!(share.admit(1).await.is_ok());
    }

    #[tokio::test]
    async fn nobody_is_overtaken() {
        let share = Arc::new(Admission::new(6 * UNIT_BYTES));
        let held = share.admit(UNIT_BYTES).await.expect("room");
        let large = Arc::clone(&share);
        let mut large = Box::pin(async move { large.admit(2 * UNIT_BYTES).await });
        assert!(futures::poll!(&mut large).is_pending());
        // There would be room, but somebody waits for it.
        let small = Arc::clone(&share);
        let mut small = Box::pin(async move { small.admit(UNIT_BYTES / 3).await });
        assert!(futures::poll!(&mut small).is_pending());
        drop(held);
        drop(large.await.expect("first in line"));
        drop(small.await.expect("second in line"));
        assert_eq!(share.refused(), 0);
    }
}
