//! Tickets of ours: a number from the queue, on record, then on paper. It owns the way from a wish to a slip and knows what
//! became of each; numbers are given by the case session, paper is the printer's driver's.
//!
//! What cannot be printed is not given: a printer that says that it is out of paper refuses before there is a number. What
//! stops afterwards leaves the number valid, says so, and can be printed again.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use control_protocol::{CaseId, PositionId, UtcMillis};
use device_drivers::ticket::{NotPrinted, PaperWidth, Printed, PrinterHandle, TicketSlip};
use jiff::tz::TimeZone;
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use super::{DeviceHealth, Role, Switchboard};
use crate::config::Config;

/// Wishes that may wait for the register.
const WISHES: usize = 16;
/// How long a number may take to be on record.
const RECORD: Duration = Duration::from_secs(10);
/// How long a slip waits for a printer that was well a moment ago.
const PATIENCE: Duration = Duration::from_secs(3);
/// Tickets that can be printed again.
const REMEMBERED: usize = 200;

/// A ticket printer of ours, as the agent reaches it.
#[derive(Debug, Clone)]
pub struct Printer {
    /// Its place.
    pub position: PositionId,
    /// The way to it.
    pub handle: PrinterHandle,
    /// Its roll.
    pub paper: PaperWidth,
    /// The last line of its tickets.
    pub note: String,
}

/// Somebody wants a ticket.
#[derive(Debug)]
pub struct Wish {
    /// The business.
    pub business: String,
    /// The printer that it is to come from.
    pub printer: PositionId,
    /// Who is to hear of it; none where the business is unknown.
    pub reply: oneshot::Sender<Option<Issued>>,
}

/// A ticket that is on record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    /// Its case.
    pub case: CaseId,
    /// Its number.
    pub ticket: String,
    /// Its business.
    pub business: String,
    /// People of this business who waited then.
    pub waiting: u32,
    /// When it was given.
    pub at: UtcMillis,
}

/// A ticket and what became of its slip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// The ticket.
    pub issued: Issued,
    /// The printer.
    pub printer: PositionId,
    /// Its slip.
    pub printed: Result<Printed, NotPrinted>,
}

/// Why there is no ticket.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoTicket {
    /// Somebody else's machine gives the numbers here.
    #[error("tickets are given by the machine at {0}")]
    OtherMachine(String),
    /// There is no printer of ours, or not this one.
    #[error("this hall has no such ticket printer")]
    NoPrinter,
    /// The printer cannot print now.
    #[error("the ticket printer {printer} cannot print: {why}")]
    Printer {
        /// Which.
        printer: PositionId,
        /// A word for programs: `paper_out cover_open … down`.
        code: &'static str,
        /// Why, in plain words.
        why: String,
    },
    /// The business is none of this hall's.
    #[error("this hall has no business {0}")]
    NoBusiness(String),
    /// The number is not on record in time.
    #[error("the number could not be put on record in time: try again")]
    NotRecorded,
    /// The case is none that was given lately.
    #[error("no ticket of this case was given lately")]
    Unknown,
}

/// A printer as people who take tickets see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ready {
    /// Its place.
    pub printer: PositionId,
    /// Why it cannot print: a word for programs, and plain words.
    pub trouble: Option<(&'static str, String)>,
}

struct Inner {
    board: Switchboard,
    wishes: mpsc::Sender<Wish>,
    hall: String,
    zone: TimeZone,
    businesses: Vec<String>,
    given: Mutex<VecDeque<(PositionId, Issued)>>,
}

/// The ticket desk. Clones are the same desk.
#[derive(Clone)]
pub struct Tickets(Arc<Inner>);

impl Tickets {
    /// A desk, and what the register has to answer.
    pub fn new(config: &Config, board: Switchboard) -> (Self, mpsc::Receiver<Wish>) {
        let (wishes, asked) = mpsc::channel(WISHES);
        let inner = Inner {
            board,
            wishes,
            hall: config.hall.name.clone(),
            zone: config.hall.time_zone.clone(),
            businesses: config.businesses.iter().map(|b| b.name.clone()).collect(),
            given: Mutex::default(),
        };
        (Self(Arc::new(inner)), asked)
    }

