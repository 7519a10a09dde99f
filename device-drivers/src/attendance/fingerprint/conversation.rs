//! Asking a module, one question at a time, over an open line.
//!
//! Answers carry no number, so a line must be quiet before a question: what is left of an earlier answer, or a second copy of
//! it, would be taken for the next one and could name the wrong person.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use super::{aa55, ef01};
use crate::port::Stream;

/// Silence on the line before a question.
const QUIET: Duration = Duration::from_millis(10);
/// Reads after which a line that never falls silent is noise.
const NOISE: usize = 64;
/// How long an answer may take (docs/reference/devices.md A3.1: looking and searching take up to a second).
pub(super) const PATIENCE: Duration = Duration::from_secs(2);
/// GT-521F52 has 3000 slots, the others of the family 200.
const AA55_SLOTS: u16 = 3000;

/// Why a module does not go on.
#[derive(Debug, thiserror::Error)]
pub(super) enum ModuleError {
    /// The line.
    #[error("the line to the fingerprint module failed: {0}")]
    Io(#[from] io::Error),
    /// No answer in time.
    #[error("the fingerprint module does not answer; check its plug, its power and the speed of the line")]
    Silent,
    /// Bytes without end.
    #[error("the fingerprint module's line never falls silent; check the speed of the line")]
    Noise,
    /// The password is wrong.
    #[error("the fingerprint module refuses the password")]
    Password,
    /// It said no.
    #[error("the fingerprint module refuses to work (code {0:#x})")]
    Refused(u32),
}

/// What the module sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// Nothing.
    NoFinger,
    /// A finger; nobody asked whose.
    Finger,
    /// A finger, not clearly enough.
    Unclear,
    /// A finger that it does not know.
    Unknown,
    /// The finger of this slot.
    Slot(u16),
}

/// An open line.
pub(super) struct Line {
    stream: Stream,
    buffer: Vec<u8>,
    patience: Duration,
}

impl Line {
    pub(super) fn new(stream: Stream, patience: Duration) -> Self {
        Self { stream, buffer: vec![0; 512], patience }
    }

    async fn read(&mut self) -> io::Result<usize> {
        match self.stream.read(&mut self.buffer).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            n => Ok(n),
        }
    }

    /// Sends a question once nothing comes any more.
    async fn say(&mut self, question: &[u8]) -> Result<(), ModuleError> {
        let mut reads = 0;
        while let Ok(read) = timeout(QUIET, self.read()).await {
            read?;
            reads += 1;
            if reads > NOISE {
                return Err(ModuleError::Noise);
            }
        }
        let sending = async {
            self.stream.write_all(question).await?;
            self.stream.flush().await
        };
        timeout(self.patience, sending).await.map_err(|_elapsed| ModuleError::Silent)??;
        Ok(())
    }

    async fn hear<T>(&mut self, mut understand: impl FnMut(&[u8]) -> Option<T>) -> Result<T, ModuleError> {
        timeout(self.patience, async {
            loop {
                let n = self.read().await?;
                if let Some(answer) = understand(&self.buffer[..n]) {
                    return Ok(answer);
                }
            }
        })
        .await
        .map_err(|_elapsed| ModuleError::Silent)?
    }
}

/// A module of either family.
pub(super) enum Module {
    Ef01 { line: Line, decoder: ef01::Decoder, address: u32, password: u32, capacity: u16 },
    Aa55 { line: Line, decoder: aa55::Decoder },
}

impl Module {
    /// Runs of bytes that could not be read, so far.
    pub(super) fn bad(&self) -> u64 {
        match self {
            Self::Ef01 { decoder, .. } => decoder.bad(),
            Self::Aa55 { decoder, .. } => decoder.bad(),
        }
    }

    async fn ef01(&mut self, instruction: ef01::Instruction) -> Result<ef01::Answer, ModuleError> {
        let Self::Ef01 { line, decoder, address, .. } = self else { return Err(ModuleError::Refused(0)) };
        decoder.clear();
        let question = ef01::Packet::new(*address, ef01::kind::COMMAND, instruction.payload());
        line.say(&question.encode()).await?;
        line.hear(|bytes| {
            decoder.push(bytes);
            std::iter::from_fn(|| decoder.next_packet())
                .filter(|packet| packet.address == *address)
                .find_map(|packet| ef01::read_answer(instruction, &packet))
        })
        .await
    }

    async fn aa55(&mut self, instruction: aa55::Instruction) -> Result<Result<u32, u32>, ModuleError> {
        let Self::Aa55 { line, decoder } = self else { return Err(ModuleError::Refused(0)) };
        decoder.clear();
        line.say(&instruction.packet().encode()).await?;
        line.hear(|bytes| {
            decoder.push(bytes);
            std::iter::from_fn(|| decoder.next_packet()).find_map(aa55::read_answer)
        })
        .await
    }

