//! What the page says that shows how to begin.

/// Texts of `/ui/start`.
#[derive(Debug)]
pub(in crate::dashboard) struct Start {
    pub(in crate::dashboard) title: &'static str,
    pub(in crate::dashboard) about: &'static str,
    /// An app's name.
    pub(in crate::dashboard) waiting: fn(&str) -> String,
    /// An app's name, how many sessions, and whether that is one.
    pub(in crate::dashboard) arrived: fn(&str, &str, bool) -> String,
    /// A moment, and where known the platform.
    pub(in crate::dashboard) first_began: fn(&str) -> String,
    pub(in crate::dashboard) counting: &'static str,
    pub(in crate::dashboard) open_overview: &'static str,
    pub(in crate::dashboard) look_again: &'static str,
    pub(in crate::dashboard) refused_meanwhile: &'static str,
    pub(in crate::dashboard) last_at: &'static str,
    pub(in crate::dashboard) only_from_here: &'static str,
    pub(in crate::dashboard) web_page: &'static str,
    pub(in crate::dashboard) web_page_hint: &'static str,
    pub(in crate::dashboard) sdk: &'static str,
    pub(in crate::dashboard) opentelemetry_hint: &'static str,
    pub(in crate::dashboard) sentry_hint: &'static str,
    pub(in crate::dashboard) by_hand: &'static str,
    pub(in crate::dashboard) by_hand_hint: &'static str,
    pub(in crate::dashboard) key_name_hint: &'static str,
    pub(in crate::dashboard) record_one: &'static str,
    pub(in crate::dashboard) count_them: &'static str,
}

pub(super) const ENGLISH: Start = Start {
    title: "Getting started",
    about: "Three ways to record sessions. One is enough.",
    waiting: |app| format!("Waiting for the first session of {app}…"),
    arrived: |app, sessions, one| match (sessions, one) {
        (_, true) => format!("The first session of {app} is here."),
        (sessions, false) => format!("{sessions} sessions of {app} are here."),
    },
    first_began: |moment| format!("The first one began on {moment}."),
    counting: "Sessions are here, and are being counted.",
    open_overview: "Open the overview",
    look_again: "Look again",
    refused_meanwhile: "Refused meanwhile, by any client of this server",
    last_at: "last at",
    only_from_here: "This address is reached from this machine alone. Elsewhere, use the server's own name: 'serve --listen' says where it \
                     listens, and --public-url what people call it.",
    web_page: "A web page",
    web_page_hint: "Put this line into every page. It sets no cookie.",
    sdk: "An app with an SDK",
    opentelemetry_hint: "OpenTelemetry: three variables point its logs here. The events session.start and session.end count.",
    sentry_hint: "Sentry: this is the DSN. SDKs track sessions by themselves.",
    by_hand: "By hand, or from your own server",
    by_hand_hint: "This needs a key, which is made here and shown once. It may record sessions and read their counts.",
    key_name_hint: "Name of the key",
    record_one: "Record a session:",
    count_them: "Count:",
};

pub(super) const SPANISH: Start = Start {
    title: "Primeros pasos",
    about: "Tres maneras de registrar sesiones. Basta con una.",
    waiting: |app| format!("Esperando la primera sesión de {app}…"),
    arrived: |app, sessions, one| match (sessions, one) {
        (_, true) => format!("La primera sesión de {app} ya está aquí."),
        (sessions, false) => format!("{sessions} sesiones de {app} ya están aquí."),
    },
    first_began: |moment| format!("La primera empezó el {moment}."),
    counting: "Ya hay sesiones, y se están contando.",
    open_overview: "Abrir el resumen",
    look_again: "Mirar otra vez",
    refused_meanwhile: "Rechazado entretanto, de cualquier cliente de este servidor",
    last_at: "la última vez a las",
    only_from_here: "A esta dirección solo se llega desde esta máquina. Desde otras, usa el nombre del servidor: 'serve --listen' dice dónde \
                     escucha, y --public-url cómo lo llama la gente.",
    web_page: "Una página web",
    web_page_hint: "Pon esta línea en todas las páginas. No usa cookies.",
    sdk: "Una app con un SDK",
    opentelemetry_hint: "OpenTelemetry: tres variables dirigen aquí sus registros. Cuentan los eventos session.start y session.end.",
    sentry_hint: "Sentry: este es el DSN. Los SDK siguen las sesiones por sí mismos.",
    by_hand: "A mano, o desde tu propio servidor",
    by_hand_hint: "Necesita una clave, que se crea aquí y se muestra una sola vez. Puede registrar sesiones y leer cuántas hay.",
    key_name_hint: "Nombre de la clave",
    record_one: "Registrar una sesión:",
    count_them: "Contar:",
};
