//! The tree: areas, halls, windows, staff and businesses, which the centre owns; and the cameras and positions of each
//! hall, which the edges own and this room mirrors from their journals. Its rules keep the tree a tree.

mod authority;
mod cameras;
mod edit;
pub mod import;
mod mirror;
mod nodes;
mod pairing;
mod routes;
mod staff;
pub mod tree;
mod trouble;
mod zone;

pub(crate) use cameras::positions_of_hall;
pub use cameras::{
    CameraRow, CamerasAsked, PositionRow, camera_place, camera_rows, cameras_now, cameras_of_window,
    position_rows,
};
pub use mirror::{attendance_positions, device_clocks, project};
pub use nodes::{NodeRow, last_heard, node_rows, nodes_now};
pub(crate) use routes::{Found, HallRow, find};
pub use staff::{Clerk, staff_of};
pub use tree::{hall_name, windows_of};
pub use trouble::{DeviceTrouble, devices_in_trouble};
pub use zone::{put_zone, zone_name, zone_named};

use crate::Centre;
use utoipa_axum::router::OpenApiRouter;

/// This room's routes.
pub fn routes() -> OpenApiRouter<Centre> {
    routes::routes()
        .merge(authority::routes())
        .merge(cameras::routes())
        .merge(edit::routes())
        .merge(nodes::routes())
        .merge(pairing::routes())
        .merge(staff::routes())
}
