//! The tree: areas, halls, windows, staff and businesses, which the centre owns; and the cameras and positions of each
//! hall, which the edges own and this room mirrors from their journals. Its rules keep the tree a tree.

mod cameras;
mod edit;
pub mod import;
mod mirror;
mod nodes;
mod routes;
pub mod tree;

pub use cameras::{CameraRow, CamerasAsked, camera_place, camera_rows};
pub use mirror::project;

use crate::Centre;
use utoipa_axum::router::OpenApiRouter;

/// This room's routes.
pub fn routes() -> OpenApiRouter<Centre> {
    routes::routes().merge(cameras::routes()).merge(edit::routes()).merge(nodes::routes())
}
