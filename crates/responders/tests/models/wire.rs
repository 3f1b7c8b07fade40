//! The events of both protocols, in the form in which servers send them.

use responders::Protocol;
use serde_json::{Value, json};

/// Returns a response with `events`, in chunks of one byte each.
pub(crate) fn in_single_bytes(events: &str) -> Vec<u8> {
    let head = "HTTP/1.1 200 OK\r\n\
                content-type: text/event-stream\r\n\
                transfer-encoding: chunked\r\n\r\n";
    let mut bytes = head.as_bytes().to_vec();
    for byte in events.bytes() {
        bytes.extend([b'1', b'\r', b'\n', byte, b'\r', b'\n']);
    }
    bytes.extend(b"0\r\n\r\n");
    bytes
}

/// Returns a server-sent event with this data.
pub(crate) fn event(protocol: Protocol, data: &Value) -> String {
    match protocol {
        Protocol::Anthropic => format!(
            "event: {}\ndata: {data}\n\n",
            data["type"].as_str().unwrap_or("none")
        ),
        Protocol::OpenAi => format!("data: {data}\n\n"),
    }
}

/// Returns the events before the first text, including some that clients must ignore.
pub(crate) fn begin(protocol: Protocol) -> String {
    match protocol {
        Protocol::Anthropic => [
            json!({
                "type": "message_start",
                "message": { "id": "m", "role": "assistant", "content": [], "stop_reason": null },
            }),
            json!({ "type": "ping" }),
            json!({ "type": "something_new", "delta": 7 }),
            json!({
                "type": "content_block_start",
                "index": 0,
                "content_block": { "type": "text", "text": "" },
            }),
            json!({
                "type": "content_block_delta",
                "index": 0,
                "delta": { "type": "signature_delta", "signature": "s" },
            }),
        ]
        .iter()
        .map(|data| event(protocol, data))
        .collect(),
        Protocol::OpenAi => {
            let role = json!({
                "id": "c",
                "choices": [{
                    "index": 0,
                    "delta": { "role": "assistant", "content": "" },
                    "finish_reason": null,
                }],
            });
            [
                ": wait\n\n",
                &event(protocol, &role),
                "event: something_new\n\n",
                &event(protocol, &json!({ "choices": [] })),
            ]
            .concat()
        }
    }
}

/// Returns an event with a part of the answer's text.
pub(crate) fn text(protocol: Protocol, text: &str) -> String {
    let data = match protocol {
        Protocol::Anthropic => json!({
            "type": "content_block_delta",
            "index": 0,
            "delta": { "type": "text_delta", "text": text },
        }),
        Protocol::OpenAi => json!({
            "choices": [{ "index": 0, "delta": { "content": text }, "finish_reason": "" }],
        }),
    };
    event(protocol, &data)
}

/// Returns an event with a part of the model's thoughts. Servers with OpenAI's protocol use the
/// field `reasoning_content`, the field `reasoning`, or both.
pub(crate) fn thinking(protocol: Protocol, text: &str) -> String {
    let delta = json!({ "type": "thinking_delta", "thinking": text });
    let data = match protocol {
        Protocol::Anthropic => {
            json!({ "type": "content_block_delta", "index": 0, "delta": delta })
        }
        Protocol::OpenAi if text.len().is_multiple_of(2) => {
            json!({ "choices": [{ "delta": { "reasoning_content": text, "reasoning": text } }] })
        }
        Protocol::OpenAi => {
            json!({ "choices": [{ "delta": { "reasoning": text, "content": null } }] })
        }
    };
    event(protocol, &data)
}

/// Returns the events that end an answer for this reason.
pub(crate) fn end(protocol: Protocol, reason: &str) -> String {
    match protocol {
        Protocol::Anthropic => [
            json!({ "type": "content_block_stop", "index": 0 }),
            json!({
                "type": "message_delta",
                "delta": { "stop_reason": reason },
                "usage": { "output_tokens": 9 },
            }),
            json!({ "type": "message_stop" }),
        ]
        .iter()
        .map(|data| event(protocol, data))
        .collect(),
        Protocol::OpenAi => {
            let last = json!({ "choices": [{ "delta": {}, "finish_reason": reason }] });
            event(protocol, &last) + "data: [DONE]\n\n"
        }
    }
}

/// Returns the events that end a complete answer.
pub(crate) fn stop(protocol: Protocol) -> String {
    match protocol {
        Protocol::Anthropic => end(protocol, "end_turn"),
        Protocol::OpenAi => end(protocol, "stop"),
    }
}

/// Returns an event by which the server reports an error and ends the answer.
pub(crate) fn error(protocol: Protocol, message: &str) -> String {
    let error = json!({ "type": "overloaded_error", "message": message });
    let data = match protocol {
        Protocol::Anthropic => json!({ "type": "error", "error": error }),
        Protocol::OpenAi => json!({ "error": error }),
    };
    event(protocol, &data)
}
