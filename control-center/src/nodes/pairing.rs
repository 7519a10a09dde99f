//! Pairing codes: how a machine that is nobody yet becomes a hall's node. A code is 80 random bits, stands for a day, is
//! good once, for one hall; only its digest is stored. Wrong codes are counted by address and in all.

use std::{
    collections::{HashMap, VecDeque},
    net::IpAddr,
    sync::{Mutex, PoisonError},
};

use control_protocol::{
    HallId, NodeId, UtcMillis,
    enrolment::{EnrolRequest, Enrolled, PairingCode},
};
use ring::rand::{SecureRandom, SystemRandom};

use super::{Nodes, ca::CaError, certificates};
use crate::{
    params,
    store::{Change, Sql, Store, StoreError, Tx},
};

/// How long a code stands (docs/reference/node-protocol.md).
pub const CODE_MS: i64 = 24 * 3600 * 1000;
/// Codes of one hall that may stand at a time; issuing one more ends the oldest.
const CODES_PER_HALL: i64 = 5;
/// Wrong codes from one address, and in all, within [`TRIES_MS`]; then codes are not looked at for a while.
const TRIES_PER_ADDRESS: usize = 5;
const TRIES_IN_ALL: usize = 300;
const TRIES_MS: i64 = 15 * 60 * 1000;

