// The script of a page that uses Sentry's SDK as its documentation shows it.
import * as Sentry from "@sentry/browser";

Sentry.init({ dsn: document.currentScript.dataset.dsn, release: "shop@1.2.3", environment: "test" });
