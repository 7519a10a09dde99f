//! The other door: questions that the centre passes on over the command channel, answered by the same router.

use std::pin::Pin;

use bytes::Bytes;
use control_protocol::{
    pairing::{Answered, Ask},
    site_pass::RevokedPass,
};

use super::{Pairing, Passes, Who, pass, routes::Question, visit::Door};
use crate::uplink::channel::{self, Answering};

/// The centre's door.
pub struct CentreDoor {
    /// Who answers.
    pub pairing: Pairing,
    /// The keeper of the hall's own page.
    pub passes: Passes,
}

impl channel::Door for CentreDoor {
    fn answer(&self, ask: Ask, body: Bytes) -> Answering<'_> {
        Box::pin(async move {
            let who = Who { name: ask.technician, door: Door::Centre, until: None };
            let question = Question {
                method: ask.method,
                path: ask.path,
                query: ask.query,
                content_type: ask.content_type,
                body,
            };
            let answer = self.pairing.handle(&who, question).await;
            let content_type = answer.content_type.map(str::to_owned);
            (Answered { status: answer.status, content_type }, answer.body)
        })
    }

    fn revoked(&self, passes: Vec<RevokedPass>) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async move {
            let now = self.pairing.now();
            self.passes.revoke(&passes, now);
            let kept = self.pairing.store().run(move |tx| pass::keep_revoked(tx, &passes, now)).await;
            if let Err(error) = kept {
                tracing::error!("revoked passes are known until the agent ends, but not kept: {error}");
            }
        })
    }
}
