//! One SOAP call to one camera, over plain HTTP.
//!
//! Owns the connection, its limits and both ways of saying a password (UsernameToken, HTTP digest). The password is in no
//! URL, no log line and no error.

use std::{fmt, sync::Mutex, time::Duration};

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_auth::PasswordClient;
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use ring::rand::{SecureRandom, SystemRandom};
use tokio::net::TcpStream;
use url::Url;

use super::soap::{self, ANSWER_LIMIT, Answer, AnswerError};
use crate::clock::UtcClock;

/// How long one call may take, dialling included.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// A user of a camera.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    /// User.
    pub user: String,
    /// Password.
    pub password: String,
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential").field("user", &self.user).field("password", &"(hidden)").finish()
    }
}

/// Why a camera could not be asked. Texts never contain the password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OnvifError {
    /// The address cannot be used.
    #[error("{0} is no http address of a camera")]
    Address(String),
    /// Nobody answers there.
    #[error("the camera cannot be reached: {0}")]
    Connect(String),
    /// It took too long.
    #[error("the camera did not answer in time")]
    Timeout,
    /// It wants a user and password, and none was given.
    #[error("the camera asks for a user and password")]
    NeedsCredential,
    /// Wrong user or password. Do not try again by program: cameras lock the user after a few wrong ones.
    #[error("the camera refuses the user or password{}", if *.time_known { "" } else { "; its clock is not known, and if it is far off that is refused too" })]
    Unauthorized {
        /// The camera told its time, so that the clock is not the reason.
        time_known: bool,
    },
    /// It answers HTTP, but not ONVIF.
    #[error("no ONVIF there: {0}")]
    NotOnvif(String),
    /// It answers a call with a fault.
    #[error("the camera does not do {call}: {why}")]
    Fault {
        /// The call.
        call: &'static str,
        /// The camera's reason.
        why: String,
    },
}

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call<'a> {
    /// Its name, such as `GetProfiles`.
    pub(super) name: &'static str,
    /// Its namespace.
    pub(super) namespace: &'static str,
    /// XML inside the call's element.
    pub(super) content: &'a str,
}

/// Asks one camera.
pub struct Caller<'a> {
    credential: Option<&'a Credential>,
    clock: &'a dyn UtcClock,
    /// The camera's clock minus ours, once it is known.
    offset: Option<jiff::SignedDuration>,
    /// Set once the camera has asked for HTTP digest.
    digest: Mutex<Option<PasswordClient>>,
    refused: bool,
}

struct Reply {
    status: StatusCode,
    challenges: Vec<String>,
    body: String,
}

impl<'a> Caller<'a> {
    /// Asks with this user, or with none.
    pub fn new(credential: Option<&'a Credential>, clock: &'a dyn UtcClock) -> Self {
        Self { credential, clock, offset: None, digest: Mutex::new(None), refused: false }
    }

    pub(super) fn set_offset(&mut self, offset: jiff::SignedDuration) {
        self.offset = Some(offset);
    }

    /// The text of the answer to a call; no fault is in it.
    pub(super) async fn call(&mut self, url: &Url, call: Call<'_>) -> Result<String, OnvifError> {
        if self.refused {
            // One refusal is enough: a program that goes on locks the user out.
            return Err(self.unauthorized());
        }
        let mut reply = self.post(url, call, self.credential).await?;
        let mut outcome = judge(&reply);
        let wants_digest = reply.status == StatusCode::UNAUTHORIZED
            && self.credential.is_some()
            && self.digest_of(&reply.challenges);
        if wants_digest {
            reply = self.post(url, call, self.credential).await?;
            outcome = judge(&reply);
        }
        match outcome {
            Ok(()) => Ok(reply.body),
            Err(AnswerError::NotAuthorized) if self.credential.is_none() => Err(OnvifError::NeedsCredential),
            Err(AnswerError::NotAuthorized) => {
                self.refused = true;
                Err(self.unauthorized())
            }
            Err(AnswerError::Fault(why)) => Err(OnvifError::Fault { call: call.name, why }),
            Err(AnswerError::Unreadable(why)) => Err(OnvifError::NotOnvif(why)),
        }
    }

    /// A call without the user, for what cameras tell everybody; does not count as a refusal.
    pub(super) async fn open_call(&self, url: &Url, call: Call<'_>) -> Result<String, OnvifError> {
        let reply = self.post(url, call, None).await?;
        match judge(&reply) {
            Ok(()) => Ok(reply.body),
            Err(AnswerError::NotAuthorized) => Err(OnvifError::NeedsCredential),
            Err(AnswerError::Fault(why)) => Err(OnvifError::Fault { call: call.name, why }),
            Err(AnswerError::Unreadable(why)) => Err(OnvifError::NotOnvif(why)),
        }
    }

    fn unauthorized(&self) -> OnvifError {
        OnvifError::Unauthorized { time_known: self.offset.is_some() }
    }

