//! The engine on the browser's ports.

use crate::engine::transfer::UserExport;
use crate::engine::{Engine, User};
use crate::web::host::WebHost;
use crate::web::remote::WebRemote;
use crate::web::storage::WebBacking;
use crate::web::storage::web_store::WebStore;

pub(crate) type WebEngine = Engine<WebBacking, WebRemote, WebHost>;

pub(crate) type WebUser = User<WebStore, WebHost>;

pub(crate) type WebExport = UserExport<WebStore, WebHost>;
