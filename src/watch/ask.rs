//! The other end of the admin socket.
//!
//! `admin` -> **ask** -> `cartguard status`, `model drift`

use crate::exit::Refusal;
use anyhow::{Context as _, anyhow, bail};
use serde_json::Value;
use std::io::{ErrorKind, Read as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// How long the process may take to answer; it looks ten times a second.
const PATIENCE: Duration = Duration::from_secs(5);

/// The report of the process behind a socket.
pub(crate) fn ask(socket: Option<&Path>) -> anyhow::Result<Value> {
    let Some(socket) = socket else {
        bail!(Refusal(
            "admin.socket: is empty, and without history.folder there is no other; set it, such as admin.socket = \"admin.sock\""
                .to_owned()
        ));
    };
    let name = socket.display();
    let mut stream = UnixStream::connect(socket).map_err(|why| match why.kind() {
        ErrorKind::NotFound => anyhow!("{name}: there is no socket; no process runs with this configuration"),
        ErrorKind::ConnectionRefused => {
            anyhow!("{name}: nobody answers at this socket; its process was killed, and the next start replaces it")
        }
        ErrorKind::PermissionDenied => anyhow!("{name}: belongs to another user: {why}"),
        _ => anyhow!("{name}: cannot be connected to: {why}"),
    })?;
    stream.set_read_timeout(Some(PATIENCE)).with_context(|| format!("{name}"))?;
    let mut text = String::new();
    stream
        .read_to_string(&mut text)
        .with_context(|| format!("{name}: no answer within {} s", PATIENCE.as_secs()))?;
    serde_json::from_str(&text).with_context(|| format!("{name}: the answer is no report"))
}
