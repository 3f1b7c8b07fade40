//! Laws of the tokens that answers used.

use chrono::{Days, NaiveDate};
use domain::{AgentId, RoomId, Usage, UsageKey, UsageRecord, UsageSum, UserId};

use super::{
    ensure::{NO_LIMIT, Outcome, ensure, ensure_eq, ensure_some},
    law_run::{LawRun, in_tasks},
};

fn today() -> NaiveDate {
    chrono::Utc::now().date_naive()
}

fn usage(input: u64) -> Usage {
    Usage {
        input,
        output: 10,
        cached: 3,
        requests: 1,
    }
}

/// Returns a record of today's usage. Records of one owner and one model differ in the room.
fn record(owner: &UserId, room: i64, input: u64) -> UsageRecord {
    UsageRecord {
        day: today(),
        owner: owner.clone(),
        room: RoomId(room),
        agent: AgentId(3),
        model: "llama".into(),
        usage: usage(input),
    }
}

async fn add(run: &LawRun, records: impl IntoIterator<Item = UsageRecord>) -> Outcome {
    for record in records {
        run.ports.usage.add(record).await?;
    }
    Ok(())
}

async fn sums(run: &LawRun, key: UsageKey, owner: &UserId) -> Outcome<Vec<(String, u64)>> {
    let sums = run
        .ports
        .usage
        .sums(key, today(), Some(owner.clone()), NO_LIMIT);
    let sums = sums.await?.into_iter();
    Ok(sums.map(|sum| (sum.value, sum.usage.input)).collect())
}

pub(super) async fn usage_is_added_up_by_every_field(run: LawRun) -> Outcome {
    let (owner, other) = (run.owner()?, run.user("other")?);
    let first = record(&owner, 7, 100);
    let in_another_room = record(&owner, 8, 50);
    let by_another_agent = UsageRecord {
        agent: AgentId(4),
        ..record(&owner, 7, 20)
    };
    let of_another_model = UsageRecord {
        model: "GPT 'x' 하늘".into(),
        ..record(&owner, 7, 5)
    };
    let records = [
        first.clone(),
        in_another_room,
        by_another_agent,
        of_another_model,
        first.clone(),
        record(&other, 7, 1_000),
    ];
    add(&run, records).await?;
    let day = today().to_string();
    for (key, expected) in [
        (UsageKey::Day, vec![(day.as_str(), 275)]),
        (UsageKey::Owner, vec![(owner.as_str(), 275)]),
        (UsageKey::Room, vec![("7", 225), ("8", 50)]),
        (UsageKey::Agent, vec![("3", 255), ("4", 20)]),
        (UsageKey::Model, vec![("llama", 270), ("GPT 'x' 하늘", 5)]),
    ] {
        let expected = expected.into_iter();
        let expected = expected.map(|(value, input)| (value.to_owned(), input));
        ensure_eq(
            "the sums",
            &sums(&run, key, &owner).await?,
            &expected.collect(),
        )?;
    }
    // Without an owner, the sums contain those of both.
    let all = run
        .ports
        .usage
        .sums(UsageKey::Owner, today(), None, NO_LIMIT);
    let all = all.await?;
    for (of, input, requests) in [(&owner, 275, 5), (&other, 1_000, 1)] {
        let sum = all.iter().find(|sum| sum.value == of.as_str());
        let expected = Usage {
            input,
            output: 10 * requests,
            cached: 3 * requests,
            requests,
        };
        let found = ensure_some("an owner's sum", sum)?;
        ensure_eq("an owner's usage", &found.usage, &expected)?;
    }
    Ok(())
}

pub(super) async fn sums_begin_with_their_first_day(run: LawRun) -> Outcome {
    let owner = run.owner()?;
    let days_ago = |days| ensure_some("a day", today().checked_sub_days(Days::new(days)));
    for (days, input) in [(0, 1), (1, 20), (30, 300)] {
        let day = days_ago(days)?;
        add(
            &run,
            [UsageRecord {
                day,
                ..record(&owner, 7, input)
            }],
        )
        .await?;
    }
    for (days, expected) in [(0, 1), (1, 21), (2, 21), (30, 321), (365, 321)] {
        let owner = Some(owner.clone());
        let sums = run
            .ports
            .usage
            .sums(UsageKey::Model, days_ago(days)?, owner, NO_LIMIT);
        let inputs: Vec<_> = sums.await?.iter().map(|sum| sum.usage.input).collect();
        ensure_eq("the sum", &inputs, &vec![expected])?;
    }
    Ok(())
}

pub(super) async fn the_greatest_sums_come_first(run: LawRun) -> Outcome {
    let owner = run.owner()?;
    add(
        &run,
        [(1, 20), (2, 400), (3, 3_000), (4, 1)].map(|(room, input)| record(&owner, room, input)),
    )
    .await?;
    for (limit, expected) in [
        (9, vec!["3", "2", "1", "4"]),
        (2, vec!["3", "2"]),
        (0, vec![]),
    ] {
        let owner = Some(owner.clone());
        let sums = run
            .ports
            .usage
            .sums(UsageKey::Room, today(), owner, limit)
            .await?;
        let rooms: Vec<_> = sums
            .iter()
            .map(|UsageSum { value, .. }| value.as_str())
            .collect();
        ensure_eq("the rooms", &rooms, &expected)?;
    }
    Ok(())
}

pub(super) async fn tokens_are_those_of_one_day_and_one_owner(run: LawRun) -> Outcome {
    let (owner, other) = (run.owner()?, run.user("other")?);
    let yesterday = ensure_some("a day", today().pred_opt())?;
    let log = &run.ports.usage;
    let before = log.tokens(today(), None).await?;
    ensure_eq(
        "the tokens at first",
        &log.tokens(today(), Some(owner.clone())).await?,
        &0,
    )?;
    let records = [
        record(&owner, 7, 100),
        record(&owner, 8, 20),
        record(&other, 7, 1_000),
        UsageRecord {
            day: yesterday,
            ..record(&owner, 7, 5)
        },
    ];
    add(&run, records).await?;
    for (day, of, expected) in [
        (today(), &owner, 140),
        (yesterday, &owner, 15),
        (today(), &other, 1_010),
        (yesterday, &other, 0),
    ] {
        let tokens = log.tokens(day, Some(of.clone())).await?;
        ensure_eq("the tokens of a day", &tokens, &expected)?;
    }
    let all = log.tokens(today(), None).await?;
    // Other runs may add usage at the same time.
    ensure(all >= before + 1_150, "the tokens of all owners lack some")
}

pub(super) async fn concurrent_usage_is_all_counted(run: LawRun) -> Outcome {
    let owner = run.owner()?;
    let tasks = (0..8).map(|number| {
        let (log, record) = (run.ports.usage.clone(), record(&owner, number % 2, 100));
        async move { log.add(record).await }
    });
    for added in in_tasks(tasks).await? {
        added?;
    }
    let expected = [("0".to_owned(), 400), ("1".to_owned(), 400)];
    let mut found = sums(&run, UsageKey::Room, &owner).await?;
    found.sort();
    ensure_eq("the sums", &found, &expected.to_vec())
}
