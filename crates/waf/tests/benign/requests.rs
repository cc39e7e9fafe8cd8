//! Requests as browsers and programs send them, filled with texts.

use serde_json::json;

use crate::chance::Chance;
use crate::judge::Request;

/// The kinds, which take turns.
pub(crate) const KINDS: [&str; 8] =
    ["page", "search", "comment", "profile", "article (JSON)", "order (JSON)", "event (JSON)", "upload"];

const BROWSER: &str =
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36";
const PROGRAM: &str = "acme-client/2.4.1";

/// Makes requests.
pub(crate) struct Maker<'a> {
    pub(crate) texts: &'a [String],
    pub(crate) chance: Chance,
}

impl Maker<'_> {
    /// The request of that number.
    pub(crate) fn make(&mut self, number: usize) -> Request {
        match number % KINDS.len() {
            0 => self.page(),
            1 => self.search(),
            2 => self.comment(),
            3 => self.profile(),
            4 => self.article(number),
            5 => self.order(number),
            6 => self.event(number),
            _ => self.upload(),
        }
    }

    fn text(&mut self) -> &str {
        &self.texts[self.chance.below(self.texts.len())]
    }

    /// The first sentence of a text, without its full stop.
    fn sentence(&mut self) -> String {
        self.text().split(". ").next().unwrap_or_default().to_owned()
    }

    /// So many words that follow each other in a text.
    fn words(&mut self, count: usize) -> Vec<String> {
        let words: Vec<String> = self.text().split(' ').map(str::to_owned).collect();
        let begin = self.chance.below(words.len().saturating_sub(count) + 1);
        words.into_iter().skip(begin).take(count).collect()
    }

    /// Words as parts of addresses.
    fn slug(&mut self) -> String {
        let plain = |word: String| word.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase();
        let words: Vec<String> = self.words(4).into_iter().map(plain).filter(|word| !word.is_empty()).collect();
        words.join("-")
    }

    /// A word with a capital.
    fn name(&mut self) -> String {
        let word: String = self.words(1).concat().chars().filter(|letter| letter.is_alphabetic()).collect();
        let mut letters = word.chars();
        letters.next().map_or("Ann".to_owned(), |first| first.to_uppercase().chain(letters).collect())
    }

    fn number(&mut self, below: usize) -> usize {
        self.chance.below(below)
    }

    fn id(&mut self) -> String {
        let mut hex = |digits: usize| (0..digits).map(|_| format!("{:x}", self.chance.below(16))).collect::<String>();
        format!("{}-{}-4{}-a{}-{}", hex(8), hex(4), hex(3), hex(3), hex(12))
    }

    fn page(&mut self) -> Request {
        let target = format!("/{}/{}.html?lang=en&ref={}", self.slug(), self.slug(), self.slug());
        Request { target, ..browser("GET") }
    }

    fn search(&mut self) -> Request {
        let count = 1 + self.number(7);
        let words = self.words(count).join(" ");
        let target = format!("/search?{}&page={}&sort=relevance", pairs(&[("q", words)]), self.number(20));
        Request { target, ..browser("GET") }
    }

    fn comment(&mut self) -> Request {
        let (name, subject, message) = (self.name(), self.sentence(), self.text().to_owned());
        let email = format!("{}.{}@example.org", name.to_lowercase(), self.number(100));
        form("/blog/comments", &[("name", name), ("email", email), ("subject", subject), ("message", message)])
    }

    fn profile(&mut self) -> Request {
        let fields = [
            ("first_name", self.name()),
            ("last_name", format!("O'{}", self.name())),
            ("company", format!("{} & {} Ltd.", self.name(), self.name())),
            ("street", format!("{} {} St. #{}", self.number(900), self.name(), self.number(90))),
            ("phone", format!("+49 (0)30 {}-{}", self.number(9999), self.number(99))),
            (
                "birthday",
                format!("19{:02}-{:02}-{:02}", 40 + self.number(60), 1 + self.number(12), 1 + self.number(28)),
            ),
            ("website", format!("https://www.{}.example/about?tab=team", self.name().to_lowercase())),
            ("about", self.sentence()),
        ];
        form("/account/profile", &fields)
    }

    fn article(&mut self, number: usize) -> Request {
        let tags: Vec<String> = (0..3).map(|_| self.slug()).collect();
        let body = json!({
            "data": { "id": self.id(), "type": "articles", "attributes": {
                "title": self.sentence(),
                "body": format!("{}\n\n{}", self.text().to_owned(), self.text()),
                "tags": tags,
                "created_at": format!("2026-0{}-1{}T0{}:12:45.123Z", 1 + number % 9, number % 10, number % 10),
                "published": number.is_multiple_of(2),
            }},
            "included": [{ "id": self.id(), "type": "people", "attributes": { "name": self.name(), "twitter": null } }],
        });
        api("/api/v2/articles", &body)
    }

    fn order(&mut self, number: usize) -> Request {
        let items: Vec<_> = (0..1 + number % 5)
            .map(|line| {
                let price = format!("{}.{:02}", self.number(500), self.number(100));
                let (sku, name) = (format!("AB-{}", self.number(9999)), self.words(4).join(" "));
                json!({ "sku": sku, "name": name, "quantity": line + 1, "price": price })
            })
            .collect();
        let body = json!({
            "order": {
                "customer": { "email": format!("{}@example.com", self.name().to_lowercase()), "accepts_marketing": false },
                "shipping_address": { "name": format!("{} {}", self.name(), self.name()), "zip": "10115", "country_code": "DE" },
                "line_items": items,
                "note": self.sentence(),
                "currency": "EUR",
            }
        });
        api("/api/orders", &body)
    }

    fn event(&mut self, number: usize) -> Request {
        let body = json!({
            "action": "opened",
            "issue": {
                "number": number, "title": self.sentence(), "body": self.text().to_owned(), "state": "open", "locked": false,
                "labels": [{ "name": self.slug(), "color": "d73a4a" }],
                "url": format!("https://api.example.com/repos/{}/{}/issues/{number}", self.slug(), self.slug()),
            },
            "sender": { "login": self.name(), "id": self.number(100_000), "site_admin": false },
            "geometry": { "type": "Point", "coordinates": [13.404_954, 52.520_008] },
        });
        api("/hooks/issues", &body)
    }

    fn upload(&mut self) -> Request {
        let part =
            |head: &str, body: &str| format!("--7d1c0e52\r\nContent-Disposition: form-data; {head}\r\n\r\n{body}\r\n");
        let (title, text) = (self.sentence(), self.text().to_owned());
        let file = format!("name=\"file\"; filename=\"{}.txt\"\r\nContent-Type: text/plain", self.slug());
        let body = part("name=\"title\"", &title) + &part(&file, &text) + "--7d1c0e52--\r\n";
        post("/documents", "multipart/form-data; boundary=7d1c0e52", body, browser("POST"))
    }
}

