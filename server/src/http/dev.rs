//! Development mode: issues a token to anyone, but only if the server listens on loopback and the
//! request was addressed to loopback.

use axum::extract::{Request, State};
use axum::http::{Uri, header};
use axum::response::{IntoResponse, Response};
use datum_sync::model::entity::check_id;
use serde::Deserialize;
use serde_json::json;

use super::auth::Claims;
use super::reply::Refused;
use super::{App, body, held, now_ms, serve};
use crate::rules::ServerError;
use crate::rules::store::Store;
use crate::service::Reply;

/// How long a token is valid by default, in seconds.
const DEFAULT_LIFETIME_S: f64 = 3_600.0;
/// The largest body.
const MAX_BODY: usize = 4_096;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TokenRequest {
    user_id: String,
    expires_in_seconds: Option<f64>,
}

/// `POST /dev/token {userId, expiresInSeconds?}`.
pub async fn token<S: Store>(
    State(app): State<App<S>>,
    request: Request,
) -> Result<Response, Refused> {
    let (parts, body) = request.into_parts();
    // Any site can let its own name resolve to 127.0.0.1 (DNS rebinding); `Host` still has that
    // name.
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
            "Tokens are issued on loopback addresses only.",
        )
        .into());
    }
    let bytes = body::read(
        body,
        MAX_BODY,
        None,
        held::connection(&parts.extensions).as_deref(),
    )
    .await?;
    let asked: TokenRequest = serde_json::from_slice(&bytes).map_err(|e| {
        ServerError::bad_request(format!("The body is not a request for a token: {e}"))
    })?;
    check_id(&asked.user_id)
        .map_err(|e| ServerError::bad_request(format!("`userId`: {}", e.message())))?;
    let lifetime = asked.expires_in_seconds.unwrap_or(DEFAULT_LIFETIME_S);
    let claims = Claims {
        sub: asked.user_id,
        exp: (serve::seconds(now_ms()) + lifetime).floor(),
    };
    let token = app.keys.issue(&claims)?;
    let body = json!({ "token": token, "userId": claims.sub, "expiresAt": claims.exp })
        .to_string()
        .into_bytes();
    Ok(Reply {
        body,
        changed: false,
        others: Vec::new(),
        idle: false,
    }
    .into_response())
}

/// Returns whether an origin is on this machine.
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
    let is_localhost =
        host.eq_ignore_ascii_case("localhost") || host.to_ascii_lowercase().ends_with(".localhost");
    let has_no_more = !authority.contains('@')
        && uri
            .authority()
            .is_some_and(|whole| whole.as_str() == authority);
    has_no_more
        && (is_localhost
            || host
                .parse::<std::net::IpAddr>()
                .is_ok_and(|ip| ip.is_loopback()))
}