    /// Takes the camera's challenge; `true` if it is one we can answer and have not answered yet.
    fn digest_of(&self, challenges: &[String]) -> bool {
        let mut digest = self.digest.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let first = digest.is_none();
        // Basic would say the password in clear.
        let client = challenges
            .iter()
            .filter(|c| c.trim_start().get(..6).is_some_and(|s| s.eq_ignore_ascii_case("digest")))
            .find_map(|c| PasswordClient::try_from(c.as_str()).ok());
        match client {
            // A new nonce for an old one is no refusal either, but one round is all that is tried.
            Some(client) => {
                *digest = Some(client);
                first
            }
            None => false,
        }
    }

    fn authorization(&self, url: &Url) -> Option<String> {
        let credential = self.credential?;
        let mut digest = self.digest.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        digest
            .as_mut()?
            .respond(&http_auth::PasswordParams {
                username: &credential.user,
                password: &credential.password,
                uri: url.path(),
                method: "POST",
                body: Some(&[]),
            })
            .ok()
    }

    async fn post(
        &self,
        url: &Url,
        call: Call<'_>,
        as_user: Option<&Credential>,
    ) -> Result<Reply, OnvifError> {
        let header = match as_user {
            Some(credential) => {
                let mut nonce = [0u8; 16];
                SystemRandom::new()
                    .fill(&mut nonce)
                    .map_err(|_| OnvifError::Connect("this machine gives no random numbers".to_owned()))?;
                let now = self.clock.utc_now();
                let created = now.checked_add(self.offset.unwrap_or_default()).unwrap_or(now);
                soap::security_header(&credential.user, &credential.password, &nonce, created)
            }
            None => String::new(),
        };
        let Call { name, namespace, content } = call;
        let body = soap::envelope(&header, &format!("<{name} xmlns=\"{namespace}\">{content}</{name}>"));
        let authorization = as_user.and_then(|_| self.authorization(url));
        let request = Request::builder()
            .method(Method::POST)
            .uri(url.path())
            .header(header::HOST, host_of(url))
            .header(
                header::CONTENT_TYPE,
                format!("application/soap+xml; charset=utf-8; action=\"{namespace}/{name}\""),
            )
            .header(header::CONNECTION, "close");
        let request = match authorization {
            Some(value) => request.header(header::AUTHORIZATION, value),
            None => request,
        };
        let request =
            request.body(Full::new(Bytes::from(body))).map_err(|_| OnvifError::Address(url.to_string()))?;
        tokio::time::timeout(CALL_TIMEOUT, exchange(url, request))
            .await
            .map_err(|_elapsed| OnvifError::Timeout)?
    }
}

fn judge(reply: &Reply) -> Result<(), AnswerError> {
    if reply.status == StatusCode::UNAUTHORIZED {
        return Err(AnswerError::NotAuthorized);
    }
    match Answer::parse(&reply.body) {
        Ok(answer) => match answer.fault() {
            Some(fault) => Err(fault),
            None if reply.status.is_success() && answer.all("Body").next().is_some() => Ok(()),
            None => Err(AnswerError::Unreadable(format!("status {}", reply.status))),
        },
        Err(_) if !reply.status.is_success() => {
            Err(AnswerError::Unreadable(format!("status {}", reply.status)))
        }
        Err(error) => Err(error),
    }
}

fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

async fn exchange(url: &Url, request: Request<Full<Bytes>>) -> Result<Reply, OnvifError> {
    if url.scheme() != "http" {
        return Err(OnvifError::Address(url.to_string()));
    }
    let host = url.host_str().ok_or_else(|| OnvifError::Address(url.to_string()))?;
    let port = url.port_or_known_default().unwrap_or(80);
    let connect = |error: std::io::Error| OnvifError::Connect(crate::port::plain_reason(&error));
    let stream = TcpStream::connect((host.trim_matches(['[', ']']), port)).await.map_err(connect)?;
    let no_http = |error: hyper::Error| OnvifError::NotOnvif(format!("no HTTP ({error})"));
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(no_http)?;
    let asking = async {
        let reply = sender.send_request(request).await.map_err(no_http)?;
        let status = reply.status();
        let challenges = reply
            .headers()
            .get_all(header::WWW_AUTHENTICATE)
            .iter()
            .filter_map(|v| v.to_str().ok().map(str::to_owned))
            .collect();
        let body = Limited::new(reply.into_body(), ANSWER_LIMIT)
            .collect()
            .await
            .map_err(|_| OnvifError::NotOnvif("the answer breaks off or is too long".to_owned()))?
            .to_bytes();
        // Some cameras send names in GBK and call it UTF-8.
        let body = soap::declared(String::from_utf8_lossy(&body).into_owned());
        Ok(Reply { status, challenges, body })
    };
    // Both halves on this task: dropping the call drops the connection.
    let driving = async {
        let _ = connection.await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        reply = asking => reply,
        () = driving => Err(OnvifError::Timeout),
    }
}
