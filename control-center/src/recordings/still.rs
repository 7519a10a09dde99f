//! A picture of a moment out of a hall's footage, whole.

use std::pin::pin;

use bytes::{Bytes, BytesMut};
use control_protocol::{
    CameraId, HallId, UtcMillis,
    footage::{FootageAnswer, FootageAsk, StillFile},
};
use futures_util::StreamExt;

use super::micros;
use crate::{Centre, nodes::NotDelivered};

/// No still is larger.
const LARGEST: u64 = 4 * 1024 * 1024;

/// Why there is no still.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoStill {
    /// The hall did not answer.
    #[error("{0}")]
    Away(#[from] NotDelivered),
    /// It has none.
    #[error("{0}")]
    None(String),
    /// It broke off, or what it sent is none.
    #[error("{0}")]
    Broken(String),
}

/// The key frame of a camera at a time, or the last before it, as JPEG.
pub(crate) async fn still_of(
    centre: &Centre,
    hall: &HallId,
    camera: &CameraId,
    at: UtcMillis,
) -> Result<(StillFile, Bytes), NoStill> {
    let ask = FootageAsk::Still { camera: camera.clone(), at_us: micros(at) };
    let delivery = centre.nodes.footage(hall, ask).await?;
    let file = match &delivery.answer {
        FootageAnswer::Still(file) if file.bytes <= LARGEST => file.clone(),
        FootageAnswer::Nothing { why, .. } => return Err(NoStill::None(why.clone())),
        _ => return Err(NoStill::Broken("the hall's answer is not one to what was asked".to_owned())),
    };
    let mut bytes = BytesMut::new();
    let mut parts = pin!(delivery.bytes(0..file.bytes));
    while let Some(part) = parts.next().await {
        bytes.extend_from_slice(&part.map_err(|error| NoStill::Broken(error.to_string()))?);
    }
    Ok((file, bytes.freeze()))
}
