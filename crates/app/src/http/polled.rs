//! The paths that browsers request most: polls, and rooms when they are opened. They are parsed
//! here, because routing costs more than reading the response from memory. The routes call the same
//! handlers.

use axum::{
    http::Method,
    response::{IntoResponse, Response},
};
use domain::RoomId;

use super::{
    access::Access,
    chatting::chatting,
    error::ApiResult,
    ids::{Ids, parse},
    poll::{Poll, respond_to_poll},
    query::Query,
    rooms::respond_with_room,
};
use crate::route_table::{RouteIndex, RouteTable};

/// The routes of these paths.
pub(super) struct PolledRoutes {
    room: RouteIndex,
    messages: RouteIndex,
    chatting_agents: RouteIndex,
}

/// A request for one of these paths.
pub(super) struct Polled {
    room: RoomId,
    path: PolledPath,
    pub(super) route: RouteIndex,
}

/// The part of the path that follows the room.
enum PolledPath {
    /// Nothing: the room itself.
    Room,
    Messages,
    ChattingAgents,
}

impl PolledRoutes {
    pub(super) fn new(table: &RouteTable) -> Self {
        let find = |path| table.find(path).expect("each polled path has a route");
        Self {
            room: find("/rooms/1"),
            messages: find("/rooms/1/messages/poll"),
            chatting_agents: find("/rooms/1/chatting-agents"),
        }
    }

    /// Parses a request. Returns `None` for all that the routes must handle, such as a path with
    /// escapes or with an invalid id.
    pub(super) fn parse(&self, method: &Method, path: &str) -> Option<Polled> {
        let path = path.strip_prefix("/rooms/")?;
        let (room, rest) = path.split_once('/').unwrap_or((path, ""));
        let (path, route) = match rest {
            "" if room.len() == path.len() => (PolledPath::Room, self.room),
            "messages/poll" => (PolledPath::Messages, self.messages),
            "chatting-agents" => (PolledPath::ChattingAgents, self.chatting_agents),
            _ => return None,
        };
        let room = RoomId(parse(room)?);
        (*method == Method::GET).then_some(Polled { room, path, route })
    }
}

