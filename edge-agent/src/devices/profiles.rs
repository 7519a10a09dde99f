//! Which profiles there are in this hall: those that come with the program, and those of its own folder.

use std::path::Path;

use device_drivers::profile::{ProfileError, shipped::Library};

/// The profiles of the program and of `profiles` in the data folder, with those of the folder that are refused: each by its
/// file, its line and what is wrong, of a failed test the bytes. Blocks on the disk.
///
/// # Errors
/// A profile of the program itself is wrong: a fault of the build.
pub fn load(data: &Path) -> Result<(Library, Vec<ProfileError>), ProfileError> {
    let mut library = Library::shipped()?;
    let refused = library.add_folder(&data.join("profiles"));
    Ok((library, refused))
}
