//! The child: reads coded frames on standard input, writes H.264 on standard output, and ends when its input does. It owns
//! no file, no socket and no secret; whatever a codec does to it, the agent goes on.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
    time::Duration,
};

use anyhow::{Context, anyhow};
use control_protocol::{
    channel::StreamDescription,
    frame::{Header, Kind},
};
use picture::{
    Codec,
    transcode::{Form, Outlet, Transcoder},
};

use super::pipe::{self, bare};
use crate::cameras::entry::Parameters;

/// Frames whose times are remembered while they are worked on.
const REMEMBERED: usize = 256;

/// What the child is told.
#[derive(Debug, Clone, clap::Args)]
pub struct ChildArguments {
    /// The largest height of the picture.
    #[arg(long)]
    max_height: u32,
    /// 1000 bits a second.
    #[arg(long)]
    kilobits: u32,
    /// Only key frames come, and each that goes out is one.
    #[arg(long)]
    all_keys: bool,
}

impl ChildArguments {
    /// As a command line.
    pub(super) fn of(max_height: u32, kilobits: u32, all_keys: bool) -> Vec<String> {
        let mut arguments = vec![format!("--max-height={max_height}"), format!("--kilobits={kilobits}")];
        arguments.extend(all_keys.then(|| "--all-keys".to_owned()));
        arguments
    }
}

/// Captured times and discontinuities, by presentation time.
type Times = Arc<Mutex<BTreeMap<i64, (i64, bool)>>>;

struct Running {
    transcoder: Transcoder,
    outlet: JoinHandle<anyhow::Result<()>>,
    times: Times,
}

/// Transcodes from standard input to standard output until the input ends.
///
/// # Errors
/// The pipes', or the codec's; the last message on the output says why as well.
pub fn run(arguments: &ChildArguments) -> anyhow::Result<()> {
    // The event path comes first, whatever is watched.
    let _as_it_was = rustix::process::nice(10);
    let result = transcode(arguments);
    if let Err(error) = &result {
        let _gone = pipe::write(&mut io::stdout().lock(), &bare(Kind::End), format!("{error:#}").as_bytes());
    }
    result
}

fn transcode(arguments: &ChildArguments) -> anyhow::Result<()> {
    let form = Form {
        max_height: arguments.max_height,
        kilobits: arguments.kilobits,
        key_distance: Duration::from_secs(2),
        all_keys: arguments.all_keys,
    };
    let mut input = io::BufReader::new(io::stdin().lock());
    let mut running: Option<Running> = None;
    while let Some((header, payload)) = pipe::read(&mut input).context("standard input")? {
        match header.kind {
            Kind::Parameters => {
                if let Some(before) = running.take() {
                    finish(before)?;
                }
                let parameters = Parameters::of(&payload).context("parameters that cannot be read")?;
                running = Some(begin(&parameters, form)?);
            }
            Kind::Frame => {
                let Some(running) = &running else { continue };
                // The parent's times can be before its origin where its clock was set; a buffer's cannot.
                if header.pts_us < 0 {
                    continue;
                }
                {
                    let mut times = running.times.lock().unwrap_or_else(PoisonError::into_inner);
                    times.insert(header.pts_us, (header.captured_us, header.discontinuity));
                    while times.len() > REMEMBERED {
                        times.pop_first();
                    }
                }
                if let Err(error) = running.transcoder.push(payload, header.key, header.pts_us) {
                    return Err(anyhow!(error));
                }
            }
            Kind::End => break,
        }
    }
    running.map_or(Ok(()), finish)
}

fn begin(parameters: &Parameters, form: Form) -> anyhow::Result<Running> {
    let description = &parameters.description;
    let codec = Codec::of_rfc6381(&description.codec)
        .with_context(|| format!("there is no decoder for {}", description.codec))?;
    let coded = picture::Parameters { codec, record: parameters.record.clone() };
    let (transcoder, outlet) = Transcoder::start(&coded, (description.width, description.height), form)?;
    let times = Times::default();
    let of_outlet = times.clone();
    let outlet = std::thread::Builder::new().name("outlet".into()).spawn(move || {
        let ended = give(outlet, &of_outlet);
        if let Err(error) = &ended {
            // The other thread may be waiting for room in a pipeline that moves no more.
            let _gone =
                pipe::write(&mut io::stdout().lock(), &bare(Kind::End), format!("{error:#}").as_bytes());
            std::process::exit(1);
        }
        ended
    })?;
    Ok(Running { transcoder, outlet, times })
}

fn finish(running: Running) -> anyhow::Result<()> {
    running.transcoder.end();
    running.outlet.join().map_err(|_| anyhow!("the outlet's thread died"))?
}

fn give(mut outlet: Outlet, times: &Times) -> anyhow::Result<()> {
    let mut out = io::BufWriter::new(io::stdout());
    let mut offset = 0;
    while let Some(coded) = outlet.frame()? {
        if let Some(described) = coded.described {
            let parameters = Parameters {
                description: StreamDescription {
                    codec: described.codec,
                    width: described.width,
                    height: described.height,
                    note: None,
                },
                record: described.record,
            };
            pipe::write(&mut out, &bare(Kind::Parameters), &parameters.entry())?;
        }
        let (captured_us, discontinuity) = {
            let mut times = times.lock().unwrap_or_else(PoisonError::into_inner);
            let known = times.remove(&coded.pts_us);
            // The frames before it were left out by the decoder: they are not asked for any more.
            times.retain(|pts_us, _| *pts_us > coded.pts_us.saturating_sub(5_000_000));
            known.unwrap_or((coded.pts_us.saturating_add(offset), false))
        };
        offset = captured_us.saturating_sub(coded.pts_us);
        let header =
            Header { key: coded.key, discontinuity, pts_us: coded.pts_us, captured_us, ..bare(Kind::Frame) };
        pipe::write(&mut out, &header, &coded.unit)?;
    }
    out.flush()?;
    Ok(())
}
