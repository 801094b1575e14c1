//! What the page of the store says.

/// Texts of `/ui/store`.
#[derive(Debug)]
pub(in crate::dashboard) struct Store {
    pub(in crate::dashboard) title: &'static str,
    pub(in crate::dashboard) about: &'static str,
    pub(in crate::dashboard) is_ready: &'static str,
    pub(in crate::dashboard) is_not_ready: &'static str,
    pub(in crate::dashboard) is_damaged: &'static str,
    /// Of a fact that could not be found out.
    pub(in crate::dashboard) not_known: &'static str,
    pub(in crate::dashboard) look_into_the_log: &'static str,

    pub(in crate::dashboard) what_is_there: &'static str,
    pub(in crate::dashboard) kind: &'static str,
    pub(in crate::dashboard) embedded: &'static str,
    pub(in crate::dashboard) place: &'static str,
    pub(in crate::dashboard) size: &'static str,
    pub(in crate::dashboard) bytes: &'static str,
    pub(in crate::dashboard) sessions_here: &'static str,
    /// How many percent of them are counted.
    pub(in crate::dashboard) counting: fn(u64) -> String,
    pub(in crate::dashboard) oldest: &'static str,
    pub(in crate::dashboard) newest: &'static str,
    pub(in crate::dashboard) none: &'static str,

    pub(in crate::dashboard) what_it_does: &'static str,
    pub(in crate::dashboard) queue: &'static str,
    pub(in crate::dashboard) last_commit: &'static str,
    pub(in crate::dashboard) no_commit: &'static str,
    pub(in crate::dashboard) being_counted: &'static str,
    pub(in crate::dashboard) commit_failures: &'static str,
    pub(in crate::dashboard) checkpoint_failures: &'static str,
    pub(in crate::dashboard) findings: &'static str,
    pub(in crate::dashboard) metrics: &'static str,
    pub(in crate::dashboard) no_metrics: &'static str,

    pub(in crate::dashboard) imports: &'static str,
    pub(in crate::dashboard) no_import: &'static str,
    pub(in crate::dashboard) import_hint: &'static str,
    pub(in crate::dashboard) files: &'static str,
    pub(in crate::dashboard) recorded: &'static str,
    pub(in crate::dashboard) duplicates: &'static str,
    pub(in crate::dashboard) read: &'static str,
    pub(in crate::dashboard) began: &'static str,

    pub(in crate::dashboard) retention: &'static str,
    pub(in crate::dashboard) kept_for_ever: &'static str,
    /// How many days, written, and whether that is one.
    pub(in crate::dashboard) kept_for: fn(&str, bool) -> String,
    /// A date before which days are sealed.
    pub(in crate::dashboard) sealed_before: fn(&str) -> String,
    pub(in crate::dashboard) change_retention: &'static str,

    pub(in crate::dashboard) calendar: &'static str,
    pub(in crate::dashboard) time_zone: &'static str,
    pub(in crate::dashboard) weeks_begin: &'static str,
    pub(in crate::dashboard) change_zone: &'static str,

    pub(in crate::dashboard) backup: &'static str,
    pub(in crate::dashboard) backup_hint: &'static str,
    pub(in crate::dashboard) backup_user: &'static str,
}

