//! The routes of the interface, by which requests are counted and logged.

/// The routes of the interface, such as `/rooms/{room}`.
pub(crate) struct RouteTable {
    paths: Vec<String>,
    /// The matcher that axum uses, too, so that both find the same route.
    matcher: matchit::Router<RouteIndex>,
}

/// The index of a route in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RouteIndex(pub(crate) usize);

impl std::fmt::Debug for RouteTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("RouteTable").field(&self.paths).finish()
    }
}

impl RouteTable {
    /// Creates the table of these routes.
    pub(crate) fn new(paths: impl IntoIterator<Item = String>) -> Self {
        let paths: Vec<String> = paths.into_iter().collect();
        let mut matcher = matchit::Router::new();
        for (index, path) in paths.iter().enumerate() {
            matcher
                .insert(path, RouteIndex(index))
                .expect("the router has the same routes");
        }
        Self { paths, matcher }
    }

    /// Returns the number of routes.
    pub(crate) fn len(&self) -> usize {
        self.paths.len()
    }

    /// Returns the route of a request's path.
    pub(crate) fn find(&self, path: &str) -> Option<RouteIndex> {
        self.matcher.at(path).ok().map(|found| *found.value)
    }

    /// Returns the path of a route, such as `/rooms/{room}`.
    pub(crate) fn path(&self, RouteIndex(index): RouteIndex) -> &str {
        &self.paths[index]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_found_by_its_route_and_another_one_is_not() {
        let routes = [
            "/rooms/{room}",
            "/rooms/new",
            "/rooms/{room}/agents/{agent}",
        ];
        let table = RouteTable::new(routes.map(str::to_owned));
        let found = |path: &str| table.find(path).map(|index| table.path(index).to_owned());
        assert_eq!(found("/rooms/7").as_deref(), Some("/rooms/{room}"));
        assert_eq!(found("/rooms/new").as_deref(), Some("/rooms/new"));
        let deeper = found("/rooms/7/agents/3");
        assert_eq!(deeper.as_deref(), Some("/rooms/{room}/agents/{agent}"));
        assert_eq!(found("/rooms"), None);
        assert_eq!(table.len(), routes.len());
    }
}
