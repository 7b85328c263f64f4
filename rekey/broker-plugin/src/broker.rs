//! The C interface of Mosquitto's plugins, version 5 (mosquitto_plugin.h and mosquitto_broker.h of 2.0.11; unchanged in 2.1).
//!
//! The broker is one thread and calls one function at a time, so the state needs no lock. No panic crosses into C: it would abort the broker.
#![allow(unsafe_code)] // The broker calls by C conventions and hands out pointers; every use says why it holds.

use crate::guard::{Guard, Verdict};
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

const PLUGIN_VERSION: c_int = 5;
const EVENT_BASIC_AUTH: c_int = 3;
const EVENT_MESSAGE: c_int = 7;
const EVENT_TICK: c_int = 9;
const EVENT_DISCONNECT: c_int = 10;
const SUCCESS: c_int = 0;
const INVALID: c_int = 3;
const DEFER: c_int = 17;
const LOG_NOTICE: c_int = 2;
const LOG_ERROR: c_int = 8;
/// Versions and options that the broker could sensibly offer; beyond, the count is not believed.
const MAX_COUNT: c_int = 1000;

/// `struct mosquitto_opt`.
#[repr(C)]
pub struct Setting {
    key: *const c_char,
    value: *const c_char,
}

/// `struct mosquitto_evt_basic_auth`, as far as we read it.
#[repr(C)]
struct BasicAuth {
    future: *mut c_void,
    client: *const c_void,
    username: *const c_char,
    password: *const c_char,
}

/// `struct mosquitto_evt_message` and `struct mosquitto_evt_disconnect`, as far as we read them.
#[repr(C)]
struct OfClient {
    future: *mut c_void,
    client: *const c_void,
}

type Callback = extern "C" fn(c_int, *mut c_void, *mut c_void) -> c_int;

// SAFETY: these are the broker's own symbols with the signatures of mosquitto_broker.h; it exports them to the plugins that it loads.
unsafe extern "C" {
    fn mosquitto_callback_register(
        id: *mut c_void,
        event: c_int,
        call: Callback,
        data: *const c_void,
        user: *mut c_void,
    ) -> c_int;
    fn mosquitto_callback_unregister(id: *mut c_void, event: c_int, call: Callback, data: *const c_void) -> c_int;
    fn mosquitto_log_printf(level: c_int, format: *const c_char, ...);
    fn mosquitto_client_address(client: *const c_void) -> *const c_char;
    fn mosquitto_client_id(client: *const c_void) -> *const c_char;
}

const CALLS: [(c_int, Callback); 4] =
    [(EVENT_BASIC_AUTH, on_basic_auth), (EVENT_MESSAGE, on_message), (EVENT_TICK, on_tick), (EVENT_DISCONNECT, on_disconnect)];

/// What the broker keeps for us between calls.
struct Loaded {
    id: *mut c_void,
    guard: Guard,
}

/// The highest interface version that both sides know: 5, or -1.
///
/// # Safety
/// The broker passes an array with that many versions.
// SAFETY: the name is the one that the broker looks up, and nothing else in the plugin is called so.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mosquitto_plugin_version(count: c_int, versions: *const c_int) -> c_int {
    let count = usize::try_from(count.min(MAX_COUNT)).unwrap_or(0);
    // SAFETY: the broker's array has `count` elements, and is read only here.
    let offers = (0..count).any(|at| unsafe { *versions.add(at) } == PLUGIN_VERSION);
    if offers { PLUGIN_VERSION } else { -1 }
}

/// Reads the options `accepts` (a file, needed) and `uses` (a socket), and asks to be called for each login.
///
/// # Safety
/// The broker passes its identifier, a place for our pointer, and that many options.
// SAFETY: as above.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mosquitto_plugin_init(
    id: *mut c_void,
    user: *mut *mut c_void,
    options: *const Setting,
    count: c_int,
) -> c_int {
    let option = |name: &str| {
        let count = usize::try_from(count.min(MAX_COUNT)).unwrap_or(0);
        // SAFETY: the broker's array has `count` options, whose texts live as long as this call.
        let found = (0..count).map(|at| unsafe { &*options.add(at) }).find(|found| unsafe { text(found.key) } == Some(name));
        // SAFETY: as above.
        found.and_then(|found| unsafe { text(found.value) }).map(PathBuf::from)
    };
    let Some(file) = option("accepts") else {
        log(
            LOG_ERROR,
            "citytap: the option is missing: plugin_opt_accepts /path/of/the/accept-set, right after the line that loads this plugin",
        );
        return INVALID;
    };
    let uses = option("uses");
    let ready = catch_unwind(|| {
        let mut guard = Guard::new(file, uses);
        let line = guard.refresh();
        (guard, line)
    });
    let Ok((guard, line)) = ready else { return INVALID };
    log(LOG_NOTICE, &line.unwrap_or_else(|| "citytap: nothing is staged yet".to_owned()));
    let loaded = Box::into_raw(Box::new(Loaded { id, guard })).cast::<c_void>();
    // SAFETY: `user` is the broker's place for our pointer, which it hands back in each call and in the last one, where it is freed.
    unsafe {
        *user = loaded;
        CALLS
            .iter()
            .map(|(event, call)| mosquitto_callback_register(id, *event, *call, std::ptr::null(), loaded))
            .find(|code| *code != SUCCESS)
    }
    .unwrap_or(SUCCESS)
}

