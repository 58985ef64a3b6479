//! The admin socket: whoever connects gets the report as one line, and nothing else happens.
//!
//! `report` -> **admin** -> `cartguard status`
//!
//! Holds: only the user of the process may connect (mode 0600, before the socket has its name); one that a killed process left is replaced, one
//! that is answered is not; nobody at the other end holds the thread up for longer than `SLOW`.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long somebody may take to read. Arbitrary.
const SLOW: Duration = Duration::from_millis(500);

/// See the module; removes the socket when it goes.
pub(super) struct Admin {
    listener: UnixListener,
    path: PathBuf,
}

impl Admin {
    /// Opens it; what is wrong otherwise.
    pub(super) fn open(path: &Path) -> Result<Self, String> {
        let name = path.display();
        if UnixStream::connect(path).is_ok() {
            return Err(format!("{name}: another process answers at this socket"));
        }
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            fs::create_dir_all(folder).map_err(|why| format!("{name}: its folder cannot be made: {why}"))?;
        }
        let fault = |why: std::io::Error| match why.kind() {
            // A socket's path has 108 bytes at most.
            ErrorKind::InvalidInput => {
                format!(
                    "{name}: a path of at most some 100 bytes is needed; set admin.socket to a shorter one"
                )
            }
            _ => format!("{name}: the admin socket cannot be made: {why}"),
        };
        let mut unready = path.as_os_str().to_owned();
        unready.push(".new");
        let unready = PathBuf::from(unready);
        let _ = fs::remove_file(&unready);
        let listener = UnixListener::bind(&unready).map_err(fault)?;
        let opened = fs::set_permissions(&unready, fs::Permissions::from_mode(0o600))
            .and_then(|()| fs::rename(&unready, path))
            .and_then(|()| listener.set_nonblocking(true));
        opened.map_err(fault)?;
        Ok(Self { listener, path: path.to_path_buf() })
    }

    /// Answers everybody who is there.
    pub(super) fn answer(&mut self, report: impl Fn() -> String) {
        while let Ok((mut there, _)) = self.listener.accept() {
            // Whoever goes away or does not read has no answer.
            let _ = there.set_nonblocking(false);
            let _ = there.set_write_timeout(Some(SLOW));
            let _ = there.write_all((report() + "\n").as_bytes());
        }
    }
}

impl Drop for Admin {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}
