//! A candidate shows itself, and the technician says whether it is the one.

use device_drivers::{attendance::zk::TerminalAddress, profile::Order};
use serde_json::{Value, json};

use super::mine;
use crate::{
    devices::Connection,
    pairing::{Pairing, Who, problem::Problem, visit::Step},
};

impl Pairing {
    /// Makes a candidate show itself.
    pub(in crate::pairing) async fn identify(
        &self,
        who: &Who,
        candidate: &str,
        how: &str,
    ) -> Result<Value, Problem> {
        let mut held = self.0.visit.lock().await;
        let visit = mine(&mut held, who, self.now())?;
        let found = visit.candidate(candidate)?.clone();
        if !found.identify.iter().any(|way| way == how) {
            return Err(Problem::invalid("how", format!("this device can: {}", found.identify.join(", "))));
        }
        if let Connection::Camera { .. } = &found.connection {
            // A camera may take its time, and the visit goes on meanwhile.
            drop(held);
            return self.identify_by_still(who, &found).await;
        }
        if let Connection::Zk { address, comm_key_credential, transport, .. } = &found.connection {
            let address = TerminalAddress { transport: *transport, address: *address };
            self.speak(address, comm_key_credential.as_deref()).await?;
            let step = Step::Identify { candidate: candidate.to_owned(), how: how.to_owned(), photo: None };
            self.keep(visit, who, vec![step], |_| Ok(())).await?;
            return Ok(json!({"how": how, "done": true}));
        }
        let (port, command) = match &found.connection {
            Connection::BusKeypad { port, address, .. } => (port, Order::command("beep").to(*address)),
            Connection::BusEvaluator { port, address, .. } => {
                (port, Order::command("start_evaluation").to(*address))
            }
            _ => return Err(Problem::invalid("how", "this device cannot show itself")),
        };
        let device = |why: &str| Problem::new(502, "device", json!({"why": why}), why);
        let orders = self.0.supervisor.lock().await.orders(port);
        let orders = orders.ok_or_else(|| device("nobody listens on this line: search on it first"))?;
        orders.try_send(command).map_err(|_| device("the line is too busy or away: try again"))?;
        let step = Step::Identify { candidate: candidate.to_owned(), how: how.to_owned(), photo: None };
        self.keep(visit, who, vec![step], |_| Ok(())).await?;
        Ok(json!({"how": how, "done": true}))
    }

    pub(in crate::pairing) async fn identified(
        &self,
        who: &Who,
        candidate: String,
        is_it: bool,
    ) -> Result<Value, Problem> {
        self.step(who, |visit| {
            visit.candidate(&candidate)?;
            Ok(vec![Step::Identified { candidate, is_it }])
        })
        .await
    }
}
