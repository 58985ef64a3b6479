//! What systemd is told, where it asked (`NOTIFY_SOCKET`): that the process is ready, that it is alive, that it ends.
//!
//! `watch` -> **systemd**
//!
//! Holds: "alive" is said only while the engine's thread moves or has nothing to do; a stream or a disk that is gone is waited out, and is no
//! reason to be killed.

use crate::vitals::Phase;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::{Duration, Instant};

/// See the module.
pub(super) struct Systemd {
    to: Option<(UnixDatagram, SocketAddr)>,
    /// Half the time after which the process would be killed.
    alive_every: Option<Duration>,
    alive: Option<Instant>,
    is_ready: bool,
}

impl Systemd {
    /// Looks into the environment.
    pub(super) fn find() -> Self {
        let given = std::env::var("NOTIFY_SOCKET").ok();
        let to = given.and_then(|name| Some((UnixDatagram::unbound().ok()?, address(&name)?)));
        let micros = std::env::var("WATCHDOG_USEC").ok().and_then(|text| text.parse().ok());
        let alive_every = micros.map(|micros| Duration::from_micros(micros) / 2);
        Self { to, alive_every, alive: None, is_ready: false }
    }

    /// Once a second.
    pub(super) fn tell(&mut self, phase: Phase, is_alive: bool) {
        if !self.is_ready && phase == Phase::Running {
            self.is_ready = true;
            self.send("READY=1");
        }
        let is_due = |every: Duration| self.alive.is_none_or(|alive| alive.elapsed() >= every);
        if is_alive && self.alive_every.is_some_and(is_due) {
            self.alive = Some(Instant::now());
            self.send("WATCHDOG=1");
        }
    }

    pub(super) fn ending(&self) {
        self.send("STOPPING=1");
    }

    fn send(&self, what: &str) {
        if let Some((socket, address)) = &self.to {
            // systemd that does not listen has nothing to be told.
            let _ = socket.send_to_addr(what.as_bytes(), address);
        }
    }
}

/// A path, or with an @ an abstract name.
fn address(name: &str) -> Option<SocketAddr> {
    match name.strip_prefix('@') {
        #[cfg(target_os = "linux")]
        Some(name) => <SocketAddr as std::os::linux::net::SocketAddrExt>::from_abstract_name(name).ok(),
        #[cfg(not(target_os = "linux"))]
        Some(_) => None,
        None => SocketAddr::from_pathname(name).ok(),
    }
}
