//! Text messages of the hall: the small API of its modem for whoever sends and receives. It owns which modems there are; a
//! message that came in stays on the modem's card until somebody listens and has it on disk.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use device_drivers::{
    clock::MonotonicClock,
    reading::DriverEvent,
    sms::{Delivery, ModemStatus, PhoneNumber, Received, SendError, Sent, SmsDesk, SmsDriver, SmsEvent},
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Events that may wait for the bridge to the register.
const EVENTS: usize = 64;

/// What comes in.
#[derive(Debug)]
pub enum Incoming {
    /// A message; its receipt is given once it is on disk.
    Received(Received),
    /// The fate of one that was sent.
    Delivery(Delivery),
}

#[derive(Default)]
struct Inner {
    modems: BTreeMap<String, SmsDesk>,
    listener: Option<mpsc::Sender<Incoming>>,
}

/// Text messages. Clones are the same.
#[derive(Clone, Default)]
pub struct Messages(Arc<Mutex<Inner>>);

impl Messages {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says which modems there are, by position.
    pub(super) fn set_modems(&self, modems: BTreeMap<String, SmsDesk>) {
        self.lock().modems = modems;
    }

    /// How every modem is, by position.
    pub fn status(&self) -> BTreeMap<String, ModemStatus> {
        self.lock().modems.iter().map(|(position, desk)| (position.clone(), desk.status())).collect()
    }

    /// Sends a text by a modem that works, else by any; waits until the network has taken all of it.
    ///
    /// # Errors
    /// Why it was not sent, or is not known to be; without a modem [`SendError::NoModem`].
    pub async fn send(&self, to: PhoneNumber, text: String) -> Result<Sent, SendError> {
        let desk = {
            let inner = self.lock();
            let ready = inner.modems.values().find(|desk| desk.status().connected);
            ready.or_else(|| inner.modems.values().next()).cloned()
        };
        match desk {
            Some(desk) => desk.send(to, text).await,
            None => Err(SendError::NoModem("this hall has no modem".into())),
        }
    }

    /// Takes what comes in from now on, of which `room` may wait; whoever listened before does no more.
    pub fn listen(&self, room: usize) -> mpsc::Receiver<Incoming> {
        let (to_listener, incoming) = mpsc::channel(room.max(1));
        self.lock().listener = Some(to_listener);
        incoming
    }

    /// Without room, or with nobody there, the message is given back to the card by dropping it.
    fn hand_on(&self, incoming: Incoming) {
        let listener = self.lock().listener.clone();
        let taken = listener.is_some_and(|listener| listener.try_send(incoming).is_ok());
        if !taken {
            tracing::debug!("a text message waits on the card: nobody takes it now");
        }
    }
}

/// Runs a modem until cancelled, its health told as every device's.
pub(super) async fn run(
    driver: SmsDriver,
    clock: Arc<dyn MonotonicClock>,
    events: mpsc::Sender<DriverEvent>,
    messages: Messages,
    cancel: CancellationToken,
) {
    let (told, mut heard) = mpsc::channel(EVENTS);
    let driving = driver.run(clock, told, cancel);
    let passing_on = async move {
        while let Some(event) = heard.recv().await {
            match event {
                SmsEvent::Received(received) => messages.hand_on(Incoming::Received(received)),
                SmsEvent::Delivery(delivery) => messages.hand_on(Incoming::Delivery(delivery)),
                SmsEvent::Health { position, health, at } => {
                    if events.send(DriverEvent::Health { position, health, at }).await.is_err() {
                        return;
                    }
                }
            }
        }
    };
    tokio::join!(driving, passing_on);
}
