//! The dashboard's own files: a style sheet, a script and a picture, whose names have a hash, so that a browser keeps them
//! for ever and still gets those of a newer version.

use std::sync::LazyLock;

use axum::body::Body;
use axum::extract::Path;
use axum::http::header::CACHE_CONTROL;
use axum::http::{HeaderValue, Response, StatusCode};
use sha2::{Digest as _, Sha256};

use super::respond;

/// A file.
pub(super) struct Asset {
    name: &'static str,
    kind: &'static str,
    content: &'static str,
    /// Where it is.
    pub(super) path: String,
}

impl Asset {
    fn new(name: &'static str, kind: &'static str, content: &'static str) -> Self {
        let hash = Sha256::digest(content.as_bytes());
        let hash: String = hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        Self {
            name,
            kind,
            content,
            path: format!("/ui/a/{hash}/{name}"),
        }
    }
}

/// How everything looks.
pub(super) static STYLE: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new(
        "style.css",
        "text/css; charset=utf-8",
        include_str!("assets/style.css"),
    )
});
/// What works only with a script.
pub(super) static SCRIPT: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new(
        "app.js",
        "text/javascript; charset=utf-8",
        include_str!("assets/app.js"),
    )
});
/// For the browser's tab.
pub(super) static ICON: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("icon.svg", "image/svg+xml", include_str!("assets/icon.svg")));

/// `GET /ui/a/{hash}/{name}`
pub(super) async fn asset(Path((_, name)): Path<(String, String)>) -> Response<Body> {
    let all: [&Asset; 3] = [&STYLE, &SCRIPT, &ICON];
    let Some(found) = all.into_iter().find(|asset| asset.name == name) else {
        return respond::answer(
            StatusCode::NOT_FOUND,
            "text/plain; charset=utf-8",
            "no such file\n",
        );
    };
    let mut response = respond::answer(StatusCode::OK, found.kind, found.content);
    // A page of an older version may ask for a hash that is gone: it gets what there is.
    let lasting = HeaderValue::from_static("public, max-age=31536000, immutable");
    response.headers_mut().insert(CACHE_CONTROL, lasting);
    response
}
