//! Tags: entries of several regions are invalidated by a name that they have in common.
//!
//! Run it with `cargo run -p greenroom-cache-core --example tags`.

use std::{convert::Infallible, error::Error, time::Duration};

use cache_core::{Entry, LoadError, Manager, Policy, Region, Runtime, Source, Unknown, Written};

/// A blog, whose articles are cached as pages and as titles.
struct Blog {
    manager: Manager,
    pages: Region<u32, String>,
    titles: Region<u32, String>,
}

/// Returns the author of an article: there are two.
fn author_of(article: u32) -> u32 {
    article % 2
}

fn tag_of(author: u32) -> String {
    format!("author {author}")
}

impl Blog {
    async fn page(&self, article: u32) -> Result<Source, LoadError<Infallible>> {
        let load = move || async move {
            // The tags are known once the article is loaded.
            let page = Entry::new(format!("article {article}"));
            Ok(Some(page.tag(tag_of(author_of(article))).tag("pages")))
        };
        Ok(self.pages.request(article).load_entry(load).await?.source)
    }

    async fn title(&self, article: u32) -> Result<Source, LoadError<Infallible>> {
        let load = move || async move {
            let title = Entry::new(format!("title {article}"));
            Ok(Some(title.tag(tag_of(author_of(article)))))
        };
        Ok(self.titles.request(article).load_entry(load).await?.source)
    }

    /// Reads two pages and two titles, and returns where they came from.
    async fn sources(&self) -> Result<[Source; 4], LoadError<Infallible>> {
        Ok([
            self.page(1).await?,
            self.page(2).await?,
            self.title(1).await?,
            self.title(2).await?,
        ])
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    use Source::{Hit, Loaded};

    let manager = Manager::new(Runtime::tokio(), Unknown::Never);
    let policy = Policy::new(Duration::from_secs(60), 1_000);
    let blog = Blog {
        pages: manager.region("pages", policy.clone()),
        titles: manager.region("titles", policy),
        manager,
    };
    assert_eq!(blog.sources().await?, [Loaded; 4]);
    assert_eq!(blog.sources().await?, [Hit; 4]);

    // A write that makes the entries of author 1 stale, however many there are. A guard names a tag
    // in each region.
    let rename = async { Written::<_, Infallible>::Committed(()) };
    let guard = blog.manager.guard();
    let guard = guard
        .tag(&blog.pages, tag_of(1))
        .tag(&blog.titles, tag_of(1));
    guard.run(rename).await?;
    assert_eq!(blog.sources().await?, [Loaded, Hit, Loaded, Hit]);

    // By hand, for an edit that did not go through a guard: in all regions, or in one.
    assert_eq!(blog.manager.invalidate_tag(tag_of(0)), 2);
    assert_eq!(blog.sources().await?, [Hit, Loaded, Hit, Loaded]);
    assert_eq!(blog.pages.remove_tagged("pages"), 2);
    assert_eq!(blog.sources().await?, [Loaded, Loaded, Hit, Hit]);

    // A load that is in progress when its tag is invalidated is returned, but not stored.
    let manager = blog.manager.clone();
    let load = || async move {
        manager.invalidate_tag("author 1");
        Ok::<_, Infallible>(Some(Entry::new("old page".to_owned()).tag("author 1")))
    };
    blog.pages.remove(&1);
    let read = blog.pages.request(1).load_entry(load).await?;
    assert_eq!(read.value.as_deref(), Some("old page"));
    assert!(!blog.pages.contains_key(&1));
    println!("{} entries invalidated", blog.pages.stats().invalidations);
    Ok(())
}
