//! The word that this process has been replaced: said by the log or the manifest, heard by whoever runs the node.

use std::sync::Arc;

use tokio::sync::watch;

use crate::{Error, ErrorKind};

/// Whether another process has taken over. Said once, never taken back; clones share it.
#[derive(Clone, Debug)]
pub struct Lost {
    reason: Arc<watch::Sender<Option<String>>>,
}

impl Lost {
    pub fn new() -> Self {
        Self {
            reason: Arc::new(watch::Sender::new(None)),
        }
    }

    /// Remembers `fault` when it says that another process has taken over: when it is a `Conflict` of log or manifest.
    pub fn note(&self, fault: &Error) {
        if fault.kind() != ErrorKind::Conflict {
            return;
        }
        self.reason.send_if_modified(|reason| {
            let is_news = reason.is_none();
            if is_news {
                tracing::error!(reason = %fault, "this node has been taken over by another process");
                *reason = Some(fault.to_string());
            }
            is_news
        });
    }

    /// Why nothing can be written any more, if so; `Unavailable`, because whoever has taken over can.
    pub fn reason(&self) -> Option<Error> {
        self.reason.borrow().clone().map(Error::unavailable)
    }

    /// Resolves once the node is lost, with the reason.
    pub async fn wait(&self) -> Error {
        let mut reason = self.reason.subscribe();
        match reason.wait_for(Option::is_some).await {
            Ok(reason) => Error::conflict(reason.clone().unwrap_or_default()),
            // The sender lives as long as `self`.
            Err(_) => std::future::pending().await,
        }
    }
}

impl Default for Lost {
    fn default() -> Self {
        Self::new()
    }
}
