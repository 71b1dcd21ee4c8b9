//! A running server: its socket, its housekeeping, and its end.

use std::future::Future;
use std::time::Duration;

use axum::Router;
use axum::serve::ListenerExt as _;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::now_ms;
use crate::service::Service;
use crate::sqlite::SqliteStore;

/// How often old tombstones and operations are forgotten.
const SWEEP_EVERY: Duration = Duration::from_secs(3_600);
/// How long requests may take to end when the server is told to.
const LAST_ORDERS: Duration = Duration::from_secs(10);

/// Serves until `end` comes, then lets requests finish, ends streams, and returns.
///
/// # Errors
/// Those of the socket.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    stopping: watch::Sender<bool>,
    end: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let mut stopped = stopping.subscribe();
    // Answers are written whole; waiting for more to fill a packet only delays them.
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    let ending = async move {
        end.await;
        tracing::info!("stopping");
        stopping.send_replace(true);
    };
    let overdue = async move {
        let _ = stopped.wait_for(|stop| *stop).await;
        tokio::time::sleep(LAST_ORDERS).await;
    };
    tokio::select! {
        served = axum::serve(listener, router).with_graceful_shutdown(ending) => served,
        () = overdue => {
            tracing::warn!("some requests did not end in time");
            Ok(())
        }
    }
}

/// Forgets what is over, now and every hour, until the task is dropped.
pub async fn sweep_for_ever(service: Service<SqliteStore>) {
    let mut hours = tokio::time::interval(SWEEP_EVERY);
    loop {
        hours.tick().await;
        match service.sweep(now_ms()).await {
            Ok(swept) => tracing::info!(
                tombstones = swept.tombstones,
                operations = swept.operations,
                "swept"
            ),
            Err(error) => tracing::error!(%error, "the sweep failed"),
        }
    }
}

/// Random bytes as hexadecimal digits: an epoch, a mark, a secret for development.
///
/// # Errors
/// A sentence where the system has no randomness.
pub fn random_hex<const BYTES: usize>() -> Result<String, String> {
    let mut bytes = [0_u8; BYTES];
    getrandom::fill(&mut bytes)
        .map_err(|error| format!("The system gives no random numbers: {error}"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Milliseconds as seconds.
#[must_use]
pub fn seconds(ms: u64) -> f64 {
    Duration::from_millis(ms).as_secs_f64()
}
