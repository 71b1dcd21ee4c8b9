//! Runs the server: socket, periodic sweep, shutdown.

use std::future::Future;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::connections::{Gate, Limits, Peer};
use super::now_ms;
use crate::rules::store::Store;
use crate::service::Service;

/// How often expired tombstones and applied operations are removed.
const SWEEP_EVERY: Duration = Duration::from_secs(3_600);
/// How long requests may take to finish once the server stops.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(10);

/// Serves until `end` resolves, then ends streams, lets requests finish, and returns.
///
/// # Errors
/// Errors of the socket.
pub async fn serve(
    listener: TcpListener,
    limits: Limits,
    router: Router,
    stopping: watch::Sender<bool>,
    end: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let mut stopped = stopping.subscribe();
    let gate = Gate::new(listener, limits);
    let router = router.into_make_service_with_connect_info::<Peer>();
    let ending = async move {
        end.await;
        tracing::info!("stopping");
        stopping.send_replace(true);
    };
    let overdue = async move {
        let _ = stopped.wait_for(|stop| *stop).await;
        tokio::time::sleep(SHUTDOWN_TIMEOUT).await;
    };
    tokio::select! {
        served = axum::serve(gate, router).with_graceful_shutdown(ending) => served,
        () = overdue => {
            tracing::warn!("some requests did not end in time");
            Ok(())
        }
    }
}

/// Sweeps now and every hour, until the task is dropped.
pub async fn sweep_periodically<S: Store>(service: Service<S>) {
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

/// Returns random bytes in hexadecimal, for epochs, request ids and development secrets.
///
/// # Errors
/// Fails if the system has no random numbers.
pub fn random_hex<const BYTES: usize>() -> Result<String, String> {
    let mut bytes = [0_u8; BYTES];
    getrandom::fill(&mut bytes)
        .map_err(|error| format!("The system gives no random numbers: {error}"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Returns a random UUID, for a server's id.
///
/// # Errors
/// Fails if the system has no random numbers.
pub fn random_uuid() -> Result<String, String> {
    let mut random = [0; 10];
    getrandom::fill(&mut random)
        .map_err(|error| format!("The system gives no random numbers: {error}"))?;
    Ok(datum_sync::util::uuid::uuid_v7(now_ms(), random))
}

/// Converts milliseconds to seconds.
#[must_use]
pub fn seconds(ms: u64) -> f64 {
    Duration::from_millis(ms).as_secs_f64()
}
