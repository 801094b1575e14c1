//! `/ui/apps`: the apps and keys of a workspace, and the forms that make and change them.
//!
//! They make the changes that the command line makes, and refuse them in its words. Each form is a page of its own, so that all
//! of it works without a script: `list` has the first page, `app_forms` and `key_forms` have those behind it.

mod app_forms;
pub(super) mod key_forms;
mod list;

use axum::Router;
use axum::routing::get;

use super::Dashboard;

/// The first of these pages.
pub(super) const PATH: &str = "/ui/apps";

/// All of these pages.
pub(super) fn routes() -> Router<Dashboard> {
    Router::new()
        .route(PATH, get(list::page_of))
        .route(app_forms::NEW, get(app_forms::new_page).post(app_forms::make))
        .route(
            app_forms::RENAME,
            get(app_forms::rename_page).post(app_forms::rename),
        )
        .route(
            app_forms::DELETE,
            get(app_forms::delete_page).post(app_forms::delete),
        )
        .route(key_forms::NEW, get(key_forms::new_page).post(key_forms::make))
        .route(
            key_forms::REVOKE,
            get(key_forms::revoke_page).post(key_forms::revoke),
        )
}
