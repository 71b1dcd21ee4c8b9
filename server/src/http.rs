//! HTTP: tokens, limits, compression, CORS, streams and long pulls. [`crate::service`] decides the
//! content of the answers.

pub mod auth;
mod body;
pub mod connections;
mod dev;
mod held;
pub mod hub;
pub mod rate;
pub mod relay;
pub mod reply;
pub mod serve;
mod shares;
mod stream;
mod timed;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderName, HeaderValue, Method, Uri, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, post};
use datum_sync::model::protocol::PREFIX;
use tokio::sync::watch;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::{CompressionLayer, CompressionLevel};
use tower_http::cors::{AllowOrigin, CorsLayer};
use tower_http::decompression::RequestDecompressionLayer;
use tower_http::services::ServeDir;
use tower_http::timeout::RequestBodyTimeoutLayer;

use crate::rules::ServerError;
use crate::rules::store::Store;
use crate::service::{Reply, Service};
use auth::{Claims, Keys};
use connections::Limits;
use hub::Hub;
use rate::{Limiter, Rate};
use reply::{Refused, RequestIds};
use shares::{Shares, Turn};

/// How long a browser may cache the answer to a preflight request.
const PREFLIGHT: Duration = Duration::from_secs(7_200);
/// How long a body may stop arriving.
const BODY_IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// The largest body of a request that is no push.
const MAX_QUESTION: usize = 1 << 20;
/// The longest stream, however long its token is valid.
const MAX_STREAM: Duration = Duration::from_secs(86_400);

/// The operator's settings for HTTP.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The secret that tokens are signed with.
    pub secret: Vec<u8>,
    /// Issues tokens to anyone and allows pages of any loopback origin.
    pub dev: bool,
    /// The origins whose pages may send requests; `*` for any.
    pub allow_origins: Vec<String>,
    /// The rate limit of each user.
    pub rate: Rate,
    /// The limits on connections.
    pub connections: Limits,
    /// A folder to serve on `/`.
    pub static_dir: Option<PathBuf>,
    /// Sends answers uncompressed, for networks faster than compression.
    pub no_compression: bool,
}

/// The state that handlers share.
struct App<S> {
    service: Arc<Service<S>>,
    keys: Keys,
    hub: Hub,
    limiter: Limiter,
    shares: Shares,
    stopping: watch::Receiver<bool>,
}

impl<S> Clone for App<S> {
    fn clone(&self) -> Self {
        Self {
            service: self.service.clone(),
            keys: self.keys.clone(),
            hub: self.hub.clone(),
            limiter: self.limiter.clone(),
            shares: self.shares.clone(),
            stopping: self.stopping.clone(),
        }
    }
}

/// Builds the server as a tower service. Streams and long pulls end when `stopping` becomes true.
///
/// # Errors
/// Names an invalid option, in a sentence for the operator.
pub fn router<S: Store + 'static>(
    service: Service<S>,
    options: &Options,
    stopping: watch::Receiver<bool>,
) -> Result<Router, String> {
    router_with(service, options, hub(options), stopping)
}

/// Returns a hub for a server with these options.
#[must_use]
pub fn hub(options: &Options) -> Hub {
    // The other connections are for requests that are answered at once.
    Hub::new(options.connections.total.div_ceil(4).saturating_mul(3))
}

/// Builds the server with a hub that others know too.
///
/// # Errors
/// Those of [`router`].
pub fn router_with<S: Store + 'static>(
    service: Service<S>,
    options: &Options,
    hub: Hub,
    stopping: watch::Receiver<bool>,
) -> Result<Router, String> {
    let app = App {
        service: Arc::new(service),
        keys: Keys::new(&options.secret)?,
        hub,
        limiter: Limiter::new(options.rate),
        shares: Shares::default(),
        stopping,
    };
    let ids = Arc::new(RequestIds::new(serve::random_hex::<4>()?));
    let mut router = Router::new().route(&format!("{PREFIX}/{{*rest}}"), any(protocol::<S>));
    if options.dev {
        router = router.route("/dev/token", post(dev::token::<S>));
    }
    let router = match &options.static_dir {
        Some(folder) => router.fallback_service(ServeDir::new(folder)),
        None => router.fallback(not_found),
    };
    let router = router
        .with_state(app)
        .layer(RequestDecompressionLayer::new())
        .layer(RequestBodyTimeoutLayer::new(BODY_IDLE_TIMEOUT))
        .layer(CatchPanicLayer::new())
        .layer(from_fn_with_state(ids, reply::finish));
    // Pages are large and compressed for one client: the fastest level is most of the gain.
    let router = if options.no_compression {
        router
    } else {
        router.layer(CompressionLayer::new().quality(CompressionLevel::Fastest))
    };
    Ok(router
        .layer(cors(options))
        .layer(axum::middleware::from_fn(held::occupy)))
}

async fn not_found() -> Refused {
    ServerError::new(
        404,
        "notFound",
        format!("There is nothing at this path; the protocol lives under {PREFIX}."),
    )
    .into()
}

