//! The endpoint: one runtime of its own, one path a broker and question.

use super::asked::{Manner, answer, field, login};
use super::judge::{Decision, Judge};
use crate::backends::Refusal;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// The longest body, in bytes: a user name and a password of MQTT's full length, escaped.
const MAX_BODY: usize = 512 << 10;

/// The running endpoint; it ends when this is dropped.
pub struct Server {
    runtime: Option<Runtime>,
}

impl Server {
    /// Binds the address and answers from then on.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub fn start(address: SocketAddr, judge: Arc<Judge>) -> Result<Self, Refusal> {
        let refuse = |error: std::io::Error| {
            Refusal::new(
                format!("http_verifier cannot listen on {address}: {error}"),
                "choose a free address in [http_verifier] listen",
            )
        };
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().map_err(refuse)?;
        let listener = runtime.block_on(TcpListener::bind(address)).map_err(refuse)?;
        runtime.spawn(async move { axum::serve(listener, router(judge)).await });
        Ok(Self { runtime: Some(runtime) })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// All paths.
pub fn router(judge: Arc<Judge>) -> Router {
    Router::new()
        .route("/emqx", post(|state, body| ask(Manner::Emqx, state, body)))
        .route("/rabbitmq/user", post(|state, body| ask(Manner::RabbitMq, state, body)))
        .route("/rabbitmq/vhost", post(known))
        .route("/rabbitmq/resource", post(known))
        .route("/rabbitmq/topic", post(topic))
        .route("/vernemq", post(vernemq))
        .route("/rmqtt", post(|state, body| ask(Manner::Rmqtt, state, body)))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(judge)
}

type Asked = State<Arc<Judge>>;

async fn ask(manner: Manner, State(judge): Asked, body: Bytes) -> Response {
    // The journal may wait for the disk.
    let judged = tokio::task::spawn_blocking(move || match login(&body) {
        Ok(login) => {
            judge.login(&login.user, &login.password).map_err(|refusal| (StatusCode::SERVICE_UNAVAILABLE, refusal.to_string()))
        }
        Err(unreadable) => Err((StatusCode::BAD_REQUEST, unreadable.to_string())),
    });
    match judged.await {
        Ok(Ok(decision)) => worded(manner, decision),
        Ok(Err(error)) => error.into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// VerneMQ sends the question's name in a header; other hooks are not ours.
async fn vernemq(state: Asked, headers: HeaderMap, body: Bytes) -> Response {
    let is_register = headers.get("vernemq-hook").is_none_or(|hook| hook == "auth_on_register" || hook == "auth_on_register_m5");
    if is_register { ask(Manner::VerneMq, state, body).await } else { worded(Manner::VerneMq, Decision::Pass) }
}

/// RabbitMQ asks what a user may do: ours may, the broker's own backends decide for the others.
async fn known(State(judge): Asked, body: Bytes) -> Response {
    let user = field(&body, "username").map(|user| String::from_utf8_lossy(&user).into_owned()).unwrap_or_default();
    let known = tokio::task::spawn_blocking(move || judge.knows(&user));
    match known.await {
        Ok(Ok(true)) => worded(Manner::RabbitMq, Decision::Allow),
        Ok(Ok(false)) => worded(Manner::RabbitMq, Decision::Deny),
        Ok(Err(refusal)) => (StatusCode::SERVICE_UNAVAILABLE, refusal.to_string()).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// As above; a question about writing shows that the device publishes.
async fn topic(state: Asked, body: Bytes) -> Response {
    if field(&body, "permission").is_some_and(|permission| permission[..] == *b"write")
        && let Some(user) = field(&body, "username")
    {
        let judge = state.0.clone();
        let user = String::from_utf8_lossy(&user).into_owned();
        let _ = tokio::task::spawn_blocking(move || judge.published(&user)).await; // What it does not keep it remembers.
    }
    known(state, body).await
}

fn worded(manner: Manner, decision: Decision) -> Response {
    let (kind, body) = answer(manner, decision);
    ([(header::CONTENT_TYPE, kind)], body).into_response()
}
