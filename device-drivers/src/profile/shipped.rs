//! The profiles that come with the program, and those of a hall's own folder.

use std::{collections::BTreeMap, io, path::Path, sync::Arc};

use super::{MAX_FILE, Profile, ProfileError};

/// Name and text of every shipped profile.
pub const SHIPPED: [(&str, &str); 9] = [
    ("ff68-counter-bus.toml", include_str!("../../profiles/ff68-counter-bus.toml")),
    ("led-strip-colour.toml", include_str!("../../profiles/led-strip-colour.toml")),
    ("led-strip-mono.toml", include_str!("../../profiles/led-strip-mono.toml")),
    ("syn6288-voice.toml", include_str!("../../profiles/syn6288-voice.toml")),
    ("dwin-dgus.toml", include_str!("../../profiles/dwin-dgus.toml")),
    ("dwin-dgus-crc.toml", include_str!("../../profiles/dwin-dgus-crc.toml")),
    ("cp5200-led.toml", include_str!("../../profiles/cp5200-led.toml")),
    ("usb-boot-keyboard-evaluator.toml", include_str!("../../profiles/usb-boot-keyboard-evaluator.toml")),
    ("modbus-rtu.toml", include_str!("../../profiles/modbus-rtu.toml")),
];

/// Most files taken from a hall's folder.
const MOST_FILES: usize = 200;

/// Profiles by name.
#[derive(Clone, Debug, Default)]
pub struct Library {
    profiles: BTreeMap<String, Arc<Profile>>,
}

impl Library {
    /// The shipped profiles, each with its tests passed.
    ///
    /// # Errors
    /// A shipped profile that is wrong: a fault of the build.
    pub fn shipped() -> Result<Self, ProfileError> {
        let mut library = Self::default();
        for (origin, text) in SHIPPED {
            library.add(Profile::parse(origin, text)?);
        }
        Ok(library)
    }

    /// One shipped profile.
    ///
    /// # Errors
    /// A name that is not shipped, or a profile that is wrong.
    pub fn one_shipped(name: &str) -> Result<Profile, ProfileError> {
        let found = SHIPPED.iter().find(|(file, _)| file.strip_suffix(".toml") == Some(name));
        match found {
            Some((origin, text)) => Profile::parse(origin, text),
            None => Err(ProfileError {
                origin: name.to_owned(),
                line: None,
                what: "no profile of this name is shipped".to_owned(),
            }),
        }
    }

    /// Takes a profile; one of the same name is replaced.
    pub fn add(&mut self, profile: Profile) {
        self.profiles.insert(profile.name().to_owned(), Arc::new(profile));
    }

    /// Takes every `*.toml` of a folder, in the order of their names; a hall's own profile replaces a shipped one of its
    /// name. What is refused is given back and the rest is taken. A folder that is not there is empty. Blocks on the disk.
    pub fn add_folder(&mut self, folder: &Path) -> Vec<ProfileError> {
        let wrong =
            |path: &Path, what: String| ProfileError { origin: path.display().to_string(), line: None, what };
        let mut files = match std::fs::read_dir(folder) {
            Ok(entries) => entries.flatten().map(|entry| entry.path()).collect::<Vec<_>>(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Vec::new(),
            Err(error) => return vec![wrong(folder, error.to_string())],
        };
        files.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
        files.sort();
        let mut refused = Vec::new();
        if files.len() > MOST_FILES {
            refused.push(wrong(folder, format!("more than {MOST_FILES} profiles; the rest is passed over")));
            files.truncate(MOST_FILES);
        }
        for path in files {
            match read(&path).and_then(|text| Profile::parse(&path.display().to_string(), &text)) {
                Ok(profile) => self.add(profile),
                Err(error) => refused.push(error),
            }
        }
        refused
    }

    /// The profile of this name.
    pub fn get(&self, name: &str) -> Option<Arc<Profile>> {
        self.profiles.get(name).cloned()
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Profile>> {
        self.profiles.values()
    }
}

/// Reads a profile's file. Blocks on the disk.
///
/// # Errors
/// A file that cannot be read, is too large, or is not text.
pub fn read(path: &Path) -> Result<String, ProfileError> {
    let wrong = |what: String| ProfileError { origin: path.display().to_string(), line: None, what };
    let size = std::fs::metadata(path).map_err(|error| wrong(error.to_string()))?.len();
    if size > MAX_FILE as u64 {
        return Err(wrong(format!("{size} bytes are too many for a profile; at most {MAX_FILE}")));
    }
    std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every vector of docs/reference/devices.md B2.1 to B2.4 and C.1 stands in a shipped profile and names its section.
    #[test]
    fn every_shipped_profile_passes_its_tests() {
        let mut tests = 0;
        for (file, text) in SHIPPED {
            let profile = Profile::parse(file, text).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(file, format!("{}.toml", profile.name()));
            assert!(profile.tests() >= 2, "{file}");
            tests += profile.tests();
        }
        assert_eq!(Library::shipped().unwrap().iter().count(), SHIPPED.len());
        println!("{tests} tests in {} profiles", SHIPPED.len());
    }

    #[test]
    fn a_halls_own_profile_replaces_a_shipped_one_and_a_wrong_one_costs_only_itself() {
        let folder = tempfile::tempdir().unwrap();
        let (_, text) = SHIPPED[0];
        let own = text.replace("max = 23", "max = 40").replace("title = \"FF", "title = \"own FF");
        std::fs::write(folder.path().join("a.toml"), own).unwrap();
        std::fs::write(folder.path().join("b.toml"), text.replace("17 16\"\nexpect", "18 16\"\nexpect"))
            .unwrap();
        std::fs::write(folder.path().join("notes.txt"), "no profile").unwrap();
        let mut library = Library::shipped().unwrap();
        let refused = library.add_folder(folder.path());
        assert_eq!(refused.len(), 1);
        let error = refused[0].to_string();
        let line = text[..text.find("title = \"B2.1 evaluator: grade 3, form A\"").unwrap()].lines().count();
        assert!(error.contains(&format!("b.toml:{line}: this test of the profile fails")), "{error}");
        assert!(error.contains("FF 68 03 03 68 03 11 03 18 16 is refused: checksum"), "{error}");
        assert!(library.get("ff68-counter-bus").unwrap().title().starts_with("own"));
        assert!(library.add_folder(&folder.path().join("none")).is_empty());
    }
}
