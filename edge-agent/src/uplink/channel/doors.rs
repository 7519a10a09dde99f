//! Questions of pairing that come through the centre: joined from their parts, answered by the [`Door`] in tasks of their own, and cut
//! into parts again. Bounded: a few at once, each of a bounded size, all ended with the channel.

use std::{
    collections::{HashMap, VecDeque},
    pin::Pin,
    sync::Arc,
};

use bytes::Bytes;
use control_protocol::{
    channel::ToCentre,
    pairing::{Answered, Ask, Joining, Part, cut},
    site_pass::RevokedPass,
};
use tokio::task::JoinSet;

/// Questions at once.
const AT_ONCE: usize = 32;

/// A future that a door gives.
pub type Answering<'a> = Pin<Box<dyn Future<Output = (Answered, Bytes)> + Send + 'a>>;

/// Who answers.
pub trait Door: Send + Sync {
    /// Answers a question. The centre has checked that the person may ask.
    fn answer(&self, ask: Ask, body: Bytes) -> Answering<'_>;
    /// Takes note of passes that the centre took back.
    fn revoked(&self, passes: Vec<RevokedPass>) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

pub(super) struct Questions {
    door: Arc<dyn Door>,
    coming: HashMap<u64, (Ask, Joining)>,
    answering: JoinSet<Option<(u64, Answered, Bytes)>>,
    out: VecDeque<ToCentre>,
}

fn refusal(status: u16) -> Answered {
    Answered { status, content_type: None }
}

impl Questions {
    pub(super) fn new(door: Arc<dyn Door>) -> Self {
        Self { door, coming: HashMap::new(), answering: JoinSet::new(), out: VecDeque::new() }
    }

    pub(super) fn ask(&mut self, id: u64, ask: Ask) {
        if self.coming.len() + self.answering.len() >= AT_ONCE {
            tracing::warn!("too many questions of pairing at once; one is refused");
            self.say(id, refusal(429), &Bytes::new());
        } else {
            self.coming.insert(id, (ask, Joining::default()));
        }
    }

    pub(super) fn part(&mut self, id: u64, part: &Part) {
        let Some((_, joining)) = self.coming.get_mut(&id) else { return };
        match joining.take(part) {
            Ok(None) => {}
            Ok(Some(body)) => {
                if let Some((ask, _)) = self.coming.remove(&id) {
                    let door = self.door.clone();
                    self.answering.spawn(async move {
                        let (answered, body) = door.answer(ask, body).await;
                        Some((id, answered, body))
                    });
                }
            }
            Err(error) => {
                tracing::warn!("{error}");
                self.coming.remove(&id);
                self.say(id, refusal(413), &Bytes::new());
            }
        }
    }

    pub(super) fn revoked(&mut self, passes: Vec<RevokedPass>) {
        let door = self.door.clone();
        self.answering.spawn(async move {
            door.revoked(passes).await;
            None
        });
    }

    fn say(&mut self, id: u64, answer: Answered, body: &Bytes) {
        self.out.push_back(ToCentre::Answer { id, answer });
        self.out.extend(cut(body).into_iter().map(|part| ToCentre::AnswerPart { id, part }));
    }

    /// The next text to be sent; `None` while there is nothing to wait for. Nothing is lost when it is dropped.
    pub(super) async fn next(&mut self) -> Option<ToCentre> {
        loop {
            if let Some(text) = self.out.pop_front() {
                return Some(text);
            }
            match self.answering.join_next().await? {
                Ok(Some((id, answered, body))) => self.say(id, answered, &body),
                Ok(None) => {}
                Err(error) => tracing::error!("the answer to a question of pairing died: {error}"),
            }
        }
    }
}
