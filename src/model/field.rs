//! The fields of a session that have one value: the one list of them for the whole program.

use super::named::named;

named! {
    /// A field of a session that has one value. The properties stand last.
    pub enum SessionField {
        /// An id.
        AppId = "app_id",
        /// Chosen by the client.
        SessionId = "session_id",
        /// An instant.
        StartedAt = "started_at",
        /// Whose session it is.
        UserId = "user_id",
        /// Of whoever is not known.
        DeviceId = "device_id",
        /// An instant.
        EndedAt = "ended_at",
        /// Seconds.
        Duration = "duration",
        /// For example `ios`.
        Platform = "platform",
        /// For example `17.4.1`.
        OsVersion = "os_version",
        /// For example `4.10`.
        AppVersion = "app_version",
        /// For example `iPhone15,3`.
        DeviceModel = "device_model",
        /// ISO 3166-1 alpha-2.
        Country = "country",
        /// BCP 47.
        Language = "language",
    }
}

impl SessionField {
    /// Those that say where a session happened, which thousands of sessions share: see
    /// [`Properties`](super::Properties).
    pub const PROPERTIES: [Self; 6] = [
        Self::Platform,
        Self::OsVersion,
        Self::AppVersion,
        Self::DeviceModel,
        Self::Country,
        Self::Language,
    ];

    /// Whether it is one of [`SessionField::PROPERTIES`].
    pub fn is_property(self) -> bool {
        self >= Self::Platform
    }

    /// Whether its value may be a number.
    pub fn may_be_number(self) -> bool {
        matches!(self, Self::StartedAt | Self::EndedAt | Self::Duration)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_is_found_by_its_name_and_the_properties_stand_last() {
        for field in SessionField::ALL {
            assert_eq!(SessionField::named(field.name()), Some(field));
            assert_eq!(field.is_property(), SessionField::PROPERTIES.contains(&field));
        }
        assert_eq!(SessionField::named("attributes"), None);
    }
}