async fn protocol<S: Store + 'static>(
    State(app): State<App<S>>,
    request: Request,
) -> Result<Response, Refused> {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path();
    if parts.method == Method::GET && path.strip_prefix(PREFIX) == Some("/health") {
        return Ok(app.service.health(now_ms()).await?.into_response());
    }
    let claims = app.keys.authenticate(&parts.headers)?;
    app.limiter.take(&claims.sub, Instant::now())?;
    if parts.method == Method::GET && path.strip_prefix(PREFIX) == Some("/stream") {
        return Ok(app.open_stream(&claims)?);
    }
    let turn = app.shares.enter(&claims.sub).await?;
    let mut room = turn.room();
    let limit = match path.strip_prefix(PREFIX) {
        Some("/push") => app.service.config.max_body_bytes,
        _ => app.service.config.max_body_bytes.min(MAX_QUESTION),
    };
    let announced = parts.headers.get(header::CONTENT_LENGTH);
    let announced = announced.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    room.reserve(announced.unwrap_or_default().min(limit))
        .await?;
    let connection = held::connection(&parts.extensions);
    let body = body::read(body, limit, Some(&mut room), connection.as_deref()).await?;
    let work = async move {
        let answered = app
            .answer(&claims.sub, &parts.method, &parts.uri, &body, turn)
            .await;
        drop(room);
        answered
    };
    // A separate task, so that a client that disconnects does not cancel a transaction.
    let (reply, turn) = tokio::spawn(work).await.map_err(ServerError::internal)??;
    // A client that is slow to read has its user's places, and nobody else's.
    Ok(held::hold(reply.into_response(), turn))
}

impl<S: Store + 'static> App<S> {
    fn open_stream(&self, claims: &Claims) -> Result<Response, ServerError> {
        let left =
            Duration::try_from_secs_f64(claims.exp - serve::seconds(now_ms())).unwrap_or_default();
        let until = later(left.min(MAX_STREAM));
        Ok(stream::stream(
            self.hub.subscribe(&claims.sub)?,
            self.stopping.clone(),
            until,
        ))
    }

    async fn answer(
        mut self,
        user: &str,
        method: &Method,
        uri: &Uri,
        body: &[u8],
        turn: Turn,
    ) -> Result<(Reply, Option<Turn>), ServerError> {
        let mut turn = Some(turn);
        let may_wait = method == Method::POST && uri.path().strip_prefix(PREFIX) == Some("/pull");
        let target = uri
            .path_and_query()
            .map_or(uri.path(), PathAndQuery::as_str);
        let wait = Duration::from_millis(if may_wait {
            self.service.wait_ms(body)
        } else {
            0
        });
        let until = later(wait);
        // Subscribes before the first pull, so that no change is missed in between.
        let mut changes = (!wait.is_zero())
            .then(|| self.hub.subscribe(user))
            .transpose()?;
        let writes = method != Method::GET && uri.path().strip_prefix(PREFIX) != Some("/pull");
        let writing = match &turn {
            Some(turn) if writes => Some(turn.write(body.len()).await),
            _ => None,
        };
        loop {
            let reply = self
                .service
                .handle(user, method.as_str(), target, body, now_ms())
                .await?;
            if reply.changed {
                self.hub.tell(user);
            }
            for other in &reply.others {
                self.hub.tell(other);
            }
            let Some(changes) = changes.as_mut().filter(|_| reply.idle) else {
                drop(writing);
                return Ok((reply, turn));
            };
            // Those who wait have places of their own, in the hub.
            turn = None;
            tokio::select! {
                biased;
                _ = self.stopping.wait_for(|stop| *stop) => return Ok((reply, turn)),
                () = tokio::time::sleep_until(until) => return Ok((reply, turn)),
                changed = changes.changed() => if changed.is_err() { return Ok((reply, turn)) },
            }
        }
    }
}

fn cors(options: &Options) -> CorsLayer {
    let allowed: Vec<String> = options
        .allow_origins
        .iter()
        .map(|origin| origin.trim_end_matches('/').to_owned())
        .collect();
    let dev = options.dev;
    let origins = AllowOrigin::predicate(move |origin: &HeaderValue, _| {
        let Ok(origin) = origin.to_str() else {
            return false;
        };
        allowed.iter().any(|one| one == "*" || one == origin)
            || dev && dev::is_loopback_origin(origin)
    });
    CorsLayer::new()
        .allow_origin(origins)
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::DELETE])
        .allow_headers([
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            header::CONTENT_ENCODING,
            header::ACCEPT,
            HeaderName::from_static("last-event-id"),
        ])
        .expose_headers([
            header::RETRY_AFTER,
            header::DATE,
            HeaderName::from_static(reply::REQUEST_ID),
        ])
        .max_age(PREFLIGHT)
}

/// Returns the time in milliseconds since 1970.
fn now_ms() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn later(wait: Duration) -> tokio::time::Instant {
    let now = tokio::time::Instant::now();
    now.checked_add(wait).unwrap_or(now)
}
