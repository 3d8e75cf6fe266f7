//! What stands before all pages: whose requests are answered, and the headers that every reply has.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::response::Response;

/// Why a request is not answered, where it was not sent to this server by its own pages or by a program: a sentence. `authority` is the name
/// and port by which others than this machine reach the server.
///
/// The name in `Host` has to be this server's: a foreign name that was made to point here (DNS rebinding) is refused. What changes something
/// has to come from a page of ours (`Sec-Fetch-Site`, `Origin`).
pub(crate) fn foreign(request: &Request, authority: Option<&str>) -> Option<&'static str> {
    let headers = request.headers();
    let Some(host) = text(headers, header::HOST) else {
        return Some("The request does not say which server it is for.");
    };
    if !is_ours(host, authority) {
        return Some("This server has another name. Open the address that you were given.");
    }
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let site = headers.get("sec-fetch-site").and_then(|value| value.to_str().ok());
        let origin = text(headers, header::ORIGIN);
        if site.is_some_and(|site| !matches!(site, "same-origin" | "none"))
            || origin.is_some_and(|origin| !is_own_origin(origin, host, authority))
        {
            return Some("This came from another site's page, and nothing was changed.");
        }
    }
    None
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Whether a name is this server's: the public one, or that of the machine to itself.
fn is_ours(host: &str, authority: Option<&str>) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    authority.is_some_and(|own| own.eq_ignore_ascii_case(host)) || matches!(name, "localhost" | "127.0.0.1" | "[::1]")
}

fn is_own_origin(origin: &str, host: &str, authority: Option<&str>) -> bool {
    let from = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
    from.is_some_and(|from| {
        from.eq_ignore_ascii_case(host) || authority.is_some_and(|own| own.eq_ignore_ascii_case(from))
    })
}

/// The name and port in the address by which others reach a server: `http://` or `https://` with a name, without a path. None for what is no
/// such address.
pub(crate) fn authority(url: &str) -> Option<&str> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"))?.trim_end_matches('/');
    (!rest.is_empty() && !rest.contains(['/', '?', '#', '@', ' '])).then_some(rest)
}

/// Adds what every reply has, `policy` being what a page may load. What a page says of itself stands.
pub(crate) fn add_headers(mut response: Response, policy: &'static str) -> Response {
    let headers = response.headers_mut();
    let mut add = |name: header::HeaderName, value: &'static str| {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    };
    add(header::CONTENT_SECURITY_POLICY, policy);
    add(header::CACHE_CONTROL, "no-store");
    add(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    // Addresses can have ids in them; `Origin` still is sent to this server.
    add(header::REFERRER_POLICY, "same-origin");
    add(header::HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    add(header::HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
    add(
        header::HeaderName::from_static("permissions-policy"),
        "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    );
    response
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use axum::body::Body;

    #[test]
    fn names_that_point_here_are_not_all_ours() {
        for host in ["localhost", "localhost:8080", "127.0.0.1:1", "[::1]:80", "[::1]"] {
            assert!(is_ours(host, None), "{host}");
        }
        assert!(is_ours("Study.example.org", Some("study.example.org")));
        for host in ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:80", "study.example.org:81", ""]
        {
            assert!(!is_ours(host, Some("study.example.org")), "{host}");
        }
    }

    #[test]
    fn what_changes_something_comes_from_our_own_pages() {
        let request = |method: &str, headers: &[(&str, &str)]| {
            let mut request = Request::builder().method(method).header("host", "localhost:8080");
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            foreign(&request.body(Body::empty()).unwrap(), None).is_some()
        };
        let foreign = [("origin", "http://evil.example"), ("origin", "null"), ("sec-fetch-site", "cross-site")];
        for header in foreign {
            assert!(request("POST", &[header]) && request("DELETE", &[header]) && !request("GET", &[header]));
        }
        assert!(!request("POST", &[]) && !request("POST", &[("origin", "http://localhost:8080")]));
        assert!(request("POST", &[("origin", "http://localhost:8081")]));
    }

    #[test]
    fn addresses_of_servers_are_told_from_others() {
        assert_eq!(authority("https://study.example.org:8443/"), Some("study.example.org:8443"));
        for none in
            ["study.example.org", "https://", "https://a/b", "ftp://a", "http://me@a", "http://a?b", "http://a b"]
        {
            assert_eq!(authority(none), None, "{none}");
        }
    }
}
