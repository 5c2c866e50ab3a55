//! A browser that tests drive: Chromium, by way of chromedriver and the W3C `WebDriver` protocol.
//!
//! The protocol is a JSON body in an HTTP request to a port of this machine, which takes fewer lines than an asynchronous
//! client would take crates.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// Longest wait for an answer: a loaded machine takes seconds to start a browser.
const PATIENCE: Duration = Duration::from_secs(90);
const BROWSERS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// A browser with one window.
pub(crate) struct Browser {
    driver: Child,
    port: u16,
    session: String,
    profile: tempfile::TempDir,
}

impl Browser {
    /// Starts one; `None`, said aloud for `test`, where none is installed.
    #[expect(clippy::print_stdout, reason = "the output of a test is where a reader looks")]
    pub(crate) fn start(test: &str) -> Option<Self> {
        let (Some(browser), Some(driver)) = (BROWSERS.iter().find_map(|name| find(name)), find("chromedriver")) else {
            println!("SKIPPED: {test} needs a browser (packages chromium and chromium-driver)");
            return None;
        };
        println!("USED: {test}: {}", browser.display());
        // Two that start at once may choose the same port, and one of them gives up.
        let started = (0..5).find_map(|_| start(&driver));
        let (child, port) = started.expect("chromedriver starts");
        let profile = tempfile::tempdir().expect("a folder can be made");
        let mut browser_of = Browser { driver: child, port, session: String::new(), profile };
        browser_of.open_session(&browser);
        Some(browser_of)
    }

    fn open_session(&mut self, browser: &Path) {
        let profile = format!("--user-data-dir={}", self.profile.path().display());
        let arguments = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--window-size=1280,1000",
            &profile,
        ];
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "goog:chromeOptions": { "binary": browser, "args": arguments },
            "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
        } } });
        let answer = self.send("POST", "/session", Some(&wanted));
        answer["sessionId"].as_str().expect("a session has a name").clone_into(&mut self.session);
    }

    /// Opens a file.
    pub(crate) fn open(&self, path: &Path) {
        // The log may not yet follow the tab in which the browser begins.
        for url in ["about:blank", &format!("file://{}", path.display())] {
            self.command("POST", "/url", Some(&json!({ "url": url })));
        }
    }

    /// Runs a function's body in the page and gives back what it returns.
    pub(crate) fn run(&self, body: &str) -> Value {
        self.command("POST", "/execute/sync", Some(&json!({ "script": body, "args": [] })))
    }

    /// The text of the first element that a selector finds.
    pub(crate) fn text(&self, selector: &str) -> String {
        let text = self.run(&format!("return document.querySelector({}).textContent", json!(selector)));
        text.as_str().expect("elements have text").to_owned()
    }

    /// The texts of all elements that a selector finds.
    pub(crate) fn texts(&self, selector: &str) -> Vec<String> {
        let script =
            format!("return [...document.querySelectorAll({})].map((node) => node.textContent)", json!(selector));
        let texts = self.run(&script);
        texts.as_array().expect("a list").iter().map(|text| text.as_str().expect("text").to_owned()).collect()
    }

    /// Brings the first element that a selector finds into the window; its left, top, width and height there.
    pub(crate) fn place(&self, selector: &str) -> [f64; 4] {
        let script = format!(
            "const node = document.querySelector({}); node.scrollIntoView({{ block: 'center' }}); const box = \
             node.getBoundingClientRect(); return [box.left, box.top, box.width, box.height]",
            json!(selector)
        );
        let place = self.run(&script);
        [0, 1, 2, 3].map(|at| place[at].as_f64().expect("a number"))
    }

    /// Moves the pointer there, as a hand would.
    pub(crate) fn point(&self, x: f64, y: f64) {
        self.pointer(&[moved(x, y)]);
    }

    /// Clicks the middle of the first element that a selector finds.
    pub(crate) fn click(&self, selector: &str) {
        let [left, top, width, height] = self.place(selector);
        self.click_at(left + width / 2.0, top + height / 2.0);
    }

    /// Clicks there.
    pub(crate) fn click_at(&self, x: f64, y: f64) {
        self.pointer(&[moved(x, y), pressed("pointerDown"), pressed("pointerUp")]);
    }

    /// Presses there, moves and lets go.
    pub(crate) fn drag(&self, from: (f64, f64), to: (f64, f64)) {
        self.pointer(&[moved(from.0, from.1), pressed("pointerDown"), moved(to.0, to.1), pressed("pointerUp")]);
    }

    fn pointer(&self, actions: &[Value]) {
        let pointer =
            json!({ "type": "pointer", "id": "mouse", "parameters": { "pointerType": "mouse" }, "actions": actions });
        self.command("POST", "/actions", Some(&json!({ "actions": [pointer] })));
    }

    /// Turns the wheel there; up is negative.
    pub(crate) fn wheel(&self, x: f64, y: f64, pixels: i32) {
        let (x, y) = (x.round() as i64, y.round() as i64);
        let turn = json!({ "type": "scroll", "x": x, "y": y, "deltaX": 0, "deltaY": pixels, "duration": 0 });
        self.command(
            "POST",
            "/actions",
            Some(&json!({ "actions": [{ "type": "wheel", "id": "wheel", "actions": [turn] }] })),
        );
    }

    /// Types into whatever has the focus.
    pub(crate) fn press(&self, keys: &str) {
        let strokes: Vec<Value> = keys
            .chars()
            .flat_map(|key| ["keyDown", "keyUp"].map(|kind| json!({ "type": kind, "value": key.to_string() })))
            .collect();
        self.command(
            "POST",
            "/actions",
            Some(&json!({ "actions": [{ "type": "key", "id": "keys", "actions": strokes }] })),
        );
    }

    /// Waits until a script returns true.
    pub(crate) fn wait_until(&self, what: &str, body: &str) {
        let begun = Instant::now();
        while self.run(body) != json!(true) {
            assert!(begun.elapsed() < Duration::from_secs(20), "the page never came to this: {what}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// What the page and the browser wrote to the console.
    pub(crate) fn console(&self) -> Vec<String> {
        let log = self.command("POST", "/se/log", Some(&json!({ "type": "browser" })));
        log.as_array().expect("a list").iter().map(|entry| entry["message"].to_string()).collect()
    }

    /// Every address that a page was fetched from, and that it asked for since. What the browser does in its first, empty
    /// tab is left out, and so is what the page itself contains (`data:`).
    pub(crate) fn requested_by(&self, page: &str) -> Vec<String> {
        let log = self.command("POST", "/se/log", Some(&json!({ "type": "performance" })));
        let requests = log.as_array().expect("a list").iter().filter_map(|entry| {
            let event: Value = serde_json::from_str(entry["message"].as_str()?).ok()?;
            let (method, parameters) = (&event["message"]["method"], &event["message"]["params"]);
            let is_of_page = method == "Network.requestWillBeSent" && parameters["documentURL"] == page;
            let url = parameters["request"]["url"].as_str()?.to_owned();
            (is_of_page && !url.starts_with("data:")).then_some(url)
        });
        requests.collect()
    }

    fn command(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        self.send(method, &format!("/session/{}{path}", self.session), body)
    }

    fn send(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        let body = body.map(Value::to_string).unwrap_or_default();
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("chromedriver listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout is no zero");
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes())).expect("chromedriver reads");
        let answer = answer(stream);
        let error = answer["value"]["error"].as_str();
        assert!(error.is_none(), "{method} {path}: {error:?}: {}", answer["value"]["message"]);
        answer["value"].clone()
    }
}

