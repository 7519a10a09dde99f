//! `/cases/{case_id}/evidence` and `/evidence/key`.

use std::{io, time::Duration};

use axum::{
    Json,
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use control_protocol::{CameraId, CaseId};
use futures_util::stream;
use http::{HeaderName, HeaderValue, header};
use serde::{Deserialize, Serialize};
use tokio::io::AsyncReadExt;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::export::{Asked, Exported, export};
use crate::{
    Centre,
    access::Person,
    site::{
        extract::{Given, Named},
        problem::Problem,
    },
};

/// The longest reason, characters.
const LONGEST_REASON: usize = 500;
/// The most cameras that can be named.
const MOST_CAMERAS: usize = 200;
const CHUNK: usize = 256 * 1024;
/// The longest an export may take until its answer begins.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// This room's routes.
pub fn routes() -> OpenApiRouter<Centre> {
    OpenApiRouter::new().routes(routes!(evidence)).routes(routes!(key))
}

/// Why a case is exported, and what of it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct EvidenceAsked {
    /// Why, in words; it stands in the package and in the audit log. At most 500 characters.
    reason: String,
    /// Only these of the case's cameras; all where it is left out.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>)]
    cameras: Option<Vec<CameraId>>,
}

/// The key that signs packages.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EvidenceKey)]
struct KeyRow {
    /// `Ed25519`.
    algorithm: &'static str,
    /// The public key, 64 hexadecimal digits.
    key: String,
    /// SHA-256 of its 32 bytes.
    fingerprint: String,
    /// The same key as PEM.
    pem: String,
}

/// A case as one signed file: its recordings bit for bit, events, gaps, clocks, and a manifest (docs/reference/evidence.md). The
/// answer begins within a minute; `x-evidence-missing` and `x-evidence-altered` say how many recordings did not come from the
/// hall or are not what the centre was told, `x-evidence-sha256` is the digest of the file. Supervisors and administrators
/// may; each export is written to the audit log with its reason.
#[utoipa::path(post, path = "/cases/{case_id}/evidence", tag = "evidence",
    params(("case_id" = String, Path, description = "case ID")), request_body = EvidenceAsked,
    responses((status = 200, content_type = "application/zip"), (status = 403, body = Problem),
        (status = 404, body = Problem), (status = 422, body = Problem), (status = 503, body = Problem),
        (status = 507, body = Problem)))]
async fn evidence(
    State(centre): State<Centre>,
    person: Person,
    Named(case): Named<CaseId>,
    Given(asked): Given<EvidenceAsked>,
) -> Result<Response, Problem> {
    let reason = asked.reason.trim().to_owned();
    if reason.is_empty() || reason.chars().count() > LONGEST_REASON || reason.chars().any(char::is_control) {
        return Err(Problem::unprocessable("say why in `reason`, in one line of at most 500 characters"));
    }
    if asked.cameras.as_ref().is_some_and(|cameras| cameras.is_empty() || cameras.len() > MOST_CAMERAS) {
        return Err(Problem::unprocessable("`cameras` names some of the case's cameras, or is left out"));
    }
    let exported = export(&centre, &person, Asked { case, reason, cameras: asked.cameras }).await?;
    Ok(sent(exported, case))
}

fn sent(exported: Exported, case: CaseId) -> Response {
    let [_, altered, missing] = exported.packed.counts();
    let packed = &exported.packed;
    let time = packed.manifest.export.at.timestamp().strftime("%Y%m%dT%H%M%SZ").to_string();
    let set = [
        (header::CONTENT_TYPE, "application/zip".to_owned()),
        (header::CONTENT_LENGTH, packed.bytes.to_string()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"evidence-{case}-{time}.zip\"")),
        (HeaderName::from_static("x-evidence-sha256"), packed.sha256.to_string()),
        (HeaderName::from_static("x-evidence-altered"), altered.to_string()),
        (HeaderName::from_static("x-evidence-missing"), missing.to_string()),
    ];
    let file = match packed.file.try_clone() {
        Ok(file) => tokio::fs::File::from_std(file),
        Err(error) => {
            tracing::error!(%error, "a package that is ready cannot be read");
            return Problem::new(
                http::StatusCode::INTERNAL_SERVER_ERROR,
                "the package cannot be read: try again",
            )
            .into_response();
        }
    };
    // The turn ends when the package has been sent.
    let body = stream::try_unfold((file, exported), |(mut file, exported)| async move {
        let mut chunk = Vec::with_capacity(CHUNK);
        let got = (&mut file).take(CHUNK as u64).read_to_end(&mut chunk).await?;
        Ok::<_, io::Error>((got > 0).then(|| (Bytes::from(chunk), (file, exported))))
    });
    let mut response = Body::from_stream(body).into_response();
    for (name, value) in set {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// The centre's evidence key, for whoever is to verify packages.
#[utoipa::path(get, path = "/evidence/key", tag = "evidence", responses((status = 200, body = KeyRow)))]
async fn key(State(centre): State<Centre>, _person: Person) -> Json<KeyRow> {
    let key = centre.evidence.key().public();
    Json(KeyRow {
        algorithm: "Ed25519",
        key: key.to_string(),
        fingerprint: key.fingerprint().to_string(),
        pem: key.pem(),
    })
}
