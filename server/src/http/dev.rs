//! Development mode: a token for whoever asks. Only on a server that listens on loopback, and only
//! for requests that were meant for loopback.

use axum::extract::{Request, State};
use axum::http::{Uri, header};
use axum::response::{IntoResponse, Response};
use datum_sync::model::entity::check_id;
use serde::Deserialize;
use serde_json::json;

use super::auth::Claims;
use super::reply::Refused;
use super::{App, body, now_ms, serve};
use crate::rules::ServerError;
use crate::service::Reply;

/// How long a token lives unless asked otherwise, in seconds.
const DEFAULT_LIFE_S: f64 = 3_600.0;
/// The largest body.
const MAX_BODY: usize = 4_096;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wish {
    user_id: String,
    expires_in_seconds: Option<f64>,
}

/// `POST /dev/token {userId, expiresInSeconds?}`.
pub async fn token(State(app): State<App>, request: Request) -> Result<Response, Refused> {
    let (parts, body) = request.into_parts();
    // A page elsewhere can point a name of its own at 127.0.0.1; the name that it asked for gives
    // it away.
    let host = parts
        .headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .unwrap_or_default();
    let origin = parts
        .headers
        .get(header::ORIGIN)
        .map(|origin| origin.to_str().unwrap_or_default());
    if !is_loopback_host(host) || origin.is_some_and(|origin| !is_loopback_origin(origin)) {
        return Err(ServerError::new(
            403,
            "forbidden",
            "Tokens are minted for loopback addresses only.",
        )
        .into());
    }
    let bytes = body::read(body, MAX_BODY).await?;
    let wish: Wish = serde_json::from_slice(&bytes).map_err(|e| {
        ServerError::bad_request(format!("The body is not a wish for a token: {e}"))
    })?;
    check_id(&wish.user_id)
        .map_err(|e| ServerError::bad_request(format!("`userId`: {}", e.message())))?;
    let life = wish.expires_in_seconds.unwrap_or(DEFAULT_LIFE_S);
    let claims = Claims {
        sub: wish.user_id,
        exp: (serve::seconds(now_ms()) + life).floor(),
    };
    let token = app.keys.mint(&claims)?;
    let body = json!({ "token": token, "userId": claims.sub, "expiresAt": claims.exp })
        .to_string()
        .into_bytes();
    Ok(Reply {
        body,
        changed: false,
        idle: false,
    }
    .into_response())
}

/// Whether a page of this origin lives on this machine.
pub fn is_loopback_origin(origin: &str) -> bool {
    origin
        .strip_prefix("http://")
        .or_else(|| origin.strip_prefix("https://"))
        .is_some_and(is_loopback_host)
}

fn is_loopback_host(authority: &str) -> bool {
    let Ok(uri) = format!("http://{authority}/").parse::<Uri>() else {
        return false;
    };
    let host = uri
        .host()
        .unwrap_or_default()
        .trim_start_matches('[')
        .trim_end_matches(']');
    let named =
        host.eq_ignore_ascii_case("localhost") || host.to_ascii_lowercase().ends_with(".localhost");
    let alone = !authority.contains('@')
        && uri
            .authority()
            .is_some_and(|whole| whole.as_str() == authority);
    alone
        && (named
            || host
                .parse::<std::net::IpAddr>()
                .is_ok_and(|ip| ip.is_loopback()))
}
