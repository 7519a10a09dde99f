//! Tests of what is bound, and what an evaluator's keys mean.

use control_protocol::PositionId;
use serde_json::Value;

use super::mine;
use crate::{
    devices::Role,
    pairing::{
        Pairing, Who,
        positions::{self, GradeMap},
        problem::Problem,
        visit::Step,
    },
};

impl Pairing {
    pub(in crate::pairing) async fn begin_test(&self, who: &Who, position: &str) -> Result<Value, Problem> {
        let case_id = self.test_case().await?;
        let place = self.all().into_iter().find(|p| p.id.as_str() == position && p.binding.is_some());
        let place = place.ok_or_else(|| Problem::not_found("position"))?;
        let position = place.id;
        let mut held = self.0.visit.lock().await;
        let visit = mine(&mut held, who, self.now())?;
        let again = place.role == Role::Camera && visit.test(&position).is_ok();
        if again {
            // It is being played already.
            return Ok(self.shown(visit));
        }
        let steps = vec![Step::TestBegan { position: position.clone(), case_id }];
        self.keep(visit, who, steps, |_| Ok(())).await?;
        self.0.place.board.test(position.as_str(), Some(case_id));
        if let Some(binding) = place.binding.filter(|_| place.role == Role::Camera) {
            let bound = visit.bound.iter().find(|b| b.position == position);
            let found = bound.and_then(|b| b.candidate.as_deref()).and_then(|c| visit.candidate(c).ok());
            let told = found.map(|c| c.facts["streams"].clone()).unwrap_or_default();
            self.audit_camera(&visit.id, position, binding.connection, told);
        }
        Ok(self.shown(visit))
    }

    pub(in crate::pairing) async fn end_test(&self, who: &Who, position: &str) -> Result<Value, Problem> {
        let position: PositionId = position.parse().map_err(|_| Problem::not_found("position"))?;
        let shown = self
            .step(who, |visit| {
                visit.test(&position)?;
                Ok(vec![Step::TestEnded { position: position.clone() }])
            })
            .await?;
        self.0.place.board.test(position.as_str(), None);
        Ok(shown)
    }

    /// Confirms what an evaluator's keys mean: from now on it is in service.
    pub(in crate::pairing) async fn confirm(
        &self,
        who: &Who,
        position: &str,
        map: GradeMap,
    ) -> Result<Value, Problem> {
        let now = self.now();
        let mut held = self.0.visit.lock().await;
        let visit = mine(&mut held, who, now)?;
        let place = self.all().into_iter().find(|p| p.id.as_str() == position && p.role == Role::Evaluator);
        let place = place.ok_or_else(|| Problem::not_found("position"))?;
        let Some(binding) = &place.binding else { return Err(Problem::not_found("position")) };
        let step = visit.confirm(&place.id, &map)?;
        let (n, by, id, window) = (binding.n, who.name.clone(), place.id.clone(), place.window.clone());
        self.keep(visit, who, vec![step], move |tx| {
            // From now on people rule this place, not the file.
            positions::make(tx, &id, window.as_ref(), Role::Evaluator, false, now)?;
            positions::set_grades(tx, n, &map, Some(&by), now)?;
            Ok(())
        })
        .await?;
        tracing::info!(position, by = who.name, "the evaluator's keys are confirmed: it is in service");
        self.follow(Vec::new()).await?;
        Ok(self.shown(visit))
    }
}
