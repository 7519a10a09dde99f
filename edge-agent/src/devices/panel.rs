//! What can be shown and spoken at a window: from what was decided to orders for keypad, evaluator, displays and voices.
//!
//! Never waits: an order that a line cannot take now is dropped. A display is no record, and a call is not held up by it.

use std::{sync::Arc, time::Duration};

use control_protocol::Happening;
use device_drivers::profile::{Arg, Args, Order, Profile, Purpose};
use tokio::{sync::mpsc, time::Instant};

use crate::connection::Role;

/// A call that has not been spoken or shown by then is over: whoever was meant has gone there or has gone.
const FRESH: Duration = Duration::from_secs(30);
/// What a window's display says while the window is closed for a while.
const PAUSED: &str = "暂停服务";
/// What leaves a display dark: displays differ in what they do with no text at all.
const NOTHING: &str = " ";
/// What is shown for a call unless the device has a text of its own.
const CALL: &str = "请{ticket}号到{window}号窗口";
/// The most that a keypad can show.
const MOST_WAITING: usize = 999;

/// A device that can be told something.
#[derive(Debug, Clone)]
pub struct Wire {
    /// Where its line takes orders.
    pub(crate) orders: mpsc::Sender<Order>,
    /// How it is spoken to.
    pub(crate) profile: Arc<Profile>,
    /// Its address on the line.
    pub(crate) address: Option<u8>,
    /// What is said for a call, with `{ticket}` and `{window}`; none: the usual.
    pub(crate) text: Option<String>,
    /// Values that are the same each time.
    pub(crate) values: Args,
}

impl Wire {
    /// Whether a device of this profile can show a call.
    pub(crate) fn shows(profile: &Profile) -> bool {
        [Purpose::ShowText, Purpose::ShowTicket].into_iter().any(|p| profile.command_for(p).is_some())
    }

    /// Whether a device of this profile can speak one.
    pub(crate) fn speaks(profile: &Profile) -> bool {
        profile.command_for(Purpose::Speak).is_some()
    }

    /// Orders the command for this purpose; whether its profile has one and its line took the order.
    pub(crate) fn order(&self, purpose: Purpose, value: Option<(&str, Arg)>) -> bool {
        if self.profile.command_for(purpose).is_none() {
            return false;
        }
        let mut order = Order::purpose(purpose).of(self.profile.name()).before(Instant::now() + FRESH);
        order.args.clone_from(&self.values);
        if let Some(address) = self.address {
            order = order.to(address);
        }
        if let Some((name, value)) = value {
            order = order.with(name, value);
        }
        self.orders.try_send(order).is_ok()
    }

    fn call_text(&self, ticket: &str, window: u16) -> String {
        let text = self.text.as_deref().unwrap_or(CALL);
        text.replace("{ticket}", ticket).replace("{window}", &window.to_string())
    }

    /// The digits at the ticket's end, and how many wait.
    fn show_numbers(&self, call: &Call<'_>) {
        let digits: String = call.ticket.chars().filter(char::is_ascii_digit).collect();
        if let Ok(n) = digits[digits.len().saturating_sub(3)..].parse::<u64>() {
            self.order(Purpose::ShowTicket, Some(("n", n.into())));
        }
        let waiting = call.waiting.min(MOST_WAITING) as u64;
        self.order(Purpose::ShowWaiting, Some(("n", waiting.into())));
    }

    fn show(&self, call: &Call<'_>) {
        if self.profile.command_for(Purpose::ShowText).is_some() {
            self.show_text(&self.call_text(call.ticket, call.window));
        } else {
            self.show_numbers(call);
        }
    }

    fn show_text(&self, text: &str) {
        self.order(Purpose::ShowText, Some(("text", text.into())));
    }

    fn speak(&self, call: &Call<'_>) {
        // The ticket's characters apart, so that 001 is not spoken as a number (docs/reference/devices.md B2.4).
        let apart: Vec<String> = call.ticket.chars().map(String::from).collect();
        let text = self.call_text(&apart.join(" "), call.window);
        self.order(Purpose::Speak, Some(("text", text.as_str().into())));
    }
}

struct Call<'a> {
    ticket: &'a str,
    window: u16,
    waiting: usize,
}

/// What stands at a window and can be told something; or, for the hall at large, what every window's calls are told to.
#[derive(Debug, Default, Clone)]
pub struct Panel {
    pub(crate) keypad: Option<Wire>,
    pub(crate) evaluator: Option<Wire>,
    pub(crate) display: Option<Wire>,
    pub(crate) voice: Option<Wire>,
}

impl Panel {
    /// Takes a device in; of two of one role the last stands.
    pub(super) fn put(&mut self, role: Role, wire: Wire) {
        match role {
            Role::Keypad => self.keypad = Some(wire),
            Role::Evaluator => self.evaluator = Some(wire),
            Role::Display => self.display = Some(wire),
            Role::Voice => self.voice = Some(wire),
            // They are told nothing.
            Role::Ticket | Role::Printer | Role::Attendance | Role::Modem | Role::Camera | Role::Sensor => {}
        }
    }

    /// Tells the devices what has been decided at window number `window`, for which `waiting` people wait.
    pub(crate) fn tell(&self, happening: &Happening, window: u16, waiting: usize) {
        match happening {
            Happening::RatingInvited { .. } => {
                if let Some(evaluator) = &self.evaluator {
                    evaluator.order(Purpose::Invite, None);
                }
            }
            Happening::TicketCalled { ticket, .. }
            | Happening::TicketResumed { ticket }
            | Happening::TicketRecalled { ticket, .. } => {
                let call = Call { ticket, window, waiting };
                if let Some(keypad) = &self.keypad {
                    keypad.show_numbers(&call);
                }
                if let Some(display) = &self.display {
                    display.show(&call);
                }
                if let Some(voice) = &self.voice {
                    voice.speak(&call);
                }
            }
            Happening::WindowPaused { .. } => self.display_text(PAUSED),
            Happening::WindowOpened {} | Happening::WindowResumed {} | Happening::WindowClosed {} => {
                self.display_text(NOTHING);
            }
            _ => {}
        }
    }

    fn display_text(&self, text: &str) {
        if let Some(display) = &self.display {
            display.show_text(text);
        }
    }

    /// What every window's calls are told to, as well: only calls, since a pause of one window is not the hall's.
    pub(crate) fn tell_hall(&self, happening: &Happening, window: u16, waiting: usize) {
        let called = matches!(
            happening,
            Happening::TicketCalled { .. }
                | Happening::TicketResumed { .. }
                | Happening::TicketRecalled { .. }
        );
        if called {
            self.tell(happening, window, waiting);
        }
    }
}
