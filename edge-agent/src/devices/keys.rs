//! What a key with the digits before it means in this hall (docs/reference/devices.md B2.1: the same bytes mean
//! different things in different halls, so the table is configuration).

use device_drivers::reading::Key;

use crate::{
    cases::Press,
    config::{Function, Keys},
};

/// The press that a key stands for; `None` where it has no meaning here.
pub fn press(keys: &Keys, digits: &str, key: Key) -> Option<Press> {
    match key {
        Key::Call if digits.is_empty() => Some(Press::CallNext),
        Key::Call => Some(Press::CallNumber(digits.to_owned())),
        Key::Recall => Some(Press::Recall),
        Key::Start if digits.is_empty() => Some(Press::Start),
        Key::Start | Key::Transfer => digits.parse().ok().map(Press::Transfer),
        Key::Evaluate => Some(Press::Evaluate),
        Key::Pause => Some(Press::Pause),
        Key::Function if digits.len() >= keys.sign_in_digits => Some(Press::SignIn(digits.to_owned())),
        Key::Function => {
            let function = digits.parse().ok().and_then(|digit: u8| keys.function.get(&digit))?;
            Some(match function {
                Function::Hold => Press::Hold,
                Function::CallBack => Press::CallBack,
                Function::SignOut => Press::SignOut,
                Function::NoShow => Press::NoShow,
                Function::Pause => Press::Pause,
            })
        }
        Key::Cancel | Key::Metre | Key::Unknown(_) => None,
    }
}