/// Why there is no code, or no certificate.
#[derive(Debug, thiserror::Error)]
pub enum PairingError {
    /// There is no such hall.
    #[error(
        "hall {0} is not known to this centre: import or create it first, or correct the hall's id in the agent's configuration"
    )]
    UnknownHall(HallId),
    /// The code is wrong, used up or too old; which of these is not told to whoever may be guessing.
    #[error("pairing code is not valid, used or expired: ask for a new one")]
    NotValid,
    /// The code is good, for another hall.
    #[error(
        "this pairing code is for another hall than {0}: ask for one for this hall, or correct the hall's id in the agent's configuration"
    )]
    OtherHall(HallId),
    /// Too many wrong codes.
    #[error("too many wrong pairing codes from this address: wait {0} seconds, then try with a new code")]
    TooManyTries(i64),
    /// The machine's signing request is unusable, or the authority failed.
    #[error(transparent)]
    Ca(#[from] CaError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A code for a technician.
#[derive(Debug)]
pub struct Issued {
    /// The code; shown once, stored nowhere.
    pub code: PairingCode,
    /// Until when it is good, UTC.
    pub expires_at: UtcMillis,
}

/// Issues a code for `hall` on behalf of `by`.
pub async fn issue(store: &Store, hall: HallId, by: String, now: UtcMillis) -> Result<Issued, PairingError> {
    let mut random = [0; 10];
    SystemRandom::new().fill(&mut random).map_err(|_| CaError::Random)?;
    let code = PairingCode::new(random);
    let digest = code.digest();
    let expires_at = now.plus(CODE_MS);
    store
        .write("pairing code", move |tx| {
            if tx.query_one("SELECT 1 FROM halls WHERE id = $1", params![hall])?.is_none() {
                return Err(PairingError::UnknownHall(hall));
            }
            tx.execute("DELETE FROM pairing_codes WHERE expires_at < $1", params![now.plus(-30 * CODE_MS)])?;
            tx.execute(
                "UPDATE pairing_codes SET expires_at = $2 WHERE digest IN (SELECT digest FROM pairing_codes \
                 WHERE hall = $1 AND used_at IS NULL AND expires_at > $2 ORDER BY issued_at DESC LIMIT 1000 OFFSET $3)",
                params![hall, now, CODES_PER_HALL - 1],
            )?;
            tx.execute(
                "INSERT INTO pairing_codes (digest, hall, issued_by, issued_at, expires_at) VALUES ($1, $2, $3, $4, $5)",
                params![digest, hall, by, now, expires_at],
            )?;
            Ok(())
        })
        .await?;
    Ok(Issued { code, expires_at })
}

/// The name of a hall's node: there is one.
pub fn node_of_hall(hall: &HallId) -> Result<NodeId, StoreError> {
    format!("hall-{hall}").parse().map_err(|error| StoreError::Read(format!("node of hall {hall}: {error}")))
}

/// Makes the machine that sent `request` the node of its hall. The machine that was it before, if any, loses its
/// certificates at once: a hall has one identity.
pub(super) async fn enrol(
    nodes: &Nodes,
    request: EnrolRequest,
    address: IpAddr,
    now: UtcMillis,
) -> Result<Enrolled, PairingError> {
    nodes.attempts().allowed(address, now)?;
    let (inner, hall) = (nodes.clone(), request.hall.clone());
    let result = nodes.store().write("enrolment", move |tx| redeem(&inner, tx, &request, now)).await;
    match &result {
        Ok(enrolled) => {
            nodes.certificates().load(nodes.store()).await?;
            nodes.cut_off_revoked();
            tracing::info!(%hall, node = %enrolled.node, %address, "a machine was enrolled");
        }
        Err(error) => {
            if matches!(error, PairingError::NotValid | PairingError::OtherHall(_)) {
                nodes.attempts().failed(address, now);
            }
            tracing::warn!(%hall, %address, %error, "a machine was not enrolled");
        }
    }
    result
}

fn redeem(
    nodes: &Nodes,
    tx: &mut Tx<'_>,
    request: &EnrolRequest,
    now: UtcMillis,
) -> Result<Enrolled, PairingError> {
    let hall = &request.hall;
    let digest = request.code.digest();
    let row = tx.query_one(
        "SELECT hall FROM pairing_codes WHERE digest = $1 AND used_at IS NULL AND expires_at > $2",
        params![digest, now],
    )?;
    let bound_to: HallId = row.ok_or(PairingError::NotValid)?.get(0)?;
    if bound_to != *hall {
        return Err(PairingError::OtherHall(hall.clone()));
    }
    if tx.query_one("SELECT 1 FROM halls WHERE id = $1", params![hall])?.is_none() {
        return Err(PairingError::UnknownHall(hall.clone()));
    }
    let node = node_of_hall(hall)?;
    let ca = nodes.ca();
    let signed = ca.sign_node(&node, hall, &request.csr_pem, now)?;
    let used = tx.execute(
        "UPDATE pairing_codes SET used_at = $2, used_by = $3 WHERE digest = $1 AND used_at IS NULL",
        params![digest, now, node],
    )?;
    if used != 1 {
        return Err(PairingError::NotValid);
    }
    tx.execute(
        "UPDATE certificates SET revoked_at = $2, revoked_why = 'another machine was paired for this hall' \
         WHERE node = $1 AND revoked_at IS NULL",
        params![node, now],
    )?;
    certificates::insert(tx, (&node, hall), &signed, ca.pin(), now)?;
    let version: String = request.version.chars().take(64).collect();
    // Pairing anew is a person's act at the hall: it is what lifts a quarantine.
    tx.execute(
        "INSERT INTO nodes (id, hall, version, enrolled_at) VALUES ($1, $2, $3, $4) ON CONFLICT (id) DO UPDATE SET \
         version = excluded.version, enrolled_at = excluded.enrolled_at, quarantined = NULL, alarm = NULL",
        params![node, hall, version, now],
    )?;
    tx.changes.push(Change::Node(node.clone()));
    Ok(Enrolled {
        node,
        hall: hall.clone(),
        certificate_pem: signed.pem,
        ca_pem: if request.several { nodes.authorities().trusted_pem() } else { ca.pem().to_owned() },
    })
}

/// Wrong codes of late, by address.
#[derive(Default)]
pub(super) struct Attempts(Mutex<Tries>);

#[derive(Default)]
struct Tries {
    by_address: HashMap<IpAddr, VecDeque<UtcMillis>>,
    all: VecDeque<UtcMillis>,
}

impl Attempts {
    /// Whether a code from `address` is looked at now.
    fn allowed(&self, address: IpAddr, now: UtcMillis) -> Result<(), PairingError> {
        let mut tries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let start = now.plus(-TRIES_MS);
        tries.by_address.retain(|_, times| {
            times.retain(|at| *at > start);
            !times.is_empty()
        });
        tries.all.retain(|at| *at > start);
        let of_address = tries.by_address.get(&address);
        let full = |times: &VecDeque<UtcMillis>, most| times.len() >= most;
        let until = match of_address {
            Some(times) if full(times, TRIES_PER_ADDRESS) => times.front(),
            _ if full(&tries.all, TRIES_IN_ALL) => tries.all.front(),
            _ => None,
        };
        match until {
            Some(first) => Err(PairingError::TooManyTries((first.0 + TRIES_MS - now.0).max(1000) / 1000)),
            None => Ok(()),
        }
    }

    fn failed(&self, address: IpAddr, now: UtcMillis) {
        let mut tries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Bounded by `allowed`: no more than TRIES_IN_ALL addresses are ever held.
        tries.by_address.entry(address).or_default().push_back(now);
        tries.all.push_back(now);
    }
}
