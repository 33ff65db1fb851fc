//! `/metrics` of a process that serves nothing else, such as a follower of a log: open to everybody,
//! so keep its address private.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use actix_web::dev::Server;
use actix_web::{App, HttpResponse, HttpServer, web};
use metrics_exporter_prometheus::PrometheusHandle;

/// Binds `listen`; `refresh` sets the gauges that nobody pushes. Run what is returned.
///
/// # Errors
/// The address cannot be had.
pub fn serve_metrics(
    listen: SocketAddr,
    metrics: PrometheusHandle,
    refresh: Arc<dyn Fn() + Send + Sync>,
) -> io::Result<(Vec<SocketAddr>, Server)> {
    let server = HttpServer::new(move || {
        let (metrics, refresh) = (metrics.clone(), Arc::clone(&refresh));
        let render = move || {
            refresh();
            let body = metrics.render();
            async move {
                let media_type = "text/plain; version=0.0.4; charset=utf-8";
                HttpResponse::Ok().content_type(media_type).body(body)
            }
        };
        App::new().route("/metrics", web::get().to(render))
    });
    let server = server.workers(1).disable_signals().shutdown_timeout(1).bind(listen)?;
    let addresses = server.addrs();
    Ok((addresses, server.run()))
}
