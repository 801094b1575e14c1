//! Query strings: decoded strictly where it matters, so that a slip becomes a message.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use super::error::ApiError;

/// Characters of what was received that a message repeats.
const SHOWN: usize = 100;

/// The parameters of a request.
pub struct Query<'a>(&'a str);

impl<'a> Query<'a> {
    /// Of a raw query string, the part after `?`.
    pub fn new(raw: Option<&'a str>) -> Self {
        Self(raw.unwrap_or_default())
    }

    /// The decoded value of `name`; `None` if it is not given. Other parameters are passed over.
    ///
    /// # Errors
    /// 400 if it is given twice or is not UTF-8.
    pub fn get(&self, name: &str) -> Result<Option<Cow<'a, str>>, ApiError> {
        let mut found = None;
        for value in self.raw(name) {
            let value = decoded(name, value)?;
            if found.replace(value).is_some() {
                return Err(ApiError::bad_request(format!(
                    "'{name}' is given twice; give it once"
                )));
            }
        }
        Ok(found)
    }

    /// The decoded values of `name`, which may be given several times.
    ///
    /// # Errors
    /// 400 if one of them is not UTF-8.
    pub fn each(&self, name: &str) -> Result<Vec<Cow<'a, str>>, ApiError> {
        let values = self.raw(name).map(|value| decoded(name, value));
        values.collect()
    }

    /// The decoded values of `name`, however often it is given; those that are not UTF-8 are passed over.
    pub fn all(&self, name: &str) -> impl Iterator<Item = Cow<'a, str>> {
        self.raw(name).filter_map(|value| decode(value).ok())
    }

    fn raw(&self, name: &str) -> impl Iterator<Item = &'a str> {
        let pairs = self
            .0
            .split('&')
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        pairs.filter_map(move |(key, value)| decode(key).is_ok_and(|key| key == name).then_some(value))
    }
}

fn decoded<'a>(name: &str, value: &'a str) -> Result<Cow<'a, str>, ApiError> {
    decode(value).map_err(|()| ApiError::bad_request(format!("'{name}' must be percent-encoded UTF-8")))
}

fn decode(text: &str) -> Result<Cow<'_, str>, ()> {
    // As nearly all names and values are.
    if !text.bytes().any(|byte| matches!(byte, b'%' | b'+')) {
        return Ok(Cow::Borrowed(text));
    }
    if !text.contains('+') {
        return percent_decode_str(text).decode_utf8().map_err(|_| ());
    }
    let text = text.replace('+', " ");
    let decoded = percent_decode_str(&text).decode_utf8().map_err(|_| ())?;
    Ok(Cow::Owned(decoded.into_owned()))
}

/// 400 for a parameter: what was received, cut, and what is allowed.
pub fn invalid(name: &str, received: &str, allowed: &str) -> ApiError {
    let shown: String = received.chars().take(SHOWN).collect();
    let cut = if shown.len() < received.len() { "…" } else { "" };
    ApiError::bad_request(format!("'{name}' must be {allowed}, received '{shown}{cut}'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_are_decoded() {
        let query = Query::new(Some("a=1&b%5F=x+y%2B&c&=d&a%00=2"));
        assert_eq!(query.get("a").unwrap().as_deref(), Some("1"));
        assert_eq!(query.get("b_").unwrap().as_deref(), Some("x y+"));
        assert_eq!(query.get("c").unwrap().as_deref(), Some(""));
        assert_eq!(query.get("d").unwrap().as_deref(), None);
        assert!(Query::new(Some("a=1&a=1")).get("a").is_err());
        let all: Vec<_> = Query::new(Some("a=1&b=2&%61=x+y&a=%ff&a")).all("a").collect();
        assert_eq!(all, ["1", "x y", ""]);
        assert!(Query::new(Some("a=%ff")).get("a").is_err());
        assert!(Query::new(Some("b=%ff&a=1")).get("a").is_ok());
    }
}
