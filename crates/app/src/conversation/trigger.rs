//! The events that can make agents speak.

use domain::AgentId;

use crate::traces::TraceCause;

/// A change in a room, after which its agents may have something to say.
#[derive(Clone, Debug)]
pub(crate) enum Trigger {
    /// A person wrote a message.
    Said {
        /// The mentioned agents, in the order in which they answer.
        mentioned: Vec<AgentId>,
        /// The span of the request, to which the spans of turns are linked.
        cause: TraceCause,
    },
    /// The room's messages were deleted.
    Cleared,
    /// A person wants the agents that have not answered to be asked again.
    Retried,
    /// The room or its members changed in another way.
    Changed,
}
