//! Room for a copy of a whole store, for a moment: closed to other users, and gone when it is dropped.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use tempfile::TempDir;

use super::globals::Globals;
use crate::store::Place;

/// Beside the embedded store, where there is room for as much again, else where the system keeps such things.
pub(super) fn room(globals: &Globals) -> anyhow::Result<TempDir> {
    let mut builder = tempfile::Builder::new();
    builder.prefix("sessionmeter-");
    let beside = match &globals.store {
        Place::Directory(directory) => parent(directory),
        Place::ClickHouse(_) => None,
    };
    beside
        .and_then(|parent| builder.tempdir_in(parent).ok())
        .map_or_else(|| builder.tempdir(), Ok)
        .context("can't make a temporary directory")
}

fn parent(directory: &Path) -> Option<PathBuf> {
    let whole = std::path::absolute(directory).ok()?;
    Some(whole.parent()?.to_owned())
}
