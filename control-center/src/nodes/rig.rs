//! For tests: a centre with two halls, its node listener on loopback, and edges that speak the contract by hand.

use std::{net::SocketAddr, sync::Arc};

use bytes::Bytes;
use control_protocol::{
    HallId, StreamId, UtcMillis,
    channel::{ToCentre, ToEdge},
    enrolment::Enrolled,
    frame::{Header, Kind, Tier},
};
use futures_util::{SinkExt, StreamExt};
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, pem::PemObject},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_tungstenite::{WebSocketStream, tungstenite::Message};
use tokio_util::sync::CancellationToken;

use super::{Nodes, pairing, serve::serve};
use crate::{
    Centre, Clock,
    access::Doorkeeper,
    centre::Parts,
    live::Live,
    params,
    store::{Sql, Store, StoreError},
};

pub(crate) struct Rig {
    pub(crate) centre: Centre,
    pub(crate) nodes_at: SocketAddr,
    pub(crate) site_at: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.centre.stop.cancel();
    }
}

pub(crate) fn hall(number: u8) -> HallId {
    format!("450103-0{number}").parse().unwrap()
}

impl Rig {
    /// Halls 450103-01 and 450103-02, three windows with a camera each; `boss` supervises the county, `hm` manages the
    /// first hall.
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open_sqlite(&folder.path().join("centre.db")).unwrap();
        let stop = CancellationToken::new();
        store
            .write("test", |tx| {
                tx.execute(
                    "INSERT INTO areas (id, parent, name, level, path) VALUES ('450103', NULL, 'x', 'county', '/450103/')",
                    params![],
                )?;
                for hall in [hall(1), hall(2)] {
                    tx.execute(
                        "INSERT INTO halls (id, area, name, path) VALUES ($1, '450103', 'h', '/450103/' || $1 || '/')",
                        params![hall],
                    )?;
                    for n in 1..=3 {
                        tx.execute(
                            "INSERT INTO windows (id, hall, number, name) VALUES ($1, $2, $3, 'w')",
                            params![format!("{hall}-W0{n}"), hall, n],
                        )?;
                        tx.execute(
                            "INSERT INTO cameras (id, hall, node, win, name, url, place, state, since) \
                             VALUES ($1, $2, 'n', $3, 'c', 'rtsp://x', $4, 'live', 0)",
                            params![format!("{hall}-W0{n}-C1"), hall, format!("{hall}-W0{n}"), n],
                        )?;
                    }
                }
                for (name, role, scope) in
                    [("boss", "supervisor", "450103"), ("hm", "hall_manager", "450103-01")]
                {
                    tx.execute(
                        "INSERT INTO users (name, password_hash, must_change, disabled, created_at) VALUES ($1, '', 0, 0, 0)",
                        params![name],
                    )?;
                    tx.execute(
                        "INSERT INTO grants (user_name, role, scope) VALUES ($1, $2, $3)",
                        params![name, role, scope],
                    )?;
                }
                Ok::<_, StoreError>(())
            })
            .await
            .unwrap();
        let nodes = Nodes::open(folder.path(), store.clone(), Clock::system()).await.unwrap();
        let live = Live::new(nodes.clone(), stop.clone());
        let centre = Centre::new(Parts {
            data: folder.path().into(),
            store,
            clock: Clock::system(),
            doorkeeper: Doorkeeper::new().unwrap(),
            nodes: nodes.clone(),
            live,
            evidence: crate::evidence::Evidence::new(
                crate::evidence::key::EvidenceKey::generate().unwrap(),
                folder.path().into(),
            ),
            viewings: crate::recordings::Viewings::default(),
            kept: crate::recordings::kept::Kept::new(
                folder.path().join(crate::recordings::kept::FOLDER),
                crate::recordings::kept::Limits::default(),
            ),
            copies: crate::recordings::copy::Copies::new(1),
            outlooks: crate::queue::Outlooks::default(),
            webhooks: crate::webhooks::Secrets::open(folder.path()).unwrap(),
            stop: stop.clone(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let nodes_at = listener.local_addr().unwrap();
        let names = ["127.0.0.1".to_owned()];
        tokio::spawn({
            let stop = stop.clone();
            async move { serve(nodes, listener, &names, stop).await.unwrap() }
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let site_at = listener.local_addr().unwrap();
        let (router, _) = crate::live::routes().split_for_parts();
        let router = axum::Router::new().nest("/api/v1", router).with_state(centre.clone());
        tokio::spawn(async move {
            axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await.unwrap()
        });
        Self { centre, nodes_at, site_at, _folder: folder }
    }

    /// A signed-in person's cookie.
    pub(crate) async fn cookie(&self, name: &'static str) -> String {
        let token = format!("{name:a>43}");
        let hash = control_protocol::Digest::of(token.as_bytes());
        let now = self.centre.clock.now();
        self.centre
            .store
            .write("test", move |tx| {
                tx.execute(
                    "INSERT INTO sessions (token_hash, user_name, created_at, seen_at, address) VALUES ($1, $2, $3, $3, 't') \
                     ON CONFLICT (token_hash) DO NOTHING",
                    params![hash, name, now],
                )
            })
            .await
            .unwrap();
        format!("__Host-hallwatch={token}")
    }

    pub(crate) async fn code(&self, hall: HallId) -> String {
        let now: UtcMillis = self.centre.clock.now();
        pairing::issue(&self.centre.store, hall, "test".into(), now).await.unwrap().code.reveal()
    }

    /// A connection to the node listener, with an identity or without.
    pub(crate) async fn dial(&self, identity: Option<&Edge>) -> std::io::Result<TlsStream<TcpStream>> {
        connect(self.nodes_at, self.centre.nodes.ca().der(), identity).await
    }

    /// One request on a connection of its own: the status and the body.
    pub(crate) async fn request(
        &self,
        identity: Option<&Edge>,
        method: &str,
        path: &str,
        body: &[u8],
    ) -> std::io::Result<(u16, String)> {
        self.request_with(identity, method, path, "", body).await
    }

    /// The same with further header lines, each with its end.
    pub(crate) async fn request_with(
        &self,
        identity: Option<&Edge>,
        method: &str,
        path: &str,
        headers: &str,
        body: &[u8],
    ) -> std::io::Result<(u16, String)> {
        let mut stream = self.dial(identity).await?;
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: centre\r\ncontent-type: application/json\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(body).await?;
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer).await;
        let text = String::from_utf8_lossy(&answer).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            return Err(read.err().unwrap_or_else(|| std::io::Error::other("no answer")));
        };
        Ok((head[9..12].parse().unwrap(), body.to_owned()))
    }
}

async fn connect(
    at: SocketAddr,
    ca: &CertificateDer<'static>,
    identity: Option<&Edge>,
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(ca.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = match identity {
        Some(edge) => {
            let chain = vec![CertificateDer::from_pem_slice(edge.certificate.as_bytes()).unwrap()];
            let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(edge.key.serialize_der()));
            config.with_client_auth_cert(chain, key).unwrap()
        }
        None => config.with_no_client_auth(),
    };
    let stream = TcpStream::connect(at).await?;
    let name = ServerName::try_from("127.0.0.1").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

/// An edge of `hall`.
pub(crate) struct Edge {
    pub(crate) hall: HallId,
    pub(crate) key: KeyPair,
    pub(crate) certificate: String,
}

pub(crate) type Socket = WebSocketStream<TlsStream<TcpStream>>;

impl Edge {
    /// Asks for a certificate with `code`; the status and the problem's words where there is none.
    pub(crate) async fn enrol(rig: &Rig, hall: HallId, code: &str) -> Result<Self, (u16, String)> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let csr = CertificateParams::default().serialize_request(&key).unwrap().pem().unwrap();
        let body =
            serde_json::json!({"code": code, "hall": hall, "csr_pem": csr, "version": "1"}).to_string();
        let (status, answer) = rig.request(None, "POST", "/node/v1/enrol", body.as_bytes()).await.unwrap();
        if status != 200 {
            return Err((status, answer));
        }
        let enrolled: Enrolled = serde_json::from_str(&answer).unwrap();
        assert_eq!(enrolled.ca_pem, rig.centre.nodes.ca().pem());
        Ok(Self { hall, key, certificate: enrolled.certificate_pem })
    }

    pub(crate) async fn of(rig: &Rig, hall: HallId) -> Self {
        let code = rig.code(hall.clone()).await;
        Self::enrol(rig, hall, &code).await.unwrap()
    }

    pub(crate) async fn socket(&self, rig: &Rig, path: &str) -> Socket {
        let stream = rig.dial(Some(self)).await.unwrap();
        tokio_tungstenite::client_async(format!("wss://127.0.0.1{path}"), stream).await.unwrap().0
    }

    /// The same from an address and an authority, for a task that outlives the test's hold of the rig.
    pub(crate) async fn dial(&self, at: SocketAddr, ca: CertificateDer<'static>, path: &str) -> Socket {
        let stream = connect(at, &ca, Some(self)).await.unwrap();
        tokio_tungstenite::client_async(format!("wss://127.0.0.1{path}"), stream).await.unwrap().0
    }

    /// A command channel, with its hello said.
    pub(crate) async fn channel(&self, rig: &Rig, boot: &str) -> Socket {
        let mut socket = self.socket(rig, "/node/v1/commands").await;
        say(&mut socket, &hello(self, boot)).await;
        socket
    }
}

/// The first text of a channel.
pub(crate) fn hello(edge: &Edge, boot: &str) -> ToCentre {
    ToCentre::Hello { hall: edge.hall.clone(), version: "1".into(), boot: boot.into(), utc_ms: 0 }
}

pub(crate) async fn say(socket: &mut Socket, text: &ToCentre) {
    socket.send(Message::text(serde_json::to_string(text).unwrap())).await.unwrap();
}

/// The next text of the centre, `None` when it has closed the channel. Whom to trust it says to every channel, and is
/// passed over.
pub(crate) async fn hear(socket: &mut Socket) -> Option<ToEdge> {
    loop {
        match hear_all(socket).await {
            Some(ToEdge::Authorities { .. }) => {}
            heard => return heard,
        }
    }
}

/// The same with all that it says.
pub(crate) async fn hear_all(socket: &mut Socket) -> Option<ToEdge> {
    loop {
        match socket.next().await? {
            Ok(Message::Text(text)) => return Some(serde_json::from_str(&text).unwrap()),
            Ok(Message::Close(_)) | Err(_) => return None,
            Ok(_) => {}
        }
    }
}

/// The next lease asked for: its id, camera, tier and number.
pub(crate) async fn lease(socket: &mut Socket) -> (String, String, Tier, StreamId) {
    loop {
        match hear(socket).await.expect("the channel stands") {
            ToEdge::Lease { lease, camera, tier, stream, .. } => {
                return (lease.to_string(), camera.to_string(), tier, stream);
            }
            ToEdge::Renew { .. } => {}
            other => panic!("{other:?}"),
        }
    }
}

pub(crate) fn message(kind: Kind, key: bool, tier: Tier, stream: StreamId, n: i64, payload: &[u8]) -> Bytes {
    Header {
        kind,
        key,
        discontinuity: false,
        tier,
        stream,
        pts_us: n * 40_000,
        captured_us: 1_795_000_000_000_000 + n * 40_000,
    }
    .message(payload)
}