impl Browser {
    /// Ends the session without a word about failures: a browser outlives its driver, and the test may be failing already.
    fn end_session(&self) -> std::io::Result<()> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        write!(stream, "DELETE /session/{} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n", self.session)?;
        stream.read_exact(&mut [0])
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.end_session();
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// Starts a driver and waits until it names its port; `None` if it ends before.
fn start(driver: &Path) -> Option<(Child, u16)> {
    let mut command = Command::new(driver);
    command.arg("--port=0").stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().expect("chromedriver can be executed");
    let lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    let port = lines.map_while(Result::ok).find_map(|line| {
        let (_, rest) = line.split_once("started successfully on port ")?;
        rest.trim_end_matches('.').parse().ok()
    });
    if port.is_none() {
        let _ = child.kill();
        let _ = child.wait();
    }
    Some((child, port?))
}

fn find(program: &str) -> Option<PathBuf> {
    let folders = std::env::var_os("PATH")?;
    std::env::split_paths(&folders).map(|folder| folder.join(program)).find(|path| path.is_file())
}

fn moved(x: f64, y: f64) -> Value {
    json!({ "type": "pointerMove", "duration": 0, "x": x.round() as i64, "y": y.round() as i64 })
}

fn pressed(kind: &str) -> Value {
    json!({ "type": kind, "button": 0 })
}

/// The JSON body of an HTTP answer.
fn answer(stream: TcpStream) -> Value {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).expect("chromedriver answers in time");
        if line.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().expect("a length is a number");
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("chromedriver sends all of its answer");
    serde_json::from_slice(&body).expect("chromedriver speaks JSON")
}