    /// Gets it ready. It may take a second after power-on until it answers, so a silent one is asked twice.
    pub(super) async fn begin(&mut self) -> Result<(), ModuleError> {
        match self.try_to_begin().await {
            Err(ModuleError::Silent) => self.try_to_begin().await,
            other => other,
        }
    }

    async fn try_to_begin(&mut self) -> Result<(), ModuleError> {
        match self {
            Self::Ef01 { password, .. } => {
                let password = *password;
                match self.ef01(ef01::Instruction::VerifyPassword(password)).await?.confirm {
                    ef01::confirm::OK => {}
                    ef01::confirm::WRONG_PASSWORD => return Err(ModuleError::Password),
                    other => return Err(ModuleError::Refused(other.into())),
                }
                let answer = self.ef01(ef01::Instruction::ReadParameters).await?;
                let parameters = ef01::Parameters::read(&answer.results)
                    .ok_or(ModuleError::Refused(answer.confirm.into()))?;
                if let Self::Ef01 { capacity, .. } = self {
                    *capacity = parameters.capacity;
                }
            }
            Self::Aa55 { .. } => {
                self.aa55(aa55::Instruction::Open).await?.map_err(ModuleError::Refused)?;
                self.aa55(aa55::Instruction::Light(true)).await?.map_err(ModuleError::Refused)?;
            }
        }
        Ok(())
    }

    /// Slots there can be.
    pub(super) fn capacity(&self) -> u16 {
        match self {
            Self::Ef01 { capacity, .. } => *capacity,
            Self::Aa55 { .. } => AA55_SLOTS,
        }
    }

    /// Looks; says whose finger it is only if `whose`.
    pub(super) async fn look(&mut self, whose: bool) -> Result<Seen, ModuleError> {
        match self {
            Self::Ef01 { .. } => self.look_ef01(whose).await,
            Self::Aa55 { .. } => self.look_aa55(whose).await,
        }
    }

    async fn look_ef01(&mut self, whose: bool) -> Result<Seen, ModuleError> {
        use ef01::{Instruction, confirm};
        match self.ef01(Instruction::Look).await?.confirm {
            confirm::OK => {}
            confirm::NO_FINGER => return Ok(Seen::NoFinger),
            confirm::IMAGE_FAILED | confirm::RECEIVE_ERROR => return Ok(Seen::Unclear),
            other => return Err(ModuleError::Refused(other.into())),
        }
        if !whose {
            return Ok(Seen::Finger);
        }
        match self.ef01(Instruction::Extract).await?.confirm {
            confirm::OK => {}
            confirm::MESSY | confirm::FEW_FEATURES | confirm::NO_IMAGE | confirm::RECEIVE_ERROR => {
                return Ok(Seen::Unclear);
            }
            other => return Err(ModuleError::Refused(other.into())),
        }
        let answer = self.ef01(Instruction::Search { count: self.capacity() }).await?;
        match (answer.confirm, ef01::read_match(&answer.results)) {
            (confirm::OK, Some((slot, _score))) => Ok(Seen::Slot(slot)),
            (confirm::NOT_FOUND, _) => Ok(Seen::Unknown),
            (confirm::RECEIVE_ERROR, _) => Ok(Seen::Unclear),
            (other, _) => Err(ModuleError::Refused(other.into())),
        }
    }

    async fn look_aa55(&mut self, whose: bool) -> Result<Seen, ModuleError> {
        use aa55::{Instruction, refusal};
        match self.aa55(Instruction::IsPressed).await? {
            Ok(0) => {}
            Ok(_not) => return Ok(Seen::NoFinger),
            Err(why) => return Err(ModuleError::Refused(why)),
        }
        if !whose {
            return Ok(Seen::Finger);
        }
        match self.aa55(Instruction::Look).await? {
            Ok(_) => {}
            Err(refusal::NOT_PRESSED | refusal::BAD_FINGER) => return Ok(Seen::Unclear),
            Err(why) => return Err(ModuleError::Refused(why)),
        }
        match self.aa55(Instruction::Identify).await? {
            Ok(slot) => Ok(u16::try_from(slot).map_or(Seen::Unknown, Seen::Slot)),
            Err(refusal::NOT_IDENTIFIED | refusal::DATABASE_EMPTY) => Ok(Seen::Unknown),
            Err(refusal::NOT_PRESSED | refusal::BAD_FINGER) => Ok(Seen::Unclear),
            Err(why) => Err(ModuleError::Refused(why)),
        }
    }

    /// Puts the light out where there is one. Failure does not matter any more.
    pub(super) async fn end(&mut self) {
        if matches!(self, Self::Aa55 { .. }) {
            let _ = self.aa55(aa55::Instruction::Light(false)).await;
            let _ = self.aa55(aa55::Instruction::Close).await;
        }
    }
}
