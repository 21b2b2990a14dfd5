//! What systemd is told of a server: that it serves now, and that it stops.
//!
//! A line of text in a datagram to the socket that `NOTIFY_SOCKET` names (sd_notify(3)); nothing where nobody asked. A server does
//! not fail because its supervisor does not listen.

use std::ffi::OsStr;

use crate::environment::Environment;

/// Where the supervisor listens.
const SOCKET: &str = "NOTIFY_SOCKET";

/// Something to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    Serving,
    Stopping,
}

impl News {
    fn text(self) -> &'static str {
        match self {
            Self::Serving => "READY=1",
            Self::Stopping => "STOPPING=1",
        }
    }
}

/// Tells the supervisor, if there is one.
pub(crate) fn tell(environment: &Environment, news: News) {
    let Some(socket) = environment.get(SOCKET).filter(|name| !name.is_empty()) else {
        return;
    };
    if let Err(fault) = send(socket, news.text()) {
        tracing::warn!(%fault, "cannot tell the supervisor: {}", news.text());
    }
}

#[cfg(target_os = "linux")]
fn send(socket: &OsStr, text: &str) -> std::io::Result<()> {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram};

    let address = match socket.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(socket)?,
    };
    UnixDatagram::unbound()?.send_to_addr(text.as_bytes(), &address)?;
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn send(_socket: &OsStr, _text: &str) -> std::io::Result<()> {
    Ok(())
}
