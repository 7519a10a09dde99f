//! What a centre is started with: command line first, then an optional TOML file, then defaults.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use crate::recordings::{copy::USUAL_AT_ONCE, kept::Limits};

/// How a centre runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The data folder: database, authority, addresses.
    pub data: PathBuf,
    /// Where people reach it, HTTPS.
    pub listen: SocketAddr,
    /// Where nodes reach it, mutual TLS.
    pub nodes_listen: SocketAddr,
    /// The names and addresses in its certificates.
    pub site_names: Vec<String>,
    /// A file to import at the first start, when there is no area yet.
    pub import: Option<PathBuf>,
    /// How much footage it keeps itself.
    pub keep: Limits,
    /// Viewing copies made at once.
    pub copies_at_once: usize,
}

/// The same as a file; every key may be left out, an unknown one is refused.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConfigFile {
    /// The data folder.
    pub data: Option<PathBuf>,
    /// Where people reach the centre.
    pub listen: Option<SocketAddr>,
    /// Where nodes reach the centre.
    pub nodes_listen: Option<SocketAddr>,
    /// The names and addresses in the centre's certificates.
    pub site_names: Vec<String>,
    /// A file to import at the first start.
    pub import: Option<PathBuf>,
    /// Days that stills and clips are kept at the centre.
    pub keep_footage_days: Option<u32>,
    /// Bytes of clips that are kept at the centre.
    pub keep_clip_bytes: Option<u64>,
    /// Bytes of stills that are kept at the centre.
    pub keep_still_bytes: Option<u64>,
    /// Viewing copies made at once.
    pub copies_at_once: Option<usize>,
}

impl ConfigFile {
    /// Reads a file. The error names the key that is wrong.
    pub fn read(file: &Path) -> anyhow::Result<Self> {
        use anyhow::Context;
        let text = std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
        toml::from_str(&text).with_context(|| format!("in {}", file.display()))
    }

    /// This file's settings, with `over` (the command line) before them and the defaults behind.
    pub fn under(self, over: Self) -> Config {
        let mut site_names = if over.site_names.is_empty() { self.site_names } else { over.site_names };
        if site_names.is_empty() {
            site_names = vec!["localhost".into(), "127.0.0.1".into()];
        }
        let usual = Limits::default();
        Config {
            data: over.data.or(self.data).unwrap_or_else(|| "/var/lib/hallwatch-centre".into()),
            listen: over.listen.or(self.listen).unwrap_or(SocketAddr::from(([0, 0, 0, 0], 8443))),
            nodes_listen: over
                .nodes_listen
                .or(self.nodes_listen)
                .unwrap_or(SocketAddr::from(([0, 0, 0, 0], 9443))),
            site_names,
            import: over.import.or(self.import),
            copies_at_once: over.copies_at_once.or(self.copies_at_once).unwrap_or(USUAL_AT_ONCE),
            keep: Limits {
                days: over.keep_footage_days.or(self.keep_footage_days).unwrap_or(usual.days),
                clip_bytes: over.keep_clip_bytes.or(self.keep_clip_bytes).unwrap_or(usual.clip_bytes),
                still_bytes: over.keep_still_bytes.or(self.keep_still_bytes).unwrap_or(usual.still_bytes),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_goes_before_the_file() {
        let file: ConfigFile = toml::from_str("listen = \"127.0.0.1:1\"\nsite_names = [\"a\"]").unwrap();
        let over =
            ConfigFile { listen: Some(SocketAddr::from(([127, 0, 0, 1], 2))), ..ConfigFile::default() };
        let config = file.under(over);
        assert_eq!(config.listen.port(), 2);
        assert_eq!(config.nodes_listen.port(), 9443);
        assert_eq!(config.site_names, ["a"]);
        assert_eq!(config.keep, Limits::default());
        let file: ConfigFile = toml::from_str("keep_footage_days = 7\nkeep_clip_bytes = 5000000").unwrap();
        let kept = file.under(ConfigFile::default()).keep;
        assert_eq!(kept, Limits { days: 7, clip_bytes: 5_000_000, ..Limits::default() });
        assert!(toml::from_str::<ConfigFile>("lisen = 1").is_err());
    }
}