fn browser(method: &'static str) -> Request {
    let headers = [
        ("user-agent", BROWSER),
        ("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"),
        ("accept-language", "en-GB,en-US;q=0.9,en;q=0.8"),
        ("accept-encoding", "gzip, deflate, br"),
        ("referer", "https://shop.example/products?page=2"),
        ("cookie", "session=4f1f9a2d7c5e4b0a; consent=necessary%2Cstatistics; _ga=GA1.2.1033501218.1760000000"),
    ];
    let headers = headers.into_iter().map(|(name, value)| (name, value.to_owned())).collect();
    Request { method, headers, ..Request::default() }
}

fn program() -> Request {
    let headers = [("user-agent", PROGRAM), ("accept", "application/json"), ("authorization", "Bearer 9f8c27d1b3")];
    let headers = headers.into_iter().map(|(name, value)| (name, value.to_owned())).collect();
    Request { method: "POST", headers, ..Request::default() }
}

fn post(target: &str, kind: &str, body: String, mut request: Request) -> Request {
    request.headers.push(("content-type", kind.to_owned()));
    request.headers.push(("content-length", body.len().to_string()));
    Request { target: target.to_owned(), body: body.into_bytes(), ..request }
}

fn form(target: &str, fields: &[(&str, String)]) -> Request {
    post(target, "application/x-www-form-urlencoded", pairs(fields), browser("POST"))
}

fn api(target: &str, body: &serde_json::Value) -> Request {
    post(target, "application/json", body.to_string(), program())
}

/// Names and values as forms and queries have them.
fn pairs(fields: &[(&str, String)]) -> String {
    let encoded = |text: &str| -> String {
        let one = |byte: u8| match byte {
            b' ' => "+".to_owned(),
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'*' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        };
        text.bytes().map(one).collect()
    };
    fields.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect::<Vec<_>>().join("&")
}
