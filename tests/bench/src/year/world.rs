//! The region: one region, 14 cities, 111 counties; 127 halls whose sizes differ as halls do, 6,000 windows together, a clerk
//! at each. Written as the import file a centre is started with.

use std::fmt::Write;

use control_protocol::HallId;

use super::chance::Chance;

/// Cities, counties and windows of the whole.
const CITIES: u32 = 14;
const COUNTIES: u32 = 111;
const WINDOWS: u32 = 6_000;
/// What is handled.
pub(super) const BUSINESSES: [&str; 8] =
    ["社保", "医保", "不动产登记", "税务", "公安户政", "市场监管", "公积金", "综合"];

/// A hall.
pub(super) struct Hall {
    pub(super) id: HallId,
    pub(super) area: String,
    pub(super) windows: u32,
}

/// The region.
pub(super) struct World {
    pub(super) halls: Vec<Hall>,
    areas: Vec<(String, Option<String>, String, &'static str)>,
}

impl World {
    /// The first `share` of the halls.
    pub(super) fn of(share: f64, seed: u64) -> Self {
        let mut areas = vec![("450000".to_owned(), None, "广西壮族自治区".to_owned(), "region")];
        let mut places = vec!["450000".to_owned()];
        for city in 1..=CITIES {
            let id = format!("45{city:02}00");
            areas.push((id.clone(), Some("450000".into()), format!("第{city}市"), "city"));
            places.push(id);
        }
        for county in 0..COUNTIES {
            let (city, number) = (county % CITIES + 1, county / CITIES + 1);
            let id = format!("45{city:02}{number:02}");
            areas.push((
                id.clone(),
                Some(format!("45{city:02}00")),
                format!("第{city}市第{number}县"),
                "county",
            ));
            places.push(id);
        }
        // One more hall in the first city makes 127; the counties, which are most, are mixed with the rest.
        places.push("450100".into());
        let mut chance = Chance::new(seed);
        let weights: Vec<f64> = places.iter().map(|_| 0.35 + chance.exponential(0.65).min(4.0)).collect();
        let all: f64 = weights.iter().sum();
        let mut seen = std::collections::HashMap::<String, u32>::new();
        let mut halls: Vec<Hall> = places
            .into_iter()
            .zip(weights)
            .filter_map(|(area, weight)| {
                let number = seen.entry(area.clone()).or_default();
                *number += 1;
                let id = format!("{area}-{number:02}").parse().ok()?;
                let windows = (weight / all * f64::from(WINDOWS)).round().max(4.0) as u32;
                Some(Hall { id, area, windows })
            })
            .collect();
        let count = ((halls.len() as f64 * share).ceil() as usize).clamp(1, halls.len());
        // From the end: counties first, so that a small share has halls of several cities.
        halls.reverse();
        halls.truncate(count);
        Self { halls, areas }
    }

    /// How many windows there are.
    pub(super) fn windows(&self) -> u32 {
        self.halls.iter().map(|hall| hall.windows).sum()
    }

    /// The import file.
    pub(super) fn import(&self, password: &str) -> String {
        let mut file = String::new();
        for (id, parent, name, level) in &self.areas {
            // Writing to a String does not fail.
            let _ = writeln!(file, "[[area]]\nid = \"{id}\"\nname = \"{name}\"\nlevel = \"{level}\"");
            if let Some(parent) = parent {
                let _ = writeln!(file, "parent = \"{parent}\"");
            }
        }
        for hall in &self.halls {
            let (id, area) = (&hall.id, &hall.area);
            let _ =
                writeln!(file, "[[hall]]\nid = \"{id}\"\narea = \"{area}\"\nname = \"{area} 政务服务中心\"");
            for window in 1..=hall.windows {
                let business = BUSINESSES[window as usize % BUSINESSES.len()];
                let _ = writeln!(
                    file,
                    "[[window]]\nhall = \"{id}\"\nnumber = {window}\nname = \"{business}{window}\"\nbusinesses = [\"{business}\"]\n\
                     [[staff]]\nhall = \"{id}\"\nnumber = \"{}\"\nname = \"职员{window}\"",
                    1000 + window
                );
            }
        }
        let county = self.halls.first().map_or("450000", |hall| hall.area.as_str());
        for (name, role, scope) in [("region", "supervisor", "450000"), ("county", "supervisor", county)] {
            let _ = writeln!(
                file,
                "[[user]]\nname = \"{name}\"\npassword = \"{password}\"\nrole = \"{role}\"\nscope = \"{scope}\"\nmust_change = false"
            );
        }
        file
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_has_the_programmes_size() {
        let world = World::of(1.0, 1);
        assert_eq!(world.halls.len(), 127);
        assert!((5_900..6_200).contains(&world.windows()), "{}", world.windows());
        assert_eq!(World::of(0.05, 1).halls.len(), 7);
    }
}
