//! Waiting for a device file to come or to go, by inotify: no polling, and it works in a container, where udev's own
//! messages are not heard.
//!
//! Owns the way to a path: every directory in which a symlink of the way lies (`/dev/serial/by-id/…` points to
//! `../../ttyUSB0`) and the one where the way ends are watched. Never opens the device.

use std::{
    collections::VecDeque,
    ffi::{OsStr, OsString},
    io,
    mem::MaybeUninit,
    os::{fd::OwnedFd, unix::ffi::OsStrExt},
    path::{Component, Path, PathBuf},
};

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use tokio::io::unix::AsyncFd;

/// Symlinks followed on one way; more is a loop.
const MAX_LINKS: usize = 40;
/// Times a way may change while it is being watched before watching is given up.
const MAX_CHANGES: usize = 16;

/// The name of which directory decides whether a path can be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Mark {
    directory: PathBuf,
    name: OsString,
}

/// How far a path can be followed.
#[derive(Debug, PartialEq, Eq)]
struct Way {
    marks: Vec<Mark>,
    arrives: bool,
}

/// A component still to be followed.
enum Step {
    Root,
    Up,
    Into(OsString),
}

fn steps(path: &Path) -> impl DoubleEndedIterator<Item = Step> + '_ {
    path.components().filter_map(|component| match component {
        Component::RootDir => Some(Step::Root),
        Component::ParentDir => Some(Step::Up),
        Component::Normal(name) => Some(Step::Into(name.to_owned())),
        Component::CurDir | Component::Prefix(_) => None,
    })
}

/// Follows a path as the system would.
fn way(path: &Path) -> io::Result<Way> {
    let mut marks = Vec::new();
    let mut at = if path.is_absolute() { PathBuf::from("/") } else { std::env::current_dir()? };
    let mut left: VecDeque<Step> = steps(path).collect();
    let mut links = 0;
    while let Some(step) = left.pop_front() {
        let name = match step {
            Step::Root => {
                at = PathBuf::from("/");
                continue;
            }
            Step::Up => {
                at.pop();
                continue;
            }
            Step::Into(name) => name,
        };
        let there = at.join(&name);
        let mark = Mark { directory: at.clone(), name };
        let found = match std::fs::symlink_metadata(&there) {
            Ok(found) => found,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                marks.push(mark);
                return Ok(Way { marks, arrives: false });
            }
            Err(error) => return Err(error),
        };
        if found.file_type().is_symlink() {
            links += 1;
            if links > MAX_LINKS {
                return Err(io::Error::other("too many symbolic links on the way to the device file"));
            }
            marks.push(mark);
            for step in steps(&std::fs::read_link(&there)?).rev() {
                left.push_front(step);
            }
            continue;
        }
        if left.is_empty() {
            marks.push(mark);
        }
        at = there;
    }
    Ok(Way { marks, arrives: true })
}

/// A watched way.
struct Watched {
    inotify: AsyncFd<OwnedFd>,
    /// The watch number of each mark.
    marks: Vec<(i32, OsString)>,
    arrives: bool,
}

impl Watched {
    /// Watches the way to a path as it is now. Must be called inside a tokio runtime.
    fn new(path: &Path) -> io::Result<Self> {
        let flags = WatchFlags::CREATE
            | WatchFlags::MOVED_TO
            | WatchFlags::MOVED_FROM
            | WatchFlags::DELETE
            | WatchFlags::ATTRIB
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE_SELF
            | WatchFlags::ONLYDIR;
        let mut before = way(path)?;
        for _ in 0..MAX_CHANGES {
            let inotify = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
            let marks: Result<Vec<_>, rustix::io::Errno> = before
                .marks
                .iter()
                .map(|mark| Ok((inotify::add_watch(&inotify, &mark.directory, flags)?, mark.name.clone())))
                .collect();
            let now = way(path)?;
            match marks {
                Ok(marks) if now == before => {
                    // Deprecated for types whose descriptor may change below; an `OwnedFd` keeps its own, and the new
                    // way is unsafe.
                    #[allow(deprecated)]
                    let inotify = AsyncFd::new(inotify)?;
                    return Ok(Self { inotify, marks, arrives: now.arrives });
                }
                // A directory went while it was being watched; otherwise the system refuses, and will again.
                Err(error) if now == before => return Err(error.into()),
                _ => before = now,
            }
        }
        Err(io::Error::other("the way to the device file changes too fast"))
    }

