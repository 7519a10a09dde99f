//! What a day is made of.

/// A kind of service with its own row of ticket numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Business {
    /// Its name as printed, for instance `社保`.
    pub name: String,
    /// The letter in front of its numbers.
    pub prefix: String,
    /// The number of its first ticket. Rows that do not overlap make typed digits unambiguous in the whole hall.
    pub first: u32,
}

/// A person who works at a window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clerk {
    /// Staff number, two digits or more: signs in on the keypad and punches at the terminal.
    pub number: String,
}

/// A window with its keypad and evaluator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// Its number, as typed for a transfer.
    pub number: u8,
    /// Its keypad's address on the bus.
    pub keypad: u8,
    /// Its evaluator's address on the bus.
    pub evaluator: u8,
    /// Indices into [`Plan::businesses`].
    pub businesses: Vec<usize>,
    /// Index into [`Plan::clerks`].
    pub clerk: usize,
}

/// A day in numbers. All times are milliseconds of the script.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Kinds of service.
    pub businesses: Vec<Business>,
    /// The staff; those at no window only punch.
    pub clerks: Vec<Clerk>,
    /// The windows.
    pub windows: Vec<Window>,
    /// Tickets taken on a usual day, over the whole hall.
    pub tickets: u32,
    /// From the day's start (first punches) to the opening of the hall, which is when the shift starts.
    pub lead: u64,
    /// From the opening until no more tickets are given out.
    pub open: u64,
    /// Mean time of a service.
    pub service: u64,
    /// A rating is given within this time after the invitation, or not at all. Shorter than the window in which the
    /// system under test lets people rate.
    pub rate_within: u64,
}

impl Plan {
    /// The businesses that somebody serves; nobody can take a ticket for another.
    #[must_use]
    pub(super) fn served(&self) -> Vec<usize> {
        let staffed = |window: &&Window| window.clerk < self.clerks.len();
        let by =
            |business: &usize| self.windows.iter().filter(staffed).any(|w| w.businesses.contains(business));
        (0..self.businesses.len()).filter(by).collect()
    }
}

impl Default for Plan {
    /// No windows; 120 tickets between 9:00 and 17:00, punches from 8:50, eight minutes a service.
    fn default() -> Self {
        Self {
            businesses: Vec::new(),
            clerks: Vec::new(),
            windows: Vec::new(),
            tickets: 120,
            lead: 10 * 60_000,
            open: 8 * 3_600_000,
            service: 8 * 60_000,
            rate_within: 6_000,
        }
    }
}
