//! The texts of the wall socket: what a page asks for and the rows it is told.

use std::collections::HashSet;

use control_protocol::{CameraId, channel::StreamState, frame::Tier};
use serde::{Deserialize, Serialize};

use super::Shown;
use crate::{queue::WindowRow, site::problem::Problem, supervision::Alarm};

/// The most tiles of one page.
pub(super) const MAX_TILES: usize = 200;
/// The longest text a page may send.
pub(super) const MAX_TEXT: usize = 64 * 1024;

/// From the page.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    /// The whole set the page watches from now on.
    #[serde(default)]
    pub(super) watch: Option<Vec<AskedTile>>,
    /// Whether window rows are pushed.
    #[serde(default)]
    pub(super) states: Option<bool>,
    /// Whether alarms are pushed.
    #[serde(default)]
    pub(super) alarms: Option<bool>,
}

/// One tile of the set.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AskedTile {
    /// The page's own number for it.
    pub(super) tile: u32,
    /// The camera's id as the page has it; any text, since what is no camera is simply not to be seen.
    pub(super) camera: String,
    /// How much of it.
    pub(super) tier: Tier,
}

impl AskedTile {
    pub(super) fn camera_id(&self) -> Option<CameraId> {
        self.camera.parse().ok()
    }
}

/// Reads a page's text and checks it; the error tells the page what to mend.
pub(super) fn read(text: &str) -> Result<Asked, Problem> {
    let asked: Asked = serde_json::from_str(text)
        .map_err(|error| Problem::bad_request(format!("the text cannot be read: {error}")))?;
    if let Some(tiles) = &asked.watch {
        if tiles.len() > MAX_TILES {
            return Err(Problem::unprocessable(format!(
                "a page watches at most {MAX_TILES} tiles, this asks for {}",
                tiles.len()
            )));
        }
        let mut seen = HashSet::new();
        if let Some(twice) = tiles.iter().find(|tile| !seen.insert(tile.tile)) {
            return Err(Problem::unprocessable(format!("tile {} stands twice in the set", twice.tile)));
        }
    }
    Ok(asked)
}

/// A tile's row, complete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct TileRow {
    pub(super) tile: u32,
    /// `None` where there is nothing to be seen.
    pub(super) stream: Option<u32>,
    pub(super) state: StreamState,
    pub(super) why: Option<String>,
    pub(super) codec: Option<String>,
    pub(super) width: Option<u32>,
    pub(super) height: Option<u32>,
}

impl TileRow {
    pub(super) fn of(tile: u32, stream: u32, shown: &Shown) -> Self {
        let description = shown.description.as_ref();
        Self {
            tile,
            stream: Some(stream),
            state: shown.state,
            why: shown.why.clone(),
            codec: description.map(|d| d.codec.clone()),
            width: description.map(|d| d.width),
            height: description.map(|d| d.height),
        }
    }

    pub(super) fn forbidden(tile: u32, why: String) -> Self {
        Self {
            tile,
            stream: None,
            state: StreamState::Forbidden,
            why: Some(why),
            codec: None,
            width: None,
            height: None,
        }
    }
}

/// Frames a slow page skipped.
#[derive(Debug, Clone, Serialize)]
pub(super) struct MissedRow {
    pub(super) stream: u32,
    pub(super) frames: u64,
}

/// To the page.
#[derive(Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Told {
    Streams(Vec<TileRow>),
    Missed(Vec<MissedRow>),
    Windows(Vec<WindowRow>),
    Alarms(Vec<Alarm>),
    Error(Problem),
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn texts_are_as_the_contract_has_them() {
        let asked =
            read(r#"{"watch":[{"tile":1,"camera":"450103-01-W07-C1","tier":"key"}],"states":true}"#).unwrap();
        assert_eq!(asked.watch.unwrap()[0].tier, Tier::Key);
        let shown = Shown {
            state: StreamState::Live,
            why: None,
            description: Some(control_protocol::channel::StreamDescription {
                codec: "avc1.4d401f".into(),
                width: 1280,
                height: 720,
                note: None,
            }),
        };
        let told = Told::Streams(vec![TileRow::of(1, 7, &shown)]);
        assert_eq!(
            serde_json::to_value(&told).unwrap(),
            json!({"streams": [{"tile": 1, "stream": 7, "state": "live", "why": null, "codec": "avc1.4d401f", "width": 1280, "height": 720}]})
        );
        let missed = Told::Missed(vec![MissedRow { stream: 7, frames: 12 }]);
        assert_eq!(serde_json::to_value(&missed).unwrap(), json!({"missed": [{"stream": 7, "frames": 12}]}));
    }

    #[test]
    fn what_is_wrong_with_a_set_is_told() {
        let tile = |n: usize| json!({"tile": n, "camera": "c", "tier": "sub"});
        let set = |tiles: Vec<_>| json!({"watch": tiles}).to_string();
        assert!(read(&set((0..MAX_TILES).map(tile).collect())).is_ok());
        assert_eq!(read(&set((0..=MAX_TILES).map(tile).collect())).unwrap_err().status, 422);
        assert_eq!(read(&set(vec![tile(1), tile(1)])).unwrap_err().status, 422);
        for text in [
            "",
            "{\"watch\":1}",
            "{\"watcc\":[]}",
            "{\"watch\":[{\"tile\":1,\"camera\":\"c\",\"tier\":\"huge\"}]}",
        ] {
            assert_eq!(read(text).unwrap_err().status, 400, "{text}");
        }
    }
}
