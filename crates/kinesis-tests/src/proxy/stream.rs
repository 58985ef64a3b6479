//! Bodies of answers, and what goes wrong in them.
//!
//! Holds: an event of a subscription is passed on whole or not at all, unless the plan cuts its bytes.

use super::Broken;
use super::plan::Fault;
use super::tap::Tap;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use std::pin::Pin;
use tokio::sync::{mpsc, watch};

/// Of an answer.
pub(super) type Body = BoxBody<Bytes, Broken>;

/// Bytes that end by themselves.
pub(super) fn whole(bytes: Bytes) -> Body {
    Full::new(bytes).map_err(|never| match never {}).boxed()
}

/// The first bytes of a body; then its connection breaks.
pub(super) fn cut(body: Body, bytes_max: usize) -> Body {
    piped(move |to| async move {
        let mut body = body;
        let mut left = bytes_max;
        while let Some(Ok(frame)) = body.frame().await {
            let Ok(data) = frame.into_data() else { continue };
            let some = data.slice(..left.min(data.len()));
            left -= some.len();
            if to.send(Ok(Frame::data(some))).await.is_err() {
                return;
            }
            if left == 0 {
                break;
            }
        }
        let _ = to.send(Err(Broken)).await;
    })
}

/// A subscription's events, until the plan or another subscriber ends them.
pub(super) fn frames(
    body: Incoming,
    faults: &[Fault],
    mut ended: Option<watch::Receiver<bool>>,
    tap: Option<(Tap, String)>,
) -> Body {
    let faults = faults.to_vec();
    piped(move |to| async move {
        let mut body = body;
        let (mut pending, mut events, mut sent) = (Vec::new(), 0, 0);
        loop {
            let taken_over = async {
                match &mut ended {
                    // The sender lives as long as nobody took over.
                    Some(ended) => drop(ended.wait_for(|&is_ended| is_ended).await),
                    None => std::future::pending().await,
                }
            };
            let frame = tokio::select! {
                frame = body.frame() => frame,
                () = taken_over => return,
                // Whoever listened is gone: so is the subscription.
                () = to.closed() => return,
            };
            let data = match frame {
                None => return,
                Some(Err(_)) => {
                    let _ = to.send(Err(Broken)).await;
                    return;
                }
                Some(Ok(frame)) => frame.into_data().unwrap_or_default(),
            };
            pending.extend_from_slice(&data);
            while let Some(event) = take_event(&mut pending) {
                let is_event = event.windows(21).any(|name| name == b"SubscribeToShardEvent");
                for fault in &faults {
                    match fault {
                        Fault::ErrorEvent { events: at, code } if is_event && *at == events => {
                            let bytes =
                                ferrokinesis::event_stream::encode_exception(code, "the plan says so");
                            let _ = to.send(Ok(Frame::data(bytes.into()))).await;
                            return;
                        }
                        Fault::Silence { events: at } if is_event && *at == events => {
                            to.closed().await;
                            return;
                        }
                        Fault::Cut { bytes } if sent + event.len() > *bytes => {
                            let part = event[..bytes - sent].to_vec();
                            let _ = to.send(Ok(Frame::data(part.into()))).await;
                            let _ = to.send(Err(Broken)).await;
                            return;
                        }
                        // Of the call, or not yet.
                        _ => {}
                    }
                }
                events += usize::from(is_event);
                sent += event.len();
                let event = Bytes::from(event);
                if let Some((tap, stream)) = &tap {
                    tap.given_event(stream, event.clone());
                }
                if to.send(Ok(Frame::data(event))).await.is_err() {
                    return;
                }
            }
        }
    })
}

/// The first whole message of an event stream: its length stands in its first four bytes.
fn take_event(pending: &mut Vec<u8>) -> Option<Vec<u8>> {
    let length = u32::from_be_bytes(*pending.first_chunk()?) as usize;
    if length < 16 || pending.len() < length {
        return None;
    }
    let rest = pending.split_off(length);
    Some(std::mem::replace(pending, rest))
}

type Piece = Result<Frame<Bytes>, Broken>;

/// A body that a task of its own fills; it ends with the body.
fn piped<F>(fill: impl FnOnce(mpsc::Sender<Piece>) -> F) -> Body
where
    F: Future<Output = ()> + Send + 'static,
{
    let (to, from) = mpsc::channel(1);
    tokio::spawn(fill(to));
    BodyExt::boxed(StreamBody::new(Pieces(from)))
}

struct Pieces(mpsc::Receiver<Piece>);

impl futures_core::Stream for Pieces {
    type Item = Piece;

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Piece>> {
        self.0.poll_recv(context)
    }
}
