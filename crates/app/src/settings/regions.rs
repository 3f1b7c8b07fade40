//! Settings of the cache's regions: TTLs and capacities.

use std::{collections::BTreeMap, time::Duration};

use cache_adapter::{Options, rows};
use serde::Deserialize;

use super::{error::SettingsError, value, value::SettingValue};

/// The settings of one region in the file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RegionOptions {
    /// How long an entry may be served.
    #[serde(deserialize_with = "value::optional")]
    pub ttl: Option<Duration>,
    /// The most entries, or bytes where the region counts bytes.
    #[serde(deserialize_with = "value::optional")]
    pub capacity: Option<u64>,
}

/// The text `REGION=VALUE` of a flag.
#[derive(Clone, Debug)]
pub struct RegionFlag {
    /// The region's name.
    pub region: String,
    /// Its new TTL or capacity, not parsed yet.
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

/// Applies the section `regions` of the file.
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

/// Applies `--ttl` and `--capacity`, which override the file.
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

/// Returns one warning for each TTL that does not suit its data.
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
