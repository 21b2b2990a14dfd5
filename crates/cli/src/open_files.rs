//! How many files and connections a server may have open: as many as the system allows, not as few as it usually gives.
//!
//! Systems start programs with room for a thousand, of which each connection takes one, and let them ask for more.

/// Asks for all there is. Warns when that is less than the connections that may be open.
pub(crate) fn raise(connections_max: usize) {
    match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(files_max) if files_max < connections_max as u64 => tracing::warn!(
            files_max,
            connections_max,
            "fewer files may be open than connections: raise the limit of open files, or lower --max-connections"
        ),
        Ok(files_max) => tracing::debug!(files_max, "open files"),
        Err(fault) => tracing::warn!(%fault, "cannot ask for more open files"),
    }
}
