//! A browser by hand, for tests: requests with a session's cookie.

use axum::{Router, body::Body, response::Response};
use http::{Method, Request, StatusCode, header};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::assembly;
use crate::scene::{PASSWORD, Scene};

/// A browser by hand: requests with a session's cookie.
pub(crate) struct Browser {
    pub(super) site: Router,
    pub(super) cookie: Option<String>,
}

impl Browser {
    pub(crate) fn of(scene: &Scene) -> Self {
        Self { site: assembly::router(scene.centre.clone()), cookie: None }
    }

    pub(crate) async fn signed_in(scene: &Scene, name: &str) -> Self {
        let mut browser = Self::of(scene);
        let response =
            browser.ask(Method::POST, "/session", Some(json!({"name": name, "password": PASSWORD}))).await;
        assert_eq!(response.status(), StatusCode::OK);
        let cookie = response.headers()[header::SET_COOKIE].to_str().unwrap();
        for part in ["__Host-hallwatch=", "Secure", "HttpOnly", "SameSite=Strict", "Path=/"] {
            assert!(cookie.contains(part), "{cookie}");
        }
        browser.cookie = Some(cookie.split(';').next().unwrap().to_owned());
        browser
    }

    /// A browser in which somebody signed in once, and whose session is gone.
    pub(crate) async fn marked(scene: &Scene, name: &str) -> Self {
        let browser = Self::of(scene);
        let credentials = json!({"name": name, "password": PASSWORD});
        let response = browser.ask(Method::POST, "/session", Some(credentials)).await;
        let cookies = response.headers().get_all(header::SET_COOKIE).iter().map(|c| c.to_str().unwrap());
        let mark = cookies
            .filter_map(|cookie| cookie.split(';').next())
            .find(|c| c.starts_with("__Host-hallwatch-browser="));
        Self { cookie: mark.map(str::to_owned), ..browser }
    }

    pub(super) async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> Response {
        let mut request = Request::builder().method(method).uri(format!("/api/v1{path}"));
        if let Some(cookie) = &self.cookie {
            request = request.header(header::COOKIE, cookie);
        }
        let request = match body {
            Some(body) => {
                request.header(header::CONTENT_TYPE, "application/json").body(Body::from(body.to_string()))
            }
            None => request.body(Body::empty()),
        };
        self.site.clone().oneshot(request.unwrap()).await.unwrap()
    }

    pub(crate) async fn json(&self, method: Method, path: &str, body: Option<Value>) -> (StatusCode, Value) {
        let response = self.ask(method, path, body).await;
        let status = response.status();
        let bytes = axum::body::to_bytes(response.into_body(), 10_000_000).await.unwrap();
        (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    /// A file, as it is sent.
    pub(crate) async fn file(&self, path: &str) -> Vec<u8> {
        let response = self.ask(Method::GET, path, None).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        axum::body::to_bytes(response.into_body(), 10_000_000).await.unwrap().to_vec()
    }

    pub(crate) async fn bytes(&self, method: Method, path: &str) -> (StatusCode, Vec<u8>) {
        let response = self.ask(method, path, None).await;
        let status = response.status();
        (status, axum::body::to_bytes(response.into_body(), 10_000_000).await.unwrap().to_vec())
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let (status, value) = self.json(Method::GET, path, None).await;
        assert_eq!(status, StatusCode::OK, "{path}: {value}");
        value
    }

    /// Who is signed in, as a route meets them.
    pub(crate) async fn person(&self, scene: &Scene) -> crate::access::Person {
        let cookie = self.cookie.clone().unwrap();
        let request = Request::builder().uri("/").header(header::COOKIE, cookie).body(()).unwrap();
        let mut parts = request.into_parts().0;
        <crate::access::Person as axum::extract::FromRequestParts<crate::Centre>>::from_request_parts(
            &mut parts,
            &scene.centre,
        )
        .await
        .unwrap()
    }

    pub(crate) async fn status(&self, path: &str) -> StatusCode {
        self.ask(Method::GET, path, None).await.status()
    }
}