pub(super) const ENGLISH: Store = Store {
    title: "Store",
    about: "Where sessions are kept, and how it is doing.",
    is_ready: "The store is ready: it can be read and written.",
    is_not_ready: "The store does not answer, or can't be written.",
    is_damaged: "The store is damaged, or was replaced while the server ran.",
    not_known: "can't be read right now",
    look_into_the_log: "The server's log says more.",
    what_is_there: "What is there",
    kind: "Kind",
    embedded: "Embedded (SQLite)",
    place: "Place",
    size: "Size on disk",
    bytes: "bytes",
    sessions_here: "Sessions of this workspace",
    counting: |percent| format!("being counted: {percent} %"),
    oldest: "Oldest session",
    newest: "Newest session",
    none: "none yet",
    what_it_does: "Since the server started",
    queue: "Sessions that wait to be written",
    last_commit: "Last commit",
    no_commit: "none yet",
    being_counted: "Sessions of days being counted",
    commit_failures: "Commits that failed",
    checkpoint_failures: "Times the journal could not be emptied",
    findings: "Damages found",
    metrics: "Metrics",
    no_metrics: "off; 'serve --ops-listen ADDRESS' turns them on",
    imports: "Imports under way",
    no_import: "None into this workspace.",
    import_hint: "Imports of the command line appear here after a second, and say every ten seconds how far they are.",
    files: "Files",
    recorded: "Recorded",
    duplicates: "Recorded before",
    read: "Read",
    began: "Began",
    retention: "Retention",
    kept_for_ever: "Sessions are kept one by one for ever.",
    kept_for: |days, one| {
        let unit = if one { "day" } else { "days" };
        format!(
            "Sessions are kept one by one for {days} {unit}. Older ones are refused; a day later their day is sealed: its sessions go, and its \
             counts stay for good."
        )
    },
    sealed_before: |date| format!("Days before {date} (UTC) are sealed."),
    change_retention: "To keep them for 400 days, or with 'none' for ever:",
    calendar: "Days and weeks",
    time_zone: "Time zone",
    weeks_begin: "Weeks begin on",
    change_zone: "Another time zone moves where all days and hours begin, those of the past too: the same sessions fall into other days. \
                  Nothing is lost and nothing is recounted, and it can be changed back:",
    backup: "Backup",
    backup_hint: "Writes all that is in the store into one file while the server goes on; 'sessionmeter restore' reads it.",
    backup_user: "USER and PASSWORD are those that the server was started with.",
};

pub(super) const SPANISH: Store = Store {
    title: "Almacén",
    about: "Dónde se guardan las sesiones, y cómo va.",
    is_ready: "El almacén está listo: se puede leer y escribir.",
    is_not_ready: "El almacén no responde, o no se puede escribir en él.",
    is_damaged: "El almacén está dañado, o fue sustituido con el servidor en marcha.",
    not_known: "ahora mismo no se puede leer",
    look_into_the_log: "El registro del servidor dice más.",
    what_is_there: "Lo que hay",
    kind: "Tipo",
    embedded: "Integrado (SQLite)",
    place: "Lugar",
    size: "Tamaño en disco",
    bytes: "bytes",
    sessions_here: "Sesiones de este espacio",
    counting: |percent| format!("se están contando: {percent}\u{a0}%"),
    oldest: "Sesión más antigua",
    newest: "Sesión más reciente",
    none: "ninguna todavía",
    what_it_does: "Desde que arrancó el servidor",
    queue: "Sesiones que esperan a ser escritas",
    last_commit: "Última escritura",
    no_commit: "ninguna todavía",
    being_counted: "Sesiones de días que se están contando",
    commit_failures: "Escrituras que fallaron",
    checkpoint_failures: "Veces que no se pudo vaciar el diario",
    findings: "Daños encontrados",
    metrics: "Métricas",
    no_metrics: "desactivadas; 'serve --ops-listen ADDRESS' las activa",
    imports: "Importaciones en curso",
    no_import: "Ninguna a este espacio.",
    import_hint: "Las importaciones de la línea de órdenes aparecen aquí al cabo de un segundo, y cada diez segundos dicen cuánto llevan.",
    files: "Archivos",
    recorded: "Registradas",
    duplicates: "Ya registradas",
    read: "Leído",
    began: "Empezó",
    retention: "Conservación",
    kept_for_ever: "Las sesiones se guardan una por una para siempre.",
    kept_for: |days, one| {
        let unit = if one { "día" } else { "días" };
        format!(
            "Las sesiones se guardan una por una durante {days} {unit}. Las más antiguas se rechazan; un día después su día se sella: sus \
             sesiones se van, y sus cuentas quedan para siempre."
        )
    },
    sealed_before: |date| format!("Los días anteriores al {date} (UTC) están sellados."),
    change_retention: "Para guardarlas 400 días, o con 'none' para siempre:",
    calendar: "Días y semanas",
    time_zone: "Zona horaria",
    weeks_begin: "Las semanas empiezan",
    change_zone: "Otra zona horaria cambia dónde empiezan todos los días y las horas, también los pasados: las mismas sesiones caen en otros \
                  días. No se pierde nada ni se vuelve a contar nada, y se puede deshacer:",
    backup: "Copia de seguridad",
    backup_hint: "Escribe todo lo que hay en el almacén en un archivo mientras el servidor sigue; 'sessionmeter restore' lo lee.",
    backup_user: "USER y PASSWORD son los mismos con los que se arrancó el servidor.",
};
