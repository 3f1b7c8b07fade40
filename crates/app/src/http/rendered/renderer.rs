//! Reads and renders objects for one request, through the caches or bypassing them.

use axum::body::Bytes;
use cache_adapter::Cache;
use domain::Repositories;

use crate::{
    bounds::SenderBytes,
    render_cache::{Key, RenderCache, Sources},
};

/// A renderer of the objects that a request reads. The modules of these objects add its methods.
#[derive(Clone, Copy)]
pub(crate) struct Renderer<'a> {
    pub(super) ports: &'a Repositories,
    /// `None` if the request bypasses the cache.
    pub(super) caches: Option<Caches<'a>>,
    /// The bytes of images that responses may contain; `None` if the request wants none.
    pub(super) images: Option<SenderBytes<'a>>,
    /// The bytes of texts that responses may contain.
    pub(super) texts: SenderBytes<'a>,
}

/// The cache of rendered texts, and the cache of entities, whose leases show that a text is still
/// current.
#[derive(Clone, Copy)]
pub(super) struct Caches<'a> {
    pub(super) entities: &'a Cache,
    pub(super) texts: &'a RenderCache,
}

impl<'a> Renderer<'a> {
    /// Returns a renderer that reads through `entities` and keeps its texts in `texts`.
    pub(crate) fn cached(
        entities: &'a Cache,
        texts: &'a RenderCache,
        images: SenderBytes<'a>,
        long_texts: SenderBytes<'a>,
    ) -> Self {
        Self {
            ports: &entities.repositories,
            caches: Some(Caches { entities, texts }),
            images: Some(images),
            texts: long_texts,
        }
    }

    /// Returns a renderer that reads from the store and does not use cached texts.
    pub(crate) fn bypassing(
        entities: &'a Cache,
        images: SenderBytes<'a>,
        long_texts: SenderBytes<'a>,
    ) -> Self {
        Self {
            ports: &entities.bypassing,
            caches: None,
            images: Some(images),
            texts: long_texts,
        }
    }

    /// Returns a renderer whose messages show no images, but only where the images are.
    pub(crate) fn without_images(self) -> Self {
        Self {
            images: None,
            ..self
        }
    }

    /// Returns a renderer that waits until long texts can be sent, for as long as it takes.
    pub(crate) fn patient(self) -> Self {
        Self {
            texts: self.texts.patient(),
            ..self
        }
    }

    /// Returns the cached text of a part if `is_current` accepts its sources. Otherwise renders the
    /// part and caches it with the result of `sources`.
    pub(super) fn part(
        &self,
        key: Key,
        is_current: impl FnOnce(&Sources) -> bool,
        sources: impl FnOnce() -> Sources,
        render: impl FnOnce() -> Vec<u8>,
    ) -> Bytes {
        let Some(caches) = &self.caches else {
            return render().into();
        };
        caches.texts.get(&key, is_current).unwrap_or_else(|| {
            // Boxed, so that the cached text has no spare capacity.
            let text = Bytes::from(render().into_boxed_slice());
            caches.texts.insert(key, sources(), text.clone());
            text
        })
    }
}
