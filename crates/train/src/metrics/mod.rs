//! stub
pub(crate) mod draw;
