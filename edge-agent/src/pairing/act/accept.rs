//! The acceptance: photos, the five points, the signature.

use control_protocol::PositionId;
use rusqlite::params;
use serde_json::{Value, json};

use super::mine;
use crate::pairing::{
    Pairing, Who, photo,
    positions::StoreFailed,
    problem::Problem,
    visit::{Judgement, Step},
};

impl Pairing {
    pub(in crate::pairing) async fn take_photo(
        &self,
        who: &Who,
        bytes: bytes::Bytes,
    ) -> Result<Value, Problem> {
        {
            let mut held = self.0.visit.lock().await;
            mine(&mut held, who, self.now())?;
        }
        let taken = tokio::task::spawn_blocking(move || photo::take(&bytes)).await;
        let taken = taken.map_err(|e| StoreFailed(e.to_string()))?;
        let photo = taken.map_err(|why| {
            Problem::new(415, "bad-photo", json!({"why": why}), format!("the photo is not taken: {why}"))
        })?;
        let mut held = self.0.visit.lock().await;
        let visit = mine(&mut held, who, self.now())?;
        let id = visit.next_id('p')?;
        let answer =
            json!({"photo": id, "width": photo.width, "height": photo.height, "bytes": photo.jpeg.len()});
        let sha256 = control_protocol::Digest::of(&photo.jpeg).to_string();
        let step = Step::PhotoTaken { photo: id.clone(), sha256 };
        let visit_id = visit.id.clone();
        self.keep(visit, who, vec![step], move |tx| {
            tx.execute(
                "INSERT INTO photos (visit, id, width, height, jpeg) VALUES (?1, ?2, ?3, ?4, ?5)",
                params![visit_id, id, photo.width, photo.height, photo.jpeg],
            )?;
            Ok(())
        })
        .await?;
        Ok(answer)
    }

    pub(in crate::pairing) async fn judge(
        &self,
        who: &Who,
        point: &str,
        judgement: Judgement,
    ) -> Result<Value, Problem> {
        self.step(who, |visit| Ok(vec![visit.judge(point, judgement)?])).await
    }

    pub(in crate::pairing) async fn sign(
        &self,
        who: &Who,
        name: &str,
        hall_name: Option<&str>,
    ) -> Result<Value, Problem> {
        let mut held = self.0.visit.lock().await;
        let visit = mine(&mut held, who, self.now())?;
        let all = self.all();
        let unconfirmed: Vec<PositionId> = visit
            .bound
            .iter()
            .filter(|b| all.iter().any(|p| p.id == b.position && p.binding.is_some() && !p.confirmed()))
            .map(|b| b.position.clone())
            .collect();
        let steps = visit.sign(name, hall_name, &unconfirmed)?;
        self.keep(visit, who, steps, |_| Ok(())).await?;
        self.after_close(visit).await;
        Ok(self.shown(visit))
    }
}
