//! The two text forms of metrics, and which of them a scraper asked for.

use std::collections::HashSet;

/// A form in which metrics are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// OpenMetrics 1.0, which is told where nothing else is asked for.
    OpenMetrics,
    /// The older text format of Prometheus, which more programs read.
    Prometheus,
}

impl Form {
    /// The one that the value of an `Accept` header prefers.
    pub fn accepted(accept: &str) -> Self {
        let open_metrics = quality(accept, "application", "openmetrics-text");
        let prometheus = quality(accept, "text", "plain");
        if prometheus > open_metrics {
            Self::Prometheus
        } else {
            Self::OpenMetrics
        }
    }

    /// The content type of an answer in this form.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// How much a media type is wanted, in thousandths: what the most specific range says that names it.
fn quality(accept: &str, kind: &str, subtype: &str) -> u16 {
    let ranges = accept.split(',').filter_map(|range| {
        let mut parts = range.split(';').map(str::trim);
        let (range_kind, range_subtype) = parts.next()?.split_once('/')?;
        let specificity =
            if range_kind.eq_ignore_ascii_case(kind) && range_subtype.eq_ignore_ascii_case(subtype) {
                2
            } else if range_kind.eq_ignore_ascii_case(kind) && range_subtype == "*" {
                1
            } else if range_kind == "*" && range_subtype == "*" {
                0
            } else {
                return None;
            };
        let weight = parts.find_map(|parameter| parameter.strip_prefix("q=")?.trim().parse::<f32>().ok());
        // One that is out of range or no number is as good as none.
        let weight = weight
            .filter(|weight| (0.0..=1.0).contains(weight))
            .unwrap_or(1.0);
        Some((specificity, (weight * 1000.0) as u16))
    });
    // Of several ranges that are as specific (versions of a format), the one that is wanted most.
    ranges.max().map_or(0, |(_, weight)| weight)
}

/// OpenMetrics' text in the older form: there counters and infos are described under the names of their samples, an info
/// is a gauge, and neither units nor an end are told.
pub(super) fn to_prometheus(open_metrics: &str) -> String {
    let described = |kind: &str| -> HashSet<&str> {
        let types = open_metrics.lines().filter_map(|line| {
            let (name, found) = line.strip_prefix("# TYPE ")?.split_once(' ')?;
            (found == kind).then_some(name)
        });
        types.collect()
    };
    let (counters, infos) = (described("counter"), described("info"));
    let suffix = |name: &str| {
        if counters.contains(name) {
            "_total"
        } else if infos.contains(name) {
            "_info"
        } else {
            ""
        }
    };
    let mut text = String::with_capacity(open_metrics.len());
    for line in open_metrics.lines() {
        if line.starts_with("# UNIT ") || line == "# EOF" {
            continue;
        }
        let comment = ["# HELP ", "# TYPE "]
            .into_iter()
            .find_map(|keyword| Some((keyword, line.strip_prefix(keyword)?.split_once(' ')?)));
        match comment {
            Some((keyword, (name, rest))) => {
                let rest = match (keyword, rest) {
                    ("# TYPE ", "info") => "gauge",
                    ("# TYPE ", "unknown") => "untyped",
                    _ => rest,
                };
                text.extend([keyword, name, suffix(name), " ", rest]);
            }
            None => text.push_str(line),
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_is_the_one_that_is_asked_for() {
        let scraper = "application/openmetrics-text;version=1.0.0;q=0.8,\
            application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        for (accept, expected) in [
            ("", Form::OpenMetrics),
            ("*/*", Form::OpenMetrics),
            (scraper, Form::OpenMetrics),
            ("text/plain;version=0.0.4;q=0.5,*/*;q=0.1", Form::Prometheus),
            ("text/plain", Form::Prometheus),
            ("Text/Plain; charset=utf-8", Form::Prometheus),
            ("text/*", Form::Prometheus),
            ("text/plain, application/openmetrics-text", Form::OpenMetrics),
            ("text/plain, application/openmetrics-text;q=0.9", Form::Prometheus),
            ("text/plain;q=0, */*", Form::OpenMetrics),
            ("application/openmetrics-text;q=0, */*", Form::Prometheus),
            ("application/vnd.google.protobuf", Form::OpenMetrics),
            (", ;, /, text/plain;q=high", Form::Prometheus),
        ] {
            assert_eq!(Form::accepted(accept), expected, "{accept}");
        }
    }

    #[test]
    fn samples_are_described_under_their_own_names() {
        let open_metrics = "# HELP a_requests Answered.\n# TYPE a_requests counter\na_requests_total{b=\"# EOF\"} 2\n\
            # HELP a_build Build.\n# TYPE a_build info\na_build_info{version=\"1\"} 1\n\
            # HELP a_size_bytes Size.\n# TYPE a_size_bytes gauge\n# UNIT a_size_bytes bytes\na_size_bytes 3\n# EOF\n";
        let prometheus = "# HELP a_requests_total Answered.\n# TYPE a_requests_total counter\na_requests_total{b=\"# EOF\"} 2\n\
            # HELP a_build_info Build.\n# TYPE a_build_info gauge\na_build_info{version=\"1\"} 1\n\
            # HELP a_size_bytes Size.\n# TYPE a_size_bytes gauge\na_size_bytes 3\n";
        assert_eq!(to_prometheus(open_metrics), prometheus);
    }
}