    /// Waits until something happens to a name on the way.
    async fn changed(&self) -> io::Result<()> {
        let mut buffer = [MaybeUninit::<u8>::uninit(); 4096];
        loop {
            let mut ready = self.inotify.readable().await?;
            let mut reader = inotify::Reader::new(self.inotify.get_ref(), &mut buffer);
            loop {
                match reader.next() {
                    Ok(event) => {
                        let name = event.file_name().map(|name| OsStr::from_bytes(name.to_bytes()));
                        let of_all = ReadFlags::DELETE_SELF
                            | ReadFlags::MOVE_SELF
                            | ReadFlags::IGNORED
                            | ReadFlags::QUEUE_OVERFLOW
                            | ReadFlags::UNMOUNT;
                        let on_the_way =
                            self.marks.iter().any(|(wd, mark)| *wd == event.wd() && Some(&**mark) == name);
                        if on_the_way || event.events().intersects(of_all) {
                            return Ok(());
                        }
                    }
                    Err(rustix::io::Errno::AGAIN) => {
                        ready.clear_ready();
                        break;
                    }
                    Err(rustix::io::Errno::INTR) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
    }
}

/// Waits until a path can be reached; at once if it can.
///
/// # Errors
/// When it cannot be watched: then there is only trying again.
pub(crate) async fn appears(path: &Path) -> io::Result<()> {
    loop {
        let watched = Watched::new(path)?;
        if watched.arrives {
            return Ok(());
        }
        watched.changed().await?;
    }
}

/// Waits until something happens to a path: it goes, is made anew, or its rights are changed.
///
/// # Errors
/// As [`appears`].
pub(crate) async fn is_touched(path: &Path) -> io::Result<()> {
    Watched::new(path)?.changed().await
}

/// Whether the way to a path ends before it.
pub(crate) fn is_absent(path: &Path) -> bool {
    matches!(way(path), Ok(Way { arrives: false, .. }))
}

/// What a path leads to, to be told from what it leads to later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    filesystem: u64,
    inode: u64,
    device: u64,
}

/// What a path leads to now.
pub(crate) fn identity(path: &Path) -> io::Result<Identity> {
    use std::os::unix::fs::MetadataExt;
    let found = std::fs::metadata(path)?;
    Ok(Identity { filesystem: found.dev(), inode: found.ino(), device: found.rdev() })
}

/// Waits until a path no longer leads to `was`. Waits for ever where the path cannot be watched: then the hang-up
/// alone tells.
pub(crate) async fn vanishes(path: PathBuf, was: Identity) {
    loop {
        let watched = Watched::new(&path);
        if identity(&path).ok() != Some(was) {
            return;
        }
        let Ok(watched) = watched else {
            return std::future::pending().await;
        };
        if watched.changed().await.is_err() {
            return std::future::pending().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{os::unix::fs::symlink, time::Duration};

    use super::*;

    async fn soon<T>(what: impl Future<Output = T>) -> T {
        tokio::time::timeout(Duration::from_secs(10), what).await.expect("nothing was seen for 10 s")
    }

    #[tokio::test]
    async fn a_file_behind_missing_directories_and_a_symlink_is_seen_when_it_comes() {
        let dir = tempfile::tempdir().unwrap();
        let wanted = dir.path().join("serial/by-id/usb-x");
        let waiting = tokio::spawn({
            let wanted = wanted.clone();
            async move { appears(&wanted).await }
        });
        // Step by step, as udev does: the directories, the link (which leads nowhere yet), the node.
        tokio::task::yield_now().await;
        std::fs::create_dir(dir.path().join("serial")).unwrap();
        tokio::task::yield_now().await;
        std::fs::create_dir(dir.path().join("serial/by-id")).unwrap();
        tokio::task::yield_now().await;
        symlink("../../ttyUSB0", &wanted).unwrap();
        assert!(is_absent(&wanted));
        tokio::task::yield_now().await;
        std::fs::write(dir.path().join("ttyUSB1"), "").unwrap();
        assert!(!waiting.is_finished());
        std::fs::write(dir.path().join("ttyUSB0"), "").unwrap();
        soon(waiting).await.unwrap().unwrap();
        assert!(!is_absent(&wanted));
    }

    #[tokio::test]
    async fn a_dangling_link_that_is_turned_elsewhere_is_followed() {
        let dir = tempfile::tempdir().unwrap();
        let wanted = dir.path().join("printer");
        symlink("old", &wanted).unwrap();
        let mut waiting = std::pin::pin!(appears(&wanted));
        assert!(futures_util::poll!(waiting.as_mut()).is_pending());
        std::fs::write(dir.path().join("new"), "").unwrap();
        std::fs::remove_file(&wanted).unwrap();
        symlink("new", &wanted).unwrap();
        soon(waiting).await.unwrap();
    }

    #[tokio::test]
    async fn a_change_of_rights_wakes_and_a_neighbour_does_not() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let wanted = dir.path().join("node");
        std::fs::write(&wanted, "").unwrap();
        let mut waiting = std::pin::pin!(is_touched(&wanted));
        assert!(futures_util::poll!(waiting.as_mut()).is_pending());
        std::fs::write(dir.path().join("neighbour"), "").unwrap();
        assert!(tokio::time::timeout(Duration::from_millis(100), waiting.as_mut()).await.is_err());
        std::fs::set_permissions(&wanted, std::fs::Permissions::from_mode(0o600)).unwrap();
        soon(waiting).await.unwrap();
    }

    #[tokio::test]
    async fn gone_when_removed_or_when_it_leads_elsewhere_but_not_when_made_again_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("link");
        std::fs::write(dir.path().join("a"), "").unwrap();
        std::fs::write(dir.path().join("b"), "").unwrap();
        symlink("a", &link).unwrap();
        let was = identity(&link).unwrap();
        let mut waiting = std::pin::pin!(vanishes(link.clone(), was));
        assert!(futures_util::poll!(waiting.as_mut()).is_pending());
        symlink("a", dir.path().join("again")).unwrap();
        std::fs::rename(dir.path().join("again"), &link).unwrap();
        assert!(tokio::time::timeout(Duration::from_millis(100), waiting.as_mut()).await.is_err());
        symlink("b", dir.path().join("again")).unwrap();
        std::fs::rename(dir.path().join("again"), &link).unwrap();
        soon(waiting).await;
    }

    #[test]
    fn a_loop_of_links_is_an_error_and_ends() {
        let dir = tempfile::tempdir().unwrap();
        symlink("b", dir.path().join("a")).unwrap();
        symlink("a", dir.path().join("b")).unwrap();
        assert!(way(&dir.path().join("a")).is_err());
    }
}
