//! A browser without a screen and without scripts: it keeps cookies, follows forms, and does as browsers do with `Host` and `Origin`.

use super::wait;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode, header};
use hirescam_server::study::App;
use http_body_util::BodyExt;
use std::collections::BTreeMap;
use tower::ServiceExt;

pub struct Browser {
    app: App,
    pub cookies: BTreeMap<String, String>,
    pub host: String,
}

pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub bytes: Vec<u8>,
}

impl Reply {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).replace("&#x2f;", "/")
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The value of a hidden field.
    pub fn field(&self, name: &str) -> String {
        let text = self.text();
        let start = text.find(&format!("name=\"{name}\" value=\"")).unwrap_or_else(|| panic!("no {name} in {text}"));
        let rest = &text[start + format!("name=\"{name}\" value=\"").len()..];
        rest[..rest.find('"').unwrap()].to_owned()
    }
}

pub fn encoded(fields: &[(&str, String)]) -> String {
    let escape = |text: &str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
        text.bytes().map(|b| if plain(b) { (b as char).to_string() } else { format!("%{b:02X}") }).collect::<String>()
    };
    fields.iter().map(|(name, value)| format!("{}={}", escape(name), escape(value))).collect::<Vec<_>>().join("&")
}

impl Browser {
    pub fn of(app: &App) -> Self {
        Browser { app: app.clone(), cookies: BTreeMap::new(), host: "127.0.0.1:8080".into() }
    }

    pub fn send(&mut self, request: Request<Body>) -> Reply {
        wait(self.sent(request))
    }

    pub async fn sent(&mut self, mut request: Request<Body>) -> Reply {
        let headers = request.headers_mut();
        headers.entry(header::HOST).or_insert(self.host.parse().unwrap());
        if !self.cookies.is_empty() {
            let all: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            headers.insert(header::COOKIE, all.join("; ").parse().unwrap());
        }
        let response = self.app.clone().router().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        for cookie in parts.headers.get_all(header::SET_COOKIE) {
            let text = cookie.to_str().unwrap();
            let (name, value) = text.split(';').next().unwrap().split_once('=').unwrap();
            match text.contains("Max-Age=0") {
                true => self.cookies.remove(name),
                false => self.cookies.insert(name.into(), value.into()),
            };
        }
        let bytes = body.collect().await.unwrap().to_bytes().to_vec();
        Reply { status: parts.status, headers: parts.headers, bytes }
    }

    pub fn get(&mut self, path: &str) -> Reply {
        self.send(Request::get(path).body(Body::empty()).unwrap())
    }

    pub fn form(&self, path: &str, fields: &[(&str, String)]) -> Request<Body> {
        Request::post(path)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(header::ORIGIN, format!("http://{}", self.host))
            .header("sec-fetch-site", "same-origin")
            .body(Body::from(encoded(fields)))
            .unwrap()
    }

    pub fn post(&mut self, path: &str, fields: &[(&str, String)]) -> Reply {
        self.send(self.form(path, fields))
    }

    /// Consents on the page at `path`.
    pub fn begin(&mut self, path: &str) -> Reply {
        let page = self.get(path);
        assert_eq!(page.status, StatusCode::OK, "{}", page.text());
        self.post("/begin", &[("ticket", page.field("ticket")), ("agree", "yes".into())])
    }

    /// Answers the trial that comes next.
    pub fn answer(&mut self, fields: &[(&str, String)]) -> Reply {
        let page = self.get("/trial");
        assert_eq!(page.status, StatusCode::OK, "{}", page.text());
        let mut all = vec![("page", page.field("page"))];
        all.extend_from_slice(fields);
        self.post("/answer", &all)
    }
}

impl Browser {
    /// Posts a form, and waits where it was too fast.
    pub fn sent_at_ease(&mut self, path: &str, fields: &[(&str, String)]) -> Reply {
        loop {
            let reply = self.post(path, fields);
            if reply.status != StatusCode::TOO_MANY_REQUESTS {
                return reply;
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
    }
}
