//! The files of the page, embedded in the program.

use crate::file::File;

/// Embeds files of the folder `page`.
macro_rules! files {
    ($($path:literal),+ $(,)?) => {
        [$(File::new($path, include_bytes!(concat!("../page/", $path)))),+]
    };
}

/// The files that are served. A test compares them with the folder.
pub(crate) static FILES: [File; 49] = files![
    "admin.css",
    "admin/access.js",
    "admin/cache.js",
    "admin/chart.js",
    "admin/conversations.js",
    "admin/events.js",
    "admin/files.js",
    "admin/health.js",
    "admin/keys.js",
    "admin/live.js",
    "admin/table.js",
    "admin/usage.js",
    "app.css",
    "app.js",
    "icon.svg",
    "index.html",
    "lib/api.js",
    "lib/dialog.js",
    "lib/dom.js",
    "lib/markdown.js",
    "lib/rooms.js",
    "lib/screen.js",
    "lib/session.js",
    "lib/stream.js",
    "lib/tabs.js",
    "lib/window.js",
    "lib/words.js",
    "manifest.webmanifest",
    "room/composer.js",
    "room/drafts.js",
    "room/image.js",
    "room/log.js",
    "room/members.js",
    "room/mentions.js",
    "room/row.js",
    "room/sender.js",
    "room/transcript.js",
    "screens/admin.js",
    "screens/agent.js",
    "screens/agents.js",
    "screens/help.js",
    "screens/login.js",
    "screens/members.js",
    "screens/room.js",
    "screens/rooms.js",
    "screens/settings.js",
    "screens/welcome.js",
    "words/ar.json",
    "words/en.json",
];
