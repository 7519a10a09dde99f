//! A bound device shows itself in its test: a slip is printed, a text is shown or spoken, a light blinks. Nothing of it is a case's,
//! and it says that it is a test.

use std::time::Duration;

use control_protocol::PositionId;
use device_drivers::{
    attendance::zk::TerminalAddress,
    profile::{Arg, Purpose},
    ticket::TicketSlip,
};
use serde_json::{Value, json};

use super::mine;
use crate::{
    devices::{Connection, Role, Wire},
    pairing::{Pairing, Who, positions::Position, problem::Problem, visit::Step},
};

/// How long a test slip waits for its printer.
const PATIENCE: Duration = Duration::from_secs(8);
/// What a display shows and a voice speaks.
const TEST: &str = "设备测试";
/// The number on a test slip.
const NUMBER: &str = "测试";
/// The last line of a test slip.
const NOTE: &str = "设备测试，不作叫号使用";

/// How a device at its place can show itself.
pub(in crate::pairing) fn showings(position: &Position) -> &'static [&'static str] {
    let Some(binding) = &position.binding else { return &[] };
    match (position.role, &binding.connection) {
        (Role::Evaluator, _) => &["evaluate"],
        (Role::Display, _) => &["display"],
        (Role::Voice, _) | (_, Connection::Zk { .. }) => &["voice"],
        (Role::Printer, _) => &["print"],
        _ => &[],
    }
}

fn device(why: impl Into<String>) -> Problem {
    let why = why.into();
    Problem::new(502, "device", json!({"why": why}), why)
}

impl Pairing {
    /// Makes a device in test show itself.
    pub(in crate::pairing) async fn show_itself(
        &self,
        who: &Who,
        position: &str,
        how: &str,
    ) -> Result<Value, Problem> {
        let place = self.all().into_iter().find(|p| p.id.as_str() == position && p.binding.is_some());
        let place = place.ok_or_else(|| Problem::not_found("position"))?;
        let case = {
            let mut held = self.0.visit.lock().await;
            mine(&mut held, who, self.now())?.test(&place.id)?.case_id
        };
        let ways = showings(&place);
        if !ways.contains(&how) {
            return Err(Problem::invalid("how", format!("this device can: {}", ways.join(", "))));
        }
        match &place.binding.as_ref().map(|b| &b.connection) {
            Some(Connection::Zk { address, comm_key_credential, transport, .. }) => {
                let address = TerminalAddress { transport: *transport, address: *address };
                self.speak(address, comm_key_credential.as_deref()).await?;
            }
            _ if place.role == Role::Printer => self.print_test(&place.id, case.to_string()).await?,
            _ => self.order_test(&place)?,
        }
        let mut held = self.0.visit.lock().await;
        let visit = mine(&mut held, who, self.now())?;
        let step = Step::Shown { position: place.id, how: how.to_owned() };
        self.keep(visit, who, vec![step], |_| Ok(())).await?;
        Ok(json!({"how": how, "done": true}))
    }

    async fn print_test(&self, position: &PositionId, case: String) -> Result<(), Problem> {
        let printer = self.0.place.board.printers().into_iter().find(|p| p.position == *position);
        let printer = printer.ok_or_else(|| device("its driver does not run: see its state"))?;
        let hall = &self.0.place.config.hall;
        let slip = TicketSlip {
            hall: hall.name.clone(),
            number: NUMBER.into(),
            business: TEST.into(),
            waiting: 0,
            at: self.now().timestamp().to_zoned(hall.time_zone.clone()).datetime(),
            case,
            note: NOTE.into(),
        };
        let printed = printer.handle.print(slip.printout(printer.paper), PATIENCE).await;
        printed.map(|_| ()).map_err(|e| device(e.to_string()))
    }

    fn order_test(&self, place: &Position) -> Result<(), Problem> {
        let panel = self.0.place.board.panel(place.window.as_ref()).unwrap_or_default();
        let text = || Some(("text", Arg::from(TEST)));
        let order = |wire: Option<Wire>, purpose, value| wire.is_some_and(|w| w.order(purpose, value));
        let taken = match place.role {
            Role::Evaluator => order(panel.evaluator, Purpose::Invite, None),
            Role::Voice => order(panel.voice, Purpose::Speak, text()),
            // A display of numbers has no text.
            Role::Display => {
                order(panel.display.clone(), Purpose::ShowText, text())
                    || order(panel.display, Purpose::ShowTicket, Some(("n", 888_u64.into())))
            }
            _ => false,
        };
        if taken { Ok(()) } else { Err(device("its line is away or too busy: try again")) }
    }
}