impl Polled {
    /// Responds as the route does.
    pub(super) async fn respond(self, access: ApiResult<Access>, query: &Query) -> Response {
        let access = match access {
            Ok(access) => access,
            Err(refusal) => return refusal.into_response(),
        };
        let room = self.room;
        match self.path {
            // Boxed, so that it does not enlarge the future of a poll.
            PolledPath::Room => {
                Box::pin(respond_with_room(access, Ok(room), query.wants_images())).await
            }
            PolledPath::Messages => respond_to_poll(access, Poll::parse(room, query)).await,
            PolledPath::ChattingAgents => {
                let ids = Ids::of_room(room);
                chatting(access, ids).await.into_response()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, sync::Arc};

    use axum::{
        Router,
        body::{Body, to_bytes},
        extract::Request,
        response::Response,
    };
    use cache_core::Runtime;
    use contract::memory;
    use domain::{NewMessage, NewRoom, RoomName, UserId};
    use tower::ServiceExt;

    use super::super::{routes::routes, service::RequestService};
    use super::*;
    use crate::{
        auth::{Auth, Caller, Role},
        conversation::Responders,
        settings::{Flags, Limits, Settings},
        state::{App, AppHandle},
        wiring::with_store,
    };

    /// The program with a room of the administrator that has three messages.
    struct Program {
        settings: Settings,
        app: Arc<App>,
        room: RoomId,
        tokens: [String; 2],
    }

    async fn program() -> Program {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = Settings::read(Flags::default()).unwrap();
        settings.auth.credentials = folder.path().join("credentials.yaml");
        settings.cors_origins = vec!["https://example.org".into()];
        settings.limits = Limits {
            requests_per_second: u32::MAX,
            request_burst: u32::MAX,
            guest_requests_per_second: u32::MAX,
            guest_request_burst: u32::MAX,
            ..settings.limits
        };
        let auth = Auth::open(&settings).unwrap();
        let guest = Caller {
            user: UserId::parse("guest-7").unwrap(),
            role: Role::Guest,
        };
        let tokens = [Caller::admin(), guest].map(|caller| auth.issue(&caller));
        let store = memory::repositories();
        let responders = Responders::default();
        let app = with_store(store, &settings, auth, responders, Runtime::tokio());
        let new = NewRoom {
            owner: UserId::admin(),
            name: RoomName::parse("tea").unwrap(),
            max_interactions: None,
        };
        let ports = &app.cache.repositories;
        let room = ports.rooms.create(new).await.unwrap().id;
        for text in ["one", "two", "three"] {
            let message = NewMessage::from_user(room, text);
            ports.messages.append(message).await.unwrap();
        }
        Program {
            settings,
            app: Arc::new(app),
            room,
            tokens,
        }
    }

    /// Status, headers and body of a response.
    type Shown = (u16, BTreeMap<String, Vec<String>>, String);

    /// Returns a response without the random id of a refusal, and without the length, which the
    /// connection adds if it is missing.
    async fn shown(response: Response) -> Shown {
        let (parts, body) = response.into_parts();
        let mut headers: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (name, value) in &parts.headers {
            if !["x-request-id", "content-length"].contains(&name.as_str()) {
                let values = headers.entry(name.to_string()).or_default();
                values.push(value.to_str().unwrap().to_owned());
            }
        }
        let body = to_bytes(body, usize::MAX).await.unwrap();
        (
            parts.status.as_u16(),
            headers,
            String::from_utf8(body.to_vec()).unwrap(),
        )
    }

    #[tokio::test]
    async fn a_polled_path_is_answered_as_its_route_answers_it() {
        let program = program().await;
        let (app, settings) = (AppHandle::new(program.app.clone()), &program.settings);
        let polled = RequestService::new(app.clone(), settings);
        let routes = RequestService::around(routes(&app, settings), app, settings);
        let room = program.room.0;
        let rooms = [
            room.to_string(),
            format!("+{room}"),
            format!("%3{room}"),
            "999".into(),
            "0".into(),
            "-1".into(),
            "tea".into(),
            String::new(),
        ];
        let rests = [
            "",
            "/",
            "/?images=none",
            "?images=none",
            "?images=all",
            "/messages/poll",
            "/messages/poll?since_id=0",
            "/messages/poll?since_id=3",
            "/messages/poll?since_id=1&limit=1",
            "/messages/poll?since_id=x",
            "/messages/poll?limit=0&since_id=3",
            "/messages/poll?wait=0&images=none",
            "/messages/poll?wait=0.01&since_id=3",
            "/messages/poll?images=all",
            "/messages/poll/",
            "/messages%2Fpoll",
            "/chatting-agents",
            "/chatting-agents?x=1",
            "/chatting-agents/",
        ];
        let [admin, guest] = &program.tokens;
        let senders: [&[(&str, &str)]; 6] = [
            &[],
            &[("x-api-key", "forged")],
            &[("x-api-key", admin)],
            &[("authorization", &format!("Bearer {guest}"))],
            &[("x-api-key", admin), ("cache-control", "no-cache")],
            &[("x-api-key", admin), ("origin", "https://example.org")],
        ];
        let methods = [Method::GET, Method::HEAD, Method::POST, Method::OPTIONS];
        let mut statuses = BTreeMap::new();
        for room in &rooms {
            for rest in rests {
                for (sender, method) in senders
                    .iter()
                    .flat_map(|sender| methods.iter().map(move |method| (*sender, method)))
                {
                    let path = format!("/rooms/{room}{rest}");
                    let request = || {
                        let request = Request::builder().method(method).uri(&path);
                        let request = sender.iter().fold(request, |request, (name, value)| {
                            request.header(*name, *value)
                        });
                        request.body(Body::empty()).unwrap()
                    };
                    let ask = async |service: &RequestService| {
                        let Ok(response) = service.clone().oneshot(request()).await;
                        shown(response).await
                    };
                    // The first response may be read from the store, the others are from memory.
                    ask(&routes).await;
                    let expected = ask(&routes).await;
                    assert_eq!(ask(&polled).await, expected, "{method} {path} {sender:?}");
                    *statuses.entry(expected.0).or_insert(0) += 1;
                }
            }
        }
        let seen: Vec<u16> = statuses.into_keys().collect();
        assert_eq!(seen, [200, 401, 403, 404, 405, 422]);
    }

    #[tokio::test]
    async fn the_service_can_be_a_part_of_another_router() {
        let program = program().await;
        let service = crate::http::router(program.app, &program.settings);
        let router = Router::new().nest("/greenroom", service);
        let path = format!("/greenroom/rooms/{}/messages/poll", program.room);
        let request = Request::get(&path).header("x-api-key", &program.tokens[0]);
        let Ok(response) = router.oneshot(request.body(Body::empty()).unwrap()).await;
        assert_eq!(response.status(), 200);
    }
}
