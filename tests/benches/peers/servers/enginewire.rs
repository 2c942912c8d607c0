//! Enginewire as its first example shows it, on each runtime.

use std::io;
use std::time::Duration;

use async_executor::Executor;
use async_global_executor::GlobalExecutorConfig;
use async_std::task;
use enginewire_async_std::AsyncStd;
use enginewire_driver::{Runtime, Server, ServerBuilder, Socket};
use enginewire_smol::Smol;
use enginewire_tests::tls::Authority;
use enginewire_tokio::Tokio;

use super::{LOOPBACK, Ready, on_tokio, serve_axum};
use crate::Result;

pub(super) fn tokio(ready: Ready) -> Result<()> {
    on_tokio(async { serve(Tokio::default(), ready).await })
}

pub(super) fn tokio_handler(ready: Ready) -> Result<()> {
    on_tokio(async {
        let server = ServerBuilder::on(Tokio::default())
            .handler(|socket, _| echo(socket))
            .bind(LOOPBACK)
            .await?;
        run(&server, ready).await
    })
}

/// The same, as a layer of axum.
pub(super) async fn behind_axum(ready: Ready) -> io::Result<()> {
    let server = ServerBuilder::on(Tokio::default()).handler(|socket, _| echo(socket)).start()?;
    serve_axum(ready, ::axum::Router::new().layer(server.layer())).await
}

pub(super) fn tokio_tls(ready: Ready) -> Result<()> {
    on_tokio(async {
        let authority = Authority::default();
        let server = ServerBuilder::on(Tokio::default())
            .tls(authority.server(&authority.issue(&["localhost"])))
            // A ping would stand between echoes.
            .ping_interval(Duration::from_secs(3600))
            .handler(|socket, _| echo(socket))
            .bind(LOOPBACK)
            .await?;
        run(&server, ready).await
    })
}

pub(super) fn tokio_handler_broadcast(ready: Ready) -> Result<()> {
    on_tokio(async {
        let builder =
            ServerBuilder::on(Tokio::default()).handler(|mut socket, server| async move {
                while let Some(message) = socket.recv().await {
                    server.broadcast_all(message);
                }
            });
        run(&builder.bind(LOOPBACK).await?, ready).await
    })
}

/// Each message goes to all sessions.
pub(super) fn tokio_broadcast(ready: Ready) -> Result<()> {
    on_tokio(async move {
        let server = ServerBuilder::on(Tokio::default()).bind(LOOPBACK).await?;
        ready.send(server.local_addr()).map_err(io::Error::other)?;
        while let Some(mut socket) = server.accept().await {
            let server = server.handle();
            ::tokio::spawn(async move {
                while let Some(message) = socket.recv().await {
                    server.broadcast_all(message);
                }
            });
        }
        Ok(())
    })
}

pub(super) fn smol(ready: Ready) -> Result<()> {
    static EXECUTOR: Executor<'static> = Executor::new();
    let runtime = Smol::spawning(|task| EXECUTOR.spawn(task).detach());
    Ok(async_io::block_on(EXECUTOR.run(serve(runtime, ready)))?)
}

pub(super) fn async_std(ready: Ready) -> Result<()> {
    async_global_executor::init_with_config(GlobalExecutorConfig::default().with_min_threads(1));
    Ok(task::block_on(task::spawn(serve(AsyncStd::default(), ready)))?)
}

async fn serve<R: Runtime>(runtime: R, ready: Ready) -> io::Result<()> {
    let server = ServerBuilder::on(runtime.clone()).bind(LOOPBACK).await?;
    ready.send(server.local_addr()).map_err(io::Error::other)?;
    while let Some(socket) = server.accept().await {
        runtime.spawn(echo(socket));
    }
    Ok(())
}

/// Until the server is closed, which is never.
async fn run(server: &Server, ready: Ready) -> io::Result<()> {
    ready.send(server.local_addr()).map_err(io::Error::other)?;
    while server.accept().await.is_some() {}
    Ok(())
}

async fn echo(mut socket: Socket) {
    while let Some(message) = socket.recv().await {
        if socket.send(message).await.is_err() {
            break;
        }
    }
}
