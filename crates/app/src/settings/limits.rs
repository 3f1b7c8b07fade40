//! Limits on requests, sizes and times.

use std::time::Duration;

use super::table::settings_table;

settings_table! {
    /// Limits of one source of settings.
    #[command(next_help_heading = "Limits")]
    pub struct LimitFlags => /// The limits in force.
    Limits {
        /// Requests per second that one token may send in the long run; also applies to one
        /// address without a valid token and to one address of guests
        requests_per_second: u32 = "100", "GREENROOM_REQUESTS_PER_SECOND", "NUMBER";
        /// Requests that a caller may send at once before the rate applies
        request_burst: u32 = "500", "GREENROOM_REQUEST_BURST", "NUMBER";
        /// Logins per minute from one address
        logins_per_minute: u32 = "20", "GREENROOM_LOGINS_PER_MINUTE", "NUMBER";
        /// Longest message, in characters
        message_chars: usize = "32768", "GREENROOM_MESSAGE_CHARS", "NUMBER";
        /// Longest text of an agent's persona, in characters
        persona_chars: usize = "262144", "GREENROOM_PERSONA_CHARS", "NUMBER";
        /// Rooms that one guest may own
        rooms_per_guest: usize = "50", "GREENROOM_ROOMS_PER_GUEST", "NUMBER";
        /// Largest uploaded image, in pixels
        image_pixels: u64 = "40000000", "GREENROOM_IMAGE_PIXELS", "NUMBER";
        /// Connections that may be open at the same time
        connections: usize = "10000", "GREENROOM_CONNECTIONS", "NUMBER";
        /// Time for a connection to send the head of a request; also closes idle connections
        header_timeout: Duration = "30s", "GREENROOM_HEADER_TIMEOUT", "TIME";
        /// Time for the body of a request to arrive
        body_timeout: Duration = "60s", "GREENROOM_BODY_TIMEOUT", "TIME";
    }
}