    fn given(&self) -> MutexGuard<'_, VecDeque<(PositionId, Issued)>> {
        self.0.given.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The hall's name.
    pub fn hall(&self) -> &str {
        &self.0.hall
    }

    /// What tickets can be taken for.
    pub fn businesses(&self) -> &[String] {
        &self.0.businesses
    }

    /// The printers, by place.
    pub fn printers(&self) -> Vec<Ready> {
        let trouble = |p: &Printer| Ready { printer: p.position.clone(), trouble: self.trouble(p) };
        self.0.board.printers().iter().map(trouble).collect()
    }

    /// Why a printer cannot print now.
    fn trouble(&self, printer: &Printer) -> Option<(&'static str, String)> {
        if let Some(trouble) = printer.handle.status().trouble() {
            return Some((trouble.name(), trouble.to_string()));
        }
        let presence = self.0.board.presence();
        let (_, presence) = presence.get(printer.position.as_str())?;
        match presence.health {
            Some(DeviceHealth::Down) => Some(("down", presence.why.clone().unwrap_or_default())),
            None => Some(("down", "it has not been reached yet".into())),
            _ => None,
        }
    }

    fn printer(&self, wanted: Option<&str>) -> Result<Printer, NoTicket> {
        if let Some((machine, _)) =
            self.0.board.presence().into_iter().find(|(_, (place, _))| place.role == Role::Ticket)
        {
            return Err(NoTicket::OtherMachine(machine));
        }
        let mut printers = self.0.board.printers();
        printers.retain(|p| wanted.is_none_or(|wanted| p.position.as_str() == wanted));
        let ready = printers.iter().find(|p| self.trouble(p).is_none());
        if let Some(ready) = ready {
            return Ok(ready.clone());
        }
        let printer = printers.into_iter().next().ok_or(NoTicket::NoPrinter)?;
        let (code, why) = self.trouble(&printer).unwrap_or(("down", String::new()));
        Err(NoTicket::Printer { printer: printer.position, code, why })
    }

    /// Gives a ticket for a business, printed by this printer or by any that can.
    ///
    /// # Errors
    /// Why there is none; then nothing is on record, but after [`NoTicket::NotRecorded`], which does not know.
    pub async fn take(&self, business: &str, printer: Option<&str>) -> Result<Given, NoTicket> {
        if !self.0.businesses.iter().any(|known| known == business) {
            return Err(NoTicket::NoBusiness(business.to_owned()));
        }
        let printer = self.printer(printer)?;
        let (reply, answer) = oneshot::channel();
        let wish = Wish { business: business.to_owned(), printer: printer.position.clone(), reply };
        self.0.wishes.try_send(wish).map_err(|_| NoTicket::NotRecorded)?;
        let answer = timeout(RECORD, answer).await.ok().and_then(Result::ok).ok_or(NoTicket::NotRecorded)?;
        let issued = answer.ok_or_else(|| NoTicket::NoBusiness(business.to_owned()))?;
        {
            let mut given = self.given();
            if given.len() >= REMEMBERED {
                given.pop_front();
            }
            given.push_back((printer.position.clone(), issued.clone()));
        }
        Ok(self.print(printer, issued).await)
    }

    /// Prints a ticket again whose slip was lost.
    ///
    /// # Errors
    /// It was not given lately, or its printer cannot print.
    pub async fn print_again(&self, case: CaseId) -> Result<Given, NoTicket> {
        let found = self.given().iter().find(|(_, issued)| issued.case == case).cloned();
        let (position, issued) = found.ok_or(NoTicket::Unknown)?;
        let printer = self.printer(Some(position.as_str()))?;
        Ok(self.print(printer, issued).await)
    }

    async fn print(&self, printer: Printer, issued: Issued) -> Given {
        let slip = TicketSlip {
            hall: self.0.hall.clone(),
            number: issued.ticket.clone(),
            business: issued.business.clone(),
            waiting: issued.waiting,
            at: issued.at.timestamp().to_zoned(self.0.zone.clone()).datetime(),
            case: issued.case.to_string(),
            note: printer.note.clone(),
        };
        let printed = printer.handle.print(slip.printout(printer.paper), PATIENCE).await;
        if let Err(error) = &printed {
            tracing::warn!(printer = %printer.position, case = %issued.case, "a ticket was not printed: {error}");
        }
        Given { issued, printer: printer.position, printed }
    }
}
