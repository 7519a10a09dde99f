//! What the owner of a line asks to be said on it: a command of a profile with its values.

use tokio::time::Instant;

use super::{Arg, Args, Purpose};

/// An order to a device on a line that speaks by profiles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// The profile whose command it is; `None` = the line's first.
    pub profile: Option<String>,
    /// Which command.
    pub what: What,
    /// Its values; `address` is that of the device.
    pub args: Args,
    /// What is not said by then is not said at all; `None` = it keeps.
    pub until: Option<Instant>,
}

/// A command by its name or by what it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// By name.
    Command(String),
    /// By purpose: the first command for it in the profile.
    Purpose(Purpose),
}

impl Order {
    /// The command of this name.
    pub fn command(name: &str) -> Self {
        Self { profile: None, what: What::Command(name.to_owned()), args: Args::new(), until: None }
    }

    /// The command for this purpose.
    pub fn purpose(purpose: Purpose) -> Self {
        Self { profile: None, what: What::Purpose(purpose), args: Args::new(), until: None }
    }

    /// Of this profile, on a line that several share.
    pub fn of(mut self, profile: &str) -> Self {
        self.profile = Some(profile.to_owned());
        self
    }

    /// To the device with this address.
    pub fn to(self, address: u8) -> Self {
        self.with("address", u64::from(address))
    }

    /// With this value.
    pub fn with(mut self, name: &str, value: impl Into<Arg>) -> Self {
        self.args.insert(name.to_owned(), value.into());
        self
    }

    /// To be said before this moment or not at all: a call that is spoken late calls the wrong person.
    pub fn before(mut self, moment: Instant) -> Self {
        self.until = Some(moment);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::shipped::Library;

    #[test]
    fn the_shipped_profiles_show_and_speak_a_call() {
        let library = Library::shipped().unwrap();
        let text = "请A001号到3号窗口";
        for (profile, purpose) in [
            ("led-strip-colour", Purpose::ShowText),
            ("led-strip-mono", Purpose::ShowText),
            ("syn6288-voice", Purpose::Speak),
            ("dwin-dgus", Purpose::ShowText),
            ("cp5200-led", Purpose::ShowText),
        ] {
            let profile = library.get(profile).unwrap();
            let command = profile.command_for(purpose).unwrap();
            let order = Order::purpose(purpose).to(3).with("text", text);
            let bytes = profile.encode(&command.name, &order.args).unwrap();
            assert!(bytes.len() > 20, "{}", profile.name());
        }
    }
}