/// Takes back what init gave.
///
/// # Safety
/// The broker passes the pointer that init left, once, after the last login.
// SAFETY: as above.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mosquitto_plugin_cleanup(user: *mut c_void, _options: *const Setting, _count: c_int) -> c_int {
    if user.is_null() {
        return SUCCESS;
    }
    // SAFETY: the pointer came from Box::into_raw in init, and the broker calls this once.
    unsafe {
        let loaded = Box::from_raw(user.cast::<Loaded>());
        for (event, call) in CALLS {
            mosquitto_callback_unregister(loaded.id, event, call, std::ptr::null());
        }
    }
    SUCCESS
}

extern "C" fn on_basic_auth(_event: c_int, data: *mut c_void, user: *mut c_void) -> c_int {
    if data.is_null() || user.is_null() {
        return DEFER;
    }
    let judged = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: for this event the broker passes a mosquitto_evt_basic_auth, and our own pointer, which no other call uses meanwhile.
        let (login, loaded) = unsafe { (&*data.cast::<BasicAuth>(), &mut *user.cast::<Loaded>()) };
        judge(login, &mut loaded.guard)
    }));
    match judged {
        Ok(verdict) => {
            verdict.log.iter().for_each(|line| log(LOG_NOTICE, line));
            if verdict.accepted { SUCCESS } else { DEFER }
        }
        Err(_) => {
            log(LOG_ERROR, "citytap: a fault of this plugin; the next one decides");
            DEFER
        }
    }
}

extern "C" fn on_message(_event: c_int, data: *mut c_void, user: *mut c_void) -> c_int {
    of_client(data, user, Guard::published)
}

extern "C" fn on_disconnect(_event: c_int, data: *mut c_void, user: *mut c_void) -> c_int {
    of_client(data, user, Guard::gone)
}

extern "C" fn on_tick(_event: c_int, _data: *mut c_void, user: *mut c_void) -> c_int {
    if !user.is_null() {
        // SAFETY: our own pointer, which no other call uses meanwhile.
        let loaded = unsafe { &mut *user.cast::<Loaded>() };
        let _ = catch_unwind(AssertUnwindSafe(|| loaded.guard.tick())); // What is kept stays kept.
    }
    SUCCESS
}

/// Hands the client's identifier to the guard. Always success: the message goes on.
fn of_client(data: *mut c_void, user: *mut c_void, hand: fn(&mut Guard, &str)) -> c_int {
    if !data.is_null() && !user.is_null() {
        // SAFETY: for these events the broker passes a struct that begins as OfClient with a client that lives during the call, and our own pointer.
        let (id, loaded) = unsafe { (text(mosquitto_client_id((*data.cast::<OfClient>()).client)), &mut *user.cast::<Loaded>()) };
        if let Some(id) = id {
            let _ = catch_unwind(AssertUnwindSafe(|| hand(&mut loaded.guard, id))); // Nothing is refused for a fault of ours.
        }
    }
    SUCCESS
}

fn judge(login: &BasicAuth, guard: &mut Guard) -> Verdict {
    guard.refresh().iter().for_each(|line| log(LOG_NOTICE, line));
    // SAFETY: user name and password are null or end with a zero byte (the broker refuses a password that holds one), and live as long as the call.
    let (user, password) = unsafe { (text(login.username), text(login.password)) };
    let (Some(user), Some(password)) = (user, password) else { return Verdict { accepted: false, log: None } };
    // SAFETY: the client is the broker's, alive during the call; both functions answer null or a text of the client's.
    let (id, address) = unsafe { (text(mosquitto_client_id(login.client)), text(mosquitto_client_address(login.client))) };
    guard.judge(user, password.as_bytes(), id, address)
}

/// A C text as UTF-8; `None` for null and for other encodings, which no password that we stage has.
///
/// # Safety
/// Null, or a text that ends with a zero byte and outlives `'a`.
unsafe fn text<'a>(pointer: *const c_char) -> Option<&'a str> {
    // SAFETY: what the caller promises.
    if pointer.is_null() { None } else { unsafe { CStr::from_ptr(pointer) }.to_str().ok() }
}

fn log(level: c_int, line: &str) {
    let Ok(line) = CString::new(line) else { return };
    // SAFETY: the format takes one text, which lives until the call returns.
    unsafe { mosquitto_log_printf(level, c"%s".as_ptr(), line.as_ptr()) }
}
