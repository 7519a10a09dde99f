//! Searches that listen or take the technician's word; those that ask around are in `search`. Credentials.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::mine;
use crate::{
    devices::{Connection, Listening, Role},
    pairing::{
        Pairing, Who,
        attend::ways,
        binding,
        positions::StoreFailed,
        problem::Problem,
        visit::{Candidate, Hardware, Search, Step},
    },
    vault::Secret,
};

impl Pairing {
    /// Listens on a serial line for whoever speaks there.
    pub(in crate::pairing) async fn search_bus(
        &self,
        who: &Who,
        port: PathBuf,
        baud: u32,
    ) -> Result<Value, Problem> {
        let probe = Connection::BusKeypad { port: port.clone(), baud, address: 0 };
        if let Some((field, why)) = probe.fault() {
            return Err(Problem::invalid(field, why));
        }
        binding::free_line(&self.all(), &probe, &[])?;
        let mut held = self.0.visit.lock().await;
        let visit = mine(&mut held, who, self.now())?;
        let running =
            |s: &&Search| s.running() && s.range["port"].as_str().map(PathBuf::from) == Some(port.clone());
        if let Some(search) = visit.searches.iter().find(running) {
            if search.range["baud"] == json!(baud) && search.source == "bus" {
                return Ok(self.shown(visit));
            }
            return Err(Problem::new(
                409,
                "port-in-use",
                json!({"port": port, "by": [search.id]}),
                "this line is being listened to at another speed or for another search: stop that one first",
            ));
        }
        let search = Search {
            id: visit.next_id('s')?,
            source: "bus".into(),
            range: json!({"port": port, "baud": baud, "addresses": "0-255"}),
            state: "listening".into(),
            began_at: self.now(),
            tried: None,
            of: None,
            why: None,
        };
        let tag = format!("{}/{}", visit.id, search.id);
        self.keep(visit, who, vec![Step::SearchBegan(search)], |_| Ok(())).await?;
        self.set_listening(|l| l.push(Listening { port, baud, tag }));
        self.drive().await;
        Ok(self.shown(visit))
    }

    /// Takes the technician's word for where a device is.
    pub(in crate::pairing) async fn search_stated(
        &self,
        who: &Who,
        connection: Connection,
    ) -> Result<Value, Problem> {
        if let Some((field, why)) = connection.fault() {
            return Err(Problem::invalid(field, why));
        }
        let now = self.now();
        self.step(who, |visit| {
            let search = Search {
                id: visit.next_id('s')?,
                source: "stated".into(),
                range: json!(connection),
                state: "done".into(),
                began_at: now,
                tried: None,
                of: None,
                why: None,
            };
            let kind = connection.role();
            let candidate = Candidate {
                id: visit.next_id('c')?,
                search: search.id.clone(),
                source: "stated".into(),
                kind,
                hardware: Hardware { kind, identity: connection.identity(), serial: None },
                identify: ways(&connection),
                connection,
                found_at: now,
                is_it: None,
                // Whoever states a camera states its streams.
                facts: if kind == Role::Camera { json!({"described": true}) } else { json!({}) },
            };
            Ok(vec![Step::SearchBegan(search), Step::Found(candidate)])
        })
        .await
    }

    pub(in crate::pairing) async fn stop_search(&self, who: &Who, id: &str) -> Result<Value, Problem> {
        let mut held = self.0.visit.lock().await;
        let visit = mine(&mut held, who, self.now())?;
        let search =
            visit.searches.iter().find(|s| s.id == id).ok_or_else(|| Problem::not_found("search"))?;
        if search.running() {
            let unknown = search.source == "unknown";
            let step = Step::SearchEnded {
                search: id.to_owned(),
                state: "stopped".into(),
                tried: None,
                of: None,
                why: None,
            };
            self.keep(visit, who, vec![step], |_| Ok(())).await?;
            if unknown {
                self.stop_sniffing().await;
            }
            let tag = format!("{}/{id}", visit.id);
            self.set_listening(|l| l.retain(|l| l.tag != tag));
            self.drive().await;
        }
        Ok(self.shown(visit))
    }

    /// Seals a secret under a name.
    pub(in crate::pairing) async fn credential(
        &self,
        who: &Who,
        name: String,
        secret: String,
    ) -> Result<(), Problem> {
        let (vault, sealed) = (self.0.place.vault.clone(), name.clone());
        let set = tokio::task::spawn_blocking(move || vault.set(&sealed, &Secret::new(secret))).await;
        match set {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(Problem::invalid("name", error.to_string())),
            Err(error) => return Err(StoreFailed(error.to_string()).into()),
        }
        self.step(who, |_| Ok(vec![Step::CredentialSet { name }])).await?;
        // A camera that signs in with it is dialled again.
        self.0.cameras.send_modify(|_| {});
        Ok(())
    }
}
