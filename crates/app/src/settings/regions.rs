//! Settings of the cache's regions: TTLs and capacities.

use std::{collections::BTreeMap, time::Duration};

use cache_adapter::{Options, rows};
use serde::Deserialize;

use super::{error::SettingsError, value, value::SettingValue};

/// The settings of one region in the file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RegionOptions {
    /// The time for which an entry may be served.
    #[serde(deserialize_with = "value::optional")]
    pub ttl: Option<Duration>,
    /// The capacity in entries or, for `room_messages` and `message_image`, in bytes.
    #[serde(deserialize_with = "value::optional")]
    pub capacity: Option<u64>,
}

/// The value `REGION=VALUE` of the flags `--ttl` and `--capacity`.
#[derive(Clone, Debug)]
pub struct RegionFlag {
    /// The region's name.
    pub region: String,
    /// The region's TTL or capacity, as text that is not parsed yet.
    pub value: String,
}

impl SettingValue for RegionFlag {
    const EXPECTED: &'static str = "REGION=VALUE";

    fn parse(text: &str) -> Option<Self> {
        let (region, value) = text.split_once('=')?;
        Some(Self {
            region: region.trim().to_owned(),
            value: value.trim().to_owned(),
        })
    }
}

/// Applies the section `regions` of the settings file to the cache's options.
pub(super) fn apply_file(
    cache: &mut Options,
    regions: BTreeMap<String, RegionOptions>,
) -> Result<(), SettingsError> {
    for (region, options) in regions {
        check_region(&region)?;
        if let Some(ttl) = options.ttl {
            cache.ttls.insert(region.clone(), ttl);
        }
        if let Some(capacity) = options.capacity {
            cache.capacities.insert(region, capacity);
        }
    }
    Ok(())
}

/// Applies `--ttl` and `--capacity` to the cache's options. They override the settings file.
pub(super) fn apply_flags(
    cache: &mut Options,
    ttls: Vec<RegionFlag>,
    capacities: Vec<RegionFlag>,
) -> Result<(), SettingsError> {
    for flag in ttls {
        let ttl = parse_flag("--ttl", &flag)?;
        cache.ttls.insert(flag.region, ttl);
    }
    for flag in capacities {
        let capacity = parse_flag("--capacity", &flag)?;
        cache.capacities.insert(flag.region, capacity);
    }
    Ok(())
}

fn parse_flag<T: SettingValue>(name: &str, flag: &RegionFlag) -> Result<T, SettingsError> {
    check_region(&flag.region)?;
    T::parse(&flag.value).ok_or_else(|| SettingsError::Invalid {
        name: format!("`{name} {}`", flag.region),
        expected: T::EXPECTED,
        value: flag.value.clone(),
    })
}

fn check_region(region: &str) -> Result<(), SettingsError> {
    let known: Vec<_> = rows().iter().map(|row| row.region).collect();
    if known.contains(&region) {
        return Ok(());
    }
    Err(SettingsError::UnknownRegion {
        region: region.to_owned(),
        known,
    })
}

/// Returns one warning for each TTL that is too short or too long for its region.
pub(super) fn unsuitable_ttls(cache: &Options) -> Vec<String> {
    let mut warnings = Vec::new();
    for row in rows() {
        let ttl = cache
            .ttls
            .get(row.region)
            .copied()
            .unwrap_or_else(|| row.ttl(cache.preset));
        let [min, max] = [row.suits.0, row.suits.1].map(Duration::from_secs);
        let (region, shown) = (row.region, humantime::format_duration(ttl));
        if ttl < min {
            warnings.push(format!(
                "region `{region}`: TTL {shown} is too short: the store would be queried again \
                 and again; set at least {}",
                humantime::format_duration(min)
            ));
        } else if ttl > max {
            warnings.push(format!(
                "region `{region}`: TTL {shown} is too long: changes made by other programs would \
                 stay hidden until it expires; set at most {}",
                humantime::format_duration(max)
            ));
        }
    }
    warnings
}
