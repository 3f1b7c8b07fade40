//! Limits on requests, sizes and times.

use std::time::Duration;

use super::table::settings_table;

settings_table! {
    /// Limits of one source of settings.
    #[command(next_help_heading = "Limits")]
    pub struct LimitFlags => /// The limits in force.
    Limits {
        /// Requests per second that one token may send in the long run; also applies to the
        /// requests of one address that need no token or have a wrong one
        requests_per_second: u32 = "100", "GREENROOM_REQUESTS_PER_SECOND", "NUMBER";
        /// Requests that a caller may send at once before the rate applies
        request_burst: u32 = "500", "GREENROOM_REQUEST_BURST", "NUMBER";
        /// Requests per second that all guests of one address may send in the long run
        guest_requests_per_second: u32 = "2000", "GREENROOM_GUEST_REQUESTS_PER_SECOND", "NUMBER";
        /// Requests that the guests of one address may send at once before the rate applies
        guest_request_burst: u32 = "10000", "GREENROOM_GUEST_REQUEST_BURST", "NUMBER";
        /// Logins per minute from one address
        logins_per_minute: u32 = "20", "GREENROOM_LOGINS_PER_MINUTE", "NUMBER";
        /// Longest message, in characters
        message_chars: usize = "32768", "GREENROOM_MESSAGE_CHARS", "NUMBER";
        /// Longest text of an agent's persona, in characters
        persona_chars: usize = "262144", "GREENROOM_PERSONA_CHARS", "NUMBER";
        /// Rooms that one guest may own
        rooms_per_guest: usize = "50", "GREENROOM_ROOMS_PER_GUEST", "NUMBER";
        /// Agents in one room
        agents_per_room: usize = "50", "GREENROOM_AGENTS_PER_ROOM", "NUMBER";
        /// Days after which the rooms of a guest who did nothing are removed; 0 keeps them
        guest_rooms_days: u32 = "0", "GREENROOM_GUEST_ROOMS_DAYS", "NUMBER";
        /// Let guests delete their own rooms and messages, and remove agents from their rooms
        guests_delete: bool = "false", "GREENROOM_GUESTS_DELETE", "true|false";
        /// Let a guest's request with `Cache-Control: no-cache` bypass the cache
        guests_bypass_cache: bool = "false", "GREENROOM_GUESTS_BYPASS_CACHE", "true|false";
        /// Largest uploaded image, in pixels
        image_pixels: u64 = "12000000", "GREENROOM_IMAGE_PIXELS", "NUMBER";
        /// Bytes of all images in the rooms of one guest
        image_bytes_per_guest: u64 = "104857600", "GREENROOM_IMAGE_BYTES_PER_GUEST", "BYTES";
        /// Bytes of request bodies that may be in memory at the same time
        body_bytes_at_once: usize = "16777216", "GREENROOM_BODY_BYTES_AT_ONCE", "BYTES";
        /// Connections that may be open at the same time
        connections: usize = "10000", "GREENROOM_CONNECTIONS", "NUMBER";
        /// Connections that one address may have open at the same time; does not apply to trusted
        /// proxies
        connections_per_address: usize = "1000", "GREENROOM_CONNECTIONS_PER_ADDRESS", "NUMBER";
        /// Event streams and waiting polls that one guest may have open at the same time
        waits_per_guest: usize = "100", "GREENROOM_WAITS_PER_GUEST", "NUMBER";
        /// Event streams and waiting polls that the guests of one address may have open at the same
        /// time
        waits_per_address: usize = "1000", "GREENROOM_WAITS_PER_ADDRESS", "NUMBER";
        /// Time after which an event stream ends; clients then connect again
        stream_time: Duration = "1h", "GREENROOM_STREAM_TIME", "TIME";
        /// Time for a connection to send the head of a request; also closes idle connections
        header_timeout: Duration = "30s", "GREENROOM_HEADER_TIMEOUT", "TIME";
        /// Time for the body of a request to arrive
        body_timeout: Duration = "60s", "GREENROOM_BODY_TIMEOUT", "TIME";
    }
}

/// The size of a body without images and long texts, in bytes.
pub(crate) const SMALL_BODY_BYTES: usize = 64 * 1_024;

/// Returns the least `body_bytes_at_once` with which one address can send a body of this length and
/// a small one. Seven eighths are for large bodies.
pub(crate) fn least_body_bytes(length: usize) -> usize {
    let for_large = length.div_ceil(7).saturating_mul(8);
    for_large.max(SMALL_BODY_BYTES * 8)
}
